//! What the writer does in memory once a batch is on disk, or could not be: it moves the durable state of
//! groups, drops runs, frees segments, evicts tails, and sets groups back when the disk was full.

use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, atomic::Ordering},
};

use super::{
    error::Error,
    group::{Cell, Hard},
    queue::{Action, Operation},
    run::first_index,
    segment::Lane,
    writer::{Durable, Encoded, LaneFile, Live, Placed, Writer},
};
use crate::model::id::Position;

impl Writer {
    /// Ends the batch under way, whose lanes were written except those that failed.
    pub fn commit(&mut self, failed: &[Option<Error>; 2]) {
        let mut placed = mem::take(&mut self.placed).into_iter();
        for Encoded { operation, lane, frames } in mem::take(&mut self.batch) {
            let mut placed = placed.by_ref().take(frames);
            let has_failed = |lane: Lane| failed[lane as usize].is_some();
            if lane.map_or_else(|| Lane::ALL.into_iter().any(has_failed), has_failed) {
                placed.for_each(drop);
                self.refused.push(operation);
                continue;
            }
            let Operation { work, done } = operation;
            if let (Some((cell, action)), Some(lane)) = (work, lane) {
                self.commit_action(&cell, lane, action, &mut placed);
            }
            self.finished.push((done, Ok(())));
        }
        self.release_dead();
        self.evict();
    }

    fn commit_action(
        &mut self,
        cell: &Arc<Cell>,
        lane: Lane,
        action: Action,
        placed: &mut dyn Iterator<Item = Placed>,
    ) {
        if let Action::Remove = action {
            return self.commit_remove(cell);
        }
        let durable = self
            .groups
            .entry(cell.id)
            .or_insert_with(|| Durable { hard: Hard::default(), cell: cell.clone() });
        assert!(Arc::ptr_eq(&durable.cell, cell), "group {} is removed before it begins anew", cell.id);
        let hard = &mut durable.hard;
        let live = &mut self.live;
        let left = |segment: &Arc<super::segment::Segment>| forget_run(live, segment.sequence);
        match action {
            Action::Append { entries, generation } => {
                let last = entries.last().map(|(position, _)| *position);
                self.commit_append(cell, lane, last.expect("an append has an entry"), generation, placed);
            }
            Action::Truncate { after } => {
                hard.last = after;
                let mut group = cell.lock();
                group.index.cut(first_index(after), left);
                group.index.end_run();
            }
            Action::Vote(vote) => hard.vote = Some(vote),
            Action::Floor(floor) => {
                hard.floor = Some(floor);
                if hard.last.is_none_or(|last| last.index < floor.index) {
                    hard.last = Some(floor);
                }
                cell.lock().index.trim(floor.index, left);
            }
            Action::Lane(lane) => {
                hard.lane = lane;
                cell.lock().index.end_run();
            }
            Action::Remove | Action::Nothing => {}
        }
    }

    fn commit_append(
        &mut self,
        cell: &Arc<Cell>,
        lane: Lane,
        last: Position,
        generation: u64,
        placed: &mut dyn Iterator<Item = Placed>,
    ) {
        let active = self.lanes[lane as usize].active.as_mut().expect("the segment just written");
        let durable = self.groups.get_mut(&cell.id).expect("the caller has looked it up");
        let mut group = cell.lock();
        for Placed { term, number, frame } in placed {
            let next = durable.hard.last.map_or(0, |last| last.index + 1);
            assert_eq!(frame.first, next, "a frame goes on behind {:?}", durable.hard.last);
            let frame_last = frame.first + u64::from(frame.count) - 1;
            durable.hard.last = Some(Position::new(term, frame_last));
            let began = group.index.add(&active.segment, term, number, frame, |segment| {
                panic!("entries of {segment:?} were truncated without a truncation");
            });
            if began {
                active.count_run(1);
                self.live.get_mut(&active.segment.sequence).expect("an active segment is live").runs += 1;
            } else {
                active.footer_bytes += super::segment::FRAME_AT_BYTES;
            }
        }
        assert_eq!(durable.hard.last, Some(last), "all of an append is on disk");
        if group.generation == generation {
            group.tail.set_durable(last.index + 1);
        }
        drop(group);
        active.cells.entry(cell.id).or_insert_with(|| cell.clone());
        match self.evictable.back_mut() {
            Some((back, end)) if Arc::ptr_eq(back, cell) => *end = last.index + 1,
            _ => self.evictable.push_back((cell.clone(), last.index + 1)),
        }
    }

    fn commit_remove(&mut self, cell: &Arc<Cell>) {
        self.groups.remove(&cell.id);
        for LaneFile { active, .. } in &mut self.lanes {
            if let Some(active) = active {
                active.cells.remove(&cell.id);
            }
        }
        let live = &mut self.live;
        cell.lock().index.cut(0, |segment| forget_run(live, segment.sequence));
    }

    /// Hands the segments that hold nothing any more to the keeper. The last of a lane stays: recovery needs
    /// what it says about hard state.
    pub fn release_dead(&mut self) {
        let last = |lane: Lane| self.live.values().rfind(|live| live.segment.lane == lane);
        let kept = Lane::ALL.map(|lane| last(lane).map(|live| live.segment.sequence));
        let is_dead = |live: &Live| live.sealed && live.runs == 0;
        let dead: Vec<u64> = self
            .live
            .iter()
            .filter(|(sequence, live)| is_dead(live) && !kept.contains(&Some(**sequence)))
            .map(|(sequence, _)| *sequence)
            .collect();
        for sequence in dead {
            let live = self.live.remove(&sequence).expect("a segment just found");
            self.shared.counters.freed.fetch_add(1, Ordering::Relaxed);
            self.shared.keeper.free(live.segment);
        }
    }

    /// Drops the oldest durable entries from tails while these take too much.
    fn evict(&mut self) {
        let bytes = &self.shared.counters.tail_bytes;
        while bytes.load(Ordering::Relaxed) > self.shared.options.tail_bytes_max {
            let Some((cell, end)) = self.evictable.pop_front() else { return };
            bytes.fetch_sub(cell.lock().tail.evict(end), Ordering::Relaxed);
        }
        // What was trimmed leaves its record here, which would add up where tails stay small.
        if self.evictable.len() > self.evictable_max {
            self.evictable.retain(|(cell, end)| cell.lock().tail.first().is_some_and(|first| first < *end));
            self.evictable_max = (self.evictable.len() * 2).max(1024);
        }
    }

    /// Answers everything that waits with `error`. After a full disk groups are as they are durable.
    pub fn give_up(&mut self, error: &Error, mut operations: VecDeque<Operation>) {
        let full = matches!(error, Error::Full { .. });
        let error = if full { self.shared.full() } else { error.clone() };
        for lane in &mut self.lanes {
            lane.buffer.clear();
            lane.frames = 0;
        }
        self.placed.clear();
        let mut refused = mem::take(&mut self.refused);
        refused.extend(mem::take(&mut self.batch).into_iter().map(|encoded| encoded.operation));
        refused.extend(operations.drain(..));
        refused.extend(if full { self.shared.queue.refuse() } else { self.shared.queue.fail(&error) });
        if full {
            tracing::warn!(dir = %self.shared.dir.display(), "the disk is full, appends are refused");
            for (cell, _) in refused.iter().filter_map(|operation| operation.work.as_ref()) {
                self.set_back(cell);
            }
            self.shared.queue.refused();
        } else {
            tracing::error!(%error, "the log has failed and takes no more writes");
        }
        self.finished.extend(refused.into_iter().map(|operation| (operation.done, Err(error.clone()))));
    }

    /// Makes what callers see of a group what is on disk. The queue lets nothing in meanwhile.
    fn set_back(&self, cell: &Arc<Cell>) {
        let mut group = cell.lock();
        group.generation += 1;
        let freed = group.tail.clear();
        self.shared.counters.tail_bytes.fetch_sub(freed, Ordering::Relaxed);
        let durable = self.groups.get(&cell.id).filter(|durable| Arc::ptr_eq(&durable.cell, cell));
        let Some(durable) = durable else {
            // It began with what was refused.
            group.removed = true;
            drop(group);
            let mut cells = self.shared.cells_mut();
            if cells.get(&cell.id).is_some_and(|known| Arc::ptr_eq(known, cell)) {
                cells.remove(&cell.id);
            }
            return;
        };
        group.hard = durable.hard.clone();
        group.removed = false;
        drop(group);
        let replaced = self.shared.cells_mut().insert(cell.id, cell.clone());
        if let Some(replaced) = replaced
            && !Arc::ptr_eq(&replaced, cell)
        {
            replaced.lock().removed = true;
        }
    }

    /// Publishes gauges.
    pub fn publish(&self) {
        for lane in Lane::ALL {
            let of_lane = || self.live.values().filter(|live| live.segment.lane == lane);
            let (segments, bytes) = &self.shared.counters.lanes[lane as usize];
            segments.store(of_lane().count() as u64, Ordering::Relaxed);
            bytes.store(of_lane().map(|live| live.segment.capacity).sum(), Ordering::Relaxed);
        }
    }
}

/// Counts a run less in a segment.
fn forget_run(live: &mut std::collections::BTreeMap<u64, Live>, sequence: u64) {
    let live = live.get_mut(&sequence).expect("a run is in a live segment");
    assert!(live.runs > 0, "segment {sequence} has a run to forget");
    live.runs -= 1;
}
