//! Order of key bytes, ranges of hashes, keys taken from items.

use proptest::prelude::*;

use super::*;

fn name(text: &str) -> AttributeName {
    AttributeName::parse(text).expect("a good name")
}

fn schema(partition: KeyType, sort: Option<KeyType>) -> KeySchema {
    KeySchema {
        partition: KeyAttribute { name: name("p"), kind: partition },
        sort: sort.map(|kind| KeyAttribute { name: name("c"), kind }),
    }
}

fn item(pairs: &[(&str, AttributeValue)]) -> Item {
    pairs.iter().map(|(text, value)| (name(text), value.clone())).collect()
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.into())
}

fn number(text: &str) -> AttributeValue {
    AttributeValue::N(Number::parse(text).expect("a good number"))
}

fn binary(bytes: &[u8]) -> AttributeValue {
    AttributeValue::B(Bytes::copy_from_slice(bytes))
}

#[test]
fn layout_and_hash_are_golden() {
    // On disk, and decides who owns an item: these never change. The hashes are those of the reference
    // implementation of xxHash for the bytes between.
    let golden: [(AttributeValue, AttributeValue, &str); 4] = [
        (text("Fred"), text("x"), "8f453dc25fd0513c46726564000178"),
        (number("1e3"), number("-1"), "b38e03cf465f11e9028514007deb"),
        (binary(&[0, 1, 0xFF]), binary(&[0, 0]), "1018d87afaa4909f00ff01ff00010000"),
        (number("0"), text("é"), "e12ef9d2eb86ceeb01c3a9"),
    ];
    let kind = |value: &AttributeValue| match value.type_name() {
        "S" => KeyType::S,
        "N" => KeyType::N,
        _ => KeyType::B,
    };
    for (partition, sort, expected) in golden {
        let schema = schema(kind(&partition), Some(kind(&sort)));
        let key = schema.key_of_item(&item(&[("p", partition), ("c", sort)])).expect("a good key");
        let hex: String = key.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, expected);
    }
}

#[test]
fn texts_of_items() {
    let both = schema(KeyType::S, Some(KeyType::N));
    let invalid = "One or more parameter values were invalid: ";
    let not_valid = "One or more parameter values are not valid. ";
    let golden = [
        (item(&[("c", number("1"))]), format!("{invalid}Missing the key p in the item")),
        (item(&[("p", text("a"))]), format!("{invalid}Missing the key c in the item")),
        (
            item(&[("p", number("1")), ("c", text(""))]),
            format!("{invalid}Type mismatch for key p expected: S actual: N"),
        ),
        (
            item(&[("p", text("a")), ("c", AttributeValue::Null)]),
            format!("{invalid}Type mismatch for key c expected: N actual: NULL"),
        ),
        (
            item(&[("p", text("")), ("c", number("1"))]),
            format!(
                "{not_valid}The AttributeValue for a key attribute cannot contain an empty string value. Key: p"
            ),
        ),
        (
            item(&[("p", text(&"x".repeat(2049))), ("c", number("1"))]),
            format!("{invalid}Size of hashkey has exceeded the maximum size limit of2048 bytes"),
        ),
    ];
    for (item, message) in golden {
        assert_eq!(both.key_of_item(&item).expect_err(&message).to_string(), message);
    }
    let bytes = schema(KeyType::B, Some(KeyType::B));
    let golden = [
        (
            item(&[("p", binary(&[1])), ("c", binary(&[]))]),
            format!(
                "{not_valid}The AttributeValue for a key attribute cannot contain an empty binary value. Key: c"
            ),
        ),
        (
            item(&[("p", binary(&[1])), ("c", binary(&[1; 1025]))]),
            format!("{invalid}Aggregated size of all range keys has exceeded the size limit of 1024 bytes"),
        ),
    ];
    for (item, message) in golden {
        assert_eq!(bytes.key_of_item(&item).expect_err(&message).to_string(), message);
        assert_eq!(bytes.key_of_key(&item).expect_err(&message).to_string(), message);
    }
}

#[test]
fn key_maps_hold_exactly_the_key() {
    let both = schema(KeyType::S, Some(KeyType::N));
    let good = item(&[("p", text("a")), ("c", number("1"))]);
    let full = item(&[("p", text("a")), ("c", number("1.0")), ("other", AttributeValue::Null)]);
    assert_eq!(both.key_of_key(&good), both.key_of_item(&full), "the rest of an item is not key");
    for bad in [
        item(&[]),
        item(&[("p", text("a"))]),
        full,
        item(&[("p", text("a")), ("d", number("1"))]),
        item(&[("p", text("a")), ("c", text("1"))]),
    ] {
        let message = both.key_of_key(&bad).expect_err("not the key").to_string();
        assert_eq!(message, "The provided key element does not match the schema");
    }
    assert!(both.is_key("p") && both.is_key("c") && !both.is_key("d"));
}

#[test]
fn longest_keys_pass_and_fit_the_limit() {
    let bytes = schema(KeyType::B, Some(KeyType::B));
    let longest = item(&[("p", binary(&[0; 2048])), ("c", binary(&[0; 1024]))]);
    let key = bytes.key_of_key(&longest).expect("the longest key");
    assert_eq!(key.as_bytes().len(), crate::model::limits::ITEM_KEY_BYTES_MAX);
    assert_eq!(bytes.decode_key(key.as_bytes()), Ok(longest));
}

#[test]
fn damaged_keys_are_corrupt() {
    let strings = schema(KeyType::S, None);
    let key = strings.key_of_key(&item(&[("p", text("abc"))])).expect("a good key");
    let what = |bytes: &[u8]| strings.decode_key(bytes).expect_err("a damaged key").what;
    let damaged = |at: usize, byte: u8| {
        let mut bytes = key.as_bytes().to_vec();
        bytes[at] = byte;
        bytes
    };
    assert_eq!(what(&key.as_bytes()[..7]), "an item key without hash");
    assert_eq!(what(&key.as_bytes()[..9]), "a malformed partition key");
    assert_eq!(what(&damaged(8, 0xFF)), "a malformed partition key");
    assert_eq!(what(&damaged(8, b'b')), "a hash that is not the partition key's");
    assert_eq!(what(&[key.as_bytes(), b"x"].concat()), "bytes after the partition key");
    let sorted = schema(KeyType::S, Some(KeyType::N));
    let corrupt = sorted.decode_key(key.as_bytes()).expect_err("no sort key");
    assert_eq!(corrupt.what, "a malformed sort key");
    assert!(ItemKey::from_bytes(Bytes::from_static(&[0; 7])).is_err());
    assert_eq!(ItemKey::from_bytes(key.clone().into_bytes()), Ok(key));
}

#[test]
fn even_splits_cover_everything_once() {
    for count in [1, 2, 3, 7, 256, 1000] {
        let ranges = HashRange::split_even(count);
        assert_eq!(ranges.len(), count);
        assert_eq!(ranges[0].first, 0);
        assert_eq!(ranges[count - 1].last, u64::MAX);
        for pair in ranges.windows(2) {
            assert_eq!(pair[0].last + 1, pair[1].first, "{count} ranges leave no gap");
            assert_eq!(pair[0].end_key(), Some(pair[1].first_key()));
        }
        let lengths = || ranges.iter().map(|range| range.last - range.first);
        assert!(
            lengths().max() <= lengths().min().map(|length| length.saturating_add(1)),
            "{count} ranges are even"
        );
    }
    assert_eq!(HashRange::FULL.end_key(), None);
    assert_eq!(HashRange::FULL.halves().map(|(low, high)| vec![low, high]), Some(HashRange::split_even(2)));
    assert_eq!(HashRange { first: 5, last: 5 }.halves(), None);
    let narrow = HashRange { first: 5, last: 7 };
    assert_eq!([4, 5, 7, 8].map(|hash| narrow.contains(hash)), [false, true, true, false]);
}

/// Values of one key type, with many zeros, 0xFF and shared prefixes among them.
fn scalars(kind: KeyType, bytes_max: usize) -> BoxedStrategy<AttributeValue> {
    match kind {
        KeyType::S => prop_oneof!["[\u{0}\u{1}a\u{7f}\u{ff}\u{ffff}\u{10000}]{1,6}", "[ab]{1,3}",]
            .prop_map(AttributeValue::S)
            .boxed(),
        KeyType::N => {
            prop_oneof![-20i64..20, any::<i64>()].prop_map(|value| AttributeValue::N(value.into())).boxed()
        }
        KeyType::B => prop_oneof![
            prop::collection::vec(prop::sample::select(vec![0u8, 1, 2, 254, 255]), 1..6),
            prop::collection::vec(any::<u8>(), 1..bytes_max),
        ]
        .prop_map(|bytes| AttributeValue::B(bytes.into()))
        .boxed(),
    }
}

fn kinds() -> impl Strategy<Value = KeyType> {
    prop::sample::select(vec![KeyType::S, KeyType::N, KeyType::B])
}

/// DynamoDB's order of two values of one key type (2.1.1).
fn order(left: &AttributeValue, right: &AttributeValue) -> std::cmp::Ordering {
    match (left, right) {
        (AttributeValue::S(left), AttributeValue::S(right)) => left.as_bytes().cmp(right.as_bytes()),
        (AttributeValue::N(left), AttributeValue::N(right)) => left.cmp(right),
        (AttributeValue::B(left), AttributeValue::B(right)) => left.cmp(right),
        _ => panic!("two values of one key type"),
    }
}

fn composite() -> impl Strategy<Value = (KeySchema, Vec<AttributeValue>, Vec<AttributeValue>)> {
    (kinds(), kinds()).prop_flat_map(|(partition, sort)| {
        let partitions = prop::collection::vec(scalars(partition, 40), 2);
        let sorts = prop::collection::vec(scalars(sort, 40), 2);
        (Just(schema(partition, Some(sort))), partitions, sorts)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn order_within_a_partition_key_is_that_of_sort_keys((schema, partitions, sorts) in composite()) {
        let key = |sort: &AttributeValue| {
            let key = item(&[("p", partitions[0].clone()), ("c", sort.clone())]);
            schema.key_of_key(&key).expect("a good key")
        };
        let (left, right) = (key(&sorts[0]), key(&sorts[1]));
        prop_assert_eq!(left.cmp(&right), order(&sorts[0], &sorts[1]));
        let prefix = schema.partition_prefix(&partitions[0]).expect("a good partition key");
        let suffix = schema.sort_suffix(&sorts[0]).expect("a good sort key");
        prop_assert_eq!([&prefix[..], &suffix[..]].concat(), left.as_bytes());
    }

    #[test]
    fn a_prefix_is_of_one_partition_key_only((schema, partitions, sorts) in composite()) {
        let prefix = schema.partition_prefix(&partitions[0]).expect("a good partition key");
        let other = item(&[("p", partitions[1].clone()), ("c", sorts[0].clone())]);
        let other = schema.key_of_item(&other).expect("a good key");
        prop_assert_eq!(other.as_bytes().starts_with(&prefix), partitions[0] == partitions[1]);
        prop_assert_eq!(prefix[8..].cmp(&schema.partition_prefix(&partitions[1]).expect("good")[8..]),
            order(&partitions[0], &partitions[1]), "the encoded partition key is ordered, too");
        let ends = (other.hash() == partition_hash(&prefix[8..]), partitions[0] == partitions[1]);
        prop_assert!(ends.0 == ends.1, "equal keys and only they have this hash");
    }

    #[test]
    fn keys_decode_to_their_attributes((schema, partitions, sorts) in composite()) {
        let attributes = item(&[("p", partitions[0].clone()), ("c", sorts[0].clone())]);
        let key = schema.key_of_key(&attributes).expect("a good key");
        prop_assert_eq!(schema.decode_key(key.as_bytes()), Ok(attributes.clone()));
        let lone = KeySchema { sort: None, ..schema };
        let attributes = item(&[("p", partitions[0].clone())]);
        let key = lone.key_of_key(&attributes).expect("a good key");
        prop_assert_eq!(lone.decode_key(key.as_bytes()), Ok(attributes));
    }

    #[test]
    fn hostile_keys_decode_to_what_makes_them(
        partition in kinds(),
        sort in prop::option::of(kinds()),
        tail in prop::collection::vec(prop_oneof![0u8..4, any::<u8>()], 0..20),
    ) {
        let schema = schema(partition, sort);
        let middle = take_partition(partition, &tail).map_or(tail.len(), |(_, len)| len);
        let bytes = [&partition_hash(&tail[..middle]).to_be_bytes(), &tail[..]].concat();
        if let Ok(key) = schema.decode_key(&bytes) {
            let again = schema.key_of_key(&key).expect("decoded keys are good");
            prop_assert_eq!(again.as_bytes(), bytes);
        }
    }
}
