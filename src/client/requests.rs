//! What is asked for, as messages.

use super::error::Error;
use super::expression::{Expression, Placeholders};
use super::{BatchGet, BatchWrite, Query, ReadOptions, Scan, WriteOptions};
use crate::model::{Item, TableName};
use crate::rpc::item::Item as WireItem;
use crate::rpc::wire::v1;

/// What an item that a condition does not hold of is asked for with.
fn on_failure(options: &WriteOptions) -> i32 {
    if options.show_rejected { v1::ReturnValues::AllOld.into() } else { 0 }
}

pub(super) fn put(
    table: &TableName,
    item: &Item,
    options: WriteOptions,
) -> Result<v1::PutItemRequest, Error> {
    let mut placeholders = Placeholders::default();
    Ok(v1::PutItemRequest {
        table_name: table.to_string(),
        item: Some(WireItem::encode(item)),
        return_values: options.return_values.into(),
        return_values_on_condition_check_failure: on_failure(&options),
        return_consumed_capacity: options.capacity.into(),
        condition_expression: placeholders.take(options.condition)?,
        expression_attribute_names: placeholders.names,
        expression_attribute_values: placeholders.values,
        ..Default::default()
    })
}

pub(super) fn get(table: &TableName, key: &Item, options: ReadOptions) -> Result<v1::GetItemRequest, Error> {
    let mut placeholders = Placeholders::default();
    Ok(v1::GetItemRequest {
        table_name: table.to_string(),
        key: Some(WireItem::encode(key)),
        consistent_read: options.consistent,
        return_consumed_capacity: options.capacity.into(),
        projection_expression: placeholders.take(options.projection)?,
        expression_attribute_names: placeholders.names,
        attributes_to_get: Vec::new(),
    })
}

pub(super) fn update(
    table: &TableName,
    key: &Item,
    update: Option<Expression>,
    options: WriteOptions,
) -> Result<v1::UpdateItemRequest, Error> {
    let mut placeholders = Placeholders::default();
    Ok(v1::UpdateItemRequest {
        table_name: table.to_string(),
        key: Some(WireItem::encode(key)),
        return_values: options.return_values.into(),
        return_values_on_condition_check_failure: on_failure(&options),
        return_consumed_capacity: options.capacity.into(),
        update_expression: placeholders.take(update)?,
        condition_expression: placeholders.take(options.condition)?,
        expression_attribute_names: placeholders.names,
        expression_attribute_values: placeholders.values,
        ..Default::default()
    })
}

pub(super) fn delete(
    table: &TableName,
    key: &Item,
    options: WriteOptions,
) -> Result<v1::DeleteItemRequest, Error> {
    let mut placeholders = Placeholders::default();
    Ok(v1::DeleteItemRequest {
        table_name: table.to_string(),
        key: Some(WireItem::encode(key)),
        return_values: options.return_values.into(),
        return_values_on_condition_check_failure: on_failure(&options),
        return_consumed_capacity: options.capacity.into(),
        condition_expression: placeholders.take(options.condition)?,
        expression_attribute_names: placeholders.names,
        expression_attribute_values: placeholders.values,
        ..Default::default()
    })
}

pub(super) fn writes(writes: &[BatchWrite]) -> Vec<v1::WriteRequest> {
    use v1::write_request::Request;
    let requests = writes.iter().map(|write| match write {
        BatchWrite::Put(table, item) => (table, Request::Put(WireItem::encode(item))),
        BatchWrite::Delete(table, key) => (table, Request::Delete(WireItem::encode(key))),
    });
    requests
        .map(|(table, request)| v1::WriteRequest { table_name: table.to_string(), request: Some(request) })
        .collect()
}

pub(super) fn keys(get: &BatchGet) -> Result<v1::KeysOfTable, Error> {
    let mut placeholders = Placeholders::default();
    Ok(v1::KeysOfTable {
        table_name: get.table.to_string(),
        keys: get.keys.iter().map(WireItem::encode).collect(),
        consistent_read: get.consistent,
        projection_expression: placeholders.take(get.projection.clone())?,
        expression_attribute_names: placeholders.names,
        attributes_to_get: Vec::new(),
    })
}

pub(super) fn query(table: &TableName, query: Query) -> Result<v1::QueryRequest, Error> {
    let mut placeholders = Placeholders::default();
    Ok(v1::QueryRequest {
        table_name: table.to_string(),
        key_condition_expression: placeholders.take(Some(query.key))?,
        filter_expression: placeholders.take(query.filter)?,
        projection_expression: placeholders.take(query.projection)?,
        expression_attribute_names: placeholders.names,
        expression_attribute_values: placeholders.values,
        scan_index_forward: query.reverse.then_some(false),
        limit: query.limit,
        exclusive_start_key: query.start.as_ref().map(WireItem::encode),
        consistent_read: query.consistent,
        select: query.select.into(),
        return_consumed_capacity: query.capacity.into(),
        ..Default::default()
    })
}

pub(super) fn scan(table: &TableName, scan: Scan) -> Result<v1::ScanRequest, Error> {
    let mut placeholders = Placeholders::default();
    Ok(v1::ScanRequest {
        table_name: table.to_string(),
        filter_expression: placeholders.take(scan.filter)?,
        projection_expression: placeholders.take(scan.projection)?,
        expression_attribute_names: placeholders.names,
        expression_attribute_values: placeholders.values,
        limit: scan.limit,
        exclusive_start_key: scan.start.as_ref().map(WireItem::encode),
        consistent_read: scan.consistent,
        segment: scan.segment.map(|(segment, _)| segment),
        total_segments: scan.segment.map(|(_, total)| total),
        select: scan.select.into(),
        return_consumed_capacity: scan.capacity.into(),
        ..Default::default()
    })
}
