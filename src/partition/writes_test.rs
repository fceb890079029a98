//! Writes against a model: plain maps of decoded items, on which conditions and updates are evaluated directly.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::store_test::{Expressions, Store, decode, encode, name, travelled};
use super::*;
use crate::expression::ast::{Condition, Path, SetOperand, SetValue, Update};
use crate::expression::{Kind, Subject, values_test};
use crate::model::{AttributeValue, Item, Number, codec, limits::ITEM_ENCODED_BYTES_MAX};

const CONDITIONS: [&str; 10] = [
    "attribute_exists(pk)",
    "attribute_not_exists(pk)",
    "a = :x",
    "a <> :x",
    "a < :o OR a >= :o",
    "NOT a = b",
    "a IN (:x, :y) AND attribute_exists(l[1])",
    "size(l) > :n",
    "contains(s, :x)",
    "m.a = :x",
];

const UPDATES: [&str; 16] = [
    "SET a = :x",
    "SET a = :x, b = :y",
    "SET a = a",
    "SET a = b, b = a",
    "SET n = if_not_exists(n, :n) + :n",
    "SET n = n - :n",
    "SET l = list_append(l, :l)",
    "SET l[0] = :x, l[7] = :y",
    "SET m.a = :x",
    "SET l = :l, m = :m",
    "ADD n :n, s :s",
    "DELETE s :s",
    "REMOVE a",
    "REMOVE l[0], m.a",
    "REMOVE a SET b = :y ADD n :n DELETE s :s",
    "",
];

/// The values of placeholders: few, and spelled in several ways.
fn value(placeholder: &str) -> impl Strategy<Value = AttributeValue> + use<> {
    let texts: &[&str] = match placeholder {
        "n" => &["1", "0", "1.0", "2", "9e125"],
        "o" => &["1", "2", r#""1""#, "0x01"],
        "s" => &["<1, 2>", "<1.0>", "<2, 3>", r#"<"a">"#],
        "l" => &["[1]", "[]", "[1, [2]]"],
        "m" => &["{}", "{a: 1}", "{a: {b: 2}}"],
        _ => &["1", "1.0", r#""1""#, "2", "null", "0x01", r#""""#],
    };
    select(texts.to_vec()).prop_map(values_test::parse)
}

fn values() -> impl Strategy<Value = BTreeMap<String, AttributeValue>> {
    let one = |placeholder: &'static str| value(placeholder).prop_map(move |value| (placeholder, value));
    (one("n"), one("s"), one("l"), one("m"), one("o"), one("x"), one("y")).prop_map(
        |(n, s, l, m, o, x, y)| {
            [n, s, l, m, o, x, y].into_iter().map(|(key, value)| (format!(":{key}"), value)).collect()
        },
    )
}

/// A write of one of three items, in terms of values.
#[derive(Clone, Debug)]
struct Wanted {
    key: &'static str,
    action: Wish,
    condition: Option<Condition>,
    returns: Returns,
    shows_rejected: bool,
}

#[derive(Clone, Debug)]
enum Wish {
    Put(Item),
    Update(Update),
    Delete,
}

fn key_item(key: &str) -> Item {
    [(name("pk"), AttributeValue::S(key.to_owned()))].into_iter().collect()
}

prop_compose! {
    fn put_items()(
        values in values(), which in vec(any::<bool>(), 6), swapped: bool,
    ) -> Item {
        let names = if swapped { ["n", "s", "l", "m", "b", "a"] } else { ["n", "s", "l", "m", "a", "b"] };
        let pairs = names.into_iter().zip([":n", ":s", ":l", ":m", ":x", ":y"]).zip(which);
        pairs.filter(|(_, there)| *there).map(|((key, value), _)| (name(key), values[value].clone())).collect()
    }
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let texts = (select(CONDITIONS.to_vec()), select(UPDATES.to_vec()));
    let options = (select(vec!["a", "b", "c"]), 0..8u8, any::<bool>(), 0..5u8, any::<bool>());
    (texts, values(), put_items(), options).prop_map(|((condition, update), values, put, options)| {
        let (key, kind, conditional, returns, shows_rejected) = options;
        let action = match kind {
            0..3 => {
                let mut item = put;
                item.insert(name("pk"), AttributeValue::S(key.to_owned()));
                Wish::Put(item)
            }
            3..7 if update.is_empty() => Wish::Update(Update::default()),
            3..7 => Wish::Update(bound(update, &values).update(update)),
            _ => Wish::Delete,
        };
        let condition = conditional.then(|| bound(condition, &values).condition(Kind::Condition, condition));
        let returns = match (returns, &action) {
            (0, _) => Returns::Nothing,
            (1, _) => Returns::AllOld,
            (2, Wish::Update(_)) => Returns::AllNew,
            (3, Wish::Update(_)) => Returns::UpdatedOld,
            (4, Wish::Update(_)) => Returns::UpdatedNew,
            _ => Returns::Nothing,
        };
        Wanted { key, action, condition, returns, shows_rejected }
    })
}

fn bound(text: &str, values: &BTreeMap<String, AttributeValue>) -> Expressions {
    let used = values.iter().filter(|(key, _)| text.contains(key.as_str()));
    Expressions::new(BTreeMap::new(), used.map(|(key, value)| (key.clone(), value.clone())).collect())
}

impl Wanted {
    fn write(&self) -> Write {
        let action = match &self.action {
            Wish::Put(item) => Action::Put { item: encode(item) },
            Wish::Update(update) => {
                Action::Update { key: encode(&key_item(self.key)), update: update.clone(), legacy: false }
            }
            Wish::Delete => Action::Delete,
        };
        Write {
            key: Bytes::from_static(self.key.as_bytes()),
            action,
            condition: self.condition.clone(),
            returns: self.returns,
            shows_rejected: self.shows_rejected,
            measures: true,
        }
    }

    /// What becomes of the item by the model; or the refusal.
    fn new_item(&self, old: Option<&Item>) -> Result<Option<Item>, String> {
        match &self.action {
            Wish::Put(item) => Ok(Some(item.clone())),
            Wish::Update(update) => {
                update.apply(&key_item(self.key), old.cloned()).map_err(|refused| refused.to_string())
            }
            Wish::Delete => Ok(None),
        }
    }

    fn shown(&self, old: Option<&Item>, new: Option<&Item>) -> Option<Item> {
        let shown = match (self.returns, &self.action) {
            (Returns::AllOld, _) => old.cloned(),
            (Returns::AllNew, _) => new.cloned(),
            (Returns::UpdatedOld, Wish::Update(update)) => Some(update.touched_old(old)),
            (Returns::UpdatedNew, Wish::Update(update)) => Some(update.touched_new(new)),
            _ => None,
        };
        shown.filter(|item| !item.is_empty())
    }
}

/// The model: items with their versions.
type Model = BTreeMap<&'static str, (u64, Item)>;

fn step(wanted: &Wanted, wants_old: bool, store: &mut Store, model: &mut Model) {
    let before = model.get(wanted.key).cloned();
    let old = before.as_ref().map(|(_, item)| item);
    let evaluated = evaluate(store, &travelled(&wanted.write()), wants_old).expect("evaluates");
    let holds =
        wanted.condition.as_ref().is_none_or(|condition| condition.holds(Subject::from(old)).expect("sound"));
    if !holds {
        let item = old.filter(|_| wanted.shows_rejected).map(encode);
        assert_eq!(evaluated, Evaluated::Rejected(Rejected::Condition { item }));
        return;
    }
    let new = match wanted.new_item(old) {
        Ok(new) => new,
        Err(message) => {
            assert_eq!(evaluated, Evaluated::Rejected(Rejected::Invalid(message)));
            return;
        }
    };
    let size = |item: Option<&Item>| item.map_or(0, Item::size);
    let expected = Answer {
        image: wanted.shown(old, new.as_ref()).as_ref().map(encode),
        bytes: size(old).max(size(new.as_ref())),
    };
    match evaluated {
        Evaluated::Unchanged { answer } => {
            assert_eq!(old, new.as_ref(), "a change is not logged: {wanted:?}");
            assert_eq!(answer, expected);
        }
        Evaluated::Changed { change, answer } => {
            assert_ne!(old, new.as_ref(), "what does not change is logged: {wanted:?}");
            assert_eq!(answer, expected);
            assert_eq!(change.old, old.filter(|_| wants_old).map(encode));
            assert_eq!(change.version_before, before.as_ref().map(|(version, _)| *version));
            store.apply(&change);
            match new {
                Some(new) => {
                    let version = before.as_ref().map_or(0, |(version, _)| *version) + 1;
                    drop(model.insert(wanted.key, (version, new)));
                }
                None => drop(model.remove(wanted.key)),
            }
        }
        Evaluated::Rejected(rejected) => panic!("{rejected:?} of {wanted:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn writes_are_the_models(writes in vec((wanted(), any::<bool>()), 1..40)) {
        let (mut store, mut model) = (Store::default(), Model::new());
        for (wanted, wants_old) in &writes {
            step(wanted, *wants_old, &mut store, &mut model);
            let expected = model.iter().map(|(key, (version, item))| {
                (Bytes::from_static(key.as_bytes()), stored::stored(*version, &encode(item)))
            });
            prop_assert_eq!(&store.items, &expected.collect::<BTreeMap<_, _>>());
        }
    }

    #[test]
    fn damaged_items_are_evaluated_or_corrupt(
        wanted in wanted(), item in put_items(), at in any::<prop::sample::Index>(), byte: u8, cut: bool,
    ) {
        let mut stored = stored::stored(1, &encode(&item)).to_vec();
        let at = at.index(stored.len());
        if cut { stored.truncate(at) } else { stored[at] = byte }
        let mut store = Store::default();
        store.items.insert(Bytes::from_static(wanted.key.as_bytes()), stored.into());
        // Any answer will do; what is made of the item must still be one.
        if let Ok(Evaluated::Changed { change, .. }) = evaluate(&store, &wanted.write(), true) {
            change.new_image().iter().for_each(|image| drop(decode(image)));
        }
    }
}

fn put(key: &'static str, item: Bytes) -> Write {
    Write {
        key: Bytes::from_static(key.as_bytes()),
        action: Action::Put { item },
        condition: None,
        returns: Returns::Nothing,
        shows_rejected: false,
        measures: true,
    }
}

#[test]
fn bytes_that_are_no_item_are_not_logged() {
    let item = encode(&key_item("a"));
    let cut = item.slice(..item.len() - 1);
    assert!(matches!(evaluate(&Store::default(), &put("a", cut.clone()), false), Err(Error::Corrupt(_))));
    let mut store = Store::default();
    store.items.insert(Bytes::from_static(b"a"), stored::stored(1, &cut));
    assert!(matches!(evaluate(&store, &put("a", item.clone()), false), Err(Error::Corrupt(_))));
    store.items.insert(Bytes::from_static(b"a"), Bytes::from_static(b"1234567"));
    assert!(matches!(evaluate(&store, &put("a", item), false), Err(Error::Corrupt(_))));
}

#[test]
fn an_item_may_be_small_and_its_bytes_too_many() {
    let large: Number = "1e125".parse().expect("a number");
    let update = |count: usize| {
        let path = Path { name: name("l"), steps: vec![] };
        let list = AttributeValue::L(vec![AttributeValue::N(large); count]);
        let value = SetValue::Operand(SetOperand::Value(list));
        let update = Update { set: vec![(path, value)], ..Update::default() };
        Write {
            action: Action::Update { key: encode(&key_item("a")), update, legacy: false },
            ..put("a", Bytes::new())
        }
    };
    // 126 digits, and tags and lengths of 5 bytes.
    let fits = ITEM_ENCODED_BYTES_MAX / 131 - 1;
    let Ok(Evaluated::Changed { change, answer }) = evaluate(&Store::default(), &update(fits), false) else {
        panic!("it fits");
    };
    assert_eq!(answer.bytes, codec::item_size_encoded(&change.new_image().expect("an item")).expect("sound"));
    assert_eq!(
        evaluate(&Store::default(), &update(fits + 2), false).expect("evaluates"),
        Evaluated::Rejected(Rejected::Invalid(
            "Item size to update has exceeded the maximum allowed size".to_owned()
        ))
    );
}
