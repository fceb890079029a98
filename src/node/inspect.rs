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
    /// Its state as readers see it; absent for the catalog.
    pub published: Option<Published>,
}

impl Node {
    /// All groups with a member on this node, the catalog's first.
    pub fn inspect(&self) -> Vec<Inspected> {
        let one = |group: &Group, (serves, shows), published| {
            let state = self.shared.log.state(group.id());
            Inspected {
                group: group.id(),
                status: group.status(),
                serves,
                shows,
                floor: state.as_ref().and_then(|state| state.floor),
                last: state.and_then(|state| state.last),
                published,
            }
        };
        let replicas = self.replicas();
        let partitions = replicas.iter().map(|replica| {
            let published = replica.published.borrow().clone();
            let serves = replica.serves();
            one(&replica.group, (serves, serves || replica.is_level()), Some(published))
        });
        std::iter::once(one(&self.shared.catalog_group, (false, false), None)).chain(partitions).collect()
    }

    /// Entries of a group's log here, from `from` on and below `end`.
    pub fn logged(&self, group: GroupId, from: u64, end: u64) -> Result<Vec<(Position, Bytes)>, log::Error> {
        self.shared.log.read(group, from, end, usize::MAX)
    }
}
