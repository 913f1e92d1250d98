//! Addresses of a CRM, and what is written in their place.

use super::*;

fn other_pages(base_path: &str, header: LinkHeader) -> OtherPages {
    OtherPages {
        origin: Some("https://crm.example".to_owned()),
        base_path: base_path.to_owned(),
        segments: vec!["deals".to_owned()],
        has_trailing_slash: false,
        asked: vec![("sort".to_owned(), "-title".to_owned())],
        header,
        paging: vec!["offset".to_owned(), "limit".to_owned()],
    }
}

#[track_caller]
fn check(address: &str, expected: Option<&str>) {
    assert_eq!(other_pages("/crm", LinkHeader::Pages).page(address).as_deref(), expected, "{address}");
}

#[test]
fn another_page_is_what_the_caller_asked_for_and_numbers() {
    let page = "https://crm.example/deals?sort=-title&offset=20&limit=10";
    check("http://crm.internal:8069/crm/deals?limit=10&offset=20&owner_id=7&fields=margin", Some(page));
    check("HTTPS://elsewhere/crm/deals?offset=20&limit=10#top", Some(page));
    check("/crm/deals?offset=20", Some("/deals?sort=-title&offset=20"));
    check("?offset=20", Some("/deals?sort=-title&offset=20"));
    check("/crm/deals", Some("/deals?sort=-title"));
    for none in [
        "",
        "deals?offset=20",
        "//elsewhere/crm/deals?offset=20",
        "/crm/deals/?offset=20/",
        "/crm/deals/7?offset=20",
        "/crm/contacts?offset=20",
        "/crmx/deals?offset=20",
        "/deals?offset=20",
        "/crm/./deals?offset=20",
        "/crm/%64eals?offset=%zz",
        "http://crm.internal:8069",
        "javascript:alert(1)",
        // A cursor could hold the values of a row.
        "/crm/deals?offset=MTAwMDAw",
        "/crm/deals?offset=-1",
        "/crm/deals?offset=",
        "/crm/deals?offset=1234567890123456789",
        "/crm/deals?offset=1&offset=2",
    ] {
        check(none, None);
    }
}

#[test]
fn a_place_holds_an_address_or_null() {
    let other_pages = other_pages("", LinkHeader::Dropped);
    let page = Some(r#""/deals?sort=-title&offset=5""#);
    assert_eq!(other_pages.page_json(r#""\/deals?offset=5""#).as_deref(), page);
    assert_eq!(other_pages.page_json("null").as_deref(), Some("null"));
    for other in ["7", "true", "{}", r#"["/deals"]"#, r#""/other""#] {
        assert_eq!(other_pages.page_json(other), None, "{other}");
    }
}

#[track_caller]
fn check_header(lines: &[&str], expected: Option<&str>) {
    let headers: HeaderMap = lines.iter().map(|line| (LINK, HeaderValue::from_str(line).unwrap())).collect();
    let found = other_pages("", LinkHeader::Pages).header(&headers);
    assert_eq!(found.as_ref().map(|value| value.to_str().unwrap()), expected, "{lines:?}");
    assert_eq!(other_pages("", LinkHeader::Dropped).header(&headers), None);
}

#[test]
fn a_link_header_names_other_pages_and_nothing_else() {
    let next = r#"<https://crm.example/deals?sort=-title&offset=20>; rel="next""#;
    check_header(&["<http://crm:1/deals?offset=20>; rel=\"next\""], Some(next));
    check_header(&["<http://crm:1/deals?offset=20>;title=\"a, <b>\"; REL=Next"], Some(next));
    let both = r#"<https://crm.example/deals?sort=-title&offset=20>; rel="next", </deals?sort=-title&offset=0>; rel="first""#;
    check_header(&["<http://crm/deals?offset=20>; rel=next , </deals?offset=0>; rel=first"], Some(both));
    check_header(&["<http://crm/deals?offset=20>; rel=next", "</deals?offset=0>; rel=first"], Some(both));
    check_header(&["</deals?offset=20>"], None);
    check_header(&["</deals/7>; rel=edit, </style.css>; rel=preload"], None);
    check_header(&["</deals?offset=x>; rel=next"], None);
    check_header(&["garbage", "</deals?offset=20; rel=next"], None);
    check_header(&[], None);
    let many = vec!["</deals?offset=1>; rel=next"; 50].join(",");
    let told = other_pages("", LinkHeader::Pages)
        .header(&std::iter::once((LINK, HeaderValue::from_str(&many).unwrap())).collect());
    assert_eq!(told.unwrap().to_str().unwrap().matches("rel=").count(), RELATIONS.len());
}
