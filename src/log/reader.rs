//! Reading: from the tail where it reaches, from segments before it. A group's lock is held only to look up
//! what to read; the disk is read without any lock. A segment that is trimmed meanwhile is not overwritten
//! as long as a reader holds it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use bytes::Bytes;

use super::{
    error::Error,
    frame::{self, Kind},
    group::{Group, lock},
    handle::Shared,
    run::{FrameAt, Frames},
    segment::{SealedFrames, Segment},
};
use crate::model::id::{GroupId, Position};

/// One read of the disk takes at most this, unless one frame is larger.
const READ_BYTES_MAX: u64 = 4 << 20;
/// Frames of other groups are read along if they are no more than this between two of ours.
const READ_GAP_BYTES: u64 = 16 << 10;
/// Frames that the cache of sealed segments' lists may hold, 24 bytes each.
const CACHE_FRAMES_MAX: usize = 1 << 20;

/// Lists of frames of sealed segments, read lately.
#[derive(Default)]
pub(super) struct FrameCache {
    lists: Mutex<VecDeque<CachedList>>,
}

/// A list, by the segment's sequence and its offset there.
type CachedList = ((u64, u32), Arc<Vec<FrameAt>>);

impl FrameCache {
    fn get(&self, segment: &Segment, group: GroupId, at: &SealedFrames) -> Result<Arc<Vec<FrameAt>>, Error> {
        let key = (segment.sequence, at.offset);
        let mut lists = lock(&self.lists);
        if let Some(place) = lists.iter().position(|(cached, _)| *cached == key) {
            let list = lists.remove(place).expect("a place just found");
            let frames = list.1.clone();
            lists.push_back(list);
            return Ok(frames);
        }
        drop(lists);
        let frames = Arc::new(segment.sealed_frames(group, at)?);
        let mut lists = lock(&self.lists);
        lists.push_back((key, frames.clone()));
        let mut total: usize = lists.iter().map(|(_, frames)| frames.len()).sum();
        while total > CACHE_FRAMES_MAX && lists.len() > 1 {
            total -= lists.pop_front().map_or(0, |(_, frames)| frames.len());
        }
        Ok(frames)
    }
}

/// What to read next.
enum Step {
    End,
    Disk(Stretch),
}

/// Entries of one run, below `end`.
struct Stretch {
    segment: Arc<Segment>,
    term: u64,
    end: u64,
    frames: Frames,
}

/// A read under way.
struct Reading<'a> {
    shared: &'a Shared,
    group: GroupId,
    next: u64,
    to: u64,
    left: usize,
    entries: Vec<(Position, Bytes)>,
}

pub(super) fn read(
    shared: &Shared,
    group: GroupId,
    from: u64,
    to: u64,
    bytes_max: usize,
) -> Result<Vec<(Position, Bytes)>, Error> {
    let Some(cell) = shared.cell(group) else { return Ok(Vec::new()) };
    let mut reading = Reading { shared, group, next: from, to, left: bytes_max, entries: Vec::new() };
    let mut generation = None;
    loop {
        let step = {
            let locked = cell.lock();
            // After a truncation the entries read so far and those to come may not be of one log.
            if *generation.get_or_insert(locked.generation) != locked.generation {
                return Ok(reading.entries);
            }
            reading.step(&locked)?
        };
        let Step::Disk(stretch) = step else { return Ok(reading.entries) };
        if !reading.read_stretch(&stretch)? {
            return Ok(reading.entries);
        }
    }
}

impl Reading<'_> {
    /// Takes what the tail has, or says where on disk to go on.
    fn step(&mut self, group: &Group) -> Result<Step, Error> {
        if let Some(floor) = group.hard.floor
            && self.next <= floor.index
        {
            let error = Error::Trimmed { group: self.group, index: self.next, floor };
            return if self.entries.is_empty() { Err(error) } else { Ok(Step::End) };
        }
        let end = self.to.min(group.next_index());
        if self.next >= end {
            return Ok(Step::End);
        }
        let tail_first = group.tail.first().unwrap_or(u64::MAX);
        if self.next >= tail_first {
            while self.next < end
                && let Some((position, bytes)) = group.tail.get(self.next)
                && self.take(*position, bytes.len(), || bytes.clone())
            {}
            return Ok(Step::End);
        }
        let run = group.index.run_of(self.next).expect("an entry before the tail is durable");
        let end = end.min(run.last + 1).min(tail_first);
        let frames = match &run.frames {
            Frames::Open(frames) => Frames::Open(pick(frames, self.next, end, self.left).to_vec()),
            Frames::Sealed(sealed) => Frames::Sealed(*sealed),
        };
        Ok(Step::Disk(Stretch { segment: run.segment.clone(), term: run.term, end, frames }))
    }

    /// Adds an entry; false if there is no more room for it.
    fn take(&mut self, position: Position, length: usize, bytes: impl FnOnce() -> Bytes) -> bool {
        assert_eq!(position.index, self.next, "entries are read without a gap");
        if length > self.left && !self.entries.is_empty() {
            return false;
        }
        self.left = self.left.saturating_sub(length);
        self.next += 1;
        self.entries.push((position, bytes()));
        true
    }

    /// Reads from disk; false if there is no more room.
    fn read_stretch(&mut self, stretch: &Stretch) -> Result<bool, Error> {
        let list;
        let frames = match &stretch.frames {
            Frames::Open(frames) => frames.as_slice(),
            Frames::Sealed(sealed) => {
                list = self.shared.cache.get(&stretch.segment, self.group, sealed)?;
                pick(&list, self.next, stretch.end, self.left)
            }
        };
        let before = self.next;
        let mut rest = frames;
        while let Some((first, _)) = rest.split_first() {
            let (together, later) = rest.split_at(adjacent(rest));
            let last = together.last().unwrap_or(first);
            let length = last.offset + last.length - first.offset;
            let bytes = Bytes::from(stretch.segment.read(u64::from(first.offset), length as usize)?);
            for (at, frame) in together.iter().enumerate() {
                let start = (frame.offset - first.offset) as usize;
                let bytes = bytes.slice(start..start + frame.length as usize);
                let following = together.get(at + 1).or(later.first());
                let end = following.map_or(stretch.end, |frame| frame.first.min(stretch.end));
                if !self.read_frame(stretch, frame, bytes, end)? {
                    return Ok(false);
                }
            }
            rest = later;
        }
        if self.next == before {
            let what = "a list of frames lacks an entry";
            return Err(stretch.segment.corrupt(0, Some(self.group), what));
        }
        Ok(true)
    }

    /// Takes the entries of one frame below `end`; false if there is no more room.
    fn read_frame(&mut self, stretch: &Stretch, at: &FrameAt, bytes: Bytes, end: u64) -> Result<bool, Error> {
        let corrupt = |what| Err(stretch.segment.corrupt(u64::from(at.offset), Some(self.group), what));
        let Some((head, length)) = frame::decode(&bytes, stretch.segment.seed) else {
            return corrupt("the checksum of a frame does not match");
        };
        if length != bytes.len() || head.kind != Kind::Entries || head.group != self.group {
            return corrupt("a frame is not the one that was written there");
        }
        if head.index != at.first || head.term != stretch.term || head.count != at.count {
            return corrupt("a frame does not hold the entries that were written there");
        }
        let mut room = true;
        let ranges = frame::entry_ranges(&bytes, head.count, |ordinal, range| {
            let index = head.index + u64::from(ordinal);
            if room && index >= self.next && index < end {
                let position = Position::new(head.term, index);
                room = self.take(position, range.len(), || bytes.slice(range.clone()));
            }
        });
        match ranges {
            Some(()) => Ok(room),
            None => Err(stretch.segment.corrupt(
                u64::from(at.offset),
                Some(self.group),
                "the lengths of a frame's entries do not add up",
            )),
        }
    }
}

/// Of a run's frames, those that hold entries from `next` on and below `end`, as many as it takes to find
/// `bytes` bytes in them, and at least one.
fn pick(frames: &[FrameAt], next: u64, end: u64, bytes: usize) -> &[FrameAt] {
    let start = frames.partition_point(|frame| frame.first <= next).saturating_sub(1);
    let frames = &frames[start..];
    let mut found = 0;
    let mut count = 0;
    for frame in frames {
        // The first frame may begin long before `next`, so it is not counted.
        if frame.first >= end || (count > 1 && found >= bytes) {
            break;
        }
        found += if count == 0 { 0 } else { frame.length as usize };
        count += 1;
    }
    &frames[..count]
}

/// How many of the frames, from the first on, are worth reading at once.
fn adjacent(frames: &[FrameAt]) -> usize {
    let start = frames.first().map_or(0, |frame| u64::from(frame.offset));
    let mut end = start;
    let mut count = 0;
    for frame in frames {
        let offset = u64::from(frame.offset);
        let next_end = offset + u64::from(frame.length);
        if count > 0 && (offset - end > READ_GAP_BYTES || next_end - start > READ_BYTES_MAX) {
            break;
        }
        end = next_end;
        count += 1;
    }
    count
}
