//! The decimal number of DynamoDB: 38 significant digits, magnitude 1E-130 to 9.99..E+125, and zero (2.1.2).
//!
//! A value has one representation, so equality, hashing and encoding need no thought: a sign, a coefficient that is
//! not a multiple of ten, and an exponent. Every exponent is bounded before it takes part in arithmetic, so no input
//! takes more time than its own length.

use std::cmp::Ordering;
use std::fmt;

use super::error::Error;
use super::limits::{NUMBER_DIGITS_MAX, NUMBER_MAGNITUDE_MAX, NUMBER_MAGNITUDE_MIN};

/// A decimal number, exact. 24 bytes, `Copy`; equal values are equal bits.
///
/// value = (-1)^negative * coefficient * 10^exponent, where the coefficient is below 10^38 and not a multiple of
/// ten, and zero is all zeros. The coefficient is kept as two halves because a `u128` would make every attribute
/// value 16 bytes larger for its alignment.
#[derive(Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Number {
    coefficient_high: u64,
    coefficient_low: u64,
    exponent: i16,
    negative: bool,
}

/// Plain decimal at its longest: sign, `0.`, 129 zeros, 38 digits.
const TEXT_BYTES_MAX: usize = 1 + 2 + 129 + NUMBER_DIGITS_MAX;

const HALF: u64 = 10_000_000_000_000_000_000;
const HALF_DIGITS: usize = 19;

const SIGN_NEGATIVE: u8 = 0;
const SIGN_ZERO: u8 = 1;
const SIGN_POSITIVE: u8 = 2;

impl Number {
    /// Zero: no digits, no sign.
    pub const ZERO: Self = Self { coefficient_high: 0, coefficient_low: 0, exponent: 0, negative: false };

    /// Parses decimal or scientific notation: optional sign, digits with an optional point, optional exponent.
    ///
    /// Errors, first that applies: `NotANumber` (also for spaces, `NaN`, `Infinity`), `NumberOverflow`,
    /// `NumberUnderflow`, `NumberTooPrecise`. Leading and trailing zeros do not count as digits. Zero is accepted
    /// with any exponent. Takes time linear in the text. Source: 2.1.2.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let Some(scan) = Scan::of(text.as_bytes()) else {
            return Err(Error::NotANumber { text: text.to_owned() });
        };
        if scan.coefficient == 0 && !scan.too_precise {
            return Ok(Self::ZERO);
        }
        if scan.magnitude > i64::from(NUMBER_MAGNITUDE_MAX) {
            return Err(Error::NumberOverflow);
        }
        if scan.magnitude < i64::from(NUMBER_MAGNITUDE_MIN) {
            return Err(Error::NumberUnderflow);
        }
        if scan.too_precise {
            return Err(Error::NumberTooPrecise);
        }
        let exponent = scan.magnitude - (i64::from(scan.digits) - 1);
        let exponent = i16::try_from(exponent).expect("the magnitude and the digits are bounded");
        Ok(Self::from_parts(scan.negative, scan.coefficient, exponent))
    }

    /// Whether the value is zero.
    pub fn is_zero(&self) -> bool {
        self.coefficient_low == 0 && self.coefficient_high == 0
    }

    /// Whether the value is below zero.
    pub fn is_negative(&self) -> bool {
        self.negative
    }

    /// The value as an integer, if it is one and fits. For counts and times (ttl), not for arithmetic.
    pub fn to_i64(&self) -> Option<i64> {
        let power = 10u128.checked_pow(u32::try_from(self.exponent).ok()?)?;
        let magnitude = i128::try_from(self.coefficient().checked_mul(power)?).ok()?;
        i64::try_from(if self.negative { -magnitude } else { magnitude }).ok()
    }

    /// The exact sum. Errors: `NumberOverflow` if it needs more than 38 digits or is too large, `NumberUnderflow`.
    pub fn checked_add(&self, other: &Self) -> Result<Self, Error> {
        if self.is_zero() {
            return Ok(*other);
        }
        if other.is_zero() {
            return Ok(*self);
        }
        let (high, low) = if self.exponent >= other.exponent { (self, other) } else { (other, self) };
        // A shifted coefficient that does not fit cannot be brought back to 38 digits by the other, which is below
        // 10^38; and after a shift the sum has no trailing zeros to give, as the other coefficient has none.
        let shift = u32::try_from(high.exponent - low.exponent).expect("the first exponent is the larger");
        let shifted = 10u128
            .checked_pow(shift)
            .and_then(|power| high.coefficient().checked_mul(power))
            .ok_or(Error::NumberOverflow)?;
        let (negative, coefficient) = if high.negative == low.negative {
            (high.negative, shifted.checked_add(low.coefficient()).ok_or(Error::NumberOverflow)?)
        } else if shifted >= low.coefficient() {
            (high.negative, shifted - low.coefficient())
        } else {
            (low.negative, low.coefficient() - shifted)
        };
        Self::normalised(negative, coefficient, low.exponent)
    }

    /// The exact difference. Errors: as `checked_add`.
    pub fn checked_sub(&self, other: &Self) -> Result<Self, Error> {
        self.checked_add(&other.negated())
    }

    /// The value with the other sign.
    #[must_use]
    pub fn negated(&self) -> Self {
        Self { negative: !self.negative && !self.is_zero(), ..*self }
    }

    /// What DynamoDB counts for it, in bytes: its length in base 100 plus one, plus one if negative; zero is 1.
    /// Source: 2.1.5.
    pub fn size(&self) -> usize {
        if self.is_zero() {
            return 1;
        }
        size_of_digits(self.digits_len(), self.magnitude(), self.negative)
    }

    /// Appends 1 byte for zero, else 2 + ceil(digits / 2) bytes whose unsigned byte order is numeric order.
    ///
    /// | byte | holds |
    /// |---|---|
    /// | 0 | 0 negative, 1 zero (and nothing follows), 2 positive |
    /// | 1 | exponent of the leading digit + 130 |
    /// | 2.. | two digits each from the leading one, as 2 * pair, + 1 if another byte follows |
    ///
    /// For negative numbers all bytes but the first are complemented. The last pair is never 0: no two encodings of
    /// one value. The low bit of a pair makes it self-delimiting.
    pub fn encode_ordered(&self, out: &mut Vec<u8>) {
        if self.is_zero() {
            out.push(SIGN_ZERO);
            return;
        }
        let mut digits = [0u8; 2 * HALF_DIGITS];
        let digits = self.write_digits(&mut digits);
        let flip = if self.negative { 0xFF } else { 0 };
        let mut bytes = [0u8; 2 + NUMBER_DIGITS_MAX / 2];
        bytes[0] = if self.negative { SIGN_NEGATIVE } else { SIGN_POSITIVE };
        let biased = u8::try_from(self.magnitude() - NUMBER_MAGNITUDE_MIN).expect("magnitudes fill one byte");
        bytes[1] = biased ^ flip;
        let pairs = digits.len().div_ceil(2);
        for (index, pair) in digits.chunks(2).enumerate() {
            let value = pair[0] * 10 + pair.get(1).copied().unwrap_or(0);
            bytes[2 + index] = (value * 2 + u8::from(index + 1 < pairs)) ^ flip;
        }
        out.extend_from_slice(&bytes[..2 + pairs]);
    }

    /// Decodes what `encode_ordered` wrote at the start of `bytes`, with its length; `None` if it could not have
    /// written that.
    pub fn decode_ordered(bytes: &[u8]) -> Option<(Self, usize)> {
        let layout = Layout::of(bytes)?;
        if layout.len == 1 {
            return Some((Self::ZERO, 1));
        }
        let mut coefficient = 0u128;
        let pairs = &bytes[2..layout.len];
        for pair in &pairs[..pairs.len() - 1] {
            coefficient = coefficient * 100 + u128::from((pair ^ layout.flip()) >> 1);
        }
        let last = (pairs[pairs.len() - 1] ^ layout.flip()) >> 1;
        coefficient = if layout.digits.is_multiple_of(2) {
            coefficient * 100 + u128::from(last)
        } else {
            coefficient * 10 + u128::from(last / 10)
        };
        let exponent = layout.magnitude - (layout.digits as i16 - 1);
        Some((Self::from_parts(layout.negative, coefficient, exponent), layout.len))
    }

    fn from_parts(negative: bool, coefficient: u128, exponent: i16) -> Self {
        Self {
            coefficient_high: (coefficient >> 64) as u64,
            coefficient_low: coefficient as u64,
            exponent,
            negative,
        }
    }

    fn normalised(negative: bool, mut coefficient: u128, mut exponent: i16) -> Result<Self, Error> {
        if coefficient == 0 {
            return Ok(Self::ZERO);
        }
        while coefficient.is_multiple_of(10) {
            coefficient /= 10;
            exponent += 1;
        }
        let number = Self::from_parts(negative, coefficient, exponent);
        if number.digits_len() > NUMBER_DIGITS_MAX || number.magnitude() > NUMBER_MAGNITUDE_MAX {
            return Err(Error::NumberOverflow);
        }
        if number.magnitude() < NUMBER_MAGNITUDE_MIN {
            return Err(Error::NumberUnderflow);
        }
        Ok(number)
    }

    fn coefficient(&self) -> u128 {
        u128::from(self.coefficient_high) << 64 | u128::from(self.coefficient_low)
    }

    /// Number of significant digits; 1 for zero.
    fn digits_len(&self) -> usize {
        match self.coefficient_high {
            0 => self.coefficient_low.checked_ilog10().unwrap_or(0) as usize + 1,
            _ => self.coefficient().ilog10() as usize + 1,
        }
    }

    /// Decimal exponent of the leading digit.
    fn magnitude(&self) -> i16 {
        self.exponent + self.digits_len() as i16 - 1
    }

    /// The significant digits, leading one first, as values 0 to 9.
    fn write_digits<'a>(&self, buffer: &'a mut [u8; 2 * HALF_DIGITS]) -> &'a [u8] {
        let mut at = buffer.len();
        let mut put = |mut half: u64, len_min: usize| {
            let stop = at - len_min;
            while half > 0 || at > stop {
                at -= 1;
                buffer[at] = (half % 10) as u8;
                half /= 10;
            }
        };
        if self.coefficient_high == 0 && self.coefficient_low < HALF {
            put(self.coefficient_low, 1);
        } else {
            let coefficient = self.coefficient();
            put((coefficient % u128::from(HALF)) as u64, HALF_DIGITS);
            put((coefficient / u128::from(HALF)) as u64, 1);
        }
        &buffer[at..]
    }
}

/// The rule of `Number::size` for a number that is not zero.
fn size_of_digits(digits: usize, magnitude: i16, negative: bool) -> usize {
    let straddles = digits.is_multiple_of(2) && magnitude % 2 == 0;
    1 + digits.div_ceil(2) + usize::from(straddles) + usize::from(negative)
}

/// The shape of one ordered encoding, checked to be canonical.
struct Layout {
    len: usize,
    digits: usize,
    magnitude: i16,
    negative: bool,
}

impl Layout {
    fn of(bytes: &[u8]) -> Option<Self> {
        let negative = match *bytes.first()? {
            SIGN_ZERO => return Some(Self { len: 1, digits: 1, magnitude: 0, negative: false }),
            SIGN_NEGATIVE => true,
            SIGN_POSITIVE => false,
            _ => return None,
        };
        let flip = if negative { 0xFF } else { 0 };
        let magnitude = i16::from(*bytes.get(1)? ^ flip) + NUMBER_MAGNITUDE_MIN;
        let pairs = bytes.get(2..)?;
        for (index, pair) in pairs.iter().take(NUMBER_DIGITS_MAX / 2).enumerate() {
            let pair = pair ^ flip;
            let value = pair >> 1;
            if value > 99 || (index == 0 && value < 10) {
                return None;
            }
            if pair & 1 == 0 {
                if value == 0 {
                    return None;
                }
                let digits = 2 * (index + 1) - usize::from(value.is_multiple_of(10));
                return Some(Self { len: 3 + index, digits, magnitude, negative });
            }
        }
        None
    }

    fn flip(&self) -> u8 {
        if self.negative { 0xFF } else { 0 }
    }
}

/// What one pass over a number's text found.
struct Scan {
    negative: bool,
    /// The significant digits; meaningless when there are too many.
    coefficient: u128,
    digits: u32,
    /// Decimal exponent of the first significant digit, clamped far outside the range of numbers.
    magnitude: i64,
    too_precise: bool,
}

impl Scan {
    /// `None` if the text is not a number.
    fn of(text: &[u8]) -> Option<Self> {
        let mut scan = Self { negative: false, coefficient: 0, digits: 0, magnitude: 0, too_precise: false };
        let mut at = 0;
        if let Some(sign @ (b'+' | b'-')) = text.first() {
            scan.negative = *sign == b'-';
            at = 1;
        }
        let mut zeros = 0u32;
        let mut point = None;
        let mut seen = 0i64;
        let mut first = None;
        while let Some(&byte) = text.get(at) {
            match byte {
                b'0' => {
                    seen += 1;
                    zeros = zeros.saturating_add(1);
                }
                b'1'..=b'9' => {
                    scan.push(byte - b'0', if first.is_some() { zeros } else { 0 });
                    first.get_or_insert(seen);
                    zeros = 0;
                    seen += 1;
                }
                b'.' if point.is_none() => point = Some(seen),
                _ => break,
            }
            at += 1;
        }
        if seen == 0 {
            return None;
        }
        let exponent = scan_exponent(&text[at..])?;
        scan.magnitude = exponent + point.unwrap_or(seen) - first.unwrap_or(0) - 1;
        Some(scan)
    }

    /// Takes a digit that is not zero, after so many zeros since the last one.
    fn push(&mut self, digit: u8, zeros: u32) {
        self.digits = self.digits.saturating_add(zeros).saturating_add(1);
        if self.digits > NUMBER_DIGITS_MAX as u32 {
            self.too_precise = true;
            return;
        }
        self.coefficient = self.coefficient * 10u128.pow(zeros + 1) + u128::from(digit);
    }
}

/// The value after `e`, clamped to what no text can bring back into range; 0 if there is nothing; `None` if what
/// is there is not an exponent.
fn scan_exponent(text: &[u8]) -> Option<i64> {
    const CLAMP: i64 = 1 << 50;
    let Some((b'e' | b'E', text)) = text.split_first() else {
        return text.is_empty().then_some(0);
    };
    let (negative, digits) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        (b'+', rest) => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = digits.iter().fold(0i64, |value, digit| (value * 10 + i64::from(digit - b'0')).min(CLAMP));
    Some(if negative { -value } else { value })
}

impl fmt::Display for Number {
    /// The canonical text: plain decimal, no exponent, no superfluous zeros or signs. Source: 2.1.2.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0u8; 2 * HALF_DIGITS];
        let digits = self.write_digits(&mut digits);
        let mut text = [b'0'; TEXT_BYTES_MAX];
        let mut len = 0;
        if self.negative {
            text[0] = b'-';
            len = 1;
        }
        let exponent = isize::from(self.exponent);
        let whole = digits.len() as isize + exponent;
        if whole <= 0 {
            text[len + 1] = b'.';
            len += 2 + whole.unsigned_abs();
        }
        for (index, digit) in digits.iter().enumerate() {
            if whole > 0 && index as isize == whole {
                text[len] = b'.';
                len += 1;
            }
            text[len] = b'0' + digit;
            len += 1;
        }
        len += usize::try_from(exponent).unwrap_or(0);
        f.write_str(std::str::from_utf8(&text[..len]).expect("digits, signs and points are ASCII"))
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |number: &Self| if number.is_zero() { 0 } else { 1 - 2 * i8::from(number.negative) };
        match sign(self).cmp(&sign(other)) {
            Ordering::Equal if self.is_zero() => Ordering::Equal,
            Ordering::Equal => {
                let aligned = |number: &Self| {
                    number.coefficient() * 10u128.pow((NUMBER_DIGITS_MAX - number.digits_len()) as u32)
                };
                let order =
                    self.magnitude().cmp(&other.magnitude()).then_with(|| aligned(self).cmp(&aligned(other)));
                if self.negative { order.reverse() } else { order }
            }
            order @ (Ordering::Less | Ordering::Greater) => order,
        }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self::normalised(false, value.into(), 0).expect("20 digits are in range")
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self::normalised(value < 0, value.unsigned_abs().into(), 0).expect("19 digits are in range")
    }
}

impl std::str::FromStr for Number {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

#[cfg(test)]
#[path = "number_test.rs"]
mod tests;
