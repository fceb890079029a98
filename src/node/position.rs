//! A place in all shards of a table at once, as one text: what a program saves with its own data, and a consumer is
//! started from.
//!
//! As text: `1|<base64 of the body and its signature>`. Signed with a secret of the cluster, so it cannot be made up; it
//! does not expire, but what it points to may be trimmed.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::{
    catalog::{Place, ShardKey},
    model::id::TableId,
};

const SIGNATURE_BYTES: usize = 16;
const PREFIX: &str = "1|";

/// See the top of this file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TablePosition {
    pub table: TableId,
    pub places: BTreeMap<ShardKey, Place>,
}

impl TablePosition {
    pub fn seal(&self, secret: &[u8]) -> String {
        let mut bytes = postcard::to_allocvec(self).expect("plain values serialize");
        let signature = mac(secret, &bytes).finalize().into_bytes();
        bytes.extend_from_slice(&signature[..SIGNATURE_BYTES]);
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads one back; none if it is not one of this cluster's.
    pub fn open(text: &str, secret: &[u8]) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?;
        let (body, signature) = bytes.split_at_checked(bytes.len().checked_sub(SIGNATURE_BYTES)?)?;
        mac(secret, body).verify_truncated_left(signature).ok()?;
        postcard::from_bytes(body).ok()
    }
}

fn mac(secret: &[u8], body: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(b"position|");
    mac.update(body);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::id::GroupId, stream::Cursor};

    #[test]
    fn positions_open_with_their_secret_only() {
        let copying = Place::Copying { behind: Some(b"key"[..].into()), next: None };
        let places = BTreeMap::from([
            ((7, GroupId(2)), Place::At(Some(Cursor { index: 9, ordinal: 1 }))),
            ((7, GroupId(3)), copying),
            ((8, GroupId(3)), Place::Done),
        ]);
        let position = TablePosition { table: TableId(4), places };
        let text = position.seal(b"secret");
        assert_eq!(TablePosition::open(&text, b"secret"), Some(position));
        assert_eq!(TablePosition::open(&text, b"other"), None);
        for bad in ["", "1|", "1|AAAA", "x", &text[..text.len() - 2], &text[2..]] {
            assert_eq!(TablePosition::open(bad, b"secret"), None, "{bad}");
        }
    }
}
