//! A program's part in a consumer: reads the shards that are its own, hands on what it reads as far as the program gave
//! credit for it, and takes down what it acknowledges.
//!
//! One task. The catalog says which shards are the member's, and in which epoch; a shard that is to go to another is let
//! go of as soon as everything sent of it is acknowledged, or after `PATIENCE`.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::{sync::mpsc, time::Instant};

use super::{
    Error, Node,
    consumers::{OpenConsumer, Seat, is_at_risk},
    held::{Held, Reading, Sending},
    position::TablePosition,
};
use crate::{
    catalog::{Command, ConsumedReport, Consumer, ConsumerCommand, ConsumerKey, Place, ShardKey},
    stream::{Record, ShardId, StreamArn},
};

/// How long a member has to acknowledge what it was sent of a shard that is to go to another.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait before something that did not work is tried again.
const RETRY: Duration = Duration::from_millis(50);
/// How often it is told how far a shard is of which nothing is wanted.
const SILENT: Duration = Duration::from_secs(1);

/// What a program says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Everything of a shard up to a batch is done with.
    Acknowledge(ShardId, u64),
    /// It may be sent so many more records.
    Credit(u32),
}

/// What a program is told.
#[derive(Clone, Debug)]
pub enum Delivered {
    /// It takes part.
    Opened {
        /// As this member.
        member: u64,
        /// Whether the consumer was created.
        created: bool,
    },
    /// A shard is the member's from now on.
    Assigned(StreamArn, ShardId),
    /// A shard is no longer the member's: what was sent of it and not acknowledged goes to another.
    Revoked(StreamArn, ShardId),
    /// Records.
    Batch(Box<ConsumedBatch>),
}

/// Records of a shard, or items of its partition.
#[derive(Clone, Debug)]
pub struct ConsumedBatch {
    /// The stream.
    pub stream: StreamArn,
    /// The shard.
    pub shard: ShardId,
    /// Its number: rises from batch to batch of one member.
    pub number: u64,
    /// Changes, in order.
    pub records: Vec<Record>,
    /// Whether they are items as they were copied, rather than changes.
    pub is_copy: bool,
    /// Whether this was the last of the copy.
    pub copy_ends: bool,
    /// Whether the shard is closed and this was the last of it.
    pub shard_ends: bool,
    /// Whether records before these were trimmed before they could be sent.
    pub has_gap: bool,
    /// Whether these are older than half of what is kept.
    pub at_risk: bool,
    /// Where the consumer is in all shards with this batch, if that was asked for.
    pub position: Option<String>,
}

type Releasing = BoxFuture<'static, (ShardKey, u64, Result<(), Error>)>;

struct Member {
    node: Node,
    key: ConsumerKey,
    id: u64,
    asked: OpenConsumer,
    credit: u64,
    /// The number of the last batch.
    last: u64,
    held: BTreeMap<ShardKey, Held>,
    /// The shard that was served last.
    served: Option<ShardKey>,
    news: VecDeque<Delivered>,
    reads: FuturesUnordered<BoxFuture<'static, (ShardKey, u64, Reading)>>,
    releases: FuturesUnordered<Releasing>,
}

/// How a member's part ends.
type End = Result<(), Error>;

/// Runs until the program goes, or the consumer ends.
pub(super) async fn run(
    node: Node,
    key: ConsumerKey,
    (seat, created): (Seat, bool),
    asked: OpenConsumer,
    said: mpsc::Receiver<Said>,
    told: mpsc::Sender<Result<Delivered, Error>>,
) {
    let id = seat.member;
    let mut member = Member {
        credit: u64::from(asked.credit),
        news: VecDeque::from([Delivered::Opened { member: id, created }]),
        node: node.clone(),
        key: key.clone(),
        id,
        asked,
        last: 0,
        held: BTreeMap::new(),
        served: None,
        reads: FuturesUnordered::new(),
        releases: FuturesUnordered::new(),
    };
    if let Err(error) = member.run(said, &told).await {
        // Whoever is gone is not told why.
        let _ = told.send_timeout(Err(error), RETRY).await;
    }
    drop(told);
    let places = member.held.iter().map(|(shard, held)| (*shard, held.epoch, held.acknowledged.clone()));
    let leave = ConsumerCommand::Leave { key, member: id, places: places.collect() };
    if let Err(error) = node.command(Command::Consumer(leave)).await {
        tracing::debug!(%error, member = id, "a member leaves later");
    }
}

impl Member {
    async fn run(
        &mut self,
        mut said: mpsc::Receiver<Said>,
        told: &mpsc::Sender<Result<Delivered, Error>>,
    ) -> End {
        let mut catalog = self.node.shared.catalog.clone();
        loop {
            let now = catalog.borrow_and_update().clone();
            let Some(consumer) = now.consumers.get(&self.key) else {
                return Err(Error::NotFound(format!("the consumer {} was deleted", self.key.1)));
            };
            let Some(table) = now.tables.get(&self.key.0) else { return Ok(()) };
            if !consumer.members.contains_key(&self.id) {
                return Err(Error::Unavailable(
                    "the member was given up: it is to take part again".to_owned(),
                ));
            }
            self.follow(consumer, table);
            if consumer.has_ended(table) && self.news.is_empty() {
                return Ok(());
            }
            self.read_on();
            let wake = self.let_go();
            let ready = self.ready();
            let has_news = ready.is_some() || !self.news.is_empty();
            tokio::select! {
                biased;
                heard = said.recv() => match heard {
                    Some(heard) => self.hear(heard)?,
                    None => return Ok(()),
                },
                Some((shard, epoch, read)) = self.reads.next() => self.take(shard, epoch, read)?,
                Some((shard, epoch, released)) = self.releases.next() => self.released(shard, epoch, &released),
                permit = told.reserve(), if has_news => match (permit, self.news.pop_front()) {
                    (Err(_), _) => return Ok(()),
                    (Ok(permit), Some(news)) => permit.send(Ok(news)),
                    (Ok(permit), None) => {
                        let batch = ready.and_then(|shard| self.send(shard, consumer, table.retention_ms));
                        if let Some(batch) = batch {
                            permit.send(Ok(batch));
                        }
                    }
                },
                () = told.closed() => return Ok(()),
                changed = catalog.changed() => if changed.is_err() {
                    return Err(Error::Unavailable("the node is stopping".to_owned()));
                },
                () = at(wake) => {}
            }
        }
    }

    /// Begins with shards that have become the member's, and stops with those that have not stayed so.
    fn follow(&mut self, consumer: &Consumer, table: &crate::catalog::Table) {
        let (id, news) = (self.id, &mut self.news);
        self.held.retain(|shard, held| {
            let consumed = consumer.shards.get(shard);
            let stays = consumed.is_some_and(|it| it.owner == Some(id) && it.epoch == held.epoch);
            if !stays && held.acknowledged != Place::Done {
                news.push_back(Delivered::Revoked(held.stream.clone(), held.id));
            }
            stays
        });
        for (shard, consumed) in consumer.shards.iter().filter(|(_, it)| it.owner == Some(id)) {
            if !self.held.contains_key(shard) {
                let catalog = self.node.catalog();
                let partition = catalog.partitions.get(&shard.1);
                let Some((partition, stream)) = partition.zip(table.stream(shard.0)) else { continue };
                let held = Held::new(table, stream, partition, consumed);
                self.news.push_back(Delivered::Assigned(held.stream.clone(), held.id));
                self.held.insert(*shard, held);
            }
            if let Some(held) = self.held.get_mut(shard) {
                held.is_to_go(consumed.heir != Some(id), Instant::now() + PATIENCE);
            }
        }
    }

    /// Reads what may be sent soon.
    fn read_on(&mut self) {
        if self.credit == 0 {
            return;
        }
        for (shard, held) in &mut self.held {
            if let Some(read) = held.read(&self.node, self.credit) {
                let (shard, epoch) = (*shard, held.epoch);
                self.reads.push(read.map(move |read| (shard, epoch, read)).boxed());
            }
        }
    }

    fn take(&mut self, shard: ShardKey, epoch: u64, read: Reading) -> End {
        let Some(held) = self.held.get_mut(&shard).filter(|held| held.epoch == epoch) else { return Ok(()) };
        held.take(read, &self.asked, self.node.now_ms())?;
        self.tell(shard, false);
        Ok(())
    }

    /// Lets go of shards that are to go to others; gives the time at which there may be more to do.
    fn let_go(&mut self) -> Option<Instant> {
        let mut wake: Option<Instant> = None;
        for (shard, held) in &mut self.held {
            let Some(until) = held.to_go_until() else { continue };
            if !held.is_acknowledged() && until > Instant::now() {
                wake = Some(wake.map_or(until, |wake| wake.min(until)));
                continue;
            }
            held.is_released = true;
            let (node, shard, epoch) = (self.node.clone(), *shard, held.epoch);
            let report = ConsumedReport {
                key: self.key.clone(),
                shard,
                member: self.id,
                epoch,
                place: held.acknowledged.clone(),
            };
            let release = async move {
                let released = node.command(Command::Consumer(ConsumerCommand::Release(report))).await;
                if released.is_err() {
                    tokio::time::sleep(RETRY).await;
                }
                (shard, epoch, released.map(drop))
            };
            self.releases.push(release.boxed());
        }
        wake
    }

    /// The next look at the catalog tells whose the shard is: another's; or still the member's, because it was not let go
    /// of, or because it is to be the member's again.
    fn released(&mut self, shard: ShardKey, epoch: u64, released: &Result<(), Error>) {
        if let Err(error) = released {
            tracing::debug!(%error, member = self.id, "a shard is let go of later");
        }
        if let Some(held) = self.held.get_mut(&shard).filter(|held| held.epoch == epoch) {
            held.is_released = false;
        }
    }

    /// The next shard of which something may be sent, all in turn.
    fn ready(&self) -> Option<ShardKey> {
        let behind = |shard: &ShardKey| self.served.is_some_and(|served| *shard > served);
        let ready = |held: &Held| held.is_ready(self.credit);
        let found = self.held.iter().find(|(shard, held)| behind(shard) && ready(held));
        let found = found.or_else(|| self.held.iter().find(|(_, held)| ready(held)));
        found.map(|(shard, _)| *shard)
    }

    fn send(&mut self, shard: ShardKey, consumer: &Consumer, retention_ms: u64) -> Option<Delivered> {
        self.served = Some(shard);
        self.last += 1;
        let now_ms = self.node.now_ms();
        let held = self.held.get_mut(&shard)?;
        let Sending { records, is_copy, copy_ends, has_gap } = held.send(self.last, self.credit)?;
        self.credit -= (records.len() as u64).min(self.credit);
        let oldest_ms = records.first().map_or(0, |record| now_ms.saturating_sub(record.created_ms));
        let batch = ConsumedBatch {
            stream: held.stream.clone(),
            shard: held.id,
            number: self.last,
            is_copy,
            copy_ends,
            shard_ends: held.sent == Place::Done,
            has_gap,
            at_risk: !is_copy && is_at_risk(oldest_ms, retention_ms),
            position: None,
            records,
        };
        if !is_copy {
            self.node.shared.metrics.records(&batch.records);
        }
        self.node.shared.metrics.consumed(batch.records.len());
        self.tell(shard, false);
        let position = self.asked.positions.then(|| self.position(consumer));
        Some(Delivered::Batch(Box::new(ConsumedBatch { position, ..batch })))
    }

    /// Where the consumer is, with everything that this member was sent.
    fn position(&self, consumer: &Consumer) -> String {
        let known = consumer.shards.iter().map(|(shard, consumed)| (*shard, consumed.place.clone()));
        let mut places: BTreeMap<ShardKey, Place> = known.collect();
        places.extend(self.held.iter().map(|(shard, held)| (*shard, held.sent.clone())));
        TablePosition { table: self.key.0, places }.seal(&self.node.catalog().secret)
    }

    fn hear(&mut self, said: Said) -> End {
        match said {
            Said::Credit(more) => self.credit = self.credit.saturating_add(u64::from(more)),
            Said::Acknowledge(_, number) if number > self.last => {
                return Err(Error::Invalid(format!("batch {number} was acknowledged, but was not sent")));
            }
            Said::Acknowledge(shard, number) => {
                let shard = (shard.created_ms, shard.group);
                // Of a shard that went to another, this comes too late: it is delivered again.
                if let Some(held) = self.held.get_mut(&shard) {
                    held.acknowledge(number);
                    self.tell(shard, true);
                }
            }
        }
        Ok(())
    }

    /// Has it kept how far a shard is acknowledged, if that has changed.
    fn tell(&mut self, shard: ShardKey, at_once: bool) {
        let Some(held) = self.held.get_mut(&shard) else { return };
        let at_once = at_once || held.acknowledged == Place::Done;
        if let Some(place) = held.tell(at_once, SILENT) {
            let report =
                ConsumedReport { key: self.key.clone(), shard, member: self.id, epoch: held.epoch, place };
            self.node.shared.progress.tell_consumed(report);
        }
    }
}

async fn at(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake).await,
        None => std::future::pending().await,
    }
}
