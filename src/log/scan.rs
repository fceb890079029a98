//! Scanning the last segment of a lane, frame by frame: the only one whose end is not known.

use bytes::Bytes;

use super::{
    error::Error,
    frame::{self, FRAME_ALIGN, FRAME_HEADER_BYTES, Head, Kind, align, narrow},
    segment::{Header, Segment},
};
use crate::model::id::GroupId;

/// An intact frame.
pub(super) struct Scanned {
    pub head: Head,
    pub offset: u32,
    pub length: u32,
    /// Empty for entries.
    pub payload: Bytes,
}

/// What a scan found.
pub(super) struct Scan {
    pub frames: Vec<Scanned>,
    /// Where the next frame goes.
    pub end: u64,
    /// The life of the last frame.
    pub life: u32,
}

/// Reads every frame of a segment. If it is sealed they go up to `sealed_end`; if not, up to the first that
/// is not intact, and an intact one of a later write behind it is evidence of damage.
pub(super) fn scan(segment: &Segment, header: &Header, sealed_end: Option<u64>) -> Result<Scan, Error> {
    let start = header.frames_start();
    let length = segment.file.length().map_err(Error::io("measure", &segment.path))?;
    let end = sealed_end.unwrap_or(segment.capacity).min(length);
    let bytes = segment.read(start, end.saturating_sub(start) as usize)?;
    let mut scan = Scan { frames: Vec::new(), end: start, life: header.life };
    let mut next_number = header.number;
    loop {
        let at = (scan.end - start) as usize;
        let Some((head, length)) = bytes.get(at..).and_then(|rest| frame::decode(rest, segment.seed)) else {
            break;
        };
        if !goes_on(&head, &scan, next_number, start) {
            break;
        }
        next_number = head.number + 1;
        scan.life = head.life;
        let payload =
            if head.kind == Kind::Entries { &[] } else { &bytes[at + FRAME_HEADER_BYTES..at + length] };
        scan.frames.push(Scanned {
            head,
            offset: narrow(start as usize + at),
            length: narrow(length),
            payload: Bytes::copy_from_slice(payload),
        });
        scan.end = align(scan.end + length as u64);
    }
    match sealed_end {
        Some(sealed_end) if scan.end != sealed_end => {
            let group = group_at(&bytes, (scan.end - start) as usize);
            return Err(segment.corrupt(scan.end, group, "a frame of a sealed segment is damaged"));
        }
        Some(_) => {}
        None => check_torn(segment, &bytes, &scan, next_number, start)?,
    }
    Ok(scan)
}

/// Whether an intact frame is the next one, and not one of an earlier life that happens to stand there.
fn goes_on(head: &Head, scan: &Scan, next_number: u64, start: u64) -> bool {
    let lives = match head.kind {
        Kind::Open => head.life > scan.life,
        Kind::Entries | Kind::Truncate | Kind::Vote | Kind::Floor | Kind::Lane | Kind::Remove => {
            head.life == scan.life
        }
    };
    let batch = u64::from(head.batch);
    lives && head.number >= next_number && (start..=scan.end).contains(&batch)
}

/// A write begins only after the one before it was synced. So if a frame of a later write is intact behind
/// the first bad one, then the bad one was durable once, and perhaps acknowledged.
fn check_torn(
    segment: &Segment,
    bytes: &[u8],
    scan: &Scan,
    next_number: u64,
    start: u64,
) -> Result<(), Error> {
    let bad = (scan.end - start) as usize;
    for at in (bad + FRAME_ALIGN..bytes.len().saturating_sub(FRAME_HEADER_BYTES)).step_by(FRAME_ALIGN) {
        let rest = &bytes[at..];
        if rest[..4] == [0; 4] {
            continue;
        }
        let Some((head, _, _)) = frame::peek(rest) else { continue };
        let batch = u64::from(head.batch);
        let later = batch > scan.end && batch <= start + at as u64;
        if later
            && head.life >= scan.life
            && head.number >= next_number
            && frame::decode(rest, segment.seed).is_some()
        {
            let what = "a frame is damaged, and intact ones written after it follow";
            return Err(segment.corrupt(scan.end, group_at(bytes, bad), what));
        }
    }
    Ok(())
}

/// The group that a damaged frame names, if its header can still be read.
fn group_at(bytes: &[u8], at: usize) -> Option<GroupId> {
    frame::peek(bytes.get(at..)?).map(|(head, _, _)| head.group)
}
