//! `trigger dev`: a local program, fed with the changes of a table as a function would be.
//!
//! The program gets one event a line on its standard input, as Lambda's event JSON, and answers each with one line: what a
//! function would return (an empty line, `null`, `{"batchItemFailures": [...]}`). Its standard error is shown. A program that
//! ends has failed, and is started again.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::json::Form;
use super::tail::parse_start;
use super::{Error, stream, table};
use crate::client::{Client, Delivery, Record, Start, StreamViewType};
use crate::delivery::{Answer, Asked, Face, Verdict};
use crate::stream as streams;

const RETRY: Duration = Duration::from_millis(500);

/// The arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The table.
    #[arg(long)]
    table: String,
    /// Where to start: latest, trim-horizon, or a time as in 2026-01-31T12:00:00Z.
    #[arg(long, value_parser = parse_start, default_value = "latest")]
    from: Start,
    /// Most records of one event.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    batch_size: u32,
    /// How often an event that failed is tried again before it is passed over.
    #[arg(long, default_value_t = 2)]
    retries: u32,
    /// Ends when everything there is has been delivered.
    #[arg(long)]
    until_idle: bool,
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    program: Vec<String>,
}

/// The program, running.
struct Program {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Program {
    fn start(line: &[String]) -> Result<Self, Error> {
        let (name, arguments) =
            line.split_first().ok_or_else(|| Error::Invalid("no program is given".to_owned()))?;
        let mut command = Command::new(name);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|source| Error::File { path: name.into(), source })?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (input, output) = input.zip(output).expect("both are pipes");
        Ok(Self { child, input, output: BufReader::new(output).lines() })
    }

    /// Gives it an event; its answer. Errors: it has ended.
    async fn call(&mut self, event: &str) -> Result<String, String> {
        let asked = async {
            self.input.write_all(event.as_bytes()).await?;
            self.input.write_all(b"\n").await?;
            self.input.flush().await?;
            self.output.next_line().await
        };
        match asked.await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) | Err(_) => {
                let status = self.child.wait().await.map(|status| status.to_string());
                Err(format!("the program ended: {}", status.unwrap_or_else(|error| error.to_string())))
            }
        }
    }
}

pub(super) async fn run(client: &Client, arguments: Arguments) -> Result<(), Error> {
    let arn = stream::arn(client, &arguments.table).await?;
    let view = client.describe_stream(&arn).await?.view_type;
    let mut subscription = client.subscribe(&arn, arguments.from.clone(), BTreeMap::new()).await?;
    let mut program = Some(Program::start(&arguments.program)?);
    eprintln!("the changes of {} go to {}", arguments.table, arguments.program.join(" "));
    loop {
        match subscription.next_delivery().await? {
            Some(Delivery::Records(_, records)) => {
                for batch in records.chunks(arguments.batch_size as usize) {
                    deliver(&mut program, &arguments, batch, view, &arn).await?;
                }
            }
            Some(Delivery::Idle(_) | Delivery::ShardEnd(_)) => {}
            None => return Ok(()),
        }
        if arguments.until_idle && subscription.caught_up() {
            return Ok(());
        }
    }
}

/// Delivers a batch, again while it fails and may be tried again.
async fn deliver(
    program: &mut Option<Program>,
    arguments: &Arguments,
    mut batch: &[Record],
    view: StreamViewType,
    arn: &str,
) -> Result<(), Error> {
    for attempt in 0..=arguments.retries {
        let records: Vec<Value> = batch.iter().map(|record| event(record, view, arn)).collect();
        let event = json!({ "Records": records }).to_string();
        let running = match program {
            Some(running) => running,
            None => program.insert(Program::start(&arguments.program)?),
        };
        let error = match running.call(&event).await {
            Ok(answer) => match verdict(&answer, batch) {
                Verdict::Delivered { .. } => return Ok(()),
                Verdict::FailedFrom(number) => {
                    let number = number.to_string();
                    let done =
                        batch.iter().take_while(|record| record.sequence_number.as_str() != number).count();
                    batch = &batch[done..];
                    format!("the program reports a failure at {number}")
                }
                Verdict::Failed(failure) | Verdict::Busy(failure) => failure.error,
            },
            Err(error) => {
                *program = None;
                error
            }
        };
        eprintln!(
            "attempt {} of {} with {} records: {error}",
            attempt + 1,
            arguments.retries + 1,
            batch.len()
        );
        tokio::time::sleep(RETRY).await;
    }
    eprintln!("{} records are passed over", batch.len());
    Ok(())
}

/// What an answer means, by the rules for functions.
fn verdict(answer: &str, batch: &[Record]) -> Verdict {
    let answer =
        Answer { status: 200, function_error: None, body: Bytes::copy_from_slice(answer.as_bytes()) };
    let contains = |number: streams::SequenceNumber| {
        let number = number.to_string();
        batch.iter().any(|record| record.sequence_number.as_str() == number)
    };
    answer.verdict(Asked {
        face: Face::Lambda,
        report_failures: true,
        wants_state: false,
        contains: &contains,
    })
}

/// A record as an element of a function's event.
fn event(record: &Record, view: StreamViewType, arn: &str) -> Value {
    let mut change = json!({
        "ApproximateCreationDateTime": record.created_ms / 1000,
        "Keys": Form::Typed.write(&record.keys),
        "SequenceNumber": record.sequence_number.as_str(),
        "SizeBytes": record.size_bytes,
        "StreamViewType": table::view_name(view),
    });
    for (name, image) in [("NewImage", &record.new_image), ("OldImage", &record.old_image)] {
        if let Some(image) = image {
            change[name] = Form::Typed.write(image);
        }
    }
    json!({
        "eventID": record.event_id,
        "eventName": table::short_name("EVENT_NAME_", record.event_name.as_str_name()),
        "eventVersion": streams::EVENT_VERSION,
        "eventSource": streams::EVENT_SOURCE,
        "awsRegion": streams::REGION,
        "dynamodb": change,
        "eventSourceARN": arn,
    })
}
