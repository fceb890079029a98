//! Reads, when all is well again, everything there is: what the invariants compare the rest with. It also shows that the
//! cluster serves: every partition takes a write.

use std::{collections::BTreeMap, pin::pin, time::Duration};

use anyhow::{Context, Result, bail};
use futures::TryStreamExt;
use watertable::{
    client::{Client, Error, Kind, Scan, Start, WriteOptions},
    model::{Item, TableName},
};

use super::laggard::glance;
use crate::{
    history::{Key, NEVER, Place, ShardStory},
    invariants::delivered,
    machine::elapsed,
    stage::{Shared, table_name},
};

/// How long after everything is well again every call must be answered: connections that lost a segment are
/// noticed by their keep-alive only.
const SERVES_AGAIN: Duration = Duration::from_secs(30);
/// How long after that everything is delivered: longer than the longest pause before a batch is tried again.
const DELIVERED: Duration = Duration::from_secs(90);
/// An open shard is read to its end when so many pages in a row are empty.
const EMPTY_PAGES: u32 = 2;

/// Reads everything into the history.
pub async fn judge(shared: &Shared) -> Result<()> {
    let client = shared.client(shared.plan().seed.wrapping_add(1));
    for table in 0..shared.plan().tables.len() {
        let name = table_name(table);
        serve(shared, &client, table, &name).await.with_context(|| format!("{name} does not serve"))?;
        let items = again(shared, async || scan(&client, table, &name).await).await;
        let items = items.with_context(|| format!("{name} is not scanned"))?;
        let streams = shared.history(|history| {
            let story = &mut history.tables[table];
            story.items = items;
            let streams = story.streams.iter();
            streams.map(|stream| (stream.arn.clone(), stream.off.0 == NEVER)).collect::<Vec<_>>()
        });
        let trims = shared.plan().tables[table].retention_ms > 0;
        for (number, (arn, is_on)) in streams.iter().enumerate() {
            let shards = match again(shared, async || read_all(shared, &client, arn).await).await {
                // One that was turned off goes when its last record does.
                Err(error) if trims && !is_on && is_gone(&error) => Vec::new(),
                read => read.with_context(|| format!("{arn} is not read"))?,
            };
            shared.history(|history| history.tables[table].streams[number].shards = shards);
        }
    }
    delivered(shared, &client).await
}

/// Returns once everything is delivered to whom it is owed.
async fn delivered(shared: &Shared, client: &Client) -> Result<()> {
    let deadline = elapsed() + shared.plan().patience(DELIVERED);
    while let Some(missing) = shared.history(|history| delivered::missing(history)) {
        if elapsed() > deadline {
            tracing::info!(consumers = ?client.list_consumers(None).await, "what is known of the consumers");
            tracing::info!(triggers = ?client.list_triggers(None).await, "and of the triggers");
            bail!("{missing}");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Asks until it is answered, while it may take long.
async fn again<T>(shared: &Shared, ask: impl AsyncFn() -> Result<T>) -> Result<T> {
    let deadline = elapsed() + shared.plan().patience(SERVES_AGAIN);
    loop {
        match ask().await {
            Err(error) if elapsed() < deadline && is_passing(&error) => {
                tracing::debug!(%error, "the judge asks again");
            }
            answered => return answered,
        }
    }
}

fn is_passing(error: &anyhow::Error) -> bool {
    let kind = error.downcast_ref::<Error>().map(Error::kind);
    matches!(kind, Some(Kind::Unavailable | Kind::Unknown))
}

fn is_gone(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Error>().is_some_and(Error::is_not_found)
}

/// Deletes, in each partition, an item that is not there: that takes a leader and a quorum, and changes nothing.
async fn serve(shared: &Shared, client: &Client, table: usize, name: &TableName) -> Result<()> {
    let described = client.describe_table(name).await?;
    let sorted = shared.plan().tables[table].sorted;
    for partition in &described.partitions {
        let mut keys = (1_000_000..).map(|id| Key { table, id, at: 0 }.item(sorted));
        let inside = keys.find(|item| {
            described.key.key_of_item(item).is_ok_and(|key| partition.range.contains(key.hash()))
        });
        let key = inside.context("some key hashes there")?;
        again(shared, async || Ok(client.delete_item(name, &key, WriteOptions::default()).await?)).await?;
    }
    Ok(())
}

async fn scan(client: &Client, table: usize, name: &TableName) -> Result<BTreeMap<Key, Item>> {
    let mut items = BTreeMap::new();
    let mut pages = pin!(client.scan_all(name, Scan { consistent: true, ..Scan::default() }));
    while let Some(page) = pages.try_next().await? {
        for item in page.items {
            let key = Key::of(table, &item).with_context(|| format!("nobody wrote {item:?}"))?;
            if items.insert(key, item).is_some() {
                bail!("the scan shows {key:?} twice");
            }
        }
    }
    Ok(items)
}

async fn read_all(shared: &Shared, client: &Client, arn: &str) -> Result<Vec<ShardStory>> {
    let stream = client.describe_stream(arn).await?;
    let mut shards = Vec::new();
    for shard in stream.shards {
        glance(shared, client, arn, &shard.id, Place::Horizon).await;
        let mut next = Some(client.shard_iterator(arn, &shard.id, &Start::TrimHorizon).await?);
        let mut records = Vec::new();
        let mut empty = 0;
        while let Some(iterator) = next.take() {
            let page = client.get_records(&iterator, 0).await?;
            empty = if page.records.is_empty() { empty + 1 } else { 0 };
            records.extend(page.records);
            if shard.ending.is_none() && empty >= EMPTY_PAGES {
                break;
            }
            if empty > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            next = page.next;
        }
        let (id, parent, starting, ending) = (shard.id, shard.parent, shard.starting, shard.ending);
        shards.push(ShardStory { id, parent, starting, ending, records });
    }
    Ok(shards)
}
