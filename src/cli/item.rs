//! `item`: reading and writing items.

use std::io::Write;

use serde_json::Value;

use super::json::Form;
use super::output::{Output, lines, print_line};
use super::{Error, Global};
use crate::client::{Condition, ReturnValues, WriteOptions};
use crate::model::{AttributeName, Item, TableName};

/// The commands.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Creates an item or replaces it whole.
    #[command(
        after_help = "Example:\n  watertable item put airports '{\"iata\": \"TXL\", \"name\": \"Tegel\"}' \
        --if not-exists"
    )]
    Put {
        /// The table.
        table: TableName,
        /// The item, as JSON.
        item: String,
        /// What must hold.
        #[arg(long = "if", value_enum)]
        condition: Option<If>,
        /// Print the item as it was before.
        #[arg(long)]
        old: bool,
        #[command(flatten)]
        form: FormFlag,
    },
    /// Reads one item; exits with 1 if there is none.
    #[command(after_help = "Example:\n  watertable item get airports '{\"iata\": \"TXL\"}'")]
    Get {
        /// The table.
        table: TableName,
        /// The key, as JSON.
        key: String,
        /// Any replica may answer, usually within milliseconds of the newest state.
        #[arg(long)]
        eventual: bool,
        #[command(flatten)]
        form: FormFlag,
    },
    /// Sets and removes attributes of an item, creates it if need be, and prints it.
    #[command(
        after_help = "Example:\n  watertable item update airports '{\"iata\": \"TXL\"}' --set open=false \
        --set 'closed=\"2020-11-08\"' --remove gates"
    )]
    Update {
        /// The table.
        table: TableName,
        /// The key, as JSON.
        key: String,
        /// An attribute to set, its value as JSON; repeatable.
        #[arg(long, value_name = "NAME=JSON")]
        set: Vec<String>,
        /// An attribute to remove; repeatable.
        #[arg(long, value_name = "NAME")]
        remove: Vec<AttributeName>,
        /// What must hold.
        #[arg(long = "if", value_enum)]
        condition: Option<If>,
        #[command(flatten)]
        form: FormFlag,
    },
    /// Deletes an item; no error if there is none, unless that is asked for.
    #[command(after_help = "Example:\n  watertable item delete airports '{\"iata\": \"TXL\"}' --if exists")]
    Delete {
        /// The table.
        table: TableName,
        /// The key, as JSON.
        key: String,
        /// What must hold.
        #[arg(long = "if", value_enum)]
        condition: Option<If>,
        /// Print the item as it was before.
        #[arg(long)]
        old: bool,
        #[command(flatten)]
        form: FormFlag,
    },
    /// Prints the items of a table, one JSON object a line.
    #[command(after_help = "Example:\n  watertable item scan airports --limit 10")]
    Scan {
        /// The table.
        table: TableName,
        /// At most so many items.
        #[arg(long)]
        limit: Option<usize>,
        /// Any replica may answer, usually within milliseconds of the newest state.
        #[arg(long)]
        eventual: bool,
        #[command(flatten)]
        form: FormFlag,
    },
}

/// What must hold for a write to happen.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum If {
    /// The item exists.
    Exists,
    /// The item does not exist.
    NotExists,
}

/// Which form JSON has.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct FormFlag {
    /// Items are in DynamoDB's JSON, with the type of each value: {"iata": {"S": "TXL"}}.
    #[arg(long)]
    dynamodb_json: bool,
}

impl FormFlag {
    pub(super) fn form(self) -> Form {
        Form::of(self.dynamodb_json)
    }
}

fn options(condition: Option<If>, return_values: ReturnValues) -> WriteOptions {
    let condition = match condition {
        None => Condition::Unspecified,
        Some(If::Exists) => Condition::Exists,
        Some(If::NotExists) => Condition::NotExists,
    };
    WriteOptions { condition, return_values }
}

fn old_values(old: bool) -> ReturnValues {
    if old { ReturnValues::AllOld } else { ReturnValues::Unspecified }
}

pub(super) async fn run(global: &Global, command: Command) -> Result<(), Error> {
    let client = global.client()?;
    match command {
        Command::Put { table, item, condition, old, form } => {
            let item = form.form().parse(&item)?;
            let image = client.put_item(&table, &item, options(condition, old_values(old))).await?;
            show_optional(global.output, form.form(), image)
        }
        Command::Get { table, key, eventual, form } => {
            let key = form.form().parse(&key)?;
            match client.get_item(&table, &key, !eventual).await? {
                Some(item) => show(global.output, form.form(), &item),
                None => Err(Error::Negative(format!("table {table} has no such item"))),
            }
        }
        Command::Update { table, key, set, remove, condition, form } => {
            let form = form.form();
            let key = form.parse(&key)?;
            let set = set.iter().map(|text| assignment(form, text)).collect::<Result<Item, _>>()?;
            let options = options(condition, ReturnValues::AllNew);
            show_optional(
                global.output,
                form,
                client.update_item(&table, &key, &set, &remove, options).await?,
            )
        }
        Command::Delete { table, key, condition, old, form } => {
            let key = form.form().parse(&key)?;
            let image = client.delete_item(&table, &key, options(condition, old_values(old))).await?;
            show_optional(global.output, form.form(), image)
        }
        Command::Scan { table, limit, eventual, form } => {
            let mut left = limit.unwrap_or(usize::MAX);
            let mut start = None;
            while left > 0 {
                let page_limit = if limit.is_some() { u32::try_from(left).unwrap_or(u32::MAX) } else { 0 };
                let page = client.scan(&table, page_limit, start.as_ref(), !eventual).await?;
                let mut out = lines();
                for item in page.items.iter().take(left) {
                    writeln!(out, "{}", form.form().write(item))?;
                }
                out.flush()?;
                left = left.saturating_sub(page.items.len());
                start = page.next;
                if start.is_none() {
                    break;
                }
            }
            Ok(())
        }
    }
}

/// An attribute from "name=json".
fn assignment(form: Form, text: &str) -> Result<(AttributeName, crate::model::AttributeValue), Error> {
    let wrong = |why: String| Error::Invalid(format!("--set {text}: {why}"));
    let (name, value) = text.split_once('=').ok_or_else(|| wrong("say name=json".into()))?;
    let name = AttributeName::parse(name).map_err(|error| wrong(error.to_string()))?;
    let value: Value = serde_json::from_str(value).map_err(|error| {
        wrong(format!("the value is not JSON ({error}); strings need quotes: name='\"text\"'"))
    })?;
    Ok((name, form.value(value)?))
}

/// Items are JSON in either output: pretty for people.
fn show(output: Output, form: Form, item: &Item) -> Result<(), Error> {
    let value = form.write(item);
    let text = match output {
        Output::Json => value.to_string(),
        Output::Table => format!("{value:#}"),
    };
    Ok(print_line(&text)?)
}

fn show_optional(output: Output, form: Form, item: Option<Item>) -> Result<(), Error> {
    item.map_or(Ok(()), |item| show(output, form, &item))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::AttributeValue;

    #[test]
    fn assignments() {
        let (name, value) = assignment(Form::Plain, "a=\"x=y\"").expect("a good assignment");
        assert_eq!((name.as_str(), value), ("a", AttributeValue::S("x=y".into())));
        assert_eq!(
            assignment(Form::Typed, "a={\"BOOL\":true}").expect("a good assignment").1,
            AttributeValue::Bool(true)
        );
        for bad in ["a", "a=text", "=1", "a="] {
            assert_eq!(assignment(Form::Plain, bad).expect_err("a bad assignment").exit_code(), 2, "{bad}");
        }
    }
}
