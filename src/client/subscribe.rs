//! Following a stream: all its shards, across interruptions.
//!
//! A subscription remembers the last record it handed out of each shard and, when its connection breaks, subscribes
//! again behind those at another node. Shards of which it has handed out nothing start again where it started; LATEST
//! becomes the time it began, less `LATEST_MARGIN`, so that no record is lost between two clocks. A few records from
//! just before the start may be handed out then; none is ever handed out twice.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use prost::Message;
use tonic::{Status, Streaming};

use super::error::Error;
use super::method::Method;
use super::pool::Node;
use super::reopening::Reopening;
use super::retry::Failure;
use super::{Client, Record, SequenceNumber, Start};
use crate::rpc::wire::v1;

/// How far the clocks of client and nodes may differ without a loss; see above.
const LATEST_MARGIN: Duration = Duration::from_secs(2);

/// What a subscription hands out.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// The next records of a shard, in order; never none.
    Records(Arc<str>, Vec<Record>),
    /// A shard is read to where its log ends at the moment.
    Idle(Arc<str>),
    /// A shard is closed and read to its end.
    ShardEnd(Arc<str>),
}

/// A subscription to a stream. Dropping it ends it.
pub struct Subscription {
    reopening: Reopening,
    arn: String,
    start: Start,
    positions: BTreeMap<String, String>,
    open: Option<(Arc<Node>, Streaming<Bytes>)>,
    waiting: VecDeque<(Arc<str>, Record)>,
    /// Shards known at the start that were not yet read to where their logs end.
    behind: BTreeSet<String>,
    /// Shards known whose end has not been handed out.
    unended: BTreeSet<String>,
}

impl Client {
    /// Follows a stream from `start` (TRIM_HORIZON, LATEST or a time), or behind the records of `resume` (shard id and
    /// sequence number). Errors: as the first answer; later `next_delivery` tells.
    pub async fn subscribe(
        &self,
        stream_arn: &str,
        start: Start,
        resume: BTreeMap<String, SequenceNumber>,
    ) -> Result<Subscription, Error> {
        let stream = self.describe_stream(stream_arn).await?;
        let shards: BTreeSet<String> = stream.shards.into_iter().map(|shard| shard.id).collect();
        let mut subscription = Subscription {
            reopening: Reopening::new(self),
            arn: stream_arn.to_owned(),
            start,
            positions: resume.into_iter().map(|(shard, number)| (shard, number.to_string())).collect(),
            open: None,
            waiting: VecDeque::new(),
            behind: shards.clone(),
            unended: shards,
        };
        subscription.ensure_open().await?;
        if let Start::Latest = subscription.start {
            subscription.start =
                Start::AtTimestamp(wall_ms().saturating_sub(LATEST_MARGIN.as_millis() as u64));
        }
        Ok(subscription)
    }
}

impl Subscription {
    /// The next records, or that there are none at the moment. `None`: the stream is turned off and read to its end.
    /// Errors: `Rejected` if the place to go on is trimmed or the stream gone; `Unavailable` when no node has answered
    /// for longer than the client's deadline. Calling it again then tries again.
    pub async fn next_delivery(&mut self) -> Result<Option<Delivery>, Error> {
        let Some(response) = self.next_undecoded().await? else { return Ok(None) };
        let shard: Arc<str> = response.shard_id.as_str().into();
        if !response.records.is_empty() {
            let records = response.records.into_iter().map(Record::from_wire).collect::<Result<_, _>>()?;
            return Ok(Some(Delivery::Records(shard, records)));
        }
        Ok(Some(if response.shard_end { Delivery::ShardEnd(shard) } else { Delivery::Idle(shard) }))
    }

    /// The next record and its shard. `None`: the stream is turned off and read to its end.
    pub async fn next(&mut self) -> Result<Option<(Arc<str>, Record)>, Error> {
        loop {
            if let Some(next) = self.waiting.pop_front() {
                return Ok(Some(next));
            }
            match self.next_delivery().await? {
                Some(Delivery::Records(shard, records)) => {
                    self.waiting.extend(records.into_iter().map(|record| (shard.clone(), record)));
                }
                Some(Delivery::Idle(_) | Delivery::ShardEnd(_)) => {}
                None => return Ok(None),
            }
        }
    }

    /// As `next_delivery`, with the items as they travel: for those who count.
    pub async fn next_undecoded(&mut self) -> Result<Option<v1::SubscribeResponse>, Error> {
        loop {
            self.ensure_open().await?;
            let Some((node, stream)) = &mut self.open else { continue };
            let failure = match stream.message().await {
                Ok(Some(message)) => {
                    self.reopening.heard_from(node);
                    let response = v1::SubscribeResponse::decode(message).map_err(Error::malformed)?;
                    self.note(&response);
                    return Ok(Some(response));
                }
                // A node that shuts down may end the stream as if that were all. It is, if every shard has ended, or if
                // another subscription ends without a word.
                Ok(None) if self.unended.is_empty() || self.reopening.is_broken() => return Ok(None),
                Ok(None) => Failure::from(Status::unavailable("the subscription was ended by the node")),
                Err(status) => Failure::from(status),
            };
            if let Some((node, _)) = self.open.take() {
                self.reopening.broke(node, failure).await?;
            }
        }
    }

    /// Whether all shards that were there at the start have been read to where their logs ended at some moment since.
    pub fn caught_up(&self) -> bool {
        self.behind.is_empty()
    }

    /// The last record of each shard that was handed out: what to resume behind.
    pub fn positions(&self) -> BTreeMap<String, SequenceNumber> {
        let positions = self.positions.iter();
        positions.map(|(shard, number)| (shard.clone(), SequenceNumber::new(number.as_str()))).collect()
    }

    fn note(&mut self, response: &v1::SubscribeResponse) {
        if let Some(last) = response.records.last() {
            match self.positions.get_mut(&response.shard_id) {
                Some(position) => position.clone_from(&last.sequence_number),
                None => {
                    self.positions.insert(response.shard_id.clone(), last.sequence_number.clone());
                }
            }
        }
        if response.shard_end || response.records.is_empty() {
            self.behind.remove(&response.shard_id);
        }
        if response.shard_end {
            self.unended.remove(&response.shard_id);
        } else if !response.shard_id.is_empty() && !self.unended.contains(&response.shard_id) {
            self.unended.insert(response.shard_id.clone());
        }
        if response.shard_id.is_empty() && response.records.is_empty() {
            self.behind.clear();
        }
    }

    /// Subscribes, unless it is subscribed.
    async fn ensure_open(&mut self) -> Result<(), Error> {
        while self.open.is_none() {
            let node = self.reopening.node();
            let request = self.request().encode_to_vec().into();
            match self.reopening.client.open(&node, Method::SUBSCRIBE, request).await {
                Ok(stream) => self.open = Some((node, stream)),
                Err(failure) => self.reopening.refused(node, failure).await?,
            }
        }
        Ok(())
    }

    fn request(&self) -> v1::SubscribeRequest {
        let positions = self.positions.iter();
        let resume = positions.map(|(shard, number)| v1::ShardPosition {
            shard_id: shard.clone(),
            sequence_number: number.clone(),
        });
        v1::SubscribeRequest {
            stream_arn: self.arn.clone(),
            table_name: String::new(),
            start: self.start.wire_type().into(),
            timestamp_ms: self.start.timestamp_ms(),
            resume: resume.collect(),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a subscription to what is latest goes on from a time")]
fn wall_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
