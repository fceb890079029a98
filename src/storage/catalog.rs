//! A small ordered store for the control plane: on sled, or in memory for simulation.
//!
//! Unlike the items it is no cache that the log can rebuild at leisure: a catalog that does not open is
//! refused, never quarantined, and an operator decides.

use std::ops::{Bound, ControlFlow};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::Error;
use super::disk::{Disk, Writes};
use super::memory::Memory;
use super::open::DirectoryLock;
use super::sled::Sled;

/// The control plane is a few megabytes at most.
const CACHE_BYTES: u64 = 8 * 1024 * 1024;

/// Keys and values of the control plane. Clones are the same store.
#[derive(Clone)]
pub struct CatalogStore(Arc<Disk>);

impl CatalogStore {
    /// Opens the store in the directory `path`, which is created if it is not there.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let lock = Arc::new(DirectoryLock::take(path)?);
        let sled = Sled::open(&path.join("sled"), CACHE_BYTES, lock)?;
        Ok(Self(Arc::new(Disk::Sled(sled))))
    }

    /// An empty store in memory.
    pub fn memory() -> Self {
        Self(Arc::new(Disk::Memory(Memory::default())))
    }

    /// The value at `key`.
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        self.0.get(key)
    }

    /// Stores a value. Durable with the next [`flush`](Self::flush).
    pub fn put(&self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        self.apply(vec![(Bytes::copy_from_slice(key), Some(Bytes::copy_from_slice(value)))])
    }

    /// Deletes a value. Durable with the next [`flush`](Self::flush).
    pub fn remove(&self, key: &[u8]) -> Result<(), Error> {
        self.apply(vec![(Bytes::copy_from_slice(key), None)])
    }

    /// Stores (or, with `None`, deletes) several values at once: all or nothing, also over a crash. Of two
    /// writes to a key the later one wins.
    pub fn apply(&self, writes: Vec<(Bytes, Option<Bytes>)>) -> Result<(), Error> {
        self.0.write(Writes::from_iter(writes))
    }

    /// Everything whose key begins with `prefix`, in the order of the keys, as of one moment.
    pub fn scan(&self, prefix: &[u8]) -> Result<Vec<(Bytes, Bytes)>, Error> {
        let mut found = Vec::new();
        let bounds = (Bound::Included(Bytes::copy_from_slice(prefix)), Bound::Unbounded);
        self.0.view().range(bounds, false, &mut |key, value| {
            if !key.starts_with(prefix) {
                return ControlFlow::Break(());
            }
            found.push((Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)));
            ControlFlow::Continue(())
        })?;
        Ok(found)
    }

    /// Makes everything stored so far survive a loss of power. Blocks for the disk.
    pub fn flush(&self) -> Result<(), Error> {
        self.0.flush()
    }

    /// In simulation, what a loss of power does: forgets everything since the last flush.
    pub fn crash(&self) {
        self.memory_of_simulation().forget();
    }

    /// In simulation: flushes once so many writes more are done (0: now), as a store may do by itself.
    pub fn flush_after(&self, writes: u64) {
        self.memory_of_simulation().flush_after(writes);
    }

    fn memory_of_simulation(&self) -> &Memory {
        match &*self.0 {
            Disk::Memory(memory) => memory,
            Disk::Sled(_) | Disk::Fjall(_) => {
                panic!("only a catalog in memory does what it is told by a test")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(check: impl Fn(&CatalogStore)) {
        let directory = tempfile::tempdir().unwrap();
        check(&CatalogStore::open(directory.path()).unwrap());
        check(&CatalogStore::memory());
    }

    fn bytes(text: &str) -> Bytes {
        Bytes::copy_from_slice(text.as_bytes())
    }

    #[test]
    fn keeps_what_it_is_given() {
        both(|catalog| {
            catalog.put(b"b/2", b"x").unwrap();
            catalog.put(b"a", b"x").unwrap();
            catalog.put(b"b/1", b"y").unwrap();
            catalog.put(b"c", b"").unwrap();
            assert_eq!(catalog.get(b"c").unwrap(), Some(Bytes::new()));
            assert_eq!(
                catalog.scan(b"b/").unwrap(),
                [(bytes("b/1"), bytes("y")), (bytes("b/2"), bytes("x"))]
            );
            catalog.remove(b"b/1").unwrap();
            catalog
                .apply(vec![(bytes("b/2"), None), (bytes("b/3"), Some(bytes("z"))), (bytes("a"), None)])
                .unwrap();
            assert_eq!(catalog.scan(b"").unwrap(), [(bytes("b/3"), bytes("z")), (bytes("c"), bytes(""))]);
            catalog.flush().unwrap();
        });
    }

    #[test]
    fn on_disk_it_is_found_again_and_locked() {
        let directory = tempfile::tempdir().unwrap();
        let catalog = CatalogStore::open(directory.path()).unwrap();
        catalog.put(b"a", b"x").unwrap();
        assert!(matches!(CatalogStore::open(directory.path()), Err(Error::Locked { .. })));
        drop(catalog);
        let catalog = CatalogStore::open(directory.path()).unwrap();
        assert_eq!(catalog.get(b"a").unwrap(), Some(bytes("x")));
    }

    #[test]
    fn on_disk_damage_is_refused_not_put_aside() {
        let directory = tempfile::tempdir().unwrap();
        drop(CatalogStore::open(directory.path()).unwrap());
        let conf = directory.path().join("sled").join("conf");
        std::fs::write(&conf, b"nonsense and more of it").unwrap();
        assert!(matches!(CatalogStore::open(directory.path()), Err(Error::Corrupt { .. })));
        assert_eq!(std::fs::read(&conf).unwrap(), b"nonsense and more of it");
    }

    #[test]
    fn in_memory_it_forgets_what_was_not_flushed() {
        let catalog = CatalogStore::memory();
        catalog.put(b"a", b"x").unwrap();
        catalog.flush().unwrap();
        catalog.put(b"a", b"y").unwrap();
        catalog.put(b"b", b"y").unwrap();
        catalog.crash();
        assert_eq!(catalog.scan(b"").unwrap(), [(bytes("a"), bytes("x"))]);
    }

    #[test]
    fn in_memory_it_flushes_after_so_many_writes() {
        let catalog = CatalogStore::memory();
        catalog.flush_after(2);
        for value in [b"1", b"2", b"3"] {
            catalog.put(b"a", value).unwrap();
        }
        catalog.crash();
        assert_eq!(catalog.get(b"a").unwrap(), Some(bytes("2")));
        catalog.put(b"a", b"4").unwrap();
        catalog.flush_after(0);
        catalog.crash();
        assert_eq!(catalog.get(b"a").unwrap(), Some(bytes("4")));
    }
}
