//! What a request says of items, in expressions or in the legacy parameters before them, made into what is evaluated.
//!
//! One place for all operations, because the rules are about parameters together: which exclude each other, and that
//! every placeholder is used by one of them. The order of the checks is DynamoDB's: mixing first, then each expression,
//! then what is unused.

use std::collections::BTreeMap;

use crate::{
    expression::{
        Kind, Placeholders,
        ast::{Condition, KeyCondition, Projection, Update},
        legacy::{self, AttributeUpdate, Expected, Filter},
    },
    model::{AttributeName, AttributeValue, KeySchema},
    node::{Error, Node},
    partition::{Units, read_units, write_units},
};

/// The parameters of a request; those an operation does not have are absent.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Parameters {
    pub names: Option<BTreeMap<String, String>>,
    pub values: Option<BTreeMap<String, AttributeValue>>,
    pub condition: Option<String>,
    pub update: Option<String>,
    pub key_condition: Option<String>,
    pub filter: Option<String>,
    pub projection: Option<String>,
    pub expected: Option<BTreeMap<AttributeName, Expected>>,
    pub attribute_updates: Option<BTreeMap<AttributeName, AttributeUpdate>>,
    pub key_conditions: Option<BTreeMap<AttributeName, Filter>>,
    pub query_filter: Option<BTreeMap<AttributeName, Filter>>,
    pub scan_filter: Option<BTreeMap<AttributeName, Filter>>,
    pub attributes_to_get: Option<Vec<String>>,
    pub conditional_operator: Option<String>,
}

/// What they mean.
#[derive(Debug, Default)]
pub(super) struct Meaning {
    pub condition: Option<Condition>,
    /// With whether legacy parameters said it.
    pub update: Option<(Update, bool)>,
    pub key_condition: Option<KeyCondition>,
    pub filter: Option<Condition>,
    pub projection: Option<Projection>,
    /// The parameter the projection came from.
    pub projected_by: &'static str,
}

/// What they mean as far as can be told without the table: a request that is wrong in itself is told so even if its
/// table does not exist.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    meaning: Meaning,
    key_condition: Option<Condition>,
    query_filter: Option<BTreeMap<AttributeName, Filter>>,
    key_conditions: Option<BTreeMap<AttributeName, Filter>>,
    conditional_operator: Option<String>,
}

/// Parses and binds what was given, if anything was. Errors: `Invalid`.
pub(super) fn parse(given: Option<Box<Parameters>>, node: &Node) -> Result<Parsed, Error> {
    given.map_or_else(|| Ok(Parsed::default()), |given| given.parse(node))
}

impl Parsed {
    /// Whether a key condition was given, in either way.
    pub fn has_key_condition(&self) -> bool {
        self.key_condition.is_some() || self.key_conditions.is_some()
    }

    /// The projection that was given.
    pub fn projection(self) -> Option<Projection> {
        self.meaning.projection
    }

    /// What they mean for a table with this key. Errors: `Invalid`.
    pub fn of(self, schema: &KeySchema) -> Result<Meaning, Error> {
        let mut meaning = self.meaning;
        let key_condition =
            self.key_condition.map(|condition| KeyCondition::of(condition, schema)).transpose();
        meaning.key_condition = key_condition.map_err(|fault| Error::Invalid(fault.to_string()))?;
        if let Some(filter) = self.query_filter {
            meaning.filter = legacy::query_filter(filter, self.conditional_operator.as_deref(), schema)?;
        }
        if let Some(conditions) = self.key_conditions {
            meaning.key_condition = Some(legacy::key_conditions(conditions, schema)?);
        }
        if let Some((update, _)) = &meaning.update {
            update.check_targets(schema)?;
        }
        Ok(meaning)
    }
}

impl Parameters {
    /// Those that were given, if any were: most writes have none, and carry none through their way.
    pub fn given(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }

    fn parse(mut self, node: &Node) -> Result<Parsed, Error> {
        self.refuse_mixed()?;
        let mut parsed = self.expressions(node)?;
        self.legacy(&mut parsed)?;
        Ok(parsed)
    }

    fn refuse_mixed(&self) -> Result<(), Error> {
        let expressions = [
            ("ProjectionExpression", self.projection.is_some()),
            ("FilterExpression", self.filter.is_some()),
            ("UpdateExpression", self.update.is_some()),
            ("ConditionExpression", self.condition.is_some()),
            ("KeyConditionExpression", self.key_condition.is_some()),
        ];
        // Beside other expressions, `KeyConditions` is allowed.
        let key_conditions = self.key_conditions.is_some() && self.key_condition.is_some();
        let legacy = [
            ("AttributesToGet", self.attributes_to_get.is_some()),
            ("AttributeUpdates", self.attribute_updates.is_some()),
            ("Expected", self.expected.is_some()),
            ("QueryFilter", self.query_filter.is_some()),
            ("ScanFilter", self.scan_filter.is_some()),
            ("ConditionalOperator", self.conditional_operator.is_some()),
            ("KeyConditions", key_conditions),
        ];
        let given = |names: &[(&'static str, bool)]| -> Vec<&'static str> {
            names.iter().filter(|(_, given)| *given).map(|(name, _)| *name).collect()
        };
        Ok(legacy::refuse_mixed(&given(&legacy), &given(&expressions))?)
    }

    fn expressions(&mut self, node: &Node) -> Result<Parsed, Error> {
        let parse = |kind, text: &Option<String>| {
            let text = text.as_ref();
            text.map(|text| node.expressions().parse(kind, text)).transpose()
        };
        let condition = parse(Kind::Condition, &self.condition)?;
        let update = parse(Kind::Update, &self.update)?;
        let key_condition = parse(Kind::KeyCondition, &self.key_condition)?;
        let filter = parse(Kind::Filter, &self.filter)?;
        let projection = parse(Kind::Projection, &self.projection)?;
        let mut placeholders = Placeholders::new(self.names.take(), self.values.take())?;
        let update = update.map(|parsed| placeholders.update(&parsed)).transpose()?;
        let condition = condition.map(|parsed| placeholders.condition(&parsed)).transpose()?;
        let key_condition = key_condition.map(|parsed| placeholders.condition(&parsed)).transpose()?;
        let filter = filter.map(|parsed| placeholders.condition(&parsed)).transpose()?;
        let projection = projection.map(|parsed| placeholders.projection(&parsed)).transpose()?;
        placeholders.finish()?;
        let meaning = Meaning {
            condition,
            update: update.map(|update| (update, false)),
            key_condition: None,
            filter,
            projection,
            projected_by: "ProjectionExpression",
        };
        Ok(Parsed { meaning, key_condition, ..Parsed::default() })
    }

    fn legacy(self, parsed: &mut Parsed) -> Result<(), Error> {
        let meaning = &mut parsed.meaning;
        let operator = self.conditional_operator.as_deref();
        if self.query_filter.is_some() {
            parsed.query_filter = self.query_filter;
        } else if let Some(filter) = self.scan_filter {
            meaning.filter = legacy::scan_filter(filter, operator)?;
        } else if self.expected.is_some() || operator.is_some() {
            // An operator with nothing to combine is told by the same function.
            meaning.condition = legacy::expected(self.expected.unwrap_or_default(), operator)?;
        }
        if let Some(updates) = self.attribute_updates {
            meaning.update = Some((legacy::attribute_updates(updates)?, true));
        }
        parsed.key_conditions = self.key_conditions;
        if let Some(names) = self.attributes_to_get {
            let names = names.iter().map(|name| AttributeName::parse(name)).collect::<Result<Vec<_>, _>>()?;
            meaning.projection = Some(legacy::attributes_to_get(&names)?);
            meaning.projected_by = "AttributesToGet";
        }
        parsed.conditional_operator = self.conditional_operator;
        Ok(())
    }
}

/// Which capacity an answer tells of: `ReturnConsumedCapacity`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Counting {
    #[default]
    None,
    Total,
    Indexes,
}

/// The capacity an operation took of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Consumed {
    pub table: String,
    pub units: Units,
    /// Whether to tell which part is the table's.
    pub parts: bool,
}

impl Counting {
    /// What is told of a number of units.
    pub fn told(self, table: &str, units: Units) -> Option<Consumed> {
        let consumed = |parts| Consumed { table: table.to_owned(), units, parts };
        match self {
            Self::None => None,
            Self::Total => Some(consumed(false)),
            Self::Indexes => Some(consumed(true)),
        }
    }

    /// What is told of a write; see `partition::write_units`.
    pub fn write(self, table: &str, bytes: usize) -> Option<Consumed> {
        self.told(table, write_units(bytes))
    }

    /// What is told of a read; see `partition::read_units`.
    pub fn read(self, table: &str, bytes: usize, consistent: bool) -> Option<Consumed> {
        self.told(table, read_units(bytes, consistent))
    }
}
