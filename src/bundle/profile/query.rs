//! The role of every parameter and header in which a request can refer to fields; undeclared parameters are refused.

use super::types::KeyPattern;
use crate::config::reader::{Item, Table, Text};

/// A declared query parameter.
#[derive(Clone, Debug)]
pub struct QueryRule {
    /// The parameter's name, possibly with a wildcard.
    pub name: KeyPattern,
    /// Where it stands in the profile.
    pub span: std::ops::Range<usize>,
    /// What it does.
    pub role: Role,
    /// How it names fields.
    pub form: Form,
    /// Values that name no field and pass, e.g. `none`.
    pub values: Vec<String>,
    /// Fields that an implicit search covers, by logical name.
    pub over: Vec<Text>,
    /// The one field that the parameter is about, by its place in a record, if its name does not say so.
    pub field: Option<String>,
    /// For a projection: what the CRM answers without it.
    pub default: Projection,
}

/// What a parameter or header does with the fields it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Names the fields to answer.
    Select,
    /// Restricts the rows.
    Filter,
    /// Orders the rows.
    Sort,
    /// Searches in fields.
    Search,
    /// Groups rows.
    Group,
    /// Computes over rows.
    Aggregate,
    /// Asks for related records.
    Expand,
    /// Chooses the page.
    Paging,
    /// Has no bearing on what is seen.
    Harmless,
    /// Is dropped before the CRM.
    Ignored,
    /// Is refused, with a reason in the profile's own words.
    Refused,
}

/// How a parameter names fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// It names none.
    Opaque,
    /// `a,b,c`
    CommaList,
    /// The parameter is repeated, one name each.
    Repeated,
    /// `a,-b`
    SignedList,
    /// The parameter's own name is the field's.
    Key,
    /// The parameter's name is field and operator: `amount__gte`.
    OperatorSuffix,
    /// `amount desc,name`
    DirectionList,
    /// The parameter's name has field and operator in brackets: `filter[amount][gte]`.
    Bracketed,
    /// `["a","b"]`
    JsonList,
}

/// What the CRM answers where the caller selects nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Projection {
    /// Every field.
    #[default]
    All,
    /// Only these, by wire name.
    Listed(Vec<String>),
}

/// A declared request header.
#[derive(Clone, Debug)]
pub struct HeaderRule {
    /// The header's name, lower-case.
    pub name: String,
    /// Paging, harmless, ignored or refused.
    pub role: Role,
    /// The value must start so, e.g. `records=`.
    pub prefix: Option<String>,
}

impl Role {
    /// The name in profiles.
    pub fn name(self) -> &'static str {
        match self {
            Role::Select => "select",
            Role::Filter => "filter",
            Role::Sort => "sort",
            Role::Search => "search",
            Role::Group => "group",
            Role::Aggregate => "aggregate",
            Role::Expand => "expand",
            Role::Paging => "paging",
            Role::Harmless => "harmless",
            Role::Ignored => "ignored",
            Role::Refused => "refused",
        }
    }

    /// Whether the role lets values of the named fields shape the answer.
    pub fn reveals_values(self) -> bool {
        matches!(self, Role::Filter | Role::Sort | Role::Search | Role::Group | Role::Aggregate)
    }
}

/// Reads a route's `query` table.
pub fn read(table: &Table<'_>) -> Vec<QueryRule> {
    table.entries().into_iter().filter_map(|(name, item)| read_rule(name, item)).collect()
}

fn read_rule(name: Text, item: Item<'_>) -> Option<QueryRule> {
    let reading = item.reading();
    let Some(pattern) = KeyPattern::parse(&name.value) else {
        reading.error(
            name.span,
            format!("`{}` is not a parameter name", name.value),
            "Use `*` at one end only.",
        );
        return None;
    };
    let mut rule = QueryRule {
        name: pattern,
        span: name.span.clone(),
        role: Role::Refused,
        form: Form::Opaque,
        values: Vec::new(),
        over: Vec::new(),
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
        if let Some(default) = table.item("default") {
            rule.default = read_projection(default)?;
        }
        table.finish();
    }
    check_form(item, &name, &rule).then_some(rule)
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

fn check_form(item: Item<'_>, name: &Text, rule: &QueryRule) -> bool {
    let fits = match rule.role {
        Role::Select | Role::Expand => {
            matches!(rule.form, Form::CommaList | Form::Repeated | Form::JsonList)
        }
        Role::Filter => matches!(rule.form, Form::Key | Form::OperatorSuffix | Form::Bracketed),
        Role::Sort | Role::Group | Role::Aggregate => {
            matches!(
                rule.form,
                Form::CommaList | Form::Repeated | Form::SignedList | Form::DirectionList | Form::JsonList
            )
        }
        Role::Search | Role::Paging | Role::Harmless | Role::Ignored | Role::Refused => {
            rule.form == Form::Opaque
        }
    };
    if rule.field.is_some() && rule.form != Form::Key {
        let help = "Only a parameter with `form = \"key\"` stands for one field.";
        item.reading().error(name.span.clone(), format!("`{}` names its fields itself", name.value), help);
    }
    if !fits {
        let help = "A select, expand, sort, group or aggregate takes comma-list, repeated or json-list (or signed-list or direction-list to sort); a filter takes key, operator-suffix or bracketed; the others take no form. A filter in any other form must be refused.";
        item.reading().error(
            name.span.clone(),
            format!("the form of `{}` does not fit its role", name.value),
            help,
        );
    }
    fits
}

fn read_role(item: Item<'_>, text: &Text) -> Option<Role> {
    let role = match text.value.as_str() {
        "select" => Role::Select,
        "filter" => Role::Filter,
        "sort" => Role::Sort,
        "search" => Role::Search,
        "group" => Role::Group,
        "aggregate" => Role::Aggregate,
        "expand" => Role::Expand,
        "paging" => Role::Paging,
        "harmless" => Role::Harmless,
        "ignored" => Role::Ignored,
        "refused" => Role::Refused,
        other => {
            let help = "There are select, filter, sort, search, group, aggregate, expand, paging, harmless, ignored and refused.";
            item.reading().error(text.span.clone(), format!("`{other}` is not a role"), help);
            return None;
        }
    };
    Some(role)
}

fn read_form(item: Item<'_>, text: &Text) -> Option<Form> {
    let form = match text.value.as_str() {
        "comma-list" => Form::CommaList,
        "repeated" => Form::Repeated,
        "signed-list" => Form::SignedList,
        "key" => Form::Key,
        "operator-suffix" => Form::OperatorSuffix,
        "direction-list" => Form::DirectionList,
        "bracketed" => Form::Bracketed,
        "json-list" => Form::JsonList,
        other => {
            let help = "There are comma-list, repeated, signed-list, direction-list, json-list, key, operator-suffix and bracketed.";
            item.reading().error(text.span.clone(), format!("`{other}` is not a form"), help);
            return None;
        }
    };
    Some(form)
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
