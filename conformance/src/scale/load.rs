//! Clients beside each other: a closed loop, an open loop, and how late the generator itself is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::rig::{Client, Rig};
use super::sample::{Sample, count};
use crate::environment::{Instant, nanos};

/// How often the generator looks at the clock.
const TICK: Duration = Duration::from_millis(2);

/// What clients did together, and how late the generator was.
#[derive(Default)]
pub(super) struct Loaded {
    /// Their operations.
    pub(super) operations: Sample,
    /// Those that ended before the span was over: of what was under way then, nobody knows how much was done.
    pub(super) in_time: Sample,
    /// Their turns; in an open loop each from when it was due, less what its client held what it had claimed.
    pub(super) turns: Sample,
    /// Turns that were done, and begun before the span was over: later ones were offered, and not taken.
    pub(super) kept: u64,
    /// How long all of it took: a turn that was begun within the span may end after it.
    pub(super) took: Duration,
    /// Nineteen in twenty looks at the clock were less late, in microseconds.
    pub(super) lag_us: f64,
}

/// What one of them did.
struct Worked {
    client: Client,
    turns: Vec<Turn>,
}

/// A turn.
struct Turn {
    begun: Instant,
    latency: Duration,
    done: bool,
}

/// Each of `clients` works until `span` is over, one turn after the other; they come back as they are.
pub(super) async fn closed<F>(
    rig: &Arc<Rig>,
    clients: Vec<Client>,
    span: Duration,
    turn: F,
) -> (Vec<Client>, Loaded)
where
    F: for<'a> Fn(&'a mut Client, usize) -> BoxFuture<'a, bool> + Clone + Send + Sync + 'static,
{
    let until = rig.now().plus(span);
    let working = clients.into_iter().enumerate().map(|(number, mut client)| {
        let turn = turn.clone();
        async move {
            client.take_time();
            let mut turns = Vec::new();
            let mut begun = client.rig.now();
            while begun < until {
                let done = turn(&mut client, number).await;
                let ended = client.rig.now();
                turns.push(Turn {
                    begun,
                    latency: ended.since(begun),
                    done,
                });
                begun = ended;
            }
            Worked { client, turns }
        }
        .boxed()
    });
    beside(rig, working, span).await
}

/// Begins turns `1 / rate` seconds apart until `span` is over, whatever becomes of those before. A turn's latency
/// counts from when it was due, less the time for which its client held what it had claimed. At most `clients` are
/// under way at once.
pub(super) async fn open<F>(
    rig: &Arc<Rig>,
    clients: Vec<Client>,
    (rate, span): (f64, Duration),
    turn: F,
) -> (Vec<Client>, Loaded)
where
    F: for<'a> Fn(&'a mut Client) -> BoxFuture<'a, bool> + Clone + Send + Sync + 'static,
{
    let begin = rig.now();
    let next = Arc::new(AtomicU64::new(0));
    let gap = 1.0 / rate;
    let working = clients.into_iter().map(|mut client| {
        let (turn, next) = (turn.clone(), Arc::clone(&next));
        async move {
            client.take_time();
            let mut turns = Vec::new();
            loop {
                let due = gap * count(next.fetch_add(1, Ordering::Relaxed));
                if due >= span.as_secs_f64() {
                    return Worked { client, turns };
                }
                let due = begin.plus(Duration::from_secs_f64(due));
                let early = due.since(client.rig.now());
                if !early.is_zero() {
                    client.rig.sleep(early).await;
                }
                let (begun, held) = (client.rig.now(), client.held());
                let done = turn(&mut client).await;
                let held = client.held().saturating_sub(held);
                turns.push(Turn {
                    begun,
                    latency: client.rig.now().since(due).saturating_sub(held),
                    done,
                });
            }
        }
        .boxed()
    });
    beside(rig, working, span).await
}

/// Lets clients work beside each other for `span`, and watches how late the generator is meanwhile.
async fn beside(
    rig: &Arc<Rig>,
    working: impl Iterator<Item = BoxFuture<'static, Worked>>,
    span: Duration,
) -> (Vec<Client>, Loaded) {
    let begin = rig.now();
    let watch = Arc::clone(rig);
    let watching = async move { lag(&watch, span).await };
    let (worked, lag_us) = futures_util::future::join(rig.all(working), rig.all([watching])).await;
    let mut loaded = Loaded {
        took: rig.now().since(begin),
        lag_us: lag_us.first().copied().unwrap_or(0.0),
        ..Loaded::default()
    };
    let until = begin.plus(span);
    let mut clients = Vec::new();
    for Worked { mut client, turns } in worked {
        for took in client.timed().all {
            loaded.operations.add(took.latency, took.done);
            if took.ended_at <= until {
                loaded.in_time.add(took.latency, took.done);
            }
        }
        for turn in turns {
            loaded.turns.add(turn.latency, turn.done);
            loaded.kept += u64::from(turn.done && turn.begun <= until);
        }
        clients.push(client);
    }
    (clients, loaded)
}

/// How late the generator wakes up, in microseconds: nineteen in twenty times it is less.
async fn lag(rig: &Rig, span: Duration) -> f64 {
    let until = rig.now().plus(span);
    let mut late: Vec<u64> = Vec::new();
    while rig.now() < until {
        let due = rig.now().plus(TICK);
        rig.sleep(TICK).await;
        late.push(nanos(rig.now().since(due)));
    }
    late.sort_unstable();
    let place = late.len().saturating_mul(19) / 20;
    late.get(place).map_or(0.0, |nanos| count(*nanos) / 1_000.0)
}
