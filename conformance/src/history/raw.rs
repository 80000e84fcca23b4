//! A line as it stands in the file, and the event that it means.
//!
//! Serde cannot refuse unknown fields of what is flattened, and is slow about it. So a line is read
//! into all fields that there are, each at most once; its event takes those that belong to it, and
//! what is left over is refused. The fields are empty then, and read into again.

use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer as _};
use serde_json::value::RawValue;

use super::{Answer, Event, Operation, Phase, Posted, QueueSettings, Seen, What};
use crate::environment::Instant;

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Type {
    Invoke,
    Ok,
    Fail,
    Info,
    Inject,
    Heal,
    Phase,
    Push,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum F {
    Post,
    Claim,
    ClaimGet,
    Renew,
    Release,
    Delete,
    BulkDelete,
    Pop,
    Get,
    GetMany,
    List,
    Stats,
    Purge,
    CreateQueue,
    SetMetadata,
    DeleteQueue,
    Subscribe,
}

/// A message, posted or seen.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    token: String,
    id: Option<String>,
    ttl_secs: Option<u64>,
    delay_secs: Option<u64>,
    body: Option<String>,
}

impl Message {
    fn posted(self) -> Result<Posted, String> {
        let Self {
            token,
            id,
            ttl_secs,
            delay_secs,
            body,
        } = self;
        if id.is_some() {
            return Err(unknown("id"));
        }
        let ttl_secs = ttl_secs.ok_or_else(|| missing("ttl_secs"))?;
        Ok(Posted {
            token,
            ttl_secs,
            delay_secs,
            body,
        })
    }

    fn seen(self) -> Result<Seen, String> {
        let Self {
            token,
            id,
            ttl_secs,
            delay_secs,
            body,
        } = self;
        let foreign = [
            ("ttl_secs", ttl_secs.is_some()),
            ("delay_secs", delay_secs.is_some()),
        ];
        if let Some((name, _)) = foreign.into_iter().find(|&(_, is_there)| is_there) {
            return Err(unknown(name));
        }
        let id = id.ok_or_else(|| missing("id"))?;
        Ok(Seen { id, token, body })
    }
}

/// The fields of all lines, how to read them, and which of them nobody asked for. What is nullable and
/// null is told apart from what is not there; elsewhere null is as good as nothing.
macro_rules! line {
    (plain { $($plain:ident: $plain_type:ty,)* } nullable { $($nullable:ident: $nullable_type:ty,)* }) => {
        /// One line, or what is left of it: it is read into, and taken from, field by field, for most
        /// lines have few of them.
        #[derive(Default)]
        pub(super) struct Line<'a> {
            at: Option<Instant>,
            r#type: Option<Type>,
            $($plain: Option<$plain_type>,)*
            $($nullable: Option<Option<$nullable_type>>,)*
        }

        #[derive(Clone, Copy, Deserialize)]
        #[serde(field_identifier)]
        #[expect(non_camel_case_types, reason = "they are called what the fields are called")]
        enum Field {
            at,
            r#type,
            $($plain,)*
            $($nullable,)*
        }

        impl Field {
            fn name(self) -> &'static str {
                match self {
                    Self::at => "at",
                    Self::r#type => "type",
                    $(Self::$plain => stringify!($plain),)*
                    $(Self::$nullable => stringify!($nullable),)*
                }
            }
        }

        impl<'de> Line<'de> {
            fn read_field<A: MapAccess<'de>>(
                &mut self,
                field: Field,
                map: &mut A,
            ) -> Result<(), A::Error> {
                match field {
                    Field::at => self.at = Some(map.next_value()?),
                    Field::r#type => self.r#type = Some(map.next_value()?),
                    $(Field::$plain => self.$plain = map.next_value()?,)*
                    $(Field::$nullable => self.$nullable = Some(map.next_value()?),)*
                }
                Ok(())
            }

            fn left_over(&self) -> Option<&'static str> {
                $(if self.$plain.is_some() {
                    return Some(stringify!($plain));
                })*
                $(if self.$nullable.is_some() {
                    return Some(stringify!($nullable));
                })*
                None
            }
        }
    };
}

line! {
    plain {
        process: u64,
        project: String,
        f: F,
        queue: String,
        message: &'a RawValue,
        ids: Vec<String>,
        limit: u64,
        ttl_secs: u64,
        grace_secs: u64,
        chain: u64,
        echo: bool,
        include_claimed: bool,
        include_delayed: bool,
        settings: Box<QueueSettings>,
        subscriber: String,
        subscription: String,
        free: u64,
        claimed: u64,
        total: u64,
        created: bool,
        why: String,
        fault: String,
        phase: Phase,
        token: String,
    }
    nullable {
        messages: Vec<Message>,
        claim: String,
        marker: String,
        next: String,
        status: u16,
        id: String,
    }
}

impl<'de> Visitor<'de> for &mut Line<'de> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut given = 0_u64;
        while let Some(field) = map.next_key::<Field>()? {
            let before = given;
            given |= 1 << field as u32;
            if given == before {
                return Err(A::Error::duplicate_field(field.name()));
            }
            self.read_field(field, &mut map)?;
        }
        Ok(())
    }
}

fn missing(name: &str) -> String {
    format!("missing field `{name}`")
}

fn unknown(name: &str) -> String {
    format!("unknown field `{name}` in a line of this kind")
}

/// `$line.$field`, which has to be there.
macro_rules! take {
    ($line:ident.$field:ident) => {
        $line
            .$field
            .take()
            .ok_or_else(|| missing(stringify!($field)))?
    };
}

impl<'a> Line<'a> {
    /// The event that `text` means; nothing of what was read before may be left.
    pub(super) fn event(&mut self, text: &'a str) -> Result<Event, String> {
        let mut json = serde_json::Deserializer::from_str(text);
        let read = json.deserialize_map(&mut *self).and_then(|()| json.end());
        read.map_err(|error| told(&error))?;
        let line = self;
        let at = take!(line.at);
        let r#type = line.r#type.take().ok_or_else(|| missing("type"))?;
        let what = match r#type {
            Type::Invoke => What::Invoke {
                process: take!(line.process),
                project: line.project.take().unwrap_or_default(),
                operation: line.operation()?,
            },
            Type::Ok => What::Ok {
                process: take!(line.process),
                answer: line.answer()?,
            },
            Type::Fail => What::Fail {
                process: take!(line.process),
                status: line.status.take().flatten(),
            },
            Type::Info => What::Info {
                process: take!(line.process),
                why: take!(line.why),
            },
            Type::Inject => What::Inject {
                fault: take!(line.fault),
            },
            Type::Heal => What::Heal {
                fault: take!(line.fault),
            },
            Type::Phase => What::Phase {
                phase: take!(line.phase),
            },
            Type::Push => What::Push {
                project: line.project.take().unwrap_or_default(),
                queue: take!(line.queue),
                subscriber: take!(line.subscriber),
                token: take!(line.token),
                id: line.id.take().flatten(),
                status: line.status.take().flatten(),
            },
        };
        match line.left_over() {
            Some(name) => Err(unknown(name)),
            None => Ok(Event { at, what }),
        }
    }

    fn operation(&mut self) -> Result<Operation, String> {
        let line = self;
        let f = take!(line.f);
        let queue = take!(line.queue);
        Ok(match f {
            F::Post => {
                let messages = take!(line.messages).ok_or_else(|| missing("messages"))?;
                let messages = messages.into_iter().map(Message::posted);
                let messages = messages.collect::<Result<_, _>>()?;
                Operation::Post { queue, messages }
            }
            F::Claim => Operation::Claim {
                queue,
                limit: take!(line.limit),
                ttl_secs: take!(line.ttl_secs),
                grace_secs: take!(line.grace_secs),
            },
            F::Renew => Operation::Renew {
                queue,
                claim: line.claim()?,
                ttl_secs: take!(line.ttl_secs),
                grace_secs: take!(line.grace_secs),
            },
            F::List => Operation::List {
                queue,
                chain: take!(line.chain),
                marker: line.marker.take().flatten(),
                limit: take!(line.limit),
                echo: take!(line.echo),
                include_claimed: take!(line.include_claimed),
                include_delayed: take!(line.include_delayed),
            },
            F::Subscribe => Operation::Subscribe {
                queue,
                subscriber: take!(line.subscriber),
                ttl_secs: take!(line.ttl_secs),
            },
            F::ClaimGet
            | F::Release
            | F::Delete
            | F::BulkDelete
            | F::Pop
            | F::Get
            | F::GetMany
            | F::Stats
            | F::Purge
            | F::CreateQueue
            | F::SetMetadata
            | F::DeleteQueue => line.small_operation(f, queue)?,
        })
    }

    /// Operations of the fields that many have.
    fn small_operation(&mut self, f: F, queue: String) -> Result<Operation, String> {
        let line = self;
        Ok(match f {
            F::ClaimGet => Operation::ClaimGet {
                queue,
                claim: line.claim()?,
            },
            F::Release => Operation::Release {
                queue,
                claim: line.claim()?,
            },
            F::Delete => Operation::Delete {
                queue,
                message: line.message_id()?,
                claim: line.claim.take().flatten(),
            },
            F::BulkDelete => Operation::BulkDelete {
                queue,
                ids: take!(line.ids),
            },
            F::Pop => Operation::Pop {
                queue,
                limit: take!(line.limit),
            },
            F::Get => Operation::Get {
                queue,
                message: line.message_id()?,
            },
            F::GetMany => Operation::GetMany {
                queue,
                ids: take!(line.ids),
            },
            F::Stats => Operation::Stats { queue },
            F::Purge => Operation::Purge { queue },
            F::CreateQueue => Operation::CreateQueue {
                queue,
                settings: take!(line.settings),
            },
            F::SetMetadata => Operation::SetMetadata {
                queue,
                settings: take!(line.settings),
            },
            F::DeleteQueue => Operation::DeleteQueue { queue },
            F::Post | F::Claim | F::Renew | F::List | F::Subscribe => {
                unreachable!("`operation` reads these itself")
            }
        })
    }

    fn answer(&mut self) -> Result<Answer, String> {
        let line = self;
        Ok(match take!(line.f) {
            F::Post => Answer::Post {
                ids: take!(line.ids),
            },
            F::Claim => Answer::Claim {
                claim: line.claim.take().flatten(),
                messages: line.seen()?,
            },
            F::ClaimGet => Answer::ClaimGet {
                messages: line.seen_if_any()?,
            },
            F::Renew => Answer::Renew,
            F::Release => Answer::Release,
            F::Delete => Answer::Delete,
            F::BulkDelete => Answer::BulkDelete,
            F::Pop => Answer::Pop {
                messages: line.seen()?,
            },
            F::Get => {
                // A message that is not there may be said by null, or by nothing.
                let message = line.message.take().map_or("null", RawValue::get);
                let message: Option<Message> = parse(message)?;
                let message = message.map(Message::seen).transpose()?;
                Answer::Get { message }
            }
            F::GetMany => Answer::GetMany {
                messages: line.seen()?,
            },
            F::List => Answer::List {
                messages: line.seen()?,
                next: line.next.take().flatten(),
            },
            F::Stats => Answer::Stats {
                free: take!(line.free),
                claimed: take!(line.claimed),
                total: take!(line.total),
            },
            F::Purge => Answer::Purge,
            F::CreateQueue => Answer::CreateQueue {
                created: take!(line.created),
            },
            F::SetMetadata => Answer::SetMetadata,
            F::DeleteQueue => Answer::DeleteQueue,
            F::Subscribe => Answer::Subscribe {
                subscription: take!(line.subscription),
            },
        })
    }

    fn claim(&mut self) -> Result<String, String> {
        self.claim.take().flatten().ok_or_else(|| missing("claim"))
    }

    fn message_id(&mut self) -> Result<String, String> {
        let line = self;
        parse(take!(line.message).get())
    }

    fn seen(&mut self) -> Result<Vec<Seen>, String> {
        self.seen_if_any()?.ok_or_else(|| missing("messages"))
    }

    fn seen_if_any(&mut self) -> Result<Option<Vec<Seen>>, String> {
        let line = self;
        let messages = take!(line.messages);
        let seen = |messages: Vec<Message>| messages.into_iter().map(Message::seen).collect();
        messages.map(seen).transpose()
    }
}

/// The event that `line` means.
pub(super) fn event(line: &str) -> Result<Event, String> {
    Line::default().event(line)
}

/// Reads one JSON text.
pub(super) fn parse<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| told(&error))
}

/// What is wrong with a line.
fn told(error: &serde_json::Error) -> String {
    // The line is one JSON text: serde_json's own "at line 1" would only confuse.
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    message.to_owned()
}
