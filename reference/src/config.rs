//! The configuration of a server: one TOML file for every bound that an operator may set.
//!
//! Reading and printing follow one list of keys, so what is printed reads back equal. Owns the
//! ranges of the keys and the wording of errors: one line each, with file, line, key and what would
//! be right. Must not open files.

mod correspondents;
mod keys;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZeroU32;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::broker::{ClientIdRule, ConfirmationRule, PoolingRule};
use crate::server::Options;
use crate::wire::Settings;

use correspondents::Correspondents;
use keys::{KEYS, Kind};

/// Everything that a file can say. `Default` is what an empty file says: Zaqar's defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What the service obeys.
    pub settings: Settings,
    /// What the server obeys. The file does not set its `time_scale`, which is for tests.
    pub options: Options,
    clients: Clients,
    correspondents: Correspondents,
}

/// What is said of clients, also of those that the rule in force does not concern.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Clients {
    uuid_required: bool,
    chars_min: usize,
    chars_max: usize,
}

impl Clients {
    const fn rule(&self) -> ClientIdRule {
        if self.uuid_required {
            return ClientIdRule::Strict;
        }
        ClientIdRule::FreeForm {
            chars_min: self.chars_min,
            chars_max: self.chars_max,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            options: Options::default(),
            clients: Clients {
                uuid_required: true,
                chars_min: 10,
                chars_max: 36,
            },
            correspondents: Correspondents::default(),
        }
    }
}

/// What is wrong with a configuration, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// The file as the user named it.
    pub file: String,
    /// The line, from 1, if it is known.
    pub line: Option<usize>,
    /// The key with its table, if it is about one.
    pub key: Option<String>,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(out, ":{line}")?;
        }
        if let Some(key) = &self.key {
            write!(out, ": `{key}`")?;
        }
        write!(out, ": {}", self.message)
    }
}

impl Config {
    /// Reads a configuration. What it does not say has its default. `file` is for errors.
    ///
    /// # Errors
    /// If the text is not TOML, a key is unknown, a value is of the wrong type or out of range, or
    /// two values contradict each other.
    pub fn parse(file: &str, text: &str) -> Result<Self, ConfigError> {
        let reader = Reader { file, text };
        let document = DeTable::parse(text).map_err(|error| {
            let message = error.message().trim().replace('\n', ", ");
            reader.error(error.span(), None, message)
        })?;
        let (mut config, mut places) = (Self::default(), BTreeMap::new());
        for (table, content) in in_order(document.get_ref()) {
            let name = table.get_ref();
            if !KEYS.iter().any(|key| key.table == name) {
                let message = format!("there is no such table; there are {}", tables());
                return Err(reader.error(Some(table.span()), Some(name.to_string()), message));
            }
            let Some(content) = content.get_ref().as_table() else {
                let message = "is not a table".to_owned();
                return Err(reader.error(Some(table.span()), Some(name.to_string()), message));
            };
            for (key, value) in in_order(content) {
                let path = format!("{name}.{}", key.get_ref());
                let known = KEYS.iter().find(|known| known.path() == path);
                let set = match known {
                    Some(known) => known.set(&mut config, value.get_ref()),
                    None => Err(format!("there is no such key; there are {}", keys_of(name))),
                };
                set.map_err(|message| reader.error(Some(key.span()), Some(path.clone()), message))?;
                places.insert(path, key.span());
            }
        }
        config.settings.limits.client_id_rule = config.clients.rule();
        config.settings.mail = config.correspondents.mail();
        config.settings.trust_rule = config.correspondents.trust_rule();
        config.options.outgoing = config.correspondents.outgoing();
        config.check(&reader, &places)?;
        Ok(config)
    }

    /// The whole configuration as TOML.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        let mut table = "";
        for key in &KEYS {
            if key.table != table {
                let gap = if table.is_empty() { "" } else { "\n" };
                table = key.table;
                text += &format!("{gap}[{table}]\n");
            }
            text += &format!("# {}\n{} = {}\n", key.meaning(), key.name, key.shown(self));
        }
        text
    }

    /// The same on a clock on which `time_scale` seconds pass in every second.
    #[must_use]
    pub fn scaled(mut self, time_scale: NonZeroU32) -> Self {
        self.options.time_scale = time_scale;
        self
    }

    /// Checks what no key can say alone.
    fn check(
        &self,
        reader: &Reader<'_>,
        places: &BTreeMap<String, Range<usize>>,
    ) -> Result<(), ConfigError> {
        for (low, high) in keys::ORDERED {
            let number = |path: &str| {
                let key = KEYS.iter().find(|key| key.path() == path);
                key.and_then(|key| key.number(self))
                    .expect("invariant: these are numbers")
            };
            if number(low) > number(high) {
                let message = format!("is {}, more than `{high}`, {}", number(low), number(high));
                let place = places.get(low).or_else(|| places.get(high)).cloned();
                return Err(reader.error(place, Some(low.to_owned()), message));
            }
        }
        self.check_needs(reader, places)
    }

    /// Checks what is on and does not work without something else.
    fn check_needs(
        &self,
        reader: &Reader<'_>,
        places: &BTreeMap<String, Range<usize>>,
    ) -> Result<(), ConfigError> {
        let asks = self.settings.limits.confirmation_rule == ConfirmationRule::Required;
        let pools = self.settings.limits.pooling_rule == PoolingRule::Pools;
        for (lacks, path, message) in [
            (
                asks && self.settings.signing_key.is_none(),
                "subscriptions.confirmation_required",
                "needs `sharing.signing_key`, to sign what subscribers answer with",
            ),
            (
                pools && !self.settings.admin_mode,
                "admin.pooling",
                "needs `admin.mode`, for pools are added over the API",
            ),
        ] {
            if lacks {
                let place = places.get(path).cloned();
                return Err(reader.error(place, Some(path.to_owned()), message.to_owned()));
            }
        }
        match self.correspondents.fault(asks) {
            Some((path, message)) => {
                let place = places.get(path).cloned();
                Err(reader.error(place, Some(path.to_owned()), message.to_owned()))
            }
            None => Ok(()),
        }
    }
}

type Name<'i> = Spanned<DeString<'i>>;
type Value<'i> = Spanned<DeValue<'i>>;

struct Reader<'a> {
    file: &'a str,
    text: &'a str,
}

impl Reader<'_> {
    fn error(
        &self,
        place: Option<Range<usize>>,
        key: Option<String>,
        message: String,
    ) -> ConfigError {
        let before = place.and_then(|place| self.text.get(..place.start));
        ConfigError {
            file: self.file.to_owned(),
            line: before.map(|before| before.matches('\n').count() + 1),
            key,
            message,
        }
    }
}

/// A value that a file can set, and how.
struct Key {
    table: &'static str,
    name: &'static str,
    meaning: &'static str,
    kind: Kind,
}

impl Key {
    fn path(&self) -> String {
        format!("{}.{}", self.table, self.name)
    }

    /// What it means, and its range.
    fn meaning(&self) -> String {
        match self.kind {
            Kind::Number { min, max, .. } => format!("{}: {min} to {max}", self.meaning),
            Kind::Flag { .. } | Kind::Text { .. } | Kind::Checked { .. } | Kind::List { .. } => {
                self.meaning.to_owned()
            }
        }
    }

    fn number(&self, config: &Config) -> Option<u64> {
        match self.kind {
            Kind::Number { get, .. } => Some(get(config)),
            Kind::Flag { .. } | Kind::Text { .. } | Kind::Checked { .. } | Kind::List { .. } => {
                None
            }
        }
    }

    fn shown(&self, config: &Config) -> String {
        let text = |text: String| toml::Value::String(text).to_string();
        match self.kind {
            Kind::Number { get, .. } => get(config).to_string(),
            Kind::Flag { get, .. } => get(config).to_string(),
            Kind::Text { get, .. } | Kind::Checked { get, .. } => text(get(config)),
            Kind::List { get, .. } => {
                let items: Vec<String> = get(config).into_iter().map(text).collect();
                format!("[{}]", items.join(", "))
            }
        }
    }

    /// Sets it; otherwise what is wrong.
    fn set(&self, config: &mut Config, value: &DeValue<'_>) -> Result<(), String> {
        match self.kind {
            Kind::Number { min, max, set, .. } => {
                let digits = value.as_integer();
                let number = digits
                    .and_then(|digits| u64::from_str_radix(digits.as_str(), digits.radix()).ok());
                let number = number.filter(|number| (min..=max).contains(number));
                set(
                    config,
                    number.ok_or(format!("is not an integer from {min} to {max}"))?,
                );
                Ok(())
            }
            Kind::Flag { set, .. } => {
                set(config, value.as_bool().ok_or("is not true or false")?);
                Ok(())
            }
            Kind::Text { set, .. } => {
                set(config, value.as_str().ok_or("is not a string")?);
                Ok(())
            }
            Kind::Checked { set, expected, .. } => {
                let found = value.as_str().and_then(|text| set(config, text));
                found.ok_or_else(|| format!("is not {expected}"))
            }
            Kind::List { set, expected, .. } => {
                let wrong = || format!("is not an array of {expected}");
                let items = value.as_array().ok_or_else(wrong)?;
                let items = items.iter().map(|item| item.get_ref().as_str());
                let items: Option<Vec<&str>> = items.collect();
                set(config, &items.ok_or_else(wrong)?).ok_or_else(wrong)
            }
        }
    }
}

/// The members of a table in order of the file, so that the first error is the one shown.
fn in_order<'a, 'i>(table: &'a DeTable<'i>) -> Vec<(&'a Name<'i>, &'a Value<'i>)> {
    let mut members: Vec<_> = table.iter().collect();
    members.sort_by_key(|(name, _)| name.span().start);
    members
}

fn tables() -> String {
    let tables: BTreeSet<&str> = KEYS.iter().map(|key| key.table).collect();
    Vec::from_iter(tables).join(", ")
}

fn keys_of(table: &str) -> String {
    let keys = KEYS.iter().filter(|key| key.table == table);
    keys.map(|key| key.name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Config::parse("nanshe.toml", text).unwrap_err().to_string()
    }

    #[test]
    fn what_is_printed_reads_back_equal() {
        let default = Config::default();
        assert_eq!(Config::parse("f", "").unwrap(), default);
        assert_eq!(Config::parse("f", &default.to_toml()).unwrap(), default);
        let text = "[messages]\nttl_secs_max = 0x1_000\nttl_secs_default = 61\n\n[sharing]\n\
            signing_key = \"a \\\"b\\\" é\"\n[subscriptions]\nconfirmation_required = true\n\
            schemes = []\n[cors]\nallowed_origins = [\"https://h:8\"]\n[clients]\nuuid_required = false\nchars_max = 40\n[admin]\nmode = true\npooling = true\n";
        let config = Config::parse("f", text).unwrap();
        let limits = &config.settings.limits;
        assert_eq!(
            (limits.message_ttl_secs_max, limits.message_ttl_secs_default),
            (4_096, 61)
        );
        assert_ne!(config, default);
        assert_eq!(Config::parse("f", &config.to_toml()).unwrap(), config);
    }

    /// Every key has a place of its own: setting it changes what is printed for it, and no more.
    #[test]
    fn every_key_sets_what_it_shows() {
        for key in &KEYS {
            let value = match key.kind {
                Kind::Number { max, .. } => max.to_string(),
                Kind::Flag { get, .. } => (!get(&Config::default())).to_string(),
                Kind::Text { .. } => "\"x\"".to_owned(),
                Kind::Checked { sample, .. } => format!("\"{sample}\""),
                Kind::List { set, .. } => {
                    let items = ["http", "10.0.0.0/8", "https://h"];
                    let fits = |item: &&str| set(&mut Config::default(), &[*item]).is_some();
                    format!("[\"{}\"]", items.into_iter().find(fits).unwrap())
                }
            };
            // What keys demand of each other is not the matter here.
            let mut config = Config::default();
            let text = format!("v = {value}");
            let document = DeTable::parse(&text).unwrap();
            key.set(&mut config, document.get_ref()["v"].get_ref())
                .unwrap();
            assert_eq!(key.shown(&config), value, "{}", key.path());
            let others = KEYS.iter().filter(|other| other.path() != key.path());
            for other in others {
                let default = other.shown(&Config::default());
                assert_eq!(other.shown(&config), default, "{}", other.path());
            }
        }
    }

    #[test]
    fn errors_name_file_line_key_and_range() {
        assert_eq!(
            refused("\n[messages]\n# long\nttl_secs_max = 59\n"),
            "nanshe.toml:4: `messages.ttl_secs_max`: is not an integer from 60 to 4294967295"
        );
        assert_eq!(
            refused("[messages]\nttl_secs_max = 70\n"),
            "nanshe.toml:2: `messages.ttl_secs_default`: is 3600, more than \
             `messages.ttl_secs_max`, 70"
        );
        assert_eq!(
            refused("[subscriptions]\nconfirmation_required = true"),
            "nanshe.toml:2: `subscriptions.confirmation_required`: needs `sharing.signing_key`, \
             to sign what subscribers answer with"
        );
        assert_eq!(
            refused("[admin]\npooling = true"),
            "nanshe.toml:2: `admin.pooling`: needs `admin.mode`, for pools are added over the API"
        );
        for (text, start) in [
            (
                "[message]\n",
                "nanshe.toml:1: `message`: there is no such table; there are ",
            ),
            (
                "messages = 1\n",
                "nanshe.toml:1: `messages`: is not a table",
            ),
            (
                "[claims]\nttl = 1\n",
                "nanshe.toml:2: `claims.ttl`: there is no such key; there are ",
            ),
            (
                "[claims]\nttl_secs_max = \"1\"\n",
                "nanshe.toml:2: `claims.ttl_secs_max`: is not an",
            ),
            (
                "[claims]\nttl_secs_max = -60\n",
                "nanshe.toml:2: `claims.ttl_secs_max`: is not an",
            ),
            (
                "[sharing]\nsigning_key = 1\n",
                "nanshe.toml:2: `sharing.signing_key`: is not a string",
            ),
            (
                "[subscriptions]\nschemes = [\"ftp\"]\n",
                "nanshe.toml:2: `subscriptions.schemes`: is not an array of \"http\"",
            ),
            (
                "[cors]\nallowed_origins = [\"*\"]\n",
                "nanshe.toml:2: `cors.allowed_origins`: is not",
            ),
            ("[messages]\n\nx == 1\n", "nanshe.toml:3: "),
        ] {
            let message = refused(text);
            assert!(
                message.starts_with(start) && !message.contains('\n'),
                "{message}"
            );
        }
    }
}
