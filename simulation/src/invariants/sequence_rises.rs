//! Sequence numbers rise strictly within a shard, from parent to child, and in what every reader saw; they lie in the
//! range of their shard; a parent is closed; event ids are unique; and a key never leaves its lineage of shards.
//!
//! From AWS, "Record" and "SequenceNumberRange" of the DynamoDB Streams API; and DYNAMODB.md 1.5 and 1.7: "unique in
//! the stream, strictly increasing inside a shard and from parent to child"; event ids are "globally unique". From
//! DESIGN: a sequence number is a position of the partition's log, a child's generation is its parent's plus one.

use std::collections::BTreeMap;

use watertable::client::{Record, SequenceNumber};

use super::{chain, judge, show};
use crate::history::{History, ShardStory, StreamStory};
use crate::verdict::{Marks, Violation};

/// Judges a run.
pub fn check(history: &History, marks: &mut Marks) -> Result<(), Violation> {
    judge("sequence_rises", marks, |judged| {
        let mut events = BTreeMap::new();
        let mut shards = BTreeMap::new();
        for (number, table) in history.tables.iter().enumerate() {
            for stream in &table.streams {
                for shard in &stream.shards {
                    let place = || format!("shard {} of {}", shard.id, stream.arn);
                    *judged += 1 + shard.records.len() as u64;
                    range(stream, shard).map_err(|why| format!("{}: {why}", place()))?;
                    rises(shard, shard.records.iter()).map_err(|why| format!("{}: {why}", place()))?;
                    if shards.insert((stream.arn.as_str(), shard.id.as_str()), shard).is_some() {
                        return Err(format!("{} is there twice", place()));
                    }
                    for record in &shard.records {
                        if let Some(other) = events.insert(record.event_id.as_str(), record) {
                            return Err(format!(
                                "{}: one event id twice: {}; {}",
                                place(),
                                show::record(other),
                                show::record(record)
                            ));
                        }
                    }
                }
                lineage(history, number, stream)?;
            }
        }
        for reading in &history.readings {
            *judged += reading.records.len() as u64;
            let records = reading.records.iter().map(|(_, record)| record);
            let place = || format!("reader {} of shard {} of {}", reading.reader, reading.shard, reading.arn);
            match shards.get(&(reading.arn.as_str(), reading.shard.as_str())) {
                Some(shard) => rises(shard, records),
                None => strictly(records),
            }
            .map_err(|why| format!("{}: {why}", place()))?;
        }
        Ok(())
    })
}

fn strictly<'a>(records: impl Iterator<Item = &'a Record>) -> Result<(), String> {
    let mut last: Option<&Record> = None;
    for record in records {
        if let Some(last) = last
            && record.sequence_number <= last.sequence_number
        {
            return Err(format!("{} is followed by {}", show::record(last), show::record(record)));
        }
        last = Some(record);
    }
    Ok(())
}

fn rises<'a>(shard: &ShardStory, records: impl Iterator<Item = &'a Record> + Clone) -> Result<(), String> {
    strictly(records.clone())?;
    for record in records {
        let number = &record.sequence_number;
        if *number < shard.starting || shard.ending.as_ref().is_some_and(|ending| number > ending) {
            return Err(format!("outside of {}: {}", bounds(shard), show::record(record)));
        }
    }
    Ok(())
}

fn bounds(shard: &ShardStory) -> String {
    let ending = shard.ending.as_ref().map_or("open", SequenceNumber::as_str);
    format!("[{}, {ending}]", shard.starting)
}

/// The range of a shard, and that it lies above its parent's. A parent that is gone was trimmed.
fn range(stream: &StreamStory, shard: &ShardStory) -> Result<(), String> {
    if shard.ending.as_ref().is_some_and(|ending| *ending < shard.starting) {
        return Err(format!("it ends before it starts: {}", bounds(shard)));
    }
    let Some(parent) = chain::ancestors(stream, shard).first().copied() else { return Ok(()) };
    let below = parent.ending.as_ref().is_some_and(|ending| *ending < shard.starting)
        && parent.records.last().is_none_or(|last| last.sequence_number < shard.starting);
    if below {
        return Ok(());
    }
    Err(format!("{} does not lie above its parent {}, {}", bounds(shard), parent.id, bounds(parent)))
}

/// The shards of a key descend from one another, or its records have no order.
fn lineage(history: &History, table: usize, stream: &StreamStory) -> Result<(), String> {
    for (key, chain) in chain::of(history, table, stream) {
        for pair in chain.windows(2) {
            let (one, next) = (pair[0].shard, pair[1].shard);
            let descends =
                one.id == next.id || chain::ancestors(stream, next).iter().any(|older| older.id == one.id);
            if !descends {
                return Err(format!(
                    "{} in {}: in shard {} there is {}, and in shard {}, which does not descend from it, {}",
                    show::key(&key),
                    stream.arn,
                    one.id,
                    show::record(pair[0].record),
                    next.id,
                    show::record(pair[1].record)
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::sample::{NEW, fails, history, item, passes, sequence};
    use super::*;
    use crate::history::Began;

    const NAME: &str = "sequence_rises";

    fn good() -> History {
        let mut history = history(NEW);
        history.versions(&[Some(item(1)), Some(item(2)), Some(item(3))]);
        history.reading(Began::Horizon, 0, 2);
        let last = history.records().pop().expect("there are three");
        history.shard().ending = Some(sequence(20));
        let child = ShardStory {
            id: "s1".to_owned(),
            parent: Some("s0".to_owned()),
            starting: sequence(21),
            ending: None,
            records: vec![last],
        };
        history.tables[0].streams[0].shards.push(child);
        history
    }

    fn child(history: &mut History) -> &mut ShardStory {
        &mut history.tables[0].streams[0].shards[1]
    }

    #[test]
    fn what_rises_passes() {
        passes(check, NAME, &good());
    }

    #[test]
    fn what_does_not_rise_is_reported() {
        let mut shard = good();
        shard.records().swap(0, 1);
        fails(check, NAME, &shard, "is followed by");
        let mut equal = good();
        equal.records()[1].sequence_number = sequence(10);
        fails(check, NAME, &equal, "is followed by");
        let mut reading = good();
        reading.readings[0].records.swap(0, 1);
        fails(check, NAME, &reading, "reader 0 of shard s0");
        reading.readings[0].shard = "gone".to_owned();
        fails(check, NAME, &reading, "reader 0 of shard gone");
    }

    #[test]
    fn what_is_outside_of_its_shard_is_reported() {
        let mut below = good();
        below.shard().starting = sequence(11);
        fails(check, NAME, &below, "outside of");
        let mut above = good();
        above.shard().ending = Some(sequence(19));
        fails(check, NAME, &above, "outside of");
        let mut read = good();
        read.readings[0].records[0].1.sequence_number = sequence(0);
        read.shard().starting = sequence(1);
        fails(check, NAME, &read, "reader 0");
        let mut backwards = good();
        child(&mut backwards).ending = Some(sequence(20));
        fails(check, NAME, &backwards, "it ends before it starts");
    }

    #[test]
    fn a_child_that_is_not_above_its_parent_is_reported() {
        let mut inside = good();
        child(&mut inside).starting = sequence(20);
        fails(check, NAME, &inside, "does not lie above its parent");
        let mut touching = good();
        touching.records().pop();
        child(&mut touching).starting = sequence(20);
        fails(check, NAME, &touching, "does not lie above its parent");
        let mut open = good();
        open.shard().ending = None;
        fails(check, NAME, &open, "does not lie above its parent");
    }

    #[test]
    fn doubles_and_strays_are_reported() {
        let mut event = good();
        child(&mut event).records[0].event_id = "e10".to_owned();
        fails(check, NAME, &event, "one event id twice");
        let mut stray = good();
        child(&mut stray).parent = None;
        fails(check, NAME, &stray, "does not descend from it");
        let mut twice = good();
        child(&mut twice).id = "s0".to_owned();
        child(&mut twice).parent = None;
        fails(check, NAME, &twice, "is there twice");
    }
}
