//! Whether a pattern matches an event.

use std::cmp::Ordering;

use super::operator::Test;
use super::pattern::{Filter, Node, Object};
use super::subject::{Place, Scalar, Subject};
use crate::model::Corrupt;
use crate::model::lookup::{Elements, Entries};

/// What was found of a part of a pattern. It matters below lists: what merely is not there is not there in any one
/// element, so it must not be there in all of them, or in the one where something else was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// It does not hold.
    No,
    /// It holds, and only by what is absent.
    Absent,
    /// It holds, by something that is there.
    Present,
}

impl Found {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Present, _) | (_, Self::Present) => Self::Present,
            (Self::Absent, Self::Absent) => Self::Absent,
        }
    }
}

impl Filter {
    /// Whether the record is to be delivered. Errors: `Corrupt` if damage was met in what the patterns name.
    pub fn matches(&self, subject: &Subject<'_>) -> Result<bool, Corrupt> {
        for pattern in &self.patterns {
            if object(subject, pattern, &Place::Event)? != Found::No {
                return Ok(true);
            }
        }
        Ok(self.patterns.is_empty())
    }
}

fn object<'a>(subject: &Subject<'a>, wanted: &Object, place: &Place<'a>) -> Result<Found, Corrupt> {
    let mut found = match place {
        Place::List(elements) => return list(subject, wanted, elements.clone()),
        Place::Item(entries) => item(subject, wanted, entries.clone())?,
        Place::Nothing
        | Place::One(_)
        | Place::Set(..)
        | Place::Event
        | Place::Change
        | Place::Identity(_)
        | Place::Value(_) => {
            let mut found = Found::Absent;
            for field in &wanted.fields {
                found = found.and(node(subject, &field.node, &subject.child(place, &field.name)?)?);
                if found == Found::No {
                    break;
                }
            }
            found
        }
    };
    for attributes in &wanted.changed {
        if found == Found::No {
            break;
        }
        let mut changed = false;
        for attribute in attributes {
            changed = changed || subject.changed(attribute.as_str())?;
        }
        found = if changed { Found::Present } else { Found::No };
    }
    for choice in &wanted.choices {
        if found == Found::No {
            break;
        }
        found = found.and(one_of(choice, |branch| object(subject, branch, place))?);
    }
    Ok(found)
}

/// The fields of an object, of an item or a map: one walk, as both are in the order of names.
fn item<'a>(subject: &Subject<'a>, wanted: &Object, mut entries: Entries<'a>) -> Result<Found, Corrupt> {
    let mut found = Found::Absent;
    let mut entry = None;
    for field in &wanted.fields {
        let name = field.name.as_bytes();
        let value = loop {
            if entry.is_none() {
                entry = entries.next().transpose()?;
            }
            match entry.map(|entry| (entry.name.cmp(name), entry.value)) {
                Some((Ordering::Less, _)) => entry = None,
                Some((Ordering::Equal, value)) => break Place::Value(value),
                Some((Ordering::Greater, _)) | None => break Place::Nothing,
            }
        };
        found = found.and(node(subject, &field.node, &value)?);
        if found == Found::No {
            break;
        }
    }
    Ok(found)
}

/// One element of which all holds, or none in which what must be absent is.
fn list<'a>(subject: &Subject<'a>, wanted: &Object, elements: Elements<'a>) -> Result<Found, Corrupt> {
    let mut found = object(subject, wanted, &Place::Nothing)?;
    for element in elements {
        match object(subject, wanted, &Place::Value(element?))? {
            Found::Present => return Ok(Found::Present),
            Found::Absent => {}
            Found::No => found = Found::No,
        }
    }
    Ok(found)
}

fn node<'a>(subject: &Subject<'a>, wanted: &Node, place: &Place<'a>) -> Result<Found, Corrupt> {
    match wanted {
        Node::Object(wanted) => object(subject, wanted, place),
        Node::Leaf(tests) => leaf(tests, place),
    }
}

/// A leaf: of one value, or of any of an array. Where there is none, or an object, only absence can be found.
fn leaf(tests: &[Test], place: &Place<'_>) -> Result<Found, Corrupt> {
    let test = |scalar: &Scalar<'_>| {
        one_of(tests, |test| Ok(if test.holds(scalar)? { Found::Present } else { Found::No }))
    };
    match place {
        Place::One(scalar) => test(scalar),
        Place::Set(read, members) => one_of(members.clone(), |member| test(&read(member?)?)),
        Place::Nothing
        | Place::List(_)
        | Place::Event
        | Place::Change
        | Place::Identity(_)
        | Place::Item(_)
        | Place::Value(_) => Ok(if tests.contains(&Test::Exists(false)) { Found::Absent } else { Found::No }),
    }
}

fn one_of<T>(
    alternatives: impl IntoIterator<Item = T>,
    mut find: impl FnMut(T) -> Result<Found, Corrupt>,
) -> Result<Found, Corrupt> {
    let mut found = Found::No;
    for alternative in alternatives {
        match find(alternative)? {
            Found::Present => return Ok(Found::Present),
            Found::Absent => found = Found::Absent,
            Found::No => {}
        }
    }
    Ok(found)
}

#[cfg(test)]
#[path = "matching_test.rs"]
mod tests;
