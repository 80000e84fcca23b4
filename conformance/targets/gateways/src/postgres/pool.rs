//! A few connections to the database, lent to one operation each.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_postgres::{Client, Config, NoTls};

use crate::broker::{Failed, Outcome};

/// Connections at once; who comes then waits.
const CONNECTIONS_MAX: usize = 12;

/// How long a connection may take to be made.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

impl From<tokio_postgres::Error> for Failed {
    fn from(error: tokio_postgres::Error) -> Self {
        let said = error.as_db_error().map(|error| error.message().to_owned());
        Self::Broken(said.unwrap_or_else(|| error.to_string()))
    }
}

/// The connections.
#[derive(Debug)]
pub(super) struct Pool {
    config: Config,
    permits: Semaphore,
    idle: Mutex<Vec<Client>>,
}

/// One of them. It is closed unless it is given back: in the middle of what failed it is of no use.
pub(super) struct Lent<'a> {
    client: Client,
    pool: &'a Pool,
    _permit: SemaphorePermit<'a>,
}

impl Pool {
    pub(super) fn new(config: &str) -> Outcome<Self> {
        let mut config: Config = config.parse()?;
        config.connect_timeout(CONNECT_WITHIN);
        Ok(Self {
            config,
            permits: Semaphore::new(CONNECTIONS_MAX),
            idle: Mutex::default(),
        })
    }

    pub(super) async fn take(&self) -> Outcome<Lent<'_>> {
        let permit = self.permits.acquire().await;
        let permit = permit.expect("invariant: never closed");
        let client = match self.idle_one() {
            Some(client) => client,
            None => self.connect().await?,
        };
        Ok(Lent {
            client,
            pool: self,
            _permit: permit,
        })
    }

    fn idle_one(&self) -> Option<Client> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that the database has closed meanwhile are left behind.
        while let Some(client) = idle.pop() {
            if !client.is_closed() {
                return Some(client);
            }
        }
        None
    }

    async fn connect(&self) -> Outcome<Client> {
        let (client, connection) = self.config.connect(NoTls).await?;
        // How it ends, the client is told too.
        tokio::spawn(async move { drop(connection.await) });
        Ok(client)
    }
}

impl Lent<'_> {
    pub(super) const fn client(&self) -> &Client {
        &self.client
    }

    pub(super) const fn client_mut(&mut self) -> &mut Client {
        &mut self.client
    }

    pub(super) fn give_back(self) {
        let mut idle = self
            .pool
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        idle.push(self.client);
    }
}
