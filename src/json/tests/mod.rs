//! Tests of the whole module, one file for each file under test; here is what they share: random trees and their spellings.

use bytes::Bytes;
use proptest::prelude::*;

use super::parse::JsonLimits;
use super::value::{Document, Value};

mod parse;
mod path;
mod same;
mod strip;
mod value;

/// Parses what a test knows to be a document.
#[track_caller]
fn document(text: impl AsRef<[u8]>) -> Document {
    Document::parse(Bytes::copy_from_slice(text.as_ref()), &JsonLimits::default()).unwrap()
}

/// A value before it is spelled: strings decoded, numbers as text.
#[derive(Debug, Clone, PartialEq)]
enum Tree {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    Array(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

/// Keys that differ when decoded.
const KEYS: [&str; 9] = ["a", "b", "id", "owner", "\u{e9}", "\u{1f600}", "", "q\"\\", "line\nend"];

/// Trees with unique keys and numbers that serde_json can hold.
fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        Just(Tree::Null),
        any::<bool>().prop_map(Tree::Bool),
        "-?(0|[1-9][0-9]{0,4})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?".prop_map(Tree::Number),
        prop_oneof!["[a-c\"\\\\/\u{7}\u{e9}\u{1f600}]{0,4}", Just("1".to_owned())].prop_map(Tree::Text),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        let keys = prop::sample::subsequence(KEYS.to_vec(), 0..=5).prop_shuffle();
        let members = (keys, prop::collection::vec(inner.clone(), 5)).prop_map(|(keys, values)| {
            Tree::Object(keys.into_iter().map(str::to_owned).zip(values).collect())
        });
        prop_oneof![prop::collection::vec(inner, 0..5).prop_map(Tree::Array), members]
    })
}

/// Small deterministic choices while spelling: xorshift.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 |= 1 << 40;
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }
}

/// Spells `tree` with white space and escapes as the dice have it.
fn spell(tree: &Tree, seed: u64) -> String {
    let mut out = String::new();
    let mut dice = Dice(seed);
    gap(&mut dice, &mut out);
    spell_into(tree, &mut dice, &mut out);
    gap(&mut dice, &mut out);
    out
}

fn spell_into(tree: &Tree, dice: &mut Dice, out: &mut String) {
    match tree {
        Tree::Null => out.push_str("null"),
        Tree::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Tree::Number(number) => out.push_str(number),
        Tree::Text(text) => spell_text(text, dice, out),
        Tree::Array(items) => {
            out.push('[');
            gap(dice, out);
            for (at, item) in items.iter().enumerate() {
                comma(at, dice, out);
                spell_into(item, dice, out);
                gap(dice, out);
            }
            out.push(']');
        }
        Tree::Object(members) => {
            out.push('{');
            gap(dice, out);
            for (at, (key, item)) in members.iter().enumerate() {
                comma(at, dice, out);
                spell_text(key, dice, out);
                gap(dice, out);
                out.push(':');
                gap(dice, out);
                spell_into(item, dice, out);
                gap(dice, out);
            }
            out.push('}');
        }
    }
}

fn comma(at: usize, dice: &mut Dice, out: &mut String) {
    if at > 0 {
        out.push(',');
        gap(dice, out);
    }
}

fn gap(dice: &mut Dice, out: &mut String) {
    if dice.roll(4) == 0 {
        out.push_str([" ", "\t", "\n", "\r", "  "][usize::try_from(dice.roll(5)).unwrap()]);
    }
}

fn spell_text(text: &str, dice: &mut Dice, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        let must = c < ' ' || c == '"' || c == '\\';
        if must || dice.roll(4) == 0 {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let hex = if dice.roll(2) == 0 { format!("\\u{unit:04x}") } else { format!("\\u{unit:04X}") };
                out.push_str(&hex);
            }
        } else {
            out.push(c);
        }
    }
    out.push('"');
}

/// `value` and all below it in source order.
fn all_values(value: Value<'_>) -> Vec<Value<'_>> {
    let mut all = vec![value];
    for child in value.items().chain(value.members().map(|member| member.value())) {
        all.extend(all_values(child));
    }
    all
}
