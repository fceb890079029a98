//! What one node asks another to do for it with a group: the same operations it would do itself.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    Error,
    copy::{Copied, CopyRequest},
};
use crate::{
    catalog::{Command, Outcome},
    expression::ast::Projection,
    model::{StreamViewType, id::GroupId},
    partition::{Answer, Found, KeyRange, Limits, Page, Select, Write},
    stream::{Cursor, Start},
};

/// Reads a page of one partition's items.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Read {
    /// The stored keys to read.
    pub range: KeyRange,
    /// Whether to read them from the last to the first.
    pub reverse: bool,
    /// Where the page ends at the latest.
    pub limits: Limits,
    /// What it shows.
    pub select: Select,
    /// Whether to see everything acknowledged before.
    pub consistent: bool,
}

/// An operation on a group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Operation {
    /// Writes, each on its own; done by the leader.
    Write(Vec<Write>),
    /// Items by stored key, or parts of them; done by the leader if `consistent`, else by any replica.
    Get { keys: Vec<Bytes>, projection: Option<Projection>, consistent: bool },
    /// A page of items.
    Read(Read),
    /// Where a reader of a shard starts.
    Locate { stream_ms: u64, start: Start },
    /// Records of a shard; done by the leader if `consistent`, else by any replica.
    Records(RecordsRequest),
    /// A page of items with the place of the log it is as of; done by any replica.
    Copy(CopyRequest),
    /// How many items there are, and their bytes; done by any replica.
    Count,
    /// A command for the catalog; done by its leader.
    Command(Command),
    /// How far the catalog is applied, everything acknowledged included; done by its leader.
    CatalogIndex,
    /// What the asked node has counted.
    Vitals,
}

/// Asks for records of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RecordsRequest {
    /// The partition.
    pub group: GroupId,
    /// The stream.
    pub stream_ms: u64,
    /// Where to read; `None`: at the trim horizon.
    pub cursor: Option<Cursor>,
    /// At most so many records.
    pub records_max: usize,
    /// At most about so many bytes.
    pub bytes_max: usize,
    /// How long to wait for the first record, milliseconds.
    pub wait_ms: u64,
    /// Whether to see everything acknowledged before: then the leader does it.
    pub consistent: bool,
}

/// Records of a shard, as logged (images encoded).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Changes {
    /// The changes.
    pub changes: Vec<LoggedChange>,
    /// Where to go on; `None`: the shard is closed and this was the last of it.
    pub next: Option<Cursor>,
}

/// A change with its place and time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LoggedChange {
    pub index: u64,
    pub ordinal: u32,
    pub now_ms: u64,
    /// The stored key.
    pub key: Bytes,
    pub existed: bool,
    pub old: Option<Bytes>,
    pub new: Option<Bytes>,
}

/// A page of records.
#[derive(Clone, Debug)]
pub struct RecordsPage {
    /// The records.
    pub records: Vec<crate::stream::Record>,
    /// What they show.
    pub view_type: StreamViewType,
    /// Where to go on; `None`: the shard is closed and this was the last of it.
    pub next: Option<Cursor>,
}

/// What an operation came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Done {
    Write(Vec<Result<Answer, Error>>),
    Get(Vec<Option<Found>>),
    Page(Page),
    Locate(Cursor),
    Records(Changes),
    Copied(Copied),
    /// Items, bytes.
    Count(u64, u64),
    /// With the index of the command's entry.
    Command(Outcome, u64),
    CatalogIndex(u64),
    Vitals(Vitals),
}

/// What a node has counted since it started, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vitals {
    /// Writes done.
    pub writes: u64,
    /// Writes answered no.
    pub writes_rejected: u64,
    /// Writes that did not happen.
    pub writes_unavailable: u64,
    /// Writes whose outcome is unknown.
    pub writes_unknown: u64,
    /// Reads of items.
    pub reads: u64,
    /// Stream records read.
    pub stream_records: u64,
    /// Disk taken by the log, bytes.
    pub log_bytes: u64,
    /// Disk taken by the items, bytes.
    pub items_bytes: u64,
    /// Entries logged and not yet readable, of the partition that has most of them.
    pub stream_lag_entries: u64,
}

pub(super) fn encode<T: Serialize>(value: &T) -> Bytes {
    postcard::to_allocvec(value).expect("operations and their results serialize").into()
}

pub(super) fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    postcard::from_bytes(bytes).ok()
}
