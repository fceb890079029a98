//! openraft's type parameters, and log entries as bytes. Generics stop here.
//!
//! Byte 0 of a stored entry: 0x00 Raft's blank entry, 0xff a membership (postcard of [`Members`]), anything else the
//! first byte of a proposal, which is stored as it is.

use std::{collections::BTreeSet, fmt, io};

use bytes::Bytes;
use openraft::{
    EmptyNode, EntryPayload, Membership, OptionalSend, RaftTypeConfig, impls::OneshotResponder,
    vote::leader_id_std,
};
use serde::{Deserialize, Serialize};

use crate::{catalog, model::id::Position};

/// The types of all our groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TypeConfig;

impl RaftTypeConfig for TypeConfig {
    type AsyncRuntime = openraft_rt_tokio::TokioRuntime;
    type Batch<T>
        = openraft::impls::InlineBatch<T>
    where
        T: OptionalSend + 'static;
    type D = Proposal;
    type Entry = openraft::Entry<leader_id_std::CommittedLeaderId<u64>, Self::Payload>;
    type ErrorSource = openraft::impls::BoxedErrorSource;
    type LeaderId = leader_id_std::LeaderId<u64, u64>;
    type Node = EmptyNode;
    type NodeId = u64;
    type Payload = EntryPayload<Proposal, u64, EmptyNode>;
    type R = Outcome;
    type Responder<T>
        = OneshotResponder<Self, T>
    where
        T: OptionalSend + 'static;
    type Term = u64;
    type Vote = openraft::Vote<Self::LeaderId>;
}

pub(super) type LogId = openraft::type_config::alias::LogIdOf<TypeConfig>;
pub(super) type Entry = openraft::type_config::alias::EntryOf<TypeConfig>;
pub(super) type Vote = openraft::type_config::alias::VoteOf<TypeConfig>;
pub(super) type StoredMembership = openraft::type_config::alias::StoredMembershipOf<TypeConfig>;
pub(super) type SnapshotMeta = openraft::type_config::alias::SnapshotMetaOf<TypeConfig>;

/// What is proposed: an encoded entry of the group's own kind. Its first byte is neither 0x00 nor 0xff.
#[derive(Clone, PartialEq, Eq)]
pub struct Proposal(pub Bytes);

impl fmt::Debug for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proposal({} bytes)", self.0.len())
    }
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What applying a proposal came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is applied.
    Applied,
    /// The catalog's answer.
    Catalog(catalog::Outcome),
}

const BLANK: u8 = 0x00;
const MEMBERSHIP: u8 = 0xff;

/// A membership as stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Members {
    pub configs: Vec<BTreeSet<u64>>,
    pub nodes: BTreeSet<u64>,
}

impl Members {
    pub fn of(membership: &Membership<u64, EmptyNode>) -> Self {
        let configs = membership.get_joint_config().clone();
        Self { configs, nodes: membership.nodes().map(|(node, _)| *node).collect() }
    }

    pub fn membership(&self) -> Membership<u64, EmptyNode> {
        let nodes: std::collections::BTreeMap<u64, EmptyNode> =
            self.nodes.iter().map(|node| (*node, EmptyNode {})).collect();
        Membership::new(self.configs.clone(), nodes)
            .expect("a stored membership was valid when it was proposed")
    }
}

pub(super) fn log_id(position: Position) -> LogId {
    LogId::new(leader_id_std::CommittedLeaderId::new(position.term), position.index)
}

pub(super) fn position(log_id: &LogId) -> Position {
    Position::new(log_id.committed_leader_id().term, log_id.index)
}

/// The bytes an entry is stored as.
pub fn encode_entry(payload: &EntryPayload<Proposal, u64, EmptyNode>) -> Bytes {
    match payload {
        EntryPayload::Blank => Bytes::from_static(&[BLANK]),
        EntryPayload::Normal(Proposal(bytes)) => bytes.clone(),
        EntryPayload::Membership(membership) => {
            let mut bytes = vec![MEMBERSHIP];
            let members = postcard::to_allocvec(&Members::of(membership));
            bytes.extend(members.expect("sets of numbers serialize"));
            bytes.into()
        }
    }
}

/// The entry stored as these bytes.
pub fn decode_entry(
    at: Position,
    bytes: Bytes,
) -> io::Result<openraft::type_config::alias::EntryOf<TypeConfig>> {
    let payload = match bytes.first() {
        Some(&BLANK) => EntryPayload::Blank,
        Some(&MEMBERSHIP) => {
            let members: Members = postcard::from_bytes(&bytes[1..])
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            EntryPayload::Membership(members.membership())
        }
        Some(_) => EntryPayload::Normal(Proposal(bytes)),
        None => return Err(io::Error::new(io::ErrorKind::InvalidData, format!("entry {at} is empty"))),
    };
    Ok(Entry { log_id: log_id(at), payload })
}

/// A vote as stored: term, node, committed.
pub(super) fn encode_vote(vote: &Vote) -> Bytes {
    let parts = (vote.leader_id.term, vote.leader_id.voted_for, vote.committed);
    postcard::to_allocvec(&parts).expect("numbers serialize").into()
}

pub(super) fn decode_vote(bytes: &[u8]) -> io::Result<Vote> {
    let (term, node, committed): (u64, u64, bool) =
        postcard::from_bytes(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok(vote(term, node, committed))
}

pub(super) fn vote(term: u64, node: u64, committed: bool) -> Vote {
    if committed { Vote::new_committed(term, node) } else { Vote::new(term, node) }
}
