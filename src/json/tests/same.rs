//! Sameness: a table, and random pairs against serde_json with numbers written out in full by a slow twin.

use proptest::prelude::*;

use super::super::parse::{DEPTH_CEILING, JsonLimits};
use super::super::same::same_value;
use super::super::value::Document;
use super::{Dice, Tree, document, spell, tree};

#[track_caller]
fn check(a: &str, b: &str, expected: bool) {
    let (left, right) = (document(a), document(b));
    assert_eq!(same_value(left.root(), right.root()), expected, "`{a}` and `{b}`");
    assert_eq!(same_value(right.root(), left.root()), expected, "`{b}` and `{a}`");
}

#[test]
fn numbers_are_compared_by_value() {
    for zero in ["0", "-0", "0.0", "-0.000", "0e5", "0E-99999999999999999999999999"] {
        check(zero, "0", true);
        check(zero, "1", false);
        check(zero, "0.0000000000000000000000000000000001", false);
    }
    for same in ["1.5", "1.50", "15e-1", "0.15e1", "150E-2", "0.00015e+0004", "1500000e-6"] {
        check(same, "1.5", true);
        check(same, "-1.5", false);
        check(same, "15", false);
        check(same, "1.05", false);
        check(same, "1.51", false);
    }
    check("100", "1e2", true);
    check("100", "10", false);
    check("1001", "101", false);
    check("10.01", "1.001e1", true);
    check("10.01", "1.001e2", false);
    check("9007199254740993", "9007199254740992", false);
    check("0.1", "0.1000000000000000055511151231257827", false);
    check("1e400", "1e401", false);
    check("1e400", "10e399", true);
}

#[test]
fn absurd_exponents_are_exact_and_cheap() {
    let nines = "9".repeat(40);
    let power = format!("1{}", "0".repeat(40));
    check(&format!("1e{power}"), &format!("10e{nines}"), true);
    check(&format!("1e{power}"), &format!("1e{nines}"), false);
    check(&format!("1e-{power}"), &format!("0.1e-{nines}"), true);
    check(&format!("1e-{power}"), &format!("10e-{nines}"), false);
    check(&format!("1e{power}"), &format!("1e-{power}"), false);
    check(&format!("1e00{power}"), &format!("1e+{power}"), true);
    check("1e5", "100000000e-3", true);
    check("1e5", "1000000000e-3", false);
    check("1e1", "0.0000000000000000000001e23", true);
    check("1e99999999999999999999", "2e99999999999999999999", false);
    check("1e18446744073709551616", "1", false);
    check("1e18446744073709551616", "1e0", false);
    let long = format!("1{}", "0".repeat(100_000));
    check(&long, "1e100000", true);
    check(&long, "1e100001", false);
}

#[test]
fn other_values_are_compared_by_meaning() {
    check("null", "null", true);
    check("true", "true", true);
    check("true", "false", false);
    check("null", "false", false);
    check("0", "false", false);
    check("1", r#""1""#, false);
    check("[]", "{}", false);
    check("null", "{}", false);
    check(r#""a\/""#, r#""\u0061/""#, true);
    check(r#""a""#, r#""A""#, false);
    check(r#""é""#, "\"e\u{301}\"", false);
    check("[1,2]", "[ 1.0, 2e0 ]", true);
    check("[1,2]", "[2,1]", false);
    check("[1]", "[1,1]", false);
    check("[]", "[null]", false);
    check(r#"{"a":1,"b":2}"#, r#"{"b":2,"\u0061":1.0}"#, true);
    check(r#"{"a":1,"b":2}"#, r#"{"b":1,"a":2}"#, false);
    check(r#"{"a":1}"#, r#"{"a":1,"b":2}"#, false);
    check(r#"{"a":1,"b":null}"#, r#"{"a":1,"c":null}"#, false);
    check(r#"{"a":null}"#, "{}", false);
    check(r#"{"a":[{"b":[1,{"c":2}]}]}"#, r#"{"a":[{"b":[1,{"c":3}]}]}"#, false);
}

#[test]
fn values_within_documents_are_compared_alone() {
    let document = document(r#"{"before": {"x": [1, 2]}, "after": {"x": [1.0, 2]}, "x": 3}"#);
    let root = document.root();
    assert!(same_value(root.member("before").unwrap(), root.member("after").unwrap()));
    assert!(!same_value(root.member("before").unwrap(), root));
}

#[test]
fn the_deepest_documents_are_compared() {
    let limits = JsonLimits { depth_max: DEPTH_CEILING, ..JsonLimits::default() };
    let nested = |core: &str| {
        let text = format!("{}{core}{}", "{\"a\":".repeat(DEPTH_CEILING), "}".repeat(DEPTH_CEILING));
        Document::parse(text.into(), &limits).unwrap()
    };
    assert!(same_value(nested("1").root(), nested("1.0").root()));
    assert!(!same_value(nested("1").root(), nested("2").root()));
}

/// Enough places for every number that the strategies here make.
const PLACES: usize = 160;

/// The slow twin: the number as sign and `2 * PLACES` digits, the point in their middle.
fn written_out(number: &str) -> String {
    let (sign, magnitude) = number.strip_prefix('-').map_or(("", number), |magnitude| ("-", magnitude));
    let (digits, exponent) = magnitude.split_once(['e', 'E']).unwrap_or((magnitude, "0"));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let exponent: isize = exponent.parse().unwrap();
    let mut places = vec![b'0'; 2 * PLACES];
    let start = isize::try_from(PLACES - whole.len()).unwrap() - exponent;
    for (at, digit) in whole.bytes().chain(fraction.bytes()).enumerate() {
        if digit != b'0' {
            places[usize::try_from(start).unwrap() + at] = digit;
        }
    }
    let places = String::from_utf8(places).unwrap();
    if places.bytes().all(|digit| digit == b'0') { places } else { format!("{sign}{places}") }
}

/// Numbers of few digits, so that equal ones are met by chance.
fn number() -> impl Strategy<Value = String> {
    "-?(0|[1-2]0{0,3}[0-1]?)(\\.0{0,3}[0-1]{1,2})?([eE][+-]?0{0,2}[0-6])?"
}

/// The same number with its point moved and zeros added.
fn respelled(number: &str, dice: &mut Dice) -> String {
    let (sign, magnitude) = number.strip_prefix('-').map_or(("", number), |magnitude| ("-", magnitude));
    let (digits, exponent) = magnitude.split_once(['e', 'E']).unwrap_or((magnitude, "0"));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let exponent: i64 = exponent.parse().unwrap();
    let trailing = "0".repeat(usize::try_from(dice.roll(4)).unwrap());
    match dice.roll(3) {
        0 => format!("{sign}{whole}.{fraction}0{trailing}e{exponent}"),
        1 => {
            let places = i64::try_from(whole.len()).unwrap();
            format!("{sign}0.{whole}{fraction}{trailing}E{:+}", exponent + places)
        }
        _ => {
            let all = format!("{whole}{fraction}{trailing}");
            let significant = all.trim_start_matches('0');
            let places = i64::try_from(fraction.len() + trailing.len()).unwrap();
            let written = if significant.is_empty() { "0" } else { significant };
            format!("{sign}{written}e{}", exponent - places)
        }
    }
}

/// The tree as serde_json's value, its numbers as strings written out.
fn twin(tree: &Tree) -> serde_json::Value {
    match tree {
        Tree::Null => serde_json::Value::Null,
        Tree::Bool(truth) => serde_json::Value::Bool(*truth),
        Tree::Number(number) => serde_json::Value::String(format!("number {}", written_out(number))),
        Tree::Text(text) => serde_json::Value::String(format!("text {text}")),
        Tree::Array(items) => items.iter().map(twin).collect(),
        Tree::Object(members) => members.iter().map(|(key, value)| (key.clone(), twin(value))).collect(),
    }
}

/// The same tree with members in another order and numbers spelled in other ways; one time in three with a change.
fn reworked(tree: &Tree, dice: &mut Dice) -> Tree {
    match tree {
        Tree::Number(_) if dice.roll(24) == 0 => Tree::Number("7".to_owned()),
        Tree::Text(_) if dice.roll(24) == 0 => Tree::Text("7".to_owned()),
        Tree::Number(number) => Tree::Number(respelled(number, dice)),
        Tree::Array(items) => {
            let mut items: Vec<Tree> = items.iter().map(|item| reworked(item, dice)).collect();
            if dice.roll(24) == 0 {
                items.reverse();
            }
            Tree::Array(items)
        }
        Tree::Object(members) => {
            let mut members: Vec<_> =
                members.iter().map(|(key, value)| (key.clone(), reworked(value, dice))).collect();
            members.reverse();
            if dice.roll(24) == 0 {
                members.pop();
            }
            Tree::Object(members)
        }
        other => other.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn numbers_agree_with_the_slow_twin(a in number(), b in number(), seed in any::<u64>()) {
        check(&a, &b, written_out(&a) == written_out(&b));
        let again = respelled(&a, &mut Dice(seed));
        prop_assert_eq!(written_out(&a), written_out(&again));
        check(&a, &again, true);
    }

    #[test]
    fn trees_agree_with_the_slow_twin(a in tree(), b in tree(), seed in any::<u64>()) {
        check(&spell(&a, seed), &spell(&b, !seed), twin(&a) == twin(&b));
        let again = reworked(&a, &mut Dice(seed));
        check(&spell(&a, seed), &spell(&again, !seed), twin(&a) == twin(&again));
    }
}
