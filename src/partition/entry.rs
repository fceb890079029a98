//! What the log holds of a partition: versioned bytes, made once by the proposer, and read back by apply, by
//! recovery and by the stream.
//!
//! Layout, all numbers little-endian (byte 0 is shared with `raft`, which keeps 0x00 and 0xff to itself):
//!
//! | bytes | field | |
//! |---|---|---|
//! | 1 | kind | 1 changes, 2 control |
//! | 8 | term | the term it was evaluated in |
//! | 8 | now | leader's clock, ms since 1970, never less than in the entry before |
//! | rest | body | changes one after another, or a [`Control`] in postcard |
//!
//! A change:
//!
//! | bytes | field | |
//! |---|---|---|
//! | 1 | flags | 1: existed before, 2: old image follows, 4: exists after |
//! | 2 | key length | |
//! | n | key | the stored key |
//! | 4 | growth | signed: bytes the item is larger than before, as DynamoDB counts them |
//! | 8 | version before | if it existed |
//! | 4 + n | old image | if flag 2: encoded item |
//! | 4 + n | stored item | if flag 4: version (8 bytes), then encoded item; put into the item store as it is |

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use crate::model::{Corrupt, StreamViewType};

const KIND_CHANGES: u8 = 1;
const KIND_CONTROL: u8 = 2;
const HEADER: usize = 17;

const EXISTED: u8 = 1;
const OLD: u8 = 2;
const EXISTS: u8 = 4;

/// The effect of one write on one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The stored key.
    pub key: Bytes,
    /// How many bytes larger the item is than before, as DynamoDB counts them; what is absent has none.
    pub growth: i32,
    /// The version of the item before; absent if there was none.
    pub version_before: Option<u64>,
    /// The encoded item before, if the stream wants it.
    pub old: Option<Bytes>,
    /// The item after, as stored (version, then encoded item); absent if it is deleted.
    pub stored: Option<Bytes>,
}

impl Change {
    /// The encoded item after the change; absent if it is deleted.
    pub fn new_image(&self) -> Option<Bytes> {
        self.stored.as_ref().map(|stored| stored.slice(8..))
    }

    /// Bytes this change takes in an entry.
    pub fn encoded_len(&self) -> usize {
        let image = |image: &Option<Bytes>| image.as_ref().map_or(0, |bytes| 4 + bytes.len());
        7 + self.key.len() + self.version_before.map_or(0, |_| 8) + image(&self.old) + image(&self.stored)
    }
}

/// What else the log of a partition says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Control {
    /// A stream begins here: every change behind this entry is in its shard.
    OpenShard {
        /// When the stream was asked for, ms since 1970: with the table, its identity.
        stream_ms: u64,
        /// What its records show.
        view_type: StreamViewType,
    },
    /// The stream ends here.
    CloseShard {
        /// Which one.
        stream_ms: u64,
    },
    /// The trim horizon moves: records at or below this index are gone.
    Trim {
        /// The last index trimmed.
        index: u64,
    },
}

/// A decoded entry. Images are slices of the entry's own bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The term it was evaluated in.
    pub term: u64,
    /// The leader's clock, ms since 1970.
    pub now_ms: u64,
    /// What it says.
    pub body: Body,
}

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Changes of items, in order; decode with [`Changes`].
    Changes(Changes),
    /// Something else.
    Control(Control),
}

/// Collects the changes of one entry, encoding each once.
pub struct Encoder {
    bytes: BytesMut,
    changes: usize,
}

impl Encoder {
    /// An entry of changes, evaluated in `term`.
    pub fn new(term: u64, now_ms: u64) -> Self {
        let mut bytes = BytesMut::with_capacity(4096);
        header(&mut bytes, KIND_CHANGES, term, now_ms);
        Self { bytes, changes: 0 }
    }

    /// Adds a change.
    pub fn push(&mut self, change: &Change) {
        let flags = change.version_before.map_or(0, |_| EXISTED)
            | change.old.as_ref().map_or(0, |_| OLD)
            | change.stored.as_ref().map_or(0, |_| EXISTS);
        self.bytes.reserve(change.encoded_len());
        self.bytes.put_u8(flags);
        let len = u16::try_from(change.key.len()).expect("key lengths are limited by model::limits");
        self.bytes.put_u16_le(len);
        self.bytes.put_slice(&change.key);
        self.bytes.put_i32_le(change.growth);
        if let Some(version) = change.version_before {
            self.bytes.put_u64_le(version);
        }
        for image in [&change.old, &change.stored].into_iter().flatten() {
            let len = u32::try_from(image.len()).expect("item sizes are limited by model::limits");
            self.bytes.put_u32_le(len);
            self.bytes.put_slice(image);
        }
        self.changes += 1;
    }

    /// How many changes it holds.
    pub fn len(&self) -> usize {
        self.changes
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.changes == 0
    }

    /// Bytes so far.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The entry.
    pub fn finish(self) -> Bytes {
        self.bytes.freeze()
    }
}

/// Encodes a control entry.
pub fn encode_control(term: u64, now_ms: u64, control: &Control) -> Bytes {
    let mut bytes = BytesMut::with_capacity(64);
    header(&mut bytes, KIND_CONTROL, term, now_ms);
    let body = postcard::to_allocvec(control).expect("a control serializes: it has no maps and no floats");
    bytes.put_slice(&body);
    bytes.freeze()
}

fn header(bytes: &mut BytesMut, kind: u8, term: u64, now_ms: u64) {
    bytes.put_u8(kind);
    bytes.put_u64_le(term);
    bytes.put_u64_le(now_ms);
}

/// The time stamp of an entry's bytes, without decoding the rest; absent for entries that are not of a partition.
pub fn time_of(bytes: &[u8]) -> Option<u64> {
    if !matches!(bytes.first(), Some(&(KIND_CHANGES | KIND_CONTROL))) {
        return None;
    }
    Some(u64::from_le_bytes(*bytes.get(9..)?.first_chunk()?))
}

impl Entry {
    /// Decodes an entry. The changes are checked as they are iterated.
    pub fn decode(bytes: Bytes) -> Result<Self, Corrupt> {
        let corrupt = |what| Corrupt { what, offset: 0 };
        let mut rest = bytes;
        if rest.len() < HEADER {
            return Err(corrupt("an entry shorter than its header"));
        }
        let kind = rest.get_u8();
        let term = rest.get_u64_le();
        let now_ms = rest.get_u64_le();
        let body = match kind {
            KIND_CHANGES => Body::Changes(Changes { rest }),
            KIND_CONTROL => Body::Control(
                postcard::from_bytes(&rest).map_err(|_| corrupt("a control entry that does not decode"))?,
            ),
            _ => return Err(corrupt("an entry of an unknown kind")),
        };
        Ok(Self { term, now_ms, body })
    }
}

/// The changes of one entry, decoded one by one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    rest: Bytes,
}

impl Iterator for Changes {
    type Item = Result<Change, Corrupt>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let change = self.change();
        if change.is_none() {
            self.rest.clear();
        }
        Some(change.ok_or(Corrupt { what: "a change that does not decode", offset: 0 }))
    }
}

impl Changes {
    fn change(&mut self) -> Option<Change> {
        let flags = self.rest.try_get_u8().ok()?;
        if flags & !(EXISTED | OLD | EXISTS) != 0 {
            return None;
        }
        let key_len = self.rest.try_get_u16_le().ok()?;
        let key = self.take(usize::from(key_len))?;
        let growth = self.rest.try_get_i32_le().ok()?;
        let version_before = if flags & EXISTED != 0 { Some(self.rest.try_get_u64_le().ok()?) } else { None };
        let old = if flags & OLD != 0 { Some(self.image()?) } else { None };
        let stored = if flags & EXISTS != 0 { Some(self.image()?) } else { None };
        if stored.as_ref().is_some_and(|stored| stored.len() < 8) {
            return None;
        }
        Some(Change { key, growth, version_before, old, stored })
    }

    fn image(&mut self) -> Option<Bytes> {
        let len = self.rest.try_get_u32_le().ok()?;
        self.take(usize::try_from(len).ok()?)
    }

    fn take(&mut self, len: usize) -> Option<Bytes> {
        (self.rest.len() >= len).then(|| self.rest.split_to(len))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn image() -> impl Strategy<Value = Option<Bytes>> {
        proptest::option::of(proptest::collection::vec(any::<u8>(), 8..40).prop_map(Bytes::from))
    }

    prop_compose! {
        fn change()(key in proptest::collection::vec(any::<u8>(), 0..30), growth: i32, version_before: Option<u64>,
                    old in image(), stored in image()) -> Change {
            Change { key: key.into(), growth, version_before, old, stored }
        }
    }

    proptest! {
        #[test]
        fn changes_round_trip(changes in proptest::collection::vec(change(), 0..6), term: u64, now: u64) {
            let mut encoder = Encoder::new(term, now);
            for change in &changes {
                let before = encoder.bytes();
                encoder.push(change);
                prop_assert_eq!(encoder.bytes() - before, change.encoded_len());
            }
            prop_assert_eq!(encoder.len(), changes.len());
            let bytes = encoder.finish();
            prop_assert_eq!(time_of(&bytes), Some(now));
            let entry = Entry::decode(bytes).expect("decodes");
            prop_assert_eq!((entry.term, entry.now_ms), (term, now));
            let Body::Changes(decoded) = entry.body else { panic!("changes") };
            let decoded: Vec<Change> = decoded.collect::<Result<_, _>>().expect("decodes");
            prop_assert_eq!(decoded, changes);
        }

        #[test]
        fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80), kind in 0u8..4) {
            let mut bytes = bytes;
            bytes.insert(0, kind);
            if let Ok(Entry { body: Body::Changes(changes), .. }) = Entry::decode(bytes.into()) {
                prop_assert!(changes.count() <= 80);
            }
        }
    }

    #[test]
    fn controls_round_trip() {
        for control in [
            Control::OpenShard { stream_ms: 7, view_type: StreamViewType::OldImage },
            Control::CloseShard { stream_ms: 7 },
            Control::Trim { index: u64::MAX },
        ] {
            let bytes = encode_control(3, 9, &control);
            let entry = Entry::decode(bytes).expect("decodes");
            assert_eq!(entry, Entry { term: 3, now_ms: 9, body: Body::Control(control) });
        }
    }
}
