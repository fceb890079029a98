//! Equality and sizes of values.

use super::*;

fn number(text: &str) -> Number {
    Number::parse(text).expect("a good number")
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.into())
}

fn map(pairs: &[(&str, AttributeValue)]) -> AttributeValue {
    let name = |name: &str| AttributeName::parse(name).expect("a good name");
    AttributeValue::M(pairs.iter().map(|(key, value)| (name(key), value.clone())).collect())
}

#[test]
fn set_constructors_refuse_with_dynamodb_texts() {
    let invalid = "One or more parameter values were invalid: ";
    let golden = [
        (AttributeValue::string_set(vec![]), format!("{invalid}An string set  may not be empty")),
        (AttributeValue::number_set(vec![]), format!("{invalid}An number set  may not be empty")),
        (AttributeValue::binary_set(vec![]), format!("{invalid}Binary sets should not be empty")),
        (
            AttributeValue::string_set(vec!["a".into(), "b".into(), "a".into()]),
            format!("{invalid}Input collection [a, b, a] contains duplicates."),
        ),
        (
            AttributeValue::number_set(vec![number("1"), number("1.0")]),
            "Input collection contains duplicates".into(),
        ),
        (
            AttributeValue::binary_set(vec!["b".into(), "b".into()]),
            format!("{invalid}Input collection [Yg==, Yg==]of type BS contains duplicates."),
        ),
    ];
    for (set, message) in golden {
        assert_eq!(set.expect_err(&message).to_string(), message);
    }
}

#[test]
fn base64_pads() {
    let golden = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")];
    for (bytes, expected) in golden {
        assert_eq!(base64(bytes.as_bytes()), expected);
    }
    assert_eq!(base64(&[0xFB, 0xFF, 0xBF]), "+/+/");
}

#[test]
fn sizes() {
    // Source: 2.1.5.
    let golden = [
        (text(""), 0),
        (text("ä"), 2),
        (AttributeValue::B("abc".into()), 3),
        (AttributeValue::N(number("12345")), 4),
        (AttributeValue::Bool(false), 1),
        (AttributeValue::Null, 1),
        (AttributeValue::L(vec![]), 3),
        (AttributeValue::L(vec![text("xy")]), 6),
        (map(&[]), 3),
        (map(&[("ab", text("c"))]), 7),
        (AttributeValue::string_set(vec!["a".into(), "bcd".into()]).expect("two members"), 4),
        (AttributeValue::number_set(vec![number("1"), number("-1")]).expect("two members"), 5),
        (AttributeValue::binary_set(vec!["".into(), "ab".into()]).expect("two members"), 2),
    ];
    for (value, size) in golden {
        assert_eq!(value.size(), size, "{value:?}");
    }
}

#[test]
fn equality_is_by_value() {
    let left = AttributeValue::L(vec![
        map(&[("a", text("x")), ("b", AttributeValue::N(number("1e3")))]),
        AttributeValue::string_set(vec!["p".into(), "q".into()]).expect("two members"),
        AttributeValue::number_set(vec![number("1"), number("2.50")]).expect("two members"),
    ]);
    let right = AttributeValue::L(vec![
        map(&[("b", AttributeValue::N(number("1000.0"))), ("a", text("x"))]),
        AttributeValue::string_set(vec!["q".into(), "p".into()]).expect("two members"),
        AttributeValue::number_set(vec![number("2.5"), number("01")]).expect("two members"),
    ]);
    assert_eq!(left, right);
    assert_ne!(text("1"), AttributeValue::N(number("1")));
}

#[test]
fn nesting() {
    // 31 maps around a string pass, 32 do not: 2.1.4.
    let wrapped = |levels: usize| (0..levels).fold(text("leaf"), |value, _| map(&[("n", value)]));
    assert_eq!(wrapped(31).check_nesting(), Ok(()));
    let message = wrapped(32).check_nesting().expect_err("one level too many").to_string();
    assert!(message.starts_with("Nesting Levels have exceeded supported limits"), "{message}");
    let lists = (0..40).fold(AttributeValue::Null, |value, _| AttributeValue::L(vec![value]));
    assert_eq!(lists.check_nesting(), Err(Error::NestingTooDeep));
}

#[test]
fn type_names() {
    let set = |value: Result<AttributeValue, Error>| value.expect("one member");
    let values = [
        text(""),
        AttributeValue::N(Number::ZERO),
        AttributeValue::B(Bytes::new()),
        AttributeValue::Bool(true),
        AttributeValue::Null,
        map(&[]),
        AttributeValue::L(vec![]),
        set(AttributeValue::string_set(vec!["a".into()])),
        set(AttributeValue::number_set(vec![Number::ZERO])),
        set(AttributeValue::binary_set(vec!["a".into()])),
    ];
    let names = ["S", "N", "B", "BOOL", "NULL", "M", "L", "SS", "NS", "BS"];
    assert_eq!(values.each_ref().map(AttributeValue::type_name), names);
}
