//! Operations on items in the DynamoDB protocol: requests into the operations' own terms, answers into JSON.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::batch;
use super::error::Fault;
use super::items::{self, WriteAsk, Written};
use super::json::{Attributes, Boolean, List, Map, Text, Value};
use super::parameters::{Consumed, Counting, Parameters};
use super::query::{self, PageAsk, Showing};
use super::requests::{
    AttributeValueUpdate, BatchGetItem, BatchWriteItem, Condition, DeleteItem, ExpectedAttributeValue,
    GetItem, KeysAndAttributes, PutItem, Query, Scan, UpdateItem, WriteRequest,
};
use super::shape::{Shape, Shaped, given};

use crate::expression::legacy;
use crate::model::json::Object;
use crate::model::{self, AttributeName, AttributeValue, Corrupt, Item, codec};
use crate::node::{Error, Node};
use crate::partition::Returns;

pub(super) type Answer = Result<Vec<u8>, Fault>;

/// An answer: one JSON object.
pub(super) fn answer(write: impl FnOnce(&mut Object<'_>) -> Result<(), Corrupt>) -> Answer {
    let mut out = Vec::with_capacity(256);
    let mut object = Object::begin(&mut out);
    write(&mut object).map_err(|error| Error::internal("a stored thing does not decode", &error))?;
    object.end();
    Ok(out)
}

// ---- what comes in

fn text(text: Option<Text>) -> Option<String> {
    text.map(|text| text.0)
}

fn word<S: Shape<Value = Text>>(word: &Option<Shaped<S>>) -> &str {
    word.as_ref().map_or("", |word| &word.0.0)
}

fn owned<S: Shape<Value = Text>>(word: Option<Shaped<S>>) -> Option<String> {
    word.map(|word| word.0.0)
}

fn flag(flag: Option<Boolean>) -> bool {
    flag.is_some_and(|flag| flag.0)
}

fn names(names: Option<Map<Text>>) -> Option<BTreeMap<String, String>> {
    names.map(|names| names.0.into_iter().map(|(name, text)| (name, text.0)).collect())
}

fn values(values: Option<Map<Value>>) -> Result<Option<BTreeMap<String, AttributeValue>>, model::Error> {
    let each = |values: Map<Value>| values.0.into_iter().map(|(name, value)| Ok((name, value.0?))).collect();
    values.map(each).transpose()
}

fn list(list: Option<List<Value>>) -> Result<Option<Vec<AttributeValue>>, model::Error> {
    list.map(|list| list.0.into_iter().map(|value| value.0).collect()).transpose()
}

fn attributes<S: Shape<Value = List<Text>>>(names: Option<Shaped<S>>) -> Option<Vec<String>> {
    names.map(|names| names.0.0.into_iter().map(|name| name.0).collect())
}

/// What legacy parameters say of each attribute; an empty map says nothing.
fn by_attribute<W, T>(
    map: Option<Map<W>>,
    read: impl Fn(W) -> Result<T, model::Error>,
) -> Result<Option<BTreeMap<AttributeName, T>>, model::Error> {
    let Some(map) = map.filter(|map| !map.0.is_empty()) else { return Ok(None) };
    let read = map.0.into_iter().map(|(name, wire)| Ok((AttributeName::parse(&name)?, read(wire)?)));
    read.collect::<Result<_, model::Error>>().map(Some)
}

fn expected(expected: ExpectedAttributeValue) -> Result<legacy::Expected, model::Error> {
    Ok(legacy::Expected {
        exists: expected.exists.map(|exists| exists.0),
        value: expected.value.map(|value| value.0).transpose()?,
        operator: owned(expected.operator),
        list: list(expected.list)?,
    })
}

fn filter(condition: Condition) -> Result<legacy::Filter, model::Error> {
    Ok(legacy::Filter { operator: owned(condition.operator), list: list(condition.list)? })
}

fn attribute_update(update: AttributeValueUpdate) -> Result<legacy::AttributeUpdate, model::Error> {
    let value = update.value.map(|value| value.0).transpose()?;
    Ok(legacy::AttributeUpdate { action: owned(update.action), value })
}

fn returns(word: &str) -> Returns {
    match word {
        "ALL_OLD" => Returns::AllOld,
        "ALL_NEW" => Returns::AllNew,
        "UPDATED_OLD" => Returns::UpdatedOld,
        "UPDATED_NEW" => Returns::UpdatedNew,
        _ => Returns::Nothing,
    }
}

fn counting(word: &str) -> Counting {
    match word {
        "TOTAL" => Counting::Total,
        "INDEXES" => Counting::Indexes,
        _ => Counting::None,
    }
}

fn showing(word: &str) -> Showing {
    match word {
        "ALL_ATTRIBUTES" => Showing::All,
        "ALL_PROJECTED_ATTRIBUTES" => Showing::AllProjected,
        "SPECIFIC_ATTRIBUTES" => Showing::Specific,
        "COUNT" => Showing::Count,
        _ => Showing::Default,
    }
}

/// A member within the range of its shape.
fn small<S: Shape<Value = super::json::Integer>>(number: &Option<Shaped<S>>) -> Option<u32> {
    number.as_ref().map(|number| u32::try_from(number.0.0).unwrap_or(u32::MAX))
}

fn encoded(item: &Item) -> Bytes {
    let mut bytes = Vec::new();
    codec::encode_item(item, &mut bytes);
    bytes.into()
}

// ---- what goes out

fn consumed_out(consumed: &Consumed, object: &mut Object<'_>) -> Result<(), Corrupt> {
    let units = consumed.units.as_f64();
    object.text("TableName", &consumed.table);
    object.double("CapacityUnits", units);
    if !consumed.parts {
        return Ok(());
    }
    object.object("Table", |table| {
        table.double("CapacityUnits", units);
        Ok(())
    })
}

fn one_consumed(consumed: Option<&Consumed>, object: &mut Object<'_>) -> Result<(), Corrupt> {
    let Some(consumed) = consumed else { return Ok(()) };
    object.object("ConsumedCapacity", |object| consumed_out(consumed, object))
}

fn all_consumed(consumed: &[Consumed], object: &mut Object<'_>) -> Result<(), Corrupt> {
    if consumed.is_empty() {
        return Ok(());
    }
    object.objects("ConsumedCapacity", consumed, |object, consumed| consumed_out(consumed, object))
}

fn written_out(written: &Written) -> Answer {
    answer(|object| {
        if let Some(attributes) = &written.attributes {
            object.item("Attributes", attributes)?;
        }
        one_consumed(written.consumed.as_ref(), object)
    })
}

/// What a write asks for besides its item, with the parameters it has to itself.
macro_rules! write_ask {
    ($request:ident $(, $parameter:ident: $value:expr)*) => {
        WriteAsk {
            parameters: Parameters {
                condition: text($request.condition),
                names: names($request.names),
                values: values($request.values)?,
                expected: by_attribute($request.expected, expected)?,
                conditional_operator: owned($request.operator),
                $($parameter: $value,)*
                ..Parameters::default()
            }
            .given(),
            returns: returns(word(&$request.returns)),
            shows_rejected: word(&$request.shows_rejected) == "ALL_OLD",
            counting: counting(word(&$request.counting)),
        }
    };
}

// ---- the operations

pub(super) async fn put(node: &Node, request: PutItem) -> Answer {
    let (table, item) = (given(request.table_name).0.0, given(request.item).0?);
    let encoded = encoded(&item);
    let ask = write_ask!(request);
    written_out(&items::put(node, &table, (item, encoded), ask).await?)
}

pub(super) async fn delete(node: &Node, request: DeleteItem) -> Answer {
    let (table, key) = (given(request.table_name).0.0, given(request.key).0?);
    let ask = write_ask!(request);
    written_out(&items::delete(node, &table, &key, ask).await?)
}

pub(super) async fn update(node: &Node, request: UpdateItem) -> Answer {
    let (table, key) = (given(request.table_name).0.0, given(request.key).0?);
    let ask = write_ask!(
        request,
        update: text(request.update),
        attribute_updates: by_attribute(request.updates, attribute_update)?
    );
    written_out(&items::update(node, &table, &key, ask).await?)
}

pub(super) async fn get(node: &Node, request: GetItem) -> Answer {
    let (table, key) = (given(request.table_name).0.0, given(request.key).0?);
    let parameters = Parameters {
        projection: text(request.projection),
        names: names(request.names),
        attributes_to_get: attributes(request.attributes),
        ..Parameters::default()
    }
    .given();
    let ask = (parameters, counting(word(&request.counting)));
    let got = items::get(node, &table, &key, flag(request.consistent), ask).await?;
    answer(|object| {
        if let Some(item) = &got.item {
            object.item("Item", item)?;
        }
        one_consumed(got.consumed.as_ref(), object)
    })
}

/// A write of a batch as it would be asked for again: its table, and the item or key, encoded.
enum Again {
    Put(Bytes),
    Delete(Bytes),
}

fn write_asked(request: WriteRequest) -> Result<(batch::Asked, Again), Fault> {
    match (request.put, request.delete) {
        (Some(put), None) => {
            let item = given(put.item).0?;
            let encoded = encoded(&item);
            Ok((batch::Asked::Put(item, encoded.clone()), Again::Put(encoded)))
        }
        (None, Some(delete)) => {
            let key = given(delete.key).0?;
            let encoded = encoded(&key);
            Ok((batch::Asked::Delete(key), Again::Delete(encoded)))
        }
        (Some(_), Some(_)) => Err(model::Error::ValueAmbiguous.into()),
        (None, None) => Err(model::Error::ValueEmpty.into()),
    }
}

pub(super) async fn write_batch(node: &Node, request: BatchWriteItem) -> Answer {
    let tables = given(request.items).0.0;
    let mut asked = Vec::new();
    let mut again = Vec::new();
    let names: Vec<String> = tables.keys().cloned().collect();
    for (table, requests) in tables.into_values().enumerate() {
        for request in requests.0.0 {
            let (write, repeat) = write_asked(request)?;
            asked.push((names[table].as_str(), write));
            again.push((names[table].as_str(), repeat));
        }
    }
    let written = batch::write(node, asked, counting(word(&request.counting))).await?;
    let mut undone: BTreeMap<&str, Vec<Again>> = BTreeMap::new();
    for ((table, repeat), _) in again.into_iter().zip(&written.done).filter(|(_, done)| !**done) {
        undone.entry(table).or_default().push(repeat);
    }
    answer(|object| {
        object.object("UnprocessedItems", |object| {
            undone.iter().try_for_each(|(table, repeats)| {
                object.objects(table, repeats, |object, repeat| match repeat {
                    Again::Put(item) => object.object("PutRequest", |object| object.item("Item", item)),
                    Again::Delete(key) => object.object("DeleteRequest", |object| object.item("Key", key)),
                })
            })
        })?;
        all_consumed(&written.consumed, object)
    })
}

/// The keys asked of one table as they would be asked for again.
struct KeysAgain {
    table: String,
    keys: Vec<Bytes>,
    attributes: Option<Vec<String>>,
    consistent: Option<bool>,
    projection: Option<String>,
    names: Option<BTreeMap<String, String>>,
}

fn keys_asked(table: String, asked: KeysAndAttributes) -> Result<(batch::Keys, KeysAgain), Fault> {
    let keys: Vec<Item> =
        given(asked.keys).0.0.into_iter().map(|key: Attributes| key.0).collect::<Result<_, _>>()?;
    let again = KeysAgain {
        table: table.clone(),
        keys: keys.iter().map(encoded).collect(),
        attributes: attributes(asked.attributes),
        consistent: asked.consistent.map(|flag| flag.0),
        projection: text(asked.projection),
        names: names(asked.names),
    };
    let parameters = Parameters {
        projection: again.projection.clone(),
        names: again.names.clone(),
        attributes_to_get: again.attributes.clone(),
        ..Parameters::default()
    }
    .given();
    let consistent = again.consistent.unwrap_or(false);
    Ok((batch::Keys { table, keys, consistent, parameters }, again))
}

impl KeysAgain {
    /// Those keys of it that were not read.
    fn out(&self, unread: &[usize], object: &mut Object<'_>) -> Result<(), Corrupt> {
        object.items("Keys", unread.iter().map(|at| &self.keys[*at]))?;
        if let Some(names) = &self.attributes {
            object.texts("AttributesToGet", names.iter().map(String::as_str));
        }
        if let Some(consistent) = self.consistent {
            object.boolean("ConsistentRead", consistent);
        }
        if let Some(projection) = &self.projection {
            object.text("ProjectionExpression", projection);
        }
        match &self.names {
            Some(names) => object.object("ExpressionAttributeNames", |object| {
                names.iter().for_each(|(name, text)| object.text(name, text));
                Ok(())
            }),
            None => Ok(()),
        }
    }
}

pub(super) async fn get_batch(node: &Node, request: BatchGetItem) -> Answer {
    let (mut asked, mut again) = (Vec::new(), Vec::new());
    for (table, keys) in given(request.items).0.0 {
        let (keys, repeat) = keys_asked(table, keys)?;
        asked.push(keys);
        again.push(repeat);
    }
    let got = batch::get(node, asked, counting(word(&request.counting))).await?;
    let found: Vec<_> = again.iter().zip(&got.found).collect();
    answer(|object| {
        object.object("Responses", |object| {
            found.iter().try_for_each(|(keys, found)| object.items(&keys.table, &found.items))
        })?;
        object.object("UnprocessedKeys", |object| {
            let mut unread = found.iter().filter(|(_, found)| !found.unread.is_empty());
            unread.try_for_each(|(keys, found)| {
                object.object(&keys.table, |object| keys.out(&found.unread, object))
            })
        })?;
        all_consumed(&got.consumed, object)
    })
}

/// What a query or a scan asks for, with the parameters it has to itself.
macro_rules! page_ask {
    ($request:ident $(, $parameter:ident: $value:expr)*) => {
        PageAsk {
            parameters: Parameters {
                filter: text($request.filter),
                projection: text($request.projection),
                names: names($request.names),
                values: values($request.values)?,
                conditional_operator: owned($request.operator),
                attributes_to_get: attributes($request.attributes),
                $($parameter: $value,)*
                ..Parameters::default()
            }
            .given(),
            index: owned($request.index),
            limit: small(&$request.limit),
            start: $request.start.map(|start| start.0).transpose()?,
            consistent: flag($request.consistent),
            showing: showing(word(&$request.select)),
            counting: counting(word(&$request.counting)),
        }
    };
}

fn page_out(page: &query::Answer, counts_only: bool) -> Answer {
    answer(|object| {
        if !counts_only {
            object.items("Items", &page.items)?;
        }
        object.unsigned("Count", page.count as u64);
        object.unsigned("ScannedCount", page.scanned as u64);
        if let Some(key) = &page.last_key {
            object.item("LastEvaluatedKey", &encoded(key))?;
        }
        one_consumed(page.consumed.as_ref(), object)
    })
}

pub(super) async fn query(node: &Node, request: Query) -> Answer {
    let table = given(request.table_name).0.0;
    let forward = request.forward.is_none_or(|forward| forward.0);
    let ask = page_ask!(
        request,
        key_condition: text(request.key_condition),
        key_conditions: by_attribute(request.key_conditions, filter)?,
        query_filter: by_attribute(request.query_filter, filter)?
    );
    let counts_only = ask.showing == Showing::Count;
    page_out(&query::query(node, &table, forward, ask).await?, counts_only)
}

pub(super) async fn scan(node: &Node, request: Scan) -> Answer {
    let table = given(request.table_name).0.0;
    let segment = (small(&request.segment), small(&request.segments));
    let ask = page_ask!(request, scan_filter: by_attribute(request.scan_filter, filter)?);
    let counts_only = ask.showing == Showing::Count;
    page_out(&query::scan(node, &table, segment, ask).await?, counts_only)
}
