//! How a node is configured: a flat file, then flags. Everything else is a constant in the code.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::storage::Engine;

/// A node's configuration. Flags override the file; unknown keys of the file are refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where to listen, "host:port".
    pub listen: String,
    /// Where other nodes and clients reach this node, if that is not where it listens.
    pub advertise: Option<String>,
    /// The data directory.
    pub data: PathBuf,
    /// Nodes of the cluster to join ("host:port"); none: found a cluster, or go on with the one founded before.
    pub join: Vec<String>,
    /// The zone of this node: replicas of a partition are put into different zones where there are enough.
    pub zone: String,
    /// What keeps the items: fjall, sled or memory.
    pub engine: String,
    /// Bytes of items cached in memory, MiB.
    pub cache_mib: u64,
    /// Bytes of recent log entries kept in memory for followers and stream readers, MiB.
    pub tail_mib: usize,
    /// Partitions of a table whose creator does not say.
    pub partitions: u32,
    /// Where functions are called that are named as AWS names them: "http://host:port".
    pub function_endpoint: Option<String>,
    /// What is logged: `error`, `warn`, `info`, `debug`, or a filter of tracing's.
    pub log: String,
    /// How it is logged: `text` or `json`.
    pub log_format: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8000".to_owned(),
            advertise: None,
            data: PathBuf::from("./watertable-data"),
            join: Vec::new(),
            zone: String::new(),
            engine: Engine::default().to_string(),
            cache_mib: 128,
            tail_mib: 128,
            partitions: 4,
            function_endpoint: None,
            log: "info".to_owned(),
            log_format: "text".to_owned(),
        }
    }
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("the configuration {path} cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not as it should be.
    #[error("the configuration {path} is refused: {source}")]
    Refused {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<toml::de::Error>,
    },
}

impl Config {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| Error::Unreadable { path: path.to_owned(), source })?;
        toml::from_str(&text)
            .map_err(|source| Error::Refused { path: path.to_owned(), source: Box::new(source) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_are_refused_by_name() {
        let refused = toml::from_str::<Config>("lisen = \"x\"").expect_err("unknown");
        assert!(refused.to_string().contains("lisen"), "{refused}");
        let config: Config = toml::from_str("listen = \"0.0.0.0:1\"").expect("known");
        assert_eq!(config, Config { listen: "0.0.0.0:1".to_owned(), ..Config::default() });
    }

    #[test]
    fn the_sample_shows_every_key_with_its_default() {
        let sample = include_str!("../deploy/watertable.toml");
        assert_eq!(toml::from_str::<Config>(sample).expect("the sample parses"), Config::default());
        let keys: Vec<&str> = sample
            .lines()
            .filter_map(|line| line.strip_prefix('#').filter(|key| !key.starts_with(' ')))
            .collect();
        let shown: Config = toml::from_str(&keys.join("\n")).expect("the keys parse");
        let (advertise, join) = (shown.advertise.clone(), shown.join.clone());
        let function_endpoint = shown.function_endpoint.clone();
        assert!(advertise.is_some() && !join.is_empty(), "an example of what has no default");
        assert!(function_endpoint.is_some(), "an example of what has no default");
        let expected = Config { advertise, join, function_endpoint, ..Config::default() };
        assert_eq!(shown, expected);
        let all = toml::Table::try_from(&expected).expect("it is a table");
        let named: toml::Table = toml::from_str(&keys.join("\n")).expect("the keys parse");
        assert_eq!(named.keys().collect::<Vec<_>>(), all.keys().collect::<Vec<_>>());
    }
}
