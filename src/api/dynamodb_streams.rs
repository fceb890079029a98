//! Operations on streams in the DynamoDB protocol.

use super::dynamodb_items::{Answer, answer};
use super::dynamodb_tables::key_schema_out;
use super::error::Fault;
use super::requests::{DescribeStream, GetRecords, GetShardIterator, ListStreams, ShardFilter};
use super::shape::{Shape, Shaped, given};
use super::streams::{self, Ask};
use crate::catalog::StreamStatus;
use crate::model::Corrupt;
use crate::model::json::Object;
use crate::node::{Error, Node, ShardView};
use crate::stream::label_of;

fn invalid(message: &str) -> Error {
    Error::Invalid(message.to_owned())
}

/// A limit that is not above `max`, within the range of its shape otherwise.
fn limit<S: Shape<Value = super::json::Integer>>(limit: Option<Shaped<S>>, max: i64) -> Result<u32, Error> {
    match limit.map(|limit| limit.0.0) {
        None => Ok(0),
        Some(limit) if limit <= max => Ok(u32::try_from(limit).unwrap_or(0)),
        Some(limit) => Err(Error::Invalid(format!(
            "1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: Member must have \
             value less than or equal to {max}"
        ))),
    }
}

pub(super) async fn list(node: &Node, request: ListStreams) -> Answer {
    let limit = limit(request.limit, 100)?;
    let table = request.table_name.map(|name| name.0.0).unwrap_or_default();
    let start = request.start.map(|arn| arn.0.0);
    let (arns, last) = streams::list(node, &table, limit, start.as_deref()).await?;
    answer(|object| {
        object.objects("Streams", &arns, |object, arn| {
            object.text("StreamArn", &arn.to_string());
            object.text("TableName", arn.table.as_str());
            object.text("StreamLabel", &label_of(arn.stream_ms));
            Ok(())
        })?;
        if let Some(last) = &last {
            object.text("LastEvaluatedStreamArn", last);
        }
        Ok(())
    })
}

fn status_name(status: StreamStatus) -> &'static str {
    match status {
        StreamStatus::Enabling => "ENABLING",
        StreamStatus::Enabled => "ENABLED",
        StreamStatus::Disabling => "DISABLING",
        StreamStatus::Disabled => "DISABLED",
    }
}

fn shard_out(object: &mut Object<'_>, shard: &ShardView) -> Result<(), Corrupt> {
    object.text("ShardId", &shard.id.to_string());
    object.object("SequenceNumberRange", |object| {
        object.text("StartingSequenceNumber", &shard.starting.to_string());
        if let Some(ending) = &shard.ending {
            object.text("EndingSequenceNumber", &ending.to_string());
        }
        Ok(())
    })?;
    if let Some(parent) = &shard.parent {
        object.text("ParentShardId", &parent.to_string());
    }
    Ok(())
}

/// The shard whose children are asked for.
fn parent(filter: Option<ShardFilter>) -> Result<Option<String>, Error> {
    let Some(filter) = filter else { return Ok(None) };
    match (filter.kind, filter.shard) {
        (Some(_), Some(shard)) => Ok(Some(shard.0.0)),
        (None, _) => Err(invalid(
            "1 validation error detected: Value null at 'shardFilter.type' failed to satisfy \
                                  constraint: Member must not be null",
        )),
        (Some(_), None) => Err(invalid(
            "1 validation error detected: Value null at 'shardFilter.shardId' failed to \
                                        satisfy constraint: Member must not be null",
        )),
    }
}

pub(super) async fn describe(node: &Node, request: DescribeStream) -> Answer {
    let limit = limit(request.limit, 100)?;
    let (arn, parent) = (given(request.stream).0.0, parent(request.filter)?);
    let start = request.start.map(|shard| shard.0.0);
    let (view, last) = streams::describe(node, &arn, limit, start.as_deref(), parent.as_deref()).await?;
    answer(|object| {
        object.object("StreamDescription", |object| {
            object.text("StreamArn", &view.arn.to_string());
            object.text("StreamLabel", &label_of(view.arn.stream_ms));
            object.text("StreamStatus", status_name(view.status));
            object.text("StreamViewType", view.view_type.name());
            object.time("CreationRequestDateTime", view.arn.stream_ms);
            object.text("TableName", view.arn.table.as_str());
            key_schema_out(object, &view.key_schema)?;
            object.objects("Shards", &view.shards, shard_out)?;
            if let Some(last) = &last {
                object.text("LastEvaluatedShardId", &last.to_string());
            }
            Ok(())
        })
    })
}

pub(super) async fn iterator(node: &Node, request: GetShardIterator) -> Answer {
    let (arn, shard) = (given(request.stream).0.0, given(request.shard).0.0);
    let kind = given(request.kind).0.0;
    let number = request.sequence_number.map(|number| number.0.0);
    let timestamp = request.timestamp.map(|timestamp| timestamp.0);
    let ask = match (kind.as_str(), number.as_deref(), timestamp) {
        ("TRIM_HORIZON", None, None) => Ask::TrimHorizon,
        ("LATEST", None, None) => Ask::Latest,
        ("AT_SEQUENCE_NUMBER", Some(number), None) => Ask::At(number),
        ("AFTER_SEQUENCE_NUMBER", Some(number), None) => Ask::After(number),
        ("AT_TIMESTAMP", None, Some(ms)) => Ask::Timestamp(ms),
        ("AT_SEQUENCE_NUMBER" | "AFTER_SEQUENCE_NUMBER", None, _) => {
            return Err(invalid(
                "SequenceNumber is required for AT_SEQUENCE_NUMBER and AFTER_SEQUENCE_NUMBER shard iterator types",
            )
            .into());
        }
        ("AT_TIMESTAMP", _, None) => {
            return Err(invalid("Timestamp is required for the AT_TIMESTAMP shard iterator type").into());
        }
        (kind, Some(_), _) => {
            let message = format!("SequenceNumber must not be given for the shard iterator type {kind}");
            return Err(Error::Invalid(message).into());
        }
        (kind, None, _) => {
            let message = format!("Timestamp must not be given for the shard iterator type {kind}");
            return Err(Error::Invalid(message).into());
        }
    };
    let iterator = streams::iterator(node, &arn, &shard, ask).await?;
    answer(|object| {
        object.text("ShardIterator", &iterator);
        Ok(())
    })
}

pub(super) async fn records(node: &Node, request: GetRecords) -> Result<Vec<u8>, Fault> {
    let limit = limit(request.limit, 1000)?;
    let (page, next) = streams::records(node, &given(request.iterator).0.0, limit).await?;
    answer(|object| {
        let (records, view_type) = (&page.records, page.view_type);
        object.objects("Records", records, |object, record| record.write_event(view_type, object))?;
        if let Some(next) = &next {
            object.text("NextShardIterator", next);
        }
        Ok(())
    })
}
