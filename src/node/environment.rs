//! Everything a node gets from the world, in one struct: the seams. Production here; the simulator brings its own.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use futures::{
    StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use tokio::net::TcpListener;

use crate::{
    log::{Files, StdFiles, Writing},
    rpc::{Connector, Io, Remote, TcpConnector},
    storage::{self, CatalogStore, Engine, Items},
};

/// The stores a node keeps besides its log.
pub struct Stores {
    /// The items.
    pub items: Arc<dyn Items>,
    /// The control plane.
    pub catalog: CatalogStore,
    /// Where a damaged item store was put, if one was found.
    pub quarantined: Option<PathBuf>,
}

/// A listening socket.
pub struct Listening {
    /// Where it listens, "host:port".
    pub address: String,
    /// The connections made to it.
    pub connections: BoxStream<'static, io::Result<Io>>,
}

/// Opens the stores below a directory.
pub type OpenStores = Arc<dyn Fn(&Path) -> Result<Stores, storage::Error> + Send + Sync>;
/// Listens at an address.
pub type Listen = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Listening>> + Send + Sync>;
/// Runs blocking work.
pub type Work = Box<dyn FnOnce() + Send>;

/// The world as a node sees it.
#[derive(Clone)]
pub struct Environment {
    /// Milliseconds since 1970.
    pub clock: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// Random numbers.
    pub random: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// The disk below the log and below snapshots in transit.
    pub files: Arc<dyn Files>,
    /// Who writes the log.
    pub writing: Writing,
    /// The stores.
    pub stores: OpenStores,
    /// Connections to other nodes.
    pub connector: Arc<dyn Connector>,
    /// Connections from others.
    pub listen: Listen,
    /// Where blocking work runs: a worker thread; inline in simulation.
    pub blocking: Arc<dyn Fn(Work) + Send + Sync>,
}

impl Environment {
    /// The real world, with items in `engine`, of which about `cache_bytes` are cached.
    pub fn production(engine: Engine, cache_bytes: u64) -> Self {
        Self {
            clock: Arc::new(unix_ms),
            random: Arc::new(random),
            files: Arc::new(StdFiles),
            writing: Writing::Threads,
            stores: Arc::new(move |path| {
                let opened = storage::open(engine, &path.join("items"), cache_bytes)?;
                let catalog = CatalogStore::open(&path.join("catalog"))?;
                Ok(Stores { items: opened.items, catalog, quarantined: opened.quarantined })
            }),
            connector: Arc::new(TcpConnector),
            listen: Arc::new(|address| Box::pin(listen(address))),
            blocking: Arc::new(spawn_blocking),
        }
    }

    /// Runs `work` where it may block, and gives its result.
    pub async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let (sender, result) = tokio::sync::oneshot::channel();
        (self.blocking)(Box::new(move || {
            let _ = sender.send(work()); // whoever waited may be gone
        }));
        result.await.map_err(|_| io::Error::other("the work panicked"))
    }

    /// Now, ms since 1970.
    pub fn now_ms(&self) -> u64 {
        (self.clock)()
    }
}

#[expect(clippy::disallowed_methods, reason = "here the world comes in")]
fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[expect(clippy::disallowed_methods, reason = "here the world comes in")]
fn random() -> u64 {
    rand::random()
}

#[expect(clippy::disallowed_methods, reason = "here the world comes in")]
fn spawn_blocking(work: Work) {
    tokio::task::spawn_blocking(work);
}

async fn listen(address: String) -> io::Result<Listening> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?.to_string();
    let connections = stream::unfold(listener, |listener| async move {
        let accepted = listener.accept().await.and_then(|(stream, remote)| {
            stream.set_nodelay(true)?;
            Ok(Io::from(stream, Remote(Some(remote))))
        });
        Some((accepted, listener))
    });
    Ok(Listening { address, connections: connections.boxed() })
}
