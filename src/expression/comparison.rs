//! How two values compare: equality, order, prefixes, membership and size, whether they are built or stored.
//!
//! Values come from the request and from items of up to 400 KB, so everything here takes time linear in the smaller
//! of what is compared, and recurses no deeper than values nest.

use std::cmp::Ordering;

use crate::model::lookup::{Elements, Stored};
use crate::model::{AttributeValue, Corrupt, Number};

use super::ast::Type;
use super::subject::ValueRef;

/// A value of one of the types that have an order.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Scalar<'a> {
    S(&'a str),
    N(Number),
    B(&'a [u8]),
}

impl<'a> Scalar<'a> {
    /// None for the types without order.
    #[inline]
    pub(super) fn of(value: ValueRef<'a>) -> Result<Option<Self>, Corrupt> {
        Ok(match value {
            ValueRef::Built(AttributeValue::S(text)) => Some(Self::S(text)),
            ValueRef::Built(AttributeValue::N(number)) => Some(Self::N(*number)),
            ValueRef::Built(AttributeValue::B(bytes)) => Some(Self::B(bytes)),
            ValueRef::Built(_) => None,
            ValueRef::Stored(bytes) => match Stored::read(bytes)? {
                Stored::S(text) => Some(Self::S(text)),
                Stored::N(number) => Some(Self::N(number)),
                Stored::B(bytes) => Some(Self::B(bytes)),
                Stored::Bool(_) | Stored::Null | Stored::M(_) | Stored::L(_) => None,
                Stored::Ss(_) | Stored::Ns(_) | Stored::Bs(_) => None,
            },
        })
    }

    /// Numbers numerically, strings by UTF-8 bytes, binaries by unsigned bytes; none between types.
    #[inline]
    pub(super) fn order(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::S(left), Self::S(right)) => Some(left.cmp(right)),
            (Self::N(left), Self::N(right)) => Some(left.cmp(&right)),
            (Self::B(left), Self::B(right)) => Some(left.cmp(right)),
            _ => None,
        }
    }

    /// Whether a string or a binary begins with another of its type.
    pub(super) fn begins_with(self, prefix: Self) -> bool {
        match (self, prefix) {
            (Self::S(text), Self::S(prefix)) => text.starts_with(prefix),
            (Self::B(bytes), Self::B(prefix)) => bytes.starts_with(prefix),
            _ => false,
        }
    }
}

/// Whether two values are equal: deeply, numbers numerically, sets and maps whatever their order.
pub(super) fn equal(left: ValueRef<'_>, right: ValueRef<'_>) -> Result<bool, Corrupt> {
    match (left, right) {
        (ValueRef::Built(left), ValueRef::Built(right)) => Ok(left == right),
        // Equal values have equal bytes: the stored form is canonical.
        (ValueRef::Stored(left), ValueRef::Stored(right)) => Ok(left == right),
        (ValueRef::Built(built), ValueRef::Stored(stored))
        | (ValueRef::Stored(stored), ValueRef::Built(built)) => equal_stored(stored, built),
    }
}

/// Both forms keep members of maps and sets in the same order, so they are walked side by side.
fn equal_stored(stored: &[u8], built: &AttributeValue) -> Result<bool, Corrupt> {
    match (Stored::read(stored)?, built) {
        (Stored::S(stored), AttributeValue::S(built)) => Ok(stored == built),
        (Stored::N(stored), AttributeValue::N(built)) => Ok(stored == *built),
        (Stored::B(stored), AttributeValue::B(built)) => Ok(stored == built),
        (Stored::Bool(stored), AttributeValue::Bool(built)) => Ok(stored == *built),
        (Stored::Null, AttributeValue::Null) => Ok(true),
        (Stored::M(stored), AttributeValue::M(built)) => {
            side_by_side(stored, built, |entry, (name, value)| {
                Ok(entry.name == name.as_str().as_bytes() && equal_stored(entry.value, value)?)
            })
        }
        (Stored::L(stored), AttributeValue::L(built)) => side_by_side(stored, built, equal_stored),
        (Stored::Ss(stored), AttributeValue::Ss(built)) => {
            side_by_side(stored, built, |stored, built| Ok(stored == built.as_bytes()))
        }
        (Stored::Ns(stored), AttributeValue::Ns(built)) => {
            side_by_side(stored, built, |stored, built| Ok(stored == built.to_string().as_bytes()))
        }
        (Stored::Bs(stored), AttributeValue::Bs(built)) => {
            side_by_side(stored, built, |stored, built| Ok(stored == built))
        }
        _ => Ok(false),
    }
}

fn side_by_side<S, B>(
    mut stored: impl Iterator<Item = Result<S, Corrupt>>,
    built: impl IntoIterator<Item = B>,
    equal: impl Fn(S, B) -> Result<bool, Corrupt>,
) -> Result<bool, Corrupt> {
    for built in built {
        let Some(stored) = stored.next() else { return Ok(false) };
        if !equal(stored?, built)? {
            return Ok(false);
        }
    }
    Ok(stored.next().is_none())
}

/// Whether a string or binary contains another as a part, or a set or list contains the value as a member.
pub(super) fn contains(container: ValueRef<'_>, member: ValueRef<'_>) -> Result<bool, Corrupt> {
    if let Some(whole) = Scalar::of(container)? {
        return Ok(match (whole, Scalar::of(member)?) {
            (Scalar::S(whole), Some(Scalar::S(part))) => whole.contains(part),
            (Scalar::B(whole), Some(Scalar::B(part))) => contains_bytes(whole, part),
            _ => false,
        });
    }
    match container {
        ValueRef::Built(AttributeValue::L(list)) => {
            any(list.iter().map(Ok), |element| equal(ValueRef::Built(element), member))
        }
        ValueRef::Built(set) => Ok(match (set, Scalar::of(member)?) {
            (AttributeValue::Ss(set), Some(Scalar::S(text))) => set.contains(text),
            (AttributeValue::Ns(set), Some(Scalar::N(number))) => set.contains(&number),
            (AttributeValue::Bs(set), Some(Scalar::B(bytes))) => set.contains(bytes),
            _ => false,
        }),
        ValueRef::Stored(bytes) => contains_stored(Stored::read(bytes)?, member),
    }
}

fn contains_stored(container: Stored<'_>, member: ValueRef<'_>) -> Result<bool, Corrupt> {
    let holds = |set: Elements<'_>, member: &[u8]| any(set, |element| Ok(element == member));
    match (container, Scalar::of(member)?) {
        (Stored::L(list), _) => any(list, |element| equal(ValueRef::Stored(element), member)),
        (Stored::Ss(set), Some(Scalar::S(text))) => holds(set, text.as_bytes()),
        (Stored::Ns(set), Some(Scalar::N(number))) => holds(set, number.to_string().as_bytes()),
        (Stored::Bs(set), Some(Scalar::B(bytes))) => holds(set, bytes),
        _ => Ok(false),
    }
}

fn any<T>(
    elements: impl Iterator<Item = Result<T, Corrupt>>,
    test: impl Fn(T) -> Result<bool, Corrupt>,
) -> Result<bool, Corrupt> {
    for element in elements {
        if test(element?)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether `part` occurs in `whole`, in linear time (Knuth, Morris and Pratt): both may be 400 KB of a hostile pattern.
fn contains_bytes(whole: &[u8], part: &[u8]) -> bool {
    if part.len() > whole.len() {
        return false;
    }
    // For each beginning of `part`, the length of its longest proper beginning that is also its end.
    let mut borders = vec![0; part.len()];
    let advance = |borders: &[usize], mut matched: usize, byte: u8| {
        while matched > 0 && part[matched] != byte {
            matched = borders[matched - 1];
        }
        matched + usize::from(part[matched] == byte)
    };
    for end in 1..part.len() {
        borders[end] = advance(&borders, borders[end - 1], part[end]);
    }
    let mut matched = 0;
    part.is_empty()
        || whole.iter().any(|byte| {
            matched = advance(&borders, matched, *byte);
            matched == part.len()
        })
}

/// What `size` gives: characters of a string, bytes of a binary, members of the rest; none for the types without size.
pub(super) fn size(value: ValueRef<'_>) -> Result<Option<usize>, Corrupt> {
    match value {
        ValueRef::Built(value) => Ok(match value {
            AttributeValue::S(text) => Some(text.chars().count()),
            AttributeValue::B(bytes) => Some(bytes.len()),
            AttributeValue::M(map) => Some(map.len()),
            AttributeValue::L(list) => Some(list.len()),
            AttributeValue::Ss(set) => Some(set.len()),
            AttributeValue::Ns(set) => Some(set.len()),
            AttributeValue::Bs(set) => Some(set.len()),
            AttributeValue::N(_) | AttributeValue::Bool(_) | AttributeValue::Null => None,
        }),
        ValueRef::Stored(bytes) => match Stored::read(bytes)? {
            Stored::S(text) => Ok(Some(text.chars().count())),
            Stored::B(bytes) => Ok(Some(bytes.len())),
            Stored::M(entries) => count(entries),
            Stored::L(elements) | Stored::Ss(elements) | Stored::Ns(elements) | Stored::Bs(elements) => {
                count(elements)
            }
            Stored::N(_) | Stored::Bool(_) | Stored::Null => Ok(None),
        },
    }
}

fn count<I: Iterator<Item = Result<T, Corrupt>>, T>(elements: I) -> Result<Option<usize>, Corrupt> {
    let mut count = 0;
    for element in elements {
        element?;
        count += 1;
    }
    Ok(Some(count))
}

/// The type of a value.
pub(super) fn type_of(value: ValueRef<'_>) -> Result<Type, Corrupt> {
    Ok(match value {
        ValueRef::Built(value) => match value {
            AttributeValue::S(_) => Type::S,
            AttributeValue::N(_) => Type::N,
            AttributeValue::B(_) => Type::B,
            AttributeValue::Bool(_) => Type::Bool,
            AttributeValue::Null => Type::Null,
            AttributeValue::M(_) => Type::M,
            AttributeValue::L(_) => Type::L,
            AttributeValue::Ss(_) => Type::Ss,
            AttributeValue::Ns(_) => Type::Ns,
            AttributeValue::Bs(_) => Type::Bs,
        },
        ValueRef::Stored(bytes) => match Stored::read(bytes)? {
            Stored::S(_) => Type::S,
            Stored::N(_) => Type::N,
            Stored::B(_) => Type::B,
            Stored::Bool(_) => Type::Bool,
            Stored::Null => Type::Null,
            Stored::M(_) => Type::M,
            Stored::L(_) => Type::L,
            Stored::Ss(_) => Type::Ss,
            Stored::Ns(_) => Type::Ns,
            Stored::Bs(_) => Type::Bs,
        },
    })
}
