//! `item query` and `item scan`: pages of items, as tables for people, one JSON object a line for programs.

use std::collections::BTreeSet;
use std::io::Write;
use std::pin::pin;

use futures::{Stream, TryStreamExt};
use serde_json::{Value, json};

use super::Error;
use super::item::{CapacityFlag, FormFlag, capacity_json, tell_capacity};
use super::json::Form;
use super::output::{Output, lines, print_columns, print_line};
use super::placeholders::{Expressions, Placeholders};
use crate::client::{self, Client, ConsumedCapacity, Expression, Page, Query, Scan, Select};
use crate::model::{AttributeName, Item, TableName};

/// Columns of a table for people, those of the key among them.
const COLUMNS_MAX: usize = 8;
/// Letters of a value in such a table.
const CELL_LETTERS: usize = 40;

/// What queries and scans understand alike.
#[derive(Debug, clap::Args)]
pub(super) struct PageFlags {
    /// Which of the items read to print.
    #[arg(long, value_name = "EXPRESSION")]
    filter: Option<String>,
    /// What to print of each item: paths with commas between.
    #[arg(long, value_name = "EXPRESSION")]
    projection: Option<String>,
    /// What to print; as a rule what the projection says, or everything.
    #[arg(long, value_enum)]
    select: Option<Selection>,
    /// At most so many items read, before the filter; if there may be more, standard error says where to go on.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Begin behind this key, given as JSON.
    #[arg(long, value_name = "KEY")]
    start: Option<String>,
    /// Any replica may answer, usually within milliseconds of the newest state.
    #[arg(long)]
    eventual: bool,
    #[command(flatten)]
    placeholders: Placeholders,
    #[command(flatten)]
    capacity: CapacityFlag,
    #[command(flatten)]
    form: FormFlag,
}

/// Which segment to scan.
#[derive(Debug, clap::Args)]
pub(super) struct SegmentFlags {
    /// The segment to read, from 0: several scans share a table so.
    #[arg(long, requires = "segments")]
    segment: Option<u32>,
    /// How many segments there are.
    #[arg(long, requires = "segment")]
    segments: Option<u32>,
}

/// What to print of what was read.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Selection {
    /// Whole items.
    AllAttributes,
    /// What the projection says.
    SpecificAttributes,
    /// Only how many items there are.
    Count,
}

impl PageFlags {
    fn select(&self) -> Select {
        match self.select {
            None => Select::Unspecified,
            Some(Selection::AllAttributes) => Select::AllAttributes,
            Some(Selection::SpecificAttributes) => Select::SpecificAttributes,
            Some(Selection::Count) => Select::Count,
        }
    }

    fn start(&self) -> Result<Option<Item>, Error> {
        self.start.as_ref().map(|text| self.form.form().parse(text)).transpose()
    }

    fn expressions(&self, used: bool) -> Result<Expressions, Error> {
        let used = used || self.filter.is_some() || self.projection.is_some();
        self.placeholders.read(self.form.form(), used)
    }
}

pub(super) async fn query(
    output: Output,
    client: &Client,
    table: &TableName,
    (key, reverse): (&str, bool),
    flags: &PageFlags,
) -> Result<(), Error> {
    let expressions = flags.expressions(true)?;
    let of = |text: &Option<String>| -> Option<Expression> { text.as_ref().map(|text| expressions.of(text)) };
    let query = Query {
        key: expressions.of(key),
        filter: of(&flags.filter),
        projection: of(&flags.projection),
        reverse,
        limit: flags.limit,
        start: flags.start()?,
        consistent: !flags.eventual,
        select: flags.select(),
        capacity: flags.capacity.asked(),
    };
    Printer::new(output, client, table, flags).await?.print(client.query_all(table, query)).await
}

pub(super) async fn scan(
    output: Output,
    client: &Client,
    table: &TableName,
    segment: &SegmentFlags,
    flags: &PageFlags,
) -> Result<(), Error> {
    let expressions = flags.expressions(false)?;
    let of = |text: &Option<String>| -> Option<Expression> { text.as_ref().map(|text| expressions.of(text)) };
    let scan = Scan {
        filter: of(&flags.filter),
        projection: of(&flags.projection),
        segment: segment.segment.zip(segment.segments),
        limit: flags.limit,
        start: flags.start()?,
        consistent: !flags.eventual,
        select: flags.select(),
        capacity: flags.capacity.asked(),
    };
    Printer::new(output, client, table, flags).await?.print(client.scan_all(table, scan)).await
}

/// Prints pages as they come.
struct Printer {
    output: Output,
    form: Form,
    /// The key attributes of the table, where its columns begin.
    keys: Vec<AttributeName>,
    limit: Option<u32>,
    counts_only: bool,
    count: u64,
    scanned: u64,
    capacity: Option<ConsumedCapacity>,
}

impl Printer {
    async fn new(
        output: Output,
        client: &Client,
        table: &TableName,
        flags: &PageFlags,
    ) -> Result<Self, Error> {
        let keys = match output {
            Output::Table => client.describe_table(table).await?.key.names().cloned().collect(),
            Output::Json => Vec::new(),
        };
        let counts_only = matches!(flags.select, Some(Selection::Count));
        let (form, limit) = (flags.form.form(), flags.limit);
        Ok(Self { output, form, keys, limit, counts_only, count: 0, scanned: 0, capacity: None })
    }

    async fn print(mut self, pages: impl Stream<Item = Result<Page, client::Error>>) -> Result<(), Error> {
        let mut pages = pin!(pages);
        while let Some(page) = pages.try_next().await? {
            self.add(&page)?;
            if self.limit.is_some_and(|limit| self.scanned >= u64::from(limit)) {
                if let Some(next) = &page.next {
                    eprintln!("There may be more: --start '{}'", self.form.write(next));
                }
                break;
            }
        }
        self.sum()
    }

    fn add(&mut self, page: &Page) -> Result<(), Error> {
        self.count += u64::from(page.count);
        self.scanned += u64::from(page.scanned);
        if let Some(more) = &page.capacity {
            let units = self.capacity.as_ref().map_or(0.0, |sum| sum.capacity_units) + more.capacity_units;
            self.capacity = Some(ConsumedCapacity { capacity_units: units, ..more.clone() });
        }
        match self.output {
            Output::Table if page.items.is_empty() => {}
            Output::Table => {
                let columns = columns(&self.keys, &page.items);
                let rows = page.items.iter().map(|item| cells(self.form, &columns, item));
                let mut heading: Vec<String> = columns.iter().map(ToString::to_string).collect();
                let mut rows: Vec<Vec<String>> = rows.collect();
                if rows.iter().any(|row| row.last().is_some_and(|more| !more.is_empty())) {
                    heading.push("...".to_owned());
                } else {
                    rows.iter_mut().for_each(|row| _ = row.pop());
                }
                print_columns(heading, rows)?;
            }
            Output::Json => {
                let mut out = lines();
                for item in &page.items {
                    writeln!(out, "{}", self.form.write(item))?;
                }
                out.flush()?;
            }
        }
        Ok(())
    }

    /// What is told behind the items.
    fn sum(self) -> Result<(), Error> {
        if self.output == Output::Json {
            let mut sum = serde_json::Map::new();
            if self.counts_only {
                sum.insert("count".to_owned(), self.count.into());
                sum.insert("scannedCount".to_owned(), self.scanned.into());
            }
            if let Some(capacity) = &self.capacity {
                sum.insert("consumedCapacity".to_owned(), capacity_json(capacity));
            }
            return if sum.is_empty() { Ok(()) } else { Ok(print_line(&json!(sum).to_string())?) };
        }
        if self.counts_only {
            print_line(&format!("{} items, {} read", self.count, self.scanned))?;
        }
        if let Some(capacity) = &self.capacity {
            tell_capacity(capacity);
        }
        Ok(())
    }
}

/// The attributes shown of a page of items: those of the key, then others by name.
fn columns(keys: &[AttributeName], items: &[Item]) -> Vec<AttributeName> {
    let there: BTreeSet<&AttributeName> =
        items.iter().flat_map(|item| item.iter().map(|(name, _)| name)).collect();
    let of_key = keys.iter().filter(|name| there.contains(name));
    let others = there.iter().copied().filter(|name| !keys.contains(name));
    of_key.chain(others).take(COLUMNS_MAX).cloned().collect()
}

/// The values of an item in columns, and at the end how many are in none.
fn cells(form: Form, columns: &[AttributeName], item: &Item) -> Vec<String> {
    let values = form.write(item);
    let cell = |name: &AttributeName| values.get(name.as_str()).map_or_else(String::new, cell);
    let shown = columns.iter().filter(|name| item.contains(name.as_str())).count();
    let more = item.len() - shown;
    let more = if more > 0 { format!("{more} more") } else { String::new() };
    columns.iter().map(cell).chain([more]).collect()
}

/// A value in a line: JSON, but for the quotes of plain texts.
fn cell(value: &Value) -> String {
    let text = value.to_string();
    let text = match value {
        Value::String(_) => &text[1..text.len() - 1],
        _ => text.as_str(),
    };
    match text.char_indices().nth(CELL_LETTERS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_begin_with_the_key_and_do_not_grow_for_ever() {
        let item = |text: &str| Form::Plain.parse(text).expect("a good item");
        let items = [item(r#"{"a":1,"id":"x\n","z":[1]}"#), item(r#"{"b":null,"id":"y"}"#)];
        let keys = [AttributeName::parse("id").expect("a name"), AttributeName::parse("at").expect("a name")];
        let columns = columns(&keys, &items);
        assert_eq!(columns.iter().map(AttributeName::as_str).collect::<Vec<_>>(), ["id", "a", "b", "z"]);
        assert_eq!(cells(Form::Plain, &columns, &items[0]), [r"x\n", "1", "", "[1]", ""]);
        assert_eq!(cells(Form::Plain, &columns[..2], &items[1]), ["y", "", "1 more"]);
        let many = item(r#"{"1":1,"2":1,"3":1,"4":1,"5":1,"6":1,"7":1,"8":1,"9":1}"#);
        assert_eq!(super::columns(&keys, &[many]).len(), COLUMNS_MAX);
        assert_eq!(cell(&json!("ä".repeat(50))).chars().count(), CELL_LETTERS + 3);
    }
}
