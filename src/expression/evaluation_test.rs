//! Golden scripts of what expressions and legacy parameters mean, evaluated on one item.
//! `UPDATE_GOLDENFILES=1 cargo test expression` writes them anew; review the difference against DynamoDB's guide.
//!
//! Commands: `item VALUE|none` takes an item; `holds`, `update` and `project` an expression; `expected`, `filter`,
//! `updates`, `keys` and `attributes` legacy parameters; `mixed LEGACY EXPRESSIONS` the names of both.
//! Arguments in lower case are values (`v=1` is `:v`), in upper case attribute names (`N=and` is `#N`); in what a
//! command answers they stand where they belong. An update changes the item, and with the tags `[old]` and `[new]`
//! shows what it touched. `filter` is of a scan, or with the tag `[query]` of a query; the key is `id`, and `range`, a
//! number, with `[text]` a string, with `[hash]` not there. Conditions and projections are evaluated on the item both as it is and as it is stored.
//!
//! Values: `"text"`, `1.5`, `0xFF00` (binary), `true`, `null`, `{name: value}`, `[value, value]`, `<member, member>`.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;

use goldenscript::{Command, Context, Runner};

use super::legacy::{self, AttributeUpdate, Expected, Filter};
use super::values_test::{self, show, show_item};
use super::{Kind, Parsed, Placeholders, Subject};
use crate::model::{AttributeName, AttributeValue, Item, KeyAttribute, KeySchema, KeyType, codec};

type Answer = Result<String, Box<dyn Error>>;

#[derive(Default)]
struct Script {
    item: Option<Item>,
}

fn name(text: &str) -> AttributeName {
    AttributeName::parse(text).expect("a name")
}

fn schema() -> KeySchema {
    let key = |text, kind| KeyAttribute { name: name(text), kind };
    KeySchema { partition: key("id", KeyType::S), sort: Some(key("range", KeyType::N)) }
}

/// The expression of a command, and what its placeholders stand for.
struct Text {
    text: String,
    names: BTreeMap<String, String>,
    values: BTreeMap<String, AttributeValue>,
}

impl Text {
    fn of(command: &Command) -> Result<Self, Box<dyn Error>> {
        let mut arguments = command.consume_args();
        let text = arguments.next_pos().ok_or("an expression")?.to_owned();
        let (mut names, mut values) = (BTreeMap::new(), BTreeMap::new());
        while let Some((key, argument)) = arguments.next_key() {
            if key.starts_with(|first: char| first.is_uppercase()) {
                names.insert(format!("#{key}"), argument.to_owned());
            } else {
                values.insert(format!(":{key}"), values_test::parse(argument));
            }
        }
        Ok(Self { text, names, values })
    }

    fn bound<T>(
        &self,
        kind: Kind,
        bind: impl FnOnce(&mut Placeholders, &Parsed) -> Result<T, super::Error>,
    ) -> Result<T, super::Error> {
        let names = (!self.names.is_empty()).then(|| self.names.clone());
        let values = (!self.values.is_empty()).then(|| self.values.clone());
        let mut placeholders = Placeholders::new(names, values)?;
        let bound = bind(&mut placeholders, &super::parse(kind, &self.text)?)?;
        placeholders.finish()?;
        Ok(bound)
    }

    /// As one reads it, with values and names in their places.
    fn shown(&self) -> String {
        let values = self.values.iter().map(|(key, value)| (key, show(value)));
        let names = self.names.iter().map(|(key, name)| (key, format!("`{name}`")));
        values.chain(names).fold(self.text.clone(), |text, (key, shown)| text.replace(key, &shown))
    }
}

impl Script {
    fn stored(&self) -> Option<Vec<u8>> {
        self.item.as_ref().map(|item| {
            let mut bytes = Vec::new();
            codec::encode_item(item, &mut bytes);
            bytes
        })
    }

    fn judge(&self, condition: &super::ast::Condition) -> String {
        let built = condition.holds(Subject::from(self.item.as_ref())).expect("a built item is sound");
        if let Some(stored) = self.stored() {
            assert_eq!(condition.holds(Subject::Encoded(&stored)), Ok(built), "{condition:?}");
        }
        built.to_string()
    }

    fn project(&self, projection: &super::ast::Projection) -> String {
        let built = projection.project(Subject::from(self.item.as_ref())).expect("a built item is sound");
        if let Some(stored) = self.stored() {
            assert_eq!(projection.project(Subject::Encoded(&stored)), Ok(built.clone()));
            let encoded = projection.project_encoded(&stored).expect("sound");
            assert_eq!(codec::decode_item(&encoded), Ok(built.clone()));
        }
        show_item(&built)
    }

    fn update(&mut self, update: &super::ast::Update, legacy: bool, context: &Context) -> String {
        let key = values_test::item(r#"{id: "k"}"#);
        match update.apply(&key, self.item.clone()) {
            Err(refused) if legacy => format!("refused: {}", refused.legacy_message()),
            Err(refused) => format!("refused: {refused}"),
            Ok(new) => {
                let mut shown = new.as_ref().map_or("none".to_owned(), show_item);
                if context.tags.contains("old") {
                    let _ = write!(shown, ", old {}", show_item(&update.touched_old(self.item.as_ref())));
                }
                if context.tags.contains("new") {
                    let _ = write!(shown, ", new {}", show_item(&update.touched_new(new.as_ref())));
                }
                self.item = new;
                shown
            }
        }
    }

    fn expression(&mut self, command: &Command, context: &Context) -> Answer {
        let text = Text::of(command)?;
        let answer = match command.name.as_str() {
            "holds" => {
                text.bound(Kind::Condition, Placeholders::condition).map(|condition| self.judge(&condition))
            }
            "update" => text
                .bound(Kind::Update, Placeholders::update)
                .map(|update| self.update(&update, false, context)),
            _ => text
                .bound(Kind::Projection, Placeholders::projection)
                .map(|projection| self.project(&projection)),
        };
        let answer = answer.unwrap_or_else(|error| format!("invalid: {error}"));
        Ok(format!("{} -> {answer}\n", text.shown()))
    }

    fn legacy(&mut self, command: &Command, context: &Context) -> Answer {
        let mut arguments = command.consume_args();
        let operator = arguments.take_key("operator");
        let parameter = arguments.next_pos().ok_or("a parameter")?;
        let pairs = || values_test::item(parameter).into_iter();
        let judged = |condition: Result<_, legacy::Invalid>| match condition {
            Ok(Some(condition)) => self.judge(&condition),
            Ok(None) => "no condition".to_owned(),
            Err(invalid) => format!("invalid: {invalid}"),
        };
        let filters = || pairs().map(|(name, value)| (name, filter(&value))).collect();
        let answer = match command.name.as_str() {
            "expected" => {
                let all = pairs().map(|(name, value)| (name, expected(&value))).collect();
                judged(legacy::expected(all, operator))
            }
            "filter" if context.tags.contains("query") => {
                judged(legacy::query_filter(filters(), operator, &schema()))
            }
            "filter" => judged(legacy::scan_filter(filters(), operator)),
            "keys" => {
                let mut schema = schema();
                if context.tags.contains("text") {
                    schema.sort = Some(KeyAttribute { name: name("range"), kind: KeyType::S });
                }
                if context.tags.contains("hash") {
                    schema.sort = None;
                }
                match legacy::key_conditions(filters(), &schema) {
                    Ok(keys) => format!("{:?} {:?}", keys.partition, keys.sort),
                    Err(invalid) => format!("invalid: {invalid}"),
                }
            }
            _ => {
                match legacy::attribute_updates(pairs().map(|(name, value)| (name, action(&value))).collect())
                {
                    Ok(update) => self.update(&update, true, context),
                    Err(invalid) => format!("invalid: {invalid}"),
                }
            }
        };
        Ok(format!("{}{parameter} -> {answer}\n", operator.map_or(String::new(), |word| format!("{word} "))))
    }
}

fn field(value: &AttributeValue, name: &str) -> Option<AttributeValue> {
    let AttributeValue::M(map) = value else { panic!("{value:?} is not a map") };
    map.get(name).cloned()
}

fn word(value: &AttributeValue, name: &str) -> Option<String> {
    field(value, name).map(|value| match value {
        AttributeValue::S(word) => word,
        other => panic!("{other:?} is not a word"),
    })
}

fn list(value: &AttributeValue) -> Option<Vec<AttributeValue>> {
    field(value, "AttributeValueList").map(|value| match value {
        AttributeValue::L(list) => list,
        other => panic!("{other:?} is not a list"),
    })
}

fn expected(value: &AttributeValue) -> Expected {
    let exists = field(value, "Exists").map(|value| value == AttributeValue::Bool(true));
    let operator = word(value, "ComparisonOperator");
    Expected { exists, value: field(value, "Value"), operator, list: list(value) }
}

fn filter(value: &AttributeValue) -> Filter {
    Filter { operator: word(value, "ComparisonOperator"), list: list(value) }
}

fn action(value: &AttributeValue) -> AttributeUpdate {
    AttributeUpdate { action: word(value, "Action"), value: field(value, "Value") }
}

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

impl Runner for Script {
    type Command = Command;

    fn run(&mut self, command: &Command, context: &Context) -> Answer {
        match command.name.as_str() {
            "item" => {
                let text = command.consume_args().next_pos().ok_or("an item")?.to_owned();
                self.item = (text != "none").then(|| values_test::item(&text));
                Ok(format!("item {text}\n"))
            }
            "holds" | "update" | "project" => self.expression(command, context),
            "expected" | "filter" | "updates" | "keys" => self.legacy(command, context),
            "attributes" => {
                let text = command.consume_args().next_pos().ok_or("names")?.to_owned();
                let names: Vec<_> = words(&text).into_iter().map(name).collect();
                let answer = match legacy::attributes_to_get(&names) {
                    Ok(projection) => self.project(&projection),
                    Err(invalid) => format!("invalid: {invalid}"),
                };
                Ok(format!("[{text}] -> {answer}\n"))
            }
            "mixed" => {
                let mut arguments = command.consume_args();
                let mut next = || arguments.next_pos().unwrap_or_default();
                let (legacy, expressions) = (next(), next());
                let answer = match legacy::refuse_mixed(&words(legacy), &words(expressions)) {
                    Ok(()) => "not mixed".to_owned(),
                    Err(invalid) => invalid.to_string(),
                };
                Ok(format!("[{legacy}] [{expressions}] -> {answer}\n"))
            }
            other => Err(format!("unknown command {other}").into()),
        }
    }
}

fn run(prefix: &str) {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/expression/scripts");
    let mut scripts: Vec<_> = std::fs::read_dir(directory)
        .expect("the scripts")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)))
        .collect();
    scripts.sort();
    assert!(!scripts.is_empty(), "no scripts begin with {prefix}");
    for script in scripts {
        goldenscript::run(&mut Script::default(), &script).expect("the script can be read");
    }
}

#[test]
fn conditions() {
    run("condition_");
}

#[test]
fn updates() {
    run("update_");
}

#[test]
fn projections() {
    run("projection_");
}

#[test]
fn legacy_parameters() {
    run("legacy_");
}
