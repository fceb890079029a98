//! Replicas that have applied the same entries are byte-equal: state machines are deterministic (Schneider 1990,
//! "Implementing Fault-Tolerant Services Using the State Machine Approach"). Judged in the end, when all have applied
//! everything.

use std::{
    collections::BTreeMap,
    ops::{Bound, ControlFlow},
};

use bytes::Bytes;
use watertable::{model::id::GroupId, partition::table_range, raft::Published};

use super::{Look, item_counts, name};
use crate::{
    verdict::{Marks, Violation},
    world::World,
};

/// Judges all partitions.
pub fn check(world: &World, look: &Look, marks: &mut Marks) -> Result<(), Violation> {
    marks.add("invariant: replicas_equal", 0);
    let Some(catalog) = world.machines.iter().find_map(|machine| Some(machine.node()?.catalog())) else {
        return Ok(());
    };
    for (group, partition) in &catalog.partitions {
        let (from, to) = table_range(partition.table, partition.range);
        let mut first: Option<(usize, BTreeMap<Bytes, Bytes>)> = None;
        for (node, groups) in look {
            if !groups.contains_key(group) {
                continue;
            }
            let items = dump(world, *node, (&from, to.as_ref()))?;
            item_counts::check(*group, *node, items.len(), look, marks)?;
            match &first {
                None => first = Some((*node, items)),
                Some((other, expected)) => {
                    marks.add("invariant: replicas_equal", 1 + items.len() as u64);
                    compare(*group, (*other, expected), (*node, &items))?;
                    states(*group, look, *other, *node)?;
                }
            }
        }
    }
    Ok(())
}

fn dump(
    world: &World,
    node: usize,
    (from, to): (&Bytes, Option<&Bytes>),
) -> Result<BTreeMap<Bytes, Bytes>, Violation> {
    let mut items = BTreeMap::new();
    let to = to.map_or(Bound::Unbounded, |to| Bound::Excluded(&to[..]));
    let read =
        world.machines[node].items.items().range(Bound::Included(&from[..]), to, false, &mut |key, value| {
            items.insert(Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
            ControlFlow::Continue(())
        });
    read.map_err(|error| Violation::new("replicas_equal", format!("{}: {error}", name(node))))?;
    Ok(items)
}

fn compare(
    group: GroupId,
    (one, left): (usize, &BTreeMap<Bytes, Bytes>),
    (other, right): (usize, &BTreeMap<Bytes, Bytes>),
) -> Result<(), Violation> {
    let differs = left.keys().chain(right.keys()).find(|key| left.get(*key) != right.get(*key));
    let Some(key) = differs else { return Ok(()) };
    let what = format!(
        "group {group}: {} has {:?} at {key:?}, {} has {:?}",
        name(one),
        left.get(key),
        name(other),
        right.get(key)
    );
    Err(Violation::new("replicas_equal", what))
}

fn states(group: GroupId, look: &Look, one: usize, other: usize) -> Result<(), Violation> {
    // How far ahead of its log a replica's items were when it got them is its own.
    let state = |node: usize| {
        let published = look[&node].get(&group).and_then(|member| member.published.clone());
        published.map(|published| Published { items_at: None, ..published })
    };
    let (left, right) = (state(one), state(other));
    if left == right {
        return Ok(());
    }
    let what = format!("group {group}: {} knows {left:?}, {} {right:?}", name(one), name(other));
    Err(Violation::new("replicas_equal", what))
}
