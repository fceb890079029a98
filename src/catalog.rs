//! The cluster's own state machine: nodes, tables and their options, partitions and who holds them, streams, triggers and
//! consumers and how far they have come, access keys.
//!
//! It is group 0, replicated like any partition, with a copy on every node. [`Catalog::apply`] is a pure function
//! of state and [`Command`]; also placement is decided inside it, from what all replicas know, so that no two of
//! them can differ. What it says is intent and record: a partition's own log stays the authority on where its
//! shards begin and end and on who leads it; leaders report that here ([`Command::Report`]) so that any node can
//! describe a stream or find a leader without asking around.
//!
//! Invariants:
//! - Ids (node, table, group) rise and are never reused.
//! - The partitions of a table cover all hashes, each once.
//! - A table name belongs to at most one table that is not deleted.
//! - At most one stream of a table is not disabled, and it is the last one.
//! - A shard of a trigger or a consumer has one epoch; what is told of it in another is ignored (`trigger`, `consumer`).
//! - A deleted table stays, nameless, until its streams have outlived its retention.
//!
//! Deliberately absent: clocks (commands carry the time), IO, retries; and anything per item.

#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))] // a new variant is decided on wherever it matters

mod command;
mod consumer;
mod options;
mod placement;
mod state;
mod trigger;

pub use command::{Command, Outcome, Refusal, Report};
pub use consumer::{
    CONSUMERS_PER_TABLE_MAX, Consumed, ConsumedReport, Consumer, ConsumerCommand, ConsumerKey, ConsumerStart,
    Join, MEMBERS_MAX, Member, Place,
};
pub use options::{Billing, Maximum, Options, OptionsChange, TAGS_MAX, TableClass, Throughput};
pub use placement::place;
pub use state::{
    AccessKey, Catalog, Node, Partition, Replication, Shard, Stream, StreamStatus, Table, TableStatus,
};
pub use trigger::{
    Claim, NewTrigger, ProgressReport, ShardKey, ShardProgress, ShardStart, StartAsked, Streams,
    TRIGGERS_PER_TABLE_MAX, Trigger, TriggerCommand, Trouble,
};
