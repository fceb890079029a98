//! Snapshots between replicas: pulled from the one that offers, spooled, installed.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures::{Stream, stream};
use tonic::Status;

use super::{Node, replica::Replica};
use crate::{
    model::id::{GroupId, NodeId},
    raft::{Group, Receive, Spool, send},
    rpc::wire::peer::{OfferSnapshotRequest, PullSnapshotRequest, SnapshotChunk, VoteState},
};

/// How long a cut of the log is held back after a snapshot was sent, for its receiver to catch up.
const HOLD: Duration = Duration::from_secs(10);

/// Says that a snapshot is being sent: while it lives, and for some time after, the log is not cut.
struct Hold(Node, Arc<Replica>);

impl Hold {
    fn new(node: Node, replica: Arc<Replica>) -> Self {
        replica.sending.fetch_add(1, Ordering::AcqRel);
        Self(node, replica)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let replica = self.1.clone();
        self.0.shared.tasks.spawn("hold", async move {
            tokio::time::sleep(HOLD).await;
            replica.sending.fetch_sub(1, Ordering::AcqRel);
        });
    }
}

impl Node {
    pub(super) fn group(&self, group: GroupId) -> Option<Group> {
        if group == GroupId::CATALOG {
            return Some(self.shared.catalog_group.clone());
        }
        self.replica(group).map(|replica| replica.group.clone())
    }

    /// Sends a snapshot of this node's replica, chunk by chunk.
    pub(super) async fn send_snapshot(
        &self,
        group: GroupId,
    ) -> Result<impl Stream<Item = Result<SnapshotChunk, Status>> + Send + 'static, Status> {
        let hold = self.replica(group).map(|replica| Hold::new(self.clone(), replica));
        let member = self.group(group).ok_or_else(|| Status::not_found("the group is not on this node"))?;
        let sending = member.sending().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let environment = self.shared.environment.clone();
        tracing::info!(group = group.0, "snapshot is sent");
        Ok(stream::unfold(Some((sending, hold, environment)), |state| async move {
            let (mut sending, hold, environment) = state?;
            let read = environment.blocking(move || {
                let chunk = send(&mut sending);
                (sending, chunk)
            });
            match read.await {
                Ok((sending, Ok(Some(chunk)))) => Some((Ok(chunk), Some((sending, hold, environment)))),
                Ok((_, Ok(None))) => None,
                Ok((_, Err(error))) => Some((Err(Status::internal(error.to_string())), None)),
                Err(error) => Some((Err(Status::internal(error.to_string())), None)),
            }
        }))
    }

    /// Takes an offer: pulls the snapshot, then installs it.
    pub(super) async fn take_snapshot(&self, offer: OfferSnapshotRequest) -> io::Result<VoteState> {
        let group = GroupId(offer.group);
        let member = self.group(group).ok_or_else(|| io::Error::other("the group is not on this node"))?;
        let spool = self.pull_snapshot(group, NodeId(offer.from)).await?;
        let vote = member.install(offer.vote, spool).await?;
        tracing::info!(group = group.0, from = offer.from, "snapshot installed");
        Ok(vote)
    }

    pub(super) async fn pull_snapshot(&self, group: GroupId, from: NodeId) -> io::Result<Spool> {
        let shared = &self.shared;
        let directory = shared.data.join("snapshots");
        let path = directory.join(format!("{}-{}", group.0, (shared.environment.random)()));
        shared.environment.files.create_dir(&directory)?;
        let mut receive = Receive::new(shared.environment.files.clone(), path)?;
        let mut client = shared.peers.client(from).map_err(io::Error::other)?;
        let request = PullSnapshotRequest { group: group.0 };
        let mut chunks = client.pull_snapshot(request).await.map_err(io::Error::other)?.into_inner();
        while let Some(chunk) = chunks.message().await.map_err(io::Error::other)? {
            let written = shared.environment.blocking(move || {
                let pushed = receive.push(&chunk);
                (receive, pushed)
            });
            let (given_back, pushed) = written.await?;
            pushed?;
            receive = given_back;
        }
        receive.finish()
    }
}
