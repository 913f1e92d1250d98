//! The slow, obvious twin: one Cedar `Entities` of everything. What is made on demand equals what it holds, and decides alike.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::bundle::catalogue::{from_uid, to_uid};

/// A member of a directory, before it is written down.
#[derive(Clone, Debug)]
struct Sketch {
    type_name: &'static str,
    id: String,
    attributes: Vec<(&'static str, String)>,
    parents: Vec<(&'static str, String)>,
}

/// Ids that JSON must escape, and that look like something else.
const NAMES: &[&str] = &["a", "b", "ü", "x\"y", "back\\slash", "2026-01-01", "", "line\nfeed", "null", "a b"];
const GROUPS: &[&str] = &["Role", "Team", "Territory", "BusinessUnit", "Position"];

fn group_name(number: usize) -> String {
    format!("{}{number}", NAMES[number % NAMES.len()])
}

/// Groups are only members of groups of the same type that come later, so there is no circle.
fn groups() -> impl Strategy<Value = Vec<Sketch>> {
    let one = (0..GROUPS.len(), prop::collection::vec(1_usize..6, 0..3));
    prop::collection::vec(one, 1..12).prop_map(|drawn| {
        let types: Vec<&str> = drawn.iter().map(|(type_name, _)| GROUPS[*type_name]).collect();
        let parents = |number: usize, steps: &[usize]| -> Vec<(&'static str, String)> {
            let later = steps
                .iter()
                .map(|step| number + step)
                .filter(|other| types.get(*other) == Some(&types[number]));
            later.map(|other| (GROUPS[drawn[other].0], group_name(other))).collect()
        };
        let sketch = |(number, (type_name, steps)): (usize, &(usize, Vec<usize>))| Sketch {
            type_name: GROUPS[*type_name],
            id: group_name(number),
            attributes: Vec::new(),
            parents: parents(number, steps),
        };
        drawn.iter().enumerate().map(sketch).collect()
    })
}

fn value(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn custom() -> impl Strategy<Value = String> {
    let text = prop::sample::select(NAMES).prop_map(|text| format!("\"email\": {}", value(text)));
    let limit = prop::sample::select(&["\"1.5\"", r#"{"__extn": {"fn": "decimal", "arg": "-2.25"}}"#][..]);
    let ids = prop::collection::vec(prop::sample::select(NAMES), 0..4).prop_map(|ids| {
        format!("\"ids\": [{}]", ids.iter().map(|id| value(id)).collect::<Vec<_>>().join(" , "))
    });
    let badge = prop::sample::select(&["gold", "silver"][..])
        .prop_map(|id| format!("\"badge\": {{\"__entity\": {{\"type\": \"Badge\", \"id\": \"{id}\"}}}}"));
    let home = (any::<i64>(), prop::sample::select(&["2026-01-01", "2026-06-01T10:00:00+0200"][..]))
        .prop_map(|(floor, since)| format!("\"home\": {{\"since\": \"{since}\", \"floor\": {floor}}}"));
    let limit = limit.prop_map(|limit| format!("\"limit\": {limit}"));
    let options = (
        prop::option::of(text),
        prop::option::of(limit),
        prop::option::of(ids),
        prop::option::of(badge),
        prop::option::of(home),
    );
    options.prop_map(|(a, b, c, d, e)| {
        let members: Vec<String> = [a, b, c, d, e].into_iter().flatten().collect();
        format!("{{ {} }}", members.join(",\n "))
    })
}

fn user(number: usize, groups: &[Sketch]) -> impl Strategy<Value = Sketch> + use<> {
    let groups: Vec<(&'static str, String)> =
        groups.iter().map(|group| (group.type_name, group.id.clone())).collect();
    let positions: Vec<String> =
        groups.iter().filter(|(type_name, _)| *type_name == "Position").map(|(_, id)| id.clone()).collect();
    let memberships: Vec<_> = groups.into_iter().filter(|(type_name, _)| *type_name != "Position").collect();
    let parents =
        prop::collection::vec(prop::sample::select(with_one(memberships, ("Role", group_name(0)))), 0..4);
    let position = prop::option::of(prop::sample::select(with_one(positions, "nowhere".to_owned())));
    let until = prop::option::of(prop::sample::select(&["2026-01-01", "2027-01-01T00:00:00Z"][..]));
    let crm_id = prop::option::of(prop::sample::select(NAMES));
    (any::<bool>(), position, until, crm_id, prop::option::of(custom()), parents).prop_map(
        move |(active, position, until, crm_id, custom, parents)| {
            let mut attributes = vec![("active", active.to_string())];
            attributes.extend(
                position
                    .map(|id| ("position", format!("{{\"type\": \"Position\", \"id\": {}}}", value(&id)))),
            );
            attributes.extend(until.map(|until| ("accessUntil", value(until))));
            attributes.extend(crm_id.map(|id| ("crmId", value(id))));
            attributes.extend(custom.map(|custom| ("custom", custom)));
            Sketch { type_name: "User", id: format!("user {number}"), attributes, parents }
        },
    )
}

fn with_one<T: Clone>(mut list: Vec<T>, one: T) -> Vec<T> {
    if list.is_empty() {
        list.push(one);
    }
    list
}

fn directory() -> impl Strategy<Value = Vec<Sketch>> {
    groups().prop_flat_map(|groups| {
        let users: Vec<_> = (0..6).map(|number| user(number, &groups)).collect();
        (Just(groups), users).prop_map(|(mut groups, users)| {
            // Somebody may have drawn a stand-in that is not there.
            let known: BTreeSet<(&str, String)> =
                groups.iter().map(|g| (g.type_name, g.id.clone())).collect();
            groups.extend(users.into_iter().map(|mut user| {
                user.parents.retain(|parent| known.contains(parent));
                user
            }));
            groups.rotate_left(3.min(known.len()));
            groups
        })
    })
}

fn write(sketches: &[Sketch]) -> String {
    let reference =
        |type_name: &str, id: &str| format!("{{\"type\":\"{type_name}\", \"id\" : {}}}", value(id));
    let one = |sketch: &Sketch| {
        let attributes: Vec<String> =
            sketch.attributes.iter().map(|(name, value)| format!("{name:?}: {value}")).collect();
        let parents: Vec<String> =
            sketch.parents.iter().map(|(type_name, id)| reference(type_name, id)).collect();
        format!(
            "{{\"uid\": {}, \"attrs\": {{{}}},\n\t\"parents\": [ {} ]}}",
            reference(sketch.type_name, &sketch.id),
            attributes.join(", "),
            parents.join(",")
        )
    };
    format!("[{}]", sketches.iter().map(one).collect::<Vec<_>>().join(",\n"))
}

const POLICIES: &str = r#"
    @id("role") permit (principal in Role::"a0", action, resource);
    @id("team") permit (principal, action, resource) when { principal in resource };
    @id("position") permit (principal, action, resource) when { principal has position && principal.position in Position::"b1" };
    @id("text") permit (principal, action, resource) when { principal has crmId && principal.crmId like "*\"*" };
    @id("limit") permit (principal, action, resource) when { principal has custom && principal.custom has limit && principal.custom.limit.greaterThan(decimal("0.0")) };
    @id("ids") permit (principal, action, resource) when { principal has custom && principal.custom has ids && principal.custom.ids.contains("ü") };
    @id("badge") forbid (principal, action, resource) when { principal has custom && principal.custom has badge && principal.custom.badge == Badge::"gold" };
    @id("until") forbid (principal, action, resource) when { principal has accessUntil && principal.accessUntil <= context.now };
    @id("home") forbid (principal, action, resource) when { principal has custom && principal.custom has home && principal.custom.home has floor && principal.custom.home.floor < 0 };
    @id("active") forbid (principal, action, resource) unless { principal.active };"#;

/// What one evaluation needs: entities, what is above them, and the principal's position with what is above it.
fn closure(directory: &Directory, starts: &[&EntityRef], schema: &cedar::Schema) -> cedar::Entities {
    let mut waiting: Vec<EntityRef> = starts.iter().map(|start| (*start).clone()).collect();
    let mut found = BTreeMap::new();
    while let Some(entity) = waiting.pop() {
        if let (false, Some(made)) = (found.contains_key(&entity), directory.entity(&entity)) {
            waiting.extend(directory.ancestors(&entity));
            if let Some(Ok(cedar::EvalResult::EntityUid(position))) = made.attr("position") {
                waiting.push(from_uid(&position));
            }
            found.insert(entity, made);
        }
    }
    cedar::Entities::from_entities(found.into_values(), Some(schema)).unwrap()
}

fn attributes(entity: &cedar::Entity) -> BTreeMap<String, String> {
    entity.attrs().map(|(name, value)| (name.to_owned(), value.unwrap().to_string())).collect()
}

fn ask(
    entities: &cedar::Entities,
    principal: &EntityRef,
    team: &EntityRef,
    schema: &cedar::Schema,
) -> (cedar::Decision, BTreeSet<String>, usize) {
    let now = cedar::RestrictedExpression::new_datetime("2026-06-01");
    let context = cedar::Context::from_pairs([("now".to_owned(), now)]).unwrap();
    let action = to_uid(&EntityRef::new("Action", "ask")).unwrap();
    let request =
        cedar::Request::new(to_uid(principal).unwrap(), action, to_uid(team).unwrap(), context, Some(schema))
            .unwrap();
    let policies: cedar::PolicySet = POLICIES.parse().unwrap();
    let response = cedar::Authorizer::new().is_authorized(&request, &policies, entities);
    let reasons = response.diagnostics().reason().map(ToString::to_string).collect();
    (response.decision(), reasons, response.diagnostics().errors().count())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_is_made_on_demand_is_what_cedar_would_hold(sketches in directory()) {
        let (schema, text) = (schema(), write(&sketches));
        let whole = cedar::Entities::from_json_str(&text, Some(&schema)).unwrap();
        let mut problems = Problems::default();
        let directory = load(&file(&text), &schema, &mut problems);
        let directory = directory.unwrap_or_else(|| panic!("{problems}\n{text}"));
        let teams: Vec<EntityRef> =
            sketches.iter().filter(|s| s.type_name == "Team").map(|s| EntityRef::new("Team", &s.id)).collect();
        for sketch in &sketches {
            let name = EntityRef::new(sketch.type_name, &sketch.id);
            let uid = to_uid(&name).unwrap();
            let made = directory.entity(&name).unwrap();
            prop_assert_eq!(attributes(&made), attributes(whole.get(&uid).unwrap()), "{}", &name);
            // Once more, from what was kept.
            prop_assert_eq!(attributes(&directory.entity(&name).unwrap()), attributes(&made));
            let above: BTreeSet<EntityRef> = directory.ancestors(&name).into_iter().collect();
            let expected: BTreeSet<EntityRef> = whole.ancestors(&uid).unwrap().map(from_uid).collect();
            prop_assert_eq!(&above, &expected, "{}", &name);
            let part = closure(&directory, &[&name], &schema);
            let in_part: BTreeSet<EntityRef> = part.ancestors(&uid).unwrap().map(from_uid).collect();
            prop_assert_eq!(in_part, expected);
            for team in teams.iter().filter(|_| sketch.type_name == "User") {
                let part = closure(&directory, &[&name, team], &schema);
                prop_assert_eq!(ask(&part, &name, team, &schema), ask(&whole, &name, team, &schema), "{} {}", &name, team);
            }
        }
    }
}
