//! Bodies of requests to the admin listener [edge].
//!
//! Promises: no more than the stated bytes are held; a body that is longer or does not end is not used.
#![expect(clippy::disallowed_methods, reason = "edge: collects a body of bounded size")]

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;

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
