//! Subscriptions: all shards of a stream, pushed.

use std::time::Duration;

use tokio::sync::mpsc;
use tonic::Status;

use super::{
    error::status,
    grpc::record_out,
    streams::{Ask, subscribe_at},
};
use crate::{
    catalog::StreamStatus,
    model::limits::RECORDS_PER_PAGE_MAX,
    node::{Error, Node},
    rpc::wire::v1,
    stream::{Cursor, ShardId, StreamArn},
};

/// Pages on their way to a subscriber at once, over all its shards; when it does not read, reading stops.
const PAGES_MAX: usize = 4;
/// How long a shard is waited for before the subscriber is told that nothing came.
const WAIT_MS: u64 = 1000;
const RETRY: Duration = Duration::from_millis(50);

/// Where the shards of a subscription start.
pub(super) struct From {
    pub start: v1::ShardIteratorType,
    pub timestamp_ms: Option<u64>,
    pub resume: Vec<v1::ShardPosition>,
}

impl From {
    fn ask(&self, shard: ShardId) -> Result<Ask<'_>, Error> {
        let id = shard.to_string();
        if let Some(position) = self.resume.iter().find(|position| position.shard_id == id) {
            return Ok(Ask::After(&position.sequence_number));
        }
        match (self.start, self.timestamp_ms) {
            (v1::ShardIteratorType::TrimHorizon, None) => Ok(Ask::TrimHorizon),
            (v1::ShardIteratorType::Latest, None) => Ok(Ask::Latest),
            (v1::ShardIteratorType::AtTimestamp, Some(ms)) => Ok(Ask::Timestamp(ms)),
            _ => Err(Error::Invalid(
                "start must be TRIM_HORIZON or LATEST, or AT_TIMESTAMP with a timestamp_ms".to_owned(),
            )),
        }
    }
}

/// Begins a subscription; it ends when the receiver is dropped or all shards are closed and read.
pub(super) async fn subscribe(
    node: &Node,
    arn: StreamArn,
    from: From,
) -> Result<mpsc::Receiver<Result<v1::SubscribeResponse, Status>>, Error> {
    let mut view = node.stream(&arn).await?;
    while view.status == StreamStatus::Enabling {
        tokio::time::sleep(RETRY).await;
        view = node.stream(&arn).await?;
    }
    let (pages, receiver) = mpsc::channel(PAGES_MAX);
    for shard in view.shards {
        let cursor = subscribe_at(node, &arn, shard.id, from.ask(shard.id)?).await?;
        let follow = follow(node.clone(), arn.clone(), shard.id, cursor, pages.clone());
        node.spawn("subscription", follow);
    }
    Ok(receiver)
}

/// Pushes the records of one shard.
async fn follow(
    node: Node,
    arn: StreamArn,
    shard: ShardId,
    mut cursor: Option<Cursor>,
    pages: mpsc::Sender<Result<v1::SubscribeResponse, Status>>,
) {
    let shard_id = shard.to_string();
    let mut at_end = false; // and the subscriber has been told
    loop {
        let wait_ms = if at_end { WAIT_MS } else { 0 };
        let read = tokio::select! {
            read = node.records(&arn, shard, cursor, RECORDS_PER_PAGE_MAX, wait_ms) => read,
            () = pages.closed() => return,
        };
        match read {
            Ok(page) => {
                at_end = page.records.is_empty();
                let shard_end = page.next.is_none();
                cursor = page.next;
                let records = page.records.iter().map(record_out).collect();
                let response = v1::SubscribeResponse { shard_id: shard_id.clone(), records, shard_end };
                if pages.send(Ok(response)).await.is_err() || shard_end {
                    return;
                }
            }
            Err(error) if error.is_unavailable() => tokio::time::sleep(RETRY).await,
            Err(error) => {
                let _ = pages.send(Err(status(&error))).await; // the subscriber may be gone
                return;
            }
        }
    }
}
