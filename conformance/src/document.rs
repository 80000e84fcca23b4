//! TOML documents that a user writes: targets, known failures, scenarios.
//!
//! Every error is one line that names file, line and key, and says what would be right.

use std::fmt;
use std::ops::Range;

use serde::de::DeserializeOwned;

/// What is wrong with a document, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct DocumentError {
    /// The file as the user named it.
    pub file: String,
    /// Line, from 1, if it is known.
    pub line: Option<usize>,
    /// The key on that line, if there is one.
    pub key: Option<String>,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(key) = &self.key {
            write!(f, ": `{key}`")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// A document's text under the name that errors show.
#[derive(Clone, Copy, Debug)]
pub struct Document<'a> {
    /// The file as the user named it.
    pub file: &'a str,
    /// Its text.
    pub text: &'a str,
}

impl Document<'_> {
    /// Parses the document.
    ///
    /// # Errors
    ///
    /// With file, line and key, if it is not TOML or not a `T`.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, DocumentError> {
        toml::from_str(self.text).map_err(|error| self.error(error.span(), told(error.message())))
    }

    /// An error at `span`, a range of bytes in the text.
    pub fn error(&self, span: Option<Range<usize>>, message: impl Into<String>) -> DocumentError {
        let message = message.into();
        // What is missing stands on no line; the span is that of the table it is missing from.
        let is_missing = message.starts_with("missing field");
        let start = span.map(|span| span.start.min(self.text.len()));
        let start = start.filter(|start| !(is_missing && *start == 0));
        let line = start.map(|start| self.text[..start].matches('\n').count() + 1);
        let key = line
            .filter(|_| !is_missing)
            .and_then(|line| self.text.lines().nth(line - 1))
            .and_then(|text| text.split_once('='))
            .map(|(key, _)| key.trim().to_owned())
            .filter(|key| !key.is_empty() && !key.contains(char::is_whitespace));
        DocumentError {
            file: self.file.to_owned(),
            line,
            key,
            message,
        }
    }
}

/// What a parser says, on one line, with the valid word that is nearest to an unknown one.
pub(crate) fn told(message: &str) -> String {
    let message = message.trim().replace('\n', ", ");
    let mut words = message.split('`').skip(1).step_by(2);
    let Some(given) = words.next().filter(|_| message.starts_with("unknown ")) else {
        return message;
    };
    let near = suggestion(given, words);
    message.replacen(&format!("`{given}`"), &format!("`{given}`{near}"), 1)
}

/// Reads a file that a user named.
///
/// # Errors
///
/// One line that names the file.
pub fn read(file: &str) -> Result<String, DocumentError> {
    let refuse = |message: String| DocumentError {
        file: file.to_owned(),
        line: None,
        key: None,
        message,
    };
    let bytes = std::fs::read(file).map_err(|error| {
        if error.kind() == std::io::ErrorKind::NotFound {
            refuse("there is no such file".to_owned())
        } else {
            refuse(format!("cannot be read: {error}"))
        }
    })?;
    String::from_utf8(bytes).map_err(|_| refuse("is not UTF-8 text".to_owned()))
}

/// ` (did you mean `word`?)` for the word nearest to `given`, or nothing if none is near.
pub fn suggestion<'a>(given: &str, words: impl IntoIterator<Item = &'a str>) -> String {
    words
        .into_iter()
        .map(|word| (strsim::damerau_levenshtein(given, word), word))
        .filter(|(distance, word)| *distance * 3 <= word.len().max(given.len()))
        .min()
        .map(|(_, word)| format!(" (did you mean `{word}`?)"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[expect(dead_code, reason = "only its parsing is looked at")]
        count: u32,
    }

    fn error(text: &str) -> String {
        Document {
            file: "x.toml",
            text,
        }
        .parse::<Sample>()
        .unwrap_err()
        .to_string()
    }

    #[test]
    fn wrong_type_names_file_line_and_key() {
        assert_eq!(
            error("# a comment\ncount = \"many\"\n"),
            "x.toml:2: `count`: invalid type: string \"many\", expected u32"
        );
    }

    #[test]
    fn unknown_key_names_the_valid_ones() {
        assert_eq!(
            error("count = 1\ncuont = 2\n"),
            "x.toml:2: `cuont`: unknown field `cuont` (did you mean `count`?), expected `count`"
        );
    }

    #[test]
    fn broken_syntax_names_the_line() {
        let error = error("count = 1\nrest\n");
        assert!(error.starts_with("x.toml:2: "), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }

    #[test]
    fn suggestion_is_given_only_when_near() {
        assert_eq!(
            suggestion("claims/expird", ["claims/expired", "x"]),
            " (did you mean `claims/expired`?)"
        );
        assert_eq!(suggestion("something", ["claims/expired", "x"]), "");
    }
}
