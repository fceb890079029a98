//! Identifiers and log positions: small, copyable, ordered; the only part of `model` the log knows.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<u64> for $name {
            fn from(value: u64) -> Self {
                Self(value)
            }
        }
    };
}

id! {
    /// One process of the cluster. Never reused.
    NodeId
}
id! {
    /// One Raft group: 0 is the catalog, every other one is a partition. Never reused.
    GroupId
}
id! {
    /// One table. A table created again under an old name has a new id.
    TableId
}

/// One trigger: random, written as a UUID.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct TriggerId(pub u128);

impl TriggerId {
    /// The id made of these random bits: a UUID of version 4. Source: RFC 9562, 5.4.
    pub fn random(bits: u128) -> Self {
        let versioned = bits & !(0xF << 76) | (0x4 << 76);
        Self(versioned & !(0x3 << 62) | (0x2 << 62))
    }

    /// Parses a UUID; `None` if it has another form than [`Display`](fmt::Display) gives it.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: String = text.chars().filter(|character| *character != '-').collect();
        let id = Self(u128::from_str_radix(&digits, 16).ok()?);
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for TriggerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.0;
        let (time, version, variant) = (id >> 96, id >> 64 & 0xFFFF, id >> 48 & 0xFFFF);
        write!(
            f,
            "{time:08x}-{:04x}-{version:04x}-{variant:04x}-{:012x}",
            id >> 80 & 0xFFFF,
            id & 0xFFFF_FFFF_FFFF
        )
    }
}

impl GroupId {
    /// The group that holds the cluster's own state.
    pub const CATALOG: Self = Self(0);
}

/// Where an entry stands in a group's log: Raft's log id. Ordered by term, then index, which in one log is
/// the same order as by index alone.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct Position {
    /// The leader's term the entry was proposed in.
    pub term: u64,
    /// Its place in the log, counted from 0 for a group's first entry.
    pub index: u64,
}

impl Position {
    /// The position of `index` in `term`.
    pub fn new(term: u64, index: u64) -> Self {
        Self { term, index }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.term, self.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trigger_ids_are_uuids() {
        let id = TriggerId::random(u128::MAX);
        assert_eq!(id.to_string(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(TriggerId::random(0).to_string(), "00000000-0000-4000-8000-000000000000");
        let id = TriggerId(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff);
        assert_eq!(id.to_string(), "00112233-4455-6677-8899-aabbccddeeff");
        assert_eq!(TriggerId::parse("00112233-4455-6677-8899-aabbccddeeff"), Some(id));
        for bad in ["", "00112233445566778899aabbccddeeff", "00112233-4455-6677-8899-AABBCCDDEEFF", "x"] {
            assert_eq!(TriggerId::parse(bad), None, "{bad}");
        }
    }
}
