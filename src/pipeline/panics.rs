//! Panics are flaws, and a flaw must not lose the record of a request: one becomes an `internal` problem here.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use crate::model::problem::Problem;
use crate::model::reason::Reason;

/// Runs a stage of the path to its end, whatever happens in it. What it leaves half done is dropped with it.
pub async fn contained<T>(work: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
    let mut work = pin!(work);
    std::future::poll_fn(|context| {
        catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)))
            .unwrap_or_else(|_| Poll::Ready(Err(Problem::new(Reason::Internal).internal("a panic"))))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_internal_problem() {
        let never_zero = std::hint::black_box(0_u32);
        let result = contained(async {
            tokio::task::yield_now().await;
            Ok(1_u32.checked_div(never_zero).unwrap())
        });
        assert_eq!(result.await.unwrap_err().reason, Reason::Internal);
        assert_eq!(contained(async { Ok(7) }).await.unwrap(), 7);
    }
}
