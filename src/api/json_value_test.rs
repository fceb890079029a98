//! Attribute values as texts: what they are, and what is wrong with them.

use proptest::prelude::*;

use super::*;
use crate::api::json::{Fault, List, parse};
use crate::model::codec;

fn read(json: &str) -> Result<AttributeValue, Error> {
    let body = format!(r#"{{"a":{json}}}"#);
    let item = attributes(&body)?;
    assert_eq!(item.len(), 1);
    Ok(item.get("a").expect("there").clone())
}

fn attributes(body: &str) -> Result<Item, Error> {
    parse::<Attributes>(body.as_bytes()).expect("no fault of kind").0
}

fn fault(json: &str) -> String {
    read(json).expect_err(json).to_string()
}

fn kind(json: &str) -> String {
    let body = format!(r#"{{"a":{json}}}"#);
    match parse::<Attributes>(body.as_bytes()) {
        Err(Fault::Kind(text)) => text,
        other => panic!("{body} gives {other:?}"),
    }
}

fn name(text: &str) -> AttributeName {
    AttributeName::parse(text).expect("a good name")
}

fn number(text: &str) -> AttributeValue {
    AttributeValue::N(Number::parse(text).expect("a good number"))
}

fn string(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

#[test]
fn values_of_every_type() {
    let set = |set: Result<AttributeValue, Error>| set.expect("distinct members");
    let golden = [
        (r#"{"S":"x"}"#, string("x")),
        (r#"{"S":""}"#, string("")),
        (r#"{"S":"a\u0000\"\\é😀\ud83d\ude00"}"#, string("a\0\"\\é😀😀")),
        (r#"{"N":"-012.50"}"#, number("-12.5")),
        (r#"{"B":""}"#, AttributeValue::B(Bytes::new())),
        (r#"{"B":"AP/+"}"#, AttributeValue::B(Bytes::from_static(&[0, 255, 254]))),
        (r#"{"B":"AP8="}"#, AttributeValue::B(Bytes::from_static(&[0, 255]))),
        (r#"{"B":"A\u0041=="}"#, AttributeValue::B(Bytes::from_static(&[0]))),
        (r#"{"BOOL":true}"#, AttributeValue::Bool(true)),
        (r#"{"BOOL":false}"#, AttributeValue::Bool(false)),
        (r#"{"BOOL":"No"}"#, AttributeValue::Bool(false)),
        (r#"{"NULL":true}"#, AttributeValue::Null),
        (r#"{"NULL":"true"}"#, AttributeValue::Null),
        (r#"{"M":{}}"#, AttributeValue::M([].into())),
        (
            r#"{"M":{"b\u0000":{"L":[]}}}"#,
            AttributeValue::M([(name("b\0"), AttributeValue::L(vec![]))].into()),
        ),
        (r#"{"L":[{"S":"x"},{"N":"1"}]}"#, AttributeValue::L(vec![string("x"), number("1")])),
        (r#"{"SS":["b","","a"]}"#, set(AttributeValue::string_set(vec!["b".into(), "".into(), "a".into()]))),
        (r#"{"NS":["2"]}"#, set(AttributeValue::number_set(vec![Number::parse("2").expect("good")]))),
        (
            r#"{"BS":["AA==",""]}"#,
            set(AttributeValue::binary_set(vec![Bytes::from_static(&[0]), Bytes::new()])),
        ),
        (r#"{"S":"x","dog":[1,{"a":2}],"N":null}"#, string("x")),
        (r#"{"S":"x","S":"y"}"#, string("y")),
        (r#"{"S":null,"S":"y"}"#, string("y")),
        (r#"{"\u0053":"x"}"#, string("x")),
    ];
    for (json, value) in golden {
        assert_eq!(read(json), Ok(value), "{json}");
    }
}

#[test]
fn faults_of_value() {
    let empty = Error::ValueEmpty.to_string();
    let several = "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes";
    let golden = [
        ("{}", &*empty),
        (r#"{"dog":"cat"}"#, &*empty),
        (r#"{"S":null}"#, &*empty),
        (r#"{"S":"x","S":null}"#, &*empty),
        ("null", &*empty),
        (r#"{"L":[null]}"#, &*empty),
        (r#"{"M":{"a":null}}"#, &*empty),
        (r#"{"L":[{"dog":"cat"}]}"#, &*empty),
        (r#"{"S":"x","N":"1"}"#, several),
        (r#"{"M":{"b":{"S":"x","NULL":true}}}"#, several),
        (r#"{"S":"x","N":"1","S":"y"}"#, several),
        (r#"{"N":"x"}"#, "The parameter cannot be converted to a numeric value: x"),
        (r#"{"N":"x","S":"a"}"#, "The parameter cannot be converted to a numeric value: x"),
        (r#"{"S":"a","N":"x"}"#, "The parameter cannot be converted to a numeric value: x"),
        (r#"{"N":"x","NS":[]}"#, "The parameter cannot be converted to a numeric value: x"),
        (
            r#"{"NULL":false}"#,
            "One or more parameter values were invalid: Null attribute value types must have the value of true",
        ),
        (r#"{"SS":[]}"#, "One or more parameter values were invalid: An string set  may not be empty"),
        (r#"{"NS":[]}"#, "One or more parameter values were invalid: An number set  may not be empty"),
        (r#"{"BS":[]}"#, "One or more parameter values were invalid: Binary sets should not be empty"),
        (
            r#"{"SS":["b","a","b"]}"#,
            "One or more parameter values were invalid: Input collection [b, a, b] contains duplicates.",
        ),
        (r#"{"NS":["1","1.0"]}"#, "Input collection contains duplicates"),
        (r#"{"NS":["1","x","y","1"]}"#, "The parameter cannot be converted to a numeric value: x"),
        (
            r#"{"BS":["AA==","AA=="]}"#,
            "One or more parameter values were invalid: Input collection [AA==, AA==]of type BS contains duplicates.",
        ),
        (r#"{"M":{"":{"S":"x"}}}"#, "One or more parameter values were invalid: Empty attribute name"),
    ];
    for (json, text) in golden {
        assert_eq!(fault(json), text, "{json}");
    }
    assert_eq!(
        attributes(&format!(r#"{{"{}":{{"S":"x"}}}}"#, "n".repeat(65_536))),
        Err(Error::AttributeNameTooLong)
    );
}

#[test]
fn faults_of_kind() {
    let start = "Start of structure or map found where not expected";
    let class = |class: &str| format!("Unrecognized collection type {class}");
    let bytes = "only base-64-encoded strings are convertible to bytes";
    let last = "Invalid last non-pad Base64 character dectected";
    let golden = [
        (r#""x""#, "Unexpected value type in payload"),
        ("5", "Unexpected value type in payload"),
        ("34.56", "Unexpected value type in payload"),
        ("[]", &*class("class com.amazonaws.dynamodb.v20120810.AttributeValue")),
        (r#"{"N":3}"#, "NUMBER_VALUE cannot be converted to String"),
        (r#"{"N":3.5}"#, "DECIMAL_VALUE cannot be converted to String"),
        (r#"{"S":5}"#, "NUMBER_VALUE cannot be converted to String"),
        (r#"{"S":true}"#, "TRUE_VALUE cannot be converted to String"),
        (r#"{"S":{"S":"x"}}"#, start),
        (r#"{"S":[]}"#, &*class("class java.lang.String")),
        (r#"{"BOOL":"maybe"}"#, "Unexpected token received from parser"),
        (r#"{"NULL":0}"#, "NUMBER_VALUE cannot be converted to Boolean"),
        (
            r#"{"M":[]}"#,
            &*class("java.util.Map<java.lang.String, com.amazonaws.dynamodb.v20120810.AttributeValue>"),
        ),
        (r#"{"M":34.56}"#, "Unexpected field type"),
        (r#"{"M":{"b":34.56}}"#, "Unexpected value type in payload"),
        (r#"{"L":{}}"#, start),
        (r#"{"L":"x"}"#, "Unexpected field type"),
        (r#"{"L":["x"]}"#, "Unexpected value type in payload"),
        (r#"{"L":[{"S":5}]}"#, "NUMBER_VALUE cannot be converted to String"),
        (r#"{"SS":"x"}"#, "Unexpected field type"),
        (r#"{"SS":[5]}"#, "NUMBER_VALUE cannot be converted to String"),
        (r#"{"SS":[null]}"#, "Unexpected value type in payload"),
        (r#"{"NS":[5]}"#, "NUMBER_VALUE cannot be converted to String"),
        (r#"{"BS":[true]}"#, bytes),
        (r#"{"BS":["A"]}"#, "Base64 encoded length is expected a multiple of 4 bytes but found: 1"),
        (r#"{"B":23}"#, bytes),
        (r#"{"B":34.56}"#, bytes),
        (r#"{"B":[]}"#, &*class("class java.nio.ByteBuffer")),
        (r#"{"B":{}}"#, start),
        (r#"{"B":"23456"}"#, "Base64 encoded length is expected a multiple of 4 bytes but found: 5"),
        (r#"{"B":"=+/="}"#, last),
        (r#"{"B":"+/+="}"#, last),
        (r#"{"B":"AB=="}"#, last),
        (r#"{"B":"a-_a"}"#, "Invalid Base64 character: '-'"),
        (r#"{"B":"AA==AA=="}"#, "Invalid Base64 character: '='"),
        (r#"{"B":"AAé"}"#, "Invalid Base64 character: 'é'"),
        (r#"{"B":"===="}"#, "Invalid Base64 character: '='"),
        (r#"{"B":"A==="}"#, "Invalid Base64 character: '='"),
        (r#"{"B":"AA\n="}"#, "Invalid Base64 character: '\n'"),
    ];
    for (json, text) in golden {
        assert_eq!(kind(json), text, "{json}");
    }
}

#[test]
fn the_first_fault_of_value_is_kept_and_any_of_kind_is_more() {
    let not_a_number = |text: &str| Err(Error::NotANumber { text: text.to_owned() });
    assert_eq!(attributes(r#"{"a":{"N":"x"},"b":{"SS":[]},"c":{"N":"y"}}"#), not_a_number("x"));
    assert_eq!(
        attributes(r#"{"a":{"S":"good"},"b":{"L":[{"N":"1"},{"N":"y"},{}]},"c":{}}"#),
        not_a_number("y")
    );
    assert_eq!(attributes(r#"{"":{"N":"x"}}"#), Err(Error::AttributeNameEmpty));
    assert_eq!(kind(r#"{"L":[{"N":"x"},{"N":"y"},{"N":3}]}"#), "NUMBER_VALUE cannot be converted to String");
    let later = br#"[{"a":{"N":"x"},"b":{"S":5}}]"#;
    let body = [b"{\"L\":", &later[..], b"}"].concat();
    assert!(matches!(parse::<Attributes>(&body), Err(Fault::Kind(_))));
    assert_eq!(parse::<Attributes>(br#"{"a":{"N":"x"},"b":{"S":"x}}"#), Err(Fault::Syntax));
}

#[test]
fn duplicate_attributes_the_last_counts() {
    let item = attributes(r#"{"a":{"S":"x"},"b":{"S":"y"},"a":{"N":"1"}}"#).expect("good");
    assert_eq!(item.get("a"), Some(&number("1")));
    assert_eq!(item.len(), 2);
}

#[test]
fn a_value_alone_is_read_as_one_in_an_item() {
    let alone = |json: &str| {
        let mut deserializer = serde_json::Deserializer::from_str(json);
        Value::from_json(&mut deserializer, Place::FIELD).expect("no fault of kind").0
    };
    for levels in [1, NESTING_MAX, NESTING_MAX + 1] {
        let json = nested(levels, r#"{"L":["#, "]}");
        assert_eq!(alone(&json), read(&json), "{levels}");
    }
    assert_eq!(alone("{}"), Err(Error::ValueEmpty));
}

/// A string in so many levels, itself one of them.
fn nested(levels: usize, open: &str, close: &str) -> String {
    format!(r#"{}{{"S":"x"}}{}"#, open.repeat(levels - 1), close.repeat(levels - 1))
}

#[test]
fn nesting_is_bounded_as_the_model_bounds_it() {
    let forms = [(r#"{"L":["#, "]}"), (r#"{"M":{"m":"#, "}}")];
    for (open, close) in forms {
        let deepest = read(&nested(NESTING_MAX, open, close)).expect("as deep as can be");
        assert_eq!(deepest.check_nesting(), Ok(()));
        assert_eq!(AttributeValue::L(vec![deepest]).check_nesting(), Err(Error::NestingTooDeep), "no deeper");
        for levels in [NESTING_MAX + 1, NESTING_MAX + 2, 100, 200_000] {
            assert_eq!(read(&nested(levels, open, close)), Err(Error::NestingTooDeep), "{levels}");
        }
    }
    let far_in = format!(r#"{{"X":[{{"Y":{{"a":{}}}}}]}}"#, nested(NESTING_MAX, forms[1].0, forms[1].1));
    assert!(serde_json::from_str::<serde_json::Value>(&far_in).is_ok(), "a transaction adds five levels");
    let keys = format!("[{{\"a\":{}}}]", nested(NESTING_MAX, forms[1].0, forms[1].1));
    let mut deserializer = serde_json::Deserializer::from_str(&keys);
    let keys = List::<Attributes>::from_json(&mut deserializer, Place::FIELD).expect("no fault of kind");
    assert!(keys.0[0].0.is_ok());
}

#[test]
fn deep_values_do_not_overflow_the_stack() {
    let test = || {
        for (open, close) in [(r#"{"L":["#, "]}"), (r#"{"M":{"m":"#, "}}")] {
            assert_eq!(read(&nested(200_000, open, close)), Err(Error::NestingTooDeep));
            let unclosed = format!(r#"{{"a":{}"#, open.repeat(200_000));
            assert_eq!(parse::<Attributes>(unclosed.as_bytes()), Err(Fault::Syntax));
        }
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(test).expect("a thread").join().expect("it passes");
}

fn written(item: &Item) -> String {
    let mut stored = Vec::new();
    codec::encode_item(item, &mut stored);
    let mut json = Vec::new();
    crate::model::json::write_item(&stored, &mut json).expect("sound");
    String::from_utf8(json).expect("JSON is UTF-8")
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(some in codec::tests::items()) {
        let json = written(&some);
        prop_assert_eq!(parse::<Attributes>(json.as_bytes()), Ok(Attributes(Ok(some))), "{}", json);
    }

    #[test]
    fn any_text_survives(text in any::<String>(), bytes in any::<Vec<u8>>()) {
        let name = AttributeName::parse(&format!("a{text}")).expect("not empty");
        let pairs = [(name, AttributeValue::L(vec![AttributeValue::S(text), AttributeValue::B(bytes.into())]))];
        let some: Item = pairs.into_iter().collect();
        let json = written(&some);
        prop_assert_eq!(parse::<Attributes>(json.as_bytes()), Ok(Attributes(Ok(some))), "{}", json);
    }
}
