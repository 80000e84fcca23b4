//! Writes its log, and leaves it to the operating system when that reaches the disk: a machine that loses its
//! power takes along what it had said it has.
//!
//! Modelled on the scenario *missing sync*: Redis with `appendfsync no`.

use nanshe_conformance::environment::BoxFuture;

use crate::durable::{Entry, Log, record, start};
use crate::implementation::{Implementation, Takes};
use crate::world::Disk;

pub(super) const SPECIMEN: Implementation = Implementation {
    name: "unsynced-log",
    about: "never syncs its log",
    caught_by: Some("delivery/lost"),
    takes: Takes::ONE_ON_DISK,
    variants: &[],
    start: |context| start(&context, UnsyncedLog),
};

#[derive(Clone, Copy)]
struct UnsyncedLog;

impl Log for UnsyncedLog {
    fn write(&self, disk: Disk, entry: Entry) -> BoxFuture<std::io::Result<()>> {
        Box::pin(async move { disk.append("log", &record(&entry)).await })
    }
}
