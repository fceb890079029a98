//! No record goes before it is as old as its table's retention, and none stays much longer; what is gone is refused, and
//! never passed over in silence.
//!
//! From AWS, "Change data capture for DynamoDB Streams": records are kept for 24 hours, and are susceptible to trimming
//! after that; TrimmedDataAccessException of `GetRecords`. DESIGN: retention is measured against every clock of the
//! cluster. So what clocks were *set* ahead or back meanwhile excuses a record that went early; that they run apart by
//! themselves does not, since the distance is measured all the time.
//!
//! Records stay longer only while trimming is held up; that is judged where nothing was wrong for long.

use std::collections::BTreeMap;

use watertable::client::SequenceNumber;

use super::{judge, show};
use crate::history::{Found, Glance, History, Micros, NEVER, Place, written_by};
use crate::machine::EPOCH_MS;
use crate::verdict::{Marks, Violation};

/// What measuring the distance of two clocks may be wrong by, and a clock's drift in a day.
const CLOCKS: Micros = 2_000_000;
/// How long after its time a record may be left while nothing is wrong: trimming looks each twentieth of the retention
/// (one to 300 s), leaves the distance of clocks (10 s at most), and takes effect everywhere at the next heartbeat.
const LOOK_MAX: Micros = 300_000_000;
const LATE: Micros = 60_000_000;

/// A record somebody saw: when it was made at the earliest, and when it was seen first.
#[derive(Clone, Copy)]
struct Known {
    made: Micros,
    seen: Micros,
}

type Records = BTreeMap<SequenceNumber, Known>;

/// Judges a run.
pub fn check(history: &History, marks: &mut Marks) -> Result<(), Violation> {
    let known = known(history);
    let (mut refused, mut overdue) = (0, 0);
    let verdict = judge("retention", marks, |judged| {
        for glance in &history.glances {
            let table = history
                .tables
                .iter()
                .find(|table| !table.deleted && table.streams.iter().any(|stream| stream.arn == glance.arn));
            let Some(table) = table else { continue };
            let nothing = Records::new();
            let records = known.get(&(glance.arn.as_str(), glance.shard.as_str())).unwrap_or(&nothing);
            let retention = if table.retention_ms == 0 { NEVER } else { table.retention_ms * 1_000 };
            *judged += early(history, glance, records, retention)?;
            refused += u64::from(matches!((&glance.place, &glance.found), (Place::At(_), Found::Gone)));
            overdue += late(history, glance, records, retention)?;
        }
        Ok(())
    });
    marks.add("path: a trimmed place was refused", refused);
    marks.add("path: what was still there was judged to be young enough", overdue);
    verdict
}

fn known(history: &History) -> BTreeMap<(&str, &str), Records> {
    let begun: BTreeMap<u64, Micros> =
        history.operations.iter().map(|operation| (operation.number, operation.begun)).collect();
    let mut known: BTreeMap<(&str, &str), Records> = BTreeMap::new();
    for reading in &history.readings {
        let records = known.entry((&reading.arn, &reading.shard)).or_default();
        for (seen, record) in &reading.records {
            let author = record.new_image.as_ref().and_then(written_by);
            // What does not tell its write tells a time at least, by some clock.
            let made = author.and_then(|author| begun.get(&author).copied()).unwrap_or_else(|| {
                let created = record.created_ms.saturating_sub(EPOCH_MS) * 1_000;
                created.saturating_sub(history.clocks_ran)
            });
            let known = Known { made, seen: *seen };
            let first = records.entry(record.sequence_number.clone()).or_insert(known);
            first.seen = first.seen.min(*seen);
        }
    }
    known
}

/// That what a glance did not show was old enough to go. Returns how many records that was asked of.
fn early(history: &History, glance: &Glance, records: &Records, retention: Micros) -> Result<u64, String> {
    let missing: Vec<_> = match (&glance.place, &glance.found) {
        (Place::Horizon, Found::Page(Some(first))) => records.range(..first).collect(),
        // An open shard may have records that were made after this was asked.
        (Place::Horizon, Found::Page(None) | Found::Gone) => {
            records.iter().filter(|(_, known)| known.seen < glance.asked).collect()
        }
        (Place::At(number), Found::Gone) => records.range(number..=number).collect(),
        (Place::At(number), Found::Page(first)) => {
            if first.as_ref() != Some(number) {
                return Err(format!(
                    "{glance:?} did not show the record it was asked for, nor said that it is gone"
                ));
            }
            return Ok(1);
        }
    };
    let excused = 2 * history.clocks_set + CLOCKS;
    for (number, known) in &missing {
        let due = known.made.saturating_add(retention).saturating_sub(excused);
        if retention == NEVER || glance.answered < due {
            return Err(format!(
                "{glance:?} did not show record {}, made at {} and to be kept for {}",
                number,
                show::time(known.made),
                show::time(retention)
            ));
        }
    }
    Ok(missing.len() as u64)
}

/// That what a glance did show was young enough to be there. Returns of how many records that could be said.
fn late(history: &History, glance: &Glance, records: &Records, retention: Micros) -> Result<u64, String> {
    let Found::Page(Some(first)) = &glance.found else { return Ok(0) };
    let Some(known) = records.get(first).filter(|_| retention != NEVER) else { return Ok(0) };
    let look = (retention / 20).clamp(1_000_000, LOOK_MAX);
    let bound = look + LATE + 2 * history.clocks_set + history.clocks_ran;
    let calm_since = glance.asked.saturating_sub(3 * bound);
    let is_calm =
        history.disturbed.iter().all(|(from, until)| *until < calm_since || *from > glance.answered);
    if !is_calm {
        return Ok(0);
    }
    if glance.asked > known.seen.saturating_add(retention).saturating_add(bound) {
        return Err(format!(
            "{glance:?} shows record {}, which was seen at {} already, and is to be kept for {}",
            first,
            show::time(known.seen),
            show::time(retention)
        ));
    }
    Ok(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Began;
    use crate::invariants::sample;

    const SECOND: Micros = 1_000_000;

    /// Records at 1 s and 100 s, kept for 1000 s.
    fn history(glances: Vec<(Place, Found, Micros)>) -> History {
        let mut history = sample::history(sample::BOTH);
        history.tables[0].retention_ms = 1_000_000;
        history.versions(&[Some(sample::item(1)), Some(sample::item(2))]);
        history.put(SECOND, SECOND + 1, sample::DONE);
        history.put(100 * SECOND, 100 * SECOND + 1, sample::DONE);
        let reading = history.reading(Began::Horizon, 0, 2);
        for (seen, second) in reading.records.iter_mut().zip([2, 101]) {
            seen.0 = second * SECOND;
        }
        history.glances = glances
            .into_iter()
            .map(|(place, found, asked)| {
                let (arn, shard) = ("a0".to_owned(), "s0".to_owned());
                Glance { arn, shard, place, asked, answered: asked + SECOND, found }
            })
            .collect();
        history
    }

    fn number(number: u64) -> SequenceNumber {
        sample::sequence(10 * number)
    }

    fn verdict(place: Place, found: Found, second: Micros) -> Result<(), Violation> {
        check(&history(vec![(place, found, second * SECOND)]), &mut Marks::default())
    }

    #[test]
    fn what_is_young_is_there() {
        verdict(Place::At(number(1)), Found::Page(Some(number(1))), 500).expect("it is there");
        verdict(Place::Horizon, Found::Page(Some(number(1))), 500).expect("it is there");
        for found in [Found::Gone, Found::Page(None), Found::Page(Some(number(2)))] {
            verdict(Place::At(number(1)), found, 500).expect_err("it is young");
        }
        for found in [Found::Gone, Found::Page(None), Found::Page(Some(number(2)))] {
            verdict(Place::Horizon, found, 500).expect_err("it is young");
        }
    }

    #[test]
    fn what_is_old_goes_and_is_refused() {
        verdict(Place::At(number(1)), Found::Gone, 1_005).expect("it is old");
        verdict(Place::Horizon, Found::Page(Some(number(2))), 1_005).expect("the first is old");
        verdict(Place::Horizon, Found::Gone, 1_005).expect_err("the second is young");
        verdict(Place::At(number(1)), Found::Page(Some(number(2))), 1_005).expect_err("it is passed over");
        verdict(Place::At(number(1)), Found::Page(None), 5_000).expect_err("an empty page is no refusal");
    }

    #[test]
    fn what_is_much_too_old_is_not_there() {
        let shown = (Place::Horizon, Found::Page(Some(number(1))), 2_000 * SECOND);
        let mut history = history(vec![shown]);
        check(&history, &mut Marks::default()).expect_err("it should be gone for long");
        history.disturbed = vec![(1_900 * SECOND, 1_950 * SECOND)];
        check(&history, &mut Marks::default()).expect("something held it up");
        history.disturbed = vec![(100 * SECOND, 150 * SECOND)];
        check(&history, &mut Marks::default()).expect_err("that was long ago");
    }

    #[test]
    fn clocks_that_were_set_excuse_so_much() {
        let mut history = history(vec![(Place::At(number(1)), Found::Gone, 990 * SECOND)]);
        check(&history, &mut Marks::default()).expect_err("it is young");
        history.clocks_set = 6 * SECOND;
        check(&history, &mut Marks::default()).expect("a clock was wrong");
    }
}
