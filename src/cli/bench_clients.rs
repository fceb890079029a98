//! How a bench sends: one task a client, in a closed or an open loop, each with its own tally. Clients share the gRPC
//! connections, as those of one program do; each has an HTTP connection of its own, as HTTP/1.1 demands.
//!
//! A closed loop begins a call when the one before has ended, and so asks less of a slow cluster; its rate is the
//! result. An open loop begins calls when they are due and counts latency from there, as users would feel it; each
//! client has every n-th call, so calls wait for their client when all are busy, and that counts too. A client that
//! slept until its call was due may be woken up to `WAKE_SLACK` late (timers count milliseconds): that is this
//! program's own delay and does not count.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hdrhistogram::Histogram;
use prost::Message;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::bench_dynamodb::{self, Connection, Dialer};
use super::bench_requests::{Keys, Operation, Random, Template};
use super::output::progress;
use super::{Error, Output};
use crate::client::{self, Client, Kind, Table};
use crate::model::TableName;
use crate::model::limits::BATCH_WRITE_ITEMS_MAX;
use crate::rpc::wire::v1;

const WAKE_SLACK: Duration = Duration::from_millis(2);

/// After a call that came to nothing, so that a dead cluster is not hammered.
const ERROR_PAUSE: Duration = Duration::from_millis(10);

/// Batches on their way while a table is filled.
const FILLERS: u32 = 32;

/// Longest latency told apart, in microseconds.
const LATENCY_US_MAX: u64 = 300_000_000;

/// What each call does.
pub(super) enum Work {
    /// The same call.
    One(Template),
    /// Writes an item whose value begins with the time; over gRPC.
    StampedPut(Template),
    /// Either, so many of a hundred reading.
    Mixed { put: Template, get: Template, reads: u32 },
    /// Writes several items; over gRPC.
    Batch { part: Template, size: u32 },
}

/// What is to be done.
pub(super) struct Plan {
    pub client: Client,
    /// Where the clients find the DynamoDB endpoint; `None`: they speak gRPC.
    pub dialer: Option<Dialer>,
    pub table: TableName,
    pub keys: Keys,
    pub work: Work,
    pub clients: u32,
    /// Calls a second; `None`: a closed loop.
    pub rate: Option<f64>,
    pub start: Instant,
    /// What ends before is not counted.
    pub measure_from: Instant,
    /// What ends later is not counted either.
    pub until: Instant,
}

/// Calls that have ended so far, for the progress display.
#[derive(Clone, Default)]
pub(super) struct Live(Arc<AtomicU64>);

impl Live {
    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What came of calls.
pub(super) struct Tally {
    /// In microseconds.
    pub latency: Histogram<u32>,
    /// Of calls that were answered.
    pub calls: u64,
    /// Read or written by them.
    pub items: u64,
    /// Bytes of their values.
    pub bytes: u64,
    /// Calls that were not answered, by kind; and items missing.
    pub errors: BTreeMap<String, u64>,
    /// In an open loop: calls that were due and never begun.
    pub unsent: u64,
}

/// A histogram of latencies in microseconds.
pub(super) fn latencies() -> Histogram<u32> {
    Histogram::new_with_bounds(1, LATENCY_US_MAX, 3).expect("the bounds are good")
}

/// Adds a latency.
pub(super) fn record(latency: &mut Histogram<u32>, taken: Duration) {
    latency.saturating_record((taken.as_micros() as u64).max(1));
}

impl Tally {
    pub(super) fn new() -> Self {
        Self { latency: latencies(), calls: 0, items: 0, bytes: 0, errors: BTreeMap::new(), unsent: 0 }
    }

    fn add(&mut self, other: &Self) {
        self.latency.add(&other.latency).expect("all have the same bounds");
        self.calls += other.calls;
        self.items += other.items;
        self.bytes += other.bytes;
        self.unsent += other.unsent;
        for (name, count) in &other.errors {
            *self.errors.entry(name.clone()).or_default() += count;
        }
    }

    fn error(&mut self, name: &str) {
        *self.errors.entry(name.to_owned()).or_default() += 1;
    }
}

/// Why a call was not answered.
#[derive(Debug)]
pub(super) struct Failure {
    pub kind: Kind,
    /// DynamoDB's name of the error; empty if no node has answered.
    pub reason: String,
}

impl Failure {
    /// What it is counted as.
    pub(super) fn name(&self) -> String {
        match (self.kind, self.reason.as_str()) {
            (kind, "") => kind.name().to_owned(),
            (kind @ (Kind::Invalid | Kind::Rejected | Kind::Fatal), reason) => {
                format!("{} {reason}", kind.name())
            }
            (kind @ (Kind::Unavailable | Kind::Unknown), _) => kind.name().to_owned(),
        }
    }
}

impl From<client::Error> for Failure {
    fn from(error: client::Error) -> Self {
        Self { kind: error.kind(), reason: error.reason().to_owned() }
    }
}

/// What one call did.
struct Done {
    items: u64,
    bytes: u64,
    /// Items that were not there, or were not taken.
    missing: bool,
}

impl Done {
    /// Of a call that has read so many items, if it reads.
    fn new(template: &Template, items: u64, answer_len: usize) -> Self {
        match template.operation.items_read() {
            None => Self { items: 1, bytes: template.value_len() as u64, missing: false },
            Some(asked) => Self { items, bytes: answer_len as u64, missing: items < asked.into() },
        }
    }
}

impl Plan {
    pub(super) fn live(&self) -> Live {
        Live::default()
    }

    /// Makes one call.
    async fn once(&self, connection: &mut Option<Connection>, random: &mut Random) -> Result<Done, Failure> {
        match &self.work {
            Work::One(template) => self.call(template, connection, random).await,
            Work::Mixed { get, reads, .. } if random.below(100) < *reads => {
                self.call(get, connection, random).await
            }
            Work::Mixed { put, .. } => self.call(put, connection, random).await,
            Work::StampedPut(put) => {
                let number = self.keys.some(random, put.operation);
                let value = self.keys.value(random, put.value_len());
                let stamp = self.start.elapsed().as_nanos() as u64;
                let body = put.fill_stamped(&self.keys.key(number), value, stamp);
                let (method, hash) = (put.operation.method(), self.keys.hash(number));
                self.client.send_prepared(method, &self.table, hash, body).await?;
                Ok(Done::new(put, 1, 0))
            }
            Work::Batch { part, size } => {
                let number = self.keys.some(random, part.operation);
                let numbers = (0..*size).map(|step| (number + step) % self.keys.count());
                Ok(write_batch(&self.client, &self.table, &self.keys, part, numbers, random).await?)
            }
        }
    }

    async fn call(
        &self,
        template: &Template,
        connection: &mut Option<Connection>,
        random: &mut Random,
    ) -> Result<Done, Failure> {
        let operation = template.operation;
        let number = self.keys.some(random, operation);
        let key = self.keys.key(number);
        let value = self.keys.value(random, template.value_len());
        let Some(connection) = connection else {
            let body = template.fill(&key, value);
            let (method, hash) = (operation.method(), self.keys.hash(number));
            let answer = self.client.send_prepared(method, &self.table, hash, body).await?;
            let answer_len = answer.len();
            return Ok(Done::new(template, items_of(operation, answer), answer_len));
        };
        let render = |out: &mut BytesMut| {
            template.append(&key, value, out);
        };
        let answer = connection.call(bench_dynamodb::Call::of(operation), template.len(), render).await?;
        Ok(Done::new(template, bench_dynamodb::items_of(operation, answer), answer.len()))
    }

    /// When call number `slot` of one client is due.
    fn due(&self, rate: f64, client: u32, slot: u64) -> Instant {
        let call = slot as f64 * f64::from(self.clients) + f64::from(client);
        self.start + Duration::from_secs_f64(call / rate)
    }
}

/// How many items an answer has.
fn items_of(operation: Operation, answer: Bytes) -> u64 {
    match operation {
        Operation::Put | Operation::Update | Operation::BatchWrite => 0,
        Operation::Get => u64::from(!answer.is_empty()),
        Operation::Query => v1::QueryResponse::decode(answer).map_or(0, |answer| answer.items.len() as u64),
    }
}

/// Runs all clients of a plan until its end.
pub(super) async fn run(plan: Plan, live: Live) -> Tally {
    let plan = Arc::new(plan);
    let mut clients = JoinSet::new();
    let seed = entropy();
    for number in 0..plan.clients {
        clients.spawn(drive(plan.clone(), number, seed.wrapping_add(u64::from(number) << 32), live.clone()));
    }
    let mut sum = Tally::new();
    while let Some(tally) = clients.join_next().await {
        sum.add(&tally.expect("a client does not panic and is not cancelled"));
    }
    sum
}

/// One client.
async fn drive(plan: Arc<Plan>, number: u32, seed: u64, live: Live) -> Tally {
    let mut random = Random::new(seed);
    let mut tally = Tally::new();
    let mut connection = plan.dialer.as_ref().map(|dialer| dialer.connection(number as usize));
    let mut slot = 0;
    loop {
        let begun = match plan.rate {
            None => Instant::now(),
            Some(rate) => {
                let due = plan.due(rate, number, slot);
                slot += 1;
                if due >= plan.until {
                    break;
                }
                begin(due).await
            }
        };
        if Instant::now() >= plan.until {
            if let Some(rate) = plan.rate {
                let left = (plan.until - begun).as_secs_f64() * rate / f64::from(plan.clients);
                tally.unsent = left.ceil() as u64;
            }
            break;
        }
        let outcome = plan.once(&mut connection, &mut random).await;
        let ended = Instant::now();
        live.0.fetch_add(1, Ordering::Relaxed);
        let counts = plan.measure_from <= ended && ended < plan.until;
        match outcome {
            Ok(done) if counts => {
                record(&mut tally.latency, ended - begun);
                tally.calls += 1;
                tally.items += done.items;
                tally.bytes += done.bytes;
                if done.missing {
                    tally.error("missing");
                }
            }
            Ok(_) => {}
            Err(failure) => {
                if counts {
                    tally.error(&failure.name());
                }
                tokio::time::sleep(ERROR_PAUSE).await;
            }
        }
    }
    tally
}

/// Waits until a call is due, and tells from when its latency counts.
async fn begin(due: Instant) -> Instant {
    if Instant::now() >= due {
        return due;
    }
    tokio::time::sleep_until(due).await;
    let woken = Instant::now();
    if woken - due <= WAKE_SLACK { woken } else { due }
}

async fn write_batch(
    client: &Client,
    table: &TableName,
    keys: &Keys,
    part: &Template,
    numbers: impl Iterator<Item = u32>,
    random: &mut Random,
) -> Result<Done, client::Error> {
    let mut body = BytesMut::with_capacity(part.len() * numbers.size_hint().0);
    let mut items = 0;
    let mut first = None;
    for number in numbers {
        first.get_or_insert(number);
        part.append(&keys.key(number), keys.value(random, part.value_len()), &mut body);
        items += 1;
    }
    let hash = first.map_or(0, |number| keys.hash(number));
    let answer = client.send_prepared(part.operation.method(), table, hash, body.freeze()).await?;
    let unprocessed = match answer.is_empty() {
        true => 0,
        false => {
            v1::BatchWriteItemResponse::decode(answer).map_or(0, |answer| answer.unprocessed.len() as u64)
        }
    };
    let items = items - unprocessed;
    Ok(Done { items, bytes: items * part.value_len() as u64, missing: unprocessed > 0 })
}

/// Writes all keys once.
pub(super) async fn fill(
    output: Output,
    client: &Client,
    table: &Table,
    keys: &Keys,
    part: Template,
) -> Result<(), Error> {
    let bar = progress(output, keys.count().into(), "filling {bar:30} {pos}/{len} {per_sec} {eta}");
    let next = AtomicU64::new(0);
    let filler = async |seed: u32| {
        let mut random = Random::new(seed.into());
        loop {
            let step = BATCH_WRITE_ITEMS_MAX as u64;
            let first = next.fetch_add(step, Ordering::Relaxed);
            if first >= keys.count().into() {
                return Ok::<(), Error>(());
            }
            let numbers = first as u32..(first + step).min(keys.count().into()) as u32;
            let mut attempts = 0;
            loop {
                let done = write_batch(client, &table.name, keys, &part, numbers.clone(), &mut random).await;
                match done {
                    Ok(done) if !done.missing => break,
                    Ok(_) | Err(client::Error::Unknown(_) | client::Error::Unavailable(_))
                        if attempts < 100 =>
                    {
                        attempts += 1;
                        tokio::time::sleep(ERROR_PAUSE).await;
                    }
                    Ok(_) => return Err(Error::Negative("the table could not be filled".into())),
                    Err(error) => return Err(error.into()),
                }
            }
            bar.inc(u64::from(numbers.end - numbers.start));
        }
    };
    futures::future::try_join_all((0..FILLERS).map(filler)).await?;
    bar.finish_and_clear();
    Ok(())
}

/// A number from the operating system.
pub(super) fn entropy() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
}
