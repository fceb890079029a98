//! What expressions cost before anything is read: parsing, finding a parsed one again, binding.
//!
//! An update of 200 bytes, as a program would send it, and a filter. Run with `cargo bench --bench expressions`.

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use watertable::expression::{Cache, Kind, Placeholders, parse};
use watertable::model::AttributeValue;

const UPDATE: &str = "SET #status = :status, updated_at = :now, version = version + :one, \
                      history = list_append(if_not_exists(history, :empty), :entry), buyer.id = :owner \
                      REMOVE leases.#holder, draft ADD hits :one";

const FILTER: &str = "attribute_exists(#status) AND (price BETWEEN :low AND :high OR contains(tags, :owner)) AND \
                      size(history) > :one AND NOT #status IN (:status, :owner)";

const NAMES: [(&str, &str); 2] = [("#status", "status"), ("#holder", "node")];

fn values() -> Vec<(&'static str, AttributeValue)> {
    let number = |text: &str| AttributeValue::N(text.parse().expect("a number"));
    let string = |text: &str| AttributeValue::S(text.to_owned());
    vec![
        (":status", string("shipped")),
        (":now", number("1700000000")),
        (":one", number("1")),
        (":empty", AttributeValue::L(Vec::new())),
        (":entry", AttributeValue::L(vec![string("shipped by the night shift")])),
        (":owner", string("user-00001234")),
        (":low", number("10")),
        (":high", number("99.5")),
    ]
}

fn placeholders() -> Placeholders {
    let names = NAMES.map(|(key, name)| (key.to_owned(), name.to_owned()));
    let values = values().into_iter().map(|(key, value)| (key.to_owned(), value));
    Placeholders::new(Some(BTreeMap::from(names)), Some(values.collect())).expect("good placeholders")
}

fn expressions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("expressions");
    for (name, kind, text) in [("update", Kind::Update, UPDATE), ("filter", Kind::Filter, FILTER)] {
        group.bench_function(format!("{name}/parse"), |bencher| {
            bencher.iter(|| parse(kind, black_box(text)).expect("parses"));
        });
        let cache = Cache::new(1024, 1 << 24);
        for n in 0..500 {
            cache.parse(Kind::Projection, &format!("attribute{n}")).expect("parses");
        }
        cache.parse(kind, text).expect("parses");
        group.bench_function(format!("{name}/cached"), |bencher| {
            bencher.iter(|| cache.parse(kind, black_box(text)).expect("is known"));
        });
        let parsed = parse(kind, text).expect("parses");
        group.bench_function(format!("{name}/bind"), |bencher| {
            bencher.iter_batched(
                placeholders,
                |mut placeholders| {
                    if kind == Kind::Update {
                        drop(black_box(placeholders.update(&parsed).expect("binds")));
                    } else {
                        drop(black_box(placeholders.condition(&parsed).expect("binds")));
                    }
                    placeholders
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.bench_function("placeholders", |bencher| bencher.iter(placeholders));
    group.finish();
}

criterion_group!(benches, expressions);
criterion_main!(benches);
