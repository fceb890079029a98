//! Queries and scans: order, directions, limits, filters, pages, segments.

use std::collections::BTreeMap;
use std::pin::pin;

use futures::TryStreamExt;
use watertable::client::{
    BatchWrite, Client, Expression, Kind, NewTable, Page, Query, ReturnConsumedCapacity, Scan, Select,
};
use watertable::model::{AttributeValue, Item, ItemKey, KeySchema, KeyType, TableName};

use super::history;
use super::items::begin;
use super::sample::{self, b, item, n, name, s, schema};

/// Keys of a type, in their order.
fn in_order(kind: KeyType) -> Vec<AttributeValue> {
    match kind {
        KeyType::S => {
            let texts = ["A", "B", "Ba", "Bb", "Bba", "a", "aa", "ab", "abc", "b", "ä", "豈", "𝄞"];
            texts.map(s).into()
        }
        KeyType::N => {
            let texts =
                ["-1e20", "-100.5", "-100", "-3", "-0.001", "0", "0.5", "1", "2", "10", "11", "1e3", "1e30"];
            texts.map(n).into()
        }
        KeyType::B => {
            let bytes: [&[u8]; 13] = [
                &[0],
                &[0, 0],
                &[0, 1],
                &[0, 1, 0],
                &[0, 1, 0xff],
                &[1],
                &[0x7f],
                &[0x80],
                &[0xfe, 0xff],
                &[0xff],
                &[0xff, 0],
                &[0xff, 0xff],
                &[0xff, 0xff, 0xff],
            ];
            bytes.map(b).into()
        }
    }
}

/// A table whose items are `partition` x `sort`, and those of one partition key in their order.
struct Filled {
    new: NewTable,
    of: AttributeValue,
    sorts: Vec<AttributeValue>,
    items: Vec<Item>,
}

async fn fill(client: &Client, cluster: &super::cluster::Cluster, kinds: (KeyType, KeyType)) -> Filled {
    let key = schema(("pk", kinds.0), Some(("sk", kinds.1)));
    let name = format!("ordered-{}-{}", kinds.0.type_name(), kinds.1.type_name());
    let new = NewTable { key, ..sample::table(&name, None) };
    client.create_table(&new).await.expect("a table is created");
    cluster.everywhere(&new.name).await;
    let (partitions, sorts) = (in_order(kinds.0), in_order(kinds.1));
    let of = partitions[4].clone();
    let mut items = Vec::new();
    for partition in &partitions[3..6] {
        // Not in order.
        let mut writes = Vec::new();
        for (at, sort) in sorts.iter().enumerate().rev() {
            let odd = AttributeValue::Bool(at % 2 == 1);
            let tags = AttributeValue::L(vec![n(at), s("tag")]);
            let whole = item([
                ("pk", partition.clone()),
                ("sk", sort.clone()),
                ("odd", odd),
                ("at", n(at)),
                ("tags", tags),
            ]);
            if *partition == of {
                items.insert(0, whole.clone());
            }
            writes.push(BatchWrite::Put(new.name.clone(), whole));
        }
        client.batch_write(&writes).await.expect("they are put");
    }
    Filled { new, of, sorts, items }
}

impl Filled {
    fn key(&self, sort: &str, values: &[(&str, &AttributeValue)]) -> Expression {
        let text = if sort.is_empty() { "pk = :pk".to_owned() } else { format!("{sort} AND pk = :pk") };
        let key = Expression::new(text).value(":pk", self.of.clone());
        values.iter().fold(key, |key, (placeholder, value)| key.value(*placeholder, (*value).clone()))
    }

    /// Key conditions with the items they are of.
    fn conditions(&self) -> Vec<(Expression, Vec<Item>)> {
        let last = self.sorts.len() - 1;
        let mut conditions = vec![(self.key("", &[]), self.items.clone())];
        for at in [0, 4, 9, last] {
            let value = &self.sorts[at];
            let mut case = |text: &str, items: &[Item]| {
                conditions.push((self.key(text, &[(":v", value)]), items.to_vec()));
            };
            case("sk = :v", &self.items[at..=at]);
            case("sk < :v", &self.items[..at]);
            case("sk <= :v", &self.items[..=at]);
            case("sk > :v", &self.items[at + 1..]);
            case(":v <= sk", &self.items[at..]);
            let end = (at + 3).min(last);
            let between = self.key("sk BETWEEN :v AND :w", &[(":v", value), (":w", &self.sorts[end])]);
            conditions.push((between, self.items[at..=end].to_vec()));
        }
        for value in &self.sorts {
            let begins = |sort: &AttributeValue| match (sort, value) {
                (AttributeValue::S(text), AttributeValue::S(start)) => text.starts_with(start),
                (AttributeValue::B(bytes), AttributeValue::B(start)) => bytes.starts_with(start),
                _ => false,
            };
            if !matches!(value, AttributeValue::N(_)) {
                let items = self.items.iter().zip(&self.sorts).filter(|(_, sort)| begins(sort));
                let items = items.map(|(item, _)| item.clone()).collect();
                conditions.push((self.key("begins_with(sk, :v)", &[(":v", value)]), items));
            }
        }
        conditions
    }
}

async fn all_pages(client: &Client, table: &TableName, query: Query) -> Vec<Page> {
    let what = format!("{query:?}");
    let pages = client.query_all(table, query).try_collect().await;
    pages.unwrap_or_else(|error| panic!("{what}: {error}"))
}

fn items_of(pages: &[Page]) -> Vec<Item> {
    pages.iter().flat_map(|page| page.items.clone()).collect()
}

#[tokio::test]
async fn queries_give_the_items_of_a_key_in_order_both_ways() {
    let (cluster, client) = begin(&sample::table("first", None)).await;
    for kinds in [(KeyType::S, KeyType::N), (KeyType::N, KeyType::B), (KeyType::B, KeyType::S)] {
        let filled = fill(&client, &cluster, kinds).await;
        for (at, (key, expected)) in filled.conditions().into_iter().enumerate() {
            let reader = cluster.client_of(at % 3);
            let mut backwards = expected.clone();
            backwards.reverse();
            for (reverse, expected) in [(false, expected), (true, backwards)] {
                for limit in [None, Some(1), Some(3)] {
                    let what = format!("{kinds:?} {} {:?} {reverse} {limit:?}", key.text, key.values);
                    let query =
                        Query { key: key.clone(), reverse, limit, consistent: true, ..Query::default() };
                    let pages = all_pages(&reader, &filled.new.name, query).await;
                    assert_eq!(items_of(&pages), expected, "{what}");
                    for page in &pages {
                        assert_eq!(page.count as usize, page.items.len(), "{what}");
                        assert_eq!(page.count, page.scanned, "{what}");
                        assert!(limit.is_none_or(|limit| page.scanned <= limit), "{what}");
                    }
                }
            }
        }
        parts_are_shown(&client, &filled).await;
        starts_are_places(&client, &filled).await;
    }
}

/// Filters, projections, counts.
async fn parts_are_shown(client: &Client, filled: &Filled) {
    let (table, all) = (&filled.new.name, || Query { key: filled.key("", &[]), ..Query::default() });
    let odd = || Some(Expression::new("odd = :odd").value(":odd", AttributeValue::Bool(true)));
    let odds: Vec<Item> = filled.items.iter().skip(1).step_by(2).cloned().collect();
    let pages = all_pages(client, table, Query { filter: odd(), limit: Some(4), ..all() }).await;
    assert_eq!(items_of(&pages), odds);
    assert_eq!(pages.iter().map(|page| page.scanned).sum::<u32>(), 13, "a limit is of items read");
    assert_eq!(pages.iter().map(|page| page.count).sum::<u32>() as usize, odds.len());
    let none = Some(Expression::new("odd = :odd").value(":odd", n(1)));
    let pages = all_pages(client, table, Query { filter: none, limit: Some(5), ..all() }).await;
    assert_eq!((items_of(&pages).len(), pages.len()), (0, 3), "pages may be empty, with more to come");
    let projection = || Some(Expression::new("tags[0], #at, nothing").name("#at", "at"));
    let pages = all_pages(client, table, Query { projection: projection(), filter: odd(), ..all() }).await;
    let bare = |item: &Item| {
        let at = item.get("at").cloned().expect("it has one");
        sample::item([("tags", AttributeValue::L(vec![at.clone()])), ("at", at)])
    };
    assert_eq!(items_of(&pages), odds.iter().map(bare).collect::<Vec<_>>());
    let select = Select::SpecificAttributes;
    let page =
        client.query(table, Query { projection: projection(), select, ..all() }).await.expect("a page");
    assert_eq!(page.items.len(), 13);
    let capacity = ReturnConsumedCapacity::Total;
    let counted = Query { select: Select::Count, filter: odd(), capacity, consistent: true, ..all() };
    let page = client.query(table, counted).await.expect("a page");
    assert_eq!((page.items.len(), page.count, page.scanned), (0, 6, 13));
    assert_eq!(
        page.capacity.map(|capacity| capacity.capacity_units),
        Some(1.0),
        "small items are read as one"
    );
    let page = client.query(table, Query { capacity, ..all() }).await.expect("a page");
    assert_eq!(page.capacity.map(|capacity| capacity.capacity_units), Some(0.5));
}

/// A start key need not be an item's, but must be one the query could give.
async fn starts_are_places(client: &Client, filled: &Filled) {
    let table = &filled.new.name;
    let start =
        |pk: &AttributeValue, sk: &AttributeValue| Some(item([("pk", pk.clone()), ("sk", sk.clone())]));
    let all = || Query { key: filled.key("", &[]), consistent: true, ..Query::default() };
    for at in 0..filled.sorts.len() {
        let start = start(&filled.of, &filled.sorts[at]);
        let page = client.query(table, Query { start: start.clone(), ..all() }).await.expect("a page");
        assert_eq!(page.items, filled.items[at + 1..]);
        let page = client.query(table, Query { start, reverse: true, ..all() }).await.expect("a page");
        assert!(page.items.iter().eq(filled.items[..at].iter().rev()));
    }
    let other = in_order(filled.new.key.partition.kind)[3].clone();
    let from = &filled.sorts[5];
    let above = || Query { key: filled.key("sk > :v", &[(":v", from)]), ..all() };
    let bare = Some(item([("pk", filled.of.clone())]));
    for (what, query, message) in [
        (
            "another partition",
            Query { start: start(&other, from), ..all() },
            "The provided starting key is outside query boundaries based on provided conditions",
        ),
        (
            "outside",
            Query { start: start(&filled.of, &filled.sorts[2]), ..above() },
            "The provided starting key does not match the range key predicate",
        ),
        (
            "half a key",
            Query { start: bare, ..all() },
            "The provided starting key is invalid: The provided key element does not match the schema",
        ),
    ] {
        let error = client.query(table, query).await.expect_err(what);
        assert_eq!((error.kind(), error.message()), (Kind::Invalid, message), "{what}");
    }
}

#[tokio::test]
async fn large_queries_and_scans_come_in_pages_of_a_mebibyte() {
    let new = NewTable {
        key: schema(("pk", KeyType::S), Some(("sk", KeyType::N))),
        ..sample::table("many-pages", None)
    };
    let (_cluster, client) = begin(&new).await;
    let whole = |at: usize| item([("pk", s("p")), ("sk", n(at)), ("text", s("t".repeat(100_000)))]);
    for at in 0..60 {
        client.batch_write(&[BatchWrite::Put(new.name.clone(), whole(at))]).await.expect("it is put");
    }
    let expected: Vec<Item> = (0..60).map(whole).collect();
    let key = Expression::partition(&name("pk"), s("p"));
    for reverse in [false, true] {
        let capacity = ReturnConsumedCapacity::Total;
        let query = Query { key: key.clone(), reverse, consistent: true, capacity, ..Query::default() };
        let pages = all_pages(&client, &new.name, query).await;
        let mut items = items_of(&pages);
        if reverse {
            items.reverse();
        }
        assert!(items == expected, "{} items", items.len());
        assert!(pages.len() >= 5, "{} pages", pages.len());
        for page in &pages {
            let bytes: usize = page.items.iter().map(Item::size).sum();
            assert!(bytes <= (1 << 20) + 100_100, "a page of {bytes} bytes");
            let units = page.capacity.as_ref().map(|capacity| capacity.capacity_units);
            assert_eq!(units, Some((bytes.div_ceil(4096) as f64).max(1.0)));
        }
    }
    let scan = Scan { select: Select::Count, consistent: true, ..Scan::default() };
    let pages: Vec<Page> = client.scan_all(&new.name, scan).try_collect().await.expect("pages");
    assert!(pages.len() >= 5, "what is read counts, not what is shown: {} pages", pages.len());
    assert_eq!(pages.iter().map(|page| page.count).sum::<u32>(), 60);
}

#[tokio::test]
async fn segments_are_the_table_exactly() {
    let new = NewTable {
        key: schema(("id", KeyType::S), Some(("at", KeyType::N))),
        partitions: 5,
        ..sample::table("segmented", None)
    };
    let (cluster, client) = begin(&new).await;
    let whole = |at: usize| item([("id", s(format!("k{}", at / 3))), ("at", n(at)), ("odd", n(at % 2))]);
    let items: Vec<Item> = (0..600).map(whole).collect();
    for chunk in items.chunks(25) {
        let writes: Vec<_> =
            chunk.iter().map(|whole| BatchWrite::Put(new.name.clone(), whole.clone())).collect();
        client.batch_write(&writes).await.expect("they are put");
    }
    let all = history::scan(&client, &new.name, &new.key).await;
    assert_eq!(all.len(), 600);
    for total in [1, 2, 3, 5, 7, 16, 100] {
        let mut union = BTreeMap::new();
        for segment in 0..total {
            let reader = cluster.client_of(segment as usize % 3);
            let limit = (total < 10).then_some(17);
            let scan = Scan { segment: Some((segment, total)), limit, consistent: true, ..Scan::default() };
            for (item_key, whole) in scanned(&reader, &new.name, &new.key, scan).await {
                assert!(
                    union.insert(item_key, whole).is_none(),
                    "segment {segment} of {total} has another's item"
                );
            }
        }
        assert!(union == all, "{total} segments have {} items", union.len());
    }
    let filter = Some(Expression::new("odd = :odd AND id > :id").value(":odd", n(1)).value(":id", s("k1")));
    let scan = Scan { filter, segment: Some((1, 2)), ..Scan::default() };
    let odd = scanned(&client, &new.name, &new.key, scan).await;
    assert!(odd.values().all(|item| item.get("odd") == Some(&n(1))), "filters may look at keys");
    // A start key of another segment.
    let in_first = Scan { segment: Some((0, 2)), limit: Some(1), ..Scan::default() };
    let next = client.scan(&new.name, in_first.clone()).await.expect("a page").next;
    let good = client.scan(&new.name, Scan { start: next.clone(), ..in_first }).await.expect("a page");
    assert_eq!(good.items.len(), 1);
    let bad = Scan { segment: Some((1, 2)), start: next, ..Scan::default() };
    let error = client.scan(&new.name, bad).await.expect_err("another segment's key");
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.message().contains("ExclusiveStartKey"), "{error}");
}

async fn scanned(
    client: &Client,
    table: &TableName,
    schema: &KeySchema,
    scan: Scan,
) -> BTreeMap<ItemKey, Item> {
    let mut items = BTreeMap::new();
    let mut pages = pin!(client.scan_all(table, scan));
    while let Some(page) = pages.try_next().await.expect("a page") {
        for item in page.items {
            let other = items.insert(schema.key_of_item(&item).expect("a key"), item);
            assert!(other.is_none(), "an item twice: {other:?}");
        }
    }
    items
}
