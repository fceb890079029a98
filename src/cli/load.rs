//! `load`: the items of a file into a table, in batches, many at a time.
//!
//! A batch whose outcome is unknown is sent again: a put of a whole item says what shall be, and one that had happened
//! changes nothing, so it has no second record in the stream. This holds as long as nobody else writes those items.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::item::FormFlag;
use super::json::Form;
use super::output::{Output, print_json, print_line, progress};
use super::table::{PATIENCE, Shape};
use super::{Error, Global, key};
use crate::client::{self, BatchWrite, Client};
use crate::model::limits::BATCH_WRITE_ITEMS_MAX;
use crate::model::{self, Item, ItemKey, KeyAttribute, KeySchema, TableName};

/// How often a batch is sent when its outcome is unknown or nobody can take it.
const ATTEMPTS_MAX: u32 = 5;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  watertable load airports.jsonl --table airports --key iata:S")]
pub(super) struct Arguments {
    /// One JSON object a line; empty lines are skipped.
    file: PathBuf,
    /// The table.
    #[arg(long)]
    table: TableName,
    /// Creates the table with this partition key if it does not exist.
    #[arg(long, value_parser = key::parse_attribute, value_name = "NAME:TYPE")]
    key: Option<KeyAttribute>,
    /// The sort key of the table to create.
    #[arg(long, value_parser = key::parse_attribute, value_name = "NAME:TYPE", requires = "key")]
    sort: Option<KeyAttribute>,
    #[command(flatten)]
    shape: Shape,
    /// Batches on their way at the same time.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    concurrency: u16,
    #[command(flatten)]
    form: FormFlag,
}

/// What came of it.
#[derive(Default)]
struct Sum {
    items: u64,
    bytes: u64,
    batches: u64,
    doubles: u64,
    repeated: u64,
}

pub(super) async fn run(global: &Global, arguments: Arguments) -> Result<(), Error> {
    let client = global.client()?;
    let file = File::open(&arguments.file).map_err(|source| file_error(&arguments.file, source))?;
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    let key = table_key(&client, &arguments).await?;
    let template = "{bar:30} {bytes}/{total_bytes} {msg} {eta}";
    let bar = progress(global.output, length, template);
    let started = Instant::now();
    let mut loader = Loader::new(client, arguments.table.clone(), key, arguments.concurrency.into());
    let mut lines =
        Lines { path: &arguments.file, reader: BufReader::new(file), number: 0, text: String::new() };
    let mut last_shown = started;
    let outcome = loop {
        match lines.next(arguments.form.form()) {
            Ok(Some((number, item, bytes))) => {
                if let Err(error) = loader.add(item, bytes).await {
                    break Err(lines.bad(number, error));
                }
                bar.inc(bytes);
                if last_shown.elapsed() > Duration::from_millis(200) {
                    last_shown = Instant::now();
                    bar.set_message(format!(
                        "{:.0} items/s",
                        loader.sum.items as f64 / started.elapsed().as_secs_f64()
                    ));
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    // What was read before a bad line is written: the line number then says where to go on.
    let finished = loader.finish().await;
    bar.finish_and_clear();
    outcome.and(finished)?;
    report(global.output, &arguments.table, &loader.sum, started.elapsed())
}

fn report(output: Output, table: &TableName, sum: &Sum, elapsed: Duration) -> Result<(), Error> {
    let seconds = elapsed.as_secs_f64();
    let rate = sum.items as f64 / seconds;
    if output == Output::Json {
        return Ok(print_json(&json!({
            "tableName": table.as_str(), "items": sum.items, "bytes": sum.bytes, "batches": sum.batches,
            "doubles": sum.doubles, "repeatedBatches": sum.repeated, "seconds": seconds, "itemsPerSecond": rate,
        }))?);
    }
    let doubles =
        if sum.doubles > 0 { format!(", {} replaced by later lines", sum.doubles) } else { String::new() };
    print_line(&format!("{} items into {table} in {seconds:.2} s ({rate:.0} items/s{doubles})", sum.items))?;
    Ok(())
}

/// The table's key, once the table is there.
async fn table_key(client: &Client, arguments: &Arguments) -> Result<KeySchema, Error> {
    match client.describe_table(&arguments.table).await {
        Ok(table) => Ok(table.key),
        Err(error) if error.is_not_found() => {
            let Some(partition) = arguments.key.clone() else {
                let message = format!("table {} does not exist; --key NAME:TYPE creates it", arguments.table);
                return Err(Error::Negative(message));
            };
            let key = KeySchema { partition, sort: arguments.sort.clone() };
            client.create_table(&arguments.shape.table(arguments.table.clone(), key)).await?;
            Ok(client.wait_active(&arguments.table, PATIENCE).await?.key)
        }
        Err(error) => Err(error.into()),
    }
}

/// The items of a file.
struct Lines<'a> {
    path: &'a Path,
    reader: BufReader<File>,
    number: u64,
    text: String,
}

impl Lines<'_> {
    /// The next item, the number of its line and the bytes read for it.
    fn next(&mut self, form: Form) -> Result<Option<(u64, Item, u64)>, Error> {
        let mut bytes = 0;
        loop {
            self.text.clear();
            self.number += 1;
            let read =
                self.reader.read_line(&mut self.text).map_err(|source| file_error(self.path, source))?;
            bytes += read as u64;
            if read == 0 {
                return Ok(None);
            }
            if !self.text.trim().is_empty() {
                let item = form.parse(&self.text).map_err(|error| self.bad(self.number, error))?;
                return Ok(Some((self.number, item, bytes)));
            }
        }
    }

    /// What is wrong with a line, with its number. What the cluster says is not about a line.
    fn bad(&self, number: u64, error: Error) -> Error {
        match error {
            Error::Invalid(why) => Error::Invalid(format!("{}: line {number}: {why}", self.path.display())),
            Error::Client(_)
            | Error::Negative(_)
            | Error::File { .. }
            | Error::Output(_)
            | Error::Node(_) => error,
        }
    }
}

fn file_error(path: &Path, source: std::io::Error) -> Error {
    Error::File { path: path.to_owned(), source }
}

/// Makes batches and keeps so many of them on their way. Batches on their way have no key in common, so that of two
/// lines with one key the later one wins.
struct Loader {
    client: Client,
    table: TableName,
    key: KeySchema,
    concurrency: usize,
    batch: BTreeMap<ItemKey, BatchWrite>,
    flying: BTreeSet<ItemKey>,
    tasks: JoinSet<(Vec<ItemKey>, u32, Result<(), client::Error>)>,
    sum: Sum,
}

impl Loader {
    fn new(client: Client, table: TableName, key: KeySchema, concurrency: usize) -> Self {
        let (batch, flying) = (BTreeMap::new(), BTreeSet::new());
        Self { client, table, key, concurrency, batch, flying, tasks: JoinSet::new(), sum: Sum::default() }
    }

    async fn add(&mut self, item: Item, bytes: u64) -> Result<(), Error> {
        let wrong = |error: model::Error| Error::Invalid(error.to_string());
        let item_key = self.key.key_of_item(&item).map_err(wrong)?;
        item.validate().map_err(wrong)?;
        while self.flying.contains(&item_key) {
            self.land().await?;
        }
        if self.batch.insert(item_key, BatchWrite::Put(self.table.clone(), item)).is_some() {
            self.sum.doubles += 1;
        }
        self.sum.items += 1;
        self.sum.bytes += bytes;
        if self.batch.len() == BATCH_WRITE_ITEMS_MAX {
            self.send().await?;
        }
        Ok(())
    }

    async fn send(&mut self) -> Result<(), Error> {
        while self.tasks.len() >= self.concurrency {
            self.land().await?;
        }
        let (keys, writes): (Vec<ItemKey>, Vec<BatchWrite>) =
            std::mem::take(&mut self.batch).into_iter().unzip();
        self.flying.extend(keys.iter().cloned());
        self.sum.batches += 1;
        let client = self.client.clone();
        self.tasks.spawn(async move {
            let (repeated, outcome) = write(&client, &writes).await;
            (keys, repeated, outcome)
        });
        Ok(())
    }

    /// Waits for one batch.
    async fn land(&mut self) -> Result<(), Error> {
        let Some(landed) = self.tasks.join_next().await else { return Ok(()) };
        let (keys, repeated, outcome) = landed.expect("a batch's task does not panic and is not cancelled");
        for key in &keys {
            self.flying.remove(key);
        }
        self.sum.repeated += u64::from(repeated);
        Ok(outcome?)
    }

    async fn finish(&mut self) -> Result<(), Error> {
        let mut outcome = if self.batch.is_empty() { Ok(()) } else { self.send().await };
        while !self.tasks.is_empty() {
            let landed = self.land().await;
            outcome = outcome.and(landed);
        }
        outcome
    }
}

/// Writes a batch, also if that takes several attempts; says how many more than one.
async fn write(client: &Client, writes: &[BatchWrite]) -> (u32, Result<(), client::Error>) {
    let mut attempt = 0;
    loop {
        match client.batch_write(writes).await {
            Err(client::Error::Unknown(_) | client::Error::Unavailable(_)) if attempt + 1 < ATTEMPTS_MAX => {
                attempt += 1
            }
            outcome => return (attempt, outcome),
        }
    }
}
