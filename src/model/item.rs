//! The item: attributes sorted by name, with DynamoDB's size and limits.

use std::borrow::Borrow;
use std::collections::{BTreeMap, btree_map};

use super::error::Error;
use super::limits::ITEM_BYTES_MAX;
use super::name::AttributeName;
use super::value::AttributeValue;

/// An item, or any map of attributes by name (a `Key`, a projection). Equality is by value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Item {
    attributes: BTreeMap<AttributeName, AttributeValue>,
}

impl Item {
    /// An item without attributes.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of an attribute.
    pub fn get<Q: Ord + ?Sized>(&self, name: &Q) -> Option<&AttributeValue>
    where
        AttributeName: Borrow<Q>,
    {
        self.attributes.get(name)
    }

    /// The value of an attribute, to change in place.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, name: &Q) -> Option<&mut AttributeValue>
    where
        AttributeName: Borrow<Q>,
    {
        self.attributes.get_mut(name)
    }

    /// Whether the attribute is there.
    pub fn contains<Q: Ord + ?Sized>(&self, name: &Q) -> bool
    where
        AttributeName: Borrow<Q>,
    {
        self.attributes.contains_key(name)
    }

    /// Puts an attribute, giving back the value it replaces.
    pub fn insert(&mut self, name: AttributeName, value: AttributeValue) -> Option<AttributeValue> {
        self.attributes.insert(name, value)
    }

    /// Removes an attribute, giving back its value.
    pub fn remove<Q: Ord + ?Sized>(&mut self, name: &Q) -> Option<AttributeValue>
    where
        AttributeName: Borrow<Q>,
    {
        self.attributes.remove(name)
    }

    /// The attributes in order of the bytes of their names.
    pub fn iter(&self) -> btree_map::Iter<'_, AttributeName, AttributeValue> {
        self.attributes.iter()
    }

    /// Number of attributes.
    pub fn len(&self) -> usize {
        self.attributes.len()
    }

    /// Whether there are no attributes.
    pub fn is_empty(&self) -> bool {
        self.attributes.is_empty()
    }

    /// What DynamoDB counts for it, in bytes: names and values. Source: 2.1.5.
    pub fn size(&self) -> usize {
        self.attributes.iter().map(|(name, value)| name.as_str().len() + value.size()).sum()
    }

    /// Whether the item may be stored. Errors: `NestingTooDeep`, `ItemTooLarge`. Source: 2.1.4.
    ///
    /// Updates tell the second in other words ("Item size to update ..."); whoever evaluates them translates.
    pub fn validate(&self) -> Result<(), Error> {
        // Nesting first: it bounds the recursion of everything else.
        self.attributes.values().try_for_each(AttributeValue::check_nesting)?;
        if self.size() > ITEM_BYTES_MAX {
            return Err(Error::ItemTooLarge);
        }
        Ok(())
    }

    /// The attributes as a map.
    pub fn as_map(&self) -> &BTreeMap<AttributeName, AttributeValue> {
        &self.attributes
    }

    /// The attributes as a map, owned.
    pub fn into_map(self) -> BTreeMap<AttributeName, AttributeValue> {
        self.attributes
    }
}

impl From<BTreeMap<AttributeName, AttributeValue>> for Item {
    fn from(attributes: BTreeMap<AttributeName, AttributeValue>) -> Self {
        Self { attributes }
    }
}

impl FromIterator<(AttributeName, AttributeValue)> for Item {
    fn from_iter<I: IntoIterator<Item = (AttributeName, AttributeValue)>>(attributes: I) -> Self {
        Self { attributes: attributes.into_iter().collect() }
    }
}

impl IntoIterator for Item {
    type Item = (AttributeName, AttributeValue);
    type IntoIter = btree_map::IntoIter<AttributeName, AttributeValue>;

    fn into_iter(self) -> Self::IntoIter {
        self.attributes.into_iter()
    }
}

impl<'a> IntoIterator for &'a Item {
    type Item = (&'a AttributeName, &'a AttributeValue);
    type IntoIter = btree_map::Iter<'a, AttributeName, AttributeValue>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> AttributeName {
        AttributeName::parse(text).expect("a good name")
    }

    fn item(pairs: &[(&str, AttributeValue)]) -> Item {
        pairs.iter().map(|(text, value)| (name(text), value.clone())).collect()
    }

    #[test]
    fn size_counts_names_and_values() {
        let shirt = item(&[
            ("shirt-color", AttributeValue::S("R".into())),
            ("shirt-size", AttributeValue::S("M".into())),
        ]);
        assert_eq!(shirt.size(), 23, "the example of 2.1.5");
        assert_eq!(Item::new().size(), 0);
    }

    #[test]
    fn largest_item_passes_and_one_byte_more_does_not() {
        let mut big = item(&[("k", AttributeValue::S("x".repeat(ITEM_BYTES_MAX - 1)))]);
        assert_eq!(big.validate(), Ok(()));
        big.insert(name("k"), AttributeValue::S("x".repeat(ITEM_BYTES_MAX)));
        let error = big.validate().expect_err("one byte too many");
        assert_eq!(error.to_string(), "Item size has exceeded the maximum allowed size");
    }

    #[test]
    fn nesting_is_checked_before_size() {
        let mut value = AttributeValue::S("x".repeat(ITEM_BYTES_MAX));
        for _ in 0..32 {
            value = AttributeValue::L(vec![value]);
        }
        assert_eq!(item(&[("k", value)]).validate(), Err(Error::NestingTooDeep));
    }

    #[test]
    fn attributes_come_in_name_order_and_are_found_by_text() {
        let mut some = item(&[("b", AttributeValue::Null), ("a", AttributeValue::Bool(true))]);
        assert_eq!(some.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(some.get("a"), Some(&AttributeValue::Bool(true)));
        assert_eq!(some.remove("a"), Some(AttributeValue::Bool(true)));
        assert!(!some.contains("a"));
        assert_eq!(some.len(), 1);
    }
}
