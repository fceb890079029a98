//! Records of a stream.

use std::cmp::Ordering;
use std::fmt;

use super::EventName;
use super::error::Error;
use super::items::decode;
use crate::model::Item;
use crate::rpc::wire::v1;

/// One change of one item.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Unique, and the same each time the record is read.
    pub event_id: String,
    /// What happened.
    pub event_name: EventName,
    /// Its place; rises with every change of a partition, and so of every key.
    pub sequence_number: SequenceNumber,
    /// When the change was made, milliseconds since 1970.
    pub created_ms: u64,
    /// The key of the item.
    pub keys: Item,
    /// The item after the change, if the stream shows it and it exists.
    pub new_image: Option<Item>,
    /// The item before the change, if the stream shows it and it existed.
    pub old_image: Option<Item>,
    /// Size of keys and images by DynamoDB's rules, bytes.
    pub size_bytes: u64,
}

impl Record {
    pub(super) fn from_wire(record: v1::Record) -> Result<Self, Error> {
        Ok(Self {
            event_name: record.event_name(),
            event_id: record.event_id,
            sequence_number: SequenceNumber(record.sequence_number),
            created_ms: record.created_ms,
            keys: decode(record.keys.as_ref().ok_or_else(|| Error::malformed("a record without keys"))?)?,
            new_image: record.new_image.as_ref().map(decode).transpose()?,
            old_image: record.old_image.as_ref().map(decode).transpose()?,
            size_bytes: record.size_bytes,
        })
    }
}

/// A sequence number: decimal digits, ordered as numbers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SequenceNumber(String);

impl SequenceNumber {
    /// Takes digits as they are written.
    pub fn new(digits: impl Into<String>) -> Self {
        Self(digits.into())
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn significant(&self) -> &str {
        self.0.trim_start_matches('0')
    }
}

impl Ord for SequenceNumber {
    fn cmp(&self, other: &Self) -> Ordering {
        let (mine, others) = (self.significant(), other.significant());
        // The text last: equal numbers with different zeros are different texts.
        mine.len().cmp(&others.len()).then_with(|| mine.cmp(others)).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for SequenceNumber {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_are_ordered_as_numbers() {
        let ordered = ["0", "9", "10", "099", "100", "400000000024465870661", "1400000000024465870661"];
        for pair in ordered.windows(2) {
            assert!(SequenceNumber::new(pair[0]) < SequenceNumber::new(pair[1]), "{pair:?}");
        }
    }
}
