//! A segment: one file of a lane. Its header and checkpoint are written when it is made, frames while it is
//! the lane's last, footer and trailer when it is sealed. Frames are in `frame.rs`.
//!
//! Header, at 0:
//!
//! | at | bytes | field |
//! |---:|------:|-------|
//! |  0 | 8 | `WTLOGSEG` |
//! |  8 | 4 | version, 1 |
//! | 12 | 4 | lane: 0 plain, 1 stream |
//! | 16 | 8 | sequence: node-wide, never used twice; it is also the file's name |
//! | 24 | 8 | capacity: where the file ends |
//! | 32 | 8 | number: the checkpoint reflects exactly the frames numbered below it |
//! | 40 | 4 | life under which the first frames are written |
//! | 44 | 4 | length of the checkpoint |
//! | 48 | 4 | crc32c of sequence and checkpoint |
//! | 52 | 8 | zeros |
//! | 60 | 4 | crc32c of bytes 0..60 |
//!
//! Checkpoint, at 64: a record for every group, by id. Frames begin at the next multiple of 8.
//!
//! | at | bytes | field |
//! |---:|------:|-------|
//! |  0 | 8 | group |
//! |  8 | 4 | flags: 1 has a floor, 2 has a last, 4 has a vote, 8 is in the stream lane |
//! | 12 | 4 | length of the vote |
//! | 16 | 8, 8 | floor: term, index |
//! | 32 | 8, 8 | last: term, index |
//! | 48 |   | vote |
//!
//! Footer, behind the last frame: for each run its frames (20 bytes each: first index 8, offset 4, length 4,
//! count 4); then the run table, 56 bytes a run:
//!
//! | at | bytes | field |
//! |---:|------:|-------|
//! |  0 | 8 | group |
//! |  8 | 8, 8 | first and last index |
//! | 24 | 8 | term, of all its entries |
//! | 32 | 8 | number of its first frame |
//! | 40 | 4, 4, 4 | its frames: offset, count, crc32c of sequence and them |
//! | 52 | 4 | zeros |
//!
//! Trailer, the last 64 bytes of the capacity:
//!
//! | at | bytes | field |
//! |---:|------:|-------|
//! |  0 | 8 | `WTLOGEND` |
//! |  8 | 8 | sequence |
//! | 16 | 8 | where the frames end and the footer begins |
//! | 24 | 8 | offset of the run table |
//! | 32 | 4, 4 | number of runs, crc32c of sequence and run table |
//! | 40 | 20 | zeros |
//! | 60 | 4 | crc32c of bytes 0..60 |

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;

use super::{
    error::Error,
    files::File,
    frame::{self, narrow, u32_at, u64_at},
    group::{Hard, lock},
    run::FrameAt,
};
use crate::model::id::{GroupId, Position};

/// Bytes before the checkpoint.
pub(super) const HEADER_BYTES: u64 = 64;
/// Bytes of the trailer.
pub(super) const TRAILER_BYTES: u64 = 64;
/// Bytes of a run in the footer.
pub(super) const RUN_BYTES: u64 = 56;
/// Bytes of a frame in the footer.
pub(super) const FRAME_AT_BYTES: u64 = 20;
/// Bytes of a checkpoint record without the vote.
pub(super) const HARD_BYTES: u64 = 48;
/// Offsets are stored in 4 bytes.
pub(super) const CAPACITY_MAX: u64 = u32::MAX as u64;

const MAGIC: &[u8; 8] = b"WTLOGSEG";
const TRAILER_MAGIC: &[u8; 8] = b"WTLOGEND";
const VERSION: u32 = 1;

/// Which of the two files a group's entries go to: groups that keep a stream must not make those that do not
/// cost a day of disk. A lane is a directory of segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Lane {
    /// Groups without a stream.
    #[default]
    Plain = 0,
    /// Groups whose table has, or had within retention, a stream.
    Stream = 1,
}

impl Lane {
    /// Both, in the order of their stored ordinals.
    pub const ALL: [Self; 2] = [Self::Plain, Self::Stream];

    /// The name of its directory.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Stream => "stream",
        }
    }

    pub(super) fn from_ordinal(ordinal: u64) -> Option<Self> {
        match ordinal {
            0 => Some(Self::Plain),
            1 => Some(Self::Stream),
            _ => None,
        }
    }
}

/// The decoded header of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub lane: Lane,
    pub sequence: u64,
    pub capacity: u64,
    pub number: u64,
    pub life: u32,
    pub checkpoint_bytes: u32,
    pub checkpoint_crc: u32,
}

impl Header {
    /// Where the first frame begins.
    pub fn frames_start(&self) -> u64 {
        frame::align(HEADER_BYTES + u64::from(self.checkpoint_bytes))
    }

    pub fn encode(&self) -> [u8; HEADER_BYTES as usize] {
        let mut bytes = [0; HEADER_BYTES as usize];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12] = self.lane as u8;
        bytes[16..24].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.capacity.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.number.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.life.to_le_bytes());
        bytes[44..48].copy_from_slice(&self.checkpoint_bytes.to_le_bytes());
        bytes[48..52].copy_from_slice(&self.checkpoint_crc.to_le_bytes());
        seal_crc(&mut bytes);
        bytes
    }

    /// The header at the start of `bytes`, or what is wrong with it. The second says whether that is damage
    /// (as opposed to a file of something or someone else).
    pub fn decode(bytes: &[u8; HEADER_BYTES as usize]) -> Result<Self, (&'static str, bool)> {
        if &bytes[..8] != MAGIC {
            return Err(("it does not begin like a segment", true));
        }
        if u32_at(bytes, 8) != VERSION {
            return Err(("it is of another version of the format", false));
        }
        if !crc_holds(bytes) {
            return Err(("the checksum of the header does not match", true));
        }
        let lane = Lane::from_ordinal(u64::from(bytes[12])).ok_or(("its lane is unknown", false))?;
        Ok(Self {
            lane,
            sequence: u64_at(bytes, 16),
            capacity: u64_at(bytes, 24),
            number: u64_at(bytes, 32),
            life: u32_at(bytes, 40),
            checkpoint_bytes: u32_at(bytes, 44),
            checkpoint_crc: u32_at(bytes, 48),
        })
    }
}

fn seal_crc(bytes: &mut [u8; 64]) {
    let crc = crc32c::crc32c(&bytes[..60]);
    bytes[60..].copy_from_slice(&crc.to_le_bytes());
}

fn crc_holds(bytes: &[u8; 64]) -> bool {
    crc32c::crc32c(&bytes[..60]) == u32_at(bytes, 60)
}

/// The decoded trailer of a sealed segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trailer {
    pub sequence: u64,
    pub frames_end: u64,
    pub runs_offset: u64,
    pub runs: u32,
    pub runs_crc: u32,
}

impl Trailer {
    pub fn encode(&self) -> [u8; TRAILER_BYTES as usize] {
        let mut bytes = [0; TRAILER_BYTES as usize];
        bytes[..8].copy_from_slice(TRAILER_MAGIC);
        bytes[8..16].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.frames_end.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.runs_offset.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.runs.to_le_bytes());
        bytes[36..40].copy_from_slice(&self.runs_crc.to_le_bytes());
        seal_crc(&mut bytes);
        bytes
    }

    /// The trailer in `bytes`, if it is one of the segment `sequence`.
    pub fn decode(bytes: &[u8; TRAILER_BYTES as usize], sequence: u64) -> Option<Self> {
        let intact = &bytes[..8] == TRAILER_MAGIC && crc_holds(bytes) && u64_at(bytes, 8) == sequence;
        intact.then(|| Self {
            sequence,
            frames_end: u64_at(bytes, 16),
            runs_offset: u64_at(bytes, 24),
            runs: u32_at(bytes, 32),
            runs_crc: u32_at(bytes, 36),
        })
    }
}

/// A run as the footer holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SealedRun {
    pub group: GroupId,
    pub first: u64,
    pub last: u64,
    pub term: u64,
    pub number: u64,
    pub frames: SealedFrames,
}

/// Where the footer lists the frames of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SealedFrames {
    pub offset: u32,
    pub count: u32,
    pub crc: u32,
}

impl SealedRun {
    pub fn encode(&self, into: &mut Vec<u8>) {
        for number in [self.group.0, self.first, self.last, self.term, self.number] {
            into.extend_from_slice(&number.to_le_bytes());
        }
        for number in [self.frames.offset, self.frames.count, self.frames.crc, 0] {
            into.extend_from_slice(&number.to_le_bytes());
        }
    }

    fn decode(bytes: &[u8]) -> Self {
        Self {
            group: GroupId(u64_at(bytes, 0)),
            first: u64_at(bytes, 8),
            last: u64_at(bytes, 16),
            term: u64_at(bytes, 24),
            number: u64_at(bytes, 32),
            frames: SealedFrames {
                offset: u32_at(bytes, 40),
                count: u32_at(bytes, 44),
                crc: u32_at(bytes, 48),
            },
        }
    }
}

/// Appends the footer's list of a run's frames to `into`, which will be written at `base`.
pub(super) fn encode_frames(into: &mut Vec<u8>, base: u64, seed: u32, frames: &[FrameAt]) -> SealedFrames {
    let start = into.len();
    for frame in frames {
        into.extend_from_slice(&frame.first.to_le_bytes());
        for number in [frame.offset, frame.length, frame.count] {
            into.extend_from_slice(&number.to_le_bytes());
        }
    }
    let crc = crc32c::crc32c_append(seed, &into[start..]);
    let offset = narrow(usize::try_from(base).expect("an offset in a segment") + start);
    SealedFrames { offset, count: narrow(frames.len()), crc }
}

/// The checkpoint's bytes.
pub(super) fn encode_checkpoint<'a>(groups: impl Iterator<Item = (GroupId, &'a Hard)>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (group, hard) in groups {
        let flags = u32::from(hard.floor.is_some())
            | u32::from(hard.last.is_some()) << 1
            | u32::from(hard.vote.is_some()) << 2
            | u32::from(hard.lane == Lane::Stream) << 3;
        let vote = hard.vote.as_deref().unwrap_or_default();
        bytes.extend_from_slice(&group.0.to_le_bytes());
        bytes.extend_from_slice(&flags.to_le_bytes());
        bytes.extend_from_slice(&narrow(vote.len()).to_le_bytes());
        for position in [hard.floor.unwrap_or_default(), hard.last.unwrap_or_default()] {
            bytes.extend_from_slice(&position.term.to_le_bytes());
            bytes.extend_from_slice(&position.index.to_le_bytes());
        }
        bytes.extend_from_slice(vote);
    }
    bytes
}

/// The groups in a checkpoint; `None` if it does not add up.
pub(super) fn decode_checkpoint(mut bytes: &[u8]) -> Option<BTreeMap<GroupId, Hard>> {
    let mut groups = BTreeMap::new();
    while !bytes.is_empty() {
        let (record, rest) = bytes.split_at_checked(HARD_BYTES as usize)?;
        let flags = u32_at(record, 8);
        let (vote, rest) = rest.split_at_checked(u32_at(record, 12) as usize)?;
        let position = |at| Position::new(u64_at(record, at), u64_at(record, at + 8));
        let hard = Hard {
            floor: (flags & 1 != 0).then(|| position(16)),
            last: (flags & 2 != 0).then(|| position(32)),
            vote: (flags & 4 != 0).then(|| Bytes::copy_from_slice(vote)),
            lane: if flags & 8 == 0 { Lane::Plain } else { Lane::Stream },
        };
        groups.insert(GroupId(u64_at(record, 0)), hard);
        bytes = rest;
    }
    Some(groups)
}

/// One open segment file.
pub(super) struct Segment {
    pub file: Arc<dyn File>,
    pub path: PathBuf,
    pub lane: Lane,
    pub sequence: u64,
    pub capacity: u64,
    /// What its checksums start from.
    pub seed: u32,
    /// Up to here the file is written (with zeros, if nothing else), or about to be by who says so.
    filled: AtomicU64,
    /// Held while zeros are written ahead.
    filling: Mutex<()>,
}

impl std::fmt::Debug for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.path.to_string_lossy())
    }
}

impl Segment {
    pub fn new(file: Arc<dyn File>, path: PathBuf, header: &Header, filled: u64) -> Self {
        Self {
            file,
            path,
            lane: header.lane,
            sequence: header.sequence,
            capacity: header.capacity,
            seed: frame::seed(header.sequence),
            filled: AtomicU64::new(filled),
            filling: Mutex::new(()),
        }
    }

    /// Writes at `offset` on behalf of the one writer. Where zeros have not got so far yet, the file grows.
    pub fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let end = offset + bytes.len() as u64;
        assert!(end <= self.capacity, "a write up to {end} ends within the capacity {}", self.capacity);
        if end > self.filled() {
            // Zeros in flight must not land on what is written now, and later ones must start behind it.
            let filling = lock(&self.filling);
            self.filled.fetch_max(end, Ordering::AcqRel);
            drop(filling);
        }
        self.file.write_at(offset, bytes)
    }

    /// Writes and syncs zeros over at most the next `step` bytes behind what is filled.
    pub fn fill(&self, step: u64) -> io::Result<()> {
        let filling = lock(&self.filling);
        let from = self.filled();
        let to = self.capacity.min(from + step);
        zero(&*self.file, from, to)?;
        self.file.sync_data()?;
        self.filled.fetch_max(to, Ordering::AcqRel);
        drop(filling);
        Ok(())
    }

    pub fn filled(&self) -> u64 {
        self.filled.load(Ordering::Acquire)
    }

    /// That `what` is wrong at `offset`.
    pub fn corrupt(&self, offset: u64, group: Option<GroupId>, what: &'static str) -> Error {
        Error::Corrupt { file: self.path.clone(), offset, group, what }
    }

    pub fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; length];
        self.file.read_at(offset, &mut bytes).map_err(Error::io("read", &self.path))?;
        Ok(bytes)
    }

    /// The trailer, if the segment is sealed.
    pub fn trailer(&self) -> Result<Option<Trailer>, Error> {
        let length = self.file.length().map_err(Error::io("measure", &self.path))?;
        if length < self.capacity {
            return Ok(None);
        }
        let bytes = self.read(self.capacity - TRAILER_BYTES, TRAILER_BYTES as usize)?;
        let bytes = bytes.first_chunk().expect("as many bytes as were read");
        Ok(Trailer::decode(bytes, self.sequence))
    }

    /// The runs a trailer points to; `None` if they are damaged.
    pub fn sealed_runs(&self, trailer: &Trailer) -> Result<Option<Vec<SealedRun>>, Error> {
        let length = u64::from(trailer.runs) * RUN_BYTES;
        if trailer.runs_offset.saturating_add(length) > self.capacity {
            return Ok(None);
        }
        let bytes = self.read(trailer.runs_offset, length as usize)?;
        if crc32c::crc32c_append(self.seed, &bytes) != trailer.runs_crc {
            return Ok(None);
        }
        Ok(Some(bytes.chunks_exact(RUN_BYTES as usize).map(SealedRun::decode).collect()))
    }

    /// The frames of a sealed run.
    pub fn sealed_frames(&self, group: GroupId, sealed: &SealedFrames) -> Result<Vec<FrameAt>, Error> {
        let length = sealed.count as usize * FRAME_AT_BYTES as usize;
        let bytes = self.read(u64::from(sealed.offset), length)?;
        if crc32c::crc32c_append(self.seed, &bytes) != sealed.crc {
            let what = "the checksum of a list of frames does not match";
            return Err(self.corrupt(u64::from(sealed.offset), Some(group), what));
        }
        let frame = |bytes: &[u8]| FrameAt {
            first: u64_at(bytes, 0),
            offset: u32_at(bytes, 8),
            length: u32_at(bytes, 12),
            count: u32_at(bytes, 16),
        };
        Ok(bytes.chunks_exact(FRAME_AT_BYTES as usize).map(frame).collect())
    }
}

/// Writes zeros over `from..to`.
pub(super) fn zero(file: &dyn File, from: u64, to: u64) -> io::Result<()> {
    static ZEROS: [u8; 256 * 1024] = [0; 256 * 1024];
    let mut at = from;
    while at < to {
        let length = (to - at).min(ZEROS.len() as u64);
        file.write_at(at, &ZEROS[..length as usize])?;
        at += length;
    }
    Ok(())
}

/// The name of a segment's file.
pub(super) fn file_name(sequence: u64) -> String {
    format!("{sequence:016}.segment")
}

/// The sequence (or spare's number) that a file is named after; `None` if it is not named like a segment.
pub(super) fn sequence_of(name: &str) -> Option<u64> {
    name.strip_suffix(".segment")?.parse().ok()
}

/// The directory of a lane.
pub(super) fn lane_dir(dir: &Path, lane: Lane) -> PathBuf {
    dir.join(lane.name())
}
