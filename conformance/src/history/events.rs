//! A history as the events that it was written as, not paired: for converters, which keep every line.

use std::io::BufRead;

use super::pairing::{Pairing, Whole};
use super::raw::{self, parse};
use super::{Event, FORMAT, Header, HistoryError, VERSION};

/// Reads a history's header and events, line by line, as strictly as [`super::read`].
///
/// # Errors
///
/// As those of [`super::read`].
pub fn read_events(input: impl BufRead) -> Result<(Header, Vec<Event>), HistoryError> {
    let mut header = None;
    let mut events = Checked::default();
    for (index, line) in input.lines().enumerate() {
        let number = index + 1;
        let at = |message| HistoryError::Line {
            line: number,
            message,
        };
        let line = line.map_err(|error| HistoryError::Read {
            line: number,
            error,
        })?;
        match &header {
            None => header = Some(checked(parse(&line).map_err(at)?).map_err(at)?),
            Some(header) => {
                let event = raw::event(&line).map_err(at)?;
                events.add(header, event).map_err(at)?;
            }
        }
    }
    let header = header.ok_or(HistoryError::Empty)?;
    Ok((header, events.events))
}

/// The header, if it is one of this format and version.
pub(super) fn checked(header: Header) -> Result<Header, String> {
    let Header {
        format, version, ..
    } = &header;
    if format == FORMAT && *version == VERSION {
        return Ok(header);
    }
    Err(format!(
        "is `{format}` version {version}, expected `{FORMAT}` version {VERSION}"
    ))
}

/// Events of which each follows from those before.
#[derive(Default)]
pub(super) struct Checked {
    pairing: Option<Pairing<Whole>>,
    pub(super) events: Vec<Event>,
}

impl Checked {
    pub(super) fn add(&mut self, header: &Header, event: Event) -> Result<(), String> {
        let pairing = self
            .pairing
            .get_or_insert_with(|| Pairing::new(Whole::new(header.clone())));
        pairing.add(event.clone())?;
        self.events.push(event);
        Ok(())
    }
}
