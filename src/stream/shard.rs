//! Shards and sequence numbers.

use std::fmt;

use crate::model::id::GroupId;

/// Where a change is logged, as stream clients see it: (generation of the partition, log index, place in the
/// entry), written as one decimal number of 31 digits or more (AWS: 21 to 40 digits, compared as big integers).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SequenceNumber {
    /// 0 for a partition of a new table; a child's is its parent's + 1.
    pub generation: u32,
    /// Index of the entry.
    pub index: u64,
    /// Place of the change within the entry.
    pub ordinal: u32,
}

/// Ten digits hold any ordinal, twenty any index.
const PER_INDEX: u128 = 10_000_000_000;
const PER_GENERATION: u128 = PER_INDEX * 100_000_000_000_000_000_000;

impl SequenceNumber {
    /// Parses decimal digits; `None` if they are not a sequence number.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > 40 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number: u128 = text.parse().ok()?;
        let generation = u32::try_from((number / PER_GENERATION).checked_sub(1)?).ok()?;
        let index = u64::try_from(number % PER_GENERATION / PER_INDEX).ok()?;
        let ordinal = u32::try_from(number % PER_INDEX).ok()?;
        Some(Self { generation, index, ordinal })
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = (u128::from(self.generation) + 1) * PER_GENERATION
            + u128::from(self.index) * PER_INDEX
            + u128::from(self.ordinal);
        number.fmt(f)
    }
}

/// `shardId-<20 digits: ms since 1970>-<8 hex digits: group>`: the order of ids is the order of creation, and
/// client libraries read the time out of the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId {
    /// When it was created, ms since 1970.
    pub created_ms: u64,
    /// The partition whose log it is a part of.
    pub group: GroupId,
}

impl ShardId {
    /// Parses an id; `None` if it does not have the form.
    pub fn parse(text: &str) -> Option<Self> {
        let (time, group) = text.strip_prefix("shardId-")?.split_once('-')?;
        if time.len() != 20 || group.len() != 8 {
            return None;
        }
        let id =
            Self { created_ms: time.parse().ok()?, group: GroupId(u64::from_str_radix(group, 16).ok()?) };
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shardId-{:020}-{:08x}", self.created_ms, self.group.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    prop_compose! {
        fn number()(generation: u32, index: u64, ordinal: u32) -> SequenceNumber {
            SequenceNumber { generation: generation % 1000, index, ordinal }
        }
    }

    proptest! {
        #[test]
        fn text_order_is_log_order(a in number(), b in number()) {
            let (x, y) = (a.to_string(), b.to_string());
            prop_assert_eq!(SequenceNumber::parse(&x), Some(a));
            prop_assert!((21..=40).contains(&x.len()));
            prop_assert_eq!((x.len(), &x).cmp(&(y.len(), &y)), a.cmp(&b));
        }

        #[test]
        fn hostile_text_never_panics(text in ".{0,60}") {
            let _ = SequenceNumber::parse(&text);
            let _ = ShardId::parse(&text);
        }
    }

    #[test]
    fn the_largest_number_has_forty_digits() {
        let number = SequenceNumber { generation: 100_000_000, index: u64::MAX, ordinal: u32::MAX };
        assert_eq!(SequenceNumber::parse(&number.to_string()), Some(number));
        assert_eq!(number.to_string().len(), 39);
        assert_eq!(SequenceNumber::parse("12"), None);
        assert_eq!(SequenceNumber::parse(&"9".repeat(40)), None);
    }

    #[test]
    fn shard_ids_have_the_form_of_aws() {
        let id = ShardId { created_ms: 1_573_689_847_184, group: GroupId(0x8647_58bb) };
        assert_eq!(id.to_string(), "shardId-00000001573689847184-864758bb");
        assert_eq!(ShardId::parse(&id.to_string()), Some(id));
        assert_eq!(ShardId::parse("shardId-00000001573689847184-864758BB"), None);
        assert_eq!(ShardId::parse("shardId-1573689847184-864758bb"), None);
    }
}
