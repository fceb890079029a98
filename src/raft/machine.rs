//! openraft's state machine: entries become batches of the item store, or changes of the catalog.

use std::{io, sync::Arc};

use bytes::Bytes;
use futures::{Stream, TryStreamExt};
use openraft::{
    EntryPayload, OptionalSend, RaftSnapshotBuilder,
    storage::{EntryResponder, RaftStateMachine},
    type_config::alias::SnapshotOf,
};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::{
    snapshot::{Header, Received, Sending, Spool},
    type_config::{
        Entry, LogId, Members, Outcome, Proposal, SnapshotMeta, StoredMembership, TypeConfig, decode_entry,
        log_id, position,
    },
};
use crate::{
    catalog::{self, Catalog},
    log::{Lane, Log},
    model::{
        HashRange,
        id::{GroupId, Position, TableId},
    },
    partition::{self, Batch, entry},
    storage::{CatalogStore, Items, ItemsView},
};

/// Bytes of changes applied in one batch at most (an entry may exceed it alone).
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// The state of a partition in a view of the items.
pub fn state_in(view: &dyn ItemsView, group: GroupId) -> io::Result<Published> {
    let Some(stored) = view.state(group).map_err(io::Error::other)? else { return Ok(Published::default()) };
    let persisted: Persisted =
        postcard::from_bytes(&stored).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok(persisted.state)
}

/// One group's machine.
pub enum Machine {
    /// Group 0.
    Catalog(CatalogMachine),
    /// Every other group.
    Partition(PartitionMachine),
}

/// What readers see of a partition: its state as of the last batch applied.
pub type Published = partition::State;

/// What is stored with a partition's items.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Persisted {
    state: partition::State,
    /// Memberships by position, oldest first: the newest at or below the floor, and all behind it. A snapshot at
    /// the floor carries the one of the floor.
    memberships: Vec<(Option<Position>, Members)>,
}

/// The machine of a partition.
pub struct PartitionMachine {
    group: GroupId,
    range: (Bytes, Option<Bytes>),
    items: Arc<dyn Items>,
    log: Log,
    persisted: Persisted,
    published: watch::Sender<Published>,
    /// Index of the last entry durable on this node.
    durable: watch::Receiver<Option<u64>>,
    /// Where the next snapshot is to be presented, and the log cut: set by the trimmer.
    floor: Option<Position>,
}

impl PartitionMachine {
    /// The machine over what the item store holds of the group.
    pub fn open(
        group: GroupId,
        (table, range): (TableId, HashRange),
        items: Arc<dyn Items>,
        log: Log,
        durable: watch::Receiver<Option<u64>>,
    ) -> io::Result<(Self, watch::Receiver<Published>)> {
        let stored = items.state(group).map_err(io::Error::other)?;
        let persisted = match stored {
            Some(bytes) => postcard::from_bytes(&bytes)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?,
            None => Persisted::default(),
        };
        refuse_short_log(group, &persisted.state, &log)?;
        let (published, watching) = watch::channel(persisted.state.clone());
        let range = partition::table_range(table, range);
        let machine = Self { group, range, items, log, persisted, published, durable, floor: None };
        machine.set_lane();
        Ok((machine, watching))
    }

    /// A partition with a stream, or with one that is still readable, keeps its log long: in a lane of its own.
    fn set_lane(&self) {
        let lane = if self.persisted.state.shards.is_empty() { Lane::Plain } else { Lane::Stream };
        if self.log.state(self.group).is_none_or(|state| state.lane != lane) {
            let group = self.group;
            let told = move |result: Result<(), crate::log::Error>| {
                if let Err(error) = result {
                    tracing::warn!(group = group.0, %error, "the lane was not changed");
                }
            };
            self.log.set_lane(self.group, lane, Box::new(told));
        }
    }

    /// Whether the items this replica should have are gone: the log begins above nothing.
    pub fn is_lost(&self) -> bool {
        let floor = self.log.state(self.group).and_then(|state| state.floor);
        self.persisted.state.applied.map(|at| at.index) < floor.map(|floor| floor.index)
    }

    /// Takes the items of another replica for its own lost ones; the log stays, and goes on from its floor.
    pub fn rebuild(&mut self, spool: &Spool) -> io::Result<()> {
        let floor = self.log.state(self.group).and_then(|state| state.floor);
        let mut imported: Persisted = postcard::from_bytes(&spool.header.state)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        if imported.state.applied.map(|at| at.index) < floor.map(|floor| floor.index) {
            return Err(io::Error::other("the other replica is behind this one's log"));
        }
        let at = spool.header.at.max(floor);
        imported.state.items_at = imported.state.items_at.max(imported.state.applied);
        imported.state.applied = at;
        imported.memberships = vec![spool.header.membership.clone()];
        self.replace(spool, imported)
    }

    fn floor(&self) -> Option<Position> {
        self.floor.max(self.log.state(self.group).and_then(|state| state.floor))
    }

    /// The membership at a position.
    fn membership_at(&self, at: Option<Position>) -> (Option<Position>, Members) {
        let known = self.persisted.memberships.iter().rev();
        known.into_iter().find(|(since, _)| *since <= at).cloned().unwrap_or_default()
    }

    /// Applies an entry to the state, collecting what it writes.
    fn apply_one(&mut self, entry: Entry, writes: &mut Vec<(Bytes, Option<Bytes>)>) -> io::Result<()> {
        let at = position(&entry.log_id);
        let decoded = match entry.payload {
            EntryPayload::Blank => None,
            EntryPayload::Membership(membership) => {
                self.persisted.memberships.push((Some(at), Members::of(&membership)));
                None
            }
            EntryPayload::Normal(Proposal(bytes)) => Some(
                entry::Entry::decode(bytes)
                    .map_err(|error| io::Error::other(format!("entry {at}: {error}")))?,
            ),
        };
        let applied = self.persisted.state.apply(at, decoded, writes);
        match applied.map_err(|error| io::Error::other(format!("entry {at}: {error}")))? {
            partition::Applied::Items => {}
            partition::Applied::Shards | partition::Applied::Trimmed => self.set_lane(),
        }
        Ok(())
    }

    fn commit(&mut self, writes: Vec<(Bytes, Option<Bytes>)>) -> io::Result<()> {
        let state = postcard::to_allocvec(&self.persisted).expect("a state serializes").into();
        self.items.commit(Batch { group: self.group, state, writes }).map_err(io::Error::other)?;
        self.published.send_modify(|published| published.clone_from(&self.persisted.state));
        Ok(())
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin,
    {
        let (mut writes, mut responders, mut bytes) = (Vec::new(), Vec::new(), 0);
        loop {
            let next = entries.try_next().await?;
            if next.is_none() || bytes > BATCH_BYTES {
                self.commit(std::mem::take(&mut writes))?;
                bytes = 0;
                for responder in responders.drain(..) {
                    openraft::storage::ApplyResponder::send(responder, Outcome::Applied);
                }
            }
            let Some((entry, responder)) = next else { return Ok(()) };
            let index = entry.log_id.index;
            if *self.durable.borrow() < Some(index) {
                let durable = self.durable.wait_for(|durable| *durable >= Some(index)).await;
                durable.map_err(|_| io::Error::other("the log was closed"))?;
            }
            if let EntryPayload::Normal(Proposal(payload)) = &entry.payload {
                bytes += payload.len();
            }
            self.apply_one(entry, &mut writes)?;
            responders.extend(responder);
        }
    }

    /// Says where the next snapshot is presented; the log is cut there after it was taken.
    pub fn set_floor(&mut self, floor: Position) {
        self.floor = self.floor.max(Some(floor));
        let base = self.persisted.memberships.iter().rposition(|(since, _)| *since <= self.floor);
        self.persisted.memberships.drain(..base.unwrap_or(0));
    }

    /// A consistent view of this replica, to be sent to another.
    pub fn sending(&self) -> io::Result<Sending> {
        let view = self.items.view().map_err(io::Error::other)?;
        let state = view.state(self.group).map_err(io::Error::other)?;
        let state = state.ok_or_else(|| io::Error::other("this replica has no items yet"))?;
        let at = self.floor();
        let header = Header { group: self.group, at, membership: self.membership_at(at), state };
        Ok(Sending::new(header, Some(view), self.range.clone()))
    }

    /// Replaces items and state by a snapshot's, presented at its floor.
    fn import(&mut self, spool: &Spool) -> io::Result<()> {
        let mut imported: Persisted = postcard::from_bytes(&spool.header.state)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        imported.state.items_at = imported.state.items_at.max(imported.state.applied);
        imported.state.applied = spool.header.at;
        imported.memberships = vec![spool.header.membership.clone()];
        self.floor = spool.header.at;
        self.replace(spool, imported)
    }

    fn replace(&mut self, spool: &Spool, persisted: Persisted) -> io::Result<()> {
        let bytes = postcard::to_allocvec(&persisted).expect("a state serializes").into();
        let (from, to) = &self.range;
        self.items.import_begin(self.group, from, to.as_deref()).map_err(io::Error::other)?;
        spool.chunks(|items| self.items.import_chunk(self.group, &items))?;
        self.items.import_finish(self.group, bytes).map_err(io::Error::other)?;
        self.persisted = persisted;
        self.set_lane();
        self.published.send_modify(|published| published.clone_from(&self.persisted.state));
        Ok(())
    }
}

/// Entries are applied only once they are durable here, so a log that ends before what was applied has lost what it
/// had promised to keep. (After the import of a snapshot it may end there for a moment: it is cut next.)
fn refuse_short_log(group: GroupId, state: &partition::State, log: &Log) -> io::Result<()> {
    let last = log.state(group).and_then(|state| state.last);
    let imported = state.items_at >= state.applied;
    if imported || state.applied.map(|at| at.index) <= last.map(|at| at.index) {
        return Ok(());
    }
    let show = |at: Option<Position>| at.map_or("nowhere".to_owned(), |at| at.to_string());
    Err(io::Error::new(
        io::ErrorKind::InvalidData,
        format!(
            "the log of group {group} ends at {}, but its items show entries up to {}: the end of the log is lost. Do \
             not start this node on it: put the log back, or remove the data directory and let the node join anew",
            show(last),
            show(state.applied)
        ),
    ))
}

/// What is stored of the catalog.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct PersistedCatalog {
    applied: Option<Position>,
    membership: (Option<Position>, Members),
    catalog: Catalog,
}

/// The machine of the catalog. It is small, so it is stored whole with every change, and lives in memory.
pub struct CatalogMachine {
    store: CatalogStore,
    persisted: PersistedCatalog,
    published: watch::Sender<Arc<Catalog>>,
}

const CATALOG_KEY: &[u8] = b"catalog";
const KIND_COMMAND: u8 = 3;

impl CatalogMachine {
    /// The machine over what is stored.
    pub fn open(store: CatalogStore) -> io::Result<(Self, watch::Receiver<Arc<Catalog>>)> {
        let persisted: PersistedCatalog = match store.get(CATALOG_KEY).map_err(io::Error::other)? {
            Some(bytes) => postcard::from_bytes(&bytes)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?,
            None => PersistedCatalog::default(),
        };
        let (published, watching) = watch::channel(Arc::new(persisted.catalog.clone()));
        Ok((Self { store, persisted, published }, watching))
    }

    /// A command as it is proposed.
    pub fn encode(command: &catalog::Command) -> Proposal {
        let mut bytes = vec![KIND_COMMAND];
        bytes.extend(postcard::to_allocvec(command).expect("a command serializes"));
        Proposal(bytes.into())
    }

    /// The catalog as it will be if everything in this node's log commits. What it says is a hint, no more: but the
    /// nodes that could commit it must find each other before they do.
    pub fn expected(&self, log: &Log) -> io::Result<Catalog> {
        let mut catalog = self.persisted.catalog.clone();
        let floor = log.state(GroupId::CATALOG).and_then(|state| state.floor);
        let next = self.persisted.applied.max(floor).map_or(0, |at| at.index + 1);
        for (at, bytes) in log.read(GroupId::CATALOG, next, u64::MAX, usize::MAX).map_err(io::Error::other)? {
            if let EntryPayload::Normal(proposal) = decode_entry(at, bytes)?.payload {
                catalog.apply(command(at, &proposal)?);
            }
        }
        Ok(catalog)
    }

    fn apply_one(&mut self, entry: Entry) -> io::Result<Outcome> {
        let at = position(&entry.log_id);
        self.persisted.applied = Some(at);
        match entry.payload {
            EntryPayload::Blank => Ok(Outcome::Applied),
            EntryPayload::Membership(membership) => {
                self.persisted.membership = (Some(at), Members::of(&membership));
                Ok(Outcome::Applied)
            }
            EntryPayload::Normal(proposal) => {
                Ok(Outcome::Catalog(self.persisted.catalog.apply(command(at, &proposal)?)))
            }
        }
    }

    fn store(&self, flush: bool) -> io::Result<()> {
        let bytes = postcard::to_allocvec(&self.persisted).expect("a catalog serializes");
        self.store.put(CATALOG_KEY, &bytes).map_err(io::Error::other)?;
        if flush {
            self.store.flush().map_err(io::Error::other)?;
        }
        self.published.send_replace(Arc::new(self.persisted.catalog.clone()));
        Ok(())
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin,
    {
        let mut answers = Vec::new();
        while let Some((entry, responder)) = entries.try_next().await? {
            let outcome = self.apply_one(entry)?;
            answers.extend(responder.map(|responder| (responder, outcome)));
        }
        self.store(false)?;
        for (responder, outcome) in answers {
            responder.send(outcome);
        }
        Ok(())
    }

    fn header(&self) -> Header {
        Header {
            group: GroupId::CATALOG,
            at: self.persisted.applied,
            membership: self.persisted.membership.clone(),
            state: postcard::to_allocvec(&self.persisted).expect("a catalog serializes").into(),
        }
    }
}

impl Machine {
    fn header_position(&self) -> (Option<Position>, (Option<Position>, Members)) {
        match self {
            Self::Catalog(machine) => (machine.persisted.applied, machine.persisted.membership.clone()),
            Self::Partition(machine) => {
                let at = machine.floor();
                (at, machine.membership_at(at))
            }
        }
    }

    fn snapshot(&self) -> Option<SnapshotOf<TypeConfig, Received>> {
        let (at, membership) = self.header_position();
        let at = at?;
        let meta = SnapshotMeta { last_log_id: Some(log_id(at)), last_membership: stored(&membership) };
        Some(SnapshotOf::<TypeConfig, Received> { meta, snapshot: Received::Description })
    }

    /// A consistent view of this replica, to be sent to another.
    pub fn sending(&self) -> io::Result<Sending> {
        match self {
            Self::Catalog(machine) => Ok(Sending::new(machine.header(), None, Default::default())),
            Self::Partition(machine) => machine.sending(),
        }
    }

    /// Replaces everything by a snapshot.
    pub(super) fn import(&mut self, spool: &Spool) -> io::Result<()> {
        match self {
            Self::Catalog(machine) => {
                machine.persisted = postcard::from_bytes(&spool.header.state)
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
                machine.store(true)
            }
            Self::Partition(machine) => machine.import(spool),
        }
    }
}

/// The command proposed so.
fn command(at: Position, Proposal(bytes): &Proposal) -> io::Result<catalog::Command> {
    let command = match bytes.split_first() {
        Some((&KIND_COMMAND, command)) => postcard::from_bytes(command).ok(),
        _ => None,
    };
    command.ok_or_else(|| io::Error::other(format!("entry {at} does not decode")))
}

pub(super) fn stored((since, members): &(Option<Position>, Members)) -> StoredMembership {
    if members.configs.is_empty() {
        return StoredMembership::default();
    }
    StoredMembership::new(since.map(log_id), members.membership())
}

/// Makes the description of a snapshot.
pub struct Builder {
    snapshot: Option<SnapshotOf<TypeConfig, Received>>,
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    type SnapshotData = Received;

    async fn build_snapshot(&mut self) -> Result<SnapshotOf<TypeConfig, Received>, io::Error> {
        self.snapshot.take().ok_or_else(|| io::Error::other("there is no floor to take a snapshot at"))
    }
}

impl RaftStateMachine<TypeConfig> for Machine {
    type SnapshotData = Received;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        Ok(match self {
            Self::Catalog(machine) => {
                (machine.persisted.applied.map(log_id), stored(&machine.persisted.membership))
            }
            Self::Partition(machine) => {
                let applied = machine.persisted.state.applied;
                let newest = machine.persisted.memberships.last();
                (applied.map(log_id), newest.map(stored).unwrap_or_default())
            }
        })
    }

    async fn apply<S>(&mut self, entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + OptionalSend,
    {
        match self {
            Self::Catalog(machine) => machine.apply(entries).await,
            Self::Partition(machine) => machine.apply(entries).await,
        }
    }

    async fn get_snapshot_builder(&mut self) -> Self::SnapshotBuilder {
        if let Self::Catalog(machine) = self
            && let Err(error) = machine.store(true)
        {
            tracing::warn!(%error, "the catalog was not flushed; its log is kept");
            return Builder { snapshot: None };
        }
        Builder { snapshot: self.snapshot() }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: Received) -> Result<(), io::Error> {
        let Received::Spool(spool) = snapshot else {
            return Err(io::Error::other(
                "the items of this replica are lost: they must come from another one",
            ));
        };
        assert!(
            spool.header.at.map(log_id) == meta.last_log_id,
            "a snapshot at {:?} is installed as one at {:?}",
            spool.header.at,
            meta.last_log_id
        );
        self.import(&spool)
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<SnapshotOf<TypeConfig, Received>>, io::Error> {
        Ok(self.snapshot())
    }
}

#[cfg(test)]
#[path = "machine_test.rs"]
mod tests;
