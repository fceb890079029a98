//! `bench`: measuring a running cluster. What is asked, in which order things happen; the parts are in
//! `bench_requests` (what is sent), `bench_clients` (how), `bench_dynamodb` (the same by the DynamoDB protocol),
//! `bench_streams` (reading), `bench_trigger` (functions) and `bench_report` (the result).

use std::time::Duration;

use futures::FutureExt;
use tokio::time::Instant;

use super::bench_clients::{self, Plan, Work};
use super::bench_dynamodb::{self, Dialer};
use super::bench_report::{Measured, Moment, Report};
use super::bench_requests::{Keys, Operation, QUERY_ITEMS, Subject, Template};
use super::output::progress;
use super::table::{PATIENCE, parse_view};
use super::{Error, Global, bench_streams, bench_trigger, key, time};
use crate::client::{Client, NewTable, Options, StreamViewType, Table};
use crate::model::limits::PAGE_BYTES_MAX;
use crate::model::{KeySchema, KeyType, TableName};

/// Bytes of an item besides its value, by DynamoDB's rules: two keys and three names, with room to spare.
const ITEM_OVERHEAD_BYTES: usize = 100;

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
    /// Reads the 100 items of random partition keys, after filling a table with a sort key.
    #[command(after_help = "Example:\n  watertable bench query --clients 16 --protocol dynamodb")]
    Query(Arguments),
    /// Reads and puts items of random keys, after filling the table.
    #[command(after_help = "Example:\n  watertable bench mixed --reads 90")]
    Mixed(Arguments),
    /// Puts items in batches.
    #[command(after_help = "Example:\n  watertable bench batch --batch 25 --clients 16")]
    Batch(Arguments),
    /// Reads a whole stream, by Subscribe, by GetRecords and by a consumer with two members, after filling a table. The DynamoDB protocol has only the
    /// second.
    #[command(after_help = "Example:\n  watertable bench stream-tail --keys 200000 --item-bytes 1024")]
    StreamTail(Arguments),
    /// Measures the time from a write to its record at a subscriber, while writers run.
    #[command(after_help = "Example:\n  watertable bench latency --clients 16 --stream NEW_AND_OLD_IMAGES")]
    Latency(Arguments),
    /// Measures the time from a write to the call of a function with it, while writers run. The function is in this program
    /// and does nothing.
    #[command(after_help = "Example:\n  watertable bench trigger --rate 1000 --partitions 3")]
    Trigger(Arguments),
}

/// What all of them understand.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Arguments {
    /// What the clients speak; batch, latency and trigger speak gRPC only. The DynamoDB protocol is JSON over HTTP/1.1, with one
    /// connection for each client. Its requests carry a signature in form only: a node without access keys takes any
    /// from its own machine.
    #[arg(long, value_enum, default_value_t)]
    pub protocol: Protocol,
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

/// What clients speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Protocol {
    /// The API's own protocol.
    #[default]
    Grpc,
    /// DynamoDB's, at the same port.
    #[value(name = "dynamodb")]
    DynamoDb,
}

impl Protocol {
    /// Its name, as in reports.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::DynamoDb => "dynamodb",
        }
    }
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
            Self::Query(arguments) => ("query", arguments),
            Self::Mixed(arguments) => ("mixed", arguments),
            Self::Batch(arguments) => ("batch", arguments),
            Self::StreamTail(arguments) => ("stream-tail", arguments),
            Self::Latency(arguments) => ("latency", arguments),
            Self::Trigger(arguments) => ("trigger", arguments),
        }
    }

    fn reads_stream(&self) -> bool {
        matches!(self, Self::StreamTail(_) | Self::Latency(_) | Self::Trigger(_))
    }

    /// Whether the table is filled before measuring.
    fn fills(&self, fresh: bool) -> bool {
        match self {
            Self::Get(_) | Self::Update(_) | Self::Query(_) | Self::Mixed(_) => true,
            Self::StreamTail(_) => fresh,
            Self::Put(_) | Self::Batch(_) | Self::Latency(_) | Self::Trigger(_) => false,
        }
    }

    /// Refuses arguments that do not go together.
    fn check(&self) -> Result<(), Error> {
        let (name, arguments) = self.parts();
        let only_grpc = matches!(self, Self::Batch(_) | Self::Latency(_) | Self::Trigger(_));
        if arguments.protocol != Protocol::Grpc && only_grpc {
            return Err(Error::Invalid(format!("{name} speaks gRPC only")));
        }
        let Self::Query(_) = self else { return Ok(()) };
        let value_bytes_max = PAGE_BYTES_MAX / QUERY_ITEMS as usize - ITEM_OVERHEAD_BYTES;
        if arguments.item_bytes as usize > value_bytes_max {
            let message =
                format!("the items of a query fit into one page with {value_bytes_max} --item-bytes");
            return Err(Error::Invalid(message));
        }
        if arguments.keys < QUERY_ITEMS {
            return Err(Error::Invalid(format!("a query needs {QUERY_ITEMS} --keys")));
        }
        Ok(())
    }
}

pub(super) async fn run(global: &Global, command: Command) -> Result<(), Error> {
    let arguments = command.parts().1;
    command.check()?;
    let options = Options { channels_per_node: arguments.channels.into(), ..global.options() };
    let client = Client::connect(global.endpoint.clone(), options)?;
    let dialer = match arguments.protocol {
        Protocol::Grpc => None,
        Protocol::DynamoDb => Some(Dialer::new(client.addresses(), global.timeout)?),
    };
    let (table, fresh) = prepare_table(&client, &command).await?;
    let measured = tokio::select! {
        measured = measure(global, (&client, dialer), &command, &table, fresh) => measured,
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
    (client, dialer): (&Client, Option<Dialer>),
    command: &Command,
    table: &Table,
    fresh: bool,
) -> Result<(), Error> {
    let (name, arguments) = command.parts();
    let keys = Keys::new(&table.key, arguments.keys)?;
    let subject = Subject {
        table: &table.name,
        key: &table.key,
        value_len: arguments.item_bytes as usize,
        consistent: !arguments.eventual,
    };
    if command.fills(fresh) {
        let part = Template::grpc(Operation::BatchWrite, &subject);
        bench_clients::fill(global.output, client, table, &keys, part).await?;
    }
    let template = |operation| match arguments.protocol {
        Protocol::Grpc => Template::grpc(operation, &subject),
        Protocol::DynamoDb => bench_dynamodb::template(operation, &subject),
    };
    let work = match command {
        Command::Put(_) => Work::One(template(Operation::Put)),
        Command::Latency(_) | Command::Trigger(_) => Work::StampedPut(template(Operation::Put)),
        Command::Get(_) => Work::One(template(Operation::Get)),
        Command::Update(_) => Work::One(template(Operation::Update)),
        Command::Query(_) => Work::One(template(Operation::Query)),
        Command::Mixed(_) => Work::Mixed {
            put: template(Operation::Put),
            get: template(Operation::Get),
            reads: arguments.reads,
        },
        Command::Batch(_) => {
            let size = arguments.batch.min(arguments.keys);
            Work::Batch { part: template(Operation::BatchWrite), size }
        }
        Command::StreamTail(_) => {
            return bench_streams::tail(global.output, (client, dialer), table, name, arguments).await;
        }
    };
    let start = Instant::now();
    let plan = Plan {
        client: client.clone(),
        dialer,
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
        Command::Trigger(_) => bench_trigger::latency(global.output, plan, table, arguments).await?,
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
async fn prepare_table(client: &Client, command: &Command) -> Result<(Table, bool), Error> {
    let arguments = command.parts().1;
    let sorted = matches!(command, Command::Query(_));
    if let Some(name) = &arguments.table {
        match client.describe_table(name).await {
            Ok(table) => return check_table(table, sorted).map(|table| (table, false)),
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
    let attribute = |text: &str| key::parse_attribute(text).map_err(Error::Invalid);
    let sort = if sorted { Some(attribute("sort:S")?) } else { None };
    let default_stream = command.reads_stream().then_some(StreamViewType::NewImage);
    let table = NewTable {
        name,
        key: KeySchema { partition: attribute("id:S")?, sort },
        stream: arguments.stream.map_or(default_stream, |choice| choice.0),
        partitions: arguments.partitions,
        retention_ms: 0,
    };
    client.create_table(&table).await?;
    Ok((client.wait_active(&table.name, PATIENCE).await?, arguments.table.is_none()))
}

fn check_table(table: Table, sorted: bool) -> Result<Table, Error> {
    let sort = table.key.sort.as_ref().map(|attribute| attribute.kind);
    if table.key.partition.kind == KeyType::S && sort == sorted.then_some(KeyType::S) {
        return Ok(table);
    }
    let sort = if sorted { "a sort key of type S" } else { "no sort key" };
    Err(Error::Invalid(format!("table {} must have a partition key of type S and {sort}", table.name)))
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
