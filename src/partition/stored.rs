//! A stored item: its version (8 bytes, little-endian), then the item in its canonical encoding.

use bytes::{BufMut, Bytes, BytesMut};

use crate::model::Corrupt;

const VERSION_BYTES: usize = 8;

/// The encoded item within a stored one.
pub fn stored_item(stored: &Bytes) -> Bytes {
    stored.slice(VERSION_BYTES.min(stored.len())..)
}

/// The item as it stands.
#[derive(Clone, Debug)]
pub(super) struct Current {
    pub version: u64,
    pub item: Bytes,
}

impl Current {
    pub fn of(stored: Bytes) -> Result<Self, Corrupt> {
        let (version, _) = split(&stored)?;
        Ok(Self { version, item: stored_item(&stored) })
    }
}

/// The version and the encoded item.
pub(super) fn split(stored: &[u8]) -> Result<(u64, &[u8]), Corrupt> {
    let Some((version, item)) = stored.split_first_chunk::<VERSION_BYTES>() else {
        return Err(Corrupt { what: "a stored item without version", offset: 0 });
    };
    Ok((u64::from_le_bytes(*version), item))
}

pub(super) fn stored(version: u64, item: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(VERSION_BYTES + item.len());
    bytes.put_u64_le(version);
    bytes.put_slice(item);
    bytes.freeze()
}
