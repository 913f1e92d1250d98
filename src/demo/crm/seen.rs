//! What the demo CRM was asked, kept for tests: "exactly one upstream request".
//!
//! Promises the latest requests in the order they were received, bounded in number and in bytes. Never written anywhere.

use std::collections::VecDeque;

use bytes::Bytes;
use http::{HeaderMap, Method};

/// One request as it arrived.
#[derive(Debug, Clone)]
pub struct SeenRequest {
    /// The method on the request line, before any override.
    pub method: Method,
    /// The request target exactly as written.
    pub target: String,
    /// All headers.
    pub headers: HeaderMap,
    /// The body; empty if it was over the limit.
    pub body: Bytes,
}

/// The latest requests.
#[derive(Debug, Default)]
pub struct Seen {
    requests: VecDeque<SeenRequest>,
    bytes: usize,
}

impl Seen {
    /// Adds a request and forgets the oldest ones that no longer fit.
    pub fn push(&mut self, request: SeenRequest) {
        self.bytes += request.bytes();
        self.requests.push_back(request);
        while self.requests.len() > SEEN_MAX || self.bytes > SEEN_BYTES_MAX {
            let Some(oldest) = self.requests.pop_front() else { break };
            self.bytes -= oldest.bytes();
        }
    }

    /// The requests, oldest first.
    pub fn all(&self) -> Vec<SeenRequest> {
        self.requests.iter().cloned().collect()
    }
}

impl SeenRequest {
    fn bytes(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        self.target.len() + headers + self.body.len()
    }
}

/// Requests kept at most.
pub const SEEN_MAX: usize = 1_000;
/// Bytes of targets, headers and bodies kept at most; one request over it is not kept at all.
pub const SEEN_BYTES_MAX: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::{SEEN_BYTES_MAX, SEEN_MAX, Seen, SeenRequest};
    use bytes::Bytes;
    use http::{HeaderMap, Method};

    fn request(target: &str, body_bytes: usize) -> SeenRequest {
        let body = Bytes::from(vec![0; body_bytes]);
        SeenRequest { method: Method::GET, target: target.to_owned(), headers: HeaderMap::new(), body }
    }

    #[track_caller]
    fn check(requests: &[SeenRequest], kept: usize, oldest: &str) {
        let mut seen = Seen::default();
        requests.iter().cloned().for_each(|request| seen.push(request));
        let all = seen.all();
        assert_eq!((all.len(), all.first().map(|request| request.target.as_str())), (kept, Some(oldest)));
    }

    #[test]
    fn forgets_the_oldest_past_each_limit() {
        let many: Vec<SeenRequest> = (0..=SEEN_MAX).map(|index| request(&format!("/{index}"), 0)).collect();
        check(&many[..SEEN_MAX], SEEN_MAX, "/0");
        check(&many, SEEN_MAX, "/1");
        check(&[request("a", SEEN_BYTES_MAX / 2 - 1), request("b", SEEN_BYTES_MAX / 2 - 1)], 2, "a");
        check(&[request("a", SEEN_BYTES_MAX / 2), request("b", SEEN_BYTES_MAX / 2 - 1)], 1, "b");
    }
}
