//! The commands: what a person at a terminal, or a script, can ask for.
//!
//! Everything but `serve` and `demo` is a program over `client`, as anyone could write one: it knows nothing the API
//! does not say. One file holds one command group, its arguments and what they do.
//!
//! What it promises to scripts:
//! - The answer is on standard output, everything else on standard error. `--output json` prints JSON documents: one,
//!   or one a line where the length is not known (items, records).
//! - Exit codes: 0 done; 1 rejected, not found or different; 2 bad usage, invalid request, or a file that cannot be
//!   read; 3 unavailable: nothing happened; 4 unknown: a write may have happened.
//! - Numbers keep all their digits (serde_json with `arbitrary_precision`).
//! - A reader that goes away (`| head`) ends the program without complaint.
//!
//! Deliberately absent: configuration files for the client, prompts. What deletes, deletes.
//!
//! Decision: plain JSON is the default form of items, because it is what people have and can read; it cannot say
//! everything DynamoDB can (binary, sets), so `--dynamodb-json` is everywhere beside it.

mod access_key;
mod base64;
mod bench;
mod bench_clients;
mod bench_dynamodb;
mod bench_report;
mod bench_requests;
mod bench_streams;
mod bench_trigger;
mod cluster;
mod consumer;
mod demo;
mod demo_weather;
mod error;
mod global;
mod item;
mod item_pages;
mod json;
mod key;
mod load;
mod output;
mod placeholders;
mod serve;
mod stream;
mod table;
mod tail;
mod time;
mod trigger;
mod trigger_dev;
mod verify;

use std::process::ExitCode;

pub use error::Error;
pub use global::Global;
pub use output::Output;

/// An open, self-hosted DynamoDB: tables whose every change surfaces in a stream.
#[derive(Debug, clap::Parser)]
#[command(name = "watertable", version, propagate_version = true, max_term_width = 110)]
#[command(after_help = "Example:\n  watertable demo\n  watertable item scan airports | less")]
pub struct Arguments {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Runs a node.
    Serve(serve::Arguments),
    /// Runs a node with example data, to look around.
    Demo(demo::Arguments),
    /// Creates, lists, describes and deletes tables.
    #[command(subcommand)]
    Table(table::Command),
    /// Reads and writes items.
    #[command(subcommand)]
    Item(item::Command),
    /// Writes the items of a file, one JSON object a line, into a table.
    Load(load::Arguments),
    /// Turns streams on and off, shows and follows them.
    #[command(subcommand)]
    Stream(stream::Command),
    /// Has functions called for the changes of tables.
    #[command(subcommand)]
    Trigger(trigger::Command),
    /// Shares the records of a table's stream among programs, with a position that the cluster keeps.
    #[command(subcommand)]
    Consumer(consumer::Command),
    /// Compares a table with the fold of its stream.
    Verify(verify::Arguments),
    /// Makes, lists and deletes access keys of the DynamoDB endpoint.
    #[command(subcommand)]
    Key(access_key::Command),
    /// Shows nodes and replicas.
    #[command(subcommand)]
    Cluster(cluster::Command),
    /// Measures a running cluster.
    #[command(subcommand)]
    Bench(bench::Command),
}

impl Arguments {
    /// How many threads the command is best run with; `None`: as many as there are cores. A load generator that moves
    /// its work between threads measures itself.
    pub fn threads(&self) -> Option<usize> {
        match &self.command {
            Command::Serve(_) | Command::Demo(_) => None,
            Command::Bench(command) => Some(command.threads()),
            Command::Table(_) | Command::Item(_) | Command::Load(_) => Some(1),
            Command::Stream(_) | Command::Trigger(_) | Command::Consumer(_) => Some(1),
            Command::Verify(_) => Some(1),
            Command::Cluster(_) | Command::Key(_) => Some(1),
        }
    }
}

/// Does what was asked, within a tokio runtime.
pub async fn run(arguments: Arguments) -> ExitCode {
    let Arguments { global, command } = arguments;
    let outcome = match command {
        Command::Serve(arguments) => serve::run(arguments).await,
        Command::Demo(arguments) => demo::run(arguments).await,
        Command::Table(command) => table::run(&global, command).await,
        Command::Item(command) => item::run(&global, command).await,
        Command::Load(arguments) => load::run(&global, arguments).await,
        Command::Stream(command) => stream::run(&global, command).await,
        Command::Trigger(command) => trigger::run(&global, command).await,
        Command::Consumer(command) => consumer::run(&global, command).await,
        Command::Verify(arguments) => verify::run(&global, arguments).await,
        Command::Key(command) => access_key::run(&global, command).await,
        Command::Cluster(command) => cluster::run(&global, command).await,
        Command::Bench(command) => bench::run(&global, command).await,
    };
    error::exit_code(outcome)
}
