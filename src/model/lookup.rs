//! Reading parts of a stored item where they lie: an attribute, a member of a map, an element of a list.
//!
//! For filters and projections, which look at a few attributes of very many items. What is passed over is skipped by
//! its length and not checked; what is given is sound as far as it was walked. Whoever needs to know that an item is
//! sound as a whole decodes it (`codec`). Damage is the business of the checksums below.
//!
//! Nothing here allocates, only `item_size` recurses (no deeper than items nest), and every walk takes time linear in
//! the bytes it passes.

use std::cmp::Ordering;

use super::codec::{Reader, tag};
use super::error::Corrupt;
use super::limits::NESTING_MAX;
use super::number::Number;

/// The entries of a stored item, or of a map in one, in order of the bytes of their names. After the first `Corrupt`
/// it ends.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    reader: Reader<'a>,
}

/// An attribute of a stored item, or a member of a map in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The name; not checked to be UTF-8.
    pub name: &'a [u8],
    /// The value in its stored form.
    pub value: &'a [u8],
    /// All of it, as it would stand in an item of its own.
    pub whole: &'a [u8],
}

impl<'a> Entries<'a> {
    /// The attributes of a stored item.
    pub fn of_item(bytes: &'a [u8]) -> Self {
        Self { reader: Reader { bytes, at: 0 } }
    }

    /// The value of that name, in its stored form. Looks no further than where the name would stand.
    pub fn find(self, name: &str) -> Result<Option<&'a [u8]>, Corrupt> {
        for entry in self {
            let entry = entry?;
            match entry.name.cmp(name.as_bytes()) {
                Ordering::Less => {}
                Ordering::Equal => return Ok(Some(entry.value)),
                Ordering::Greater => return Ok(None),
            }
        }
        Ok(None)
    }

    #[inline]
    fn step(&mut self) -> Result<Entry<'a>, Corrupt> {
        let start = self.reader.at;
        self.reader.tag(tag::EACH)?;
        let mut entry = self.reader.message()?;
        entry.tag(tag::NAME)?;
        let name = entry.slice()?;
        entry.tag(tag::VALUE)?;
        let value = entry.slice()?;
        entry.end()?;
        Ok(Entry { name, value, whole: &self.reader.bytes[start..self.reader.at] })
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, Corrupt>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.done() {
            return None;
        }
        let step = self.step();
        if step.is_err() {
            self.reader.at = self.reader.bytes.len();
        }
        Some(step)
    }
}

/// The elements of a stored list, each in its stored form, or the members of a stored set: the bytes of a string or a
/// binary, the canonical text of a number. After the first `Corrupt` it ends.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    reader: Reader<'a>,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<&'a [u8], Corrupt>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.done() {
            return None;
        }
        let step = self.reader.tag(tag::EACH).and_then(|()| self.reader.slice());
        if step.is_err() {
            self.reader.at = self.reader.bytes.len();
        }
        Some(step)
    }
}

/// A stored value, read one level deep.
#[derive(Clone, Debug)]
pub enum Stored<'a> {
    /// A string.
    S(&'a str),
    /// A number.
    N(Number),
    /// Bytes.
    B(&'a [u8]),
    /// A boolean.
    Bool(bool),
    /// The null value.
    Null,
    /// A map.
    M(Entries<'a>),
    /// A list.
    L(Elements<'a>),
    /// A set of strings.
    Ss(Elements<'a>),
    /// A set of numbers.
    Ns(Elements<'a>),
    /// A set of bytes.
    Bs(Elements<'a>),
}

impl<'a> Stored<'a> {
    /// Reads a value in its stored form. Errors: `Corrupt` if encoding could not have written that; what is inside a
    /// map, a list or a set is not looked at.
    #[inline]
    pub fn read(bytes: &'a [u8]) -> Result<Self, Corrupt> {
        let mut reader = Reader { bytes, at: 0 };
        let value = match reader.byte()? {
            tag::S => Self::S(reader.text()?),
            tag::N => Self::N(reader.decimal()?.number()),
            tag::B => Self::B(reader.slice()?),
            tag::BOOL => Self::Bool(reader.flag(0)?),
            tag::NULL => reader.flag(1).map(|_| Self::Null)?,
            tag::M => Self::M(Entries { reader: reader.message()? }),
            tag::L => Self::L(Elements { reader: reader.message()? }),
            tag::SS => Self::Ss(Elements { reader: reader.message()? }),
            tag::NS => Self::Ns(Elements { reader: reader.message()? }),
            tag::BS => Self::Bs(Elements { reader: reader.message()? }),
            _ => return Err(Corrupt { what: "an unknown type of a value", offset: 0 }),
        };
        reader.end()?;
        Ok(value)
    }
}

/// The canonical text of a number in its stored form, which is not checked; `None` if the value is of another type.
#[inline]
pub fn number_text(bytes: &[u8]) -> Result<Option<&[u8]>, Corrupt> {
    let mut reader = Reader { bytes, at: 0 };
    if reader.byte()? != tag::N {
        return Ok(None);
    }
    let text = reader.slice()?;
    reader.end()?;
    Ok(Some(text))
}

/// `Item::size` of a stored item, in bytes as DynamoDB counts them. Errors: `Corrupt` if lengths or types are not those
/// of an item. The insides of texts and numbers are not checked, nor is their order: that makes it more than twice as
/// fast as `codec::item_size_encoded`.
pub fn item_size(bytes: &[u8]) -> Result<usize, Corrupt> {
    entries_size(Entries::of_item(bytes), NESTING_MAX).map(|(size, _)| size)
}

/// The sizes of names and values, and their count.
fn entries_size(entries: Entries<'_>, levels: usize) -> Result<(usize, usize), Corrupt> {
    let (mut size, mut count) = (0, 0);
    for entry in entries {
        let entry = entry?;
        size += entry.name.len() + value_size(entry.value, levels)?;
        count += 1;
    }
    Ok((size, count))
}

/// What is counted for a value that may nest `levels` deep, itself being the first.
fn value_size(bytes: &[u8], levels: usize) -> Result<usize, Corrupt> {
    let Some(inner) = levels.checked_sub(1) else {
        return Err(Corrupt { what: "values nested too deep", offset: 0 });
    };
    let mut reader = Reader { bytes, at: 0 };
    let size = match reader.byte()? {
        tag::S | tag::B => reader.slice()?.len(),
        tag::N => number_size(reader.slice()?),
        tag::BOOL | tag::NULL => reader.byte().map(|_| 1)?,
        tag::M => {
            let (size, count) = entries_size(Entries { reader: reader.message()? }, inner)?;
            3 + count + size
        }
        tag::L => sum(&mut reader, |element| Ok(1 + value_size(element, inner)?))? + 3,
        tag::SS | tag::BS => sum(&mut reader, |member| Ok(member.len()))?,
        tag::NS => sum(&mut reader, |member| Ok(number_size(member)))?,
        _ => return Err(Corrupt { what: "an unknown type of a value", offset: 0 }),
    };
    reader.end()?;
    Ok(size)
}

fn sum<'a>(
    reader: &mut Reader<'a>,
    size: impl Fn(&'a [u8]) -> Result<usize, Corrupt>,
) -> Result<usize, Corrupt> {
    Elements { reader: reader.message()? }.try_fold(0, |sum, element| Ok(sum + size(element?)?))
}

/// `Number::size` of canonical text.
fn number_size(text: &[u8]) -> usize {
    let plain = text.strip_prefix(b"-").unwrap_or(text);
    let zeros = |digits: &[u8]| digits.iter().take_while(|digit| **digit == b'0').count();
    let point = plain.iter().position(|byte| *byte == b'.');
    // Whether the leading digit is at an even exponent is all that is needed of it.
    let (digits, even) = match point {
        None if plain == b"0" => return 1,
        None => {
            let trailing = plain.iter().rev().take_while(|digit| **digit == b'0').count();
            (plain.len() - trailing, plain.len() % 2 == 1)
        }
        Some(1) if plain[0] == b'0' => {
            let leading = zeros(&plain[2..]);
            (plain.len() - 2 - leading, leading % 2 == 1)
        }
        Some(point) => (plain.len() - 1, point % 2 == 1),
    };
    let straddles = digits % 2 == 0 && even;
    1 + digits.div_ceil(2) + usize::from(straddles) + usize::from(plain.len() < text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::codec::{self, tests};

    #[test]
    fn walks_see_what_decoding_sees() {
        let sample = tests::sample();
        let walked: Vec<_> = Entries::of_item(tests::SAMPLE).map(|entry| entry.expect("sound")).collect();
        let decoded: Vec<_> =
            sample.iter().map(|(name, value)| (name.as_str().as_bytes(), value.clone())).collect();
        let values =
            walked.iter().map(|entry| (entry.name, codec::decode_value(entry.value).expect("sound")));
        assert_eq!(values.collect::<Vec<_>>(), decoded);
        let whole: Vec<u8> = walked.iter().flat_map(|entry| entry.whole).copied().collect();
        assert_eq!(whole, tests::SAMPLE, "entries put together are the item");
    }

    #[test]
    fn finds_what_is_there_and_nothing_else() {
        let sample = tests::sample();
        for name in ["", "a", "aa", "b", "k", "kk", "z"] {
            let found = Entries::of_item(tests::SAMPLE).find(name).expect("sound");
            let found = found.map(|value| codec::decode_value(value).expect("sound"));
            assert_eq!(found.as_ref(), sample.get(name), "{name}");
        }
    }

    #[test]
    fn texts_of_numbers_lie_as_they_are_written() {
        let found = |name| Entries::of_item(tests::SAMPLE).find(name).expect("sound").expect("there");
        assert_eq!(number_text(found("b")), Ok(Some(&b"-12.5"[..])));
        assert_eq!(number_text(found("a")), Ok(None), "a string");
        for bytes in [&[][..], &[0x12], &[0x12, 2, b'1'], &[0x12, 1, b'1', 0]] {
            assert!(number_text(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn a_name_is_not_looked_for_behind_its_place() {
        let mut bytes = tests::SAMPLE.to_vec();
        let end = bytes.len();
        bytes.truncate(end - 1);
        assert!(Entries::of_item(&bytes).find("a").expect("sound so far").is_some());
        assert!(Entries::of_item(&bytes).find("aa").expect("sound so far").is_none());
        assert!(Entries::of_item(&bytes).find("k").is_err());
    }

    #[test]
    fn containers_give_their_parts() {
        let value = |name: &str| {
            let found = Entries::of_item(tests::SAMPLE).find(name).expect("sound").expect("there");
            Stored::read(found).expect("sound")
        };
        let parts = |elements: Elements<'_>| -> Vec<Vec<u8>> {
            elements.map(|element| element.expect("sound").to_vec()).collect()
        };
        assert!(
            matches!(value("g"), Stored::M(entries) if entries.clone().find("x") == Ok(Some(&[0x28, 1])))
        );
        assert!(
            matches!(value("h"), Stored::L(list) if parts(list.clone()) == [vec![0x3A, 0], vec![0x0A, 0]])
        );
        assert!(matches!(value("i"), Stored::Ss(set) if parts(set.clone()) == [b"".to_vec(), b"z".to_vec()]));
        assert!(matches!(value("j"), Stored::Ns(set) if parts(set.clone()) == [b"-1", &b"0"[..], &b"1"[..]]));
        assert!(matches!(value("k"), Stored::Bs(set) if parts(set.clone()) == [vec![9]]));
    }

    #[test]
    fn sizes_are_those_of_items() {
        assert_eq!(item_size(tests::SAMPLE), codec::item_size_encoded(tests::SAMPLE));
        assert_eq!(item_size(&[]), Ok(0));
        let cut = &tests::SAMPLE[..tests::SAMPLE.len() - 1];
        assert!(item_size(cut).is_err());
        let digits = ["0", "1", "5", "10", "12", "100", "1000", "1010", "123", "1234", "12345", "99999"];
        for digits in digits {
            for exponent in -30..30 {
                for sign in ["", "-"] {
                    let number: Number = format!("{sign}{digits}e{exponent}").parse().expect("a number");
                    assert_eq!(number_size(number.to_string().as_bytes()), number.size(), "{number}");
                }
            }
        }
    }

    #[test]
    fn sizes_of_hostile_bytes_are_corrupt() {
        let mut deep = vec![0x28, 1];
        for _ in 0..5 {
            let len = deep.len() as u8;
            deep = [&[0x3A, len + 2, 0x0A, len][..], &deep].concat();
        }
        assert!(value_size(&deep, 5).is_err(), "nested too deep");
        assert!(value_size(&deep, 6).is_ok());
        for bytes in
            [&[][..], &[0x0A], &[0x0A, 2, b'a'], &[0x20], &[0x99, 0], &[0x0A, 0, 0], &[0x42, 1, 0x0B]]
        {
            assert!(value_size(bytes, NESTING_MAX).is_err(), "{bytes:?}");
        }
        for text in [&b""[..], b"-", b".", b"0.", b"-0.", b"-.1", b"00"] {
            number_size(text);
        }
    }

    #[test]
    fn what_could_not_be_written_is_corrupt() {
        for bytes in
            [&[][..], &[0x0A], &[0x0A, 2, b'a'], &[0x0A, 1, 0xFF], &[0x20, 2], &[0x28, 0], &[0x99, 0]]
        {
            assert!(Stored::read(bytes).is_err(), "{bytes:?}");
        }
        assert!(Stored::read(&[0x0A, 0, 0]).is_err(), "bytes after the end");
        let mut walk = Entries::of_item(&[0x0A, 9, 0x0A]);
        assert!(walk.next().expect("an answer").is_err());
        assert!(walk.next().is_none(), "it ends there");
    }
}
