//! A record once seen is never unseen: whoever reads the shard later finds it at its place, the same in every part.
//!
//! From DESIGN: readers never pass the applied position, and what is applied is committed, which no election undoes
//! (Ongaro & Ousterhout 2014, "In search of an understandable consensus algorithm", leader completeness). AWS,
//! "DynamoDB Streams record": the event id is the same whenever a record is read.
//!
//! What was trimmed is missing rightly, and so may be all of a deleted table's streams; what two readers saw must be
//! the same still.

use std::collections::BTreeMap;

use watertable::client::{Record, SequenceNumber};

use super::{judge, show};
use crate::history::History;
use crate::verdict::{Marks, Violation};

type Place<'a> = (&'a str, &'a str, &'a SequenceNumber);

/// Judges a run.
pub fn check(history: &History, marks: &mut Marks) -> Result<(), Violation> {
    judge("never_unseen", marks, |judged| {
        let mut known = BTreeMap::<Place, (&Record, String)>::new();
        // The first record of each shard that may not have been trimmed; `None`: all may have been.
        let mut floors = BTreeMap::<(&str, &str), Option<&SequenceNumber>>::new();
        let mut deleted = Vec::new();
        for table in &history.tables {
            for stream in &table.streams {
                if table.deleted {
                    deleted.push(stream.arn.as_str());
                }
                for shard in &stream.shards {
                    let first = shard.records.first().map(|record| &record.sequence_number);
                    floors.insert((&stream.arn, &shard.id), first);
                    for record in &shard.records {
                        known.insert(
                            (&stream.arn, &shard.id, &record.sequence_number),
                            (record, "in the end".to_owned()),
                        );
                    }
                }
            }
        }
        for reading in &history.readings {
            let (arn, shard) = (reading.arn.as_str(), reading.shard.as_str());
            let floor = floors.get(&(arn, shard)).copied().flatten();
            for (time, record) in &reading.records {
                *judged += 1;
                let place = (arn, shard, &record.sequence_number);
                let told = || {
                    format!(
                        "reader {} saw in shard {shard} of {arn} at {}: {}",
                        reading.reader,
                        show::time(*time),
                        show::record(record)
                    )
                };
                if let Some((other, by)) = known.get(&place) {
                    if record != *other {
                        return Err(format!("{}; {by} it is {}", told(), show::record(other)));
                    }
                    continue;
                }
                let trimmed = history.trimmed && floor.is_none_or(|floor| record.sequence_number < *floor);
                if !trimmed && !deleted.contains(&arn) {
                    return Err(format!("{}; in the end it is not there", told()));
                }
                known.insert(place, (record, format!("to reader {}", reading.reader)));
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::super::sample::{BOTH, fails, history, item, passes};
    use super::*;
    use crate::history::Began;

    const NAME: &str = "never_unseen";

    fn good() -> History {
        let mut history = history(BOTH);
        history.versions(&[Some(item(1)), Some(item(2)), Some(item(3))]);
        history.reading(Began::Horizon, 0, 2);
        history.reading(Began::Horizon, 0, 3);
        history
    }

    #[test]
    fn what_stays_passes() {
        passes(check, NAME, &good());
    }

    #[test]
    fn a_record_that_is_gone_is_reported() {
        let mut history = good();
        history.records().remove(1);
        fails(check, NAME, &history, "in the end it is not there");
        history.trimmed = true;
        fails(check, NAME, &history, "in the end it is not there");
        history.records().remove(0);
        passes(check, NAME, &history);
        let mut shards = good();
        shards.tables[0].streams[0].shards.clear();
        fails(check, NAME, &shards, "in the end it is not there");
        shards.tables[0].deleted = true;
        passes(check, NAME, &shards);
    }

    #[test]
    fn a_record_that_changed_is_reported() {
        let changes: [fn(&mut Record); 5] = [
            |record| record.event_id.push('x'),
            |record| record.created_ms += 1,
            |record| record.size_bytes += 1,
            |record| record.new_image = Some(item(9)),
            |record| record.keys = item(9),
        ];
        for change in changes {
            let mut history = good();
            change(&mut history.records()[1]);
            fails(check, NAME, &history, "in the end it is");
        }
        let mut readers = good();
        readers.readings[0].records[0].1.created_ms += 1;
        readers.tables[0].deleted = true;
        readers.records().clear();
        fails(check, NAME, &readers, "to reader 0 it is");
    }
}
