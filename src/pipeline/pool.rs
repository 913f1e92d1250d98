//! Where work that keeps a core busy is done: large bodies are decoded, parsed, judged and filtered here, so that small
//! requests do not wait behind them.
//!
//! Promises: so many at once, and so many that wait; what would be one more is refused before anything of it is done, but
//! what was begun, or what the CRM has taken, is ended. A place is given back whatever becomes of the work: an end, a
//! panic, or nobody who waits for it any more. Small bodies are worked on where they are.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, HeaderMap};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;
use tokio::task::block_in_place;

use crate::model::problem::Problem;
use crate::model::reason::Reason;

/// Limits on work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolLimits {
    /// Works at once.
    pub threads: usize,
    /// Works that wait.
    pub queue_max: usize,
    /// Bytes of a body from which on it is worked on here.
    pub bytes_min: usize,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self { threads: 2, queue_max: 128, bytes_min: 64 * 1024 }
    }
}

/// One piece of work, as far as the pool must know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// Bytes that are worked on.
    pub bytes: usize,
    /// Whether it may be refused.
    pub entry: Entry,
}

/// Whether work may be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It may: nothing was done yet.
    Refusable,
    /// It waits as long as it takes. There are no more of these than requests under way.
    Begun,
}

/// The pool.
pub struct Pool {
    threads: Semaphore,
    entered: AtomicUsize,
    limits: PoolLimits,
}

/// One that works or waits, until it is dropped.
struct Place<'p>(&'p AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Work {
    /// On a body. How much there is to do on one in a coding shows only when it is undone.
    pub fn on(headers: &HeaderMap, body: &Bytes, entry: Entry) -> Self {
        let is_coded = headers.contains_key(CONTENT_ENCODING) && !body.is_empty();
        Self { bytes: if is_coded { usize::MAX } else { body.len() }, entry }
    }

    /// The same, which was begun.
    #[must_use]
    pub fn begun(self) -> Self {
        Self { entry: Entry::Begun, ..self }
    }
}

impl Pool {
    /// A pool with these limits.
    pub fn new(limits: PoolLimits) -> Self {
        Self { threads: Semaphore::new(limits.threads), entered: AtomicUsize::new(0), limits }
    }

    /// Does a piece of work: at once if it is small, else when a thread is free.
    pub async fn run<T>(&self, work: Work, what: impl FnOnce() -> T) -> Result<T, Problem> {
        if work.bytes < self.limits.bytes_min {
            return Ok(what());
        }
        let _place = self.enter(work.entry)?;
        let closed = |_| Problem::new(Reason::Internal).internal("the pool is closed");
        let _thread = self.threads.acquire().await.map_err(closed)?;
        Ok(aside(what))
    }

    fn enter(&self, entry: Entry) -> Result<Place<'_>, Problem> {
        let entered_max = self.limits.threads.saturating_add(self.limits.queue_max);
        let one_more = |entered: usize| match entry {
            Entry::Refusable if entered >= entered_max => None,
            Entry::Refusable | Entry::Begun => Some(entered.saturating_add(1)),
        };
        match self.entered.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more) {
            Ok(_) => Ok(Place(&self.entered)),
            Err(entered) => {
                let why = format!("{entered} large bodies are worked on or wait");
                Err(Problem::new(Reason::PoolSaturated).internal(why))
            }
        }
    }

    /// How many works are done now.
    pub fn busy(&self) -> usize {
        self.limits.threads.saturating_sub(self.threads.available_permits())
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.entered.load(Ordering::Acquire).saturating_sub(self.busy())
    }
}

/// Works on this thread while another one takes over what else it had to do.
fn aside<T>(what: impl FnOnce() -> T) -> T {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::MultiThread => block_in_place(what),
        // There is no other thread.
        _ => what(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tokio::sync::oneshot;

    const LIMITS: PoolLimits = PoolLimits { threads: 1, queue_max: 1, bytes_min: 10 };
    const LARGE: Work = Work { bytes: 10, entry: Entry::Refusable };

    /// Work that goes on until it is told to end, once it has begun.
    async fn hold(pool: &Arc<Pool>) -> (oneshot::Sender<()>, tokio::task::JoinHandle<Result<(), Problem>>) {
        let (begun, has_begun) = oneshot::channel();
        let (end, ended) = oneshot::channel::<()>();
        let pool = Arc::clone(pool);
        let work = move || {
            let _ = begun.send(());
            let _ = ended.blocking_recv();
        };
        let task = tokio::spawn(async move { pool.run(LARGE, work).await });
        has_begun.await.unwrap();
        (end, task)
    }

    fn reason<T>(result: Result<T, Problem>) -> Option<Reason> {
        result.err().map(|problem| problem.reason)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn one_works_one_waits_and_the_next_is_refused() {
        let pool = Arc::new(Pool::new(LIMITS));
        let (end, task) = hold(&pool).await;
        let mut second = Box::pin(pool.run(LARGE, || 2));
        assert!(futures_now(second.as_mut()).is_none());
        assert_eq!((pool.busy(), pool.waiting()), (1, 1));
        assert_eq!(reason(pool.run(LARGE, || 3).await), Some(Reason::PoolSaturated));
        assert_eq!(pool.run(Work { bytes: 9, ..LARGE }, || 4).await.unwrap(), 4, "small bodies never wait");
        let mut begun = Box::pin(pool.run(LARGE.begun(), || 5));
        assert!(futures_now(begun.as_mut()).is_none(), "what was begun waits, and is not refused");
        assert_eq!((pool.busy(), pool.waiting()), (1, 2));
        end.send(()).unwrap();
        assert_eq!((second.await.unwrap(), begun.await.unwrap()), (2, 5));
        task.await.unwrap().unwrap();
        assert_eq!((pool.busy(), pool.waiting()), (0, 0));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn who_leaves_gives_the_place_back() {
        let pool = Arc::new(Pool::new(LIMITS));
        let (end, task) = hold(&pool).await;
        for _ in 0..3 {
            let mut waiting = Box::pin(pool.run(LARGE, || ()));
            assert!(futures_now(waiting.as_mut()).is_none());
            assert_eq!(pool.waiting(), 1);
            drop(waiting);
            assert_eq!(pool.waiting(), 0);
        }
        end.send(()).unwrap();
        task.await.unwrap().unwrap();
        assert!(pool.run(LARGE, || ()).await.is_ok());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_panic_gives_the_place_back() {
        let pool = Arc::new(Pool::new(LIMITS));
        for _ in 0..3 {
            let pool = Arc::clone(&pool);
            let never_zero = std::hint::black_box(0_u32);
            let work = async move { pool.run(LARGE, || 1_u32.checked_div(never_zero).unwrap()).await };
            assert!(tokio::spawn(work).await.unwrap_err().is_panic());
        }
        assert_eq!((pool.busy(), pool.waiting()), (0, 0));
        assert_eq!(pool.run(LARGE, || 7).await.unwrap(), 7);
    }

    /// What a future has to say when it is asked once.
    fn futures_now<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match future.poll(&mut context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        }
    }
}
