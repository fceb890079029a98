//! Watertable: an open, self-hosted DynamoDB, tables whose every change surfaces in a stream.
//!
//! The map, from the ground up. A room imports what is above it in this list, never what is below.
//! - [`model`]: nouns: values, items, keys, names, limits.
//! - [`expression`]: what requests say of items in text: parsed, bound, evaluated.
//! - [`partition`]: what a write means: evaluate, entries, apply.
//! - [`stream`]: what a stream is: shards, records, iterators, retention.
//! - [`delivery`]: what of a stream is delivered: filter patterns.
//! - [`catalog`]: the cluster's own state machine: nodes, tables, placement.
//! - [`log`]: the segmented log of all groups of a node.
//! - [`storage`]: the stores of items, and of the catalog.
//! - [`rpc`]: the wire: generated messages, connections between nodes.
//! - [`raft`]: consensus: groups over log, storage and rpc.
//! - [`node`]: a node: replicas, routing, reading, trimming.
//! - [`api`]: the faces of a node.
//! - [`console`]: the web page.
//! - [`client`]: the Rust client.
//! - [`config`]: a node's configuration.
//! - [`cli`]: the commands.
//!
//! To see how it works, follow a write down (`api::grpc`, `api::items`, `node::router`, `node::replica`, `raft::group`,
//! `log::handle`), then its record up (`node::reader`, `stream::record`).

pub mod api;
pub mod catalog;
pub mod cli;
pub mod client;
pub mod config;
pub mod console;
pub mod delivery;
pub mod expression;
pub mod log;
pub mod model;
pub mod node;
pub mod partition;
pub mod raft;
pub mod rpc;
pub mod storage;
pub mod stream;
