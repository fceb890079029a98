//! `consumer`: programs that share the records of a table's stream, with a position that the cluster keeps.

use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};

use super::item::FormFlag;
use super::json::Form;
use super::output::{Output, lines, print_json, print_line, print_pairs, print_table};
use super::{Error, Global, tail, time};
use crate::client::{
    Client, Consumed, ConsumedBatch, Consumer, ConsumerPhase, ConsumerShard, ConsumerStart, OpenConsumer,
};
use crate::model::TableName;

/// With `--until-idle`, silence of this length is the end.
const IDLE: Duration = Duration::from_secs(1);

/// The commands.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Takes part in a consumer, which is made if it does not exist: prints its records, a line each, and acknowledges
    /// them. Several programs that do so at once share them.
    #[command(after_help = "Examples:
  watertable consumer read airports search-index --from snapshot --output json
  watertable consumer read airports audit --from latest --filter '{\"eventName\": [\"REMOVE\"]}'")]
    Read(Reading),
    /// Lists consumers.
    #[command(after_help = "Example:\n  watertable consumer list airports")]
    List {
        /// Only of this table.
        table: Option<TableName>,
    },
    /// Shows who takes part in a consumer, and how far it has come.
    #[command(after_help = "Example:\n  watertable consumer describe airports search-index")]
    Describe {
        /// Its table.
        table: TableName,
        /// Its name.
        name: String,
    },
    /// Deletes a consumer; how far it had come is forgotten.
    #[command(after_help = "Example:\n  watertable consumer delete airports search-index")]
    Delete {
        /// Its table.
        table: TableName,
        /// Its name.
        name: String,
    },
}

/// How a consumer is read.
#[derive(Debug, clap::Args)]
pub(super) struct Reading {
    /// The table.
    table: TableName,
    /// The consumer.
    name: String,
    /// Where it starts if it does not exist: trim-horizon, latest, snapshot (a copy of the table, then what changes after
    /// it), a time as in 2026-01-31T12:00:00Z, or a position that `describe` has shown.
    #[arg(long, value_parser = parse_from, default_value = "trim-horizon")]
    from: From,
    /// A pattern of EventBridge's language; records that match one of several are printed.
    #[arg(long, value_name = "PATTERN")]
    filter: Vec<String>,
    /// What is wanted of the items: a projection expression.
    #[arg(long, value_name = "EXPRESSION", default_value = "")]
    projection: String,
    /// End after a second without records.
    #[arg(long)]
    until_idle: bool,
    /// End after at least so many records.
    #[arg(long)]
    limit: Option<u64>,
    #[command(flatten)]
    form: FormFlag,
}

/// Where a consumer starts.
#[derive(Clone, Debug)]
pub(super) struct From(ConsumerStart, Option<u64>, Option<String>);

fn parse_from(text: &str) -> Result<From, String> {
    let named = |start| Ok(From(start, None, None));
    match text.to_ascii_lowercase().replace('_', "-").as_str() {
        "latest" => named(ConsumerStart::Latest),
        "trim-horizon" => named(ConsumerStart::TrimHorizon),
        "snapshot" => named(ConsumerStart::Snapshot),
        _ if text.starts_with("1|") => Ok(From(ConsumerStart::Position, None, Some(text.to_owned()))),
        _ => match time::parse_rfc3339(text) {
            Some(ms) => Ok(From(ConsumerStart::AtTimestamp, Some(ms), None)),
            None => Err(format!(
                "{text} is not trim-horizon, latest, snapshot, a position or a time like 2026-01-31T12:00:00Z"
            )),
        },
    }
}

pub(super) async fn run(global: &Global, command: Command) -> Result<(), Error> {
    let client = global.client()?;
    match command {
        Command::Read(reading) => read(global.output, &client, reading).await,
        Command::List { table } => list(global.output, &client.list_consumers(table.as_ref()).await?),
        Command::Describe { table, name } => show(global.output, &client.consumer(&table, &name).await?),
        Command::Delete { table, name } => {
            client.delete_consumer(&table, &name).await?;
            match global.output {
                Output::Json => print_json(&json!({ "tableName": table, "name": name, "deleted": true }))?,
                Output::Table => print_line(&format!("{name} is deleted"))?,
            }
            Ok(())
        }
    }
}

async fn read(output: Output, client: &Client, reading: Reading) -> Result<(), Error> {
    let From(start, timestamp_millis, position) = reading.from;
    let open = OpenConsumer {
        table_name: reading.table.to_string(),
        name: reading.name,
        start: start.into(),
        timestamp_millis,
        position,
        credit: 1000,
        filters: reading.filter,
        projection_expression: reading.projection,
        ..OpenConsumer::default()
    };
    let mut consumption = client.consume(open).await?;
    let mut left = reading.limit.unwrap_or(u64::MAX);
    while left > 0 {
        let next = consumption.next();
        let next = if reading.until_idle {
            match tokio::time::timeout(IDLE, next).await {
                Ok(next) => next?,
                Err(_) => break,
            }
        } else {
            next.await?
        };
        match next {
            Some(Consumed::Batch(batch)) => {
                print(output, reading.form.form(), &batch)?;
                consumption.acknowledge(&batch).await;
                left = left.saturating_sub((batch.records.len() + batch.copied.len()) as u64);
            }
            Some(Consumed::Opened { .. }) => {}
            Some(Consumed::Assigned(shard)) => eprintln!("{shard} is read here"),
            Some(Consumed::Revoked(shard)) => eprintln!("{shard} is read by another member"),
            None => return Ok(()),
        }
    }
    consumption.close().await;
    Ok(())
}

fn print(output: Output, form: Form, batch: &ConsumedBatch) -> Result<(), Error> {
    if batch.gap {
        eprintln!("{}: records were trimmed before they were read", batch.shard_id);
    }
    if batch.at_risk {
        eprintln!("{}: records are older than half of the retention", batch.shard_id);
    }
    let mut out = lines();
    for item in &batch.copied {
        let item = form.write(item);
        match output {
            Output::Json => writeln!(out, "{}", json!({ "shardId": batch.shard_id, "copied": item }))?,
            Output::Table => writeln!(out, "{:<24} COPY   {item}", "")?,
        }
    }
    for record in &batch.records {
        writeln!(out, "{}", tail::line(output, form, &batch.shard_id, record))?;
    }
    Ok(out.flush()?)
}

fn list(output: Output, consumers: &[Consumer]) -> Result<(), Error> {
    if output == Output::Json {
        return Ok(print_json(&consumers.iter().map(to_json).collect())?);
    }
    let row = |consumer: &Consumer| {
        [
            consumer.table_name.clone(),
            consumer.name.clone(),
            consumer.members.len().to_string(),
            phase(consumer),
            time::short_duration(consumer.lag_millis),
            if consumer.at_risk { "yes".to_owned() } else { "no".to_owned() },
        ]
    };
    let titles = ["table", "consumer", "members", "phase", "lag", "at risk"];
    Ok(print_table(titles, consumers.iter().map(row))?)
}

fn phase(consumer: &Consumer) -> String {
    let copying = consumer.shards.iter().filter(|shard| shard.phase() == ConsumerPhase::Copy).count();
    if copying == 0 { "stream".to_owned() } else { format!("copy ({copying} shards)") }
}

fn show(output: Output, consumer: &Consumer) -> Result<(), Error> {
    if output == Output::Json {
        return Ok(print_json(&to_json(consumer))?);
    }
    print_pairs(&[
        ("consumer", consumer.name.clone()),
        ("table", consumer.table_name.clone()),
        ("started", start(consumer)),
        ("created", time::format_rfc3339(consumer.created_millis)),
        ("lag", time::short_duration(consumer.lag_millis)),
        ("at risk", if consumer.at_risk { "yes".to_owned() } else { "no".to_owned() }),
        ("position", consumer.position.clone()),
    ])?;
    print_line("")?;
    let row = |shard: &ConsumerShard| {
        let node = consumer.members.iter().find(|member| Some(member.member_id) == shard.member_id);
        [
            shard.shard_id.clone(),
            shard.member_id.map_or_else(|| "-".to_owned(), |id| format!("{id:x}")),
            node.map_or_else(|| "-".to_owned(), |member| member.node_id.to_string()),
            shard.phase().as_str_name().trim_start_matches("PHASE_").to_lowercase(),
            shard.lag_millis.map_or_else(|| "?".to_owned(), time::short_duration),
            shard.sequence_number.clone().unwrap_or_else(|| "-".to_owned()),
        ]
    };
    let titles = ["shard", "member", "node", "phase", "lag", "acknowledged before"];
    Ok(print_table(titles, consumer.shards.iter().map(row))?)
}

fn start(consumer: &Consumer) -> String {
    consumer.start().as_str_name().trim_start_matches("CONSUMER_START_").to_owned()
}

fn to_json(consumer: &Consumer) -> Value {
    let members = consumer.members.iter().map(|member| {
        json!({
            "memberId": member.member_id.to_string(),
            "nodeId": member.node_id,
            "sinceMillis": member.since_millis,
            "shards": member.shards,
        })
    });
    let shards = consumer.shards.iter().map(|shard| {
        json!({
            "streamArn": shard.stream_arn,
            "shardId": shard.shard_id,
            "memberId": shard.member_id.map(|id| id.to_string()),
            "phase": shard.phase().as_str_name().trim_start_matches("PHASE_"),
            "sequenceNumber": shard.sequence_number,
            "lagMillis": shard.lag_millis,
        })
    });
    json!({
        "name": consumer.name,
        "tableName": consumer.table_name,
        "startingPosition": start(consumer),
        "createdMillis": consumer.created_millis,
        "lagMillis": consumer.lag_millis,
        "atRisk": consumer.at_risk,
        "position": consumer.position,
        "members": members.collect::<Vec<_>>(),
        "shards": shards.collect::<Vec<_>>(),
    })
}
