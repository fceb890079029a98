//! The node as the rooms above hold it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use tokio::sync::watch;

use super::{
    Error, Metrics, consumers::Behind, environment::Environment, identity::Identity,
    progress::ProgressKeeper, replica::Replica, reporter::Reporter, tasks::Tasks,
};
use crate::{
    catalog::{Catalog, ConsumerKey},
    expression,
    log::Log,
    model::{
        TableName,
        id::{GroupId, NodeId},
    },
    raft::{Group, Role},
    rpc::{HttpClient, Peers},
    storage::Items,
};

/// A running node. Cheap to clone.
#[derive(Clone)]
pub struct Node {
    pub(super) shared: Arc<Shared>,
}

/// What the parts of a node share.
pub(super) struct Shared {
    pub identity: Identity,
    pub address: String,
    pub data: PathBuf,
    pub environment: Environment,
    pub tasks: Tasks,
    pub metrics: Arc<Metrics>,
    pub log: Log,
    pub items: Arc<dyn Items>,
    pub peers: Peers,
    pub catalog: watch::Receiver<Arc<Catalog>>,
    pub catalog_group: Group,
    /// Whether the catalog here has been up to date since the start.
    pub settled: watch::Sender<bool>,
    pub replicas: RwLock<BTreeMap<GroupId, Arc<Replica>>>,
    pub reporter: Reporter,
    pub partitions_default: u32,
    pub function_endpoint: Option<String>,
    pub expressions: expression::Cache,
    /// Calls functions.
    pub http: HttpClient,
    /// Keeps how far triggers and consumers have come.
    pub progress: ProgressKeeper,
    /// The members of consumers that are served here.
    pub members: Mutex<BTreeSet<u64>>,
    /// How far consumers are behind in shards led here.
    pub behind: Mutex<BTreeMap<ConsumerKey, Behind>>,
}

/// A replica on this node, as the status shows it.
#[derive(Clone, Debug)]
pub struct ReplicaView {
    /// Its group.
    pub group: GroupId,
    /// Its table; absent for the catalog.
    pub table: Option<TableName>,
    /// Its role.
    pub role: Role,
    /// Its term.
    pub term: u64,
    /// Last index in its log.
    pub last_index: u64,
    /// Last index applied.
    pub applied_index: u64,
    /// Last index cut from its log.
    pub floor_index: u64,
    /// The trim horizon all replicas agree on.
    pub trim_index: u64,
    /// The leader it knows.
    pub leader: Option<NodeId>,
}

/// A node, as the status shows it.
#[derive(Clone, Debug)]
pub struct NodeView {
    /// Its id.
    pub node: NodeId,
    /// Where it is reached.
    pub address: String,
    /// Its zone.
    pub zone: String,
    /// Whether it was heard of lately.
    pub alive: bool,
    /// Partitions it leads, as reported.
    pub leads: usize,
    /// Replicas it holds.
    pub replicas: usize,
    /// Its clock minus this node's, milliseconds.
    pub clock_offset_ms: i64,
}

impl Node {
    /// Its id.
    pub fn id(&self) -> NodeId {
        self.shared.identity.node
    }

    /// Where it is reached, "host:port".
    pub fn address(&self) -> &str {
        &self.shared.address
    }

    /// The cluster's state as this node knows it.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.shared.catalog.borrow().clone()
    }

    /// Now, ms since 1970.
    pub fn now_ms(&self) -> u64 {
        self.shared.environment.now_ms()
    }

    /// A random number.
    pub fn random(&self) -> u64 {
        (self.shared.environment.random)()
    }

    /// How many partitions a table gets when its creator does not say.
    pub fn partitions_default(&self) -> u32 {
        self.shared.partitions_default
    }

    /// Where functions are called that have no address of their own.
    pub fn function_endpoint(&self) -> Option<&str> {
        self.shared.function_endpoint.as_deref()
    }

    /// The expressions its clients have used lately.
    pub fn expressions(&self) -> &expression::Cache {
        &self.shared.expressions
    }

    /// Its counters.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.shared.metrics
    }

    /// Waits until the node cannot go on, and says why.
    pub async fn failed(&self) -> String {
        self.shared.tasks.failed().await
    }

    /// A table that is not deleted, as item operations look it up.
    pub async fn table(&self, name: &TableName) -> Result<(Arc<Catalog>, crate::model::id::TableId), Error> {
        self.look_up(|catalog| {
            let id = catalog.table(name).ok_or_else(Error::no_table)?.id;
            Ok((catalog.clone(), id))
        })
        .await
    }

    /// Runs a task until it ends or the node stops.
    pub fn spawn(&self, name: &'static str, future: impl Future<Output = ()> + Send + 'static) {
        self.shared.tasks.spawn(name, future);
    }

    pub(super) fn replica(&self, group: GroupId) -> Option<Arc<Replica>> {
        self.shared.replicas.read().unwrap_or_else(PoisonError::into_inner).get(&group).cloned()
    }

    pub(super) fn replicas(&self) -> Vec<Arc<Replica>> {
        self.shared.replicas.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub(super) fn catalog_leader(&self) -> Option<NodeId> {
        self.shared.catalog_group.leadership().leader()
    }

    /// Partitions of a table whose leader is known.
    pub(super) fn leader_of(&self, catalog: &Catalog, group: GroupId) -> Option<NodeId> {
        let known = self.replica(group).and_then(|replica| replica.leader());
        known.or_else(|| {
            catalog.partitions.get(&group).and_then(|partition| partition.leader).map(|(node, _)| node)
        })
    }

    /// Where a node is reached.
    pub fn address_of(&self, node: NodeId) -> Option<String> {
        self.shared.catalog.borrow().nodes.get(&node).map(|node| node.address.clone())
    }

    /// The node that leads a partition, as far as this one knows.
    pub fn leader(&self, group: GroupId) -> Option<NodeId> {
        let catalog = self.catalog();
        self.leader_of(&catalog, group)
    }
}
