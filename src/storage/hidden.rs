//! The key ranges whose items nobody may see, because an import or a removal is under way in them.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::model::id::GroupId;

/// A range of item keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyRange {
    /// The first key of the range.
    pub from: Bytes,
    /// The first key after it, if it has an end.
    pub to: Option<Bytes>,
}

impl KeyRange {
    /// The range `from..to`.
    pub fn new(from: &[u8], to: Option<&[u8]>) -> Self {
        Self { from: Bytes::copy_from_slice(from), to: to.map(Bytes::copy_from_slice) }
    }

    /// Whether `key` lies in it.
    pub fn contains(&self, key: &[u8]) -> bool {
        *self.from <= *key && self.to.as_ref().is_none_or(|to| *key < **to)
    }

    /// Whether no key can lie in it.
    pub fn is_empty(&self) -> bool {
        self.to.as_ref().is_some_and(|to| *to <= self.from)
    }
}

/// The hidden ranges by group. Almost always empty.
#[derive(Clone, Debug, Default)]
pub(super) struct Hidden(BTreeMap<GroupId, KeyRange>);

impl Hidden {
    /// Whether the item at `key` must not be seen.
    pub fn hides(&self, key: &[u8]) -> bool {
        self.0.values().any(|range| range.contains(key))
    }

    /// The hidden range of the group.
    pub fn of(&self, group: GroupId) -> Option<&KeyRange> {
        self.0.get(&group)
    }

    /// Hides a group's range.
    pub fn insert(&mut self, group: GroupId, range: KeyRange) {
        self.0.insert(group, range);
    }

    /// Shows it again.
    pub fn remove(&mut self, group: GroupId) {
        self.0.remove(&group);
    }

    /// Shows everything.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}
