//! At most one leader is elected in a term. (Ongaro and Ousterhout 2014, "In Search of an Understandable Consensus
//! Algorithm", figure 3: election safety.)

use std::collections::BTreeMap;

use watertable::{model::id::GroupId, node::Role};

use super::{Sight, name};
use crate::verdict::{Marks, Violation};

/// Who led in each term.
#[derive(Default)]
pub struct Leaders(BTreeMap<(GroupId, u64), usize>);

impl Leaders {
    /// Judges a look.
    pub fn look(&mut self, sight: &Sight<'_>, marks: &mut Marks) -> Result<(), Violation> {
        let leaders = sight.members().filter(|(_, member)| member.status.role == Role::Leader);
        for (node, member) in leaders {
            marks.add("invariant: election_safety", 1);
            let term = member.status.term;
            let first = *self.0.entry((member.group, term)).or_insert(node);
            if first != node {
                let what =
                    format!("{} and {} lead group {} in term {term}", name(first), name(node), member.group);
                return Err(Violation::new("election_safety", what));
            }
        }
        Ok(())
    }
}
