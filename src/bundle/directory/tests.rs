//! What a directory is and is not: problems with their places, limits at their edges, shapes that do not hide a value.

mod twin;

use std::fmt::Write;

use super::*;
use crate::config::author::SourceFile;

/// The base schema with attributes of all kinds.
fn schema() -> cedar::Schema {
    let own = r#"
        type UserAttributes = { email?: String, limit?: decimal, ids?: Set<String>, badge?: Badge, home?: { floor?: Long, since?: datetime } };
        entity Badge enum ["gold", "silver"];
        entity Office in [Team] { address?: String } tags Set<String>;
        action ask appliesTo { principal: [User], resource: [Team], context: { now: datetime } };"#;
    let text = format!("{}{own}", crate::bundle::schema::BASE);
    cedar::Schema::from_cedarschema_str(&text).unwrap().0
}

fn file(text: &str) -> Arc<SourceFile> {
    SourceFile::new("d.json", text)
}

#[track_caller]
fn load_sound(text: &str) -> Directory {
    let mut problems = Problems::default();
    load(&file(text), &schema(), &mut problems).unwrap_or_else(|| panic!("{problems}"))
}

/// Loads a directory that must not, and compares `LINE: MESSAGE` of each problem by what it contains.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    check_within(text, &DirectoryLimits::default(), expected);
}

#[track_caller]
fn check_within(text: &str, limits: &DirectoryLimits, expected: &[&str]) {
    let mut problems = Problems::default();
    let loaded = load_within(&file(text), &schema(), limits, &mut problems);
    assert_eq!(loaded.is_none(), !expected.is_empty(), "{problems}");
    let found: Vec<String> = problems
        .iter()
        .map(|problem| format!("{}: {problem}", problem.place().unwrap_or_default()))
        .collect();
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.contains(expected), "{found} should contain {expected}");
    }
}

fn entity(type_name: &str, id: &str, attributes: &str, parents: &[(&str, &str)]) -> String {
    let parents: Vec<String> = parents
        .iter()
        .map(|(type_name, id)| format!("{{\"type\":\"{type_name}\",\"id\":\"{id}\"}}"))
        .collect();
    format!(
        "{{\"uid\":{{\"type\":\"{type_name}\",\"id\":\"{id}\"}},\"attrs\":{{{attributes}}},\"parents\":[{}]}}",
        parents.join(",")
    )
}

fn array(entities: &[String]) -> String {
    format!("[\n{}\n]", entities.join(",\n"))
}

#[test]
fn what_is_wrong_is_told_at_its_place() {
    let role = |id: &str, parents: &[(&str, &str)]| entity("Role", id, "", parents);
    check("{}", &["d.json:1: not valid JSON: expected `[`"]);
    check("[\n{\"uid\":}]", &["d.json:2: not valid JSON: expected a value"]);
    check("[\n{\"uid\":1,\"uid\":2}]", &["d.json:2: not valid JSON: a key stands twice"]);
    check("[{}\n,7]", &["d.json:1: an entity has no `uid`", "d.json:2: an entity has no `uid`"]);
    check(&array(&[role("a", &[]), role("a", &[])]), &["d.json:3: `Role::\"a\"` stands twice"]);
    check(&array(&[entity("Field", "a", "", &[])]), &["`Field::\"a\"` does not belong in a directory"]);
    check(&array(&[entity("Action", "ask", "", &[])]), &["`Action::\"ask\"` does not belong in a directory"]);
    check(
        &array(&[role("a", &[("Role", "b")]), role("c", &[("Role", "d")])]),
        &[
            "d.json:2: `Role::\"b\"` is named as a parent but",
            "d.json:3: `Role::\"d\"` is named as a parent but",
        ],
    );
    check(
        r#"[{"uid":{"type":"Role","id":"a"},"attrs":{},"parents":["Role::\"b\""]}]"#,
        &["a parent has no `type`"],
    );
    check(&array(&[role("a", &[("Role", "a")])]), &["d.json:2: `Role::\"a\"` is a member of itself"]);
    check(
        &array(&[role("a", &[("Role", "b")]), role("b", &[("Role", "c")]), role("c", &[("Role", "a")])]),
        &["d.json:2: `Role::\"a\"` is a member of itself, through `Role::\"b\"`, `Role::\"c\"`"],
    );
    // A parent of a type that the schema does not let be one, and a type that it does not know.
    let user = entity("User", "anna", "\"active\":true", &[]);
    check(&array(&[user, entity("Role", "a", "", &[("User", "anna")])]), &["d.json:3: "]);
    check(&array(&[entity("Roll", "a", "", &[])]), &["d.json:2: "]);
    check(
        &array(&[entity("User", "a", "\"active\":true,\"accessUntil\":\"soon\"", &[])]),
        &["`accessUntil` is not a point in time"],
    );
}

#[test]
fn more_problems_than_somebody_reads_are_counted() {
    let many: Vec<String> =
        (0..150).map(|number| entity("User", &format!("u{number}"), "\"active\":1", &[])).collect();
    let mut expected = vec!["`active`"; 100];
    // Cedar is not asked about the rest.
    check(&array(&many), &expected);
    let many: Vec<String> = (0..150).map(|_| entity("Role", "a", "", &[])).collect();
    expected.fill("stands twice");
    expected.push("49 more problems");
    check(&array(&many), &expected);
}

/// Entities of one shape conform together, unless a value says whether they do.
#[test]
fn a_shape_never_hides_a_value() {
    let user = |id: &str, attributes: &str| entity("User", id, &format!("\"active\":true,{attributes}"), &[]);
    for (sound, broken) in [
        (r#""custom":{"limit":"1.50"}"#, r#""custom":{"limit":"1.23456"}"#),
        (
            r#""custom":{"limit":{"fn":"decimal","arg":"1.50"}}"#,
            r#""custom":{"limit":{"fn":"decimal","arg":"one"}}"#,
        ),
        (r#""custom":{"home":{"since":"2026-01-01"}}"#, r#""custom":{"home":{"since":"2026-13-01"}}"#),
        (
            r#""custom":{"badge":{"type":"Badge","id":"gold"}}"#,
            r#""custom":{"badge":{"type":"Badge","id":"tin"}}"#,
        ),
        (r#""custom":{"home":{"floor":1}}"#, r#""custom":{"home":{"floor":1.5}}"#),
        (r#""custom":{"home":{"floor":1}}"#, r#""custom":{"home":{"floor":9223372036854775808}}"#),
        (r#""custom":{"ids":["a"]}"#, r#""custom":{"ids":["a",1]}"#),
        (r#""custom":{"ids":["a"]}"#, r#""custom":{"ids":[1]}"#),
        (r#""custom":{"email":"a"}"#, r#""custom":{"emial":"a"}"#),
        (r#""custom":{"email":"a"}"#, r#""custom":{"email":null}"#),
        (r#""position":{"type":"Position","id":"p"}"#, r#""position":{"type":"Team","id":"p"}"#),
        (r#""position":{"type":"Position","id":"p"}"#, r#""position":{"kind":"Position","id":"p"}"#),
    ] {
        let both = array(&[user("sound", sound), user("also", sound), user("broken", broken)]);
        check(&both, &["d.json:4: "]);
        check(&array(&[user("sound", sound), user("also", sound)]), &[]);
    }
}

#[test]
fn limits_hold_at_their_edges() {
    let limits = DirectoryLimits {
        entities_max: 5,
        entity_bytes_max: 1_000,
        parents_max: 3,
        levels_max: 2,
        ancestors_max: 3,
    };
    let roles =
        |count: usize| (0..count).map(|n| entity("Role", &format!("r{n}"), "", &[])).collect::<Vec<_>>();
    check_within(&array(&roles(5)), &limits, &[]);
    check_within(&array(&roles(6)), &limits, &["d.json:7: the directory has more than 5 entities"]);
    let padded = |bytes: usize| {
        let empty = entity("Role", "", "", &[]).len();
        array(&[entity("Role", &"r".repeat(bytes - empty), "", &[])])
    };
    check_within(&padded(1_000), &limits, &[]);
    check_within(&padded(1_001), &limits, &["the entity is too large"]);
    let with_parents = |count: usize| {
        let mut all = roles(4);
        let names: Vec<String> = (0..count).map(|n| format!("r{n}")).collect();
        let parents: Vec<(&str, &str)> = names.iter().map(|name| ("Role", name.as_str())).collect();
        all.push(entity("User", "anna", "\"active\":true", &parents));
        array(&all)
    };
    check_within(&with_parents(3), &limits, &[]);
    let wide = "has 4 parents, which is more than 3";
    check_within(&with_parents(4), &limits, &[wide, "is a member of more than 3 entities"]);
    let chain = |levels: usize| {
        let link = |n: usize| entity("Role", &format!("r{n}"), "", &[("Role", &format!("r{}", n + 1))]);
        let mut all: Vec<String> = (0..levels).map(link).collect();
        all.push(entity("Role", &format!("r{levels}"), "", &[]));
        array(&all)
    };
    check_within(&chain(2), &limits, &[]);
    check_within(&chain(3), &limits, &["more than 2 levels are above `Role::\"r0\"`"]);
}

/// What is above by two ways counts once.
#[test]
fn ancestors_are_counted_once() {
    let limits = DirectoryLimits { ancestors_max: 3, ..DirectoryLimits::default() };
    let role = |id: &str, parents: &[(&str, &str)]| entity("Role", id, "", parents);
    let top = [role("top", &[]), role("a", &[("Role", "top")]), role("b", &[("Role", "top")])];
    let mut diamond = top.to_vec();
    diamond.push(role("low", &[("Role", "a"), ("Role", "b"), ("Role", "a")]));
    check_within(&array(&diamond), &limits, &[]);
    let directory = load_sound(&array(&diamond));
    let mut above = directory.ancestors(&EntityRef::new("Role", "low"));
    above.sort();
    assert_eq!(above.iter().map(|e| e.id.as_str()).collect::<Vec<_>>(), ["a", "b", "top"]);
    diamond.push(role("c", &[]));
    diamond.push(role("lower", &[("Role", "low"), ("Role", "c")]));
    check_within(&array(&diamond), &limits, &["`Role::\"lower\"` is a member of more than 3 entities"]);
}

/// A schema that the people do not conform to is not served with; one that they do is, by the same index.
#[test]
fn the_same_people_fit_another_schema_or_do_not() {
    let mut text = String::from("[");
    for number in 0..3 {
        let _ = write!(
            text,
            "{},",
            entity("User", &format!("u{number}"), "\"active\":true,\"custom\":{\"email\":\"x\"}", &[])
        );
    }
    let directory = load_sound(&format!("{text}{}]", entity("Role", "r", "", &[])));
    let mut problems = Problems::default();
    let refitted = directory.refit(&schema(), &mut problems).unwrap();
    assert_eq!(refitted.revision, directory.revision);
    assert!(refitted.entity(&EntityRef::new("User", "u1")).is_some());
    let bare = format!("{}type UserAttributes = {{}};", crate::bundle::schema::BASE);
    let (bare, _) = cedar::Schema::from_cedarschema_str(&bare).unwrap();
    assert!(directory.refit(&bare, &mut problems).is_none());
    assert_eq!(problems.error_count(), 3, "{problems}");
    assert!(problems.to_string().contains("email"), "{problems}");
}

/// The ledger keeps ids and memberships; what else is said of people changes the hash and is not kept.
#[test]
fn what_is_kept_names_nobody() {
    let of = |email: &str, address: &str, tag: &str| {
        let office = format!(
            r#"{{"uid":{{"type":"Office","id":"o"}},"attrs":{{"address":"{address}"}},"parents":[],"tags":{{"t":["{tag}"]}}}}"#
        );
        let user = entity(
            "User",
            "u",
            &format!("\"active\":true,\"crmId\":\"7\",\"custom\":{{\"email\":\"{email}\"}}"),
            &[("Role", "r")],
        );
        load_sound(&array(&[user, entity("Role", "r", "", &[]), office]))
    };
    let one = of("a@example.org", "Main Street", "tag-text");
    let kept = one.snapshot();
    assert_eq!(crate::bundle::revision::hash(kept.as_bytes()), one.revision);
    for absent in ["example.org", "Main Street", "tag-text"] {
        assert!(!kept.contains(absent), "{kept}");
    }
    for present in ["\"u\"", "\"r\"", "\"crmId\":\"7\"", "\"active\":true"] {
        assert!(kept.contains(present), "{kept}");
    }
    for other in [
        of("b", "Main Street", "tag-text"),
        of("a@example.org", "x", "tag-text"),
        of("a@example.org", "Main Street", "x"),
    ] {
        assert_ne!(other.revision, one.revision);
    }
    assert_eq!(of("a@example.org", "Main Street", "tag-text").revision, one.revision);
    // Neither order nor white space is content.
    let roles = [
        entity("Role", "a", "", &[]),
        entity("Role", "b", "", &[("Role", "a"), ("Role", "c")]),
        entity("Role", "c", "", &[]),
    ];
    let turned =
        [roles[2].clone(), entity("Role", "b", "", &[("Role", "c"), ("Role", "a")]), roles[0].clone()];
    assert_eq!(
        load_sound(&array(&roles)).revision,
        load_sound(&array(&turned).replace(':', " :\n ")).revision
    );
}

#[test]
fn people_are_found_by_what_the_crm_calls_them() {
    let user = |id: &str, crm: &str| entity("User", id, &format!("\"active\":true,\"crmId\":\"{crm}\""), &[]);
    let directory = load_sound(&array(&[
        user("anna", "1"),
        user("bert", "2"),
        user("carl", "2"),
        user("doro", r"\u0033"),
        entity("Team", "east", "\"crmId\":\"1\"", &[]),
    ]));
    let find = |type_name: &str, value: &str| directory.find(type_name, "crmId", value);
    assert_eq!(find("User", "1"), Some(Lookup::One("anna".to_owned())));
    assert_eq!(find("Team", "1"), Some(Lookup::One("east".to_owned())));
    assert_eq!(find("User", "2"), Some(Lookup::Ambiguous));
    assert_eq!(find("User", "3"), Some(Lookup::One("doro".to_owned())), "as it reads, not as it is escaped");
    assert_eq!(find("User", "4"), None);
    assert_eq!(find("Role", "1"), None);
    assert_eq!(directory.find("User", "position", "1"), None);
    assert_eq!(directory.people_count(), 4);
}
