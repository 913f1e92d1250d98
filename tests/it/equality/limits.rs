//! What a list learns is bounded, and nothing changes where a bound is reached.

use std::sync::Arc;

use lockkeeper::bundle::current::Snapshot;
use lockkeeper::model::principal::{Asker, EntityRef};
use lockkeeper::model::record::{Attribute, AttributeValue, RecordFacts};
use lockkeeper::pipeline::decide::gate::{RecordGate, VerdictCache};
use lockkeeper::pipeline::decide::judging::{Judging, RawJudgement, VERDICTS_MAX};
use lockkeeper::pipeline::hydrate::extract::{Completeness, Place};

use lockkeeper::testkit::dice::Dice;

use super::{SEED, bundle, world};

fn gate(policies: &str) -> RecordGate {
    let bundle = bundle(policies).unwrap();
    let directory = world::directory(&bundle.schema.schema, &mut Dice::new(SEED));
    let asker = Asker::plain(EntityRef::new("User", "u0"), 0);
    RecordGate::new(Snapshot::first(bundle, directory), asker, Arc::new(VerdictCache::new(100, u64::MAX)))
}

fn named(id: usize, name: &str) -> RecordFacts {
    let name = Attribute::Present(AttributeValue::Text(name.to_owned()));
    let absent = vec![Attribute::Absent; 10];
    let attributes = absent.into_iter().enumerate();
    let attributes = attributes.map(|(place, absent)| if place == NAME { name.clone() } else { absent });
    RecordFacts { type_name: "Deal".to_owned(), id: id.to_string(), attributes: attributes.collect() }
}

fn judge_named(judging: &mut Judging<'_>, name: &str) -> RawJudgement {
    assert_eq!(judging.places(0).len(), 1, "only the name is asked for");
    let raw = format!("\"{name}\"");
    judging.judge_raw(0, "1", Completeness::Partial, &[Place::Found(raw.as_bytes())])
}

/// One policy for each letter: each set of letters in a name has determining policies of its own.
fn by_letters() -> String {
    let view = r#"@id("view") permit (principal, action == Action::"view", resource is Deal);"#.to_owned();
    let letters = LETTERS.chars().map(|letter| {
        format!(
            "@id(\"a-policy-about-{letter}\") permit (principal, action == Action::\"readField\", resource is Deal) when {{ resource has name && resource.name like \"*{letter}*\" }};\n"
        )
    });
    letters.fold(view, |text, policy| text + &policy)
}

fn name(number: usize) -> String {
    LETTERS
        .chars()
        .enumerate()
        .filter(|(place, _)| number >> place & 1 == 1)
        .map(|(_, letter)| letter)
        .collect()
}

#[test]
fn verdicts_past_the_limit_have_no_number_and_are_the_same() {
    let gate = gate(&by_letters());
    let mut judging = gate.judging();
    let (mut numbered, mut unnumbered) = (0, 0);
    // Twice, so that the second time meets what the first one left, and what was forgotten in between.
    for round in 0..2 {
        for number in 0..VERDICTS_MAX + 200 {
            let judged = judge_named(&mut judging, &name(number));
            let verdict = match &judged {
                RawJudgement::Verdict(number) => {
                    numbered += 1;
                    Arc::clone(judging.verdict(*number).unwrap())
                }
                RawJudgement::Unnumbered(verdict) => {
                    unnumbered += 1;
                    Arc::clone(verdict)
                }
                RawJudgement::Lacking => panic!("nothing lacks"),
            };
            let facts = named(1, &name(number));
            let policies: Vec<String> =
                name(number).chars().map(|letter| format!("a-policy-about-{letter}")).collect();
            assert_eq!(verdict.policies, [policies, vec!["view".to_owned()]].concat(), "round {round}");
            if number.is_multiple_of(97) {
                assert_eq!(*verdict, gate.judge_afresh(&facts));
            }
        }
    }
    assert_eq!((numbered, unnumbered), (2 * VERDICTS_MAX, 2 * 200));
}

#[test]
fn spellings_at_and_past_the_limit_are_judged_alike() {
    let gate = gate(&by_letters());
    for length in [253, 254, 255, 256, 10_000] {
        let name = "b".repeat(length);
        let mut judging = gate.judging();
        let judged = [(); 3].map(|()| judge_named(&mut judging, &name));
        assert_eq!(judged[0], judged[1]);
        assert_eq!(judged[1], judged[2]);
        let RawJudgement::Verdict(number) = judged[0] else { panic!("{judged:?}") };
        assert_eq!(**judging.verdict(number).unwrap(), gate.judge_afresh(&named(1, &name)));
    }
}

/// Lists at once: what one has learnt is not there for the other, and both say the same.
#[test]
fn lists_at_once_do_not_meet() {
    let gate = gate(&by_letters());
    let mut lists: Vec<Judging<'_>> = (0..8).map(|_| gate.judging()).collect();
    for number in 0..50 {
        let judged: Vec<RawJudgement> =
            lists.iter_mut().map(|judging| judge_named(judging, &name(number))).collect();
        for (judged, judging) in judged.iter().zip(&lists) {
            let RawJudgement::Verdict(number_of_verdict) = judged else { panic!("{judged:?}") };
            let verdict = judging.verdict(*number_of_verdict).unwrap();
            assert_eq!(**verdict, gate.judge_afresh(&named(1, &name(number))));
        }
    }
}

/// A caller that hands over less than it was asked for is not believed that there is nothing.
#[test]
fn places_that_are_not_handed_over_deny() {
    let gate = gate(&by_letters());
    let mut judging = gate.judging();
    let judged = judging.judge_raw(0, "1", Completeness::Complete, &[]);
    let RawJudgement::Verdict(number) = judged else { panic!("{judged:?}") };
    assert!(!judging.verdict(number).unwrap().view.is_allow());
    let judged = judging.judge_raw(99, "1", Completeness::Complete, &[]);
    let RawJudgement::Verdict(number) = judged else { panic!("{judged:?}") };
    assert!(!judging.verdict(number).unwrap().view.is_allow());
}

/// Policies that look at which record it is, in a list where each record is another one.
#[test]
fn records_that_policies_name_are_told_apart() {
    let gate = gate(
        r#"@id("view") permit (principal, action == Action::"view", resource is Deal);
        @id("one") forbid (principal, action == Action::"view", resource == Deal::"7");
        @id("two") forbid (principal, action == Action::"view", resource is Deal) when { Deal::"9" == resource };
        @id("three") forbid (principal, action == Action::"view", resource in Deal::"11");"#,
    );
    let mut judging = gate.judging();
    assert!(judging.places(0).is_empty());
    for _ in 0..2 {
        for id in 0..40 {
            let judged = judging.judge_raw(0, &id.to_string(), Completeness::Partial, &[]);
            let RawJudgement::Verdict(number) = judged else { panic!("{judged:?}") };
            let verdict = judging.verdict(number).unwrap();
            assert_eq!(verdict.view.is_allow(), ![7, 9, 11].contains(&id), "{id}");
            assert_eq!(**verdict, gate.judge_afresh(&named(id, "x")));
        }
    }
}

const LETTERS: &str = "abcdefghijklm";
const NAME: usize = 6;
