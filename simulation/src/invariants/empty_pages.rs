//! A page without records hides none: what was acknowledged before the page was asked for, or had been shown to anybody,
//! does not lie at or behind its place.
//!
//! The product promises it as long as the shard's partition is led and the leader can be asked (`Node::records`): without
//! a leader an empty page is what the node asked knows. So only pages are judged that were asked for and answered in a
//! calm. Where a reading stands is told by what it has seen; one from the newest record on that has seen none stands
//! before every record whose write began after its iterator was given out. When a record was there is told by its write's
//! answer, or by the first who was shown it.

use std::collections::BTreeMap;

use watertable::client::{Record, SequenceNumber};

use super::windows::{self, Windows};
use super::{judge, show};
use crate::history::{Began, Empty, History, Micros, Reading, ShardStory};
use crate::verdict::{Marks, Violation};

type Place<'a> = (&'a str, &'a str, &'a SequenceNumber);

/// Judges a run.
pub fn check(history: &History, marks: &mut Marks) -> Result<(), Violation> {
    judge("empty_pages", marks, |judged| {
        let calm =
            |empty: &Empty| history.calm.iter().any(|(from, to)| *from < empty.asked && empty.answered < *to);
        let readings: Vec<_> =
            history.readings.iter().filter(|reading| reading.empties.iter().any(calm)).collect();
        if readings.is_empty() {
            return Ok(());
        }
        let windows = windows::of(history);
        let shards = shards(history, &windows);
        for reading in readings {
            let Some((shard, there)) = shards.get(&(reading.arn.as_str(), reading.shard.as_str())) else {
                continue;
            };
            for empty in reading.empties.iter().filter(|empty| calm(empty)) {
                *judged += 1;
                let stands = place(reading, empty, shard, &windows);
                if let Some((time, record)) = there.get(stands).filter(|(time, _)| *time < empty.asked) {
                    return Err(format!(
                        "reader {} of shard {} of {}, from {:?}: an empty page asked for at {} hides {}, which was \
                         there at {}",
                        reading.reader,
                        reading.shard,
                        reading.arn,
                        reading.began,
                        show::time(empty.asked),
                        show::record(record),
                        show::time(*time)
                    ));
                }
            }
        }
        Ok(())
    })
}

/// Of every place of a shard, the record at or behind it that was there first, and since when.
type There<'a> = Vec<(Micros, &'a Record)>;

fn shards<'a>(
    history: &'a History,
    windows: &Windows,
) -> BTreeMap<(&'a str, &'a str), (&'a ShardStory, There<'a>)> {
    let mut shown = BTreeMap::<Place, Micros>::new();
    for reading in &history.readings {
        for (came, record) in &reading.records {
            let place = (reading.arn.as_str(), reading.shard.as_str(), &record.sequence_number);
            shown.entry(place).and_modify(|first| *first = (*first).min(*came)).or_insert(*came);
        }
    }
    let mut shards = BTreeMap::new();
    for stream in history.tables.iter().filter(|table| !table.deleted).flat_map(|table| &table.streams) {
        for shard in &stream.shards {
            let mut there = There::new();
            for record in shard.records.iter().rev() {
                let place = (stream.arn.as_str(), shard.id.as_str(), &record.sequence_number);
                let answered = windows.get(&place).map_or(Micros::MAX, |window| window.1);
                let since = shown.get(&place).map_or(answered, |shown| answered.min(*shown));
                let behind = there.last().filter(|(time, _)| *time < since).copied();
                there.push(behind.unwrap_or((since, record)));
            }
            there.reverse();
            shards.insert((stream.arn.as_str(), shard.id.as_str()), (shard, there));
        }
    }
    shards
}

/// The first of a shard's records that lies at or behind the place of a page.
fn place(reading: &Reading, empty: &Empty, shard: &ShardStory, windows: &Windows) -> usize {
    let first =
        |is_it: &dyn Fn(&Record) -> bool| shard.records.iter().position(is_it).unwrap_or(shard.records.len());
    if let Some((_, last)) = empty.seen.checked_sub(1).and_then(|last| reading.records.get(last)) {
        return shard.records.partition_point(|record| record.sequence_number <= last.sequence_number);
    }
    match &reading.began {
        Began::Horizon => 0,
        Began::At(number) => first(&|record| record.sequence_number >= *number),
        Began::After(number) => first(&|record| record.sequence_number > *number),
        Began::Timestamp(ms, _) => first(&|record| record.created_ms >= *ms),
        Began::Latest(_, answered) => first(&|record| {
            let place = (reading.arn.as_str(), shard.id.as_str(), &record.sequence_number);
            windows.get(&place).is_some_and(|window| window.0 > *answered)
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{BOTH, DONE, KEYS, fails, history, item, passes, sequence};
    use super::*;
    use crate::history::WriteOutcome;

    const NAME: &str = "empty_pages";

    /// Five puts, the first at 10 to 11, the next at 20 to 21, the last of unknown outcome; a reading that saw as many as
    /// said of them, and then an empty page.
    fn good(began: Began, (from, to): (usize, usize), (asked, answered): (Micros, Micros)) -> History {
        let mut history = history(BOTH);
        for number in 1..=5 {
            let outcome = if number == 5 { WriteOutcome::Unknown } else { DONE };
            history.put(number * 10, number * 10 + 1, outcome);
        }
        history.versions(&[1, 2, 3, 4, 5].map(|number| Some(item(number))));
        history.calm = vec![(0, 1_000)];
        let seen = to - from;
        history.reading(began, from, to).empties.push(Empty { asked, answered, seen });
        history
    }

    #[test]
    fn pages_that_hide_nothing_pass() {
        passes(check, NAME, &good(Began::Horizon, (0, 0), (5, 60)));
        passes(check, NAME, &good(Began::Horizon, (0, 2), (31, 32)));
        passes(check, NAME, &good(Began::Horizon, (0, 4), (90, 91)));
        passes(check, NAME, &good(Began::After(sequence(20)), (2, 2), (31, 32)));
        passes(check, NAME, &good(Began::Timestamp(30, 0), (2, 2), (31, 32)));
        passes(check, NAME, &good(Began::Latest(28, 30), (2, 2), (38, 39)));
        passes(check, NAME, &good(Began::Latest(28, 30), (2, 2), (41, 42)));
    }

    #[test]
    fn pages_that_hide_a_record_are_reported() {
        fails(check, NAME, &good(Began::Horizon, (0, 0), (12, 13)), "hides record 000000000000000000010");
        fails(check, NAME, &good(Began::Horizon, (0, 2), (32, 33)), "hides record 000000000000000000030");
        fails(check, NAME, &good(Began::At(sequence(20)), (1, 1), (22, 23)), "hides record");
        fails(check, NAME, &good(Began::After(sequence(20)), (2, 2), (32, 33)), "hides record");
        fails(check, NAME, &good(Began::Timestamp(30, 0), (2, 2), (32, 33)), "hides record");
        fails(check, NAME, &good(Began::Latest(28, 29), (2, 2), (32, 33)), "hides record");
    }

    #[test]
    fn what_anybody_was_shown_is_not_hidden_either() {
        let mut history = good(Began::Horizon, (0, 4), (90, 91));
        history.calm = vec![(0, 200)];
        history.reading(Began::Horizon, 0, 5).records[4].0 = 80;
        fails(check, NAME, &history, "was there at 80 us");
        history.readings[1].records[4].0 = 90;
        passes(check, NAME, &history);
    }

    #[test]
    fn one_behind_a_record_of_unknown_outcome_counts() {
        let mut history = good(Began::Horizon, (0, 3), (52, 53));
        history.operations.swap(3, 4);
        history.operations[3].number = 4;
        history.operations[4].number = 5;
        fails(check, NAME, &history, "hides record 000000000000000000050");
    }

    #[test]
    fn only_a_calm_is_judged() {
        let mut history = good(Began::Horizon, (0, 0), (12, 13));
        history.calm = vec![(0, 13), (12, 50)];
        assert_eq!(check(&history, &mut Marks::default()), Ok(()));
        history.calm = vec![(11, 14)];
        fails(check, NAME, &history, "hides");
        history.tables[0].deleted = true;
        assert_eq!(check(&history, &mut Marks::default()), Ok(()));
    }

    #[test]
    fn records_that_do_not_tell_their_writes_count_when_they_were_shown() {
        let mut history = history(KEYS);
        history.put(10, 11, DONE);
        history.versions(&[Some(item(1))]);
        history.calm = vec![(0, 1_000)];
        history.reading(Began::Horizon, 0, 0).empties.push(Empty { asked: 12, answered: 13, seen: 0 });
        fails(check, NAME, &history, "hides record");
    }
}
