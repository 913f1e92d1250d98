//! What operators see, put together: traces from their configuration, and the conditions of readiness.

use std::path::Path;
use std::sync::Arc;

use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::checkpoints;
use super::sinks;
use super::start::StartError;
use super::tokens::Tokens;
use super::vigil::Stand;
use crate::config::author::{AuthorProblem, Problems};
use crate::config::load::{check_folder, check_private, text};
use crate::config::service::{ServiceConfig, TracesConfig};
use crate::pipeline::sidecar::Sidecar;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::trace::export::{ExportOptions, Exporting};
use crate::telemetry::trace::{SampledBy, Sampling, SpanQueue, Traces};

/// Starts the exporter, if traces are on.
pub fn start_traces(
    config: Option<&TracesConfig>,
    metrics: &Arc<Metrics>,
) -> Result<Option<(Traces, Exporting)>, StartError> {
    let Some(config) = config else { return Ok(None) };
    let mut problems = Problems::default();
    let headers = match &config.headers_file {
        Some(path) => collector_headers(path, &mut problems),
        None => Some(HeaderMap::new()),
    };
    let headers = headers.ok_or_else(|| StartError::Traces(problems.to_string()))?;
    let options = ExportOptions {
        endpoint: config.endpoint.clone(),
        ca_file: config.ca_file.clone(),
        headers,
        service_name: config.service_name.clone(),
        timeout_ms: config.timeout_ms,
        batch_spans: config.batch_spans,
        batch_delay_ms: config.batch_delay_ms,
    };
    let (queue, receiver) = SpanQueue::new(config.queue_requests, Arc::clone(metrics));
    let exporting = Exporting::start(options, receiver, Arc::clone(metrics));
    let exporting = exporting.map_err(|error| StartError::Traces(error.to_string()))?;
    let decided_by = if config.trust_caller { SampledBy::Caller } else { SampledBy::Us };
    let sampling = Sampling { permille: config.sample_permille, decided_by };
    Ok(Some((Traces::new(sampling, queue), exporting)))
}

/// Reads what only operators need, the admin tokens, the collector's headers, the sinks' secrets and what checkpoints need, to say in
/// time what is wrong with it; and the state folder's rights.
pub fn check_secrets(config: &ServiceConfig, problems: &mut Problems) {
    if let Some(admin) = &config.admin {
        Tokens::read(admin, problems);
    }
    if let Some(headers) = config.traces.as_ref().and_then(|traces| traces.headers_file.as_ref()) {
        collector_headers(headers, problems);
    }
    check_folder(&config.ledger.path, problems);
    sinks::check_secrets(&config.ledger, problems);
    if let Some(config) = &config.ledger.checkpoints {
        checkpoints::check(config, problems);
    }
}

/// The headers of a file, one `name: value` a line; empty lines count for nothing.
pub fn collector_headers(path: &Path, problems: &mut Problems) -> Option<HeaderMap> {
    let source = text(path, problems)?;
    check_private(path, problems);
    let mut headers = HeaderMap::new();
    let mut is_whole = true;
    for (number, line) in source.text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let pair = line.split_once(':').and_then(|(name, value)| {
            let name = HeaderName::try_from(name.trim()).ok()?;
            Some((name, HeaderValue::try_from(value.trim()).ok()?))
        });
        match pair {
            Some((name, mut value)) => {
                value.set_sensitive(true);
                headers.append(name, value);
            }
            None => {
                is_whole = false;
                let message = format!("`{}`, line {}: not a header", source.name, number + 1);
                problems.push(AuthorProblem::error(message).help("Write `name: value`."));
            }
        }
    }
    is_whole.then_some(headers)
}

/// What must hold before callers may be sent here. Bundle and directory are loaded before anything listens.
pub fn require_conditions(sidecar: &Arc<Sidecar>) {
    let watched = Arc::downgrade(sidecar);
    let check = move || match watched.upgrade().map(|sidecar| Stand::of(&sidecar)) {
        Some(stand) if !stand.is_ready() => Err(stand.code().to_owned()),
        Some(_) | None => Ok(()),
    };
    sidecar.readiness.require("bundle", Box::new(check));
    let watched = Arc::downgrade(sidecar);
    let check = move || match watched.upgrade().and_then(|sidecar| sidecar.recorder.health().why) {
        Some(why) => Err(format!("the ledger takes no entries: {why}")),
        None => Ok(()),
    };
    sidecar.readiness.require("ledger", Box::new(check));
    let (age, clock) = (Arc::clone(&sidecar.directory_age), sidecar.clock.clone());
    let check = move || match (age.is_fresh(clock.now_ms()), age.age_ms(clock.now_ms())) {
        (true, _) => Ok(()),
        (false, age_ms) => Err(format!("the directory's file was last written {age_ms} ms ago")),
    };
    sidecar.readiness.require("directory", Box::new(check));
}
