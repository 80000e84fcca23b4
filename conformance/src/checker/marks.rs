//! What the rules about whole queues need of each message: a few instants, worked out once.

use std::ops::Index;

use super::known::Known;
use crate::environment::Instant;

/// One message's instants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    /// From when on it certainly is stored; never, if nobody knows.
    pub(super) stored_from: Instant,
    /// Until when it is active for certain, leases apart: a possible removal that somebody saw, or the
    /// early end of its lifetime.
    pub(super) active_until: Instant,
    /// Whether that is a removal.
    pub(super) may_be_taken: bool,
    /// Until when it certainly is stored: the same, or a removal that nobody saw.
    pub(super) stays_until: Instant,
    /// How often it was seen although its life as posted had ended.
    pub(super) outlived: u32,
    /// How often it was handed out; two stand for more.
    pub(super) deliveries: u8,
    /// Whether something certainly took it away.
    pub(super) is_removed: bool,
}

/// The marks of all messages, in the parts in which they were worked out: to put them together would take
/// as much memory again, and time.
#[derive(Debug, Default)]
pub(super) struct Marks {
    parts: Vec<Vec<Mark>>,
    /// All parts but the last have as many marks: two to the power of this.
    size_log2: u32,
}

impl FromIterator<Vec<Mark>> for Marks {
    /// All parts but the last have as many marks, a power of two.
    fn from_iter<P: IntoIterator<Item = Vec<Mark>>>(parts: P) -> Self {
        let parts: Vec<Vec<Mark>> = parts.into_iter().collect();
        let size = parts.first().map_or(0, Vec::len).next_power_of_two();
        Self {
            parts,
            size_log2: size.trailing_zeros(),
        }
    }
}

impl Index<u32> for Marks {
    type Output = Mark;

    fn index(&self, message: u32) -> &Mark {
        let message = message as usize;
        let part = message >> self.size_log2;
        &self.parts[part][message - (part << self.size_log2)]
    }
}

impl Mark {
    /// Nothing is known, and nothing can be told any more.
    pub(super) const UNKNOWN: Self = Self {
        stored_from: Instant::NEVER,
        active_until: Instant::START,
        may_be_taken: true,
        stays_until: Instant::START,
        outlived: 0,
        deliveries: 0,
        is_removed: true,
    };

    pub(super) fn of(known: &Known<'_>) -> Self {
        let posted_end = known.dies_as_posted();
        let outlives = |&&seen: &&u32| known.facts.op(seen).invoked_at >= posted_end;
        let outlived = known.sightings.iter().filter(outlives).count();
        let nothing = super::log::NONE;
        let taken_from = known.taken_from(nothing);
        Self {
            stored_from: known.stored_from.unwrap_or(Instant::NEVER),
            active_until: known.lives_until.min(taken_from),
            may_be_taken: taken_from < known.lives_until,
            stays_until: known.lives_until.min(known.may_be_gone_from(nothing)),
            outlived: u32::try_from(outlived).unwrap_or(u32::MAX),
            deliveries: u8::try_from(known.deliveries.len().min(2)).unwrap_or(2),
            is_removed: known.removal.is_some(),
        }
    }
}
