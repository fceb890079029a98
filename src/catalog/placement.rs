//! Who holds what: a pure function of the cluster.

use std::collections::{BTreeMap, BTreeSet};

use hashring::HashRing;
use xxhash_rust::xxh3::Xxh3DefaultBuilder;

use super::Node;
use crate::model::id::{GroupId, NodeId};

/// The nodes that hold a partition's replicas, the one that should lead it first: `count` of them, or all there
/// are. Taken in the order of a consistent hash ring, so that a node more or less moves few partitions; zones are
/// kept apart while there are zones left; among the chosen ones the node that leads least becomes the leader.
///
/// `leads`: how many partitions each node should lead already.
pub fn place(
    nodes: &BTreeMap<NodeId, Node>,
    group: GroupId,
    count: usize,
    leads: &BTreeMap<NodeId, usize>,
) -> Vec<NodeId> {
    let mut ring: HashRing<u64, Xxh3DefaultBuilder> = HashRing::with_hasher(Xxh3DefaultBuilder::new());
    ring.batch_add(nodes.keys().map(|node| node.0).collect());
    let in_order = ring.get_with_replicas(&group.0, nodes.len().saturating_sub(1)).unwrap_or_default();
    let mut chosen: Vec<NodeId> = Vec::new();
    let mut zones: BTreeSet<&str> = BTreeSet::new();
    for fresh_zone in [true, false] {
        for node in in_order.iter().copied().map(NodeId) {
            let zone = nodes.get(&node).map_or("", |node| node.zone.as_str());
            let is_fresh = zone.is_empty() || !zones.contains(zone);
            if chosen.len() < count && !chosen.contains(&node) && is_fresh == fresh_zone {
                zones.insert(zone);
                chosen.push(node);
            }
        }
    }
    let leader = chosen
        .iter()
        .enumerate()
        .min_by_key(|(at, node)| (leads.get(node).copied().unwrap_or(0), *at))
        .map_or(0, |(at, _)| at);
    if !chosen.is_empty() {
        chosen.swap(0, leader);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(zones: &[&str]) -> BTreeMap<NodeId, Node> {
        zones
            .iter()
            .enumerate()
            .map(|(at, zone)| {
                let id = NodeId(at as u64 + 1);
                (id, Node { id, address: format!("n{at}:1"), zone: (*zone).to_owned(), nonce: 0 })
            })
            .collect()
    }

    #[test]
    fn replicas_are_distinct_and_zones_kept_apart() {
        let nodes = nodes(&["a", "a", "a", "b", "c"]);
        for group in 1..200 {
            let chosen = place(&nodes, GroupId(group), 3, &BTreeMap::new());
            let zones: BTreeSet<_> = chosen.iter().map(|node| &nodes[node].zone).collect();
            assert_eq!((chosen.len(), zones.len()), (3, 3), "{group}: {chosen:?}");
        }
        assert_eq!(place(&nodes, GroupId(1), 9, &BTreeMap::new()).len(), 5);
    }

    #[test]
    fn a_node_more_moves_few_partitions() {
        let (four, five) = (nodes(&["", "", "", ""]), nodes(&["", "", "", "", ""]));
        let moved: usize = (1..=300)
            .map(|group| {
                let old: BTreeSet<_> =
                    place(&four, GroupId(group), 3, &BTreeMap::new()).into_iter().collect();
                let new = place(&five, GroupId(group), 3, &BTreeMap::new());
                new.iter().filter(|node| !old.contains(node)).count()
            })
            .sum();
        assert!(moved < 300, "{moved} of 900 replicas moved");
        assert!(moved > 60, "{moved} of 900 replicas moved: the new node is not used");
    }

    #[test]
    fn leadership_is_spread() {
        let nodes = nodes(&["", "", ""]);
        let mut leads = BTreeMap::new();
        for group in 1..=30 {
            let leader = place(&nodes, GroupId(group), 3, &leads)[0];
            *leads.entry(leader).or_default() += 1;
        }
        assert!(leads.values().all(|count| *count == 10), "{leads:?}");
    }
}
