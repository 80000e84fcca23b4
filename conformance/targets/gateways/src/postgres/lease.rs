//! Claims, and deletes that respect them.
//!
//! ```text
//! free ──claim──► held by C until T ──release, T──► free        held ──delete naming C──► gone
//!                     ▲      │
//!                     └─renew┘  T later
//! ```
//!
//! Invariant: who changes who holds a message, or removes it because of who does, has locked its row
//! first, and looked at the clock after that.

use tokio_postgres::Transaction;
use tokio_postgres::types::Type;

use super::{COLUMNS, FREE, Postgres, THERE, Typed, messages, place_values};
use crate::broker::{Claim, Deletion, Lease, Message, Outcome, Place};

/// A claim that is live: `$1`, `$2` its queue, `$3` itself.
const LIVE: &str = "project = $1 AND queue = $2 AND id = $3 AND ends_at > clock_timestamp()";

fn claim_values<'a>(place: &'a Place, claim: &'a String) -> [Typed<'a>; 3] {
    let [project, queue] = place_values(place);
    [project, queue, (claim, Type::TEXT)]
}

/// The messages of these ranks are the claim's, and live until its grace is over if they would not
/// outlive the claim otherwise (6.2).
async fn hold(
    transaction: &Transaction<'_>,
    claim: &str,
    grace_secs: i64,
    ranks: &[i64],
) -> Outcome<Vec<Message>> {
    let sql = format!(
        "UPDATE messages m SET claim = c.id, claimed_until = c.ends_at, \
         ttl = CASE WHEN m.expires_at < c.ends_at THEN c.ttl + $2 ELSE m.ttl END, \
         expires_at = CASE WHEN m.expires_at < c.ends_at \
                      THEN c.ends_at + $2 * interval '1 second' ELSE m.expires_at END \
         FROM claims c WHERE c.id = $1 AND m.rank = ANY($3) RETURNING {COLUMNS}"
    );
    let values: [Typed<'_>; 3] = [
        (&claim, Type::TEXT),
        (&grace_secs, Type::INT8),
        (&ranks, Type::INT8_ARRAY),
    ];
    messages(transaction.query_typed(&sql, &values).await?)
}

impl Postgres {
    pub(super) async fn claim_oldest(
        &self,
        place: &Place,
        limit: i64,
        lease: Lease,
    ) -> Outcome<Option<(String, Vec<Message>)>> {
        let mut connection = self.pool.take().await?;
        let transaction = connection.client_mut().transaction().await?;
        let sql = format!(
            "SELECT m.rank FROM messages m WHERE {THERE} AND {FREE} \
             ORDER BY m.rank LIMIT $3 FOR UPDATE SKIP LOCKED"
        );
        let [project, queue] = place_values(place);
        let values = [project, queue, (&limit as _, Type::INT8)];
        let free = transaction.query_typed(&sql, &values).await?;
        let ranks: Vec<i64> = free.iter().map(|row| row.get("rank")).collect();
        let claimed = if ranks.is_empty() {
            None
        } else {
            let sql = "INSERT INTO claims (project, queue, ttl, since, ends_at) \
                       SELECT $1, $2, $3, at, at + $3 * interval '1 second' \
                       FROM (SELECT clock_timestamp() AS at) AS clock RETURNING id";
            let [project, queue] = place_values(place);
            let values = [project, queue, (&lease.ttl_secs as _, Type::INT8)];
            let rows = transaction.query_typed(sql, &values).await?;
            let claim: String = rows
                .first()
                .expect("invariant: a row was inserted")
                .get("id");
            let held = hold(&transaction, &claim, lease.grace_secs, &ranks).await?;
            Some((claim, held))
        };
        transaction.commit().await?;
        connection.give_back();
        Ok(claimed)
    }

    pub(super) async fn read_live_claim(
        &self,
        place: &Place,
        claim: &str,
    ) -> Outcome<Option<Claim>> {
        let claim = claim.to_owned();
        let sql = format!(
            "SELECT ttl, floor(extract(epoch FROM clock_timestamp() - since))::bigint AS age \
             FROM claims WHERE {LIVE}"
        );
        let rows = self.query(&sql, &claim_values(place, &claim)).await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let sql = format!(
            "SELECT {COLUMNS} FROM messages m WHERE {THERE} AND m.claim = $3 AND NOT {FREE}"
        );
        let held = self.query(&sql, &claim_values(place, &claim)).await?;
        Ok(Some(Claim {
            age_secs: row.get("age"),
            ttl_secs: row.get("ttl"),
            messages: messages(held)?,
        }))
    }

    pub(super) async fn renew_live_claim(
        &self,
        place: &Place,
        claim: &str,
        lease: Lease,
    ) -> Outcome<bool> {
        let claim = claim.to_owned();
        let mut connection = self.pool.take().await?;
        let transaction = connection.client_mut().transaction().await?;
        // Before the claim is looked at: else somebody could take them between its end and its renewal.
        let sql = format!(
            "SELECT m.rank FROM messages m WHERE {THERE} AND m.claim = $3 AND NOT {FREE} \
             ORDER BY m.rank FOR UPDATE"
        );
        let held = transaction
            .query_typed(&sql, &claim_values(place, &claim))
            .await?;
        let ranks: Vec<i64> = held.iter().map(|row| row.get("rank")).collect();
        let sql = format!(
            "UPDATE claims SET ttl = $4, since = at, ends_at = at + $4 * interval '1 second' \
             FROM (SELECT clock_timestamp() AS at) AS clock WHERE {LIVE} RETURNING id"
        );
        let [project, queue, id] = claim_values(place, &claim);
        let values = [project, queue, id, (&lease.ttl_secs as _, Type::INT8)];
        let renewed = !transaction.query_typed(&sql, &values).await?.is_empty();
        if renewed {
            hold(&transaction, &claim, lease.grace_secs, &ranks).await?;
        }
        transaction.commit().await?;
        connection.give_back();
        Ok(renewed)
    }

    pub(super) async fn release_claim(&self, place: &Place, claim: &str) -> Outcome<()> {
        let claim = claim.to_owned();
        let mut connection = self.pool.take().await?;
        let transaction = connection.client_mut().transaction().await?;
        for sql in [
            "UPDATE messages SET claim = NULL, claimed_until = NULL \
             WHERE project = $1 AND queue = $2 AND claim = $3",
            "DELETE FROM claims WHERE project = $1 AND queue = $2 AND id = $3",
        ] {
            transaction
                .query_typed(sql, &claim_values(place, &claim))
                .await?;
        }
        transaction.commit().await?;
        connection.give_back();
        Ok(())
    }

    /// The contract's table, 5.7.
    pub(super) async fn delete_unless_held(
        &self,
        place: &Place,
        id: &str,
        claim: Option<&str>,
    ) -> Outcome<Deletion> {
        let id = id.to_owned();
        let mut connection = self.pool.take().await?;
        let transaction = connection.client_mut().transaction().await?;
        let sql =
            format!("SELECT {COLUMNS} FROM messages m WHERE {THERE} AND m.id = $3 FOR UPDATE");
        let rows = transaction
            .query_typed(&sql, &claim_values(place, &id))
            .await?;
        let holder = rows
            .first()
            .map(|row| row.get::<_, Option<String>>("holder"));
        let deletion = match (holder.as_ref().map(Option::as_deref), claim) {
            (None, _) => Deletion::Done,
            (Some(holder), claim) if holder == claim => {
                let sql = "DELETE FROM messages WHERE project = $1 AND queue = $2 AND id = $3";
                let values = claim_values(place, &id);
                transaction.query_typed(sql, &values).await?;
                Deletion::Done
            }
            (Some(Some(_)), None) => Deletion::Claimed,
            (Some(None), _) => Deletion::NotHeld,
            (Some(Some(_)), Some(named)) => {
                let named = named.to_owned();
                let sql = format!("SELECT id FROM claims WHERE {LIVE}");
                let values = claim_values(place, &named);
                let is_live = !transaction.query_typed(&sql, &values).await?.is_empty();
                match is_live {
                    true => Deletion::Claimed,
                    false => Deletion::NotHeld,
                }
            }
        };
        transaction.commit().await?;
        connection.give_back();
        Ok(deletion)
    }
}
