//! The item message: spliced bytes against the generated code.

use proptest::prelude::*;

use super::*;
use crate::model::codec::tests::{SAMPLE, items, nested_lists, sample, values, wire_byte};

/// The message as prost generates it without us.
#[derive(Clone, PartialEq, prost::Message)]
struct Plain {
    #[prost(btree_map = "string, message", tag = "1")]
    attributes: BTreeMap<String, v1::AttributeValue>,
}

fn plain(item: &model::Item) -> Plain {
    let attributes = item.iter().map(|(name, value)| (name.as_str().to_owned(), value_to_wire(value)));
    Plain { attributes: attributes.collect() }
}

fn received(bytes: &[u8]) -> Item {
    <Item as Message>::decode(bytes).expect("a message on its surface")
}

/// An item with one attribute, `a`, of such bytes.
fn with_value(value: &[u8]) -> Item {
    let entry = [&[0x0A, 1, b'a', 0x12, value.len() as u8], value].concat();
    received(&[&[0x0A, entry.len() as u8], &entry[..]].concat())
}

#[test]
fn stored_bytes_are_spliced_untouched() {
    let item = Item::from_encoded(Bytes::from_static(SAMPLE));
    let response = v1::GetItemResponse { item: Some(item.clone()), consumed_capacity: None };
    let sent = response.encode_to_vec();
    assert_eq!(sent[..3], [0x0A, 0x80 | (SAMPLE.len() & 0x7F) as u8, (SAMPLE.len() >> 7) as u8]);
    assert_eq!(&sent[3..], SAMPLE);
    assert_eq!(item.canonical(), Ok((sample(), Bytes::from_static(SAMPLE))));
    let (_, bytes) = item.canonical().expect("a sound item");
    assert_eq!(bytes.as_ptr(), SAMPLE.as_ptr(), "canonical bytes are not copied");
    assert_eq!(Item::encode(&sample()), item);
    assert_eq!(item.decode(), Ok(sample()));
}

#[test]
fn works_inside_generated_messages() {
    let some = Item::encode(&sample());
    let empty = Item::default();
    let put = v1::PutItemRequest { table_name: "t".into(), item: Some(some.clone()), ..Default::default() };
    assert_eq!(v1::PutItemRequest::decode(&put.encode_to_vec()[..]), Ok(put));
    for request in
        [v1::write_request::Request::Put(some.clone()), v1::write_request::Request::Delete(empty.clone())]
    {
        let write = v1::WriteRequest { table_name: "t".into(), request: Some(request) };
        assert_eq!(v1::WriteRequest::decode(&write.encode_to_vec()[..]), Ok(write));
    }
    let record = v1::Record {
        keys: Some(some.clone()),
        new_image: Some(empty.clone()),
        old_image: None,
        ..Default::default()
    };
    assert_eq!(v1::Record::decode(&record.encode_to_vec()[..]), Ok(record));
    let many = v1::ItemsOfTable { table_name: "t".into(), items: vec![some.clone(), empty, some] };
    assert_eq!(v1::ItemsOfTable::decode(&many.encode_to_vec()[..]), Ok(many));
}

#[test]
fn a_message_may_come_in_pieces() {
    // Of a buffer, and of the message itself: protobuf merges what comes twice.
    let (left, right) = SAMPLE.split_at(SAMPLE.len() / 2);
    assert_eq!(<Item as Message>::decode(left.chain(right)).expect("a message").as_bytes(), SAMPLE);
    let first = &SAMPLE[..11];
    let split = [&[0x12, 11], first, &[0x12, (SAMPLE.len() - 11) as u8 | 0x80, 1], &SAMPLE[11..]].concat();
    assert_eq!(SAMPLE.len() - 11, 128 + ((SAMPLE.len() - 11) & 0x7F), "a length of two bytes");
    let put = v1::PutItemRequest::decode(&split[..]).expect("a message");
    assert_eq!(put.item.expect("an item").as_bytes(), SAMPLE);
    let mut merged = Item::from_encoded(Bytes::copy_from_slice(first));
    merged.merge(&SAMPLE[11..]).expect("a message");
    assert_eq!(merged.as_bytes(), SAMPLE);
    merged.clear();
    assert_eq!(merged, Item::default());
}

#[test]
fn broken_messages_are_refused_by_prost() {
    for bytes in
        [&[0x0A][..], &[0x0A, 1], &[0x08, 1], &[0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F], &[0x12, 5], &[0]]
    {
        assert!(<Item as Message>::decode(bytes).is_err(), "{bytes:?}");
    }
    // The entry is longer than its item, but not than the request.
    assert!(v1::PutItemRequest::decode(&[0x12, 2, 0x0A, 4, 0, 0, 0, 0][..]).is_err());
}

#[test]
fn what_protobuf_allows_is_taken() {
    let text = |text: &str| AttributeValue::S(text.into());
    let number = |text: &str| AttributeValue::N(Number::parse(text).expect("a number"));
    let golden: [(&[u8], AttributeValue); 11] = [
        (&[0x0A, 1, b'x', 0x0A, 1, b'y'], text("y")),
        (&[0x0A, 1, 0xFF, 0x28, 1], AttributeValue::Null),
        (&[0x28, 0, 0x20, 0x80, 2], AttributeValue::Bool(true)),
        (&[0x20, 0x80, 0x80, 0], AttributeValue::Bool(false)),
        (&[0x0A, 0x81, 0x80, 0, b'x'], text("x")),
        (&[0x8A, 0x80, 0, 1, b'x'], text("x")),
        (&[0x58, 1, 0x5D, 1, 2, 3, 4, 0x0A, 1, b'x', 0x5B, 0x08, 1, 0x5C], text("x")),
        (&[0x12, 6, b'+', b'0', b'1', b'e', b'+', b'2'], number("100")),
        (&[0x32, 0], AttributeValue::M(BTreeMap::new())),
        (&[0x4A, 6, 0x0A, 1, b'9', 0x0A, 1, b'1'], AttributeValue::Ns([1u64, 9].map(Number::from).into())),
        (&[0x42, 5, 0x10, 7, 0x0A, 1, b'z'], AttributeValue::Ss(["z".to_owned()].into())),
    ];
    let name = AttributeName::parse("a").expect("a name");
    for (bytes, value) in golden {
        let item = model::Item::from_iter([(name.clone(), value)]);
        assert_eq!(with_value(bytes).canonical(), Ok((item.clone(), stored(&item))), "{bytes:?}");
    }
    // Value before name, an unknown field, twice the same name.
    let twice = [0x0A, 9, 0x12, 2, 0x28, 1, 0x18, 3, 0x0A, 1, b'a', 0x0A, 7, 0x12, 2, 0x20, 1, 0x0A, 1, b'a'];
    let last = model::Item::from_iter([(name, AttributeValue::Bool(true))]);
    assert_eq!(received(&twice).decode(), Ok(last));
    // An unknown field beside the attributes is not even kept.
    assert_eq!(received(&[&[0x10, 1], SAMPLE, &[0x1A, 1, 9]].concat()).as_bytes(), SAMPLE);
}

#[test]
fn what_dynamodb_refuses_is_refused_in_its_words() {
    let golden: [(&[u8], &str); 11] = [
        (&[], "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"),
        (&[0x58, 1], "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"),
        (
            &[0x28, 0],
            "One or more parameter values were invalid: Null attribute value types must have the value of true",
        ),
        (&[0x12, 1, b'x'], "The parameter cannot be converted to a numeric value: x"),
        (&[0x42, 0], "One or more parameter values were invalid: An string set  may not be empty"),
        (
            &[0x52, 4, 0x0A, 0, 0x0A, 0],
            "One or more parameter values were invalid: Input collection [, ]of type BS contains duplicates.",
        ),
        (&[0x4A, 8, 0x0A, 1, b'1', 0x0A, 3, b'1', b'.', b'0'], "Input collection contains duplicates"),
        (&[0x32, 2, 0x0A, 0], "One or more parameter values were invalid: Empty attribute name"),
        (&[0x0A, 1, 0xFF], "The item is not a well-formed protobuf message: text that is not UTF-8"),
        (&[0x08, 1], "The item is not a well-formed protobuf message: a field of the wrong wire type"),
        (&[0x0A, 2, b'x'], "The item is not a well-formed protobuf message: a field longer than its message"),
    ];
    for (bytes, message) in golden {
        let error = with_value(bytes).canonical().expect_err("a bad value");
        assert_eq!(error.to_string(), message, "{bytes:?}");
    }
    assert_eq!(received(&[0x0A, 0]).decode(), Err(Error::AttributeNameEmpty));
    assert_eq!(received(&[0x0A, 3, 0x0A, 1, b'a']).decode(), Err(Error::ValueEmpty));
    let group = received(&[&[0x0A, 100], &[0x1B; 100][..]].concat());
    assert_eq!(group.decode(), Err(Error::Malformed { what: "a broken unknown field" }));
}

#[test]
fn nesting_is_bounded_before_it_recurses() {
    let deepest = received(&nested_lists(NESTING_MAX - 1));
    let (item, bytes) = deepest.canonical().expect("as deep as may be");
    assert_eq!(item.validate(), Ok(()));
    assert_eq!(bytes, nested_lists(NESTING_MAX - 1));
    assert_eq!(received(&nested_lists(NESTING_MAX)).canonical(), Err(Error::NestingTooDeep));
    assert_eq!(received(&nested_lists(100_000)).canonical(), Err(Error::NestingTooDeep));
    let mut value = v1::AttributeValue { value: Some(Value::Null(true)) };
    for _ in 0..NESTING_MAX {
        value = v1::AttributeValue { value: Some(Value::L(wire::List { elements: vec![value] })) };
    }
    assert_eq!(value_from_wire(&value), Err(Error::NestingTooDeep));
}

#[test]
fn ordinary_protobuf_clients_read_the_deepest_item() {
    // Maps cost the most of their recursion limit, which is 100 in most languages: value, map, entry.
    let name = AttributeName::parse("n").expect("a name");
    let value = (1..NESTING_MAX)
        .fold(AttributeValue::Null, |value, _| AttributeValue::M([(name.clone(), value)].into()));
    let item = model::Item::from_iter([(name, value)]);
    assert_eq!(item.validate(), Ok(()));

    #[derive(Clone, PartialEq, prost::Message)]
    struct Records {
        #[prost(message, repeated, tag = "1")]
        records: Vec<Images>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    struct Images {
        #[prost(message, optional, tag = "6")]
        new_image: Option<Plain>,
    }
    let records = Records { records: vec![Images { new_image: Some(plain(&item)) }] };
    assert_eq!(Records::decode(&records.encode_to_vec()[..]), Ok(records));
}

#[test]
fn debug_shows_the_item() {
    let shown = format!("{:?}", with_value(&[0x0A, 2, b'h', b'i']));
    assert_eq!(shown, r#"{"a": S("hi")}"#);
    let shown = format!("{:?}", with_value(&[]));
    assert!(shown.starts_with("Item(7 bytes: Supplied AttributeValue is empty"), "{shown}");
}

/// An encoder that uses what freedom protobuf gives, as chosen by random bytes.
struct Sloppy {
    choices: std::vec::IntoIter<u8>,
}

impl Sloppy {
    fn choice(&mut self, of: u8) -> u8 {
        self.choices.next().unwrap_or(0) % of
    }

    fn varint(&mut self, mut value: u64, out: &mut Vec<u8>) {
        let start = out.len();
        while value >= 0x80 {
            out.push(value as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
        if self.choice(8) == 7 && out.len() - start < 4 {
            *out.last_mut().expect("just pushed") |= 0x80;
            out.extend([0x80, 0]);
        }
    }

    fn field(&mut self, number: u32, payload: &[u8], out: &mut Vec<u8>) {
        self.unknown(out);
        self.varint(u64::from(number << 3 | 2), out);
        self.varint(payload.len() as u64, out);
        out.extend_from_slice(payload);
    }

    fn flag(&mut self, number: u32, value: bool, out: &mut Vec<u8>) {
        self.varint(u64::from(number << 3), out);
        let truth = 1 << (7 * self.choice(4));
        self.varint(if value { truth } else { 0 }, out);
    }

    fn unknown(&mut self, out: &mut Vec<u8>) {
        match self.choice(24) {
            1 => out.extend([0xF8, 1, 5]),
            2 => out.extend([0xFA, 1, 2, 0x0A, 9]),
            3 => out.extend([0xFD, 1, 0, 0, 0, 0]),
            4 => out.extend([0xF9, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
            5 => out.extend([0xFB, 1, 0x0A, 1, 0, 0xFC, 1]),
            _ => {}
        }
    }

    fn order<T>(&mut self, mut things: Vec<T>) -> Vec<T> {
        let by = usize::from(self.choice(255)) % things.len().max(1);
        things.rotate_left(by);
        if self.choice(2) == 1 {
            things.reverse();
        }
        things
    }

    fn number(&mut self, number: &Number) -> Vec<u8> {
        let text = number.to_string();
        let (sign, digits) = text.strip_prefix('-').map_or(("", &text[..]), |digits| ("-", digits));
        let text = match self.choice(4) {
            1 if sign.is_empty() => format!("+{digits}"),
            2 => format!("{sign}00{digits}e0"),
            3 => format!("{sign}{digits}{}00E-0", if digits.contains('.') { "" } else { "." }),
            _ => text,
        };
        text.into_bytes()
    }

    fn each(&mut self, payloads: Vec<Vec<u8>>) -> Vec<u8> {
        let mut out = Vec::new();
        payloads.iter().for_each(|payload| self.field(field::EACH, payload, &mut out));
        self.unknown(&mut out);
        out
    }

    fn value(&mut self, value: &AttributeValue) -> Vec<u8> {
        let mut out = Vec::new();
        match self.choice(16) {
            1 => self.field(field::S, b"overwritten", &mut out),
            2 => self.field(field::L, &[0x0A, 2, 0x28, 1], &mut out),
            3 => self.flag(field::NULL, false, &mut out),
            _ => {}
        }
        match value {
            AttributeValue::S(text) => self.field(field::S, text.as_bytes(), &mut out),
            AttributeValue::N(number) => {
                let text = self.number(number);
                self.field(field::N, &text, &mut out);
            }
            AttributeValue::B(bytes) => self.field(field::B, bytes, &mut out),
            AttributeValue::Bool(value) => self.flag(field::BOOL, *value, &mut out),
            AttributeValue::Null => self.flag(field::NULL, true, &mut out),
            AttributeValue::M(map) => {
                let entries = self.map(map);
                self.field(field::M, &entries, &mut out);
            }
            AttributeValue::L(list) => {
                let elements = list.iter().map(|value| self.value(value)).collect();
                let elements = self.each(elements);
                self.field(field::L, &elements, &mut out);
            }
            AttributeValue::Ss(set) => {
                let members = self.order(set.iter().map(|member| member.as_bytes().to_vec()).collect());
                let members = self.each(members);
                self.field(field::SS, &members, &mut out);
            }
            AttributeValue::Ns(set) => {
                let members = set.iter().map(|member| self.number(member)).collect();
                let members = self.order(members);
                let members = self.each(members);
                self.field(field::NS, &members, &mut out);
            }
            AttributeValue::Bs(set) => {
                let members = self.order(set.iter().map(|member| member.to_vec()).collect());
                let members = self.each(members);
                self.field(field::BS, &members, &mut out);
            }
        }
        self.unknown(&mut out);
        out
    }

    fn map(&mut self, map: &BTreeMap<AttributeName, AttributeValue>) -> Vec<u8> {
        let mut entries = Vec::new();
        for (name, value) in self.order(map.iter().collect()) {
            let value = self.value(value);
            let mut fields = vec![(field::NAME, name.as_str().as_bytes()), (field::VALUE, &value[..])];
            match self.choice(8) {
                1 => fields.insert(0, (field::NAME, b"other")),
                2 => fields.insert(0, (field::VALUE, &[0x42, 0])),
                _ => {}
            }
            if self.choice(2) == 1 && fields.len() == 2 {
                fields.reverse();
            }
            let mut entry = Vec::new();
            fields.into_iter().for_each(|(number, payload)| self.field(number, payload, &mut entry));
            if self.choice(8) == 1 {
                let mut overwritten = Vec::new();
                self.field(field::NAME, name.as_str().as_bytes(), &mut overwritten);
                self.field(field::VALUE, &[0x28, 1], &mut overwritten);
                entries.push(overwritten);
            }
            entries.push(entry);
        }
        self.each(entries)
    }
}

/// All that must hold of any bytes at all.
fn check_hostile(bytes: &[u8]) -> Result<(), TestCaseError> {
    for bytes in [bytes, &with_field(0x12, bytes)] {
        let _ = v1::PutItemRequest::decode(bytes);
        let _ = v1::BatchWriteItemRequest::decode(bytes);
    }
    let Ok(item) = <Item as Message>::decode(bytes) else {
        prop_assert!(codec::decode_item(bytes).is_err());
        return Ok(());
    };
    let _ = format!("{item:?}");
    let lenient = Item::decode(&item);
    if let Ok(strict) = codec::decode_item(bytes) {
        prop_assert_eq!(item.as_bytes(), bytes);
        prop_assert_eq!(lenient.as_ref(), Ok(&strict));
    }
    match (lenient, item.canonical()) {
        (Ok(lenient), Ok((item, bytes))) => {
            prop_assert_eq!(&lenient, &item);
            prop_assert_eq!(codec::decode_item(&bytes), Ok(item));
        }
        (Err(lenient), Err(canonical)) => prop_assert_eq!(lenient, canonical),
        (lenient, canonical) => prop_assert!(false, "{lenient:?} but {canonical:?}"),
    }
    Ok(())
}

fn with_field(tag: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    encoding::encode_varint(payload.len() as u64, &mut out);
    out.extend_from_slice(payload);
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn stored_bytes_are_what_prost_writes(item in items()) {
        let plain = plain(&item);
        let bytes = stored(&item);
        prop_assert_eq!(&plain.encode_to_vec(), &bytes);
        prop_assert_eq!(Plain::decode(&bytes[..]), Ok(plain));
        prop_assert_eq!(<Item as Message>::decode(&bytes[..]), Ok(Item::from_encoded(bytes.clone())));
        prop_assert_eq!(Item::encode(&item).decode(), Ok(item));
    }

    #[test]
    fn values_go_to_the_wire_and_back(value in values()) {
        let wire = value_to_wire(&value);
        let mut bytes = Vec::new();
        codec::encode_value(&value, &mut bytes);
        prop_assert_eq!(wire.encode_to_vec(), bytes);
        prop_assert_eq!(value_from_wire(&wire), Ok(value));
    }

    #[test]
    fn sloppy_encodings_mean_the_same(item in items(), choices in prop::collection::vec(any::<u8>(), 0..400)) {
        let bytes = Sloppy { choices: choices.into_iter() }.map(item.as_map());
        let received = received(&bytes);
        prop_assert_eq!(received.canonical(), Ok((item.clone(), stored(&item))));
        prop_assert_eq!(received.decode(), Ok(item));
        check_hostile(&bytes)?;
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in prop::collection::vec(wire_byte(), 0..60)) {
        check_hostile(&bytes)?;
        check_hostile(&with_field(0x0A, &bytes))?;
        check_hostile(&with_field(0x0A, &[&[0x0A, 1, b'a'], &with_field(0x12, &bytes)[..]].concat()))?;
    }

    #[test]
    fn damaged_items_do_no_harm(
        item in items(),
        choices in prop::collection::vec(any::<u8>(), 0..50),
        at in any::<prop::sample::Index>(),
        byte in wire_byte(),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = Sloppy { choices: choices.into_iter() }.map(item.as_map());
        let cut = cut.index(bytes.len() + 1);
        check_hostile(&bytes[..cut])?;
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        check_hostile(&bytes)?;
    }
}
