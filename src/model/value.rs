//! The attribute value: ten types, equality by value, DynamoDB's size (2.1.1, 2.1.5).

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::error::Error;
use super::limits::NESTING_MAX;
use super::name::AttributeName;
use super::number::Number;

/// A value of an attribute. Equality is deep and by value: sets and maps are unordered, numbers numeric.
///
/// Sets are public variants and so could be built empty; values from outside must come through `string_set`,
/// `number_set` and `binary_set`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AttributeValue {
    /// A string of any code points, NUL included; may be empty.
    S(String),
    /// A number.
    N(Number),
    /// Bytes; may be empty.
    B(Bytes),
    /// A boolean.
    Bool(bool),
    /// The null value.
    Null,
    /// A map; may be empty.
    M(BTreeMap<AttributeName, AttributeValue>),
    /// A list; may be empty.
    L(Vec<AttributeValue>),
    /// A set of strings; not empty.
    Ss(BTreeSet<String>),
    /// A set of numbers; not empty.
    Ns(BTreeSet<Number>),
    /// A set of bytes; not empty.
    Bs(BTreeSet<Bytes>),
}

impl AttributeValue {
    /// DynamoDB's name of the type: `S`, `N`, `B`, `BOOL`, `NULL`, `M`, `L`, `SS`, `NS` or `BS`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::S(_) => "S",
            Self::N(_) => "N",
            Self::B(_) => "B",
            Self::Bool(_) => "BOOL",
            Self::Null => "NULL",
            Self::M(_) => "M",
            Self::L(_) => "L",
            Self::Ss(_) => "SS",
            Self::Ns(_) => "NS",
            Self::Bs(_) => "BS",
        }
    }

    /// What DynamoDB counts for it in bytes, without the attribute's name. Source: 2.1.5.
    pub fn size(&self) -> usize {
        match self {
            Self::S(text) => text.len(),
            Self::N(number) => number.size(),
            Self::B(bytes) => bytes.len(),
            Self::Bool(_) | Self::Null => 1,
            Self::M(map) => {
                3 + map.iter().map(|(name, value)| 1 + name.as_str().len() + value.size()).sum::<usize>()
            }
            Self::L(list) => 3 + list.iter().map(|value| 1 + value.size()).sum::<usize>(),
            Self::Ss(set) => set.iter().map(String::len).sum(),
            Self::Ns(set) => set.iter().map(Number::size).sum(),
            Self::Bs(set) => set.iter().map(Bytes::len).sum(),
        }
    }

    /// A set of strings. Errors: `SetEmpty`, `SetDuplicates`. Source: 2.1.1.
    pub fn string_set(members: Vec<String>) -> Result<Self, Error> {
        let len = members.len();
        let set: BTreeSet<String> = members.iter().cloned().collect();
        check_set("SS", len, set.len(), || members.join(", "))?;
        Ok(Self::Ss(set))
    }

    /// A set of numbers; members are compared numerically. Errors: `SetEmpty`, `SetDuplicates`. Source: 2.1.1.
    pub fn number_set(members: Vec<Number>) -> Result<Self, Error> {
        let len = members.len();
        let set: BTreeSet<Number> = members.into_iter().collect();
        check_set("NS", len, set.len(), String::new)?;
        Ok(Self::Ns(set))
    }

    /// A set of bytes. Errors: `SetEmpty`, `SetDuplicates`. Source: 2.1.1.
    pub fn binary_set(members: Vec<Bytes>) -> Result<Self, Error> {
        let len = members.len();
        let set: BTreeSet<Bytes> = members.iter().cloned().collect();
        check_set("BS", len, set.len(), || {
            members.iter().map(|member| base64(member)).collect::<Vec<_>>().join(", ")
        })?;
        Ok(Self::Bs(set))
    }

    /// Whether the value and all inside it are within `NESTING_MAX` levels, itself being the first.
    /// Errors: `NestingTooDeep`. Source: 2.1.4.
    pub fn check_nesting(&self) -> Result<(), Error> {
        if self.nests_within(NESTING_MAX) { Ok(()) } else { Err(Error::NestingTooDeep) }
    }

    /// Recurses at most `levels` deep, whatever the value.
    fn nests_within(&self, levels: usize) -> bool {
        if levels == 0 {
            return false;
        }
        match self {
            Self::M(map) => map.values().all(|value| value.nests_within(levels - 1)),
            Self::L(list) => list.iter().all(|value| value.nests_within(levels - 1)),
            Self::S(_) | Self::N(_) | Self::B(_) | Self::Bool(_) | Self::Null => true,
            Self::Ss(_) | Self::Ns(_) | Self::Bs(_) => true,
        }
    }
}

fn check_set(
    type_name: &'static str,
    len: usize,
    distinct: usize,
    members: impl FnOnce() -> String,
) -> Result<(), Error> {
    if len == 0 {
        return Err(Error::SetEmpty { type_name });
    }
    if len != distinct {
        return Err(Error::SetDuplicates { type_name, members: members() });
    }
    Ok(())
}

/// Standard base64 with padding, for error texts only: the wire has its own.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let sextet = (group >> (18 - 6 * place)) & 63;
            text.push(if place <= chunk.len() { ALPHABET[sextet as usize] as char } else { '=' });
        }
    }
    text
}

#[cfg(test)]
#[path = "value_test.rs"]
mod tests;
