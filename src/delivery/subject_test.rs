//! Records for tests, their events as JSON, and that a subject is its event.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::*;
use crate::model::codec::{self, decode_item};
use crate::model::{AttributeName, AttributeValue, Item};
use crate::stream::EventName;

pub(in super::super) const ARN: &str =
    "arn:aws:dynamodb:us-east-1:000000000000:table/orders/stream/2024-01-01T00:00:00.000";

/// An attribute value from DynamoDB's JSON.
pub(in super::super) fn value_of(json: &Value) -> AttributeValue {
    let (kind, value) = json.as_object().and_then(|object| object.iter().next()).expect("a type");
    let text = || value.as_str().expect("a text");
    let texts = || -> Vec<String> {
        let members = value.as_array().expect("an array").iter();
        members.map(|member| member.as_str().expect("a text").to_owned()).collect()
    };
    let binary = |text: &str| Bytes::from(STANDARD.decode(text).expect("base64"));
    let set = |set: Result<AttributeValue, crate::model::Error>| set.expect("distinct members");
    match kind.as_str() {
        "S" => AttributeValue::S(text().to_owned()),
        "N" => AttributeValue::N(text().parse().expect("a number")),
        "B" => AttributeValue::B(binary(text())),
        "BOOL" => AttributeValue::Bool(value.as_bool().expect("a boolean")),
        "NULL" => AttributeValue::Null,
        "M" => AttributeValue::M(item_of(value).as_map().clone()),
        "L" => AttributeValue::L(value.as_array().expect("an array").iter().map(value_of).collect()),
        "SS" => set(AttributeValue::string_set(texts())),
        "NS" => set(AttributeValue::number_set(
            texts().iter().map(|text| text.parse().expect("a number")).collect(),
        )),
        "BS" => set(AttributeValue::binary_set(texts().iter().map(|text| binary(text)).collect())),
        other => panic!("no type: {other}"),
    }
}

/// An item from DynamoDB's JSON.
pub(in super::super) fn item_of(json: &Value) -> Item {
    let attributes = json.as_object().expect("an object").iter();
    attributes.map(|(name, value)| (AttributeName::parse(name).expect("a name"), value_of(value))).collect()
}

pub(in super::super) fn stored(item: &Item) -> Bytes {
    let mut bytes = Vec::new();
    codec::encode_item(item, &mut bytes);
    bytes.into()
}

/// A record of an item with that key; the images as they are, `null` for none.
pub(in super::super) fn record(keys: &Value, old: &Value, new: &Value) -> Record {
    let image = |json: &Value| (!json.is_null()).then(|| stored(&item_of(json)));
    let (old_image, new_image) = (image(old), image(new));
    let event_name = match (&old_image, &new_image) {
        (None, _) => EventName::Insert,
        (Some(_), Some(_)) => EventName::Modify,
        (Some(_), None) => EventName::Remove,
    };
    Record {
        sequence_number: SequenceNumber { generation: 0, index: 12, ordinal: 3 },
        event_id: 0xABC,
        event_name,
        created_ms: 1_700_000_000_999,
        keys: stored(&item_of(keys)),
        new_image,
        old_image,
        size_bytes: 80,
    }
}

pub(in super::super) fn subject(record: &Record) -> Subject<'_> {
    Subject { record, view_type: StreamViewType::NewAndOldImages, stream_arn: ARN, identity: None }
}

fn json_of(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => json!({ "S": text }),
        AttributeValue::N(number) => json!({ "N": number.to_string() }),
        AttributeValue::B(bytes) => json!({ "B": STANDARD.encode(bytes) }),
        AttributeValue::Bool(value) => json!({ "BOOL": value }),
        AttributeValue::Null => json!({ "NULL": true }),
        AttributeValue::M(map) => {
            json!({ "M": map.iter().map(|(name, value)| (name.to_string(), json_of(value))).collect::<Map<_, _>>() })
        }
        AttributeValue::L(list) => json!({ "L": list.iter().map(json_of).collect::<Vec<_>>() }),
        AttributeValue::Ss(set) => json!({ "SS": set }),
        AttributeValue::Ns(set) => json!({ "NS": set.iter().map(Number::to_string).collect::<Vec<_>>() }),
        AttributeValue::Bs(set) => {
            json!({ "BS": set.iter().map(|member| STANDARD.encode(member)).collect::<Vec<_>>() })
        }
    }
}

/// The event as Lambda would deliver it, built as JSON.
pub(in super::super) fn event(subject: &Subject<'_>) -> Value {
    let item = |bytes: &[u8]| -> Value {
        let item = decode_item(bytes).expect("sound");
        item.iter().map(|(name, value)| (name.to_string(), json_of(value))).collect::<Map<_, _>>().into()
    };
    let record = subject.record;
    let mut event = json!({
        "eventID": format!("{:032x}", record.event_id),
        "eventName": format!("{:?}", record.event_name).to_uppercase(),
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "eventSourceARN": subject.stream_arn,
        "dynamodb": {
            "ApproximateCreationDateTime": record.created_ms / 1000,
            "Keys": item(&record.keys),
            "SequenceNumber": record.sequence_number.to_string(),
            "SizeBytes": record.size_bytes,
            "StreamViewType": subject.view_type.to_string(),
        },
    });
    for (name, image) in [("NewImage", &record.new_image), ("OldImage", &record.old_image)] {
        if let Some(image) = image {
            event["dynamodb"][name] = item(image);
        }
    }
    if let Some(identity) = subject.identity {
        event["userIdentity"] = json!({ "type": identity.kind, "principalId": identity.principal });
    }
    event
}

/// What is at a place, as JSON; names are tried, as places do not list them.
fn shown<'a>(subject: &Subject<'a>, place: &Place<'a>, like: &Value) -> Value {
    let scalar = |scalar: &Scalar<'_>| match (scalar.with_text(str::to_owned), scalar.number(), scalar.bool())
    {
        (Some(text), None, None) => json!(text),
        (None, Some(number), None) => json!(number),
        (None, None, Some(value)) => json!(value),
        other => panic!("not one of a kind: {other:?}"),
    };
    match place {
        Place::Nothing => Value::Null,
        Place::One(value) => scalar(value),
        Place::Set(read, members) => {
            members.clone().map(|member| scalar(&read(member.expect("sound")).expect("sound"))).collect()
        }
        Place::List(elements) => {
            let likes = like.as_array().expect("an array where there is one");
            let elements = elements.clone().zip(likes);
            elements
                .map(|(element, like)| shown(subject, &Place::Value(element.expect("sound")), like))
                .collect()
        }
        Place::Event | Place::Change | Place::Identity(_) | Place::Item(_) | Place::Value(_) => {
            let names = like.as_object().expect("an object where there is one").keys();
            names
                .map(|name| {
                    let child = subject.child(place, name).expect("sound");
                    (name.clone(), shown(subject, &child, &like[name]))
                })
                .collect::<Map<_, _>>()
                .into()
        }
    }
}

pub(in super::super) fn everything() -> Value {
    json!({
        "id": {"S": "a"}, "n": {"N": "-12.5"}, "b": {"B": "AP8="}, "yes": {"BOOL": true}, "no": {"BOOL": false},
        "null": {"NULL": true}, "m": {"M": {"x": {"S": "in"}, "y": {"M": {}}}},
        "l": {"L": [{"S": "1"}, {"N": "2"}, {"L": [{"S": "deep"}]}, {"M": {"x": {"S": "in"}}}]},
        "ss": {"SS": ["p", "q"]}, "ns": {"NS": ["1", "2.5"]}, "bs": {"BS": ["AA==", "AQ=="]},
    })
}

#[test]
fn a_subject_is_its_event() {
    let record = record(&json!({"id": {"S": "a"}}), &everything(), &everything());
    for identity in [None, Some(Identity::TIME_TO_LIVE)] {
        let subject = Subject { identity, ..subject(&record) };
        let event = event(&subject);
        assert_eq!(shown(&subject, &Place::Event, &event), event);
        assert_eq!(event["dynamodb"]["SequenceNumber"], "1000000000000000000120000000003");
    }
}

#[test]
fn what_the_event_does_not_have_is_nothing() {
    let record = record(&json!({"id": {"S": "a"}}), &Value::Null, &everything());
    let subject = subject(&record);
    let nothing = |path: &[&str]| {
        let start = Place::Event;
        let end = path.iter().fold(start, |place, name| subject.child(&place, name).expect("sound"));
        matches!(end, Place::Nothing)
    };
    for path in [
        &["eventid"][..],
        &["userIdentity"],
        &["dynamodb", "OldImage"],
        &["dynamodb", "NewImage", "absent"],
        &["dynamodb", "NewImage", "id", "N"],
        &["dynamodb", "NewImage", "id", "S", "S"],
        &["dynamodb", "NewImage", "ss", "SS", "p"],
        &["dynamodb", "SizeBytes", "x"],
        &["nowhere", "at", "all"],
    ] {
        assert!(nothing(path), "{path:?}");
    }
    assert!(!nothing(&["dynamodb", "NewImage", "id", "S"]));
}

#[test]
fn only_streams_of_both_images_say_what_has_changed() {
    let (old, new) = (json!({"id": {"S": "a"}, "n": {"N": "1"}}), json!({"id": {"S": "a"}, "n": {"N": "2"}}));
    let record = record(&json!({"id": {"S": "a"}}), &old, &new);
    for view_type in StreamViewType::ALL {
        let subject = Subject { view_type, ..subject(&record) };
        assert_eq!(subject.changed("n"), Ok(view_type == StreamViewType::NewAndOldImages), "{view_type}");
    }
    assert_eq!(subject(&record).changed("id"), Ok(false));
    assert_eq!(subject(&record).changed("absent"), Ok(false));
}

#[test]
fn the_longest_texts_of_positions_have_room() {
    let position = SequenceNumber { generation: 100_000_000, index: u64::MAX, ordinal: u32::MAX };
    assert_eq!(Scalar::Position(position).with_text(str::len), Some(39));
    assert_eq!(Scalar::Id(u128::MAX).with_text(str::to_owned), Some("f".repeat(32)));
}
