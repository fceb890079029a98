//! Which patterns match which records.

use serde_json::{Value, json};

use super::super::subject::Identity;
use super::super::subject::tests::{everything, record, subject};
use super::*;
use crate::model::StreamViewType;
use crate::stream::Record;

fn passes(pattern: &str, subject: &Subject<'_>) -> bool {
    let filter =
        Filter::parse(&[pattern.to_owned()]).unwrap_or_else(|error| panic!("{pattern}: {}", error.reason));
    filter.matches(subject).expect("a sound record")
}

fn check(subject: &Subject<'_>, table: &[(&str, bool)]) {
    for (pattern, wanted) in table {
        assert_eq!(passes(pattern, subject), *wanted, "{pattern}");
    }
}

/// Patterns of a leaf: what stands in the array.
fn check_leaf(subject: &Subject<'_>, path: &[&str], table: &[(&str, bool)]) {
    for (alternatives, wanted) in table {
        let leaf = format!("[{alternatives}]");
        let pattern = path.iter().rev().fold(leaf, |inner, name| format!(r#"{{"{name}":{inner}}}"#));
        assert_eq!(passes(&pattern, subject), *wanted, "{pattern}");
    }
}

fn keys() -> Value {
    json!({"id": {"S": "a"}})
}

fn insert() -> Record {
    record(&keys(), &Value::Null, &everything())
}

#[test]
fn fields_are_all_and_alternatives_any() {
    let record = insert();
    check(
        &subject(&record),
        &[
            (r#"{"eventName":["INSERT"]}"#, true),
            (r#"{"eventName":["insert"]}"#, false),
            (r#"{"eventName":["REMOVE"]}"#, false),
            (r#"{"eventName":["REMOVE","INSERT"]}"#, true),
            (r#"{"eventName":["INSERT"],"eventSource":["aws:dynamodb"]}"#, true),
            (r#"{"eventName":["INSERT"],"eventSource":["aws:s3"]}"#, false),
            (r#"{"awsRegion":["us-east-1"],"eventVersion":["1.1"]}"#, true),
            (r#"{"eventID":["00000000000000000000000000000abc"]}"#, true),
            (r#"{"eventSourceARN":[{"suffix":"/stream/2024-01-01T00:00:00.000"}]}"#, true),
            (r#"{"nowhere":["INSERT"]}"#, false),
            (r#"{"dynamodb":{"Keys":{"id":{"S":["a"]}},"StreamViewType":["NEW_AND_OLD_IMAGES"]}}"#, true),
            (r#"{"dynamodb":{"Keys":{"id":{"S":["a"]}},"StreamViewType":["KEYS_ONLY"]}}"#, false),
            (r#"{"dynamodb":{"Keys":{"id":{"S":["b"]}}}}"#, false),
            (r#"{"dynamodb":{"Keys":{"id":{"N":["a"]}}}}"#, false),
            (r#"{"dynamodb":{"SequenceNumber":["1000000000000000000120000000003"]}}"#, true),
            (r#"{"dynamodb":{"OldImage":{"id":{"S":["a"]}}}}"#, false),
            (r#"{"dynamodb":{"NewImage":{"id":{"S":["a"]},"m":{"M":{"x":{"S":["in"]}}}}}}"#, true),
            (r#"{"dynamodb":{"NewImage":{"id":{"S":["a"]},"m":{"M":{"x":{"S":["out"]}}}}}}"#, false),
            (r#"{"dynamodb":{"NewImage":{"m":{"M":{"absent":{"S":["in"]}}}}}}"#, false),
            (r#"{"dynamodb":{"NewImage":{"yes":{"BOOL":[true]},"no":{"BOOL":[false]}}}}"#, true),
            (r#"{"dynamodb":{"NewImage":{"yes":{"BOOL":[false]}}}}"#, false),
            (r#"{"dynamodb":{"NewImage":{"yes":{"BOOL":["true"]}}}}"#, false),
            (r#"{"dynamodb":{"NewImage":{"null":{"NULL":[true]}}}}"#, true),
            (r#"{"dynamodb":{"NewImage":{"null":{"NULL":[null]}}}}"#, false),
            (r#"{"dynamodb":{"NewImage":{"null":[null]}}}"#, false),
            (r#"{"dynamodb":{"NewImage":{"b":{"B":["AP8="]}}}}"#, true),
            (r#"{"dynamodb":{"NewImage":{"b":{"B":[{"prefix":"AQ"}]}}}}"#, false),
            (r#"{"dynamodb":["x"]}"#, false),
            (r#"{"eventName":{"x":["INSERT"]}}"#, false),
            (r#"{"dynamodb.Keys.id.S":["a"]}"#, false),
        ],
    );
}

#[test]
fn filters_are_any_and_none_lets_all_pass() {
    let record = insert();
    let filter = |patterns: &[&str]| {
        let patterns: Vec<String> = patterns.iter().map(|text| (*text).to_owned()).collect();
        Filter::parse(&patterns).expect("patterns").matches(&subject(&record)).expect("sound")
    };
    assert!(filter(&[]));
    assert!(filter(&[r#"{"eventName":["REMOVE"]}"#, r#"{"eventName":["INSERT"]}"#]));
    assert!(!filter(&[r#"{"eventName":["REMOVE"]}"#, r#"{"eventName":["MODIFY"]}"#]));
}

#[test]
fn deletions_by_time_to_live_are_told_by_who_made_them() {
    let pattern = r#"{"userIdentity":{"type":["Service"],"principalId":["dynamodb.amazonaws.com"]}}"#;
    let record = record(&keys(), &everything(), &Value::Null);
    assert!(!passes(pattern, &subject(&record)));
    assert!(passes(pattern, &Subject { identity: Some(Identity::TIME_TO_LIVE), ..subject(&record) }));
    check(
        &subject(&record),
        &[
            (r#"{"userIdentity":{"type":[{"exists":false}]}}"#, true),
            (r#"{"userIdentity":[{"exists":false}]}"#, true),
            (r#"{"eventName":["REMOVE"],"dynamodb":{"OldImage":{"n":{"N":["-12.5"]}}}}"#, true),
        ],
    );
}

#[test]
fn texts() {
    let new = json!({"id": {"S": "a"}, "s": {"S": "Image.png"}, "e": {"S": ""}, "ip": {"S": "10.1.2.3"}, "v6": {"S": "2001:db8::5"}});
    let record = record(&keys(), &Value::Null, &new);
    let subject = subject(&record);
    let at = |name| ["dynamodb", "NewImage", name, "S"];
    check_leaf(
        &subject,
        &at("s"),
        &[
            (r#""Image.png""#, true),
            (r#""image.png""#, false),
            (r#""""#, false),
            (r#""x","Image.png""#, true),
            (r#"{"prefix":"Im"}"#, true),
            (r#"{"prefix":"im"}"#, false),
            (r#"{"prefix":""}"#, true),
            (r#"{"suffix":".png"}"#, true),
            (r#"{"suffix":".PNG"}"#, false),
            (r#"{"prefix":{"equals-ignore-case":"iM"}}"#, true),
            (r#"{"prefix":{"equals-ignore-case":".pNg"}}"#, false),
            (r#"{"suffix":{"equals-ignore-case":".pNg"}}"#, true),
            (r#"{"suffix":{"equals-ignore-case":"im"}}"#, false),
            (r#"{"equals-ignore-case":"IMAGE.PNG"}"#, true),
            (r#"{"equals-ignore-case":"IMAGE"}"#, false),
            (r#"{"wildcard":"I*.p*g"}"#, true),
            (r#"{"wildcard":"*.gif"}"#, false),
            (r#"{"exists":true}"#, true),
            (r#"{"exists":false}"#, false),
            ("null", false),
            ("5", false),
        ],
    );
    check_leaf(&subject, &at("e"), &[(r#""""#, true), (r#""x""#, false), (r#"{"prefix":"x"}"#, false)]);
    check_leaf(
        &subject,
        &at("ip"),
        &[
            (r#"{"cidr":"10.1.2.0/24"}"#, true),
            (r#"{"cidr":"10.1.2.77/24"}"#, true),
            (r#"{"cidr":"10.1.2.3/32"}"#, true),
            (r#"{"cidr":"10.1.2.2/32"}"#, false),
            (r#"{"cidr":"10.1.3.0/24"}"#, false),
            (r#"{"cidr":"10.0.0.0/15"}"#, true),
            (r#"{"cidr":"0.0.0.0/0"}"#, true),
            (r#"{"cidr":"::/0"}"#, false),
        ],
    );
    check_leaf(
        &subject,
        &at("v6"),
        &[
            (r#"{"cidr":"2001:db8::/32"}"#, true),
            (r#"{"cidr":"2001:db8::4/127"}"#, true),
            (r#"{"cidr":"2001:db8::6/127"}"#, false),
            (r#"{"cidr":"::/0"}"#, true),
            (r#"{"cidr":"0.0.0.0/0"}"#, false),
        ],
    );
    check_leaf(&subject, &at("s"), &[(r#"{"cidr":"0.0.0.0/0"}"#, false)]);
}

#[test]
fn anything_but() {
    let new = json!({"id": {"S": "a"}, "s": {"S": "stop"}, "n": {"N": "5"}, "yes": {"BOOL": true}});
    let record = record(&keys(), &Value::Null, &new);
    let subject = subject(&record);
    check_leaf(
        &subject,
        &["dynamodb", "NewImage", "s", "S"],
        &[
            (r#"{"anything-but":"stop"}"#, false),
            (r#"{"anything-but":"Stop"}"#, true),
            (r#"{"anything-but":["go","stop"]}"#, false),
            (r#"{"anything-but":["go","wait"]}"#, true),
            (r#"{"anything-but":5}"#, true),
            (r#"{"anything-but":{"prefix":"st"}}"#, false),
            (r#"{"anything-but":{"prefix":["go","st"]}}"#, false),
            (r#"{"anything-but":{"prefix":"go"}}"#, true),
            (r#"{"anything-but":{"suffix":"op"}}"#, false),
            (r#"{"anything-but":{"suffix":"st"}}"#, true),
            (r#"{"anything-but":{"equals-ignore-case":"STOP"}}"#, false),
            (r#"{"anything-but":{"equals-ignore-case":["GO","STOPS"]}}"#, true),
            (r#"{"anything-but":{"wildcard":"s*p"}}"#, false),
            (r#"{"anything-but":{"wildcard":["g*","s*t"]}}"#, true),
        ],
    );
    // A field that is not there is not anything.
    check_leaf(&subject, &["dynamodb", "NewImage", "absent", "S"], &[(r#"{"anything-but":"stop"}"#, false)]);
    check_leaf(&subject, &["dynamodb", "NewImage", "s"], &[(r#"{"anything-but":"stop"}"#, false)]);
    check_leaf(
        &subject,
        &["dynamodb", "NewImage", "n", "N"],
        &[
            (r#"{"anything-but":"5"}"#, false),
            (r#"{"anything-but":5}"#, true),
            (r#"{"anything-but":"6"}"#, true),
        ],
    );
    check_leaf(
        &subject,
        &["dynamodb", "SizeBytes"],
        &[
            (r#"{"anything-but":80}"#, false),
            (r#"{"anything-but":[79,80.0]}"#, false),
            (r#"{"anything-but":[79,81]}"#, true),
            (r#"{"anything-but":"80"}"#, true),
        ],
    );
    check_leaf(
        &subject,
        &["dynamodb", "NewImage", "yes", "BOOL"],
        &[(r#"{"anything-but":"true"}"#, true), (r#"{"anything-but":1}"#, true)],
    );
}

/// Recorded on AWS: numbers of attributes are texts.
#[test]
fn numbers_of_attributes_are_texts() {
    let record =
        record(&keys(), &Value::Null, &json!({"id": {"S": "a"}, "n": {"N": "101"}, "ns": {"NS": ["101"]}}));
    let subject = subject(&record);
    check_leaf(
        &subject,
        &["dynamodb", "NewImage", "n", "N"],
        &[
            (r#""101""#, true),
            (r#""101.0""#, false),
            (r#""0101""#, false),
            ("101", false),
            (r#"{"numeric":[">",100]}"#, false),
            (r#"{"numeric":["=",101]}"#, false),
            (r#"{"prefix":"10"}"#, true),
        ],
    );
    check_leaf(
        &subject,
        &["dynamodb", "NewImage", "ns", "NS"],
        &[(r#"{"numeric":[">",100]}"#, false), (r#""101""#, true)],
    );
}

/// Recorded on AWS: these two are JSON numbers.
#[test]
fn numbers_of_the_event_are_numbers() {
    let record = insert();
    let subject = subject(&record);
    check_leaf(
        &subject,
        &["dynamodb", "SizeBytes"],
        &[
            ("80", true),
            ("80.0", true),
            ("8e1", true),
            ("81", false),
            (r#""80""#, false),
            (r#"{"prefix":"8"}"#, false),
            (r#"{"numeric":["=",80]}"#, true),
            (r#"{"numeric":["=",80.5]}"#, false),
            (r#"{"numeric":[">",80]}"#, false),
            (r#"{"numeric":[">=",80]}"#, true),
            (r#"{"numeric":["<",80]}"#, false),
            (r#"{"numeric":["<=",80]}"#, true),
            (r#"{"numeric":[">",79,"<",81]}"#, true),
            (r#"{"numeric":[">=",80,"<",81]}"#, true),
            (r#"{"numeric":[">",80,"<=",81]}"#, false),
            (r#"{"numeric":[">",79,"<=",80]}"#, true),
            (r#"{"numeric":[">",79,"<",80]}"#, false),
            (r#"{"exists":true}"#, true),
        ],
    );
    check_leaf(
        &subject,
        &["dynamodb", "ApproximateCreationDateTime"],
        &[
            ("1700000000", true),
            (r#"{"numeric":[">",1699999999,"<",1700000001]}"#, true),
            (r#"{"numeric":[">",1700000000]}"#, false),
        ],
    );
}

#[test]
fn decimals_are_compared_exactly() {
    let precise = "12345678901234567890123456789012345678";
    let new = json!({
        "id": {"S": "a"}, "n": {"N": "100.5"}, "p": {"N": precise}, "s": {"S": "100.5"}, "ns": {"NS": ["1", "7"]},
        "l": {"L": [{"N": "1"}, {"N": "9"}]}, "m": {"M": {"N": {"S": "100.5"}}},
    });
    let record = record(&keys(), &Value::Null, &new);
    let subject = subject(&record);
    check_leaf(
        &subject,
        &["dynamodb", "NewImage", "n", "N"],
        &[
            (r#"{"decimal":["=","100.50"]}"#, true),
            (r#"{"decimal":["=",1005e-1]}"#, true),
            (r#"{"decimal":[">","100.5","<=","1e3"]}"#, false),
            (r#"{"decimal":[">=","100.5","<=","1e3"]}"#, true),
            (r#"{"decimal":[">",99]}"#, true),
            (r#"{"decimal":[">",9,"<",11]}"#, false),
            (r#"{"decimal":["<",-100.5]}"#, false),
        ],
    );
    check_leaf(
        &subject,
        &["dynamodb", "NewImage", "p", "N"],
        &[
            (&format!(r#"{{"decimal":["=",{precise}]}}"#), true),
            (&format!(r#"{{"decimal":[">",{precise}]}}"#), false),
            (r#"{"decimal":[">","12345678901234567890123456789012345677"]}"#, true),
            (r#"{"decimal":["<","12345678901234567890123456789012345679"]}"#, true),
            (r#"{"decimal":[">","12345678901234567890123456789012345678"]}"#, false),
        ],
    );
    check_leaf(&subject, &["dynamodb", "NewImage", "s", "S"], &[(r#"{"decimal":[">",0]}"#, false)]);
    check_leaf(&subject, &["dynamodb", "NewImage", "m", "M", "N", "S"], &[(r#"{"decimal":[">",0]}"#, false)]);
    check_leaf(&subject, &["dynamodb", "SizeBytes"], &[(r#"{"decimal":["=",80]}"#, true)]);
    for path in [["dynamodb", "NewImage", "ns", "NS"].as_slice(), &["dynamodb", "NewImage", "l", "L", "N"]] {
        let table = [(r#"{"decimal":[">",6]}"#, true), (r#"{"decimal":[">",2,"<",6]}"#, false)];
        check_leaf(&subject, path, &table);
    }
}

/// Recorded on AWS.
#[test]
fn existence_is_of_leaves() {
    let record = insert();
    check(
        &subject(&record),
        &[
            (r#"{"dynamodb":{"NewImage":{"n":[{"exists":true}]}}}"#, false),
            (r#"{"dynamodb":{"NewImage":{"n":[{"exists":false}]}}}"#, true),
            (r#"{"dynamodb":{"NewImage":{"absent":[{"exists":false}]}}}"#, true),
            (r#"{"dynamodb":{"NewImage":{"n":{"N":[{"exists":true}]}}}}"#, true),
            (r#"{"dynamodb":{"NewImage":{"n":{"N":[{"exists":false}]}}}}"#, false),
            (r#"{"dynamodb":{"NewImage":{"n":{"S":[{"exists":true}]}}}}"#, false),
            (r#"{"dynamodb":{"NewImage":{"n":{"S":[{"exists":false}]}}}}"#, true),
            (r#"{"dynamodb":{"NewImage":{"absent":{"S":[{"exists":false}]}}}}"#, true),
            (r#"{"dynamodb":{"OldImage":[{"exists":false}]}}"#, true),
            (r#"{"dynamodb":{"OldImage":{"n":{"N":[{"exists":false}]}}}}"#, true),
            (r#"{"dynamodb":{"NewImage":[{"exists":true}]}}"#, false),
            (r#"{"dynamodb":{"NewImage":[{"exists":false}]}}"#, true),
            (r#"{"dynamodb":[{"exists":false}]}"#, true),
            (r#"{"eventName":[{"exists":true}]}"#, true),
            (r#"{"eventName":[{"exists":false}]}"#, false),
            (r#"{"eventName":{"x":[{"exists":false}]}}"#, true),
            (r#"{"dynamodb":{"NewImage":{"n":{"N":["7",{"exists":false}]}}}}"#, false),
            (r#"{"dynamodb":{"NewImage":{"absent":{"N":["7",{"exists":false}]}}}}"#, true),
            (r#"{"dynamodb":{"NewImage":{"ss":{"SS":[{"exists":true}]}}}}"#, true),
            (r#"{"dynamodb":{"NewImage":{"ss":{"SS":[{"exists":false}]}}}}"#, false),
            (r#"{"dynamodb":{"NewImage":{"l":{"L":[{"exists":true}]}}}}"#, false),
            (r#"{"dynamodb":{"NewImage":{"l":{"L":[{"exists":false}]}}}}"#, true),
        ],
    );
}

#[test]
fn all_of_a_list_is_asked_of_one_element() {
    let person = |first: &str, last: &str| json!({"M": {"first": {"S": first}, "last": {"S": last}}});
    let new = json!({
        "id": {"S": "a"},
        "people": {"L": [person("John", "Doe"), person("Anna", "Smith"), {"S": "x"}, {"M": {"first": {"S": "Eve"}}}]},
        "deep": {"L": [{"L": [{"S": "a"}, {"N": "1"}]}, {"L": [{"S": "b"}]}, {"S": "c"}]},
        "empty": {"L": []},
        "ss": {"SS": ["p", "q"]},
        "bs": {"BS": ["AA==", "AQ=="]},
    });
    let record = record(&keys(), &Value::Null, &new);
    let subject = subject(&record);
    let people = |inner: &str| format!(r#"{{"dynamodb":{{"NewImage":{{"people":{{"L":{inner}}}}}}}}}"#);
    for (inner, wanted) in [
        (r#"{"M":{"first":{"S":["Anna"]}}}"#, true),
        (r#"{"M":{"first":{"S":["Anna"]},"last":{"S":["Smith"]}}}"#, true),
        (r#"{"M":{"first":{"S":["Anna"]},"last":{"S":["Doe"]}}}"#, false),
        (r#"{"M":{"first":{"S":["Anna","John"]},"last":{"S":["Doe"]}}}"#, true),
        (r#"{"M":{"first":{"S":["Anna"]}},"S":["x"]}"#, false),
        (r#"{"S":["x"]}"#, true),
        // Of the element where something is, or else of none.
        (r#"{"M":{"first":{"S":["Eve"]},"last":{"S":[{"exists":false}]}}}"#, true),
        (r#"{"M":{"first":{"S":["Anna"]},"last":{"S":[{"exists":false}]}}}"#, false),
        (r#"{"M":{"last":{"S":[{"exists":false}]}}}"#, false),
        (r#"{"M":{"middle":{"S":[{"exists":false}]}}}"#, true),
        (r#"{"M":{"middle":{"S":[{"exists":true}]}}}"#, false),
        // A choice beside or around it is of the same element.
        (r#"{"M":{"first":{"S":["Anna"]},"$or":[{"last":{"S":["Doe"]}},{"last":{"S":["Roe"]}}]}}"#, false),
        (r#"{"M":{"first":{"S":["Anna"]},"$or":[{"last":{"S":["Smith"]}},{"last":{"S":["Roe"]}}]}}"#, true),
        (
            r#"{"M":{"first":{"S":["Anna"]}},"$or":[{"M":{"last":{"S":["Doe"]}}},{"M":{"last":{"S":["Roe"]}}}]}"#,
            false,
        ),
    ] {
        assert_eq!(passes(&people(inner), &subject), wanted, "{inner}");
    }
    check(
        &subject,
        &[
            (
                r#"{"dynamodb":{"NewImage":{"people":{"L":{"M":{"first":{"S":["Anna"]}}}},"$or":[{"people":{"L":{"M":{"last":{"S":["Doe"]}}}}},{"x":{"S":["y"]}}]}}}"#,
                false,
            ),
            (
                r#"{"dynamodb":{"NewImage":{"people":{"L":{"M":{"first":{"S":["Anna"]}}}}}},"$or":[{"eventName":["REMOVE"]},{"dynamodb":{"NewImage":{"people":{"L":{"M":{"last":{"S":["Smith"]}}}}}}}]}"#,
                true,
            ),
            (
                r#"{"dynamodb":{"NewImage":{"people":{"L":{"M":{"first":{"S":["Anna"]}}}}}},"$or":[{"eventName":["REMOVE"]},{"dynamodb":{"NewImage":{"people":{"L":{"M":{"last":{"S":["Doe"]}}}}}}}]}"#,
                false,
            ),
            (r#"{"dynamodb":{"NewImage":{"deep":{"L":{"L":{"S":["b"]}}}}}}"#, true),
            (r#"{"dynamodb":{"NewImage":{"deep":{"L":{"L":{"S":["a"],"N":["1"]}}}}}}"#, false),
            (r#"{"dynamodb":{"NewImage":{"deep":{"L":{"L":{"N":["1"]},"S":["c"]}}}}}"#, false),
            (r#"{"dynamodb":{"NewImage":{"deep":{"L":{"S":["c"],"L":{"N":[{"exists":false}]}}}}}}"#, true),
            (r#"{"dynamodb":{"NewImage":{"deep":{"L":{"L":{"S":["a"],"N":[{"exists":false}]}}}}}}"#, true),
            (r#"{"dynamodb":{"NewImage":{"deep":{"L":{"L":{"N":[{"exists":false}]}}}}}}"#, false),
            (r#"{"dynamodb":{"NewImage":{"empty":{"L":{"S":["a"]}}}}}"#, false),
            (r#"{"dynamodb":{"NewImage":{"empty":{"L":{"S":[{"exists":false}]}}}}}"#, true),
            (r#"{"dynamodb":{"NewImage":{"ss":{"SS":["q"]}}}}"#, true),
            (r#"{"dynamodb":{"NewImage":{"ss":{"SS":["x","p"]}}}}"#, true),
            (r#"{"dynamodb":{"NewImage":{"ss":{"SS":["x"]}}}}"#, false),
            (r#"{"dynamodb":{"NewImage":{"ss":{"SS":[{"anything-but":"p"}]}}}}"#, true),
            (r#"{"dynamodb":{"NewImage":{"ss":{"SS":[{"anything-but":["p","q"]}]}}}}"#, false),
            (r#"{"dynamodb":{"NewImage":{"bs":{"BS":["AQ=="]}}}}"#, true),
        ],
    );
}

#[test]
fn or_is_of_objects() {
    let record = insert();
    check(
        &subject(&record),
        &[
            (r#"{"$or":[{"eventName":["REMOVE"]},{"awsRegion":["us-east-1"]}]}"#, true),
            (r#"{"$or":[{"eventName":["REMOVE"]},{"awsRegion":["eu-west-1"]}]}"#, false),
            (r#"{"eventName":["INSERT"],"$or":[{"awsRegion":["x"]},{"eventVersion":["1.1"]}]}"#, true),
            (
                r#"{"eventName":["REMOVE"],"$or":[{"awsRegion":["us-east-1"]},{"eventVersion":["1.1"]}]}"#,
                false,
            ),
            (r#"{"eventName":["REMOVE"],"$or":[{"eventName":["INSERT"]},{"eventVersion":["x"]}]}"#, false),
            (r#"{"$or":[{"awsRegion":["us-east-1"],"eventName":["REMOVE"]},{"eventVersion":["x"]}]}"#, false),
            (r#"{"$or":[{"x":["y"]},{"$or":[{"x":["y"]},{"eventName":["INSERT"]}]}]}"#, true),
            (r#"{"$or":[{"x":["y"]},{"$or":[{"x":["y"]},{"eventName":["REMOVE"]}]}]}"#, false),
            (r#"{"dynamodb":{"NewImage":{"$or":[{"n":{"N":["5"]}},{"id":{"S":["a"]}}]}}}"#, true),
            (r#"{"dynamodb":{"NewImage":{"$or":[{"n":{"N":["5"]}},{"id":{"S":["b"]}}]}}}"#, false),
            (r#"{"dynamodb":{"NewImage":{"n":{"$or":[{"N":["5"]},{"N":[{"prefix":"-"}]}]}}}}"#, true),
            (r#"{"$or":[{"x":[{"exists":false}]},{"y":["z"]}]}"#, true),
            // Ordinary names, of nothing.
            (r#"{"$or":[{"numeric":["=",1]},{"prefix":"a"}]}"#, false),
            (r#"{"$or":[{"exists":false},{"prefix":"a"}]}"#, true),
            (r#"{"$or":{"eventName":["INSERT"]}}"#, false),
        ],
    );
}

/// Both sides speak of the list `l`, so that they are made one: nothing else that they say is lost.
#[test]
fn what_is_multiplied_out_says_the_same() {
    let record = insert();
    let list = r#""l":{"L":{"S":["1"]}}"#;
    let both = |beside: &str, branch: &str| {
        let image =
            format!(r#"{{{list},{beside},"$or":[{{{list},{branch}}},{{"x":{{"S":["y"]}},{list}}}]}}"#);
        passes(&format!(r#"{{"dynamodb":{{"NewImage":{image}}}}}"#), &subject(&record))
    };
    let (no, null) = (r#""no":{"BOOL":[false]}"#, r#""null":{"NULL":[true]}"#);
    assert!(both(null, no) && both(no, null), "in any order of names");
    assert!(!both(r#""no":{"BOOL":[true]}"#, null));
    assert!(!both(null, r#""no":{"BOOL":[true]}"#));
    // An object is not a leaf, and both may be asked of one name.
    let (object, leaf) = (r#""n":{"N":["-12.5"]}"#, r#""n":[{"exists":false}]"#);
    assert!(both(object, leaf) && both(leaf, object));
    assert!(both(object, r#""n":{"N":[{"prefix":"-"}]}"#));
    assert!(!both(object, r#""n":{"N":[{"prefix":"+"}]}"#), "both must hold");

    let top = |names: &str| {
        let image = format!(r#""dynamodb":{{"NewImage":{{{list}}}}}"#);
        let pattern = format!(r#"{{{image},"$or":[{{"changed":[{names}],{image}}},{{"x":["y"]}}]}}"#);
        passes(&pattern, &subject(&record))
    };
    assert!(top(r#""n""#));
    assert!(!top(r#""absent""#));
}

#[test]
fn or_may_be_the_name_of_an_attribute() {
    let record = record(&keys(), &Value::Null, &json!({"$or": {"S": "x"}, "changed": {"S": "y"}}));
    check(
        &subject(&record),
        &[
            (r#"{"dynamodb":{"NewImage":{"$or":{"S":["x"]}}}}"#, true),
            (r#"{"dynamodb":{"NewImage":{"changed":{"S":["y"]}}}}"#, true),
        ],
    );
}

#[test]
fn what_has_changed() {
    let item = |price: &str, stock: Option<&str>| {
        let mut item = json!({"id": {"S": "a"}, "price": {"N": price}, "m": {"M": {"x": {"S": "in"}}}});
        if let Some(stock) = stock {
            item["stock"] = json!({ "N": stock });
        }
        item
    };
    let changed = |names: &str, old: &Value, new: &Value| {
        let record = record(&keys(), old, new);
        passes(&format!(r#"{{"changed":{names}}}"#), &subject(&record))
    };
    let (old, new) = (item("5", None), item("5.0", Some("1")));
    for (names, wanted) in [
        (r#"["price"]"#, false),
        (r#"["stock"]"#, true),
        (r#"["price","stock"]"#, true),
        (r#"["stock","price"]"#, true),
        (r#"["id","m","absent"]"#, false),
    ] {
        assert_eq!(changed(names, &old, &new), wanted, "{names}");
        assert_eq!(changed(names, &new, &old), wanted, "{names}, the other way");
    }
    assert!(changed(r#"["price"]"#, &Value::Null, &new), "an insert");
    assert!(!changed(r#"["absent"]"#, &Value::Null, &new), "an insert without it");
    assert!(changed(r#"["stock"]"#, &new, &Value::Null), "a removal");

    let record = record(&keys(), &old, &new);
    check(
        &subject(&record),
        &[
            (r#"{"changed":["stock"],"eventName":["MODIFY"]}"#, true),
            (r#"{"changed":["stock"],"eventName":["INSERT"]}"#, false),
            (r#"{"changed":["price"],"eventName":["MODIFY"]}"#, false),
            (r#"{"$or":[{"changed":["price"]},{"eventName":["MODIFY"]}]}"#, true),
            (r#"{"$or":[{"changed":["price"]},{"changed":["m"]}]}"#, false),
            (r#"{"changed":["stock"],"$or":[{"changed":["price"]},{"eventName":["INSERT"]}]}"#, false),
            // Elsewhere it is a name.
            (r#"{"dynamodb":{"changed":["stock"]}}"#, false),
            (r#"{"dynamodb":{"NewImage":{"changed":["stock"]}}}"#, false),
        ],
    );
    for view_type in [StreamViewType::KeysOnly, StreamViewType::NewImage, StreamViewType::OldImage] {
        let subject = Subject { view_type, ..subject(&record) };
        assert!(!passes(r#"{"changed":["stock"]}"#, &subject), "{view_type} cannot say");
    }
}

#[test]
fn damage_is_met_where_one_looks() {
    let mut record = insert();
    let image = record.new_image.take().expect("an image");
    record.new_image = Some(image.slice(..image.len() - 1));
    let found =
        |pattern: &str| Filter::parse(&[pattern.to_owned()]).expect("a pattern").matches(&subject(&record));
    assert_eq!(found(r#"{"eventName":["INSERT"]}"#), Ok(true));
    assert_eq!(
        found(r#"{"eventName":["REMOVE"],"dynamodb":{"NewImage":{"yes":{"BOOL":[true]}}}}"#),
        Ok(false)
    );
    assert_eq!(found(r#"{"dynamodb":{"NewImage":{"b":{"B":["AP8="]}}}}"#), Ok(true), "passed over");
    assert!(found(r#"{"dynamodb":{"NewImage":{"yes":{"BOOL":[true]}}}}"#).is_err());
    assert!(found(r#"{"changed":["yes"]}"#).is_err());

    for (kind, value) in
        [("N", &[0x12, 1, b'x'][..]), ("N", &[0x12, 1, 0xFF]), ("S", &[0x0A, 1, 0xFF]), ("S", &[9, 9])]
    {
        let len = value.len() as u8;
        record.new_image = Some([&[0x0A, 5 + len, 0x0A, 1, b'k', 0x12, len], value].concat().into());
        let pattern =
            format!(r#"{{"dynamodb":{{"NewImage":{{"k":{{"{kind}":[{{"decimal":[">",0]}}]}}}}}}}}"#);
        let filter = Filter::parse(&[pattern]).expect("a pattern");
        assert!(filter.matches(&subject(&record)).is_err(), "{value:?}");
    }
}
