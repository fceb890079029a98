//! Requests as texts: what is read, and what is said of what is not.

use super::*;

/// A structure with a member of every type.
#[derive(Debug, Default, PartialEq)]
struct Sample {
    text: Option<Text>,
    integer: Option<Integer>,
    long: Option<Long>,
    boolean: Option<Boolean>,
    time: Option<Timestamp>,
    texts: Option<List<Text>>,
    names: Option<Map<Text>>,
    inner: Option<Inner>,
    inners: Option<List<Inner>>,
    named: Option<Map<Inner>>,
    lists: Option<Map<List<Inner>>>,
    value: Option<Value>,
    item: Option<Attributes>,
    items: Option<List<Attributes>>,
}

#[derive(Debug, Default, PartialEq)]
struct Inner {
    text: Option<Text>,
}

impl<'de> Members<'de> for Sample {
    const NAME: &'static str = "Sample";

    fn member<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "Text" => self.text = member(map)?,
            "Integer" => self.integer = member(map)?,
            "Long" => self.long = member(map)?,
            "Boolean" => self.boolean = member(map)?,
            "Time" => self.time = member(map)?,
            "Texts" => self.texts = member(map)?,
            "Names" => self.names = member(map)?,
            "Inner" => self.inner = member(map)?,
            "Inners" => self.inners = member(map)?,
            "Named" => self.named = member(map)?,
            "Lists" => self.lists = member(map)?,
            "Value" => self.value = member(map)?,
            "Item" => self.item = member(map)?,
            "Items" => self.items = member(map)?,
            _ => skip(map)?,
        }
        Ok(())
    }
}

impl<'de> Members<'de> for Inner {
    const NAME: &'static str = "Inner";

    fn member<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "Text" => self.text = member(map)?,
            _ => skip(map)?,
        }
        Ok(())
    }
}

/// What is shown of a body.
fn start(body: &str) -> &str {
    &body[..body.len().min(200)]
}

fn sample(body: &str) -> Sample {
    parse(body.as_bytes()).unwrap_or_else(|fault| panic!("{} gives {fault:?}", start(body)))
}

fn kind(body: &str) -> String {
    match parse::<Sample>(body.as_bytes()) {
        Err(Fault::Kind(text)) => text,
        other => panic!("{} gives {other:?}", start(body)),
    }
}

#[test]
fn members_are_read() {
    let read = sample(
        r#" {"Text": "a\u0000\ud83d\ude00\n", "Integer": 7, "Long": -9007199254740993, "Boolean": true,
            "Time": 1699999999.123, "Texts": ["x", ""], "Names": {"b": "c", "a": "d"}, "Inner": {"Text": "t"},
            "Inners": [{}, {"Text": null}], "Named": {"n": {}}, "Lists": {"l": [{}]}} "#,
    );
    let text = |text: &str| Text(text.to_owned());
    let expected = Sample {
        text: Some(text("a\0😀\n")),
        integer: Some(Integer(7)),
        long: Some(Long(-9_007_199_254_740_993)),
        boolean: Some(Boolean(true)),
        time: Some(Timestamp(1_699_999_999_123)),
        texts: Some(List(vec![text("x"), text("")])),
        names: Some(Map([("a".to_owned(), text("d")), ("b".to_owned(), text("c"))].into())),
        inner: Some(Inner { text: Some(text("t")) }),
        inners: Some(List(vec![Inner::default(), Inner::default()])),
        named: Some(Map([("n".to_owned(), Inner::default())].into())),
        lists: Some(Map([("l".to_owned(), List(vec![Inner::default()]))].into())),
        ..Sample::default()
    };
    assert_eq!(read, expected);
}

#[test]
fn what_is_unknown_or_null_is_absent_and_the_last_counts() {
    assert_eq!(sample(r#"{"Dog":{"a":[1,"x",{}]},"text":1}"#), Sample::default());
    assert_eq!(
        sample(r#"{"Text":null,"Item":null,"Inner":null,"Texts":null,"Value":null}"#),
        Sample::default()
    );
    assert_eq!(sample(r#"{"Text":"a","Text":"b"}"#).text, Some(Text("b".to_owned())));
    assert_eq!(sample(r#"{"Text":"a","Text":null}"#).text, None);
    assert_eq!(sample(r#"{"T\u0065xt":"a"}"#).text, Some(Text("a".to_owned())), "an escape in a name");
    assert_eq!(sample("{}"), Sample::default());
}

#[test]
fn numbers_are_made_to_fit() {
    let integer = |text: &str| sample(&format!(r#"{{"Integer":{text}}}"#)).integer.expect(text).0;
    for (text, value) in [
        ("0", 0),
        ("-0", 0),
        ("2147483648", 2_147_483_648),
        ("1.9", 1),
        ("-1.9", -1),
        ("1e2", 100),
        ("1E-400", 0),
        ("9223372036854775808", i64::MAX),
        ("-9223372036854775809", i64::MIN),
        ("1e999", i64::MAX),
        (&"9".repeat(60), i64::MAX),
        (&format!("-{}", "9".repeat(60)), i64::MIN),
    ] {
        assert_eq!(integer(text), value, "{text}");
    }
    let time = |text: &str| sample(&format!(r#"{{"Time":{text}}}"#)).time.expect(text).0;
    for (text, ms) in [
        ("0", 0),
        ("1699999999", 1_699_999_999_000),
        ("1699999999.9995", 1_700_000_000_000),
        ("1.7E9", 1_700_000_000_000),
        ("0.001", 1),
        ("1e300", u64::MAX),
        ("99999999999999999999", u64::MAX),
    ] {
        assert_eq!(time(text), ms, "{text}");
    }
}

#[test]
fn booleans_may_be_words() {
    let boolean = |text: &str| sample(&format!(r#"{{"Boolean":{text}}}"#)).boolean.expect(text).0;
    for text in ["true", r#""true""#, r#""TRUE""#, r#""1""#, r#""yes""#, r#""Yes""#] {
        assert!(boolean(text), "{text}");
    }
    for text in ["false", r#""false""#, r#""False""#, r#""0""#, r#""no""#] {
        assert!(!boolean(text), "{text}");
    }
}

#[test]
fn syntax_is_told_apart() {
    let bodies: [&[u8]; 24] = [
        b"",
        b" ",
        b"null",
        b"[]",
        b"\"\"",
        b"1",
        b"{",
        b"{]",
        b"{\"Text\":\"a\"} x",
        b"{\"Text\":\"a\"}{}",
        b"{\"Text\":\"a\",}",
        b"{\"Text\" \"a\"}",
        b"{Text:\"a\"}",
        b"{\"Text\":'a'}",
        b"{\"Text\":\"a\nb\"}",
        b"{\"Text\":\"\\ud800\"}",
        b"{\"Text\":\"\\x\"}",
        b"{\"Text\":\"\xFF\"}",
        b"{\"Dog\":\"\xFF\"}",
        b"{\"Integer\":01}",
        b"{\"Integer\":1.}",
        b"{\"Integer\":NaN}",
        b"{\"Dog\":tru}",
        b"\xEF\xBB\xBF{}",
    ];
    for body in bodies {
        assert_eq!(parse::<Sample>(body), Err(Fault::Syntax), "{}", String::from_utf8_lossy(body));
    }
    assert_eq!(
        parse::<Sample>(br#"{"Text":5,"Long":}"#),
        Err(Fault::Syntax),
        "it is more than a fault of kind"
    );
    assert!(matches!(parse::<Sample>(br#"{"Text":5,"Long":1}"#), Err(Fault::Kind(_))));
}

const FIELD: &str = "Unexpected field type";
const ELEMENT: &str = "Unexpected value type in payload";
const START: &str = "Start of structure or map found where not expected";
const CAST: &str = "class sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl cannot be cast to class java.lang.Class \
                    (sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl and java.lang.Class are in module \
                    java.base of loader 'bootstrap')";

/// What is said of true, 23, 34.56, "23", [] and {}, in this order; `None` where it is no fault of kind.
fn check_kinds(before: &str, after: &str, texts: [Option<&str>; 6]) {
    for (json, text) in ["true", "23", "34.56", r#""23""#, "[]", "{}"].into_iter().zip(texts) {
        let body = format!("{before}{json}{after}");
        match text {
            Some(text) => assert_eq!(kind(&body), text, "{body}"),
            None => drop(sample(&body)),
        }
    }
}

#[test]
fn scalars_of_wrong_kinds() {
    // The texts here and below were seen by dynalite's authors.
    for (member, name, good) in [("Text", "String", 3), ("Integer", "Integer", 1), ("Long", "Long", 1)] {
        let said = |token: &str| format!("{token}_VALUE cannot be converted to {name}");
        let list = format!("Unrecognized collection type class java.lang.{name}");
        let (boolean, integer, decimal, text) =
            (said("TRUE"), said("NUMBER"), said("DECIMAL"), said("STRING"));
        let mut texts =
            [Some(&*boolean), Some(&*integer), Some(&*decimal), Some(&*text), Some(&*list), Some(START)];
        texts[good] = None;
        if good == 1 {
            texts[2] = None;
        }
        check_kinds(&format!(r#"{{"{member}":"#), "}", texts);
    }
    assert_eq!(kind(r#"{"Text":false}"#), "FALSE_VALUE cannot be converted to String");
    assert_eq!(kind(r#"{"Text":-2147483648}"#), "NUMBER_VALUE cannot be converted to String");
    assert_eq!(
        kind(&format!(r#"{{"Text":{}}}"#, "9".repeat(50))),
        "NUMBER_VALUE cannot be converted to String"
    );
    assert_eq!(kind(r#"{"Text":1e5}"#), "DECIMAL_VALUE cannot be converted to String");
    let boolean = [
        None,
        Some("NUMBER_VALUE cannot be converted to Boolean"),
        Some("DECIMAL_VALUE cannot be converted to Boolean"),
        Some("Unexpected token received from parser"),
        Some("Unrecognized collection type class java.lang.Boolean"),
        Some(START),
    ];
    check_kinds(r#"{"Boolean":"#, "}", boolean);
    let time = [
        Some("TRUE_VALUE cannot be converted to Date"),
        None,
        None,
        Some("STRING_VALUE cannot be converted to Date"),
        Some("Unrecognized collection type class java.util.Date"),
        Some(START),
    ];
    check_kinds(r#"{"Time":"#, "}", time);
    assert_eq!(kind(r#"{"Time":-1}"#), "NUMBER_VALUE cannot be converted to Date");
    assert_eq!(kind(r#"{"Time":-0.5}"#), "DECIMAL_VALUE cannot be converted to Date");
}

#[test]
fn collections_of_wrong_kinds() {
    let aws = "com.amazonaws.dynamodb.v20120810";
    let map = |class: &str| format!("Unrecognized collection type java.util.Map<java.lang.String, {class}>");
    let class = |name: &str| format!("Unrecognized collection type class {aws}.{name}");
    let fields = |list: Option<&'static str>, map: Option<&'static str>| {
        [Some(FIELD), Some(FIELD), Some(FIELD), Some(FIELD), list, map]
    };
    check_kinds(r#"{"Texts":"#, "}", fields(None, Some(START)));
    let check = |before: &str, after: &str, scalar, list: String| {
        check_kinds(before, after, [scalar, scalar, scalar, scalar, Some(&list), None]);
    };
    check(r#"{"Names":"#, "}", Some(FIELD), map("java.lang.String"));
    check(r#"{"Named":"#, "}", Some(FIELD), map(&format!("{aws}.Inner")));
    check(r#"{"Lists":"#, "}", Some(FIELD), map(&format!("java.util.List<{aws}.Inner>")));
    check(r#"{"Item":"#, "}", Some(FIELD), map(&format!("{aws}.AttributeValue")));
    check(r#"{"Inner":"#, "}", Some(FIELD), class("Inner"));
    check(r#"{"Value":"#, "}", Some(FIELD), class("AttributeValue"));
    check(r#"{"Inners":["#, "]}", Some(ELEMENT), class("Inner"));
    check(r#"{"Named":{"a":"#, "}}", Some(ELEMENT), class("Inner"));
    check(r#"{"Lists":{"a":["#, "]}}", Some(ELEMENT), class("Inner"));
    check(r#"{"Items":["#, "]}", Some(CAST), map(&format!("{aws}.AttributeValue")));
    check_kinds(
        r#"{"Lists":{"a":"#,
        "}}",
        [Some(CAST), Some(CAST), Some(CAST), Some(CAST), None, Some(START)],
    );
    assert_eq!(kind(r#"{"Texts":["a",5]}"#), "NUMBER_VALUE cannot be converted to String");
}

#[test]
fn nulls_are_no_elements() {
    for body in [
        r#"{"Texts":[null]}"#,
        r#"{"Names":{"a":null}}"#,
        r#"{"Inners":[null]}"#,
        r#"{"Named":{"a":null}}"#,
        r#"{"Lists":{"a":null}}"#,
        r#"{"Items":[null]}"#,
    ] {
        assert_eq!(kind(body), ELEMENT, "{body}");
    }
}

#[test]
fn the_name_that_numbers_have_is_one_like_others() {
    let read = sample(
        r#"{"Item":{"$serde_json::private::Number":{"S":"x"}},"Named":{"$serde_json::private::Number":{}}}"#,
    );
    assert!(read.item.expect("there").0.expect("good").contains(NUMBER));
    assert!(read.named.expect("there").0.contains_key(NUMBER));
    assert_eq!(
        kind(r#"{"Text":{"$serde_json::private::Number":[]}}"#),
        "Unrecognized collection type class java.lang.String"
    );
}

/// On a stack that is no larger than threads have.
fn on_small_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(test);
    thread.expect("a thread").join().expect("the test passes");
}

#[test]
fn deep_documents_do_no_harm() {
    on_small_stack(|| {
        let deep = |open: &str, close: &str| format!("{}{}", open.repeat(200_000), close.repeat(200_000));
        let lists = deep("[", "]");
        let maps = format!("{}1{}", r#"{"a":"#.repeat(200_000), "}".repeat(200_000));
        assert_eq!(parse::<Sample>(lists.as_bytes()), Err(Fault::Syntax));
        assert_eq!(parse::<Sample>("[".repeat(200_000).as_bytes()), Err(Fault::Syntax));
        assert_eq!(parse::<Sample>(r#"{"a":"#.repeat(200_000).as_bytes()), Err(Fault::Syntax));
        assert_eq!(parse::<Sample>(r#"{"Item":"#.repeat(200_000).as_bytes()), Err(Fault::Syntax));
        assert_eq!(sample(&format!(r#"{{"Dog":{lists}}}"#)), Sample::default());
        assert_eq!(sample(&maps), Sample::default());
        assert_eq!(
            kind(&format!(r#"{{"Item":{lists}}}"#)).split('<').next(),
            Some("Unrecognized collection type java.util.Map")
        );
        assert_eq!(
            kind(&format!(r#"{{"Item":{{"a":{{"S":{lists}}}}}}}"#)),
            "Unrecognized collection type class java.lang.String"
        );
    });
}

#[test]
fn more_members_than_any_request_has_are_not_kept() {
    let list = format!("[{}\"\"]", "\"\",".repeat(MEMBERS_MAX));
    let map: Vec<String> = (0..=MEMBERS_MAX).map(|at| format!("\"{at}\":\"\"")).collect();
    for body in [format!(r#"{{"TableNames": {list}}}"#), format!(r#"{{"Names": {{{}}}}}"#, map.join(","))] {
        let read: Result<Many, Fault> = parse(body.as_bytes());
        assert!(
            matches!(&read, Err(Fault::Kind(text)) if text.contains("at most 20000 members")),
            "{read:?}"
        );
    }
}

#[derive(Debug, Default)]
struct Many {
    list: Option<List<Text>>,
    map: Option<Map<Text>>,
}

impl<'de> Members<'de> for Many {
    const NAME: &'static str = "Many";

    fn member<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "TableNames" => self.list = member(map)?,
            "Names" => self.map = member(map)?,
            _ => skip(map)?,
        }
        Ok(())
    }
}
