//! `trigger`: functions that are called for the changes of a table. Trying one out is in `trigger_dev`.

use std::time::Duration;

use serde_json::{Value, json};

use super::output::{Output, print_json, print_line, print_pairs, print_table, progress};
use super::{Error, Global, tail::parse_start, time, trigger_dev};
use crate::client::{
    Client, FailedRecord, NewTable, NewTrigger, Start, StartingPosition, Trigger, TriggerChange,
    TriggerFilters, TriggerSettings, TriggerShard,
};
use crate::model::{AttributeName, KeyAttribute, KeySchema, KeyType, TableName};
use crate::node::{FAILURES_PARTITION_KEY, FAILURES_SORT_KEY};

/// Records that are delivered again by one call.
const REDRIVE_PAGE: u32 = 100;
/// How often it is looked for news with `--follow`.
const LOOK: Duration = Duration::from_secs(1);

/// The commands.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Has a function called for each batch of changes of a table whose stream is on.
    ///
    /// A function is an http(s) address. One with the path of Lambda's Invoke API is called by that API, so any Lambda
    /// container works; any other is called as a webhook, with the same JSON.
    #[command(after_help = "Examples:
  watertable trigger create airports http://localhost:8080/hook
  watertable trigger create airports http://localhost:9000/2015-03-31/functions/function/invocations \\
      --from trim-horizon --batch-size 10 --retries 3 --bisect --on-failure table:failures")]
    Create {
        /// The table.
        table: TableName,
        /// The address of the function.
        target: String,
        /// Where to start: latest, trim-horizon, or a time as in 2026-01-31T12:00:00Z.
        #[arg(long, value_parser = parse_start, default_value = "latest")]
        from: Start,
        /// Delivers nothing before `resume`.
        #[arg(long)]
        paused: bool,
        #[command(flatten)]
        settings: Box<Settings>,
    },
    /// Lists triggers.
    #[command(after_help = "Example:\n  watertable trigger list airports")]
    List {
        /// Only of this table.
        table: Option<TableName>,
    },
    /// Shows how a trigger delivers, and how far it has come.
    #[command(after_help = "Example:\n  watertable trigger describe 939e3164-2806-4696-9987-618db552e7d9")]
    Describe {
        /// Its id.
        id: String,
    },
    /// Changes how a trigger delivers; what is not said stays.
    #[command(
        after_help = "Example:\n  watertable trigger update 939e3164-2806-4696-9987-618db552e7d9 --batch-size 500"
    )]
    Update {
        /// Its id.
        id: String,
        /// The address of another function.
        #[arg(long, value_name = "URL")]
        target: Option<String>,
        #[command(flatten)]
        settings: Box<Settings>,
    },
    /// Stops deliveries; how far they have come is kept.
    #[command(after_help = "Example:\n  watertable trigger pause 939e3164-2806-4696-9987-618db552e7d9")]
    Pause {
        /// Its id.
        id: String,
    },
    /// Goes on with deliveries.
    #[command(after_help = "Example:\n  watertable trigger resume 939e3164-2806-4696-9987-618db552e7d9")]
    Resume {
        /// Its id.
        id: String,
    },
    /// Delivers again from an earlier place, or skips to a later one.
    #[command(
        after_help = "Example:\n  watertable trigger rewind 939e3164-2806-4696-9987-618db552e7d9 --to 2026-01-31T12:00:00Z"
    )]
    Rewind {
        /// Its id.
        id: String,
        /// Where: trim-horizon, latest, or a time.
        #[arg(long, value_parser = parse_start)]
        to: Start,
    },
    /// Shows records that were given up and are kept in a table.
    #[command(
        after_help = "Example:\n  watertable trigger failures 939e3164-2806-4696-9987-618db552e7d9 --output json"
    )]
    Failures {
        /// Its id.
        id: String,
    },
    /// Delivers records again that were given up and are kept in a table.
    #[command(after_help = "Example:\n  watertable trigger redrive 939e3164-2806-4696-9987-618db552e7d9")]
    Redrive {
        /// Its id.
        id: String,
    },
    /// Shows what went wrong last in each shard.
    #[command(
        after_help = "Example:\n  watertable trigger logs 939e3164-2806-4696-9987-618db552e7d9 --follow"
    )]
    Logs {
        /// Its id.
        id: String,
        /// Goes on with what goes wrong from now on.
        #[arg(long)]
        follow: bool,
    },
    /// Deletes a trigger; how far it had come is forgotten.
    #[command(after_help = "Example:\n  watertable trigger delete 939e3164-2806-4696-9987-618db552e7d9")]
    Delete {
        /// Its id.
        id: String,
    },
    /// Feeds a local program with the changes of a table, to develop it: one event a line in, one answer a line out.
    #[command(after_help = "Example:\n  watertable trigger dev --table airports -- ./handler.py")]
    Dev(trigger_dev::Arguments),
}

/// How a trigger delivers.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Settings {
    /// Most records of one call: 1 to 10000 [default: 100].
    #[arg(long, value_name = "N")]
    batch_size: Option<u32>,
    /// How long a batch gathers: up to 5m [default: 0s].
    #[arg(long, value_name = "DURATION", value_parser = time::parse_duration)]
    window: Option<Duration>,
    /// Calls of one shard at once, 1 to 10, each partition key always in order [default: 1].
    #[arg(long, value_name = "N")]
    parallel: Option<u32>,
    /// How often a batch that failed is tried again; -1: until its records are too old [default: -1].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    retries: Option<i32>,
    /// Age at which a record is given up: 1m to 7d; `none`: when the stream forgets it [default: none].
    #[arg(long, value_name = "DURATION", value_parser = parse_age)]
    max_age: Option<i32>,
    /// Whether a batch that failed is tried again in halves.
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    bisect: Option<bool>,
    /// Whether the function's answer says which records have failed (batchItemFailures).
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    report_failures: Option<bool>,
    /// Length of tumbling windows: up to 15m; 0s: none [default: 0s].
    #[arg(long, value_name = "DURATION", value_parser = time::parse_duration)]
    tumbling: Option<Duration>,
    /// A pattern of EventBridge's language; records that match one of several are delivered. Empty: all.
    #[arg(long, value_name = "PATTERN")]
    filter: Option<Vec<String>>,
    /// Where records go that are given up: table:NAME (made if it is not there) or an address. Empty: nowhere.
    #[arg(long, value_name = "DESTINATION")]
    on_failure: Option<String>,
    /// How long a call may take: up to 15m [default: 1m].
    #[arg(long = "call-timeout", value_name = "DURATION", value_parser = time::parse_duration)]
    call_timeout: Option<Duration>,
    /// What calls are signed with (header X-Watertable-Signature). Empty: they are not.
    #[arg(long)]
    secret: Option<String>,
}

fn parse_age(text: &str) -> Result<i32, String> {
    if text == "none" {
        return Ok(-1);
    }
    i32::try_from(time::parse_duration(text)?.as_secs()).map_err(|_| format!("{text} is too long"))
}

impl Settings {
    fn wire(&self) -> TriggerSettings {
        let ms = |duration: Duration| duration.as_millis() as u64;
        let filters = self.filter.as_ref().map(|patterns| {
            let patterns = patterns.iter().filter(|pattern| !pattern.is_empty());
            TriggerFilters { patterns: patterns.cloned().collect() }
        });
        TriggerSettings {
            batch_size: self.batch_size,
            maximum_batching_window_millis: self.window.map(ms),
            parallelization_factor: self.parallel,
            maximum_retry_attempts: self.retries,
            maximum_record_age_seconds: self.max_age,
            bisect_batch_on_function_error: self.bisect,
            report_batch_item_failures: self.report_failures,
            tumbling_window_seconds: self.tumbling.map(|length| length.as_secs() as u32),
            filters,
            on_failure: self.on_failure.clone(),
            timeout_millis: self.call_timeout.map(ms),
            secret: self.secret.clone(),
        }
    }

    /// Makes the table where records are kept that are given up, if it is not there.
    async fn make_failures_table(&self, client: &Client) -> Result<(), Error> {
        let Some(name) = self.on_failure.as_deref().and_then(|text| text.strip_prefix("table:")) else {
            return Ok(());
        };
        let name = TableName::parse(name).map_err(|error| Error::Invalid(error.to_string()))?;
        match client.describe_table(&name).await {
            Err(error) if error.is_not_found() => {}
            found => return Ok(found.map(|_| ())?),
        }
        let attribute = |name| {
            let name = AttributeName::parse(name).expect("these names are names");
            KeyAttribute { name, kind: KeyType::S }
        };
        let key = KeySchema {
            partition: attribute(FAILURES_PARTITION_KEY),
            sort: Some(attribute(FAILURES_SORT_KEY)),
        };
        client
            .create_table(&NewTable { name: name.clone(), key, stream: None, partitions: 1, retention_ms: 0 })
            .await?;
        client.wait_active(&name, super::table::PATIENCE).await?;
        eprintln!("table {name} is made, for records that are given up");
        Ok(())
    }
}

fn position(start: &Start) -> (StartingPosition, Option<u64>) {
    match start {
        Start::TrimHorizon => (StartingPosition::TrimHorizon, None),
        Start::AtTimestamp(ms) => (StartingPosition::AtTimestamp, Some(*ms)),
        _ => (StartingPosition::Latest, None),
    }
}

pub(super) async fn run(global: &Global, command: Command) -> Result<(), Error> {
    let client = global.client()?;
    let change = |id: String, enabled| TriggerChange {
        trigger_id: id,
        enabled: Some(enabled),
        ..TriggerChange::default()
    };
    match command {
        Command::Create { table, target, from, paused, settings } => {
            settings.make_failures_table(&client).await?;
            let (position, timestamp) = position(&from);
            let new = NewTrigger {
                table_name: table.to_string(),
                target,
                starting_position: position.into(),
                starting_timestamp_millis: timestamp,
                settings: Some(settings.wire()),
                enabled: Some(!paused),
            };
            show(global.output, &client.create_trigger(&new).await?)
        }
        Command::List { table } => list(global.output, &client.list_triggers(table.as_ref()).await?),
        Command::Describe { id } => show(global.output, &client.trigger(&id).await?),
        Command::Update { id, target, settings } => {
            settings.make_failures_table(&client).await?;
            let change =
                TriggerChange { trigger_id: id, target, settings: Some(settings.wire()), enabled: None };
            show(global.output, &client.update_trigger(&change).await?)
        }
        Command::Pause { id } => show(global.output, &client.update_trigger(&change(id, false)).await?),
        Command::Resume { id } => show(global.output, &client.update_trigger(&change(id, true)).await?),
        Command::Rewind { id, to } => {
            let (position, timestamp) = position(&to);
            show(global.output, &client.rewind_trigger(&id, position, timestamp).await?)
        }
        Command::Failures { id } => failures(global.output, &client, &id).await,
        Command::Redrive { id } => redrive(global.output, &client, &id).await,
        Command::Logs { id, follow } => logs(global.output, &client, &id, follow).await,
        Command::Delete { id } => {
            client.delete_trigger(&id).await?;
            match global.output {
                Output::Json => print_json(&json!({ "triggerId": id, "deleted": true }))?,
                Output::Table => print_line(&format!("{id} is deleted"))?,
            }
            Ok(())
        }
        Command::Dev(arguments) => trigger_dev::run(&client, arguments).await,
    }
}

fn state(trigger: &Trigger) -> &'static str {
    if trigger.enabled { "enabled" } else { "disabled" }
}

/// The largest lag of its shards.
fn lag(trigger: &Trigger) -> String {
    let lags: Option<Vec<u64>> = trigger.shards.iter().map(|shard| shard.lag_millis).collect();
    lags.map_or_else(|| "?".to_owned(), |lags| time::short_duration(lags.into_iter().max().unwrap_or(0)))
}

fn list(output: Output, triggers: &[Trigger]) -> Result<(), Error> {
    if output == Output::Json {
        return Ok(print_json(&triggers.iter().map(to_json).collect())?);
    }
    let row = |trigger: &Trigger| {
        let (id, table, target) =
            (trigger.trigger_id.clone(), trigger.table_name.clone(), trigger.target.clone());
        [id, table, state(trigger).to_owned(), lag(trigger), trigger.last_result.clone(), target]
    };
    Ok(print_table(["trigger", "table", "state", "lag", "last result", "target"], triggers.iter().map(row))?)
}

fn show(output: Output, trigger: &Trigger) -> Result<(), Error> {
    if output == Output::Json {
        return Ok(print_json(&to_json(trigger))?);
    }
    let settings = trigger.settings.clone().unwrap_or_default();
    let number = |number: Option<u32>| number.unwrap_or_default().to_string();
    let limit = |limit: Option<i32>, unit: &str| match limit {
        Some(limit) if limit >= 0 => format!("{limit}{unit}"),
        _ => "no limit".to_owned(),
    };
    let patterns = settings.filters.map(|filters| filters.patterns).unwrap_or_default();
    let none = |text: String| if text.is_empty() { "-".to_owned() } else { text };
    print_pairs(&[
        ("trigger", trigger.trigger_id.clone()),
        ("table", trigger.table_name.clone()),
        ("stream", trigger.stream_arn.clone().unwrap_or_else(|| "all of the table".to_owned())),
        ("target", trigger.target.clone()),
        ("state", state(trigger).to_owned()),
        ("last result", trigger.last_result.clone()),
        ("lag", lag(trigger)),
        ("batch size", number(settings.batch_size)),
        ("window", time::short_duration(settings.maximum_batching_window_millis.unwrap_or_default())),
        ("parallel", number(settings.parallelization_factor)),
        ("retries", limit(settings.maximum_retry_attempts, "")),
        ("max age", limit(settings.maximum_record_age_seconds, " s")),
        ("bisect", settings.bisect_batch_on_function_error.unwrap_or_default().to_string()),
        ("report failures", settings.report_batch_item_failures.unwrap_or_default().to_string()),
        (
            "tumbling",
            limit(settings.tumbling_window_seconds.map(|it| it as i32).filter(|it| *it > 0), " s")
                .replace("no limit", "-"),
        ),
        ("filters", none(patterns.join("  "))),
        ("on failure", none(settings.on_failure.unwrap_or_default())),
        ("call timeout", time::short_duration(settings.timeout_millis.unwrap_or_default())),
        ("created", time::format_rfc3339(trigger.created_millis)),
        ("updated", time::format_rfc3339(trigger.updated_millis)),
    ])?;
    print_line("")?;
    let row = |shard: &TriggerShard| {
        let optional = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let lag = if shard.done {
            "done".to_owned()
        } else {
            shard.lag_millis.map_or_else(|| "?".to_owned(), time::short_duration)
        };
        [
            shard.shard_id.clone(),
            optional(shard.node_id.map(|node| node.to_string())),
            optional(shard.sequence_number.clone()),
            lag,
            shard.attempts.to_string(),
            optional(shard.last_error.clone()),
        ]
    };
    let heading = ["shard", "node", "next", "lag", "attempts", "last error"];
    Ok(print_table(heading, trigger.shards.iter().map(row))?)
}

fn to_json(trigger: &Trigger) -> Value {
    let settings = trigger.settings.clone().unwrap_or_default();
    let shard = |shard: &TriggerShard| {
        json!({
            "shardId": shard.shard_id,
            "nodeId": shard.node_id,
            "sequenceNumber": shard.sequence_number,
            "attempts": shard.attempts,
            "lagMillis": shard.lag_millis,
            "lastError": shard.last_error,
            "lastErrorMillis": shard.last_error_millis,
            "done": shard.done,
        })
    };
    json!({
        "triggerId": trigger.trigger_id,
        "tableName": trigger.table_name,
        "streamArn": trigger.stream_arn,
        "target": trigger.target,
        "enabled": trigger.enabled,
        "lastResult": trigger.last_result,
        "settings": {
            "batchSize": settings.batch_size,
            "maximumBatchingWindowMillis": settings.maximum_batching_window_millis,
            "parallelizationFactor": settings.parallelization_factor,
            "maximumRetryAttempts": settings.maximum_retry_attempts,
            "maximumRecordAgeSeconds": settings.maximum_record_age_seconds,
            "bisectBatchOnFunctionError": settings.bisect_batch_on_function_error,
            "reportBatchItemFailures": settings.report_batch_item_failures,
            "tumblingWindowSeconds": settings.tumbling_window_seconds,
            "filters": settings.filters.map(|filters| filters.patterns),
            "onFailure": settings.on_failure,
            "timeoutMillis": settings.timeout_millis,
        },
        "createdMillis": trigger.created_millis,
        "updatedMillis": trigger.updated_millis,
        "shards": trigger.shards.iter().map(shard).collect::<Vec<_>>(),
    })
}

async fn failures(output: Output, client: &Client, id: &str) -> Result<(), Error> {
    let (mut behind, mut found) = (None, Vec::new());
    loop {
        let (page, last) = client.list_failures(id, REDRIVE_PAGE, behind).await?;
        found.extend(page);
        match last {
            Some(_) => behind = last,
            None => break,
        }
    }
    if output == Output::Json {
        let record =
            |text: &str| serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
        let failed = found.iter().map(|failed| {
            json!({
                "failureId": failed.failure_id,
                "shardId": failed.shard_id,
                "sequenceNumber": failed.sequence_number,
                "condition": failed.condition,
                "attempts": failed.attempts,
                "error": failed.error,
                "failedAt": failed.failed_at,
                "record": record(&failed.record),
            })
        });
        return Ok(print_json(&failed.collect())?);
    }
    let row = |failed: FailedRecord| {
        [
            failed.failed_at,
            failed.condition,
            failed.attempts.to_string(),
            failed.error,
            failed.sequence_number,
        ]
    };
    Ok(print_table(
        ["given up", "condition", "calls", "error", "sequence number"],
        found.into_iter().map(row),
    )?)
}

async fn redrive(output: Output, client: &Client, id: &str) -> Result<(), Error> {
    let bar = progress(output, 0, "{spinner} {pos} records delivered {msg}");
    let (mut delivered, mut failed, mut error, mut behind) = (0, 0, None, None);
    loop {
        let page = client.redrive_trigger(id, REDRIVE_PAGE, behind).await?;
        delivered += page.redriven;
        failed += page.failed;
        error = error.or(page.error);
        bar.set_position(delivered.into());
        bar.set_message(format!("({failed} failed again)"));
        match page.last_failure_id {
            last @ Some(_) => behind = last,
            None => break,
        }
    }
    bar.finish_and_clear();
    match output {
        Output::Json => print_json(&json!({ "redriven": delivered, "failed": failed, "error": error }))?,
        Output::Table => print_line(&format!("{delivered} records delivered, {failed} failed again"))?,
    }
    match error {
        Some(error) => Err(Error::Negative(format!("the function failed: {error}"))),
        None => Ok(()),
    }
}

async fn logs(output: Output, client: &Client, id: &str, follow: bool) -> Result<(), Error> {
    let mut shown = std::collections::BTreeMap::new();
    loop {
        let trigger = client.trigger(id).await?;
        let mut news: Vec<&TriggerShard> = trigger.shards.iter().collect();
        news.retain(|shard| {
            let at = shard.last_error_millis;
            at.is_some() && shown.insert(shard.shard_id.clone(), at) != Some(at)
        });
        news.sort_by_key(|shard| shard.last_error_millis);
        for shard in news {
            let at = time::format_rfc3339(shard.last_error_millis.unwrap_or_default());
            let error = shard.last_error.clone().unwrap_or_default();
            match output {
                Output::Json => {
                    let line = json!({ "at": at, "shardId": shard.shard_id, "attempts": shard.attempts, "error": error });
                    print_line(&line.to_string())?;
                }
                Output::Table => {
                    let attempts = if shard.attempts > 0 {
                        format!(" (attempt {})", shard.attempts)
                    } else {
                        String::new()
                    };
                    print_line(&format!("{at} {}{attempts} {error}", shard.shard_id))?;
                }
            }
        }
        if !follow {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}
