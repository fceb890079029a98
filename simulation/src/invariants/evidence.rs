//! What an operation's answer proves, and what it leaves open.

use std::collections::BTreeMap;

use watertable::model::Item;

use crate::history::{
    Call, Change, Condition, History, Key, Micros, NEVER, Operation, StreamStory, WriteOutcome, written_by,
};

/// How sure something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sure {
    No,
    Perhaps,
    Yes,
}

/// An item that was shown, or that there was none; `None`: it was not shown.
pub type Image<'a> = Option<Option<&'a Item>>;

/// The operations by key, each key's in the order of their numbers.
pub fn by_key(history: &History) -> BTreeMap<Key, Vec<&Operation>> {
    let mut keys = BTreeMap::<Key, Vec<&Operation>>::new();
    for operation in &history.operations {
        keys.entry(operation.key).or_default().push(operation);
    }
    keys
}

/// The operations by number.
pub fn by_number(history: &History) -> BTreeMap<u64, &Operation> {
    history.operations.iter().map(|operation| (operation.number, operation)).collect()
}

/// The key of an operation as an item.
pub fn key_item(history: &History, key: &Key) -> Item {
    key.item(history.tables[key.table].schema.sort.is_some())
}

/// What a write that may have happened wants to do; `None` of reads and of writes that surely did nothing.
pub fn possible(operation: &Operation) -> Option<(&Change, Option<Condition>)> {
    match &operation.call {
        Call::Write { change, condition, outcome: WriteOutcome::Done { .. } | WriteOutcome::Unknown } => {
            Some((change, *condition))
        }
        _ => None,
    }
}

/// Whether a write leaves its number in the item.
pub fn signs(change: &Change) -> bool {
    matches!(change, Change::Put(_) | Change::Set(_) | Change::Add(_))
}

/// Whether the client was told that it is done.
pub fn is_done(operation: &Operation) -> bool {
    matches!(operation.call, Call::Write { outcome: WriteOutcome::Done { .. }, .. })
}

/// The last moment at which an operation may have taken effect.
pub fn over(operation: &Operation) -> Micros {
    match operation.call {
        Call::Write { outcome: WriteOutcome::Unknown, .. } => NEVER,
        _ => operation.ended,
    }
}

/// Whether an operation changed its item.
pub fn changed(operation: &Operation) -> Sure {
    let Call::Write { change, condition, outcome } = &operation.call else { return Sure::No };
    let before = match outcome {
        WriteOutcome::Rejected(_) | WriteOutcome::Failed => return Sure::No,
        WriteOutcome::Done { before, .. } => before.as_ref().map(Option::is_some),
        WriteOutcome::Unknown => None,
    };
    let existed = before.or(match condition {
        Some(Condition::Exists | Condition::WrittenBy(_)) => Some(true),
        Some(Condition::Absent) => Some(false),
        None => None,
    });
    let would = match (change, existed) {
        (Change::Put(_) | Change::Set(_) | Change::Add(_), _) => Sure::Yes,
        (Change::Touch | Change::Delete, None) => Sure::Perhaps,
        (Change::Delete, Some(existed)) => {
            if existed {
                Sure::Yes
            } else {
                Sure::No
            }
        }
        (Change::Touch, Some(existed)) => {
            if existed {
                Sure::No
            } else {
                Sure::Yes
            }
        }
    };
    if would == Sure::Yes && !is_done(operation) { Sure::Perhaps } else { would }
}

/// Whether an operation took effect, if it did, while a stream was on.
pub fn inside(operation: &Operation, stream: &StreamStory) -> Sure {
    let over = over(operation);
    if over < stream.on.0 || (stream.off.1 != NEVER && operation.begun > stream.off.1) {
        return Sure::No;
    }
    let on = operation.begun > stream.on.1 || stream.on == (0, 0);
    let off = over < stream.off.0 || stream.off.0 == NEVER;
    if on && off { Sure::Yes } else { Sure::Perhaps }
}

/// Whether an image that was shown is this; one that was not could be any.
pub fn agrees(shown: Image, image: Image) -> bool {
    match (shown, image) {
        (Some(shown), Some(image)) => shown == image,
        _ => true,
    }
}

/// The images that a write was answered with, before and after.
pub fn answered(operation: &Operation) -> (Image<'_>, Image<'_>) {
    match &operation.call {
        Call::Write { outcome: WriteOutcome::Done { before, after }, .. } => {
            (before.as_ref().map(Option::as_ref), after.as_ref().map(Option::as_ref))
        }
        _ => (None, None),
    }
}

/// Everything that an answer shows of the item, as it was at some moment of the operation.
pub fn sightings(operation: &Operation) -> impl Iterator<Item = Option<&Item>> {
    let (before, after) = answered(operation);
    let other = match &operation.call {
        Call::Read { found, .. } => found.as_ref().map(Option::as_ref),
        Call::Write { outcome: WriteOutcome::Rejected(current), .. } => current.as_ref().map(Option::as_ref),
        Call::Write { .. } => None,
    };
    [before, after, other].into_iter().flatten()
}

/// Whether a write that leaves its number could have made this item of some other.
pub fn could_make(operation: &Operation, change: &Change, key: &Item, after: &Item) -> bool {
    let signed = written_by(after) == Some(operation.number);
    let keyed = key.iter().all(|(name, value)| after.get(name) == Some(value));
    // Applied once more, a set changes nothing of what it left; what an addition left depends on what was there.
    let whole = match change {
        Change::Put(item) => item == after,
        Change::Set(_) => change.apply(operation.number, key, Some(after)).as_ref() == Some(after),
        Change::Add(_) => after.contains("n"),
        Change::Touch | Change::Delete => false,
    };
    signed && keyed && whole
}
