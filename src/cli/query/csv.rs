//! Rows of an answer as a table for spreadsheets.

use super::args::Question;
use super::text::{Name, end, principal};
use super::told::{Row, Rows, change, fields, policies, records, rows_hidden, texts_of};
use crate::audit::csv::line;
use crate::audit::index::question::{Act, Sighting};
use crate::audit::item::Item;
use crate::audit::when::exact;

/// The table with its head, lines ending as RFC 4180 has it, the last without its end.
pub fn table(question: &Question, rows: &Rows, name: Name<'_>) -> String {
    let head: Vec<String> = columns(question).iter().map(|column| (*column).to_owned()).collect();
    let lines = std::iter::once(head).chain(rows.rows.iter().map(|row| cells(row, name)));
    let lines: Vec<String> = lines.map(|cells| line(&cells)).collect();
    lines.join("\r\n") + "\r"
}

fn columns(question: &Question) -> Vec<&'static str> {
    let more: &[&str] = match question {
        Question::Readings => return vec!["time", "entry", "command", "by"],
        Question::WhoSaw { .. } => &["type", "id", "shown", "masked", "not_enforced", "whole"],
        Question::Moves { .. } => &["records", "from", "to", "change", "refused_fields"],
        Question::WhoChanged { .. } | Question::By { .. } | Question::Refused { .. } => &[
            "records",
            "shown",
            "masked",
            "hidden",
            "rows_hidden",
            "asked_fields",
            "refused_fields",
            "change",
        ],
    };
    [ACT, more, &["policies"]].concat()
}

/// The columns that every decision has.
const ACT: &[&str] = &[
    "time",
    "entry",
    "decision",
    "principal",
    "on_behalf_of",
    "asserted",
    "method",
    "route",
    "effect",
    "reason",
    "observed",
    "answer",
    "released",
    "bundle",
    "directory",
];

fn cells(row: &Row, name: Name<'_>) -> Vec<String> {
    match row {
        Row::Saw(Sighting { act, record, shown, masked, unenforced, is_whole, policies }) => {
            let lists = [shown, masked, unenforced].map(|names| names.join("; "));
            let record = [record.type_name.clone(), record.id.clone()];
            let more = [yes(*is_whole), policies.join("; ")];
            of_act(act, name).chain(record).chain(lists).chain(more).collect()
        }
        Row::Act(act, item) => {
            let sets = ["shown", "masked", "hidden"].map(|member| joined(fields(item, member)));
            let write = ["asked", "refused"].map(|member| joined(texts_of(item.entry.get("write"), member)));
            let more = [change(act).unwrap_or_default().to_owned(), joined(policies(item))];
            let hidden = match rows_hidden(item) {
                0 => String::new(),
                number => number.to_string(),
            };
            let cells = of_act(act, name).chain([records_of(item)]).chain(sets).chain([hidden]);
            cells.chain(write).chain(more).collect()
        }
        Row::Move(found, item) => {
            let sides = [&found.from, &found.to].map(|side| side.clone().unwrap_or_default());
            let refused = joined(texts_of(item.entry.get("write"), "refused"));
            let more = [found.change.word().to_owned(), refused, joined(policies(item))];
            of_act(&found.act, name).chain([records_of(item)]).chain(sides).chain(more).collect()
        }
        Row::Read(reading) => {
            vec![exact(reading.t), reading.seq.to_string(), reading.command.clone(), reading.by.clone()]
        }
    }
}

fn of_act(act: &Act, name: Name<'_>) -> impl Iterator<Item = String> {
    let acted_for = act.on_behalf_of.as_ref().map(|other| principal(Some(other), name));
    let released = act.end.as_ref().map(|end| end.released.clone());
    let cells = [
        exact(act.t),
        act.seq.to_string(),
        act.id.clone(),
        principal(act.who.as_ref(), name),
        acted_for.unwrap_or_default(),
        yes(act.is_asserted),
        act.method.clone(),
        act.route.clone().unwrap_or_default(),
        act.effect.clone(),
        act.reason.clone().unwrap_or_default(),
        yes(act.is_observed),
        end(act),
        released.unwrap_or_default(),
        act.bundle.clone(),
        act.directory.clone(),
    ];
    cells.into_iter()
}

/// The records of a decision, as many as a cell may hold.
fn records_of(item: &Item) -> String {
    let records = records(item);
    let told = records.iter().take(RECORDS_MAX).map(|(type_name, id)| format!("{type_name} {id}"));
    let told = joined(told);
    match records.len() {
        number if number > RECORDS_MAX => format!("{told}; … ({number} in all)"),
        _ => told,
    }
}

fn joined(texts: impl IntoIterator<Item = impl Into<String>>) -> String {
    let texts: Vec<String> = texts.into_iter().map(Into::into).collect();
    texts.join("; ")
}

fn yes(is: bool) -> String {
    if is { "yes" } else { "" }.to_owned()
}

/// Records in one cell: spreadsheets cut cells at 32,767 characters.
const RECORDS_MAX: usize = 200;
