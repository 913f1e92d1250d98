//! The records of an answer while they are judged: one after the other, with what is fetched of those that lack something.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Fetcher, asked, carried, check_identity, complete, complete_from, lacking};
use crate::bundle::profile::Profile;
use crate::bundle::profile::shape::Shape;
use crate::json::value::{Document, NodeId};
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use crate::model::record::RecordFacts;
use crate::pipeline::decide::gate::{RecordVerdict, Visibility};
use crate::pipeline::decide::judging::Judging;
use crate::pipeline::enforce::response::Filter;
use crate::pipeline::hydrate::records::{self, FoundRecord, Within};
use crate::pipeline::map::Mapped;
use crate::pipeline::pool::Work;

/// Type and id of a record.
pub(super) type RecordKey = (String, String);

/// What was fetched, by record; `None` where nothing came.
pub type Fetched = HashMap<RecordKey, Option<RecordFacts>>;

/// The records of an answer while they are judged.
struct Underway<'g> {
    found: Vec<FoundRecord>,
    /// The first one that was not looked at.
    next: usize,
    carried: HashMap<RecordKey, RecordFacts>,
    fetched: Fetched,
    judging: Judging<'g>,
    judged: Judged,
    /// After how many more records that may be viewed no more are judged.
    wanted: u64,
    beyond: Beyond,
}

/// What becomes of a record that lacks something, once all fetches of a request are used up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beyond {
    /// It is denied.
    Denied,
    /// The request ends: others would take its place.
    Ends,
}

/// Where judging stops.
enum Step {
    /// At the end.
    Done,
    /// At a record that is to be fetched first.
    Lacks(RecordKey),
    /// At one that would be one too many to fetch.
    Exhausted,
}

/// The records of an answer with the verdict on each.
#[derive(Default)]
pub struct Judged {
    verdicts: HashMap<NodeId, Arc<RecordVerdict>>,
    ids: HashMap<NodeId, String>,
}

/// The rows of one page of a list.
pub struct JudgedRows {
    /// Those that were judged, in order.
    pub rows: Vec<(FoundRecord, Arc<RecordVerdict>)>,
    /// How many there are.
    pub received: usize,
}

impl Judged {
    /// The filter for the answer.
    pub fn filter<'f>(
        &'f self,
        profile: &'f Profile,
        shape: &'f Shape,
        mapped: &'f Mapped<'_>,
    ) -> Filter<'f> {
        let projection = mapped.query.projection.as_ref();
        Filter {
            profile,
            shape,
            route_type: mapped.record_type,
            verdicts: &self.verdicts,
            ids: &self.ids,
            selection: projection.map(|projection| &projection.selection),
            watch: None,
            layout: None,
            other_pages: None,
        }
    }

    /// Whether the place of an embedded record is shown. Outer records are judged before what stands in them.
    pub fn shows(&self, within: Option<Within>) -> bool {
        within.is_none_or(|within| {
            let outer = self.verdicts.get(&within.record);
            outer.is_some_and(|outer| outer.view.is_allow() && outer.field(within.field) == Visibility::Shown)
        })
    }

    /// Adds a record's verdict.
    pub fn add(&mut self, record: &FoundRecord, verdict: Arc<RecordVerdict>) {
        self.verdicts.insert(record.node, verdict);
        self.ids.insert(record.node, record.facts.id.clone());
    }
}

impl Fetcher<'_> {
    /// Judges every record of an answer, fetching what the answer does not carry. Only between two fetches is there work.
    pub async fn judge_all(
        &self,
        document: &Document,
        shape: &Shape,
        mapped: &Mapped<'_>,
        work: Work,
    ) -> Result<Judged, Problem> {
        let begin = || self.begin(document, shape, mapped);
        Ok(self.judge_to_end(begin, work).await?.judged)
    }

    /// Judges the rows of a page in order, without what stands in them, until so many of them may be viewed. Each is judged by what
    /// it says itself: what hidden rows say of it does not count. What is fetched adds to what was fetched for other pages.
    pub async fn judge_rows(
        &self,
        document: &Document,
        shape: &Shape,
        mapped: &Mapped<'_>,
        wanted: u64,
        fetched: &mut Fetched,
        work: Work,
    ) -> Result<JudgedRows, Problem> {
        let known = std::mem::take(fetched);
        let begin = || {
            let mut underway = self.begin(document, shape, mapped)?;
            underway.found.retain(|record| record.within.is_none());
            let carried = HashMap::new();
            Ok::<_, Problem>(Underway { carried, fetched: known, wanted, beyond: Beyond::Ends, ..underway })
        };
        let Underway { found, fetched: known, judged, .. } = self.judge_to_end(begin, work).await?;
        *fetched = known;
        let received = found.len();
        let verdict = |record: FoundRecord| {
            let verdict = judged.verdicts.get(&record.node).cloned();
            verdict.map(|verdict| (record, verdict))
        };
        Ok(JudgedRows { rows: found.into_iter().map_while(verdict).collect(), received })
    }

    async fn judge_to_end<'g>(
        &self,
        begin: impl FnOnce() -> Result<Underway<'g>, Problem>,
        work: Work,
    ) -> Result<Underway<'g>, Problem> {
        let pool = &self.sidecar.pool;
        let begin = || begin().map(|mut underway| (self.judge_on(&mut underway), underway));
        let (mut step, mut underway) = pool.run(work, begin).await??;
        // What was begun is ended.
        let work = work.begun();
        loop {
            match step {
                Step::Done => return Ok(underway),
                Step::Lacks(key) => {
                    let image = self.fetch_record(&key).await;
                    underway.fetched.insert(key, image);
                }
                Step::Exhausted => {
                    let why = "`limits.fetches` records were fetched and more would have to be";
                    return Err(Problem::new(Reason::ListTooLong).internal(why));
                }
            }
            step = pool.run(work, || self.judge_on(&mut underway)).await?;
        }
    }

    fn begin(
        &self,
        document: &Document,
        shape: &Shape,
        mapped: &Mapped<'_>,
    ) -> Result<Underway<'_>, Problem> {
        let misshapen =
            |error: records::ShapeError| Problem::new(Reason::UpstreamShape).internal(error.to_string());
        let records_max = self.limits.records_max;
        let found =
            records::find(document, shape, asked(mapped), self.lookups(), records_max).map_err(misshapen)?;
        check_identity(&found, shape, mapped)?;
        Ok(Underway {
            carried: carried(&found),
            found,
            next: 0,
            fetched: Fetched::new(),
            judging: self.gate.judging(),
            judged: Judged::default(),
            wanted: u64::MAX,
            beyond: Beyond::Denied,
        })
    }

    /// Judges on to the next record that lacks something that may be fetched, and says which that is.
    fn judge_on(&self, underway: &mut Underway<'_>) -> Step {
        while let Some(record) = underway.found.get(underway.next).filter(|_| underway.wanted > 0) {
            // What stands in a hidden place leaves with it, unjudged: it must not use up fetches that others need, else
            // hidden records would show in what is left.
            if underway.judged.shows(record.within) {
                let mut facts = complete_from(&record.facts, &underway.carried);
                let lacking = lacking(self.profile(), self.gate, &facts);
                if lacking.is_some_and(|record_type| record_type.fetch.is_some()) {
                    let key = (facts.type_name.clone(), facts.id.clone());
                    let may_fetch = underway.fetched.len() < self.sidecar.limits.fetches_max;
                    match underway.fetched.get(&key) {
                        Some(Some(other)) => facts = complete(&facts, other),
                        Some(None) => {}
                        None if may_fetch => return Step::Lacks(key),
                        None if underway.beyond == Beyond::Ends => return Step::Exhausted,
                        None => {}
                    }
                }
                let verdict = underway.judging.judge(&facts);
                underway.wanted -= u64::from(verdict.view.is_allow());
                underway.judged.add(record, verdict);
            }
            underway.next += 1;
        }
        Step::Done
    }
}
