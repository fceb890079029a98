//! `watertable.v1.Items`: proto <-> model, one function an operation.

use std::collections::BTreeMap;

use bytes::Bytes;
use tonic::Request;

use super::{
    batch,
    grpc::{Face, Reply, reply},
    items::{self, WriteAsk, Written},
    parameters::{Consumed, Counting, Parameters},
    query::{self, PageAsk, Showing},
};
use crate::{
    expression::{self, MapFault, legacy},
    model::{self, AttributeName, AttributeValue},
    node::Error,
    partition::Returns,
    rpc::{
        item::{Item, value_from_wire},
        wire::v1::{self, items_server},
    },
};

// ---- what comes in

fn item_in(item: Option<Item>, what: &str) -> Result<Item, Error> {
    item.ok_or_else(|| Error::Invalid(format!("{what} is missing")))
}

fn key_in(key: Option<Item>) -> Result<model::Item, Error> {
    Ok(item_in(key, "key")?.decode()?)
}

fn start_in(key: Option<Item>) -> Result<Option<model::Item>, Error> {
    Ok(key.map(|key| key.decode()).transpose()?)
}

/// A map or a list without entries counts as not given.
fn given<T: Default + PartialEq>(map: T) -> Option<T> {
    (map != T::default()).then_some(map)
}

fn values_in(
    values: BTreeMap<String, v1::AttributeValue>,
) -> Result<Option<BTreeMap<String, AttributeValue>>, Error> {
    let decoded = values.into_iter().map(|(key, value)| match value_from_wire(&value) {
        Ok(value) => Ok((key, value)),
        Err(source) => {
            let map = expression::Map::Values;
            Err(expression::Error::Map { map, fault: MapFault::Value { key, source } }.into())
        }
    });
    Ok(given(decoded.collect::<Result<_, Error>>()?))
}

fn list_in(values: &[v1::AttributeValue]) -> Result<Option<Vec<AttributeValue>>, Error> {
    Ok(given(values.iter().map(value_from_wire).collect::<Result<Vec<_>, _>>()?))
}

/// What legacy parameters say of each attribute.
fn by_attribute<W, T>(
    wire: BTreeMap<String, W>,
    read: impl Fn(W) -> Result<T, Error>,
) -> Result<Option<BTreeMap<AttributeName, T>>, Error> {
    if wire.is_empty() {
        return Ok(None);
    }
    let read = wire.into_iter().map(|(name, wire)| Ok((AttributeName::parse(&name)?, read(wire)?)));
    read.collect::<Result<_, Error>>().map(Some)
}

fn expected_in(expected: v1::ExpectedAttributeValue) -> Result<legacy::Expected, Error> {
    Ok(legacy::Expected {
        exists: expected.exists,
        value: expected.value.as_ref().map(value_from_wire).transpose()?,
        operator: expected.comparison_operator,
        list: list_in(&expected.attribute_value_list)?,
    })
}

fn filter_in(condition: v1::Condition) -> Result<legacy::Filter, Error> {
    let list = list_in(&condition.attribute_value_list)?;
    Ok(legacy::Filter { operator: condition.comparison_operator, list })
}

fn attribute_update_in(update: v1::AttributeValueUpdate) -> Result<legacy::AttributeUpdate, Error> {
    let value = update.value.as_ref().map(value_from_wire).transpose()?;
    Ok(legacy::AttributeUpdate { action: update.action, value })
}

fn returns_in(returns: i32) -> Result<Returns, Error> {
    match v1::ReturnValues::try_from(returns) {
        Ok(v1::ReturnValues::Unspecified) => Ok(Returns::Nothing),
        Ok(v1::ReturnValues::AllOld) => Ok(Returns::AllOld),
        Ok(v1::ReturnValues::AllNew) => Ok(Returns::AllNew),
        Ok(v1::ReturnValues::UpdatedOld) => Ok(Returns::UpdatedOld),
        Ok(v1::ReturnValues::UpdatedNew) => Ok(Returns::UpdatedNew),
        Err(_) => Err(Error::Invalid(format!("return_values has no value {returns}"))),
    }
}

fn shows_rejected_in(returns: i32) -> Result<bool, Error> {
    match v1::ReturnValues::try_from(returns) {
        Ok(v1::ReturnValues::Unspecified) => Ok(false),
        Ok(v1::ReturnValues::AllOld) => Ok(true),
        Ok(other) => Err(Error::Invalid(format!(
            "1 validation error detected: Value '{}' at 'returnValuesOnConditionCheckFailure' failed to satisfy \
             constraint: Member must satisfy enum value set: [ALL_OLD, NONE]",
            other.as_str_name().trim_start_matches("RETURN_VALUES_")
        ))),
        Err(_) => {
            Err(Error::Invalid(format!("return_values_on_condition_check_failure has no value {returns}")))
        }
    }
}

fn counting_in(counting: i32) -> Result<Counting, Error> {
    match v1::ReturnConsumedCapacity::try_from(counting) {
        Ok(v1::ReturnConsumedCapacity::Unspecified) => Ok(Counting::None),
        Ok(v1::ReturnConsumedCapacity::Total) => Ok(Counting::Total),
        Ok(v1::ReturnConsumedCapacity::Indexes) => Ok(Counting::Indexes),
        Err(_) => Err(Error::Invalid(format!("return_consumed_capacity has no value {counting}"))),
    }
}

fn showing_in(select: i32) -> Result<Showing, Error> {
    match v1::Select::try_from(select) {
        Ok(v1::Select::Unspecified) => Ok(Showing::Default),
        Ok(v1::Select::AllAttributes) => Ok(Showing::All),
        Ok(v1::Select::AllProjectedAttributes) => Ok(Showing::AllProjected),
        Ok(v1::Select::SpecificAttributes) => Ok(Showing::Specific),
        Ok(v1::Select::Count) => Ok(Showing::Count),
        Err(_) => Err(Error::Invalid(format!("select has no value {select}"))),
    }
}

// ---- what goes out

fn items_out(items: Vec<Bytes>) -> Vec<Item> {
    items.into_iter().map(Item::from_encoded).collect()
}

fn consumed_out(consumed: Consumed) -> v1::ConsumedCapacity {
    let units = consumed.units.as_f64();
    v1::ConsumedCapacity {
        table_name: consumed.table,
        capacity_units: units,
        table_capacity_units: consumed.parts.then_some(units),
    }
}

fn all_consumed_out(consumed: Vec<Consumed>) -> Vec<v1::ConsumedCapacity> {
    consumed.into_iter().map(consumed_out).collect()
}

/// A failed condition is told in the answer to those who asked for its item.
fn or_failed(
    written: Result<Written, Error>,
    shows_rejected: bool,
) -> Result<(Written, Option<v1::ConditionFailed>), Error> {
    match written {
        Err(Error::ConditionFailed { item }) if shows_rejected => {
            let failed = v1::ConditionFailed { item: item.map(Item::from_encoded) };
            Ok((Written { attributes: None, consumed: None }, Some(failed)))
        }
        written => written.map(|written| (written, None)),
    }
}

macro_rules! written_out {
    ($response:ident, $written:expr, $shows:expr) => {{
        let (Written { attributes, consumed }, condition_failed) = or_failed($written, $shows)?;
        Ok(v1::$response {
            attributes: attributes.map(Item::from_encoded),
            consumed_capacity: consumed.map(consumed_out),
            condition_failed,
        })
    }};
}

// ---- what requests of one kind have in common, though their messages are different types

/// What a write asks for besides its item, with the parameters it has to itself.
macro_rules! write_ask {
    ($request:ident $(, $parameter:ident: $value:expr)*) => {
        WriteAsk {
            parameters: Parameters {
                condition: $request.condition_expression,
                names: given($request.expression_attribute_names),
                values: values_in($request.expression_attribute_values)?,
                expected: by_attribute($request.expected, expected_in)?,
                conditional_operator: $request.conditional_operator,
                $($parameter: $value,)*
                ..Parameters::default()
            }
            .given(),
            returns: returns_in($request.return_values)?,
            shows_rejected: shows_rejected_in($request.return_values_on_condition_check_failure)?,
            counting: counting_in($request.return_consumed_capacity)?,
        }
    };
}

/// What a query or a scan asks for, with the parameters it has to itself.
macro_rules! page_ask {
    ($request:ident, $($parameter:ident: $value:expr),*) => {
        PageAsk {
            parameters: Parameters {
                filter: $request.filter_expression,
                projection: $request.projection_expression,
                names: given($request.expression_attribute_names),
                values: values_in($request.expression_attribute_values)?,
                conditional_operator: $request.conditional_operator,
                attributes_to_get: given($request.attributes_to_get),
                $($parameter: $value,)*
                ..Parameters::default()
            }
            .given(),
            index: None,
            limit: $request.limit,
            start: start_in($request.exclusive_start_key)?,
            consistent: $request.consistent_read,
            showing: showing_in($request.select)?,
            counting: counting_in($request.return_consumed_capacity)?,
        }
    };
}

macro_rules! page_out {
    ($response:ident, $page:expr) => {{
        let page: query::Answer = $page;
        v1::$response {
            items: items_out(page.items),
            count: u32::try_from(page.count).unwrap_or(u32::MAX),
            scanned_count: u32::try_from(page.scanned).unwrap_or(u32::MAX),
            last_evaluated_key: page.last_key.as_ref().map(Item::encode),
            consumed_capacity: page.consumed.map(consumed_out),
        }
    }};
}

// ---- the operations

impl Face {
    async fn put(&self, request: v1::PutItemRequest) -> Result<v1::PutItemResponse, Error> {
        let ask = write_ask!(request);
        let shows_rejected = ask.shows_rejected;
        let item = item_in(request.item, "item")?.canonical()?;
        let written = items::put(&self.node, &request.table_name, item, ask).await;
        written_out!(PutItemResponse, written, shows_rejected)
    }

    async fn get(&self, request: v1::GetItemRequest) -> Result<v1::GetItemResponse, Error> {
        let parameters = Parameters {
            projection: request.projection_expression,
            names: given(request.expression_attribute_names),
            attributes_to_get: given(request.attributes_to_get),
            ..Parameters::default()
        }
        .given();
        let (key, table) = (key_in(request.key)?, &request.table_name);
        let ask = (parameters, counting_in(request.return_consumed_capacity)?);
        let got = items::get(&self.node, table, &key, request.consistent_read, ask).await?;
        Ok(v1::GetItemResponse {
            item: got.item.map(Item::from_encoded),
            consumed_capacity: got.consumed.map(consumed_out),
        })
    }

    async fn update(&self, request: v1::UpdateItemRequest) -> Result<v1::UpdateItemResponse, Error> {
        let ask = write_ask!(
            request,
            update: request.update_expression,
            attribute_updates: by_attribute(request.attribute_updates, attribute_update_in)?
        );
        let shows_rejected = ask.shows_rejected;
        let written = items::update(&self.node, &request.table_name, &key_in(request.key)?, ask).await;
        written_out!(UpdateItemResponse, written, shows_rejected)
    }

    async fn delete(&self, request: v1::DeleteItemRequest) -> Result<v1::DeleteItemResponse, Error> {
        let ask = write_ask!(request);
        let shows_rejected = ask.shows_rejected;
        let written = items::delete(&self.node, &request.table_name, &key_in(request.key)?, ask).await;
        written_out!(DeleteItemResponse, written, shows_rejected)
    }

    async fn write_batch(
        &self,
        request: v1::BatchWriteItemRequest,
    ) -> Result<v1::BatchWriteItemResponse, Error> {
        use v1::write_request::Request;
        let counting = counting_in(request.return_consumed_capacity)?;
        let asked = request.requests.iter().map(|one| {
            let asked = match &one.request {
                Some(Request::Put(item)) => {
                    let (item, encoded) = item.canonical()?;
                    batch::Asked::Put(item, encoded)
                }
                Some(Request::Delete(key)) => batch::Asked::Delete(key.decode()?),
                None => {
                    let message = "a request of a batch is neither a put nor a delete";
                    return Err(Error::Invalid(message.to_owned()));
                }
            };
            Ok((one.table_name.as_str(), asked))
        });
        let asked = asked.collect::<Result<Vec<_>, _>>()?;
        let batch::Written { done, consumed } = batch::write(&self.node, asked, counting).await?;
        let undone = request.requests.into_iter().zip(done).filter(|(_, done)| !done);
        Ok(v1::BatchWriteItemResponse {
            unprocessed: undone.map(|(one, _)| one).collect(),
            consumed_capacity: all_consumed_out(consumed),
        })
    }

    async fn get_batch(&self, request: v1::BatchGetItemRequest) -> Result<v1::BatchGetItemResponse, Error> {
        let counting = counting_in(request.return_consumed_capacity)?;
        let mut asked = Vec::with_capacity(request.requests.len());
        for keys in &request.requests {
            asked.push(batch::Keys {
                table: keys.table_name.clone(),
                keys: keys.keys.iter().map(|key| key.decode()).collect::<Result<_, _>>()?,
                consistent: keys.consistent_read,
                parameters: Parameters {
                    projection: keys.projection_expression.clone(),
                    names: given(keys.expression_attribute_names.clone()),
                    attributes_to_get: given(keys.attributes_to_get.clone()),
                    ..Parameters::default()
                }
                .given(),
            });
        }
        let batch::Got { found, consumed } = batch::get(&self.node, asked, counting).await?;
        let mut response = v1::BatchGetItemResponse {
            consumed_capacity: all_consumed_out(consumed),
            ..v1::BatchGetItemResponse::default()
        };
        for (keys, found) in request.requests.into_iter().zip(found) {
            let table_name = keys.table_name.clone();
            if !found.unread.is_empty() {
                let unread = found.unread.iter().map(|at| keys.keys[*at].clone()).collect();
                response.unprocessed.push(v1::KeysOfTable { keys: unread, ..keys });
            }
            response.responses.push(v1::ItemsOfTable { table_name, items: items_out(found.items) });
        }
        Ok(response)
    }

    async fn query_page(&self, request: v1::QueryRequest) -> Result<v1::QueryResponse, Error> {
        let ask = page_ask!(
            request,
            key_condition: request.key_condition_expression,
            key_conditions: by_attribute(request.key_conditions, filter_in)?,
            query_filter: by_attribute(request.query_filter, filter_in)?
        );
        let forward = request.scan_index_forward.unwrap_or(true);
        let page = query::query(&self.node, &request.table_name, forward, ask).await?;
        Ok(page_out!(QueryResponse, page))
    }

    async fn scan_page(&self, request: v1::ScanRequest) -> Result<v1::ScanResponse, Error> {
        let ask = page_ask!(request, scan_filter: by_attribute(request.scan_filter, filter_in)?);
        let segment = (request.segment, request.total_segments);
        let page = query::scan(&self.node, &request.table_name, segment, ask).await?;
        Ok(page_out!(ScanResponse, page))
    }
}

#[tonic::async_trait]
impl items_server::Items for Face {
    async fn put_item(&self, request: Request<v1::PutItemRequest>) -> Reply<v1::PutItemResponse> {
        reply(self.put(request.into_inner()).await)
    }

    async fn get_item(&self, request: Request<v1::GetItemRequest>) -> Reply<v1::GetItemResponse> {
        reply(self.get(request.into_inner()).await)
    }

    async fn update_item(&self, request: Request<v1::UpdateItemRequest>) -> Reply<v1::UpdateItemResponse> {
        reply(self.update(request.into_inner()).await)
    }

    async fn delete_item(&self, request: Request<v1::DeleteItemRequest>) -> Reply<v1::DeleteItemResponse> {
        reply(self.delete(request.into_inner()).await)
    }

    async fn batch_write_item(
        &self,
        request: Request<v1::BatchWriteItemRequest>,
    ) -> Reply<v1::BatchWriteItemResponse> {
        reply(self.write_batch(request.into_inner()).await)
    }

    async fn batch_get_item(
        &self,
        request: Request<v1::BatchGetItemRequest>,
    ) -> Reply<v1::BatchGetItemResponse> {
        reply(self.get_batch(request.into_inner()).await)
    }

    async fn query(&self, request: Request<v1::QueryRequest>) -> Reply<v1::QueryResponse> {
        reply(self.query_page(request.into_inner()).await)
    }

    async fn scan(&self, request: Request<v1::ScanRequest>) -> Reply<v1::ScanResponse> {
        reply(self.scan_page(request.into_inner()).await)
    }
}
