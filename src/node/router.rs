//! The way of an operation to the replica that can do it: here, or on another node.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use super::{
    Error, Node,
    operation::{Done, Operation, Read, Vitals, decode, encode},
};
use crate::{
    catalog::{Catalog, Command, Outcome, Partition, Table},
    expression::ast::Projection,
    model::id::{GroupId, NodeId},
    partition::{self, Answer, Found, Page, Write},
    rpc::wire::peer::CallRequest,
};

/// How long an operation may take before it is given up.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);
/// How long an operation that did not happen is tried again: long enough for a partition to find a new leader.
const PATIENCE: Duration = Duration::from_millis(2500);
/// How long another node may take to say what it has counted.
const VITALS_PATIENCE: Duration = Duration::from_millis(500);
/// How long to wait before an operation that did not happen is tried again.
const RETRY: Duration = Duration::from_millis(25);

/// Which replica can do an operation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whom {
    Leader,
    Any,
}

impl Node {
    /// The partition a stored key belongs to.
    pub fn partition(catalog: &Catalog, table: &Table, stored_key: &[u8]) -> Result<GroupId, Error> {
        partition_of(catalog, table, stored_key).map(|partition| partition.group)
    }

    /// Writes one item: it goes to the leader of its key's partition.
    pub async fn write(&self, group: GroupId, write: Write) -> Result<Answer, Error> {
        let started = Instant::now();
        let result = self.write_to(group, write, started + DEADLINE).await;
        self.shared.metrics.write(started.elapsed(), &result);
        result
    }

    async fn write_to(&self, group: GroupId, write: Write, deadline: Instant) -> Result<Answer, Error> {
        let patience = Instant::now() + PATIENCE;
        loop {
            let attempt = match self.replica(group).filter(|replica| replica.serves()) {
                Some(replica) => match replica.write(write.clone()) {
                    // Queued: from here on its answer, or nothing, says whether it happened.
                    Ok(answer) => match timeout_at(deadline, answer).await {
                        Ok(Ok(result)) => result,
                        Ok(Err(_)) | Err(_) => Err(Error::Unknown),
                    },
                    Err(error) => Err(error),
                },
                None => match self
                    .forward(group, Whom::Leader, Operation::Write(vec![write.clone()]), deadline)
                    .await
                {
                    Ok(Done::Write(mut results)) => results.pop().unwrap_or(Err(Error::Unknown)),
                    Ok(_) => Err(Error::Unknown),
                    Err(error) => Err(error),
                },
            };
            match attempt {
                Err(Error::Unavailable(_)) if Instant::now() < patience => tokio::time::sleep(RETRY).await,
                answered => return answered,
            }
        }
    }

    /// Writes several items, each on its own; answers in their order. Those of one partition share an entry.
    pub async fn write_many(&self, writes: Vec<(GroupId, Write)>) -> Vec<Result<Answer, Error>> {
        let started = Instant::now();
        let deadline = started + DEADLINE;
        let results = futures::future::join_all(
            writes.into_iter().map(|(group, write)| self.write_to(group, write, deadline)),
        );
        let results = results.await;
        for result in &results {
            self.shared.metrics.write(started.elapsed(), result);
        }
        results
    }

    /// Items by stored key, of one partition, or parts of them, in the order of the keys.
    pub async fn get(
        &self,
        group: GroupId,
        keys: Vec<Bytes>,
        projection: Option<Projection>,
        consistent: bool,
    ) -> Result<Vec<Option<Found>>, Error> {
        let started = Instant::now();
        let whom = if consistent { Whom::Leader } else { Whom::Any };
        let done = self.operate(group, whom, Operation::Get { keys, projection, consistent }).await?;
        self.shared.metrics.read(started.elapsed());
        match done {
            Done::Get(items) => Ok(items),
            _ => Err(Error::Internal),
        }
    }

    /// A page of one partition's items.
    pub async fn read(&self, group: GroupId, read: Read) -> Result<Page, Error> {
        let started = Instant::now();
        let whom = if read.consistent { Whom::Leader } else { Whom::Any };
        let done = self.operate(group, whom, Operation::Read(read)).await?;
        self.shared.metrics.read(started.elapsed());
        match done {
            Done::Page(page) => Ok(page),
            _ => Err(Error::Internal),
        }
    }

    /// How many items a table has, and their bytes as DynamoDB counts them, lately.
    pub async fn count(&self, table: &Table) -> Result<(u64, u64), Error> {
        let counts = table.partitions.iter().map(|group| self.operate_on_any(*group, Operation::Count));
        let (mut items, mut bytes) = (0, 0);
        for count in futures::future::join_all(counts).await {
            match count? {
                Done::Count(more, larger) => (items, bytes) = (items + more, bytes + larger),
                _ => return Err(Error::Internal),
            }
        }
        Ok((items, bytes))
    }

    /// A command for the catalog.
    pub async fn command(&self, command: Command) -> Result<Outcome, Error> {
        // Commands say what they are made of, and those that change something twice are refused the second time.
        match self.on_catalog_leader(Operation::Command(command), Instant::now() + DEADLINE).await? {
            Done::Command(Outcome::Refused(refusal), _) => Err(refusal.into()),
            Done::Command(outcome, index) => {
                self.see(index).await; // if it takes longer, others see it before whoever asked
                Ok(outcome)
            }
            _ => Err(Error::Internal),
        }
    }

    /// Looks something up in the catalog. This node's copy may be behind, so what is missing is looked for again in a
    /// copy as new as the leader's: "not found" is true of the cluster, or it is not said.
    pub async fn look_up<T>(&self, find: impl Fn(&Arc<Catalog>) -> Result<T, Error>) -> Result<T, Error> {
        self.settled().await?;
        match find(&self.catalog()) {
            Err(Error::NotFound(_)) => {
                self.catch_up().await?;
                find(&self.catalog())
            }
            found => found,
        }
    }

    /// Returns once this node's copy of the catalog has been as new as the leader's since the node started; from then
    /// on it follows closely. What a node had when it stopped may be long past.
    pub async fn settled(&self) -> Result<(), Error> {
        if *self.shared.settled.borrow() {
            return Ok(());
        }
        self.catch_up().await?;
        self.shared.settled.send_replace(true);
        Ok(())
    }

    /// Returns once this node's copy of the catalog holds everything acknowledged before the call.
    pub(super) async fn catch_up(&self) -> Result<(), Error> {
        let behind = || Error::Unavailable("this node's copy of the catalog may be out of date".to_owned());
        match self.on_catalog_leader(Operation::CatalogIndex, Instant::now() + PATIENCE).await {
            Ok(Done::CatalogIndex(index)) if self.see(index).await => Ok(()),
            _ => Err(behind()),
        }
    }

    /// Has the catalog's leader do something, again while it is known that nothing was done.
    async fn on_catalog_leader(&self, operation: Operation, deadline: Instant) -> Result<Done, Error> {
        loop {
            let attempt = match self.catalog_leader() {
                Some(leader) if leader != self.id() => {
                    self.call(leader, GroupId::CATALOG, &operation, deadline).await
                }
                _ => self.perform_on_catalog(&operation).await,
            };
            match attempt {
                Err(Error::Unavailable(_)) if Instant::now() + RETRY < deadline => {
                    tokio::time::sleep(RETRY).await
                }
                answered => return answered,
            }
        }
    }

    /// Waits, not for long, until this node's copy of the catalog holds an entry, and says whether it does.
    async fn see(&self, index: u64) -> bool {
        let mut catalog = self.shared.catalog.clone();
        let deadline = Instant::now() + Duration::from_secs(1);
        loop {
            catalog.mark_unchanged();
            let applied = self.shared.catalog_group.status().applied;
            if applied.is_some_and(|applied| applied.index >= index) {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            if let Ok(Err(_)) = timeout_at(deadline.min(Instant::now() + RETRY), catalog.changed()).await {
                return false; // the catalog has failed here, and the node is about to stop
            }
        }
    }

    async fn perform_on_catalog(&self, operation: &Operation) -> Result<Done, Error> {
        if matches!(operation, Operation::Vitals) {
            return Ok(Done::Vitals(self.own_vitals()));
        }
        let group = &self.shared.catalog_group;
        if group.leadership().led_term().is_none() {
            return Err(Error::no_leader());
        }
        match operation {
            Operation::Command(command) => {
                match group.command(crate::raft::CatalogMachine::encode(command)).await {
                    Ok((at, crate::raft::Outcome::Catalog(outcome))) => Ok(Done::Command(outcome, at.index)),
                    Ok((_, crate::raft::Outcome::Applied)) => Err(Error::Internal),
                    Err(error) => Err(error.into()),
                }
            }
            Operation::CatalogIndex => {
                let certain = group.read_index().await;
                let applied = group.status().applied.filter(|_| certain);
                applied.map(|applied| Done::CatalogIndex(applied.index)).ok_or_else(Error::no_leader)
            }
            Operation::Write(_)
            | Operation::Get { .. }
            | Operation::Read(_)
            | Operation::Locate { .. }
            | Operation::Copy(_)
            | Operation::Count
            | Operation::Vitals
            | Operation::Records(_) => Err(Error::Internal),
        }
    }

    /// What every node that is alive has counted.
    pub async fn vitals(&self) -> BTreeMap<NodeId, Vitals> {
        let catalog = self.catalog();
        let alive = catalog.nodes.keys().copied().filter(|node| self.shared.peers.is_alive(*node));
        let others = alive.filter(|node| *node != self.id()).map(|node| async move {
            let deadline = Instant::now() + VITALS_PATIENCE;
            match self.call(node, GroupId::CATALOG, &Operation::Vitals, deadline).await {
                Ok(Done::Vitals(vitals)) => Some((node, vitals)),
                _ => None,
            }
        });
        let others = futures::future::join_all(others).await.into_iter().flatten();
        others.chain([(self.id(), self.own_vitals())]).collect()
    }

    /// Does a reading operation here or elsewhere, again while that may help.
    pub(super) async fn operate_on_any(&self, group: GroupId, operation: Operation) -> Result<Done, Error> {
        self.operate(group, Whom::Any, operation).await
    }

    /// As [`operate_on_any`](Self::operate_on_any), on the leader.
    pub(super) async fn operate_on_leader(
        &self,
        group: GroupId,
        operation: Operation,
    ) -> Result<Done, Error> {
        self.operate(group, Whom::Leader, operation).await
    }

    async fn operate(&self, group: GroupId, whom: Whom, operation: Operation) -> Result<Done, Error> {
        let deadline = Instant::now() + DEADLINE;
        let patience = Instant::now() + PATIENCE;
        loop {
            let here = self
                .replica(group)
                .filter(|replica| replica.serves() || (whom == Whom::Any && replica.is_level()));
            let attempt = match here {
                Some(_) => match timeout_at(deadline, self.perform(group, operation.clone())).await {
                    Ok(done) => done,
                    Err(_) => Err(Error::no_leader()),
                },
                None => self.forward(group, whom, operation.clone(), deadline).await,
            };
            match attempt {
                // A reading operation that is unknown has not changed anything either.
                Err(Error::Unavailable(_) | Error::Unknown) if Instant::now() < patience => {
                    tokio::time::sleep(RETRY).await;
                }
                Err(Error::Unknown) => return Err(Error::no_leader()),
                answered => return answered,
            }
        }
    }

    async fn forward(
        &self,
        group: GroupId,
        whom: Whom,
        operation: Operation,
        deadline: Instant,
    ) -> Result<Done, Error> {
        let catalog = self.catalog();
        let leader = self.leader_of(&catalog, group).filter(|leader| *leader != self.id());
        let replicas = catalog.partitions.get(&group).map(|partition| partition.replicas.clone());
        let any = || {
            let mut others = replicas.iter().flatten().copied();
            others.find(|node| *node != self.id() && self.shared.peers.is_alive(*node))
        };
        let target = match whom {
            Whom::Leader => leader,
            Whom::Any => leader.filter(|leader| self.shared.peers.is_alive(*leader)).or_else(any),
        };
        let Some(target) = target else { return Err(Error::no_leader()) };
        self.call(target, group, &operation, deadline).await
    }

    /// Whether enough of a partition's replicas are alive for one of them to lead.
    pub(super) fn may_be_led(&self, group: GroupId) -> bool {
        let catalog = self.catalog();
        let Some(partition) = catalog.partitions.get(&group) else { return false };
        let alive = |node: &&NodeId| **node == self.id() || self.shared.peers.is_alive(**node);
        2 * partition.replicas.iter().filter(alive).count() > partition.replicas.len()
    }

    /// Asks another node to do an operation. A write whose connection broke is unknown; it is unavailable only if
    /// the connection could not be made.
    async fn call(
        &self,
        node: NodeId,
        group: GroupId,
        operation: &Operation,
        deadline: Instant,
    ) -> Result<Done, Error> {
        if !self.shared.peers.is_alive(node) {
            return Err(Error::no_leader());
        }
        let mut client = self.shared.peers.client(node).map_err(|_| Error::no_leader())?;
        let left = deadline.saturating_duration_since(Instant::now());
        let deadline_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        let request = CallRequest { group: group.0, operation: encode(operation), deadline_ms };
        match timeout_at(deadline, client.call(request)).await {
            Ok(Ok(response)) => {
                let result: Option<Result<Done, Error>> = decode(&response.get_ref().result);
                result.unwrap_or(Err(Error::Internal))
            }
            Ok(Err(status)) if never_connected(&status) => Err(Error::no_leader()),
            Ok(Err(status)) if was_not_sent(&status) => Err(Error::no_leader()),
            Ok(Err(_)) | Err(_) => Err(Error::Unknown),
        }
    }

    /// Does an operation on this node's replica, once.
    pub(super) async fn perform(&self, group: GroupId, operation: Operation) -> Result<Done, Error> {
        if group == GroupId::CATALOG {
            return self.perform_on_catalog(&operation).await;
        }
        let replica = self.replica(group).ok_or_else(Error::no_leader)?;
        match operation {
            Operation::Write(writes) => {
                if !replica.serves() {
                    return Err(Error::no_leader());
                }
                let queued: Vec<_> = writes.into_iter().map(|write| replica.write(write)).collect();
                let mut results = Vec::with_capacity(queued.len());
                for answer in queued {
                    results.push(match answer {
                        Ok(answer) => answer.await.unwrap_or(Err(Error::Unknown)),
                        Err(error) => Err(error),
                    });
                }
                Ok(Done::Write(results))
            }
            Operation::Get { keys, projection, consistent } => {
                self.confirm(&replica, consistent).await?;
                let (items, projection) = (&*self.shared.items, projection.as_ref());
                let found = keys.iter().map(|key| partition::find(items, key, projection));
                let found = found.collect::<Result<_, _>>();
                found.map(Done::Get).map_err(|error| Error::internal("an item could not be read", &error))
            }
            Operation::Read(Read { range: (from, to), reverse, limits, select, consistent }) => {
                self.confirm(&replica, consistent).await?;
                let (from, to) = (from.as_ref().map(Bytes::as_ref), to.as_ref().map(Bytes::as_ref));
                let page = partition::page(&*self.shared.items, from, to, reverse, limits, &select);
                page.map(Done::Page).map_err(|error| Error::internal("items could not be read", &error))
            }
            Operation::Locate { stream_ms, start } => {
                self.locate_here(&replica, stream_ms, start).await.map(Done::Locate)
            }
            Operation::Records(request) => {
                self.confirm(&replica, request.consistent).await?;
                self.records_here(&replica, request).await.map(Done::Records)
            }
            Operation::Copy(request) => {
                self.confirm(&replica, false).await?;
                self.copy_here(&replica, request).await.map(Done::Copied)
            }
            Operation::Count => {
                self.confirm(&replica, false).await?;
                let published = replica.published.borrow();
                Ok(Done::Count(published.items, published.bytes))
            }
            Operation::Command(_) | Operation::CatalogIndex | Operation::Vitals => Err(Error::Internal),
        }
    }

    /// For a consistent operation: certainty that this replica leads and has applied everything that was acknowledged, or
    /// shown by any replica. For another: that it is not behind what it has shown before it was started again.
    pub(super) async fn confirm(
        &self,
        replica: &super::replica::Replica,
        consistent: bool,
    ) -> Result<(), Error> {
        if !consistent {
            let may = replica.serves() || replica.is_level();
            return may.then_some(()).ok_or_else(Error::no_leader);
        }
        let leads = replica.serves() && replica.group.read_barrier().await;
        if leads && replica.applies_committed().await && replica.serves() {
            return Ok(());
        }
        Err(Error::no_leader())
    }
}

/// Whether a call failed because no connection could be made: then nothing has happened.
fn was_not_sent(status: &tonic::Status) -> bool {
    let mut source = std::error::Error::source(status);
    while let Some(cause) = source {
        if cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
        {
            return true;
        }
        source = cause.source();
    }
    false
}

/// The partition of a stored key.
pub(super) fn partition_of<'a>(
    catalog: &'a Catalog,
    table: &Table,
    stored_key: &[u8],
) -> Result<&'a Partition, Error> {
    let hash =
        stored_key.get(8..16).and_then(|hash| hash.first_chunk()).map(|hash| u64::from_be_bytes(*hash));
    hash.and_then(|hash| catalog.partition_of(table, hash)).ok_or(Error::Internal)
}

/// Whether a call was not sent, because there was no connection to send it on.
fn never_connected(status: &tonic::Status) -> bool {
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        if error.is::<tonic::ConnectError>() {
            return true;
        }
        source = error.source();
    }
    false
}
