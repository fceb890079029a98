//! Lets dependencies that look up C functions at run time find the simulator's (see `entropy`).

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-link-arg-bins=-rdynamic");
}
