//! Triggers, against functions that are slow, fail, flap, are not there; and nodes that are killed meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::{StreamExt, stream};
use serde_json::{Value, json};
use watertable::client::{
    Client, Kind, NewTable, NewTrigger, Record, Start, StartingPosition, StreamViewType, Trigger,
    TriggerChange, TriggerFilters, TriggerSettings, WriteOptions,
};
use watertable::model::{AttributeName, KeyAttribute, KeySchema, KeyType, TableName};

use super::cluster::{Cluster, until};
use super::function::{Function, Reply, assert_in_order};
use super::sample::{item, n, s};

pub async fn create_table(client: &Client, cluster: &Cluster, name: &str, partitions: u32) -> TableName {
    let name = TableName::parse(name).expect("a name");
    let id = KeyAttribute { name: AttributeName::parse("id").expect("a name"), kind: KeyType::S };
    let new = NewTable {
        name: name.clone(),
        key: KeySchema { partition: id, sort: None },
        stream: Some(StreamViewType::NewAndOldImages),
        partitions,
        retention_ms: 0,
    };
    client.create_table(&new).await.expect("a table is created");
    cluster.everywhere(&name).await;
    name
}

pub async fn put(client: &Client, table: &TableName, key: &str, number: u64) {
    let whole = item([("id", s(key)), ("n", n(number.to_string()))]);
    loop {
        match client.put_item(table, &whole, WriteOptions::default()).await {
            Ok(_) => return,
            // Putting the same again changes nothing if it happened.
            Err(error) if matches!(error.kind(), Kind::Unavailable | Kind::Unknown) => {}
            Err(error) => panic!("it is put: {error}"),
        }
    }
}

/// Puts numbers from `from` on to each of so many keys, each key's in order.
pub async fn put_all(client: &Client, table: &TableName, keys: usize, numbers: std::ops::Range<u64>) {
    let each = (0..keys).map(|key| {
        let numbers = numbers.clone();
        async move {
            for number in numbers {
                put(client, table, &format!("key-{key}"), number).await;
            }
        }
    });
    stream::iter(each).buffer_unordered(keys).collect::<Vec<()>>().await;
}

pub fn new(table: &TableName, target: &str, settings: TriggerSettings) -> NewTrigger {
    NewTrigger {
        table_name: table.to_string(),
        target: target.to_owned(),
        starting_position: StartingPosition::TrimHorizon.into(),
        settings: Some(settings),
        ..NewTrigger::default()
    }
}

pub async fn create(client: &Client, new: &NewTrigger) -> Trigger {
    client.create_trigger(new).await.expect("a trigger is created")
}

/// Waits until so many records of each key were delivered.
pub async fn all_delivered(function: &Function, keys: usize, count: u64) {
    until("everything being delivered", async || {
        let delivered = function.delivered("id", "n");
        let whole = |numbers: &Vec<u64>| numbers.iter().max() == Some(&(count - 1));
        (delivered.len() == keys && delivered.values().all(whole)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_written_is_delivered_once_and_in_order() {
    let cluster = Cluster::start(3).await;
    let client = cluster.client();
    let table = create_table(&client, &cluster, "orders", 4).await;
    put_all(&client, &table, 5, 0..3).await;
    let oldest = Function::serve("/hook", |_| Reply::ok()).await;
    let latest = Function::serve("/hook", |_| Reply::ok()).await;
    let lanes =
        Function::serve("/hook", |_| Reply::Late(Duration::from_millis(20), Box::new(Reply::ok()))).await;
    create(&client, &new(&table, &oldest.url, TriggerSettings::default())).await;
    let settings = TriggerSettings {
        parallelization_factor: Some(4),
        batch_size: Some(10),
        secret: Some("a secret".to_owned()),
        ..TriggerSettings::default()
    };
    create(&client, &new(&table, &lanes.url, settings)).await;
    let from_now = NewTrigger {
        starting_position: StartingPosition::Latest.into(),
        ..new(&table, &latest.url, TriggerSettings::default())
    };
    create(&client, &from_now).await;
    put_all(&client, &table, 5, 3..40).await;
    for function in [&oldest, &lanes] {
        all_delivered(function, 5, 40).await;
        assert_in_order(&function.delivered("id", "n"), 5, 40);
    }
    all_delivered(&latest, 5, 40).await;
    for numbers in latest.delivered("id", "n").values() {
        assert_eq!(numbers, &(3..40).collect::<Vec<_>>(), "exactly what was written since, once each");
    }
    let call = &lanes.calls()[0];
    assert!(call.records().len() <= 10);
    let signature = call.headers["x-watertable-signature"].to_str().expect("text");
    assert!(signature.starts_with("t=") && signature.contains(",v1="), "{signature}");
    let record = &call.records()[0];
    assert_eq!(record["eventSource"], "aws:dynamodb");
    assert!(record["eventSourceARN"].as_str().is_some_and(|arn| arn.contains(":table/orders/stream/")));
    assert_eq!(record["dynamodb"]["StreamViewType"], "NEW_AND_OLD_IMAGES");
    until("the lag being none", async || {
        let triggers = client.list_triggers(Some(&table)).await.expect("triggers");
        assert_eq!(triggers.len(), 3);
        let level = |trigger: &Trigger| trigger.shards.iter().all(|shard| shard.lag_millis == Some(0));
        triggers.iter().all(|trigger| level(trigger) && trigger.last_result == "OK").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_record_that_fails_is_found_kept_and_delivered_again() {
    let cluster = Cluster::start(3).await;
    let client = cluster.client();
    let table = create_table(&client, &cluster, "poisoned", 1).await;
    let failures = TableName::parse("failures").expect("a name");
    let key = |name| KeyAttribute { name: AttributeName::parse(name).expect("a name"), kind: KeyType::S };
    let kept = NewTable {
        name: failures.clone(),
        key: KeySchema { partition: key("TriggerId"), sort: Some(key("FailureId")) },
        stream: None,
        partitions: 2,
        retention_ms: 0,
    };
    let healed = Arc::new(AtomicBool::new(false));
    let is_healed = healed.clone();
    let function = Function::serve("/2015-03-31/functions/f/invocations", move |event| {
        let records = event["Records"].as_array().expect("records");
        let poison = records.iter().any(|record| record["dynamodb"]["NewImage"]["n"]["N"] == "7");
        if poison && !is_healed.load(Ordering::SeqCst) {
            return Reply::Failed(json!({"errorType": "ValueError", "errorMessage": "seven"}).to_string());
        }
        Reply::ok()
    })
    .await;
    let settings = TriggerSettings {
        bisect_batch_on_function_error: Some(true),
        maximum_retry_attempts: Some(1),
        on_failure: Some("table:failures".to_owned()),
        ..TriggerSettings::default()
    };
    put_all(&client, &table, 3, 0..20).await;
    let refused = client.create_trigger(&new(&table, &function.url, settings.clone())).await;
    assert!(
        refused.expect_err("there is no such table").to_string().contains("TriggerId (S), FailureId (S)")
    );
    client.create_table(&kept).await.expect("a table is created");
    cluster.everywhere(&failures).await;
    let trigger = create(&client, &new(&table, &function.url, settings)).await;
    until("the failures being kept", async || {
        let (failed, more) = client.list_failures(&trigger.trigger_id, 0, None).await.expect("failures");
        assert_eq!(more, None);
        (failed.len() == 3).then_some(())
    })
    .await;
    let (failed, _) = client.list_failures(&trigger.trigger_id, 0, None).await.expect("failures");
    for failure in &failed {
        assert_eq!(failure.condition, "RetryAttemptsExhausted");
        assert_eq!(failure.error, "ValueError: seven");
        let record: Value = serde_json::from_str(&failure.record).expect("the whole record");
        assert_eq!(record["dynamodb"]["NewImage"]["n"]["N"], "7");
    }
    until("the others being delivered", async || {
        let delivered = function.delivered("id", "n");
        delivered.values().all(|numbers| numbers.contains(&19)).then_some(())
    })
    .await;
    for numbers in function.delivered("id", "n").values() {
        assert_eq!(numbers, &(0..20).filter(|number| *number != 7).collect::<Vec<_>>());
    }
    let redriven = client.redrive_trigger(&trigger.trigger_id, 2, None).await.expect("tried");
    assert_eq!((redriven.redriven, redriven.failed), (0, 2), "it fails as before");
    assert_eq!(redriven.error.as_deref(), Some("ValueError: seven"));
    assert_eq!(redriven.last_failure_id.as_ref(), Some(&failed[1].failure_id));
    healed.store(true, Ordering::SeqCst);
    let redriven = client.redrive_trigger(&trigger.trigger_id, 0, None).await.expect("delivered");
    assert_eq!((redriven.redriven, redriven.failed, redriven.last_failure_id), (3, 0, None));
    assert!(client.list_failures(&trigger.trigger_id, 0, None).await.expect("failures").0.is_empty());
    assert!(function.delivered("id", "n").values().all(|numbers| numbers.last() == Some(&7)));
}

#[tokio::test]
async fn what_is_given_up_is_told_with_its_records() {
    let cluster = Cluster::start(1).await;
    let client = cluster.client();
    let table = create_table(&client, &cluster, "told", 1).await;
    let function = Function::serve("/hook", |event| {
        let first = &event["Records"][0]["dynamodb"];
        match first["NewImage"]["n"]["N"].as_str() {
            Some("0") => Reply::Status(500, "no".to_owned()),
            Some("1") => Reply::Late(Duration::from_secs(60), Box::new(Reply::ok())),
            Some("2") => {
                let number = first["SequenceNumber"].clone();
                Reply::Status(200, json!({"batchItemFailures": [{"itemIdentifier": number}]}).to_string())
            }
            _ => Reply::ok(),
        }
    })
    .await;
    let taken = Arc::new(AtomicUsize::new(0));
    let count = taken.clone();
    let destination = Function::serve("/lost", move |_| {
        // It does not take the first one at once.
        if count.fetch_add(1, Ordering::SeqCst) == 0 {
            Reply::Status(503, String::new())
        } else {
            Reply::ok()
        }
    })
    .await;
    let settings = TriggerSettings {
        batch_size: Some(1),
        maximum_retry_attempts: Some(0),
        report_batch_item_failures: Some(true),
        timeout_millis: Some(200),
        on_failure: Some(destination.url.clone()),
        ..TriggerSettings::default()
    };
    create(&client, &new(&table, &function.url, settings)).await;
    put_all(&client, &table, 1, 0..5).await;
    until("the last record being delivered", async || {
        function.delivered("id", "n").get("key-0").is_some_and(|numbers| numbers.contains(&4)).then_some(())
    })
    .await;
    let told: Vec<Value> =
        destination.calls().into_iter().filter(|call| call.succeeded).map(|call| call.event).collect();
    assert_eq!(told.len(), 3);
    for (at, document) in told.iter().enumerate() {
        assert_eq!(document["requestContext"]["condition"], "RetryAttemptsExhausted");
        assert_eq!(document["requestContext"]["approximateInvokeCount"], 1);
        assert_eq!(document["DDBStreamBatchInfo"]["batchSize"], 1);
        let record = &document["payload"]["Records"][0]["dynamodb"];
        assert_eq!(record["NewImage"]["n"]["N"], at.to_string());
        assert_eq!(record["SequenceNumber"], document["DDBStreamBatchInfo"]["startSequenceNumber"]);
    }
    assert_eq!(told[0]["responseContext"]["statusCode"], 500);
    assert!(
        told[1]["responseContext"]["errorMessage"].as_str().is_some_and(|error| error.contains("200 ms"))
    );
}

#[tokio::test]
async fn a_trigger_is_paused_changed_rewound_and_deleted() {
    let cluster = Cluster::start(3).await;
    let client = cluster.client();
    let table = create_table(&client, &cluster, "paused", 2).await;
    let function = Function::serve("/hook", |_| Reply::ok()).await;
    let trigger = create(&client, &new(&table, &function.url, TriggerSettings::default())).await;
    let id = trigger.trigger_id;
    put_all(&client, &table, 4, 0..5).await;
    all_delivered(&function, 4, 5).await;
    let change = |enabled, settings| TriggerChange {
        trigger_id: id.clone(),
        enabled,
        settings,
        ..TriggerChange::default()
    };
    let paused = client.update_trigger(&change(Some(false), None)).await.expect("it is paused");
    assert!(!paused.enabled);
    put_all(&client, &table, 4, 5..10).await;
    until("the lag being seen", async || {
        let trigger = client.trigger(&id).await.expect("there");
        trigger.shards.iter().any(|shard| shard.lag_millis > Some(0)).then_some(())
    })
    .await;
    let only_even = TriggerSettings {
        filters: Some(TriggerFilters {
            patterns: vec![r#"{"dynamodb":{"NewImage":{"n":{"N":["6","8"]}}}}"#.to_owned()],
        }),
        ..TriggerSettings::default()
    };
    let resumed = client.update_trigger(&change(Some(true), Some(only_even))).await.expect("it goes on");
    assert_eq!(resumed.settings.expect("settings").filters.expect("filters").patterns.len(), 1);
    until("what passes being delivered", async || {
        function.delivered("id", "n").values().all(|numbers| numbers.ends_with(&[6, 8])).then_some(())
    })
    .await;
    for numbers in function.delivered("id", "n").values() {
        assert_eq!(numbers, &[0, 1, 2, 3, 4, 6, 8], "nothing twice, nothing that does not pass");
    }
    client.rewind_trigger(&id, StartingPosition::TrimHorizon, None).await.expect("it is rewound");
    until("it being delivered again", async || {
        function.delivered("id", "n").values().all(|numbers| numbers.ends_with(&[6, 8, 6, 8])).then_some(())
    })
    .await;
    client.delete_trigger(&id).await.expect("it is deleted");
    assert!(client.trigger(&id).await.expect_err("it is gone").is_not_found());
    assert!(client.delete_trigger(&id).await.expect_err("it is gone").is_not_found());
}

#[tokio::test]
async fn a_trigger_outlives_its_stream() {
    let cluster = Cluster::start(1).await;
    let client = cluster.client();
    let table = create_table(&client, &cluster, "reborn", 2).await;
    let function = Function::serve("/hook", |_| Reply::ok()).await;
    create(&client, &new(&table, &function.url, TriggerSettings::default())).await;
    put_all(&client, &table, 3, 0..3).await;
    for view in [None, Some(StreamViewType::NewImage)] {
        client.update_stream(&table, view).await.expect("it is changed");
        cluster.everywhere(&table).await;
    }
    put_all(&client, &table, 3, 3..6).await;
    all_delivered(&function, 3, 6).await;
    assert_in_order(&function.delivered("id", "n"), 3, 6);
}

#[tokio::test]
async fn tumbling_windows_add_up() {
    let cluster = Cluster::start(1).await;
    let client = cluster.client();
    let table = create_table(&client, &cluster, "tumbling", 1).await;
    let function = Function::serve("/hook", |event| {
        let before = event["state"]["sum"].as_u64().unwrap_or(0);
        let numbers = event["Records"].as_array().expect("records").iter();
        let numbers =
            numbers.map(|record| record["dynamodb"]["NewImage"]["n"]["N"].as_str().expect("a number"));
        let sum: u64 = numbers.map(|number| number.parse::<u64>().expect("a number")).sum();
        Reply::Status(200, json!({"state": {"sum": before + sum}}).to_string())
    })
    .await;
    let settings = TriggerSettings { tumbling_window_seconds: Some(1), ..TriggerSettings::default() };
    create(&client, &new(&table, &function.url, settings)).await;
    for number in 1..=30 {
        put(&client, &table, "key", number).await;
        tokio::time::sleep(Duration::from_millis(50)).await; // until another window, now and then
    }
    until("all windows being closed", async || {
        let calls = function.calls();
        let last = calls.iter().filter(|call| call.event["isFinalInvokeForWindow"] == true);
        let sum: u64 = last.filter_map(|call| call.event["state"]["sum"].as_u64()).sum();
        (sum == 30 * 31 / 2).then_some(())
    })
    .await;
    let mut windows: BTreeMap<String, usize> = BTreeMap::new();
    for call in function.calls() {
        *windows.entry(call.event["window"]["start"].as_str().expect("a start").to_owned()).or_default() += 1;
    }
    assert!(windows.len() > 1, "{windows:?}");
}

#[tokio::test]
async fn what_is_trimmed_meanwhile_is_told_of() {
    let cluster = Cluster::start(1).await;
    let client = cluster.client();
    let name = TableName::parse("trimmed").expect("a name");
    let id = KeyAttribute { name: AttributeName::parse("id").expect("a name"), kind: KeyType::S };
    let created = NewTable {
        name: name.clone(),
        key: KeySchema { partition: id, sort: None },
        stream: Some(StreamViewType::NewImage),
        partitions: 1,
        retention_ms: 1000,
    };
    client.create_table(&created).await.expect("a table is created");
    let table = cluster.everywhere(&name).await;
    let function = Function::serve("/hook", |_| Reply::ok()).await;
    let paused = NewTrigger { enabled: Some(false), ..new(&name, &function.url, TriggerSettings::default()) };
    let trigger = create(&client, &paused).await;
    let change = |enabled| TriggerChange {
        trigger_id: trigger.trigger_id.clone(),
        enabled: Some(enabled),
        ..TriggerChange::default()
    };
    client.update_trigger(&change(true)).await.expect("it goes on");
    put(&client, &name, "key", 0).await;
    all_delivered(&function, 1, 1).await;
    client.update_trigger(&change(false)).await.expect("it is paused");
    put(&client, &name, "key", 1).await;
    let arn = table.latest_stream_arn.expect("a stream");
    let number = until("both records being trimmed", async || {
        put(&client, &name, "other", 0).await;
        let stream = client.describe_stream(&arn).await.expect("a stream");
        let shard = &stream.shards[0];
        let iterator =
            client.shard_iterator(&arn, &shard.id, &Start::TrimHorizon).await.expect("an iterator");
        let page = client.get_records(&iterator, 10).await.expect("a page");
        let is_old = |record: &Record| record.keys == item([("id", s("key"))]);
        (!page.records.iter().any(is_old)).then_some(2)
    })
    .await;
    put(&client, &name, "key", number).await;
    client.update_trigger(&change(true)).await.expect("it goes on");
    until("the newest record being delivered", async || {
        function
            .delivered("id", "n")
            .get("key")
            .is_some_and(|numbers| numbers.last() == Some(&number))
            .then_some(())
    })
    .await;
    assert_eq!(function.delivered("id", "n")["key"], [0, 2]);
    until("a person being told", async || {
        let shown = client.trigger(&trigger.trigger_id).await.expect("there");
        shown.shards[0].last_error.as_deref()?.contains("retention").then_some(())
    })
    .await;
}

/// Every record of every write is delivered at least once, and no record of a key before one that was written before it,
/// whatever node dies; and what is done is, but for what was under way, not done again.
#[tokio::test]
async fn whatever_node_dies_nothing_is_skipped() {
    let mut cluster = Cluster::start(3).await;
    let client = cluster.client();
    let table = create_table(&client, &cluster, "killed", 3).await;
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let function = Function::serve("/hook", move |_| match count.fetch_add(1, Ordering::SeqCst) % 7 {
        3 => Reply::Status(500, "now and then".to_owned()),
        5 => Reply::Status(503, "overloaded".to_owned()),
        _ => Reply::Late(Duration::from_millis(5), Box::new(Reply::ok())),
    })
    .await;
    let settings = TriggerSettings {
        batch_size: Some(7),
        parallelization_factor: Some(2),
        ..TriggerSettings::default()
    };
    create(&client, &new(&table, &function.url, settings)).await;
    let (keys, rounds) = (6, 4);
    for round in 0..rounds {
        let victim = cluster.leader_of(&client, &table, round % 3).await;
        let (from, to) = (round as u64 * 50, round as u64 * 50 + 50);
        let write = put_all(&client, &table, keys, from..to);
        let kill = async {
            tokio::time::sleep(Duration::from_millis(100 + 70 * round as u64)).await; // until somewhere in the middle
            cluster.kill(victim);
        };
        tokio::join!(write, kill);
        cluster.start_node(victim);
        cluster.ready().await;
    }
    all_delivered(&function, keys, 50 * rounds as u64).await;
    let delivered = function.delivered("id", "n");
    assert_in_order(&delivered, keys, 50 * rounds as u64);
    let total: usize = delivered.values().map(Vec::len).sum();
    let needed = keys * 50 * rounds;
    println!("{total} records delivered for {needed} changes, {} calls", function.calls().len());
    assert!(total < needed + needed / 2, "{total} of {needed}: progress is kept");
}

/// The product's own operations in JSON, as the console uses them.
#[tokio::test]
async fn triggers_are_managed_in_json() {
    let cluster = Cluster::start(1).await;
    let client = cluster.client();
    create_table(&client, &cluster, "json", 2).await;
    let node = &cluster.nodes[0];
    let ask = |operation: &str, body: Value| node.dynamodb(operation, &body.to_string());
    let (status, created) = ask(
        "CreateTrigger",
        json!({"TableName": "json", "Target": "http://127.0.0.1:9/hook", "Enabled": false, "BatchSize": 7, "Filters": ["{\"eventName\":[\"INSERT\"]}"]}),
    );
    assert_eq!(status, 200, "{created}");
    let trigger = &created["Trigger"];
    assert_eq!((&trigger["State"], &trigger["Settings"]["BatchSize"]), (&json!("Disabled"), &json!(7)));
    assert_eq!(trigger["Shards"].as_array().map(Vec::len), Some(2));
    let id = trigger["TriggerId"].clone();
    for (wrong, message) in [
        (json!({"TableName": "json", "Target": "http://a", "Batchsize": 7}), "unknown field `Batchsize`"),
        (
            json!({"TableName": "json", "Target": "http://a", "BatchSize": 0}),
            "BatchSize must be from 1 to 10000, not 0",
        ),
        (json!({"TableName": "json", "Target": "ftp://a"}), "Target must begin with http:// or https://"),
        (
            json!({"TableName": "json", "Target": "http://a", "StartingPosition": "AT_TIMESTAMP"}),
            "StartingTimestampMillis",
        ),
        (
            json!({"TableName": "json", "Target": "http://a", "MaximumRetryAttempts": -2}),
            "must not be below -1",
        ),
        (json!({"TableName": "json"}), "missing field `Target`"),
    ] {
        let (status, refused) = ask("CreateTrigger", wrong);
        assert_eq!(status, 400);
        let text = refused["message"].as_str().expect("a message");
        assert!(text.contains(message), "{text}");
    }
    let (_, listed) = ask("ListTriggers", json!({}));
    assert_eq!(listed["Triggers"].as_array().map(Vec::len), Some(1), "nothing that was refused is there");
    let (status, updated) =
        ask("UpdateTrigger", json!({"TriggerId": id, "Enabled": true, "MaximumRetryAttempts": 3}));
    assert_eq!((status, &updated["Trigger"]["State"]), (200, &json!("Enabled")), "{updated}");
    assert_eq!(updated["Trigger"]["Settings"]["BatchSize"], 7, "what is not said stays");
    let (status, refused) = ask("ListFailures", json!({"TriggerId": id}));
    assert_eq!(status, 400, "{refused}");
    let (_, status) = ask("GetClusterStatus", json!({}));
    assert_eq!(status["Nodes"][0]["Alive"], true);
    assert!(status["Nodes"][0]["Counters"]["Writes"].is_u64());
    let (_, partitions) = ask("DescribePartitions", json!({"TableName": "json"}));
    assert_eq!(partitions["Partitions"][0]["HashStart"], "0000000000000000");
    assert_eq!(partitions["Partitions"][1]["HashEnd"], "ffffffffffffffff");
    assert_eq!(partitions["Partitions"][0]["Shards"][0]["Open"], true);
    assert_eq!(ask("DeleteTrigger", json!({"TriggerId": id})).0, 200);
    assert_eq!(ask("DescribeTrigger", json!({"TriggerId": id})).0, 400);
}

/// What dashboards and alerts ask for is what nodes tell.
#[tokio::test]
async fn dashboards_ask_for_metrics_that_there_are() {
    let cluster = Cluster::start(1).await;
    let client = cluster.client();
    let table = create_table(&client, &cluster, "metrics", 1).await;
    let function = Function::serve("/hook", |_| Reply::ok()).await;
    create(&client, &new(&table, &function.url, TriggerSettings::default())).await;
    put(&client, &table, "key", 0).await;
    let told = until("the trigger being told of", async || {
        let told = cluster.nodes[0].http("/metrics");
        told.contains("trigger_lag_milliseconds{").then_some(told)
    })
    .await;
    let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let prefixes = ["node_", "log_", "raft_", "storage_", "stream_", "trigger_"];
    let mut asked = 0;
    for text in [include_str!("../../deploy/grafana.json"), include_str!("../../deploy/alerts.yaml")] {
        let words = text.split(|character| !is_name(character));
        for name in words.filter(|word| prefixes.iter().any(|prefix| word.starts_with(prefix))) {
            assert!(
                told.contains(&format!("\n{name}{{")) || told.contains(&format!("\n{name} ")),
                "there is no {name}"
            );
            asked += 1;
        }
    }
    assert!(asked > 20, "{asked}");
}
