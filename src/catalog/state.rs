//! The catalog's state and how commands change it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Command, Consumer, ConsumerKey, Options, OptionsChange, Outcome, Refusal, Report, Trigger, place,
};
use crate::model::{
    HashRange, KeySchema, StreamViewType, TableName,
    id::{GroupId, NodeId, TableId, TriggerId},
};

/// Everything the cluster knows of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalog {
    /// The cluster; empty before it is founded.
    pub cluster_id: String,
    /// Signs iterators.
    pub secret: [u8; 32],
    /// The members.
    pub nodes: BTreeMap<NodeId, Node>,
    /// All tables, also deleted ones whose streams are still readable.
    pub tables: BTreeMap<TableId, Table>,
    /// The tables that are not deleted, by name.
    pub names: BTreeMap<TableName, TableId>,
    /// All partitions.
    pub partitions: BTreeMap<GroupId, Partition>,
    /// The newest node id given out.
    pub last_node: u64,
    /// The newest table id given out.
    pub last_table: u64,
    /// The newest group id given out.
    pub last_group: u64,
    /// The newest time seen in a command, ms since 1970: stream labels never repeat.
    pub last_ms: u64,
    /// Who may use the DynamoDB endpoint, by access key id; if there are none, see `api::auth`.
    pub access_keys: BTreeMap<String, AccessKey>,
    /// The triggers.
    pub triggers: BTreeMap<TriggerId, Trigger>,
    /// The consumers.
    pub consumers: BTreeMap<ConsumerKey, Consumer>,
}

/// An access key. The secret is kept as it is: signatures are checked by making them again.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessKey {
    /// What its holder signs with.
    pub secret: String,
    /// When it was made, ms since 1970.
    pub created_ms: u64,
}

impl std::fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessKey").field("created_ms", &self.created_ms).finish_non_exhaustive()
    }
}

/// A member of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its id.
    pub id: NodeId,
    /// Where it is reached.
    pub address: String,
    /// Its zone; empty: none.
    pub zone: String,
    /// What it joined with.
    pub nonce: u64,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its id.
    pub id: TableId,
    /// Its name.
    pub name: TableName,
    /// Its key.
    pub key_schema: KeySchema,
    /// When it was created, ms since 1970.
    pub created_ms: u64,
    /// How long records are kept, milliseconds.
    pub retention_ms: u64,
    /// Its partitions, in order of their hash ranges.
    pub partitions: Vec<GroupId>,
    /// Its streams, oldest first.
    pub streams: Vec<Stream>,
    /// When it was deleted, ms since 1970.
    pub deleted_ms: Option<u64>,
    /// What else was asked for.
    pub options: Options,
}

/// What a table is doing. Derived, never stored: there is no second source of truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableStatus {
    /// Some partition has not had a leader yet.
    Creating,
    /// In use.
    Active,
    /// Its stream is being turned on or off.
    Updating,
    /// Deleted.
    Deleting,
}

/// A stream of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// When it was asked for, ms since 1970; unique within the table: its label.
    pub stream_ms: u64,
    /// What its records show.
    pub view_type: StreamViewType,
    /// When it was asked to end, ms since 1970.
    pub ended_ms: Option<u64>,
    /// Its shards, by partition, as far as reported.
    pub shards: BTreeMap<GroupId, Shard>,
}

/// What a stream is doing. Derived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamStatus {
    /// Some partition has not opened its shard yet.
    Enabling,
    /// On.
    Enabled,
    /// Some partition has not closed its shard yet.
    Disabling,
    /// Off.
    Disabled,
}

/// A shard of a stream, as the partition's leader reported it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// The index it was opened at.
    pub opened: u64,
    /// The index it was closed at.
    pub closed: Option<u64>,
    /// Whether its last record is trimmed.
    pub trimmed: bool,
}

/// A partition of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partition {
    /// Its Raft group.
    pub group: GroupId,
    /// Its table.
    pub table: TableId,
    /// Its hashes.
    pub range: HashRange,
    /// 0; a child's is its parent's + 1.
    pub generation: u32,
    /// Who holds it, the node that should lead it first.
    pub replicas: Vec<NodeId>,
    /// How many of `replicas`, from the front, the group was started with.
    pub founders: usize,
    /// Who leads it and since which term, as last reported.
    pub leader: Option<(NodeId, u64)>,
}

/// How many replicas a partition should have.
#[derive(Clone, Copy, Debug)]
pub struct Replication;

impl Replication {
    /// Three, if there are as many nodes.
    pub const FACTOR: usize = 3;
}

impl Table {
    /// The newest stream.
    pub fn latest_stream(&self) -> Option<&Stream> {
        self.streams.last()
    }

    /// A stream by its time.
    pub fn stream(&self, stream_ms: u64) -> Option<&Stream> {
        self.streams.iter().find(|stream| stream.stream_ms == stream_ms)
    }

    /// The status of one of its streams.
    pub fn stream_status(&self, stream: &Stream) -> StreamStatus {
        let all = |done: &dyn Fn(&Shard) -> bool| {
            self.partitions.iter().all(|group| stream.shards.get(group).is_some_and(done))
        };
        match stream.ended_ms {
            None if all(&|_| true) => StreamStatus::Enabled,
            None => StreamStatus::Enabling,
            Some(_) if all(&|shard| shard.closed.is_some()) => StreamStatus::Disabled,
            Some(_) => StreamStatus::Disabling,
        }
    }
}

impl Catalog {
    /// A table that is not deleted.
    pub fn table(&self, name: &TableName) -> Option<&Table> {
        self.tables.get(self.names.get(name)?)
    }

    /// What a table is doing.
    pub fn status(&self, table: &Table) -> TableStatus {
        if table.deleted_ms.is_some() {
            return TableStatus::Deleting;
        }
        let led = |group| self.partitions.get(group).is_some_and(|partition| partition.leader.is_some());
        if !table.partitions.iter().all(led) {
            return TableStatus::Creating;
        }
        match table.latest_stream().map(|stream| table.stream_status(stream)) {
            Some(StreamStatus::Enabling | StreamStatus::Disabling) => TableStatus::Updating,
            Some(StreamStatus::Enabled | StreamStatus::Disabled) | None => TableStatus::Active,
        }
    }

    /// The partition of a table that a hash belongs to.
    pub fn partition_of(&self, table: &Table, hash: u64) -> Option<&Partition> {
        let partitions = table.partitions.iter().filter_map(|group| self.partitions.get(group));
        partitions.into_iter().find(|partition| partition.range.contains(hash))
    }

    /// Applies a command. Total: every command has an outcome on every state.
    pub fn apply(&mut self, command: Command) -> Outcome {
        let is_of_tables = !matches!(command, Command::Trigger(_) | Command::Consumer(_));
        let outcome = self.decide(command).unwrap_or_else(Outcome::Refused);
        if is_of_tables {
            self.follow_tables();
        }
        outcome
    }

    fn decide(&mut self, command: Command) -> Result<Outcome, Refusal> {
        match command {
            Command::Found { cluster_id, secret, address, zone } => {
                if !self.cluster_id.is_empty() {
                    return Err(Refusal::Founded);
                }
                self.cluster_id = cluster_id;
                self.secret = secret;
                Ok(Outcome::Node(self.join(address, zone, 0)))
            }
            // The founder is node 1 by its own word: nobody else may get that id.
            Command::Join { .. } if self.cluster_id.is_empty() => {
                Err(Refusal::Invalid("the cluster is not founded yet".to_owned()))
            }
            Command::Join { address, zone, nonce } => Ok(Outcome::Node(self.join(address, zone, nonce))),
            Command::Move { node, address, zone } => {
                let member = self.nodes.get_mut(&node).ok_or(Refusal::NoNode(node))?;
                (member.address, member.zone) = (address, zone);
                Ok(Outcome::Done)
            }
            Command::CreateTable { name, key_schema, partitions, stream, retention_ms, options, now_ms } => {
                self.create_table((name, key_schema), partitions, stream, (retention_ms, options), now_ms)
            }
            Command::UpdateOptions { name, change, now_ms } => self.update_options(&name, change, now_ms),
            Command::Tag { name, set, remove } => self.tag(&name, set, &remove),
            Command::PutAccessKey { id, key } => {
                self.access_keys.insert(id, key);
                Ok(Outcome::Done)
            }
            Command::DeleteAccessKey { id } => {
                self.access_keys.remove(&id).ok_or(Refusal::NoAccessKey(id)).map(|_| Outcome::Done)
            }
            Command::UpdateStream { name, stream, now_ms } => self.update_stream(name, stream, now_ms),
            Command::DeleteTable { name, now_ms } => self.delete_table(name, now_ms),
            Command::Report(reports) => {
                for report in reports {
                    self.report(report);
                }
                Ok(Outcome::Done)
            }
            Command::Reap { now_ms } => {
                self.reap(now_ms);
                Ok(Outcome::Done)
            }
            Command::Replicate => {
                self.replicate();
                Ok(Outcome::Done)
            }
            Command::Trigger(command) => self.change_trigger(command),
            Command::Consumer(command) => self.change_consumer(command),
        }
    }

    fn join(&mut self, address: String, zone: String, nonce: u64) -> NodeId {
        if let Some(known) = self.nodes.values().find(|node| nonce != 0 && node.nonce == nonce) {
            return known.id;
        }
        self.last_node += 1;
        let id = NodeId(self.last_node);
        self.nodes.insert(id, Node { id, address, zone, nonce });
        id
    }

    /// A time later than any given out before.
    fn fresh_ms(&mut self, now_ms: u64) -> u64 {
        self.last_ms = now_ms.max(self.last_ms + 1);
        self.last_ms
    }

    fn leads(&self) -> BTreeMap<NodeId, usize> {
        let mut leads = BTreeMap::new();
        for leader in self.partitions.values().filter_map(|partition| partition.replicas.first()) {
            *leads.entry(*leader).or_default() += 1;
        }
        leads
    }

    fn create_table(
        &mut self,
        (name, key_schema): (TableName, KeySchema),
        partitions: u32,
        stream: Option<StreamViewType>,
        (retention_ms, options): (u64, Options),
        now_ms: u64,
    ) -> Result<Outcome, Refusal> {
        options.check()?;
        if self.names.contains_key(&name) {
            return Err(Refusal::TableExists(name));
        }
        if partitions == 0 {
            return Err(Refusal::Invalid("a table has at least one partition".to_owned()));
        }
        let created_ms = self.fresh_ms(now_ms);
        self.last_table += 1;
        let id = TableId(self.last_table);
        let mut groups = Vec::new();
        for range in HashRange::split_even(partitions as usize) {
            self.last_group += 1;
            let group = GroupId(self.last_group);
            let replicas = place(&self.nodes, group, Replication::FACTOR, &self.leads());
            let founders = replicas.len();
            let partition =
                Partition { group, table: id, range, generation: 0, replicas, founders, leader: None };
            self.partitions.insert(group, partition);
            groups.push(group);
        }
        let streams = stream.map(|view_type| Stream {
            stream_ms: created_ms,
            view_type,
            ended_ms: None,
            shards: BTreeMap::new(),
        });
        let table = Table {
            id,
            name: name.clone(),
            key_schema,
            created_ms,
            retention_ms,
            partitions: groups,
            streams: streams.into_iter().collect(),
            deleted_ms: None,
            options,
        };
        self.tables.insert(id, table);
        self.names.insert(name, id);
        Ok(Outcome::Table(id))
    }

    /// The table, if it is neither being created nor changed.
    fn idle_table(&self, name: &TableName) -> Result<TableId, Refusal> {
        let table = self.table(name).ok_or_else(|| Refusal::NoTable(name.clone()))?;
        let busy = |verb: &str| Refusal::TableBusy { name: name.clone(), verb: verb.to_owned() };
        match self.status(table) {
            TableStatus::Active => Ok(table.id),
            TableStatus::Creating => Err(busy("created")),
            TableStatus::Updating => Err(busy("updated")),
            TableStatus::Deleting => Err(busy("deleted")),
        }
    }

    fn update_options(
        &mut self,
        name: &TableName,
        change: OptionsChange,
        now_ms: u64,
    ) -> Result<Outcome, Refusal> {
        let id = self.idle_table(name)?;
        let table = self.tables.get_mut(&id).ok_or_else(|| Refusal::NoTable(name.clone()))?;
        table.options = table.options.changed(change, now_ms)?;
        Ok(Outcome::Table(id))
    }

    fn tag(
        &mut self,
        name: &TableName,
        set: BTreeMap<String, String>,
        remove: &[String],
    ) -> Result<Outcome, Refusal> {
        let missing = || Refusal::NoTable(name.clone());
        let id = self.table(name).ok_or_else(missing)?.id;
        let table = self.tables.get_mut(&id).ok_or_else(missing)?;
        let mut options = table.options.clone();
        options.tags.extend(set);
        options.tags.retain(|key, _| !remove.contains(key));
        options.check()?;
        table.options = options;
        Ok(Outcome::Table(id))
    }

    fn update_stream(
        &mut self,
        name: TableName,
        stream: Option<StreamViewType>,
        now_ms: u64,
    ) -> Result<Outcome, Refusal> {
        let id = self.idle_table(&name)?;
        let now_ms = self.fresh_ms(now_ms);
        let table = self.tables.get_mut(&id).ok_or_else(|| Refusal::NoTable(name.clone()))?;
        let running = table.streams.last_mut().filter(|stream| stream.ended_ms.is_none());
        match (stream, running) {
            (Some(_), Some(_)) => return Err(Refusal::StreamEnabled(name)),
            (None, None) => return Err(Refusal::StreamDisabled(name)),
            (Some(view_type), None) => table.streams.push(Stream {
                stream_ms: now_ms,
                view_type,
                ended_ms: None,
                shards: BTreeMap::new(),
            }),
            (None, Some(running)) => running.ended_ms = Some(now_ms),
        }
        Ok(Outcome::Table(id))
    }

    fn delete_table(&mut self, name: TableName, now_ms: u64) -> Result<Outcome, Refusal> {
        let id = self.idle_table(&name)?;
        if self.tables.get(&id).is_some_and(|table| table.options.deletion_protected) {
            return Err(Refusal::TableProtected);
        }
        let now_ms = self.fresh_ms(now_ms);
        self.names.remove(&name);
        if let Some(table) = self.tables.get_mut(&id) {
            table.deleted_ms = Some(now_ms);
            if let Some(stream) = table.streams.last_mut().filter(|stream| stream.ended_ms.is_none()) {
                stream.ended_ms = Some(now_ms);
            }
            if table.streams.is_empty() {
                self.forget_table(id);
            }
        }
        Ok(Outcome::Table(id))
    }

    fn forget_table(&mut self, id: TableId) {
        if let Some(table) = self.tables.remove(&id) {
            for group in table.partitions {
                self.partitions.remove(&group);
            }
            self.reap_triggers();
        }
    }

    fn report(&mut self, report: Report) {
        let Some(partition) = self.partitions.get_mut(&report.group) else { return };
        if partition.leader.is_some_and(|(_, term)| term > report.term) {
            return;
        }
        partition.leader = Some((report.node, report.term));
        let Some(table) = self.tables.get_mut(&partition.table) else { return };
        let had = table.streams.iter_mut().filter(|stream| stream.stream_ms <= report.newest_stream_ms);
        for stream in had {
            let shard = report.shards.iter().find(|(stream_ms, ..)| *stream_ms == stream.stream_ms);
            let shard = match (shard, stream.shards.get(&report.group)) {
                (Some((_, opened, closed)), _) => Shard { opened: *opened, closed: *closed, trimmed: false },
                // What there was of it is trimmed, perhaps before anything of it was reported.
                (None, known) => {
                    let end = report.trimmed.unwrap_or(0);
                    let opened = known.map_or(end, |known| known.opened);
                    let closed = known.and_then(|known| known.closed).or(Some(end));
                    Shard { opened, closed, trimmed: true }
                }
            };
            stream.shards.insert(report.group, shard);
        }
    }

    /// Streams go when they have ended longer ago than the retention and their last record is trimmed - until then
    /// somebody has to close their shards -, deleted tables with the last of theirs.
    fn reap(&mut self, now_ms: u64) {
        let mut gone = Vec::new();
        for table in self.tables.values_mut() {
            let (retention_ms, partitions) = (table.retention_ms, &table.partitions);
            let outlived = |ms: Option<u64>| ms.is_some_and(|ms| now_ms.saturating_sub(ms) > retention_ms);
            let trimmed = |stream: &Stream| {
                partitions.iter().all(|group| stream.shards.get(group).is_some_and(|shard| shard.trimmed))
            };
            table.streams.retain(|stream| !(outlived(stream.ended_ms) && trimmed(stream)));
            if table.deleted_ms.is_some() && table.streams.is_empty() {
                gone.push(table.id);
            }
        }
        for id in gone {
            self.forget_table(id);
        }
        self.reap_triggers();
    }

    fn replicate(&mut self) {
        let wanted = Replication::FACTOR.min(self.nodes.len());
        for partition in self.partitions.values_mut() {
            if partition.replicas.len() >= wanted || partition.leader.is_none() {
                continue;
            }
            let placed = place(&self.nodes, partition.group, self.nodes.len(), &BTreeMap::new());
            let fresh = placed.into_iter().find(|node| !partition.replicas.contains(node));
            partition.replicas.extend(fresh);
        }
    }
}

#[cfg(test)]
#[path = "state_test.rs"]
mod tests;
