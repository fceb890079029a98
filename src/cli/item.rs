//! `item`: reading and writing items.

use serde_json::json;

use super::item_pages::{self, PageFlags, SegmentFlags};
use super::json::Form;
use super::output::{Output, print_line};
use super::placeholders::{Expressions, Placeholders};
use super::{Error, Global};
use crate::client::{
    Client, ConsumedCapacity, Expression, ReadOptions, ReturnConsumedCapacity, ReturnValues, WriteOptions,
    Written,
};
use crate::model::{AttributeName, Item, TableName};

/// The commands.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Creates an item or replaces it whole.
    #[command(
        after_help = "Examples:\n  watertable item put airports '{\"iata\": \"TXL\", \"name\": \"Tegel\"}' \
        --if not-exists\n  watertable item put airports '{\"iata\": \"TXL\", \"open\": false}' --if '#o = :yes' \
        --name '#o=open' --value ':yes=true' --returns all-old"
    )]
    Put {
        /// The table.
        table: TableName,
        /// The item, as JSON.
        item: String,
        #[command(flatten)]
        flags: WriteFlags,
        /// Which attributes to print.
        #[arg(long, value_enum, default_value_t)]
        returns: WholeReturns,
    },
    /// Reads one item; exits with 1 if there is none.
    #[command(after_help = "Examples:\n  watertable item get airports '{\"iata\": \"TXL\"}'\n  \
        watertable item get airports '{\"iata\": \"TXL\"}' --projection 'runways, gates[0]'")]
    Get {
        /// The table.
        table: TableName,
        /// The key, as JSON.
        key: String,
        #[command(flatten)]
        flags: ReadFlags,
    },
    /// Changes parts of an item, creates it if need be, and prints it.
    #[command(
        after_help = "Examples:\n  watertable item update airports '{\"iata\": \"TXL\"}' --set open=false \
        --set 'closed=\"2020-11-08\"' --remove gates\n  watertable item update airports '{\"iata\": \"TXL\"}' \
        --set 'landings = landings + :one' --value ':one=1' --if exists\n  watertable item update airports \
        '{\"iata\": \"TXL\"}' --update 'ADD landings :one REMOVE gates[0]' --value ':one=1' --returns updated-new"
    )]
    Update {
        /// The table.
        table: TableName,
        /// The key, as JSON.
        key: String,
        /// A path to set, to a value in JSON or to what an expression says; repeatable.
        #[arg(long, value_name = "PATH=VALUE", conflicts_with = "update")]
        set: Vec<String>,
        /// A path to remove; repeatable.
        #[arg(long, value_name = "PATH", conflicts_with = "update")]
        remove: Vec<String>,
        /// What to change, as one expression: SET, REMOVE, ADD, DELETE.
        #[arg(long, value_name = "EXPRESSION")]
        update: Option<String>,
        #[command(flatten)]
        flags: WriteFlags,
        /// Which attributes to print.
        #[arg(long, value_enum, default_value_t)]
        returns: Returns,
    },
    /// Deletes an item; no error if there is none, unless that is asked for.
    #[command(
        after_help = "Examples:\n  watertable item delete airports '{\"iata\": \"TXL\"}' --if exists\n  watertable \
        item delete airports '{\"iata\": \"TXL\"}' --if 'landings < :few' --value ':few=10' --show-rejected"
    )]
    Delete {
        /// The table.
        table: TableName,
        /// The key, as JSON.
        key: String,
        #[command(flatten)]
        flags: WriteFlags,
        /// Which attributes to print.
        #[arg(long, value_enum, default_value_t)]
        returns: WholeReturns,
    },
    /// Prints the items of one partition key in the order of their sort keys.
    #[command(
        after_help = "Examples:\n  watertable item query flights --key 'iata = :from AND begins_with(departs, :day)' \
        --value ':from=\"BER\"' --value ':day=\"2026-05-01\"' --filter 'seats > :some' --value ':some=0'\n  \
        watertable item query flights --key 'iata = :from' --value ':from=\"BER\"' --reverse --limit 1"
    )]
    Query {
        /// The table.
        table: TableName,
        /// The partition key with '=', and at most one condition on the sort key.
        #[arg(long, value_name = "EXPRESSION")]
        key: String,
        /// From the largest sort key to the smallest.
        #[arg(long)]
        reverse: bool,
        #[command(flatten)]
        flags: PageFlags,
    },
    /// Prints the items of a table, or of one segment of it.
    #[command(
        after_help = "Examples:\n  watertable item scan airports --limit 10\n  watertable item scan airports \
        --filter 'runways > :two' --value ':two=2' --select count\n  watertable item scan airports --segment 0 \
        --segments 4 --output json"
    )]
    Scan {
        /// The table.
        table: TableName,
        #[command(flatten)]
        segment: SegmentFlags,
        #[command(flatten)]
        flags: PageFlags,
    },
}

/// What all writes understand.
#[derive(Debug, clap::Args)]
pub(super) struct WriteFlags {
    /// What must hold of the item that is there; else the command exits with 1. Short: 'exists', 'not-exists'.
    #[arg(long = "if", value_name = "EXPRESSION")]
    condition: Option<String>,
    /// If that does not hold, print the item it does not hold of.
    #[arg(long, requires = "condition")]
    show_rejected: bool,
    #[command(flatten)]
    placeholders: Placeholders,
    #[command(flatten)]
    capacity: CapacityFlag,
    #[command(flatten)]
    form: FormFlag,
}

/// What a read of one item understands.
#[derive(Debug, clap::Args)]
pub(super) struct ReadFlags {
    /// What to print of the item, as an expression: paths with commas between.
    #[arg(long, value_name = "EXPRESSION")]
    projection: Option<String>,
    /// Any replica may answer, usually within milliseconds of the newest state.
    #[arg(long)]
    eventual: bool,
    #[command(flatten)]
    placeholders: Placeholders,
    #[command(flatten)]
    capacity: CapacityFlag,
    #[command(flatten)]
    form: FormFlag,
}

/// Which attributes a put or a deletion prints.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
pub(super) enum WholeReturns {
    /// None.
    #[default]
    None,
    /// The item as it was before.
    AllOld,
}

/// Which attributes an update prints.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
pub(super) enum Returns {
    /// None.
    None,
    /// The item as it was before.
    AllOld,
    /// The item as it is now.
    #[default]
    AllNew,
    /// What the update touched, as it was before.
    UpdatedOld,
    /// What the update touched, as it is now.
    UpdatedNew,
}

impl From<WholeReturns> for ReturnValues {
    fn from(returns: WholeReturns) -> Self {
        match returns {
            WholeReturns::None => Self::Unspecified,
            WholeReturns::AllOld => Self::AllOld,
        }
    }
}

impl From<Returns> for ReturnValues {
    fn from(returns: Returns) -> Self {
        match returns {
            Returns::None => Self::Unspecified,
            Returns::AllOld => Self::AllOld,
            Returns::AllNew => Self::AllNew,
            Returns::UpdatedOld => Self::UpdatedOld,
            Returns::UpdatedNew => Self::UpdatedNew,
        }
    }
}

/// Whether to count capacity.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct CapacityFlag {
    /// Tell the capacity it took, in DynamoDB's units: on standard error, or in the JSON.
    #[arg(long)]
    capacity: bool,
}

impl CapacityFlag {
    pub(super) fn asked(self) -> ReturnConsumedCapacity {
        if self.capacity { ReturnConsumedCapacity::Total } else { ReturnConsumedCapacity::Unspecified }
    }
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

pub(super) async fn run(global: &Global, command: Command) -> Result<(), Error> {
    let client = global.client()?;
    let output = global.output;
    match command {
        Command::Put { table, item, flags, returns } => {
            let item = flags.form.form().parse(&item)?;
            let expressions = flags.expressions(false)?;
            let options = flags.options(&client, &table, &expressions, returns.into()).await?;
            flags.show(output, client.put_item(&table, &item, options).await)
        }
        Command::Get { table, key, flags } => get(output, &client, &table, &key, &flags).await,
        Command::Update { table, key, set, remove, update, flags, returns } => {
            let form = flags.form.form();
            let key = form.parse(&key)?;
            let used = update.is_some() || !set.is_empty() || !remove.is_empty();
            let expressions = flags.expressions(used)?;
            let update = match update {
                Some(text) => Some(expressions.of(text)),
                None => expressions.update(form, &set, &remove)?,
            };
            let options = flags.options(&client, &table, &expressions, returns.into()).await?;
            flags.show(output, client.update_item(&table, &key, update, options).await)
        }
        Command::Delete { table, key, flags, returns } => {
            let key = flags.form.form().parse(&key)?;
            let expressions = flags.expressions(false)?;
            let options = flags.options(&client, &table, &expressions, returns.into()).await?;
            flags.show(output, client.delete_item(&table, &key, options).await)
        }
        Command::Query { table, key, reverse, flags } => {
            item_pages::query(output, &client, &table, (&key, reverse), &flags).await
        }
        Command::Scan { table, segment, flags } => {
            item_pages::scan(output, &client, &table, &segment, &flags).await
        }
    }
}

async fn get(
    output: Output,
    client: &Client,
    table: &TableName,
    key: &str,
    flags: &ReadFlags,
) -> Result<(), Error> {
    let form = flags.form.form();
    let expressions = flags.placeholders.read(form, flags.projection.is_some())?;
    let options = ReadOptions {
        consistent: !flags.eventual,
        projection: flags.projection.as_ref().map(|text| expressions.of(text)),
        capacity: flags.capacity.asked(),
    };
    let got = client.get_item_with(table, &form.parse(key)?, options).await?;
    let found = got.item.is_some();
    show(output, form, "item", (got.item, got.capacity))?;
    if found { Ok(()) } else { Err(Error::Negative(format!("table {table} has no such item"))) }
}

impl WriteFlags {
    /// The expressions of the command; `used`: there is one besides the condition.
    fn expressions(&self, used: bool) -> Result<Expressions, Error> {
        let condition = self.condition.as_deref();
        let used = used || condition.is_some_and(|text| !SHORT.contains(&text));
        self.placeholders.read(self.form.form(), used)
    }

    async fn options(
        &self,
        client: &Client,
        table: &TableName,
        expressions: &Expressions,
        return_values: ReturnValues,
    ) -> Result<WriteOptions, Error> {
        let condition = match self.condition.as_deref() {
            None => None,
            Some("exists") => Some(Expression::exists(&partition_key(client, table).await?)),
            Some("not-exists") => Some(Expression::not_exists(&partition_key(client, table).await?)),
            Some(text) => Some(expressions.of(text)),
        };
        let (show_rejected, capacity) = (self.show_rejected, self.capacity.asked());
        Ok(WriteOptions { condition, return_values, show_rejected, capacity })
    }

    fn show(&self, output: Output, written: Result<Written, crate::client::Error>) -> Result<(), Error> {
        let form = self.form.form();
        match written {
            Ok(written) => show(output, form, "attributes", (written.attributes, written.capacity)),
            Err(error) => {
                if let Some(item) = error.item() {
                    show(output, form, "item", (Some(item.clone()), None))?;
                }
                Err(error.into())
            }
        }
    }
}

/// Conditions in a word, which no expression is.
const SHORT: [&str; 2] = ["exists", "not-exists"];

async fn partition_key(client: &Client, table: &TableName) -> Result<AttributeName, Error> {
    Ok(client.describe_table(table).await?.key.partition.name)
}

/// Items are JSON in either output: pretty for people.
fn show(
    output: Output,
    form: Form,
    name: &str,
    (item, capacity): (Option<Item>, Option<ConsumedCapacity>),
) -> Result<(), Error> {
    let item = item.map(|item| form.write(&item));
    if let (Output::Json, Some(capacity)) = (output, &capacity) {
        let document = json!({ name: item, "consumedCapacity": capacity_json(capacity) });
        return Ok(print_line(&document.to_string())?);
    }
    if let Some(item) = item {
        print_line(&if output == Output::Json { item.to_string() } else { format!("{item:#}") })?;
    }
    if let Some(capacity) = &capacity {
        tell_capacity(capacity);
    }
    Ok(())
}

/// The capacity, for programs.
pub(super) fn capacity_json(capacity: &ConsumedCapacity) -> serde_json::Value {
    json!({ "tableName": capacity.table_name, "capacityUnits": capacity.capacity_units })
}

/// The capacity, for people.
pub(super) fn tell_capacity(capacity: &ConsumedCapacity) {
    eprintln!("capacity units of table {}: {}", capacity.table_name, capacity.capacity_units);
}
