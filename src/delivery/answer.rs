//! What the answer of a function means.
//!
//! Sources: AWS Lambda Developer Guide, "Using AWS Lambda with Amazon DynamoDB" (partial batch responses, tumbling
//! windows); AWS Lambda API Reference, "Invoke"; and what was recorded of AWS (`DYNAMODB.md` 4.4, 4.6).

use bytes::Bytes;
use serde_json::Value;

use crate::stream::SequenceNumber;

/// Largest state of a tumbling window, bytes. Source: AWS Lambda Developer Guide, "Tumbling windows".
pub const STATE_BYTES_MAX: usize = 1024 * 1024;
/// Characters of an error's text that are kept.
const ERROR_CHARS_MAX: usize = 500;

/// How a function is reached, which decides what its answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    /// By Lambda's Invoke API: a failure of the function is an answer with status 200.
    Lambda,
    /// As a webhook: any status that is not 2xx is a failure.
    Webhook,
}

impl Face {
    /// That of an address: the Invoke API has a path of its own.
    pub fn of(target: &str) -> Self {
        let is_invoke = target.contains("/2015-03-31/functions/") && target.contains("/invocations");
        if is_invoke { Self::Lambda } else { Self::Webhook }
    }
}

/// An answer as it came.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP's status.
    pub status: u16,
    /// Whether the header says that the function failed (`X-Amz-Function-Error`).
    pub function_error: Option<String>,
    /// What it returned.
    pub body: Bytes,
}

/// What it means for the batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All of it is delivered. With the state of a tumbling window.
    Delivered {
        /// The state, as JSON; empty without a tumbling window.
        state: Bytes,
    },
    /// This record and all behind it have failed.
    FailedFrom(SequenceNumber),
    /// All of it has failed, by the function.
    Failed(Failure),
    /// The function was not called: throttled, unreachable. It does not count as an attempt.
    Busy(Failure),
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// For people.
    pub error: String,
    /// HTTP's status, if there was one.
    pub status: Option<u16>,
    /// What Lambda calls the kind of the failure, if it has a name for it.
    pub function_error: Option<String>,
}

impl Failure {
    /// A failure of which no more than a text is known.
    pub fn new(error: impl Into<String>) -> Self {
        Self { error: error.into(), status: None, function_error: None }
    }
}

/// What is asked of an answer.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// How the function is reached.
    pub face: Face,
    /// Whether it says which records have failed.
    pub report_failures: bool,
    /// Whether it must return the state of a tumbling window.
    pub wants_state: bool,
    /// Whether a sequence number is one of the batch's.
    pub contains: &'a dyn Fn(SequenceNumber) -> bool,
}

impl Answer {
    /// What the answer means for a batch.
    pub fn verdict(&self, asked: Asked<'_>) -> Verdict {
        if let Some(failed) = self.failure(asked.face) {
            return failed;
        }
        let value = if asked.report_failures || asked.wants_state { self.value() } else { Ok(Value::Null) };
        let value = match value {
            Ok(value) => value,
            Err(error) => return Verdict::Failed(self.because(error, None)),
        };
        if asked.report_failures {
            match lowest_failure(&value, asked.contains) {
                Ok(None) => {}
                Ok(Some(number)) => return Verdict::FailedFrom(number),
                Err(error) => return Verdict::Failed(self.because(error.to_owned(), None)),
            }
        }
        if !asked.wants_state {
            return Verdict::Delivered { state: Bytes::new() };
        }
        match value.get("state") {
            Some(state @ Value::Object(_)) => {
                let state = serde_json::to_vec(state).expect("JSON that was read is written").into();
                Verdict::Delivered { state }
            }
            _ => {
                let error = "the function of a tumbling window must return {\"state\": {...}}".to_owned();
                Verdict::Failed(self.because(error, None))
            }
        }
    }

    /// What failed before what was returned matters.
    fn failure(&self, face: Face) -> Option<Verdict> {
        // Of a webhook 502 is what stands before it; of Lambda's runtime emulator, a runtime that has crashed.
        if matches!(self.status, 429 | 503 | 504) || (face == Face::Webhook && self.status == 502) {
            let error = format!("the function was not called: status {}{}", self.status, self.excerpt());
            return Some(Verdict::Busy(self.because(error, None)));
        }
        if !(200..300).contains(&self.status) {
            let error = format!("status {}{}", self.status, self.excerpt());
            return Some(Verdict::Failed(self.because(error, None)));
        }
        if let Some(kind) = &self.function_error {
            let error = self.function_message().unwrap_or_else(|| format!("{kind}{}", self.excerpt()));
            return Some(Verdict::Failed(self.because(error, Some(kind.clone()))));
        }
        if face == Face::Webhook {
            return None;
        }
        // The runtime interface emulator tells failures by their bodies only.
        let timed_out = self.body.starts_with(b"Task timed out after ");
        let error = match self.function_message() {
            Some(error) => error,
            None if timed_out => String::from_utf8_lossy(&self.body).trim_end().to_owned(),
            None => return None,
        };
        Some(Verdict::Failed(self.because(error, Some("Unhandled".to_owned()))))
    }

    /// The error a runtime answers with in place of a result: an object with both of these.
    fn function_message(&self) -> Option<String> {
        if self.body.first() != Some(&b'{') {
            return None;
        }
        let value: Value = serde_json::from_slice(&self.body).ok()?;
        let (kind, message) = (value.get("errorType")?, value.get("errorMessage")?);
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Some(format!("{}: {}", text(kind), text(message)))
    }

    /// What it returned; nothing counts as null.
    fn value(&self) -> Result<Value, String> {
        if self.body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&self.body)
            .map_err(|_| format!("the function returned no JSON{}", self.excerpt()))
    }

    fn because(&self, error: String, function_error: Option<String>) -> Failure {
        let error = error.chars().take(ERROR_CHARS_MAX).collect();
        Failure { error, status: Some(self.status), function_error }
    }

    fn excerpt(&self) -> String {
        let text = String::from_utf8_lossy(&self.body[..self.body.len().min(4 * ERROR_CHARS_MAX)]);
        let text: String = text.trim().chars().take(200).collect();
        if text.is_empty() { text } else { format!(": {text}") }
    }
}

/// The lowest record of those said to have failed. Errors: the answer says something else, so all has failed.
fn lowest_failure(
    value: &Value,
    contains: &dyn Fn(SequenceNumber) -> bool,
) -> Result<Option<SequenceNumber>, &'static str> {
    let failures = match value {
        Value::Null => return Ok(None),
        Value::Object(members) => match members.get("batchItemFailures") {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Array(failures)) => failures,
            Some(_) => return Err("batchItemFailures is no list"),
        },
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            return Err("the function returned no object");
        }
    };
    let number = |failure: &Value| {
        let number = SequenceNumber::parse(failure.get("itemIdentifier")?.as_str()?)?;
        contains(number).then_some(number)
    };
    let numbers: Option<Vec<_>> = failures.iter().map(number).collect();
    let numbers = numbers.ok_or("batchItemFailures names something that is not in the batch")?;
    Ok(numbers.into_iter().min())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(index: u64) -> SequenceNumber {
        SequenceNumber { generation: 0, index, ordinal: 0 }
    }

    fn verdict(face: Face, status: u16, error: Option<&str>, body: &str, state: bool) -> Verdict {
        let body = body.replace("#5", &number(5).to_string()).replace("#7", &number(7).to_string());
        let answer = Answer { status, function_error: error.map(str::to_owned), body: body.into() };
        let contains = |at: SequenceNumber| (3..8).contains(&at.index);
        answer.verdict(Asked { face, report_failures: true, wants_state: state, contains: &contains })
    }

    #[test]
    fn what_counts_as_success() {
        for body in [
            "",
            " ",
            "null",
            "{}",
            r#"{"batchItemFailures":[]}"#,
            r#"{"batchItemFailures":null}"#,
            r#"{"x":1}"#,
        ] {
            let verdict = verdict(Face::Lambda, 200, None, body, false);
            assert_eq!(verdict, Verdict::Delivered { state: Bytes::new() }, "{body}");
        }
    }

    #[test]
    fn the_lowest_failure_counts() {
        let body = r##"{"batchItemFailures":[{"itemIdentifier":"#7"},{"itemIdentifier":"#5"}]}"##;
        assert_eq!(verdict(Face::Webhook, 200, None, body, false), Verdict::FailedFrom(number(5)));
    }

    #[test]
    fn an_answer_that_makes_no_sense_fails_the_batch() {
        for body in [
            r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#,
            r##"{"batchItemFailures":[{"identifier":"#5"}]}"##,
            r#"{"batchItemFailures":[{"itemIdentifier":"123"}]}"#,
            r#"{"batchItemFailures":{}}"#,
            "[1]",
            "no JSON",
        ] {
            let verdict = verdict(Face::Lambda, 200, None, body, false);
            assert!(matches!(verdict, Verdict::Failed(_)), "{body}: {verdict:?}");
        }
    }

    #[test]
    fn a_function_may_fail_with_status_200() {
        let failed = |face, error, body| match verdict(face, 200, error, body, false) {
            Verdict::Failed(failure) => Some((failure.error, failure.function_error)),
            _ => None,
        };
        let body = r#"{"errorMessage":"no","errorType":"KeyError","stackTrace":[]}"#;
        let unhandled = Some("Unhandled".to_owned());
        assert_eq!(
            failed(Face::Lambda, Some("Unhandled"), body),
            Some(("KeyError: no".to_owned(), unhandled.clone()))
        );
        assert_eq!(failed(Face::Lambda, None, body), Some(("KeyError: no".to_owned(), unhandled.clone())));
        let timed_out = "Task timed out after 3.00 seconds";
        assert_eq!(failed(Face::Lambda, None, timed_out), Some((timed_out.to_owned(), unhandled)));
        assert_eq!(failed(Face::Webhook, None, body), None, "a webhook says so by its status");
    }

    #[test]
    fn what_was_not_called_did_not_fail() {
        for (face, status, busy) in [
            (Face::Lambda, 429, true),
            (Face::Lambda, 503, true),
            (Face::Lambda, 500, false),
            (Face::Lambda, 502, false),
            (Face::Lambda, 400, false),
            (Face::Webhook, 502, true),
            (Face::Webhook, 503, true),
            (Face::Webhook, 500, false),
            (Face::Webhook, 404, false),
        ] {
            let verdict = verdict(face, status, None, "why", false);
            assert_eq!(matches!(verdict, Verdict::Busy(_)), busy, "{face:?} {status}");
            assert_eq!(matches!(verdict, Verdict::Failed(_)), !busy, "{face:?} {status}");
        }
    }

    #[test]
    fn a_tumbling_window_needs_its_state() {
        let state = verdict(Face::Lambda, 200, None, r#"{"state":{"a":1.50},"x":2}"#, true);
        assert_eq!(state, Verdict::Delivered { state: r#"{"a":1.50}"#.into() });
        for body in ["null", "{}", r#"{"state":1}"#] {
            assert!(matches!(verdict(Face::Lambda, 200, None, body, true), Verdict::Failed(_)), "{body}");
        }
    }

    #[test]
    fn the_invoke_api_is_known_by_its_path() {
        let lambda = "http://localhost:9000/2015-03-31/functions/function/invocations";
        assert_eq!(Face::of(lambda), Face::Lambda);
        assert_eq!(Face::of("http://localhost:9000/hook"), Face::Webhook);
    }
}
