//! The data of `demo`: weather stations that report, and fall silent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{Error, demo::Board};
use crate::client::{BatchWrite, Client, Kind, Table, WriteOptions};
use crate::model::{AttributeName, AttributeValue, Item, Number, TableName};

/// Where the sample's stations stand. Weather is made up.
pub(super) const PLACES: [&str; 48] = [
    "amsterdam",
    "athens",
    "auckland",
    "bamako",
    "bergen",
    "berlin",
    "bogota",
    "brest",
    "cairo",
    "cape town",
    "chennai",
    "dakar",
    "dublin",
    "geneva",
    "hanoi",
    "havana",
    "helsinki",
    "hobart",
    "istanbul",
    "jakarta",
    "kathmandu",
    "kyoto",
    "la paz",
    "lima",
    "lisbon",
    "lusaka",
    "madrid",
    "manila",
    "montreal",
    "muscat",
    "nairobi",
    "nuuk",
    "oslo",
    "palermo",
    "perth",
    "prague",
    "quito",
    "reykjavik",
    "riga",
    "rome",
    "seoul",
    "sofia",
    "tallinn",
    "tbilisi",
    "tromso",
    "valencia",
    "vienna",
    "zurich",
];

/// Pause of a writer between two writes.
const PACE: Duration = Duration::from_millis(10);

/// Writers of each partition.
const WRITERS: usize = 2;

/// Stations in a batch.
const BATCH: usize = 24;

/// Of so many writes, one removes a station; the next one of it brings it back.
const REMOVES: u64 = 9;

/// Puts a first report of every station; says how many.
pub(super) async fn fill(client: &Client, table: &Table, board: &Board) -> Result<usize, Error> {
    for places in PLACES.chunks(BATCH) {
        let put = |place: &&str| BatchWrite::Put(table.name.clone(), weather(place, 0));
        client.batch_write(&places.iter().map(put).collect::<Vec<_>>()).await?;
        board.acknowledged.fetch_add(places.len() as u64, Ordering::Relaxed);
    }
    Ok(PLACES.len())
}

/// Starts the writers: each has stations of its own, all of one partition.
pub(super) fn write(client: &Client, table: &Table, board: &Arc<Board>) -> JoinSet<()> {
    let mut stations: BTreeMap<(usize, usize), Vec<&'static str>> = BTreeMap::new();
    for (number, place) in PLACES.into_iter().enumerate() {
        let hash = table.key.key_of_key(&key(place)).expect("a key of this table").hash();
        let partition = table.partitions.iter().position(|each| each.range.contains(hash));
        let partition = partition.expect("every hash has its partition");
        stations.entry((partition, number % WRITERS)).or_default().push(place);
    }
    let mut writers = JoinSet::new();
    for ((partition, _), mine) in stations {
        writers.spawn(report_weather(client.clone(), table.name.clone(), board.clone(), partition, mine));
    }
    writers
}

/// One writer. Every write changes something, or it would have no record.
async fn report_weather(
    client: Client,
    table: TableName,
    board: Arc<Board>,
    partition: usize,
    mine: Vec<&'static str>,
) {
    let mut count = partition as u64;
    let mut reports: BTreeMap<&str, u64> = BTreeMap::new();
    let mut present: BTreeSet<&str> = mine.iter().copied().collect();
    while !board.stop.load(Ordering::Relaxed) {
        count += 1;
        let place = mine[count as usize % mine.len()];
        let options = WriteOptions::default();
        let remove = count.is_multiple_of(REMOVES) && present.remove(place);
        let result = if remove {
            client.delete_item(&table, &key(place), options).await
        } else {
            let report = reports.entry(place).or_default();
            *report += 1;
            present.insert(place);
            client.put_item(&table, &weather(place, *report), options).await
        };
        match result {
            Ok(_) => board.acknowledged(partition),
            Err(error) => {
                if error.kind() == Kind::Unknown {
                    board.unknown.fetch_add(1, Ordering::Relaxed);
                }
                // It may be there or not: with a new report it is, whatever came of this.
                present.remove(place);
            }
        }
        sleep(PACE).await;
    }
}

pub(super) fn attribute(text: &str) -> AttributeName {
    AttributeName::parse(text).expect("a good name")
}

fn key(place: &str) -> Item {
    [(attribute("station"), AttributeValue::S(place.to_owned()))].into_iter().collect()
}

/// A report that follows from its number.
pub(super) fn weather(place: &str, report: u64) -> Item {
    let seed = place.bytes().fold(report, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let swing = (report as f64 / 7.0 + place.len() as f64).sin() * 80.0;
    let number = |text: String| AttributeValue::N(Number::parse(&text).expect("digits"));
    let mut item = key(place);
    item.insert(attribute("report"), number(report.to_string()));
    item.insert(attribute("celsius"), number(format!("{:.1}", (swing + 120.0) / 10.0)));
    let wind = ["calm", "breeze", "wind", "gale", "storm"][(seed >> 3) as usize % 5];
    item.insert(attribute("wind"), AttributeValue::S(wind.to_owned()));
    item
}
