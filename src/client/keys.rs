//! Access keys of the DynamoDB endpoint. Nodes answer this only to clients on their own machine.

use super::Client;
use super::call::Target;
use super::error::Error;
use super::method::Method;
use crate::rpc::wire::v1;

/// An access key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKey {
    /// Its id.
    pub id: String,
    /// When it was made, ms since 1970.
    pub created_ms: u64,
}

impl Client {
    /// Makes an access key; gives its id and its secret, which is never told again.
    pub async fn create_access_key(&self) -> Result<(String, String), Error> {
        let request = v1::CreateAccessKeyRequest {};
        let answer: v1::CreateAccessKeyResponse =
            self.call(Method::CREATE_ACCESS_KEY, Target::Any, &request).await?;
        Ok((answer.access_key_id, answer.secret_access_key))
    }

    /// All access keys, by id.
    pub async fn list_access_keys(&self) -> Result<Vec<AccessKey>, Error> {
        let request = v1::ListAccessKeysRequest {};
        let answer: v1::ListAccessKeysResponse =
            self.call(Method::LIST_ACCESS_KEYS, Target::Any, &request).await?;
        let key = |key: v1::AccessKey| AccessKey { id: key.access_key_id, created_ms: key.created_ms };
        Ok(answer.access_keys.into_iter().map(key).collect())
    }

    /// Forgets an access key. Errors: `Rejected` if there is none (`Error::is_not_found`).
    pub async fn delete_access_key(&self, id: &str) -> Result<(), Error> {
        let request = v1::DeleteAccessKeyRequest { access_key_id: id.to_owned() };
        let _: v1::DeleteAccessKeyResponse =
            self.call(Method::DELETE_ACCESS_KEY, Target::Any, &request).await?;
        Ok(())
    }
}
