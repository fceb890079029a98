//! The product's own operations in JSON, for the console and for scripts: `X-Amz-Target: Watertable_V1.<operation>`, on the
//! same endpoint and signed as DynamoDB's. Names and meaning are those of `watertable.v1`, in upper camel case.
//!
//! Requests are read by serde: what is unknown or of another kind is refused with its message.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    consumers,
    dynamodb_items::Answer,
    error::Fault,
    tables,
    triggers::{self, CreateAsk, SettingsAsk, UpdateAsk},
};
use crate::{
    node::{Error, Failed, Node, NodeView, Vitals},
    stream::{ShardId, StreamArn},
};

/// How `X-Amz-Target` calls them.
pub(super) const SERVICE: &str = "Watertable_V1";

macro_rules! operations {
    ($($operation:literal => $run:path,)*) => {
        /// All operations.
        pub(super) const NAMES: &[&str] = &[$($operation,)*];

        /// Does an operation; gives the body of the answer.
        pub(super) async fn run(node: &Node, operation: &str, body: &[u8]) -> Answer {
            match operation {
                $($operation => written($run(node, request(body)?).await),)*
                _ => Err(Fault::UnknownOperation),
            }
        }
    };
}

operations! {
    "CreateTrigger" => create_trigger,
    "DeleteConsumer" => delete_consumer,
    "DeleteTrigger" => delete_trigger,
    "DescribeConsumer" => describe_consumer,
    "DescribePartitions" => describe_partitions,
    "DescribeTrigger" => describe_trigger,
    "GetClusterStatus" => cluster_status,
    "ListConsumers" => list_consumers,
    "ListFailures" => list_failures,
    "ListTriggers" => list_triggers,
    "RedriveTrigger" => redrive_trigger,
    "RewindTrigger" => rewind_trigger,
    "UpdateTrigger" => update_trigger,
}

fn request<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|error| Error::Invalid(format!("the request is wrong: {error}")))
}

fn written(answer: Result<impl Serialize, Error>) -> Answer {
    Ok(serde_json::to_vec(&answer?).expect("answers are plain values"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct OfTable {
    table_name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct OfAnyTable {
    table_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct OfTrigger {
    trigger_id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct OfConsumer {
    table_name: String,
    name: String,
}

/// A trigger and, beside it, its settings.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Create {
    table_name: String,
    target: String,
    starting_position: Option<String>,
    starting_timestamp_millis: Option<u64>,
    enabled: Option<bool>,
    #[serde(flatten)]
    settings: Map<String, Value>,
}

/// What is to change of a trigger and, beside it, of its settings.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Update {
    trigger_id: String,
    target: Option<String>,
    enabled: Option<bool>,
    #[serde(flatten)]
    settings: Map<String, Value>,
}

/// The settings: every member that nothing else is.
fn settings(members: Map<String, Value>) -> Result<SettingsAsk, Error> {
    let read = serde_json::from_value(Value::Object(members));
    read.map_err(|error| Error::Invalid(format!("the request is wrong: {error}")))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Rewind {
    trigger_id: String,
    starting_position: String,
    starting_timestamp_millis: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct OfFailures {
    trigger_id: String,
    limit: Option<u32>,
    exclusive_start_failure_id: Option<String>,
}

// ---- the cluster

async fn cluster_status(node: &Node, _: Nothing) -> Result<Value, Error> {
    let vitals = node.vitals().await;
    let views = node.node_views();
    let nodes: Vec<Value> = views.iter().map(|view| node_out(view, vitals.get(&view.node))).collect();
    Ok(json!({
        "ClusterId": node.cluster_id(),
        "NodeId": node.id().0,
        "CatalogLeader": node.catalog_leader_id().map_or(0, |leader| leader.0),
        "Version": env!("CARGO_PKG_VERSION"),
        "NowMillis": node.now_ms(),
        "Nodes": nodes,
    }))
}

fn node_out(view: &NodeView, vitals: Option<&Vitals>) -> Value {
    let mut out = json!({
        "NodeId": view.node.0,
        "Address": view.address,
        "Zone": view.zone,
        "Alive": view.alive,
        "Leads": view.leads,
        "Replicas": view.replicas,
        "ClockOffsetMillis": view.clock_offset_ms,
    });
    if let Some(vitals) = vitals {
        out["Counters"] = json!({
            "Writes": vitals.writes,
            "WritesRejected": vitals.writes_rejected,
            "WritesUnavailable": vitals.writes_unavailable,
            "WritesUnknown": vitals.writes_unknown,
            "Reads": vitals.reads,
            "StreamRecords": vitals.stream_records,
            "LogDiskBytes": vitals.log_bytes,
            "ItemsDiskBytes": vitals.items_bytes,
            "StreamLagEntries": vitals.stream_lag_entries,
        });
    }
    out
}

async fn describe_partitions(node: &Node, ask: OfTable) -> Result<Value, Error> {
    let (catalog, id) = node.table(&tables::name(&ask.table_name)?).await?;
    let table = &catalog.tables[&id];
    let partitions = table.partitions.iter().filter_map(|group| catalog.partitions.get(group));
    let partitions = partitions.map(|partition| async move {
        let shards = table.streams.iter().filter_map(|stream| {
            let shard = stream.shards.get(&partition.group)?;
            Some((stream.stream_ms, shard))
        });
        let shards = shards.map(|(stream_ms, shard)| async move {
            let arn = StreamArn { table: table.name.clone(), stream_ms };
            let shard_id = ShardId { created_ms: stream_ms, group: partition.group };
            let oldest = if shard.trimmed { None } else { oldest_ms(node, &arn, shard_id).await };
            json!({
                "StreamArn": arn.to_string(),
                "ShardId": shard_id.to_string(),
                "Open": shard.closed.is_none(),
                "OldestMillis": oldest,
            })
        });
        let led = partition.leader;
        json!({
            "PartitionId": partition.group.0,
            "HashStart": format!("{:016x}", partition.range.first),
            "HashEnd": format!("{:016x}", partition.range.last),
            "Leader": node.leader(partition.group).map(|leader| leader.0),
            "Term": led.map_or(0, |(_, term)| term),
            "Replicas": partition.replicas.iter().map(|replica| replica.0).collect::<Vec<_>>(),
            "Shards": futures::future::join_all(shards).await,
        })
    });
    Ok(json!({
        "TableName": table.name.as_str(),
        "RetentionMillis": table.retention_ms,
        "Partitions": futures::future::join_all(partitions).await,
    }))
}

/// When the oldest record of a shard was written, if there is one and it can be found out at the moment.
async fn oldest_ms(node: &Node, arn: &StreamArn, shard: ShardId) -> Option<u64> {
    let lag_ms = triggers::lag_ms(node, arn, shard, None).await.filter(|lag_ms| *lag_ms > 0)?;
    Some(node.now_ms().saturating_sub(lag_ms))
}

// ---- consumers

async fn describe_consumer(node: &Node, ask: OfConsumer) -> Result<Value, Error> {
    consumers::get(node, &ask.table_name, &ask.name).await.map(|consumer| json!({ "Consumer": consumer }))
}

async fn list_consumers(node: &Node, ask: OfAnyTable) -> Result<Value, Error> {
    let listed = consumers::list(node, &ask.table_name.unwrap_or_default()).await?;
    Ok(json!({ "Consumers": listed }))
}

async fn delete_consumer(node: &Node, ask: OfConsumer) -> Result<Value, Error> {
    consumers::delete(node, &ask.table_name, &ask.name).await.map(|()| json!({}))
}

// ---- triggers

fn one(trigger: triggers::TriggerOut) -> Value {
    json!({ "Trigger": trigger })
}

async fn create_trigger(node: &Node, ask: Create) -> Result<Value, Error> {
    let ask = CreateAsk {
        table_name: ask.table_name,
        target: ask.target,
        starting_position: ask.starting_position,
        starting_timestamp_millis: ask.starting_timestamp_millis,
        enabled: ask.enabled,
        settings: settings(ask.settings)?,
    };
    triggers::create(node, ask).await.map(one)
}

async fn update_trigger(node: &Node, ask: Update) -> Result<Value, Error> {
    let settings = settings(ask.settings)?;
    let ask = UpdateAsk { trigger_id: ask.trigger_id, target: ask.target, enabled: ask.enabled, settings };
    triggers::update(node, ask).await.map(one)
}

async fn describe_trigger(node: &Node, ask: OfTrigger) -> Result<Value, Error> {
    triggers::get(node, &ask.trigger_id).await.map(one)
}

async fn list_triggers(node: &Node, ask: OfAnyTable) -> Result<Value, Error> {
    let listed = triggers::list(node, &ask.table_name.unwrap_or_default()).await?;
    Ok(json!({ "Triggers": listed }))
}

async fn delete_trigger(node: &Node, ask: OfTrigger) -> Result<Value, Error> {
    triggers::delete(node, &ask.trigger_id).await.map(|()| json!({}))
}

async fn rewind_trigger(node: &Node, ask: Rewind) -> Result<Value, Error> {
    let (position, at_ms) = (Some(ask.starting_position.as_str()), ask.starting_timestamp_millis);
    triggers::rewind(node, &ask.trigger_id, position, at_ms).await.map(one)
}

async fn list_failures(node: &Node, ask: OfFailures) -> Result<Value, Error> {
    let behind = ask.exclusive_start_failure_id.as_deref();
    let (failed, more) = triggers::failures(node, &ask.trigger_id, ask.limit.unwrap_or(0), behind).await?;
    let last = failed.last().filter(|_| more).map(|last| last.failure_id.clone());
    Ok(json!({ "Failures": failed.iter().map(failure_out).collect::<Vec<_>>(), "LastFailureId": last }))
}

fn failure_out(failed: &Failed) -> Value {
    json!({
        "FailureId": failed.failure_id,
        "ShardId": failed.shard_id,
        "SequenceNumber": failed.number.map(|number| number.to_string()),
        "Condition": failed.condition,
        "Attempts": failed.attempts,
        "Error": failed.error,
        "FailedAt": failed.failed_at,
        "Record": failed.record,
    })
}

async fn redrive_trigger(node: &Node, ask: OfFailures) -> Result<Value, Error> {
    let behind = ask.exclusive_start_failure_id.as_deref();
    let redriven = triggers::redrive(node, &ask.trigger_id, ask.limit.unwrap_or(0), behind).await?;
    Ok(json!({
        "Redriven": redriven.delivered,
        "Failed": redriven.failed,
        "LastFailureId": redriven.last,
        "Error": redriven.error,
    }))
}
