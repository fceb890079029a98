//! Streams as clients see them: listed, described, read.

use std::sync::Arc;

use super::{
    Error, Node,
    operation::{Changes, Done, LoggedChange, Operation, RecordsPage, RecordsRequest},
};
use crate::{
    catalog::{Catalog, Partition, Stream, StreamStatus, Table},
    model::{KeySchema, StreamViewType, limits::RECORDS_PER_PAGE_MAX},
    stream::{Cursor, Projection, Record, SequenceNumber, ShardId, Start, StreamArn},
};

/// Bytes of images in a page of records, about (AWS: 1 MB).
pub(super) const PAGE_BYTES: usize = 1024 * 1024;

/// A stream and where to find it.
#[derive(Clone, Debug)]
pub struct StreamView {
    /// Its ARN.
    pub arn: StreamArn,
    /// What it is doing.
    pub status: StreamStatus,
    /// What its records show.
    pub view_type: StreamViewType,
    /// The key of its table.
    pub key_schema: KeySchema,
    /// Its shards as far as they are open or closed already, by id.
    pub shards: Vec<ShardView>,
}

/// A shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardView {
    /// Its id.
    pub id: ShardId,
    /// No record has a smaller sequence number.
    pub starting: SequenceNumber,
    /// Once it is closed: no record has a larger one.
    pub ending: Option<SequenceNumber>,
    /// The shard before it.
    pub parent: Option<ShardId>,
}

/// A stream the catalog knows.
struct Found {
    catalog: Arc<Catalog>,
    table: crate::model::id::TableId,
    stream_ms: u64,
}

impl Found {
    fn table(&self) -> &Table {
        &self.catalog.tables[&self.table]
    }

    fn stream(&self) -> Result<&Stream, Error> {
        self.table().stream(self.stream_ms).ok_or(Error::Internal)
    }
}

impl Found {
    /// The stream of an ARN.
    fn find(catalog: &Arc<Catalog>, arn: &StreamArn) -> Result<Self, Error> {
        let missing = || Error::NotFound(format!("Requested resource not found: Stream: {arn} not found"));
        let mut tables = catalog.tables.values();
        let table = tables.find(|table| table.name == arn.table && table.stream(arn.stream_ms).is_some());
        let table = table.ok_or_else(missing)?.id;
        Ok(Self { catalog: catalog.clone(), table, stream_ms: arn.stream_ms })
    }

    /// The partition of a shard.
    fn partition(&self, shard: ShardId) -> Result<&Partition, Error> {
        let missing = || Error::NotFound("Requested resource not found: Shard does not exist".to_owned());
        let stream = self.stream()?;
        if shard.created_ms != stream.stream_ms || !stream.shards.contains_key(&shard.group) {
            return Err(missing());
        }
        self.catalog.partitions.get(&shard.group).ok_or_else(missing)
    }
}

impl Node {
    /// A stream and one of its shards' partitions.
    async fn find_shard(&self, arn: &StreamArn, shard: ShardId) -> Result<(Found, Partition), Error> {
        self.look_up(|catalog| {
            let found = Found::find(catalog, arn)?;
            let partition = found.partition(shard)?.clone();
            Ok((found, partition))
        })
        .await
    }

    /// All streams, of one table or of all, sorted by ARN.
    pub fn streams(&self, table: Option<&crate::model::TableName>) -> Vec<StreamArn> {
        let catalog = self.catalog();
        let tables =
            catalog.tables.values().filter(|candidate| table.is_none_or(|name| candidate.name == *name));
        let mut arns: Vec<_> = tables
            .flat_map(|table| {
                let arn =
                    |stream: &Stream| StreamArn { table: table.name.clone(), stream_ms: stream.stream_ms };
                table.streams.iter().map(arn)
            })
            .collect();
        arns.sort_by_cached_key(ToString::to_string);
        arns
    }

    /// A stream with all its shards.
    pub async fn stream(&self, arn: &StreamArn) -> Result<StreamView, Error> {
        let found = self.look_up(|catalog| Found::find(catalog, arn)).await?;
        let (table, stream) = (found.table(), found.stream()?);
        let mut shards = Vec::new();
        for (group, shard) in &stream.shards {
            let Some(partition) = found.catalog.partitions.get(group) else { continue };
            let number = |index| SequenceNumber { generation: partition.generation, index, ordinal: 0 };
            shards.push(ShardView {
                id: ShardId { created_ms: stream.stream_ms, group: *group },
                starting: number(shard.opened),
                ending: shard.closed.map(number),
                parent: None,
            });
        }
        shards.sort_by_key(|shard| shard.id);
        Ok(StreamView {
            arn: arn.clone(),
            status: table.stream_status(stream),
            view_type: stream.view_type,
            key_schema: table.key_schema.clone(),
            shards,
        })
    }

    /// Where a reader of a shard starts: a cursor, or `None` for the trim horizon, wherever that is when it reads.
    pub async fn locate(
        &self,
        arn: &StreamArn,
        shard: ShardId,
        start: Start,
    ) -> Result<Option<Cursor>, Error> {
        let group = self.find_shard(arn, shard).await?.1.group;
        let stream_ms = arn.stream_ms;
        match start {
            Start::TrimHorizon => Ok(None),
            Start::At(cursor) | Start::After(cursor) => {
                let cursor = if matches!(start, Start::After(_)) { cursor.next() } else { cursor };
                let probe = RecordsRequest {
                    group,
                    stream_ms,
                    cursor: Some(cursor),
                    records_max: 1,
                    bytes_max: 1,
                    wait_ms: 0,
                    consistent: false,
                };
                self.records_anywhere(probe).await?;
                Ok(Some(cursor))
            }
            Start::Latest | Start::Timestamp(_) => {
                match self.operate_on_leader(group, Operation::Locate { stream_ms, start }).await? {
                    Done::Locate(cursor) => Ok(Some(cursor)),
                    _ => Err(Error::Internal),
                }
            }
        }
    }

    /// The records of a shard at a cursor (`None`: the trim horizon); waits up to `wait_ms` for the first.
    ///
    /// A page without records is the leader's word, while there is a leader: every record of a write acknowledged
    /// before the call, and every record another node has shown, comes before the end of the shard. Records themselves
    /// are the same on every replica, so any may give them.
    pub async fn records(
        &self,
        arn: &StreamArn,
        shard: ShardId,
        cursor: Option<Cursor>,
        records_max: usize,
        wait_ms: u64,
    ) -> Result<RecordsPage, Error> {
        let (found, partition) = self.find_shard(arn, shard).await?;
        let request = RecordsRequest {
            group: partition.group,
            stream_ms: arn.stream_ms,
            cursor,
            records_max: records_max.min(RECORDS_PER_PAGE_MAX),
            bytes_max: PAGE_BYTES,
            wait_ms,
            consistent: false,
        };
        let page = self.records_to_the_end(request).await?;
        let projection = Projection {
            group: partition.group,
            generation: partition.generation,
            view_type: found.stream()?.view_type,
            key_schema: found.table().key_schema.clone(),
        };
        let records: Result<Vec<Record>, _> =
            page.changes.into_iter().map(|change| project(&projection, change)).collect();
        let records = records.map_err(|error| Error::internal("a logged change does not decode", &error))?;
        self.shared.metrics.records(&records);
        Ok(RecordsPage { records, view_type: projection.view_type, next: page.next })
    }

    pub(super) async fn records_to_the_end(&self, request: RecordsRequest) -> Result<Changes, Error> {
        let here = self.replica(request.group);
        let page = match &here {
            // A replica that has heard of the shard reads here; one that has not yet asks another.
            Some(replica)
                if replica.is_level() && replica.published.borrow().shard(request.stream_ms).is_some() =>
            {
                self.records_here(replica, request).await?
            }
            _ => self.records_anywhere(request).await?,
        };
        if !page.changes.is_empty() || page.next.is_none() || !self.may_be_led(request.group) {
            return Ok(page);
        }
        let rest = RecordsRequest { cursor: page.next, wait_ms: 0, consistent: true, ..request };
        match self.operate_on_leader(request.group, Operation::Records(rest)).await {
            Ok(Done::Records(rest)) => Ok(rest),
            Ok(_) => Err(Error::Internal),
            Err(Error::Unavailable(_)) => Ok(page), // nobody has led for a while: this is what is known
            Err(error) => Err(error),
        }
    }

    async fn records_anywhere(&self, request: RecordsRequest) -> Result<Changes, Error> {
        match self.operate_on_any(request.group, Operation::Records(request)).await? {
            Done::Records(changes) => Ok(changes),
            _ => Err(Error::Internal),
        }
    }
}

pub(super) fn project(
    projection: &Projection,
    change: LoggedChange,
) -> Result<Record, crate::model::Corrupt> {
    let LoggedChange { index, ordinal, now_ms, key, existed, old, new } = change;
    let item_key = key.get(8..).unwrap_or_default();
    projection.record((index, ordinal), now_ms, item_key, existed, old, new)
}
