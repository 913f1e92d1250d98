//! `[telemetry]`: traces for a collector.

use std::path::{Path, PathBuf};

use http::Uri;

use crate::config::reader::{Table, Text};
use crate::config::settings::{Key, Kind, Presence, Section, Settings};
use crate::net::remote::is_loopback;

/// Traces for a collector.
#[derive(Clone, Debug)]
pub struct TracesConfig {
    /// The whole URL that spans are sent to.
    pub endpoint: Uri,
    /// Of 1000 requests, how many are traced.
    pub sample_permille: u64,
    /// Whether a caller's `sampled` flag decides in place of `sample_permille`.
    pub trust_caller: bool,
    /// What we are called.
    pub service_name: String,
    /// The file with headers for the collector.
    pub headers_file: Option<PathBuf>,
    /// Authorities to trust in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// Milliseconds for one export.
    pub timeout_ms: u64,
    /// Requests whose spans wait to be sent.
    pub queue_requests: usize,
    /// Spans of one export.
    pub batch_spans: usize,
    /// Milliseconds that spans wait for others.
    pub batch_delay_ms: u64,
}

/// Reads the section; `None` also where traces are off.
pub fn read(root: &Table<'_>, folder: &Path) -> Option<TracesConfig> {
    let outer = Settings::of(root, &SECTION, folder)?;
    let traces = Settings::of(outer.table(), &TRACES, folder).and_then(|settings| read_traces(&settings));
    outer.finish();
    traces
}

fn read_traces(settings: &Settings<'_>) -> Option<TracesConfig> {
    let headers_file = settings.path(&HEADERS_FILE);
    let url = settings.text(&ENDPOINT);
    let endpoint = url.and_then(|url| read_endpoint(settings, &url, headers_file.as_deref()));
    let config = |endpoint| TracesConfig {
        endpoint,
        sample_permille: settings.integer(&SAMPLE_PERMILLE),
        trust_caller: settings.boolean(&TRUST_CALLER),
        service_name: settings.text(&SERVICE_NAME).map_or(NAME_DEFAULT.to_owned(), |text| text.value),
        headers_file: headers_file.clone(),
        ca_file: settings.path(&CA_FILE),
        timeout_ms: settings.integer(&TIMEOUT_MS),
        queue_requests: settings.size(&QUEUE_REQUESTS),
        batch_spans: settings.size(&BATCH_SPANS),
        batch_delay_ms: settings.integer(&BATCH_DELAY_MS),
    };
    // Every key is read, so that all problems are found in one run.
    let is_whole = endpoint.is_some();
    let config = config(endpoint.unwrap_or_default());
    settings.finish();
    is_whole.then_some(config)
}

fn read_endpoint(settings: &Settings<'_>, url: &Text, headers_file: Option<&Path>) -> Option<Uri> {
    let refused = |message: String, help: &str| {
        settings.error(url.span.clone(), message, help);
        None
    };
    let uri = url.value.parse::<Uri>().ok().filter(|uri| uri.scheme().is_some() && uri.authority().is_some());
    let Some(uri) = uri else { return refused(format!("`{}` is not a URL", url.value), EXAMPLE) };
    let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    if authority.contains('@') || uri.query().is_some() {
        let help = "A key for the collector belongs into `headers_file`.";
        return refused("a URL here has no credentials and no query".to_owned(), help);
    }
    match uri.scheme_str() {
        Some("https") => {}
        Some("http") if headers_file.is_none() || is_loopback(uri.host().unwrap_or_default()) => {}
        Some("http") => {
            let help = "Use https, or a collector on this host.";
            return refused("`headers_file` is not sent in the clear to another machine".to_owned(), help);
        }
        _ => return refused(format!("the scheme of `{}` is not http or https", url.value), EXAMPLE),
    }
    if matches!(uri.path(), "" | "/") {
        return refused(format!("`{}` has no path", url.value), EXAMPLE);
    }
    Some(uri)
}

/// The section around.
pub const SECTION: Section = Section {
    name: "telemetry",
    meaning: "What operators see beside the log. Metrics are on the admin listener, see [metrics.md](metrics.md).",
    presence: Presence::Optional,
    keys: &[],
    inner: &["traces"],
};

/// The section of traces.
pub const TRACES: Section = Section {
    name: "telemetry.traces",
    meaning: "Spans for an OpenTelemetry collector, by OTLP over HTTP. Without this section there are none. See \
              [traces.md](traces.md).",
    presence: Presence::Optional,
    keys: &[
        &ENDPOINT,
        &SAMPLE_PERMILLE,
        &TRUST_CALLER,
        &SERVICE_NAME,
        &HEADERS_FILE,
        &CA_FILE,
        &TIMEOUT_MS,
        &QUEUE_REQUESTS,
        &BATCH_SPANS,
        &BATCH_DELAY_MS,
    ],
    inner: &[],
};
const EXAMPLE: &str = "Write `endpoint = \"http://127.0.0.1:4318/v1/traces\"`.";
const ENDPOINT: Key = Key::required(
    "endpoint",
    Kind::Text(""),
    EXAMPLE,
    "the collector's whole URL, e.g. `https://collector:4318/v1/traces`; no credentials, no query",
);
const SAMPLE_PERMILLE: Key =
    Key::integer("sample_permille", 100, 0, 1_000, "of 1000 requests, how many are traced");
const TRUST_CALLER: Key = Key::optional(
    "trust_caller",
    Kind::Boolean(false),
    "whether the `sampled` flag of a caller's `traceparent` decides in place of `sample_permille`; callers can then fill the queue",
);
const SERVICE_NAME: Key =
    Key::optional("service_name", Kind::Text("`lockkeeper`"), "`service.name` of all spans");
const HEADERS_FILE: Key = Key::optional(
    "headers_file",
    Kind::Path,
    "file with headers for the collector, one `name: value` a line; needs https unless the collector is on loopback",
);
const CA_FILE: Key = Key::optional(
    "ca_file",
    Kind::Path,
    "certificate authorities in PEM form to trust in place of the system's",
);
const TIMEOUT_MS: Key = Key::integer("timeout_ms", 5_000, 10, 600_000, "for one export");
const QUEUE_REQUESTS: Key = Key::integer(
    "queue_requests",
    1_024,
    1,
    100_000,
    "requests whose spans wait to be sent; what comes on top is dropped and counted",
);
const BATCH_SPANS: Key = Key::integer("batch_spans", 512, 1, 100_000, "spans after which an export starts");
const BATCH_DELAY_MS: Key =
    Key::integer("batch_delay_ms", 1_000, 0, 600_000, "that spans wait for others before an export starts");
const NAME_DEFAULT: &str = "lockkeeper";
