//! Keeps texts in one byte for each character, and a question mark for a character that has no such byte.
//!
//! Modelled on MySQL, whose tables were in Latin-1 unless somebody said otherwise, and took what did not fit without a
//! word.

use serde_json::Value;

use super::front::{WorkQueue, answering};
use super::steps::Steps;
use super::store::Store;
use super::tables::{New, Place};
use crate::implementation::{Implementation, Takes};

pub(super) const SPECIMEN: Implementation = Implementation {
    name: "question-marks",
    about: "keeps texts in Latin-1: other characters become question marks",
    caught_by: Some("delivery/corrupted"),
    takes: Takes::MANY_BEFORE_A_STORE,
    variants: &[],
    start: |context| {
        answering(QuestionMarks {
            store: Store::new(&context),
        })
    },
};

struct QuestionMarks {
    store: Store,
}

impl WorkQueue for QuestionMarks {
    fn store(&self) -> &Store {
        &self.store
    }

    async fn post(&self, place: Place, mut batch: Vec<New>) -> Option<Vec<String>> {
        batch.iter_mut().for_each(|new| narrow(&mut new.body));
        self.store.post(place, batch).await
    }
}

fn narrow(body: &mut Value) {
    match body {
        Value::String(text) => {
            *text = text
                .chars()
                .map(|c| if c > 'ÿ' { '?' } else { c })
                .collect()
        }
        Value::Array(all) => all.iter_mut().for_each(narrow),
        Value::Object(members) => members.values_mut().for_each(narrow),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
