//! `cluster`: nodes, and the replicas on them.

use serde_json::{Value, json};

use super::output::{Output, print_json, print_line, print_pairs, print_table};
use super::{Error, Global};
use crate::client::{Client, ClusterStatus};

/// The commands.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Shows the nodes and, asking each of them, the replicas.
    #[command(after_help = "Example:\n  watertable cluster status")]
    Status,
}

pub(super) async fn run(global: &Global, command: Command) -> Result<(), Error> {
    let client = global.client()?;
    match command {
        Command::Status => status(global, &client).await,
    }
}

/// What one node said of itself, or why it said nothing.
type Said = (u64, Result<ClusterStatus, crate::client::Error>);

async fn status(global: &Global, client: &Client) -> Result<(), Error> {
    let cluster = client.cluster_status().await?;
    let asked = cluster.nodes.iter().map(|node| async {
        let said = client.cluster_status_of(&node.address).await;
        (node.node_id, said)
    });
    let said: Vec<Said> = futures::future::join_all(asked).await;
    match global.output {
        Output::Json => Ok(print_json(&to_json(&cluster, &said))?),
        Output::Table => show(&cluster, &said),
    }
}

fn show(cluster: &ClusterStatus, said: &[Said]) -> Result<(), Error> {
    print_pairs(&[
        ("cluster", cluster.cluster_id.clone()),
        (
            "catalog leader",
            if cluster.catalog_leader == 0 { "-".into() } else { cluster.catalog_leader.to_string() },
        ),
    ])?;
    print_line("")?;
    let of = |id: u64| said.iter().find(|(node, _)| *node == id).and_then(|(_, said)| said.as_ref().ok());
    let rows = cluster.nodes.iter().map(|node| {
        let mib = |bytes: Option<u64>| bytes.map_or("-".into(), |bytes| format!("{} MiB", bytes >> 20));
        let own = of(node.node_id);
        [
            node.node_id.to_string(),
            node.address.clone(),
            node.zone.clone(),
            if node.alive { "yes" } else { "no" }.to_owned(),
            node.leads.to_string(),
            node.replicas.to_string(),
            format!("{} ms", node.clock_offset_ms),
            mib(own.map(|own| own.log_plain_bytes)),
            mib(own.map(|own| own.log_stream_bytes)),
            own.map_or("-".into(), |own| own.version.clone()),
        ]
    });
    let heading =
        ["node", "address", "zone", "alive", "leads", "replicas", "clock", "log", "stream log", "version"];
    print_table(heading, rows)?;
    print_line("")?;
    let answered = said.iter().filter_map(|(node, said)| Some((node, said.as_ref().ok()?)));
    let mut rows: Vec<_> = answered
        .flat_map(|(node, said)| said.replicas.iter().map(move |replica| (replica.group_id, *node, replica)))
        .collect();
    rows.sort_by_key(|(group, node, _)| (*group, *node));
    let rows = rows.into_iter().map(|(group, node, replica)| {
        [
            group.to_string(),
            if replica.table_name.is_empty() { "(catalog)".into() } else { replica.table_name.clone() },
            node.to_string(),
            replica.role.clone(),
            replica.term.to_string(),
            replica.last_index.to_string(),
            replica.applied_index.to_string(),
            replica.floor_index.to_string(),
            replica.trim_index.to_string(),
        ]
    });
    let heading = ["group", "table", "node", "role", "term", "last", "applied", "floor", "trimmed"];
    print_table(heading, rows)?;
    for (node, said) in said {
        if let Err(error) = said {
            eprintln!("node {node} did not answer: {error}");
        }
    }
    Ok(())
}

fn to_json(cluster: &ClusterStatus, said: &[Said]) -> Value {
    let nodes = cluster.nodes.iter().map(|node| {
        json!({
            "node": node.node_id, "address": node.address, "zone": node.zone, "alive": node.alive,
            "leads": node.leads, "replicas": node.replicas, "clockOffsetMs": node.clock_offset_ms,
        })
    });
    let answers = said.iter().map(|(node, said)| match said {
        Ok(said) => json!({
            "node": node, "version": said.version, "logPlainBytes": said.log_plain_bytes,
            "logStreamBytes": said.log_stream_bytes, "replicas": replicas_json(said),
        }),
        Err(error) => json!({ "node": node, "error": error.to_string() }),
    });
    json!({
        "cluster": cluster.cluster_id,
        "catalogLeader": cluster.catalog_leader,
        "nodes": nodes.collect::<Vec<_>>(),
        "answers": answers.collect::<Vec<_>>(),
    })
}

fn replicas_json(said: &ClusterStatus) -> Vec<Value> {
    let replica = |replica: &crate::rpc::wire::v1::ReplicaStatus| {
        json!({
            "group": replica.group_id, "tableName": replica.table_name, "role": replica.role, "term": replica.term,
            "lastIndex": replica.last_index, "appliedIndex": replica.applied_index,
            "floorIndex": replica.floor_index, "trimIndex": replica.trim_index, "leader": replica.leader,
        })
    };
    said.replicas.iter().map(replica).collect()
}
