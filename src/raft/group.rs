//! One group's member on this node.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use openraft::{
    Config, EmptyNode, Instant, Raft, ReadPolicy, ServerState, SnapshotPolicy,
    async_runtime::watch::WatchReceiver,
    errors::{ClientWriteError, Fatal, ForwardReason, RaftError},
    impls::OneshotResponder,
    metrics::RaftServerMetrics,
    raft::ClientWriteResult,
    type_config::alias::{SnapshotOf, WatchReceiverOf},
    vote::leader_id_std::CommittedLeaderId,
};
use tokio::sync::oneshot;

use super::{
    log_store::LogStore,
    machine::{Machine, stored},
    network::Networks,
    protocol,
    snapshot::{Received, Sending, Spool},
    type_config::{Outcome, Proposal, SnapshotMeta, TypeConfig, log_id, position},
};
use crate::{
    model::id::{GroupId, NodeId, Position},
    rpc::{
        Answer, Peers,
        wire::peer::{self, message::Body},
    },
};

/// Timing of a group.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How often a leader that has nothing to say says so.
    pub heartbeat: Duration,
    /// The shortest time without a leader after which a follower stands for election.
    pub election_min: Duration,
    /// The longest. It is also the leader's lease: followers refuse votes for so long after a heartbeat.
    pub election_max: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(100),
            election_min: Duration::from_millis(400),
            election_max: Duration::from_millis(750),
        }
    }
}

/// How long a proposal waits for a quorum to renew the lease.
const LEASE_PATIENCE: Duration = Duration::from_millis(500);
/// How long a change of members may take before whoever asked for it looks again.
const MEMBERSHIP_PATIENCE: Duration = Duration::from_secs(5);
/// What a proposal costs at least that found no quorum: whoever repeats it does not spin.
const LEASE_PAUSE: Duration = Duration::from_millis(20);

/// How a group begins on this node.
pub struct Start {
    /// The group.
    pub group: GroupId,
    /// The other nodes.
    pub peers: Peers,
    /// Its part of the log.
    pub log_store: LogStore,
    /// What it applies entries to.
    pub machine: Machine,
    /// Its timing.
    pub options: Options,
    /// How long it leaves it to others to stand for election, if it is new.
    pub patience: Duration,
}

/// What a member is to its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Leads it.
    Leader,
    /// Follows a leader, or waits for one.
    Follower,
    /// Stands for election.
    Candidate,
    /// Follows without a vote.
    Learner,
    /// Stopped.
    Stopped,
}

/// What is known of a group here.
#[derive(Clone, Debug)]
pub struct Status {
    /// This member's role.
    pub role: Role,
    /// The newest term it has seen.
    pub term: u64,
    /// The leader it knows.
    pub leader: Option<NodeId>,
    /// The last entry in its log.
    pub last_index: Option<u64>,
    /// The last entry applied.
    pub applied: Option<Position>,
    /// The voters.
    pub voters: BTreeSet<NodeId>,
    /// How far each follower's log matches; leader only.
    pub matched: BTreeMap<NodeId, Option<u64>>,
}

/// Why a proposal was not applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// It was refused before it reached the log: it did not happen, and this node no longer leads in that term.
    #[error("this node no longer leads the group in that term")]
    Refused,
    /// It was refused before it reached the log: it did not happen, for the leader had not heard of a quorum within its
    /// lease. It may lead all the same: a read barrier tells.
    #[error("this node is not certain to lead the group")]
    Uncertain,
    /// It may have happened, or may happen still.
    #[error("leadership was lost while the entry was in flight")]
    Unknown,
}

/// A member of a group. Cheap to clone.
#[derive(Clone)]
pub struct Group {
    id: GroupId,
    raft: Raft<TypeConfig, Machine>,
    asleep: Arc<AtomicBool>,
    lease: Duration,
    /// A member that was here before may have promised a leader, right before it stopped, to vote for nobody else within
    /// the lease. It has forgotten that, so it lets the lease pass.
    votes_from: tokio::time::Instant,
    /// The same for standing; a little later, and not at once with others that stopped with it.
    stands_from: tokio::time::Instant,
}

/// By how much the members of a group stand one after the other that were started at the same time.
fn stagger(node: u64, group: GroupId, options: Options) -> Duration {
    let spread = options.election_max.saturating_sub(options.election_min).max(Duration::from_millis(1));
    let place =
        node.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(group.0.wrapping_mul(0xD1B5_4A32_D192_ED03));
    spread.mul_f64((place >> 40) as f64 / (1u64 << 24) as f64)
}

/// Watches who leads a group.
pub struct Leadership(WatchReceiverOf<TypeConfig, RaftServerMetrics<TypeConfig>>);

impl Leadership {
    /// Waits for a change of role, term, leader or membership; `false` once the member has stopped.
    pub async fn changed(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }

    /// The term this member leads in.
    pub fn led_term(&self) -> Option<u64> {
        let metrics = self.0.borrow_watched();
        let leads = metrics.state == ServerState::Leader && metrics.vote.committed;
        leads.then_some(metrics.vote.leader_id.term)
    }

    /// The leader it knows.
    pub fn leader(&self) -> Option<NodeId> {
        self.0.borrow_watched().current_leader.map(NodeId)
    }
}

/// A proposal on its way.
pub struct Proposed(oneshot::Receiver<ClientWriteResult<TypeConfig>>);

impl Proposed {
    /// Waits until it is applied: where it is in the log, and its outcome. Can be called again if it was cancelled.
    pub async fn landed(&mut self) -> Result<(Position, Outcome), ProposeError> {
        match (&mut self.0).await {
            Ok(Ok(written)) => Ok((position(&written.log_id), written.data)),
            Ok(Err(ClientWriteError::ForwardToLeader(forward))) => Err(refused_because(forward.reason)),
            Ok(Err(_)) | Err(_) => Err(ProposeError::Unknown),
        }
    }
}

fn refused_because(reason: ForwardReason) -> ProposeError {
    match reason {
        ForwardReason::LeaseExpired => ProposeError::Uncertain,
        _ => ProposeError::Refused,
    }
}

impl Group {
    /// Starts this node's member.
    pub async fn start(start: Start) -> io::Result<Self> {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let options = start.options;
        let catalog = start.group == GroupId::CATALOG;
        let config = Config {
            cluster_name: format!("group {}", start.group),
            heartbeat_interval: millis(options.heartbeat),
            election_timeout_min: millis(options.election_min),
            election_timeout_max: millis(options.election_max),
            replication_lag_threshold: u64::MAX,
            // The catalog is small: it is snapshotted where it stands. Partitions: see the room's door.
            snapshot_policy: if catalog {
                SnapshotPolicy::LogsSinceLast(1000)
            } else {
                SnapshotPolicy::Never
            },
            max_in_snapshot_log_to_keep: if catalog { 1000 } else { 0 },
            purge_batch_size: 1,
            max_payload_entries: 64,
            enable_pre_vote: Some(true),
            // A leader that comes back in its old term would serve before it has applied what it logged in it, and
            // could log something else where its followers hold what it had not synced. It stands for election.
            enable_leader_restore: Some(false),
            enable_elect: false, // `admit`
            ..Config::default()
        };
        let config = Arc::new(config.validate().map_err(io::Error::other)?);
        let node = start.peers.me().node.0;
        let networks = Networks { peers: start.peers, group: start.group };
        let now = tokio::time::Instant::now();
        let (votes_from, stands_from) = if start.log_store.has_voted() {
            let bar = now + options.election_max;
            (bar, bar + stagger(node, start.group, options))
        } else {
            (now, now + start.patience)
        };
        let raft = Raft::new(node, config, networks, start.log_store, start.machine).await;
        let raft = raft.map_err(io::Error::other)?;
        let lease = options.election_max.saturating_sub(options.heartbeat);
        Ok(Self { id: start.group, raft, asleep: Arc::default(), lease, votes_from, stands_from })
    }

    /// Its id.
    pub fn id(&self) -> GroupId {
        self.id
    }

    /// Lets this member stand for election from when it may.
    pub async fn admit(self) {
        tokio::time::sleep_until(self.stands_from).await;
        self.raft.runtime_config().elect(true);
    }

    /// Stands for election at once, if a quorum would vote for it: for a member that is alone, or the first of a group that is
    /// new.
    pub async fn stand(&self) {
        let _ = self.raft.trigger().elect(true).await; // fails only while stopping
    }

    /// Proposes an entry that was evaluated in `term`. When this returns it is queued behind all earlier ones.
    pub async fn propose(&self, term: u64, entry: Bytes) -> Result<Proposed, ProposeError> {
        self.wake();
        // openraft takes no entry from a leader whose lease has run out, as it has in a group that slept. A round with
        // a quorum renews it.
        if !self.holds_lease() {
            let round = self.raft.get_read_linearizer(ReadPolicy::ReadIndex);
            if !matches!(tokio::time::timeout(LEASE_PATIENCE, round).await, Ok(Ok(_))) {
                tokio::time::sleep(LEASE_PAUSE).await;
                return Err(ProposeError::Refused);
            }
        }
        let (responder, proposed) = OneshotResponder::new_pair();
        let leader = CommittedLeaderId::new(term);
        let queued = self.raft.write(Proposal(entry)).with_leader(leader).responder(responder).await;
        queued.map_err(|_| ProposeError::Refused)?;
        Ok(Proposed(proposed))
    }

    /// Proposes an entry that needs no fence, wherever it is logged; waits for its outcome.
    pub async fn command(&self, proposal: Proposal) -> Result<(Position, Outcome), ProposeError> {
        self.wake();
        match self.raft.client_write(proposal).await {
            Ok(written) => Ok((position(&written.log_id), written.data)),
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(forward))) => {
                Err(refused_because(forward.reason))
            }
            Err(_) => Err(ProposeError::Unknown),
        }
    }

    /// The last entry known here to be committed: what any replica shows is not behind it.
    pub fn committed_index(&self) -> Option<u64> {
        let metrics = self.raft.data_metrics();
        let metrics = metrics.borrow_watched();
        let committed = metrics.cluster_committed.as_ref().max(metrics.local_committed.as_ref());
        committed.map(|at| at.index)
    }

    /// Whether a quorum has acknowledged this leader within its lease: then nothing is acknowledged by another one.
    pub fn holds_lease(&self) -> bool {
        let Ok(leader) = self.raft.as_leader() else { return false };
        leader.last_quorum_acked().is_some_and(|acked| acked.elapsed() < self.lease)
    }

    /// Returns once everything acknowledged before the call is applied here and this member was the leader during it;
    /// `false` if that cannot be had.
    pub async fn read_barrier(&self) -> bool {
        self.holds_lease() || self.read_index().await
    }

    /// The same without the lease: asks a quorum, and waits for what other leaders logged, too.
    pub async fn read_index(&self) -> bool {
        self.wake();
        match self.raft.get_read_linearizer(ReadPolicy::ReadIndex).await {
            Ok(linearizer) => linearizer.await_ready(&self.raft).await.is_ok(),
            Err(_) => false,
        }
    }

    /// Watches who leads.
    pub fn leadership(&self) -> Leadership {
        Leadership(self.raft.server_metrics())
    }

    /// What is known of the group.
    pub fn status(&self) -> Status {
        let metrics = self.raft.metrics().borrow_watched().clone();
        let role = match metrics.state {
            ServerState::Leader => Role::Leader,
            ServerState::Follower => Role::Follower,
            ServerState::Candidate => Role::Candidate,
            ServerState::Learner => Role::Learner,
            ServerState::Shutdown => Role::Stopped,
        };
        let matched = metrics.replication.unwrap_or_default();
        Status {
            role: if metrics.running_state.is_ok() { role } else { Role::Stopped },
            term: metrics.current_term,
            leader: metrics.current_leader.map(NodeId),
            last_index: metrics.last_log_index,
            applied: metrics.last_applied.as_ref().map(position),
            voters: metrics.membership_config.voter_ids().map(NodeId).collect(),
            matched: matched
                .iter()
                .map(|(node, at)| (NodeId(*node), at.as_ref().map(|at| at.index)))
                .collect(),
        }
    }

    /// Whether the member has stopped by itself, for an error it cannot go on after; not if it was stopped, as those are
    /// whose table is deleted.
    pub fn failure(&self) -> Option<String> {
        let metrics = self.raft.metrics();
        let running = metrics.borrow_watched().running_state.clone();
        running.err().filter(|fatal| !matches!(fatal, Fatal::Stopped)).map(|fatal| fatal.to_string())
    }

    /// Adds a learner; returns when the membership is committed, or it takes too long: then it may be later.
    pub async fn add_learner(&self, node: NodeId) -> bool {
        self.wake();
        let added = self.raft.add_learner(node.0, EmptyNode {}, false);
        matches!(tokio::time::timeout(MEMBERSHIP_PATIENCE, added).await, Ok(Ok(_)))
    }

    /// Changes the voters, as above; a voter that leaves leaves altogether.
    pub async fn set_voters(&self, voters: &BTreeSet<NodeId>) -> bool {
        self.wake();
        let voters: BTreeSet<u64> = voters.iter().map(|node| node.0).collect();
        let changed = self.raft.change_membership(voters, false);
        matches!(tokio::time::timeout(MEMBERSHIP_PATIENCE, changed).await, Ok(Ok(_)))
    }

    /// Hands leadership to another member, if this one has it.
    pub async fn transfer(&self, to: NodeId) {
        self.wake();
        let _ = self.raft.trigger().transfer_leader(to.0).await; // fails only while stopping
    }

    /// Presents the next snapshot at `floor`, and cuts the log there. The items must be flushed beyond it.
    pub async fn set_floor(&self, floor: Position) -> bool {
        let set = self.raft.with_state_machine(move |machine| {
            Box::pin(async move {
                match machine {
                    Machine::Partition(machine) => machine.set_floor(floor),
                    Machine::Catalog(_) => {}
                }
            })
        });
        set.await.is_ok() && self.raft.trigger().snapshot().await.is_ok()
    }

    /// A consistent view of this replica, to be sent to another.
    pub async fn sending(&self) -> io::Result<Sending> {
        let sending = self.raft.with_state_machine(|machine| Box::pin(async move { machine.sending() }));
        sending.await.map_err(io::Error::other)?
    }

    /// Installs a snapshot that the leader of `vote` offered; gives this member's vote.
    pub async fn install(&self, vote: Option<peer::VoteState>, spool: Spool) -> io::Result<peer::VoteState> {
        let Some(at) = spool.header.at else {
            return Err(io::Error::other("the snapshot is of an empty group"));
        };
        let last_membership = stored(&spool.header.membership);
        let meta = SnapshotMeta { last_log_id: Some(log_id(at)), last_membership };
        let snapshot = SnapshotOf::<TypeConfig, Received> { meta, snapshot: Received::Spool(spool) };
        let installed = self.raft.install_full_snapshot(protocol::vote_in(vote), snapshot).await;
        installed.map(|answer| protocol::vote_out(&answer.vote)).map_err(io::Error::other)
    }

    /// Answers a message of another member. `full`: this node has no room for entries.
    pub fn handle(&self, body: Body, full: bool) -> Answer {
        let raft = self.raft.clone();
        match body {
            Body::Append(append) => {
                if full && !append.entries.is_empty() {
                    return refused("the disk is full");
                }
                let Ok(request) = protocol::append_in(append) else {
                    return refused("an entry does not decode");
                };
                let member = self.clone();
                Answer::Later(Box::pin(async move {
                    let answer = match raft.append_entries(request).await {
                        Ok(answer) => Body::AppendAnswer(protocol::append_answer_out(answer)),
                        Err(error) => refusal(&error),
                    };
                    // Not before: the first tick would find that no leader was heard of for long, and stand for
                    // election against the one that just spoke.
                    member.wake();
                    answer
                }))
            }
            Body::Vote(vote) => {
                if !vote.leadership_transfer && tokio::time::Instant::now() < self.votes_from {
                    return refused(
                        "this member has just started, and lets a lease pass that it may have granted",
                    );
                }
                let pre_vote = vote.pre_vote;
                let request = protocol::request_vote_in(vote);
                let member = self.clone();
                Answer::Later(Box::pin(async move {
                    let answer =
                        if pre_vote { raft.pre_vote(request).await } else { raft.vote(request).await };
                    member.wake();
                    match answer {
                        Ok(answer) => Body::VoteAnswer(protocol::vote_answer_out(&answer)),
                        Err(error) => refusal(&error),
                    }
                }))
            }
            Body::Transfer(transfer) => {
                self.wake();
                let request = protocol::transfer_in(transfer);
                Answer::Later(Box::pin(async move {
                    match raft.handle_transfer_leader(request).await {
                        Ok(answer) => Body::TransferAnswer(protocol::transfer_answer_out(answer)),
                        Err(error) => refusal(&error),
                    }
                }))
            }
            Body::Quiet(quiet) => {
                let status = self.status();
                let level = status.term == quiet.term
                    && status.last_index == Some(quiet.index)
                    && status.applied.is_some_and(|applied| applied.index == quiet.index);
                if level && status.role != Role::Leader {
                    self.sleep();
                }
                Answer::Nothing
            }
            Body::Hello(_)
            | Body::Ping(_)
            | Body::AppendAnswer(_)
            | Body::VoteAnswer(_)
            | Body::TransferAnswer(_)
            | Body::Refused(_) => Answer::Nothing,
        }
    }

    /// Stops ticking: no heartbeats, no elections, until woken.
    pub fn sleep(&self) {
        if !self.asleep.swap(true, Ordering::Relaxed) {
            self.raft.runtime_config().tick(false);
        }
    }

    /// Ticks again.
    pub fn wake(&self) {
        if self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::Relaxed) {
            self.raft.runtime_config().tick(true);
        }
    }

    /// Whether it does not tick.
    pub fn is_asleep(&self) -> bool {
        self.asleep.load(Ordering::Relaxed)
    }

    /// Stops the member.
    pub async fn stop(&self) {
        if let Err(error) = self.raft.shutdown().await {
            tracing::warn!(group = self.id.0, %error, "a group did not stop cleanly");
        }
    }
}

fn refused(reason: &str) -> Answer {
    Answer::Now(Body::Refused(peer::Refused { reason: reason.to_owned() }))
}

fn refusal(error: &dyn std::fmt::Display) -> Body {
    Body::Refused(peer::Refused { reason: error.to_string() })
}

#[cfg(test)]
#[path = "group_test.rs"]
mod tests;
