//! What calls that last have in common: one that breaks is opened again, at another node, until none has answered for
//! longer than the client's deadline.

use std::sync::Arc;

use tokio::time::Instant;

use super::Client;
use super::error::Error;
use super::method::Intent;
use super::pool::Node;
use super::retry::{self, Decision, Failure};

/// Where and when to open such a call, of a client.
pub(super) struct Reopening {
    pub client: Client,
    avoid: Option<Arc<Node>>,
    /// Attempts since the last message.
    attempts: u32,
    /// When the last message came, or it began.
    heard: Instant,
}

impl Reopening {
    pub fn new(client: &Client) -> Self {
        Self { client: client.clone(), avoid: None, attempts: 0, heard: Instant::now() }
    }

    /// The node to open it at.
    pub fn node(&self) -> Arc<Node> {
        self.client.shared.pool.any(self.avoid.as_ref())
    }

    /// Whether it broke and no message has come since.
    pub fn is_broken(&self) -> bool {
        self.attempts > 0
    }

    /// A message has come.
    pub fn heard_from(&mut self, node: &Arc<Node>) {
        self.client.shared.pool.has_answered(node);
        self.attempts = 0;
        self.heard = Instant::now();
    }

    /// It could not be opened at this node: pauses before the next attempt. Errors: there is to be none.
    pub async fn refused(&mut self, node: Arc<Node>, failure: Failure) -> Result<(), Error> {
        if failure.is_silence() {
            self.client.shared.pool.was_silent(&node);
        }
        self.broke(node, failure).await
    }

    /// It was open at this node and broke: pauses before the next attempt. Errors: there is to be none.
    pub async fn broke(&mut self, node: Arc<Node>, failure: Failure) -> Result<(), Error> {
        self.avoid = Some(node);
        let decision = retry::decide(Intent::Read, failure.sent, failure.answer.code);
        let over = self.heard.elapsed() > self.client.shared.options.deadline && self.attempts > 0;
        if decision == Decision::Tell || over {
            self.heard = Instant::now();
            self.attempts = 0;
            return Err(failure.into_error(Intent::Read));
        }
        let chance = retry::chance(&self.client.shared.jitter);
        tokio::time::sleep(retry::pause(self.attempts, chance, failure.after)).await;
        self.attempts += 1;
        Ok(())
    }
}
