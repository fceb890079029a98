//! Tables of failures: where a trigger's records are kept whole that were given up, until somebody delivers them again.
//!
//! Such a table is one like any other. Its key is fixed: `TriggerId` (S), and `FailureId` (S), which sorts by when the
//! record was written. What is given up a second time, after a failover, is the same items.

use std::ops::Bound;

use super::{Error, Node, operation::Read};
use crate::{
    catalog::{Catalog, Table},
    delivery::GivenUp,
    expression::ast::{KeyCondition, SortCondition},
    model::{
        AttributeName, AttributeValue, Item, KeySchema, KeyType, Number, TableName, codec,
        id::{GroupId, TriggerId},
        limits::PAGE_BYTES_MAX,
    },
    partition::{Action, Limits, Returns, Select, Write, query_range, stored_key},
    stream::{SequenceNumber, label_of},
};

/// The partition key: the trigger's id.
pub const PARTITION_KEY: &str = "TriggerId";
/// The sort key: when the record was written (ms since 1970), its shard and its sequence number.
pub const SORT_KEY: &str = "FailureId";
/// Bytes of a record's JSON in one item; the rest of a longer one is in items of its own.
const PART_BYTES: usize = 300 * 1024;

/// Whether a table can keep failures. Errors: why not.
pub(super) fn check(catalog: &Catalog, name: &TableName) -> Result<(), Error> {
    let table = catalog.table(name).ok_or_else(|| {
        Error::NotFound(format!(
            "Requested resource not found: Table: {name} not found. The on-failure destination must be a table with the key \
             {PARTITION_KEY} (S), {SORT_KEY} (S)"
        ))
    })?;
    if is_fit(&table.key_schema) {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "the on-failure destination {name} must have the partition key {PARTITION_KEY} (S) and the sort key {SORT_KEY} (S)"
    )))
}

fn is_fit(schema: &KeySchema) -> bool {
    let is = |key: &crate::model::KeyAttribute, name| key.name.as_str() == name && key.kind == KeyType::S;
    is(&schema.partition, PARTITION_KEY) && schema.sort.as_ref().is_some_and(|sort| is(sort, SORT_KEY))
}

/// Keeps records that are given up. Errors: not all of them are kept; those that are do no harm.
pub(super) async fn keep(
    node: &Node,
    name: &TableName,
    id: TriggerId,
    given_up: &GivenUp<'_>,
) -> Result<(), Error> {
    let (catalog, table) = node.table(name).await?;
    let table = &catalog.tables[&table];
    if !is_fit(&table.key_schema) {
        return check(&catalog, name);
    }
    let items = items(id, given_up);
    let writes: Result<Vec<_>, Error> = items.iter().map(|item| put(&catalog, table, item)).collect();
    for result in node.write_many(writes?).await {
        result?;
    }
    Ok(())
}

fn put(catalog: &Catalog, table: &Table, item: &Item) -> Result<(GroupId, Write), Error> {
    let mut encoded = Vec::new();
    codec::encode_item(item, &mut encoded);
    write(catalog, table, item, Action::Put { item: encoded.into() })
}

/// A write of the item with the key that is in `of`.
fn write(catalog: &Catalog, table: &Table, of: &Item, action: Action) -> Result<(GroupId, Write), Error> {
    let key = stored_key(table.id, &table.key_schema.key_of_item(of)?);
    let group = Node::partition(catalog, table, &key)?;
    let returns = Returns::Nothing;
    Ok((group, Write { key, action, condition: None, returns, shows_rejected: false, measures: false }))
}

/// A record that was given up.
#[derive(Clone, Debug)]
pub struct Failed {
    /// Its id in the table.
    pub failure_id: String,
    /// Its shard.
    pub shard_id: String,
    /// Its sequence number.
    pub number: Option<SequenceNumber>,
    /// Why: Lambda's name.
    pub condition: String,
    /// How often the function was called with it.
    pub attempts: u32,
    /// What the function did last.
    pub error: String,
    /// When, ISO 8601.
    pub failed_at: String,
    /// The record as the function got it: JSON.
    pub record: String,
    /// How many items keep it.
    parts: usize,
}

impl Failed {
    fn read(item: &Item) -> Option<Self> {
        let text = |name: &str| match item.get(name) {
            Some(AttributeValue::S(text)) => Some(text.clone()),
            _ => None,
        };
        let attempts = match item.get("Attempts") {
            Some(AttributeValue::N(number)) => number.to_string().parse().ok(),
            _ => None,
        };
        Some(Self {
            failure_id: text(SORT_KEY)?,
            shard_id: text("ShardId")?,
            number: text("SequenceNumber").and_then(|number| SequenceNumber::parse(&number)),
            condition: text("Condition").unwrap_or_default(),
            attempts: attempts.unwrap_or_default(),
            error: text("Error").unwrap_or_default(),
            failed_at: text("FailedAt").unwrap_or_default(),
            record: text("Record")?,
            parts: 1,
        })
    }

    /// Takes what is in another item of the same record.
    fn add(&mut self, item: &Item) {
        if let Some(AttributeValue::S(more)) = item.get("Record") {
            self.record.push_str(more);
            self.parts += 1;
        }
    }

    /// The ids of the items that keep it.
    fn ids(&self) -> impl Iterator<Item = String> + '_ {
        (0..self.parts).map(|index| part_id(&self.failure_id, index))
    }
}

fn part_id(failure_id: &str, index: usize) -> String {
    if index == 0 { failure_id.to_owned() } else { format!("{failure_id}#{index:02}") }
}

/// The records of a trigger that are kept, oldest first, behind an id; whether there are more. What is in the table and
/// was not put there by a trigger is passed over.
pub(super) async fn list(
    node: &Node,
    name: &TableName,
    id: TriggerId,
    behind: Option<&str>,
    limit: usize,
) -> Result<(Vec<Failed>, bool), Error> {
    let (catalog, table) = node.table(name).await?;
    let table = &catalog.tables[&table];
    check(&catalog, name)?;
    // Behind the items of a longer record, too.
    let sort = behind.map(|behind| SortCondition::Greater(AttributeValue::S(format!("{behind}$"))));
    let condition = KeyCondition { partition: AttributeValue::S(id.to_string()), sort };
    let mut range = query_range(table.id, &table.key_schema, &condition)?;
    let (Bound::Included(from) | Bound::Excluded(from)) = &range.0 else { return Err(Error::Internal) };
    let group = Node::partition(&catalog, table, from)?;
    let mut found: Vec<Failed> = Vec::new();
    loop {
        let limits = Limits { items_max: limit + 1, bytes_max: PAGE_BYTES_MAX };
        let read = Read {
            range: range.clone(),
            reverse: false,
            limits,
            select: Select::default(),
            consistent: true,
        };
        let page = node.read(group, read).await?;
        for stored in &page.items {
            let item = codec::decode_item(stored);
            let item = item.map_err(|error| Error::internal("a stored item does not decode", &error))?;
            match Failed::read(&item) {
                Some(failed) => found.push(failed),
                None => found.iter_mut().last().into_iter().for_each(|failed| failed.add(&item)),
            }
        }
        let Some(last) = page.last_key.filter(|_| found.len() <= limit) else { break };
        range.0 = Bound::Excluded(last);
    }
    let more = found.len() > limit;
    found.truncate(limit);
    Ok((found, more))
}

/// Forgets records that were delivered after all.
pub(super) async fn forget(
    node: &Node,
    name: &TableName,
    id: TriggerId,
    failed: &[Failed],
) -> Result<(), Error> {
    let (catalog, table) = node.table(name).await?;
    let table = &catalog.tables[&table];
    let key = |failure_id: String| {
        item(vec![
            (PARTITION_KEY, AttributeValue::S(id.to_string())),
            (SORT_KEY, AttributeValue::S(failure_id)),
        ])
    };
    let keys = failed.iter().flat_map(Failed::ids).map(key);
    let writes: Result<Vec<_>, Error> =
        keys.map(|key| write(&catalog, table, &key, Action::Delete)).collect();
    for result in node.write_many(writes?).await {
        result?;
    }
    Ok(())
}

fn items(id: TriggerId, given_up: &GivenUp<'_>) -> Vec<Item> {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let mut items = Vec::with_capacity(given_up.batch.parcels.len());
    for parcel in &given_up.batch.parcels {
        let failure_id = format!("{:013}-{}-{}", parcel.created_ms, given_up.shard, parcel.number);
        let record = String::from_utf8_lossy(&parcel.event);
        for (index, part) in parts(&record).into_iter().enumerate() {
            let mut pairs = vec![
                (PARTITION_KEY, text(&id.to_string())),
                (SORT_KEY, text(&part_id(&failure_id, index))),
                ("Record", text(part)),
            ];
            if index == 0 {
                let error = given_up.failure.map_or("", |failure| failure.error.as_str());
                pairs.extend([
                    ("Attempts", AttributeValue::N(Number::from(u64::from(given_up.batch.calls)))),
                    ("Condition", text(given_up.condition.name())),
                    ("Error", text(error)),
                    ("FailedAt", text(&format!("{}Z", label_of(given_up.now_ms)))),
                    ("SequenceNumber", text(&parcel.number.to_string())),
                    ("ShardId", text(&given_up.shard.to_string())),
                    ("Target", text(given_up.target)),
                ]);
            }
            items.push(item(pairs));
        }
    }
    items
}

fn item(pairs: Vec<(&str, AttributeValue)>) -> Item {
    let name = |name| AttributeName::parse(name).expect("these names are names");
    pairs.into_iter().map(|(key, value)| (name(key), value)).collect()
}

/// The text in parts of at most `PART_BYTES`; one part at least.
fn parts(text: &str) -> Vec<&str> {
    let (mut parts, mut rest) = (Vec::new(), text);
    while rest.len() > PART_BYTES {
        let end = rest.floor_char_boundary(PART_BYTES);
        parts.push(&rest[..end]);
        rest = &rest[end..];
    }
    parts.push(rest);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_record_is_cut_between_characters() {
        assert_eq!(parts(""), [""]);
        let long = "é".repeat(PART_BYTES);
        let cut = parts(&long);
        assert!(cut.len() == 2 || cut.len() == 3, "{}", cut.len());
        assert!(cut.iter().all(|part| part.len() <= PART_BYTES));
        assert_eq!(cut.concat(), long);
    }
}
