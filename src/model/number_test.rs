//! Decimals: parsing, printing, order and arithmetic.

use proptest::prelude::*;

use super::*;

fn number(text: &str) -> Number {
    Number::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn encoded(number: &Number) -> Vec<u8> {
    let mut bytes = Vec::new();
    number.encode_ordered(&mut bytes);
    bytes
}

#[test]
fn canonical_text() {
    // Source: 2.1.2, and one of each shape.
    let long_fraction = format!("0.{}1", "0".repeat(129));
    let nines = "9".repeat(38);
    let largest = format!("{nines}{}", "0".repeat(88));
    let smallest_digits = format!("0.{}{nines}", "0".repeat(129));
    let golden = [
        ("007", "7"),
        ("+1.5", "1.5"),
        ("1.10", "1.1"),
        ("100.000", "100"),
        ("123e-2", "1.23"),
        (".5", "0.5"),
        ("5.", "5"),
        ("1e3", "1000"),
        ("1E+3", "1000"),
        ("1.5e-7", "0.00000015"),
        ("1e-20", "0.00000000000000000001"),
        ("-0", "0"),
        ("0e5", "0"),
        ("0e126", "0"),
        ("0.0e126", "0"),
        ("0.000", "0"),
        ("-12.50", "-12.5"),
        ("001000", "1000"),
        ("1e-130", &long_fraction),
        (&format!("{nines}e88"), &largest),
        (&format!("{nines}e-167"), &smallest_digits),
        ("18446744073709551616", "18446744073709551616"),
        ("10000000000000000000.1", "10000000000000000000.1"),
    ];
    for (text, canonical) in golden {
        assert_eq!(number(text).to_string(), *canonical, "{text}");
    }
    assert_eq!(number("1e125").to_string(), format!("1{}", "0".repeat(125)));
}

#[test]
fn error_texts() {
    let overflow = "Number overflow. Attempting to store a number with magnitude larger than supported range";
    let underflow =
        "Number underflow. Attempting to store a number with magnitude smaller than supported range";
    let digits = "Attempting to store more than 38 significant digits in a Number";
    let golden = [
        ("1e126", overflow),
        ("-1e126", overflow),
        ("1e99999999999999999999999", overflow),
        ("1e-131", underflow),
        ("-1e-99999999999999999999999", underflow),
        (&"1".repeat(39), digits),
        (&format!("1.{}1", "0".repeat(37)), digits),
        ("", "The parameter cannot be converted to a numeric value"),
    ];
    for (text, message) in golden {
        assert_eq!(Number::parse(text).expect_err(text).to_string(), message, "{text}");
    }
    for text in [
        "NaN", "Infinity", " 1", "1 ", "b", "+", "-", ".", "e5", "1e", "1e+", "1e1.5", "--1", "1.2.3",
        "0x10", "1_0", "１", "1e5e5",
    ] {
        let message = format!("The parameter cannot be converted to a numeric value: {text}");
        assert_eq!(Number::parse(text).expect_err(text).to_string(), message);
    }
}

#[test]
fn hostile_lengths_are_linear_and_right() {
    let zeros = "0".repeat(1_000_000);
    assert_eq!(number(&format!("{zeros}1")), number("1"));
    assert_eq!(number(&format!("1{zeros}e-1000000")), number("1"));
    assert_eq!(number(&format!("0.{zeros}1e1000001")), number("1"));
    assert_eq!(Number::parse(&format!("1{zeros}")), Err(Error::NumberOverflow));
    assert_eq!(Number::parse(&format!("0.{zeros}1")), Err(Error::NumberUnderflow));
    assert_eq!(Number::parse(&format!("1.{zeros}1")), Err(Error::NumberTooPrecise));
    assert_eq!(number(&format!("0e{}", "9".repeat(1_000_000))), Number::ZERO);
}

#[test]
fn sizes() {
    // Source: dynalite's fit, quoted in 2.1.5.
    let golden = [
        ("0", 1),
        ("1", 2),
        ("-1", 3),
        ("12", 2),
        ("123", 3),
        ("1234", 3),
        ("1.2", 3),
        ("0.12", 2),
        ("-1.2", 4),
        ("100", 2),
        ("12345678901234567890123456789012345678", 20),
    ];
    for (text, size) in golden {
        assert_eq!(number(text).size(), size, "{text}");
    }
}

#[test]
fn encodings_are_golden() {
    // On disk: these never change.
    let golden: [(&str, &[u8]); 6] = [
        ("0", &[1]),
        ("1", &[2, 130, 20]),
        ("-1", &[0, 125, 235]),
        ("123", &[2, 132, 25, 60]),
        ("1e125", &[2, 255, 20]),
        ("-9e-130", &[0, 255, 75]),
    ];
    for (text, bytes) in golden {
        assert_eq!(encoded(&number(text)), bytes, "{text}");
    }
}

#[test]
fn arithmetic_edges() {
    let nines = "9".repeat(38);
    let add = |left: &str, right: &str| number(left).checked_add(&number(right)).map(|sum| sum.to_string());
    assert_eq!(add("1e50", "1"), Err(Error::NumberOverflow));
    assert_eq!(add("1e125", "1e-130"), Err(Error::NumberOverflow));
    assert_eq!(add("1e38", "-1"), Ok(nines.clone()));
    assert_eq!(add(&nines, "1"), Ok(format!("1{}", "0".repeat(38))));
    assert_eq!(add(&format!("{nines}e88"), "1e88"), Err(Error::NumberOverflow));
    assert_eq!(add("1.5e-130", "-1.4e-130"), Err(Error::NumberUnderflow));
    assert_eq!(add("0.1", "0.2"), Ok("0.3".into()));
    assert_eq!(add("5", "-5"), Ok("0".into()));
    assert_eq!(number("-7").negated(), number("7"));
    assert_eq!(Number::ZERO.negated(), Number::ZERO);
}

#[test]
fn integers() {
    for value in [0, 1, -1, 10, -100, i64::MAX, i64::MIN] {
        assert_eq!(Number::from(value).to_string(), value.to_string());
        assert_eq!(Number::from(value).to_i64(), Some(value));
    }
    assert_eq!(Number::from(u64::MAX).to_string(), u64::MAX.to_string());
    for text in
        ["0.5", "9223372036854775808", "1e125", "99999999999999999999999999999999999999", "1e38", "-1e39"]
    {
        assert_eq!(number(text).to_i64(), None, "{text}");
    }
}

#[test]
fn value_is_small() {
    assert_eq!(size_of::<Number>(), 24);
}

/// The reference: a sign and all decimal digits of a fixed point number, worked as on paper.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Paper {
    negative: bool,
    /// Leading digit first; `FRACTION` of them after the point.
    digits: Vec<u8>,
}

const WHOLE: usize = 135;
const FRACTION: usize = 175;

impl Paper {
    fn of_plain(text: &str) -> Self {
        let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let padded = format!("{whole:0>WHOLE$}{fraction:0<FRACTION$}");
        Self { negative, digits: padded.bytes().map(|digit| digit - b'0').collect() }
    }

    fn to_plain(&self) -> String {
        let text: String = self.digits.iter().map(|digit| char::from(b'0' + digit)).collect();
        let (whole, fraction) = text.split_at(WHOLE);
        let whole = whole.trim_start_matches('0');
        let fraction = fraction.trim_end_matches('0');
        let sign = if self.negative && !self.is_zero() { "-" } else { "" };
        let point = if fraction.is_empty() { "" } else { "." };
        format!("{sign}{}{point}{fraction}", if whole.is_empty() { "0" } else { whole })
    }

    fn is_zero(&self) -> bool {
        self.digits.iter().all(|digit| *digit == 0)
    }

    fn add(&self, other: &Self) -> Self {
        if self.negative == other.negative {
            return Self { negative: self.negative, digits: add_digits(&self.digits, &other.digits) };
        }
        if self.digits >= other.digits {
            Self { negative: self.negative, digits: sub_digits(&self.digits, &other.digits) }
        } else {
            Self { negative: other.negative, digits: sub_digits(&other.digits, &self.digits) }
        }
    }

    fn compare(&self, other: &Self) -> Ordering {
        match (self.negative && !self.is_zero(), other.negative && !other.is_zero()) {
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => self.digits.cmp(&other.digits),
            (true, true) => other.digits.cmp(&self.digits),
        }
    }

    /// What a `Number` with this value must be.
    fn expected(&self) -> Result<String, Error> {
        let Some(first) = self.digits.iter().position(|digit| *digit != 0) else {
            return Ok("0".into());
        };
        let last = self.digits.iter().rposition(|digit| *digit != 0).expect("there is a first");
        let magnitude = WHOLE as i32 - 1 - first as i32;
        match magnitude {
            126.. => Err(Error::NumberOverflow),
            ..-130 => Err(Error::NumberUnderflow),
            _ if last - first >= 38 => Err(Error::NumberOverflow),
            _ => Ok(self.to_plain()),
        }
    }
}

fn add_digits(left: &[u8], right: &[u8]) -> Vec<u8> {
    let mut carry = 0;
    let mut sum: Vec<u8> = left
        .iter()
        .zip(right)
        .rev()
        .map(|(left, right)| {
            let digit = left + right + carry;
            carry = digit / 10;
            digit % 10
        })
        .collect();
    assert_eq!(carry, 0, "the paper is wide enough");
    sum.reverse();
    sum
}

fn sub_digits(left: &[u8], right: &[u8]) -> Vec<u8> {
    let mut borrow = 0;
    let mut difference: Vec<u8> = left
        .iter()
        .zip(right)
        .rev()
        .map(|(left, right)| {
            let digit = 10 + left - right - borrow;
            borrow = 1 - digit / 10;
            digit % 10
        })
        .collect();
    assert_eq!(borrow, 0, "the smaller is taken from the larger");
    difference.reverse();
    difference
}

/// Plain decimal text of a number in range, canonical.
fn plain() -> impl Strategy<Value = String> {
    let digits = prop_oneof!["[0-9]{1,3}", "[1-9][0-9]{0,37}", "9{30,38}", "[1-9]0{30,36}[0-9]"];
    let magnitude = prop_oneof![4 => -3i32..5, 2 => -40i32..40, 1 => -130i32..=125];
    (any::<bool>(), digits, magnitude).prop_map(|(negative, digits, magnitude)| {
        let start = (WHOLE as i32 - 1 - magnitude) as usize;
        let mut all = vec![0; WHOLE + FRACTION];
        let significant = digits.trim_start_matches('0');
        for (index, digit) in significant.bytes().enumerate() {
            all[start + index] = digit - b'0';
        }
        Paper { negative, digits: all }.to_plain()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn plain_text_prints_as_itself(text in plain()) {
        prop_assert_eq!(number(&text).to_string(), text);
    }

    #[test]
    fn every_notation_is_the_same_number(text in plain(), shift in -300i32..300, zeros in 0usize..50) {
        // Move the point by `shift` in the text, and back by the exponent.
        let (sign, body) = text.strip_prefix('-').map_or(("", &text[..]), |rest| ("-", rest));
        let (whole, fraction) = body.split_once('.').unwrap_or((body, ""));
        let point = whole.len() as i32 + shift;
        let mut digits = format!("{whole}{fraction}");
        if point > digits.len() as i32 {
            digits.push_str(&"0".repeat(point as usize - digits.len()));
        }
        let moved = if point <= 0 {
            format!(".{}{digits}", "0".repeat(point.unsigned_abs() as usize))
        } else {
            format!("{}.{}", &digits[..point as usize], &digits[point as usize..])
        };
        let pad = "0".repeat(zeros);
        let written = format!("{sign}{pad}{moved}{pad}E{}", -shift);
        let other = number(&written);
        prop_assert_eq!(other, number(&text), "{}", written);
        prop_assert_eq!(encoded(&other), encoded(&number(&text)));
    }

    #[test]
    fn arithmetic_is_exact(left in plain(), right in plain()) {
        let (paper_left, paper_right) = (Paper::of_plain(&left), Paper::of_plain(&right));
        let sum = number(&left).checked_add(&number(&right)).map(|sum| sum.to_string());
        prop_assert_eq!(sum, paper_left.add(&paper_right).expected());
        let minus = Paper { negative: !paper_right.negative, ..paper_right };
        let difference = number(&left).checked_sub(&number(&right)).map(|sum| sum.to_string());
        prop_assert_eq!(difference, paper_left.add(&minus).expected());
    }

    #[test]
    fn order_is_numeric_in_values_and_in_bytes(left in plain(), right in plain()) {
        let order = Paper::of_plain(&left).compare(&Paper::of_plain(&right));
        let (left, right) = (number(&left), number(&right));
        prop_assert_eq!(left.cmp(&right), order);
        prop_assert_eq!(encoded(&left).cmp(&encoded(&right)), order);
        prop_assert_eq!(left == right, order == Ordering::Equal);
    }

    #[test]
    fn encoding_round_trips_and_ends_itself(text in plain(), tail in any::<Vec<u8>>()) {
        let number = number(&text);
        let mut bytes = encoded(&number);
        let len = bytes.len();
        let significant = text.trim_start_matches('-').replace('.', "");
        let digits = significant.trim_matches('0').len();
        prop_assert_eq!(len, if digits == 0 { 1 } else { 2 + digits.div_ceil(2) });
        bytes.extend_from_slice(&tail);
        prop_assert_eq!(Number::decode_ordered(&bytes), Some((number, len)));
        prop_assert_eq!(Number::decode_ordered(&bytes[..len - 1]), None);
    }

    #[test]
    fn hostile_bytes_decode_to_what_encodes_to_them(
        sign in 0u8..4,
        bytes in prop_oneof![any::<Vec<u8>>(), prop::collection::vec(0u8..210, 0..25)],
    ) {
        let bytes = [&[sign], &bytes[..]].concat();
        let decoded = Number::decode_ordered(&bytes);
        if let Some((number, len)) = decoded {
            prop_assert_eq!(encoded(&number), &bytes[..len]);
            prop_assert_eq!(Number::parse(&number.to_string()), Ok(number));
        }
    }

    #[test]
    fn any_text_is_parsed_or_refused(text in "[-+]?[0-9.eE+]{0,60}|\\PC*") {
        if let Ok(number) = Number::parse(&text) {
            prop_assert_eq!(Number::parse(&number.to_string()), Ok(number));
        }
    }
}
