//! Every acknowledged change that was made while a stream was on is exactly one record of it; what was made while it
//! was off is none, and what changed nothing is none.
//!
//! From AWS, "Change data capture for DynamoDB Streams": each stream record appears exactly once in the stream; and
//! "if you perform a PutItem or UpdateItem operation that does not change any data in an item, DynamoDB Streams does
//! not write a stream record for that operation".
//!
//! A change that leaves its number in the item is found by it. Deletes and touches, and all changes where the stream
//! does not show items, are counted: of a key there are at least as many records as sure changes, and at most as many
//! as possible ones. The last item of a stream of old images that was turned off is hidden: one sure change may hide
//! behind it.

use std::collections::BTreeMap;

use super::chain::{self, Author, Version};
use super::evidence::{self, Sure};
use super::{judge, show};
use crate::history::{Change, History, Key, Operation, StreamStory};
use crate::verdict::{Marks, Violation};

/// Judges a run.
pub fn check(history: &History, marks: &mut Marks) -> Result<(), Violation> {
    judge("exactly_one", marks, |judged| {
        let operations = evidence::by_key(history);
        for (number, table) in history.tables.iter().enumerate() {
            for stream in &table.streams {
                let chains = chain::of(history, number, stream);
                // What was trimmed, or was not read because the table was gone, may have been there.
                let complete = !history.trimmed && !table.deleted;
                let none = Vec::new();
                for (key, operations) in operations.iter().filter(|(key, _)| key.table == number) {
                    let chain = chains.get(key).unwrap_or(&none);
                    numbered(stream, operations, chain, complete, judged)?;
                    counted(stream, key, operations, chain, complete, judged)?;
                }
            }
        }
        Ok(())
    })
}

/// The changes that leave their number, one by one.
fn numbered(
    stream: &StreamStory,
    operations: &[&Operation],
    chain: &[Version],
    complete: bool,
    judged: &mut u64,
) -> Result<(), String> {
    let mut records = BTreeMap::<u64, Vec<&Version>>::new();
    for version in chain {
        if let Author::Number(number) = version.author() {
            records.entry(number).or_default().push(version);
        }
    }
    let mut hidden = chain.iter().filter(|version| version.author() == Author::Hidden).count();
    for operation in operations {
        let Some((change, _)) = evidence::possible(operation) else { continue };
        if !evidence::signs(change) {
            continue;
        }
        let records = records.get(&operation.number).map_or(&[][..], Vec::as_slice);
        let inside = evidence::inside(operation, stream);
        let sure = complete && inside == Sure::Yes && evidence::changed(operation) == Sure::Yes;
        *judged += 1;
        if records.is_empty() && sure {
            if hidden == 0 {
                return Err(format!("{} has no record in {}", show::operation(operation), stream.arn));
            }
            hidden -= 1;
        }
        if let [record, ..] = records
            && inside == Sure::No
        {
            return Err(format!(
                "{} was made while {} was off ({} to {}), but is there: {}",
                show::operation(operation),
                stream.arn,
                show::time(stream.on.1),
                show::time(stream.off.0),
                show::record(record.record)
            ));
        }
        if let [first, second, ..] = records {
            return Err(format!(
                "{} is in {} {} times: {}; {}",
                show::operation(operation),
                stream.arn,
                records.len(),
                show::record(first.record),
                show::record(second.record)
            ));
        }
    }
    Ok(())
}

/// A kind of change that is counted: its name, which records are surely of it, which may be, and which operations are.
struct Kind {
    name: &'static str,
    surely: fn(Author) -> bool,
    perhaps: fn(Author) -> bool,
    made_by: fn(&Change) -> bool,
}

const KINDS: [Kind; 3] = [
    Kind {
        name: "deletes",
        surely: |author| author == Author::Delete,
        perhaps: |author| author == Author::Delete,
        made_by: |change| matches!(change, Change::Delete),
    },
    Kind {
        name: "touches",
        surely: |author| author == Author::Touch,
        perhaps: |author| matches!(author, Author::Touch | Author::Hidden),
        made_by: |change| matches!(change, Change::Touch),
    },
    Kind {
        name: "changes that are no deletes",
        surely: |author| author != Author::Delete,
        perhaps: |author| author != Author::Delete,
        made_by: |change| !matches!(change, Change::Delete),
    },
];

fn counted(
    stream: &StreamStory,
    key: &Key,
    operations: &[&Operation],
    chain: &[Version],
    complete: bool,
    judged: &mut u64,
) -> Result<(), String> {
    for kind in KINDS {
        let (mut sure, mut possible) = (Vec::new(), 0);
        for operation in operations {
            let Some((change, _)) = evidence::possible(operation) else { continue };
            let inside = evidence::inside(operation, stream);
            let changed = evidence::changed(operation);
            if !(kind.made_by)(change) || inside == Sure::No || changed == Sure::No {
                continue;
            }
            possible += 1;
            if inside == Sure::Yes && changed == Sure::Yes {
                sure.push(operation.number);
            }
        }
        let surely = chain.iter().filter(|version| (kind.surely)(version.author())).count();
        let perhaps = chain.iter().filter(|version| (kind.perhaps)(version.author())).count();
        *judged += (sure.len() + surely) as u64;
        if surely > possible || (complete && perhaps < sure.len()) {
            let numbers: Vec<_> =
                chain.iter().map(|version| version.record.sequence_number.as_str()).collect();
            return Err(format!(
                "{} of {}: {surely} records in {}, but {} are sure (operations {sure:?}) and {possible} are \
                 possible; all its records: {}",
                kind.name,
                show::key(key),
                stream.arn,
                sure.len(),
                numbers.join(", ")
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use watertable::client::StreamViewType;

    use super::super::sample::{BOTH, DONE, KEY, KEYS, VIEWS, fails, history, item, passes, record};
    use super::*;
    use crate::history::{Condition, WriteOutcome};

    const NAME: &str = "exactly_one";

    fn good(view_type: StreamViewType) -> History {
        let mut history = history(view_type);
        history.put(1, 2, DONE);
        history.put(5, 6, WriteOutcome::Unknown);
        history.conditional((10, 11), Change::Delete, Condition::Exists, DONE);
        history.conditional((20, 21), Change::Touch, Condition::Absent, DONE);
        history.put(30, 31, WriteOutcome::Failed);
        history.versions(&[Some(item(1)), Some(item(2)), None, Some(KEY.item(false))]);
        history
    }

    #[test]
    fn what_is_there_once_passes() {
        for view_type in VIEWS {
            passes(check, NAME, &good(view_type));
        }
        let mut without_unknown = history(BOTH);
        without_unknown.put(1, 2, DONE);
        without_unknown.put(5, 6, WriteOutcome::Unknown);
        without_unknown.versions(&[Some(item(1))]);
        passes(check, NAME, &without_unknown);
    }

    #[test]
    fn a_missing_record_is_reported() {
        let mut lost = good(BOTH);
        lost.records().remove(0);
        fails(check, NAME, &lost, "operation 1 (client 0, table 0 key k1/0, 1 us to 2 us");
        let mut deleted = lost.clone();
        deleted.tables[0].deleted = true;
        assert!(
            check(&deleted, &mut Marks::default()).is_ok(),
            "of a deleted table's stream nothing is known"
        );
        let mut undeleted = good(BOTH);
        undeleted.records().remove(2);
        fails(check, NAME, &undeleted, "deletes of table 0 key k1/0: 0 records");
        let mut untouched = good(BOTH);
        untouched.records().pop();
        fails(check, NAME, &untouched, "touches of table 0 key k1/0: 0 records");
        let mut counted = good(KEYS);
        counted.records().drain(0..2);
        fails(check, NAME, &counted, "changes that are no deletes of table 0 key k1/0: 1 records");
    }

    #[test]
    fn a_record_too_many_is_reported() {
        let mut twice = good(BOTH);
        twice.records().push(record(BOTH, 99, None, Some(item(1))));
        fails(check, NAME, &twice, "2 times");
        let mut deleted = good(BOTH);
        deleted.records().push(record(BOTH, 99, Some(item(1)), None));
        fails(check, NAME, &deleted, "deletes of table 0 key k1/0: 2 records");
        let mut counted = good(KEYS);
        counted.records().push(record(KEYS, 99, None, Some(item(1))));
        fails(check, NAME, &counted, "changes that are no deletes of table 0 key k1/0: 4 records");
    }

    #[test]
    fn what_was_made_while_the_stream_was_off_is_reported() {
        let mut late = good(BOTH);
        late.tables[0].streams[0].on = (3, 4);
        fails(check, NAME, &late, "operation 1");
        let mut early = good(KEYS);
        early.tables[0].streams[0].off = (7, 8);
        fails(check, NAME, &early, "deletes of table 0 key k1/0: 1 records");
    }

    #[test]
    fn what_began_or_ended_with_the_stream_may_be_there_or_not() {
        let mut history = good(BOTH);
        history.tables[0].streams[0].on = (0, 1);
        passes(check, NAME, &history);
        history.records().remove(0);
        passes(check, NAME, &history);
    }
}
