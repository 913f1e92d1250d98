//! Acceptance: a table of single cases, then limits; random and damaged texts against serde_json are in `oracle`.

use bytes::Bytes;

use super::super::parse::{BYTES_CEILING, DEPTH_CEILING, JsonError, JsonLimits};
use super::super::value::{Document, Kind, Node};

mod oracle;

fn parse(text: impl AsRef<[u8]>, limits: &JsonLimits) -> Result<Document, JsonError> {
    Document::parse(Bytes::copy_from_slice(text.as_ref()), limits)
}

#[track_caller]
fn check(text: impl AsRef<[u8]>, expected: Result<Kind, (&str, usize)>) {
    let text = text.as_ref();
    let shown = String::from_utf8_lossy(text).into_owned();
    let found = parse(text, &JsonLimits::default());
    let found = found.map(|document| document.root().kind()).map_err(|error| (name(error), error.offset()));
    assert_eq!(found, expected, "`{shown}`");
}

fn name(error: JsonError) -> &'static str {
    match error {
        JsonError::NotUtf8 { .. } => "utf8",
        JsonError::Syntax { .. } => "syntax",
        JsonError::DuplicateKey { .. } => "duplicate",
        JsonError::TooDeep { .. } => "deep",
        JsonError::TooLarge { .. } => "large",
        JsonError::TooMany { .. } => "many",
    }
}

#[test]
fn accepts() {
    let cases: &[(&str, Kind)] = &[
        ("null", Kind::Null),
        ("true", Kind::Bool),
        ("false", Kind::Bool),
        (" \t\n\r null \t\n\r ", Kind::Null),
        ("0", Kind::Number),
        ("-0", Kind::Number),
        ("-0.0", Kind::Number),
        ("7", Kind::Number),
        ("-123", Kind::Number),
        ("1234567890", Kind::Number),
        ("0.1", Kind::Number),
        ("1.000", Kind::Number),
        ("0e1", Kind::Number),
        ("0e+1", Kind::Number),
        ("0E-01", Kind::Number),
        ("1e0", Kind::Number),
        ("1E400", Kind::Number),
        ("-1e-400", Kind::Number),
        ("1e00000000000000000000000000000000000001", Kind::Number),
        ("123.456e78", Kind::Number),
        ("100000000000000000000000000000000000000000001", Kind::Number),
        ("0.00000000000000000000000000000000000000000001", Kind::Number),
        (r#""""#, Kind::String),
        (r#"" ""#, Kind::String),
        (r#""a""#, Kind::String),
        (r#""\"\\\/\b\f\n\r\t""#, Kind::String),
        (r#""\\""#, Kind::String),
        (r#""\\\"""#, Kind::String),
        (r#""\\u0041""#, Kind::String),
        (r#""\u0041""#, Kind::String),
        (r#""\u0000""#, Kind::String),
        (r#""\uabcd\uABCD\uffff""#, Kind::String),
        (r#""\ud7ff\ue000""#, Kind::String),
        (r#""\ud83d\ude00""#, Kind::String),
        (r#""\uDBFF\uDFFF""#, Kind::String),
        (r#""\uD800\uDC00x\uD800\uDC00""#, Kind::String),
        ("\"\u{7f}\"", Kind::String),
        ("\"\u{2028}\u{2029}\"", Kind::String),
        ("\"\u{feff}\"", Kind::String),
        ("\"\u{10ffff}\u{fffe}\u{e9}\"", Kind::String),
        (r#""// no comment""#, Kind::String),
        ("[]", Kind::Array),
        ("[ ]", Kind::Array),
        ("[1]", Kind::Array),
        ("[1,2]", Kind::Array),
        ("[ 1 , 2 ]", Kind::Array),
        ("[[],[[]]]", Kind::Array),
        ("[null,true,false,0,\"\",[],{}]", Kind::Array),
        ("[{},{}]", Kind::Array),
        ("[\"a\"\n,\r\"b\"\t]", Kind::Array),
        ("{}", Kind::Object),
        ("{ }", Kind::Object),
        (r#"{"":0}"#, Kind::Object),
        (r#"{"a":null}"#, Kind::Object),
        (r#" { "a" : 1 , "b" : 2 } "#, Kind::Object),
        (r#"{"a":{"a":{"a":[]}}}"#, Kind::Object),
        (r#"[{"a":1},{"a":1}]"#, Kind::Array),
        (r#"{"a":1,"A":2}"#, Kind::Object),
        (r#"{"a":1,"a ":2,"aa":3}"#, Kind::Object),
        (r#"{"b":{"a":1},"a":{"b":1}}"#, Kind::Object),
        (r#"{"\u0000":1,"\u0000\u0000":2}"#, Kind::Object),
        ("{\"\u{e9}\":1,\"e\u{301}\":2}", Kind::Object),
        (r#"{"\\u0061":1,"a":2}"#, Kind::Object),
        (r#"{"__proto__":1,"constructor":2}"#, Kind::Object),
    ];
    for (text, kind) in cases {
        check(text, Ok(*kind));
    }
}

#[test]
fn refuses_what_is_not_json() {
    let cases: &[(&str, usize)] = &[
        ("", 0),
        (" ", 1),
        ("\u{feff}null", 0),
        ("\u{feff}", 0),
        ("\u{a0}1", 0),
        ("\u{c}1", 0),
        ("\u{b}[]", 0),
        ("1\u{85}", 1),
        ("\0", 0),
        ("1\0", 1),
        ("nul", 0),
        ("nulL", 0),
        ("Null", 0),
        ("TRUE", 0),
        ("truee", 4),
        ("tru", 0),
        ("fals", 0),
        ("falsey", 5),
        ("undefined", 0),
        ("NaN", 0),
        ("-NaN", 1),
        ("Infinity", 0),
        ("-Infinity", 1),
        ("+1", 0),
        ("-", 1),
        ("--1", 1),
        ("- 1", 1),
        ("01", 1),
        ("-01", 2),
        ("00", 1),
        ("1.", 2),
        (".1", 0),
        ("-.1", 1),
        ("1.e1", 2),
        ("1..2", 2),
        ("1.2.3", 3),
        ("1e", 2),
        ("1e+", 3),
        ("1E-", 3),
        ("1e1.5", 3),
        ("1e+-1", 3),
        ("1ee1", 2),
        ("0x10", 1),
        ("1_000", 1),
        ("1a", 1),
        ("1f", 1),
        ("1 2", 2),
        ("1,", 1),
        ("\u{661}", 0),
        ("\u{ff11}", 0),
        ("\"", 1),
        ("\"a", 2),
        ("'a'", 0),
        ("a", 0),
        ("\"a\"b", 3),
        ("\"\\", 2),
        ("\"\\\"", 3),
        (r#""\a""#, 2),
        (r#""\x41""#, 2),
        (r#""\'""#, 2),
        (r#""\0""#, 2),
        (r#""\U0041""#, 2),
        (r#""\u""#, 3),
        (r#""\u004""#, 6),
        (r#""\u00g0""#, 5),
        (r#""\u+041""#, 3),
        (r#""\u 041""#, 3),
        (r#""\u{41}""#, 3),
        ("\"\\u00\u{e9}\"", 5),
        ("\"\n\"", 1),
        ("\"\t\"", 1),
        ("\"a\0\"", 2),
        ("\"\u{1f}\"", 1),
        ("\"\\\n\"", 2),
        (r#""\ud800""#, 7),
        (r#""\ud800x""#, 7),
        (r#""\ud800\n""#, 7),
        (r#""\ud800\u0041""#, 7),
        (r#""\ud800\ud800""#, 7),
        (r#""\ud800\ud800\udc00""#, 7),
        (r#""\ud800\u""#, 9),
        (r#""\ud800\udc0""#, 12),
        (r#""\udc00""#, 1),
        (r#""\udfff\ud800""#, 1),
        (r#""\ud800\udc00\udc00""#, 13),
        (r#"{"\ud800":1}"#, 8),
        ("[", 1),
        ("]", 0),
        ("[1", 2),
        ("[1,", 3),
        ("[1,]", 3),
        ("[,1]", 1),
        ("[,]", 1),
        ("[1,,2]", 3),
        ("[1 2]", 3),
        ("[1:2]", 2),
        ("[1;2]", 2),
        ("[1}", 2),
        ("[}", 1),
        ("[]]", 2),
        ("[][]", 2),
        ("[],", 2),
        ("[\"a\" \"b\"]", 5),
        ("[\"a\":1]", 4),
        ("[1/**/]", 2),
        ("[1]//", 3),
        ("#\n1", 0),
        ("[a]", 1),
        ("[-]", 2),
        ("[1.]", 3),
        ("[\"", 2),
        ("[\\u0020]", 1),
        ("[tru]", 1),
        ("{", 1),
        ("}", 0),
        ("{]", 1),
        ("{,}", 1),
        ("{\"a\"", 4),
        ("{\"a\"}", 4),
        ("{\"a\":", 5),
        ("{\"a\":}", 5),
        ("{\"a\":1", 6),
        ("{\"a\":1,", 7),
        ("{\"a\":1,}", 7),
        ("{\"a\":1,,\"b\":2}", 7),
        ("{\"a\":1 \"b\":2}", 7),
        ("{\"a\" 1}", 5),
        ("{\"a\",1}", 4),
        ("{\"a\"=1}", 4),
        ("{\"a\"::1}", 5),
        ("{\"a\":1:2}", 6),
        ("{\"a\":1]", 6),
        ("{a:1}", 1),
        ("{'a':1}", 1),
        ("{1:1}", 1),
        ("{null:1}", 1),
        ("{[]:1}", 1),
        ("{:1}", 1),
        ("{\"a\":1}}", 7),
        ("{\"a\":1}{}", 7),
        ("{\"a\":1}x", 7),
        ("{\"a\":1}\n{\"a\":1}", 8),
        ("{\"\n\":1}", 2),
        ("{\"a\":1 /* x */}", 7),
    ];
    for (text, offset) in cases {
        check(text, Err(("syntax", *offset)));
    }
}

#[test]
fn refuses_what_is_not_utf8() {
    let cases: &[(&[u8], usize)] = &[
        (b"\xff", 0),
        (b"\xff\xfe1\x00", 0),
        (b"\"\xe9\"", 1),
        (b"\"\xc0\xaf\"", 1),
        (b"\"\xc0\x80\"", 1),
        (b"\"\xe0\x80\xaf\"", 1),
        (b"\"\xed\xa0\x80\"", 1),
        (b"\"\xf4\x90\x80\x80\"", 1),
        (b"\"\xf8\x88\x80\x80\x80\"", 1),
        (b"\"a\x80\"", 2),
        (b"\"\xe2\x82\"", 1),
        (b"\"\xc3\\u00e9\"", 1),
        (b"[1]\x80", 3),
        (b"\"a\xc3", 2),
    ];
    for (text, offset) in cases {
        check(text, Err(("utf8", *offset)));
    }
    // A UTF-16 text without mark is UTF-8 by accident, and still no JSON.
    check(b"[\x001\x00]\x00", Err(("syntax", 1)));
}

#[test]
fn refuses_duplicate_keys() {
    let cases: &[(&str, usize)] = &[
        (r#"{"a":1,"a":2}"#, 7),
        (r#"{"a":1,"a":1}"#, 7),
        (r#"{"":1,"":1}"#, 6),
        (r#"{"a":1,"\u0061":2}"#, 7),
        (r#"{"\u0061":2,"a":1}"#, 12),
        (r#"{"\/":1,"/":2}"#, 8),
        (r#"{"\n":1,"\u000A":2}"#, 8),
        (r#"{"\u00e9":1,"é":2}"#, 12),
        (r#"{"\ud83d\ude00":1,"😀":2}"#, 18),
        (r#"{"a":1,"b":2,"c":3,"a":4}"#, 19),
        (r#"{"b":1,"a":2,"a":3,"b":4}"#, 13),
        (r#"{"a":1,"a":2,"a":3}"#, 7),
        (r#"[[{"x":{"a":[],"a":{}}}]]"#, 15),
        (r#"{"a":{"b":1,"b":2},"a":3}"#, 12),
        (r#"{"a":{"a":1},"b":[{"a":1}],"a":1}"#, 27),
    ];
    for (text, offset) in cases {
        check(text, Err(("duplicate", *offset)));
    }
}

#[test]
fn errors_name_the_place_but_never_the_text() {
    let duplicate = parse(r#"{"secret":1,"secret":2}"#, &JsonLimits::default()).unwrap_err();
    assert_eq!(duplicate.to_string(), "duplicate key at byte 12");
    let syntax = parse("[secret]", &JsonLimits::default()).unwrap_err();
    assert_eq!(syntax.to_string(), "not JSON at byte 1: expected a value");
    let document = parse(r#"["secret"]"#, &JsonLimits::default()).unwrap();
    let debug = format!("{document:?} {:?}", document.root());
    assert!(!debug.contains("secret"), "{debug}");
}

#[test]
fn limits_hold_at_and_one_past() {
    let limits = JsonLimits { bytes_max: 9, depth_max: 2, nodes_max: 4 };
    let check = |text: &str, expected: Result<(), JsonError>| {
        assert_eq!(parse(text, &limits).map(drop), expected, "`{text}`");
    };
    check("[1,[2]]  ", Ok(()));
    check("[1,[2]]   ", Err(JsonError::TooLarge { offset: 9 }));
    check("[[[]]]", Err(JsonError::TooDeep { offset: 2 }));
    check("[[],[],1]", Ok(()));
    check("[0,0,0,0]", Err(JsonError::TooMany { offset: 7 }));
    check("[0,[0,0]]", Err(JsonError::TooMany { offset: 6 }));
    let none = JsonLimits { bytes_max: 0, depth_max: 0, nodes_max: 0 };
    assert_eq!(parse("", &none).unwrap_err().offset(), 0);
    assert_eq!(parse("1", &none).unwrap_err(), JsonError::TooLarge { offset: 0 });
    let scalars = JsonLimits { depth_max: 0, ..JsonLimits::default() };
    parse("1", &scalars).unwrap();
    assert_eq!(parse(" []", &scalars).unwrap_err(), JsonError::TooDeep { offset: 1 });
}

#[test]
fn default_limits_are_what_the_reference_says() {
    let limits = JsonLimits::default();
    assert_eq!((limits.bytes_max, limits.depth_max, limits.nodes_max), (16_777_216, 64, 2_000_000));
    let brackets = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    parse(brackets(64), &limits).unwrap();
    assert_eq!(parse(brackets(65), &limits).unwrap_err(), JsonError::TooDeep { offset: 64 });
}

#[test]
fn no_setting_lifts_the_ceilings() {
    let limits = JsonLimits { bytes_max: usize::MAX, depth_max: usize::MAX, nodes_max: usize::MAX };
    let brackets = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    parse(brackets(DEPTH_CEILING), &limits).unwrap();
    let error = parse(brackets(DEPTH_CEILING + 1), &limits).unwrap_err();
    assert_eq!(error, JsonError::TooDeep { offset: DEPTH_CEILING });
    assert_eq!(u32::try_from(BYTES_CEILING), Ok(u32::MAX));
}

#[test]
fn a_depth_bomb_touches_no_stack() {
    check("[".repeat(100_000), Err(("deep", 64)));
    check("{\"a\":".repeat(100_000), Err(("deep", 64 * 5)));
}

#[test]
fn wide_objects_are_checked_without_comparing_all_pairs() {
    let members: Vec<String> = (0..200_000).map(|at| format!("\"key{at}\":{at}")).collect();
    let wide = format!("{{{}}}", members.join(","));
    let document = parse(&wide, &JsonLimits::default()).unwrap();
    assert_eq!(document.root().len(), 200_000);
    let repeated = format!("{{{},\"\\u006bey0\":1}}", members.join(","));
    check(&repeated, Err(("duplicate", wide.len())));
}

#[test]
fn a_node_takes_what_the_documentation_says() {
    assert_eq!(size_of::<Node>(), 28);
}
