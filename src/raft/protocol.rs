//! Raft's messages: openraft's types <-> the wire's, both directions side by side.

use openraft::{
    Entry,
    raft::{
        AppendEntriesRequest, AppendEntriesResponse, TransferLeaderError, TransferLeaderRequest,
        TransferLeaderResponse, VoteRequest, VoteResponse,
    },
};

use super::type_config::{LogId, TypeConfig, Vote, decode_entry, encode_entry, log_id, position, vote};
use crate::{
    model::id::Position,
    rpc::wire::peer::{self, append_answer},
};

pub(super) fn vote_out(vote: &Vote) -> peer::VoteState {
    peer::VoteState { term: vote.leader_id.term, node: vote.leader_id.voted_for, committed: vote.committed }
}

pub(super) fn vote_in(state: Option<peer::VoteState>) -> Vote {
    let state = state.unwrap_or_default();
    vote(state.term, state.node, state.committed)
}

fn log_id_out(log_id: &LogId) -> peer::LogPosition {
    let at = position(log_id);
    peer::LogPosition { term: at.term, index: at.index }
}

fn log_id_in(at: peer::LogPosition) -> LogId {
    log_id(Position::new(at.term, at.index))
}

pub(super) fn append_out(request: AppendEntriesRequest<TypeConfig>) -> peer::Append {
    let entry_out = |entry: Entry<_, _>| peer::LogEntry {
        term: position(&entry.log_id).term,
        index: entry.log_id.index,
        payload: encode_entry(&entry.payload),
    };
    peer::Append {
        vote: Some(vote_out(&request.vote)),
        previous: request.prev_log_id.as_ref().map(log_id_out),
        entries: request.entries.into_iter().map(entry_out).collect(),
        committed: request.leader_commit.as_ref().map(log_id_out),
    }
}

pub(super) fn append_in(append: peer::Append) -> std::io::Result<AppendEntriesRequest<TypeConfig>> {
    let entry_in =
        |entry: peer::LogEntry| decode_entry(Position::new(entry.term, entry.index), entry.payload);
    Ok(AppendEntriesRequest {
        vote: vote_in(append.vote),
        prev_log_id: append.previous.map(log_id_in),
        entries: append.entries.into_iter().map(entry_in).collect::<Result<_, _>>()?,
        leader_commit: append.committed.map(log_id_in),
    })
}

pub(super) fn append_answer_out(answer: AppendEntriesResponse<TypeConfig>) -> peer::AppendAnswer {
    let result = match answer {
        AppendEntriesResponse::Success => append_answer::Result::Success(true),
        AppendEntriesResponse::Conflict => append_answer::Result::Conflict(true),
        AppendEntriesResponse::HigherVote(vote) => append_answer::Result::HigherVote(vote_out(&vote)),
        AppendEntriesResponse::PartialSuccess(Some(last)) => {
            append_answer::Result::Partial(log_id_out(&last))
        }
        // Nothing of the request is durable: as if there had been no such entries.
        AppendEntriesResponse::PartialSuccess(None) => append_answer::Result::Conflict(true),
    };
    peer::AppendAnswer { result: Some(result) }
}

pub(super) fn append_answer_in(answer: peer::AppendAnswer) -> Option<AppendEntriesResponse<TypeConfig>> {
    Some(match answer.result? {
        append_answer::Result::Success(_) => AppendEntriesResponse::Success,
        append_answer::Result::Conflict(_) => AppendEntriesResponse::Conflict,
        append_answer::Result::HigherVote(vote) => AppendEntriesResponse::HigherVote(vote_in(Some(vote))),
        append_answer::Result::Partial(last) => AppendEntriesResponse::PartialSuccess(Some(log_id_in(last))),
    })
}

pub(super) fn request_vote_out(request: VoteRequest<TypeConfig>, pre_vote: bool) -> peer::Vote {
    peer::Vote {
        vote: Some(vote_out(&request.vote)),
        last: request.last_log_id.as_ref().map(log_id_out),
        pre_vote,
        leadership_transfer: request.leadership_transfer,
    }
}

pub(super) fn request_vote_in(request: peer::Vote) -> VoteRequest<TypeConfig> {
    VoteRequest {
        vote: vote_in(request.vote),
        last_log_id: request.last.map(log_id_in),
        leadership_transfer: request.leadership_transfer,
    }
}

pub(super) fn vote_answer_out(answer: &VoteResponse<TypeConfig>) -> peer::VoteAnswer {
    peer::VoteAnswer {
        vote: Some(vote_out(&answer.vote)),
        granted: answer.vote_granted,
        last: answer.last_log_id.as_ref().map(log_id_out),
    }
}

pub(super) fn vote_answer_in(answer: peer::VoteAnswer) -> VoteResponse<TypeConfig> {
    VoteResponse::new(vote_in(answer.vote), answer.last.map(log_id_in), answer.granted)
}

pub(super) fn transfer_out(request: &TransferLeaderRequest<TypeConfig>) -> peer::Transfer {
    peer::Transfer {
        from: Some(vote_out(request.from_leader())),
        to: *request.to_node_id(),
        last: request.last_log_id().map(log_id_out),
    }
}

pub(super) fn transfer_in(request: peer::Transfer) -> TransferLeaderRequest<TypeConfig> {
    TransferLeaderRequest::new(vote_in(request.from), request.to, request.last.map(log_id_in))
}

pub(super) fn transfer_answer_out(answer: TransferLeaderResponse<TypeConfig>) -> peer::TransferAnswer {
    match answer {
        Ok(()) => peer::TransferAnswer { accepted: true, ..Default::default() },
        Err(TransferLeaderError::VoteChanged { actual, .. }) => {
            peer::TransferAnswer { vote: Some(vote_out(&actual)), ..Default::default() }
        }
        Err(TransferLeaderError::LogNotFlushed { actual, .. }) => {
            peer::TransferAnswer { last: actual.as_ref().map(log_id_out), ..Default::default() }
        }
    }
}

pub(super) fn transfer_answer_in(
    request: &TransferLeaderRequest<TypeConfig>,
    answer: peer::TransferAnswer,
) -> TransferLeaderResponse<TypeConfig> {
    if answer.accepted {
        return Ok(());
    }
    Err(match answer.vote {
        Some(actual) => TransferLeaderError::VoteChanged {
            expected: *request.from_leader(),
            actual: vote_in(Some(actual)),
        },
        None => TransferLeaderError::LogNotFlushed {
            expected: request.last_log_id().copied(),
            actual: answer.last.map(log_id_in),
        },
    })
}
