//! A program that takes part in a consumer: comes and goes, acknowledges late or not at all, and takes part again.

use std::time::Duration;

use watertable::client::{Client, Consumed, ConsumedBatch, ConsumerStart, Consumption, Error, OpenConsumer};

use super::Cast;
use crate::{
    history::{Key, Receipt, Received, Receiver},
    stage::{Stage, now, table_name},
};

/// Takes part until the run is over.
pub async fn consume(mut cast: Cast, consumer: u64, credit: u32, pace_ms: u64) {
    let client = cast.shared.client(cast.seed);
    let (table, name) = (cast.table, format!("consumer-{consumer}"));
    let receiver = cast.shared.history(|history| {
        let at = history.receivers.iter().position(|known| known.table == table && known.name == name);
        at.unwrap_or_else(|| {
            let (name, receipts) = (name.clone(), Vec::new());
            history.receivers.push(Receiver { name, table, created: None, receipts });
            history.receivers.len() - 1
        })
    });
    while cast.shared.stage() < Stage::Judged {
        if let Err(error) = take_part(&mut cast, &client, &name, receiver, (credit, pace_ms)).await {
            tracing::debug!(member = cast.number, %error, "a member is interrupted");
        }
        cast.pause(pace_ms.max(100)).await;
    }
}

/// For a while, or to the end.
async fn take_part(
    cast: &mut Cast,
    client: &Client,
    name: &str,
    receiver: usize,
    (credit, pace_ms): (u32, u64),
) -> Result<(), Error> {
    let open = OpenConsumer {
        table_name: table_name(cast.table).to_string(),
        name: name.to_owned(),
        start: ConsumerStart::TrimHorizon.into(),
        credit,
        ..OpenConsumer::default()
    };
    let begun = now();
    let mut consumption = client.consume(open).await?;
    let mut patience = cast.random.between(3, 100);
    loop {
        if cast.goes_on() {
            patience -= 1;
            if patience == 0 {
                leave(cast, consumption).await;
                return Ok(());
            }
        }
        let look = Duration::from_millis(500);
        let Ok(told) = tokio::time::timeout(look, consumption.next()).await else {
            if cast.shared.stage() == Stage::Judged {
                return Ok(());
            }
            continue;
        };
        match told? {
            None => return Ok(()),
            Some(Consumed::Opened { member_id, created }) => {
                tracing::debug!(member = cast.number, member_id, created, "a member takes part");
                cast.shared.history(|history| {
                    let receiver = &mut history.receivers[receiver];
                    receiver.created.get_or_insert((if created { begun } else { 0 }, now()));
                });
            }
            Some(Consumed::Assigned(_) | Consumed::Revoked(_)) => {}
            Some(Consumed::Batch(batch)) => {
                note(cast, receiver, &batch);
                if cast.goes_on() {
                    cast.pause(pace_ms).await;
                }
                consumption.acknowledge(&batch).await;
            }
        }
    }
}

/// Some say so and some do not.
async fn leave(cast: &mut Cast, consumption: Consumption) {
    if cast.random.percent(50) {
        consumption.close().await;
    }
}

fn note(cast: &Cast, receiver: usize, batch: &ConsumedBatch) {
    let received = batch.records.iter().map(|record| Received {
        place: batch.shard_id.clone(),
        key: Key::of(cast.table, &record.keys).expect("records have the keys of their table"),
        number: record.sequence_number.clone(),
    });
    let (at, records) = (now(), received.collect::<Vec<_>>());
    if records.is_empty() {
        return;
    }
    let done = records.len();
    let (first, last) = (&records[0].number, &records[done - 1].number);
    tracing::debug!(member = cast.number, shard = batch.shard_id, %first, %last, "records came");
    let receipt = Receipt { at, ended: at, records, done };
    cast.shared.history(|history| history.receivers[receiver].receipts.push(receipt));
}
