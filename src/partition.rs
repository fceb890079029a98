//! The item state machine: what a write means, what the log holds of it, and what it does to the items.
//!
//! **A write is thought about once.** [`evaluate`] runs on the partition's leader, over the stored items and the
//! [`Overlay`] of changes that are proposed and not yet applied, and yields a [`Change`]: key, images. Changes go
//! into an [`entry`], the entry goes into the log, and [`State::apply`] - on every replica, at recovery, in the
//! simulator - only turns it into a [`Batch`]. Conditions and updates never run twice, and a rejected write or one
//! that changes nothing never reaches the log. What the client is told is made with the change: an [`Answer`] with the
//! attributes it asked for, or [`Rejected`] in DynamoDB's words. Both wait for what they were judged on (rules 1, 3).
//!
//! **A read is a range of stored keys.** A partition, a segment of a scan and a query each are one ([`table_range`],
//! [`segment_range`], [`query_range`]), because the order of stored keys is DynamoDB's. [`page`] evaluates the items of
//! a range up to its [`Limits`], filters, then projects. Who reads on begins [`behind`] the page's last key.
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
//! **Bytes, not trees.** Equality of items is equality of their canonical bytes (`model::codec`), so "changes nothing"
//! is a memcmp, by value: 1 and 1.0 are the same. Conditions, filters and projections look at the stored bytes, where
//! they find a few attributes faster than the item could be decoded; only an update decodes, and only the item it
//! changes. The price is that each of them must mean the same on bytes as on values, which `expression` tests.
//!
//! **Sizes** are DynamoDB's (names and values), not those of the bytes, and of the whole item, whatever is shown of it.
//! They end pages and make capacity [`Units`]. Measuring an item walks over it, so one that is cut or torn is an
//! [`Error`]; whether every text and number in it is sound is left to the checksums below.
//!
//! Deliberately absent: IO, clocks, async, Raft; `now` and the view are arguments. Also what a request may ask at all:
//! that a put is a valid item, an update leaves the key alone, or a filter is allowed is seen to before there is a
//! [`Write`] or a [`Select`].

#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))] // a new variant is decided on wherever it matters

mod apply;
mod capacity;
pub mod entry;
mod error;
mod evaluate;
mod overlay;
mod range;
mod read;
mod stored;
mod view;
mod write;

pub use apply::{Applied, ShardState, State};
pub use capacity::{Units, read_units, write_units};
pub use entry::{Change, Control, Entry};
pub use error::Error;
pub use evaluate::{Answer, Evaluated, Rejected, evaluate};
pub use overlay::Overlay;
pub use range::{
    KeyRange, StartFault, behind, check_start, query_range, segment_hashes, segment_of_hash, segment_range,
    stored_key, table_range,
};
pub use read::{Found, Limits, Page, Select, find, get, page};
pub use stored::stored_item;
pub use view::{Batch, View, Visit};
pub use write::{Action, Returns, Write};

#[cfg(test)]
mod reads_test;
#[cfg(test)]
mod script_test;
#[cfg(test)]
mod store_test;
#[cfg(test)]
mod writes_test;
