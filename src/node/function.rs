//! Calls of functions, and where records go that are given up.

use std::time::Duration;

use bytes::Bytes;
use hmac::{Hmac, Mac};
use hyper::header::{HeaderName, HeaderValue};
use sha2::Sha256;

use super::{Node, failures};
use crate::{
    delivery::{Answer, Asked, Batch, Destination, Face, Failure, GivenUp, Settings, Verdict},
    model::id::TriggerId,
    rpc::HttpError,
    stream::{ShardId, StreamArn},
};

/// What a call is signed in: `t=<ms since 1970>,v1=<HMAC-SHA-256 of "t.body" in hex>`.
const SIGNATURE: HeaderName = HeaderName::from_static("x-watertable-signature");
const TRIGGER: HeaderName = HeaderName::from_static("x-watertable-trigger");
const INVOCATION_TYPE: HeaderName = HeaderName::from_static("x-amz-invocation-type");
const FUNCTION_ERROR: &str = "x-amz-function-error";
/// How long a destination may take to answer.
const DESTINATION_TIMEOUT: Duration = Duration::from_secs(30);

/// What calls for a shard have in common.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub id: TriggerId,
    pub target: String,
    pub face: Face,
    pub settings: Settings,
    pub shard: ShardId,
    pub stream: StreamArn,
    pub stream_arn: String,
}

impl Caller {
    /// A caller of the function of a trigger, for a shard.
    pub fn new(id: TriggerId, target: String, settings: Settings, shard: ShardId, stream: StreamArn) -> Self {
        let (face, stream_arn) = (Face::of(&target), stream.to_string());
        Self { id, target, face, settings, shard, stream, stream_arn }
    }

    /// Calls the function with a batch.
    pub async fn call(&self, node: &Node, batch: &Batch) -> Verdict {
        let body = batch.event(self.shard, &self.stream_arn);
        let timeout = Duration::from_millis(self.settings.timeout_ms);
        let headers = self.headers(node, &body);
        match node.shared.http.post(&self.target, &headers, body, timeout).await {
            Ok(answer) => {
                let function_error = answer.headers.get(FUNCTION_ERROR).and_then(|kind| kind.to_str().ok());
                let function_error = function_error.map(str::to_owned);
                let answer = Answer { status: answer.status, function_error, body: answer.body };
                let asked = Asked {
                    face: self.face,
                    report_failures: self.settings.report_failures,
                    wants_state: batch.window.as_ref().is_some_and(|window| !window.is_final),
                    contains: &|number| batch.parcels.iter().any(|parcel| parcel.number == number),
                };
                answer.verdict(asked)
            }
            Err(error @ HttpError::Unreachable(_)) => Verdict::Busy(failure(&error)),
            Err(error @ (HttpError::TimedOut(_) | HttpError::Broken(_))) => Verdict::Failed(failure(&error)),
        }
    }

    fn headers(&self, node: &Node, body: &Bytes) -> Vec<(HeaderName, HeaderValue)> {
        let text = |text: String| HeaderValue::from_str(&text).expect("digits and letters make a header");
        let mut headers = vec![(TRIGGER, text(self.id.to_string()))];
        if self.face == Face::Lambda {
            headers.push((INVOCATION_TYPE, HeaderValue::from_static("RequestResponse")));
        }
        if let Some(secret) = &self.settings.secret {
            headers.push((SIGNATURE, text(signature(&secret.0, node.now_ms(), body))));
        }
        headers
    }

    /// Takes records that are given up where they are to go. Errors: they are not there, or not all of them.
    pub async fn give_up(&self, node: &Node, given_up: &GivenUp<'_>) -> Result<(), String> {
        match &self.settings.on_failure {
            None => Ok(()),
            Some(Destination::Url(url)) => self.tell(node, url, given_up.document()).await,
            Some(Destination::Table(table)) => {
                let kept = failures::keep(node, table, self.id, given_up).await;
                kept.map_err(|error| format!("table {table}: {error}"))
            }
        }
    }

    async fn tell(&self, node: &Node, url: &str, document: Bytes) -> Result<(), String> {
        let headers = self.headers(node, &document);
        match node.shared.http.post(url, &headers, document, DESTINATION_TIMEOUT).await {
            Ok(answer) if (200..300).contains(&answer.status) => Ok(()),
            Ok(answer) => Err(format!("{url} answered {}", answer.status)),
            Err(error) => Err(format!("{url} {error}")),
        }
    }
}

fn failure(error: &HttpError) -> Failure {
    Failure::new(format!("the function: {error}"))
}

fn signature(secret: &str, now_ms: u64, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(format!("{now_ms}.").as_bytes());
    mac.update(body);
    let digest = mac.finalize().into_bytes();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={now_ms},v1={hex}")
}
