//! An explanation as text: what was asked, what was decided, why, and what would leave.
//!
//! Promises: says nothing that the explanation does not hold. Never decides.

use std::fmt::Write as _;

use crate::audit::report::html;
use crate::pipeline::dry_run::explanation::{
    Answered, Because, Changes, Explanation, FieldState, Missing, Outcome, RecordNote, Sent, Wanted,
};
use crate::workbench::nearest::Denied;

/// The whole text.
pub fn text(told: &Explanation, nearest: &[Denied]) -> String {
    let mut text = Text::default();
    text.line(format!("{} asks {} {} at {}", told.principal, told.method, told.target, told.at));
    if let Some(level) = told.auth_level {
        text.line(format!("authenticated at level {level}"));
    }
    if let Some(person) = &told.on_behalf_of {
        text.line(format!("on behalf of {person}"));
    }
    text.line(verdict(told));
    text.request(told);
    text.decisions(told);
    text.changes(&told.changes);
    if let Some(wanted) = told.refilled {
        text.refilled(wanted);
    }
    if let Some(sent) = &told.upstream {
        text.sent(sent);
    }
    if let Some(answer) = &told.answer {
        text.answer(answer);
    }
    text.nearest(nearest);
    text.policies(told);
    text.missing(told);
    text.heading("Decided by");
    text.line(format!("  bundle     {}", told.bundle));
    text.line(format!("  directory  {}", told.directory));
    text.0
}

/// The same as a page that can be handed on: each part under its heading.
pub fn page(text: &str) -> String {
    let mut page = html::begin("What would be decided");
    for part in text.trim_end().split("\n\n") {
        let (heading, body) = part.split_once('\n').unwrap_or((part, ""));
        let (heading, body) = if page.ends_with("</h1>\n") { ("Request", part) } else { (heading, body) };
        let heading = html::escaped(heading);
        let body = body.lines().map(html::escaped).collect::<Vec<_>>().join("\n");
        let _ = writeln!(page, "<section>\n<h2>{heading}</h2>\n<pre>{body}</pre>\n</section>");
    }
    page.push_str(html::END);
    page
}

/// What was decided, in one line.
fn verdict(told: &Explanation) -> String {
    let name = match told.outcome {
        Outcome::Allow => "ALLOW",
        Outcome::Deny => "DENY",
        Outcome::Refuse => "REFUSE",
        Outcome::Fail => "FAIL",
        Outcome::Undetermined => return "UNDETERMINED: what was given does not tell".to_owned(),
    };
    let Some(problem) = &told.problem else { return name.to_owned() };
    let mut line = format!("{name} with {} {}: {}", problem.status, problem.reason, problem.title);
    if let Some(detail) = &problem.detail {
        let _ = write!(line, " ({detail})");
    }
    if !problem.fields.is_empty() {
        let _ = write!(line, " Keys: {}.", problem.fields.join(", "));
    }
    if let Some(internal) = &problem.internal {
        let _ = write!(line, " For operators: {internal}.");
    }
    line
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn line(&mut self, line: impl AsRef<str>) {
        self.0.push_str(line.as_ref().trim_end());
        self.0.push('\n');
    }

    fn heading(&mut self, heading: &str) {
        self.line("");
        self.line(heading);
    }

    /// Rows whose first columns stand below each other.
    fn table<const N: usize>(&mut self, rows: &[[String; N]]) {
        let width =
            |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|c| c.chars().count()).max();
        let widths: Vec<usize> = (0..N).map(|column| width(column).unwrap_or(0)).collect();
        for row in rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                let _ = write!(line, "  {cell:<width$}");
            }
            self.line(line);
        }
    }

    fn request(&mut self, told: &Explanation) {
        self.heading("Request");
        let mut rows = Vec::new();
        match &told.route {
            Some(route) => rows.push(["route".to_owned(), format!("{}  ({})", route.label, route.place)]),
            None if told.other_methods.is_empty() => {
                rows.push(["route".to_owned(), "none matches".to_owned()]);
            }
            None => {
                let why = format!("none matches; the path has only {}", told.other_methods.join("; "));
                rows.push(["route".to_owned(), why]);
            }
        }
        if let Some(why) = told.route.as_ref().and_then(|route| route.passes.as_ref()) {
            rows.push(["passes".to_owned(), format!("undecided: {why}")]);
        }
        if let Some(asked) = &told.access {
            let on = asked.type_name.as_deref().unwrap_or("no type");
            let ids = if asked.ids.is_empty() { String::new() } else { format!(" {}", asked.ids.join(", ")) };
            let to = asked.to.as_ref().map(|to| format!(" to {to}")).unwrap_or_default();
            rows.push(["asks".to_owned(), format!("{} on {on}{ids}{to}", asked.actions.join(", "))]);
        }
        for used in &told.references {
            let verdict = if used.is_permitted { "allowed" } else { "refused" };
            let line = format!("{} by {}: {verdict}, {}", used.role, used.fields.join(" → "), used.why);
            rows.push(["refers".to_owned(), line]);
        }
        if !told.added.is_empty() {
            let line = format!("{} to the projection, because policies read them", told.added.join(", "));
            rows.push(["adds".to_owned(), line]);
        }
        self.table(&rows);
    }

    fn decisions(&mut self, told: &Explanation) {
        if told.decisions.is_empty() {
            return;
        }
        self.heading("Decisions before the CRM is asked");
        let rows = told.decisions.iter().map(|decided| {
            let what = match (&decided.field, decided.ids.is_empty()) {
                (Some(field), true) => format!("{} {field} of every {}", decided.action, decided.type_name),
                (Some(field), false) => {
                    format!("{} {field} of {}", decided.action, decided.ids.join(", "))
                }
                (None, true) => format!("{} {}", decided.action, decided.type_name),
                (None, false) => {
                    format!("{} {} {}", decided.action, decided.type_name, decided.ids.join(", "))
                }
            };
            [decided.because.effect.to_owned(), what, cause(&decided.because)]
        });
        self.table(&rows.collect::<Vec<_>>());
    }

    fn changes(&mut self, all: &[Changes]) {
        let mut rows = Vec::new();
        for changes in all {
            for (name, fields) in
                [("writes", &changes.asked), ("refused", &changes.refused), ("left out", &changes.unchanged)]
            {
                if !fields.is_empty() {
                    let fields = fields.iter().map(String::as_str).collect::<Vec<_>>();
                    rows.push([name.to_owned(), fields.join(", ")]);
                }
            }
            for (name, change) in
                [("stage", &changes.stage), ("owner", &changes.owner), ("team", &changes.team)]
            {
                if let Some((from, to)) = change {
                    rows.push([name.to_owned(), format!("{from} → {to}")]);
                }
            }
        }
        if !rows.is_empty() {
            self.heading("Change");
            self.table(&rows);
        }
    }

    fn refilled(&mut self, wanted: Wanted) {
        self.heading("Pages are filled up");
        let Wanted { skip, take } = wanted;
        self.line(format!("  {take} rows of those that the caller may view, after {skip} of them"));
        self.line("  The CRM is asked for its first page, then for as many others as that takes");
    }

    fn sent(&mut self, sent: &Sent) {
        self.heading("Sent to the CRM");
        self.line(format!("  {} {}", sent.method, sent.target));
        for (name, value) in &sent.headers {
            self.line(format!("  {name}: {value}"));
        }
        self.line(format!("  {}", sent.credential));
        if !sent.body.is_empty() {
            self.line(format!("  {}", sent.body));
        }
    }

    fn answer(&mut self, answer: &Answered) {
        self.heading(&format!("Answer of the CRM: {}", answer.upstream_status));
        if answer.rows_removed > 0 {
            self.line(format!("  {} of its records may not be viewed", answer.rows_removed));
        }
        let mut rest: Vec<&RecordNote> = answer.records.iter().collect();
        rest.sort_by_key(|record| record.is_embedded);
        while let Some(first) = rest.first().copied() {
            let (alike, others): (Vec<_>, Vec<_>) =
                rest.into_iter().partition(|record| is_alike(record, first));
            self.records(first, &alike);
            rest = others;
        }
        match &answer.body {
            Some(body) => {
                self.heading("Body that leaves");
                self.line(body);
            }
            None => self.line("  none of its body leaves"),
        }
    }

    /// Records that have one outcome.
    fn records(&mut self, first: &RecordNote, alike: &[&RecordNote]) {
        let ids: Vec<&str> = alike.iter().map(|record| record.id.as_str()).collect();
        let place = if first.is_embedded { " (embedded)" } else { "" };
        let view = format!("{} view: {}", first.view.effect, cause(&first.view));
        self.line(format!("  {} {}{place}  {view}", first.type_name, ids.join(", ")));
        if first.view.effect == "allow" && !first.is_released {
            self.line("    does not leave: the field that it stands in does not");
        }
        let rows = first.fields.iter().map(|field| {
            let why = match (field.state, field.policies.is_empty()) {
                (FieldState::Absent, _) => String::new(),
                (_, true) => NO_PERMIT.to_owned(),
                (_, false) => field.policies.join(", "),
            };
            let name = match field.name.ends_with(".*") {
                true => format!("{} (keys without a field)", field.name),
                false => field.name.clone(),
            };
            [String::new(), name, state(field.state).to_owned(), why]
        });
        self.table(&rows.collect::<Vec<_>>());
    }

    /// What would have to differ; questions with the same answer stand together.
    fn nearest(&mut self, nearest: &[Denied]) {
        if nearest.is_empty() {
            return;
        }
        self.heading("What would have to differ");
        let is_alike = |a: &Denied, b: &Denied| {
            let same = (&a.action, &a.resource) == (&b.action, &b.resource);
            same && (&a.forbids, &a.permits) == (&b.forbids, &b.permits)
        };
        let mut rest: Vec<&Denied> = nearest.iter().collect();
        while let Some(first) = rest.first().copied() {
            let (alike, others): (Vec<_>, Vec<_>) =
                rest.into_iter().partition(|denied| is_alike(denied, first));
            let fields: Vec<&str> = alike.iter().filter_map(|denied| denied.field.as_deref()).collect();
            let fields = if fields.is_empty() { String::new() } else { format!(" {}", fields.join(", ")) };
            self.line(format!("  {}{fields} on {}", first.action, first.resource));
            for near in &first.forbids {
                match near.differs.is_empty() {
                    true => self.line(format!("    {} forbids it, whatever else differs", near.policy)),
                    false => self.line(format!(
                        "    {} forbids it, unless {}",
                        near.policy,
                        near.differs.join(" and ")
                    )),
                }
            }
            for near in &first.permits {
                self.line(format!("    {} would permit it if {}", near.policy, near.differs.join(" and ")));
            }
            if first.forbids.is_empty() && first.permits.is_empty() {
                self.line("    no policy permits it under any condition");
            }
            rest = others;
        }
    }

    fn policies(&mut self, told: &Explanation) {
        if told.policies.is_empty() {
            return;
        }
        self.heading("Policies");
        let rows = told.policies.iter().map(|(id, note)| {
            let place = note.place.clone().unwrap_or_default();
            [id.clone(), note.effect.to_owned(), place, note.reason.clone().unwrap_or_default()]
        });
        self.table(&rows.collect::<Vec<_>>());
    }

    fn missing(&mut self, told: &Explanation) {
        if told.missing.is_empty() {
            return;
        }
        self.heading("To tell more, give");
        let mut lines: Vec<(String, Vec<&str>, String)> = Vec::new();
        for missing in &told.missing {
            let (what, id, why) = match missing {
                Missing::Record { type_name, id, route } => (
                    format!("--record FILE with {type_name}"),
                    id.as_str(),
                    format!(", as `{route}` answers it"),
                ),
                Missing::Attributes { type_name, id, route } => (
                    format!("--record FILE with {type_name}"),
                    id.as_str(),
                    format!(", as `{route}` answers it: policies read what the answer does not carry of it"),
                ),
                Missing::Answer => (
                    "--answer FILE with what the CRM would answer".to_owned(),
                    "",
                    ": which records and fields leave depends on it".to_owned(),
                ),
            };
            match lines.iter_mut().find(|(other, _, other_why)| *other == what && *other_why == why) {
                Some((_, ids, _)) => ids.push(id),
                None => lines.push((what, vec![id], why)),
            }
        }
        for (what, ids, why) in lines {
            let ids = if ids.concat().is_empty() { String::new() } else { format!(" {}", ids.join(", ")) };
            self.line(format!("  {what}{ids}{why}"));
        }
    }
}

/// What determined a decision, in words.
fn cause(because: &Because) -> String {
    if !because.errors.is_empty() {
        return format!("policies that failed: {}", because.errors.join(", "));
    }
    match (because.policies.is_empty(), because.reason) {
        (false, _) => because.policies.join(", "),
        (true, Some("no-permit") | None) if because.unmet.is_empty() => NO_PERMIT.to_owned(),
        (true, Some("no-permit") | None) => {
            format!("{NO_PERMIT}; the conditions of these are not met: {}", because.unmet.join(", "))
        }
        (true, Some(reason)) => reason.to_owned(),
    }
}

fn is_alike(record: &RecordNote, other: &RecordNote) -> bool {
    RecordNote { id: other.id.clone(), ..record.clone() } == *other
}

fn state(state: FieldState) -> &'static str {
    match state {
        FieldState::Shown => "shown",
        FieldState::Masked => "masked",
        FieldState::Hidden => "hidden",
        FieldState::Absent => "absent",
    }
}

const NO_PERMIT: &str = "no policy permits it";
