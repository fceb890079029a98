//! Operations on triggers: what is asked for, as all faces ask for it, and what is told.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::tables;
use crate::{
    catalog::{Catalog, ShardKey, ShardProgress, StartAsked, Trigger},
    delivery::{Destination, Secret, Settings, SettingsError},
    model::id::TriggerId,
    node::{Error, Failed, Node, Redriven, StartTrigger},
    stream::{SequenceNumber, ShardId, StreamArn},
};

/// Records in a page of failures, if nobody says, and at most.
const FAILURES_DEFAULT: u32 = 100;
const FAILURES_MAX: u32 = 1000;
/// How long it is looked for the oldest record that is not delivered.
const LAG_PATIENCE: Duration = Duration::from_millis(500);

/// What is asked for of a trigger's settings; what is absent has its default, or stays.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase", default)]
pub(super) struct SettingsAsk {
    pub batch_size: Option<u32>,
    pub maximum_batching_window_millis: Option<u64>,
    pub parallelization_factor: Option<u32>,
    pub maximum_retry_attempts: Option<i32>,
    pub maximum_record_age_seconds: Option<i32>,
    pub bisect_batch_on_function_error: Option<bool>,
    pub report_batch_item_failures: Option<bool>,
    pub tumbling_window_seconds: Option<u32>,
    pub filters: Option<Vec<String>>,
    pub on_failure: Option<String>,
    pub timeout_millis: Option<u64>,
    pub secret: Option<String>,
}

impl SettingsAsk {
    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        let numbers = self.batch_size.is_none()
            && self.maximum_batching_window_millis.is_none()
            && self.parallelization_factor.is_none()
            && self.maximum_retry_attempts.is_none()
            && self.maximum_record_age_seconds.is_none()
            && self.tumbling_window_seconds.is_none()
            && self.timeout_millis.is_none();
        let flags =
            self.bisect_batch_on_function_error.is_none() && self.report_batch_item_failures.is_none();
        numbers && flags && self.filters.is_none() && self.on_failure.is_none() && self.secret.is_none()
    }

    /// The settings with what is asked for.
    pub fn apply(self, mut settings: Settings) -> Result<Settings, Error> {
        fn set<T>(to: &mut T, asked: Option<T>) {
            if let Some(asked) = asked {
                *to = asked;
            }
        }
        set(&mut settings.batch_size, self.batch_size);
        set(&mut settings.batching_window_ms, self.maximum_batching_window_millis);
        set(&mut settings.parallel, self.parallelization_factor);
        set(
            &mut settings.retries_max,
            self.maximum_retry_attempts.map(|it| limit("MaximumRetryAttempts", it)).transpose()?,
        );
        let age =
            self.maximum_record_age_seconds.map(|it| limit("MaximumRecordAgeSeconds", it)).transpose()?;
        set(&mut settings.record_age_ms_max, age.map(|age| age.map(|seconds| u64::from(seconds) * 1000)));
        set(&mut settings.bisect, self.bisect_batch_on_function_error);
        set(&mut settings.report_failures, self.report_batch_item_failures);
        set(&mut settings.tumbling_ms, self.tumbling_window_seconds.map(|seconds| u64::from(seconds) * 1000));
        set(&mut settings.filters, self.filters);
        if let Some(text) = self.on_failure {
            settings.on_failure = if text.is_empty() { None } else { Some(Destination::parse(&text)?) };
        }
        set(&mut settings.timeout_ms, self.timeout_millis);
        if let Some(secret) = self.secret {
            settings.secret = Some(secret).filter(|secret| !secret.is_empty()).map(Secret);
        }
        settings.check()?;
        Ok(settings)
    }
}

/// A limit that may be -1: none.
fn limit(name: &str, asked: i32) -> Result<Option<u32>, Error> {
    match asked {
        -1 => Ok(None),
        _ => match u32::try_from(asked) {
            Ok(limit) => Ok(Some(limit)),
            Err(_) => {
                Err(SettingsError::Invalid(format!("{name} must not be below -1, but is {asked}")).into())
            }
        },
    }
}

/// Where a trigger is to start.
pub(super) fn start(position: Option<&str>, timestamp_ms: Option<u64>) -> Result<StartAsked, Error> {
    match (position.unwrap_or("LATEST"), timestamp_ms) {
        ("LATEST", None) => Ok(StartAsked::Latest),
        ("TRIM_HORIZON", None) => Ok(StartAsked::TrimHorizon),
        ("AT_TIMESTAMP", Some(ms)) => Ok(StartAsked::Timestamp(ms)),
        ("AT_TIMESTAMP", None) => {
            Err(Error::Invalid("StartingPosition AT_TIMESTAMP needs a StartingTimestampMillis".to_owned()))
        }
        ("LATEST" | "TRIM_HORIZON", Some(_)) => Err(Error::Invalid(
            "StartingTimestampMillis must be given with the StartingPosition AT_TIMESTAMP only".to_owned(),
        )),
        (other, _) => Err(Error::Invalid(format!(
            "StartingPosition must be TRIM_HORIZON, LATEST or AT_TIMESTAMP, not {other}"
        ))),
    }
}

/// The id of a trigger.
pub(super) fn id(text: &str) -> Result<TriggerId, Error> {
    let missing = || Error::NotFound(format!("The resource you requested does not exist: trigger {text}"));
    TriggerId::parse(text).ok_or_else(missing)
}

/// A trigger as it is told.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TriggerOut {
    pub trigger_id: String,
    pub table_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_arn: Option<String>,
    pub target: String,
    pub state: &'static str,
    pub settings: SettingsOut,
    pub created_millis: u64,
    pub updated_millis: u64,
    pub last_result: String,
    pub shards: Vec<ShardOut>,
}

/// Settings as they are told.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SettingsOut {
    pub batch_size: u32,
    pub maximum_batching_window_millis: u64,
    pub parallelization_factor: u32,
    pub maximum_retry_attempts: i64,
    pub maximum_record_age_seconds: i64,
    pub bisect_batch_on_function_error: bool,
    pub report_batch_item_failures: bool,
    pub tumbling_window_seconds: u64,
    pub filters: Vec<String>,
    pub on_failure: String,
    pub timeout_millis: u64,
}

/// A shard as it is told.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ShardOut {
    pub shard_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence_number: Option<String>,
    pub attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag_millis: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error_millis: Option<u64>,
    pub done: bool,
}

impl From<&Settings> for SettingsOut {
    fn from(settings: &Settings) -> Self {
        Self {
            batch_size: settings.batch_size,
            maximum_batching_window_millis: settings.batching_window_ms,
            parallelization_factor: settings.parallel,
            maximum_retry_attempts: settings.retries_max.map_or(-1, i64::from),
            maximum_record_age_seconds: settings.record_age_ms_max.map_or(-1, |ms| (ms / 1000) as i64),
            bisect_batch_on_function_error: settings.bisect,
            report_batch_item_failures: settings.report_failures,
            tumbling_window_seconds: settings.tumbling_ms / 1000,
            filters: settings.filters.clone(),
            on_failure: settings.on_failure.as_ref().map(ToString::to_string).unwrap_or_default(),
            timeout_millis: settings.timeout_ms,
        }
    }
}

/// What came of a trigger's calls lately, in Lambda's words.
pub(super) fn last_result(trigger: &Trigger) -> String {
    let troubles = trigger.shards.values().filter_map(|shard| shard.trouble.as_ref());
    let worst = troubles.filter(|trouble| !trouble.is_over).max_by_key(|trouble| trouble.at_ms);
    match worst {
        Some(trouble) => format!("PROBLEM: {}", trouble.error),
        None if trigger.shards.values().any(|shard| shard.delivered_ms.is_some()) => "OK".to_owned(),
        None => "No records processed".to_owned(),
    }
}

/// The table of a trigger and, if only one stream feeds it, that.
pub(super) fn source(catalog: &Catalog, trigger: &Trigger) -> Option<(String, StreamArn)> {
    let table = catalog.tables.get(&trigger.table)?;
    let arn = StreamArn { table: table.name.clone(), stream_ms: trigger.streams.first_ms() };
    Some((table.name.to_string(), arn))
}

/// What is told of a trigger.
pub(super) async fn describe(node: &Node, trigger: &Trigger) -> TriggerOut {
    let catalog = node.catalog();
    let (table_name, arn) =
        source(&catalog, trigger).map_or((String::new(), None), |(name, arn)| (name, Some(arn)));
    let only = trigger.streams == crate::catalog::Streams::Only(trigger.streams.first_ms());
    let shards = catalog.tables.get(&trigger.table).into_iter().flat_map(|table| trigger.shards(table));
    let shards = shards.map(|shard| describe_shard(node, &catalog, trigger, shard));
    TriggerOut {
        trigger_id: trigger.id.to_string(),
        table_name,
        stream_arn: arn.filter(|_| only).map(|arn| arn.to_string()),
        target: trigger.target.clone(),
        state: if trigger.enabled { "Enabled" } else { "Disabled" },
        settings: SettingsOut::from(&trigger.settings),
        created_millis: trigger.created_ms,
        updated_millis: trigger.updated_ms,
        last_result: last_result(trigger),
        shards: futures::future::join_all(shards).await,
    }
}

async fn describe_shard(node: &Node, catalog: &Catalog, trigger: &Trigger, shard: ShardKey) -> ShardOut {
    let nothing = ShardProgress::default();
    let progress = trigger.shards.get(&shard).unwrap_or(&nothing);
    let next = progress.lanes.iter().map(|lane| lane.next).min().flatten();
    let generation = catalog.partitions.get(&shard.1).map_or(0, |partition| partition.generation);
    let number =
        |at: crate::stream::Cursor| SequenceNumber { generation, index: at.index, ordinal: at.ordinal };
    let id = ShardId { created_ms: shard.0, group: shard.1 };
    let lag_millis = if progress.is_done {
        Some(0)
    } else if let Some(arn) = catalog.tables.get(&trigger.table).map(|table| table.name.clone()) {
        let arn = StreamArn { table: arn, stream_ms: shard.0 };
        lag_ms(node, &arn, id, next).await
    } else {
        None
    };
    ShardOut {
        shard_id: id.to_string(),
        node: progress.node.map(|node| node.0),
        sequence_number: next.map(|at| number(at).to_string()),
        attempts: progress.trouble.as_ref().map_or(0, |trouble| trouble.attempts),
        lag_millis,
        last_error: progress.trouble.as_ref().map(|trouble| trouble.error.clone()),
        last_error_millis: progress.trouble.as_ref().map(|trouble| trouble.at_ms),
        done: progress.is_done,
    }
}

/// The age of the oldest record from a place on; `None` if it cannot be found out at the moment.
pub(super) async fn lag_ms(
    node: &Node,
    arn: &StreamArn,
    shard: ShardId,
    next: Option<crate::stream::Cursor>,
) -> Option<u64> {
    let mut read = tokio::time::timeout(LAG_PATIENCE, node.records(arn, shard, next, 1, 0)).await;
    if matches!(read, Ok(Err(Error::Trimmed))) {
        read = tokio::time::timeout(LAG_PATIENCE, node.records(arn, shard, None, 1, 0)).await;
    }
    let page = read.ok()?.ok()?;
    Some(page.records.first().map_or(0, |record| node.now_ms().saturating_sub(record.created_ms)))
}

/// A trigger that is asked for.
#[derive(Debug)]
pub(super) struct CreateAsk {
    pub table_name: String,
    pub target: String,
    pub starting_position: Option<String>,
    pub starting_timestamp_millis: Option<u64>,
    pub enabled: Option<bool>,
    pub settings: SettingsAsk,
}

pub(super) async fn create(node: &Node, ask: CreateAsk) -> Result<TriggerOut, Error> {
    let asked = StartTrigger {
        table: tables::name(&ask.table_name)?,
        only: None,
        target: ask.target,
        function: None,
        settings: ask.settings.apply(Settings::default())?,
        enabled: ask.enabled.unwrap_or(true),
        start: start(ask.starting_position.as_deref(), ask.starting_timestamp_millis)?,
    };
    let trigger = node.create_trigger(asked).await?;
    Ok(describe(node, &trigger).await)
}

/// What is to change of a trigger.
#[derive(Debug)]
pub(super) struct UpdateAsk {
    pub trigger_id: String,
    pub target: Option<String>,
    pub enabled: Option<bool>,
    pub settings: SettingsAsk,
}

pub(super) async fn update(node: &Node, ask: UpdateAsk) -> Result<TriggerOut, Error> {
    let id = id(&ask.trigger_id)?;
    let settings = match ask.settings.is_empty() {
        true => None,
        false => Some(ask.settings.apply(node.trigger(id).await?.settings)?),
    };
    let target = ask.target.map(|target| (target, None));
    let trigger = node.update_trigger(id, target, settings, ask.enabled).await?;
    Ok(describe(node, &trigger).await)
}

pub(super) async fn get(node: &Node, text: &str) -> Result<TriggerOut, Error> {
    let trigger = node.trigger(id(text)?).await?;
    Ok(describe(node, &trigger).await)
}

/// The triggers of a table (empty: of all), in the order of their creation.
pub(super) async fn list(node: &Node, table: &str) -> Result<Vec<TriggerOut>, Error> {
    let table = if table.is_empty() { None } else { Some(tables::name(table)?) };
    node.settled().await?;
    let catalog = node.catalog();
    let of = |trigger: &&Trigger| match &table {
        None => true,
        Some(name) => catalog.tables.get(&trigger.table).is_some_and(|table| table.name == *name),
    };
    let mut triggers: Vec<&Trigger> = catalog.triggers.values().filter(of).collect();
    triggers.sort_by_key(|trigger| (trigger.created_ms, trigger.id));
    Ok(futures::future::join_all(triggers.into_iter().map(|trigger| describe(node, trigger))).await)
}

pub(super) async fn delete(node: &Node, text: &str) -> Result<(), Error> {
    node.delete_trigger(id(text)?).await
}

pub(super) async fn rewind(
    node: &Node,
    text: &str,
    position: Option<&str>,
    timestamp_ms: Option<u64>,
) -> Result<TriggerOut, Error> {
    let trigger = node.rewind_trigger(id(text)?, start(position, timestamp_ms)?).await?;
    Ok(describe(node, &trigger).await)
}

fn page_size(limit: u32) -> Result<usize, Error> {
    match limit {
        0 => Ok(FAILURES_DEFAULT as usize),
        1..=FAILURES_MAX => Ok(limit as usize),
        _ => Err(Error::Invalid(format!("Limit must be from 1 to {FAILURES_MAX}, not {limit}"))),
    }
}

pub(super) async fn failures(
    node: &Node,
    text: &str,
    limit: u32,
    behind: Option<&str>,
) -> Result<(Vec<Failed>, bool), Error> {
    node.failures(id(text)?, behind, page_size(limit)?).await
}

pub(super) async fn redrive(
    node: &Node,
    text: &str,
    limit: u32,
    behind: Option<&str>,
) -> Result<Redriven, Error> {
    node.redrive_trigger(id(text)?, behind, page_size(limit)?).await
}
