//! Watertable
pub mod catalog;
pub mod model;
pub mod partition;
pub mod stream;
pub mod log;
pub mod storage;
pub mod rpc;
pub mod raft;
