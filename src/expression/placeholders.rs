//! What the placeholders of a request stand for, and which of them its expressions used.
//!
//! All expressions of a request share them, so whether one is unused is known only when all are bound.

use std::collections::BTreeMap;

use crate::model::{AttributeName, AttributeValue, KeySchema};

use super::ast;
use super::error::{Error, Fault, Map, MapFault};
use super::syntax::{self, Kind, Name, Parsed, Step, Tree};

/// Longest placeholder, its sign included, in bytes. Source: Amazon DynamoDB Developer Guide, quotas, "Expression
/// parameters".
pub const PLACEHOLDER_BYTES_MAX: usize = 255;

/// Most bytes of placeholders with what they stand for. Source: the same quotas.
pub const PLACEHOLDERS_BYTES_MAX: usize = 2 * 1024 * 1024;

/// The `ExpressionAttributeNames` and `ExpressionAttributeValues` of a request. They bind its expressions, one after
/// another in the order in which DynamoDB looks at them; `finish` comes last.
#[derive(Clone, Debug)]
pub struct Placeholders {
    names: Option<Entries<AttributeName>>,
    values: Option<Entries<AttributeValue>>,
    /// Whether an expression was bound, in which there can be names.
    names_needed: bool,
    /// Whether an expression was bound, in which there can be values.
    values_needed: bool,
}

impl Placeholders {
    /// Takes the maps of a request, if it has them. Errors: `Map`, first that applies and names before values: an empty
    /// map; of each entry a bad placeholder (its sign, then one or more letters, digits and underscores), or a name or
    /// value that cannot be; its size. Then `MapsTooLarge`.
    ///
    /// A request without expressions may have no maps at all, whatever is in them: `refuse` is for that.
    pub fn new(
        names: Option<BTreeMap<String, String>>,
        values: Option<BTreeMap<String, AttributeValue>>,
    ) -> Result<Self, Error> {
        let names = names.map(|names| {
            Entries::new(Map::Names, names, |text| AttributeName::parse(&text), |name| name.as_str().len())
        });
        let names = names.transpose()?;
        let values = values.map(|values| {
            let checked = |value: AttributeValue| value.check_nesting().map(|()| value);
            Entries::new(Map::Values, values, checked, AttributeValue::size)
        });
        let values = values.transpose()?;
        let bytes =
            names.as_ref().map_or(0, |names| names.bytes) + values.as_ref().map_or(0, |values| values.bytes);
        if bytes > PLACEHOLDERS_BYTES_MAX {
            return Err(Error::MapsTooLarge);
        }
        Ok(Self { names, values, names_needed: false, values_needed: false })
    }

    /// What to say to a request without expressions, given which maps it has. Errors: `Map` with `Unneeded`.
    pub fn refuse(names: bool, values: bool) -> Result<(), Error> {
        for (map, given) in [(Map::Names, names), (Map::Values, values)] {
            if given {
                return Err(Error::Map { map, fault: MapFault::Unneeded });
            }
        }
        Ok(())
    }

    /// Binds a condition, a filter, or a key condition of which the rest is checked later. Errors: `Expression`, of the
    /// first comparison or function that has one: undefined placeholders, numbers of operands, operands not distinct,
    /// types of operands.
    ///
    /// Panics if it is an update or a projection.
    pub fn condition(&mut self, parsed: &Parsed) -> Result<ast::Condition, Error> {
        let Tree::Condition(condition) = &parsed.tree else { panic!("{:?} is no condition", parsed.kind) };
        (self.names_needed, self.values_needed) = (true, true);
        self.bind_condition(condition).map_err(|fault| Error::Expression { kind: parsed.kind, fault })
    }

    /// Binds a key condition and makes it one that a query can use. Errors: as `condition`, then `KeyCondition`.
    ///
    /// DynamoDB looks at all expressions and at unused placeholders before it tells the latter; who wants that order
    /// calls `condition`, and `ast::KeyCondition::of` after `finish`.
    ///
    /// Panics if it is no condition.
    pub fn key_condition(&mut self, parsed: &Parsed, schema: &KeySchema) -> Result<ast::KeyCondition, Error> {
        Ok(ast::KeyCondition::of(self.condition(parsed)?, schema)?)
    }

    /// Binds an update. Errors: `Expression`, first that applies in the whole update: undefined names, undefined
    /// values, overlapping paths, conflicting paths, types of operands of `ADD` and `DELETE`, then numbers and types of
    /// operands of functions, `+` and `-`.
    ///
    /// Panics if it is no update.
    pub fn update(&mut self, parsed: &Parsed) -> Result<ast::Update, Error> {
        let Tree::Update(update) = &parsed.tree else { panic!("{:?} is no update", parsed.kind) };
        (self.names_needed, self.values_needed) = (true, true);
        self.bind_update(update).map_err(|fault| Error::Expression { kind: Kind::Update, fault })
    }

    /// Binds a projection. Errors: `Expression`, first that applies: undefined names, overlapping paths, conflicting
    /// paths.
    ///
    /// Panics if it is no projection.
    pub fn projection(&mut self, parsed: &Parsed) -> Result<ast::Projection, Error> {
        let Tree::Projection(paths) = &parsed.tree else { panic!("{:?} is no projection", parsed.kind) };
        self.names_needed = true;
        self.bind_projection(paths).map_err(|fault| Error::Expression { kind: Kind::Projection, fault })
    }

    /// Whether every placeholder was used. Errors: `Map` with `Unneeded` for a map when no expression was bound that
    /// could use it, then `Unused`, names before values.
    pub fn finish(self) -> Result<(), Error> {
        let names_unneeded = self.names.is_some() && !self.names_needed;
        let values_unneeded = self.values.is_some() && !self.values_needed;
        Self::refuse(names_unneeded, values_unneeded)?;
        if let Some(names) = &self.names {
            names.check_used(Map::Names)?;
        }
        if let Some(values) = &self.values {
            values.check_used(Map::Values)?;
        }
        Ok(())
    }

    /// The name that a `#name` stands for.
    pub(super) fn name(&mut self, key: &str) -> Result<AttributeName, Fault> {
        let found = self.names.as_mut().and_then(|names| names.take(key));
        found.ok_or_else(|| Fault::NameUndefined { key: key.to_owned() })
    }

    /// The value that a `:value` stands for.
    pub(super) fn value(&mut self, key: &str) -> Result<AttributeValue, Fault> {
        let found = self.values.as_mut().and_then(|values| values.take(key));
        found.ok_or_else(|| Fault::ValueUndefined { key: key.to_owned() })
    }

    /// Errors: `NameUndefined`.
    pub(super) fn check_name(&self, key: &str) -> Result<(), Fault> {
        let known = self.names.as_ref().is_some_and(|names| names.find(key).is_some());
        if known { Ok(()) } else { Err(Fault::NameUndefined { key: key.to_owned() }) }
    }

    /// Errors: `ValueUndefined`.
    pub(super) fn check_value(&self, key: &str) -> Result<(), Fault> {
        let known = self.values.as_ref().is_some_and(|values| values.find(key).is_some());
        if known { Ok(()) } else { Err(Fault::ValueUndefined { key: key.to_owned() }) }
    }

    /// The path with its names. Errors: `NameUndefined`.
    pub(super) fn path(&mut self, path: &syntax::Path) -> Result<ast::Path, Fault> {
        let name = self.path_name(&path.head)?;
        let steps = path.steps.iter().map(|step| {
            Ok(match step {
                Step::Member(name) => ast::Step::Member(self.path_name(name)?),
                Step::Index(index) => ast::Step::Index(*index),
            })
        });
        Ok(ast::Path { name, steps: steps.collect::<Result<_, Fault>>()? })
    }

    fn path_name(&mut self, name: &Name) -> Result<AttributeName, Fault> {
        match name {
            Name::Literal(name) => Ok(name.clone()),
            Name::Reference(key) => self.name(key),
        }
    }
}

/// One of the maps, in order of placeholders.
#[derive(Clone, Debug)]
struct Entries<T> {
    entries: Vec<Entry<T>>,
    bytes: usize,
}

#[derive(Clone, Debug)]
struct Entry<T> {
    key: String,
    stands_for: T,
    used: bool,
}

impl<T: Clone> Entries<T> {
    fn new<U>(
        map: Map,
        given: BTreeMap<String, U>,
        check: impl Fn(U) -> Result<T, crate::model::Error>,
        size: impl Fn(&T) -> usize,
    ) -> Result<Self, Error> {
        let fault = |fault| Error::Map { map, fault };
        if given.is_empty() {
            return Err(fault(MapFault::Empty));
        }
        let mut entries = Vec::with_capacity(given.len());
        let mut bytes: usize = 0;
        for (key, value) in given {
            check_key(map, &key).map_err(fault)?;
            let stands_for = match check(value) {
                Ok(stands_for) => stands_for,
                Err(source) => return Err(fault(MapFault::Value { key, source })),
            };
            bytes += key.len() + size(&stands_for);
            entries.push(Entry { key, stands_for, used: false });
        }
        if bytes > PLACEHOLDERS_BYTES_MAX {
            return Err(fault(MapFault::TooLarge));
        }
        Ok(Self { entries, bytes })
    }

    fn find(&self, key: &str) -> Option<usize> {
        self.entries.binary_search_by(|entry| entry.key.as_str().cmp(key)).ok()
    }

    /// What a placeholder stands for; it counts as used.
    fn take(&mut self, key: &str) -> Option<T> {
        let index = self.find(key)?;
        let entry = &mut self.entries[index];
        entry.used = true;
        Some(entry.stands_for.clone())
    }

    fn check_used(&self, map: Map) -> Result<(), Error> {
        let unused = self.entries.iter().filter(|entry| !entry.used);
        let keys: Vec<String> = unused.map(|entry| entry.key.clone()).collect();
        if keys.is_empty() { Ok(()) } else { Err(Error::Unused { map, keys }) }
    }
}

fn check_key(map: Map, key: &str) -> Result<(), MapFault> {
    let sign = match map {
        Map::Names => '#',
        Map::Values => ':',
    };
    if key.is_empty() {
        return Err(MapFault::KeyEmpty);
    }
    let rest = key.strip_prefix(sign).unwrap_or_default();
    if rest.is_empty() || !rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err(MapFault::Key { key: key.to_owned() });
    }
    if key.len() > PLACEHOLDER_BYTES_MAX {
        return Err(MapFault::KeyTooLong { bytes: key.len() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::parse;

    fn names<const N: usize>(entries: [(String, String); N]) -> Result<Placeholders, Error> {
        Placeholders::new(Some(BTreeMap::from(entries)), None)
    }

    fn values<const N: usize>(entries: [(String, AttributeValue); N]) -> Result<Placeholders, Error> {
        Placeholders::new(None, Some(BTreeMap::from(entries)))
    }

    fn message(result: Result<Placeholders, Error>) -> String {
        result.map_or_else(|error| error.to_string(), |_| String::new())
    }

    #[test]
    fn placeholders_are_short() {
        let key = |sign: char, len: usize| format!("{sign}{}", "x".repeat(len - 1));
        assert_eq!(message(names([(key('#', 255), "a".to_owned())])), "");
        assert_eq!(message(values([(key(':', 255), AttributeValue::Null)])), "");
        let too_long = "contains invalid key: The expression attribute map contains a key that is too long; size of key: 256";
        let expected = format!("ExpressionAttributeNames {too_long}");
        assert_eq!(message(names([(key('#', 256), "a".to_owned())])), expected);
        let expected = format!("ExpressionAttributeValues {too_long}");
        assert_eq!(message(values([(key(':', 256), AttributeValue::Null)])), expected);
    }

    #[test]
    fn what_they_stand_for_is_bounded_apart_and_together() {
        let text = |len: usize| AttributeValue::S("x".repeat(len));
        let value = |len: usize| (":v".to_owned(), text(len - 2));
        assert_eq!(message(values([value(PLACEHOLDERS_BYTES_MAX)])), "");
        assert_eq!(
            message(values([value(PLACEHOLDERS_BYTES_MAX + 1)])),
            "ExpressionAttributeValues exceeds max size"
        );
        let many = (0..33).map(|n| (format!("#{n:04}"), "x".repeat(65_535)));
        let many: BTreeMap<String, String> = many.collect();
        let error = Placeholders::new(Some(many), None).expect_err("33 times 64 KB");
        assert_eq!(error.to_string(), "ExpressionAttributeNames exceeds max size");
        let name = BTreeMap::from([("#a".to_owned(), "ab".to_owned())]);
        let fits = Some(BTreeMap::from([value(PLACEHOLDERS_BYTES_MAX - 4)]));
        assert!(Placeholders::new(Some(name.clone()), fits).is_ok());
        let error = Placeholders::new(Some(name), Some(BTreeMap::from([value(PLACEHOLDERS_BYTES_MAX - 3)])));
        assert_eq!(
            message(error),
            "Combined size of ExpressionAttributeNames and ExpressionAttributeValues exceeds max size"
        );
    }

    #[test]
    fn names_and_values_must_be_possible() {
        let name = names([("#a".to_owned(), "x".repeat(65_536))]);
        assert!(message(name).ends_with("must be less than 65536 bytes for key #a"));
        let mut deep = AttributeValue::Null;
        for _ in 0..100 {
            deep = AttributeValue::L(vec![deep]);
        }
        let expected =
            "ExpressionAttributeValues contains invalid value: Nesting Levels have exceeded supported limits";
        assert!(message(values([(":v".to_owned(), deep)])).starts_with(expected));
    }

    #[test]
    fn one_value_may_be_used_twice() {
        let mut placeholders = values([(":v".to_owned(), AttributeValue::Null)]).expect("good placeholders");
        let parsed = parse(Kind::Condition, "a = :v AND b = :v").expect("parses");
        let twice = placeholders.condition(&parsed).expect("binds");
        assert_eq!(placeholders.condition(&parsed), Ok(twice));
        assert_eq!(placeholders.finish(), Ok(()));
    }

    #[test]
    #[should_panic(expected = "Projection is no condition")]
    fn kinds_are_not_confused() {
        let parsed = parse(Kind::Projection, "a").expect("parses");
        let _ = Placeholders::new(None, None).expect("nothing is wrong with nothing").condition(&parsed);
    }
}
