//! Which bytes are a line, and which are not.

use proptest::prelude::*;

use crate::ledger::line::{self, Flaw, LINE_BYTES_MAX, OBJECT_BYTES_MAX, Place};
use crate::ledger::made_up;

fn sealed(covered: &str) -> Vec<u8> {
    made_up::sealed(covered).into_bytes()
}

#[track_caller]
fn check(covered: &str, expected: Result<(u64, u64), Flaw>) {
    let line = sealed(covered);
    assert_eq!(line::check(&line).map(|head| (head.place.seq, head.place.batch)), expected, "{covered}");
}

#[test]
fn only_the_one_spelling_is_a_head() {
    let t = r#""t":"2026-11-21T19:34:11.123456789Z""#;
    check(&format!(r#"{{"v":1,"seq":5,"batch":4,"kind":"stop",{t}"#), Ok((5, 4)));
    check(&format!(r#"{{"v":1,"seq":5,"batch":4,"kind":"stop",{t},"x":1"#), Ok((5, 4)));
    check(&format!(r#"{{"v":1,"seq":18446744073709551615,"batch":4,"kind":"a-b",{t}"#), Ok((u64::MAX, 4)));
    for covered in [
        format!(r#"{{"v":1,"seq":05,"batch":4,"kind":"stop",{t}"#),
        format!(r#"{{"v":1,"seq":-5,"batch":4,"kind":"stop",{t}"#),
        format!(r#"{{"v":1,"seq":18446744073709551616,"batch":4,"kind":"stop",{t}"#),
        format!(r#"{{"v":1,"batch":4,"seq":5,"kind":"stop",{t}"#),
        format!(r#"{{"v":1, "seq":5,"batch":4,"kind":"stop",{t}"#),
        format!(r#"{{"v":1,"seq":5,"batch":4,"kind":"",{t}"#),
        format!(r#"{{"v":1,"seq":5,"batch":4,"kind":"Stop",{t}"#),
        format!(r#"{{"v":1,"seq":5,"batch":4,"kind":"stop",{t}x"#),
        r#"{"v":1,"seq":5,"batch":4,"kind":"stop""#.to_owned(),
        r#"{"v":1,"seq":5,"batch":4,"kind":"stop","t":"2026-11-21T19:34:11Z""#.to_owned(),
        r#"{"v":1,"seq":5,"batch":4,"kind":"stop","t":"2026-13-21T19:34:11.123456789Z""#.to_owned(),
    ] {
        check(&covered, Err(Flaw::Head));
    }
    check(&format!(r#"{{"v":2,"seq":5,"batch":4,"kind":"stop",{t}"#), Err(Flaw::Version));
    check("", Err(Flaw::Version));
}

#[test]
fn a_line_of_the_limit_passes_and_one_past_it_does_not() {
    let base =
        r#"{"v":1,"seq":5,"batch":4,"kind":"stop","t":"2026-11-21T19:34:11.123456789Z","x":"#.to_owned();
    let fill = LINE_BYTES_MAX - base.len() - 18 - 2;
    check(&format!("{base}\"{}\"", "x".repeat(fill)), Ok((5, 4)));
    check(&format!("{base}\"{}\"", "x".repeat(fill + 1)), Err(Flaw::TooLong));
}

#[test]
fn the_longest_object_fits_with_the_longest_head() {
    let mut bytes = Vec::new();
    let object = format!("{{\"x\":\"{}\"}}", "x".repeat(OBJECT_BYTES_MAX - 8));
    assert_eq!(object.len(), OBJECT_BYTES_MAX);
    let place = Place { seq: u64::MAX, batch: u64::MAX };
    line::write(&mut bytes, place, "a-kind-of-sixteen", i128::MAX, object.as_bytes());
    let line = bytes.strip_suffix(b"\n").unwrap();
    assert!(line.len() <= LINE_BYTES_MAX, "{}", line.len());
    assert_eq!(line::check(line).unwrap().t, "9999-12-30T22:00:00.999999999Z");
}

#[test]
fn times_outside_of_four_digit_years_are_moved_inside() {
    for (unix_ns, expected) in
        [(i128::MIN, "1970-01-01T00:00:00.000000000Z"), (-1, "1970-01-01T00:00:00.000000000Z")]
    {
        assert_eq!(format!("{:.9}", line::timestamp(unix_ns)), expected);
    }
}

proptest! {
    #[test]
    fn any_changed_byte_is_seen(at in any::<prop::sample::Index>(), flip in 1_u8..=255, text in ".{0,40}") {
        let object = format!("{{\"x\":{}}}", serde_json::Value::from(text));
        let mut bytes = Vec::new();
        line::write(&mut bytes, Place { seq: 9, batch: 8 }, "read", 0, object.as_bytes());
        bytes.pop();
        prop_assert!(line::check(&bytes).is_ok());
        prop_assert!(serde_json::from_slice::<serde_json::Value>(&bytes).is_ok());
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        prop_assert_eq!(line::check(&bytes), Err(Flaw::Checksum));
    }
}
