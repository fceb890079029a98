//! Filters against a matcher that does it all the long way round: the event as JSON, taken apart into values with the
//! paths and the list elements they are in; the pattern as every combination of its choices; every way to find the
//! one in the other tried.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::subject::tests::{event, everything, record, subject};
use super::{Filter, Identity, Subject};
use crate::model::StreamViewType;

/// A value of the event: its path, in which list elements it is (the path of the list and the index), and itself.
#[derive(Clone, Debug)]
struct Leaf {
    path: Vec<String>,
    elements: Vec<(String, usize)>,
    value: Value,
}

fn take_apart(at: &mut Leaf, place: &str, value: &Value, leaves: &mut Vec<Leaf>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                at.path.push(name.clone());
                take_apart(at, &format!("{place}/{name:?}"), member, leaves);
                at.path.pop();
            }
        }
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                if element.is_object() {
                    at.elements.push((place.to_owned(), index));
                    take_apart(at, &format!("{place}/{index}"), element, leaves);
                    at.elements.pop();
                } else {
                    leaves.push(Leaf { value: element.clone(), ..at.clone() });
                }
            }
        }
        scalar => leaves.push(Leaf { value: scalar.clone(), ..at.clone() }),
    }
}

/// What one choice of branches asks: paths, and what each allows.
type Demands = Vec<(Vec<String>, Vec<Value>)>;

const KEYWORDS: [&str; 9] = [
    "exactly",
    "prefix",
    "suffix",
    "equals-ignore-case",
    "anything-but",
    "numeric",
    "exists",
    "wildcard",
    "cidr",
];

fn all_choices(path: &[String], pattern: &Value) -> Vec<Demands> {
    let mut all: Vec<Demands> = vec![vec![]];
    for (name, value) in pattern.as_object().expect("an object") {
        let here = [path, std::slice::from_ref(name)].concat();
        let branches = value.as_array().filter(|branches| {
            let plain = |branch: &Value| {
                branch
                    .as_object()
                    .is_some_and(|object| !KEYWORDS.iter().any(|word| object.contains_key(*word)))
            };
            name == "$or" && branches.len() > 1 && branches.iter().all(plain)
        });
        let here: Vec<Demands> = match (branches, value) {
            (Some(branches), _) => branches.iter().flat_map(|branch| all_choices(path, branch)).collect(),
            (None, Value::Array(alternatives)) => vec![vec![(here, alternatives.clone())]],
            (None, inner) => all_choices(&here, inner),
        };
        all = all.iter().flat_map(|left| here.iter().map(|right| [&left[..], right].concat())).collect();
    }
    all
}

/// Elements of lists that may be chosen together.
fn together(a: &[(String, usize)], b: &[(String, usize)]) -> bool {
    a.iter().all(|(list, index)| b.iter().all(|(other, at)| list != other || index == at))
}

/// Tries every value for the first demand and so on; those of absence last, as they look at what was chosen.
fn found(
    subject: &Subject<'_>,
    leaves: &[Leaf],
    demands: &[(Vec<String>, Vec<Value>)],
    chosen: &[(String, usize)],
    absent: &[Vec<String>],
) -> bool {
    let Some(((path, alternatives), rest)) = demands.split_first() else {
        return absent
            .iter()
            .all(|path| !leaves.iter().any(|leaf| leaf.path == *path && together(&leaf.elements, chosen)));
    };
    if path.len() == 1 && path[0] == "changed" {
        return alternatives.iter().any(|name| changed(subject, name))
            && found(subject, leaves, rest, chosen, absent);
    }
    let present = leaves.iter().filter(|leaf| {
        leaf.path == *path
            && together(&leaf.elements, chosen)
            && alternatives.iter().any(|test| holds(test, path.last().expect("a name"), &leaf.value))
    });
    present.into_iter().any(|leaf| {
        let chosen = [chosen, &leaf.elements].concat();
        found(subject, leaves, rest, &chosen, absent)
    }) || (alternatives.contains(&json!({"exists": false}))
        && found(subject, leaves, rest, chosen, &[absent, std::slice::from_ref(path)].concat()))
}

fn changed(subject: &Subject<'_>, name: &Value) -> bool {
    let event = event(subject);
    let of = |image: &str| event["dynamodb"][image].get(name.as_str().expect("a name")).cloned();
    event["dynamodb"]["StreamViewType"] == "NEW_AND_OLD_IMAGES" && of("OldImage") != of("NewImage")
}

fn holds(test: &Value, kind: &str, value: &Value) -> bool {
    let Some((operator, operand)) = test.as_object().and_then(|object| object.iter().next()) else {
        return match (test, value) {
            (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
            _ => test == value,
        };
    };
    let text = value.as_str();
    let lower = |text: &str| text.to_lowercase();
    let several = |operand: &Value| operand.as_array().cloned().unwrap_or_else(|| vec![operand.clone()]);
    match (operator.as_str(), operand) {
        ("exists", wanted) => wanted == &json!(true),
        ("prefix", Value::String(prefix)) => text.is_some_and(|text| text.starts_with(prefix)),
        ("suffix", Value::String(suffix)) => text.is_some_and(|text| text.ends_with(suffix)),
        ("prefix", inner) => text.is_some_and(|text| {
            lower(text).starts_with(&lower(inner["equals-ignore-case"].as_str().expect("a text")))
        }),
        ("suffix", inner) => text.is_some_and(|text| {
            lower(text).ends_with(&lower(inner["equals-ignore-case"].as_str().expect("a text")))
        }),
        ("equals-ignore-case", wanted) => {
            text.is_some_and(|text| lower(text) == lower(wanted.as_str().expect("a text")))
        }
        ("wildcard", glob) => text.is_some_and(|text| fits(glob.as_str().expect("a text"), text)),
        ("anything-but", Value::Object(inner)) => {
            let (operator, operands) = inner.iter().next().expect("an operator");
            !several(operands).iter().any(|operand| holds(&json!({ operator: operand }), kind, value))
        }
        ("anything-but", operands) => !several(operands).iter().any(|operand| holds(operand, kind, value)),
        ("numeric", range) => value.as_f64().is_some_and(|value| within(range, value)),
        ("decimal", range) => match value {
            Value::Number(number) => number.as_f64().is_some_and(|value| within(range, value)),
            Value::String(text) if matches!(kind, "N" | "NS") => {
                within(range, text.parse().expect("a number"))
            }
            _ => false,
        },
        ("cidr", network) => text.is_some_and(|text| {
            let (base, bits) = network.as_str().and_then(|text| text.split_once('/')).expect("a network");
            let binary = |text: &str| -> Option<String> {
                let parts: Option<Vec<u8>> = text.split('.').map(|part| part.parse().ok()).collect();
                parts
                    .filter(|parts| parts.len() == 4)
                    .map(|parts| parts.iter().map(|part| format!("{part:08b}")).collect())
            };
            let bits: usize = bits.parse().expect("bits");
            binary(text).is_some_and(|text| text[..bits] == binary(base).expect("an address")[..bits])
        }),
        other => panic!("no operator: {other:?}"),
    }
}

fn fits(glob: &str, text: &str) -> bool {
    match glob.chars().next() {
        None => text.is_empty(),
        Some('*') => (0..=text.len()).any(|at| text.is_char_boundary(at) && fits(&glob[1..], &text[at..])),
        Some(char) => text.strip_prefix(char).is_some_and(|text| fits(&glob[char.len_utf8()..], text)),
    }
}

fn within(range: &Value, value: f64) -> bool {
    let number = |value: &Value| value.as_f64().or_else(|| value.as_str()?.parse().ok()).expect("a number");
    range.as_array().expect("an array").chunks(2).all(|pair| match pair[0].as_str().expect("a comparison") {
        "=" => value == number(&pair[1]),
        "<" => value < number(&pair[1]),
        "<=" => value <= number(&pair[1]),
        ">" => value > number(&pair[1]),
        ">=" => value >= number(&pair[1]),
        other => panic!("no comparison: {other}"),
    })
}

fn passes_the_long_way(patterns: &[Value], subject: &Subject<'_>) -> bool {
    let mut leaves = Vec::new();
    let mut at = Leaf { path: vec![], elements: vec![], value: Value::Null };
    take_apart(&mut at, "", &event(subject), &mut leaves);
    let choices = patterns.iter().flat_map(|pattern| all_choices(&[], pattern));
    patterns.is_empty() || choices.into_iter().any(|demands| found(subject, &leaves, &demands, &[], &[]))
}

fn text() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["", "a", "A", "ab", "b", "1", "10.0.0.1", "10.1.0.1"]).prop_map(str::to_owned)
}

fn number() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["0", "1", "2.5", "-3", "10"]).prop_map(str::to_owned)
}

fn attribute_name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "c", "L", "S"])
}

fn attribute_value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        6 => text().prop_map(|text| json!({ "S": text })),
        4 => number().prop_map(|text| json!({ "N": text })),
        1 => any::<bool>().prop_map(|value| json!({ "BOOL": value })),
        1 => Just(json!({ "NULL": true })),
        1 => Just(json!({ "B": "AP8=" })),
        1 => prop::collection::btree_set(text(), 1..3).prop_map(|set| json!({ "SS": set })),
        1 => prop::collection::btree_set(number(), 1..3).prop_map(|set| json!({ "NS": set })),
    ];
    scalar.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            3 => prop::collection::vec(inner.clone(), 0..4).prop_map(|list| json!({ "L": list })),
            1 => prop::collection::btree_map(attribute_name(), inner, 0..3).prop_map(|map| json!({ "M": map })),
        ]
    })
}

fn image() -> impl Strategy<Value = Value> {
    prop::collection::btree_map(attribute_name(), attribute_value(), 0..4).prop_map(|item| json!(item))
}

fn range() -> impl Strategy<Value = Value> {
    let one = (prop::sample::select(vec!["=", "<", "<=", ">", ">="]), -3..12i32);
    let two = (prop::bool::ANY, -3..5i32, prop::bool::ANY, 5..90i32);
    prop_oneof![
        one.prop_map(|(comparison, bound)| json!([comparison, bound])),
        two.prop_map(|(a, low, b, high)| json!([
            if a { ">" } else { ">=" },
            low,
            if b { "<" } else { "<=" },
            high
        ])),
    ]
}

fn test() -> impl Strategy<Value = Value> {
    let texts =
        prop_oneof![text().prop_map(Value::from), prop::collection::vec(text(), 1..3).prop_map(Value::from)];
    let glob = prop::sample::select(vec!["a*", "*b", "*", "a", "1*1", "*.0.*"]);
    let operator = prop::sample::select(vec!["prefix", "suffix", "equals-ignore-case"]);
    let inner = (prop::sample::select(vec!["prefix", "suffix", "equals-ignore-case"]), text()).prop_map(
        |(operator, text)| json!({ operator: if text.is_empty() { "a".to_owned() } else { text } }),
    );
    prop_oneof![
        8 => text().prop_map(Value::from),
        2 => number().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        1 => prop::sample::select(vec![json!(80), json!(80.0), json!(5), json!(1_700_000_000)]),
        4 => any::<bool>().prop_map(|wanted| json!({ "exists": wanted })),
        3 => (operator, text()).prop_map(|(operator, text)| json!({ operator: text })),
        1 => (prop::sample::select(vec!["prefix", "suffix"]), text())
            .prop_map(|(operator, text)| json!({ operator: { "equals-ignore-case": text } })),
        1 => glob.clone().prop_map(|glob| json!({ "wildcard": glob })),
        2 => texts.prop_map(|texts| json!({ "anything-but": texts })),
        1 => prop::collection::vec(0..90i32, 1..3).prop_map(|numbers| json!({ "anything-but": numbers })),
        1 => inner.prop_map(|inner| json!({ "anything-but": inner })),
        1 => glob.prop_map(|glob| json!({ "anything-but": { "wildcard": glob } })),
        1 => range().prop_map(|range| json!({ "numeric": range })),
        2 => range().prop_map(|range| json!({ "decimal": range })),
        1 => prop::sample::select(vec!["10.0.0.0/8", "10.0.0.0/16"]).prop_map(|network| json!({ "cidr": network })),
    ]
}

fn leaf() -> impl Strategy<Value = Value> {
    prop::collection::vec(test(), 1..4).prop_map(Value::from)
}

/// Fields of attributes, or of what lies in an attribute value; both, as names are shared.
fn fields() -> impl Strategy<Value = Value> {
    let end = prop_oneof![
        leaf(),
        leaf().prop_map(|leaf| json!({ "S": leaf })),
        leaf().prop_map(|leaf| json!({ "N": leaf })),
        leaf().prop_map(|leaf| json!({ "SS": leaf })),
        (leaf(), leaf()).prop_map(|(a, b)| json!({ "S": a, "N": b })),
    ];
    end.prop_recursive(4, 10, 3, |inner| {
        let names = prop::sample::select(vec!["a", "b", "L", "L", "M", "S"]);
        let object = prop::collection::btree_map(names, inner, 1..3).prop_map(|map| json!(map));
        let branches = prop::collection::vec(object.clone(), 2..4);
        prop_oneof![
            2 => object.clone(),
            1 => (object, branches).prop_map(|(object, branches)| {
                let mut object = object;
                object["$or"] = branches.into_iter().filter(Value::is_object).collect();
                object
            }),
        ]
    })
}

fn pattern() -> impl Strategy<Value = Value> {
    let part = prop_oneof![
        4 => fields().prop_map(|fields| json!({ "dynamodb": { "NewImage": fields } })),
        1 => fields().prop_map(|fields| json!({ "dynamodb": { "OldImage": fields } })),
        1 => leaf().prop_map(|leaf| json!({ "dynamodb": { "SizeBytes": leaf } })),
        1 => prop::collection::vec(attribute_name(), 1..3).prop_map(|names| json!({ "changed": names })),
        1 => prop::sample::select(vec!["INSERT", "MODIFY", "REMOVE"]).prop_map(|name| json!({ "eventName": [name] })),
        1 => leaf().prop_map(|leaf| json!({ "userIdentity": { "type": leaf } })),
    ];
    let branches = prop::collection::vec(part.clone(), 2..4);
    (part, prop::option::of(branches)).prop_map(|(part, branches)| {
        let mut part = part;
        if let Some(branches) = branches {
            part["$or"] = json!(branches);
        }
        part
    })
}

/// A list of few different things, and patterns of it that find some: choices beside, around and in it.
fn list_image() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        2 => prop::sample::select(vec!["a", "b"]).prop_map(|text| json!({ "S": text })),
        1 => prop::sample::select(vec!["1", "2"]).prop_map(|text| json!({ "N": text })),
        1 => Just(json!({ "SS": ["a", "b"] })),
    ];
    let map = prop::collection::btree_map(prop::sample::select(vec!["x", "y"]), scalar.clone(), 1..3);
    let element = prop_oneof![scalar, map.prop_map(|map| json!({ "M": map }))];
    let list = prop::collection::vec(element.clone(), 0..4).prop_map(|list| json!({ "L": list }));
    prop::collection::vec(prop_oneof![3 => element, 1 => list], 0..9)
        .prop_map(|list| json!({ "a": { "L": list } }))
}

fn list_pattern() -> impl Strategy<Value = Value> {
    let text = || {
        prop::collection::vec(
            prop_oneof![
                4 => prop::sample::select(vec!["a", "b"]).prop_map(Value::from),
                1 => any::<bool>().prop_map(|wanted| json!({ "exists": wanted })),
            ],
            1..3,
        )
    };
    let number = || {
        prop::collection::vec(
            prop_oneof![
                1 => prop::sample::select(vec!["1", "2"]).prop_map(Value::from),
                1 => any::<bool>().prop_map(|wanted| json!({ "exists": wanted })),
            ],
            1..2,
        )
    };
    let map = prop_oneof![
        text().prop_map(|leaf| json!({ "x": { "S": leaf } })),
        (text(), text()).prop_map(|(x, y)| json!({ "x": { "S": x }, "y": { "S": y } })),
        (text(), number()).prop_map(|(x, y)| json!({ "x": { "S": x }, "y": { "N": y } })),
    ];
    let flat = prop_oneof![
        text().prop_map(|leaf| json!({ "S": leaf })),
        number().prop_map(|leaf| json!({ "N": leaf })),
        text().prop_map(|leaf| json!({ "SS": leaf })),
        map.prop_map(|map| json!({ "M": map })),
    ];
    let with_or = |object: BoxedStrategy<Value>| {
        (object.clone(), prop::option::weighted(0.25, prop::collection::vec(object, 2..4))).prop_map(
            |(object, or)| {
                let mut object = object;
                if let Some(branches) = or {
                    object["$or"] = json!(branches);
                }
                object
            },
        )
    };
    let element = with_or(flat.boxed());
    let nested = (element.clone(), prop::option::weighted(0.15, element)).prop_map(|(object, inner)| {
        let mut object = object;
        if let Some(inner) = inner {
            object["L"] = inner;
        }
        object
    });
    let attribute = with_or(nested.prop_map(|element| json!({ "L": element })).boxed());
    let image = with_or(attribute.prop_map(|value| json!({ "a": value })).boxed());
    with_or(image.prop_map(|image| json!({ "dynamodb": { "NewImage": image } })).boxed())
}

/// Any JSON, of the words that patterns are made of.
fn any_json() -> impl Strategy<Value = Value> {
    let words = vec![
        "dynamodb",
        "NewImage",
        "L",
        "M",
        "S",
        "N",
        "a",
        "$or",
        "changed",
        "exists",
        "prefix",
        "suffix",
        "numeric",
        "decimal",
        "anything-but",
        "wildcard",
        "cidr",
        "equals-ignore-case",
        "eventName",
        ">",
        "<",
        "=",
        "1",
        "10.0.0.0/8",
        "a*",
        "\\",
        "",
        "$serde_json::private::Number",
    ];
    let word = prop::sample::select(words);
    let scalar = prop_oneof![
        word.clone().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
    ];
    scalar.prop_recursive(6, 40, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(word.clone(), inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

fn parse(patterns: &[Value]) -> Filter {
    let texts: Vec<String> = patterns.iter().map(Value::to_string).collect();
    Filter::parse(&texts).unwrap_or_else(|error| panic!("{texts:?}: {}", error.reason))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn filters_pass_what_passes_the_long_way(
        patterns in prop::collection::vec(pattern(), 0..3),
        old in prop::option::of(image()),
        new in prop::option::of(image()),
        all in any::<bool>(),
        expired in any::<bool>(),
    ) {
        let (old, new) = (json!(old), json!(new));
        let record = record(&json!({"id": {"S": "a"}}), &old, &new);
        let identity = expired.then_some(Identity::TIME_TO_LIVE);
        let view_type = if all { StreamViewType::NewAndOldImages } else { StreamViewType::NewImage };
        let subject = Subject { view_type, identity, ..subject(&record) };
        let filter = parse(&patterns);
        prop_assert_eq!(filter.matches(&subject).expect("sound"), passes_the_long_way(&patterns, &subject));
    }

    #[test]
    fn lists_are_searched_as_the_long_way(pattern in list_pattern(), new in list_image()) {
        let record = record(&json!({"id": {"S": "a"}}), &Value::Null, &new);
        let patterns = [pattern];
        let texts = patterns.each_ref().map(Value::to_string);
        let Ok(filter) = Filter::parse(&texts) else { return Err(TestCaseError::reject("too much to multiply out")) };
        let passes = filter.matches(&subject(&record)).expect("sound");
        prop_assert_eq!(passes, passes_the_long_way(&patterns, &subject(&record)));
    }

    #[test]
    fn what_parses_can_be_matched_with(json in any_json(), damage in prop::option::of((any::<prop::sample::Index>(), any::<u8>()))) {
        let mut record = record(&json!({"id": {"S": "a"}}), &Value::Null, &everything());
        if let (Some((at, byte)), Some(image)) = (damage, &mut record.new_image) {
            let mut bytes = image.to_vec();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            *image = bytes.into();
        }
        for text in [json.to_string(), json!({ "dynamodb": { "NewImage": json } }).to_string()] {
            if let Ok(filter) = Filter::parse(&[text]) {
                let _ = filter.matches(&subject(&record));
            }
        }
    }

    #[test]
    fn hostile_text_is_no_pattern_but_never_a_panic(text in "[\\[\\]{}\":,a$0-9e.\\\\ -]{0,60}") {
        let _ = Filter::parse(&[text]);
    }
}

/// The generators reach both answers, and lists: else agreement says little.
#[test]
fn generated_cases_are_worth_something() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let mut passed = [[0; 2]; 2];
    for _ in 0..300 {
        let any = (pattern().new_tree(&mut runner), image().new_tree(&mut runner));
        let list = (list_pattern().new_tree(&mut runner), list_image().new_tree(&mut runner));
        let any = (any.0.expect("a pattern").current(), any.1.expect("an image").current());
        let list = (list.0.expect("a pattern").current(), list.1.expect("an image").current());
        for (kind, (pattern, new)) in [any, list].into_iter().enumerate() {
            let record = record(&json!({"id": {"S": "a"}}), &Value::Null, &new);
            if let Ok(filter) = Filter::parse(&[pattern.to_string()]) {
                passed[kind][usize::from(filter.matches(&subject(&record)).expect("sound"))] += 1;
            }
        }
    }
    assert!(passed.iter().flatten().all(|count| *count > 30), "{passed:?}");
}
