//! Reads against a model: all items, filtered and sorted by their values.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::store_test::{Expressions, Store, decode, encode, name, schema, travelled};
use super::*;
use crate::expression::ast::{KeyCondition, SortCondition};
use crate::expression::{Kind, Subject};
use crate::model::limits::{ITEM_ENCODED_BYTES_MAX, PAGE_ENCODED_BYTES_MAX};
use crate::model::{self, AttributeValue, HashRange, Item, KeySchema, KeyType, Number, id::TableId};

const TABLE: TableId = TableId(7);

fn texts() -> Vec<&'static str> {
    vec![
        "\0",
        "\0\0",
        "\0\u{1}",
        "a",
        "a\0",
        "aa",
        "ab",
        "b",
        "\u{7f}",
        "\u{80}",
        "\u{ff}",
        "\u{10FFFF}",
        "\u{10FFFF}a",
    ]
}

fn numbers() -> Vec<&'static str> {
    vec!["0", "1", "-1", "0.1", "10", "9", "-10", "1e125", "-1e125", "1e-130", "-1e-130", "1.00000001", "99"]
}

/// Keys that are hard to tell apart.
fn keys(kind: KeyType) -> BoxedStrategy<AttributeValue> {
    match kind {
        KeyType::S => select(texts()).prop_map(|text| AttributeValue::S(text.to_owned())).boxed(),
        KeyType::N => {
            select(numbers()).prop_map(|text| AttributeValue::N(text.parse().expect("a number"))).boxed()
        }
        KeyType::B => vec(select(vec![0u8, 1, 0xFE, 0xFF]), 1..4)
            .prop_map(|bytes| AttributeValue::B(bytes.into()))
            .boxed(),
    }
}

fn order(left: &AttributeValue, right: &AttributeValue) -> Ordering {
    match (left, right) {
        (AttributeValue::S(left), AttributeValue::S(right)) => left.as_bytes().cmp(right.as_bytes()),
        (AttributeValue::N(left), AttributeValue::N(right)) => left.cmp(right),
        (AttributeValue::B(left), AttributeValue::B(right)) => left.cmp(right),
        other => panic!("{other:?} are not keys of one type"),
    }
}

fn begins_with(whole: &AttributeValue, prefix: &AttributeValue) -> bool {
    match (whole, prefix) {
        (AttributeValue::S(whole), AttributeValue::S(prefix)) => whole.starts_with(prefix.as_str()),
        (AttributeValue::B(whole), AttributeValue::B(prefix)) => whole.starts_with(prefix),
        other => panic!("{other:?} have no beginning"),
    }
}

fn holds(condition: &SortCondition, value: &AttributeValue) -> bool {
    match condition {
        SortCondition::Equal(other) => order(value, other).is_eq(),
        SortCondition::Less(other) => order(value, other).is_lt(),
        SortCondition::LessOrEqual(other) => order(value, other).is_le(),
        SortCondition::Greater(other) => order(value, other).is_gt(),
        SortCondition::GreaterOrEqual(other) => order(value, other).is_ge(),
        SortCondition::Between(low, high) => order(value, low).is_ge() && order(value, high).is_le(),
        SortCondition::BeginsWith(prefix) => begins_with(value, prefix),
    }
}

fn sort_condition(which: u8, one: AttributeValue, other: AttributeValue) -> Option<SortCondition> {
    match which {
        0 => Some(SortCondition::Equal(one)),
        1 => Some(SortCondition::Less(one)),
        2 => Some(SortCondition::LessOrEqual(one)),
        3 => Some(SortCondition::Greater(one)),
        4 => Some(SortCondition::GreaterOrEqual(one)),
        5 => Some(SortCondition::Between(one, other)),
        6 if !matches!(one, AttributeValue::N(_)) => Some(SortCondition::BeginsWith(one)),
        _ => None,
    }
}

fn item(partition: &AttributeValue, sort: &AttributeValue, n: u64) -> Item {
    let pairs = [("pk", partition.clone()), ("sk", sort.clone()), ("n", AttributeValue::N(Number::from(n)))];
    pairs.into_iter().map(|(key, value)| (name(key), value)).collect()
}

fn selects() -> Vec<Select> {
    let three: BTreeMap<_, _> = [(":v".to_owned(), AttributeValue::N(Number::from(3u64)))].into();
    let few = || Some(Expressions::new(BTreeMap::new(), three.clone()).condition(Kind::Filter, "n < :v"));
    let numbers = || Some(Expressions::new(BTreeMap::new(), BTreeMap::new()).projection("n, gone"));
    vec![
        Select::default(),
        Select { filter: few(), ..Select::default() },
        Select { filter: few(), projection: numbers(), ..Select::default() },
        Select { filter: few(), counts_only: true, ..Select::default() },
        Select { projection: numbers(), ..Select::default() },
    ]
}

fn bytes(bound: &Bound<Bytes>) -> Bound<&[u8]> {
    bound.as_ref().map(|key| &key[..])
}

/// Reads a range page by page, held to what pages are; gives the pages together.
fn read_all(store: &Store, range: KeyRange, reverse: bool, limits: Limits, select: &Select) -> Page {
    let mut all = Page::default();
    let mut left = range;
    loop {
        let select = travelled(select);
        let page = page(store, bytes(&left.0), bytes(&left.1), reverse, limits, &select).expect("reads");
        let page = travelled(&page);
        assert!(page.scanned <= limits.items_max, "{page:?}");
        assert!(page.items.len() == if select.counts_only { 0 } else { page.count }, "{page:?}");
        let full = page.scanned == limits.items_max || page.bytes >= limits.bytes_max;
        assert_eq!(page.last_key.is_some(), full, "{page:?}");
        all.items.extend(page.items);
        all.count += page.count;
        all.scanned += page.scanned;
        all.bytes += page.bytes;
        let Some(last) = page.last_key else { return all };
        left = behind(left, last, reverse);
    }
}

/// What the pages together should be.
fn expected(evaluated: &[Item], select: &Select) -> Page {
    let passed = evaluated.iter().filter(|item| {
        select.filter.as_ref().is_none_or(|filter| filter.holds(Subject::Item(item)).expect("sound"))
    });
    let shown: Vec<Bytes> = passed
        .map(|item| match &select.projection {
            Some(projection) => encode(&projection.project(Subject::Item(item)).expect("sound")),
            None => encode(item),
        })
        .collect();
    Page {
        count: shown.len(),
        items: if select.counts_only { Vec::new() } else { shown },
        scanned: evaluated.len(),
        last_key: None,
        bytes: evaluated.iter().map(Item::size).sum(),
    }
}

#[derive(Debug)]
struct Case {
    schema: KeySchema,
    items: Vec<(AttributeValue, AttributeValue)>,
    condition: KeyCondition,
    start: AttributeValue,
}

fn cases() -> impl Strategy<Value = Case> {
    let kinds = || select(vec![KeyType::S, KeyType::N, KeyType::B]);
    (kinds(), kinds()).prop_flat_map(|(partition, sort)| {
        let partitions = vec(keys(partition), 1..4);
        let sorts = (vec(keys(sort), 1..30), keys(sort), keys(sort), keys(sort), 0..8u8);
        (partitions, sorts).prop_map(move |(partitions, (sorts, one, other, start, which))| {
            let place = sorts.iter().enumerate();
            let items =
                place.map(|(n, sort)| (partitions[n % partitions.len()].clone(), sort.clone())).collect();
            let sort_condition = sort_condition(which, one, other);
            let condition = KeyCondition { partition: partitions[0].clone(), sort: sort_condition };
            Case { schema: schema(partition, Some(sort)), items, condition, start }
        })
    })
}

impl Case {
    /// All items, in this table and those beside it.
    fn store(&self) -> (Store, BTreeMap<Bytes, Item>) {
        let (mut store, mut all) = (Store::default(), BTreeMap::new());
        for (n, (partition, sort)) in self.items.iter().enumerate() {
            let item = item(partition, sort, n as u64 % 6);
            let key = self.schema.key_of_item(&item).expect("a key");
            for table in [TableId(6), TABLE, TableId(8)] {
                store.put(stored_key(table, &key), &item);
            }
            all.insert(stored_key(TABLE, &key), item);
        }
        (store, all)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn queries_are_the_models(
        case in cases(), reverse: bool, items_max in 1..6usize, bytes_max in 1..100usize,
        select in select(selects()), starts: bool,
    ) {
        let (store, all) = case.store();
        let KeyCondition { partition, sort } = &case.condition;
        let reads = |value: &AttributeValue| sort.as_ref().is_none_or(|sort| holds(sort, value));
        let range = query_range(TABLE, &case.schema, &case.condition).expect("a range");
        let mut wanted: Vec<Item> = all
            .into_values()
            .filter(|item| item.get("pk") == Some(partition) && item.get("sk").is_some_and(&reads))
            .collect();
        wanted.sort_by(|left, right| order(&left.as_map()["sk"], &right.as_map()["sk"]));
        let start = item(partition, &case.start, 0);
        let checked = check_start(&case.schema, &case.condition, &start);
        prop_assert_eq!(checked, if reads(&case.start) { Ok(()) } else { Err(StartFault::Sort) });
        let start = stored_key(TABLE, &case.schema.key_of_item(&start).expect("a key"));
        let range = if starts {
            wanted.retain(|item| {
                let order = order(&item.as_map()["sk"], &case.start);
                if reverse { order.is_lt() } else { order.is_gt() }
            });
            behind(range, start, reverse)
        } else {
            range
        };
        if reverse {
            wanted.reverse();
        }
        let limits = Limits { items_max, bytes_max };
        prop_assert_eq!(read_all(&store, range, reverse, limits, &select), expected(&wanted, &select));
    }

    #[test]
    fn segments_share_out_tables(case in cases(), total in 1..9u32, partitions in 1..4usize, limit in 1..5usize) {
        let (store, all) = case.store();
        let limits = Limits { items_max: limit, bytes_max: usize::MAX };
        let mut read = Vec::new();
        for segment in 0..total {
            for within in HashRange::split_even(partitions) {
                let Some((from, to)) = segment_range(TABLE, segment, total, within) else { continue };
                let range = (Bound::Included(from), to.map_or(Bound::Unbounded, Bound::Excluded));
                for bytes in read_all(&store, range, false, limits, &Select::default()).items {
                    let item = decode(&bytes);
                    let hash = case.schema.key_of_item(&item).expect("a key").hash();
                    prop_assert_eq!(segment_of_hash(hash, total), segment);
                    prop_assert!(within.contains(hash));
                    read.push(item);
                }
            }
        }
        // Rising segments, and rising partitions in each: the order of the keys.
        prop_assert_eq!(read, all.into_values().collect::<Vec<_>>());
    }

    #[test]
    fn segments_share_out_hashes(total in 1..=1_000_000u32, at in any::<prop::sample::Index>(), hash: u64) {
        let segment = at.index(total as usize) as u32;
        let hashes = segment_hashes(segment, total).expect("a segment");
        prop_assert_eq!(segment_of_hash(hashes.first, total), segment);
        prop_assert_eq!(segment_of_hash(hashes.last, total), segment);
        match segment_hashes(segment + 1, total) {
            Some(next) => prop_assert_eq!(hashes.last + 1, next.first),
            None => prop_assert_eq!(hashes.last, u64::MAX),
        }
        prop_assert!(segment > 0 || hashes.first == 0);
        let own = segment_hashes(segment_of_hash(hash, total), total).expect("a segment");
        prop_assert!(own.contains(hash));
    }

    #[test]
    fn a_start_takes_nothing_away_but_what_is_before_it(
        from in 0..6u8, to in 0..6u8, at in 0..6u8, reverse: bool, kinds in (0..3u8, 0..3u8),
    ) {
        let bound = |kind, at: u8| {
            let key = Bytes::copy_from_slice(&[at]);
            match kind {
                0 => Bound::Unbounded,
                1 => Bound::Included(key),
                _ => Bound::Excluded(key),
            }
        };
        let range = (bound(kinds.0, from), bound(kinds.1, to));
        let left = behind(range.clone(), Bytes::copy_from_slice(&[at]), reverse);
        for key in 0..6u8 {
            let is_in = |range: &KeyRange| {
                std::ops::RangeBounds::<[u8]>::contains(&(bytes(&range.0), bytes(&range.1)), &[key][..])
            };
            let is_behind = if reverse { key < at } else { key > at };
            prop_assert_eq!(is_in(&left), is_in(&range) && is_behind);
        }
    }
}

#[test]
fn ranges_end_with_all_keys() {
    let last = HashRange { first: u64::MAX, last: u64::MAX };
    assert_eq!(table_range(TableId(u64::MAX), last), (Bytes::from_static(&[0xFF; 16]), None));
    assert_eq!(segment_range(TABLE, 0, 2, last), None);
    assert_eq!(segment_range(TABLE, 1, 2, last), Some(table_range(TABLE, last)));
    assert_eq!(segment_hashes(0, 0), None);
    assert_eq!(segment_hashes(u32::MAX, u32::MAX), None);
    assert_eq!(segment_of_hash(u64::MAX, u32::MAX), u32::MAX - 1);
}

#[test]
fn keys_in_conditions_are_of_the_schemas_types() {
    let text = || AttributeValue::S("a".to_owned());
    let number = || AttributeValue::N(Number::from(1u64));
    let range = |schema: &KeySchema, partition, sort| {
        query_range(TABLE, schema, &KeyCondition { partition, sort }).map(drop)
    };
    let strings = schema(KeyType::S, Some(KeyType::S));
    assert_eq!(range(&strings, number(), None), Err(model::Error::KeyMismatch));
    assert_eq!(range(&strings, text(), Some(SortCondition::Less(number()))), Err(model::Error::KeyMismatch));
    let numbers = schema(KeyType::S, Some(KeyType::N));
    let begins = SortCondition::BeginsWith(number());
    assert_eq!(range(&numbers, text(), Some(begins)), Err(model::Error::KeyMismatch));
    let alone = schema(KeyType::S, None);
    assert_eq!(range(&alone, text(), Some(SortCondition::Equal(text()))), Err(model::Error::KeyMismatch));
    assert_eq!(range(&alone, text(), None), Ok(()));
}

#[test]
fn a_corrupt_item_is_an_error_unless_it_is_not_reached() {
    let mut store = Store::default();
    let good = item(&AttributeValue::Null, &AttributeValue::Null, 1);
    store.put(Bytes::from_static(b"a"), &good);
    for corrupt in [&b"1234567"[..], b"12345678?"] {
        store.items.insert(Bytes::from_static(b"b"), Bytes::from_static(corrupt));
        let read = |items_max, counts_only| {
            let limits = Limits { items_max, bytes_max: usize::MAX };
            let select = Select { counts_only, ..Select::default() };
            page(&store, Bound::Unbounded, Bound::Unbounded, false, limits, &select)
        };
        assert_eq!(read(1, false).expect("sound").count, 1);
        assert!(matches!(read(2, false), Err(Error::Corrupt(_))));
        assert!(matches!(read(2, true), Err(Error::Corrupt(_))));
        assert!(matches!(find(&store, b"b", None), Err(Error::Corrupt(_))));
    }
}

#[test]
fn what_is_shown_fits_an_rpc() {
    let large: Number = "1e125".parse().expect("a number");
    let numbers = AttributeValue::L(vec![AttributeValue::N(large); 30_000]);
    let item: Item = [(name("l"), numbers)].into_iter().collect();
    let mut store = Store::default();
    (0..5u8).for_each(|n| store.put(Bytes::copy_from_slice(&[n]), &item));
    let read = |counts_only| {
        let limits = Limits { items_max: usize::MAX, bytes_max: 1 << 20 };
        let select = Select { counts_only, ..Select::default() };
        page(&store, Bound::Unbounded, Bound::Unbounded, false, limits, &select).expect("reads")
    };
    let shown = read(false);
    let bytes: usize = shown.items.iter().map(Bytes::len).sum();
    assert_eq!((shown.count, shown.last_key), (3, Some(Bytes::from_static(&[2]))));
    assert!(bytes < PAGE_ENCODED_BYTES_MAX + ITEM_ENCODED_BYTES_MAX, "{bytes}");
    assert_eq!(read(true).count, 5, "counts are small");
}
