//! How a bench speaks the DynamoDB protocol: JSON over one HTTP/1.1 connection a client, as SDKs do it.
//!
//! - The load generator shares its machine with the node it measures, so it does little: bodies are templates copied
//!   into a buffer that is used again, answers are read into another and searched for what must be in them, not parsed.
//! - What came of a call is told in the words of gRPC's client, and a call that did not happen is made again until the
//!   deadline, as that client does: the counts of both protocols mean the same.
//! - The signature of the requests is one in form only, so that no time is spent on it here. A node without access keys
//!   takes any from its own machine, a node with some takes none of these.
//!
//! The connection is not a task of its own: whoever waits for an answer drives it meanwhile, which saves waking another
//! task twice a call. Its price: that a connection was closed while idle is only seen by the next call.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::Error;
use super::bench_clients::Failure;
use super::bench_requests::{Operation, Subject, Template};
use super::json::Form;
use crate::client::{Expression, Kind};
use crate::model::limits::RECORDS_PER_PAGE_MAX;
use crate::model::{AttributeName, Item};

const CONTENT_TYPE: &str = "application/x-amz-json-1.0";

/// Complete, and signed by nobody.
const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 Credential=BENCH/20260101/us-east-1/dynamodb/aws4_request, \
                             SignedHeaders=host;x-amz-date;x-amz-target, \
                             Signature=0000000000000000000000000000000000000000000000000000000000000000";

/// The day the credential names.
const DATE: &str = "20260101T000000Z";

/// Pause before the first repetition of a call; doubles with each.
const PAUSE_MIN: Duration = Duration::from_millis(10);

/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// Room for a body that is not of a template.
const SMALL_BODY_BYTES: usize = 512;

/// Stands before the size of each record.
const SIZE: Needle = Needle::new(b"\"SizeBytes\":");

/// Stands before an item that was read alone.
const ITEM: Needle = Needle::new(b"\"Item\":{");

/// Stands before the value of each item; what values are made of has no quotes.
const VALUE: Needle = Needle::new(b"\"value\":{");

/// The request of a call.
pub(super) fn template(operation: Operation, subject: &Subject<'_>) -> Template {
    let mut body = json!({ "TableName": subject.table.as_str() });
    let expression = match operation {
        Operation::Put => {
            body["Item"] = Form::Typed.write(&subject.item());
            None
        }
        Operation::Get => {
            body["Key"] = Form::Typed.write(&subject.key_item());
            None
        }
        Operation::Update => {
            body["Key"] = Form::Typed.write(&subject.key_item());
            Some(("UpdateExpression", subject.update()))
        }
        Operation::Query => {
            let condition = Expression::partition(&subject.key.partition.name, subject.partition());
            Some(("KeyConditionExpression", condition))
        }
        Operation::BatchWrite => unreachable!("batches are sent over gRPC"),
    };
    if let Some((member, expression)) = expression {
        let values = expression.values.into_iter().map(|(placeholder, value)| {
            (AttributeName::parse(&placeholder).expect("a placeholder is short"), value)
        });
        body["ExpressionAttributeNames"] = json!(expression.names);
        body["ExpressionAttributeValues"] = Form::Typed.write(&values.collect::<Item>());
        body[member] = json!(expression.text);
    }
    if operation.items_read().is_some() {
        body["ConsistentRead"] = json!(subject.consistent);
    }
    Template::new(operation, body.to_string().into_bytes(), subject)
}

/// How many items an answer has.
pub(super) fn items_of(operation: Operation, answer: &[u8]) -> u64 {
    match operation {
        Operation::Put | Operation::Update | Operation::BatchWrite => 0,
        Operation::Get => u64::from(ITEM.find(answer).is_some()),
        Operation::Query => VALUE.ends(answer).count() as u64,
    }
}

/// An operation of the protocol.
#[derive(Clone, Copy)]
pub(super) struct Call {
    target: &'static str,
    reads: bool,
}

impl Call {
    const SHARD_ITERATOR: Self = Self { target: "DynamoDBStreams_20120810.GetShardIterator", reads: true };
    const RECORDS: Self = Self { target: "DynamoDBStreams_20120810.GetRecords", reads: true };

    /// That of an operation on items.
    pub(super) fn of(operation: Operation) -> Self {
        let target = match operation {
            Operation::Put => "DynamoDB_20120810.PutItem",
            Operation::Update => "DynamoDB_20120810.UpdateItem",
            Operation::BatchWrite => "DynamoDB_20120810.BatchWriteItem",
            Operation::Get => "DynamoDB_20120810.GetItem",
            Operation::Query => "DynamoDB_20120810.Query",
        };
        Self { target, reads: operation.items_read().is_some() }
    }
}

/// Where connections lead to.
pub(super) struct Dialer {
    nodes: Vec<(String, HeaderMap)>,
    deadline: Duration,
}

impl Dialer {
    /// To nodes by their "host:port". `deadline`: the longest a call takes, with all its attempts.
    pub(super) fn new(addresses: Vec<String>, deadline: Duration) -> Result<Self, Error> {
        let node = |address: String| {
            let host = HeaderValue::from_str(&address).map_err(|error| Error::Invalid(error.to_string()))?;
            let fixed = [
                (header::HOST, host),
                (header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE)),
                (header::AUTHORIZATION, HeaderValue::from_static(AUTHORIZATION)),
                (HeaderName::from_static("x-amz-date"), HeaderValue::from_static(DATE)),
            ];
            Ok::<_, Error>((address, fixed.into_iter().collect()))
        };
        Ok(Self { nodes: addresses.into_iter().map(node).collect::<Result<_, _>>()?, deadline })
    }

    /// The connection of one client; they take turns at the nodes.
    pub(super) fn connection(&self, client: usize) -> Connection {
        let (address, headers) = self.nodes[client % self.nodes.len()].clone();
        Connection {
            address,
            headers,
            deadline: self.deadline,
            link: None,
            request: BytesMut::new(),
            answer: Vec::new(),
        }
    }
}

/// One client's way to a node: one connection, made again if it breaks.
pub(super) struct Connection {
    address: String,
    /// Those of every request.
    headers: HeaderMap,
    deadline: Duration,
    link: Option<Box<Link>>,
    request: BytesMut,
    answer: Vec<u8>,
}

/// A connection that stands.
struct Link {
    sender: SendRequest<Full<Bytes>>,
    driver: http1::Connection<TokioIo<TcpStream>, Full<Bytes>>,
}

/// What one reading of records gives.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// How many.
    pub records: u64,
    /// Their sizes by DynamoDB's rules.
    pub bytes: u64,
    /// The iterator of the next page; `None`: the shard is closed and read to its end.
    pub next: Option<String>,
}

impl Connection {
    /// Makes a call, whose body has about so many bytes; the answer's body.
    pub(super) async fn call(
        &mut self,
        call: Call,
        body_len: usize,
        render: impl FnOnce(&mut BytesMut),
    ) -> Result<&[u8], Failure> {
        self.request.reserve(body_len);
        render(&mut self.request);
        let body = self.request.split().freeze();
        let until = Instant::now() + self.deadline;
        let mut pause = PAUSE_MIN;
        loop {
            let attempt = tokio::time::timeout_at(until, self.attempt(call, body.clone())).await;
            let Err(fault) = attempt.unwrap_or(Err(Fault::Lost)) else { return Ok(&self.answer) };
            let kind = fault.kind(call.reads);
            if kind != Kind::Unavailable || Instant::now() + pause >= until {
                return Err(Failure { kind, reason: fault.reason() });
            }
            tokio::time::sleep(pause).await;
            pause = (2 * pause).min(PAUSE_MAX);
        }
    }

    /// An iterator at the start of a shard.
    pub(super) async fn shard_iterator(&mut self, arn: &str, shard_id: &str) -> Result<String, Failure> {
        let body = json!({ "StreamArn": arn, "ShardId": shard_id, "ShardIteratorType": "TRIM_HORIZON" });
        let body = body.to_string();
        let answer =
            self.call(Call::SHARD_ITERATOR, body.len(), |out| out.extend_from_slice(body.as_bytes())).await?;
        let none = || Failure { kind: Kind::Fatal, reason: "an answer without iterator".into() };
        text_of("ShardIterator", answer).map(str::to_owned).ok_or_else(none)
    }

    /// The records at an iterator.
    pub(super) async fn records(&mut self, iterator: &str) -> Result<Page, Failure> {
        let render = |out: &mut BytesMut| {
            out.extend_from_slice(b"{\"ShardIterator\":\"");
            out.extend_from_slice(iterator.as_bytes());
            out.extend_from_slice(b"\",\"Limit\":");
            out.extend_from_slice(RECORDS_PER_PAGE_MAX.to_string().as_bytes());
            out.put_u8(b'}');
        };
        let answer = self.call(Call::RECORDS, SMALL_BODY_BYTES, render).await?;
        Ok(Page::read(answer))
    }

    /// Sends a request once and reads the answer, unless the node says no. If this is given up, so is the connection,
    /// on which the answer may still arrive.
    async fn attempt(&mut self, call: Call, body: Bytes) -> Result<(), Fault> {
        let standing = self.link.take().filter(|link| !link.sender.is_closed());
        let mut link = match standing {
            Some(link) => link,
            None => Link::open(&self.address).await?,
        };
        let mut request = Request::post("/").body(Full::new(body)).expect("a path is an address");
        *request.headers_mut() = self.headers.clone();
        request.headers_mut().insert("x-amz-target", HeaderValue::from_static(call.target));
        let status = link.exchange(request, &mut self.answer).await.map_err(|_| Fault::Lost)?;
        self.link = Some(link);
        match status {
            StatusCode::OK => Ok(()),
            status => Err(Fault::Answered(status, exception(&self.answer))),
        }
    }
}

impl Link {
    async fn open(address: &str) -> Result<Box<Self>, Fault> {
        let stream = TcpStream::connect(address).await.map_err(|_| Fault::NotSent)?;
        stream.set_nodelay(true).map_err(|_| Fault::NotSent)?;
        let shaken = http1::handshake(TokioIo::new(stream)).await;
        let (sender, driver) = shaken.map_err(|_| Fault::NotSent)?;
        Ok(Box::new(Self { sender, driver }))
    }

    /// Sends a request and reads the whole answer.
    async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        answer: &mut Vec<u8>,
    ) -> Result<StatusCode, hyper::Error> {
        let Self { sender, driver } = self;
        let exchange = async {
            sender.ready().await?;
            let (head, mut body) = sender.send_request(request).await?.into_parts();
            read(&mut body, answer).await?;
            Ok(head.status)
        };
        tokio::pin!(exchange);
        tokio::select! {
            biased;
            done = &mut exchange => done,
            ended = driver => match ended {
                // The node has closed the connection behind its answer, or without one.
                Ok(()) => exchange.await,
                Err(error) => Err(error),
            },
        }
    }
}

async fn read(body: &mut Incoming, answer: &mut Vec<u8>) -> Result<(), hyper::Error> {
    answer.clear();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            answer.extend_from_slice(&data);
        }
    }
    Ok(())
}

impl Page {
    fn read(answer: &[u8]) -> Self {
        let (mut records, mut bytes) = (0, 0);
        for end in SIZE.ends(answer) {
            let digits = answer[end..].iter().take_while(|byte| byte.is_ascii_digit());
            bytes += digits.fold(0, |sum, digit| 10 * sum + u64::from(digit - b'0'));
            records += 1;
        }
        Self { records, bytes, next: text_of("NextShardIterator", answer).map(str::to_owned) }
    }
}

/// The text of the last member of a name, for texts without escapes.
fn text_of<'a>(member: &str, answer: &'a [u8]) -> Option<&'a str> {
    let opening = format!("\"{member}\":\"");
    let at = answer.windows(opening.len()).rposition(|window| window == opening.as_bytes())?;
    let text = &answer[at + opening.len()..];
    std::str::from_utf8(&text[..text.iter().position(|byte| *byte == b'"')?]).ok()
}

/// The name of the exception an answer tells of: what follows the namespace in its type.
fn exception(answer: &[u8]) -> String {
    let kind = text_of("__type", answer).unwrap_or_default();
    kind.rsplit('#').next().unwrap_or_default().to_owned()
}

/// Why an attempt gave no answer.
#[derive(Debug)]
enum Fault {
    /// There was no connection.
    NotSent,
    /// The connection broke, or time ran out, after it may have been sent.
    Lost,
    /// The node said no: the exception.
    Answered(StatusCode, String),
}

impl Fault {
    /// What the caller has to think. Source of the second part: Amazon DynamoDB Developer Guide, "Error messages and
    /// codes".
    fn kind(&self, reads: bool) -> Kind {
        let lost = if reads { Kind::Unavailable } else { Kind::Unknown };
        let (status, name) = match self {
            Self::NotSent => return Kind::Unavailable,
            Self::Lost => return lost,
            Self::Answered(status, name) => (*status, name.as_str()),
        };
        match name {
            "ThrottlingException"
            | "ProvisionedThroughputExceededException"
            | "RequestLimitExceeded"
            | "ServiceUnavailable" => Kind::Unavailable,
            "ConditionalCheckFailedException"
            | "ResourceNotFoundException"
            | "ResourceInUseException"
            | "TrimmedDataAccessException"
            | "ExpiredIteratorException" => Kind::Rejected,
            _ if status == StatusCode::SERVICE_UNAVAILABLE => Kind::Unavailable,
            _ if status.is_server_error() => lost,
            _ => Kind::Invalid,
        }
    }

    /// DynamoDB's name of the error; empty if no node has answered.
    fn reason(self) -> String {
        match self {
            Self::NotSent | Self::Lost => String::new(),
            Self::Answered(_, name) => name,
        }
    }
}

/// A text to be found, and how far the search may step by the byte that is where its last would be (Horspool): answers
/// have a megabyte, and looking at every byte of them would be most of this program's work.
struct Needle {
    text: &'static [u8],
    steps: [u8; 256],
}

impl Needle {
    const fn new(text: &'static [u8]) -> Self {
        assert!(!text.is_empty() && text.len() < 256, "a step fits a byte");
        let mut steps = [text.len() as u8; 256];
        let mut at = 0;
        while at + 1 < text.len() {
            steps[text[at] as usize] = (text.len() - 1 - at) as u8;
            at += 1;
        }
        Self { text, steps }
    }

    /// Where its first occurrence ends.
    fn find(&self, within: &[u8]) -> Option<usize> {
        let mut end = self.text.len();
        while end <= within.len() {
            if within[..end].ends_with(self.text) {
                return Some(end);
            }
            end += usize::from(self.steps[usize::from(within[end - 1])]);
        }
        None
    }

    /// Where its occurrences end, one behind the other.
    fn ends(&self, within: &[u8]) -> impl Iterator<Item = usize> {
        let mut from = 0;
        std::iter::from_fn(move || {
            from += self.find(&within[from..])?;
            Some(from)
        })
    }
}

#[cfg(test)]
#[path = "bench_dynamodb_test.rs"]
mod tests;
