//! An entry is named by its index and term: two logs with entries of one name have the same entry there, and the same
//! before it. (Ongaro and Ousterhout 2014, figure 3: log matching.) For the second half, an entry's hash is chained to
//! the term of its predecessor: by induction equal chains are equal logs.

use std::collections::BTreeMap;

use watertable::model::id::{GroupId, Position};

use super::{Hashed, Sight, index, name};
use crate::verdict::{Marks, Violation};

/// What each entry was, with the term of the one before, and what of each log was looked at.
#[derive(Default)]
pub struct Entries {
    named: BTreeMap<(GroupId, u64, u64), (u64, u64, usize)>,
    seen: BTreeMap<(usize, GroupId), Position>,
}

impl Entries {
    /// Judges a look.
    pub fn look(&mut self, sight: &Sight<'_>, marks: &mut Marks) -> Result<(), Violation> {
        marks.add("invariant: log_matching", 0);
        for (node, member) in sight.members() {
            let Some(last) = member.last else { continue };
            let before = self.seen.insert((node, member.group), last);
            if before == Some(last) {
                continue;
            }
            // What was applied does not change: the rest may have been cut off and written anew.
            let applied = index(member.status.applied);
            let from = before.map_or(0, |before| before.index.min(applied));
            self.judge(sight, node, member.group, (from, last.index), marks)?;
        }
        Ok(())
    }

    fn judge(
        &mut self,
        sight: &Sight<'_>,
        node: usize,
        group: GroupId,
        (from, last): (u64, u64),
        marks: &mut Marks,
    ) -> Result<(), Violation> {
        let mut previous: Option<(u64, Hashed)> = None;
        for (at, (term, hash)) in sight.entries(node, group, from, last) {
            if let Some((_, (before, _))) = previous {
                marks.hit("invariant: log_matching");
                let (known, known_before, first) =
                    *self.named.entry((group, at, term)).or_insert((hash, before, node));
                if (known, known_before) != (hash, before) || before > term {
                    let what = format!(
                        "entry {at} of term {term} of group {group} is {hash:x} behind term {before} on {}, {known:x} \
                         behind term {known_before} on {}",
                        name(node),
                        name(first)
                    );
                    return Err(Violation::new("log_matching", what));
                }
            }
            previous = Some((at, (term, hash)));
        }
        Ok(())
    }
}
