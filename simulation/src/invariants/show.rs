//! Facts in words, for the person who reads a violation.

use watertable::client::Record;
use watertable::model::{AttributeValue, Item};

use crate::history::{Call, Change, Key, Micros, NEVER, Operation, WriteOutcome};

/// An item, or that there is none.
pub fn item(item: Option<&Item>) -> String {
    let Some(item) = item else { return "no item".to_owned() };
    let attributes: Vec<_> =
        item.iter().map(|(name, value)| format!("{name}: {}", self::value(value))).collect();
    format!("{{{}}}", attributes.join(", "))
}

fn value(value: &AttributeValue) -> String {
    match value {
        AttributeValue::S(text) => self::text(text),
        AttributeValue::N(number) => number.to_string(),
        other => format!("{other:?}"),
    }
}

/// A text, of which a long one is only begun: what is written to be large says nothing.
fn text(text: &str) -> String {
    const SHOWN: usize = 24;
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{:?}... of {} bytes", &text[..at], text.len()),
        None => format!("{text:?}"),
    }
}

/// An item that may not have been shown.
pub fn image(image: Option<Option<&Item>>) -> String {
    image.map_or_else(|| "hidden".to_owned(), item)
}

/// A key.
pub fn key(key: &Key) -> String {
    format!("table {} key k{}/{}", key.table, key.id, key.at)
}

/// A time.
pub fn time(micros: Micros) -> String {
    if micros == NEVER { "never".to_owned() } else { format!("{micros} us") }
}

/// An operation with all that is known of it.
pub fn operation(operation: &Operation) -> String {
    format!(
        "operation {} (client {}, {}, {} to {}: {})",
        operation.number,
        operation.client,
        key(&operation.key),
        time(operation.begun),
        time(operation.ended),
        call(&operation.call),
    )
}

fn call(call: &Call) -> String {
    match call {
        Call::Read { consistent, found } => {
            let kind = if *consistent { "consistent" } else { "eventual" };
            match found {
                Some(found) => format!("{kind} read -> {}", item(found.as_ref())),
                None => format!("{kind} read -> failed"),
            }
        }
        Call::Write { change, condition, outcome } => {
            let condition = condition.map(|condition| format!(" if {condition:?}")).unwrap_or_default();
            format!("{}{condition} -> {}", self::change(change), self::outcome(outcome))
        }
    }
}

fn change(change: &Change) -> String {
    match change {
        Change::Put(put) => format!("put {}", item(Some(put))),
        Change::Set(pad) => format!("set pad {}", text(pad)),
        Change::Add(amount) => format!("add {amount}"),
        Change::Touch => "touch".to_owned(),
        Change::Delete => "delete".to_owned(),
    }
}

fn outcome(outcome: &WriteOutcome) -> String {
    let shown = |image: &Option<Option<Item>>| self::image(image.as_ref().map(Option::as_ref));
    match outcome {
        WriteOutcome::Done { before, after } => {
            format!("done, {} before, {} after", shown(before), shown(after))
        }
        WriteOutcome::Rejected(current) => format!("rejected, {} there", shown(current)),
        WriteOutcome::Failed => "failed".to_owned(),
        WriteOutcome::Unknown => "unknown".to_owned(),
    }
}

/// A record with all that it shows.
pub fn record(record: &Record) -> String {
    format!(
        "record {} ({:?} of {}, event {}, {} ms, {} bytes, old image: {}, new image: {})",
        record.sequence_number,
        record.event_name,
        item(Some(&record.keys)),
        record.event_id,
        record.created_ms,
        record.size_bytes,
        item(record.old_image.as_ref()),
        item(record.new_image.as_ref()),
    )
}
