//! `serve`: runs a node until it is told to stop.

use std::path::PathBuf;

use super::Error;
use crate::{
    api,
    config::Config,
    console,
    node::{self, Environment, Node, Settings},
    raft,
    storage::Engine,
};

/// What `serve` understands. Flags override the configuration file.
#[derive(Debug, Default, clap::Args)]
#[command(after_help = "Examples:
  watertable serve                                          one node, data in ./watertable-data
  watertable serve --bootstrap --listen 10.0.0.1:8000       the first node of a cluster
  watertable serve --join 10.0.0.1:8000 --listen 10.0.0.2:8000   another one

A node that has founded or joined a cluster once goes on in it, whatever --bootstrap and --join say.")]
pub(super) struct Arguments {
    /// A configuration file (TOML; see deploy/watertable.toml).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where to listen.
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// Where other nodes and clients reach this node, if that is not where it listens.
    #[arg(long, value_name = "HOST:PORT")]
    advertise: Option<String>,
    /// The data directory.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Founds a new cluster with this node. The default if --join is not given.
    #[arg(long, conflicts_with = "join")]
    bootstrap: bool,
    /// Joins the cluster of these nodes.
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',')]
    join: Vec<String>,
    /// The zone of this node.
    #[arg(long)]
    zone: Option<String>,
    /// What keeps the items: fjall, sled or memory.
    #[arg(long)]
    engine: Option<String>,
    /// Partitions of a table whose creator does not say.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=256))]
    partitions: Option<u32>,
    /// Where functions are called that are named as AWS names them, by its API of event source mappings.
    #[arg(long, value_name = "URL")]
    function_endpoint: Option<String>,
    /// What is logged: error, warn, info, debug, or a filter like `info,watertable::node=debug`.
    #[arg(long, env = "WATERTABLE_LOG")]
    log: Option<String>,
}

impl Arguments {
    /// The configuration: the file's, overridden by the flags.
    fn config(self) -> Result<Config, Error> {
        let mut config = match &self.config {
            Some(path) => Config::read(path).map_err(|error| Error::Invalid(error.to_string()))?,
            None => Config::default(),
        };
        let Self {
            listen,
            advertise,
            data,
            join,
            zone,
            engine,
            partitions,
            function_endpoint,
            log,
            bootstrap,
            ..
        } = self;
        if let Some(listen) = listen {
            config.listen = listen;
        }
        config.advertise = advertise.or(config.advertise);
        config.data = data.unwrap_or(config.data);
        if !join.is_empty() || bootstrap {
            config.join = join;
        }
        config.zone = zone.unwrap_or(config.zone);
        config.engine = engine.unwrap_or(config.engine);
        config.partitions = partitions.unwrap_or(config.partitions);
        config.function_endpoint = function_endpoint.or(config.function_endpoint);
        config.log = log.unwrap_or(config.log);
        Ok(config)
    }
}

/// A running node of this configuration.
pub(super) async fn start(config: &Config) -> Result<Node, Error> {
    let engine: Engine = config.engine.parse().map_err(|error| Error::Invalid(format!("{error}")))?;
    let environment = Environment::production(engine, config.cache_mib << 20);
    let settings = Settings {
        listen: config.listen.clone(),
        advertise: config.advertise.clone(),
        data: config.data.clone(),
        join: config.join.iter().map(|address| address.trim_start_matches("http://").to_owned()).collect(),
        zone: config.zone.clone(),
        partitions: config.partitions,
        function_endpoint: config.function_endpoint.clone(),
        tail_bytes: config.tail_mib << 20,
        segment_bytes: None,
        timing: raft::Options::default(),
    };
    let starting = node::start(settings, environment).await.map_err(|error| Error::Node(chain(&error)))?;
    let routes = api::routes(starting.node.clone()).await;
    let routes = routes.map_err(|error| Error::Node(format!("reflection: {error}")))?;
    Ok(starting.serve(routes.into_axum_router().merge(console::routes()).into()))
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// Runs a node until a signal or an error stops it.
pub(super) async fn run(arguments: Arguments) -> Result<(), Error> {
    let config = arguments.config()?;
    log_to_stderr(&config.log, &config.log_format)?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), ?config, "starting");
    let node = start(&config).await?;
    let console = format!("http://{}/console/", node.address());
    tracing::info!(
        node = node.id().0,
        cluster = node.cluster_id(),
        address = node.address(),
        console,
        "ready"
    );
    if node.catalog().access_keys.is_empty() {
        tracing::warn!(
            "no access keys: the DynamoDB endpoint takes any signature, and only from this machine; see `watertable key`"
        );
    }
    let failure = tokio::select! {
        reason = node.failed() => Some(reason),
        () = signalled() => None,
    };
    match failure {
        Some(reason) => {
            node.halt().await;
            Err(Error::Node(reason))
        }
        None => {
            tracing::info!("stopping");
            node.shutdown().await;
            Ok(())
        }
    }
}

async fn signalled() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).expect("a handler of SIGTERM can be installed");
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

/// Logs to standard error.
pub(super) fn log_to_stderr(filter: &str, format: &str) -> Result<(), Error> {
    use tracing_subscriber::EnvFilter;
    // openraft logs what is ours to say.
    let filter = EnvFilter::try_new(format!("{filter},openraft=off,sled=warn,fjall=warn,lsm_tree=warn"))
        .map_err(|error| Error::Invalid(format!("log filter: {error}")))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let set = match format {
        "text" => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        "json" => builder.json().try_init(),
        other => return Err(Error::Invalid(format!("log_format must be text or json, not {other}"))),
    };
    set.map_err(|error| Error::Node(error.to_string()))
}
