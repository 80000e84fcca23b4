//! Which resource a path names.

use percent_encoding::percent_decode_str;

/// A resource. Names are decoded, and not looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Ping,
    Queue(String),
    Messages(String),
    Message(String, String),
    Claims(String),
    Claim(String, String),
    Stats(String),
    Purge(String),
}

impl Route {
    /// What `path` names, if anything. A slash at its end is a name that is empty.
    pub(super) fn of(path: &str) -> Option<Self> {
        let rest = path.strip_prefix("/v2/")?;
        if rest == "ping" {
            return Some(Self::Ping);
        }
        let rest = rest.strip_prefix("queues/")?;
        let segments: Option<Vec<String>> = rest.split('/').map(decode).collect();
        let mut segments = segments?.into_iter();
        let queue = segments.next()?;
        let (kind, id) = (segments.next(), segments.next());
        if segments.next().is_some() {
            return None;
        }
        match (kind.as_deref(), id) {
            (None, _) => Some(Self::Queue(queue)),
            (Some("messages"), None) => Some(Self::Messages(queue)),
            (Some("messages"), Some(id)) => Some(Self::Message(queue, id)),
            (Some("claims"), None) => Some(Self::Claims(queue)),
            (Some("claims"), Some(id)) => Some(Self::Claim(queue, id)),
            (Some("stats"), None) => Some(Self::Stats(queue)),
            (Some("purge"), None) => Some(Self::Purge(queue)),
            (Some(_), _) => None,
        }
    }

    /// The queue that it belongs to.
    pub(super) fn queue(&self) -> Option<&str> {
        match self {
            Self::Ping => None,
            Self::Queue(queue)
            | Self::Messages(queue)
            | Self::Message(queue, _)
            | Self::Claims(queue)
            | Self::Claim(queue, _)
            | Self::Stats(queue)
            | Self::Purge(queue) => Some(queue),
        }
    }
}

fn decode(segment: &str) -> Option<String> {
    let decoded = percent_decode_str(segment).decode_utf8().ok()?;
    Some(decoded.into_owned())
}
