//! Whether some order of the operations explains a history: the search of Wing and Gong, which places
//! one operation after the other, with Lowe's memory of what was tried.

use std::collections::BTreeSet;

use nanshe_conformance::history::History;

use super::question::Question;
use super::specification::State;

/// States that are looked at, at most.
const STATES_MAX: usize = 60_000;

/// What the search says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Some order explains everything.
    Order,
    /// None does.
    NoOrder,
    /// There were too many.
    GaveUp,
}

pub(super) fn search(history: &History) -> Found {
    let Some(question) = Question::of(history) else {
        return Found::NoOrder;
    };
    let mut search = Search {
        question,
        tried: BTreeSet::new(),
    };
    if search.complete(0, &State::new()) {
        Found::Order
    } else if search.tried.len() < STATES_MAX {
        Found::NoOrder
    } else {
        Found::GaveUp
    }
}

struct Search<'h> {
    question: Question<'h>,
    /// Which operations were placed, and what that led to.
    tried: BTreeSet<(u32, State)>,
}

impl Search<'_> {
    /// Whether the operations that are not among `done` can follow.
    fn complete(&mut self, done: u32, state: &State) -> bool {
        if done & self.question.required == self.question.required {
            return true;
        }
        if self.tried.len() >= STATES_MAX || !self.tried.insert((done, state.clone())) {
            return false;
        }
        for number in 0..u8::try_from(self.question.before.len()).unwrap() {
            let bit = 1 << number;
            let is_next = self.question.possible & !done & bit != 0
                && self.question.before[usize::from(number)] & !done == 0;
            if !is_next {
                continue;
            }
            for next in state.after(&self.question, number) {
                if self.complete(done | bit, &next) {
                    return true;
                }
            }
        }
        false
    }
}
