//! Golden scripts of what texts are expressions, and of what is said of those that are not.
//! `UPDATE_GOLDENFILES=1 cargo test expression` writes them anew; review the difference against DynamoDB's guide.
//!
//! `condition`, `filter`, `update` and `projection` parse and bind a text, and answer with it: alone if it is in
//! canonical form, else with that or the error. The tag `[bound]` adds what it means. `key` does so for a key condition on a
//! table whose partition key `p` is a string, and whose sort key `c` is a number, or what `sort=` says (`S`, `N`, `B`
//! or `none`). These find the placeholders that `Standard` has.
//!
//! `request` takes placeholders of its own, `#name=attribute` and `:value=text`, and any number of expressions under
//! `condition=`, `filter=`, `update=` and `projection=`, bound in this order; then it asks whether all was used.
//! `filter_query` and `update_key` check an expression against the same table.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt::Write as _;

use bytes::Bytes;
use goldenscript::{Command, Context, Runner};

use super::{Error, Kind, Parsed, Placeholders, ast, parse};
use crate::model::{AttributeName, AttributeValue, KeyAttribute, KeySchema, KeyType};

fn name(text: &str) -> AttributeName {
    AttributeName::parse(text).expect("a name")
}

fn number(text: &str) -> AttributeValue {
    AttributeValue::N(text.parse().expect("a number"))
}

fn string(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

/// Placeholders that all expressions may use: `#a`, `#b`, `#c`; `#dot` is `x.y`, `#index` is `[0]`, and `#size` is
/// `size`. Values are named by type: `:s`, `:n`, `:b`, `:bool`, `:null`, `:m`, `:l`, `:ss`, `:ns`, `:bs`; `:s1` is
/// below `:s2`, and `:n1` below `:n2`; `:N` is the string `N`, and `:dog` the string `DOG`.
struct Standard;

impl Standard {
    fn placeholders() -> Placeholders {
        let names = ["a", "b", "c", "size"].map(|text| (format!("#{text}"), text.to_owned()));
        let odd = [("#dot".to_owned(), "x.y".to_owned()), ("#index".to_owned(), "[0]".to_owned())];
        let text_set = AttributeValue::string_set(vec!["x".to_owned()]).expect("a set");
        let number_set = AttributeValue::number_set(vec!["1".parse().expect("a number")]).expect("a set");
        let binary_set = AttributeValue::binary_set(vec![Bytes::from_static(b"x")]).expect("a set");
        let values = [
            (":s", string("text")),
            (":s1", string("a")),
            (":s2", string("b")),
            (":n", number("5")),
            (":n1", number("9")),
            (":n2", number("10")),
            (":b", AttributeValue::B(Bytes::from_static(b"bytes"))),
            (":b1", AttributeValue::B(Bytes::from_static(b"\x7f"))),
            (":b2", AttributeValue::B(Bytes::from_static(b"\x80"))),
            (":bool", AttributeValue::Bool(true)),
            (":null", AttributeValue::Null),
            (":m", AttributeValue::M(BTreeMap::new())),
            (":l", AttributeValue::L(Vec::new())),
            (":ss", text_set),
            (":ns", number_set),
            (":bs", binary_set),
            (":N", string("N")),
            (":dog", string("DOG")),
        ];
        let values = values.map(|(key, value)| (key.to_owned(), value));
        let names = BTreeMap::from_iter(names.into_iter().chain(odd));
        Placeholders::new(Some(names), Some(BTreeMap::from(values))).expect("good placeholders")
    }

    fn schema(sort: Option<&str>) -> KeySchema {
        let kind = match sort {
            Some("none") => None,
            Some("S") => Some(KeyType::S),
            Some("B") => Some(KeyType::B),
            _ => Some(KeyType::N),
        };
        KeySchema {
            partition: KeyAttribute { name: name("p"), kind: KeyType::S },
            sort: kind.map(|kind| KeyAttribute { name: name("c"), kind }),
        }
    }
}

/// What was parsed, and what that is bound.
fn bind(kind: Kind, text: &str, placeholders: &mut Placeholders) -> Result<(Parsed, String), Error> {
    let parsed = parse(kind, text)?;
    let bound = match kind {
        Kind::Condition | Kind::Filter => format!("{:?}", placeholders.condition(&parsed)?),
        Kind::KeyCondition => format!("{:?}", placeholders.key_condition(&parsed, &Standard::schema(None))?),
        Kind::Update => format!("{:?}", placeholders.update(&parsed)?),
        Kind::Projection => format!("{:?}", placeholders.projection(&parsed)?),
    };
    Ok((parsed, bound))
}

/// The text, and what became of it: nothing more if it was in canonical form already.
fn answer(text: &str, bound: Result<(Parsed, String), Error>, context: &Context) -> String {
    let mut out: String = text.chars().map(shown).collect();
    match bound {
        Ok((parsed, bound)) => {
            if parsed.to_string() != text {
                write!(out, " -> {parsed}").expect("a string takes all");
            }
            if context.tags.contains("bound") {
                write!(out, "\n    {bound}").expect("a string takes all");
            }
        }
        Err(error) => write!(out, "\n    {error}").expect("a string takes all"),
    }
    out + "\n"
}

/// White space other than spaces would not be seen.
fn shown(character: char) -> String {
    if character.is_control() { character.escape_default().collect() } else { character.into() }
}

fn request(command: &Command) -> Result<(), Box<dyn StdError>> {
    let mut arguments = command.consume_args();
    let (mut names, mut values, mut expressions) = (None, None, Vec::new());
    if arguments.take_key("names").is_some() {
        names = Some(BTreeMap::new());
    }
    if arguments.take_key("values").is_some() {
        values = Some(BTreeMap::new());
    }
    while let Some((key, value)) = arguments.next_key() {
        match key {
            "condition" => expressions.push((Kind::Condition, value.to_owned())),
            "filter" => expressions.push((Kind::Filter, value.to_owned())),
            "update" => expressions.push((Kind::Update, value.to_owned())),
            "projection" => expressions.push((Kind::Projection, value.to_owned())),
            key if key.starts_with(':') || key.starts_with('v') => {
                values.get_or_insert_default().insert(key.to_owned(), string(value));
            }
            key => {
                let key = if key == "nothing" { "" } else { key };
                names.get_or_insert_default().insert(key.to_owned(), value.to_owned());
            }
        }
    }
    let mut placeholders = Placeholders::new(names, values)?;
    for (kind, text) in expressions {
        bind(kind, &text, &mut placeholders)?;
    }
    Ok(placeholders.finish()?)
}

struct Script;

impl Runner for Script {
    type Command = Command;

    fn run(&mut self, command: &Command, context: &Context) -> Result<String, Box<dyn StdError>> {
        if command.name == "request" {
            let answer = request(command).map_or_else(|error| error.to_string(), |()| "all used".to_owned());
            let (mut arguments, mut shown) = (command.consume_args(), command.name.clone());
            while let Some((key, value)) = arguments.next_key() {
                write!(shown, " {key}={value}")?;
            }
            return Ok(format!("{shown}\n    {answer}\n"));
        }
        let mut arguments = command.consume_args();
        let text = arguments.next_pos().ok_or("an expression")?.to_owned();
        let schema = Standard::schema(arguments.take_key("sort"));
        let mut placeholders = Standard::placeholders();
        let kind = match command.name.as_str() {
            "condition" => Kind::Condition,
            "filter" | "filter_query" => Kind::Filter,
            "key" => Kind::KeyCondition,
            "update" | "update_key" => Kind::Update,
            "projection" => Kind::Projection,
            other => return Err(format!("no command {other}").into()),
        };
        match command.name.as_str() {
            "key" => {
                let bound = parse(kind, &text).and_then(|parsed| {
                    let bound = placeholders.key_condition(&parsed, &schema)?;
                    Ok((parsed, format!("{bound:?}")))
                });
                Ok(answer(&text, bound, context))
            }
            "filter_query" => {
                let condition = placeholders.condition(&parse(kind, &text)?)?;
                let mut out = format!("{text} -> {:?}", condition.attributes());
                match condition.check_filter(&schema) {
                    Ok(()) => out.push_str(" may filter\n"),
                    Err(error) => write!(out, "\n    {error}\n")?,
                }
                Ok(out)
            }
            "update_key" => {
                let update: ast::Update = placeholders.update(&parse(kind, &text)?)?;
                let checked = update.check_targets(&schema);
                let checked = checked.map_or_else(|error| error.to_string(), |()| "the key stays".to_owned());
                Ok(format!("{text}\n    {checked}\n"))
            }
            _ => Ok(answer(&text, bind(kind, &text, &mut placeholders), context)),
        }
    }
}

#[test]
fn scripts() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/expression/scripts");
    let mut count = 0;
    for entry in std::fs::read_dir(directory).expect("scripts") {
        let path = entry.expect("a script").path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("text_")) {
            goldenscript::run(&mut Script, &path)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            count += 1;
        }
    }
    assert!(count >= 11, "scripts are missing: {count}");
}
