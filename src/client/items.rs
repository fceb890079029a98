//! Reading and writing items.

use tokio::time::Instant;

use super::call::Target;
use super::error::{Error, Kind};
use super::method::Method;
use super::retry;
use super::{Client, Condition, ReturnValues};
use crate::model::{AttributeName, Item, TableName};
use crate::rpc::item::Item as WireItem;
use crate::rpc::wire::v1;

/// What a write asks for besides its item.
#[derive(Clone, Copy, Debug, Default)]
pub struct WriteOptions {
    /// What must hold; else the write is `Rejected` with the reason `ConditionalCheckFailedException`.
    pub condition: Condition,
    /// Which image to return.
    pub return_values: ReturnValues,
}

/// One write of a batch.
#[derive(Clone, Debug)]
pub enum BatchWrite {
    /// Puts an item.
    Put(TableName, Item),
    /// Deletes the item with this key.
    Delete(TableName, Item),
}

/// Keys of one table to read.
#[derive(Clone, Debug)]
pub struct BatchGet {
    /// The table.
    pub table: TableName,
    /// The keys.
    pub keys: Vec<Item>,
    /// Whether to see every write acknowledged before.
    pub consistent: bool,
}

impl Client {
    /// Creates an item or replaces it whole. Returns the image asked for, if there is one.
    pub async fn put_item(
        &self,
        table: &TableName,
        item: &Item,
        options: WriteOptions,
    ) -> Result<Option<Item>, Error> {
        let target = self.target(table, item).await;
        let answer: v1::PutItemResponse =
            self.call(Method::PUT_ITEM, target, &put_request(table, item, options)).await?;
        answer.attributes.as_ref().map(decode).transpose()
    }

    /// Reads one item. `consistent`: sees every write acknowledged before the call.
    pub async fn get_item(
        &self,
        table: &TableName,
        key: &Item,
        consistent: bool,
    ) -> Result<Option<Item>, Error> {
        let target = self.target(table, key).await;
        let answer: v1::GetItemResponse =
            self.call(Method::GET_ITEM, target, &get_request(table, key, consistent)).await?;
        answer.item.as_ref().map(decode).transpose()
    }

    /// Sets and removes attributes of an item, creating it if need be. Returns the image asked for.
    pub async fn update_item(
        &self,
        table: &TableName,
        key: &Item,
        set: &Item,
        remove: &[AttributeName],
        options: WriteOptions,
    ) -> Result<Option<Item>, Error> {
        let target = self.target(table, key).await;
        let request = update_request(table, key, set, remove, options);
        let answer: v1::UpdateItemResponse = self.call(Method::UPDATE_ITEM, target, &request).await?;
        answer.attributes.as_ref().map(decode).transpose()
    }

    /// Deletes an item; no error if there is none. Returns the image asked for, if there is one.
    pub async fn delete_item(
        &self,
        table: &TableName,
        key: &Item,
        options: WriteOptions,
    ) -> Result<Option<Item>, Error> {
        let target = self.target(table, key).await;
        let request = v1::DeleteItemRequest {
            table_name: table.to_string(),
            key: Some(WireItem::encode(key)),
            condition: options.condition.into(),
            return_values: options.return_values.into(),
        };
        let answer: v1::DeleteItemResponse = self.call(Method::DELETE_ITEM, target, &request).await?;
        answer.attributes.as_ref().map(decode).transpose()
    }

    /// Makes up to 25 writes, each on its own, no two of one item. What the cluster did not get done is sent again
    /// within the deadline. Errors: `Unknown` if some writes may not have happened when time is up; puts and deletes
    /// may then be repeated, as they say what shall be.
    pub async fn batch_write(&self, writes: &[BatchWrite]) -> Result<(), Error> {
        let Some(BatchWrite::Put(table, first) | BatchWrite::Delete(table, first)) = writes.first() else {
            return Ok(());
        };
        let target = self.target(table, first).await;
        let deadline = Instant::now() + self.shared.options.deadline;
        let mut request = v1::BatchWriteItemRequest { requests: write_requests(writes) };
        let mut attempt = 0;
        loop {
            let answer: v1::BatchWriteItemResponse =
                self.call(Method::BATCH_WRITE_ITEM, target, &request).await?;
            if answer.unprocessed.is_empty() {
                return Ok(());
            }
            let pause = retry::pause(attempt, retry::chance(&self.shared.jitter), None);
            if Instant::now() + pause >= deadline {
                let message =
                    format!("{} of {} writes were not done in time", answer.unprocessed.len(), writes.len());
                return Err(Error::local(Kind::Unknown, message));
            }
            tokio::time::sleep(pause).await;
            request.requests = answer.unprocessed;
            attempt += 1;
        }
    }

    /// Makes up to 100 reads, of one or more tables, each named once. Returns what exists, in no particular order.
    /// What the cluster did not get done is asked for again within the deadline; then it is `Unavailable`.
    pub async fn batch_get(&self, gets: &[BatchGet]) -> Result<Vec<(TableName, Item)>, Error> {
        let target = match gets.first().and_then(|get| Some((&get.table, get.keys.first()?))) {
            Some((table, key)) => self.target(table, key).await,
            None => Target::Any,
        };
        let deadline = Instant::now() + self.shared.options.deadline;
        let mut request = v1::BatchGetItemRequest { requests: gets.iter().map(keys_of_table).collect() };
        let mut found = Vec::new();
        let mut attempt = 0;
        loop {
            let answer: v1::BatchGetItemResponse =
                self.call(Method::BATCH_GET_ITEM, target, &request).await?;
            let any = !answer.responses.is_empty();
            for each in answer.responses {
                let table = TableName::parse(&each.table_name).map_err(Error::malformed)?;
                for item in &each.items {
                    found.push((table.clone(), decode(item)?));
                }
            }
            if answer.unprocessed.is_empty() {
                return Ok(found);
            }
            // An answer that was full is no reason to wait.
            attempt = if any { 0 } else { attempt + 1 };
            let pause = retry::pause(attempt, retry::chance(&self.shared.jitter), None);
            if Instant::now() + pause >= deadline {
                return Err(Error::local(Kind::Unavailable, "some keys could not be read in time"));
            }
            if !any {
                tokio::time::sleep(pause).await;
            }
            request.requests = answer.unprocessed;
        }
    }
}

/// An item of an answer.
pub(super) fn decode(item: &WireItem) -> Result<Item, Error> {
    item.decode().map_err(Error::malformed)
}

pub(super) fn put_request(table: &TableName, item: &Item, options: WriteOptions) -> v1::PutItemRequest {
    v1::PutItemRequest {
        table_name: table.to_string(),
        item: Some(WireItem::encode(item)),
        condition: options.condition.into(),
        return_values: options.return_values.into(),
    }
}

pub(super) fn get_request(table: &TableName, key: &Item, consistent: bool) -> v1::GetItemRequest {
    v1::GetItemRequest {
        table_name: table.to_string(),
        key: Some(WireItem::encode(key)),
        consistent_read: consistent,
    }
}

pub(super) fn update_request(
    table: &TableName,
    key: &Item,
    set: &Item,
    remove: &[AttributeName],
    options: WriteOptions,
) -> v1::UpdateItemRequest {
    v1::UpdateItemRequest {
        table_name: table.to_string(),
        key: Some(WireItem::encode(key)),
        set: (!set.is_empty()).then(|| WireItem::encode(set)),
        remove: remove.iter().map(ToString::to_string).collect(),
        condition: options.condition.into(),
        return_values: options.return_values.into(),
    }
}

pub(super) fn write_requests(writes: &[BatchWrite]) -> Vec<v1::WriteRequest> {
    use v1::write_request::Request;
    let requests = writes.iter().map(|write| match write {
        BatchWrite::Put(table, item) => (table, Request::Put(WireItem::encode(item))),
        BatchWrite::Delete(table, key) => (table, Request::Delete(WireItem::encode(key))),
    });
    requests
        .map(|(table, request)| v1::WriteRequest { table_name: table.to_string(), request: Some(request) })
        .collect()
}

fn keys_of_table(get: &BatchGet) -> v1::KeysOfTable {
    v1::KeysOfTable {
        table_name: get.table.to_string(),
        keys: get.keys.iter().map(WireItem::encode).collect(),
        consistent_read: get.consistent,
    }
}
