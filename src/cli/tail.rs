//! `stream tail`: the changes of a table as they happen.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};

use super::item::FormFlag;
use super::json::Form;
use super::output::{Output, lines};
use super::{Error, Global, stream, table, time};
use crate::client::{Client, Delivery, EventName, Record, Start};

/// With `--until-idle`, silence of this length is an end too.
const IDLE: Duration = Duration::from_secs(3);

/// The arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The table, or the ARN of a stream.
    table: String,
    /// Where to start: latest, trim-horizon, or a time as in 2026-01-31T12:00:00Z.
    #[arg(long, value_parser = parse_start, default_value = "latest")]
    from: Start,
    /// End when everything there is has been printed.
    #[arg(long)]
    until_idle: bool,
    /// End after so many records.
    #[arg(long)]
    limit: Option<u64>,
    #[command(flatten)]
    form: FormFlag,
}

pub(super) fn parse_start(text: &str) -> Result<Start, String> {
    match text.to_ascii_lowercase().replace('_', "-").as_str() {
        "latest" => Ok(Start::Latest),
        "trim-horizon" => Ok(Start::TrimHorizon),
        _ => time::parse_rfc3339(text)
            .map(Start::AtTimestamp)
            .ok_or_else(|| format!("{text} is not latest, trim-horizon or a time like 2026-01-31T12:00:00Z")),
    }
}

pub(super) async fn run(global: &Global, client: &Client, arguments: Arguments) -> Result<(), Error> {
    let arn = stream::arn(client, &arguments.table).await?;
    let mut subscription = client.subscribe(&arn, arguments.from.clone(), BTreeMap::new()).await?;
    let mut left = arguments.limit.unwrap_or(u64::MAX);
    while left > 0 {
        let next = subscription.next_delivery();
        let delivery = if arguments.until_idle {
            match tokio::time::timeout(IDLE, next).await {
                Ok(delivery) => delivery?,
                Err(_) => return Ok(()),
            }
        } else {
            next.await?
        };
        match delivery {
            Some(Delivery::Records(shard, records)) => {
                let taken = left.min(records.len() as u64);
                let mut out = lines();
                for record in &records[..taken as usize] {
                    writeln!(out, "{}", line(global.output, arguments.form.form(), &shard, record))?;
                }
                out.flush()?;
                left -= taken;
            }
            Some(Delivery::Idle(_) | Delivery::ShardEnd(_)) => {}
            None => return Ok(()),
        }
        if arguments.until_idle && subscription.caught_up() {
            return Ok(());
        }
    }
    Ok(())
}

/// One line for a record.
pub(super) fn line(output: Output, form: Form, shard: &str, record: &Record) -> String {
    let name = table::short_name("EVENT_NAME_", record.event_name.as_str_name());
    let image = |item: &Option<_>| item.as_ref().map(|item| form.write(item));
    match output {
        Output::Json => json!({
            "eventId": record.event_id,
            "eventName": name,
            "sequenceNumber": record.sequence_number.as_str(),
            "createdMs": record.created_ms,
            "shardId": shard,
            "keys": form.write(&record.keys),
            "newImage": image(&record.new_image),
            "oldImage": image(&record.old_image),
            "sizeBytes": record.size_bytes,
        })
        .to_string(),
        Output::Table => {
            let at = time::format_rfc3339(record.created_ms);
            let change = changes(form, record);
            format!("{at} {name:<6} {} {change}", form.write(&record.keys)).trim_end().to_owned()
        }
    }
}

/// What a person wants to know of a change: the attributes that differ, or the image there is.
fn changes(form: Form, record: &Record) -> String {
    match (&record.old_image, &record.new_image) {
        (None, Some(new)) => form.write(new).to_string(),
        (Some(old), None) if record.event_name == EventName::Remove => form.write(old).to_string(),
        (Some(old), None) => format!("was {}", form.write(old)),
        (None, None) => String::new(),
        (Some(old), Some(new)) => {
            let (Value::Object(old), Value::Object(new)) = (form.write(old), form.write(new)) else {
                return String::new();
            };
            let set = new.iter().filter(|(name, value)| old.get(*name) != Some(value));
            let set = set.map(|(name, value)| match old.get(name) {
                Some(before) => format!("{name}: {before} -> {value}"),
                None => format!("{name}: {value}"),
            });
            let removed =
                old.keys().filter(|name| !new.contains_key(*name)).map(|name| format!("{name} removed"));
            set.chain(removed).collect::<Vec<_>>().join(", ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::SequenceNumber;

    fn record(old: Option<&str>, new: Option<&str>) -> Record {
        let item = |text: &str| Form::Plain.parse(text).expect("a good item");
        Record {
            event_id: "e".into(),
            event_name: EventName::Modify,
            sequence_number: SequenceNumber::new("100"),
            created_ms: 0,
            keys: item(r#"{"id":"k"}"#),
            new_image: new.map(item),
            old_image: old.map(item),
            size_bytes: 3,
        }
    }

    #[test]
    fn people_see_what_differs() {
        let modified = record(Some(r#"{"id":"k","a":1,"b":2}"#), Some(r#"{"id":"k","a":3,"c":4}"#));
        assert_eq!(
            line(Output::Table, Form::Plain, "s", &modified),
            r#"1970-01-01T00:00:00.000Z MODIFY {"id":"k"} a: 1 -> 3, c: 4, b removed"#
        );
        let keys_only = record(None, None);
        assert_eq!(
            line(Output::Table, Form::Plain, "s", &keys_only),
            r#"1970-01-01T00:00:00.000Z MODIFY {"id":"k"}"#
        );
    }

    #[test]
    fn programs_see_everything() {
        let text = line(Output::Json, Form::Typed, "s", &record(None, Some(r#"{"id":"k"}"#)));
        let value: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(value["newImage"], json!({ "id": { "S": "k" } }));
        assert_eq!(value["oldImage"], Value::Null);
        assert_eq!((&value["shardId"], &value["sequenceNumber"]), (&json!("s"), &json!("100")));
    }

    #[test]
    fn starts() {
        assert!(matches!(parse_start("TRIM_HORIZON"), Ok(Start::TrimHorizon)));
        assert!(matches!(parse_start("latest"), Ok(Start::Latest)));
        assert!(matches!(parse_start("1970-01-01T00:00:01Z"), Ok(Start::AtTimestamp(1000))));
        assert!(parse_start("yesterday").is_err());
    }
}
