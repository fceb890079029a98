//! What the tests keep items in, and how they read expressions.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::{Bound, RangeBounds};

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use super::*;
use crate::expression::ast::{Condition, KeyCondition, Projection, Update};
use crate::expression::{self, Kind, Placeholders};
use crate::model::{
    AttributeName, AttributeValue, Item, KeyAttribute, KeySchema, KeyType, codec, id::Position,
};

/// Items in memory, with the state of the partition they are of.
#[derive(Default)]
pub struct Store {
    pub items: BTreeMap<Bytes, Bytes>,
    pub state: State,
}

impl View for Store {
    type Error = Infallible;

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Infallible> {
        Ok(self.items.get(key).cloned())
    }

    fn range(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        reverse: bool,
        visit: &mut Visit<'_>,
    ) -> Result<(), Infallible> {
        let contained = |key: &Bytes| RangeBounds::<[u8]>::contains(&(from, to), &key[..]);
        let mut inside: Vec<_> = self.items.iter().filter(|(key, _)| contained(key)).collect();
        if reverse {
            inside.reverse();
        }
        let _ = inside.into_iter().try_for_each(|(key, stored)| visit(key, stored));
        Ok(())
    }
}

impl Store {
    /// Encodes a change into an entry, decodes that, and applies it: what a change goes through on every replica.
    pub fn apply(&mut self, change: &Change) {
        let index = self.state.applied.map_or(0, |applied| applied.index + 1);
        let mut encoder = entry::Encoder::new(1, index);
        encoder.push(change);
        let decoded = Entry::decode(encoder.finish()).expect("decodes");
        let mut writes = Vec::new();
        self.state.apply(Position::new(1, index), Some(decoded), &mut writes).expect("applies");
        for (key, stored) in writes {
            match stored {
                Some(stored) => drop(self.items.insert(key, stored)),
                None => drop(self.items.remove(&key)),
            }
        }
    }

    /// Stores an item at version 1.
    pub fn put(&mut self, key: Bytes, item: &Item) {
        self.items.insert(key, stored::stored(1, &encode(item)));
    }
}

pub fn name(text: &str) -> AttributeName {
    AttributeName::parse(text).expect("a name")
}

pub fn encode(item: &Item) -> Bytes {
    let mut bytes = Vec::new();
    codec::encode_item(item, &mut bytes);
    bytes.into()
}

pub fn decode(bytes: &[u8]) -> Item {
    codec::decode_item(bytes).expect("an item")
}

/// What arrives where it is sent to another node.
pub fn travelled<T: Serialize + DeserializeOwned>(sent: &T) -> T {
    let bytes = postcard::to_allocvec(sent).expect("serializes");
    postcard::from_bytes(&bytes).expect("arrives")
}

/// The key `pk`, and `sk` if there is a type for it.
pub fn schema(partition: KeyType, sort: Option<KeyType>) -> KeySchema {
    let attribute = |text, kind| KeyAttribute { name: name(text), kind };
    KeySchema { partition: attribute("pk", partition), sort: sort.map(|kind| attribute("sk", kind)) }
}

/// The expressions of a request, each checked and bound by the same placeholders.
pub struct Expressions {
    placeholders: Placeholders,
}

impl Expressions {
    /// With `:v` for each value `v` and `#N` for each name `N`.
    pub fn new(names: BTreeMap<String, String>, values: BTreeMap<String, AttributeValue>) -> Self {
        let names = (!names.is_empty()).then_some(names);
        let values = (!values.is_empty()).then_some(values);
        Self { placeholders: Placeholders::new(names, values).expect("good placeholders") }
    }

    pub fn condition(&mut self, kind: Kind, text: &str) -> Condition {
        let parsed = expression::parse(kind, text).expect("parses");
        self.placeholders.condition(&parsed).expect("binds")
    }

    pub fn update(&mut self, text: &str) -> Update {
        let parsed = expression::parse(Kind::Update, text).expect("parses");
        self.placeholders.update(&parsed).expect("binds")
    }

    pub fn projection(&mut self, text: &str) -> Projection {
        let parsed = expression::parse(Kind::Projection, text).expect("parses");
        self.placeholders.projection(&parsed).expect("binds")
    }

    pub fn key_condition(&mut self, text: &str, schema: &KeySchema) -> KeyCondition {
        let parsed = expression::parse(Kind::KeyCondition, text).expect("parses");
        self.placeholders.key_condition(&parsed, schema).expect("binds")
    }

    pub fn finish(self) {
        self.placeholders.finish().expect("all placeholders are used");
    }
}
