//! Elections in bad weather: whoever has just voted loses its power before anything else comes to its disk, and is back
//! while the election goes on. What a vote rests on then is what the disk has of it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use watertable::model::id::GroupId;

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
