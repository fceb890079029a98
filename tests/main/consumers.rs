//! Consumers: members that come and go, copies followed by changes, positions; and nodes that are killed meanwhile.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use tokio::task::JoinHandle;
use watertable::client::{
    Client, Consumed, ConsumedBatch, Consumer, ConsumerPhase, ConsumerStart, Consumption, EventName, Kind,
    OpenConsumer, Page, Scan, StreamViewType, WriteOptions,
};
use watertable::model::{AttributeName, AttributeValue, Item, TableName};

use super::cluster::{Cluster, PATIENCE, until};
use super::sample::{item, s};
use super::triggers::{create_table, put, put_all};

fn open(table: &TableName, name: &str, start: ConsumerStart) -> OpenConsumer {
    OpenConsumer {
        table_name: table.to_string(),
        name: name.to_owned(),
        start: start.into(),
        credit: 1000,
        ..OpenConsumer::default()
    }
}

fn text(item: &Item, name: &str) -> Option<String> {
    let name = AttributeName::parse(name).expect("a name");
    match item.as_map().get(&name) {
        Some(AttributeValue::S(text)) => Some(text.to_string()),
        Some(AttributeValue::N(number)) => Some(number.to_string()),
        _ => None,
    }
}

/// What the members of a consumer were given, by key, in the order in which they were given it.
#[derive(Clone, Default)]
struct Given(Arc<Mutex<BTreeMap<String, Vec<u64>>>>);

impl Given {
    fn take(&self, batch: &ConsumedBatch) {
        let mut given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for record in &batch.records {
            let key = text(&record.keys, "id").expect("a key");
            let number = record.new_image.as_ref().and_then(|image| text(image, "n")).expect("a number");
            given.entry(key).or_default().push(number.parse().expect("a number"));
        }
    }

    fn all(&self) -> BTreeMap<String, Vec<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until the last number of each key was given.
    async fn whole(&self, keys: usize, count: u64) {
        until("everything being given", async || {
            let given = self.all();
            let ended = given.values().all(|numbers| numbers.contains(&(count - 1)));
            (given.len() == keys && ended).then_some(())
        })
        .await;
    }

    /// Nothing was skipped, and nothing came before what is before it.
    fn assert_in_order(&self, keys: usize, count: u64) {
        let given = self.all();
        assert_eq!(given.len(), keys);
        for (key, numbers) in given {
            let mut next = 0;
            for number in &numbers {
                assert!(*number <= next, "{key}: {number} came before {next}: {numbers:?}");
                next = next.max(number + 1);
            }
            assert_eq!(next, count, "{key}");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a test owns its tasks, and its runtime ends with it")]
fn background<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(work)
}

/// Acknowledges everything it is given, until it is told to stop.
async fn take_part(
    client: Client,
    open: OpenConsumer,
    given: Given,
) -> Result<(), watertable::client::Error> {
    let mut consumption = client.consume(open).await?;
    while let Some(next) = consumption.next().await? {
        if let Consumed::Batch(batch) = next {
            given.take(&batch);
            consumption.acknowledge(&batch).await;
        }
    }
    Ok(())
}

/// Waits until each member has so many shards.
async fn shared_out(client: &Client, table: &TableName, name: &str, shares: &[u32]) -> Consumer {
    until("the shards being shared out", async || {
        let consumer = client.consumer(table, name).await.ok()?;
        let mut shards: Vec<u32> = consumer.members.iter().map(|member| member.shards).collect();
        shards.sort_unstable();
        (shards == shares).then_some(consumer)
    })
    .await
}

/// Waits until everything is acknowledged.
async fn level(client: &Client, table: &TableName, name: &str) {
    until("the lag being none", async || {
        let consumer = client.consumer(table, name).await.ok()?;
        let level = |shard: &watertable::client::ConsumerShard| shard.lag_millis == Some(0);
        (consumer.shards.iter().all(level) && consumer.lag_millis == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn members_share_the_records_and_each_comes_once() {
    let cluster = Cluster::start(3).await;
    let client = cluster.client();
    let table = create_table(&client, &cluster, "orders", 4).await;
    put_all(&client, &table, 8, 0..5).await;
    let given = Given::default();
    let member = |at| {
        background(take_part(
            cluster.client_of(at),
            open(&table, "search", ConsumerStart::TrimHorizon),
            given.clone(),
        ))
    };
    let first = member(0);
    let consumer = shared_out(&client, &table, "search", &[4]).await;
    assert_eq!((consumer.start(), consumer.table_name.as_str()), (ConsumerStart::TrimHorizon, "orders"));
    let second = member(1);
    shared_out(&client, &table, "search", &[2, 2]).await;
    let writing = background({
        let (client, table) = (cluster.client(), table.clone());
        async move { put_all(&client, &table, 8, 5..150).await }
    });
    let third = member(2);
    shared_out(&client, &table, "search", &[1, 1, 2]).await;
    second.abort();
    shared_out(&client, &table, "search", &[2, 2]).await;
    writing.await.expect("everything is written");
    given.whole(8, 150).await;
    given.assert_in_order(8, 150);
    level(&client, &table, "search").await;
    let count: usize = given.all().values().map(Vec::len).sum();
    // Whoever leaves without a word may have taken what it had not acknowledged yet; nobody else.
    assert!((1200..1200 + 1000).contains(&count), "{count} records were given for 1200 changes");
    client.delete_consumer(&table, "search").await.expect("it is deleted");
    for member in [first, third] {
        let error = member.await.expect("it ends").expect_err("its consumer is deleted");
        assert!(error.is_not_found(), "{error}");
    }
    assert!(client.consumer(&table, "search").await.is_err_and(|error| error.is_not_found()));
}

#[tokio::test]
async fn members_whose_node_is_killed_go_on_elsewhere_and_nothing_is_skipped() {
    let mut cluster = Cluster::start(3).await;
    let client = cluster.client();
    let table = create_table(&client, &cluster, "orders", 3).await;
    let given = Given::default();
    let start = || open(&table, "search", ConsumerStart::TrimHorizon);
    let members: Vec<_> =
        (0..2).map(|_| background(take_part(cluster.client(), start(), given.clone()))).collect();
    shared_out(&client, &table, "search", &[1, 2]).await;
    for round in 0..3 {
        let from = round * 60;
        let writing = background({
            let (client, table) = (cluster.client(), table.clone());
            async move { put_all(&client, &table, 6, from..from + 60).await }
        });
        let consumer = client.consumer(&table, "search").await.expect("a consumer");
        let served = consumer.members.first().map_or(1, |member| member.node_id);
        let victim = usize::try_from(served).expect("a small number") - 1;
        cluster.kill(victim);
        writing.await.expect("everything is written");
        given.whole(6, from + 60).await;
        cluster.start_node(victim);
        cluster.ready().await;
    }
    given.assert_in_order(6, 180);
    level(&client, &table, "search").await;
    shared_out(&client, &table, "search", &[1, 2]).await;
    members.iter().for_each(JoinHandle::abort);
}

/// A copy of a table that is kept up by a consumer.
#[derive(Default)]
struct Mirror(BTreeMap<String, Item>);

impl Mirror {
    fn take(&mut self, batch: &ConsumedBatch) {
        for item in &batch.copied {
            let key = text(item, "id").expect("a key");
            assert!(
                self.0.insert(key.clone(), item.clone()).is_none(),
                "{key} was copied before, or changed before"
            );
        }
        for record in &batch.records {
            let key = text(&record.keys, "id").expect("a key");
            let before = match (&record.new_image, record.event_name) {
                (Some(image), EventName::Insert | EventName::Modify) => {
                    self.0.insert(key.clone(), image.clone())
                }
                (None, EventName::Remove) => self.0.remove(&key),
                (_, event) => panic!("{event:?} without its image"),
            };
            assert_eq!(before, record.old_image, "{key}: each change follows the one before");
        }
    }
}

async fn scanned(client: &Client, table: &TableName) -> BTreeMap<String, Item> {
    let scan = Scan { consistent: true, ..Scan::default() };
    let pages: Vec<Page> = client.scan_all(table, scan).map(|page| page.expect("a page")).collect().await;
    let items = pages.into_iter().flat_map(|page| page.items);
    items.map(|item| (text(&item, "id").expect("a key"), item)).collect()
}

async fn remove(client: &Client, table: &TableName, key: &str) {
    loop {
        match client.delete_item(table, &item([("id", s(key))]), WriteOptions::default()).await {
            Ok(_) => return,
            Err(error) if matches!(error.kind(), Kind::Unavailable | Kind::Unknown) => {}
            Err(error) => panic!("it is deleted: {error}"),
        }
    }
}

#[tokio::test]
async fn a_copy_and_what_changes_after_it_are_the_table() {
    let cluster = Cluster::start(3).await;
    let client = cluster.client();
    let table = create_table(&client, &cluster, "orders", 2).await;
    for key in 0..400 {
        put(&client, &table, &format!("key-{key}"), 0).await;
    }
    let writing = background({
        let (client, table) = (cluster.client(), table.clone());
        async move {
            for round in 1..4 {
                for key in (0..400).step_by(round) {
                    put(&client, &table, &format!("key-{key}"), round as u64).await;
                    if key % 7 == 0 {
                        remove(&client, &table, &format!("key-{}", (key * 31) % 400)).await;
                    }
                    put(&client, &table, &format!("new-{round}-{key}"), 1).await;
                }
            }
        }
    });
    let mut mirror = Mirror::default();
    let start =
        OpenConsumer { credit: 25, positions: true, ..open(&table, "mirror", ConsumerStart::Snapshot) };
    let again = start.clone();
    let mut copies = 0;
    let mut consumption = client.consume(start).await.expect("it takes part");
    let mut batches = 0;
    let mut is_copied = BTreeMap::from([(String::new(), false)]);
    while !is_copied.values().all(|copied| *copied) || is_copied.len() < 2 {
        match consumption.next().await.expect("it goes on") {
            Some(Consumed::Batch(batch)) => {
                assert!(batch.records.len() + batch.copied.len() <= 25, "as much as there is credit for");
                copies += batch.copied.len();
                mirror.take(&batch);
                consumption.acknowledge(&batch).await;
                is_copied.remove("");
                *is_copied.entry(batch.shard_id.clone()).or_default() |= batch.copy_end;
                batches += 1;
                if batches % 10 == 0 {
                    // In the middle of the copy it stops, and goes on exactly there, whatever was acknowledged.
                    drop(consumption);
                    shared_out(&client, &table, "mirror", &[]).await;
                    let start = ConsumerStart::Position.into();
                    let again = OpenConsumer { start, position: batch.position, ..again.clone() };
                    consumption = client.consume(again).await.expect("it takes part again");
                }
            }
            Some(Consumed::Opened { .. } | Consumed::Assigned(_) | Consumed::Revoked(_)) => {}
            None => panic!("it ends"),
        }
    }
    assert!(copies >= 200, "{copies} items were copied");
    writing.await.expect("everything is written");
    let table_now = scanned(&client, &table).await;
    until("the copy being the table", async || {
        while mirror.0 != table_now {
            if let Some(Consumed::Batch(batch)) = consumption.next().await.expect("it goes on") {
                mirror.take(&batch);
                consumption.acknowledge(&batch).await;
            }
        }
        Some(())
    })
    .await;
    let consumer = client.consumer(&table, "mirror").await.expect("a consumer");
    assert!(consumer.shards.iter().all(|shard| shard.phase() == ConsumerPhase::Stream));
}

#[tokio::test]
async fn a_consumer_follows_its_table_to_its_end() {
    let cluster = Cluster::start(1).await;
    let client = cluster.client();
    let table = create_table(&client, &cluster, "orders", 2).await;
    let given = Given::default();
    let open = open(&table, "audit", ConsumerStart::TrimHorizon);
    let member = background(take_part(cluster.client(), open, given.clone()));
    put_all(&client, &table, 4, 0..10).await;
    shared_out(&client, &table, "audit", &[2]).await;
    client.update_stream(&table, None).await.expect("it is turned off");
    client.wait_active(&table, PATIENCE).await.expect("it is off");
    put_all(&client, &table, 4, 10..11).await; // of which nobody hears
    let on = Some(StreamViewType::NewAndOldImages);
    client.update_stream(&table, on).await.expect("it is turned on");
    client.wait_active(&table, PATIENCE).await.expect("it is on");
    put_all(&client, &table, 4, 11..20).await;
    given.whole(4, 20).await;
    let heard: Vec<u64> = (0..10).chain(11..20).collect();
    assert!(given.all().values().all(|numbers| *numbers == heard), "{:?}", given.all());
    let consumer = client.consumer(&table, "audit").await.expect("a consumer");
    let phases: Vec<ConsumerPhase> = consumer.shards.iter().map(|shard| shard.phase()).collect();
    assert_eq!(phases.iter().filter(|phase| **phase == ConsumerPhase::Done).count(), 2, "{phases:?}");
    client.delete_table(&table).await.expect("it is deleted");
    member.await.expect("it ends").expect("without an error: everything is read");
}

async fn batch(consumption: &mut Consumption) -> ConsumedBatch {
    loop {
        match consumption.next().await.expect("it goes on") {
            Some(Consumed::Batch(batch)) if !batch.records.is_empty() => return batch,
            Some(_) => {}
            None => panic!("it ends"),
        }
    }
}

#[tokio::test]
async fn a_position_says_where_to_go_on_in_all_shards() {
    let cluster = Cluster::start(1).await;
    let client = cluster.client();
    let table = create_table(&client, &cluster, "orders", 3).await;
    put_all(&client, &table, 9, 0..10).await;
    let start =
        OpenConsumer { positions: true, credit: 7, ..open(&table, "sink", ConsumerStart::TrimHorizon) };
    let given = Given::default();
    let mut consumption = client.consume(start).await.expect("it takes part");
    let mut position = None;
    for _ in 0..6 {
        let batch = batch(&mut consumption).await;
        given.take(&batch);
        position = batch.position.clone();
        consumption.acknowledge(&batch).await;
    }
    // Given, acknowledged, and not in the position that was saved: it is given again.
    let lost = batch(&mut consumption).await;
    consumption.acknowledge(&lost).await;
    let at = OpenConsumer { position: position.clone(), ..open(&table, "sink", ConsumerStart::Position) };
    let error = client.consume(at.clone()).await.err().expect("somebody else takes part");
    assert!(error.message().contains("other members"), "{error}");
    drop(consumption);
    shared_out(&client, &table, "sink", &[]).await;
    let mut consumption = client.consume(at).await.expect("it takes part again");
    while given.all().values().map(Vec::len).sum::<usize>() < 90 {
        given.take(&batch(&mut consumption).await);
    }
    let given = given.all();
    assert_eq!(given.len(), 9);
    for (key, numbers) in given {
        assert_eq!(numbers, (0..10).collect::<Vec<_>>(), "{key}: each once");
    }
    drop(consumption);
    let other = create_table(&client, &cluster, "others", 1).await;
    for (table, position, why) in [
        (&other, position.unwrap_or_default(), "another table"),
        (&table, "1|AAAA".to_owned(), "none of this cluster's"),
    ] {
        let wrong =
            OpenConsumer { position: Some(position), ..open(table, "wrong", ConsumerStart::Position) };
        let error = client.consume(wrong).await.err().expect("it is refused");
        assert!(error.kind() == Kind::Invalid && error.message().contains(why), "{error}");
    }
}

#[tokio::test]
async fn members_say_what_they_want_and_how_much() {
    let cluster = Cluster::start(1).await;
    let client = cluster.client();
    let table = create_table(&client, &cluster, "orders", 1).await;
    put_all(&client, &table, 2, 0..50).await;
    let wants = OpenConsumer {
        filters: vec![r#"{"dynamodb": {"NewImage": {"n": {"N": [{"decimal": [">=", 10]}]}}}}"#.to_owned()],
        projection_expression: "#number".to_owned(),
        expression_attribute_names: BTreeMap::from([("#number".to_owned(), "n".to_owned())]),
        credit: 10,
        ..open(&table, "some", ConsumerStart::TrimHorizon)
    };
    let mut consumption = client.consume(wants).await.expect("it takes part");
    let mut given: Vec<u64> = Vec::new();
    let mut waiting = Vec::new();
    while given.len() < 80 {
        let batch = batch(&mut consumption).await;
        for record in &batch.records {
            let image = record.new_image.as_ref().expect("an image");
            assert_eq!(image.as_map().len(), 1, "only what is wanted of it");
            given.push(text(image, "n").and_then(|number| number.parse().ok()).expect("a number"));
        }
        waiting.push(batch);
        let unacknowledged: usize = waiting.iter().map(|batch| batch.records.len()).sum();
        assert!(unacknowledged <= 10, "{unacknowledged} records without credit");
        if unacknowledged == 10 {
            let last = waiting.pop().expect("a batch");
            consumption.acknowledge(&last).await;
            let rest = std::mem::take(&mut waiting);
            // What came before it is acknowledged with it; its credit is given back by the call for it.
            for batch in rest {
                consumption.acknowledge(&batch).await;
            }
        }
    }
    given.sort_unstable();
    let wanted: Vec<u64> = (10..50).flat_map(|number| [number, number]).collect();
    assert_eq!(given, wanted);
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    let cluster = Cluster::start(1).await;
    let client = cluster.client();
    let table = create_table(&client, &cluster, "orders", 1).await;
    let good = open(&table, "one", ConsumerStart::Latest);
    let wrong = [
        (OpenConsumer { table_name: "missing".to_owned(), ..good.clone() }, "Requested resource not found"),
        (OpenConsumer { name: String::new(), ..good.clone() }, "1 to 255 bytes"),
        (OpenConsumer { start: ConsumerStart::AtTimestamp.into(), ..good.clone() }, "timestamp_millis"),
        (
            OpenConsumer { filters: vec!["no".to_owned()], ..good.clone() },
            "Invalid filter pattern definition",
        ),
        (OpenConsumer { projection_expression: "a..b".to_owned(), ..good.clone() }, "ProjectionExpression"),
        (OpenConsumer { position: Some("x".to_owned()), ..good }, "position"),
    ];
    for (open, why) in wrong {
        let error = client.consume(open).await.err().expect("it is refused");
        assert!(error.message().contains(why), "{error}: {why}");
    }
    assert!(client.list_consumers(None).await.expect("consumers").is_empty());
}
