//! Expressions: what a request says in text about items, made into something that is evaluated.
//!
//! The way of an expression is `parse` (text to a tree that knows no values), binding by the request's `Placeholders`
//! (to an `ast`, with names and values in it), and evaluation. Legacy parameters come to the same `ast` by a shorter
//! way.
//!
//! What it promises:
//! - An `ast` that came from binding evaluates: nothing about it depends on the item any more but what the item has.
//! - What is wrong is told in DynamoDB's words, and of several faults the one that DynamoDB tells; it is told whatever
//!   the item, before anything is read.
//! - Hostile text costs time and memory in proportion to its length, of which no more than 4 KB are looked at, and a
//!   stack that is bounded: nothing nests deeper than there may be operators and calls.
//! - Pure: no IO, no async, no clock, no randomness. The cache has a lock, and no order that shows.
//!
//! Decision: one tree before binding and another one after it. Programs repeat their expressions with other values, so
//! the first is kept (`Cache`) and shared; the second travels between nodes, small and without names for things. It
//! costs a pass over the tree, which the checks of values need anyway.

#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))] // a new variant is decided on wherever it matters

pub mod ast;
mod cache;
mod comparison;
mod condition;
mod condition_binding;
mod error;
mod key_condition;
pub mod legacy;
mod lexer;
mod overlap;
mod parser;
mod path;
mod placeholders;
mod print;
mod projection;
mod reserved;
mod subject;
mod syntax;
mod update;
mod update_binding;
mod update_parser;

pub use cache::Cache;
pub use error::{Error, Fault, KeyConditionFault, Map, MapFault};
pub use parser::parse;
pub use placeholders::{PLACEHOLDER_BYTES_MAX, PLACEHOLDERS_BYTES_MAX, Placeholders};
pub use subject::Subject;
pub use syntax::{
    DEPTH_MAX, EXPRESSION_BYTES_MAX, IN_OPERANDS_MAX, Kind, LIST_INDEX_MAX, OPERATORS_MAX, PATH_LEVELS_MAX,
    Parsed,
};
pub use update::Refused;

#[cfg(test)]
mod agreement_test;
#[cfg(test)]
mod cache_test;
#[cfg(test)]
mod evaluation_test;
#[cfg(test)]
mod parser_test;
#[cfg(test)]
mod text_test;
#[cfg(test)]
pub(crate) mod values_test;
