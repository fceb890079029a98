//! What a stream told, and whether it can be true.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::TryStreamExt;
use tokio::time::Instant;
use watertable::client::{
    Client, EventName, Options, Record, Scan, SequenceNumber, Start, Table, WriteOptions,
};
use watertable::model::{Item, ItemKey, KeySchema, KeyType, TableName};

use super::cluster::{PATIENCE, until};
use super::sample::{b, n, s};

static ENDS: AtomicU64 = AtomicU64::new(0);

/// The records of a stream with their shards, each shard's in the order they were read.
#[derive(Default)]
pub struct History {
    pub records: Vec<(String, Record)>,
}

/// A scan of a whole table.
pub async fn scan(client: &Client, table: &TableName, schema: &KeySchema) -> BTreeMap<ItemKey, Item> {
    let mut items = BTreeMap::new();
    let mut pages = pin!(client.scan_all(table, Scan { consistent: true, ..Scan::default() }));
    while let Some(page) = pages.try_next().await.expect("a page") {
        for item in page.items {
            let item_key = schema.key_of_item(&item).expect("an item has its key");
            let other = items.insert(item_key, item);
            assert!(other.is_none(), "the scan returned an item twice: {other:?}");
        }
    }
    items
}

/// Keys like `prefix-17`, one in each partition of a table whose partition key is a string.
pub fn key_in_each(table: &Table, prefix: &str) -> Vec<String> {
    let within = |partition: &watertable::client::Partition| {
        let mut texts = (0..).map(|number| format!("{prefix}-{number}"));
        let inside = |text: &String| {
            let prefix = table.key.partition_prefix(&s(text.as_str())).expect("a partition key");
            partition.range.contains(ItemKey::from_bytes(prefix).expect("a key").hash())
        };
        texts.find(inside).expect("some text hashes there")
    };
    table.partitions.iter().map(within).collect()
}

impl History {
    /// Reads everything a table's newest stream has, up to now: writes an item into each partition, and reads until
    /// those are found.
    pub async fn read(client: &Client, name: &TableName) -> Self {
        let table = client.describe_table(name).await.expect("the table is there");
        let arn = table.latest_stream_arn.clone().expect("the table has a stream");
        // New keys at every call.
        let prefix = format!("end-{}", ENDS.fetch_add(1, Ordering::Relaxed));
        let sort = table.key.sort.as_ref().map(|sort| match sort.kind {
            KeyType::S => (sort.name.clone(), s("end")),
            KeyType::N => (sort.name.clone(), n(0)),
            KeyType::B => (sort.name.clone(), b(b"end")),
        });
        let end =
            |text| [(table.key.partition.name.clone(), s(text))].into_iter().chain(sort.clone()).collect();
        let ends: Vec<Item> = key_in_each(&table, &prefix).into_iter().map(end).collect();
        for end in &ends {
            until("a write being acknowledged", async || {
                client.put_item(&table.name, end, WriteOptions::default()).await.ok()
            })
            .await;
        }
        let has = |records: &[(String, Record)], end: &Item| {
            records.iter().rev().any(|(_, record)| record.keys == *end)
        };
        Self::read_until(client, &arn, |records| ends.iter().all(|end| has(records, end))).await
    }

    /// Reads a stream from its trim horizon until there is enough.
    pub async fn read_until(
        client: &Client,
        arn: &str,
        enough: impl Fn(&[(String, Record)]) -> bool,
    ) -> Self {
        let deadline = Instant::now() + PATIENCE;
        let mut history = Self::default();
        let stream = client.describe_stream(arn).await.expect("the stream is there");
        let mut iterators = BTreeMap::new();
        for shard in &stream.shards {
            let iterator = client.shard_iterator(arn, &shard.id, &Start::TrimHorizon).await;
            iterators.insert(shard.id.clone(), iterator.expect("an iterator"));
        }
        while !iterators.is_empty() && !enough(&history.records) {
            if Instant::now() >= deadline {
                history.stalled(client, &iterators).await;
            }
            let mut came = false;
            for (shard, iterator) in std::mem::take(&mut iterators) {
                let page = client.get_records(&iterator, 0).await.expect("a page of records");
                came |= !page.records.is_empty();
                history.records.extend(page.records.into_iter().map(|record| (shard.clone(), record)));
                if let Some(next) = page.next {
                    iterators.insert(shard, next);
                }
            }
            if !came {
                tokio::time::sleep(Duration::from_millis(20)).await; // until records come
            }
        }
        history
    }

    /// Panics with what was read of each shard, and what each node says to the iterators at which nothing more comes.
    async fn stalled(&self, client: &Client, iterators: &BTreeMap<String, String>) -> ! {
        let of = |shard: &str| self.records.iter().filter(|(other, _)| other == shard).count();
        let mut told = Vec::new();
        for address in client.addresses() {
            let one = Client::connect(vec![address.clone()], Options::default()).expect("a good address");
            for (shard, iterator) in iterators {
                let page = one.get_records(iterator, 0).await;
                let page = page.map(|page| (page.records.len(), page.next.is_some()));
                told.push(format!("{address}, {shard}: {} records, then {page:?}", of(shard)));
            }
            let status = one.cluster_status_of(&address).await;
            told.extend(
                status.iter().flat_map(|status| &status.replicas).map(|replica| format!("{replica:?}")),
            );
        }
        panic!("the stream tells no more than {} records\n{}", self.records.len(), told.join("\n"));
    }

    /// The records of each key, in order.
    pub fn by_key(&self, schema: &KeySchema) -> BTreeMap<ItemKey, Vec<&Record>> {
        let mut by_key: BTreeMap<ItemKey, Vec<&Record>> = BTreeMap::new();
        for (_, record) in &self.records {
            by_key.entry(schema.key_of_key(&record.keys).expect("a key")).or_default().push(record);
        }
        by_key
    }

    /// No record twice, each shard's numbers rise, and each key's records follow one from the other. Needs both images.
    pub fn check(&self, schema: &KeySchema) {
        let mut last: BTreeMap<&str, &SequenceNumber> = BTreeMap::new();
        let mut ids = BTreeSet::new();
        for (shard, record) in &self.records {
            let number = &record.sequence_number;
            if let Some(before) = last.insert(shard, number) {
                assert!(before < number, "record {number} of {shard} came behind {before}");
            }
            assert!(ids.insert(&record.event_id), "record {number} of {shard} came twice");
        }
        for records in self.by_key(schema).values() {
            let mut before: Option<&Item> = None;
            for record in records {
                assert_eq!(record.old_image.as_ref(), before, "the chain of images is broken: {record:?}");
                assert_ne!(record.new_image.as_ref(), before, "a record of nothing: {record:?}");
                let expected = match (before, &record.new_image) {
                    (None, _) => EventName::Insert,
                    (Some(_), Some(_)) => EventName::Modify,
                    (Some(_), None) => EventName::Remove,
                };
                assert_eq!(record.event_name, expected, "{record:?}");
                before = record.new_image.as_ref();
            }
        }
    }

    /// The items the records make.
    pub fn fold(&self, schema: &KeySchema) -> BTreeMap<ItemKey, Item> {
        let mut items = BTreeMap::new();
        for (_, record) in &self.records {
            let item_key = schema.key_of_key(&record.keys).expect("a key");
            match &record.new_image {
                Some(image) => _ = items.insert(item_key, image.clone()),
                None => _ = items.remove(&item_key),
            }
        }
        items
    }
}

/// Whether table and stream agree; gives the stream.
pub async fn verified(client: &Client, name: &TableName) -> History {
    let schema = client.describe_table(name).await.expect("the table is there").key;
    let history = History::read(client, name).await;
    history.check(&schema);
    assert_same(&history.fold(&schema), &scan(client, name, &schema).await);
    history
}

/// Two tables are the same; else says where not, briefly.
pub fn assert_same(fold: &BTreeMap<ItemKey, Item>, table: &BTreeMap<ItemKey, Item>) {
    let keys: BTreeSet<&ItemKey> = fold.keys().chain(table.keys()).collect();
    for item_key in keys {
        assert_eq!(fold.get(item_key), table.get(item_key), "stream (left) and table (right) differ");
    }
}

/// What one node has of a stream, from its trim horizon to its end; `None` if it could not be read just now.
pub async fn all_of(client: &Client, arn: &str) -> Option<Vec<(String, Record)>> {
    let mut records = Vec::new();
    for shard in client.describe_stream(arn).await.ok()?.shards {
        let mut iterator = client.shard_iterator(arn, &shard.id, &Start::TrimHorizon).await.ok()?;
        loop {
            let page = client.get_records(&iterator, 0).await.ok()?;
            let empty = page.records.is_empty();
            records.extend(page.records.into_iter().map(|record| (shard.id.clone(), record)));
            match page.next {
                Some(next) if !empty => iterator = next,
                _ => break,
            }
        }
    }
    Some(records)
}
