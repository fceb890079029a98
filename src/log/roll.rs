//! Moving on to another segment: making it, sealing the one before. In between the batch under way is
//! written, so that the new segment's checkpoint reflects exactly what is durable.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
};

use super::{
    error::Error,
    files::File,
    frame::{self, FRAME_HEADER_BYTES, Head, Kind, align, narrow},
    keeper::spare_dir,
    run::Frames,
    segment::{
        CAPACITY_MAX, FRAME_AT_BYTES, HEADER_BYTES, Header, Lane, RUN_BYTES, SealedFrames, SealedRun,
        Segment, TRAILER_BYTES, Trailer, encode_checkpoint, encode_frames, file_name, lane_dir,
    },
    writer::{Active, Live, Writer},
};
use crate::model::id::GroupId;

/// This part of a segment is kept for frames without entries: a full disk must still take a trim.
const RESERVE_DIVISOR: u64 = 64;
/// Capacities are multiples of this.
const CAPACITY_STEP: u64 = 4096;

impl Writer {
    /// Makes sure that a lane has room for `bytes` of frames, `entries_frames` of them with entries.
    pub fn make_room(&mut self, lane: Lane, bytes: u64, entries_frames: u64) -> Result<(), Error> {
        let footer = entries_frames * (RUN_BYTES + FRAME_AT_BYTES);
        if !self.has_room(lane, bytes + footer, entries_frames == 0) {
            self.flush()?;
        }
        if !self.has_room(lane, bytes + footer, entries_frames == 0) {
            self.roll(lane, bytes + footer)?;
        }
        if self.lanes[lane as usize].active.as_ref().is_some_and(|active| active.reopen) {
            self.reopen(lane)?;
        }
        Ok(())
    }

    fn has_room(&self, lane: Lane, bytes: u64, reserve: bool) -> bool {
        let file = &self.lanes[lane as usize];
        let Some(active) = &file.active else { return false };
        // Of frames in the buffer it is not known yet whether they begin a run.
        let pending = file.buffer.len() as u64 + u64::from(file.frames) * (RUN_BYTES + FRAME_AT_BYTES);
        let reopen = if active.reopen { FRAME_HEADER_BYTES as u64 } else { 0 };
        let reserved = if reserve { 0 } else { active.segment.capacity / RESERVE_DIVISOR };
        let taken = active.position + pending + reopen + active.footer_bytes + reserved;
        taken + bytes <= active.segment.capacity
    }

    /// Begins a new life in a segment that was written before: whatever follows in the file belongs to an
    /// older one. Durable before anything else of that life is.
    fn reopen(&mut self, lane: Lane) -> Result<(), Error> {
        let (life, number) = (self.life, self.number);
        let file = &mut self.lanes[lane as usize];
        assert!(file.buffer.is_empty(), "a life begins before its first frame is put");
        let active = file.active.as_mut().expect("the caller has looked it up");
        assert!(life > active.life, "life {life} is newer than {}", active.life);
        let segment = &active.segment;
        let batch = narrow(active.position as usize);
        let (group, kind) = (GroupId(0), Kind::Open);
        let head = Head { number, group, index: 0, term: 0, life, batch, count: 0, kind };
        let mut frame = Vec::new();
        frame::encode(&mut frame, segment.seed, &head, &[]);
        segment.write(active.position, &frame).map_err(Error::writing("write", &segment.path))?;
        segment.file.sync_data().map_err(Error::syncing(&segment.path))?;
        self.shared.counters.syncs.fetch_add(1, Ordering::Relaxed);
        active.position += frame.len() as u64;
        active.life = life;
        active.reopen = false;
        self.number += 1;
        Ok(())
    }

    /// Seals a lane's segment and makes another with room for `bytes`. There is no batch under way.
    fn roll(&mut self, lane: Lane, bytes: u64) -> Result<(), Error> {
        let checkpoint =
            encode_checkpoint(self.groups.iter().map(|(group, durable)| (*group, &durable.hard)));
        let fixed = align(HEADER_BYTES + checkpoint.len() as u64) + TRAILER_BYTES + FRAME_HEADER_BYTES as u64;
        let needed = (fixed + bytes) * RESERVE_DIVISOR / (RESERVE_DIVISOR - 1);
        let usual = self.shared.options.segment_bytes;
        let capacity = usual.max(needed.next_multiple_of(CAPACITY_STEP));
        assert!(capacity <= CAPACITY_MAX, "a segment of {capacity} bytes is too large");
        // First the file, then the seal: without a file there still is the reserve to write to.
        let (file, path, filled) = self.new_file(capacity)?;
        let made = self
            .settle_others(lane)
            .and_then(|()| self.seal(lane))
            .and_then(|()| self.make_segment(lane, capacity, &checkpoint, (file, &path, filled)));
        if made.is_err() {
            // It was never a segment. What is left of it is removed by the next start.
            let _ = self.shared.files.remove(&path);
        }
        made?;
        self.release_dead();
        Ok(())
    }

    /// A checkpoint must not come after frames that were refused and may still be found in the other lane: it
    /// begins a new life first, or is sealed if it has no room for that.
    fn settle_others(&mut self, lane: Lane) -> Result<(), Error> {
        for other in Lane::ALL.into_iter().filter(|other| *other != lane) {
            if self.lanes[other as usize].active.as_ref().is_some_and(|active| active.reopen) {
                if self.has_room(other, 0, true) { self.reopen(other)? } else { self.seal(other)? }
            }
        }
        Ok(())
    }

    /// A file for a segment: a spare, or a new one. Returns how far it is written.
    fn new_file(&mut self, capacity: u64) -> Result<(Arc<dyn File>, PathBuf, u64), Error> {
        let shared = &self.shared;
        if capacity == shared.options.segment_bytes
            && let Some(path) = shared.keeper.take_spare()
        {
            let file = shared.files.open(&path).map_err(Error::writing("open", &path))?;
            return Ok((file, path, capacity));
        }
        let free = shared.files.free_bytes(&shared.dir).map_err(Error::writing("measure", &shared.dir))?;
        if free < shared.options.free_bytes_min.saturating_add(capacity) {
            return Err(shared.full());
        }
        let path = shared.keeper.new_path(shared);
        let file = shared.files.create(&path).map_err(Error::writing("create", &path))?;
        Ok((file, path, 0))
    }

    /// Header and checkpoint are durable before the file has the name that says so.
    fn make_segment(
        &mut self,
        lane: Lane,
        capacity: u64,
        checkpoint: &[u8],
        (file, path, filled): (Arc<dyn File>, &PathBuf, u64),
    ) -> Result<(), Error> {
        let sequence = self.sequence;
        let header = Header {
            lane,
            sequence,
            capacity,
            number: self.number,
            life: self.life,
            checkpoint_bytes: narrow(checkpoint.len()),
            checkpoint_crc: crc32c::crc32c_append(frame::seed(sequence), checkpoint),
        };
        let mut bytes = header.encode().to_vec();
        bytes.extend_from_slice(checkpoint);
        bytes.resize(header.frames_start() as usize, 0);
        file.write_at(0, &bytes).map_err(Error::writing("write", path))?;
        file.sync_data().map_err(Error::syncing(path))?;
        let shared = &self.shared;
        let dir = lane_dir(&shared.dir, lane);
        let name = dir.join(file_name(sequence));
        shared.files.rename(path, &name).map_err(Error::writing("rename", path))?;
        for dir in [&dir, &spare_dir(&shared.dir)] {
            shared.files.sync_dir(dir).map_err(Error::syncing(dir))?;
        }
        shared.counters.syncs.fetch_add(3, Ordering::Relaxed);
        shared.counters.rolls.fetch_add(1, Ordering::Relaxed);
        let filled = filled.max(header.frames_start());
        let segment = Arc::new(Segment::new(file, name, &header, filled));
        self.live.insert(sequence, Live { segment: segment.clone(), runs: 0, sealed: false });
        self.lanes[lane as usize].active = Some(Active::new(segment, header.frames_start(), self.life));
        self.sequence += 1;
        Ok(())
    }

    /// Ends a lane's segment with the index of its frames.
    fn seal(&mut self, lane: Lane) -> Result<(), Error> {
        let file = &mut self.lanes[lane as usize];
        assert!(file.buffer.is_empty(), "a segment is sealed between batches");
        let Some(active) = file.active.take() else { return Ok(()) };
        let segment = active.segment.clone();
        let (bytes, trailer, sealed) = encode_footer(&active);
        assert!(
            active.position + bytes.len() as u64 + TRAILER_BYTES <= segment.capacity,
            "the footer fits into {segment:?}"
        );
        let written = segment
            .write(active.position, &bytes)
            .and_then(|()| segment.write(segment.capacity - TRAILER_BYTES, &trailer.encode()))
            .map_err(Error::writing("write", &segment.path));
        if let Err(error) = written {
            // It is not sealed, and is written on when there is space.
            file.active = Some(active);
            return Err(error);
        }
        segment.file.sync_data().map_err(Error::syncing(&segment.path))?;
        self.shared.counters.syncs.fetch_add(1, Ordering::Relaxed);
        for (group, number, frames) in sealed {
            let cell = active.cells.get(&group).expect("a run sealed is of a group in the segment");
            let mut locked = cell.lock();
            for run in locked.index.runs_in(segment.sequence).filter(|run| run.number == number) {
                run.frames = Frames::Sealed(frames);
            }
            locked.index.end_run();
        }
        self.live.get_mut(&segment.sequence).expect("an active segment is live").sealed = true;
        Ok(())
    }
}

/// A run whose frames the footer lists, and where.
type Listed = (GroupId, u64, SealedFrames);

/// The footer of a segment, the trailer that points to it, and where each run's frames are in it.
fn encode_footer(active: &Active) -> (Vec<u8>, Trailer, Vec<Listed>) {
    let segment = &active.segment;
    let (mut bytes, mut table, mut listed) = (Vec::new(), Vec::new(), Vec::new());
    for (group, cell) in &active.cells {
        let mut locked = cell.lock();
        for run in locked.index.runs_in(segment.sequence) {
            let Frames::Open(frames) = &run.frames else {
                panic!("a run of {segment:?} is sealed before the segment is");
            };
            let frames = encode_frames(&mut bytes, active.position, segment.seed, frames);
            let (first, last, term, number) = (run.first, run.last, run.term, run.number);
            SealedRun { group: *group, first, last, term, number, frames }.encode(&mut table);
            listed.push((*group, number, frames));
        }
    }
    let trailer = Trailer {
        sequence: segment.sequence,
        frames_end: active.position,
        runs_offset: active.position + bytes.len() as u64,
        runs: narrow(listed.len()),
        runs_crc: crc32c::crc32c_append(segment.seed, &table),
    };
    bytes.extend_from_slice(&table);
    (bytes, trailer, listed)
}
