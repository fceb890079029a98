//! Items on fjall: tables of a log-structured merge tree, and our own memory before them.
//!
//! The partition's log has already made a commit durable, so fjall's journal would write everything once more for
//! nothing. What is committed collects in memory (`recent`); a thread writes it to tables, which fjall takes in
//! whole, all of one writing or none. A crash loses what was in memory: the store is then as of the last writing,
//! a prefix of the commits, and the log replays the rest.
//!
//! One keyspace holds everything: items and states must become visible in one moment.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use ::fjall::compaction::Leveled;
use ::fjall::config::{BlockSizePolicy, BloomConstructionPolicy, FilterPolicy, FilterPolicyEntry};
use ::fjall::{Database, Guard, Keyspace, KeyspaceCreateOptions, LsmError, Readable, Snapshot};
use bytes::Bytes;

use super::Error;
use super::disk::{Bounds, Writes};
use super::error::Damage;
use super::open::DirectoryLock;
use super::recent::{Recent, Runs};
use crate::partition::Visit;

/// So much collects before it is written to tables; as much again may collect meanwhile, then commits wait.
const COLLECTED_BYTES: usize = 64 * 1024 * 1024;
/// Tables not yet merged into the tree's levels. Every read looks into them: beyond this, writing waits for merging.
const UNMERGED_TABLES_MAX: usize = 12;
/// How long between looks at the merging, and between tries to write when the disk refused.
const PAUSE: Duration = Duration::from_millis(20);
const REFUSED_PAUSE: Duration = Duration::from_secs(1);
/// Tables are about this large.
const TABLE_BYTES: u64 = 32 * 1024 * 1024;
/// fjall's own thread merges tables.
const WORKER_THREADS: usize = 1;
/// How many table files stay open.
const OPEN_FILES_MAX: usize = 256;
/// Blocks are read, checked and cached whole.
const BLOCK_BYTES: u32 = 4 * 1024;

/// An open fjall. Dropping it writes what is in memory.
pub(super) struct Fjall {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
    lock: Arc<DirectoryLock>,
}

struct Shared {
    database: Database,
    keyspace: Keyspace,
    recent: RwLock<Recent>,
    progress: Mutex<Progress>,
    /// `progress` has changed.
    changed: Condvar,
}

/// How far the writing is. Locked alone or after `recent`, never before it.
#[derive(Default)]
struct Progress {
    /// Writings asked for so far, begun, and ended.
    asked: u64,
    begun: u64,
    ended: u64,
    /// Why the last writing failed, if it did.
    failed: Option<Error>,
    stopping: bool,
}

impl Fjall {
    /// Opens or creates the store in `path`.
    pub fn open(path: &Path, cache_bytes: u64, lock: Arc<DirectoryLock>) -> Result<Self, Error> {
        let opened = || -> Result<(Database, Keyspace), ::fjall::Error> {
            let database = Database::builder(path)
                .cache_size(cache_bytes)
                .worker_threads(WORKER_THREADS)
                .max_cached_files(Some(OPEN_FILES_MAX))
                .open()?;
            let keyspace = database.keyspace("items", options)?;
            Ok((database, keyspace))
        };
        let (database, keyspace) = match opened() {
            Ok(opened) => opened,
            Err(::fjall::Error::Locked) => return Err(Error::Locked { path: path.to_path_buf() }),
            Err(::fjall::Error::InvalidVersion(Some(_))) => {
                return Err(Error::Foreign { path: path.to_path_buf() });
            }
            Err(error) => return Err(failed("open")(error)),
        };
        let shared = Arc::new(Shared {
            database,
            keyspace,
            recent: RwLock::default(),
            progress: Mutex::default(),
            changed: Condvar::new(),
        });
        let writing = shared.clone();
        let thread = std::thread::Builder::new().name("items-writer".to_owned());
        let writer = thread.spawn(move || writing.run());
        let writer = writer.map_err(|source| Error::Io { doing: "start its thread", source })?;
        Ok(Self { shared, writer: Some(writer), lock })
    }

    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        let recent = self.shared.recent().get(key);
        match recent {
            Some(known) => Ok(known),
            // Tables appear whole, and only what is in memory until they are visible.
            None => found(self.shared.keyspace.get(key)),
        }
    }

    pub fn write(&self, writes: Writes) -> Result<(), Error> {
        let waiting = {
            let mut recent = self.shared.recent_mut();
            recent.add(writes);
            recent.waiting_bytes()
        };
        if waiting < COLLECTED_BYTES {
            return Ok(());
        }
        let mut progress = self.shared.progress();
        if progress.asked == progress.begun {
            progress.asked += 1;
            self.shared.changed.notify_all();
        }
        if waiting < 2 * COLLECTED_BYTES {
            return Ok(());
        }
        let begun = progress.begun;
        let wait = |progress: &mut Progress| progress.begun == begun && progress.failed.is_none();
        let waited = self.shared.changed.wait_while(progress, wait);
        waited.unwrap_or_else(PoisonError::into_inner).outcome()
    }

    pub fn flush(&self) -> Result<(), Error> {
        if self.shared.recent().bytes() == 0 {
            return Ok(());
        }
        let mut progress = self.shared.progress();
        // A writing that has begun may not hold the newest commit: the one after it does.
        let needed = progress.begun + 1;
        progress.asked = progress.asked.max(needed);
        progress.failed = None;
        self.shared.changed.notify_all();
        let wait = |progress: &mut Progress| progress.ended < needed && progress.failed.is_none();
        let waited = self.shared.changed.wait_while(progress, wait);
        waited.unwrap_or_else(PoisonError::into_inner).outcome()
    }

    pub fn view(&self) -> FjallView {
        let mut recent = self.shared.recent_mut();
        // In this order and under the lock, or what left memory in between would be in neither.
        let (runs, snapshot) = (recent.view(), self.shared.database.snapshot());
        drop(recent);
        FjallView { runs, snapshot, shared: self.shared.clone(), _lock: self.lock.clone() }
    }

    pub fn size_bytes(&self) -> u64 {
        self.shared.keyspace.disk_space() + self.shared.recent().bytes() as u64
    }
}

impl Drop for Fjall {
    fn drop(&mut self) {
        self.shared.progress().stopping = true;
        self.shared.changed.notify_all();
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the thread that writes items panicked: the log replays what it did not write");
        }
    }
}

impl Progress {
    fn outcome(&mut self) -> Result<(), Error> {
        match self.failed.take() {
            None => Ok(()),
            Some(error) => Err(error),
        }
    }
}

impl Shared {
    fn recent(&self) -> RwLockReadGuard<'_, Recent> {
        self.recent.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn recent_mut(&self) -> RwLockWriteGuard<'_, Recent> {
        self.recent.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        loop {
            let idle = |progress: &mut Progress| progress.asked == progress.begun && !progress.stopping;
            let waited = self.changed.wait_while(self.progress(), idle);
            let stopping = waited.unwrap_or_else(PoisonError::into_inner).stopping;
            let written = self.write_out();
            let refused = written.is_err();
            let mut progress = self.progress();
            match written {
                Ok(()) => {
                    progress.ended = progress.begun;
                    progress.failed = None;
                }
                Err(error) => {
                    tracing::error!(%error, "items stay in memory: their tables could not be written");
                    progress.failed = Some(error);
                    progress.asked += 1;
                }
            }
            drop(progress);
            self.changed.notify_all();
            if stopping {
                return;
            }
            if refused {
                std::thread::sleep(REFUSED_PAUSE);
            }
        }
    }

    /// Writes what is in memory to tables.
    fn write_out(&self) -> Result<(), Error> {
        let runs = {
            let mut recent = self.recent_mut();
            let runs = recent.leave();
            let mut progress = self.progress();
            progress.begun += 1;
            progress.asked = progress.asked.max(progress.begun);
            runs
        };
        self.changed.notify_all();
        let written = self.ingest(&runs).map_err(failed("write a table"));
        let mut recent = self.recent_mut();
        let left = match written {
            Ok(()) => Some(recent.left()),
            Err(_) => {
                recent.stay();
                None
            }
        };
        drop(recent);
        drop((left, runs)); // what many commits allocated: not while others wait for the lock
        written
    }

    fn ingest(&self, runs: &Runs) -> Result<(), ::fjall::Error> {
        while self.keyspace.l0_table_count() > UNMERGED_TABLES_MAX && !self.progress().stopping {
            std::thread::sleep(PAUSE); // fjall tells nobody when it has merged
        }
        let mut ingestion = self.keyspace.start_ingestion()?;
        runs.for_each(|key, value| match value {
            Some(value) => ingestion.write(key.clone(), value.clone()),
            None => ingestion.write_tombstone(key.clone()),
        })?;
        ingestion.finish()
    }
}

fn options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .data_block_size_policy(BlockSizePolicy::all(BLOCK_BYTES))
        .filter_policy(FilterPolicy::all(FilterPolicyEntry::Bloom(BloomConstructionPolicy::BitsPerKey(10.0))))
        .compaction_strategy(Arc::new(Leveled::default().with_table_target_size(TABLE_BYTES)))
}

/// fjall as of one moment.
pub(super) struct FjallView {
    runs: Runs,
    snapshot: Snapshot,
    /// A view may outlive the store it came from: what it reads must stay open, and locked.
    shared: Arc<Shared>,
    _lock: Arc<DirectoryLock>,
}

impl FjallView {
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        match self.runs.get(key) {
            Some(known) => Ok(known),
            None => found(self.snapshot.get(&self.shared.keyspace, key)),
        }
    }

    pub fn range(&self, bounds: Bounds, reverse: bool, visit: &mut Visit<'_>) -> Result<(), Error> {
        let mut range = self.snapshot.range(&self.shared.keyspace, bounds.clone());
        let below = std::iter::from_fn(|| if reverse { range.next_back() } else { range.next() });
        let below = below.map(Guard::into_inner);
        self.runs.merge(&bounds, reverse, below, visit).map_err(failed("read items"))
    }
}

fn found(value: Result<Option<::fjall::UserValue>, ::fjall::Error>) -> Result<Option<Bytes>, Error> {
    let value = value.map_err(failed("read an item"))?;
    Ok(value.map(Bytes::from)) // a part of its block
}

/// Sorts fjall's errors by what the caller does next. A poisoned database is one on which a write or sync
/// failed before: its files are whole up to there, so it is the disk's refusal, not damage.
fn failed(doing: &'static str) -> impl FnOnce(::fjall::Error) -> Error {
    move |error| match error {
        ::fjall::Error::Io(source) | ::fjall::Error::Storage(LsmError::Io(source))
            if !Damage::explains(&source) =>
        {
            Error::Io { doing, source }
        }
        error @ ::fjall::Error::Poisoned => Error::Io { doing, source: std::io::Error::other(error) },
        error => Error::Corrupt { doing, source: Damage::Fjall(error) },
    }
}
