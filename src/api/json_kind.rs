//! What DynamoDB says of JSON of a wrong kind: where a thing stands, what it is, what it should be, and the text.
//!
//! The texts are AWS's, as the tests of dynalite and others have recorded them from it, or made like them where nobody
//! has (nulls, characters outside base64). They are those of the Java behind the service, and name its classes.

use std::fmt;

/// Where something stands, which decides the texts for a scalar that should not be one.
#[derive(Clone, Copy)]
pub(super) struct Place {
    structure: &'static str,
    collection: &'static str,
}

impl Place {
    /// A member of a structure.
    pub(super) const FIELD: Self =
        Self { structure: "Unexpected field type", collection: "Unexpected field type" };

    /// An element of a list, or a value of a map. The second text is an accident in AWS's code that its clients see.
    pub(super) const ELEMENT: Self = Self {
        structure: "Unexpected value type in payload",
        collection: "class sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl cannot be cast to class \
                     java.lang.Class (sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl and \
                     java.lang.Class are in module java.base of loader 'bootstrap')",
    };

    /// Of what may be a number in the place of a map (see `NUMBER`): it is refused as that.
    pub(super) fn of_map(self) -> Self {
        Self { structure: self.collection, ..self }
    }
}

/// What was found.
#[derive(Clone, Copy)]
pub(super) enum Found {
    Null,
    Boolean(bool),
    Numeral(Numeral),
    Text,
    List,
    Map,
}

/// What was expected.
pub(super) enum Wanted {
    /// Of a simple class, by its name.
    Scalar(&'static str),
    Bytes,
    List,
    /// By its class.
    Map(String),
    /// By its class.
    Structure(String),
}

/// DynamoDB's text for something of a wrong kind.
pub(super) fn wrong_kind<E: serde::de::Error>(found: Found, wanted: &Wanted, place: Place) -> E {
    let token = match found {
        Found::Map => return E::custom("Start of structure or map found where not expected"),
        Found::List => return E::custom(format_args!("Unrecognized collection type {wanted}")),
        // AWS's text is not known; this is what it says of scalars there.
        Found::Null => return E::custom(place.structure),
        Found::Boolean(true) => "TRUE_VALUE",
        Found::Boolean(false) => "FALSE_VALUE",
        Found::Numeral(Numeral::Integer(_)) => "NUMBER_VALUE",
        Found::Numeral(Numeral::Decimal(_)) => "DECIMAL_VALUE",
        Found::Text => "STRING_VALUE",
    };
    match wanted {
        Wanted::Scalar("Boolean") if matches!(found, Found::Text) => {
            E::custom("Unexpected token received from parser")
        }
        Wanted::Scalar(name) => E::custom(format_args!("{token} cannot be converted to {name}")),
        Wanted::Bytes => E::custom("only base-64-encoded strings are convertible to bytes"),
        Wanted::List | Wanted::Map(_) => E::custom(place.collection),
        Wanted::Structure(_) => E::custom(place.structure),
    }
}

impl fmt::Display for Wanted {
    /// As Java shows the type.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalar("Date") => f.write_str("class java.util.Date"),
            Self::Scalar(name) => write!(f, "class java.lang.{name}"),
            Self::Bytes => f.write_str("class java.nio.ByteBuffer"),
            Self::List => f.write_str("java.util.List"),
            Self::Map(class) => f.write_str(class),
            Self::Structure(class) => write!(f, "class {class}"),
        }
    }
}

/// A number of JSON.
#[derive(Clone, Copy)]
pub(super) enum Numeral {
    Integer(i128),
    /// Written with a point or an exponent.
    Decimal(f64),
}

impl Numeral {
    /// From what serde_json found to be a number.
    pub(super) fn of(text: &str) -> Self {
        if text.contains(['.', 'e', 'E']) {
            return Self::Decimal(text.parse().unwrap_or(0.0));
        }
        Self::Integer(text.parse().unwrap_or(if text.starts_with('-') { i128::MIN } else { i128::MAX }))
    }

    /// Without its fraction, and within the range.
    pub(super) fn integer(self) -> i64 {
        match self {
            Self::Integer(value) => value.clamp(i64::MIN.into(), i64::MAX.into()) as i64,
            Self::Decimal(value) => value as i64,
        }
    }

    /// `None` before the epoch.
    pub(super) fn milliseconds(self) -> Option<u64> {
        match self {
            Self::Integer(seconds) if seconds < 0 => None,
            Self::Integer(seconds) => Some(u64::try_from(seconds).unwrap_or(u64::MAX).saturating_mul(1000)),
            Self::Decimal(seconds) if seconds < 0.0 => None,
            Self::Decimal(seconds) => Some((seconds * 1000.0).round() as u64),
        }
    }
}
