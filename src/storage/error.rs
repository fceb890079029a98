//! What can go wrong with the stored items, by what the caller does next.

use std::path::PathBuf;

use crate::model::id::GroupId;

/// Why the item store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk refused. Nothing can be said about what was written: stop the process. After a start the log
    /// replays what is missing.
    #[error("item store: the disk refused to {doing}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the system answered.
        source: std::io::Error,
    },

    /// The engine found its own files damaged, or has stopped because of an earlier failure. Call
    /// [`condemn`](super::condemn), which makes the next start quarantine the store, and stop the process.
    /// (The catalog's store is never quarantined: an operator has to look.)
    #[error("item store: damaged, found when asked to {doing}")]
    Corrupt {
        /// What was being done.
        doing: &'static str,
        /// What the engine answered.
        #[source]
        source: Damage,
    },

    /// Another process has the store open. Do not touch it: refuse to start.
    #[error("item store: {path} is in use by another process")]
    Locked {
        /// The store.
        path: PathBuf,
    },

    /// The directory holds items of another engine, or of another version of this one. Refuse to start:
    /// the operator sets the engine back, or removes the directory and lets the replicas rebuild it.
    #[error("item store: {path} was written by another engine or version")]
    Foreign {
        /// What was found.
        path: PathBuf,
    },

    /// The view was kept so long that remembering what changed since became too dear. Open a new one and
    /// begin the read again.
    #[error("item store: the view is too old to be kept")]
    ViewExpired,

    /// A chunk or a finish for a group that has no import in progress (the process was restarted since, or
    /// the group was removed). Begin the import again.
    #[error("item store: group {group} has no import in progress")]
    NoImport {
        /// The group.
        group: GroupId,
    },

    /// A commit for a group whose import is not finished. Finish the import, or begin it again.
    #[error("item store: group {group} is being imported")]
    Importing {
        /// The group.
        group: GroupId,
    },

    /// A chunk holds an item outside the key range its import began with: the sender's fault, nothing of the
    /// chunk was stored. Give the import up and begin again, from another replica.
    #[error("item store: an item imported for group {group} lies outside its key range")]
    Outside {
        /// The group.
        group: GroupId,
    },
}

/// How an engine found its files damaged.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// fjall's word for it.
    #[error(transparent)]
    Fjall(::fjall::Error),
    /// sled's word for it.
    #[error(transparent)]
    Sled(::sled::Error),
    /// The engine panicked while opening its files: both do on some kinds of damage.
    #[error("the engine panicked")]
    Panicked,
    /// An earlier run of the process condemned the store.
    #[error("condemned by an earlier run")]
    Condemned,
    /// What the engine returned is not what this room stores.
    #[error("a key or value this room did not write")]
    Alien,
}

impl Damage {
    /// Whether an error of the system means damage: files that are missing, too short or senseless. Anything
    /// else is the disk or the system, and the files may be whole.
    pub(super) fn explains(error: &std::io::Error) -> bool {
        use std::io::ErrorKind::{InvalidData, NotFound, UnexpectedEof};
        [InvalidData, NotFound, UnexpectedEof].contains(&error.kind())
    }
}

impl Error {
    /// Whether the process must stop.
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Io { .. } | Self::Corrupt { .. } | Self::Locked { .. } | Self::Foreign { .. } => true,
            Self::ViewExpired | Self::NoImport { .. } | Self::Importing { .. } | Self::Outside { .. } => {
                false
            }
        }
    }
}
