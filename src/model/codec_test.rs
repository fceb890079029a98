//! Stored bytes: round trips, golden layouts, hostile input.

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
pub(crate) fn sample() -> Item {
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
pub(crate) const SAMPLE: &[u8] = &[
    0x0A, 9, 0x0A, 1, b'a', 0x12, 4, 0x0A, 2, 0xC3, 0xA9,
    0x0A, 12, 0x0A, 1, b'b', 0x12, 7, 0x12, 5, b'-', b'1', b'2', b'.', b'5',
    0x0A, 9, 0x0A, 1, b'c', 0x12, 4, 0x1A, 2, 0, 255,
    0x0A, 7, 0x0A, 1, b'd', 0x12, 2, 0x20, 0,
    0x0A, 7, 0x0A, 1, b'e', 0x12, 2, 0x20, 1,
    0x0A, 7, 0x0A, 1, b'f', 0x12, 2, 0x28, 1,
    0x0A, 16, 0x0A, 1, b'g', 0x12, 11, 0x32, 9, 0x0A, 7, 0x0A, 1, b'x', 0x12, 2, 0x28, 1,
    0x0A, 15, 0x0A, 1, b'h', 0x12, 10, 0x3A, 8, 0x0A, 2, 0x3A, 0, 0x0A, 2, 0x0A, 0,
    0x0A, 12, 0x0A, 1, b'i', 0x12, 7, 0x42, 5, 0x0A, 0, 0x0A, 1, b'z',
    0x0A, 17, 0x0A, 1, b'j', 0x12, 12, 0x4A, 10, 0x0A, 2, b'-', b'1', 0x0A, 1, b'0', 0x0A, 1, b'1',
    0x0A, 10, 0x0A, 1, b'k', 0x12, 5, 0x52, 3, 0x0A, 1, 9,
];

#[test]
fn layout_is_golden() {
    // On disk and on the wire: these bytes never change.
    assert_eq!(encoded(&sample()), SAMPLE);
    assert_eq!(decode_item(SAMPLE), Ok(sample()));
    assert_eq!(encoded(&Item::new()), [0u8; 0]);
    assert_eq!(decode_item(&[]), Ok(Item::new()));
}

#[test]
fn lengths_of_every_width_round_trip() {
    for len in [0, 1, 126, 127, 128, 129, 500, 16_383, 16_384, 2_097_151, 2_097_152] {
        let text = AttributeValue::S("x".repeat(len));
        let mut bytes = vec![7, 7];
        encode_value(&text, &mut bytes);
        let varint_len = bytes.len() - 2 - 1 - len;
        assert_eq!(varint_len, if len == 0 { 1 } else { (len.ilog2() / 7 + 1) as usize });
        assert_eq!(bytes[..2], [7, 7], "what was there before stays");
        assert_eq!(decode_value(&bytes[2..]), Ok(text));
    }
}

/// An item whose attribute `a` has such bytes as its value; they start at offset 7.
fn with_value(value: &[u8]) -> Vec<u8> {
    let len = u8::try_from(value.len()).expect("a short value");
    [&[0x0A, 5 + len, 0x0A, 1, b'a', 0x12, len], value].concat()
}

fn check_corrupt(bytes: &[u8], what: &'static str, offset: usize) {
    assert_eq!(decode_item(bytes), Err(Corrupt { what, offset }), "{bytes:?}");
    assert_eq!(item_size_encoded(bytes), Err(Corrupt { what, offset }), "{bytes:?}");
    assert!(attributes(bytes).any(|step| step == Err(Corrupt { what, offset })), "{bytes:?}");
}

#[test]
fn what_encoding_could_not_write_is_corrupt() {
    let golden: [(&[u8], &str, usize); 16] = [
        (&[0x12, 0], "an unknown field", 0),
        (&[0x0A], "an early end", 1),
        (&[0x0A, 0], "an early end", 2),
        (&[0x0A, 1], "a length larger than the rest", 2),
        (&[0x0A, 0x80, 0], "a length longer than need be", 3),
        (&[0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0x1F], "a length above 2^32", 6),
        (&[0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], "a length without end", 6),
        (&[0x0A, 6, 0x0A, 0, 0x12, 2, 0x28, 1], "an attribute name of a wrong length", 4),
        (&[0x0A, 3, 0x0A, 9, b'a'], "a length larger than the rest", 4),
        (&[0x0A, 7, 0x0A, 1, 0xFF, 0x12, 2, 0x28, 1], "text that is not UTF-8", 5),
        (&[0x0A, 3, 0x0A, 1, b'a'], "an early end", 5),
        (&[0x0A, 5, 0x0A, 1, b'a', 0x12, 0], "an early end", 7),
        (&[0x0A, 7, 0x12, 2, 0x28, 1, 0x0A, 1, b'a'], "an unknown field", 2),
        (&[0x0A, 9, 0x0A, 1, b'a', 0x12, 2, 0x28, 1, 0x18, 0], "bytes after the end", 9),
        (&[0x0A, 8, 0x0A, 0x81, 0, b'a', 0x12, 2, 0x28, 1], "a length longer than need be", 5),
        (&[0x8A, 0, 7, 0x0A, 1, b'a', 0x12, 2, 0x28, 1], "an unknown field", 0),
    ];
    for (bytes, what, offset) in golden {
        check_corrupt(bytes, what, offset);
    }
    let values: [(&[u8], &str, usize); 17] = [
        (&[0x58, 1], "an unknown type of a value", 7),
        (&[0x08, 1], "an unknown type of a value", 7),
        (&[0x20, 2], "a malformed boolean or null", 8),
        (&[0x20, 0x81, 0], "a malformed boolean or null", 8),
        (&[0x28, 0], "a malformed boolean or null", 8),
        (&[0x28, 1, 0x28, 1], "bytes after the end", 9),
        (&[0x0A, 1, b'a', 0x0A, 1, b'a'], "bytes after the end", 10),
        (&[0x0A, 1, 0xFF], "text that is not UTF-8", 10),
        (&[0x12, 2, b'0', b'1'], "a malformed number", 11),
        (&[0x12, 0], "a malformed number", 9),
        (&[0x42, 0], "an empty set", 9),
        (&[0x42, 2, 0x12, 0], "an unknown field", 9),
        (&[0x42, 6, 0x0A, 1, b'b', 0x0A, 1, b'a'], "names or members that do not rise", 15),
        (&[0x4A, 7, 0x0A, 2, b'1', b'0', 0x0A, 1, b'9'], "names or members that do not rise", 16),
        (&[0x52, 6, 0x0A, 1, 7, 0x0A, 1, 7], "names or members that do not rise", 15),
        (&[0x3A, 3, 0x0A, 1, 0x28], "an early end", 12),
        (&[0x32, 4, 0x0A, 2, 0x0A, 0], "an attribute name of a wrong length", 13),
    ];
    for (bytes, what, offset) in values {
        check_corrupt(&with_value(bytes), what, offset);
    }
    let null = |name: u8| [0x0A, 7, 0x0A, 1, name, 0x12, 2, 0x28, 1];
    check_corrupt(&[null(b'b'), null(b'a')].concat(), "names or members that do not rise", 14);
    check_corrupt(&[null(b'a'), null(b'a')].concat(), "names or members that do not rise", 14);
}

#[test]
fn only_canonical_numbers_decode() {
    let huge = format!("1{}", "0".repeat(125));
    let tiny = format!("-0.{}1", "0".repeat(129));
    let precise = "12345678901234567890.123456789012345678";
    for good in ["0", "-1", "10", "0.5", "-0.05", "12.5", "100.001", &huge, &tiny, precise] {
        assert_eq!(number(good).to_string(), good);
        let size = Decimal::of(good.as_bytes()).map(|decimal| decimal.size());
        assert_eq!(size, Some(number(good).size()), "{good}");
    }
    let bad = [
        "", "-", "-0", "00", "01", "-01", "+1", "1.", ".5", "-.5", "0.", "0.0", "1.0", "1.50", "1e3", " 1",
        "1 ", "1.2.3", "--1", "1-", "a", "00.5", "1a", "0.5a",
    ];
    let long = ["1".repeat(39), format!("{precise}9"), format!("{huge}0"), format!("0.{}1", "0".repeat(130))];
    for bad in bad.iter().copied().chain(long.iter().map(String::as_str)) {
        assert!(Decimal::of(bad.as_bytes()).is_none(), "{bad}");
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
    // A hundred thousand levels cost no stack.
    assert_eq!(decode_item(&nested_lists(100_000)).expect_err("far too deep").what, "values nested too deep");
}

/// An item with so many lists within each other, however many: encoding by hand, backwards and without recursion.
pub(crate) fn nested_lists(levels: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out);
    writer.put(&[tag::NULL, 1]);
    for _ in 0..levels {
        writer.header(tag::EACH, writer.len());
        writer.header(tag::L, writer.len());
    }
    writer.header(tag::VALUE, writer.len());
    writer.field(tag::NAME, b"k");
    writer.header(tag::EACH, writer.len());
    writer.finish();
    out
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
    let decimals = (0..60_000u64).map(|index| AttributeValue::N(number(&format!("{index}.25e-12"))));
    let number_item = Item::from_iter([(name("n"), AttributeValue::L(decimals.collect()))]);
    for item in [short_names, list_item, set_item, number_item] {
        assert_eq!(item.validate(), Ok(()));
        let len = encoded(&item).len();
        assert!(len <= 6 * item.size() + 1024, "{len} encoded bytes for an item of size {}", item.size());
        assert!(len <= ITEM_ENCODED_BYTES_MAX, "{len} encoded bytes");
        assert_eq!(item_size_encoded(&encoded(&item)), Ok(item.size()));
    }
}

#[test]
fn walk_gives_names_and_encoded_values() {
    let walked: Vec<_> = attributes(SAMPLE).map(|step| step.expect("sound bytes")).collect();
    assert_eq!(walked.len(), 11);
    assert_eq!(walked[0], ("a", &[0x0A, 2, 0xC3, 0xA9][..]));
    assert_eq!(walked[7], ("h", &[0x3A, 8, 0x0A, 2, 0x3A, 0, 0x0A, 2, 0x0A, 0][..]));
    let rebuilt: Item = walked
        .into_iter()
        .map(|(text, value)| (name(text), decode_value(value).expect("a sound value")))
        .collect();
    assert_eq!(rebuilt, sample());
}

fn numbers() -> impl Strategy<Value = Number> {
    let anywhere = ("-?[0-9]{1,38}", -168i32..126).prop_filter_map("in range", |(digits, exponent)| {
        Number::parse(&format!("{digits}e{exponent}")).ok()
    });
    let near =
        ("-?[0-9]{1,3}", -4i32..4).prop_map(|(digits, exponent)| number(&format!("{digits}e{exponent}")));
    prop_oneof![anywhere, near]
}

pub(crate) fn values() -> impl Strategy<Value = AttributeValue> {
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

pub(crate) fn items() -> impl Strategy<Value = Item> {
    prop::collection::btree_map(names(), values(), 0..8).prop_map(Item::from)
}

/// A byte that is likely to mean something.
pub(crate) fn wire_byte() -> impl Strategy<Value = u8> {
    prop_oneof![
        0u8..20,
        prop::sample::select(vec![
            0x0A, 0x12, 0x1A, 0x20, 0x28, 0x32, 0x3A, 0x42, 0x4A, 0x52, b'0', b'1', b'-'
        ]),
        any::<u8>()
    ]
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
    fn numbers_are_measured_as_they_are(left in numbers(), right in numbers()) {
        let (left_text, right_text) = (left.to_string(), right.to_string());
        let left_decimal = Decimal::of(left_text.as_bytes()).expect("canonical text");
        let right_decimal = Decimal::of(right_text.as_bytes()).expect("canonical text");
        prop_assert_eq!(left_decimal.size(), left.size());
        prop_assert_eq!(left_decimal.number(), left);
        prop_assert_eq!(left_decimal.partial_cmp(&right_decimal), left.partial_cmp(&right), "{} {}", left_text, right_text);
    }

    #[test]
    fn number_texts_are_judged_as_they_display(text in prop_oneof!["[-.01-3]{0,6}", "-?[0-9]{1,39}[.]?[0-9]{0,39}"]) {
        let canonical = Number::parse(&text).is_ok_and(|number| number.to_string() == text);
        prop_assert_eq!(Decimal::of(text.as_bytes()).is_some(), canonical);
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in prop::collection::vec(wire_byte(), 0..60)) {
        check_hostile(&bytes)?;
        if bytes.len() < 100 {
            check_hostile(&with_value(&bytes))?;
        }
    }

    #[test]
    fn damaged_items_do_no_harm(
        item in items(),
        at in any::<prop::sample::Index>(),
        byte in wire_byte(),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = encoded(&item);
        let cut = cut.index(bytes.len() + 1);
        check_hostile(&bytes[..cut])?;
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        check_hostile(&bytes)?;
    }
}
