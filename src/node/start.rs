//! Starting a node, and stopping it, in order.

use std::{
    io,
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::{StreamExt, stream::BoxStream};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::{mpsc, watch},
};
use tonic::service::Routes;

use super::{
    Metrics, Node, consumers, controller, disk,
    environment::Environment,
    handle::Shared,
    identity::Identity,
    progress, reconcile,
    reporter::{self, Reporter},
    service,
    tasks::Tasks,
    triggers, trimmer,
};
use crate::{
    catalog::{Catalog, Command, Report},
    expression,
    log::{self, Log},
    model::id::{GroupId, NodeId},
    raft::{self, CatalogMachine, Group, LogStore, Machine},
    rpc::{
        HttpClient, Io, Peers, Self_, channel,
        wire::peer::{JoinRequest, peer_client::PeerClient},
    },
    storage,
};

/// How a node is to run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen, "host:port"; port 0: any.
    pub listen: String,
    /// Where other nodes and clients reach it; absent: where it listens.
    pub advertise: Option<String>,
    /// Its data directory.
    pub data: PathBuf,
    /// Nodes of the cluster to join; empty: found a cluster of one's own.
    pub join: Vec<String>,
    /// Its zone; empty: none.
    pub zone: String,
    /// Partitions of a table whose creator does not say.
    pub partitions: u32,
    /// Where functions are called that have no address of their own.
    pub function_endpoint: Option<String>,
    /// Bytes of recent log entries kept in memory.
    pub tail_bytes: usize,
    /// Bytes of a segment of the log; absent: the log's own default.
    pub segment_bytes: Option<u64>,
    /// Raft's timing, which pings between nodes follow.
    pub timing: raft::Options,
}

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The log does not open.
    #[error(transparent)]
    Log(#[from] log::Error),
    /// The stores do not open.
    #[error(transparent)]
    Storage(#[from] storage::Error),
    /// The data directory belongs to something else.
    #[error("{0}")]
    Foreign(String),
    /// The cluster cannot be joined.
    #[error("cannot join: {0}")]
    Join(String),
    /// The disk or the network.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// What came of it.
        source: io::Error,
    },
}

fn failed(what: impl Into<String>) -> impl FnOnce(io::Error) -> StartError {
    let what = what.into();
    move |source| StartError::Io { what, source }
}

/// A node that has started; it answers once [`serve`](Self::serve) is called.
pub struct Starting {
    /// The node.
    pub node: Node,
    connections: BoxStream<'static, io::Result<Io>>,
}

/// How long the nodes of a cluster are asked to take this one in.
const JOIN_PATIENCE: Duration = Duration::from_secs(60);
/// Parsed expressions kept, by number and bytes.
const EXPRESSIONS_MAX: usize = 4096;
const EXPRESSIONS_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long a node that stops waits for those who still use it.
const RELEASE_PATIENCE: Duration = Duration::from_secs(5);
/// What the cluster did not take is told again after so long: a group that has failed says no at once, each time.
const AGAIN: Duration = Duration::from_millis(100);
const STREAM_WINDOW_BYTES: u32 = 8 * 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 32 * 1024 * 1024;
const STREAMS_MAX: u32 = 65_536;

/// Starts a node: opens what it has, joins or founds its cluster, and runs its replicas.
pub async fn start(settings: Settings, environment: Environment) -> Result<Starting, StartError> {
    let data = settings.data.clone();
    let at = data.display().to_string();
    environment.files.create_dir(&data).map_err(failed(format!("the data directory {at} cannot be made")))?;
    let metrics = Arc::<Metrics>::default();
    let log = open_log(&settings, &environment, &metrics)?;
    let listening = (environment.listen)(settings.listen.clone()).await;
    let listening = listening.map_err(failed(format!("cannot listen at {}", settings.listen)))?;
    let address = settings.advertise.clone().unwrap_or_else(|| listening.address.clone());
    let identity = identify(&settings, &environment, &address).await?;
    let stores = (environment.stores)(&data)?;
    if let Some(aside) = &stores.quarantined {
        tracing::warn!(path = %aside.display(), "the item store was damaged: it is rebuilt from other replicas");
    }
    let me = Self_ { cluster_id: identity.cluster_id.clone(), node: identity.node, address: address.clone() };
    let (connector, clock) = (environment.connector.clone(), environment.clock.clone());
    let http = HttpClient::new(connector.clone());
    let peers = Peers::new(me, connector, clock, settings.timing.heartbeat * 2);
    let io = |what: &str| failed(what.to_owned());
    let (machine, catalog) = CatalogMachine::open(stores.catalog).map_err(io("the catalog does not open"))?;
    refuse_foreign(&identity, &catalog.borrow())?;
    refuse_without_log(&log, &*stores.items, &catalog.borrow())?;
    let expected = machine.expected(&log).map_err(io("the catalog's log cannot be read"))?;
    let (log_store, _) = LogStore::new(log.clone(), GroupId::CATALOG);
    let is_founder = identity.node == NodeId(1) && catalog.borrow().cluster_id.is_empty();
    if is_founder && log_store.is_empty() {
        log_store.found(&[identity.node]).await.map_err(io("the cluster cannot be founded"))?;
    }
    let catalog_group = Group::start(raft::Start {
        group: GroupId::CATALOG,
        peers: peers.clone(),
        log_store,
        machine: Machine::Catalog(machine),
        options: settings.timing,
        patience: Duration::ZERO,
    });
    let catalog_group = catalog_group.await.map_err(io("the catalog does not start"))?;
    let tasks = Tasks::default();
    tasks.spawn("admit", catalog_group.clone().admit());
    let (reporter, reports) = Reporter::new(tasks.clone());
    let shared = Shared {
        identity,
        address,
        data,
        environment,
        tasks,
        metrics,
        log,
        items: stores.items,
        peers,
        catalog,
        catalog_group,
        settled: watch::Sender::new(false),
        replicas: Default::default(),
        reporter,
        partitions_default: settings.partitions,
        function_endpoint: settings.function_endpoint.clone(),
        expressions: expression::Cache::new(EXPRESSIONS_MAX, EXPRESSIONS_BYTES_MAX),
        http,
        progress: Default::default(),
        members: Default::default(),
        behind: Default::default(),
    };
    let node = Node { shared: Arc::new(shared) };
    reconcile::connect(&node, &expected);
    begin(&node, &settings, reports).await;
    Ok(Starting { node, connections: listening.connections })
}

fn open_log(
    settings: &Settings,
    environment: &Environment,
    metrics: &Arc<Metrics>,
) -> Result<Log, StartError> {
    let counted = metrics.clone();
    let options = log::Options {
        tail_bytes_max: settings.tail_bytes,
        segment_bytes: settings.segment_bytes.unwrap_or(log::Options::default().segment_bytes),
        writing: environment.writing.clone(),
        observer: Some(Arc::new(move |batch| counted.log_written(batch))),
        ..log::Options::default()
    };
    Ok(Log::open(environment.files.clone(), settings.data.join("log"), options)?)
}

/// Who this node is: as its data directory says, or newly joined, or the first of a new cluster.
async fn identify(
    settings: &Settings,
    environment: &Environment,
    address: &str,
) -> Result<Identity, StartError> {
    let files = &*environment.files;
    let found = Identity::load(files, &settings.data).map_err(failed("the identity cannot be read"))?;
    if let Some(identity) = found {
        return Ok(identity);
    }
    let identity = if settings.join.is_empty() {
        let random = (environment.random)();
        Identity { cluster_id: format!("{random:016x}"), node: NodeId(1) }
    } else {
        join(settings, environment, address).await?
    };
    identity.save(files, &settings.data).map_err(failed("the identity cannot be written"))?;
    tracing::info!(cluster = identity.cluster_id, node = identity.node.0, "identity");
    Ok(identity)
}

async fn join(settings: &Settings, environment: &Environment, address: &str) -> Result<Identity, StartError> {
    let nonce = (environment.random)() | 1;
    let deadline = tokio::time::Instant::now() + JOIN_PATIENCE;
    let mut last = String::from("no node answered");
    while tokio::time::Instant::now() < deadline {
        for target in &settings.join {
            let channel = channel(environment.connector.clone(), target)
                .map_err(|error| StartError::Join(format!("{target}: {error}")))?;
            let request = JoinRequest { address: address.to_owned(), zone: settings.zone.clone(), nonce };
            let mut client = PeerClient::new(channel);
            match tokio::time::timeout(Duration::from_secs(15), client.join(request)).await {
                Ok(Ok(response)) => {
                    let response = response.into_inner();
                    return Ok(Identity { cluster_id: response.cluster_id, node: NodeId(response.node) });
                }
                Ok(Err(status)) => last = format!("{target}: {}", status.message()),
                Err(_) => last = format!("{target}: no answer"),
            }
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Err(StartError::Join(last))
}

/// A data directory put together from two nodes is refused.
fn refuse_foreign(identity: &Identity, catalog: &Catalog) -> Result<(), StartError> {
    if !catalog.cluster_id.is_empty() && catalog.cluster_id != identity.cluster_id {
        return Err(StartError::Foreign(format!(
            "the data directory is of node {} of cluster {}, but its catalog of cluster {}: put the right files back",
            identity.node, identity.cluster_id, catalog.cluster_id
        )));
    }
    Ok(())
}

/// Items without the log they came from are refused: the votes are in the log, and a node that forgot how it voted may
/// vote twice.
fn refuse_without_log(log: &Log, items: &dyn storage::Items, catalog: &Catalog) -> Result<(), StartError> {
    let mut stored = items.groups()?;
    if !catalog.cluster_id.is_empty() {
        stored.push(GroupId::CATALOG);
    }
    match stored.into_iter().find(|group| log.state(*group).is_none()) {
        Some(group) => Err(StartError::Foreign(format!(
            "the log knows nothing of group {group}, whose state is in this data directory: put the log directory back, \
             or remove the whole data directory and let the node join as a new one"
        ))),
        None => Ok(()),
    }
}

/// Starts the node's tasks.
async fn begin(node: &Node, settings: &Settings, reports: mpsc::Receiver<Report>) {
    let tasks = &node.shared.tasks;
    let group = &node.shared.catalog_group;
    if group.status().voters.iter().eq([&node.id()]) {
        group.stand().await;
    }
    if node.catalog().cluster_id.is_empty() && node.id() == NodeId(1) {
        tasks.spawn("found", found(node.clone(), settings.zone.clone()));
    } else {
        tasks.spawn("move", announce(node.clone(), settings.zone.clone()));
    }
    tasks.spawn("settle", settle(node.clone()));
    tasks.spawn("reconcile", reconcile::run(node.clone(), settings.timing));
    tasks.spawn("reporter", reporter::run(node.clone(), reports));
    tasks.spawn("disk", disk::run(node.clone(), settings.timing.heartbeat * 5 / 2));
    tasks.spawn("controller", controller::run(node.clone(), settings.timing));
    tasks.spawn("trimmer", trimmer::run(node.clone()));
    tasks.spawn("progress", progress::run(node.clone()));
    tasks.spawn("triggers", triggers::run(node.clone()));
    tasks.spawn("consumers", consumers::run(node.clone()));
}

/// Writes the first entry of a cluster.
async fn found(node: Node, zone: String) {
    let random = &node.shared.environment.random;
    let mut secret = [0; 32];
    for part in secret.chunks_mut(8) {
        part.copy_from_slice(&random().to_le_bytes());
    }
    let cluster_id = node.shared.identity.cluster_id.clone();
    let command = Command::Found { cluster_id, secret, address: node.address().to_owned(), zone };
    while node.catalog().cluster_id.is_empty() {
        if let Err(error) = node.command(command.clone()).await {
            tracing::debug!(%error, "the cluster is not founded yet");
            tokio::time::sleep(AGAIN).await;
        }
    }
}

/// Brings the catalog up to date at once, not when somebody asks: by then this node may be alone.
async fn settle(node: Node) {
    while let Err(error) = node.settled().await {
        tracing::debug!(%error, "the catalog is not up to date yet");
        tokio::time::sleep(AGAIN).await;
    }
}

/// Tells the cluster where this node is, if it is elsewhere than it was.
async fn announce(node: Node, zone: String) {
    let mut catalog: watch::Receiver<Arc<Catalog>> = node.shared.catalog.clone();
    loop {
        let known = catalog.borrow_and_update().nodes.get(&node.id()).map(|me| me.address.clone());
        match known {
            Some(address) if address == node.address() => return,
            Some(_) => {
                let address = node.address().to_owned();
                let command = Command::Move { node: node.id(), address, zone: zone.clone() };
                if node.command(command).await.is_ok() {
                    return;
                }
                tokio::time::sleep(AGAIN).await;
            }
            None => {
                if catalog.changed().await.is_err() {
                    return;
                }
            }
        }
    }
}

impl Starting {
    /// Answers other nodes, and clients through `routes`, until the node stops or its sockets fail.
    pub fn serve(self, routes: Routes) -> Node {
        let Self { node, connections } = self;
        let routes = routes.add_service(service::service(node.clone()));
        let server = tonic::transport::Server::builder()
            .accept_http1(true)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_concurrent_streams(STREAMS_MAX)
            .http2_keepalive_interval(Some(Duration::from_secs(20)))
            .add_routes(routes);
        let tasks = node.shared.tasks.clone();
        let stopping = tasks.stopping();
        // Connections have tasks of tonic's own, which know of no stop; so the connections end.
        let severing = tasks.clone();
        let connections = connections.map(move |connection| {
            let stop = Box::pin(severing.stopping());
            connection.map(|io| {
                let remote = io.remote();
                Io::from(Severable { io, stop }, remote)
            })
        });
        let failing = tasks.clone();
        tasks.spawn("server", async move {
            if let Err(error) = server.serve_with_incoming_shutdown(connections, stopping).await {
                failing.fail(format!("the server stopped: {error}"));
            }
        });
        node
    }
}

impl Node {
    /// Whether the node knows its cluster and the cluster's catalog has a leader.
    pub async fn ready(&self) {
        let mut catalog = self.shared.catalog.clone();
        let _ = catalog.wait_for(|catalog| catalog.nodes.contains_key(&self.id())).await;
    }

    /// Stops in order: leaderships are handed over, replicas stopped, stores flushed.
    pub async fn shutdown(self) {
        for replica in self.replicas() {
            let others = replica.group.status().matched;
            let target = others
                .into_iter()
                .filter(|(other, _)| *other != self.id() && self.shared.peers.is_alive(*other));
            if let Some((target, _)) = target.max_by_key(|(_, matched)| *matched)
                && replica.serves()
            {
                replica.group.transfer(target).await;
            }
        }
        let mut patience = 40;
        while patience > 0
            && self
                .replicas()
                .iter()
                .any(|replica| replica.serves() && replica.group.status().voters.len() > 1)
        {
            patience -= 1;
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        self.halt().await;
    }

    /// Stops at once, handing nothing over: what a crash leaves, as far as a process can do it to itself. Afterwards
    /// another node may be started on the same folder, by this process, too.
    pub async fn halt(self) {
        // First those who watch the groups: one that is stopped is no failure now.
        self.shared.tasks.cancel();
        self.shared.peers.close();
        for replica in self.replicas() {
            replica.stop.send_replace(true);
            replica.group.stop().await;
        }
        self.shared.catalog_group.stop().await;
        self.shared.tasks.stop(Duration::from_secs(5)).await;
        let items = self.shared.items.clone();
        let flushed = self.shared.environment.blocking(move || items.flush()).await;
        if !matches!(flushed, Ok(Ok(()))) {
            tracing::warn!("items were not flushed: they are replayed from the log");
        }
        self.shared.log.clone().close();
        // Whoever still answers a request holds the stores, and these their locks.
        let deadline = tokio::time::Instant::now() + RELEASE_PATIENCE;
        while Arc::strong_count(&self.shared) > 1 {
            if tokio::time::Instant::now() > deadline {
                return tracing::warn!(
                    left = Arc::strong_count(&self.shared),
                    "something still holds the node"
                );
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// A connection that breaks when the node stops.
struct Severable<S> {
    io: Io,
    stop: Pin<Box<S>>,
}

impl<S: Future<Output = ()>> Severable<S> {
    fn broken(&mut self, cx: &mut Context<'_>) -> Option<io::Error> {
        let stopped = self.stop.as_mut().poll(cx).is_ready();
        stopped.then(|| io::Error::new(io::ErrorKind::ConnectionAborted, "the node stops"))
    }
}

impl<S: Future<Output = ()>> AsyncRead for Severable<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.broken(cx) {
            Some(error) => Poll::Ready(Err(error)),
            None => Pin::new(&mut self.io).poll_read(cx, buffer),
        }
    }
}

impl<S: Future<Output = ()>> AsyncWrite for Severable<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.broken(cx) {
            Some(error) => Poll::Ready(Err(error)),
            None => Pin::new(&mut self.io).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.broken(cx) {
            Some(error) => Poll::Ready(Err(error)),
            None => Pin::new(&mut self.io).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.broken(cx) {
            Some(error) => Poll::Ready(Err(error)),
            None => Pin::new(&mut self.io).poll_write_vectored(cx, bytes),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
