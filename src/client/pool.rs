//! The nodes that are known and the connections to them.
//!
//! A node that does not answer is left out for `DOWN_MIN`, doubling to `DOWN_MAX` while it stays silent, so that an
//! address that cannot be reached from here (a cluster behind address translation) is not tried by every call.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

use super::Options;
use super::error::{Error, Kind};
use crate::rpc::Connector;

const DOWN_MIN: Duration = Duration::from_millis(500);
const DOWN_MAX: Duration = Duration::from_secs(30);
const STREAM_WINDOW_BYTES: u32 = 8 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// Largest message either way.
pub(super) const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// One node as seen from here.
pub(super) struct Node {
    /// "host:port".
    pub address: String,
    dialer: Dialer,
    channels: Vec<Channel>,
    turn: AtomicUsize,
    silences: AtomicU32,
    /// Milliseconds since the pool was made until which it is left out.
    down_until_ms: AtomicU64,
}

impl Node {
    /// A channel to it; they take turns.
    pub fn channel(&self) -> Channel {
        if let [only] = self.channels.as_slice() {
            return only.clone();
        }
        self.channels[self.turn.fetch_add(1, Ordering::Relaxed) % self.channels.len()].clone()
    }

    /// A channel of its own, for what may fill a connection's window.
    pub fn own_channel(&self) -> Channel {
        self.dialer.channel()
    }
}

/// Makes channels to one node.
struct Dialer {
    endpoint: Endpoint,
    address: String,
    connector: Arc<dyn Connector>,
}

impl Dialer {
    /// A channel that connects when it is first used, and again after a failure.
    fn channel(&self) -> Channel {
        let (connector, address) = (self.connector.clone(), self.address.clone());
        self.endpoint.connect_with_connector_lazy(service_fn(move |_: Uri| {
            let connecting = connector.connect(address.clone());
            async move { connecting.await.map(TokioIo::new) }
        }))
    }
}

/// All nodes.
pub(super) struct Pool {
    /// Those the client was given, in that order, then those it has heard of.
    order: Mutex<Vec<Arc<Node>>>,
    by_address: Mutex<BTreeMap<String, Arc<Node>>>,
    turn: AtomicUsize,
    born: Instant,
    options: Options,
    connector: Arc<dyn Connector>,
}

impl Pool {
    /// A pool of the nodes with these addresses.
    pub fn new(
        endpoints: &[String],
        options: &Options,
        connector: Arc<dyn Connector>,
    ) -> Result<Self, Error> {
        let pool = Self {
            order: Mutex::default(),
            by_address: Mutex::default(),
            turn: AtomicUsize::new(0),
            born: Instant::now(),
            options: options.clone(),
            connector,
        };
        for endpoint in endpoints {
            pool.node(parse(endpoint)?)?;
        }
        if pool.addresses().is_empty() {
            return Err(Error::local(Kind::Invalid, "no endpoint was given"));
        }
        Ok(pool)
    }

    /// The node at "host:port". Errors: `Invalid` for what is no address.
    pub fn node(&self, address: &str) -> Result<Arc<Node>, Error> {
        let mut nodes = self.by_address.lock().expect("nothing panics while holding it");
        if let Some(node) = nodes.get(address) {
            return Ok(node.clone());
        }
        let (endpoint, connector) = (self.endpoint(address)?, self.connector.clone());
        let dialer = Dialer { endpoint, address: address.to_owned(), connector };
        let node = Arc::new(Node {
            address: address.to_owned(),
            channels: (0..self.options.channels_per_node.max(1)).map(|_| dialer.channel()).collect(),
            dialer,
            turn: AtomicUsize::new(0),
            silences: AtomicU32::new(0),
            down_until_ms: AtomicU64::new(0),
        });
        nodes.insert(address.to_owned(), node.clone());
        self.order.lock().expect("nothing panics while holding it").push(node.clone());
        Ok(node)
    }

    /// The next node in turn that is not left out and not `avoid`; if there is none, any.
    pub fn any(&self, avoid: Option<&Arc<Node>>) -> Arc<Node> {
        let nodes = self.order.lock().expect("nothing panics while holding it");
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let in_turn = || (0..nodes.len()).map(|step| &nodes[(turn + step) % nodes.len()]);
        let other = |node: &&Arc<Node>| avoid.is_none_or(|avoid| !Arc::ptr_eq(node, avoid));
        let chosen = in_turn().find(|node| other(node) && !self.is_down(node));
        let chosen = chosen.or_else(|| in_turn().find(other)).or_else(|| in_turn().next());
        chosen.expect("a pool has at least one node").clone()
    }

    /// Whether the node is left out at the moment.
    pub fn is_down(&self, node: &Node) -> bool {
        let until_ms = node.down_until_ms.load(Ordering::Relaxed);
        until_ms != 0 && self.now_ms() < until_ms
    }

    /// The node did not answer.
    pub fn was_silent(&self, node: &Node) {
        if self.is_down(node) {
            return;
        }
        let silences = node.silences.fetch_add(1, Ordering::Relaxed);
        let pause = DOWN_MIN.saturating_mul(1 << silences.min(10)).min(DOWN_MAX);
        node.down_until_ms.store(self.now_ms() + pause.as_millis() as u64, Ordering::Relaxed);
    }

    /// The node answered.
    pub fn has_answered(&self, node: &Node) {
        if node.silences.load(Ordering::Relaxed) != 0 {
            node.silences.store(0, Ordering::Relaxed);
            node.down_until_ms.store(0, Ordering::Relaxed);
        }
    }

    /// The addresses known.
    pub fn addresses(&self) -> Vec<String> {
        let nodes = self.order.lock().expect("nothing panics while holding it");
        nodes.iter().map(|node| node.address.clone()).collect()
    }

    fn now_ms(&self) -> u64 {
        self.born.elapsed().as_millis() as u64 + 1
    }

    fn endpoint(&self, address: &str) -> Result<Endpoint, Error> {
        let invalid = |error: tonic::transport::Error| {
            Error::local(Kind::Invalid, format!("{address} is not the address of a node: {error}"))
        };
        Ok(Endpoint::from_shared(format!("http://{address}"))
            .map_err(invalid)?
            .connect_timeout(self.options.connect_timeout)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE))
    }
}

/// "host:port" of an endpoint.
fn parse(endpoint: &str) -> Result<&str, Error> {
    let endpoint = endpoint.trim().trim_end_matches('/');
    let address = endpoint.strip_prefix("http://").unwrap_or(endpoint);
    if address.contains("://") || address.contains('/') || address.is_empty() {
        let message = format!("{endpoint} is not an endpoint; say http://host:port");
        return Err(Error::local(Kind::Invalid, message));
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(endpoints: &[&str]) -> Result<Pool, Error> {
        let endpoints: Vec<String> = endpoints.iter().map(|text| text.to_string()).collect();
        Pool::new(&endpoints, &Options::default(), Arc::new(crate::rpc::TcpConnector))
    }

    #[tokio::test]
    async fn endpoints_are_taken_with_and_without_scheme() {
        let pool = pool(&["http://a:1/", "b:2", "http://a:1"]).expect("good endpoints");
        assert_eq!(pool.addresses(), ["a:1", "b:2"]);
    }

    #[tokio::test]
    async fn what_is_no_endpoint_is_refused() {
        for bad in [vec![], vec!["https://a:1"], vec!["http://a:1/path"], vec![""]] {
            assert_eq!(pool(&bad).err().map(|error| error.kind()), Some(Kind::Invalid), "{bad:?}");
        }
    }

    #[tokio::test]
    async fn silent_nodes_are_left_out_while_there_are_others() {
        let pool = pool(&["a:1", "b:2"]).expect("good endpoints");
        let (a, b) = (pool.node("a:1").expect("known"), pool.node("b:2").expect("known"));
        pool.was_silent(&a);
        assert!((0..10).all(|_| pool.any(None).address == "b:2"));
        pool.was_silent(&b);
        assert_eq!(pool.any(Some(&b)).address, "a:1", "when all are silent, one is tried all the same");
        pool.has_answered(&a);
        assert!((0..10).all(|_| pool.any(None).address == "a:1"));
        assert_eq!(pool.any(Some(&a)).address, "b:2");
    }
}
