//! Expressions as clients write them: text, and what its placeholders stand for.

use std::collections::BTreeMap;

use super::error::{Error, Kind};
use crate::model::{AttributeName, AttributeValue, Item};
use crate::rpc::item::value_to_wire;
use crate::rpc::wire::v1;

/// An expression of any kind: a condition, a filter, a key condition, an update or a projection. The cluster reads it;
/// nothing is checked here.
///
/// All expressions of a request share their placeholders: two of them may use the same one only for the same thing.
///
/// ```
/// use watertable::client::Expression;
/// use watertable::model::AttributeValue;
///
/// let condition = Expression::new("#size > :least").name("#size", "size").value(":least", AttributeValue::N(3u64.into()));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expression {
    /// The text.
    pub text: String,
    /// Attribute names by placeholder, "#name".
    pub names: BTreeMap<String, String>,
    /// Values by placeholder, ":value".
    pub values: BTreeMap<String, AttributeValue>,
}

impl Expression {
    /// An expression without placeholders.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// The same with a name for a placeholder.
    pub fn name(mut self, placeholder: impl Into<String>, name: impl ToString) -> Self {
        self.names.insert(placeholder.into(), name.to_string());
        self
    }

    /// The same with a value for a placeholder.
    pub fn value(mut self, placeholder: impl Into<String>, value: AttributeValue) -> Self {
        self.values.insert(placeholder.into(), value);
        self
    }

    /// The condition that an attribute exists; of a key attribute: that the item does.
    pub fn exists(name: &AttributeName) -> Self {
        Self::new("attribute_exists(#exists)").name("#exists", name)
    }

    /// The condition that an attribute does not exist; of a key attribute: that the item does not.
    pub fn not_exists(name: &AttributeName) -> Self {
        Self::new("attribute_not_exists(#exists)").name("#exists", name)
    }

    /// The key condition of all items of a partition key.
    pub fn partition(name: &AttributeName, value: AttributeValue) -> Self {
        Self::new("#partition = :partition").name("#partition", name).value(":partition", value)
    }

    /// The projection to whole attributes.
    pub fn attributes<'a>(names: impl IntoIterator<Item = &'a AttributeName>) -> Self {
        let mut expression = Self::default();
        for (at, name) in names.into_iter().enumerate() {
            expression.text += if at == 0 { "" } else { ", " };
            expression.text += &format!("#show{at}");
            expression.names.insert(format!("#show{at}"), name.to_string());
        }
        expression
    }

    /// The update that sets and removes whole attributes; `None` if there are none.
    pub fn assign(set: &Item, remove: &[AttributeName]) -> Option<Self> {
        let mut expression = Self::default();
        for (at, (name, value)) in set.iter().enumerate() {
            expression.text += if at == 0 { "SET " } else { ", " };
            expression.text += &format!("#set{at} = :set{at}");
            expression.names.insert(format!("#set{at}"), name.to_string());
            expression.values.insert(format!(":set{at}"), value.clone());
        }
        for (at, name) in remove.iter().enumerate() {
            expression.text += if at == 0 { " REMOVE " } else { ", " };
            expression.text += &format!("#remove{at}");
            expression.names.insert(format!("#remove{at}"), name.to_string());
        }
        (!expression.text.is_empty()).then_some(expression)
    }

    /// The value a key condition gives a partition key, if that can be seen without parsing. What is seen wrongly costs
    /// a hop, as every hint.
    pub(super) fn partition_value(&self, name: &AttributeName) -> Option<&AttributeValue> {
        let text = self.text.replace('=', " = ");
        let tokens: Vec<&str> = text.split_whitespace().map(|token| token.trim_matches(['(', ')'])).collect();
        let is_name = |token: &str| {
            token == name.as_str() || self.names.get(token).is_some_and(|text| text == name.as_str())
        };
        tokens.windows(3).find_map(|part| match part {
            [path, "=", value] if is_name(path) => self.values.get(*value),
            _ => None,
        })
    }
}

/// What the placeholders of a request stand for, as it goes out.
#[derive(Default)]
pub(super) struct Placeholders {
    /// Names by placeholder.
    pub names: BTreeMap<String, String>,
    /// Values by placeholder.
    pub values: BTreeMap<String, v1::AttributeValue>,
}

impl Placeholders {
    /// Takes in those of an expression; gives its text. Errors: `Invalid` for one that already stands for another thing.
    pub fn take(&mut self, expression: Option<Expression>) -> Result<Option<String>, Error> {
        let Some(Expression { text, names, values }) = expression else { return Ok(None) };
        for (key, name) in names {
            if let Some(other) = self.names.get(&key).filter(|other| **other != name) {
                let message = format!("{key} stands for {other} in one expression, for {name} in another");
                return Err(Error::local(Kind::Invalid, message));
            }
            self.names.insert(key, name);
        }
        for (key, value) in values {
            let value = value_to_wire(&value);
            if self.values.get(&key).is_some_and(|other| *other != value) {
                let message = format!("{key} stands for different values in two expressions");
                return Err(Error::local(Kind::Invalid, message));
            }
            self.values.insert(key, value);
        }
        Ok(Some(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> AttributeName {
        AttributeName::parse(text).expect("a good name")
    }

    fn s(text: &str) -> AttributeValue {
        AttributeValue::S(text.into())
    }

    #[test]
    fn assignments_take_any_name() {
        let set = [(name("a.b"), s("1")), (name("size"), s("2"))].into_iter().collect();
        let both = Expression::assign(&set, &[name("c d"), name("#")]).expect("something to do");
        assert_eq!(both.text, "SET #set0 = :set0, #set1 = :set1 REMOVE #remove0, #remove1");
        assert_eq!(both.names.get("#set0").map(String::as_str), Some("a.b"));
        assert_eq!(both.values.get(":set1"), Some(&s("2")));
        assert_eq!(both.names.get("#remove1").map(String::as_str), Some("#"));
        let removal = Expression::assign(&Item::new(), &[name("a")]).expect("something to do");
        assert_eq!(removal.text.trim(), "REMOVE #remove0");
        assert_eq!(Expression::assign(&Item::new(), &[]), None);
    }

    #[test]
    fn partition_keys_are_seen_where_they_are_plain() {
        for text in
            ["pk = :p", "pk=:p AND sk > :s", "sk >= :s AND (pk = :p)", "begins_with(sk, :s) and #pk = :p"]
        {
            let key = Expression::new(text).name("#pk", "pk").value(":p", s("p")).value(":s", s("s"));
            assert_eq!(key.partition_value(&name("pk")), Some(&s("p")), "{text}");
        }
        for text in ["", "=", "pk", ":p = pk", "sk = :s", "pk <= :p", "pk = p"] {
            let key = Expression::new(text).value(":p", s("p")).value(":s", s("s"));
            assert_eq!(key.partition_value(&name("pk")), None, "{text}");
        }
    }

    #[test]
    fn a_placeholder_stands_for_one_thing() {
        let one = Expression::new("#a = :a").name("#a", "x").value(":a", s("1"));
        let mut placeholders = Placeholders::default();
        let text = placeholders.take(Some(one.clone())).expect("the first");
        assert_eq!(text.as_deref(), Some("#a = :a"));
        placeholders.take(Some(one.clone())).expect("the same again");
        assert!(placeholders.take(None).expect("nothing").is_none());
        for other in [one.clone().name("#a", "y"), one.value(":a", s("2"))] {
            assert_eq!(placeholders.take(Some(other)).expect_err("another").kind(), Kind::Invalid);
        }
    }
}
