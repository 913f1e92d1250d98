//! A server of a test: answers by a closure, and remembers what it was asked. [edge]
#![expect(clippy::disallowed_methods, reason = "edge: the listener of a test")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// What a path is answered with: a status, a content type and a body.
pub type Answer = (u16, &'static str, String);

/// What answers a request.
type Answering = Box<dyn Fn(&http::request::Parts) -> Answer + Send>;

/// A server on a free port.
#[derive(Clone)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<http::request::Parts>>>,
    answers: Arc<Mutex<Answering>>,
    /// Answers wait for a permit.
    gate: Arc<Semaphore>,
}

impl Server {
    /// Answers every request by a closure.
    pub async fn start(answers: impl Fn(&http::request::Parts) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            asked: Arc::default(),
            answers: Arc::new(Mutex::new(Box::new(answers))),
            gate: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
        };
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = serving.clone();
                let service = service_fn(move |request| server.clone().answer(request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        server
    }

    /// Answers otherwise from now on.
    pub fn answer_with(&self, answers: impl Fn(&http::request::Parts) -> Answer + Send + 'static) {
        *self.answers.lock().unwrap() = Box::new(answers);
    }

    /// Holds every answer back until [`Server::release`].
    pub async fn hold(&self) {
        let all = u32::try_from(self.gate.available_permits().min(u32::MAX as usize)).unwrap();
        self.gate.acquire_many(all).await.unwrap().forget();
        self.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    /// Lets answers leave again.
    pub fn release(&self) {
        self.gate.add_permits(1_000);
    }

    /// What was asked at a path so far.
    pub fn asked(&self, path: &str) -> Vec<http::HeaderMap> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|head| head.uri.path() == path).map(|head| head.headers.clone()).collect()
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, _) = request.into_parts();
        let (status, content_type, body) = (self.answers.lock().unwrap())(&head);
        self.asked.lock().unwrap().push(head);
        let _permit = self.gate.acquire().await.unwrap();
        let response = Response::builder().status(status).header("content-type", content_type);
        Ok(response.body(Full::new(Bytes::from(body))).unwrap())
    }
}
