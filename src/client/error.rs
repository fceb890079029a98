//! What can come of a call, by what the caller does next.

use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::method::Intent;
use super::retry::Sent;
use crate::model::Item;

const CONDITION_FAILED: &str = "ConditionalCheckFailedException";

/// Why a call gave no answer, in the five kinds of the house.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The request is wrong and never will succeed. Nothing was changed.
    #[error("{0}")]
    Invalid(Box<Answer>),
    /// A deterministic no: a condition did not hold, there is no such table, a position is trimmed. It changed nothing.
    #[error("{0}")]
    Rejected(Box<Answer>),
    /// It did not happen: no leader, no node, overload. The client has tried until the deadline; try again later.
    #[error("{0}")]
    Unavailable(Box<Answer>),
    /// The write may have happened, or may still happen.
    #[error("{0}")]
    Unknown(Box<Answer>),
    /// The cluster cannot go on with it, or speaks another language. Whether a write happened is not known.
    #[error("{0}")]
    Fatal(Box<Answer>),
}

/// The kinds of `Error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The caller's fault.
    Invalid,
    /// Answered no.
    Rejected,
    /// Did not happen.
    Unavailable,
    /// May have happened.
    Unknown,
    /// Cannot go on.
    Fatal,
}

impl Kind {
    /// Its name, as in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Rejected => "rejected",
            Self::Unavailable => "unavailable",
            Self::Unknown => "unknown",
            Self::Fatal => "fatal",
        }
    }
}

/// What was said.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The gRPC code.
    pub code: Code,
    /// DynamoDB's name of the error ("ConditionalCheckFailedException"); empty if no node has answered.
    pub reason: String,
    /// For people.
    pub message: String,
    /// The item a condition did not hold of, if that was asked for and there is one.
    pub item: Option<Item>,
}

impl Answer {
    /// The answer about a condition that did not hold.
    pub(super) fn condition_failed(item: Option<Item>) -> Self {
        let (reason, message) = (CONDITION_FAILED.to_owned(), "The conditional request failed".to_owned());
        Self { code: Code::FailedPrecondition, reason, message, item }
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.reason.as_str() {
            "" => f.write_str(&self.message),
            reason => write!(f, "{reason}: {}", self.message),
        }
    }
}

impl Error {
    /// The error of a kind.
    pub(super) fn new(kind: Kind, answer: Answer) -> Self {
        let answer = Box::new(answer);
        match kind {
            Kind::Invalid => Self::Invalid(answer),
            Kind::Rejected => Self::Rejected(answer),
            Kind::Unavailable => Self::Unavailable(answer),
            Kind::Unknown => Self::Unknown(answer),
            Kind::Fatal => Self::Fatal(answer),
        }
    }

    /// An error found on this side of the wire.
    pub(super) fn local(kind: Kind, message: impl Into<String>) -> Self {
        let code = match kind {
            Kind::Invalid => Code::InvalidArgument,
            Kind::Rejected => Code::FailedPrecondition,
            Kind::Unavailable => Code::Unavailable,
            Kind::Unknown => Code::Aborted,
            Kind::Fatal => Code::Internal,
        };
        Self::new(kind, Answer { code, reason: String::new(), message: message.into(), item: None })
    }

    /// An answer that is not what the protocol says.
    pub(super) fn malformed(what: impl std::fmt::Display) -> Self {
        Self::local(Kind::Fatal, format!("the answer cannot be understood: {what}"))
    }

    /// Which of the five.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Invalid(_) => Kind::Invalid,
            Self::Rejected(_) => Kind::Rejected,
            Self::Unavailable(_) => Kind::Unavailable,
            Self::Unknown(_) => Kind::Unknown,
            Self::Fatal(_) => Kind::Fatal,
        }
    }

    /// What was said.
    pub fn answer(&self) -> &Answer {
        match self {
            Self::Invalid(answer)
            | Self::Rejected(answer)
            | Self::Unavailable(answer)
            | Self::Unknown(answer)
            | Self::Fatal(answer) => answer,
        }
    }

    /// DynamoDB's name of the error; empty if no node has answered.
    pub fn reason(&self) -> &str {
        &self.answer().reason
    }

    /// For people.
    pub fn message(&self) -> &str {
        &self.answer().message
    }

    /// The gRPC code.
    pub fn code(&self) -> Code {
        self.answer().code
    }

    /// Whether a condition did not hold.
    pub fn is_condition_failed(&self) -> bool {
        self.reason() == CONDITION_FAILED
    }

    /// The item a condition did not hold of, if that was asked for and there is one.
    pub fn item(&self) -> Option<&Item> {
        self.answer().item.as_ref()
    }

    /// Whether there is no such table, stream or shard.
    pub fn is_not_found(&self) -> bool {
        self.code() == Code::NotFound
    }
}

/// The kind of a code, for a call that is not going to be repeated.
pub(super) fn kind_of(code: Code, intent: Intent, sent: Sent) -> Kind {
    let lost = match (intent, sent) {
        (Intent::Write, Sent::Maybe | Sent::Answered) => Kind::Unknown,
        (Intent::Write, Sent::No) | (Intent::Read, _) => Kind::Unavailable,
    };
    if sent != Sent::Answered {
        return lost;
    }
    match code {
        Code::InvalidArgument | Code::OutOfRange | Code::Unimplemented => Kind::Invalid,
        Code::PermissionDenied | Code::Unauthenticated => Kind::Invalid,
        Code::NotFound | Code::AlreadyExists | Code::FailedPrecondition => Kind::Rejected,
        Code::ResourceExhausted | Code::Unavailable => Kind::Unavailable,
        Code::Aborted | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown => lost,
        Code::Ok | Code::Internal | Code::DataLoss => Kind::Fatal,
    }
}

impl From<&Status> for Answer {
    fn from(status: &Status) -> Self {
        let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
        let mut message = status.message().to_owned();
        // tonic says "transport error" and keeps what happened in the sources.
        let mut source = std::error::Error::source(status);
        while let Some(error) = source {
            let text = error.to_string();
            if !message.contains(&text) {
                message = format!("{message}: {text}");
            }
            source = error.source();
        }
        Self { code: status.code(), reason, message, item: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::ErrorDetails;

    #[test]
    fn codes_have_the_kinds_of_the_protocol() {
        let answered = |code, intent| kind_of(code, intent, Sent::Answered);
        for intent in [Intent::Read, Intent::Write] {
            assert_eq!(answered(Code::InvalidArgument, intent), Kind::Invalid);
            assert_eq!(answered(Code::NotFound, intent), Kind::Rejected);
            assert_eq!(answered(Code::AlreadyExists, intent), Kind::Rejected);
            assert_eq!(answered(Code::FailedPrecondition, intent), Kind::Rejected);
            assert_eq!(answered(Code::ResourceExhausted, intent), Kind::Unavailable);
            assert_eq!(answered(Code::Unavailable, intent), Kind::Unavailable);
            assert_eq!(answered(Code::Internal, intent), Kind::Fatal);
            assert_eq!(kind_of(Code::Unavailable, intent, Sent::No), Kind::Unavailable);
        }
        assert_eq!(answered(Code::Aborted, Intent::Write), Kind::Unknown);
        assert_eq!(answered(Code::DeadlineExceeded, Intent::Write), Kind::Unknown);
        assert_eq!(answered(Code::DeadlineExceeded, Intent::Read), Kind::Unavailable);
    }

    #[test]
    fn a_connection_that_broke_leaves_a_write_unknown_whatever_the_code() {
        for code in [Code::Unavailable, Code::Unknown, Code::Internal, Code::Cancelled, Code::InvalidArgument]
        {
            assert_eq!(kind_of(code, Intent::Write, Sent::Maybe), Kind::Unknown, "{code:?}");
            assert_eq!(kind_of(code, Intent::Read, Sent::Maybe), Kind::Unavailable, "{code:?}");
        }
    }

    #[test]
    fn reason_comes_from_the_details() {
        let nothing = std::collections::HashMap::new();
        let details = ErrorDetails::with_error_info("ConditionalCheckFailedException", "watertable", nothing);
        let status =
            Status::with_error_details(Code::FailedPrecondition, "The conditional request failed", details);
        let error = Error::new(Kind::Rejected, Answer::from(&status));
        assert_eq!(error.reason(), "ConditionalCheckFailedException");
        assert_eq!(error.to_string(), "ConditionalCheckFailedException: The conditional request failed");
        assert_eq!(error.kind().name(), "rejected");
        assert!(error.is_condition_failed());
        // The same, where its item was asked for and is told in the response.
        let told = Error::new(Kind::Rejected, Answer::condition_failed(Some(Item::new())));
        assert_eq!(told.to_string(), error.to_string());
        assert_eq!((told.item(), error.item()), (Some(&Item::new()), None));
    }
}
