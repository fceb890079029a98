//! The same operations, asked for by other nodes.

use std::{pin::Pin, time::Duration};

use futures::Stream;
use tonic::{Request, Response, Status, Streaming};

use super::{
    Error, Node,
    operation::{Done, Operation, decode, encode},
};
use crate::{
    catalog::{Command, Outcome},
    model::{id::GroupId, limits::RPC_BYTES_MAX},
    rpc::{
        Answer, answer,
        wire::peer::{
            CallRequest, CallResponse, Frame, JoinRequest, JoinResponse, Member, OfferSnapshotRequest,
            OfferSnapshotResponse, Ping, PullSnapshotRequest, Refused, SnapshotChunk,
            message::Body,
            peer_server::{Peer, PeerServer},
        },
    },
};

/// The service other nodes call.
pub(super) fn service(node: Node) -> PeerServer<PeerService> {
    PeerServer::new(PeerService { node })
        .max_decoding_message_size(4 * RPC_BYTES_MAX)
        .max_encoding_message_size(4 * RPC_BYTES_MAX)
}

pub(super) struct PeerService {
    node: Node,
}

type Frames = Pin<Box<dyn Stream<Item = Result<Frame, Status>> + Send>>;
type Chunks = Pin<Box<dyn Stream<Item = Result<SnapshotChunk, Status>> + Send>>;

impl PeerService {
    /// Answers one message of a stream.
    fn handle(node: &Node, group: u64, body: Body) -> Answer {
        match body {
            Body::Ping(ping) => Answer::Now(Body::Ping(Ping { now_ms: node.now_ms(), echo_ms: ping.now_ms })),
            body => match node.group(GroupId(group)) {
                Some(member) => member.handle(body, node.shared.log.is_full()),
                None => Answer::Now(Body::Refused(Refused { reason: "the group is not here".to_owned() })),
            },
        }
    }
}

#[tonic::async_trait]
impl Peer for PeerService {
    type ExchangeStream = Frames;
    type PullSnapshotStream = Chunks;

    async fn exchange(&self, request: Request<Streaming<Frame>>) -> Result<Response<Frames>, Status> {
        let mut inbound = request.into_inner();
        let first = inbound.message().await?.and_then(|frame| frame.messages.into_iter().next());
        let Some(Body::Hello(hello)) = first.and_then(|message| message.body) else {
            return Err(Status::invalid_argument("a stream begins with a hello"));
        };
        let own = &self.node.shared.identity.cluster_id;
        if hello.cluster_id != *own {
            return Err(Status::failed_precondition(format!(
                "node {} at {} belongs to cluster {}, this one to {own}",
                hello.node, hello.address, hello.cluster_id
            )));
        }
        if hello.to != self.node.id().0 {
            return Err(Status::failed_precondition(format!(
                "this is node {}, and node {} is wanted",
                self.node.id(),
                hello.to
            )));
        }
        let node = self.node.clone();
        let frames = answer(inbound, move |group, body| Self::handle(&node, group, body));
        Ok(Response::new(Box::pin(frames)))
    }

    async fn call(&self, request: Request<CallRequest>) -> Result<Response<CallResponse>, Status> {
        let CallRequest { group, operation, deadline_ms } = request.into_inner();
        let operation: Option<Operation> = decode(&operation);
        let operation = operation.ok_or_else(|| Status::invalid_argument("an operation does not decode"))?;
        let deadline = Duration::from_millis(deadline_ms.min(60_000));
        let performed = tokio::time::timeout(deadline, self.node.perform(GroupId(group), operation)).await;
        let result: Result<Done, Error> = performed.unwrap_or(Err(Error::Unknown));
        Ok(Response::new(CallResponse { result: encode(&result) }))
    }

    async fn pull_snapshot(&self, request: Request<PullSnapshotRequest>) -> Result<Response<Chunks>, Status> {
        let group = GroupId(request.into_inner().group);
        let chunks = self.node.send_snapshot(group).await?;
        Ok(Response::new(Box::pin(chunks)))
    }

    async fn offer_snapshot(
        &self,
        request: Request<OfferSnapshotRequest>,
    ) -> Result<Response<OfferSnapshotResponse>, Status> {
        let installed = self.node.take_snapshot(request.into_inner()).await;
        let vote = installed.map_err(|error| {
            tracing::warn!(%error, "a snapshot was not installed");
            Status::unavailable(error.to_string())
        })?;
        Ok(Response::new(OfferSnapshotResponse { vote: Some(vote) }))
    }

    async fn join(&self, request: Request<JoinRequest>) -> Result<Response<JoinResponse>, Status> {
        let JoinRequest { address, zone, nonce } = request.into_inner();
        tracing::info!(address, "a node asks to join");
        let outcome = self.node.command(Command::Join { address, zone, nonce }).await;
        let node = match outcome {
            Ok(Outcome::Node(node)) => node,
            Ok(_) => return Err(Status::internal("the catalog answered something else")),
            Err(error) => return Err(Status::unavailable(error.to_string())),
        };
        let catalog = self.node.catalog();
        let members = catalog.nodes.values();
        let members = members.map(|member| Member { node: member.id.0, address: member.address.clone() });
        Ok(Response::new(JoinResponse {
            cluster_id: self.node.shared.identity.cluster_id.clone(),
            node: node.0,
            members: members.collect(),
        }))
    }
}
