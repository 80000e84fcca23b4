//! Deletes the queues, flavors and pools that cases made, when they are done with them.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt;
use http::{HeaderValue, Method};

use super::context::Context;
use crate::environment::{World, within};

/// How long cleaning up may take.
const CLEAN_UP_WITHIN: Duration = Duration::from_secs(60);

/// Deletions under way at once.
const IN_FLIGHT_MAX: usize = 16;

/// A queue, flavor or pool that a case used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Used {
    /// The project, as the header has it.
    pub(super) project: Vec<u8>,
    /// Its path, in the case's words.
    pub(super) path: String,
    /// Whether it was asked about subscriptions, which outlive their queue.
    pub(super) has_subscriptions: bool,
}

/// The path of the pool or flavor that `path` is about, if it is about one.
pub(super) fn operated(path: &str) -> Option<&str> {
    let path = path.split('?').next().unwrap_or_default();
    let name = path
        .strip_prefix("/v2/pools/")
        .or_else(|| path.strip_prefix("/v2/flavors/"))?;
    (!name.is_empty() && !name.contains('/')).then_some(path)
}

/// What is deleted together, in this order: a pool with queues stays, and so does the last one of a flavor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Queues,
    Flavors,
    Pools,
}

impl Turn {
    fn of(used: &Used) -> Self {
        match operated(&used.path) {
            None => Self::Queues,
            Some(path) if path.starts_with("/v2/flavors/") => Self::Flavors,
            Some(_) => Self::Pools,
        }
    }
}

/// Deletes what the cases used, and says how much is left if that could not be done.
pub(super) async fn clean_up(world: &World, contexts: &[Context]) -> Option<String> {
    let used: Vec<(Context, Used)> = contexts
        .iter()
        .flat_map(|context| {
            context
                .used()
                .into_iter()
                .map(|used| (context.clone(), used))
        })
        .collect();
    let all = used.len();
    let are_queues = used.iter().all(|(_, used)| Turn::of(used) == Turn::Queues);
    let what = if are_queues {
        "queues"
    } else {
        "queues, flavors and pools"
    };
    let mut left: BTreeSet<usize> = (0..all).collect();
    let mut turns = [Vec::new(), Vec::new(), Vec::new()];
    for (number, (context, used)) in used.into_iter().enumerate() {
        turns[Turn::of(&used) as usize].push((number, context, used));
    }
    let whole = async {
        for theirs in turns {
            let mut deletions =
                futures_util::stream::iter(theirs)
                    .map(|(number, context, used)| async move {
                        (number, delete(&context, &used).await)
                    })
                    .buffer_unordered(IN_FLIGHT_MAX);
            while let Some((number, deleted)) = deletions.next().await {
                if deleted {
                    left.remove(&number);
                }
            }
        }
    };
    let in_time = within(&**world, CLEAN_UP_WITHIN, whole).await.is_some();
    let count = left.len();
    (count > 0).then(|| {
        let why = if in_time {
            "not deleted"
        } else {
            "not deleted in time"
        };
        format!("{count} of {all} {what} that the suite made were {why}")
    })
}

async fn delete(context: &Context, used: &Used) -> bool {
    let Ok(project) = HeaderValue::from_bytes(&used.project) else {
        return false;
    };
    if used.has_subscriptions {
        let purge = context.request(Method::POST, format!("{}/purge", used.path));
        let subscriptions = serde_json::json!({ "resource_types": ["subscriptions"] });
        // Without purging there may be none either; deleting decides.
        drop(
            purge
                .json(&subscriptions)
                .project(project.clone())
                .send()
                .await,
        );
    }
    let mut request = context.delete(used.path.clone()).project(project);
    if Turn::of(used) != Turn::Queues {
        request = request.header("x-roles", "admin");
    }
    let answer = request.send().await;
    // What a name is refused for is not there either.
    answer.is_ok_and(|reply| matches!(reply.status().as_u16(), 200..300 | 400 | 404))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flavors_go_behind_queues_and_pools_last() {
        let turn = |path: &str| {
            let used = Used {
                project: Vec::new(),
                path: path.to_owned(),
                has_subscriptions: false,
            };
            Turn::of(&used)
        };
        assert_eq!(turn("/v2/queues/pools"), Turn::Queues);
        assert_eq!(turn("/v2/flavors/f"), Turn::Flavors);
        assert_eq!(turn("/v2/pools/p"), Turn::Pools);
        assert_eq!(operated("/v2/pools/p?detailed=true"), Some("/v2/pools/p"));
        for path in [
            "/v2/pools",
            "/v2/pools?limit=2",
            "/v2/pools/",
            "/v2/pools/p/drain",
        ] {
            assert_eq!(operated(path), None, "{path}");
        }
    }
}
