//! Watertable: an open, self-hosted DynamoDB, tables whose every change surfaces in a stream.

/// Nouns: values, items, keys, names, limits.
pub mod model;
/// What a write means: evaluate, entries, apply.
pub mod partition;
/// What a stream is: shards, records, iterators, retention.
pub mod stream;
/// The cluster's own state machine: nodes, tables, placement.
pub mod catalog;
/// The segmented log of all groups of a node.
pub mod log;
/// The stores of items, and of the catalog.
pub mod storage;
/// The wire: generated messages, connections between nodes.
pub mod rpc;
/// Consensus: groups over log, storage and rpc.
pub mod raft;
/// A node: replicas, routing, reading, trimming.
pub mod node;
/// The faces of a node.
pub mod api;
/// The Rust client.
pub mod client;
/// A node's configuration.
pub mod config;
/// The commands.
pub mod cli;
