//! Reads streams by iterators, beginning in all the ways there are.

use watertable::client::{Client, Error, Record, SequenceNumber, Start};

use super::Cast;
use crate::{
    history::{Began, Empty, Micros, Reading},
    machine::EPOCH_MS,
    stage::{Asked, now},
};

/// Reads the streams of a table, shard by shard, until it has to stop.
pub async fn read(mut cast: Cast, pace_ms: u64) {
    let client = cast.shared.client(cast.seed);
    while cast.goes_on() {
        let number = cast.table;
        let arns = cast.shared.history(|history| {
            let streams = history.tables[number].streams.iter();
            streams.map(|stream| stream.arn.clone()).collect::<Vec<_>>()
        });
        cast.pause(pace_ms).await;
        if arns.is_empty() {
            continue;
        }
        let arn = cast.random.pick(&arns).clone();
        let described = client.describe_stream(&arn).await;
        note_asked(&cast, "a description", &arn, None, described.as_ref().map(|_| ()));
        let Ok(stream) = described else { continue };
        if stream.shards.is_empty() {
            continue;
        }
        let shard = cast.random.pick(&stream.shards).id.clone();
        read_shard(&mut cast, &client, &arn, &shard, pace_ms).await;
    }
}

/// Notes what came of asking for a stream, or for a place in it, at or behind a record of this age.
fn note_asked(cast: &Cast, what: &str, arn: &str, created_ms: Option<u64>, answer: Result<(), &Error>) {
    let (client, table) = (cast.number, cast.table);
    cast.shared.note_asked(Asked { client, what, table, arn: Some(arn), created_ms }, answer);
}

/// Where to begin; and when the record there was created, if it is one.
fn any_start(cast: &mut Cast, arn: &str, shard: &str) -> (Start, Option<u64>) {
    let known = cast.shared.history(|history| {
        let readings = history.readings.iter().filter(|reading| reading.arn == arn && reading.shard == shard);
        let numbers = readings.flat_map(|reading| reading.records.iter());
        let known = numbers.map(|(_, record)| (record.sequence_number.clone(), record.created_ms));
        known.collect::<Vec<(SequenceNumber, u64)>>()
    });
    let start = match cast.random.below(10) {
        0..2 => Start::Latest,
        2..4 => Start::AtTimestamp(EPOCH_MS + cast.random.between(0, now() / 1_000 + 1_000)),
        chosen @ (4 | 5) if !known.is_empty() => {
            let (number, created_ms) = cast.random.pick(&known).clone();
            let start = if chosen == 4 { Start::At(number) } else { Start::After(number) };
            return (start, Some(created_ms));
        }
        _ => Start::TrimHorizon,
    };
    (start, None)
}

/// How a reading with this start began, the iterator having been asked for and answered then.
pub fn began(start: &Start, asked: Micros, answered: Micros) -> Began {
    match start {
        Start::TrimHorizon => Began::Horizon,
        Start::Latest => Began::Latest(asked, answered),
        Start::AtTimestamp(at_ms) => Began::Timestamp(*at_ms, asked),
        Start::At(number) => Began::At(number.clone()),
        Start::After(number) => Began::After(number.clone()),
    }
}

async fn read_shard(cast: &mut Cast, client: &Client, arn: &str, shard: &str, pace_ms: u64) {
    let (start, created_ms) = any_start(cast, arn, shard);
    let asked = now();
    let iterator = client.shard_iterator(arn, shard, &start).await;
    // Times are the reader's own, and may lie in the future.
    if !matches!(start, Start::AtTimestamp(_)) {
        note_asked(cast, "an iterator", arn, created_ms, iterator.as_ref().map(|_| ()));
    }
    let Ok(iterator) = iterator else { return };
    let began = began(&start, asked, now());
    let (reader, arn, shard) = (cast.number, arn.to_owned(), shard.to_owned());
    tracing::debug!(reader, shard, ?began, "a reading begins");
    let (records, empties) = (Vec::new(), Vec::new());
    let reading = Reading { reader, arn: arn.clone(), shard, began, records, empties, ended: false };
    let at = cast.shared.history(|history| {
        history.readings.push(reading);
        history.readings.len() - 1
    });
    let mut next = Some(iterator);
    let mut created_ms = created_ms;
    let pages = cast.random.between(1, 60);
    for _ in 0..pages {
        let Some(iterator) = &next else { break };
        if !cast.goes_on() {
            break;
        }
        let limit = *cast.random.pick(&[0, 1, 3, 100]);
        let asked = now();
        let page = client.get_records(iterator, limit).await;
        note_asked(cast, "a page", &arn, created_ms, page.as_ref().map(|_| ()));
        match page {
            Ok(page) => {
                created_ms = page.records.last().map(|record| record.created_ms).or(created_ms);
                let is_empty = page.records.is_empty();
                note(cast, at, page.records);
                next = page.next;
                cast.shared.history(|history| {
                    let reading = &mut history.readings[at];
                    reading.ended = next.is_none();
                    if is_empty && !reading.ended {
                        let seen = reading.records.len();
                        reading.empties.push(Empty { asked, answered: now(), seen });
                    }
                });
            }
            Err(error) => tracing::debug!(reader, %error, "a page was not read"),
        }
        cast.pause(pace_ms).await;
    }
}

/// Notes records as they came.
pub fn note(cast: &Cast, reading: usize, records: Vec<Record>) {
    let came = now();
    tracing::debug!(reader = cast.number, count = records.len(), "records");
    cast.shared.history(|history| {
        history.readings[reading].records.extend(records.into_iter().map(|record| (came, record)));
    });
}
