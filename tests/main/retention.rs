//! Retention: nothing younger goes, everything older does, on all replicas alike; and a replica that was away for longer
//! has the whole stream again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::task::JoinSet;
use tokio::time::Instant;
use watertable::client::{Client, NewTable, Record, SequenceNumber, Start, StreamViewType, Table};

use super::cluster::{Cluster, PATIENCE, until};
use super::dynamodb::counted;
use super::history::all_of;
use super::sample;
use super::workload::Workload;

/// How much older than retention a record may be when it goes: trimming looks once a second, a new leader has to be
/// elected, and the machine may be busy.
const LATE_MS: u64 = 10_000;

#[expect(clippy::disallowed_methods, reason = "retention is about the time of day")]
fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

async fn begin(
    nodes: usize,
    name: &str,
    retention_ms: u64,
    view: StreamViewType,
) -> (Cluster, Client, Table) {
    let cluster = Cluster::start(nodes).await;
    let client = cluster.client();
    let new = NewTable { partitions: 2, retention_ms, ..sample::table(name, Some(view)) };
    client.create_table(&new).await.expect("a table is created");
    let table = cluster.everywhere(&new.name).await;
    (cluster, client, table)
}

/// Follows a stream and keeps everything.
struct Follower {
    seen: Arc<Mutex<Vec<(String, Record)>>>,
    _task: JoinSet<()>,
}

impl Follower {
    async fn start(client: &Client, arn: &str) -> Self {
        let mut subscription =
            client.subscribe(arn, Start::TrimHorizon, BTreeMap::new()).await.expect("subscribed");
        let (seen, mut task) = (Arc::<Mutex<Vec<(String, Record)>>>::default(), JoinSet::new());
        let into = seen.clone();
        task.spawn(async move {
            // An interruption longer than the client's patience is an error; the next call goes on.
            loop {
                match subscription.next().await {
                    Ok(Some((shard, record))) => {
                        into.lock().expect("nobody panics").push((shard.to_string(), record));
                    }
                    Ok(None) => return,
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await, // until a node answers
                }
            }
        });
        Self { seen, _task: task }
    }

    fn seen(&self) -> Vec<(String, Record)> {
        self.seen.lock().expect("nobody panics").clone()
    }
}

/// The trim horizons of a node's replicas of the table's partitions.
async fn horizons(cluster: &Cluster, at: usize, table: &Table) -> Option<Vec<(u64, u64)>> {
    let status = cluster.status(at).await?;
    let of_table = status.replicas.into_iter().filter(|replica| replica.table_name == table.name.as_str());
    Some(of_table.map(|replica| (replica.group_id, replica.trim_index)).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_younger_stays_and_what_is_older_goes() {
    const RETENTION_MS: u64 = 10_000;
    let (mut cluster, client, table) =
        begin(3, "retention", RETENTION_MS, StreamViewType::NewAndOldImages).await;
    let arn = table.latest_stream_arn.clone().expect("a stream");
    let follower = Follower::start(&client, &arn).await;
    let began = Instant::now();
    let workload = Workload::paced(&client, &table, 0, Duration::from_millis(20));
    workload.goes_on(3).await;
    let first = until("a record", async || follower.seen().first().cloned()).await;
    let token = client.shard_iterator(&arn, &first.0, &Start::At(first.1.sequence_number.clone())).await;
    let token = token.expect("an iterator");
    let (mut looks, mut trimmed_looks, mut killed) = (0, 0, None);
    while trimmed_looks < 24 || looks < 30 {
        assert!(
            began.elapsed() < PATIENCE,
            "nothing is trimmed: {looks} looks, {trimmed_looks} after a trim"
        );
        // Half way, a leader dies; later it comes back.
        if killed.is_none() && trimmed_looks == 8 {
            let victim = cluster.leader_of(&client, &table.name, 0).await;
            cluster.kill(victim);
            workload.goes_on(5).await;
            cluster.start_node(victim);
            killed = Some(victim);
            cluster.ready().await;
        }
        let at = looks % 3;
        let known = follower.seen();
        let asked_ms = now_ms();
        let Some(read) = all_of(&cluster.client_of(at), &arn).await else { continue };
        let read_ms = now_ms();
        let read: BTreeMap<&str, u64> =
            read.iter().map(|(_, record)| (record.event_id.as_str(), record.created_ms)).collect();
        for (shard, record) in &known {
            let young = record.created_ms + RETENTION_MS >= read_ms;
            assert!(
                !young || read.contains_key(record.event_id.as_str()),
                "look {looks} at node {at}: record {} of {shard}, {} ms old, is missing",
                record.sequence_number,
                read_ms.saturating_sub(record.created_ms)
            );
        }
        let oldest_ms = asked_ms.saturating_sub(read.values().copied().min().unwrap_or(asked_ms));
        assert!(
            oldest_ms < RETENTION_MS + LATE_MS,
            "look {looks} at node {at}: a record {oldest_ms} ms old is left"
        );
        looks += 1;
        trimmed_looks += usize::from(!read.contains_key(first.1.event_id.as_str()));
        tokio::time::sleep(Duration::from_millis(200)).await; // until the next look
    }
    // Where the first record was, nothing is silently skipped.
    let trimmed = |error: watertable::client::Error| {
        assert_eq!(error.reason(), "TrimmedDataAccessException", "{error:?}");
        assert_eq!(error.code(), tonic::Code::FailedPrecondition);
    };
    for start in [Start::At(first.1.sequence_number.clone()), Start::After(first.1.sequence_number.clone())] {
        trimmed(client.shard_iterator(&arn, &first.0, &start).await.expect_err("it is trimmed"));
    }
    trimmed(client.get_records(&token, 0).await.expect_err("it is trimmed"));
    let report = workload.stop().await;
    eprintln!(
        "retention: {looks} looks, {trimmed_looks} after a trim, longest pause {:?}",
        report.longest_pause()
    );
    // All replicas agree on the horizon.
    until("the same trim horizon on all replicas", async || {
        let (a, b, c) = (
            horizons(&cluster, 0, &table).await?,
            horizons(&cluster, 1, &table).await?,
            horizons(&cluster, 2, &table).await?,
        );
        let moved = a.len() == 2 && a.iter().all(|(_, index)| *index > 0);
        (moved && a == b && b == c).then_some(())
    })
    .await;
    // In the end nothing is left, and that is no error.
    until("everything being trimmed", async || {
        let left = all_of(&client, &arn).await?;
        left.is_empty().then_some(())
    })
    .await;
    let all: BTreeSet<_> = follower.seen().into_iter().map(|(_, record)| record.event_id).collect();
    assert_eq!(all.len(), follower.seen().len(), "the follower was told everything once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_stays_level_under_a_constant_writer() {
    const MIB: u64 = 1 << 20;
    let (cluster, client, table) = begin(1, "level", 3000, StreamViewType::NewImage).await;
    let workload = Workload::paced(&client, &table, 200_000, Duration::from_millis(25));
    let (mut peak, mut peak_late, began) = (0, 0, Instant::now());
    let written = until("512 MiB being written", async || {
        let status = cluster.status(0).await?;
        peak = peak.max(status.log_stream_bytes);
        let metrics = cluster.nodes[0].http("/metrics");
        let line = metrics.lines().find_map(|line| line.strip_prefix("log_bytes_total "))?;
        let written: u64 = line.trim().parse().ok()?;
        if written > 256 * MIB {
            peak_late = peak_late.max(status.log_stream_bytes);
        }
        (written > 512 * MIB).then_some(written)
    })
    .await;
    let rate = written as f64 / MIB as f64 / began.elapsed().as_secs_f64();
    eprintln!("the log: {} MiB written, {rate:.0} MiB/s, at most {} MiB of disk", written / MIB, peak / MIB);
    // What is written in twice the retention, the segment being written, and one being trimmed.
    let bound = (rate * 6.0) as u64 * MIB + 2 * 64 * MIB;
    assert!(peak <= bound.max(256 * MIB), "{} MiB of disk, though {} would do", peak / MIB, bound / MIB);
    assert!(peak_late <= peak && peak < written, "it grows with what is written");
    workload.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_was_away_too_long_has_the_whole_stream_again() {
    const RETENTION_MS: u64 = 6000;
    let (mut cluster, client, table) = begin(3, "away", RETENTION_MS, StreamViewType::NewAndOldImages).await;
    let arn = table.latest_stream_arn.clone().expect("a stream");
    let follower = Follower::start(&client, &arn).await;
    let workload = Workload::paced(&client, &table, 100, Duration::from_millis(10));
    workload.goes_on(20).await;
    // It goes, and what it has is trimmed everywhere.
    let last = |status: watertable::client::ClusterStatus| -> BTreeMap<u64, u64> {
        let of_table = status.replicas.into_iter().filter(|replica| replica.table_name == "away");
        of_table.map(|replica| (replica.group_id, replica.last_index)).collect()
    };
    let had = last(cluster.status(2).await.expect("a status"));
    assert_eq!(had.len(), 2);
    cluster.kill(2);
    until("the floor passing what it had", async || {
        for at in [0, 1] {
            let status = cluster.status(at).await?;
            let passed = |replica: &watertable::rpc::wire::v1::ReplicaStatus| {
                had.get(&replica.group_id).is_none_or(|last| replica.floor_index > *last + 10)
            };
            if !status.replicas.iter().all(passed) {
                return None;
            }
        }
        Some(())
    })
    .await;
    cluster.start_node(2);
    cluster.ready().await;
    until("the replica catching up", async || {
        let (leader, replica) = (last(cluster.status(0).await?), cluster.status(2).await?);
        let level = replica.replicas.iter().filter(|replica| replica.table_name == "away").all(|replica| {
            let newest = leader.get(&replica.group_id).copied().unwrap_or(u64::MAX);
            replica.floor_index > 0 && replica.applied_index + 50 > newest
        });
        level.then_some(())
    })
    .await;
    let log = cluster.nodes[2].log();
    assert!(log.contains("snapshot"), "its log does not tell of a snapshot:\n{log}");
    workload.goes_on(50).await;
    workload.stop().await;
    // It has applied what the others have; then they go.
    cluster.level(2).await;
    let counts = [0, 1, 2].map(|at| counted(&cluster.nodes[at], "away"));
    assert!(counts[0].0 > 0 && counts.iter().all(|count| *count == counts[0]), "counts of items: {counts:?}");
    let killed_ms = now_ms();
    cluster.kill(0);
    cluster.kill(1);
    let alone = cluster.client_of(2);
    let read = until("an answer of the one that is left", async || all_of(&alone, &arn).await).await;
    // Everything that was told, from where its horizon is; and that is no younger than retention.
    let mut shards: BTreeMap<String, Vec<&Record>> = BTreeMap::new();
    for (shard, record) in &read {
        shards.entry(shard.clone()).or_default().push(record);
    }
    assert_eq!(shards.len(), 2);
    let seen = until("the follower being told all that", async || {
        let seen = follower.seen();
        let told: BTreeSet<&str> = seen.iter().map(|(_, record)| record.event_id.as_str()).collect();
        let all = read.iter().all(|(_, record)| told.contains(record.event_id.as_str()));
        all.then_some(seen)
    })
    .await;
    for (shard, records) in shards {
        let told: Vec<&Record> =
            seen.iter().filter(|(of, _)| *of == shard).map(|(_, record)| record).collect();
        let first = &records[0].sequence_number;
        let begin = told.iter().position(|record| record.sequence_number == *first).expect("it was told");
        let ids = |records: &[&Record]| -> Vec<(SequenceNumber, String)> {
            records.iter().map(|record| (record.sequence_number.clone(), record.event_id.clone())).collect()
        };
        assert_eq!(ids(&records), ids(&told[begin..]), "{shard}");
        let same = |(mine, told): (&&Record, &&Record)| {
            mine.new_image == told.new_image && mine.old_image == told.old_image
        };
        assert!(records.iter().zip(&told[begin..]).all(same), "{shard}: images differ");
        if let Some(before) = begin.checked_sub(1) {
            let age_ms = killed_ms.saturating_sub(told[before].created_ms);
            assert!(age_ms > RETENTION_MS, "{shard}: a record {age_ms} ms old was not there any more");
        }
        eprintln!("{shard}: {} records read from the one that was away, {begin} trimmed", records.len());
    }
}
