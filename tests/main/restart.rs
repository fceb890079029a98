//! Nodes that come back on what they left: whole, torn, damaged, or somebody else's.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::pin::pin;

use futures::TryStreamExt;
use watertable::client::{Client, Kind, NewTable, Scan, Start, StreamViewType, Table, WriteOptions};
use watertable::model::{Item, ItemKey};

use super::cluster::{Cluster, run_in, run_program, until};
use super::history::{self, assert_same, verified};
use super::sample::{self, airport, item, key, n, noise, s};
use super::workload::{Outcome, Workload};

async fn begin(nodes: usize, name: &str, partitions: u32) -> (Cluster, Client, Table) {
    begin_with(nodes, name, partitions, 0).await
}

async fn begin_with(
    nodes: usize,
    name: &str,
    partitions: u32,
    retention_ms: u64,
) -> (Cluster, Client, Table) {
    let cluster = Cluster::start(nodes).await;
    let client = cluster.client();
    let stream = Some(StreamViewType::NewAndOldImages);
    let new = NewTable { partitions, retention_ms, ..sample::table(name, stream) };
    client.create_table(&new).await.expect("a table is created");
    let table = cluster.everywhere(&new.name).await;
    (cluster, client, table)
}

/// The segments of the lane of tables with a stream, oldest first.
fn segments(data: &Path) -> Vec<PathBuf> {
    let dir = fs::read_dir(data.join("log/stream")).expect("a lane");
    let mut paths: Vec<PathBuf> = dir.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_node_killed_again_and_again_loses_nothing() {
    let (mut cluster, client, table) = begin(1, "restarted", 4).await;
    let workload = Workload::start(&client, &table, 200);
    for _ in 0..6 {
        workload.goes_on(30).await;
        cluster.kill(0);
        cluster.start_node(0);
        cluster.ready().await;
    }
    workload.goes_on(10).await;
    let report = workload.stop().await;
    let history = verified(&client, &table.name).await;
    report.check(&history, &table);
    eprintln!(
        "a node killed 6 times: {} acknowledged, {} unknown, longest pause {:?}",
        report.count(Outcome::Acknowledged),
        report.count(Outcome::Unknown),
        report.longest_pause()
    );
    // Stopped in order, it comes back the same.
    cluster.nodes[0].signal_stop();
    assert!(cluster.nodes[0].stopped().await.success());
    cluster.start_node(0);
    cluster.ready().await;
    until("a write", async || {
        client.put_item(&table.name, &key("after"), WriteOptions::default()).await.ok()
    })
    .await;
    report.check(&verified(&client, &table.name).await, &table);
}

#[tokio::test]
async fn what_cannot_be_run_is_refused_with_the_reason() {
    let mut cluster = Cluster::start(1).await;
    let other = cluster.root().join("file.toml");
    let other_text = other.to_str().expect("text").to_owned();
    for (text, arguments, said) in [
        ("lisen = \"127.0.0.1:1\"", vec!["serve", "--config", &other_text], "unknown field `lisen`"),
        ("engine = 3", vec!["serve", "--config", &other_text], "engine"),
        ("", vec!["serve", "--config", "/no/such/file"], "/no/such/file cannot be read"),
        ("", vec!["serve", "--lisen", "127.0.0.1:1"], "unexpected argument '--lisen'"),
        ("", vec!["serve", "--engine", "rocks"], "`rocks` is no storage engine: say fjall, sled or memory"),
        ("", vec!["serve", "--partitions", "257"], "257 is not in 1..=256"),
        ("", vec!["serve", "--bootstrap", "--join", "127.0.0.1:1"], "cannot be used with"),
    ] {
        fs::write(&other, text).expect("written");
        let (status, error) = run_program(&arguments);
        assert_eq!(status.code(), Some(2), "{arguments:?}: {error}");
        assert!(error.contains(said), "{arguments:?}: {error}");
    }
    // A second process on a folder, at another address.
    let mut second = cluster.stranger();
    second.data.clone_from(&cluster.nodes[0].data);
    let (status, error) = second.run_to_end(&[]);
    assert_eq!(status.code(), Some(1), "{error}");
    assert!(error.contains("is in use by another process"), "{error}");
    drop(second);
    // A second process at an address.
    let mut same = cluster.stranger();
    same.address.clone_from(&cluster.nodes[0].address);
    let (status, error) = same.run_to_end(&[]);
    assert_eq!(status.code(), Some(1), "{error}");
    assert!(error.contains(&format!("cannot listen at {}", same.address)), "{error}");
    drop(same);
    // A folder put together from two clusters.
    let mut stranger = cluster.stranger();
    fs::remove_dir_all(&stranger.data).expect("nobody uses it");
    stranger.start(&[]);
    until("the other cluster", async || stranger.log().contains(" ready ").then_some(())).await;
    until("the other cluster being founded", async || {
        let client = Client::connect(vec![stranger.address.clone()], Default::default()).expect("an address");
        client.cluster_status().await.ok().filter(|status| !status.nodes.is_empty())
    })
    .await;
    stranger.signal_stop();
    assert!(stranger.stopped().await.success());
    cluster.nodes[0].signal_stop();
    assert!(cluster.nodes[0].stopped().await.success());
    fs::copy(cluster.nodes[0].data.join("node.json"), stranger.data.join("node.json")).expect("copied");
    let (status, error) = stranger.run_to_end(&[]);
    assert_eq!(status.code(), Some(1), "{error}");
    assert!(error.contains("put the right files back"), "{error}");
    cluster.start_node(0);
    cluster.ready().await;
}

#[tokio::test]
async fn a_torn_tail_is_cut() {
    let (mut cluster, client, table) = begin(1, "torn", 2).await;
    for round in 0..3 {
        for at in 0..40 {
            let whole = item([("id", s(format!("{}", at % 20))), ("round", n(round)), ("at", n(at))]);
            until("a write", async || {
                client.put_item(&table.name, &whole, WriteOptions::default()).await.ok()
            })
            .await;
        }
        let before = verified(&client, &table.name).await;
        cluster.kill(0);
        // What a write leaves that the crash tore: bytes behind the last frame that are no frame.
        let newest = segments(&cluster.nodes[0].data).pop().expect("a segment");
        let bytes = fs::read(&newest).expect("it is read");
        let end = bytes.iter().rposition(|byte| *byte != 0).expect("there is something") as u64;
        let garbage: Vec<u8> = (0..500u64).map(|at| noise(at + end) as u8).collect();
        let file = OpenOptions::new().write(true).open(&newest).expect("it opens");
        // A frame of the right length would begin at the next multiple of 8.
        file.write_all_at(&garbage, end / 8 * 8 + 8).expect("it is written");
        drop(file);
        cluster.start_node(0);
        cluster.ready().await;
        let after = verified(&client, &table.name).await;
        assert!(after.records.len() > before.records.len(), "the ends that `verified` puts");
        let (old, new): (Vec<_>, Vec<_>) =
            (ids(&before), ids(&after).into_iter().filter(|id| ids(&before).contains(id)).collect());
        assert_eq!(old.len(), new.len(), "every record is still there");
    }
}

fn ids(history: &history::History) -> Vec<String> {
    history.records.iter().map(|(_, record)| record.event_id.clone()).collect()
}

#[tokio::test]
async fn a_flipped_byte_in_a_sealed_segment_is_found_and_named() {
    let (mut cluster, client, table) = begin(1, "rotten", 1).await;
    let padding: String = "0123456789abcdef".repeat(300 * 64);
    let mut count = 0;
    while segments(&cluster.nodes[0].data).len() < 2 {
        let whole = item([("id", s(format!("{count}"))), ("padding", s(padding.as_str()))]);
        client.put_item(&table.name, &whole, WriteOptions::default()).await.expect("it is put");
        count += 1;
        assert!(count < 1000, "a segment is sealed at some time");
    }
    let arn = table.latest_stream_arn.as_deref().expect("a stream");
    let shard = client.describe_stream(arn).await.expect("a stream").shards.remove(0);
    let read = async |client: &Client| {
        let mut iterator = client.shard_iterator(arn, &shard.id, &Start::TrimHorizon).await?;
        let mut records = 0;
        loop {
            let page = client.get_records(&iterator, 0).await?;
            records += page.records.len();
            match page.next {
                Some(next) if records < count => iterator = next,
                _ => return Ok::<_, watertable::client::Error>(records),
            }
        }
    };
    assert_eq!(read(&client).await.expect("it can be read"), count);
    cluster.kill(0);
    let rotten = segments(&cluster.nodes[0].data).remove(0);
    let at = 30 << 20;
    let file = OpenOptions::new().read(true).write(true).open(&rotten).expect("it opens");
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).expect("it is read");
    file.write_all_at(&[byte[0] ^ 4], at).expect("it is written");
    drop(file);
    cluster.start_node(0);
    let name = rotten.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
    // It is found when the node starts, which it then refuses, or when that part is read; never handed out.
    until("the rot being found", async || {
        if cluster.nodes[0].has_ended() {
            return Some(());
        }
        match read(&client).await {
            Ok(records) => panic!("{records} records were read over the rot"),
            Err(error) => (error.kind() == Kind::Fatal).then_some(()),
        }
    })
    .await;
    let log = cluster.nodes[0].log();
    assert!(log.contains(&name), "the log does not name {name}");
    assert!(log.contains("does not match") || log.contains("checksum"), "the log does not say what is wrong");
}

/// What a node has, without asking others.
async fn eventual_scan(client: &Client, table: &Table) -> Option<BTreeMap<ItemKey, Item>> {
    let mut items = BTreeMap::new();
    let mut pages = pin!(client.scan_all(&table.name, Scan::default()));
    while let Some(page) = pages.try_next().await.ok()? {
        items.extend(page.items.into_iter().map(|item| (table.key.key_of_item(&item).expect("a key"), item)));
    }
    Some(items)
}

#[tokio::test]
async fn a_damaged_item_store_is_put_aside_and_rebuilt() {
    let (mut cluster, client, table) = begin_with(3, "rebuilt", 3, 1000).await;
    for at in 0..300 {
        client.put_item(&table.name, &airport(at), WriteOptions::default()).await.expect("it is put");
    }
    // The log alone must not suffice.
    until("the log being trimmed", async || {
        let replicas = cluster.status(2).await?.replicas.into_iter();
        let mut of_table = replicas.filter(|replica| replica.table_name == table.name.as_str());
        of_table.all(|replica| replica.floor_index > 50).then_some(())
    })
    .await;
    // Stopped in order, so that its items are on disk.
    cluster.nodes[2].signal_stop();
    assert!(cluster.nodes[2].stopped().await.success());
    let fjall = cluster.nodes[2].data.join("items/fjall");
    let mut damaged = 0;
    let mut folders = vec![fjall.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.parent().is_some_and(|parent| {
                parent.ends_with("tables") || parent.parent().is_some_and(|up| up.ends_with("keyspaces"))
            }) {
                let length = fs::metadata(&path).expect("a file").len() as usize;
                fs::write(&path, (0..length as u64).map(|at| noise(at) as u8).collect::<Vec<_>>())
                    .expect("written");
                damaged += 1;
            }
        }
    }
    assert!(damaged > 0, "there are files to damage in {}", fjall.display());
    for at in 300..330 {
        let written = async || client.put_item(&table.name, &airport(at), WriteOptions::default()).await.ok();
        until("a write", written).await;
    }
    cluster.start_node(2);
    cluster.ready().await;
    let all = history::scan(&client, &table.name, &table.key).await;
    assert_eq!(all.len(), 330);
    let log = cluster.nodes[2].log();
    assert!(log.contains("quarantined"), "the log says that the store was put aside");
    let aside = fs::read_dir(cluster.nodes[2].data.join("items")).expect("a folder");
    let names: Vec<_> = aside.map(|entry| entry.expect("an entry").file_name()).collect();
    assert!(names.iter().any(|name| name.to_string_lossy().contains("quarantined-")), "{names:?}");
    // Alone, it has everything.
    cluster.level(2).await;
    cluster.kill(0);
    cluster.kill(1);
    let alone = until("an answer", async || eventual_scan(&cluster.client_of(2), &table).await).await;
    assert_same(&alone, &all);
}

#[tokio::test]
async fn the_demo_ends_well_and_leaves_nothing() {
    // A turn of the machine, too: it has three nodes in it.
    let cluster = Cluster::start(1).await;
    let (status, said) = run_in(cluster.root(), &["demo", "--duration", "6s"]);
    assert!(status.success(), "{said}");
    for expected in
        ["is killed", "take writes again", "has caught up", "table and stream agree", "0 of them twice"]
    {
        assert!(said.contains(expected), "{expected} is missing:\n{said}");
    }
    let left =
        fs::read_dir(cluster.root()).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().contains("demo")).collect();
    assert!(left.is_empty(), "{left:?}");
}
