//! What expressions cost: filtering and projecting a page of stored items, and a conditional update from stored bytes
//! to stored bytes.
//!
//! Run one with `cargo bench --bench conditions -- filter`.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use watertable::expression::Subject;
use watertable::expression::ast::{
    Comparator, Condition, Operand, Path, Projection, SetOperand, SetValue, Step, Update,
};
use watertable::model::{AttributeName, AttributeValue, Item, Number, codec};

const PAGE_BYTES: usize = 1024 * 1024;

fn name(text: &str) -> AttributeName {
    AttributeName::parse(text).expect("a name")
}

fn number(value: usize) -> AttributeValue {
    AttributeValue::N(Number::from(value as u64))
}

fn text(value: String) -> AttributeValue {
    AttributeValue::S(value)
}

/// An order in a shop, as one finds in tables; the note fills it to its size.
fn item(n: usize, bytes: usize) -> Item {
    let place = [(name("city"), text(format!("city {}", n % 50))), (name("zip"), number(10_000 + n % 900))];
    let pairs = [
        ("id", text(format!("order-{n:08}"))),
        ("created", number(1_700_000_000 + n)),
        ("customer", text(format!("customer-{:05}", n % 1000))),
        ("place", AttributeValue::M(place.into())),
        ("price", AttributeValue::N(format!("{}.{:02}", n % 300, n % 100).parse().expect("a number"))),
        ("status", text(["open", "paid", "sent"][n % 3].to_owned())),
        ("tags", AttributeValue::L(vec![text("a".to_owned()), number(n % 7)])),
    ];
    let mut item: Item = pairs.into_iter().map(|(key, value)| (name(key), value)).collect();
    let missing = bytes.saturating_sub(encode(&item).len() + 16);
    item.insert(name("note"), text("x".repeat(missing)));
    item
}

fn encode(item: &Item) -> Bytes {
    let mut bytes = Vec::new();
    codec::encode_item(item, &mut bytes);
    bytes.into()
}

fn page(item_bytes: usize) -> Vec<Bytes> {
    (0..PAGE_BYTES / item_bytes).map(|n| encode(&item(n, item_bytes))).collect()
}

fn path(text: &str) -> Path {
    let mut parts = text.split('.').map(name);
    Path { name: parts.next().expect("a first part"), steps: parts.map(Step::Member).collect() }
}

fn compare(left: &str, comparator: Comparator, right: AttributeValue) -> Condition {
    Condition::Compare(Operand::Path(path(left)), comparator, Operand::Value(right))
}

fn filters() -> [(&'static str, Condition); 3] {
    let price = |comparator| compare("price", comparator, number(100));
    [
        (
            "two_comparisons",
            Condition::And(vec![
                price(Comparator::GreaterOrEqual),
                compare("status", Comparator::Equal, text("open".to_owned())),
            ]),
        ),
        (
            "two_comparisons_or",
            Condition::Or(vec![
                price(Comparator::Less),
                compare("status", Comparator::Equal, text("open".to_owned())),
            ]),
        ),
        ("nested", compare("place.zip", Comparator::Less, number(10_100))),
    ]
}

fn pages(criterion: &mut Criterion) {
    for item_bytes in [200, 1024] {
        let page = page(item_bytes);
        let mut group = criterion.benchmark_group(format!("page_of_{item_bytes}"));
        group.throughput(Throughput::Bytes(page.iter().map(|item| item.len() as u64).sum()));
        for (label, filter) in filters() {
            group.bench_function(format!("filter_{label}"), |bencher| {
                bencher.iter(|| {
                    let holds = |item: &&Bytes| filter.holds(Subject::Encoded(item)).expect("sound bytes");
                    black_box(&page).iter().filter(holds).count()
                });
            });
        }
        let projection = Projection { paths: vec![path("status"), path("price"), path("id")] };
        group.bench_function("project_attributes", |bencher| {
            let project = |item: &Bytes| projection.project_encoded(item).expect("sound bytes").len();
            bencher.iter(|| black_box(&page).iter().map(project).sum::<usize>());
        });
        let projection = Projection { paths: vec![path("status"), path("place.zip")] };
        group.bench_function("project_nested", |bencher| {
            let project = |item: &Bytes| projection.project_encoded(item).expect("sound bytes").len();
            bencher.iter(|| black_box(&page).iter().map(project).sum::<usize>());
        });
        group.finish();
    }
}

/// `SET price = price + :one, status = :paid` if `status = :open`, from stored bytes to stored bytes.
fn conditional_update(criterion: &mut Criterion) {
    let stored = encode(&item(3, 1024));
    let key: Item = [(name("id"), text("order-00000003".to_owned()))].into_iter().collect();
    let condition = compare("status", Comparator::Equal, text("open".to_owned()));
    let update = Update {
        set: vec![
            (path("price"), SetValue::Plus(SetOperand::Path(path("price")), SetOperand::Value(number(1)))),
            (path("status"), SetValue::Operand(SetOperand::Value(text("paid".to_owned())))),
        ],
        ..Update::default()
    };
    let evaluate = || {
        assert!(condition.holds(Subject::Encoded(&stored)).expect("sound bytes"));
        let old = codec::decode_item(&stored).expect("sound bytes");
        let new = update.apply(&key, Some(old)).expect("not refused").expect("an item");
        new.validate().expect("within limits");
        encode(&new)
    };
    criterion.bench_function("conditional_update_of_1024", |bencher| bencher.iter(|| black_box(evaluate())));
}

criterion_group!(benches, pages, conditional_update);
criterion_main!(benches);
