//! Nothing is seen that no write can have made: no record, and no item, of a write that failed, was rejected, was never
//! sent, or had not yet been sent; and each is exactly what its write makes of the item before it.
//!
//! From DYNAMODB.md 1.6: "a record exists only for a committed write: no phantom record for a write that later fails".
//! For items it is the safety of registers (Lamport 1986, "On interprocess communication"): a read returns what some
//! write wrote. Answers must also agree with themselves: a condition held of the item that was shown as the one before,
//! and did not hold of the one shown with a rejection.

use std::collections::BTreeMap;

use watertable::client::SequenceNumber;
use watertable::model::Item;

use super::chain::{self, Author, Version};
use super::evidence::{self, Sure};
use super::{judge, show};
use crate::history::{Call, Change, History, Key, Micros, NEVER, Operation, WriteOutcome, written_by};
use crate::verdict::{Marks, Violation};

/// Judges a run.
pub fn check(history: &History, marks: &mut Marks) -> Result<(), Violation> {
    judge("no_invention", marks, |judged| {
        let run = Run {
            history,
            keys: evidence::by_key(history),
            numbers: evidence::by_number(history),
            first_seen: first_seen(history),
        };
        run.records(judged)?;
        run.answers(judged)?;
        run.items(judged)
    })
}

type FirstSeen<'a> = BTreeMap<(&'a str, &'a str, &'a SequenceNumber), Micros>;

/// When each record was first seen by anybody.
fn first_seen(history: &History) -> FirstSeen<'_> {
    let mut first = FirstSeen::new();
    for reading in &history.readings {
        for (time, record) in &reading.records {
            let place = (reading.arn.as_str(), reading.shard.as_str(), &record.sequence_number);
            first.entry(place).and_modify(|first| *first = (*first).min(*time)).or_insert(*time);
        }
    }
    first
}

struct Run<'a> {
    history: &'a History,
    keys: BTreeMap<Key, Vec<&'a Operation>>,
    numbers: BTreeMap<u64, &'a Operation>,
    first_seen: FirstSeen<'a>,
}

impl Run<'_> {
    fn records(&self, judged: &mut u64) -> Result<(), String> {
        for (number, table) in self.history.tables.iter().enumerate() {
            for stream in &table.streams {
                for record in stream.shards.iter().flat_map(|shard| &shard.records) {
                    let keyed = Key::of(number, &record.keys)
                        .is_some_and(|key| evidence::key_item(self.history, &key) == record.keys);
                    if !keyed {
                        return Err(format!(
                            "a record of no key in {}: {}",
                            stream.arn,
                            show::record(record)
                        ));
                    }
                }
                for (key, chain) in chain::of(self.history, number, stream) {
                    for version in &chain {
                        *judged += 1;
                        let place =
                            (stream.arn.as_str(), version.shard.id.as_str(), &version.record.sequence_number);
                        let seen = self.first_seen.get(&place).copied().unwrap_or(NEVER);
                        self.version(&key, version, seen).map_err(|why| {
                            format!(
                                "{} of {} (in {}, first seen at {}): {why}; the item before: {}, after: {}",
                                show::record(version.record),
                                show::key(&key),
                                stream.arn,
                                show::time(seen),
                                show::image(version.before),
                                show::image(version.after)
                            )
                        })?;
                    }
                }
            }
        }
        Ok(())
    }

    fn version(&self, key: &Key, version: &Version, seen: Micros) -> Result<(), String> {
        let author = version.author();
        if let Author::Number(number) = author {
            let operation = self.writer(key, number, seen)?;
            return self
                .explains(operation, version)
                .map_err(|why| format!("{}: {why}", show::operation(operation)));
        }
        let mut reason =
            format!("no write that it could be of was sent to the key before it was seen ({author:?})");
        for operation in self.keys.get(key).into_iter().flatten() {
            let Some((change, _)) = evidence::possible(operation) else { continue };
            let kind = match author {
                Author::Delete => matches!(change, Change::Delete),
                Author::Touch => matches!(change, Change::Touch),
                Author::Hidden | Author::Number(_) => !matches!(change, Change::Delete),
            };
            if !kind || operation.begun > seen || evidence::changed(operation) == Sure::No {
                continue;
            }
            match self.explains(operation, version) {
                Ok(()) => return Ok(()),
                Err(why) => reason = format!("not by {}: {why}", show::operation(operation)),
            }
        }
        Err(reason)
    }

    /// The operation that left its number in an item of this key, which was seen then. Errors: it cannot have.
    fn writer(&self, key: &Key, number: u64, seen: Micros) -> Result<&Operation, String> {
        let Some(operation) = self.numbers.get(&number) else {
            return Err(format!("there is no operation {number}"));
        };
        let possible = evidence::possible(operation).is_some_and(|(change, _)| evidence::signs(change));
        if operation.key != *key || !possible {
            return Err(format!("not of {}", show::operation(operation)));
        }
        if operation.begun > seen {
            return Err(format!("seen at {}, before {} began", show::time(seen), show::operation(operation)));
        }
        Ok(operation)
    }

    /// Whether the operation makes the item after of the item before, as far as both are known.
    fn explains(&self, operation: &Operation, version: &Version) -> Result<(), String> {
        let (change, condition) =
            evidence::possible(operation).expect("the callers chose one that may have happened");
        let key = evidence::key_item(self.history, &operation.key);
        let shown = evidence::answered(operation);
        if !evidence::agrees(shown.0, version.before) || !evidence::agrees(shown.1, version.after) {
            return Err("the images that it was answered with are others".to_owned());
        }
        if let (Some(before), Some(condition)) = (version.before, condition)
            && !condition.holds(before)
        {
            return Err(format!("its condition does not hold of {}", show::item(before)));
        }
        match (version.before, version.after) {
            (Some(before), Some(after)) => {
                let made = change.apply(operation.number, &key, before);
                if made.as_ref() != after {
                    return Err(format!("it makes {}", show::item(made.as_ref())));
                }
            }
            (None, Some(Some(after)))
                if evidence::signs(change) && !evidence::could_make(operation, change, &key, after) =>
            {
                return Err("it makes no such item of any other".to_owned());
            }
            _ => {}
        }
        Ok(())
    }

    /// What the clients were told agrees with itself.
    fn answers(&self, judged: &mut u64) -> Result<(), String> {
        for operation in &self.history.operations {
            let Call::Write { change, condition, outcome } = &operation.call else { continue };
            let sound = match outcome {
                WriteOutcome::Rejected(shown) => {
                    let current = shown.as_ref().map(Option::as_ref);
                    condition.is_some_and(|condition| current.is_none_or(|current| !condition.holds(current)))
                }
                WriteOutcome::Done { .. } => {
                    let (before, after) = evidence::answered(operation);
                    let key = evidence::key_item(self.history, &operation.key);
                    let held = match (before, condition) {
                        (Some(before), Some(condition)) => condition.holds(before),
                        _ => true,
                    };
                    let made = match (before, after) {
                        (Some(before), Some(after)) => {
                            change.apply(operation.number, &key, before).as_ref() == after
                        }
                        (None, Some(Some(after))) if evidence::signs(change) => {
                            evidence::could_make(operation, change, &key, after)
                        }
                        (None, Some(after)) => after.is_none() == matches!(change, Change::Delete),
                        (_, None) => true,
                    };
                    held && made
                }
                WriteOutcome::Failed | WriteOutcome::Unknown => continue,
            };
            *judged += 1;
            if !sound {
                return Err(format!("the answer contradicts itself: {}", show::operation(operation)));
            }
        }
        Ok(())
    }

    /// What the clients saw of items, and the items in the end.
    fn items(&self, judged: &mut u64) -> Result<(), String> {
        for operation in &self.history.operations {
            for item in evidence::sightings(operation).flatten() {
                *judged += 1;
                self.item(&operation.key, item, operation.ended)
                    .map_err(|why| format!("{} showed an item: {why}", show::operation(operation)))?;
            }
        }
        for table in self.history.tables.iter().filter(|table| !table.deleted) {
            for (key, item) in &table.items {
                *judged += 1;
                self.item(key, item, NEVER).map_err(|why| {
                    format!("{} is {} in the end: {why}", show::key(key), show::item(Some(item)))
                })?;
            }
        }
        Ok(())
    }

    fn item(&self, key: &Key, item: &Item, seen: Micros) -> Result<(), String> {
        let bare = evidence::key_item(self.history, key);
        let Some(number) = written_by(item) else {
            let touched = self.keys.get(key).into_iter().flatten().any(|operation| {
                operation.begun <= seen
                    && evidence::changed(operation) != Sure::No
                    && matches!(evidence::possible(operation), Some((Change::Touch, _)))
            });
            return if touched && *item == bare { Ok(()) } else { Err("no touch made it".to_owned()) };
        };
        let operation = self.writer(key, number, seen)?;
        let (change, _) = evidence::possible(operation).expect("`writer` gives one that may have happened");
        if !evidence::could_make(operation, change, &bare, item) {
            return Err(format!("{} makes no such item of any other", show::operation(operation)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use watertable::client::StreamViewType;
    use watertable::model::AttributeValue;

    use super::super::sample::{BOTH, DONE, KEY, KEYS, NEW, VIEWS, fails, history, item, passes, record};
    use super::*;
    use crate::history::{Began, Condition, name};

    const NAME: &str = "no_invention";

    fn good(view_type: StreamViewType) -> History {
        let mut history = history(view_type);
        history.put(1, 2, WriteOutcome::Done { before: Some(None), after: Some(Some(item(1))) });
        history.conditional((5, 6), Change::Put(item(2)), Condition::WrittenBy(1), WriteOutcome::Unknown);
        history.conditional((7, 8), Change::Delete, Condition::Exists, DONE);
        history.write(10, 11, Change::Touch, DONE);
        history.conditional((20, 21), Change::Delete, Condition::WrittenBy(1), WriteOutcome::Rejected(None));
        history.read(30, 31, true, Some(KEY.item(false)));
        history.versions(&[Some(item(1)), Some(item(2)), None, Some(KEY.item(false))]);
        history.reading(Began::Horizon, 0, 4);
        history
    }

    fn outcome(history: &mut History, number: usize) -> &mut WriteOutcome {
        match &mut history.operations[number - 1].call {
            Call::Write { outcome, .. } => outcome,
            Call::Read { .. } => panic!("it is a read"),
        }
    }

    #[test]
    fn what_was_written_passes() {
        for view_type in VIEWS {
            passes(check, NAME, &good(view_type));
        }
    }

    #[test]
    fn records_of_writes_that_did_not_happen_are_reported() {
        for number in 1..=4 {
            for nothing in [WriteOutcome::Failed, WriteOutcome::Rejected(None)] {
                let mut history = good(BOTH);
                *outcome(&mut history, number) = nothing;
                fails(check, NAME, &history, "record");
            }
        }
        let mut nobody = good(BOTH);
        nobody.versions(&[Some(item(9))]);
        fails(check, NAME, &nobody, "there is no operation 9");
        let mut elsewhere = good(BOTH);
        elsewhere.operations[0].key.id = 2;
        fails(check, NAME, &elsewhere, "not of operation 1");
        let mut counted = good(KEYS);
        *outcome(&mut counted, 3) = WriteOutcome::Failed;
        fails(check, NAME, &counted, "no write that it could be of");
    }

    #[test]
    fn a_record_before_its_write_is_reported() {
        let mut history = good(BOTH);
        history.readings[0].records[0].0 = 0;
        fails(check, NAME, &history, "before operation 1");
        let mut unnamed = good(BOTH);
        unnamed.readings[0].records[2].0 = 6;
        fails(check, NAME, &unnamed, "no write that it could be of");
    }

    #[test]
    fn a_record_that_its_write_does_not_make_is_reported() {
        let mut made = good(BOTH);
        made.records()[1].new_image = Some(item(2)).map(|mut item| {
            item.insert(name("pad"), AttributeValue::S("x".to_owned()));
            item
        });
        fails(check, NAME, &made, "it makes");
        let mut condition = good(BOTH);
        condition.operations[1].call = Call::Write {
            change: Change::Put(item(2)),
            condition: Some(Condition::Absent),
            outcome: WriteOutcome::Unknown,
        };
        fails(check, NAME, &condition, "its condition does not hold");
        let mut answered = good(BOTH);
        *outcome(&mut answered, 1) = WriteOutcome::Done { before: Some(Some(item(2))), after: None };
        fails(check, NAME, &answered, "are others");
        let mut unkeyed = good(BOTH);
        unkeyed.records()[0].keys = item(1);
        fails(check, NAME, &unkeyed, "a record of no key");
        let mut late = good(NEW);
        *outcome(&mut late, 1) = DONE;
        late.tables[0].streams[0].on = (0, 1);
        late.records()[0] = record(NEW, 10, Some(item(1)), Some(item(1)));
        late.records()[0].new_image.as_mut().expect("it shows it").insert(name("x"), AttributeValue::Null);
        fails(check, NAME, &late, "it makes no such item of any other");
    }

    #[test]
    fn answers_that_contradict_themselves_are_reported() {
        let mut before = good(BOTH);
        before.conditional(
            (40, 41),
            Change::Delete,
            Condition::Exists,
            WriteOutcome::Done { before: Some(None), after: None },
        );
        fails(check, NAME, &before, "contradicts itself");
        let mut rejected = good(BOTH);
        let shown = WriteOutcome::Rejected(Some(Some(item(1))));
        rejected.conditional((40, 41), Change::Delete, Condition::Exists, shown);
        fails(check, NAME, &rejected, "contradicts itself");
        let mut unconditional = good(BOTH);
        unconditional.write(40, 41, Change::Delete, WriteOutcome::Rejected(None));
        fails(check, NAME, &unconditional, "contradicts itself");
        let mut after = good(BOTH);
        after.write(40, 41, Change::Delete, WriteOutcome::Done { before: None, after: Some(Some(item(1))) });
        fails(check, NAME, &after, "contradicts itself");
    }

    #[test]
    fn items_that_nobody_wrote_are_reported() {
        let mut read = good(BOTH);
        read.read(0, 0, false, Some(item(1)));
        fails(check, NAME, &read, "before operation 1");
        let mut nobody = good(BOTH);
        nobody.read(40, 41, false, Some(item(99)));
        fails(check, NAME, &nobody, "there is no operation 99");
        let mut in_the_end = history(KEYS);
        in_the_end.tables[0].items.insert(KEY, KEY.item(false));
        fails(check, NAME, &in_the_end, "no touch made it");
        let mut altered = good(KEYS);
        let mut other = item(1);
        other.insert(name("pad"), AttributeValue::S("x".to_owned()));
        altered.read(40, 41, false, Some(other));
        fails(check, NAME, &altered, "makes no such item");
    }
}
