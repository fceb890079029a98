//! The control API of AWS Lambda for event source mappings, so that AWS's SDKs, command line and tools make triggers.
//!
//! `/2015-03-31/event-source-mappings`, REST with JSON, signed for the service `lambda`. A mapping is a trigger that is bound to
//! one stream. A function is named by the address it is called at; a name that is no address is looked up below the
//! endpoint that the node was started with (`--function-endpoint`), as Lambda's own names are.
//!
//! Sources: AWS Lambda API Reference, "CreateEventSourceMapping" and its neighbours; what was recorded of AWS
//! (`DYNAMODB.md` 4.1). What DynamoDB's streams have no use for is refused.

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, Method, Response, StatusCode, header},
    routing::any,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    auth::query_parameter,
    http::{Admitted, admit_to},
    triggers,
};
use crate::{
    catalog::{Catalog, StartAsked, Trigger},
    delivery::{Destination, Settings},
    node::{Error, Node, StartTrigger},
    stream::StreamArn,
};

const PATH: &str = "/2015-03-31/event-source-mappings";
const ARN: &str = "arn:aws:lambda:us-east-1:000000000000";
/// Mappings in a page at most. Source: AWS Lambda API Reference, "ListEventSourceMappings".
const LIST_MAX: usize = 100;

/// Adds the endpoint to the routes of the port.
pub(super) fn routes(router: Router, node: Node) -> Router {
    let handler = any(answer);
    let mappings = Router::new()
        .route(PATH, handler.clone())
        .route(&format!("{PATH}/"), handler.clone())
        .route(&format!("{PATH}/{{id}}"), handler)
        .with_state(node);
    router.merge(mappings)
}

/// Why a request is refused: the name of the exception, its status and message.
struct Refused(&'static str, u16, String);

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::Invalid(_) => Self::invalid(message),
            Error::NotFound(_) => Self("ResourceNotFoundException", 404, message),
            Error::InUse(_) => Self("ResourceConflictException", 409, message),
            Error::Overloaded => Self("TooManyRequestsException", 429, message),
            Error::ConditionFailed { .. } | Error::Trimmed | Error::IteratorExpired => Self::invalid(message),
            Error::Unavailable(_) | Error::DiskFull | Error::Unknown | Error::Internal => {
                Self("ServiceException", 500, message)
            }
        }
    }
}

impl Refused {
    fn invalid(message: impl Into<String>) -> Self {
        Self("InvalidParameterValueException", 400, message.into())
    }
}

async fn answer(State(node): State<Node>, request: Request) -> Response<Body> {
    let (status, body, exception) = match handle(&node, request).await {
        Ok((status, body)) => (status, body, None),
        Err(Refused(name, status, message)) => {
            let body = json!({ "Type": if status < 500 { "User" } else { "Service" }, "Message": message, "message": message });
            (status, body, Some(name))
        }
    };
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).expect("these are statuses of HTTP");
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(name) = exception {
        headers.insert("x-amzn-errortype", HeaderValue::from_static(name));
    }
    response
}

async fn handle(node: &Node, request: Request) -> Result<(u16, Value), Refused> {
    let Admitted { method, path, query, body } =
        admit_to(node, "lambda", request).await.map_err(|fault| {
            let exception = fault.exception();
            Refused(exception.name, exception.status, exception.message.unwrap_or_default())
        })?;
    let id = path.strip_prefix(PATH).unwrap_or_default().trim_matches('/');
    match (method, id) {
        (Method::POST, "") => create(node, read(&body)?).await.map(|mapping| (202, mapping)),
        (Method::GET, "") => list(node, &query).await.map(|listed| (200, listed)),
        (Method::GET, id) => Ok((200, mapping(&node.catalog(), &find(node, id).await?, None))),
        (Method::PUT, id) => update(node, id, read(&body)?).await.map(|mapping| (202, mapping)),
        (Method::DELETE, id) => {
            let trigger = find(node, id).await?;
            let deleted = mapping(&node.catalog(), &trigger, Some("Deleting"));
            node.delete_trigger(trigger.id).await?;
            Ok((202, deleted))
        }
        _ => Err(Refused("ResourceNotFoundException", 404, "there is no such operation".to_owned())),
    }
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|error| {
        Refused(
            "InvalidRequestContentException",
            400,
            format!("Could not parse request body into json: {error}"),
        )
    })
}

async fn find(node: &Node, id: &str) -> Result<Trigger, Refused> {
    Ok(node.trigger(triggers::id(id)?).await?)
}

/// What is asked for of a mapping. What other sources of events need is unread.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Ask {
    event_source_arn: Option<String>,
    function_name: Option<String>,
    enabled: Option<bool>,
    batch_size: Option<i64>,
    maximum_batching_window_in_seconds: Option<i64>,
    parallelization_factor: Option<i64>,
    starting_position: Option<String>,
    destination_config: Option<DestinationConfig>,
    maximum_record_age_in_seconds: Option<i64>,
    bisect_batch_on_function_error: Option<bool>,
    maximum_retry_attempts: Option<i64>,
    tumbling_window_in_seconds: Option<i64>,
    function_response_types: Option<Vec<String>>,
    filter_criteria: Option<FilterCriteria>,
    #[serde(flatten)]
    unread: Map<String, Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct DestinationConfig {
    on_success: Option<DestinationOf>,
    on_failure: Option<DestinationOf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct DestinationOf {
    destination: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct FilterCriteria {
    filters: Option<Vec<FilterOf>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct FilterOf {
    pattern: Option<String>,
}

/// Members that a mapping of a DynamoDB stream may have and that mean nothing here.
const IGNORED: &[&str] = &["KMSKeyArn", "LoggingConfig", "MetricsConfig", "Tags"];

impl Ask {
    fn settings(&self, mut settings: Settings) -> Result<Settings, Refused> {
        if let Some(name) = self.unread.keys().find(|name| !IGNORED.contains(&name.as_str())) {
            return Err(Refused::invalid(format!("Unsupported parameter for a DynamoDB stream: {name}")));
        }
        let natural = |name: &str, value: i64, range: (i64, i64)| match (range.0..=range.1).contains(&value) {
            true => Ok(value.unsigned_abs()),
            false => Err(constraint(name, value, range)),
        };
        let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        if let Some(size) = self.batch_size {
            settings.batch_size = small(natural("batchSize", size, (1, 10_000))?);
        }
        if let Some(seconds) = self.maximum_batching_window_in_seconds {
            settings.batching_window_ms =
                natural("maximumBatchingWindowInSeconds", seconds, (0, 300))? * 1000;
        }
        if let Some(factor) = self.parallelization_factor {
            settings.parallel = small(natural("parallelizationFactor", factor, (1, 10))?);
        }
        if let Some(attempts) = self.maximum_retry_attempts {
            let attempts_max = natural("maximumRetryAttempts", attempts, (-1, 10_000))?;
            settings.retries_max = (attempts >= 0).then_some(small(attempts_max));
        }
        if let Some(seconds) = self.maximum_record_age_in_seconds {
            let age = natural("maximumRecordAgeInSeconds", seconds, (-1, 604_800))?;
            if (0..60).contains(&seconds) {
                return Err(Refused::invalid("MaximumRecordAgeInSeconds must be -1 or from 60 to 604800"));
            }
            settings.record_age_ms_max = (seconds >= 0).then_some(age * 1000);
        }
        if let Some(seconds) = self.tumbling_window_in_seconds {
            settings.tumbling_ms = natural("tumblingWindowInSeconds", seconds, (0, 900))? * 1000;
        }
        settings.bisect = self.bisect_batch_on_function_error.unwrap_or(settings.bisect);
        if let Some(types) = &self.function_response_types {
            if let Some(other) = types.iter().find(|kind| *kind != "ReportBatchItemFailures") {
                return Err(Refused::invalid(format!("Invalid function response type: {other}")));
            }
            settings.report_failures = !types.is_empty();
        }
        if let Some(criteria) = &self.filter_criteria {
            let patterns = criteria.filters.iter().flatten();
            settings.filters = patterns.map(|filter| filter.pattern.clone().unwrap_or_default()).collect();
        }
        if let Some(config) = &self.destination_config {
            settings.on_failure = destination(config)?;
        }
        settings.check().map_err(|error| Refused::invalid(error.to_string()))?;
        Ok(settings)
    }
}

fn constraint(name: &str, value: i64, (min, max): (i64, i64)) -> Refused {
    let demand = if value < min {
        format!("Member must have value greater than or equal to {min}")
    } else {
        format!("Member must have value less than or equal to {max}")
    };
    let message = format!(
        "1 validation error detected: Value '{value}' at '{name}' failed to satisfy constraint: {demand}"
    );
    Refused("ValidationException", 400, message)
}

fn destination(config: &DestinationConfig) -> Result<Option<Destination>, Refused> {
    let of = |which: &Option<DestinationOf>| which.as_ref().and_then(|it| it.destination.clone());
    if of(&config.on_success).is_some() {
        return Err(Refused::invalid(
            "Unsupported DestinationConfig parameter for given event source mapping type.",
        ));
    }
    let Some(text) = of(&config.on_failure).filter(|text| !text.is_empty()) else { return Ok(None) };
    Destination::parse(&text).map(Some).map_err(|error| Refused::invalid(error.to_string()))
}

/// The address of a function, and the name it was given by.
fn function(node: &Node, name: &str) -> Result<(String, Option<String>), Refused> {
    if name.starts_with("http://") || name.starts_with("https://") {
        return Ok((name.to_owned(), None));
    }
    let bare = match name.split(":function:").nth(1) {
        Some(rest) => rest.split(':').next().unwrap_or(rest),
        None => name.split(':').next().unwrap_or(name),
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if bare.is_empty() || !bare.bytes().all(is_name) {
        return Err(Refused::invalid(format!("Invalid function name: {name}")));
    }
    let Some(endpoint) = node.function_endpoint() else {
        return Err(Refused::invalid(format!(
            "Function does not exist: {name} is no address, and this node knows no endpoint of functions \
             (--function-endpoint)"
        )));
    };
    let address = format!("{}/2015-03-31/functions/{bare}/invocations", endpoint.trim_end_matches('/'));
    Ok((address, Some(bare.to_owned())))
}

async fn create(node: &Node, ask: Ask) -> Result<Value, Refused> {
    let name = ask.function_name.as_deref().ok_or_else(|| Refused::invalid("FunctionName is required"))?;
    let arn =
        ask.event_source_arn.as_deref().ok_or_else(|| Refused::invalid("EventSourceArn is required"))?;
    let stream = StreamArn::parse(arn);
    let stream = stream.ok_or_else(|| {
        Refused::invalid(format!("Unrecognized event source, must be a DynamoDB stream: {arn}"))
    })?;
    let start = match ask.starting_position.as_deref() {
        Some(position @ ("TRIM_HORIZON" | "LATEST")) => triggers::start(Some(position), None)?,
        Some("AT_TIMESTAMP") => {
            return Err(Refused::invalid("Unsupported starting position for arn type: AT_TIMESTAMP"));
        }
        Some(other) => return Err(Refused::invalid(format!("Unknown starting position: {other}"))),
        None => {
            return Err(Refused::invalid(
                "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must \
                 not be null.",
            ));
        }
    };
    let (target, function) = function(node, name)?;
    let asked = StartTrigger {
        table: stream.table.clone(),
        only: Some(stream),
        target,
        function,
        settings: ask.settings(Settings::default())?,
        enabled: ask.enabled.unwrap_or(true),
        start,
    };
    let trigger = node.create_trigger(asked).await?;
    Ok(mapping(&node.catalog(), &trigger, Some("Creating")))
}

async fn update(node: &Node, id: &str, ask: Ask) -> Result<Value, Refused> {
    let trigger = find(node, id).await?;
    if ask.event_source_arn.is_some() || ask.starting_position.is_some() {
        return Err(Refused::invalid("EventSourceArn and StartingPosition cannot be changed"));
    }
    let target = ask.function_name.as_deref().map(|name| function(node, name)).transpose()?;
    let settings = ask.settings(trigger.settings.clone())?;
    let settings = (settings != trigger.settings).then_some(settings);
    let state = match ask.enabled {
        Some(true) if !trigger.enabled => "Enabling",
        Some(false) if trigger.enabled => "Disabling",
        _ => "Updating",
    };
    let updated = node.update_trigger(trigger.id, target, settings, ask.enabled).await?;
    Ok(mapping(&node.catalog(), &updated, Some(state)))
}

async fn list(node: &Node, query: &str) -> Result<Value, Refused> {
    let (source, marker) = (query_parameter(query, "EventSourceArn"), query_parameter(query, "Marker"));
    let max = match query_parameter(query, "MaxItems").map(|max| max.parse::<usize>()) {
        None => LIST_MAX,
        Some(Ok(max @ 1..=10_000)) => max.min(LIST_MAX),
        Some(_) => return Err(Refused::invalid("MaxItems must be from 1 to 10000")),
    };
    node.settled().await?;
    let catalog = node.catalog();
    let named = match query_parameter(query, "FunctionName") {
        None => None,
        Some(name) => Some(function(node, &name)?.0),
    };
    let is_asked_for = |trigger: &&Trigger| {
        let arn = triggers::source(&catalog, trigger).map(|(_, arn)| arn.to_string());
        source.as_ref().is_none_or(|asked| arn.as_ref() == Some(asked))
            && named.as_ref().is_none_or(|asked| trigger.target == *asked)
            && marker.as_ref().is_none_or(|marker| trigger.id.to_string() > *marker)
    };
    let found: Vec<&Trigger> = catalog.triggers.values().filter(is_asked_for).collect();
    let page = &found[..found.len().min(max)];
    let mut listed = json!({
        "EventSourceMappings": page.iter().map(|trigger| mapping(&catalog, trigger, None)).collect::<Vec<_>>(),
    });
    if let Some(last) = page.last().filter(|_| found.len() > page.len()) {
        listed["NextMarker"] = last.id.to_string().into();
    }
    Ok(listed)
}

/// A trigger as Lambda tells of a mapping; `state` if it is not what it will soon be.
fn mapping(catalog: &Catalog, trigger: &Trigger, state: Option<&str>) -> Value {
    let settings = &trigger.settings;
    let source = triggers::source(catalog, trigger).map(|(_, arn)| arn.to_string());
    let function = match &trigger.function {
        Some(name) => format!("{ARN}:function:{name}"),
        None => trigger.target.clone(),
    };
    let seconds = |ms: u64| ms / 1000;
    let on_failure = match &settings.on_failure {
        Some(Destination::Table(table)) => json!({ "Destination": crate::stream::table_arn(table) }),
        Some(Destination::Url(url)) => json!({ "Destination": url }),
        None => json!({}),
    };
    let steady = if trigger.enabled { "Enabled" } else { "Disabled" };
    let start = match trigger.start {
        StartAsked::TrimHorizon => "TRIM_HORIZON",
        StartAsked::Latest => "LATEST",
        StartAsked::Timestamp(_) => "AT_TIMESTAMP",
    };
    let mut out = json!({
        "UUID": trigger.id.to_string(),
        "EventSourceMappingArn": format!("{ARN}:event-source-mapping:{}", trigger.id),
        "EventSourceArn": source,
        "FunctionArn": function,
        "State": state.unwrap_or(steady),
        "StateTransitionReason": "User action",
        "LastProcessingResult": triggers::last_result(trigger),
        "LastModified": trigger.updated_ms as f64 / 1000.0,
        "BatchSize": settings.batch_size,
        "MaximumBatchingWindowInSeconds": seconds(settings.batching_window_ms),
        "ParallelizationFactor": settings.parallel,
        "MaximumRecordAgeInSeconds": settings.record_age_ms_max.map_or(-1, |ms| seconds(ms) as i64),
        "MaximumRetryAttempts": settings.retries_max.map_or(-1, i64::from),
        "BisectBatchOnFunctionError": settings.bisect,
        "TumblingWindowInSeconds": seconds(settings.tumbling_ms),
        "FunctionResponseTypes": if settings.report_failures { json!(["ReportBatchItemFailures"]) } else { json!([]) },
        "DestinationConfig": { "OnFailure": on_failure },
        "StartingPosition": start,
    });
    if !settings.filters.is_empty() {
        let filters = settings.filters.iter().map(|pattern| json!({ "Pattern": pattern }));
        out["FilterCriteria"] = json!({ "Filters": filters.collect::<Vec<_>>() });
    }
    out
}
