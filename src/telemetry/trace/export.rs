//! The exporter [edge]: takes spans from the queue and sends them to a collector by OTLP/HTTP in protobuf.
//!
//! Promises: one export at a time, bounded in size and time; TLS is verified; redirects are not followed; nothing is
//! retried, what the collector did not take is dropped and counted. Never reads the environment.
#![expect(
    clippy::disallowed_methods,
    reason = "edge: sockets; collects the collector's answer, of bounded size"
)]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use http::{Method, Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::net::https::{self, HttpsClient};
use crate::net::remote::causes;
use crate::net::roots::{self, RootsError};
use crate::telemetry::metrics::Metrics;

/// Where spans are sent and what that may cost.
#[derive(Clone, Debug)]
pub struct ExportOptions {
    /// The whole URL.
    pub endpoint: Uri,
    /// Authorities to trust in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// What each export carries, e.g. a key for the collector.
    pub headers: HeaderMap,
    /// What we are called there.
    pub service_name: String,
    /// Milliseconds for one export.
    pub timeout_ms: u64,
    /// Spans of one export; a request's spans stay together, so it may be more by those of one.
    pub batch_spans: usize,
    /// Milliseconds that spans wait for others.
    pub batch_delay_ms: u64,
}

/// An exporter at work.
pub struct Exporting {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

struct Exporter {
    client: HttpsClient<Full<Bytes>>,
    options: ExportOptions,
    metrics: Arc<Metrics>,
    is_failing: bool,
}

impl Exporting {
    /// Starts sending what comes through the queue.
    ///
    /// # Errors
    /// Nobody could be trusted as a collector.
    pub fn start(
        options: ExportOptions,
        queue: mpsc::Receiver<Vec<Span>>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, RootsError> {
        let tls = roots::client_config_for(&options.endpoint, options.ca_file.as_deref())?;
        let client = https::client(tls, options.timeout_ms, 1);
        let (stop, is_over) = oneshot::channel();
        let exporter = Exporter { client, options, metrics, is_failing: false };
        Ok(Self { stop, task: tokio::spawn(exporter.run(queue, is_over)) })
    }

    /// Sends what still waits, as far as one time-out allows, and ends.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}

impl Exporter {
    async fn run(mut self, mut queue: mpsc::Receiver<Vec<Span>>, mut is_over: oneshot::Receiver<()>) {
        loop {
            let first = tokio::select! {
                first = queue.recv() => first,
                _ = &mut is_over => break,
            };
            let Some(first) = first else { return };
            let batch = self.gather(first, &mut queue).await;
            self.export(batch).await;
        }
        queue.close();
        let limit = Duration::from_millis(self.options.timeout_ms);
        let rest = async {
            while let Some(first) = queue.recv().await {
                let batch = self.gather(first, &mut queue).await;
                self.export(batch).await;
            }
        };
        let _ = timeout(limit, rest).await;
        while let Ok(spans) = queue.try_recv() {
            self.metrics.spans_dropped(spans.len());
        }
    }

    async fn gather(&self, first: Vec<Span>, queue: &mut mpsc::Receiver<Vec<Span>>) -> Vec<Span> {
        let mut batch = first;
        let delay = sleep(Duration::from_millis(self.options.batch_delay_ms));
        tokio::pin!(delay);
        while batch.len() < self.options.batch_spans {
            tokio::select! {
                more = queue.recv() => match more {
                    Some(more) => batch.extend(more),
                    None => break,
                },
                () = &mut delay => break,
            }
        }
        batch
    }

    async fn export(&mut self, batch: Vec<Span>) {
        let count = batch.len();
        let limit = Duration::from_millis(self.options.timeout_ms);
        let sent = timeout(limit, self.send(batch)).await;
        let sent = sent.unwrap_or_else(|_| Err(format!("no answer within {} ms", self.options.timeout_ms)));
        match sent {
            Ok(rejected) => {
                self.metrics.spans_exported(count.saturating_sub(rejected));
                self.metrics.spans_dropped(rejected.min(count));
                if std::mem::take(&mut self.is_failing) {
                    tracing::info!("the collector takes spans again");
                }
            }
            Err(error) => {
                self.metrics.spans_dropped(count);
                // Once for each time that it begins to fail: a collector that is down must not fill the log.
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::warn!(endpoint = %self.options.endpoint, error, "spans cannot be sent and are dropped");
                }
            }
        }
    }

    /// Sends one batch; how many spans of it the collector rejected.
    async fn send(&self, spans: Vec<Span>) -> Result<usize, String> {
        let mut request = Request::new(Full::new(Bytes::from(self.message(spans).encode_to_vec())));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.options.endpoint.clone();
        let headers = request.headers_mut();
        *headers = self.options.headers.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        headers.insert(USER_AGENT, HeaderValue::from_static(https::USER_AGENT));
        let response = self.client.request(request).await.map_err(|error| causes(&error))?;
        let status = response.status();
        let answer = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let answer = answer.map_err(|error| causes(error.as_ref()))?.to_bytes();
        if !status.is_success() {
            return Err(format!("answered {status}"));
        }
        let rejected =
            ExportTraceServiceResponse::decode(answer).ok().and_then(|answer| answer.partial_success);
        Ok(rejected.map_or(0, |partial| usize::try_from(partial.rejected_spans).unwrap_or(0)))
    }

    fn message(&self, spans: Vec<Span>) -> ExportTraceServiceRequest {
        let attribute = |key: &str, value: &str| KeyValue {
            key: key.to_owned(),
            value: Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) }),
            ..KeyValue::default()
        };
        let resource = Resource {
            attributes: vec![
                attribute("service.name", &self.options.service_name),
                attribute("service.version", env!("CARGO_PKG_VERSION")),
            ],
            ..Resource::default()
        };
        let scope = InstrumentationScope { name: "lockkeeper".to_owned(), ..InstrumentationScope::default() };
        let scope_spans = ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() };
        let resource_spans = ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![scope_spans],
            ..ResourceSpans::default()
        };
        ExportTraceServiceRequest { resource_spans: vec![resource_spans] }
    }
}

const ANSWER_BYTES_MAX: usize = 64 * 1024;
