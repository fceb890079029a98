//! `demo`: three nodes in one process, a table that changes all the time, its stream as it comes, and the death of a
//! node in the middle of it.
//!
//! The nodes are whole: `serve`'s own start, on loopback, with folders of their own. The one that is killed hands
//! nothing over and flushes no leadership (`Node::halt`); it comes back on the same folder and address. At the end the
//! table must be the fold of its stream, as `verify` judges it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Instant, sleep};

use super::demo_weather::{attribute, fill, write};
use super::verify::{Fold, scan};
use super::{Error, Output, json::Form, output::progress, serve, time};
use crate::client::{
    Client, Delivery, EventName, NewTable, Options, Record, Start, StreamViewType, Subscription, Table,
};
use crate::config::Config;
use crate::model::id::NodeId;
use crate::model::{AttributeValue, Item, KeyAttribute, KeySchema, KeyType, TableName};
use crate::node::Node;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  watertable demo --duration 1m")]
pub(super) struct Arguments {
    /// How long to write. A node dies at a third of it and is back at two thirds.
    #[arg(long, value_parser = time::parse_duration, default_value = "20s", value_name = "DURATION")]
    duration: Duration,
}

const NODES: usize = 3;
/// How long anything but writing may take.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(10);
/// A record of the stream is shown so often; the others are only counted.
const SHOWN_EVERY: Duration = Duration::from_millis(250);

pub(super) async fn run(arguments: Arguments) -> Result<(), Error> {
    let folder = Folder::new()?;
    let stage = Stage::new();
    let mut cluster = Cluster { folder: folder.0.clone(), nodes: Vec::new() };
    let outcome = tokio::select! {
        outcome = play(&stage, &mut cluster, arguments.duration) => outcome,
        _ = tokio::signal::ctrl_c() => Err(Error::Negative("interrupted".to_owned())),
    };
    stage.bar.finish_and_clear();
    cluster.stop().await;
    outcome
}

/// The whole play, from the first node to the verdict.
async fn play(stage: &Stage, cluster: &mut Cluster, duration: Duration) -> Result<(), Error> {
    stage.say("three nodes start in this process, on 127.0.0.1");
    cluster.start().await?;
    let client = cluster.client()?;
    stage.say(&format!("they are one cluster: {}", cluster.describe()));
    let table = create(&client).await?;
    stage.say(&format!("table {}: {}; its stream is on", table.name, spread(&table)));
    let arn = table.latest_stream_arn.clone().unwrap_or_default();
    let mut tail = Tail {
        fold: Fold::new(table.key.clone(), StreamViewType::NewAndOldImages),
        subscription: client.subscribe(&arn, Start::TrimHorizon, BTreeMap::new()).await?,
        shown: Instant::now(),
    };
    let board = Arc::new(Board::new(table.partitions.len()));
    stage.say(&format!("{} weather stations are loaded", fill(&client, &table, &board).await?));
    let writers = write(&client, &table, &board);
    stage.say(&format!("{} writers begin; this is the stream, a part of it:", writers.len()));
    let end = Instant::now() + duration;
    let story = story(stage, cluster, &client, &table, &board, duration);
    let told = tokio::select! {
        told = story => told,
        failed = tail.follow(stage, &board) => failed,
    };
    told?;
    tail.follow_until(stage, &board, end).await?;
    board.stop.store(true, Ordering::Relaxed);
    writers.join_all().await;
    stage.bar.set_message("checking");
    judge(stage, &client, &table, &mut tail, &board).await
}

/// What happens while the writers write: the node that leads most dies, and comes back.
async fn story(
    stage: &Stage,
    cluster: &mut Cluster,
    client: &Client,
    table: &Table,
    board: &Board,
    duration: Duration,
) -> Result<(), Error> {
    sleep(duration / 3).await;
    let table = client.describe_table(&table.name).await?;
    let leads = |node: NodeId| table.partitions.iter().filter(move |each| each.leader == Some(node)).count();
    let victim = cluster.ids().max_by_key(|node| leads(*node)).expect("there are nodes");
    let orphans: Vec<usize> =
        (0..table.partitions.len()).filter(|at| table.partitions[*at].leader == Some(victim)).collect();
    stage.shout(&format!("node {victim} is killed: it led {}, and hands nothing over", named(&orphans)));
    let killed = Instant::now();
    board.forget_pauses();
    cluster.kill(victim).await;
    board.wait_all(killed + PATIENCE).await?;
    let pauses: Vec<String> = (0..table.partitions.len())
        .map(|at| format!("{} {}", at + 1, seconds(board.longest_pause(at))))
        .collect();
    stage.shout(&format!("all partitions take writes again; longest pause of each: {}", pauses.join(", ")));
    sleep(duration / 3).await;
    stage.shout(&format!("node {victim} comes back, on the folder it left"));
    let began = Instant::now();
    cluster.revive(victim).await?;
    let caught_up = seconds(began.elapsed());
    stage.shout(&format!("node {victim} has caught up, {caught_up} after its start"));
    Ok(())
}

/// Whether table and stream agree.
async fn judge(
    stage: &Stage,
    client: &Client,
    table: &Table,
    tail: &mut Tail,
    board: &Board,
) -> Result<(), Error> {
    let items = scan(client, &table.name, &table.key).await?;
    let deadline = Instant::now() + PATIENCE;
    while !tail.fold.differing(&items).is_empty() && Instant::now() < deadline {
        let _ = tokio::time::timeout(Duration::from_secs(1), tail.next(stage, board, false)).await;
    }
    let (differing, fold) = (tail.fold.differing(&items).len(), &tail.fold);
    let agrees = differing == 0 && fold.faults() == 0;
    stage.bar.finish_and_clear();
    let (acknowledged, unknown) = (load(&board.acknowledged), load(&board.unknown));
    let verdict = if agrees { "agree" } else { "do NOT agree" };
    stage.say(&format!("table and stream {verdict}:"));
    stage.plain(&format!(
        "    {acknowledged:>6} writes acknowledged, {unknown} cut off by the death of the node"
    ));
    stage.plain(&format!("    {:>6} records in the stream, {} of them twice", fold.records, fold.doubles));
    stage.plain(&format!(
        "    {:>6} out of order, {} not fitting the one before",
        fold.disorders, fold.breaks
    ));
    stage.plain(&format!(
        "    {:>6} items folded from the stream, {} in the table",
        fold.items(),
        items.len()
    ));
    stage.plain(&format!("    {differing:>6} of them different"));
    // Every acknowledged write changed something, so it has a record; what was cut off may have one.
    let possible = acknowledged..=acknowledged + unknown;
    if !possible.contains(&fold.records) {
        return Err(Error::Negative("the number of records is not that of the writes".to_owned()));
    }
    if !agrees {
        return Err(Error::Negative("the table is not the fold of its stream".to_owned()));
    }
    Ok(())
}

// ---- the cluster

/// A folder that goes with the demo.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, Error> {
        let path = std::env::temp_dir().join(format!("watertable-demo-{}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|source| Error::File { path: path.clone(), source })?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0); // what is left of it is the system's to remove
    }
}

/// The nodes.
struct Cluster {
    folder: PathBuf,
    nodes: Vec<Member>,
}

/// A node, its address while it is dead, too.
struct Member {
    id: NodeId,
    address: String,
    data: PathBuf,
    node: Option<Node>,
}

fn config(data: &Path, listen: &str, join: Vec<String>) -> Config {
    Config {
        listen: listen.to_owned(),
        data: data.to_owned(),
        join,
        cache_mib: 16,
        tail_mib: 16,
        ..Config::default()
    }
}

impl Cluster {
    async fn start(&mut self) -> Result<(), Error> {
        for at in 0..NODES {
            let data = self.folder.join(format!("node-{}", at + 1));
            let join = self.nodes.first().map(|first| first.address.clone()).into_iter().collect();
            let node = serve::start(&config(&data, "127.0.0.1:0", join)).await?;
            self.nodes.push(Member {
                id: node.id(),
                address: node.address().to_owned(),
                data,
                node: Some(node),
            });
        }
        self.whole().await
    }

    fn client(&self) -> Result<Client, Error> {
        let addresses = self.nodes.iter().map(|member| member.address.clone()).collect();
        let options = Options { deadline: Duration::from_secs(10), ..Options::default() };
        Ok(Client::connect(addresses, options)?)
    }

    fn describe(&self) -> String {
        let nodes: Vec<_> =
            self.nodes.iter().map(|member| format!("node {} at {}", member.id, member.address)).collect();
        nodes.join(", ")
    }

    fn ids(&self) -> impl Iterator<Item = NodeId> {
        self.nodes.iter().map(|member| member.id)
    }

    fn member(&mut self, id: NodeId) -> &mut Member {
        self.nodes.iter_mut().find(|member| member.id == id).expect("an id of this cluster")
    }

    async fn kill(&mut self, id: NodeId) {
        if let Some(node) = self.member(id).node.take() {
            node.halt().await;
        }
    }

    /// Starts a node where it was, and waits until it has all that the others have.
    async fn revive(&mut self, id: NodeId) -> Result<(), Error> {
        let member = self.member(id);
        let node = serve::start(&config(&member.data, &member.address, Vec::new())).await?;
        member.node = Some(node);
        self.whole().await
    }

    /// Waits until every node knows all others as alive, votes in the catalog, and lags behind no leader.
    async fn whole(&self) -> Result<(), Error> {
        let client = self.client()?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut newest: BTreeMap<u64, u64> = BTreeMap::new();
            let mut replicas = Vec::new();
            let mut whole = true;
            for member in &self.nodes {
                let Ok(status) = client.cluster_status_of(&member.address).await else {
                    whole = false;
                    continue;
                };
                whole &= status.nodes.len() == NODES && status.nodes.iter().all(|node| node.alive);
                for replica in status.replicas {
                    whole &= ["leader", "follower"].contains(&replica.role.as_str());
                    let last = newest.entry(replica.group_id).or_default();
                    *last = replica.applied_index.max(*last);
                    replicas.push((replica.group_id, replica.applied_index));
                }
            }
            // What came while we asked is no lag.
            let level = |(group, applied): &(u64, u64)| applied + 32 >= newest[group];
            if whole && replicas.iter().all(level) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(Error::Node("the cluster did not come about".to_owned()));
            }
            sleep(LOOK).await;
        }
    }

    async fn stop(&mut self) {
        for member in &mut self.nodes {
            if let Some(node) = member.node.take() {
                node.halt().await;
            }
        }
    }
}

async fn create(client: &Client) -> Result<Table, Error> {
    let partition = KeyAttribute { name: attribute("station"), kind: KeyType::S };
    let table = NewTable {
        name: TableName::parse("weather").expect("a good name"),
        key: KeySchema { partition, sort: None },
        stream: Some(StreamViewType::NewAndOldImages),
        partitions: 4,
        retention_ms: 0,
    };
    client.create_table(&table).await?;
    Ok(client.wait_active(&table.name, PATIENCE).await?)
}

fn spread(table: &Table) -> String {
    let leaders = table.partitions.iter().filter_map(|partition| partition.leader);
    let leaders: BTreeSet<NodeId> = leaders.collect();
    let replicas = table.partitions.first().map_or(0, |partition| partition.replicas.len());
    format!(
        "{} partitions with {replicas} replicas each, led by {} of the nodes",
        table.partitions.len(),
        leaders.len()
    )
}

/// "partitions 1 and 3".
fn named(partitions: &[usize]) -> String {
    let numbers: Vec<String> = partitions.iter().map(|at| (at + 1).to_string()).collect();
    match numbers.as_slice() {
        [] => "nothing".to_owned(),
        [only] => format!("partition {only}"),
        [first @ .., last] => format!("partitions {} and {last}", first.join(", ")),
    }
}

// ---- the writers

/// What the writers have come to.
pub(super) struct Board {
    pub stop: AtomicBool,
    pub acknowledged: AtomicU64,
    pub unknown: AtomicU64,
    began: Instant,
    /// By partition: when a write was last acknowledged, and the longest time between two; microseconds.
    last_us: Vec<AtomicU64>,
    longest_us: Vec<AtomicU64>,
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

impl Board {
    fn new(partitions: usize) -> Self {
        let zeros = || (0..partitions).map(|_| AtomicU64::new(0)).collect();
        Self {
            stop: AtomicBool::new(false),
            acknowledged: AtomicU64::new(0),
            unknown: AtomicU64::new(0),
            began: Instant::now(),
            last_us: zeros(),
            longest_us: zeros(),
        }
    }

    fn now_us(&self) -> u64 {
        self.began.elapsed().as_micros() as u64
    }

    pub fn acknowledged(&self, partition: usize) {
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
        let now_us = self.now_us();
        let before_us = self.last_us[partition].fetch_max(now_us, Ordering::Relaxed);
        self.longest_us[partition].fetch_max(now_us.saturating_sub(before_us), Ordering::Relaxed);
    }

    fn forget_pauses(&self) {
        for longest in &self.longest_us {
            longest.store(0, Ordering::Relaxed);
        }
    }

    fn longest_pause(&self, partition: usize) -> Duration {
        Duration::from_micros(load(&self.longest_us[partition]))
    }

    /// Waits until every partition has acknowledged a write from now on.
    async fn wait_all(&self, deadline: Instant) -> Result<(), Error> {
        let from_us = self.now_us();
        while !self.last_us.iter().all(|last| load(last) > from_us) {
            if Instant::now() > deadline {
                return Err(Error::Negative("a partition takes no writes any more".to_owned()));
            }
            sleep(LOOK).await;
        }
        Ok(())
    }
}

/// The stream as it comes.
struct Tail {
    subscription: Subscription,
    fold: Fold,
    shown: Instant,
}

impl Tail {
    /// Follows for ever; ends only with an error.
    async fn follow(&mut self, stage: &Stage, board: &Board) -> Result<(), Error> {
        loop {
            self.next(stage, board, true).await?;
        }
    }

    async fn follow_until(&mut self, stage: &Stage, board: &Board, end: Instant) -> Result<(), Error> {
        match tokio::time::timeout_at(end, self.follow(stage, board)).await {
            Ok(failed) => failed,
            Err(_) => Ok(()),
        }
    }

    /// Takes the next records; shows one, now and then.
    async fn next(&mut self, stage: &Stage, board: &Board, show: bool) -> Result<(), Error> {
        let Some(Delivery::Records(shard, records)) = self.subscription.next_delivery().await? else {
            return Ok(());
        };
        let now_ms = unix_ms();
        for record in records {
            if show && self.shown.elapsed() > SHOWN_EVERY {
                self.shown = Instant::now();
                stage.plain(&line(&record, now_ms));
            }
            self.fold.add(&shard, record);
        }
        let (writes, records) = (load(&board.acknowledged), self.fold.records);
        stage.bar.set_message(format!("{writes} writes acknowledged, {records} records in the stream"));
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "to compare with the stamps of records")]
fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// One line for a record: when, what, where, what changed, and how late it came.
fn line(record: &Record, now_ms: u64) -> String {
    let at = time::format_rfc3339(record.created_ms);
    let at = at.get(11..23).unwrap_or(&at);
    let (event, change) = match record.event_name {
        EventName::Insert => ("INSERT", whole(record.new_image.as_ref())),
        EventName::Modify => ("MODIFY", difference(record)),
        EventName::Remove => ("REMOVE", "its station went silent".to_owned()),
        EventName::Unspecified => ("?", String::new()),
    };
    let place = match record.keys.get("station") {
        Some(AttributeValue::S(place)) => place.as_str(),
        _ => "?",
    };
    let late = now_ms.saturating_sub(record.created_ms);
    format!("    {at}  {event}  {place:<10} {change:<44} {late:>4} ms")
}

fn whole(image: Option<&Item>) -> String {
    let shown =
        image.into_iter().flat_map(Item::iter).filter(|(name, _)| *name != "station" && *name != "report");
    let shown: Vec<_> = shown.map(|(name, value)| format!("{name} {}", text(value))).collect();
    shown.join(", ")
}

fn difference(record: &Record) -> String {
    let (Some(old), Some(new)) = (&record.old_image, &record.new_image) else { return String::new() };
    let changed = new.iter().filter(|(name, value)| old.get(name.as_str()) != Some(*value));
    // That reports are counted is seen well enough.
    let changed = changed.filter(|(name, _)| *name != "report");
    let changed = changed.map(|(name, value)| match old.get(name.as_str()) {
        Some(before) => format!("{name} {} -> {}", text(before), text(value)),
        None => format!("{name} {}", text(value)),
    });
    changed.collect::<Vec<_>>().join(", ")
}

fn text(value: &AttributeValue) -> String {
    match value {
        AttributeValue::S(text) => text.clone(),
        other => {
            let item: Item = [(attribute("value"), other.clone())].into_iter().collect();
            let value = Form::Plain.write(&item);
            value.get("value").map_or_else(String::new, ToString::to_string)
        }
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}

// ---- what is seen

/// Where the demo speaks: lines on standard output, under them a line that moves, if that is a terminal.
struct Stage {
    bar: ProgressBar,
    began: Instant,
}

impl Stage {
    fn new() -> Self {
        let bar = progress(Output::Table, 0, "{spinner} {msg}");
        bar.set_style(
            ProgressStyle::with_template("{spinner:.cyan} {elapsed} {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner()),
        );
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { bar, began: Instant::now() }
    }

    /// A line with the time.
    fn say(&self, text: &str) {
        self.plain(&format!("{:>5.1} s  {text}", self.began.elapsed().as_secs_f64()));
    }

    /// The same, where it must not be missed.
    fn shout(&self, text: &str) {
        let line = format!("{:>5.1} s  >>> {text}", self.began.elapsed().as_secs_f64());
        if self.bar.is_hidden() {
            return self.plain(&line);
        }
        self.plain(&format!("\u{1b}[1;33m{line}\u{1b}[0m"));
    }

    fn plain(&self, line: &str) {
        // Who no longer listens need not be told.
        self.bar.suspend(|| {
            use std::io::Write;
            let _ = writeln!(std::io::stdout(), "{line}");
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::demo_weather::{PLACES, weather};
    use super::*;

    #[test]
    fn every_report_differs_from_the_one_before() {
        for place in PLACES {
            for report in 0..50 {
                assert_ne!(weather(place, report), weather(place, report + 1));
            }
        }
    }

    #[test]
    fn partitions_are_named_as_people_do() {
        assert_eq!(named(&[]), "nothing");
        assert_eq!(named(&[0]), "partition 1");
        assert_eq!(named(&[0, 2, 3]), "partitions 1, 3 and 4");
    }
}
