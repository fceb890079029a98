//! Calls to programs that speak HTTP: the functions of triggers, and where records go that are given up.
//!
//! Connections go out by the [`Connector`] seam, and are kept for the next call to the same place. `https` trusts the
//! certificates that the machine trusts (`SSL_CERT_FILE` names others).

use std::{
    io,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::future::BoxFuture;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    HeaderMap, Request, Uri,
    header::{CONTENT_TYPE, HeaderName, HeaderValue},
    rt::ReadBufCursor,
};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{Connected, Connection},
    },
    rt::{TokioExecutor, TokioIo},
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, pki_types::ServerName},
};
use tower::Service;

use super::{Connector, Io};

/// Largest answer that is read, bytes. Source: AWS Lambda Developer Guide, "Lambda quotas" (a synchronous answer).
const ANSWER_BYTES_MAX: usize = 6 * 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections to one place that are kept when nothing is called.
const IDLE_MAX: usize = 16;

/// Calls programs. Cheap to clone.
#[derive(Clone)]
pub struct HttpClient(Client<Outward, Full<Bytes>>);

/// An answer.
#[derive(Clone, Debug)]
pub struct HttpAnswer {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// *Unavailable*: nobody was called.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// *Unknown*: it took too long.
    #[error("no answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// *Unknown*: the connection broke, or the answer is none.
    #[error("the answer broke off: {0}")]
    Broken(String),
}

impl HttpClient {
    /// A client over a connector.
    pub fn new(connector: Arc<dyn Connector>) -> Self {
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_max_idle_per_host(IDLE_MAX);
        Self(builder.build(Outward { connector, tls: Arc::default() }))
    }

    /// Posts JSON; waits so long for the answer.
    pub async fn post(
        &self,
        url: &str,
        headers: &[(HeaderName, HeaderValue)],
        body: Bytes,
        timeout: Duration,
    ) -> Result<HttpAnswer, HttpError> {
        let mut request = Request::post(url)
            .body(Full::new(body))
            .map_err(|error| HttpError::Unreachable(format!("the address is none: {error}")))?;
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in headers {
            request.headers_mut().insert(name, value.clone());
        }
        match tokio::time::timeout(timeout, self.exchange(request)).await {
            Ok(answered) => answered,
            Err(_) => Err(HttpError::TimedOut(timeout)),
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<HttpAnswer, HttpError> {
        let answer = self.0.request(request).await.map_err(|error| {
            let cause = innermost(&error);
            if error.is_connect() { HttpError::Unreachable(cause) } else { HttpError::Broken(cause) }
        })?;
        let (parts, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| HttpError::Broken(error.to_string()))?.to_bytes();
        Ok(HttpAnswer { status: parts.status.as_u16(), headers: parts.headers, body })
    }
}

fn innermost(error: &hyper_util::client::legacy::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// Opens connections to wherever an address says.
#[derive(Clone)]
struct Outward {
    connector: Arc<dyn Connector>,
    /// Made when it is first used: reading the machine's certificates takes a while.
    tls: Arc<OnceLock<TlsConnector>>,
}

impl Service<Uri> for Outward {
    type Response = Outgoing;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Outgoing>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            match tokio::time::timeout(CONNECT_TIMEOUT, this.connect(uri)).await {
                Ok(connected) => connected,
                Err(_) => {
                    Err(io::Error::new(io::ErrorKind::TimedOut, "the connection was not accepted in time"))
                }
            }
        })
    }
}

impl Outward {
    async fn connect(&self, uri: Uri) -> io::Result<Outgoing> {
        let is_tls = uri.scheme_str() == Some("https");
        let host = uri.host().unwrap_or_default().to_owned();
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let io = self.connector.connect(format!("{host}:{port}")).await?;
        if !is_tls {
            return Ok(Outgoing(TokioIo::new(io)));
        }
        let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(name).map_err(io::Error::other)?;
        let stream = self.tls.get_or_init(tls).connect(name, io).await?;
        Ok(Outgoing(TokioIo::new(Io::new(stream))))
    }
}

/// TLS that trusts what the machine trusts. Certificates that cannot be read are as if they were not there.
fn tls() -> TlsConnector {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "certificates of this machine cannot be read");
    }
    roots.add_parsable_certificates(found.certs);
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has the default versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

/// A connection as the pool holds it.
struct Outgoing(TokioIo<Io>);

impl Connection for Outgoing {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl hyper::rt::Read for Outgoing {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl hyper::rt::Write for Outgoing {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bytes)
    }
}
