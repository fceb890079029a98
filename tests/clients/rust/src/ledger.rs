//! What was acknowledged: the items there must be, and the records there must be.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::{Context, Result, ensure};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodbstreams::types::{AttributeValue as Streamed, OperationType, Record, StreamViewType};

pub type Item = BTreeMap<String, AttributeValue>;
pub type Key = (String, String);

/// Event name, old image, new image.
type Change = (OperationType, Option<Item>, Option<Item>);

pub fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

pub fn n(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// An item of these attributes.
pub fn item<const N: usize>(attributes: [(&str, AttributeValue); N]) -> Item {
    attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

pub fn key_of(item: &Item) -> Result<Key> {
    let station = item.get("station").and_then(|value| value.as_s().ok());
    let minute = item.get("minute").and_then(|value| value.as_n().ok());
    Ok((station.context("no station")?.clone(), minute.context("no minute")?.clone()))
}

/// A value of a record, which the SDK gives another type than a value of an item.
fn value(streamed: Streamed) -> AttributeValue {
    match streamed {
        Streamed::B(bytes) => AttributeValue::B(bytes),
        Streamed::Bool(value) => AttributeValue::Bool(value),
        Streamed::Bs(set) => AttributeValue::Bs(set),
        Streamed::L(list) => AttributeValue::L(list.into_iter().map(value).collect()),
        Streamed::M(map) => {
            AttributeValue::M(map.into_iter().map(|(name, inner)| (name, value(inner))).collect())
        }
        Streamed::N(number) => AttributeValue::N(number),
        Streamed::Ns(set) => AttributeValue::Ns(set),
        Streamed::Null(null) => AttributeValue::Null(null),
        Streamed::S(text) => AttributeValue::S(text),
        Streamed::Ss(set) => AttributeValue::Ss(set),
        other => panic!("{other:?} is of no type that there is"),
    }
}

fn image(streamed: &HashMap<String, Streamed>) -> Item {
    streamed.iter().map(|(name, inner)| (name.clone(), value(inner.clone()))).collect()
}

/// Items by key; and, while there is a stream, the changes of each key in their order.
#[derive(Default)]
pub struct Ledger {
    pub items: BTreeMap<Key, Item>,
    pub changes: BTreeMap<Key, Vec<Change>>,
    pub has_stream: bool,
}

impl Ledger {
    pub fn put(&mut self, item: Item) -> Result<()> {
        let key = key_of(&item)?;
        let old = self.items.insert(key.clone(), item.clone());
        if old.as_ref() != Some(&item) {
            let event = if old.is_some() { OperationType::Modify } else { OperationType::Insert };
            self.record(key, (event, old, Some(item)));
        }
        Ok(())
    }

    pub fn delete(&mut self, key: &Key) {
        if let Some(old) = self.items.remove(key) {
            self.record(key.clone(), (OperationType::Remove, Some(old), None));
        }
    }

    fn record(&mut self, key: Key, change: Change) {
        if self.has_stream {
            self.changes.entry(key).or_default().push(change);
        }
    }

    pub fn count(&self) -> usize {
        self.changes.values().map(Vec::len).sum()
    }

    /// All records of the stream, each shard's in its order.
    pub fn check(&self, records: &[Record]) -> Result<()> {
        let mut found: BTreeMap<Key, Vec<Change>> = BTreeMap::new();
        let mut ids = BTreeSet::new();
        for record in records {
            ids.insert(record.event_id());
            let change = record.dynamodb().context("an empty record")?;
            ensure!(change.stream_view_type() == Some(&StreamViewType::NewAndOldImages), "{record:?}");
            ensure!(record.event_source() == Some("aws:dynamodb"), "{record:?}");
            let (old, new) = (change.old_image().map(image), change.new_image().map(image));
            let whole = new.as_ref().or(old.as_ref()).context("no images")?;
            let key = key_of(whole)?;
            let keys = item([("station", s(&key.0)), ("minute", n(&key.1))]);
            ensure!(change.keys().map(image) == Some(keys), "{record:?}");
            let event = record.event_name().context("no event name")?.clone();
            found.entry(key).or_default().push((event, old, new));
        }
        ensure!(ids.len() == records.len(), "{} ids of {} records", ids.len(), records.len());
        ensure!(found == self.changes, "{found:#?}\ninstead of\n{:#?}", self.changes);
        Ok(())
    }
}
