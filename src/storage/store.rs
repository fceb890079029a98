//! [`Items`] on any engine: groups, states, imports and removals, written once for all of them.
//!
//! An import or a removal may be larger than a batch can be, so it is not atomic on disk. It is made so by a
//! mark (`keys`, kind `x`), stored in the same write that deletes the group's state, and by hiding its range
//! from readers for as long as the mark is there. A crash in between leaves the mark, and opening the store
//! empties the range before anybody reads.

use std::ops::{Bound, ControlFlow};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;

use super::disk::{Disk, DiskView, Writes};
use super::error::Damage;
use super::hidden::{Hidden, KeyRange};
use super::{Error, Items, ItemsView, keys};
use crate::model::id::GroupId;
use crate::partition::{Batch, View, Visit};

/// How many items are deleted in one write when a range is emptied.
const EMPTY_BATCH_ITEMS: usize = 512;

/// The items on an engine.
pub(super) struct Store {
    disk: Disk,
    /// Held shared while reading live items, and exclusively while a range becomes hidden or visible.
    hidden: RwLock<Hidden>,
}

impl Store {
    /// Takes over an engine, and completes what a crash interrupted.
    pub fn open(disk: Disk) -> Result<Self, Error> {
        let store = Self { disk, hidden: RwLock::default() };
        store.recover()?;
        Ok(store)
    }

    /// Empties the ranges of all imports and removals that were not finished.
    pub fn recover(&self) -> Result<(), Error> {
        self.hide().clear();
        let mut marks = Vec::new();
        self.disk.view().range(keys::all_emptying(), false, &mut |key, value| {
            marks.push(keys::parse_group(key).zip(keys::decode_range(value)));
            ControlFlow::Continue(())
        })?;
        for mark in marks {
            let Some((group, (from, to))) = mark else {
                return Err(Error::Corrupt { doing: "open", source: Damage::Alien });
            };
            tracing::info!(%group, "completing an import or a removal that was interrupted");
            self.empty(&KeyRange { from, to })?;
            self.disk.write(Writes::from([(keys::emptying(group), None)]))?;
        }
        Ok(())
    }

    fn shown(&self) -> RwLockReadGuard<'_, Hidden> {
        self.hidden.read().expect("nothing panics while the hidden ranges are locked")
    }

    fn hide(&self) -> RwLockWriteGuard<'_, Hidden> {
        self.hidden.write().expect("nothing panics while the hidden ranges are locked")
    }

    /// The engine and the hidden ranges as of one moment.
    fn as_of_now(&self) -> StoreView {
        let hidden = self.shown();
        StoreView { disk: self.disk.view(), hidden: hidden.clone() }
    }

    /// Hides the range of a group, and forgets the group's state in the same moment.
    fn begin(&self, group: GroupId, range: KeyRange) -> Result<(), Error> {
        let mark = keys::encode_range(&range.from, range.to.as_deref());
        let mut hidden = self.hide();
        hidden.insert(group, range);
        self.disk.write(Writes::from([(keys::state(group), None), (keys::emptying(group), Some(mark))]))
    }

    /// Shows the range of a group again, with its new state, if it has one.
    fn finish(&self, group: GroupId, state: Option<Bytes>) -> Result<(), Error> {
        let mut hidden = self.hide();
        self.disk.write(Writes::from([(keys::state(group), state), (keys::emptying(group), None)]))?;
        hidden.remove(group);
        Ok(())
    }

    /// Ends the group's unfinished import, if there is one, without its items.
    fn give_up(&self, group: GroupId) -> Result<(), Error> {
        let range = self.shown().of(group).cloned();
        let Some(range) = range else { return Ok(()) };
        self.empty(&range)?;
        self.finish(group, None)
    }

    /// Deletes the items of a range, some at a time.
    fn empty(&self, range: &KeyRange) -> Result<(), Error> {
        let to = range.to.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut bounds = keys::item_bounds(Bound::Included(&range.from), to);
        loop {
            let mut writes = Writes::new();
            self.disk.view().range(bounds.clone(), false, &mut |key, _| {
                writes.insert(Bytes::copy_from_slice(key), None);
                if writes.len() < EMPTY_BATCH_ITEMS {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            })?;
            let Some((last, _)) = writes.last_key_value() else { return Ok(()) };
            // Past what was deleted: an LSM would otherwise read all its tombstones again.
            bounds.0 = Bound::Excluded(last.clone());
            self.disk.write(writes)?;
        }
    }
}

impl View for Store {
    type Error = Error;

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        let hidden = self.shown();
        if hidden.hides(key) {
            return Ok(None);
        }
        self.disk.get(&keys::item(key))
    }

    fn range(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        reverse: bool,
        visit: &mut Visit<'_>,
    ) -> Result<(), Error> {
        self.as_of_now().range(from, to, reverse, visit)
    }
}

impl Items for Store {
    fn commit_many(&self, batches: Vec<Batch>) -> Result<(), Error> {
        let mut writes = Writes::new();
        for batch in batches {
            if self.shown().of(batch.group).is_some() {
                return Err(Error::Importing { group: batch.group });
            }
            writes.insert(keys::state(batch.group), Some(batch.state));
            writes.extend(batch.writes.into_iter().map(|(key, value)| (keys::item(&key), value)));
        }
        self.disk.write(writes)
    }

    fn state(&self, group: GroupId) -> Result<Option<Bytes>, Error> {
        self.disk.get(&keys::state(group))
    }

    fn groups(&self) -> Result<Vec<GroupId>, Error> {
        self.as_of_now().groups()
    }

    fn flush(&self) -> Result<(), Error> {
        self.disk.flush()
    }

    fn view(&self) -> Result<Arc<dyn ItemsView>, Error> {
        Ok(Arc::new(self.as_of_now()))
    }

    fn import_begin(&self, group: GroupId, from: &[u8], to: Option<&[u8]>) -> Result<(), Error> {
        self.give_up(group)?;
        let range = KeyRange::new(from, to);
        self.begin(group, range.clone())?;
        self.empty(&range)
    }

    fn import_chunk(&self, group: GroupId, items: &[(Bytes, Bytes)]) -> Result<(), Error> {
        let Some(range) = self.shown().of(group).cloned() else {
            return Err(Error::NoImport { group });
        };
        if !items.iter().all(|(key, _)| range.contains(key)) {
            return Err(Error::Outside { group });
        }
        self.disk.write(items.iter().map(|(key, value)| (keys::item(key), Some(value.clone()))).collect())
    }

    fn import_finish(&self, group: GroupId, state: Bytes) -> Result<(), Error> {
        if self.shown().of(group).is_none() {
            return Err(Error::NoImport { group });
        }
        self.finish(group, Some(state))?;
        self.disk.flush()
    }

    fn remove(&self, group: GroupId, from: &[u8], to: Option<&[u8]>) -> Result<(), Error> {
        self.give_up(group)?;
        let range = KeyRange::new(from, to);
        if range.is_empty() {
            return self.disk.write(Writes::from([(keys::state(group), None)]));
        }
        self.begin(group, range.clone())?;
        self.empty(&range)?;
        self.finish(group, None)
    }

    fn size_bytes(&self) -> u64 {
        self.disk.size_bytes()
    }
}

/// The store as of one moment.
struct StoreView {
    disk: DiskView,
    hidden: Hidden,
}

impl View for StoreView {
    type Error = Error;

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        if self.hidden.hides(key) {
            return Ok(None);
        }
        self.disk.get(&keys::item(key))
    }

    fn range(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        reverse: bool,
        visit: &mut Visit<'_>,
    ) -> Result<(), Error> {
        self.disk.range(keys::item_bounds(from, to), reverse, &mut |key, value| {
            let key = keys::parse_item(key).expect("the bounds admit only items");
            if self.hidden.hides(key) { ControlFlow::Continue(()) } else { visit(key, value) }
        })
    }
}

impl ItemsView for StoreView {
    fn state(&self, group: GroupId) -> Result<Option<Bytes>, Error> {
        self.disk.get(&keys::state(group))
    }

    fn groups(&self) -> Result<Vec<GroupId>, Error> {
        let mut groups = Vec::new();
        let mut alien = false;
        self.disk.range(keys::all_states(), false, &mut |key, _| {
            match keys::parse_group(key) {
                Some(group) => groups.push(group),
                None => alien = true,
            }
            ControlFlow::Continue(())
        })?;
        if alien {
            Err(Error::Corrupt { doing: "list its groups", source: Damage::Alien })
        } else {
            Ok(groups)
        }
    }
}
