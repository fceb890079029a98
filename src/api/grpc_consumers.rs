//! `watertable.v1.Consumers`: proto <-> what members say and are told.

use std::pin::Pin;

use futures::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::{
    consumers::{self, ConsumerOut, Phase, ShardOut},
    error::status,
    grpc::{Face, Reply, record_out, reply},
    parameters::{self, Parameters},
    tables,
};
use crate::{
    catalog::ConsumerStart,
    delivery::Filter,
    node::{ConsumedBatch, Delivered, Error, OpenConsumer, Said},
    rpc::{
        item::Item,
        wire::v1::{self, consume_request, consume_response, consumer_shard, consumers_server},
    },
    stream::{ShardId, StreamArn},
};

fn start_in(open: &v1::OpenConsumer) -> Result<ConsumerStart, Error> {
    use v1::ConsumerStart::{AtTimestamp, Latest, Position, Snapshot, TrimHorizon, Unspecified};
    let start = v1::ConsumerStart::try_from(open.start);
    match (start, open.timestamp_millis, &open.position) {
        (Ok(Unspecified | TrimHorizon), None, None) => Ok(ConsumerStart::TrimHorizon),
        (Ok(Latest), None, None) => Ok(ConsumerStart::Latest),
        (Ok(Snapshot), None, None) => Ok(ConsumerStart::Snapshot),
        (Ok(AtTimestamp), Some(ms), None) => Ok(ConsumerStart::Timestamp(ms)),
        (Ok(Position), None, Some(_)) => Ok(ConsumerStart::Position),
        _ => Err(Error::Invalid(
            "start must be TRIM_HORIZON, LATEST or SNAPSHOT with neither timestamp_millis nor position, AT_TIMESTAMP \
             with a timestamp_millis alone, or POSITION with a position alone"
                .to_owned(),
        )),
    }
}

fn start_out(name: &str) -> v1::ConsumerStart {
    v1::ConsumerStart::from_str_name(&format!("CONSUMER_START_{name}")).unwrap_or_default()
}

fn said_in(request: v1::ConsumeRequest) -> Result<Said, Error> {
    match request.request {
        Some(consume_request::Request::Credit(more)) => Ok(Said::Credit(more)),
        Some(consume_request::Request::Acknowledge(v1::Acknowledge { shard_id, batch })) => {
            let wrong = || Error::Invalid(format!("shard_id is none: {shard_id}"));
            Ok(Said::Acknowledge(ShardId::parse(&shard_id).ok_or_else(wrong)?, batch))
        }
        Some(consume_request::Request::Open(_)) => {
            Err(Error::Invalid("only the first message opens".to_owned()))
        }
        None => Err(Error::Invalid("a message without a request".to_owned())),
    }
}

fn told_out(told: Delivered) -> v1::ConsumeResponse {
    let shard = |stream: &StreamArn, shard: ShardId| v1::ConsumedShard {
        stream_arn: stream.to_string(),
        shard_id: shard.to_string(),
    };
    let response = match told {
        Delivered::Opened { member, created } => {
            consume_response::Response::Opened(v1::ConsumerOpened { member_id: member, created })
        }
        Delivered::Assigned(stream, id) => consume_response::Response::Assigned(shard(&stream, id)),
        Delivered::Revoked(stream, id) => consume_response::Response::Revoked(shard(&stream, id)),
        Delivered::Batch(batch) => consume_response::Response::Batch(batch_out(*batch)),
    };
    v1::ConsumeResponse { response: Some(response) }
}

fn batch_out(batch: ConsumedBatch) -> v1::ConsumedBatch {
    let (records, copied) = if batch.is_copy {
        let items = batch.records.into_iter().filter_map(|record| record.new_image);
        (Vec::new(), items.map(Item::from_encoded).collect())
    } else {
        (batch.records.iter().map(record_out).collect(), Vec::new())
    };
    v1::ConsumedBatch {
        stream_arn: batch.stream.to_string(),
        shard_id: batch.shard.to_string(),
        batch: batch.number,
        records,
        copied,
        copy_end: batch.copy_ends,
        shard_end: batch.shard_ends,
        gap: batch.has_gap,
        at_risk: batch.at_risk,
        position: batch.position,
    }
}

fn shard_out(shard: ShardOut) -> v1::ConsumerShard {
    let phase = match shard.phase {
        Phase::Copy => consumer_shard::Phase::Copy,
        Phase::Stream => consumer_shard::Phase::Stream,
        Phase::Done => consumer_shard::Phase::Done,
    };
    v1::ConsumerShard {
        stream_arn: shard.stream_arn,
        shard_id: shard.shard_id,
        member_id: shard.member_id.and_then(|id| id.parse().ok()),
        phase: phase.into(),
        sequence_number: shard.sequence_number,
        lag_millis: shard.lag_millis,
    }
}

fn consumer_out(consumer: ConsumerOut) -> v1::Consumer {
    let members = consumer.members.into_iter().map(|member| v1::ConsumerMember {
        member_id: member.member_id.parse().unwrap_or(0),
        node_id: member.node_id,
        since_millis: member.since_millis,
        shards: u32::try_from(member.shards).unwrap_or(u32::MAX),
    });
    v1::Consumer {
        name: consumer.name,
        table_name: consumer.table_name,
        start: start_out(consumer.starting_position).into(),
        created_millis: consumer.created_millis,
        members: members.collect(),
        shards: consumer.shards.into_iter().map(shard_out).collect(),
        lag_millis: consumer.lag_millis,
        at_risk: consumer.at_risk,
        position: consumer.position,
    }
}

impl Face {
    fn opening(&self, open: v1::OpenConsumer) -> Result<OpenConsumer, Error> {
        let start = start_in(&open)?;
        let projection = Some(open.projection_expression).filter(|text| !text.is_empty());
        let names = Some(open.expression_attribute_names).filter(|names| !names.is_empty());
        let given = Parameters { names, projection, ..Parameters::default() }.given();
        let projection = parameters::parse(given, &self.node)?.projection();
        let patterns = Filter::parse(&open.filters);
        Ok(OpenConsumer {
            table: tables::name(&open.table_name)?,
            name: open.name,
            start,
            position: open.position,
            filter: patterns.map_err(|error| Error::Invalid(error.to_string()))?,
            projection,
            credit: open.credit,
            positions: open.positions,
        })
    }

    async fn take_part(&self, mut requests: Streaming<v1::ConsumeRequest>) -> Result<Told, Status> {
        let first = requests.message().await?.and_then(|first| first.request);
        let Some(consume_request::Request::Open(open)) = first else {
            return Err(status(&Error::Invalid("the first message must open".to_owned())));
        };
        let open = self.opening(open).map_err(|error| status(&error))?;
        let membership = self.node.open_consumer(open).await.map_err(|error| status(&error))?;
        let (wrong, told_wrong) = mpsc::channel(1);
        self.node.spawn("consumer requests", listen(requests, membership.said, wrong));
        let told = ReceiverStream::new(membership.told);
        let told = told.map(|told| told.map(told_out).map_err(|error| status(&error)));
        Ok(Box::pin(futures::stream::select(told, ReceiverStream::new(told_wrong))))
    }
}

type Told = Pin<Box<dyn Stream<Item = Result<v1::ConsumeResponse, Status>> + Send>>;

/// Hands on what a member says, until it says no more.
async fn listen(
    mut requests: Streaming<v1::ConsumeRequest>,
    said: mpsc::Sender<Said>,
    wrong: mpsc::Sender<Result<v1::ConsumeResponse, Status>>,
) {
    loop {
        let request = tokio::select! {
            request = requests.message() => request,
            () = said.closed() => return,
        };
        let Ok(Some(request)) = request else { return };
        match said_in(request) {
            Ok(heard) => {
                if said.send(heard).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                let _ = wrong.send(Err(status(&error))).await; // the member may be gone
                return;
            }
        }
    }
}

#[tonic::async_trait]
impl consumers_server::Consumers for Face {
    type ConsumeStream = Told;

    async fn consume(&self, request: Request<Streaming<v1::ConsumeRequest>>) -> Reply<Self::ConsumeStream> {
        self.take_part(request.into_inner()).await.map(Response::new)
    }

    async fn get_consumer(&self, request: Request<v1::GetConsumerRequest>) -> Reply<v1::Consumer> {
        let v1::GetConsumerRequest { table_name, name } = request.into_inner();
        reply(consumers::get(&self.node, &table_name, &name).await.map(consumer_out))
    }

    async fn list_consumers(
        &self,
        request: Request<v1::ListConsumersRequest>,
    ) -> Reply<v1::ListConsumersResponse> {
        let listed = consumers::list(&self.node, &request.get_ref().table_name).await;
        reply(listed.map(|listed| {
            let consumers = listed.into_iter().map(consumer_out).collect();
            v1::ListConsumersResponse { consumers }
        }))
    }

    async fn delete_consumer(
        &self,
        request: Request<v1::DeleteConsumerRequest>,
    ) -> Reply<v1::DeleteConsumerResponse> {
        let v1::DeleteConsumerRequest { table_name, name } = request.into_inner();
        let deleted = consumers::delete(&self.node, &table_name, &name).await;
        reply(deleted.map(|()| v1::DeleteConsumerResponse {}))
    }
}
