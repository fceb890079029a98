//! Golden scripts: writes evaluated one after another, each change encoded into an entry, decoded, and applied; and
//! reads of what that leaves. `UPDATE_GOLDENFILES=1 cargo test partition` writes them anew; review the difference.
//!
//! Items and keys are maps, or the partition key alone; values are written as in the scripts of `expression`, and `x*9`
//! is a string of nine x, `nested*9` nine lists in each other. Arguments in lower case are values (`v=1` is `:v`), in
//! upper case names (`N=and` is `#N`), but for those named here.
//! - `table pk=S sk=N`: begins anew, with that key; without any, the key is `pk=S`.
//! - `stream on|old|off`: what the stream shows.
//! - `put ITEM`, `update KEY [EXPRESSION]`, `delete KEY`, with `if=CONDITION`, `return=ALL_OLD|...`, and the tags
//!   `[shows]`: a condition that fails shows the item, `[legacy]`: the update came from legacy parameters.
//! - `items`: everything there is.
//! - `get KEY [show=PROJECTION]`.
//! - `query CONDITION`, `scan [segment=N total=N]`, with `filter=CONDITION`, `show=PROJECTION`, `limit=N`, `bytes=N`,
//!   `after=KEY` and the tags `[reverse]`, `[count]`, `[all]`: one page after another.
//! - `units BYTES...`, `segments N`, `segment HASH of=N`.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt::Write as _;
use std::ops::Bound;
use std::path::Path;

use bytes::Bytes;
use goldenscript::{ArgumentConsumer, Command, Context, Runner};

use super::store_test::{Expressions, Store, decode, encode, name, schema};
use super::*;
use crate::expression::Kind;
use crate::expression::ast::KeyCondition;
use crate::expression::values_test;
use crate::model::{AttributeValue, HashRange, Item, KeySchema, KeyType, id::TableId};

type Answered = Result<String, Box<dyn StdError>>;

const TABLE: TableId = TableId(7);
/// What is no value.
const NAMED: [&str; 11] =
    ["pk", "sk", "if", "return", "show", "filter", "limit", "bytes", "after", "segment", "total"];

struct Script {
    schema: KeySchema,
    store: Store,
    wants_old: bool,
}

impl Default for Script {
    fn default() -> Self {
        Self { schema: schema(KeyType::S, None), store: Store::default(), wants_old: false }
    }
}

fn value(text: &str) -> AttributeValue {
    let repeated = text.split_once('*').and_then(|(what, times)| Some((what, times.parse().ok()?)));
    match repeated {
        Some(("x", times)) => AttributeValue::S("x".repeat(times)),
        Some(("nested", times)) => {
            (1..times).fold(AttributeValue::L(vec![]), |inner, _| AttributeValue::L(vec![inner]))
        }
        _ => values_test::parse(text),
    }
}

/// An item or a key; a value alone is the partition key.
fn item(text: &str) -> Item {
    match value(text) {
        AttributeValue::M(map) => map.into(),
        partition => [(name("pk"), partition)].into_iter().collect(),
    }
}

/// Items as one reads them: long strings of x short.
fn show(item: &Item) -> String {
    let shown = values_test::show_item(item);
    let mut short = String::new();
    for run in shown.as_bytes().chunk_by(|left, right| left == right) {
        match run {
            [b'x', ..] if run.len() > 20 => short.push_str(&format!("x*{}", run.len())),
            run => short.push_str(std::str::from_utf8(run).expect("scripts are of ASCII")),
        }
    }
    short
}

fn show_encoded(bytes: &[u8]) -> String {
    show(&decode(bytes))
}

fn key_type(text: &str) -> KeyType {
    match text {
        "S" => KeyType::S,
        "N" => KeyType::N,
        "B" => KeyType::B,
        other => panic!("no key type {other}"),
    }
}

fn returns(text: Option<&str>) -> Returns {
    match text {
        None => Returns::Nothing,
        Some("ALL_OLD") => Returns::AllOld,
        Some("UPDATED_OLD") => Returns::UpdatedOld,
        Some("ALL_NEW") => Returns::AllNew,
        Some("UPDATED_NEW") => Returns::UpdatedNew,
        Some(other) => panic!("no return value {other}"),
    }
}

/// What the placeholders of a command stand for.
fn expressions(command: &Command) -> Expressions {
    let (mut names, mut values) = (BTreeMap::new(), BTreeMap::new());
    let mut arguments = command.consume_args();
    while let Some((key, argument)) = arguments.next_key() {
        if key.starts_with(|first: char| first.is_uppercase()) {
            names.insert(format!("#{key}"), argument.to_owned());
        } else if !NAMED.contains(&key) {
            values.insert(format!(":{key}"), value(argument));
        }
    }
    Expressions::new(names, values)
}

fn described(answer: &Answer) -> String {
    let returned = answer.image.as_deref().map(|image| format!(", returns {}", show_encoded(image)));
    format!("{}, {} bytes", returned.unwrap_or_default(), answer.bytes)
}

impl Script {
    fn stored_key(&self, key: &Item) -> Bytes {
        stored_key(TABLE, &self.schema.key_of_item(key).expect("a key"))
    }

    fn write(&mut self, command: &Command, context: &Context) -> Answered {
        let mut arguments = command.consume_args();
        let given = item(arguments.next_pos().ok_or("an item or a key")?);
        let key = self.stored_key(&given);
        let mut expressions = expressions(command);
        let action = match command.name.as_str() {
            "put" => Action::Put { item: encode(&given) },
            "delete" => Action::Delete,
            _ => {
                let update = arguments.next_pos().map(|text| expressions.update(text)).unwrap_or_default();
                Action::Update { key: encode(&given), update, legacy: context.tags.contains("legacy") }
            }
        };
        let condition = arguments.take_key("if").map(|text| expressions.condition(Kind::Condition, text));
        expressions.finish();
        let returns = returns(arguments.take_key("return"));
        let write = Write {
            key,
            action,
            condition,
            returns,
            shows_rejected: context.tags.contains("shows"),
            measures: true,
        };
        let evaluated = evaluate(&self.store, &write, self.wants_old).expect("evaluates");
        let shown = match evaluated {
            Evaluated::Changed { change, answer } => {
                let mut shown = match change.new_image() {
                    Some(new) => {
                        format!("version {} {}", change.version_before.unwrap_or(0) + 1, show_encoded(&new))
                    }
                    None => format!("version {} deleted", change.version_before.expect("a version")),
                };
                if let Some(old) = &change.old {
                    write!(shown, ", old image {}", show_encoded(old))?;
                }
                self.store.apply(&change);
                shown + &described(&answer)
            }
            Evaluated::Unchanged { answer } => format!("unchanged{}", described(&answer)),
            Evaluated::Rejected(Rejected::Condition { item: None }) => "condition failed".to_owned(),
            Evaluated::Rejected(Rejected::Condition { item: Some(item) }) => {
                format!("condition failed of {}", show_encoded(&item))
            }
            Evaluated::Rejected(Rejected::Invalid(message)) => format!("refused: {message}"),
        };
        Ok(format!("{} -> {shown}\n", command.name))
    }

    fn items(&self) -> Answered {
        let mut out = String::new();
        for stored in self.store.items.values() {
            let (version, item) = stored::split(stored)?;
            writeln!(out, "version {version} {}", show_encoded(item))?;
        }
        Ok(out)
    }

    fn get(&self, command: &Command) -> Answered {
        let mut arguments = command.consume_args();
        let key = self.stored_key(&item(arguments.next_pos().ok_or("a key")?));
        let mut expressions = expressions(command);
        let projection = arguments.take_key("show").map(|text| expressions.projection(text));
        expressions.finish();
        let found = find(&self.store, &key, projection.as_ref())?;
        if projection.is_none() {
            assert_eq!(get(&self.store, &key)?, found.as_ref().map(|found| found.item.clone()));
        }
        Ok(match found {
            Some(Found { item, bytes }) => {
                let (strong, eventual) = (read_units(bytes, true), read_units(bytes, false));
                format!("{}, {bytes} bytes, {strong} or {eventual} units\n", show_encoded(&item))
            }
            None => "none\n".to_owned(),
        })
    }

    /// The stored keys a read begins with.
    fn range(
        &self,
        command: &Command,
        arguments: &mut ArgumentConsumer<'_>,
        expressions: &mut Expressions,
        reverse: bool,
    ) -> Result<KeyRange, Box<dyn StdError>> {
        let after = arguments.take_key("after").map(item);
        let range = if command.name == "query" {
            let text = arguments.next_pos().ok_or("a key condition")?;
            let condition: KeyCondition = expressions.key_condition(text, &self.schema);
            if let Some(after) = &after {
                check_start(&self.schema, &condition, after)?;
            }
            query_range(TABLE, &self.schema, &condition)?
        } else {
            let number = |text: Option<&str>| text.map(str::parse::<u32>).transpose();
            let (segment, total) =
                (number(arguments.take_key("segment"))?, number(arguments.take_key("total"))?);
            let (from, to) = segment_range(TABLE, segment.unwrap_or(0), total.unwrap_or(1), HashRange::FULL)
                .ok_or("no such segment")?;
            (Bound::Included(from), to.map_or(Bound::Unbounded, Bound::Excluded))
        };
        Ok(match after {
            Some(after) => behind(range, self.stored_key(&after), reverse),
            None => range,
        })
    }

    fn read(&self, command: &Command, context: &Context) -> Answered {
        let mut arguments = command.consume_args();
        let mut expressions = expressions(command);
        let reverse = context.tags.contains("reverse");
        let range = self.range(command, &mut arguments, &mut expressions, reverse);
        let select = Select {
            filter: arguments.take_key("filter").map(|text| expressions.condition(Kind::Filter, text)),
            projection: arguments.take_key("show").map(|text| expressions.projection(text)),
            counts_only: context.tags.contains("count"),
        };
        let mut range = match range {
            Ok(range) => range,
            Err(error) => return Ok(format!("refused: {error}\n")),
        };
        expressions.finish();
        let number = |text: Option<&str>| text.map_or(Ok(usize::MAX), str::parse);
        let limits = Limits {
            items_max: number(arguments.take_key("limit"))?,
            bytes_max: number(arguments.take_key("bytes"))?,
        };
        let mut out = String::new();
        loop {
            let (from, to) = (range.0.as_ref().map(|key| &key[..]), range.1.as_ref().map(|key| &key[..]));
            let page = page(&self.store, from, to, reverse, limits, &select)?;
            for shown in &page.items {
                writeln!(out, "{}", show_encoded(shown))?;
            }
            let Page { count, scanned, bytes, last_key, .. } = page;
            let units = read_units(bytes, true);
            write!(out, "{count} of {scanned} items, {bytes} bytes, {units} units")?;
            let Some(last) = last_key else { break };
            writeln!(out, ", to go on after {}", show(&self.schema.decode_key(&last[8..])?))?;
            if !context.tags.contains("all") {
                return Ok(out);
            }
            range = behind(range, last, reverse);
        }
        Ok(out + "\n")
    }
}

fn segments(total: u32) -> String {
    let hashes = (0..=total).map_while(|segment| segment_hashes(segment, total));
    hashes.map(|hashes| format!("{hashes}\n")).collect()
}

impl Runner for Script {
    type Command = Command;

    fn run(&mut self, command: &Command, context: &Context) -> Answered {
        let mut arguments = command.consume_args();
        match command.name.as_str() {
            "table" => {
                let partition = arguments.take_key("pk").map_or(KeyType::S, key_type);
                let schema = schema(partition, arguments.take_key("sk").map(key_type));
                *self = Self { schema, ..Self::default() };
                Ok(String::new())
            }
            "stream" => {
                self.wants_old = arguments.next_pos().ok_or("on, old or off")? == "old";
                Ok(String::new())
            }
            "put" | "update" | "delete" => self.write(command, context),
            "items" => self.items(),
            "get" => self.get(command),
            "query" | "scan" => self.read(command, context),
            "units" => {
                let mut out = String::new();
                while let Some(bytes) = arguments.next_pos() {
                    let bytes = bytes.parse()?;
                    let (strong, eventual) = (read_units(bytes, true), read_units(bytes, false));
                    let write = write_units(bytes);
                    writeln!(out, "{bytes} bytes: read {strong} or {eventual}, write {write}")?;
                }
                Ok(out)
            }
            "segments" => Ok(segments(arguments.next_pos().ok_or("how many")?.parse()?)),
            "segment" => {
                let hash = u64::from_str_radix(arguments.next_pos().ok_or("a hash")?, 16)?;
                let total = arguments.take_key("of").ok_or("how many")?.parse()?;
                Ok(format!("{}\n", segment_of_hash(hash, total)))
            }
            name => Err(format!("no command {name}").into()),
        }
    }
}

#[test]
fn scripts() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/partition/scripts");
    let mut count = 0;
    for file in std::fs::read_dir(directory).expect("scripts") {
        let path = file.expect("a script").path();
        goldenscript::run(&mut Script::default(), &path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        count += 1;
    }
    assert!(count >= 12, "scripts are missing: {count}");
}
