//! Deciding what a write does: the only place conditions run.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::stored::{Current, stored};
use super::{Action, Change, Error, Returns, View, Write};
use crate::expression::{Refused, Subject, ast::Update};
use crate::model::{self, Corrupt, Item, codec, limits::ITEM_ENCODED_BYTES_MAX, lookup};

/// What a write comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evaluated {
    /// It changes the item.
    Changed {
        /// How.
        change: Change,
        /// What the client is told.
        answer: Answer,
    },
    /// It succeeds and changes nothing: no log entry, no record.
    Unchanged {
        /// What the client is told.
        answer: Answer,
    },
    /// It is answered no.
    Rejected(Rejected),
}

/// What the client of a write that succeeds is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The attributes that were asked for, encoded as an item; none if there are none to show.
    pub image: Option<Bytes>,
    /// The larger one of the sizes of the item before and after, by DynamoDB's rules: what write units are counted of.
    /// 0 if there was no item and is none, or the write does not ask for it.
    pub bytes: usize,
}

/// A deterministic no. An answer, not an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rejected {
    /// The condition did not hold.
    Condition {
        /// The item it did not hold of, encoded, if the write asked for it and there is one.
        item: Option<Bytes>,
    },
    /// The item cannot be updated that way, or would break a limit: the message is DynamoDB's.
    Invalid(String),
}

/// Decides what `write` does to the items of `view`. `wants_old`: the stream shows old images.
///
/// Errors: `View` if the item cannot be read; `Corrupt` if it, or one the write carries, is not an item, as far as it
/// is looked at.
pub fn evaluate<V: View + ?Sized>(
    view: &V,
    write: &Write,
    wants_old: bool,
) -> Result<Evaluated, Error<V::Error>> {
    let current = view.get(&write.key).map_err(Error::View)?.map(Current::of).transpose()?;
    Ok(decide(current.as_ref(), write, wants_old)?)
}

fn decide(current: Option<&Current>, write: &Write, wants_old: bool) -> Result<Evaluated, Corrupt> {
    let old = current.map(|current| &current.item);
    if let Some(condition) = &write.condition
        && !condition.holds(old.map_or(Subject::Nothing, |item| Subject::Encoded(item)))?
    {
        let item = old.filter(|_| write.shows_rejected).cloned();
        return Ok(Evaluated::Rejected(Rejected::Condition { item }));
    }
    let Outcome { new, touched } = match &write.action {
        Action::Put { item } => Outcome { new: Some(item.clone()), touched: None },
        Action::Delete => Outcome::default(),
        Action::Update { key, update, legacy } => match outcome(old, key, update, write.returns)? {
            Ok(outcome) => outcome,
            Err(refused) => return Ok(Evaluated::Rejected(refused.rejected(*legacy))),
        },
    };
    let image = match write.returns {
        Returns::Nothing => None,
        Returns::AllOld => old.cloned(),
        Returns::AllNew => new.clone(),
        Returns::UpdatedOld | Returns::UpdatedNew => touched,
    };
    let mut answer = Answer { image, bytes: 0 };
    if write.measures {
        for item in old.into_iter().chain(&new) {
            answer.bytes = answer.bytes.max(lookup::item_size(item)?);
        }
    }
    if old == new.as_ref() {
        return Ok(Evaluated::Unchanged { answer });
    }
    let version_before = current.map(|current| current.version);
    let size = |item: Option<&Bytes>| item.map_or(Ok(0), |item| lookup::item_size(item));
    let growth = size(new.as_ref())? as i64 - size(old)? as i64;
    let change = Change {
        key: write.key.clone(),
        growth: i32::try_from(growth).expect("item sizes are limited by model::limits"),
        version_before,
        old: old.filter(|_| wants_old).cloned(),
        stored: new.map(|item| stored(version_before.unwrap_or(0) + 1, &item)),
    };
    Ok(Evaluated::Changed { change, answer })
}

/// What becomes of the item.
#[derive(Default)]
struct Outcome {
    /// The item after, encoded.
    new: Option<Bytes>,
    /// What an update touched, encoded, if the write asks for it and there is something.
    touched: Option<Bytes>,
}

/// Why an update is not done.
enum Refusal {
    /// It cannot be done on the item as it is.
    Update(Refused),
    /// The item it makes breaks a limit.
    Limit(model::Error),
}

impl Refusal {
    fn rejected(self, legacy: bool) -> Rejected {
        Rejected::Invalid(match self {
            Self::Update(refused) if legacy => refused.legacy_message(),
            Self::Update(refused) => refused.to_string(),
            Self::Limit(model::Error::ItemTooLarge) => Refused::TooLarge.to_string(),
            Self::Limit(error) => error.to_string(),
        })
    }
}

/// What an update makes of the item, or why it is refused.
fn outcome(
    old: Option<&Bytes>,
    key: &[u8],
    update: &Update,
    returns: Returns,
) -> Result<Result<Outcome, Refusal>, Corrupt> {
    let old = old.map(|item| codec::decode_item(item)).transpose()?;
    // Needed only to make a new item from.
    let key = if old.is_none() { codec::decode_item(key)? } else { Item::new() };
    let mut outcome = Outcome::default();
    if returns == Returns::UpdatedOld {
        outcome.touched = shown(&update.touched_old(old.as_ref()));
    }
    let new = match update.apply(&key, old) {
        Ok(Some(new)) => new,
        Ok(None) => return Ok(Ok(outcome)),
        Err(refused) => return Ok(Err(Refusal::Update(refused))),
    };
    if let Err(error) = new.validate() {
        return Ok(Err(Refusal::Limit(error)));
    }
    let encoded = encode(&new);
    if encoded.len() > ITEM_ENCODED_BYTES_MAX {
        return Ok(Err(Refusal::Limit(model::Error::ItemTooLarge)));
    }
    if returns == Returns::UpdatedNew {
        outcome.touched = shown(&update.touched_new(Some(&new)));
    }
    outcome.new = Some(encoded);
    Ok(Ok(outcome))
}

fn shown(attributes: &Item) -> Option<Bytes> {
    (!attributes.is_empty()).then(|| encode(attributes))
}

fn encode(item: &Item) -> Bytes {
    let mut bytes = Vec::new();
    codec::encode_item(item, &mut bytes);
    bytes.into_boxed_slice().into()
}
