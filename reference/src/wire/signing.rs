//! Signatures of pre-signed URLs. Owns the text that is signed and the comparison of signatures.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::broker::Project;

use super::calendar;

/// Zaqar v2, Pre-signed URLs, "Signature": backslash and n, two characters, and no newline.
const SEPARATOR: &str = r"\n";
/// A SHA-256 in hexadecimal digits.
const SIGNATURE_CHARS: usize = 64;

/// The secret that URLs are signed with. It does not show itself.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey(String);

/// What a signature allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The resources: these and what lies below them.
    pub paths: Vec<String>,
    /// The methods.
    pub methods: Vec<String>,
    /// The tenant.
    pub project: Project,
    /// The first second, since the Unix epoch, at which it is over.
    pub expires_at_secs: u64,
}

impl SigningKey {
    /// The key with this secret; `None` if the secret is empty.
    #[must_use]
    pub fn new(secret: String) -> Option<Self> {
        (!secret.is_empty()).then_some(Self(secret))
    }

    /// The secret, to be written into a configuration.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// The signature of the grant.
    #[must_use]
    pub fn sign(&self, grant: &Grant) -> String {
        use std::fmt::Write as _;
        let mut text = String::with_capacity(SIGNATURE_CHARS);
        for byte in self.code(grant).finalize().into_bytes() {
            write!(text, "{byte:02x}").expect("invariant: a string takes all that is written");
        }
        text
    }

    /// Whether this is the signature of the grant. Takes equally long wherever they differ.
    pub(crate) fn verifies(&self, grant: &Grant, signature: &str) -> bool {
        lower_hex(signature).is_some_and(|bytes| self.code(grant).verify_slice(&bytes).is_ok())
    }

    fn code(&self, grant: &Grant) -> Hmac<Sha256> {
        let mut code = Hmac::<Sha256>::new_from_slice(self.0.as_bytes())
            .expect("invariant: a key may have any length");
        code.update(joined(&grant.paths).as_bytes());
        code.update(SEPARATOR.as_bytes());
        code.update(joined(&grant.methods).as_bytes());
        code.update(SEPARATOR.as_bytes());
        code.update(&project_bytes(&grant.project));
        code.update(SEPARATOR.as_bytes());
        code.update(calendar::date_time(grant.expires_at_secs).as_bytes());
        code
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("SigningKey(…)")
    }
}

/// Whether a path, a method or a project would make two grants one text. Zaqar joins them by
/// commas and backslashes without a look; then whoever may choose a method or the name of a
/// project may shift the borders, and sign for somebody else.
pub(crate) fn is_ambiguous(part: &str) -> bool {
    part.contains([',', '\\'])
}

fn joined(parts: &[String]) -> String {
    let mut parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    parts.sort_unstable();
    parts.join(",")
}

/// The project as the bytes of its header, which is what whoever signs elsewhere has.
fn project_bytes(project: &Project) -> Vec<u8> {
    let byte = |character| u8::try_from(u32::from(character)).ok();
    let bytes: Option<Vec<u8>> = project.0.chars().map(byte).collect();
    bytes.unwrap_or_else(|| project.0.as_bytes().to_vec())
}

fn lower_hex(text: &str) -> Option<Vec<u8>> {
    if text.len() != SIGNATURE_CHARS {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let pairs = text.as_bytes().chunks_exact(2);
    pairs
        .map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn grant(paths: &[&str], methods: &[&str], project: &str) -> Grant {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        Grant {
            paths: owned(paths),
            methods: owned(methods),
            project: Project(Arc::from(project)),
            expires_at_secs: 1_795_418_498,
        }
    }

    /// Computed with Python: `hmac.new(b"secret", text, "sha256").hexdigest()`.
    const KNOWN: &str = "cb659b2c8774955a19e09df015b41fd7376eff309f309876e94d996a841b457e";

    #[test]
    fn signatures_are_those_of_the_documented_text() {
        let key = SigningKey::new("secret".to_owned()).unwrap();
        let signed = grant(&["/v2/queues/q1/messages"], &["POST", "GET"], "p");
        assert_eq!(key.sign(&signed), KNOWN);
        assert!(key.verifies(&signed, KNOWN));
        let reordered = grant(&["/v2/queues/q1/messages"], &["GET", "POST"], "p");
        assert!(key.verifies(&reordered, KNOWN));
        for other in [
            "",
            &KNOWN.to_uppercase(),
            &KNOWN[..62],
            &KNOWN.replace('1', "2"),
        ] {
            assert!(!key.verifies(&signed, other), "{other}");
        }
        assert!(!key.verifies(&grant(&["/v2/queues/q1/messages"], &["GET"], "p"), KNOWN));
    }

    #[test]
    fn keys_are_not_empty_and_do_not_show_themselves() {
        assert!(SigningKey::new(String::new()).is_none());
        let key = SigningKey::new("secret".to_owned()).unwrap();
        assert!(!format!("{key:?}").contains("secret"));
    }

    #[test]
    fn parts_that_would_shift_the_borders_are_ambiguous() {
        assert!(is_ambiguous("GET,POST") && is_ambiguous(r"x\nvictim"));
        assert!(!is_ambiguous("/v2/queues/q_-./messages"));
    }
}
