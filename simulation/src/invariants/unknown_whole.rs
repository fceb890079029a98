//! An unknown write took effect once or not at all, and if it did, then wholly.
//!
//! From DESIGN: a write is one entry of one partition's log, proposed once and fenced by its term, and a client does
//! not repeat a write that may have happened. So there is no way for it to be applied twice, or in part.
//!
//! Once: over all streams of its table there is at most one record of it. Wholly: whatever was seen of it, in records,
//! reads, answers and the final items, is one and the same item, and one that it could have made. The second is judged
//! for all writes, whose number is in only one version of an item.

use std::collections::BTreeMap;

use watertable::client::Record;
use watertable::model::Item;

use super::chain;
use super::evidence;
use super::{judge, show};
use crate::history::{Call, History, Key, Operation, WriteOutcome, written_by};
use crate::verdict::{Marks, Violation};

/// Where an item was seen.
#[derive(Clone, Copy)]
enum Seen<'a> {
    Record(&'a Record),
    By(&'a Operation),
    InTheEnd,
}

type Sightings<'a> = BTreeMap<(Key, u64), Vec<(Seen<'a>, &'a Item)>>;

/// Judges a run.
pub fn check(history: &History, marks: &mut Marks) -> Result<(), Violation> {
    judge("unknown_whole", marks, |judged| {
        let (sightings, records) = gather(history);
        for operation in &history.operations {
            let Some((change, _)) = evidence::possible(operation) else { continue };
            if !evidence::signs(change) {
                continue;
            }
            let unknown = matches!(operation.call, Call::Write { outcome: WriteOutcome::Unknown, .. });
            let place = (operation.key, operation.number);
            *judged += u64::from(unknown);
            if let Some([first, second, ..]) = records.get(&place).map(Vec::as_slice) {
                return Err(format!(
                    "{} is more than one record: {}; {}",
                    show::operation(operation),
                    show::record(first),
                    show::record(second)
                ));
            }
            let seen = sightings.get(&place).map_or(&[][..], Vec::as_slice);
            *judged += seen.len() as u64;
            let Some((first, item)) = seen.first() else { continue };
            if let Some((other, different)) = seen.iter().find(|(_, other)| other != item) {
                return Err(format!(
                    "{} was seen as {} ({}) and as {} ({})",
                    show::operation(operation),
                    show::item(Some(item)),
                    place_of(*first),
                    show::item(Some(different)),
                    place_of(*other)
                ));
            }
            let key = evidence::key_item(history, &operation.key);
            if unknown && !evidence::could_make(operation, change, &key, item) {
                return Err(format!(
                    "{} cannot have made {} ({})",
                    show::operation(operation),
                    show::item(Some(item)),
                    place_of(*first)
                ));
            }
        }
        Ok(())
    })
}

/// All items that were seen, and the records whose change they came from, by the write that they name.
fn gather(history: &History) -> (Sightings<'_>, BTreeMap<(Key, u64), Vec<&Record>>) {
    let (mut sightings, mut records) = (Sightings::new(), BTreeMap::<_, Vec<_>>::new());
    let mut see = |key: Key, item, seen| {
        if let Some(number) = written_by(item) {
            sightings.entry((key, number)).or_default().push((seen, item));
        }
    };
    for (number, table) in history.tables.iter().enumerate() {
        for (key, chain) in table.streams.iter().flat_map(|stream| chain::of(history, number, stream)) {
            for version in &chain {
                for image in [version.before, version.after].into_iter().flatten().flatten() {
                    see(key, image, Seen::Record(version.record));
                }
                if let chain::Author::Number(number) = version.author() {
                    records.entry((key, number)).or_default().push(version.record);
                }
            }
        }
        if !table.deleted {
            for (key, item) in &table.items {
                see(*key, item, Seen::InTheEnd);
            }
        }
    }
    for operation in &history.operations {
        for item in evidence::sightings(operation).flatten() {
            see(operation.key, item, Seen::By(operation));
        }
    }
    (sightings, records)
}

fn place_of(seen: Seen) -> String {
    match seen {
        Seen::Record(record) => show::record(record),
        Seen::By(operation) => show::operation(operation),
        Seen::InTheEnd => "the final scan".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use watertable::client::StreamViewType;
    use watertable::model::AttributeValue;

    use super::super::sample::{BOTH, KEY, NEW, VIEWS, fails, history, item, passes, record, stream};
    use super::*;
    use crate::history::{Change, name};

    const NAME: &str = "unknown_whole";

    fn good(view_type: StreamViewType) -> History {
        let mut history = history(view_type);
        history.put(1, 2, WriteOutcome::Unknown);
        history.write(5, 6, Change::Set("x".to_owned()), WriteOutcome::Unknown);
        history.write(7, 8, Change::Set("never".to_owned()), WriteOutcome::Unknown);
        let set = Change::Set("x".to_owned()).apply(2, &KEY.item(false), Some(&item(1)));
        history.versions(&[Some(item(1)), set.clone()]);
        history.read(20, 21, true, set);
        history
    }

    #[test]
    fn unknown_writes_that_are_there_or_not_pass() {
        for view_type in VIEWS {
            passes(check, NAME, &good(view_type));
        }
    }

    #[test]
    fn one_that_is_there_twice_is_reported() {
        let mut twice = good(NEW);
        twice.records().push(record(NEW, 99, Some(item(2)), Some(item(1))));
        fails(check, NAME, &twice, "is more than one record");
        let mut again = good(NEW);
        let mut other = stream(NEW);
        other.shards[0].records.push(record(NEW, 99, None, Some(item(1))));
        again.tables[0].streams.push(other);
        fails(check, NAME, &again, "is more than one record");
    }

    #[test]
    fn one_that_is_there_in_part_is_reported() {
        let mut part = history(BOTH);
        part.write(1, 2, Change::Set("x".to_owned()), WriteOutcome::Unknown);
        part.read(5, 6, false, Some(item(1)));
        fails(check, NAME, &part, "cannot have made");
        let mut final_part = history(BOTH);
        final_part.write(1, 2, Change::Add(1), WriteOutcome::Unknown);
        final_part.tables[0].items.insert(KEY, item(1));
        fails(check, NAME, &final_part, "the final scan");
    }

    #[test]
    fn a_version_that_was_seen_differently_is_reported() {
        let mut differently = good(BOTH);
        let mut other = item(2);
        other.insert(name("pad"), AttributeValue::S("x".to_owned()));
        other.insert(name("n"), AttributeValue::S("y".to_owned()));
        differently.read(30, 31, false, Some(other));
        fails(check, NAME, &differently, "was seen as");
    }
}
