//! What a bench sends: requests encoded once, in which only the key and the value are written over.

use bytes::{Bytes, BytesMut};
use prost::Message;

use super::Error;
use crate::client::{BatchWrite, Expression, Method, Prepared, ReadOptions, WriteOptions};
use crate::model::{AttributeName, AttributeValue, Item, KeySchema, TableName};
use crate::rpc::item::value_to_wire;
use crate::rpc::wire::v1;

/// A key: 'k' and 16 hex digits.
pub(super) const KEY_BYTES: usize = 17;

/// A stamp: 20 decimal digits at the start of a value.
pub(super) const STAMP_BYTES: usize = 20;

/// The attribute that holds the value.
pub(super) const VALUE_NAME: &str = "value";

/// Items of one partition key, where the table has a sort key.
pub(super) const QUERY_ITEMS: u32 = 100;

/// Stands where the partition key goes; found by its letters, which no encoding touches.
const KEY_MARK: &str = "k~~~~~~~~~~~~~~~~";

/// Stands where the sort key goes.
const SORT_MARK: &str = "s~~~~~~~~~~~~~~~~";

/// Of these is the value that is written over.
const VALUE_MARK: &str = "^";

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

/// What a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// Writes an item.
    Put,
    /// Sets the value of an item.
    Update,
    /// Writes several items.
    BatchWrite,
    /// Reads an item.
    Get,
    /// Reads the items of a partition key.
    Query,
}

impl Operation {
    /// Its gRPC method.
    pub(super) fn method(self) -> Method {
        match self {
            Self::Put => Method::PUT_ITEM,
            Self::Update => Method::UPDATE_ITEM,
            Self::BatchWrite => Method::BATCH_WRITE_ITEM,
            Self::Get => Method::GET_ITEM,
            Self::Query => Method::QUERY,
        }
    }

    /// How many items its answer has; `None`: it writes.
    pub(super) fn items_read(self) -> Option<u32> {
        match self {
            Self::Put | Self::Update | Self::BatchWrite => None,
            Self::Get => Some(1),
            Self::Query => Some(QUERY_ITEMS),
        }
    }
}

/// A key as it stands in a request.
pub(super) struct Key {
    partition: [u8; KEY_BYTES],
    sort: [u8; KEY_BYTES],
}

/// The keys there are, with their partition hashes, and the values.
pub(super) struct Keys {
    count: u32,
    /// Keys of one partition key.
    per_partition: u32,
    /// Of the partition keys.
    hashes: Vec<u64>,
    pool: Vec<u8>,
}

impl Keys {
    /// So many keys of a table.
    pub(super) fn new(key: &KeySchema, count: u32) -> Result<Self, Error> {
        let per_partition = if key.sort.is_some() { QUERY_ITEMS } else { 1 };
        let hash = |number| {
            let text = String::from_utf8_lossy(&key_text(number)).into_owned();
            key.key_of_key(&key_item(key, &text, SORT_MARK)).map(|item_key| item_key.hash())
        };
        let hashes = (0..count.div_ceil(per_partition)).map(hash).collect::<Result<_, _>>();
        let hashes = hashes.map_err(|error| Error::Invalid(error.to_string()))?;
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut random = Random::new(42);
        let pool = (0..POOL_BYTES).map(|_| alphabet[(random.next() >> 58) as usize]).collect();
        Ok(Self { count, per_partition, hashes, pool })
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    pub(super) fn hash(&self, number: u32) -> u64 {
        self.hashes[(number / self.per_partition) as usize]
    }

    pub(super) fn key(&self, number: u32) -> Key {
        Key { partition: key_text(number / self.per_partition), sort: key_text(number) }
    }

    /// The number of some key; for a query, one whose partition key has all its items.
    pub(super) fn some(&self, random: &mut Random, operation: Operation) -> u32 {
        match operation {
            Operation::Query => random.below(self.count / self.per_partition) * self.per_partition,
            Operation::Put | Operation::Update | Operation::BatchWrite | Operation::Get => {
                random.below(self.count)
            }
        }
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

/// What the requests are about.
pub(super) struct Subject<'a> {
    /// The table.
    pub table: &'a TableName,
    /// Its key.
    pub key: &'a KeySchema,
    /// Bytes of each value.
    pub value_len: usize,
    /// Whether reads are strongly consistent.
    pub consistent: bool,
}

impl Subject<'_> {
    /// The key, of marks.
    pub(super) fn key_item(&self) -> Item {
        key_item(self.key, KEY_MARK, SORT_MARK)
    }

    /// The value, of marks.
    pub(super) fn value(&self) -> AttributeValue {
        AttributeValue::S(VALUE_MARK.repeat(self.value_len))
    }

    /// The item, of marks.
    pub(super) fn item(&self) -> Item {
        let mut item = self.key_item();
        item.insert(value_name(), self.value());
        item
    }

    /// The partition key, of marks.
    pub(super) fn partition(&self) -> AttributeValue {
        AttributeValue::S(KEY_MARK.to_owned())
    }

    /// The update that sets the value.
    pub(super) fn update(&self) -> Expression {
        let set = [(value_name(), self.value())].into_iter().collect();
        Expression::assign(&set, &[]).expect("it sets one attribute")
    }
}

/// An encoded request with places for a key and a value.
#[derive(Clone)]
pub(super) struct Template {
    /// The call.
    pub operation: Operation,
    bytes: Vec<u8>,
    key_at: usize,
    /// Where the request has a sort key.
    sort_at: Option<usize>,
    value_at: usize,
    value_len: usize,
}

impl Template {
    /// The request of a gRPC call; of a batch: one of its writes.
    pub(super) fn grpc(operation: Operation, subject: &Subject<'_>) -> Self {
        let (table, writes) = (subject.table, WriteOptions::default());
        let reads = ReadOptions { consistent: subject.consistent, ..ReadOptions::default() };
        let prepared = match operation {
            Operation::Put => Prepared::put(table, &subject.item(), writes),
            Operation::Update => Prepared::update(table, &subject.key_item(), Some(subject.update()), writes),
            Operation::BatchWrite => {
                Ok(Prepared::batch_part(&BatchWrite::Put(table.clone(), subject.item())))
            }
            Operation::Get => Prepared::get(table, &subject.key_item(), reads),
            Operation::Query => Ok(Prepared { method: Method::QUERY, body: query(subject) }),
        };
        let prepared = prepared.expect("one expression agrees with itself");
        Self::new(operation, prepared.body.to_vec(), subject)
    }

    /// The template of an encoded request with marks.
    pub(super) fn new(operation: Operation, bytes: Vec<u8>, subject: &Subject<'_>) -> Self {
        let value_len = if operation.items_read().is_some() { 0 } else { subject.value_len };
        let find = |text: &[u8]| bytes.windows(text.len()).position(|window| window == text);
        let key_at = find(KEY_MARK.as_bytes());
        let sort_at = find(SORT_MARK.as_bytes());
        let value_at = if value_len == 0 { Some(0) } else { find(VALUE_MARK.repeat(value_len).as_bytes()) };
        Self {
            operation,
            key_at: key_at.expect("strings are stored as their bytes"),
            sort_at,
            value_at: value_at.expect("strings are stored as their bytes"),
            value_len,
            bytes,
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
    pub(super) fn append(&self, key: &Key, value: &[u8], out: &mut BytesMut) -> usize {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        out[start + self.key_at..][..KEY_BYTES].copy_from_slice(&key.partition);
        if let Some(sort_at) = self.sort_at {
            out[start + sort_at..][..KEY_BYTES].copy_from_slice(&key.sort);
        }
        let value_at = start + self.value_at;
        out[value_at..][..self.value_len].copy_from_slice(value);
        value_at
    }

    /// The request for a key and a value.
    pub(super) fn fill(&self, key: &Key, value: &[u8]) -> Bytes {
        let mut out = BytesMut::with_capacity(self.len());
        self.append(key, value, &mut out);
        out.freeze()
    }

    /// The request for a key and a value that begins with a stamp.
    pub(super) fn fill_stamped(&self, key: &Key, value: &[u8], stamp: u64) -> Bytes {
        let mut out = BytesMut::with_capacity(self.len());
        let value_at = self.append(key, value, &mut out);
        out[value_at..][..STAMP_BYTES].copy_from_slice(&stamp_text(stamp));
        out.freeze()
    }
}

fn query(subject: &Subject<'_>) -> Bytes {
    let condition = Expression::partition(&subject.key.partition.name, subject.partition());
    let values = condition.values.iter().map(|(name, value)| (name.clone(), value_to_wire(value)));
    let request = v1::QueryRequest {
        table_name: subject.table.to_string(),
        expression_attribute_values: values.collect(),
        expression_attribute_names: condition.names,
        key_condition_expression: Some(condition.text),
        consistent_read: subject.consistent,
        ..Default::default()
    };
    request.encode_to_vec().into()
}

fn value_name() -> AttributeName {
    AttributeName::parse(VALUE_NAME).expect("a name of five letters")
}

fn key_item(key: &KeySchema, partition: &str, sort: &str) -> Item {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let sort = key.sort.as_ref().map(|attribute| (attribute.name.clone(), text(sort)));
    [(key.partition.name.clone(), text(partition))].into_iter().chain(sort).collect()
}

#[cfg(test)]
mod tests {
    use super::super::key::parse_attribute;
    use super::*;

    fn schema() -> KeySchema {
        KeySchema { partition: parse_attribute("id:S").expect("a good attribute"), sort: None }
    }

    fn sorted_schema() -> KeySchema {
        KeySchema { sort: Some(parse_attribute("at:S").expect("a good attribute")), ..schema() }
    }

    fn template(operation: Operation, key: &KeySchema, value_len: usize) -> Template {
        let table = TableName::parse("bench").expect("a good name");
        Template::grpc(operation, &Subject { table: &table, key, value_len, consistent: true })
    }

    #[test]
    fn filled_requests_are_what_they_say() {
        let keys = Keys::new(&schema(), 10).expect("good keys");
        let template = template(Operation::Put, &schema(), 100);
        let value = keys.value(&mut Random::new(1), 100);
        let body = template.fill_stamped(&keys.key(3), value, 12345);
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
        let keys = Keys::new(&schema(), 10).expect("good keys");
        let part = template(Operation::BatchWrite, &schema(), 20);
        let mut out = BytesMut::new();
        for number in 0..3 {
            part.append(&keys.key(number), &[b'x'; 20], &mut out);
        }
        let request = v1::BatchWriteItemRequest::decode(out.freeze()).expect("a request");
        assert_eq!(request.requests.len(), 3);
    }

    #[test]
    fn a_partition_key_has_so_many_items() {
        let keys = Keys::new(&sorted_schema(), 3 * QUERY_ITEMS + 1).expect("good keys");
        let put = template(Operation::Put, &sorted_schema(), 20);
        let query = template(Operation::Query, &sorted_schema(), 20);
        let number = 2 * QUERY_ITEMS;
        let mut sort_keys = std::collections::BTreeSet::new();
        for number in number..number + QUERY_ITEMS {
            let request = v1::PutItemRequest::decode(put.fill(&keys.key(number), &[b'x'; 20]));
            let item = request.expect("a request").item.expect("an item").decode().expect("a good item");
            let Some(AttributeValue::S(partition)) = item.get("id") else { panic!("no key: {item:?}") };
            let Some(AttributeValue::S(sort)) = item.get("at") else { panic!("no sort key: {item:?}") };
            assert_eq!(partition.as_bytes(), key_text(2));
            assert!(sort_keys.insert(sort.clone()), "{sort} twice");
            let key = sorted_schema().key_of_item(&item).expect("a good key");
            assert_eq!(key.hash(), keys.hash(number));
        }
        let request = v1::QueryRequest::decode(query.fill(&keys.key(number), &[])).expect("a request");
        assert_eq!(request.key_condition_expression.as_deref(), Some("#partition = :partition"));
        assert_eq!(request.expression_attribute_names["#partition"], "id");
        let text = String::from_utf8_lossy(&key_text(2)).into_owned();
        let value = &request.expression_attribute_values[":partition"];
        assert_eq!(*value, value_to_wire(&AttributeValue::S(text)));
        assert!(request.consistent_read);
    }

    #[test]
    fn queries_ask_for_partition_keys_that_are_whole() {
        let keys = Keys::new(&sorted_schema(), 2 * QUERY_ITEMS + 1).expect("good keys");
        let mut random = Random::new(3);
        let drawn = (0..100).map(|_| keys.some(&mut random, Operation::Query));
        let drawn: std::collections::BTreeSet<u32> = drawn.collect();
        assert_eq!(drawn, [0, QUERY_ITEMS].into());
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
