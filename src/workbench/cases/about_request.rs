//! Cases about a request: how it ends, what leaves of the answer, what the CRM would be sent.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Uri};

use super::about_record::{READ_WORDS, list};
use super::expect::{Mismatch, NamedField, fields};
use super::given::{Stated, json, unknown};
use super::scene::Scene;
use crate::config::reader::{Table, Text};
use crate::json::parse::JsonLimits;
use crate::json::same::same_value;
use crate::json::value::Document;
use crate::model::principal::Asker;
use crate::model::reason::Reason;
use crate::pipeline::decide::gate::VerdictCache;
use crate::pipeline::dry_run::explanation::{
    Answered, Explanation, FieldState, Missing, Outcome, RecordNote,
};
use crate::pipeline::dry_run::{DryRequest, DryRun, dry_run};
use crate::pipeline::forward::UpstreamResponse;
use crate::pipeline::sidecar::Limits;

/// A request, what the CRM would say, and what is to become of it.
pub struct AboutRequest {
    request: DryRequest,
    records: Vec<Document>,
    answer: Option<UpstreamResponse>,
    wanted: Wanted,
}

/// What the case says; what it does not say is not compared.
#[derive(Default)]
struct Wanted {
    outcome: Option<Outcome>,
    reason: Option<String>,
    status: Option<u16>,
    rows: Option<Vec<String>>,
    fields: Vec<NamedField>,
    policies: Option<Vec<String>>,
    sent: Option<String>,
    leaves: Option<Document>,
}

impl AboutRequest {
    /// Reads the keys of such a case.
    pub fn read(scene: &Scene, table: &Table<'_>, request: Text) -> Option<Self> {
        let line = read_line(&request.value);
        if line.is_none() {
            let message = format!("`{}` is no request", request.value);
            table.reading().error(
                request.span,
                message,
                "Write a method and a target: \"GET /api/deals/42\".",
            );
        }
        let (body, headers) = (body(scene, table), headers(table));
        let records = records(scene, table);
        let answer = answer(scene, table);
        let wanted = Wanted::read(scene, table)?;
        let ((method, target), body, mut headers) = (line?, body?, headers?);
        headers.entry(HOST).or_insert(HeaderValue::from_static("lockkeeper"));
        if !body.is_empty() {
            headers.entry(CONTENT_TYPE).or_insert(JSON);
        }
        Some(Self { request: DryRequest { method, target, headers, body }, records, answer: answer?, wanted })
    }

    /// What becomes of the request otherwise than the case says.
    pub fn judge(&self, scene: &Scene, asker: &Asker) -> Vec<Mismatch> {
        let told = dry_run(&DryRun {
            snapshot: &scene.snapshot,
            limits: &Limits::default(),
            cache: &Arc::new(VerdictCache::new(VERDICTS_MAX, 1)),
            asker,
            request: self.request.clone(),
            records: &self.records,
            answer: self.answer.as_ref(),
        });
        self.wanted.compare(&told)
    }
}

impl Wanted {
    fn read(scene: &Scene, table: &Table<'_>) -> Option<Self> {
        let bundle = &scene.snapshot.bundle;
        let expect = table.text("expect");
        let outcome = expect.as_ref().and_then(|text| outcome(table, text));
        let reason = table.text("reason").and_then(|text| known_reason(table, text));
        let status = table.integer("status", 100..=599).and_then(|status| u16::try_from(status).ok());
        let rows = table.texts("rows").map(|rows| rows.into_iter().map(|row| row.value).collect());
        let fields = fields(&bundle.profile, None, table, READ_WORDS);
        let policies = table.texts("policies").map(|policies| {
            let lost = policies.iter().filter(|text| !bundle.policies.texts.contains_key(&text.value));
            lost.for_each(|text| unknown(table, text, "a policy of the bundle", bundle.policies.ids()));
            let mut ids: Vec<String> = policies.into_iter().map(|text| text.value).collect();
            ids.sort();
            ids
        });
        let sent = table.text("sent").map(|text| text.value);
        let leaves = match json(scene, table, "leaves", "leaves_file") {
            Stated::Nothing => None,
            Stated::Broken => return None,
            Stated::Document(document) => Some(document),
        };
        let wanted = Self { outcome, reason, status, rows, fields, policies, sent, leaves };
        if expect.is_none() && wanted.says_nothing() {
            let help = "Say how it ends, e.g. `expect = \"deny\"`, or what leaves, e.g. `hidden = [\"Deal.margin\"]`.";
            table.reading().error(table.span(), "the case says nothing", help);
        }
        Some(wanted)
    }

    fn says_nothing(&self) -> bool {
        let Self { outcome, reason, status, rows, fields, policies, sent, leaves } = self;
        let is_silent = outcome.is_none() && reason.is_none() && status.is_none() && rows.is_none();
        is_silent && fields.is_empty() && policies.is_none() && sent.is_none() && leaves.is_none()
    }

    fn compare(&self, told: &Explanation) -> Vec<Mismatch> {
        let mut found = Vec::new();
        let problem = told.problem.as_ref();
        let why = why(told);
        // What says nothing of how a request ends speaks of one that gets its answer.
        let is_about_answer = self.reason.is_none() && self.status.is_none();
        let outcome = self.outcome.or(is_about_answer.then_some(Outcome::Allow));
        let is_told =
            told.outcome != Outcome::Undetermined && outcome.is_none_or(|wanted| wanted == told.outcome);
        if !is_told {
            let wanted = outcome.map_or("an answer", word);
            let mismatch = Mismatch::new("the request", wanted, word(told.outcome));
            found.push(Mismatch { why, ..mismatch });
        }
        if let Some(reason) = &self.reason {
            let ended = problem.map_or("none", |problem| problem.reason);
            if ended != reason {
                found.push(Mismatch::new("reason", reason, ended));
            }
        }
        if let Some(status) = self.status {
            let ended = problem.map(|problem| problem.status);
            let ended = ended.or(told.answer.as_ref().map(|answer| answer.upstream_status));
            if ended != Some(status) {
                let ended = ended.map_or("none".to_owned(), |status| status.to_string());
                found.push(Mismatch::new("status", status.to_string(), ended));
            }
        }
        if let Some(wanted) = &self.sent {
            let sent = told.upstream.as_ref().map(|sent| format!("{} {}", sent.method, sent.target));
            if sent.as_ref() != Some(wanted) {
                found.push(Mismatch::new("sent", wanted, sent.unwrap_or_else(|| "nothing".to_owned())));
            }
        }
        if let Some(wanted) = &self.policies {
            let determining: Vec<String> = determining(told);
            if determining != *wanted {
                found.push(Mismatch::new("policies", list(wanted), list(&determining)));
            }
        }
        self.compare_answer(told.answer.as_ref(), &mut found);
        found
    }

    fn compare_answer(&self, answer: Option<&Answered>, found: &mut Vec<Mismatch>) {
        let none = Answered::default();
        let answer = answer.unwrap_or(&none);
        if let Some(wanted) = &self.rows {
            let rows = answer.records.iter().filter(|note| !note.is_embedded && note.is_released);
            let rows: Vec<&str> = rows.map(|note| note.id.as_str()).collect();
            if rows != *wanted {
                found.push(Mismatch::new("rows", list(wanted), list(&rows)));
            }
        }
        for field in &self.fields {
            found.extend(compare_field(field, &answer.records));
        }
        if let Some(wanted) = &self.leaves {
            let body = answer.body.clone().map(Bytes::from);
            let body = body.and_then(|body| Document::parse(body, &JsonLimits::default()).ok());
            let is_same = body.as_ref().is_some_and(|body| same_value(body.root(), wanted.root()));
            if !is_same {
                let found_body = answer.body.clone().unwrap_or_else(|| "nothing".to_owned());
                found.push(Mismatch::new("leaves", wanted.root().raw(), found_body));
            }
        }
    }
}

/// A field is as a case says if it is so in every record that leaves and has it, and there is one.
fn compare_field(field: &NamedField, records: &[RecordNote]) -> Option<Mismatch> {
    let of_type = records.iter().filter(|note| note.is_released && note.type_name == field.type_name);
    let states = of_type.flat_map(|note| {
        note.fields.iter().filter(|found| found.name == field.name).map(move |found| (note, found))
    });
    let mut is_carried = false;
    for (note, found) in states {
        let word = match found.state {
            FieldState::Absent => continue,
            FieldState::Shown => "visible",
            FieldState::Masked => "masked",
            FieldState::Hidden => "hidden",
        };
        is_carried = true;
        if word != field.word {
            let what = format!("{} of {}", field.name, note.id);
            let mut mismatch = Mismatch::new(what, field.word, word);
            mismatch.why = (!found.policies.is_empty()).then(|| format!("by {}", found.policies.join(", ")));
            return Some(mismatch);
        }
    }
    let lacking = "no record of the answer that leaves has it";
    (!is_carried).then(|| Mismatch::new(&field.name, field.word, lacking))
}

/// Every policy that determined anything.
fn determining(told: &Explanation) -> Vec<String> {
    let decided = told.decisions.iter().flat_map(|decided| &decided.because.policies);
    let records = told.answer.iter().flat_map(|answer| &answer.records);
    let viewed = records.clone().flat_map(|note| &note.view.policies);
    let fields = records.flat_map(|note| &note.fields).flat_map(|field| &field.policies);
    let mut all: Vec<String> = decided.chain(viewed).chain(fields).cloned().collect();
    all.sort();
    all.dedup();
    all
}

fn why(told: &Explanation) -> Option<String> {
    if let Some(problem) = &told.problem {
        let unmet = told.decisions.iter().flat_map(|decided| &decided.because.unmet);
        let unmet: Vec<&str> = unmet.map(String::as_str).collect();
        let permits = match unmet.is_empty() {
            true => String::new(),
            false => format!("; permits whose conditions are not met: {}", unmet.join(", ")),
        };
        let internal = problem.internal.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
        return Some(format!("{} {}{internal}{permits}", problem.status, problem.reason));
    }
    let missing: Vec<String> = told.missing.iter().map(lacking).collect();
    (!missing.is_empty()).then(|| format!("the case does not give {}", missing.join(", ")))
}

fn lacking(missing: &Missing) -> String {
    match missing {
        Missing::Record { type_name, id, route } => {
            format!("{type_name} {id} as `{route}` answers it (name it in `records`)")
        }
        Missing::Attributes { type_name, id, route } => {
            format!(
                "what {type_name} {id} has beside the answer, as `{route}` answers it (name it in `records`)"
            )
        }
        Missing::Answer => "what the CRM answers (`answer`)".to_owned(),
    }
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Allow => "allow",
        Outcome::Deny => "deny",
        Outcome::Refuse => "refuse",
        Outcome::Fail => "fail",
        Outcome::Undetermined => "undetermined",
    }
}

fn outcome(table: &Table<'_>, text: &Text) -> Option<Outcome> {
    let all = [Outcome::Allow, Outcome::Deny, Outcome::Refuse, Outcome::Fail];
    let found = all.into_iter().find(|outcome| word(*outcome) == text.value);
    if found.is_none() {
        unknown(table, text, "how a request ends", all.into_iter().map(word));
    }
    found
}

fn known_reason(table: &Table<'_>, text: Text) -> Option<String> {
    let mut known = Reason::ALL.iter().map(|reason| reason.code());
    if known.any(|code| code == text.value) {
        return Some(text.value);
    }
    unknown(table, &text, "a reason", Reason::ALL.iter().map(|reason| reason.code()));
    None
}

fn read_line(text: &str) -> Option<(Method, Uri)> {
    let (method, target) = text.split_once(' ')?;
    let is_method = method.bytes().all(|byte| byte.is_ascii_uppercase());
    Some((Method::try_from(method).ok().filter(|_| is_method)?, target.trim().parse().ok()?))
}

fn headers(table: &Table<'_>) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    let mut is_sound = true;
    for (name, item) in table.table("headers").map(|headers| headers.entries()).unwrap_or_default() {
        let read = HeaderName::try_from(name.value.as_str()).ok();
        let value = item.text().and_then(|value| HeaderValue::try_from(value.value).ok());
        match read.zip(value) {
            Some((name, value)) => {
                headers.append(name, value);
            }
            None => {
                table.reading().error(name.span, format!("`{}` is no header", name.value), "");
                is_sound = false;
            }
        }
    }
    is_sound.then_some(headers)
}

fn body(scene: &Scene, table: &Table<'_>) -> Option<Bytes> {
    match (table.text("body"), table.text("body_file")) {
        (None, None) => Some(Bytes::new()),
        (Some(text), None) => Some(Bytes::from(text.value)),
        (None, Some(file)) => super::scene::beside(&scene.snapshot.bundle, table, &file).map(Bytes::from),
        (Some(_), Some(second)) => {
            table.reading().error(
                second.span,
                "`body` and `body_file` both say the same",
                "Keep one of them.",
            );
            None
        }
    }
}

/// The records that the CRM holds, as its routes answer them.
fn records(scene: &Scene, table: &Table<'_>) -> Vec<Document> {
    let names = table.texts("records").unwrap_or_default();
    let document = |name: Text| {
        let Some(given) = scene.records.get(&name.value) else {
            unknown(table, &name, "a record of this file", scene.records.keys().map(String::as_str));
            return None;
        };
        if given.document.is_none() {
            let message = format!("of `{}` this file does not say what the CRM answers", name.value);
            let help = "Give the record `json` or `file` in place of `attributes`.";
            table.reading().error(name.span, message, help);
        }
        given.document.clone()
    };
    names.into_iter().filter_map(document).collect()
}

/// What the CRM would answer; outside, `None` if that cannot be read.
fn answer(scene: &Scene, table: &Table<'_>) -> Option<Option<UpstreamResponse>> {
    let Some(answer) = table.table("answer") else { return Some(None) };
    let status = answer.integer("status", 100..=599).and_then(|status| u16::try_from(status).ok());
    let (stated, csv) = (json(scene, &answer, "json", "file"), answer.text("csv"));
    answer.finish();
    let (body, content_type) = match (stated, csv) {
        (Stated::Broken, _) => return None,
        (Stated::Nothing, None) => (Bytes::new(), JSON),
        (Stated::Document(document), None) => (document.bytes().clone(), JSON),
        (Stated::Nothing, Some(text)) => (Bytes::from(text.value), CSV),
        (Stated::Document(_), Some(second)) => {
            let message = "an answer is either JSON or a table";
            answer.reading().error(second.span, message, "Keep one of them.");
            return None;
        }
    };
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, content_type)]);
    Some(Some(UpstreamResponse { status: status.unwrap_or(200), headers, body }))
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const CSV: HeaderValue = HeaderValue::from_static("text/csv");
/// Verdicts kept while one request is judged.
const VERDICTS_MAX: u64 = 10_000;
