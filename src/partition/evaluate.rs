//! Deciding what a write does: the only place conditions run.

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use super::{Action, Change, Condition, Returns, View, Write};
use crate::model::{self, AttributeName, Item, codec, limits::ITEM_ENCODED_BYTES_MAX};

/// What a write comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evaluated {
    /// It changes the item.
    Changed {
        /// How.
        change: Change,
        /// The image the client asked for, encoded.
        image: Option<Bytes>,
    },
    /// It succeeds and changes nothing: no log entry, no record.
    Unchanged {
        /// The image the client asked for, encoded.
        image: Option<Bytes>,
    },
    /// It is answered no.
    Rejected(Rejected),
}

/// A deterministic no. An answer, not an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rejected {
    /// The condition did not hold.
    Condition,
    /// The item would break a limit: the message is DynamoDB's.
    Limit(String),
}

/// Why a write could not be evaluated.
#[derive(Debug, thiserror::Error)]
pub enum Error<E: std::error::Error + 'static> {
    /// The item could not be read.
    #[error("an item could not be read")]
    View(#[source] E),
    /// The stored item does not decode.
    #[error("a stored item is corrupt")]
    Corrupt(#[from] model::Corrupt),
}

const UPDATE_TOO_LARGE: &str = "Item size to update has exceeded the maximum allowed size";

/// The item as it stands.
struct Current {
    version: u64,
    item: Bytes,
}

/// Decides what `write` does to the items of `view`. `wants_old`: the stream shows old images.
pub fn evaluate<V: View + ?Sized>(
    view: &V,
    write: &Write,
    wants_old: bool,
) -> Result<Evaluated, Error<V::Error>> {
    let current = match view.get(&write.key).map_err(Error::View)? {
        None => None,
        Some(stored) => Some(current(stored)?),
    };
    let holds = match write.condition {
        Condition::None => true,
        Condition::Exists => current.is_some(),
        Condition::NotExists => current.is_none(),
    };
    if !holds {
        return Ok(Evaluated::Rejected(Rejected::Condition));
    }
    let new = match &write.action {
        Action::Put { item } => Some(item.clone()),
        Action::Delete => None,
        Action::Update { key, set, remove } => match update(current.as_ref(), key, set, remove)? {
            Ok(new) => new,
            Err(rejected) => return Ok(Evaluated::Rejected(rejected)),
        },
    };
    let old = current.as_ref().map(|current| current.item.clone());
    let image = match write.returns {
        Returns::Nothing => None,
        Returns::AllOld => old.clone(),
        Returns::AllNew => new.clone(),
    };
    if old == new {
        return Ok(Evaluated::Unchanged { image });
    }
    let version_before = current.as_ref().map(|current| current.version);
    let stored = new.map(|item| stored(version_before.unwrap_or(0) + 1, &item));
    let old = if wants_old { old } else { None };
    Ok(Evaluated::Changed { change: Change { key: write.key.clone(), version_before, old, stored }, image })
}

fn current(stored: Bytes) -> Result<Current, model::Corrupt> {
    let Some(version) = stored.first_chunk::<8>() else {
        return Err(model::Corrupt { what: "a stored item without version", offset: 0 });
    };
    Ok(Current { version: u64::from_le_bytes(*version), item: stored.slice(8..) })
}

fn stored(version: u64, item: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(8 + item.len());
    bytes.put_u64_le(version);
    bytes.put_slice(item);
    bytes.freeze()
}

/// The item after an update, or the reason it is refused. `None`: there is still no item.
fn update(
    current: Option<&Current>,
    key: &Bytes,
    set: &Bytes,
    remove: &[AttributeName],
) -> Result<Result<Option<Bytes>, Rejected>, model::Corrupt> {
    let set = codec::decode_item(set)?;
    let mut item: Item = match current {
        Some(current) => codec::decode_item(&current.item)?,
        None if set.is_empty() && !remove.is_empty() => return Ok(Ok(None)),
        None => codec::decode_item(key)?,
    };
    for name in remove {
        item.remove(name.as_str());
    }
    for (name, value) in set {
        item.insert(name, value);
    }
    if let Err(error) = item.validate() {
        let too_large = error == model::Error::ItemTooLarge;
        let message = if too_large { UPDATE_TOO_LARGE.to_owned() } else { error.to_string() };
        return Ok(Err(Rejected::Limit(message)));
    }
    let mut bytes = Vec::new();
    codec::encode_item(&item, &mut bytes);
    if bytes.len() > ITEM_ENCODED_BYTES_MAX {
        return Ok(Err(Rejected::Limit(UPDATE_TOO_LARGE.to_owned())));
    }
    Ok(Ok(Some(bytes.into_boxed_slice().into())))
}
