//! Reading and writing single items, and batches of them.

use tokio::time::Instant;

use super::call::Target;
use super::error::{Answer, Error, Kind};
use super::expression::Expression;
use super::method::Method;
use super::retry;
use super::{Client, ConsumedCapacity, ReturnConsumedCapacity, ReturnValues, requests};
use crate::model::{Item, TableName};
use crate::rpc::item::Item as WireItem;
use crate::rpc::wire::v1;

/// What a write asks for besides its item.
#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    /// What must hold of the item that is there; else the write is `Rejected` (`Error::is_condition_failed`).
    pub condition: Option<Expression>,
    /// Which attributes to return.
    pub return_values: ReturnValues,
    /// Whether the error of a condition that does not hold shows its item (`Error::item`).
    pub show_rejected: bool,
    /// Whether to count capacity.
    pub capacity: ReturnConsumedCapacity,
}

/// What came of a write.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Written {
    /// As asked for by `return_values`, if there are any.
    pub attributes: Option<Item>,
    /// If asked for.
    pub capacity: Option<ConsumedCapacity>,
}

/// What a read of one item asks for.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// Whether to see every write acknowledged before.
    pub consistent: bool,
    /// What to return of the item; `None`: everything.
    pub projection: Option<Expression>,
    /// Whether to count capacity.
    pub capacity: ReturnConsumedCapacity,
}

/// What a read of one item found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Got {
    /// The item, or what the projection says of it; `None`: there is no such item.
    pub item: Option<Item>,
    /// If asked for.
    pub capacity: Option<ConsumedCapacity>,
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
    /// What to return of each item; `None`: everything.
    pub projection: Option<Expression>,
}

impl Client {
    /// Creates an item or replaces it whole.
    pub async fn put_item(
        &self,
        table: &TableName,
        item: &Item,
        options: WriteOptions,
    ) -> Result<Written, Error> {
        let target = self.target(table, item).await;
        let request = requests::put(table, item, options)?;
        let answer: v1::PutItemResponse = self.call(Method::PUT_ITEM, target, &request).await?;
        written(answer.attributes, answer.consumed_capacity, answer.condition_failed)
    }

    /// Reads one item. `consistent`: sees every write acknowledged before the call.
    pub async fn get_item(
        &self,
        table: &TableName,
        key: &Item,
        consistent: bool,
    ) -> Result<Option<Item>, Error> {
        let options = ReadOptions { consistent, ..ReadOptions::default() };
        Ok(self.get_item_with(table, key, options).await?.item)
    }

    /// Reads one item, or parts of it.
    pub async fn get_item_with(
        &self,
        table: &TableName,
        key: &Item,
        options: ReadOptions,
    ) -> Result<Got, Error> {
        let target = self.target(table, key).await;
        let request = requests::get(table, key, options)?;
        let answer: v1::GetItemResponse = self.call(Method::GET_ITEM, target, &request).await?;
        let item = answer.item.as_ref().map(decode).transpose()?;
        Ok(Got { item, capacity: answer.consumed_capacity })
    }

    /// Changes parts of an item, creating it if need be (`Expression::assign` sets and removes whole attributes).
    /// `None`: creates an item that has only its key, if there is none.
    pub async fn update_item(
        &self,
        table: &TableName,
        key: &Item,
        update: Option<Expression>,
        options: WriteOptions,
    ) -> Result<Written, Error> {
        let target = self.target(table, key).await;
        let request = requests::update(table, key, update, options)?;
        let answer: v1::UpdateItemResponse = self.call(Method::UPDATE_ITEM, target, &request).await?;
        written(answer.attributes, answer.consumed_capacity, answer.condition_failed)
    }

    /// Deletes an item; no error if there is none.
    pub async fn delete_item(
        &self,
        table: &TableName,
        key: &Item,
        options: WriteOptions,
    ) -> Result<Written, Error> {
        let target = self.target(table, key).await;
        let request = requests::delete(table, key, options)?;
        let answer: v1::DeleteItemResponse = self.call(Method::DELETE_ITEM, target, &request).await?;
        written(answer.attributes, answer.consumed_capacity, answer.condition_failed)
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
        let mut request = v1::BatchWriteItemRequest {
            requests: requests::writes(writes),
            return_consumed_capacity: ReturnConsumedCapacity::Unspecified.into(),
        };
        let mut attempt = 0;
        loop {
            let answer = self.call(Method::BATCH_WRITE_ITEM, target, &request).await;
            let answer: v1::BatchWriteItemResponse = match answer {
                // Some are done already.
                Err(Error::Unavailable(answer)) if attempt > 0 => return Err(Error::Unknown(answer)),
                answer => answer?,
            };
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
        let mut request = v1::BatchGetItemRequest {
            requests: gets.iter().map(requests::keys).collect::<Result<_, _>>()?,
            return_consumed_capacity: ReturnConsumedCapacity::Unspecified.into(),
        };
        let mut found = Vec::new();
        let mut attempt = 0;
        loop {
            let answer: v1::BatchGetItemResponse =
                self.call(Method::BATCH_GET_ITEM, target, &request).await?;
            let any = answer.responses.iter().any(|table| !table.items.is_empty());
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

/// What came of a write that was answered.
fn written(
    attributes: Option<WireItem>,
    capacity: Option<ConsumedCapacity>,
    failed: Option<v1::ConditionFailed>,
) -> Result<Written, Error> {
    if let Some(failed) = failed {
        let item = failed.item.as_ref().map(decode).transpose()?;
        return Err(Error::new(Kind::Rejected, Answer::condition_failed(item)));
    }
    Ok(Written { attributes: attributes.as_ref().map(decode).transpose()?, capacity })
}
