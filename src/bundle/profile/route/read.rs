//! Reads the `[[routes]]` of a profile.
//!
//! Promises: a route that cannot be read whole is left out and noted with its place.

use std::collections::BTreeSet;

use super::{Also, BodyForm, ErrorRule, HiddenRows, Route, RouteLimits, When, WriteSemantics, Writes};
use crate::bundle::profile::query;
use crate::bundle::profile::shape;
use crate::bundle::profile::source::{ActionSource, IdSource, StageSource, TypeSource, read_action};
use crate::bundle::profile::template::Template;
use crate::config::reader::{Item, Table, Text};

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
    let pass = table.text("pass");
    let refuse = table.text("refuse");
    let is_read = pass.is_none() && (refuse.is_none() || table.item("action").is_some());
    let action = if is_read { ActionSource::read(table) } else { None };
    let id = IdSource::read(table);
    let route = Route {
        template: template?,
        span: label.map_or(0..0, |label| label.span),
        over: table.texts("over").unwrap_or_default(),
        pass: pass.map(|text| text.value),
        refuse: refuse.map(|text| text.value),
        type_source: TypeSource::read(table, "type"),
        id,
        also: table.item("also").map(read_also).unwrap_or_default(),
        shape: shape::read(table),
        errors: table.item("errors").map(read_errors).unwrap_or_default(),
        query: table.table("query").map(|query| query::read(&query)).unwrap_or_default(),
        headers: table.table("headers").map(|headers| query::read_headers(&headers)).unwrap_or_default(),
        before: table.text("before"),
        writes: table.table("writes").and_then(|writes| read_writes(&writes)),
        to: StageSource::read(table),
        body: read_body(table),
        hidden_rows: read_hidden_rows(table),
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
        let statuses = statuses.into_iter().filter_map(|item| item.integer(400..=499));
        let statuses = statuses.filter_map(|status| u16::try_from(status).ok()).collect();
        let shape = shape::read(&table);
        table.finish();
        Some(ErrorRule { statuses, shape })
    };
    item.list().into_iter().filter_map(read_one).collect()
}

fn read_writes(table: &Table<'_>) -> Option<Writes> {
    let at = table.text("at").unwrap_or(Text { value: "$".to_owned(), span: table.span() });
    let semantics = table.text("semantics");
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
    Some(Writes { at: shape::json_path(table, &at)?, semantics, defaults: defaults.unwrap_or_default() })
}

fn read_body(table: &Table<'_>) -> BodyForm {
    let writes_or_moves =
        table.item("writes").is_some() || table.item("to").is_some_and(|item| item.is_table());
    match table.text("body") {
        None if writes_or_moves => BodyForm::Json,
        None => BodyForm::Empty,
        Some(text) => match text.value.as_str() {
            "none" => BodyForm::Empty,
            "json" => BodyForm::Json,
            "optional" => BodyForm::Optional,
            other => {
                let help = "There are none, json and optional; other body types are not read yet.";
                table.reading().error(text.span, format!("`{other}` is not a kind of body"), help);
                BodyForm::Empty
            }
        },
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
