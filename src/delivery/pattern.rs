//! Filters and patterns: parsed, and arranged so that each can be matched in one walk over an event.

use serde_json::{Map, Value};

use super::operator::{OPERATORS, Test};
use crate::model::AttributeName;

/// Most patterns of one filter. Source: `DYNAMODB.md` 4.1 (5, and 10 by quota).
pub const FILTERS_MAX: usize = 10;

/// Longest pattern, in characters. Source: `DYNAMODB.md` 4.1.
pub const PATTERN_CHARS_MAX: usize = 4096;

/// Most names on the way to a leaf, those of `$or` included. Ours: bounds the stack. No leaf of an event is as deep.
const DEPTH_MAX: usize = 100;

/// Most fields of a pattern once its `$or` are multiplied out where they must be. Ours: bounds memory and time.
const FIELDS_MAX: usize = 4096;

const OR: &str = "$or";
const CHANGED: &str = "changed";
/// The name of an array of objects in an event: a list among attribute values.
const LIST: &str = "L";

/// Which records are delivered: those that one of its patterns matches, or all if it has none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    pub(super) patterns: Vec<Object>,
}

/// A filter that is none. Kind: *invalid*. `Display` is AWS's message, complete and exact.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Invalid filter pattern definition.")]
pub struct PatternError {
    /// Which of the patterns, from 0, if it is one.
    pub index: Option<usize>,
    /// What is wrong, and where in the pattern: for people.
    pub reason: String,
}

/// What must hold of an object of the event, and so of one element of an array of objects.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Object {
    /// All of these, in order of the bytes of their names; a name may be there more than once.
    pub fields: Vec<Field>,
    /// Of each of these one attribute is changed; only at the top.
    pub changed: Vec<Vec<AttributeName>>,
    /// Of each of these one holds.
    pub choices: Vec<Vec<Object>>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field {
    pub name: Box<str>,
    pub node: Node,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Object(Object),
    /// Of these one holds.
    Leaf(Vec<Test>),
}

impl Filter {
    /// Parses patterns; none let every record pass. Errors: the first pattern that is none, and why.
    pub fn parse(patterns: &[String]) -> Result<Self, PatternError> {
        if patterns.len() > FILTERS_MAX {
            let reason = format!("there are {} patterns, and {FILTERS_MAX} are allowed", patterns.len());
            return Err(PatternError { index: None, reason });
        }
        let parsed = patterns
            .iter()
            .enumerate()
            .map(|(index, text)| parse(text).map_err(|reason| PatternError { index: Some(index), reason }));
        Ok(Self { patterns: parsed.collect::<Result<_, _>>()? })
    }

    /// Whether every record passes.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether a pattern asks what has changed: only records that show both images can say.
    pub fn needs_both_images(&self) -> bool {
        self.patterns.iter().any(Object::asks_what_changed)
    }
}

fn parse(text: &str) -> Result<Object, String> {
    let chars = text.chars().count();
    if chars > PATTERN_CHARS_MAX {
        return Err(format!("it has {chars} characters, and {PATTERN_CHARS_MAX} are allowed"));
    }
    let value: Value = serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
    let Value::Object(map) = &value else { return Err("it is not a JSON object".to_owned()) };
    let mut parser = Parser { path: Vec::new(), fields: 0 };
    let mut object = parser.object(map, true)?;
    // What costs nothing to look at comes first.
    object.fields.sort_by_key(|field| &*field.name == "dynamodb");
    Ok(object)
}

struct Parser {
    path: Vec<String>,
    fields: usize,
}

impl Parser {
    fn wrong<T>(&self, what: impl AsRef<str>) -> Result<T, String> {
        let what = what.as_ref();
        Err(match &self.path[..] {
            [] => what.to_owned(),
            path => format!("at {}: {what}", path.join(".")),
        })
    }

    fn below<T>(
        &mut self,
        name: String,
        parse: impl FnOnce(&mut Self) -> Result<T, String>,
    ) -> Result<T, String> {
        self.path.push(name);
        let parsed = parse(self)?;
        self.path.pop();
        Ok(parsed)
    }

    /// `top`: it speaks of the event itself.
    fn object(&mut self, map: &Map<String, Value>, top: bool) -> Result<Object, String> {
        if map.is_empty() {
            return self.wrong("an object without fields says nothing");
        }
        if self.path.len() >= DEPTH_MAX {
            return self.wrong(format!("more than {DEPTH_MAX} names lie on the way"));
        }
        let (mut object, mut choices) = (Object::default(), Vec::new());
        for (name, value) in map {
            if name == OR
                && let Some(branches) = branches(value)
            {
                let branches = branches.into_iter().enumerate();
                let parse =
                    |(at, branch)| self.below(format!("{OR}[{at}]"), |parser| parser.object(branch, top));
                choices.push(branches.map(parse).collect::<Result<_, _>>()?);
                continue;
            }
            self.below(name.clone(), |parser| {
                match value.as_array() {
                    Some(names) if name == CHANGED && top => object.changed.push(parser.changed(names)?),
                    _ => object.fields.push(Field { name: name.as_str().into(), node: parser.node(value)? }),
                }
                Ok(())
            })?;
        }
        object.fields.sort_by(|a, b| a.name.cmp(&b.name));
        self.settle(object, choices)
    }

    fn node(&mut self, value: &Value) -> Result<Node, String> {
        self.count(1)?;
        let alternatives = match value {
            Value::Object(map) => return self.object(map, false).map(Node::Object),
            Value::Array(alternatives) => alternatives,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                return self.wrong("a field takes an object of fields or an array of alternatives");
            }
        };
        if alternatives.is_empty() {
            return self.wrong("an array without alternatives allows nothing");
        }
        let tests = alternatives.iter().map(|test| Test::parse(test).or_else(|what| self.wrong(what)));
        tests.collect::<Result<_, _>>().map(Node::Leaf)
    }

    fn changed(&self, names: &[Value]) -> Result<Vec<AttributeName>, String> {
        let name = |name: &Value| AttributeName::parse(name.as_str()?).ok();
        match names.iter().map(name).collect::<Option<Vec<_>>>() {
            Some(names) if !names.is_empty() => Ok(names),
            _ => self.wrong(format!("\"{CHANGED}\" takes names of attributes")),
        }
    }

    fn count(&mut self, fields: usize) -> Result<(), String> {
        self.fields = self.fields.saturating_add(fields);
        if self.fields <= FIELDS_MAX {
            return Ok(());
        }
        let what = format!("the pattern has more than {FIELDS_MAX} fields once its {OR} are multiplied out");
        self.wrong(what)
    }

    /// The object of these fields and choices. Two parts of it that speak of one list are multiplied out, so that what
    /// they say is in one place and can be asked of one element.
    fn settle(&mut self, object: Object, choices: Vec<Vec<Object>>) -> Result<Object, String> {
        let mut parts = vec![vec![object]];
        parts.extend(choices);
        while let Some((first, second)) = sharing(&parts) {
            let (right, left) = (parts.remove(second), parts.remove(first));
            let fields = |part: &[Object]| part.iter().map(Object::fields_below).sum::<usize>();
            let product = fields(&left).saturating_mul(right.len());
            self.count(product.saturating_add(fields(&right).saturating_mul(left.len())))?;
            let mut merged = Vec::with_capacity(left.len() * right.len());
            for left in &left {
                for right in &right {
                    merged.push(self.merge(left, right)?);
                }
            }
            parts.insert(0, merged);
        }
        let mut settled = Object::default();
        for mut part in parts {
            match part.len() {
                1 => {
                    let mut only = part.remove(0);
                    settled.fields.append(&mut only.fields);
                    settled.changed.append(&mut only.changed);
                    settled.choices.append(&mut only.choices);
                }
                _ => settled.choices.push(part),
            }
        }
        settled.fields.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(settled)
    }

    /// What holds where both hold, with the objects of one name made one.
    fn merge(&mut self, left: &Object, right: &Object) -> Result<Object, String> {
        let mut merged = Object { choices: Vec::new(), ..left.clone() };
        merged.changed.extend_from_slice(&right.changed);
        for field in &right.fields {
            let same = merged.fields.iter_mut().find(|other| {
                other.name == field.name
                    && matches!((&other.node, &field.node), (Node::Object(_), Node::Object(_)))
            });
            match (same.map(|same| &mut same.node), &field.node) {
                (Some(Node::Object(left)), Node::Object(right)) => *left = self.merge(left, right)?,
                _ => merged.fields.push(field.clone()),
            }
        }
        self.settle(merged, left.choices.iter().chain(&right.choices).cloned().collect())
    }
}

/// The objects of a `$or`; `None` if it is an ordinary name.
fn branches(value: &Value) -> Option<Vec<&Map<String, Value>>> {
    let branches: Vec<_> = value.as_array()?.iter().map(Value::as_object).collect::<Option<_>>()?;
    let operator = |branch: &Map<String, Value>| OPERATORS.iter().any(|name| branch.contains_key(*name));
    (branches.len() >= 2 && !branches.iter().any(|branch| operator(branch))).then_some(branches)
}

/// The first two parts of which some objects speak of one list.
fn sharing(parts: &[Vec<Object>]) -> Option<(usize, usize)> {
    let share = |a: &[Object], b: &[Object]| a.iter().any(|a| b.iter().any(|b| a.shares_list(b)));
    let pairs =
        (0..parts.len()).flat_map(|first| (first + 1..parts.len()).map(move |second| (first, second)));
    pairs.into_iter().find(|(first, second)| share(&parts[*first], &parts[*second]))
}

impl Object {
    /// Its fields that are objects.
    fn objects(&self) -> impl Iterator<Item = (&str, &Self)> {
        self.fields.iter().filter_map(|field| match &field.node {
            Node::Object(object) => Some((&*field.name, object)),
            Node::Leaf(_) => None,
        })
    }

    fn shares_list(&self, other: &Self) -> bool {
        let fields = self.objects().any(|(name, object)| {
            let same = other.objects().filter(|(other, _)| *other == name);
            same.into_iter().any(|(_, other)| name == LIST || object.shares_list(other))
        });
        fields
            || self.choices.iter().flatten().any(|branch| branch.shares_list(other))
            || other.choices.iter().flatten().any(|branch| self.shares_list(branch))
    }

    fn fields_below(&self) -> usize {
        let inner: usize = self.objects().map(|(_, object)| object.fields_below()).sum();
        let choices: usize = self.choices.iter().flatten().map(Self::fields_below).sum();
        1 + self.fields.len() + inner + choices
    }

    fn asks_what_changed(&self) -> bool {
        !self.changed.is_empty() || self.choices.iter().flatten().any(Self::asks_what_changed)
    }
}

#[cfg(test)]
#[path = "pattern_test.rs"]
mod tests;
