//! The part of EDN that histories need, read into JSON values: nil, booleans, integers, strings,
//! keywords, maps, vectors and lists. Tags are passed over, as in `#jepsen.history.Op{…}`.
//!
//! Keywords become strings, and keys of maps are written as our fields are: `:ttl-secs` is `ttl_secs`.

use serde_json::{Map, Value};

/// How deep forms may be nested: an operation has messages in its value, no more.
const DEPTH_MAX: usize = 32;

/// A form at the top, or in the one vector that is there.
pub(super) struct Form {
    /// The line on which it begins, from 1.
    pub(super) line: usize,
    pub(super) value: Value,
}

/// What is wrong, and on which line.
pub(super) type Wrong = (usize, String);

/// All forms of `text`.
pub(super) fn forms(text: &str) -> Result<Vec<Form>, Wrong> {
    let mut reader = Reader {
        rest: text,
        line: 1,
        depth: 0,
    };
    let mut forms = Vec::new();
    reader
        .read_forms(&mut forms)
        .map_err(|message| (reader.line, message))?;
    Ok(forms)
}

struct Reader<'t> {
    rest: &'t str,
    line: usize,
    depth: usize,
}

impl Reader<'_> {
    fn read_forms(&mut self, forms: &mut Vec<Form>) -> Result<(), String> {
        self.skip_space()?;
        // The whole history may be one vector, or a list.
        let end = match self.peek() {
            Some('[') => Some(']'),
            Some('(') => Some(')'),
            Some(_) | None => None,
        };
        if end.is_some() {
            self.take();
            self.skip_space()?;
        }
        while self.peek().is_some() && self.peek() != end {
            let line = self.line;
            let value = self.read()?;
            forms.push(Form { line, value });
            self.skip_space()?;
        }
        match (end, self.take()) {
            (Some(end), None) => return Err(format!("ends where `{end}` is missing")),
            (None, _) => return Ok(()),
            (Some(_), Some(_)) => self.skip_space()?,
        }
        match self.peek() {
            None => Ok(()),
            Some(found) => Err(format!("`{found}` stands after the end of the history")),
        }
    }

    fn read(&mut self) -> Result<Value, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("is nested more than {DEPTH_MAX} deep"));
        }
        let value = self.read_here();
        self.depth -= 1;
        value
    }

    fn read_here(&mut self) -> Result<Value, String> {
        self.skip_space()?;
        match self.peek() {
            None => Err("ends where a value is missing".to_owned()),
            Some('{') => self.read_map(),
            Some('[') => self.read_list(']'),
            Some('(') => self.read_list(')'),
            Some('"') => self.read_string().map(Value::String),
            Some('#') => {
                self.take();
                match self.peek() {
                    Some('{') => Err("a set stands where a history has none".to_owned()),
                    Some(_) | None => {
                        self.word();
                        self.read()
                    }
                }
            }
            Some(':') => {
                self.take();
                match self.word() {
                    "" => Err("a keyword has no name".to_owned()),
                    name => Ok(Value::String(name.to_owned())),
                }
            }
            Some(_) => self.read_word(),
        }
    }

    fn read_word(&mut self) -> Result<Value, String> {
        let word = self.word();
        let number = word.strip_suffix('N').unwrap_or(word);
        let number = number.strip_prefix('+').unwrap_or(number);
        match word {
            "nil" => Ok(Value::Null),
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            "" => {
                let found = self.peek().unwrap_or_default();
                Err(format!("`{found}` stands where a value is missing"))
            }
            _ => {
                let unsigned = number.parse::<u64>().map(Value::from);
                let number = unsigned.or_else(|_| number.parse::<i64>().map(Value::from));
                number.map_err(|_| {
                    format!("`{word}` is not nil, true, false, an integer, a string or a keyword")
                })
            }
        }
    }

    fn read_map(&mut self) -> Result<Value, String> {
        self.take();
        let mut map = Map::new();
        loop {
            self.skip_space()?;
            if self.peek() == Some('}') {
                self.take();
                return Ok(Value::Object(map));
            }
            if self.peek().is_none() {
                return Err("ends where `}` is missing".to_owned());
            }
            let Value::String(key) = self.read()? else {
                return Err("the key of a map is neither a keyword nor a string".to_owned());
            };
            let key = key.replace('-', "_");
            let value = self.read()?;
            if map.contains_key(&key) {
                return Err(format!("duplicate field `{key}`"));
            }
            map.insert(key, value);
        }
    }

    fn read_list(&mut self, end: char) -> Result<Value, String> {
        self.take();
        let mut list = Vec::new();
        loop {
            self.skip_space()?;
            if self.peek() == Some(end) {
                self.take();
                return Ok(Value::Array(list));
            }
            if self.peek().is_none() {
                return Err(format!("ends where `{end}` is missing"));
            }
            list.push(self.read()?);
        }
    }

    fn read_string(&mut self) -> Result<String, String> {
        let open = "ends where `\"` is missing";
        self.take();
        let mut text = String::new();
        loop {
            match self.take().ok_or(open)? {
                '"' => return Ok(text),
                '\\' => text.push(match self.take().ok_or(open)? {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    'u' => self.read_code()?,
                    plain @ ('"' | '\\') => plain,
                    other => return Err(format!("`\\{other}` is no escape in a string")),
                }),
                plain => text.push(plain),
            }
        }
    }

    fn read_code(&mut self) -> Result<char, String> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.take().and_then(|digit| digit.to_digit(16));
            code = code * 16 + digit.ok_or("`\\u` wants four hexadecimal digits")?;
        }
        char::from_u32(code).ok_or_else(|| format!("`\\u{code:04x}` is no character"))
    }

    /// White space, commas, comments, and forms that `#_` discards.
    fn skip_space(&mut self) -> Result<(), String> {
        while let Some(next) = self.peek() {
            if next.is_whitespace() || next == ',' {
                self.take();
            } else if next == ';' {
                while self.peek().is_some_and(|next| next != '\n') {
                    self.take();
                }
            } else if self.rest.starts_with("#_") {
                self.take();
                self.take();
                self.read()?;
            } else {
                break;
            }
        }
        Ok(())
    }

    fn word(&mut self) -> &str {
        let ends = |next: char| next.is_whitespace() || ",;\"()[]{}".contains(next);
        let length = self.rest.find(ends).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(length);
        self.rest = rest;
        word
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn take(&mut self) -> Option<char> {
        let mut rest = self.rest.chars();
        let taken = rest.next();
        self.rest = rest.as_str();
        self.line += usize::from(taken == Some('\n'));
        taken
    }
}
