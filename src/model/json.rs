//! Writing JSON as DynamoDB has it: objects straight into bytes, items from their stored form without decoding them to
//! anything. Answers of the protocol are written so, and the events that functions are called with.
//!
//! Stored bytes are trusted as `model::lookup` trusts them: what cannot be written as JSON is `Corrupt`, and then what
//! was written so far is no JSON and must be thrown away. Order within an item and duplicates are not looked at.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::model::Corrupt;
use crate::model::limits::NESTING_MAX;
use crate::model::lookup::{self, Elements, Entries, Stored};

/// A JSON object that is being written. Members stand in the order in which they are given; names are not compared.
#[derive(Debug)]
#[must_use = "an object that is not ended is no JSON"]
pub struct Object<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl<'a> Object<'a> {
    /// Starts an object behind what is in `out`.
    pub fn begin(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    /// Ends it.
    pub fn end(self) {
        self.out.push(b'}');
    }

    /// A string.
    pub fn text(&mut self, name: &str, text: &str) {
        string(text, self.name(name));
    }

    /// A list of strings.
    pub fn texts<T: AsRef<str>>(&mut self, name: &str, texts: impl IntoIterator<Item = T>) {
        let out = self.name(name);
        let written: Result<(), Corrupt> = list(texts, out, |text, out| {
            string(text.as_ref(), out);
            Ok(())
        });
        written.expect("no text is stored bytes");
    }

    /// A signed integer.
    pub fn integer(&mut self, name: &str, value: i64) {
        plain(format_args!("{value}"), self.name(name));
    }

    /// An unsigned integer.
    pub fn unsigned(&mut self, name: &str, value: u64) {
        plain(format_args!("{value}"), self.name(name));
    }

    /// A floating point number, with a point; null if it is none that JSON knows.
    pub fn double(&mut self, name: &str, value: f64) {
        let out = self.name(name);
        if value.is_finite() { plain(format_args!("{value:?}"), out) } else { out.extend_from_slice(b"null") }
    }

    /// A boolean.
    pub fn boolean(&mut self, name: &str, value: bool) {
        plain(format_args!("{value}"), self.name(name));
    }

    /// A time in milliseconds since the epoch: seconds with up to three decimals.
    pub fn time(&mut self, name: &str, ms: u64) {
        let (seconds, fraction) = (ms / 1000, ms % 1000);
        let out = self.name(name);
        match fraction {
            0 => plain(format_args!("{seconds}"), out),
            _ if fraction % 100 == 0 => plain(format_args!("{seconds}.{}", fraction / 100), out),
            _ if fraction % 10 == 0 => plain(format_args!("{seconds}.{:02}", fraction / 10), out),
            _ => plain(format_args!("{seconds}.{fraction:03}"), out),
        }
    }

    /// A stored item. Errors: `Corrupt`.
    pub fn item(&mut self, name: &str, stored: &[u8]) -> Result<(), Corrupt> {
        write_item(stored, self.name(name))
    }

    /// A list of stored items. Errors: `Corrupt`.
    pub fn items<T: AsRef<[u8]>>(
        &mut self,
        name: &str,
        stored: impl IntoIterator<Item = T>,
    ) -> Result<(), Corrupt> {
        list(stored, self.name(name), |stored, out| write_item(stored.as_ref(), out))
    }

    /// What `write` appends, which must be one JSON value.
    pub fn raw(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
        write(self.name(name));
    }

    /// An object. Errors: those of `write`.
    pub fn object(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut Object<'_>) -> Result<(), Corrupt>,
    ) -> Result<(), Corrupt> {
        object(self.name(name), write)
    }

    /// A list of objects, one for each of `each`. Errors: the first of `write`.
    pub fn objects<T>(
        &mut self,
        name: &str,
        each: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Object<'_>, T) -> Result<(), Corrupt>,
    ) -> Result<(), Corrupt> {
        list(each, self.name(name), |each, out| object(out, |object| write(object, each)))
    }

    /// What a member starts with; its value comes next.
    fn name(&mut self, name: &str) -> &mut Vec<u8> {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        string(name, self.out);
        self.out.push(b':');
        self.out
    }
}

/// Appends a stored item. Errors: `Corrupt`.
pub fn write_item(stored: &[u8], out: &mut Vec<u8>) -> Result<(), Corrupt> {
    entries(Entries::of_item(stored), NESTING_MAX, out)
}

fn entries(entries: Entries<'_>, levels: usize, out: &mut Vec<u8>) -> Result<(), Corrupt> {
    let mut opening = b'{';
    for entry in entries {
        let entry = entry?;
        out.push(opening);
        opening = b',';
        string(utf8(entry.name)?, out);
        out.push(b':');
        nested(entry.value, levels, out)?;
    }
    if opening == b'{' {
        out.push(opening);
    }
    out.push(b'}');
    Ok(())
}

/// A value that may nest `levels` deep, itself being the first.
fn nested(stored: &[u8], levels: usize, out: &mut Vec<u8>) -> Result<(), Corrupt> {
    let Some(inner) = levels.checked_sub(1) else {
        return Err(Corrupt { what: "values nested too deep", offset: 0 });
    };
    if let Some(text) = lookup::number_text(stored)? {
        out.extend_from_slice(b"{\"N\":");
        number(text, out)?;
        out.push(b'}');
        return Ok(());
    }
    match Stored::read(stored)? {
        Stored::S(text) => {
            out.extend_from_slice(b"{\"S\":");
            string(text, out);
        }
        Stored::N(_) => unreachable!("every number is written above"),
        Stored::B(bytes) => {
            out.extend_from_slice(b"{\"B\":");
            base64(bytes, out);
        }
        Stored::Bool(true) => out.extend_from_slice(b"{\"BOOL\":true"),
        Stored::Bool(false) => out.extend_from_slice(b"{\"BOOL\":false"),
        Stored::Null => out.extend_from_slice(b"{\"NULL\":true"),
        Stored::M(map) => {
            out.extend_from_slice(b"{\"M\":");
            entries(map, inner, out)?;
        }
        Stored::L(elements) => {
            out.extend_from_slice(b"{\"L\":");
            parts(elements, out, |element, out| nested(element, inner, out))?;
        }
        Stored::Ss(members) => {
            out.extend_from_slice(b"{\"SS\":");
            parts(members, out, |member, out| utf8(member).map(|text| string(text, out)))?;
        }
        Stored::Ns(members) => {
            out.extend_from_slice(b"{\"NS\":");
            parts(members, out, number)?;
        }
        Stored::Bs(members) => {
            out.extend_from_slice(b"{\"BS\":");
            parts(members, out, |member, out| {
                base64(member, out);
                Ok(())
            })?;
        }
    }
    out.push(b'}');
    Ok(())
}

fn parts(
    elements: Elements<'_>,
    out: &mut Vec<u8>,
    write: impl Fn(&[u8], &mut Vec<u8>) -> Result<(), Corrupt>,
) -> Result<(), Corrupt> {
    list(elements, out, |part, out| write(part?, out))
}

fn list<T>(
    each: impl IntoIterator<Item = T>,
    out: &mut Vec<u8>,
    mut write: impl FnMut(T, &mut Vec<u8>) -> Result<(), Corrupt>,
) -> Result<(), Corrupt> {
    out.push(b'[');
    for (index, each) in each.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(each, out)?;
    }
    out.push(b']');
    Ok(())
}

fn object(
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Object<'_>) -> Result<(), Corrupt>,
) -> Result<(), Corrupt> {
    let mut object = Object::begin(out);
    write(&mut object)?;
    object.end();
    Ok(())
}

fn plain(text: std::fmt::Arguments<'_>, out: &mut Vec<u8>) {
    out.write_fmt(text).expect("writing to memory does not fail");
}

/// The canonical text of a number, in quotes.
fn number(text: &[u8], out: &mut Vec<u8>) -> Result<(), Corrupt> {
    // It was not checked as it was found, and other characters could end the string.
    if !text.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'.')) {
        return Err(Corrupt { what: "a malformed number", offset: 0 });
    }
    out.push(b'"');
    out.extend_from_slice(text);
    out.push(b'"');
    Ok(())
}

fn utf8(bytes: &[u8]) -> Result<&str, Corrupt> {
    std::str::from_utf8(bytes).map_err(|_| Corrupt { what: "text that is not UTF-8", offset: 0 })
}

/// Base64 in quotes.
fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    STANDARD.encode_slice(bytes, &mut out[start..]).expect("there is room for four digits of three bytes");
    out.push(b'"');
}

/// For each byte what stands behind the backslash in its place: 0 if it stands for itself, `u` if its number does.
const ESCAPES: [u8; 256] = {
    let mut escapes = [0; 256];
    let mut control = 0;
    while control < 0x20 {
        escapes[control] = b'u';
        control += 1;
    }
    escapes[0x08] = b'b';
    escapes[0x09] = b't';
    escapes[0x0A] = b'n';
    escapes[0x0C] = b'f';
    escapes[0x0D] = b'r';
    escapes[b'"' as usize] = b'"';
    escapes[b'\\' as usize] = b'\\';
    escapes
};

/// The first byte that does not stand for itself.
fn escape_in(bytes: &[u8]) -> Option<usize> {
    // Without a table and without an early end, the compiler looks at a whole block at once.
    const BLOCK: usize = 32;
    let special = |found: bool, byte: &u8| found | (*byte < 0x20) | (*byte == b'"') | (*byte == b'\\');
    let plain =
        bytes.chunks_exact(BLOCK).take_while(|block| !block.iter().fold(false, special)).count() * BLOCK;
    let rest = &bytes[plain..];
    rest.iter().position(|byte| ESCAPES[usize::from(*byte)] != 0).map(|at| plain + at)
}

/// A string in quotes: runs of characters that stand for themselves are copied at once.
fn string(text: &str, out: &mut Vec<u8>) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = escape_in(rest) {
        out.extend_from_slice(&rest[..at]);
        match ESCAPES[usize::from(rest[at])] {
            b'u' => plain(format_args!("\\u{:04x}", rest[at]), out),
            escape => out.extend_from_slice(&[b'\\', escape]),
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

#[cfg(test)]
#[path = "json_test.rs"]
mod tests;
