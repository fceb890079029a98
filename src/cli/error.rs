//! How a command ends.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::client;

/// Why a command did not do what it was asked. The exit code says which kind; see the door.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The cluster, or the way to it, said no.
    #[error(transparent)]
    Client(#[from] client::Error),
    /// The arguments or the data make no sense.
    #[error("{0}")]
    Invalid(String),
    /// The answer is no: not found, not equal.
    #[error("{0}")]
    Negative(String),
    /// A file could not be read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The answer could not be written.
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
    /// A node could not run.
    #[error("{0}")]
    Node(String),
}

impl Error {
    /// What the program exits with.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Client(error) => match error.kind() {
                client::Kind::Rejected => 1,
                client::Kind::Invalid => 2,
                client::Kind::Unavailable => 3,
                client::Kind::Unknown | client::Kind::Fatal => 4,
            },
            Self::Negative(_) | Self::Node(_) => 1,
            Self::Invalid(_) | Self::File { .. } => 2,
            Self::Output(_) => 4,
        }
    }

    fn is_reader_gone(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// Tells the person, and the code to exit with.
pub(super) fn exit_code(outcome: Result<(), Error>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_reader_gone() => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            if let Error::Client(client::Error::Unknown(_)) = error {
                eprintln!("The write may have happened, or may still happen.");
            }
            ExitCode::from(error.exit_code())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes() {
        assert_eq!(Error::Negative("no such item".into()).exit_code(), 1);
        assert_eq!(Error::Invalid("nonsense".into()).exit_code(), 2);
        assert_eq!(Error::File { path: "a".into(), source: io::Error::other("gone") }.exit_code(), 2);
        let gone = Error::Output(io::ErrorKind::BrokenPipe.into());
        assert!(gone.is_reader_gone());
    }
}
