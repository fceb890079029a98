//! `key`: access keys of the DynamoDB endpoint, managed on a machine of the cluster.

use serde_json::json;

use super::output::{Output, print_json, print_line, print_pairs, print_table};
use super::{Error, Global, time};

/// The commands.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Makes an access key and shows its secret, once.
    #[command(after_help = "Example:\n  watertable key create")]
    Create,
    /// Shows all access keys, without their secrets.
    #[command(after_help = "Example:\n  watertable key list --output json")]
    List,
    /// Forgets an access key: what is signed with it is refused from then on.
    #[command(after_help = "Example:\n  watertable key delete WTABCDEFGHIJKLMNOPQR")]
    Delete {
        /// Its id.
        id: String,
    },
}

pub(super) async fn run(global: &Global, command: Command) -> Result<(), Error> {
    let client = global.client()?;
    match command {
        Command::Create => {
            let (id, secret) = client.create_access_key().await?;
            match global.output {
                Output::Json => print_json(&json!({ "accessKeyId": id, "secretAccessKey": secret }))?,
                Output::Table => print_pairs(&[("access key id", id), ("secret access key", secret)])?,
            }
        }
        Command::List => {
            let keys = client.list_access_keys().await?;
            match global.output {
                Output::Json => {
                    let keys =
                        keys.iter().map(|key| json!({ "accessKeyId": key.id, "createdMs": key.created_ms }));
                    print_json(&keys.collect())?;
                }
                Output::Table => {
                    let rows = keys.into_iter().map(|key| [key.id, time::format_rfc3339(key.created_ms)]);
                    print_table(["access key id", "created"], rows)?;
                }
            }
        }
        Command::Delete { id } => {
            client.delete_access_key(&id).await?;
            match global.output {
                Output::Json => print_json(&json!({ "accessKeyId": id, "deleted": true }))?,
                Output::Table => print_line(&format!("{id} is forgotten"))?,
            }
        }
    }
    Ok(())
}
