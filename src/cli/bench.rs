//! `bench`: measuring a running cluster. What is asked, in which order things happen; the parts are in
//! `bench_requests` (what is sent), `bench_clients` (how), `bench_streams` (reading) and `bench_report` (the result).

use std::time::Duration;

use futures::FutureExt;
use tokio::time::Instant;

use super::bench_clients::{self, Plan, Work};
use super::bench_report::{Measured, Moment, Report};
use super::bench_requests::{Keys, Template};
use super::output::progress;
use super::table::{PATIENCE, parse_view};
use super::{Error, Global, bench_streams, key, time};
use crate::client::{Client, NewTable, Options, StreamViewType, Table};
use crate::model::{KeySchema, KeyType, TableName};

/// The commands.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Puts items of random keys.
    #[command(after_help = "Example:\n  watertable bench put --clients 64 --duration 10s --stream NEW_IMAGE")]
    Put(Arguments),
    /// Reads items of random keys, after filling the table.
    #[command(after_help = "Example:\n  watertable bench get --clients 64 --eventual")]
    Get(Arguments),
    /// Updates one attribute of items of random keys, after filling the table.
    #[command(after_help = "Example:\n  watertable bench update --rate 2000")]
    Update(Arguments),
    /// Reads and puts items of random keys, after filling the table.
    #[command(after_help = "Example:\n  watertable bench mixed --reads 90")]
    Mixed(Arguments),
    /// Puts items in batches.
    #[command(after_help = "Example:\n  watertable bench batch --batch 25 --clients 16")]
    Batch(Arguments),
    /// Reads a whole stream, by Subscribe and by GetRecords, after filling a table.
    #[command(after_help = "Example:\n  watertable bench stream-tail --keys 200000 --item-bytes 1024")]
    StreamTail(Arguments),
    /// Measures the time from a write to its record at a subscriber, while writers run.
    #[command(after_help = "Example:\n  watertable bench latency --clients 16 --stream NEW_AND_OLD_IMAGES")]
    Latency(Arguments),
}

/// What all of them understand.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Arguments {
    /// Writers and readers, each with one call on its way (a closed loop).
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub clients: u32,
    /// Calls a second, begun on time whether or not others have ended (an open loop, as far as the clients reach);
    /// latency counts from the time a call was due.
    #[arg(long)]
    pub rate: Option<f64>,
    /// How long to measure.
    #[arg(long, value_parser = time::parse_duration, default_value = "10s")]
    pub duration: Duration,
    /// How long to run before measuring.
    #[arg(long, value_parser = time::parse_duration, default_value = "2s")]
    pub warm_up: Duration,
    /// Bytes of the value of each item, besides its key of 17 bytes.
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u32).range(20..=400_000))]
    pub item_bytes: u32,
    /// How many keys there are.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=50_000_000))]
    pub keys: u32,
    /// Partitions of the table that is made; the cluster's default if not given.
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    pub partitions: u32,
    /// The stream of the table that is made: a view type, or none. NEW_IMAGE where a stream is read, else none.
    #[arg(long, value_parser = parse_stream)]
    pub stream: Option<StreamChoice>,
    /// The table, made if it does not exist and left there; else a fresh one that is deleted at the end.
    #[arg(long)]
    pub table: Option<TableName>,
    /// Items of one batch.
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..=25))]
    pub batch: u32,
    /// For mixed: how many of a hundred calls read.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub reads: u32,
    /// Reads are eventually consistent.
    #[arg(long)]
    pub eventual: bool,
    /// For latency: how many subscribers.
    #[arg(long, default_value_t = 1)]
    pub subscribers: u32,
    /// Processes whose CPU time is that of the servers.
    #[arg(long, value_delimiter = ',', value_name = "PID")]
    pub server_pids: Vec<u32>,
    /// HTTP/2 connections to each node. One is cheapest; more, if a node cannot keep up with reading one.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub channels: u16,
    /// Threads of this program. One is cheapest; more, if one is not enough to load the cluster.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: u16,
}

/// A view type, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StreamChoice(pub Option<StreamViewType>);

fn parse_stream(text: &str) -> Result<StreamChoice, String> {
    if text.eq_ignore_ascii_case("none") {
        return Ok(StreamChoice(None));
    }
    parse_view(text).map(|view| StreamChoice(Some(view))).map_err(|error| format!("{error}, nor none"))
}

impl Command {
    /// How many threads it was asked to run with.
    pub(super) fn threads(&self) -> usize {
        self.parts().1.threads.into()
    }

    fn parts(&self) -> (&'static str, &Arguments) {
        match self {
            Self::Put(arguments) => ("put", arguments),
            Self::Get(arguments) => ("get", arguments),
            Self::Update(arguments) => ("update", arguments),
            Self::Mixed(arguments) => ("mixed", arguments),
            Self::Batch(arguments) => ("batch", arguments),
            Self::StreamTail(arguments) => ("stream-tail", arguments),
            Self::Latency(arguments) => ("latency", arguments),
        }
    }

    fn reads_stream(&self) -> bool {
        matches!(self, Self::StreamTail(_) | Self::Latency(_))
    }
}

pub(super) async fn run(global: &Global, command: Command) -> Result<(), Error> {
    let arguments = command.parts().1;
    let options = Options { channels_per_node: arguments.channels.into(), ..global.options() };
    let client = Client::connect(global.endpoint.clone(), options)?;
    let default_stream = command.reads_stream().then_some(StreamViewType::NewImage);
    let stream = arguments.stream.map_or(default_stream, |choice| choice.0);
    let (table, fresh) = prepare_table(&client, arguments, stream).await?;
    let measured = tokio::select! {
        measured = measure(global, &client, &command, &table, fresh) => measured,
        _ = tokio::signal::ctrl_c().map(drop) => Err(Error::Negative("interrupted".into())),
    };
    if fresh {
        // Not waited for: the cluster does it, and the measurement is over.
        let deleted = client.delete_table(&table.name).await;
        if let Err(error) = deleted {
            eprintln!("table {} could not be deleted: {error}", table.name);
        }
    }
    measured
}

async fn measure(
    global: &Global,
    client: &Client,
    command: &Command,
    table: &Table,
    fresh: bool,
) -> Result<(), Error> {
    let (name, arguments) = command.parts();
    let keys = Keys::new(&table.key, arguments.keys)?;
    let template = |make: fn(&TableName, &KeySchema, usize) -> Template| {
        make(&table.name, &table.key, arguments.item_bytes as usize)
    };
    let get = || Template::get(&table.name, &table.key, !arguments.eventual);
    let fill_first = match command {
        Command::Get(_) | Command::Update(_) | Command::Mixed(_) => true,
        Command::StreamTail(_) => fresh,
        Command::Put(_) | Command::Batch(_) | Command::Latency(_) => false,
    };
    if fill_first {
        let part = template(Template::batch_part);
        bench_clients::fill(global.output, client, table, &keys, part).await?;
    }
    let work = match command {
        Command::Put(_) => Work::Put(template(Template::put)),
        Command::Latency(_) => Work::StampedPut(template(Template::put)),
        Command::Get(_) => Work::Get(get()),
        Command::Update(_) => Work::Put(template(Template::update)),
        Command::Mixed(_) => Work::Mixed { put: template(Template::put), get: get(), reads: arguments.reads },
        Command::Batch(_) => {
            Work::Batch { part: template(Template::batch_part), size: arguments.batch.min(arguments.keys) }
        }
        Command::StreamTail(_) => {
            return bench_streams::tail(global.output, client, table, name, arguments).await;
        }
    };
    let start = Instant::now();
    let plan = Plan {
        client: client.clone(),
        table: table.name.clone(),
        keys,
        work,
        clients: arguments.clients,
        rate: arguments.rate,
        start,
        measure_from: start + arguments.warm_up,
        until: start + arguments.warm_up + arguments.duration,
    };
    let measured = match command {
        Command::Latency(_) => bench_streams::latency(global.output, plan, table, arguments).await?,
        _ => run_plan(global.output, plan, arguments).await?,
    };
    Report::new(name, table, arguments).print(global.output, &measured)
}

/// Runs a plan, with CPU time taken when measuring begins and ends.
pub(super) async fn run_plan(
    output: super::Output,
    plan: Plan,
    arguments: &Arguments,
) -> Result<Measured, Error> {
    let (from, until) = (plan.measure_from, plan.until);
    let bar = progress(output, 0, "{spinner} {msg}");
    let live = plan.live();
    let clients = bench_clients::run(plan, live.clone());
    let watch = async {
        tokio::time::sleep_until(from).await;
        let before = Moment::now(&arguments.server_pids);
        let mut last = live.count();
        while Instant::now() < until {
            let second = Duration::from_secs(1);
            tokio::time::sleep_until(until.min(Instant::now() + second)).await;
            let now = live.count();
            bar.set_message(format!("{} a second", now - last));
            bar.tick();
            last = now;
        }
        (before, Moment::now(&arguments.server_pids))
    };
    let (tally, (before, after)) = tokio::join!(clients, watch);
    bar.finish_and_clear();
    Ok(Measured { tally, seconds: (until - from).as_secs_f64(), before, after, delivery: None })
}

/// The table to run on, and whether it was made for that.
async fn prepare_table(
    client: &Client,
    arguments: &Arguments,
    stream: Option<StreamViewType>,
) -> Result<(Table, bool), Error> {
    if let Some(name) = &arguments.table {
        match client.describe_table(name).await {
            Ok(table) => return check_table(table).map(|table| (table, false)),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
    }
    let fresh_name = || TableName::parse(&format!("bench-{:08x}", bench_clients::entropy() as u32));
    let name = arguments
        .table
        .clone()
        .map_or_else(fresh_name, Ok)
        .map_err(|error| Error::Invalid(error.to_string()))?;
    let partition = key::parse_attribute("id:S").map_err(Error::Invalid)?;
    let table = NewTable {
        name,
        key: KeySchema { partition, sort: None },
        stream,
        partitions: arguments.partitions,
        retention_ms: 0,
    };
    client.create_table(&table).await?;
    Ok((client.wait_active(&table.name, PATIENCE).await?, arguments.table.is_none()))
}

fn check_table(table: Table) -> Result<Table, Error> {
    if table.key.sort.is_none() && table.key.partition.kind == KeyType::S {
        return Ok(table);
    }
    Err(Error::Invalid(format!("table {} must have a partition key of type S and no sort key", table.name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_by_name() {
        assert_eq!(parse_stream("none"), Ok(StreamChoice(None)));
        assert_eq!(parse_stream("KEYS_ONLY"), Ok(StreamChoice(Some(StreamViewType::KeysOnly))));
        assert!(parse_stream("some").is_err());
    }
}
