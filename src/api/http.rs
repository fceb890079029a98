//! The DynamoDB protocol over HTTP/1.1 and h2c: requests with their sizes, encodings and signatures, answers with their
//! checksums; and what browsers and load balancers ask for.
//!
//! The order of the checks is the service's: size, JSON at all, operation, signature, then kinds and constraints
//! (`dispatch`). A body is read to its end even if it is refused: a client that is still sending would see a reset
//! instead of the answer.

use std::{io::Read, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header},
    routing::any,
};
use bytes::{Bytes, BytesMut};
use flate2::{
    Compression,
    read::{GzEncoder, MultiGzDecoder, ZlibDecoder, ZlibEncoder},
};
use futures::StreamExt;
use tokio::time::timeout;

use super::{auth, dispatch, error::Fault, json};
use crate::{
    model::{json::Object, limits::REQUEST_BYTES_MAX},
    node::Node,
    rpc::Remote,
};

/// What the service calls its JSON.
const CONTENT_TYPE: &str = "application/x-amz-json-1.0";
/// Bytes of all headers, and of the request line, at most.
const HEADERS_BYTES_MAX: usize = 16 * 1024;
/// How long a client may take to send a body.
const BODY_DEADLINE: Duration = Duration::from_secs(60);
/// Bytes of a body that is refused for its size and yet read.
const REFUSED_BYTES_MAX: usize = 8 * REQUEST_BYTES_MAX;
/// Answers below this are not compressed.
const COMPRESSED_BYTES_MIN: usize = 4 * 1024;

/// Adds the endpoint to the routes of the port.
pub(super) fn routes(router: Router, node: Node) -> Router {
    let endpoint = Router::new().route("/", any(root)).route("/ping", any(root)).with_state(node);
    router.merge(endpoint).fallback(elsewhere)
}

/// Paths that mean nothing.
async fn elsewhere(request: Request) -> Response<Body> {
    let is_grpc = request
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    if is_grpc {
        return tonic::Status::unimplemented("there is no such service").into_http();
    }
    plain(StatusCode::NOT_FOUND, "<UnknownOperationException/>\n")
}

fn plain(status: StatusCode, text: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    response
}

async fn root(State(node): State<Node>, request: Request) -> Response<Body> {
    let is_from_page = request.headers().contains_key(header::ORIGIN);
    let is_long = request.uri().query().is_some_and(|query| query.len() > HEADERS_BYTES_MAX);
    let mut response = match *request.method() {
        _ if is_long => plain(StatusCode::BAD_REQUEST, "The request line is too large\n"),
        Method::POST => post(&node, request).await,
        Method::GET | Method::HEAD => {
            let host = host(&request);
            plain(StatusCode::OK, format!("healthy: {host} "))
        }
        Method::OPTIONS => preflight(request.headers()),
        _ => plain(StatusCode::NOT_FOUND, "<UnknownOperationException/>\n"),
    };
    let headers = response.headers_mut();
    headers.insert("x-amzn-requestid", request_id(&node));
    headers.insert(header::SERVER, HeaderValue::from_static("Server"));
    if is_from_page {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        let exposed = HeaderValue::from_static("x-amzn-RequestId,x-amz-crc32,x-amzn-ErrorType,Date");
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
    response
}

/// Where the client reached this node.
fn host(request: &Request) -> String {
    let header = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let authority = request.uri().authority().map(|authority| authority.as_str());
    header.or(authority).unwrap_or_default().to_owned()
}

/// 52 characters of base 32, as the service's ids.
fn request_id(node: &Node) -> HeaderValue {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
    let mut id = [0; 52];
    for part in id.chunks_mut(12) {
        let mut random = node.random();
        for character in part {
            *character = ALPHABET[(random % 32) as usize];
            random /= 32;
        }
    }
    HeaderValue::from_bytes(&id).expect("letters and digits make a header")
}

/// Source: Fetch Standard, "CORS-preflight fetch".
fn preflight(asked: &HeaderMap) -> Response<Body> {
    let mut response = plain(StatusCode::OK, Body::empty());
    let pairs = [
        (header::ACCESS_CONTROL_REQUEST_METHOD, header::ACCESS_CONTROL_ALLOW_METHODS),
        (header::ACCESS_CONTROL_REQUEST_HEADERS, header::ACCESS_CONTROL_ALLOW_HEADERS),
    ];
    if asked.contains_key(header::ORIGIN) {
        for (from, to) in pairs {
            if let Some(value) = asked.get(from) {
                response.headers_mut().insert(to, value.clone());
            }
        }
        response.headers_mut().insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("172800"));
    }
    response
}

/// Answers an operation.
async fn post(node: &Node, request: Request) -> Response<Body> {
    let host = host(&request);
    let (mut parts, body) = request.into_parts();
    if let (None, Ok(host)) = (parts.headers.get(header::HOST), HeaderValue::from_str(&host)) {
        parts.headers.insert(header::HOST, host); // over HTTP/2 it is signed under its old name
    }
    if parts.uri.path() != "/" || !has_json(&parts.headers) {
        let _ = timeout(BODY_DEADLINE, drain(body)).await; // the answer is the same
        return plain(StatusCode::NOT_FOUND, "<UnknownOperationException/>\n");
    }
    let remote = parts.extensions.get::<Remote>().copied();
    let slow = Err(Fault::Body(json::Fault::Syntax)); // a body that does not end is no JSON
    let answered = match timeout(BODY_DEADLINE, read(&parts.headers, body)).await.unwrap_or(slow) {
        Ok((received, body)) => {
            let signed = auth::Request {
                service: auth::DYNAMODB,
                method: parts.method.as_str(),
                path: parts.uri.path(),
                query: parts.uri.query().unwrap_or_default(),
                headers: &parts.headers,
                body: &received,
            };
            let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
            let target = target.unwrap_or_default();
            match admit(node, remote, target, &signed, &body).await {
                Ok(()) => dispatch::run(node, target, &host, &body).await,
                Err(fault) => Err(fault),
            }
        }
        Err(fault) => Err(fault),
    };
    respond(&parts.headers, answered)
}

/// Whether the body is said to be JSON.
fn has_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case(CONTENT_TYPE) || kind.eq_ignore_ascii_case("application/json")
}

/// Whether the operation exists and the client may use it.
async fn admit(
    node: &Node,
    remote: Option<Remote>,
    target: &str,
    signed: &auth::Request<'_>,
    body: &[u8],
) -> Result<(), Fault> {
    let admitted = match dispatch::exists(target) {
        true => authenticate(node, remote, signed).await,
        false => Err(Fault::UnknownOperation),
    };
    match admitted {
        Err(fault @ (Fault::UnknownOperation | Fault::NotLocal | Fault::Auth(_))) => {
            dispatch::check_json(body).and(Err(fault))
        }
        admitted => admitted,
    }
}

/// Whether the client may use this endpoint.
async fn authenticate(node: &Node, remote: Option<Remote>, signed: &auth::Request<'_>) -> Result<(), Fault> {
    // The keys a node had when it stopped may be long past.
    node.settled().await?;
    let catalog = node.catalog();
    if catalog.access_keys.is_empty() {
        if !remote.is_some_and(|remote| remote.is_local()) {
            return Err(Fault::NotLocal);
        }
        return auth::accept_any(signed).map_err(Fault::Auth);
    }
    let secret_of = |id: &str| catalog.access_keys.get(id).map(|key| key.secret.as_str());
    auth::verify(signed, secret_of, node.now_ms()).map(|_| ()).map_err(Fault::Auth)
}

/// A request to another service than DynamoDB, by a client that may use it.
pub(super) struct Admitted {
    pub method: Method,
    pub path: String,
    /// Still percent-encoded; see [`auth::query_parameter`].
    pub query: String,
    pub body: Bytes,
}

/// Reads a request to another service, if its client may use that.
pub(super) async fn admit_to(
    node: &Node,
    service: &'static str,
    request: Request,
) -> Result<Admitted, Fault> {
    let host = host(&request);
    let (mut parts, body) = request.into_parts();
    if let (None, Ok(host)) = (parts.headers.get(header::HOST), HeaderValue::from_str(&host)) {
        parts.headers.insert(header::HOST, host);
    }
    let remote = parts.extensions.get::<Remote>().copied();
    let slow = Err(Fault::Body(json::Fault::Syntax));
    let (received, body) = timeout(BODY_DEADLINE, read(&parts.headers, body)).await.unwrap_or(slow)?;
    let (path, query) = (parts.uri.path().to_owned(), parts.uri.query().unwrap_or_default().to_owned());
    let signed = auth::Request {
        service,
        method: parts.method.as_str(),
        path: &path,
        query: &query,
        headers: &parts.headers,
        body: &received,
    };
    authenticate(node, remote, &signed).await?;
    Ok(Admitted { method: parts.method, path, query, body })
}

/// Reads a body that is refused, so that the client gets to read why.
async fn drain(body: Body) {
    let mut chunks = body.into_data_stream();
    let mut bytes = 0;
    while let Some(Ok(chunk)) = chunks.next().await {
        bytes += chunk.len();
        if bytes > REFUSED_BYTES_MAX {
            return;
        }
    }
}

/// The body as it came, and unpacked.
async fn read(headers: &HeaderMap, body: Body) -> Result<(Bytes, Bytes), Fault> {
    let header_bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    let received = receive(body).await?;
    if header_bytes > HEADERS_BYTES_MAX {
        return Err(Fault::HeadersTooLarge);
    }
    let encoding = headers.get(header::CONTENT_ENCODING).map(|name| name.as_bytes().to_ascii_lowercase());
    let unpacked = match encoding.as_deref() {
        None | Some(b"identity" | b"") => received.clone(),
        Some(b"gzip" | b"x-gzip") => unpack(MultiGzDecoder::new(&*received))?,
        Some(b"deflate") => unpack(ZlibDecoder::new(&*received))?,
        Some(_) => return Err(Fault::Encoding),
    };
    Ok((received, unpacked))
}

async fn receive(body: Body) -> Result<Bytes, Fault> {
    let mut chunks = body.into_data_stream();
    let mut whole = Bytes::new();
    let mut more = BytesMut::new();
    let mut bytes = 0;
    while let Some(chunk) = chunks.next().await {
        // A body that breaks off, or whose chunks are none, is no JSON.
        let chunk = chunk.map_err(|_| Fault::Body(json::Fault::Syntax))?;
        bytes += chunk.len();
        if bytes > REFUSED_BYTES_MAX {
            return Err(Fault::TooLarge);
        }
        if bytes > REQUEST_BYTES_MAX {
            more.clear();
        } else if bytes == chunk.len() {
            whole = chunk; // most bodies come in one piece
        } else {
            if more.is_empty() {
                more.extend_from_slice(&whole);
            }
            more.extend_from_slice(&chunk);
        }
    }
    match bytes {
        bytes if bytes > REQUEST_BYTES_MAX => Err(Fault::TooLarge),
        _ if more.is_empty() => Ok(whole),
        _ => Ok(more.freeze()),
    }
}

fn unpack(packed: impl Read) -> Result<Bytes, Fault> {
    let mut unpacked = Vec::new();
    let read = packed.take(REQUEST_BYTES_MAX as u64 + 1).read_to_end(&mut unpacked);
    read.map_err(|_| Fault::Encoding)?;
    match unpacked.len() {
        0 => Err(Fault::Encoding),
        bytes if bytes > REQUEST_BYTES_MAX => Err(Fault::TooLarge),
        _ => Ok(unpacked.into()),
    }
}

fn respond(asked: &HeaderMap, answered: Result<Vec<u8>, Fault>) -> Response<Body> {
    let (status, body) = match answered {
        Ok(body) => (StatusCode::OK, body),
        Err(fault) => {
            let exception = fault.exception();
            let status = StatusCode::from_u16(exception.status).expect("the table has statuses of HTTP");
            let mut body = Vec::new();
            let mut object = Object::begin(&mut body);
            object.text("__type", &format!("{}#{}", exception.namespace, exception.name));
            if let Some(message) = &exception.message {
                object.text(exception.message_member(), message);
            }
            if let Some(item) = exception.item
                && let Err(error) = object.item("Item", item)
            {
                tracing::error!(%error, "a stored item does not decode");
            }
            object.end();
            (status, body)
        }
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    let packing = if body.len() > COMPRESSED_BYTES_MIN { accepted(asked) } else { None };
    let body = match packing {
        None => body,
        Some(packing) => {
            let packed = packing.pack(&body);
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(packing.name()));
            packed
        }
    };
    // Of the bytes as they are sent: clients check it before anything else.
    headers.insert("x-amz-crc32", HeaderValue::from(crc32fast::hash(&body)));
    *response.body_mut() = Body::from(body);
    response
}

/// How an answer is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    Gzip,
    Deflate,
}

impl Packing {
    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }

    fn pack(self, body: &[u8]) -> Vec<u8> {
        let mut packed = Vec::with_capacity(body.len() / 4);
        let level = Compression::fast();
        let read = match self {
            Self::Gzip => GzEncoder::new(body, level).read_to_end(&mut packed),
            Self::Deflate => ZlibEncoder::new(body, level).read_to_end(&mut packed),
        };
        read.expect("memory can be read");
        packed
    }
}

/// The best compression a client accepts. Source: RFC 9110, 12.5.3.
fn accepted(headers: &HeaderMap) -> Option<Packing> {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter();
    let values = values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let mut best = None;
    for value in values {
        let (name, parameters) = value.split_once(';').unwrap_or((value, ""));
        let packing = match name.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" | "*" => Packing::Gzip,
            "deflate" => Packing::Deflate,
            _ => continue,
        };
        let quality = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("q="));
        let quality = quality.map_or(Some(1.0), |quality| quality.trim().parse().ok());
        let quality: f32 = quality.unwrap_or(0.0);
        if quality > 0.0 && best.is_none_or(|(known, _)| quality > known) {
            best = Some((quality, packing));
        }
    }
    best.map(|(_, packing)| packing)
}

#[cfg(test)]
#[path = "http_test.rs"]
mod tests;
