//! A leader has everything that was committed before its term. (Ongaro and Ousterhout 2014, figure 3: leader
//! completeness.) Judged when it is first seen to lead; that it does not lose any of it later is log matching's.

use std::collections::BTreeSet;

use watertable::{model::id::GroupId, node::Role};

use super::{Committed, Sight, index, name};
use crate::verdict::{Marks, Violation};

/// Which leaders were judged.
#[derive(Default)]
pub struct Elected(BTreeSet<(GroupId, u64)>);

impl Elected {
    /// Judges a look.
    pub fn look(
        &mut self,
        sight: &Sight<'_>,
        committed: &Committed,
        marks: &mut Marks,
    ) -> Result<(), Violation> {
        marks.add("invariant: leader_completeness", 0);
        let leaders = sight.members().filter(|(_, member)| member.status.role == Role::Leader);
        for (node, member) in leaders {
            let (group, term) = (member.group, member.status.term);
            if !self.0.insert((group, term)) {
                continue;
            }
            let earlier = committed.get(&group).into_iter().flatten().rev();
            let Some((last, hashed)) = earlier.into_iter().find(|(_, (of, _))| *of < term) else { continue };
            marks.hit("invariant: leader_completeness");
            let has = sight.entries(node, group, *last, *last);
            let is_cut = index(member.floor) >= *last;
            if !is_cut && has.first().map(|(_, has)| has) != Some(hashed) {
                let what = format!(
                    "{} leads group {group} in term {term} without entry {last} of term {}, which was committed: it has {has:?}",
                    name(node),
                    hashed.0
                );
                return Err(Violation::new("leader_completeness", what));
            }
        }
        Ok(())
    }
}
