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
    pub const ATTRIBUTES: u32 = 1;
    pub const NAME: u32 = 1;
    pub const VALUE: u32 = 2;
    /// Entries of a map, elements of a list, members of a set.
    pub const EACH: u32 = 1;

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
        let mut bytes = Vec::new();
        codec::encode_item(item, &mut bytes);
        Self::from_encoded(bytes.into())
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
        Ok(model::Item::from(map_of(self.as_bytes(), NESTING_MAX)?))
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
        let mut bytes = Vec::with_capacity(self.as_bytes().len());
        codec::encode_item(&item, &mut bytes);
        Ok((item, bytes.into()))
    }
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
        if tag != field::ATTRIBUTES {
            return encoding::skip_field(wire_type, tag, buf, ctx);
        }
        let mut entry = Bytes::new();
        encoding::bytes::merge(wire_type, &mut entry, buf, ctx)?;
        let collected = match &mut self.0 {
            Raw::Collected(bytes) => bytes,
            Raw::Encoded(bytes) => {
                self.0 = Raw::Collected(BytesMut::from(&bytes[..]));
                return self.append(&entry);
            }
        };
        Ok(())
    }

    fn encoded_len(&self) -> usize {
        self.as_bytes().len()
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}
