use proptest::prelude::*;

use super::*;
use crate::model::limits::{ITEM_BYTES_MAX, ITEM_ENCODED_BYTES_MAX};

fn name(text: &str) -> AttributeName {
    AttributeName::parse(text).expect("a good name")
}

fn number(text: &str) -> Number {
    Number::parse(text).expect("a good number")
}

fn encoded(item: &Item) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_item(item, &mut bytes);
    bytes
}

/// One of everything, small.
fn sample() -> Item {
    let set = |set: Result<AttributeValue, crate::model::Error>| set.expect("distinct members");
    let pairs = [
        ("a", AttributeValue::S("é".into())),
        ("b", AttributeValue::N(number("-12.5"))),
        ("c", AttributeValue::B(Bytes::from_static(&[0, 255]))),
        ("d", AttributeValue::Bool(false)),
        ("e", AttributeValue::Bool(true)),
        ("f", AttributeValue::Null),
        ("g", AttributeValue::M([(name("x"), AttributeValue::Null)].into())),
        ("h", AttributeValue::L(vec![AttributeValue::L(vec![]), AttributeValue::S(String::new())])),
        ("i", set(AttributeValue::string_set(vec!["z".into(), "".into()]))),
        ("j", set(AttributeValue::number_set(vec![number("1"), number("-1"), number("0")]))),
        ("k", set(AttributeValue::binary_set(vec![Bytes::from_static(&[9])]))),
    ];
    pairs.into_iter().map(|(text, value)| (name(text), value)).collect()
}

#[rustfmt::skip]
const SAMPLE: &[u8] = &[
    1, 11,
    1, b'a', 1, 2, 0xC3, 0xA9,
    1, b'b', 2, 0, 124, 230, 155,
    1, b'c', 3, 2, 0, 255,
    1, b'd', 4,
    1, b'e', 5,
    1, b'f', 6,
    1, b'g', 7, 1, 1, b'x', 6,
    1, b'h', 8, 2, 8, 0, 1, 0,
    1, b'i', 9, 2, 0, 1, b'z',
    1, b'j', 10, 3, 0, 125, 235, 1, 2, 130, 20,
    1, b'k', 11, 1, 1, 9,
];

#[test]
fn layout_is_golden() {
    // On disk: these bytes never change.
    assert_eq!(encoded(&sample()), SAMPLE);
    assert_eq!(decode_item(SAMPLE), Ok(sample()));
    assert_eq!(encoded(&Item::new()), [1, 0]);
}

#[test]
fn what_encoding_could_not_write_is_corrupt() {
    let golden: [(&[u8], &str, usize); 19] = [
        (&[], "an early end", 0),
        (&[2, 0], "an unknown version of an item", 0),
        (&[1, 0, 0], "bytes after the end", 2),
        (&[1, 0x80, 0], "a length longer than need be", 3),
        (&[1, 0xFF, 0xFF, 0xFF, 0xFF, 0x1F], "a length above 2^32", 6),
        (&[1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], "a length without end", 6),
        (&[1, 0xFF, 0xFF, 0xFF, 0x7F], "a count larger than the rest", 5),
        (&[1, 1, 0, 6], "an attribute name of a wrong length", 3),
        (&[1, 1, 9, b'a'], "a length larger than the rest", 3),
        (&[1, 1, 1, 0xFF, 6], "text that is not UTF-8", 4),
        (&[1, 1, 1, b'a', 0], "an unknown type of a value", 4),
        (&[1, 1, 1, b'a', 12], "an unknown type of a value", 4),
        (&[1, 1, 1, b'a', 2, 3], "a malformed number", 5),
        (&[1, 2, 1, b'b', 6, 1, b'a', 6], "names or members that do not rise", 7),
        (&[1, 2, 1, b'a', 6, 1, b'a', 6], "names or members that do not rise", 7),
        (&[1, 1, 1, b'a', 9, 0], "an empty set", 6),
        (&[1, 1, 1, b'a', 9, 2, 1, b'b', 1, b'a'], "names or members that do not rise", 10),
        (&[1, 1, 1, b'a', 10, 2, 1, 0, 125, 235], "names or members that do not rise", 10),
        (&[1, 1, 1, b'a', 11, 2, 1, 7, 1, 7], "names or members that do not rise", 10),
    ];
    for (bytes, what, offset) in golden {
        assert_eq!(decode_item(bytes), Err(Corrupt { what, offset }), "{bytes:?}");
        assert_eq!(item_size_encoded(bytes), Err(Corrupt { what, offset }), "{bytes:?}");
        assert!(attributes(bytes).any(|step| step == Err(Corrupt { what, offset })), "{bytes:?}");
    }
}

#[test]
fn nesting_is_bounded_as_in_values() {
    let nested = |levels: usize| {
        let value = (0..levels).fold(AttributeValue::Null, |value, level| match level % 2 {
            0 => AttributeValue::L(vec![value]),
            _ => AttributeValue::M([(name("n"), value)].into()),
        });
        Item::from_iter([(name("k"), value)])
    };
    assert_eq!(decode_item(&encoded(&nested(31))), Ok(nested(31)));
    let deep = encoded(&nested(32));
    assert_eq!(decode_item(&deep).expect_err("one level too many").what, "values nested too deep");
    assert_eq!(item_size_encoded(&deep).expect_err("one level too many").what, "values nested too deep");
    // A million levels cost no stack.
    let hostile = [&[1, 1, 1, b'k'][..], &[tag::L, 1].repeat(1_000_000)].concat();
    assert_eq!(decode_item(&hostile).expect_err("far too deep").what, "values nested too deep");
}

#[test]
fn encoding_of_the_worst_items_is_bounded() {
    let letters: Vec<char> = ('!'..='~').collect();
    let pairs = letters.iter().flat_map(|left| letters.iter().map(move |right| format!("{left}{right}")));
    let names: Vec<String> = letters.iter().map(char::to_string).chain(pairs).collect();
    let empty_set = AttributeValue::Ss([String::new()].into());
    let short_names: Item = names.iter().map(|text| (name(text), empty_set.clone())).collect();
    let list = AttributeValue::L(vec![empty_set; ITEM_BYTES_MAX - 10]);
    let list_item = Item::from_iter([(name("l"), list)]);
    let tiny: Vec<String> = (0..80_000u32).map(|index| format!("{index:x}")).collect();
    let set_item = Item::from_iter([(name("s"), AttributeValue::Ss(tiny.into_iter().collect()))]);
    for item in [short_names, list_item, set_item] {
        assert_eq!(item.validate(), Ok(()));
        let len = encoded(&item).len();
        let bound = item.size() * ITEM_ENCODED_BYTES_MAX / ITEM_BYTES_MAX;
        assert!(len <= bound, "{len} encoded bytes for an item of size {}", item.size());
        assert_eq!(item_size_encoded(&encoded(&item)), Ok(item.size()));
    }
}

#[test]
fn walk_gives_names_and_encoded_values() {
    let walked: Vec<_> = attributes(SAMPLE).map(|step| step.expect("sound bytes")).collect();
    assert_eq!(walked.len(), 11);
    assert_eq!(walked[0], ("a", &[1, 2, 0xC3, 0xA9][..]));
    assert_eq!(walked[7], ("h", &[8, 2, 8, 0, 1, 0][..]));
    let rebuilt: Item = walked
        .into_iter()
        .map(|(text, value)| (name(text), decode_value(value).expect("a sound value")))
        .collect();
    assert_eq!(rebuilt, sample());
}

fn numbers() -> impl Strategy<Value = Number> {
    ("-?[0-9]{1,30}", -100i32..90).prop_map(|(digits, exponent)| number(&format!("{digits}e{exponent}")))
}

fn values() -> impl Strategy<Value = AttributeValue> {
    let bytes = || any::<Vec<u8>>().prop_map(Bytes::from);
    let leaf = prop_oneof![
        "\\PC{0,20}".prop_map(AttributeValue::S),
        numbers().prop_map(AttributeValue::N),
        bytes().prop_map(AttributeValue::B),
        any::<bool>().prop_map(AttributeValue::Bool),
        Just(AttributeValue::Null),
        prop::collection::btree_set("\\PC{0,5}", 1..5).prop_map(AttributeValue::Ss),
        prop::collection::btree_set(numbers(), 1..5).prop_map(AttributeValue::Ns),
        prop::collection::btree_set(bytes(), 1..5).prop_map(AttributeValue::Bs),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(AttributeValue::L),
            prop::collection::btree_map(names(), inner, 0..5).prop_map(AttributeValue::M),
        ]
    })
}

fn names() -> impl Strategy<Value = AttributeName> {
    "\\PC{1,4}".prop_map(|text| name(&text))
}

fn items() -> impl Strategy<Value = Item> {
    prop::collection::btree_map(names(), values(), 0..8).prop_map(Item::from)
}

/// All that must hold of any bytes at all.
fn check_hostile(bytes: &[u8]) -> Result<(), TestCaseError> {
    let decoded = decode_item(bytes);
    prop_assert_eq!(item_size_encoded(bytes), decoded.as_ref().map(Item::size).map_err(|corrupt| *corrupt));
    let walked: Result<Vec<_>, Corrupt> = attributes(bytes).collect();
    match decoded {
        Ok(item) => {
            prop_assert_eq!(encoded(&item), bytes, "only canonical bytes decode");
            prop_assert_eq!(walked.map(|walked| walked.len()), Ok(item.len()));
        }
        Err(corrupt) => {
            prop_assert_eq!(walked, Err(corrupt));
            prop_assert!(corrupt.offset <= bytes.len());
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn items_round_trip(item in items()) {
        let bytes = encoded(&item);
        prop_assert_eq!(decode_item(&bytes), Ok(item.clone()));
        check_hostile(&bytes)?;
        for (text, value) in &item {
            let mut bytes = Vec::new();
            encode_value(value, &mut bytes);
            prop_assert_eq!(decode_value(&bytes), Ok(value.clone()));
            let walked = attributes(&encoded(&item)).any(|step| step == Ok((text.as_str(), &bytes[..])));
            prop_assert!(walked);
        }
    }

    #[test]
    fn equal_items_have_equal_bytes_and_others_do_not(left in items(), right in items()) {
        prop_assert_eq!(left == right, encoded(&left) == encoded(&right));
    }

    #[test]
    fn order_and_notation_do_not_show(
        members in prop::collection::btree_set(1u64..1_000_000, 1..8),
        rotate in any::<prop::sample::Index>(),
        texts in prop::collection::btree_set("[a-z]{0,3}", 1..8),
    ) {
        let build = |backwards: bool| {
            let mut numbers: Vec<String> = members.iter().map(u64::to_string).collect();
            let mut strings: Vec<String> = texts.iter().cloned().collect();
            let mut pairs: Vec<_> = members.iter().map(|member| (name(&member.to_string()), number("7"))).collect();
            if backwards {
                let by = rotate.index(numbers.len());
                numbers.rotate_left(by);
                numbers = numbers.into_iter().map(|text| format!("+00{text}000.00e-3")).collect();
                strings.reverse();
                pairs.reverse();
            }
            let mut item = Item::new();
            for (text, value) in pairs {
                item.insert(text, AttributeValue::N(value));
            }
            let numbers = numbers.iter().map(|text| number(text)).collect();
            item.insert(name("ns"), AttributeValue::number_set(numbers).expect("distinct members"));
            item.insert(name("ss"), AttributeValue::string_set(strings).expect("distinct members"));
            encoded(&item)
        };
        prop_assert_eq!(build(false), build(true));
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in prop::collection::vec(prop_oneof![0u8..13, any::<u8>()], 0..60)) {
        check_hostile(&bytes)?;
        check_hostile(&[&[1], &bytes[..]].concat())?;
    }

    #[test]
    fn damaged_items_do_no_harm(
        item in items(),
        at in any::<prop::sample::Index>(),
        byte in prop_oneof![0u8..13, any::<u8>()],
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = encoded(&item);
        let cut = cut.index(bytes.len());
        check_hostile(&bytes[..cut])?;
        let at = at.index(bytes.len());
        bytes[at] = byte;
        check_hostile(&bytes)?;
    }
}
