//! The health of the stores, as it was found, and how it is shown. Zaqar v2, Health. Who finds it
//! out is `service`, which has the clock.

use http::StatusCode;
use serde_json::{Value, json};

use crate::broker::{PoolName, Uuid};

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Of the one store.
    Store(StoreHealth),
    /// Of every pool, in order of their names.
    Pools(Vec<(PoolName, StoreHealth)>),
}

/// What came of everything that was tried with one store, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreHealth(pub Vec<Trial>);

/// One operation that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Its name, as Zaqar has it.
    pub operation: &'static str,
    /// How long it took, by the clock of the service.
    pub nanos: u64,
    /// If it failed, what names the failure.
    pub failure: Option<Uuid>,
}

impl Health {
    pub(crate) fn status(&self) -> StatusCode {
        let well = match self {
            Self::Store(store) => store.is_well(),
            Self::Pools(pools) => pools.iter().all(|(_, store)| store.is_well()),
        };
        if well {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        }
    }

    pub(crate) fn document(&self) -> Value {
        match self {
            Self::Store(store) => store.document(),
            Self::Pools(pools) => {
                let entry = |(name, store): &(PoolName, StoreHealth)| {
                    (name.as_str().to_owned(), store.document())
                };
                let mut members: serde_json::Map<_, _> = pools.iter().map(entry).collect();
                // Last, so that it is there even if a pool has this name.
                members.insert("catalog_reachable".to_owned(), json!(true));
                Value::Object(members)
            }
        }
    }
}

impl StoreHealth {
    /// Whether everything came out as it should.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.0.iter().all(|trial| trial.failure.is_none())
    }

    fn document(&self) -> Value {
        let entry = |trial: &Trial| {
            let status = json!({
                "succeeded": trial.failure.is_none(),
                "seconds": seconds(trial.nanos),
                "ref": trial.failure.map(|failure| failure.to_string()),
            });
            (trial.operation.to_owned(), status)
        };
        let operations = Value::Object(self.0.iter().map(entry).collect());
        // The store is memory of whoever answers.
        json!({"storage_reachable": true, "operation_status": operations})
    }
}

/// As a decimal fraction. The detour through text spares us arithmetic that rounds.
fn seconds(nanos: u64) -> Value {
    let text = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
    text.parse().expect("invariant: this is a number")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(failure: Option<Uuid>) -> Trial {
        Trial {
            operation: "create_queue",
            nanos: 1_000_250_000,
            failure,
        }
    }

    #[test]
    fn seconds_are_fractions_and_failures_have_a_name() {
        let well = Health::Store(StoreHealth(vec![trial(None)]));
        let status = json!({"succeeded": true, "seconds": 1.00025, "ref": null});
        let document = json!({
            "storage_reachable": true,
            "operation_status": {"create_queue": status},
        });
        assert_eq!((well.status(), well.document()), (StatusCode::OK, document));
        let id = Uuid::from_bytes([7; 16]);
        let unwell = Health::Store(StoreHealth(vec![trial(None), trial(Some(id))]));
        assert_eq!(unwell.status(), StatusCode::SERVICE_UNAVAILABLE);
        let status = &unwell.document()["operation_status"]["create_queue"];
        assert_eq!(status["succeeded"], false);
        assert_eq!(status["ref"], id.to_string());
    }

    #[test]
    fn the_worst_pool_decides() {
        let name = |text| PoolName::parse(text).unwrap();
        let well = StoreHealth(vec![trial(None)]);
        let unwell = StoreHealth(vec![trial(Some(Uuid::from_bytes([7; 16])))]);
        let pools = vec![(name("a"), well.clone()), (name("catalog_reachable"), well)];
        let health = Health::Pools(pools.clone());
        assert_eq!(health.status(), StatusCode::OK);
        assert_eq!(health.document()["catalog_reachable"], true);
        assert_eq!(health.document()["a"]["storage_reachable"], true);
        let pools = [pools, vec![(name("b"), unwell)]].concat();
        assert_eq!(
            Health::Pools(pools).status(),
            StatusCode::SERVICE_UNAVAILABLE
        );
        assert_eq!(Health::Pools(Vec::new()).status(), StatusCode::OK);
    }
}
