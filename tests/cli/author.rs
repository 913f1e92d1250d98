//! What authors read about their mistakes: the place, the line and a way out.

use lockkeeper::testkit::folder::TestFolder;

use crate::run::{folder, redact, run};

/// Checks a folder with one mistake.
#[track_caller]
fn check(name: &str, file: &str, from: &str, to: &str) {
    let folder = folder();
    mistake(&folder, file, from, to);
    let ran = run(folder.path(), &["check"]);
    assert_eq!(ran.code, 3, "{name}: {ran:?}");
    assert_eq!(ran.stdout, "", "{name}");
    insta::assert_snapshot!(
        name,
        redact(&ran.stderr).replace(&folder.path().display().to_string(), "<folder>")
    );
}

/// Replaces a text that must be there, once.
#[track_caller]
pub fn mistake(folder: &TestFolder, file: &str, from: &str, to: &str) {
    folder.edit(file, |text| {
        assert!(text.contains(from), "`{from}` is not in {file}");
        text.replacen(from, to, 1)
    });
}

const PROFILE: &str = "bundle/profile.toml";
const RECORDS: &str = "bundle/policies/records.cedar";
const SCHEMA: &str = "bundle/crm.cedarschema";
const DIRECTORY: &str = "directory.cedarentities.json";
const CONFIG: &str = "lockkeeper.toml";

#[test]
fn profiles() {
    check("toml_does_not_parse", PROFILE, "[field_sets]", "[field_sets");
    check("action_unknown", PROFILE, "action  = \"view\"", "action  = \"veiw\"");
    check("field_set_unknown", PROFILE, "sets = [\"Deal.margin\"]", "sets = [\"Deal.marign\"]");
    check("field_set_parent_unknown", PROFILE, "= [\"confidential\"]", "= [\"confidental\"]");
    check("field_sets_in_a_circle", PROFILE, "confidential     = []", "confidential     = [\"pii\"]");
    check("route_without_before_image", PROFILE, "before  = \"GET,HEAD /api/deals/{id:int}\"\n", "");
    check("look_up_that_finds_nobody", PROFILE, "by = \"crmId\"", "by = \"crmld\"");
}

#[test]
fn policies() {
    check("policy_does_not_parse", RECORDS, "when { resource has owner &&", "when { resource has owner & &");
    check("attribute_unknown", RECORDS, "resource.owner == principal", "resource.ownr == principal");
    let guard = "@id(\"guard.strategic\")\nforbid (principal, action == Action::\"view\", resource is Deal)\n\\
                 unless { !(resource has stratgic && resource.strategic) };\n\n@id(\"admin.everything\")";
    check("has_typo", RECORDS, "@id(\"admin.everything\")", guard);
    let unsaid = "@id(\"unsaid\")\npermit (principal, action == Action::\"view\", resource is Deal)\n\
                  when { resource has owner && [resource.owner].contains(principal) };\n\n@id(\"admin.everything\")";
    check("kind_of_principal_unsaid", RECORDS, "@id(\"admin.everything\")", unsaid);
    check("id_twice", RECORDS, "@id(\"company.view\")", "@id(\"collection.list\")");
    let long = format!("@id(\"{}\")", "x".repeat(201));
    check("id_too_long", RECORDS, "@id(\"company.view\")", &long);
    check("id_missing", RECORDS, "@id(\"company.view\")\n", "");
    check("field_set_unknown_in_a_policy", "bundle/policies/guards.cedar", "Deal.margin", "Deal.magrin");
    check("action_unknown_in_a_policy", RECORDS, "Action::\"search\"", "Action::\"serch\"");
    check("type_unknown_in_a_policy", RECORDS, "Role::\"rep\"", "Rolle::\"rep\"");
    check(
        "template",
        RECORDS,
        "(principal, action in [Action::\"list\"",
        "(principal == ?principal, action in [Action::\"list\"",
    );
}

#[test]
fn schemas() {
    check("schema_does_not_parse", SCHEMA, "amount?: decimal", "amount? decimal");
    check("schema_without_a_type", SCHEMA, "entity Company", "entity Compny");
    check("schema_without_an_attribute", SCHEMA, "strategic?: Bool", "strategc?: Bool");
    check("attribute_must_be_optional", SCHEMA, "strategic?: Bool", "strategic: Bool");
    check("schema_type_unknown", SCHEMA, "owner?: User", "owner?: Usr");
}

#[test]
fn directories() {
    check("directory_does_not_parse", DIRECTORY, "{\"uid\"", "{,\"uid\"");
    check(
        "parent_unknown",
        DIRECTORY,
        "{\"type\": \"Team\", \"id\": \"east\"}]",
        "{\"type\": \"Team\", \"id\": \"eest\"}]",
    );
    check("attribute_of_another_type", DIRECTORY, "\"active\": true", "\"active\": \"yes\"");
    check("attribute_missing", DIRECTORY, "\"active\": true, \"crmId\": \"2\"", "\"crmId\": \"2\"");
    check("entity_twice", DIRECTORY, "\"id\": \"rep-west\"}", "\"id\": \"rep-east\"}");
    check(
        "entity_of_the_bundle",
        DIRECTORY,
        "{\"type\": \"Role\", \"id\": \"rep\"}, \"attrs\"",
        "{\"type\": \"Stage\", \"id\": \"rep\"}, \"attrs\"",
    );
}

#[test]
fn configurations() {
    check("config_key_unknown", CONFIG, "[listen]\naddress", "[listen]\nadress");
    check("config_section_missing", CONFIG, "[ledger]", "[leger]");
    check("config_value_of_another_type", CONFIG, "reload_poll_ms = 0", "reload_poll_ms = \"never\"");
    check("config_file_missing", CONFIG, "\"crm.key\"", "\"crm.kee\"");
}
