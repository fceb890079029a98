//! Triggers: what they are, how far they have come, and who delivers for them.
//!
//! A shard of a trigger is delivered by one node at a time. Whoever takes it over claims it, which gives a new epoch; what
//! is told in an older one is ignored. So the progress of a shard moves on by one hand at a time, whatever two nodes
//! believe of each other.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Catalog, Outcome, Refusal, Table};
use crate::delivery::{LaneProgress, Settings};
use crate::model::{
    TableName,
    id::{GroupId, NodeId, TableId, TriggerId},
};
use crate::stream::Cursor;

/// Triggers of one table. Ours: each reads the table's streams by itself.
pub const TRIGGERS_PER_TABLE_MAX: usize = 20;

/// A shard of a table: its stream (ms since 1970) and its partition.
pub type ShardKey = (u64, GroupId);

/// A trigger: a function that is fed by the streams of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    /// Its id.
    pub id: TriggerId,
    /// Its table.
    pub table: TableId,
    /// The streams it is fed by.
    pub streams: Streams,
    /// The address of its function.
    pub target: String,
    /// The name its function was given by, if it was given by one.
    pub function: Option<String>,
    /// How it delivers.
    pub settings: Settings,
    /// Whether it delivers.
    pub enabled: bool,
    /// Where it started, as it was asked for: told again, not gone by.
    pub start: StartAsked,
    /// When it was created, ms since 1970.
    pub created_ms: u64,
    /// When it was changed last, ms since 1970.
    pub updated_ms: u64,
    /// How often it was changed.
    pub revision: u64,
    /// Where it is in each shard that it was started in, or that was claimed since. A shard that is not here is begun at
    /// its trim horizon.
    pub shards: BTreeMap<ShardKey, ShardProgress>,
}

/// Which streams of its table a trigger is fed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Streams {
    /// One.
    Only(u64),
    /// One and all that come after it: turning a stream off and on again does not end the trigger.
    Since(u64),
}

/// Where a trigger was asked to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StartAsked {
    /// With the oldest records.
    TrimHorizon,
    /// With what comes after its creation.
    Latest,
    /// At a time, ms since 1970.
    Timestamp(u64),
}

/// How far a trigger has come in a shard.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardProgress {
    /// How often it was claimed.
    pub epoch: u64,
    /// Who claimed it last.
    pub node: Option<NodeId>,
    /// Its lanes. One that stands for all if there are fewer than the settings say.
    pub lanes: Vec<LaneProgress>,
    /// Whether the shard is closed, and all of it delivered or given up.
    pub is_done: bool,
    /// The oldest record read that is not delivered, ms since 1970.
    pub oldest_ms: Option<u64>,
    /// When a batch was delivered last, ms since 1970.
    pub delivered_ms: Option<u64>,
    /// What was wrong last.
    pub trouble: Option<Trouble>,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// How often the batch that is being tried has failed in a way that counts.
    pub attempts: u32,
    /// Whether the batch was delivered or given up since.
    pub is_over: bool,
    /// What was wrong, for people.
    pub error: String,
    /// When, ms since 1970.
    pub at_ms: u64,
}

/// A command about triggers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TriggerCommand {
    /// Creates a trigger.
    Create(Box<NewTrigger>),
    /// Changes one; what is absent stays.
    Update {
        /// Which.
        id: TriggerId,
        /// Its function's address, and the name it was given by.
        target: Option<(String, Option<String>)>,
        /// How it delivers.
        settings: Option<Box<Settings>>,
        /// Whether it delivers.
        enabled: Option<bool>,
        /// Now, ms since 1970.
        now_ms: u64,
    },
    /// Deletes one.
    Delete {
        /// Which.
        id: TriggerId,
    },
    /// Puts one elsewhere in its shards; those that are not named begin at their trim horizons.
    Rewind {
        /// Which.
        id: TriggerId,
        /// Where.
        starts: BTreeMap<ShardKey, ShardStart>,
        /// Now, ms since 1970.
        now_ms: u64,
    },
    /// A node is to deliver a shard.
    Claim {
        /// Whose.
        id: TriggerId,
        /// Which.
        shard: ShardKey,
        /// The node.
        node: NodeId,
    },
    /// How far those who deliver have come.
    Progress(Vec<ProgressReport>),
}

/// What a trigger is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewTrigger {
    /// Its id: random.
    pub id: TriggerId,
    /// Its table.
    pub table: TableName,
    /// The streams it is fed by.
    pub streams: Streams,
    /// Its function's address.
    pub target: String,
    /// The name its function was given by.
    pub function: Option<String>,
    /// How it delivers.
    pub settings: Settings,
    /// Whether it delivers at once.
    pub enabled: bool,
    /// Where it was asked to start.
    pub start: StartAsked,
    /// Where that is in the shards there are.
    pub starts: BTreeMap<ShardKey, ShardStart>,
    /// Now, ms since 1970.
    pub now_ms: u64,
}

/// Where a trigger starts in a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ShardStart {
    /// At the trim horizon.
    Horizon,
    /// At a place.
    At(Cursor),
}

/// How far a shard has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgressReport {
    /// Whose.
    pub id: TriggerId,
    /// Which.
    pub shard: ShardKey,
    /// How far, in its epoch.
    pub progress: ShardProgress,
}

/// What a node goes on with that has claimed a shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// How the trigger delivers.
    pub settings: Settings,
    /// Its function's address.
    pub target: String,
    /// Its revision.
    pub revision: u64,
    /// How far the shard has come.
    pub progress: ShardProgress,
}

impl Streams {
    /// Whether a stream is among them.
    pub fn contains(self, stream_ms: u64) -> bool {
        match self {
            Self::Only(only) => stream_ms == only,
            Self::Since(first) => stream_ms >= first,
        }
    }

    /// The first of them.
    pub fn first_ms(self) -> u64 {
        match self {
            Self::Only(first) | Self::Since(first) => first,
        }
    }
}

impl Trigger {
    /// The shards it is fed by, as far as they are known, in the order in which they follow each other in a partition.
    pub fn shards<'a>(&'a self, table: &'a Table) -> impl Iterator<Item = ShardKey> + 'a {
        let streams = table.streams.iter().filter(|stream| self.streams.contains(stream.stream_ms));
        streams.flat_map(|stream| stream.shards.keys().map(|group| (stream.stream_ms, *group)))
    }

    /// Whether everything is delivered of a shard.
    pub fn is_done(&self, shard: ShardKey) -> bool {
        self.shards.get(&shard).is_some_and(|progress| progress.is_done)
    }

    /// Whether everything is delivered of the shards before this one in its partition.
    pub fn may_begin(&self, table: &Table, shard: ShardKey) -> bool {
        self.shards(table).all(|other| other.1 != shard.1 || other.0 >= shard.0 || self.is_done(other))
    }
}

impl ShardProgress {
    fn starting(start: ShardStart) -> Self {
        let next = match start {
            ShardStart::Horizon => None,
            ShardStart::At(cursor) => Some(cursor),
        };
        Self { lanes: vec![LaneProgress { next, tries: Vec::new() }], ..Self::default() }
    }

    /// Makes one lane that stands for all: everything it is past, all are past.
    fn join_lanes(&mut self) {
        let next = self.lanes.iter().map(|lane| lane.next).min().flatten();
        self.lanes = vec![LaneProgress { next, tries: Vec::new() }];
    }
}

impl Catalog {
    pub(super) fn change_trigger(&mut self, command: TriggerCommand) -> Result<Outcome, Refusal> {
        match command {
            TriggerCommand::Create(new) => self.create_trigger(*new),
            TriggerCommand::Update { id, target, settings, enabled, now_ms } => {
                let trigger = self.triggers.get_mut(&id).ok_or(Refusal::NoTrigger(id))?;
                if let Some((target, function)) = target {
                    (trigger.target, trigger.function) = (target, function);
                }
                if let Some(settings) = settings {
                    if settings.parallel != trigger.settings.parallel {
                        trigger.shards.values_mut().for_each(ShardProgress::join_lanes);
                        trigger.shards.values_mut().for_each(|shard| shard.epoch += 1);
                    }
                    trigger.settings = *settings;
                }
                trigger.enabled = enabled.unwrap_or(trigger.enabled);
                trigger.updated_ms = now_ms;
                trigger.revision += 1;
                Ok(Outcome::Trigger(id))
            }
            TriggerCommand::Delete { id } => {
                self.triggers.remove(&id).ok_or(Refusal::NoTrigger(id)).map(|_| Outcome::Done)
            }
            TriggerCommand::Rewind { id, starts, now_ms } => {
                let trigger = self.triggers.get_mut(&id).ok_or(Refusal::NoTrigger(id))?;
                trigger.rewind(&starts);
                trigger.updated_ms = now_ms;
                trigger.revision += 1;
                Ok(Outcome::Trigger(id))
            }
            TriggerCommand::Claim { id, shard, node } => self.claim(id, shard, node),
            TriggerCommand::Progress(reports) => {
                for ProgressReport { id, shard, progress } in reports {
                    let known = self.triggers.get_mut(&id).and_then(|trigger| trigger.shards.get_mut(&shard));
                    if let Some(known) = known
                        && known.epoch == progress.epoch
                    {
                        *known = progress;
                    }
                }
                Ok(Outcome::Done)
            }
        }
    }

    fn create_trigger(&mut self, new: NewTrigger) -> Result<Outcome, Refusal> {
        let NewTrigger { id, table, streams, target, function, settings, enabled, start, starts, now_ms } =
            new;
        let missing = || Refusal::NoTable(table.clone());
        let of = self.tables.values().filter(|candidate| candidate.name == table);
        let fed =
            of.into_iter().find(|table| table.stream(streams.first_ms()).is_some()).ok_or_else(missing)?.id;
        let same = self.triggers.values().filter(|other| other.table == fed);
        if let Some(other) = same.clone().find(|other| other.target == target && other.streams == streams) {
            let function = function.unwrap_or(target);
            return Err(Refusal::TriggerExists {
                table,
                stream_ms: streams.first_ms(),
                function,
                id: other.id,
            });
        }
        if same.count() >= TRIGGERS_PER_TABLE_MAX {
            let why = format!("a table has at most {TRIGGERS_PER_TABLE_MAX} triggers");
            return Err(Refusal::Invalid(why));
        }
        let shards = starts.iter().map(|(shard, start)| (*shard, ShardProgress::starting(*start)));
        let trigger = Trigger {
            id,
            table: fed,
            streams,
            target,
            function,
            settings,
            enabled,
            start,
            created_ms: now_ms,
            updated_ms: now_ms,
            revision: 0,
            shards: shards.collect(),
        };
        self.triggers.insert(id, trigger);
        Ok(Outcome::Trigger(id))
    }

    fn claim(&mut self, id: TriggerId, shard: ShardKey, node: NodeId) -> Result<Outcome, Refusal> {
        let trigger = self.triggers.get_mut(&id).ok_or(Refusal::NoTrigger(id))?;
        let horizon = || ShardProgress::starting(ShardStart::Horizon);
        let progress = trigger.shards.entry(shard).or_insert_with(horizon);
        progress.epoch += 1;
        progress.node = Some(node);
        let claim = Claim {
            settings: trigger.settings.clone(),
            target: trigger.target.clone(),
            revision: trigger.revision,
            progress: progress.clone(),
        };
        Ok(Outcome::Claimed(Box::new(claim)))
    }

    /// Forgets what is of streams and tables that are forgotten.
    pub(super) fn reap_triggers(&mut self) {
        let tables = &self.tables;
        self.triggers.retain(|_, trigger| tables.contains_key(&trigger.table));
        for trigger in self.triggers.values_mut() {
            let Some(table) = tables.get(&trigger.table) else { continue };
            trigger.shards.retain(|(stream_ms, _), _| table.stream(*stream_ms).is_some());
        }
    }
}

impl Trigger {
    /// Every claim is void, so that nobody's progress undoes it.
    fn rewind(&mut self, starts: &BTreeMap<ShardKey, ShardStart>) {
        for (shard, progress) in &mut self.shards {
            let start = starts.get(shard).copied().unwrap_or(ShardStart::Horizon);
            let epoch = progress.epoch + 1;
            *progress = ShardProgress { epoch, ..ShardProgress::starting(start) };
        }
        for (shard, start) in starts {
            self.shards.entry(*shard).or_insert_with(|| ShardProgress::starting(*start));
        }
    }
}

#[cfg(test)]
#[path = "trigger_test.rs"]
mod tests;
