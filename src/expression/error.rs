//! What can be wrong with the expressions of a request, in DynamoDB's words.
//!
//! All of it is *invalid*: the caller's fault, a `ValidationException` on the wire, and found before anything is read.
//! `Display` is the complete message. The texts are DynamoDB's as observed; the few that are ours say so.

use std::fmt;

use crate::model;

use super::syntax::Kind;

/// What is wrong with the expressions of a request, or with what their placeholders stand for. Kind: *invalid*.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// An expression that cannot be parsed or bound.
    #[error("Invalid {}: {fault}", .kind.parameter())]
    Expression {
        /// Which expression.
        kind: Kind,
        /// What is wrong with it.
        fault: Fault,
    },
    /// One of the maps of placeholders by itself.
    #[error("{map} {fault}")]
    Map {
        /// Which map.
        map: Map,
        /// What is wrong with it.
        fault: MapFault,
    },
    /// Placeholders larger than `PLACEHOLDERS_BYTES_MAX` together.
    #[error("Combined size of ExpressionAttributeNames and ExpressionAttributeValues exceeds max size")]
    MapsTooLarge,
    /// Placeholders that no expression of the request uses.
    #[error("Value provided in {map} unused in expressions: keys: {{{}}}", .keys.join(", "))]
    Unused {
        /// Which map has them.
        map: Map,
        /// The placeholders, in order of their bytes.
        keys: Vec<String>,
    },
    /// A key condition that no query can be made of.
    #[error(transparent)]
    KeyCondition(#[from] KeyConditionFault),
    /// A filter of a query that looks at a key attribute.
    #[error("Filter Expression can only contain non-primary key attributes: Primary key attribute: {name}")]
    FilterOnKey {
        /// The key attribute.
        name: String,
    },
    /// An update of a key attribute.
    #[error(
        "One or more parameter values were invalid: Cannot update attribute {name}. This attribute is part of the key"
    )]
    UpdateOfKey {
        /// The key attribute.
        name: String,
    },
}

/// What is wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nothing in it but white space.
    #[error("The expression can not be empty;")]
    Empty,
    /// Longer than `EXPRESSION_BYTES_MAX`.
    #[error("Expression size has exceeded the maximum allowed size; expression size: {bytes}")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// A token that does not belong where it is.
    #[error("Syntax error; token: \"{token}\", near: \"{near}\"")]
    Syntax {
        /// The token; `<EOF>` for the end.
        token: String,
        /// The text from the token before it to the token after it.
        near: String,
    },
    /// More operators than `OPERATORS_MAX`.
    #[error("The expression contains too many operators; operator count: {count}")]
    TooManyOperators {
        /// The count at which counting stopped.
        count: usize,
    },
    /// Operands in operands, more than `DEPTH_MAX`. The text is ours.
    #[error("The expression is nested too deeply; nesting levels: {levels}")]
    TooDeep {
        /// The level at which reading stopped.
        levels: usize,
    },
    /// Two pairs of parentheses around the same thing.
    #[error("The expression has redundant parentheses;")]
    RedundantParentheses,
    /// A function that does not exist; case matters.
    #[error("Invalid function name; function: {name}")]
    UnknownFunction {
        /// Its name.
        name: String,
    },
    /// A function where it gives nothing of use.
    #[error("The function is not allowed to be used this way in an expression; function: {name}")]
    MisusedFunction {
        /// Its name.
        name: &'static str,
    },
    /// An attribute whose name must be given through a placeholder.
    #[error("Attribute name is a reserved keyword; reserved keyword: {word}")]
    ReservedWord {
        /// The name, as written.
        word: String,
    },
    /// A path of more than `PATH_LEVELS_MAX` levels.
    #[error("The document path has too many nesting levels; nesting levels: {levels}")]
    PathTooDeep {
        /// Its levels, the attribute included.
        levels: usize,
    },
    /// A list index above `LIST_INDEX_MAX`.
    #[error("List index is not within the allowable range; index: [{index}]")]
    IndexOutOfRange {
        /// The index, as written.
        index: String,
    },
    /// Two clauses of the same kind in an update.
    #[error("The \"{clause}\" section can only be used once in an update expression;")]
    RepeatedClause {
        /// Its keyword.
        clause: &'static str,
    },
    /// A `#name` that the request does not define.
    #[error("An expression attribute name used in the document path is not defined; attribute name: {key}")]
    NameUndefined {
        /// The placeholder.
        key: String,
    },
    /// A `:value` that the request does not define.
    #[error("An expression attribute value used in expression is not defined; attribute value: {key}")]
    ValueUndefined {
        /// The placeholder.
        key: String,
    },
    /// A function with too few or too many arguments.
    #[error(
        "Incorrect number of operands for operator or function; operator or function: {function}, number of operands: {count}"
    )]
    OperandCount {
        /// The function.
        function: &'static str,
        /// How many it was given.
        count: usize,
    },
    /// An `IN` with more operands than `IN_OPERANDS_MAX`.
    #[error("The IN operator is provided with too many operands; number of operands: {count}")]
    TooManyInOperands {
        /// How many, the one before it included.
        count: usize,
    },
    /// The same path on both sides.
    #[error(
        "The first operand must be distinct from the remaining operands for this operator or function; operator: {operator}, first operand: {path}"
    )]
    OperandsNotDistinct {
        /// The comparator or function.
        operator: &'static str,
        /// The path, as a list.
        path: String,
    },
    /// Something else than a path, where only a path makes sense.
    #[error("Operator or function requires a document path; operator or function: {function}")]
    PathRequired {
        /// The function.
        function: &'static str,
    },
    /// A value of a type that the operator or function does not take.
    #[error(
        "Incorrect operand type for operator or function; operator or function: {operator}, operand type: {type_name}"
    )]
    OperandType {
        /// The operator or function.
        operator: &'static str,
        /// The type.
        type_name: &'static str,
    },
    /// A value of a type that `ADD` or `DELETE` does not take.
    #[error("Incorrect operand type for operator or function; operator: {action}, operand type: {type_name}")]
    ActionOperandType {
        /// `ADD` or `DELETE`.
        action: &'static str,
        /// The type, in a word of its own.
        type_name: &'static str,
    },
    /// An `attribute_type` of a type that does not exist.
    #[error("Invalid attribute type name found; type: {name}, valid types: {{B,NULL,SS,BOOL,L,BS,N,NS,S,M}}")]
    UnknownType {
        /// The name given.
        name: String,
    },
    /// A `BETWEEN` two values of different types.
    #[error(
        "The BETWEEN operator requires same data type for lower and upper bounds; lower bound operand: AttributeValue: {{{low}}}, upper bound operand: AttributeValue: {{{high}}}"
    )]
    BoundsTypes {
        /// The lower bound, as `type:value`.
        low: String,
        /// The upper bound.
        high: String,
    },
    /// A `BETWEEN` that nothing is between.
    #[error(
        "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound operand: AttributeValue: {{{low}}}, upper bound operand: AttributeValue: {{{high}}}"
    )]
    BoundsOrder {
        /// The lower bound, as `type:value`.
        low: String,
        /// The upper bound.
        high: String,
    },
    /// Two paths, one of which is in the other or is it.
    #[error(
        "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: {one}, path two: {two}"
    )]
    PathsOverlap {
        /// The one that comes first, as a list.
        one: String,
        /// The other.
        two: String,
    },
    /// Two paths that no item can have both, as one takes for a map what the other takes for a list.
    #[error(
        "Two document paths conflict with each other; must remove or rewrite one of these paths; path one: {one}, path two: {two}"
    )]
    PathsConflict {
        /// The one that comes first, as a list.
        one: String,
        /// The other.
        two: String,
    },
}

/// A map of placeholders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Map {
    /// `ExpressionAttributeNames`
    Names,
    /// `ExpressionAttributeValues`
    Values,
}

impl fmt::Display for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Names => "ExpressionAttributeNames",
            Self::Values => "ExpressionAttributeValues",
        })
    }
}

/// What is wrong with a map of placeholders.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MapFault {
    /// It is there, and no expression is.
    #[error("can only be specified when using expressions")]
    Unneeded,
    /// It has no entries.
    #[error("must not be empty")]
    Empty,
    /// A placeholder without characters.
    #[error("contains invalid key: The expression attribute map contains an empty key;")]
    KeyEmpty,
    /// A placeholder longer than `PLACEHOLDER_BYTES_MAX`.
    #[error(
        "contains invalid key: The expression attribute map contains a key that is too long; size of key: {bytes}"
    )]
    KeyTooLong {
        /// Its length.
        bytes: usize,
    },
    /// A placeholder without its sign, or with other characters than letters, digits and underscores.
    #[error("contains invalid key: Syntax error; key: \"{key}\"")]
    Key {
        /// The placeholder.
        key: String,
    },
    /// Something that cannot be a name or a value.
    #[error("contains invalid value: {source} for key {key}")]
    Value {
        /// Its placeholder.
        key: String,
        /// What is wrong with it.
        source: model::Error,
    },
    /// It is larger than `PLACEHOLDERS_BYTES_MAX`.
    #[error("exceeds max size")]
    TooLarge,
}

/// Why no query can be made of a key condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyConditionFault {
    /// An operator or a function that keys are not found by.
    #[error("Invalid operator used in KeyConditionExpression: {operator}")]
    Operator {
        /// The operator or function.
        operator: &'static str,
    },
    /// A function in a condition.
    #[error("KeyConditionExpressions cannot contain nested operations")]
    NestedOperation,
    /// A path into a key attribute.
    #[error("KeyConditionExpressions cannot have conditions on nested attributes")]
    NestedAttribute,
    /// `:value BETWEEN ...` or `begins_with(:value, ...)`.
    #[error(
        "Invalid condition in KeyConditionExpression: {operator} operator must have the key attribute as its first operand"
    )]
    FirstOperand {
        /// The operator or function.
        operator: &'static str,
    },
    /// Two attributes compared with each other.
    #[error("Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition")]
    SeveralAttributes,
    /// Two values compared with each other.
    #[error("Invalid condition in KeyConditionExpression: No key attribute specified")]
    NoAttribute,
    /// Two conditions on one attribute.
    #[error("KeyConditionExpressions must only contain one condition per key")]
    Repeated,
    /// Conditions on three attributes or more.
    #[error("Conditions can be of length 1 or 2 only")]
    Count,
    /// No condition on the partition key, or a second one that is not on the sort key.
    #[error("Query condition missed key schema element: {name}")]
    Missing {
        /// The key attribute without condition.
        name: String,
    },
    /// A condition other than `=` on the partition key, or a second condition where there is no sort key.
    #[error("Query key condition not supported")]
    Unsupported,
    /// A value of another type than the key attribute's.
    #[error("One or more parameter values were invalid: Condition parameter type does not match schema type")]
    Type,
}
