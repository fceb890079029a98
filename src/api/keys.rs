//! Access keys: made, listed and forgotten, by clients on a node's own machine.

use tonic::{Request, Response, Status};

use super::{
    error::status,
    grpc::{Face, Reply},
};
use crate::{
    catalog::{AccessKey, Command},
    node::Node,
    rpc::{
        Remote,
        wire::v1::{self, access_keys_server},
    },
};

/// Characters of an id behind its prefix.
const ID_LEN: usize = 18;
/// Marks an id as one of ours.
const ID_PREFIX: &str = "WT";
const SECRET_LEN: usize = 40;

/// Letters and digits that are random, 5 bits each.
fn random_text(node: &Node, len: usize) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = String::with_capacity(len);
    while text.len() < len {
        let mut random = node.random();
        for _ in 0..(len - text.len()).min(12) {
            text.push(char::from(ALPHABET[(random % 32) as usize]));
            random /= 32;
        }
    }
    text
}

fn check_local<T>(request: &Request<T>) -> Result<(), Status> {
    let remote = request.extensions().get::<Remote>();
    if remote.is_some_and(Remote::is_local) {
        return Ok(());
    }
    Err(Status::permission_denied("access keys are for clients on the node's own machine"))
}

#[tonic::async_trait]
impl access_keys_server::AccessKeys for Face {
    async fn create_access_key(
        &self,
        request: Request<v1::CreateAccessKeyRequest>,
    ) -> Reply<v1::CreateAccessKeyResponse> {
        check_local(&request)?;
        let id = format!("{ID_PREFIX}{}", random_text(&self.node, ID_LEN));
        let secret = random_text(&self.node, SECRET_LEN);
        let key = AccessKey { secret: secret.clone(), created_ms: self.node.now_ms() };
        let command = Command::PutAccessKey { id: id.clone(), key };
        self.node.command(command).await.map_err(|error| status(&error))?;
        Ok(Response::new(v1::CreateAccessKeyResponse { access_key_id: id, secret_access_key: secret }))
    }

    async fn list_access_keys(
        &self,
        request: Request<v1::ListAccessKeysRequest>,
    ) -> Reply<v1::ListAccessKeysResponse> {
        check_local(&request)?;
        self.node.settled().await.map_err(|error| status(&error))?;
        let catalog = self.node.catalog();
        let keys = catalog
            .access_keys
            .iter()
            .map(|(id, key)| v1::AccessKey { access_key_id: id.clone(), created_ms: key.created_ms });
        Ok(Response::new(v1::ListAccessKeysResponse { access_keys: keys.collect() }))
    }

    async fn delete_access_key(
        &self,
        request: Request<v1::DeleteAccessKeyRequest>,
    ) -> Reply<v1::DeleteAccessKeyResponse> {
        check_local(&request)?;
        let command = Command::DeleteAccessKey { id: request.into_inner().access_key_id };
        self.node.command(command).await.map_err(|error| status(&error))?;
        Ok(Response::new(v1::DeleteAccessKeyResponse {}))
    }
}
