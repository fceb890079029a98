//! The parameters that expressions replaced, translated into what expressions mean.
//!
//! Source: Amazon DynamoDB Developer Guide, "Legacy conditional parameters". Their attribute names are literal: a dot
//! in one is a character of it, and nothing inside a map or a list can be named. The messages are DynamoDB's. Where
//! several apply the first in order of attribute names is given; the wire may send them in any order.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::model::{AttributeName, AttributeValue, KeySchema, KeyType};

use super::ast::{
    Comparator, Condition, KeyCondition, Operand, Path, Projection, SetOperand, SetValue, SortCondition,
    Update,
};
use super::comparison::Scalar;
use super::subject::ValueRef;

/// What `Expected` says of one attribute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// `Exists`
    pub exists: Option<bool>,
    /// `Value`
    pub value: Option<AttributeValue>,
    /// `ComparisonOperator`
    pub operator: Option<String>,
    /// `AttributeValueList`
    pub list: Option<Vec<AttributeValue>>,
}

/// What `QueryFilter`, `ScanFilter` or `KeyConditions` says of one attribute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// `ComparisonOperator`
    pub operator: Option<String>,
    /// `AttributeValueList`
    pub list: Option<Vec<AttributeValue>>,
}

/// What `AttributeUpdates` does to one attribute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttributeUpdate {
    /// `Action`
    pub action: Option<String>,
    /// `Value`
    pub value: Option<AttributeValue>,
}

/// A legacy parameter that means nothing. Kind: *invalid*. `Display` is DynamoDB's message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Legacy parameters beside expressions.
    #[error(
        "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {{{legacy}}} Expression parameters: {{{expressions}}}"
    )]
    Mixed {
        /// The legacy parameters that were given, joined with `, `.
        legacy: String,
        /// The expressions.
        expressions: String,
    },
    /// A word that is not one of those the parameter knows.
    #[error(
        "1 validation error detected: Value '{word}' at '{at}' failed to satisfy constraint: Member must satisfy enum value set: [{known}]"
    )]
    UnknownWord {
        /// What was sent.
        word: String,
        /// Where it was sent, as the wire names it.
        at: String,
        /// What could have been sent.
        known: &'static str,
    },
    /// A condition without an operator.
    #[error(
        "1 validation error detected: Value null at '{at}' failed to satisfy constraint: Member must not be null"
    )]
    OperatorMissing {
        /// Where it is missing, as the wire names it.
        at: String,
    },
    /// `AttributesToGet` without names.
    #[error(
        "1 validation error detected: Value '[]' at 'attributesToGet' failed to satisfy constraint: Member must have length greater than or equal to 1"
    )]
    NoAttributes,
    /// What DynamoDB calls a parameter value that is invalid, and why.
    #[error("One or more parameter values were invalid: {0}")]
    Value(String),
    /// A range without inside.
    #[error(
        "The BETWEEN condition was provided a range where the lower bound is greater than the upper bound"
    )]
    RangeReversed,
    /// `ConditionalOperator` with nothing to combine.
    #[error("ConditionalOperator cannot be used without Filter or Expected")]
    NothingToCombine,
    /// `ConditionalOperator` with one condition.
    #[error("ConditionalOperator can only be used when Filter or Expected has two or more elements")]
    OneToCombine,
    /// A `QueryFilter` on a key attribute, which belongs in `KeyConditions`.
    #[error("QueryFilter can only contain non-primary key attributes: Primary key attribute: {name}")]
    KeyFiltered {
        /// The key attribute.
        name: String,
    },
    /// No key condition, or more than a key has attributes.
    #[error("Conditions can be of length 1 or 2 only")]
    KeyConditionCount,
    /// A condition on what is not the key.
    #[error("Query condition missed key schema element: {name}")]
    KeyMissed {
        /// The key attribute without a condition.
        name: String,
    },
    /// An operator that no key order helps with.
    #[error("Attempted conditional constraint is not an indexable operation")]
    NotIndexable,
    /// Another condition on a partition key than equality.
    #[error("Query key condition not supported")]
    KeyConditionUnsupported,
}

fn value_error<T>(why: impl fmt::Display) -> Result<T, Invalid> {
    Err(Invalid::Value(why.to_string()))
}

/// Refuses a request that uses both kinds of parameters, given the names of those it uses in DynamoDB's order.
/// `KeyConditions` beside expressions other than `KeyConditionExpression` is no mixture; the caller leaves it out.
/// Errors: `Mixed`.
pub fn refuse_mixed(legacy: &[&str], expressions: &[&str]) -> Result<(), Invalid> {
    if legacy.is_empty() || expressions.is_empty() {
        return Ok(());
    }
    Err(Invalid::Mixed { legacy: legacy.join(", "), expressions: expressions.join(", ") })
}

/// `ComparisonOperator`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Compare(Comparator),
    NotNull,
    Null,
    Contains,
    NotContains,
    BeginsWith,
    In,
    Between,
}

impl Operator {
    const KNOWN: &str =
        "IN, NULL, BETWEEN, LT, NOT_CONTAINS, EQ, GT, NOT_NULL, NE, LE, BEGINS_WITH, GE, CONTAINS";

    fn parse(word: &str, parameter: &str, name: &AttributeName) -> Result<Self, Invalid> {
        Ok(match word {
            "EQ" => Self::Compare(Comparator::Equal),
            "NE" => Self::Compare(Comparator::NotEqual),
            "LE" => Self::Compare(Comparator::LessOrEqual),
            "LT" => Self::Compare(Comparator::Less),
            "GE" => Self::Compare(Comparator::GreaterOrEqual),
            "GT" => Self::Compare(Comparator::Greater),
            "NOT_NULL" => Self::NotNull,
            "NULL" => Self::Null,
            "CONTAINS" => Self::Contains,
            "NOT_CONTAINS" => Self::NotContains,
            "BEGINS_WITH" => Self::BeginsWith,
            "IN" => Self::In,
            "BETWEEN" => Self::Between,
            _ => {
                let at = operator_at(parameter, name);
                return Err(Invalid::UnknownWord { word: word.to_owned(), at, known: Self::KNOWN });
            }
        })
    }

    fn takes_count(self, count: usize) -> bool {
        match self {
            Self::NotNull | Self::Null => count == 0,
            Self::Compare(_) | Self::Contains | Self::NotContains | Self::BeginsWith => count == 1,
            Self::In => count >= 1,
            Self::Between => count == 2,
        }
    }

    fn takes_type(self, value: &AttributeValue) -> bool {
        use AttributeValue::{B, N, S};
        match self {
            Self::Compare(Comparator::Equal | Comparator::NotEqual) | Self::NotNull | Self::Null => true,
            Self::BeginsWith => matches!(value, S(_) | B(_)),
            Self::Compare(_) | Self::Contains | Self::NotContains | Self::In | Self::Between => {
                matches!(value, S(_) | N(_) | B(_))
            }
        }
    }

    /// Errors: as DynamoDB checks, the number of arguments, that they are of one type, that it is a type for this
    /// operator, and that a range is not reversed.
    fn check(self, word: &str, arguments: &[AttributeValue]) -> Result<(), Invalid> {
        if !self.takes_count(arguments.len()) {
            return value_error(format!("Invalid number of argument(s) for the {word} ComparisonOperator"));
        }
        let Some(first) = arguments.first() else { return Ok(()) };
        if arguments.iter().any(|argument| argument.type_name() != first.type_name()) {
            return value_error("AttributeValues inside AttributeValueList must be of same type");
        }
        if !self.takes_type(first) {
            let type_name = first.type_name();
            return value_error(format!(
                "ComparisonOperator {word} is not valid for {type_name} AttributeValue type"
            ));
        }
        match (self, arguments) {
            (Self::Between, [low, high]) if is_greater(low, high) => Err(Invalid::RangeReversed),
            _ => Ok(()),
        }
    }

    /// The condition on an attribute; the arguments were checked.
    fn condition(self, name: &AttributeName, arguments: Vec<AttributeValue>) -> Condition {
        let path = || attribute(name);
        let operand = Operand::Path(path());
        let mut arguments = arguments.into_iter().map(Operand::Value);
        let mut argument = || arguments.next().expect("the number of arguments was checked");
        match self {
            Self::Compare(comparator) => Condition::Compare(operand, comparator, argument()),
            Self::NotNull => Condition::Exists(path()),
            Self::Null => Condition::NotExists(path()),
            Self::Contains => Condition::Contains(operand, argument()),
            // False if the attribute is missing, unlike a negation.
            Self::NotContains => Condition::And(vec![
                Condition::Exists(path()),
                Condition::Not(Box::new(Condition::Contains(operand, argument()))),
            ]),
            Self::BeginsWith => Condition::BeginsWith(operand, argument()),
            Self::In => Condition::In(operand, arguments.collect()),
            Self::Between => Condition::Between(operand, argument(), argument()),
        }
    }
}

fn operator_at(parameter: &str, name: &AttributeName) -> String {
    format!("{parameter}.{name}.member.comparisonOperator")
}

fn attribute(name: &AttributeName) -> Path {
    Path { name: name.clone(), steps: Vec::new() }
}

fn is_greater(low: &AttributeValue, high: &AttributeValue) -> bool {
    let scalar = |value| Scalar::of(ValueRef::Built(value)).expect("a built value is not corrupt");
    let order = scalar(low).zip(scalar(high)).and_then(|(low, high)| low.order(high));
    order.is_some_and(|order| order.is_gt())
}

/// `Expected` and `ConditionalOperator`. None if there is no condition: `Expected` may be empty or left out.
/// Errors: `Invalid`.
pub fn expected(
    expected: BTreeMap<AttributeName, Expected>,
    conditional_operator: Option<&str>,
) -> Result<Option<Condition>, Invalid> {
    let combine = combination(conditional_operator, expected.len())?;
    let conditions = expected.into_iter().map(|(name, expected)| expected_attribute(&name, expected));
    Ok(combined(combine, conditions.collect::<Result<_, _>>()?))
}

fn expected_attribute(name: &AttributeName, expected: Expected) -> Result<Condition, Invalid> {
    let Expected { exists, value, operator, list } = expected;
    let parsed = match &operator {
        Some(word) => Some((Operator::parse(word, "expected", name)?, word)),
        None => None,
    };
    if value.is_some() && list.is_some() {
        return value_error(format!(
            "Value and AttributeValueList cannot be used together for Attribute: {name}"
        ));
    }
    let Some((operator, word)) = parsed else {
        if list.is_some() {
            return value_error(format!(
                "AttributeValueList can only be used with a ComparisonOperator for Attribute: {name}"
            ));
        }
        return expected_value(name, exists, value);
    };
    if exists.is_some() {
        return value_error(format!(
            "Exists and ComparisonOperator cannot be used together for Attribute: {name}"
        ));
    }
    let nothing = value.is_none() && list.is_none();
    if nothing && !operator.takes_count(0) {
        return value_error(format!(
            "Value or AttributeValueList must be used with ComparisonOperator: {word} for Attribute: {name}"
        ));
    }
    let arguments = list.unwrap_or_else(|| value.into_iter().collect());
    operator.check(word, &arguments)?;
    Ok(operator.condition(name, arguments))
}

fn expected_value(
    name: &AttributeName,
    exists: Option<bool>,
    value: Option<AttributeValue>,
) -> Result<Condition, Invalid> {
    match (exists, value) {
        (None | Some(true), Some(value)) => {
            Ok(Operator::Compare(Comparator::Equal).condition(name, vec![value]))
        }
        (Some(false), None) => Ok(Operator::Null.condition(name, Vec::new())),
        (Some(false), Some(_)) => {
            value_error(format!("Value cannot be used when Exists is false for Attribute: {name}"))
        }
        (None | Some(true), None) => {
            let exists = if exists.is_some() { "true" } else { "null" };
            value_error(format!("Value must be provided when Exists is {exists} for Attribute: {name}"))
        }
    }
}

/// `QueryFilter` and `ConditionalOperator`: as `scan_filter`, and no key attribute of the table or the index that is
/// queried may be named. Errors: `Invalid`.
pub fn query_filter(
    filter: BTreeMap<AttributeName, Filter>,
    conditional_operator: Option<&str>,
    schema: &KeySchema,
) -> Result<Option<Condition>, Invalid> {
    let keys = [Some(&schema.partition), schema.sort.as_ref()];
    let named = keys.into_iter().flatten().find(|key| filter.contains_key(&key.name));
    let named = named.map(|key| key.name.to_string());
    let condition = self::filter("queryFilter", filter, conditional_operator)?;
    named.map_or(Ok(condition), |name| Err(Invalid::KeyFiltered { name }))
}

/// `ScanFilter` and `ConditionalOperator`. None if there is no condition: the filter may be empty or left out.
/// Errors: `Invalid`.
pub fn scan_filter(
    filter: BTreeMap<AttributeName, Filter>,
    conditional_operator: Option<&str>,
) -> Result<Option<Condition>, Invalid> {
    self::filter("scanFilter", filter, conditional_operator)
}

fn filter(
    parameter: &str,
    filter: BTreeMap<AttributeName, Filter>,
    conditional_operator: Option<&str>,
) -> Result<Option<Condition>, Invalid> {
    let combine = combination(conditional_operator, filter.len())?;
    let conditions = filter.into_iter().map(|(name, filter)| {
        let (operator, arguments) = filter.checked(parameter, &name)?;
        Ok(operator.condition(&name, arguments))
    });
    Ok(combined(combine, conditions.collect::<Result<_, _>>()?))
}

impl Filter {
    fn checked(
        self,
        parameter: &str,
        name: &AttributeName,
    ) -> Result<(Operator, Vec<AttributeValue>), Invalid> {
        let Some(word) = &self.operator else {
            return Err(Invalid::OperatorMissing { at: operator_at(parameter, name) });
        };
        let operator = Operator::parse(word, parameter, name)?;
        let arguments = self.list.unwrap_or_default();
        operator.check(word, &arguments)?;
        Ok((operator, arguments))
    }
}

type Combine = fn(Vec<Condition>) -> Condition;

fn combination(conditional_operator: Option<&str>, count: usize) -> Result<Combine, Invalid> {
    let combine: Combine = match conditional_operator {
        None => return Ok(Condition::And),
        Some("AND") => Condition::And,
        Some("OR") => Condition::Or,
        Some(word) => {
            let at = "conditionalOperator".to_owned();
            return Err(Invalid::UnknownWord { word: word.to_owned(), at, known: "OR, AND" });
        }
    };
    match count {
        0 => Err(Invalid::NothingToCombine),
        1 => Err(Invalid::OneToCombine),
        _ => Ok(combine),
    }
}

fn combined(combine: Combine, mut conditions: Vec<Condition>) -> Option<Condition> {
    if conditions.len() > 1 { Some(combine(conditions)) } else { conditions.pop() }
}

/// `KeyConditions`, of a query on a table or an index with that schema. Whether values are within the limits of keys
/// is checked with the keys. Errors: `Invalid`.
pub fn key_conditions(
    conditions: BTreeMap<AttributeName, Filter>,
    schema: &KeySchema,
) -> Result<KeyCondition, Invalid> {
    let checked = conditions.into_iter().map(|(name, condition)| {
        let checked = condition.checked("keyConditions", &name)?;
        Ok((name, checked))
    });
    let mut conditions = checked.collect::<Result<BTreeMap<_, _>, Invalid>>()?;
    let count = conditions.len();
    if !(1..=2).contains(&count) {
        return Err(Invalid::KeyConditionCount);
    }
    if schema.sort.is_none() && count > 1 {
        return Err(Invalid::KeyConditionUnsupported);
    }
    let missed = |name: &AttributeName| Invalid::KeyMissed { name: name.to_string() };
    let name = &schema.partition.name;
    let (operator, arguments) = conditions.remove(name).ok_or_else(|| missed(name))?;
    let condition = key_condition(operator, arguments, schema.partition.kind)?;
    let SortCondition::Equal(partition) = condition else { return Err(Invalid::KeyConditionUnsupported) };
    let sort = match &schema.sort {
        Some(key) if count > 1 => {
            let (operator, arguments) = conditions.remove(&key.name).ok_or_else(|| missed(&key.name))?;
            Some(key_condition(operator, arguments, key.kind)?)
        }
        _ => None,
    };
    Ok(KeyCondition { partition, sort })
}

fn key_condition(
    operator: Operator,
    arguments: Vec<AttributeValue>,
    kind: KeyType,
) -> Result<SortCondition, Invalid> {
    let fits = arguments.iter().all(|argument| argument.type_name() == kind.type_name());
    let mut arguments = arguments.into_iter();
    let mut argument = || arguments.next().expect("the number of arguments was checked");
    let condition = match operator {
        Operator::Compare(Comparator::Equal) => SortCondition::Equal(argument()),
        Operator::Compare(Comparator::Less) => SortCondition::Less(argument()),
        Operator::Compare(Comparator::LessOrEqual) => SortCondition::LessOrEqual(argument()),
        Operator::Compare(Comparator::Greater) => SortCondition::Greater(argument()),
        Operator::Compare(Comparator::GreaterOrEqual) => SortCondition::GreaterOrEqual(argument()),
        Operator::BeginsWith => SortCondition::BeginsWith(argument()),
        Operator::Between => SortCondition::Between(argument(), argument()),
        Operator::Compare(Comparator::NotEqual)
        | Operator::NotNull
        | Operator::Null
        | Operator::Contains
        | Operator::NotContains
        | Operator::In => return Err(Invalid::NotIndexable),
    };
    if !fits {
        return value_error("Condition parameter type does not match schema type");
    }
    Ok(condition)
}

/// `AttributeUpdates`. Without any, an update without actions: it creates an item of its key alone.
/// Errors: `Invalid`.
pub fn attribute_updates(updates: BTreeMap<AttributeName, AttributeUpdate>) -> Result<Update, Invalid> {
    use AttributeValue::{Bs, L, N, Ns, Ss};
    let mut update = Update::default();
    for (name, AttributeUpdate { action, value }) in updates {
        let path = attribute(&name);
        match (action.as_deref().unwrap_or("PUT"), value) {
            ("PUT", Some(value)) => {
                update.set.push((path, SetValue::Operand(SetOperand::Value(value))));
            }
            ("ADD", Some(value @ (N(_) | Ss(_) | Ns(_) | Bs(_) | L(_)))) => update.add.push((path, value)),
            ("DELETE", Some(value @ (Ss(_) | Ns(_) | Bs(_)))) => update.delete.push((path, value)),
            ("DELETE", None) => update.remove.push(path),
            ("PUT" | "ADD", None) => {
                return value_error("Only DELETE action is allowed when no attribute value is specified");
            }
            ("ADD", Some(value)) => {
                let type_name = value.type_name();
                return value_error(format!("ADD action is not supported for the type {type_name}"));
            }
            ("DELETE", Some(value)) => {
                let type_name = value.type_name();
                return value_error(format!(
                    "DELETE action with value is not supported for the type {type_name}"
                ));
            }
            (word, _) => {
                let at = format!("attributeUpdates.{name}.member.action");
                return Err(Invalid::UnknownWord { word: word.to_owned(), at, known: "ADD, PUT, DELETE" });
            }
        }
    }
    Ok(update)
}

/// `AttributesToGet`. Errors: `NoAttributes`, and `Value` for a name given twice.
pub fn attributes_to_get(names: &[AttributeName]) -> Result<Projection, Invalid> {
    if names.is_empty() {
        return Err(Invalid::NoAttributes);
    }
    let mut seen = BTreeSet::new();
    if let Some(name) = names.iter().find(|name| !seen.insert(*name)) {
        return value_error(format!("Duplicate value in attribute name: {name}"));
    }
    Ok(Projection { paths: seen.into_iter().map(attribute).collect() })
}
