//! The versions of a key as its stream tells them.
//!
//! What a record does not show is taken from its neighbours: the item before a record is the item after the key's
//! previous record, and the other way round. So a stream of new images tells every version from its first record on;
//! one of old images tells each version with the record that ends it, and the last is the table's item if the stream is
//! still on. A stream that was on for the whole run begins with no item. Event names tell alone where there was no item.

use std::collections::BTreeMap;

use watertable::client::{EventName, Record, StreamViewType};

use super::evidence::Image;
use crate::history::{History, Key, NEVER, ShardStory, StreamStory, written_by};

/// One change of a key.
#[derive(Clone, Copy, Debug)]
pub struct Version<'a> {
    /// The shard that holds it.
    pub shard: &'a ShardStory,
    /// The record of it.
    pub record: &'a Record,
    /// The item before it.
    pub before: Image<'a>,
    /// The item after it.
    pub after: Image<'a>,
}

/// Who made a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Author {
    /// The operation of this number.
    Number(u64),
    /// A `Touch`.
    Touch,
    /// A `Delete`.
    Delete,
    /// The item is not shown.
    Hidden,
}

/// Whether records show the item before.
pub fn shows_old(view_type: StreamViewType) -> bool {
    matches!(view_type, StreamViewType::OldImage | StreamViewType::NewAndOldImages)
}

/// Whether records show the item after.
pub fn shows_new(view_type: StreamViewType) -> bool {
    matches!(view_type, StreamViewType::NewImage | StreamViewType::NewAndOldImages)
}

/// Whether a stream has every change since the table was made, as far as it had come.
pub fn from_the_start(history: &History, stream: &StreamStory) -> bool {
    stream.on == (0, 0) && !history.trimmed
}

/// Whether a stream has every change up to the table's items in the end.
pub fn to_the_end(history: &History, table: usize, stream: &StreamStory) -> bool {
    stream.off == (NEVER, NEVER) && !history.tables[table].deleted
}

/// The ancestors of a shard that are still there, its parent first.
pub fn ancestors<'a>(stream: &'a StreamStory, shard: &'a ShardStory) -> Vec<&'a ShardStory> {
    let mut line = Vec::new();
    let mut youngest = shard;
    while let Some(parent) = &youngest.parent {
        let Some(found) = stream.shards.iter().find(|other| other.id == *parent) else { break };
        // A shard that were its own ancestor would be one forever.
        if line.len() >= stream.shards.len() {
            break;
        }
        line.push(found);
        youngest = found;
    }
    line
}

/// The shards of a stream, parents before children.
pub fn shards(stream: &StreamStory) -> Vec<&ShardStory> {
    let mut shards: Vec<_> =
        stream.shards.iter().map(|shard| (ancestors(stream, shard).len(), shard)).collect();
    shards.sort_by_key(|(depth, _)| *depth);
    shards.into_iter().map(|(_, shard)| shard).collect()
}

/// The changes of every key of a stream, in order. Records whose keys are none are left out: `no_invention` reports
/// them.
pub fn of<'a>(
    history: &'a History,
    table: usize,
    stream: &'a StreamStory,
) -> BTreeMap<Key, Vec<Version<'a>>> {
    let mut chains = BTreeMap::<Key, Vec<Version>>::new();
    for shard in shards(stream) {
        for record in &shard.records {
            let Some(key) = Key::of(table, &record.keys) else { continue };
            let version =
                Version { shard, record, before: before(stream, record), after: after(stream, record) };
            chains.entry(key).or_default().push(version);
        }
    }
    for (key, chain) in &mut chains {
        complete(history, table, stream, key, chain);
    }
    chains
}

fn before<'a>(stream: &StreamStory, record: &'a Record) -> Image<'a> {
    if shows_old(stream.view_type) {
        return Some(record.old_image.as_ref());
    }
    (record.event_name == EventName::Insert).then_some(None)
}

fn after<'a>(stream: &StreamStory, record: &'a Record) -> Image<'a> {
    if shows_new(stream.view_type) {
        return Some(record.new_image.as_ref());
    }
    (record.event_name == EventName::Remove).then_some(None)
}

fn complete<'a>(
    history: &'a History,
    table: usize,
    stream: &StreamStory,
    key: &Key,
    chain: &mut [Version<'a>],
) {
    if !shows_old(stream.view_type) && !shows_new(stream.view_type) {
        return;
    }
    let mut last = from_the_start(history, stream).then_some(None);
    for version in chain.iter_mut() {
        version.before = version.before.or(last);
        last = version.after;
    }
    let mut next = to_the_end(history, table, stream).then(|| history.tables[table].items.get(key));
    for version in chain.iter_mut().rev() {
        version.after = version.after.or(next);
        next = version.before;
    }
}

impl Version<'_> {
    /// Who made it.
    pub fn author(&self) -> Author {
        match self.after {
            _ if self.record.event_name == EventName::Remove => Author::Delete,
            Some(Some(item)) => written_by(item).map_or(Author::Touch, Author::Number),
            Some(None) | None => Author::Hidden,
        }
    }
}
