//! The tail of a group: its newest entries, in memory. All that is not durable yet is here, and as much of
//! the rest as the node-wide bound lets stay.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::model::id::Position;

/// What an entry costs in memory besides its bytes.
const OVERHEAD_BYTES: usize = 64;

/// See above. Positions are consecutive.
#[derive(Debug, Default)]
pub(super) struct Tail {
    entries: VecDeque<(Position, Bytes)>,
    /// Entries with an index below this are durable.
    durable_end: u64,
}

/// What an entry of `length` bytes counts against the bound.
fn cost(length: usize) -> usize {
    OVERHEAD_BYTES + length
}

impl Tail {
    /// Index of the first entry here.
    pub fn first(&self) -> Option<u64> {
        self.entries.front().map(|(position, _)| position.index)
    }

    /// The entry at `index`, if it is here.
    pub fn get(&self, index: u64) -> Option<&(Position, Bytes)> {
        let offset = index.checked_sub(self.first()?)?;
        self.entries.get(usize::try_from(offset).ok()?)
    }

    /// Adds entries; returns what they cost.
    pub fn extend(&mut self, entries: &[(Position, Bytes)]) -> usize {
        self.entries.extend(entries.iter().cloned());
        entries.iter().map(|(_, bytes)| cost(bytes.len())).sum()
    }

    /// Drops what is at or behind `first`; returns what that frees.
    pub fn cut(&mut self, first: u64) -> usize {
        self.durable_end = self.durable_end.min(first);
        let mut freed = 0;
        while self.entries.back().is_some_and(|(position, _)| position.index >= first) {
            freed += self.entries.pop_back().map_or(0, |(_, bytes)| cost(bytes.len()));
        }
        freed
    }

    /// Drops what is below `end`; returns what that frees.
    pub fn drop_below(&mut self, end: u64) -> usize {
        let mut freed = 0;
        while self.entries.front().is_some_and(|(position, _)| position.index < end) {
            freed += self.entries.pop_front().map_or(0, |(_, bytes)| cost(bytes.len()));
        }
        freed
    }

    /// Marks what is below `end` durable.
    pub fn set_durable(&mut self, end: u64) {
        self.durable_end = self.durable_end.max(end);
    }

    /// Drops what is below `end` and durable; returns what that frees.
    pub fn evict(&mut self, end: u64) -> usize {
        self.drop_below(end.min(self.durable_end))
    }

    /// Drops everything; returns what that frees.
    pub fn clear(&mut self) -> usize {
        self.cut(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(indexes: std::ops::Range<u64>) -> Vec<(Position, Bytes)> {
        indexes.map(|index| (Position::new(1, index), Bytes::from_static(b"x"))).collect()
    }

    #[test]
    fn only_what_is_durable_is_evicted() {
        let mut tail = Tail::default();
        let cost = tail.extend(&entries(0..10));
        assert_eq!(tail.evict(10), 0);
        tail.set_durable(10);
        assert_eq!(tail.evict(3), cost * 3 / 10);
        assert_eq!(tail.cut(5), cost * 5 / 10);
        tail.extend(&entries(5..8));
        tail.evict(10);
        assert_eq!(tail.first(), Some(5), "what was appended after a truncation is not durable yet");
        assert!(tail.get(4).is_none() && tail.get(7).is_some() && tail.get(8).is_none());
        assert_eq!(tail.clear(), cost * 3 / 10);
    }
}
