//! Items and objects as texts.

use proptest::prelude::*;

use super::*;
use crate::model::codec::{self, tests};
use crate::model::{AttributeValue, Number};

fn written(write: impl FnOnce(&mut Vec<u8>) -> Result<(), Corrupt>) -> String {
    let mut out = b"before".to_vec();
    write(&mut out).expect("sound");
    assert_eq!(&out[..6], b"before", "what was there stays");
    String::from_utf8(out.split_off(6)).expect("JSON is UTF-8")
}

#[test]
fn an_item_of_every_type() {
    let expected = concat!(
        r#"{"a":{"S":"é"},"b":{"N":"-12.5"},"c":{"B":"AP8="},"d":{"BOOL":false},"e":{"BOOL":true},"#,
        r#""f":{"NULL":true},"g":{"M":{"x":{"NULL":true}}},"h":{"L":[{"L":[]},{"S":""}]},"i":{"SS":["","z"]},"#,
        r#""j":{"NS":["-1","0","1"]},"k":{"BS":["CQ=="]}}"#
    );
    assert_eq!(written(|out| write_item(tests::SAMPLE, out)), expected);
    assert_eq!(written(|out| write_item(&[], out)), "{}");
    assert_eq!(written(|out| nested(&[0x32, 0], NESTING_MAX, out)), r#"{"M":{}}"#);
    assert_eq!(written(|out| nested(&[0x28, 1], NESTING_MAX, out)), r#"{"NULL":true}"#);
}

#[test]
fn strings_are_written_as_serde_json_writes_them() {
    let mut texts: Vec<String> = (0..0x300).filter_map(char::from_u32).map(String::from).collect();
    texts.extend(
        ["", "plain", "\0", "a\"b\\c\nd", "\u{2028}\u{FFFF}😀", "\u{1F}\u{20}\u{7F}\u{80}"]
            .map(str::to_owned),
    );
    texts.push(texts.concat());
    for len in 0..80 {
        texts.push(format!("{}\"{}\u{1}", "x".repeat(len), "y".repeat(80 - len)));
    }
    for text in texts {
        let mut out = Vec::new();
        string(&text, &mut out);
        assert_eq!(String::from_utf8(out), Ok(serde_json::to_string(&text).expect("a string")), "{text:?}");
    }
}

#[test]
fn members_of_every_type() {
    let mut stored = Vec::new();
    codec::encode_item(&tests::sample(), &mut stored);
    let one: &[u8] = &[0x0A, 7, 0x0A, 1, b'a', 0x12, 2, 0x28, 1];
    let mut out = Vec::new();
    let mut object = Object::begin(&mut out);
    object.text("text", "a\"b");
    object.texts("texts", ["x", "y"]);
    object.texts("none", Vec::<String>::new());
    object.integer("integer", i64::MIN);
    object.unsigned("unsigned", u64::MAX);
    object.boolean("boolean", true);
    object.item("item", one).expect("sound");
    object.items("items", [one, &[]]).expect("sound");
    object.object("object", |_| Ok(())).expect("sound");
    let write = |object: &mut Object<'_>, number: i64| {
        object.integer("n", number);
        object.boolean("odd", number % 2 == 1);
        Ok(())
    };
    object.objects("objects", [1, 2], write).expect("sound");
    object.objects("no\n", [], write).expect("sound");
    object.end();
    let expected = concat!(
        r#"{"text":"a\"b","texts":["x","y"],"none":[],"integer":-9223372036854775808,"unsigned":18446744073709551615,"#,
        r#""boolean":true,"item":{"a":{"NULL":true}},"items":[{"a":{"NULL":true}},{}],"#,
        r#""object":{},"objects":[{"n":1,"odd":true},{"n":2,"odd":false}],"no\n":[]}"#
    );
    assert_eq!(String::from_utf8(out).expect("JSON is UTF-8"), expected);
    assert_eq!(written(|out| object_of(out, |_| Ok(()))), "{}");
}

fn object_of(
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Object<'_>) -> Result<(), Corrupt>,
) -> Result<(), Corrupt> {
    super::object(out, write)
}

#[test]
fn doubles_and_times() {
    let double = |value| {
        written(|out| {
            object_of(out, |object| {
                object.double("d", value);
                Ok(())
            })
        })
    };
    for (value, text) in [
        (0.5, "0.5"),
        (1.0, "1.0"),
        (0.0, "0.0"),
        (127.5, "127.5"),
        (f64::NAN, "null"),
        (f64::INFINITY, "null"),
    ] {
        assert_eq!(double(value), format!(r#"{{"d":{text}}}"#));
    }
    let time = |ms| {
        written(|out| {
            object_of(out, |object| {
                object.time("t", ms);
                Ok(())
            })
        })
    };
    for (ms, text) in [
        (0, "0"),
        (1_699_999_999_123, "1699999999.123"),
        (1_699_999_999_120, "1699999999.12"),
        (1_699_999_999_100, "1699999999.1"),
        (1_699_999_999_003, "1699999999.003"),
        (1_699_999_999_030, "1699999999.03"),
        (1_699_999_999_000, "1699999999"),
    ] {
        assert_eq!(time(ms), format!(r#"{{"t":{text}}}"#));
    }
}

#[test]
fn numbers_are_plain_however_large() {
    for text in ["1e125", "-1e-130", "0", "12345678901234567890123456789012345678"] {
        let number = Number::parse(text).expect("good");
        let mut stored = Vec::new();
        codec::encode_value(&AttributeValue::N(number), &mut stored);
        assert_eq!(written(|out| nested(&stored, NESTING_MAX, out)), format!(r#"{{"N":"{number}"}}"#));
    }
}

#[test]
fn what_is_no_json_is_corrupt() {
    let mut out = Vec::new();
    let values: [&[u8]; 10] = [
        &[],
        &[0x0A],
        &[0x0A, 1, 0xFF],
        &[0x99, 0],
        &[0x12, 1, b'"'],
        &[0x4A, 3, 0x0A, 1, b'"'],
        &[0x42, 3, 0x0A, 1, 0xFF],
        &[0x3A, 4, 0x0A, 2, 0x20, 2],
        &[0x32, 9, 0x0A, 7, 0x0A, 1, 0xFF, 0x12, 2, 0x28, 1],
        &[0x28, 1, 0],
    ];
    for stored in values {
        assert!(nested(stored, NESTING_MAX, &mut out).is_err(), "{stored:?}");
    }
    assert!(write_item(&tests::SAMPLE[..tests::SAMPLE.len() - 1], &mut out).is_err());
    let mut object = Object::begin(&mut out);
    assert!(object.items("a", [tests::SAMPLE, &[1]]).is_err());
    assert!(object.object("b", |object| object.item("c", &[1])).is_err());
    object.end();
}

#[test]
fn the_deepest_value_is_written_and_no_deeper_one() {
    let mut out = Vec::new();
    assert!(
        write_item(&tests::nested_lists(NESTING_MAX - 1), &mut out).is_ok(),
        "what is inside the lists is a level"
    );
    assert!(write_item(&tests::nested_lists(NESTING_MAX), &mut out).is_err());
    assert!(write_item(&tests::nested_lists(100_000), &mut out).is_err());
}

proptest! {
    #[test]
    fn hostile_bytes_give_json_or_corrupt(bytes in prop::collection::vec(tests::wire_byte(), 0..60)) {
        let mut out = Vec::new();
        if nested(&bytes, NESTING_MAX, &mut out).is_ok() {
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&out).is_ok(), "{:?}", out);
        }
    }
}
