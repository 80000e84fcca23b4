//! Contract 9.2: a signature as the documents have it, where the key is known.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;

use super::signing::{Grant, share};
use crate::suite::capability::Capability::{self, KnownSigningKey, PreSigned};
use crate::suite::steps::{Queue, unknown};
use crate::suite::{Case, CaseResult, Context, Provenance, Stop, case};

const NEEDS: &[Capability] = &[PreSigned, KnownSigningKey];

pub(super) const CASES: &[Case] = &[
    case!(
        Must,
        "signing/signature-is-the-documented-one",
        "9.2",
        documented
    )
    .needs(NEEDS)
    .provenance(Provenance::Observed)
    .since(2),
    case!(
        Must,
        "signing/documented-signature-is-served",
        "9.2",
        own_signature
    )
    .needs(NEEDS)
    .provenance(Provenance::Observed)
    .since(2),
];

/// Between the parts of the text that is signed: a backslash and an n, which is no newline.
const SEPARATOR: &str = r"\n";

/// HMAC-SHA256 over the grant, in lower-case hexadecimal digits.
fn signature(key: &str, grant: &Grant, project: &str) -> String {
    let sorted = |words: &[String]| {
        let mut words = words.to_vec();
        words.sort();
        words.join(",")
    };
    let (paths, methods) = (sorted(&grant.paths), sorted(&grant.methods));
    let text = [&paths, &methods, project, &grant.expires].join(SEPARATOR);
    let mut code = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("a key has any length");
    code.update(text.as_bytes());
    let bytes = code.finalize().into_bytes();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The signature of `grant` in the case's project, where its queues have the names that the server knows.
fn signed(context: &Context, key: &str, grant: &Grant) -> String {
    let prefix = context.queue_prefix();
    let outward = |path: &String| path.replacen("/queues/", &format!("/queues/{prefix}"), 1);
    let grant = Grant {
        paths: grant.paths.iter().map(outward).collect(),
        ..grant.clone()
    };
    signature(key, &grant, context.project())
}

fn key(context: &Context) -> Result<&str, Stop> {
    let key = context.surroundings().signing_key.as_deref();
    key.ok_or_else(|| unknown(context, "nobody told the suite the signing key"))
}

async fn documented(context: Context) -> CaseResult {
    let key = key(&context)?;
    let queue = Queue::new(&context, "q");
    let bodies = [
        json!({ "paths": ["messages"], "methods": ["GET"], "expires": "2999-12-31T23:59:59" }),
        json!({
            "paths": ["subscriptions", "claims"], "methods": ["PUT", "DELETE", "GET"],
            "expires": "2999-01-01T01:00:00+01:00",
        }),
        json!({}),
    ];
    for body in &bodies {
        let grant = share(&context, &queue, body).await?;
        let expected = signed(&context, key, &grant);
        if grant.signature != expected {
            return Err(context.failure("9.2", format!("signature {expected}"), grant.signature));
        }
    }
    Ok(())
}

/// Who knows the key can sign without asking the server.
async fn own_signature(context: Context) -> CaseResult {
    let key = key(&context)?;
    let queue = Queue::new(&context, "q");
    let (id, _) = queue.post_one(300).await?;
    let mut grant = Grant {
        paths: vec![queue.at("/messages")],
        methods: vec!["GET".to_owned()],
        expires: "2999-12-31T23:59:59".to_owned(),
        signature: String::new(),
    };
    grant.signature = signed(&context, key, &grant);
    let get = grant.sign(queue.getting(&id)).send().await?;
    get.expect("9.3", &[200])?;
    // The same text under another key.
    grant.signature = signed(&context, &format!("{key}-"), &grant);
    let get = grant.sign(queue.getting(&id)).send().await?;
    get.expect("9.3", &[404]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by Python's `hmac`, which is what Zaqar signs with.
    #[test]
    fn signature_is_the_one_that_python_makes_of_sorted_lists_and_backslashes() {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        let grant = Grant {
            paths: words(&["/v2/queues/q/messages", "/v2/queues/q/claims"]),
            methods: words(&["POST", "GET"]),
            expires: "2999-12-31T23:59:59".to_owned(),
            signature: String::new(),
        };
        let expected = "bcbac9c5260f17fb03190508d0a7e0c9a1e3c3feeac09abebbe17b57e435ca1b";
        assert_eq!(signature("nanshe", &grant, "p"), expected);
        assert_ne!(signature("other", &grant, "p"), expected);
    }
}
