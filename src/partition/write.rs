//! What a client asks of one item.

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use crate::model::{AttributeName, HashRange, ItemKey, id::TableId};

/// One write of one item. Items travel in their canonical encoding (`model::codec`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Write {
    /// The stored key, see [`stored_key`].
    pub key: Bytes,
    /// What to do with the item.
    pub action: Action,
    /// What must hold for it to happen.
    pub condition: Condition,
    /// Which image the answer shows.
    pub returns: Returns,
}

/// What to do with an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Create it or replace it whole.
    Put {
        /// The new item, encoded, key attributes included.
        item: Bytes,
    },
    /// Set and remove single attributes. An item that does not exist is created from its key, unless the update
    /// only removes (DynamoDB's rule: removing from nothing changes nothing).
    Update {
        /// The key attributes, encoded as an item.
        key: Bytes,
        /// Attributes to set, encoded as an item; holds no key attribute.
        set: Bytes,
        /// Attributes to remove; names no key attribute and none of `set`.
        remove: Vec<AttributeName>,
    },
    /// Delete it, if it exists.
    Delete,
}

/// What must hold for a write to happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Condition {
    /// Nothing.
    #[default]
    None,
    /// The item exists.
    Exists,
    /// The item does not exist.
    NotExists,
}

/// Which image of the item the answer of a write shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Returns {
    /// None.
    #[default]
    Nothing,
    /// The item before the write.
    AllOld,
    /// The item after the write.
    AllNew,
}

impl Write {
    /// About how many bytes this write costs a queue.
    pub fn bytes(&self) -> usize {
        let action = match &self.action {
            Action::Put { item } => item.len(),
            Action::Update { key, set, remove } => {
                key.len() + set.len() + remove.iter().map(|name| name.as_str().len()).sum::<usize>()
            }
            Action::Delete => 0,
        };
        self.key.len() + action
    }
}

/// The key an item is stored under: its table's id (8 bytes, big-endian), then the item key (partition hash,
/// partition key, sort key). A partition is thus one contiguous range of keys.
pub fn stored_key(table: TableId, key: &ItemKey) -> Bytes {
    let mut bytes = BytesMut::with_capacity(8 + key.as_bytes().len());
    bytes.put_u64(table.0);
    bytes.put_slice(key.as_bytes());
    bytes.freeze()
}

/// The stored keys of a partition: from the first (inclusive) to the second (exclusive; absent: no bound).
pub fn table_range(table: TableId, range: HashRange) -> (Bytes, Option<Bytes>) {
    let prefixed = |hash: [u8; 8]| {
        let mut bytes = BytesMut::with_capacity(16);
        bytes.put_u64(table.0);
        bytes.put_slice(&hash);
        bytes.freeze()
    };
    let end = match range.end_key() {
        Some(hash) => Some(prefixed(hash)),
        None => table.0.checked_add(1).map(|next| Bytes::copy_from_slice(&next.to_be_bytes())),
    };
    (prefixed(range.first_key()), end)
}
