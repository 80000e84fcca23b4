//! Which seeds a machine runs of those that many machines divide among themselves.

use std::ops::Range;

use nanshe_conformance::suite::Shard;

/// The seeds of `shard`: one stretch after the other, so that together the shares are the whole and none overlap.
/// Only multiples of `unit` separate them. `None` if there is nothing left for some of the shares.
pub fn share(seeds: &Range<u64>, shard: Shard, unit: u64) -> Option<Range<u64>> {
    let wide = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let (number, count) = (wide(shard.number()), wide(shard.count()));
    let units = (seeds.end - seeds.start).div_ceil(unit);
    if units < count {
        return None;
    }
    // A campaign has at most 10^9 seeds, and no more shares than that: no product overflows.
    let border = |number: u64| seeds.end.min(seeds.start + units * number / count * unit);
    Some(border(number - 1)..border(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_the_whole_without_gap_or_overlap_and_about_as_large() {
        for (seeds, count, unit) in [
            (5..105, 3, 1),
            (0..10, 10, 1),
            (7..4_007, 3, 1_000),
            (0..2_500, 3, 1_000),
            (1 << 62..(1 << 62) + 1_000_000_000, 999_999_999, 1),
        ] {
            let shares = 1..=count.min(1_000);
            let mut next = seeds.start;
            for number in shares {
                let share = share(&seeds, Shard::new(number, count).unwrap(), unit).unwrap();
                assert_eq!(share.start, next);
                assert!(share.end > share.start, "{share:?}");
                assert!(share.end == seeds.end || (share.end - seeds.start).is_multiple_of(unit));
                next = share.end;
            }
            assert!(next == seeds.end || count > 1_000);
        }
    }

    #[test]
    fn nobody_is_left_with_nothing() {
        let fifth = Shard::new(1, 5).unwrap();
        assert_eq!(share(&(0..4), fifth, 1), None);
        assert_eq!(share(&(0..4_000), fifth, 1_000), None);
        assert_eq!(share(&(0..4_001), fifth, 1_000), Some(0..1_000));
        assert_eq!(share(&(3..4), Shard::WHOLE, 1_000), Some(3..4));
    }
}
