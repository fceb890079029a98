//! What is wrong with expressions and pages: the exact message of each, and nothing changed by any.

use std::collections::BTreeMap;

use prost::Message;
use tonic::Code;
use watertable::client::{Client, Method, NewTable, StreamViewType, WriteOptions};
use watertable::model::{AttributeValue, Item, KeyType};
use watertable::rpc::item::{Item as WireItem, value_to_wire};
use watertable::rpc::wire::v1;

use super::history::verified;
use super::items::{begin, expression};
use super::sample::{self, item, n, s, schema};

const TABLE: &str = "strict";

type Case = (Method, Vec<u8>, String);

fn its_key() -> Option<WireItem> {
    Some(WireItem::encode(&item([("pk", s("a")), ("sk", n(1))])))
}

fn whole() -> Item {
    let place = item([("city", s("Berlin"))]);
    item([
        ("pk", s("a")),
        ("sk", n(1)),
        ("n", n(1)),
        ("s", s("x")),
        ("huge", n("9e125")),
        ("place", AttributeValue::M(place.into_map())),
    ])
}

fn values(text: &str) -> BTreeMap<String, v1::AttributeValue> {
    expression(text).values.iter().map(|(key, value)| (key.clone(), value_to_wire(value))).collect()
}

fn deletion(text: &str) -> v1::DeleteItemRequest {
    v1::DeleteItemRequest {
        table_name: TABLE.to_owned(),
        key: its_key(),
        condition_expression: Some(text.to_owned()),
        expression_attribute_values: values(text),
        ..Default::default()
    }
}

fn update(text: &str) -> v1::UpdateItemRequest {
    v1::UpdateItemRequest {
        table_name: TABLE.to_owned(),
        key: its_key(),
        update_expression: Some(text.to_owned()),
        expression_attribute_values: values(text),
        ..Default::default()
    }
}

fn query(text: &str) -> v1::QueryRequest {
    v1::QueryRequest {
        table_name: TABLE.to_owned(),
        key_condition_expression: Some(text.to_owned()),
        expression_attribute_values: values(text),
        ..Default::default()
    }
}

fn scan(segment: Option<u32>, total_segments: Option<u32>) -> v1::ScanRequest {
    v1::ScanRequest { table_name: TABLE.to_owned(), segment, total_segments, ..Default::default() }
}

fn names(key: &str, name: &str) -> BTreeMap<String, String> {
    [(key.to_owned(), name.to_owned())].into()
}

fn conditions() -> Vec<Case> {
    let long = format!("n = :one AND {}", "n".repeat(4097 - "n = :one AND ".len()));
    let cases = [
        ("", "The expression can not be empty;"),
        ("n = ", "Syntax error; token: \"<EOF>\", near: \"=\""),
        ("n = :one :two", "Syntax error; token: \":two\", near: \":one :two\""),
        ("((n = :one))", "The expression has redundant parentheses;"),
        ("foo(n)", "Invalid function name; function: foo"),
        ("size(n)", "The function is not allowed to be used this way in an expression; function: size"),
        ("status = :one", "Attribute name is a reserved keyword; reserved keyword: status"),
        (
            "#n = :one",
            "An expression attribute name used in the document path is not defined; attribute name: #n",
        ),
        (
            "begins_with(s, :one)",
            "Incorrect operand type for operator or function; operator or function: begins_with, operand type: N",
        ),
        (
            "attribute_exists(n, s)",
            "Incorrect number of operands for operator or function; operator or function: attribute_exists, number of operands: 2",
        ),
        (
            "n BETWEEN :two AND :one",
            "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound operand: AttributeValue: {N:2}, upper bound operand: AttributeValue: {N:1}",
        ),
        (&long, "Expression size has exceeded the maximum allowed size; expression size: 4097"),
    ];
    let case = |(text, message): (&str, &str)| {
        (
            Method::DELETE_ITEM,
            deletion(text).encode_to_vec(),
            format!("Invalid ConditionExpression: {message}"),
        )
    };
    cases.into_iter().map(case).collect()
}

fn updates() -> Vec<Case> {
    let invalid = "Invalid UpdateExpression: ";
    let cases = [
        (
            "SET n = :one, n = :two",
            invalid,
            "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [n], path two: [n]",
        ),
        (
            "SET a.b = :one, a[0] = :two",
            invalid,
            "Two document paths conflict with each other; must remove or rewrite one of these paths; path one: [a, b], path two: [a, [0]]",
        ),
        (
            "ADD n :x",
            invalid,
            "Incorrect operand type for operator or function; operator: ADD, operand type: STRING",
        ),
        (
            "SET n = :one SET s = :x",
            invalid,
            "The \"SET\" section can only be used once in an update expression;",
        ),
        (
            "SET n = gone",
            "",
            "The provided expression refers to an attribute that does not exist in the item",
        ),
        ("SET zip.a = :one", "", "The document path provided in the update expression is invalid for update"),
        ("SET n = n + s", "", "An operand in the update expression has an incorrect data type"),
        ("ADD s :one", "", "An operand in the update expression has an incorrect data type"),
        (
            "SET n = huge + huge",
            "",
            "Number overflow. Attempting to store a number with magnitude larger than supported range",
        ),
        (
            "SET sk = :two",
            "",
            "One or more parameter values were invalid: Cannot update attribute sk. This attribute is part of the key",
        ),
    ];
    let case = |(text, start, message): (&str, &str, &str)| {
        (Method::UPDATE_ITEM, update(text).encode_to_vec(), format!("{start}{message}"))
    };
    cases.into_iter().map(case).collect()
}

fn placeholders() -> Vec<Case> {
    let unused =
        v1::DeleteItemRequest { expression_attribute_values: values(":two :one"), ..deletion("n = :one") };
    let undefined =
        v1::DeleteItemRequest { expression_attribute_values: BTreeMap::new(), ..deletion("n = :one") };
    let alone = v1::DeleteItemRequest {
        condition_expression: None,
        expression_attribute_names: names("#n", "n"),
        ..deletion("")
    };
    let bad = v1::DeleteItemRequest { expression_attribute_names: names("n", "n"), ..deletion("n = :one") };
    let shown = v1::DeleteItemRequest {
        return_values_on_condition_check_failure: v1::ReturnValues::AllNew.into(),
        ..deletion("n = :one")
    };
    let cases = [
        (unused, "Value provided in ExpressionAttributeValues unused in expressions: keys: {:two}"),
        (
            undefined,
            "Invalid ConditionExpression: An expression attribute value used in expression is not defined; attribute value: :one",
        ),
        (alone, "ExpressionAttributeNames can only be specified when using expressions"),
        (bad, "ExpressionAttributeNames contains invalid key: Syntax error; key: \"n\""),
        (
            shown,
            "1 validation error detected: Value 'ALL_NEW' at 'returnValuesOnConditionCheckFailure' failed to satisfy constraint: Member must satisfy enum value set: [ALL_OLD, NONE]",
        ),
    ];
    let case = |(request, message): (v1::DeleteItemRequest, &str)| {
        (Method::DELETE_ITEM, request.encode_to_vec(), message.to_owned())
    };
    cases.into_iter().map(case).collect()
}

fn queries() -> Vec<Case> {
    let none = v1::QueryRequest { key_condition_expression: None, ..query("") };
    let filtered = v1::QueryRequest { filter_expression: Some("sk <> n".to_owned()), ..query("pk = :x") };
    let counted = v1::QueryRequest {
        projection_expression: Some("n".to_owned()),
        select: v1::Select::Count.into(),
        ..query("pk = :x")
    };
    let projected = v1::QueryRequest { projection_expression: Some("a.b, a".to_owned()), ..query("pk = :x") };
    let indexed = v1::QueryRequest { select: v1::Select::AllProjectedAttributes.into(), ..query("pk = :x") };
    let specific = v1::QueryRequest { select: v1::Select::SpecificAttributes.into(), ..query("pk = :x") };
    let cases = [
        (
            none,
            "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.",
        ),
        (query("sk = :one"), "Query condition missed key schema element: pk"),
        (query("pk > :x"), "Query key condition not supported"),
        (query("pk = :x OR sk = :one"), "Invalid operator used in KeyConditionExpression: OR"),
        (query("pk = :x AND n = :one"), "Query condition missed key schema element: sk"),
        (
            query("pk = :one"),
            "One or more parameter values were invalid: Condition parameter type does not match schema type",
        ),
        (
            filtered,
            "Filter Expression can only contain non-primary key attributes: Primary key attribute: sk",
        ),
        (
            v1::QueryRequest { limit: Some(0), ..query("pk = :x") },
            "1 validation error detected: Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1",
        ),
        (
            counted,
            "One or more parameter values were invalid: Cannot specify the ProjectionExpression when choosing to get COUNT",
        ),
        (
            projected,
            "Invalid ProjectionExpression: Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a, b], path two: [a]",
        ),
        (
            indexed,
            "One or more parameter values were invalid: ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName",
        ),
        (
            specific,
            "One or more parameter values were invalid: Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES",
        ),
    ];
    let case = |(request, message): (v1::QueryRequest, &str)| {
        (Method::QUERY, request.encode_to_vec(), message.to_owned())
    };
    cases.into_iter().map(case).collect()
}

fn scans() -> Vec<Case> {
    let cases = [
        (
            scan(Some(0), None),
            "The TotalSegments parameter is required but was not present in the request when Segment parameter is present",
        ),
        (
            scan(None, Some(2)),
            "The Segment parameter is required but was not present in the request when parameter TotalSegments is present",
        ),
        (
            scan(Some(2), Some(2)),
            "The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: 2 is not less than TotalSegments: 2",
        ),
        (
            scan(Some(0), Some(1_000_001)),
            "1 validation error detected: Value '1000001' at 'totalSegments' failed to satisfy constraint: Member must have value less than or equal to 1000000",
        ),
        (
            v1::ScanRequest { limit: Some(0), ..scan(None, None) },
            "1 validation error detected: Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1",
        ),
    ];
    let case = |(request, message): (v1::ScanRequest, &str)| {
        (Method::SCAN, request.encode_to_vec(), message.to_owned())
    };
    cases.into_iter().map(case).collect()
}

async fn refused(client: &Client, (method, body, message): Case) -> Result<(), String> {
    let error = match client.send_prepared_anywhere(method, body.into()).await {
        Ok(_) => return Err(format!("it was done; expected: {message}")),
        Err(error) => error,
    };
    if (error.code(), error.reason()) != (Code::InvalidArgument, "ValidationException") {
        return Err(format!("{:?}: {error}; expected: {message}", error.code()));
    }
    if error.message() == message {
        Ok(())
    } else {
        Err(format!("{}\n  expected: {message}", error.message()))
    }
}

#[tokio::test]
async fn wrong_expressions_are_refused_in_dynamodbs_words() {
    let new = NewTable {
        key: schema(("pk", KeyType::S), Some(("sk", KeyType::N))),
        ..sample::table(TABLE, Some(StreamViewType::NewAndOldImages))
    };
    let (cluster, client) = begin(&new).await;
    client.put_item(&new.name, &whole(), WriteOptions::default()).await.expect("it is put");
    let cases = [conditions(), updates(), placeholders(), queries(), scans()].into_iter().flatten();
    let mut faults = Vec::new();
    for (at, case) in cases.enumerate() {
        if let Err(fault) = refused(&cluster.client_of(at % 3), case).await {
            faults.push(fault);
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let its_key = its_key().expect("a key").decode().expect("a key");
    assert_eq!(client.get_item(&new.name, &its_key, true).await.expect("a read"), Some(whole()));
    let history = verified(&client, &new.name).await;
    let item_key = new.key.key_of_key(&its_key).expect("a key");
    assert_eq!(history.by_key(&new.key)[&item_key].len(), 1);
}
