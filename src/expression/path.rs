//! The order of paths: what lies below one place stands together, list elements in the order of their indexes.

use std::cmp::Ordering;

use crate::model::AttributeName;

use super::ast::{Path, Step};

/// One level of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key<'a> {
    Index(u32),
    Name(&'a AttributeName),
}

impl Path {
    /// The path's keys from the top: the attribute's name is at depth 0.
    pub(super) fn key(&self, depth: usize) -> Option<Key<'_>> {
        let Some(depth) = depth.checked_sub(1) else { return Some(Key::Name(&self.name)) };
        self.steps.get(depth).map(|step| match step {
            Step::Member(name) => Key::Name(name),
            Step::Index(index) => Key::Index(*index),
        })
    }

    /// Order by keys, outermost first.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let keys = |path| (0..).map_while(move |depth| Path::key(path, depth));
        keys(self).cmp(keys(other))
    }
}
