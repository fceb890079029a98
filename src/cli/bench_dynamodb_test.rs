//! Bodies, searched answers, and a connection to a node that says what the test wants it to say.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::super::bench_requests::{Keys, Random};
use super::super::key::parse_attribute;
use super::*;
use crate::model::{KeySchema, TableName};

fn schema(sort: Option<&str>) -> KeySchema {
    let attribute = |text| parse_attribute(text).expect("a good attribute");
    KeySchema { partition: attribute("id:S"), sort: sort.map(attribute) }
}

/// The body of an operation on key 7, its value, and its keys one behind the other.
fn body(operation: Operation, key: &KeySchema) -> (Value, String, String) {
    let table = TableName::parse("bench").expect("a good name");
    let subject = Subject { table: &table, key, value_len: 30, consistent: true };
    let template = template(operation, &subject);
    let keys = Keys::new(key, 200).expect("good keys");
    let value = keys.value(&mut Random::new(1), template.value_len());
    let mut body = BytesMut::from(&b"before"[..]);
    template.append(&keys.key(7), value, &mut body);
    let body = serde_json::from_slice(&body[6..]).expect("JSON");
    let marks = b"k~~~~~~~~~~~~~~~~s~~~~~~~~~~~~~~~~".to_vec();
    let filled = Template::new(Operation::Get, marks, &subject).fill(&keys.key(7), &[]);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (body, text(value), text(&filled))
}

#[test]
fn bodies_of_writes() {
    let (put, value, keys) = body(Operation::Put, &schema(None));
    let item = json!({ "id": { "S": keys[..17] }, "value": { "S": value } });
    assert_eq!(put, json!({ "TableName": "bench", "Item": item }));
    assert_eq!(value.len(), 30);

    let (put, value, keys) = body(Operation::Put, &schema(Some("at:S")));
    let item = json!({ "id": { "S": keys[..17] }, "at": { "S": keys[17..] }, "value": { "S": value } });
    assert_eq!(put, json!({ "TableName": "bench", "Item": item }));
    assert_ne!(keys[..17], keys[17..]);

    let (update, value, keys) = body(Operation::Update, &schema(None));
    let expected = json!({
        "TableName": "bench",
        "Key": { "id": { "S": keys[..17] } },
        "UpdateExpression": "SET #set0 = :set0",
        "ExpressionAttributeNames": { "#set0": "value" },
        "ExpressionAttributeValues": { ":set0": { "S": value } },
    });
    assert_eq!(update, expected);
}

#[test]
fn bodies_of_reads() {
    let (get, _, keys) = body(Operation::Get, &schema(None));
    let key = json!({ "id": { "S": keys[..17] } });
    assert_eq!(get, json!({ "TableName": "bench", "Key": key, "ConsistentRead": true }));

    let (query, _, keys) = body(Operation::Query, &schema(Some("at:S")));
    let expected = json!({
        "TableName": "bench",
        "KeyConditionExpression": "#partition = :partition",
        "ExpressionAttributeNames": { "#partition": "id" },
        "ExpressionAttributeValues": { ":partition": { "S": keys[..17] } },
        "ConsistentRead": true,
    });
    assert_eq!(query, expected);
}

#[test]
fn answers_are_searched() {
    let item = r#"{"id":{"S":"k0"},"value":{"S":"Item value Count"}}"#;
    let got = format!(r#"{{"Item":{item}}}"#);
    assert_eq!(items_of(Operation::Get, got.as_bytes()), 1);
    assert_eq!(items_of(Operation::Get, b"{}"), 0);
    for count in [0, 1, 99, 100] {
        let items = vec![item; count].join(",");
        let page = format!(r#"{{"Items":[{items}],"Count":{count},"ScannedCount":{count}}}"#);
        assert_eq!(items_of(Operation::Query, page.as_bytes()), count as u64);
    }
}

#[test]
fn records_are_counted() {
    let record = |bytes: u64| {
        format!(
            r#"{{"eventID":"1","dynamodb":{{"Keys":{{"id":{{"S":"k"}}}},"SequenceNumber":"5","SizeBytes":{bytes}}}}}"#
        )
    };
    let page = format!(
        r#"{{"Records":[{},{},{}],"NextShardIterator":"a/b+c="}}"#,
        record(7),
        record(1065),
        record(0)
    );
    let next = Some("a/b+c=".to_owned());
    assert_eq!(Page::read(page.as_bytes()), Page { records: 3, bytes: 1072, next });
    assert_eq!(Page::read(br#"{"Records":[]}"#), Page { records: 0, bytes: 0, next: None });
}

#[test]
fn needles_are_found_wherever_they_are() {
    const ABAB: Needle = Needle::new(b"abab");
    for (text, ends) in [
        (&b"abab"[..], &[4][..]),
        (b"aabab", &[5]),
        (b"bababab", &[5]),
        (b"abababab", &[4, 8]),
        (b"abaabab-abab", &[7, 12]),
        (b"aba", &[]),
        (b"", &[]),
    ] {
        assert_eq!(ABAB.ends(text).collect::<Vec<_>>(), ends, "{}", String::from_utf8_lossy(text));
    }
}

#[test]
fn faults_are_told_in_the_words_of_the_client() {
    let answered = |status: u16, name: &str| {
        let status = StatusCode::from_u16(status).expect("a good status");
        let body = format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{name}","message":"no"}}"#);
        Fault::Answered(status, exception(body.as_bytes()))
    };
    for (fault, read, write, name) in [
        (Fault::NotSent, Kind::Unavailable, Kind::Unavailable, "unavailable"),
        (Fault::Lost, Kind::Unavailable, Kind::Unknown, "unknown"),
        (answered(400, "ThrottlingException"), Kind::Unavailable, Kind::Unavailable, "unavailable"),
        (answered(503, "ServiceUnavailable"), Kind::Unavailable, Kind::Unavailable, "unavailable"),
        (answered(500, "InternalServerError"), Kind::Unavailable, Kind::Unknown, "unknown"),
        (
            answered(400, "ResourceNotFoundException"),
            Kind::Rejected,
            Kind::Rejected,
            "rejected ResourceNotFoundException",
        ),
        (answered(400, "ValidationException"), Kind::Invalid, Kind::Invalid, "invalid ValidationException"),
    ] {
        assert_eq!((fault.kind(true), fault.kind(false)), (read, write), "{fault:?}");
        assert_eq!(Failure { kind: write, reason: fault.reason() }.name(), name);
    }
}

/// A node that answers so, a connection for each part of the list; `None`: by hanging up. Gives its requests.
async fn node(listener: TcpListener, script: Vec<Vec<Option<(u16, &str)>>>) -> Vec<String> {
    let mut requests = Vec::new();
    for answers in script {
        let (mut stream, _) = listener.accept().await.expect("a client");
        for answer in answers {
            let mut request = String::new();
            while !request.ends_with('}') {
                let mut part = [0; 1024];
                let read = stream.read(&mut part).await.expect("a request");
                assert!(read > 0, "cut off behind {request}");
                request += std::str::from_utf8(&part[..read]).expect("text");
            }
            requests.push(request);
            let Some((status, body)) = answer else { break };
            let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).await.expect("a client that waits");
        }
    }
    requests
}

async fn connected() -> (TcpListener, Connection) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it listens").to_string();
    let dialer = Dialer::new(vec![address], Duration::from_secs(5)).expect("a good address");
    (listener, dialer.connection(0))
}

#[tokio::test]
async fn what_did_not_happen_is_asked_again_on_the_same_connection() {
    let (listener, mut connection) = connected().await;
    let refusal = (400, r#"{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException"}"#);
    let node = node(listener, vec![vec![Some(refusal), Some((200, "{}")), Some((200, r#"{"a":1}"#))]]);
    let client = async {
        let put = Call::of(Operation::Put);
        let answer = connection.call(put, 20, |out| out.extend_from_slice(br#"{"b":2}"#)).await;
        assert_eq!(answer.expect("an answer"), b"{}");
        let answer = connection.call(put, 20, |out| out.extend_from_slice(br#"{"c":3}"#)).await;
        assert_eq!(answer.expect("an answer"), br#"{"a":1}"#);
    };
    let (requests, ()) = tokio::join!(node, client);
    assert_eq!(requests.len(), 3);
    assert!(requests[0].starts_with("POST / HTTP/1.1\r\n"), "{}", requests[0]);
    for line in [
        "x-amz-target: DynamoDB_20120810.PutItem",
        "content-type: application/x-amz-json-1.0",
        "x-amz-date: 20260101T000000Z",
        "authorization: AWS4-HMAC-SHA256 Credential=BENCH/20260101/us-east-1/dynamodb/aws4_request, SignedH",
    ] {
        assert!(requests[0].contains(&format!("\r\n{line}")), "{line}: {}", requests[0]);
    }
    assert!(requests[1].ends_with(r#"{"b":2}"#) && requests[2].ends_with(r#"{"c":3}"#), "{requests:?}");
}

#[tokio::test]
async fn a_lost_write_is_unknown_and_a_lost_read_is_made_again() {
    let (listener, mut connection) = connected().await;
    let node = node(listener, vec![vec![None], vec![None], vec![Some((200, "{}"))]]);
    let client = async {
        let put = connection.call(Call::of(Operation::Put), 20, |out| out.extend_from_slice(b"{}")).await;
        assert_eq!(put.expect_err("it hung up").kind, Kind::Unknown);
        let get = connection.call(Call::of(Operation::Get), 20, |out| out.extend_from_slice(b"{}")).await;
        assert_eq!(get.expect("the second attempt"), b"{}");
    };
    let (requests, ()) = tokio::join!(node, client);
    assert_eq!(requests.len(), 3);
}
