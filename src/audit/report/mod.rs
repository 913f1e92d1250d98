//! The access review: who can see and move what, who did, which rights nobody used, what was refused, what is unusual, and who
//! changed the policies.
//!
//! Promises: rights come from the code that decides requests, deeds from the ledger by its index; what did not fit, and what such a
//! report cannot tell, stands in it. Names only as the table of handles has them. Never writes a file.

pub mod table;
pub mod hours;
pub mod bursts;
pub mod tally;
pub mod rights;
mod moves;
mod did;
mod can;
pub mod write;
pub mod html;

use std::sync::Arc;

use super::index::Index;
use super::index::error::IndexError;
use super::index::question::{Searched, Within};
use super::when::plain;
use crate::bundle::current::Snapshot;
use crate::ledger::handles::Names;
use crate::ledger::tree::TreeHead;
use crate::model::principal::EntityRef;
use table::Table;
use tally::{Rules, Tally};

/// What a report is made of.
pub struct Sources<'s> {
    /// Who did, and who changed what decides.
    pub index: &'s Index,
    /// Whose handles are whose.
    pub names: &'s Names,
    /// Who can.
    pub snapshot: &'s Arc<Snapshot>,
    /// When it is made, in milliseconds since 1970: rights are those of this moment.
    pub now_ms: i64,
    /// What stands for all lines of the ledger, each of which was checked.
    pub head: TreeHead,
    /// The log's id, where it has one.
    pub log: Option<String>,
    /// What the last checkpoint in the state folder says, the log's name and head, where there is one. Nothing vouches for it.
    pub signed: Option<(String, TreeHead)>,
    /// The end of the period, in nanoseconds since 1970.
    pub to: Option<i64>,
    /// The rest of the period, and what is unusual.
    pub rules: Rules,
    /// What is recorded of this reading.
    pub reading: String,
}

/// A report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Of which log and period it is.
    pub title: String,
    /// Which part of the period no entry is about.
    pub uncovered: Vec<String>,
    /// What it covers.
    pub covers: Table,
    /// Its sections.
    pub sections: Vec<Table>,
    /// What it cannot tell.
    pub limits: Table,
}

/// Told how much of the work is done, and of how much.
pub type Progress<'p> = &'p mut dyn FnMut(u64, u64);

/// Makes a report.
///
/// # Errors
/// The index cannot be read, or the entries that tell of revisions.
pub fn report(sources: &Sources<'_>, progress: Progress<'_>) -> Result<Report, IndexError> {
    let Sources { index, rules, .. } = sources;
    let until = Within { to: sources.to, ..Within::everything() };
    let mut tally = Tally::new(*rules);
    index.deeds(&until, |deed| {
        tally.take(&deed);
        Ok(())
    })?;
    let within = Within { from: rules.from, ..until };
    let searched = index.searched()?;
    let mut sections = can::sections(sources, &tally, progress);
    sections.extend(did::sections(sources, &tally, &within)?);
    let left_out = tally.left_out + sections.iter().map(|section| section.left_out).sum::<usize>();
    let uncovered = uncovered(&within, &searched);
    Ok(Report {
        title: title(sources),
        covers: covers(sources, &searched, &uncovered, left_out),
        uncovered,
        sections,
        limits: limits(),
    })
}

impl Sources<'_> {
    /// Who is behind a handle; `None` for somebody who was erased.
    fn name(&self, handle: &str) -> Option<String> {
        let (type_name, id) = self.names.resolve(handle)?;
        Some(EntityRef::new(type_name, id).to_string())
    }
}

/// Of which log and period a report is.
fn title(sources: &Sources<'_>) -> String {
    let origin = sources.signed.as_ref().map(|(origin, _)| format!(" of {origin}")).unwrap_or_default();
    let bound = |word: &str, t: Option<i64>| {
        let at = t.map(plain).unwrap_or_default();
        let day = at.strip_suffix(" 00:00:00.000Z").unwrap_or(&at);
        if day.is_empty() { String::new() } else { format!(", {word} {day}") }
    };
    format!("Access review{origin}{}{}", bound("from", sources.rules.from), bound("before", sources.to))
}

/// Which part of a period lies outside of the entries that there are.
fn uncovered(within: &Within, searched: &Searched) -> Vec<String> {
    let (first, last) = (plain(searched.from), plain(searched.to));
    let mut told = Vec::new();
    if searched.last == 0 {
        told.push("the ledger has no entries".to_owned());
    } else if within.to.is_some_and(|to| to <= searched.from) {
        told.push(format!("the period lies before the first entry that is kept ({first})"));
    } else if within.from.is_some_and(|from| from > searched.to) {
        told.push(format!("the period lies after the last entry ({last})"));
    } else {
        if within.from.is_some_and(|from| from < searched.from) {
            told.push(format!("the period begins before the first entry that is kept ({first})"));
        }
        if within.to.is_some_and(|to| to > searched.to) {
            told.push(format!("the period ends after the last entry ({last})"));
        }
    }
    if searched.first > 1 {
        let gone = searched.first - 1;
        told.push(format!(
            "the entries 1 to {gone} are not kept any more: what is new or unused is so by those that are"
        ));
    }
    told
}

fn covers(sources: &Sources<'_>, searched: &Searched, uncovered: &[String], left_out: usize) -> Table {
    let Sources { snapshot, rules, .. } = sources;
    let about = "What was read to make this report, and by which rules.";
    let mut table = Table::new("covers", "What this report covers", about, &["what", "value"]);
    let mut tell = |what: &str, value: String| table.push([what.to_owned(), value]);
    let made = plain(sources.now_ms.saturating_mul(1_000_000));
    let bound = |t: Option<i64>, none: &str| t.map_or(none.to_owned(), plain);
    let Searched { first, last, from, to, gaps: (gaps, lost), blind } = searched;
    tell("made", made.clone());
    tell("made by", format!("Lockkeeper {}", env!("CARGO_PKG_VERSION")));
    tell("period from", bound(rules.from, "the first entry"));
    tell("period to, not included", bound(sources.to, "the last entry"));
    uncovered.iter().for_each(|told| tell("not covered", told.clone()));
    let origin = sources.signed.as_ref().map(|(origin, _)| origin.clone());
    let names: Vec<String> = [origin, sources.log.clone()].into_iter().flatten().collect();
    let none = "has neither a name nor an id: no checkpoints and no sink were ever configured";
    tell("ledger", if names.is_empty() { none.to_owned() } else { names.join(", log ") });
    tell("entries", format!("{first}–{last}, written {} to {}", plain(*from), plain(*to)));
    tell("head of the ledger, entries and root, of which every line was checked", sources.head.to_string());
    if let Some((_, head)) = &sources.signed {
        tell("last checkpoint in the state folder, unverified", head.to_string());
    }
    tell("entries that could not be recorded", format!("{lost} in {gaps} gaps"));
    tell("observed requests of which no entry says what they showed", blind.to_string());
    tell("rights as of", made);
    tell("bundle", snapshot.bundle.revision.clone());
    tell("directory", snapshot.directory.revision.clone());
    let people = snapshot.directory.people_count();
    tell("people in the directory", people.to_string());
    tell("working hours, Monday to Friday", format!("{} {}", rules.hours, rules.offset));
    let burst = rules.burst;
    tell("burst of refusals", format!("{} within {} minutes", burst.number, burst.minutes));
    tell("left out because there was too much", left_out.to_string());
    tell(
        "people whose rights were not asked because they are too many",
        people.saturating_sub(can::PEOPLE_MAX).to_string(),
    );
    tell("this reading", sources.reading.clone());
    table
}

fn limits() -> Table {
    let about = "What a reader might expect here and will not find.";
    let mut table = Table::new("limits", "What this report cannot tell", about, &["limit"]);
    LIMITS.iter().for_each(|limit| table.push([(*limit).to_owned()]));
    table
}

/// What no such report can tell.
const LIMITS: &[&str] = &[
    "Rights are those of the moment that is stated, not of the whole period: what changed in between stands under policy changes.",
    "`sometimes` depends on the record or on what a request brings: what it proposes, how its caller was authenticated, for whom it acts, how many records it names.",
    "Rights are asked for what some route of the bundle's profile stands for. What the CRM permits by other ways is not known here.",
    "What passes for anybody is counted in the ledger and not told here; what goes to the CRM around Lockkeeper is in no ledger.",
    "Rows that the CRM was told to leave out are in no entry, so nobody is counted as kept from them.",
    "What was done is read from the index, a file beside the ledger that is not compared with it. With `--index` and the name of a new file it is made anew, from the lines that were checked.",
    "What another service was told over AuthZEN counts as used, since it may have been.",
    "`policies` of a right are those on which it may depend; of a move, some of them may be about other moves.",
    "What an agent did on somebody's behalf counts for the agent.",
    "Names come from a table outside of the ledger, which nothing proves; whoever was erased stays a handle.",
    "Whoever was erased and is still in the directory has rights that stand as unused: what they did stands under their handle.",
    "That every line was checked finds accidents. Against somebody who could write the files, the head must be compared with a checkpoint that left the host.",
];
