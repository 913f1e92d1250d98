//! A draft's first file of cases: that nothing is permitted yet. Whoever writes a policy changes the cases that it is about.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::json::path::{JsonPath, Segment};
use crate::model::access::{Action, Scope};
use crate::workbench::init::names::toml_text;
use crate::workbench::init::{Draft, DraftRoute};

/// The cases as TOML.
pub fn toml(draft: &Draft<'_>) -> String {
    let mut text = HEAD.to_owned();
    let shown: Vec<_> = draft.types.iter().enumerate().take(TYPES_MAX).collect();
    for (_, found) in &shown {
        let name = &found.name;
        let _ = writeln!(text, "\n[records.{name}]\ntype = \"{name}\"\nid = \"1\"\nattributes = {{}}");
    }
    for (index, found) in shown {
        let name = &found.name;
        let actions: Vec<String> =
            actions(draft, index).into_iter().map(|action| format!("\"{}\"", action.name())).collect();
        for principal in ["person", "machine"] {
            let _ = writeln!(
                text,
                "\n[[case]]\nname = \"a {principal} may do nothing with a {name} and sees nothing of it\"\nprincipal = \"{principal}\"\nrecord = \"{name}\"\ndeny = [{}]\nhidden = [\"others\"]",
                actions.join(", ")
            );
        }
    }
    let reads = draft.routes.iter().filter_map(|route| Some((route, read(route, draft)?)));
    for (route, read) in reads.take(READS_MAX) {
        let _ = writeln!(
            text,
            "\n[[case]]\nname = {}\nprincipal = \"person\"\nrequest = {}\nanswer = {{ json = {} }}\nexpect = \"deny\"",
            toml_text(&format!("nobody is shown {} yet", route.label)),
            toml_text(&read.request),
            toml_text(&read.answer)
        );
    }
    text
}

/// A request, and what the CRM would answer.
struct Read {
    request: String,
    answer: String,
}

/// A read of the one record that the cases know.
fn read(route: &DraftRoute<'_>, draft: &Draft<'_>) -> Option<Read> {
    let described =
        route.in_force().filter(|described| described.id.is_none() && described.before.is_none())?;
    let reads = matches!(described.action, Action::View | Action::List | Action::Search | Action::Export);
    let path = JsonPath::parse(described.records.as_deref().filter(|_| reads)?).ok()?;
    let id = match route.label.contains("{id:uuid}") {
        true => json!(UUID),
        false if route.label.contains("{id:int}") => json!(1),
        false => json!("1"),
    };
    let record = json!({draft.types.get(described.type_index)?.id: id});
    let around = |inner: Value, segment: &Segment| match segment {
        Segment::Key(key) => json!({key: inner}),
        Segment::EachItem | Segment::Index(_) => json!([inner]),
        Segment::EachMember => json!({"1": inner}),
    };
    let answer = path.segments().iter().rev().fold(record, around).to_string();
    Some(Read { request: request(&route.label)?, answer })
}

/// What routes ask about a record of a type: to view it at least.
fn actions(draft: &Draft<'_>, type_index: usize) -> Vec<Action> {
    let described = draft.routes.iter().filter_map(DraftRoute::in_force);
    let own =
        described.filter(|described| described.type_index == type_index).map(|described| described.action);
    // A creation has no record yet, and a move is about its stages.
    let is_on_record = |action: &Action| {
        action.scope() != Scope::Collection && !matches!(action, Action::Create | Action::MoveStage)
    };
    let on_record = own.filter(is_on_record);
    let mut actions: Vec<Action> = std::iter::once(Action::View).chain(on_record).collect();
    actions.sort_unstable();
    actions.dedup();
    actions
}

/// A request that the route matches; none if its path has other than plain letters.
fn request(label: &str) -> Option<String> {
    let path = label.split_once(' ')?.1;
    let mut request = String::from("GET ");
    let mut rest = path;
    while let Some((literal, after)) = rest.split_once('{') {
        let (parameter, after) = after.split_once('}')?;
        let value = match parameter.split_once(':') {
            Some((_, "uuid")) => UUID,
            Some(_) | None => "1",
        };
        request.push_str(literal);
        request.push_str(value);
        rest = after;
    }
    request.push_str(rest);
    let is_plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.' | '~' | '(' | ')');
    request.strip_prefix("GET ")?.chars().all(is_plain).then_some(request)
}

const HEAD: &str = "\
# Drafted by `lockkeeper init`: nothing is permitted yet. A policy that permits something makes cases fail: change those.
cases = 1
now   = \"2026-01-05T12:00:00Z\"

[people]
person  = { is = 'User::\"anna\"', in = ['Role::\"rep\"'] }
machine = { is = 'Service::\"integration\"' }
";
/// Types that have cases of their own.
const TYPES_MAX: usize = 20;
/// Reads that have a case.
const READS_MAX: usize = 40;
/// An id, where it must be a UUID.
const UUID: &str = "00000000-0000-4000-8000-000000000001";
