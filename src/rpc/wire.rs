//! The generated code of `proto/`: messages, clients and servers.
#![allow(missing_docs, clippy::all, clippy::pedantic)]

/// The public API.
pub mod v1 {
    tonic::include_proto!("watertable.v1");
}

/// Between nodes.
pub mod peer {
    tonic::include_proto!("watertable.peer.v1");
}

/// The descriptors of all files, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/watertable.bin"));
