//! `watertable.v1`: proto <-> model, one function an operation (those on items in `grpc_items`); health and
//! reflection; metrics over plain HTTP.

use std::pin::Pin;

use axum::routing::get;
use futures::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, service::Routes};

use super::{
    error::status,
    http, lambda,
    streams::{self, Ask},
    subscribe, tables,
};
use crate::{
    catalog::{Options, StreamStatus, Table, TableStatus},
    model::{AttributeName, KeyAttribute, KeySchema, KeyType, StreamViewType, limits::REQUEST_BYTES_MAX},
    node::{Error, Node},
    rpc::{
        item::Item,
        wire::{
            DESCRIPTORS,
            v1::{
                self, access_keys_server, cluster_server, consumers_server, items_server, streams_server,
                tables_server, triggers_server,
            },
        },
    },
    stream::{EventName, Record, StreamArn, table_arn},
};

/// Answers of one call at most, bytes.
const RESPONSE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Everything a node answers its clients.
pub async fn routes(node: Node) -> Result<Routes, tonic_reflection::server::Error> {
    let face = Face { node: node.clone() };
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<items_server::ItemsServer<Face>>().await;
    health.set_serving::<tables_server::TablesServer<Face>>().await;
    health.set_serving::<streams_server::StreamsServer<Face>>().await;
    health.set_serving::<triggers_server::TriggersServer<Face>>().await;
    health.set_serving::<consumers_server::ConsumersServer<Face>>().await;
    health.set_serving::<access_keys_server::AccessKeysServer<Face>>().await;
    health.set_serving::<cluster_server::ClusterServer<Face>>().await;
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    // A little more than the largest request, so that one above the limit gets the operation's own error.
    let request_bytes = REQUEST_BYTES_MAX + 64 * 1024;
    macro_rules! service {
        ($server:ty) => {
            <$server>::new(face.clone())
                .max_decoding_message_size(request_bytes)
                .max_encoding_message_size(RESPONSE_BYTES_MAX)
        };
    }
    let routes = Routes::new(health_service)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?) // what many tools still ask for
        .add_service(service!(items_server::ItemsServer<Face>))
        .add_service(service!(tables_server::TablesServer<Face>))
        .add_service(service!(streams_server::StreamsServer<Face>))
        .add_service(service!(triggers_server::TriggersServer<Face>))
        .add_service(service!(consumers_server::ConsumersServer<Face>))
        .add_service(service!(access_keys_server::AccessKeysServer<Face>))
        .add_service(service!(cluster_server::ClusterServer<Face>));
    let measured = node.clone();
    let router = routes
        .into_axum_router()
        .route("/metrics", get(move || std::future::ready(measured.render_metrics())))
        .route("/health", get(|| std::future::ready("ok\n")));
    Ok(http::routes(lambda::routes(router, node.clone()), node).into())
}

/// The services.
#[derive(Clone)]
pub(super) struct Face {
    pub node: Node,
}

pub(super) type Reply<T> = Result<Response<T>, Status>;

pub(super) fn reply<T>(result: Result<T, Error>) -> Reply<T> {
    result.map(Response::new).map_err(|error| status(&error))
}

// ---- tables

fn view_type_in(view_type: i32) -> Result<StreamViewType, Error> {
    match v1::StreamViewType::try_from(view_type) {
        Ok(v1::StreamViewType::KeysOnly) => Ok(StreamViewType::KeysOnly),
        Ok(v1::StreamViewType::NewImage) => Ok(StreamViewType::NewImage),
        Ok(v1::StreamViewType::OldImage) => Ok(StreamViewType::OldImage),
        Ok(v1::StreamViewType::NewAndOldImages) => Ok(StreamViewType::NewAndOldImages),
        Ok(v1::StreamViewType::Unspecified) => {
            Err(Error::Invalid("a stream that is turned on needs a view_type".to_owned()))
        }
        Err(_) => Err(Error::Invalid(format!("view_type has no value {view_type}"))),
    }
}

fn view_type_out(view_type: StreamViewType) -> v1::StreamViewType {
    match view_type {
        StreamViewType::KeysOnly => v1::StreamViewType::KeysOnly,
        StreamViewType::NewImage => v1::StreamViewType::NewImage,
        StreamViewType::OldImage => v1::StreamViewType::OldImage,
        StreamViewType::NewAndOldImages => v1::StreamViewType::NewAndOldImages,
    }
}

fn specification_in(specification: &v1::StreamSpecification) -> Result<Option<StreamViewType>, Error> {
    if specification.enabled {
        return view_type_in(specification.view_type).map(Some);
    }
    if specification.view_type != 0 {
        return Err(Error::Invalid("view_type must not be given where a stream is turned off".to_owned()));
    }
    Ok(None)
}

fn key_attribute_in(key: v1::KeyAttribute) -> Result<KeyAttribute, Error> {
    let kind = match v1::ScalarType::try_from(key.r#type) {
        Ok(v1::ScalarType::S) => KeyType::S,
        Ok(v1::ScalarType::N) => KeyType::N,
        Ok(v1::ScalarType::B) => KeyType::B,
        Ok(v1::ScalarType::Unspecified) | Err(_) => {
            return Err(Error::Invalid(format!("the type of key attribute {} must be S, N or B", key.name)));
        }
    };
    Ok(KeyAttribute { name: AttributeName::parse(&key.name)?, kind })
}

fn key_schema_in(schema: Option<v1::KeySchema>) -> Result<KeySchema, Error> {
    let missing = || Error::Invalid("key_schema needs a partition_key".to_owned());
    let schema = schema.ok_or_else(missing)?;
    let partition = key_attribute_in(schema.partition_key.ok_or_else(missing)?)?;
    Ok(KeySchema { partition, sort: schema.sort_key.map(key_attribute_in).transpose()? })
}

fn key_schema_out(schema: &KeySchema) -> v1::KeySchema {
    let attribute = |key: &KeyAttribute| {
        let kind = match key.kind {
            KeyType::S => v1::ScalarType::S,
            KeyType::N => v1::ScalarType::N,
            KeyType::B => v1::ScalarType::B,
        };
        v1::KeyAttribute { name: key.name.to_string(), r#type: kind.into() }
    };
    v1::KeySchema {
        partition_key: Some(attribute(&schema.partition)),
        sort_key: schema.sort.as_ref().map(attribute),
    }
}

fn table_out(node: &Node, table: &Table) -> v1::TableDescription {
    let catalog = node.catalog();
    let status = match catalog.status(table) {
        TableStatus::Creating => v1::TableStatus::Creating,
        TableStatus::Active => v1::TableStatus::Active,
        TableStatus::Updating => v1::TableStatus::Updating,
        TableStatus::Deleting => v1::TableStatus::Deleting,
    };
    let latest = table.latest_stream();
    let arn = |stream_ms| StreamArn { table: table.name.clone(), stream_ms }.to_string();
    let on = latest.filter(|stream| tables::is_on(table.stream_status(stream)));
    let partitions = table.partitions.iter().filter_map(|group| catalog.partitions.get(group));
    let partitions = partitions.map(|partition| {
        let leader = node.leader(partition.group);
        v1::Partition {
            group_id: partition.group.0,
            first_hash: partition.range.first,
            last_hash: partition.range.last,
            replicas: partition.replicas.iter().map(|node| node.0).collect(),
            leader: leader.map_or(0, |leader| leader.0),
            leader_address: leader.and_then(|leader| node.address_of(leader)).unwrap_or_default(),
        }
    });
    v1::TableDescription {
        table_name: table.name.to_string(),
        table_id: tables::uuid(node, table),
        status: status.into(),
        key_schema: Some(key_schema_out(&table.key_schema)),
        created_ms: table.created_ms,
        stream: on.map(|stream| v1::StreamSpecification {
            enabled: true,
            view_type: view_type_out(stream.view_type).into(),
        }),
        latest_stream_arn: latest.map(|stream| arn(stream.stream_ms)),
        latest_stream_label: latest.map(|stream| crate::stream::label_of(stream.stream_ms)),
        partitions: partitions.collect(),
        retention_ms: table.retention_ms,
        table_arn: table_arn(&table.name),
    }
}

impl Face {
    async fn create(&self, request: v1::CreateTableRequest) -> Result<v1::CreateTableResponse, Error> {
        let new = tables::NewTable {
            name: request.table_name,
            key_schema: key_schema_in(request.key_schema)?,
            stream: request.stream.as_ref().map(specification_in).transpose()?.flatten(),
            partitions: request.partitions,
            retention_ms: request.retention_ms,
            options: Options::default(),
        };
        let table = tables::create(&self.node, new).await?;
        Ok(v1::CreateTableResponse { table: Some(table_out(&self.node, &table)) })
    }

    async fn update_stream(&self, request: v1::UpdateTableRequest) -> Result<v1::UpdateTableResponse, Error> {
        let nothing = || Error::Invalid("an update needs a stream specification".to_owned());
        let stream = specification_in(&request.stream.ok_or_else(nothing)?)?;
        let table = tables::update_stream(&self.node, &request.table_name, stream).await?;
        Ok(v1::UpdateTableResponse { table: Some(table_out(&self.node, &table)) })
    }
}

#[tonic::async_trait]
impl tables_server::Tables for Face {
    async fn create_table(&self, request: Request<v1::CreateTableRequest>) -> Reply<v1::CreateTableResponse> {
        reply(self.create(request.into_inner()).await)
    }

    async fn describe_table(
        &self,
        request: Request<v1::DescribeTableRequest>,
    ) -> Reply<v1::DescribeTableResponse> {
        let name = crate::model::TableName::parse(&request.get_ref().table_name);
        let name = name.map_err(|error| status(&error.into()))?;
        let table = tables::find(&self.node, &name).await;
        reply(table.map(|table| v1::DescribeTableResponse { table: Some(table_out(&self.node, &table)) }))
    }

    async fn list_tables(&self, request: Request<v1::ListTablesRequest>) -> Reply<v1::ListTablesResponse> {
        let v1::ListTablesRequest { exclusive_start_table_name, limit } = request.into_inner();
        let listed = tables::list(&self.node, exclusive_start_table_name.as_deref(), limit).await;
        reply(listed.map(|(table_names, last_evaluated_table_name)| v1::ListTablesResponse {
            table_names,
            last_evaluated_table_name,
        }))
    }

    async fn update_table(&self, request: Request<v1::UpdateTableRequest>) -> Reply<v1::UpdateTableResponse> {
        reply(self.update_stream(request.into_inner()).await)
    }

    async fn delete_table(&self, request: Request<v1::DeleteTableRequest>) -> Reply<v1::DeleteTableResponse> {
        let deleted = tables::delete(&self.node, &request.get_ref().table_name).await;
        reply(deleted.map(|table| {
            let table = v1::TableDescription {
                status: v1::TableStatus::Deleting.into(),
                ..table_out(&self.node, &table)
            };
            v1::DeleteTableResponse { table: Some(table) }
        }))
    }
}

// ---- streams

/// A record as the wire has it.
pub(super) fn record_out(record: &Record) -> v1::Record {
    let event_name = match record.event_name {
        EventName::Insert => v1::EventName::Insert,
        EventName::Modify => v1::EventName::Modify,
        EventName::Remove => v1::EventName::Remove,
    };
    v1::Record {
        event_id: format!("{:032x}", record.event_id),
        event_name: event_name.into(),
        sequence_number: record.sequence_number.to_string(),
        created_ms: record.created_ms,
        keys: Some(Item::from_encoded(record.keys.clone())),
        new_image: record.new_image.clone().map(Item::from_encoded),
        old_image: record.old_image.clone().map(Item::from_encoded),
        size_bytes: record.size_bytes as u64,
    }
}

fn ask_in(request: &v1::GetShardIteratorRequest) -> Result<Ask<'_>, Error> {
    use v1::ShardIteratorType::{AfterSequenceNumber, AtSequenceNumber, AtTimestamp, Latest, TrimHorizon};
    let kind = v1::ShardIteratorType::try_from(request.r#type);
    match (kind, request.sequence_number.as_deref(), request.timestamp_ms) {
        (Ok(TrimHorizon), None, None) => Ok(Ask::TrimHorizon),
        (Ok(Latest), None, None) => Ok(Ask::Latest),
        (Ok(AtSequenceNumber), Some(number), None) => Ok(Ask::At(number)),
        (Ok(AfterSequenceNumber), Some(number), None) => Ok(Ask::After(number)),
        (Ok(AtTimestamp), None, Some(ms)) => Ok(Ask::Timestamp(ms)),
        _ => Err(Error::Invalid(
            "type must be TRIM_HORIZON or LATEST with neither sequence_number nor timestamp_ms, AT_ or \
             AFTER_SEQUENCE_NUMBER with a sequence_number alone, or AT_TIMESTAMP with a timestamp_ms alone"
                .to_owned(),
        )),
    }
}

impl Face {
    async fn describe(
        &self,
        request: &v1::DescribeStreamRequest,
    ) -> Result<v1::DescribeStreamResponse, Error> {
        let start = request.exclusive_start_shard_id.as_deref();
        let (stream, last) =
            streams::describe(&self.node, &request.stream_arn, request.limit, start, None).await?;
        let status = match stream.status {
            StreamStatus::Enabling => v1::StreamStatus::Enabling,
            StreamStatus::Enabled => v1::StreamStatus::Enabled,
            StreamStatus::Disabling => v1::StreamStatus::Disabling,
            StreamStatus::Disabled => v1::StreamStatus::Disabled,
        };
        let shards = stream.shards.iter().map(|shard| v1::Shard {
            shard_id: shard.id.to_string(),
            starting_sequence_number: shard.starting.to_string(),
            ending_sequence_number: shard.ending.map(|number| number.to_string()),
            parent_shard_id: shard.parent.map(|parent| parent.to_string()),
        });
        Ok(v1::DescribeStreamResponse {
            stream_arn: stream.arn.to_string(),
            stream_label: crate::stream::label_of(stream.arn.stream_ms),
            status: status.into(),
            view_type: view_type_out(stream.view_type).into(),
            created_ms: stream.arn.stream_ms,
            table_name: stream.arn.table.to_string(),
            key_schema: Some(key_schema_out(&stream.key_schema)),
            shards: shards.collect(),
            last_evaluated_shard_id: last.map(|shard| shard.to_string()),
        })
    }

    async fn begin(&self, request: v1::SubscribeRequest) -> Result<ReceiverStream<Pushed>, Error> {
        let arn = match (request.stream_arn.as_str(), request.table_name.as_str()) {
            (arn, "") => streams::arn(arn)?,
            ("", name) => {
                let name = crate::model::TableName::parse(name)?;
                let table = tables::find(&self.node, &name).await?;
                let none =
                    || Error::NotFound(format!("Requested resource not found: Table {name} has no stream"));
                let stream_ms = table.latest_stream().ok_or_else(none)?.stream_ms;
                StreamArn { table: name, stream_ms }
            }
            _ => return Err(Error::Invalid("give either stream_arn or table_name".to_owned())),
        };
        let start = v1::ShardIteratorType::try_from(request.start).unwrap_or_default();
        let from = subscribe::From { start, timestamp_ms: request.timestamp_ms, resume: request.resume };
        Ok(ReceiverStream::new(subscribe::subscribe(&self.node, arn, from).await?))
    }
}

type Pushed = Result<v1::SubscribeResponse, Status>;

#[tonic::async_trait]
impl streams_server::Streams for Face {
    type SubscribeStream = Pin<Box<dyn Stream<Item = Pushed> + Send>>;

    async fn list_streams(&self, request: Request<v1::ListStreamsRequest>) -> Reply<v1::ListStreamsResponse> {
        let v1::ListStreamsRequest { table_name, limit, exclusive_start_stream_arn } = request.into_inner();
        let listed =
            streams::list(&self.node, &table_name, limit, exclusive_start_stream_arn.as_deref()).await;
        reply(listed.map(|(arns, last_evaluated_stream_arn)| {
            v1::ListStreamsResponse {
                streams: arns
                    .into_iter()
                    .map(|arn| v1::StreamSummary {
                        stream_arn: arn.to_string(),
                        table_name: arn.table.to_string(),
                        stream_label: crate::stream::label_of(arn.stream_ms),
                    })
                    .collect(),
                last_evaluated_stream_arn,
            }
        }))
    }

    async fn describe_stream(
        &self,
        request: Request<v1::DescribeStreamRequest>,
    ) -> Reply<v1::DescribeStreamResponse> {
        reply(self.describe(request.get_ref()).await)
    }

    async fn get_shard_iterator(
        &self,
        request: Request<v1::GetShardIteratorRequest>,
    ) -> Reply<v1::GetShardIteratorResponse> {
        let request = request.into_inner();
        let ask = ask_in(&request).map_err(|error| status(&error))?;
        let iterator = streams::iterator(&self.node, &request.stream_arn, &request.shard_id, ask).await;
        reply(iterator.map(|shard_iterator| v1::GetShardIteratorResponse { shard_iterator }))
    }

    async fn get_records(&self, request: Request<v1::GetRecordsRequest>) -> Reply<v1::GetRecordsResponse> {
        let v1::GetRecordsRequest { shard_iterator, limit } = request.into_inner();
        let page = streams::records(&self.node, &shard_iterator, limit).await;
        reply(page.map(|(page, next_shard_iterator)| v1::GetRecordsResponse {
            records: page.records.iter().map(record_out).collect(),
            next_shard_iterator,
        }))
    }

    async fn subscribe(&self, request: Request<v1::SubscribeRequest>) -> Reply<Self::SubscribeStream> {
        let pushed = self.begin(request.into_inner()).await;
        reply(pushed.map(|pushed| Box::pin(pushed) as Self::SubscribeStream))
    }
}
