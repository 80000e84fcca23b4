//! How coarse a target's clock is, as its clients see it.
//!
//! A server that stamps whole seconds calls a message a second old as soon as the second ends in which
//! it was posted, so its leases end up to a second early too. Messages posted at three places of a
//! second tell: one of them is then called a second old after a third of one at most.

use std::time::Duration;

use http::Method;

use super::Found;
use super::look::{Look, json};
use crate::environment::Instant;
use crate::target::Description;

/// Messages, and the time from one post to the next.
const POSTS: u32 = 3;
const APART: Duration = Duration::from_millis(333);

/// Time between two looks at the ages.
const LOOK_EVERY: Duration = Duration::from_millis(40);

/// How long a message may take to be called a second old.
const LOOK_FOR: Duration = Duration::from_secs(3);

/// A message that is called a second old sooner than this was not timed by a fine clock.
const SURELY_EARLY: Duration = Duration::from_millis(900);

/// The slack of a server that counts whole seconds, and of one that does not: what it may be early,
/// and as much again as the way there and back may take.
const WHOLE_SECONDS: Duration = Duration::from_secs(2);
const FINE: Duration = Duration::from_secs(1);

/// Tells how coarse the clock is, and derives the slack, which the target file may say otherwise.
pub(super) async fn measure(look: &Look, target: &Description, found: &mut Found) {
    let Some(earliest) = earliest_second(look).await else {
        found.lines.push(format!(
            "its clock could not be measured (posting, or reading an age, failed): judging with a \
             slack of {:?}",
            found.slack
        ));
        return;
    };
    let is_coarse = earliest < SURELY_EARLY;
    let words = if is_coarse {
        "counts whole seconds: leases end up to a second early as seen by a client"
    } else {
        "is finer than a second"
    };
    let (slack, origin) = if target.slack_is_given {
        (target.slack, "as the target file says")
    } else if is_coarse {
        (WHOLE_SECONDS, "which `slack_ms` in a target file overrides")
    } else {
        (FINE, "which `slack_ms` in a target file overrides")
    };
    found.slack = slack;
    found.lines.push(format!(
        "its clock {words}; judging with a slack of {slack:?}, {origin}"
    ));
}

/// The shortest time after which a message was called a second old.
async fn earliest_second(look: &Look) -> Option<Duration> {
    let mut posted: Vec<(String, Instant)> = Vec::new();
    let mut earliest: Option<Duration> = None;
    let begin = look.now();
    while look.now().since(begin) < LOOK_FOR {
        let count = u32::try_from(posted.len()).unwrap_or(u32::MAX);
        if earliest.is_none() && count < POSTS && look.now().since(begin) >= APART * count {
            let at = look.now();
            posted.push((look.post().await?, at));
        }
        for (path, at) in std::mem::take(&mut posted) {
            let answer = look.ask(Method::GET, &path).send().await.ok()?;
            let old = json(&answer)["age"].as_f64()? >= 1.0;
            let after = look.now().since(at);
            if old {
                earliest = Some(earliest.map_or(after, |earliest| earliest.min(after)));
            } else {
                posted.push((path, at));
            }
        }
        if posted.is_empty() || earliest.is_some_and(|earliest| earliest < SURELY_EARLY) {
            break;
        }
        look.sleep(LOOK_EVERY).await;
    }
    earliest
}
