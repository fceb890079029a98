//! Snapshots on their way from one replica to another: pulled in checksummed chunks into a spool file, and imported
//! from there once they are complete.

use std::{
    io,
    ops::{Bound, ControlFlow},
    path::PathBuf,
    sync::Arc,
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::type_config::Members;
use crate::{
    log::{File, Files},
    model::id::{GroupId, Position},
    rpc::wire::peer::{SnapshotChunk, StoredItem},
    storage::{self, ItemsView},
};

/// About how many bytes of items a chunk carries.
const CHUNK_BYTES: usize = 512 * 1024;

/// What a snapshot is of and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    pub group: GroupId,
    /// Where it is presented at: the floor of the sender's log (DESIGN: the floor trick). For the catalog, the
    /// last entry applied.
    pub at: Option<Position>,
    /// The membership there.
    pub membership: (Option<Position>, Members),
    /// The machine's state that belongs to the items; the whole catalog, for the catalog.
    pub state: Bytes,
}

/// What openraft hands around as snapshot data.
pub enum Received {
    /// Only a description: the items are pulled when they are needed.
    Description,
    /// A complete snapshot, in a file.
    Spool(Spool),
}

/// A snapshot being sent.
pub struct Sending {
    pub(super) header: Header,
    pub(super) view: Option<Arc<dyn ItemsView>>,
    pub(super) from: Bytes,
    pub(super) to: Option<Bytes>,
    /// The last key sent.
    last: Option<Bytes>,
    checksum: u32,
    started: bool,
    done: bool,
}

impl Sending {
    pub(super) fn new(
        header: Header,
        view: Option<Arc<dyn ItemsView>>,
        (from, to): (Bytes, Option<Bytes>),
    ) -> Self {
        Self { header, view, from, to, last: None, checksum: 0, started: false, done: false }
    }
}

/// The next chunk of a snapshot; `None` after the last. Reads from disk: not for an async thread.
pub fn send(sending: &mut Sending) -> Result<Option<SnapshotChunk>, storage::Error> {
    if sending.done {
        return Ok(None);
    }
    let mut chunk = SnapshotChunk::default();
    if !sending.started {
        sending.started = true;
        chunk.header = postcard::to_allocvec(&sending.header).expect("a header serializes").into();
    }
    let mut bytes = 0;
    if let Some(view) = &sending.view {
        let from =
            sending.last.as_ref().map_or(Bound::Included(&sending.from[..]), |last| Bound::Excluded(last));
        let to = sending.to.as_ref().map_or(Bound::Unbounded, |to| Bound::Excluded(&to[..]));
        view.range(from, to, false, &mut |key, value| {
            bytes += key.len() + value.len();
            chunk
                .items
                .push(StoredItem { key: Bytes::copy_from_slice(key), value: Bytes::copy_from_slice(value) });
            if bytes < CHUNK_BYTES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
    }
    sending.done = bytes < CHUNK_BYTES;
    if let Some(item) = chunk.items.last() {
        sending.last = Some(item.key.clone());
    }
    sending.checksum = checksum(sending.checksum, &chunk);
    chunk.checksum = sending.checksum;
    chunk.last = sending.done;
    Ok(Some(chunk))
}

fn checksum(mut sum: u32, chunk: &SnapshotChunk) -> u32 {
    sum = crc32c::crc32c_append(sum, &chunk.header);
    for item in &chunk.items {
        sum = crc32c::crc32c_append(sum, &item.key);
        sum = crc32c::crc32c_append(sum, &item.value);
    }
    sum
}

/// A complete snapshot in a file, which goes when this is dropped.
///
/// Layout of the file: chunk after chunk, each its length (4 bytes, little-endian) and its pairs in postcard.
pub struct Spool {
    pub(super) header: Header,
    file: SpoolFile,
    bytes: u64,
}

struct SpoolFile {
    files: Arc<dyn Files>,
    path: PathBuf,
    file: Arc<dyn File>,
}

impl Drop for SpoolFile {
    fn drop(&mut self) {
        if let Err(error) = self.files.remove(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "a snapshot file stays behind");
        }
    }
}

/// Takes in the chunks of one snapshot.
pub struct Receive {
    header: Option<Header>,
    file: SpoolFile,
    bytes: u64,
    checksum: u32,
    done: bool,
}

impl Receive {
    /// Begins, with a file at `path`.
    pub fn new(files: Arc<dyn Files>, path: PathBuf) -> io::Result<Self> {
        if files.open(&path).is_ok() {
            files.remove(&path)?;
        }
        let file = files.create(&path)?;
        Ok(Self { header: None, file: SpoolFile { files, path, file }, bytes: 0, checksum: 0, done: false })
    }

    /// Takes in a chunk; an error ends the transfer. Writes to disk.
    pub fn push(&mut self, chunk: &SnapshotChunk) -> io::Result<()> {
        let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        self.checksum = checksum(self.checksum, chunk);
        if self.checksum != chunk.checksum {
            return Err(invalid("a snapshot chunk arrived damaged"));
        }
        if self.header.is_none() {
            let header = postcard::from_bytes(&chunk.header);
            self.header = Some(header.map_err(|_| invalid("a snapshot header does not decode"))?);
        }
        let pairs: Vec<(&[u8], &[u8])> =
            chunk.items.iter().map(|item| (&item.key[..], &item.value[..])).collect();
        let body = postcard::to_allocvec(&pairs).map_err(|_| invalid("a snapshot chunk does not encode"))?;
        let length = u32::try_from(body.len()).map_err(|_| invalid("a snapshot chunk is too large"))?;
        self.file.file.write_at(self.bytes, &length.to_le_bytes())?;
        self.file.file.write_at(self.bytes + 4, &body)?;
        self.bytes += 4 + u64::from(length);
        self.done = chunk.last;
        Ok(())
    }

    /// The snapshot, if all of it came.
    pub fn finish(self) -> io::Result<Spool> {
        match self.header {
            Some(header) if self.done => Ok(Spool { header, file: self.file, bytes: self.bytes }),
            _ => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the snapshot ended early")),
        }
    }
}

impl Spool {
    /// Calls `take` with the items of one chunk after another. Reads from disk.
    pub(super) fn chunks(
        &self,
        mut take: impl FnMut(Vec<(Bytes, Bytes)>) -> Result<(), storage::Error>,
    ) -> io::Result<()> {
        let mut at = 0;
        while at < self.bytes {
            let mut length = [0; 4];
            self.file.file.read_at(at, &mut length)?;
            let length = u32::from_le_bytes(length);
            let mut body = vec![0; length as usize];
            self.file.file.read_at(at + 4, &mut body)?;
            let pairs: Vec<(&[u8], &[u8])> = postcard::from_bytes(&body)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            let owned = pairs
                .into_iter()
                .map(|(key, value)| (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)))
                .collect();
            take(owned).map_err(io::Error::other)?;
            at += 4 + u64::from(length);
        }
        Ok(())
    }
}
