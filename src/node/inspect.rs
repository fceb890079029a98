//! What lies beneath a node's operations, to be looked at by those who judge it: the simulator's invariants.

use bytes::Bytes;

use super::Node;
use crate::{
    log,
    model::id::{GroupId, Position},
    raft::{Group, Published, Status},
};

/// One group's member on this node.
#[derive(Clone, Debug)]
pub struct Inspected {
    /// The group.
    pub group: GroupId,
    /// What it knows.
    pub status: Status,
    /// Whether it answers writes and consistent reads.
    pub serves: bool,
    /// Whether it answers eventually consistent reads, and readers of its stream.
    pub shows: bool,
    /// The last position cut from its log.
    pub floor: Option<Position>,
    /// The last position in its log.
    pub last: Option<Position>,
    /// How long its table keeps records, ms; 0: there is no table, as far as this node knows.
    pub retention_ms: u64,
    /// Its state as readers see it; absent for the catalog.
    pub published: Option<Published>,
}

impl Node {
    /// All groups with a member on this node, the catalog's first.
    pub fn inspect(&self) -> Vec<Inspected> {
        let one = |group: &Group, (serves, shows), retention_ms, published| {
            let state = self.shared.log.state(group.id());
            Inspected {
                group: group.id(),
                status: group.status(),
                serves,
                shows,
                floor: state.as_ref().and_then(|state| state.floor),
                last: state.and_then(|state| state.last),
                retention_ms,
                published,
            }
        };
        let (replicas, catalog) = (self.replicas(), self.catalog());
        let partitions = replicas.iter().map(|replica| {
            let published = replica.published.borrow().clone();
            let serves = replica.serves();
            let kept_ms = catalog.tables.get(&replica.table).map_or(0, |table| table.retention_ms);
            one(&replica.group, (serves, serves || replica.is_level()), kept_ms, Some(published))
        });
        std::iter::once(one(&self.shared.catalog_group, (false, false), 0, None)).chain(partitions).collect()
    }

    /// Entries of a group's log here, from `from` on and below `end`.
    pub fn logged(&self, group: GroupId, from: u64, end: u64) -> Result<Vec<(Position, Bytes)>, log::Error> {
        self.shared.log.read(group, from, end, usize::MAX)
    }
}
