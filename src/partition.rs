//! The item state machine: what a write means, what the log holds of it, and what it does to the items.
//!
//! **A write is thought about once.** [`evaluate`] runs on the partition's leader, over the stored items and the
//! [`Overlay`] of changes that are proposed and not yet applied, and yields a [`Change`]: key, images. Changes go
//! into an [`entry`], the entry goes into the log, and [`State::apply`] - on every replica, at recovery, in the
//! simulator - only turns it into a [`Batch`]. Conditions never run twice, and a rejected write or one that
//! changes nothing never reaches the log.
//!
//! The rules that make this safe:
//! 1. The leader evaluates against everything before it in its own log: applied items plus the overlay. It starts
//!    only after applying the first entry of its term; when a proposal fails, all evaluated above it fail too.
//! 2. Every proposal is fenced by term, and its entry carries that term; `apply` asserts the log id's is the same.
//! 3. A rejection is an answer about state: it is sent only when what it was judged against is committed and
//!    leadership is confirmed. A write that changes nothing logs nothing, has no record, and still waits.
//! 4. Entries carry images: the new one always, the old one only if the view type of the stream wants it.
//! 5. Apply is total: an entry that decodes applies. It panics rather than diverge.
//!
//! **Versions.** Every stored item carries a *version*: 1 for a new item, one more with each change. A change says
//! which version it was evaluated on, and apply asserts (debug builds, simulation) that this is the one stored,
//! so a stale evaluator is caught at once. It is a count and not the index of the last change's entry, because
//! the evaluator does not know the index yet when a second write of the same key joins the batch.
//!
//! **Equality** of items is equality of their canonical bytes (`model::codec`), so "changes nothing" is a memcmp.
//!
//! Deliberately absent: IO, clocks, async, Raft. `now` and the view are arguments.

#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))] // a new variant is decided on wherever it matters

mod apply;
pub mod entry;
mod evaluate;
mod overlay;
mod read;
mod view;
mod write;

pub use apply::{Applied, ShardState, State};
pub use entry::{Change, Control, Entry};
pub use evaluate::{Error, Evaluated, Rejected, evaluate};
pub use overlay::Overlay;
pub use read::{Page, get, scan, stored_item};
pub use view::{Batch, View, Visit};
pub use write::{Action, Condition, Returns, Write, stored_key, table_range};

#[cfg(test)]
mod script_test;
