//! Triggers: creating and changing them, and starting the delivery of the shards whose partitions are led here.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    time::Duration,
};

use super::{
    Error, Node,
    failures::{self, Failed},
    function::Caller,
    trigger,
};
use crate::{
    catalog::{
        Catalog, Command, NewTrigger, Outcome, ShardKey, ShardStart, StartAsked, Streams, Table, Trigger,
        TriggerCommand,
    },
    delivery::{Batch, Destination, Failure, Parcel, Settings, Verdict, check_target},
    model::{StreamViewType, TableName, id::TriggerId},
    stream::{ShardId, Start, StreamArn},
};

/// How often it is looked for deliveries that have ended and are wanted again, while there are triggers.
const TICK: Duration = Duration::from_millis(250);

/// Starts what is to be delivered here, until the node stops.
pub(super) async fn run(node: Node) {
    let mut catalog = node.shared.catalog.clone();
    let mut running: BTreeMap<(TriggerId, ShardKey), Weak<()>> = BTreeMap::new();
    loop {
        let now = catalog.borrow_and_update().clone();
        running.retain(|_, here| here.strong_count() > 0);
        for (id, shard) in wanted(&now) {
            let Some(replica) = node.replica(shard.1).filter(|replica| replica.serves()) else { continue };
            if running.contains_key(&(id, shard)) {
                continue;
            }
            let here = Arc::new(());
            running.insert((id, shard), Arc::downgrade(&here));
            node.shared.tasks.spawn("delivery", trigger::run(node.clone(), replica, id, shard, here));
        }
        let changed = catalog.changed();
        let told = if now.triggers.is_empty() {
            changed.await
        } else {
            match tokio::time::timeout(TICK, changed).await {
                Ok(told) => told,
                Err(_) => continue,
            }
        };
        if told.is_err() {
            return;
        }
    }
}

/// The shards that somebody is to deliver.
fn wanted(catalog: &Catalog) -> impl Iterator<Item = (TriggerId, ShardKey)> + '_ {
    let enabled = catalog.triggers.values().filter(|trigger| trigger.enabled);
    enabled.flat_map(|trigger| {
        let table = catalog.tables.get(&trigger.table);
        let shards = table.into_iter().flat_map(move |table| {
            let shards = trigger.shards(table);
            shards.filter(move |shard| !trigger.is_done(*shard) && trigger.may_begin(table, *shard))
        });
        shards.map(|shard| (trigger.id, shard))
    })
}

/// A trigger to be created.
#[derive(Clone, Debug)]
pub struct StartTrigger {
    /// The table that feeds it, if it follows all its streams from now on.
    pub table: TableName,
    /// The only stream that feeds it, if there is to be only one.
    pub only: Option<StreamArn>,
    /// The address of its function.
    pub target: String,
    /// The name the function was given by.
    pub function: Option<String>,
    /// How it delivers.
    pub settings: Settings,
    /// Whether it delivers at once.
    pub enabled: bool,
    /// Where it starts.
    pub start: StartAsked,
}

impl Node {
    /// The age of the oldest record of each trigger that is read and not delivered, milliseconds; of the shards that this
    /// node delivers.
    pub(super) fn trigger_lags(&self) -> Vec<(String, u64)> {
        let (catalog, now_ms) = (self.catalog(), self.now_ms());
        let lag = |trigger: &Trigger| {
            let mine = trigger.shards.values().filter(|shard| shard.node == Some(self.id()));
            let oldest_ms = mine.map(|shard| shard.oldest_ms.map_or(0, |ms| now_ms.saturating_sub(ms)));
            let table =
                catalog.tables.get(&trigger.table).map(|table| table.name.as_str()).unwrap_or_default();
            Some((format!("{{trigger=\"{}\",table=\"{table}\"}}", trigger.id), oldest_ms.max()?))
        };
        catalog.triggers.values().filter_map(lag).collect()
    }

    /// A trigger.
    pub async fn trigger(&self, id: TriggerId) -> Result<Trigger, Error> {
        self.look_up(|catalog| {
            let missing =
                || Error::NotFound(format!("The resource you requested does not exist: trigger {id}"));
            catalog.triggers.get(&id).cloned().ok_or_else(missing)
        })
        .await
    }

    /// Creates a trigger. Where it starts is settled before: every record of a write that is asked for once this has
    /// returned is delivered.
    pub async fn create_trigger(&self, asked: StartTrigger) -> Result<Trigger, Error> {
        let StartTrigger { table, only, target, function, settings, enabled, start } = asked;
        check_target(&target)?;
        let (streams, table_now, view_type) = self.streams_for(&table, only.as_ref()).await?;
        self.check_settings(&settings, view_type)?;
        let starts = self.starts(&table_now, streams, start).await?;
        let random = u128::from(self.random()) << 64 | u128::from(self.random());
        let (id, now_ms) = (TriggerId::random(random), self.now_ms());
        let new =
            NewTrigger { id, table, streams, target, function, settings, enabled, start, starts, now_ms };
        self.change_trigger(TriggerCommand::Create(Box::new(new))).await?;
        self.trigger(id).await
    }

    /// Changes a trigger; what is absent stays.
    pub async fn update_trigger(
        &self,
        id: TriggerId,
        target: Option<(String, Option<String>)>,
        settings: Option<Settings>,
        enabled: Option<bool>,
    ) -> Result<Trigger, Error> {
        let trigger = self.trigger(id).await?;
        if let Some((target, _)) = &target {
            check_target(target)?;
        }
        if let Some(settings) = &settings {
            let catalog = self.catalog();
            let stream = catalog.tables.get(&trigger.table).and_then(Table::latest_stream);
            self.check_settings(settings, stream.map(|stream| stream.view_type))?;
        }
        let settings = settings.map(Box::new);
        let command = TriggerCommand::Update { id, target, settings, enabled, now_ms: self.now_ms() };
        self.change_trigger(command).await?;
        self.trigger(id).await
    }

    /// Deletes a trigger. Calls under way are not waited for.
    pub async fn delete_trigger(&self, id: TriggerId) -> Result<(), Error> {
        self.change_trigger(TriggerCommand::Delete { id }).await
    }

    /// Puts a trigger elsewhere in its streams.
    pub async fn rewind_trigger(&self, id: TriggerId, start: StartAsked) -> Result<Trigger, Error> {
        let trigger = self.trigger(id).await?;
        let table = self.catalog().tables.get(&trigger.table).cloned().ok_or_else(Error::no_table)?;
        let starts = self.starts(&table, trigger.streams, start).await?;
        self.change_trigger(TriggerCommand::Rewind { id, starts, now_ms: self.now_ms() }).await?;
        self.trigger(id).await
    }

    async fn change_trigger(&self, command: TriggerCommand) -> Result<(), Error> {
        match self.command(Command::Trigger(command)).await? {
            Outcome::Trigger(_) | Outcome::Done => Ok(()),
            _ => Err(Error::Internal),
        }
    }

    /// The streams that feed a trigger, their table, and what the records of the first one show.
    pub(super) async fn streams_for(
        &self,
        name: &TableName,
        only: Option<&StreamArn>,
    ) -> Result<(Streams, Table, Option<StreamViewType>), Error> {
        self.look_up(|catalog| match only {
            Some(arn) => {
                let mut of = catalog.tables.values().filter(|table| table.name == arn.table);
                let found = of.find_map(|table| Some((table, table.stream(arn.stream_ms)?)));
                let missing =
                    || Error::NotFound(format!("Requested resource not found: Stream: {arn} not found"));
                let (table, stream) = found.ok_or_else(missing)?;
                Ok((Streams::Only(arn.stream_ms), table.clone(), Some(stream.view_type)))
            }
            None => {
                let table = catalog.table(name).ok_or_else(Error::no_table)?;
                let stream = table.latest_stream().filter(|stream| stream.ended_ms.is_none());
                let stream = stream.ok_or_else(|| {
                    Error::Invalid(format!(
                        "Table {name} has no stream: turn it on before something is to be fed by it"
                    ))
                })?;
                Ok((Streams::Since(stream.stream_ms), table.clone(), Some(stream.view_type)))
            }
        })
        .await
    }

    fn check_settings(&self, settings: &Settings, view_type: Option<StreamViewType>) -> Result<(), Error> {
        let filter = settings.check()?;
        if filter.needs_both_images() && view_type.is_some_and(|it| it != StreamViewType::NewAndOldImages) {
            let why = "a filter that asks what has \"changed\" needs a stream with the view type NEW_AND_OLD_IMAGES";
            return Err(Error::Invalid(why.to_owned()));
        }
        match &settings.on_failure {
            Some(Destination::Table(table)) => failures::check(&self.catalog(), table),
            Some(Destination::Url(_)) | None => Ok(()),
        }
    }

    /// Where a trigger starts in each shard there is. One that is not there yet is begun at its beginning.
    pub(super) async fn starts(
        &self,
        table: &Table,
        streams: Streams,
        start: StartAsked,
    ) -> Result<BTreeMap<ShardKey, ShardStart>, Error> {
        let start = match start {
            StartAsked::TrimHorizon => return Ok(BTreeMap::new()),
            StartAsked::Latest => Start::Latest,
            StartAsked::Timestamp(ms) if ms > self.now_ms() => {
                return Err(Error::Invalid("the starting time must not lie in the future".to_owned()));
            }
            StartAsked::Timestamp(ms) => Start::Timestamp(ms),
        };
        let mut starts = BTreeMap::new();
        for stream in table.streams.iter().filter(|stream| streams.contains(stream.stream_ms)) {
            let arn = StreamArn { table: table.name.clone(), stream_ms: stream.stream_ms };
            for group in stream.shards.keys() {
                let shard = ShardId { created_ms: stream.stream_ms, group: *group };
                let cursor = match self.locate(&arn, shard, start).await {
                    Ok(cursor) => cursor,
                    Err(Error::Trimmed) => None, // closed, and nothing is left of it
                    Err(error) => return Err(error),
                };
                let place = cursor.map_or(ShardStart::Horizon, ShardStart::At);
                starts.insert((stream.stream_ms, *group), place);
            }
        }
        Ok(starts)
    }
}

/// What became of records that were to be delivered again.
#[derive(Clone, Debug, Default)]
pub struct Redriven {
    /// How many were delivered, and are forgotten now.
    pub delivered: usize,
    /// How many failed again, and stay.
    pub failed: usize,
    /// Present if there are more behind those.
    pub last: Option<String>,
    /// Why the first of them failed.
    pub error: Option<String>,
}

impl Node {
    /// Records of a trigger that were given up and are kept in a table, oldest first, behind an id; whether there are more.
    pub async fn failures(
        &self,
        id: TriggerId,
        behind: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<Failed>, bool), Error> {
        let trigger = self.trigger(id).await?;
        failures::list(self, failures_table(&trigger)?, id, behind, limit).await
    }

    /// Calls the function of a trigger again with records that were given up, and forgets those it takes.
    pub async fn redrive_trigger(
        &self,
        id: TriggerId,
        behind: Option<&str>,
        limit: usize,
    ) -> Result<Redriven, Error> {
        let trigger = self.trigger(id).await?;
        let table = failures_table(&trigger)?;
        let (failed, more) = failures::list(self, table, id, behind, limit).await?;
        let mut redriven = Redriven::default();
        if more {
            redriven.last = failed.last().map(|last| last.failure_id.clone());
        }
        let mut rest = failed.as_slice();
        while let Some(first) = rest.first() {
            let size = rest.iter().take(trigger.settings.batch_size as usize);
            let (batch, behind) =
                rest.split_at(size.take_while(|other| other.shard_id == first.shard_id).count());
            rest = behind;
            let taken = match self.call_again(&trigger, batch).await {
                Verdict::Delivered { .. } => batch,
                Verdict::FailedFrom(number) => {
                    redriven
                        .error
                        .get_or_insert_with(|| format!("the function reports a failure at {number}"));
                    let before = batch.iter().take_while(|failed| failed.number < Some(number)).count();
                    batch.split_at(before).0
                }
                Verdict::Failed(failure) | Verdict::Busy(failure) => {
                    redriven.error.get_or_insert(failure.error);
                    &[]
                }
            };
            failures::forget(self, table, id, taken).await?;
            redriven.delivered += taken.len();
            redriven.failed += batch.len() - taken.len();
        }
        Ok(redriven)
    }

    async fn call_again(&self, trigger: &Trigger, batch: &[Failed]) -> Verdict {
        let shard = batch.first().and_then(|failed| ShardId::parse(&failed.shard_id));
        let table = self.catalog().tables.get(&trigger.table).map(|table| table.name.clone());
        let (Some(shard), Some(table)) = (shard, table) else {
            return Verdict::Failed(Failure::new(
                "the shard of these records has no id of the form of shards",
            ));
        };
        let stream = StreamArn { table, stream_ms: shard.created_ms };
        let settings = Settings { tumbling_ms: 0, ..trigger.settings.clone() };
        let caller = Caller::new(trigger.id, trigger.target.clone(), settings, shard, stream);
        let parcel = |failed: &Failed| {
            Some(Parcel { number: failed.number?, created_ms: 0, event: failed.record.clone().into() })
        };
        let parcels = batch.iter().filter_map(parcel).collect();
        caller.call(self, &Batch { parcels, calls: 0, window: None }).await
    }
}

/// The table where a trigger's records are kept that were given up.
fn failures_table(trigger: &Trigger) -> Result<&TableName, Error> {
    match &trigger.settings.on_failure {
        Some(Destination::Table(table)) => Ok(table),
        Some(Destination::Url(_)) | None => Err(Error::Invalid(
            "this trigger keeps no records that are given up: its on-failure destination is no table"
                .to_owned(),
        )),
    }
}
