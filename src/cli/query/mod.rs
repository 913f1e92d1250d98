//! `lockkeeper audit query`: who saw, changed, moved or was refused what, from an index that is brought up to date first.
//!
//! Promises: nothing is told before the reading is recorded, where a service could record it; an answer says which entries it is
//! about, also where it is that nothing was found. Only the index's file is written.

mod args;
mod told;
mod text;
mod csv;
mod proofs;

use std::path::PathBuf;

use serde_json::{Value, json};

use super::audit::{WhenNames, Whose, failed, has_ledger, names};
use super::exit::Exit;
use super::reading::{Demand, Recorded, is_in, record};
use super::render;
use crate::audit::index::Index;
use crate::audit::index::ask::{Named, Unknown};
use crate::audit::index::error::IndexError;
use crate::audit::index::question::{Record, Searched, Stages, Within};
use crate::audit::when::{exact, plain};
use crate::ledger::handles::Names;
use crate::model::principal::EntityRef;
use args::{Asked, Common, Question, TableFormat};
pub(super) use args::{Moment, QueryArgs, as_word, end_moment, first_moment, is_period};
use proofs::Attached;
use told::{Row, Rows};

/// Runs the command.
pub(super) fn run(args: &QueryArgs, whose: &Whose) -> Exit {
    match query(args, whose) {
        Ok(exit) => exit,
        Err(error) => unanswered(&error),
    }
}

/// Says why the index cannot be asked.
pub(super) fn unanswered(error: &IndexError) -> Exit {
    if let IndexError::Ledger(error) = error {
        return failed(error);
    }
    render::failure(error);
    if let Some(help) = error.help() {
        render::message(format!("  help: {help}"));
    }
    Exit::Failure
}

fn query(args: &QueryArgs, whose: &Whose) -> Result<Exit, IndexError> {
    let common = args.common();
    if !is_period(common.from, common.to) {
        return Ok(Exit::Usage);
    }
    if !has_ledger(&whose.state)? {
        return Ok(Exit::Failure);
    }
    let table = names(args.principal().is_some(), common.names, &whose.state)?;
    let asked = args.asked(|principal| handle(table.as_ref(), principal));
    let recorded = match record(whose, Demand::unless(&common.unrecorded), &asked.command) {
        Ok(recorded) => recorded,
        Err(why) => {
            render::failure(&why);
            return Ok(Exit::Failure);
        }
    };
    let index = open_index(index_file(common.index.as_ref(), whose), whose)?;
    if let Recorded::As(seq) = recorded
        && let Err(why) = is_in(&index, seq, &asked.command)?
    {
        render::failure(&why);
        return Ok(Exit::Failure);
    }
    let within = common.within();
    let rows = ask(&index, &asked, &within)?;
    let proofs = common.proof.as_ref().map(|out| proofs::attach(&rows.rows, &whose.state, out)).transpose();
    let proofs = match proofs {
        Ok(proofs) => proofs,
        Err(error) => return Ok(error.told()),
    };
    let answer = Answer {
        asked,
        proofs,
        recorded,
        searched: index.searched()?,
        rows,
        names: table.filter(|_| common.names != WhenNames::Never),
    };
    answer.print(common);
    hints(&index, &answer.asked, &within)?;
    Ok(answer.proved())
}

/// Where the index is: in a file that is named, or beside the ledger.
pub(super) fn index_file(named: Option<&PathBuf>, whose: &Whose) -> PathBuf {
    named.cloned().unwrap_or_else(|| whose.state.join(INDEX_FILE))
}

/// Opens an index, and brings it up to date.
pub(super) fn open_index(file: PathBuf, whose: &Whose) -> Result<Index, IndexError> {
    let mut progress = render::Progress::new("bringing the index up to date:");
    let index = Index::open(&file, &whose.state, &mut |done, all| progress.tell(done, all));
    progress.end();
    index
}

/// The principal's handle. A handle may be given for itself, as for somebody who was erased.
fn handle(table: Option<&Names>, principal: &EntityRef) -> Option<String> {
    table?.handle(&principal.type_name, &principal.id).map(str::to_owned)
}

fn ask(index: &Index, asked: &Asked, within: &Within) -> Result<Rows, IndexError> {
    Ok(match &asked.question {
        Question::WhoSaw { record, field } => {
            Rows::sightings(index, index.who_saw(record, field.as_deref(), within)?)?
        }
        Question::WhoChanged { record, field } => {
            Rows::acts(index, index.who_changed(record, field.as_deref(), within)?)?
        }
        // Nobody of that name ever asked: nothing is found.
        Question::By { handle: None, .. } => Rows::default(),
        Question::By { handle: Some(handle), did } => Rows::acts(index, index.by(handle, *did, within)?)?,
        Question::Moves { stages, change } => Rows::moves(index, index.moves(stages, *change, within)?)?,
        Question::Refused { reason } => {
            let mut rows = Rows::acts(index, index.refused(reason.as_deref(), within)?)?;
            rows.unidentified = index.refused_unidentified(reason.as_deref(), within)?;
            rows
        }
        Question::Readings => Rows::readings(index.readings(within)?)?,
    })
}

/// An answer and all that is said about it.
struct Answer {
    asked: Asked,
    recorded: Recorded,
    searched: Searched,
    rows: Rows,
    names: Option<Names>,
    proofs: Option<Attached>,
}

impl Answer {
    fn print(&self, common: &Common) {
        let name = |handle: &str| self.name(handle);
        match common.format {
            TableFormat::Text => {
                for row in &self.rows.rows {
                    render::line(text::row(row, &self.asked.question, &name));
                }
                self.rows.unidentified.iter().for_each(|counted| render::line(text::counted(counted)));
                render::line(self.summary(common));
            }
            TableFormat::Csv => {
                render::line(csv::table(&self.asked.question, &self.rows, &name));
                render::message(self.summary(common));
            }
            TableFormat::Json => render::line(self.json(&name).to_string()),
        }
        render::message(self.recorded.told());
    }

    /// Says which proofs there are, and how the command ends.
    fn proved(&self) -> Exit {
        let Some(proofs) = &self.proofs else { return Exit::Success };
        render::message(format!("{} written", render::count(proofs.count(), "proof")));
        match &proofs.early {
            None => Exit::Success,
            Some(early) => {
                render::failure(early);
                Exit::Undetermined
            }
        }
    }

    fn name(&self, handle: &str) -> Option<String> {
        let (type_name, id) = self.names.as_ref()?.resolve(handle)?;
        Some(EntityRef::new(type_name, id).to_string())
    }

    /// What was searched, and what that came to.
    fn summary(&self, common: &Common) -> String {
        let Searched { first, last, from, to, gaps: (gaps, lost), blind } = self.searched;
        let found = match (self.rows.rows.len(), self.rows.next) {
            (0, _) => "nothing was found".to_owned(),
            (told, None) => format!("{told} found"),
            (1, Some(_)) => "1 is told".to_owned(),
            (told, Some(_)) => format!("{told} are told"),
        };
        let of = if self.rows.next.is_some() { "of" } else { "in" };
        if last == 0 {
            return format!("{found}: the ledger has no entries");
        }
        let mut text =
            format!("{found} {of} entries {first}–{last}, written {} to {}", plain(from), plain(to));
        let asked = [("--from", common.from.map(|at| at.0)), ("--to", common.to.map(|at| at.0))];
        for (flag, at) in asked {
            text.push_str(&at.map(|at| format!(", {flag} {}", plain(at))).unwrap_or_default());
        }
        if gaps > 0 {
            text.push_str(&format!("; {gaps} gaps: {lost} entries could not be recorded"));
        }
        if blind > 0 && matches!(self.asked.question, Question::WhoSaw { .. }) {
            text.push_str(&format!("; of {blind} observed requests no entry says what they showed"));
        }
        if let Some(seq) = self.rows.next {
            text.push_str(&format!("; there are more: go on with --after {seq}, or raise --limit"));
        }
        text
    }

    fn json(&self, name: text::Name<'_>) -> Value {
        let Searched { first, last, from, to, gaps: (gaps, lost), blind } = self.searched;
        let told = |row: &Row| {
            let mut told = told::json(row, name);
            if let (Some(proofs), Some(members)) = (&self.proofs, told.as_object_mut()) {
                members.insert("proofs".to_owned(), proofs.of(row));
            }
            told
        };
        let rows: Vec<Value> = self.rows.rows.iter().map(told).collect();
        let recorded = match self.recorded {
            Recorded::As(seq) => json!(seq),
            Recorded::Offline | Recorded::Waived => Value::Null,
        };
        let mut answer = json!({
            "question": self.asked.command,
            "recorded": recorded,
            "searched": {"first": first, "last": last, "from": exact(from), "to": exact(to), "gaps": gaps, "unrecorded": lost, "blind": blind},
            "rows": rows,
            "next": self.rows.next,
        });
        if let (Question::Refused { .. }, Some(members)) = (&self.asked.question, answer.as_object_mut()) {
            let counted = self.rows.unidentified.iter();
            let counted = counted
                .map(|counted| json!({"reason": counted.reason, "count": counted.number, "sources": counted.sources}));
            members.insert("unidentified".to_owned(), counted.collect());
        }
        answer
    }
}

/// Names that no entry has: an absence of that is no answer to what was meant.
fn hints(index: &Index, asked: &Asked, within: &Within) -> Result<(), IndexError> {
    let of_record = |record: &Record, field: &Option<String>| {
        let field = field.clone().map(|field| (record.type_name.clone(), field));
        (Some(record.type_name.clone()), field)
    };
    let (record_type, field) = match &asked.question {
        Question::WhoSaw { record, field } | Question::WhoChanged { record, field } => {
            of_record(record, field)
        }
        _ => (None, None),
    };
    let mut named: Vec<(&str, Named<'_>)> = Vec::new();
    named.extend(record_type.as_deref().map(|name| ("type", Named::Type(name))));
    if matches!(asked.question, Question::WhoSaw { .. }) {
        named.extend(field.as_ref().map(|(type_name, name)| ("field", Named::FieldOf(type_name, name))));
    }
    if let Question::Moves { stages, .. } = &asked.question {
        named.extend(match stages {
            Stages::All => None,
            Stages::Stage(stage) => Some(("stage", Named::Stage(stage))),
            Stages::Pipeline(pipeline) => Some(("pipeline", Named::Pipeline(pipeline))),
        });
    }
    if let Question::Refused { reason: Some(reason) } = &asked.question {
        named.push(("reason", Named::Reason(reason)));
    }
    named.extend(within.policy.as_deref().map(|policy| ("policy", Named::Policy(policy))));
    named.extend(within.revision.as_deref().map(|begin| ("revision", Named::Revision(begin))));
    if let Question::By { handle: None, .. } = &asked.question {
        render::message(
            "no handle is known of this principal: no request of theirs is in this ledger, or they were erased; a handle will do in their place",
        );
    }
    for (what, name) in named {
        if let Some(Unknown { nearest }) = index.unknown(&name)? {
            let near = nearest.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            render::message(format!("no entry names the {what} `{}`{near}", name.name()));
        }
    }
    Ok(())
}

/// The index, beside the ledger.
const INDEX_FILE: &str = "index.sqlite";
