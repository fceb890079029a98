//! What a node answers when it cannot do what it was asked: the one crossing from the rooms below.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{catalog, delivery, expression, model, partition, raft, stream};

/// Why an operation was not done. Five kinds, by what the caller does next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Error {
    /// *Invalid*: the request is wrong and changed nothing. The message is for the user.
    #[error("{0}")]
    Invalid(String),
    /// *Invalid*: there is no such table, stream or shard. The message is for the user.
    #[error("{0}")]
    NotFound(String),
    /// *Rejected*: the table exists, or is being created, changed or deleted.
    #[error("{0}")]
    InUse(String),
    /// *Rejected*: the condition did not hold.
    #[error("The conditional request failed")]
    ConditionFailed {
        /// The item it did not hold of, encoded, if that was asked for and there is one.
        item: Option<Bytes>,
    },
    /// *Rejected*: the position lies below the trim horizon.
    #[error("The operation attempted to read past the oldest stream record in a shard.")]
    Trimmed,
    /// *Rejected*: the iterator is older than 15 minutes.
    #[error("The provided iterator exceeds the maximum age allowed.")]
    IteratorExpired,
    /// *Unavailable*: it did not happen; try again, perhaps elsewhere.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// *Unavailable*: the disk of the partition's leader is full. Reads go on; trying again at once does not help.
    #[error("unavailable: the disk of the partition's leader is full")]
    DiskFull,
    /// *Unavailable*: refused early, because too much waits already.
    #[error("overloaded: try again later")]
    Overloaded,
    /// *Unknown*: it may have happened, or may happen still.
    #[error("unknown: the write may have happened or may still happen")]
    Unknown,
    /// *Fatal* for this operation: a stored thing is corrupt or a disk failed. Details are in the node's log.
    #[error("internal error")]
    Internal,
}

impl Error {
    /// Whether it is known that nothing happened, and trying again may help.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::DiskFull | Self::Overloaded)
    }

    /// An internal error, logged here, where it is consumed.
    pub fn internal(what: &'static str, error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "{what}");
        Self::Internal
    }

    /// There is no leader at the moment.
    pub fn no_leader() -> Self {
        Self::Unavailable("the partition has no leader at the moment".to_owned())
    }

    /// No such table, as item operations say it.
    pub fn no_table() -> Self {
        Self::NotFound("Requested resource not found".to_owned())
    }
}

impl From<model::Error> for Error {
    fn from(error: model::Error) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<expression::Error> for Error {
    fn from(error: expression::Error) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<expression::legacy::Invalid> for Error {
    fn from(invalid: expression::legacy::Invalid) -> Self {
        Self::Invalid(invalid.to_string())
    }
}

impl From<delivery::SettingsError> for Error {
    fn from(error: delivery::SettingsError) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<partition::StartFault> for Error {
    fn from(fault: partition::StartFault) -> Self {
        Self::Invalid(fault.to_string())
    }
}

impl From<partition::Rejected> for Error {
    fn from(rejected: partition::Rejected) -> Self {
        match rejected {
            partition::Rejected::Condition { item } => Self::ConditionFailed { item },
            partition::Rejected::Invalid(message) => Self::Invalid(message),
        }
    }
}

impl From<stream::Error> for Error {
    fn from(error: stream::Error) -> Self {
        match error {
            stream::Error::Invalid => Self::Invalid(error.to_string()),
            stream::Error::Expired => Self::IteratorExpired,
        }
    }
}

impl From<raft::ProposeError> for Error {
    fn from(error: raft::ProposeError) -> Self {
        match error {
            raft::ProposeError::Refused | raft::ProposeError::Uncertain => Self::no_leader(),
            raft::ProposeError::Unknown => Self::Unknown,
        }
    }
}

impl From<catalog::Refusal> for Error {
    fn from(refusal: catalog::Refusal) -> Self {
        use catalog::Refusal;
        match refusal {
            Refusal::TableExists(_) | Refusal::TableBusy { .. } | Refusal::TriggerExists { .. } => {
                Self::InUse(refusal.to_string())
            }
            Refusal::NoTable(_)
            | Refusal::NoNode(_)
            | Refusal::NoAccessKey(_)
            | Refusal::NoTrigger(_)
            | Refusal::NoConsumer { .. } => Self::NotFound(refusal.to_string()),
            Refusal::StreamEnabled(_)
            | Refusal::StreamDisabled(_)
            | Refusal::TableProtected
            | Refusal::Invalid(_)
            | Refusal::Founded => Self::Invalid(refusal.to_string()),
        }
    }
}
