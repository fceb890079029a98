//! Comes late: asks for records long after somebody saw them, and uses iterators long after it got them.

use std::time::Duration;

use watertable::client::{Client, Error, SequenceNumber, Start};

use super::Cast;
use crate::{
    history::{Found, Glance, Place, Use},
    stage::{Shared, now},
};

/// A place shows nothing when so many pages in a row are empty.
const EMPTY_PAGES: u32 = 3;

/// Comes late, until it has to stop.
pub async fn lag(mut cast: Cast, pace_ms: u64) {
    let client = cast.shared.client(cast.seed);
    while cast.goes_on() {
        cast.pause(pace_ms).await;
        match cast.random.below(4) {
            0 => keep_iterator(&mut cast, &client).await,
            1 => look_at_horizon(&mut cast, &client).await,
            _ => look_back(&mut cast, &client).await,
        }
    }
}

/// Asks for a record that somebody saw once, however long ago.
async fn look_back(cast: &mut Cast, client: &Client) {
    let (table, draw) = (cast.table, (cast.random.next(), cast.random.next()));
    let seen = cast.shared.history(|history| {
        let streams = &history.tables[table].streams;
        let mine = |arn: &str| streams.iter().any(|stream| stream.arn == arn);
        let readings: Vec<_> = history
            .readings
            .iter()
            .filter(|reading| !reading.records.is_empty() && mine(&reading.arn))
            .collect();
        let reading = readings.get((draw.0 % readings.len().max(1) as u64) as usize)?;
        let (_, record) = &reading.records[(draw.1 % reading.records.len() as u64) as usize];
        Some((reading.arn.clone(), reading.shard.clone(), record.sequence_number.clone()))
    });
    if let Some((arn, shard, number)) = seen {
        glance(&cast.shared, client, &arn, &shard, Place::At(number)).await;
    }
}

async fn look_at_horizon(cast: &mut Cast, client: &Client) {
    if let Some((arn, shard)) = any_shard(cast, client).await {
        glance(&cast.shared, client, &arn, &shard, Place::Horizon).await;
    }
}

async fn any_shard(cast: &mut Cast, client: &Client) -> Option<(String, String)> {
    let table = cast.table;
    let arns: Vec<String> = cast
        .shared
        .history(|history| history.tables[table].streams.iter().map(|stream| stream.arn.clone()).collect());
    if arns.is_empty() {
        return None;
    }
    let arn = cast.random.pick(&arns).clone();
    let stream = client.describe_stream(&arn).await.ok()?;
    let shards: Vec<String> = stream.shards.into_iter().map(|shard| shard.id).collect();
    (!shards.is_empty()).then(|| (arn, cast.random.pick(&shards).clone()))
}

/// Looks what there is at a place, and notes it. What was not answered is no fact.
pub async fn glance(shared: &Shared, client: &Client, arn: &str, shard: &str, place: Place) {
    let start = match &place {
        Place::Horizon => Start::TrimHorizon,
        Place::At(number) => Start::At(number.clone()),
    };
    let asked = now();
    let found = match first_record(client, arn, shard, &start).await {
        Ok(first) => Found::Page(first),
        Err(error) if error.is_not_found() || error.reason() == "TrimmedDataAccessException" => Found::Gone,
        Err(error) => {
            tracing::debug!(%error, "a place was not seen");
            return;
        }
    };
    let (arn, shard) = (arn.to_owned(), shard.to_owned());
    let glance = Glance { arn, shard, place, asked, answered: now(), found };
    tracing::debug!(?glance, "a glance");
    shared.history(|history| history.glances.push(glance));
}

async fn first_record(
    client: &Client,
    arn: &str,
    shard: &str,
    start: &Start,
) -> Result<Option<SequenceNumber>, Error> {
    let mut iterator = client.shard_iterator(arn, shard, start).await?;
    for _ in 0..EMPTY_PAGES {
        let page = client.get_records(&iterator, 1).await?;
        if let Some(record) = page.records.into_iter().next() {
            return Ok(Some(record.sequence_number));
        }
        let Some(next) = page.next else { break };
        iterator = next;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(None)
}

/// Keeps an iterator for a while that is shorter or longer than it lives, and uses it then.
async fn keep_iterator(cast: &mut Cast, client: &Client) {
    const MINUTE_MS: u64 = 60_000;
    let Some((arn, shard)) = any_shard(cast, client).await else { return };
    let asked = now();
    let Ok(iterator) = client.shard_iterator(&arn, &shard, &Start::Latest).await else { return };
    let issued = (asked, now());
    let most_ms = *cast.random.pick(&[MINUTE_MS, 15 * MINUTE_MS, 16 * MINUTE_MS, 120 * MINUTE_MS]);
    let until = now() + 1_000 * cast.random.between(most_ms * 9 / 10, most_ms);
    while now() < until {
        if !cast.goes_on() {
            return;
        }
        let left = Duration::from_micros(until - now());
        tokio::time::sleep(left.min(Duration::from_millis(MINUTE_MS))).await;
    }
    let begun = now();
    let expired = match client.get_records(&iterator, 1).await {
        Ok(_) => false,
        Err(error) if error.reason() == "TrimmedDataAccessException" => false,
        Err(error) if error.reason() == "ExpiredIteratorException" => true,
        Err(error) => return tracing::debug!(%error, "an iterator was not used"),
    };
    let used = Use { issued, used: (begun, now()), expired };
    tracing::debug!(?used, "an iterator was kept");
    cast.shared.history(|history| history.uses.push(used));
}
