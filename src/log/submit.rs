//! Submitting: what changes a group. Each call checks, changes the state callers see, and queues the work, all
//! under the group's lock, so that the queue has a group's work in the order its callers saw.

use std::sync::{Arc, atomic::Ordering};

use bytes::Bytes;

use super::{
    group::{Cell, Group, Hard},
    handle::{Done, Log},
    queue::{Action, Operation},
    run::{Index, first_index},
    segment::Lane,
};
use crate::model::id::{GroupId, Position};

/// The entries of one append stay together in one segment, whose offsets have 4 bytes.
const APPEND_BYTES_MAX: usize = 1 << 30;
/// Every segment starts with every group's vote.
const VOTE_BYTES_MAX: usize = 1024;

impl Log {
    /// Adds entries behind the group's last. They can be read as soon as this returns, and `done` is called
    /// when they are durable, or with the reason why they are not in the log.
    ///
    /// # Panics
    /// If the indexes do not go on from the last one, or a term falls.
    pub fn append(&self, group: GroupId, entries: Vec<(Position, Bytes)>, done: Done) {
        let shared = &self.0.shared;
        shared.resume_if_space();
        let tail_bytes = &shared.counters.tail_bytes;
        self.submit(group, true, done, |group| {
            let Some((last, _)) = entries.last() else { return Action::Nothing };
            check_entries(group, &entries);
            group.hard.last = Some(*last);
            tail_bytes.fetch_add(group.tail.extend(&entries), Ordering::Relaxed);
            Action::Append { entries, generation: group.generation }
        });
    }

    /// Drops the entries behind `after` (all, if `None`), which must not have been committed.
    ///
    /// # Panics
    /// If `after` is below the floor, or the entry there has another term.
    pub fn truncate(&self, group: GroupId, after: Option<Position>, done: Done) {
        let tail_bytes = &self.0.shared.counters.tail_bytes;
        self.submit(group, false, done, |group| {
            let (floor, last) = (group.hard.floor, group.hard.last);
            let index = |position: Option<Position>| position.map(|position| position.index);
            if index(after) >= index(last) {
                return Action::Nothing;
            }
            assert!(index(after) >= index(floor), "the log is cut behind its floor {floor:?}, not {after:?}");
            if let Some(after) = after {
                let term = group.term_of(after.index);
                assert_eq!(term, Some(after.term), "the log is cut behind an entry it has, not {after}");
            }
            group.hard.last = after;
            group.generation += 1;
            tail_bytes.fetch_sub(group.tail.cut(first_index(after)), Ordering::Relaxed);
            Action::Truncate { after }
        });
    }

    /// Saves the group's vote in order with its appends. Opaque here, and small.
    pub fn save_vote(&self, group: GroupId, vote: Bytes, done: Done) {
        assert!(vote.len() <= VOTE_BYTES_MAX, "a vote of {} bytes is too long to be one", vote.len());
        self.submit(group, false, done, |group| {
            group.hard.vote = Some(vote.clone());
            Action::Vote(vote)
        });
    }

    /// Moves the floor: everything up to and including `upto` is gone. It may go beyond the last entry, when a
    /// snapshot was installed: the log is then empty and goes on behind the floor. It never moves back.
    ///
    /// # Panics
    /// If the log has an entry at that index of another term.
    pub fn trim(&self, group: GroupId, upto: Position, done: Done) {
        let tail_bytes = &self.0.shared.counters.tail_bytes;
        self.submit(group, false, done, |group| {
            if group.hard.floor.is_some_and(|floor| upto.index <= floor.index) {
                return Action::Nothing;
            }
            if let Some(term) = group.term_of(upto.index) {
                assert_eq!(term, upto.term, "the floor is an entry of the log, not {upto}");
            }
            group.hard.floor = Some(upto);
            if group.hard.last.is_none_or(|last| last.index < upto.index) {
                group.hard.last = Some(upto);
            }
            tail_bytes.fetch_sub(group.tail.drop_below(upto.index + 1), Ordering::Relaxed);
            Action::Floor(upto)
        });
    }

    /// Sends the group's later entries to `lane`. Those it has stay where they are.
    pub fn set_lane(&self, group: GroupId, lane: Lane, done: Done) {
        self.submit(group, false, done, |group| {
            if group.hard.lane == lane {
                return Action::Nothing;
            }
            group.hard.lane = lane;
            Action::Lane(lane)
        });
    }

    /// Forgets the group, durably: it has no state and no entries any more, and holds no segment. A group of
    /// the same id may begin anew.
    pub fn remove(&self, group: GroupId, done: Done) {
        let shared = &self.0.shared;
        self.submit(group, false, done, |locked| {
            locked.removed = true;
            locked.generation += 1;
            locked.hard = Hard::default();
            shared.counters.tail_bytes.fetch_sub(locked.tail.clear(), Ordering::Relaxed);
            shared.cells_mut().remove(&group);
            Action::Remove
        });
    }

    /// Calls `done` when everything submitted before is durable.
    pub fn sync(&self, done: Done) {
        match self.0.shared.queue.enter(false, || self.0.shared.full()) {
            Ok(entrance) => entrance.push(Operation { work: None, done }),
            Err(error) => return done(Err(error)),
        }
        self.0.submitted();
    }

    /// Lets `change` check and change the group, and queues the work it returns.
    fn submit(&self, id: GroupId, append: bool, done: Done, change: impl FnOnce(&mut Group) -> Action) {
        let shared = &self.0.shared;
        self.0.wait_for_room();
        let cell = self.cell_or_new(id);
        let mut group = cell.lock();
        if group.removed {
            // Removed between looking it up and locking it: it begins anew.
            drop(group);
            return self.submit(id, append, done, change);
        }
        match shared.queue.enter(append, || shared.full()) {
            Ok(entrance) => {
                let action = change(&mut group);
                entrance.push(Operation { work: Some((cell.clone(), action)), done });
            }
            Err(error) => {
                drop(group);
                return done(Err(error));
            }
        }
        drop(group);
        self.0.submitted();
    }

    fn cell_or_new(&self, id: GroupId) -> Arc<Cell> {
        if let Some(cell) = self.0.shared.cell(id) {
            return cell;
        }
        let mut cells = self.0.shared.cells_mut();
        cells.entry(id).or_insert_with(|| Cell::new(id, Hard::default(), Index::default())).clone()
    }
}

fn check_entries(group: &Group, entries: &[(Position, Bytes)]) {
    let (mut index, mut term) = (group.next_index(), group.hard.last.map_or(0, |last| last.term));
    let mut bytes = 0_usize;
    for (position, payload) in entries {
        assert_eq!(position.index, index, "the entry behind {:?} has the next index", group.hard.last);
        assert!(position.term >= term, "terms do not fall: {position} behind term {term}");
        (index, term) = (index + 1, position.term);
        bytes += payload.len() + 4;
    }
    assert!(bytes <= APPEND_BYTES_MAX, "an append has at most {APPEND_BYTES_MAX} bytes, not {bytes}");
}
