//! The stored form of an item: exactly the canonical protobuf encoding of `watertable.v1.Item`, so that an item is
//! encoded once and goes from disk into an answer without being touched. Canonical means that equal items have equal
//! bytes and different items different ones: "did this write change anything" is a comparison of bytes.
//!
//! | what | bytes |
//! |---|---|
//! | item | entries: nothing for an item without attributes |
//! | entries | `0A` length, entry; for each, names strictly rising by bytes |
//! | entry | `0A` length, name (UTF-8, 1 to 65535 bytes); `12` length, value |
//! | value S, B | `0A`, `1A`; length, bytes |
//! | value N | `12` length, canonical decimal text: what `Number` displays |
//! | value BOOL | `20 00` false, `20 01` true |
//! | value NULL | `28 01` |
//! | value M | `32` length, entries |
//! | value L | `3A` length; then `0A` length, value for each element |
//! | value SS, BS | `42`, `52`; length (not 0); then `0A` length, bytes for each member, strictly rising by bytes |
//! | value NS | `4A` length (not 0); then `0A` length, canonical text for each member, strictly rising numerically |
//! | length | varint: 7 bits a byte from the low end, high bit = more follows, shortest form, below 2^32 |
//!
//! A protobuf decoder reads more than this; `rpc::item` reads what any client may send. Decoding here trusts nothing:
//! recursion is bounded by `NESTING_MAX`, memory by a multiple of the input, and bytes that encoding could not have
//! written are `Corrupt`. Size and attribute walks read without allocating and without building numbers.
//!
//! Encoding goes backwards, from the last byte to the first: a length comes after what it counts, so nothing is
//! measured first or moved later, however deep. There is no version byte: the layout is the public API's, which only
//! grows, and whatever holds an item (an entry, a stored row) has a version of its own.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};

use bytes::Bytes;

use super::error::Corrupt;
use super::item::Item;
use super::limits::{
    ATTRIBUTE_NAME_BYTES_MAX, NESTING_MAX, NUMBER_DIGITS_MAX, NUMBER_MAGNITUDE_MAX, NUMBER_MAGNITUDE_MIN,
};
use super::name::AttributeName;
use super::number::Number;
use super::value::AttributeValue;

/// First bytes of fields: field number * 8 + wire type.
pub(super) mod tag {
    /// What repeats: an entry of a map, an element of a list, a member of a set.
    pub const EACH: u8 = 0x0A;
    pub const NAME: u8 = 0x0A;
    pub const VALUE: u8 = 0x12;

    pub const S: u8 = 0x0A;
    pub const N: u8 = 0x12;
    pub const B: u8 = 0x1A;
    pub const BOOL: u8 = 0x20;
    pub const NULL: u8 = 0x28;
    pub const M: u8 = 0x32;
    pub const L: u8 = 0x3A;
    pub const SS: u8 = 0x42;
    pub const NS: u8 = 0x4A;
    pub const BS: u8 = 0x52;
}

/// Plain decimal at its longest: sign, `0.`, zeros after it, digits.
const NUMBER_TEXT_BYTES_MAX: usize = 3 + NUMBER_MAGNITUDE_MIN.unsigned_abs() as usize - 1 + NUMBER_DIGITS_MAX;

/// Appends the stored form of an item. The item must be valid (`Item::validate`) and its sets not empty, or the
/// bytes will not decode.
pub fn encode_item(item: &Item, out: &mut Vec<u8>) {
    let mut writer = Writer::new(out);
    writer.entries(item.as_map());
    writer.finish();
}

/// Appends the stored form of one value: the fields of an `AttributeValue` message. The value must be valid as for
/// `encode_item`.
pub fn encode_value(value: &AttributeValue, out: &mut Vec<u8>) {
    let mut writer = Writer::new(out);
    writer.value(value);
    writer.finish();
}

/// Decodes what `encode_item` wrote, all of `bytes`. Errors: `Corrupt` for anything else.
pub fn decode_item(bytes: &[u8]) -> Result<Item, Corrupt> {
    let mut reader = Reader { bytes, at: 0 };
    Ok(Item::from(reader.map(NESTING_MAX)?))
}

/// Decodes what `encode_value` wrote, all of `bytes`. Errors: `Corrupt` for anything else.
pub fn decode_value(bytes: &[u8]) -> Result<AttributeValue, Corrupt> {
    let mut reader = Reader { bytes, at: 0 };
    reader.value(NESTING_MAX)
}

/// `Item::size` of a stored item, in bytes as DynamoDB counts them, without building it. Errors: `Corrupt` exactly
/// where `decode_item` gives it.
pub fn item_size_encoded(bytes: &[u8]) -> Result<usize, Corrupt> {
    let mut reader = Reader { bytes, at: 0 };
    let (size, _) = reader.measure_map(NESTING_MAX)?;
    Ok(size)
}

/// The attributes of a stored item in order, each value in its stored form (for `decode_value`), without building
/// anything. Checks as it goes: after the first `Corrupt` it ends, and what was given before it is sound in itself.
pub fn attributes(bytes: &[u8]) -> Attributes<'_> {
    Attributes { reader: Reader { bytes, at: 0 }, previous: None }
}

/// The walk of `attributes`.
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    reader: Reader<'a>,
    previous: Option<&'a str>,
}

impl<'a> Attributes<'a> {
    fn step(&mut self) -> Result<(&'a str, &'a [u8]), Corrupt> {
        let (name, mut value) = self.reader.entry(self.previous)?;
        self.previous = Some(name);
        let bytes = &value.bytes[value.at..];
        value.measure(NESTING_MAX)?;
        Ok((name, bytes))
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<(&'a str, &'a [u8]), Corrupt>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.done() {
            return None;
        }
        let step = self.step();
        if step.is_err() {
            self.reader.at = self.reader.bytes.len();
        }
        Some(step)
    }
}

/// Writes from the last byte to the first, behind what is in `out` already.
struct Writer<'a> {
    out: &'a mut Vec<u8>,
    /// `out[..start]` is not ours.
    start: usize,
    /// `out[at..]` is written, `out[start..at]` is free.
    at: usize,
}

impl<'a> Writer<'a> {
    fn new(out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        Self { out, start, at: start }
    }

    fn finish(self) {
        let len = self.len();
        self.out.copy_within(self.at.., self.start);
        self.out.truncate(self.start + len);
    }

    /// Number of bytes written.
    fn len(&self) -> usize {
        self.out.len() - self.at
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        if self.at - self.start < bytes.len() {
            self.grow(bytes.len());
        }
        let end = self.at;
        self.at -= bytes.len();
        self.out[self.at..end].copy_from_slice(bytes);
    }

    /// At least doubles, so that what is moved here is less than what is written in the end.
    #[cold]
    fn grow(&mut self, needed: usize) {
        const FIRST: usize = 512;
        let len = self.out.len();
        let extra = needed.max(len - self.start).max(FIRST);
        self.out.resize(len + extra, 0);
        self.out.copy_within(self.at..len, self.at + extra);
        self.at += extra;
    }

    /// What precedes a payload of such a length.
    #[inline]
    fn header(&mut self, tag: u8, len: usize) {
        if len < 0x80 {
            return self.put(&[tag, len as u8]);
        }
        let mut rest = u32::try_from(len).expect("limits keep lengths below 2^32");
        let mut bytes = [tag, 0, 0, 0, 0, 0];
        let mut at = 1;
        while rest >= 0x80 {
            bytes[at] = rest as u8 | 0x80;
            rest >>= 7;
            at += 1;
        }
        bytes[at] = rest as u8;
        self.put(&bytes[..=at]);
    }

    #[inline]
    fn field(&mut self, tag: u8, payload: &[u8]) {
        self.put(payload);
        self.header(tag, payload.len());
    }

    /// A field whose payload `write` writes.
    #[inline]
    fn message(&mut self, tag: u8, write: impl FnOnce(&mut Self)) {
        let before = self.len();
        write(self);
        self.header(tag, self.len() - before);
    }

    fn number(&mut self, tag: u8, number: &Number) {
        let mut text = NumberText { bytes: [0; NUMBER_TEXT_BYTES_MAX], len: 0 };
        write!(text, "{number}").expect("a number's text fits its bound");
        self.field(tag, &text.bytes[..text.len]);
    }

    fn value(&mut self, value: &AttributeValue) {
        match value {
            AttributeValue::S(text) => self.field(tag::S, text.as_bytes()),
            AttributeValue::N(number) => self.number(tag::N, number),
            AttributeValue::B(bytes) => self.field(tag::B, bytes),
            AttributeValue::Bool(value) => self.put(&[tag::BOOL, u8::from(*value)]),
            AttributeValue::Null => self.put(&[tag::NULL, 1]),
            AttributeValue::M(map) => self.message(tag::M, |writer| writer.entries(map)),
            AttributeValue::L(list) => self.message(tag::L, |writer| {
                for value in list.iter().rev() {
                    writer.message(tag::EACH, |writer| writer.value(value));
                }
            }),
            AttributeValue::Ss(set) => self.message(tag::SS, |writer| {
                set.iter().rev().for_each(|member| writer.field(tag::EACH, member.as_bytes()));
            }),
            AttributeValue::Ns(set) => self.message(tag::NS, |writer| {
                set.iter().rev().for_each(|member| writer.number(tag::EACH, member));
            }),
            AttributeValue::Bs(set) => self.message(tag::BS, |writer| {
                set.iter().rev().for_each(|member| writer.field(tag::EACH, member));
            }),
        }
    }

    fn entries(&mut self, map: &BTreeMap<AttributeName, AttributeValue>) {
        for (name, value) in map.iter().rev() {
            self.message(tag::EACH, |writer| {
                writer.message(tag::VALUE, |writer| writer.value(value));
                writer.field(tag::NAME, name.as_str().as_bytes());
            });
        }
    }
}

/// A number's text without an allocation.
struct NumberText {
    bytes: [u8; NUMBER_TEXT_BYTES_MAX],
    len: usize,
}

impl Write for NumberText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.bytes.get_mut(self.len..self.len + text.len()).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.len += text.len();
        Ok(())
    }
}

/// The canonical text of a number, with what its size and its order need.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Decimal<'a> {
    text: &'a [u8],
    negative: bool,
    /// Significant digits; 0 for zero.
    digits: usize,
    /// Decimal exponent of the leading digit; 0 for zero.
    magnitude: i16,
}

impl<'a> Decimal<'a> {
    /// `None` if the text is not what a `Number` displays.
    fn of(text: &'a [u8]) -> Option<Self> {
        if text.len() > NUMBER_TEXT_BYTES_MAX {
            return None;
        }
        let plain = text.strip_prefix(b"-").unwrap_or(text);
        let negative = plain.len() < text.len();
        let (whole, fraction) = match plain.iter().position(|byte| *byte == b'.') {
            Some(point) => (&plain[..point], Some(&plain[point + 1..])),
            None => (plain, None),
        };
        if !whole.iter().chain(fraction.unwrap_or_default()).all(u8::is_ascii_digit) {
            return None;
        }
        let (digits, magnitude) = match (whole, fraction) {
            ([b'0'], None) if !negative => (0, 0),
            ([b'0'], Some(fraction @ [.., b'1'..=b'9'])) => {
                let digits = fraction.iter().skip_while(|byte| **byte == b'0').count();
                (digits, -1 - (fraction.len() - digits) as i16)
            }
            ([b'1'..=b'9', ..], None) => {
                let digits = whole.iter().rev().skip_while(|byte| **byte == b'0').count();
                (digits, whole.len() as i16 - 1)
            }
            ([b'1'..=b'9', ..], Some(fraction @ [.., b'1'..=b'9'])) => {
                (whole.len() + fraction.len(), whole.len() as i16 - 1)
            }
            _ => return None,
        };
        let sound =
            digits <= NUMBER_DIGITS_MAX && (NUMBER_MAGNITUDE_MIN..=NUMBER_MAGNITUDE_MAX).contains(&magnitude);
        sound.then_some(Self { text, negative, digits, magnitude })
    }

    pub(super) fn number(&self) -> Number {
        let text = std::str::from_utf8(self.text).expect("digits, signs and points are ASCII");
        Number::parse(text).expect("canonical text in range is a number")
    }

    /// `Number::size` of it.
    fn size(&self) -> usize {
        if self.digits == 0 {
            return 1;
        }
        let straddles = self.digits.is_multiple_of(2) && self.magnitude % 2 == 0;
        1 + self.digits.div_ceil(2) + usize::from(straddles) + usize::from(self.negative)
    }

    /// -1, 0 or 1.
    fn sign(&self) -> i8 {
        if self.negative { -1 } else { i8::from(self.digits > 0) }
    }
}

impl PartialOrd for Decimal<'_> {
    /// Numeric order. Texts of one sign and magnitude have the point at the same place, so they order as bytes.
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let order = self.sign().cmp(&other.sign()).then_with(|| {
            let size = self.magnitude.cmp(&other.magnitude).then_with(|| self.text.cmp(other.text));
            if self.negative { size.reverse() } else { size }
        });
        Some(order)
    }
}

/// A position in a message that may hold anything; the bytes end where the message ends, offsets count from the
/// start of what was given to the decoder.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Reader<'a> {
    fn corrupt(&self, what: &'static str) -> Corrupt {
        Corrupt { what, offset: self.at }
    }

    pub(super) fn done(&self) -> bool {
        self.at == self.bytes.len()
    }

    pub(super) fn end(&self) -> Result<(), Corrupt> {
        if self.done() { Ok(()) } else { Err(self.corrupt("bytes after the end")) }
    }

    #[inline]
    pub(super) fn byte(&mut self) -> Result<u8, Corrupt> {
        let byte = *self.bytes.get(self.at).ok_or_else(|| self.corrupt("an early end"))?;
        self.at += 1;
        Ok(byte)
    }

    #[inline]
    fn varint(&mut self) -> Result<usize, Corrupt> {
        let first = self.byte()?;
        if first < 0x80 { Ok(usize::from(first)) } else { self.long_varint(first) }
    }

    fn long_varint(&mut self, first: u8) -> Result<usize, Corrupt> {
        let mut value = u64::from(first & 0x7F);
        for shift in (7..35).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                if byte == 0 {
                    return Err(self.corrupt("a length longer than need be"));
                }
                let value = u32::try_from(value).map_err(|_| self.corrupt("a length above 2^32"))?;
                return Ok(value as usize);
            }
        }
        Err(self.corrupt("a length without end"))
    }

    /// The payload after a tag that was read: its length comes first.
    #[inline]
    pub(super) fn slice(&mut self) -> Result<&'a [u8], Corrupt> {
        let len = self.varint()?;
        let slice = self.bytes[self.at..].get(..len);
        let slice = slice.ok_or_else(|| self.corrupt("a length larger than the rest"))?;
        self.at += len;
        Ok(slice)
    }

    /// As `slice`, to be read as a message.
    #[inline]
    pub(super) fn message(&mut self) -> Result<Self, Corrupt> {
        let len = self.slice()?.len();
        Ok(Self { bytes: &self.bytes[..self.at], at: self.at - len })
    }

    pub(super) fn text(&mut self) -> Result<&'a str, Corrupt> {
        let slice = self.slice()?;
        std::str::from_utf8(slice).map_err(|_| self.corrupt("text that is not UTF-8"))
    }

    pub(super) fn decimal(&mut self) -> Result<Decimal<'a>, Corrupt> {
        let slice = self.slice()?;
        Decimal::of(slice).ok_or_else(|| self.corrupt("a malformed number"))
    }

    /// The one byte of a boolean, or of a null, which is at least 1.
    pub(super) fn flag(&mut self, least: u8) -> Result<bool, Corrupt> {
        match self.byte()? {
            flag if flag == 1 || flag == least => Ok(flag == 1),
            _ => Err(Corrupt { what: "a malformed boolean or null", offset: self.at - 1 }),
        }
    }

    #[inline]
    pub(super) fn tag(&mut self, expected: u8) -> Result<(), Corrupt> {
        match self.byte()? {
            tag if tag == expected => Ok(()),
            _ => Err(Corrupt { what: "an unknown field", offset: self.at - 1 }),
        }
    }

    fn rising<T: PartialOrd>(&self, previous: Option<T>, next: T) -> Result<T, Corrupt> {
        if previous.is_some_and(|previous| previous >= next) {
            return Err(self.corrupt("names or members that do not rise"));
        }
        Ok(next)
    }

    /// An entry of a map: its name, and its value to be read.
    #[inline]
    fn entry(&mut self, previous: Option<&'a str>) -> Result<(&'a str, Self), Corrupt> {
        self.tag(tag::EACH)?;
        let mut entry = self.message()?;
        entry.tag(tag::NAME)?;
        let name = entry.text()?;
        if name.is_empty() || name.len() > ATTRIBUTE_NAME_BYTES_MAX {
            return Err(entry.corrupt("an attribute name of a wrong length"));
        }
        entry.rising(previous, name)?;
        entry.tag(tag::VALUE)?;
        let value = entry.message()?;
        entry.end()?;
        Ok((name, value))
    }

    /// The tag of a value that may nest `levels` deep, itself being the first.
    #[inline]
    fn type_tag(&mut self, levels: usize) -> Result<u8, Corrupt> {
        if levels == 0 {
            return Err(self.corrupt("values nested too deep"));
        }
        self.byte()
    }

    /// The entries that are this message.
    #[inline]
    fn entries(
        &mut self,
        mut take: impl FnMut(&'a str, &mut Self) -> Result<(), Corrupt>,
    ) -> Result<(), Corrupt> {
        let mut previous = None;
        while !self.done() {
            let (name, mut value) = self.entry(previous)?;
            previous = Some(name);
            take(name, &mut value)?;
        }
        Ok(())
    }

    /// The elements of the list that comes next.
    fn elements(&mut self, mut take: impl FnMut(&mut Self) -> Result<(), Corrupt>) -> Result<(), Corrupt> {
        let mut list = self.message()?;
        while !list.done() {
            list.tag(tag::EACH)?;
            take(&mut list.message()?)?;
        }
        Ok(())
    }

    /// The members of the set that comes next.
    #[inline]
    fn members<T: PartialOrd + Copy>(
        &mut self,
        read: impl Fn(&mut Self) -> Result<T, Corrupt>,
        mut take: impl FnMut(T),
    ) -> Result<(), Corrupt> {
        let mut set = self.message()?;
        if set.done() {
            return Err(set.corrupt("an empty set"));
        }
        let mut previous = None;
        while !set.done() {
            set.tag(tag::EACH)?;
            let next = read(&mut set)?;
            previous = Some(set.rising(previous, next)?);
            take(next);
        }
        Ok(())
    }

    /// The value that is this message.
    fn value(&mut self, levels: usize) -> Result<AttributeValue, Corrupt> {
        let tag = self.type_tag(levels)?;
        let value = match tag {
            tag::S => AttributeValue::S(self.text()?.to_owned()),
            tag::N => AttributeValue::N(self.decimal()?.number()),
            tag::B => AttributeValue::B(Bytes::copy_from_slice(self.slice()?)),
            tag::BOOL => AttributeValue::Bool(self.flag(0)?),
            tag::NULL => self.flag(1).map(|_| AttributeValue::Null)?,
            tag::M => AttributeValue::M(self.message()?.map(levels - 1)?),
            tag::L => {
                let mut list = Vec::new();
                self.elements(|element| {
                    list.push(element.value(levels - 1)?);
                    Ok(())
                })?;
                AttributeValue::L(list)
            }
            tag::SS => AttributeValue::Ss(self.set(Self::text, str::to_owned)?),
            tag::NS => AttributeValue::Ns(self.set(Self::decimal, |decimal| decimal.number())?),
            tag::BS => AttributeValue::Bs(self.set(Self::slice, Bytes::copy_from_slice)?),
            _ => return Err(Corrupt { what: "an unknown type of a value", offset: self.at - 1 }),
        };
        self.end()?;
        Ok(value)
    }

    /// The attributes that are this message; their values may nest `levels` deep.
    fn map(&mut self, levels: usize) -> Result<BTreeMap<AttributeName, AttributeValue>, Corrupt> {
        let mut pairs = Vec::new();
        self.entries(|name, value| {
            let name = AttributeName::parse(name).expect("names of a wrong length are refused above");
            pairs.push((name, value.value(levels)?));
            Ok(())
        })?;
        Ok(pairs.into_iter().collect())
    }

    fn set<T: PartialOrd + Copy, M: Ord>(
        &mut self,
        read: impl Fn(&mut Self) -> Result<T, Corrupt>,
        own: impl Fn(T) -> M,
    ) -> Result<BTreeSet<M>, Corrupt> {
        let mut members = Vec::new();
        self.members(read, |member| members.push(own(member)))?;
        Ok(members.into_iter().collect())
    }

    /// Passes over a value as `value` reads it; gives what DynamoDB counts for it.
    fn measure(&mut self, levels: usize) -> Result<usize, Corrupt> {
        let mut size = 0;
        match self.type_tag(levels)? {
            tag::S => size = self.text()?.len(),
            tag::N => size = self.decimal()?.size(),
            tag::B => size = self.slice()?.len(),
            tag::BOOL => size = self.flag(0).map(|_| 1)?,
            tag::NULL => size = self.flag(1).map(|_| 1)?,
            tag::M => {
                let (inner, count) = self.message()?.measure_map(levels - 1)?;
                size = 3 + count + inner;
            }
            tag::L => {
                size = 3;
                self.elements(|element| {
                    size += 1 + element.measure(levels - 1)?;
                    Ok(())
                })?;
            }
            tag::SS => self.members(Self::text, |member| size += member.len())?,
            tag::NS => self.members(Self::decimal, |member| size += member.size())?,
            tag::BS => self.members(Self::slice, |member| size += member.len())?,
            _ => return Err(Corrupt { what: "an unknown type of a value", offset: self.at - 1 }),
        }
        self.end()?;
        Ok(size)
    }

    /// Passes over a map; gives the sizes of its names and values, and their count.
    fn measure_map(&mut self, levels: usize) -> Result<(usize, usize), Corrupt> {
        let (mut size, mut count) = (0, 0);
        self.entries(|name, value| {
            size += name.len() + value.measure(levels)?;
            count += 1;
            Ok(())
        })?;
        Ok((size, count))
    }
}

#[cfg(test)]
#[path = "codec_test.rs"]
pub(crate) mod tests;
