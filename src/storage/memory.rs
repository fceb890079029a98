//! Items in memory, for the simulator and for tests: deterministic, without threads, and able to forget what
//! was not flushed, as a machine does that loses its power.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;

use super::disk::{Bounds, Disk, Writes};
use super::store::Store;
use super::{Error, Items};
use crate::partition::Visit;

/// Items in memory, held by the test from outside while the process under test uses [`items`](Self::items).
#[derive(Clone)]
pub struct MemoryItems {
    memory: Memory,
    store: Arc<Store>,
}

impl MemoryItems {
    /// No items.
    pub fn new() -> Self {
        let memory = Memory::default();
        let store =
            Store::open(Disk::Memory(memory.clone())).expect("an empty memory has nothing to recover");
        Self { memory, store: Arc::new(store) }
    }

    /// The store, as a process gets it. All handles are the same store.
    pub fn items(&self) -> Arc<dyn Items> {
        self.store.clone()
    }

    /// Flushes once so many writes more of the store are done (0: now), wherever they are: an engine may flush by itself
    /// at any moment, also between two writes of one operation.
    pub fn flush_after(&self, writes: u64) {
        self.memory.flush_after(writes);
    }

    /// What a loss of power does: forgets everything since the last flush, and opens again.
    pub fn crash(&self) {
        self.memory.forget();
        self.reopen();
    }

    /// What the end and the start of the process do while the machine stays up: nothing committed is lost,
    /// only imports and removals that were under way are completed or undone, as by opening.
    pub fn reopen(&self) {
        let recovered: Result<(), Error> = self.store.recover();
        recovered.expect("memory holds only what this room wrote");
    }
}

impl Default for MemoryItems {
    fn default() -> Self {
        Self::new()
    }
}

/// A map that remembers what it was when last flushed. Clones are the same map.
#[derive(Clone, Default)]
pub(super) struct Memory(Arc<Mutex<Contents>>);

#[derive(Default)]
struct Contents {
    /// Shared with the open views: copied by the first write after one was opened.
    live: Arc<BTreeMap<Bytes, Bytes>>,
    /// What was at the keys written since the last flush.
    before: Writes,
    /// So many writes from now, all is flushed.
    flush_after: Option<u64>,
    size_bytes: u64,
}

impl Contents {
    fn put(&mut self, key: Bytes, value: Option<Bytes>) -> Option<Bytes> {
        let size = |value: &Option<Bytes>| value.as_ref().map_or(0, |value| (key.len() + value.len()) as u64);
        let added = size(&value);
        let live = Arc::make_mut(&mut self.live);
        let before = match value {
            Some(value) => live.insert(key.clone(), value),
            None => live.remove(&key),
        };
        self.size_bytes = self.size_bytes + added - size(&before);
        before
    }

    fn flush_if_due(&mut self) {
        if self.flush_after == Some(0) {
            self.flush_after = None;
            self.before.clear();
        }
    }
}

impl Memory {
    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().expect("nothing panics while the contents are locked")
    }

    pub fn get(&self, key: &[u8]) -> Option<Bytes> {
        self.contents().live.get(key).cloned()
    }

    pub fn write(&self, writes: Writes) {
        let mut contents = self.contents();
        for (key, value) in writes {
            let before = contents.put(key.clone(), value);
            contents.before.entry(key).or_insert(before);
        }
        contents.flush_after = contents.flush_after.map(|writes| writes - 1);
        contents.flush_if_due();
    }

    pub fn flush(&self) {
        self.contents().before.clear();
    }

    pub fn flush_after(&self, writes: u64) {
        let mut contents = self.contents();
        contents.flush_after = Some(writes);
        contents.flush_if_due();
    }

    pub fn forget(&self) {
        let mut contents = self.contents();
        contents.flush_after = None;
        for (key, value) in std::mem::take(&mut contents.before) {
            contents.put(key, value);
        }
    }

    pub fn view(&self) -> MemoryView {
        MemoryView { contents: self.contents().live.clone() }
    }

    pub fn size_bytes(&self) -> u64 {
        self.contents().size_bytes
    }
}

/// The map as of one moment.
pub(super) struct MemoryView {
    contents: Arc<BTreeMap<Bytes, Bytes>>,
}

impl MemoryView {
    pub fn get(&self, key: &[u8]) -> Option<Bytes> {
        self.contents.get(key).cloned()
    }

    pub fn range(&self, bounds: Bounds, reverse: bool, visit: &mut Visit<'_>) {
        let mut range = self.contents.range(bounds);
        while let Some((key, value)) = if reverse { range.next_back() } else { range.next() } {
            if visit(key, value).is_break() {
                return;
            }
        }
    }
}
