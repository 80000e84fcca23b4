//! Exchanges as lines for a shell: what was sent can be sent again.
//!
//! The paths and identifiers are those of one run, so the lines repeat what was sent, and the whole of
//! it only on a server that gives out the same identifiers again.

use std::fmt::Write as _;

use super::escape::visible;
use crate::suite::{Exchange, Part};

/// The commands that send these requests again, to the server at `endpoint`.
pub(super) fn script(endpoint: &str, exchanges: &[Exchange]) -> String {
    let url = if endpoint.is_empty() { LOCAL } else { endpoint };
    let mut text = format!("URL={}\n", quoted(url.trim_end_matches('/')));
    for exchange in exchanges {
        text.push_str(&command(&exchange.sent));
        text.push('\n');
    }
    text
}

/// Where `nanshe serve` listens: for what happened in virtual time, where there is no other address.
const LOCAL: &str = "http://127.0.0.1:8888";

/// One request. What cannot be said in a command is a comment without any of the server's text.
fn command(sent: &Part) -> String {
    let Some((method, path)) = sent.line.split_once(' ') else {
        return INEXPRESSIBLE.to_owned();
    };
    // A path that began otherwise would change the host that the URL names.
    let plain = path.starts_with('/') && !path.contains([' ', ELLIPSIS]);
    if !plain || !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return INEXPRESSIBLE.to_owned();
    }
    let mut text = String::new();
    if !is_whole(&sent.body) {
        text.push_str(NOT_WHOLE);
    }
    text.push_str("curl -isg --path-as-is ");
    // Curl waits for a body that an answer to HEAD never has, unless it knows.
    text.push_str(if method == "HEAD" { "--head" } else { "-X " });
    text.push_str(if method == "HEAD" { "" } else { method });
    // Writing to a string cannot fail.
    let _infallible = write!(text, " \"$URL\"{}", quoted(path));
    for header in headers(sent) {
        let _infallible = write!(text, " \\\n  -H {}", quoted(&header));
    }
    if !sent.body.is_empty() {
        // Not `--data-binary`, which reads a file if the text begins with @.
        let _infallible = write!(text, " \\\n  --data-raw {}", quoted(&sent.body));
    }
    text
}

const INEXPRESSIBLE: &str = "# a request that no command line can repeat";

const NOT_WHOLE: &str =
    "# not the body that was sent: it was cut off, or has what cannot be shown\n";

const ELLIPSIS: char = '…';

/// The headers as curl takes them, and those that it would add left out.
fn headers(sent: &Part) -> Vec<String> {
    let has = |name: &str| {
        let is = |header: &String| header.split(':').next().is_some_and(|found| found == name);
        sent.headers.iter().any(is)
    };
    let given = sent
        .headers
        .iter()
        .map(|header| match header.split_once(": ") {
            // With a colon curl takes an empty header away; with a semicolon it sends one.
            Some((name, "")) => format!("{name};"),
            Some(_) | None => header.clone(),
        });
    let mut headers: Vec<String> = given.collect();
    if !has("accept") {
        headers.push("accept:".to_owned());
    }
    if !sent.body.is_empty() && !has("content-type") {
        headers.push("content-type:".to_owned());
    }
    headers
}

/// Whether the body is here as it was sent: not cut off because it was long, and without bytes that no
/// text, no argument or no page can have.
fn is_whole(body: &str) -> bool {
    let cut = body.contains(ELLIPSIS) && body.ends_with(" bytes)");
    !cut && !body.contains('\u{fffd}') && visible(body) == body
}

/// One word for a shell, whatever is in it. An argument cannot hold a null character.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\0', "").replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(line: &str, headers: &[&str], body: &str) -> Part {
        Part {
            line: line.to_owned(),
            headers: headers.iter().map(|&header| header.to_owned()).collect(),
            body: body.to_owned(),
        }
    }

    #[test]
    fn request_is_a_line_for_a_shell() {
        let sent = part(
            "POST /v2/queues/q/messages?x=$(id)",
            &["client-id: c", "x-project-id: ", "accept: application/json"],
            "{\"it's\": \"$HOME `id`\"}",
        );
        insta::assert_snapshot!(command(&sent), @r#"
        curl -isg --path-as-is -X POST "$URL"'/v2/queues/q/messages?x=$(id)' \
          -H 'client-id: c' \
          -H 'x-project-id;' \
          -H 'accept: application/json' \
          -H 'content-type:' \
          --data-raw '{"it'\''s": "$HOME `id`"}'
        "#);
    }

    #[test]
    fn path_never_changes_the_host_and_a_comment_has_no_foreign_text() {
        for line in [
            "GET @evil.example/",
            "GET",
            "GET /a b",
            "G\n ET /",
            "$(id) /v2",
        ] {
            assert_eq!(command(&part(line, &[], "")), INEXPRESSIBLE, "{line}");
        }
    }

    #[test]
    fn body_that_is_not_whole_is_said_not_to_be() {
        let cut = command(&part("POST /v2", &[], "aaa… (70000 bytes)"));
        assert!(cut.starts_with(NOT_WHOLE), "{cut}");
        let hidden = command(&part("POST /v2", &[], "a\u{2028}b"));
        assert!(hidden.starts_with(NOT_WHOLE), "{hidden}");
        let whole = command(&part("POST /v2", &[], "aaa…"));
        assert!(whole.starts_with("curl "), "{whole}");
    }

    #[test]
    fn shell_reads_back_what_was_quoted() {
        let text = "a'b\"c$(id)`id`\\ \n!#&;|<>*?[]{}~é";
        let script = format!("printf %s {}", quoted(text));
        let output = std::process::Command::new("sh")
            .args(["-c", &script])
            .output();
        assert_eq!(output.unwrap().stdout, text.as_bytes());
    }
}
