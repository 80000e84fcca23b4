//! The steps of a ladder, made ready: a tenant each, with so much of what is grown.

use std::sync::Arc;
use std::time::Duration;

use super::Quantity;
use crate::history::{Answer, Operation};
use crate::scale::rig::{Client, Fell, Rig};

/// The queue that is measured.
const QUEUE: &str = "measured";

/// Messages in a page of a walk: as many as every server grants.
const PAGE: u64 = 20;

/// Messages in a page that is measured.
const MEASURED_PAGE: u64 = 10;

/// Clients that grow something beside each other.
const GROWERS: u64 = 4;

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

/// Makes the steps ready, as far as the target follows: where it did not, and why.
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
            Ok(ground) => grounds.push(ground),
            Err(why) => {
                fell = Some((*n, why));
                break;
            }
        }
    }
    if quantity == Quantity::Expired {
        let lifetime = Duration::from_secs(rig.options.short_ttl_secs);
        rig.sleep(lifetime + OVER).await;
    }
    (grounds, fell)
}

async fn grow(rig: &Arc<Rig>, quantity: Quantity, n: u64) -> Result<Ground, Fell> {
    let project = format!("{}-{n}", quantity.name());
    let (long, short) = (rig.options.message_ttl_secs, rig.options.short_ttl_secs);
    let mut client = rig.client(&project);
    let ground = |client, content| Ground {
        client,
        work: Work::All(content),
        beside: if quantity == Quantity::Queues { n } else { 0 },
    };
    match quantity {
        Quantity::Backlog => client.fill(QUEUE, n, long).await?,
        Quantity::Expired => client.fill(QUEUE, n, short).await?,
        Quantity::Queues => {
            side_by_side(rig, &project, n, move |mut client, number| async move {
                client.fill(&beside(number), 1, long).await?;
                Ok(client)
            })
            .await?;
        }
        Quantity::Claims => {
            client.fill(QUEUE, n, long).await?;
            side_by_side(rig, &project, n, |mut client, _| async move {
                let claimed = client.claim(QUEUE, 1).await;
                let holds = claimed.is_some_and(|(_, ids)| !ids.is_empty());
                let fell = || Fell("a claim was refused, or came back empty".to_owned());
                holds.then_some(client).ok_or_else(fell)
            })
            .await?;
        }
        Quantity::Size => {
            let bytes = usize::try_from(n).unwrap_or(usize::MAX);
            return Ok(ground(client, Some("x".repeat(bytes))));
        }
        Quantity::Page => {}
    }
    Ok(ground(client, None))
}

fn beside(number: u64) -> String {
    format!("beside-{number}")
}

/// Does something `count` times, by a few clients beside each other.
async fn side_by_side<F>(
    rig: &Arc<Rig>,
    project: &str,
    count: u64,
    act: impl Fn(Client, u64) -> F + Clone + Send + Sync + 'static,
) -> Result<(), Fell>
where
    F: Future<Output = Result<Client, Fell>> + Send,
{
    let growers = (0..GROWERS).map(|grower| {
        let (mut client, act) = (rig.client(project), act.clone());
        async move {
            for number in (grower..count).step_by(usize::try_from(GROWERS).unwrap_or(1)) {
                client = act(client, number).await?;
            }
            Ok(())
        }
    });
    rig.all(growers).await.into_iter().collect()
}

/// One queue, and the markers of pages further and further from its head. They are read by a client that no history
/// knows: a walk is one that begins at the head.
async fn pages(rig: &Arc<Rig>, steps: &[u64]) -> (Vec<Ground>, Option<(u64, Fell)>) {
    let (mut grounds, project) = (Vec::new(), "page");
    let top = steps.last().copied().unwrap_or(0);
    let mut walker = rig.client(project);
    let ttl_secs = rig.options.message_ttl_secs;
    if let Err(why) = walker.fill(QUEUE, top + PAGE * 2, ttl_secs).await {
        return (grounds, steps.first().map(|step| (*step, why)));
    }
    let (chain, mut marker, mut position) = (walker.chain(), None, 0);
    for step in steps {
        while position < *step {
            let list = Operation::List {
                queue: QUEUE.to_owned(),
                chain,
                marker,
                limit: PAGE.min(*step - position),
                echo: true,
                include_claimed: true,
                include_delayed: false,
            };
            let page = walker.insist(list).await;
            let Ok(Answer::List { messages, next }) = page else {
                let why = page.err().unwrap_or(Fell("a page was refused".to_owned()));
                return (grounds, Some((*step, why)));
            };
            position += u64::try_from(messages.len()).unwrap_or(0);
            marker = next;
            if messages.is_empty() || marker.is_none() {
                let why = format!("the walk ended after {position} messages");
                return (grounds, Some((*step, Fell(why))));
            }
        }
        grounds.push(Ground {
            client: rig.unheard_client(project),
            work: Work::Page(marker.clone().unwrap_or_default()),
            beside: 0,
        });
    }
    (grounds, None)
}
