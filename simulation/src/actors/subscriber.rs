//! Has a stream pushed to it.

use std::{collections::BTreeMap, time::Duration};

use watertable::client::{Client, Delivery, Error, Start};

use super::{
    Cast,
    reader::{began, note},
};
use crate::{
    history::Reading,
    stage::{Asked, now},
};

/// Subscribes to streams of a table, one after another.
pub async fn follow(mut cast: Cast, pace_ms: u64) {
    let client = cast.shared.client(cast.seed);
    while cast.goes_on() {
        let number = cast.table;
        let arn = cast
            .shared
            .history(|history| history.tables[number].streams.last().map(|stream| stream.arn.clone()));
        cast.pause(pace_ms.max(20)).await;
        if let Some(arn) = arn {
            subscribe(&mut cast, &client, &arn, pace_ms).await;
        }
    }
}

async fn subscribe(cast: &mut Cast, client: &Client, arn: &str, pace_ms: u64) {
    let asked = now();
    let (shared, client_number, table) = (cast.shared.clone(), cast.number, cast.table);
    let note_asked = |answer: Result<(), &Error>| {
        let arn = Some(arn);
        let asked = Asked { client: client_number, what: "a subscription", table, arn, created_ms: None };
        shared.note_asked(asked, answer);
    };
    let subscribed = client.subscribe(arn, Start::TrimHorizon, BTreeMap::new()).await;
    note_asked(subscribed.as_ref().map(|_| ()));
    let Ok(mut subscription) = subscribed else { return };
    let began = began(&Start::TrimHorizon, asked, now());
    tracing::debug!(reader = cast.number, arn, ?began, "a subscription begins");
    let mut readings: BTreeMap<String, usize> = BTreeMap::new();
    let mut patience = cast.random.between(5, 200);
    while cast.goes_on() && patience > 0 {
        patience -= 1;
        let look = Duration::from_millis(500);
        let Ok(delivery) = tokio::time::timeout(look, subscription.next_delivery()).await else { continue };
        let (shard, records, ended) = match delivery {
            Ok(Some(Delivery::Records(shard, records))) => (shard, records, false),
            Ok(Some(Delivery::ShardEnd(shard))) => (shard, Vec::new(), true),
            Ok(Some(Delivery::Idle(_))) => continue,
            Ok(None) => return,
            Err(error) => {
                note_asked(Err(&error));
                tracing::debug!(reader = cast.number, %error, "a subscription was interrupted");
                return;
            }
        };
        let reading = *readings.entry(shard.to_string()).or_insert_with(|| {
            let (reader, arn, shard) = (cast.number, arn.to_owned(), shard.to_string());
            let (began, records, empties) = (began.clone(), Vec::new(), Vec::new());
            let reading = Reading { reader, arn, shard, began, records, empties, ended: false };
            cast.shared.history(|history| {
                history.readings.push(reading);
                history.readings.len() - 1
            })
        });
        note(cast, reading, records);
        if ended {
            cast.shared.history(|history| history.readings[reading].ended = true);
        }
        cast.pause(pace_ms).await;
    }
}
