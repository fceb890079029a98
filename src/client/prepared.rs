//! Requests that are encoded once and sent many times, or patched by hand: for load generators.

use bytes::Bytes;
use prost::Message;

use super::call::Target;
use super::error::Error;
use super::expression::Expression;
use super::items::{BatchWrite, ReadOptions, WriteOptions};
use super::method::Method;
use super::{Client, ReturnConsumedCapacity, TableName, requests};
use crate::model::Item;
use crate::rpc::wire::v1;

/// An encoded request.
#[derive(Clone)]
pub struct Prepared {
    /// The call.
    pub method: Method,
    /// The encoded message.
    pub body: Bytes,
}

impl Prepared {
    /// A put. Errors: `Invalid`, for expressions that do not go together.
    pub fn put(table: &TableName, item: &Item, options: WriteOptions) -> Result<Self, Error> {
        Ok(Self { method: Method::PUT_ITEM, body: encode(requests::put(table, item, options)?) })
    }

    /// A read of one item.
    pub fn get(table: &TableName, key: &Item, options: ReadOptions) -> Result<Self, Error> {
        Ok(Self { method: Method::GET_ITEM, body: encode(requests::get(table, key, options)?) })
    }

    /// An update. Errors: as `put`.
    pub fn update(
        table: &TableName,
        key: &Item,
        update: Option<Expression>,
        options: WriteOptions,
    ) -> Result<Self, Error> {
        Ok(Self { method: Method::UPDATE_ITEM, body: encode(requests::update(table, key, update, options)?) })
    }

    /// A deletion. Errors: as `put`.
    pub fn delete(table: &TableName, key: &Item, options: WriteOptions) -> Result<Self, Error> {
        Ok(Self { method: Method::DELETE_ITEM, body: encode(requests::delete(table, key, options)?) })
    }

    /// One write of a batch. The encodings of several, one behind the other, are the request of a batch: that is how
    /// protobuf writes a repeated field.
    pub fn batch_part(write: &BatchWrite) -> Self {
        let requests = requests::writes(std::slice::from_ref(write));
        let return_consumed_capacity = ReturnConsumedCapacity::Unspecified.into();
        let request = v1::BatchWriteItemRequest { requests, return_consumed_capacity };
        Self { method: Method::BATCH_WRITE_ITEM, body: encode(request) }
    }
}

fn encode(message: impl Message) -> Bytes {
    message.encode_to_vec().into()
}

impl Client {
    /// Sends an encoded request to the leader of the partition of a hash (`model::ItemKey::hash`). Retries as every
    /// call does. The answer is the encoded message.
    pub async fn send_prepared(
        &self,
        method: Method,
        table: &TableName,
        hash: u64,
        body: Bytes,
    ) -> Result<Bytes, Error> {
        let target = self.target_of_hash(table, hash).await;
        self.call_bytes(method, target, body).await
    }

    /// Sends an encoded request to any node.
    pub async fn send_prepared_anywhere(&self, method: Method, body: Bytes) -> Result<Bytes, Error> {
        self.call_bytes(method, Target::Any, body).await
    }
}
