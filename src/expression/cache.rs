//! Parsed expressions by their text: programs say the same again and again, with other values.
//!
//! Two generations bound it. What is parsed goes into the young one, and so does what is found in the old one; when
//! the young one has half of what is allowed it becomes the old one, and the old one is dropped. What is in use is thus
//! kept, at the cost of half the room, without a list to be put in order at each look. What is kept depends on the
//! calls alone, not on time or chance.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::error::Error;
use super::parser::parse;
use super::syntax::{EXPRESSION_BYTES_MAX, Kind, Parsed};

/// Parsed expressions, bounded in number and bytes. For many threads; a look holds a lock for no longer than it takes
/// to hash the text and compare it.
#[derive(Debug)]
pub struct Cache(Mutex<Generations>);

impl Cache {
    /// A cache of at most so many expressions, of at most so many bytes by an estimate that is rather too high. With
    /// less than two of the one, or less than an expression takes of the other, it keeps nothing.
    pub fn new(entries_max: usize, bytes_max: usize) -> Self {
        Self(Mutex::new(Generations {
            entries_max: entries_max / 2,
            bytes_max: bytes_max / 2,
            ..Generations::default()
        }))
    }

    /// The parsed expression, from here if it is known. Errors: as `parse`; they are not kept.
    pub fn parse(&self, kind: Kind, text: &str) -> Result<Arc<Parsed>, Error> {
        // What is too long is not here, and not worth its hash.
        if text.len() <= EXPRESSION_BYTES_MAX
            && let Some(parsed) = self.generations().find(kind, text)
        {
            return Ok(parsed);
        }
        let parsed = Arc::new(parse(kind, text)?);
        self.generations().insert(kind, text.into(), parsed.clone());
        Ok(parsed)
    }

    /// How many expressions are kept.
    pub fn len(&self) -> usize {
        let generations = self.generations();
        generations.young.entries + generations.old.entries
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn generations(&self) -> MutexGuard<'_, Generations> {
        // They are whole whenever anything could panic, so nothing is broken if something did.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct Generations {
    young: Generation,
    old: Generation,
    /// Of each generation.
    entries_max: usize,
    bytes_max: usize,
}

impl Generations {
    fn find(&mut self, kind: Kind, text: &str) -> Option<Arc<Parsed>> {
        if let Some(parsed) = self.young.by_text[kind as usize].get(text) {
            return Some(parsed.clone());
        }
        let (text, parsed) = self.old.remove(kind, text)?;
        self.insert(kind, text, parsed.clone());
        Some(parsed)
    }

    fn insert(&mut self, kind: Kind, text: Box<str>, parsed: Arc<Parsed>) {
        if self.entries_max == 0 || weight(&text) > self.bytes_max {
            return;
        }
        let full = self.young.entries >= self.entries_max;
        if full || self.young.bytes + weight(&text) > self.bytes_max {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(kind, text, parsed);
    }
}

/// Expressions by text, of each kind. Never iterated, so the hash decides nothing. It has no secret, so texts that
/// collide can be made; a look then takes as long as comparing with all of them, which are bounded.
#[derive(Debug, Default)]
struct Generation {
    by_text: [HashMap<Box<str>, Arc<Parsed>, BuildHasherDefault<TextHasher>>; Kind::COUNT],
    entries: usize,
    /// Of what was put in.
    bytes: usize,
}

impl Generation {
    fn insert(&mut self, kind: Kind, text: Box<str>, parsed: Arc<Parsed>) {
        let weight = weight(&text);
        // Two threads may have parsed the same.
        if self.by_text[kind as usize].insert(text, parsed).is_none() {
            self.entries += 1;
            self.bytes += weight;
        }
    }

    fn remove(&mut self, kind: Kind, text: &str) -> Option<(Box<str>, Arc<Parsed>)> {
        let removed = self.by_text[kind as usize].remove_entry(text)?;
        self.entries -= 1;
        Some(removed)
    }
}

/// What an expression counts for, in bytes. The most is made of `REMOVE a,b`: a path in a vector that grows by
/// doubling, and a shared name, of every two bytes.
fn weight(text: &str) -> usize {
    256 + 80 * text.len()
}

#[derive(Default)]
struct TextHasher(u64);

impl Hasher for TextHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    fn write_u8(&mut self, _: u8) {
        // The mark that ends a string: there is nothing after it to be told from.
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
