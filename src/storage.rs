//! Items on disk: a cache of the log, with ordered reads, atomic batches and consistent views. Sync code: it
//! blocks, starts no threads but those that write tables, and knows nothing of Raft or of what an item is.
//!
//! # What holds
//! - *A batch is whole.* Items and the group's state are stored in one atomic write; no reader, and no crash,
//!   ever shows a part of it. So the state (which says how far the log is applied) never disagrees with the items.
//! - *Commit does not sync, flush does.* After a crash the store is a prefix of the commits that contains
//!   everything flushed; the log replays the rest, for images are idempotent. Hence the rule of those above:
//!   flush before trim. A store that is quarantined, or whose file rotted, may be older than that: a group whose
//!   state is missing or lies below its log's floor must be imported.
//! - *A view is a moment.* It sees items and states of all groups as of one point between two commits. It must
//!   not live for long: fjall cannot drop what it sees, sled notes what is overwritten and gives a view up
//!   (`Error::ViewExpired`) when that passes 256 MiB.
//! - *An import is invisible until complete*, and so is a removal: `Items::import_begin` says exactly what a
//!   crash leaves. The mark that makes it so is in `keys`, the hiding in `store`.
//! - *Nothing is silently emptied.* A damaged item store is renamed, logged and reported (`Opened`), then an
//!   empty one is opened. A store that is locked, or was written by another engine, is refused. The catalog's
//!   store is always refused.
//! - *One process.* The directory is locked, by us, for both engines alike.
//!
//! # The parts
//! `items` is what others see; `store` implements it once, on `disk`, the closed set of engines: `fjall` (with `recent`
//! before it), `sled` (whose views are made by `undo`) and `memory` (for simulation: no threads, deterministic, forgets
//! what was not flushed when told to `crash`). `keys` is the layout, `open` the directory, `catalog` the control
//! plane's own small store. `contract` and `store_test` hold all engines to the same behaviour.
//!
//! # The engine: fjall
//! Measured (2 cores shared with other work, 1 KiB incompressible values, batches of 32, one writer;
//! `tests/bench/items.rs`):
//!
//! |                                   | fjall          | sled           | memory    |
//! |-----------------------------------|----------------|----------------|-----------|
//! | 50 MiB, cache 128 MiB: overwrites | 890-980 k/s    | 98-116 k/s     | 0.5-1 M/s |
//! | gets                              | 450-490 k/s    | 800-960 k/s    | 1.8-2.4 M/s |
//! | pages of 20                       | 28 k/s         | 57-60 k/s      | > 800 k/s |
//! | 400 MiB, cache 32 MiB: overwrites | 340-680 k/s    | 22-39 k/s      |           |
//! | gets                              | 180-195 k/s    | 48-62 k/s      |           |
//! | pages of 20                       | 20-21 k/s      | 10-16 k/s      |           |
//!
//! fjall is the default: it writes an order of magnitude faster, takes half the disk, keeps its speed when the data
//! outgrow the cache, and has views that need no help from us. The log makes commits durable, so fjall's journal and
//! its memtable are not used: what was committed collects in our own memory and becomes tables (`recent`, `fjall`).
//! With them, three nodes on two cores took 15-17 k writes/s of 64 clients at 0.08 CPU-seconds of the servers per
//! 1,000; without, 21-22 k at 0.058. The price: up to 128 MiB of memory while much is written, twice sled's cost of a
//! get or a page from memory, and after a crash the log replays what was in memory. Larger or smaller blocks, hash
//! indexes and no compression made no difference worth a line. sled stays for the catalog (small, read-mostly, one
//! file) and for those who read far more than they write.
//!
//! Deliberately absent: secondary indexes, expiry, counters of items, a keyspace for each table or group (its
//! write buffers would cost memory by the thousand, and a split would move data).

mod catalog;
mod disk;
mod error;
mod fjall;
mod hidden;
mod items;
mod keys;
mod memory;
mod open;
mod recent;
mod sled;
mod store;
mod undo;

#[cfg(test)]
mod contract;
#[cfg(test)]
mod store_test;

pub use catalog::CatalogStore;
pub use error::{Damage, Error};
pub use items::{Items, ItemsView};
pub use memory::MemoryItems;
pub use open::{Engine, Opened, UnknownEngine, condemn, open};
