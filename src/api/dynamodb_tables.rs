//! Operations on tables and their tags in the DynamoDB protocol. Indexes, global tables, encryption by KMS and resource
//! policies are not there yet: a request for one is refused, never half done.

use std::collections::BTreeMap;

use super::dynamodb_items::{Answer, answer};
use super::error::Fault;
use super::json::{Boolean, List, Long, Text};
use super::requests::{
    AttributeDefinition, CreateTable, KeySchemaElement, ListTables, ListTagsOfResource, Nothing, OfTable,
    OnDemandThroughput, ProvisionedThroughput, SSESpecification, StreamSpecification, Tag, TagResource,
    UntagResource, UpdateTable, WarmThroughput,
};
use super::shape::{Shape, Shaped, given};
use super::tables::{self, NewTable};
use crate::catalog::{
    Billing, Maximum, Options, OptionsChange, TAGS_MAX, Table, TableClass, TableStatus, Throughput,
};
use crate::model::json::Object;
use crate::model::{AttributeName, Corrupt, KeyAttribute, KeySchema, KeyType, StreamViewType, TableName};
use crate::node::{Error, Node};
use crate::stream::{StreamArn, label_of, table_arn};

/// Most units a table can be given. Source: DynamoDB's message for more.
const UNITS_MAX: i64 = 1_000_000_000_000;
/// Tags in a page.
const TAGS_PAGE: usize = 10;
/// Quotas of an account. Source: Amazon DynamoDB Developer Guide, "Service, account, and table quotas".
const ACCOUNT_UNITS_MAX: u64 = 80_000;
const TABLE_UNITS_MAX: u64 = 40_000;

fn invalid(message: impl Into<String>) -> Error {
    Error::Invalid(message.into())
}

fn wrong(why: &str) -> Error {
    invalid(format!("One or more parameter values were invalid: {why}"))
}

// ---- what comes in

fn word<S: Shape<Value = Text>>(word: &Option<Shaped<S>>) -> Option<&str> {
    word.as_ref().map(|word| word.0.0.as_str())
}

fn key_schema(
    definitions: Option<List<AttributeDefinition>>,
    schema: Option<Vec<KeySchemaElement>>,
) -> Result<KeySchema, Error> {
    let missing = |member| {
        invalid(format!(
            "1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not be null"
        ))
    };
    let definitions = definitions.ok_or_else(|| missing("attributeDefinitions"))?;
    let schema = schema.ok_or_else(|| missing("keySchema"))?;
    let mut kinds = BTreeMap::new();
    for definition in definitions.0 {
        let kind = match given(definition.kind).0.0.as_str() {
            "S" => KeyType::S,
            "N" => KeyType::N,
            _ => KeyType::B,
        };
        let name = given(definition.name).0.0;
        if kinds.insert(name.clone(), kind).is_some() {
            return Err(wrong(&format!("Duplicate AttributeName in AttributeDefinitions: {name}")));
        }
    }
    let schema: Vec<(String, bool)> = schema
        .into_iter()
        .map(|element| (given(element.name).0.0, given(element.kind).0.0 == "HASH"))
        .collect();
    check_roles(&schema)?;
    let names: Vec<&str> = schema.iter().map(|(name, _)| name.as_str()).collect();
    if names.iter().any(|name| !kinds.contains_key(*name)) {
        let defined: Vec<&str> = kinds.keys().map(String::as_str).collect();
        return Err(wrong(&format!(
            "Some index key attributes are not defined in AttributeDefinitions. Keys: [{}], AttributeDefinitions: [{}]",
            names.join(", "),
            defined.join(", ")
        )));
    }
    if kinds.len() > names.len() {
        return Err(wrong(
            "Number of attributes in KeySchema does not exactly match number of attributes defined in \
             AttributeDefinitions",
        ));
    }
    let key = |name: &String| -> Result<KeyAttribute, Error> {
        Ok(KeyAttribute { name: AttributeName::parse(name)?, kind: kinds[name.as_str()] })
    };
    Ok(KeySchema {
        partition: key(&schema[0].0)?,
        sort: schema.get(1).map(|(name, _)| key(name)).transpose()?,
    })
}

/// HASH, or HASH and RANGE, of different names.
fn check_roles(schema: &[(String, bool)]) -> Result<(), Error> {
    if schema.len() > 2 {
        return Err(invalid(format!(
            "1 validation error detected: Value '[{} elements]' at 'keySchema' failed to satisfy constraint: Member must \
             have length less than or equal to 2",
            schema.len()
        )));
    }
    if !schema[0].1 {
        return Err(invalid("Invalid KeySchema: The first KeySchemaElement is not a HASH key type"));
    }
    if let [(partition, _), (sort, is_hash)] = schema {
        if partition == sort {
            return Err(invalid(
                "Both the Hash Key and the Range Key element in the KeySchema have the same name",
            ));
        }
        if *is_hash {
            return Err(invalid("Invalid KeySchema: The second KeySchemaElement is not a RANGE key type"));
        }
    }
    Ok(())
}

fn throughput(throughput: ProvisionedThroughput) -> Result<Throughput, Error> {
    let units = |units: Long, name: &str| match units.0 {
        units if units > UNITS_MAX => {
            Err(invalid(format!("Given value {units} for {name} is out of bounds")))
        }
        units => Ok(u64::try_from(units).unwrap_or(0)),
    };
    Ok(Throughput {
        read: units(given(throughput.read).0, "ReadCapacityUnits")?,
        write: units(given(throughput.write).0, "WriteCapacityUnits")?,
    })
}

/// How a new table is billed: provisioned, if nothing is said.
fn billing(mode: Option<&str>, provisioned: Option<ProvisionedThroughput>) -> Result<Billing, Error> {
    match (mode, provisioned) {
        (Some("PAY_PER_REQUEST"), None) => Ok(Billing::OnDemand),
        (Some("PAY_PER_REQUEST"), Some(_)) => Err(wrong(
            "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST",
        )),
        (_, Some(provisioned)) => Ok(Billing::Provisioned(throughput(provisioned)?)),
        (_, None) => Err(wrong(
            "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
        )),
    }
}

fn stream(specification: StreamSpecification) -> Result<Option<StreamViewType>, Error> {
    let view_type = word(&specification.view_type).and_then(StreamViewType::parse);
    match (given(specification.enabled).0, view_type) {
        (true, Some(view_type)) => Ok(Some(view_type)),
        (false, None) => Ok(None),
        (true, None) => Err(wrong("StreamViewType must be specified when StreamEnabled is true")),
        (false, Some(_)) => Err(wrong("StreamViewType must not be specified when StreamEnabled is false")),
    }
}

fn class(word: Option<&str>) -> Option<TableClass> {
    word.map(|word| match word {
        "STANDARD" => TableClass::Standard,
        _ => TableClass::StandardInfrequentAccess,
    })
}

fn maximum(throughput: OnDemandThroughput) -> Maximum {
    let units = |units: Option<Long>| units.map(|units| units.0);
    Maximum { read: units(throughput.read), write: units(throughput.write) }
}

fn warm(throughput: &WarmThroughput) -> Result<Throughput, Error> {
    let units = |units: &Option<Long>, least: i64, name: &str| match units {
        None => Ok(least.unsigned_abs()),
        Some(units) if units.0 >= least => Ok(units.0.unsigned_abs()),
        Some(units) => Err(wrong(&format!(
            "Requested {name} for WarmThroughput for table is lower than minimum. Minimum value: {least}, requested \
             value: {}",
            units.0
        ))),
    };
    Ok(Throughput {
        read: units(&throughput.read, WARM.read as i64, "ReadUnitsPerSecond")?,
        write: units(&throughput.write, WARM.write as i64, "WriteUnitsPerSecond")?,
    })
}

/// What a new on-demand table can do at once. Source: Amazon DynamoDB Developer Guide, "Understanding DynamoDB warm
/// throughput".
const WARM: Throughput = Throughput { read: 12_000, write: 4_000 };

fn refuse_encryption(encryption: Option<SSESpecification>) -> Result<(), Error> {
    let Some(SSESpecification { enabled, kind, key }) = encryption else { return Ok(()) };
    if enabled.is_some_and(|Boolean(enabled)| enabled) || kind.is_some() || key.is_some() {
        return Err(wrong("SSESpecification: encryption with a key of one's own is not available here"));
    }
    Ok(())
}

fn refuse(what: &str, is_asked: bool) -> Result<(), Error> {
    if is_asked { Err(wrong(&format!("{what} are not available here"))) } else { Ok(()) }
}

fn is_given<T>(list: &Option<List<T>>) -> bool {
    list.as_ref().is_some_and(|list| !list.0.is_empty())
}

fn tags(tags: List<Tag>) -> Result<BTreeMap<String, String>, Error> {
    let count = tags.0.len();
    let mut named = BTreeMap::new();
    for tag in tags.0 {
        let (key, value) = (given(tag.key).0.0, given(tag.value).0.0);
        let allowed = |text: &str| {
            text.chars().all(|character| {
                character.is_alphanumeric() || character.is_whitespace() || "+-=._:/@".contains(character)
            })
        };
        if !allowed(&key) || !allowed(&value) {
            return Err(wrong(
                "One or more tags are not valid: only letters, digits, white space and + - = . _ : / @ are allowed",
            ));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(wrong("One or more tag keys are not valid: the prefix aws: is reserved"));
        }
        if named.insert(key, value).is_some() {
            return Err(wrong("Duplicate tag keys"));
        }
    }
    if count > TAGS_MAX {
        return Err(wrong(&format!("Too many Tags: a resource has at most {TAGS_MAX}")));
    }
    Ok(named)
}

// ---- what goes out

fn units_out(object: &mut Object<'_>, throughput: Throughput, names: [&str; 2]) {
    object.unsigned(names[0], throughput.read);
    object.unsigned(names[1], throughput.write);
}

pub(super) fn key_schema_out(object: &mut Object<'_>, schema: &KeySchema) -> Result<(), Corrupt> {
    let keys = [Some((&schema.partition, "HASH")), schema.sort.as_ref().map(|key| (key, "RANGE"))];
    object.objects("KeySchema", keys.into_iter().flatten(), |object, (key, role)| {
        object.text("AttributeName", key.name.as_str());
        object.text("KeyType", role);
        Ok(())
    })
}

fn definitions_out(object: &mut Object<'_>, schema: &KeySchema) -> Result<(), Corrupt> {
    let keys = [Some(&schema.partition), schema.sort.as_ref()];
    object.objects("AttributeDefinitions", keys.into_iter().flatten(), |object, key| {
        object.text("AttributeName", key.name.as_str());
        object.text("AttributeType", key.kind.type_name());
        Ok(())
    })
}

fn status_name(status: TableStatus) -> &'static str {
    match status {
        TableStatus::Creating => "CREATING",
        TableStatus::Active => "ACTIVE",
        TableStatus::Updating => "UPDATING",
        TableStatus::Deleting => "DELETING",
    }
}

fn options_out(object: &mut Object<'_>, options: &Options, now_ms: u64) -> Result<(), Corrupt> {
    let booked = match options.billing {
        Billing::OnDemand => Throughput::default(),
        Billing::Provisioned(throughput) => throughput,
    };
    object.object("ProvisionedThroughput", |object| {
        let times =
            [("LastIncreaseDateTime", options.increased_ms), ("LastDecreaseDateTime", options.decreased_ms)];
        times
            .into_iter()
            .filter_map(|(name, ms)| Some((name, ms?)))
            .for_each(|(name, ms)| object.time(name, ms));
        object.unsigned("NumberOfDecreasesToday", options.decreases_on(now_ms));
        units_out(object, booked, ["ReadCapacityUnits", "WriteCapacityUnits"]);
        Ok(())
    })?;
    if let Some(ms) = options.on_demand_ms {
        let mode = if options.billing == Billing::OnDemand { "PAY_PER_REQUEST" } else { "PROVISIONED" };
        object.object("BillingModeSummary", |object| {
            object.text("BillingMode", mode);
            object.time("LastUpdateToPayPerRequestDateTime", ms);
            Ok(())
        })?;
    }
    if let Some(class) = options.class {
        let name = match class {
            TableClass::Standard => "STANDARD",
            TableClass::StandardInfrequentAccess => "STANDARD_INFREQUENT_ACCESS",
        };
        object.object("TableClassSummary", |object| {
            object.text("TableClass", name);
            Ok(())
        })?;
    }
    object.boolean("DeletionProtectionEnabled", options.deletion_protected);
    if let Some(Maximum { read, write }) = options.on_demand_throughput {
        object.object("OnDemandThroughput", |object| {
            let units = [("MaxReadRequestUnits", read), ("MaxWriteRequestUnits", write)];
            units.iter().for_each(|(name, units)| object.integer(name, units.unwrap_or(-1)));
            Ok(())
        })?;
    }
    let warm = options.warm_throughput.unwrap_or(match options.billing {
        Billing::OnDemand => WARM,
        Billing::Provisioned(booked) => booked,
    });
    object.object("WarmThroughput", |object| {
        units_out(object, warm, ["ReadUnitsPerSecond", "WriteUnitsPerSecond"]);
        object.text("Status", "ACTIVE");
        Ok(())
    })
}

fn stream_out(object: &mut Object<'_>, table: &Table) -> Result<(), Corrupt> {
    let Some(latest) = table.latest_stream() else { return Ok(()) };
    if tables::is_on(table.stream_status(latest)) {
        object.object("StreamSpecification", |object| {
            object.boolean("StreamEnabled", true);
            object.text("StreamViewType", latest.view_type.name());
            Ok(())
        })?;
    }
    let arn = StreamArn { table: table.name.clone(), stream_ms: latest.stream_ms };
    object.text("LatestStreamLabel", &label_of(latest.stream_ms));
    object.text("LatestStreamArn", &arn.to_string());
    Ok(())
}

/// A table.
async fn table_out(node: &Node, name: &'static str, table: &Table) -> Answer {
    described(node, name, table, node.catalog().status(table)).await
}

/// A table, of which that is known.
async fn described(node: &Node, name: &'static str, table: &Table, status: TableStatus) -> Answer {
    let (items, bytes) = match status {
        TableStatus::Active | TableStatus::Updating => node.count(table).await?,
        TableStatus::Creating | TableStatus::Deleting => (0, 0),
    };
    answer(|object| {
        object.object(name, |object| {
            definitions_out(object, &table.key_schema)?;
            object.text("TableName", table.name.as_str());
            key_schema_out(object, &table.key_schema)?;
            object.text("TableStatus", status_name(status));
            object.time("CreationDateTime", table.created_ms);
            object.unsigned("TableSizeBytes", bytes);
            object.unsigned("ItemCount", items);
            object.text("TableArn", &table_arn(&table.name));
            object.text("TableId", &tables::uuid(node, table));
            options_out(object, &table.options, node.now_ms())?;
            stream_out(object, table)
        })
    })
}

// ---- the operations

pub(super) async fn create(node: &Node, request: CreateTable) -> Answer {
    let name = given(request.table_name).0.0;
    TableName::parse(&name)?;
    refuse("LocalSecondaryIndexes", is_given(&request.local_indexes))?;
    refuse("GlobalSecondaryIndexes", is_given(&request.global_indexes))?;
    refuse("VectorIndexes", is_given(&request.vector_indexes))?;
    refuse("Global tables", request.global_table_source.is_some() || request.global_table_mode.is_some())?;
    refuse("Resource policies", request.resource_policy.is_some())?;
    refuse_encryption(request.encryption)?;
    let billing = billing(word(&request.billing_mode), request.throughput)?;
    let key_schema = key_schema(request.attribute_definitions, request.key_schema.map(|schema| schema.0.0))?;
    let new = NewTable {
        name,
        key_schema,
        stream: request.stream.map(stream).transpose()?.flatten(),
        partitions: 0,
        retention_ms: 0,
        options: Options {
            billing,
            class: class(word(&request.class)),
            deletion_protected: request.deletion_protected.is_some_and(|flag| flag.0),
            on_demand_throughput: request.on_demand_throughput.map(maximum),
            warm_throughput: request.warm_throughput.as_ref().map(warm).transpose()?,
            tags: request.tags.map(tags).transpose()?.unwrap_or_default(),
            ..Options::default()
        },
    };
    let table = tables::create(node, new).await?;
    // As it is at this moment: it may be in use already when the answer gets there.
    described(node, "TableDescription", &table, TableStatus::Creating).await
}

pub(super) async fn update(node: &Node, request: UpdateTable) -> Answer {
    let name = given(request.table_name).0.0;
    tables::name(&name)?;
    refuse("GlobalSecondaryIndexes", is_given(&request.global_indexes))?;
    refuse("VectorIndexes", is_given(&request.vector_indexes))?;
    let global =
        is_given(&request.replicas) || is_given(&request.witnesses) || request.disassociation.is_some();
    refuse("Global tables", global || request.consistency.is_some() || request.global_table_mode.is_some())?;
    let encrypts = request.encryption.is_some();
    refuse_encryption(request.encryption)?;
    let mode = word(&request.billing_mode);
    let change = OptionsChange {
        billing: match (mode, request.throughput) {
            (None, None) => None,
            (mode, throughput) => Some(billing(mode, throughput)?),
        },
        class: class(word(&request.class)),
        deletion_protected: request.deletion_protected.map(|flag| flag.0),
        on_demand_throughput: request.on_demand_throughput.map(maximum),
        warm_throughput: request.warm_throughput.as_ref().map(warm).transpose()?,
    };
    let changes_options = change != OptionsChange::default() || encrypts;
    let table = match request.stream.map(stream).transpose()? {
        Some(_) if changes_options => {
            return Err(wrong("Only one kind of change can be made to a table at once").into());
        }
        Some(stream) => tables::update_stream(node, &name, stream).await?,
        None if changes_options => tables::update_options(node, &name, change).await?,
        None => {
            return Err(invalid(
                "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates \
                 or SSESpecification or ReplicaUpdates is required",
            )
            .into());
        }
    };
    table_out(node, "TableDescription", &table).await
}

pub(super) async fn delete(node: &Node, request: OfTable) -> Answer {
    let table = tables::delete(node, &given(request.table_name).0.0).await?;
    answer(|object| {
        object.object("TableDescription", |object| {
            object.text("TableName", table.name.as_str());
            object.text("TableStatus", "DELETING");
            object.unsigned("TableSizeBytes", 0);
            object.unsigned("ItemCount", 0);
            object.text("TableArn", &table_arn(&table.name));
            object.text("TableId", &tables::uuid(node, &table));
            object.object("ProvisionedThroughput", |object| {
                object.unsigned("NumberOfDecreasesToday", 0);
                let booked = match table.options.billing {
                    Billing::OnDemand => Throughput::default(),
                    Billing::Provisioned(booked) => booked,
                };
                units_out(object, booked, ["ReadCapacityUnits", "WriteCapacityUnits"]);
                Ok(())
            })?;
            object.boolean("DeletionProtectionEnabled", table.options.deletion_protected);
            Ok(())
        })
    })
}

async fn found(node: &Node, request: OfTable) -> Result<Table, Fault> {
    let name = tables::name(&given(request.table_name).0.0)?;
    Ok(tables::find(node, &name).await?)
}

pub(super) async fn describe(node: &Node, request: OfTable) -> Answer {
    let table = found(node, request).await?;
    table_out(node, "Table", &table).await
}

pub(super) async fn list(node: &Node, request: ListTables) -> Answer {
    let limit = request.limit.map_or(0, |limit| u32::try_from(limit.0.0).unwrap_or(0));
    let (names, last) = tables::list(node, word(&request.start), limit).await?;
    answer(|object| {
        object.texts("TableNames", names.iter().map(String::as_str));
        if let Some(last) = &last {
            object.text("LastEvaluatedTableName", last);
        }
        Ok(())
    })
}

pub(super) async fn time_to_live(node: &Node, request: OfTable) -> Answer {
    found(node, request).await?;
    answer(|object| {
        object.object("TimeToLiveDescription", |object| {
            object.text("TimeToLiveStatus", "DISABLED");
            Ok(())
        })
    })
}

pub(super) async fn continuous_backups(node: &Node, request: OfTable) -> Answer {
    let name = given(request.table_name).0.0;
    match tables::find(node, &tables::name(&name)?).await {
        Err(Error::NotFound(_)) => return Err(Fault::NoTable(name)),
        found => drop(found?),
    }
    answer(|object| {
        object.object("ContinuousBackupsDescription", |object| {
            object.text("ContinuousBackupsStatus", "DISABLED");
            object.object("PointInTimeRecoveryDescription", |object| {
                object.text("PointInTimeRecoveryStatus", "DISABLED");
                Ok(())
            })
        })
    })
}

pub(super) async fn limits(_: &Node, _: Nothing) -> Answer {
    answer(|object| {
        object.unsigned("AccountMaxReadCapacityUnits", ACCOUNT_UNITS_MAX);
        object.unsigned("AccountMaxWriteCapacityUnits", ACCOUNT_UNITS_MAX);
        object.unsigned("TableMaxReadCapacityUnits", TABLE_UNITS_MAX);
        object.unsigned("TableMaxWriteCapacityUnits", TABLE_UNITS_MAX);
        Ok(())
    })
}

/// `host`: where the client reached this node.
pub(super) fn endpoints(host: &str) -> Answer {
    answer(|object| {
        object.objects("Endpoints", [host], |object, host| {
            object.text("Address", host);
            object.unsigned("CachePeriodInMinutes", 1440);
            Ok(())
        })
    })
}

// ---- tags

/// The table of the ARN of a table, or of one of its streams.
async fn resource(node: &Node, arn: &str) -> Result<Table, Fault> {
    let wrong_arn =
        |why: &str| invalid(format!("Invalid TableArn: Invalid ResourceArn provided as input: {why}: {arn}"));
    if !arn.starts_with("arn:") {
        return Err(wrong_arn("ARNs must start with 'arn:'").into());
    }
    let missing = || Error::NotFound(format!("Requested resource not found: ResourceArn: {arn} not found"));
    let name = match StreamArn::parse(arn) {
        Some(stream) => stream.table,
        None => {
            let resource = arn.splitn(6, ':').nth(5).and_then(|resource| resource.strip_prefix("table/"));
            let name = resource.filter(|name| !name.contains('/')).ok_or_else(|| wrong_arn("not a table"))?;
            let name = TableName::parse(name).map_err(|_| wrong_arn("not a table"))?;
            if table_arn(&name) != arn {
                return Err(missing().into());
            }
            name
        }
    };
    match tables::find(node, &name).await {
        Err(Error::NotFound(_)) => Err(missing().into()),
        found => Ok(found?),
    }
}

pub(super) async fn tag(node: &Node, request: TagResource) -> Answer {
    let set = tags(given(request.tags))?;
    let table = resource(node, &given(request.resource).0.0).await?;
    if set.is_empty() {
        return Err(wrong("Atleast one Tag needs to be provided as Input.").into());
    }
    tables::tag(node, table.name, set, Vec::new()).await?;
    Ok(Vec::new())
}

pub(super) async fn untag(node: &Node, request: UntagResource) -> Answer {
    let keys: Vec<String> = given(request.keys).0.into_iter().map(|key| key.0.0).collect();
    let table = resource(node, &given(request.resource).0.0).await?;
    if keys.is_empty() {
        return Err(wrong("Atleast one Tag Key needs to be provided as Input.").into());
    }
    tables::tag(node, table.name, BTreeMap::new(), keys).await?;
    Ok(Vec::new())
}

pub(super) async fn list_tags(node: &Node, request: ListTagsOfResource) -> Answer {
    let table = resource(node, &given(request.resource).0.0).await?;
    let next = request.next.map(|next| next.0);
    let tags = table.options.tags.iter();
    let behind: Vec<_> = tags.filter(|(key, _)| next.as_ref().is_none_or(|next| *key > next)).collect();
    let page = &behind[..behind.len().min(TAGS_PAGE)];
    answer(|object| {
        object.objects("Tags", page, |object, (key, value)| {
            object.text("Key", key);
            object.text("Value", value);
            Ok(())
        })?;
        if let Some((last, _)) = page.last().filter(|_| page.len() < behind.len()) {
            object.text("NextToken", last);
        }
        Ok(())
    })
}
