//! The fold of records, and what differs from it.

use super::super::key::parse_attribute;
use super::*;

fn schema() -> KeySchema {
    KeySchema { partition: parse_attribute("id:S").expect("a good attribute"), sort: None }
}

fn item(text: &str) -> Item {
    Form::Plain.parse(text).expect("a good item")
}

fn record(number: u64, event_name: EventName, old: Option<&str>, new: Option<&str>) -> Record {
    Record {
        event_id: format!("{number:032x}"),
        event_name,
        sequence_number: SequenceNumber::new(number.to_string()),
        created_ms: 0,
        keys: item(r#"{"id":"k"}"#),
        new_image: new.map(item),
        old_image: old.map(item),
        size_bytes: 0,
    }
}

const ONE: &str = r#"{"id":"k","n":1}"#;
const TWO: &str = r#"{"id":"k","n":2}"#;

fn fold(records: Vec<Record>) -> Fold {
    let mut fold = Fold::new(schema(), StreamViewType::NewAndOldImages);
    for record in records {
        fold.add("shard", record);
    }
    fold
}

fn table(texts: &[&str]) -> BTreeMap<ItemKey, Item> {
    let items = texts.iter().map(|text| item(text));
    items.map(|item| (schema().key_of_item(&item).expect("a good key"), item)).collect()
}

#[test]
fn a_life_folds_without_fault() {
    let fold = fold(vec![
        record(9, EventName::Insert, None, Some(ONE)),
        record(10, EventName::Modify, Some(ONE), Some(TWO)),
        record(11, EventName::Remove, Some(TWO), None),
        record(12, EventName::Insert, None, Some(ONE)),
    ]);
    assert_eq!((fold.faults(), fold.items(), fold.records), (0, 1, 4), "{:?}", fold.findings);
    assert!(fold.differing(&table(&[ONE])).is_empty());
    assert_eq!(fold.differing(&table(&[TWO])).len(), 1, "another item");
    assert_eq!(fold.differing(&table(&[])).len(), 1, "a lost item");
    assert_eq!(fold.differing(&table(&[ONE, r#"{"id":"l"}"#])).len(), 1, "an item without record");
}

#[test]
fn a_record_that_comes_twice_is_a_double() {
    let twice = fold(vec![
        record(9, EventName::Insert, None, Some(ONE)),
        record(9, EventName::Insert, None, Some(ONE)),
    ]);
    assert_eq!((twice.doubles, twice.disorders, twice.breaks), (1, 0, 0));
}

#[test]
fn records_out_of_order_are_told() {
    let disorder = fold(vec![
        record(10, EventName::Insert, None, Some(ONE)),
        record(9, EventName::Modify, Some(ONE), Some(TWO)),
    ]);
    assert_eq!(disorder.disorders, 2, "of the shard and of the key");
    assert_eq!(disorder.items(), 1);
}

#[test]
fn broken_chains_are_told() {
    for (old, new, name) in [
        (Some(ONE), Some(TWO), EventName::Modify),
        (Some(ONE), None, EventName::Remove),
        (None, None, EventName::Insert),
    ] {
        assert_eq!(fold(vec![record(1, name, old, new)]).breaks, 1, "{name:?} first");
    }
    let start = || record(1, EventName::Insert, None, Some(ONE));
    for next in [
        record(2, EventName::Insert, None, Some(TWO)),
        record(2, EventName::Modify, Some(TWO), Some(TWO)),
        record(2, EventName::Modify, Some(ONE), Some(ONE)),
        record(2, EventName::Remove, Some(ONE), Some(TWO)),
    ] {
        assert_eq!(fold(vec![start(), next.clone()]).breaks, 1, "{next:?}");
    }
}
