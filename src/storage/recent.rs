//! What was committed and is in no table yet: sorted in memory, newest first.
//!
//! Commits go into the one open run. A view seals it, so that what the view sees stays as it is, and runs of similar
//! size are merged as they pile up: there are never more than about log2 of the entries. What is being written to
//! tables stays readable here until the tables are.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use bytes::Bytes;

use super::disk::{Bounds, Writes};
use crate::partition::Visit;

/// Values by key; `None` deletes. Never changed once it is shared.
type Run = BTreeMap<Bytes, Option<Bytes>>;

/// Runs, newest first.
#[derive(Clone, Default)]
pub(super) struct Runs(Vec<Arc<Run>>);

/// All that was committed and is in no table yet.
#[derive(Default)]
pub(super) struct Recent {
    open: Run,
    sealed: Runs,
    /// Being written to tables.
    leaving: Runs,
    bytes: usize,
    leaving_bytes: usize,
}

impl Recent {
    /// Takes in a commit.
    pub fn add(&mut self, writes: Writes) {
        let size = |(key, value): (&Bytes, &Option<Bytes>)| key.len() + value.as_ref().map_or(0, Bytes::len);
        self.bytes += writes.iter().map(size).sum::<usize>();
        // An `append` would rebuild the run: it is made for two maps of one size.
        self.open.extend(writes);
    }

    /// About how many bytes wait for a table.
    pub fn waiting_bytes(&self) -> usize {
        self.bytes
    }

    /// About how many bytes there are in all.
    pub fn bytes(&self) -> usize {
        self.bytes + self.leaving_bytes
    }

    /// What is known here of a key: `None` is nothing, `Some(None)` that it was deleted.
    pub fn get(&self, key: &[u8]) -> Option<Option<Bytes>> {
        let open = self.open.get(key).cloned();
        open.or_else(|| self.sealed.get(key)).or_else(|| self.leaving.get(key))
    }

    /// Everything as of now.
    pub fn view(&mut self) -> Runs {
        self.seal();
        Runs(self.sealed.0.iter().chain(&self.leaving.0).cloned().collect())
    }

    fn seal(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let mut run = std::mem::take(&mut self.open);
        let runs = &mut self.sealed.0;
        while runs.first().is_some_and(|older| older.len() < 2 * run.len()) {
            let older = runs.remove(0);
            let mut merged = Arc::unwrap_or_clone(older);
            merged.extend(run);
            run = merged;
        }
        runs.insert(0, Arc::new(run));
    }

    /// Gives everything that waits, to be written to tables, until [`left`](Self::left) says it is there.
    pub fn leave(&mut self) -> Runs {
        assert!(self.leaving.0.is_empty(), "one group of runs leaves at a time");
        self.seal();
        self.leaving = std::mem::take(&mut self.sealed);
        self.leaving_bytes = std::mem::take(&mut self.bytes);
        self.leaving.clone()
    }

    /// What left is in tables.
    pub fn left(&mut self) -> Runs {
        self.leaving_bytes = 0;
        std::mem::take(&mut self.leaving)
    }

    /// What was to leave stays: the tables could not be written.
    pub fn stay(&mut self) {
        self.sealed.0.append(&mut self.leaving.0);
        self.bytes += std::mem::take(&mut self.leaving_bytes);
    }
}

impl Runs {
    /// What they know of a key.
    pub fn get(&self, key: &[u8]) -> Option<Option<Bytes>> {
        self.0.iter().find_map(|run| run.get(key).cloned())
    }

    /// Visits the newest value of each key of a range, or its deletion, merged with those of `below`, which are older
    /// and sorted like the visit.
    pub fn merge<E, V: AsRef<[u8]>>(
        &self,
        bounds: &Bounds,
        reverse: bool,
        below: impl Iterator<Item = Result<(V, V), E>>,
        visit: &mut Visit<'_>,
    ) -> Result<(), E> {
        let bound = |end: &Bound<Bytes>| end.clone();
        let mut runs: Vec<_> = self
            .0
            .iter()
            .map(|run| run.range::<Bytes, _>((bound(&bounds.0), bound(&bounds.1))))
            .map(|range| Directed { range, reverse }.peekable())
            .collect();
        let mut below = below.peekable();
        loop {
            let found = match below.peek() {
                Some(Err(_)) => match below.next() {
                    Some(Err(error)) => return Err(error),
                    _ => unreachable!("it was an error a moment ago"),
                },
                Some(Ok((key, _))) => Some(key.as_ref()),
                None => None,
            };
            let first = |a: &[u8], b: &[u8]| if reverse { a > b } else { a < b };
            let mut next: Option<&[u8]> = None;
            for run in &mut runs {
                if let Some((key, _)) = run.peek()
                    && next.is_none_or(|next| first(key, next))
                {
                    next = Some(key);
                }
            }
            let flow = match (next, found) {
                (None, None) => return Ok(()),
                (Some(key), found) if found.is_none_or(|found| !first(found, key)) => {
                    let stale = found == Some(key);
                    let flow = advance(&mut runs, key, visit);
                    if stale {
                        below.next();
                    }
                    flow
                }
                _ => match below.next() {
                    Some(Ok((key, value))) => visit(key.as_ref(), value.as_ref()),
                    _ => unreachable!("there was a value a moment ago"),
                },
            };
            if flow.is_break() {
                return Ok(());
            }
        }
    }

    /// The newest value of each key, in order.
    pub fn for_each<E>(
        &self,
        mut each: impl FnMut(&Bytes, Option<&Bytes>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut runs: Vec<_> = self.0.iter().map(|run| run.iter().peekable()).collect();
        while let Some(key) = runs.iter_mut().filter_map(|run| run.peek().map(|(key, _)| *key)).min() {
            let mut newest = None;
            for run in &mut runs {
                if let Some((_, value)) = run.next_if(|(other, _)| *other == key) {
                    newest = newest.or(Some(value));
                }
            }
            each(key, newest.expect("the key came from one of the runs").as_ref())?;
        }
        Ok(())
    }
}

type Ranges<'a> = Vec<std::iter::Peekable<Directed<'a>>>;

/// Steps over a key in all runs, and visits the newest of its values unless that deletes it.
fn advance(runs: &mut Ranges<'_>, key: &[u8], visit: &mut Visit<'_>) -> ControlFlow<()> {
    let mut newest = None;
    for run in runs {
        if let Some((_, value)) = run.next_if(|(other, _)| other[..] == *key) {
            newest = newest.or(Some(value));
        }
    }
    match newest.and_then(Option::as_ref) {
        Some(value) => visit(key, value),
        None => ControlFlow::Continue(()),
    }
}

/// A range, in either direction.
struct Directed<'a> {
    range: std::collections::btree_map::Range<'a, Bytes, Option<Bytes>>,
    reverse: bool,
}

impl<'a> Iterator for Directed<'a> {
    type Item = (&'a Bytes, &'a Option<Bytes>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.reverse { self.range.next_back() } else { self.range.next() }
    }
}
