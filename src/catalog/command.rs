//! What can be asked of the catalog, and what it answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{AccessKey, Claim, ConsumerCommand, Options, OptionsChange, TriggerCommand};
use crate::model::{
    KeySchema, StreamViewType, TableName,
    id::{GroupId, NodeId, TableId, TriggerId},
};
use crate::stream::StreamArn;

/// A change of the catalog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// The first entry of a cluster: names it, and its first node.
    Found {
        /// The cluster's id, random.
        cluster_id: String,
        /// The secret that signs iterators, random.
        secret: [u8; 32],
        /// Where the first node is reached.
        address: String,
        /// Its zone.
        zone: String,
    },
    /// A node joins, or (with a nonce already known) asks again.
    Join {
        /// Where it is reached.
        address: String,
        /// Its zone.
        zone: String,
        /// Random; makes a repeated request the same request.
        nonce: u64,
    },
    /// A node is reached elsewhere now.
    Move {
        /// The node.
        node: NodeId,
        /// Where it is reached.
        address: String,
        /// Its zone.
        zone: String,
    },
    /// Creates a table.
    CreateTable {
        /// Its name.
        name: TableName,
        /// Its key.
        key_schema: KeySchema,
        /// How many partitions.
        partitions: u32,
        /// Its stream, if it starts with one.
        stream: Option<StreamViewType>,
        /// How long records are kept, milliseconds.
        retention_ms: u64,
        /// What else was asked for.
        options: Options,
        /// Now, ms since 1970.
        now_ms: u64,
    },
    /// Changes a table's options.
    UpdateOptions {
        /// The table.
        name: TableName,
        /// What changes.
        change: OptionsChange,
        /// Now, ms since 1970.
        now_ms: u64,
    },
    /// Adds tags to a table, and removes others.
    Tag {
        /// The table.
        name: TableName,
        /// Tags to set.
        set: BTreeMap<String, String>,
        /// Keys of tags to remove.
        remove: Vec<String>,
    },
    /// Keeps an access key.
    PutAccessKey {
        /// Its id.
        id: String,
        /// What is kept of it.
        key: AccessKey,
    },
    /// Forgets an access key.
    DeleteAccessKey {
        /// Its id.
        id: String,
    },
    /// Turns a table's stream on (`Some`) or off.
    UpdateStream {
        /// The table.
        name: TableName,
        /// What its records show.
        stream: Option<StreamViewType>,
        /// Now, ms since 1970.
        now_ms: u64,
    },
    /// Deletes a table.
    DeleteTable {
        /// The table.
        name: TableName,
        /// Now, ms since 1970.
        now_ms: u64,
    },
    /// Leaders of partitions report.
    Report(Vec<Report>),
    /// Forgets what has outlived its retention.
    Reap {
        /// Now, ms since 1970.
        now_ms: u64,
    },
    /// Gives partitions that have too few replicas one more each.
    Replicate,
    /// Something about triggers.
    Trigger(TriggerCommand),
    /// Something about consumers.
    Consumer(ConsumerCommand),
}

/// What the leader of a partition reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The partition.
    pub group: GroupId,
    /// The reporting leader.
    pub node: NodeId,
    /// Its term: an older one is ignored.
    pub term: u64,
    /// The shards of its log: stream, index it was opened at, index it was closed at.
    pub shards: Vec<(u64, u64, Option<u64>)>,
    /// The newest stream that ever had a shard in this log, 0: none. Of an older one that is not among `shards`, all was
    /// trimmed.
    pub newest_stream_ms: u64,
    /// The trim horizon.
    pub trimmed: Option<u64>,
}

/// What a command came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Done.
    Done,
    /// The node has this id.
    Node(NodeId),
    /// The table has this id.
    Table(TableId),
    /// The trigger has this id.
    Trigger(TriggerId),
    /// A shard of a trigger is claimed.
    Claimed(Box<Claim>),
    /// A program takes part in a consumer.
    Joined {
        /// The table.
        table: TableId,
        /// Whether the consumer was created.
        created: bool,
    },
    /// No, and nothing was changed.
    Refused(Refusal),
}

/// Why a command is refused; messages are DynamoDB's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// The cluster exists already.
    #[error("this node already belongs to a cluster")]
    Founded,
    /// There is no such node.
    #[error("node {0} is not a member of this cluster")]
    NoNode(NodeId),
    /// A table of that name exists.
    #[error("Table already exists: {0}")]
    TableExists(TableName),
    /// There is no such table.
    #[error("Requested resource not found: Table: {0} not found")]
    NoTable(TableName),
    /// The table is being created or changed.
    #[error("Attempt to change a resource which is still in use: Table is being {verb}: {name}")]
    TableBusy {
        /// The table.
        name: TableName,
        /// `created`, `updated` or `deleted`.
        verb: String,
    },
    /// The table may not be deleted.
    #[error(
        "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first."
    )]
    TableProtected,
    /// There is no such access key.
    #[error("there is no access key {0}")]
    NoAccessKey(String),
    /// There is no such trigger.
    #[error("The resource you requested does not exist: trigger {0}")]
    NoTrigger(TriggerId),
    /// There is no such consumer.
    #[error("Requested resource not found: Table {table} has no consumer {name}")]
    NoConsumer {
        /// The table.
        table: String,
        /// Its name.
        name: String,
    },
    /// The function is fed by the stream already. The message is Lambda's.
    #[error(
        "The event source arn (\" {arn} \") and function (\" {function} \") provided mapping already exists. Please \
         update or delete the existing mapping with UUID {id}",
        arn = arn(.table, .stream_ms)
    )]
    TriggerExists {
        /// The table.
        table: TableName,
        /// The stream.
        stream_ms: u64,
        /// The function.
        function: String,
        /// The trigger that feeds it.
        id: TriggerId,
    },
    /// A stream is on already.
    #[error("Table already has an enabled stream: TableName: {0}")]
    StreamEnabled(TableName),
    /// No stream is on.
    #[error("Table has no stream to disable: TableName: {0}")]
    StreamDisabled(TableName),
    /// The command makes no sense.
    #[error("{0}")]
    Invalid(String),
}

fn arn(table: &TableName, stream_ms: &u64) -> StreamArn {
    StreamArn { table: table.clone(), stream_ms: *stream_ms }
}
