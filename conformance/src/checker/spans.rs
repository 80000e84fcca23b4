//! Stretches of time, or of anything else that has an order.

/// The same, from first to last, in the order of their beginnings, and none overlaps or touches the next.
pub(super) fn merged<T: Copy + Ord>(mut spans: Vec<(T, T)>) -> Vec<(T, T)> {
    spans.sort_unstable();
    let mut merged: Vec<(T, T)> = Vec::new();
    for (start, end) in spans {
        match merged.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            Some(_) | None => merged.push((start, end)),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_that_overlap_are_one() {
        let spans = vec![(7, 9), (1, 3), (3, 4), (2, 2), (8, 12), (20, 20)];
        assert_eq!(merged(spans), [(1, 4), (7, 12), (20, 20)]);
        assert_eq!(merged::<u8>(Vec::new()), []);
    }
}
