//! What a pattern says of a text.

/// A test of a text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum TextTest {
    Equals(Box<str>),
    Prefix(Box<str>),
    Suffix(Box<str>),
    EqualsIgnoreCase(Folded),
    PrefixIgnoreCase(Folded),
    SuffixIgnoreCase(Folded),
    Wildcard(Wildcard),
}

impl TextTest {
    pub(super) fn holds(&self, text: &str) -> bool {
        match self {
            Self::Equals(wanted) => text == &**wanted,
            Self::Prefix(prefix) => text.starts_with(&**prefix),
            Self::Suffix(suffix) => text.ends_with(&**suffix),
            Self::EqualsIgnoreCase(wanted) => fold(text).eq(wanted.0.chars()),
            Self::PrefixIgnoreCase(prefix) => starts_with(fold(text), prefix.0.chars()),
            Self::SuffixIgnoreCase(suffix) => starts_with(fold(text).rev(), suffix.0.chars().rev()),
            Self::Wildcard(wildcard) => wildcard.holds(text),
        }
    }
}

/// A text without its case: every character in its lower form.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Folded(Box<str>);

impl Folded {
    pub(super) fn new(text: &str) -> Self {
        Self(fold(text).collect::<String>().into())
    }
}

/// Character by character: `str::to_lowercase` treats a sigma by where it stands.
fn fold(text: &str) -> impl DoubleEndedIterator<Item = char> {
    text.chars().flat_map(char::to_lowercase)
}

fn starts_with(mut text: impl Iterator<Item = char>, mut prefix: impl Iterator<Item = char>) -> bool {
    prefix.all(|wanted| text.next() == Some(wanted))
}

/// Texts with anything between them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wildcard {
    first: Box<str>,
    /// Each after a `*`.
    rest: Vec<Box<str>>,
}

impl Wildcard {
    /// Parses texts with `*` between them; `\*` and `\\` stand for themselves. Errors: what is wrong.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let mut parts = vec![String::new()];
        let mut chars = text.chars().peekable();
        while let Some(char) = chars.next() {
            let literal = match char {
                '*' if chars.peek() == Some(&'*') => return Err("has two * in a row"),
                '*' => {
                    parts.push(String::new());
                    continue;
                }
                '\\' => chars
                    .next_if(|next| matches!(next, '*' | '\\'))
                    .ok_or("has a \\ before something other than * and \\")?,
                _ => char,
            };
            parts.last_mut().expect("there is a first part").push(literal);
        }
        let mut parts = parts.into_iter().map(String::into_boxed_str);
        Ok(Self { first: parts.next().expect("there is a first part"), rest: parts.collect() })
    }

    /// Takes the first and the last part from the ends, and every other where it comes first: if it fits at all, it
    /// fits so.
    fn holds(&self, text: &str) -> bool {
        let Some((last, middle)) = self.rest.split_last() else { return text == &*self.first };
        let inner = text.strip_prefix(&*self.first).and_then(|rest| rest.strip_suffix(&**last));
        let Some(mut rest) = inner else { return false };
        middle.iter().all(|part| match rest.find(&**part) {
            Some(at) => {
                rest = &rest[at + part.len()..];
                true
            }
            None => false,
        })
    }
}

#[cfg(test)]
#[path = "text_test.rs"]
mod tests;
