//! `table`: creating, listing, describing and deleting tables.

use std::time::Duration;

use serde_json::{Value, json};

use super::output::{Output, print_json, print_line, print_pairs, print_table};
use super::{Error, Global, key, time};
use crate::client::{NewTable, Partition, StreamViewType, Table};
use crate::model::{KeyAttribute, KeySchema, TableName};

/// How long to wait for a table to be made or to go away.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// The commands.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Creates a table and waits until it can be used.
    #[command(
        after_help = "Example:\n  watertable table create airports --key iata:S --stream NEW_AND_OLD_IMAGES"
    )]
    Create(Create),
    /// Lists the names of all tables.
    #[command(after_help = "Example:\n  watertable table list")]
    List,
    /// Describes a table and its partitions.
    #[command(after_help = "Example:\n  watertable table describe airports")]
    Describe {
        /// The table.
        table: TableName,
    },
    /// Deletes a table with all its items and waits until it is gone.
    #[command(after_help = "Example:\n  watertable table delete airports")]
    Delete {
        /// The table.
        table: TableName,
    },
}

/// A table to be created.
#[derive(Debug, clap::Args)]
pub(super) struct Create {
    /// Its name: 3 to 255 of a-z A-Z 0-9 _ . -
    table: TableName,
    /// The partition key: name and type, S, N or B.
    #[arg(long, value_parser = key::parse_attribute, value_name = "NAME:TYPE")]
    key: KeyAttribute,
    /// The sort key.
    #[arg(long, value_parser = key::parse_attribute, value_name = "NAME:TYPE")]
    sort: Option<KeyAttribute>,
    #[command(flatten)]
    shape: Shape,
}

/// What a new table is like, besides its name and key.
#[derive(Debug, clap::Args)]
pub(super) struct Shape {
    /// How many partitions; the cluster's default if not given.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=256), hide_default_value = true)]
    pub partitions: u32,
    /// A stream that shows this: KEYS_ONLY, NEW_IMAGE, OLD_IMAGE or NEW_AND_OLD_IMAGES.
    #[arg(long, value_parser = parse_view, value_name = "VIEW")]
    pub stream: Option<StreamViewType>,
    /// How long stream records are kept, 1s to 24h.
    #[arg(long, value_parser = time::parse_duration, default_value = "24h", value_name = "DURATION")]
    pub retention: Duration,
}

impl Shape {
    pub(super) fn table(&self, name: TableName, key: KeySchema) -> NewTable {
        let retention_ms = self.retention.as_millis() as u64;
        NewTable { name, key, stream: self.stream, partitions: self.partitions, retention_ms }
    }
}

/// A view type by DynamoDB's name, in any case, also with dashes.
pub(super) fn parse_view(text: &str) -> Result<StreamViewType, String> {
    let name = format!("STREAM_VIEW_TYPE_{}", text.to_ascii_uppercase().replace('-', "_"));
    match StreamViewType::from_str_name(&name) {
        Some(view) if view != StreamViewType::Unspecified => Ok(view),
        _ => Err(format!("{text} is not KEYS_ONLY, NEW_IMAGE, OLD_IMAGE or NEW_AND_OLD_IMAGES")),
    }
}

/// DynamoDB's name of a view type, a status and the like: the wire's without its prefix.
pub(super) fn short_name(prefix: &str, name: &'static str) -> &'static str {
    name.strip_prefix(prefix).unwrap_or(name)
}

pub(super) fn view_name(view: StreamViewType) -> &'static str {
    short_name("STREAM_VIEW_TYPE_", view.as_str_name())
}

pub(super) async fn run(global: &Global, command: Command) -> Result<(), Error> {
    let client = global.client()?;
    match command {
        Command::Create(create) => {
            let key = KeySchema { partition: create.key, sort: create.sort };
            let table = create.shape.table(create.table, key);
            client.create_table(&table).await?;
            show(global.output, &client.wait_active(&table.name, PATIENCE).await?)
        }
        Command::List => {
            let names = client.list_tables().await?;
            match global.output {
                Output::Json => Ok(print_json(&names.iter().map(TableName::as_str).collect())?),
                Output::Table => Ok(names.iter().try_for_each(|name| print_line(name.as_str()))?),
            }
        }
        Command::Describe { table } => show(global.output, &client.describe_table(&table).await?),
        Command::Delete { table } => {
            client.delete_table(&table).await?;
            client.wait_deleted(&table, PATIENCE).await?;
            match global.output {
                Output::Json => Ok(print_json(&json!({ "tableName": table.as_str(), "deleted": true }))?),
                Output::Table => Ok(print_line(&format!("table {table} is deleted"))?),
            }
        }
    }
}

/// Prints a table's description.
pub(super) fn show(output: Output, table: &Table) -> Result<(), Error> {
    if output == Output::Json {
        return Ok(print_json(&to_json(table))?);
    }
    let stream = table.stream.map_or("none", view_name).to_owned();
    let mut pairs = vec![
        ("table", table.name.to_string()),
        ("status", status(table).to_owned()),
        ("key", key::format(&table.key)),
        ("created", time::format_rfc3339(table.created_ms)),
        ("stream", stream),
    ];
    if let Some(arn) = &table.latest_stream_arn {
        pairs.push(("stream arn", arn.clone()));
        pairs.push(("retention", time::format_ms(table.retention_ms)));
    }
    print_pairs(&pairs)?;
    print_line("")?;
    let row = |partition: &Partition| {
        let replicas: Vec<String> = partition.replicas.iter().map(ToString::to_string).collect();
        [
            partition.group.to_string(),
            partition.range.to_string(),
            replicas.join(" "),
            partition.leader.map_or("-".into(), |leader| leader.to_string()),
            partition.leader_address.clone().unwrap_or_else(|| "-".into()),
        ]
    };
    Ok(print_table(["group", "hashes", "replicas", "leader", "address"], table.partitions.iter().map(row))?)
}

fn status(table: &Table) -> &'static str {
    short_name("TABLE_STATUS_", table.status.as_str_name())
}

fn to_json(table: &Table) -> Value {
    let attribute = |attribute: &KeyAttribute| {
        let (name, kind) = (attribute.name.as_str(), attribute.kind.type_name());
        json!({ "name": name, "type": kind })
    };
    let partition = |partition: &Partition| {
        json!({
            "group": partition.group.0,
            "firstHash": format!("{:016x}", partition.range.first),
            "lastHash": format!("{:016x}", partition.range.last),
            "replicas": partition.replicas.iter().map(|node| node.0).collect::<Vec<_>>(),
            "leader": partition.leader.map(|node| node.0),
            "leaderAddress": partition.leader_address,
        })
    };
    json!({
        "tableName": table.name.as_str(),
        "tableId": table.id,
        "tableArn": table.arn,
        "status": status(table),
        "key": attribute(&table.key.partition),
        "sort": table.key.sort.as_ref().map(attribute),
        "created": time::format_rfc3339(table.created_ms),
        "stream": table.stream.map(view_name),
        "latestStreamArn": table.latest_stream_arn,
        "latestStreamLabel": table.latest_stream_label,
        "retentionMs": table.retention_ms,
        "partitions": table.partitions.iter().map(partition).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn view_types_by_name() {
        assert_eq!(parse_view("NEW_AND_OLD_IMAGES"), Ok(StreamViewType::NewAndOldImages));
        assert_eq!(parse_view("new-image"), Ok(StreamViewType::NewImage));
        assert_eq!(view_name(StreamViewType::KeysOnly), "KEYS_ONLY");
        for bad in ["", "UNSPECIFIED", "BOTH"] {
            assert!(parse_view(bad).is_err(), "{bad}");
        }
    }
}
