//! Which seeds to run: `A..B` (without B), `A..=B`, or `N` alone.

use std::{fmt, ops::RangeInclusive, str::FromStr};

/// A range of seeds that is never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seeds(RangeInclusive<u64>);

impl Seeds {
    /// This one alone.
    pub fn one(seed: u64) -> Self {
        Self(seed..=seed)
    }

    /// How many; of all 2^64, one less.
    pub fn count(&self) -> u64 {
        (self.0.end() - self.0.start()).saturating_add(1)
    }

    /// The seeds in order.
    pub fn iter(&self) -> RangeInclusive<u64> {
        self.0.clone()
    }
}

impl fmt::Display for Seeds {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}..={}", self.0.start(), self.0.end())
    }
}

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (first, last) = if let Some((first, last)) = text.split_once("..=") {
            (seed(first)?, seed(last)?)
        } else if let Some((first, end)) = text.split_once("..") {
            let (first, end) = (seed(first)?, seed(end)?);
            if end == 0 {
                return Err(format!("`{text}` has no seed in it"));
            }
            (first, end - 1)
        } else {
            let seed = seed(text)?;
            (seed, seed)
        };
        if first > last {
            return Err(format!("`{text}` has no seed in it"));
        }
        Ok(Self(first..=last))
    }
}

fn seed(text: &str) -> Result<u64, String> {
    // `u64::from_str` takes "+1", which nobody means.
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!(
            "`{text}` is not a seed; seeds are `A..B`, `A..=B` or `N`, numbers of at most 64 bits"
        ));
    }
    text.parse().map_err(|_| format!("`{text}` is more than a seed can be, which is {}", u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seeds(text: &str) -> Result<Vec<u64>, String> {
        text.parse::<Seeds>().map(|seeds| seeds.iter().collect())
    }

    #[test]
    fn the_three_ways_to_say_it() {
        assert_eq!(seeds("3..6"), Ok(vec![3, 4, 5]));
        assert_eq!(seeds("3..=6"), Ok(vec![3, 4, 5, 6]));
        assert_eq!(seeds("7"), Ok(vec![7]));
        assert_eq!(seeds("18446744073709551615"), Ok(vec![u64::MAX]));
        assert_eq!(seeds("5..=5"), Ok(vec![5]));
        assert_eq!(seeds("0..1"), Ok(vec![0]));
    }

    #[test]
    fn the_count_is_that_of_the_seeds_and_does_not_overflow() {
        let count = |text: &str| text.parse::<Seeds>().map(|seeds| seeds.count());
        assert_eq!(count("3..6"), Ok(3));
        assert_eq!(count("3..=6"), Ok(4));
        assert_eq!(count("9"), Ok(1));
        assert_eq!(count("0..=18446744073709551615"), Ok(u64::MAX));
    }

    #[test]
    fn what_has_no_seed_is_refused() {
        for text in ["5..5", "6..5", "6..=5", "0..0"] {
            assert_eq!(seeds(text), Err(format!("`{text}` has no seed in it")));
        }
    }

    #[test]
    fn what_is_not_a_number_is_refused_by_name() {
        for (text, named) in [
            ("", "``"),
            ("a", "`a`"),
            ("1..b", "`b`"),
            ("..4", "``"),
            ("1..", "``"),
            ("+1", "`+1`"),
            ("1..=-2", "`-2`"),
        ] {
            let error = seeds(text).expect_err(text);
            assert!(error.starts_with(&format!("{named} is not a seed")), "{text}: {error}");
        }
        let error = seeds("18446744073709551616").expect_err("one too many");
        assert!(error.starts_with("`18446744073709551616` is more than a seed can be"), "{error}");
    }
}
