//! What the cache keeps, and what it does not.

use std::sync::Arc;

use super::{Cache, Error, Fault, Kind, parse};

const ROOM: usize = 1 << 20;

/// A cache with the expressions in it.
fn cache(entries_max: usize, bytes_max: usize, texts: &[&str]) -> Cache {
    let cache = Cache::new(entries_max, bytes_max);
    for text in texts {
        cache.parse(Kind::Projection, text).expect("parses");
    }
    cache
}

#[test]
fn a_known_text_gives_the_same_tree() {
    let cache = cache(8, ROOM, &[]);
    assert!(cache.is_empty());
    let first = cache.parse(Kind::Condition, "a = b").expect("parses");
    assert_eq!(parse(Kind::Condition, "a = b").as_ref(), Ok(&*first));
    assert!(Arc::ptr_eq(&first, &cache.parse(Kind::Condition, "a = b").expect("is known")));
    let spaced = cache.parse(Kind::Condition, "a  = b").expect("parses");
    assert!(!Arc::ptr_eq(&first, &spaced), "the text is the key, not what it means");
    assert_eq!(cache.len(), 2);
}

#[test]
fn kinds_are_apart() {
    let cache = cache(16, ROOM, &[]);
    for kind in [Kind::Condition, Kind::Filter, Kind::KeyCondition] {
        assert_eq!(cache.parse(kind, "a = b").expect("parses").kind(), kind);
    }
    assert_eq!(cache.len(), 3);
    assert!(cache.parse(Kind::Update, "a = b").is_err());
}

#[test]
fn errors_are_not_kept() {
    let cache = cache(8, ROOM, &[]);
    for text in ["a =", "", &"x".repeat(5000)] {
        let error = cache.parse(Kind::Condition, text).expect_err("is wrong");
        assert_eq!(parse(Kind::Condition, text), Err(error.clone()));
        assert!(matches!(error, Error::Expression { kind: Kind::Condition, .. }));
    }
    assert!(cache.is_empty());
    let error = cache.parse(Kind::Condition, " ").expect_err("is wrong");
    assert_eq!(error, Error::Expression { kind: Kind::Condition, fault: Fault::Empty });
}

#[test]
fn what_is_used_stays() {
    let cache = cache(8, ROOM, &["used"]);
    let used = cache.parse(Kind::Projection, "used").expect("is known");
    for n in 0..1000 {
        cache.parse(Kind::Projection, &format!("other{n}")).expect("parses");
        assert!(Arc::ptr_eq(&used, &cache.parse(Kind::Projection, "used").expect("is known")), "after {n}");
        assert!(cache.len() <= 8, "{} after {n}", cache.len());
    }
}

#[test]
fn what_is_not_used_goes() {
    let cache = cache(4, ROOM, &["a1", "a2"]);
    let first = cache.parse(Kind::Projection, "a1").expect("is known");
    for text in ["b1", "b2", "b3"] {
        cache.parse(Kind::Projection, text).expect("parses");
    }
    assert_eq!(cache.len(), 3, "b3 made b1 and b2 old, and a1 and a2 gone");
    let again = cache.parse(Kind::Projection, "a1").expect("parses");
    assert!(!Arc::ptr_eq(&first, &again), "it was parsed again");
}

#[test]
fn bytes_are_bounded() {
    // Of a hundred texts of about 160 bytes each, two generations of 20,000 hold one each.
    let long = format!("a{}", ".b".repeat(30));
    let cache = cache(1000, 2 * 12_000, &[]);
    for n in 0..100 {
        cache.parse(Kind::Projection, &format!("{long}{n}")).expect("parses");
        assert!(cache.len() <= 4, "{} after {n}", cache.len());
    }
    assert!(!cache.is_empty());
    let tiny = Cache::new(1000, 100);
    tiny.parse(Kind::Projection, "a").expect("parses");
    assert!(tiny.is_empty(), "what has no room is not kept");
}

#[test]
fn no_room_keeps_nothing() {
    for (entries, bytes) in [(0, ROOM), (1, ROOM), (100, 0)] {
        let cache = cache(entries, bytes, &["a", "b", "a"]);
        assert_eq!(cache.len(), 0);
    }
}
