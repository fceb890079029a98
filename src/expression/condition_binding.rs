//! Conditions from text to meaning: placeholders replaced, operands counted and their types checked.
//!
//! DynamoDB checks one comparison or function after another, each by itself; so the first that is wrong is told, and
//! of it, in this order: what is undefined, how many operands there are, whether they are distinct, their types.

use std::cmp::Ordering;

use crate::model::AttributeValue;

use super::ast::{self, Comparator, Type};
use super::error::Fault;
use super::overlap::path_list;
use super::placeholders::Placeholders;
use super::syntax::{Call, Condition, Function, IN_OPERANDS_MAX, Operand};

impl Placeholders {
    /// Recursion is as deep as the tree, which the parser bounds; what is not recursion is in other functions, so that
    /// a level takes little of the stack.
    pub(super) fn bind_condition(&mut self, condition: &Condition) -> Result<ast::Condition, Fault> {
        match condition {
            Condition::And(parts) => self.bind_parts(parts).map(ast::Condition::And),
            Condition::Or(parts) => self.bind_parts(parts).map(ast::Condition::Or),
            Condition::Not(part) => self.bind_condition(part).map(|part| ast::Condition::Not(Box::new(part))),
            Condition::Compare(left, comparator, right) => self.bind_comparison(left, *comparator, right),
            Condition::Between(operands) => self.bind_between(operands),
            Condition::In(operand, candidates) => self.bind_in(operand, candidates),
            Condition::Call(call) => self.bind_call(call),
        }
    }

    fn bind_parts(&mut self, parts: &[Condition]) -> Result<Vec<ast::Condition>, Fault> {
        let mut bound = Vec::with_capacity(parts.len());
        for part in parts {
            bound.push(self.bind_condition(part)?);
        }
        Ok(bound)
    }

    fn bind_comparison(
        &mut self,
        left: &Operand,
        comparator: Comparator,
        right: &Operand,
    ) -> Result<ast::Condition, Fault> {
        let (left, right) = (self.bound(left)?, self.bound(right)?);
        let both = [&left, &right];
        both.into_iter().try_for_each(Bound::check_counts)?;
        check_distinct(comparator.symbol(), &left, &right)?;
        both.into_iter().try_for_each(Bound::check_types)?;
        if !matches!(comparator, Comparator::Equal | Comparator::NotEqual) {
            check_orderable(comparator.symbol(), both)?;
        }
        Ok(ast::Condition::Compare(left.operand(), comparator, right.operand()))
    }

    fn bind_between(&mut self, operands: &[Operand; 3]) -> Result<ast::Condition, Fault> {
        let [operand, low, high] = operands;
        let (operand, low, high) = (self.bound(operand)?, self.bound(low)?, self.bound(high)?);
        let all = [&operand, &low, &high];
        all.into_iter().try_for_each(Bound::check_counts)?;
        all.into_iter().try_for_each(Bound::check_types)?;
        check_orderable("BETWEEN", all)?;
        if let (Bound::Value(low), Bound::Value(high)) = (&low, &high) {
            check_bounds(low, high)?;
        }
        Ok(ast::Condition::Between(operand.operand(), low.operand(), high.operand()))
    }

    fn bind_in(&mut self, operand: &Operand, candidates: &[Operand]) -> Result<ast::Condition, Fault> {
        let operand = self.bound(operand)?;
        let candidates: Vec<Bound> =
            candidates.iter().map(|candidate| self.bound(candidate)).collect::<Result<_, _>>()?;
        operand.check_counts()?;
        candidates.iter().try_for_each(Bound::check_counts)?;
        let count = 1 + candidates.len();
        if count > IN_OPERANDS_MAX {
            return Err(Fault::TooManyInOperands { count });
        }
        operand.check_types()?;
        candidates.iter().try_for_each(Bound::check_types)?;
        let candidates = candidates.into_iter().map(Bound::operand).collect();
        Ok(ast::Condition::In(operand.operand(), candidates))
    }

    /// A function that is a condition by itself.
    fn bind_call(&mut self, call: &Call) -> Result<ast::Condition, Fault> {
        let arguments = self.bind_arguments(call)?;
        arguments.iter().try_for_each(Bound::check_counts)?;
        check_count(call.function, arguments.len())?;
        if let [first, second] = &arguments[..] {
            check_distinct(call.function.name(), first, second)?;
        }
        arguments.iter().try_for_each(Bound::check_types)?;
        match call.function {
            Function::AttributeExists => only_path(call.function, arguments).map(ast::Condition::Exists),
            Function::AttributeNotExists => {
                only_path(call.function, arguments).map(ast::Condition::NotExists)
            }
            Function::AttributeType => {
                let [operand, wanted] = pair(arguments);
                Ok(ast::Condition::Type(operand.operand(), attribute_type(&wanted)?))
            }
            Function::BeginsWith => {
                let [operand, prefix] = pair(arguments);
                for argument in [&operand, &prefix] {
                    check_type(call.function.name(), argument, |name| matches!(name, "S" | "B"))?;
                }
                Ok(ast::Condition::BeginsWith(operand.operand(), prefix.operand()))
            }
            Function::Contains => {
                let [container, member] = pair(arguments);
                Ok(ast::Condition::Contains(container.operand(), member.operand()))
            }
            Function::Size | Function::IfNotExists | Function::ListAppend => {
                unreachable!("the parser refuses {:?} as a condition", call.function)
            }
        }
    }

    fn bind_arguments(&mut self, call: &Call) -> Result<Vec<Bound>, Fault> {
        call.arguments.iter().map(|argument| self.bound(argument)).collect()
    }

    fn bound(&mut self, operand: &Operand) -> Result<Bound, Fault> {
        Ok(match operand {
            Operand::Path(path) => Bound::Path(self.path(path)?),
            Operand::Value(key) => Bound::Value(self.value(key)?),
            Operand::Call(call) => {
                debug_assert_eq!(
                    call.function,
                    Function::Size,
                    "the only function the parser lets be an operand"
                );
                Bound::Size(self.bind_arguments(call)?)
            }
        })
    }
}

/// An operand without placeholders, not checked yet.
enum Bound {
    Path(ast::Path),
    Value(AttributeValue),
    /// `size` of as many arguments as there are.
    Size(Vec<Bound>),
}

impl Bound {
    /// Inner functions first.
    fn check_counts(&self) -> Result<(), Fault> {
        match self {
            Self::Path(_) | Self::Value(_) => Ok(()),
            Self::Size(arguments) => {
                arguments.iter().try_for_each(Self::check_counts)?;
                check_count(Function::Size, arguments.len())
            }
        }
    }

    /// Inner functions first.
    fn check_types(&self) -> Result<(), Fault> {
        match self {
            Self::Path(_) | Self::Value(_) => Ok(()),
            Self::Size(arguments) => {
                arguments.iter().try_for_each(Self::check_types)?;
                let sized = |name| !matches!(name, "N" | "BOOL" | "NULL");
                arguments.iter().try_for_each(|argument| check_type(Function::Size.name(), argument, sized))
            }
        }
    }

    /// The type it has whatever the item.
    fn type_name(&self) -> Option<&'static str> {
        match self {
            Self::Path(_) => None,
            Self::Value(value) => Some(value.type_name()),
            Self::Size(_) => Some("N"),
        }
    }

    fn operand(self) -> ast::Operand {
        match self {
            Self::Path(path) => ast::Operand::Path(path),
            Self::Value(value) => ast::Operand::Value(value),
            Self::Size(mut arguments) => {
                let argument = arguments.pop().expect("its arguments were counted");
                ast::Operand::Size(Box::new(argument.operand()))
            }
        }
    }
}

fn check_count(function: Function, count: usize) -> Result<(), Fault> {
    if count == function.arguments() {
        return Ok(());
    }
    Err(Fault::OperandCount { function: function.name(), count })
}

fn check_distinct(operator: &'static str, first: &Bound, second: &Bound) -> Result<(), Fault> {
    match (first, second) {
        (Bound::Path(first), Bound::Path(second)) if first == second => {
            Err(Fault::OperandsNotDistinct { operator, path: path_list(first) })
        }
        _ => Ok(()),
    }
}

fn check_type(
    operator: &'static str,
    operand: &Bound,
    allowed: impl Fn(&'static str) -> bool,
) -> Result<(), Fault> {
    match operand.type_name() {
        Some(type_name) if !allowed(type_name) => Err(Fault::OperandType { operator, type_name }),
        Some(_) | None => Ok(()),
    }
}

fn check_orderable<const N: usize>(operator: &'static str, operands: [&Bound; N]) -> Result<(), Fault> {
    let orderable = |name| matches!(name, "S" | "N" | "B");
    operands.into_iter().try_for_each(|operand| check_type(operator, operand, orderable))
}

/// Bounds of one orderable type, the lower one not above the upper.
fn check_bounds(low: &AttributeValue, high: &AttributeValue) -> Result<(), Fault> {
    let order = match (low, high) {
        (AttributeValue::S(low), AttributeValue::S(high)) => Some(low.cmp(high)),
        (AttributeValue::N(low), AttributeValue::N(high)) => Some(low.cmp(high)),
        (AttributeValue::B(low), AttributeValue::B(high)) => Some(low.cmp(high)),
        _ => None,
    };
    match order {
        None => Err(Fault::BoundsTypes { low: shown(low), high: shown(high) }),
        Some(Ordering::Greater) => Err(Fault::BoundsOrder { low: shown(low), high: shown(high) }),
        Some(Ordering::Less | Ordering::Equal) => Ok(()),
    }
}

/// A bound as an error tells it. How DynamoDB writes binaries is not known; ours is their length.
fn shown(value: &AttributeValue) -> String {
    match value {
        AttributeValue::S(text) => format!("S:{text}"),
        AttributeValue::N(number) => format!("N:{number}"),
        AttributeValue::B(bytes) => format!("B:{} bytes", bytes.len()),
        AttributeValue::Bool(_) | AttributeValue::Null | AttributeValue::M(_) | AttributeValue::L(_) => {
            value.type_name().to_owned()
        }
        AttributeValue::Ss(_) | AttributeValue::Ns(_) | AttributeValue::Bs(_) => value.type_name().to_owned(),
    }
}

fn only_path(function: Function, arguments: Vec<Bound>) -> Result<ast::Path, Fault> {
    match arguments.into_iter().next() {
        Some(Bound::Path(path)) => Ok(path),
        Some(Bound::Value(_) | Bound::Size(_)) | None => {
            Err(Fault::PathRequired { function: function.name() })
        }
    }
}

fn pair(arguments: Vec<Bound>) -> [Bound; 2] {
    arguments.try_into().unwrap_or_else(|_| unreachable!("the arguments were counted"))
}

/// The type that an `attribute_type` asks for.
fn attribute_type(wanted: &Bound) -> Result<Type, Fault> {
    let Bound::Value(AttributeValue::S(name)) = wanted else {
        // Of a path DynamoDB knows only that it may be any type, and says so.
        let type_name = wanted.type_name().unwrap_or("{NS,SS,L,BS,N,M,B,BOOL,NULL,S}");
        return Err(Fault::OperandType { operator: Function::AttributeType.name(), type_name });
    };
    match name.as_str() {
        "S" => Ok(Type::S),
        "N" => Ok(Type::N),
        "B" => Ok(Type::B),
        "BOOL" => Ok(Type::Bool),
        "NULL" => Ok(Type::Null),
        "M" => Ok(Type::M),
        "L" => Ok(Type::L),
        "SS" => Ok(Type::Ss),
        "NS" => Ok(Type::Ns),
        "BS" => Ok(Type::Bs),
        _ => Err(Fault::UnknownType { name: name.clone() }),
    }
}
