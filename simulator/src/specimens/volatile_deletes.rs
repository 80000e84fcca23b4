//! Syncs its log after a post, but not after a delete, since a message that comes back can be deleted again: a
//! machine that loses its power brings back what was done with.
//!
//! Modelled on the scenario *undone delete*, and on G13 in H-34.

use nanshe_conformance::environment::BoxFuture;

use crate::durable::{Entry, Log, record, start};
use crate::implementation::{Implementation, Takes};
use crate::world::Disk;

pub(super) const SPECIMEN: Implementation = Implementation {
    name: "volatile-deletes",
    about: "syncs posts and not deletes: a crash brings messages back",
    caught_by: Some("delivery/resurrected"),
    takes: Takes::ONE_ON_DISK,
    variants: &[],
    start: |context| start(&context, VolatileDeletes),
};

#[derive(Clone, Copy)]
struct VolatileDeletes;

impl Log for VolatileDeletes {
    fn write(&self, disk: Disk, entry: Entry) -> BoxFuture<std::io::Result<()>> {
        Box::pin(async move {
            disk.append("log", &record(&entry)).await?;
            if entry.method != "DELETE" {
                disk.sync("log").await?;
            }
            Ok(())
        })
    }
}
