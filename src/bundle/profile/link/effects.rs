//! Every way to one effect needs the same action: what one route asks for where it writes a key, every other one that writes
//! that key asks for too. A route or a verb with an action of its own, such as `assign`, says which keys that action covers.
//! Stage moves are found by the keys of the stage, whatever the route says.

use crate::bundle::profile::Profile;
use crate::bundle::profile::route::{Also, Route, When, Writes};
use crate::bundle::profile::source::{ActionSource, TypeSource};
use crate::bundle::profile::types::{KeyPath, RecordType};
use crate::config::reader::Reading;
use crate::json::path::Segment;
use crate::model::access::{Action, Scope};

/// One way to a record: a route, or one verb of it.
struct Door<'p> {
    route: &'p Route,
    name: String,
    action: Action,
    covers: Option<&'p [KeyPath]>,
}

/// What somebody asks for where a key of a record is written.
struct Effect<'p> {
    route: &'p Route,
    name: String,
    action: Action,
    key: Vec<Segment>,
    when: When,
}

/// Notes routes by which an effect could be had without the action that another route asks for.
pub(super) fn check(profile: &Profile, reading: &Reading) {
    let routes = || profile.routes.iter().filter(|route| route.refuse.is_none());
    let doors: Vec<Door<'_>> = routes().flat_map(doors).collect();
    doors.iter().for_each(|door| check_covers(profile, door, reading));
    for route in routes().filter(|route| route.covers.is_some()) {
        if matches!(route.action, Some(ActionSource::Verbs { .. })) {
            let message = format!("`{}` covers keys beside its verbs", route.label());
            reading.error(
                route.span.clone(),
                message,
                "Say it in the verb: `{ action = \"assign\", covers = [\"owner_id\"] }`.",
            );
        }
    }
    let of_bodies = routes().flat_map(|route| route.also.iter().filter_map(|also| called_for(route, also)));
    let effects: Vec<Effect<'_>> = of_bodies.chain(doors.iter().flat_map(covered)).collect();
    for door in doors.iter().filter(|door| changes(door.action)) {
        let of_its_type = effects.iter().filter(|effect| concern_one_type(door.route, effect.route));
        let lacking = of_its_type.filter(|effect| writes(door, &effect.key) && !asks_for(door, effect));
        lacking.for_each(|effect| report(door, effect, reading));
    }
}

fn doors(route: &Route) -> Vec<Door<'_>> {
    let label = route.label();
    match &route.action {
        Some(ActionSource::Constant(action)) => {
            vec![Door { route, name: label, action: *action, covers: route.covers.as_deref() }]
        }
        Some(ActionSource::Verbs { verbs, .. }) => {
            let doors = verbs.iter().map(|(verb, spec)| Door {
                route,
                name: format!("{label} {verb}"),
                action: spec.action,
                covers: spec.covers.as_deref(),
            });
            doors.collect()
        }
        None => Vec::new(),
    }
}

/// What a body calls for, if it is about a key of the record.
fn called_for<'p>(route: &'p Route, also: &Also) -> Option<Effect<'p>> {
    let key = key_of(also, route.writes.as_ref()?)?.to_vec();
    Some(Effect { route, name: route.label(), action: also.action, key, when: also.when.clone() })
}

/// What a door's own action stands for. An edit stands for any key, so nobody asks for it besides.
fn covered<'p>(door: &Door<'p>) -> Vec<Effect<'p>> {
    let keys = door.covers.unwrap_or_default().iter().filter(|_| has_effect_of_its_own(door.action));
    let effects = keys.map(|key| Effect {
        route: door.route,
        name: door.name.clone(),
        action: door.action,
        key: segments(key),
        when: When::Changes,
    });
    effects.collect()
}

/// Whether an action is asked on a record that is there and changes it.
fn changes(action: Action) -> bool {
    let is_one = action.scope() == Scope::RecordWrite && action != Action::Create;
    is_one || action == Action::BulkEdit
}

fn has_effect_of_its_own(action: Action) -> bool {
    changes(action) && !matches!(action, Action::Edit | Action::BulkEdit | Action::MoveStage)
}

/// What a door says of the keys that it sets: the actions whose effect may be had by a plain edit must say, and what they say
/// must exist.
fn check_covers(profile: &Profile, door: &Door<'_>, reading: &Reading) {
    let error = |message: String, help: &str| reading.error(door.route.span.clone(), message, help);
    let (name, action) = (&door.name, door.action.name());
    let must_say = matches!(door.action, Action::Assign | Action::Share | Action::Relate);
    let keys = match door.covers {
        Some(keys) => keys,
        None if must_say => {
            let help = "List the keys of the record that it sets, e.g. `covers = [\"owner_id\"]`: who writes them by another route needs the action too. Write `covers = []` if they cannot be written by another route.";
            return error(format!("`{name}` does not say what `{action}` covers"), help);
        }
        None => return,
    };
    if !changes(door.action) || door.action == Action::MoveStage {
        let help = "Leave `covers` out: stage moves are found by the keys of the stage, and only what changes a record that is there can cover a key.";
        return error(format!("`{name}` covers keys, and `{action}` cannot"), help);
    }
    let name_of_type = type_name(door.route);
    let is_of_type =
        |record_type: &&RecordType| name_of_type.as_ref().is_none_or(|name| record_type.name == *name);
    let types: Vec<&RecordType> = profile.types.iter().filter(is_of_type).collect();
    let is_field = |key: &KeyPath| {
        let mut fields = types.iter().flat_map(|record_type| &record_type.fields);
        fields.any(|field| field.at.starts_with(key) || key.starts_with(&field.at))
    };
    for key in keys.iter().filter(|key| !is_field(key)) {
        let help = "Write the key as the record has it. What no field describes can be written by no other route: leave it out.";
        error(format!("`{name}` covers `{}`, where no field stands", key.join(".")), help);
    }
}

/// Whether both may be about records of one type; a type that the request names may be any.
fn concern_one_type(route: &Route, other: &Route) -> bool {
    type_name(route).zip(type_name(other)).is_none_or(|(own, theirs)| own == theirs)
}

fn type_name(route: &Route) -> Option<String> {
    let first = route.shape.records.first().map(|location| &location.type_source);
    match route.type_source.as_ref().or(first) {
        Some(TypeSource::Constant(name)) => Some(name.value.clone()),
        Some(TypeSource::Named(_) | TypeSource::Route | TypeSource::Discriminator(_)) | None => None,
    }
}

/// The key of the record that a further decision is about, if it is about one.
fn key_of<'a>(also: &'a Also, writes: &Writes) -> Option<&'a [Segment]> {
    also.at.segments().strip_prefix(writes.at.segments()).filter(|key| !key.is_empty())
}

/// Whether a key may be written by a door: by its body, or because that is what it is for.
fn writes(door: &Door<'_>, key: &[Segment]) -> bool {
    let is_ignored =
        |writes: &Writes| matches!(key.first(), Some(Segment::Key(key)) if writes.ignored.contains(key));
    let by_body = door.route.writes.as_ref().is_some_and(|writes| !is_ignored(writes));
    let meets = |covered: &KeyPath| {
        let covered = segments(covered);
        covered.starts_with(key) || key.starts_with(&covered)
    };
    by_body || door.covers.unwrap_or_default().iter().any(meets)
}

fn asks_for(door: &Door<'_>, effect: &Effect<'_>) -> bool {
    let covers = |also: &Also| {
        let is_as_broad = also.when == effect.when || also.when == When::Present;
        let key = door.route.writes.as_ref().and_then(|writes| key_of(also, writes));
        also.action == effect.action && is_as_broad && key == Some(&effect.key)
    };
    door.action == effect.action || door.route.also.iter().any(covers)
}

fn report(door: &Door<'_>, effect: &Effect<'_>, reading: &Reading) {
    let (own, theirs, action) = (&door.name, &effect.name, effect.action.name());
    let key = path_text(&effect.key);
    let message = format!("`{own}` writes `{key}` without `{action}`, which `{theirs}` asks for");
    let help = match &door.route.writes {
        Some(writes) => format!(
            "Every way to one effect needs the same action: add `also = [{{ action = \"{action}\", when = {{ at = \"{}.{key}\", {} }} }}]`, or put the key on `ignored` if the CRM takes no notice of it.",
            writes.at,
            condition(&effect.when)
        ),
        None => format!(
            "Every way to one effect needs the same action: make it `action = \"{action}\"`, or leave the key out of one `covers` if that route does not set it."
        ),
    };
    reading.error(door.route.span.clone(), message, help);
}

fn segments(key: &KeyPath) -> Vec<Segment> {
    key.iter().cloned().map(Segment::Key).collect()
}

fn path_text(key: &[Segment]) -> String {
    let name = |segment: &Segment| match segment {
        Segment::Key(key) => key.clone(),
        Segment::Index(index) => index.to_string(),
        Segment::EachItem | Segment::EachMember => "*".to_owned(),
    };
    key.iter().map(name).collect::<Vec<_>>().join(".")
}

fn condition(when: &When) -> String {
    match when {
        When::Present => "…".to_owned(),
        When::Is(values) => format!("is = [{}]", values.join(", ")),
        When::Changes => "changes = true".to_owned(),
    }
}
