//! Conditions and filters: whether an item is as an expression says.
//!
//! The rules are those of the Amazon DynamoDB Developer Guide, "Condition and filter expressions, operators, and
//! functions", with what it leaves open decided as DynamoDB does it:
//! - What is missing is equal to nothing, not even to something else missing, and unequal to everything.
//! - A value of the wrong type in an item makes a comparison false. The request's own values were checked when the
//!   expression was bound.
//! - The size of a string is its number of characters (Unicode code points): "the length of the string". A number, a
//!   boolean and a null have no size, and a comparison with it is false, whatever the comparator.

use std::cmp::Ordering;

use crate::model::{AttributeValue, Corrupt, Number};

use super::ast::{Comparator, Condition, Operand};
use super::comparison::{self, Scalar};
use super::subject::{Subject, ValueRef};

impl Condition {
    /// Whether the subject is as the condition says. Errors: `Corrupt` if stored bytes that were looked at do not
    /// decode; what decides before is not looked behind.
    ///
    /// Recursion is as deep as the expression, which binding bounds.
    pub fn holds(&self, subject: Subject<'_>) -> Result<bool, Corrupt> {
        match self {
            Self::And(parts) => {
                for part in parts {
                    if !part.holds(subject)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Self::Or(parts) => {
                for part in parts {
                    if part.holds(subject)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::Not(part) => Ok(!part.holds(subject)?),
            Self::Compare(left, comparator, right) => {
                Seen::of(left, subject)?.compare(*comparator, Seen::of(right, subject)?)
            }
            Self::Between(operand, low, high) => {
                let operand = Seen::of(operand, subject)?;
                Ok(operand.compare(Comparator::GreaterOrEqual, Seen::of(low, subject)?)?
                    && operand.compare(Comparator::LessOrEqual, Seen::of(high, subject)?)?)
            }
            Self::In(operand, candidates) => {
                let operand = Seen::of(operand, subject)?;
                for candidate in candidates {
                    if operand.compare(Comparator::Equal, Seen::of(candidate, subject)?)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::Exists(path) => Ok(subject.resolve(path)?.is_some()),
            Self::NotExists(path) => Ok(subject.resolve(path)?.is_none()),
            Self::Type(operand, expected) => {
                Seen::of(operand, subject)?.test(|value| Ok(comparison::type_of(value)? == *expected))
            }
            Self::BeginsWith(operand, prefix) => both(operand, prefix, subject, |whole, prefix| {
                let scalars = Scalar::of(whole)?.zip(Scalar::of(prefix)?);
                Ok(scalars.is_some_and(|(whole, prefix)| whole.begins_with(prefix)))
            }),
            Self::Contains(container, member) => both(container, member, subject, comparison::contains),
        }
    }
}

/// What an operand stands for, given a subject.
enum Seen<'a> {
    Missing,
    Value(ValueRef<'a>),
    /// A size, or none: of a value that has no size.
    Size(Option<AttributeValue>),
}

impl<'a> Seen<'a> {
    #[inline]
    fn of(operand: &'a Operand, subject: Subject<'a>) -> Result<Self, Corrupt> {
        match operand {
            Operand::Path(path) => Ok(subject.resolve(path)?.map_or(Self::Missing, Self::Value)),
            Operand::Value(value) => Ok(Self::Value(ValueRef::Built(value))),
            Operand::Size(operand) => match Self::of(operand, subject)? {
                Self::Missing => Ok(Self::Missing),
                Self::Value(value) => {
                    let size = comparison::size(value)?;
                    Ok(Self::Size(size.map(|size| AttributeValue::N(Number::from(size as u64)))))
                }
                Self::Size(_) => Ok(Self::Size(None)),
            },
        }
    }

    #[inline]
    fn compare(&self, comparator: Comparator, other: Self) -> Result<bool, Corrupt> {
        if matches!(self, Self::Size(None)) || matches!(other, Self::Size(None)) {
            return Ok(false);
        }
        let (Some(left), Some(right)) = (self.value(), other.value()) else {
            return Ok(comparator == Comparator::NotEqual);
        };
        let ordered = |test: fn(Ordering) -> bool| {
            let scalars = Scalar::of(left)?.zip(Scalar::of(right)?);
            let order = scalars.and_then(|(left, right)| left.order(right));
            Ok(order.is_some_and(test))
        };
        match comparator {
            Comparator::Equal => comparison::equal(left, right),
            Comparator::NotEqual => Ok(!comparison::equal(left, right)?),
            Comparator::Less => ordered(Ordering::is_lt),
            Comparator::LessOrEqual => ordered(Ordering::is_le),
            Comparator::Greater => ordered(Ordering::is_gt),
            Comparator::GreaterOrEqual => ordered(Ordering::is_ge),
        }
    }

    /// None if there is no value to compare.
    fn value(&self) -> Option<ValueRef<'_>> {
        match self {
            Self::Missing | Self::Size(None) => None,
            Self::Value(value) => Some(*value),
            Self::Size(Some(size)) => Some(ValueRef::Built(size)),
        }
    }

    /// The test's answer about the value; false if there is none.
    fn test(&self, test: impl FnOnce(ValueRef<'_>) -> Result<bool, Corrupt>) -> Result<bool, Corrupt> {
        self.value().map_or(Ok(false), test)
    }
}

/// The test's answer about two values; false if one is missing.
fn both(
    left: &Operand,
    right: &Operand,
    subject: Subject<'_>,
    test: impl FnOnce(ValueRef<'_>, ValueRef<'_>) -> Result<bool, Corrupt>,
) -> Result<bool, Corrupt> {
    let (left, right) = (Seen::of(left, subject)?, Seen::of(right, subject)?);
    match (left.value(), right.value()) {
        (Some(left), Some(right)) => test(left, right),
        _ => Ok(false),
    }
}
