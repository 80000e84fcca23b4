//! PostgreSQL as a broker: `FOR UPDATE SKIP LOCKED`, and one transaction an operation.
//!
//! All state is in two tables and a list of queues (`schema.sql`); the gateway keeps a few connections.
//! Every instant is the database's, so several gateways on one database are as good as one.

use std::sync::Arc;

use serde_json::Value;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Row, Transaction};

use self::pool::Pool;
use crate::broker::{
    Broker, Claim, Deletion, End, Failed, Lease, Message, Outcome, Page, Place, Posted, Stats,
};

mod lease;
mod pool;

/// What it keeps.
const SCHEMA: &str = include_str!("postgres/schema.sql");

/// What is shown of a message; `m` is the table.
const COLUMNS: &str = "m.rank, m.id, m.ttl, m.body, \
     floor(extract(epoch FROM clock_timestamp() - m.posted_at))::bigint AS age, \
     CASE WHEN m.claimed_until > clock_timestamp() THEN m.claim END AS holder";

/// That a message is in a queue (`$1`, `$2`), and not expired.
const THERE: &str = "m.project = $1 AND m.queue = $2 AND m.expires_at > clock_timestamp()";

/// That nobody holds it.
const FREE: &str = "(m.claimed_until IS NULL OR m.claimed_until <= clock_timestamp())";

/// A value with its type, for statements that are not prepared.
type Typed<'a> = (&'a (dyn ToSql + Sync), Type);

/// A database.
#[derive(Clone, Debug)]
pub struct Postgres {
    pool: Arc<Pool>,
}

impl Postgres {
    /// The database that `config` tells of, as `host=/run/postgresql user=postgres`. Makes the tables if
    /// they are not there, and forgets what expired from then on.
    ///
    /// # Errors
    ///
    /// The configuration is not understood, or the database does not answer.
    pub async fn open(config: &str) -> Outcome<Self> {
        let this = Self {
            pool: Arc::new(Pool::new(config)?),
        };
        let connection = this.pool.take().await?;
        connection.client().batch_execute(SCHEMA).await?;
        connection.give_back();
        Ok(this)
    }

    /// Removes what nobody can see any more. That it fails is no harm: it is done again.
    ///
    /// # Errors
    ///
    /// The database does not answer.
    pub async fn forget_what_expired(&self) -> Outcome<()> {
        let connection = self.pool.take().await?;
        let client = connection.client();
        client
            .batch_execute(
                "DELETE FROM messages WHERE expires_at < clock_timestamp(); \
                 DELETE FROM claims WHERE ends_at < clock_timestamp();",
            )
            .await?;
        connection.give_back();
        Ok(())
    }

    /// The rows of one statement.
    async fn query(&self, sql: &str, values: &[Typed<'_>]) -> Outcome<Vec<Row>> {
        let connection = self.pool.take().await?;
        let rows = connection.client().query_typed(sql, values).await?;
        connection.give_back();
        Ok(rows)
    }
}

fn place_values(place: &Place) -> [Typed<'_>; 2] {
    [(&place.project, Type::TEXT), (&place.queue, Type::TEXT)]
}

/// Nobody else posts to the queue, makes or deletes it until the transaction ends. So ranks become
/// visible in their order, and a reader that follows them misses none. A lock for two queues whose
/// names look alike to the hash costs time, nothing else.
async fn lock_queue(transaction: &Transaction<'_>, place: &Place) -> Outcome<()> {
    let sql = "SELECT pg_advisory_xact_lock(hashtextextended($1 || '/' || $2, 0))";
    transaction.query_typed(sql, &place_values(place)).await?;
    Ok(())
}

async fn insert_queue(transaction: &Transaction<'_>, place: &Place) -> Outcome<bool> {
    let sql = "INSERT INTO queues (project, name) VALUES ($1, $2) \
               ON CONFLICT DO NOTHING RETURNING name";
    let rows = transaction.query_typed(sql, &place_values(place)).await?;
    Ok(!rows.is_empty())
}

/// The messages of rows, in the order of their ranks.
fn messages(mut rows: Vec<Row>) -> Outcome<Vec<Message>> {
    rows.sort_by_key(|row| row.get::<_, i64>("rank"));
    rows.iter().map(message).collect()
}

fn message(row: &Row) -> Outcome<Message> {
    let body: Value = serde_json::from_str(row.get("body"))
        .map_err(|error| Failed::Broken(format!("a stored body is no JSON: {error}")))?;
    Ok(Message {
        id: row.get("id"),
        ttl_secs: row.get("ttl"),
        age_secs: row.get("age"),
        body,
        claim: row.get("holder"),
    })
}

impl Broker for Postgres {
    async fn ping(&self) -> Outcome<()> {
        self.query("SELECT 1", &[]).await.map(drop)
    }

    async fn create_queue(&self, place: &Place) -> Outcome<bool> {
        let mut connection = self.pool.take().await?;
        let transaction = connection.client_mut().transaction().await?;
        lock_queue(&transaction, place).await?;
        let created = insert_queue(&transaction, place).await?;
        transaction.commit().await?;
        connection.give_back();
        Ok(created)
    }

    async fn delete_queue(&self, place: &Place) -> Outcome<()> {
        let mut connection = self.pool.take().await?;
        let transaction = connection.client_mut().transaction().await?;
        lock_queue(&transaction, place).await?;
        for sql in [
            "DELETE FROM messages WHERE project = $1 AND queue = $2",
            "DELETE FROM claims WHERE project = $1 AND queue = $2",
            "DELETE FROM queues WHERE project = $1 AND name = $2",
        ] {
            transaction.query_typed(sql, &place_values(place)).await?;
        }
        transaction.commit().await?;
        connection.give_back();
        Ok(())
    }

    async fn post(&self, place: &Place, client: &str, batch: &[Posted]) -> Outcome<Vec<String>> {
        let ttls: Vec<i64> = batch.iter().map(|posted| posted.ttl_secs).collect();
        let bodies: Vec<String> = batch.iter().map(|posted| posted.body.to_string()).collect();
        let mut connection = self.pool.take().await?;
        let transaction = connection.client_mut().transaction().await?;
        lock_queue(&transaction, place).await?;
        insert_queue(&transaction, place).await?;
        let sql = "INSERT INTO messages (project, queue, client, ttl, body, posted_at, expires_at) \
                   SELECT $1, $2, $3, ttl, body, at, at + ttl * interval '1 second' \
                   FROM (SELECT clock_timestamp() AS at) AS clock, \
                        unnest($4::bigint[], $5::text[]) WITH ORDINALITY AS e (ttl, body, place) \
                   ORDER BY place RETURNING rank, id";
        let [project, queue] = place_values(place);
        let values: [Typed<'_>; 5] = [
            project,
            queue,
            (&client, Type::TEXT),
            (&ttls, Type::INT8_ARRAY),
            (&bodies, Type::TEXT_ARRAY),
        ];
        let mut rows = transaction.query_typed(sql, &values).await?;
        transaction.commit().await?;
        connection.give_back();
        rows.sort_by_key(|row| row.get::<_, i64>("rank"));
        Ok(rows.iter().map(|row| row.get("id")).collect())
    }

    async fn list(&self, place: &Place, page: &Page) -> Outcome<(Vec<Message>, String)> {
        // A marker is a rank. What is no number is behind everything.
        let after = page.marker.as_ref();
        let after = after.map_or(-1, |marker| marker.parse::<i64>().unwrap_or(i64::MAX));
        let sql = format!(
            "SELECT {COLUMNS} FROM messages m WHERE {THERE} AND m.rank > $3 \
             AND ($4 OR m.client <> $5) AND ($6 OR {FREE}) ORDER BY m.rank LIMIT $7"
        );
        let [project, queue] = place_values(place);
        let values: [Typed<'_>; 7] = [
            project,
            queue,
            (&after, Type::INT8),
            (&page.echo, Type::BOOL),
            (&page.client, Type::TEXT),
            (&page.include_claimed, Type::BOOL),
            (&page.limit, Type::INT8),
        ];
        let rows = self.query(&sql, &values).await?;
        let last = rows.last().map(|row| row.get::<_, i64>("rank"));
        let marker = last.map_or_else(String::new, |rank| rank.to_string());
        Ok((messages(rows)?, marker))
    }

    async fn get(&self, place: &Place, id: &str) -> Outcome<Option<Message>> {
        let ids = [id.to_owned()];
        Ok(self.get_many(place, &ids).await?.pop())
    }

    async fn delete(&self, place: &Place, id: &str, claim: Option<&str>) -> Outcome<Deletion> {
        self.delete_unless_held(place, id, claim).await
    }

    async fn claim(
        &self,
        place: &Place,
        limit: i64,
        lease: Lease,
    ) -> Outcome<Option<(String, Vec<Message>)>> {
        self.claim_oldest(place, limit, lease).await
    }

    async fn read_claim(&self, place: &Place, claim: &str) -> Outcome<Option<Claim>> {
        self.read_live_claim(place, claim).await
    }

    async fn renew(&self, place: &Place, claim: &str, lease: Lease) -> Outcome<bool> {
        self.renew_live_claim(place, claim, lease).await
    }

    async fn release(&self, place: &Place, claim: &str) -> Outcome<()> {
        self.release_claim(place, claim).await
    }

    async fn pop(&self, place: &Place, limit: i64) -> Outcome<Vec<Message>> {
        let sql = format!(
            "DELETE FROM messages AS m WHERE m.rank = ANY(ARRAY(SELECT m.rank FROM messages m \
             WHERE {THERE} AND {FREE} ORDER BY m.rank LIMIT $3 FOR UPDATE SKIP LOCKED)) \
             RETURNING {COLUMNS}"
        );
        let [project, queue] = place_values(place);
        let values = [project, queue, (&limit as _, Type::INT8)];
        messages(self.query(&sql, &values).await?)
    }

    async fn get_many(&self, place: &Place, ids: &[String]) -> Outcome<Vec<Message>> {
        let sql = format!("SELECT {COLUMNS} FROM messages m WHERE {THERE} AND m.id = ANY($3)");
        let [project, queue] = place_values(place);
        let values = [project, queue, (&ids as _, Type::TEXT_ARRAY)];
        messages(self.query(&sql, &values).await?)
    }

    async fn delete_many(&self, place: &Place, ids: &[String]) -> Outcome<()> {
        let sql = "DELETE FROM messages WHERE project = $1 AND queue = $2 AND id = ANY($3)";
        let [project, queue] = place_values(place);
        let values = [project, queue, (&ids as _, Type::TEXT_ARRAY)];
        self.query(sql, &values).await.map(drop)
    }

    async fn stats(&self, place: &Place) -> Outcome<Stats> {
        // One statement, so that the counts and the ends are of one instant.
        let sql = format!(
            "WITH m AS MATERIALIZED (SELECT * FROM messages m WHERE {THERE}), counts AS (SELECT \
             count(*) AS total, count(*) FILTER (WHERE {FREE}) AS free, min(m.rank) AS oldest, \
             max(m.rank) AS newest FROM m) SELECT {COLUMNS}, counts.total, counts.free, \
             to_char(m.posted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') AS created \
             FROM counts JOIN m ON m.rank IN (counts.oldest, counts.newest) ORDER BY m.rank"
        );
        let rows = self.query(&sql, &place_values(place)).await?;
        let (Some(oldest), Some(newest)) = (rows.first(), rows.last()) else {
            return Ok(Stats::default());
        };
        let (total, free): (i64, i64) = (oldest.get("total"), oldest.get("free"));
        let end = |row: &Row| End {
            id: row.get("id"),
            age_secs: row.get("age"),
            created: row.get("created"),
        };
        Ok(Stats {
            claimed: total - free,
            free,
            ends: Some([end(oldest), end(newest)]),
        })
    }

    async fn purge(&self, place: &Place) -> Outcome<()> {
        let sql = "DELETE FROM messages WHERE project = $1 AND queue = $2";
        self.query(sql, &place_values(place)).await.map(drop)
    }
}
