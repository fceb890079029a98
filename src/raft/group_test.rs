//! When a member is said to have failed.

use super::*;
use crate::{
    log::{self, Log, MemoryFiles, Writing},
    model::{HashRange, id::TableId},
    raft::machine::PartitionMachine,
    rpc::{Self_, TcpConnector},
    storage::MemoryItems,
};

const ME: NodeId = NodeId(1);
const PATIENCE: Duration = Duration::from_secs(10);

/// The only member of a group.
async fn alone(disk: &MemoryFiles) -> Group {
    let group = GroupId(7);
    let options =
        log::Options { segment_bytes: 1 << 20, writing: Writing::Inline, ..log::Options::default() };
    let log = Log::open(Arc::new(disk.clone()), "log", options).expect("a log");
    let (log_store, durable) = LogStore::new(log.clone(), group);
    log_store.found(&[ME]).await.expect("founded");
    let place = (TableId(1), HashRange::FULL);
    let items = MemoryItems::new().items();
    let (machine, _) = PartitionMachine::open(group, place, items, log, durable).expect("a machine");
    let me = Self_ { cluster_id: String::new(), node: ME, address: String::new() };
    let start = Start {
        group,
        peers: Peers::new(me, Arc::new(TcpConnector), Arc::new(|| 0), Duration::from_secs(1)),
        log_store,
        machine: Machine::Partition(machine),
        options: Options::default(),
        patience: Duration::ZERO,
    };
    Group::start(start).await.expect("a member")
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let looks = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(1)).await; // until it is so
        }
    };
    tokio::time::timeout(PATIENCE, looks).await.unwrap_or_else(|_| panic!("{what}"));
}

#[tokio::test]
async fn one_that_was_stopped_has_not_failed() {
    let member = alone(&MemoryFiles::new()).await;
    member.stand().await;
    until("it leads", || member.status().role == Role::Leader).await;
    member.stop().await;
    until("it has stopped", || member.status().role == Role::Stopped).await;
    assert_eq!(member.failure(), None);
}

#[tokio::test]
async fn one_that_cannot_write_has_failed() {
    let disk = MemoryFiles::new();
    let member = alone(&disk).await;
    disk.fail_sync(disk.syncs());
    member.stand().await;
    until("it has failed", || member.failure().is_some()).await;
}
