//! What never reaches Tryton: requests that the profile does not describe, and callers whom nobody knows.

use crate::client::Call;
use crate::rig::{OPPORTUNITIES, rig};

/// As the administrator, so that no policy can be the cause.
#[track_caller]
fn check(line: &str, headers: &[(&str, &str)], body: Option<&str>, expected: (u16, &str)) {
    let rig = rig();
    let exchange = rig.send(&Call { line, key: Some(rig.key("admin")), headers, body });
    let answer = exchange.answer;
    assert_eq!((answer.status, answer.reason().as_str()), expected, "{line} {headers:?}");
    assert_eq!(exchange.asked, Vec::<String>::new(), "{line} {headers:?}");
}

#[test]
fn filters_and_orders() {
    // [["nosuch","ilike","%13%"]], [["nosuch","ASC"]], and what is no base64, or no JSON.
    for query in [
        "d=W1sibm9zdWNoIiwiaWxpa2UiLCIlMTMlIl1d",
        "o=W1sibm9zdWNoIiwiQVNDIl1d",
        "d=",
        "d=&d=",
        "d=%5B%5D",
        "o=e30",
    ] {
        let refused = (403, "reference-refused");
        check(&format!("GET {OPPORTUNITIES}?{query}"), &[], None, refused);
        check(&format!("GET {OPPORTUNITIES}?f=id&{query}"), &[], None, refused);
        check(&format!("GET /crm/rest/model/party.party?{query}"), &[], None, refused);
        check(&format!("GET {OPPORTUNITIES}/1?{query}"), &[], None, (400, "query-undeclared"));
    }
}

#[test]
fn selections_that_are_not_described() {
    for name in [
        "nosuch",
        "",
        "amount.decimal",
        "state:string",
        "_timestamp",
        "lines",
        "lines.amount",
        "sales",
        "sales.number",
        "create_uid.login",
        "party.",
        "party..name",
        "party.addresses.city",
        "party.contact_mechanisms.value",
        "employee.company.rec_name",
        "party.nosuch",
        "amount,comment",
        "Amount",
        "__name__.x",
    ] {
        check(&format!("GET {OPPORTUNITIES}/1?f={name}"), &[], None, (403, "reference-refused"));
        check(&format!("GET {OPPORTUNITIES}?f=id&f={name}"), &[], None, (403, "reference-refused"));
        check(&format!("POST {OPPORTUNITIES}/1/lost?f={name}"), &[], None, (403, "reference-refused"));
    }
    for query in ["F=id", "f[]=id", "f%5B%5D=id", "limit=1", "s=1&s=2"] {
        let reason = if query.starts_with("s=") { "query-repeated" } else { "query-undeclared" };
        check(&format!("GET {OPPORTUNITIES}?{query}"), &[], None, (400, reason));
    }
}

#[test]
fn paths_that_are_not_described() {
    let unmapped = (403, "route-unmapped");
    for line in [
        "GET /",
        "POST /crm/",
        "GET /crm/rest/model/res.user",
        "GET /crm/rest/model/res.user.application?f=key",
        "GET /crm/rest/model/sale.opportunity.line",
        "GET /crm/rest/model/company.employee/1",
        "GET /other/rest/model/sale.opportunity/1",
        "GET /crm/rest/model/sale.opportunity/01",
        "GET /crm/rest/model/sale.opportunity/-1",
        "GET /crm/rest/model/sale.opportunity/1/",
        "GET /crm/rest/model/sale.opportunity/1/lost",
        "PATCH /crm/rest/model/sale.opportunity/1",
        "OPTIONS /crm/rest/model/sale.opportunity/1",
        "DELETE /crm/rest/model/sale.opportunity",
        "PUT /crm/rest/model/party.party/7",
        "DELETE /crm/rest/model/party.party/7",
    ] {
        check(line, &[], None, unmapped);
    }
    check("GET /crm/rest/model/sale.opportunity%2F1", &[], None, (400, "path-encoded-slash"));
    check("GET /crm/rest/model/sale.opportunity//1", &[], None, (400, "path-empty-segment"));
    check("GET /crm/rest/model/sale.opportunity/./1", &[], None, (400, "path-dot-segment"));
    check("GET /crm/rest/model/sale.opportunity/%2531", &[], None, (400, "path-double-encoding"));
}

#[test]
fn headers_that_would_page_otherwise() {
    let line = format!("GET {OPPORTUNITIES}");
    check(&line, &[("Range", "bytes=0-5")], None, (400, "header-refused"));
    check(&line, &[("Range", "records=0-5"), ("Range", "records=0-6")], None, (400, "header-refused"));
    let create = format!("POST {OPPORTUNITIES}/1");
    check(&create, &[("X-HTTP-Method-Override", "DELETE")], Some("{}"), (400, "method-override"));
}

#[test]
fn callers_whom_nobody_knows() {
    let rig = rig();
    let unknown = "f".repeat(128);
    for (key, reason) in [(Some(unknown.as_str()), "credential-unknown"), (None, "credential-missing")] {
        let line = format!("GET {OPPORTUNITIES}/1");
        let exchange = rig.send(&Call { line: &line, key, headers: &[], body: None });
        assert_eq!((exchange.answer.status, exchange.answer.reason().as_str()), (401, reason));
        assert_eq!(exchange.asked, Vec::<String>::new());
    }
}

#[test]
fn the_callers_levers_do_not_reach_tryton() {
    let rig = rig();
    let line = format!("GET {OPPORTUNITIES}/1?f=state");
    // {"_datetime": {"__class__": "datetime", …}} would read the record as it once was.
    let headers = [
        ("X-Tryton-Context", "eyJfZGF0ZXRpbWUiOiB7fX0"),
        ("X-Tryton-Usage", "report"),
        ("Accept-Language", "de"),
    ];
    let exchange =
        rig.send(&Call { line: &line, key: Some(rig.key("rep-east")), headers: &headers, body: None });
    assert_eq!(exchange.answer.status, 200, "{:?}", exchange.answer);
    let head = exchange.asked[0].to_ascii_lowercase();
    assert!(!head.contains("x-tryton") && head.contains("accept-language: de"), "{head}");
    assert!(
        head.contains(&format!("authorization: bearer {}", rig.key("rep-east"))),
        "the caller's own key goes on"
    );
}
