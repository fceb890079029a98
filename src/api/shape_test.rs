//! Violations, and where they are told to be.

use super::*;
use crate::api::json::{self, Fault};
use crate::api::shapes::{KeyType, PositiveIntegerObject, TableName, TagKeyString};

structure! { Inner {
    kind: "KeyType" required Shaped<KeyType>,
}}

shapes! {
    Inners: List<Inner>, Length(1, 2);
}

structure! { Outer {
    name: "TableName" required Shaped<TableName>,
    limit: "Limit" optional Shaped<PositiveIntegerObject>,
    keys: "TagKeys" optional List<Shaped<TagKeyString>>,
    inners: "KeySchema" optional Shaped<Inners>,
    by_name: "ByName" optional Map<Inner>,
    anything: "Anything" optional Unread,
}}

fn said(body: &str) -> Option<String> {
    let outer: Outer = json::parse(body.as_bytes()).expect("it is of the right kinds");
    let mut violations = Violations::default();
    outer.check(&At::REQUEST, &mut violations);
    violations.message()
}

#[test]
fn every_violation_is_told_with_its_place() {
    for (body, text) in [
        (r#"{"TableName": "abc"}"#, None),
        (
            "{}",
            Some(
                "1 validation error detected: Value null at 'tableName' failed to satisfy constraint: Member must not be \
                 null",
            ),
        ),
        (
            r#"{"TableName": null, "Limit": 0}"#,
            Some(
                "2 validation errors detected: Value null at 'tableName' failed to satisfy constraint: Member must not be \
                 null; Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal \
                 to 1",
            ),
        ),
        (
            r#"{"TableName": "a!"}"#,
            Some(
                "2 validation errors detected: Value 'a!' at 'tableName' failed to satisfy constraint: Member must have \
                 length greater than or equal to 3; Value 'a!' at 'tableName' failed to satisfy constraint: Member must \
                 satisfy regular expression pattern: [a-zA-Z0-9_.-]+",
            ),
        ),
        (
            r#"{"TableName": "abc", "TagKeys": ["ok", ""]}"#,
            Some(
                "1 validation error detected: Value '' at 'tagKeys.2.member' failed to satisfy constraint: Member must \
                 have length greater than or equal to 1",
            ),
        ),
        (
            r#"{"TableName": "abc", "KeySchema": []}"#,
            Some(
                "1 validation error detected: Value '[]' at 'keySchema' failed to satisfy constraint: Member must have \
                 length greater than or equal to 1",
            ),
        ),
        (
            r#"{"TableName": "abc", "KeySchema": [{"KeyType": "hash"}, {}]}"#,
            Some(
                "2 validation errors detected: Value 'hash' at 'keySchema.1.member.keyType' failed to satisfy constraint: \
                 Member must satisfy enum value set: [HASH, RANGE]; Value null at 'keySchema.2.member.keyType' failed to \
                 satisfy constraint: Member must not be null",
            ),
        ),
        (
            r#"{"TableName": "abc", "ByName": {"x": {}}}"#,
            Some(
                "1 validation error detected: Value null at 'byName.x.member.keyType' failed to satisfy constraint: Member \
                 must not be null",
            ),
        ),
    ] {
        assert_eq!(said(body).as_deref(), text, "{body}");
    }
}

#[test]
fn no_more_than_ten_violations_are_told() {
    let keys = vec!["\"\""; 14].join(",");
    let text = said(&format!(r#"{{"TableName": "abc", "TagKeys": [{keys}]}}"#)).expect("they are wrong");
    assert!(text.starts_with("10 validation errors detected: "), "{text}");
    assert_eq!(text.matches("Value '").count(), TOLD_MAX);
}

#[test]
fn kinds_come_before_constraints_and_the_unknown_is_read_over() {
    let wrong: Result<Outer, Fault> = json::parse(br#"{"Limit": {}}"#);
    assert!(matches!(wrong, Err(Fault::Kind(_))));
    assert_eq!(said(r#"{"TableName": "abc", "Unknown": [{"x": {}}], "Anything": [1]}"#), None);
    let outer: Outer =
        json::parse(br#"{"TableName": "abc", "Anything": 1, "TableName": "xyz"}"#).expect("the last counts");
    assert!(outer.anything.is_some());
    assert_eq!(outer.name.expect("it is given").0.0, "xyz");
}
