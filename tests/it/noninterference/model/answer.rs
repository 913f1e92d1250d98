//! The routes of the model CRM: what it answers to a request, and what that does to its state.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::Value;

use super::change::{Refused, Semantics, change, create, remove};
use super::query::{self, Pairs};
use super::render::{self, Wanted, quoted};
use super::{Kind, State};

/// A request as the CRM reads it.
pub struct Asked {
    pub method: String,
    /// The decoded segments of the path.
    pub segments: Vec<String>,
    pub pairs: Pairs,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// What it answers.
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Asked {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    fn json(&self) -> Result<Value, Refused> {
        serde_json::from_slice(&self.body)
            .map_err(|error| (400, format!("{{\"error\":{}}}", quoted(&error.to_string()))))
    }
}

/// Answers.
pub fn answer(state: &mut State, asked: &Asked) -> Answer {
    // Headers and parameters by which such CRMs let a method be another one.
    let method = asked.header("x-http-method-override").unwrap_or(&asked.method).to_ascii_uppercase();
    let outcome = respond(state, &method, asked);
    let (status, body, content_type) = outcome.unwrap_or_else(|(status, body)| (status, body, JSON));
    let mut headers = stamped(state, &body, content_type);
    headers.push(("link", link(state, asked)));
    headers.push(("location", place(state, asked, status)));
    let mut answer = Answer { status, headers, body: body.into_bytes() };
    if state.style.is_conditional && method == "GET" && status == 200 {
        condition(&mut answer, asked);
    }
    if asked.method == "HEAD" {
        answer.body.clear();
    }
    answer
}

type Outcome = Result<(u16, String, &'static str), Refused>;

fn respond(state: &mut State, method: &str, asked: &Asked) -> Outcome {
    let segments: Vec<&str> = asked.segments.iter().map(String::as_str).collect();
    let method = if method == "HEAD" { "GET" } else { method };
    match (method, segments.as_slice()) {
        ("GET", ["recent"]) => Ok((200, recent(state), JSON)),
        ("GET", ["report"]) => Ok((200, report(state), JSON)),
        ("GET", ["deals.csv"]) => Ok((200, table(state, &asked.pairs), "text/csv; charset=utf-8")),
        ("GET", [path]) => Ok((200, list(state, kind_of(path)?, &asked.pairs), JSON)),
        ("POST", ["deals", "bulk"]) => bulk(state, &asked.json()?).map(json),
        ("POST", [path]) => {
            let kind = kind_of(path)?;
            let id = create(state, kind, &asked.json()?)?;
            Ok((201, whole(state, kind, id, &asked.pairs), JSON))
        }
        (_, [path, id]) => {
            let kind = kind_of(path)?;
            let id = known(state, kind, id)?;
            one(state, kind, id, method, asked)
        }
        ("POST", ["deals", id, "move"]) => {
            let id = known(state, Kind::Deal, id)?;
            let stage = asked.json()?["stage"].clone();
            let id = change(state, Kind::Deal, id, &serde_json::json!({"stage": stage}), Semantics::Merge)?;
            Ok(json(whole(state, Kind::Deal, id, &asked.pairs)))
        }
        // A route that no bundle describes.
        ("GET", ["deals", id, "history"]) => {
            let id = known(state, Kind::Deal, id)?;
            Ok(json(format!("[{}]", whole(state, Kind::Deal, id, &asked.pairs))))
        }
        _ => Err(nowhere()),
    }
}

fn one(state: &mut State, kind: Kind, id: u64, method: &str, asked: &Asked) -> Outcome {
    if state.style.is_conditional
        && let Some(tag) = asked.header("if-match")
    {
        let body = whole(state, kind, id, &asked.pairs);
        if tag != "*" && tag != etag(&body) {
            return Err((412, format!("{{\"error\":\"changed\",\"existing\":{body}}}")));
        }
    }
    match method {
        "GET" => {}
        "PATCH" => drop(change(state, kind, id, &asked.json()?, Semantics::Merge)?),
        "PUT" => drop(change(state, kind, id, &asked.json()?, Semantics::Replace)?),
        "DELETE" => {
            remove(state, kind, id);
            return Ok((204, String::new(), JSON));
        }
        _ => return Err((405, "{\"error\":\"method\"}".to_owned())),
    }
    Ok(json(whole(state, kind, id, &asked.pairs)))
}

fn json(body: String) -> (u16, String, &'static str) {
    (200, body, JSON)
}

/// One record, with its relations unless the query says otherwise.
fn whole(state: &State, kind: Kind, id: u64, pairs: &Pairs) -> String {
    let select = query::names(pairs, "select");
    let all = || ["contact", "company", "deals", "contacts"].map(str::to_owned).to_vec();
    let expand = query::names(pairs, "expand").unwrap_or_else(all);
    render::record(state, kind, id, Wanted { select: select.as_deref(), expand: &expand, names_kind: false })
}

fn list(state: &State, kind: Kind, pairs: &Pairs) -> String {
    let found = query::find(state, kind, pairs);
    let (select, expand) = (query::names(pairs, "select"), query::names(pairs, "expand").unwrap_or_default());
    let wanted = Wanted { select: select.as_deref(), expand: &expand, names_kind: false };
    let rows: Vec<String> = found.page.iter().map(|id| render::record(state, kind, *id, wanted)).collect();
    let (total, count, page) = (found.all.len(), found.page.len(), found.number);
    let amount = query::sum(state, kind, &found.all, "amount");
    let next = next(kind, &found, pairs).map_or("null".to_owned(), |next| quoted(&next));
    format!(
        "{{\"total\":{total},\"count\":{count},\"page\":{page},\"data\":[{}],\"total_amount\":{amount},\"facets\":{},\
         \"next\":{next},\"debug\":{{\"print\":{}}}}}",
        rows.join(","),
        facets(state),
        print_of(state),
    )
}

/// Where the next page of a list is, with what the page ends at.
fn next(kind: Kind, found: &query::Found, pairs: &Pairs) -> Option<String> {
    let sorted = query::order(pairs).first().map(|(field, _)| field.clone()).unwrap_or_default();
    let (last, total, page) = (found.page.last()?, found.all.len(), found.number + 1);
    let size = query::value(pairs, "per_page")?;
    let is_more = found.all.last() != Some(last);
    is_more.then(|| {
        format!(
            "http://crm.internal/{}?cursor={sorted}:{last}:{total}&page={page}&per_page={size}",
            kind.path()
        )
    })
}

/// A header that names the next page of a list, or says too much.
fn link(state: &State, asked: &Asked) -> String {
    let list = match asked.segments.as_slice() {
        [path] if asked.method != "POST" => kind_of(path).ok(),
        _ => None,
    };
    let page = list.and_then(|kind| next(kind, &query::find(state, kind, &asked.pairs), &asked.pairs));
    let page = page.unwrap_or_else(|| format!("/deals?cursor={}", print_of(state)));
    format!("<{page}>; rel=\"next\"")
}

/// Where the record is that was made; anywhere if none was.
fn place(state: &State, asked: &Asked, status: u16) -> String {
    let made = asked.segments.first().and_then(|path| kind_of(path).ok()).filter(|_| status == 201);
    let newest = made.and_then(|kind| Some((kind.path(), *state.tables[&kind].keys().next_back()?)));
    let (path, id) = newest.unwrap_or_else(|| ("deals", print_of(state) % 100));
    format!("/{path}/{id}")
}

/// How many deals stand in each stage.
fn facets(state: &State) -> String {
    let count = |stage: &str| {
        let deals = state.tables[&Kind::Deal].values();
        deals.filter(|deal| deal.get("stage").is_some_and(|text| text.trim_matches('"') == stage)).count()
    };
    format!("{{\"lead\":{},\"talk\":{},\"won\":{}}}", count("lead"), count("talk"), count("won"))
}

/// Records of several types, each of which says what it is.
fn recent(state: &State) -> String {
    let wanted = Wanted { names_kind: true, ..Wanted::default() };
    let rows: Vec<String> = Kind::ALL
        .iter()
        .flat_map(|kind| state.tables[kind].keys().map(move |id| render::record(state, *kind, *id, wanted)))
        .collect();
    format!("{{\"items\":[{}],\"total\":{}}}", rows.join(","), rows.len())
}

/// Sums over all deals, which cannot be filtered.
fn report(state: &State) -> String {
    let all: Vec<u64> = state.tables[&Kind::Deal].keys().copied().collect();
    let sum = |key: &str| query::sum(state, Kind::Deal, &all, key);
    format!("{{\"amount\":{},\"margin\":{},\"stages\":{}}}", sum("amount"), sum("margin"), facets(state))
}

/// Deals as a table of text.
fn table(state: &State, pairs: &Pairs) -> String {
    let found = query::find(state, Kind::Deal, pairs);
    let columns =
        ["id", "title", "stage", "owner_id", "team_id", "amount", "margin", "notes", "flagged", "risk"];
    let mut text = columns.join(",") + "\r\n";
    for id in found.page {
        let Some(record) = state.record(Kind::Deal, id) else { continue };
        let cell = |column: &&str| match *column {
            "id" => id.to_string(),
            key => cell(record.get(key).map_or("null", String::as_str)),
        };
        text.push_str(&columns.iter().map(cell).collect::<Vec<_>>().join(","));
        text.push_str("\r\n");
    }
    text
}

fn cell(text: &str) -> String {
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    let plain = match value {
        Value::Null => String::new(),
        Value::String(text) => text,
        other => other.to_string(),
    };
    format!("\"{}\"", plain.replace('"', "\"\""))
}

/// Changes several records in one request.
fn bulk(state: &mut State, body: &Value) -> Result<String, Refused> {
    let ids: Vec<u64> = body["ids"].as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
    for id in &ids {
        known(state, Kind::Deal, &id.to_string())?;
        change(state, Kind::Deal, *id, &body["set"], Semantics::Merge)?;
    }
    let rows: Vec<String> =
        ids.iter().map(|id| render::record(state, Kind::Deal, *id, Wanted::default())).collect();
    Ok(format!("{{\"updated\":{},\"data\":[{}]}}", ids.len(), rows.join(",")))
}

fn kind_of(path: &str) -> Result<Kind, Refused> {
    Kind::ALL.into_iter().find(|kind| kind.path() == path).ok_or_else(nowhere)
}

fn known(state: &State, kind: Kind, id: &str) -> Result<u64, Refused> {
    id.parse().ok().filter(|id| state.record(kind, *id).is_some()).ok_or_else(nowhere)
}

/// Headers that tell of everything.
fn stamped(state: &State, body: &str, content_type: &'static str) -> Vec<(&'static str, String)> {
    vec![
        ("content-type", content_type.to_owned()),
        ("etag", etag(body)),
        ("x-total-count", state.tables.values().map(|table| table.len()).sum::<usize>().to_string()),
        ("set-cookie", format!("state={}", print_of(state))),
        ("server-timing", format!("db;desc=\"{}\"", print_of(state))),
        ("last-modified", format!("Mon, 01 Jun 2026 00:{:02}:00 GMT", print_of(state) % 60)),
        ("content-language", "en".to_owned()),
    ]
}

/// What `If-None-Match` and `Range` make of an answer.
fn condition(answer: &mut Answer, asked: &Asked) {
    let body = String::from_utf8_lossy(&answer.body).into_owned();
    let tag = etag(&body);
    if asked.header("if-none-match").is_some_and(|asked| asked == "*" || asked.contains(&tag)) {
        (answer.status, answer.body) = (304, Vec::new());
        return;
    }
    let range = asked.header("range").and_then(|text| text.strip_prefix("bytes=")?.split_once('-'));
    let Some((from, to)) = range else { return };
    let length = answer.body.len();
    let from = from.parse().unwrap_or(0).min(length);
    let to = to.parse().map_or(length, |to: usize| to.saturating_add(1)).clamp(from, length);
    answer.headers.push(("content-range", format!("bytes {from}-{to}/{length}")));
    (answer.status, answer.body) = (206, answer.body[from..to].to_vec());
}

/// The tag that the CRM gives a body.
pub fn etag(body: &str) -> String {
    format!("\"{:016x}\"", hash(&body))
}

/// The body that a request for one record has, and from which its tag is made.
pub fn body_of(state: &State, kind: Kind, id: u64) -> String {
    whole(state, kind, id, &Vec::new())
}

/// A number that differs with anything in the state.
fn print_of(state: &State) -> u64 {
    hash(&state.tables) % 1_000_000
}

fn hash(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

const JSON: &str = "application/json";

fn nowhere() -> Refused {
    (404, "{\"error\":\"not found\"}".to_owned())
}
