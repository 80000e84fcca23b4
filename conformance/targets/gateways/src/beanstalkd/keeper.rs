//! Keeps empty queues there. beanstalkd forgets a tube as soon as it is empty and nobody watches it, so
//! one connection watches all that were made, and never reserves from any.

use std::collections::BTreeSet;

use tokio::sync::Mutex;

use super::connection::Connection;
use crate::broker::{Failed, Outcome};

/// Queues at once.
const QUEUES_MAX: usize = 100_000;

/// The connection, and what it watches.
#[derive(Debug)]
pub(super) struct Keeper {
    address: String,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    connection: Option<Connection>,
    tubes: BTreeSet<String>,
}

impl Keeper {
    pub(super) fn new(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            kept: Mutex::default(),
        }
    }

    /// Watches `tube` from now on; whether it was not there before.
    pub(super) async fn keep(&self, tube: &str) -> Outcome<bool> {
        let mut kept = self.kept.lock().await;
        if kept.tubes.contains(tube) {
            return Ok(false);
        }
        if kept.tubes.len() >= QUEUES_MAX {
            return Err(Failed::Broken("too many queues".to_owned()));
        }
        let mut connection = self.connection(&mut kept).await?;
        let is_new = !connection.has_tube(tube).await?;
        connection.watch(tube).await?;
        kept.tubes.insert(tube.to_owned());
        kept.connection = Some(connection);
        Ok(is_new)
    }

    /// Watches `tube` no more.
    pub(super) async fn let_go(&self, tube: &str) -> Outcome<()> {
        let mut kept = self.kept.lock().await;
        if kept.tubes.remove(tube) {
            let mut connection = self.connection(&mut kept).await?;
            connection.ignore(tube).await?;
            kept.connection = Some(connection);
        }
        Ok(())
    }

    /// The connection, taken out: it comes back if all went well. A new one watches what the old one did.
    async fn connection(&self, kept: &mut Kept) -> Outcome<Connection> {
        if let Some(connection) = kept.connection.take() {
            return Ok(connection);
        }
        let mut connection = Connection::open(&self.address).await?;
        for tube in &kept.tubes {
            connection.watch(tube).await?;
        }
        Ok(connection)
    }
}
