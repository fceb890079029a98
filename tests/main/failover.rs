//! Nodes die and come back while writers write: nothing acknowledged is lost, doubled or out of order, and nobody waits
//! long.

use std::time::Duration;

use tokio::time::Instant;
use watertable::client::{Client, Kind, Options, Start, StreamViewType, WriteOptions};

use super::cluster::{Cluster, PATIENCE, until};
use super::history::{key_in_each, verified};
use super::sample::{self, table_name};
use super::workload::{Outcome, Report, Workload};

/// Far above what is measured (about a second), far below what anybody would accept.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// Eight writers, each with one write on its way; and a connection may break more than once.
const UNKNOWN_MAX: usize = 40;
const TABLE: &str = "failover";

/// How often nodes are killed.
#[expect(clippy::disallowed_methods, reason = "for runs by hand")]
fn rounds() -> usize {
    std::env::var("WATERTABLE_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(4)
}

fn milliseconds(pauses: &[Duration]) -> Vec<u128> {
    pauses.iter().map(Duration::as_millis).collect()
}

/// Three nodes, a table with a stream, and writers that have begun.
async fn begin() -> (Cluster, Client, watertable::client::Table, Workload) {
    let cluster = Cluster::start(3).await;
    let client = cluster.client();
    client
        .create_table(&sample::table(TABLE, Some(StreamViewType::NewAndOldImages)))
        .await
        .expect("a table is created");
    let table = cluster.everywhere(&table_name(TABLE)).await;
    let workload = Workload::start(&client, &table, 0);
    workload.goes_on(25).await;
    (cluster, client, table, workload)
}

/// Prints the pauses, and holds them against the bound. What is not known to have happened must be what was on its way
/// when a node died, not what was sent while there was no leader.
fn judge(report: &Report, what: &str, moments: &[(Instant, Instant)]) {
    for (round, moment) in moments.iter().enumerate() {
        let pauses = report.pauses_between(*moment);
        eprintln!("{what}, round {round}: writes paused by partition, ms: {:?}", milliseconds(&pauses));
        assert!(pauses.iter().all(|pause| *pause < PAUSE_MAX), "{what}: too long a pause: {pauses:?}");
    }
    eprintln!(
        "{what}: {} acknowledged, {} unknown, {} refused",
        report.count(Outcome::Acknowledged),
        report.count(Outcome::Unknown),
        report.count(Outcome::Refused)
    );
    let unknown = report.count(Outcome::Unknown);
    assert!(unknown <= UNKNOWN_MAX * moments.len(), "{what}: {unknown} writes of unknown outcome");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_leader_costs_a_pause_and_nothing_else() {
    let (mut cluster, client, table, workload) = begin().await;
    let mut moments = Vec::new();
    for round in 0..rounds() {
        let victim = cluster.leader_of(&client, &table.name, round % table.partitions.len()).await;
        let began = Instant::now();
        cluster.kill(victim);
        // Every partition goes on without it, before it is back.
        workload.goes_on(25).await;
        moments.push((began, Instant::now()));
        cluster.start_node(victim);
        cluster.ready().await;
        workload.goes_on(15).await;
    }
    let report = workload.stop().await;
    judge(&report, "a killed leader", &moments);
    let history = verified(&client, &table.name).await;
    report.check(&history, &table);
    assert!(report.count(Outcome::Acknowledged) > 300 * rounds(), "the writers were at work");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_nodes_killed_at_once_lose_nothing() {
    let (mut cluster, client, table, workload) = begin().await;
    let mut moments = Vec::new();
    for _ in 0..rounds().div_ceil(2) {
        let began = Instant::now();
        for at in 0..3 {
            cluster.kill(at);
        }
        for at in 0..3 {
            cluster.start_node(at);
        }
        cluster.ready().await;
        workload.goes_on(25).await;
        moments.push((began, Instant::now()));
    }
    let report = workload.stop().await;
    judge(&report, "all killed", &moments);
    let history = verified(&client, &table.name).await;
    report.check(&history, &table);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_asked_to_stop_hands_its_leaderships_over() {
    let (mut cluster, client, table, workload) = begin().await;
    let mut moments = Vec::new();
    for round in 0..3 {
        let leaving = cluster.leader_of(&client, &table.name, round).await;
        let began = Instant::now();
        cluster.nodes[leaving].signal_stop();
        let status = cluster.nodes[leaving].stopped().await;
        assert!(status.success(), "it ended with {status}");
        let log = cluster.nodes[leaving].log();
        assert!(!log.contains(" ERROR "), "an orderly stop is no error:\n{log}");
        workload.goes_on(15).await;
        moments.push((began, Instant::now()));
        cluster.start_node(leaving);
        cluster.ready().await;
        workload.goes_on(15).await;
    }
    let report = workload.stop().await;
    judge(&report, "a node that stops", &moments);
    let history = verified(&client, &table.name).await;
    report.check(&history, &table);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_was_alone_for_a_while_goes_on() {
    let (mut cluster, client, table, workload) = begin().await;
    let alone = cluster.leader_of(&client, &table.name, 0).await;
    let others: Vec<usize> = (0..3).filter(|at| *at != alone).collect();
    for at in &others {
        cluster.kill(*at);
    }
    let options = Options { deadline: Duration::from_secs(1), ..Options::default() };
    let hurried = Client::connect(vec![cluster.nodes[alone].address.clone()], options).expect("an address");
    // Long enough for its lease to be over.
    for _ in 0..2 {
        let refused = hurried.put_item(&table.name, &sample::key("alone"), WriteOptions::default()).await;
        let kind = refused.expect_err("there is no quorum").kind();
        assert!([Kind::Unavailable, Kind::Unknown].contains(&kind), "{kind:?}");
    }
    for at in &others {
        cluster.start_node(*at);
    }
    cluster.ready().await;
    workload.goes_on(20).await;
    let report = workload.stop().await;
    eprintln!("a leader alone: longest pause {:?}", report.longest_pause());
    let history = verified(&client, &table.name).await;
    report.check(&history, &table);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_leader_took_without_its_followers_was_not_acknowledged() {
    let (mut cluster, client, table, workload) = begin().await;
    for alone in 0..3 {
        let others: Vec<usize> = (0..3).filter(|at| *at != alone).collect();
        for at in &others {
            cluster.kill(*at);
        }
        // What it takes now, it has only itself, and then nobody has.
        let one = cluster.client_of(alone);
        for id in key_in_each(&table, &format!("alone-{alone}")) {
            let (one, name) = (one.clone(), table.name.clone());
            let put = async move { one.put_item(&name, &sample::key(id), WriteOptions::default()).await };
            let put = tokio::time::timeout(Duration::from_millis(200), put).await;
            assert!(!matches!(put, Ok(Ok(_))), "a write was acknowledged without a quorum");
        }
        cluster.kill(alone);
        for at in &others {
            cluster.start_node(*at);
        }
        cluster.ready().await;
        workload.goes_on(15).await;
        // It comes back, with entries that nobody else has: they go.
        cluster.start_node(alone);
        cluster.ready().await;
        workload.goes_on(15).await;
    }
    let report = workload.stop().await;
    eprintln!("leaders alone: longest pause {:?}", report.longest_pause());
    let history = verified(&client, &table.name).await;
    report.check(&history, &table);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_that_slept_wake_for_a_write() {
    let (mut cluster, client, table, workload) = begin().await;
    let report = workload.stop().await;
    // Groups that sleep have no lag to show.
    let awake = |cluster: &Cluster| {
        (0..3).any(|at| cluster.nodes[at].http("/metrics").contains("stream_lag_entries{partition="))
    };
    let mut slept = Instant::now();
    until("all groups having slept for longer than a leader's lease", async || {
        if awake(&cluster) {
            slept = Instant::now();
        }
        (slept.elapsed() > Duration::from_secs(2)).then_some(())
    })
    .await;
    for (partition, id) in key_in_each(&table, "awake").into_iter().enumerate() {
        let began = Instant::now();
        let whole = sample::item([("id", sample::s(id))]);
        client.put_item(&table.name, &whole, WriteOptions::default()).await.expect("it is put");
        eprintln!("partition {partition} slept: its first write took {:?}", began.elapsed());
    }
    // A leader that dies while its groups sleep is missed all the same.
    until("all groups sleeping", async || (!awake(&cluster)).then_some(())).await;
    let victim = cluster.leader_of(&client, &table.name, 0).await;
    cluster.kill(victim);
    let began = Instant::now();
    for id in key_in_each(&table, "orphaned") {
        let whole = sample::item([("id", sample::s(id))]);
        until("a write", async || client.put_item(&table.name, &whole, WriteOptions::default()).await.ok())
            .await;
    }
    eprintln!("a leader died while its groups slept: writes to all took {:?}", began.elapsed());
    assert!(began.elapsed() < PAUSE_MAX);
    cluster.start_node(victim);
    cluster.ready().await;
    let history = verified(&client, &table.name).await;
    report.check(&history, &table);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_away_denies_nothing_it_missed() {
    let mut cluster = Cluster::start(3).await;
    // All three vote by now, but the vote of the third may be on its way; a table in use everywhere is behind it.
    let first = sample::table("first", None);
    cluster.client().create_table(&first).await.expect("a table is created");
    cluster.everywhere(&first.name).await;
    for away in 0..3 {
        let client = cluster.client_of((away + 1) % 3);
        let name = table_name(&format!("missed-{away}"));
        cluster.kill(away);
        // A client asks one node only, which may itself have to find a new leader of the catalog first.
        until("a table being created", async || {
            let new = sample::table(name.as_str(), Some(StreamViewType::KeysOnly));
            match client.create_table(&new).await {
                Ok(_) => Some(()),
                Err(error) => {
                    client.describe_table(&name).await.ok().map(|_| eprintln!("created, though {error}"))
                }
            }
        })
        .await;
        let table = client.wait_active(&name, PATIENCE).await.expect("two nodes of three suffice");
        let arn = table.latest_stream_arn.expect("it has a stream");
        let shards = client.describe_stream(&arn).await.expect("the stream is there").shards;
        assert_eq!(shards.len(), 4, "a shard for each partition");
        cluster.start_node(away);
        let returned = cluster.client_of(away);
        // From its first answer on, whatever it knows at that moment.
        let mut asked = 0;
        until("answers of the node that is back", async || {
            for shard in &shards {
                match returned.shard_iterator(&arn, &shard.id, &Start::TrimHorizon).await {
                    Ok(_) => asked += 1,
                    Err(error) => assert_ne!(error.kind(), Kind::Rejected, "{error}"),
                }
            }
            match returned.describe_table(&name).await {
                Ok(_) => asked += 1,
                Err(error) => assert_ne!(error.kind(), Kind::Rejected, "{error}"),
            }
            match returned.describe_stream(&arn).await {
                Ok(stream) => assert_eq!(stream.shards.len(), shards.len(), "an older view of the stream"),
                Err(error) => assert_ne!(error.kind(), Kind::Rejected, "{error}"),
            }
            (asked > 20).then_some(())
        })
        .await;
        cluster.ready().await;
    }
}
