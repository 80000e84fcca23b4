//! When the operations so far can have acted: bounds on the differences between their instants.
//!
//! Each operation acts in one instant, of which only differences to others are known: it lies between
//! invocation and completion, after what acted before, and a lease that had ended by then began long
//! enough before. Such a system is kept closed: each bound is the tightest that follows from all.

/// An instant: the number of the operation that acted then, or [`ORIGIN`].
pub(super) type Point = u8;

/// The start of the history.
pub(super) const ORIGIN: Point = Point::MAX;

/// No bound. Two of them can be added.
pub(super) const UNBOUNDED: i64 = i64::MAX / 4;

/// Instants that satisfy all that was demanded of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Zone {
    points: Vec<Point>,
    /// By row and column: how much later the row's point can be than the column's.
    bounds: Vec<Vec<i64>>,
}

impl Zone {
    /// The start, and nothing else.
    pub(super) fn new() -> Self {
        Self {
            points: vec![ORIGIN],
            bounds: vec![vec![0]],
        }
    }

    fn row(&self, point: Point) -> usize {
        let mut points = self.points.iter();
        points.position(|&known| known == point).unwrap()
    }

    /// Adds an instant of which nothing is known yet.
    pub(super) fn add(&mut self, point: Point) {
        self.points.push(point);
        for row in &mut self.bounds {
            row.push(UNBOUNDED);
        }
        let mut row = vec![UNBOUNDED; self.points.len()];
        *row.last_mut().unwrap() = 0;
        self.bounds.push(row);
    }

    /// Whether `later` can be at most `most` after `earlier`.
    pub(super) fn allows(&self, later: Point, earlier: Point, most: i64) -> bool {
        let least = self.bounds[self.row(earlier)][self.row(later)];
        least.saturating_add(most) >= 0
    }

    /// Demands that `later` is at most `most` after `earlier`. Returns whether that is possible.
    pub(super) fn demand(&mut self, later: Point, earlier: Point, most: i64) -> bool {
        if !self.allows(later, earlier, most) {
            return false;
        }
        let (row, column) = (self.row(later), self.row(earlier));
        if self.bounds[row][column] <= most {
            return true;
        }
        for one in 0..self.points.len() {
            for other in 0..self.points.len() {
                let to = self.bounds[one][row];
                let from = self.bounds[column][other];
                if to < UNBOUNDED && from < UNBOUNDED {
                    let around = to + most + from;
                    let bound = &mut self.bounds[one][other];
                    *bound = around.min(*bound);
                }
            }
        }
        true
    }

    /// Drops the instants that are not among `kept`. What follows from them stays.
    pub(super) fn keep(&mut self, kept: impl Fn(Point) -> bool) {
        let is_kept: Vec<bool> = self
            .points
            .iter()
            .map(|&it| it == ORIGIN || kept(it))
            .collect();
        retain(&mut self.points, &is_kept);
        retain(&mut self.bounds, &is_kept);
        for row in &mut self.bounds {
            retain(row, &is_kept);
        }
    }
}

fn retain<T>(list: &mut Vec<T>, is_kept: &[bool]) {
    let mut is_kept = is_kept.iter();
    list.retain(|_| *is_kept.next().unwrap());
}

#[test]
fn bounds_follow_from_bounds() {
    let mut zone = Zone::new();
    zone.add(1);
    zone.add(2);
    assert!(zone.demand(1, ORIGIN, 10) && zone.demand(ORIGIN, 1, -5));
    assert!(zone.demand(2, 1, 20) && zone.demand(1, 2, -15));
    // From 20 to 30.
    assert!(zone.allows(2, ORIGIN, 20) && !zone.allows(2, ORIGIN, 19));
    assert!(zone.allows(ORIGIN, 2, -30) && !zone.allows(ORIGIN, 2, -31));
    zone.keep(|point| point == 2);
    assert!(!zone.allows(2, ORIGIN, 19) && !zone.demand(ORIGIN, 2, -31));
}
