//! Batches: many items in one call, each on its own.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::{
    items::Target,
    parameters::{self, Consumed, Counting, Parameters},
};
use crate::{
    expression::ast::Projection,
    model::{
        Item,
        id::GroupId,
        limits::{BATCH_GET_ITEMS_MAX, BATCH_WRITE_ITEMS_MAX},
    },
    node::{Error, Node},
    partition::{self, Units, Write, read_units, write_units},
};

/// Bytes of items a batch of reads returns at most (AWS: 16 MB).
const GET_BYTES_MAX: usize = 16 * 1024 * 1024;

/// One write of a batch.
pub(super) enum Asked {
    /// Put this item, given also in its encoding.
    Put(Item, Bytes),
    /// Delete the item with this key.
    Delete(Item),
}

/// What a batch of writes came to.
pub(super) struct Written {
    /// Whether each was done, in their order.
    pub done: Vec<bool>,
    pub consumed: Vec<Consumed>,
}

/// Does a batch of writes, given with their tables. Fails as a whole only before anything was done.
pub(super) async fn write(
    node: &Node,
    asked: Vec<(&str, Asked)>,
    counting: Counting,
) -> Result<Written, Error> {
    if asked.is_empty() || asked.len() > BATCH_WRITE_ITEMS_MAX {
        return Err(Error::Invalid(match asked.len() {
            0 => "The batch write request list for a table cannot be null or empty".to_owned(),
            _ => "Too many items requested for the BatchWriteItem call".to_owned(),
        }));
    }
    let mut targets = BTreeMap::new();
    for (table, _) in &asked {
        if !targets.contains_key(table) {
            targets.insert(*table, Target::find(node, table).await?);
        }
    }
    let tables: Vec<&str> = asked.iter().map(|(table, _)| *table).collect();
    let writes = asked.into_iter().map(|(table, asked)| match asked {
        Asked::Put(item, encoded) => targets[table].put(&item, encoded),
        Asked::Delete(key) => targets[table].delete(&key),
    });
    let mut writes: Vec<(GroupId, Write)> = writes.collect::<Result<_, _>>()?;
    writes.iter_mut().for_each(|(_, write)| write.measures = counting != Counting::None);
    let distinct: BTreeSet<&Bytes> = writes.iter().map(|(_, write)| &write.key).collect();
    if distinct.len() < writes.len() {
        return Err(Error::Invalid("Provided list of item keys contains duplicates".to_owned()));
    }
    let results = node.write_many(writes).await;
    refuse_none(&results)?;
    let mut units: BTreeMap<&str, Units> = targets.keys().map(|table| (*table, Units::ZERO)).collect();
    for (table, result) in tables.iter().zip(&results) {
        let answer = result.as_ref().ok();
        let spent = answer.map_or(Units::ZERO, |answer| write_units(answer.bytes));
        *units.entry(table).or_default() += spent;
    }
    // Puts and deletes can be repeated, so an unknown one is handed back like one that did not happen.
    let done = results.iter().map(Result::is_ok).collect();
    Ok(Written { done, consumed: told(counting, units) })
}

/// Of what was not done at all, the reason is told; of what was partly done, what is left.
fn refuse_none<T>(results: &[Result<T, Error>]) -> Result<(), Error> {
    let unavailable = |result: &Result<T, Error>| result.as_ref().is_err_and(Error::is_unavailable);
    match results {
        [Err(error), ..] if results.iter().all(unavailable) => Err(error.clone()),
        _ => Ok(()),
    }
}

fn told(counting: Counting, units: BTreeMap<&str, Units>) -> Vec<Consumed> {
    units.into_iter().filter_map(|(table, units)| counting.told(table, units)).collect()
}

/// The keys a batch of reads asks of one table.
pub(super) struct Keys {
    pub table: String,
    pub keys: Vec<Item>,
    pub consistent: bool,
    pub parameters: Option<Box<Parameters>>,
}

/// What a batch of reads found in one table, and the places of the keys that were not read.
#[derive(Default)]
pub(super) struct Found {
    pub items: Vec<Bytes>,
    pub unread: Vec<usize>,
}

/// What a batch of reads came to.
pub(super) struct Got {
    /// By table, in the order they were asked in.
    pub found: Vec<Found>,
    pub consumed: Vec<Consumed>,
}

/// The keys of one table, found.
struct Located {
    table: String,
    places: Vec<(GroupId, Bytes)>,
    projection: Option<Projection>,
    consistent: bool,
}

/// Reads a batch of items.
pub(super) async fn get(node: &Node, asked: Vec<Keys>, counting: Counting) -> Result<Got, Error> {
    let total: usize = asked.iter().map(|keys| keys.keys.len()).sum();
    if asked.iter().any(|keys| keys.keys.is_empty()) || total == 0 {
        let message = "The batch get request list for a table cannot be null or empty";
        return Err(Error::Invalid(message.to_owned()));
    }
    if total > BATCH_GET_ITEMS_MAX {
        return Err(Error::Invalid("Too many items requested for the BatchGetItem call".to_owned()));
    }
    let mut tables = BTreeSet::new();
    let mut located = Vec::with_capacity(asked.len());
    for Keys { table, keys, consistent, parameters } in asked {
        let parsed = parameters::parse(parameters, node)?;
        let target = Target::find(node, &table).await?;
        let projection = parsed.of(target.schema())?.projection;
        let places = keys.iter().map(|key| target.locate(key)).collect::<Result<Vec<_>, _>>()?;
        let distinct: BTreeSet<&Bytes> = places.iter().map(|(_, key)| key).collect();
        if distinct.len() < places.len() || !tables.insert(table.clone()) {
            return Err(Error::Invalid("Provided list of item keys contains duplicates".to_owned()));
        }
        located.push(Located { table, places, projection, consistent });
    }
    let reads = located.iter().flat_map(|asked| asked.places.iter().map(move |place| (asked, place)));
    let reads = reads.map(async |(asked, (group, key))| {
        let (projection, consistent) = (asked.projection.clone(), asked.consistent);
        let items = node.get(*group, vec![key.clone()], projection, consistent).await;
        items.map(|mut items| items.pop().flatten())
    });
    let results = futures::future::join_all(reads).await;
    refuse_none(&results)?;
    let mut results = results.into_iter();
    let mut got = Got { found: Vec::new(), consumed: Vec::new() };
    let mut bytes = 0;
    for asked in &located {
        let (found, units) = take(asked, results.by_ref().take(asked.places.len()), &mut bytes)?;
        got.found.push(found);
        got.consumed.extend(counting.told(&asked.table, units));
    }
    Ok(got)
}

/// Sorts out what came of the reads of one table, until `bytes` reaches the limit of the answer.
fn take(
    asked: &Located,
    results: impl Iterator<Item = Result<Option<partition::Found>, Error>>,
    bytes: &mut usize,
) -> Result<(Found, Units), Error> {
    let (mut found, mut units) = (Found::default(), Units::ZERO);
    for (at, result) in results.enumerate() {
        match result {
            Ok(Some(item)) if *bytes + item.item.len() > GET_BYTES_MAX => found.unread.push(at),
            Ok(item) => {
                units += read_units(item.as_ref().map_or(0, |item| item.bytes), asked.consistent);
                if let Some(item) = item {
                    *bytes += item.item.len();
                    found.items.push(item.item);
                }
            }
            Err(error) if error.is_unavailable() => found.unread.push(at),
            Err(error) => return Err(error),
        }
    }
    Ok((found, units))
}
