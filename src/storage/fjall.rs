//! Items on fjall: a log-structured merge tree with snapshots.
//!
//! One keyspace holds everything: a second one for the states would pin the journal (its few bytes would
//! never fill a write buffer) and cost a second set of them.

use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use ::fjall::compaction::Leveled;
use ::fjall::config::{BlockSizePolicy, BloomConstructionPolicy, FilterPolicy, FilterPolicyEntry};
use ::fjall::{Database, Keyspace, KeyspaceCreateOptions, LsmError, PersistMode, Readable, Snapshot};
use bytes::Bytes;

use super::Error;
use super::disk::{Bounds, Writes};
use super::error::Damage;
use super::open::DirectoryLock;
use crate::partition::Visit;

/// Writes collect here before they become a table. Two or three may be in memory under load, one when idle.
const WRITE_BUFFER_BYTES: u64 = 16 * 1024 * 1024;
/// The journal may grow to this before the write buffer is forced out; bounds the replay at start. It comes
/// in files of 64 MiB.
const JOURNAL_BYTES_MAX: u64 = 128 * 1024 * 1024;
/// Tables are about this large.
const TABLE_BYTES: u64 = 32 * 1024 * 1024;
/// One. With two, fjall keeps the first free for writing out buffers by letting it hand each request to compact back to
/// the queue, again and again for as long as the other compacts: a tenth of a loaded node's CPU, for no better latency.
const WORKER_THREADS: usize = 1;
/// How many table files stay open.
const OPEN_FILES_MAX: usize = 256;
/// Blocks are read, checked and cached whole.
const BLOCK_BYTES: u32 = 4 * 1024;

/// An open fjall.
pub(super) struct Fjall {
    database: Database,
    keyspace: Keyspace,
    lock: Arc<DirectoryLock>,
}

impl Fjall {
    /// Opens or creates the store in `path`.
    pub fn open(path: &Path, cache_bytes: u64, lock: Arc<DirectoryLock>) -> Result<Self, Error> {
        let opened = || -> Result<(Database, Keyspace), ::fjall::Error> {
            let database = Database::builder(path)
                .cache_size(cache_bytes)
                .worker_threads(WORKER_THREADS)
                .max_journaling_size(JOURNAL_BYTES_MAX)
                .max_cached_files(Some(OPEN_FILES_MAX))
                .open()?;
            let keyspace = database.keyspace("items", options)?;
            Ok((database, keyspace))
        };
        match opened() {
            Ok((database, keyspace)) => Ok(Self { database, keyspace, lock }),
            Err(::fjall::Error::Locked) => Err(Error::Locked { path: path.to_path_buf() }),
            Err(::fjall::Error::InvalidVersion(Some(_))) => Err(Error::Foreign { path: path.to_path_buf() }),
            Err(error) => Err(failed("open")(error)),
        }
    }

    /// Through a snapshot, for fjall's live reads see a write before all of it is there: a view opened after
    /// such a read could be older than what was read.
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        read(&self.database.snapshot(), &self.keyspace, key)
    }

    pub fn write(&self, writes: Writes) -> Result<(), Error> {
        let mut batch = self.database.batch();
        for (key, value) in writes {
            match value {
                Some(value) => batch.insert(&self.keyspace, &key[..], &value[..]),
                None => batch.remove(&self.keyspace, &key[..]),
            }
        }
        batch.commit().map_err(failed("commit"))
    }

    pub fn flush(&self) -> Result<(), Error> {
        self.database.persist(PersistMode::SyncData).map_err(failed("flush"))
    }

    pub fn view(&self) -> FjallView {
        FjallView {
            snapshot: self.database.snapshot(),
            keyspace: self.keyspace.clone(),
            _database: self.database.clone(),
            _lock: self.lock.clone(),
        }
    }

    pub fn size_bytes(&self) -> u64 {
        self.keyspace.disk_space() + self.database.write_buffer_size()
    }
}

fn options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .max_memtable_size(WRITE_BUFFER_BYTES)
        .data_block_size_policy(BlockSizePolicy::all(BLOCK_BYTES))
        .filter_policy(FilterPolicy::all(FilterPolicyEntry::Bloom(BloomConstructionPolicy::BitsPerKey(10.0))))
        .compaction_strategy(Arc::new(Leveled::default().with_table_target_size(TABLE_BYTES)))
}

/// fjall as of one moment.
pub(super) struct FjallView {
    snapshot: Snapshot,
    keyspace: Keyspace,
    /// A view may outlive the store it came from: what it reads must stay open, and locked.
    _database: Database,
    _lock: Arc<DirectoryLock>,
}

impl FjallView {
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        read(&self.snapshot, &self.keyspace, key)
    }

    pub fn range(&self, bounds: Bounds, reverse: bool, visit: &mut Visit<'_>) -> Result<(), Error> {
        let mut range = self.snapshot.range::<Bytes, (Bound<Bytes>, Bound<Bytes>)>(&self.keyspace, bounds);
        while let Some(found) = if reverse { range.next_back() } else { range.next() } {
            let (key, value) = found.into_inner().map_err(failed("read items"))?;
            if visit(&key, &value).is_break() {
                break;
            }
        }
        Ok(())
    }
}

fn read(snapshot: &Snapshot, keyspace: &Keyspace, key: &[u8]) -> Result<Option<Bytes>, Error> {
    let value = snapshot.get(keyspace, key).map_err(failed("read an item"))?;
    Ok(value.map(|value| Bytes::copy_from_slice(&value)))
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
