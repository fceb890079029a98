//! demo
use super::Error;
/// demo
#[derive(Debug, Default, clap::Args)]
pub(super) struct Arguments {}
pub(super) async fn run(_: Arguments) -> Result<(), Error> { Ok(()) }
