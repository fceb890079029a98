//! A function that triggers call: an HTTP server in the test, which does as it is told and remembers what it got.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::serve::Listener;
use futures::future::BoxFuture;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};
use tokio_rustls::server::TlsStream;

/// What it answers.
pub enum Reply {
    Status(u16, String),
    /// After a while.
    Late(Duration, Box<Reply>),
    /// Once something has happened.
    Held(BoxFuture<'static, ()>, Box<Reply>),
    /// With a header that says that the function failed.
    Failed(String),
}

impl Reply {
    pub fn ok() -> Self {
        Self::Status(200, String::new())
    }
}

/// A call as it came.
#[derive(Clone)]
pub struct Call {
    pub event: Value,
    pub headers: HeaderMap,
    /// Whether the answer was that all is well.
    pub succeeded: bool,
    /// How many records were done with: all, or those before the one that the answer named.
    pub done: usize,
}

impl Call {
    pub fn records(&self) -> &Vec<Value> {
        self.event["Records"].as_array().expect("an event has records")
    }
}

/// A socket whose connections are encrypted.
struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (stream, from) = self.listener.accept().await.expect("a connection");
            // Who does not trust the certificate goes away.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, from);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

type Calls = Arc<Mutex<Vec<Call>>>;

/// See the top of this file. Dropping it closes its socket.
pub struct Function {
    pub url: String,
    calls: Calls,
    server: JoinHandle<()>,
}

impl Function {
    /// Serves at any port, below `path`.
    pub async fn serve(path: &str, answer: impl Fn(&Value) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        Self::serve_at(listener, path, answer)
    }

    /// The same at a socket.
    pub fn serve_at(
        listener: TcpListener,
        path: &str,
        answer: impl Fn(&Value) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let url = format!("http://{}{path}", listener.local_addr().expect("an address"));
        Self::run(url, listener, path, answer)
    }

    /// The same with TLS, by the certificate of `localhost.pem`, which `authority.pem` has signed.
    pub async fn serve_tls(path: &str, answer: impl Fn(&Value) -> Reply + Send + Sync + 'static) -> Self {
        // All of this machine's addresses reach it; the certificate is of 127.0.0.1.
        let listener = TcpListener::bind("0.0.0.0:0").await.expect("a port");
        let url = format!("https://127.0.0.1:{}{path}", listener.local_addr().expect("an address").port());
        let pem = include_bytes!("localhost.pem");
        let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().expect("a certificate");
        let key = PrivateKeyDer::from_pem_slice(pem).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has the default versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("they belong together");
        Self::run(url, Tls { listener, acceptor: Arc::new(config).into() }, path, answer)
    }

    fn run(
        url: String,
        listener: impl Listener<Addr: Debug>,
        path: &str,
        answer: impl Fn(&Value) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let calls = Calls::default();
        let (kept, answer) = (calls.clone(), Arc::new(answer));
        let handler = move |headers: HeaderMap, body: Bytes| {
            let (kept, answer) = (kept.clone(), answer.clone());
            async move {
                let event: Value = serde_json::from_slice(&body).expect("an event is JSON");
                let reply = in_time(answer(&event)).await;
                let done = done(&event, &reply);
                let succeeded =
                    matches!(&reply, Reply::Status(200..300, body) if !body.contains("batchItemFailures"));
                kept.lock().expect("no test panicked").push(Call { event, headers, succeeded, done });
                into_response(reply)
            }
        };
        let router =
            Router::new().route(path, post(handler)).layer(axum::extract::DefaultBodyLimit::disable());
        #[expect(clippy::disallowed_methods, reason = "a server of a test, which owns it")]
        let server = tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Self { url, calls, server }
    }

    /// The calls so far.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().expect("no test panicked").clone()
    }

    /// The values of a number attribute of the new images that were delivered, by partition key, in order; a value that
    /// comes again right away, or after all that came since, is one.
    pub fn delivered(&self, key: &str, attribute: &str) -> BTreeMap<String, Vec<u64>> {
        let mut delivered: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for call in self.calls() {
            for record in call.records().iter().take(call.done) {
                let change = &record["dynamodb"];
                let text = |value: &Value| value.as_str().expect("text").to_owned();
                let key = text(&change["Keys"][key]["S"]);
                let number = text(&change["NewImage"][attribute]["N"]).parse().expect("a number");
                delivered.entry(key).or_default().push(number);
            }
        }
        delivered
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// What is answered when it is time to.
async fn in_time(mut reply: Reply) -> Reply {
    loop {
        reply = match reply {
            Reply::Late(pause, then) => {
                tokio::time::sleep(pause).await; // until a slow function answers
                *then
            }
            Reply::Held(happened, then) => {
                happened.await;
                *then
            }
            Reply::Status(..) | Reply::Failed(_) => return reply,
        };
    }
}

fn done(event: &Value, reply: &Reply) -> usize {
    let records = event["Records"].as_array().map_or(&[][..], Vec::as_slice);
    let Reply::Status(200..300, body) = reply else { return 0 };
    let answer: Value = serde_json::from_str(body).unwrap_or_default();
    let failed = &answer["batchItemFailures"][0]["itemIdentifier"];
    records.iter().position(|record| &record["dynamodb"]["SequenceNumber"] == failed).unwrap_or(records.len())
}

fn into_response(reply: Reply) -> Response {
    match reply {
        Reply::Status(status, body) => {
            (StatusCode::from_u16(status).expect("a status"), body).into_response()
        }
        Reply::Failed(body) => ([("x-amz-function-error", "Unhandled")], body).into_response(),
        Reply::Late(_, then) | Reply::Held(_, then) => into_response(*then),
    }
}

/// Checks that each key's numbers are `0..count`, none before one below it was delivered; repetitions are allowed.
#[track_caller]
pub fn assert_in_order(delivered: &BTreeMap<String, Vec<u64>>, keys: usize, count: u64) {
    assert_eq!(delivered.len(), keys, "every key is delivered");
    for (key, numbers) in delivered {
        let mut next = 0;
        for number in numbers {
            assert!(*number <= next, "{key}: {number} came before {next} in {numbers:?}");
            next = next.max(number + 1);
        }
        assert_eq!(next, count, "{key}: {numbers:?}");
    }
}
