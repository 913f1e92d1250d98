//! Handles: what they say of a value, and that decoding agrees with serde_json.

use proptest::prelude::*;

use super::super::value::Kind;
use super::{all_values, document, spell, tree};

#[track_caller]
fn check(raw: &str, decoded: &str) {
    let text = document(raw);
    assert_eq!(text.root().text().unwrap(), decoded);
    let keyed = document(format!("{{{raw}:1}}"));
    let member = keyed.root().members().next().unwrap();
    assert_eq!((member.key().as_ref(), member.raw_key()), (decoded, raw));
    assert_eq!(keyed.root().member(decoded).unwrap().raw(), "1");
    assert!(keyed.root().member(&format!("{decoded}x")).is_none());
}

#[test]
fn strings_and_keys_are_decoded() {
    check(r#""""#, "");
    check(r#""plain""#, "plain");
    check(r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t");
    check(r#""\u0061\u00E9\u20ac""#, "aé€");
    check(r#""\ud83d\ude00!""#, "😀!");
    check(r#""\ud800\udc00\uDBFF\uDFFF\ud7ff\ue000""#, "\u{10000}\u{10ffff}\u{d7ff}\u{e000}");
    check(r#""é\ud83d\ude00é\u0000""#, "é😀é\0");
    check(r#""\\u0061""#, r"\u0061");
    check(r#""\\\\n""#, r"\\n");
    check(r#""a\\""#, r"a\");
    check(r#""\"""#, "\"");
}

#[test]
fn handles_tell_kind_and_content() {
    let text =
        r#" {"n": null, "b": true, "f": false, "x": -1.50E+1, "s": "\u0061", "l": [1, {"z": 2}], "o": {}} "#;
    let document = document(text);
    let root = document.root();
    assert_eq!(document.bytes(), text.as_bytes());
    assert_eq!(root.raw(), text.trim());
    assert_eq!((root.kind(), root.len(), root.is_empty()), (Kind::Object, 7, false));
    assert!(root.member("n").unwrap().is_null());
    assert_eq!(root.member("b").unwrap().boolean(), Some(true));
    assert_eq!(root.member("f").unwrap().boolean(), Some(false));
    assert_eq!(root.member("x").unwrap().number(), Some("-1.50E+1"));
    assert_eq!(root.member("s").unwrap().raw(), r#""\u0061""#);
    let list = root.member("l").unwrap();
    assert_eq!(list.raw(), r#"[1, {"z": 2}]"#);
    assert_eq!(list.items().map(|item| item.raw()).collect::<Vec<_>>(), ["1", r#"{"z": 2}"#]);
    let keys: Vec<_> = root.members().map(|member| member.key().into_owned()).collect();
    assert_eq!(keys, ["n", "b", "f", "x", "s", "l", "o"]);
    assert!(root.member("o").unwrap().is_empty());
    assert!(root.member("z").is_none());
}

#[test]
fn the_wrong_question_has_no_answer() {
    let document = document(r#"[null, true, 1, "x", [0], {"a": 0}]"#);
    for value in document.root().items() {
        let kind = value.kind();
        assert_eq!(value.is_null(), kind == Kind::Null);
        assert_eq!(value.boolean().is_some(), kind == Kind::Bool);
        assert_eq!(value.number().is_some(), kind == Kind::Number);
        assert_eq!(value.text().is_some(), kind == Kind::String);
        assert_eq!(value.items().count(), usize::from(kind == Kind::Array));
        assert_eq!(value.members().count(), usize::from(kind == Kind::Object));
        assert_eq!(value.member("a").is_some(), kind == Kind::Object);
        assert_eq!(value.len(), usize::from(matches!(kind, Kind::Array | Kind::Object)));
    }
}

proptest! {
    #[test]
    fn node_ids_follow_the_source(tree in tree(), seed in any::<u64>()) {
        let document = document(spell(&tree, seed));
        let values = all_values(document.root());
        prop_assert!(values.windows(2).all(|pair| pair[0].node() < pair[1].node()));
        prop_assert!(values.windows(2).all(|pair| pair[0].span().start < pair[1].span().start));
    }

    #[test]
    fn raw_text_is_the_value_by_itself(tree in tree(), seed in any::<u64>()) {
        let whole = document(spell(&tree, seed));
        for value in all_values(whole.root()) {
            let alone = document(value.raw());
            prop_assert_eq!(alone.root().kind(), value.kind());
            prop_assert_eq!(alone.root().len(), value.len());
            let serde: serde_json::Value = serde_json::from_str(value.raw()).unwrap();
            let text = value.text();
            prop_assert_eq!(serde.as_str(), text.as_deref());
            for member in value.members() {
                prop_assert!(serde.get(member.key().as_ref()).is_some());
                prop_assert_eq!(value.member(&member.key()).map(|found| found.node()), Some(member.value().node()));
            }
        }
    }
}
