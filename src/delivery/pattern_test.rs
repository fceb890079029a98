//! What is a pattern, and what is said of what is none.

use super::*;

fn parse_one(pattern: &str) -> Result<Filter, PatternError> {
    Filter::parse(&[pattern.to_owned()])
}

fn reason(pattern: &str) -> String {
    let error = parse_one(pattern).expect_err(pattern);
    assert_eq!(error.to_string(), "Invalid filter pattern definition.");
    assert_eq!(error.index, Some(0));
    error.reason
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (pattern, wanted) in [
        ("", "it is not JSON: EOF while parsing a value at line 1 column 0"),
        ("{", "it is not JSON: EOF while parsing an object at line 1 column 1"),
        (r#"{"a":[1]} x"#, "it is not JSON: trailing characters at line 1 column 11"),
        ("[]", "it is not a JSON object"),
        ("null", "it is not a JSON object"),
        (r#""text""#, "it is not a JSON object"),
        ("{}", "an object without fields says nothing"),
        (r#"{"a":{}}"#, "at a: an object without fields says nothing"),
        (r#"{"a":{"b":{}}}"#, "at a.b: an object without fields says nothing"),
        (r#"{"a":{"b":[]}}"#, "at a.b: an array without alternatives allows nothing"),
        (r#"{"a":{"b":"x"}}"#, "at a.b: a field takes an object of fields or an array of alternatives"),
        (r#"{"a":null}"#, "at a: a field takes an object of fields or an array of alternatives"),
        (r#"{"a":true}"#, "at a: a field takes an object of fields or an array of alternatives"),
        (r#"{"a":5}"#, "at a: a field takes an object of fields or an array of alternatives"),
        (r#"{"a":[[1]]}"#, "at a: an alternative is a value or an operator, not an array"),
        (r#"{"a":[1e999]}"#, "at a: the number 1e+999 is too large to compare with"),
        (r#"{"a":[{}]}"#, "at a: an operator is an object of one member, and this one has 0"),
        (
            r#"{"a":[{"prefix":"a","suffix":"b"}]}"#,
            "at a: an operator is an object of one member, and this one has 2",
        ),
        (r#"{"a":[{"regex":"a"}]}"#, r#"at a: there is no operator "regex""#),
        (r#"{"a":[{"exists":"yes"}]}"#, r#"at a: "exists" takes true or false"#),
        (r#"{"a":[{"prefix":5}]}"#, r#"at a: "prefix" takes a text, or "equals-ignore-case" of one"#),
        (r#"{"a":[{"suffix":{"a":"b"}}]}"#, r#"at a: "suffix" takes a text, or "equals-ignore-case" of one"#),
        (
            r#"{"a":[{"suffix":{"equals-ignore-case":1}}]}"#,
            r#"at a: "suffix" takes a text, or "equals-ignore-case" of one"#,
        ),
        (r#"{"a":[{"prefix":{}}]}"#, "at a: an operator is an object of one member, and this one has 0"),
        (r#"{"a":[{"equals-ignore-case":["a"]}]}"#, r#"at a: "equals-ignore-case" takes a text"#),
        (r#"{"a":[{"wildcard":1}]}"#, r#"at a: "wildcard" takes a text"#),
        (r#"{"a":[{"wildcard":"a**b"}]}"#, r#"at a: "wildcard" has two * in a row"#),
        (r#"{"a":[{"wildcard":"a\\b"}]}"#, r#"at a: "wildcard" has a \ before something other than * and \"#),
    ] {
        assert_eq!(reason(pattern), wanted, "{pattern}");
    }
}

#[test]
fn what_is_wrong_with_anything_but_is_said() {
    let kinds = r#"at a: "anything-but" takes texts or numbers, one or several of a kind"#;
    for (operand, wanted) in [
        ("null", kinds),
        ("true", kinds),
        ("[]", kinds),
        (r#"["a",1]"#, kinds),
        ("[null]", kinds),
        (r#"[["a"]]"#, kinds),
        ("1e999", "at a: the number 1e+999 is too large to compare with"),
        ("{}", "at a: an operator is an object of one member, and this one has 0"),
        (r#"{"numeric":["=",1]}"#, r#"at a: "anything-but" takes no "numeric""#),
        (r#"{"exists":true}"#, r#"at a: "anything-but" takes no "exists""#),
        (r#"{"prefix":""}"#, r#"at a: "anything-but" takes no empty "prefix", which is every text's"#),
        (r#"{"suffix":["a",""]}"#, r#"at a: "anything-but" takes no empty "suffix", which is every text's"#),
        (r#"{"prefix":1}"#, r#"at a: "prefix" in "anything-but" takes a text or several"#),
        (r#"{"wildcard":[]}"#, r#"at a: "wildcard" in "anything-but" takes a text or several"#),
        (r#"{"wildcard":"**"}"#, r#"at a: "wildcard" has two * in a row"#),
    ] {
        assert_eq!(reason(&format!(r#"{{"a":[{{"anything-but":{operand}}}]}}"#)), wanted, "{operand}");
    }
}

#[test]
fn what_is_wrong_with_a_range_is_said() {
    let pairs = "takes pairs of a comparison and a number";
    for (operand, wanted) in [
        ("5", pairs),
        ("[]", pairs),
        (r#"[">"]"#, pairs),
        (r#"[">",true]"#, pairs),
        ("[1,2]", pairs),
        (r#"[">",0,"<"]"#, pairs),
        (r#"[">",0,"<",5,"<",6]"#, pairs),
        (r#"["!=",0]"#, r#"knows no comparison "!=""#),
        (r#"["<",5,">",0]"#, "takes a lower bound and then an upper one"),
        (r#"[">",0,">",5]"#, "takes a lower bound and then an upper one"),
        (r#"["=",0,"<",5]"#, "takes a lower bound and then an upper one"),
        (r#"[">",0,"=",5]"#, "takes a lower bound and then an upper one"),
    ] {
        for operator in ["numeric", "decimal"] {
            let pattern = format!(r#"{{"dynamodb":{{"N":[{{"{operator}":{operand}}}]}}}}"#);
            assert_eq!(reason(&pattern), format!(r#"at dynamodb.N: "{operator}" {wanted}"#), "{operand}");
        }
    }
    for operand in [r#"[">",5,"<",5]"#, r#"[">=",5,"<=",5]"#, r#"[">",6,"<",5]"#] {
        for operator in ["numeric", "decimal"] {
            let wanted = format!(r#"at a: the lower bound of "{operator}" is not below the upper one"#);
            assert_eq!(reason(&format!(r#"{{"a":[{{"{operator}":{operand}}}]}}"#)), wanted, "{operand}");
        }
    }
    assert_eq!(
        reason(r#"{"a":[{"numeric":[">","5"]}]}"#),
        r#"at a: "numeric" takes pairs of a comparison and a number"#
    );
    for bound in ["500000000000.5", "-5.1e11", "1e999"] {
        let wanted = r#"at a: "numeric" compares with numbers from -5e11 to 5e11"#;
        assert_eq!(reason(&format!(r#"{{"a":[{{"numeric":["<",{bound}]}}]}}"#)), wanted);
    }
    assert!(parse_one(r#"{"a":[{"numeric":[">=",-5e11,"<=",5e11]}]}"#).is_ok());
    assert_eq!(
        reason(r#"{"a":[{"decimal":[">","1,5"]}]}"#),
        r#"at a: "decimal" compares with DynamoDB's numbers: The parameter cannot be converted to a numeric value: 1,5"#
    );
    assert!(reason(r#"{"a":[{"decimal":[">",1e126]}]}"#).contains("Number overflow"));
}

#[test]
fn what_is_wrong_with_a_network_is_said() {
    assert_eq!(reason(r#"{"a":[{"cidr":5}]}"#), r#"at a: "cidr" takes a text"#);
    for text in
        ["", "10.0.0.0", "10.0.0/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "::/129", "a/8", "::/8/8"]
    {
        assert_eq!(
            reason(&format!(r#"{{"a":[{{"cidr":"{text}"}}]}}"#)),
            format!(r#"at a: "cidr" takes a network as 10.0.0.0/24 or 2001:db8::/32, not "{text}""#)
        );
    }
    for text in ["0.0.0.0/0", "10.0.0.0/32", "::/0", "::1/128"] {
        assert!(parse_one(&format!(r#"{{"a":[{{"cidr":"{text}"}}]}}"#)).is_ok(), "{text}");
    }
}

#[test]
fn an_or_that_is_none_is_a_name() {
    let or = |branches: &str| format!(r#"{{"x":{{"$or":{branches}}}}}"#);
    assert_eq!(reason(&or(r#"[{"a":[1]}]"#)), r#"at x.$or: there is no operator "a""#);
    assert_eq!(reason(&or(r#"[{"a":[1]},5]"#)), r#"at x.$or: there is no operator "a""#);
    assert_eq!(reason(&or("[]")), "at x.$or: an array without alternatives allows nothing");
    assert_eq!(reason(&or("5")), "at x.$or: a field takes an object of fields or an array of alternatives");
    for name in ["$or", "x"] {
        let as_name = or(r#"[{"numeric":["=",1]},{"prefix":"a"}]"#).replace("$or", name);
        let filter = parse_one(&as_name).expect("a leaf");
        assert!(filter.patterns[0].choices.is_empty());
    }
    assert!(parse_one(&or(r#"{"a":[1]}"#)).is_ok());
    assert_eq!(
        reason(&or(r#"[{"a":[1]},{"$or":[{"a":[1]},{"b":[]}]}]"#)),
        "at x.$or[1].$or[1].b: an array without alternatives allows nothing"
    );
    assert_eq!(reason(&or(r#"[{"a":[1]},{}]"#)), "at x.$or[1]: an object without fields says nothing");
}

#[test]
fn changed_takes_names_at_the_top() {
    let wanted = r#"at changed: "changed" takes names of attributes"#;
    for operand in ["[]", "[1]", r#"["a",null]"#, r#"[""]"#, r#"[{"exists":true}]"#] {
        assert_eq!(reason(&format!(r#"{{"changed":{operand}}}"#)), wanted, "{operand}");
    }
    let asks = |pattern: &str| parse_one(pattern).expect(pattern).needs_both_images();
    assert!(asks(r#"{"changed":["a"]}"#));
    assert!(asks(r#"{"$or":[{"eventName":["REMOVE"]},{"$or":[{"changed":["a"]},{"a":["b"]}]}]}"#));
    assert!(!asks(r#"{"dynamodb":{"changed":["a"]}}"#), "a name below the top");
    assert!(!asks(r#"{"changed":{"a":["a"]}}"#), "an object of fields");
    assert!(!Filter::default().needs_both_images());
    let two = [r#"{"a":[1]}"#.to_owned(), r#"{"changed":["a"]}"#.to_owned()];
    assert!(Filter::parse(&two).expect("two patterns").needs_both_images());
}

#[test]
fn bounds_hold() {
    let good = r#"{"a":[1]}"#.to_owned();
    assert!(Filter::parse(&vec![good.clone(); FILTERS_MAX]).is_ok());
    let error = Filter::parse(&vec![good.clone(); FILTERS_MAX + 1]).expect_err("too many");
    assert_eq!((error.index, &*error.reason), (None, "there are 11 patterns, and 10 are allowed"));
    let error = Filter::parse(&[good.clone(), "{}".to_owned()]).expect_err("the second is none");
    assert_eq!(error.index, Some(1));

    let long = |len: usize| format!(r#"{{"a":["{}"]}}"#, "é".repeat(len - 10));
    assert!(parse_one(&long(PATTERN_CHARS_MAX)).is_ok(), "characters, not bytes");
    assert_eq!(reason(&long(PATTERN_CHARS_MAX + 1)), "it has 4097 characters, and 4096 are allowed");

    let deep = |depth: usize| format!("{}[1]{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    assert!(parse_one(&deep(DEPTH_MAX)).is_ok());
    assert!(reason(&deep(DEPTH_MAX + 1)).ends_with("a: more than 100 names lie on the way"));
    assert!(reason(&deep(200)).starts_with("it is not JSON: recursion limit"));
}

#[test]
fn the_last_of_equal_names_counts() {
    let parsed = |pattern| parse_one(pattern).expect(pattern);
    assert_eq!(parsed(r#"{"a":[1],"b":[3],"a":[2]}"#), parsed(r#"{"a":[2],"b":[3]}"#));
    assert_eq!(parsed(r#"{"a":{"b":[1]},"a":{"c":[1]}}"#), parsed(r#"{"a":{"c":[1]}}"#), "as a whole");
    assert_eq!(parsed(r#"{"a":[{"prefix":"x","prefix":"y"}]}"#), parsed(r#"{"a":[{"prefix":"y"}]}"#));
}

#[test]
fn only_what_speaks_of_one_list_is_multiplied_out() {
    let pattern = |inner: &str| {
        let or = (0..20)
            .map(|at| format!(r#""k{at}":{{"$or":[{{"{inner}":{{"x":[1]}}}},{{"{inner}":{{"y":[1]}}}}]}}"#));
        format!("{{{}}}", or.collect::<Vec<_>>().join(","))
    };
    assert!(parse_one(&pattern("M")).is_ok());
    assert!(parse_one(&pattern("L")).is_ok(), "different lists");

    let nested = |inner: &str, depth: usize| {
        let open: String = (0..depth)
            .map(|at| format!(r#"{{"{inner}":{{"S":["{at}"]}},"$or":[{{"{inner}":{{"x":[{at}]}}}},"#))
            .collect();
        let end = format!(r#"{{"{inner}":{{"y":[1]}}}}"#);
        format!("{open}{end}{}", "]}".repeat(depth))
    };
    for depth in [1, 4, 10] {
        let parsed = parse_one(&nested("L", depth)).expect("within bounds");
        let top = &parsed.patterns[0];
        assert_eq!((top.fields.len(), top.choices.len()), (0, 1), "multiplied out");
        let parsed = parse_one(&nested("M", depth)).expect("within bounds");
        let top = &parsed.patterns[0];
        assert_eq!((top.fields.len(), top.choices.len()), (1, 1), "as written");
    }
    let product = |name: &str| {
        let list = |at| format!(r#"{{"L":{{"x{at}":[1]}}}}"#);
        let lists = (0..45).map(list).collect::<Vec<_>>().join(",");
        let named = (0..45).map(|at| format!(r#"{{"{name}":{}}}"#, list(at))).collect::<Vec<_>>().join(",");
        format!(r#"{{"$or":[{named}],"k":{{"$or":[{lists}]}}}}"#)
    };
    let wanted = "the pattern has more than 4096 fields once its $or are multiplied out";
    assert_eq!(reason(&product("k")), wanted);
    assert!(parse_one(&product("j")).is_ok());
}
