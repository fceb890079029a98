//! Creates tables, turns their streams off and on, deletes them.

use std::time::Duration;

use watertable::{
    client::{Client, Kind, NewTable, StreamStatus},
    model::{KeyAttribute, KeySchema, KeyType, TableName},
};

use super::{Cast, view_type};
use crate::{
    history::{Micros, NEVER, StreamStory, TableStory, name},
    plan::{TablePlan, View},
    stage::{Shared, now, table_name},
};

/// Longer than any fault.
const PATIENCE: Duration = Duration::from_secs(60);

fn schema(sorted: bool) -> KeySchema {
    let attribute = |text, kind| KeyAttribute { name: name(text), kind };
    KeySchema { partition: attribute("id", KeyType::S), sort: sorted.then(|| attribute("at", KeyType::N)) }
}

fn new_table(name: TableName, plan: &TablePlan) -> NewTable {
    NewTable {
        name,
        key: schema(plan.sorted),
        stream: plan.view.map(view_type),
        partitions: plan.partitions,
        retention_ms: plan.retention_ms,
    }
}

/// Creates the tables of the plan.
pub async fn create_tables(shared: &Shared) {
    let client = shared.client(shared.plan().seed);
    for (number, plan) in shared.plan().tables.iter().enumerate() {
        let table = new_table(table_name(number), plan);
        while let Err(error) = client.create_table(&table).await {
            if error.kind() == Kind::Rejected {
                break; // it is there, of an attempt before
            }
            tracing::info!(%error, "a table is not created yet");
        }
        let made = client
            .wait_active(&table.name, shared.plan().patience(PATIENCE))
            .await
            .expect("nothing is wrong yet");
        let arn = made.latest_stream_arn.clone();
        let streams = plan.view.zip(arn).map(|(view, arn)| stream_of(arn, view, (0, 0)));
        shared.note_table(TableStory {
            schema: table.key,
            streams: streams.into_iter().collect(),
            items: Default::default(),
            retention_ms: plan.retention_ms,
            deleted: false,
        });
    }
}

fn stream_of(arn: String, view: View, on: (Micros, Micros)) -> StreamStory {
    StreamStory { arn, view_type: view_type(view), on, off: (NEVER, NEVER), shards: Vec::new() }
}

/// Asks until it is done, and gives the ARN of the stream that was turned on. What describes a table may be older than
/// what was done to it: so a stream is on when its ARN is new, and off when it says so itself.
async fn settle(
    client: &Client,
    patience: Duration,
    table: &TableName,
    wanted: Option<View>,
    before: &[String],
) -> Option<String> {
    loop {
        if let Err(error) = client.update_stream(table, wanted.map(view_type)).await {
            tracing::debug!(%error, "the stream is not switched yet");
        }
        match (wanted, client.wait_active(table, patience).await) {
            (Some(_), Ok(described)) => {
                let arn = described.latest_stream_arn.filter(|arn| !before.contains(arn));
                if arn.is_some() && described.stream.is_some() {
                    return arn;
                }
            }
            (None, Ok(_)) => {
                let stream = client.describe_stream(before.last()?).await;
                let off = match &stream {
                    Ok(stream) => stream.status == StreamStatus::Disabled,
                    Err(error) => error.is_not_found(), // nothing of it is left
                };
                if off {
                    return None;
                }
            }
            (_, Err(error)) => tracing::debug!(%error, "the table is not in use yet"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Turns the stream of a table off and on.
pub async fn switch(mut cast: Cast, pace_ms: u64) {
    let client = cast.shared.client(cast.seed);
    let table = table_name(cast.table);
    let views = [View::KeysOnly, View::NewImage, View::OldImage, View::NewAndOldImages];
    let patience = cast.shared.plan().patience(PATIENCE);
    cast.pause(pace_ms).await;
    while cast.goes_on() {
        let number = cast.table;
        let (before, is_on) = cast.shared.history(|history| {
            let streams = &history.tables[number].streams;
            let arns: Vec<String> = streams.iter().map(|stream| stream.arn.clone()).collect();
            (arns, streams.last().is_some_and(|stream| stream.off.0 == NEVER))
        });
        let begun = now();
        if is_on {
            cast.shared.history(|history| last_stream(history, number).off.0 = begun);
            settle(&client, patience, &table, None, &before).await;
            cast.shared.history(|history| last_stream(history, number).off.1 = now());
            tracing::debug!(%table, "stream off");
        } else {
            let view = *cast.random.pick(&views);
            let arn = settle(&client, patience, &table, Some(view), &before).await;
            let arn = arn.expect("a stream that was turned on has an ARN");
            tracing::debug!(%table, arn, "stream on");
            let stream = stream_of(arn, view, (begun, now()));
            cast.shared.history(|history| history.tables[number].streams.push(stream));
        }
        cast.pause(pace_ms).await;
    }
}

fn last_stream(history: &mut crate::history::History, table: usize) -> &mut StreamStory {
    history.tables[table].streams.last_mut().expect("a stream was turned on before it is turned off")
}

/// Creates tables and deletes them again; nobody else knows of them.
pub async fn create_and_delete(mut cast: Cast, pace_ms: u64) {
    let client = cast.shared.client(cast.seed);
    let mut count = 0;
    while cast.goes_on() {
        count += 1;
        let name = format!("passing-{}-{count}", cast.number);
        let name = TableName::parse(&name).expect("names of the simulator are good");
        let view = Some(View::NewAndOldImages).filter(|_| cast.random.percent(70));
        let plan = TablePlan { view, sorted: false, partitions: 1, ids: 1, places: 1, retention_ms: 0 };
        if let Err(error) = client.create_table(&new_table(name.clone(), &plan)).await {
            tracing::debug!(%error, "a passing table was not created for certain");
        }
        cast.pause(pace_ms).await;
        while let Err(error) = client.delete_table(&name).await {
            if error.is_not_found() || !cast.goes_on() {
                break;
            }
            tracing::debug!(%error, "a passing table is not deleted yet");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        cast.pause(pace_ms).await;
    }
}
