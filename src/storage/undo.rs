//! What views of an engine without views need: for every open view, the values that were overwritten since
//! it was opened.

use std::collections::BTreeMap;
use std::iter::Peekable;

use bytes::Bytes;

use super::Error;
use super::disk::{Bounds, Writes};

/// A view that needs more than this is given up, so that a forgotten one does not eat the memory.
const UNDO_BYTES_MAX: usize = 256 * 1024 * 1024;
/// What a note costs besides its key and value, about.
const NOTE_BYTES: usize = 100;

/// The notes of all open views.
#[derive(Default)]
pub(super) struct Undos {
    next: u64,
    open: BTreeMap<u64, Undo>,
}

impl Undos {
    /// Starts to take notes for a new view.
    pub fn open(&mut self) -> u64 {
        self.next += 1;
        self.open.insert(self.next, Undo::default());
        self.next
    }

    /// Drops a view's notes.
    pub fn close(&mut self, id: u64) {
        self.open.remove(&id);
    }

    /// The notes of a view.
    pub fn of(&self, id: u64) -> Result<&Undo, Error> {
        let undo = self.open.get(&id).expect("a view's notes are dropped only with it");
        if undo.expired { Err(Error::ViewExpired) } else { Ok(undo) }
    }

    /// Notes what is at the keys before they are written, for the views that have no note of them yet.
    pub fn note<'a>(
        &mut self,
        keys: impl Iterator<Item = &'a Bytes>,
        read: impl Fn(&[u8]) -> Result<Option<Bytes>, Error>,
    ) -> Result<(), Error> {
        if self.open.is_empty() {
            return Ok(());
        }
        for key in keys {
            let mut before = None;
            for undo in self.open.values_mut().filter(|undo| undo.wants(key)) {
                if before.is_none() {
                    before = Some(read(key)?);
                }
                undo.insert(key.clone(), before.clone().expect("it was read above"));
            }
        }
        Ok(())
    }
}

/// The notes of one view.
#[derive(Default)]
pub(super) struct Undo {
    before: Writes,
    size_bytes: usize,
    expired: bool,
}

/// Some of a range, as a view sees it.
pub(super) struct Page {
    /// Keys and values, in the order asked for.
    pub found: Vec<(Bytes, Bytes)>,
    /// The last key looked at, if there may be more after it.
    pub last: Option<Bytes>,
}

impl Undo {
    fn wants(&self, key: &Bytes) -> bool {
        !self.expired && !self.before.contains_key(key)
    }

    fn insert(&mut self, key: Bytes, before: Option<Bytes>) {
        self.size_bytes += NOTE_BYTES + key.len() + before.as_ref().map_or(0, Bytes::len);
        self.before.insert(key, before);
        if self.size_bytes > UNDO_BYTES_MAX {
            self.expired = true;
            self.before = Writes::new();
        }
    }

    /// What was at `key` when the view was opened, if it was written since.
    pub fn get(&self, key: &[u8]) -> Option<&Option<Bytes>> {
        self.before.get(key)
    }

    /// Merges the notes over the `live` keys and values, which come in the order asked for, looking at no
    /// more than `keys_max` keys.
    pub fn page(
        &self,
        bounds: &Bounds,
        reverse: bool,
        keys_max: usize,
        live: impl FnMut() -> Result<Option<(Bytes, Bytes)>, Error>,
    ) -> Result<Page, Error> {
        let mut range = self.before.range(bounds.clone());
        let notes = std::iter::from_fn(|| if reverse { range.next_back() } else { range.next() });
        let mut notes = notes.map(|(key, before)| (key.clone(), before.clone())).peekable();
        let mut live = fused(live).peekable();
        let mut page = Page { found: Vec::with_capacity(keys_max), last: None };
        for _ in 0..keys_max {
            let Some((key, value)) = next(&mut notes, &mut live, reverse)? else {
                page.last = None;
                return Ok(page);
            };
            page.last = Some(key.clone());
            page.found.extend(value.map(|value| (key, value)));
        }
        Ok(page)
    }
}

/// A fallible source as an iterator.
fn fused<T>(mut source: impl FnMut() -> Result<Option<T>, Error>) -> impl Iterator<Item = Result<T, Error>> {
    std::iter::from_fn(move || source().transpose()).fuse()
}

/// The next key of either, with its value in the view. Where both have it the note is right.
fn next(
    notes: &mut Peekable<impl Iterator<Item = (Bytes, Option<Bytes>)>>,
    live: &mut Peekable<impl Iterator<Item = Result<(Bytes, Bytes), Error>>>,
    reverse: bool,
) -> Result<Option<(Bytes, Option<Bytes>)>, Error> {
    let order = match (notes.peek(), live.peek()) {
        (None, _) => std::cmp::Ordering::Greater,
        (Some(_), None) => std::cmp::Ordering::Less,
        (Some(_), Some(Err(_))) => std::cmp::Ordering::Greater,
        (Some((note, _)), Some(Ok((key, _)))) if reverse => key.cmp(note),
        (Some((note, _)), Some(Ok((key, _)))) => note.cmp(key),
    };
    if order.is_gt() {
        let found = live.next().transpose()?;
        return Ok(found.map(|(key, value)| (key, Some(value))));
    }
    if order.is_eq() {
        live.next().transpose()?;
    }
    Ok(notes.next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_that_needs_too_much_expires_alone() {
        let mut undos = Undos::default();
        let old = undos.open();
        let value = Bytes::from(vec![0; 32 * 1024 * 1024]);
        let key = |n: u8| Bytes::copy_from_slice(&[n]);
        for n in 0..8 {
            assert!(undos.of(old).is_ok());
            undos.note([key(n)].iter(), |_| Ok(Some(value.clone()))).unwrap();
        }
        assert!(matches!(undos.of(old), Err(Error::ViewExpired)));
        let young = undos.open();
        undos.note([key(1)].iter(), |_| Ok(None)).unwrap();
        undos.note([key(1)].iter(), |_| panic!("the first note counts")).unwrap();
        assert_eq!(undos.of(young).unwrap().get(&[1]), Some(&None));
        undos.close(old);
        undos.close(young);
        undos.note([key(2)].iter(), |_| panic!("nobody wants it")).unwrap();
    }
}
