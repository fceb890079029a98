//! The parameters that expressions replaced, as messages: clients of this repository do not send them.

use std::collections::BTreeMap;

use tonic::Code;
use watertable::client::{Client, Error, Method, NewTable, StreamViewType, WriteOptions};
use watertable::model::{AttributeValue, Item, KeyType};
use watertable::rpc::item::{Item as WireItem, value_to_wire};
use watertable::rpc::wire::v1;

use super::history::verified;
use super::items::{begin, call};
use super::sample::{self, item, n, s, schema};

const TABLE: &str = "legacy";

fn by_name<const N: usize, T>(entries: [(&str, T); N]) -> BTreeMap<String, T> {
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn expected(operator: &str, list: &[AttributeValue]) -> v1::ExpectedAttributeValue {
    v1::ExpectedAttributeValue {
        comparison_operator: Some(operator.to_owned()),
        attribute_value_list: list.iter().map(value_to_wire).collect(),
        ..Default::default()
    }
}

fn value(value: &AttributeValue) -> v1::ExpectedAttributeValue {
    v1::ExpectedAttributeValue { value: Some(value_to_wire(value)), ..Default::default() }
}

fn absent() -> v1::ExpectedAttributeValue {
    v1::ExpectedAttributeValue { exists: Some(false), ..Default::default() }
}

fn condition(operator: &str, list: &[AttributeValue]) -> v1::Condition {
    v1::Condition {
        comparison_operator: Some(operator.to_owned()),
        attribute_value_list: list.iter().map(value_to_wire).collect(),
    }
}

fn action(action: &str, value: Option<AttributeValue>) -> v1::AttributeValueUpdate {
    let action = (!action.is_empty()).then(|| action.to_owned());
    v1::AttributeValueUpdate { action, value: value.as_ref().map(value_to_wire) }
}

fn key(id: &str, at: i64) -> Item {
    item([("id", s(id)), ("at", n(at))])
}

fn whole(at: i64) -> Item {
    item([
        ("id", s("a")),
        ("at", n(at)),
        ("n", n(at * 10)),
        ("s", s(format!("text {at}"))),
        ("odd", n(at % 2)),
    ])
}

fn table() -> NewTable {
    NewTable {
        key: schema(("id", KeyType::S), Some(("at", KeyType::N))),
        ..sample::table(TABLE, Some(StreamViewType::NewAndOldImages))
    }
}

fn put(at: i64) -> v1::PutItemRequest {
    let item = Some(WireItem::encode(&whole(at)));
    v1::PutItemRequest { table_name: TABLE.to_owned(), item, ..Default::default() }
}

fn update(id: &str, at: i64) -> v1::UpdateItemRequest {
    let key = Some(WireItem::encode(&key(id, at)));
    v1::UpdateItemRequest { table_name: TABLE.to_owned(), key, ..Default::default() }
}

fn query() -> v1::QueryRequest {
    let key_conditions = by_name([("id", condition("EQ", &[s("a")]))]);
    v1::QueryRequest {
        table_name: TABLE.to_owned(),
        key_conditions,
        consistent_read: true,
        ..Default::default()
    }
}

fn scan() -> v1::ScanRequest {
    v1::ScanRequest { table_name: TABLE.to_owned(), consistent_read: true, ..Default::default() }
}

fn at_of(items: Vec<WireItem>) -> Vec<i64> {
    let at = |item: WireItem| match item.decode().expect("an item").get("at") {
        Some(AttributeValue::N(number)) => number.to_i64().expect("small"),
        other => panic!("no number: {other:?}"),
    };
    items.into_iter().map(at).collect()
}

#[tokio::test]
async fn legacy_parameters_mean_what_they_did() {
    let new = table();
    let (_cluster, client) = begin(&new).await;
    for at in 0..10 {
        client.put_item(&new.name, &whole(at), WriteOptions::default()).await.expect("it is put");
    }
    guards(&client).await;
    updates(&client).await;
    reads(&client).await;
    verified(&client, &new.name).await;
}

async fn guards(client: &Client) {
    let one = n(10);
    for (expectations, operator, holds) in [
        (by_name([("n", value(&one))]), None, true),
        (by_name([("n", value(&s("10")))]), None, false),
        (by_name([("zip", absent())]), None, true),
        (by_name([("n", absent())]), None, false),
        (
            by_name([("n", expected("GE", &[n(10)])), ("s", expected("BEGINS_WITH", &[s("text")]))]),
            None,
            true,
        ),
        (
            by_name([("n", expected("GT", &[n(10)])), ("s", expected("CONTAINS", &[s("xt 1")]))]),
            Some("OR"),
            true,
        ),
        (
            by_name([("n", expected("GT", &[n(10)])), ("s", expected("CONTAINS", &[s("xt 1")]))]),
            Some("AND"),
            false,
        ),
        (by_name([("n", expected("BETWEEN", &[n(9), n(11)]))]), None, true),
        (by_name([("n", expected("IN", &[n(9), n(10)]))]), None, true),
        (by_name([("zip", expected("NULL", &[])), ("n", expected("NOT_NULL", &[]))]), None, true),
        (by_name([("zip", expected("NE", &[n(1)]))]), None, true),
        (by_name([("zip", expected("NOT_CONTAINS", &[n(1)]))]), None, false),
    ] {
        let what = format!("{expectations:?}");
        let conditional_operator = operator.map(str::to_owned);
        let request = v1::PutItemRequest { expected: expectations.clone(), conditional_operator, ..put(1) };
        let outcome: Result<v1::PutItemResponse, Error> = call(client, Method::PUT_ITEM, &request).await;
        assert_eq!(outcome.is_ok(), holds, "{what}: {outcome:?}");
        if let Err(error) = outcome {
            assert!(error.is_condition_failed(), "{what}: {error}");
            // The same for a deletion, which shows the item.
            let request = v1::DeleteItemRequest {
                table_name: TABLE.to_owned(),
                key: Some(WireItem::encode(&key("a", 1))),
                expected: expectations,
                conditional_operator: operator.map(str::to_owned),
                return_values_on_condition_check_failure: v1::ReturnValues::AllOld.into(),
                ..Default::default()
            };
            let answer: v1::DeleteItemResponse =
                call(client, Method::DELETE_ITEM, &request).await.expect("an answer");
            let shown = answer.condition_failed.and_then(|failed| failed.item).expect("the item");
            assert_eq!(shown.decode().expect("an item"), whole(1), "{what}");
        }
    }
}

async fn updates(client: &Client) {
    let strings = |members: &[&str]| AttributeValue::Ss(members.iter().map(ToString::to_string).collect());
    let list = |values: &[i64]| AttributeValue::L(values.iter().map(n).collect());
    let mut model = key("new", 1);
    for (attribute, update_of, becomes) in [
        ("n", action("", Some(n(1))), Some(n(1))),
        ("n", action("ADD", Some(n("0.5"))), Some(n("1.5"))),
        ("n", action("PUT", Some(s("text"))), Some(s("text"))),
        ("n", action("DELETE", None), None),
        ("count", action("ADD", Some(n(7))), Some(n(7))),
        ("t", action("ADD", Some(strings(&["a", "b"]))), Some(strings(&["a", "b"]))),
        ("t", action("DELETE", Some(strings(&["a", "c"]))), Some(strings(&["b"]))),
        ("l", action("PUT", Some(list(&[1]))), Some(list(&[1]))),
        ("l", action("ADD", Some(list(&[2, 3]))), Some(list(&[1, 2, 3]))),
        ("a.b[0]", action("PUT", Some(n(1))), Some(n(1))),
    ] {
        match becomes {
            Some(value) => _ = model.insert(sample::name(attribute), value),
            None => _ = model.remove(attribute),
        }
        let request = v1::UpdateItemRequest {
            attribute_updates: by_name([(attribute, update_of.clone())]),
            return_values: v1::ReturnValues::AllNew.into(),
            ..update("new", 1)
        };
        let answer: Result<v1::UpdateItemResponse, Error> = call(client, Method::UPDATE_ITEM, &request).await;
        let answer = answer.unwrap_or_else(|error| panic!("{attribute} {update_of:?}: {error}"));
        let now = answer.attributes.expect("the item").decode().expect("an item");
        assert_eq!(now, model, "{attribute} {update_of:?}");
    }
}

async fn reads(client: &Client) {
    for (condition_of, expected) in [
        (condition("EQ", &[n(3)]), vec![3]),
        (condition("LT", &[n(3)]), vec![0, 1, 2]),
        (condition("LE", &[n(1)]), vec![0, 1]),
        (condition("GT", &[n(7)]), vec![8, 9]),
        (condition("GE", &[n(9)]), vec![9]),
        (condition("BETWEEN", &[n(2), n(4)]), vec![2, 3, 4]),
    ] {
        let mut request = query();
        request.key_conditions.insert("at".to_owned(), condition_of.clone());
        let answer: v1::QueryResponse = call(client, Method::QUERY, &request).await.expect("a page");
        assert_eq!(at_of(answer.items), expected, "{condition_of:?}");
    }
    let query_filter = by_name([("odd", condition("EQ", &[n(1)])), ("n", condition("GT", &[n(70)]))]);
    let request = v1::QueryRequest { query_filter: query_filter.clone(), ..query() };
    let answer: v1::QueryResponse = call(client, Method::QUERY, &request).await.expect("a page");
    assert_eq!((answer.count, answer.scanned_count), (1, 10));
    assert_eq!(at_of(answer.items), [9]);
    let request = v1::QueryRequest {
        query_filter: query_filter.clone(),
        conditional_operator: Some("OR".to_owned()),
        ..query()
    };
    let answer: v1::QueryResponse = call(client, Method::QUERY, &request).await.expect("a page");
    assert_eq!(at_of(answer.items), [1, 3, 5, 7, 8, 9]);
    // Beside expressions, key conditions are allowed.
    let request = v1::QueryRequest {
        projection_expression: Some("#at".to_owned()),
        expression_attribute_names: by_name([("#at", "at".to_owned())]),
        scan_index_forward: Some(false),
        limit: Some(2),
        ..query()
    };
    let answer: v1::QueryResponse = call(client, Method::QUERY, &request).await.expect("a page");
    assert_eq!(at_of(answer.items), [9, 8]);
    let scan_filter =
        by_name([("id", condition("EQ", &[s("a")])), ("at", condition("IN", &[n(2), n(4), n(44)]))]);
    let request = v1::ScanRequest { scan_filter, ..scan() };
    let answer: v1::ScanResponse = call(client, Method::SCAN, &request).await.expect("a page");
    assert_eq!(at_of(answer.items), [2, 4], "a scan's filter may look at keys");
    let request = v1::GetItemRequest {
        table_name: TABLE.to_owned(),
        key: Some(WireItem::encode(&key("a", 3))),
        attributes_to_get: vec!["n".to_owned(), "nothing".to_owned()],
        consistent_read: true,
        ..Default::default()
    };
    let answer: v1::GetItemResponse = call(client, Method::GET_ITEM, &request).await.expect("a read");
    assert_eq!(answer.item.expect("it is there").decode().expect("an item"), item([("n", n(30))]));
}

async fn refused<M: prost::Message>(client: &Client, method: Method, request: M, message: &str) {
    let answer = client.send_prepared_anywhere(method, request.encode_to_vec().into()).await;
    let error = answer.err().unwrap_or_else(|| panic!("{message}: it was done"));
    assert_eq!((error.code(), error.reason()), (Code::InvalidArgument, "ValidationException"), "{error}");
    assert_eq!(error.message(), message);
}

#[tokio::test]
async fn legacy_parameters_do_not_mix_and_are_checked() {
    let new = table();
    let (_cluster, client) = begin(&new).await;
    client.put_item(&new.name, &whole(1), WriteOptions::default()).await.expect("it is put");
    let mixed = "Can not use both expression and non-expression parameters in the same request:";
    let request = v1::PutItemRequest {
        condition_expression: Some("attribute_exists(id)".to_owned()),
        expected: by_name([("n", absent())]),
        ..put(1)
    };
    let message = format!(
        "{mixed} Non-expression parameters: {{Expected}} Expression parameters: {{ConditionExpression}}"
    );
    refused(&client, Method::PUT_ITEM, request, &message).await;
    let request = v1::UpdateItemRequest {
        update_expression: Some("REMOVE n".to_owned()),
        condition_expression: Some("attribute_exists(id)".to_owned()),
        attribute_updates: by_name([("n", action("DELETE", None))]),
        ..update("a", 1)
    };
    let message = format!(
        "{mixed} Non-expression parameters: {{AttributeUpdates}} Expression parameters: {{UpdateExpression, ConditionExpression}}"
    );
    refused(&client, Method::UPDATE_ITEM, request, &message).await;
    let request = v1::ScanRequest {
        filter_expression: Some("n = n".to_owned()),
        attributes_to_get: vec!["n".to_owned()],
        scan_filter: by_name([("n", condition("NULL", &[]))]),
        ..scan()
    };
    let message = format!(
        "{mixed} Non-expression parameters: {{AttributesToGet, ScanFilter}} Expression parameters: {{FilterExpression}}"
    );
    refused(&client, Method::SCAN, request, &message).await;
    let request = v1::PutItemRequest { conditional_operator: Some("OR".to_owned()), ..put(1) };
    let message = "ConditionalOperator cannot be used without Filter or Expected";
    refused(&client, Method::PUT_ITEM, request, message).await;
    for (condition_of, message) in [
        (
            condition("EQ", &[]),
            "One or more parameter values were invalid: Invalid number of argument(s) for the EQ ComparisonOperator",
        ),
        (
            condition("BETWEEN", &[n(2), n(1)]),
            "The BETWEEN condition was provided a range where the lower bound is greater than the upper bound",
        ),
        (condition("NE", &[n(2)]), "Attempted conditional constraint is not an indexable operation"),
        (
            condition("EQ", &[s("1")]),
            "One or more parameter values were invalid: Condition parameter type does not match schema type",
        ),
    ] {
        let mut request = query();
        request.key_conditions.insert("at".to_owned(), condition_of);
        refused(&client, Method::QUERY, request, message).await;
    }
    let request = v1::QueryRequest { query_filter: by_name([("at", condition("NULL", &[]))]), ..query() };
    let message = "QueryFilter can only contain non-primary key attributes: Primary key attribute: at";
    refused(&client, Method::QUERY, request, message).await;
    let request = v1::UpdateItemRequest {
        attribute_updates: by_name([("at", action("PUT", Some(n(2))))]),
        ..update("a", 1)
    };
    let message = "One or more parameter values were invalid: Cannot update attribute at. This attribute is part of the key";
    refused(&client, Method::UPDATE_ITEM, request, message).await;
    let read = client.get_item(&new.name, &key("a", 1), true).await.expect("a read");
    assert_eq!(read, Some(whole(1)), "nothing was changed");
    let history = verified(&client, &new.name).await;
    let item_key = new.key.key_of_key(&key("a", 1)).expect("a key");
    assert_eq!(history.by_key(&new.key)[&item_key].len(), 1);
}
