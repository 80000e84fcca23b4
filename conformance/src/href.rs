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
    let path = path.split('?').next().unwrap_or_default();
    plain(path.rsplit('/').next().unwrap_or_default())
}

/// `id` as it stands in a path or in a query.
pub(crate) fn encode(id: &str) -> String {
    utf8_percent_encode(id, NOT_IN_A_SEGMENT).to_string()
}

/// Whether both lead to the same place, however much of them is percent-encoded (RFC 3986, 6.2.2.2).
pub(crate) fn is_same(one: &str, other: &str) -> bool {
    plain(one) == plain(other)
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
    fn encoding_makes_no_other_place() {
        assert!(is_same("/q/%37?claim_id=a%3Ab", "/q/7?claim_id=a:b"));
        assert!(!is_same("/q/%37", "/q/8"));
    }
}
