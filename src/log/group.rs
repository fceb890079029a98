//! One group in the log: its state as submitted, its tail, and where its durable entries are.
//!
//! Two views of a group exist. *Submitted* is what callers see and is here, behind the group's lock. *Durable*
//! is what is on disk: its runs are here too (readers need them), its hard state is the writer's alone.
//! Submitted is durable plus what waits in the queue. Locks are taken in this order: group, then queue.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::{
    run::{Index, first_index},
    segment::Lane,
    tail::Tail,
};
use crate::model::id::{GroupId, Position};

/// What the log knows of a group besides its entries. Every segment begins with that of all groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hard {
    pub vote: Option<Bytes>,
    pub floor: Option<Position>,
    pub last: Option<Position>,
    pub lane: Lane,
}

/// The state of a group as submitted: what has been asked for, durable or not yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupState {
    /// The vote saved last.
    pub vote: Option<Bytes>,
    /// The last position trimmed. Everything up to it is gone.
    pub floor: Option<Position>,
    /// The last position: of the last entry, or the floor if there is none behind it.
    pub last: Option<Position>,
    /// Where new entries go.
    pub lane: Lane,
    /// Index of the first entry, or of the next one if there is none.
    pub first_index: u64,
}

/// A group, shared by callers, readers and the writer.
#[derive(Debug)]
pub(super) struct Cell {
    pub id: GroupId,
    group: Mutex<Group>,
}

/// What is behind the lock.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// As submitted.
    pub hard: Hard,
    /// Forgotten: whoever still holds this cell must look the group up again.
    pub removed: bool,
    /// Counts truncations and resets: an append that was submitted before one must not mark what was
    /// submitted after it as durable.
    pub generation: u64,
    pub tail: Tail,
    /// As durable.
    pub index: Index,
}

impl Cell {
    pub fn new(id: GroupId, hard: Hard, index: Index) -> Arc<Self> {
        let group = Group { hard, index, ..Group::default() };
        Arc::new(Self { id, group: Mutex::new(group) })
    }

    pub fn lock(&self) -> MutexGuard<'_, Group> {
        lock(&self.group)
    }
}

impl Group {
    pub fn state(&self) -> GroupState {
        let Hard { vote, floor, last, lane } = self.hard.clone();
        GroupState { vote, floor, last, lane, first_index: first_index(floor) }
    }

    /// The index the next entry must have.
    pub fn next_index(&self) -> u64 {
        self.hard.last.map_or(0, |last| last.index + 1)
    }

    /// The term of the entry at `index`, or of the floor; `None` if there is no such entry.
    pub fn term_of(&self, index: u64) -> Option<u64> {
        match (self.hard.floor, self.hard.last) {
            (Some(floor), _) if index == floor.index => return Some(floor.term),
            (Some(floor), _) if index < floor.index => return None,
            (_, Some(last)) if index <= last.index => {}
            _ => return None,
        }
        if let Some((position, _)) = self.tail.get(index) {
            return Some(position.term);
        }
        self.index.run_of(index).map(|run| run.term)
    }
}

/// Locks. A thread that panicked on an assertion had changed nothing yet: assertions come before changes, so
/// what it held is sound, and one caller's error must not take the others down.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
