//! What must hold of any bytes: for the fuzz targets, and for their corpus as an ordinary test.

use bytes::Bytes;
use watertable::expression::{Kind, Placeholders, parse};
use watertable::model::Number;
use watertable::partition::entry::{self, Body, Encoder, Entry};

/// Any text parses to something or to an error; what parses, prints as text that parses to the same, and binds to
/// something or to an error.
pub fn expression(text: &str) {
    for kind in [Kind::Condition, Kind::Filter, Kind::KeyCondition, Kind::Update, Kind::Projection] {
        let Ok(parsed) = parse(kind, text) else { continue };
        // Printing names every operator in full, and may thereby take it over the limit.
        if let Ok(again) = parse(kind, &parsed.to_string()) {
            assert_eq!(again, parsed, "{text}");
        }
        let mut placeholders = Placeholders::new(None, None).expect("nothing is wrong with nothing");
        let _ = match kind {
            Kind::Update => placeholders.update(&parsed).map(drop),
            Kind::Projection => placeholders.projection(&parsed).map(drop),
            Kind::Condition | Kind::Filter | Kind::KeyCondition => placeholders.condition(&parsed).map(drop),
        };
    }
}

/// Any text is a number or an error; a number is the same through its text and through its bytes.
pub fn number(text: &str) {
    let Ok(number) = Number::parse(text) else { return };
    assert_eq!(Number::parse(&number.to_string()), Ok(number), "{text}");
    let mut bytes = Vec::new();
    number.encode_ordered(&mut bytes);
    assert_eq!(Number::decode_ordered(&bytes), Some((number, bytes.len())), "{text}");
}

/// Any bytes are an entry or an error; an entry of changes, encoded again, is the same bytes.
pub fn entry(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    let Ok(decoded) = Entry::decode(bytes.clone()) else { return };
    assert_eq!(entry::time_of(&bytes), Some(decoded.now_ms));
    let Body::Changes(changes) = decoded.body else { return };
    let mut encoder = Encoder::new(decoded.term, decoded.now_ms);
    for change in changes {
        let Ok(change) = change else { return };
        encoder.push(&change);
    }
    assert_eq!(encoder.finish(), bytes);
}
