//! Recovery: from the files to the state of every group.
//!
//! 1. Every segment's header is read, and the run table of every sealed one. Only the last of a lane may be
//!    unsealed.
//! 2. The last segment of each lane is scanned frame by frame (`scan.rs`).
//! 3. Hard state is the checkpoint with the highest number, and the scanned frames from that number on. None
//!    can be elsewhere: a segment before the last of a lane holds only frames below the last one's number,
//!    which is not above the highest.
//! 4. A group's index is all its runs, of footers and scans, by number: the newest counts. Clipped to the
//!    floor and the last position it has no gap, or a file is missing.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    error::Error,
    files::Files,
    frame::{Head, Kind},
    group::{Cell, Hard},
    run::{FrameAt, Frames, Index, Run},
    scan::{Scan, Scanned, scan},
    segment::{
        self, HEADER_BYTES, Header, Lane, SealedRun, Segment, TRAILER_BYTES, decode_checkpoint, lane_dir,
        sequence_of,
    },
    writer::{Active, Durable, Live},
};
use crate::model::id::{GroupId, Position};

/// What the writer starts from.
pub(super) struct Recovered {
    pub groups: BTreeMap<GroupId, Durable>,
    pub actives: [Option<Active>; 2],
    pub live: BTreeMap<u64, Live>,
    /// The next frame's.
    pub number: u64,
    /// This process's.
    pub life: u32,
    /// The next segment's.
    pub sequence: u64,
}

/// A segment of which the header is known.
struct Found {
    segment: Arc<Segment>,
    header: Header,
}

/// What a lane holds.
#[derive(Default)]
struct LaneFound {
    segments: Vec<Found>,
    /// Runs of the sealed ones, with their segments.
    runs: Vec<(SealedRun, Arc<Segment>)>,
    /// Frames of the last one.
    scan: Option<Scan>,
    /// Whether the last one is sealed, too: then its frames are in `runs`.
    sealed: bool,
}

/// Reads the log in `dir`. Writes nothing: a crash during recovery changes nothing.
pub(super) fn recover(files: &dyn Files, dir: &Path) -> Result<Recovered, Error> {
    let lanes = [read_lane(files, dir, Lane::Plain)?, read_lane(files, dir, Lane::Stream)?];
    let hard = recover_hard(&lanes)?;
    let mut indexes = recover_indexes(&lanes);
    let mut groups = BTreeMap::new();
    let mut live: BTreeMap<u64, Live> = BTreeMap::new();
    for lane in &lanes {
        let last = lane.segments.last().map(|found| found.segment.sequence);
        for Found { segment, .. } in &lane.segments {
            let sealed = Some(segment.sequence) != last || lane.sealed;
            live.insert(segment.sequence, Live { segment: segment.clone(), runs: 0, sealed });
        }
    }
    for (group, hard) in hard {
        let mut index = indexes.remove(&group).unwrap_or_default();
        index.clip(hard.floor, hard.last).map_err(|missing| lost(dir, group, missing))?;
        for run in index.runs() {
            live.get_mut(&run.segment.sequence).expect("a run is in a segment found").runs += 1;
        }
        let cell = Cell::new(group, hard.clone(), index);
        groups.insert(group, Durable { hard, cell });
    }
    let life = lanes.iter().flat_map(lives).max().unwrap_or(0) + 1;
    let number = lanes.iter().flat_map(numbers).max().unwrap_or(0);
    let sequence = live.last_key_value().map_or(1, |(sequence, _)| sequence + 1);
    let actives = lanes.map(|lane| active(lane, &groups));
    Ok(Recovered { groups, actives, live, number, life, sequence })
}

fn lost(dir: &Path, group: GroupId, index: u64) -> Error {
    tracing::error!(%group, index, "an entry that should be in the log is not");
    Error::Corrupt {
        file: dir.into(),
        offset: 0,
        group: Some(group),
        what: "entries are missing: a segment file is gone or of another time",
    }
}

fn lives(lane: &LaneFound) -> impl Iterator<Item = u32> {
    let headers = lane.segments.iter().map(|found| found.header.life);
    headers.chain(lane.scan.iter().map(|scan| scan.life))
}

/// Numbers that the next frame's must not be below.
fn numbers(lane: &LaneFound) -> impl Iterator<Item = u64> {
    let headers = lane.segments.iter().map(|found| found.header.number);
    let frames = lane.scan.iter().flat_map(|scan| scan.frames.last()).map(|frame| frame.head.number + 1);
    headers.chain(frames)
}

/// Reads the headers, the run tables and the last segment of a lane.
fn read_lane(files: &dyn Files, dir: &Path, lane: Lane) -> Result<LaneFound, Error> {
    let dir = lane_dir(dir, lane);
    let mut found = LaneFound::default();
    for name in files.list(&dir).map_err(Error::io("list", &dir))? {
        let Some(sequence) = sequence_of(&name) else {
            let what = "it is not named like one";
            return Err(Error::WrongDirectory { file: dir.join(name), what });
        };
        found.segments.push(read_header(files, dir.join(name), lane, sequence)?);
    }
    found.segments.sort_by_key(|found| found.segment.sequence);
    let count = found.segments.len();
    for (at, Found { segment, header }) in found.segments.iter().enumerate() {
        let last = at + 1 == count;
        let trailer = segment.trailer()?;
        let runs = match &trailer {
            Some(trailer) => segment.sealed_runs(trailer)?,
            None => None,
        };
        // A crash while the last one was being sealed may have torn its footer: then it is not sealed.
        let runs = runs.filter(|runs| !last || has_lists(segment, runs));
        let at = segment.capacity - TRAILER_BYTES;
        match &runs {
            Some(runs) => found.runs.extend(runs.iter().map(|run| (*run, segment.clone()))),
            None if last => {}
            None => return Err(segment.corrupt(at, None, "the index of a sealed segment is damaged")),
        }
        if last {
            found.sealed = runs.is_some();
            let sealed_end = trailer.filter(|_| runs.is_some()).map(|trailer| trailer.frames_end);
            found.scan = Some(scan(segment, header, sealed_end)?);
        }
    }
    Ok(found)
}

/// Whether the lists of frames that runs point to are there.
fn has_lists(segment: &Segment, runs: &[SealedRun]) -> bool {
    runs.iter().all(|run| segment.sealed_frames(run.group, &run.frames).is_ok())
}

fn read_header(files: &dyn Files, path: PathBuf, lane: Lane, sequence: u64) -> Result<Found, Error> {
    let file = files.open(&path).map_err(Error::io("open", &path))?;
    let length = file.length().map_err(Error::io("measure", &path))?;
    let corrupt = |what| Error::Corrupt { file: path.clone(), offset: 0, group: None, what };
    if length < HEADER_BYTES {
        return Err(corrupt("it is too short to be a segment"));
    }
    let mut bytes = [0; HEADER_BYTES as usize];
    file.read_at(0, &mut bytes).map_err(Error::io("read", &path))?;
    let header = Header::decode(&bytes).map_err(|(what, damage)| match damage {
        true => corrupt(what),
        false => Error::WrongDirectory { file: path.clone(), what },
    })?;
    if header.lane != lane || header.sequence != sequence {
        let what = "its header says that it belongs under another name or in another lane";
        return Err(Error::WrongDirectory { file: path, what });
    }
    if header.frames_start() > length || header.capacity > segment::CAPACITY_MAX {
        return Err(corrupt("it is shorter than its header says"));
    }
    let segment = Arc::new(Segment::new(file, path, &header, length));
    Ok(Found { segment, header })
}

/// Step 3.
fn recover_hard(lanes: &[LaneFound; 2]) -> Result<BTreeMap<GroupId, Hard>, Error> {
    let newest = lanes.iter().filter_map(|lane| lane.segments.last()).max_by_key(|found| found.header.number);
    let Some(Found { segment, header }) = newest else { return Ok(BTreeMap::new()) };
    let bytes = segment.read(HEADER_BYTES, header.checkpoint_bytes as usize)?;
    let intact = crc32c::crc32c_append(segment.seed, &bytes) == header.checkpoint_crc;
    let checkpoint = if intact { decode_checkpoint(&bytes) } else { None };
    let mut groups = checkpoint.ok_or_else(|| {
        segment.corrupt(HEADER_BYTES, None, "the checksum of the checkpoint does not match")
    })?;
    for (segment, frame) in frames(lanes) {
        if frame.head.number >= header.number {
            replay(&mut groups, frame)
                .map_err(|what| segment.corrupt(u64::from(frame.offset), Some(frame.head.group), what))?;
        }
    }
    Ok(groups)
}

/// The scanned frames of both lanes by number.
fn frames(lanes: &[LaneFound; 2]) -> Vec<(&Arc<Segment>, &Scanned)> {
    let mut frames: Vec<_> = lanes
        .iter()
        .filter_map(|lane| Some((&lane.segments.last()?.segment, lane.scan.as_ref()?)))
        .flat_map(|(segment, scan)| scan.frames.iter().map(move |frame| (segment, frame)))
        .collect();
    frames.sort_by_key(|(_, frame)| frame.head.number);
    frames
}

/// Where a truncation leaves the log.
fn truncated(head: &Head) -> Option<Position> {
    head.index.checked_sub(1).map(|index| Position::new(head.term, index))
}

/// Applies a frame to the hard state of its group.
fn replay(groups: &mut BTreeMap<GroupId, Hard>, frame: &Scanned) -> Result<(), &'static str> {
    let head = &frame.head;
    if head.kind == Kind::Open {
        return Ok(());
    }
    if head.kind == Kind::Remove {
        groups.remove(&head.group);
        return Ok(());
    }
    let hard = groups.entry(head.group).or_default();
    match head.kind {
        Kind::Entries => {
            let next = hard.last.map_or(0, |last| last.index + 1);
            if head.index != next || head.count == 0 || hard.last.is_some_and(|last| head.term < last.term) {
                return Err("entries do not follow those before them");
            }
            hard.last = Some(Position::new(head.term, head.index + u64::from(head.count) - 1));
        }
        Kind::Truncate => {
            let after = truncated(head);
            if after.map(|after| after.index) > hard.last.map(|last| last.index) {
                return Err("a truncation lies behind the last entry");
            }
            hard.last = after;
        }
        Kind::Vote => hard.vote = Some(frame.payload.clone()),
        Kind::Floor => {
            let floor = Position::new(head.term, head.index);
            hard.floor = Some(floor);
            if hard.last.is_none_or(|last| last.index < floor.index) {
                hard.last = Some(floor);
            }
        }
        Kind::Lane => {
            let lane = frame.payload.first().and_then(|lane| Lane::from_ordinal(u64::from(*lane)));
            hard.lane = lane.ok_or("a lane is unknown")?;
        }
        Kind::Remove | Kind::Open => {}
    }
    Ok(())
}

/// Step 4, without clipping.
fn recover_indexes(lanes: &[LaneFound; 2]) -> BTreeMap<GroupId, Index> {
    enum Event<'a> {
        Run(&'a SealedRun),
        Frame(&'a Scanned),
    }
    let mut events = Vec::new();
    for lane in lanes {
        let runs = lane.runs.iter().map(|(run, segment)| (run.number, segment, Event::Run(run)));
        events.extend(runs);
        let frames = lane.scan.iter().flat_map(|scan| &scan.frames);
        let last = lane.segments.last().map(|found| &found.segment);
        if let (Some(segment), false) = (last, lane.sealed) {
            events.extend(frames.map(|frame| (frame.head.number, segment, Event::Frame(frame))));
        }
    }
    events.sort_by_key(|(number, _, _)| *number);
    let mut indexes: BTreeMap<GroupId, Index> = BTreeMap::new();
    for (number, segment, event) in events {
        match event {
            Event::Run(run) => indexes.entry(run.group).or_default().place(Run {
                segment: segment.clone(),
                first: run.first,
                last: run.last,
                term: run.term,
                number,
                frames: Frames::Sealed(run.frames),
            }),
            Event::Frame(frame) => index_frame(indexes.entry(frame.head.group).or_default(), segment, frame),
        }
    }
    indexes
}

fn index_frame(index: &mut Index, segment: &Arc<Segment>, frame: &Scanned) {
    let Head { number, term, index: first, count, kind, .. } = frame.head;
    match kind {
        Kind::Entries => {
            let frame = FrameAt { first, offset: frame.offset, length: frame.length, count };
            index.add(segment, term, number, frame, |_| {});
        }
        Kind::Truncate => {
            index.cut(first, |_| {});
            index.end_run();
        }
        Kind::Remove => {
            index.cut(0, |_| {});
            index.end_run();
        }
        Kind::Lane => index.end_run(),
        Kind::Vote | Kind::Floor | Kind::Open => {}
    }
}

/// The segment of a lane that is written on.
fn active(lane: LaneFound, groups: &BTreeMap<GroupId, Durable>) -> Option<Active> {
    if lane.sealed {
        return None;
    }
    let (found, scan) = (lane.segments.into_iter().next_back()?, lane.scan?);
    let sequence = found.segment.sequence;
    let mut active = Active::new(found.segment, scan.end, scan.life);
    // What follows in the file may be of a torn write: this process writes under a life of its own.
    active.reopen = true;
    for (group, durable) in groups {
        let locked = durable.cell.lock();
        let runs = locked.index.runs().iter().filter(|run| run.segment.sequence == sequence);
        for run in runs {
            active.cells.insert(*group, durable.cell.clone());
            let Frames::Open(frames) = &run.frames else { continue };
            active.count_run(frames.len());
        }
    }
    Some(active)
}
