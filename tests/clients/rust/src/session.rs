//! Clients, the table, and how to deal with answers that were lost.
//!
//! Nodes may die meanwhile. A request whose answer is lost is sent again by the SDK, and the first attempt may have been
//! carried out, or may be carried out later. So each write says what the item becomes, and each write to a key that is
//! written several times has a condition on the version before it, so that a late attempt is refused. If the condition
//! fails and the item it failed on is what this write was to leave behind, then an earlier attempt was carried out
//! (`own`); that is allowed only where nodes die. A write that is never answered ends the test: at most one node is down.
//! So the ledger has nothing of unknown outcome, and items and stream must be exactly it.

use std::{future::Future, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use aws_sdk_dynamodb::{
    Client,
    client::Waiters,
    config::{
        AsyncSleep, BehaviorVersion, Credentials, Region, Sleep, retry::RetryConfig, timeout::TimeoutConfig,
    },
    error::{ProvideErrorMetadata, SdkError},
    types::{
        AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
        StreamSpecification, StreamViewType, error::ConditionalCheckFailedException,
    },
};

use crate::ledger::Item;

pub const DEADLINE: Duration = Duration::from_secs(60);

/// Waits of a second at most: the SDK's waiters wait 20 s between two looks, which nothing else sets.
#[derive(Debug)]
struct Impatient;

impl AsyncSleep for Impatient {
    fn sleep(&self, duration: Duration) -> Sleep { // until the SDK looks again
        Sleep::new(tokio::time::sleep(duration.min(Duration::from_secs(1)))) // until the SDK looks again
    }
}

pub struct Session {
    pub client: Client,
    pub streams: aws_sdk_dynamodbstreams::Client,
    pub table: String,
    nodes_die: bool,
}

impl Session {
    pub fn new(table: String) -> Result<Self> {
        let endpoints = std::env::var("WATERTABLE_ENDPOINTS").context("WATERTABLE_ENDPOINTS")?;
        let endpoints: Vec<&str> = endpoints.split(',').collect();
        // Without TLS, and so without what that takes to compile.
        let http = aws_smithy_http_client::Builder::new().build_http();
        let keys = Credentials::new("local", "local", None, None, "test");
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(2))
            .operation_attempt_timeout(Duration::from_secs(10))
            .build();
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(keys.clone())
            .retry_config(RetryConfig::standard().with_max_attempts(10))
            .timeout_config(timeouts.clone())
            .sleep_impl(Impatient)
            .http_client(http.clone())
            .endpoint_url(endpoints[0])
            .build();
        let streams = aws_sdk_dynamodbstreams::Config::builder()
            .behavior_version(aws_sdk_dynamodbstreams::config::BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(keys)
            .retry_config(RetryConfig::standard().with_max_attempts(10))
            .timeout_config(timeouts)
            .http_client(http)
            .endpoint_url(endpoints[endpoints.len() - 1])
            .build();
        Ok(Self {
            client: Client::from_conf(config),
            streams: aws_sdk_dynamodbstreams::Client::from_conf(streams),
            table,
            nodes_die: std::env::var("WATERTABLE_NODES_DIE").is_ok_and(|value| !value.is_empty()),
        })
    }

    /// What a conditional write said that leaves `after` behind; nothing, if an earlier attempt did.
    pub fn own<T, E: std::error::Error + Send + Sync + 'static>(
        &self,
        answer: Result<T, SdkError<E>>,
        failed: impl Fn(&E) -> Option<&ConditionalCheckFailedException>,
        after: Option<&Item>,
    ) -> Result<Option<T>> {
        let error = match answer {
            Ok(answer) => return Ok(Some(answer)),
            Err(error) => error,
        };
        if let Some(failure) = error.as_service_error().and_then(failed)
            && self.nodes_die
        {
            let found: Option<Item> = failure.item().map(|item| item.clone().into_iter().collect());
            ensure!(found.as_ref() == after, "{found:?} instead of {after:?}");
            return Ok(None);
        }
        Err(error.into())
    }

    /// A call on the table, and the errors that say that an earlier attempt was carried out. What follows makes sure.
    fn repeated<T, E>(&self, answer: Result<T, SdkError<E>>, names: &[&str]) -> Result<()>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        match answer {
            Err(error) if !(self.nodes_die && error.code().is_some_and(|code| names.contains(&code))) => {
                Err(error.into())
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    async fn wait_until_active(&self) -> Result<()> {
        self.client.wait_until_table_exists().table_name(&self.table).wait(DEADLINE).await?;
        Ok(())
    }

    pub fn creation(
        &self,
    ) -> Result<aws_sdk_dynamodb::operation::create_table::builders::CreateTableFluentBuilder> {
        let key = |name, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
        let attribute =
            |name, kind| AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build();
        Ok(self
            .client
            .create_table()
            .table_name(&self.table)
            .billing_mode(BillingMode::PayPerRequest)
            .key_schema(key("station", KeyType::Hash)?)
            .key_schema(key("minute", KeyType::Range)?)
            .attribute_definitions(attribute("station", ScalarAttributeType::S)?)
            .attribute_definitions(attribute("minute", ScalarAttributeType::N)?))
    }

    pub async fn create_table(&self) -> Result<()> {
        self.repeated(self.creation()?.send().await, &["ResourceInUseException"])?;
        self.wait_until_active().await
    }

    /// Turns the stream on or off, and returns its ARN when that is done.
    pub async fn set_stream(&self, on: bool) -> Result<String> {
        let view = on.then_some(StreamViewType::NewAndOldImages);
        let wanted = StreamSpecification::builder().stream_enabled(on).set_stream_view_type(view).build()?;
        let update = self.client.update_table().table_name(&self.table).stream_specification(wanted.clone());
        self.repeated(update.send().await, &["ResourceInUseException", "ValidationException"])?;
        self.wait_until_active().await?;
        let table =
            self.client.describe_table().table_name(&self.table).send().await?.table.context("no table")?;
        ensure!(table.stream_specification == on.then_some(wanted), "{table:?}");
        table.latest_stream_arn.context("no ARN")
    }

    pub async fn delete_table(&self) -> Result<()> {
        let answer = self.client.delete_table().table_name(&self.table).send().await;
        self.repeated(answer, &["ResourceInUseException", "ResourceNotFoundException"])?;
        self.client.wait_until_table_not_exists().table_name(&self.table).wait(DEADLINE).await?;
        Ok(())
    }
}

/// The error of a call that the service refuses, with this in its message.
pub async fn refused<T, E>(call: impl Future<Output = Result<T, SdkError<E>>>, text: &str) -> Result<E>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let error = match call.await {
        Ok(_) => bail!("nothing failed where {text:?} was expected"),
        Err(SdkError::ServiceError(error)) => error,
        Err(error) => return Err(error.into()),
    };
    ensure!(error.raw().status().as_u16() == 400, "{error:?}");
    let error = error.into_err();
    ensure!(error.message().is_some_and(|message| message.contains(text)), "{error:?} has no {text:?}");
    Ok(error)
}
