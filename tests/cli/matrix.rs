//! `lockkeeper matrix`: in each form, by roles and by people, and against a file of an earlier run.

use crate::run::{Ran, folder, redact, run};
use lockkeeper::testkit::folder::{Options, TestFolder};

const AT: &[&str] = &["--at", "2026-06-15T12:00:00Z"];

fn matrix(folder: &TestFolder, args: &[&str]) -> Ran {
    let args: Vec<&str> = ["matrix"].iter().chain(AT).chain(args).copied().collect();
    run(folder.path(), &args)
}

#[track_caller]
fn check(name: &str, args: &[&str]) {
    let ran = matrix(&folder(), args);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{name}: {}", ran.stdout);
    insta::assert_snapshot!(name, redact(&ran.stdout));
}

#[test]
fn roles_are_told_in_every_form() {
    check("matrix_text", &[]);
    check("matrix_csv", &["--format", "csv", "--type", "Contact"]);
    check("matrix_json", &["--format", "json", "--type", "Company"]);
    check("matrix_html", &["--format", "html", "--type", "Contact"]);
}

#[test]
fn people_who_are_alike_stand_together() {
    let more = "{\"uid\":{\"type\":\"User\",\"id\":\"rep-east-2\"},\"attrs\":{\"active\":true,\"crmId\":\"12\"},\
                \"parents\":[{\"type\":\"Role\",\"id\":\"rep\"}]},\
                {\"uid\":{\"type\":\"User\",\"id\":\"gone\"},\"attrs\":{\"active\":false},\
                \"parents\":[{\"type\":\"Role\",\"id\":\"administrator\"}]},\
                {\"uid\":{\"type\":\"User\",\"id\":\"ended\"},\"attrs\":{\"active\":true,\"accessUntil\":\"2026-06-15T12:00:00Z\"},\
                \"parents\":[{\"type\":\"Role\",\"id\":\"administrator\"}]},";
    let options = Options::default()
        .edit("directory.cedarentities.json", move |text| text.replacen('[', &format!("[{more}"), 1));
    let folder = TestFolder::new(options, ([127, 0, 0, 1], 9).into());
    let ran = matrix(&folder, &["--by", "people", "--type", "Contact"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{}", ran.stdout);
    insta::assert_snapshot!("matrix_people", redact(&ran.stdout));
}

#[test]
fn a_change_of_policies_shows_against_the_golden_file() {
    let folder = folder();
    let before = matrix(&folder, &[]);
    folder.write("rights.txt", &before.stdout);
    let golden = &["--golden", "rights.txt"];
    let same = matrix(&folder, golden);
    assert_eq!((same.code, same.stdout.as_str(), same.stderr.as_str()), (0, "", ""));
    folder.edit("bundle/policies/stages.cedar", |text| text.replacen("50000.00", "75000.00", 1));
    let changed = matrix(&folder, golden);
    assert_eq!((changed.code, changed.stderr.as_str()), (3, "error: the matrix is not that of the file\n"));
    insta::assert_snapshot!("matrix_golden", redact(&changed.stdout));
}

#[test]
fn what_is_not_there_is_said() {
    let ran = matrix(&folder(), &["--type", "Dael"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (64, ""));
    assert_eq!(
        ran.stderr,
        "error: `Dael` is not a type of the profile: there are Deal, Contact, Company, File\n"
    );
    let ran = matrix(&folder(), &["--golden", "nothing.txt"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
}
