//! Sample data: names, items, tables.

use bytes::Bytes;
use watertable::client::{NewTable, StreamViewType};
use watertable::model::{
    AttributeName, AttributeValue, Item, KeyAttribute, KeySchema, KeyType, Number, TableName,
};

pub fn table_name(text: &str) -> TableName {
    TableName::parse(text).expect("a good table name")
}

pub fn name(text: &str) -> AttributeName {
    AttributeName::parse(text).expect("a good attribute name")
}

pub fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

pub fn n(text: impl ToString) -> AttributeValue {
    AttributeValue::N(Number::parse(&text.to_string()).expect("a good number"))
}

pub fn b(bytes: &[u8]) -> AttributeValue {
    AttributeValue::B(Bytes::copy_from_slice(bytes))
}

pub fn item<const N: usize>(attributes: [(&str, AttributeValue); N]) -> Item {
    attributes.into_iter().map(|(text, value)| (name(text), value)).collect()
}

/// The key of tables made by `table`.
pub fn key(id: impl Into<String>) -> Item {
    item([("id", s(id))])
}

pub fn schema(partition: (&str, KeyType), sort: Option<(&str, KeyType)>) -> KeySchema {
    let attribute = |(text, kind): (&str, KeyType)| KeyAttribute { name: name(text), kind };
    KeySchema { partition: attribute(partition), sort: sort.map(attribute) }
}

/// A table with the key `id`, a string.
pub fn table(text: &str, stream: Option<StreamViewType>) -> NewTable {
    NewTable {
        name: table_name(text),
        key: schema(("id", KeyType::S), None),
        stream,
        partitions: 4,
        retention_ms: 0,
    }
}

/// An airport: every type of value but one, sizes that differ.
pub fn airport(at: usize) -> Item {
    let code = format!("{:04X}", at * 7919 % 65_536);
    let mut airport = item([
        ("id", s(code.clone())),
        ("name", s(format!("Airport of {}", "abcdefghij".repeat(at % 5 + 1)))),
        ("elevation", n(at * 13 % 4000)),
        ("latitude", n(format!("{}.{:03}", at % 90, at * 31 % 1000))),
        ("hub", AttributeValue::Bool(at.is_multiple_of(7))),
        ("icao", AttributeValue::Null),
        ("seal", b(code.as_bytes())),
        ("runways", AttributeValue::Ss([format!("{:02}L", at % 36), "18R".to_owned()].into())),
        ("lengths", AttributeValue::Ns([Number::from(at as u64), Number::from(4000u64)].into())),
        ("gates", AttributeValue::L(vec![n(1), s("B"), AttributeValue::L(vec![])])),
    ]);
    let place = item([("city", s(format!("City {at}"))), ("zone", n(at as i64 % 24 - 11))]);
    airport.insert(name("place"), AttributeValue::M(place.into_map()));
    airport
}

/// A number that looks random (splitmix64).
pub fn noise(seed: u64) -> u64 {
    let mut value = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}
