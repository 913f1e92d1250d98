//! Takes connections of the small listeners, health and admin: few at a time, one request each, bounded in time.
//!
//! Promises: whoever holds connections without asking keeps nobody out: where all places are taken, the connection that has
//! waited longest for its request is closed for the next one. One that asked is answered.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// How long a connection may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Until the head of its request is there.
    pub(super) head: Duration,
    /// From beginning to end.
    pub(super) whole: Duration,
}

/// The places of a listener.
#[derive(Default)]
struct Places {
    taken: Mutex<Taken>,
}

/// The connections that are open, by their number.
#[derive(Default)]
struct Taken {
    last: u64,
    /// Whose request is not there yet; dropping the sender closes the connection.
    waiting: BTreeMap<u64, oneshot::Sender<()>>,
    /// Whose request is being answered.
    asking: BTreeMap<u64, oneshot::Sender<()>>,
}

/// One connection's place, given back with this value.
struct Place {
    number: u64,
    places: Arc<Places>,
}

/// Takes connections until `shutdown` is ready.
pub(super) async fn accept<F, A>(
    listener: TcpListener,
    pace: Pace,
    shutdown: impl Future<Output = ()>,
    answer: F,
) where
    F: Fn(Request<Incoming>) -> A + Clone + Send + 'static,
    A: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let places = Arc::new(Places::default());
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut shutdown => return,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        // Only where every connection is being answered is there no place.
        let Some((place, given_up)) = places.enter() else { continue };
        let answer = answer.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = serve(stream, pace, Arc::new(place), answer) => {}
                _ = given_up => {}
            }
        });
    }
}

async fn serve<F, A>(stream: TcpStream, pace: Pace, place: Arc<Place>, answer: F)
where
    F: Fn(Request<Incoming>) -> A + Clone + Send + 'static,
    A: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let service = service_fn(move |request| {
        place.ask();
        let answer = answer.clone();
        async move { Ok::<_, Infallible>(answer(request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(pace.head)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    let _ = tokio::time::timeout(pace.whole, connection).await;
}

impl Places {
    /// A place, if need be that of whoever has waited longest; resolves once the place is given to somebody else.
    fn enter(self: &Arc<Self>) -> Option<(Place, oneshot::Receiver<()>)> {
        let mut taken = self.taken();
        if taken.waiting.len() + taken.asking.len() >= CONNECTIONS_MAX {
            taken.waiting.pop_first()?;
        }
        taken.last += 1;
        let (number, (sender, given_up)) = (taken.last, oneshot::channel());
        taken.waiting.insert(number, sender);
        Some((Place { number, places: Arc::clone(self) }, given_up))
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        // Whoever panicked with it in hand left it whole: each change is one call.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Its request is there: nobody takes the place any more.
    fn ask(&self) {
        let mut taken = self.places.taken();
        if let Some(sender) = taken.waiting.remove(&self.number) {
            taken.asking.insert(self.number, sender);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.waiting.remove(&self.number);
        taken.asking.remove(&self.number);
    }
}

const CONNECTIONS_MAX: usize = 64;
