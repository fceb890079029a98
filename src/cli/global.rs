//! What all commands understand that are clients of a cluster.

use std::time::Duration;

use super::{Error, Output, time};
use crate::client::{Client, Options};

/// What all commands of the client understand.
#[derive(Clone, Debug, clap::Args)]
pub struct Global {
    /// A node of the cluster; repeat it, or give a comma-separated list, to survive the loss of one.
    #[arg(long, env = "WATERTABLE_ENDPOINT", value_name = "URL", value_delimiter = ',', global = true)]
    #[arg(default_value = "http://127.0.0.1:8000", help_heading = "Global options")]
    pub(super) endpoint: Vec<String>,
    /// How answers look.
    #[arg(long, value_enum, default_value_t, global = true, help_heading = "Global options")]
    pub(super) output: Output,
    /// The longest one call may take, with all its attempts.
    #[arg(long, value_parser = time::parse_duration, default_value = "5s", global = true)]
    #[arg(value_name = "DURATION", help_heading = "Global options")]
    pub(super) timeout: Duration,
}

impl Global {
    pub(super) fn options(&self) -> Options {
        Options { deadline: self.timeout, ..Options::default() }
    }

    pub(super) fn client(&self) -> Result<Client, Error> {
        Ok(Client::connect(self.endpoint.clone(), self.options())?)
    }
}
