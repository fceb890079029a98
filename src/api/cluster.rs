//! The cluster's status, as gRPC shows it.

use tonic::{Request, Response};

use super::grpc::{Face, Reply};
use crate::{
    node::Role,
    rpc::wire::v1::{self, cluster_server},
};

#[tonic::async_trait]
impl cluster_server::Cluster for Face {
    async fn get_cluster_status(
        &self,
        _: Request<v1::GetClusterStatusRequest>,
    ) -> Reply<v1::GetClusterStatusResponse> {
        let node = &self.node;
        let nodes = node.node_views().into_iter().map(|view| v1::NodeStatus {
            node_id: view.node.0,
            address: view.address,
            zone: view.zone,
            alive: view.alive,
            leads: u32::try_from(view.leads).unwrap_or(u32::MAX),
            replicas: u32::try_from(view.replicas).unwrap_or(u32::MAX),
            clock_offset_ms: view.clock_offset_ms,
        });
        let replicas = node.replica_views().into_iter().map(|view| v1::ReplicaStatus {
            group_id: view.group.0,
            table_name: view.table.map(|table| table.to_string()).unwrap_or_default(),
            role: role_out(view.role).to_owned(),
            term: view.term,
            last_index: view.last_index,
            applied_index: view.applied_index,
            floor_index: view.floor_index,
            trim_index: view.trim_index,
            leader: view.leader.map_or(0, |leader| leader.0),
        });
        let (log_plain_bytes, log_stream_bytes) = node.log_bytes();
        Ok(Response::new(v1::GetClusterStatusResponse {
            cluster_id: node.cluster_id().to_owned(),
            node_id: node.id().0,
            catalog_leader: node.catalog_leader_id().map_or(0, |leader| leader.0),
            nodes: nodes.collect(),
            replicas: replicas.collect(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            log_plain_bytes,
            log_stream_bytes,
        }))
    }
}

fn role_out(role: Role) -> &'static str {
    match role {
        Role::Leader => "leader",
        Role::Follower => "follower",
        Role::Candidate => "candidate",
        Role::Learner => "learner",
        Role::Stopped => "stopped",
    }
}
