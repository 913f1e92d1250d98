//! Refill: a caller with hidden rows pages through the rows that they may view. The CRM's pages are read from the start, every row
//! is judged, and what is wanted is put together as one answer.
//!
//! Promises: hidden rows shape nothing of it but whether a limit is met; each page is asked for with a clearance of its own; what
//! was put together goes the way of every answer, is judged again and filtered, and is one decision in the ledger. At any time
//! there is one page, and of others only rows that are wanted.

mod list;

use super::Stage;
use super::canonical::CanonicalHead;
use super::decide::refill::Window;
use super::enforce::answer::{Answer, open};
use super::enforce::request::{Own, clear};
use super::fetch::judged::{Fetched, JudgedRows};
use super::fetch::missing_names;
use super::forward::UpstreamResponse;
use super::pool::{Entry, Work};
use super::respond::Reply;
use super::trail::Trail;
use crate::bundle::profile::refill::Refill;
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use list::{Taken, WantedRows};

/// Limits on what is read for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefillLimits {
    /// Rows that are judged.
    pub rows_max: u64,
    /// Pages that are asked for.
    pub pages_max: u64,
}

impl Default for RefillLimits {
    fn default() -> Self {
        Self { rows_max: 10_000, pages_max: 200 }
    }
}

/// How far the CRM's pages were read.
struct Reading<'r> {
    refill: &'r Refill,
    /// Where the next page is.
    place: u64,
    pages: u64,
    rows: u64,
    /// The first record of the page before.
    first_id: Option<String>,
    fetched: Fetched,
    wanted: WantedRows,
}

/// What a page of the CRM's was.
enum Page {
    /// Rows, and there may be more.
    More,
    /// All that is wanted is there.
    Enough,
    /// No page: it ends the request as it would alone.
    Other(UpstreamResponse),
}

impl Stage<'_> {
    /// The rows that the proxy has to look for. Where nothing is enforced, pages are the CRM's.
    pub(super) fn window(&self, trail: &Trail) -> Option<Window> {
        trail.verdict.window().filter(|_| trail.observed.is_none() && trail.verdict.problem.is_none())
    }

    /// The reply to a request for some of the rows that its caller may view.
    pub(super) async fn refill(
        &self,
        window: Window,
        head: &CanonicalHead,
        trail: &mut Trail,
    ) -> Result<Reply, Problem> {
        let refill = self.mapped.route.refill.as_ref().ok_or(Reason::Internal)?;
        let mut reading = Reading {
            refill,
            place: refill.start(),
            pages: 0,
            rows: 0,
            first_id: None,
            fetched: Fetched::new(),
            wanted: WantedRows::new(window, &self.mapped.route.shape),
        };
        let response = loop {
            let response = self.ask(&mut reading, head, trail).await?;
            match self.take(&mut reading, response).await? {
                Page::More => {}
                Page::Enough => break reading.wanted.answer(&self.limits.answer.json)?,
                Page::Other(response) => break response,
            }
        };
        self.check_key(response.status)?;
        let mut reply = self.reply(&response, trail).await?;
        if !reading.wanted.hidden.rows_hidden.is_empty() {
            reply.body = reply.body.without_some();
        }
        trail.sets.join(reading.wanted.hidden);
        self.sidecar.recorder.decide(trail, None).await?;
        Ok(reply)
    }

    /// Asks for the next page.
    async fn ask(
        &self,
        reading: &mut Reading<'_>,
        head: &CanonicalHead,
        trail: &mut Trail,
    ) -> Result<UpstreamResponse, Problem> {
        reading.turn(self.sidecar.limits.refill)?;
        let profile = &self.serving.snapshot.bundle.profile;
        let missing = missing_names(self.mapped, profile, self.gate);
        let page = reading.refill.page_at(reading.place);
        let own = Own { missing: &missing, page: Some(&page) };
        let credential = &self.identity.credential;
        let clearance = clear(&trail.verdict, self.mapped, head, profile, credential, own)?;
        self.forward(clearance, None, trail).await
    }

    /// Judges a page, and takes the rows that are wanted.
    async fn take(&self, reading: &mut Reading<'_>, response: UpstreamResponse) -> Result<Page, Problem> {
        let (pool, route) = (&self.sidecar.pool, self.mapped.route);
        let entry = if reading.pages == 1 { Entry::Refusable } else { Entry::Begun };
        let work = Work::on(&response.headers, &response.body, entry);
        let document = match pool.run(work, || open(&response, route, &self.limits.answer)).await?? {
            Answer::Success(document) => document,
            Answer::NotFound | Answer::Rejected(..) => return Ok(Page::Other(response)),
            Answer::Empty | Answer::Table(..) => {
                let why = "a page without a list: whether there are rows at all must not show";
                return Err(Problem::new(Reason::UpstreamShape).upstream(response.status).internal(why));
            }
        };
        let work = work.begun();
        let wanted = reading.wanted.missing();
        let fetched = &mut reading.fetched;
        let fetcher = self.fetcher();
        let judging = fetcher.judge_rows(&document, &route.shape, self.mapped, wanted, fetched, work);
        let judged = judging.await?;
        reading.count(&judged, self.sidecar.limits.refill)?;
        let bytes_max = self.limits.answer.json.bytes_max;
        let take = || reading.wanted.take(&document, &response, &judged, bytes_max);
        let taken = pool.run(work, take).await??;
        let received = u64::try_from(judged.received).map_err(|_| Reason::Internal)?;
        let next = reading.refill.after(reading.place, received);
        Ok(match (taken, next) {
            (Taken::More, Some(place)) => {
                reading.place = place;
                Page::More
            }
            (Taken::All, _) | (Taken::More, None) => Page::Enough,
        })
    }
}

impl Reading<'_> {
    /// One more page, or one too many.
    fn turn(&mut self, limits: RefillLimits) -> Result<(), Problem> {
        if self.pages >= limits.pages_max {
            return Err(too_long("limits.refill_pages"));
        }
        self.pages += 1;
        Ok(())
    }

    /// Counts what was judged.
    fn count(&mut self, judged: &JudgedRows, limits: RefillLimits) -> Result<(), Problem> {
        self.rows = self.rows.saturating_add(u64::try_from(judged.rows.len()).unwrap_or(u64::MAX));
        if self.rows > limits.rows_max {
            return Err(too_long("limits.refill_rows"));
        }
        let first_id = judged.rows.first().map(|(record, _)| record.facts.id.clone());
        if first_id.is_some() && first_id == self.first_id {
            let why = "two pages begin with the same record: does this CRM know the parameters of `refill`?";
            return Err(Problem::new(Reason::UpstreamShape).internal(why));
        }
        self.first_id = first_id;
        Ok(())
    }
}

fn too_long(limit: &str) -> Problem {
    let detail = "ask for an earlier page, or for fewer rows by a filter";
    Problem::new(Reason::ListTooLong).detail(detail).internal(format!("`{limit}` is reached"))
}
