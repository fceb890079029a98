//! What the item state machine costs without a disk: writes evaluated into an entry, and pages of items read.
//!
//! Run one with `cargo bench --bench evaluate -- page`.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::hint::black_box;
use std::ops::Bound;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use watertable::expression::ast::{
    Comparator, Condition, Operand, Path, Projection, SetOperand, SetValue, Update,
};
use watertable::model::{AttributeName, AttributeValue, Item, Number, codec};
use watertable::partition::entry::Encoder;
use watertable::partition::{Action, Evaluated, Limits, Returns, Select, View, Visit, Write, evaluate, page};

const PAGE_BYTES: usize = 1024 * 1024;

/// Items in memory, so that what is measured is not how they are found.
struct Items(BTreeMap<Bytes, Bytes>);

impl View for Items {
    type Error = Infallible;

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Infallible> {
        Ok(self.0.get(key).cloned())
    }

    fn range(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        _: bool,
        visit: &mut Visit<'_>,
    ) -> Result<(), Infallible> {
        let _ = self.0.range::<[u8], _>((from, to)).try_for_each(|(key, stored)| visit(key, stored));
        Ok(())
    }
}

fn name(text: &str) -> AttributeName {
    AttributeName::parse(text).expect("a name")
}

fn number(value: usize) -> AttributeValue {
    AttributeValue::N(Number::from(value as u64))
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn path(text: &str) -> Path {
    Path { name: name(text), steps: Vec::new() }
}

/// An order in a shop, as one finds in tables; the note fills it to its size.
fn item(n: usize, bytes: usize) -> Item {
    let place = [(name("city"), text(&format!("city {}", n % 50))), (name("zip"), number(10_000 + n % 900))];
    let pairs = [
        ("id", text(&format!("order-{n:08}"))),
        ("created", number(1_700_000_000 + n)),
        ("customer", text(&format!("customer-{:05}", n % 1000))),
        ("place", AttributeValue::M(place.into())),
        ("price", AttributeValue::N(format!("{}.{:02}", n % 300, n % 100).parse().expect("a number"))),
        ("status", text(["open", "paid", "sent"][n % 3])),
        ("tags", AttributeValue::L(vec![text("a"), number(n % 7)])),
    ];
    let mut item: Item = pairs.into_iter().map(|(key, value)| (name(key), value)).collect();
    let missing = bytes.saturating_sub(encode(&item).len() + 16);
    item.insert(name("note"), text(&"x".repeat(missing)));
    item
}

fn encode(item: &Item) -> Bytes {
    let mut bytes = Vec::new();
    codec::encode_item(item, &mut bytes);
    bytes.into()
}

fn key(n: usize) -> Bytes {
    format!("table...hash....order-{n:08}").into()
}

fn items(count: usize, bytes: usize) -> Items {
    let stored = |n| [&1u64.to_le_bytes()[..], &encode(&item(n, bytes))].concat().into();
    Items((0..count).map(|n| (key(n), stored(n))).collect())
}

fn compare(left: &str, comparator: Comparator, right: AttributeValue) -> Condition {
    Condition::Compare(Operand::Path(path(left)), comparator, Operand::Value(right))
}

fn write(n: usize, action: Action, condition: Option<Condition>) -> Write {
    Write {
        key: key(n),
        action,
        condition,
        returns: Returns::Nothing,
        shows_rejected: false,
        measures: false,
    }
}

fn writes(criterion: &mut Criterion) {
    let items = items(100, 1024);
    // Item 3 is open, and no item 100 exists.
    let put = |n: usize| Action::Put { item: encode(&item(n + 1, 1024)) };
    let price = SetValue::Plus(SetOperand::Path(path("price")), SetOperand::Value(number(1)));
    let update = Update {
        set: vec![
            (path("price"), price),
            (path("status"), SetValue::Operand(SetOperand::Value(text("paid")))),
        ],
        ..Update::default()
    };
    let id: Item = [(name("id"), text("order-00000003"))].into_iter().collect();
    let update = Action::Update { key: encode(&id), update, legacy: false };
    let is_open = || Some(compare("status", Comparator::Equal, text("open")));
    let writes = [
        ("put", write(3, put(3), None)),
        ("put_new", write(100, put(100), None)),
        ("put_unchanged", write(2, put(1), None)),
        ("put_conditional", write(3, put(3), is_open())),
        ("put_if_not_exists", write(100, put(100), Some(Condition::NotExists(path("id"))))),
        ("delete", write(3, Action::Delete, None)),
        ("update_conditional", write(3, update, is_open())),
    ];
    let mut group = criterion.benchmark_group("write_of_1024");
    group.bench_function("get_alone", |bencher| bencher.iter(|| items.get(black_box(&key(3)))));
    for (label, write) in writes {
        let mut encoder = Encoder::new(1, 1);
        group.bench_function(label, |bencher| {
            bencher.iter(|| {
                let evaluated = evaluate(&items, black_box(&write), true).expect("evaluates");
                if let Evaluated::Changed { change, .. } = &evaluated {
                    encoder.push(change);
                }
                if encoder.bytes() >= PAGE_BYTES {
                    encoder = Encoder::new(1, 1);
                }
                evaluated
            });
        });
    }
    group.finish();
}

fn pages(criterion: &mut Criterion) {
    let filter = || {
        let cheap = compare("price", Comparator::GreaterOrEqual, number(100));
        Some(Condition::And(vec![cheap, compare("status", Comparator::Equal, text("open"))]))
    };
    let projection = || Some(Projection { paths: vec![path("status"), path("price"), path("id")] });
    let selects = [
        ("all", Select::default()),
        ("filtered", Select { filter: filter(), ..Select::default() }),
        ("filtered_and_counted", Select { filter: filter(), counts_only: true, ..Select::default() }),
        ("projected", Select { projection: projection(), ..Select::default() }),
    ];
    for item_bytes in [200, 1024] {
        let items = items(2 * PAGE_BYTES / item_bytes, item_bytes);
        let limits = Limits { items_max: usize::MAX, bytes_max: PAGE_BYTES };
        let read = |select: &Select| {
            page(&items, Bound::Unbounded, Bound::Unbounded, false, limits, select).expect("reads")
        };
        let mut group = criterion.benchmark_group(format!("page_of_{item_bytes}"));
        group.throughput(Throughput::Bytes(read(&Select::default()).bytes as u64));
        for (label, select) in &selects {
            group.bench_function(*label, |bencher| bencher.iter(|| read(black_box(select))));
        }
        group.finish();
    }
}

criterion_group!(benches, writes, pages);
criterion_main!(benches);
