//! Reading attribute values of the DynamoDB protocol (see `json`).

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::json::{
    Characters, Elements, Form, FromJson, Maybe, NUMBER, Name, Truth, Visit, java_class, java_map, skip,
};
use super::json_kind::{Numeral, Place, Wanted};
use crate::model::limits::NESTING_MAX;
use crate::model::{AttributeName, AttributeValue, Error, Item, Number};

/// An attribute value, or the first that is wrong with it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Value(pub Result<AttributeValue, Error>);

impl<'de> FromJson<'de> for Value {
    fn class() -> String {
        java_class("AttributeValue")
    }

    fn from_json<D: Deserializer<'de>>(deserializer: D, place: Place) -> Result<Self, D::Error> {
        Visit(AnyValue { place, levels: NESTING_MAX }).deserialize(deserializer).map(Self)
    }
}

/// Attribute values by their names: an item, a key; or the first that is wrong with them. The size is not checked.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Attributes(pub Result<Item, Error>);

impl<'de> FromJson<'de> for Attributes {
    fn class() -> String {
        java_map::<Value>()
    }

    fn from_json<D: Deserializer<'de>>(deserializer: D, place: Place) -> Result<Self, D::Error> {
        let entries = Visit(Entries { place, levels: NESTING_MAX }).deserialize(deserializer)?;
        Ok(Self(entries.map(Item::from)))
    }
}

/// Attribute values by their names.
struct Entries {
    place: Place,
    /// How deep the values may nest, themselves being the first.
    levels: usize,
}

impl<'de> Form<'de> for Entries {
    type Output = Result<BTreeMap<AttributeName, AttributeValue>, Error>;

    fn wanted(&self) -> Wanted {
        Wanted::Map(java_map::<Value>())
    }

    fn place(&self) -> Place {
        self.place
    }

    fn map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Output, A::Error> {
        let mut entries = Ok(BTreeMap::new());
        while let Some(name) = map.next_key_seed(Name)? {
            let place = if name == NUMBER { self.place.of_map() } else { Place::ELEMENT };
            let name = AttributeName::parse(&name);
            let value = map.next_value_seed(Visit(AnyValue { place, levels: self.levels }))?;
            if let Ok(good) = &mut entries {
                match name.and_then(|name| Ok((name, value?))) {
                    Ok((name, value)) => drop(good.insert(name, value)),
                    Err(error) => entries = Err(error),
                }
            }
        }
        Ok(entries)
    }
}

/// An attribute value.
#[derive(Clone, Copy)]
struct AnyValue {
    place: Place,
    /// How deep it may nest, itself being the first.
    levels: usize,
}

impl<'de> Form<'de> for AnyValue {
    type Output = Result<AttributeValue, Error>;

    fn wanted(&self) -> Wanted {
        Wanted::Structure(Value::class())
    }

    fn place(&self) -> Place {
        self.place
    }

    fn null<E: serde::de::Error>(self) -> Result<Self::Output, E> {
        Ok(Err(Error::ValueEmpty))
    }

    fn map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Output, A::Error> {
        let Some(inner) = self.levels.checked_sub(1) else {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Err(Error::NestingTooDeep));
        };
        let mut held = None;
        let mut fault = None;
        let mut several = false;
        while let Some(datatype) = map.next_key_seed(DatatypeName)? {
            let Some(datatype) = datatype else {
                return self.numeral(map.next_value_seed(Visit(Characters(Numeral::of)))?);
            };
            match datatype.value(inner, &mut map)? {
                None => drop(held.take_if(|(earlier, _)| *earlier == datatype)),
                Some(value) => {
                    several |= held.as_ref().is_some_and(|(earlier, _)| *earlier != datatype);
                    match value {
                        Ok(value) => held = Some((datatype, value)),
                        Err(error) => drop(fault.get_or_insert(error)),
                    }
                }
            }
        }
        Ok(match (fault, held) {
            (Some(fault), _) => Err(fault),
            (None, Some(_)) if several => Err(Error::ValueAmbiguous),
            (None, Some((_, value))) => Ok(value),
            (None, None) => Err(Error::ValueEmpty),
        })
    }
}

/// A member of an attribute value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Datatype {
    S,
    N,
    B,
    Bool,
    Null,
    M,
    L,
    Ss,
    Ns,
    Bs,
    /// To be passed over.
    Unknown,
}

impl Datatype {
    /// What stands under it, unless null; of values inside, how deep they may nest.
    fn value<'de, A: MapAccess<'de>>(
        self,
        levels: usize,
        map: &mut A,
    ) -> Result<Option<Result<AttributeValue, Error>>, A::Error> {
        Ok(match self {
            Self::S => read(map, Characters(str::to_owned))?.map(|text| Ok(AttributeValue::S(text))),
            Self::N => read(map, Characters(Number::parse))?.map(|number| number.map(AttributeValue::N)),
            Self::B => read(map, Binary)?.map(|bytes| Ok(AttributeValue::B(bytes))),
            Self::Bool => read(map, Truth)?.map(|value| Ok(AttributeValue::Bool(value))),
            Self::Null => {
                read(map, Truth)?.map(|null| null.then_some(AttributeValue::Null).ok_or(Error::NullFalse))
            }
            Self::M => {
                read(map, Entries { place: Place::FIELD, levels })?.map(|map| map.map(AttributeValue::M))
            }
            Self::L => {
                let element = || AnyValue { place: Place::ELEMENT, levels };
                read(map, Good { element })?.map(|list| list.map(AttributeValue::L))
            }
            Self::Ss => members(map, || Characters(str::to_owned))?.map(AttributeValue::string_set),
            Self::Ns => {
                let element = || Characters(Number::parse);
                read(map, Good { element })?.map(|numbers| AttributeValue::number_set(numbers?))
            }
            Self::Bs => members(map, || Binary)?.map(AttributeValue::binary_set),
            Self::Unknown => skip(map).map(|()| None)?,
        })
    }
}

/// The value of a member of an attribute value, unless null.
fn read<'de, S: Form<'de>, A: MapAccess<'de>>(map: &mut A, form: S) -> Result<Option<S::Output>, A::Error> {
    map.next_value_seed(Maybe(Visit(form)))
}

/// The elements of a list that is a member of an attribute value, unless null.
fn members<'de, S: Form<'de>, A: MapAccess<'de>>(
    map: &mut A,
    element: impl Fn() -> S,
) -> Result<Option<Vec<S::Output>>, A::Error> {
    read(map, Elements { place: Place::FIELD, element: || Visit(element()), max: usize::MAX })
}

/// A list that is good if all its elements are; else the first fault of value. After it, elements are read to be
/// forgotten: small as they are in JSON, they would take much memory.
struct Good<F> {
    element: F,
}

impl<'de, T, S: Form<'de, Output = Result<T, Error>>, F: Fn() -> S> Form<'de> for Good<F> {
    type Output = Result<Vec<T>, Error>;

    fn wanted(&self) -> Wanted {
        Wanted::List
    }

    fn place(&self) -> Place {
        Place::FIELD
    }

    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Output, A::Error> {
        let mut elements = Ok(Vec::new());
        while let Some(element) = list.next_element_seed(Visit((self.element)()))? {
            match (&mut elements, element) {
                (Ok(good), Ok(element)) => good.push(element),
                (Ok(_), Err(error)) => elements = Err(error),
                (Err(_), _) => {}
            }
        }
        Ok(elements)
    }
}

/// The datatype that a name is, or `None` for `NUMBER`. Names are not copied.
struct DatatypeName;

impl<'de> DeserializeSeed<'de> for DatatypeName {
    type Value = Option<Datatype>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for DatatypeName {
    type Value = Option<Datatype>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Some(match name {
            "S" => Datatype::S,
            "N" => Datatype::N,
            "B" => Datatype::B,
            "BOOL" => Datatype::Bool,
            "NULL" => Datatype::Null,
            "M" => Datatype::M,
            "L" => Datatype::L,
            "SS" => Datatype::Ss,
            "NS" => Datatype::Ns,
            "BS" => Datatype::Bs,
            NUMBER => return Ok(None),
            _ => Datatype::Unknown,
        }))
    }
}

struct Binary;

impl<'de> Form<'de> for Binary {
    type Output = Bytes;

    fn wanted(&self) -> Wanted {
        Wanted::Bytes
    }

    fn text<E: serde::de::Error>(self, text: &str) -> Result<Bytes, E> {
        // Of the exact length, so that making `Bytes` of it copies and allocates nothing.
        let padding = text.bytes().rev().take(2).take_while(|byte| *byte == b'=').count();
        let mut bytes = vec![0; (text.len() / 4 * 3).saturating_sub(padding)];
        match STANDARD.decode_slice(text, &mut bytes) {
            Ok(len) if len == bytes.len() => Ok(bytes.into()),
            Ok(_) | Err(_) => Err(E::custom(base64_fault(text))),
        }
    }
}

/// DynamoDB's text for a string that is not base64.
fn base64_fault(text: &str) -> String {
    if !text.len().is_multiple_of(4) {
        let len = text.len();
        return format!("Base64 encoded length is expected a multiple of 4 bytes but found: {len}");
    }
    let digit = |char: char| base64::alphabet::STANDARD.as_str().find(char);
    let unpadded = text.strip_suffix('=').map_or(text, |rest| rest.strip_suffix('=').unwrap_or(rest));
    let spare_bits = 2 * (text.len() - unpadded.len());
    // What other characters there are is looked at later.
    if unpadded.chars().next_back().and_then(digit).is_some_and(|last| last % (1 << spare_bits) != 0) {
        return "Invalid last non-pad Base64 character dectected".to_owned();
    }
    let char = unpadded.chars().find(|char| digit(*char).is_none()).unwrap_or('=');
    format!("Invalid Base64 character: '{char}'")
}

#[cfg(test)]
#[path = "json_value_test.rs"]
mod tests;
