//! What a client asks of one item.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::expression::ast::{Condition, Update};

/// One write of one item. Items travel in their canonical encoding (`model::codec`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Write {
    /// The stored key, see [`stored_key`](super::stored_key).
    pub key: Bytes,
    /// What to do with the item.
    pub action: Action,
    /// What must hold of the item for it to happen.
    pub condition: Option<Condition>,
    /// Which image the answer shows.
    pub returns: Returns,
    /// Whether a condition that does not hold shows the item it did not hold of.
    pub shows_rejected: bool,
    /// Whether the answer tells how large the item is, which capacity is counted by.
    pub measures: bool,
}

/// What to do with an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Create it or replace it whole.
    Put {
        /// The new item, encoded, key attributes included.
        item: Bytes,
    },
    /// Change parts of it. Creates it from its key if there is none, unless the update only removes.
    Update {
        /// The key attributes, encoded as an item.
        key: Bytes,
        /// How; changes no key attribute.
        update: Update,
        /// Whether it was given by legacy parameters, whose refusals say some things in other words.
        legacy: bool,
    },
    /// Delete it, if it exists.
    Delete,
}

/// Which image of the item the answer of a write shows. DynamoDB's `ReturnValues`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Returns {
    /// None.
    #[default]
    Nothing,
    /// The item before the write.
    AllOld,
    /// What an update touched, before it.
    UpdatedOld,
    /// The item after the write.
    AllNew,
    /// What an update touched, after it.
    UpdatedNew,
}
