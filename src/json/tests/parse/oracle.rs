//! Acceptance of random and damaged texts: what serde_json takes is taken, and each limit is exact for it.

use std::collections::HashSet;
use std::fmt;

use proptest::prelude::*;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{name, parse};
use crate::json::parse::{JsonError, JsonLimits};
use crate::json::tests::{all_values, spell, tree};

/// What serde_json says of a text.
#[derive(Debug, PartialEq)]
enum Oracle {
    /// Accepted: so many values, so many levels.
    Accepts(usize, usize),
    Refuses,
    /// serde_json cannot hold a number that RFC 8259 has; all it says then is whether the text is well formed.
    NumberTooBig(bool),
}

/// serde_json's own grammar, to which the visitor adds the one rule in which we are stricter: unique keys. Lone
/// surrogates serde_json refuses itself when it must make a `String`.
struct Strict {
    nodes: usize,
    depth: usize,
}

struct StrictVisitor;

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor)
    }
}

impl Strict {
    const SCALAR: Strict = Strict { nodes: 1, depth: 0 };

    fn hold(&mut self, child: &Strict) {
        self.nodes += child.nodes;
        self.depth = self.depth.max(child.depth + 1);
    }
}

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Strict;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E>(self) -> Result<Strict, E> {
        Ok(Strict::SCALAR)
    }
    fn visit_bool<E>(self, _: bool) -> Result<Strict, E> {
        Ok(Strict::SCALAR)
    }
    fn visit_i64<E>(self, _: i64) -> Result<Strict, E> {
        Ok(Strict::SCALAR)
    }
    fn visit_u64<E>(self, _: u64) -> Result<Strict, E> {
        Ok(Strict::SCALAR)
    }
    fn visit_f64<E>(self, _: f64) -> Result<Strict, E> {
        Ok(Strict::SCALAR)
    }
    fn visit_str<E>(self, _: &str) -> Result<Strict, E> {
        Ok(Strict::SCALAR)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Strict, A::Error> {
        let mut whole = Strict { nodes: 1, depth: 1 };
        while let Some(item) = items.next_element::<Strict>()? {
            whole.hold(&item);
        }
        Ok(whole)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Strict, A::Error> {
        let mut whole = Strict { nodes: 1, depth: 1 };
        let mut keys = HashSet::new();
        let mut is_unique = true;
        while let Some((key, item)) = members.next_entry::<String, Strict>()? {
            is_unique &= keys.insert(key);
            whole.hold(&item);
        }
        if is_unique { Ok(whole) } else { Err(A::Error::custom("duplicate key")) }
    }
}

fn ask_oracle(text: &[u8]) -> Oracle {
    match serde_json::from_slice::<Strict>(text) {
        Ok(found) => Oracle::Accepts(found.nodes, found.depth),
        Err(error) if error.to_string().starts_with("number out of range") => Oracle::NumberTooBig(
            std::str::from_utf8(text).is_ok() && serde_json::from_slice::<IgnoredAny>(text).is_ok(),
        ),
        Err(_) => Oracle::Refuses,
    }
}

#[track_caller]
fn agrees_with_oracle(text: &[u8]) {
    let shown = String::from_utf8_lossy(text).into_owned();
    let limits = JsonLimits { depth_max: 120, ..JsonLimits::default() };
    let ours = parse(text, &limits);
    match ask_oracle(text) {
        Oracle::Accepts(nodes, depth) => {
            let document = ours.unwrap_or_else(|error| panic!("`{shown}`: {error}"));
            assert_eq!(all_values(document.root()).len(), nodes, "`{shown}`");
            limits_are_exact(text, nodes, depth);
        }
        Oracle::Refuses => assert!(ours.is_err(), "`{shown}`"),
        Oracle::NumberTooBig(is_well_formed) => assert!(ours.is_err() || is_well_formed, "`{shown}`"),
    }
}

/// What just fits is accepted, and each limit refuses when it is one lower.
#[track_caller]
fn limits_are_exact(text: &[u8], nodes: usize, depth: usize) {
    let fits = JsonLimits { bytes_max: text.len(), depth_max: depth, nodes_max: nodes };
    parse(text, &fits).unwrap();
    let shorter = JsonLimits { bytes_max: text.len() - 1, ..fits };
    assert_eq!(parse(text, &shorter).unwrap_err(), JsonError::TooLarge { offset: text.len() - 1 });
    let fewer = JsonLimits { nodes_max: nodes - 1, ..fits };
    assert_eq!(name(parse(text, &fewer).unwrap_err()), "many");
    if depth > 0 {
        let flatter = JsonLimits { depth_max: depth - 1, ..fits };
        assert_eq!(name(parse(text, &flatter).unwrap_err()), "deep");
    }
}

/// Something that can happen to a text: where (scaled to its length), what, and with which byte.
fn damage() -> impl Strategy<Value = (u16, u8, u8)> {
    let byte = prop_oneof![
        prop::sample::select(b"{}[],:\"\\u0019-+.eE tfn\n\x00\x80\xc3\xed".to_vec()),
        any::<u8>()
    ];
    (any::<u16>(), 0..6_u8, byte)
}

fn inflict(text: &mut Vec<u8>, (place, what, byte): (u16, u8, u8)) {
    if text.is_empty() {
        return;
    }
    let at = usize::from(place) * text.len() / 65_536;
    match what {
        0 => text[at] = byte,
        1 => text.insert(at, byte),
        2 => drop(text.remove(at)),
        3 => text.truncate(at),
        4 => text.rotate_left(at),
        _ => text.extend_from_within(at..),
    }
}

/// Keys of which several read the same.
const ALIASES: [&str; 6] = [r#""a""#, r#""\u0061""#, r#""b""#, r#""\/""#, r#""/""#, r#""""#];

/// Texts in which keys repeat often.
fn repetitive() -> impl Strategy<Value = String> {
    let leaf =
        prop::sample::select(vec!["1", "null", r#""\ud800""#, r#""x""#, "1e999"]).prop_map(str::to_owned);
    leaf.prop_recursive(3, 12, 3, |inner| {
        let member = (prop::sample::select(ALIASES.to_vec()), inner.clone());
        prop_oneof![
            prop::collection::vec(member.prop_map(|(key, value)| format!("{key}:{value}")), 0..4)
                .prop_map(|members| format!("{{{}}}", members.join(","))),
            prop::collection::vec(inner, 0..3).prop_map(|items| format!("[{}]", items.join(","))),
        ]
    })
}

/// Tokens in any order.
fn soup() -> impl Strategy<Value = String> {
    let tokens = [
        "{", "}", "[", "]", ",", ":", "\"a\"", "\"b\"", "\"", "0", "-", "1", ".", "e", "true", "nul", "null",
        " ", "\\", "\\u00e9", "\\ud83d", "\\ude00", "\u{e9}",
    ];
    prop::collection::vec(prop::sample::select(tokens.to_vec()), 0..9).prop_map(|tokens| tokens.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn accepts_every_spelled_tree(tree in tree(), seed in any::<u64>()) {
        let text = spell(&tree, seed);
        prop_assert!(matches!(ask_oracle(text.as_bytes()), Oracle::Accepts(..)));
        agrees_with_oracle(text.as_bytes());
    }

    #[test]
    fn agrees_on_damaged_texts(tree in tree(), seed in any::<u64>(), damages in prop::collection::vec(damage(), 1..4)) {
        let mut text = spell(&tree, seed).into_bytes();
        damages.into_iter().for_each(|damage| inflict(&mut text, damage));
        agrees_with_oracle(&text);
    }

    #[test]
    fn agrees_on_repeated_keys(text in repetitive()) {
        agrees_with_oracle(text.as_bytes());
    }

    #[test]
    fn agrees_on_token_soup(text in soup()) {
        agrees_with_oracle(text.as_bytes());
    }

    #[test]
    fn agrees_on_strings_of_soup(text in soup()) {
        agrees_with_oracle(format!("\"{text}\"").as_bytes());
    }

    #[test]
    fn agrees_on_any_bytes(text in prop::collection::vec(any::<u8>(), 0..12)) {
        agrees_with_oracle(&text);
    }
}
