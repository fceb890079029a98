//! What can go wrong in the log, by what the caller does next.

use std::{io, path::PathBuf, sync::Arc};

use crate::model::id::{GroupId, Position};

/// Why the log did not do what it was asked. Cheap to clone: one failure may answer many callers.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The entry asked for lies at or below the floor: read a snapshot or answer that it was trimmed.
    #[error("entry {index} of group {group} is trimmed, the floor is at {floor}")]
    Trimmed {
        /// The group read.
        group: GroupId,
        /// The index asked for.
        index: u64,
        /// The last position trimmed.
        floor: Position,
    },
    /// Unavailable: the disk has no space. Nothing happened, nothing acknowledged is lost, reads go on, and
    /// writes do too as soon as there is space.
    #[error("the disk of {dir} is full")]
    Full {
        /// The log's directory.
        dir: PathBuf,
    },
    /// Unavailable: the log was closed before this was written.
    #[error("the log is closed")]
    Closed,
    /// Fatal: a write or sync failed, and nothing after it can be trusted. Stop the process.
    #[error("the log could not {doing} {file}; stop this process")]
    Fatal {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        file: PathBuf,
        /// Why not.
        source: Arc<io::Error>,
    },
    /// Fatal: stored bytes are not what was written.
    #[error(
        "{what} in {file} at byte {offset}{}. Do not start this node on it: check the disk, set the whole data \
         directory aside (never the log alone), and join the cluster as a new node at another address",
        of_group(*group)
    )]
    Corrupt {
        /// The damaged file.
        file: PathBuf,
        /// Where in it.
        offset: u64,
        /// Whose entries are concerned, where that can be told.
        group: Option<GroupId>,
        /// What is wrong there.
        what: &'static str,
    },
    /// Another process, or another `Log` of this one, has the directory open.
    #[error("{dir} is in use by another process")]
    Locked {
        /// The log's directory.
        dir: PathBuf,
    },
    /// A file is not a segment of this program, of this version, or of this place.
    #[error("{file} is not a log segment this version can use: {what}")]
    WrongDirectory {
        /// The file that should not be there.
        file: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The file system refused an operation of opening or reading; nothing was harmed by it.
    #[error("the log could not {doing} {file}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        file: PathBuf,
        /// Why not.
        source: Arc<io::Error>,
    },
}

fn of_group(group: Option<GroupId>) -> String {
    group.map_or_else(String::new, |group| format!(" (group {group})"))
}

impl Error {
    /// Whether the process must stop: nothing the log says from now on can be trusted.
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Fatal { .. } | Self::Corrupt { .. } => true,
            Self::Trimmed { .. }
            | Self::Full { .. }
            | Self::Closed
            | Self::Locked { .. }
            | Self::WrongDirectory { .. }
            | Self::Io { .. } => false,
        }
    }

    /// Whether it did not happen, and may be tried again later.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::Closed)
    }

    /// For `map_err`: a refused operation of opening or reading.
    pub(super) fn io(doing: &'static str, file: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, file: file.into(), source: Arc::new(source) }
    }

    /// For `map_err`: a failed operation of the writer; full disks apart, it is fatal.
    pub(super) fn writing(doing: &'static str, file: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        move |source| {
            let file = file.into();
            if is_full(&source) {
                let dir = file.parent().map(PathBuf::from).unwrap_or_default();
                return Self::Full { dir };
            }
            Self::Fatal { doing, file, source: Arc::new(source) }
        }
    }

    /// For `map_err`: a failed sync, fatal whatever the reason.
    pub(super) fn syncing(file: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Fatal { doing: "sync", file: file.into(), source: Arc::new(source) }
    }
}

/// Whether an error of the file system says that there is no space.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
