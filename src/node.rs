//! Where things live and move: a node, its replicas, and the way of an operation to the replica that can do it.
//!
//! ```text
//!   api ──► router: key → partition → leader here? ──no──► the same operation, on the leader's node (service)
//!                         │ yes
//!                         ▼
//!           replica loop: drain queue → evaluate over items + overlay → one entry → propose, fenced by term
//!                         │                                                  │ applied
//!                         └── unchanged, rejected: answered when their ◄─────┘ answers, in order
//!                             premises are committed
//!           reader: iterator → log range ≤ applied → records
//!           triggers: shard led here → delivery: records → lanes → calls of functions → progress, kept by the catalog
//!           consumers: a member per program that takes part → its shards' records, as far as it gave credit → what it
//!           acknowledges, kept by the catalog
//!           trimmer, controller, reconciler: background, per node
//! ```
//!
//! Invariants:
//! - One task owns a replica's writes (`replica`): overlay, batch, answers. Others send to its bounded queue; when
//!   that is full a write is refused at once ([`Error::Overloaded`]), which costs nothing and changed nothing.
//! - What was refused before it reached the log is *unavailable*; what got there and was not seen applied is *unknown*.
//!   The router repeats the first kind within the deadline, never the second.
//! - What one node has shown of tables and streams no other denies: "not found" is said by a catalog as new as its
//!   leader's, the end of a shard by the partition's leader while there is one. A node that starts brings its catalog
//!   up to date before it answers from it, and a replica that starts applies what its log holds.
//! - Every task has a name and an owner (`tasks`); a panic in one stops the node.
//! - The world is reached only through [`Environment`].
//!
//! Deliberately absent: wire encodings of the public API (that is `api`), and any knowledge of items' contents.

mod cluster;
mod consumers;
mod controller;
mod copy;
mod disk;
mod environment;
mod error;
mod failures;
mod function;
mod handle;
mod held;
mod identity;
mod inspect;
mod member;
mod metrics;
mod operation;
mod position;
mod progress;
mod reader;
mod reconcile;
mod replica;
mod reporter;
mod router;
mod service;
mod snapshots;
mod start;
mod streams;
mod tasks;
mod trigger;
mod triggers;
mod trimmer;

pub use crate::raft::Role;
pub use consumers::{CONSUMER_NAME_BYTES_MAX, Membership, OpenConsumer, is_at_risk};
pub use environment::{Environment, Listen, Listening, OpenStores, Stores, Work};
pub use error::Error;
pub use failures::{Failed, PARTITION_KEY as FAILURES_PARTITION_KEY, SORT_KEY as FAILURES_SORT_KEY};
pub use handle::{Node, NodeView, ReplicaView};
pub use inspect::Inspected;
pub use member::{ConsumedBatch, Delivered, Said};
pub use metrics::Metrics;
pub use operation::{Read, RecordsPage, Vitals};
pub use start::{Settings, StartError, Starting, start};
pub use streams::{ShardView, StreamView};
pub use triggers::{Redriven, StartTrigger};
