//! Every operation, on one node and on three, and through nodes that do not lead.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use prost::Message;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};
use watertable::client::{
    BatchGet, BatchWrite, Client, Error, Expression, Kind, NewTable, Options, Prepared, ReadOptions,
    ReturnConsumedCapacity, ReturnValues, Scan, StreamViewType, TableStatus, WriteOptions,
};
use watertable::model::{Item, KeyType, TableName};
use watertable::rpc::item::Item as WireItem;
use watertable::rpc::wire::v1;

use super::cluster::{Cluster, PATIENCE, until};
use super::history::{self, History};
use super::sample::{self, b, item, key, n, name, s, schema};

/// Calls at one node that are not sent to the leader: the node has to forward.
struct At(Client);

impl At {
    async fn send<A: Message + Default>(&self, prepared: Result<Prepared, Error>) -> Result<A, Error> {
        let Prepared { method, body } = prepared?;
        let answer = self.0.send_prepared_anywhere(method, body).await?;
        Ok(A::decode(answer).expect("an answer"))
    }

    async fn put(
        &self,
        table: &TableName,
        item: &Item,
        options: WriteOptions,
    ) -> Result<Option<Item>, Error> {
        let answer: v1::PutItemResponse = self.send(Prepared::put(table, item, options)).await?;
        Ok(answer.attributes.map(decoded))
    }

    async fn get(&self, table: &TableName, key: &Item, consistent: bool) -> Option<Item> {
        let options = ReadOptions { consistent, ..ReadOptions::default() };
        let answer: v1::GetItemResponse =
            self.send(Prepared::get(table, key, options)).await.expect("an answer");
        answer.item.map(decoded)
    }

    async fn update(
        &self,
        table: &TableName,
        key: &Item,
        set: Option<&Item>,
        remove: &[&str],
        options: WriteOptions,
    ) -> Result<Option<Item>, Error> {
        let remove: Vec<_> = remove.iter().map(|text| name(text)).collect();
        let update = Expression::assign(set.unwrap_or(&Item::new()), &remove);
        let answer: v1::UpdateItemResponse = self.send(Prepared::update(table, key, update, options)).await?;
        Ok(answer.attributes.map(decoded))
    }

    async fn delete(
        &self,
        table: &TableName,
        key: &Item,
        options: WriteOptions,
    ) -> Result<Option<Item>, Error> {
        let answer: v1::DeleteItemResponse = self.send(Prepared::delete(table, key, options)).await?;
        Ok(answer.attributes.map(decoded))
    }
}

fn decoded(item: WireItem) -> Item {
    item.decode().expect("an item")
}

const NOTHING: WriteOptions = WriteOptions {
    condition: None,
    return_values: ReturnValues::Unspecified,
    show_rejected: false,
    capacity: ReturnConsumedCapacity::Unspecified,
};
const OLD: WriteOptions = WriteOptions { return_values: ReturnValues::AllOld, ..NOTHING };
const NEW: WriteOptions = WriteOptions { return_values: ReturnValues::AllNew, ..NOTHING };

/// If the item does not exist.
fn if_new() -> WriteOptions {
    WriteOptions { condition: Some(Expression::not_exists(&name("id"))), ..NOTHING }
}

/// If the item exists.
fn if_there() -> WriteOptions {
    WriteOptions { condition: Some(Expression::exists(&name("id"))), ..NOTHING }
}

fn is_condition(result: Result<Option<Item>, Error>) -> bool {
    result.is_err_and(|error| {
        error.kind() == Kind::Rejected
            && error.reason() == "ConditionalCheckFailedException"
            && error.message() == "The conditional request failed"
    })
}

#[tokio::test]
async fn one_node_does_every_operation() {
    every_operation(&mut Cluster::start(1).await).await;
}

#[tokio::test]
async fn every_node_of_three_does_every_operation() {
    every_operation(&mut Cluster::start(3).await).await;
}

async fn every_operation(cluster: &mut Cluster) {
    let client = cluster.client();
    let new = sample::table("operations", Some(StreamViewType::NewAndOldImages));
    let created = client.create_table(&new).await.expect("a table is created");
    assert_eq!(created.partitions.len(), 4);
    let table = cluster.everywhere(&new.name).await;
    assert_eq!((table.status, &table.key, table.retention_ms), (TableStatus::Active, &new.key, 86_400_000));
    assert_eq!(table.latest_stream_arn, created.latest_stream_arn, "the ARN that creation told stays");
    assert!(table.arn.ends_with(":table/operations"), "{}", table.arn);
    for at in 0..cluster.nodes.len() {
        // Keys of every partition: whichever node is asked, it does not lead most of them.
        for id in history::key_in_each(&table, &format!("node{at}")) {
            writes_and_reads(cluster, &At(cluster.client_of(at)), &new.name, &id).await;
        }
        batches(&cluster.client_of(at), &new.name, at).await;
    }
    let history = history::verified(&client, &new.name).await;
    // Each key's story is told by `writes_and_reads`; a key of a batch is put and deleted once.
    for (item_key, records) in history.by_key(&table.key) {
        let id = format!("{item_key:?}");
        assert!([1, 2, 7].contains(&records.len()), "{id} has {} records", records.len());
    }
    assert_eq!(client.list_tables().await.expect("names"), std::slice::from_ref(&new.name));
    client.delete_table(&new.name).await.expect("it is deleted");
    client.wait_deleted(&new.name, PATIENCE).await.expect("it goes");
    for at in 0..cluster.nodes.len() {
        let gone = until("the node hearing of it", async || {
            cluster.client_of(at).get_item(&new.name, &key("x"), true).await.err()
        });
        let gone = gone.await;
        assert_eq!(
            (gone.reason(), gone.message()),
            ("ResourceNotFoundException", "Requested resource not found")
        );
    }
}

/// The story of one item: seven records.
async fn writes_and_reads(cluster: &Cluster, at: &At, table: &TableName, id: &str) {
    let key = key(id);
    let first = item([("id", s(id)), ("count", n(1)), ("seal", b(b"\0\xff")), ("name", s("Tegel"))]);
    let second = item([("id", s(id)), ("count", n(2))]);
    // Nothing is there, and nothing comes of what wants something there.
    assert_eq!(at.get(table, &key, true).await, None);
    assert!(is_condition(at.put(table, &first, if_there()).await));
    assert!(is_condition(at.delete(table, &key, if_there()).await));
    assert!(is_condition(at.update(table, &key, Some(&item([("a", n(1))])), &[], if_there()).await));
    assert_eq!(at.delete(table, &key, OLD).await.expect("no error"), None);
    assert_eq!(at.update(table, &key, None, &["name"], NEW).await.expect("no error"), None);
    assert_eq!(at.get(table, &key, true).await, None, "an update that only removes creates nothing");
    // 1: created.
    assert_eq!(at.put(table, &first, if_new()).await.expect("created"), None);
    assert!(is_condition(at.put(table, &second, if_new()).await));
    assert_eq!(at.get(table, &key, true).await.as_ref(), Some(&first));
    // No record: equal by value.
    let same = item([("id", s(id)), ("count", n("1.0")), ("seal", b(b"\0\xff")), ("name", s("Tegel"))]);
    assert_eq!(at.put(table, &same, OLD).await.expect("no error").as_ref(), Some(&first));
    // 2: replaced.
    assert_eq!(at.put(table, &second, OLD).await.expect("replaced").as_ref(), Some(&first));
    // 3: updated; then nothing new.
    let set = item([("name", s("Tegel")), ("count", n(3))]);
    let third = item([("id", s(id)), ("count", n(3)), ("name", s("Tegel"))]);
    assert_eq!(at.update(table, &key, Some(&set), &[], NEW).await.expect("updated").as_ref(), Some(&third));
    assert_eq!(
        at.update(table, &key, Some(&set), &["nothing"], OLD).await.expect("same"),
        Some(third.clone())
    );
    // 4: only the key is left.
    let bare = at.update(table, &key, None, &["name", "count"], NEW).await.expect("updated");
    assert_eq!(bare.as_ref(), Some(&key));
    // 5: removed; then nothing is there to remove.
    assert_eq!(at.delete(table, &key, OLD).await.expect("removed"), Some(key.clone()));
    assert_eq!(at.delete(table, &key, NOTHING).await.expect("no error"), None);
    // 6: an update without anything creates the key alone.
    assert_eq!(at.update(table, &key, None, &[], NEW).await.expect("created"), Some(key.clone()));
    // 7
    let last = at.update(table, &key, Some(&item([("last", n(7))])), &[], NEW).await.expect("updated");
    let last = last.expect("the item");
    for other in 0..cluster.nodes.len() {
        let other = At(cluster.client_of(other));
        assert_eq!(
            other.get(table, &key, true).await.as_ref(),
            Some(&last),
            "a consistent read sees it at once"
        );
        until("an eventual read seeing it", async || {
            (other.get(table, &key, false).await.as_ref() == Some(&last)).then_some(())
        })
        .await;
    }
}

async fn batches(client: &Client, table: &TableName, at: usize) {
    let ids: Vec<String> = (0..25).map(|id| format!("batch-{at}-{id}")).collect();
    let puts: Vec<_> = ids
        .iter()
        .map(|id| BatchWrite::Put(table.clone(), item([("id", s(id.as_str())), ("at", n(at))])))
        .collect();
    client.batch_write(&puts).await.expect("they are put");
    let keys = ids.iter().map(|id| key(id.as_str())).chain([key("no such key")]).collect();
    let found = client
        .batch_get(&[BatchGet { table: table.clone(), keys, consistent: true, projection: None }])
        .await;
    let found: BTreeSet<String> =
        found.expect("they are read").into_iter().map(|(_, item)| format!("{:?}", item.get("id"))).collect();
    assert_eq!(found.len(), 25);
    let deletes: Vec<_> =
        ids[..10].iter().map(|id| BatchWrite::Delete(table.clone(), key(id.as_str()))).collect();
    client.batch_write(&deletes).await.expect("they are deleted");
    let left = BatchGet {
        table: table.clone(),
        keys: ids.iter().map(|id| key(id.as_str())).collect(),
        consistent: true,
        projection: Some(Expression::attributes(&[name("at")])),
    };
    assert_eq!(client.batch_get(&[left]).await.expect("they are read").len(), 15);
}

#[tokio::test]
async fn scans_page_through_all_partitions() {
    let cluster = Cluster::start(3).await;
    let client = cluster.client();
    let new = NewTable {
        key: schema(("id", KeyType::S), Some(("at", KeyType::N))),
        partitions: 5,
        ..sample::table("scanned", None)
    };
    client.create_table(&new).await.expect("a table is created");
    cluster.everywhere(&new.name).await;
    assert_eq!(
        client.scan(&new.name, Scan { consistent: true, ..Scan::default() }).await.expect("a page").next,
        None,
        "an empty table"
    );
    let mut all = BTreeMap::new();
    for at in 0..90i64 {
        let whole = item([
            ("id", s(format!("p{}", at % 13))),
            ("at", n(at - 40)),
            ("text", s("t".repeat(at as usize))),
        ]);
        client.put_item(&new.name, &whole, NOTHING).await.expect("it is put");
        all.insert(new.key.key_of_item(&whole).expect("a key"), whole);
    }
    let reader = cluster.client_of(1);
    for limit in [1, 2, 3, 7, 20, 45, 89, 90, 91, 1000] {
        for consistent in [true, false] {
            let mut seen = BTreeMap::new();
            let mut last: BTreeMap<String, i64> = BTreeMap::new();
            let mut start: Option<Item> = None;
            loop {
                let scan = Scan { limit: Some(limit), start: start.clone(), consistent, ..Scan::default() };
                let page = reader.scan(&new.name, scan).await.expect("a page");
                assert!(page.items.len() <= limit as usize, "limit {limit}: {}", page.items.len());
                if let (Some(next), Some(end)) = (&page.next, page.items.last()) {
                    assert_eq!(end.get("at"), next.get("at"), "the page ends with its last key");
                }
                for whole in page.items {
                    let (id, at) = (format!("{:?}", whole.get("id")), number(&whole));
                    let before = last.insert(id.clone(), at);
                    assert!(before.is_none_or(|before| before < at), "{id}: {at} came behind {before:?}");
                    let item_key = new.key.key_of_item(&whole).expect("a key");
                    assert!(seen.insert(item_key, whole).is_none(), "limit {limit}: an item twice");
                }
                match page.next {
                    Some(next) => start = Some(next),
                    None => break,
                }
            }
            assert_eq!(seen.len(), all.len(), "limit {limit}, consistent {consistent}");
            assert_eq!(seen, all);
        }
    }
    // A start key that is no item's is a place all the same.
    let start = item([("id", s("p5")), ("at", n("-0.5"))]);
    let scan = Scan { limit: Some(1), start: Some(start), consistent: true, ..Scan::default() };
    let page = reader.scan(&new.name, scan).await.expect("a page");
    let first = page.items.first().expect("there are more");
    assert_eq!(first.get("id"), Some(&s("p5")));
    assert!(number(first) >= 0, "{first:?}");
}

fn number(whole: &Item) -> i64 {
    match whole.get("at") {
        Some(watertable::model::AttributeValue::N(number)) => number.to_i64().expect("small"),
        other => panic!("no number: {other:?}"),
    }
}

#[tokio::test]
async fn large_items_and_large_answers_arrive() {
    let cluster = Cluster::start(1).await;
    let client = cluster.client();
    let new = sample::table("large", Some(StreamViewType::NewAndOldImages));
    client.create_table(&new).await.expect("a table is created");
    let table = cluster.everywhere(&new.name).await;
    for id in 0..8 {
        // The largest there may be: name and value of the key and of the text.
        let id = format!("large-{id}");
        let room = 409_600 - "id".len() - id.len() - "text".len();
        let whole = item([("id", s(id.as_str())), ("text", s("x".repeat(room)))]);
        assert_eq!(whole.size(), 409_600);
        client.put_item(&new.name, &whole, NOTHING).await.expect("it is put");
        let changed = item([("id", s(id.as_str())), ("text", s("y".repeat(room)))]);
        let put = client.put_item(&new.name, &changed, OLD).await.expect("it is put");
        assert_eq!(put.attributes, Some(whole));
    }
    assert_eq!(history::scan(&client, &new.name, &table.key).await.len(), 8);
    let history = history::verified(&client, &new.name).await;
    let largest = history.records.iter().map(|(_, record)| record.size_bytes).max();
    assert_eq!(largest, Some(2 * 409_600 + "id".len() as u64 + "large-0".len() as u64));
}

#[tokio::test]
async fn calls_end_at_their_deadline() {
    let mut cluster = Cluster::start(3).await;
    let client = cluster.client();
    let new = sample::table("deadlines", None);
    client.create_table(&new).await.expect("a table is created");
    let table = cluster.everywhere(&new.name).await;
    let id = &history::key_in_each(&table, "k")[0];
    client.put_item(&new.name, &key(id.as_str()), NOTHING).await.expect("it is put");
    // Without a quorum nothing is written, and nothing waits for ever.
    cluster.kill(1);
    cluster.kill(2);
    let options = Options { deadline: Duration::from_secs(2), ..Options::default() };
    let hurried = Client::connect(vec![cluster.nodes[0].address.clone()], options).expect("a good address");
    let began = tokio::time::Instant::now();
    let error = hurried.put_item(&new.name, &item([("id", s(id.as_str())), ("a", n(1))]), NOTHING).await;
    let error = error.expect_err("no quorum");
    assert!([Kind::Unavailable, Kind::Unknown].contains(&error.kind()), "{error:?}");
    let error = hurried.get_item(&new.name, &key(id.as_str()), true).await.expect_err("no quorum");
    assert_eq!(error.kind(), Kind::Unavailable, "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(8), "two calls of 2 s took {:?}", began.elapsed());
    // What is here can be read.
    let read = hurried.get_item(&new.name, &key(id.as_str()), false).await.expect("an eventual read");
    assert_eq!(read, Some(key(id.as_str())));
    cluster.start_node(1);
    cluster.start_node(2);
    cluster.ready().await;
    until("writes going on", async || hurried.put_item(&new.name, &key(id.as_str()), NOTHING).await.ok())
        .await;
}

#[tokio::test]
async fn health_reflection_and_metrics_answer() {
    let cluster = Cluster::start(1).await;
    let client = cluster.client();
    let new = sample::table("measured", Some(StreamViewType::KeysOnly));
    client.create_table(&new).await.expect("a table is created");
    cluster.everywhere(&new.name).await;
    for at in 0..10 {
        client.put_item(&new.name, &key(format!("{at}")), NOTHING).await.expect("it is put");
    }
    client.get_item(&new.name, &key("1"), true).await.expect("it is read");
    History::read(&client, &new.name).await;

    let endpoint = format!("http://{}", cluster.nodes[0].address);
    let endpoint = tonic::transport::Endpoint::from_shared(endpoint).expect("an address");
    let channel = endpoint.connect().await.expect("a connection");
    let mut health = HealthClient::new(channel.clone());
    for service in
        ["", "watertable.v1.Items", "watertable.v1.Tables", "watertable.v1.Streams", "watertable.v1.Cluster"]
    {
        let answer =
            health.check(HealthCheckRequest { service: service.to_owned() }).await.expect("an answer");
        assert_eq!(answer.into_inner().status(), ServingStatus::Serving, "{service}");
    }
    let mut reflection = ServerReflectionClient::new(channel);
    let ask = |ask| ServerReflectionRequest { host: String::new(), message_request: Some(ask) };
    let asked = futures::stream::iter([
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol("watertable.v1.Items.PutItem".to_owned())),
    ]);
    let mut answers = reflection.server_reflection_info(asked).await.expect("an answer").into_inner();
    let services = answers.message().await.expect("an answer").and_then(|answer| answer.message_response);
    let Some(MessageResponse::ListServicesResponse(services)) = services else { panic!("{services:?}") };
    let services: Vec<_> = services.service.into_iter().map(|service| service.name).collect();
    for service in ["Items", "Tables", "Streams", "Cluster"] {
        assert!(services.contains(&format!("watertable.v1.{service}")), "{services:?}");
    }
    let file = answers.message().await.expect("an answer").and_then(|answer| answer.message_response);
    assert!(matches!(file, Some(MessageResponse::FileDescriptorResponse(_))), "{file:?}");

    assert!(cluster.nodes[0].http("/health").ends_with("ok\n"));
    let metrics = cluster.nodes[0].http("/metrics");
    assert!(metrics.starts_with("HTTP/1.1 200"), "{metrics}");
    let values = parsed(metrics.split_once("\r\n\r\n").expect("a body").1);
    for promised in [
        "node_write_seconds_count",
        "node_write_seconds_sum",
        "node_read_seconds_count",
        "log_fsync_seconds_count",
        "node_writes_rejected_total",
        "node_writes_unavailable_total",
        "node_writes_unknown_total",
        "raft_entries_total",
        "raft_entry_changes_total",
        "raft_entry_bytes_total",
        "log_frames_total",
        "log_bytes_total",
        "stream_records_total",
        "stream_bytes_total",
        "log_disk_bytes",
        "log_segments",
        "log_tail_bytes",
        "log_full",
        "storage_items_bytes",
        "raft_leaderships",
        "stream_lag_entries",
    ] {
        assert!(values.contains_key(promised), "{promised} is not among {:?}", values.keys());
    }
    let at_least = |name: &str, least: f64| assert!(values[name] >= least, "{name}: {}", values[name]);
    at_least("node_write_seconds_count", 14.0);
    at_least("raft_entry_changes_total", 14.0);
    at_least("stream_records_total", 14.0);
    at_least("raft_leaderships", 4.0);
    assert!(values["log_full"].abs() < 0.1);
}

/// The sums over labels of Prometheus' text format; panics at what is none.
fn parsed(text: &str) -> BTreeMap<String, f64> {
    let mut values = BTreeMap::new();
    let mut typed = BTreeSet::new();
    // Chunked transfer leaves lines of hex digits.
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a name and a type");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(typed.insert(name.to_owned()), "{name} is described twice");
        } else if !line.starts_with("# HELP ") && !line.chars().all(|letter| letter.is_ascii_hexdigit()) {
            let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
            let name = name.split('{').next().expect("a name");
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            assert!(typed.contains(name) || base.is_some_and(|base| typed.contains(base)), "no type: {line}");
            let value: f64 = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
            *values.entry(name.to_owned()).or_default() += value;
        }
    }
    values
}

#[tokio::test]
async fn an_item_of_every_type_comes_back_as_it_was() {
    let cluster = Cluster::start(1).await;
    let client = cluster.client();
    let new = sample::table("types", None);
    client.create_table(&new).await.expect("a table is created");
    cluster.everywhere(&new.name).await;
    for at in 0..20 {
        let airport = sample::airport(at);
        client.put_item(&new.name, &airport, NOTHING).await.expect("it is put");
        let id = airport.get("id").cloned().expect("a key");
        let read = client.get_item(&new.name, &item([("id", id)]), true).await.expect("it is read");
        assert_eq!(read, Some(airport));
    }
    let removed = [name("runways"), name("place")];
    let id = sample::airport(3).get("id").cloned().expect("a key");
    let set = item([("hub", s("no"))]);
    let update = Expression::assign(&set, &removed);
    let changed = client.update_item(&new.name, &item([("id", id)]), update, NEW).await;
    let changed = changed.expect("updated").attributes.expect("the item");
    assert_eq!(changed.len(), sample::airport(3).len() - 2);
    assert_eq!(changed.get("hub"), Some(&s("no")));
}
