//! The layout of the store: which bytes stand for what.
//!
//! | first byte | rest of the key      | value                                                        |
//! |------------|----------------------|--------------------------------------------------------------|
//! | `i`        | item key             | stored item                                                  |
//! | `s`        | group id, u64 BE     | the group's state                                            |
//! | `x`        | group id, u64 BE     | a range being emptied: `from` length u32 BE, `from`, then `0` (no upper end) or `1` and `to` |
//!
//! The first byte is persisted: a value, once used, keeps its meaning for ever. An `x` exists from the moment
//! an import or a removal begins until it is finished; opening a store that has one empties its range.

use std::ops::Bound;

use bytes::{BufMut, Bytes, BytesMut};

use crate::model::id::GroupId;

const ITEM: u8 = b'i';
const STATE: u8 = b's';
const EMPTYING: u8 = b'x';

/// The stored key of an item.
pub(super) fn item(key: &[u8]) -> Bytes {
    let mut stored = BytesMut::with_capacity(1 + key.len());
    stored.put_u8(ITEM);
    stored.put_slice(key);
    stored.freeze()
}

/// The item key in a stored key, if it is one.
pub(super) fn parse_item(stored: &[u8]) -> Option<&[u8]> {
    match stored.split_first() {
        Some((&ITEM, key)) => Some(key),
        Some(_) | None => None,
    }
}

/// The stored bounds of a range of item keys: never reach beyond the items.
pub(super) fn item_bounds(from: Bound<&[u8]>, to: Bound<&[u8]>) -> (Bound<Bytes>, Bound<Bytes>) {
    let from = match from {
        Bound::Included(key) => Bound::Included(item(key)),
        Bound::Excluded(key) => Bound::Excluded(item(key)),
        Bound::Unbounded => Bound::Included(Bytes::from_static(&[ITEM])),
    };
    let to = match to {
        Bound::Included(key) => Bound::Included(item(key)),
        Bound::Excluded(key) => Bound::Excluded(item(key)),
        Bound::Unbounded => Bound::Excluded(Bytes::from_static(&[ITEM + 1])),
    };
    (from, to)
}

/// The stored key of a group's state.
pub(super) fn state(group: GroupId) -> Bytes {
    of_group(STATE, group)
}

/// The stored key of a group's mark that its range is being emptied.
pub(super) fn emptying(group: GroupId) -> Bytes {
    of_group(EMPTYING, group)
}

fn of_group(kind: u8, group: GroupId) -> Bytes {
    let mut stored = BytesMut::with_capacity(9);
    stored.put_u8(kind);
    stored.put_u64(group.0);
    stored.freeze()
}

/// The group in the stored key of a state or a mark, if it is one.
pub(super) fn parse_group(stored: &[u8]) -> Option<GroupId> {
    match stored.split_first() {
        Some((&(STATE | EMPTYING), group)) => Some(GroupId(u64::from_be_bytes(group.try_into().ok()?))),
        Some(_) | None => None,
    }
}

/// The bounds of all states.
pub(super) fn all_states() -> (Bound<Bytes>, Bound<Bytes>) {
    all_of(STATE)
}

/// The bounds of all marks.
pub(super) fn all_emptying() -> (Bound<Bytes>, Bound<Bytes>) {
    all_of(EMPTYING)
}

fn all_of(kind: u8) -> (Bound<Bytes>, Bound<Bytes>) {
    (Bound::Included(Bytes::copy_from_slice(&[kind])), Bound::Excluded(Bytes::copy_from_slice(&[kind + 1])))
}

/// The value of a mark: the range of item keys being emptied.
pub(super) fn encode_range(from: &[u8], to: Option<&[u8]>) -> Bytes {
    let mut value = BytesMut::with_capacity(5 + from.len() + to.map_or(0, <[u8]>::len));
    value.put_u32(u32::try_from(from.len()).expect("an item key is far shorter than 4 GiB"));
    value.put_slice(from);
    match to {
        None => value.put_u8(0),
        Some(to) => {
            value.put_u8(1);
            value.put_slice(to);
        }
    }
    value.freeze()
}

/// The range in the value of a mark.
pub(super) fn decode_range(value: &[u8]) -> Option<(Bytes, Option<Bytes>)> {
    let (length, rest) = value.split_first_chunk::<4>()?;
    let (from, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    let to = match rest.split_first()? {
        (0, []) => None,
        (1, to) => Some(Bytes::copy_from_slice(to)),
        _ => return None,
    };
    Some((Bytes::copy_from_slice(from), to))
}

#[cfg(test)]
mod tests {
    use std::ops::RangeBounds;

    use proptest::prelude::*;

    use super::*;

    fn key() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(any::<u8>(), 0..12)
    }

    proptest! {
        #[test]
        fn items_round_trip_and_keep_their_order(a in key(), b in key()) {
            let stored = item(&a);
            prop_assert_eq!(parse_item(&stored), Some(&a[..]));
            prop_assert_eq!(a.cmp(&b), item(&a).cmp(&item(&b)));
        }

        #[test]
        fn groups_round_trip_and_keep_their_order(a: u64, b: u64) {
            prop_assert_eq!(parse_group(&state(GroupId(a))), Some(GroupId(a)));
            prop_assert_eq!(parse_group(&emptying(GroupId(a))), Some(GroupId(a)));
            prop_assert_eq!(a.cmp(&b), state(GroupId(a)).cmp(&state(GroupId(b))));
        }

        #[test]
        fn ranges_round_trip(from in key(), to in proptest::option::of(key())) {
            let (from_again, to_again) = decode_range(&encode_range(&from, to.as_deref())).expect("decodes");
            prop_assert_eq!(from, from_again);
            prop_assert_eq!(to.map(Bytes::from), to_again);
        }

        #[test]
        fn decoding_never_panics(value in key()) {
            if let Some((from, to)) = decode_range(&value) {
                prop_assert_eq!(value, encode_range(&from, to.as_deref()));
            }
        }

        #[test]
        fn kinds_do_not_mix(a in key(), group: u64) {
            let items = item_bounds(Bound::Unbounded, Bound::Unbounded);
            prop_assert!(items.contains(&item(&a)));
            prop_assert!(!items.contains(&state(GroupId(group))) && !items.contains(&emptying(GroupId(group))));
            prop_assert!(all_states().contains(&state(GroupId(group))));
            prop_assert!(!all_states().contains(&item(&a)) && !all_states().contains(&emptying(GroupId(group))));
            prop_assert!(all_emptying().contains(&emptying(GroupId(group))));
            prop_assert!(parse_item(&state(GroupId(group))).is_none());
            prop_assert_eq!(parse_group(&item(&a)), None);
        }
    }
}
