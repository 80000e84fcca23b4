//! Tenants and queues whose names are easily taken for one another.

use rand::RngExt;

use super::{Action, Actor, Kind, Place, Settings};

/// Tenants: a server that joins names with a dash, a slash or a dot, folds case, cuts, or compares
/// prefixes mistakes some for others.
const PROJECTS: &[&str] = &["a", "A", "a-b", "a_b", "a.b", "a-b-c", "aa", "a%2Fb"];

/// Queues of each.
const QUEUES: &[&str] = &["b-c", "c", "b_c", "B-c", "a-b", "queues", "messages"];

/// The workload.
pub(super) const KIND: Kind = Kind {
    name: "tenants",
    about: "many tenants with confusable names, and queues that all of them have",
    actions: &[
        Action {
            word: "post",
            weight: 5,
            act: |actor| Box::pin(post(actor)),
        },
        Action {
            word: "consume",
            weight: 4,
            act: |actor| Box::pin(consume(actor)),
        },
        Action {
            word: "pop",
            weight: 1,
            act: |actor| Box::pin(pop(actor)),
        },
        Action {
            word: "list",
            weight: 2,
            act: |actor| Box::pin(list(actor)),
        },
    ],
    tune: |settings| settings.clients = 16,
    places,
    set_up: super::kind::no_set_up,
};

fn places(_: &Settings) -> Vec<Place> {
    let of = |project: &&str| {
        let project = (*project).to_owned();
        QUEUES
            .iter()
            .map(move |queue| (project.clone(), (*queue).to_owned()))
    };
    PROJECTS.iter().flat_map(of).collect()
}

fn queue(actor: &mut Actor) -> &'static str {
    QUEUES[actor.random.random_range(0..QUEUES.len())]
}

async fn post(actor: &mut Actor) {
    let queue = queue(actor);
    actor.post(queue).await;
}

async fn consume(actor: &mut Actor) {
    let queue = queue(actor);
    actor.consume(queue).await;
}

async fn pop(actor: &mut Actor) {
    let queue = queue(actor);
    actor.pop(queue).await;
}

async fn list(actor: &mut Actor) {
    let queue = queue(actor);
    actor.walk(queue, true).await;
}
