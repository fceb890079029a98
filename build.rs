//! Compiles `proto/` with protox (no system `protoc`), and keeps the descriptors for gRPC reflection.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;

#[expect(clippy::disallowed_methods, reason = "this is how cargo talks to a build script")]
fn main() -> Result<(), Box<dyn Error>> {
    let files = [
        "proto/watertable/v1/cluster.proto",
        "proto/watertable/v1/consumers.proto",
        "proto/watertable/v1/items.proto",
        "proto/watertable/v1/keys.proto",
        "proto/watertable/v1/streams.proto",
        "proto/watertable/v1/tables.proto",
        "proto/watertable/v1/triggers.proto",
        "proto/peer/v1/peer.proto",
    ];
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(files, ["proto"])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("watertable.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .bytes(".")
        .btree_map(".")
        // An item stays in its stored encoding from disk to socket: see `rpc::item`.
        .extern_path(".watertable.v1.Item", "crate::rpc::item::Item")
        .compile_fds(descriptors)?;
    Ok(())
}
