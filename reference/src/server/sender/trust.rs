//! Tokens for trusts: asked for when they are needed, and kept until shortly before their end.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use tokio::time::Instant;

use super::exchange::{Exchange, Sent, Wanted};
use crate::broker::Outcome;
use crate::wire::AddressRule;
use crate::wire::keystone::{self, Trustee};

/// Most tokens that are kept. Beyond it the one that ends first is forgotten.
const TOKENS_MAX: usize = 1_024;
/// Most bytes in an answer of Keystone, which lists a whole catalogue.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// A token is not used for so long before its end: it has to outlive the delivery.
const MARGIN: Duration = Duration::from_secs(60);
/// No token is kept longer than this, whatever Keystone says.
const KEPT_SECS_MAX: u64 = 24 * 60 * 60;

/// Where tokens come from, and those that are kept.
pub(super) struct Tokens {
    trustee: Trustee,
    kept: Mutex<BTreeMap<String, Kept>>,
}

struct Kept {
    value: HeaderValue,
    until: Instant,
}

impl Tokens {
    pub(super) const fn new(trustee: Trustee) -> Self {
        Self {
            trustee,
            kept: Mutex::new(BTreeMap::new()),
        }
    }

    /// A token with the rights of a trust; otherwise what comes of the delivery that needs it.
    pub(super) async fn token(
        &self,
        trust: &str,
        exchange: &Exchange,
    ) -> Result<HeaderValue, Outcome> {
        let asked_at = Instant::now();
        if let Some(value) = self.find(trust, asked_at) {
            return Ok(value);
        }
        let request = self.trustee.token_request(trust);
        // The operator named Keystone, so the rule for subscribers is not for it.
        let rule = AddressRule::default();
        let wanted = Wanted::BodyOf(ANSWER_BYTES_MAX);
        let Ok(Sent::Answered(answer)) = exchange.send(request, &rule, wanted).await else {
            return Err(Outcome::Failed);
        };
        let token = keystone::token(&answer)?;
        let lifetime = Duration::from_secs(token.lifetime_secs.min(KEPT_SECS_MAX));
        if let Some(usable) = lifetime.checked_sub(MARGIN) {
            let value = token.value.clone();
            let until = asked_at + usable;
            self.keep(trust, Kept { value, until });
        }
        Ok(token.value)
    }

    /// Forgets the token of a trust, unless it is another one by now.
    pub(super) fn forget(&self, trust: &str, value: &HeaderValue) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.get(trust).is_some_and(|one| one.value == *value) {
            kept.remove(trust);
        }
    }

    fn find(&self, trust: &str, now: Instant) -> Option<HeaderValue> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.get(trust).filter(|one| now < one.until);
        found.map(|one| one.value.clone())
    }

    fn keep(&self, trust: &str, new: Kept) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(trust.to_owned(), new);
        if kept.len() > TOKENS_MAX {
            let first = kept.iter().min_by_key(|(_, one)| one.until);
            if let Some(trust) = first.map(|(trust, _)| trust.clone()) {
                kept.remove(&trust);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Secret;

    #[test]
    fn of_too_many_tokens_the_one_that_ends_first_is_forgotten() {
        let tokens = Tokens::new(Trustee {
            auth_url: Trustee::url("http://k").unwrap(),
            username: String::new(),
            password: Secret::default(),
            user_domain_name: String::new(),
        });
        let now = Instant::now();
        let value = |n: usize| HeaderValue::from(n);
        for n in 0..=TOKENS_MAX {
            // The third one ends first.
            let secs = if n == 2 { 1 } else { 60 };
            let until = now + Duration::from_secs(secs);
            tokens.keep(
                &n.to_string(),
                Kept {
                    value: value(n),
                    until,
                },
            );
        }
        assert_eq!(tokens.find("2", now), None);
        assert_eq!(tokens.find("1", now), Some(value(1)));
        assert_eq!(tokens.find("1", now + Duration::from_secs(60)), None);
        tokens.forget("1", &value(5));
        assert_eq!(
            tokens.find("1", now),
            Some(value(1)),
            "that was another one"
        );
        tokens.forget("1", &value(1));
        assert_eq!(tokens.find("1", now), None);
    }
}
