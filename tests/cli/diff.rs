//! `lockkeeper diff`: who gains and loses what, what was agreed to, and changes of the directory.

use crate::run::{Ran, folder, redact, run};
use lockkeeper::testkit::folder::TestFolder;

const PEOPLE: &str = "directory.cedarentities.json";

/// The demo's folder, with a copy of its bundle under `new`.
fn two() -> TestFolder {
    let folder = folder();
    for (name, text) in lockkeeper::cli::demo::FILES {
        if let Some(name) = name.strip_prefix("bundle/") {
            folder.write(&format!("new/{name}"), text);
        }
    }
    folder
}

fn diff(folder: &TestFolder, args: &[&str]) -> Ran {
    let fixed = ["diff", "bundle", "new", "--directory", PEOPLE, "--at", "2026-06-15T12:00:00Z"];
    let args: Vec<&str> = fixed.iter().chain(args).copied().collect();
    run(folder.path(), &args)
}

/// A higher limit, a right to delete, a guard with a hole, and a right that is taken away.
fn changed() -> TestFolder {
    let folder = two();
    folder.edit("new/policies/stages.cedar", |text| text.replacen("50000.00", "75000.00", 1));
    folder.edit("new/policies/guards.cedar", |text| {
        let (unless, more) = (
            "unless { principal in Role::\"manager\"",
            "unless { principal in Role::\"service\" || principal in Role::\"manager\"",
        );
        text.replacen(unless, more, 1)
    });
    folder.edit("new/policies/records.cedar", |text| {
        text.replacen("context.count <= 20", "context.count <= 10", 1)
    });
    folder.write(
        "new/policies/more.cedar",
        "@id(\"deal.delete.own\")\n\
         permit (principal in Role::\"rep\", action == Action::\"delete\", resource is Deal)\n\
         when { resource has owner && resource.owner == principal };\n\
         @id(\"field.read.service.margin\")\n\
         permit (principal in Role::\"service\", action == Action::\"readField\", resource is Deal)\n\
         when { context.field in FieldSet::\"Deal.margin\" };\n",
    );
    folder
}

#[test]
fn what_is_gained_and_lost_has_examples() {
    let folder = changed();
    for (name, args) in
        [("diff_people", &[][..]), ("diff_roles", &["--by", "roles"]), ("diff_json", &["--format", "json"])]
    {
        let ran = diff(&folder, args);
        assert_eq!(ran.code, 3, "{}", ran.stderr);
        insta::assert_snapshot!(name, redact(&format!("{}\n{}", ran.stdout, ran.stderr)));
    }
}

#[test]
fn what_was_agreed_to_passes() {
    let folder = changed();
    let all = "# agreed on 2026-06-15\n\
               User::\"rep-east\" Deal moveStage *\n\
               User::\"rep-west\" Deal moveStage *\n\
               * Deal delete -\n\
               User::\"service\" Deal readField margin  # for the review\n";
    folder.write("agreed.txt", all);
    let ran = diff(&folder, &["--allow", "agreed.txt"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    // One line less, and it is named.
    folder.edit("agreed.txt", |text| {
        text.replacen("* Deal delete -\n", "User::\"rep-east\" Deal delete -\n", 1)
    });
    let ran = diff(&folder, &["--allow", "agreed.txt"]);
    assert_eq!(
        (ran.code, ran.stderr.as_str()),
        (3, "gained and not allowed: User::\"rep-west\" Deal delete -\n")
    );
    folder.write("agreed.txt", "rep delete\n");
    let ran = diff(&folder, &["--allow", "agreed.txt"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert!(ran.stderr.contains("this is no right") && ran.stderr.contains("agreed.txt:1"), "{}", ran.stderr);
}

#[test]
fn nothing_changes_by_other_words() {
    let folder = two();
    folder.edit("new/policies/records.cedar", |text| {
        text.replacen(
            "context has count && context.count <= 20",
            "context has count && !(context.count > 20)",
            1,
        )
    });
    folder.edit("new/policies/fields.cedar", |text| text.replace("permit (", "permit(") + "// A comment.\n");
    let ran = diff(&folder, &[]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("### Gained: nothing") && ran.stdout.contains("### Lost: nothing"),
        "{}",
        ran.stdout
    );
}

#[test]
fn people_come_go_and_change_roles() {
    let folder = two();
    let text = folder.text(PEOPLE);
    let moved = text.replacen(
        "[{\"type\": \"Role\", \"id\": \"service\"}",
        "[{\"type\": \"Role\", \"id\": \"rep\"}",
        1,
    );
    let moved = moved.replacen(
        "\"attrs\": {\"active\": true, \"crmId\": \"2\"",
        "\"attrs\": {\"active\": false, \"crmId\": \"2\"",
        1,
    );
    assert_ne!(text, moved);
    folder.write("people.json", &moved);
    let ran = diff(&folder, &["--new-directory", "people.json"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    insta::assert_snapshot!("diff_directory", redact(&ran.stdout));
}

/// What no condition shows is gained all the same, or said not to be compared.
#[test]
fn what_hides_a_gain_is_told() {
    let permits = [
        // A record without a stage, all records of a type, and the largest number that there is.
        "permit (principal, action == Action::\"view\", resource is Deal) unless { resource has stage };",
        "permit (principal, action == Action::\"bulkEdit\", resource) when { resource is Collection };",
        "permit (principal, action == Action::\"bulkEdit\", resource) when { context has count && context.count < 9223372036854775807 };",
    ];
    for permit in permits {
        let folder = two();
        folder.write("new/policies/more.cedar", &format!("@id(\"more\")\n{permit}\n"));
        let ran = diff(&folder, &[]);
        assert_eq!(ran.code, 3, "{permit}: {}{}", ran.stdout, ran.stderr);
    }
    // Somebody whose name Cedar writes with escapes.
    let folder = two();
    let new = "[{\"uid\":{\"type\":\"User\",\"id\":\"o\\\"b\"},\"attrs\":{\"active\":true},\"parents\":[{\"type\":\"Role\",\"id\":\"administrator\"}]},";
    folder.write("people.json", &folder.text(PEOPLE).replacen('[', new, 1));
    let ran = diff(&folder, &["--new-directory", "people.json"]);
    assert!(ran.code == 3 && ran.stdout.contains("**User::\"o\\\"b\"** view `Deal`"), "{}", ran.stdout);
}

#[test]
fn what_is_not_compared_is_said() {
    let later = "@id(\"later\")\npermit (principal, action, resource) when { context.now > datetime(\"2026-11-24\") };\n";
    let uncompared = |change: &dyn Fn(&TestFolder), args: &[&str], why: &str| {
        let folder = two();
        change(&folder);
        let ran = diff(&folder, args);
        assert_eq!(ran.code, 4, "{why}: {}{}", ran.stdout, ran.stderr);
        assert!(ran.stdout.contains("### Not compared") && ran.stdout.contains(why), "{why}: {}", ran.stdout);
    };
    uncompared(
        &|folder| folder.write("new/policies/later.cedar", later),
        &[],
        "look at the time, and rights are told as of one: later",
    );
    let elsewhere = |folder: &TestFolder| {
        folder.edit("new/profile.toml", |text| text.replacen("at = \"strategic\"", "at = \"closed\"", 1));
    };
    uncompared(&elsewhere, &[], "Deal.strategic (attribute)");
    let swapped = |folder: &TestFolder| {
        let text = folder.text(PEOPLE).replace("\"crmId\": \"1\"", "\"crmId\": \"x\"");
        folder.write("people.json", &text.replace("\"crmId\": \"2\"", "\"crmId\": \"1\""));
    };
    uncompared(&swapped, &["--new-directory", "people.json"], "the directories differ");
}
