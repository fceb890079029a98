//! What an item store can do, whatever engine is below.

use std::sync::Arc;

use bytes::Bytes;

use super::Error;
use crate::model::id::GroupId;
use crate::partition::{Batch, View};

/// The items of all groups of a node, and each group's state. Reading it directly ([`View`]) reads the live
/// items: one `get` or one `range` sees whole batches only, two in a row may see a commit between them.
///
/// One thread at a time writes for a group; many write for different groups at once. The key ranges of the
/// groups do not overlap.
pub trait Items: View<Error = Error> + Send + Sync + 'static {
    /// Stores a batch and its group's new state: all or nothing, also over a crash. Not durable until the next
    /// [`flush`](Self::flush), but what a crash leaves is always a prefix of the commits, in their order.
    fn commit(&self, batch: Batch) -> Result<(), Error> {
        self.commit_many(vec![batch])
    }

    /// Stores several batches, of one group or of many, as one: cheaper than one at a time. Where two write
    /// the same key or the same state, the later one wins.
    fn commit_many(&self, batches: Vec<Batch>) -> Result<(), Error>;

    /// The state of the group's last committed batch. `None` if the group was never here, was removed, or
    /// its import is not finished: it must be imported, or replayed from the beginning of its log.
    fn state(&self, group: GroupId) -> Result<Option<Bytes>, Error>;

    /// The groups that have a state, in ascending order.
    fn groups(&self) -> Result<Vec<GroupId>, Error>;

    /// Makes everything committed before this call survive a loss of power. Blocks for the disk.
    fn flush(&self) -> Result<(), Error>;

    /// A consistent view of everything committed so far: items and states of all groups as of one moment.
    /// Cheap to open; while it lives the engine keeps what it sees, so it must not be kept for long: on sled
    /// it may end in [`Error::ViewExpired`], on fjall it holds back compaction.
    fn view(&self) -> Result<Arc<dyn ItemsView>, Error>;

    /// Begins to replace all items in `from..to` (`None`: no upper end) and the state of `group`. From here
    /// until [`import_finish`](Self::import_finish) the group has no state, and its range reads as empty,
    /// live and in views opened meanwhile; views opened before keep what they saw. Deletes the old items, so
    /// it may take a while. Begun again, the import starts from nothing.
    ///
    /// A crash before the finish is durable leaves, after the next open, one of two things: the group as it
    /// was before this call (when not even the beginning reached the disk), or no state and no items. Never a
    /// part of the new items, never a mixture.
    fn import_begin(&self, group: GroupId, from: &[u8], to: Option<&[u8]>) -> Result<(), Error>;

    /// Adds items to the group's import, in any order; an item added twice counts once. A few hundred KiB at
    /// a time is a good size.
    fn import_chunk(&self, group: GroupId, items: &[(Bytes, Bytes)]) -> Result<(), Error>;

    /// Ends the import: the items and `state` appear at once, and are durable when this returns.
    fn import_finish(&self, group: GroupId, state: Bytes) -> Result<(), Error>;

    /// Forgets the state of `group` and the items in `from..to` (`None`: no upper end; an empty range leaves
    /// all items, for a parent whose children took them over), when a replica leaves. They vanish at once; an
    /// import in progress is given up. A crash in the middle is completed by the next open. Durable with the
    /// next [`flush`](Self::flush).
    fn remove(&self, group: GroupId, from: &[u8], to: Option<&[u8]>) -> Result<(), Error>;

    /// About how many bytes the items take on disk.
    fn size_bytes(&self) -> u64;
}

/// All items and states as of one moment.
pub trait ItemsView: View<Error = Error> + Send + Sync + 'static {
    /// The state of the group's last batch the view sees.
    fn state(&self, group: GroupId) -> Result<Option<Bytes>, Error>;

    /// The groups that had a state, in ascending order.
    fn groups(&self) -> Result<Vec<GroupId>, Error>;
}
