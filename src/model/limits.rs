//! Every bound of the product, in one place, with const asserts between them.
//!
//! A limit that DynamoDB promises to clients is followed by its section in the behaviour specification
//! (`DYNAMODB.md`); the others are ours, and say what they protect. Sizes are bytes unless the name says otherwise.
//! None of these is configuration: a number becomes a setting only when an operator has proved the need.

/// Largest item: names plus values by the rules of `AttributeValue::size`. Source: 2.1.4 (400 KB).
pub const ITEM_BYTES_MAX: usize = 409_600;

/// Largest partition key value, in bytes of its UTF-8, raw binary or number size. Source: 2.1.3.
pub const PARTITION_KEY_BYTES_MAX: usize = 2048;

/// Largest sort key value, counted as the partition key's. Source: 2.1.3.
pub const SORT_KEY_BYTES_MAX: usize = 1024;

/// Shortest table or index name, in characters. Source: 2.1.3.
pub const TABLE_NAME_LEN_MIN: usize = 3;

/// Longest table or index name, in characters (all ASCII, so also bytes). Source: 2.1.3.
pub const TABLE_NAME_LEN_MAX: usize = 255;

/// Longest attribute name, in UTF-8 bytes. Source: 2.1.3.
pub const ATTRIBUTE_NAME_BYTES_MAX: usize = 65_535;

/// Longest name of a key attribute (also of the TTL attribute and of NonKeyAttributes), in UTF-8 bytes.
/// Source: 2.1.3.
pub const KEY_NAME_BYTES_MAX: usize = 255;

/// Deepest nesting of an attribute's value: the value itself is level 1, what is inside it level 2, and so on;
/// scalars and sets count as a level, so 31 maps around a string pass and 32 do not. Source: 2.1.4.
pub const NESTING_MAX: usize = 32;

/// Most significant decimal digits of a number. Source: 2.1.2.
pub const NUMBER_DIGITS_MAX: usize = 38;

/// Largest decimal exponent of a number's leading digit: 9.99..E+125. Source: 2.1.2.
pub const NUMBER_MAGNITUDE_MAX: i16 = 125;

/// Smallest decimal exponent of a number's leading digit: 1E-130. Source: 2.1.2.
pub const NUMBER_MAGNITUDE_MIN: i16 = -130;

/// Most put and delete requests in one BatchWriteItem. Source: 2.3.
pub const BATCH_WRITE_ITEMS_MAX: usize = 25;

/// Most keys in one BatchGetItem. Source: 2.3.
pub const BATCH_GET_ITEMS_MAX: usize = 100;

/// Most actions in one transaction. Source: 2.3.
pub const TRANSACTION_ITEMS_MAX: usize = 100;

/// Largest request body, and largest BatchGetItem answer. Source: 2.3, 3.1.
pub const REQUEST_BYTES_MAX: usize = 16 * MIB;

/// A page of Query, Scan or GetRecords ends once the sizes of what it evaluated pass this. Source: 2.3, 1.8.
pub const PAGE_BYTES_MAX: usize = MIB;

/// A page of items also ends once what it shows passes this as encoded (see `ITEM_ENCODED_BYTES_MAX`: small numbers may
/// be long as bytes). Ours: an answer must fit an rpc.
pub const PAGE_ENCODED_BYTES_MAX: usize = 8 * MIB;

/// Most records in one GetRecords page. Source: 1.8.
pub const RECORDS_PER_PAGE_MAX: usize = 1000;

/// Life of a shard iterator from its issue, in milliseconds: 15 minutes. Source: 1.8.
pub const ITERATOR_LIFE_MS: u64 = 15 * 60 * 1000;

/// How long a record stays readable after it was written, in milliseconds: 24 hours. Source: 1.9.
pub const RETENTION_MS: u64 = 24 * 60 * 60 * 1000;

/// Everything is gone within retention plus this, in milliseconds: 4 hours. Ours (DESIGN 6).
pub const TRIM_DELAY_MS_MAX: u64 = 4 * 60 * 60 * 1000;

/// Most changes in one log entry. Ours: bounds the latency of a batch; also the range of a record's ordinal.
pub const ENTRY_CHANGES_MAX: usize = 512;

/// An entry closes once it has passed this: an entry is at most this plus one change. Ours.
pub const ENTRY_BYTES_MAX: usize = MIB;

/// Size of one log segment file. Ours (DESIGN 3).
pub const SEGMENT_BYTES: usize = 64 * MIB;

/// Largest message between nodes. Ours: bounds what a receiver must buffer.
pub const RPC_BYTES_MAX: usize = 16 * MIB;

/// Largest item as stored (see `codec`). Tags and lengths are at most 6 times what a small value counts (a set of one
/// empty string in a list: 6 bytes for 1), but a number in full decimal is up to 132 bytes for 2. So this is a limit of
/// its own: of the items within `ITEM_BYTES_MAX`, those are refused as too large that are near it and mostly made of
/// numbers with long runs of zeros. Ours: two images must fit an rpc.
pub const ITEM_ENCODED_BYTES_MAX: usize = 16 * ITEM_BYTES_MAX;

/// Largest item key (see `key`): the partition hash, an escaped partition key (every byte may double) with its
/// terminator, and a sort key.
pub const ITEM_KEY_BYTES_MAX: usize = 8 + 2 * PARTITION_KEY_BYTES_MAX + 2 + SORT_KEY_BYTES_MAX;

/// Largest change in an entry: its key, two images, and up to 64 bytes of kinds, lengths and positions.
pub const CHANGE_BYTES_MAX: usize = ITEM_KEY_BYTES_MAX + 2 * ITEM_ENCODED_BYTES_MAX + 64;

/// Largest payload of a log entry, without the log's own frame.
pub const ENTRY_ENCODED_BYTES_MAX: usize = ENTRY_BYTES_MAX + CHANGE_BYTES_MAX;

const MIB: usize = 1 << 20;

/// Room for the frame of the log, or the envelope of an rpc, around a payload.
const ENVELOPE_BYTES: usize = 64 * 1024;

const _: () =
    assert!(ENTRY_ENCODED_BYTES_MAX + ENVELOPE_BYTES <= SEGMENT_BYTES, "the largest entry fits a segment");
const _: () =
    assert!(ENTRY_ENCODED_BYTES_MAX + ENVELOPE_BYTES <= RPC_BYTES_MAX, "the largest entry fits an rpc");
const _: () = assert!(2 * ENTRY_ENCODED_BYTES_MAX <= SEGMENT_BYTES, "a segment is not wasted on one entry");
const _: () = assert!(ITEM_BYTES_MAX <= PAGE_BYTES_MAX, "a page holds any item");
const _: () = assert!(ITEM_ENCODED_BYTES_MAX <= ENTRY_ENCODED_BYTES_MAX, "an entry holds any item");
const _: () = assert!(
    PAGE_ENCODED_BYTES_MAX + ITEM_ENCODED_BYTES_MAX + ENVELOPE_BYTES <= RPC_BYTES_MAX,
    "the largest page fits an rpc"
);
const _: () = assert!(REQUEST_BYTES_MAX <= RPC_BYTES_MAX, "a request can be forwarded as it came");
const _: () = assert!(BATCH_WRITE_ITEMS_MAX <= ENTRY_CHANGES_MAX, "a batch can be one entry");
const _: () = assert!(TRANSACTION_ITEMS_MAX <= ENTRY_CHANGES_MAX, "a transaction can be one entry");
const _: () = assert!(SORT_KEY_BYTES_MAX <= PARTITION_KEY_BYTES_MAX, "the partition key is the longer one");
const _: () = assert!(KEY_NAME_BYTES_MAX <= ATTRIBUTE_NAME_BYTES_MAX, "a key's name is a name");
const _: () = assert!(ITERATOR_LIFE_MS < RETENTION_MS, "an iterator does not outlive what it points at");
const _: () = assert!(
    NUMBER_MAGNITUDE_MAX as i32 - NUMBER_MAGNITUDE_MIN as i32 == 255,
    "a number's magnitude fills exactly one byte of a key"
);
const _: () = assert!(10u128.checked_pow(NUMBER_DIGITS_MAX as u32).is_some(), "a coefficient fits a u128");
