//! The faces of the node: one set of operations, their encodings, one port.
//!
//! `items`, `batch`, `query`, `tables` and `streams` are the operations: names parsed, limits checked, keys taken from
//! items, and then the node is asked. `parameters` makes expressions and legacy parameters into what is evaluated, for
//! all of them. `grpc` and `grpc_items` encode them as `watertable.v1`, with health and reflection; plain HTTP on the
//! same port answers `/metrics` and `/health`. The DynamoDB protocol will join as a second encoding of the same operations.
//!
//! - Nothing here decides semantics: what a write means is `partition`'s, where it goes is `node`'s.
//! - `error` is the only table of errors.
//! - Items are not decoded on their way out: the stored bytes are spliced into the answer (`rpc::item`).
//!
//! Deliberately absent: retries (the router repeats what is safe; the client decides about the rest), state.

#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))] // a new variant is decided on wherever it matters

mod batch;
mod cluster;
mod error;
mod grpc;
mod grpc_items;
mod items;
mod parameters;
mod query;
mod streams;
mod subscribe;
mod tables;

pub use grpc::routes;
