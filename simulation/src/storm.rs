//! Bad weather, which strikes at the worst moments.
//!
//! *Storms* come over elections: whoever has just voted loses its power before anything else comes to its disk, and is
//! back while the election goes on. What a vote rests on then is what the disk has of it.
//!
//! *Squalls* come over proposals: a leader that has just logged something is cut off from the others for a moment. What
//! becomes of it is decided without it, and often it leads again soon.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use watertable::{
    model::id::GroupId,
    node::{Inspected, Node, Role},
    partition::{Control, Entry, entry::Body},
};

use crate::{entropy::Random, machine::Machine};

/// How many of a hundred machines that vote are struck.
const STRUCK_PERCENT: u64 = 25;
/// The longest that one is down, ms: less than an election takes.
const DOWN_MS: u64 = 60;

/// A storm, while it lasts.
pub struct Storm {
    seed: u64,
    random: Random,
    /// The newest term of each member that was seen. A machine that comes back begins with the term it had.
    terms: BTreeMap<(usize, GroupId), u64>,
}

impl Storm {
    /// A storm that begins.
    pub fn new(seed: u64) -> Self {
        Self { seed, random: Random::new(seed, "storm"), terms: BTreeMap::new() }
    }

    /// Whether it is the storm of this seed.
    pub fn is_of(&self, seed: u64) -> bool {
        self.seed == seed
    }

    /// Looks who has voted since the last look, and gives those that lose power: with the seed of what their disks keep,
    /// and how long they are down.
    pub fn strike(&mut self, machines: &[Arc<Machine>]) -> Vec<(usize, u64, Duration)> {
        let mut struck = Vec::new();
        for (number, machine) in machines.iter().enumerate() {
            let Some(node) = machine.node() else { continue };
            let mut voted = false;
            for member in node.inspect() {
                let term = member.status.term;
                let before = self.terms.insert((number, member.group), term);
                voted |= before.is_some_and(|before| before < term);
            }
            if voted && self.random.percent(STRUCK_PERCENT) {
                let down = Duration::from_millis(self.random.between(1, DOWN_MS));
                struck.push((number, self.random.next(), down));
            }
        }
        struck
    }
}

/// How many of a hundred leaders that have logged something are cut off; and of those that have opened or closed a
/// shard, which few entries do.
const CUT_OFF_PERCENT: u64 = 1;
const CUT_OFF_AT_SHARD_PERCENT: u64 = 50;

/// What a squall does.
pub enum Gust {
    /// Cuts this machine off from the others.
    CutOff(usize),
    /// Lets it reach them again.
    Reconnect(usize),
}

/// A squall, while it lasts.
pub struct Squall {
    seed: u64,
    random: Random,
    /// Who is cut off, until when.
    pub cut_off: Option<(usize, Duration)>,
    /// What each leader had logged when it was last looked at.
    logged: BTreeMap<(usize, GroupId), u64>,
}

impl Squall {
    /// A squall that begins.
    pub fn new(seed: u64) -> Self {
        Self { seed, random: Random::new(seed, "squall"), cut_off: None, logged: BTreeMap::new() }
    }

    /// Whether it is the squall of this seed.
    pub fn is_of(&self, seed: u64) -> bool {
        self.seed == seed
    }

    /// Looks who has logged something since the last look. One leader at a time is cut off.
    pub fn blow(&mut self, machines: &[Arc<Machine>], now: Duration) -> Option<Gust> {
        if let Some((machine, until)) = self.cut_off {
            return (until <= now).then(|| {
                self.cut_off = None;
                Gust::Reconnect(machine)
            });
        }
        for (number, machine) in machines.iter().enumerate() {
            let Some(node) = machine.node() else { continue };
            for member in node.inspect() {
                if member.status.role != Role::Leader || member.last <= member.status.applied {
                    continue;
                }
                let last = member.last.map_or(0, |last| last.index);
                if self.logged.insert((number, member.group), last) == Some(last) {
                    continue;
                }
                let percent = match machine.files.reading_well(|| touches_shard(&node, &member)) {
                    true => CUT_OFF_AT_SHARD_PERCENT,
                    false => CUT_OFF_PERCENT,
                };
                if self.random.percent(percent) {
                    self.cut_off =
                        Some((number, now + Duration::from_millis(self.random.between(300, 2_500))));
                    return Some(Gust::CutOff(number));
                }
            }
        }
        None
    }
}

/// Whether the last entry of a log opens or closes a shard.
fn touches_shard(node: &Node, member: &Inspected) -> bool {
    let last = member.last.map_or(0, |last| last.index);
    let entries = node.logged(member.group, last, last + 1).unwrap_or_default();
    entries.into_iter().filter_map(|(_, payload)| Entry::decode(payload).ok()).any(|entry| {
        matches!(entry.body, Body::Control(Control::OpenShard { .. } | Control::CloseShard { .. }))
    })
}
