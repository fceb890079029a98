//! Whoever a table's records are delivered to, a function or a consumer, gets every one of them at least once, and, of one
//! key, none before those that were logged before it are done with; and nothing that was never logged.
//!
//! From AWS, "How Lambda processes records from stream and queue-based event sources", and DYNAMODB.md 4: at least once,
//! in order per key; a batch that fails holds up its key until it succeeds or is given up. What was given up is done with
//! when it has come to where such records go. A consumer's records are done with as they come: they come again unless they
//! are acknowledged, and nobody acknowledges what has not come.
//!
//! A receiver is owed the streams that were on when it was there for certain, and later ones. What came of others is
//! compared as far as it came.

use std::collections::BTreeMap;

use watertable::client::SequenceNumber;

use super::{judge, show};
use crate::history::{History, Key, Micros, Receipt, Received, Receiver};
use crate::verdict::{Marks, Violation};

/// Where a record is: the ARN, the shard, its number.
type Place<'a> = (&'a str, &'a str, &'a SequenceNumber);

/// The records of a table, of each key in order.
type Logged<'a> = BTreeMap<Key, Vec<Place<'a>>>;

/// Judges a run.
pub fn check(history: &History, marks: &mut Marks) -> Result<(), Violation> {
    judge("delivered", marks, |judged| {
        for receiver in &history.receivers {
            let logged = logged(history, receiver);
            *judged += receiver.receipts.iter().map(|receipt| receipt.records.len() as u64).sum::<u64>();
            in_order(&logged, receiver).map_err(|why| format!("{}: {why}", receiver.name))?;
        }
        missing(history).map_or(Ok(()), Err)
    })
}

/// A record that somebody has not got, who should.
pub fn missing(history: &History) -> Option<String> {
    history.receivers.iter().find_map(|receiver| {
        let (_, created) = receiver.created?;
        let done: std::collections::BTreeSet<(&Key, &str, &SequenceNumber)> = receiver
            .receipts
            .iter()
            .flat_map(|receipt| &receipt.records[..receipt.done])
            .map(|record| (&record.key, record.place.as_str(), &record.number))
            .collect();
        let table = &history.tables[receiver.table];
        let owed = table.streams.iter().filter(|stream| stream.off.0 > created);
        let records = owed.flat_map(|stream| {
            let shards = stream.shards.iter();
            shards.flat_map(move |shard| {
                shard.records.iter().map(move |record| (stream.arn.as_str(), shard, record))
            })
        });
        let mut keyed = records.filter_map(|(arn, shard, record)| {
            Some((arn, shard, record, Key::of(receiver.table, &record.keys)?))
        });
        let has = |place: &str, key: &Key, number| done.contains(&(key, place, number));
        keyed.find_map(|(arn, shard, record, key)| {
            let number = &record.sequence_number;
            let got = has(arn, &key, number) || has(&shard.id, &key, number);
            (!got).then(|| format!("{} was not given {} of {arn}", receiver.name, show::record(record)))
        })
    })
}

fn logged<'a>(history: &'a History, receiver: &Receiver) -> Logged<'a> {
    let mut logged = Logged::new();
    for stream in &history.tables[receiver.table].streams {
        for shard in &stream.shards {
            for record in &shard.records {
                let Some(key) = Key::of(receiver.table, &record.keys) else { continue };
                let place = (stream.arn.as_str(), shard.id.as_str(), &record.sequence_number);
                logged.entry(key).or_default().push(place);
            }
        }
    }
    logged
}

fn in_order(logged: &Logged, receiver: &Receiver) -> Result<(), String> {
    // Until when each record was done with for the first time.
    let mut done: BTreeMap<(Key, usize), Micros> = BTreeMap::new();
    let mut first: BTreeMap<Key, usize> = BTreeMap::new();
    let places = |receipt: &Receipt| {
        receipt.records.iter().map(|record| at(logged, record)).collect::<Result<Vec<_>, String>>()
    };
    let mut all = Vec::new();
    for receipt in &receiver.receipts {
        let places = places(receipt)?;
        for (record, place) in receipt.records.iter().zip(&places) {
            let first = first.entry(record.key).or_insert(*place);
            *first = (*first).min(*place);
        }
        for (record, place) in receipt.records.iter().zip(&places).take(receipt.done) {
            let ended = done.entry((record.key, *place)).or_insert(receipt.ended);
            *ended = receipt.ended.min(*ended);
        }
        all.push((receipt, places));
    }
    for (receipt, places) in &all {
        let mut before: BTreeMap<Key, usize> = BTreeMap::new();
        for (record, place) in receipt.records.iter().zip(places) {
            let here = before.insert(record.key, *place);
            if here.is_some_and(|here| here + 1 != *place) {
                return Err(format!("{} did not follow the record before it in one delivery", tell(record)));
            }
            // Nobody is owed what was logged before the first that came; of that, `missing` speaks.
            if here.is_some() || *place == first[&record.key] {
                continue;
            }
            let earlier = done.get(&(record.key, place - 1));
            if earlier.is_none_or(|ended| *ended > receipt.at) {
                let (_, _, number) = logged[&record.key][place - 1];
                let came = show::time(receipt.at);
                return Err(format!("{} came at {came} before {number} was done with", tell(record)));
            }
        }
    }
    Ok(())
}

/// The how-manieth of its key a record is.
fn at(logged: &Logged, record: &Received) -> Result<usize, String> {
    let is_it = |(arn, shard, number): &Place| {
        *number == &record.number && (*arn == record.place || *shard == record.place)
    };
    let places = logged.get(&record.key);
    let place = places.and_then(|places| places.iter().position(is_it));
    place.ok_or_else(|| format!("{} was never logged", tell(record)))
}

fn tell(record: &Received) -> String {
    format!("record {} of k{}/{}", record.number, record.key.id, record.key.at)
}

#[cfg(test)]
mod tests {
    use super::super::sample::{BOTH, DONE, KEY, fails, history, item, passes, sequence};
    use super::*;

    const NAME: &str = "delivered";

    /// Three puts, whose records came in these receipts: (at, ended), numbers, how many were done with.
    fn run(receipts: &[((Micros, Micros), &[u64], usize)]) -> History {
        let mut history = history(BOTH);
        for number in 1..=3 {
            history.put(number * 10, number * 10 + 1, DONE);
        }
        history.versions(&[1, 2, 3].map(|number| Some(item(number))));
        let receipts = receipts.iter().map(|((at, ended), numbers, done)| {
            let place =
                |number: &u64| Received { place: "s0".to_owned(), key: KEY, number: sequence(number * 10) };
            Receipt { at: *at, ended: *ended, records: numbers.iter().map(place).collect(), done: *done }
        });
        let (name, created) = ("f".to_owned(), Some((0, 1)));
        history.receivers.push(Receiver { name, table: 0, created, receipts: receipts.collect() });
        history
    }

    #[test]
    fn whole_deliveries_pass() {
        passes(check, NAME, &run(&[((40, 41), &[1, 2, 3], 3)]));
        passes(check, NAME, &run(&[((40, 41), &[1, 2], 0), ((42, 43), &[1], 1), ((44, 45), &[2, 3], 2)]));
        passes(
            check,
            NAME,
            &run(&[((40, 41), &[1, 2, 3], 1), ((42, 43), &[2, 3], 2), ((44, 45), &[1, 2], 2)]),
        );
    }

    #[test]
    fn what_is_skipped_is_reported() {
        fails(check, NAME, &run(&[((40, 41), &[1], 1), ((42, 43), &[3], 1)]), "before 000000000000000000020");
        fails(check, NAME, &run(&[((40, 41), &[1, 3], 2)]), "did not follow the record before it");
        fails(check, NAME, &run(&[((40, 41), &[1, 2], 2)]), "f was not given");
        fails(check, NAME, &run(&[((40, 41), &[2, 3], 2)]), "f was not given");
        fails(check, NAME, &run(&[((40, 41), &[1, 2, 3], 2)]), "f was not given");
    }

    #[test]
    fn what_comes_too_early_is_reported() {
        let early = [((40, 50), &[1][..], 1), ((45, 46), &[2, 3][..], 2)];
        fails(check, NAME, &run(&early), "before 000000000000000000010 was done with");
        let failed = [((40, 41), &[1][..], 0), ((45, 46), &[2, 3][..], 2), ((47, 48), &[1][..], 1)];
        fails(check, NAME, &run(&failed), "before 000000000000000000010 was done with");
    }

    #[test]
    fn what_was_never_logged_is_reported() {
        fails(check, NAME, &run(&[((40, 41), &[1, 2, 3, 4], 4)]), "was never logged");
    }

    #[test]
    fn who_was_never_there_for_certain_is_owed_nothing() {
        let mut history = run(&[((40, 41), &[2], 1)]);
        history.receivers[0].created = None;
        passes(check, NAME, &history);
    }
}
