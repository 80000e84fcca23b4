//! Deletes the queues that cases made, when they are done with them.

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

/// A queue that a case used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Used {
    /// The project, as the header has it.
    pub(super) project: Vec<u8>,
    /// Its path, in the case's words.
    pub(super) path: String,
    /// Whether it was asked about subscriptions, which outlive their queue.
    pub(super) has_subscriptions: bool,
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
    let mut left: BTreeSet<usize> = (0..all).collect();
    let deletions = futures_util::stream::iter(used.into_iter().enumerate());
    let mut deletions = deletions
        .map(|(number, (context, used))| async move { (number, delete(&context, &used).await) })
        .buffer_unordered(IN_FLIGHT_MAX);
    let whole = async {
        while let Some((number, deleted)) = deletions.next().await {
            if deleted {
                left.remove(&number);
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
        format!("{count} of {all} queues that the suite made were {why}")
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
    let request = context.delete(used.path.clone()).project(project);
    let answer = request.send().await;
    // What a name is refused for is not there either.
    answer.is_ok_and(|reply| matches!(reply.status().as_u16(), 200..300 | 400 | 404))
}
