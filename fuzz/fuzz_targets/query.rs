//! Any text in a parameter that names fields: every form with every encoding it can have, chosen by the first byte.
//!
//! What is accepted, written anew and read again refers to the same fields and is the same text, also by way of a real target;
//! nothing of it is lost on the way; and the names in what goes to the CRM, found by a reader that knows nothing of the lexers
//! (`query/plain.rs`), are exactly those that were judged.
#![no_main]

#[path = "query/forms.rs"]
mod forms;
#[path = "query/plain.rs"]
mod plain;

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use forms::{Asked, Rig, Wrapping};
use http::header::{HOST, HeaderMap, HeaderValue};
use http::{Method, Uri, Version};
use libfuzzer_sys::fuzz_target;
use lockkeeper::bundle::profile::query::Form;
use lockkeeper::pipeline::canonical::{self, HeadLimits};
use lockkeeper::pipeline::map::query::MappedQuery;

thread_local! {
    static RIG: Rig = Rig::new();
}

type Pairs = Vec<(String, String)>;

fuzz_target!(|data: &[u8]| {
    let Some(([chosen, spelling], text)) = data.split_first_chunk::<2>() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    // Such a query is refused before anything looks into it.
    if text.chars().any(char::is_control) {
        return;
    }
    RIG.with(|rig| {
        let asked = &rig.asked[usize::from(*chosen) % rig.asked.len()];
        let pairs = pairs(asked, *spelling, text);
        if let Some(read) = rig.read(&pairs) {
            check(rig, asked, &pairs, &read);
        }
    });
});

/// The text as the parameters of a form. A text in base64 is hard to come by, so another byte says whether it is yet to be wrapped.
fn pairs(asked: &Asked, spelling: u8, text: &str) -> Pairs {
    let named = |text: &str| {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        let rest = if asked.form == Form::Key { "" } else { name };
        (format!("{}{rest}", asked.prefix), value.to_owned())
    };
    let value = match (asked.wrapping, spelling % 4) {
        (Wrapping::Named, _) => return text.split('&').map(named).collect(),
        (Wrapping::Base64Url, 1) => URL_SAFE.encode(text),
        (Wrapping::Base64Url, 2) => URL_SAFE_NO_PAD.encode(text),
        (Wrapping::Base64, 1..=2) => STANDARD.encode(text),
        _ => text.to_owned(),
    };
    vec![(asked.prefix.clone(), value)]
}

fn check(rig: &Rig, asked: &Asked, given: &Pairs, read: &MappedQuery) {
    let written = written(read);
    let shown = format!("{asked:?}: {given:?} as {written:?}");
    let again = rig.read(&written).unwrap_or_else(|| panic!("what is written is read: {shown}"));
    assert_eq!(read.references, again.references, "{shown}");
    assert_eq!(written, self::written(&again), "{shown}");
    assert_eq!(written, by_way_of_a_target(&written), "{shown}");
    let named = plain::names(asked, &written);
    assert_eq!(named, judged(read), "names of {shown}");
    let missing = plain::lost(asked, given, &written);
    assert!(missing.is_empty(), "{missing:?} of {shown}");
}

/// What goes to the CRM, a selection included.
fn written(read: &MappedQuery) -> Pairs {
    let mut pairs = read.pairs.clone();
    if let Some(projection) = &read.projection {
        pairs.extend(projection.pairs(&[]).expect("a selection of few names is written"));
    }
    pairs
}

/// The same after it was a query, as the CRM reads it.
fn by_way_of_a_target(pairs: &Pairs) -> Pairs {
    let target: Uri = format!("/deals?{}", canonical::write_query(pairs)).parse().expect("a target");
    let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static("crm.example"))]);
    let limits =
        HeadLimits { target_bytes_max: 1 << 20, query_parameters_max: 10_000, ..HeadLimits::default() };
    let head = canonical::read(Method::GET, &target, Version::HTTP_11, headers, limits).expect("a head");
    head.query
}

/// The fields that were judged, each as the CRM spells the way to it.
fn judged(read: &MappedQuery) -> BTreeSet<String> {
    let on_wire = |(type_name, field): &(String, String)| {
        let field = field.strip_prefix(type_name.as_str()).and_then(|rest| rest.strip_prefix('.'));
        field.expect("a field is named by its type").to_owned()
    };
    let path = |hops: &Vec<(String, String)>| hops.iter().map(on_wire).collect::<Vec<_>>().join(".");
    // An id refers to nothing but the record that it is the id of.
    read.references.iter().map(|reference| path(&reference.hops)).filter(|path| !path.is_empty()).collect()
}
