//! Every error -> what the client sees of it: over gRPC code, reason (DynamoDB's name of the error) and message; over the
//! DynamoDB protocol status, type and message. The only table of errors.

use std::time::Duration;

use bytes::Bytes;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::{auth, json};
use crate::{model, node::Error};

const DOMAIN: &str = "watertable";
/// When to try again after a refusal for overload.
const RETRY_AFTER: Duration = Duration::from_millis(50);

/// The status of an error.
pub(super) fn status(error: &Error) -> Status {
    let (code, reason) = match error {
        Error::Invalid(_) => (Code::InvalidArgument, "ValidationException"),
        Error::NotFound(_) => (Code::NotFound, "ResourceNotFoundException"),
        Error::InUse(_) => (Code::AlreadyExists, "ResourceInUseException"),
        Error::ConditionFailed { .. } => (Code::FailedPrecondition, "ConditionalCheckFailedException"),
        Error::Trimmed => (Code::FailedPrecondition, "TrimmedDataAccessException"),
        Error::IteratorExpired => (Code::FailedPrecondition, "ExpiredIteratorException"),
        Error::Unavailable(_) | Error::DiskFull => (Code::Unavailable, "ServiceUnavailable"),
        Error::Overloaded => (Code::ResourceExhausted, "ThrottlingException"),
        Error::Unknown => (Code::Aborted, "OutcomeUnknown"),
        Error::Internal => (Code::Internal, "InternalServerError"),
    };
    let mut details = ErrorDetails::with_error_info(reason, DOMAIN, []);
    if *error == Error::Overloaded {
        details.set_retry_info(Some(RETRY_AFTER));
    }
    Status::with_error_details(code, error.to_string(), details)
}

/// Why a request of the DynamoDB protocol is not answered.
#[derive(Debug)]
pub(super) enum Fault {
    /// By the operation.
    Node(Error),
    /// A table of that name is missing, as operations on backups say it.
    NoTable(String),
    /// The body is not JSON, or not of the right kinds.
    Body(json::Fault),
    /// There is no such operation.
    UnknownOperation,
    /// The request is not signed as it should be.
    Auth(auth::Fault),
    /// Without access keys only clients on this machine are served.
    NotLocal,
    /// The body is too large.
    TooLarge,
    /// The headers are too large.
    HeadersTooLarge,
    /// The body is not compressed as its headers say.
    Encoding,
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Node(error)
    }
}

impl From<model::Error> for Fault {
    fn from(error: model::Error) -> Self {
        Self::Node(error.into())
    }
}

impl From<json::Fault> for Fault {
    fn from(fault: json::Fault) -> Self {
        Self::Body(fault)
    }
}

/// What a client of the DynamoDB protocol sees of a fault.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Exception<'a> {
    /// HTTP's status.
    pub status: u16,
    /// The namespace of the type.
    pub namespace: &'static str,
    /// The name of the type: what SDKs go by.
    pub name: &'static str,
    /// What was wrong.
    pub message: Option<String>,
    /// The item a condition did not hold of, if it was asked for.
    pub item: Option<&'a Bytes>,
}

const DYNAMODB: &str = "com.amazonaws.dynamodb.v20120810";
const VALIDATE: &str = "com.amazon.coral.validate";
const SERVICE: &str = "com.amazon.coral.service";

impl Fault {
    /// The exception of a fault. Sources: Amazon DynamoDB Developer Guide, "Error messages and codes"; SDKs repeat
    /// throttling and 5xx, so throttling is for what is known not to have happened, and 500 for what may have.
    pub fn exception(&self) -> Exception<'_> {
        let service = |name, message| (400, SERVICE, name, message);
        let (status, namespace, name, message) = match self {
            Self::Node(error) => {
                let (status, namespace, name) = row(error);
                (status, namespace, name, Some(error.to_string()))
            }
            Self::NoTable(table) => {
                (400, DYNAMODB, "TableNotFoundException", Some(format!("Table not found: {table}")))
            }
            Self::Body(json::Fault::Syntax) => service("SerializationException", None),
            Self::Body(json::Fault::Kind(message)) => {
                service("SerializationException", Some(message.clone()))
            }
            Self::UnknownOperation => service("UnknownOperationException", None),
            Self::Auth(fault) => service(fault.name(), Some(fault.to_string())),
            Self::NotLocal => service(
                "AccessDeniedException",
                Some(
                    "This cluster has no access keys yet, so it serves clients on its own machines only: make one there \
                     with `watertable key create`."
                        .to_owned(),
                ),
            ),
            Self::TooLarge => (413, SERVICE, "RequestEntityTooLargeException", None),
            Self::HeadersTooLarge => {
                service("ValidationException", Some("The headers of the request are too large".to_owned()))
            }
            Self::Encoding => (500, SERVICE, "InternalServerError", None),
        };
        let item = if let Self::Node(Error::ConditionFailed { item }) = self { item.as_ref() } else { None };
        Exception { status, namespace, name, message, item }
    }
}

/// The row of an operation's error.
fn row(error: &Error) -> (u16, &'static str, &'static str) {
    match error {
        Error::Invalid(_) => (400, VALIDATE, "ValidationException"),
        Error::NotFound(_) => (400, DYNAMODB, "ResourceNotFoundException"),
        Error::InUse(_) => (400, DYNAMODB, "ResourceInUseException"),
        Error::ConditionFailed { .. } => (400, DYNAMODB, "ConditionalCheckFailedException"),
        Error::Trimmed => (400, DYNAMODB, "TrimmedDataAccessException"),
        Error::IteratorExpired => (400, DYNAMODB, "ExpiredIteratorException"),
        Error::Unavailable(_) | Error::Overloaded => (400, DYNAMODB, "ThrottlingException"),
        Error::DiskFull => (503, SERVICE, "ServiceUnavailable"),
        Error::Unknown | Error::Internal => (500, DYNAMODB, "InternalServerError"),
    }
}

impl Exception<'_> {
    /// Whether the model of the service spells the member with a capital.
    pub fn message_member(&self) -> &'static str {
        if self.name == "SerializationException" { "Message" } else { "message" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_can_be_told_from_the_code() {
        for (error, code) in [
            (Error::Invalid("x".to_owned()), Code::InvalidArgument),
            (Error::Unavailable("x".to_owned()), Code::Unavailable),
            (Error::Overloaded, Code::ResourceExhausted),
            (Error::Unknown, Code::Aborted),
            (Error::ConditionFailed { item: None }, Code::FailedPrecondition),
        ] {
            let status = status(&error);
            assert_eq!(status.code(), code);
            assert!(status.get_details_error_info().is_some());
            assert_eq!(status.get_details_retry_info().is_some(), error == Error::Overloaded);
        }
    }

    #[test]
    fn only_what_may_have_happened_is_a_5xx_of_an_operation() {
        for (error, status) in [
            (Error::Invalid("x".to_owned()), 400),
            (Error::Unavailable("x".to_owned()), 400),
            (Error::Overloaded, 400),
            (Error::Unknown, 500),
            (Error::Internal, 500),
            (Error::ConditionFailed { item: None }, 400),
        ] {
            assert_eq!(Fault::Node(error).exception().status, status);
        }
    }
}
