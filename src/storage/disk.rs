//! The engines as one closed set: ordered keys and values, atomic writes, consistent views. What the keys
//! mean is decided above, in `store`.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;

use super::Error;
use super::fjall::{Fjall, FjallView};
use super::memory::{Memory, MemoryView};
use super::sled::{Sled, SledView};
use crate::partition::Visit;

/// What one atomic write stores (`None` deletes). Sorted and without doubles, as the engines like it.
pub(super) type Writes = BTreeMap<Bytes, Option<Bytes>>;

/// The two ends of a range of stored keys.
pub(super) type Bounds = (Bound<Bytes>, Bound<Bytes>);

/// An open engine.
pub(super) enum Disk {
    /// Log-structured merge tree.
    Fjall(Fjall),
    /// B+ tree on a log.
    Sled(Sled),
    /// A map that knows what was flushed.
    Memory(Memory),
}

impl Disk {
    /// The live value at `key`.
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        match self {
            Self::Fjall(fjall) => fjall.get(key),
            Self::Sled(sled) => sled.get(key),
            Self::Memory(memory) => Ok(memory.get(key)),
        }
    }

    /// Stores all of `writes` or, after a crash, none.
    pub fn write(&self, writes: Writes) -> Result<(), Error> {
        match self {
            Self::Fjall(fjall) => fjall.write(writes),
            Self::Sled(sled) => sled.write(writes),
            Self::Memory(memory) => {
                memory.write(writes);
                Ok(())
            }
        }
    }

    /// Makes every write so far survive a loss of power.
    pub fn flush(&self) -> Result<(), Error> {
        match self {
            Self::Fjall(fjall) => fjall.flush(),
            Self::Sled(sled) => sled.flush(),
            Self::Memory(memory) => {
                memory.flush();
                Ok(())
            }
        }
    }

    /// Everything written so far, as of now.
    pub fn view(&self) -> DiskView {
        match self {
            Self::Fjall(fjall) => DiskView::Fjall(fjall.view()),
            Self::Sled(sled) => DiskView::Sled(sled.view()),
            Self::Memory(memory) => DiskView::Memory(memory.view()),
        }
    }

    /// About how many bytes are in use.
    pub fn size_bytes(&self) -> u64 {
        match self {
            Self::Fjall(fjall) => fjall.size_bytes(),
            Self::Sled(sled) => sled.size_bytes(),
            Self::Memory(memory) => memory.size_bytes(),
        }
    }
}

/// An engine as of one moment.
pub(super) enum DiskView {
    /// A snapshot.
    Fjall(FjallView),
    /// The live tree and what to undo in it.
    Sled(SledView),
    /// A shared map.
    Memory(MemoryView),
}

impl DiskView {
    /// The value at `key`.
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        match self {
            Self::Fjall(view) => view.get(key),
            Self::Sled(view) => view.get(key),
            Self::Memory(view) => Ok(view.get(key)),
        }
    }

    /// Visits a range in the order of its keys (or the opposite), until `visit` breaks.
    pub fn range(&self, bounds: Bounds, reverse: bool, visit: &mut Visit<'_>) -> Result<(), Error> {
        if is_empty(&bounds) {
            return Ok(());
        }
        match self {
            Self::Fjall(view) => view.range(bounds, reverse, visit),
            Self::Sled(view) => view.range(bounds, reverse, visit),
            Self::Memory(view) => {
                view.range(bounds, reverse, visit);
                Ok(())
            }
        }
    }
}

/// Whether no key can lie in the bounds: the engines disagree on what an inverted range is.
fn is_empty(bounds: &Bounds) -> bool {
    match bounds {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (Bound::Included(from) | Bound::Excluded(from), Bound::Included(to) | Bound::Excluded(to)) => {
            from >= to
        }
    }
}
