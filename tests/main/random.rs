//! All item operations at random while nodes are killed: every answer is what a model says, and in the end so are the
//! table and its stream.
//!
//! Each writer has partition keys of its own, so its model of their items is exact. A write of unknown outcome is
//! settled before the writer goes on: a write that changes nothing goes the same way behind it, and then a consistent
//! read tells.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures::TryStreamExt;
use tokio::task::JoinSet;
use tokio::time::Instant;
use watertable::client::{
    BatchGet, BatchWrite, Client, Error, Expression, Kind, NewTable, Query, ReturnValues, Scan,
    StreamViewType, Table, WriteOptions, Written,
};
use watertable::model::{AttributeValue, Item, ItemKey, KeyType, Number};

use super::cluster::{Cluster, PATIENCE, until};
use super::history::{self, History, assert_same, verified};
use super::sample::{self, item, n, name, noise, s, schema, table_name};

const TABLE: &str = "random";
const WRITERS: u64 = 4;
/// Partition keys of each writer.
const IDS: u64 = 4;
/// Sort keys of each partition key.
const PLACES: u64 = 6;
const KILL_EVERY: Duration = Duration::from_secs(5);

#[expect(clippy::disallowed_methods, reason = "for runs by hand")]
fn setting(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Numbers that look random.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(1);
        noise(self.0) % bound
    }
}

type Key = (String, u64);

fn key_item((id, at): &Key) -> Item {
    item([("id", s(id.as_str())), ("at", n(at))])
}

fn number_of(item: &Item, attribute: &str) -> Option<Number> {
    match item.get(attribute) {
        Some(AttributeValue::N(number)) => Some(*number),
        _ => None,
    }
}

fn tags(members: &[u64]) -> AttributeValue {
    AttributeValue::Ns(members.iter().map(|member| Number::from(*member)).collect())
}

/// A writer, and what it knows of its items.
struct Writer {
    client: Client,
    table: Table,
    number: u64,
    random: Random,
    count: u64,
    items: BTreeMap<Key, Item>,
    /// What each key was, one after another; the first is nothing.
    story: BTreeMap<Key, Vec<Option<Item>>>,
    unknown: u64,
    unavailable: u64,
    refused: u64,
}

/// An update and what it makes of an item.
struct Update {
    expression: Expression,
    becomes: Option<Item>,
}

impl Writer {
    async fn run(mut self, stop: &AtomicBool, done: &AtomicU64) -> Self {
        while !stop.load(Ordering::Relaxed) {
            self.count += 1;
            match self.random.below(100) {
                0..20 => self.put().await,
                20..45 => self.update().await,
                45..58 => self.guarded().await,
                58..64 => self.delete().await,
                64..74 => self.batch_write().await,
                74..84 => self.get().await,
                84..92 => self.query().await,
                92..97 => self.batch_get().await,
                _ => self.scan().await,
            }
            done.fetch_add(1, Ordering::Relaxed);
        }
        self
    }

    fn id(&mut self) -> String {
        format!("writer {} key {}", self.number, self.random.below(IDS))
    }

    fn key(&mut self) -> Key {
        (self.id(), self.random.below(PLACES))
    }

    fn new_item(&mut self, key: &Key) -> Item {
        let mut whole = key_item(key);
        whole.insert(name("count"), n(self.random.below(5)));
        whole.insert(name("by"), s(format!("{}/{}", self.number, self.count)));
        if self.random.below(2) == 0 {
            whole.insert(name("tags"), tags(&[self.random.below(4), 9]));
        }
        if self.random.below(8) == 0 {
            whole.insert(name("text"), s("t".repeat(self.random.below(20_000) as usize)));
        }
        whole
    }

    /// Of a write to a key: what it becomes, if the write was done.
    async fn settle(&mut self, key: &Key, becomes: Option<Item>, outcome: Result<Written, Error>) {
        match outcome {
            Ok(_) => self.note(key, becomes),
            Err(error) => match error.kind() {
                Kind::Unavailable => self.unavailable += 1,
                Kind::Unknown => {
                    self.unknown += 1;
                    self.look(key, becomes).await;
                }
                kind => panic!("a write of {key:?} came to {kind:?}: {error}"),
            },
        }
    }

    /// A key is something now.
    fn note(&mut self, key: &Key, now: Option<Item>) {
        if self.items.get(key) == now.as_ref() {
            return;
        }
        match now.clone() {
            Some(whole) => _ = self.items.insert(key.clone(), whole),
            None => _ = self.items.remove(key),
        }
        self.story.entry(key.clone()).or_default().push(now);
    }

    /// Finds out whether a write was done.
    async fn look(&mut self, key: &Key, becomes: Option<Item>) {
        let (table, its_key, deadline) = (&self.table.name, key_item(key), Instant::now() + PATIENCE);
        let now = loop {
            assert!(Instant::now() < deadline, "{key:?} cannot be looked at");
            // Behind the other one on its way: when it is answered, that one has happened or never will.
            let nothing = Some(Expression::new("REMOVE nothing"));
            let behind = self.client.update_item(table, &its_key, nothing, WriteOptions::default()).await;
            if behind.is_ok()
                && let Ok(now) = self.client.get_item(table, &its_key, true).await
            {
                break now;
            }
            tokio::time::sleep(Duration::from_millis(20)).await; // until there is a leader
        };
        let before = self.items.get(key);
        assert!(
            now.as_ref() == before || now == becomes,
            "{key:?} is {now:?}: neither what it was, {before:?}, nor what was written, {becomes:?}"
        );
        self.note(key, now);
    }

    async fn put(&mut self) {
        let key = self.key();
        let whole = self.new_item(&key);
        let outcome = self.client.put_item(&self.table.name, &whole, WriteOptions::default()).await;
        self.settle(&key, Some(whole), outcome).await;
    }

    async fn delete(&mut self) {
        let key = self.key();
        let options = WriteOptions { return_values: ReturnValues::AllOld, ..WriteOptions::default() };
        let outcome = self.client.delete_item(&self.table.name, &key_item(&key), options).await;
        if let Ok(written) = &outcome {
            assert_eq!(written.attributes.as_ref(), self.items.get(&key), "a deletion of {key:?}");
        }
        self.settle(&key, None, outcome).await;
    }

    /// An update at random.
    fn change(&mut self, key: &Key) -> Update {
        let before = self.items.get(key).cloned();
        let by = s(format!("{}/{}", self.number, self.count));
        let amount = self.random.below(4);
        let mut after = before.clone().unwrap_or_else(|| key_item(key));
        let mut becomes = true;
        let expression = match self.random.below(5) {
            0 => {
                let count = number_of(&after, "count").map_or(0, |count| count.to_i64().expect("small"));
                after.insert(name("count"), n(count + amount as i64));
                after.insert(name("by"), by.clone());
                Expression::new("SET #c = if_not_exists(#c, :zero) + :amount, #by = :by")
                    .name("#c", "count")
                    .value(":zero", n(0))
                    .value(":amount", n(amount))
                    .name("#by", "by")
                    .value(":by", by)
            }
            1 => {
                let count = number_of(&after, "count").map_or(0, |count| count.to_i64().expect("small"));
                after.insert(name("count"), n(count + amount as i64));
                Expression::new("ADD #c :amount").name("#c", "count").value(":amount", n(amount))
            }
            2 => return self.list_update(key, amount, by),
            3 => {
                let mut members = match after.remove("tags") {
                    Some(AttributeValue::Ns(members)) => members,
                    _ => Default::default(),
                };
                members.insert(Number::from(amount));
                after.insert(name("tags"), AttributeValue::Ns(members));
                Expression::new("ADD tags :amount").value(":amount", tags(&[amount]))
            }
            _ => {
                let emptied = match after.get_mut("tags") {
                    Some(AttributeValue::Ns(members)) => {
                        members.remove(&Number::from(amount));
                        members.is_empty()
                    }
                    _ => false,
                };
                if emptied {
                    after.remove("tags");
                }
                after.remove("text");
                becomes = before.is_some();
                let text = "DELETE tags :amount REMOVE #text";
                Expression::new(text).value(":amount", tags(&[amount])).name("#text", "text")
            }
        };
        Update { expression, becomes: becomes.then_some(after) }
    }

    /// An update of a list: something new in front, or, if it is long, two elements less and a new one at the end.
    fn list_update(&self, key: &Key, amount: u64, by: AttributeValue) -> Update {
        let mut after = self.items.get(key).cloned().unwrap_or_else(|| key_item(key));
        let mut list = match after.remove("list") {
            Some(AttributeValue::L(list)) => list,
            _ => Vec::new(),
        };
        let expression = if list.len() == 4 {
            list.drain(..2);
            list[1] = n(amount);
            Expression::new("REMOVE #l[0], #l[1] SET #l[3] = :amount").value(":amount", n(amount))
        } else {
            list.insert(0, by.clone());
            let expression = Expression::new("SET #l = list_append(:one, if_not_exists(#l, :empty))");
            let expression = expression.value(":one", AttributeValue::L(vec![by]));
            expression.value(":empty", AttributeValue::L(Vec::new()))
        };
        after.insert(name("list"), AttributeValue::L(list));
        Update { expression: expression.name("#l", "list"), becomes: Some(after) }
    }

    async fn update(&mut self) {
        let key = self.key();
        let Update { expression, becomes } = self.change(&key);
        let options = WriteOptions { return_values: ReturnValues::AllNew, ..WriteOptions::default() };
        let outcome =
            self.client.update_item(&self.table.name, &key_item(&key), Some(expression), options).await;
        if let Ok(written) = &outcome {
            assert_eq!(written.attributes, becomes, "an update of {key:?}");
        }
        self.settle(&key, becomes, outcome).await;
    }

    /// A write with a condition, of which the model says whether it holds.
    async fn guarded(&mut self) {
        let key = self.key();
        let before = self.items.get(&key).cloned();
        let least = self.random.below(6);
        let count = before.as_ref().and_then(|item| number_of(item, "count"));
        let (condition, holds) = match self.random.below(3) {
            0 => (Expression::new("attribute_not_exists(id)"), before.is_none()),
            1 => (Expression::new("attribute_exists(#at)").name("#at", "at"), before.is_some()),
            _ => {
                let condition = Expression::new("#count >= :least").name("#count", "count");
                (condition.value(":least", n(least)), count.is_some_and(|count| count >= Number::from(least)))
            }
        };
        let options =
            WriteOptions { condition: Some(condition), show_rejected: true, ..WriteOptions::default() };
        let (client, table, its_key) = (&self.client, &self.table.name, key_item(&key));
        let (becomes, outcome) = match self.random.below(3) {
            0 => (None, client.delete_item(table, &its_key, options).await),
            1 => {
                let (client, table) = (client.clone(), table.clone());
                let Update { expression, becomes } = self.change(&key);
                (becomes, client.update_item(&table, &its_key, Some(expression), options).await)
            }
            _ => {
                let (client, table) = (client.clone(), table.clone());
                let whole = self.new_item(&key);
                (Some(whole.clone()), client.put_item(&table, &whole, options).await)
            }
        };
        match outcome {
            Err(error) if error.is_condition_failed() => {
                assert!(!holds, "a condition on {key:?} failed of {before:?}");
                assert_eq!(error.item(), before.as_ref(), "the item shown of {key:?}");
                self.refused += 1;
            }
            Ok(_) => {
                assert!(holds, "a condition on {key:?} held of {before:?}");
                self.settle(&key, becomes, outcome).await;
            }
            // What cannot happen must not have happened.
            Err(_) if !holds => self.settle(&key, before, outcome).await,
            Err(_) => self.settle(&key, becomes, outcome).await,
        }
    }

    async fn batch_write(&mut self) {
        let mut writes: BTreeMap<Key, Option<Item>> = BTreeMap::new();
        for _ in 0..self.random.below(12) + 1 {
            let key = self.key();
            let whole = (self.random.below(4) > 0).then(|| self.new_item(&key));
            writes.insert(key, whole);
        }
        let table = &self.table.name;
        let requests = writes.iter().map(|(key, whole)| match whole {
            Some(whole) => BatchWrite::Put(table.clone(), whole.clone()),
            None => BatchWrite::Delete(table.clone(), key_item(key)),
        });
        let outcome = self.client.batch_write(&requests.collect::<Vec<_>>()).await;
        for (key, becomes) in writes {
            self.settle(&key, becomes, outcome.clone().map(|()| Written::default())).await;
        }
    }

    /// An answer, or nothing if none could be had: then it must be for want of a leader.
    fn answer<T>(&mut self, what: &str, outcome: Result<T, Error>) -> Option<T> {
        match outcome {
            Ok(answer) => Some(answer),
            Err(error) => {
                assert_eq!(error.kind(), Kind::Unavailable, "{what}: {error}");
                self.unavailable += 1;
                None
            }
        }
    }

    async fn get(&mut self) {
        let key = self.key();
        let consistent = self.random.below(3) > 0;
        let outcome = self.client.get_item(&self.table.name, &key_item(&key), consistent).await;
        let Some(read) = self.answer("a read", outcome) else { return };
        if consistent {
            assert_eq!(read.as_ref(), self.items.get(&key), "a consistent read of {key:?}");
        } else {
            let been = self.story.get(&key).is_some_and(|story| story.contains(&read));
            assert!(been || read.is_none(), "{key:?} never was {read:?}");
        }
    }

    async fn query(&mut self) {
        let (id, reverse) = (self.id(), self.random.below(2) == 0);
        let (from, to) = (self.random.below(PLACES), self.random.below(PLACES + 1));
        let key = Expression::new("id = :id AND #at BETWEEN :from AND :to").name("#at", "at");
        let key = key.value(":id", s(id.as_str())).value(":from", n(from)).value(":to", n(from.max(to)));
        let limit = Some(self.random.below(4) as u32 + 1);
        let query = Query { key, reverse, limit, consistent: true, ..Query::default() };
        let outcome = self.client.query_all(&self.table.name, query).try_collect::<Vec<_>>().await;
        let Some(pages) = self.answer("a query", outcome) else { return };
        let found: Vec<Item> = pages.into_iter().flat_map(|page| page.items).collect();
        let range = (id.clone(), from)..=(id, from.max(to));
        let mut expected: Vec<Item> = self.items.range(range.clone()).map(|(_, item)| item.clone()).collect();
        if reverse {
            expected.reverse();
        }
        assert_eq!(found, expected, "a query of {range:?}");
    }

    async fn batch_get(&mut self) {
        let mut keys: Vec<Key> = (0..self.random.below(20) + 1).map(|_| self.key()).collect();
        keys.sort();
        keys.dedup();
        let get = BatchGet {
            table: self.table.name.clone(),
            keys: keys.iter().map(key_item).collect(),
            consistent: true,
            projection: None,
        };
        let outcome = self.client.batch_get(&[get]).await;
        let Some(found) = self.answer("a batch of reads", outcome) else { return };
        let key_of = |item: &Item| self.table.key.key_of_item(item).expect("a key");
        let found: BTreeMap<ItemKey, Item> =
            found.into_iter().map(|(_, item)| (key_of(&item), item)).collect();
        let expected = keys.iter().filter_map(|key| self.items.get(key));
        let expected = expected.map(|item| (key_of(item), item.clone())).collect();
        assert_same(&found, &expected);
    }

    async fn scan(&mut self) {
        let mine = format!("writer {} ", self.number);
        let filter = Some(Expression::new("begins_with(id, :mine)").value(":mine", s(mine)));
        let total = self.random.below(3) as u32 + 1;
        let mut found = BTreeMap::new();
        for segment in 0..total {
            let scan = Scan {
                filter: filter.clone(),
                segment: (total > 1).then_some((segment, total)),
                limit: Some(self.random.below(40) as u32 + 5),
                consistent: true,
                ..Scan::default()
            };
            let outcome = self.client.scan_all(&self.table.name, scan).try_collect::<Vec<_>>().await;
            let Some(pages) = self.answer("a scan", outcome) else { return };
            for whole in pages.into_iter().flat_map(|page| page.items) {
                let item_key = self.table.key.key_of_item(&whole).expect("a key");
                assert!(found.insert(item_key, whole).is_none(), "an item twice in a scan");
            }
        }
        assert_same(&found, &self.model());
    }

    fn model(&self) -> BTreeMap<ItemKey, Item> {
        let key_of = |item: &Item| self.table.key.key_of_item(item).expect("a key");
        self.items.values().map(|item| (key_of(item), item.clone())).collect()
    }

    /// The stream tells of each key what the writer knows, one record for a change.
    fn check(&self, history: &History) {
        let records = history.by_key(&self.table.key);
        for id in 0..IDS {
            for at in 0..PLACES {
                let key = (format!("writer {} key {id}", self.number), at);
                let item_key = self.table.key.key_of_key(&key_item(&key)).expect("a key");
                let told = records.get(&item_key).into_iter().flatten().map(|record| &record.new_image);
                let told: Vec<_> = told.collect();
                let known: Vec<_> = self.story.get(&key).into_iter().flatten().collect();
                let differ = told.iter().zip(&known).position(|(told, known)| told != known);
                let place = differ.unwrap_or(told.len().min(known.len()));
                let at_place = (told.get(place), known.get(place));
                assert_eq!(
                    at_place,
                    (None, None),
                    "{key:?}: record {place} (left) and what was done (right) differ"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_operations_while_nodes_die_are_what_a_model_says() {
    let seed = setting("WATERTABLE_SEED", 1);
    let seconds = setting("WATERTABLE_RANDOM_SECONDS", 20);
    eprintln!("WATERTABLE_SEED={seed} WATERTABLE_RANDOM_SECONDS={seconds}");
    let mut cluster = Cluster::start(3).await;
    let client = cluster.client();
    let new = NewTable {
        key: schema(("id", KeyType::S), Some(("at", KeyType::N))),
        ..sample::table(TABLE, Some(StreamViewType::NewAndOldImages))
    };
    client.create_table(&new).await.expect("a table is created");
    let table = cluster.everywhere(&table_name(TABLE)).await;
    let (stop, done) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
    let mut writers = JoinSet::new();
    for number in 0..WRITERS {
        let writer = Writer {
            client: cluster.client(),
            table: table.clone(),
            number,
            random: Random(noise(seed).wrapping_add(noise(number))),
            count: 0,
            items: BTreeMap::new(),
            story: BTreeMap::new(),
            unknown: 0,
            unavailable: 0,
            refused: 0,
        };
        let (stop, done) = (stop.clone(), done.clone());
        writers.spawn(async move { writer.run(&stop, &done).await });
    }
    let mut random = Random(noise(seed ^ 0xdead));
    let began = Instant::now();
    let mut kills = 0;
    while began.elapsed() < Duration::from_secs(seconds) && writers.len() == WRITERS as usize {
        tokio::time::sleep(KILL_EVERY.min(Duration::from_secs(seconds))).await; // a pace, until it is time to end
        if let Some(early) = writers.try_join_next() {
            early.expect("a writer found nothing wrong");
        }
        let victim = random.below(3) as usize;
        cluster.kill(victim);
        kills += 1;
        let goal = done.load(Ordering::Relaxed) + 20 * WRITERS;
        until("operations going on", async || (done.load(Ordering::Relaxed) > goal).then_some(())).await;
        cluster.start_node(victim);
        cluster.ready().await;
    }
    stop.store(true, Ordering::Relaxed);
    let writers = writers.join_all().await;
    let sum = |count: fn(&Writer) -> u64| writers.iter().map(count).sum::<u64>();
    eprintln!(
        "{} operations, {kills} kills: {} conditions failed, {} unknown, {} unavailable",
        done.load(Ordering::Relaxed),
        sum(|writer| writer.refused),
        sum(|writer| writer.unknown),
        sum(|writer| writer.unavailable)
    );
    let history = verified(&client, &table.name).await;
    writers.iter().for_each(|writer| writer.check(&history));
    let mut items = history::scan(&client, &table.name, &table.key).await;
    // But for the ends that `verified` writes.
    items
        .retain(|_, item| matches!(item.get("id"), Some(AttributeValue::S(id)) if id.starts_with("writer ")));
    let model = writers.iter().flat_map(Writer::model).collect();
    assert_same(&items, &model);
}
