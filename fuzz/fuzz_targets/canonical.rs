//! Any text as a target, and any lines as headers: what is read of them, written anew, reads the same; what is read holds nothing
//! that another reader could take for another path, parameter or request; the query is what a common reader of forms reads.
//!
//! The first line is the target, each further one a header.
#![no_main]

use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Uri, Version};
use libfuzzer_sys::fuzz_target;
use lockkeeper::pipeline::canonical::{CanonicalHead, HeadLimits, read, write_path, write_query};

fuzz_target!(|text: &str| {
    let mut lines = text.split('\n');
    let Some(uri) = lines.next().and_then(|target| target.parse::<Uri>().ok()) else { return };
    let Some(headers) = headers(&uri, lines) else { return };
    let Some(head) = head_of(&uri, headers) else { return };
    check_path(&head);
    let common: Vec<(String, String)> =
        form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    assert_eq!(head.query, common, "{uri}");
    check_headers(&head);
    let path = write_path(&head.segments, head.has_trailing_slash);
    let written = match head.query.is_empty() {
        true => path,
        false => format!("{path}?{}", write_query(&head.query)),
    };
    assert!(written.is_ascii() && !written.contains("//"), "{written}");
    let again = head_of(&written.parse().expect("what is written is a target"), head.headers.clone());
    let again = again.unwrap_or_else(|| panic!("what is written is read: {written}"));
    assert_eq!(
        (&again.segments, again.has_trailing_slash),
        (&head.segments, head.has_trailing_slash),
        "{written}"
    );
    assert_eq!((&again.query, &again.headers), (&head.query, &head.headers), "{uri} as {written}");
    assert_eq!(again.host, head.host, "{uri} as {written}");
});

fn check_path(head: &CanonicalHead) {
    for segment in &head.segments {
        assert!(!segment.is_empty() && segment != "." && segment != "..", "{segment:?}");
        assert!(!segment.contains(['/', '\\', ';']) && !segment.chars().any(char::is_control), "{segment:?}");
        let decoded = form_urlencoded::parse(segment.replace('+', "%2B").as_bytes())
            .next()
            .map(|(name, _)| name.into_owned());
        let is_plain = segment.contains(['&', '=']) || decoded.as_ref() == Some(segment);
        assert!(is_plain, "decoded once more {segment:?} is {decoded:?}");
    }
    for (name, value) in &head.query {
        assert!(!name.eq_ignore_ascii_case("_method"), "{name:?}");
        assert!(!name.chars().chain(value.chars()).any(char::is_control), "{name:?} {value:?}");
    }
}

fn check_headers(head: &CanonicalHead) {
    const GONE: &[&str] = &[
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-http-method",
        "x-http-method-override",
        "x-method-override",
    ];
    for (name, value) in &head.headers {
        assert!(!name.as_str().contains('_') && value.to_str().is_ok(), "{name} {value:?}");
        assert!(!GONE.contains(&name.as_str()), "{name} {value:?}");
    }
}

/// The headers of the lines, with a `Host` if they have none; `None` if they are not HTTP.
fn headers<'t>(uri: &Uri, lines: impl Iterator<Item = &'t str>) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        headers.append(HeaderName::try_from(name).ok()?, HeaderValue::try_from(value.trim()).ok()?);
    }
    if !headers.contains_key(HOST) {
        let host = uri.authority().map_or("crm.example", |named| named.as_str());
        headers.insert(HOST, HeaderValue::from_str(host).ok()?);
    }
    Some(headers)
}

fn head_of(uri: &Uri, headers: HeaderMap) -> Option<CanonicalHead> {
    let limits = HeadLimits { target_bytes_max: 1 << 16, ..HeadLimits::default() };
    read(Method::GET, uri, Version::HTTP_11, headers, limits).ok()
}
