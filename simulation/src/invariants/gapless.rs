//! A reader sees a contiguous run of its shard's records, from where it began: nothing is skipped, nothing comes twice.
//! It is told that the shard has ended only when the shard is closed and it has seen all of it.
//!
//! From AWS, "GetShardIterator" and "GetRecords" of the DynamoDB Streams API, and DYNAMODB.md 1.8: TRIM_HORIZON, AT and
//! AFTER begin at an exact record; AT_TIMESTAMP at the first that was created then or later; a missing next iterator
//! means that the shard is closed and drained. LATEST begins just behind the newest record at some moment between the
//! question and the answer: it skips no record whose write began after the answer, and shows none whose write had
//! ended before the question. A record is held against that only if every write that it may be of was too late, or
//! too early.
//!
//! What is no longer there is not judged: what lies below the first record that is left, if the run was long enough for
//! trimming, and the streams of deleted tables.

use std::collections::BTreeMap;

use watertable::client::Record;

use super::windows::{self, Windows};
use super::{judge, show};
use crate::history::{Began, History, Micros, Reading, ShardStory};
use crate::verdict::{Marks, Violation};

/// Judges a run.
pub fn check(history: &History, marks: &mut Marks) -> Result<(), Violation> {
    judge("gapless", marks, |judged| {
        let windows = windows(history);
        let mut shards = BTreeMap::new();
        for stream in history.tables.iter().filter(|table| !table.deleted).flat_map(|table| &table.streams) {
            for shard in &stream.shards {
                shards.insert((stream.arn.as_str(), shard.id.as_str()), shard);
            }
        }
        for reading in &history.readings {
            let Some(shard) = shards.get(&(reading.arn.as_str(), reading.shard.as_str())) else { continue };
            *judged += reading.records.len() as u64 + u64::from(reading.ended);
            judge_reading(history, &windows, reading, shard).map_err(|why| {
                format!(
                    "reader {} of shard {} of {}, from {:?}: {why}",
                    reading.reader, reading.shard, reading.arn, reading.began
                )
            })?;
        }
        Ok(())
    })
}

fn windows(history: &History) -> Windows<'_> {
    let timed = |reading: &&Reading| matches!(reading.began, Began::Latest(..) | Began::Timestamp(..));
    if history.readings.iter().any(|reading| timed(&reading)) { windows::of(history) } else { Windows::new() }
}

fn judge_reading(
    history: &History,
    windows: &Windows,
    reading: &Reading,
    shard: &ShardStory,
) -> Result<(), String> {
    let all = shard.records.as_slice();
    let trimmed = |record: &&Record| {
        history.trimmed && all.first().is_none_or(|first| record.sequence_number < first.sequence_number)
    };
    let seen: Vec<_> = reading.records.iter().map(|(_, record)| record).skip_while(trimmed).collect();
    let gone = reading.records.len() - seen.len();
    let window = |record: &Record| {
        let place = (reading.arn.as_str(), shard.id.as_str(), &record.sequence_number);
        windows.get(&place).copied().unwrap_or((0, Micros::MAX))
    };
    let start = match &reading.began {
        _ if gone > 0 => 0,
        Began::Horizon => 0,
        Began::Timestamp(ms, asked) => timestamp(&seen, all, (*ms, *asked), window)?,
        Began::At(number) => first(all, |record| record.sequence_number >= *number),
        Began::After(number) => first(all, |record| record.sequence_number > *number),
        Began::Latest(asked, answered) => latest(&seen, all, reading.ended, (*asked, *answered), window)?,
    };
    for (place, record) in seen.iter().enumerate() {
        let expected = all.get(start + place);
        if expected.is_none_or(|expected| expected.sequence_number != record.sequence_number) {
            return Err(format!(
                "its record {} should be {}, but is {}",
                gone + place + 1,
                expected.map_or_else(|| "none".to_owned(), show::record),
                show::record(record)
            ));
        }
    }
    if !reading.ended {
        return Ok(());
    }
    if shard.ending.is_none() {
        return Err("it was told that the shard has ended, which is open".to_owned());
    }
    if let Some(missed) = all.get(start + seen.len()) {
        return Err(format!("it was told that the shard has ended before it saw {}", show::record(missed)));
    }
    Ok(())
}

fn first(records: &[Record], is_it: impl Fn(&Record) -> bool) -> usize {
    records.iter().position(is_it).unwrap_or(records.len())
}

/// Where a reading from a time on began: at the first record that is not older, or at an older one that was not there yet
/// when it was asked for.
fn timestamp(
    seen: &[&Record],
    all: &[Record],
    (ms, asked): (u64, Micros),
    window: impl Fn(&Record) -> (Micros, Micros),
) -> Result<usize, String> {
    let due = first(all, |record| record.created_ms >= ms);
    let Some(record) = seen.first() else { return Ok(due) };
    let start = first(all, |other| other.sequence_number >= record.sequence_number).min(due);
    match all[start..due].iter().find(|record| window(record).1 < asked) {
        Some(older) => {
            Err(format!("it began with {}, which was written before it was asked for", show::record(older)))
        }
        None => Ok(start),
    }
}

/// Where a reading from the newest record on began, which its first record tells; one that saw none to the shard's end
/// began there, and of one that goes on nothing can be said.
fn latest(
    seen: &[&Record],
    all: &[Record],
    ended: bool,
    (asked, answered): (Micros, Micros),
    window: impl Fn(&Record) -> (Micros, Micros),
) -> Result<usize, String> {
    let start = match seen.first() {
        Some(record) => first(all, |other| other.sequence_number >= record.sequence_number),
        None if ended => all.len(),
        None => return Ok(0),
    };
    if let Some(skipped) = all[..start].iter().find(|record| window(record).0 > answered) {
        return Err(format!(
            "it skipped {}, whose write began at {}",
            show::record(skipped),
            show::time(window(skipped).0)
        ));
    }
    if let Some(old) = seen.iter().find(|record| window(record).1 < asked) {
        return Err(format!(
            "it saw {}, whose write had ended at {}",
            show::record(old),
            show::time(window(old).1)
        ));
    }
    Ok(start)
}

#[cfg(test)]
mod tests {
    use watertable::client::StreamViewType;

    use super::super::sample::{BOTH, DONE, KEYS, fails, history, item, passes, sequence};
    use super::*;

    const NAME: &str = "gapless";

    /// Five puts, the first at 10 to 11, the next at 20 to 21, with records that bear the times of their beginnings.
    fn good(view_type: StreamViewType) -> History {
        let mut history = history(view_type);
        for number in 1..=5 {
            history.put(number * 10, number * 10 + 1, DONE);
        }
        history.versions(&[1, 2, 3, 4, 5].map(|number| Some(item(number))));
        history
    }

    fn read(began: Began, from: usize, to: usize) -> History {
        let mut history = good(BOTH);
        history.reading(began, from, to);
        history
    }

    fn begins() -> [(Began, usize); 5] {
        [
            (Began::Horizon, 0),
            (Began::At(sequence(20)), 1),
            (Began::After(sequence(20)), 2),
            (Began::Timestamp(20, Micros::MAX), 1),
            (Began::Timestamp(21, Micros::MAX), 2),
        ]
    }

    #[test]
    fn contiguous_runs_pass() {
        for (began, from) in begins() {
            passes(check, NAME, &read(began.clone(), from, 4));
            passes(check, NAME, &read(began, from, 5));
        }
        passes(check, NAME, &read(Began::Timestamp(20, 10), 0, 5)); // the first was being written
        passes(check, NAME, &read(Began::Latest(22, 28), 2, 5));
        passes(check, NAME, &read(Began::Latest(20, 30), 1, 5));
        passes(check, NAME, &read(Began::Latest(20, 30), 3, 5));
    }

    #[test]
    fn a_wrong_begin_is_reported() {
        for (began, from) in begins() {
            fails(check, NAME, &read(began.clone(), from + 1, 5), "its record 1 should be");
            if from > 0 {
                let text = match began {
                    Began::Timestamp(..) => "it began with record",
                    _ => "its record 1 should be",
                };
                fails(check, NAME, &read(began, from - 1, 5), text);
            }
        }
    }

    #[test]
    fn latest_that_skips_or_shows_too_much_is_reported() {
        fails(check, NAME, &read(Began::Latest(22, 28), 3, 5), "it skipped record 000000000000000000030");
        fails(check, NAME, &read(Began::Latest(22, 28), 1, 5), "it saw record 000000000000000000020");
        let mut counted = good(KEYS);
        counted.operations.drain(0..3);
        counted.records().drain(0..3);
        counted.reading(Began::Latest(5, 6), 1, 2);
        fails(check, NAME, &counted, "it skipped");
        let mut ended = read(Began::Latest(5, 6), 5, 5);
        passes_silently(&ended);
        ended.readings[0].ended = true;
        ended.shard().ending = Some(sequence(60));
        fails(check, NAME, &ended, "it skipped");
    }

    fn passes_silently(history: &History) {
        assert_eq!(check(history, &mut Marks::default()), Ok(()));
    }

    #[test]
    fn gaps_and_doubles_are_reported() {
        let mut gap = read(Began::Horizon, 0, 5);
        gap.readings[0].records.remove(2);
        fails(check, NAME, &gap, "its record 3 should be");
        let mut double = read(Began::Latest(0, 1), 0, 5);
        let twin = double.readings[0].records[2].clone();
        double.readings[0].records.insert(2, twin);
        fails(check, NAME, &double, "its record 4 should be");
    }

    #[test]
    fn an_end_too_early_is_reported() {
        let mut history = read(Began::Horizon, 0, 5);
        history.readings[0].ended = true;
        fails(check, NAME, &history, "which is open");
        history.shard().ending = Some(sequence(60));
        passes(check, NAME, &history);
        history.readings[0].records.pop();
        fails(check, NAME, &history, "before it saw");
    }

    #[test]
    fn what_was_trimmed_is_not_missed() {
        let mut history = read(Began::Horizon, 0, 4);
        history.records().drain(0..2);
        fails(check, NAME, &history, "its record 1 should be");
        history.trimmed = true;
        passes(check, NAME, &history);
        history.readings[0].records.remove(2);
        fails(check, NAME, &history, "its record 3 should be");
    }
}
