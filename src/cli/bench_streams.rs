//! Reading streams under measurement: how fast a whole one can be read, and how soon a change arrives.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::bench::{Arguments, run_plan};
use super::bench_clients::{Failure, Plan, Tally, latencies, record};
use super::bench_dynamodb::{Connection, Dialer};
use super::bench_report::{Measured, Moment, Report};
use super::bench_requests::{VALUE_NAME, read_stamp};
use super::output::{print_json, print_line, progress};
use super::{Error, Output};
use crate::client::{
    self, Client, Consumed, ConsumerStart, OpenConsumer, Start, Stream, Subscription, Table,
};
use crate::model::AttributeValue;
use crate::rpc::wire::v1;

/// A shard is read to its end after so many empty pages.
const EMPTY_PAGES: u32 = 3;

/// Silence after which a subscription counts as read to its end.
const IDLE: Duration = Duration::from_secs(3);

/// Records a member is sent without an acknowledgement.
const CREDIT: u32 = 5000;

/// How often a member looks whether others have read the rest.
const LOOK: Duration = Duration::from_millis(50);

/// How long subscribers wait for the records of the last writes.
const LINGER: Duration = Duration::from_secs(1);

/// Records and their bytes by DynamoDB's rules.
#[derive(Clone, Copy, Debug, Default)]
struct Volume {
    records: u64,
    bytes: u64,
}

impl Volume {
    fn add(&mut self, records: &[v1::Record]) {
        self.records += records.len() as u64;
        self.bytes += records.iter().map(|record| record.size_bytes).sum::<u64>();
    }
}

/// A way to read.
#[derive(Clone, Copy)]
enum Way {
    /// Over gRPC.
    Subscribe,
    /// Over gRPC.
    GetRecords,
    /// Over gRPC: a consumer with two members, who acknowledge.
    Consume,
    /// GetRecords by the DynamoDB protocol.
    DynamoDb,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::Subscribe => "subscribe",
            Self::Consume => "consume",
            Self::GetRecords | Self::DynamoDb => "getRecords",
        }
    }
}

/// Reads a stream from its start, again and again for the duration: over gRPC first by Subscribe, then by GetRecords.
pub(super) async fn tail(
    output: Output,
    (client, dialer): (&Client, Option<Dialer>),
    table: &Table,
    name: &str,
    arguments: &Arguments,
) -> Result<(), Error> {
    let arn = stream_arn(table)?;
    let stream = client.describe_stream(arn).await?;
    let mut connections: Vec<Connection> =
        dialer.iter().flat_map(|dialer| (0..stream.shards.len()).map(|at| dialer.connection(at))).collect();
    let ways = if dialer.is_some() {
        &[Way::DynamoDb][..]
    } else {
        &[Way::Subscribe, Way::GetRecords, Way::Consume]
    };
    let bar = progress(output, 0, "{spinner} {msg} {pos} records");
    let mut documents = Vec::new();
    let mut count = 0;
    for way in ways {
        bar.set_message(way.name());
        let begun = Instant::now();
        let before = Moment::now(&arguments.server_pids);
        let mut volume = Volume::default();
        let mut passes = 0u64;
        while passes == 0 || begun.elapsed() < arguments.duration {
            let one = match way {
                Way::Subscribe => read_by_subscribe(client, &stream).await?,
                Way::Consume => read_by_consumer(client, table, count).await?,
                Way::GetRecords => read_by_get_records(client, &stream).await?,
                Way::DynamoDb => read_by_dynamodb(&mut connections, &stream).await?,
            };
            volume.records += one.records;
            volume.bytes += one.bytes;
            count = one.records;
            passes += 1;
            bar.set_position(volume.records);
        }
        let tally = Tally { calls: passes, items: volume.records, bytes: volume.bytes, ..Tally::new() };
        let (seconds, after) = (begun.elapsed().as_secs_f64(), Moment::now(&arguments.server_pids));
        documents.push((way.name(), Measured { tally, seconds, before, after, delivery: None }));
    }
    bar.finish_and_clear();
    let report = Report::new(name, table, arguments);
    if output == Output::Json {
        let documents = documents.iter().map(|(way, measured)| {
            let mut document = report.to_json(measured);
            document["way"] = json!(way);
            document
        });
        return Ok(print_json(&documents.collect())?);
    }
    for (way, measured) in &documents {
        print_line(&format!(
            "{way} (calls are passes over {} shards, items are records)",
            stream.shards.len()
        ))?;
        report.print(output, measured)?;
    }
    Ok(())
}

fn stream_arn(table: &Table) -> Result<&str, Error> {
    let none = || Error::Invalid(format!("table {} has no stream", table.name));
    table.latest_stream_arn.as_deref().ok_or_else(none)
}

async fn read_by_subscribe(client: &Client, stream: &Stream) -> Result<Volume, Error> {
    let mut subscription = client.subscribe(&stream.arn, Start::TrimHorizon, BTreeMap::new()).await?;
    let mut volume = Volume::default();
    while !subscription.caught_up() {
        match tokio::time::timeout(IDLE, subscription.next_undecoded()).await {
            Ok(Ok(Some(response))) => volume.add(&response.records),
            Ok(Ok(None)) => break,
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => {
                let message = format!("the subscription fell silent after {} records", volume.records);
                return Err(Error::Negative(message));
            }
        }
    }
    Ok(volume)
}

/// Reads so many records by a consumer of its own with two members.
async fn read_by_consumer(client: &Client, table: &Table, count: u64) -> Result<Volume, Error> {
    let open = OpenConsumer {
        table_name: table.name.to_string(),
        name: "bench".to_owned(),
        start: ConsumerStart::TrimHorizon.into(),
        credit: CREDIT,
        ..OpenConsumer::default()
    };
    let read = AtomicU64::new(0);
    let member = async || {
        let mut consumption = client.consume(open.clone()).await?;
        let mut bytes = 0;
        while read.load(Ordering::Relaxed) < count {
            // Another member may have read the last ones.
            let Ok(next) = tokio::time::timeout(LOOK, consumption.next()).await else { continue };
            if let Some(Consumed::Batch(batch)) = next? {
                read.fetch_add(batch.records.len() as u64, Ordering::Relaxed);
                bytes += batch.records.iter().map(|record| record.size_bytes).sum::<u64>();
                consumption.acknowledge(&batch).await;
            }
        }
        Ok::<u64, Error>(bytes)
    };
    let (one, other) = futures::future::try_join(member(), member()).await?;
    client.delete_consumer(&table.name, "bench").await?;
    Ok(Volume { records: read.into_inner(), bytes: one + other })
}

async fn read_by_get_records(client: &Client, stream: &Stream) -> Result<Volume, Error> {
    let shards = stream.shards.iter().map(|shard| read_shard(client, &stream.arn, &shard.id));
    Ok(sum(&futures::future::try_join_all(shards).await?))
}

fn sum(volumes: &[Volume]) -> Volume {
    let add = |sum: Volume, each: &Volume| Volume {
        records: sum.records + each.records,
        bytes: sum.bytes + each.bytes,
    };
    volumes.iter().fold(Volume::default(), add)
}

async fn read_shard(client: &Client, arn: &str, shard_id: &str) -> Result<Volume, Error> {
    let mut iterator = client.shard_iterator(arn, shard_id, &Start::TrimHorizon).await?;
    let mut volume = Volume::default();
    let mut empty = 0;
    while empty < EMPTY_PAGES {
        let page = client.get_records_undecoded(&iterator, 0).await?;
        volume.add(&page.records);
        empty = if page.records.is_empty() { empty + 1 } else { 0 };
        match page.next_shard_iterator {
            Some(next) => iterator = next,
            None => break,
        }
    }
    Ok(volume)
}

async fn read_by_dynamodb(connections: &mut [Connection], stream: &Stream) -> Result<Volume, Error> {
    let shards = stream.shards.iter().zip(connections);
    let shards = shards.map(|(shard, connection)| read_shard_by_dynamodb(connection, &stream.arn, &shard.id));
    match futures::future::try_join_all(shards).await {
        Ok(volumes) => Ok(sum(&volumes)),
        Err(failure) => Err(Error::Negative(format!("the stream could not be read: {}", failure.name()))),
    }
}

async fn read_shard_by_dynamodb(
    connection: &mut Connection,
    arn: &str,
    shard_id: &str,
) -> Result<Volume, Failure> {
    let mut iterator = connection.shard_iterator(arn, shard_id).await?;
    let mut volume = Volume::default();
    let mut empty = 0;
    while empty < EMPTY_PAGES {
        let page = connection.records(&iterator).await?;
        volume.records += page.records;
        volume.bytes += page.bytes;
        empty = if page.records == 0 { empty + 1 } else { 0 };
        match page.next {
            Some(next) => iterator = next,
            None => break,
        }
    }
    Ok(volume)
}

/// Runs writers whose values begin with the time, and subscribers that compare it with theirs.
pub(super) async fn latency(
    output: Output,
    mut plan: Plan,
    table: &Table,
    arguments: &Arguments,
) -> Result<Measured, Error> {
    let arn = stream_arn(table)?;
    let mut subscriptions = Vec::new();
    for _ in 0..arguments.subscribers {
        subscriptions.push(plan.client.subscribe(arn, Start::Latest, BTreeMap::new()).await?);
    }
    // Opening them took its time.
    plan.start = Instant::now();
    plan.measure_from = plan.start + arguments.warm_up;
    plan.until = plan.measure_from + arguments.duration;
    let mut subscribers = JoinSet::new();
    for subscription in subscriptions {
        subscribers.spawn(receive(subscription, plan.start, plan.measure_from, plan.until));
    }
    let mut measured = run_plan(output, plan, arguments).await?;
    let mut delivery = latencies();
    while let Some(received) = subscribers.join_next().await {
        let received = received.expect("a subscriber does not panic and is not cancelled")?;
        delivery.add(&received).expect("all have the same bounds");
    }
    measured.delivery = Some(delivery);
    Ok(measured)
}

/// Takes the time from write to arrival of each record written while measuring.
async fn receive(
    mut subscription: Subscription,
    start: Instant,
    from: Instant,
    until: Instant,
) -> Result<Histogram<u32>, client::Error> {
    let mut delivery = latencies();
    let mut missing = 0u64;
    loop {
        let next = tokio::time::timeout_at(until + LINGER, subscription.next_undecoded()).await;
        let response = match next {
            Ok(Ok(Some(response))) => response,
            Ok(Ok(None)) | Err(_) => break,
            Ok(Err(error)) => return Err(error),
        };
        let now = Instant::now();
        for each in &response.records {
            let Some(written) = written(each).map(|nanoseconds| start + Duration::from_nanos(nanoseconds))
            else {
                missing += 1;
                continue;
            };
            if from <= written && written < until {
                record(&mut delivery, now.saturating_duration_since(written));
            }
        }
    }
    if missing > 0 {
        eprintln!("{missing} records had no time in them: does the stream carry new images?");
    }
    Ok(delivery)
}

/// Nanoseconds from the start of the run to the write of a record, as its value says.
fn written(record: &v1::Record) -> Option<u64> {
    let item = record.new_image.as_ref()?.decode().ok()?;
    let AttributeValue::S(text) = item.get(VALUE_NAME)? else { return None };
    read_stamp(text)
}
