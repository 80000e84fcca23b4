//! Does not look whether its log took what it wrote: while the disk is full everything goes on, until the
//! server dies.
//!
//! Modelled on the scenario *full disk*: an error that nobody reads.

use nanshe_conformance::environment::BoxFuture;

use crate::durable::{Entry, Log, record, start};
use crate::implementation::{Implementation, Takes};
use crate::world::Disk;

pub(super) const SPECIMEN: Implementation = Implementation {
    name: "full-disk",
    about: "goes on when its disk is full",
    caught_by: Some("delivery/lost"),
    takes: Takes::ONE_ON_DISK,
    variants: &[],
    start: |context| start(&context, FullDisk),
};

#[derive(Clone, Copy)]
struct FullDisk;

impl Log for FullDisk {
    fn write(&self, disk: Disk, entry: Entry) -> BoxFuture<std::io::Result<()>> {
        Box::pin(async move {
            let written = disk.append("log", &record(&entry)).await;
            let synced = disk.sync("log").await;
            // Here the errors end.
            drop((written, synced));
            Ok(())
        })
    }
}
