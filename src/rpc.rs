//! rpc
pub mod item;
pub mod wire;
