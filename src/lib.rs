//! Watertable
pub mod api;
pub mod catalog;
pub mod log;
pub mod model;
pub mod node;
pub mod partition;
pub mod raft;
pub mod rpc;
pub mod storage;
pub mod stream;
