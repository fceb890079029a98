//! Consumers as they are told of.

use futures::future::join_all;
use serde::Serialize;

use super::{tables, triggers::lag_ms};
use crate::{
    catalog::{Catalog, Consumed, Consumer, ConsumerKey, ConsumerStart, Place, ShardKey},
    model::TableName,
    node::{Error, Node, is_at_risk},
    stream::{SequenceNumber, ShardId, StreamArn},
};

/// A consumer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ConsumerOut {
    pub name: String,
    pub table_name: String,
    pub starting_position: &'static str,
    pub created_millis: u64,
    pub members: Vec<MemberOut>,
    pub shards: Vec<ShardOut>,
    pub lag_millis: u64,
    pub at_risk: bool,
    pub position: String,
}

/// A member. Its id is text, because it is more than a double can hold.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MemberOut {
    pub member_id: String,
    pub node_id: u64,
    pub since_millis: u64,
    pub shards: usize,
}

/// A shard.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ShardOut {
    pub stream_arn: String,
    pub shard_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member_id: Option<String>,
    pub phase: Phase,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence_number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag_millis: Option<u64>,
}

/// What is going on in a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Phase {
    Copy,
    Stream,
    Done,
}

/// How a start is written.
pub(super) fn start_name(start: ConsumerStart) -> &'static str {
    match start {
        ConsumerStart::TrimHorizon => "TRIM_HORIZON",
        ConsumerStart::Latest => "LATEST",
        ConsumerStart::Timestamp(_) => "AT_TIMESTAMP",
        ConsumerStart::Snapshot => "SNAPSHOT",
        ConsumerStart::Position => "POSITION",
    }
}

/// A consumer of a table.
pub(super) async fn get(node: &Node, table: &str, name: &str) -> Result<ConsumerOut, Error> {
    let (consumer, table) = node.consumer(&tables::name(table)?, name).await?;
    let key = (table.id, name.to_owned());
    describe(node, &node.catalog(), &key, &consumer).await.ok_or_else(Error::no_table)
}

/// The consumers of a table, or (the name being empty) of all.
pub(super) async fn list(node: &Node, table: &str) -> Result<Vec<ConsumerOut>, Error> {
    let only =
        if table.is_empty() { None } else { Some(tables::find(node, &tables::name(table)?).await?.id) };
    node.settled().await?;
    let catalog = node.catalog();
    let wanted = catalog.consumers.iter().filter(|((table, _), _)| only.is_none_or(|only| only == *table));
    let described = wanted.map(|(key, consumer)| describe(node, &catalog, key, consumer));
    let mut listed: Vec<ConsumerOut> = join_all(described).await.into_iter().flatten().collect();
    listed.sort_by(|one, other| (&one.table_name, &one.name).cmp(&(&other.table_name, &other.name)));
    Ok(listed)
}

/// Deletes a consumer.
pub(super) async fn delete(node: &Node, table: &str, name: &str) -> Result<(), Error> {
    node.delete_consumer(&tables::name(table)?, name).await
}

async fn describe(
    node: &Node,
    catalog: &Catalog,
    (id, name): &ConsumerKey,
    consumer: &Consumer,
) -> Option<ConsumerOut> {
    let table = catalog.tables.get(id)?;
    let shards =
        consumer.shards.iter().map(|(shard, it)| describe_shard(node, catalog, &table.name, *shard, it));
    let shards = join_all(shards).await;
    let owned = |member: &u64| consumer.shards.values().filter(|it| it.owner == Some(*member)).count();
    let members = consumer.members.iter().map(|(id, member)| MemberOut {
        member_id: id.to_string(),
        node_id: member.node.0,
        since_millis: member.since_ms,
        shards: owned(id),
    });
    let lag_millis = shards.iter().filter_map(|shard| shard.lag_millis).max().unwrap_or(0);
    Some(ConsumerOut {
        name: name.clone(),
        table_name: table.name.to_string(),
        starting_position: start_name(consumer.start),
        created_millis: consumer.created_ms,
        members: members.collect(),
        lag_millis,
        at_risk: is_at_risk(lag_millis, table.retention_ms),
        position: node.position(*id, consumer),
        shards,
    })
}

async fn describe_shard(
    node: &Node,
    catalog: &Catalog,
    table: &TableName,
    (stream_ms, group): ShardKey,
    consumed: &Consumed,
) -> ShardOut {
    let stream = StreamArn { table: table.clone(), stream_ms };
    let shard = ShardId { created_ms: stream_ms, group };
    let generation = catalog.partitions.get(&group).map_or(0, |partition| partition.generation);
    let (phase, next) = match &consumed.place {
        Place::Copying { next, .. } => (Phase::Copy, *next),
        Place::At(next) => (Phase::Stream, *next),
        Place::Done => (Phase::Done, None),
    };
    let number = next.map(|at| SequenceNumber { generation, index: at.index, ordinal: at.ordinal });
    let lag_millis = if phase == Phase::Done { Some(0) } else { lag_ms(node, &stream, shard, next).await };
    ShardOut {
        stream_arn: stream.to_string(),
        shard_id: shard.to_string(),
        member_id: consumed.owner.map(|owner| owner.to_string()),
        phase,
        sequence_number: number.map(|number| number.to_string()),
        lag_millis,
    }
}
