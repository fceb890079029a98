//! The cluster as one node sees it.

use super::{
    Node,
    handle::{NodeView, ReplicaView},
    metrics::gauge,
    operation::Vitals,
};
use crate::{
    model::id::{GroupId, NodeId},
    raft::Group,
};

impl Node {
    /// The cluster's id.
    pub fn cluster_id(&self) -> &str {
        &self.shared.identity.cluster_id
    }

    /// The node that leads the catalog.
    pub fn catalog_leader_id(&self) -> Option<NodeId> {
        self.catalog_leader()
    }

    /// All nodes.
    pub fn node_views(&self) -> Vec<NodeView> {
        let catalog = self.catalog();
        let partitions = || catalog.partitions.values();
        catalog
            .nodes
            .values()
            .map(|member| NodeView {
                node: member.id,
                address: member.address.clone(),
                zone: member.zone.clone(),
                alive: self.shared.peers.is_alive(member.id),
                leads: partitions()
                    .filter(|partition| partition.leader.is_some_and(|(leader, _)| leader == member.id))
                    .count(),
                replicas: partitions().filter(|partition| partition.replicas.contains(&member.id)).count(),
                clock_offset_ms: self.shared.peers.clock_offset_ms(member.id).unwrap_or(0),
            })
            .collect()
    }

    /// The replicas on this node, the catalog's first.
    pub fn replica_views(&self) -> Vec<ReplicaView> {
        let catalog = self.catalog();
        let mut views = vec![self.view(GroupId::CATALOG, &self.shared.catalog_group, None, 0)];
        for replica in self.replicas() {
            let table = catalog.tables.get(&replica.table).map(|table| table.name.clone());
            let trimmed = replica.published.borrow().trimmed.unwrap_or(0);
            views.push(self.view(replica.group.id(), &replica.group, table, trimmed));
        }
        views
    }

    fn view(
        &self,
        group: GroupId,
        member: &Group,
        table: Option<crate::model::TableName>,
        trim_index: u64,
    ) -> ReplicaView {
        let status = member.status();
        let floor = self.shared.log.state(group).and_then(|state| state.floor);
        ReplicaView {
            group,
            table,
            role: status.role,
            term: status.term,
            last_index: status.last_index.unwrap_or(0),
            applied_index: status.applied.map_or(0, |applied| applied.index),
            floor_index: floor.map_or(0, |floor| floor.index),
            trim_index,
            leader: status.leader,
        }
    }

    /// What this node has counted.
    pub(super) fn own_vitals(&self) -> Vitals {
        let stats = self.shared.log.stats();
        let lag = self.lags().into_iter().map(|(_, lag)| lag).max();
        Vitals {
            log_bytes: stats.plain.bytes + stats.stream.bytes,
            items_bytes: self.shared.items.size_bytes(),
            stream_lag_entries: lag.unwrap_or(0),
            ..self.metrics().vitals()
        }
    }

    /// Entries logged here and not yet readable, by partition; of those that are not idle.
    fn lags(&self) -> Vec<(GroupId, u64)> {
        let replicas = self.replicas().into_iter().filter(|replica| !replica.group.is_asleep());
        let lag = |replica: std::sync::Arc<super::replica::Replica>| {
            let status = replica.group.status();
            let applied = status.applied.map_or(0, |applied| applied.index);
            (replica.group.id(), status.last_index.unwrap_or(0).saturating_sub(applied))
        };
        replicas.map(lag).collect()
    }

    /// Disk bytes of the log: of tables without a stream, of tables with one.
    pub fn log_bytes(&self) -> (u64, u64) {
        let stats = self.shared.log.stats();
        (stats.plain.bytes, stats.stream.bytes)
    }

    /// Everything this node measures, in Prometheus' text format.
    pub fn render_metrics(&self) -> String {
        let mut out = String::new();
        self.metrics().render(&mut out);
        let stats = self.shared.log.stats();
        let lanes = [("{lane=\"plain\"}", stats.plain), ("{lane=\"stream\"}", stats.stream)];
        let bytes: Vec<_> = lanes.iter().map(|(labels, lane)| ((*labels).to_owned(), lane.bytes)).collect();
        gauge(&mut out, "log_disk_bytes", "Disk taken by the segments of a lane.", &bytes);
        let segments: Vec<_> =
            lanes.iter().map(|(labels, lane)| ((*labels).to_owned(), lane.segments)).collect();
        gauge(&mut out, "log_segments", "Segments of a lane.", &segments);
        let plain = |value| vec![(String::new(), value)];
        gauge(&mut out, "log_tail_bytes", "Recent entries kept in memory.", &plain(stats.tail_bytes));
        gauge(
            &mut out,
            "log_full",
            "1 while the disk is full and writes are refused.",
            &plain(u64::from(stats.full)),
        );
        gauge(
            &mut out,
            "storage_items_bytes",
            "Disk taken by the items.",
            &plain(self.shared.items.size_bytes()),
        );
        let serving = self.replicas().iter().filter(|replica| replica.serves()).count() as u64;
        gauge(&mut out, "raft_leaderships", "Partitions this node leads.", &plain(serving));
        let lag = |(group, lag): (GroupId, u64)| (format!("{{partition=\"{group}\"}}"), lag);
        let lag: Vec<_> = self.lags().into_iter().map(lag).collect();
        gauge(&mut out, "stream_lag_entries", "Entries logged here and not yet readable.", &lag);
        gauge(
            &mut out,
            "trigger_lag_milliseconds",
            "Age of the oldest record that a trigger has read and not delivered, of the shards delivered here.",
            &self.trigger_lags(),
        );
        gauge(
            &mut out,
            "consumer_lag_milliseconds",
            "Age of the oldest record that is not acknowledged, of the shards led here.",
            &self.consumer_lags(),
        );
        out
    }
}
