//! Keys: a table's key schema, and item keys as bytes whose order is DynamoDB's.
//!
//! An item key is made so that the items of one hash range, and within it of one partition key, lie together, and
//! within a partition key in sort key order:
//!
//! | part | bytes |
//! |---|---|
//! | partition hash | 8, big-endian: xxh3_64 (seed 0) of the next part |
//! | partition key | S, B: its bytes, each 00 as 00 FF, then 00 01; N: `Number::encode_ordered` |
//! | sort key, if the schema has one | S, B: its bytes; N: `Number::encode_ordered` |
//!
//! The middle part is self-delimiting, so no partition key's prefix is a prefix of another's. There are no type
//! marks: the schema of a table never changes. Neither may this layout or the hash: both are on disk, and the hash
//! decides which partition owns an item.

use std::borrow::Borrow;
use std::fmt;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use super::error::{Corrupt, Error};
use super::item::Item;
use super::limits::{PARTITION_KEY_BYTES_MAX, SORT_KEY_BYTES_MAX};
use super::name::AttributeName;
use super::number::Number;
use super::value::AttributeValue;

const HASH_BYTES: usize = 8;
const ESCAPE: u8 = 0x00;
const ESCAPED_ZERO: u8 = 0xFF;
const TERMINATOR: u8 = 0x01;

/// The type of a key attribute. Source: 2.1.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum KeyType {
    /// String, ordered by UTF-8 bytes.
    S,
    /// Number, ordered numerically.
    N,
    /// Binary, ordered by unsigned bytes.
    B,
}

impl KeyType {
    /// DynamoDB's name of the type: `S`, `N` or `B`.
    pub fn type_name(self) -> &'static str {
        match self {
            Self::S => "S",
            Self::N => "N",
            Self::B => "B",
        }
    }
}

/// One attribute of a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct KeyAttribute {
    /// The attribute's name.
    pub name: AttributeName,
    /// Its type.
    pub kind: KeyType,
}

/// Which attributes make an item's key. Fixed for a table's life.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct KeySchema {
    /// The partition key (`HASH` on the wire).
    pub partition: KeyAttribute,
    /// The sort key (`RANGE` on the wire).
    pub sort: Option<KeyAttribute>,
}

impl KeySchema {
    /// The key of an item to be put. Errors, partition key before sort key: `KeyMissing`, `KeyType`, `KeyEmpty`,
    /// `PartitionKeyTooLong`, `SortKeyTooLong`. Source: 2.1.3.
    pub fn key_of_item(&self, item: &Item) -> Result<ItemKey, Error> {
        self.key_by(|attribute| {
            let name = || attribute.name.to_string();
            let value = item.get(&attribute.name).ok_or_else(|| Error::KeyMissing { name: name() })?;
            Scalar::of(value, attribute.kind).ok_or_else(|| Error::KeyType {
                name: name(),
                expected: attribute.kind.type_name(),
                actual: value.type_name(),
            })
        })
    }

    /// The key given as a `Key` map: exactly the key attributes. Errors: `KeyMismatch` for others, missing ones or
    /// wrong types; else `KeyEmpty`, `PartitionKeyTooLong`, `SortKeyTooLong`. Source: 2.1.3.
    pub fn key_of_key(&self, key: &Item) -> Result<ItemKey, Error> {
        if key.len() != 1 + usize::from(self.sort.is_some()) {
            return Err(Error::KeyMismatch);
        }
        self.key_by(|attribute| {
            let value = key.get(&attribute.name).ok_or(Error::KeyMismatch)?;
            Scalar::of(value, attribute.kind).ok_or(Error::KeyMismatch)
        })
    }

    /// The bytes that the keys of all items of one partition key, and no others, begin with.
    /// Errors: `KeyMismatch` for a wrong type, `KeyEmpty`, `PartitionKeyTooLong`.
    pub fn partition_prefix(&self, value: &AttributeValue) -> Result<Bytes, Error> {
        let scalar = Scalar::of(value, self.partition.kind).ok_or(Error::KeyMismatch)?;
        let mut bytes = Vec::with_capacity(HASH_BYTES + scalar.len_max() + 2);
        put_partition(&self.partition, scalar, &mut bytes)?;
        Ok(bytes.into())
    }

    /// The bytes a sort key takes after the partition prefix: prefix + these is the item's key, and for S and B also
    /// what the keys of `begins_with` begin with. Errors: `KeyMismatch` for a wrong type or a schema without sort
    /// key, `KeyEmpty`, `SortKeyTooLong`.
    pub fn sort_suffix(&self, value: &AttributeValue) -> Result<Bytes, Error> {
        let sort = self.sort.as_ref().ok_or(Error::KeyMismatch)?;
        let scalar = Scalar::of(value, sort.kind).ok_or(Error::KeyMismatch)?;
        let mut bytes = Vec::with_capacity(scalar.len_max());
        put_sort(sort, scalar, &mut bytes)?;
        Ok(bytes.into())
    }

    /// The key attributes that an item key's bytes stand for. Errors: `Corrupt` if they are not such a key, which
    /// includes a hash that is not its partition key's.
    pub fn decode_key(&self, bytes: &[u8]) -> Result<Item, Corrupt> {
        let hash = hash_of(bytes)?;
        let malformed = |what, offset| Corrupt { what, offset };
        let (partition, len) = take_partition(self.partition.kind, &bytes[HASH_BYTES..])
            .ok_or(malformed("a malformed partition key", HASH_BYTES))?;
        let end = HASH_BYTES + len;
        if partition_hash(&bytes[HASH_BYTES..end]) != hash {
            return Err(malformed("a hash that is not the partition key's", 0));
        }
        let mut key = Item::new();
        key.insert(self.partition.name.clone(), partition);
        let rest = &bytes[end..];
        match &self.sort {
            Some(sort) => {
                let value = take_sort(sort.kind, rest).ok_or(malformed("a malformed sort key", end))?;
                key.insert(sort.name.clone(), value);
            }
            None if rest.is_empty() => {}
            None => return Err(malformed("bytes after the partition key", end)),
        }
        Ok(key)
    }

    /// The names of the key attributes, the partition key's first.
    pub fn names(&self) -> impl Iterator<Item = &AttributeName> {
        std::iter::once(&self.partition).chain(&self.sort).map(|attribute| &attribute.name)
    }

    /// Whether an attribute is part of the key.
    pub fn is_key(&self, name: &str) -> bool {
        self.names().any(|key| key.as_str() == name)
    }

    fn key_by<'a>(
        &self,
        scalar_of: impl Fn(&KeyAttribute) -> Result<Scalar<'a>, Error>,
    ) -> Result<ItemKey, Error> {
        let partition = scalar_of(&self.partition)?;
        let mut bytes = Vec::with_capacity(HASH_BYTES + partition.len_max() + 2 + 64);
        put_partition(&self.partition, partition, &mut bytes)?;
        if let Some(sort) = &self.sort {
            put_sort(sort, scalar_of(sort)?, &mut bytes)?;
        }
        Ok(ItemKey(bytes.into()))
    }
}

/// The key of an item as ordered bytes; see the layout above. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemKey(Bytes);

impl ItemKey {
    /// Takes bytes that once were an item key. Errors: `Corrupt` if they are too short to be one; the rest is
    /// checked by `KeySchema::decode_key`.
    pub fn from_bytes(bytes: Bytes) -> Result<Self, Corrupt> {
        hash_of(&bytes)?;
        Ok(Self(bytes))
    }

    /// The partition hash: which `HashRange`, so which partition, the item is in.
    pub fn hash(&self) -> u64 {
        hash_of(&self.0).expect("an item key begins with its hash")
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, owned.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

impl AsRef<[u8]> for ItemKey {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Borrow<[u8]> for ItemKey {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for ItemKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}:{:?}", self.hash(), self.0.slice(HASH_BYTES..))
    }
}

/// The hash of a partition key in its encoded form (the middle part of an item key). Stable for ever.
pub fn partition_hash(encoded: &[u8]) -> u64 {
    xxh3_64(encoded)
}

/// A range of partition hashes, both ends included. What a partition owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct HashRange {
    /// The smallest hash in it.
    pub first: u64,
    /// The largest hash in it; not below `first`.
    pub last: u64,
}

impl HashRange {
    /// All hashes.
    pub const FULL: Self = Self { first: 0, last: u64::MAX };

    /// Whether the hash is in the range.
    pub fn contains(&self, hash: u64) -> bool {
        self.first <= hash && hash <= self.last
    }

    /// All hashes in `count` ranges in rising order, whose lengths differ by at most one. `count` is at least 1.
    pub fn split_even(count: usize) -> Vec<Self> {
        assert!(count > 0, "hashes cannot be split into no ranges");
        let bound = |index: usize| (index as u128) * (1 << 64) / (count as u128);
        (0..count)
            .map(|index| Self { first: bound(index) as u64, last: (bound(index + 1) - 1) as u64 })
            .collect()
    }

    /// The lower and the upper half; `None` for a range of one hash.
    pub fn halves(&self) -> Option<(Self, Self)> {
        let middle = self.first + (self.last - self.first) / 2;
        (self.first < self.last)
            .then(|| (Self { first: self.first, last: middle }, Self { first: middle + 1, last: self.last }))
    }

    /// The smallest bytes an item key in the range can begin with.
    pub fn first_key(&self) -> [u8; 8] {
        self.first.to_be_bytes()
    }

    /// The smallest bytes above all item keys in the range; `None` if there are none.
    pub fn end_key(&self) -> Option<[u8; 8]> {
        self.last.checked_add(1).map(u64::to_be_bytes)
    }
}

impl fmt::Display for HashRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}..={:016x}", self.first, self.last)
    }
}

/// A value that a key may hold.
#[derive(Clone, Copy)]
enum Scalar<'a> {
    S(&'a str),
    N(&'a Number),
    B(&'a [u8]),
}

impl<'a> Scalar<'a> {
    fn of(value: &'a AttributeValue, kind: KeyType) -> Option<Self> {
        match (kind, value) {
            (KeyType::S, AttributeValue::S(text)) => Some(Self::S(text)),
            (KeyType::N, AttributeValue::N(number)) => Some(Self::N(number)),
            (KeyType::B, AttributeValue::B(bytes)) => Some(Self::B(bytes)),
            (KeyType::S | KeyType::N | KeyType::B, _) => None,
        }
    }

    /// The bytes it takes in a key without escapes, at most.
    fn len_max(self) -> usize {
        match self {
            Self::S(text) => text.len(),
            Self::N(_) => 24,
            Self::B(bytes) => bytes.len(),
        }
    }

    /// Refuses what is empty, or longer than `bytes_max`.
    fn check(self, attribute: &KeyAttribute, bytes_max: usize, too_long: Error) -> Result<(), Error> {
        let (len, kind) = match self {
            Self::S(text) => (text.len(), "string"),
            Self::N(_) => return Ok(()),
            Self::B(bytes) => (bytes.len(), "binary"),
        };
        if len == 0 {
            return Err(Error::KeyEmpty { name: attribute.name.to_string(), kind });
        }
        if len > bytes_max {
            return Err(too_long);
        }
        Ok(())
    }
}

fn put_partition(attribute: &KeyAttribute, scalar: Scalar<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
    scalar.check(attribute, PARTITION_KEY_BYTES_MAX, Error::PartitionKeyTooLong)?;
    let start = out.len();
    out.extend_from_slice(&[0; HASH_BYTES]);
    match scalar {
        Scalar::S(text) => put_escaped(text.as_bytes(), out),
        Scalar::N(number) => number.encode_ordered(out),
        Scalar::B(bytes) => put_escaped(bytes, out),
    }
    let hash = partition_hash(&out[start + HASH_BYTES..]);
    out[start..start + HASH_BYTES].copy_from_slice(&hash.to_be_bytes());
    Ok(())
}

fn put_sort(attribute: &KeyAttribute, scalar: Scalar<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
    scalar.check(attribute, SORT_KEY_BYTES_MAX, Error::SortKeyTooLong)?;
    match scalar {
        Scalar::S(text) => out.extend_from_slice(text.as_bytes()),
        Scalar::N(number) => number.encode_ordered(out),
        Scalar::B(bytes) => out.extend_from_slice(bytes),
    }
    Ok(())
}

fn put_escaped(bytes: &[u8], out: &mut Vec<u8>) {
    for (index, run) in bytes.split(|byte| *byte == ESCAPE).enumerate() {
        if index > 0 {
            out.extend_from_slice(&[ESCAPE, ESCAPED_ZERO]);
        }
        out.extend_from_slice(run);
    }
    out.extend_from_slice(&[ESCAPE, TERMINATOR]);
}

fn hash_of(bytes: &[u8]) -> Result<u64, Corrupt> {
    let hash = bytes.first_chunk::<HASH_BYTES>();
    Ok(u64::from_be_bytes(*hash.ok_or(Corrupt { what: "an item key without hash", offset: 0 })?))
}

/// The partition key at the start of `bytes`, and how many of them it takes.
fn take_partition(kind: KeyType, bytes: &[u8]) -> Option<(AttributeValue, usize)> {
    match kind {
        KeyType::N => Number::decode_ordered(bytes).map(|(number, len)| (AttributeValue::N(number), len)),
        KeyType::S => {
            let (unescaped, len) = take_escaped(bytes)?;
            Some((AttributeValue::S(String::from_utf8(unescaped).ok()?), len))
        }
        KeyType::B => take_escaped(bytes).map(|(unescaped, len)| (AttributeValue::B(unescaped.into()), len)),
    }
}

/// What `put_escaped` wrote at the start of `bytes`, if it is neither empty nor too long for a partition key.
fn take_escaped(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut out = Vec::new();
    let mut at = 0;
    loop {
        let run = bytes[at..].iter().position(|byte| *byte == ESCAPE)?;
        out.extend_from_slice(&bytes[at..at + run]);
        at += run + 2;
        match *bytes.get(at - 1)? {
            ESCAPED_ZERO => out.push(ESCAPE),
            TERMINATOR => break,
            _ => return None,
        }
    }
    (1..=PARTITION_KEY_BYTES_MAX).contains(&out.len()).then_some((out, at))
}

fn take_sort(kind: KeyType, bytes: &[u8]) -> Option<AttributeValue> {
    if !(1..=SORT_KEY_BYTES_MAX).contains(&bytes.len()) {
        return None;
    }
    match kind {
        KeyType::N => {
            let (number, len) = Number::decode_ordered(bytes)?;
            (len == bytes.len()).then_some(AttributeValue::N(number))
        }
        KeyType::S => Some(AttributeValue::S(std::str::from_utf8(bytes).ok()?.to_owned())),
        KeyType::B => Some(AttributeValue::B(Bytes::copy_from_slice(bytes))),
    }
}

#[cfg(test)]
#[path = "key_test.rs"]
mod tests;
