//! The steps of a ladder, made ready: a tenant each, with so much of what is grown.

use std::sync::Arc;
use std::time::Duration;

use super::Quantity;
use crate::history::{Answer, Operation};
use crate::scale::rig::{Client, Fell, Rig};

/// The queue that is measured.
const QUEUE: &str = "measured";

/// The tenant whose pages are read.
const PAGES: &str = "page";

/// Messages in a page of a walk: as many as every server grants.
const PAGE: u64 = 20;

/// Messages in a page that is measured.
const MEASURED_PAGE: u64 = 10;

/// A little more than a lifetime, so that it is over for certain.
const OVER: Duration = Duration::from_secs(3);

/// One step, ready to be measured.
pub(super) struct Ground {
    client: Client,
    work: Work,
    /// The queues besides, which are removed in the end.
    beside: u64,
}

/// What a turn does.
enum Work {
    /// Posts, claims, deletes, lists; a message has this much content.
    All(Option<String>),
    /// Reads the page behind a marker.
    Page(String),
}

impl Ground {
    /// Does once what is measured.
    pub(super) async fn turn(&mut self) {
        let client = &mut self.client;
        match &self.work {
            Work::All(content) => {
                client.post(QUEUE, content.as_deref()).await;
                client.consume(QUEUE, 1, Duration::ZERO).await;
                if content.is_none() {
                    let chain = client.chain();
                    client.page(QUEUE, (chain, None), MEASURED_PAGE).await;
                }
            }
            Work::Page(marker) => {
                let page = (0, Some(marker.clone()));
                client.page(QUEUE, page, MEASURED_PAGE).await;
            }
        }
    }

    /// Whether that operation is one of those that the ladder is about.
    pub(super) fn measures(&self, name: &str) -> bool {
        // Of a message's size, its deletion knows nothing.
        matches!(&self.work, Work::Page(_) | Work::All(None)) || name == "post" || name == "claim"
    }

    pub(super) fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    /// Removes what was grown.
    pub(super) async fn remove(&mut self) {
        self.client.remove(QUEUE).await;
        for number in 0..self.beside {
            self.client.remove(&beside(number)).await;
        }
    }
}

/// Makes the steps ready, as far as the target follows: where it did not, and why. Of a step that fell, nothing is left.
pub(super) async fn prepare(
    rig: &Arc<Rig>,
    quantity: Quantity,
    steps: &[u64],
) -> (Vec<Ground>, Option<(u64, Fell)>) {
    if quantity == Quantity::Page {
        return pages(rig, steps).await;
    }
    let mut grounds = Vec::new();
    let mut fell = None;
    for n in steps {
        match grow(rig, quantity, *n).await {
            (ground, Ok(())) => grounds.push(ground),
            (mut ground, Err(why)) => {
                ground.remove().await;
                fell = Some((*n, why));
                break;
            }
        }
    }
    if quantity == Quantity::Expired {
        let lifetime = Duration::from_secs(rig.options.short_ttl_secs);
        rig.sleep_unless_stopped(lifetime + OVER).await;
    }
    (grounds, fell)
}

/// A step, and whether the target followed all the way.
async fn grow(rig: &Arc<Rig>, quantity: Quantity, n: u64) -> (Ground, Result<(), Fell>) {
    let project = format!("{}-{n}", quantity.name());
    let (long, short) = (rig.options.message_ttl_secs, rig.options.short_ttl_secs);
    let mut ground = Ground {
        client: rig.client(&project),
        work: Work::All(None),
        beside: 0,
    };
    let client = &mut ground.client;
    let grown = match quantity {
        Quantity::Backlog => client.fill(QUEUE, n, long).await,
        Quantity::Expired => client.fill(QUEUE, n, short).await,
        Quantity::Queues => {
            ground.beside = n;
            rig.side_by_side(&project, n, move |mut client, number| async move {
                client.fill(&beside(number), 1, long).await?;
                Ok(client)
            })
            .await
        }
        Quantity::Claims => match client.fill(QUEUE, n, long).await {
            Ok(()) => rig.hold(&project, QUEUE, n).await,
            fell => fell,
        },
        Quantity::Size => {
            let bytes = usize::try_from(n).unwrap_or(usize::MAX);
            ground.work = Work::All(Some("x".repeat(bytes)));
            Ok(())
        }
        Quantity::Page => Ok(()),
    };
    (ground, grown)
}

fn beside(number: u64) -> String {
    format!("beside-{number}")
}

/// One queue, and the markers of pages further and further from its head.
async fn pages(rig: &Arc<Rig>, steps: &[u64]) -> (Vec<Ground>, Option<(u64, Fell)>) {
    let mut walker = rig.client(PAGES);
    let top = steps.last().copied().unwrap_or(0);
    let ttl_secs = rig.options.message_ttl_secs;
    let mut grounds = Vec::new();
    let mut fell = walker.fill(QUEUE, top + PAGE * 2, ttl_secs).await.err();
    if fell.is_none() {
        fell = walk(rig, &mut walker, (steps, &mut grounds)).await.err();
    }
    let fell = fell.and_then(|why| steps.get(grounds.len()).map(|step| (*step, why)));
    if grounds.is_empty() {
        walker.remove(QUEUE).await;
    }
    (grounds, fell)
}

/// Walks from the head of the queue to the last step. The steps are read by clients that no history knows: a walk is one
/// that begins at the head.
async fn walk(
    rig: &Arc<Rig>,
    walker: &mut Client,
    (steps, grounds): (&[u64], &mut Vec<Ground>),
) -> Result<(), Fell> {
    let (chain, mut marker, mut position) = (walker.chain(), None, 0);
    for step in steps {
        while position < *step {
            let list = Operation::List {
                queue: QUEUE.to_owned(),
                chain,
                marker,
                limit: PAGE.min(*step - position),
                echo: true,
                include_claimed: false,
                include_delayed: false,
            };
            let Answer::List { messages, next } = walker.insist(list).await? else {
                return Err(Fell("a page was refused".to_owned()));
            };
            position += u64::try_from(messages.len()).unwrap_or(0);
            marker = next;
            if messages.is_empty() || marker.is_none() {
                return Err(Fell(format!("the walk ended after {position} messages")));
            }
        }
        grounds.push(Ground {
            client: rig.unheard_client(PAGES),
            work: Work::Page(marker.clone().unwrap_or_default()),
            beside: 0,
        });
    }
    Ok(())
}
