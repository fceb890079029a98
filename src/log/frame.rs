//! A frame: what one submission of one group looks like on disk.
//!
//! All numbers are little-endian. Frames start at multiples of 8 bytes; the padding between is zeros.
//!
//! | at | bytes | field |
//! |---:|------:|-------|
//! |  0 | 4 | length of the frame, header included, padding not |
//! |  4 | 4 | crc32c of the segment's sequence (8 bytes) followed by the frame from byte 8 on |
//! |  8 | 8 | number: node-wide, rising; orders frames over both lanes |
//! | 16 | 8 | group |
//! | 24 | 8 | index, by kind (below) |
//! | 32 | 8 | term, by kind |
//! | 40 | 4 | life: that of the process (or resumption) that wrote it |
//! | 44 | 4 | batch: offset in this segment where the write began that this frame was part of |
//! | 48 | 4 | count: how many entries |
//! | 52 | 1 | kind; 3 zero bytes follow |
//! | 56 |   | payload, by kind |
//!
//! | kind | index, term | payload |
//! |------|-------------|---------|
//! | 1 entries  | of the first entry; one frame holds entries of one term | count x 4 bytes: their lengths; then their bytes |
//! | 2 truncate | index: the first one dropped; term: of the one before it | - |
//! | 3 vote     | 0 | the vote |
//! | 4 floor    | the last position trimmed | - |
//! | 5 lane     | 0 | 1 byte: the lane of later frames |
//! | 6 remove   | 0 | - |
//! | 7 open     | 0; group 0 | -; begins a new life in a segment that is written on |

use bytes::Bytes;

use crate::model::id::{GroupId, Position};

/// Bytes before a frame's payload.
pub(super) const FRAME_HEADER_BYTES: usize = 56;
/// Frames start at multiples of this.
pub(super) const FRAME_ALIGN: usize = 8;

/// What a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Entries = 1,
    Truncate = 2,
    Vote = 3,
    Floor = 4,
    Lane = 5,
    Remove = 6,
    Open = 7,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Entries,
            2 => Self::Truncate,
            3 => Self::Vote,
            4 => Self::Floor,
            5 => Self::Lane,
            6 => Self::Remove,
            7 => Self::Open,
            _ => return None,
        })
    }
}

/// A frame's header, but for length and checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub number: u64,
    pub group: GroupId,
    pub index: u64,
    pub term: u64,
    pub life: u32,
    pub batch: u32,
    pub count: u32,
    pub kind: Kind,
}

/// The next multiple of `FRAME_ALIGN`.
pub(super) fn align(length: u64) -> u64 {
    length.next_multiple_of(FRAME_ALIGN as u64)
}

/// What every checksum of a segment starts from.
pub(super) fn seed(sequence: u64) -> u32 {
    crc32c::crc32c(&sequence.to_le_bytes())
}

/// How long an entries frame of these entries is, without padding.
pub(super) fn entries_frame_bytes(entries: &[(Position, Bytes)]) -> u64 {
    let payload: usize = entries.iter().map(|(_, bytes)| 4 + bytes.len()).sum();
    (FRAME_HEADER_BYTES + payload) as u64
}

/// Appends a frame with a plain payload to `buffer`, padded. Returns its length without padding.
pub(super) fn encode(buffer: &mut Vec<u8>, seed: u32, head: &Head, payload: &[u8]) -> u32 {
    let start = begin(buffer, head);
    buffer.extend_from_slice(payload);
    finish(buffer, seed, start)
}

/// Appends an entries frame to `buffer`, padded. Returns its length without padding.
pub(super) fn encode_entries(
    buffer: &mut Vec<u8>,
    seed: u32,
    head: &Head,
    entries: &[(Position, Bytes)],
) -> u32 {
    assert_eq!(head.count as usize, entries.len(), "an entries frame counts its entries");
    let start = begin(buffer, head);
    for (_, bytes) in entries {
        buffer.extend_from_slice(&narrow(bytes.len()).to_le_bytes());
    }
    for (_, bytes) in entries {
        buffer.extend_from_slice(bytes);
    }
    finish(buffer, seed, start)
}

fn begin(buffer: &mut Vec<u8>, head: &Head) -> usize {
    let start = buffer.len();
    assert_eq!(start % FRAME_ALIGN, 0, "a frame starts at a multiple of {FRAME_ALIGN}, not at {start}");
    let mut header = [0; FRAME_HEADER_BYTES];
    header[8..16].copy_from_slice(&head.number.to_le_bytes());
    header[16..24].copy_from_slice(&head.group.0.to_le_bytes());
    header[24..32].copy_from_slice(&head.index.to_le_bytes());
    header[32..40].copy_from_slice(&head.term.to_le_bytes());
    header[40..44].copy_from_slice(&head.life.to_le_bytes());
    header[44..48].copy_from_slice(&head.batch.to_le_bytes());
    header[48..52].copy_from_slice(&head.count.to_le_bytes());
    header[52] = head.kind as u8;
    buffer.extend_from_slice(&header);
    start
}

fn finish(buffer: &mut Vec<u8>, seed: u32, start: usize) -> u32 {
    let length = narrow(buffer.len() - start);
    buffer[start..start + 4].copy_from_slice(&length.to_le_bytes());
    let crc = crc32c::crc32c_append(seed, &buffer[start + 8..]);
    buffer[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
    buffer.resize(buffer.len().next_multiple_of(FRAME_ALIGN), 0);
    length
}

/// The header of the frame at the start of `bytes` and its length without padding, or `None` if there is no
/// intact frame of this segment.
pub(super) fn decode(bytes: &[u8], seed: u32) -> Option<(Head, usize)> {
    let (head, length, crc) = peek(bytes)?;
    if crc32c::crc32c_append(seed, &bytes[8..length]) != crc {
        return None;
    }
    Some((head, length))
}

/// As `decode`, but the checksum is returned, not verified.
pub(super) fn peek(bytes: &[u8]) -> Option<(Head, usize, u32)> {
    let header: &[u8; FRAME_HEADER_BYTES] = bytes.first_chunk()?;
    let length = u32_at(header, 0) as usize;
    if length < FRAME_HEADER_BYTES || length > bytes.len() {
        return None;
    }
    let head = Head {
        number: u64_at(header, 8),
        group: GroupId(u64_at(header, 16)),
        index: u64_at(header, 24),
        term: u64_at(header, 32),
        life: u32_at(header, 40),
        batch: u32_at(header, 44),
        count: u32_at(header, 48),
        kind: Kind::from_byte(header[52])?,
    };
    Some((head, length, u32_at(header, 4)))
}

/// Calls `visit` with each entry of an intact entries frame: its place in the frame and the range of its
/// bytes in the frame. `None` if the lengths do not add up.
pub(super) fn entry_ranges(
    frame: &[u8],
    count: u32,
    mut visit: impl FnMut(u32, std::ops::Range<usize>),
) -> Option<()> {
    let mut start = FRAME_HEADER_BYTES + 4 * count as usize;
    if start > frame.len() {
        return None;
    }
    for ordinal in 0..count {
        let end = start + u32_at(frame, FRAME_HEADER_BYTES + 4 * ordinal as usize) as usize;
        if end > frame.len() {
            return None;
        }
        visit(ordinal, start..end);
        start = end;
    }
    (start == frame.len()).then_some(())
}

/// A length as it is stored. Frames are bounded far below this by the door's limits.
pub(super) fn narrow(length: usize) -> u32 {
    u32::try_from(length).expect("a segment, and so everything in it, is smaller than 4 GiB")
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(*bytes[at..].first_chunk().expect("the caller has checked the length"))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(*bytes[at..].first_chunk().expect("the caller has checked the length"))
}
