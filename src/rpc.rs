//! The wire: generated messages, connections between nodes, and items that stay in their stored encoding.
//!
//! - [`wire`] is the generated code of `proto/`.
//! - [`item`] is the `Item` message: stored bytes, spliced into answers without being decoded.
//! - [`Connector`] and [`Io`] are the seam to the network: TCP in production, turmoil in simulation.
//! - [`Peers`] keeps one connection to every other node. All Raft messages of all groups to that node share one
//!   long-lived stream; whatever waits is sent as one [`Frame`](wire::peer::Frame). Answers come back on the same
//!   stream, matched by id. Pings on it tell which nodes are alive and how far their clocks are apart.
//! - [`answer`] is the other end of such a stream.
//! - [`HttpClient`] calls programs that are no nodes: the functions of triggers.
//!
//! Every request has a deadline, chosen by the caller. The queue to a node is bounded (`peers`): when it is full,
//! or while there is no connection, a request fails at once as [`Error::Unreachable`]; Raft retries by itself.
//!
//! Decision: a stream in each direction of a pair, each with its own requests, instead of one for both. It costs a
//! socket a pair and saves every question of who dials, who answers and whose turn it is after a failure.

mod connect;
mod error;
mod exchange;
mod http_client;
pub mod item;
mod peers;
pub mod wire;

pub use connect::{Connector, Io, Remote, TcpConnector, channel};
pub use error::Error;
pub use exchange::{Answer, answer};
pub use http_client::{HttpAnswer, HttpClient, HttpError};
pub use peers::{Peers, Self_};
