//! Reads a route's `query`, `reads` and `headers` tables.
//!
//! Promises: a rule that cannot be read whole is left out and noted with its place; a form that does not fit its role is an
//! error, so that nothing is taken for harmless that is not understood.

use super::grammar::{self, Grammar};
use super::{BodyRule, Encoding, FORMS, Form, HeaderRule, OverParameter, Projection, QueryRule, Role};
use crate::bundle::profile::types::KeyPattern;
use crate::config::reader::{Item, Table, Text};
use crate::json::path::{JsonPath, Segment};

/// Reads a route's `query` table.
pub fn read(table: &Table<'_>) -> Vec<QueryRule> {
    let read_one = |(name, item): (Text, Item<'_>)| {
        let Some(pattern) = KeyPattern::parse(&name.value) else {
            item.reading().error(
                name.span,
                format!("`{}` is not a parameter name", name.value),
                "Use `*` at one end only.",
            );
            return None;
        };
        read_rule(&name, pattern, item, Stands::InQuery)
    };
    table.entries().into_iter().filter_map(read_one).collect()
}

/// Reads a route's `reads` table: what the body of a read refers to.
pub fn read_body(table: &Table<'_>) -> Vec<BodyRule> {
    let read_one = |(name, item): (Text, Item<'_>)| {
        let keys = JsonPath::parse(&name.value).ok().and_then(|path| {
            let key = |segment: &Segment| match segment {
                Segment::Key(key) => Some(key.clone()),
                Segment::Index(_) | Segment::EachItem | Segment::EachMember => None,
            };
            path.segments().iter().map(key).collect::<Option<Vec<String>>>()
        });
        let Some(at) = keys.filter(|keys| !keys.is_empty() && name.value.starts_with("$.")) else {
            let help = "Write the keys that lead to it, e.g. `\"$.filterGroups\"`.";
            item.reading().error(name.span, format!("`{}` is no place of a body", name.value), help);
            return None;
        };
        let pattern = KeyPattern::Exact(name.value.clone());
        Some(BodyRule { at, rule: read_rule(&name, pattern, item, Stands::InBody)? })
    };
    table.entries().into_iter().filter_map(read_one).collect()
}

/// Where a rule's values stand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stands {
    InQuery,
    InBody,
}

fn read_rule(name: &Text, pattern: KeyPattern, item: Item<'_>, stands: Stands) -> Option<QueryRule> {
    let mut rule = QueryRule {
        name: pattern,
        span: name.span.clone(),
        role: Role::Refused,
        form: Form::Opaque,
        encoding: Encoding::Json,
        grammar: Grammar::of(Form::Opaque),
        values: Vec::new(),
        over: Vec::new(),
        over_parameter: None,
        field: None,
        default: Projection::All,
    };
    if item.is_text() {
        rule.role = read_role(item, &item.text()?)?;
    } else {
        let table = item.table()?;
        rule.role = read_role(item, &table.required("role", "Say what the parameter does.")?)?;
        rule.form = table.text("form").map_or(Some(Form::Opaque), |form| read_form(item, &form))?;
        rule.values = table.texts("values").unwrap_or_default().into_iter().map(|text| text.value).collect();
        rule.field = table.text("field").map(|text| text.value);
        rule.over = table.texts("over").unwrap_or_default();
        rule.over_parameter = read_over_parameter(&table)?;
        if let Some(default) = table.item("default") {
            rule.default = read_projection(default)?;
        }
        if rule.form.is_json() {
            rule.encoding = read_encoding(&table)?;
        }
        rule.grammar = grammar::read(&table, rule.form)?;
        if rule.encoding == Encoding::Brackets {
            let levels =
                table.integer("levels", 1..=LEVELS_MAX).and_then(|levels| usize::try_from(levels).ok());
            rule.grammar.levels = levels.unwrap_or(rule.grammar.levels);
        }
        table.finish();
    }
    check_form(item, name, &rule, stands).then_some(rule)
}

fn read_encoding(table: &Table<'_>) -> Option<Encoding> {
    let Some(text) = table.text("encoding") else { return Some(Encoding::Json) };
    let encoding = Encoding::named(&text.value);
    if encoding.is_none() {
        let help = "There are json, base64url, base64 and brackets.";
        table.reading().error(text.span, format!("`{}` is not an encoding", text.value), help);
    }
    encoding
}

fn read_over_parameter(table: &Table<'_>) -> Option<Option<OverParameter>> {
    let Some(item) = table.item("over_parameter") else { return Some(None) };
    if item.is_text() {
        return Some(Some(OverParameter { name: item.text()?.value, form: Form::CommaList }));
    }
    let table = item.table()?;
    let name = table.required("name", "Name the parameter that tells the search where to look.");
    let form = table.text("form").map_or(Some(Form::CommaList), |form| read_form(item, &form))?;
    table.finish();
    if !matches!(form, Form::CommaList | Form::Repeated | Form::JsonList) {
        let help = "There are comma-list, repeated and json-list.";
        item.reading().error(item.span(), format!("`{}` lists no fields to search", form.name()), help);
        return None;
    }
    Some(Some(OverParameter { name: name?.value, form }))
}

fn read_projection(item: Item<'_>) -> Option<Projection> {
    match item.is_text() {
        true if item.text()?.value == "all" => Some(Projection::All),
        true => {
            item.reading().error(item.span(), "expected `\"all\"` or a list of wire names", "");
            None
        }
        false => Some(Projection::Listed(item.texts()?.into_iter().map(|text| text.value).collect())),
    }
}

fn check_form(item: Item<'_>, name: &Text, rule: &QueryRule, stands: Stands) -> bool {
    let error = |message: String, help: &str| {
        item.reading().error(name.span.clone(), message, help);
        false
    };
    let forms = forms_of(rule.role);
    if !forms.contains(&rule.form) {
        let names: Vec<&str> = forms.iter().map(|form| form.name()).filter(|name| !name.is_empty()).collect();
        let help = match names.is_empty() {
            true => "A parameter of this role takes no form.".to_owned(),
            false => format!(
                "A `{}` takes {}. What is in no such form must be refused.",
                rule.role.name(),
                names.join(", ")
            ),
        };
        return error(format!("the form of `{}` does not fit its role", name.value), &help);
    }
    if rule.field.is_some() && rule.form != Form::Key {
        let help = "Only a parameter with `form = \"key\"` stands for one field.";
        return error(format!("`{}` names its fields itself", name.value), help);
    }
    if rule.over_parameter.is_some() && (rule.role != Role::Search || rule.over.is_empty()) {
        let help = "List the fields that a search can be told to look at: `over = [\"Deal.title\"]`.";
        return error(format!("`{}` has an `over_parameter` and no `over`", name.value), help);
    }
    if rule.encoding == Encoding::Brackets && !matches!(rule.name, KeyPattern::Exact(_)) {
        let help = "Write what stands before the first bracket, e.g. `filters`.";
        return error(format!("`{}` is a pattern, and its brackets are read", name.value), help);
    }
    if stands == Stands::InQuery {
        return true;
    }
    if rule.encoding == Encoding::Brackets
        || matches!(rule.form, Form::Repeated | Form::OperatorSuffix | Form::Bracketed)
    {
        let help = "In a body a value stands in one place. Use another form.";
        return error(format!("the form of `{}` is one of parameters", name.value), help);
    }
    if rule.form == Form::Key && rule.field.is_none() {
        let help = "Say which field it is about: `field = \"owner_id\"`.";
        return error(format!("`{}` does not say which field it is about", name.value), help);
    }
    if rule.over_parameter.is_some() {
        let help = "Only a search in the query can be told by a parameter where to look.";
        return error(format!("`{}` stands in a body", name.value), help);
    }
    true
}

/// The forms that a role takes.
fn forms_of(role: Role) -> &'static [Form] {
    match role {
        Role::Select | Role::Expand => &[Form::CommaList, Form::Repeated, Form::JsonList],
        Role::Filter => &[
            Form::Key,
            Form::OperatorSuffix,
            Form::Bracketed,
            Form::Triples,
            Form::Prefix,
            Form::Object,
            Form::Tree,
        ],
        Role::Sort | Role::Group | Role::Aggregate => &[
            Form::CommaList,
            Form::Repeated,
            Form::SignedList,
            Form::DirectionList,
            Form::ColonList,
            Form::BracketList,
            Form::JsonList,
            Form::JsonPairs,
            Form::JsonPair,
            Form::JsonObjects,
            Form::JsonKeys,
        ],
        Role::Search | Role::Paging | Role::Harmless | Role::Ignored | Role::Refused => &[Form::Opaque],
    }
}

fn read_role(item: Item<'_>, text: &Text) -> Option<Role> {
    let role = Role::named(&text.value);
    if role.is_none() {
        let help = "There are select, filter, sort, search, group, aggregate, expand, paging, harmless, ignored and refused.";
        item.reading().error(text.span.clone(), format!("`{}` is not a role", text.value), help);
    }
    role
}

fn read_form(item: Item<'_>, text: &Text) -> Option<Form> {
    let form = Form::named(&text.value);
    if form.is_none() {
        let names: Vec<&str> = FORMS.iter().map(|(_, name)| *name).collect();
        let help = format!("There are {}.", names.join(", "));
        item.reading().error(text.span.clone(), format!("`{}` is not a form", text.value), help);
    }
    form
}

/// Reads a route's `headers` table.
pub fn read_headers(table: &Table<'_>) -> Vec<HeaderRule> {
    let read_one = |(name, item): (Text, Item<'_>)| -> Option<HeaderRule> {
        let (role_text, prefix) = match item.is_text() {
            true => (item.text()?, None),
            false => {
                let table = item.table()?;
                let role = table.required("role", "Say what the header does.")?;
                let prefix = table.text("prefix").map(|text| text.value);
                table.finish();
                (role, prefix)
            }
        };
        let role = read_role(item, &role_text)?;
        if !matches!(role, Role::Paging | Role::Harmless | Role::Ignored | Role::Refused) {
            let help = "A header may be paging, harmless, ignored or refused.";
            item.reading().error(role_text.span, format!("a header cannot be `{}`", role_text.value), help);
            return None;
        }
        Some(HeaderRule { name: name.value.to_ascii_lowercase(), role, prefix })
    };
    table.entries().into_iter().filter_map(read_one).collect()
}

/// Deeper names in brackets are read by nobody.
const LEVELS_MAX: u64 = 20;
