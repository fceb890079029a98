//! No consistent read is stale: it never shows a version that was surely replaced before it began.
//!
//! From AWS, "DynamoDB read consistency": a strongly consistent read returns a response with the most up-to-date data,
//! reflecting the updates from all prior write operations that were successful. This is the part of linearizability
//! that needs no order (the first bad pattern for registers in Gibbons & Korach 1997), at the cost of a sort: it judges
//! every key of every table, also those without streams and those too long for `linearizable`.
//!
//! A version was there when its write was done, or when anybody had seen it, whichever was first. If a write began
//! after that and was itself there before the read began, it replaced the version, which never comes back, since no two
//! writes leave the same number. "No item", and one of the key alone, have no number: such a read is stale if a
//! write that leaves an item was there before it began, and no delete may have come after that write. What a write
//! shows of the item before it, and a rejection of the item there, are consistent reads too.

use std::collections::BTreeMap;

use watertable::model::Item;

use super::evidence::{self, Sure};
use super::{judge, show};
use crate::history::{Call, Change, History, Micros, Operation, WriteOutcome, written_by};
use crate::verdict::{Marks, Violation};

/// Judges a run.
pub fn check(history: &History, marks: &mut Marks) -> Result<(), Violation> {
    judge("strong_reads", marks, |judged| {
        for (key, operations) in evidence::by_key(history) {
            let versions = Versions::of(&operations);
            for operation in &operations {
                let Some(found) = strong(operation) else { continue };
                *judged += 1;
                versions.judge(operation, found).map_err(|why| format!("{}: {why}", show::key(&key)))?;
            }
        }
        Ok(())
    })
}

/// What an operation saw that must be the newest.
fn strong(operation: &Operation) -> Option<Option<&Item>> {
    match &operation.call {
        Call::Read { consistent: true, found } => found.as_ref().map(Option::as_ref),
        Call::Read { consistent: false, .. } => None,
        Call::Write { outcome: WriteOutcome::Rejected(current), .. } => current.as_ref().map(Option::as_ref),
        Call::Write { .. } => evidence::answered(operation).0,
    }
}

/// Writes that surely took effect, by the time at which they surely had; with each the one up to it that began last.
#[derive(Default)]
struct Line<'a>(Vec<(Micros, &'a Operation)>);

impl<'a> Line<'a> {
    fn of(mut writes: Vec<(Micros, &'a Operation)>) -> Self {
        writes.sort_by_key(|(there, write)| (*there, write.number));
        for index in 1..writes.len() {
            if writes[index].1.begun < writes[index - 1].1.begun {
                writes[index].1 = writes[index - 1].1;
            }
        }
        Self(writes)
    }

    /// Of the writes that were there before this time, the one that began last.
    fn before(&self, time: Micros) -> Option<&'a Operation> {
        let count = self.0.partition_point(|(there, _)| *there < time);
        count.checked_sub(1).map(|index| self.0[index].1)
    }
}

struct Versions<'a> {
    /// From when on each version was surely there.
    there: BTreeMap<u64, Micros>,
    /// The writes that replace whatever was there.
    replace: Line<'a>,
    /// Those that leave an item, and those that leave one with a number.
    leave: Line<'a>,
    sign: Line<'a>,
    deletes: Vec<&'a Operation>,
}

impl<'a> Versions<'a> {
    fn of(operations: &[&'a Operation]) -> Self {
        let mut there = BTreeMap::<u64, Micros>::new();
        let mut by = |number, time: Micros| {
            there.entry(number).and_modify(|first| *first = (*first).min(time)).or_insert(time);
        };
        for operation in operations {
            if evidence::is_done(operation) {
                by(operation.number, operation.ended);
            }
            for number in evidence::sightings(operation).flatten().filter_map(written_by) {
                by(number, operation.ended);
            }
        }
        let line = |chosen: fn(&Change) -> bool| {
            let writes = operations.iter().filter_map(|operation| {
                let (change, _) = evidence::possible(operation)?;
                chosen(change).then_some((*there.get(&operation.number)?, *operation))
            });
            Line::of(writes.collect())
        };
        let may_delete = |operation: &&&Operation| {
            matches!(evidence::possible(operation), Some((Change::Delete, _)))
                && evidence::changed(operation) != Sure::No
        };
        Self {
            replace: line(|change| !matches!(change, Change::Touch)),
            leave: line(|change| !matches!(change, Change::Delete)),
            sign: line(evidence::signs),
            deletes: operations.iter().filter(may_delete).copied().collect(),
            there,
        }
    }

    fn judge(&self, read: &Operation, found: Option<&Item>) -> Result<(), String> {
        if let Some(number) = found.and_then(written_by) {
            let Some(there) = self.there.get(&number) else { return Ok(()) };
            let Some(newer) = self.replace.before(read.begun).filter(|newer| newer.begun > *there) else {
                return Ok(());
            };
            return Err(format!(
                "{} is stale: what it showed was there at {}, and was replaced by {}",
                show::operation(read),
                show::time(*there),
                show::operation(newer)
            ));
        }
        let line = if found.is_none() { &self.leave } else { &self.sign };
        let Some(write) = line.before(read.begun) else { return Ok(()) };
        let deleted =
            |delete: &&Operation| evidence::over(delete) >= write.begun && delete.begun <= read.ended;
        if self.deletes.iter().any(deleted) {
            return Ok(());
        }
        Err(format!(
            "{} is stale: {} was there before, and nothing can have deleted it since",
            show::operation(read),
            show::operation(write)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{DONE, KEY, KEYS, fails, history, item, passes};
    use super::*;
    use crate::history::Condition;

    const NAME: &str = "strong_reads";

    fn good() -> History {
        let mut history = history(KEYS);
        history.put(10, 12, DONE);
        history.put(20, 22, DONE);
        history.write(30, 32, Change::Delete, DONE);
        history.put(40, 42, WriteOutcome::Unknown);
        history.read(13, 14, true, Some(item(1)));
        history.read(21, 25, true, Some(item(1)));
        history.read(33, 34, true, None);
        history.read(43, 44, true, None);
        history
    }

    #[test]
    fn fresh_reads_pass() {
        passes(check, NAME, &good());
        let mut eventual = good();
        eventual.read(50, 51, false, Some(item(1)));
        passes(check, NAME, &eventual);
    }

    #[test]
    fn a_version_that_was_replaced_is_reported() {
        let mut replaced = good();
        replaced.read(23, 24, true, Some(item(1)));
        fails(check, NAME, &replaced, "was replaced by operation 2");
        let mut deleted = good();
        deleted.read(33, 34, true, Some(item(2)));
        fails(check, NAME, &deleted, "was replaced by operation 3");
    }

    #[test]
    fn one_that_an_unknown_write_replaced_is_reported_once_that_was_seen() {
        let mut history = good();
        history.put(46, 47, DONE);
        history.put(50, 52, WriteOutcome::Unknown);
        history.read(60, 61, true, Some(item(9)));
        passes(check, NAME, &history);
        history.read(53, 54, false, Some(item(10)));
        fails(check, NAME, &history, "was replaced by operation 10");
    }

    #[test]
    fn answers_of_writes_are_consistent_reads() {
        let mut before = good();
        before.put(25, 26, WriteOutcome::Done { before: Some(Some(item(1))), after: None });
        fails(check, NAME, &before, "is stale");
        let mut rejected = good();
        let shown = WriteOutcome::Rejected(Some(Some(item(1))));
        rejected.conditional((25, 26), Change::Delete, Condition::Absent, shown);
        fails(check, NAME, &rejected, "is stale");
    }

    #[test]
    fn no_item_where_one_must_be_is_reported() {
        let mut absent = good();
        absent.read(23, 24, true, None);
        fails(check, NAME, &absent, "nothing can have deleted it since");
        let mut bare = good();
        bare.read(23, 24, true, Some(KEY.item(false)));
        fails(check, NAME, &bare, "nothing can have deleted it since");
        let mut touched = history(KEYS);
        touched.write(10, 12, Change::Touch, DONE);
        touched.read(20, 21, true, Some(KEY.item(false)));
        passes(check, NAME, &touched);
        touched.read(22, 23, true, None);
        fails(check, NAME, &touched, "nothing can have deleted it since");
    }
}
