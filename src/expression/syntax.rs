//! What an expression says, with its placeholders still in it: the tree between parser and binding.
//!
//! It knows no names and values of a request, so one tree serves all requests that say the same. It is in the order of
//! the text, because the first of several faults is the one that is told.

use crate::model::AttributeName;

use super::ast::Comparator;

/// Longest expression, in bytes. Source: Amazon DynamoDB Developer Guide, quotas, "Expression parameters".
pub const EXPRESSION_BYTES_MAX: usize = 4096;

/// Most operators of an expression: comparisons, `AND`, `OR`, `NOT`, `BETWEEN`, `IN`, `+` and `-`, and in updates also
/// functions. Source: the same quotas; what is counted is as observed.
pub const OPERATORS_MAX: usize = 300;

/// Most operands of an `IN`, the one before it included. Source: the same quotas; that the first counts is observed.
pub const IN_OPERANDS_MAX: usize = 100;

/// Most attributes and indexes in a document path. Source: the same quotas, nested attribute depth.
pub const PATH_LEVELS_MAX: usize = 32;

/// Largest list index. Source: observed; a signed 32-bit integer.
pub const LIST_INDEX_MAX: u32 = i32::MAX as u32;

/// Most operands around an operand: functions that it is an argument of, and parentheses. Ours: bounds the stack. In
/// conditions nothing that is right goes deeper than a few; in updates `if_not_exists` could.
pub const DEPTH_MAX: usize = 64;

/// Which parameter of a request an expression is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `ConditionExpression`
    Condition,
    /// `FilterExpression`
    Filter,
    /// `KeyConditionExpression`
    KeyCondition,
    /// `UpdateExpression`
    Update,
    /// `ProjectionExpression`
    Projection,
}

impl Kind {
    /// How many there are.
    pub(super) const COUNT: usize = 5;

    /// The parameter's name, as errors tell it.
    pub fn parameter(self) -> &'static str {
        match self {
            Self::Condition => "ConditionExpression",
            Self::Filter => "FilterExpression",
            Self::KeyCondition => "KeyConditionExpression",
            Self::Update => "UpdateExpression",
            Self::Projection => "ProjectionExpression",
        }
    }
}

/// A parsed expression: right by itself, whatever its placeholders stand for. `Display` writes it as text that parses
/// to the same. To be bound by `Placeholders`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    pub(super) kind: Kind,
    pub(super) tree: Tree,
}

impl Parsed {
    /// Which parameter it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tree {
    /// Conditions, filters and key conditions.
    Condition(Condition),
    Update(Update),
    /// The paths of a projection.
    Projection(Vec<Path>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) head: Name,
    pub(super) steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Member(Name),
    Index(u32),
}

/// An attribute's name, or what stands for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Literal(AttributeName),
    /// `#name`, with its sign.
    Reference(Box<str>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// At least two.
    And(Vec<Condition>),
    /// At least two.
    Or(Vec<Condition>),
    Not(Box<Condition>),
    Compare(Operand, Comparator, Operand),
    /// Operand, low, high.
    Between(Box<[Operand; 3]>),
    In(Operand, Vec<Operand>),
    /// A function that is a condition by itself.
    Call(Call),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Operand {
    Path(Path),
    /// `:value`, with its sign.
    Value(Box<str>),
    Call(Call),
}

/// A function with arguments, of any number and type: these are checked when it is bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) function: Function,
    pub(super) arguments: Vec<Operand>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    AttributeExists,
    AttributeNotExists,
    AttributeType,
    BeginsWith,
    Contains,
    Size,
    IfNotExists,
    ListAppend,
}

impl Function {
    pub(super) const ALL: [Self; 8] = [
        Self::AttributeExists,
        Self::AttributeNotExists,
        Self::AttributeType,
        Self::BeginsWith,
        Self::Contains,
        Self::Size,
        Self::IfNotExists,
        Self::ListAppend,
    ];

    /// Its name; case matters.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::AttributeExists => "attribute_exists",
            Self::AttributeNotExists => "attribute_not_exists",
            Self::AttributeType => "attribute_type",
            Self::BeginsWith => "begins_with",
            Self::Contains => "contains",
            Self::Size => "size",
            Self::IfNotExists => "if_not_exists",
            Self::ListAppend => "list_append",
        }
    }

    pub(super) fn arguments(self) -> usize {
        match self {
            Self::AttributeExists | Self::AttributeNotExists | Self::Size => 1,
            Self::AttributeType | Self::BeginsWith | Self::Contains => 2,
            Self::IfNotExists | Self::ListAppend => 2,
        }
    }

    /// Whether it is a condition by itself.
    pub(super) fn is_condition(self) -> bool {
        match self {
            Self::AttributeExists | Self::AttributeNotExists | Self::AttributeType => true,
            Self::BeginsWith | Self::Contains => true,
            Self::Size | Self::IfNotExists | Self::ListAppend => false,
        }
    }

    /// Whether it is a value in the given kind of expression.
    pub(super) fn is_operand(self, kind: Kind) -> bool {
        match self {
            Self::Size => kind != Kind::Update,
            Self::IfNotExists | Self::ListAppend => kind == Kind::Update,
            Self::AttributeExists | Self::AttributeNotExists | Self::AttributeType => false,
            Self::BeginsWith | Self::Contains => false,
        }
    }
}

/// The clauses in the order of the text, each kind at most once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Update {
    pub(super) clauses: Vec<Clause>,
}

/// A clause with its actions, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Clause {
    Set(Vec<(Path, SetValue)>),
    Remove(Vec<Path>),
    /// Paths, each with a `:value`.
    Add(Vec<(Path, Box<str>)>),
    /// Paths, each with a `:value`.
    Delete(Vec<(Path, Box<str>)>),
}

impl Clause {
    /// The keyword it starts with.
    pub(super) fn keyword(&self) -> &'static str {
        match self {
            Self::Set(_) => "SET",
            Self::Remove(_) => "REMOVE",
            Self::Add(_) => "ADD",
            Self::Delete(_) => "DELETE",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SetValue {
    Operand(Operand),
    Plus(Operand, Operand),
    Minus(Operand, Operand),
}

impl SetValue {
    /// Its operands, in the order of the text.
    pub(super) fn operands(&self) -> impl Iterator<Item = &Operand> {
        let (first, second) = match self {
            Self::Operand(operand) => (operand, None),
            Self::Plus(left, right) | Self::Minus(left, right) => (left, Some(right)),
        };
        std::iter::once(first).chain(second)
    }
}

/// Something in a tree that stands for what a request gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reference<'a> {
    /// `#name`
    Name(&'a str),
    /// `:value`
    Value(&'a str),
}

impl Path {
    /// Its names, outermost first.
    pub(super) fn names(&self) -> impl Iterator<Item = &Name> {
        let members = self.steps.iter().filter_map(|step| match step {
            Step::Member(name) => Some(name),
            Step::Index(_) => None,
        });
        std::iter::once(&self.head).chain(members)
    }

    fn visit<'a, E>(&'a self, visit: &mut impl FnMut(Reference<'a>) -> Result<(), E>) -> Result<(), E> {
        self.names().try_for_each(|name| match name {
            Name::Literal(_) => Ok(()),
            Name::Reference(key) => visit(Reference::Name(key)),
        })
    }
}

impl Operand {
    fn visit<'a, E>(&'a self, visit: &mut impl FnMut(Reference<'a>) -> Result<(), E>) -> Result<(), E> {
        match self {
            Self::Path(path) => path.visit(visit),
            Self::Value(key) => visit(Reference::Value(key)),
            Self::Call(call) => call.arguments.iter().try_for_each(|argument| argument.visit(visit)),
        }
    }
}

impl Update {
    /// Visits its references in the order of the text, until the visitor fails.
    pub(super) fn visit<'a, E>(
        &'a self,
        visit: &mut impl FnMut(Reference<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        for clause in &self.clauses {
            match clause {
                Clause::Set(actions) => {
                    for (path, value) in actions {
                        path.visit(visit)?;
                        value.operands().try_for_each(|operand| operand.visit(visit))?;
                    }
                }
                Clause::Remove(paths) => paths.iter().try_for_each(|path| path.visit(visit))?,
                Clause::Add(actions) | Clause::Delete(actions) => {
                    for (path, key) in actions {
                        path.visit(visit)?;
                        visit(Reference::Value(key))?;
                    }
                }
            }
        }
        Ok(())
    }
}
