//! Connections to all other nodes.

use std::{
    collections::{BTreeMap, HashMap},
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use super::{
    Connector, Error, channel,
    wire::peer::{Frame, Hello, Message, Ping, message::Body, peer_client::PeerClient},
};
use crate::model::{
    id::{GroupId, NodeId},
    limits::RPC_BYTES_MAX,
};

/// Messages that may wait for one node; more are refused.
const QUEUE_MESSAGES_MAX: usize = 4096;
/// Messages of one frame at most.
const FRAME_MESSAGES_MAX: usize = 256;

/// Who this node is, as it tells the others.
#[derive(Clone, Debug)]
pub struct Self_ {
    /// The cluster.
    pub cluster_id: String,
    /// This node.
    pub node: NodeId,
    /// Where it is reached.
    pub address: String,
}

/// The other nodes. Cheap to clone.
#[derive(Clone)]
pub struct Peers {
    shared: Arc<Shared>,
}

struct Shared {
    me: Self_,
    connector: Arc<dyn Connector>,
    clock: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// How often nodes ping each other; one that is not there is dialled again after half of it.
    ping: Duration,
    peers: Mutex<BTreeMap<NodeId, Arc<Peer>>>,
    ids: AtomicU64,
    /// Counts changes of who is alive.
    liveness: watch::Sender<u64>,
}

impl Shared {
    /// A node not heard of for so long is taken for dead (until it is heard again): four pings, and half of one to
    /// arrive.
    fn silence_max(&self) -> Duration {
        self.ping * 9 / 2
    }
}

struct Peer {
    node: NodeId,
    address: watch::Sender<String>,
    queue: mpsc::Sender<Message>,
    waiting: Mutex<HashMap<u64, oneshot::Sender<Body>>>,
    state: Mutex<PeerState>,
    stop: watch::Sender<bool>,
}

#[derive(Default)]
struct PeerState {
    heard: Option<Instant>,
    clock_offset_ms: Option<i64>,
    channel: Option<(String, Channel)>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Peers {
    /// No peers yet. `clock` gives ms since 1970; `ping`: how often nodes ping each other.
    pub fn new(
        me: Self_,
        connector: Arc<dyn Connector>,
        clock: Arc<dyn Fn() -> u64 + Send + Sync>,
        ping: Duration,
    ) -> Self {
        let shared = Shared {
            me,
            connector,
            clock,
            ping,
            peers: Mutex::default(),
            ids: AtomicU64::new(1),
            liveness: watch::Sender::new(0),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Who this node is.
    pub fn me(&self) -> &Self_ {
        &self.shared.me
    }

    /// Says where a node is reached. The future returned for a new one keeps its connection and must be run.
    pub fn set_address(
        &self,
        node: NodeId,
        address: &str,
    ) -> Option<impl Future<Output = ()> + Send + 'static> {
        if node == self.shared.me.node {
            return None;
        }
        let mut peers = lock(&self.shared.peers);
        if let Some(peer) = peers.get(&node) {
            peer.address.send_if_modified(|known| {
                let moved = known != address;
                if moved {
                    address.clone_into(known);
                }
                moved
            });
            return None;
        }
        let (queue, queued) = mpsc::channel(QUEUE_MESSAGES_MAX);
        let peer = Arc::new(Peer {
            node,
            address: watch::Sender::new(address.to_owned()),
            queue,
            waiting: Mutex::default(),
            state: Mutex::default(),
            stop: watch::Sender::new(false),
        });
        peers.insert(node, peer.clone());
        Some(keep_connected(self.shared.clone(), peer, queued))
    }

    /// Closes all connections.
    pub fn close(&self) {
        let peers = std::mem::take(&mut *lock(&self.shared.peers));
        for peer in peers.into_values() {
            peer.stop.send_replace(true);
        }
    }

    fn peer(&self, node: NodeId) -> Result<Arc<Peer>, Error> {
        lock(&self.shared.peers).get(&node).cloned().ok_or(Error::Unreachable(node.0))
    }

    /// Sends a message; the future gives the answer, or fails by the deadline. It is queued when this returns.
    pub fn request(
        &self,
        node: NodeId,
        group: GroupId,
        body: Body,
        deadline: Duration,
    ) -> impl Future<Output = Result<Body, Error>> + Send + 'static {
        let sent = self.send(node, group, body);
        async move {
            let (peer, id, answer) = sent?;
            match timeout(deadline, answer).await {
                Ok(Ok(Body::Refused(refused))) => {
                    Err(Error::Refused { node: node.0, reason: refused.reason })
                }
                Ok(Ok(body)) => Ok(body),
                Ok(Err(_)) => Err(Error::Unreachable(node.0)),
                Err(_) => {
                    lock(&peer.waiting).remove(&id);
                    Err(Error::Deadline(node.0))
                }
            }
        }
    }

    fn send(
        &self,
        node: NodeId,
        group: GroupId,
        body: Body,
    ) -> Result<(Arc<Peer>, u64, oneshot::Receiver<Body>), Error> {
        let peer = self.peer(node)?;
        let id = self.shared.ids.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        lock(&peer.waiting).insert(id, sender);
        let message = Message { group: group.0, id, body: Some(body) };
        if peer.queue.try_send(message).is_err() {
            lock(&peer.waiting).remove(&id);
            return Err(Error::Unreachable(node.0));
        }
        Ok((peer, id, answer))
    }

    /// Sends a message that has no answer, if there is room for it.
    pub fn notify(&self, node: NodeId, group: GroupId, body: Body) {
        if let Ok(peer) = self.peer(node) {
            // A notice that does not fit is lost, like one the network loses: all of them are hints.
            let _ = peer.queue.try_send(Message { group: group.0, id: 0, body: Some(body) });
        }
    }

    /// A gRPC channel to a node, for calls beside the stream.
    pub fn client(&self, node: NodeId) -> Result<PeerClient<Channel>, Error> {
        let peer = self.peer(node)?;
        let address = peer.address.borrow().clone();
        let mut state = lock(&peer.state);
        let channel = match &state.channel {
            Some((known, channel)) if *known == address => channel.clone(),
            _ => {
                let fresh = channel(self.shared.connector.clone(), &address)
                    .map_err(|_| Error::Unreachable(node.0))?;
                state.channel = Some((address, fresh.clone()));
                fresh
            }
        };
        Ok(client(channel))
    }

    /// Whether a node was heard of lately; this node always is.
    pub fn is_alive(&self, node: NodeId) -> bool {
        let silence_max = self.shared.silence_max();
        node == self.shared.me.node
            || self
                .peer(node)
                .is_ok_and(|peer| lock(&peer.state).heard.is_some_and(|heard| heard.elapsed() < silence_max))
    }

    /// Clock of that node minus this node's, milliseconds; `None`: not measured yet.
    pub fn clock_offset_ms(&self, node: NodeId) -> Option<i64> {
        if node == self.shared.me.node {
            return Some(0);
        }
        self.peer(node).ok().and_then(|peer| lock(&peer.state).clock_offset_ms)
    }

    /// Changes whenever a connection is made or lost.
    pub fn liveness(&self) -> watch::Receiver<u64> {
        self.shared.liveness.subscribe()
    }
}

fn client(channel: Channel) -> PeerClient<Channel> {
    PeerClient::new(channel)
        .max_decoding_message_size(4 * RPC_BYTES_MAX)
        .max_encoding_message_size(4 * RPC_BYTES_MAX)
}

/// Keeps a stream to a node, dialling again whenever it breaks.
async fn keep_connected(shared: Arc<Shared>, peer: Arc<Peer>, mut queued: mpsc::Receiver<Message>) {
    let mut stopped = peer.stop.subscribe();
    loop {
        let address = peer.address.borrow().clone();
        tokio::select! {
            () = exchange(&shared, &peer, &address, &mut queued) => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
        lock(&peer.waiting).clear();
        while queued.try_recv().is_ok() {}
        shared.liveness.send_modify(|count| *count += 1);
        tokio::select! {
            () = tokio::time::sleep(shared.ping / 2) => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
    }
}

/// Runs one stream until it breaks.
async fn exchange(shared: &Shared, peer: &Peer, address: &str, queued: &mut mpsc::Receiver<Message>) {
    let Ok(channel) = channel(shared.connector.clone(), address) else { return };
    let (frames, outbound) = mpsc::channel(8);
    let hello = Hello {
        cluster_id: shared.me.cluster_id.clone(),
        node: shared.me.node.0,
        address: shared.me.address.clone(),
        to: peer.node.0,
    };
    let hello = Message { group: 0, id: 0, body: Some(Body::Hello(hello)) };
    if frames.send(Frame { messages: vec![hello] }).await.is_err() {
        return;
    }
    let mut client = client(channel);
    let connecting = client.exchange(ReceiverStream::new(outbound));
    let mut inbound = match timeout(Duration::from_secs(2), connecting).await {
        Ok(Ok(response)) => response.into_inner(),
        Ok(Err(status)) => {
            if status.code() == tonic::Code::FailedPrecondition {
                tracing::warn!(node = peer.node.0, address, reason = status.message(), "connection refused");
            }
            return;
        }
        Err(_) => return,
    };
    tracing::info!(node = peer.node.0, address, "connected");
    lock(&peer.state).heard = Some(Instant::now());
    shared.liveness.send_modify(|count| *count += 1);
    let mut moved = peer.address.subscribe();
    moved.mark_unchanged();
    let mut pings = tokio::time::interval(shared.ping);
    let mut batch = Vec::with_capacity(FRAME_MESSAGES_MAX);
    loop {
        tokio::select! {
            count = queued.recv_many(&mut batch, FRAME_MESSAGES_MAX) => {
                if count == 0 || frames.send(Frame { messages: std::mem::take(&mut batch) }).await.is_err() {
                    return;
                }
            }
            frame = inbound.message() => match frame {
                Ok(Some(frame)) => receive(shared, peer, frame),
                Ok(None) | Err(_) => return,
            },
            _ = pings.tick() => {
                let silence = lock(&peer.state).heard.is_none_or(|heard| heard.elapsed() > shared.silence_max());
                let ping = Body::Ping(Ping { now_ms: (shared.clock)(), echo_ms: 0 });
                let ping = Frame { messages: vec![Message { group: 0, id: 0, body: Some(ping) }] };
                if silence {
                    return;
                }
                let _ = frames.try_send(ping); // a stream too busy for a ping is heard of anyway
            }
            _ = moved.changed() => return,
        }
    }
}

fn receive(shared: &Shared, peer: &Peer, frame: Frame) {
    let heard = Instant::now();
    lock(&peer.state).heard = Some(heard);
    for Message { id, body, .. } in frame.messages {
        match body {
            Some(Body::Ping(ping)) => {
                let now_ms = (shared.clock)();
                // The other clock was read about half a round trip ago.
                let round_ms = now_ms.saturating_sub(ping.echo_ms);
                let offset = ping.now_ms.wrapping_sub(now_ms).cast_signed() + (round_ms / 2).cast_signed();
                lock(&peer.state).clock_offset_ms = Some(offset);
            }
            Some(body) => {
                let waiting = lock(&peer.waiting).remove(&id);
                if let Some(waiting) = waiting {
                    let _ = waiting.send(body); // whoever asked may have given up
                }
            }
            None => {}
        }
    }
}
