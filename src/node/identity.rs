//! Who a node is, kept in its data directory: `node.json`.

use std::{io, path::Path};

use serde::{Deserialize, Serialize};

use crate::{log::Files, model::id::NodeId};

/// A node's identity. Written once, when it founds or joins a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Identity {
    /// The cluster it belongs to.
    pub cluster_id: String,
    /// Its id there.
    pub node: NodeId,
}

const FILE: &str = "node.json";

impl Identity {
    /// The identity of a data directory, if it has one.
    pub fn load(files: &dyn Files, data: &Path) -> io::Result<Option<Self>> {
        let file = match files.open(&data.join(FILE)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let length = usize::try_from(file.length()?).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        file.read_at(0, &mut bytes)?;
        serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", data.join(FILE).display()))
        })
    }

    /// Writes the identity, durably and whole or not at all.
    pub fn save(&self, files: &dyn Files, data: &Path) -> io::Result<()> {
        let bytes = serde_json::to_vec_pretty(self)?;
        let (fresh, path) = (data.join("node.json.new"), data.join(FILE));
        if files.open(&fresh).is_ok() {
            files.remove(&fresh)?;
        }
        let file = files.create(&fresh)?;
        file.write_at(0, &bytes)?;
        file.sync_data()?;
        files.rename(&fresh, &path)?;
        files.sync_dir(data)
    }
}
