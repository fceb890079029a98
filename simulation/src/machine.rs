//! A simulated machine: a disk, a clock, and the node that runs on it whenever it is up.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::FutureExt;
use watertable::{
    api,
    log::{Crash, MemoryFiles, Writing},
    node::{self, Environment, Node, Settings, Stores},
    raft,
    storage::{CatalogStore, MemoryItems},
};

use crate::{
    entropy::Random,
    network::{Network, PORT, listen},
    plan::Plan,
};

/// When runs begin, ms since 1970: the first of January 2026.
pub const EPOCH_MS: u64 = 1_767_225_600_000;

/// Simulated time since the run began, as the host sees it that is running.
pub fn elapsed() -> Duration {
    turmoil::sim_elapsed().unwrap_or_default()
}

/// Locks, whatever happened to those who had it locked.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A clock that is not quite right.
pub struct Clock {
    drift_ppm: i64,
    ahead_ms: AtomicI64,
}

impl Clock {
    fn now_ms(&self) -> u64 {
        let micros = i64::try_from(elapsed().as_micros()).unwrap_or(i64::MAX);
        let drifted_ms = (micros + micros / 1_000_000 * self.drift_ppm) / 1_000;
        EPOCH_MS.saturating_add_signed(drifted_ms + self.ahead_ms.load(Ordering::Relaxed))
    }

    /// Sets the clock ahead, or back.
    pub fn step(&self, by_ms: i64) {
        self.ahead_ms.fetch_add(by_ms, Ordering::Relaxed);
    }
}

fn timing(plan: &Plan) -> raft::Options {
    let usual = raft::Options::default();
    raft::Options {
        heartbeat: plan.patience(usual.heartbeat),
        election_min: plan.patience(usual.election_min),
        election_max: plan.patience(usual.election_max),
    }
}

/// A machine. Its disk outlives crashes.
pub struct Machine {
    /// Its name in the network.
    pub name: String,
    /// Below the log.
    pub files: MemoryFiles,
    /// How long a write to the log takes, ms.
    pub sync_ms: Arc<AtomicU64>,
    /// Whether, and how, its disk reads badly while the node runs. What a start finds must be right: a bit that has
    /// changed at the very end of a log looks like a write that was torn, and nobody could tell.
    misreads: Mutex<Option<u64>>,
    /// Its clock.
    pub clock: Arc<Clock>,
    /// The items.
    pub items: MemoryItems,
    /// The control plane.
    pub catalog: CatalogStore,
    /// The node that runs, once it has started.
    node: Mutex<Option<Node>>,
    /// Counts its crashes.
    life: AtomicU64,
    /// Why the node stopped by itself, until it is started again.
    pub stopped: Mutex<Option<String>>,
    random: Arc<AtomicU64>,
    settings: Settings,
}

/// The name of a machine, by number from 0.
pub fn name(number: usize) -> String {
    format!("node-{}", number + 1)
}

/// Where a machine's node is reached.
pub fn address(number: usize) -> String {
    format!("{}:{PORT}", name(number))
}

impl Machine {
    /// A machine with an empty disk.
    pub fn new(plan: &Plan, number: usize) -> Self {
        let settings = Settings {
            listen: address(number),
            advertise: None,
            data: "/data".into(),
            join: if number == 0 { Vec::new() } else { vec![address(0)] },
            zone: String::new(),
            partitions: 2,
            function_endpoint: None,
            tail_bytes: 1 << 20,
            segment_bytes: Some(plan.segment_bytes),
            timing: timing(plan),
        };
        let of = |clocks: &Vec<i64>| clocks.get(number).copied().unwrap_or(0);
        let (drift_ppm, ahead_ms) = (of(&plan.drift_ppm), AtomicI64::new(of(&plan.ahead_ms)));
        let mut random = Random::new(plan.seed, &name(number));
        Self {
            name: name(number),
            files: MemoryFiles::new(),
            sync_ms: Arc::new(AtomicU64::new(plan.sync_ms)),
            misreads: Mutex::default(),
            clock: Arc::new(Clock { drift_ppm, ahead_ms }),
            items: MemoryItems::new(),
            catalog: CatalogStore::memory(),
            node: Mutex::default(),
            life: AtomicU64::new(0),
            stopped: Mutex::default(),
            random: Arc::new(AtomicU64::new(random.next())),
            settings,
        }
    }

    /// The node, if it has started.
    pub fn node(&self) -> Option<Node> {
        lock(&self.node).clone()
    }

    /// How often it has crashed.
    pub fn life(&self) -> u64 {
        self.life.load(Ordering::Relaxed)
    }

    /// The world as this machine's node sees it.
    fn environment(&self) -> Environment {
        let (clock, random) = (self.clock.clone(), self.random.clone());
        let (items, catalog) = (self.items.items(), self.catalog.clone());
        let sync_ms = self.sync_ms.clone();
        let writing = Writing::Later(Arc::new(move |write| {
            let takes = Duration::from_millis(sync_ms.load(Ordering::Relaxed));
            let writing = async move {
                tokio::time::sleep(takes).await;
                write();
            };
            #[expect(clippy::disallowed_methods, reason = "the disk has no owner here")]
            tokio::spawn(writing);
        }));
        Environment {
            clock: Arc::new(move || clock.now_ms()),
            random: Arc::new(move || Random::new(random.fetch_add(1, Ordering::Relaxed), "random").next()),
            files: Arc::new(self.files.clone()),
            writing,
            stores: Arc::new(move |_| {
                Ok(Stores { items: items.clone(), catalog: catalog.clone(), quarantined: None })
            }),
            connector: Arc::new(Network),
            listen: Arc::new(|address| listen(address).boxed()),
            blocking: Arc::new(|work| work()),
        }
    }

    /// What runs on it: a node, until it stops by itself or the machine crashes.
    pub async fn run(self: Arc<Self>) -> turmoil::Result {
        let reason = match self.start().await {
            Ok(node) => node.failed().await,
            Err(error) => format!("{error:#}"),
        };
        tracing::info!(reason, "the process ends");
        *lock(&self.stopped) = Some(reason);
        Ok(())
    }

    async fn start(&self) -> anyhow::Result<Node> {
        self.files.misread(None);
        let starting = node::start(self.settings.clone(), self.environment()).await?;
        let routes = api::routes(starting.node.clone()).await?;
        let node = starting.serve(routes);
        tracing::info!(node = node.id().0, "started");
        *lock(&self.node) = Some(node.clone());
        self.files.misread(*lock(&self.misreads));
        Ok(node)
    }

    /// Has its disk read badly, or well again.
    pub fn misread(&self, seed: Option<u64>) {
        *lock(&self.misreads) = seed;
        if self.node().is_some() {
            self.files.misread(seed);
        }
    }

    /// The first half of a crash: from here on nothing that runs reaches the disk.
    pub fn die(&self, crash: Crash) {
        self.files.crash(crash);
        self.life.fetch_add(1, Ordering::Relaxed);
        *lock(&self.node) = None;
        *lock(&self.stopped) = None;
    }

    /// The second half, when nothing runs any more: memory is lost.
    pub fn forget(&self) {
        self.items.crash();
        self.catalog.crash();
    }
}
