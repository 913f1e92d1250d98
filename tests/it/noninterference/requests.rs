//! Random requests over the whole grammar of the model CRM's API, hostile ones included.
//!
//! A new kind of request is a function and a line of [`GRAMMAR`]. Guesses are drawn from both states, so that a filter, a tag or a
//! value that is sent back often hits what is hidden in one of them.

use std::collections::BTreeMap;
use std::fmt;

use lockkeeper::testkit::dice::Dice;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::bundle::Pages;
use super::hostile;
use super::model::answer::{body_of, etag};
use super::model::{Edit, Kind, Record, State};
use super::vary::Rows;

/// A request, as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    pub method: &'static str,
    pub target: String,
    /// `Name: value`
    pub headers: Vec<String>,
    pub body: Option<String>,
}

/// What requests are drawn from.
pub struct Scene<'a> {
    pub rows: Rows,
    /// How each list is paged.
    pub pages: &'a BTreeMap<Kind, Pages>,
    pub states: [&'a State; 2],
    /// How they differ.
    pub edits: &'a [Edit],
}

impl Ask {
    pub fn new(method: &'static str, target: impl Into<String>) -> Self {
        Self { method, target: target.into(), headers: Vec::new(), body: None }
    }

    pub fn with(method: &'static str, target: impl Into<String>, body: String) -> Self {
        Self { body: Some(body), ..Self::new(method, target) }
    }

    /// The bytes of a request that keeps its connection.
    pub fn bytes(&self, key: &str, last_tag: &str) -> Vec<u8> {
        let Self { method, target, headers, body } = self;
        let mut text = format!("{method} {target} HTTP/1.1\r\nHost: lockkeeper.test\r\n{key}\r\n");
        headers.iter().for_each(|line| text.push_str(&format!("{}\r\n", line.replace(LAST_TAG, last_tag))));
        if let Some(body) = body {
            text.push_str(&format!("Content-Length: {}\r\n", body.len()));
            if !headers.iter().any(|line| line.starts_with("Content-Type:")) {
                text.push_str("Content-Type: application/json\r\n");
            }
        }
        text.push_str("\r\n");
        text.push_str(body.as_deref().unwrap_or_default());
        text.into_bytes()
    }

    /// The same request with less in it, in every way that one step takes.
    pub fn simpler(&self) -> Vec<Self> {
        let mut simpler = Vec::new();
        for index in 0..self.headers.len() {
            let mut less = self.clone();
            less.headers.remove(index);
            simpler.push(less);
        }
        if let Some((path, query)) = self.target.split_once('?') {
            let pairs: Vec<&str> = query.split('&').collect();
            for index in 0..pairs.len() {
                let mut rest = pairs.clone();
                rest.remove(index);
                let target =
                    if rest.is_empty() { path.to_owned() } else { format!("{path}?{}", rest.join("&")) };
                simpler.push(Self { target, ..self.clone() });
            }
        }
        if let Some(Ok(Value::Object(members))) = self.body.as_deref().map(serde_json::from_str::<Value>) {
            for key in members.keys() {
                let mut rest = members.clone();
                rest.remove(key);
                simpler.push(Self { body: Some(Value::Object(rest).to_string()), ..self.clone() });
            }
        }
        simpler
    }
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.target)?;
        self.headers.iter().try_for_each(|line| write!(f, " [{line}]"))?;
        self.body.iter().try_for_each(|body| write!(f, " {body}"))
    }
}

/// Draws a sequence.
pub fn sequence(scene: &Scene<'_>, dice: &mut Dice) -> Vec<Ask> {
    (0..1 + dice.below(SEQUENCE_MAX)).map(|_| ask(scene, dice)).collect()
}

fn ask(scene: &Scene<'_>, dice: &mut Dice) -> Ask {
    let mut number = dice.below(GRAMMAR.iter().map(|(weight, _)| weight).sum());
    let chosen = GRAMMAR.iter().find(|(weight, _)| match number.checked_sub(*weight) {
        Some(rest) => {
            number = rest;
            false
        }
        None => true,
    });
    let ask = chosen.map(|(_, make)| make(scene, dice)).unwrap();
    match dice.one_in(7) {
        true => hostile::twisted(ask, scene, dice),
        false => ask,
    }
}

type Make = fn(&Scene<'_>, &mut Dice) -> Ask;

/// Every kind of request, with how often it is drawn.
const GRAMMAR: &[(usize, Make)] = &[
    (9, one),
    (12, list),
    (4, page),
    (4, through),
    (2, search),
    (2, recent),
    (2, table),
    (1, |_, _| Ask::new("GET", "/report")),
    (1, |scene, dice| Ask::new("GET", format!("/deals/{}/history", id(scene, Kind::Deal, dice)))),
    (3, create),
    (5, patch),
    (4, patch_contact),
    (3, wrong),
    (3, other_id),
    (2, put),
    (3, step),
    (1, |scene, dice| Ask::new("DELETE", format!("/deals/{}", id(scene, Kind::Deal, dice)))),
    (3, bulk),
];

fn kind(dice: &mut Dice) -> Kind {
    *dice.one_of(&[Kind::Deal, Kind::Deal, Kind::Contact, Kind::Company])
}

/// The id of a record in one of the states, often of one that differs, or near one.
pub fn id(scene: &Scene<'_>, kind: Kind, dice: &mut Dice) -> u64 {
    // Whole records that differ are hidden ones.
    let is_in_part = !dice.one_in(3);
    let differs = scene.edits.iter().filter(|edit| matches!(edit, Edit::Set { .. }) == is_in_part);
    let differs = differs.map(Edit::place).filter(|(of, _)| *of == kind);
    let mut differs: Vec<u64> = differs.map(|(_, id)| id).collect();
    if kind == Kind::Deal && dice.one_in(2) {
        differs = around(scene);
    }
    if !differs.is_empty() && dice.one_in(2) {
        return *dice.one_of(&differs);
    }
    let ids: Vec<u64> = scene.states[dice.below(2)].tables[&kind].keys().copied().collect();
    match ids.get(dice.below(ids.len().max(1))) {
        Some(id) if !dice.one_in(12) => *id,
        Some(id) => id + 1,
        None => 1,
    }
}

/// Deals that are written with a contact that differs.
fn around(scene: &Scene<'_>) -> Vec<u64> {
    let contacts = scene.edits.iter().map(Edit::place).filter(|(kind, _)| *kind == Kind::Contact);
    let contacts: Vec<String> = contacts.map(|(_, id)| id.to_string()).collect();
    let deals = scene.states[0].tables[&Kind::Deal].iter();
    let is_with = |deal: &Record| deal.get("contact_id").is_some_and(|id| contacts.contains(id));
    deals.filter(|(_, deal)| is_with(deal)).map(|(id, _)| *id).collect()
}

/// What a record of one of the states holds under a key.
pub fn held(scene: &Scene<'_>, kind: Kind, key: &str, dice: &mut Dice) -> String {
    let id = id(scene, kind, dice);
    let record = scene.states[dice.below(2)].record(kind, id);
    record.and_then(|record| record.get(key)).cloned().unwrap_or_else(|| "null".to_owned())
}

/// A value as it stands in a query.
fn plain(text: &str) -> String {
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    let text = value.as_str().map_or_else(|| text.to_owned(), str::to_owned);
    utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string()
}

fn get(dice: &mut Dice) -> &'static str {
    if dice.one_in(10) { "HEAD" } else { "GET" }
}

fn one(scene: &Scene<'_>, dice: &mut Dice) -> Ask {
    let kind = kind(dice);
    let id = id(scene, kind, dice);
    let mut pairs = Vec::new();
    if dice.one_in(4) {
        pairs.push(format!("select={}", names(scene, kind, dice)));
    }
    if dice.one_in(4) {
        pairs.push(format!(
            "expand={}",
            dice.pick(&["contact", "company,contact", "none", "deals", "contacts,x"])
        ));
    }
    let mut ask = Ask::new(get(dice), with_query(format!("/{}/{id}", kind.path()), &pairs));
    if dice.one_in(if pairs.is_empty() { 2 } else { 6 }) {
        let body = body_of(scene.states[dice.below(2)], kind, id);
        let name = dice.pick(&["If-None-Match", "If-Match"]);
        let tag = match dice.below(8) {
            0 => "*".to_owned(),
            1..4 => LAST_TAG.to_owned(),
            _ => etag(&body),
        };
        ask.headers.push(format!("{name}: {tag}"));
    }
    ask
}

fn list(scene: &Scene<'_>, dice: &mut Dice) -> Ask {
    let kind = kind(dice);
    let mut pairs = Vec::new();
    // One thing at a time, as a rule: a request is refused for any part of it.
    for _ in 0..*dice.one_of(&[0, 1, 1, 1, 1, 2, 3]) {
        pairs.push(match dice.below(9) {
            0..3 => condition(scene, kind, dice),
            3 if kind == Kind::Deal => {
                let direction = dice.pick(&["desc", "asc", "DESC", "down"]);
                format!("order_by={}%20{direction}", key(scene, kind, dice))
            }
            3..6 => format!("sort={}{},id", dice.pick(&["", "-"]), key(scene, kind, dice)),
            6 => format!("select={}", names(scene, kind, dice)),
            7 => format!("expand={}", dice.pick(&["contact", "company", "none", "deals", "contact,company"])),
            _ => match place(scene, kind, dice) {
                Some(place) => place,
                None => continue,
            },
        });
    }
    Ask::new(get(dice), with_query(format!("/{}", kind.path()), &pairs))
}

/// A page in some order; where rows come and go and pages are short, a list in that order.
fn page(scene: &Scene<'_>, dice: &mut Dice) -> Ask {
    let kind = kind(dice);
    let keys: &[&str] = match kind {
        Kind::Deal => &["title", "stage", "owner_id", "amount"],
        Kind::Contact | Kind::Company => &["name", "owner_id"],
    };
    let mut pairs = vec![format!("sort={}{}", dice.pick(&["", "-"]), dice.pick(keys))];
    pairs.extend(place(scene, kind, dice));
    if scene.pages[&kind] != Pages::Short && dice.one_in(3) {
        pairs.remove(0);
    }
    Ask::new("GET", with_query(format!("/{}", kind.path()), &pairs))
}

/// Which page is wanted. Where rows come and go, short pages tell: that is a named exception.
fn place(scene: &Scene<'_>, kind: Kind, dice: &mut Dice) -> Option<String> {
    let (number, length) = (dice.below(4), 1 + dice.below(6));
    let strange = dice.pick(&["0", "-1", "01", "x", "", "1e1", "99"]);
    match scene.pages[&kind] {
        Pages::Short if scene.rows == Rows::Change => None,
        Pages::FullByOffset if dice.one_in(12) => Some(format!("limit={strange}&offset={number}")),
        Pages::FullByOffset => Some(format!("limit={length}&offset={}", number * 2)),
        Pages::FullByNumber if dice.one_in(12) => Some(format!("page={strange}&per_page={length}")),
        Pages::Short | Pages::FullByNumber => Some(format!("page={}&per_page={length}", 1 + number)),
    }
}

/// A filter, in one of the forms.
fn condition(scene: &Scene<'_>, kind: Kind, dice: &mut Dice) -> String {
    let key = key(scene, kind, dice);
    let value = plain(&held(scene, kind, &key, dice));
    let operator =
        dice.pick(&["gte", "lte", "eq", "ne", "gt", "contains", "startswith", "isnull", "in", "regex"]);
    match dice.below(6) {
        0 => format!("{key}={value}"),
        1 => format!("filter[{key}]={value}"),
        2 => format!("filter%5B{key}%5D%5B{operator}%5D={value}"),
        3 => {
            let inner = dice.pick(&["contact.email", "company.credit", "contact.name", "address.city"]);
            let of = inner.split('.').next_back().unwrap_or_default();
            format!(
                "{inner}={}",
                plain(&held(
                    scene,
                    if inner.starts_with("contact") { Kind::Contact } else { Kind::Company },
                    of,
                    dice
                ))
            )
        }
        4 => {
            let (value, joined) = (held(scene, kind, &key, dice), dice.pick(&["and", "or"]));
            let clause = format!("{{\"field\":\"{key}\",\"op\":\"{operator}\",\"value\":{value}}}");
            let tree = format!("{{\"{joined}\":[{clause}]}}");
            format!("filter={}", utf8_percent_encode(&tree, NON_ALPHANUMERIC))
        }
        _ => format!("{key}__{operator}={value}"),
    }
}

/// A list of deals in the order of what a record beside them holds, or filtered by it.
fn through(scene: &Scene<'_>, dice: &mut Dice) -> Ask {
    let of = *dice.one_of(&[Kind::Contact, Kind::Company]);
    let relation = if of == Kind::Contact { "contact" } else { "company" };
    let differs = scene.edits.iter().filter_map(|edit| match edit {
        Edit::Set { kind, key, .. } if *kind == of => Some(key.as_str()),
        _ => None,
    });
    let differs: Vec<&str> = differs.collect();
    let key = match differs.is_empty() || dice.one_in(4) {
        true => *dice.one_of(of.keys()),
        false => *dice.one_of(&differs),
    };
    let pair = match dice.one_in(2) {
        true => format!("sort={}{relation}.{key}", dice.pick(&["", "-"])),
        false => format!("filter[{relation}.{key}]={}", plain(&held(scene, of, key, dice))),
    };
    Ask::new(get(dice), format!("/deals?{pair}"))
}

fn search(scene: &Scene<'_>, dice: &mut Dice) -> Ask {
    let kind = kind(dice);
    let key = dice.pick(super::model::query::searched(kind));
    let word = plain(&held(scene, kind, key, dice));
    let start: String = word.chars().take(1 + dice.below(8)).filter(|c| c.is_ascii_alphanumeric()).collect();
    Ask::new("GET", format!("/{}?q={start}", kind.path()))
}

fn recent(_: &Scene<'_>, dice: &mut Dice) -> Ask {
    Ask::new(get(dice), "/recent")
}

fn table(_: &Scene<'_>, dice: &mut Dice) -> Ask {
    let query = dice.pick(&["", "", "?stage=won", "?sort=-title", "?sort=margin", "?sort=amount"]);
    Ask::new(get(dice), format!("/deals.csv{query}"))
}

fn key(scene: &Scene<'_>, kind: Kind, dice: &mut Dice) -> String {
    let differs = scene.edits.iter().filter_map(|edit| match edit {
        Edit::Set { kind: of, key, .. } if *of == kind => Some(key.clone()),
        _ => None,
    });
    let differs: Vec<String> = differs.collect();
    match dice.below(12) {
        2..7 if !differs.is_empty() => dice.one_of(&differs).clone(),
        0 if dice.one_in(2) => dice.one_of(kind.twins()).0.to_owned(),
        0 => dice.pick(&["contact.email", "contact.name", "company.credit", "company.name"]).to_owned(),
        1 => dice.pick(&["id", "kind", "nothing", "cf_1", "address", "Margin", "constructor"]).to_owned(),
        _ => (*dice.one_of(kind.keys())).to_owned(),
    }
}

fn names(scene: &Scene<'_>, kind: Kind, dice: &mut Dice) -> String {
    let names: Vec<String> = (0..1 + dice.below(3)).map(|_| key(scene, kind, dice)).collect();
    let more = dice.pick(&["", "", ",contact", ",contact.email", ",*", ",company.credit,company.name"]);
    names.join(",") + more
}

fn with_query(path: String, pairs: &[String]) -> String {
    if pairs.is_empty() { path } else { format!("{path}?{}", pairs.join("&")) }
}

/// Some keys with values: such as one might want, and such as one of the states holds.
pub fn members(scene: &Scene<'_>, kind: Kind, dice: &mut Dice) -> Vec<(String, String)> {
    let mut members = Vec::new();
    for _ in 0..1 + dice.below(4) / 2 {
        let key = Some(key(scene, kind, dice)).filter(|key| key != "id").unwrap_or("title".to_owned());
        let value = match dice.below(3) {
            0 => held(scene, kind, &key, dice),
            1 => dice
                .pick(&["null", "\"no number\"", "\"\"", "\"***\"", "0", "{}", "[]", "\"new\""])
                .to_owned(),
            _ => super::model::random_value(&key, dice),
        };
        members.push(match key.split_once('.') {
            Some((outer, inner)) => (outer.to_owned(), format!("{{\"{inner}\":{value}}}")),
            None => (key, value),
        });
    }
    if dice.one_in(16) {
        members.push(("id".to_owned(), id(scene, kind, dice).to_string()));
    }
    if dice.one_in(16) {
        let inside = dice.pick(&["null", "{\"id\":110}", "{\"email\":\"x\"}", "[]"]);
        members.push((dice.pick(&["contact", "company", "deals"]).to_owned(), inside.to_owned()));
    }
    members
}

fn object(members: &[(String, String)]) -> String {
    let members: Vec<String> = members.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

fn unique(mut members: Vec<(String, String)>) -> Vec<(String, String)> {
    members.sort();
    members.dedup_by(|(a, _), (b, _)| a == b);
    members
}

fn create(scene: &Scene<'_>, dice: &mut Dice) -> Ask {
    let mut members = members(scene, Kind::Deal, dice);
    members.push(("title".to_owned(), "\"made\"".to_owned()));
    members.push(("owner_id".to_owned(), dice.pick(&["11", "12", "13", "14"]).to_owned()));
    Ask::with("POST", "/deals", object(&unique(members)))
}

fn patch(scene: &Scene<'_>, dice: &mut Dice) -> Ask {
    let id = id(scene, Kind::Deal, dice);
    let body = object(&unique(members(scene, Kind::Deal, dice)));
    let mut ask = Ask::with("PATCH", format!("/deals/{id}"), body);
    if dice.one_in(6) {
        let tag = etag(&body_of(scene.states[dice.below(2)], Kind::Deal, id));
        ask.headers.push(format!("If-Match: {}", if dice.one_in(2) { LAST_TAG } else { &tag }));
    }
    ask
}

fn patch_contact(scene: &Scene<'_>, dice: &mut Dice) -> Ask {
    let target = format!("/contacts/{}", id(scene, Kind::Contact, dice));
    Ask::with("PATCH", target, object(&unique(members(scene, Kind::Contact, dice))))
}

/// A change that the CRM does not take, and whose error says what it holds.
fn wrong(scene: &Scene<'_>, dice: &mut Dice) -> Ask {
    let kind = *dice.one_of(&[Kind::Deal, Kind::Contact]);
    let keys: &[&str] = match kind {
        Kind::Deal => &["amount", "owner_id", "flagged", "team_id", "address"],
        Kind::Contact | Kind::Company => &["owner_id", "vip", "team_id"],
    };
    let body = format!("{{\"{}\":\"no such value\"}}", dice.pick(keys));
    Ask::with("PATCH", format!("/{}/{}", kind.path(), id(scene, kind, dice)), body)
}

/// A change whose body names another record than its path.
fn other_id(scene: &Scene<'_>, dice: &mut Dice) -> Ask {
    let kind = *dice.one_of(&[Kind::Deal, Kind::Contact]);
    let key = if kind == Kind::Deal { "title" } else { "name" };
    let (id, other) = (id(scene, kind, dice), id(scene, kind, dice));
    Ask::with("PATCH", format!("/{}/{id}", kind.path()), format!("{{\"id\":{other},\"{key}\":\"taken\"}}"))
}

/// A record as it stands in one of the states, with all or some of its keys.
fn put(scene: &Scene<'_>, dice: &mut Dice) -> Ask {
    let id = id(scene, Kind::Deal, dice);
    let record = scene.states[dice.below(2)].record(Kind::Deal, id).cloned().unwrap_or_default();
    let mut members: Vec<(String, String)> = record.into_iter().filter(|_| !dice.one_in(8)).collect();
    members.retain(|(key, _)| !key.contains('.'));
    if dice.one_in(2) {
        members.extend(self::members(scene, Kind::Deal, dice));
    }
    Ask::with("PUT", format!("/deals/{id}"), object(&unique(members)))
}

fn step(scene: &Scene<'_>, dice: &mut Dice) -> Ask {
    let stage = dice.pick(&["lead", "talk", "won", "won", "lead", "legacy"]);
    let id = id(scene, Kind::Deal, dice);
    match dice.one_in(3) {
        true => Ask::with("PATCH", format!("/deals/{id}"), format!("{{\"stage\":\"{stage}\"}}")),
        false => Ask::with("POST", format!("/deals/{id}/move"), format!("{{\"stage\":\"{stage}\"}}")),
    }
}

fn bulk(scene: &Scene<'_>, dice: &mut Dice) -> Ask {
    let mut ids: Vec<u64> = (0..1 + dice.below(2)).map(|_| id(scene, Kind::Deal, dice)).collect();
    // One that is there in one of the states only, behind one that is perhaps not to be written so.
    let [one, other] = scene.states.map(|state| &state.tables[&Kind::Deal]);
    let alone: Vec<u64> = one
        .keys()
        .chain(other.keys())
        .filter(|id| !(one.contains_key(id) && other.contains_key(id)))
        .copied()
        .collect();
    if !alone.is_empty() && !dice.one_in(3) {
        ids.push(*dice.one_of(&alone));
    }
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let set = object(&unique(members(scene, Kind::Deal, dice)));
    Ask::with("POST", "/deals/bulk", format!("{{\"ids\":[{}],\"set\":{set}}}", ids.join(",")))
}

const SEQUENCE_MAX: usize = 8;
/// Stands for the tag that the caller was given last.
pub const LAST_TAG: &str = "{last tag}";
