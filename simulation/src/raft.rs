//! The invariants of Raft, one file each, judged while the cluster runs: what the nodes say of themselves, and what lies
//! in their logs, must never disagree.

mod catalogs_equal;
mod election_safety;
mod horizon;
mod item_counts;
mod leader_completeness;
mod log_matching;
mod monotonic;
mod quorum;
mod replicas_equal;
mod state_machine_safety;

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use watertable::{
    model::id::{GroupId, Position},
    node::Inspected,
    partition::{Entry, entry::Body},
};
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    verdict::{Marks, Violation},
    world::World,
};

pub use catalogs_equal::check as catalogs_equal;
pub use replicas_equal::check as replicas_equal;

/// What one look at the cluster shows: the groups of each node that is up, by the node's number.
pub type Look = BTreeMap<usize, BTreeMap<GroupId, Inspected>>;

/// An entry's term and the hash of its bytes.
type Hashed = (u64, u64);

/// One look, with the means to look closer.
pub struct Sight<'a> {
    world: &'a World,
    look: &'a Look,
}

impl Sight<'_> {
    /// All members of all groups.
    fn members(&self) -> impl Iterator<Item = (usize, &Inspected)> {
        self.look.iter().flat_map(|(node, groups)| groups.values().map(|member| (*node, member)))
    }

    /// Entries of a node's log, from one index to another, both with: none where it is cut.
    fn entries(&self, node: usize, group: GroupId, from: u64, last: u64) -> Vec<(u64, Hashed)> {
        let entries = self.logged(node, group, from, last).into_iter();
        entries.map(|(at, bytes)| (at.index, (at.term, xxh3_64(&bytes)))).collect()
    }

    fn logged(&self, node: usize, group: GroupId, from: u64, last: u64) -> Vec<(Position, Bytes)> {
        let machine = &self.world.machines[node];
        let Some(running) = machine.node() else { return Vec::new() };
        let floor = self.look[&node].get(&group).and_then(|member| member.floor);
        let from = from.max(floor.map_or(0, |floor| floor.index + 1));
        if from > last {
            return Vec::new();
        }
        machine.files.reading_well(|| running.logged(group, from, last + 1)).unwrap_or_default()
    }

    /// The newest entry with changes among those of a node's log from one index to another, both with.
    fn newest_change(&self, node: usize, group: GroupId, (from, last): (u64, u64)) -> Option<u64> {
        let is_change =
            |payload: Bytes| Entry::decode(payload).is_ok_and(|entry| matches!(entry.body, Body::Changes(_)));
        let mut entries = self.logged(node, group, from, last).into_iter().rev();
        entries.find_map(|(at, payload)| is_change(payload).then_some(at.index))
    }
}

/// What is known of all groups from the looks so far.
#[derive(Default)]
pub struct Invariants {
    election_safety: election_safety::Leaders,
    horizon: horizon::Horizons,
    leader_completeness: leader_completeness::Elected,
    log_matching: log_matching::Entries,
    monotonic: monotonic::Newest,
    quorum: quorum::Commits,
    state_machine_safety: state_machine_safety::Applied,
}

/// What has been applied anywhere: entries by group and index.
pub type Committed = BTreeMap<GroupId, BTreeMap<u64, Hashed>>;

impl Invariants {
    /// For a run in which clocks are set by so much, all together.
    pub fn new(clocks_set: Duration) -> Self {
        Self { horizon: horizon::Horizons::new(clocks_set), ..Self::default() }
    }

    /// Judges a look.
    pub fn look(&mut self, world: &World, look: &Look, marks: &mut Marks) -> Result<(), Violation> {
        let sight = Sight { world, look };
        self.election_safety.look(&sight, marks)?;
        self.monotonic.look(&sight, marks)?;
        self.horizon.look(&sight, marks)?;
        self.log_matching.look(&sight, marks)?;
        self.state_machine_safety.look(&sight, marks)?;
        let committed = &self.state_machine_safety.committed;
        self.quorum.look(&sight, committed, marks)?;
        self.leader_completeness.look(&sight, committed, marks)
    }
}

fn name(node: usize) -> String {
    crate::machine::name(node)
}

fn index(at: Option<Position>) -> u64 {
    at.map_or(0, |at| at.index)
}
