//! A record as the event that Lambda would deliver for it: a tree that is never built, of places that are looked at.

use std::fmt::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::model::lookup::{Elements, Entries, Stored, number_text};
use crate::model::{Corrupt, Number, StreamViewType};
use crate::stream::{EVENT_SOURCE, EVENT_VERSION, REGION, Record, SequenceNumber};

/// A record, and what its event says beside it.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The record.
    pub record: &'a Record,
    /// What records of its stream show.
    pub view_type: StreamViewType,
    /// The ARN of its stream.
    pub stream_arn: &'a str,
    /// Who made the change, if that was no client.
    pub identity: Option<Identity<'a>>,
}

/// Who made a change: `userIdentity` of the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity<'a> {
    /// What it is.
    pub kind: &'a str,
    /// Its name.
    pub principal: &'a str,
}

impl Identity<'static> {
    /// That of what deletes items whose time has come.
    pub const TIME_TO_LIVE: Self = Self { kind: "Service", principal: "dynamodb.amazonaws.com" };
}

/// A place of the event.
#[derive(Clone, Debug)]
pub(super) enum Place<'a> {
    /// There is none.
    Nothing,
    One(Scalar<'a>),
    /// An array of scalars.
    Set(fn(&'a [u8]) -> Result<Scalar<'a>, Corrupt>, Elements<'a>),
    /// An array of objects, as `Value`.
    List(Elements<'a>),
    /// The whole event.
    Event,
    /// What it has below `dynamodb`.
    Change,
    Identity(Identity<'a>),
    /// Values by name: of an item, of a map.
    Item(Entries<'a>),
    /// An attribute value, stored: an object of one member, named by its type.
    Value(&'a [u8]),
}

/// A value of the event that is no object and no array.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scalar<'a> {
    Text(&'a str),
    /// A text: that of a DynamoDB number.
    Decimal(&'a str),
    /// A text: these bytes in base64.
    Binary(&'a [u8]),
    /// A text: 32 digits.
    Id(u128),
    /// A text.
    Position(SequenceNumber),
    Number(u64),
    Bool(bool),
}

impl<'a> Subject<'a> {
    /// What the event has there below that name; names below an item are `Place::Item`'s walk. Errors: `Corrupt` if
    /// a stored value is none.
    pub(super) fn child(&self, place: &Place<'a>, name: &str) -> Result<Place<'a>, Corrupt> {
        let text = |text| Place::One(Scalar::Text(text));
        Ok(match place {
            Place::Event => match name {
                "eventID" => Place::One(Scalar::Id(self.record.event_id)),
                "eventName" => text(self.record.event_name.name()),
                "eventVersion" => text(EVENT_VERSION),
                "eventSource" => text(EVENT_SOURCE),
                "awsRegion" => text(REGION),
                "eventSourceARN" => text(self.stream_arn),
                "userIdentity" => self.identity.map_or(Place::Nothing, Place::Identity),
                "dynamodb" => Place::Change,
                _ => Place::Nothing,
            },
            Place::Change => match name {
                "ApproximateCreationDateTime" => Place::One(Scalar::Number(self.record.created_ms / 1000)),
                "Keys" => Place::Item(Entries::of_item(&self.record.keys)),
                "NewImage" => image(self.record.new_image.as_deref()),
                "OldImage" => image(self.record.old_image.as_deref()),
                "SequenceNumber" => Place::One(Scalar::Position(self.record.sequence_number)),
                "SizeBytes" => Place::One(Scalar::Number(self.record.size_bytes as u64)),
                "StreamViewType" => text(self.view_type.name()),
                _ => Place::Nothing,
            },
            Place::Identity(identity) => match name {
                "type" => text(identity.kind),
                "principalId" => text(identity.principal),
                _ => Place::Nothing,
            },
            Place::Value(bytes) => match typed(bytes)? {
                (kind, value) if kind == name => value,
                _ => Place::Nothing,
            },
            Place::Item(entries) => entries.clone().find(name)?.map_or(Place::Nothing, Place::Value),
            Place::Nothing | Place::One(_) | Place::Set(..) | Place::List(_) => Place::Nothing,
        })
    }

    /// Whether this attribute is not the same before and after. An item that does not exist has none; nothing is
    /// known to have changed where the stream does not show both images. Errors: `Corrupt` if an image is none.
    pub(super) fn changed(&self, attribute: &str) -> Result<bool, Corrupt> {
        if self.view_type != StreamViewType::NewAndOldImages {
            return Ok(false);
        }
        let of = |image: &'a Option<bytes::Bytes>| match image {
            Some(image) => Entries::of_item(image).find(attribute),
            None => Ok(None),
        };
        // Equal values are equal bytes.
        Ok(of(&self.record.old_image)? != of(&self.record.new_image)?)
    }
}

fn image(image: Option<&[u8]>) -> Place<'_> {
    image.map_or(Place::Nothing, |bytes| Place::Item(Entries::of_item(bytes)))
}

/// A stored value as its one member in the event.
fn typed(bytes: &[u8]) -> Result<(&'static str, Place<'_>), Corrupt> {
    if let Some(number) = number_text(bytes)? {
        return Ok(("N", Place::One(decimal(number)?)));
    }
    Ok(match Stored::read(bytes)? {
        Stored::S(value) => ("S", Place::One(Scalar::Text(value))),
        Stored::N(_) => return Err(Corrupt { what: "a malformed number", offset: 0 }),
        Stored::B(value) => ("B", Place::One(Scalar::Binary(value))),
        Stored::Bool(value) => ("BOOL", Place::One(Scalar::Bool(value))),
        Stored::Null => ("NULL", Place::One(Scalar::Bool(true))),
        Stored::M(entries) => ("M", Place::Item(entries)),
        Stored::L(elements) => ("L", Place::List(elements)),
        Stored::Ss(elements) => ("SS", Place::Set(|member| utf8(member).map(Scalar::Text), elements)),
        Stored::Ns(elements) => ("NS", Place::Set(decimal, elements)),
        Stored::Bs(elements) => ("BS", Place::Set(|member| Ok(Scalar::Binary(member)), elements)),
    })
}

fn decimal(bytes: &[u8]) -> Result<Scalar<'_>, Corrupt> {
    utf8(bytes).map(Scalar::Decimal)
}

fn utf8(bytes: &[u8]) -> Result<&str, Corrupt> {
    std::str::from_utf8(bytes).map_err(|_| Corrupt { what: "text that is not UTF-8", offset: 0 })
}

impl Scalar<'_> {
    /// What `read` makes of the text it is; `None` if it is none.
    pub(super) fn with_text<T>(&self, read: impl FnOnce(&str) -> T) -> Option<T> {
        match self {
            Self::Text(text) | Self::Decimal(text) => Some(read(text)),
            Self::Binary(bytes) => Some(read(&STANDARD.encode(bytes))),
            Self::Id(id) => Some(Written::new(format_args!("{id:032x}")).read(read)),
            Self::Position(position) => Some(Written::new(format_args!("{position}")).read(read)),
            Self::Number(_) | Self::Bool(_) => None,
        }
    }

    /// The JSON number it is, if it is one.
    pub(super) fn number(&self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(_) | Self::Decimal(_) | Self::Binary(_) | Self::Id(_) => None,
            Self::Position(_) | Self::Bool(_) => None,
        }
    }

    /// The DynamoDB number it is, or is the text of, if any. Errors: `Corrupt` if what is stored as a number is none.
    pub(super) fn decimal(&self) -> Result<Option<Number>, Corrupt> {
        match self {
            Self::Decimal(text) => match Number::parse(text) {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(Corrupt { what: "a malformed number", offset: 0 }),
            },
            Self::Number(number) => Ok(Some(Number::from(*number))),
            Self::Text(_) | Self::Binary(_) | Self::Id(_) | Self::Position(_) | Self::Bool(_) => Ok(None),
        }
    }

    /// The boolean it is, if it is one.
    pub(super) fn bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            Self::Text(_) | Self::Decimal(_) | Self::Binary(_) | Self::Id(_) => None,
            Self::Position(_) | Self::Number(_) => None,
        }
    }
}

/// A short text that is written without an allocation.
struct Written {
    bytes: [u8; 40],
    len: usize,
}

impl Written {
    fn new(text: fmt::Arguments<'_>) -> Self {
        let mut written = Self { bytes: [0; 40], len: 0 };
        written.write_fmt(text).expect("event ids have 32 digits, and sequence numbers at most 40");
        written
    }

    fn read<T>(&self, read: impl FnOnce(&str) -> T) -> T {
        read(std::str::from_utf8(&self.bytes[..self.len]).expect("digits are ASCII"))
    }
}

impl Write for Written {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.bytes.get_mut(self.len..self.len + text.len()).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.len += text.len();
        Ok(())
    }
}

#[cfg(test)]
#[path = "subject_test.rs"]
pub(super) mod tests;
