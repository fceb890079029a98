//! What expressions mean, once their placeholders are replaced and their static rules checked.
//!
//! Text and legacy parameters both end here, and only this is evaluated. It travels between nodes inside writes and
//! reads, so every node evaluates what the first one understood.

use serde::{Deserialize, Serialize};

use crate::model::{AttributeName, AttributeValue};

/// A document path: an attribute, and steps into it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Path {
    /// The top-level attribute.
    pub name: AttributeName,
    /// The way from there, outermost first.
    pub steps: Vec<Step>,
}

/// A step into a map or a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// `.name`
    Member(AttributeName),
    /// `[index]`
    Index(u32),
}

/// A condition or a filter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Condition {
    /// All hold; not empty.
    And(Vec<Condition>),
    /// One holds; not empty.
    Or(Vec<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
    /// `left comparator right`
    Compare(Operand, Comparator, Operand),
    /// `operand BETWEEN low AND high`, both included.
    Between(Operand, Operand, Operand),
    /// `operand IN (...)`
    In(Operand, Vec<Operand>),
    /// `attribute_exists(path)`
    Exists(Path),
    /// `attribute_not_exists(path)`
    NotExists(Path),
    /// `attribute_type(operand, :type)`
    Type(Operand, Type),
    /// `begins_with(operand, prefix)`
    BeginsWith(Operand, Operand),
    /// `contains(container, member)`
    Contains(Operand, Operand),
}

/// What a comparison compares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operand {
    /// What the item has there.
    Path(Path),
    /// A value the request gave.
    Value(AttributeValue),
    /// `size(operand)`; never of a `size`.
    Size(Box<Operand>),
}

/// How two operands are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparator {
    /// `=`
    Equal,
    /// `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// A type of attribute value, as `attribute_type` names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Type {
    /// String.
    S,
    /// Number.
    N,
    /// Binary.
    B,
    /// Boolean.
    Bool,
    /// Null.
    Null,
    /// Map.
    M,
    /// List.
    L,
    /// Set of strings.
    Ss,
    /// Set of numbers.
    Ns,
    /// Set of binaries.
    Bs,
}

/// An update: its actions, each kind in the order of the request. No two of its paths overlap or conflict.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// `SET path = value`
    pub set: Vec<(Path, SetValue)>,
    /// `REMOVE path`
    pub remove: Vec<Path>,
    /// `ADD path :value`: a number or a set; from legacy parameters also a list, which is appended.
    pub add: Vec<(Path, AttributeValue)>,
    /// `DELETE path :value`: a set.
    pub delete: Vec<(Path, AttributeValue)>,
}

/// The right-hand side of a `SET`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SetValue {
    /// `operand`
    Operand(SetOperand),
    /// `operand + operand`
    Plus(SetOperand, SetOperand),
    /// `operand - operand`
    Minus(SetOperand, SetOperand),
}

/// An operand of a `SET`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SetOperand {
    /// What the item has there.
    Path(Path),
    /// A value the request gave.
    Value(AttributeValue),
    /// `if_not_exists(path, operand)`
    IfNotExists(Path, Box<SetOperand>),
    /// `list_append(operand, operand)`
    ListAppend(Box<SetOperand>, Box<SetOperand>),
}

/// What of an item is shown. No two of its paths overlap or conflict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Projection {
    /// The paths to show; not empty.
    pub paths: Vec<Path>,
}

/// Which items of a table a query reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyCondition {
    /// The partition key, of the schema's type.
    pub partition: AttributeValue,
    /// What the sort key must be like.
    pub sort: Option<SortCondition>,
}

/// What a sort key must be like; values are of the schema's type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SortCondition {
    /// Equal to it.
    Equal(AttributeValue),
    /// Less than it.
    Less(AttributeValue),
    /// Less or equal.
    LessOrEqual(AttributeValue),
    /// Greater than it.
    Greater(AttributeValue),
    /// Greater or equal.
    GreaterOrEqual(AttributeValue),
    /// Between two, both included.
    Between(AttributeValue, AttributeValue),
    /// Begins with it: strings and binaries.
    BeginsWith(AttributeValue),
}
