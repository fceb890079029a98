//! A change as the stream shows it.

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_128;

use super::SequenceNumber;
use crate::model::{Corrupt, KeySchema, StreamViewType, codec, id::GroupId};

/// What happened to the item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventName {
    /// It was created.
    Insert,
    /// It was changed.
    Modify,
    /// It was deleted.
    Remove,
}

impl EventName {
    /// As AWS writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Insert => "INSERT",
            Self::Modify => "MODIFY",
            Self::Remove => "REMOVE",
        }
    }
}

/// One record of a stream; items are encoded (`model::codec`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where its change is logged.
    pub sequence_number: SequenceNumber,
    /// Unique over all streams, and the same whenever the record is read.
    pub event_id: u128,
    /// What happened.
    pub event_name: EventName,
    /// When, ms since 1970.
    pub created_ms: u64,
    /// The key attributes.
    pub keys: Bytes,
    /// The item after, if the view type shows it and it exists.
    pub new_image: Option<Bytes>,
    /// The item before, if the view type shows it and it existed.
    pub old_image: Option<Bytes>,
    /// Size of keys and images, bytes, by the rules for items without their overhead.
    pub size_bytes: usize,
}

/// How the changes of one partition become records of one stream.
#[derive(Clone, Debug)]
pub struct Projection {
    /// The partition.
    pub group: GroupId,
    /// Its generation.
    pub generation: u32,
    /// What records show.
    pub view_type: StreamViewType,
    /// The key of the table.
    pub key_schema: KeySchema,
}

impl Projection {
    /// The record of the change at (`index`, `ordinal`). `key`: the item key; `existed`: before the change;
    /// `old`, `new`: encoded items, `new` absent if the change deleted it.
    pub fn record(
        &self,
        (index, ordinal): (u64, u32),
        created_ms: u64,
        key: &[u8],
        existed: bool,
        old: Option<Bytes>,
        new: Option<Bytes>,
    ) -> Result<Record, Corrupt> {
        let event_name = match (existed, new.is_some()) {
            (false, _) => EventName::Insert,
            (true, true) => EventName::Modify,
            (true, false) => EventName::Remove,
        };
        let mut keys = Vec::with_capacity(key.len() + 32);
        codec::encode_item(&self.key_schema.decode_key(key)?, &mut keys);
        let new_image = new.filter(|_| self.view_type.shows_new());
        let old_image = old.filter(|_| self.view_type.shows_old());
        let mut size_bytes = codec::item_size_encoded(&keys)?;
        for image in [&new_image, &old_image].into_iter().flatten() {
            size_bytes += codec::item_size_encoded(image)?;
        }
        let sequence_number = SequenceNumber { generation: self.generation, index, ordinal };
        let mut place = [0; 20];
        place[..8].copy_from_slice(&self.group.0.to_le_bytes());
        place[8..16].copy_from_slice(&index.to_le_bytes());
        place[16..].copy_from_slice(&ordinal.to_le_bytes());
        Ok(Record {
            sequence_number,
            event_id: xxh3_128(&place),
            event_name,
            created_ms,
            keys: keys.into(),
            new_image,
            old_image,
            size_bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AttributeName, AttributeValue, Item, KeyAttribute, KeyType};

    fn item(pairs: &[(&str, &str)]) -> (Item, Bytes) {
        let item: Item = pairs
            .iter()
            .map(|(name, value)| {
                (AttributeName::parse(name).expect("valid"), AttributeValue::S((*value).to_owned()))
            })
            .collect();
        let mut bytes = Vec::new();
        codec::encode_item(&item, &mut bytes);
        (item, bytes.into())
    }

    fn projection(view_type: StreamViewType) -> Projection {
        let partition = KeyAttribute { name: AttributeName::parse("id").expect("valid"), kind: KeyType::S };
        let key_schema = KeySchema { partition, sort: None };
        Projection { group: GroupId(7), generation: 0, view_type, key_schema }
    }

    /// The sizes are those recorded against AWS.
    #[test]
    fn each_view_type_shows_what_it_says() {
        use StreamViewType::{KeysOnly, NewAndOldImages, NewImage, OldImage};
        let (key_item, before) = item(&[("id", "Fred")]);
        let (_, after) = item(&[("id", "Fred"), ("name", "Fred")]);
        for (view_type, new, old, size) in [
            (KeysOnly, false, false, 6),
            (NewImage, true, false, 20),
            (OldImage, false, true, 12),
            (NewAndOldImages, true, true, 26),
        ] {
            let projection = projection(view_type);
            let key = projection.key_schema.key_of_item(&key_item).expect("a key");
            let record = projection
                .record((4, 2), 99, key.as_bytes(), true, Some(before.clone()), Some(after.clone()))
                .expect("a record");
            assert_eq!(record.event_name, EventName::Modify);
            assert_eq!(record.keys, before);
            assert_eq!(record.new_image, new.then(|| after.clone()));
            assert_eq!(record.old_image, old.then(|| before.clone()));
            assert_eq!(record.size_bytes, size, "{view_type}");
        }
        let projection = projection(NewAndOldImages);
        let key = projection.key_schema.key_of_item(&key_item).expect("a key");
        let record = |existed, old, new| {
            projection.record((4, 2), 99, key.as_bytes(), existed, old, new).expect("a record")
        };
        let insert = record(false, None, Some(before.clone()));
        assert_eq!((insert.event_name, insert.size_bytes), (EventName::Insert, 12));
        let remove = record(true, Some(before), None);
        assert_eq!((remove.event_name, remove.event_id), (EventName::Remove, insert.event_id));
    }
}
