//! Projections: the part of an item that paths lead to.
//!
//! Source: Amazon DynamoDB Developer Guide, "Using projection expressions". What a path does not find is left out
//! silently, with the maps and lists that would hold nothing else; elements of one list become a shorter list, in the
//! order of their indexes.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use bytes::Bytes;

use crate::model::lookup::{Elements, Entries, Entry, Stored};
use crate::model::{AttributeName, AttributeValue, Corrupt, Item, codec};

use super::ast::{Path, Projection};
use super::path::Key;
use super::subject::{Subject, ValueRef};

impl Projection {
    /// The projected part of the subject; of nothing, nothing. Errors: `Corrupt` if stored bytes that were looked at
    /// do not decode.
    pub fn project(&self, subject: Subject<'_>) -> Result<Item, Corrupt> {
        project(subject, self.paths.iter().collect())
    }

    /// The projected part of a stored item, in its stored form. If only whole attributes are asked for, they are
    /// copied as they are, and neither decoded nor checked. Errors: as `project`.
    pub fn project_encoded(&self, item: &[u8]) -> Result<Bytes, Corrupt> {
        if self.paths.iter().all(|path| path.steps.is_empty()) {
            return copy_attributes(item, self.paths.iter().map(|path| &path.name).collect());
        }
        let mut bytes = Vec::new();
        codec::encode_item(&self.project(Subject::Encoded(item))?, &mut bytes);
        Ok(bytes.into())
    }
}

/// The part of the subject that the paths lead to; no two of them overlap or conflict.
pub(super) fn project(subject: Subject<'_>, mut paths: Vec<&Path>) -> Result<Item, Corrupt> {
    paths.sort_unstable_by(|left, right| left.order(right));
    let map = match subject {
        Subject::Nothing => BTreeMap::new(),
        Subject::Item(item) => members(item.as_map(), &paths, 0)?,
        Subject::Encoded(bytes) => stored_members(Entries::of_item(bytes), &paths, 0)?,
    };
    Ok(map.into())
}

fn copy_attributes(item: &[u8], mut names: Vec<&AttributeName>) -> Result<Bytes, Corrupt> {
    names.sort_unstable();
    let mut bytes = Vec::with_capacity(item.len());
    let mut names = names.into_iter().peekable();
    for entry in Entries::of_item(item) {
        let Entry { name, whole, .. } = entry?;
        while names.next_if(|wanted| wanted.as_str().as_bytes() < name).is_some() {}
        let Some(wanted) = names.peek() else { break };
        if wanted.as_str().as_bytes() == name {
            bytes.extend_from_slice(whole);
        }
    }
    Ok(bytes.into())
}

/// What the sorted paths, which agree in their first `depth` keys, show of the value there; none if nothing.
/// Recurses as deep as paths are long, and no deeper than the value nests.
fn part(value: ValueRef<'_>, paths: &[&Path], depth: usize) -> Result<Option<AttributeValue>, Corrupt> {
    if paths[0].key(depth).is_none() {
        return value.to_value().map(Some);
    }
    let map = |map: BTreeMap<_, _>| (!map.is_empty()).then_some(AttributeValue::M(map));
    let list = |list: Vec<_>| (!list.is_empty()).then_some(AttributeValue::L(list));
    match value {
        ValueRef::Built(AttributeValue::M(whole)) => members(whole, paths, depth).map(map),
        ValueRef::Built(AttributeValue::L(whole)) => elements(whole, paths, depth).map(list),
        ValueRef::Built(_) => Ok(None),
        ValueRef::Stored(bytes) => match Stored::read(bytes)? {
            Stored::M(whole) => stored_members(whole, paths, depth).map(map),
            Stored::L(whole) => stored_elements(whole, paths, depth).map(list),
            Stored::S(_) | Stored::N(_) | Stored::B(_) | Stored::Bool(_) | Stored::Null => Ok(None),
            Stored::Ss(_) | Stored::Ns(_) | Stored::Bs(_) => Ok(None),
        },
    }
}

/// The paths by their key at the depth, in its order.
fn groups<'a, 'p>(paths: &'a [&'p Path], depth: usize) -> impl Iterator<Item = (Key<'p>, &'a [&'p Path])> {
    let groups = paths.chunk_by(move |left, right| left.key(depth) == right.key(depth));
    groups.filter_map(move |group| Some((group[0].key(depth)?, group)))
}

fn names<'a, 'p>(
    paths: &'a [&'p Path],
    depth: usize,
) -> impl Iterator<Item = (&'p AttributeName, &'a [&'p Path])> {
    groups(paths, depth).filter_map(|(key, group)| match key {
        Key::Name(name) => Some((name, group)),
        Key::Index(_) => None,
    })
}

fn indexes<'a, 'p>(paths: &'a [&'p Path], depth: usize) -> impl Iterator<Item = (usize, &'a [&'p Path])> {
    groups(paths, depth).filter_map(|(key, group)| match key {
        Key::Index(index) => Some((index as usize, group)),
        Key::Name(_) => None,
    })
}

fn members(
    whole: &BTreeMap<AttributeName, AttributeValue>,
    paths: &[&Path],
    depth: usize,
) -> Result<BTreeMap<AttributeName, AttributeValue>, Corrupt> {
    let mut shown = BTreeMap::new();
    for (name, group) in names(paths, depth) {
        let Some(value) = whole.get(name) else { continue };
        if let Some(value) = part(ValueRef::Built(value), group, depth + 1)? {
            shown.insert(name.clone(), value);
        }
    }
    Ok(shown)
}

fn stored_members(
    whole: Entries<'_>,
    paths: &[&Path],
    depth: usize,
) -> Result<BTreeMap<AttributeName, AttributeValue>, Corrupt> {
    let mut shown = BTreeMap::new();
    let mut names = names(paths, depth).peekable();
    for entry in whole {
        let entry = entry?;
        let order = |name: &AttributeName| name.as_str().as_bytes().cmp(entry.name);
        while names.next_if(|(name, _)| order(name) == Ordering::Less).is_some() {}
        if names.peek().is_none() {
            break;
        }
        let Some((name, group)) = names.next_if(|(name, _)| order(name) == Ordering::Equal) else { continue };
        if let Some(value) = part(ValueRef::Stored(entry.value), group, depth + 1)? {
            shown.insert(name.clone(), value);
        }
    }
    Ok(shown)
}

fn elements(whole: &[AttributeValue], paths: &[&Path], depth: usize) -> Result<Vec<AttributeValue>, Corrupt> {
    let mut shown = Vec::new();
    for (index, group) in indexes(paths, depth) {
        let Some(value) = whole.get(index) else { break };
        shown.extend(part(ValueRef::Built(value), group, depth + 1)?);
    }
    Ok(shown)
}

fn stored_elements(
    whole: Elements<'_>,
    paths: &[&Path],
    depth: usize,
) -> Result<Vec<AttributeValue>, Corrupt> {
    let mut shown = Vec::new();
    let mut indexes = indexes(paths, depth).peekable();
    for (place, value) in whole.enumerate() {
        let value = value?;
        if indexes.peek().is_none() {
            break;
        }
        if let Some((_, group)) = indexes.next_if(|(index, _)| *index == place) {
            shown.extend(part(ValueRef::Stored(value), group, depth + 1)?);
        }
    }
    Ok(shown)
}
