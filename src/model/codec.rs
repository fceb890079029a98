//! The stored form of an item: compact, versioned and canonical. Equal items have equal bytes and different items
//! different ones, so that "did this write change anything" is a comparison of bytes.
//!
//! | what | bytes |
//! |---|---|
//! | item | version (1), then as M without its tag |
//! | length, count | varint: 7 bits a byte from the low end, high bit = more follows, shortest form, below 2^32 |
//! | name | length, UTF-8 bytes; 1 to 65535 of them |
//! | S, B | tag 1, 3; length, bytes |
//! | N | tag 2; `Number::encode_ordered` |
//! | BOOL | tag 4 false, 5 true |
//! | NULL | tag 6 |
//! | M | tag 7; count, then name and value of each, names strictly rising by bytes |
//! | L | tag 8; count, then the values |
//! | SS, BS | tag 9, 11; count (not 0), then length and bytes of each, strictly rising by bytes |
//! | NS | tag 10; count (not 0), then `Number::encode_ordered` of each, strictly rising |
//!
//! Decoding trusts nothing: recursion is bounded by `NESTING_MAX`, memory by a multiple of the input, and bytes that
//! encoding could not have written are `Corrupt`. Size and attribute walks read without allocating.
//! A new layout takes a new version byte; the old one must stay readable as long as any item may hold it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::error::Corrupt;
use super::item::Item;
use super::limits::NESTING_MAX;
use super::name::AttributeName;
use super::number::Number;
use super::value::AttributeValue;

const VERSION: u8 = 1;

mod tag {
    pub const S: u8 = 1;
    pub const N: u8 = 2;
    pub const B: u8 = 3;
    pub const FALSE: u8 = 4;
    pub const TRUE: u8 = 5;
    pub const NULL: u8 = 6;
    pub const M: u8 = 7;
    pub const L: u8 = 8;
    pub const SS: u8 = 9;
    pub const NS: u8 = 10;
    pub const BS: u8 = 11;
}

/// Appends the stored form of an item. The item must be valid (`Item::validate`) and its sets not empty, or the
/// bytes will not decode.
pub fn encode_item(item: &Item, out: &mut Vec<u8>) {
    out.push(VERSION);
    put_map(item.as_map(), out);
}

/// Appends the stored form of one value, without a version. The value must be valid as for `encode_item`.
pub fn encode_value(value: &AttributeValue, out: &mut Vec<u8>) {
    match value {
        AttributeValue::S(text) => {
            out.push(tag::S);
            put_bytes(text.as_bytes(), out);
        }
        AttributeValue::N(number) => {
            out.push(tag::N);
            number.encode_ordered(out);
        }
        AttributeValue::B(bytes) => {
            out.push(tag::B);
            put_bytes(bytes, out);
        }
        AttributeValue::Bool(false) => out.push(tag::FALSE),
        AttributeValue::Bool(true) => out.push(tag::TRUE),
        AttributeValue::Null => out.push(tag::NULL),
        AttributeValue::M(map) => {
            out.push(tag::M);
            put_map(map, out);
        }
        AttributeValue::L(list) => {
            out.push(tag::L);
            put_varint(list.len(), out);
            list.iter().for_each(|value| encode_value(value, out));
        }
        AttributeValue::Ss(set) => {
            out.push(tag::SS);
            put_varint(set.len(), out);
            set.iter().for_each(|member| put_bytes(member.as_bytes(), out));
        }
        AttributeValue::Ns(set) => {
            out.push(tag::NS);
            put_varint(set.len(), out);
            set.iter().for_each(|member| member.encode_ordered(out));
        }
        AttributeValue::Bs(set) => {
            out.push(tag::BS);
            put_varint(set.len(), out);
            set.iter().for_each(|member| put_bytes(member, out));
        }
    }
}

/// Decodes what `encode_item` wrote, all of `bytes`. Errors: `Corrupt` for anything else.
pub fn decode_item(bytes: &[u8]) -> Result<Item, Corrupt> {
    let mut reader = Reader { bytes, at: 0 };
    reader.version()?;
    let item = Item::from(reader.map(NESTING_MAX)?);
    reader.end()?;
    Ok(item)
}

/// Decodes what `encode_value` wrote, all of `bytes`. Errors: `Corrupt` for anything else.
pub fn decode_value(bytes: &[u8]) -> Result<AttributeValue, Corrupt> {
    let mut reader = Reader { bytes, at: 0 };
    let value = reader.value(NESTING_MAX)?;
    reader.end()?;
    Ok(value)
}

/// `Item::size` of a stored item, in bytes as DynamoDB counts them, without building it. Errors: `Corrupt` exactly
/// where `decode_item` gives it.
pub fn item_size_encoded(bytes: &[u8]) -> Result<usize, Corrupt> {
    let mut reader = Reader { bytes, at: 0 };
    reader.version()?;
    let (size, _) = reader.measure_map(NESTING_MAX)?;
    reader.end()?;
    Ok(size)
}

/// The attributes of a stored item in order, each value in its stored form (for `decode_value`), without building
/// anything. Checks as it goes: after the first `Corrupt` it ends, and what was given before it is sound in itself.
pub fn attributes(bytes: &[u8]) -> Attributes<'_> {
    Attributes { reader: Reader { bytes, at: 0 }, state: Walk::Start }
}

/// The walk of `attributes`.
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    reader: Reader<'a>,
    state: Walk<'a>,
}

#[derive(Clone, Debug)]
enum Walk<'a> {
    Start,
    Inside { left: usize, previous: Option<&'a str> },
    Done,
}

impl<'a> Attributes<'a> {
    fn step(&mut self) -> Result<Option<(&'a str, &'a [u8])>, Corrupt> {
        let (left, previous) = match self.state {
            Walk::Done => return Ok(None),
            Walk::Inside { left, previous } => (left, previous),
            Walk::Start => {
                self.reader.version()?;
                (self.reader.count()?, None)
            }
        };
        if left == 0 {
            self.reader.end()?;
            self.state = Walk::Done;
            return Ok(None);
        }
        let name = self.reader.name_after(previous)?;
        let start = self.reader.at;
        self.reader.measure(NESTING_MAX)?;
        self.state = Walk::Inside { left: left - 1, previous: Some(name) };
        Ok(Some((name, &self.reader.bytes[start..self.reader.at])))
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<(&'a str, &'a [u8]), Corrupt>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if step.is_err() {
            self.state = Walk::Done;
        }
        step.transpose()
    }
}

fn put_varint(value: usize, out: &mut Vec<u8>) {
    let mut value = u32::try_from(value).expect("limits keep lengths and counts below 2^32");
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_varint(bytes.len(), out);
    out.extend_from_slice(bytes);
}

fn put_map(map: &BTreeMap<AttributeName, AttributeValue>, out: &mut Vec<u8>) {
    put_varint(map.len(), out);
    for (name, value) in map {
        put_bytes(name.as_str().as_bytes(), out);
        encode_value(value, out);
    }
}

/// A position in bytes that may hold anything.
#[derive(Clone, Debug)]
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn corrupt(&self, what: &'static str) -> Corrupt {
        Corrupt { what, offset: self.at }
    }

    fn byte(&mut self) -> Result<u8, Corrupt> {
        let byte = *self.bytes.get(self.at).ok_or_else(|| self.corrupt("an early end"))?;
        self.at += 1;
        Ok(byte)
    }

    fn version(&mut self) -> Result<(), Corrupt> {
        match self.byte()? {
            VERSION => Ok(()),
            _ => Err(Corrupt { what: "an unknown version of an item", offset: 0 }),
        }
    }

    fn end(&self) -> Result<(), Corrupt> {
        if self.at == self.bytes.len() { Ok(()) } else { Err(self.corrupt("bytes after the end")) }
    }

    fn varint(&mut self) -> Result<usize, Corrupt> {
        let mut value = 0u64;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                if byte == 0 && shift > 0 {
                    return Err(self.corrupt("a length longer than need be"));
                }
                let value = u32::try_from(value).map_err(|_| self.corrupt("a length above 2^32"))?;
                return Ok(value as usize);
            }
        }
        Err(self.corrupt("a length without end"))
    }

    /// A number of things that take at least a byte each: a count the rest cannot hold is refused before work.
    fn count(&mut self) -> Result<usize, Corrupt> {
        let count = self.varint()?;
        if count > self.bytes.len() - self.at {
            return Err(self.corrupt("a count larger than the rest"));
        }
        Ok(count)
    }

    fn members(&mut self) -> Result<usize, Corrupt> {
        match self.count()? {
            0 => Err(self.corrupt("an empty set")),
            count => Ok(count),
        }
    }

    fn slice(&mut self) -> Result<&'a [u8], Corrupt> {
        let len = self.varint()?;
        let rest = &self.bytes[self.at..];
        let slice = rest.get(..len).ok_or_else(|| self.corrupt("a length larger than the rest"))?;
        self.at += len;
        Ok(slice)
    }

    fn text(&mut self) -> Result<&'a str, Corrupt> {
        let slice = self.slice()?;
        std::str::from_utf8(slice).map_err(|_| self.corrupt("text that is not UTF-8"))
    }

    fn name_after(&mut self, previous: Option<&'a str>) -> Result<&'a str, Corrupt> {
        let name = self.text()?;
        if name.is_empty() || name.len() > super::limits::ATTRIBUTE_NAME_BYTES_MAX {
            return Err(self.corrupt("an attribute name of a wrong length"));
        }
        self.rising(previous, name)
    }

    fn rising<T: PartialOrd>(&self, previous: Option<T>, next: T) -> Result<T, Corrupt> {
        if previous.is_some_and(|previous| previous >= next) {
            return Err(self.corrupt("names or members that do not rise"));
        }
        Ok(next)
    }

    /// The bytes of a number, and its size as DynamoDB counts it.
    fn number_bytes(&mut self) -> Result<(&'a [u8], usize), Corrupt> {
        let rest = &self.bytes[self.at..];
        let (len, size) = Number::measure_ordered(rest).ok_or_else(|| self.corrupt("a malformed number"))?;
        self.at += len;
        Ok((&rest[..len], size))
    }

    fn number(&mut self) -> Result<Number, Corrupt> {
        let rest = &self.bytes[self.at..];
        let (number, len) = Number::decode_ordered(rest).ok_or_else(|| self.corrupt("a malformed number"))?;
        self.at += len;
        Ok(number)
    }

    /// The tag of a value that may nest `levels` deep, itself being the first.
    fn tag(&mut self, levels: usize) -> Result<u8, Corrupt> {
        if levels == 0 {
            return Err(self.corrupt("values nested too deep"));
        }
        self.byte()
    }

    fn value(&mut self, levels: usize) -> Result<AttributeValue, Corrupt> {
        let tag = self.tag(levels)?;
        Ok(match tag {
            tag::S => AttributeValue::S(self.text()?.to_owned()),
            tag::N => AttributeValue::N(self.number()?),
            tag::B => AttributeValue::B(Bytes::copy_from_slice(self.slice()?)),
            tag::FALSE => AttributeValue::Bool(false),
            tag::TRUE => AttributeValue::Bool(true),
            tag::NULL => AttributeValue::Null,
            tag::M => AttributeValue::M(self.map(levels - 1)?),
            tag::L => {
                let count = self.count()?;
                let mut list = Vec::new();
                for _ in 0..count {
                    list.push(self.value(levels - 1)?);
                }
                AttributeValue::L(list)
            }
            tag::SS => AttributeValue::Ss(self.set(|reader| reader.text(), str::to_owned)?),
            tag::NS => AttributeValue::Ns(self.set(Self::number, |number| number)?),
            tag::BS => AttributeValue::Bs(self.set(|reader| reader.slice(), Bytes::copy_from_slice)?),
            _ => return Err(Corrupt { what: "an unknown type of a value", offset: self.at - 1 }),
        })
    }

    /// The attributes of a map whose values may nest `levels` deep.
    fn map(&mut self, levels: usize) -> Result<BTreeMap<AttributeName, AttributeValue>, Corrupt> {
        let count = self.count()?;
        let mut previous = None;
        let pairs = (0..count).map(|_| {
            let name = self.name_after(previous)?;
            previous = Some(name);
            let value = self.value(levels)?;
            let name = AttributeName::parse(name).map_err(|_| self.corrupt("a malformed attribute name"))?;
            Ok((name, value))
        });
        pairs.collect()
    }

    fn set<T: PartialOrd + Copy, M: Ord>(
        &mut self,
        read: impl Fn(&mut Self) -> Result<T, Corrupt>,
        own: impl Fn(T) -> M,
    ) -> Result<BTreeSet<M>, Corrupt> {
        let count = self.members()?;
        let mut previous = None;
        let members = (0..count).map(|_| {
            let next = read(self)?;
            previous = Some(self.rising(previous, next)?);
            Ok(own(next))
        });
        members.collect()
    }

    /// Passes over a value as `value` reads it; gives what DynamoDB counts for it.
    fn measure(&mut self, levels: usize) -> Result<usize, Corrupt> {
        let tag = self.tag(levels)?;
        Ok(match tag {
            tag::S => self.text()?.len(),
            tag::N => self.number_bytes()?.1,
            tag::B => self.slice()?.len(),
            tag::FALSE | tag::TRUE | tag::NULL => 1,
            tag::M => {
                let (size, count) = self.measure_map(levels - 1)?;
                3 + count + size
            }
            tag::L => {
                let count = self.count()?;
                let mut size = 3 + count;
                for _ in 0..count {
                    size += self.measure(levels - 1)?;
                }
                size
            }
            tag::SS => self.measure_set(|reader| reader.text().map(|text| (text.as_bytes(), text.len())))?,
            tag::NS => self.measure_set(Self::number_bytes)?,
            tag::BS => self.measure_set(|reader| reader.slice().map(|slice| (slice, slice.len())))?,
            _ => return Err(Corrupt { what: "an unknown type of a value", offset: self.at - 1 }),
        })
    }

    /// Passes over a map; gives the sizes of its names and values, and their count.
    fn measure_map(&mut self, levels: usize) -> Result<(usize, usize), Corrupt> {
        let count = self.count()?;
        let mut previous = None;
        let mut size = 0;
        for _ in 0..count {
            let name = self.name_after(previous)?;
            previous = Some(name);
            size += name.len() + self.measure(levels)?;
        }
        Ok((size, count))
    }

    fn measure_set(
        &mut self,
        read: impl Fn(&mut Self) -> Result<(&'a [u8], usize), Corrupt>,
    ) -> Result<usize, Corrupt> {
        let count = self.members()?;
        let mut previous = None;
        let mut size = 0;
        for _ in 0..count {
            let (member, member_size) = read(self)?;
            previous = Some(self.rising(previous, member)?);
            size += member_size;
        }
        Ok(size)
    }
}

#[cfg(test)]
#[path = "codec_test.rs"]
mod tests;
