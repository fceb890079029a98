//! One call: choose a node, send, decide about a failure, again. All calls of all kinds go through here.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use prost::Message;
use tokio::time::{Instant, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::client::Grpc;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder, Streaming};
use tonic::{Request, Status};

use super::Client;
use super::error::Error;
use super::map::{MAP_AGE_MIN, MAP_LIFE, PartitionMap};
use super::method::{Intent, Method};
use super::pool::{MESSAGE_BYTES_MAX, Node};
use super::retry::{self, Decision, Failure};
use crate::model::{Item, ItemKey, KeySchema, TableName};
use crate::rpc::wire::v1;

/// Longest wait for a partition map: it is only a hint.
const MAP_WAIT: Duration = Duration::from_secs(1);

/// Shortest time one attempt of a read gets.
const ATTEMPT_MIN: Duration = Duration::from_millis(100);

/// Which node a call should go to.
#[derive(Clone, Copy)]
pub(super) enum Target<'a> {
    /// Any.
    Any,
    /// The leader of the partition of this hash.
    Hash(&'a TableName, u64),
}

pub(super) type Map = PartitionMap<Arc<Node>>;

impl Client {
    /// Makes a call with messages.
    pub(super) async fn call<A: Message + Default>(
        &self,
        method: Method,
        target: Target<'_>,
        request: &impl Message,
    ) -> Result<A, Error> {
        let answer = self.call_bytes(method, target, request.encode_to_vec().into()).await?;
        A::decode(answer).map_err(Error::malformed)
    }

    /// Makes a call with encoded messages.
    pub(super) async fn call_bytes(
        &self,
        method: Method,
        target: Target<'_>,
        request: Bytes,
    ) -> Result<Bytes, Error> {
        let deadline = Instant::now() + self.shared.options.deadline;
        let mut avoid = None;
        let mut attempt = 0;
        loop {
            let node = self.choose(target, avoid.as_ref());
            let limit = attempt_limit(method.intent, deadline - Instant::now());
            let failure = match self.attempt(&node, method, request.clone(), limit).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let decision = retry::decide(method.intent, failure.sent, failure.answer.code);
            if decision == Decision::Tell {
                if let (Target::Hash(table, _), tonic::Code::NotFound) = (target, failure.answer.code) {
                    self.forget(table);
                }
                return Err(failure.into_error(method.intent));
            }
            let pause = retry::pause(attempt, retry::chance(&self.shared.jitter), failure.after);
            if Instant::now() + pause >= deadline {
                return Err(failure.into_error(method.intent));
            }
            tokio::time::sleep(pause).await;
            if decision == Decision::Elsewhere {
                if let Target::Hash(table, _) = target {
                    self.refresh(table, deadline).await;
                }
                avoid = Some(node);
            }
            if Instant::now() >= deadline {
                return Err(failure.into_error(method.intent));
            }
            attempt += 1;
        }
    }

    /// One attempt at one node.
    pub(super) async fn attempt(
        &self,
        node: &Arc<Node>,
        method: Method,
        request: Bytes,
        limit: Duration,
    ) -> Result<Bytes, Failure> {
        let codec = BytesCodec { request_bytes: request.len(), answer_bytes: 512 };
        let mut request = Request::new(request);
        request.set_timeout(limit);
        let mut grpc = grpc(node.channel());
        let answer = async {
            grpc.ready().await.map_err(|error| Status::from_error(error.into()))?;
            grpc.unary(request, method.path(), codec).await
        };
        let outcome = match timeout(limit, answer).await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(Failure::from(status)),
            Err(_) => Err(Failure::timed_out(limit)),
        };
        match &outcome {
            Err(failure) if failure.is_silence() => self.shared.pool.was_silent(node),
            Ok(_) | Err(_) => self.shared.pool.has_answered(node),
        }
        outcome
    }

    /// Opens a stream of answers, on a connection of its own.
    pub(super) async fn open(
        &self,
        node: &Node,
        method: Method,
        request: Bytes,
    ) -> Result<Streaming<Bytes>, Failure> {
        let limit = self.shared.options.deadline;
        let codec = BytesCodec { request_bytes: request.len(), answer_bytes: 64 << 10 };
        let mut grpc = grpc(node.own_channel());
        let answer = async {
            grpc.ready().await.map_err(|error| Status::from_error(error.into()))?;
            grpc.server_streaming(Request::new(request), method.path(), codec).await
        };
        match timeout(limit, answer).await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(Failure::from(status)),
            Err(_) => Err(Failure::timed_out(limit)),
        }
    }

    /// Opens a stream of answers to a stream of requests, on a connection of its own.
    pub(super) async fn open_both(
        &self,
        node: &Node,
        method: Method,
        requests: ReceiverStream<Bytes>,
    ) -> Result<Streaming<Bytes>, Failure> {
        let limit = self.shared.options.deadline;
        let codec = BytesCodec { request_bytes: 512, answer_bytes: 64 << 10 };
        let mut grpc = grpc(node.own_channel());
        let answer = async {
            grpc.ready().await.map_err(|error| Status::from_error(error.into()))?;
            grpc.streaming(Request::new(requests), method.path(), codec).await
        };
        match timeout(limit, answer).await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(Failure::from(status)),
            Err(_) => Err(Failure::timed_out(limit)),
        }
    }

    /// Where to go: the leader by the map, unless it is known not to answer.
    fn choose(&self, target: Target<'_>, avoid: Option<&Arc<Node>>) -> Arc<Node> {
        if let Target::Hash(table, hash) = target
            && let Some(map) = self.known_map(table)
            && let Some(leader) = map.leader(hash)
            && !self.shared.pool.is_down(leader)
        {
            return leader.clone();
        }
        self.shared.pool.any(avoid)
    }

    /// The target of a call about an item, or about the key of one.
    pub(super) async fn target<'a>(&self, table: &'a TableName, item: &Item) -> Target<'a> {
        let Some(map) = self.map(table).await else { return Target::Any };
        let key = if item.len() == map.key.names().count() {
            map.key.key_of_key(item).ok()
        } else {
            map.key.key_of_item(item).ok()
        };
        // What is no key of this table is the cluster's to refuse: the table may have been made anew.
        key.map_or(Target::Any, |key: ItemKey| Target::Hash(table, key.hash()))
    }

    /// The key of a table, if its map can be had.
    pub(super) async fn key_schema(&self, table: &TableName) -> Option<KeySchema> {
        Some(self.map(table).await?.key.clone())
    }

    /// The target of a call about a hash; sees to it that the map is there.
    pub(super) async fn target_of_hash<'a>(&self, table: &'a TableName, hash: u64) -> Target<'a> {
        self.map(table).await.map_or(Target::Any, |_| Target::Hash(table, hash))
    }

    fn known_map(&self, table: &TableName) -> Option<Arc<Map>> {
        self.shared.maps.read().expect("nothing panics while holding it").get(table).cloned()
    }

    fn forget(&self, table: &TableName) {
        self.shared.maps.write().expect("nothing panics while holding it").remove(table);
    }

    /// The map of a table: the known one, renewed by one caller at a time when it is old.
    async fn map(&self, table: &TableName) -> Option<Arc<Map>> {
        let known = self.known_map(table);
        match &known {
            Some(map) if map.asked.elapsed() < MAP_LIFE => known,
            Some(_) => {
                let Ok(_turn) = self.shared.refresh.try_lock() else { return known };
                self.ask_map(table).await;
                self.known_map(table)
            }
            None => {
                self.refresh(table, Instant::now() + MAP_WAIT).await;
                self.known_map(table)
            }
        }
    }

    /// Renews a map, unless another call just has.
    async fn refresh(&self, table: &TableName, deadline: Instant) {
        let deadline = deadline.min(Instant::now() + MAP_WAIT);
        let _ = tokio::time::timeout_at(deadline, async {
            let noticed = Instant::now();
            let _turn = self.shared.refresh.lock().await;
            let fresh = |map: Arc<Map>| map.asked >= noticed || map.asked.elapsed() < MAP_AGE_MIN;
            if !self.known_map(table).is_some_and(fresh) {
                self.ask_map(table).await;
            }
        })
        .await;
    }

    /// Asks one node after another for the map. The lock `refresh` is held.
    async fn ask_map(&self, table: &TableName) {
        let request: Bytes =
            v1::DescribeTableRequest { table_name: table.to_string() }.encode_to_vec().into();
        let asked = Instant::now();
        let mut avoid = None;
        for _ in 0..self.shared.pool.addresses().len() {
            let node = self.shared.pool.any(avoid.as_ref());
            match self.attempt(&node, Method::DESCRIBE_TABLE, request.clone(), MAP_WAIT / 2).await {
                Ok(answer) => {
                    if let Some(map) = self.read_map(answer, asked) {
                        let mut maps = self.shared.maps.write().expect("nothing panics while holding it");
                        maps.insert(table.clone(), Arc::new(map));
                    }
                    return;
                }
                Err(failure) if failure.answer.code == tonic::Code::NotFound => return self.forget(table),
                Err(_) => avoid = Some(node),
            }
        }
    }

    fn read_map(&self, answer: Bytes, asked: Instant) -> Option<Map> {
        let answer = v1::DescribeTableResponse::decode(answer).ok()?;
        let table = super::Table::from_wire(answer.table?).ok()?;
        let node = |address: &String| self.shared.pool.node(address).ok();
        let ranges = table.partitions.iter();
        let ranges =
            ranges.map(|each| (each.range.first, each.leader_address.as_ref().and_then(node))).collect();
        Some(PartitionMap::new(table.key, ranges, asked))
    }
}

/// How long one attempt may take: a read leaves time for another node.
fn attempt_limit(intent: Intent, left: Duration) -> Duration {
    match intent {
        Intent::Read => (left / 2).max(ATTEMPT_MIN).min(left),
        Intent::Write => left,
    }
}

fn grpc(channel: tonic::transport::Channel) -> Grpc<tonic::transport::Channel> {
    Grpc::new(channel)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX)
}

/// Messages as the bytes they are, in buffers of the right size.
#[derive(Clone, Copy)]
struct BytesCodec {
    request_bytes: usize,
    answer_bytes: usize,
}

/// gRPC's own bytes before each message.
const HEADER_BYTES: usize = 5;

const YIELD_BYTES: usize = 32 << 10;

impl Codec for BytesCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.reserve(message.len());
        out.put(message);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(self.request_bytes + HEADER_BYTES, YIELD_BYTES)
    }
}

impl Decoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(self.answer_bytes, YIELD_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_leaves_time_for_another_attempt_and_a_write_does_not() {
        let second = Duration::from_secs(1);
        assert_eq!(attempt_limit(Intent::Write, second), second);
        assert_eq!(attempt_limit(Intent::Read, second), second / 2);
        assert_eq!(attempt_limit(Intent::Read, ATTEMPT_MIN), ATTEMPT_MIN);
        assert_eq!(attempt_limit(Intent::Read, ATTEMPT_MIN / 2), ATTEMPT_MIN / 2);
    }
}
