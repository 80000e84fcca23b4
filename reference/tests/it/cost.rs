//! What requests cost in large states, counted in entries that were looked at: no clock, no noise.

use std::sync::Arc;

use nanshe_reference::broker::{
    ClaimId, ClaimTerms, ClientId, Fence, JsonText, MessageId, MessageListing, NewMessage, Project,
    PurgeScope, QueueName, RequestedDelay, Uuid,
};
use nanshe_reference::{Broker, Caller, Input, Limits, Output, Timestamp};

/// What a user can grow.
#[derive(Clone, Copy, Debug)]
enum Growth {
    Active,
    Claimed,
    Delayed,
    Expired,
    /// Under claims that are over.
    Released,
    /// Of the client that asks, and behind them those of another one.
    Own,
}

const ALL: [Growth; 6] = [
    Growth::Active,
    Growth::Claimed,
    Growth::Delayed,
    Growth::Expired,
    Growth::Released,
    Growth::Own,
];

struct Desk {
    broker: Broker,
    now: Timestamp,
    queue: QueueName,
    held: Option<(ClaimId, Vec<MessageId>)>,
}

impl Desk {
    fn ask(&mut self, client: u8, input: Input) -> Output {
        let caller = Caller {
            project: Project(Arc::from("p")),
            client: ClientId::Uuid(Uuid::from_bytes([client; 16])),
        };
        self.broker.handle(self.now, &caller, input).unwrap()
    }

    /// Asks something about the queue.
    fn of(&mut self, input: impl FnOnce(QueueName) -> Input) -> Output {
        let input = input(self.queue.clone());
        self.ask(1, input)
    }

    fn held(&self) -> &(ClaimId, Vec<MessageId>) {
        self.held.as_ref().unwrap()
    }

    fn post(&mut self, client: u8, count: usize, (ttl, delay): (u32, i64)) -> Output {
        let message = NewMessage {
            ttl_secs: Some(ttl),
            delay: RequestedDelay::Secs(delay),
            body: JsonText::parse("1").unwrap(),
        };
        let queue = self.queue.clone();
        let messages = vec![message; count];
        self.ask(
            client,
            Input::PostMessages {
                queue,
                bytes: 1,
                messages,
            },
        )
    }

    fn claim(&mut self, ttl_secs: u32) -> Output {
        let (queue, limit) = (self.queue.clone(), 20);
        let terms = ClaimTerms {
            ttl_secs,
            grace_secs: 60,
        };
        self.ask(
            1,
            Input::ClaimMessages {
                queue,
                limit,
                terms,
            },
        )
    }

    /// A queue with `size` messages that are in the way, and ten active ones behind them.
    fn grown(growth: Growth, size: usize) -> Self {
        let mut desk = Self {
            broker: Broker::new(Limits::default(), 1),
            now: Timestamp::from_secs(1_000),
            queue: QueueName::parse("q").unwrap(),
            held: None,
        };
        let metadata = [(
            "_default_message_delay".to_owned(),
            JsonText::parse("900").unwrap(),
        )];
        let queue = desk.queue.clone();
        desk.ask(
            1,
            Input::CreateQueue {
                queue,
                metadata: metadata.into(),
            },
        );
        let (ttl, delay) = match growth {
            Growth::Active | Growth::Claimed | Growth::Released | Growth::Own => (3_600, 0),
            Growth::Delayed => (3_600, 900),
            Growth::Expired => (60, 0),
        };
        for _ in 0..size / 100 {
            desk.post(2, 100, (ttl, delay));
        }
        match growth {
            Growth::Claimed => while desk.claim(3_600) != Output::NothingClaimed {},
            Growth::Released => while desk.claim(60) != Output::NothingClaimed {},
            Growth::Active | Growth::Delayed | Growth::Expired | Growth::Own => {}
        }
        desk.now = desk.now.plus_secs(70);
        desk.post(3, 10, (3_600, 0));
        desk
    }

    fn page(&mut self, (echo, claimed, delayed): (bool, bool, bool)) -> Output {
        let queue = self.queue.clone();
        let listing = MessageListing {
            marker: None,
            limit: 5,
            echo,
            include_claimed: claimed,
            include_delayed: delayed,
        };
        self.ask(2, Input::ListMessages { queue, listing })
    }
}

/// What it is called, and how it is made.
type Request = (&'static str, fn(&mut Desk));

/// Requests in the order in which they are made: what one leaves behind, the next may need.
const REQUESTS: [Request; 12] = [
    ("page", |desk| {
        let page = desk.page((false, false, false));
        assert!(matches!(page, Output::MessagePage { messages, .. } if messages.len() == 5));
    }),
    ("full page", |desk| drop(desk.page((true, true, true)))),
    ("stats", |desk| {
        drop(desk.of(|queue| Input::QueueStats { queue }))
    }),
    ("post", |desk| drop(desk.post(1, 1, (3_600, 5)))),
    ("claim", |desk| {
        let Output::MessagesClaimed {
            claim, messages, ..
        } = desk.claim(60)
        else {
            panic!("there is something to claim in every one of these states")
        };
        desk.held = Some((claim, messages.iter().map(|message| message.id).collect()));
    }),
    ("delete", |desk| {
        let (claim, id) = (desk.held().0, Some(desk.held().1[0]));
        let fence = Fence::Claim(claim);
        desk.of(|queue| Input::DeleteMessage { queue, id, fence });
    }),
    ("read", |desk| {
        let id = Some(desk.held().1[1]);
        desk.of(|queue| Input::ReadMessage { queue, id });
    }),
    ("renew", |desk| {
        let (id, terms) = (
            Some(desk.held().0),
            ClaimTerms {
                ttl_secs: 90,
                grace_secs: 60,
            },
        );
        desk.of(|queue| Input::RenewClaim { queue, id, terms });
    }),
    ("release", |desk| {
        let id = Some(desk.held().0);
        desk.of(|queue| Input::ReleaseClaim { queue, id });
    }),
    ("pop", |desk| {
        drop(desk.of(|queue| Input::PopMessages { queue, limit: 5 }))
    }),
    ("purge", |desk| {
        let scope = PurgeScope::Messages;
        desk.of(|queue| Input::PurgeQueue { queue, scope });
    }),
    ("delete queue", |desk| {
        drop(desk.of(|queue| Input::DeleteQueue { queue }))
    }),
];

/// What each of the requests looks at.
fn costs(growth: Growth, size: usize) -> Vec<u64> {
    let mut desk = Desk::grown(growth, size);
    let cost = |(_, ask): Request| {
        let before = desk.broker.work_done();
        ask(&mut desk);
        desk.broker.work_done() - before
    };
    REQUESTS.map(cost).to_vec()
}

/// A hundred times as much takes two or three more levels of a tree, of 16 children each, for each
/// of up to 20 messages; and nothing is found only after a look at a hundred thousand others.
#[test]
fn no_request_costs_more_for_what_is_in_its_way() {
    for growth in ALL {
        let (small, large) = (costs(growth, 1_000), costs(growth, 100_000));
        assert!(
            small.iter().sum::<u64>() > 20,
            "what is looked at is counted: {small:?}"
        );
        for (((name, _), few), many) in REQUESTS.into_iter().zip(small).zip(large) {
            assert!(
                many <= 2 * few + 200,
                "{growth:?}: {name} looks at {many} instead of {few}"
            );
        }
    }
}
