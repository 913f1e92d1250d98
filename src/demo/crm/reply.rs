//! One answer of the demo CRM, before it is put on the wire or damaged by a fault.
//!
//! Promises `application/json` for all JSON bodies. Never holds more than one body in memory.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::error::ApiError;

/// Status, headers, body.
#[derive(Debug, Clone)]
pub struct Reply {
    /// HTTP status.
    pub status: StatusCode,
    /// Headers but those that hyper adds.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Reply {
    /// An answer without a body.
    pub fn empty(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// An answer with a body of this media type.
    pub fn typed(status: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> Self {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(media_type))]);
        Self { status, headers, body: body.into() }
    }

    /// A JSON answer.
    pub fn json(status: StatusCode, body: String) -> Self {
        Self::typed(status, "application/json; charset=utf-8", body)
    }

    /// The same answer with one more header; a value that HTTP cannot carry is left out.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.append(name, value);
        }
        self
    }
}

impl From<ApiError> for Reply {
    fn from(error: ApiError) -> Self {
        let reply = Self::json(error.status(), error.to_json());
        match error {
            ApiError::MethodNotAllowed { allow } => reply.with_header(ALLOW, allow),
            _ => reply,
        }
    }
}
