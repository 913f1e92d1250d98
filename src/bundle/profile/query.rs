//! The role of every parameter, header and place of a body in which a request can refer to fields. Plain data, read from the
//! profile by `read`; what is not declared is refused.

pub mod grammar;
pub mod read;

use super::types::KeyPattern;
use crate::config::reader::Text;
use grammar::Grammar;

/// A declared query parameter, or a declared place of a body.
#[derive(Clone, Debug)]
pub struct QueryRule {
    /// The parameter's name, possibly with a wildcard; for a body the place.
    pub name: KeyPattern,
    /// Where it stands in the profile.
    pub span: std::ops::Range<usize>,
    /// What it does.
    pub role: Role,
    /// How it names fields.
    pub form: Form,
    /// In what a form that is JSON is wrapped.
    pub encoding: Encoding,
    /// The words of the form.
    pub grammar: Grammar,
    /// Values that name no field and pass, e.g. `none`.
    pub values: Vec<String>,
    /// Fields that an implicit search covers, by logical name.
    pub over: Vec<Text>,
    /// The parameter by which a search is told which of them it covers.
    pub over_parameter: Option<OverParameter>,
    /// The one field that the parameter is about, by its place in a record, if its name does not say so.
    pub field: Option<String>,
    /// For a projection: what the CRM answers without it.
    pub default: Projection,
}

/// A declared place of the body of a read.
#[derive(Clone, Debug)]
pub struct BodyRule {
    /// The keys that lead to it.
    pub at: Vec<String>,
    /// What it does.
    pub rule: QueryRule,
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
    /// `amount:desc,name`
    ColonList,
    /// `amount[desc],name`
    BracketList,
    /// The parameter's name has field and operator in brackets: `filter[amount][gte]`.
    Bracketed,
    /// `["a","b"]`
    JsonList,
    /// `[["a","desc"],["b","asc"]]`
    JsonPairs,
    /// `["a","desc"]`
    JsonPair,
    /// `[{"field":"a","direction":"desc"}]`
    JsonObjects,
    /// `{"a":"desc","b":1}`
    JsonKeys,
    /// `[["a","=",1],["OR",["b","=",2],["c","=",3]]]`
    Triples,
    /// `["|",["a","=",1],["b","=",2]]`
    Prefix,
    /// `{"a":{"$gt":5},"$or":[…]}`
    Object,
    /// `{"and":[{"field":"a","operator":"gt","value":5}]}`
    Tree,
}

/// In what a form that is JSON is wrapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// In nothing: a parameter's value is the JSON text; in a body it stands as it is.
    #[default]
    Json,
    /// base64 with the alphabet for URLs (RFC 4648 §5).
    Base64Url,
    /// base64 (RFC 4648 §4).
    Base64,
    /// In the names of parameters: `filters[$and][0][amount][$gt]=5`. Every value is text.
    Brackets,
}

/// The parameter that tells a search where to look.
#[derive(Clone, Debug)]
pub struct OverParameter {
    /// Its name.
    pub name: String,
    /// How it lists fields.
    pub form: Form,
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

    /// The role of that name.
    pub fn named(name: &str) -> Option<Self> {
        ROLES.iter().copied().find(|role| role.name() == name)
    }

    /// Whether the role lets values of the named fields shape the answer.
    pub fn reveals_values(self) -> bool {
        matches!(self, Role::Filter | Role::Sort | Role::Search | Role::Group | Role::Aggregate)
    }
}

impl Form {
    /// The name in profiles; none for a parameter that names no field.
    pub fn name(self) -> &'static str {
        FORMS.iter().find(|(form, _)| *form == self).map_or("", |(_, name)| name)
    }

    /// The form of that name.
    pub fn named(name: &str) -> Option<Self> {
        FORMS.iter().find(|(_, known)| *known == name).map(|(form, _)| *form)
    }

    /// Whether it is JSON, which may be wrapped.
    pub fn is_json(self) -> bool {
        matches!(self, Form::JsonList | Form::JsonPairs | Form::JsonPair | Form::JsonObjects | Form::JsonKeys)
            || self.is_filter_tree()
    }

    /// Whether it is a condition that may hold other conditions.
    pub fn is_filter_tree(self) -> bool {
        matches!(self, Form::Triples | Form::Prefix | Form::Object | Form::Tree)
    }

    /// Whether it says in which direction a field orders.
    pub fn has_directions(self) -> bool {
        matches!(
            self,
            Form::DirectionList
                | Form::ColonList
                | Form::BracketList
                | Form::JsonPairs
                | Form::JsonPair
                | Form::JsonObjects
                | Form::JsonKeys
        )
    }
}

impl Encoding {
    /// The name in profiles.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Json => "json",
            Encoding::Base64Url => "base64url",
            Encoding::Base64 => "base64",
            Encoding::Brackets => "brackets",
        }
    }

    /// The encoding of that name.
    pub fn named(name: &str) -> Option<Self> {
        let all = [Encoding::Json, Encoding::Base64Url, Encoding::Base64, Encoding::Brackets];
        all.into_iter().find(|encoding| encoding.name() == name)
    }
}

const ROLES: &[Role] = &[
    Role::Select,
    Role::Filter,
    Role::Sort,
    Role::Search,
    Role::Group,
    Role::Aggregate,
    Role::Expand,
    Role::Paging,
    Role::Harmless,
    Role::Ignored,
    Role::Refused,
];

/// The forms by name, in the order of the reference.
pub const FORMS: &[(Form, &str)] = &[
    (Form::CommaList, "comma-list"),
    (Form::Repeated, "repeated"),
    (Form::SignedList, "signed-list"),
    (Form::DirectionList, "direction-list"),
    (Form::ColonList, "colon-list"),
    (Form::BracketList, "bracket-list"),
    (Form::JsonList, "json-list"),
    (Form::JsonPairs, "json-pairs"),
    (Form::JsonPair, "json-pair"),
    (Form::JsonObjects, "json-objects"),
    (Form::JsonKeys, "json-keys"),
    (Form::Key, "key"),
    (Form::OperatorSuffix, "operator-suffix"),
    (Form::Bracketed, "bracketed"),
    (Form::Triples, "triples"),
    (Form::Prefix, "prefix"),
    (Form::Object, "object"),
    (Form::Tree, "tree"),
];

#[cfg(test)]
mod tests;
