//! What a request of the DynamoDB protocol must look like: structures of members, and what each member may be.
//!
//! Requests are data here, not code. `shapes!` makes the table of constrained shapes, under the names they have in AWS's
//! service models; `structure!` lists the members of a structure with the shape of each. From the lists come the reader
//! (one pass over the text, see `json`) and the check of all constraints.
//!
//! The check tells of everything wrong at once, as DynamoDB does: "2 validation errors detected: Value ...; Value ...".
//! Paths are of members in lower camel case, with positions of lists from 1 (source: Smithy, "Constraint traits", and the
//! texts of the service).

use std::fmt::{self, Display, Write};

use serde::{Deserialize, Deserializer, de::IgnoredAny};

use super::json::{Attributes, Boolean, FromJson, Integer, List, Long, Map, Text, Timestamp, Value};
use super::json_kind::Place;

/// Violations that are looked for.
const TOLD_MAX: usize = 10;
/// Characters of a value that are shown. Ours: the largest valid value of a constrained shape is a little longer.
const SHOWN_MAX: usize = 1000;

/// What a shape demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Constraint {
    /// So many characters, elements or members.
    Length(usize, usize),
    /// A number in a range.
    Range(i64, i64),
    /// One of these words, in the order in which the service lists them.
    OneOf(&'static [&'static str]),
    /// So many characters, each a letter, a digit or one of `_.-`.
    Name(usize, usize),
}

/// The regular expression of [`Constraint::Name`], as messages give it.
pub(super) const NAME_PATTERN: &str = "[a-zA-Z0-9_.-]+";

/// A shape with a constraint; see `shapes`.
pub(super) trait Shape {
    /// What it is in JSON.
    type Value: Measured;
    /// What it demands.
    const CONSTRAINT: Constraint;
}

/// A value of a constrained shape.
pub(super) struct Shaped<S: Shape>(pub S::Value);

impl<'de, S: Shape<Value: FromJson<'de>>> FromJson<'de> for Shaped<S> {
    fn class() -> String {
        S::Value::class()
    }

    fn from_json<D: Deserializer<'de>>(deserializer: D, place: Place) -> Result<Self, D::Error> {
        S::Value::from_json(deserializer, place).map(Self)
    }
}

impl<S: Shape<Value: fmt::Debug>> fmt::Debug for Shaped<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What constraints are about.
pub(super) trait Measured: Checked {
    /// Characters, elements or members.
    fn length(&self) -> usize;
    /// As a number.
    fn number(&self) -> i64 {
        0
    }
    /// As text.
    fn text(&self) -> &str {
        ""
    }
    /// As messages show it.
    fn shown(&self) -> String;
}

impl Measured for Text {
    fn length(&self) -> usize {
        self.0.chars().count()
    }

    fn text(&self) -> &str {
        &self.0
    }

    fn shown(&self) -> String {
        self.0.clone()
    }
}

macro_rules! measured_numbers {
    ($($number:ty),*) => {
        $(impl Measured for $number {
            fn length(&self) -> usize {
                0
            }

            fn number(&self) -> i64 {
                self.0
            }

            fn shown(&self) -> String {
                self.0.to_string()
            }
        })*
    };
}

measured_numbers!(Integer, Long);

impl<T: Checked> Measured for List<T> {
    fn length(&self) -> usize {
        self.0.len()
    }

    /// The service shows each element; how many there are says as much.
    fn shown(&self) -> String {
        if self.0.is_empty() { "[]".to_owned() } else { format!("[{} elements]", self.0.len()) }
    }
}

impl<T: Checked> Measured for Map<T> {
    fn length(&self) -> usize {
        self.0.len()
    }

    fn shown(&self) -> String {
        let keys: Vec<&str> = self.0.keys().map(String::as_str).collect();
        format!("{{{}}}", keys.join(", "))
    }
}

/// Where in a request something is.
pub(super) struct At<'a> {
    parent: Option<&'a At<'a>>,
    step: Step<'a>,
}

enum Step<'a> {
    Request,
    Member(&'a str),
    Element(usize),
    Key(&'a str),
}

impl At<'_> {
    /// The request itself.
    pub const REQUEST: At<'static> = At { parent: None, step: Step::Request };

    /// A member of the structure that is here.
    pub fn member<'a>(&'a self, name: &'a str) -> At<'a> {
        At { parent: Some(self), step: Step::Member(name) }
    }
}

impl Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nested = self.parent.is_some_and(|parent| !matches!(parent.step, Step::Request));
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        if nested {
            f.write_char('.')?;
        }
        match self.step {
            Step::Request => Ok(()),
            Step::Member(name) => {
                let mut characters = name.chars();
                let first = characters.next().map(|first| first.to_ascii_lowercase());
                f.write_char(first.unwrap_or_default())?;
                f.write_str(characters.as_str())
            }
            Step::Element(at) => write!(f, "{}.member", at + 1),
            Step::Key(key) => write!(f, "{key}.member"),
        }
    }
}

/// A value as messages show it: a long one by its beginning.
fn shortened(value: &str) -> String {
    match value.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("'{}...'", &value[..end]),
        None => format!("'{value}'"),
    }
}

/// The violations of a request.
#[derive(Default)]
pub(super) struct Violations {
    told: Vec<String>,
}

impl Violations {
    /// Adds one.
    pub fn add(&mut self, value: Option<&str>, at: &At<'_>, demand: impl Display) {
        if self.told.len() < TOLD_MAX {
            let value = value.map_or_else(|| "null".to_owned(), shortened);
            self.told
                .push(format!("Value {value} at '{at}' failed to satisfy constraint: Member must {demand}"));
        }
    }

    /// All of them in one message, if there are any.
    pub fn message(&self) -> Option<String> {
        let count = self.told.len();
        let errors = if count == 1 { "error" } else { "errors" };
        (count > 0).then(|| format!("{count} validation {errors} detected: {}", self.told.join("; ")))
    }
}

/// What can be checked against its shape.
pub(super) trait Checked {
    /// Adds what it violates.
    fn check(&self, at: &At<'_>, violations: &mut Violations);
}

impl<S: Shape> Checked for Shaped<S> {
    fn check(&self, at: &At<'_>, violations: &mut Violations) {
        let mut violated = |demand: &dyn Display| violations.add(Some(&self.0.shown()), at, demand);
        match S::CONSTRAINT {
            Constraint::Length(min, max) | Constraint::Name(min, max) => {
                let length = self.0.length();
                if length < min {
                    violated(&format_args!("have length greater than or equal to {min}"));
                }
                if length > max {
                    violated(&format_args!("have length less than or equal to {max}"));
                }
            }
            Constraint::Range(min, max) => {
                if self.0.number() < min {
                    violated(&format_args!("have value greater than or equal to {min}"));
                }
                if self.0.number() > max {
                    violated(&format_args!("have value less than or equal to {max}"));
                }
            }
            Constraint::OneOf(words) => {
                if !words.contains(&self.0.text()) {
                    violated(&format_args!("satisfy enum value set: [{}]", words.join(", ")));
                }
            }
        }
        if let Constraint::Name(..) = S::CONSTRAINT
            && !is_name(self.0.text())
        {
            violated(&format_args!("satisfy regular expression pattern: {NAME_PATTERN}"));
        }
        self.0.check(at, violations);
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

macro_rules! unconstrained {
    ($($leaf:ty),*) => {
        $(impl Checked for $leaf {
            fn check(&self, _: &At<'_>, _: &mut Violations) {}
        })*
    };
}

/// Something that is only seen to be there.
pub(super) struct Unread;

impl<'de> FromJson<'de> for Unread {
    fn class() -> String {
        "java.lang.Object".to_owned()
    }

    fn from_json<D: Deserializer<'de>>(deserializer: D, _: Place) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

unconstrained!(Attributes, Boolean, Integer, Long, Text, Timestamp, Unread, Value);

impl<T: Checked> Checked for List<T> {
    fn check(&self, at: &At<'_>, violations: &mut Violations) {
        for (position, element) in self.0.iter().enumerate() {
            element.check(&At { parent: Some(at), step: Step::Element(position) }, violations);
        }
    }
}

impl<T: Checked> Checked for Map<T> {
    fn check(&self, at: &At<'_>, violations: &mut Violations) {
        for (key, value) in &self.0 {
            value.check(&At { parent: Some(at), step: Step::Key(key) }, violations);
        }
    }
}

/// Checks a member of a structure.
pub(super) fn check_member<T: Checked>(
    value: Option<&T>,
    required: bool,
    at: &At<'_>,
    violations: &mut Violations,
) {
    match value {
        Some(value) => value.check(at, violations),
        None if required => violations.add(None, at, "not be null"),
        None => {}
    }
}

/// A member that was required, once the request is checked.
pub(super) fn given<T>(member: Option<T>) -> T {
    member.expect("a required member was checked to be there")
}

macro_rules! required {
    (required) => {
        true
    };
    (optional) => {
        false
    };
}

/// Makes a structure from the list of its members. Each is kept as it came, `None` if absent or null; of several of one
/// name the last; unknown ones are read over.
macro_rules! structure {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $wire:literal $need:ident $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Default)]
        pub(super) struct $name {
            $(pub $field: Option<$type>,)*
        }

        impl $crate::api::shape::Checked for $name {
            fn check(
                &self,
                at: &$crate::api::shape::At<'_>,
                violations: &mut $crate::api::shape::Violations,
            ) {
                let _ = (at, &violations); // a structure may have no members
                $($crate::api::shape::check_member(
                    self.$field.as_ref(),
                    $crate::api::shape::required!($need),
                    &at.member($wire),
                    violations,
                );)*
            }
        }

        impl<'de> $crate::api::json::Members<'de> for $name {
            const NAME: &'static str = stringify!($name);

            fn member<A: serde::de::MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
                match name {
                    $($wire => self.$field = $crate::api::json::member(map)?,)*
                    _ => $crate::api::json::skip(map)?,
                }
                Ok(())
            }
        }
    };
}

/// Makes the shapes of the table.
macro_rules! shapes {
    ($($name:ident: $type:ty, $constraint:ident $arguments:tt;)*) => {
        $(
            #[doc = concat!("`", stringify!($name), "`")]
            pub(super) struct $name;

            impl $crate::api::shape::Shape for $name {
                type Value = $type;
                const CONSTRAINT: $crate::api::shape::Constraint =
                    $crate::api::shape::Constraint::$constraint $arguments;
            }
        )*
    };
}

pub(super) use {required, shapes, structure};

#[cfg(test)]
#[path = "shape_test.rs"]
mod tests;
