//! Items on sled: a B+ tree on a log. sled 0.34 has no views, so they are made here: while a view is open,
//! every write first notes what it overwrites (`undo`), and the view reads the live tree through its notes.

use std::fs::{File, TryLockError};
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use bytes::Bytes;

use super::Error;
use super::disk::{Bounds, Writes};
use super::error::Damage;
use super::open::DirectoryLock;
use super::undo::{Page, Undos};
use crate::partition::Visit;

/// How many keys a view looks at under the lock, at first and at most: a page of items is often short, and
/// writers wait meanwhile.
const PAGE_KEYS_MIN: usize = 8;
const PAGE_KEYS_MAX: usize = 64;

/// How long, and how often, opening waits for a sled just dropped.
const PREDECESSOR_WAIT: Duration = Duration::from_millis(5);
const PREDECESSOR_WAITS_MAX: u32 = 400;

/// An open sled.
pub(super) struct Sled(Arc<Open>);

struct Open {
    database: ::sled::Db,
    /// sled's file, opened a second time to sync it.
    file: File,
    /// Held exclusively by writers, shared by the reads of views.
    undos: RwLock<Undos>,
    _lock: Arc<DirectoryLock>,
}

impl Sled {
    /// Opens or creates the store in `path`.
    pub fn open(path: &Path, cache_bytes: u64, lock: Arc<DirectoryLock>) -> Result<Self, Error> {
        wait_for_predecessor(&path.join("db"))?;
        let config = ::sled::Config::new().path(path).cache_capacity(cache_bytes).flush_every_ms(None);
        let database = config.open().map_err(failed("open"))?;
        let file = File::open(path.join("db")).map_err(|source| Error::Io { doing: "open", source })?;
        Ok(Self(Arc::new(Open { database, file, undos: RwLock::default(), _lock: lock })))
    }

    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        self.0.get(key)
    }

    pub fn write(&self, writes: Writes) -> Result<(), Error> {
        let mut undos = self.0.writing();
        undos.note(writes.keys(), |key| self.0.get(key))?;
        let mut batch = ::sled::Batch::default();
        for (key, value) in writes {
            match value {
                Some(value) => batch.insert(&key[..], &value[..]),
                None => batch.remove(&key[..]),
            }
        }
        self.0.database.apply_batch(batch).map_err(failed("commit"))
    }

    /// sled itself stops at `sync_file_range` on Linux, which promises neither the file's length nor that the
    /// disk's own cache is written: hence the second sync.
    pub fn flush(&self) -> Result<(), Error> {
        self.0.database.flush().map_err(failed("flush"))?;
        self.0.file.sync_all().map_err(|source| Error::Io { doing: "flush", source })
    }

    pub fn view(&self) -> SledView {
        let id = self.0.writing().open();
        SledView { id, sled: self.0.clone() }
    }

    pub fn size_bytes(&self) -> u64 {
        self.0.file.metadata().map_or(0, |metadata| metadata.len())
    }
}

impl Open {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        let value = self.database.get(key).map_err(failed("read an item"))?;
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
    }

    fn reading(&self) -> RwLockReadGuard<'_, Undos> {
        self.undos.read().expect("nothing panics while the undo notes are locked")
    }

    fn writing(&self) -> RwLockWriteGuard<'_, Undos> {
        self.undos.write().expect("nothing panics while the undo notes are locked")
    }
}

/// A sled of this process that was dropped lets go of its file a moment later, when its threads notice. (No
/// other process has it: the directory's lock is ours.)
fn wait_for_predecessor(path: &Path) -> Result<(), Error> {
    if !path.exists() {
        return Ok(());
    }
    let file = File::open(path).map_err(|source| Error::Io { doing: "open", source })?;
    for _ in 0..PREDECESSOR_WAITS_MAX {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => std::thread::sleep(PREDECESSOR_WAIT),
            Err(TryLockError::Error(source)) => return Err(Error::Io { doing: "lock", source }),
        }
    }
    Err(Error::Locked { path: path.to_path_buf() })
}

/// sled as of one moment.
pub(super) struct SledView {
    id: u64,
    sled: Arc<Open>,
}

impl SledView {
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        let undos = self.sled.reading();
        match undos.of(self.id)?.get(key) {
            Some(before) => Ok(before.clone()),
            None => self.sled.get(key),
        }
    }

    /// Reads a page of keys at a time, so that neither the lock is held nor sled's pages are pinned while
    /// `visit` runs: it may read or write the store itself.
    pub fn range(&self, mut bounds: Bounds, reverse: bool, visit: &mut Visit<'_>) -> Result<(), Error> {
        let mut keys_max = PAGE_KEYS_MIN;
        loop {
            let page = self.page(&bounds, reverse, keys_max)?;
            for (key, value) in &page.found {
                if visit(key, value).is_break() {
                    return Ok(());
                }
            }
            let Some(last) = page.last else { return Ok(()) };
            if reverse {
                bounds.1 = Bound::Excluded(last);
            } else {
                bounds.0 = Bound::Excluded(last);
            }
            keys_max = (2 * keys_max).min(PAGE_KEYS_MAX);
        }
    }

    fn page(&self, bounds: &Bounds, reverse: bool, keys_max: usize) -> Result<Page, Error> {
        let undos = self.sled.reading();
        let undo = undos.of(self.id)?;
        let mut range = self.sled.database.range::<Bytes, _>(bounds.clone());
        let live = || {
            let found = if reverse { range.next_back() } else { range.next() };
            let found = found.transpose().map_err(failed("read items"))?;
            Ok(found.map(|(key, value)| (Bytes::copy_from_slice(&key), Bytes::copy_from_slice(&value))))
        };
        undo.page(bounds, reverse, keys_max, live)
    }
}

impl Drop for SledView {
    fn drop(&mut self) {
        self.sled.writing().close(self.id);
    }
}

/// Sorts sled's errors by what the caller does next.
fn failed(doing: &'static str) -> impl FnOnce(::sled::Error) -> Error {
    move |error| match error {
        ::sled::Error::Io(source) if !Damage::explains(&source) => Error::Io { doing, source },
        error @ (::sled::Error::Io(_)
        | ::sled::Error::Corruption { .. }
        | ::sled::Error::ReportableBug(_)
        | ::sled::Error::Unsupported(_)
        | ::sled::Error::CollectionNotFound(_)) => Error::Corrupt { doing, source: Damage::Sled(error) },
    }
}
