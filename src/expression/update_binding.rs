//! Updates and projections from text to meaning: placeholders replaced, paths apart, operands checked.
//!
//! Unlike those of a condition, an update's checks go over the whole of it, one after another.

use crate::model::AttributeValue;

use super::ast::{self, SetOperand};
use super::error::Fault;
use super::overlap::check_apart;
use super::placeholders::Placeholders;
use super::syntax::{Call, Clause, Function, Operand, Path, Reference, SetValue, Update};

impl Placeholders {
    pub(super) fn bind_projection(&mut self, paths: &[Path]) -> Result<ast::Projection, Fault> {
        let paths: Vec<ast::Path> = paths.iter().map(|path| self.path(path)).collect::<Result<_, _>>()?;
        check_apart(&paths.iter().collect::<Vec<_>>())?;
        Ok(ast::Projection { paths })
    }

    pub(super) fn bind_update(&mut self, update: &Update) -> Result<ast::Update, Fault> {
        update.visit(&mut |reference| match reference {
            Reference::Name(key) => self.check_name(key),
            Reference::Value(_) => Ok(()),
        })?;
        update.visit(&mut |reference| match reference {
            Reference::Name(_) => Ok(()),
            Reference::Value(key) => self.check_value(key),
        })?;
        let mut bound = ast::Update::default();
        let mut set_targets = Vec::new();
        for clause in &update.clauses {
            match clause {
                Clause::Set(actions) => {
                    set_targets =
                        actions.iter().map(|(path, _)| self.path(path)).collect::<Result<_, _>>()?;
                }
                Clause::Remove(paths) => {
                    bound.remove = paths.iter().map(|path| self.path(path)).collect::<Result<_, _>>()?;
                }
                Clause::Add(actions) => bound.add = self.value_actions(actions)?,
                Clause::Delete(actions) => bound.delete = self.value_actions(actions)?,
            }
        }
        check_targets(update, &set_targets, &bound)?;
        check_value_actions(update, &bound)?;
        for clause in &update.clauses {
            if let Clause::Set(actions) = clause {
                let values = actions.iter().map(|(_, value)| self.set_value(value));
                let actions = std::mem::take(&mut set_targets).into_iter().zip(values);
                bound.set = actions.map(|(path, value)| Ok((path, value?))).collect::<Result<_, Fault>>()?;
            }
        }
        Ok(bound)
    }

    fn value_actions(
        &mut self,
        actions: &[(Path, Box<str>)],
    ) -> Result<Vec<(ast::Path, AttributeValue)>, Fault> {
        actions.iter().map(|(path, key)| Ok((self.path(path)?, self.value(key)?))).collect()
    }

    fn set_value(&mut self, value: &SetValue) -> Result<ast::SetValue, Fault> {
        let (left, right, operator) = match value {
            SetValue::Operand(operand) => return Ok(ast::SetValue::Operand(self.set_operand(operand)?)),
            SetValue::Plus(left, right) => (left, right, "+"),
            SetValue::Minus(left, right) => (left, right, "-"),
        };
        let (left, right) = (self.set_operand(left)?, self.set_operand(right)?);
        for operand in [&left, &right] {
            check_type(operator, operand, "N")?;
        }
        Ok(match value {
            SetValue::Minus(..) => ast::SetValue::Minus(left, right),
            SetValue::Plus(..) | SetValue::Operand(_) => ast::SetValue::Plus(left, right),
        })
    }

    /// Recursion is as deep as calls nest, which the parser bounds.
    fn set_operand(&mut self, operand: &Operand) -> Result<SetOperand, Fault> {
        match operand {
            Operand::Path(path) => Ok(SetOperand::Path(self.path(path)?)),
            Operand::Value(key) => Ok(SetOperand::Value(self.value(key)?)),
            Operand::Call(call) => self.set_call(call),
        }
    }

    fn set_call(&mut self, call: &Call) -> Result<SetOperand, Fault> {
        let arguments: Vec<SetOperand> =
            call.arguments.iter().map(|argument| self.set_operand(argument)).collect::<Result<_, _>>()?;
        let function = call.function.name();
        let count = arguments.len();
        let Ok([first, second]) = <[SetOperand; 2]>::try_from(arguments) else {
            return Err(Fault::OperandCount { function, count });
        };
        if call.function == Function::IfNotExists {
            let SetOperand::Path(path) = first else { return Err(Fault::PathRequired { function }) };
            return Ok(SetOperand::IfNotExists(path, Box::new(second)));
        }
        debug_assert_eq!(call.function, Function::ListAppend, "the parser lets no other be an operand");
        for operand in [&first, &second] {
            check_type(function, operand, "L")?;
        }
        Ok(SetOperand::ListAppend(Box::new(first), Box::new(second)))
    }
}

/// Targets apart from each other, in the order of the text.
fn check_targets(update: &Update, set: &[ast::Path], bound: &ast::Update) -> Result<(), Fault> {
    let mut targets: Vec<&ast::Path> = Vec::new();
    for clause in &update.clauses {
        match clause {
            Clause::Set(_) => targets.extend(set),
            Clause::Remove(_) => targets.extend(&bound.remove),
            Clause::Add(_) => targets.extend(bound.add.iter().map(|(path, _)| path)),
            Clause::Delete(_) => targets.extend(bound.delete.iter().map(|(path, _)| path)),
        }
    }
    check_apart(&targets)
}

/// `ADD` of numbers and sets, `DELETE` of sets, in the order of the text.
fn check_value_actions(update: &Update, bound: &ast::Update) -> Result<(), Fault> {
    for clause in &update.clauses {
        let (actions, numbers) = match clause {
            Clause::Add(_) => (&bound.add, true),
            Clause::Delete(_) => (&bound.delete, false),
            Clause::Set(_) | Clause::Remove(_) => continue,
        };
        for (_, value) in actions {
            let type_name = match value {
                AttributeValue::Ss(_) | AttributeValue::Ns(_) | AttributeValue::Bs(_) => continue,
                AttributeValue::N(_) if numbers => continue,
                AttributeValue::N(_) => "NUMBER",
                AttributeValue::S(_) => "STRING",
                AttributeValue::B(_) => "BINARY",
                AttributeValue::Bool(_) => "BOOLEAN",
                AttributeValue::Null => "NULL",
                AttributeValue::M(_) => "MAP",
                AttributeValue::L(_) => "LIST",
            };
            return Err(Fault::ActionOperandType { action: clause.keyword(), type_name });
        }
    }
    Ok(())
}

/// Only values of the request have a type already.
fn check_type(operator: &'static str, operand: &SetOperand, wanted: &str) -> Result<(), Fault> {
    match operand {
        SetOperand::Value(value) if value.type_name() != wanted => {
            Err(Fault::OperandType { operator, type_name: value.type_name() })
        }
        SetOperand::Value(_) | SetOperand::Path(_) => Ok(()),
        SetOperand::IfNotExists(..) | SetOperand::ListAppend(..) => Ok(()),
    }
}
