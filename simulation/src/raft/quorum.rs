//! What is applied is in the logs of a majority of the voters. (Ongaro and Ousterhout 2014, 5.3: an entry is committed
//! once the leader that created it has replicated it on a majority.) A node that is down counts as having it: what it
//! promised is judged when it is up again and the entry is first seen applied by another.

use std::collections::{BTreeMap, BTreeSet};

use watertable::model::id::{GroupId, NodeId};

use super::{Committed, Sight, index, name};
use crate::verdict::{Marks, Violation};

/// Up to where each group was judged, and who its voters were.
#[derive(Default)]
pub struct Commits(BTreeMap<GroupId, (u64, BTreeSet<NodeId>)>);

impl Commits {
    /// Judges a look: the newest entry that is applied anywhere.
    pub fn look(
        &mut self,
        sight: &Sight<'_>,
        committed: &Committed,
        marks: &mut Marks,
    ) -> Result<(), Violation> {
        marks.add("invariant: quorum", 0);
        for (group, entries) in committed {
            let Some((last, hashed)) = entries.last_key_value() else { continue };
            let appliers = sight
                .members()
                .filter(|(_, member)| member.group == *group && index(member.status.applied) >= *last);
            let Some((_, applier)) = appliers.into_iter().next() else { continue };
            let voters = &applier.status.voters;
            let before = self.0.insert(*group, (*last, voters.clone()));
            // While voters change, the entry may have been committed by those before.
            if before.is_none_or(|(judged, before)| judged == *last || before != *voters) {
                continue;
            }
            let lacks = |node: &usize| {
                let Some(member) = sight.look.get(node).and_then(|groups| groups.get(group)) else {
                    return false;
                };
                index(member.floor) < *last
                    && sight.entries(*node, *group, *last, *last).first().map(|(_, has)| has) != Some(hashed)
            };
            let numbers = sight.world.machines.iter().enumerate().filter_map(|(number, machine)| {
                machine.node().filter(|node| voters.contains(&node.id())).map(|_| number)
            });
            let lacking: Vec<usize> = numbers.filter(lacks).collect();
            marks.hit("invariant: quorum");
            if lacking.len() * 2 >= voters.len().max(1) {
                let lacking: Vec<String> = lacking.into_iter().map(name).collect();
                let what = format!(
                    "entry {last} of term {} of group {group} is applied, but of its {} voters {lacking:?} do not have it",
                    hashed.0,
                    voters.len()
                );
                return Err(Violation::new("quorum", what));
            }
        }
        Ok(())
    }
}
