//! What a function is called with, and what a destination is told of records that were given up.
//!
//! Sources: AWS Lambda Developer Guide, "Using AWS Lambda with Amazon DynamoDB" (events, tumbling windows, destinations);
//! the documents are those recorded of AWS (`DYNAMODB.md` 4.3, 4.4).

use bytes::Bytes;

use super::answer::Failure;
use super::lane::{Batch, Condition, Parcel};
use crate::model::{Corrupt, StreamViewType, json::Object};
use crate::stream::{Record, ShardId, StreamArn, label_of};

/// The record as an element of a function's event. Errors: `Corrupt` if an image is none.
pub fn event_of(record: &Record, view_type: StreamViewType, stream_arn: &str) -> Result<Bytes, Corrupt> {
    let images = [Some(&record.keys), record.new_image.as_ref(), record.old_image.as_ref()];
    let bytes: usize = images.into_iter().flatten().map(|image| image.len()).sum();
    let mut out = Vec::with_capacity(512 + bytes * 2);
    let mut object = Object::begin(&mut out);
    record.write_event(view_type, &mut object)?;
    object.text("eventSourceARN", stream_arn);
    object.end();
    Ok(out.into())
}

impl Batch {
    /// The event a function is called with. The records in it were written once, when they were read.
    pub fn event(&self, shard: ShardId, stream_arn: &str) -> Bytes {
        let bytes: usize = self.parcels.iter().map(|parcel| parcel.event.len() + 1).sum();
        let state = self.window.as_ref().map_or(0, |window| window.state.len());
        let mut out = Vec::with_capacity(bytes + state + 512);
        let mut object = Object::begin(&mut out);
        object.raw("Records", |out| records(&self.parcels, out));
        if let Some(window) = &self.window {
            let (start, end) = (time(window.start_ms), time(window.end_ms));
            let written = object.object("window", |object| {
                object.text("start", &start);
                object.text("end", &end);
                Ok(())
            });
            written.expect("no text is stored bytes");
            object.raw("state", |out| out.extend_from_slice(&window.state));
            object.text("shardId", &shard.to_string());
            object.text("eventSourceARN", stream_arn);
            object.boolean("isFinalInvokeForWindow", window.is_final);
            object.boolean("isWindowTerminatedEarly", window.is_early);
        }
        object.end();
        out.into()
    }
}

fn records(parcels: &[Parcel], out: &mut Vec<u8>) {
    out.push(b'[');
    for (index, parcel) in parcels.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(&parcel.event);
    }
    out.push(b']');
}

/// ISO 8601 in whole seconds, as windows and documents have it.
fn time(ms: u64) -> String {
    let label = label_of(ms);
    format!("{}Z", label.get(..19).unwrap_or(&label))
}

/// Records that were given up, and why.
#[derive(Debug)]
pub struct GivenUp<'a> {
    /// They.
    pub batch: &'a Batch,
    /// Why.
    pub condition: Condition,
    /// What the function did last, if it was called.
    pub failure: Option<&'a Failure>,
    /// Their shard.
    pub shard: ShardId,
    /// Their stream.
    pub stream: &'a StreamArn,
    /// What was called.
    pub target: &'a str,
    /// The document's id.
    pub request_id: &'a str,
    /// Now, ms since 1970.
    pub now_ms: u64,
}

impl GivenUp<'_> {
    /// The document a destination gets: Lambda's, and with the records as its destinations on S3 have them.
    pub fn document(&self) -> Bytes {
        let mut out = Vec::with_capacity(1024);
        let mut object = Object::begin(&mut out);
        self.write(&mut object).expect("no text is stored bytes");
        object
            .object("payload", |object| {
                object.raw("Records", |out| records(&self.batch.parcels, out));
                Ok(())
            })
            .expect("no text is stored bytes");
        object.end();
        out.into()
    }

    fn write(&self, object: &mut Object<'_>) -> Result<(), Corrupt> {
        object.object("requestContext", |object| {
            object.text("requestId", self.request_id);
            object.text("functionArn", self.target);
            object.text("condition", self.condition.name());
            object.unsigned("approximateInvokeCount", self.batch.calls.into());
            Ok(())
        })?;
        object.object("responseContext", |object| {
            let Some(failure) = self.failure else { return Ok(()) };
            if let Some(status) = failure.status {
                object.unsigned("statusCode", status.into());
                object.text("executedVersion", "$LATEST");
            }
            match &failure.function_error {
                Some(kind) => object.text("functionError", kind),
                None => object.raw("functionError", |out| out.extend_from_slice(b"null")),
            }
            object.text("errorMessage", &failure.error);
            Ok(())
        })?;
        object.text("version", "1.0");
        object.text("timestamp", &format!("{}Z", label_of(self.now_ms)));
        let (Some(first), Some(last)) = (self.batch.parcels.first(), self.batch.parcels.last()) else {
            return Ok(());
        };
        object.object("DDBStreamBatchInfo", |object| {
            object.text("shardId", &self.shard.to_string());
            object.text("startSequenceNumber", &first.number.to_string());
            object.text("endSequenceNumber", &last.number.to_string());
            object.text("approximateArrivalOfFirstRecord", &time(first.created_ms));
            object.text("approximateArrivalOfLastRecord", &time(last.created_ms));
            object.unsigned("batchSize", self.batch.parcels.len() as u64);
            object.text("streamArn", &self.stream.to_string());
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::delivery::lane::WindowView;
    use crate::model::{TableName, id::GroupId};
    use crate::stream::SequenceNumber;

    fn parcel(index: u64) -> Parcel {
        let number = SequenceNumber { generation: 0, index, ordinal: 0 };
        Parcel { number, created_ms: 1_700_000_000_123 + index, event: format!("{{\"n\":{index}}}").into() }
    }

    fn stream() -> StreamArn {
        StreamArn { table: TableName::parse("orders").expect("a name"), stream_ms: 1_699_999_999_000 }
    }

    fn shard() -> ShardId {
        ShardId { created_ms: 1_699_999_999_000, group: GroupId(3) }
    }

    fn read(bytes: &Bytes) -> Value {
        serde_json::from_slice(bytes).expect("JSON")
    }

    #[test]
    fn a_function_gets_records() {
        let batch = Batch { parcels: vec![parcel(1), parcel(2)], calls: 0, window: None };
        assert_eq!(&*batch.event(shard(), "arn"), br#"{"Records":[{"n":1},{"n":2}]}"#);
    }

    #[test]
    fn a_window_tells_what_it_is() {
        let window = WindowView {
            start_ms: 1_700_000_000_000,
            end_ms: 1_700_000_060_000,
            state: r#"{"sum":3}"#.into(),
            is_final: true,
            is_early: false,
        };
        let batch = Batch { parcels: Vec::new(), calls: 0, window: Some(window) };
        let expected = json!({
            "Records": [],
            "window": {"start": "2023-11-14T22:13:20Z", "end": "2023-11-14T22:14:20Z"},
            "state": {"sum": 3},
            "shardId": shard().to_string(),
            "eventSourceARN": "arn",
            "isFinalInvokeForWindow": true,
            "isWindowTerminatedEarly": false,
        });
        assert_eq!(read(&batch.event(shard(), "arn")), expected);
    }

    #[test]
    fn a_document_says_what_was_given_up_and_holds_it() {
        let batch = Batch { parcels: vec![parcel(1), parcel(2)], calls: 2, window: None };
        let failure = Failure {
            error: "KeyError: no".to_owned(),
            status: Some(200),
            function_error: Some("Unhandled".to_owned()),
        };
        let given_up = GivenUp {
            batch: &batch,
            condition: Condition::RetryAttemptsExhausted,
            failure: Some(&failure),
            shard: shard(),
            stream: &stream(),
            target: "http://f",
            request_id: "id",
            now_ms: 1_700_000_005_000,
        };
        let expected = json!({
            "requestContext": {
                "requestId": "id", "functionArn": "http://f", "condition": "RetryAttemptsExhausted",
                "approximateInvokeCount": 2,
            },
            "responseContext": {
                "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled", "errorMessage": "KeyError: no",
            },
            "version": "1.0",
            "timestamp": "2023-11-14T22:13:25.000Z",
            "DDBStreamBatchInfo": {
                "shardId": shard().to_string(),
                "startSequenceNumber": parcel(1).number.to_string(),
                "endSequenceNumber": parcel(2).number.to_string(),
                "approximateArrivalOfFirstRecord": "2023-11-14T22:13:20Z",
                "approximateArrivalOfLastRecord": "2023-11-14T22:13:20Z",
                "batchSize": 2,
                "streamArn": stream().to_string(),
            },
            "payload": {"Records": [{"n": 1}, {"n": 2}]},
        });
        assert_eq!(read(&given_up.document()), expected);
        let never = GivenUp { failure: None, condition: Condition::RecordAgeExceeded, ..given_up };
        assert_eq!(read(&never.document())["responseContext"], json!({}));
    }
}
