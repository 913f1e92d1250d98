//! What is known of a request before anybody asks: the kinds of its principal and resource, and what its context names of the
//! catalogue.
//!
//! Promises: what is told of a policy holds for every request of the world on which it does not fail, whatever the rest of it. All
//! else is open.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::environment::Environment;
use crate::bundle::catalogue::Catalogue;
use crate::bundle::forms::{entity, entity_literals, is_context, single, variable};
use crate::model::principal::EntityRef;

/// Requests of one environment whose context names these entities, or others that no policy can tell from them.
#[derive(Clone, Debug)]
pub struct World<'a> {
    environment: &'a Environment,
    catalogue: &'a Catalogue,
    /// Keys of the context and what they name.
    pub named: Vec<(&'static str, EntityRef)>,
}

/// Every world of an environment, as far as conditions with these entities in them can tell. Where they would be too many, a key of the
/// context is left open.
pub fn worlds<'a>(
    environment: &'a Environment,
    catalogue: &'a Catalogue,
    literals: &BTreeSet<EntityRef>,
) -> Vec<World<'a>> {
    let mut worlds = vec![World::open(environment, catalogue)];
    for (key, candidates) in &environment.named {
        let mut classes: BTreeMap<Vec<bool>, &EntityRef> = BTreeMap::new();
        for candidate in candidates {
            classes.entry(signature(catalogue, candidate, literals)).or_insert(candidate);
        }
        if worlds.len().saturating_mul(classes.len()) > WORLDS_MAX {
            continue;
        }
        let extended = worlds.iter().flat_map(|world| {
            classes.values().map(|entity| {
                let mut world = world.clone();
                world.named.push((key, (*entity).clone()));
                world
            })
        });
        worlds = extended.collect();
    }
    worlds
}

/// In which of the literals an entity is.
pub fn signature(catalogue: &Catalogue, entity: &EntityRef, literals: &BTreeSet<EntityRef>) -> Vec<bool> {
    literals.iter().map(|literal| catalogue.is_in(entity, literal)).collect()
}

impl<'a> World<'a> {
    /// Of whose context nothing is known.
    pub fn open(environment: &'a Environment, catalogue: &'a Catalogue) -> Self {
        Self { environment, catalogue, named: Vec::new() }
    }

    /// Whether a policy, given by its form, applies; `None` if that depends on more.
    pub fn applies(&self, form: &Value) -> Option<bool> {
        self.applies_where(form, &|_| None)
    }

    /// The same where `leaf` knows more of expressions that no connective holds together.
    pub fn applies_where(&self, form: &Value, leaf: &Leaf<'_>) -> Option<bool> {
        let kinds = [("principal", &self.environment.principal), ("resource", &self.environment.resource)];
        let scope = kinds.iter().map(|(variable, kind)| scope(form.get(variable)?, variable, kind, leaf));
        let conditions = form.get("conditions").and_then(Value::as_array).into_iter().flatten();
        let conditions = conditions.map(|condition| {
            let truth = self.truth(condition.get("body")?, leaf)?;
            Some(truth == (condition.get("kind").and_then(Value::as_str) == Some("when")))
        });
        all(scope.chain(conditions))
    }

    fn truth(&self, expression: &Value, leaf: &Leaf<'_>) -> Option<bool> {
        let (operator, body) = single(expression)?;
        let part = |key: &str| self.truth(body.get(key)?, leaf);
        match operator {
            "Value" => body.as_bool(),
            "!" => part("arg").map(|truth| !truth),
            "&&" => both(part("left"), || part("right")),
            "||" => any(["left", "right"].into_iter().map(part)),
            "if-then-else" => match part("if") {
                Some(true) => part("then"),
                Some(false) => part("else"),
                None => part("then").filter(|truth| part("else") == Some(*truth)),
            },
            "!=" => {
                let equal = json!({"==": body});
                self.compared("==", body).or_else(|| leaf(&equal)).map(|truth| !truth)
            }
            "is" => self.is_of(body).or_else(|| leaf(expression)),
            "==" | "in" => self.compared(operator, body).or_else(|| leaf(expression)),
            _ => leaf(expression),
        }
    }

    fn is_of(&self, body: &Value) -> Option<bool> {
        let kind = match variable(body.get("left")?)? {
            "principal" => &self.environment.principal,
            "resource" => &self.environment.resource,
            _ => return None,
        };
        let is_kind = body.get("entity_type")?.as_str()? == kind;
        (body.get("in").is_none() || !is_kind).then_some(is_kind)
    }

    fn compared(&self, operator: &str, body: &Value) -> Option<bool> {
        let (left, right) = (body.get("left")?, body.get("right")?);
        let (_, entity) = self.named.iter().find(|(key, _)| is_context(left, key))?;
        let others = entity_literals(right)?;
        Some(match operator {
            "in" => others.iter().any(|other| self.catalogue.is_in(entity, other)),
            _ => others == [entity.clone()],
        })
    }
}

/// What is known of an expression, if anything.
pub type Leaf<'l> = dyn Fn(&Value) -> Option<bool> + 'l;

/// What a scope says of the principal or the resource, which is of a kind.
fn scope(constraint: &Value, variable: &str, kind: &str, leaf: &Leaf<'_>) -> Option<bool> {
    let operator = constraint.get("op")?.as_str()?;
    let is_of_kind = constraint.get("entity_type").and_then(Value::as_str) == Some(kind);
    let compared = |operator: &str, other: &Value| {
        leaf(&json!({operator: {"left": {"Var": variable}, "right": {"Value": {"__entity": other}}}}))
    };
    match operator {
        "All" => Some(true),
        "is" if !is_of_kind => Some(false),
        "is" => match constraint.get("in") {
            Some(group) => compared("in", group.get("entity")?),
            None => Some(true),
        },
        "==" if entity(constraint.get("entity")?)?.type_name != kind => Some(false),
        _ => compared(operator, constraint.get("entity")?),
    }
}

/// Whether all are true.
pub fn all(truths: impl IntoIterator<Item = Option<bool>>) -> Option<bool> {
    let mut whole = Some(true);
    for truth in truths {
        whole = both(whole, || truth);
        if whole == Some(false) {
            break;
        }
    }
    whole
}

/// Whether any is true.
pub fn any(truths: impl IntoIterator<Item = Option<bool>>) -> Option<bool> {
    all(truths.into_iter().map(|truth| truth.map(|truth| !truth))).map(|none| !none)
}

/// Whether both are true. The second is not looked at where the first is false.
fn both(first: Option<bool>, second: impl FnOnce() -> Option<bool>) -> Option<bool> {
    match first {
        Some(false) => Some(false),
        Some(true) => second(),
        None => second().filter(|truth| !truth),
    }
}

/// Worlds of one environment.
const WORLDS_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use cedar_policy as cedar;

    use super::*;
    use crate::bundle::catalogue::{self, to_uid};
    use crate::bundle::profile::Profile;
    use crate::config::author::{Problems, SourceFile};

    const PROFILE: &str = "profile = 1\n[field_sets]\nmoney = []\npublic = []\n[types.Deal]\nid = \"id\"\n\
        [types.Deal.fields]\namount = { sets = [\"money\"] }\ntitle = { sets = [\"public\"] }\n\
        [[routes]]\nmatch = \"GET /deals/{id:int}\"\naction = \"view\"\nrecords = { at = \"$\", type = \"Deal\", complete = true }\n";

    fn catalogue() -> Catalogue {
        let mut problems = Problems::default();
        let source = SourceFile::new("profile.toml", PROFILE);
        let profile = Profile::load(&source, &mut problems);
        let profile = profile.unwrap_or_else(|| panic!("{problems}"));
        catalogue::build(&profile, &source, &mut problems)
    }

    fn environment() -> Environment {
        let (principal, action, resource) = ("User".to_owned(), "readField".to_owned(), "Deal".to_owned());
        let fields = ["Deal.amount", "Deal.title", "Deal.*"].map(|name| EntityRef::new("Field", name));
        Environment { principal, action, resource, named: vec![("field", fields.to_vec())] }
    }

    /// What Cedar says of a policy, of a request for `Deal.amount` by somebody of whom nothing is known.
    fn cedar_says(policy: &cedar::Policy, catalogue: &Catalogue) -> bool {
        let uid = |kind: &str, id: &str| to_uid(&EntityRef::new(kind, id)).unwrap();
        let entities = catalogue.references().filter_map(|entity| catalogue.entity(entity)).cloned();
        let entities = cedar::Entities::from_entities(entities, None).unwrap();
        let field = cedar::RestrictedExpression::new_entity_uid(uid("Field", "Deal.amount"));
        let context = cedar::Context::from_pairs([("field".to_owned(), field)]).unwrap();
        let (action, resource) = (uid("Action", "readField"), uid("Deal", "1"));
        let request = cedar::Request::new(uid("User", "anna"), action, resource, context, None).unwrap();
        let policies = cedar::PolicySet::from_policies([policy.clone()]).unwrap();
        let response = cedar::Authorizer::new().is_authorized(&request, &policies, &entities);
        response.decision() == cedar::Decision::Allow
    }

    #[track_caller]
    fn check(policy: &str, expected: Option<bool>) {
        let (catalogue, environment) = (catalogue(), environment());
        let named = vec![("field", EntityRef::new("Field", "Deal.amount"))];
        let world = World { named, ..World::open(&environment, &catalogue) };
        let policy = cedar::Policy::parse(None, policy).unwrap();
        let told = world.applies(&policy.to_json().unwrap());
        assert_eq!(told, expected, "{policy}");
        assert!(told.is_none_or(|told| told == cedar_says(&policy, &catalogue)), "{policy}");
    }

    #[test]
    fn what_is_told_of_a_policy_is_what_cedar_says() {
        let when = |condition: &str| format!("permit (principal, action, resource) when {{ {condition} }};");
        let (money, public) =
            ("context.field in FieldSet::\"money\"", "context.field in FieldSet::\"public\"");
        let open = "principal in Role::\"rep\"";
        for (condition, expected) in [
            (money.to_owned(), Some(true)),
            (public.to_owned(), Some(false)),
            (format!("!({public})"), Some(true)),
            (format!("{public} || {money}"), Some(true)),
            (format!("{public} && {open}"), Some(false)),
            (format!("{open} && {public}"), Some(false)),
            (format!("{money} && {open}"), None),
            (format!("{money} || {open}"), Some(true)),
            (format!("{public} || {open}"), None),
            (format!("if {open} then {public} else false"), Some(false)),
            (format!("if {money} then {public} else {open}"), Some(false)),
            (format!("if {open} then {public} else {money}"), None),
            ("context.field == Field::\"Deal.amount\"".to_owned(), Some(true)),
            ("context.field != Field::\"Deal.amount\"".to_owned(), Some(false)),
            ("context.field in [FieldSet::\"public\", FieldSet::\"money\"]".to_owned(), Some(true)),
            ("context.field in principal.sets".to_owned(), None),
            ("principal is User && resource is Deal".to_owned(), Some(true)),
            ("principal is Service".to_owned(), Some(false)),
            ("principal is User in Role::\"rep\"".to_owned(), None),
            ("context.from == context.field".to_owned(), None),
        ] {
            check(&when(&condition), expected);
        }
        check(&format!("permit (principal, action, resource) unless {{ {public} }};"), Some(true));
        check(
            &format!("permit (principal, action, resource) when {{ {open} }} unless {{ {money} }};"),
            Some(false),
        );
        for (scope, expected) in [
            ("principal, action, resource", Some(true)),
            ("principal is User, action, resource is Deal", Some(true)),
            ("principal is Service, action, resource", Some(false)),
            ("principal, action, resource is Contact", Some(false)),
            ("principal is User in Role::\"rep\", action, resource", None),
            ("principal is Agent in Role::\"rep\", action, resource", Some(false)),
            ("principal in Role::\"rep\", action, resource", None),
            ("principal == User::\"berta\", action, resource", None),
            ("principal == Service::\"anna\", action, resource", Some(false)),
            ("principal, action, resource == Deal::\"2\"", None),
        ] {
            check(&format!("permit ({scope});"), expected);
        }
    }

    #[test]
    fn fields_that_nothing_tells_apart_share_a_world() {
        let (catalogue, environment) = (catalogue(), environment());
        let of = |literals: &[EntityRef]| {
            let literals = literals.iter().cloned().collect();
            worlds(&environment, &catalogue, &literals).len()
        };
        assert_eq!(of(&[]), 1);
        assert_eq!(of(&[EntityRef::new("FieldSet", "money")]), 2);
        assert_eq!(of(&[EntityRef::new("FieldSet", "money"), EntityRef::new("Field", "Deal.title")]), 3);
    }

    #[test]
    fn a_key_with_too_many_worlds_is_left_open() {
        let catalogue = catalogue();
        let fields: Vec<EntityRef> =
            (0..=WORLDS_MAX).map(|number| EntityRef::new("Field", number.to_string())).collect();
        let literals = fields.iter().cloned().collect();
        let environment = Environment { named: vec![("field", fields)], ..environment() };
        let worlds = worlds(&environment, &catalogue, &literals);
        assert!(worlds.len() == 1 && worlds[0].named.is_empty());
    }
}
