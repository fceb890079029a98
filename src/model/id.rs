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
