//! Random histories on every engine, against maps that do the same.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::contract::{Subject, all, read};
use super::{Engine, ItemsView};
use crate::model::id::GroupId;
use crate::partition::Batch;

/// Groups own the keys that begin with their number.
const GROUPS: u8 = 3;

#[derive(Clone, Debug)]
enum Step {
    Commit { group: u8, writes: Vec<(u8, Option<u16>)> },
    Import { group: u8, chunks: Vec<Vec<(u8, u16)>>, finished: bool },
    Remove { group: u8 },
    Range { from: Bound<(u8, u8)>, to: Bound<(u8, u8)>, reverse: bool },
    OpenView,
    CheckView { nth: usize },
    Flush,
    Reopen,
    Crash,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Model {
    items: BTreeMap<Bytes, Bytes>,
    states: BTreeMap<GroupId, Bytes>,
}

fn key(group: u8, n: u8) -> Bytes {
    Bytes::copy_from_slice(&[group, n])
}

fn value(n: u16) -> Bytes {
    Bytes::from(vec![n as u8; usize::from(n)])
}

impl Model {
    fn forget(&mut self, group: u8) {
        self.states.remove(&GroupId(group.into()));
        self.items.retain(|key, _| key[0] != group);
    }

    fn check(&self, view: &dyn ItemsView) -> Result<(), TestCaseError> {
        let expected: Vec<(Bytes, Bytes)> = self.items.clone().into_iter().collect();
        prop_assert_eq!(all(view), expected);
        for n in 0..20 {
            let key = key(n % GROUPS, n);
            prop_assert_eq!(view.get(&key).unwrap(), self.items.get(&key).cloned());
        }
        prop_assert_eq!(view.groups().unwrap(), self.states.keys().copied().collect::<Vec<_>>());
        for group in (0..GROUPS).map(|group| GroupId(group.into())) {
            prop_assert_eq!(view.state(group).unwrap(), self.states.get(&group).cloned());
        }
        Ok(())
    }

    fn range(&self, from: Bound<(u8, u8)>, to: Bound<(u8, u8)>, reverse: bool) -> Vec<(Bytes, Bytes)> {
        let inside = |found: &Bytes| {
            let after = match from {
                Bound::Included((group, n)) => *found >= key(group, n),
                Bound::Excluded((group, n)) => *found > key(group, n),
                Bound::Unbounded => true,
            };
            let before = match to {
                Bound::Included((group, n)) => *found <= key(group, n),
                Bound::Excluded((group, n)) => *found < key(group, n),
                Bound::Unbounded => true,
            };
            after && before
        };
        let mut found: Vec<_> = self.items.clone().into_iter().filter(|(key, _)| inside(key)).collect();
        if reverse {
            found.reverse();
        }
        found
    }
}

fn bound() -> impl Strategy<Value = Bound<(u8, u8)>> {
    let at = (0..GROUPS, 0..20_u8);
    prop_oneof![at.clone().prop_map(Bound::Included), at.prop_map(Bound::Excluded), Just(Bound::Unbounded)]
}

fn step() -> impl Strategy<Value = Step> {
    let writes = proptest::collection::vec((0..20_u8, proptest::option::weighted(0.7, 0..600_u16)), 0..12);
    let chunks = proptest::collection::vec(proptest::collection::vec((0..20_u8, 0..600_u16), 0..8), 0..3);
    prop_oneof![
        8 => (0..GROUPS, writes).prop_map(|(group, writes)| Step::Commit { group, writes }),
        2 => (0..GROUPS, chunks, any::<bool>())
            .prop_map(|(group, chunks, finished)| Step::Import { group, chunks, finished }),
        1 => (0..GROUPS).prop_map(|group| Step::Remove { group }),
        6 => (bound(), bound(), any::<bool>()).prop_map(|(from, to, reverse)| Step::Range { from, to, reverse }),
        3 => Just(Step::OpenView),
        3 => (0..4_usize).prop_map(|nth| Step::CheckView { nth }),
        1 => Just(Step::Flush),
        1 => Just(Step::Reopen),
        1 => Just(Step::Crash),
    ]
}

/// The subject, and what it should be.
struct Run {
    subject: Subject,
    engine: Engine,
    model: Model,
    flushed: Model,
    views: Vec<(Arc<dyn ItemsView>, Model)>,
    states: u32,
}

impl Run {
    fn new(engine: Engine) -> Self {
        let (model, flushed, views) = (Model::default(), Model::default(), Vec::new());
        Self { subject: Subject::new(engine), engine, model, flushed, views, states: 0 }
    }

    fn next_state(&mut self) -> Bytes {
        self.states += 1;
        Bytes::from(self.states.to_string())
    }

    fn import(
        &mut self,
        group: u8,
        chunks: Vec<Vec<(u8, u16)>>,
        finished: bool,
    ) -> Result<(), TestCaseError> {
        let items = self.subject.items.clone();
        let id = GroupId(group.into());
        items.import_begin(id, &[group], Some(&[group + 1])).unwrap();
        self.model.forget(group);
        let chunks: Vec<Vec<_>> = chunks
            .into_iter()
            .map(|chunk| chunk.into_iter().map(|(n, v)| (key(group, n), value(v))).collect())
            .collect();
        for chunk in &chunks {
            items.import_chunk(id, chunk).unwrap();
        }
        self.model.check(&*items.view().unwrap())?;
        if finished {
            let state = self.next_state();
            items.import_finish(id, state.clone()).unwrap();
            self.model.items.extend(chunks.into_iter().flatten());
            self.model.states.insert(id, state);
        } else {
            items.flush().unwrap();
            drop(items);
            self.views.clear();
            self.subject.reopen();
        }
        self.flushed = self.model.clone();
        Ok(())
    }

    fn take(&mut self, step: Step) -> Result<(), TestCaseError> {
        let items = self.subject.items.clone();
        match step {
            Step::Commit { group, writes } => {
                let writes: Vec<_> = writes.into_iter().map(|(n, v)| (key(group, n), v.map(value))).collect();
                for (key, value) in writes.clone() {
                    match value {
                        Some(value) => self.model.items.insert(key, value),
                        None => self.model.items.remove(&key),
                    };
                }
                let (group, state) = (GroupId(group.into()), self.next_state());
                self.model.states.insert(group, state.clone());
                items.commit(Batch { group, state, writes }).unwrap();
            }
            Step::Import { group, chunks, finished } => {
                drop(items);
                self.import(group, chunks, finished)?;
            }
            Step::Remove { group } => {
                items.remove(GroupId(group.into()), &[group], Some(&[group + 1])).unwrap();
                self.model.forget(group);
            }
            Step::Range { from, to, reverse } => {
                let expected = self.model.range(from, to, reverse);
                let (from, to) = (from.map(|(group, n)| [group, n]), to.map(|(group, n)| [group, n]));
                let (from, to) = (from.as_ref().map(|key| &key[..]), to.as_ref().map(|key| &key[..]));
                prop_assert_eq!(read(&*items, from, to, reverse), expected);
            }
            Step::OpenView if self.views.len() < 4 => {
                self.views.push((items.view().unwrap(), self.model.clone()))
            }
            Step::OpenView => {
                self.views.remove(0);
            }
            Step::CheckView { nth } => {
                if let Some((view, model)) = self.views.get(nth) {
                    model.check(&**view)?;
                }
            }
            Step::Flush => {
                items.flush().unwrap();
                self.flushed = self.model.clone();
            }
            Step::Reopen => {
                drop(items);
                self.views.clear();
                self.subject.reopen();
            }
            Step::Crash => {
                drop(items);
                if self.engine == Engine::Memory {
                    self.model = self.flushed.clone();
                } else {
                    // A copy of the files holds at least what was flushed: make that everything.
                    self.subject.items.flush().unwrap();
                }
                self.views.clear();
                self.subject.crash();
                self.model.check(&*self.subject.items.view().unwrap())?;
            }
        }
        Ok(())
    }
}

fn history(engine: Engine, cases: u32, steps: usize) {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(steps in proptest::collection::vec(step(), 1..steps))| {
        let mut run = Run::new(engine);
        for step in steps {
            run.take(step)?;
        }
        run.model.check(&*run.subject.items.view().unwrap())?;
        for (view, model) in &run.views {
            model.check(&**view)?;
        }
    });
}

#[test]
fn memory_does_what_a_map_does() {
    history(Engine::Memory, 300, 60);
}

#[test]
fn fjall_does_what_a_map_does() {
    history(Engine::Fjall, 24, 60);
}

#[test]
fn sled_does_what_a_map_does() {
    history(Engine::Sled, 24, 60);
}
