//! Consumers: who takes part in them, who has which shard, and how far they have come.
//!
//! A shard of a consumer belongs to one member at a time, in an epoch; what another member tells of it, or what is told of
//! another epoch, is ignored. Who is to have it is settled here, from what all replicas know: shards are shared out evenly, and as few as possible change
//! hands. A shard whose owner is there goes to its *heir* only once the owner has let go of it
//! ([`ConsumerCommand::Release`]) or has left, so that what was acknowledged before is not delivered again.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Catalog, Outcome, Refusal, ShardKey, Streams, Table};
use crate::model::{
    TableName,
    id::{NodeId, TableId},
};
use crate::stream::Cursor;

/// Consumers of one table. Ours.
pub const CONSUMERS_PER_TABLE_MAX: usize = 50;
/// Members of one consumer. Ours.
pub const MEMBERS_MAX: usize = 256;

/// A consumer is named within its table.
pub type ConsumerKey = (TableId, String);

/// Programs that share the records of a table's streams.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consumer {
    /// The streams it reads.
    pub streams: Streams,
    /// Where it started.
    pub start: ConsumerStart,
    /// When it was created, ms since 1970.
    pub created_ms: u64,
    /// Who takes part, by a random number.
    pub members: BTreeMap<u64, Member>,
    /// The shards it has come to.
    pub shards: BTreeMap<ShardKey, Consumed>,
}

/// Where a consumer was asked to start: told again, not gone by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConsumerStart {
    /// With the oldest records.
    TrimHorizon,
    /// With what comes after its creation.
    Latest,
    /// At a time, ms since 1970.
    Timestamp(u64),
    /// With a copy of the table, followed by what changes after it.
    Snapshot,
    /// Where a position said.
    Position,
}

/// A program that takes part, by a call to a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The node that was called.
    pub node: NodeId,
    /// When it came, ms since 1970.
    pub since_ms: u64,
}

/// A shard as a consumer sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consumed {
    /// How often it has changed hands.
    pub epoch: u64,
    /// The member that has it.
    pub owner: Option<u64>,
    /// The member that is to have it.
    pub heir: Option<u64>,
    /// How far it is acknowledged.
    pub place: Place,
}

/// How far a consumer has come in a shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// The items of the partition are being copied: those up to a stored key are, with all their changes before a place
    /// of the log. Both absent: none is.
    Copying {
        /// The last stored key that is copied.
        behind: Option<Bytes>,
        /// Where the changes of what is copied go on.
        next: Option<Cursor>,
    },
    /// Everything before it; absent: nothing, it begins at the trim horizon.
    At(Option<Cursor>),
    /// The shard is closed, and this is all of it.
    Done,
}

/// A command about consumers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConsumerCommand {
    /// A program takes part. Creates the consumer if it does not exist.
    Join(Box<Join>),
    /// A program is gone; what it had acknowledged.
    Leave {
        /// Of what.
        key: ConsumerKey,
        /// Who.
        member: u64,
        /// How far its shards are, in their epochs.
        places: Vec<(ShardKey, u64, Place)>,
    },
    /// A member lets go of a shard that somebody else is to have.
    Release(ConsumedReport),
    /// How far members have come.
    Progress(Vec<ConsumedReport>),
    /// Deletes a consumer.
    Delete {
        /// Which.
        key: ConsumerKey,
    },
}

/// A program that wants to take part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// The table.
    pub table: TableName,
    /// The consumer's name.
    pub name: String,
    /// What the member is called: random.
    pub member: u64,
    /// The node it has called.
    pub node: NodeId,
    /// The streams a new consumer reads; absent: the consumer is to exist.
    pub streams: Option<Streams>,
    /// Where a new consumer starts.
    pub start: ConsumerStart,
    /// Where that is in the shards there are; those that are not named begin at their trim horizons.
    pub places: BTreeMap<ShardKey, Place>,
    /// Now, ms since 1970.
    pub now_ms: u64,
}

/// How far a shard is acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsumedReport {
    /// Whose.
    pub key: ConsumerKey,
    /// Which.
    pub shard: ShardKey,
    /// The member that says so: of a consumer of the same name that was deleted, it is another.
    pub member: u64,
    /// In which epoch.
    pub epoch: u64,
    /// How far.
    pub place: Place,
}

impl Consumer {
    /// The shards it is to read now: not read to their ends, but those before them in their partitions are.
    fn active(&self, table: &Table) -> Vec<ShardKey> {
        let is_done = |shard: &ShardKey| self.shards.get(shard).is_some_and(|it| it.place == Place::Done);
        let streams = table.streams.iter().filter(|stream| self.streams.contains(stream.stream_ms));
        let all: Vec<ShardKey> =
            streams.flat_map(|it| it.shards.keys().map(|group| (it.stream_ms, *group))).collect();
        let waits = |shard: &ShardKey| {
            all.iter().any(|other| other.1 == shard.1 && other.0 < shard.0 && !is_done(other))
        };
        all.iter().filter(|shard| !is_done(shard) && !waits(shard)).copied().collect()
    }

    /// Whether all shards of a table that is gone are read to their ends.
    pub fn has_ended(&self, table: &Table) -> bool {
        table.deleted_ms.is_some() && self.active(table).is_empty()
    }

    /// Shares out the shards: evenly, and so that as few as possible change hands.
    fn assign(&mut self, table: &Table) {
        let active: BTreeSet<ShardKey> = self.active(table).into_iter().collect();
        for shard in &active {
            let begun = || Consumed { epoch: 0, owner: None, heir: None, place: Place::At(None) };
            self.shards.entry(*shard).or_insert_with(begun);
        }
        let mut had: BTreeMap<u64, Vec<ShardKey>> =
            self.members.keys().map(|member| (*member, Vec::new())).collect();
        let mut nobodys = Vec::new();
        for (shard, consumed) in &self.shards {
            let meant = consumed.heir.filter(|heir| active.contains(shard) && had.contains_key(heir));
            match meant.and_then(|heir| had.get_mut(&heir)) {
                Some(shards) => shards.push(*shard),
                None if active.contains(shard) => nobodys.push(*shard),
                None => {}
            }
        }
        share_out(&mut had, nobodys, active.len());
        let heirs: BTreeMap<ShardKey, u64> =
            had.iter().flat_map(|(member, shards)| shards.iter().map(|shard| (*shard, *member))).collect();
        for (shard, consumed) in &mut self.shards {
            consumed.heir = heirs.get(shard).copied();
            let is_held = consumed.owner.is_some_and(|owner| self.members.contains_key(&owner));
            if !is_held || !active.contains(shard) {
                consumed.pass_on();
            }
        }
    }
}

/// Gives every member its share: first those who have too many give some up, the newest; then all that belongs to nobody
/// goes to those who have least.
fn share_out(had: &mut BTreeMap<u64, Vec<ShardKey>>, mut nobodys: Vec<ShardKey>, count: usize) {
    if had.is_empty() {
        return;
    }
    let (share, mut larger) = (count / had.len(), count % had.len());
    for shards in had.values_mut() {
        // As many as there are left over may have one more than the others.
        let mine = if shards.len() > share && larger > 0 { share + 1 } else { share };
        larger -= usize::from(mine > share);
        nobodys.extend(shards.split_off(mine.min(shards.len())));
    }
    for shard in nobodys {
        if let Some(least) = had.values_mut().min_by_key(|shards| shards.len()) {
            least.push(shard);
        }
    }
}

impl Consumed {
    /// Its heir has it now, if that is somebody else.
    fn pass_on(&mut self) {
        if self.owner != self.heir {
            self.owner = self.heir;
            self.epoch += 1;
        }
    }
}

impl Catalog {
    pub(super) fn change_consumer(&mut self, command: ConsumerCommand) -> Result<Outcome, Refusal> {
        match command {
            ConsumerCommand::Join(join) => self.join_consumer(*join),
            ConsumerCommand::Leave { key, member, places } => {
                for (shard, epoch, place) in places {
                    self.consume(ConsumedReport { key: key.clone(), shard, member, epoch, place });
                }
                if let Some(consumer) = self.consumers.get_mut(&key) {
                    consumer.members.remove(&member);
                }
                self.assign_consumer(&key);
                Ok(Outcome::Done)
            }
            ConsumerCommand::Release(report) => {
                let (key, shard) = (report.key.clone(), report.shard);
                if self.consume(report)
                    && let Some(consumed) =
                        self.consumers.get_mut(&key).and_then(|it| it.shards.get_mut(&shard))
                {
                    consumed.pass_on();
                }
                self.assign_consumer(&key);
                Ok(Outcome::Done)
            }
            ConsumerCommand::Progress(reports) => {
                for report in reports {
                    let (key, is_done) = (report.key.clone(), report.place == Place::Done);
                    if self.consume(report) && is_done {
                        self.assign_consumer(&key);
                    }
                }
                Ok(Outcome::Done)
            }
            ConsumerCommand::Delete { key } => {
                let gone = self.consumers.remove(&key);
                gone.map(|_| Outcome::Done).ok_or_else(|| self.no_consumer(&key))
            }
        }
    }

    /// Takes down how far a shard is; whether it was its owner who said so.
    fn consume(&mut self, report: ConsumedReport) -> bool {
        let ConsumedReport { key, shard, member, epoch, place } = report;
        let consumed = self.consumers.get_mut(&key).and_then(|it| it.shards.get_mut(&shard));
        let consumed = consumed.filter(|it| it.owner == Some(member) && it.epoch == epoch);
        consumed.map(|consumed| consumed.place = place).is_some()
    }

    fn no_consumer(&self, (table, name): &ConsumerKey) -> Refusal {
        let table = self.tables.get(table).map(|table| table.name.to_string()).unwrap_or_default();
        Refusal::NoConsumer { table, name: name.clone() }
    }

    fn join_consumer(&mut self, join: Join) -> Result<Outcome, Refusal> {
        let Join { table, name, member, node, streams, start, places, now_ms } = join;
        let id = self.table(&table).ok_or(Refusal::NoTable(table))?.id;
        let key = (id, name);
        let exists = self.consumers.contains_key(&key);
        if !exists && self.consumers.keys().filter(|(of, _)| *of == id).count() >= CONSUMERS_PER_TABLE_MAX {
            let why = format!("a table has at most {CONSUMERS_PER_TABLE_MAX} consumers");
            return Err(Refusal::Invalid(why));
        }
        if !exists {
            let streams = streams.ok_or_else(|| self.no_consumer(&key))?;
            let (members, shards) = (BTreeMap::new(), BTreeMap::new());
            let new = Consumer { streams, start, created_ms: now_ms, members, shards };
            self.consumers.insert(key.clone(), new);
        }
        let Some(consumer) = self.consumers.get_mut(&key) else { return Err(self.no_consumer(&key)) };
        if consumer.members.len() >= MEMBERS_MAX {
            return Err(Refusal::Invalid(format!("a consumer has at most {MEMBERS_MAX} members")));
        }
        if exists && start == ConsumerStart::Position && !consumer.members.is_empty() {
            let why = "the consumer has other members, who are somewhere else: it is not put to a position";
            return Err(Refusal::Invalid(why.to_owned()));
        }
        if !exists || start == ConsumerStart::Position {
            let epoch = |shard: &ShardKey| consumer.shards.get(shard).map_or(0, |known| known.epoch + 1);
            let begun = |place, epoch| Consumed { epoch, owner: None, heir: None, place };
            let shards = places.into_iter().map(|(shard, place)| (shard, begun(place, epoch(&shard))));
            consumer.shards = shards.collect();
        }
        consumer.members.insert(member, Member { node, since_ms: now_ms });
        self.assign_consumer(&key);
        Ok(Outcome::Joined { table: id, created: !exists })
    }

    fn assign_consumer(&mut self, key: &ConsumerKey) {
        if let Some(consumer) = self.consumers.get_mut(key)
            && let Some(table) = self.tables.get(&key.0)
        {
            consumer.assign(table);
        }
    }

    /// Shares out shards that have come, and forgets what is of streams and tables that are forgotten.
    pub(super) fn follow_tables(&mut self) {
        let tables = &self.tables;
        self.consumers.retain(|(table, _), _| tables.contains_key(table));
        for ((table, _), consumer) in &mut self.consumers {
            let Some(table) = tables.get(table) else { continue };
            consumer.shards.retain(|(stream_ms, _), _| table.stream(*stream_ms).is_some());
            consumer.assign(table);
        }
    }
}

#[cfg(test)]
#[path = "consumer_test.rs"]
mod tests;
