//! Consumers: taking part in them, and watching over them.
//!
//! A program takes part by a call to a node, which runs a `member` for it. Who is gone without a word is
//! noticed by its own node, if that knows of no such member, or by the catalog's leader, if the node is gone.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::{sync::mpsc, time::Instant};

use super::{
    Error, Node,
    member::{self, Delivered, Said},
    position::TablePosition,
};
use crate::{
    catalog::{
        Catalog, Command, Consumer, ConsumerCommand, ConsumerKey, ConsumerStart, Join, Outcome, Place,
        ShardKey, ShardStart, StartAsked, StreamStatus, Streams, Table,
    },
    delivery::Filter,
    expression::ast::Projection,
    model::{
        StreamViewType, TableName,
        id::{NodeId, TableId},
    },
    stream::{Cursor, ShardId, StreamArn},
};

/// Longest name of a consumer, bytes. Ours.
pub const CONSUMER_NAME_BYTES_MAX: usize = 255;
/// Messages from a member, or to it, that wait.
const MESSAGES_MAX: usize = 16;
/// How often it is looked whether members are gone.
const TICK: Duration = Duration::from_millis(500);
/// How long a node may be silent before its members are given up.
const SILENCE_MAX: Duration = Duration::from_secs(2);
/// How often it is looked how far consumers are behind.
const LOOK: Duration = Duration::from_secs(5);

/// A program that is to take part in a consumer.
#[derive(Debug)]
pub struct OpenConsumer {
    /// The table.
    pub table: TableName,
    /// The consumer.
    pub name: String,
    /// Where the consumer starts if it does not exist yet.
    pub start: ConsumerStart,
    /// Where it starts, or goes on if it has no members, with the start `Position`.
    pub position: Option<String>,
    /// Which records the program wants.
    pub filter: Filter,
    /// What it wants of their images; absent: everything.
    pub projection: Option<Projection>,
    /// How many records it may be sent at first.
    pub credit: u32,
    /// Whether it wants a position with every batch.
    pub positions: bool,
}

/// A program's part in a consumer. Dropping either half ends it.
#[derive(Debug)]
pub struct Membership {
    /// What the program says.
    pub said: mpsc::Sender<Said>,
    /// What it is told.
    pub told: mpsc::Receiver<Result<Delivered, Error>>,
}

/// A member's place among those served here. It is given up by being dropped: also where a call is abandoned, by whoever
/// made it, while the cluster takes the member in.
pub(super) struct Seat {
    node: Node,
    pub member: u64,
}

impl Seat {
    fn take(node: &Node, member: u64) -> Self {
        node.shared.members.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(member);
        Self { node: node.clone(), member }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.node
            .shared
            .members
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .remove(&self.member);
    }
}

/// How far a consumer is behind in the shards that this node leads.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Behind {
    /// Age of the oldest record that is not acknowledged, ms; 0: all are.
    pub oldest_ms: u64,
    /// Whether it was told that records are about to be trimmed.
    warned: bool,
}

impl Node {
    /// A consumer and its table.
    pub async fn consumer(&self, table: &TableName, name: &str) -> Result<(Consumer, Table), Error> {
        self.look_up(|catalog| {
            let of = catalog.table(table).ok_or_else(Error::no_table)?;
            let found = catalog.consumers.get(&(of.id, name.to_owned()));
            let missing = || format!("Requested resource not found: Table {table} has no consumer {name}");
            found.map(|found| (found.clone(), of.clone())).ok_or_else(|| Error::NotFound(missing()))
        })
        .await
    }

    /// Where a consumer is in all shards.
    pub fn position(&self, table: TableId, consumer: &Consumer) -> String {
        let places = consumer.shards.iter().map(|(shard, consumed)| (*shard, consumed.place.clone()));
        let position = TablePosition { table, places: places.collect() };
        position.seal(&self.catalog().secret)
    }

    /// Deletes a consumer; its members' calls end.
    pub async fn delete_consumer(&self, table: &TableName, name: &str) -> Result<(), Error> {
        let id = self.consumer(table, name).await?.1.id;
        self.command(Command::Consumer(ConsumerCommand::Delete { key: (id, name.to_owned()) })).await?;
        Ok(())
    }

    /// Takes part in a consumer, which is created if it does not exist.
    pub async fn open_consumer(&self, asked: OpenConsumer) -> Result<Membership, Error> {
        if asked.name.is_empty() || asked.name.len() > CONSUMER_NAME_BYTES_MAX {
            let why = format!("a consumer's name has 1 to {CONSUMER_NAME_BYTES_MAX} bytes");
            return Err(Error::Invalid(why));
        }
        let table =
            self.look_up(|catalog| catalog.table(&asked.table).cloned().ok_or_else(Error::no_table)).await?;
        let exists = self.catalog().consumers.contains_key(&(table.id, asked.name.clone()));
        let (streams, places) = if exists && asked.start != ConsumerStart::Position {
            (None, BTreeMap::new())
        } else {
            let (streams, places) = self.starting(&table, &asked).await?;
            (Some(streams), places)
        };
        let member = self.random();
        // Known here before it is known to the cluster: nobody takes it for one that is gone.
        let seat = Seat::take(self, member);
        let join = Join {
            table: asked.table.clone(),
            name: asked.name.clone(),
            member,
            node: self.id(),
            streams,
            start: asked.start,
            places,
            now_ms: self.now_ms(),
        };
        let joined = self.command(Command::Consumer(ConsumerCommand::Join(Box::new(join)))).await;
        let (table, created) = match joined {
            Ok(Outcome::Joined { table, created }) => (table, created),
            Ok(_) => return Err(Error::Internal),
            Err(error) => return Err(error),
        };
        let (said, hears) = mpsc::channel(MESSAGES_MAX);
        let (tells, told) = mpsc::channel(MESSAGES_MAX);
        let run =
            member::run(self.clone(), (table, asked.name.clone()), (seat, created), asked, hears, tells);
        self.spawn("consumer", run);
        Ok(Membership { said, told })
    }

    /// The streams of a new consumer, and where it starts in their shards.
    async fn starting(
        &self,
        table: &Table,
        asked: &OpenConsumer,
    ) -> Result<(Streams, BTreeMap<ShardKey, Place>), Error> {
        let (streams, _, view_type) = self.streams_for(&asked.table, None).await?;
        let shows_both = view_type == Some(StreamViewType::NewAndOldImages);
        if asked.filter.needs_both_images() && !shows_both {
            let why = "a filter that asks what has \"changed\" needs a stream with the view type NEW_AND_OLD_IMAGES";
            return Err(Error::Invalid(why.to_owned()));
        }
        let start = match asked.start {
            ConsumerStart::TrimHorizon => StartAsked::TrimHorizon,
            ConsumerStart::Latest => StartAsked::Latest,
            ConsumerStart::Timestamp(ms) => StartAsked::Timestamp(ms),
            ConsumerStart::Snapshot => {
                let stream = table.latest_stream();
                // A shard that is not there yet would be begun without the items before it.
                if stream.is_some_and(|stream| table.stream_status(stream) == StreamStatus::Enabling) {
                    return Err(Error::Unavailable("the stream is still being turned on".to_owned()));
                }
                let shards = stream
                    .into_iter()
                    .flat_map(|stream| stream.shards.keys().map(|group| (stream.stream_ms, *group)));
                let copying = Place::Copying { behind: None, next: None };
                return Ok((streams, shards.map(|shard| (shard, copying.clone())).collect()));
            }
            ConsumerStart::Position => return self.positioned(table, streams, asked),
        };
        let starts = self.starts(table, streams, start).await?;
        let place = |start| match start {
            ShardStart::Horizon => Place::At(None),
            ShardStart::At(cursor) => Place::At(Some(cursor)),
        };
        Ok((streams, starts.into_iter().map(|(shard, start)| (shard, place(start))).collect()))
    }

    fn positioned(
        &self,
        table: &Table,
        streams: Streams,
        asked: &OpenConsumer,
    ) -> Result<(Streams, BTreeMap<ShardKey, Place>), Error> {
        let text = asked.position.as_deref().unwrap_or_default();
        let position = TablePosition::open(text, &self.catalog().secret)
            .ok_or_else(|| Error::Invalid("the position is none of this cluster's".to_owned()))?;
        if position.table != table.id {
            return Err(Error::Invalid("the position is one of another table".to_owned()));
        }
        let first_ms = position.places.keys().map(|(stream_ms, _)| *stream_ms).min();
        Ok((Streams::Since(first_ms.unwrap_or(streams.first_ms())), position.places))
    }

    /// How far consumers are behind in the shards led here, milliseconds.
    pub(super) fn consumer_lags(&self) -> Vec<(String, u64)> {
        let catalog = self.catalog();
        let behind = self.shared.behind.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let lags = behind.iter().filter_map(|((table, name), behind)| {
            let table = &catalog.tables.get(table)?.name;
            let name = name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            Some((format!("{{consumer=\"{name}\",table=\"{table}\"}}"), behind.oldest_ms))
        });
        lags.collect()
    }
}

/// Watches over consumers until the node stops.
pub(super) async fn run(node: Node) {
    let mut silent: BTreeMap<NodeId, Instant> = BTreeMap::new();
    let mut look = Instant::now();
    loop {
        tokio::time::sleep(TICK).await;
        let catalog = node.catalog();
        for (key, member) in gone(&node, &catalog, &mut silent) {
            tracing::info!(consumer = %key.1, member, "a member of a consumer is gone");
            let leave = ConsumerCommand::Leave { key, member, places: Vec::new() };
            if let Err(error) = node.command(Command::Consumer(leave)).await {
                tracing::debug!(%error, "a member of a consumer is given up later");
            }
        }
        if look <= Instant::now() {
            look_behind(&node, &catalog).await;
            look = Instant::now() + LOOK;
        }
    }
}

/// Members that are to be given up.
fn gone(node: &Node, catalog: &Catalog, silent: &mut BTreeMap<NodeId, Instant>) -> Vec<(ConsumerKey, u64)> {
    let here = node.shared.members.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
    let leads = node.shared.catalog_group.leadership().led_term().is_some();
    let nodes: BTreeSet<NodeId> =
        catalog.consumers.values().flat_map(|it| it.members.values().map(|member| member.node)).collect();
    let is_silent = |it: &NodeId| *it != node.id() && !node.shared.peers.is_alive(*it);
    silent.retain(|silent, _| nodes.contains(silent) && is_silent(silent));
    for lost in nodes.into_iter().filter(is_silent) {
        silent.entry(lost).or_insert_with(Instant::now);
    }
    let mut gone = Vec::new();
    for (key, consumer) in &catalog.consumers {
        for (id, member) in &consumer.members {
            let is_gone = if member.node == node.id() {
                !here.contains(id)
            } else {
                leads && silent.get(&member.node).is_some_and(|since| since.elapsed() >= SILENCE_MAX)
            };
            if is_gone {
                gone.push((key.clone(), *id));
            }
        }
    }
    gone
}

/// Finds out how far consumers are behind in the shards led here, and says so before records are lost to one.
async fn look_behind(node: &Node, catalog: &Catalog) {
    let mut ages: BTreeMap<ConsumerKey, u64> = BTreeMap::new();
    for (key, consumer) in &catalog.consumers {
        let Some(table) = catalog.tables.get(&key.0) else { continue };
        for ((stream_ms, group), consumed) in &consumer.shards {
            let is_led = node.replica(*group).is_some_and(|replica| replica.serves());
            let next = match &consumed.place {
                Place::Done => continue,
                Place::At(next) | Place::Copying { next, .. } => *next,
            };
            if is_led {
                let arn = StreamArn { table: table.name.clone(), stream_ms: *stream_ms };
                let age_ms =
                    age_ms(node, &arn, ShardId { created_ms: *stream_ms, group: *group }, next).await;
                let oldest = ages.entry(key.clone()).or_default();
                *oldest = age_ms.unwrap_or(0).max(*oldest);
            }
        }
    }
    let mut behind = node.shared.behind.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    behind.retain(|key, _| ages.contains_key(key));
    for (key, oldest_ms) in ages {
        let Some(table) = catalog.tables.get(&key.0) else { continue };
        let known = behind.entry(key.clone()).or_default();
        known.oldest_ms = oldest_ms;
        let at_risk = is_at_risk(oldest_ms, table.retention_ms);
        if at_risk && !known.warned {
            tracing::warn!(consumer = %key.1, table = %table.name, oldest_ms, "a consumer is behind by half of what is kept: records will be lost to it");
        }
        known.warned = at_risk;
    }
}

/// Whether a consumer is to be warned of: its oldest record is older than half of what is kept.
pub fn is_at_risk(oldest_ms: u64, retention_ms: u64) -> bool {
    oldest_ms > retention_ms / 2
}

/// The age of the oldest record of a shard from a place on.
async fn age_ms(node: &Node, arn: &StreamArn, shard: ShardId, next: Option<Cursor>) -> Option<u64> {
    let read = match node.records(arn, shard, next, 1, 0).await {
        Err(Error::Trimmed) => node.records(arn, shard, None, 1, 0).await,
        read => read,
    };
    let oldest = read.ok()?.records.first()?.created_ms;
    Some(node.now_ms().saturating_sub(oldest))
}
