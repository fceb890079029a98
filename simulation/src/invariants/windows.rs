//! When the writes behind the records happened, as far as the answers of the clients tell.

use std::collections::BTreeMap;

use watertable::client::SequenceNumber;

use super::chain::{self, Author, Version};
use super::evidence::{self, Sure};
use crate::history::{Change, History, Key, Micros, Operation};

/// When the write of a record began, and when it was over, at the earliest and at the latest that its candidates allow:
/// by ARN, shard and sequence number.
pub type Windows<'a> = BTreeMap<(&'a str, &'a str, &'a SequenceNumber), (Micros, Micros)>;

/// The windows of all records.
pub fn of(history: &History) -> Windows<'_> {
    let mut windows = Windows::new();
    let (keys, numbers) = (evidence::by_key(history), evidence::by_number(history));
    for (number, table) in history.tables.iter().enumerate() {
        for stream in &table.streams {
            for (key, chain) in chain::of(history, number, stream) {
                for version in chain {
                    let place =
                        (stream.arn.as_str(), version.shard.id.as_str(), &version.record.sequence_number);
                    windows.insert(place, window(&keys, &numbers, &key, &version));
                }
            }
        }
    }
    windows
}

fn window(
    keys: &BTreeMap<Key, Vec<&Operation>>,
    numbers: &BTreeMap<u64, &Operation>,
    key: &Key,
    version: &Version,
) -> (Micros, Micros) {
    let author = version.author();
    if let Author::Number(number) = author {
        // Without its write it is `no_invention` that speaks.
        return numbers.get(&number).map_or((0, Micros::MAX), |write| (write.begun, evidence::over(write)));
    }
    // Without any candidate, too, it is `no_invention` that speaks.
    let candidates = keys.get(key).into_iter().flatten().filter(|operation| {
        let kind = match evidence::possible(operation) {
            Some((Change::Delete, _)) => author == Author::Delete,
            Some((Change::Touch, _)) => author != Author::Delete,
            Some(_) => author == Author::Hidden,
            None => false,
        };
        kind && evidence::changed(operation) != Sure::No
    });
    let windows = candidates.map(|operation| (operation.begun, evidence::over(operation)));
    windows.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1))).unwrap_or((0, Micros::MAX))
}
