//! What can go wrong between nodes.

/// Why a call to another node has no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// It was not sent, or the connection broke: nothing is known of it.
    #[error("node {0} cannot be reached")]
    Unreachable(u64),
    /// No answer within the deadline.
    #[error("node {0} did not answer in time")]
    Deadline(u64),
    /// The node answered that it cannot.
    #[error("node {node} refused: {reason}")]
    Refused {
        /// Which node.
        node: u64,
        /// Its words.
        reason: String,
    },
}
