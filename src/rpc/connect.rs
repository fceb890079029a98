//! The network seam, and gRPC channels over it.

use std::{
    fmt, io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tonic::transport::{Channel, Endpoint, Uri, server::Connected};
use tower::service_fn;

/// A connection, whatever it runs over.
pub struct Io {
    stream: Pin<Box<dyn ReadWrite>>,
    remote: Remote,
}

/// The other end of a connection, if it has an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remote(pub Option<SocketAddr>);

impl Remote {
    /// Whether the other end is on the same machine.
    pub fn is_local(&self) -> bool {
        self.0.is_some_and(|address| address.ip().to_canonical().is_loopback())
    }
}

trait ReadWrite: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> ReadWrite for T {}

impl Io {
    /// Wraps a connection.
    pub fn new(stream: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        Self { stream: Box::pin(stream), remote: Remote(None) }
    }

    /// Wraps a connection from an address.
    pub fn from(stream: impl AsyncRead + AsyncWrite + Send + 'static, remote: Remote) -> Self {
        Self { stream: Box::pin(stream), remote }
    }

    /// The other end.
    pub fn remote(&self) -> Remote {
        self.remote
    }
}

impl fmt::Debug for Io {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Io")
    }
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_read(cx, buffer)
    }
}

impl AsyncWrite for Io {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream.as_mut().poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream.as_mut().poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

impl Connected for Io {
    type ConnectInfo = Remote;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.remote
    }
}

/// Opens connections to other nodes.
pub trait Connector: Send + Sync + 'static {
    /// Connects to `address` ("host:port").
    fn connect(&self, address: String) -> BoxFuture<'static, io::Result<Io>>;
}

/// Connections over TCP.
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpConnector;

impl Connector for TcpConnector {
    fn connect(&self, address: String) -> BoxFuture<'static, io::Result<Io>> {
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Io::new(stream))
        })
    }
}

const STREAM_WINDOW_BYTES: u32 = 8 * 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 32 * 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How often a connection in use is probed, and how long the answer may take: one that a network has forgotten is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// A gRPC channel to a node; connects when first used, and again after a failure.
pub fn channel(connector: Arc<dyn Connector>, address: &str) -> Result<Channel, tonic::transport::Error> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE);
    let address = address.to_owned();
    Ok(endpoint.connect_with_connector_lazy(service_fn(move |_: Uri| {
        let connecting = connector.connect(address.clone());
        async move { connecting.await.map(TokioIo::new) }
    })))
}
