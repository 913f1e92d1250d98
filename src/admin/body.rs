//! Bodies of requests to the admin listener [edge].
//!
//! Promises: no more than the stated bytes are held; a body that is longer or does not end is not used; whoever sends something else
//! than is expected is told what is.
#![expect(clippy::disallowed_methods, reason = "edge: collects a body of bounded size")]

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::{JSON, reply};

/// The whole body, or the status that refuses it and why.
pub(super) async fn read(
    request: Request<Incoming>,
    bytes_max: usize,
) -> Result<Bytes, (StatusCode, String)> {
    let body = Limited::new(request.into_body(), bytes_max).collect().await;
    body.map(|body| body.to_bytes()).map_err(|error| match error.is::<LengthLimitError>() {
        true => (StatusCode::PAYLOAD_TOO_LARGE, format!("the body has more than {bytes_max} bytes")),
        false => (StatusCode::BAD_REQUEST, "the body could not be read to its end".to_owned()),
    })
}

/// A short body as JSON, or the answer that refuses it. `form` is what a body looks like.
pub(super) async fn json<T: DeserializeOwned>(
    request: Request<Incoming>,
    form: &str,
) -> Result<T, Response<Full<Bytes>>> {
    let body = read(request, BODY_BYTES_MAX).await.map_err(|(status, error)| refused(status, &error))?;
    let read = serde_json::from_slice(&body);
    read.map_err(|_| refused(StatusCode::BAD_REQUEST, &format!("the body must be {form}")))
}

/// An answer that refuses, and why.
pub(super) fn refused(status: StatusCode, error: &str) -> Response<Full<Bytes>> {
    reply(status, JSON, json!({ "error": error }).to_string())
}

/// Bytes of a body: each character of what it says may be escaped.
const BODY_BYTES_MAX: usize = 8_192;
