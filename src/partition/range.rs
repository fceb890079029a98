//! Where items are stored, and the ranges of stored keys that partitions, segments and queries are.
//!
//! A stored key is the table's id (8 bytes, big-endian), then the item key: partition hash, partition key, sort key
//! (`model::key`). A partition is thus one range of stored keys, and so is what a query reads, in sort key order.

use std::ops::{Bound, RangeBounds};

use bytes::{BufMut, Bytes, BytesMut};

use crate::expression::ast::{KeyCondition, SortCondition};
use crate::model::{self, HashRange, Item, ItemKey, KeySchema, KeyType, id::TableId};

/// Stored keys, from the first bound to the second; may be empty, or inverted, which is empty as well.
pub type KeyRange = (Bound<Bytes>, Bound<Bytes>);

/// The key an item is stored under.
pub fn stored_key(table: TableId, key: &ItemKey) -> Bytes {
    prefixed(table, &[key.as_bytes()])
}

fn prefixed(table: TableId, parts: &[&[u8]]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(8 + parts.iter().map(|part| part.len()).sum::<usize>());
    bytes.put_u64(table.0);
    parts.iter().for_each(|part| bytes.put_slice(part));
    bytes.freeze()
}

/// The stored keys of a partition: from the first (inclusive) to the second (exclusive; absent: no bound).
pub fn table_range(table: TableId, range: HashRange) -> (Bytes, Option<Bytes>) {
    let end = match range.end_key() {
        Some(hash) => Some(prefixed(table, &[&hash])),
        None => table.0.checked_add(1).map(|next| Bytes::copy_from_slice(&next.to_be_bytes())),
    };
    (prefixed(table, &[&range.first_key()]), end)
}

/// The hashes that belong to a segment of a parallel scan: the segments of one `total` share out all hashes, in rising
/// order and in lengths that differ by at most one. None if there is no such segment.
pub fn segment_hashes(segment: u32, total: u32) -> Option<HashRange> {
    let bound = |index: u32| (u128::from(index) << 64) / u128::from(total);
    // Bounds below the end are below 2^64, and the end less one, too.
    (segment < total)
        .then(|| HashRange { first: bound(segment) as u64, last: (bound(segment + 1) - 1) as u64 })
}

/// The segment a hash belongs to; `total` is at least 1. The inverse of [`segment_hashes`].
pub fn segment_of_hash(hash: u64, total: u32) -> u32 {
    // The last segment whose first hash, `segment * 2^64 / total` rounded down, is not above the hash.
    (((u128::from(hash) + 1) * u128::from(total) - 1) >> 64) as u32
}

/// The part of a partition that belongs to a segment of a parallel scan, as [`table_range`] gives it. None if nothing
/// of it does, or there is no such segment.
pub fn segment_range(
    table: TableId,
    segment: u32,
    total: u32,
    within: HashRange,
) -> Option<(Bytes, Option<Bytes>)> {
    let hashes = segment_hashes(segment, total)?;
    let (first, last) = (hashes.first.max(within.first), hashes.last.min(within.last));
    (first <= last).then(|| table_range(table, HashRange { first, last }))
}

/// The stored keys of the items that a query reads.
///
/// Errors: those of the keys in the condition (`KeyMismatch`, `KeyEmpty`, `PartitionKeyTooLong`, `SortKeyTooLong`), the
/// partition's first; `KeyMismatch` also for numbers that would begin with something.
pub fn query_range(
    table: TableId,
    schema: &KeySchema,
    condition: &KeyCondition,
) -> Result<KeyRange, model::Error> {
    let prefix = schema.partition_prefix(&condition.partition)?;
    let (from, to) = match &condition.sort {
        Some(sort) => sort_range(schema, sort)?,
        None => (Bound::Unbounded, Bound::Unbounded),
    };
    let key = |suffix: Bytes| prefixed(table, &[&prefix, &suffix]);
    let start = prefixed(table, &[&prefix]);
    let end = after_prefix(&start).map_or(Bound::Unbounded, Bound::Excluded);
    let from = if from == Bound::Unbounded { Bound::Included(start) } else { from.map(key) };
    let to = if to == Bound::Unbounded { end } else { to.map(key) };
    Ok((from, to))
}

/// The sort keys that are as the condition says, as bytes; unbounded where the partition key's items end.
fn sort_range(schema: &KeySchema, condition: &SortCondition) -> Result<KeyRange, model::Error> {
    use Bound::{Excluded, Included, Unbounded};
    let bytes = |value| schema.sort_suffix(value);
    Ok(match condition {
        SortCondition::Equal(value) => {
            let only = bytes(value)?;
            (Included(only.clone()), Included(only))
        }
        SortCondition::Less(value) => (Unbounded, Excluded(bytes(value)?)),
        SortCondition::LessOrEqual(value) => (Unbounded, Included(bytes(value)?)),
        SortCondition::Greater(value) => (Excluded(bytes(value)?), Unbounded),
        SortCondition::GreaterOrEqual(value) => (Included(bytes(value)?), Unbounded),
        SortCondition::Between(low, high) => (Included(bytes(low)?), Included(bytes(high)?)),
        SortCondition::BeginsWith(value) => {
            let prefix = bytes(value)?;
            if schema.sort.as_ref().is_some_and(|sort| sort.kind == KeyType::N) {
                return Err(model::Error::KeyMismatch);
            }
            let end = after_prefix(&prefix).map_or(Unbounded, Excluded);
            (Included(prefix), end)
        }
    })
}

/// The smallest bytes above all that begin with the prefix; none if there are none.
fn after_prefix(prefix: &[u8]) -> Option<Bytes> {
    let last = prefix.iter().rposition(|byte| *byte < 0xFF)?;
    let mut bytes = BytesMut::from(&prefix[..=last]);
    bytes[last] += 1;
    Some(bytes.freeze())
}

/// Why a query cannot start after a key (its `ExclusiveStartKey`). Kind: *invalid*. `Display` is DynamoDB's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartFault {
    /// Its sort key is not as the query's condition says.
    #[error("The provided starting key does not match the range key predicate")]
    Sort,
    /// It is of another partition key.
    #[error("The provided starting key is outside query boundaries based on provided conditions")]
    Partition,
}

/// Whether a query may start after a key, given as the map of its key attributes: only if it could read an item there.
/// Errors: `StartFault`, the sort key's before the partition key's; in it, nothing about keys that cannot be, which
/// `KeySchema::key_of_key` refuses.
pub fn check_start(schema: &KeySchema, condition: &KeyCondition, start: &Item) -> Result<(), StartFault> {
    if let (Some(sort), Some(attribute)) = (&condition.sort, &schema.sort) {
        let range = sort_range(schema, sort);
        let suffix = start.get(&attribute.name).map(|value| schema.sort_suffix(value));
        if !matches!((range, suffix), (Ok(range), Some(Ok(suffix))) if range.contains(&suffix)) {
            return Err(StartFault::Sort);
        }
    }
    if start.get(&schema.partition.name) != Some(&condition.partition) {
        return Err(StartFault::Partition);
    }
    Ok(())
}

/// What is left of a range behind a key, in the direction it is read; never more than the range.
pub fn behind(range: KeyRange, key: Bytes, reverse: bool) -> KeyRange {
    let (from, to) = range;
    let begin = if reverse { &to } else { &from };
    let is_passed = match begin {
        Bound::Unbounded => true,
        Bound::Included(begin) | Bound::Excluded(begin) if reverse => key <= *begin,
        Bound::Included(begin) | Bound::Excluded(begin) => key >= *begin,
    };
    match reverse {
        _ if !is_passed => (from, to),
        false => (Bound::Excluded(key), to),
        true => (from, Bound::Excluded(key)),
    }
}
