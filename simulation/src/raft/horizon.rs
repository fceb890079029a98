//! No record is given up before its time: when the horizon moves, the newest record behind it is as old as the table
//! keeps its records. (DESIGN: whatever the clocks do within their bound; AWS: 24 hours.)
//!
//! Ages are those of true time. A record was made after the last look that would have found its entry and did not: one at
//! a node that is down finds nothing, so that an entry is as old as the oldest of the last looks at those that are up.
//! Of the entries that one look finds only the newest with changes is remembered: it is as good as any, and judged unless
//! the horizon lies among them.

use std::{collections::BTreeMap, time::Duration};

use watertable::{model::id::GroupId, partition::ShardState};

use super::{Sight, index, name};
use crate::verdict::{Marks, Violation};

/// What measuring the distance of two clocks may be wrong by, and the clocks' drift.
const CLOCKS: Duration = Duration::from_secs(2);

/// When entries were made, and what was given up.
#[derive(Default)]
pub struct Horizons {
    /// What clocks were set by may be told to the trimmer late.
    excused: Duration,
    /// When the log of each member was looked at before.
    looked: BTreeMap<(usize, GroupId), Duration>,
    /// The last index that was found in any log of a group.
    found: BTreeMap<GroupId, u64>,
    /// Entries with changes, and when they were not there yet.
    made: BTreeMap<GroupId, BTreeMap<u64, Duration>>,
    known: BTreeMap<(usize, GroupId), Known>,
}

#[derive(Default)]
struct Known {
    trimmed: u64,
    shards: Vec<ShardState>,
}

impl Horizons {
    /// For a run in which clocks are set by so much, all together.
    pub fn new(clocks_set: Duration) -> Self {
        Self { excused: 2 * clocks_set + CLOCKS, ..Self::default() }
    }

    /// Judges a look.
    pub fn look(&mut self, sight: &Sight<'_>, marks: &mut Marks) -> Result<(), Violation> {
        marks.add("invariant: horizon", 0);
        let now = sight.world.sim.elapsed();
        self.find(sight);
        let looked = sight.members().filter(|(_, member)| member.published.is_some());
        self.looked.extend(looked.map(|(node, member)| ((node, member.group), now)));
        for (node, member) in sight.members() {
            let Some(published) = &member.published else { continue };
            let trimmed = published.trimmed.unwrap_or(0);
            let fresh = Known { trimmed, shards: published.shards.clone() };
            let known = self.known.insert((node, member.group), fresh).unwrap_or_default();
            if trimmed <= known.trimmed || member.retention_ms == 0 {
                continue;
            }
            let Some(made) = self.made.get(&member.group) else { continue };
            let newest = |shard: &ShardState| {
                let last = shard.closed.map_or(trimmed, |closed| trimmed.min(closed - 1));
                let first = known.trimmed.max(shard.opened) + 1;
                (first <= last).then(|| made.range(first..=last).next_back()).flatten()
            };
            let shards = known.shards.iter().chain(&published.shards);
            let Some((newest, made)) = shards.filter_map(newest).max() else { continue };
            marks.hit("invariant: horizon");
            let kept = Duration::from_millis(member.retention_ms);
            if now - *made + self.excused < kept {
                let what = format!(
                    "group {} gave up entry {newest} on {} after {:?}: its table keeps records for {kept:?}",
                    member.group,
                    name(node),
                    now - *made,
                );
                return Err(Violation::new("horizon", what));
            }
        }
        Ok(())
    }

    /// Remembers the entries that nobody has seen before.
    fn find(&mut self, sight: &Sight<'_>) {
        let mut absent: BTreeMap<GroupId, Duration> = BTreeMap::new();
        for (node, member) in sight.members() {
            let looked = self.looked.get(&(node, member.group)).copied().unwrap_or_default();
            absent.entry(member.group).and_modify(|oldest| *oldest = looked.min(*oldest)).or_insert(looked);
        }
        for (node, member) in sight.members().filter(|(_, member)| member.published.is_some()) {
            let (found, last) = (self.found.entry(member.group).or_default(), index(member.last));
            if *found < last {
                let newest = sight.newest_change(node, member.group, (*found + 1, last));
                let made = self.made.entry(member.group).or_default();
                newest.map(|at| made.insert(at, absent[&member.group]));
                *found = last;
            }
        }
    }
}
