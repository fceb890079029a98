//! What the item store's engines do in a second: 1 KiB values, batches of 32 by a single writer; once with
//! everything in the cache, once with several times as much as the cache holds.
//!
//! The figures stand at the door of `storage`. Run one engine with `cargo bench --bench items -- fjall`.

use std::hint::black_box;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use tempfile::TempDir;
use watertable::model::id::GroupId;
use watertable::partition::Batch;
use watertable::storage::{Engine, Items, open};

const BATCH_ITEMS: u64 = 32;
const PAGE_ITEMS: usize = 20;
const MIB: u64 = 1024 * 1024;

/// Deterministic noise: values that no engine can compress.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn value(&mut self) -> Bytes {
        let mut value = BytesMut::with_capacity(1024);
        for _ in 0..128 {
            value.put_u64(self.next());
        }
        value.freeze()
    }
}

/// Item keys as the model makes them: table, hash, key. The hash scatters them.
fn key(n: u64) -> Bytes {
    let mut key = BytesMut::new();
    key.put_u64(7);
    key.put_u64(n.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    key.put_slice(format!("user-{n:08}").as_bytes());
    key.freeze()
}

/// A store with `count` items in it.
struct Loaded {
    items: Arc<dyn Items>,
    count: u64,
    noise: Noise,
    _directory: TempDir,
}

impl Loaded {
    fn new(engine: Engine, count: u64, cache_bytes: u64) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let items = open(engine, directory.path(), cache_bytes).expect("a new store opens").items;
        let mut loaded = Self { items, count, noise: Noise(0x5DEE_CE66), _directory: directory };
        for first in (0..count).step_by(BATCH_ITEMS as usize) {
            let batch = loaded.batch(|n, _| first + n);
            loaded.items.commit(batch).expect("commits");
        }
        loaded
    }

    fn batch(&mut self, mut choose: impl FnMut(u64, &mut Noise) -> u64) -> Batch {
        let state = Bytes::from_static(&[1; 64]);
        let noise = &mut self.noise;
        let writes = (0..BATCH_ITEMS).map(|n| (key(choose(n, noise)), Some(noise.value()))).collect();
        Batch { group: GroupId(1), state, writes }
    }

    fn any_key(&mut self) -> Bytes {
        key(self.noise.next() % self.count)
    }
}

fn measure(criterion: &mut Criterion, engine: Engine, size: &str, count: u64, cache_bytes: u64) {
    let mut loaded = Loaded::new(engine, count, cache_bytes);
    let mut group = criterion.benchmark_group(format!("items/{engine}/{size}"));
    group.sample_size(20);

    group.throughput(Throughput::Elements(BATCH_ITEMS));
    group.bench_function("commit", |bencher| {
        let items = loaded.items.clone();
        let batch = || loaded.batch(|_, noise| noise.next() % count);
        bencher.iter_batched(batch, |batch| items.commit(batch).expect("commits"), BatchSize::SmallInput);
    });

    group.throughput(Throughput::Elements(1));
    group.bench_function("get", |bencher| {
        let items = loaded.items.clone();
        bencher.iter_batched(
            || loaded.any_key(),
            |key| black_box(items.get(&key).expect("reads")),
            BatchSize::SmallInput,
        );
    });

    group.throughput(Throughput::Elements(PAGE_ITEMS as u64));
    group.bench_function("range", |bencher| {
        let items = loaded.items.clone();
        bencher.iter_batched(|| loaded.any_key(), |key| page(&*items, &key), BatchSize::SmallInput);
    });
    group.finish();
}

fn page(items: &dyn Items, from: &[u8]) -> usize {
    let mut seen = 0;
    items
        .range(Bound::Included(from), Bound::Unbounded, false, &mut |_, value| {
            black_box(value);
            seen += 1;
            if seen < PAGE_ITEMS { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
        .expect("reads");
    seen
}

fn engines(criterion: &mut Criterion) {
    for engine in [Engine::Fjall, Engine::Sled, Engine::Memory] {
        measure(criterion, engine, "in-cache", 51_200, 128 * MIB);
    }
    for engine in [Engine::Fjall, Engine::Sled] {
        measure(criterion, engine, "beyond-cache", 409_600, 32 * MIB);
    }
}

criterion_group!(benches, engines);
criterion_main!(benches);
