//! The deterministic simulator: one seed decides a whole cluster's fate. Not built yet; `src/node/environment.rs`
//! is the seam through which it will run the real `Node::start`.

fn main() {
    eprintln!("the simulator is not built yet");
    std::process::exit(2);
}
