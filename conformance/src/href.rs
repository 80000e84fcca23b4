//! What stands in the links of answers: RFC 3986, of which identifiers know nothing.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// What an identifier may not hold in a segment of a path, or in a query.
const NOT_IN_A_SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'&')
    .add(b'+')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}')
    .add(b'\\')
    .add(b'^')
    .add(b'=');

/// The identifier that stands after the last slash of `path`, which may have a query. In a path it is
/// percent-encoded as far as its server likes; elsewhere in an answer it is not.
pub(crate) fn last_segment(path: &str) -> String {
    plain(encoded_segment(path))
}

fn encoded_segment(path: &str) -> &str {
    let path = path.split('?').next().unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default()
}

/// `id` as it stands in a path or in a query.
pub(crate) fn encode(id: &str) -> String {
    utf8_percent_encode(id, NOT_IN_A_SEGMENT).to_string()
}

/// As [`last_segment`], for who writes it into paths as it is: what cannot stand there stays encoded.
pub(crate) fn usable_segment(path: &str) -> String {
    let id = last_segment(path);
    if encode(&id) == id {
        id
    } else {
        encoded_segment(path).to_owned()
    }
}

/// Whether both lead to the same place, however much of them is percent-encoded (RFC 3986, 6.2.2.2). An encoded
/// delimiter delimits nothing (2.2).
pub(crate) fn is_same(one: &str, other: &str) -> bool {
    const DELIMITERS: [char; 4] = ['/', '?', '&', '='];
    let delimiters = |text: &str| text.matches(DELIMITERS).collect::<String>();
    let parts = |text: &str| text.split(DELIMITERS).map(plain).collect::<Vec<String>>();
    delimiters(one) == delimiters(other) && parts(one) == parts(other)
}

/// As it stands if it is not UTF-8.
fn plain(encoded: &str) -> String {
    let decoded = percent_decode_str(encoded).decode_utf8();
    decoded.map_or_else(|_| encoded.to_owned(), String::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifier_is_what_stands_elsewhere_in_an_answer() {
        for (path, id) in [
            ("/v2/queues/q/messages/7", "7"),
            ("/v2/queues/q/messages/a%3Ab?claim_id=c/d", "a:b"),
            ("/v2/queues/q/messages/%FF", "%FF"),
            ("/v2/queues/q/messages/", ""),
            ("", ""),
        ] {
            assert_eq!(last_segment(path), id, "{path}");
        }
    }

    #[test]
    fn identifiers_come_back_from_the_paths_that_they_are_written_into() {
        for id in ["a:b", "a/b?c=d&e", "100%", "%41", "ä ö"] {
            assert_eq!(last_segment(&format!("/messages/{}", encode(id))), id);
        }
    }

    #[test]
    fn what_cannot_stand_in_a_path_stays_encoded() {
        for (path, id) in [("/q/%37", "7"), ("/q/a%3Ab", "a:b"), ("/q/a%2Bb", "a%2Bb")] {
            assert_eq!(usable_segment(path), id, "{path}");
        }
        assert_eq!(usable_segment("/q/abc%3D%3D?x"), "abc%3D%3D");
    }

    #[test]
    fn encoding_makes_no_other_place() {
        assert!(is_same("/q/%37?claim_id=a%3Ab", "/q/7?claim_id=a:b"));
        assert!(!is_same("/q/%37", "/q/8"));
        assert!(!is_same("/q%2F7", "/q/7"));
        assert!(!is_same("/q/7%3Fclaim_id=c", "/q/7?claim_id=c"));
    }
}
