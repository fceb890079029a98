//! If a node has applied an entry at an index, no other ever applies a different one there. (Ongaro and Ousterhout
//! 2014, figure 3: state machine safety.)

use std::collections::BTreeMap;

use watertable::model::id::GroupId;

use super::{Committed, Sight, index, name};
use crate::verdict::{Marks, Violation};

/// What was applied.
#[derive(Default)]
pub struct Applied {
    /// By anybody.
    pub committed: Committed,
    /// Up to where each node was judged, in which of its lives.
    judged: BTreeMap<(usize, GroupId), (u64, u64)>,
}

impl Applied {
    /// Judges a look.
    pub fn look(&mut self, sight: &Sight<'_>, marks: &mut Marks) -> Result<(), Violation> {
        marks.add("invariant: state_machine_safety", 0);
        for (node, member) in sight.members() {
            let (group, applied) = (member.group, index(member.status.applied));
            let life = sight.world.machines[node].life();
            let judged = self.judged.entry((node, group)).or_default();
            // A life that begins may have another log: everything it has is judged again.
            let from = if judged.0 == life { judged.1 + 1 } else { 0 };
            *judged = (life, applied);
            for (at, hashed) in sight.entries(node, group, from, applied) {
                marks.hit("invariant: state_machine_safety");
                let first = *self.committed.entry(group).or_default().entry(at).or_insert(hashed);
                if first != hashed {
                    let what = format!(
                        "entry {at} of group {group} is {:x} of term {} on {}, but {:x} of term {} was applied",
                        hashed.1,
                        hashed.0,
                        name(node),
                        first.1,
                        first.0
                    );
                    return Err(Violation::new("state_machine_safety", what));
                }
            }
        }
        Ok(())
    }
}
