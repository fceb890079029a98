//! The faces of the node: one set of operations, their encodings, one port.
//!
//! `items`, `batch`, `query`, `tables` and `streams` are the operations: names parsed, limits checked, keys taken from
//! items, and then the node is asked. `parameters` makes expressions and legacy parameters into what is evaluated, for
//! all of them. Two faces encode them:
//!
//! - gRPC: `grpc`, `grpc_items`, `keys`, `cluster`, `subscribe` are `watertable.v1`, with health and reflection.
//! - The DynamoDB protocol: `http` takes requests and sends answers, `auth` knows who may, `dispatch` is the list of
//!   operations, `requests` and `shapes` say member by member what a request looks like (`shape` checks it), `json*`
//!   read and write it, `dynamodb_*` join requests and answers to the operations.
//!
//! `/metrics` and `/health` are plain HTTP on the same port.
//!
//! - Nothing here decides semantics: what a write means is `partition`'s, where it goes is `node`'s.
//! - `error` is the only table of errors.
//! - Items are not decoded on their way out: the stored bytes are spliced into the answer (`rpc::item`), or written as
//!   JSON from where they lie (`model::json`).
//! - gRPC has no authentication of its own: whoever reaches the port may use it. Access keys are managed, and any
//!   signature is taken while there are none, only from the node's own machine.
//!
//! Deliberately absent: retries (the router repeats what is safe; the client decides about the rest), state.

#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))] // a new variant is decided on wherever it matters

mod auth;
mod batch;
mod cluster;
mod consumers;
mod dispatch;
mod dynamodb_items;
mod dynamodb_streams;
mod dynamodb_tables;
mod error;
mod grpc;
mod grpc_consumers;
mod grpc_items;
mod grpc_triggers;
mod http;
mod items;
mod json;
mod json_kind;
mod json_value;
mod keys;
mod lambda;
mod native;
mod parameters;
mod query;
mod requests;
mod shape;
mod shapes;
mod streams;
mod subscribe;
mod tables;
mod triggers;

pub use grpc::routes;
