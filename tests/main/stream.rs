//! The stream: each change once, in order per key, as the view type says; iterators; turning it off and on; following it.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream};
use watertable::client::{
    BatchWrite, Client, Delivery, EventName, Expression, Kind, NewTable, Record, SequenceNumber, Start,
    StreamStatus, StreamViewType, Subscription, WriteOptions,
};
use watertable::model::{Item, TableName};

use super::cluster::{Cluster, until};
use super::history::{self, History, all_of, assert_same};
use super::sample::{self, airport, item, key, n, name, s};

const AIRPORTS: usize = 600;
/// Calls at once.
const CALLS: usize = 32;

fn plain() -> WriteOptions {
    WriteOptions::default()
}

fn key_of(whole: &Item) -> Item {
    item([("id", whole.get("id").cloned().expect("it has a key"))])
}

/// An airport after its one change.
fn changed(at: usize) -> Item {
    let mut whole = airport(at);
    whole.insert(name("elevation"), n(format!("-{at}.5")));
    whole.insert(name("note"), s("changed"));
    whole.remove("runways");
    whole
}

async fn load(client: &Client, table: &TableName) {
    let items: Vec<Item> = (0..AIRPORTS).map(airport).collect();
    let batches = items.chunks(25).map(|items| {
        let writes: Vec<_> = items.iter().map(|item| BatchWrite::Put(table.clone(), item.clone())).collect();
        async move { client.batch_write(&writes).await.expect("a batch is written") }
    });
    stream::iter(batches).buffer_unordered(8).collect::<Vec<()>>().await;
    let changes = (0..AIRPORTS).map(|at| async move {
        let set = item([("elevation", n(format!("-{at}.5"))), ("note", s("changed"))]);
        let key = key_of(&airport(at));
        let update = Expression::assign(&set, &[name("runways")]);
        client.update_item(table, &key, update, plain()).await.expect("it is updated");
        // The same again changes nothing.
        client.put_item(table, &changed(at), plain()).await.expect("it is put");
        if at % 3 == 0 {
            client.delete_item(table, &key, plain()).await.expect("it is deleted");
        }
    });
    stream::iter(changes).buffer_unordered(CALLS).collect::<Vec<()>>().await;
}

#[tokio::test]
async fn each_view_type_shows_each_change_once() {
    use StreamViewType::{KeysOnly, NewAndOldImages, NewImage, OldImage};
    let cluster = Cluster::start(3).await;
    let client = cluster.client();
    for view in [KeysOnly, NewImage, OldImage, NewAndOldImages] {
        let new = NewTable { partitions: 3, ..sample::table(view.as_str_name(), Some(view)) };
        client.create_table(&new).await.expect("a table is created");
        let table = cluster.everywhere(&new.name).await;
        load(&client, &new.name).await;
        let history = History::read(&client, &new.name).await;
        let arn = table.latest_stream_arn.as_deref().expect("a stream");
        assert_eq!(client.describe_stream(arn).await.expect("a stream").view_type, view);
        let (new_shown, old_shown) =
            (view != KeysOnly && view != OldImage, view != KeysOnly && view != NewImage);
        let by_key = history.by_key(&new.key);
        for at in 0..AIRPORTS {
            let (before, after) = (airport(at), changed(at));
            let item_key = new.key.key_of_item(&before).expect("a key");
            let mut told = by_key.get(&item_key).expect("it is told of").iter();
            let mut next = |event, old: Option<&Item>, new: Option<&Item>| {
                let record = told.next().unwrap_or_else(|| panic!("airport {at}: no {event:?}"));
                let (old, new) = (old.filter(|_| old_shown), new.filter(|_| new_shown));
                assert_eq!(record.event_name, event, "airport {at}");
                assert_eq!(
                    (record.old_image.as_ref(), record.new_image.as_ref()),
                    (old, new),
                    "airport {at}"
                );
                assert_eq!(record.keys, key_of(&before));
                let size = record.keys.size() + old.map_or(0, Item::size) + new.map_or(0, Item::size);
                assert_eq!(record.size_bytes, size as u64, "airport {at}, {event:?}");
                assert!((21..=40).contains(&record.sequence_number.as_str().len()));
                assert!(record.event_id.len() == 32 && u128::from_str_radix(&record.event_id, 16).is_ok());
            };
            next(EventName::Insert, None, Some(&before));
            next(EventName::Modify, Some(&before), Some(&after));
            if at % 3 == 0 {
                next(EventName::Remove, Some(&after), None);
            }
            assert_eq!(told.count(), 0, "airport {at}: there is more");
        }
        let ids: BTreeSet<_> = history.records.iter().map(|(_, record)| &record.event_id).collect();
        // And the ends that `read` put, one in each partition.
        assert_eq!((ids.len(), history.records.len()), (AIRPORTS * 7 / 3 + 3, AIRPORTS * 7 / 3 + 3));
        rising(&history);
        let items = history::scan(&client, &new.name, &new.key).await;
        assert_eq!(items.len(), AIRPORTS * 2 / 3 + 3);
        if new_shown {
            assert_same(&history.fold(&new.key), &items);
        }
    }
}

/// Numbers rise in each shard, and times do not fall.
fn rising(history: &History) {
    let mut last: BTreeMap<&str, (&SequenceNumber, u64)> = BTreeMap::new();
    for (shard, record) in &history.records {
        let this = (&record.sequence_number, record.created_ms);
        if let Some(before) = last.insert(shard, this) {
            assert!(before.0 < this.0 && before.1 <= this.1, "{this:?} came behind {before:?}");
        }
    }
}

/// Everything from an iterator up to where the log ends now, page by page.
async fn read(client: &Client, mut iterator: String, limit: u32) -> (Vec<Record>, Option<String>) {
    let mut records = Vec::new();
    loop {
        let page = client.get_records(&iterator, limit).await.expect("a page");
        assert!(limit == 0 || page.records.len() <= limit as usize);
        let empty = page.records.is_empty();
        records.extend(page.records);
        match page.next {
            Some(next) if !empty => iterator = next,
            next => return (records, next),
        }
    }
}

fn numbers(records: &[Record]) -> Vec<&SequenceNumber> {
    records.iter().map(|record| &record.sequence_number).collect()
}

#[tokio::test]
async fn iterators_start_where_they_should() {
    let cluster = Cluster::start(1).await;
    let client = cluster.client();
    let new = NewTable { partitions: 1, ..sample::table("iterators", Some(StreamViewType::NewImage)) };
    client.create_table(&new).await.expect("a table is created");
    let arn = cluster.everywhere(&new.name).await.latest_stream_arn.expect("a stream");
    let shard = client.describe_stream(&arn).await.expect("a stream").shards.remove(0);
    for at in 0..20 {
        client
            .put_item(&new.name, &item([("id", s(format!("{}", at % 3))), ("at", n(at))]), plain())
            .await
            .expect("put");
        if at == 9 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await; // until the clock shows another time to start at
        }
    }
    let from = async |start: Start| {
        let iterator = client.shard_iterator(&arn, &shard.id, &start).await.expect("an iterator");
        assert!(iterator.starts_with(&arn), "{iterator}");
        read(&client, iterator, 0).await.0
    };
    let all = from(Start::TrimHorizon).await;
    assert_eq!(all.len(), 20);
    let at = |at: usize| all[at].sequence_number.clone();
    assert_eq!(numbers(&from(Start::At(at(5))).await), numbers(&all[5..]));
    assert_eq!(numbers(&from(Start::After(at(5))).await), numbers(&all[6..]));
    assert_eq!(
        numbers(&from(Start::At(shard.starting.clone())).await),
        numbers(&all),
        "at the shard's start"
    );
    assert_eq!(from(Start::After(at(19))).await.len(), 0);
    assert_eq!(numbers(&from(Start::AtTimestamp(0)).await), numbers(&all));
    let first = all.iter().position(|record| record.created_ms >= all[10].created_ms).expect("itself");
    assert!(first > 0, "the pause made a difference");
    assert_eq!(numbers(&from(Start::AtTimestamp(all[10].created_ms)).await), numbers(&all[first..]));
    assert_eq!(from(Start::AtTimestamp(all[19].created_ms + 1)).await.len(), 0);
    // Paged, and read again: the same.
    let iterator = client.shard_iterator(&arn, &shard.id, &Start::TrimHorizon).await.expect("an iterator");
    for limit in [1, 3, 20] {
        let (again, _) = read(&client, iterator.clone(), limit).await;
        assert_eq!(numbers(&again), numbers(&all), "limit {limit}");
        assert!(again.iter().zip(&all).all(|(again, record)| again.event_id == record.event_id));
    }
    // LATEST sees what comes, and an empty page has an iterator of its own.
    let latest = client.shard_iterator(&arn, &shard.id, &Start::Latest).await.expect("an iterator");
    let (nothing, next) = read(&client, latest, 0).await;
    assert_eq!(nothing.len(), 0);
    client.put_item(&new.name, &key("late"), plain()).await.expect("put");
    let (late, _) = read(&client, next.expect("it is open"), 0).await;
    assert_eq!(late.len(), 1);
    assert_eq!(late[0].keys, key("late"));
    // Another stream's number, in a closed shard: out of its range.
    client.update_stream(&new.name, None).await.expect("turned off");
    cluster.everywhere(&new.name).await;
    let closed = client.describe_stream(&arn).await.expect("a stream").shards.remove(0);
    let ending = closed.ending.expect("it is closed");
    assert!(ending >= late[0].sequence_number);
    let beyond: u128 = ending.as_str().parse::<u128>().expect("a number") + 10_000_000_000;
    let error =
        client.shard_iterator(&arn, &shard.id, &Start::At(SequenceNumber::new(beyond.to_string()))).await;
    let error = error.expect_err("out of range");
    assert_eq!((error.kind(), error.reason()), (Kind::Invalid, "ValidationException"), "{error}");
}

#[tokio::test]
async fn a_stream_is_turned_off_and_on_again() {
    let cluster = Cluster::start(3).await;
    let client = cluster.client();
    let new = sample::table("switched", Some(StreamViewType::NewAndOldImages));
    client.create_table(&new).await.expect("a table is created");
    let first = cluster.everywhere(&new.name).await.latest_stream_arn.expect("a stream");
    let put = async |id: String| client.put_item(&new.name, &key(id), plain()).await.expect("it is put");
    for at in 0..40 {
        put(format!("first-{at}")).await;
    }
    let shard = client.describe_stream(&first).await.expect("a stream").shards.remove(0);
    let open = client.shard_iterator(&first, &shard.id, &Start::Latest).await.expect("an iterator");
    client.update_stream(&new.name, None).await.expect("it is turned off");
    assert_eq!(cluster.everywhere(&new.name).await.stream, None);
    for at in 0..40 {
        put(format!("between-{at}")).await;
    }
    client.update_stream(&new.name, Some(StreamViewType::KeysOnly)).await.expect("it is turned on");
    let table = cluster.everywhere(&new.name).await;
    let second = table.latest_stream_arn.clone().expect("a stream");
    assert_eq!(table.stream, Some(StreamViewType::KeysOnly));
    assert_ne!(first, second);
    for at in 0..40 {
        put(format!("second-{at}")).await;
    }
    let names = client.list_streams(Some(&new.name)).await.expect("names");
    assert_eq!(names.iter().map(|name| &name.arn).collect::<Vec<_>>(), [&first, &second]);
    for (arn, status, prefix) in
        [(&first, StreamStatus::Disabled, "first"), (&second, StreamStatus::Enabled, "second")]
    {
        let described = client.describe_stream(arn).await.expect("a stream");
        assert_eq!((described.status, described.shards.len()), (status, 4));
        assert!(
            described.shards.iter().all(|shard| shard.ending.is_some() == (status == StreamStatus::Disabled))
        );
        assert!(described.shards.is_sorted_by(|a, b| a.id < b.id));
        let history = History::read_until(&client, arn, |records| records.len() >= 40).await;
        assert_eq!(history.records.len(), 40);
        for (shard, record) in &history.records {
            let id = format!("{:?}", record.keys);
            assert!(id.contains(prefix), "{id} is in the {prefix} stream");
            let shard = described.shards.iter().find(|other| other.id == *shard).expect("its shard");
            assert!(shard.starting <= record.sequence_number);
            assert!(shard.ending.as_ref().is_none_or(|ending| record.sequence_number <= *ending));
        }
    }
    // What is off ends: no next iterator.
    let drained = History::read_until(&client, &first, |_| false).await;
    assert_eq!(drained.records.len(), 40);
    let (late, next) = read(&client, open, 0).await;
    assert_eq!((late.len(), next), (0, None), "an iterator from before it was closed ends, too");
}

#[tokio::test]
async fn the_stream_of_a_deleted_table_outlives_it_for_a_while() {
    let cluster = Cluster::start(3).await;
    let client = cluster.client();
    let new =
        NewTable { retention_ms: 4000, ..sample::table("mortal", Some(StreamViewType::NewAndOldImages)) };
    client.create_table(&new).await.expect("a table is created");
    let first = cluster.everywhere(&new.name).await;
    let arn = first.latest_stream_arn.clone().expect("a stream");
    for at in 0..40 {
        client.put_item(&new.name, &key(format!("{at}")), plain()).await.expect("it is put");
    }
    client.delete_table(&new.name).await.expect("it is deleted");
    client.wait_deleted(&new.name, super::cluster::PATIENCE).await.expect("it goes");
    // Recreated at once, under the same name: another table, another stream.
    client.create_table(&new).await.expect("a table is created");
    let again = cluster.everywhere(&new.name).await;
    let other = again.latest_stream_arn.clone().expect("a stream");
    assert_ne!((&first.id, &arn), (&again.id, &other));
    assert_eq!(
        client.get_item(&new.name, &key("1"), true).await.expect("a read"),
        None,
        "the items are gone"
    );
    assert_eq!(history::scan(&client, &new.name, &new.key).await.len(), 0);
    let history = History::read_until(&client, &arn, |_| false).await;
    assert_eq!(history.records.len(), 40, "the deleted table's stream can be read to its end");
    client.put_item(&new.name, &key("new"), plain()).await.expect("it is put");
    until("the old stream going away", async || {
        let names = client.list_streams(Some(&new.name)).await.ok()?;
        let left: Vec<_> = names.into_iter().map(|name| name.arn).collect();
        (left == [other.clone()]).then_some(())
    })
    .await;
    for at in 0..3 {
        let gone = until("the node hearing of it", async || {
            cluster.client_of(at).describe_stream(&arn).await.err().filter(|error| error.is_not_found())
        });
        assert_eq!(gone.await.reason(), "ResourceNotFoundException");
    }
    assert_eq!(client.get_item(&new.name, &key("new"), true).await.expect("a read"), Some(key("new")));
}

#[tokio::test]
async fn whoever_reads_to_the_end_sees_what_was_acknowledged_before() {
    let mut cluster = Cluster::start(3).await;
    let client = cluster.client();
    let new = NewTable { partitions: 2, ..sample::table("to-the-end", Some(StreamViewType::KeysOnly)) };
    client.create_table(&new).await.expect("a table is created");
    let arn = cluster.everywhere(&new.name).await.latest_stream_arn.expect("a stream");
    let mut written = 0;
    let mut put = async || {
        until("a write", async || client.put_item(&new.name, &key(format!("{written}")), plain()).await.ok())
            .await;
        written += 1;
        written
    };
    for round in 0..3 {
        // Followers apply later than the leader answers, and yet.
        for at in [0, 1, 2, 2, 1, 0] {
            let written = put().await;
            let read = until("an answer", async || all_of(&cluster.client_of(at), &arn).await).await;
            assert_eq!(read.len(), written, "round {round}, node {at}");
        }
        // One that was away, from its first answer on.
        cluster.kill(round);
        let mut written = 0;
        for _ in 0..5 {
            written = put().await;
        }
        cluster.start_node(round);
        for _ in 0..10 {
            let read = until("an answer", async || all_of(&cluster.client_of(round), &arn).await).await;
            assert_eq!(read.len(), written, "node {round} is back");
        }
        cluster.ready().await;
    }
}

/// Takes records until there are `count`.
async fn take(subscription: &mut Subscription, count: usize, into: &mut Vec<(String, Record)>) {
    until("records being pushed", async || {
        let waited = tokio::time::timeout(super::cluster::PATIENCE, subscription.next_delivery()).await;
        if let Some(Delivery::Records(shard, records)) = waited.expect("it goes on").expect("a delivery") {
            into.extend(records.into_iter().map(|record| (shard.to_string(), record)));
        }
        (into.len() >= count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_subscription_follows_resumes_and_ends() {
    let mut cluster = Cluster::start(3).await;
    let client = cluster.client();
    let new = sample::table("followed", Some(StreamViewType::NewAndOldImages));
    client.create_table(&new).await.expect("a table is created");
    let arn = cluster.everywhere(&new.name).await.latest_stream_arn.expect("a stream");
    let put = async |at: usize| {
        let whole = item([("id", s(format!("{}", at % 30))), ("at", n(at))]);
        until("a write", async || client.put_item(&new.name, &whole, plain()).await.ok()).await;
    };
    let mut subscription =
        client.subscribe(&arn, Start::TrimHorizon, BTreeMap::new()).await.expect("subscribed");
    let mut records = Vec::new();
    for at in 0..100 {
        put(at).await;
        if at % 20 == 19 {
            take(&mut subscription, at + 1, &mut records).await;
        }
    }
    // Interrupted by us: another one goes on behind it.
    let positions = subscription.positions();
    drop(subscription);
    for at in 100..200 {
        put(at).await;
    }
    let mut subscription = client.subscribe(&arn, Start::Latest, positions).await.expect("subscribed");
    take(&mut subscription, 200, &mut records).await;
    // Interrupted by the death of each node in turn, one of which pushed.
    for round in 0..3 {
        cluster.kill(round);
        for at in 0..20 {
            put(200 + round * 20 + at).await;
        }
        take(&mut subscription, 220 + round * 20, &mut records).await;
        cluster.start_node(round);
        cluster.ready().await;
    }
    client.update_stream(&new.name, None).await.expect("it is turned off");
    until("the end of the stream", async || {
        let next = tokio::time::timeout(super::cluster::PATIENCE, subscription.next_delivery()).await;
        match next.expect("it goes on").expect("a delivery") {
            Some(Delivery::Records(shard, more)) => {
                records.extend(more.into_iter().map(|record| (shard.to_string(), record)));
                None
            }
            Some(Delivery::Idle(_) | Delivery::ShardEnd(_)) => None,
            None => Some(()),
        }
    })
    .await;
    assert_eq!(records.len(), 260, "each change once");
    let history = History { records };
    history.check(&new.key);
    assert_same(&history.fold(&new.key), &history::scan(&client, &new.name, &new.key).await);
}
