//! Limits, at their edges; hostile texts; that what is printed parses to the same.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::ast::Comparator;
use super::syntax::{Call, Clause, Condition, Function, Name, Operand, Path, SetValue, Step, Tree, Update};
use super::{
    DEPTH_MAX, EXPRESSION_BYTES_MAX, IN_OPERANDS_MAX, Kind, OPERATORS_MAX, PATH_LEVELS_MAX, Parsed,
    Placeholders, Refused, Subject, ast, parse,
};
use crate::model::{AttributeName, Item};

const KINDS: [Kind; Kind::COUNT] =
    [Kind::Condition, Kind::Filter, Kind::KeyCondition, Kind::Update, Kind::Projection];

/// The message of an error, or nothing.
fn fault(kind: Kind, text: &str) -> String {
    parse(kind, text).map_or_else(|error| error.to_string(), |_| String::new())
}

/// The same, of a text without placeholders that is bound as well.
fn bound_fault(text: &str) -> String {
    let bound = parse(Kind::Condition, text).and_then(|parsed| no_placeholders().condition(&parsed));
    bound.map_or_else(|error| error.to_string(), |_| String::new())
}

fn no_placeholders() -> Placeholders {
    Placeholders::new(None, None).expect("nothing is wrong with nothing")
}

#[test]
fn size_is_checked_before_anything_else() {
    let text = format!("a = b{}", " ".repeat(EXPRESSION_BYTES_MAX - 5));
    assert_eq!(fault(Kind::Condition, &text), "");
    for kind in KINDS {
        let text = "(".repeat(15_000);
        let expected = "Expression size has exceeded the maximum allowed size; expression size: 15000";
        assert_eq!(fault(kind, &text), format!("Invalid {}: {expected}", kind.parameter()));
    }
    let expected = "Invalid ConditionExpression: Expression size has exceeded the maximum allowed size; expression size: 4097";
    assert_eq!(fault(Kind::Condition, &format!("{text} ")), expected);
    // Bytes count, not characters.
    let text = format!("a = b {}", "é".repeat(2046));
    assert!(fault(Kind::Condition, &text).ends_with("expression size: 4098"));
}

#[test]
fn operators_are_counted() {
    let too_many = "The expression contains too many operators; operator count: 301";
    // 150 comparisons and the 149 words between.
    let joined = |count| vec!["a<b"; count].join(" or ");
    assert_eq!(fault(Kind::Condition, &joined(150)), "");
    assert_eq!(fault(Kind::Condition, &format!("not {}", joined(150))), "");
    assert_eq!(
        fault(Kind::Condition, &format!("not not {}", joined(150))),
        format!("Invalid ConditionExpression: {too_many}")
    );
    assert_eq!(fault(Kind::Filter, &joined(151)), format!("Invalid FilterExpression: {too_many}"));
    assert_eq!(
        fault(Kind::KeyCondition, &joined(400)),
        format!("Invalid KeyConditionExpression: {too_many}")
    );
    // Neither parentheses nor functions count in conditions; BETWEEN and IN are one each.
    let nested = |levels| format!("a<b {}{}", "or (a<b ".repeat(levels), ")".repeat(levels));
    assert_eq!(fault(Kind::Condition, &nested(149)), "");
    assert!(fault(Kind::Condition, &nested(454)).ends_with(too_many));
    let functions = vec!["contains(a,b)"; 240].join("or ");
    assert_eq!(fault(Kind::Condition, &functions), "");
    let ranges = vec!["a between b and c"; 150].join(" or ");
    assert_eq!(fault(Kind::Condition, &ranges), "");
    let members = vec!["a in(b,c)"; 150].join(" or ");
    assert_eq!(fault(Kind::Condition, &members), "");
    assert!(fault(Kind::Condition, &format!("{members} or a in(b)")).ends_with(too_many));
    assert!(fault(Kind::Condition, &format!("{}a<b", "not ".repeat(1000))).ends_with(too_many));
    // Sums and functions count in updates; the equals signs do not.
    let sums = |count| format!("SET {}", vec!["a=b+c"; count].join(","));
    assert_eq!(fault(Kind::Update, &sums(OPERATORS_MAX)), "");
    assert!(fault(Kind::Update, &sums(OPERATORS_MAX + 1)).ends_with(too_many));
    let defaults = "if_not_exists(b,".repeat(60) + "c" + &")".repeat(60);
    assert_eq!(fault(Kind::Update, &format!("SET a={defaults}+b")), "");
    let calls = |count| format!("SET {}", vec!["a=list_append(b,c)+d"; count].join(","));
    assert_eq!(fault(Kind::Update, &calls(OPERATORS_MAX / 2)), "");
    assert!(fault(Kind::Update, &calls(OPERATORS_MAX / 2 + 1)).ends_with(too_many));
    let copies = format!("SET {}", vec!["a=b"; 1000].join(","));
    assert_eq!(fault(Kind::Update, &copies), "");
}

#[test]
fn members_of_in_are_counted() {
    let members = |count| format!("a IN ({})", vec!["b.c"; count].join(","));
    assert_eq!(bound_fault(&members(IN_OPERANDS_MAX - 1)), "");
    assert_eq!(
        bound_fault(&members(IN_OPERANDS_MAX)),
        "Invalid ConditionExpression: The IN operator is provided with too many operands; number of operands: 101"
    );
}

#[test]
fn levels_of_paths_are_counted() {
    let path = |levels: usize| format!("a{}", ".b".repeat(levels - 1));
    assert_eq!(fault(Kind::Projection, &path(PATH_LEVELS_MAX)), "");
    let expected = "The document path has too many nesting levels; nesting levels: 33";
    let too_deep = path(PATH_LEVELS_MAX + 1);
    assert_eq!(fault(Kind::Projection, &too_deep), format!("Invalid ProjectionExpression: {expected}"));
    assert_eq!(
        fault(Kind::Update, &format!("REMOVE {too_deep}")),
        format!("Invalid UpdateExpression: {expected}")
    );
    let indexes = format!("a{} = b", "[0]".repeat(32));
    assert_eq!(fault(Kind::Condition, &indexes), format!("Invalid ConditionExpression: {expected}"));
    let continued = format!("(a{}).b[0] = c", ".b".repeat(30));
    assert_eq!(fault(Kind::Condition, &continued), format!("Invalid ConditionExpression: {expected}"));
}

#[test]
fn list_indexes_are_bounded() {
    assert_eq!(fault(Kind::Projection, "a[0000000000000000002147483647], a[0]"), "");
    for index in ["2147483648", "4294967296", "99999999999999999999999999"] {
        let expected = format!(
            "Invalid ProjectionExpression: List index is not within the allowable range; index: [{index}]"
        );
        assert_eq!(fault(Kind::Projection, &format!("a[{index}]")), expected);
    }
}

#[test]
fn nesting_costs_no_stack() {
    // As much as threads have, and less than they have where it matters.
    let thread = std::thread::Builder::new().stack_size(1 << 20);
    let checks = || {
        let redundant = format!("{}a<b{}", "(".repeat(2046), ")".repeat(2046));
        assert!(fault(Kind::Condition, &redundant).ends_with("The expression has redundant parentheses;"));
        let redundant = format!("SET a={}b{}", "(".repeat(2000), ")".repeat(2000));
        assert!(fault(Kind::Update, &redundant).ends_with("The expression has redundant parentheses;"));
        let open = "(".repeat(4096);
        let expected = r#"Invalid ConditionExpression: Syntax error; token: "<EOF>", near: "(""#;
        assert_eq!(fault(Kind::Condition, &open), expected);
        let levels = format!("The expression is nested too deeply; nesting levels: {}", DEPTH_MAX + 1);
        for (kind, text, expected) in [
            (Kind::Condition, format!("a<{}", "(".repeat(4000)), &*levels),
            (Kind::Condition, format!("a < {}b{}", "size(".repeat(680), ")".repeat(680)), &levels),
            (
                Kind::Condition,
                format!("a < {}b{}", "f(".repeat(1355), ")".repeat(1355)),
                "Invalid function name; function: f",
            ),
            (Kind::Update, format!("SET a={}", "(".repeat(4000)), &levels),
            (Kind::Update, format!("SET a=b+{}", "(".repeat(4000)), &levels),
        ] {
            assert_eq!(fault(kind, &text), format!("Invalid {}: {expected}", kind.parameter()));
        }
        // The deepest trees there can be are bound, printed, compared, sent to another node, evaluated, and dropped.
        let deepest = [
            format!("{}contains(a,b)", "not ".repeat(OPERATORS_MAX)),
            format!("{}contains(a,b){}", "contains(a,b)or(".repeat(200), ")".repeat(200)),
            format!("a<b {}{}", "or(a<b ".repeat(149), ")".repeat(149)),
            format!("{}contains(a,b){}", "not(contains(a,b)or(".repeat(150), "))".repeat(150)),
        ];
        for text in deepest {
            let parsed = parse(Kind::Condition, &text).expect("parses");
            assert_eq!(parse(Kind::Condition, &parsed.to_string()), Ok(parsed.clone()));
            let bound = no_placeholders().condition(&parsed).expect("binds");
            let bytes = postcard::to_allocvec(&bound).expect("encodes");
            assert_eq!(postcard::from_bytes::<ast::Condition>(&bytes).as_ref(), Ok(&bound));
            assert!(bound.holds(Subject::Nothing).is_ok(), "nothing is not corrupt");
        }
        let calls = format!("SET a={}b{}", "if_not_exists(c,".repeat(DEPTH_MAX), ")".repeat(DEPTH_MAX));
        let parsed = parse(Kind::Update, &calls).expect("parses");
        let bound = no_placeholders().update(&parsed).expect("binds");
        let bytes = postcard::to_allocvec(&bound).expect("encodes");
        assert_eq!(postcard::from_bytes::<ast::Update>(&bytes).as_ref(), Ok(&bound));
        assert_eq!(bound.apply(&Item::new(), None), Err(Refused::AttributeMissing));
    };
    thread.spawn(checks).expect("a thread").join().expect("the stack is enough");
}

fn name() -> impl Strategy<Value = Name> {
    prop_oneof![
        "[a-zA-Z][a-zA-Z0-9_]{0,5}"
            .prop_filter("keywords and reserved words", |word| { parse(Kind::Projection, word).is_ok() })
            .prop_map(|word| Name::Literal(AttributeName::parse(&word).expect("a name"))),
        "#[a-zA-Z0-9_]{1,5}".prop_map(|key| Name::Reference(key.into())),
    ]
}

fn path() -> impl Strategy<Value = Path> {
    let step = prop_oneof![name().prop_map(Step::Member), (0..9u32).prop_map(Step::Index)];
    (name(), vec(step, 0..4)).prop_map(|(head, steps)| Path { head, steps })
}

fn value() -> impl Strategy<Value = Box<str>> {
    ":[a-zA-Z0-9_]{1,5}".prop_map(Into::into)
}

fn plain_operand() -> impl Strategy<Value = Operand> {
    prop_oneof![path().prop_map(Operand::Path), value().prop_map(Operand::Value)]
}

/// An operand of a condition. Arguments may be any number: that is not a matter of syntax.
fn operand() -> impl Strategy<Value = Operand> {
    let size = vec(plain_operand(), 1..3)
        .prop_map(|arguments| Operand::Call(Call { function: Function::Size, arguments }));
    prop_oneof![4 => plain_operand(), 1 => size]
}

fn comparator() -> impl Strategy<Value = Comparator> {
    select(vec![
        Comparator::Equal,
        Comparator::NotEqual,
        Comparator::Less,
        Comparator::LessOrEqual,
        Comparator::Greater,
        Comparator::GreaterOrEqual,
    ])
}

fn condition() -> impl Strategy<Value = Condition> {
    let functions: Vec<Function> = Function::ALL.into_iter().filter(|known| known.is_condition()).collect();
    let leaf = prop_oneof![
        (operand(), comparator(), operand())
            .prop_map(|(left, by, right)| Condition::Compare(left, by, right)),
        (operand(), operand(), operand())
            .prop_map(|(operand, low, high)| Condition::Between(Box::new([operand, low, high]))),
        (operand(), vec(operand(), 1..4)).prop_map(|(operand, members)| Condition::In(operand, members)),
        (select(functions), vec(operand(), 1..4))
            .prop_map(|(function, arguments)| Condition::Call(Call { function, arguments })),
    ];
    leaf.prop_recursive(5, 40, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 2..4).prop_map(Condition::And),
            vec(inner.clone(), 2..4).prop_map(Condition::Or),
            inner.prop_map(|part| Condition::Not(Box::new(part))),
        ]
    })
}

fn set_value() -> impl Strategy<Value = SetValue> {
    let operand = plain_operand().prop_recursive(3, 8, 2, |inner| {
        vec(inner, 1..3)
            .prop_map(|arguments| Operand::Call(Call { function: Function::IfNotExists, arguments }))
    });
    let append = vec(plain_operand(), 1..3)
        .prop_map(|arguments| Operand::Call(Call { function: Function::ListAppend, arguments }));
    let operand = prop_oneof![4 => operand, 1 => append].boxed();
    prop_oneof![
        operand.clone().prop_map(SetValue::Operand),
        (operand.clone(), operand.clone()).prop_map(|(left, right)| SetValue::Plus(left, right)),
        (operand.clone(), operand).prop_map(|(left, right)| SetValue::Minus(left, right)),
    ]
}

fn update() -> impl Strategy<Value = Update> {
    let clauses = (
        vec((path(), set_value()), 1..4).prop_map(Clause::Set),
        vec(path(), 1..4).prop_map(Clause::Remove),
        vec((path(), value()), 1..4).prop_map(Clause::Add),
        vec((path(), value()), 1..4).prop_map(Clause::Delete),
    );
    let clauses = clauses.prop_map(|(set, remove, add, delete)| vec![set, remove, add, delete]);
    (clauses.prop_shuffle(), 1..=4usize).prop_map(|(mut clauses, count)| {
        clauses.truncate(count);
        Update { clauses }
    })
}

fn parsed() -> impl Strategy<Value = Parsed> {
    prop_oneof![
        (select(vec![Kind::Condition, Kind::Filter, Kind::KeyCondition]), condition())
            .prop_map(|(kind, condition)| Parsed { kind, tree: Tree::Condition(condition) }),
        update().prop_map(|update| Parsed { kind: Kind::Update, tree: Tree::Update(update) }),
        vec(path(), 1..5).prop_map(|paths| Parsed { kind: Kind::Projection, tree: Tree::Projection(paths) }),
    ]
}

/// Texts that get far: tokens, with or without space between.
fn tokens() -> impl Strategy<Value = String> {
    let words = [
        "a",
        "b",
        "name",
        "#a",
        ":v",
        ":",
        "#",
        "0",
        "42",
        "9999999999",
        ".",
        "[",
        "]",
        "(",
        "(",
        ")",
        ")",
        ",",
        "=",
        "<>",
        "<",
        "<=",
        ">",
        ">=",
        "+",
        "-",
        "AND",
        "or",
        "NOT",
        "BETWEEN",
        "in",
        "SET",
        "REMOVE",
        "add",
        "DELETE",
        "attribute_exists",
        "attribute_type",
        "contains",
        "begins_with",
        "size",
        "size(a)",
        "if_not_exists",
        "list_append",
        "f",
        "é",
        "😀",
        "\0",
        "\"",
        "_",
        "a = :v",
        "(a = :v)",
        "SET a = :v",
        "a.b[0]",
    ];
    let spaced = (select(words.to_vec()), select(vec!["", " ", " ", "\n"]));
    vec(spaced, 0..60).prop_map(|parts| parts.into_iter().flat_map(|(word, space)| [word, space]).collect())
}

proptest! {
    #[test]
    fn what_is_printed_parses_to_the_same(parsed in parsed()) {
        let text = parsed.to_string();
        prop_assume!(text.len() <= EXPRESSION_BYTES_MAX);
        let again = parse(parsed.kind(), &text);
        prop_assert_eq!(again, Ok(parsed), "{}", text);
    }

    #[test]
    fn nothing_made_of_tokens_panics(text in tokens(), kind in select(KINDS.to_vec())) {
        if let Ok(parsed) = parse(kind, &text) {
            prop_assert_eq!(parse(kind, &parsed.to_string()), Ok(parsed.clone()));
            let mut placeholders = no_placeholders();
            let _ = match kind {
                Kind::Condition | Kind::Filter | Kind::KeyCondition => {
                    placeholders.condition(&parsed).map(drop)
                }
                Kind::Update => placeholders.update(&parsed).map(drop),
                Kind::Projection => placeholders.projection(&parsed).map(drop),
            };
        }
    }

    #[test]
    fn no_text_panics(text in ".{0,200}", kind in select(KINDS.to_vec())) {
        let _ = parse(kind, &text);
    }
}
