//! Operations on tables.

use crate::{
    catalog::{Command, Outcome, StreamStatus, Table},
    model::{
        KeySchema, StreamViewType, TableName,
        limits::{KEY_NAME_BYTES_MAX, RETENTION_MS},
    },
    node::{Error, Node},
};

const PARTITIONS_MAX: u32 = 256;
const RETENTION_MS_MIN: u64 = 1000;
/// Names in a page of table names.
const NAMES_MAX: usize = 100;

/// A table to be created.
pub(super) struct NewTable {
    pub name: String,
    pub key_schema: KeySchema,
    pub stream: Option<StreamViewType>,
    pub partitions: u32,
    pub retention_ms: u64,
}

/// Creates a table.
pub(super) async fn create(node: &Node, table: NewTable) -> Result<Table, Error> {
    let name = TableName::parse(&table.name)?;
    let key_schema = table.key_schema;
    for key in [Some(&key_schema.partition), key_schema.sort.as_ref()].into_iter().flatten() {
        if key.name.as_str().len() > KEY_NAME_BYTES_MAX {
            return Err(Error::Invalid(format!(
                "One or more parameter values were invalid: the name of a key attribute is longer than \
                 {KEY_NAME_BYTES_MAX} bytes"
            )));
        }
    }
    if key_schema.sort.as_ref().is_some_and(|sort| sort.name == key_schema.partition.name) {
        return Err(Error::Invalid(
            "Both the Hash Key and the Range Key element in the KeySchema have the same name".to_owned(),
        ));
    }
    let partitions = if table.partitions == 0 { node.partitions_default() } else { table.partitions };
    if partitions > PARTITIONS_MAX {
        return Err(Error::Invalid(format!(
            "partitions must be between 1 and {PARTITIONS_MAX}, not {partitions}"
        )));
    }
    let retention_ms = if table.retention_ms == 0 { RETENTION_MS } else { table.retention_ms };
    if !(RETENTION_MS_MIN..=RETENTION_MS).contains(&retention_ms) {
        return Err(Error::Invalid(format!(
            "retention_ms must be between {RETENTION_MS_MIN} and {RETENTION_MS}, not {retention_ms}"
        )));
    }
    let command = Command::CreateTable {
        name: name.clone(),
        key_schema,
        partitions,
        stream: table.stream,
        retention_ms,
        now_ms: node.now_ms(),
    };
    node.command(command).await?;
    find(node, &name).await
}

/// Turns a stream on or off.
pub(super) async fn update_stream(
    node: &Node,
    name: &str,
    stream: Option<StreamViewType>,
) -> Result<Table, Error> {
    let name = TableName::parse(name)?;
    let command = Command::UpdateStream { name: name.clone(), stream, now_ms: node.now_ms() };
    node.command(command).await?;
    find(node, &name).await
}

/// Deletes a table; gives it as it was last.
pub(super) async fn delete(node: &Node, name: &str) -> Result<Table, Error> {
    let name = TableName::parse(name)?;
    let table = find(node, &name).await?;
    match node.command(Command::DeleteTable { name, now_ms: node.now_ms() }).await? {
        Outcome::Table(_) | Outcome::Done | Outcome::Node(_) => Ok(table),
        Outcome::Refused(refusal) => Err(refusal.into()),
    }
}

/// A table that is not deleted.
pub(super) async fn find(node: &Node, name: &TableName) -> Result<Table, Error> {
    let missing = || Error::NotFound(format!("Requested resource not found: Table: {name} not found"));
    node.look_up(|catalog| catalog.table(name).cloned().ok_or_else(missing)).await
}

/// A page of table names behind `start`, and where to go on.
pub(super) async fn list(
    node: &Node,
    start: Option<&str>,
    limit: u32,
) -> Result<(Vec<String>, Option<String>), Error> {
    let limit = limit as usize;
    if limit > NAMES_MAX {
        return Err(Error::Invalid(format!("limit must be between 1 and {NAMES_MAX}, not {limit}")));
    }
    let limit = if limit == 0 { NAMES_MAX } else { limit };
    node.settled().await?;
    let catalog = node.catalog();
    let behind = catalog.names.keys().filter(|name| start.is_none_or(|start| name.as_str() > start));
    let mut names: Vec<String> = behind.take(limit + 1).map(ToString::to_string).collect();
    let more = names.len() > limit;
    names.truncate(limit);
    let last = if more { names.last().cloned() } else { None };
    Ok((names, last))
}

/// Whether a stream is on, or about to be.
pub(super) fn is_on(status: StreamStatus) -> bool {
    matches!(status, StreamStatus::Enabling | StreamStatus::Enabled)
}
