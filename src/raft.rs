//! Consensus: the only room that says `openraft`.
//!
//! A [`Group`] is one Raft group's member on this node: log entries in the node's shared log ([`LogStore`]), effects
//! in the item store or the catalog ([`Machine`]), messages over the connections of `rpc` ([`Network`]).
//!
//! How openraft is used, and why:
//! - *Leader ids are terms only* (`leader_id_std`), so a log id is a [`Position`](crate::model::id::Position) and an
//!   entry's term says everything about who may have evaluated it.
//! - *Proposals are fenced*: [`Group::propose`] names the term; openraft refuses it before it is appended if the
//!   leader changed. A refusal means *it did not happen*; every later failure means *unknown*.
//! - *Entries are applied only once they are durable on this node.* openraft may apply what a quorum of others has
//!   made durable; the item store would then know more than the log under it, and a crash could lose the
//!   stream's copy of a change that the items show.
//! - *The floor trick.* Its snapshot policy is never. A snapshot is presented as being at the floor of the log, though
//!   its items are newer; after installing it, a replica receives everything above the floor by ordinary
//!   replication and steps over what its items already hold. So it ends with exact items *and* the whole retained
//!   stream. Snapshots are pulled, chunk by chunk, by the replica that needs them (`snapshot`).
//! - *Quiet groups.* A group without work stops its ticks on all replicas ([`Group::sleep`]) and costs nothing; any
//!   message or call wakes it, and so does the death of the node that leads it.
//! - *Leases.* A strong read is served while a quorum acknowledged the leader less than a lease ago; otherwise a
//!   round of heartbeats confirms it. Followers refuse votes within the lease, so no other leader can exist in it.
//!   What bounds this is the rate of clocks, not their agreement.
//!
//! Deliberately absent: evaluation, streams, placement; and snapshots of openraft's own making.

mod group;
mod log_store;
mod machine;
mod network;
mod protocol;
mod snapshot;
mod type_config;

pub use group::{Group, Leadership, Options, ProposeError, Proposed, Role, Start, Status};
pub use log_store::{LogReader, LogStore};
pub use machine::{CatalogMachine, Machine, PartitionMachine, Published, state_in};
pub use network::{Network, Networks};
pub use snapshot::{Receive, Received, Sending, Spool, send};
pub use type_config::{Outcome, Proposal, TypeConfig, decode_entry, encode_entry};
