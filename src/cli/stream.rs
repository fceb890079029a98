//! `stream`: turning streams on and off, and looking at them. Following them is in `tail`.

use serde_json::{Value, json};

use super::output::{Output, print_json, print_line, print_pairs, print_table};
use super::table::{PATIENCE, parse_view, short_name, show, view_name};
use super::{Error, Global, key, tail, time};
use crate::client::{Client, Shard, Stream, StreamName, StreamViewType};
use crate::model::TableName;

/// The commands.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Turns the stream of a table on and waits until it is.
    #[command(after_help = "Example:\n  watertable stream enable airports --view NEW_AND_OLD_IMAGES")]
    Enable {
        /// The table.
        table: TableName,
        /// What records show: KEYS_ONLY, NEW_IMAGE, OLD_IMAGE or NEW_AND_OLD_IMAGES.
        #[arg(long, value_parser = parse_view, default_value = "NEW_AND_OLD_IMAGES")]
        view: StreamViewType,
    },
    /// Turns the stream of a table off; its records stay readable for the retention time.
    #[command(after_help = "Example:\n  watertable stream disable airports")]
    Disable {
        /// The table.
        table: TableName,
    },
    /// Describes the newest stream of a table and its shards.
    #[command(after_help = "Example:\n  watertable stream describe airports")]
    Describe {
        /// The table, or the ARN of a stream.
        table: String,
    },
    /// Lists streams, also those that are off and still readable.
    #[command(after_help = "Example:\n  watertable stream list airports")]
    List {
        /// Only of this table.
        table: Option<TableName>,
    },
    /// Prints the changes of a table as they happen, one line a record.
    #[command(
        after_help = "Example:\n  watertable stream tail airports --from trim-horizon --until-idle --output json"
    )]
    Tail(tail::Arguments),
}

pub(super) async fn run(global: &Global, command: Command) -> Result<(), Error> {
    let client = global.client()?;
    match command {
        Command::Enable { table, view } => {
            client.update_stream(&table, Some(view)).await?;
            show(global.output, &client.wait_active(&table, PATIENCE).await?)
        }
        Command::Disable { table } => {
            client.update_stream(&table, None).await?;
            show(global.output, &client.wait_active(&table, PATIENCE).await?)
        }
        Command::Describe { table } => {
            describe(global, &client.describe_stream(&arn(&client, &table).await?).await?)
        }
        Command::List { table } => list(global, &client, table).await,
        Command::Tail(arguments) => tail::run(global, &client, arguments).await,
    }
}

/// The ARN that is meant: given, or of the newest stream of a table.
pub(super) async fn arn(client: &Client, table: &str) -> Result<String, Error> {
    if table.starts_with("arn:") {
        return Ok(table.to_owned());
    }
    let name = TableName::parse(table).map_err(|error| Error::Invalid(error.to_string()))?;
    match client.describe_table(&name).await {
        Ok(description) => description.latest_stream_arn.ok_or_else(|| {
            Error::Negative(format!("table {table} has no stream; `stream enable` turns it on"))
        }),
        // The streams of a deleted table can be read on.
        Err(error) if error.is_not_found() => {
            let streams = client.list_streams(Some(&name)).await?;
            let newest = streams.into_iter().max_by(|a, b| a.label.cmp(&b.label));
            Ok(newest.ok_or(error)?.arn)
        }
        Err(error) => Err(error.into()),
    }
}

async fn list(global: &Global, client: &Client, table: Option<TableName>) -> Result<(), Error> {
    let streams = client.list_streams(table.as_ref()).await?;
    if global.output == Output::Json {
        let stream = |name: &StreamName| {
            let (arn, table, label) = (&name.arn, name.table.as_str(), &name.label);
            json!({ "streamArn": arn, "tableName": table, "streamLabel": label })
        };
        return Ok(print_json(&streams.iter().map(stream).collect())?);
    }
    let rows = streams.into_iter().map(|stream| [stream.table.to_string(), stream.label, stream.arn]);
    Ok(print_table(["table", "label", "arn"], rows)?)
}

fn describe(global: &Global, stream: &Stream) -> Result<(), Error> {
    let status = short_name("STREAM_STATUS_", stream.status.as_str_name());
    if global.output == Output::Json {
        return Ok(print_json(&json!({
            "streamArn": stream.arn,
            "streamLabel": stream.label,
            "status": status,
            "viewType": view_name(stream.view_type),
            "created": time::format_rfc3339(stream.created_ms),
            "tableName": stream.table.as_str(),
            "shards": stream.shards.iter().map(shard_json).collect::<Vec<_>>(),
        }))?);
    }
    print_pairs(&[
        ("stream", stream.arn.clone()),
        ("table", stream.table.to_string()),
        ("key", key::format(&stream.key)),
        ("status", status.to_owned()),
        ("shows", view_name(stream.view_type).to_owned()),
        ("created", time::format_rfc3339(stream.created_ms)),
    ])?;
    print_line("")?;
    let row = |shard: &Shard| {
        let optional = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        let ending = shard.ending.as_ref().map(ToString::to_string);
        [shard.id.clone(), shard.starting.to_string(), optional(ending), optional(shard.parent.clone())]
    };
    Ok(print_table(["shard", "from", "to", "parent"], stream.shards.iter().map(row))?)
}

fn shard_json(shard: &Shard) -> Value {
    json!({
        "shardId": shard.id,
        "startingSequenceNumber": shard.starting.as_str(),
        "endingSequenceNumber": shard.ending.as_ref().map(|number| number.as_str()),
        "parentShardId": shard.parent,
    })
}
