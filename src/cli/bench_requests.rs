//! What a bench sends: requests encoded once, in which only the key and the value are written over.

use bytes::{Bytes, BytesMut};

use super::Error;
use crate::client::{self, BatchWrite, Expression, Method, Prepared, ReadOptions, WriteOptions};
use crate::model::{AttributeName, AttributeValue, Item, KeySchema, TableName};

/// A key: 'k' and 16 hex digits.
pub(super) const KEY_BYTES: usize = 17;

/// A stamp: 20 decimal digits at the start of a value.
pub(super) const STAMP_BYTES: usize = 20;

/// The attribute that holds the value.
pub(super) const VALUE_NAME: &str = "value";

/// Stands where the key goes; found by its letters, which no encoding touches.
const KEY_MARK: [u8; KEY_BYTES] = *b"k~~~~~~~~~~~~~~~~";

/// Of these is the value that is written over.
const VALUE_MARK: u8 = b'^';

/// Values are slices of this much random text, which no compression makes smaller by repetition.
const POOL_BYTES: usize = 1 << 20;

/// Random numbers, cheap and the same for the same seed (splitmix64).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let value = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        value ^ (value >> 31)
    }

    /// A number below `bound`.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u32
    }
}

/// The keys there are, with their partition hashes, and the values.
pub(super) struct Keys {
    hashes: Vec<u64>,
    pool: Vec<u8>,
}

impl Keys {
    /// So many keys of a table.
    pub(super) fn new(key: &KeySchema, count: u32) -> Result<Self, Error> {
        let hash = |number| {
            let text = String::from_utf8_lossy(&key_text(number)).into_owned();
            let item = [(key.partition.name.clone(), AttributeValue::S(text))].into_iter().collect();
            key.key_of_key(&item).map(|item_key| item_key.hash())
        };
        let hashes = (0..count).map(hash).collect::<Result<_, _>>();
        let hashes = hashes.map_err(|error| Error::Invalid(error.to_string()))?;
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut random = Random::new(42);
        let pool = (0..POOL_BYTES).map(|_| alphabet[(random.next() >> 58) as usize]).collect();
        Ok(Self { hashes, pool })
    }

    pub(super) fn count(&self) -> u32 {
        self.hashes.len() as u32
    }

    pub(super) fn hash(&self, number: u32) -> u64 {
        self.hashes[number as usize]
    }

    /// A value of so many bytes.
    pub(super) fn value(&self, random: &mut Random, len: usize) -> &[u8] {
        let at = random.below((self.pool.len() - len) as u32) as usize;
        &self.pool[at..at + len]
    }
}

/// The text of a key.
pub(super) fn key_text(number: u32) -> [u8; KEY_BYTES] {
    // Spread over the key space, so that neighbours in number are none in the table.
    let mixed = Random::new(u64::from(number)).next();
    let mut text = [b'k'; KEY_BYTES];
    for (place, letter) in text[1..].iter_mut().enumerate() {
        *letter = b"0123456789abcdef"[(mixed >> (60 - 4 * place)) as usize & 15];
    }
    text
}

/// The text of a stamp.
pub(super) fn stamp_text(mut stamp: u64) -> [u8; STAMP_BYTES] {
    let mut text = [b'0'; STAMP_BYTES];
    for letter in text.iter_mut().rev() {
        *letter = b'0' + (stamp % 10) as u8;
        stamp /= 10;
    }
    text
}

/// The stamp a value begins with.
pub(super) fn read_stamp(value: &str) -> Option<u64> {
    value.get(..STAMP_BYTES)?.parse().ok()
}

/// An encoded request with places for a key and a value.
#[derive(Clone)]
pub(super) struct Template {
    /// The call.
    pub method: Method,
    bytes: Vec<u8>,
    key_at: usize,
    value_at: usize,
    value_len: usize,
}

impl Template {
    /// A put of an item with a value of so many bytes.
    pub(super) fn put(table: &TableName, key: &KeySchema, value_len: usize) -> Self {
        Self::of(Prepared::put(table, &item(key, value_len), WriteOptions::default()), value_len)
    }

    /// An update that sets the value.
    pub(super) fn update(table: &TableName, key: &KeySchema, value_len: usize) -> Self {
        let mut set = item(key, value_len);
        set.remove(key.partition.name.as_str());
        let update = Expression::assign(&set, &[]);
        let prepared = Prepared::update(table, &key_item(key), update, WriteOptions::default());
        Self::of(prepared, value_len)
    }

    /// One write of a batch.
    pub(super) fn batch_part(table: &TableName, key: &KeySchema, value_len: usize) -> Self {
        let part = Prepared::batch_part(&BatchWrite::Put(table.clone(), item(key, value_len)));
        Self::of(Ok(part), value_len)
    }

    /// A read.
    pub(super) fn get(table: &TableName, key: &KeySchema, consistent: bool) -> Self {
        let options = ReadOptions { consistent, ..ReadOptions::default() };
        Self::of(Prepared::get(table, &key_item(key), options), 0)
    }

    fn of(prepared: Result<Prepared, client::Error>, value_len: usize) -> Self {
        let prepared = prepared.expect("one expression agrees with itself");
        let bytes = prepared.body.to_vec();
        let key_at = bytes.windows(KEY_BYTES).position(|window| window == KEY_MARK);
        let value_at = match value_len {
            0 => Some(0),
            _ => bytes.windows(value_len).position(|window| window.iter().all(|byte| *byte == VALUE_MARK)),
        };
        Self {
            method: prepared.method,
            bytes,
            key_at: key_at.expect("strings are stored as their bytes"),
            value_at: value_at.expect("strings are stored as their bytes"),
            value_len,
        }
    }

    pub(super) fn value_len(&self) -> usize {
        self.value_len
    }

    /// How many bytes the request has.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The request for a key and a value, appended; returns where the value is.
    pub(super) fn append(&self, key: &[u8; KEY_BYTES], value: &[u8], out: &mut BytesMut) -> usize {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        out[start + self.key_at..][..KEY_BYTES].copy_from_slice(key);
        let value_at = start + self.value_at;
        out[value_at..][..self.value_len].copy_from_slice(value);
        value_at
    }

    /// The request for a key and a value.
    pub(super) fn fill(&self, key: &[u8; KEY_BYTES], value: &[u8]) -> Bytes {
        let mut out = BytesMut::with_capacity(self.len());
        self.append(key, value, &mut out);
        out.freeze()
    }

    /// The request for a key and a value that begins with a stamp.
    pub(super) fn fill_stamped(&self, key: &[u8; KEY_BYTES], value: &[u8], stamp: u64) -> Bytes {
        let mut out = BytesMut::with_capacity(self.len());
        let value_at = self.append(key, value, &mut out);
        out[value_at..][..STAMP_BYTES].copy_from_slice(&stamp_text(stamp));
        out.freeze()
    }
}

fn key_item(key: &KeySchema) -> Item {
    let text = String::from_utf8_lossy(&KEY_MARK).into_owned();
    [(key.partition.name.clone(), AttributeValue::S(text))].into_iter().collect()
}

fn item(key: &KeySchema, value_len: usize) -> Item {
    let mut item = key_item(key);
    let name = AttributeName::parse(VALUE_NAME).expect("a name of five letters");
    let value = String::from(char::from(VALUE_MARK)).repeat(value_len);
    item.insert(name, AttributeValue::S(value));
    item
}

#[cfg(test)]
mod tests {
    use super::super::key::parse_attribute;
    use super::*;
    use crate::rpc::wire::v1;
    use prost::Message;

    fn schema() -> KeySchema {
        KeySchema { partition: parse_attribute("id:S").expect("a good attribute"), sort: None }
    }

    #[test]
    fn filled_requests_are_what_they_say() {
        let table = TableName::parse("bench").expect("a good name");
        let keys = Keys::new(&schema(), 10).expect("good keys");
        let template = Template::put(&table, &schema(), 100);
        let value = keys.value(&mut Random::new(1), 100);
        let body = template.fill_stamped(&key_text(3), value, 12345);
        let request = v1::PutItemRequest::decode(body).expect("a request");
        assert_eq!(request.table_name, "bench");
        let item = request.item.expect("an item").decode().expect("a good item");
        let Some(AttributeValue::S(key)) = item.get("id") else { panic!("no key: {item:?}") };
        let Some(AttributeValue::S(text)) = item.get(VALUE_NAME) else { panic!("no value: {item:?}") };
        assert_eq!(key.as_bytes(), key_text(3));
        assert_eq!((text.len(), read_stamp(text)), (100, Some(12345)));
        assert_eq!(text.as_bytes()[STAMP_BYTES..], value[STAMP_BYTES..]);
        assert_eq!(schema().key_of_item(&item).expect("a good key").hash(), keys.hash(3));
    }

    #[test]
    fn parts_one_behind_the_other_are_a_batch() {
        let table = TableName::parse("bench").expect("a good name");
        let part = Template::batch_part(&table, &schema(), 20);
        let mut out = BytesMut::new();
        for number in 0..3 {
            part.append(&key_text(number), &[b'x'; 20], &mut out);
        }
        let request = v1::BatchWriteItemRequest::decode(out.freeze()).expect("a request");
        assert_eq!(request.requests.len(), 3);
    }

    #[test]
    fn stamps_survive() {
        for stamp in [0, 7, u64::MAX] {
            let text = stamp_text(stamp);
            assert_eq!(read_stamp(std::str::from_utf8(&text).expect("digits")), Some(stamp));
        }
        assert_eq!(read_stamp("short"), None);
    }

    #[test]
    fn random_numbers_are_below_their_bound() {
        let mut random = Random::new(0);
        assert!((0..1000).all(|_| random.below(7) < 7));
    }
}
