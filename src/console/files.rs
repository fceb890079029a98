//! The files of the page, as they are served.

use std::{io::Write, sync::OnceLock};

use axum::{
    Router,
    body::Body,
    extract::Path,
    http::{HeaderMap, HeaderValue, Response, StatusCode, header},
    response::Redirect,
    routing::get,
};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use xxhash_rust::xxh3::xxh3_64;

/// What the page may do. `connect-src`: the API is on the same origin.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

macro_rules! files {
    ($($name:literal,)*) => {
        const FILES: &[(&str, &str)] = &[$(($name, include_str!($name)),)*];
    };
}

files! {
    "api.js",
    "cluster.js",
    "console.css",
    "consumers.js",
    "dialog.js",
    "dom.js",
    "format.js",
    "index.html",
    "items.js",
    "json.js",
    "main.js",
    "overview.js",
    "plot.js",
    "sign.js",
    "state.js",
    "stream.js",
    "streams.js",
    "streamswitch.js",
    "table.js",
    "tables.js",
    "tail.js",
    "trigger.js",
    "triggers.js",
    "value.js",
}

/// The routes of the console.
pub fn routes() -> Router {
    Router::new()
        .route("/console", get(async || Redirect::permanent("/console/")))
        .route("/console/", get(async |headers: HeaderMap| file("index.html", &headers)))
        .route(
            "/console/{name}",
            get(async |Path(name): Path<String>, headers: HeaderMap| file(&name, &headers)),
        )
}

/// The files as they travel to browsers that can unpack them, each packed when it is first asked for.
static PACKED: [OnceLock<Bytes>; FILES.len()] = [const { OnceLock::new() }; FILES.len()];

fn pack(text: &str) -> Bytes {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(text.as_bytes()).expect("memory takes everything");
    Bytes::from(packer.finish().expect("memory takes everything"))
}

/// A file; nothing but its tag if the browser has it. It is asked for again each time: the program may be a newer one.
fn file(name: &str, asked: &HeaderMap) -> Response<Body> {
    let Some(at) = FILES.iter().position(|(known, _)| *known == name) else {
        return answer(StatusCode::NOT_FOUND, "text/plain", "there is no such file\n");
    };
    let text = FILES[at].1;
    let kind = match name.rsplit_once('.') {
        Some((_, "html")) => "text/html; charset=utf-8",
        Some((_, "css")) => "text/css; charset=utf-8",
        _ => "text/javascript; charset=utf-8",
    };
    let says = |name, what: &str| {
        asked.get(name).and_then(|value| value.to_str().ok()).is_some_and(|value| value.contains(what))
    };
    let tag = format!("\"{:016x}\"", xxh3_64(text.as_bytes()));
    let is_packed = says(header::ACCEPT_ENCODING, "gzip");
    let mut response = match (says(header::IF_NONE_MATCH, &tag), is_packed) {
        (true, _) => answer(StatusCode::NOT_MODIFIED, kind, ""),
        (false, true) => answer(StatusCode::OK, kind, PACKED[at].get_or_init(|| pack(text)).clone()),
        (false, false) => answer(StatusCode::OK, kind, text),
    };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, HeaderValue::try_from(tag).expect("digits in quotes"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if is_packed {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn answer(status: StatusCode, kind: &'static str, text: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    #[test]
    fn every_file_is_served_and_small() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/console");
        let there = fs::read_dir(folder).expect("the folder is there");
        let there = there.map(|file| file.expect("a file").file_name().to_string_lossy().into_owned());
        let there: BTreeSet<String> = there.filter(|name| !name.ends_with(".rs")).collect();
        let served: BTreeSet<String> = FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(there, served);
        let bytes: usize = FILES.iter().map(|(_, text)| text.len()).sum();
        assert!(bytes < 150 * 1024, "{bytes} bytes are too many for a first page");
    }

    #[test]
    fn nothing_comes_from_elsewhere_or_becomes_markup() {
        for (name, text) in FILES {
            for forbidden in
                ["innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", "document.write", " style="]
            {
                assert!(!text.contains(forbidden), "{name} has {forbidden}");
            }
            assert!(
                !text.contains("src=\"http") && !text.contains("import \"http"),
                "{name} fetches from elsewhere"
            );
        }
    }

    #[test]
    fn a_browser_that_has_a_file_is_not_sent_it_again() {
        let first = file("main.js", &HeaderMap::new());
        assert_eq!(first.status(), StatusCode::OK);
        let mut asked = HeaderMap::new();
        asked.insert(header::IF_NONE_MATCH, first.headers()[header::ETAG].clone());
        assert_eq!(file("main.js", &asked).status(), StatusCode::NOT_MODIFIED);
        assert_eq!(file("missing.js", &asked).status(), StatusCode::NOT_FOUND);
        assert!(
            file("index.html", &HeaderMap::new()).headers().contains_key(header::CONTENT_SECURITY_POLICY)
        );
    }
}
