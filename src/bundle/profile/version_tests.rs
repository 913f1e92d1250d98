//! How a route keeps a write to a version: what loads, and the problems of what does not.

use super::route::version::{VersionSource, VersionTarget, Versioning};
use super::tests::load;

/// A route of a profile with a deal, with some lines more. The route stands in line 13 and its `version` in line 14.
fn profile(head: &str, lines: &str) -> String {
    format!(
        "profile = 1
headers = {{ request = ['x-listed'], identity = ['x-crm-as'] }}
[types.Deal]
id = 'id'
[types.Deal.fields]
version = {{ sets = ['public'] }}
[[routes]]
match = 'GET /deals/{{id:int}}'
action = 'view'
records = {{ at = '$', type = 'Deal' }}
[[routes]]
type = 'Deal'
match = '{head}'
{lines}
before = 'GET /deals/{{id:int}}'
"
    )
}

#[track_caller]
fn check(version: &str, more: &str, expected: &[&str]) {
    let lines = format!("version = {version}\naction = 'edit'\nwrites = {{ at = '$.deal' }}\n{more}");
    assert_eq!(load(&profile("PATCH /deals/{id:int}", &lines)).1, expected, "{version} {more}");
}

#[test]
fn a_version_has_a_place_and_a_way() {
    let read = |version: &str| {
        let lines = format!("version = {version}\naction = 'edit'\nwrites = {{ at = '$.deal' }}\n");
        let (profile, problems) = load(&profile("PATCH /deals/{id:int}", &lines));
        assert_eq!(problems, Vec::<String>::new(), "{version}");
        profile.unwrap().routes[1].version.clone()
    };
    for (version, statuses) in [
        ("{ from = 'header.etag', to = 'header.if-match' }", &[412][..]),
        ("{ from = 'header.last-modified', to = 'header.if-unmodified-since' }", &[412]),
        ("{ from = 'record.version', to = 'header.x-version' }", &[409]),
        ("{ from = 'record.version', to = 'query.v', conflict = [409, 412] }", &[409, 412]),
    ] {
        assert_eq!(read(version).pinning().unwrap().conflict, statuses, "{version}");
    }
    let odd = read(r#"{ from = "record['@odata.etag']", to = 'body.$.deal.version' }"#);
    let pinning = odd.pinning().unwrap();
    assert_eq!(pinning.from, VersionSource::Record(vec!["@odata.etag".to_owned()]));
    assert!(matches!(&pinning.to, VersionTarget::Body(path) if path.to_string() == "$.deal.version"));
    assert!(matches!(read("'read-again'"), Versioning::ReadAgain(_)));
}

#[test]
fn what_is_no_place_is_said_with_its_line() {
    for (version, expected) in [
        ("'reread'", "`reread` is no way to keep a write to a version"),
        ("{ from = 'etag', to = 'header.if-match' }", "`etag` is no place of a version"),
        ("{ from = 'record.a[*]', to = 'header.if-match' }", "`a[*]` is not a path of keys"),
        ("{ from = 'header.e tag', to = 'header.if-match' }", "`e tag` is not a header's name"),
        ("{ from = 'header.etag', to = 'if-match' }", "`if-match` is no place for a version"),
        ("{ from = 'header.etag', to = 'body.$' }", "`$` is not one key"),
        ("{ from = 'header.etag', to = 'body.$.a[*]' }", "`$.a[*]` is not one key"),
        ("{ to = 'header.if-match' }", "`from` is missing"),
    ] {
        check(version, "", &[&format!("profile.toml:14 {expected}")]);
    }
}

#[test]
fn a_version_goes_where_callers_cannot_send_one() {
    let to = |to: &str| format!("{{ from = 'header.etag', to = '{to}' }}");
    for name in [
        "x-listed",
        "x-crm-as",
        "authorization",
        "cookie",
        "if-none-match",
        "content-type",
        "x-forwarded-for",
    ] {
        let message = format!("profile.toml:14 a version cannot go into the header `{name}`");
        check(&to(&format!("header.{name}")), "", &[&message]);
    }
    let rule = |role: &str| format!("headers = {{ x-version = '{role}' }}");
    check(&to("header.x-version"), &rule("refused"), &[]);
    check(
        &to("header.x-version"),
        &rule("harmless"),
        &["profile.toml:14 a version cannot go into the header `x-version`"],
    );
    check(
        &to("query.v"),
        "query = { 'v*' = 'harmless' }",
        &["profile.toml:14 callers may send the parameter `v` themselves"],
    );
    check(&to("body.$.deal"), "", &["profile.toml:14 `$.deal` holds the fields"]);
    check(
        &to("body.$.v"),
        "body = 'optional'",
        &["profile.toml:14 `PATCH /deals/{id:int}` may have no body to carry `$.v`"],
    );
}

#[test]
fn a_status_says_one_thing() {
    let conflict =
        |list: &str| format!("{{ from = 'header.etag', to = 'header.if-match', conflict = {list} }}");
    check(&conflict("[]"), "", &["profile.toml:14 no status says that the record has changed"]);
    check(
        &conflict("[200]"),
        "",
        &[
            "profile.toml:14 `200` is outside of 400 to 499",
            "profile.toml:14 no status says that the record has changed",
        ],
    );
    check(&conflict("[404]"), "", &["profile.toml:14 404 does not say that a record has changed"]);
    check(
        &conflict("[409]"),
        "errors = [{ status = [409], keep = ['$.code'] }]",
        &["profile.toml:14 409 stands in `errors` and says that the record has changed"],
    );
}

#[test]
fn only_what_changes_single_records_can_be_pinned() {
    let pinned = "version = { from = 'header.etag', to = 'header.if-match' }";
    let again = "version = 'read-again'";
    let bulk = |version: &str| {
        let lines =
            format!("{version}\naction = 'bulkEdit'\nid = 'body.$.ids[*]'\nwrites = {{ at = '$.set' }}\n");
        load(&profile("POST /deals/bulk", &lines)).1
    };
    assert_eq!(bulk(pinned), ["profile.toml:14 `POST /deals/bulk` changes many records"]);
    assert_eq!(bulk(again), Vec::<String>::new());
    let delete = |version: &str| {
        load(&profile("DELETE /deals/{id:int}", &format!("{version}\naction = 'delete'\n"))).1
    };
    assert_eq!(delete(pinned), Vec::<String>::new());
    let message = "profile.toml:14 `DELETE /deals/{id:int}` deletes records, which cannot be read again";
    assert_eq!(delete(again), [message]);
    let create =
        load(&profile("POST /deals", &format!("{again}\naction = 'create'\nwrites = {{ at = '$' }}\n"))).1;
    assert_eq!(create, ["profile.toml:14 `POST /deals` changes no record that is there"]);
}
