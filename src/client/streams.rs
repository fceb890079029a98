//! Streams, their shards, and reading a shard page by page.

use super::call::Target;
use super::error::Error;
use super::method::Method;
use super::table::key_from_wire;
use super::{Client, Record, SequenceNumber, StreamStatus, StreamViewType};
use crate::model::{KeySchema, TableName};
use crate::rpc::wire::v1;

/// A stream in a list.
#[derive(Clone, Debug)]
pub struct StreamName {
    /// Its ARN.
    pub arn: String,
    /// Its table.
    pub table: TableName,
    /// When it was turned on, ISO 8601; part of the ARN.
    pub label: String,
}

/// A stream with all its shards.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Its ARN.
    pub arn: String,
    /// Its label.
    pub label: String,
    /// What it is doing.
    pub status: StreamStatus,
    /// What its records show.
    pub view_type: StreamViewType,
    /// When it was turned on, milliseconds since 1970.
    pub created_ms: u64,
    /// Its table.
    pub table: TableName,
    /// The key of its table.
    pub key: KeySchema,
    /// Its shards, by id.
    pub shards: Vec<Shard>,
}

/// A contiguous part of the changes of one partition.
#[derive(Clone, Debug)]
pub struct Shard {
    /// Its id.
    pub id: String,
    /// No record has a smaller one.
    pub starting: SequenceNumber,
    /// Once it is closed: no record has a larger one.
    pub ending: Option<SequenceNumber>,
    /// The shard its partition's changes were in before.
    pub parent: Option<String>,
}

/// Where to start reading.
#[derive(Clone, Debug)]
pub enum Start {
    /// At the oldest record kept.
    TrimHorizon,
    /// Behind the newest.
    Latest,
    /// At the first record not older than this, milliseconds since 1970. Records that are being written at the moment may
    /// come before it.
    AtTimestamp(u64),
    /// At a record; not for subscriptions.
    At(SequenceNumber),
    /// Behind a record; not for subscriptions, which resume.
    After(SequenceNumber),
}

impl Start {
    pub(super) fn wire_type(&self) -> v1::ShardIteratorType {
        match self {
            Self::TrimHorizon => v1::ShardIteratorType::TrimHorizon,
            Self::Latest => v1::ShardIteratorType::Latest,
            Self::AtTimestamp(_) => v1::ShardIteratorType::AtTimestamp,
            Self::At(_) => v1::ShardIteratorType::AtSequenceNumber,
            Self::After(_) => v1::ShardIteratorType::AfterSequenceNumber,
        }
    }

    pub(super) fn timestamp_ms(&self) -> Option<u64> {
        if let Self::AtTimestamp(at_ms) = self { Some(*at_ms) } else { None }
    }

    fn sequence_number(&self) -> Option<String> {
        match self {
            Self::At(number) | Self::After(number) => Some(number.to_string()),
            Self::TrimHorizon | Self::Latest | Self::AtTimestamp(_) => None,
        }
    }
}

/// A page of records.
#[derive(Clone, Debug)]
pub struct RecordsPage {
    /// The records; may be empty though more follow.
    pub records: Vec<Record>,
    /// The iterator of the next page; `None`: the shard is closed and read to its end.
    pub next: Option<String>,
}

impl Client {
    /// The streams of one table or of all, also those turned off whose records are still kept.
    pub async fn list_streams(&self, table: Option<&TableName>) -> Result<Vec<StreamName>, Error> {
        let table_name = table.map(ToString::to_string).unwrap_or_default();
        let mut request = v1::ListStreamsRequest { table_name, ..Default::default() };
        let mut names = Vec::new();
        loop {
            let answer: v1::ListStreamsResponse =
                self.call(Method::LIST_STREAMS, Target::Any, &request).await?;
            for stream in answer.streams {
                let table = TableName::parse(&stream.table_name).map_err(Error::malformed)?;
                names.push(StreamName { arn: stream.stream_arn, table, label: stream.stream_label });
            }
            match answer.last_evaluated_stream_arn {
                Some(last) => request.exclusive_start_stream_arn = Some(last),
                None => return Ok(names),
            }
        }
    }

    /// A stream with all its shards.
    pub async fn describe_stream(&self, arn: &str) -> Result<Stream, Error> {
        let mut request = v1::DescribeStreamRequest { stream_arn: arn.to_owned(), ..Default::default() };
        let mut shards = Vec::new();
        loop {
            let mut answer: v1::DescribeStreamResponse =
                self.call(Method::DESCRIBE_STREAM, Target::Any, &request).await?;
            shards.extend(answer.shards.drain(..).map(Shard::from_wire));
            match answer.last_evaluated_shard_id.take() {
                Some(last) => request.exclusive_start_shard_id = Some(last),
                None => return Stream::from_wire(answer, shards),
            }
        }
    }

    /// An iterator at a place in a shard.
    pub async fn shard_iterator(&self, arn: &str, shard_id: &str, start: &Start) -> Result<String, Error> {
        let request = v1::GetShardIteratorRequest {
            stream_arn: arn.to_owned(),
            shard_id: shard_id.to_owned(),
            r#type: start.wire_type().into(),
            sequence_number: start.sequence_number(),
            timestamp_ms: start.timestamp_ms(),
        };
        let answer: v1::GetShardIteratorResponse =
            self.call(Method::GET_SHARD_ITERATOR, Target::Any, &request).await?;
        Ok(answer.shard_iterator)
    }

    /// The records at an iterator, at most `limit` (0: 1,000).
    pub async fn get_records(&self, shard_iterator: &str, limit: u32) -> Result<RecordsPage, Error> {
        let answer = self.get_records_undecoded(shard_iterator, limit).await?;
        let records = answer.records.into_iter().map(Record::from_wire).collect::<Result<_, _>>()?;
        Ok(RecordsPage { records, next: answer.next_shard_iterator })
    }

    /// As `get_records`, with the items as they travel: for those who count.
    pub async fn get_records_undecoded(
        &self,
        shard_iterator: &str,
        limit: u32,
    ) -> Result<v1::GetRecordsResponse, Error> {
        let request = v1::GetRecordsRequest { shard_iterator: shard_iterator.to_owned(), limit };
        self.call(Method::GET_RECORDS, Target::Any, &request).await
    }
}

impl Stream {
    fn from_wire(stream: v1::DescribeStreamResponse, shards: Vec<Shard>) -> Result<Self, Error> {
        let key = stream.key_schema.clone().ok_or_else(|| Error::malformed("a stream without key schema"))?;
        Ok(Self {
            status: stream.status(),
            view_type: stream.view_type(),
            arn: stream.stream_arn,
            label: stream.stream_label,
            created_ms: stream.created_ms,
            table: TableName::parse(&stream.table_name).map_err(Error::malformed)?,
            key: key_from_wire(key)?,
            shards,
        })
    }
}

impl Shard {
    fn from_wire(shard: v1::Shard) -> Self {
        Self {
            id: shard.shard_id,
            starting: SequenceNumber::new(shard.starting_sequence_number),
            ending: shard.ending_sequence_number.map(SequenceNumber::new),
            parent: shard.parent_shard_id,
        }
    }
}
