//! Updates: what an item becomes, and what of it was touched.
//!
//! Source: Amazon DynamoDB Developer Guide, "Using update expressions", and API Reference, "UpdateItem". Everything
//! on a right-hand side, and every list index, speaks of the item as it was before; therefore an update is first
//! evaluated to its effects and then applied, in an order in which no effect moves what another one means.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::model::limits::ITEM_BYTES_MAX;
use crate::model::{self, AttributeValue, Item, Number};

use super::ast::{Path, SetOperand, SetValue, Step, Update};
use super::subject::{Subject, find};
use super::{path::Key, projection};

/// An update that cannot be done on the item as it is. Kind: *invalid*. `Display` is DynamoDB's message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A right-hand side names what the item does not have.
    #[error("The provided expression refers to an attribute that does not exist in the item")]
    AttributeMissing,
    /// A path leads through what is missing, or is not a map or a list as the path needs.
    #[error("The document path provided in the update expression is invalid for update")]
    PathInvalid,
    /// What the item has is not of the type the action or the function needs.
    #[error("An operand in the update expression has an incorrect data type")]
    OperandType,
    /// Arithmetic left the range of numbers: overflow or underflow.
    #[error(transparent)]
    Number(#[from] model::Error),
    /// What is written is too large for an item by itself.
    #[error("Item size to update has exceeded the maximum allowed size")]
    TooLarge,
}

impl Refused {
    /// The message where the update was given as legacy `AttributeUpdates`.
    pub fn legacy_message(&self) -> String {
        match self {
            Self::OperandType => "Type mismatch for attribute to update".to_owned(),
            Self::AttributeMissing | Self::PathInvalid | Self::Number(_) | Self::TooLarge => self.to_string(),
        }
    }
}

impl Update {
    /// What becomes of the item with that key: `current`, or a new one. None if there is none and none is made: an
    /// update that only removes creates nothing, one without any action does.
    ///
    /// Neither key attributes nor the item's size and nesting are checked: the caller knows the schema, and validates
    /// the item as a whole. Errors: `Refused`; if several apply, any of them.
    pub fn apply(&self, key: &Item, current: Option<Item>) -> Result<Option<Item>, Refused> {
        let effects = self.effects(current.as_ref())?;
        let mut item = match current {
            Some(item) => item,
            None if self.creates() => key.clone(),
            None => return Ok(None),
        };
        effects.apply(&mut item)?;
        Ok(Some(item))
    }

    /// `UPDATED_OLD`: what the touched paths led to before. Empty if to nothing.
    pub fn touched_old(&self, old: Option<&Item>) -> Item {
        self.touched(old)
    }

    /// `UPDATED_NEW`: what the touched paths lead to now. Empty if to nothing.
    ///
    /// The paths are taken literally, as DynamoDB does: an element set past a list's end is not shown (it is not at
    /// that index), and where an element was removed the one that took its place is.
    pub fn touched_new(&self, new: Option<&Item>) -> Item {
        self.touched(new)
    }

    fn touched(&self, item: Option<&Item>) -> Item {
        let valued = self.add.iter().chain(&self.delete).map(|(path, _)| path);
        let paths = self.set.iter().map(|(path, _)| path).chain(&self.remove).chain(valued);
        projection::project(Subject::from(item), paths.collect()).expect("a decoded item is not corrupt")
    }

    fn creates(&self) -> bool {
        let writes = !self.set.is_empty() || !self.add.is_empty();
        let removes = !self.remove.is_empty() || !self.delete.is_empty();
        writes || !removes
    }

    fn effects(&self, old: Option<&Item>) -> Result<Effects<'_>, Refused> {
        let mut effects = Effects::default();
        for (path, value) in &self.set {
            effects.put(path, evaluate(value, old)?)?;
        }
        for (path, value) in &self.add {
            effects.put(path, add(existing(path, old), value)?)?;
        }
        let Some(old) = old else { return Ok(effects) };
        for (path, members) in &self.delete {
            let Some(set) = existing(path, Some(old)) else { continue };
            match subtract(set, members)? {
                Some(rest) => effects.put(path, rest)?,
                None => effects.removals.push(path),
            }
        }
        for path in &self.remove {
            if is_there(old, path)? {
                effects.removals.push(path);
            }
        }
        Ok(effects)
    }
}

/// What an update does, in terms of the item before it.
#[derive(Default)]
struct Effects<'a> {
    puts: Vec<(&'a Path, AttributeValue)>,
    /// Of what is there.
    removals: Vec<&'a Path>,
    /// The sizes of what is put.
    put_bytes: usize,
}

impl<'a> Effects<'a> {
    /// All that is put will be in the item, so it is refused as soon as that is too large: an expression of 4 KB could
    /// otherwise copy a large attribute some hundred times.
    fn put(&mut self, path: &'a Path, value: AttributeValue) -> Result<(), Refused> {
        self.put_bytes += value.size();
        if self.put_bytes > ITEM_BYTES_MAX {
            return Err(Refused::TooLarge);
        }
        self.puts.push((path, value));
        Ok(())
    }

    /// Puts move nothing: those within a list replace, those past its end append, in the order of their indexes.
    /// Removals come after, from the innermost outwards and those from one list together, so that none moves what
    /// another one names.
    fn apply(mut self, item: &mut Item) -> Result<(), Refused> {
        self.puts.sort_unstable_by(|(left, _), (right, _)| left.order(right));
        for (path, value) in self.puts {
            put(item, path, value)?;
        }
        let depth = |path: &Path| path.steps.len();
        self.removals
            .sort_unstable_by(|left, right| depth(right).cmp(&depth(left)).then_with(|| left.order(right)));
        for siblings in self.removals.chunk_by(|left, right| same_parent(left, right)) {
            remove(item, siblings);
        }
        Ok(())
    }
}

fn same_parent(left: &Path, right: &Path) -> bool {
    let steps = left.steps.len();
    steps == right.steps.len()
        && (steps == 0 || left.name == right.name && left.steps[..steps - 1] == right.steps[..steps - 1])
}

/// What the last step of a path is taken from.
fn parent<'a>(item: &'a mut Item, path: &Path) -> Option<&'a mut AttributeValue> {
    let way = path.steps.split_last().map_or(&[][..], |(_, way)| way);
    way.iter().try_fold(item.get_mut(&path.name)?, |value, step| match (value, step) {
        (AttributeValue::M(map), Step::Member(name)) => map.get_mut(name),
        (AttributeValue::L(list), Step::Index(index)) => list.get_mut(*index as usize),
        _ => None,
    })
}

fn put(item: &mut Item, path: &Path, value: AttributeValue) -> Result<(), Refused> {
    let Some(last) = path.steps.last() else {
        item.insert(path.name.clone(), value);
        return Ok(());
    };
    match (parent(item, path), last) {
        (Some(AttributeValue::M(map)), Step::Member(name)) => {
            map.insert(name.clone(), value);
        }
        (Some(AttributeValue::L(list)), Step::Index(index)) => match list.get_mut(*index as usize) {
            Some(element) => *element = value,
            None => list.push(value),
        },
        _ => return Err(Refused::PathInvalid),
    }
    Ok(())
}

/// Removes what is there, from one map or list.
fn remove(item: &mut Item, siblings: &[&Path]) {
    let keys = siblings.iter().filter_map(|path| path.key(path.steps.len()));
    if siblings[0].steps.is_empty() {
        for path in siblings {
            item.remove(&path.name);
        }
        return;
    }
    match parent(item, siblings[0]) {
        Some(AttributeValue::M(map)) => keys.for_each(|key| {
            if let Key::Name(name) = key {
                map.remove(name);
            }
        }),
        Some(AttributeValue::L(list)) => {
            let mut keys = keys.peekable();
            let mut index = 0;
            list.retain(|_| {
                let removed = keys.next_if_eq(&Key::Index(index)).is_some();
                index += 1;
                !removed
            });
        }
        _ => {}
    }
}

/// Whether the path leads to something that can be removed. Errors: `PathInvalid` if there is nothing to remove from.
fn is_there(item: &Item, path: &Path) -> Result<bool, Refused> {
    let Some((last, way)) = path.steps.split_last() else { return Ok(item.contains(&path.name)) };
    match (find(item, &path.name, way), last) {
        (Some(AttributeValue::M(map)), Step::Member(name)) => Ok(map.contains_key(name)),
        (Some(AttributeValue::L(list)), Step::Index(index)) => Ok((*index as usize) < list.len()),
        _ => Err(Refused::PathInvalid),
    }
}

fn existing<'a>(path: &Path, old: Option<&'a Item>) -> Option<&'a AttributeValue> {
    find(old?, &path.name, &path.steps)
}

fn evaluate(value: &SetValue, old: Option<&Item>) -> Result<AttributeValue, Refused> {
    match value {
        SetValue::Operand(operand) => Ok(evaluate_operand(operand, old)?.into_owned()),
        SetValue::Plus(left, right) => {
            let (left, right) = (evaluate_number(left, old)?, evaluate_number(right, old)?);
            Ok(AttributeValue::N(left.checked_add(&right)?))
        }
        SetValue::Minus(left, right) => {
            let (left, right) = (evaluate_number(left, old)?, evaluate_number(right, old)?);
            Ok(AttributeValue::N(left.checked_sub(&right)?))
        }
    }
}

fn evaluate_number(operand: &SetOperand, old: Option<&Item>) -> Result<Number, Refused> {
    let value = evaluate_operand(operand, old)?;
    if let AttributeValue::N(number) = *value { Ok(number) } else { Err(Refused::OperandType) }
}

/// Recursion is as deep as the expression, which binding bounds.
fn evaluate_operand<'a>(
    operand: &'a SetOperand,
    old: Option<&'a Item>,
) -> Result<Cow<'a, AttributeValue>, Refused> {
    match operand {
        SetOperand::Path(path) => existing(path, old).map(Cow::Borrowed).ok_or(Refused::AttributeMissing),
        SetOperand::Value(value) => Ok(Cow::Borrowed(value)),
        SetOperand::IfNotExists(path, otherwise) => match existing(path, old) {
            Some(value) => Ok(Cow::Borrowed(value)),
            None => evaluate_operand(otherwise, old),
        },
        SetOperand::ListAppend(first, second) => {
            let (first, second) = (evaluate_operand(first, old)?, evaluate_operand(second, old)?);
            match (first.as_ref(), second.as_ref()) {
                (AttributeValue::L(first), AttributeValue::L(second)) => {
                    Ok(Cow::Owned(AttributeValue::L([&first[..], second].concat())))
                }
                _ => Err(Refused::OperandType),
            }
        }
    }
}

/// A number is added, sets are united, lists (in legacy updates) appended; to nothing, the value itself.
fn add(old: Option<&AttributeValue>, value: &AttributeValue) -> Result<AttributeValue, Refused> {
    use AttributeValue::{Bs, L, N, Ns, Ss};
    fn united<T: Ord + Clone>(old: &BTreeSet<T>, members: &BTreeSet<T>) -> BTreeSet<T> {
        old.union(members).cloned().collect()
    }
    match (old, value) {
        (None, N(_) | Ss(_) | Ns(_) | Bs(_) | L(_)) => Ok(value.clone()),
        (Some(N(old)), N(number)) => Ok(N(old.checked_add(number)?)),
        (Some(Ss(old)), Ss(members)) => Ok(Ss(united(old, members))),
        (Some(Ns(old)), Ns(members)) => Ok(Ns(united(old, members))),
        (Some(Bs(old)), Bs(members)) => Ok(Bs(united(old, members))),
        (Some(L(old)), L(elements)) => Ok(L([&old[..], elements].concat())),
        _ => Err(Refused::OperandType),
    }
}

/// The set without the members; none if nothing is left, as sets are not empty.
fn subtract(set: &AttributeValue, members: &AttributeValue) -> Result<Option<AttributeValue>, Refused> {
    use AttributeValue::{Bs, Ns, Ss};
    fn rest<T: Ord + Clone>(
        set: &BTreeSet<T>,
        members: &BTreeSet<T>,
        own: fn(BTreeSet<T>) -> AttributeValue,
    ) -> Option<AttributeValue> {
        let rest: BTreeSet<T> = set.difference(members).cloned().collect();
        (!rest.is_empty()).then(|| own(rest))
    }
    match (set, members) {
        (Ss(set), Ss(members)) => Ok(rest(set, members, Ss)),
        (Ns(set), Ns(members)) => Ok(rest(set, members, Ns)),
        (Bs(set), Bs(members)) => Ok(rest(set, members, Bs)),
        _ => Err(Refused::OperandType),
    }
}
