//! A route with a parameter of each form in each encoding, and what reads a query by it.

use lockkeeper::bundle::profile::Profile;
use lockkeeper::bundle::profile::query::{FORMS, Form};
use lockkeeper::config::author::{Problems, SourceFile};
use lockkeeper::json::parse::JsonLimits;
use lockkeeper::pipeline::map::Limits;
use lockkeeper::pipeline::map::lexer::FilterLimits;
use lockkeeper::pipeline::map::query::{self, MappedQuery, Said};

/// Short names: what is random should meet them often.
const TYPES: &str = r#"profile = 1
[field_sets]
public = []
[types.Deal]
id = "id"
[types.Deal.fields]
a = { sets = ["public"] }
b = { sets = ["public"] }
"p.q" = { sets = ["public"] }
r = { sets = ["public"], is = "Contact", hide = "remove" }
[types.Contact]
id = "id"
[types.Contact.fields]
n = { sets = ["public"] }
d = { sets = ["public"], is = "Deal", hide = "remove" }
[[routes]]
match = "GET /deals"
action = "list"
records = { at = "$[*]", type = "Deal" }
hidden_rows = "visible"
[routes.query]
"#;

/// One parameter.
#[derive(Debug)]
pub struct Asked {
    /// How it names fields.
    pub form: Form,
    /// What it is wrapped in.
    pub wrapping: Wrapping,
    /// What stands between the parts of a name, if not a point.
    pub separator: &'static str,
    /// Its name, or what its name begins with.
    pub prefix: String,
    /// Which of several dialects of the form it is.
    pub dialect: Dialect,
}

/// In what a value is wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrapping {
    /// In nothing.
    Bare,
    /// In base64 for URLs.
    Base64Url,
    /// In base64.
    Base64,
    /// It stands in the names of parameters as well.
    Named,
}

/// How CRMs spell one form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// As the reference shows it.
    Plain,
    /// An object whose keys are paths.
    Dotted,
    /// A tree whose list at the top is of alternatives (HubSpot).
    Groups,
    /// A tree in which an operator joins (EspoCRM).
    Combined,
}

const OBJECT: &str =
    r#"operators = ["$eq", "$gt", "$in"], and = "$and", or = "$or", not = "$not", implicit = "$eq""#;
const TREE: &str = r#"operators = ["eq", "gt"], and = "and", or = "or", not = "not", name = "f", operator = "o", value = ["v", "w"]"#;
const GROUPS: &str = r#"operators = ["eq", "gt"], and = "filters", list = "or", name = "f", operator = "o", value = ["v", "w"]"#;
const COMBINED: &str = r#"operators = ["eq", "gt"], and = "and", or = "or", not = "not", list = "and", name = "f", operator = "o", value = ["v"], combinator = "o", children = "v""#;
const VALUES: &str = r#"objects = ["__class__"], refused_values = ["$field.*"]"#;
/// How deep names in brackets go.
const LEVELS: u8 = 12;

/// The profile, with its parameters.
pub struct Rig {
    profile: Profile,
    /// Its parameters.
    pub asked: Vec<Asked>,
}

impl Rig {
    /// One of each.
    pub fn new() -> Self {
        let (mut text, mut asked) = (TYPES.to_owned(), Vec::new());
        for (form, dialect, role, words) in FORMS.iter().flat_map(|(form, _)| ways(*form)) {
            for wrapping in wrappings(form) {
                let name = format!("{}{}_{wrapping:?}", form.name(), asked.len());
                let of_names = matches!(form, Form::Key | Form::OperatorSuffix | Form::Bracketed);
                let is_split = form == Form::OperatorSuffix && dialect == Dialect::Dotted;
                let (key, prefix) = match form {
                    Form::Key if dialect == Dialect::Plain => ("b".to_owned(), "b".to_owned()),
                    Form::Key => ("who".to_owned(), "who".to_owned()),
                    Form::OperatorSuffix if is_split => ("r__*".to_owned(), "r__".to_owned()),
                    Form::OperatorSuffix => ("a*".to_owned(), "a".to_owned()),
                    Form::Bracketed => ("filter[*".to_owned(), "filter[".to_owned()),
                    _ => (name.clone(), name),
                };
                let encoding = match wrapping {
                    Wrapping::Named if of_names || form == Form::Repeated => String::new(),
                    Wrapping::Named => format!(", encoding = \"brackets\", levels = {LEVELS}"),
                    Wrapping::Base64Url => ", encoding = \"base64url\"".to_owned(),
                    Wrapping::Base64 => ", encoding = \"base64\"".to_owned(),
                    Wrapping::Bare => String::new(),
                };
                let form_name = form.name();
                text += &format!(
                    "\"{key}\" = {{ role = \"{role}\", form = \"{form_name}\"{encoding}{words} }}\n"
                );
                let separator = if is_split { "__" } else { "." };
                asked.push(Asked { form, wrapping, separator, prefix, dialect });
            }
        }
        let mut problems = Problems::default();
        let profile = Profile::load(&SourceFile::new("p", text), &mut problems);
        Self { profile: profile.unwrap_or_else(|| panic!("{problems}")), asked }
    }

    /// What a query says; `None` if it is refused.
    pub fn read(&self, pairs: &[(String, String)]) -> Option<MappedQuery> {
        let (_, route) = self.profile.route_labelled("GET /deals").expect("the route");
        let (_, record_type) = self.profile.type_named("Deal").expect("the type");
        let limits = Limits {
            json: JsonLimits { bytes_max: 1 << 16, depth_max: 32, nodes_max: 10_000 },
            ids_max: 1,
            filter: FilterLimits::default(),
        };
        query::read(Said { query: pairs, body: None }, route, Some(record_type), &self.profile, &limits).ok()
    }
}

/// The dialects of a form, each with role and words.
fn ways(form: Form) -> Vec<(Form, Dialect, &'static str, String)> {
    let way = |dialect, role, words: &str| {
        (form, dialect, role, format!(", {words}").trim_end_matches(", ").to_owned())
    };
    let filter = |dialect, words: &str| way(dialect, "filter", &format!("{words}, {VALUES}"));
    match form {
        Form::Opaque => Vec::new(),
        Form::CommaList | Form::Repeated | Form::JsonList => {
            vec![way(Dialect::Plain, "select", ""), way(Dialect::Plain, "sort", "")]
        }
        Form::JsonObjects => vec![way(Dialect::Plain, "sort", r#"name = "f", direction = "o""#)],
        Form::Key => {
            vec![way(Dialect::Plain, "filter", ""), way(Dialect::Dotted, "filter", r#"field = "r.n""#)]
        }
        Form::Bracketed => vec![way(Dialect::Plain, "filter", "")],
        Form::OperatorSuffix => {
            vec![way(Dialect::Plain, "filter", ""), way(Dialect::Dotted, "filter", r#"separator = "__""#)]
        }
        Form::Triples => {
            vec![filter(Dialect::Plain, r#"operators = ["=", ">", "in"], and = "AND", or = "OR""#)]
        }
        Form::Prefix => vec![filter(Dialect::Plain, r#"operators = ["=", ">", "in"]"#)],
        Form::Object => {
            vec![
                filter(Dialect::Plain, OBJECT),
                filter(Dialect::Dotted, &format!("{OBJECT}, separator = \".\"")),
            ]
        }
        Form::Tree => vec![
            filter(Dialect::Plain, TREE),
            filter(Dialect::Groups, GROUPS),
            filter(Dialect::Combined, COMBINED),
        ],
        _ => vec![way(Dialect::Plain, "sort", "")],
    }
}

fn wrappings(form: Form) -> Vec<Wrapping> {
    match form {
        Form::Key | Form::OperatorSuffix | Form::Bracketed | Form::Repeated => vec![Wrapping::Named],
        form if form.is_json() => {
            vec![Wrapping::Bare, Wrapping::Base64Url, Wrapping::Base64, Wrapping::Named]
        }
        _ => vec![Wrapping::Bare],
    }
}
