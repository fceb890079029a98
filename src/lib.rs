//! Watertable
pub mod catalog;
pub mod model;
pub mod partition;
pub mod stream;
pub mod rpc;
