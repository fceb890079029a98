//! The log room: one node-wide, segmented, crash-safe log of opaque entries, shared by every Raft group on
//! the node. It knows bytes, groups, terms and indexes, never items. Raft's log and the change stream are
//! both read from here; there is no second copy of a change anywhere.
//!
//! # How it works
//! Everything submitted waits in one queue. One writer drains what waits, encodes it into one buffer a lane,
//! and makes one positional write and one `fdatasync` a lane touched; then it calls what waited, in order and
//! outside any lock. Cost per write falls as load rises. Entries are readable from the group's in-memory
//! *tail* the moment `append` returns; older ones are read from segments, their checksums verified.
//!
//! ```text
//!  append ─► Group (state, tail) ─► Queue ─► Writer ─► plain/0000…12.segment ─┐ header, checkpoint, frames,
//!    ▲            ▲ runs                       ├─────► stream/000…11.segment ─┘ index and trailer when sealed
//!  read ──────────┴── older: pread ◄───────────┴─► Keeper: zeros ahead, spares, recycling
//! ```
//!
//! # Invariants
//! - `done(Ok)` means: on disk, synced. `Full` and `Closed` mean: not in the log now (a crash that follows may
//!   find a refused append as an unacknowledged suffix). After `Fatal` only the next start can tell.
//! - A crash keeps of each group a prefix of what was submitted for it: everything acknowledged, perhaps some
//!   more. Of an append of several entries it may keep the first ones.
//! - An entry's index is the last one + 1 and its term at least the last one's; asserted in release.
//! - Frames are numbered node-wide. One write batch puts the frames of one group into one lane only (a lane
//!   change or a removal ends the batch), so a lane torn by a crash never leaves a hole in a group.
//! - A run of entries in a newer frame replaces every older entry from its first index on. Hence the index of
//!   a group is: all runs by number, newest wins, clipped to (floor, last]. It must then have no gap.
//! - A segment's checkpoint reflects exactly the frames numbered below it, all durable: hard state (vote,
//!   floor, last, lane) never needs an older segment.
//! - A file named `*.segment` in a lane has had its header and checkpoint synced before it got that name,
//!   and the one before it was sealed and synced. So only the last of a lane may have a torn tail.
//! - A frame's checksum covers its segment's sequence number, and each opening writes under a new *life*:
//!   neither a recycled segment's old frames nor those behind a cut tail are ever taken for new ones.
//!
//! # A torn tail, and what is not one
//! The last segment of a lane is cut at its first bad frame. Every frame names where its write batch began:
//! an intact frame of a *later* batch behind the bad one proves that the bad one had been synced, so that is
//! not a torn tail but `Corrupt`, and the log refuses to start. (Rot in the very last batch of a lane looks
//! like a torn tail; nothing on this disk could tell them apart.)
//!
//! # When the queue or the disk is full
//! - *Queue*: a submission waits (blocks its thread) while more than `queue_bytes_max` bytes wait to be
//!   written: at most about one batch's write and sync. It is not refused, because a Raft storage layer treats
//!   a refused append as the end of its group. Callers that must not block at all ask `Log::is_busy` first.
//!   `done` runs on the writer thread: keep it short; it may submit, and is then never made to wait.
//! - *Disk*: appends answer `Full`, the group's state returns to what is durable, reads go on. Votes, trims
//!   and the like still fit into a reserve at the end of the segment, so that trimming can free space. As soon
//!   as there is space again (a recycled segment, or `free_bytes_min` free), appends go on.
//! - *A failed write or sync* other than a full disk is `Fatal` for good: nothing after it can be trusted.
//!
//! # Deliberately absent
//! Async, compression, checksummed batches, deletion inside a segment, and any knowledge of what an entry is.
//! Time enters as `Options::clock`, only to measure. There is no index file: the index is in the segments.
//!
//! # Price
//! A group that never trims pins every segment of its lane; that is why there are two lanes. A lane that
//! falls idle keeps its last segment, trimmed or not. The index holds about 80 bytes a group and segment in
//! memory, and that of the unsealed segments 24 bytes a frame.

mod commit;
mod error;
mod files;
mod frame;
mod group;
mod handle;
mod keeper;
mod memory;
mod queue;
mod reader;
mod recover;
mod roll;
mod run;
mod scan;
mod segment;
mod submit;
mod tail;
mod writer;

pub use error::Error;
pub use files::{File, Files, FilesLock, StdFiles};
pub use group::GroupState;
pub use handle::{Clock, Done, LaneStats, Log, Observer, Options, Stats, Work, WriteBatch, Writing};
pub use memory::{Crash, MemoryFiles};
pub use segment::Lane;

#[cfg(test)]
mod crash_test;
#[cfg(test)]
mod files_test;
#[cfg(test)]
mod log_test;
