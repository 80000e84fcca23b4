//! Query parameters. Zaqar v2: blank values count as absent, of repeated or comma-joined scalars
//! the last counts, unknown parameters are ignored.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::refusal::Refusal;

/// The parameters of a request, in order, blank ones left out.
pub(crate) struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'q> Query<'q> {
    pub(crate) fn parse(text: &'q str) -> Self {
        let pairs = text.split('&').filter_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            let (name, value) = (decode(name), decode(value));
            (!value.is_empty()).then_some((name, value))
        });
        Self(pairs.collect())
    }

    /// A value as it stands; the last one.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.all(name).next_back()
    }

    /// A page size or count from 1 to `max`.
    pub(crate) fn count(&self, name: &'static str, max: usize) -> Result<Option<usize>, Refusal> {
        let Some(text) = self.last_item(name) else {
            return Ok(None);
        };
        let expected = "an integer";
        let number: i64 = text
            .parse()
            .map_err(|_| Refusal::ParameterInvalid { name, expected })?;
        usize::try_from(number)
            .ok()
            .filter(|number| (1..=max).contains(number))
            .map(Some)
            .ok_or(Refusal::ParameterOutOfRange { name, max })
    }

    pub(crate) fn flag(&self, name: &'static str) -> Result<bool, Refusal> {
        let Some(text) = self.last_item(name) else {
            return Ok(false);
        };
        match text.to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "1" | "on" => Ok(true),
            "false" | "f" | "no" | "n" | "0" | "off" => Ok(false),
            _ => Err(Refusal::ParameterInvalid {
                name,
                expected: "a boolean",
            }),
        }
    }

    /// The items of a list, comma-separated or repeated. `None`: the parameter is absent or blank.
    pub(crate) fn list(&self, name: &str) -> Option<Vec<&str>> {
        let mut values = self.all(name).peekable();
        values.peek()?;
        Some(
            values
                .flat_map(|value| value.split(','))
                .filter(|item| !item.is_empty())
                .collect(),
        )
    }

    /// Parameters of other names; of one name, the last.
    pub(crate) fn others(&self, known: &[&str]) -> Vec<(String, String)> {
        let others: std::collections::BTreeMap<_, _> = self
            .0
            .iter()
            .filter(|(name, _)| !known.contains(&name.as_ref()))
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect();
        others.into_iter().collect()
    }

    fn last_item(&self, name: &str) -> Option<&str> {
        let mut items = self.all(name).flat_map(|value| value.split(','));
        items.rfind(|item| !item.is_empty())
    }

    fn all<'a>(&'a self, name: &str) -> impl DoubleEndedIterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(other, _)| other == name)
            .map(|(_, value)| value.as_ref())
    }
}

fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains(['+', '%']) {
        return Cow::Borrowed(text);
    }
    let text = text.replace('+', " ");
    Cow::Owned(percent_decode_str(&text).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_values_are_absent() {
        let query = Query::parse("limit=&echo&ids=&marker");
        assert_eq!(query.count("limit", 20), Ok(None));
        assert_eq!(query.flag("echo"), Ok(false));
        assert_eq!(query.list("ids"), None);
        assert_eq!(Query::parse("ids=,,").list("ids"), Some(vec![]));
    }

    #[test]
    fn the_last_of_several_scalars_counts() {
        let query = Query::parse("limit=1,2&echo=no&echo=Yes");
        assert_eq!(query.count("limit", 20), Ok(Some(2)));
        assert_eq!(query.flag("echo"), Ok(true));
    }

    #[test]
    fn counts_are_integers_within_bounds() {
        for text in [
            "limit=0",
            "limit=21",
            "limit=-1",
            "limit=x",
            "limit=1.0",
            "limit=1e1",
        ] {
            assert!(Query::parse(text).count("limit", 20).is_err(), "{text}");
        }
        assert!(Query::parse("echo=maybe").flag("echo").is_err());
    }

    #[test]
    fn lists_may_be_joined_or_repeated() {
        assert_eq!(
            Query::parse("ids=a,b&ids=c%2Cd").list("ids"),
            Some(vec!["a", "b", "c", "d"])
        );
    }
}
