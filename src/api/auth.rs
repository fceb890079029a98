//! Who sends a DynamoDB request: verification of AWS Signature Version 4.
//!
//! - Pure: the time and the secrets are arguments, so a request that was refused once can be judged again in a test.
//! - Faults are named and worded as DynamoDB does, and found in its order: parts, date, `host`, algorithm, credential,
//!   key, body, signature. Clients correct their clocks by these words, and conformance tests compare them.
//! - Nothing that grows with the body is computed for a key that does not exist.
//! - The work is linear in the request: a name listed twice among the signed headers is signed once, otherwise a large
//!   header named a thousand times would be copied a thousand times.
//!
//! Signed is what the signer chose to sign: as in DynamoDB, only `host` is demanded. A body is always covered.
//!
//! Deliberately absent: session tokens (`X-Amz-Security-Token` is signed like any header or parameter, but nothing is
//! looked up by it), bodies signed in chunks or not at all, memory of past signatures: a request can be replayed while
//! its date is current, as it can with AWS.

use std::fmt;

use axum::http::HeaderMap;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::stream::label_of;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// The service of a credential for tables and streams.
pub(super) const DYNAMODB: &str = "dynamodb";
const TERMINATOR: &str = "aws4_request";
const CONTENT_HASH: &str = "x-amz-content-sha256";
/// How far the clocks of a client and of this node may differ, and how long a signature lives.
const WINDOW_SECS: u64 = 15 * 60;
/// The longest life that a presigned request may give itself.
const EXPIRES_SECS_MAX: u64 = 7 * 24 * 60 * 60;

/// A request as it came.
pub(super) struct Request<'a> {
    /// The service that credentials must be for.
    pub service: &'static str,
    /// The HTTP method.
    pub method: &'a str,
    /// The path, still percent-encoded.
    pub path: &'a str,
    /// What follows `?`, still percent-encoded; empty without.
    pub query: &'a str,
    /// The headers. `host` must be among them: over HTTP/2 it is the authority, which the caller puts there.
    pub headers: &'a HeaderMap,
    /// The body as received, thus in its compressed form.
    pub body: &'a [u8],
}

/// Why a request is not authenticated. What it displays is the message of the DynamoDB error.
#[derive(Debug, PartialEq, Eq, Error)]
pub(super) enum Fault {
    /// The request is not signed.
    #[error("Request is missing Authentication Token")]
    MissingToken,
    /// A part of the signature is missing or cannot be read.
    #[error("{0}")]
    Incomplete(String),
    /// The signature is complete, but wrong or not for now and here.
    #[error("{0}")]
    Invalid(String),
    /// No such access key.
    #[error("The security token included in the request is invalid.")]
    UnknownKey,
}

impl Fault {
    /// The name of the DynamoDB error.
    pub fn name(&self) -> &'static str {
        match self {
            Self::MissingToken => "MissingAuthenticationTokenException",
            Self::Incomplete(_) => "IncompleteSignatureException",
            Self::Invalid(_) => "InvalidSignatureException",
            Self::UnknownKey => "UnrecognizedClientException",
        }
    }

    /// The signature is not the one that the secret gives.
    fn mismatch() -> Self {
        Self::Invalid(
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
             Access Key and signing method. Consult the service documentation for details."
                .to_owned(),
        )
    }
}

/// Verifies the signature of a request and returns the id of the access key that made it. `secret_of` finds the secret
/// of an access key.
pub(super) fn verify<'k>(
    request: &Request<'_>,
    secret_of: impl FnOnce(&str) -> Option<&'k str>,
    now_ms: u64,
) -> Result<String, Fault> {
    let parameters = parameters(request.query);
    let claim = Claim::find(request, &parameters)?;
    let date = claim.parse_date()?;
    check_window(&date, claim.lifetime_secs()?, now_ms)?;
    let signed_headers = claim.signed_headers();
    if !signed_headers.iter().any(|name| name == "host") {
        let message = "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.";
        return Err(Fault::Invalid(message.to_owned()));
    }
    claim.check_algorithm()?;
    let scope = Scope::parse(&claim.credential)?;
    scope.check(&date, request.service)?;
    let secret = secret_of(scope.key_id).ok_or(Fault::UnknownKey)?;

    let body_hash = body_hash(request, &signed_headers)?;
    let canonical =
        canonical_request(request, &parameters, &signed_headers, &body_hash).ok_or_else(Fault::mismatch)?;
    let signature = decode_hex(&claim.signature).ok_or_else(Fault::mismatch)?;
    sign(secret, &scope, &date, &canonical).verify_slice(&signature).map_err(|_| Fault::mismatch())?;
    Ok(scope.key_id.to_owned())
}

/// Accepts a request that carries a signature with all its parts, whatever they say but for the algorithm: for a node without access keys,
/// whose clients are made to sign by their libraries.
pub(super) fn accept_any(request: &Request<'_>) -> Result<(), Fault> {
    Claim::find(request, &parameters(request.query))?.check_algorithm()
}

/// The key that signs the requests of one day, in one region, for one service. `date` is `yyyymmdd`.
pub(super) fn signing_key(secret: &str, date: &str, region: &str, service: &str) -> [u8; 32] {
    let mut key: [u8; 32] = mac(format!("AWS4{secret}").as_bytes(), date).finalize().into_bytes().into();
    for part in [region, service, TERMINATOR] {
        key = mac(&key, part).finalize().into_bytes().into();
    }
    key
}

/// The code that a signature must equal.
fn sign(secret: &str, scope: &Scope<'_>, date: &Timestamp, canonical: &[u8]) -> Hmac<Sha256> {
    let Scope { date: day, region, service, terminator, .. } = scope;
    let hash = Sha256::digest(canonical);
    let text = format!("{ALGORITHM}\n{date}\n{day}/{region}/{service}/{terminator}\n{hash:x}");
    mac(&signing_key(secret, day, region, service), &text)
}

fn mac(key: &[u8], text: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(text.as_bytes());
    mac
}

/// What a request says of its signature, unverified.
struct Claim {
    algorithm: String,
    credential: String,
    /// Names separated by `;`.
    signed_headers: String,
    /// In hex.
    signature: String,
    date: Date,
    /// The life of a presigned request, in seconds.
    expires: Option<String>,
}

/// When a request says it was signed.
enum Date {
    /// `X-Amz-Date`, which has one format.
    Amz(String),
    /// The header `Date`, which has HTTP's format, too.
    Http(String),
}

impl Claim {
    /// Finds the claim, in the header or in the query, and all its parts.
    fn find(request: &Request<'_>, parameters: &[Parameter]) -> Result<Self, Fault> {
        match (header(request.headers, "authorization"), parameter(parameters, "X-Amz-Algorithm")) {
            (Some(_), Some(_)) => Err(Fault::Invalid(
                "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header."
                    .to_owned(),
            )),
            (Some(header), None) if header.starts_with("AWS4-") => Self::of_header(request.headers, &header),
            (None, Some(_)) => Self::of_query(parameters),
            (_, None) => Err(Fault::MissingToken),
        }
    }

    fn of_header(headers: &HeaderMap, authorization: &str) -> Result<Self, Fault> {
        let mut pieces = authorization.split([',', ' ', '\t']).filter(|piece| !piece.is_empty());
        let algorithm = pieces.next().unwrap_or_default();
        let (mut credential, mut signature, mut signed_headers) = (None, None, None);
        for piece in pieces {
            let Some((name, value)) = piece.split_once('=') else {
                return Err(Fault::Incomplete(format!(
                    "'{piece}' not a valid key=value pair (missing equal-sign) in Authorization header: \
                     '{authorization}'."
                )));
            };
            match name {
                "Credential" => credential = Some(value).filter(|value| !value.is_empty()),
                "Signature" => signature = Some(value).filter(|value| !value.is_empty()),
                // An empty list passes here, as in DynamoDB, and is refused later: `host` is not in it.
                "SignedHeaders" => signed_headers = Some(value),
                _ => {}
            }
        }
        let date = header(headers, "x-amz-date").map(Date::Amz);
        let date = date.or_else(|| header(headers, "date").map(Date::Http));

        let mut missing = String::new();
        for (name, value) in
            [("Credential", credential), ("Signature", signature), ("SignedHeaders", signed_headers)]
        {
            if value.is_none() {
                missing += &format!("Authorization header requires '{name}' parameter. ");
            }
        }
        if date.is_none() {
            missing +=
                "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ";
        }
        let (Some(credential), Some(signature), Some(signed_headers), Some(date)) =
            (credential, signature, signed_headers, date)
        else {
            return Err(Fault::Incomplete(format!("{missing}Authorization={authorization}")));
        };
        Ok(Self {
            algorithm: algorithm.to_owned(),
            credential: credential.to_owned(),
            signed_headers: signed_headers.to_owned(),
            signature: signature.to_owned(),
            date,
            expires: None,
        })
    }

    fn of_query(parameters: &[Parameter]) -> Result<Self, Fault> {
        let mut missing = String::new();
        let mut required = |name| {
            let value = parameter(parameters, name).unwrap_or_default();
            if value.is_empty() {
                missing += &format!("AWS query-string parameters must include '{name}'. ");
            }
            value
        };
        let claim = Self {
            algorithm: required("X-Amz-Algorithm"),
            credential: required("X-Amz-Credential"),
            signature: required("X-Amz-Signature"),
            signed_headers: required("X-Amz-SignedHeaders"),
            date: Date::Amz(required("X-Amz-Date")),
            expires: parameter(parameters, "X-Amz-Expires"),
        };
        if missing.is_empty() {
            Ok(claim)
        } else {
            Err(Fault::Incomplete(format!("{missing}Re-examine the query-string parameters.")))
        }
    }

    fn parse_date(&self) -> Result<Timestamp, Fault> {
        let (text, date) = match &self.date {
            Date::Amz(text) => (text, Timestamp::parse_basic(text)),
            Date::Http(text) => (text, Timestamp::parse_basic(text).or_else(|| Timestamp::parse_http(text))),
        };
        date.ok_or_else(|| {
            Fault::Incomplete(format!(
                "Date must be in ISO-8601 'basic format'. Got '{text}'. See http://en.wikipedia.org/wiki/ISO_8601"
            ))
        })
    }

    /// How long after its date the signature is good.
    fn lifetime_secs(&self) -> Result<u64, Fault> {
        let Some(text) = &self.expires else { return Ok(WINDOW_SECS) };
        let fault = |reason: &str| Fault::Incomplete(format!("X-Amz-Expires {reason}"));
        let secs: i64 = text.parse().map_err(|_| fault("should be a number"))?;
        let secs = u64::try_from(secs).map_err(|_| fault("must be non-negative"))?;
        if secs > EXPIRES_SECS_MAX {
            return Err(fault("must be less than a week (in seconds) that is 604800"));
        }
        Ok(secs)
    }

    fn check_algorithm(&self) -> Result<(), Fault> {
        if self.algorithm == ALGORITHM {
            return Ok(());
        }
        // The space at the end of this and of other messages is AWS's: it lists faults this way.
        let message =
            format!("Unsupported AWS 'algorithm': '{}' (only {ALGORITHM} for now). ", self.algorithm);
        Err(Fault::Incomplete(message))
    }

    /// The names of the signed headers in canonical form: in lower case, sorted, each once.
    fn signed_headers(&self) -> Vec<String> {
        let mut names: Vec<_> = self.signed_headers.split(';').map(str::to_ascii_lowercase).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// Where and when a signing key is good, and whose it is.
struct Scope<'a> {
    key_id: &'a str,
    date: &'a str,
    region: &'a str,
    service: &'a str,
    terminator: &'a str,
}

impl<'a> Scope<'a> {
    fn parse(credential: &'a str) -> Result<Self, Fault> {
        let mut parts = credential.trim_end_matches('/').split('/');
        let mut part = || parts.next();
        match (part(), part(), part(), part(), part(), part()) {
            (Some(key_id), Some(date), Some(region), Some(service), Some(terminator), None) => {
                Ok(Self { key_id, date, region, service, terminator })
            }
            _ => Err(Fault::Incomplete(format!(
                "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got \
                 '{credential}'"
            ))),
        }
    }

    /// Checks all but the key, listing every fault. A cluster has no region: clients may name any.
    fn check(&self, signed_at: &Timestamp, service: &str) -> Result<(), Fault> {
        let mut faults = String::new();
        if self.region.is_empty() {
            faults += "Credential should be scoped to a valid region, not ''. ";
        }
        if self.service != service {
            faults += &format!("Credential should be scoped to correct service: '{service}'. ");
        }
        if self.terminator != TERMINATOR {
            let terminator = self.terminator;
            faults += &format!(
                "Credential should be scoped with a valid terminator: '{TERMINATOR}', not '{terminator}'. "
            );
        }
        let day = signed_at.day();
        if self.date != day {
            faults += &format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{}' != \
                 '{day}', from '{signed_at}'.",
                self.date
            );
        }
        if faults.is_empty() { Ok(()) } else { Err(Fault::Invalid(faults)) }
    }
}

/// Checks that a signature is neither too old nor from the future.
fn check_window(date: &Timestamp, lifetime_secs: u64, now_ms: u64) -> Result<(), Fault> {
    let now = Timestamp::of_ms(now_ms);
    let oldest = Timestamp::of_ms(now_ms.saturating_sub(lifetime_secs * 1000));
    let newest = Timestamp::of_ms(now_ms.saturating_add(WINDOW_SECS * 1000));
    if *date < oldest {
        let lifetime = match lifetime_secs % 60 {
            0 => format!("{} min.", lifetime_secs / 60),
            _ => format!("{lifetime_secs} sec."),
        };
        Err(Fault::Invalid(format!(
            "Signature expired: {date} is now earlier than {oldest} ({now} - {lifetime})"
        )))
    } else if *date > newest {
        let window = WINDOW_SECS / 60;
        Err(Fault::Invalid(format!(
            "Signature not yet current: {date} is still later than {newest} ({now} + {window} min.)"
        )))
    } else {
        Ok(())
    }
}

/// The hash of the body in hex, as the signer wrote it if it did.
fn body_hash(request: &Request<'_>, signed_headers: &[String]) -> Result<String, Fault> {
    let declared = joined_values(request.headers, CONTENT_HASH)
        .map(|value| String::from_utf8_lossy(&value).into_owned())
        .unwrap_or_default();
    if declared == "UNSIGNED-PAYLOAD" || declared.starts_with("STREAMING-") {
        return Err(Fault::Invalid(format!(
            "'{declared}' is not a supported value of the '{CONTENT_HASH}' header: the payload must be signed whole."
        )));
    }
    let computed = format!("{:x}", Sha256::digest(request.body));
    if !signed_headers.iter().any(|name| name == CONTENT_HASH) {
        Ok(computed)
    } else if declared.eq_ignore_ascii_case(&computed) {
        Ok(declared)
    } else {
        Err(Fault::Invalid(format!("The provided '{CONTENT_HASH}' header does not match what was computed.")))
    }
}

/// The text whose hash is signed, or None if a signed header is absent.
///
/// | line(s) | |
/// |---|---|
/// | method | |
/// | path | normalized, percent-encoded once more than it came |
/// | query | decoded, encoded, sorted, without the signature |
/// | `name:value` for each signed header | names in lower case, sorted |
/// | empty | |
/// | names of signed headers | separated by `;` |
/// | hash of the body | in hex |
fn canonical_request(
    request: &Request<'_>,
    parameters: &[Parameter],
    signed_headers: &[String],
    body_hash: &str,
) -> Option<Vec<u8>> {
    let path = canonical_path(request.path);
    let query = canonical_query(parameters);
    let mut text = format!("{}\n{path}\n{query}\n", request.method).into_bytes();
    for name in signed_headers {
        text.extend_from_slice(name.as_bytes());
        text.push(b':');
        text.extend_from_slice(&joined_values(request.headers, name)?);
        text.push(b'\n');
    }
    text.extend_from_slice(format!("\n{}\n{body_hash}", signed_headers.join(";")).as_bytes());
    Some(text)
}

/// A path without empty and relative segments, encoded.
fn canonical_path(path: &str) -> String {
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    let mut canonical = String::new();
    for segment in &segments {
        canonical.push('/');
        encode(segment.as_bytes(), &mut canonical);
    }
    if path.ends_with('/') || segments.is_empty() {
        canonical.push('/');
    }
    canonical
}

/// The parameters but the signature, encoded, sorted by name and value.
fn canonical_query(parameters: &[Parameter]) -> String {
    let encoded = |bytes: &[u8]| {
        let mut text = String::with_capacity(bytes.len());
        encode(bytes, &mut text);
        text
    };
    let mut pairs: Vec<_> = parameters
        .iter()
        .filter(|(name, _)| name != b"X-Amz-Signature")
        .map(|(name, value)| (encoded(name), encoded(value)))
        .collect();
    pairs.sort_unstable();
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

/// A parameter of the query: name and value, decoded.
type Parameter = (Vec<u8>, Vec<u8>);

fn parameters(query: &str) -> Vec<Parameter> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

/// The first parameter of a name in a query.
pub(super) fn query_parameter(query: &str, name: &str) -> Option<String> {
    parameter(&parameters(query), name)
}

/// The first parameter of a name.
fn parameter(parameters: &[Parameter], name: &str) -> Option<String> {
    let (_, value) = parameters.iter().find(|(found, _)| found == name.as_bytes())?;
    Some(String::from_utf8_lossy(value).into_owned())
}

/// The first header of a name, unless it is empty.
fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = String::from_utf8_lossy(headers.get(name)?.as_bytes()).trim().to_owned();
    Some(value).filter(|value| !value.is_empty())
}

/// All headers of a name as they are signed: white space trimmed and each inner run of it made one space, joined by
/// commas.
fn joined_values(headers: &HeaderMap, name: &str) -> Option<Vec<u8>> {
    let values: Vec<_> = headers
        .get_all(name)
        .iter()
        .map(|value| {
            let words = value.as_bytes().split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
            words.collect::<Vec<_>>().join(&b' ')
        })
        .collect();
    (!values.is_empty()).then(|| values.join(&b','))
}

/// Percent-encodes all but the unreserved characters of RFC 3986.
fn encode(bytes: &[u8], into: &mut String) {
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            *into += &format!("%{byte:02X}");
        }
    }
}

/// Percent-decodes. What is no escape stays as it is, and so does `+`.
fn decode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = if *first == b'%' { tail.first_chunk().and_then(hex_byte) } else { None };
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    bytes
}

/// The bytes of a text in hex, or None if it is not.
fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let (digits, odd) = text.as_bytes().as_chunks();
    if odd.is_empty() { digits.iter().map(hex_byte).collect() } else { None }
}

fn hex_byte(digits: &[u8; 2]) -> Option<u8> {
    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
    u8::try_from(high? << 4 | low?).ok()
}

/// A time, UTC, in ISO 8601's basic format: `20150830T123600Z`. The order of such texts is that of the times.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Timestamp(String);

impl Timestamp {
    fn of_ms(ms: u64) -> Self {
        // The label of a stream is a time: the same in the extended format, with milliseconds.
        let mut text = label_of(ms / 1000 * 1000).replace(['-', ':'], "").replace(".000", "");
        text.push('Z');
        Self(text)
    }

    /// Of `20150830T123600Z`.
    fn parse_basic(text: &str) -> Option<Self> {
        let (day, time) = text.strip_suffix('Z')?.split_once('T')?;
        let day = [day.get(..4)?, day.get(4..6)?, day.get(6..)?];
        Self::of(day, [time.get(..2)?, time.get(2..4)?, time.get(4..)?])
    }

    /// Of `Sun, 30 Aug 2015 12:36:00 GMT`, as RFC 1123 and HTTP write it, or with another name of the same zone.
    fn parse_http(text: &str) -> Option<Self> {
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let (_weekday, text) = text.split_once(", ")?;
        let mut parts = text.split(' ');
        let mut part = || parts.next();
        let (Some(day), Some(month), Some(year), Some(time), Some("GMT" | "UTC" | "+0000" | "-0000"), None) =
            (part(), part(), part(), part(), part(), part())
        else {
            return None;
        };
        let month = MONTHS.iter().position(|name| *name == month)? + 1;
        let (hour, time) = time.split_once(':')?;
        let (minute, second) = time.split_once(':')?;
        Self::of([year, &format!("{month:02}"), day], [hour, minute, second])
    }

    /// Of a date in the Gregorian calendar and a time: a year of four digits, all else of two.
    fn of([year, month, day]: [&str; 3], [hour, minute, second]: [&str; 3]) -> Option<Self> {
        let in_year = number(year, 4)?;
        let leap = in_year % 4 == 0 && (in_year % 100 != 0 || in_year % 400 == 0);
        let days = match number(month, 2)? {
            4 | 6 | 9 | 11 => 30,
            2 => 28 + u32::from(leap),
            1..=12 => 31,
            _ => return None,
        };
        let valid = (1..=days).contains(&number(day, 2)?)
            && number(hour, 2)? < 24
            && number(minute, 2)? < 60
            && number(second, 2)? < 60;
        valid.then(|| Self(format!("{year}{month}{day}T{hour}{minute}{second}Z")))
    }

    /// The day: `20150830`.
    fn day(&self) -> &str {
        self.0.split('T').next().unwrap_or_default()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A number of exactly so many digits.
fn number(text: &str, digits: usize) -> Option<u32> {
    let exact = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    if exact { text.parse().ok() } else { None }
}

#[cfg(test)]
#[path = "auth_test.rs"]
mod tests;
