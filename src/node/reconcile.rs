//! Makes the replicas on this node those the catalog wants here.
//!
//! A replica with a log here runs as soon as the node does: its group may need it to elect a leader. One without a log
//! waits until the catalog has been up to date since the start. For the catalog a node finds on its disk may be older
//! than what the node did: it may still want the replicas of a table that was deleted and whose logs are gone, and nodes
//! that believed it would found the group a second time, empty, from its first term on.
//!
//! A group is founded by each of its founders for itself: all write the same first entry, which says who they are, before
//! they take part. None does so by vote alone: a group whose members had voted, and had no entry, would never get one.

use std::{io, sync::PoisonError, time::Duration};

use super::{
    Node,
    replica::{Context, ReplicaLoop},
};
use crate::{
    catalog::{Catalog, Partition},
    log::Log,
    model::id::GroupId,
    partition,
    raft::{Group, LogStore, Machine, Options, PartitionMachine, Start},
};

/// How long the replicas of a new group that should not lead it leave it to the one that should to stand for election.
const PATIENCE: Duration = Duration::from_secs(3);
/// When it is tried again to begin a replica that the disk had no room for.
const RETRY: Duration = Duration::from_millis(500);

/// Follows the catalog.
pub(super) async fn run(node: Node, options: Options) {
    let mut catalog = node.shared.catalog.clone();
    let mut settled = node.shared.settled.subscribe();
    loop {
        let is_settled = *settled.borrow_and_update();
        let now = catalog.borrow_and_update().clone();
        connect(&node, &now);
        let mut all_begun = true;
        for partition in now.partitions.values() {
            let here = partition.replicas.contains(&node.id());
            let logged = node.shared.log.state(partition.group);
            let may_begin = is_settled || logged.is_some_and(|it| it.last.is_some() || it.floor.is_some());
            if !here || !may_begin || node.replica(partition.group).is_some() {
                continue;
            }
            match begin(&node, &now, partition, options).await {
                Ok(begun) => all_begun &= begun,
                Err(error) => {
                    let reason = format!("replica {} does not start: {error}", partition.group);
                    return node.shared.tasks.fail(reason);
                }
            }
        }
        forget(&node, &now).await;
        tokio::select! {
            changed = catalog.changed() => if changed.is_err() {
                return;
            },
            Ok(()) = settled.changed() => {}
            () = tokio::time::sleep(RETRY), if !all_begun => {}
        }
    }
}

/// Knows where every node is.
pub(super) fn connect(node: &Node, catalog: &Catalog) {
    for member in catalog.nodes.values() {
        if let Some(connection) = node.shared.peers.set_address(member.id, &member.address) {
            node.shared.tasks.spawn("connection", connection);
        }
    }
}

/// Starts a replica. `false`: the disk has no room for it now.
async fn begin(node: &Node, catalog: &Catalog, partition: &Partition, options: Options) -> io::Result<bool> {
    let shared = &node.shared;
    let group = partition.group;
    let (log_store, durable) = LogStore::new(shared.log.clone(), group);
    let founders: Vec<_> = partition.replicas.iter().copied().take(partition.founders).collect();
    if founders.contains(&node.id())
        && log_store.is_empty()
        && let Err(error) = log_store.found(&founders).await
    {
        tracing::warn!(group = group.0, %error, "a replica begins later");
        return Ok(false);
    }
    let is_first = founders.first() == Some(&node.id()) && !log_store.has_voted();
    let place = (partition.table, partition.range);
    let opened = PartitionMachine::open(group, place, shared.items.clone(), shared.log.clone(), durable);
    let (mut machine, published) = opened?;
    if machine.is_lost() {
        rebuild(node, partition, &mut machine).await?;
    }
    let start = Start {
        group,
        peers: shared.peers.clone(),
        log_store,
        machine: Machine::Partition(machine),
        options,
        patience: if is_first { Duration::ZERO } else { PATIENCE },
    };
    let member = Group::start(start).await?;
    shared.tasks.spawn("admit", member.clone().admit());
    if is_first || member.status().voters.iter().eq([&node.id()]) {
        member.stand().await;
    }
    let context = Context {
        node: node.id(),
        environment: shared.environment.clone(),
        items: shared.items.clone(),
        log: shared.log.clone(),
        catalog: shared.catalog.clone(),
        reporter: shared.reporter.clone(),
        metrics: shared.metrics.clone(),
    };
    let (replica_loop, replica) = ReplicaLoop::new(context, place, member, published);
    let name = catalog.tables.get(&partition.table).map(|table| table.name.as_str());
    tracing::info!(group = group.0, table = name, "replica started");
    shared.replicas.write().unwrap_or_else(PoisonError::into_inner).insert(group, replica.into());
    shared.tasks.spawn("replica", replica_loop.run());
    Ok(true)
}

/// Gets the items of a replica whose store was lost from another one, before it takes part again.
async fn rebuild(node: &Node, partition: &Partition, machine: &mut PartitionMachine) -> io::Result<()> {
    let others: Vec<_> = partition.replicas.iter().copied().filter(|other| *other != node.id()).collect();
    if others.is_empty() {
        return Err(io::Error::other("its items are lost, and there is no other replica to get them from"));
    }
    tracing::warn!(group = partition.group.0, "the items are lost: they are rebuilt from another replica");
    loop {
        for other in &others {
            match node.pull_snapshot(partition.group, *other).await {
                Ok(spool) => return machine.rebuild(&spool),
                Err(error) => tracing::debug!(%error, "no snapshot yet"),
            }
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Stops and deletes replicas of groups that are gone.
async fn forget(node: &Node, catalog: &Catalog) {
    let shared = &node.shared;
    let is_gone = |group: GroupId| {
        group != GroupId::CATALOG && group.0 <= catalog.last_group && !catalog.partitions.contains_key(&group)
    };
    let running: Vec<_> = node.replicas().into_iter().filter(|replica| is_gone(replica.group.id())).collect();
    for replica in running {
        let group = replica.group.id();
        shared.replicas.write().unwrap_or_else(PoisonError::into_inner).remove(&group);
        replica.stop.send_replace(true);
        replica.group.stop().await;
        // What it was applying when it stopped would bring back a part of what is removed now.
        replica.ended().await;
        tracing::info!(group = group.0, "replica removed");
        let (from, to) = partition::table_range(replica.table, replica.range);
        remove_items(node, group, &from, to.as_deref());
    }
    let gone: Vec<GroupId> = shared.log.groups().into_iter().filter(|group| is_gone(*group)).collect();
    if gone.is_empty() {
        return;
    }
    for group in &gone {
        if matches!(shared.items.state(*group), Ok(Some(_))) {
            remove_items(node, *group, &[], Some(&[])); // where its items were is forgotten: they stay behind
        }
    }
    // Items whose log is gone look like those of a node that forgot how it voted: first the items, for good.
    let items = shared.items.clone();
    match shared.environment.blocking(move || items.flush()).await {
        Ok(Ok(())) => gone.into_iter().for_each(|group| remove_log(&shared.log, group)),
        Ok(Err(error)) => tracing::warn!(%error, "logs of removed replicas are kept for now"),
        Err(error) => tracing::warn!(%error, "logs of removed replicas are kept for now"),
    }
}

fn remove_items(node: &Node, group: GroupId, from: &[u8], to: Option<&[u8]>) {
    if let Err(error) = node.shared.items.remove(group, from, to) {
        tracing::warn!(group = group.0, %error, "items of a removed replica stay behind");
    }
}

fn remove_log(log: &Log, group: GroupId) {
    let told = move |result: Result<(), crate::log::Error>| {
        if let Err(error) = result {
            tracing::warn!(group = group.0, %error, "the log of a removed replica stays behind");
        }
    };
    log.remove(group, Box::new(told));
}
