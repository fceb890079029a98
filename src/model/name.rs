//! Names as parsed newtypes: an invalid one cannot exist.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use super::error::Error;
use super::limits::{ATTRIBUTE_NAME_BYTES_MAX, TABLE_NAME_LEN_MAX, TABLE_NAME_LEN_MIN};

/// The name of a table or an index: 3 to 255 characters of `[a-zA-Z0-9_.-]`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TableName(Arc<str>);

impl TableName {
    /// Accepts a name of the right length and alphabet. Errors: `TableNameLength`, `TableNameCharacters`.
    /// Source: 2.1.3.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let len = text.chars().count();
        if !(TABLE_NAME_LEN_MIN..=TABLE_NAME_LEN_MAX).contains(&len) {
            return Err(Error::TableNameLength);
        }
        if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')) {
            return Err(Error::TableNameCharacters { text: text.to_owned() });
        }
        Ok(Self(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of an attribute: 1 to 65535 bytes of any characters, also quotes, dots and NUL. Cheap to clone.
///
/// Ordered by UTF-8 bytes, as `str` is, so a sorted map can be searched with a `&str`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AttributeName(Arc<str>);

impl AttributeName {
    /// Accepts any name of the right length. Errors: `AttributeNameEmpty`, `AttributeNameTooLong`. Source: 2.1.3.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Err(Error::AttributeNameEmpty);
        }
        if text.len() > ATTRIBUTE_NAME_BYTES_MAX {
            return Err(Error::AttributeNameTooLong);
        }
        Ok(Self(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! name_traits {
    ($name:ident) => {
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self, Error> {
                Self::parse(&text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                Self::parse(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.as_str().to_owned()
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                &*self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                &*self.0 == *other
            }
        }
    };
}

name_traits!(TableName);
name_traits!(AttributeName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_names() {
        for good in ["abc", "a.b", "A-9_z", &"x".repeat(255)] {
            assert_eq!(TableName::parse(good).expect("a good name").as_str(), good);
        }
        let length = "TableName must be at least 3 characters long and at most 255 characters long";
        for bad in ["", "ab", &"x".repeat(256)] {
            assert_eq!(TableName::parse(bad).expect_err("a bad length").to_string(), length);
        }
        assert_eq!(
            TableName::parse("abc;").expect_err("a bad character").to_string(),
            "1 validation error detected: Value 'abc;' at 'tableName' failed to satisfy constraint: \
             Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
        );
        assert!(TableName::parse("äbc").is_err(), "letters outside ASCII are not in the alphabet");
    }

    #[test]
    fn attribute_names() {
        for good in ["a", "with \"quotes\"", "new\nline", "nul\0", "a.b[0]", &"x".repeat(65_535)] {
            assert_eq!(AttributeName::parse(good).expect("a good name"), *good);
        }
        assert_eq!(AttributeName::parse(""), Err(Error::AttributeNameEmpty));
        assert_eq!(AttributeName::parse(&"x".repeat(65_536)), Err(Error::AttributeNameTooLong));
        assert!(
            Error::AttributeNameEmpty.to_string().ends_with("Empty attribute name"),
            "the text clients look for"
        );
    }
}
