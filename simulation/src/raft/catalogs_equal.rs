//! Nodes that have applied the same entries of group 0 know the same catalog: it too is a deterministic state machine
//! (Schneider 1990). Judged in the end, when all have applied everything.

use std::sync::Arc;

use watertable::catalog::Catalog;

use super::name;
use crate::{
    verdict::{Marks, Violation},
    world::World,
};

/// Judges all nodes.
pub fn check(world: &World, marks: &mut Marks) -> Result<(), Violation> {
    let nodes = world.machines.iter().enumerate();
    let catalogs: Vec<_> =
        nodes.filter_map(|(number, machine)| Some((number, machine.node()?.catalog()))).collect();
    compare(&catalogs, marks).map_err(|what| Violation::new("catalogs_equal", what))
}

fn compare(catalogs: &[(usize, Arc<Catalog>)], marks: &mut Marks) -> Result<(), String> {
    for pair in catalogs.windows(2) {
        marks.hit("invariant: catalogs_equal");
        let [(one, left), (other, right)] = pair else { continue };
        if left != right {
            return Err(format!("{} knows {left:?}, {} {right:?}", name(*one), name(*other)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_differs_is_found() {
        let mut marks = Marks::default();
        let catalog = Catalog { last_table: 3, ..Catalog::default() };
        let mut catalogs: Vec<_> = (0..3).map(|node| (node, Arc::new(catalog.clone()))).collect();
        assert_eq!(compare(&catalogs, &mut marks), Ok(()));
        assert_eq!(marks.0["invariant: catalogs_equal"], 2);
        catalogs[2].1 = Arc::new(Catalog { last_table: 4, ..catalog });
        assert!(compare(&catalogs, &mut marks).is_err_and(|what| what.contains("node-3")));
    }
}
