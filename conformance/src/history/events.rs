//! A history as the events that it was written as, not paired: for converters, which keep every line.

use std::io::BufRead;

use super::pairing::{Pairing, Whole};
use super::{Event, FORMAT, Header, HistoryError, VERSION, blocks, lines};

/// Reads a history's header and events, as strictly as [`super::read`].
///
/// # Errors
///
/// As those of [`super::read`].
pub fn read_events(mut input: impl BufRead) -> Result<(Header, Vec<Event>), HistoryError> {
    let header = lines::header(&mut input)?;
    let mut events = Checked::default();
    blocks::events(input, 1, |line, event| {
        let added = events.add(&header, event);
        added.map_err(|message| HistoryError::Line { line, message })
    })?;
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
