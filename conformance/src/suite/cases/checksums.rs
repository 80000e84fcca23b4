//! Contract 7.5: checksums of bodies, where they are enabled.

use serde_json::{Value, json};

use crate::suite::capability::Capability::{self, Bulk, Checksums};
use crate::suite::steps::{Queue, ids};
use crate::suite::{Case, CaseResult, Context, Provenance, Reply, Stop, case};

const NEEDS: &[Capability] = &[Checksums];

pub(super) const CASES: &[Case] = &[
    case!(
        Should,
        "checksums/every-reading-shows-them",
        "7.5",
        every_reading
    )
    .needs(&[Checksums, Bulk])
    .since(2),
    case!(
        Should,
        "checksums/are-md5-of-the-serialised-body",
        "7.5",
        md5
    )
    .needs(NEEDS)
    .provenance(Provenance::Observed)
    .since(2),
    case!(
        Should,
        "checksums/are-of-the-text-that-python-writes",
        "7.5",
        as_python_writes
    )
    .needs(NEEDS)
    .provenance(Provenance::Observed)
    .since(4),
    case!(Should, "checksums/differ-as-bodies-do", "7.5", differ)
        .needs(NEEDS)
        .since(2),
    case!(May, "checksums/body-of-null-has-an-empty-one", "7.5", null)
        .needs(NEEDS)
        .provenance(Provenance::Observed)
        .since(2),
];

fn checksums(reply: &Reply) -> Result<Vec<String>, Stop> {
    let document = reply.json("7.5")?;
    // One message, or an array of them.
    let all = match document["messages"].as_array() {
        Some(all) => all.clone(),
        None => vec![document],
    };
    let read = |one: &Value| one["checksum"].as_str().map(str::to_owned);
    let all: Option<Vec<String>> = all.iter().map(read).collect();
    all.ok_or_else(|| reply.refuse("7.5", "`checksum`: a string in every message"))
}

async fn listed(context: &Context, bodies: &[Value]) -> Result<(Vec<String>, Reply), Stop> {
    let queue = Queue::new(context, "q");
    let batch: Value = bodies
        .iter()
        .map(|body| json!({ "ttl": 300, "body": body }))
        .collect();
    queue.post(&batch).await?;
    all_checksums(&queue, bodies.len()).await
}

/// Those of the `count` messages in the queue; a page may be short.
async fn all_checksums(queue: &Queue, count: usize) -> Result<(Vec<String>, Reply), Stop> {
    let mut page = queue.list("?echo=true&limit=20").await?;
    let mut all = checksums(&page.reply)?;
    while all.len() < count && !page.messages.is_empty() {
        page = queue.follow(&page).await?;
        all.extend(checksums(&page.reply)?);
    }
    page.reply
        .check("5.4", "all messages", all.len() == count)?;
    Ok((all, page.reply))
}

async fn every_reading(context: Context) -> CaseResult {
    let (all, _) = listed(&context, &[json!({ "a": 1 })]).await?;
    let queue = Queue::new(&context, "q");
    let page = queue.list("?echo=true").await?;
    let id = ids(&page.messages)
        .first()
        .copied()
        .unwrap_or_default()
        .to_owned();
    let requests = vec![
        queue.getting(&id),
        context.get(queue.at(&format!("/messages?ids={id}"))),
        queue.claiming(&json!({ "ttl": 60, "grace": 60 }), 1),
    ];
    for request in requests {
        let reply = request.send().await?.expect("7.5", &[200, 201])?;
        let same = checksums(&reply)? == all;
        reply.check(
            "7.5",
            &format!("the checksum of the listing, {all:?}"),
            same,
        )?;
    }
    Ok(())
}

async fn md5(context: Context) -> CaseResult {
    let known = [
        (json!({ "a": 1 }), "42b7b4f2921788ea14dac5566e6f06d0"),
        (json!("x"), "3fbf839fa0e778a20326ddc34f5cd588"),
        (json!([1, 2]), "04cd0e0151f352e7fd414d694a604136"),
        (json!("é"), "d1aad59345f1f37ecc833dabc76ec5ef"),
        (json!(0), "cfcd208495d565ef66e7dff9f98764da"),
    ];
    let values: Vec<Value> = known.iter().map(|(body, _)| body.clone()).collect();
    let (all, reply) = listed(&context, &values).await?;
    for ((body, sum), came) in known.iter().zip(&all) {
        let expected = format!("MD5:{sum} for {body}");
        reply.check("7.5", &expected, *came == format!("MD5:{sum}"))?;
    }
    Ok(())
}

/// Members in the order in which they came, escapes and numbers in the one form that Python's `json.dumps`
/// gives them, however they were spelled. The sums were made by it.
async fn as_python_writes(context: Context) -> CaseResult {
    let known = [
        (
            r#"{"b":[1,{}],"a" : [ ],"c":"x"}"#,
            "5a8b2114b1e4d0874042f5ce9b9e43b6",
        ),
        (
            r#""\" \\ \/ \b\f\n\r\t \u0001 \u007f ~""#,
            "67fc118cfded0bd4b673f83942055c16",
        ),
        (
            r#""\ud83d\ude00 é \u2028""#,
            "22e96ae49aead698c1ba065e0d6199a8",
        ),
        (
            "[1.5,1e5,1e16,0.0001,0.00001,-0.0,123456789012345680.0,-7,1E-2]",
            "2692c20a81090828b90bd62636a451d1",
        ),
        (
            r#"[true,false,null,""]"#,
            "723dcb7cd1d0989b531bbbb879b0451b",
        ),
        (r#"{"k":{"é":1}}"#, "a72f37b36985e749a01df414cf4ed3cc"),
    ];
    let queue = Queue::new(&context, "q");
    for (body, _) in known {
        let text = format!(r#"{{"messages":[{{"ttl":300,"body":{body}}}]}}"#);
        let reply = queue.posting_text(text).send().await?;
        reply.expect("5.2", &[201])?;
    }
    let (all, reply) = all_checksums(&queue, known.len()).await?;
    for ((body, sum), came) in known.iter().zip(&all) {
        let expected = format!("MD5:{sum} for {body}");
        reply.check("7.5", &expected, *came == format!("MD5:{sum}"))?;
    }
    Ok(())
}

async fn differ(context: Context) -> CaseResult {
    let (all, reply) = listed(&context, &[json!("a"), json!("b"), json!("a")]).await?;
    let as_bodies = all[0] == all[2] && all[0] != all[1];
    reply.check("7.5", "equal checksums for equal bodies alone", as_bodies)
}

async fn null(context: Context) -> CaseResult {
    let (all, reply) = listed(&context, &[json!(null)]).await?;
    reply.check("7.5", "an empty checksum", all[0].is_empty())
}
