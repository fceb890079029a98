//! Operations on tables.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::xxh3_128;

use crate::{
    catalog::{Billing, Command, Options, OptionsChange, Outcome, StreamStatus, Table},
    model::{
        KeySchema, StreamViewType, TableName,
        limits::{KEY_NAME_BYTES_MAX, RETENTION_MS},
    },
    node::{Error, Node},
    stream::table_in_arn,
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
    pub options: Options,
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
    let mut options = table.options;
    if options.billing == Billing::OnDemand {
        options.on_demand_ms = Some(node.now_ms());
    }
    let command = Command::CreateTable {
        name: name.clone(),
        key_schema,
        partitions,
        stream: table.stream,
        retention_ms,
        options,
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
    let name = self::name(name)?;
    let command = Command::UpdateStream { name: name.clone(), stream, now_ms: node.now_ms() };
    node.command(command).await?;
    find(node, &name).await
}

/// Changes what a table is besides its key and its streams.
pub(super) async fn update_options(node: &Node, name: &str, change: OptionsChange) -> Result<Table, Error> {
    let name = self::name(name)?;
    node.command(Command::UpdateOptions { name: name.clone(), change, now_ms: node.now_ms() }).await?;
    find(node, &name).await
}

/// Adds tags to a table, or removes some.
pub(super) async fn tag(
    node: &Node,
    name: TableName,
    set: BTreeMap<String, String>,
    remove: Vec<String>,
) -> Result<(), Error> {
    node.command(Command::Tag { name, set, remove }).await.map(|_| ())
}

/// Deletes a table; gives it as it was last.
pub(super) async fn delete(node: &Node, name: &str) -> Result<Table, Error> {
    let name = self::name(name)?;
    let table = find(node, &name).await?;
    match node.command(Command::DeleteTable { name, now_ms: node.now_ms() }).await? {
        Outcome::Refused(refusal) => Err(refusal.into()),
        Outcome::Table(_)
        | Outcome::Done
        | Outcome::Node(_)
        | Outcome::Trigger(_)
        | Outcome::Claimed(_)
        | Outcome::Joined { .. } => Ok(table),
    }
}

/// The name of a table, given as such or in its ARN.
pub(super) fn name(text: &str) -> Result<TableName, Error> {
    Ok(TableName::parse(table_in_arn(text).unwrap_or(text))?)
}

/// A table's id as a UUID: the same on every node.
pub(super) fn uuid(node: &Node, table: &Table) -> String {
    let hash = xxh3_128(format!("{} {}", node.cluster_id(), table.id).as_bytes());
    // Version 8, variant 10 (RFC 9562): the rest is ours to choose.
    let hash = hash & !(0xF << 76) & !(0b11 << 62) | 8 << 76 | 0b10 << 62;
    let text = format!("{hash:032x}");
    format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
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
