//! The product as its users meet it: real processes of the program, on loopback, killed and started again.
//!
//! One test binary, so that it links once. Tests that start nodes take turns (`cluster::Cluster`): a machine with two
//! cores that runs three clusters at once tests its scheduler.
//!
//! - Nothing is waited for by the clock: conditions, with a deadline of [`cluster::PATIENCE`].
//! - What a test measures, it prints: `cargo test --test main -- --nocapture`.
//! - `WATERTABLE_ROUNDS=20 cargo test --test main failover -- --nocapture` kills more often than the default 4 times.
//! - `WATERTABLE_SEED=7 WATERTABLE_RANDOM_SECONDS=600 cargo test --test main random -- --nocapture` does other things at
//!   random, and for longer than the default 20 s.
//! - When a test fails, the ends of its nodes' logs are printed.

#[path = "main/api.rs"]
mod api;
#[path = "main/cluster.rs"]
mod cluster;
#[path = "main/commands.rs"]
mod commands;
#[path = "main/consumers.rs"]
mod consumers;
#[path = "main/corpus.rs"]
mod corpus;
#[path = "main/dynamodb.rs"]
mod dynamodb;
#[path = "main/failover.rs"]
mod failover;
#[path = "main/function.rs"]
mod function;
#[path = "main/history.rs"]
mod history;
#[path = "main/item_refusals.rs"]
mod item_refusals;
#[path = "main/items.rs"]
mod items;
#[path = "main/legacy.rs"]
mod legacy;
#[path = "main/pages.rs"]
mod pages;
#[path = "main/random.rs"]
mod random;
#[path = "main/refusals.rs"]
mod refusals;
#[path = "main/restart.rs"]
mod restart;
#[path = "main/retention.rs"]
mod retention;
#[path = "main/sample.rs"]
mod sample;
#[path = "main/stream.rs"]
mod stream;
#[path = "main/trigger_kills.rs"]
mod trigger_kills;
#[path = "main/trigger_targets.rs"]
mod trigger_targets;
#[path = "main/triggers.rs"]
mod triggers;
#[path = "main/workload.rs"]
mod workload;
