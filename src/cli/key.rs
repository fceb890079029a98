//! Key schemas as people write them: "iata:S".

use crate::model::limits::KEY_NAME_BYTES_MAX;
use crate::model::{AttributeName, Item, KeyAttribute, KeySchema, KeyType};

/// A key attribute from "name:S", "name:N" or "name:B".
pub(super) fn parse_attribute(text: &str) -> Result<KeyAttribute, String> {
    let wrong = || format!("{text} is not a key attribute; say name:S, name:N or name:B");
    let (name, kind) = text.rsplit_once(':').ok_or_else(wrong)?;
    let kind = match kind {
        "S" => KeyType::S,
        "N" => KeyType::N,
        "B" => KeyType::B,
        _ => return Err(wrong()),
    };
    if name.len() > KEY_NAME_BYTES_MAX {
        return Err(format!("the name of a key attribute has at most {KEY_NAME_BYTES_MAX} bytes"));
    }
    let name = AttributeName::parse(name).map_err(|error| error.to_string())?;
    Ok(KeyAttribute { name, kind })
}

/// A key schema as `parse_attribute` takes it, both attributes.
pub(super) fn format(key: &KeySchema) -> String {
    let attribute = |attribute: &KeyAttribute| format!("{}:{}", attribute.name, attribute.kind.type_name());
    match &key.sort {
        Some(sort) => format!("{} {}", attribute(&key.partition), attribute(sort)),
        None => attribute(&key.partition),
    }
}

/// Only the key attributes of an item.
pub(super) fn of_item(key: &KeySchema, item: &Item) -> Item {
    let attributes = key.names().filter_map(|name| Some((name.clone(), item.get(name)?.clone())));
    attributes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_attributes() {
        let key = parse_attribute("iata:S").expect("a good attribute");
        assert_eq!((key.name.as_str(), key.kind), ("iata", KeyType::S));
        assert_eq!(parse_attribute("a:b:N").expect("a name may have colons").name.as_str(), "a:b");
        for bad in ["iata", "iata:", ":S", "iata:X", "iata:s", ""] {
            assert!(parse_attribute(bad).is_err(), "{bad}");
        }
    }
}
