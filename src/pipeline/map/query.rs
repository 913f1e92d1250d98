//! Reads the query, and the body of a read, by the roles that the profile gives their parts; what is not declared is refused.
//!
//! Promises: every place where a part names a field is found and resolved; a form that is not understood whole is refused;
//! filters are never dropped; what is forwarded is written from what was read.

use super::Limits;
use super::lexer::encoding::{self, Padding, Unwrapped};
use super::lexer::filter::{self, Clause, check_value};
use super::lexer::order::{self, Named};
use super::lexer::term::Term;
use super::lexer::{Refusal, brackets};
use super::names::{self, Resolver};
use super::open_filter::OpenFilter;
use super::projection::{self, MappedProjection, Place};
use crate::bundle::profile::Profile;
use crate::bundle::profile::query::grammar::RecordIds;
use crate::bundle::profile::query::{Encoding, Form, QueryRule, Role};
use crate::bundle::profile::route::Route;
use crate::bundle::profile::types::{KeyPattern, RecordType};
use crate::json::value::{Document, Kind, Value};
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use crate::model::seeded::{Fault, is_seeded};

/// A field that a parameter refers to, with the way to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// What the parameter does with it.
    pub role: Role,
    /// Type and full field name of each hop; the last is the field itself.
    pub hops: Vec<(String, String)>,
    /// The type of the record that the field holds, if it holds one: that there is none is said of hidden ones too.
    pub holds: Option<String>,
}

/// What a query says.
#[derive(Clone, Debug, Default)]
pub struct MappedQuery {
    /// The pairs to forward, without the projection.
    pub pairs: Vec<(String, String)>,
    /// The body to forward, if it is one of a read; without the projection.
    pub body: Option<Term>,
    /// The names of all parameters as the profile spells them, for the ledger: what a caller adds to a pattern is free text.
    pub names: Vec<String>,
    /// Every field that is referred to.
    pub references: Vec<Reference>,
    /// Whether the caller chose a page.
    pub is_paged: bool,
    /// The caller's projection.
    pub projection: Option<MappedProjection>,
    /// Where a search may be told to look.
    pub scope: Option<SearchScope>,
    /// The filter that the proxy may add to, with what the caller asks for.
    pub open_filter: Option<OpenFilter>,
}

/// The fields that a search can be told to look at.
#[derive(Clone, Debug)]
pub struct SearchScope {
    /// The parameter that tells it.
    pub parameter: String,
    /// How it lists fields.
    pub form: Form,
    /// What is referred to by looking there, and the field's name on the wire.
    pub fields: Vec<(Reference, String)>,
}

impl SearchScope {
    /// The pairs that tell a search to look at these fields alone.
    pub fn pairs(&self, wire_names: &[String]) -> Vec<(String, String)> {
        projection::list(&self.parameter, self.form, wire_names)
    }
}

/// What a request says beside its path.
#[derive(Clone, Copy)]
pub struct Said<'s> {
    /// The parameters.
    pub query: &'s [(String, String)],
    /// The body, if there is one.
    pub body: Option<&'s Document>,
}

/// Reads what a request says for a route about a type.
pub fn read(
    said: Said<'_>,
    route: &Route,
    record_type: Option<&RecordType>,
    profile: &Profile,
    limits: &Limits,
) -> Result<MappedQuery, Problem> {
    let resolver = Resolver { profile, record_type };
    let mapped = MappedQuery { open_filter: OpenFilter::of(route), ..MappedQuery::default() };
    let mut reader = Reader { resolver, limits, mapped, selected: None };
    let mut seen: Vec<&str> = Vec::new();
    for (name, value) in said.query {
        if is_seeded(Fault::UndeclaredParametersPass) && rule_for(route, name).is_none() {
            reader.mapped.pairs.push((name.clone(), value.clone()));
            continue;
        }
        let rule = rule_for(route, name)
            .ok_or_else(|| Problem::new(Reason::QueryUndeclared).detail(format!("parameter `{name}`")))?;
        let base =
            if rule.encoding == Encoding::Brackets { bracket_base(rule).unwrap_or(name) } else { name };
        let is_repeated = seen.contains(&base);
        seen.push(base);
        match rule.encoding {
            // All of its parameters were read at the first.
            Encoding::Brackets if is_repeated => {}
            Encoding::Brackets => {
                let own = |name: &str| rule_for(route, name).is_some_and(|own| std::ptr::eq(own, rule));
                let pairs = said.query.iter().filter(|(name, _)| own(name));
                let pairs =
                    pairs.filter_map(|(name, value)| Some((name.strip_prefix(base)?, value.as_str())));
                reader.parameter(rule, base, Given::Pairs(pairs.collect()))?;
            }
            _ if is_repeated && rule.form != Form::Repeated => {
                return Err(Problem::new(Reason::QueryRepeated).detail(format!("parameter `{name}`")));
            }
            _ => reader.parameter(rule, name, Given::Text(value))?,
        }
    }
    if !route.reads.is_empty() {
        let body = said.body.ok_or(Reason::BodyMissing)?;
        let written = reader.object(body.root(), &mut Vec::new(), route)?;
        reader.mapped.body = Some(written);
    }
    Ok(reader.finish(route))
}

/// Whether a route declares a parameter.
pub fn is_declared(route: &Route, name: &str) -> bool {
    rule_for(route, name).is_some()
}

/// What a route says of a parameter.
pub fn rule_for<'r>(route: &'r Route, name: &str) -> Option<&'r QueryRule> {
    let exact =
        route.query.iter().find(|rule| matches!(&rule.name, KeyPattern::Exact(exact) if exact == name));
    let opens = |rule: &&QueryRule| {
        let base = bracket_base(rule).filter(|_| rule.encoding == Encoding::Brackets);
        base.and_then(|base| name.strip_prefix(base)).is_some_and(|rest| rest.starts_with('['))
    };
    let matches = || route.query.iter().find(|rule| rule.name.matches(name));
    exact.or_else(|| route.query.iter().find(opens)).or_else(matches)
}

/// What stands before the brackets.
fn bracket_base(rule: &QueryRule) -> Option<&str> {
    match &rule.name {
        KeyPattern::Exact(base) => Some(base),
        KeyPattern::Prefix(_) | KeyPattern::Suffix(_) => None,
    }
}

/// What stands in a declared place.
enum Given<'g> {
    /// A parameter's value.
    Text(&'g str),
    /// The parameters of a name with brackets, each by what follows the name.
    Pairs(Vec<(&'g str, &'g str)>),
    /// A value of the body.
    Term(Term),
}

/// What is forwarded of it.
enum Written {
    /// Nothing: it is dropped, or a projection that is written with what policy needs.
    Nothing,
    /// A parameter's value.
    Text(String),
    /// Parameters.
    Pairs(Vec<(String, String)>),
    /// A value of the body.
    Term(Term),
}

struct Reader<'r> {
    resolver: Resolver<'r>,
    limits: &'r Limits,
    mapped: MappedQuery,
    selected: Option<MappedProjection>,
}

impl Reader<'_> {
    fn parameter(&mut self, rule: &QueryRule, name: &str, given: Given<'_>) -> Result<(), Problem> {
        match self.take(rule, name, given, || Place::Parameter(name.to_owned()))? {
            Written::Nothing | Written::Term(_) => {}
            Written::Text(text) => self.mapped.pairs.push((name.to_owned(), text)),
            Written::Pairs(pairs) => self.mapped.pairs.extend(pairs),
        }
        Ok(())
    }

    /// Reads an object of a body on the way to what is declared; it has no other keys.
    fn object(&mut self, value: Value<'_>, at: &mut Vec<String>, route: &Route) -> Result<Term, Problem> {
        if value.kind() != Kind::Object {
            return Err(Reason::BodyShape.into());
        }
        let mut written = Vec::new();
        for member in value.members() {
            at.push(member.key().into_owned());
            let declared = route.reads.iter().find(|declared| declared.at == *at);
            let leads_on = || route.reads.iter().any(|declared| declared.at.starts_with(at));
            let term = match declared {
                Some(declared) => {
                    let given = Given::Term(Term::of(member.value()));
                    let name = declared.rule.name.to_string();
                    match self.take(&declared.rule, &name, given, || Place::Body(declared.at.clone()))? {
                        Written::Term(term) => Some(term),
                        Written::Text(text) => Some(Term::Text(text)),
                        Written::Nothing | Written::Pairs(_) => None,
                    }
                }
                None if leads_on() => Some(self.object(member.value(), at, route)?),
                None => return Err(Reason::BodyShape.into()),
            };
            written.extend(at.pop().zip(term));
        }
        Ok(Term::Object(written))
    }

    fn take(
        &mut self,
        rule: &QueryRule,
        name: &str,
        given: Given<'_>,
        place: impl FnOnce() -> Place,
    ) -> Result<Written, Problem> {
        let spelled = rule.name.to_string();
        if !self.mapped.names.contains(&spelled) {
            self.mapped.names.push(spelled);
        }
        let refused = |refusal: Refusal| match refusal {
            // The same words for a field that is not described and for one that may not be referred to.
            Refusal::Unread => Problem::new(Reason::ReferenceRefused),
            Refusal::TooMuch => Problem::new(Reason::FilterTooLarge).detail(format!("parameter `{name}`")),
        };
        let read = match rule.role {
            Role::Ignored => Ok(Written::Nothing),
            Role::Refused => {
                return Err(Problem::new(Reason::ReferenceRefused).detail(format!("parameter `{name}`")));
            }
            Role::Paging | Role::Harmless | Role::Search => {
                self.mapped.is_paged |= rule.role == Role::Paging;
                if rule.role == Role::Search {
                    self.search(rule);
                }
                let passed = pass(rule, given);
                return passed.map_err(|problem| refused(problem).detail(format!("parameter `{name}`")));
            }
            Role::Select | Role::Expand | Role::Sort | Role::Group | Role::Aggregate | Role::Filter => {
                self.fields(rule, name, given, place)
            }
        };
        read.map_err(refused)
    }

    /// What names fields.
    fn fields(
        &mut self,
        rule: &QueryRule,
        name: &str,
        given: Given<'_>,
        place: impl FnOnce() -> Place,
    ) -> Result<Written, Refusal> {
        if let Form::Key | Form::OperatorSuffix | Form::Bracketed = rule.form {
            let path = self.resolver.path_of_parameter(rule, name).ok_or(Refusal::Unread)?;
            self.refer(rule, &path)?;
            self.mapped.open_filter.iter_mut().filter(|open| open.is_of(rule)).for_each(OpenFilter::close);
            return bare_value(rule, given);
        }
        if !rule.form.is_json() {
            let text = match &given {
                Given::Text(text) => text,
                Given::Term(Term::Text(text)) => text.as_str(),
                _ => return Err(Refusal::Unread),
            };
            let named = order::read_text(rule.form, text, &rule.grammar)?;
            self.refer_to_all(rule, &named)?;
            return Ok(match rule.role {
                Role::Select => self.select(rule, place(), &named, Padding::Present),
                _ => Written::Text(order::write_text(rule.form, &named)),
            });
        }
        let (term, wrapping) = self.unwrap(rule, given)?;
        if rule.form.is_filter_tree() {
            let read = filter::read(rule.form, &term, &rule.grammar, self.limits.filter)?;
            read.clauses().into_iter().try_for_each(|clause| self.refer_by(rule, clause))?;
            if let Some(open) = self.mapped.open_filter.as_mut().filter(|open| open.is_of(rule)) {
                open.take(read, wrapping.padding());
                return Ok(Written::Nothing);
            }
            let written = filter::write(rule.form, &read, &rule.grammar).ok_or(Refusal::Unread)?;
            return wrapping.wrap(rule, name, written);
        }
        let named = order::read(rule.form, &term, &rule.grammar)?;
        self.refer_to_all(rule, &named)?;
        match rule.role {
            Role::Select => Ok(self.select(rule, place(), &named, wrapping.padding())),
            _ => {
                let written = order::write(rule.form, &named, &rule.grammar).ok_or(Refusal::Unread)?;
                wrapping.wrap(rule, name, written)
            }
        }
    }

    fn unwrap(&self, rule: &QueryRule, given: Given<'_>) -> Result<(Term, Wrapping), Refusal> {
        let text = match given {
            Given::Pairs(pairs) => {
                return Ok((brackets::read(pairs, rule.grammar.levels)?, Wrapping::Brackets));
            }
            Given::Term(term) if rule.encoding == Encoding::Json => return Ok((term, Wrapping::InPlace)),
            Given::Term(Term::Text(text)) => text,
            Given::Term(_) => return Err(Refusal::Unread),
            Given::Text(text) => text.to_owned(),
        };
        let Unwrapped { term, padding } = encoding::read(rule.encoding, &text, &self.limits.json)?;
        Ok((term, Wrapping::Text(padding)))
    }

    fn select(&mut self, rule: &QueryRule, place: Place, named: &[Named], padding: Padding) -> Written {
        let selected = self.selected.get_or_insert_with(|| MappedProjection::stated(rule, place, padding));
        selected.add(named.iter().map(|named| named.name.clone()));
        Written::Nothing
    }

    fn refer_to_all(&mut self, rule: &QueryRule, named: &[Named]) -> Result<(), Refusal> {
        let fields = named.iter().filter(|named| !rule.values.contains(&named.name));
        fields.into_iter().try_for_each(|named| {
            let path = rule.grammar.path(&named.name).ok_or(Refusal::Unread)?;
            self.refer(rule, &path).map(|_| ())
        })
    }

    /// Refers to the field of a condition.
    fn refer_by(&mut self, rule: &QueryRule, clause: &Clause) -> Result<(), Refusal> {
        let leads_to = self.refer(rule, &clause.path)?;
        let is_number = |value: &Term| match value {
            Term::Number(_) | Term::Null | Term::Bool(_) => true,
            Term::Text(text) => {
                rule.encoding == Encoding::Brackets && text.bytes().all(|byte| byte.is_ascii_digit())
            }
            Term::List(_) | Term::Object(_) => false,
        };
        let are_numbers = clause.values.iter().all(|(_, value)| match value {
            Term::List(items) => items.iter().all(is_number),
            value => is_number(value),
        });
        let is_name = leads_to == names::LeadsTo::Record && rule.grammar.record_ids == RecordIds::Numbers;
        if is_name && !are_numbers { Err(Refusal::Unread) } else { Ok(()) }
    }

    fn refer(&mut self, rule: &QueryRule, path: &[String]) -> Result<names::LeadsTo, Refusal> {
        let (found, leads_to) = self.resolver.references(rule, path).ok_or(Refusal::Unread)?;
        found.into_iter().for_each(|reference| self.mapped.refer(reference));
        Ok(leads_to)
    }

    fn search(&mut self, rule: &QueryRule) {
        let covered = self.resolver.searched(rule);
        let Some(over) = &rule.over_parameter else {
            return covered.into_iter().for_each(|(reference, _)| self.mapped.refer(reference));
        };
        self.mapped.scope =
            Some(SearchScope { parameter: over.name.clone(), form: over.form, fields: covered });
    }

    fn finish(self, route: &Route) -> MappedQuery {
        let projection = self.selected.or_else(|| projection::default_projection(route));
        MappedQuery { projection, ..self.mapped }
    }
}

impl MappedQuery {
    /// Each is judged once, however often a caller writes it: judging asks Cedar.
    fn refer(&mut self, reference: Reference) {
        if !self.references.contains(&reference) {
            self.references.push(reference);
        }
    }
}

/// What a value was taken out of.
#[derive(Clone, Copy)]
enum Wrapping {
    InPlace,
    Text(Padding),
    Brackets,
}

impl Wrapping {
    fn padding(self) -> Padding {
        match self {
            Wrapping::Text(padding) => padding,
            Wrapping::InPlace | Wrapping::Brackets => Padding::Present,
        }
    }

    fn wrap(self, rule: &QueryRule, name: &str, term: Term) -> Result<Written, Refusal> {
        Ok(match self {
            Wrapping::InPlace => Written::Term(term),
            Wrapping::Text(padding) => Written::Text(encoding::write(rule.encoding, &term, padding)),
            Wrapping::Brackets => Written::Pairs(brackets::write(name, &term).ok_or(Refusal::Unread)?),
        })
    }
}

/// A value that names no field. Where the profile lists values, another one may mean anything.
fn pass(rule: &QueryRule, given: Given<'_>) -> Result<Written, Refusal> {
    let is_listed = |text: &str| rule.values.is_empty() || rule.values.iter().any(|known| known == text);
    let is_plain = |term: &Term| term.as_text().is_some_and(|text| is_listed(&text));
    match given {
        Given::Text(text) if rule.role == Role::Search || is_listed(text) => {
            Ok(Written::Text(text.to_owned()))
        }
        Given::Term(Term::List(items)) if rule.role == Role::Harmless && items.iter().all(is_plain) => {
            Ok(Written::Term(Term::List(items)))
        }
        Given::Term(term) if is_plain(&term) => Ok(Written::Term(term)),
        _ => Err(Refusal::Unread),
    }
}

/// The value of a parameter whose name says which field it is about.
fn bare_value(rule: &QueryRule, given: Given<'_>) -> Result<Written, Refusal> {
    let (term, written) = match given {
        Given::Text(text) => (Term::from_text(text), Written::Text(text.to_owned())),
        Given::Term(term) => (term.clone(), Written::Term(term)),
        Given::Pairs(_) => return Err(Refusal::Unread),
    };
    check_value(&term, &rule.grammar).map(|()| written)
}
