//! What a trigger is told to do, and the bounds of it.

use serde::{Deserialize, Serialize};

use super::{Filter, pattern::PatternError};
use crate::model::TableName;

/// Most records of a batch. Source: AWS Lambda API Reference, "CreateEventSourceMapping"; so are those below.
pub const BATCH_RECORDS_MAX: u32 = 10_000;
/// Longest time a batch gathers, milliseconds.
pub const BATCHING_WINDOW_MS_MAX: u64 = 300_000;
/// Most batches of one shard at once.
pub const PARALLEL_MAX: u32 = 10;
/// Largest limit of retries.
pub const RETRIES_MAX: u32 = 10_000;
/// The limits of a limit of age, milliseconds.
pub const RECORD_AGE_MS: (u64, u64) = (60_000, 604_800_000);
/// Longest tumbling window, milliseconds.
pub const TUMBLING_MS_MAX: u64 = 900_000;
/// Longest time a function may take, milliseconds. Source: AWS Lambda Developer Guide, "Lambda quotas".
pub const TIMEOUT_MS_MAX: u64 = 900_000;
/// Longest address of a target, bytes. Ours.
pub const TARGET_BYTES_MAX: usize = 2048;
/// Longest secret, bytes. Ours.
pub const SECRET_BYTES_MAX: usize = 256;

/// How a trigger delivers. The defaults are those of AWS Lambda; times have milliseconds here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Most records of one call: 1 to 10,000.
    pub batch_size: u32,
    /// How long a batch gathers after its first record, milliseconds: 0 (whatever is there goes at once) to 300,000.
    pub batching_window_ms: u64,
    /// How many calls of one shard may run at once, records of one partition key always in one after the other: 1 to 10.
    pub parallel: u32,
    /// How often a batch that failed is tried again: 0 to 10,000; absent: until its records are too old.
    pub retries_max: Option<u32>,
    /// Age at which a record is given up, milliseconds: 60,000 to 604,800,000; absent: when the stream forgets it.
    pub record_age_ms_max: Option<u64>,
    /// Whether a batch that failed is tried again in two halves.
    pub bisect: bool,
    /// Whether the function's answer says which records have failed.
    pub report_failures: bool,
    /// The length of tumbling windows, milliseconds: up to 900,000; 0: none.
    pub tumbling_ms: u64,
    /// Which records are delivered: those that one of these patterns matches, or all if there are none.
    pub filters: Vec<String>,
    /// Where records go that are given up.
    pub on_failure: Option<Destination>,
    /// How long a call may take, milliseconds: 1 to 900,000.
    pub timeout_ms: u64,
    /// What calls are signed with.
    pub secret: Option<Secret>,
}

/// What calls are signed with. It is told to nobody.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            batch_size: 100,
            batching_window_ms: 0,
            parallel: 1,
            retries_max: None,
            record_age_ms_max: None,
            bisect: false,
            report_failures: false,
            tumbling_ms: 0,
            filters: Vec::new(),
            on_failure: None,
            timeout_ms: 60_000,
            secret: None,
        }
    }
}

/// Where records go that are given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Destination {
    /// A table of the cluster; it keeps the whole records.
    Table(TableName),
    /// An address that is told of each batch.
    Url(String),
}

/// Settings that are none. Kind: *invalid*.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A number out of its range.
    #[error("{name} must be {range}, not {value}")]
    Range {
        /// Which.
        name: &'static str,
        /// What it may be.
        range: String,
        /// What it is.
        value: u64,
    },
    /// Settings that exclude each other, or an address that is none.
    #[error("{0}")]
    Invalid(String),
    /// A pattern that is none.
    #[error(transparent)]
    Pattern(#[from] PatternError),
}

impl Settings {
    /// The filter, if the settings are within their bounds. Errors: the first that is not.
    pub fn check(&self) -> Result<Filter, SettingsError> {
        let within = |name, value: u64, (min, max): (u64, u64)| match (min..=max).contains(&value) {
            true => Ok(()),
            false => Err(SettingsError::Range { name, range: format!("from {min} to {max}"), value }),
        };
        within("BatchSize", self.batch_size.into(), (1, BATCH_RECORDS_MAX.into()))?;
        within("MaximumBatchingWindow (milliseconds)", self.batching_window_ms, (0, BATCHING_WINDOW_MS_MAX))?;
        within("ParallelizationFactor", self.parallel.into(), (1, PARALLEL_MAX.into()))?;
        if let Some(retries) = self.retries_max {
            within("MaximumRetryAttempts", retries.into(), (0, RETRIES_MAX.into()))?;
        }
        if let Some(age_ms) = self.record_age_ms_max {
            within("MaximumRecordAge (milliseconds)", age_ms, RECORD_AGE_MS)?;
        }
        within("TumblingWindow (milliseconds)", self.tumbling_ms, (0, TUMBLING_MS_MAX))?;
        within("Timeout (milliseconds)", self.timeout_ms, (1, TIMEOUT_MS_MAX))?;
        if self.tumbling_ms > 0 && self.parallel > 1 {
            let why = "a tumbling window has one state for a shard: it needs a ParallelizationFactor of 1";
            return Err(SettingsError::Invalid(why.to_owned()));
        }
        let fits = |secret: &Secret| (1..=SECRET_BYTES_MAX).contains(&secret.0.len());
        if !self.secret.as_ref().is_none_or(fits) {
            return Err(SettingsError::Invalid(format!("Secret must have 1 to {SECRET_BYTES_MAX} bytes")));
        }
        if let Some(Destination::Url(url)) = &self.on_failure {
            check_url("the on-failure destination", url)?;
        }
        Ok(Filter::parse(&self.filters)?)
    }
}

/// Checks the address of a function. Errors: what is wrong with it.
pub fn check_target(url: &str) -> Result<(), SettingsError> {
    check_url("Target", url)
}

fn check_url(what: &str, url: &str) -> Result<(), SettingsError> {
    let wrong = |why: &str| Err(SettingsError::Invalid(format!("{what} {why}: {url}")));
    if url.len() > TARGET_BYTES_MAX {
        return Err(SettingsError::Invalid(format!("{what} must have at most {TARGET_BYTES_MAX} bytes")));
    }
    let Some(rest) = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://")) else {
        return wrong("must begin with http:// or https://");
    };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    if host.is_empty() || port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return wrong("must name a host, and a port from 0 to 65535 if it names one");
    }
    if url.contains('#') || !url.bytes().all(|byte| byte.is_ascii_graphic()) || authority.contains('@') {
        return wrong("must be a plain address: visible ASCII characters, without a user and a fragment");
    }
    Ok(())
}

impl Destination {
    /// Parses `table:NAME`, the ARN of a table, or an address. Errors: what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, SettingsError> {
        let name = text.strip_prefix("table:").or_else(|| crate::stream::table_in_arn(text));
        if let Some(name) = name {
            let table = TableName::parse(name);
            return table.map(Self::Table).map_err(|error| SettingsError::Invalid(error.to_string()));
        }
        check_url("the on-failure destination", text)?;
        Ok(Self::Url(text.to_owned()))
    }
}

impl std::fmt::Display for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Table(table) => write!(f, "table:{table}"),
            Self::Url(url) => f.write_str(url),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_bounds_is_named() {
        assert!(Settings::default().check().is_ok());
        let wrong = |change: fn(&mut Settings)| {
            let mut settings = Settings::default();
            change(&mut settings);
            settings.check().expect_err("out of bounds").to_string()
        };
        assert_eq!(wrong(|it| it.batch_size = 0), "BatchSize must be from 1 to 10000, not 0");
        assert_eq!(wrong(|it| it.parallel = 11), "ParallelizationFactor must be from 1 to 10, not 11");
        assert_eq!(
            wrong(|it| it.record_age_ms_max = Some(59_999)),
            "MaximumRecordAge (milliseconds) must be from 60000 to 604800000, not 59999"
        );
        assert_eq!(wrong(|it| it.filters = vec!["[]".to_owned()]), "Invalid filter pattern definition.");
        assert!(wrong(|it| (it.parallel, it.tumbling_ms) = (2, 1000)).starts_with("a tumbling window"));
        assert_eq!(wrong(|it| it.secret = Some(Secret(String::new()))), "Secret must have 1 to 256 bytes");
    }

    #[test]
    fn addresses_are_plain() {
        for url in [
            "http://a",
            "https://a.example:8443/hook?x=1",
            "http://[::1]:9000/2015-03-31/functions/function/invocations",
        ] {
            assert_eq!(check_target(url), Ok(()), "{url}");
        }
        for url in [
            "",
            "ftp://a",
            "http://",
            "http:///x",
            "http://a:70000",
            "http://u@a",
            "http://a/ b",
            "http://a#x",
        ] {
            assert!(check_target(url).is_err(), "{url}");
        }
    }

    #[test]
    fn destinations_are_tables_or_addresses() {
        let table = Destination::Table(TableName::parse("lost").expect("a name"));
        for text in ["table:lost", "arn:aws:dynamodb:us-east-1:000000000000:table/lost"] {
            assert_eq!(Destination::parse(text), Ok(table.clone()), "{text}");
        }
        assert_eq!(table.to_string(), "table:lost");
        assert_eq!(Destination::parse("http://a/b"), Ok(Destination::Url("http://a/b".to_owned())));
        assert!(Destination::parse("table:x").is_err());
        assert!(Destination::parse("lost").is_err());
    }
}
