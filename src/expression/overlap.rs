//! Paths of one expression must be apart: none may be in another, and no two may take one place for a map and for a
//! list. Source: Amazon DynamoDB Developer Guide, "Update expressions"; that projections are alike is observed.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::ast::{Path, Step};
use super::error::Fault;
use super::path::Key;

/// Errors: `PathsOverlap` for the first path that overlaps with one before it, and else `PathsConflict` alike.
///
/// In time n log n, as there may be two thousand paths: in order, the path that one overlaps with stands next to it,
/// as long as those before do not overlap; and so does one that it conflicts with, since indexes stand before names.
pub(super) fn check_apart(paths: &[&Path]) -> Result<(), Fault> {
    let mut before: BTreeSet<Ordered<'_>> = BTreeSet::new();
    let mut conflict = None;
    for (index, path) in paths.iter().enumerate() {
        let ordered = Ordered(path);
        let neighbours = [before.range(..=ordered).next_back(), before.range(ordered..).next()];
        for neighbour in neighbours.into_iter().flatten() {
            match relation(neighbour.0, path) {
                Relation::Overlap => return Err(first_pair(paths, index, Relation::Overlap)),
                Relation::Conflict => conflict = conflict.or(Some(index)),
                Relation::Apart => {}
            }
        }
        before.insert(ordered);
    }
    match conflict {
        Some(index) => Err(first_pair(paths, index, Relation::Conflict)),
        None => Ok(()),
    }
}

/// The fault of a path and the first before it that it has the relation with.
fn first_pair(paths: &[&Path], index: usize, wanted: Relation) -> Fault {
    let path = paths[index];
    let first = paths[..index].iter().find(|other| relation(other, path) == wanted);
    let one = path_list(first.expect("a neighbour of it is one"));
    let two = path_list(path);
    match wanted {
        Relation::Conflict => Fault::PathsConflict { one, two },
        Relation::Overlap | Relation::Apart => Fault::PathsOverlap { one, two },
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Relation {
    Apart,
    Overlap,
    Conflict,
}

fn relation(one: &Path, two: &Path) -> Relation {
    for depth in 0.. {
        match (one.key(depth), two.key(depth)) {
            (None, _) | (_, None) => return Relation::Overlap,
            (Some(one), Some(two)) if one == two => {}
            (Some(Key::Index(_)), Some(Key::Name(_))) => return Relation::Conflict,
            (Some(Key::Name(_)), Some(Key::Index(_))) => return Relation::Conflict,
            (Some(_), Some(_)) => return Relation::Apart,
        }
    }
    unreachable!("paths end")
}

/// A path in the order of paths.
#[derive(Clone, Copy)]
struct Ordered<'a>(&'a Path);

impl Ord for Ordered<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.order(other.0)
    }
}

impl PartialOrd for Ordered<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ordered<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ordered<'_> {}

/// A path as errors tell it: `[a, b, [0]]`.
pub(super) fn path_list(path: &Path) -> String {
    let mut text = format!("[{}", path.name);
    for step in &path.steps {
        match step {
            Step::Member(name) => write!(text, ", {name}"),
            Step::Index(index) => write!(text, ", [{index}]"),
        }
        .expect("a string takes all");
    }
    text.push(']');
    text
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::model::AttributeName;

    fn path() -> impl Strategy<Value = Path> {
        let name = "[ab]".prop_map(|text| AttributeName::parse(&text).expect("a name"));
        let step = prop_oneof![name.clone().prop_map(Step::Member), (0..2u32).prop_map(Step::Index)];
        (name, vec(step, 0..4)).prop_map(|(name, steps)| Path { name, steps })
    }

    /// Each path with each before it.
    fn pairs(paths: &[Path]) -> Result<(), Fault> {
        for wanted in [Relation::Overlap, Relation::Conflict] {
            for (index, path) in paths.iter().enumerate() {
                if paths[..index].iter().any(|other| relation(other, path) == wanted) {
                    return Err(first_pair(&paths.iter().collect::<Vec<_>>(), index, wanted));
                }
            }
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn looking_at_neighbours_is_enough(paths in vec(path(), 0..8)) {
            prop_assert_eq!(check_apart(&paths.iter().collect::<Vec<_>>()), pairs(&paths));
        }
    }
}
