//! What an expression is evaluated on, and what its paths find there.
//!
//! A filter looks at a few attributes of every item of a page, so items are taken as they are stored, and only what a
//! path finds is read. A decoded item gives the same answers; both are tested against each other.

use crate::model::lookup::{Entries, Stored};
use crate::model::{AttributeName, AttributeValue, Corrupt, Item, codec};

use super::ast::{Path, Step};

/// What an expression is evaluated on.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// No item: every path is missing.
    Nothing,
    /// A decoded item.
    Item(&'a Item),
    /// An item in its stored form.
    Encoded(&'a [u8]),
}

impl<'a> From<Option<&'a Item>> for Subject<'a> {
    fn from(item: Option<&'a Item>) -> Self {
        item.map_or(Self::Nothing, Self::Item)
    }
}

impl<'a> Subject<'a> {
    /// What is at the path; none if any step of it leads nowhere, or to a value that has no such steps.
    pub(super) fn resolve(self, path: &Path) -> Result<Option<ValueRef<'a>>, Corrupt> {
        match self {
            Self::Nothing => Ok(None),
            Self::Item(item) => Ok(find(item, &path.name, &path.steps).map(ValueRef::Built)),
            Self::Encoded(bytes) => {
                let mut value = Entries::of_item(bytes).find(path.name.as_str())?;
                for step in &path.steps {
                    let Some(found) = value else { break };
                    value = step_stored(found, step)?;
                }
                Ok(value.map(ValueRef::Stored))
            }
        }
    }
}

/// What a decoded item has there.
pub(super) fn find<'a>(item: &'a Item, name: &AttributeName, steps: &[Step]) -> Option<&'a AttributeValue> {
    steps.iter().try_fold(item.get(name)?, |value, step| match (value, step) {
        (AttributeValue::M(map), Step::Member(name)) => map.get(name),
        (AttributeValue::L(list), Step::Index(index)) => list.get(*index as usize),
        _ => None,
    })
}

fn step_stored<'a>(value: &'a [u8], step: &Step) -> Result<Option<&'a [u8]>, Corrupt> {
    match (Stored::read(value)?, step) {
        (Stored::M(entries), Step::Member(name)) => entries.find(name.as_str()),
        (Stored::L(elements), Step::Index(index)) => {
            for (place, element) in (0..).zip(elements) {
                let element = element?;
                if place == *index {
                    return Ok(Some(element));
                }
            }
            Ok(None)
        }
        _ => Ok(None),
    }
}

/// A value where it lies: in a decoded item or a request, or in a stored item.
#[derive(Clone, Copy, Debug)]
pub(super) enum ValueRef<'a> {
    Built(&'a AttributeValue),
    Stored(&'a [u8]),
}

impl ValueRef<'_> {
    /// The value itself, built if it was stored.
    pub(super) fn to_value(self) -> Result<AttributeValue, Corrupt> {
        match self {
            Self::Built(value) => Ok(value.clone()),
            Self::Stored(bytes) => codec::decode_value(bytes),
        }
    }
}
