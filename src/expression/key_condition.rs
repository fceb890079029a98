//! Conditions that a query is made of, and what else expressions may not do with key attributes.
//!
//! A key condition is parsed and bound as any condition; here it is held to what keys are found by. Source: Amazon
//! DynamoDB Developer Guide, "Key condition expressions for the Query operation"; the order of the checks is observed.

use std::collections::BTreeSet;

use crate::model::{AttributeName, AttributeValue, KeyAttribute, KeySchema, KeyType};

use super::ast::{Comparator, Condition, KeyCondition, Operand, Path, SortCondition, Update};
use super::error::{Error, KeyConditionFault};
use super::syntax::Function;

impl KeyCondition {
    /// What a condition asks of the keys of a table or an index. Errors, first that applies: an operator, function,
    /// path or pair of operands that no condition can have, in the order of the text; more than two conditions; a
    /// missing key attribute; a condition its key attribute cannot have; a value of another type than the schema's.
    ///
    /// Whether the values may be keys (not empty, not too long) is for `KeySchema` to say.
    pub fn of(condition: Condition, schema: &KeySchema) -> Result<Self, KeyConditionFault> {
        let mut terms = Vec::new();
        take_terms(condition, &mut terms)?;
        if terms.len() > 2 {
            return Err(KeyConditionFault::Count);
        }
        let partition = take_term(&mut terms, &schema.partition)?;
        let sort = match (&schema.sort, terms.is_empty()) {
            (_, true) => None,
            (Some(sort), false) => Some((take_term(&mut terms, sort)?, sort)),
            (None, false) => return Err(KeyConditionFault::Unsupported),
        };
        let SortCondition::Equal(partition) = partition else { return Err(KeyConditionFault::Unsupported) };
        check_type(&schema.partition, &partition)?;
        let Some((sort, attribute)) = sort else { return Ok(Self { partition, sort: None }) };
        values(&sort).into_iter().flatten().try_for_each(|value| check_type(attribute, value))?;
        Ok(Self { partition, sort: Some(sort) })
    }
}

/// An attribute, and what it must be like.
struct Term {
    name: AttributeName,
    condition: SortCondition,
}

/// Recursion is as deep as the condition, which the parser bounds.
fn take_terms(condition: Condition, terms: &mut Vec<Term>) -> Result<(), KeyConditionFault> {
    let operator = |operator| Err(KeyConditionFault::Operator { operator });
    let term = match condition {
        Condition::And(parts) => return parts.into_iter().try_for_each(|part| take_terms(part, terms)),
        Condition::Or(_) => return operator("OR"),
        Condition::Not(_) => return operator("NOT"),
        Condition::In(..) => return operator("IN"),
        Condition::Compare(_, Comparator::NotEqual, _) => return operator("<>"),
        Condition::Exists(_) => return operator(Function::AttributeExists.name()),
        Condition::NotExists(_) => return operator(Function::AttributeNotExists.name()),
        Condition::Type(..) => return operator(Function::AttributeType.name()),
        Condition::Contains(..) => return operator(Function::Contains.name()),
        Condition::Compare(left, comparator, right) => comparison(left, comparator, right)?,
        Condition::Between(operand, low, high) => {
            let operands = Operands::with_attribute_first("BETWEEN", [operand, low, high])?;
            let (name, [low, high]) = operands.split()?;
            Term { name, condition: SortCondition::Between(low, high) }
        }
        Condition::BeginsWith(operand, prefix) => {
            let operands = Operands::with_attribute_first(Function::BeginsWith.name(), [operand, prefix])?;
            let (name, [prefix]) = operands.split()?;
            Term { name, condition: SortCondition::BeginsWith(prefix) }
        }
    };
    if terms.iter().any(|known| known.name == term.name) {
        return Err(KeyConditionFault::Repeated);
    }
    terms.push(term);
    Ok(())
}

fn comparison(left: Operand, comparator: Comparator, right: Operand) -> Result<Term, KeyConditionFault> {
    let reversed = !matches!(left, Operand::Path(_));
    let (name, [value]) = Operands::of([left, right])?.split()?;
    let condition = match (comparator, reversed) {
        (Comparator::Less, false) | (Comparator::Greater, true) => SortCondition::Less(value),
        (Comparator::LessOrEqual, false) | (Comparator::GreaterOrEqual, true) => {
            SortCondition::LessOrEqual(value)
        }
        (Comparator::Greater, false) | (Comparator::Less, true) => SortCondition::Greater(value),
        (Comparator::GreaterOrEqual, false) | (Comparator::LessOrEqual, true) => {
            SortCondition::GreaterOrEqual(value)
        }
        // That they are unequal was refused before.
        (Comparator::Equal | Comparator::NotEqual, _) => SortCondition::Equal(value),
    };
    Ok(Term { name, condition })
}

/// The operands of a condition: one attribute, and values.
struct Operands {
    name: Option<AttributeName>,
    values: Vec<AttributeValue>,
}

impl Operands {
    fn with_attribute_first<const N: usize>(
        operator: &'static str,
        operands: [Operand; N],
    ) -> Result<Self, KeyConditionFault> {
        match operands.first() {
            Some(Operand::Path(_)) => Self::of(operands),
            Some(Operand::Value(_) | Operand::Size(_)) | None => {
                Err(KeyConditionFault::FirstOperand { operator })
            }
        }
    }

    fn of<const N: usize>(operands: [Operand; N]) -> Result<Self, KeyConditionFault> {
        let mut taken = Self { name: None, values: Vec::with_capacity(N) };
        for operand in operands {
            match operand {
                Operand::Value(value) => taken.values.push(value),
                Operand::Size(_) => return Err(KeyConditionFault::NestedOperation),
                Operand::Path(_) if taken.name.is_some() => return Err(KeyConditionFault::SeveralAttributes),
                Operand::Path(path) if !path.steps.is_empty() => {
                    return Err(KeyConditionFault::NestedAttribute);
                }
                Operand::Path(path) => taken.name = Some(path.name),
            }
        }
        Ok(taken)
    }

    /// The attribute, and the values in their order.
    fn split<const N: usize>(self) -> Result<(AttributeName, [AttributeValue; N]), KeyConditionFault> {
        let name = self.name.ok_or(KeyConditionFault::NoAttribute)?;
        let values = self.values.try_into();
        Ok((name, values.unwrap_or_else(|_| unreachable!("what is not the attribute is a value"))))
    }
}

fn take_term(terms: &mut Vec<Term>, attribute: &KeyAttribute) -> Result<SortCondition, KeyConditionFault> {
    let index = terms.iter().position(|term| term.name == attribute.name);
    let index = index.ok_or_else(|| KeyConditionFault::Missing { name: attribute.name.to_string() })?;
    Ok(terms.remove(index).condition)
}

fn values(condition: &SortCondition) -> [Option<&AttributeValue>; 2] {
    match condition {
        SortCondition::Equal(value) | SortCondition::BeginsWith(value) => [Some(value), None],
        SortCondition::Less(value) | SortCondition::LessOrEqual(value) => [Some(value), None],
        SortCondition::Greater(value) | SortCondition::GreaterOrEqual(value) => [Some(value), None],
        SortCondition::Between(low, high) => [Some(low), Some(high)],
    }
}

fn check_type(attribute: &KeyAttribute, value: &AttributeValue) -> Result<(), KeyConditionFault> {
    let right = match attribute.kind {
        KeyType::S => matches!(value, AttributeValue::S(_)),
        KeyType::N => matches!(value, AttributeValue::N(_)),
        KeyType::B => matches!(value, AttributeValue::B(_)),
    };
    if right { Ok(()) } else { Err(KeyConditionFault::Type) }
}

impl Condition {
    /// The attributes it looks at, or into.
    pub fn attributes(&self) -> BTreeSet<&AttributeName> {
        let mut names = BTreeSet::new();
        self.collect_attributes(&mut names);
        names
    }

    /// Whether it may filter a query: one must not look at the key attributes of what is queried, as those are for the
    /// key condition. A scan's filter may. Errors: `FilterOnKey`.
    pub fn check_filter(&self, schema: &KeySchema) -> Result<(), Error> {
        let looked_at = self.attributes();
        match key_names(schema).find(|name| looked_at.contains(name)) {
            Some(name) => Err(Error::FilterOnKey { name: name.to_string() }),
            None => Ok(()),
        }
    }

    fn collect_attributes<'a>(&'a self, names: &mut BTreeSet<&'a AttributeName>) {
        match self {
            Self::And(parts) | Self::Or(parts) => {
                parts.iter().for_each(|part| part.collect_attributes(names));
            }
            Self::Not(part) => part.collect_attributes(names),
            Self::Compare(left, _, right) => names.extend([left, right].into_iter().filter_map(attribute)),
            Self::BeginsWith(left, right) | Self::Contains(left, right) => {
                names.extend([left, right].into_iter().filter_map(attribute));
            }
            Self::Between(operand, low, high) => {
                names.extend([operand, low, high].into_iter().filter_map(attribute));
            }
            Self::In(operand, candidates) => {
                names.extend(std::iter::once(operand).chain(candidates).filter_map(attribute));
            }
            Self::Exists(path) | Self::NotExists(path) => drop(names.insert(&path.name)),
            Self::Type(operand, _) => names.extend(attribute(operand)),
        }
    }
}

fn attribute(operand: &Operand) -> Option<&AttributeName> {
    match operand {
        Operand::Path(path) => Some(&path.name),
        Operand::Value(_) => None,
        Operand::Size(operand) => attribute(operand),
    }
}

impl Update {
    /// The paths it writes to.
    pub fn targets(&self) -> impl Iterator<Item = &Path> {
        let set = self.set.iter().map(|(path, _)| path);
        let sets_and_numbers = self.add.iter().chain(&self.delete).map(|(path, _)| path);
        set.chain(&self.remove).chain(sets_and_numbers)
    }

    /// Whether it leaves the key as it is. Errors: `UpdateOfKey`.
    pub fn check_targets(&self, schema: &KeySchema) -> Result<(), Error> {
        match key_names(schema).find(|name| self.targets().any(|path| path.name == **name)) {
            Some(name) => Err(Error::UpdateOfKey { name: name.to_string() }),
            None => Ok(()),
        }
    }
}

fn key_names(schema: &KeySchema) -> impl Iterator<Item = &AttributeName> {
    std::iter::once(&schema.partition.name).chain(schema.sort.as_ref().map(|sort| &sort.name))
}
