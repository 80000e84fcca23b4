//! `clouds.yaml`, as far as it says who logs in: nested mappings of scalars.
//!
//! That is a small part of YAML, and all that such files use for it. Whatever else a file holds is
//! refused with its line, if it stands in the way, and never guessed at.

use std::collections::BTreeMap;

use crate::document::{DocumentError, suggestion};

/// One cloud of such a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cloud {
    place: String,
    values: BTreeMap<String, String>,
}

impl Cloud {
    /// Where it stands, for errors.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// The value of a key of `auth`, or of the cloud itself.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        let inner = self.values.get(&format!("auth.{key}"));
        inner.or_else(|| self.values.get(key)).map(String::as_str)
    }

    /// The cloud called `name` in the file's text.
    ///
    /// # Errors
    ///
    /// With file and line, if it is not there or not of a form that is understood.
    pub fn find(file: &str, text: &str, name: &str) -> Result<Self, DocumentError> {
        let refuse = |line: Option<usize>, message: String| DocumentError {
            file: file.to_owned(),
            line,
            key: None,
            message,
        };
        let mut path: Vec<(usize, String)> = Vec::new();
        let mut clouds: Vec<String> = Vec::new();
        let mut values = BTreeMap::new();
        for (number, line) in text.lines().enumerate() {
            let content = line.trim_start_matches(' ');
            if content.is_empty() || content.starts_with('#') || content.trim() == "---" {
                continue;
            }
            let indent = line.len() - content.len();
            path.retain(|(outer, _)| *outer < indent);
            let inside = path.iter().map(|(_, key)| key.as_str()).collect::<Vec<_>>();
            let ours = inside.is_empty()
                || (inside[0] == "clouds" && (inside.len() == 1 || inside[1] == name));
            let parsed = entry(content);
            let (key, value) = match parsed {
                Ok(entry) => entry,
                Err(why) if ours => return Err(refuse(Some(number + 1), why)),
                // Other clouds may be written in any way.
                Err(_) => continue,
            };
            match (inside.as_slice(), value) {
                (["clouds"], _) => clouds.push(key.clone()),
                (["clouds", _, rest @ ..], Some(value)) if ours => {
                    let full = rest
                        .iter()
                        .copied()
                        .chain([key.as_str()])
                        .collect::<Vec<_>>()
                        .join(".");
                    values.insert(full, value);
                }
                _ => {}
            }
            path.push((indent, key));
        }
        if !clouds.iter().any(|cloud| cloud == name) {
            let near = suggestion(name, clouds.iter().map(String::as_str));
            return Err(refuse(None, format!("there is no cloud `{name}`{near}")));
        }
        Ok(Self {
            place: format!("{file}, cloud {name}"),
            values,
        })
    }
}

/// `key: value`, or `key:` before a mapping.
fn entry(content: &str) -> Result<(String, Option<String>), String> {
    if content.starts_with('\t') {
        return Err("is indented by a tab, which YAML forbids".to_owned());
    }
    if content.starts_with("- ") || content == "-" {
        // A list says nothing about who logs in; its lines are nobody's keys.
        return Ok((String::new(), None));
    }
    let (key, rest) = content
        .split_once(": ")
        .or_else(|| Some((content.trim_end().strip_suffix(':')?, "")))
        .ok_or("is not understood, expected `key: value`")?;
    let key = key.trim().trim_matches(['"', '\'']).to_owned();
    Ok((key, scalar(rest.trim())?))
}

/// A scalar; `None` for nothing.
fn scalar(text: &str) -> Result<Option<String>, String> {
    let not_understood = |what: &str| {
        Err(format!(
            "{what} is not understood here, expected plain text or quotes"
        ))
    };
    let Some(first) = text.chars().next() else {
        return Ok(None);
    };
    match first {
        '#' => Ok(None),
        '\'' => {
            let inner = text[1..].replace("''", "\u{0}");
            match inner.split_once('\'') {
                Some((value, rest)) if is_comment(rest) => Ok(Some(value.replace('\u{0}', "'"))),
                Some(_) | None => not_understood("what follows a quote"),
            }
        }
        '"' => {
            // JSON's escapes are among YAML's; the others are refused.
            let mut values = serde_json::Deserializer::from_str(text).into_iter::<String>();
            match values.next() {
                Some(Ok(value)) if is_comment(&text[values.byte_offset()..]) => Ok(Some(value)),
                Some(_) | None => not_understood("what stands in quotes"),
            }
        }
        '|' | '>' | '&' | '*' | '!' | '{' | '[' | '%' | '@' | '`' => {
            not_understood(&format!("a value that begins with `{first}`"))
        }
        _ => {
            let value = text.split(" #").next().unwrap_or_default().trim_end();
            let none = matches!(value, "~" | "null");
            Ok((!none).then(|| value.to_owned()))
        }
    }
}

fn is_comment(rest: &str) -> bool {
    let rest = rest.trim_start();
    rest.is_empty() || rest.starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"---
# a comment
clouds:
  other:
    regions: [a, b]
    auth: {username: x}
  mine:
    region_name: RegionOne   # a comment
    auth_type: "v3password"
    auth:
      auth_url: http://k:5000/v3
      username: 'it''s me'
      password: "a \"b\" # c"
      project_name: demo
    verify: false
    networks:
      - name: public
        routes_externally: true
  last:
    auth:
      username: y
"#;

    fn find(text: &str, name: &str) -> Result<Cloud, String> {
        Cloud::find("clouds.yaml", text, name).map_err(|error| error.to_string())
    }

    #[test]
    fn cloud_has_its_own_values_and_no_others() {
        let cloud = find(FILE, "mine").unwrap();
        assert_eq!(cloud.get("auth_url"), Some("http://k:5000/v3"));
        assert_eq!(cloud.get("username"), Some("it's me"));
        assert_eq!(cloud.get("password"), Some("a \"b\" # c"));
        assert_eq!(cloud.get("region_name"), Some("RegionOne"));
        assert_eq!(cloud.get("auth_type"), Some("v3password"));
        assert_eq!(find(FILE, "last").unwrap().get("username"), Some("y"));
        assert_eq!(find(FILE, "last").unwrap().get("password"), None);
    }

    #[test]
    fn unknown_cloud_and_what_is_not_understood_are_named() {
        assert_eq!(
            find(FILE, "mien").unwrap_err(),
            "clouds.yaml: there is no cloud `mien` (did you mean `mine`?)"
        );
        assert_eq!(
            find(FILE, "other").unwrap_err(),
            "clouds.yaml:5: a value that begins with `[` is not understood here, expected plain \
             text or quotes"
        );
        assert_eq!(
            find("clouds:\n  a:\n    nonsense\n", "a").unwrap_err(),
            "clouds.yaml:3: is not understood, expected `key: value`"
        );
    }
}
