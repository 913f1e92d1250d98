//! Routes that pass, that identify nobody and that carry files: what a profile must say of each.

use super::tests::DEAL;
use super::*;

/// One route beside a deal's own, and what is wrong with it.
#[track_caller]
fn check_route(route: &str, expected: &[&str]) {
    let image =
        "[[routes]]\nmatch = 'GET /deals/{id:int}'\naction = 'view'\nrecords = { at = '$', type = 'Deal' }\n";
    let text = format!("{DEAL}\n{image}[[routes]]\n{route}\n");
    let mut problems = Problems::default();
    let profile = Profile::load(&SourceFile::new("profile.toml", &text), &mut problems);
    let found: Vec<String> = problems.iter().map(|problem| problem.message().to_owned()).collect();
    assert_eq!(found, expected, "{route}");
    assert_eq!(profile.is_some(), expected.is_empty(), "{route}");
}

#[test]
fn what_identifies_nobody_says_why_and_decides_nothing() {
    let login = "match = 'POST /login'\nidentity = 'none'\n";
    check_route(&format!("{login}reason = 'people log in here'\ncookies = ['sid']"), &[]);
    check_route(login, &["`reason` is missing"]);
    check_route(&format!("{login}reason = ' '"), &["`reason` is missing"]);
    check_route(&format!("{login}pass = 'why'"), &["`pass` beside `identity = \"none\"`"]);
    check_route(
        &format!("{login}reason = 'x'\ntype = 'Deal'"),
        &["`POST /login` describes records and identifies nobody"],
    );
    check_route(
        &format!("{login}reason = 'x'\naccepts = 'multipart/form-data'\nparts = 'file'"),
        &["`POST /login` takes files from anybody"],
    );
    check_route(&format!("{login}reason = 'x'\ncookies = ['s id']"), &["`s id` is not a cookie's name"]);
    check_route("match = 'GET /x'\nidentity = 'maybe'\npass = 'x'", &["`maybe` is not a need of identity"]);
    check_route("match = 'GET /x'\nreason = 'x'\npass = 'x'", &["`reason` has no use here"]);
    check_route(
        "match = 'GET /x'\npass = 'x'\nanswers = 'text/css'\ncookies = ['sid']",
        &["`GET /x` passes cookies of identified callers"],
    );
    check_route(
        &format!("{login}reason = 'x'\nheaders = {{ authorization = 'harmless' }}"),
        &["the header `authorization` cannot be forwarded"],
    );
    check_route(
        &format!("{login}reason = 'x'\nheaders = {{ X-Forwarded-Anything = 'harmless' }}"),
        &["the header `x-forwarded-anything` cannot be forwarded"],
    );
}

#[test]
fn types_and_headers_of_what_passes_are_named() {
    let page = "match = 'GET /x/{path...}'\npass = 'x'\n";
    check_route(&format!("{page}answers = ['text/css', 'image/*']\nranges = true"), &[]);
    check_route(
        &format!("{page}answers = ['*/*']"),
        &["`*/*` is not a media type", "`GET /x/{path...}` does not say what it passes"],
    );
    for name in ["set-cookie", "Location", "access-control-allow-origin", "content-type"] {
        let message = format!("the header `{}` cannot leave as it is", name.to_ascii_lowercase());
        check_route(&format!("{page}answers = 'text/css'\nanswer_headers = ['{name}']"), &[&message]);
    }
    check_route(
        &format!("{page}answers = 'text/css'\nredirects = 'follow'"),
        &["`follow` is not a way with redirects"],
    );
    check_route(
        "match = 'PATCH /deals/{id:int}'\naction = 'edit'\ntype = 'Deal'\nbefore = 'GET /deals/{id:int}'\naccepts = 'text/csv'",
        &[
            "`PATCH /deals/{id:int}` decides on bodies that it does not look into",
            "`PATCH /deals/{id:int}` cannot take `accepts`",
        ],
    );
}

#[test]
fn a_file_says_whose_it_is() {
    let file = |rest: &str| {
        format!(
            "match = 'GET /deals/{{id:int}}/files/{{file:int}}'\naction = 'download'\ntype = 'Deal'\nbefore = 'GET /deals/{{id:int}}'\nanswers = 'application/pdf'\n{rest}"
        )
    };
    let label = "`GET /deals/{id:int}/files/{file:int}`";
    check_route(&file("owner = 'path'"), &[]);
    check_route(&file("owner = { of = 'path.file', before = 'GET /deals/{id:int}', id = 'x' }"), &[]);
    check_route(&file(""), &[&format!("{label} names a file and a record, and not whose the file is")]);
    check_route(&file("owner = 'crm'"), &["`crm` does not say whose the file is"]);
    check_route(
        &file("owner = { of = 'path.nr', before = 'GET /files/{id}', id = 'x' }"),
        &["no route is called `GET /files/{id}`", &format!("{label} has no parameter `nr`")],
    );
    check_route(&file("owner = 'path'\nfield = 'Deal.files'"), &["no field is called `Deal.files`"]);
    let one = "match = 'GET /deals/{id:int}/pdf'\naction = 'download'\ntype = 'Deal'\n";
    check_route(&format!("{one}before = 'GET /deals/{{id:int}}'\nanswers = 'application/pdf'"), &[]);
    check_route(
        one,
        &[
            "`GET /deals/{id:int}/pdf` does not say what its files are",
            "`GET /deals/{id:int}/pdf` decides without a record",
        ],
    );
}

#[test]
fn an_attachment_names_the_parts_of_its_form() {
    let attach = |rest: &str| {
        format!(
            "match = 'POST /deals/{{id:int}}/files'\naction = 'attach'\ntype = 'Deal'\nbefore = 'GET /deals/{{id:int}}'\n{rest}"
        )
    };
    let label = "`POST /deals/{id:int}/files`";
    check_route(&attach("accepts = 'multipart/form-data'\nparts = 'file'"), &[]);
    check_route(&attach("accepts = 'application/pdf'"), &[]);
    let parts = format!("{label} must name the parts of its multipart form, and of no other");
    check_route(&attach("accepts = 'multipart/form-data'"), &[&parts]);
    check_route(&attach("accepts = 'application/pdf'\nparts = 'file'"), &[&parts]);
    check_route(
        &attach("accepts = 'application/pdf'\nanswers = 'text/plain'"),
        &[&format!("{label} attaches and passes the answer")],
    );
    check_route(
        &attach("accepts = 'multipart/mixed'\nparts = 'a'"),
        &[&format!("{label} takes a multipart form that is not read")],
    );
}

#[test]
fn what_passes_is_not_told_by_its_body() {
    let login = "match = 'POST /login'\nidentity = 'none'\nreason = 'x'\naccepts = 'application/json'\n";
    check_route(login, &[]);
    check_route(
        &format!("{login}when = {{ body = '$.kind', is = 'login' }}"),
        &["`POST /login` looks into a body that it does not have"],
    );
}
