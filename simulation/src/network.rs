//! The seam to the network: turmoil's TCP.

use std::{io, net::Ipv4Addr};

use futures::{
    StreamExt,
    future::{BoxFuture, FutureExt},
    stream,
};
use turmoil::net::{TcpListener, TcpStream};
use watertable::{
    node::Listening,
    rpc::{Connector, Io, Remote},
};

/// The port of every node.
pub const PORT: u16 = 8000;

/// Connections over turmoil.
#[derive(Clone, Copy, Debug)]
pub struct Network;

impl Connector for Network {
    fn connect(&self, address: String) -> BoxFuture<'static, io::Result<Io>> {
        async move { Ok(Io::new(TcpStream::connect(address).await?)) }.boxed()
    }
}

/// Listens on this host.
pub async fn listen(address: String) -> io::Result<Listening> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?;
    let connections = stream::unfold(listener, |listener| async move {
        let accepted = listener.accept().await;
        Some((accepted.map(|(stream, remote)| Io::from(stream, Remote(Some(remote)))), listener))
    });
    Ok(Listening { address, connections: connections.boxed() })
}
