//! What became of deliveries: of all, of a queue's, of one subscription's.

use std::sync::Arc;

use nanshe_reference::broker::{
    ClientId, DeliveryCounts, JsonText, NewMessage, NewSubscription, Outcome, Project, QueueName,
    RequestedDelay, Subscriber, SubscriptionId, SubscriptionInput, SubscriptionOutput, Uuid,
};
use nanshe_reference::{Broker, Caller, Input, Limits, Output, Timestamp};

const NOW: Timestamp = Timestamp::from_secs(1_000);

struct Desk {
    broker: Broker,
    caller: Caller,
}

impl Desk {
    fn ask(&mut self, input: Input) -> Output {
        self.broker.handle(NOW, &self.caller, input).unwrap()
    }

    fn subscribe(&mut self, name: &str, subscriber: &str) -> SubscriptionId {
        let new = NewSubscription {
            subscriber: Subscriber::Uri(subscriber.into()),
            ttl_secs: None,
            options: JsonText::parse("{}").unwrap(),
        };
        let subscribed = self.ask(Input::Subscriptions {
            queue: queue(name),
            input: SubscriptionInput::Create(new),
        });
        let Output::Subscriptions { output, .. } = subscribed else {
            panic!("that is what was asked")
        };
        match output {
            SubscriptionOutput::Created(id) => id,
            SubscriptionOutput::Page(..)
            | SubscriptionOutput::One(_)
            | SubscriptionOutput::Updated(_)
            | SubscriptionOutput::Deleted => panic!("it was created"),
        }
    }

    fn post(&mut self, name: &str, count: usize) {
        let message = NewMessage {
            ttl_secs: None,
            delay: RequestedDelay::Absent,
            body: JsonText::parse("1").unwrap(),
        };
        let (queue, messages) = (queue(name), vec![message; count]);
        self.ask(Input::PostMessages {
            queue,
            bytes: 1,
            messages,
        });
    }

    /// Takes all that is to be sent, and answers it.
    fn answer(&mut self, outcome: Outcome) {
        let taken: Vec<_> = std::iter::from_fn(|| self.broker.poll_output()).collect();
        for notification in taken {
            self.broker
                .handle_outcome(NOW, notification.attempt, outcome);
        }
    }

    fn of(&self, name: &str, id: SubscriptionId) -> Option<DeliveryCounts> {
        let broker = &self.broker;
        broker.subscription_delivery_counts(&self.caller.project, &queue(name), id)
    }

    fn of_queue(&self, name: &str) -> DeliveryCounts {
        self.broker
            .queue_delivery_counts(&self.caller.project, &queue(name))
    }
}

fn queue(name: &str) -> QueueName {
    QueueName::parse(name).unwrap()
}

#[test]
fn every_delivery_is_counted_where_it_belongs() {
    let project = Project(Arc::from("p"));
    let client = ClientId::Uuid(Uuid::from_bytes([1; 16]));
    let caller = Caller { project, client };
    let broker = Broker::new(Limits::default(), 1);
    let mut desk = Desk { broker, caller };
    let first = desk.subscribe("q", "http://a");
    let second = desk.subscribe("q", "http://b");
    let other = desk.subscribe("other", "http://c");
    desk.post("q", 5);
    desk.post("other", 1);
    let owed = |owed| DeliveryCounts {
        owed,
        ..DeliveryCounts::default()
    };
    assert_eq!(
        desk.of("q", first),
        Some(owed(5)),
        "owed, and nothing came of it yet"
    );
    assert_eq!(
        (desk.of_queue("q"), desk.of_queue("other")),
        (owed(10), owed(1))
    );
    assert_eq!(desk.of("other", first), None, "it is to another queue");
    // One after the other: two are delivered to each, the third is given up.
    for outcome in [Outcome::Delivered, Outcome::Delivered, Outcome::Refused] {
        desk.answer(outcome);
    }
    let expected = DeliveryCounts {
        delivered: 2,
        given_up: 1,
        ..owed(5)
    };
    assert_eq!(desk.of("q", first), Some(expected));
    assert_eq!(desk.of("q", second), Some(expected));
    let expected = DeliveryCounts {
        delivered: 1,
        ..owed(1)
    };
    assert_eq!(desk.of("other", other), Some(expected));
    let input = SubscriptionInput::Delete(Some(first));
    desk.ask(Input::Subscriptions {
        queue: queue("q"),
        input,
    });
    assert_eq!(desk.of("q", first), None);
    let left = DeliveryCounts {
        delivered: 4,
        given_up: 2,
        abandoned: 2,
        ..owed(10)
    };
    assert_eq!(
        desk.of_queue("q"),
        left,
        "what it did not get is not forgotten"
    );
    assert_eq!(desk.of_queue("unknown"), DeliveryCounts::default());
}
