//! The partition map of one table: which node leads the partition of a hash. A hint; see the door.

use std::time::Duration;

use tokio::time::Instant;

use crate::model::KeySchema;

/// How long a map is used before one call asks for it again.
pub(super) const MAP_LIFE: Duration = Duration::from_secs(10);

/// A map younger than this is not asked for again, whatever went wrong.
pub(super) const MAP_AGE_MIN: Duration = Duration::from_millis(20);

/// Who leads what. `N` names a node.
pub(super) struct PartitionMap<N> {
    /// What the hash is computed from.
    pub key: KeySchema,
    /// First hash of each partition and its leader, if one is known, in order of hashes.
    ranges: Vec<(u64, Option<N>)>,
    /// When it was asked for.
    pub asked: Instant,
}

impl<N> PartitionMap<N> {
    /// The map of these partitions.
    pub fn new(key: KeySchema, mut ranges: Vec<(u64, Option<N>)>, asked: Instant) -> Self {
        ranges.sort_by_key(|(first, _)| *first);
        Self { key, ranges, asked }
    }

    /// The leader for a hash, if one is known.
    pub fn leader(&self, hash: u64) -> Option<&N> {
        let behind = self.ranges.partition_point(|(first, _)| *first <= hash);
        self.ranges[..behind].last()?.1.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AttributeName, KeyAttribute, KeyType};

    #[test]
    fn each_hash_has_the_leader_of_its_range() {
        let name = AttributeName::parse("id").expect("a good name");
        let key = KeySchema { partition: KeyAttribute { name, kind: KeyType::S }, sort: None };
        let ranges = vec![(200, Some("c")), (0, Some("a")), (100, None)];
        let map = PartitionMap::new(key.clone(), ranges, Instant::now());
        for (hash, leader) in [
            (0, Some("a")),
            (99, Some("a")),
            (100, None),
            (199, None),
            (200, Some("c")),
            (u64::MAX, Some("c")),
        ] {
            assert_eq!(map.leader(hash).copied(), leader, "hash {hash}");
        }
        let empty: PartitionMap<&str> = PartitionMap::new(key, Vec::new(), Instant::now());
        assert_eq!(empty.leader(5), None, "a table being created has no partitions yet");
    }
}
