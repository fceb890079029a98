//! A partition counts its items as they come and go: in the end, every replica's count is the number of items it has.
//! (DESIGN: the count in a partition's state is part of it, and the size of a table is told from it.)

use watertable::model::id::GroupId;

use super::{Look, name};
use crate::verdict::{Marks, Violation};

const NAME: &str = "item_counts";

/// Judges a replica that has so many items.
pub fn check(
    group: GroupId,
    node: usize,
    items: usize,
    look: &Look,
    marks: &mut Marks,
) -> Result<(), Violation> {
    let published = look[&node].get(&group).and_then(|member| member.published.as_ref());
    let Some(published) = published else { return Ok(()) };
    marks.hit("invariant: item_counts");
    verdict(published.items, items as u64)
        .map_err(|what| Violation::new(NAME, format!("group {group} on {}: {what}", name(node))))
}

fn verdict(counted: u64, there: u64) -> Result<(), String> {
    if counted == there { Ok(()) } else { Err(format!("it counts {counted} items, and has {there}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_what_is_there() {
        assert_eq!(verdict(3, 3), Ok(()));
        assert_eq!(verdict(4, 3), Err("it counts 4 items, and has 3".to_owned()));
    }
}
