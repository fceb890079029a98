//! An item on the wire, kept in its stored encoding.
//!
//! The stored form of an item (`model::codec`) is the canonical encoding of the message `watertable.v1.Item`, so an
//! `Item` here is its bytes: an answer carries what was read from disk, and nothing in between decodes it. In the
//! generated messages this type stands for that message (`build.rs`, `extern_path`).
//!
//! What clients send is another matter. Protobuf lets an encoder choose: entries come in any order and twice, fields
//! may be missing, repeated or unknown, varints too long, numbers in any notation. `decode` takes all of it, as
//! protobuf says (the last one wins; but a repeated value replaces, it does not merge), and gives what `model` accepts;
//! it trusts nothing, and its recursion is bounded by `NESTING_MAX`, not by prost's limit. `canonical` is for writes:
//! it gives the stored form as well, without encoding anything if it has come so, as from our own client.

use std::collections::BTreeMap;
use std::fmt;
use std::mem;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::encoding::{self, DecodeContext, WireType};
use prost::{DecodeError, Message};

use super::wire::v1;
use super::wire::v1::attribute_value::{self as wire, Value};
use crate::model::limits::NESTING_MAX;
use crate::model::{self, AttributeName, AttributeValue, Error, Number, codec};

/// The bytes of a message `watertable.v1.Item`. Equality is of bytes: two encodings of one item differ.
#[derive(Clone, Default)]
pub struct Item(Raw);

#[derive(Clone)]
enum Raw {
    /// From ourselves: canonical.
    Encoded(Bytes),
    /// From the network, collected field by field, as prost hands them out.
    Collected(BytesMut),
}

impl Default for Raw {
    fn default() -> Self {
        Self::Encoded(Bytes::new())
    }
}

/// Field numbers of the messages an item is made of.
mod field {
    /// What repeats: an entry of a map, an element of a list, a member of a set.
    pub const EACH: u32 = 1;
    pub const NAME: u32 = 1;
    pub const VALUE: u32 = 2;

    pub const S: u32 = 1;
    pub const N: u32 = 2;
    pub const B: u32 = 3;
    pub const BOOL: u32 = 4;
    pub const NULL: u32 = 5;
    pub const M: u32 = 6;
    pub const L: u32 = 7;
    pub const SS: u32 = 8;
    pub const NS: u32 = 9;
    pub const BS: u32 = 10;
}

impl Item {
    /// An item in its stored form, trusted to be so. Copies nothing.
    pub fn from_encoded(bytes: Bytes) -> Self {
        Self(Raw::Encoded(bytes))
    }

    /// Encodes an item. It must be valid as for `codec::encode_item`.
    pub fn encode(item: &model::Item) -> Self {
        Self::from_encoded(stored(item))
    }

    /// The bytes of the message.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Raw::Encoded(bytes) => bytes,
            Raw::Collected(bytes) => bytes,
        }
    }

    /// The item, from any encoding of it. Errors: what the constructors of `model` refuse, `NullFalse`, `ValueEmpty`,
    /// `NestingTooDeep`, `Malformed`. The item's size is not checked.
    pub fn decode(&self) -> Result<model::Item, Error> {
        Ok(model::Item::from(map(self.as_bytes(), NESTING_MAX)?))
    }

    /// The item, and its stored form. Errors: as `decode`.
    pub fn canonical(&self) -> Result<(model::Item, Bytes), Error> {
        if let Ok(item) = codec::decode_item(self.as_bytes()) {
            let bytes = match &self.0 {
                Raw::Encoded(bytes) => bytes.clone(),
                Raw::Collected(bytes) => Bytes::copy_from_slice(bytes),
            };
            return Ok((item, bytes));
        }
        let item = self.decode()?;
        let bytes = stored(&item);
        Ok((item, bytes))
    }
}

/// Without the room that encoding leaves: these bytes may be kept for long.
fn stored(item: &model::Item) -> Bytes {
    let mut bytes = Vec::new();
    codec::encode_item(item, &mut bytes);
    bytes.into_boxed_slice().into()
}

impl PartialEq for Item {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Item {}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.decode() {
            Ok(item) => f.debug_map().entries(&item).finish(),
            Err(error) => write!(f, "Item({} bytes: {error})", self.as_bytes().len()),
        }
    }
}

impl Message for Item {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        buf.put_slice(self.as_bytes());
    }

    /// Takes over entries unread, with key and length as short as can be, and drops unknown fields.
    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        if tag != field::EACH {
            return encoding::skip_field(wire_type, tag, buf, ctx);
        }
        encoding::wire_type::check_wire_type(WireType::LengthDelimited, wire_type)?;
        let len = encoding::decode_varint(buf)?;
        if len > buf.remaining() as u64 {
            // Only prost can make its errors: it finds the same fault in a length of 1 with nothing behind it.
            return encoding::skip_field(wire_type, tag, &mut &[1][..], ctx);
        }
        let mut bytes = match mem::take(&mut self.0) {
            Raw::Encoded(bytes) => BytesMut::from(bytes),
            Raw::Collected(bytes) => bytes,
        };
        encoding::encode_key(tag, wire_type, &mut bytes);
        encoding::encode_varint(len, &mut bytes);
        bytes.put(buf.take(len as usize));
        self.0 = Raw::Collected(bytes);
        Ok(())
    }

    fn encoded_len(&self) -> usize {
        self.as_bytes().len()
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Reads a generated message. Errors: as `Item::decode`, but for `Malformed`.
pub fn value_from_wire(value: &v1::AttributeValue) -> Result<AttributeValue, Error> {
    from_wire(value, NESTING_MAX)
}

fn from_wire(value: &v1::AttributeValue, levels: usize) -> Result<AttributeValue, Error> {
    if levels == 0 {
        return Err(Error::NestingTooDeep);
    }
    Ok(match value.value.as_ref().ok_or(Error::ValueEmpty)? {
        Value::S(text) => AttributeValue::S(text.clone()),
        Value::N(text) => AttributeValue::N(Number::parse(text)?),
        Value::B(bytes) => AttributeValue::B(bytes.clone()),
        Value::Bool(value) => AttributeValue::Bool(*value),
        Value::Null(true) => AttributeValue::Null,
        Value::Null(false) => return Err(Error::NullFalse),
        Value::M(map) => {
            let pairs = map.entries.iter().map(|(name, value)| {
                let name = AttributeName::parse(name)?;
                Ok((name, from_wire(value, levels - 1)?))
            });
            AttributeValue::M(pairs.collect::<Result<_, Error>>()?)
        }
        Value::L(list) => {
            let elements = list.elements.iter().map(|value| from_wire(value, levels - 1));
            AttributeValue::L(elements.collect::<Result<_, Error>>()?)
        }
        Value::Ss(set) => AttributeValue::string_set(set.members.clone())?,
        Value::Ns(set) => {
            let members = set.members.iter().map(|text| Number::parse(text));
            AttributeValue::number_set(members.collect::<Result<_, Error>>()?)?
        }
        Value::Bs(set) => AttributeValue::binary_set(set.members.clone())?,
    })
}

/// Writes a generated message.
pub fn value_to_wire(value: &AttributeValue) -> v1::AttributeValue {
    let value = match value {
        AttributeValue::S(text) => Value::S(text.clone()),
        AttributeValue::N(number) => Value::N(number.to_string()),
        AttributeValue::B(bytes) => Value::B(bytes.clone()),
        AttributeValue::Bool(value) => Value::Bool(*value),
        AttributeValue::Null => Value::Null(true),
        AttributeValue::M(map) => {
            let entries = map.iter().map(|(name, value)| (name.as_str().to_owned(), value_to_wire(value)));
            Value::M(wire::Map { entries: entries.collect() })
        }
        AttributeValue::L(list) => {
            Value::L(wire::List { elements: list.iter().map(value_to_wire).collect() })
        }
        AttributeValue::Ss(set) => Value::Ss(wire::StringSet { members: set.iter().cloned().collect() }),
        AttributeValue::Ns(set) => {
            Value::Ns(wire::NumberSet { members: set.iter().map(Number::to_string).collect() })
        }
        AttributeValue::Bs(set) => Value::Bs(wire::BinarySet { members: set.iter().cloned().collect() }),
    };
    v1::AttributeValue { value: Some(value) }
}

/// The fields of a message that may be anything.
struct Fields<'a> {
    rest: &'a [u8],
}

#[derive(Clone, Copy)]
enum Payload<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    /// Passed over: no field of ours looks so.
    Foreign,
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Result<(u32, Payload<'a>), Error> {
        let (number, wire_type) =
            encoding::decode_key(&mut self.rest).map_err(|_| malformed("a broken field key"))?;
        let payload = match wire_type {
            WireType::Varint => Payload::Varint(self.varint()?),
            WireType::LengthDelimited => {
                let len = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
                let (payload, rest) =
                    self.rest.split_at_checked(len).ok_or(malformed("a field longer than its message"))?;
                self.rest = rest;
                Payload::Bytes(payload)
            }
            WireType::SixtyFourBit | WireType::ThirtyTwoBit | WireType::StartGroup | WireType::EndGroup => {
                encoding::skip_field(wire_type, number, &mut self.rest, DecodeContext::default())
                    .map_err(|_| malformed("a broken unknown field"))?;
                Payload::Foreign
            }
        };
        Ok((number, payload))
    }

    fn varint(&mut self) -> Result<u64, Error> {
        encoding::decode_varint(&mut self.rest).map_err(|_| malformed("a broken varint"))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Payload<'a>), Error>;

    /// After an error there is nothing to go on from: callers stop.
    fn next(&mut self) -> Option<Self::Item> {
        (!self.rest.is_empty()).then(|| self.field())
    }
}

impl<'a> Payload<'a> {
    fn bytes(self) -> Result<&'a [u8], Error> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Varint(_) | Self::Foreign => Err(malformed("a field of the wrong wire type")),
        }
    }

    fn text(self) -> Result<&'a str, Error> {
        std::str::from_utf8(self.bytes()?).map_err(|_| malformed("text that is not UTF-8"))
    }

    fn bool(self) -> Result<bool, Error> {
        match self {
            Self::Varint(value) => Ok(value != 0),
            Self::Bytes(_) | Self::Foreign => Err(malformed("a field of the wrong wire type")),
        }
    }
}

fn malformed(what: &'static str) -> Error {
    Error::Malformed { what }
}

/// What repeats in a message, read one by one.
fn each<'a, T>(
    bytes: &'a [u8],
    read: impl Fn(Payload<'a>) -> Result<T, Error>,
) -> impl Iterator<Item = Result<T, Error>> {
    Fields { rest: bytes }.filter_map(move |field| match field {
        Ok((field::EACH, payload)) => Some(read(payload)),
        Ok(_) => None,
        Err(error) => Some(Err(error)),
    })
}

/// The entries of a map whose values may nest `levels` deep.
fn map(bytes: &[u8], levels: usize) -> Result<BTreeMap<AttributeName, AttributeValue>, Error> {
    each(bytes, |payload| entry(payload.bytes()?, levels)).collect()
}

/// A name or a value that is missing is, as protobuf says, empty: and so refused.
fn entry(bytes: &[u8], levels: usize) -> Result<(AttributeName, AttributeValue), Error> {
    let (mut name, mut value) = (Payload::Bytes(&[]), Payload::Bytes(&[]));
    for field in (Fields { rest: bytes }) {
        match field? {
            (field::NAME, payload) => name = payload,
            (field::VALUE, payload) => value = payload,
            _ => {}
        }
    }
    Ok((AttributeName::parse(name.text()?)?, value_of(value.bytes()?, levels)?))
}

/// A value that may nest `levels` deep, itself being the first.
fn value_of(bytes: &[u8], levels: usize) -> Result<AttributeValue, Error> {
    if levels == 0 {
        return Err(Error::NestingTooDeep);
    }
    let mut last = None;
    for field in (Fields { rest: bytes }) {
        let (number, payload) = field?;
        if (field::S..=field::BS).contains(&number) {
            last = Some((number, payload));
        }
    }
    let (number, payload) = last.ok_or(Error::ValueEmpty)?;
    let owned = |payload: Payload<'_>| payload.bytes().map(Bytes::copy_from_slice);
    let number_of = |payload: Payload<'_>| Number::parse(payload.text()?);
    Ok(match number {
        field::S => AttributeValue::S(payload.text()?.to_owned()),
        field::N => AttributeValue::N(number_of(payload)?),
        field::B => AttributeValue::B(owned(payload)?),
        field::BOOL => AttributeValue::Bool(payload.bool()?),
        field::NULL if payload.bool()? => AttributeValue::Null,
        field::NULL => return Err(Error::NullFalse),
        field::M => AttributeValue::M(map(payload.bytes()?, levels - 1)?),
        field::L => {
            let elements = each(payload.bytes()?, |element| value_of(element.bytes()?, levels - 1));
            AttributeValue::L(elements.collect::<Result<_, Error>>()?)
        }
        field::SS => {
            let members = each(payload.bytes()?, |member| member.text().map(str::to_owned));
            AttributeValue::string_set(members.collect::<Result<_, Error>>()?)?
        }
        field::NS => {
            AttributeValue::number_set(each(payload.bytes()?, number_of).collect::<Result<_, Error>>()?)?
        }
        field::BS => {
            AttributeValue::binary_set(each(payload.bytes()?, owned).collect::<Result<_, Error>>()?)?
        }
        _ => return Err(Error::ValueEmpty),
    })
}

#[cfg(test)]
#[path = "item_test.rs"]
mod tests;
