//! The alternatives at a leaf of a pattern: literal values, and objects of one operator.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr}; // addresses as values: `core` has no sockets
use std::ops::{Bound, RangeBounds};

use serde_json::{Map, Value};

use super::subject::Scalar;
use super::text::{Folded, TextTest, Wildcard};
use crate::model::{Corrupt, Number};

/// Largest magnitude that `numeric` compares with: that of the event ruler's numbers (`ComparableNumber`).
const NUMERIC_MAX: f64 = 5e11;

/// The names of AWS's operators; an object in a `$or` that has one as a field's name makes it an ordinary name.
pub(super) const OPERATORS: &[&str] = &[
    "anything-but",
    "cidr",
    "equals-ignore-case",
    "exactly",
    "exists",
    "numeric",
    "prefix",
    "suffix",
    "wildcard",
];

/// One alternative. Tests of one kind of value are false of another, except where the variant says else.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Test {
    /// That there is a value at the leaf at all, or none.
    Exists(bool),
    /// The event of a record has no JSON null: `{"NULL": true}` is a boolean.
    Null,
    Bool(bool),
    Number(f64),
    Text(TextTest),
    /// Any value but a text that one of these holds of.
    AnythingButTexts(Vec<TextTest>),
    /// Any value but one of these numbers.
    AnythingButNumbers(Vec<f64>),
    Numeric(Range<f64>),
    /// An extension: also true of texts, if they are those of DynamoDB's numbers.
    Decimal(Range<Number>),
    Cidr(Network),
}

type Range<T> = (Bound<T>, Bound<T>);

impl Test {
    /// Whether it holds of a value that is there. Errors: `Corrupt` if a stored number is none.
    pub(super) fn holds(&self, scalar: &Scalar<'_>) -> Result<bool, Corrupt> {
        let number = scalar.number().map(|number| number as f64);
        Ok(match self {
            Self::Exists(wanted) => *wanted,
            Self::Null => false,
            Self::Bool(wanted) => scalar.bool() == Some(*wanted),
            Self::Number(wanted) => number == Some(*wanted),
            Self::Text(test) => scalar.with_text(|text| test.holds(text)).unwrap_or(false),
            Self::AnythingButTexts(tests) => {
                !scalar.with_text(|text| tests.iter().any(|test| test.holds(text))).unwrap_or(false)
            }
            Self::AnythingButNumbers(numbers) => !number.is_some_and(|number| numbers.contains(&number)),
            Self::Numeric(range) => number.is_some_and(|number| range.contains(&number)),
            Self::Decimal(range) => scalar.decimal()?.is_some_and(|number| range.contains(&number)),
            Self::Cidr(network) => scalar.with_text(|text| network.holds(text)).unwrap_or(false),
        })
    }

    /// Parses an alternative. Errors: what is wrong with it, as a sentence.
    pub(super) fn parse(value: &Value) -> Result<Self, String> {
        match value {
            Value::Null => Ok(Self::Null),
            Value::Bool(value) => Ok(Self::Bool(*value)),
            Value::Number(number) => Ok(Self::Number(double(number)?)),
            Value::String(text) => Ok(Self::Text(TextTest::Equals(text.as_str().into()))),
            Value::Array(_) => Err("an alternative is a value or an operator, not an array".to_owned()),
            Value::Object(operator) => Self::parse_operator(operator),
        }
    }

    fn parse_operator(object: &Map<String, Value>) -> Result<Self, String> {
        let (name, operand) = only_member(object)?;
        match (name, operand) {
            ("exists", Value::Bool(wanted)) => Ok(Self::Exists(*wanted)),
            ("exists", _) => Err(r#""exists" takes true or false"#.to_owned()),
            ("prefix" | "suffix", Value::Object(inner)) => match only_member(inner)? {
                ("equals-ignore-case", Value::String(text)) if name == "prefix" => {
                    Ok(Self::Text(TextTest::PrefixIgnoreCase(Folded::new(text))))
                }
                ("equals-ignore-case", Value::String(text)) => {
                    Ok(Self::Text(TextTest::SuffixIgnoreCase(Folded::new(text))))
                }
                _ => Err(format!(r#""{name}" takes a text, or "equals-ignore-case" of one"#)),
            },
            ("prefix" | "suffix" | "equals-ignore-case" | "wildcard", Value::String(text)) => {
                text_test(name, text).map(Self::Text)
            }
            ("prefix" | "suffix", _) => {
                Err(format!(r#""{name}" takes a text, or "equals-ignore-case" of one"#))
            }
            ("equals-ignore-case" | "wildcard", _) => Err(format!(r#""{name}" takes a text"#)),
            ("anything-but", operand) => anything_but(operand),
            ("numeric", operand) => range(name, operand, numeric_bound).map(Self::Numeric),
            ("decimal", operand) => range(name, operand, decimal_bound).map(Self::Decimal),
            ("cidr", Value::String(text)) => Network::parse(text).map(Self::Cidr),
            ("cidr", _) => Err(r#""cidr" takes a text"#.to_owned()),
            _ => Err(format!(r#"there is no operator "{name}""#)),
        }
    }
}

fn only_member(object: &Map<String, Value>) -> Result<(&str, &Value), String> {
    match object.iter().next() {
        Some((name, value)) if object.len() == 1 => Ok((name, value)),
        _ => Err(format!("an operator is an object of one member, and this one has {}", object.len())),
    }
}

fn text_test(operator: &str, text: &str) -> Result<TextTest, String> {
    match operator {
        "prefix" => Ok(TextTest::Prefix(text.into())),
        "suffix" => Ok(TextTest::Suffix(text.into())),
        "equals-ignore-case" => Ok(TextTest::EqualsIgnoreCase(Folded::new(text))),
        "wildcard" => match Wildcard::parse(text) {
            Ok(wildcard) => Ok(TextTest::Wildcard(wildcard)),
            Err(what) => Err(format!(r#""wildcard" {what}"#)),
        },
        _ => Err(format!(r#""anything-but" takes no "{operator}""#)),
    }
}

fn anything_but(operand: &Value) -> Result<Test, String> {
    if let Value::Object(object) = operand {
        let (operator, operand) = only_member(object)?;
        let empty = matches!(operator, "prefix" | "suffix");
        let texts = each(operand, |value| match value.as_str()? {
            "" if empty => {
                Some(Err(format!(r#""anything-but" takes no empty "{operator}", which is every text's"#)))
            }
            text => Some(text_test(operator, text)),
        });
        let texts = texts.unwrap_or_else(|| {
            text_test(operator, "")?;
            Err(format!(r#""{operator}" in "anything-but" takes a text or several"#))
        });
        return texts.map(Test::AnythingButTexts);
    }
    let texts = each(operand, |value| Some(Ok(TextTest::Equals(value.as_str()?.into()))));
    if let Some(texts) = texts {
        return texts.map(Test::AnythingButTexts);
    }
    let numbers = each(operand, |value| value.as_number().map(double));
    numbers
        .unwrap_or_else(|| {
            Err(r#""anything-but" takes texts or numbers, one or several of a kind"#.to_owned())
        })
        .map(Test::AnythingButNumbers)
}

/// Reads a value, or every value of an array; `None` if that is empty or `read` does not know one.
fn each<T>(
    operand: &Value,
    read: impl Fn(&Value) -> Option<Result<T, String>>,
) -> Option<Result<Vec<T>, String>> {
    let values = operand.as_array().map_or(std::slice::from_ref(operand), Vec::as_slice);
    let read: Vec<_> = values.iter().map(read).collect::<Option<_>>()?;
    (!read.is_empty()).then(|| read.into_iter().collect())
}

/// A number of a pattern as the event ruler compares numbers.
fn double(number: &serde_json::Number) -> Result<f64, String> {
    let double = number.to_string().parse().ok().filter(|double: &f64| double.is_finite());
    double.ok_or_else(|| format!("the number {number} is too large to compare with"))
}

fn numeric_bound(value: &Value) -> Option<Result<f64, String>> {
    let Value::Number(number) = value else { return None };
    let bound = double(number).ok().filter(|bound| bound.abs() <= NUMERIC_MAX);
    Some(bound.ok_or_else(|| r#""numeric" compares with numbers from -5e11 to 5e11"#.to_owned()))
}

fn decimal_bound(value: &Value) -> Option<Result<Number, String>> {
    let bound = match value {
        Value::Number(number) => Number::parse(&number.to_string()),
        Value::String(text) => Number::parse(text),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    Some(bound.map_err(|error| format!(r#""decimal" compares with DynamoDB's numbers: {error}"#)))
}

/// The event ruler's grammar of ranges: one comparison and a bound, or a lower and then an upper one that is above it.
fn range<T: Copy + PartialOrd>(
    operator: &str,
    operand: &Value,
    bound: impl Fn(&Value) -> Option<Result<T, String>>,
) -> Result<Range<T>, String> {
    let pairs = || format!(r#""{operator}" takes pairs of a comparison and a number"#);
    let Value::Array(values) = operand else { return Err(pairs()) };
    let pair = |comparison: &Value, number: &Value| -> Result<Range<T>, String> {
        let number = bound(number).ok_or_else(pairs)??;
        match comparison.as_str().ok_or_else(pairs)? {
            "=" => Ok((Bound::Included(number), Bound::Included(number))),
            ">" => Ok((Bound::Excluded(number), Bound::Unbounded)),
            ">=" => Ok((Bound::Included(number), Bound::Unbounded)),
            "<" => Ok((Bound::Unbounded, Bound::Excluded(number))),
            "<=" => Ok((Bound::Unbounded, Bound::Included(number))),
            other => Err(format!(r#""{operator}" knows no comparison "{other}""#)),
        }
    };
    match &values[..] {
        [comparison, number] => pair(comparison, number),
        [lower, low, upper, high] => match (pair(lower, low)?, pair(upper, high)?) {
            ((low, Bound::Unbounded), (Bound::Unbounded, high)) => match (low, high) {
                (Bound::Included(l) | Bound::Excluded(l), Bound::Included(h) | Bound::Excluded(h))
                    if l < h =>
                {
                    Ok((low, high))
                }
                _ => Err(format!(r#"the lower bound of "{operator}" is not below the upper one"#)),
            },
            _ => Err(format!(r#""{operator}" takes a lower bound and then an upper one"#)),
        },
        _ => Err(pairs()),
    }
}

/// A range of IP addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Network {
    V4 { address: u32, mask: u32 },
    V6 { address: u128, mask: u128 },
}

impl Network {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!(r#""cidr" takes a network as 10.0.0.0/24 or 2001:db8::/32, not "{text}""#);
        let (address, bits) = text.split_once('/').ok_or_else(wrong)?;
        let digits = !bits.is_empty() && bits.bytes().all(|byte| byte.is_ascii_digit());
        let bits: u32 = bits.parse().ok().filter(|_| digits).ok_or_else(wrong)?;
        match address.parse().map_err(|_| wrong())? {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32u32.checked_sub(bits).ok_or_else(wrong)?).unwrap_or(0);
                Ok(Self::V4 { address: address.to_bits() & mask, mask })
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128u32.checked_sub(bits).ok_or_else(wrong)?).unwrap_or(0);
                Ok(Self::V6 { address: address.to_bits() & mask, mask })
            }
        }
    }

    fn holds(&self, text: &str) -> bool {
        match self {
            Self::V4 { address, mask } => {
                text.parse().is_ok_and(|other: Ipv4Addr| other.to_bits() & mask == *address)
            }
            Self::V6 { address, mask } => {
                text.parse().is_ok_and(|other: Ipv6Addr| other.to_bits() & mask == *address)
            }
        }
    }
}
