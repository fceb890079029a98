//! Reads streams by iterators, beginning in all the ways there are.

use watertable::client::{Client, Record, SequenceNumber, Start};

use super::Cast;
use crate::{
    history::{Began, Micros, Reading},
    machine::EPOCH_MS,
    stage::now,
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
        let Ok(stream) = client.describe_stream(&arn).await else { continue };
        if stream.shards.is_empty() {
            continue;
        }
        let shard = cast.random.pick(&stream.shards).id.clone();
        read_shard(&mut cast, &client, &arn, &shard, pace_ms).await;
    }
}

fn any_start(cast: &mut Cast, arn: &str, shard: &str) -> Start {
    let known = cast.shared.history(|history| {
        let readings = history.readings.iter().filter(|reading| reading.arn == arn && reading.shard == shard);
        let numbers = readings.flat_map(|reading| reading.records.iter());
        numbers.map(|(_, record)| record.sequence_number.clone()).collect::<Vec<SequenceNumber>>()
    });
    match cast.random.below(10) {
        0..2 => Start::Latest,
        2..4 => Start::AtTimestamp(EPOCH_MS + cast.random.between(0, now() / 1_000 + 1_000)),
        4 if !known.is_empty() => Start::At(cast.random.pick(&known).clone()),
        5 if !known.is_empty() => Start::After(cast.random.pick(&known).clone()),
        _ => Start::TrimHorizon,
    }
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
    let start = any_start(cast, arn, shard);
    let asked = now();
    let Ok(iterator) = client.shard_iterator(arn, shard, &start).await else { return };
    let began = began(&start, asked, now());
    let (reader, arn, shard) = (cast.number, arn.to_owned(), shard.to_owned());
    tracing::debug!(reader, shard, ?began, "a reading begins");
    let reading = Reading { reader, arn, shard, began, records: Vec::new(), ended: false };
    let at = cast.shared.history(|history| {
        history.readings.push(reading);
        history.readings.len() - 1
    });
    let mut next = Some(iterator);
    let pages = cast.random.between(1, 60);
    for _ in 0..pages {
        let Some(iterator) = &next else { break };
        if !cast.goes_on() {
            break;
        }
        let limit = *cast.random.pick(&[0, 1, 3, 100]);
        match client.get_records(iterator, limit).await {
            Ok(page) => {
                note(cast, at, page.records);
                next = page.next;
                if next.is_none() {
                    cast.shared.history(|history| history.readings[at].ended = true);
                }
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
