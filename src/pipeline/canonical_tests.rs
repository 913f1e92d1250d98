//! The canonical form: what is accepted as it is, and each refusal with its reason.

use proptest::prelude::*;

use super::*;

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers
}

fn try_read(target: &str, pairs: &[(&'static str, &str)]) -> Result<CanonicalHead, Problem> {
    let uri: Uri = target.parse().unwrap();
    read(Method::GET, &uri, Version::HTTP_11, headers(pairs), HeadLimits::default())
}

#[track_caller]
fn refused(target: &str, pairs: &[(&'static str, &str)], expected: Reason) {
    match try_read(target, pairs) {
        Ok(head) => panic!("`{target}` was read as {head:?}"),
        Err(problem) => assert_eq!(problem.reason, expected, "{target}"),
    }
}

#[track_caller]
fn accepted(target: &str, expected: &str) {
    let head = try_read(target, HOST).unwrap();
    let query = write_query(&head.query);
    let query = if query.is_empty() { String::new() } else { format!("?{query}") };
    assert_eq!(format!("{}{query}", write_path(&head.segments, head.has_trailing_slash)), expected);
}

const HOST: &[(&str, &str)] = &[("host", "proxy.example")];

#[test]
fn the_forwarded_target_is_written_anew() {
    accepted("/deals/42", "/deals/42");
    accepted("/deals/%34%32", "/deals/42");
    accepted("/deals/", "/deals/");
    accepted("/", "/");
    accepted("/a%20b/c:d@e", "/a%20b/c:d@e");
    accepted("/%C3%A9", "/%C3%A9");
    accepted("/deals?a=1&b=x+y&c=%2B", "/deals?a=1&b=x%20y&c=%2B");
    accepted("/deals?&a&&b=", "/deals?a=&b=");
    accepted("http://proxy.example/deals", "/deals");
    accepted("/100%25", "/100%25");
}

#[test]
fn target_form() {
    refused("http://other.example/deals", HOST, Reason::TargetForm);
    refused("proxy.example:443", HOST, Reason::TargetForm);
    refused("*", HOST, Reason::TargetForm);
}

#[test]
fn host_missing() {
    refused("/deals", &[], Reason::HostMissing);
}

#[test]
fn host_duplicate() {
    refused("/deals", &[("host", "a"), ("host", "a")], Reason::HostDuplicate);
}

#[test]
fn path_not_utf8() {
    refused("/deals/%ff", HOST, Reason::PathNotUtf8);
    // An overlong form of `/`.
    refused("/deals/%c0%af42", HOST, Reason::PathNotUtf8);
}

#[test]
fn path_bad_escape() {
    refused("/deals/%4", HOST, Reason::PathBadEscape);
    refused("/deals/%zz", HOST, Reason::PathBadEscape);
}

#[test]
fn path_double_encoding() {
    refused("/deals/%252e%252e", HOST, Reason::PathDoubleEncoding);
    refused("/deals/%25%32%66", HOST, Reason::PathDoubleEncoding);
}

#[test]
fn path_encoded_slash() {
    refused("/deals%2f42", HOST, Reason::PathEncodedSlash);
    refused("/deals%2F42", HOST, Reason::PathEncodedSlash);
}

#[test]
fn path_backslash() {
    refused("/deals%5c42", HOST, Reason::PathBackslash);
}

#[test]
fn path_control() {
    refused("/deals/%00", HOST, Reason::PathControl);
    refused("/deals/%0d%0aX:1", HOST, Reason::PathControl);
    refused("/deals/%c2%85", HOST, Reason::PathControl);
}

#[test]
fn path_dot_segment() {
    refused("/deals/../admin", HOST, Reason::PathDotSegment);
    refused("/deals/%2e%2e/admin", HOST, Reason::PathDotSegment);
    refused("/deals/.", HOST, Reason::PathDotSegment);
}

#[test]
fn path_empty_segment() {
    refused("//deals", HOST, Reason::PathEmptySegment);
    refused("/deals//42", HOST, Reason::PathEmptySegment);
    refused("/deals//", HOST, Reason::PathEmptySegment);
}

#[test]
fn path_parameter() {
    refused("/deals;v=1/42", HOST, Reason::PathParameter);
    refused("/deals/42%3Bx", HOST, Reason::PathParameter);
}

#[test]
fn path_too_long() {
    let limit = HeadLimits::default().target_bytes_max;
    let at_limit = format!("/{}", "a".repeat(limit - 1));
    assert!(try_read(&at_limit, HOST).is_ok());
    refused(&format!("{at_limit}a"), HOST, Reason::PathTooLong);
}

#[test]
fn query_bad_escape() {
    refused("/deals?a=%4", HOST, Reason::QueryBadEscape);
}

#[test]
fn query_not_utf8() {
    refused("/deals?a=%ff", HOST, Reason::QueryNotUtf8);
}

#[test]
fn query_control() {
    refused("/deals?a=%00", HOST, Reason::QueryControl);
}

#[test]
fn query_semicolon() {
    refused("/deals?a=1;b=2", HOST, Reason::QuerySemicolon);
}

#[test]
fn query_too_many() {
    let limit = HeadLimits::default().query_parameters_max;
    let pairs = |count: usize| format!("/deals?{}", vec!["a=1"; count].join("&"));
    assert_eq!(try_read(&pairs(limit), HOST).unwrap().query.len(), limit);
    refused(&pairs(limit + 1), HOST, Reason::QueryTooMany);
}

#[test]
fn header_underscore() {
    refused("/deals", &[("host", "a"), ("x_user", "admin")], Reason::HeaderUnderscore);
}

#[test]
fn header_not_text() {
    refused("/deals", &[("host", "a"), ("x-name", "é")], Reason::HeaderNotText);
}

#[test]
fn method_override() {
    refused("/deals", &[("host", "a"), ("x-http-method-override", "DELETE")], Reason::MethodOverride);
    refused("/deals", &[("host", "a"), ("x-http-method", "DELETE")], Reason::MethodOverride);
    refused("/deals?_method=DELETE", HOST, Reason::MethodOverride);
    refused("/deals?_HttpMethod=PATCH", HOST, Reason::MethodOverride);
}

#[test]
fn upgrade_refused() {
    refused("/deals", &[("host", "a"), ("upgrade", "websocket")], Reason::UpgradeRefused);
    refused("/deals", &[("host", "a"), ("connection", "keep-alive, Upgrade")], Reason::UpgradeRefused);
}

#[test]
fn hop_by_hop_headers_are_removed() {
    let pairs = [
        ("host", "a"),
        ("connection", "close, te, x-not-there"),
        ("te", "trailers"),
        ("keep-alive", "timeout=5"),
        ("authorization", "Bearer k"),
    ];
    let head = try_read("/deals", &pairs).unwrap();
    assert_eq!(head.headers.len(), 2, "{:?}", head.headers);
    assert!(head.headers.contains_key("authorization"));
}

#[test]
fn connection_header() {
    for name in ["authorization", "X-Api-Key", "if-match", "host", "content-length", "x-forwarded-for"] {
        let value = format!("close, {name}");
        let pairs = [("host", "a"), ("connection", value.as_str()), ("if-match", "1"), ("x-api-key", "k")];
        let more = [("authorization", "Bearer k"), ("content-length", "0"), ("x-forwarded-for", "1.2.3.4")];
        refused("/deals", &[&pairs[..], &more].concat(), Reason::ConnectionHeader);
    }
}

#[test]
fn header_too_many() {
    let mut pairs = vec![("host", "a")];
    pairs.extend([("x-note", "1"); 99]);
    assert!(try_read("/deals", &pairs).is_ok());
    pairs.push(("x-note", "1"));
    refused("/deals", &pairs, Reason::HeaderTooMany);
}

#[test]
fn hosts() {
    #[track_caller]
    fn check(version: Version, target: &str, hosts: &[&str], expected: Result<Option<&str>, Reason>) {
        let uri: Uri = target.parse().unwrap();
        let pairs: Vec<(&str, &str)> = hosts.iter().map(|host| ("host", *host)).collect();
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(header::HeaderName::try_from(name).unwrap(), value.parse().unwrap());
        }
        let found = host(&uri, version, &map).map_err(|problem| problem.reason);
        assert_eq!(found, expected.map(|host| host.map(str::to_owned)));
    }
    const V1: Version = Version::HTTP_11;
    const V2: Version = Version::HTTP_2;
    check(V1, "/", &["CRM.example"], Ok(Some("crm.example")));
    check(V1, "/", &["crm.example:8443"], Ok(Some("crm.example:8443")));
    check(V1, "/", &["[::1]:80"], Ok(Some("[::1]:80")));
    check(V1, "/", &["crm_proxy"], Ok(Some("crm_proxy")));
    check(V1, "/", &["[::1]"], Ok(Some("[::1]")));
    check(Version::HTTP_10, "/", &[], Ok(None));
    check(V1, "/", &[], Err(Reason::HostMissing));
    check(V1, "/", &["a", "a"], Err(Reason::HostDuplicate));
    check(V1, "http://a/", &["A"], Ok(Some("a")));
    check(V1, "http://a/", &["b"], Err(Reason::TargetForm));
    check(V1, "http://a/", &[], Err(Reason::TargetForm));
    check(V2, "https://a/", &[], Ok(Some("a")));
    check(V2, "https://a/", &["a"], Ok(Some("a")));
    check(V2, "https://a/", &["b"], Err(Reason::TargetForm));
    check(V2, "/", &["a"], Ok(Some("a")));
    check(V2, "/", &[], Err(Reason::HostMissing));
    check(V2, "https://u:p@a/", &[], Err(Reason::HostMalformed));
    let long = "a".repeat(261);
    for host in [
        "",
        "a b",
        "a/b",
        "a@b",
        "a,b",
        "a:",
        "a:x",
        "a:99999",
        "a:80:80",
        "a?b",
        "a#b",
        "a\\b",
        "[::1",
        "::1",
        "[::1]x",
        "[a]",
        "a%41",
        long.as_str(),
    ] {
        check(V1, "/", &[host], Err(Reason::HostMalformed));
    }
}

#[test]
fn crumbs_of_a_cookie_are_one() {
    let pairs = [("cookie", "a=1"), ("cookie", "b=2"), ("cookie", "c=3")];
    let uri: Uri = "https://crm.example/deals".parse().unwrap();
    let head = read(Method::GET, &uri, Version::HTTP_2, headers(&pairs), HeadLimits::default()).unwrap();
    assert_eq!(head.headers.get_all("cookie").iter().collect::<Vec<_>>(), ["a=1; b=2; c=3"]);
    let head = try_read("/deals", &[HOST, &pairs].concat()).unwrap();
    assert_eq!(head.headers.get_all("cookie").iter().count(), 3, "over HTTP/1.1 they are several");
}

proptest! {
    #[test]
    fn what_is_written_reads_the_same(segments in prop::collection::vec("[^/\\\\;%\\p{Cc}]{1,12}", 1..5), slash: bool) {
        prop_assume!(segments.iter().all(|s| s != "." && s != ".."));
        let written = write_path(&segments, slash);
        prop_assert_eq!(read_path(&written).unwrap(), (segments, slash));
    }

    #[test]
    fn queries_written_read_the_same(pairs in prop::collection::vec(("[^\\p{Cc}]{1,8}", "[^\\p{Cc}]{0,8}"), 0..6)) {
        let read = read_query(&write_query(&pairs), HeadLimits::default()).unwrap();
        prop_assert_eq!(read, pairs);
    }
}
