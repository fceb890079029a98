//! The program: arguments, a runtime, a command.

use std::process::ExitCode;

use clap::Parser;
use watertable::cli;

/// Servers that live long on small cached values fragment the system's allocator, and spend a tenth of their time in it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<ExitCode> {
    let arguments = cli::Arguments::parse();
    let mut runtime = match arguments.threads() {
        Some(1) => tokio::runtime::Builder::new_current_thread(),
        Some(threads) => {
            let mut runtime = tokio::runtime::Builder::new_multi_thread();
            runtime.worker_threads(threads);
            runtime
        }
        None => tokio::runtime::Builder::new_multi_thread(),
    };
    Ok(runtime.enable_all().build()?.block_on(cli::run(arguments)))
}
