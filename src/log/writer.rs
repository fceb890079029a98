//! The writer: takes what waits, encodes it into one buffer a lane, writes and syncs. It owns everything that
//! is written. What becomes of it in memory is in `commit.rs`, moving on to another segment in `roll.rs`.

use std::{
    collections::{BTreeMap, VecDeque},
    mem,
    sync::{Arc, atomic::Ordering},
};

use super::{
    error::Error,
    frame::{self, FRAME_HEADER_BYTES, Head, Kind, align, narrow},
    group::{Cell, Hard},
    handle::{Done, Shared, WriteBatch, Writing},
    queue::{Action, Operation},
    recover::Recovered,
    run::{FrameAt, first_index},
    segment::{FRAME_AT_BYTES, Lane, RUN_BYTES, Segment, TRAILER_BYTES},
};
use crate::model::id::{GroupId, Position};

/// An entries frame takes at most this, unless one entry is larger: what a read must verify at least.
const FRAME_BYTES_MAX: u64 = 1 << 20;
/// A buffer that had to grow beyond this is given back.
const BUFFER_BYTES_MAX: usize = 16 << 20;

/// A group as it is on disk.
pub(super) struct Durable {
    pub hard: Hard,
    pub cell: Arc<Cell>,
}

/// A segment on disk, and how many runs it holds that still count.
pub(super) struct Live {
    pub segment: Arc<Segment>,
    pub runs: usize,
    pub sealed: bool,
}

/// The segment of a lane that is being written.
pub(super) struct Active {
    pub segment: Arc<Segment>,
    /// Where the next write goes: everything before is written and synced.
    pub position: u64,
    /// The life its next frames are of.
    pub life: u32,
    /// What stands at `position` may look like frames of this life: begin a new one first.
    pub reopen: bool,
    /// What footer and trailer will take at most.
    pub footer_bytes: u64,
    /// Groups that may have runs in it.
    pub cells: BTreeMap<GroupId, Arc<Cell>>,
    /// Whether the keeper was asked for its successor.
    pub asked: bool,
}

impl Active {
    pub fn new(segment: Arc<Segment>, position: u64, life: u32) -> Self {
        let (cells, footer_bytes) = (BTreeMap::new(), TRAILER_BYTES);
        Self { segment, position, life, reopen: false, footer_bytes, cells, asked: false }
    }

    /// Counts what a run of so many frames takes in the footer.
    pub fn count_run(&mut self, frames: usize) {
        self.footer_bytes += RUN_BYTES + frames as u64 * FRAME_AT_BYTES;
    }
}

/// A lane as the writer sees it.
#[derive(Default)]
pub(super) struct LaneFile {
    pub active: Option<Active>,
    /// Frames of the batch under way, to be written at the active segment's position.
    pub buffer: Vec<u8>,
    pub frames: u32,
}

/// An operation of the batch under way, encoded.
pub(super) struct Encoded {
    pub operation: Operation,
    /// The lane it is in; `None` for one that waits for all.
    pub lane: Option<Lane>,
    /// How many entries frames it became.
    pub frames: usize,
}

/// An entries frame of the batch under way.
pub(super) struct Placed {
    pub term: u64,
    pub number: u64,
    pub frame: FrameAt,
}

/// See above.
pub(super) struct Writer {
    pub shared: Arc<Shared>,
    pub lanes: [LaneFile; 2],
    pub groups: BTreeMap<GroupId, Durable>,
    pub live: BTreeMap<u64, Live>,
    pub number: u64,
    pub life: u32,
    pub sequence: u64,
    /// The batch under way, in order.
    pub batch: Vec<Encoded>,
    pub placed: Vec<Placed>,
    /// Operations that the disk had no space for.
    pub refused: Vec<Operation>,
    /// What is in tails, durable, in the order it was written.
    pub evictable: VecDeque<(Arc<Cell>, u64)>,
    pub evictable_max: usize,
    /// What is to be called once no lock is held.
    pub finished: Vec<(Done, Result<(), Error>)>,
}

impl Writer {
    pub fn new(shared: Arc<Shared>, recovered: Recovered) -> Self {
        let lanes = recovered.actives.map(|active| LaneFile { active, ..LaneFile::default() });
        Self {
            shared,
            lanes,
            groups: recovered.groups,
            live: recovered.live,
            number: recovered.number,
            life: recovered.life,
            sequence: recovered.sequence,
            batch: Vec::new(),
            placed: Vec::new(),
            refused: Vec::new(),
            evictable: VecDeque::new(),
            evictable_max: 1024,
            finished: Vec::new(),
        }
    }

    /// Writes all of `operations`, or refuses them; `finished` then says which.
    pub fn run(&mut self, operations: Vec<Operation>) {
        let mut operations = VecDeque::from(operations);
        let outcome = loop {
            let Some(operation) = operations.front() else { break self.flush() };
            let (lane, frames, ends_batch) = match self.encode(operation) {
                Ok(encoded) => encoded,
                Err(error) => break Err(error),
            };
            let operation = operations.pop_front().expect("the operation just encoded");
            self.batch.push(Encoded { operation, lane, frames });
            if ends_batch && let Err(error) = self.flush() {
                break Err(error);
            }
        };
        if let Err(error) = outcome {
            self.give_up(&error, operations);
        }
        self.publish();
    }

    /// Encodes an operation into its lane's buffer. Returns the lane (`None`: it waits for both), how many entries frames it became, and
    /// whether the batch must end with it.
    fn encode(&mut self, operation: &Operation) -> Result<(Option<Lane>, usize, bool), Error> {
        let Some((cell, action)) = &operation.work else { return Ok((None, 0, false)) };
        let lane = self.groups.get(&cell.id).map_or(Lane::Plain, |durable| durable.hard.lane);
        let at = |position: Position| (position.index, position.term);
        let (kind, (index, term), payload): (Kind, (u64, u64), &[u8]) = match action {
            Action::Nothing => return Ok((Some(lane), 0, false)),
            Action::Append { entries, .. } => {
                let frames = self.encode_append(lane, cell.id, entries)?;
                return Ok((Some(lane), frames, false));
            }
            Action::Truncate { after } => {
                (Kind::Truncate, (first_index(*after), after.map_or(0, |after| after.term)), &[])
            }
            Action::Vote(vote) => (Kind::Vote, (0, 0), vote),
            Action::Floor(upto) => (Kind::Floor, at(*upto), &[]),
            Action::Lane(Lane::Plain) => (Kind::Lane, (0, 0), &[Lane::Plain as u8]),
            Action::Lane(Lane::Stream) => (Kind::Lane, (0, 0), &[Lane::Stream as u8]),
            Action::Remove => (Kind::Remove, (0, 0), &[]),
        };
        let bytes = align((FRAME_HEADER_BYTES + payload.len()) as u64);
        self.make_room(lane, bytes, 0)?;
        let head = Head { number: 0, group: cell.id, index, term, life: 0, batch: 0, count: 0, kind };
        self.put(lane, head, |buffer, seed, head| frame::encode(buffer, seed, head, payload));
        // After either of these a group may go on in another lane, which must not be in the same write.
        let ends_batch = matches!(action, Action::Lane(_) | Action::Remove);
        Ok((Some(lane), 0, ends_batch))
    }

    /// An append becomes one frame for every term in it, and every `FRAME_BYTES_MAX`.
    fn encode_append(
        &mut self,
        lane: Lane,
        group: GroupId,
        entries: &[(Position, bytes::Bytes)],
    ) -> Result<usize, Error> {
        let chunks: Vec<_> = Chunks(entries).collect();
        let bytes = chunks.iter().map(|chunk| align(frame::entries_frame_bytes(chunk))).sum();
        self.make_room(lane, bytes, chunks.len() as u64)?;
        for &chunk in &chunks {
            let (first, _) = chunk.first().expect("a chunk has an entry");
            let count = narrow(chunk.len());
            let (index, term) = (first.index, first.term);
            let head = Head { number: 0, group, index, term, life: 0, batch: 0, count, kind: Kind::Entries };
            let (number, offset, length) =
                self.put(lane, head, |buffer, seed, head| frame::encode_entries(buffer, seed, head, chunk));
            let frame = FrameAt { first: index, offset, length, count };
            self.placed.push(Placed { term, number, frame });
        }
        Ok(chunks.len())
    }

    /// Puts a frame into a lane's buffer, for which there is room. Returns its number, offset and length.
    fn put(
        &mut self,
        lane: Lane,
        mut head: Head,
        encode: impl FnOnce(&mut Vec<u8>, u32, &Head) -> u32,
    ) -> (u64, u32, u32) {
        let LaneFile { active, buffer, frames } = &mut self.lanes[lane as usize];
        let active = active.as_ref().expect("room was made in a segment");
        assert!(!active.reopen, "a new life begins before the first frame is put");
        head.number = self.number;
        head.life = active.life;
        head.batch = narrow(active.position as usize);
        let offset = narrow(active.position as usize + buffer.len());
        let length = encode(buffer, active.segment.seed, &head);
        self.number += 1;
        *frames += 1;
        (head.number, offset, length)
    }

    /// Writes and syncs the batch under way, then does in memory what it says. An error of one lane leaves
    /// what the other lane wrote done.
    pub fn flush(&mut self) -> Result<(), Error> {
        let mut failed = [None, None];
        for lane in Lane::ALL {
            match self.write_lane(lane) {
                Err(error @ Error::Full { .. }) => failed[lane as usize] = Some(error),
                other => other?,
            }
        }
        self.commit(&failed);
        failed.into_iter().flatten().next().map_or(Ok(()), Err)
    }

    fn write_lane(&mut self, lane: Lane) -> Result<(), Error> {
        let clock = self.shared.options.clock.clone();
        let LaneFile { active, buffer, frames } = &mut self.lanes[lane as usize];
        if buffer.is_empty() {
            return Ok(());
        }
        let active = active.as_mut().expect("frames are put where there is a segment");
        let segment = &active.segment;
        let bytes = buffer.len();
        let frames = mem::take(frames);
        let begun = clock();
        let written = segment.write(active.position, buffer);
        buffer.clear();
        if buffer.capacity() > BUFFER_BYTES_MAX {
            buffer.shrink_to(BUFFER_BYTES_MAX);
        }
        if let Err(error) = written.map_err(Error::writing("write", &segment.path)) {
            // Part of it may be on disk now, and must never be taken for what comes next.
            self.life += 1;
            active.reopen = true;
            return Err(error);
        }
        let write_done = clock();
        segment.file.sync_data().map_err(Error::syncing(&segment.path))?;
        let sync_done = clock();
        active.position += bytes as u64;
        let (write, sync) = (write_done.saturating_sub(begun), sync_done.saturating_sub(write_done));
        self.observe(&WriteBatch { lane, frames, bytes, write, sync });
        self.look_ahead(lane);
        Ok(())
    }

    fn observe(&self, batch: &WriteBatch) {
        let counters = &self.shared.counters;
        counters.batches.fetch_add(1, Ordering::Relaxed);
        counters.syncs.fetch_add(1, Ordering::Relaxed);
        counters.frames.fetch_add(u64::from(batch.frames), Ordering::Relaxed);
        counters.bytes.fetch_add(batch.bytes as u64, Ordering::Relaxed);
        let nanos = u64::try_from(batch.sync.as_nanos()).unwrap_or(u64::MAX);
        counters.sync_nanos.fetch_add(nanos, Ordering::Relaxed);
        if let Some(observer) = &self.shared.options.observer {
            observer(batch);
        }
    }

    /// Has the keeper prepare what will be needed soon.
    fn look_ahead(&mut self, lane: Lane) {
        let Some(active) = self.lanes[lane as usize].active.as_mut() else { return };
        if !matches!(self.shared.options.writing, Writing::Threads) {
            return;
        }
        self.shared.keeper.fill(&active.segment, active.position);
        if !active.asked && active.position > active.segment.capacity / 2 {
            active.asked = true;
            self.shared.keeper.prepare();
        }
    }
}

/// Cuts entries where the term changes or a frame is full.
struct Chunks<'a>(&'a [(Position, bytes::Bytes)]);

impl<'a> Iterator for Chunks<'a> {
    type Item = &'a [(Position, bytes::Bytes)];

    fn next(&mut self) -> Option<Self::Item> {
        let (first, _) = self.0.first()?;
        let mut bytes = FRAME_HEADER_BYTES as u64;
        let mut count = 0;
        for (position, payload) in self.0 {
            bytes += 4 + payload.len() as u64;
            if position.term != first.term || (count > 0 && bytes > FRAME_BYTES_MAX) {
                break;
            }
            count += 1;
        }
        let (chunk, rest) = self.0.split_at(count);
        self.0 = rest;
        Some(chunk)
    }
}
