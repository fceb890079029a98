//! `verify`: the items of a table are the fold of its stream; this looks whether that is so.
//!
//! It holds for a table that had its stream, with new images, from its creation, and none of whose records is trimmed
//! yet. The table may be written to meanwhile: the stream is read, then the table, and then the stream again. What the
//! scan saw of a key must be the image the fold had when the scan began, or that of a record which came later.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::time::Duration;

use futures::TryStreamExt;
use serde_json::json;
use tokio::time::Instant;

use super::json::Form;
use super::output::{Output, print_json, print_line, progress};
use super::{Error, Global, key, stream};
use crate::client::{
    Client, Delivery, EventName, Record, Scan, SequenceNumber, Start, StreamViewType, Subscription,
};
use crate::model::{Item, ItemKey, KeySchema, TableName};

/// Silence after which the stream counts as read.
const IDLE: Duration = Duration::from_secs(3);

/// How long keys that differ are waited for, if the stream never falls silent.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many findings are shown.
const SHOWN_MAX: usize = 10;

/// How much of an item is shown to people, in letters.
const SHOWN_LETTERS: usize = 200;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  watertable verify --table airports")]
pub(super) struct Arguments {
    /// The table; its stream must have carried new images since it was created.
    #[arg(long)]
    table: TableName,
}

pub(super) async fn run(global: &Global, arguments: Arguments) -> Result<(), Error> {
    let client = global.client()?;
    let table = client.describe_table(&arguments.table).await?;
    let view = match table.stream {
        Some(view @ (StreamViewType::NewImage | StreamViewType::NewAndOldImages)) => view,
        Some(_) | None => {
            let message = format!("table {} has no stream with new images to compare with", table.name);
            return Err(Error::Invalid(message));
        }
    };
    let bar = progress(global.output, 0, "{spinner} {pos} records");
    let arn = stream::arn(&client, table.name.as_str()).await?;
    let mut subscription = client.subscribe(&arn, Start::TrimHorizon, BTreeMap::new()).await?;
    let mut fold = Fold::new(table.key.clone(), view);
    let mut heard = Instant::now();
    while !subscription.caught_up() && heard.elapsed() < IDLE {
        let Some(changed) = drain(&mut subscription, &mut fold).await? else { break };
        if !changed.is_empty() {
            heard = Instant::now();
            bar.set_position(fold.records);
        }
    }
    let items = scan(&client, &table.name, &table.key).await?;
    // From here on, what a key was seen as, until the stream says the same.
    let differing = fold.differing(&items).into_iter();
    let mut differing: BTreeMap<ItemKey, Option<Item>> =
        differing.map(|item_key| (item_key.clone(), items.get(&item_key).cloned())).collect();
    let scanned = Instant::now();
    heard = scanned;
    while !differing.is_empty() && heard.elapsed() < IDLE && scanned.elapsed() < PATIENCE {
        let Some(changed) = drain(&mut subscription, &mut fold).await? else { break };
        for (item_key, image) in changed {
            heard = Instant::now();
            if differing.get(&item_key) == Some(&image) {
                differing.remove(&item_key);
            }
        }
    }
    bar.finish_and_clear();
    let differences = differing.into_iter().map(|(item_key, seen)| {
        let key = table.key.decode_key(item_key.as_bytes()).map(|key| Form::Plain.write(&key).to_string());
        let key = key.unwrap_or_else(|_| format!("{item_key:?}"));
        Difference { key, stream: fold.image(&item_key).cloned(), table: seen }
    });
    report(global.output, &table.name, &fold, items.len(), &differences.collect::<Vec<_>>())
}

/// What a key became.
type Changed = (ItemKey, Option<Item>);

/// Reads one delivery into the fold; returns what it changed, which may be nothing. `None`: the stream has ended.
async fn drain(subscription: &mut Subscription, fold: &mut Fold) -> Result<Option<Vec<Changed>>, Error> {
    let Ok(delivery) = tokio::time::timeout(IDLE, subscription.next_delivery()).await else {
        return Ok(Some(Vec::new()));
    };
    match delivery? {
        Some(Delivery::Records(shard, records)) => {
            let changed = records.into_iter().filter_map(|record| {
                let item_key = fold.add(&shard, record)?;
                let image = fold.image(&item_key).cloned();
                Some((item_key, image))
            });
            Ok(Some(changed.collect()))
        }
        Some(Delivery::ShardEnd(_) | Delivery::Idle(_)) => Ok(Some(Vec::new())),
        None => Ok(None),
    }
}

pub(super) async fn scan(
    client: &Client,
    table: &TableName,
    key: &KeySchema,
) -> Result<BTreeMap<ItemKey, Item>, Error> {
    let mut items = BTreeMap::new();
    let mut pages = pin!(client.scan_all(table, Scan { consistent: true, ..Scan::default() }));
    while let Some(page) = pages.try_next().await? {
        for item in page.items {
            let item_key = key.key_of_item(&item).map_err(|error| Error::Negative(error.to_string()))?;
            if items.insert(item_key, item.clone()).is_some() {
                let item = Form::Plain.write(&key::of_item(key, &item));
                return Err(Error::Negative(format!("the scan returned {item} twice")));
            }
        }
    }
    Ok(items)
}

/// A key whose item is not what the stream says.
struct Difference {
    key: String,
    stream: Option<Item>,
    table: Option<Item>,
}

fn report(
    output: Output,
    table: &TableName,
    fold: &Fold,
    items: usize,
    differences: &[Difference],
) -> Result<(), Error> {
    let agrees = differences.is_empty() && fold.faults() == 0;
    let shown = differences.iter().take(SHOWN_MAX);
    if output == Output::Json {
        let image = |item: &Option<Item>| item.as_ref().map(|item| Form::Typed.write(item));
        let shown = shown.map(
            |each| json!({ "key": each.key, "stream": image(&each.stream), "table": image(&each.table) }),
        );
        print_json(&json!({
            "tableName": table.as_str(), "agrees": agrees, "records": fold.records, "items": items,
            "differences": differences.len(), "orderViolations": fold.disorders, "doubles": fold.doubles,
            "brokenChains": fold.breaks, "shownDifferences": shown.collect::<Vec<_>>(), "shownFaults": fold.findings,
        }))?;
    } else {
        print_line(&format!(
            "{}: {} records fold to {} items, the table has {items}",
            if agrees { "agrees" } else { "differs" },
            fold.records,
            fold.items()
        ))?;
        print_line(&format!(
            "{} items differ; {} records out of order, {} doubled, {} not fitting the one before",
            differences.len(),
            fold.disorders,
            fold.doubles,
            fold.breaks
        ))?;
        for finding in &fold.findings {
            print_line(finding)?;
        }
        for each in shown {
            let image = |item: &Option<Item>| item.as_ref().map_or("nothing".into(), shortened);
            print_line(&format!(
                "{}: stream {}, table {}",
                each.key,
                image(&each.stream),
                image(&each.table)
            ))?;
        }
    }
    if agrees {
        return Ok(());
    }
    Err(Error::Negative(format!("table {table} is not the fold of its stream")))
}

/// The beginning of an item, for people.
fn shortened(item: &Item) -> String {
    let text = Form::Plain.write(item).to_string();
    match text.char_indices().nth(SHOWN_LETTERS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// The items a stream makes, and what was wrong with it.
pub(super) struct Fold {
    key: KeySchema,
    view: StreamViewType,
    keys: BTreeMap<ItemKey, Last>,
    shards: BTreeMap<String, SequenceNumber>,
    event_ids: BTreeSet<u128>,
    pub(super) records: u64,
    pub(super) disorders: u64,
    pub(super) doubles: u64,
    pub(super) breaks: u64,
    findings: Vec<String>,
}

/// The last record of a key.
struct Last {
    number: SequenceNumber,
    image: Option<Item>,
}

impl Fold {
    pub(super) fn new(key: KeySchema, view: StreamViewType) -> Self {
        Self {
            key,
            view,
            keys: BTreeMap::new(),
            shards: BTreeMap::new(),
            event_ids: BTreeSet::new(),
            records: 0,
            disorders: 0,
            doubles: 0,
            breaks: 0,
            findings: Vec::new(),
        }
    }

    /// Adds a record; returns the key it changed, unless there is something wrong with it.
    pub(super) fn add(&mut self, shard: &str, record: Record) -> Option<ItemKey> {
        self.records += 1;
        let number = record.sequence_number.clone();
        let event = u128::from_str_radix(&record.event_id, 16);
        if event.is_ok_and(|event| !self.event_ids.insert(event)) {
            self.doubles += 1;
            self.note(format!("record {number} of {shard} came twice"));
            return None;
        }
        match self.shards.get_mut(shard) {
            Some(last) if *last >= number => {
                self.disorders += 1;
                let text = format!("record {number} of {shard} came behind {last}");
                self.note(text);
            }
            Some(last) => *last = number.clone(),
            None => _ = self.shards.insert(shard.to_owned(), number.clone()),
        }
        let item_key = match self.key.key_of_key(&record.keys) {
            Ok(item_key) => item_key,
            Err(error) => {
                self.breaks += 1;
                self.note(format!("record {number} of {shard} has no key: {error}"));
                return None;
            }
        };
        let last = self.keys.get(&item_key);
        if let Some(last) = last.filter(|last| last.number >= number) {
            let text = format!("record {number} of {shard} is older than {} of its key", last.number);
            self.disorders += 1;
            self.note(text);
            return None;
        }
        let before = last.and_then(|last| last.image.as_ref());
        if let Some(what) = self.broken(before, &record) {
            self.breaks += 1;
            self.note(format!("record {number} of {shard}, {}: {what}", Form::Plain.write(&record.keys)));
        }
        self.keys.insert(item_key.clone(), Last { number, image: record.new_image });
        Some(item_key)
    }

    /// What does not fit between a record and the state before it.
    fn broken(&self, before: Option<&Item>, record: &Record) -> Option<&'static str> {
        let exists = record.new_image.is_some();
        match record.event_name {
            EventName::Insert if before.is_some() => return Some("INSERT of an item that exists"),
            EventName::Modify if before.is_none() => return Some("MODIFY of an item that does not exist"),
            EventName::Remove if before.is_none() => return Some("REMOVE of an item that does not exist"),
            EventName::Remove if exists => return Some("REMOVE with a new image"),
            EventName::Insert | EventName::Modify if !exists => return Some("no new image"),
            EventName::Unspecified => return Some("no event name"),
            EventName::Insert | EventName::Modify | EventName::Remove => {}
        }
        let chained = self.view != StreamViewType::NewAndOldImages || record.old_image.as_ref() == before;
        if !chained {
            return Some("the old image is not the new image of the record before");
        }
        (before.is_some() && before == record.new_image.as_ref()).then_some("the record changes nothing")
    }

    fn note(&mut self, finding: String) {
        if self.findings.len() < SHOWN_MAX {
            self.findings.push(finding);
        }
    }

    fn image(&self, item_key: &ItemKey) -> Option<&Item> {
        self.keys.get(item_key)?.image.as_ref()
    }

    pub(super) fn items(&self) -> usize {
        self.keys.values().filter(|last| last.image.is_some()).count()
    }

    pub(super) fn faults(&self) -> u64 {
        self.disorders + self.doubles + self.breaks
    }

    /// The keys whose items are not what the fold says.
    pub(super) fn differing(&self, items: &BTreeMap<ItemKey, Item>) -> Vec<ItemKey> {
        let all = self.keys.keys().chain(items.keys().filter(|item_key| !self.keys.contains_key(*item_key)));
        all.filter(|item_key| self.image(item_key) != items.get(*item_key)).cloned().collect()
    }
}

#[cfg(test)]
#[path = "verify_test.rs"]
mod tests;
