//! Shard iterators: where to start, and tokens that remember where to go on.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::{SequenceNumber, ShardId, StreamArn};
use crate::model::limits::ITERATOR_LIFE_MS;

/// Where a reader of a shard starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Start {
    /// At the oldest record kept.
    TrimHorizon,
    /// Behind the newest record.
    Latest,
    /// At a place.
    At(Cursor),
    /// Behind a place.
    After(Cursor),
    /// At the first record not older than a time, ms since 1970, of those applied; else behind them.
    Timestamp(u64),
}

/// The next place to read in a partition's log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cursor {
    /// Index of the entry.
    pub index: u64,
    /// Place of the change in the entry.
    pub ordinal: u32,
}

impl Cursor {
    /// The cursor at a sequence number.
    pub fn at(number: SequenceNumber) -> Self {
        Self { index: number.index, ordinal: number.ordinal }
    }

    /// The place behind.
    pub fn next(self) -> Self {
        match self.ordinal.checked_add(1) {
            Some(ordinal) => Self { ordinal, ..self },
            None => Self { index: self.index + 1, ordinal: 0 },
        }
    }
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is not one of ours.
    #[error("Invalid ShardIterator")]
    Invalid,
    /// It is older than 15 minutes.
    #[error("The provided iterator exceeds the maximum age allowed.")]
    Expired,
}

/// What a shard iterator remembers. As text: `<stream ARN>|1|<base64 of the body and its signature>`, like AWS's,
/// whose ARN prefix tools rely on. Self-contained, so it survives failover and restart; signed with a secret of the
/// cluster, so it cannot be made up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The stream.
    pub stream: StreamArn,
    /// The shard.
    pub shard: ShardId,
    /// Where to go on.
    pub position: Position,
    /// When it was given out, ms since 1970.
    pub issued_ms: u64,
    /// Random: no two tokens are the same text.
    pub nonce: u64,
}

/// Where a token goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Position {
    /// At the trim horizon, wherever that is when it is first used.
    TrimHorizon,
    /// At a place; an error once that is trimmed.
    At(Cursor),
}

#[derive(Serialize, Deserialize)]
struct Body {
    created_ms: u64,
    group: u64,
    position: Position,
    issued_ms: u64,
    nonce: u64,
}

const SIGNATURE: usize = 16;

impl Token {
    /// The token as text.
    pub fn seal(&self, secret: &[u8]) -> String {
        let body = Body {
            created_ms: self.shard.created_ms,
            group: self.shard.group.0,
            position: self.position,
            issued_ms: self.issued_ms,
            nonce: self.nonce,
        };
        let mut bytes = postcard::to_allocvec(&body).expect("plain numbers serialize");
        let arn = self.stream.to_string();
        let signature = mac(secret, &arn, &bytes).finalize().into_bytes();
        bytes.extend_from_slice(&signature[..SIGNATURE]);
        format!("{arn}|1|{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads a token back; refuses forged and expired ones.
    pub fn open(text: &str, secret: &[u8], now_ms: u64) -> Result<Self, Error> {
        let (arn, rest) = text.split_once('|').ok_or(Error::Invalid)?;
        let bytes = rest.strip_prefix("1|").and_then(|body| URL_SAFE_NO_PAD.decode(body).ok());
        let bytes = bytes.ok_or(Error::Invalid)?;
        let (body, signature) =
            bytes.split_at_checked(bytes.len().saturating_sub(SIGNATURE)).ok_or(Error::Invalid)?;
        mac(secret, arn, body).verify_truncated_left(signature).map_err(|_| Error::Invalid)?;
        let body: Body = postcard::from_bytes(body).map_err(|_| Error::Invalid)?;
        if now_ms.saturating_sub(body.issued_ms) > ITERATOR_LIFE_MS {
            return Err(Error::Expired);
        }
        Ok(Self {
            stream: StreamArn::parse(arn).ok_or(Error::Invalid)?,
            shard: ShardId { created_ms: body.created_ms, group: body.group.into() },
            position: body.position,
            issued_ms: body.issued_ms,
            nonce: body.nonce,
        })
    }
}

fn mac(secret: &[u8], arn: &str, body: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(arn.as_bytes());
    mac.update(b"|");
    mac.update(body);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{TableName, id::GroupId};

    fn token() -> Token {
        Token {
            stream: StreamArn {
                table: TableName::parse("table").expect("valid"),
                stream_ms: 1_431_379_293_291,
            },
            shard: ShardId { created_ms: 1_431_379_293_291, group: GroupId(9) },
            position: Position::At(Cursor { index: 12, ordinal: 3 }),
            issued_ms: 1000,
            nonce: 7,
        }
    }

    #[test]
    fn tokens_open_until_they_expire() {
        let text = token().seal(b"secret");
        assert!(text.starts_with(
            "arn:aws:dynamodb:us-east-1:000000000000:table/table/stream/2015-05-11T21:21:33.291|1|"
        ));
        assert_eq!(Token::open(&text, b"secret", 1000 + ITERATOR_LIFE_MS), Ok(token()));
        assert_eq!(Token::open(&text, b"secret", 1001 + ITERATOR_LIFE_MS), Err(Error::Expired));
    }

    #[test]
    fn forged_tokens_are_refused() {
        let text = token().seal(b"secret");
        assert_eq!(Token::open(&text, b"other", 1000), Err(Error::Invalid));
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(bytes).expect("ASCII");
            if forged != text {
                assert_eq!(Token::open(&forged, b"secret", 1000), Err(Error::Invalid), "byte {at}");
            }
        }
        for bad in ["", "|", "|1|", "a|1|", "a|1|AAAA", "x"] {
            assert_eq!(Token::open(bad, b"secret", 1000), Err(Error::Invalid), "{bad}");
        }
    }
}
