//! Texts and wildcards.

use proptest::prelude::*;

use super::*;

#[test]
fn texts_are_compared_as_said() {
    let folded = Folded::new;
    for (test, text, holds) in [
        (TextTest::Equals("".into()), "", true),
        (TextTest::Equals("".into()), "a", false),
        (TextTest::Equals("é".into()), "É", false),
        (TextTest::Prefix("".into()), "", true),
        (TextTest::Prefix("ab".into()), "abc", true),
        (TextTest::Prefix("ab".into()), "ab", true),
        (TextTest::Prefix("ab".into()), "a", false),
        (TextTest::Prefix("ab".into()), "Abc", false),
        (TextTest::Suffix(".png".into()), "x.png", true),
        (TextTest::Suffix(".png".into()), "x.PNG", false),
        (TextTest::Suffix(".png".into()), ".pngx", false),
        (TextTest::EqualsIgnoreCase(folded("ÉtÉ")), "éTé", true),
        (TextTest::EqualsIgnoreCase(folded("abc")), "ab", false),
        (TextTest::EqualsIgnoreCase(folded("ab")), "abc", false),
        (TextTest::EqualsIgnoreCase(folded("ΟΔΟΣ")), "οδοσ", true),
        (TextTest::PrefixIgnoreCase(folded("AB")), "aBc", true),
        (TextTest::PrefixIgnoreCase(folded("AB")), "a", false),
        (TextTest::PrefixIgnoreCase(folded("bc")), "abc", false),
        (TextTest::SuffixIgnoreCase(folded(".PNG")), "x.pNg", true),
        (TextTest::SuffixIgnoreCase(folded(".PNG")), "png", false),
        (TextTest::SuffixIgnoreCase(folded("GNP")), "x.png", false),
    ] {
        assert_eq!(test.holds(text), holds, "{test:?} of {text:?}");
    }
}

#[test]
fn wildcards_stand_for_any_run() {
    for (pattern, good, bad) in [
        ("", &[""][..], &["a"][..]),
        ("abc", &["abc"], &["ab", "abcd", "xabc"]),
        ("*", &["", "a", "*"], &[]),
        ("a*", &["a", "ab", "a*"], &["", "ba"]),
        ("*a", &["a", "ba", "aa"], &["", "ab"]),
        ("a*b", &["ab", "axb", "abab"], &["a", "b", "abx", "xab"]),
        ("aba*aba", &["abaaba", "abaxaba"], &["aba", "ababa"]),
        ("*a*a*", &["aa", "xaxax", "aaa"], &["a", "xax"]),
        ("a*b*c", &["abc", "abbc", "acbc", "axbxc"], &["acb", "ac"]),
        ("*ab*abc", &["ababc", "abxabc"], &["abc", "xabc"]),
        (r"a\*b", &["a*b"], &["ab", "axb", r"a\*b"]),
        (r"a\\*", &[r"a\", r"a\b"], &["a", "ab"]),
        ("é*é", &["éé", "éxé"], &["é"]),
    ] {
        let wildcard = Wildcard::parse(pattern).expect("a wildcard");
        for text in good {
            assert!(wildcard.holds(text), "{pattern} matches {text:?}");
        }
        for text in bad {
            assert!(!wildcard.holds(text), "{pattern} does not match {text:?}");
        }
    }
    let twice = "has two * in a row";
    let escape = r"has a \ before something other than * and \";
    for (pattern, what) in [("**", twice), ("a**b", twice), (r"\", escape), (r"a\b", escape), (r"*\", escape)]
    {
        assert_eq!(Wildcard::parse(pattern), Err(what), "{pattern}");
    }
    assert!(Wildcard::parse(r"*\**").is_ok(), "the one in the middle is a text");
}

/// The plainest matcher there is.
fn matches(pattern: &[char], text: &[char]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        (['*', rest @ ..], text) => (0..=text.len()).any(|from| matches(rest, &text[from..])),
        ([a, pattern @ ..], [b, text @ ..]) => a == b && matches(pattern, text),
        ([], [_, ..]) | ([_, ..], []) => false,
    }
}

proptest! {
    #[test]
    fn wildcards_match_as_the_plainest_matcher(pattern in "(\\*?[ab]){0,5}\\*?", text in "[ab]{0,9}") {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        let wildcard = Wildcard::parse(&pattern).expect("a wildcard");
        prop_assert_eq!(wildcard.holds(&text), matches(&chars(&pattern), &chars(&text)));
    }
}
