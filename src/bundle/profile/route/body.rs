//! What a route's request body may be: which kinds, whether it may be missing, and how a form becomes an object.

use crate::config::reader::{Item, Table, Text};

/// What a route takes as its body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BodySpec {
    /// The kinds that are taken; none means that there is no body.
    pub kinds: Vec<BodyKind>,
    /// Whether it may be missing.
    pub is_optional: bool,
    /// Keys of a form that may occur more than once; each becomes a list.
    pub repeatable: Vec<String>,
    /// Keys of a form whose value is JSON in a string.
    pub json_in: Vec<String>,
}

/// A kind of request body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// `application/json` and vendor types.
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `multipart/form-data` without files.
    Multipart,
}

impl BodySpec {
    /// JSON, required.
    pub fn json() -> Self {
        Self { kinds: vec![BodyKind::Json], ..Self::default() }
    }

    /// Whether there is no body.
    pub fn is_none(&self) -> bool {
        self.kinds.is_empty()
    }

    /// Whether a form may come.
    pub fn takes_forms(&self) -> bool {
        self.kinds.iter().any(|kind| *kind != BodyKind::Json)
    }
}

/// Reads a route's `body`: a word, a list of kinds, or a table.
pub fn read(table: &Table<'_>) -> BodySpec {
    let writes_or_moves =
        table.item("writes").is_some() || table.item("to").is_some_and(|item| item.is_table());
    match table.item("body") {
        None if writes_or_moves || table.item("reads").is_some() => BodySpec::json(),
        None => BodySpec::default(),
        Some(item) if item.is_table() => item.table().map(|table| read_table(&table)).unwrap_or_default(),
        Some(item) => read_kinds(item),
    }
}

fn read_table(table: &Table<'_>) -> BodySpec {
    let texts = |key| table.texts(key).unwrap_or_default().into_iter().map(|text| text.value).collect();
    let mut spec = match table.item("kinds") {
        Some(item) => read_kinds(item),
        None => BodySpec::json(),
    };
    spec.is_optional |= table.boolean("optional").unwrap_or(false);
    (spec.repeatable, spec.json_in) = (texts("repeatable"), texts("json"));
    table.finish();
    let forms_only = !spec.repeatable.is_empty() || !spec.json_in.is_empty();
    if forms_only && !spec.takes_forms() {
        let help = "Add `form` or `multipart` to `kinds`, or leave them out.";
        table.reading().error(table.span(), "`repeatable` and `json` are about keys of forms", help);
    }
    if let Some(key) = spec.json_in.iter().find(|key| spec.repeatable.contains(*key)) {
        table.reading().error(table.span(), format!("`{key}` cannot be repeatable and JSON in a string"), "");
    }
    spec
}

fn read_kinds(item: Item<'_>) -> BodySpec {
    let mut spec = BodySpec::default();
    for text in item.texts().unwrap_or_default() {
        match text.value.as_str() {
            "none" => {}
            "optional" => {
                spec.is_optional = true;
                spec.kinds.push(BodyKind::Json);
            }
            _ => spec.kinds.extend(read_kind(item, &text)),
        }
    }
    spec
}

fn read_kind(item: Item<'_>, text: &Text) -> Option<BodyKind> {
    match text.value.as_str() {
        "json" => Some(BodyKind::Json),
        "form" => Some(BodyKind::Form),
        "multipart" => Some(BodyKind::Multipart),
        other => {
            let help = "There are none, json, optional (JSON or nothing), form and multipart.";
            item.reading().error(text.span.clone(), format!("`{other}` is not a kind of body"), help);
            None
        }
    }
}
