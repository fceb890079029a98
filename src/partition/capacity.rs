//! Capacity units: what reads and writes are counted as.
//!
//! Source: Amazon DynamoDB Developer Guide, "DynamoDB read and write operations": a unit is a strongly consistent read
//! of up to 4 KB, two eventually consistent ones, or a write of up to 1 KB; a transaction takes twice that.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign};

use serde::{Deserialize, Serialize};

const READ_BYTES: usize = 4096;
const WRITE_BYTES: usize = 1024;

/// A number of capacity units, exact to the half unit, which is the least that anything costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Units {
    halves: u64,
}

/// What a read of so many bytes costs, rounded up; of nothing, as much as of the least.
///
/// Each item that is got by its key is a read of its own, also in a batch. What a query or a scan evaluated is one read
/// together, whatever of it is shown.
pub fn read_units(bytes: usize, consistent: bool) -> Units {
    let blocks = bytes.div_ceil(READ_BYTES).max(1) as u64;
    Units { halves: if consistent { 2 * blocks } else { blocks } }
}

/// What a write costs of an item of so many bytes, the larger number of before and after, rounded up; of no item, as
/// much as of the smallest.
pub fn write_units(bytes: usize) -> Units {
    Units { halves: 2 * bytes.div_ceil(WRITE_BYTES).max(1) as u64 }
}

impl Units {
    /// None.
    pub const ZERO: Self = Self { halves: 0 };

    /// As much twice: in a transaction.
    pub fn doubled(self) -> Self {
        self + self
    }

    /// The number of half units.
    pub fn halves(self) -> u64 {
        self.halves
    }

    /// The number of units; exact below 2^52.
    pub fn as_f64(self) -> f64 {
        self.halves as f64 / 2.0
    }
}

impl Add for Units {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { halves: self.halves.saturating_add(other.halves) }
    }
}

impl AddAssign for Units {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Units {
    fn sum<I: Iterator<Item = Self>>(units: I) -> Self {
        units.fold(Self::ZERO, Add::add)
    }
}

/// As a decimal number: `2`, `0.5`.
impl fmt::Display for Units {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let half = if self.halves.is_multiple_of(2) { "" } else { ".5" };
        write!(f, "{}{half}", self.halves / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_add_up_to_the_half() {
        let half = read_units(1, false);
        assert_eq!((half.to_string(), half.as_f64(), half.halves()), ("0.5".to_owned(), 0.5, 1));
        let sum: Units = [half, half, half].into_iter().sum();
        assert_eq!((sum.to_string(), sum.as_f64()), ("1.5".to_owned(), 1.5));
        assert_eq!(sum.doubled().to_string(), "3");
        assert_eq!(Units::ZERO.to_string(), "0");
        let mut total = Units::ZERO;
        total += write_units(usize::MAX);
        assert!(total + total > total, "no overflow");
    }
}
