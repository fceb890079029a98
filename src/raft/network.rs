//! openraft's network over `rpc`.

use std::{future::Future, time::Duration};

use futures::{FutureExt, Stream, StreamExt, stream};
use openraft::{
    AnyError, EmptyNode, OptionalSend, RaftNetworkFactory, RaftNetworkV2,
    base::{BoxFuture, BoxStream},
    errors::{RPCError, ReplicationClosed, StreamingError, Unreachable},
    network::RPCOption,
    raft::{
        AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult,
        TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
    },
};

use super::{
    protocol,
    snapshot::Received,
    type_config::{TypeConfig, Vote},
};
use crate::{
    model::id::{GroupId, NodeId},
    rpc::{
        Error, Peers,
        wire::peer::{OfferSnapshotRequest, message::Body},
    },
};

/// Append requests on their way to one replica at most.
const PIPELINE: usize = 32;
/// How long a replica may take to pull and install a snapshot.
const SNAPSHOT_DEADLINE: Duration = Duration::from_secs(3600);
/// How long an append may take: longer than a heartbeat, since it waits for the receiver's disk.
const APPEND_DEADLINE: Duration = Duration::from_secs(3);

/// Makes one group's connections.
#[derive(Clone)]
pub struct Networks {
    /// The nodes.
    pub peers: Peers,
    /// The group.
    pub group: GroupId,
}

/// One group's connection to one replica.
pub struct Network {
    peers: Peers,
    group: GroupId,
    target: NodeId,
}

impl RaftNetworkFactory<TypeConfig> for Networks {
    type Network = Network;

    async fn new_client(&mut self, target: u64, _: &EmptyNode) -> Self::Network {
        Network { peers: self.peers.clone(), group: self.group, target: NodeId(target) }
    }
}

impl Network {
    fn request(
        &self,
        body: Body,
        deadline: Duration,
    ) -> impl Future<Output = Result<Body, RPCError<TypeConfig>>> + Send + 'static {
        let asked = self.peers.request(self.target, self.group, body, deadline);
        asked.map(|result| result.map_err(unreachable))
    }

    fn append(
        &self,
        request: AppendEntriesRequest<TypeConfig>,
    ) -> impl Future<Output = Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>>> + Send + 'static
    {
        let asked = self.request(Body::Append(protocol::append_out(request)), APPEND_DEADLINE);
        asked.map(|answer| match answer? {
            Body::AppendAnswer(answer) => protocol::append_answer_in(answer).ok_or_else(unexpected),
            _ => Err(unexpected()),
        })
    }
}

fn unreachable(error: Error) -> RPCError<TypeConfig> {
    RPCError::Unreachable(Unreachable::new(&error))
}

fn unexpected() -> RPCError<TypeConfig> {
    RPCError::Unreachable(Unreachable::new(&AnyError::error("the answer is of another kind")))
}

impl RaftNetworkV2<TypeConfig> for Network {
    type SnapshotData = Received;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<TypeConfig>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.append(request).await
    }

    /// Sends requests as they come, without waiting for answers; ends at the first answer that is not success.
    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        _: RPCOption,
    ) -> BoxFuture<
        's,
        Result<
            BoxStream<'s, Result<StreamAppendResult<TypeConfig>, RPCError<TypeConfig>>>,
            RPCError<TypeConfig>,
        >,
    >
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig>> + OptionalSend + Unpin + 'static,
    {
        let this = &*self;
        let answers = input
            .map(move |request| {
                let previous = request.prev_log_id;
                let last = request.entries.last().map(|entry| entry.log_id).or(previous);
                // Queued here, in order; only the answer is awaited later.
                let asked = this.append(request);
                async move {
                    let answer = asked.await?;
                    let partial = matches!(&answer, AppendEntriesResponse::PartialSuccess(at) if *at != last);
                    Ok((answer.into_stream_result(previous, last), partial))
                }
            })
            .buffered(PIPELINE);
        let until_failure = stream::unfold(Some(Box::pin(answers)), |state| async move {
            let mut answers = state?;
            match answers.next().await? {
                Ok((result, partial)) => {
                    let goes_on = result.is_ok() && !partial;
                    Some((Ok(result), goes_on.then_some(answers)))
                }
                Err(error) => Some((Err(error), None)),
            }
        });
        let until_failure: BoxStream<'s, _> = Box::pin(until_failure);
        Box::pin(std::future::ready(Ok(until_failure)))
    }

    async fn vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        let body = Body::Vote(protocol::request_vote_out(request, false));
        match self.request(body, option.hard_ttl()).await? {
            Body::VoteAnswer(answer) => Ok(protocol::vote_answer_in(answer)),
            _ => Err(unexpected()),
        }
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        let body = Body::Vote(protocol::request_vote_out(request, true));
        match self.request(body, option.hard_ttl()).await? {
            Body::VoteAnswer(answer) => Ok(protocol::vote_answer_in(answer)),
            _ => Err(unexpected()),
        }
    }

    /// Offers a snapshot; the replica pulls it. What openraft hands over is a description without data.
    async fn full_snapshot(
        &mut self,
        vote: Vote,
        _: openraft::type_config::alias::SnapshotOf<TypeConfig, Received>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let offer = OfferSnapshotRequest {
            group: self.group.0,
            vote: Some(protocol::vote_out(&vote)),
            from: self.peers.me().node.0,
        };
        let gone = |error: &dyn std::fmt::Display| {
            StreamingError::Unreachable(Unreachable::new(&AnyError::error(error.to_string())))
        };
        let mut client = self.peers.client(self.target).map_err(|error| gone(&error))?;
        let mut request = tonic::Request::new(offer);
        request.set_timeout(SNAPSHOT_DEADLINE);
        let group = self.group;
        tracing::info!(group = group.0, to = self.target.0, "snapshot offered");
        tokio::select! {
            answer = client.offer_snapshot(request) => {
                let answer = answer.map_err(|status| gone(&status))?.into_inner();
                Ok(SnapshotResponse::new(protocol::vote_in(answer.vote)))
            }
            closed = cancel => Err(StreamingError::Closed(closed)),
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RPCError<TypeConfig>> {
        let body = Body::Transfer(protocol::transfer_out(&request));
        match self.request(body, option.hard_ttl()).await? {
            Body::TransferAnswer(answer) => Ok(protocol::transfer_answer_in(&request, answer)),
            _ => Err(unexpected()),
        }
    }
}
