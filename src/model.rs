//! The nouns: tables' names, attribute values, items, keys, positions. Everything else is written in these words.
//!
//! This room is pure: no IO, no async, no clock, no randomness, no other room. It holds what is true of a value by
//! itself, wherever it comes from; how values look in JSON or protobuf is the matter of `api` and `rpc`, and what
//! may be done with them of `expression` and `partition`.
//!
//! What it promises:
//! - An invalid name, number or set cannot be made from outside: `parse` and the set constructors refuse it with
//!   DynamoDB's exact message. Items are checked as a whole by `Item::validate`.
//! - One value has one representation. Equality is by value (numbers numeric, sets and maps unordered), and so is
//!   equality of stored bytes (`codec`): a write that changes nothing is found by comparing bytes.
//! - Byte order of item keys is DynamoDB's order within a partition key (`key`), so a query is a range.
//! - Decoders trust nothing: hostile bytes give `Corrupt`, in bounded time, memory and stack.
//! - Layouts and hashes are on disk and never change; golden tests hold them. A new layout is a new version.
//!
//! Deliberately absent: conversions to wire forms, defaults, anything that depends on a table's settings.
//!
//! Decision: sorted maps and sets throughout. They cost more than hash maps to build, but make order, equality,
//! encoding and the simulation deterministic without a thought.

#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))] // a new variant is decided on wherever it matters

pub mod codec;
pub mod error;
pub mod id;
pub mod item;
pub mod json;
pub mod key;
pub mod limits;
pub mod lookup;
pub mod name;
pub mod number;
pub mod value;
pub mod view_type;

pub use error::{Corrupt, Error};
pub use item::Item;
pub use key::{HashRange, ItemKey, KeyAttribute, KeySchema, KeyType};
pub use name::{AttributeName, TableName};
pub use number::Number;
pub use value::AttributeValue;
pub use view_type::StreamViewType;
