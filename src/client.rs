//! The Rust client: knows which node leads each partition, goes there, and repeats only what is safe to repeat.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use watertable::client::{Client, Options, WriteOptions};
//! use watertable::model::{AttributeName, AttributeValue, Item, TableName};
//!
//! let client = Client::connect(vec!["http://127.0.0.1:8000".into()], Options::default())?;
//! let item: Item = [(AttributeName::parse("iata")?, AttributeValue::S("TXL".into()))].into_iter().collect();
//! client.put_item(&TableName::parse("airports")?, &item, WriteOptions::default()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! What it promises:
//! - **Nothing happens twice.** A call is repeated only where it is known not to have happened (`retry`), or where it
//!   reads. A write whose answer was lost is `Error::Unknown`, and the caller decides.
//! - **The partition map is a hint, never an authority** (`map`). A wrong hint costs one hop: every node forwards. A
//!   key that cannot be computed here goes to any node, and the cluster's answer stands.
//! - **Expressions are the cluster's to read** (`expression`). Here they are text with placeholders, put together and
//!   sent; a query whose partition key does not show goes to any node.
//! - **Every call ends.** A call has one deadline for all its attempts, which the node is told; waiting for a table has
//!   the caller's patience. Only a subscription has no end, and keep-alive finds out when its node is gone.
//! - **A subscription misses nothing.** It goes on behind the last record handed out; a consumption, acknowledged.
//!
//! Costs: the map is asked for again after `MAP_LIFE`, by one call, and at once when a leader does not answer. A node that
//! accepts no connections is left out for a while (`pool`). A request is encoded once for all attempts, or many calls.
//!
//! Deliberately absent: TLS, credentials, splitting of large batches, caches of items.
//!
//! Decision: calls travel as encoded bytes through one function (`call`), typed only at the edges: one retry loop.

mod call;
mod consumers;
mod error;
mod expression;
mod items;
mod keys;
mod map;
mod method;
mod pool;
mod prepared;
mod query;
mod record;
mod reopening;
mod requests;
mod retry;
mod streams;
mod subscribe;
mod table;
mod tables;
mod triggers;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, RwLock};
use std::time::Duration;

pub use consumers::{
    Consumed, ConsumedBatch, Consumer, ConsumerMember, ConsumerPhase, ConsumerShard, ConsumerStart,
    Consumption, OpenConsumer,
};
pub use error::{Answer, Error, Kind};
pub use expression::Expression;
pub use items::{BatchGet, BatchWrite, Got, ReadOptions, WriteOptions, Written};
pub use keys::AccessKey;
pub use method::Method;
pub use prepared::Prepared;
pub use query::{Page, Query, Scan};
pub use record::{Record, SequenceNumber};
pub use streams::{RecordsPage, Shard, Start, Stream, StreamName};
pub use subscribe::{Delivery, Subscription};
pub use table::{NewTable, Partition, Table};
pub use triggers::*;

pub use crate::rpc::wire::v1::{
    ConsumedCapacity, EventName, GetClusterStatusResponse as ClusterStatus, ReturnConsumedCapacity,
    ReturnValues, Select, StreamStatus, StreamViewType, TableStatus,
};

use crate::model::TableName;
use crate::rpc::{Connector, TcpConnector};
use map::PartitionMap;
use pool::{Node, Pool};

/// How a client behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// HTTP/2 connections to each node. One carries some ten thousand small calls a second.
    pub channels_per_node: usize,
    /// The longest a call may take, with all its attempts.
    pub deadline: Duration,
    /// The longest a connection may take to come about.
    pub connect_timeout: Duration,
    /// Seed of the jitter between attempts; `None`: from the operating system.
    pub seed: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            channels_per_node: 1,
            deadline: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(1),
            seed: None,
        }
    }
}

/// A connection to a cluster. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    options: Options,
    pool: Pool,
    maps: RwLock<BTreeMap<TableName, Arc<PartitionMap<Arc<Node>>>>>,
    /// Held by whoever asks for a map, so that one does when all notice that it is needed.
    refresh: tokio::sync::Mutex<()>,
    jitter: AtomicU64,
}

impl Client {
    /// A client of the cluster that has these nodes, "http://host:port" or "host:port"; one is enough, others are
    /// found. Connects when it is first used; must be called within a tokio runtime. Errors: `Invalid`.
    pub fn connect(endpoints: Vec<String>, options: Options) -> Result<Self, Error> {
        Self::connect_over(Arc::new(TcpConnector), endpoints, options)
    }

    /// The same over another network than TCP.
    pub fn connect_over(
        connector: Arc<dyn Connector>,
        endpoints: Vec<String>,
        options: Options,
    ) -> Result<Self, Error> {
        let pool = Pool::new(&endpoints, &options, connector)?;
        let jitter = AtomicU64::new(options.seed.unwrap_or_else(retry::entropy));
        let maps = RwLock::default();
        Ok(Self {
            shared: Arc::new(Shared { options, pool, maps, refresh: tokio::sync::Mutex::new(()), jitter }),
        })
    }

    /// The addresses of the nodes it knows, those given first.
    pub fn addresses(&self) -> Vec<String> {
        self.shared.pool.addresses()
    }
}
