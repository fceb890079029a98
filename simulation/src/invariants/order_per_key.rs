//! What the clients saw of a key happened in the order of its stream: linearizability (Herlihy & Wing 1990,
//! "Linearizability: a correctness condition for concurrent objects") against the order of versions that the stream
//! gives. Deciding it is hard in general, and easy once the order of the writes is known (Gibbons & Korach 1997,
//! "Testing shared memories", read-mapping and write-order).
//!
//! States. A key whose stream shows items and was on for the whole run went through the states 0 to n, where 0 is no
//! item and p is what its record p left. A write that made record p sits at p: between the states p - 1 and p. What
//! changed nothing (reads, rejections, deletes of nothing) sits at a state that explains its answer. Real time asks:
//! if a ended before b began then `at(a) < at(b)` where b made a record, and `at(a) <= at(b)` where it did not. That is
//! enough: those that sit at one state can be put in the order of their beginnings.
//!
//! Why the least position is right. Take the operations by their beginnings, and put each at the least place that its
//! answer and those before it allow. What ended before b began did also begin before, so it has its place by then. By
//! induction every operation gets a place that is no higher than in any valid order: b's lower bound is the highest of
//! places that are no higher than they must be, and b takes the least one above it that explains it. All conditions
//! are lower bounds on the later operation; the least places meet them if any do. Hence equal states ("no item" at
//! several places) need no search: the first is as good as any.
//!
//! Only deletes and touches whose answer does not name the item may be one of several records. Each takes the least
//! that fits it, though another may have taken the same: the places stay lower bounds, so that nothing right is
//! reported, and `exactly_one` counts the records. Unknown writes without a record, and unknown deletes and touches,
//! bound nothing.
//!
//! An eventual read may be of any state whose write had begun before the read ended. In streams that were on for a
//! part of the run, and in any that show items, records that name their writes are in no order that real time forbids.

use std::collections::BTreeMap;

use watertable::model::Item;

use super::chain::{self, Author, Version};
use super::evidence::{self, Image, Sure};
use super::{judge, show};
use crate::history::{Call, Change, Condition, History, Key, Operation, WriteOutcome, written_by};
use crate::verdict::{Marks, Violation};

/// Judges a run.
pub fn check(history: &History, marks: &mut Marks) -> Result<(), Violation> {
    judge("order_per_key", marks, |judged| {
        let (keys, numbers) = (evidence::by_key(history), evidence::by_number(history));
        for (number, table) in history.tables.iter().enumerate() {
            for stream in &table.streams {
                let images = chain::shows_new(stream.view_type) || chain::shows_old(stream.view_type);
                let whole = chain::from_the_start(history, stream)
                    && chain::to_the_end(history, number, stream)
                    && table.streams.len() == 1;
                if !images {
                    continue;
                }
                let chains = chain::of(history, number, stream);
                let told = |key: &Key, why| format!("{} in {}: {why}", show::key(key), stream.arn);
                for (key, chain) in &chains {
                    *judged += chain.len() as u64;
                    records(&numbers, chain).map_err(|why| told(key, why))?;
                }
                for (key, operations) in keys.iter().filter(|(key, _)| whole && key.table == number) {
                    let chain = chains.get(key).map_or(&[][..], Vec::as_slice);
                    *judged += operations.len() as u64;
                    Places::of(history, key, operations, chain)
                        .judge(operations)
                        .map_err(|why| told(key, why))?;
                }
            }
        }
        Ok(())
    })
}

/// That no write is behind one that began after it was over.
fn records(numbers: &BTreeMap<u64, &Operation>, chain: &[Version]) -> Result<(), String> {
    let mut latest: Option<&Operation> = None;
    for version in chain {
        let Author::Number(number) = version.author() else { continue };
        let Some(operation) = numbers.get(&number).copied() else { continue };
        if let Some(latest) = latest
            && evidence::over(operation) < latest.begun
        {
            return Err(format!(
                "{} was over before {} began, but its record is behind: {}",
                show::operation(operation),
                show::operation(latest),
                show::record(version.record)
            ));
        }
        if latest.is_none_or(|latest| latest.begun < operation.begun) {
            latest = Some(operation);
        }
    }
    Ok(())
}

/// The states of a key, and where each is.
struct Places<'a> {
    key: Item,
    chain: &'a [Version<'a>],
    states: Vec<Option<&'a Item>>,
    /// The states with this number in the item; `None`: those without an item, or without a number in it.
    signed: BTreeMap<Option<u64>, Vec<usize>>,
    /// The deletes and touches that may have happened.
    unsigned: Vec<&'a Operation>,
    numbers: BTreeMap<u64, &'a Operation>,
}

impl<'a> Places<'a> {
    fn of(history: &History, key: &Key, operations: &[&'a Operation], chain: &'a [Version<'a>]) -> Self {
        let after = chain.iter().map(|version| version.after.flatten());
        let states: Vec<_> = std::iter::once(None).chain(after).collect();
        let mut signed = BTreeMap::<_, Vec<_>>::new();
        for (place, state) in states.iter().enumerate() {
            signed.entry(state.and_then(written_by)).or_default().push(place);
        }
        let unsigned = |operation: &&&Operation| {
            evidence::possible(operation).is_some_and(|(change, _)| !evidence::signs(change))
        };
        Self {
            key: evidence::key_item(history, key),
            chain,
            states,
            signed,
            unsigned: operations.iter().filter(unsigned).copied().collect(),
            numbers: operations.iter().map(|operation| (operation.number, *operation)).collect(),
        }
    }

    fn judge(&self, operations: &[&Operation]) -> Result<(), String> {
        let (mut begun, mut ended) = (operations.to_vec(), operations.to_vec());
        begun.sort_by_key(|operation| (operation.begun, operation.number));
        ended.sort_by_key(|operation| (evidence::over(operation), operation.number));
        let mut ended = ended.into_iter().peekable();
        let mut places = BTreeMap::<u64, usize>::new();
        let mut bound: (usize, Option<&Operation>) = (0, None);
        for operation in begun {
            while let Some(over) = ended.next_if(|other| evidence::over(other) < operation.begun) {
                if let Some(place) = places.get(&over.number)
                    && *place > bound.0
                {
                    bound = (*place, Some(over));
                }
            }
            let place = self.place(operation, bound.0).map_err(|why| {
                let last = bound.1.map(|last| format!("; what bounds it is {}", show::operation(last)));
                format!(
                    "{}: {why}; it must be at {} or later of {} states, where there is {}{}",
                    show::operation(operation),
                    bound.0,
                    self.states.len(),
                    show::item(self.states[bound.0]),
                    last.unwrap_or_default()
                )
            })?;
            if let Some(place) = place {
                places.insert(operation.number, place);
            }
        }
        Ok(())
    }

    /// The least place of an operation at or behind this one; `None`: it may have none. Errors: it must and has none.
    fn place(&self, operation: &Operation, lower: usize) -> Result<Option<usize>, String> {
        match &operation.call {
            Call::Read { found: None, .. } => Ok(None),
            Call::Read { consistent: false, found: Some(found) } => {
                self.eventual(operation, found.as_ref())?;
                Ok(None)
            }
            Call::Read { consistent: true, found: Some(found) } => {
                let found = found.as_ref();
                let place = self.alike(found).find(|place| *place >= lower && self.states[*place] == found);
                place.map(Some).ok_or_else(|| "no state from there on is what it found".to_owned())
            }
            Call::Write { outcome: WriteOutcome::Failed, .. } => Ok(None),
            Call::Write { condition, outcome: WriteOutcome::Rejected(shown), .. } => {
                let shown = shown.as_ref().map(Option::as_ref);
                let explains = |place: &usize| {
                    let state = self.states[*place];
                    condition.is_none_or(|condition| !condition.holds(state))
                        && evidence::agrees(shown, Some(state))
                };
                let place = (lower..self.states.len()).find(explains);
                place.map(Some).ok_or_else(|| "no state from there on explains the rejection".to_owned())
            }
            Call::Write { change, condition, outcome } => {
                if evidence::signs(change) {
                    return self.signed(operation, lower, matches!(outcome, WriteOutcome::Unknown));
                }
                if matches!(outcome, WriteOutcome::Unknown) {
                    return Ok(None);
                }
                self.unsigned(operation, change, *condition, lower)
            }
        }
    }

    /// The places whose item has the same number, or none as well.
    fn alike(&self, item: Option<&Item>) -> impl Iterator<Item = usize> {
        self.signed.get(&item.and_then(written_by)).into_iter().flatten().copied()
    }

    fn eventual(&self, operation: &Operation, found: Option<&Item>) -> Result<(), String> {
        let begun = |place: &usize| match place.checked_sub(1).map(|index| self.chain[index].author()) {
            None | Some(Author::Hidden) => true,
            Some(Author::Number(number)) => {
                self.numbers.get(&number).is_none_or(|write| write.begun <= operation.ended)
            }
            Some(Author::Delete | Author::Touch) => {
                self.unsigned.iter().any(|other| other.begun <= operation.ended)
            }
        };
        let found = self.alike(found).find(|place| self.states[*place] == found && begun(place));
        found.map(|_| ()).ok_or_else(|| "no state that had begun to be is what it found".to_owned())
    }

    /// The place of a write that left its number.
    fn signed(&self, operation: &Operation, lower: usize, unknown: bool) -> Result<Option<usize>, String> {
        // State 0 is no item, so that a place with a number has a record before it.
        let Some(place) = self.signed.get(&Some(operation.number)).and_then(|places| places.first().copied())
        else {
            return if unknown { Ok(None) } else { Err("no record is of it".to_owned()) };
        };
        if place <= lower {
            return Err(format!(
                "its record is the key's number {place}: {}",
                show::record(self.chain[place - 1].record)
            ));
        }
        let (before, after) = evidence::answered(operation);
        if self.fits(place, before, after) { Ok(Some(place)) } else { Err(self.misfit(place)) }
    }

    fn fits(&self, place: usize, before: Image, after: Image) -> bool {
        evidence::agrees(before, Some(self.states[place - 1]))
            && evidence::agrees(after, Some(self.states[place]))
    }

    fn misfit(&self, place: usize) -> String {
        format!(
            "before its record {} there is {}, after it {}",
            self.chain[place - 1].record.sequence_number,
            show::item(self.states[place - 1]),
            show::item(self.states[place])
        )
    }

    /// The least place of a delete or touch that is done: a record of its kind, or a state that it leaves as it is.
    fn unsigned(
        &self,
        operation: &Operation,
        change: &Change,
        condition: Option<Condition>,
        lower: usize,
    ) -> Result<Option<usize>, String> {
        let (before, after) = evidence::answered(operation);
        let holds = |state: Option<&Item>| condition.is_none_or(|condition| condition.holds(state));
        let leaves = |place: usize| {
            let state = self.states[place];
            let unchanged = change.apply(operation.number, &self.key, state).as_ref() == state;
            unchanged
                && holds(state)
                && evidence::agrees(before, Some(state))
                && evidence::agrees(after, Some(state))
        };
        let makes = |place: usize| {
            let author = if matches!(change, Change::Delete) { Author::Delete } else { Author::Touch };
            self.chain[place - 1].author() == author
                && holds(self.states[place - 1])
                && self.fits(place, before, after)
        };
        let changed = evidence::changed(operation);
        let place = (lower..self.states.len()).find(|place| {
            (changed != Sure::Yes && leaves(*place))
                || (changed != Sure::No && *place > lower && makes(*place))
        });
        place
            .map(Some)
            .ok_or_else(|| "no record from there on is of it, and no state is left as it is by it".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use watertable::client::StreamViewType;

    use super::super::sample::{BOTH, DONE, KEY, NEW, OLD, fails, history, item, passes};
    use super::*;

    const NAME: &str = "order_per_key";

    /// Puts 1 and 2, a delete, and put 4, one behind the other from 10, 20, 30 and 40 on.
    fn good(view_type: StreamViewType) -> History {
        let mut history = history(view_type);
        history.put(10, 12, DONE);
        history.put(20, 22, WriteOutcome::Done { before: Some(Some(item(1))), after: None });
        history.write(30, 32, Change::Delete, DONE);
        history.put(40, 42, DONE);
        history.versions(&[Some(item(1)), Some(item(2)), None, Some(item(4))]);
        history
    }

    #[test]
    fn what_is_in_order_passes() {
        for view_type in [BOTH, NEW, OLD] {
            let mut history = good(view_type);
            history.read(1, 5, true, None);
            history.read(11, 25, true, Some(item(1)));
            history.read(33, 35, true, None);
            history.read(50, 55, false, Some(item(1)));
            let rejected = WriteOutcome::Rejected(Some(None));
            history.conditional((31, 39), Change::Delete, Condition::Exists, rejected);
            history.write(33, 39, Change::Delete, DONE);
            history.conditional((43, 44), Change::Touch, Condition::WrittenBy(4), DONE);
            history.put(1, 2, WriteOutcome::Unknown);
            passes(check, NAME, &history);
        }
    }

    #[test]
    fn stale_reads_are_reported() {
        for (begun, found) in [(23, Some(item(1))), (33, Some(item(2))), (43, None)] {
            let mut history = good(BOTH);
            history.read(begun, begun + 1, true, found);
            fails(check, NAME, &history, "no state from there on is what it found");
        }
        let mut absent = good(BOTH);
        absent.read(13, 14, true, None);
        fails(check, NAME, &absent, "what bounds it is operation 5");
        let mut back = good(BOTH);
        back.read(21, 23, true, Some(item(2)));
        back.read(24, 25, true, Some(item(1)));
        fails(check, NAME, &back, "no state from there on is what it found");
    }

    #[test]
    fn reads_of_what_was_not_yet_written_are_reported() {
        for consistent in [true, false] {
            let mut history = good(BOTH);
            history.read(1, 5, consistent, Some(item(2)));
            fails(check, NAME, &history, if consistent { "its record is" } else { "had begun to be" });
        }
        let mut absent = history(BOTH);
        absent.put(10, 12, DONE);
        absent.read(1, 5, false, Some(KEY.item(false)));
        absent.write(20, 21, Change::Touch, DONE);
        absent.versions(&[Some(item(1)), None, Some(KEY.item(false))]);
        fails(check, NAME, &absent, "no state that had begun to be");
    }

    #[test]
    fn writes_against_real_time_are_reported() {
        for view_type in [BOTH, NEW, OLD] {
            let mut history = history(view_type);
            history.put(10, 12, DONE);
            history.put(20, 22, DONE);
            history.versions(&[Some(item(2)), Some(item(1))]);
            fails(check, NAME, &history, "was over before operation 2");
            history.tables[0].streams[0].on = (0, 1);
            fails(check, NAME, &history, "was over before operation 2");
        }
        let mut behind_read = good(BOTH);
        behind_read.read(34, 35, true, Some(item(4)));
        fails(check, NAME, &behind_read, "its record is the key's number 4");
        let mut missing = good(BOTH);
        missing.put(50, 52, DONE);
        fails(check, NAME, &missing, "no record is of it");
    }

    #[test]
    fn answers_that_no_state_explains_are_reported() {
        let mut before = good(BOTH);
        let shown = WriteOutcome::Done { before: Some(Some(item(1))), after: None };
        before.operations[3].call =
            Call::Write { change: Change::Put(item(4)), condition: None, outcome: shown };
        fails(check, NAME, &before, "before its record");
        let mut rejected = good(BOTH);
        rejected.conditional(
            (33, 35),
            Change::Delete,
            Condition::Absent,
            WriteOutcome::Rejected(Some(Some(item(2)))),
        );
        fails(check, NAME, &rejected, "explains the rejection");
        let mut deleted = good(BOTH);
        deleted.write(50, 55, Change::Delete, DONE);
        fails(check, NAME, &deleted, "no state is left as it is");
        let mut touched = good(BOTH);
        let shown = WriteOutcome::Done { before: Some(None), after: None };
        touched.write(50, 55, Change::Touch, shown);
        fails(check, NAME, &touched, "no state is left as it is");
        let mut condition = good(BOTH);
        condition.conditional((50, 55), Change::Touch, Condition::WrittenBy(2), DONE);
        fails(check, NAME, &condition, "no state is left as it is");
    }

    #[test]
    fn of_several_absent_states_the_first_that_fits_is_taken() {
        let mut history = history(BOTH);
        history.put(10, 50, DONE);
        history.write(10, 50, Change::Delete, DONE);
        history.read(1, 60, true, None);
        history.read(20, 30, true, None);
        history.read(31, 32, true, Some(item(1)));
        history.read(33, 34, true, None);
        history.versions(&[Some(item(1)), None]);
        passes(check, NAME, &history);
        history.read(35, 36, true, Some(item(1)));
        fails(check, NAME, &history, "operation 7");
    }
}
