//! Every error -> what the client sees of it: gRPC code, reason (DynamoDB's name of the error), message.

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::node::Error;

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
}
