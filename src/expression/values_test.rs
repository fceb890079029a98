//! Attribute values as tests write and show them: `"text"`, `1.5`, `0xFF00`, `true`, `null`, `{name: value}`,
//! `[value, value]`, `<member, member>`.

use bytes::Bytes;

use crate::model::{AttributeName, AttributeValue, Item};

/// The value written so; what is no value is a string.
pub(crate) fn parse(text: &str) -> AttributeValue {
    let mut reader = Reader { rest: text };
    match reader.value() {
        Some(value) if reader.rest.trim().is_empty() => value,
        _ => AttributeValue::S(text.to_owned()),
    }
}

/// The item written as a map.
pub(crate) fn item(text: &str) -> Item {
    match parse(text) {
        AttributeValue::M(map) => map.into(),
        other => panic!("{other:?} is not an item"),
    }
}

pub(crate) fn show_item(item: &Item) -> String {
    show(&AttributeValue::M(item.as_map().clone()))
}

pub(crate) fn show(value: &AttributeValue) -> String {
    fn all<'a, T: 'a>(parts: impl IntoIterator<Item = &'a T>, show: impl Fn(&T) -> String) -> String {
        parts.into_iter().map(show).collect::<Vec<_>>().join(", ")
    }
    fn hex(bytes: &Bytes) -> String {
        bytes.iter().fold("0x".to_owned(), |text, byte| format!("{text}{byte:02X}"))
    }
    match value {
        AttributeValue::S(text) => format!("{text:?}"),
        AttributeValue::N(number) => number.to_string(),
        AttributeValue::B(bytes) => hex(bytes),
        AttributeValue::Bool(value) => value.to_string(),
        AttributeValue::Null => "null".to_owned(),
        AttributeValue::M(map) => {
            let members: Vec<_> =
                map.iter().map(|(name, value)| format!("{name}: {}", show(value))).collect();
            format!("{{{}}}", members.join(", "))
        }
        AttributeValue::L(list) => format!("[{}]", all(list, show)),
        AttributeValue::Ss(set) => format!("<{}>", all(set, |text| format!("{text:?}"))),
        AttributeValue::Ns(set) => format!("<{}>", all(set, ToString::to_string)),
        AttributeValue::Bs(set) => format!("<{}>", all(set, hex)),
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn eat(&mut self, token: &str) -> bool {
        let rest = self.rest.trim_start().strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn word(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let text = self.rest.trim_start();
        let end = text.find(|c| !wanted(c)).unwrap_or(text.len());
        self.rest = &text[end..];
        &text[..end]
    }

    fn text(&mut self) -> Option<String> {
        let (text, rest) = self.rest.split_once('"')?;
        self.rest = rest;
        Some(text.to_owned())
    }

    fn value(&mut self) -> Option<AttributeValue> {
        if self.eat("\"") {
            return self.text().map(AttributeValue::S);
        }
        if self.eat("{") {
            let mut map = std::collections::BTreeMap::new();
            while !self.eat("}") {
                let name = match self.eat("\"") {
                    true => self.text()?,
                    false => self.word(|c| c.is_alphanumeric() || "_.".contains(c)).to_owned(),
                };
                if !self.eat(":") {
                    return None;
                }
                map.insert(AttributeName::parse(&name).ok()?, self.value()?);
                self.eat(",");
            }
            return Some(AttributeValue::M(map));
        }
        if self.eat("[") {
            return self.values("]").map(AttributeValue::L);
        }
        if self.eat("<") {
            return set(self.values(">")?);
        }
        if self.eat("0x") {
            return hex(self.word(|c| c.is_ascii_hexdigit())).map(AttributeValue::B);
        }
        match self.word(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)) {
            "true" => Some(AttributeValue::Bool(true)),
            "false" => Some(AttributeValue::Bool(false)),
            "null" => Some(AttributeValue::Null),
            number => number.parse().ok().map(AttributeValue::N),
        }
    }

    fn values(&mut self, end: &str) -> Option<Vec<AttributeValue>> {
        let mut values = Vec::new();
        while !self.eat(end) {
            values.push(self.value()?);
            self.eat(",");
        }
        Some(values)
    }
}

fn set(members: Vec<AttributeValue>) -> Option<AttributeValue> {
    use AttributeValue::{B, Bs, N, Ns, S, Ss};
    match members.first()? {
        S(_) => members
            .into_iter()
            .map(|member| if let S(text) = member { Some(text) } else { None })
            .collect::<Option<_>>()
            .map(Ss),
        N(_) => members
            .into_iter()
            .map(|member| if let N(number) = member { Some(number) } else { None })
            .collect::<Option<_>>()
            .map(Ns),
        _ => members
            .into_iter()
            .map(|member| if let B(bytes) = member { Some(bytes) } else { None })
            .collect::<Option<_>>()
            .map(Bs),
    }
}

fn hex(text: &str) -> Option<Bytes> {
    let digit = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(digit).collect()
}
