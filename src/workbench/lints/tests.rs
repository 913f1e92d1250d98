//! Each lint finds what it is for, and leaves alone what is next to it.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;

use super::*;
use crate::bundle::{compile, directory, source};
use crate::config::author::SourceFile;

/// The files of a bundle of this repository.
fn files(name: &str) -> BTreeMap<String, Bytes> {
    let mut problems = Problems::default();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    source::read(&path, &mut problems).unwrap_or_else(|| panic!("{problems}"))
}

fn compiled(files: BTreeMap<String, Bytes>) -> Bundle {
    let mut problems = Problems::default();
    compile::compile(files, &mut problems).unwrap_or_else(|| panic!("{problems}"))
}

/// The demo's bundle with one more file of policies and another profile.
fn demo(policies: &str, profile: impl FnOnce(&str) -> String) -> Bundle {
    let mut files = files("policies/demo-crm");
    files.insert("policies/test.cedar".to_owned(), Bytes::from(policies.to_owned()));
    let text = String::from_utf8(files["profile.toml"].to_vec()).unwrap();
    files.insert("profile.toml".to_owned(), Bytes::from(profile(&text)));
    compiled(files)
}

/// The lints that find something in a bundle, with the first two things that they name.
fn findings(bundle: &Bundle) -> Vec<String> {
    let mut problems = Problems::default();
    let file = SourceFile::new("directory.cedarentities.json", DIRECTORY);
    let directory = directory::load(&file, &bundle.schema.schema, &mut problems).unwrap();
    lint(bundle, Some(&directory), &mut problems);
    let told = |problem: &AuthorProblem| {
        assert!(
            !problem.is_error() && problem.place().is_some() && problem.help_text().is_some(),
            "{problem}"
        );
        let named: Vec<&str> = problem.message().split('`').skip(1).step_by(2).take(2).collect();
        format!("{}: {}", problem.lint().unwrap(), named.join(", "))
    };
    problems.iter().map(told).collect()
}

#[track_caller]
fn check(policies: &str, expected: &[&str]) {
    assert_eq!(findings(&demo(policies, str::to_owned)), expected, "{policies}");
}

#[track_caller]
fn check_profile(from: &str, to: &str, expected: &[&str]) {
    let bundle = demo("// nothing", |text| {
        assert!(text.contains(from), "`{from}` is not in the profile");
        text.replacen(from, to, 1)
    });
    assert_eq!(findings(&bundle), expected, "{to}");
}

#[test]
fn the_demo_is_as_it_is_meant() {
    check("// nothing", &[]);
}

#[test]
fn every_bundle_of_this_repository_is_as_it_is_meant() {
    for name in
        ["policies/demo-crm", "examples/bottlecrm/bundle", "examples/tryton/bundle", "benches/compare/bundle"]
    {
        let mut problems = Problems::default();
        lint(&compiled(files(name)), None, &mut problems);
        assert!(problems.iter().next().is_none(), "{name}: {problems}");
    }
}

#[test]
fn policies_that_say_the_same() {
    let twice = "@id(\"z.first\") permit (principal in Role::\"rep\", action == Action::\"edit\", resource is Company) \
         when { resource has owner && resource.owner == principal && principal.active };\n\
         @id(\"z.second\") @reason(\"again\") permit (principal in Role::\"rep\", action == Action::\"edit\", resource is Company) \
         when { principal.active && (resource has owner && resource.owner == principal) };";
    check(twice, &["duplicate-policy: z.second, z.first"]);
    check(&twice.replace("&& principal.active }", "&& !principal.active }"), &[]);
    check(
        &twice.replacen("permit", "forbid", 1),
        &["forbid-disarmed-by-absence: z.first, resource has owner"],
    );
}

#[test]
fn policies_that_never_apply() {
    let edit = |condition: &str| {
        format!(
            "@id(\"z\") permit (principal in Role::\"rep\", action == Action::\"edit\", resource is Company) when {{ {condition} }};"
        )
    };
    check(&edit("principal.active && !principal.active"), &["never-matches: z"]);
    check(&edit("principal has custom"), &[]);
    let range = |low: &str| {
        format!(
            "@id(\"z\") forbid (principal, action == Action::\"bulkEdit\", resource) when {{ context has count && context.count > {low} && context.count < 10 }};"
        )
    };
    check(&range("10"), &["never-matches: z"]);
    check(&range("5"), &[]);
    let field = |set: &str| {
        format!(
            "@id(\"z\") permit (principal in Role::\"rep\", action == Action::\"writeField\", resource is Contact) when {{ context.field in FieldSet::\"{set}\" }};"
        )
    };
    check(&field("Deal.margin"), &["never-matches: z"]);
    check(&field("pii"), &[]);
    check(
        "@id(\"z\") permit (principal in Role::\"rep\", action == Action::\"viewStage\", resource);",
        &["never-matches: z"],
    );
}

#[test]
fn permits_that_another_leaves_nothing() {
    let rep = |condition: &str| {
        format!(
            "@id(\"z\") permit (principal in Role::\"rep\", action == Action::\"view\", resource is Deal) when {{ {condition} }};"
        )
    };
    let own = "resource has owner && resource.owner == principal";
    check(&rep(&format!("{own} && resource has team")), &["shadowed-policy: z, deal.view.own"]);
    check(&rep("resource has team && principal in resource.team"), &[]);
    // A set that is inside of another, and a type that the wider one does not name.
    let field = |role: &str, set: &str| {
        format!(
            "@id(\"z\") permit (principal in Role::\"{role}\", action == Action::\"readField\", resource is Deal) when {{ context.field in FieldSet::\"{set}\" }};"
        )
    };
    check(&field("manager", "Deal.internal"), &["shadowed-policy: z, field.read.manager"]);
    check(&field("service", "Deal.internal"), &[]);
    // Of two that come to the same, only one is told.
    check(
        "@id(\"z.a\") permit (principal in Role::\"rep\", action == Action::\"delete\", resource is Deal);\n\
         @id(\"z.b\") permit (principal, action == Action::\"delete\", resource is Deal) when { principal in Role::\"rep\" };",
        &["shadowed-policy: z.b, z.a"],
    );
}

#[test]
fn forbids_that_absence_disarms() {
    let forbid = |rest: &str| {
        format!("@id(\"z\") forbid (principal, action == Action::\"view\", resource is Deal) {rest};")
    };
    let strategic = forbid("when { resource has strategic && resource.strategic }");
    check(&strategic, &["forbid-disarmed-by-absence: z, resource has strategic"]);
    check(&forbid("unless { resource has strategic && !resource.strategic }"), &[]);
    check(&forbid("unless { resource has strategic }"), &[]);
    check(&forbid("when { principal has accessFrom && principal.accessFrom > context.now }"), &[]);
    check(
        &forbid(
            "when { resource has owner && resource.owner has position && resource.owner.position == resource.owner.position }",
        ),
        &["forbid-disarmed-by-absence: z, resource has owner"],
    );
}

#[test]
fn permits_for_people_of_whom_there_are_none() {
    let permit = |scope: &str, condition: &str| {
        format!(
            "@id(\"z\") permit ({scope}, action == Action::\"edit\", resource is Company) when {{ {condition} }};"
        )
    };
    check(&permit("principal in Role::\"rep\"", "principal in Role::\"manager\""), &["nobody-matches: z"]);
    check(&permit("principal is Agent in Role::\"rep\"", "principal.active"), &["nobody-matches: z"]);
    check(&permit("principal in Role::\"rep\"", "principal in Team::\"east\""), &[]);
    check(&permit("principal", "principal in Role::\"rep\" || principal in Role::\"administrator\""), &[]);
    // Told already, as what the directory does not have.
    check(&permit("principal in Role::\"nobody\"", "principal.active"), &[]);
}

#[test]
fn sets_that_one_policy_keeps_and_another_shows() {
    let read = |rest: &str| {
        format!("@id(\"z\") permit (principal, action == Action::\"readField\", resource is Contact) {rest};")
    };
    let everything = findings(&demo(&read(""), str::to_owned));
    for expected in ["unguarded-set: z, Contact.email", "unguarded-set: z, Contact.*"] {
        assert!(everything.iter().any(|found| found == expected), "{expected}: {everything:?}");
    }
    let guard = "@id(\"z.guard\") forbid (principal, action == Action::\"readField\", resource) \
         when { context.field in FieldSet::\"confidential\" || context.field in FieldSet::\"unclassified\" } unless { principal in Role::\"manager\" };";
    let guarded = findings(&demo(&format!("{}\n{guard}", read("")), str::to_owned));
    assert!(!guarded.iter().any(|found| found.starts_with("unguarded-set")), "{guarded:?}");
    check(&read("when { context.field in FieldSet::\"pii\" && principal in Role::\"rep\" }"), &[]);
    let both = "internal_notes = { sets = [\"Deal.internal\", \"public\"] }";
    check_profile(
        "internal_notes = { sets = [\"Deal.internal\"] }",
        both,
        &["unguarded-set: field.read.public, Deal.internal_notes"],
    );
}

#[test]
fn fields_that_tell_of_others() {
    let with = |line: &str| format!("{line}\ncurrency     = ");
    let check = |line: &str, expected: &[&str]| check_profile("currency     = ", &with(line), expected);
    check("amount_usd = { sets = [\"public\"] }", &["derivable-field: amount_usd, amount"]);
    check("amount_usd = { sets = [\"Deal.financial\"] }", &[]);
    check("title_formatted = { sets = [\"public\"] }", &[]);
    check("amount_due = { sets = [\"public\"] }", &[]);
    let both = "unit_price = { sets = [\"public\"] }\nquantity = { sets = [\"public\"] }";
    check(both, &["derivable-field: unit_price, quantity"]);
    check("unit_price = { sets = [\"public\"] }\nquantity = { sets = [\"Deal.financial\"] }", &[]);
}

#[test]
fn what_is_meant_is_silenced_with_a_reason() {
    let policy = |annotations: &str| {
        format!(
            "@id(\"z\") {annotations} forbid (principal, action == Action::\"view\", resource is Deal) when {{ resource has strategic && resource.strategic }};"
        )
    };
    check(&policy("@silence(\"forbid-disarmed-by-absence\") @because(\"meant\")"), &[]);
    check(&policy("@silence(\"forbid-disarmed-by-absence\")"), &["silence-without-effect: z"]);
    check(
        &policy("@silence(\"forbid-disarmed-by-absense\") @because(\"meant\")"),
        &[
            "forbid-disarmed-by-absence: z, resource has strategic",
            "silence-without-effect: z, forbid-disarmed-by-absense",
        ],
    );
    check(
        &policy("@silence(\"forbid-disarmed-by-absence, shadowed-policy\") @because(\"meant\")"),
        &["silence-without-effect: z, shadowed-policy"],
    );
}

const DIRECTORY: &str = include_str!("../../../policies/demo-crm/directory.cedarentities.json");
