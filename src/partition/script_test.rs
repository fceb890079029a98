//! Golden scripts: writes evaluated one after another, each change encoded into an entry, decoded, and applied.
//! `UPDATE_GOLDENFILES=1 cargo test partition` writes them anew; review the difference.
//!
//! Commands: `put KEY [name=text...]`, `update KEY [name=text...] [remove=a,b]`, `delete KEY`, each with the prefix tags
//! `exists:`/`not-exists:` as condition and the tags `[old]`/`[new]` for the image returned; `stream on|old|off`, and
//! `items`.

use std::{
    collections::BTreeMap, convert::Infallible, error::Error, fmt::Write as _, ops::Bound, path::Path,
};

use bytes::Bytes;
use goldenscript::{Command, Context, Runner};

use super::*;
use crate::model::{AttributeName, AttributeValue, Item, codec, id::Position};

#[derive(Default)]
struct Items(BTreeMap<Bytes, Bytes>);

impl View for Items {
    type Error = Infallible;

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Infallible> {
        Ok(self.0.get(key).cloned())
    }

    fn range(
        &self,
        _: Bound<&[u8]>,
        _: Bound<&[u8]>,
        _: bool,
        _: &mut view::Visit<'_>,
    ) -> Result<(), Infallible> {
        Ok(())
    }
}

#[derive(Default)]
struct Script {
    items: Items,
    state: State,
    wants_old: bool,
}

fn item(key: Option<&str>, arguments: &[(String, String)]) -> Item {
    let pairs = arguments.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    pairs
        .chain(key.map(|key| ("id", key)))
        .map(|(name, value)| {
            let value = match value.parse() {
                Ok(number) => AttributeValue::N(number),
                Err(_) => AttributeValue::S(value.to_owned()),
            };
            (AttributeName::parse(name).expect("a name"), value)
        })
        .collect()
}

fn encode(item: &Item) -> Bytes {
    let mut bytes = Vec::new();
    codec::encode_item(item, &mut bytes);
    bytes.into()
}

fn show(encoded: Option<&[u8]>) -> String {
    let Some(encoded) = encoded else { return "none".to_owned() };
    let item = codec::decode_item(encoded).expect("an item");
    let shown = item.iter().map(|(name, value)| match value {
        AttributeValue::N(number) => format!("{name}={number}"),
        AttributeValue::S(text) => format!("{name}={text:?}"),
        other => format!("{name}={other:?}"),
    });
    format!("{{{}}}", shown.collect::<Vec<_>>().join(" "))
}

impl Script {
    fn write(&mut self, context: &Context, action: Action, key: &str) -> String {
        let condition = match context.prefix.as_deref() {
            Some("exists") => Condition::Exists,
            Some("not-exists") => Condition::NotExists,
            _ => Condition::None,
        };
        let returns = match () {
            () if context.tags.contains("old") => Returns::AllOld,
            () if context.tags.contains("new") => Returns::AllNew,
            () => Returns::Nothing,
        };
        let write = Write { key: Bytes::copy_from_slice(key.as_bytes()), action, condition, returns };
        let evaluated = evaluate(&self.items, &write, self.wants_old).expect("evaluates");
        match evaluated {
            Evaluated::Changed { change, image } => {
                let shown = format!(
                    "change of version {}: old {} new {}",
                    change.version_before.map_or("none".to_owned(), |version| version.to_string()),
                    show(change.old.as_deref()),
                    show(change.new_image().as_deref()),
                );
                self.apply(&change);
                with_image(shown, image)
            }
            Evaluated::Unchanged { image } => with_image("unchanged".to_owned(), image),
            Evaluated::Rejected(rejected) => format!("rejected: {rejected:?}\n"),
        }
    }

    fn apply(&mut self, change: &Change) {
        let index = self.state.applied.map_or(0, |applied| applied.index + 1);
        let mut encoder = entry::Encoder::new(1, index);
        encoder.push(change);
        let decoded = Entry::decode(encoder.finish()).expect("decodes");
        let mut writes = Vec::new();
        self.state.apply(Position::new(1, index), Some(decoded), &mut writes).expect("applies");
        for (key, stored) in writes {
            match stored {
                Some(stored) => drop(self.items.0.insert(key, stored)),
                None => drop(self.items.0.remove(&key)),
            }
        }
    }
}

fn with_image(shown: String, image: Option<Bytes>) -> String {
    match image {
        Some(image) => format!("{shown}\nreturns {}\n", show(Some(&image))),
        None => shown + "\n",
    }
}

impl Runner for Script {
    type Command = Command;

    fn run(&mut self, command: &Command, context: &Context) -> Result<String, Box<dyn Error>> {
        let mut arguments = command.consume_args();
        match command.name.as_str() {
            "items" => {
                let mut out = String::new();
                for (key, stored) in &self.items.0 {
                    let version = u64::from_le_bytes(*stored.first_chunk().expect("a version"));
                    writeln!(
                        out,
                        "{}: {} version {version}",
                        String::from_utf8_lossy(key),
                        show(Some(&stored[8..]))
                    )?;
                }
                Ok(out)
            }
            "stream" => {
                self.wants_old = arguments.next_pos().ok_or("on, old or off")? == "old";
                Ok(String::new())
            }
            name @ ("put" | "update" | "delete") => {
                let key = arguments.next_pos().ok_or("a key")?;
                let remove: Vec<AttributeName> = arguments
                    .take_key("remove")
                    .map(|names| {
                        names.split(',').map(|name| AttributeName::parse(name).expect("a name")).collect()
                    })
                    .unwrap_or_default();
                let mut named = Vec::new();
                while let Some((name, value)) = arguments.next_key() {
                    named.push((name.to_owned(), value.to_owned()));
                }
                let action = match name {
                    "put" => Action::Put { item: encode(&item(Some(key), &named)) },
                    "update" => Action::Update {
                        key: encode(&item(Some(key), &[])),
                        set: encode(&item(None, &named)),
                        remove,
                    },
                    _ => Action::Delete,
                };
                Ok(self.write(context, action, key))
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
    assert!(count >= 4, "scripts are missing: {count}");
}
