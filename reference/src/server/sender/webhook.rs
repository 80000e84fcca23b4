//! Webhooks: a notification is posted, and the status of the answer tells what came of it.

use bytes::Bytes;
use http::{Request, StatusCode};

use super::exchange::{Exchange, Sent, Wanted};
use super::trust::Tokens;
use crate::broker::Outcome;
use crate::wire::keystone::TOKEN_HEADER;
use crate::wire::{AddressRule, webhook};

/// Posts a request.
pub(super) async fn post(
    request: Request<Bytes>,
    exchange: &Exchange,
    rule: &AddressRule,
) -> Outcome {
    let status = status(request, exchange, rule).await;
    status.map_or_else(|outcome| outcome, webhook::outcome)
}

/// Posts a request with the token that a trust gives.
pub(super) async fn post_trusted(
    (trust, mut request): (&str, Request<Bytes>),
    exchange: &Exchange,
    rule: &AddressRule,
    tokens: &Tokens,
) -> Outcome {
    let token = match tokens.token(trust, exchange).await {
        Ok(token) => token,
        Err(outcome) => return outcome,
    };
    // Whatever else the options put there.
    request.headers_mut().insert(TOKEN_HEADER, token.clone());
    match status(request, exchange, rule).await {
        // The token was revoked before its time; the next one may be better.
        Ok(StatusCode::UNAUTHORIZED) => {
            tokens.forget(trust, &token);
            Outcome::Failed
        }
        Ok(status) => webhook::outcome(status),
        Err(outcome) => outcome,
    }
}

/// The status of the answer. The rest of it does not matter and is not read.
async fn status(
    request: Request<Bytes>,
    exchange: &Exchange,
    rule: &AddressRule,
) -> Result<StatusCode, Outcome> {
    match exchange.send(request, rule, Wanted::Head).await {
        Ok(Sent::Answered(answer)) => Ok(answer.status()),
        Ok(Sent::AddressDenied) => Err(Outcome::Refused),
        // Whether it is there, nobody knows: at least once, so it is sent again.
        Err(_) => Err(Outcome::Failed),
    }
}
