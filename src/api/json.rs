//! Reading JSON of the DynamoDB protocol: one pass from the bytes of a request to the types it is made of.
//!
//! What can be wrong with a request is of three sorts, and they are answered differently:
//! - *syntax*: it is no JSON object (`Fault::Syntax`, a SerializationException without a message);
//! - *kind*: a member has JSON of another sort than its type has (`Fault::Kind`, a SerializationException whose text is
//!   DynamoDB's: the words are those of the Java behind it);
//! - *value*: an attribute value that cannot be (`model::Error`, a ValidationException). It is kept in the `Result` of
//!   `json_value` while the rest is still read, since a fault of kind further on is more, and since some operations have
//!   something to say before it. The first one in the document is kept.
//!
//! In a structure unknown members are passed over, null is absent, and of members with one name the last counts. A null
//! in a list or in a map is an empty attribute value where those are expected, and else a fault of kind.
//!
//! Depth is bounded: what is nested in an attribute value below `NESTING_MAX`, as what is unknown, is passed over
//! without recursion, whatever is in it, and nothing else can nest deeper than request types do.
//!
//! `FromJson` is not serde's `Deserialize` because DynamoDB's texts depend on where something is (`Place`).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

use super::json_kind::{Found, Numeral, Place, Wanted, wrong_kind};

pub(super) use super::json_value::{Attributes, Value};

/// Why a body is no request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Not JSON, or not an object.
    Syntax,
    /// Something is of another sort than it must be. The text is for the client.
    Kind(String),
}

/// Reads a whole body. A fault of syntax anywhere is found before any of kind.
pub(super) fn parse<'a, T: FromJson<'a>>(body: &'a [u8]) -> Result<T, Fault> {
    // The text is checked once here, so that no string in it is checked again, and those passed over are, too.
    let text = std::str::from_utf8(body).map_err(|_| Fault::Syntax)?;
    if !text.trim_ascii_start().starts_with('{') {
        return Err(Fault::Syntax);
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read =
        T::from_json(&mut deserializer, Place::FIELD).and_then(|read| deserializer.end().map(|()| read));
    read.map_err(|error| match error.classify() {
        Category::Data if serde_json::from_str::<IgnoredAny>(text).is_ok() => {
            let position = format!(" at line {} column {}", error.line(), error.column());
            let text = error.to_string();
            Fault::Kind(text.strip_suffix(&position).unwrap_or(&text).to_owned())
        }
        Category::Data | Category::Syntax | Category::Eof | Category::Io => Fault::Syntax,
    })
}

/// A type of the protocol.
pub(super) trait FromJson<'de>: Sized {
    /// What Java calls it, for the texts of faults.
    fn class() -> String;

    /// Reads one that is not absent.
    fn from_json<D: Deserializer<'de>>(deserializer: D, place: Place) -> Result<Self, D::Error>;
}

/// A structure of the protocol: whatever it starts with, members replace.
pub(super) trait Members<'de>: Default {
    /// Its name in the service's model.
    const NAME: &'static str;

    /// Takes the value of the member of that name with `member`, or, if there is none of that name, with `skip`.
    fn member<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error>;
}

/// The value of a member of a structure; `None` if it is null.
pub(super) fn member<'de, T: FromJson<'de>, A: MapAccess<'de>>(map: &mut A) -> Result<Option<T>, A::Error> {
    map.next_value_seed(Maybe(Of::new(Place::FIELD)))
}

/// Passes over the value of an unknown member.
pub(super) fn skip<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(|_| ())
}

/// With `arbitrary_precision`, serde_json shows numbers that are no 64-bit integers as maps with this as their only
/// name. A map from outside may have that name as well; then its value is no string, or it is no good anyway.
pub(super) const NUMBER: &str = "$serde_json::private::Number";

/// How one type is read; what is not overridden is refused.
pub(super) trait Form<'de>: Sized {
    /// What it gives.
    type Output;

    fn wanted(&self) -> Wanted;

    /// Of scalars, only nulls are refused by where they stand, and a null that is refused is an element.
    fn place(&self) -> Place {
        Place::ELEMENT
    }

    fn refuse<E: serde::de::Error>(&self, found: Found) -> E {
        wrong_kind(found, &self.wanted(), self.place())
    }

    fn null<E: serde::de::Error>(self) -> Result<Self::Output, E> {
        Err(self.refuse(Found::Null))
    }

    fn boolean<E: serde::de::Error>(self, value: bool) -> Result<Self::Output, E> {
        Err(self.refuse(Found::Boolean(value)))
    }

    fn numeral<E: serde::de::Error>(self, value: Numeral) -> Result<Self::Output, E> {
        Err(self.refuse(Found::Numeral(value)))
    }

    fn text<E: serde::de::Error>(self, _text: &str) -> Result<Self::Output, E> {
        Err(self.refuse(Found::Text))
    }

    fn list<A: SeqAccess<'de>>(self, _list: A) -> Result<Self::Output, A::Error> {
        Err(self.refuse(Found::List))
    }

    fn map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Output, A::Error> {
        match map.next_key_seed(Name)? {
            Some(name) if name == NUMBER => {
                let numeral = map.next_value_seed(Visit(Characters(Numeral::of)))?;
                self.numeral(numeral)
            }
            _ => Err(self.refuse(Found::Map)),
        }
    }
}

/// What serde wants to see of a form.
pub(super) struct Visit<S>(pub S);

impl<'de, S: Form<'de>> DeserializeSeed<'de> for Visit<S> {
    type Value = S::Output;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Output, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, S: Form<'de>> Visitor<'de> for Visit<S> {
    type Value = S::Output;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.wanted().fmt(f)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<S::Output, E> {
        self.0.null()
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<S::Output, E> {
        self.0.boolean(value)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<S::Output, E> {
        self.0.numeral(Numeral::Integer(value.into()))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<S::Output, E> {
        self.0.numeral(Numeral::Integer(value.into()))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<S::Output, E> {
        self.0.text(text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<S::Output, A::Error> {
        self.0.list(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<S::Output, A::Error> {
        self.0.map(map)
    }
}

/// What another seed reads, or nothing if there is null.
pub(super) struct Maybe<S>(pub S);

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Maybe<S> {
    type Value = Option<S::Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de, S: DeserializeSeed<'de>> Visitor<'de> for Maybe<S> {
    type Value = Option<S::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        self.0.deserialize(deserializer).map(Some)
    }
}

/// A type of the protocol at a place.
struct Of<T>(Place, PhantomData<T>);

impl<T> Of<T> {
    fn new(place: Place) -> Self {
        Self(place, PhantomData)
    }
}

impl<'de, T: FromJson<'de>> DeserializeSeed<'de> for Of<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        T::from_json(deserializer, self.0)
    }
}

/// The name of a member; copied only if it has escapes.
pub(super) struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// Types of the protocol that are read by one form.
macro_rules! from_json {
    ($($(#[$meta:meta])* $name:ident($inner:ty): $class:expr, $form:expr;)*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub(super) struct $name(pub $inner);

        impl<'de> FromJson<'de> for $name {
            fn class() -> String {
                $class
            }

            fn from_json<D: Deserializer<'de>>(deserializer: D, place: Place) -> Result<Self, D::Error> {
                Visit($form(place)).deserialize(deserializer).map(Self)
            }
        }
    )*};
}

from_json! {
    /// A string.
    Text(String): "java.lang.String".to_owned(), |_| Characters(str::to_owned);
    /// An integer that the service's model calls so; but no larger one is refused. A fraction is cut off.
    Integer(i64): "java.lang.Integer".to_owned(), |_| Amount("Integer", |value| Some(value.integer()));
    /// An integer that the service's model calls so. A fraction is cut off.
    Long(i64): "java.lang.Long".to_owned(), |_| Amount("Long", |value| Some(value.integer()));
    /// A boolean, or a string that AWS takes for one.
    Boolean(bool): "java.lang.Boolean".to_owned(), |_| Truth;
    /// Milliseconds since the epoch; in JSON seconds, with a fraction. Times before it are refused.
    Timestamp(u64): "java.util.Date".to_owned(), |_| Amount("Date", Numeral::milliseconds);
}

pub(super) fn java_class(name: &str) -> String {
    format!("com.amazonaws.dynamodb.v20120810.{name}")
}

pub(super) fn java_map<'de, T: FromJson<'de>>() -> String {
    format!("java.util.Map<java.lang.String, {}>", T::class())
}

/// Members of a list or a map outside attribute values: far above every limit of the service, far below what a body has
/// room for. Structures take more memory than their text.
const MEMBERS_MAX: usize = 20_000;

/// A list without nulls.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct List<T>(pub Vec<T>);

impl<'de, T: FromJson<'de>> FromJson<'de> for List<T> {
    fn class() -> String {
        format!("java.util.List<{}>", T::class())
    }

    fn from_json<D: Deserializer<'de>>(deserializer: D, place: Place) -> Result<Self, D::Error> {
        Visit(Elements { place, element: || Of::new(Place::ELEMENT), max: MEMBERS_MAX })
            .deserialize(deserializer)
            .map(Self)
    }
}

/// A map without nulls.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Map<T>(pub BTreeMap<String, T>);

impl<'de, T: FromJson<'de>> FromJson<'de> for Map<T> {
    fn class() -> String {
        java_map::<T>()
    }

    fn from_json<D: Deserializer<'de>>(deserializer: D, place: Place) -> Result<Self, D::Error> {
        Visit(Pairs { place, value: PhantomData }).deserialize(deserializer)
    }
}

impl<'de, T: Members<'de>> FromJson<'de> for T {
    fn class() -> String {
        java_class(T::NAME)
    }

    fn from_json<D: Deserializer<'de>>(deserializer: D, place: Place) -> Result<Self, D::Error> {
        Visit(Whole { place, structure: PhantomData }).deserialize(deserializer)
    }
}

/// A string, and what is made of it.
pub(super) struct Characters<F>(pub F);

impl<'de, O, F: FnOnce(&str) -> O> Form<'de> for Characters<F> {
    type Output = O;

    fn wanted(&self) -> Wanted {
        Wanted::Scalar("String")
    }

    fn text<E: serde::de::Error>(self, text: &str) -> Result<O, E> {
        Ok(self.0(text))
    }
}

/// A number, by the name of its type, and what is made of it, if it is good.
struct Amount<O>(&'static str, fn(Numeral) -> Option<O>);

impl<'de, O> Form<'de> for Amount<O> {
    type Output = O;

    fn wanted(&self) -> Wanted {
        Wanted::Scalar(self.0)
    }

    fn numeral<E: serde::de::Error>(self, value: Numeral) -> Result<O, E> {
        self.1(value).ok_or_else(|| self.refuse(Found::Numeral(value)))
    }
}

pub(super) struct Truth;

impl<'de> Form<'de> for Truth {
    type Output = bool;

    fn wanted(&self) -> Wanted {
        Wanted::Scalar("Boolean")
    }

    fn boolean<E: serde::de::Error>(self, value: bool) -> Result<bool, E> {
        Ok(value)
    }

    fn text<E: serde::de::Error>(self, text: &str) -> Result<bool, E> {
        let is = |word: &&str| text.eq_ignore_ascii_case(word);
        if ["true", "1", "yes"].iter().any(is) {
            Ok(true)
        } else if ["false", "0", "no"].iter().any(is) {
            Ok(false)
        } else {
            Err(self.refuse(Found::Text))
        }
    }
}

/// A list, by what makes the seed of an element.
pub(super) struct Elements<F> {
    pub place: Place,
    pub element: F,
    /// How many there may be.
    pub max: usize,
}

impl<'de, S: DeserializeSeed<'de>, F: Fn() -> S> Form<'de> for Elements<F> {
    type Output = Vec<S::Value>;

    fn wanted(&self) -> Wanted {
        Wanted::List
    }

    fn place(&self) -> Place {
        self.place
    }

    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Output, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = list.next_element_seed((self.element)())? {
            if elements.len() == self.max {
                return Err(too_many(self.max));
            }
            elements.push(element);
        }
        Ok(elements)
    }
}

fn too_many<E: serde::de::Error>(max: usize) -> E {
    E::custom(format_args!("A list or map of a request has at most {max} members"))
}

struct Pairs<T> {
    place: Place,
    value: PhantomData<T>,
}

impl<'de, T: FromJson<'de>> Form<'de> for Pairs<T> {
    type Output = Map<T>;

    fn wanted(&self) -> Wanted {
        Wanted::Map(Map::<T>::class())
    }

    fn place(&self) -> Place {
        self.place
    }

    fn map<A: MapAccess<'de>>(self, mut map: A) -> Result<Map<T>, A::Error> {
        let mut pairs = BTreeMap::new();
        while let Some(name) = map.next_key_seed(Name)? {
            let number = name == NUMBER;
            if number && T::class() == Text::class() {
                return self.numeral(map.next_value_seed(Visit(Characters(Numeral::of)))?);
            }
            if pairs.len() == MEMBERS_MAX {
                return Err(too_many(MEMBERS_MAX));
            }
            let place = if number { self.place.of_map() } else { Place::ELEMENT };
            pairs.insert(name.into_owned(), map.next_value_seed(Of::new(place))?);
        }
        Ok(Map(pairs))
    }
}

struct Whole<T> {
    place: Place,
    structure: PhantomData<T>,
}

impl<'de, T: Members<'de>> Form<'de> for Whole<T> {
    type Output = T;

    fn wanted(&self) -> Wanted {
        Wanted::Structure(T::class())
    }

    fn place(&self) -> Place {
        self.place
    }

    fn map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let mut structure = T::default();
        while let Some(name) = map.next_key_seed(Name)? {
            if name == NUMBER {
                return self.numeral(map.next_value_seed(Visit(Characters(Numeral::of)))?);
            }
            structure.member(&name, &mut map)?;
        }
        Ok(structure)
    }
}

#[cfg(test)]
#[path = "json_test.rs"]
mod tests;
