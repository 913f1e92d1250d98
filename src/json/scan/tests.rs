//! Ends of tokens and values, against the parser of documents: what one accepts, the other does, and to the same byte.

use bytes::Bytes;

use super::levels::Levels;
use super::lex::value_end;
use super::object::{Scan, Scanner};
use super::{PADDING, Stop};
use crate::json::parse::JsonLimits;
use crate::json::value::Document;

const DEPTH: usize = 5;

/// The end of the value at the start of a text that is all there.
fn end(text: &str) -> Result<usize, Stop> {
    let mut padded = text.as_bytes().to_vec();
    padded.resize(text.len() + PADDING, 0);
    value_end(&padded, 0, DEPTH)
}

/// A value alone, and among others.
#[track_caller]
fn check(value: &str) {
    let limits = JsonLimits { depth_max: DEPTH, ..JsonLimits::default() };
    let is_right = Document::parse(Bytes::copy_from_slice(value.as_bytes()), &limits).is_ok();
    for behind in ["", ",", "]", " ,\"a\":1}", "}"] {
        let text = format!("{value}{behind}");
        let found = end(&text);
        match is_right {
            true => assert_eq!(found, Ok(value.len()), "{text}"),
            false => assert_ne!(found, Ok(value.len()), "{text}"),
        }
    }
    // Cut anywhere, more is needed to tell: never is a part taken for the whole.
    for cut in 0..value.len() {
        let part = value.as_bytes().get(..cut).unwrap_or_default();
        assert!(!is_right || value_end(part, 0, DEPTH) == Err(Stop::NeedMore), "{value} cut at {cut}");
    }
}

#[test]
fn numbers_end_where_the_grammar_says() {
    for number in [
        "0",
        "-0",
        "7",
        "10",
        "-12",
        "0.1",
        "1.10",
        "-0.0",
        "1e5",
        "1E+5",
        "1.5e-7",
        "1234567890123456",
        "12345678901234567",
        "123456789012345678901234567890",
        "1.123456789012345",
        "12345678.1234567",
        "1234567890123.12",
        "1e999",
        "01",
        "-",
        "-a",
        "1.",
        ".5",
        "1.e1",
        "1e",
        "1e+",
        "+1",
        "1..2",
        "--1",
        "0x1",
        "00",
        "-01",
        "1.2.3",
        "1234567890123456.",
        "1234567890123456.5",
        "Infinity",
        "NaN",
    ] {
        check(number);
    }
}

#[test]
fn strings_end_where_the_grammar_says() {
    for length in [0, 1, 14, 15, 16, 30, 31, 32, 33, 63, 64, 95, 96, 97, 200] {
        let plain = "x".repeat(length);
        for inside in [
            "",
            "\\\"",
            "\\\\",
            "\\n",
            "\\u00e9",
            "\\ud83d\\ude00",
            "é",
            "😀",
            "\\",
            "\\x",
            "\\u12",
            "\\ud83d",
            "\\ude00",
            "\\ud83dx",
            "\n",
            "\u{1}",
            "\u{7f}",
            "/",
            "{[",
            "\\u0000",
        ] {
            check(&format!("\"{plain}{inside}\""));
            check(&format!("\"{inside}{plain}\""));
            check(&format!("\"{plain}{inside}{plain}\""));
        }
    }
}

#[test]
fn composites_end_where_the_grammar_says() {
    for composite in [
        "{}",
        "[]",
        "[ ]",
        "{ }",
        "[1]",
        "[1,2]",
        "[ 1 , 2 ]",
        "{\"a\":1}",
        "{ \"a\" : 1 , \"b\" : [] }",
        "[[[[[]]]]]",
        "[[[[[[]]]]]]",
        "{\"a\":{\"b\":{\"c\":{\"d\":{}}}}}",
        "{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":{}}}}}}",
        "[{},[],{\"a\":[{}]}]",
        "[,]",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1:2]",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{1:2}",
        "{\"a\" 1}",
        "[}",
        "{]",
        "{\"a\":1 \"b\":2}",
        "[1}",
        "[nul]",
        "[nulll]",
        "[True]",
        "[true,false,null]",
        "{\"a\":tru}",
        "[\"a\"\"b\"]",
        "[1]]",
    ] {
        check(composite);
    }
}

/// One huge object must not cost memory for as long as the program runs.
#[test]
fn a_scanner_that_rests_keeps_little() {
    let mut levels = Levels::default();
    let id = levels.reserve().unwrap();
    let members: Vec<String> = (0..50_000).map(|number| format!("\"k{number}\":0")).collect();
    let mut body = format!("{{{}}}", members.join(",")).into_bytes();
    let end = body.len();
    body.resize(end + PADDING, 0);
    let mut scanner = Scanner::default();
    assert_eq!(scanner.object(Scan { levels: &levels, source: &body, depth: DEPTH }, 0, id), Ok(end));
    assert!(scanner.memory() > 2 << 20, "{}", scanner.memory());
    scanner.shrink();
    assert!(scanner.memory() < 1 << 18, "{}", scanner.memory());
    assert!(scanner.nodes().is_empty(), "nothing of the object is left");
}
