//! The delivery of one shard to the function of one trigger, on the node that leads the shard's partition.
//!
//! It claims the shard, which voids what another node may still tell of it, and then is `select → apply` over reading, calls
//! under way and time. What is to be done with records is decided by lanes (`delivery::Lane`); here they are read, filtered,
//! written as JSON once, and sent.
//!
//! It ends when the trigger is changed or disabled (calls of its function under way are waited for), when it is deleted, the
//! partition is no longer led here or the shard was claimed anew (calls under way are dropped), and when everything is delivered of a shard that is
//! closed. Whoever wants it again starts it again (`triggers`).

use std::sync::Arc;

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::time::{Duration, Instant, sleep_until};

use super::{
    Error, Node,
    function::Caller,
    operation::{Changes, LoggedChange, RecordsRequest},
    replica::Replica,
    streams::{PAGE_BYTES, project},
};
use crate::{
    catalog::{Catalog, Claim, Command, Outcome, ShardKey, ShardProgress, TriggerCommand, Trouble},
    delivery::{
        Batch, Condition, Failure, Filter, GivenUp, Lane, LaneProgress, Parcel, Rules, Step, Subject,
        Verdict, event_of,
    },
    model::{id::TriggerId, limits::RECORDS_PER_PAGE_MAX},
    stream::{Cursor, Projection, ShardId, StreamArn},
};

/// Bytes of events that wait in all lanes before reading pauses. Ours.
const WAITING_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How long a read waits for the first record; also how long it takes at most to notice what else has changed.
const WAIT_MS: u64 = 1000;
const RETRY: Duration = Duration::from_millis(100);
/// The longest pause before records are told of again that their destination did not take.
const DESTINATION_PAUSE_MAX: Duration = Duration::from_secs(30);

/// What became of something a lane asked for.
enum Landed {
    Answered(Verdict),
    Discarded,
}

/// What the catalog says of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It goes on.
    Valid,
    /// It is to be begun anew, with what has changed.
    Changed,
    /// Somebody else has the shard, or nobody may.
    Void,
}

type Reading = BoxFuture<'static, (u64, Result<Changes, Error>)>;

/// See the top of this file.
pub(super) struct Delivery {
    node: Node,
    replica: Arc<Replica>,
    shard: ShardKey,
    caller: Arc<Caller>,
    filter: Filter,
    projection: Projection,
    revision: u64,
    lanes: Vec<Lane>,
    /// Where reading goes on; `None`: at the trim horizon.
    cursor: Option<Cursor>,
    has_ended: bool,
    reading: Option<Reading>,
    /// Calls of the function, and of where records go that are given up.
    calls: FuturesUnordered<BoxFuture<'static, (usize, Landed)>>,
    /// How many of them are of the function.
    answering: usize,
    /// What was told last.
    told: ShardProgress,
    delivered_ms: Option<u64>,
    trouble: Option<Trouble>,
}

/// Delivers a shard until there is a reason not to. `_here` tells by being dropped that it has ended.
pub(super) async fn run(node: Node, replica: Arc<Replica>, id: TriggerId, shard: ShardKey, _here: Arc<()>) {
    match Delivery::claim(&node, replica, id, shard).await {
        Ok(delivery) => delivery.run().await,
        Err(error) => {
            tracing::debug!(%error, trigger = %id, group = shard.1.0, "a shard is not claimed yet");
            tokio::time::sleep(RETRY).await;
        }
    }
}

impl Delivery {
    async fn claim(
        node: &Node,
        replica: Arc<Replica>,
        id: TriggerId,
        shard: ShardKey,
    ) -> Result<Self, Error> {
        let command = Command::Trigger(TriggerCommand::Claim { id, shard, node: node.id() });
        let Outcome::Claimed(claim) = node.command(command).await? else { return Err(Error::Internal) };
        let Claim { settings, target, revision, progress } = *claim;
        let catalog = node.catalog();
        let table = catalog.tables.get(&replica.table).ok_or_else(Error::no_table)?;
        let stream = table.stream(shard.0).ok_or(Error::Trimmed)?;
        let partition = catalog.partitions.get(&shard.1).ok_or_else(Error::no_leader)?;
        let filter = settings.check()?;
        let rules = Rules::new(&settings, table.retention_ms);
        let lanes = lanes(&rules, &progress.lanes, settings.parallel as usize);
        let arn = StreamArn { table: table.name.clone(), stream_ms: shard.0 };
        let id_of_shard = ShardId { created_ms: shard.0, group: shard.1 };
        let caller = Caller::new(id, target, settings, id_of_shard, arn);
        tracing::info!(trigger = %id, table = %table.name, group = shard.1.0, epoch = progress.epoch, "delivers a shard");
        Ok(Self {
            projection: Projection {
                group: shard.1,
                generation: partition.generation,
                view_type: stream.view_type,
                key_schema: table.key_schema.clone(),
            },
            node: node.clone(),
            replica,
            shard,
            caller: Arc::new(caller),
            filter,
            revision,
            cursor: progress.lanes.iter().map(|lane| lane.next).min().flatten(),
            lanes,
            has_ended: false,
            reading: None,
            calls: FuturesUnordered::new(),
            answering: 0,
            delivered_ms: progress.delivered_ms,
            trouble: progress.trouble.clone(),
            told: progress,
        })
    }

    async fn run(mut self) {
        let mut catalog = self.node.shared.catalog.clone();
        let mut standing = Standing::Valid;
        loop {
            match self.standing(&catalog.borrow_and_update()) {
                Standing::Void => return,
                Standing::Changed => standing = Standing::Changed,
                Standing::Valid => {}
            }
            if !self.replica.serves() {
                return;
            }
            let wake_ms = if standing == Standing::Valid { self.advance() } else { None };
            self.tell();
            if self.told.is_done || (standing == Standing::Changed && self.answering == 0) {
                return;
            }
            let wake = wake_ms.map(|at_ms| Instant::now() + self.until(at_ms));
            tokio::select! {
                biased;
                Some((lane, landed)) = self.calls.next() => self.land(lane, landed),
                told = catalog.changed() => if told.is_err() {
                    return;
                },
                (asked_ms, page) = reading(&mut self.reading) => {
                    self.reading = None;
                    self.take(asked_ms, page).await;
                }
                () = at(wake) => {}
            }
        }
    }

    fn until(&self, at_ms: u64) -> Duration {
        Duration::from_millis(at_ms.saturating_sub(self.node.now_ms()).max(1))
    }

    fn standing(&self, catalog: &Catalog) -> Standing {
        let Some(trigger) = catalog.triggers.get(&self.caller.id) else { return Standing::Void };
        match trigger.shards.get(&self.shard) {
            Some(progress) if progress.epoch > self.told.epoch => Standing::Void,
            _ if trigger.revision != self.revision || !trigger.enabled => Standing::Changed,
            _ => Standing::Valid,
        }
    }

    /// Lets every lane do what it can, and reads on if there is room; gives the time at which there may be more to do.
    fn advance(&mut self) -> Option<u64> {
        let waiting = self.lanes.iter().map(Lane::waiting);
        let (count, bytes) =
            waiting.fold((0, 0), |(count, bytes), (more, larger)| (count + more, bytes + larger));
        let count_max =
            2 * self.caller.settings.batch_size as usize * self.lanes.len() + RECORDS_PER_PAGE_MAX;
        let has_room = bytes < WAITING_BYTES_MAX && count < count_max;
        let now_ms = self.node.now_ms();
        let mut wake_ms: Option<u64> = None;
        for index in 0..self.lanes.len() {
            if !has_room {
                self.lanes[index].hurry();
            }
            match self.lanes[index].step(now_ms) {
                Step::Call(batch) => self.call(index, batch),
                Step::Discard(batch, condition, failure) => self.discard(index, batch, condition, failure),
                Step::Wait(Some(until_ms)) => {
                    wake_ms = Some(wake_ms.map_or(until_ms, |wake| wake.min(until_ms)))
                }
                Step::Wait(None) | Step::Done => {}
            }
        }
        if has_room && !self.has_ended && self.reading.is_none() {
            self.read();
        }
        wake_ms
    }

    fn read(&mut self) {
        let request = RecordsRequest {
            group: self.shard.1,
            stream_ms: self.shard.0,
            cursor: self.cursor,
            records_max: RECORDS_PER_PAGE_MAX,
            bytes_max: PAGE_BYTES,
            wait_ms: WAIT_MS,
            consistent: false,
        };
        let (node, replica) = (self.node.clone(), self.replica.clone());
        let read = async move {
            // What the log ends with now was written before now: a page without records says so of everything older.
            let asked_ms = node.now_ms();
            (asked_ms, node.records_here(&replica, request).await)
        };
        self.reading = Some(read.boxed());
    }

    /// Takes what was read.
    async fn take(&mut self, asked_ms: u64, page: Result<Changes, Error>) {
        let page = match page {
            Ok(page) => page,
            Err(Error::Trimmed) => {
                tracing::warn!(trigger = %self.caller.id, group = self.shard.1.0, "records were trimmed before they were delivered");
                let error = "records were older than the stream's retention before they could be delivered"
                    .to_owned();
                self.trouble = Some(Trouble { attempts: 0, is_over: true, error, at_ms: self.node.now_ms() });
                self.cursor = None;
                return;
            }
            Err(error) => {
                tracing::debug!(%error, trigger = %self.caller.id, group = self.shard.1.0, "a shard is read later");
                return tokio::time::sleep(RETRY).await;
            }
        };
        if page.changes.is_empty() {
            self.lanes.iter_mut().for_each(|lane| lane.drained(asked_ms));
        }
        let now_ms = self.node.now_ms();
        for change in page.changes {
            self.offer(change, now_ms);
        }
        match page.next {
            Some(next) => {
                self.cursor = Some(next);
                self.lanes.iter_mut().for_each(|lane| lane.read_to(next));
            }
            None => {
                self.has_ended = true;
                self.lanes.iter_mut().for_each(Lane::end);
            }
        }
    }

    /// Puts a change into its lane, if it passes the filter.
    fn offer(&mut self, change: LoggedChange, now_ms: u64) {
        let lane = lane_of(&change.key, self.lanes.len());
        let (view_type, stream_arn) = (self.projection.view_type, self.caller.stream_arn.as_str());
        let written = project(&self.projection, change).and_then(|record| {
            let subject = Subject { record: &record, view_type, stream_arn, identity: None };
            if !self.filter.matches(&subject)? {
                return Ok(None);
            }
            let event = event_of(&record, view_type, stream_arn)?;
            Ok(Some(Parcel { number: record.sequence_number, created_ms: record.created_ms, event }))
        });
        match written {
            Ok(Some(parcel)) => self.lanes[lane].offer(parcel, now_ms),
            Ok(None) => {}
            Err(error) => panic!("a logged change of group {} does not decode: {error}", self.shard.1),
        }
    }

    fn call(&mut self, lane: usize, batch: Batch) {
        let (node, caller) = (self.node.clone(), self.caller.clone());
        let call = async move {
            let started = Instant::now();
            let verdict = caller.call(&node, &batch).await;
            node.shared.metrics.trigger_call(started.elapsed(), batch.parcels.len(), &verdict);
            (lane, Landed::Answered(verdict))
        };
        self.answering += 1;
        self.calls.push(call.boxed());
    }

    /// Takes records that are given up where they are to go; again, until they are taken.
    fn discard(&mut self, lane: usize, batch: Batch, condition: Condition, failure: Option<Failure>) {
        let (node, caller) = (self.node.clone(), self.caller.clone());
        let request_id =
            TriggerId::random(u128::from(node.random()) << 64 | u128::from(node.random())).to_string();
        let discard = async move {
            let mut pause = Duration::ZERO;
            loop {
                let given_up = GivenUp {
                    batch: &batch,
                    condition,
                    failure: failure.as_ref(),
                    shard: caller.shard,
                    stream: &caller.stream,
                    target: &caller.target,
                    request_id: &request_id,
                    now_ms: node.now_ms(),
                };
                let taken =
                    if batch.parcels.is_empty() { Ok(()) } else { caller.give_up(&node, &given_up).await };
                match taken {
                    Ok(()) => break,
                    Err(error) => {
                        tracing::warn!(error, trigger = %caller.id, "records that were given up are not taken: tried again");
                    }
                }
                pause = (pause * 2).clamp(RETRY, DESTINATION_PAUSE_MAX);
                tokio::time::sleep(pause).await;
            }
            node.shared.metrics.trigger_discarded(batch.parcels.len());
            let (count, name) = (batch.parcels.len(), condition.name());
            tracing::info!(trigger = %caller.id, records = count, condition = name, "records are given up");
            (lane, Landed::Discarded)
        };
        self.calls.push(discard.boxed());
    }

    fn land(&mut self, index: usize, landed: Landed) {
        let now_ms = self.node.now_ms();
        let lane = &mut self.lanes[index];
        match landed {
            Landed::Answered(verdict) => {
                self.answering -= 1;
                let delivered = matches!(verdict, Verdict::Delivered { .. });
                lane.answered(verdict, now_ms);
                if delivered {
                    self.delivered_ms = Some(now_ms);
                    self.clear_trouble();
                } else if let Some((attempts, failure)) = lane.trouble() {
                    let error = failure.error.clone();
                    self.trouble = Some(Trouble { attempts, is_over: false, error, at_ms: now_ms });
                }
            }
            Landed::Discarded => {
                lane.discarded(now_ms);
                self.clear_trouble();
            }
        }
    }

    /// What was wrong stays to be seen, but is over.
    fn clear_trouble(&mut self) {
        if let Some(trouble) = &mut self.trouble {
            (trouble.attempts, trouble.is_over) = (0, true);
        }
    }

    /// Tells how far it has come, if that has changed.
    fn tell(&mut self) {
        let progress = ShardProgress {
            epoch: self.told.epoch,
            node: self.told.node,
            lanes: self.lanes.iter().map(Lane::progress).collect(),
            is_done: self.lanes.iter().all(Lane::is_done),
            oldest_ms: self.lanes.iter().filter_map(Lane::oldest_ms).min(),
            delivered_ms: self.delivered_ms,
            trouble: self.trouble.clone(),
        };
        if progress != self.told {
            self.told = progress.clone();
            self.node.shared.progress.tell(self.caller.id, self.shard, progress);
        }
    }
}

/// As many lanes as there are to be, going on where others stopped.
fn lanes(rules: &Rules, kept: &[LaneProgress], count: usize) -> Vec<Lane> {
    let lane = |index: usize| {
        let kept = if kept.len() == count { kept.get(index) } else { kept.first() };
        Lane::new(*rules, kept.cloned().unwrap_or_default())
    };
    (0..count).map(lane).collect()
}

/// The lane of a stored key: that of its partition key's hash.
fn lane_of(stored_key: &[u8], lanes: usize) -> usize {
    let hash = stored_key.get(8..16).and_then(|hash| hash.try_into().ok()).map_or(0, u64::from_be_bytes);
    (hash % lanes as u64) as usize
}

async fn reading(reading: &mut Option<Reading>) -> (u64, Result<Changes, Error>) {
    match reading {
        Some(reading) => reading.await,
        None => std::future::pending().await,
    }
}

async fn at(wake: Option<Instant>) {
    match wake {
        Some(wake) => sleep_until(wake).await,
        None => std::future::pending().await,
    }
}
