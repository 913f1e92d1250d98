//! Writing anew: tables, and random trees against a slow twin that works on trees instead of spans.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::parse::{DEPTH_CEILING, JsonLimits};
use super::super::strip::{Keep, replace_in, write};
use super::super::value::{Document, Kind, NodeId, Value};
use super::{Tree, all_values, document, spell, tree};

const DEAL: &str =
    r#" {"id" : 1.50, "\u006fwner": {"a": [ 1, 2 ], "b":"\/"}, "tags": ["x", "y" ,"z"], "n": null} "#;

fn id(value: Option<Value<'_>>) -> NodeId {
    value.unwrap().node()
}

#[track_caller]
fn check(document: &Document, keep: &Keep, expected: &str) {
    assert_eq!(String::from_utf8(write(document, keep)).unwrap(), expected);
}

#[test]
fn writes_what_is_kept_as_the_source_has_it() {
    let deal = document(DEAL);
    let root = deal.root();
    let owner = root.member("owner").unwrap();
    let tags: Vec<NodeId> = root.member("tags").unwrap().items().map(|item| item.node()).collect();
    check(&deal, &Keep::Whole, DEAL.trim());
    check(&deal, &Keep::Object(vec![]), "{}");
    check(&deal, &Keep::Replace(b"null".to_vec()), "null");
    let keep = Keep::Object(vec![
        (id(root.member("tags")), Keep::Array(vec![(tags[2], Keep::Whole), (tags[0], Keep::Whole)])),
        (owner.node(), Keep::Object(vec![(id(owner.member("a")), Keep::Whole)])),
        (id(root.member("id")), Keep::Whole),
    ]);
    check(&deal, &keep, r#"{"id":1.50,"\u006fwner":{"a":[ 1, 2 ]},"tags":["x","z"]}"#);
    let masked = Keep::Object(vec![(owner.node(), Keep::Replace(b"\"***\"".to_vec()))]);
    check(&deal, &masked, r#"{"\u006fwner":"***"}"#);
    check(
        &deal,
        &Keep::Object(vec![(owner.node(), Keep::Whole)]),
        r#"{"\u006fwner":{"a": [ 1, 2 ], "b":"\/"}}"#,
    );
}

#[test]
fn writes_nothing_that_is_not_exactly_named() {
    let deal = document(DEAL);
    let root = deal.root();
    let owner = root.member("owner").unwrap();
    let grandchild = id(owner.member("a"));
    check(&deal, &Keep::Object(vec![(grandchild, Keep::Whole)]), "{}");
    check(&deal, &Keep::Object(vec![(root.node(), Keep::Whole)]), "{}");
    check(&deal, &Keep::Object(vec![(NodeId(u32::MAX), Keep::Whole)]), "{}");
    check(&deal, &Keep::Array(vec![(owner.node(), Keep::Whole)]), "[]");
    let as_object = Keep::Object(vec![(grandchild, Keep::Whole)]);
    let tags = root.member("tags").unwrap();
    let first_tag = id(tags.items().next());
    check(&deal, &Keep::Object(vec![(owner.node(), as_object)]), r#"{"\u006fwner":{"a":[ 1, 2 ]}}"#);
    let list_as_object = Keep::Object(vec![(first_tag, Keep::Whole)]);
    check(&deal, &Keep::Object(vec![(tags.node(), list_as_object)]), r#"{"tags":{}}"#);
    let scalar_as_list = Keep::Array(vec![(first_tag, Keep::Whole)]);
    check(&deal, &Keep::Object(vec![(id(root.member("id")), scalar_as_list)]), r#"{"id":[]}"#);
}

#[test]
fn a_child_that_is_named_twice_is_dropped() {
    let deal = document(DEAL);
    let (n, tags) = (id(deal.root().member("n")), id(deal.root().member("tags")));
    let nothing = || Keep::Array(vec![]);
    let twice = vec![(tags, Keep::Whole), (n, Keep::Whole), (tags, nothing())];
    check(&deal, &Keep::Object(twice), r#"{"n":null}"#);
    let thrice = vec![(tags, nothing()), (tags, nothing()), (tags, Keep::Whole)];
    check(&deal, &Keep::Object(thrice), "{}");
}

#[test]
fn the_deepest_documents_are_written() {
    let limits = JsonLimits { depth_max: DEPTH_CEILING, ..JsonLimits::default() };
    let text = format!("{}1,2{}", "[".repeat(DEPTH_CEILING), "]".repeat(DEPTH_CEILING));
    let deepest = Document::parse(text.clone().into(), &limits).unwrap();
    let values = all_values(deepest.root());
    let (first, last) = (values[DEPTH_CEILING].node(), values[DEPTH_CEILING + 1].node());
    let keep =
        values[1..DEPTH_CEILING].iter().rev().fold(Keep::Array(vec![(last, Keep::Whole)]), |inner, value| {
            Keep::Array(vec![(value.node(), inner)])
        });
    let expected = text.replace("1,2", "2");
    check(&deepest, &keep, &expected);
    assert_eq!(replace_in(&deepest, &[(first, None)]), expected.as_bytes());
}

#[track_caller]
fn check_edits(text: &str, edits: &[(&[&str], Option<&str>)], expected: &str) {
    let document = document(text);
    let find = |path: &[&str]| {
        path.iter().fold(document.root(), |value, step| match step.parse::<usize>() {
            Ok(at) => value.items().nth(at).unwrap(),
            Err(_) => value.member(step).unwrap(),
        })
    };
    let edits: Vec<_> = edits
        .iter()
        .map(|(path, text)| (find(path).node(), text.map(|text| text.as_bytes().to_vec())))
        .collect();
    assert_eq!(String::from_utf8(replace_in(&document, &edits)).unwrap(), expected);
}

#[test]
fn edits_leave_all_else_as_it_was() {
    let text = " { \"a\" : 1 ,\t\"b\" : [ 1 , 2 , 3 ] , \"c\" : { \"d\" : 4 } } ";
    check_edits(text, &[], text);
    check_edits(text, &[(&["a"], Some("\"x\""))], &text.replace(": 1 ,\t", ": \"x\" ,\t"));
    check_edits(text, &[(&["a"], None)], " { \"b\" : [ 1 , 2 , 3 ] , \"c\" : { \"d\" : 4 } } ");
    check_edits(text, &[(&["b"], None)], " { \"a\" : 1 , \"c\" : { \"d\" : 4 } } ");
    check_edits(text, &[(&["c"], None)], " { \"a\" : 1 ,\t\"b\" : [ 1 , 2 , 3 ] } ");
    check_edits(text, &[(&["a"], None), (&["c"], None)], " { \"b\" : [ 1 , 2 , 3 ] } ");
    check_edits(text, &[(&["a"], None), (&["b"], None), (&["c"], None)], " {  } ");
    check_edits(text, &[(&["b", "1"], None)], &text.replace(" , 2", ""));
    check_edits(text, &[(&["b", "0"], None), (&["b", "2"], Some("9"))], &text.replace("1 , 2 , 3", "2 , 9"));
    check_edits(text, &[(&["c", "d"], None)], &text.replace("\"d\" : 4", ""));
    check_edits(text, &[(&[], Some("[]"))], " [] ");
    check_edits(text, &[(&[], None)], "");
}

#[test]
fn overlapping_edits_have_one_meaning() {
    let text = r#"{"a":{"b":1},"c":2}"#;
    check_edits(text, &[(&["a"], Some("0")), (&["a", "b"], Some("9"))], r#"{"a":0,"c":2}"#);
    check_edits(text, &[(&["a", "b"], Some("9")), (&["a"], None)], r#"{"c":2}"#);
    check_edits(text, &[(&["c"], None), (&["c"], Some("3"))], r#"{"a":{"b":1},"c":3}"#);
    check_edits(text, &[(&["c"], Some("3")), (&["c"], None)], r#"{"a":{"b":1}}"#);
    let plain = document(text);
    assert_eq!(replace_in(&plain, &[(NodeId(99), None)]), text.as_bytes());
}

/// What a made-up policy says of the member `key`: depends on nothing that stripping changes.
#[derive(PartialEq)]
enum Rule {
    Drop,
    Mask,
    Whole,
    Inside,
}

const MASK: &str = "\"\u{2588}\"";

fn rule(seed: u64, key: &str) -> Rule {
    let sum = key.bytes().fold(seed, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    match (sum >> 3) % 5 {
        0 => Rule::Drop,
        1 => Rule::Mask,
        2 => Rule::Whole,
        _ => Rule::Inside,
    }
}

/// Items that the made-up policy drops, by kind.
fn drops_item(seed: u64, kind: Kind) -> bool {
    (seed >> 9).is_multiple_of(2) && matches!(kind, Kind::Bool | Kind::String)
}

fn plan(value: Value<'_>, seed: u64) -> Keep {
    match value.kind() {
        Kind::Object => Keep::Object(
            value
                .members()
                .filter_map(|member| {
                    let keep = match rule(seed, &member.key()) {
                        Rule::Drop => return None,
                        Rule::Mask => Keep::Replace(MASK.as_bytes().to_vec()),
                        Rule::Whole => Keep::Whole,
                        Rule::Inside => plan(member.value(), seed),
                    };
                    Some((member.value().node(), keep))
                })
                .collect(),
        ),
        Kind::Array => {
            let kept = value.items().filter(|item| !drops_item(seed, item.kind()));
            Keep::Array(kept.map(|item| (item.node(), plan(item, seed))).collect())
        }
        _ => Keep::Whole,
    }
}

/// The slow twin of `write` with `plan`.
fn twin_write(tree: &Tree, seed: u64) -> serde_json::Value {
    match tree {
        Tree::Object(members) => members
            .iter()
            .filter_map(|(key, value)| match rule(seed, key) {
                Rule::Drop => None,
                Rule::Mask => Some((key.clone(), serde_json::from_str(MASK).unwrap())),
                Rule::Whole => Some((key.clone(), plain(value))),
                Rule::Inside => Some((key.clone(), twin_write(value, seed))),
            })
            .collect(),
        Tree::Array(items) => {
            let is_kept = |item: &&Tree| match item {
                Tree::Bool(_) => !drops_item(seed, Kind::Bool),
                Tree::Text(_) => !drops_item(seed, Kind::String),
                _ => true,
            };
            items.iter().filter(is_kept).map(|item| twin_write(item, seed)).collect()
        }
        scalar => plain(scalar),
    }
}

fn plain(tree: &Tree) -> serde_json::Value {
    serde_json::from_str(&spell(tree, 0)).unwrap()
}

/// The slow twin of `replace_in`: `next` counts values in source order, as node ids do.
fn twin_edit(tree: &Tree, edits: &BTreeMap<u32, Option<&str>>, next: &mut u32) -> Option<serde_json::Value> {
    let here = *next;
    *next += 1;
    let inside = match tree {
        Tree::Array(items) => items.iter().filter_map(|item| twin_edit(item, edits, next)).collect(),
        Tree::Object(members) => members
            .iter()
            .filter_map(|(key, value)| Some((key.clone(), twin_edit(value, edits, next)?)))
            .collect(),
        scalar => plain(scalar),
    };
    match edits.get(&here) {
        None => Some(inside),
        Some(text) => text.map(|text| serde_json::from_str(text).unwrap()),
    }
}

/// Raw keys and scalars in source order, masks left out.
fn tokens(value: Value<'_>) -> Vec<&str> {
    match value.kind() {
        Kind::Object => {
            let of = |(key, value)| std::iter::once(key).chain(tokens(value)).collect::<Vec<_>>();
            value.members().flat_map(|member| of((member.raw_key(), member.value()))).collect()
        }
        Kind::Array => value.items().flat_map(tokens).collect(),
        _ if value.raw() == MASK => vec![],
        _ => vec![value.raw()],
    }
}

fn is_subsequence(part: &[&str], whole: &[&str]) -> bool {
    let mut rest = whole.iter();
    part.iter().all(|token| rest.any(|candidate| candidate == token))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn whole_is_the_root_slice(tree in tree(), seed in any::<u64>()) {
        let source = document(spell(&tree, seed));
        prop_assert_eq!(write(&source, &Keep::Whole), source.root().raw().as_bytes());
    }

    #[test]
    fn stripping_is_what_the_twin_does(tree in tree(), seed in any::<u64>()) {
        let source = document(spell(&tree, seed));
        let stripped = write(&source, &plan(source.root(), seed));
        let stripped: serde_json::Value = serde_json::from_slice(&stripped).unwrap();
        prop_assert_eq!(stripped, twin_write(&tree, seed));
    }

    #[test]
    fn stripping_only_removes(tree in tree(), seed in any::<u64>()) {
        let source = document(spell(&tree, seed));
        let stripped = document(write(&source, &plan(source.root(), seed)));
        prop_assert!(is_subsequence(&tokens(stripped.root()), &tokens(source.root())));
    }

    #[test]
    fn stripping_is_idempotent(tree in tree(), seed in any::<u64>()) {
        let source = document(spell(&tree, seed));
        let once = document(write(&source, &plan(source.root(), seed)));
        let twice = write(&once, &plan(once.root(), seed));
        prop_assert_eq!(once.bytes(), &twice);
    }

    #[test]
    fn edits_are_what_the_twin_does(tree in tree(), seed in any::<u64>(), picks in prop::collection::vec(any::<(u8, bool)>(), 0..6)) {
        let source = document(spell(&tree, seed));
        let count = u32::try_from(all_values(source.root()).len()).unwrap();
        let chosen: BTreeMap<u32, Option<&str>> = picks
            .into_iter()
            .map(|(pick, removes)| (u32::from(pick) % count, (!removes).then_some("{\"new\":[1]}")))
            .collect();
        let edits: Vec<_> = chosen
            .iter()
            .rev()
            .map(|(node, text)| (NodeId(*node), text.map(|text| text.as_bytes().to_vec())))
            .collect();
        let edited = replace_in(&source, &edits);
        match twin_edit(&tree, &chosen, &mut 0) {
            None => prop_assert!(edited.is_empty()),
            Some(expected) => prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&edited).unwrap(), expected),
        }
    }

    #[test]
    fn replacing_values_by_themselves_changes_no_byte(tree in tree(), seed in any::<u64>(), mask in any::<u64>()) {
        let source = document(spell(&tree, seed));
        let edits: Vec<_> = all_values(source.root())
            .into_iter()
            .enumerate()
            .filter(|(at, _)| mask >> (at % 64) & 1 == 1)
            .map(|(_, value)| (value.node(), Some(value.raw().as_bytes().to_vec())))
            .collect();
        prop_assert_eq!(source.bytes(), &replace_in(&source, &edits));
    }
}
