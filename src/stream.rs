//! The meaning of a stream: how a partition's log is seen as a shard.
//!
//! A stream never copies. A shard is a stretch of one partition's log, from the entry that opened it to the entry
//! that closed it; a [`SequenceNumber`] is a place in the log; a [`Record`] is a logged change projected by the
//! stream's view type; an [`Iterator`](iterator::Cursor) is a place to read on from, signed.
//!
//! Invariants:
//! - Sequence numbers of a partition rise with its log, and across a split (the child's generation is higher): so
//!   they rise along every key. As text they are decimal digits whose numeric order is log order.
//! - A record's event id and sequence number are functions of where its change is logged: reading it again, on
//!   any replica, gives the same.
//! - Positions below the trim horizon are *trimmed*, never an empty page.
//! - Nothing younger than retention is trimmed (`retention`), whatever the clocks do within their bound.
//!
//! Sources: the DynamoDB Streams API reference and developer guide (shapes, limits, iterator rules); ids and ARNs
//! have the form AWS gives them, because client libraries parse them.
//!
//! Deliberately absent: reading the log (that is `node`'s reader), clocks (`now` is an argument), wire encodings but
//! one: a record's JSON (`event`), which also functions are called with.

#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))] // a new variant is decided on wherever it matters

mod arn;
mod event;
mod iterator;
mod record;
mod retention;
mod shard;

pub use arn::{REGION, StreamArn, label_of, table_arn, table_in_arn};
pub use event::{EVENT_SOURCE, EVENT_VERSION};
pub use iterator::{Cursor, Error, Position, Start, Token};
pub use record::{EventName, Projection, Record};
pub use retention::{CLOCK_OFFSET_MS_MAX, cutoff, last_before};
pub use shard::{SequenceNumber, ShardId};
