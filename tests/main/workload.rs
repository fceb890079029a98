//! Writers at full speed that remember what they were told, and whether the stream agrees with it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use watertable::client::{Client, Error, Expression, Kind, Prepared, Record, Table, WriteOptions};
use watertable::model::{AttributeValue, Item};

use super::cluster::until;
use super::history::{History, key_in_each};
use super::sample::{item, key, name, s};

/// Writers of each partition.
const WRITERS: usize = 2;
/// Keys of each writer.
const KEYS: usize = 4;
/// Each so many writes, one deletes.
const DELETES: u64 = 11;
/// Each so many writes, one creates an item that must not exist, through any node: it would be refused if a node on the
/// way made it twice. (A put made twice in a row changes nothing the second time, so it would not show.)
const FRESH: u64 = 2;

/// What came of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Acknowledged,
    Unknown,
    /// It did not happen.
    Refused,
}

/// A write: of a value nobody else writes, or (`None`) a deletion.
#[derive(Clone, Debug)]
struct Attempt {
    value: Option<String>,
    outcome: Outcome,
}

/// What one writer did: by key, and when it was told that a write was done.
#[derive(Default)]
struct Diary {
    partition: usize,
    attempts: BTreeMap<String, Vec<Attempt>>,
    acknowledged_at: Vec<Instant>,
}

/// Writers at work.
pub struct Workload {
    stop: Arc<AtomicBool>,
    /// By writer, what was acknowledged so far.
    done: Arc<Vec<AtomicU64>>,
    writers: JoinSet<Diary>,
}

/// What the writers did.
pub struct Report {
    diaries: Vec<Diary>,
}

impl Workload {
    /// Starts writers for every partition of a table. `padding`: bytes added to each item.
    pub fn start(client: &Client, table: &Table, padding: usize) -> Self {
        Self::paced(client, table, padding, Duration::ZERO)
    }

    /// The same, with a pause after each write.
    pub fn paced(client: &Client, table: &Table, padding: usize, pause: Duration) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let done: Arc<Vec<AtomicU64>> =
            Arc::new((0..WRITERS * table.partitions.len()).map(|_| AtomicU64::new(0)).collect());
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            let keys: Vec<_> = (0..KEYS).map(|at| key_in_each(table, &format!("w{writer}k{at}"))).collect();
            for partition in 0..table.partitions.len() {
                let place = writer * table.partitions.len() + partition;
                let mine = keys.iter().map(|each| each[partition].clone()).collect();
                let task = Writer {
                    client: client.clone(),
                    table: table.clone(),
                    partition,
                    number: writer,
                    padding,
                };
                let (stop, done) = (stop.clone(), done.clone());
                writers.spawn(async move { task.run(mine, pause, (&stop, &done[place])).await });
            }
        }
        Self { stop, done, writers }
    }

    /// Waits until each writer has been told of so many more.
    pub async fn goes_on(&self, more: u64) {
        let goals: Vec<u64> = self.done.iter().map(|done| done.load(Ordering::Relaxed) + more).collect();
        until("writes going on", async || {
            let reached =
                self.done.iter().zip(&goals).all(|(done, goal)| done.load(Ordering::Relaxed) >= *goal);
            reached.then_some(())
        })
        .await;
    }

    /// Ends the writers.
    pub async fn stop(self) -> Report {
        self.stop.store(true, Ordering::Relaxed);
        Report { diaries: self.writers.join_all().await }
    }
}

/// One writer: of one partition.
struct Writer {
    client: Client,
    table: Table,
    partition: usize,
    number: usize,
    padding: usize,
}

impl Writer {
    async fn run(
        &self,
        keys: Vec<String>,
        pause: Duration,
        (stop, done): (&AtomicBool, &AtomicU64),
    ) -> Diary {
        let mut diary = Diary { partition: self.partition, ..Diary::default() };
        let mut count = 0;
        while !stop.load(Ordering::Relaxed) {
            count += 1;
            let fresh = count % FRESH == 0;
            let id = if fresh { self.fresh(count) } else { keys[count as usize % keys.len()].clone() };
            let value = (fresh || count % DELETES != 0)
                .then(|| format!("{}.{}/{count}", self.partition, self.number));
            let outcome = match self.write(&id, value.as_deref(), fresh).await {
                Ok(()) => Outcome::Acknowledged,
                Err(error) if error.kind() == Kind::Unknown => Outcome::Unknown,
                Err(error) if error.kind() == Kind::Unavailable => Outcome::Refused,
                Err(error) => panic!("a write of {id} (fresh: {fresh}) came to {error:?}"),
            };
            if outcome == Outcome::Acknowledged {
                done.fetch_add(1, Ordering::Relaxed);
                diary.acknowledged_at.push(Instant::now());
            }
            diary.attempts.entry(id).or_default().push(Attempt { value, outcome });
            if !pause.is_zero() {
                // A writer with a pace: it rests until its next turn is due.
                tokio::time::sleep(pause).await; // a pace, until it is told to stop
            }
        }
        diary
    }

    /// A key nobody has used.
    fn fresh(&self, count: u64) -> String {
        let range = &self.table.partitions[self.partition].range;
        let mut ids = (0..).map(|turn| format!("fresh-{}-{count}-{turn}", self.number));
        let inside = |id: &String| {
            let item_key = self.table.key.key_of_key(&key(id.as_str())).expect("a key");
            range.contains(item_key.hash())
        };
        ids.find(inside).expect("some text hashes there")
    }

    async fn write(&self, id: &str, value: Option<&str>, fresh: bool) -> Result<(), Error> {
        let name_of_table = &self.table.name;
        let Some(value) = value else {
            let deleted = self.client.delete_item(name_of_table, &key(id), WriteOptions::default()).await;
            return deleted.map(drop);
        };
        let mut whole = item([("id", s(id)), ("value", s(value))]);
        if self.padding > 0 {
            whole.insert(name("padding"), s("p".repeat(self.padding)));
        }
        if fresh {
            let options = WriteOptions {
                condition: Some(Expression::not_exists(&name("id"))),
                ..WriteOptions::default()
            };
            let Prepared { method, body } = Prepared::put(name_of_table, &whole, options)?;
            return self.client.send_prepared_anywhere(method, body).await.map(drop);
        }
        self.client.put_item(name_of_table, &whole, WriteOptions::default()).await.map(drop)
    }
}

fn value_of(image: &Item) -> Option<&str> {
    match image.get("value") {
        Some(AttributeValue::S(text)) => Some(text),
        _ => None,
    }
}

impl Report {
    /// How many writes had an outcome.
    pub fn count(&self, outcome: Outcome) -> usize {
        let attempts = self.diaries.iter().flat_map(|diary| diary.attempts.values().flatten());
        attempts.filter(|attempt| attempt.outcome == outcome).count()
    }

    /// The longest time without an acknowledgement that a writer saw between two moments, by partition: a partition is
    /// as slow as the slower of its writers.
    pub fn pauses_between(&self, (from, to): (Instant, Instant)) -> Vec<Duration> {
        let mut pauses: BTreeMap<usize, Duration> = BTreeMap::new();
        for diary in &self.diaries {
            let pairs = diary.acknowledged_at.windows(2).filter(|pair| pair[1] > from && pair[0] < to);
            let longest = pairs.map(|pair| pair[1].duration_since(pair[0])).max().unwrap_or_default();
            let of_partition = pauses.entry(diary.partition).or_default();
            *of_partition = longest.max(*of_partition);
        }
        pauses.into_values().collect()
    }

    /// The longest pause of all.
    pub fn longest_pause(&self) -> Duration {
        let pauses = self.diaries.iter().flat_map(|diary| diary.acknowledged_at.windows(2));
        pauses.map(|pair| pair[1].duration_since(pair[0])).max().unwrap_or_default()
    }

    /// Whether the stream tells of everything that was acknowledged, once and in order; of what is unknown once or not
    /// at all; of what was refused nothing.
    pub fn check(&self, history: &History, table: &Table) {
        let records = history.by_key(&table.key);
        for (id, attempts) in self.diaries.iter().flat_map(|diary| &diary.attempts) {
            let item_key = table.key.key_of_key(&key(id.as_str())).expect("a key");
            check_key(id, attempts, records.get(&item_key).map_or(&[], Vec::as_slice));
        }
    }
}

fn check_key(id: &str, attempts: &[Attempt], records: &[&Record]) {
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for (place, record) in records.iter().enumerate() {
        if let Some(value) = record.new_image.as_ref().and_then(value_of) {
            let other = places.insert(value, place);
            assert_eq!(other, None, "{id}: the write of {value} is in the stream twice");
        }
    }
    let (mut last, mut before, mut certain) = (None, None::<&str>, true);
    for attempt in attempts {
        let place = attempt.value.as_deref().and_then(|value| places.remove(value));
        match (attempt.outcome, &attempt.value) {
            (Outcome::Acknowledged, Some(value)) => {
                assert!(place.is_some(), "{id}: the acknowledged write of {value} is not in the stream");
                assert!(place > last, "{id}: the write of {value} is not where it was made");
                (last, before) = (place, Some(value.as_str()));
            }
            (Outcome::Acknowledged, None) => {
                // Only if nothing else may have come between.
                if let (Some(value), true) = (before.take(), certain) {
                    let removal = records.get(last.expect("the place of the put before") + 1);
                    let old = removal.and_then(|record| record.old_image.as_ref()).and_then(value_of);
                    let is_removal = removal.is_some_and(|record| record.new_image.is_none());
                    assert!(
                        is_removal && old == Some(value),
                        "{id}: the deletion of {value} is not in the stream"
                    );
                    last = last.map(|place| place + 1);
                }
            }
            (Outcome::Unknown, _) => {
                assert!(place.is_none() || place > last, "{id}: {attempt:?} happened before it was made");
                certain = false;
            }
            (Outcome::Refused, _) => {
                assert_eq!(place, None, "{id}: {attempt:?} happened although it was refused");
            }
        }
    }
    assert!(places.is_empty(), "{id}: the stream tells of writes nobody made: {places:?}");
}
