//! Reads the `[[routes]]` of a profile.
//!
//! Promises: a route that cannot be read whole is left out and noted with its place.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Also, ErrorRule, HiddenRows, HiddenValues, MissingRecord, Route, RouteLimits, Success, When,
    WriteSemantics, Writes,
};
use super::{body, condition, version};
use crate::bundle::profile::csv;
use crate::bundle::profile::pages;
use crate::bundle::profile::push::{self, Exactness};
use crate::bundle::profile::query;
use crate::bundle::profile::refill;
use crate::bundle::profile::shape::{self, Tells};
use crate::bundle::profile::source::{
    ActionSource, IdSource, LinkSource, StageSource, TypeSource, read_action,
};
use crate::bundle::profile::template::Template;
use crate::bundle::profile::transit;
use crate::bundle::profile::types::key_paths;
use crate::config::reader::{Item, Table, Text};
use crate::json::path::JsonPath;

/// Reads the `[[routes]]` list: the routes, and the labels of those that could not be read.
pub fn read(tables: Vec<Table<'_>>) -> (Vec<Route>, BTreeSet<String>) {
    let (mut routes, mut unread) = (Vec::new(), BTreeSet::new());
    for table in tables {
        match read_route(&table) {
            Some(route) => routes.push(route),
            None => {
                let label = table.item("match").filter(Item::is_text).and_then(Item::text);
                unread.extend(
                    label.and_then(|label| Template::parse(&label.value).ok()).map(|t| t.to_string()),
                );
            }
        }
    }
    (routes, unread)
}

fn read_route(table: &Table<'_>) -> Option<Route> {
    let label = table.required("match", "Write method and path, e.g. `match = \"GET /deals/{id}\"`.");
    let template = label.as_ref().and_then(|label| read_template(table, label));
    let identity = transit::read_identity(table);
    let pass = transit::read_pass(table, identity);
    let refuse = table.text("refuse");
    let is_read = pass.is_none() && (refuse.is_none() || table.item("action").is_some());
    let action = if is_read { ActionSource::read(table) } else { None };
    let id = IdSource::read(table);
    let shape = shape::read(table);
    let push_down = table.table("push_down").and_then(|push| push::read(&push));
    let refill = table.table("refill").and_then(|refill| refill::read(&refill));
    let pages = pages::read(table);
    let is_exact = push_down.as_ref().is_some_and(|push| push.exactness == Exactness::Exact);
    let counts_rows = shape.totals.iter().any(|total| total.tells == Tells::Rows);
    let tells = is_exact || counts_rows || !pages.are_none();
    let route = Route {
        pushed_shape: tells.then(|| shape.telling_totals(&pages.places)),
        refilled_shape: refill.is_some().then(|| shape.telling_totals(&[])),
        pages,
        push_down,
        refill,
        template: template?,
        span: label.map_or(0..0, |label| label.span),
        name: table.text("label").map(|text| text.value),
        when: condition::read(table),
        over: table.texts("over").unwrap_or_default(),
        identity,
        pass: pass.map(|text| text.value),
        transit: transit::read(table, identity, action.as_ref()),
        refuse: refuse.map(|text| text.value),
        type_source: TypeSource::read(table, "type"),
        id,
        covers: key_paths(table, "covers"),
        links: LinkSource::read_all(table),
        also: table.item("also").map(read_also).unwrap_or_default(),
        shape,
        errors: table.item("errors").map(read_errors).unwrap_or_default(),
        query: table.table("query").map(|query| query::read::read(&query)).unwrap_or_default(),
        reads: table.table("reads").map(|reads| query::read::read_body(&reads)).unwrap_or_default(),
        headers: table
            .table("headers")
            .map(|headers| query::read::read_headers(&headers))
            .unwrap_or_default(),
        before: table.text("before"),
        version: version::read(table),
        missing: read_missing(table),
        prune: table.text("prune").and_then(|at| shape::json_path(table, &at)),
        unbounded: table
            .item("unbounded")
            .filter(|item| item.boolean() == Some(true))
            .map(|item| item.span()),
        writes: table.table("writes").and_then(|writes| read_writes(&writes)),
        to: StageSource::read(table),
        body: body::read(table),
        hidden_rows: read_hidden_rows(table),
        csv: table.table("csv").and_then(|csv| csv::read(&csv)),
        success: table.table("success").and_then(|success| read_success(&success)),
        requires: table.texts("requires").unwrap_or_default(),
        limits: table.table("limits").map(|limits| read_limits(&limits)).unwrap_or_default(),
        action,
    };
    table.finish();
    (route.pass.is_some() || route.refuse.is_some() || route.action.is_some()).then_some(route)
}

fn read_template(table: &Table<'_>, label: &Text) -> Option<Template> {
    match Template::parse(&label.value) {
        Ok(template) => Some(template),
        Err(why) => {
            let help = "A template looks like `PATCH /deals/{id:int}`.";
            table.reading().error(
                label.span.clone(),
                format!("`{}` is not a route: {why}", label.value),
                help,
            );
            None
        }
    }
}

fn read_also(item: Item<'_>) -> Vec<Also> {
    let read_one = |item: Item<'_>| -> Option<Also> {
        let table = item.table()?;
        let action = table.required("action", "Name the action that the body calls for.");
        let when = table.table("when");
        if when.is_none() {
            table.reading().error(
                table.span(),
                "`when` is missing",
                "Say when, e.g. `when = { at = \"$.deleted\", is = [true] }`.",
            );
        }
        let when = when?;
        let at = when.required("at", "Say where in the body.");
        let is = when.item("is").map(|item| item.list().into_iter().filter_map(Item::scalar_json).collect());
        let changes = when.boolean("changes").unwrap_or(false);
        when.finish();
        table.finish();
        let condition = match (is, changes) {
            (Some(values), _) => When::Is(values),
            (None, true) => When::Changes,
            (None, false) => When::Present,
        };
        Some(Also {
            action: read_action(item, &action?)?,
            at: shape::json_path(&table, &at?)?,
            when: condition,
        })
    };
    item.list().into_iter().filter_map(read_one).collect()
}

fn read_errors(item: Item<'_>) -> Vec<ErrorRule> {
    let read_one = |item: Item<'_>| -> Option<ErrorRule> {
        let table = item.table()?;
        let statuses = table.item("status").map(Item::list).unwrap_or_default();
        let statuses = statuses.into_iter().filter_map(|item| item.integer(200..=499));
        let statuses = statuses.filter_map(|status| u16::try_from(status).ok()).collect();
        let shape = shape::read(&table);
        table.finish();
        Some(ErrorRule { statuses, shape })
    };
    item.list().into_iter().filter_map(read_one).collect()
}

fn read_success(table: &Table<'_>) -> Option<Success> {
    let at = table.required("at", "Say where the answer tells, e.g. `$.success`.");
    let is = table.item("is").map(Item::list).unwrap_or_default();
    let is: Vec<String> = is.into_iter().filter_map(Item::scalar_json).collect();
    table.finish();
    if is.is_empty() {
        table.reading().error(
            table.span(),
            "`is` is missing",
            "List what a success says there, e.g. `is = [true]`.",
        );
    }
    Some(Success { at: shape::json_path(table, &at?)?, is })
}

fn read_writes(table: &Table<'_>) -> Option<Writes> {
    let at = table.text("at").unwrap_or(Text { value: "$".to_owned(), span: table.span() });
    let semantics = table.text("semantics");
    let clears = table.texts("clears").unwrap_or_default();
    let ignored = table.texts("ignored").unwrap_or_default();
    let hidden = read_hidden_values(table);
    let resend = table.table("resend").map(|resend| read_resend(&resend, &clears)).unwrap_or_default();
    let defaults = table.table("defaults").map(|defaults| {
        let entries = defaults.entries().into_iter();
        entries.filter_map(|(key, item)| Some((key.value, item.scalar_json()?))).collect()
    });
    table.finish();
    let semantics = match semantics.as_ref().map(|text| text.value.as_str()) {
        None | Some("merge") => WriteSemantics::Merge,
        Some("replace") => WriteSemantics::Replace,
        Some(other) => {
            let span = semantics.as_ref().map_or(0..0, |text| text.span.clone());
            table.reading().error(
                span,
                format!("`{other}` is not a meaning of writes"),
                "There are merge and replace.",
            );
            return None;
        }
    };
    if let (WriteSemantics::Replace, Some(first)) = (semantics, clears.first()) {
        table.reading().error(
            first.span.clone(),
            "a replacement erases whatever it leaves out",
            "Leave out `clears`.",
        );
    }
    Some(Writes {
        at: shape::json_path(table, &at)?,
        semantics,
        clears: clears.into_iter().map(|text| vec![text.value]).collect(),
        ignored: ignored.into_iter().map(|text| text.value).collect(),
        hidden,
        resend,
        defaults: defaults.unwrap_or_default(),
    })
}

fn read_hidden_values(table: &Table<'_>) -> HiddenValues {
    let Some(text) = table.text("hidden") else { return HiddenValues::Refuse };
    match text.value.as_str() {
        "refuse" => HiddenValues::Refuse,
        "keep" => HiddenValues::Keep,
        other => {
            let message = format!("`{other}` is not what becomes of hidden values");
            table.reading().error(text.span, message, "There are refuse and keep.");
            HiddenValues::Refuse
        }
    }
}

/// Where a write takes what the CRM would otherwise erase.
fn read_resend(table: &Table<'_>, clears: &[Text]) -> BTreeMap<String, JsonPath> {
    let read_one = |(key, item): (Text, Item<'_>)| {
        if !clears.iter().any(|text| text.value == key.value) {
            let help = "Only a key of `clears` needs to be sent along.";
            table.reading().error(key.span.clone(), format!("`{}` is not erased", key.value), help);
        }
        Some((key.value, shape::json_path(table, &item.text()?)?))
    };
    table.entries().into_iter().filter_map(read_one).collect()
}

fn read_missing(table: &Table<'_>) -> MissingRecord {
    let Some(text) = table.text("missing") else { return MissingRecord::NotFound };
    match text.value.as_str() {
        "not-found" => MissingRecord::NotFound,
        "create" => MissingRecord::Create,
        other => {
            let message = format!("`{other}` is not what a change of a missing record is");
            table.reading().error(text.span, message, "There are not-found and create.");
            MissingRecord::NotFound
        }
    }
}

fn read_hidden_rows(table: &Table<'_>) -> HiddenRows {
    let Some(text) = table.text("hidden_rows") else { return HiddenRows::Unstated };
    match text.value.as_str() {
        "visible" => HiddenRows::Visible,
        "visible-when-paged" => HiddenRows::VisibleWhenPaged,
        other => {
            let help = "There are visible and visible-when-paged.";
            table.reading().error(text.span, format!("`{other}` is not a treatment of hidden rows"), help);
            HiddenRows::Unstated
        }
    }
}

fn read_limits(table: &Table<'_>) -> RouteLimits {
    let size = |key, max| table.integer(key, 1..=max).and_then(|value| usize::try_from(value).ok());
    let limits = RouteLimits {
        body_bytes: size("body_bytes", 1 << 30),
        answer_bytes: size("answer_bytes", 1 << 30),
        depth: size("depth", 256),
        records: size("records", 1_000_000),
        time_ms: table.integer("time_ms", 1..=3_600_000),
    };
    table.finish();
    limits
}
