//! While a node runs, its term never goes back (Ongaro and Ousterhout 2014, figure 2: terms increase monotonically), and
//! neither does what it has applied, cut, or trimmed (DESIGN: the horizon is replicated and only moves forward).
//!
//! Over a crash all of them may go back a little: a term that was not saved yet, items that were not flushed. That a
//! vote which was answered is not forgotten shows in election safety. But a replica that has gone back shows nothing
//! until it is where it was (`Replica::is_level`): who asks one node sees no item grow older.

use std::collections::BTreeMap;

use watertable::model::id::GroupId;

use super::{Sight, index, name};
use crate::verdict::{Marks, Violation};

#[derive(Clone, Copy, Default)]
struct Seen {
    life: u64,
    term: u64,
    applied: u64,
    floor: u64,
    trimmed: u64,
    /// The newest state that the node may have shown, in any life.
    shown: u64,
}

/// The newest that was seen of each.
#[derive(Default)]
pub struct Newest(BTreeMap<(usize, GroupId), Seen>);

impl Newest {
    /// Judges a look.
    pub fn look(&mut self, sight: &Sight<'_>, marks: &mut Marks) -> Result<(), Violation> {
        for (node, member) in sight.members() {
            let applied = member.published.as_ref().map_or(0, |published| index(published.applied));
            let before = self.0.get(&(node, member.group)).copied().unwrap_or_default();
            let now = Seen {
                life: sight.world.machines[node].life(),
                term: member.status.term,
                applied: index(member.status.applied),
                floor: index(member.floor),
                trimmed: member.published.as_ref().and_then(|published| published.trimmed).unwrap_or(0),
                shown: if member.shows { applied } else { before.shown },
            };
            self.0.insert((node, member.group), now);
            marks.hit("invariant: monotonic");
            let same_life = before.life == now.life;
            let went_back = [
                ("term", before.term, now.term, same_life),
                ("applied index", before.applied, now.applied, same_life),
                ("floor", before.floor, now.floor, same_life),
                ("trim horizon", before.trimmed, now.trimmed, same_life),
                ("shown state", before.shown, now.shown, true),
            ];
            for (what, was, is, judged) in went_back {
                if judged && is < was {
                    let what = format!(
                        "the {what} of group {} on {} went from {was} to {is}",
                        member.group,
                        name(node)
                    );
                    return Err(Violation::new("monotonic", what));
                }
            }
        }
        Ok(())
    }
}
