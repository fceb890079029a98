//! Properties: stored and built items give the same answers; updates and projections are those of simpler models.

use bytes::Bytes;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;

use super::ast::{
    Comparator, Condition, Operand, Path, Projection, SetOperand, SetValue, Step, Type, Update,
};
use super::comparison;
use super::subject::ValueRef;
use super::{Refused, Subject};
use crate::model::limits::ITEM_BYTES_MAX;
use crate::model::{AttributeName, AttributeValue, Item, Number, codec};

fn name(text: &str) -> AttributeName {
    AttributeName::parse(text).expect("a name")
}

fn names() -> impl Strategy<Value = AttributeName> {
    prop::sample::select(vec!["a", "b", "c"]).prop_map(name)
}

fn scalars() -> impl Strategy<Value = AttributeValue> {
    prop_oneof![
        prop::sample::select(vec!["", "x", "xy", "é"]).prop_map(|text| AttributeValue::S(text.to_owned())),
        (-2i64..3).prop_map(|number| AttributeValue::N(Number::from(number))),
        vec(0u8..2, 0..3).prop_map(|bytes| AttributeValue::B(bytes.into())),
        any::<bool>().prop_map(AttributeValue::Bool),
        Just(AttributeValue::Null),
        btree_set(prop::sample::select(vec!["", "x", "xy"]), 1..3)
            .prop_map(|set| AttributeValue::Ss(set.into_iter().map(str::to_owned).collect())),
        btree_set(-2i64..3, 1..3)
            .prop_map(|set| AttributeValue::Ns(set.into_iter().map(Number::from).collect())),
        btree_set(vec(0u8..2, 0..2), 1..3)
            .prop_map(|set| AttributeValue::Bs(set.into_iter().map(Bytes::from).collect())),
    ]
}

fn values() -> impl Strategy<Value = AttributeValue> {
    scalars().prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            btree_map(names(), inner.clone(), 0..4).prop_map(AttributeValue::M),
            vec(inner, 0..4).prop_map(AttributeValue::L),
        ]
    })
}

fn items() -> impl Strategy<Value = Item> {
    btree_map(names(), values(), 0..4).prop_map(Item::from)
}

fn paths() -> impl Strategy<Value = Path> {
    let step = prop_oneof![names().prop_map(Step::Member), (0u32..5).prop_map(Step::Index)];
    (names(), vec(step, 0..3)).prop_map(|(name, steps)| Path { name, steps })
}

fn operands() -> impl Strategy<Value = Operand> {
    let plain = || prop_oneof![paths().prop_map(Operand::Path), values().prop_map(Operand::Value)];
    prop_oneof![3 => plain(), 1 => plain().prop_map(|operand| Operand::Size(Box::new(operand)))]
}

fn conditions() -> impl Strategy<Value = Condition> {
    use Comparator::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
    let comparator = prop::sample::select(vec![Equal, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual]);
    let types = prop::sample::select(vec![Type::S, Type::N, Type::B, Type::M, Type::L, Type::Ss, Type::Null]);
    let simple = prop_oneof![
        4 => (operands(), comparator, operands())
            .prop_map(|(left, comparator, right)| Condition::Compare(left, comparator, right)),
        1 => (operands(), operands(), operands()).prop_map(|(value, low, high)| Condition::Between(value, low, high)),
        1 => (operands(), vec(operands(), 1..4)).prop_map(|(value, list)| Condition::In(value, list)),
        1 => paths().prop_map(Condition::Exists),
        1 => paths().prop_map(Condition::NotExists),
        1 => (operands(), types).prop_map(|(value, expected)| Condition::Type(value, expected)),
        1 => (operands(), operands()).prop_map(|(value, prefix)| Condition::BeginsWith(value, prefix)),
        2 => (operands(), operands()).prop_map(|(value, member)| Condition::Contains(value, member)),
    ];
    simple.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 1..3).prop_map(Condition::And),
            vec(inner.clone(), 1..3).prop_map(Condition::Or),
            inner.prop_map(|condition| Condition::Not(Box::new(condition))),
        ]
    })
}

fn encode(item: &Item) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec::encode_item(item, &mut bytes);
    bytes
}

/// Those of the paths, of which none is in another one or takes for a map what another one takes for a list.
fn apart(paths: Vec<Path>) -> Vec<Path> {
    let mut kept: Vec<Path> = Vec::new();
    for path in paths {
        let differs = |other: &Path| {
            if path.name != other.name {
                return true;
            }
            match path.steps.iter().zip(&other.steps).find(|(left, right)| left != right) {
                Some((Step::Member(_), Step::Index(_)) | (Step::Index(_), Step::Member(_))) | None => false,
                Some(_) => true,
            }
        };
        if kept.iter().all(differs) {
            kept.push(path);
        }
    }
    kept
}

/// The model of projection: looks at every place in the item, whether it is asked for.
fn shown(value: &AttributeValue, at: &Path, paths: &[Path]) -> Option<AttributeValue> {
    if paths.contains(at) {
        return Some(value.clone());
    }
    let below = |step| Path { name: at.name.clone(), steps: [&at.steps[..], &[step]].concat() };
    match value {
        AttributeValue::M(map) => {
            let members = map.iter().filter_map(|(name, value)| {
                Some((name.clone(), shown(value, &below(Step::Member(name.clone())), paths)?))
            });
            Some(members.collect())
                .filter(|map: &std::collections::BTreeMap<_, _>| !map.is_empty())
                .map(AttributeValue::M)
        }
        AttributeValue::L(list) => {
            let elements =
                (0..).zip(list).filter_map(|(index, value)| shown(value, &below(Step::Index(index)), paths));
            Some(elements.collect()).filter(|list: &Vec<_>| !list.is_empty()).map(AttributeValue::L)
        }
        _ => None,
    }
}

/// The model of updates: builds the new value from the old one, place by place.
struct Rebuild<'a> {
    puts: &'a [(Path, AttributeValue)],
    removals: &'a [Path],
}

impl Rebuild<'_> {
    fn value(&self, value: Option<&AttributeValue>, at: &Path) -> Option<AttributeValue> {
        if self.removals.contains(at) {
            return None;
        }
        if let Some((_, put)) = self.puts.iter().find(|(path, _)| path == at) {
            return Some(put.clone());
        }
        let below = |step| Path { name: at.name.clone(), steps: [&at.steps[..], &[step]].concat() };
        match value? {
            AttributeValue::M(map) => {
                let all = ["a", "b", "c"].map(name);
                let members = all.into_iter().filter_map(|name| {
                    Some((name.clone(), self.value(map.get(&name), &below(Step::Member(name)))?))
                });
                Some(AttributeValue::M(members.collect()))
            }
            AttributeValue::L(list) => {
                let elements = (0..5u32.max(list.len() as u32))
                    .filter_map(|index| self.value(list.get(index as usize), &below(Step::Index(index))));
                Some(AttributeValue::L(elements.collect()))
            }
            scalar => Some(scalar.clone()),
        }
    }

    fn item(&self, item: &Item) -> Item {
        let all = ["a", "b", "c"].map(name).into_iter();
        all.filter_map(|name| {
            let at = Path { name: name.clone(), steps: Vec::new() };
            Some((name.clone(), self.value(item.get(&name), &at)?))
        })
        .collect()
    }
}

/// Whether a put or a removal has something to be put in or removed from.
fn has_parent(item: &Item, path: &Path) -> bool {
    let Some((last, way)) = path.steps.split_last() else { return true };
    let parent = Path { name: path.name.clone(), steps: way.to_vec() };
    let parent = Subject::Item(item).resolve(&parent).expect("a built item is sound");
    matches!(
        (parent, last),
        (Some(ValueRef::Built(AttributeValue::M(_))), Step::Member(_))
            | (Some(ValueRef::Built(AttributeValue::L(_))), Step::Index(_))
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn conditions_agree(item in items(), conditions in vec(conditions(), 1..8)) {
        let bytes = encode(&item);
        for condition in conditions {
            let built = condition.holds(Subject::Item(&item));
            prop_assert!(built.is_ok());
            prop_assert_eq!(condition.holds(Subject::Encoded(&bytes)), built, "{:?}", condition);
        }
    }

    #[test]
    fn values_agree(left in values(), right in values()) {
        let (mut stored_left, mut stored_right) = (Vec::new(), Vec::new());
        codec::encode_value(&left, &mut stored_left);
        codec::encode_value(&right, &mut stored_right);
        let lefts = [ValueRef::Built(&left), ValueRef::Stored(&stored_left)];
        let rights = [ValueRef::Built(&right), ValueRef::Stored(&stored_right)];
        for (one, other) in lefts.iter().flat_map(|one| rights.iter().map(move |other| (*one, *other))) {
            prop_assert_eq!(comparison::equal(one, other), Ok(left == right));
            let contains = comparison::contains(lefts[0], rights[0]);
            prop_assert_eq!(comparison::contains(one, other), contains);
        }
        prop_assert_eq!(comparison::equal(lefts[0], lefts[1]), Ok(true));
        prop_assert_eq!(comparison::size(lefts[0]), comparison::size(lefts[1]));
    }

    #[test]
    fn parts_of_binaries_are_found(whole in vec(0u8..2, 0..24), part in vec(0u8..2, 0..6)) {
        let expected = part.is_empty() || whole.windows(part.len()).any(|window| window == part);
        let (whole, part) = (AttributeValue::B(whole.into()), AttributeValue::B(part.into()));
        prop_assert_eq!(comparison::contains(ValueRef::Built(&whole), ValueRef::Built(&part)), Ok(expected));
    }

    #[test]
    fn projections_are_the_models(item in items(), paths in vec(paths(), 1..6)) {
        let projection = Projection { paths: apart(paths) };
        let expected: Item = item.iter().filter_map(|(name, value)| {
            let at = Path { name: name.clone(), steps: Vec::new() };
            Some((name.clone(), shown(value, &at, &projection.paths)?))
        }).collect();
        let bytes = encode(&item);
        prop_assert_eq!(projection.project(Subject::Item(&item)), Ok(expected.clone()));
        prop_assert_eq!(projection.project(Subject::Encoded(&bytes)), Ok(expected.clone()));
        prop_assert_eq!(projection.project_encoded(&bytes), Ok(encode(&expected).into()));
    }

    #[test]
    fn updates_are_the_models(
        item in items(), paths in vec((paths(), any::<bool>()), 1..12), all_sound in prop::bool::weighted(0.9),
    ) {
        let sets: Vec<bool> = paths.iter().map(|(_, sets)| *sets).collect();
        let wanted = paths.into_iter().map(|(path, _)| path).filter(|path| !all_sound || has_parent(&item, path));
        let (mut puts, mut removals) = (Vec::new(), Vec::new());
        for (n, (path, sets)) in apart(wanted.collect()).into_iter().zip(sets).enumerate() {
            if sets { puts.push((path, AttributeValue::N(Number::from(n as u64)))) } else { removals.push(path) }
        }
        let set = |(path, value): &(Path, AttributeValue)| {
            (path.clone(), SetValue::Operand(SetOperand::Value(value.clone())))
        };
        let update = Update { set: puts.iter().map(set).collect(), remove: removals.clone(), ..Update::default() };
        let new = update.apply(&Item::new(), Some(item.clone()));
        let sound = puts.iter().map(|(path, _)| path).chain(&removals).all(|path| has_parent(&item, path));
        let expected = if sound {
            Ok(Some(Rebuild { puts: &puts, removals: &removals }.item(&item)))
        } else {
            Err(Refused::PathInvalid)
        };
        prop_assert_eq!(new, expected);
    }

    #[test]
    fn damaged_items_are_answered_or_corrupt(
        item in items(), condition in conditions(), paths in vec(paths(), 1..4), at in any::<prop::sample::Index>(), byte: u8,
    ) {
        let mut bytes = encode(&item);
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let projection = Projection { paths: apart(paths) };
        let _ = condition.holds(Subject::Encoded(&bytes));
        let _ = projection.project(Subject::Encoded(&bytes));
        let _ = projection.project_encoded(&bytes);
        bytes.truncate(at.index(bytes.len() + 1));
        let _ = condition.holds(Subject::Encoded(&bytes));
        let _ = projection.project(Subject::Encoded(&bytes));
    }
}

#[test]
fn damage_that_is_looked_at_is_told() {
    let value = AttributeValue::L(vec![AttributeValue::Null, AttributeValue::Bool(true)]);
    let item: Item = [(name("a"), AttributeValue::Null), (name("l"), value)].into_iter().collect();
    let mut bytes = encode(&item);
    *bytes.last_mut().expect("bytes") = 7;
    let path = |text, steps| Path { name: name(text), steps };
    let equal = |path| {
        let value = Operand::Value(AttributeValue::Bool(true));
        Condition::Compare(Operand::Path(path), Comparator::Equal, value).holds(Subject::Encoded(&bytes))
    };
    assert_eq!(equal(path("a", vec![])), Ok(false), "not looked at");
    assert!(equal(path("l", vec![Step::Index(1)])).is_err());
    let show = |paths| Projection { paths }.project(Subject::Encoded(&bytes));
    assert!(show(vec![path("a", vec![])]).is_ok());
    assert!(show(vec![path("l", vec![])]).is_err());
    let cut = &bytes[..bytes.len() - 1];
    assert!(Condition::Exists(path("l", vec![])).holds(Subject::Encoded(cut)).is_err());
    assert!(Projection { paths: vec![path("l", vec![])] }.project_encoded(cut).is_err());
}

#[test]
fn elements_behind_damage_are_corrupt_not_missing() {
    // A list whose first element claims more bytes than there are.
    let bytes = [0x0A, 9, 0x0A, 1, b'l', 0x12, 4, 0x3A, 2, 0x0A, 9];
    let path = Path { name: name("l"), steps: vec![Step::Index(1)] };
    assert!(Condition::Exists(path.clone()).holds(Subject::Encoded(&bytes)).is_err());
    assert!(Projection { paths: vec![path.clone()] }.project(Subject::Encoded(&bytes)).is_err());
    let path = Path { steps: vec![], ..path };
    let operand = || Operand::Path(path.clone());
    let null = || Operand::Value(AttributeValue::Null);
    assert!(Condition::Contains(operand(), null()).holds(Subject::Encoded(&bytes)).is_err());
    let size = Condition::Compare(Operand::Size(Box::new(operand())), Comparator::Equal, null());
    assert!(size.holds(Subject::Encoded(&bytes)).is_err());
}

#[test]
fn copies_of_a_large_attribute_are_refused_before_they_pile_up() {
    let large = AttributeValue::L(vec![AttributeValue::Null; ITEM_BYTES_MAX / 4]);
    let item: Item = [(name("a"), large)].into_iter().collect();
    let path = |text: &str| Path { name: name(text), steps: Vec::new() };
    let copies = |count: usize| {
        let copy = SetValue::Operand(SetOperand::Path(path("a")));
        let set = (0..count).map(|n| (path(&format!("b{n}")), copy.clone())).collect();
        Update { set, ..Update::default() }
    };
    assert!(copies(1).apply(&Item::new(), Some(item.clone())).is_ok());
    assert_eq!(copies(30).apply(&Item::new(), Some(item)), Err(Refused::TooLarge));
    assert_eq!(Refused::TooLarge.to_string(), "Item size to update has exceeded the maximum allowed size");
}

#[test]
fn hostile_patterns_take_linear_time() {
    let zeros = |count: usize, end: u8| {
        let mut bytes = vec![0; count];
        bytes.push(end);
        AttributeValue::B(bytes.into())
    };
    let (whole, part) = (zeros(400_000, 0), zeros(200_000, 1));
    for _ in 0..20 {
        assert_eq!(comparison::contains(ValueRef::Built(&whole), ValueRef::Built(&part)), Ok(false));
    }
}
