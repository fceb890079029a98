//! Consumers: taking part in one, across interruptions.
//!
//! A [`Consumption`] opens again, at another node, when its connection breaks. What was handed out and not acknowledged
//! is handed out again then, here or to another member; an acknowledgement that comes too late is worth nothing.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::call::Target;
use super::error::Error;
use super::items::decode;
use super::method::Method;
use super::pool::Node;
use super::reopening::Reopening;
use super::retry::Failure;
use super::{Client, Record};
use crate::model::{Item, TableName};
use crate::rpc::wire::v1::{self, consume_request, consume_response};

pub use v1::{
    Consumer, ConsumerMember, ConsumerShard, ConsumerStart, OpenConsumer,
    consumer_shard::Phase as ConsumerPhase,
};

/// Acknowledgements on their way.
const REQUESTS_MAX: usize = 64;

/// A program's part in a consumer. Dropping it ends it: its shards go to the other members.
pub struct Consumption {
    reopening: Reopening,
    open: OpenConsumer,
    link: Option<Link>,
    /// Counts the times it was opened.
    opened: u64,
    /// Whether the last call was ended by the node, and not by an error.
    was_ended: bool,
}

struct Link {
    node: Arc<Node>,
    requests: mpsc::Sender<Bytes>,
    told: Streaming<Bytes>,
}

/// What a member is told.
#[derive(Clone, Debug)]
pub enum Consumed {
    /// It takes part, at first or again.
    Opened {
        /// As this member.
        member_id: u64,
        /// Whether the consumer was created.
        created: bool,
    },
    /// A shard is the member's from now on.
    Assigned(String),
    /// A shard is the member's no longer.
    Revoked(String),
    /// Records, or items of the copy the consumer began with.
    Batch(ConsumedBatch),
}

/// Records of one shard, in order, or items. Without either: the shard is read to where its log ends at the moment.
#[derive(Clone, Debug)]
pub struct ConsumedBatch {
    /// The shard.
    pub shard_id: String,
    /// The changes.
    pub records: Vec<Record>,
    /// Or: items, as they were when they were copied.
    pub copied: Vec<Item>,
    /// This was the last of the copy of the shard's partition.
    pub copy_end: bool,
    /// The shard is closed and this was the last of it.
    pub shard_end: bool,
    /// Records before these were trimmed before they could be sent: they are lost to the consumer.
    pub gap: bool,
    /// These records are older than half of what the stream keeps.
    pub at_risk: bool,
    /// Where the consumer is with this batch, if that was asked for.
    pub position: Option<String>,
    number: u64,
    opened: u64,
}

impl ConsumedBatch {
    fn from_wire(batch: v1::ConsumedBatch, opened: u64) -> Result<Self, Error> {
        let copied = batch.copied.iter().map(decode);
        Ok(Self {
            shard_id: batch.shard_id,
            records: batch.records.into_iter().map(Record::from_wire).collect::<Result<_, _>>()?,
            copied: copied.collect::<Result<_, _>>()?,
            copy_end: batch.copy_end,
            shard_end: batch.shard_end,
            gap: batch.gap,
            at_risk: batch.at_risk,
            position: batch.position,
            number: batch.batch,
            opened,
        })
    }
}

impl Client {
    /// Takes part in a consumer. `open.credit` is how many records may be handed out and not acknowledged. Errors: as the
    /// first answer; later `next` tells.
    pub async fn consume(&self, open: OpenConsumer) -> Result<Consumption, Error> {
        let mut consumption =
            Consumption { reopening: Reopening::new(self), open, link: None, opened: 0, was_ended: false };
        consumption.ensure_open().await?;
        Ok(consumption)
    }

    /// A consumer, with its lag. Errors: `Rejected` if there is none (`Error::is_not_found`).
    pub async fn consumer(&self, table: &TableName, name: &str) -> Result<Consumer, Error> {
        let request = v1::GetConsumerRequest { table_name: table.to_string(), name: name.to_owned() };
        self.call(Method::GET_CONSUMER, Target::Any, &request).await
    }

    /// The consumers of one table or of all, by table and name.
    pub async fn list_consumers(&self, table: Option<&TableName>) -> Result<Vec<Consumer>, Error> {
        let table_name = table.map(ToString::to_string).unwrap_or_default();
        let request = v1::ListConsumersRequest { table_name };
        let answer: v1::ListConsumersResponse =
            self.call(Method::LIST_CONSUMERS, Target::Any, &request).await?;
        Ok(answer.consumers)
    }

    /// Deletes a consumer.
    pub async fn delete_consumer(&self, table: &TableName, name: &str) -> Result<(), Error> {
        let request = v1::DeleteConsumerRequest { table_name: table.to_string(), name: name.to_owned() };
        let gone = self.call::<v1::DeleteConsumerResponse>(Method::DELETE_CONSUMER, Target::Any, &request);
        gone.await.map(|_| ())
    }
}

impl Consumption {
    /// What comes next. `None`: the table is deleted and everything read. Errors: `Rejected` if the consumer is deleted;
    /// `Unavailable` when no node has answered for longer than the client's deadline. Calling it again then tries again.
    pub async fn next(&mut self) -> Result<Option<Consumed>, Error> {
        loop {
            match self.ensure_open().await {
                // It was the end: the table is gone.
                Err(error) if self.was_ended && error.is_not_found() => return Ok(None),
                opened => opened?,
            }
            let Some(link) = &mut self.link else { continue };
            let failure = match link.told.message().await {
                Ok(Some(message)) => {
                    self.reopening.heard_from(&link.node);
                    self.was_ended = false;
                    let told = v1::ConsumeResponse::decode(message).map_err(Error::malformed)?;
                    if let Some(told) = self.read(told)? {
                        return Ok(Some(told));
                    }
                    continue;
                }
                // A node that shuts down may end the call as if that were all; if it is, opening again tells.
                Ok(None) => {
                    self.was_ended = true;
                    Failure::from(Status::unavailable("the call was ended by the node"))
                }
                Err(status) => Failure::from(status),
            };
            if let Some(link) = self.link.take() {
                self.reopening.broke(link.node, failure).await?;
            }
        }
    }

    /// Says that a batch, and all before it of its shard, are done with; as many records more may be handed out.
    pub async fn acknowledge(&mut self, batch: &ConsumedBatch) {
        let count = u32::try_from(batch.records.len() + batch.copied.len()).unwrap_or(u32::MAX);
        if batch.opened != self.opened || count == 0 {
            return;
        }
        let (shard_id, number) = (batch.shard_id.clone(), batch.number);
        self.say(consume_request::Request::Acknowledge(v1::Acknowledge { shard_id, batch: number })).await;
        self.say(consume_request::Request::Credit(count)).await;
    }

    /// Ends it, and waits until what was acknowledged has arrived.
    pub async fn close(mut self) {
        let Some(Link { requests, mut told, .. }) = self.link.take() else { return };
        drop(requests);
        let end = async { while let Ok(Some(_)) = told.message().await {} };
        // A node that does not answer has nothing to wait for.
        let _ = tokio::time::timeout(self.reopening.client.shared.options.deadline, end).await;
    }

    async fn say(&mut self, request: consume_request::Request) {
        let request = v1::ConsumeRequest { request: Some(request) };
        if let Some(link) = &self.link {
            // If the link is broken, `next` finds out.
            let _ = link.requests.send(request.encode_to_vec().into()).await;
        }
    }

    fn read(&mut self, told: v1::ConsumeResponse) -> Result<Option<Consumed>, Error> {
        Ok(Some(match told.response {
            Some(consume_response::Response::Opened(v1::ConsumerOpened { member_id, created })) => {
                // From now on the consumer exists, and is where it is.
                (self.open.start, self.open.position, self.open.timestamp_millis) = (0, None, None);
                Consumed::Opened { member_id, created }
            }
            Some(consume_response::Response::Assigned(shard)) => Consumed::Assigned(shard.shard_id),
            Some(consume_response::Response::Revoked(shard)) => Consumed::Revoked(shard.shard_id),
            Some(consume_response::Response::Batch(batch)) => {
                Consumed::Batch(ConsumedBatch::from_wire(batch, self.opened)?)
            }
            None => return Ok(None),
        }))
    }

    /// Opens, unless it is open.
    async fn ensure_open(&mut self) -> Result<(), Error> {
        while self.link.is_none() {
            let node = self.reopening.node();
            let (requests, outgoing) = mpsc::channel(REQUESTS_MAX);
            let open = consume_request::Request::Open(self.open.clone());
            let open = v1::ConsumeRequest { request: Some(open) }.encode_to_vec().into();
            let opened = match requests.try_send(open) {
                Ok(()) => {
                    let outgoing = ReceiverStream::new(outgoing);
                    self.reopening.client.open_both(&node, Method::CONSUME, outgoing).await
                }
                Err(_) => unreachable!("an empty queue has room"),
            };
            match opened {
                Ok(told) => {
                    self.opened += 1;
                    self.link = Some(Link { node, requests, told });
                }
                Err(failure) => self.reopening.refused(node, failure).await?,
            }
        }
        Ok(())
    }
}
