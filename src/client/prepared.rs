//! Requests that are encoded once and sent many times, or patched by hand: for load generators.

use bytes::Bytes;
use prost::Message;

use super::call::Target;
use super::error::Error;
use super::items::{BatchWrite, WriteOptions, get_request, put_request, write_requests};
use super::method::Method;
use super::{Client, TableName};
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
    /// A put.
    pub fn put(table: &TableName, item: &Item, options: WriteOptions) -> Self {
        Self { method: Method::PUT_ITEM, body: encode(put_request(table, item, options)) }
    }

    /// A read of one item.
    pub fn get(table: &TableName, key: &Item, consistent: bool) -> Self {
        Self { method: Method::GET_ITEM, body: encode(get_request(table, key, consistent)) }
    }

    /// An update that sets attributes.
    pub fn update(table: &TableName, key: &Item, set: &Item) -> Self {
        let request = super::items::update_request(table, key, set, &[], WriteOptions::default());
        Self { method: Method::UPDATE_ITEM, body: encode(request) }
    }

    /// One write of a batch. The encodings of several, one behind the other, are the request of a batch: that is how
    /// protobuf writes a repeated field.
    pub fn batch_part(write: &BatchWrite) -> Self {
        let requests = write_requests(std::slice::from_ref(write));
        Self { method: Method::BATCH_WRITE_ITEM, body: encode(v1::BatchWriteItemRequest { requests }) }
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
