//! What a node looks after, again and again: groups that may sleep or must wake, memberships, leaderships where they
//! belong, and, where the catalog is led, the cluster.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::time::Instant;

use super::{Node, replica::Replica};
use crate::{
    catalog::{Catalog, Command, Replication},
    model::id::{GroupId, NodeId},
    raft::{self, Role, Status},
    rpc::wire::peer::{Quiet, message::Body},
};

/// A group without a new entry for so long may sleep.
const IDLE: Duration = Duration::from_secs(3);
/// A leadership that is elsewhere than it should be for so long is handed over.
const MISPLACED: Duration = Duration::from_secs(5);
/// Voters of the catalog at most; further nodes are learners.
const CATALOG_VOTERS_MAX: usize = 5;

/// What is remembered of a group between two looks.
struct Seen {
    last_index: Option<u64>,
    since: Instant,
    led_since: Instant,
    led: bool,
}

/// Looks after things until the node stops, every few heartbeats.
pub(super) async fn run(node: Node, timing: raft::Options) {
    let mut seen: BTreeMap<GroupId, Seen> = BTreeMap::new();
    let mut liveness = node.shared.peers.liveness();
    let mut ticks = tokio::time::interval(timing.heartbeat * 5 / 2);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut rounds = 0_u64;
    let mut alive = BTreeSet::new();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            changed = liveness.changed() => if changed.is_err() { return },
        }
        rounds += 1;
        wake_orphans(&node);
        wake_for_returned(&node, &mut alive);
        for replica in node.replicas() {
            if !replica.group.is_asleep() {
                look_after(&node, &replica, &mut seen).await;
            }
        }
        if rounds.is_multiple_of(4) {
            if let Some(failure) = node.replicas().iter().find_map(|replica| replica.group.failure()) {
                return node.shared.tasks.fail(failure);
            }
            if let Some(failure) = node.shared.catalog_group.failure() {
                return node.shared.tasks.fail(failure);
            }
            lead_cluster(&node).await;
        }
    }
}

/// Wakes the groups that sleep though their leader is dead.
fn wake_orphans(node: &Node) {
    for replica in node.replicas() {
        if replica.group.is_asleep() {
            let leader = replica.leader();
            if leader.is_none_or(|leader| !node.shared.peers.is_alive(leader)) {
                replica.group.wake();
            }
        }
    }
}

/// Wakes the groups led here that have a replica on a node that has come back: it does not know of them, and would stand
/// for election in each.
fn wake_for_returned(node: &Node, alive: &mut BTreeSet<NodeId>) {
    let catalog = node.catalog();
    let now: BTreeSet<NodeId> =
        catalog.nodes.keys().copied().filter(|other| node.shared.peers.is_alive(*other)).collect();
    let returned: BTreeSet<NodeId> = now.difference(alive).copied().collect();
    *alive = now;
    if returned.is_empty() {
        return;
    }
    for replica in node.replicas() {
        let partition = catalog.partitions.get(&replica.group.id());
        let concerned = partition.is_some_and(|it| it.replicas.iter().any(|other| returned.contains(other)));
        if concerned && replica.serves() {
            replica.group.wake();
        }
    }
}

async fn look_after(node: &Node, replica: &Replica, seen: &mut BTreeMap<GroupId, Seen>) {
    let group = replica.group.id();
    let status = replica.group.status();
    let now = Instant::now();
    let leads = status.role == Role::Leader;
    let entry =
        seen.entry(group).or_insert(Seen { last_index: None, since: now, led_since: now, led: false });
    if entry.last_index != status.last_index {
        (entry.last_index, entry.since) = (status.last_index, now);
    }
    if entry.led != leads {
        (entry.led, entry.led_since) = (leads, now);
    }
    if !leads {
        return;
    }
    let (idle, led) = (now - entry.since, now - entry.led_since);
    let catalog = node.catalog();
    let Some(partition) = catalog.partitions.get(&group) else { return };
    let wanted: BTreeSet<NodeId> = partition.replicas.iter().copied().collect();
    if status.voters != wanted {
        return change_members(node, replica, &status, &wanted).await;
    }
    let level = |node: &NodeId| status.matched.get(node).copied().flatten() == status.last_index;
    let preferred = partition.replicas.first().copied().filter(|preferred| *preferred != node.id());
    if let Some(preferred) = preferred
        && led > MISPLACED
        && node.shared.peers.is_alive(preferred)
        && status.matched.get(&preferred).copied().flatten()
            >= replica.published.borrow().applied.map(|at| at.index)
    {
        entry.led_since = now;
        tracing::info!(group = group.0, to = preferred.0, "leadership is handed to where it belongs");
        return replica.group.transfer(preferred).await;
    }
    let applied = status.applied.map(|applied| applied.index) == status.last_index;
    let settled =
        partition.leader.is_some() && preferred.is_none_or(|node_id| !node.shared.peers.is_alive(node_id));
    if idle > IDLE && applied && settled && wanted.iter().filter(|other| **other != node.id()).all(level) {
        sleep(node, replica, &status, &wanted);
    }
}

/// Lets a group sleep: tells the followers where everything ends, then stops ticking.
fn sleep(node: &Node, replica: &Replica, status: &Status, members: &BTreeSet<NodeId>) {
    let Some(index) = status.last_index else { return };
    for member in members.iter().filter(|member| **member != node.id()) {
        let quiet = Body::Quiet(Quiet { term: status.term, index });
        node.shared.peers.notify(*member, replica.group.id(), quiet);
    }
    replica.group.sleep();
}

/// Brings the members of a group closer to those the catalog wants: a new one learns first, then all vote.
async fn change_members(node: &Node, replica: &Replica, status: &Status, wanted: &BTreeSet<NodeId>) {
    let missing: Vec<_> = wanted.difference(&status.voters).copied().collect();
    for member in &missing {
        if !node.shared.peers.is_alive(*member) {
            return;
        }
        match status.matched.get(member) {
            None => {
                tracing::info!(group = replica.group.id().0, node = member.0, "a replica is added");
                replica.group.add_learner(*member).await;
                return;
            }
            Some(matched) => {
                // It votes once it is close enough not to hold up commits.
                let behind = status.last_index.unwrap_or(0).saturating_sub(matched.unwrap_or(0));
                if matched.is_none() || behind > 16 {
                    return;
                }
            }
        }
    }
    replica.group.set_voters(wanted).await;
}

/// What the leader of the catalog does.
async fn lead_cluster(node: &Node) {
    let group = &node.shared.catalog_group;
    if group.leadership().led_term().is_none() {
        return;
    }
    let status = group.status();
    let catalog = node.catalog();
    for member in catalog.nodes.keys() {
        let known = *member == node.id() || status.matched.contains_key(member);
        if !known && node.shared.peers.is_alive(*member) {
            tracing::info!(node = member.0, "a node learns the catalog");
            group.add_learner(*member).await;
            return;
        }
    }
    let level = |member: &&NodeId| {
        status
            .matched
            .get(member)
            .copied()
            .flatten()
            .is_some_and(|at| at + 4 >= status.last_index.unwrap_or(0))
    };
    if status.voters.len() < CATALOG_VOTERS_MAX {
        let promoted = catalog.nodes.keys().filter(|member| !status.voters.contains(member)).find(level);
        if let Some(promoted) = promoted {
            let mut voters = status.voters.clone();
            voters.insert(*promoted);
            group.set_voters(&voters).await;
            return;
        }
    }
    tidy(node, &catalog).await;
}

/// Commands the state of the catalog calls for by itself.
async fn tidy(node: &Node, catalog: &Catalog) {
    let wanted = Replication::FACTOR.min(catalog.nodes.len());
    let few = |replicas: usize| replicas < wanted;
    let lacking = catalog
        .partitions
        .values()
        .any(|partition| few(partition.replicas.len()) && partition.leader.is_some());
    if lacking && let Err(error) = node.command(Command::Replicate).await {
        tracing::debug!(%error, "replicas are added later");
    }
    let now_ms = node.now_ms();
    let outlived = catalog.tables.values().any(|table| {
        table.streams.iter().any(|stream| {
            stream.ended_ms.is_some_and(|ended_ms| now_ms.saturating_sub(ended_ms) > table.retention_ms)
        })
    });
    if outlived && let Err(error) = node.command(Command::Reap { now_ms }).await {
        tracing::debug!(%error, "old streams are forgotten later");
    }
}
