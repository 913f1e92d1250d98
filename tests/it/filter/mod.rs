//! Property: what one pass over the bytes makes of an answer, the slow twin on `serde_json` makes of it: whether it may leave, its
//! bytes, what is noted for the ledger, and what decisions are made on.
//!
//! Bodies are random within what the profile describes, and then changed at random. `LOCKKEEPER_FILTER_CASES` asks for more,
//! `LOCKKEEPER_FILTER_SEED` for the same ones again. `scripts/filter` makes the long run.

mod bodies;
mod rig;
mod twin;

use lockkeeper::json::scan::object::Scanner;
use lockkeeper::testkit::dice::Dice;
use rig::{DEPTH, Feed, ROUTES, Rig, View};
use twin::Twin;

#[derive(Default)]
struct Tally {
    bodies: usize,
    accepted: usize,
    no_json: usize,
    refused: usize,
}

#[test]
fn one_pass_does_as_the_slow_twin() {
    let number = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
    };
    let (cases, seed) = (number("LOCKKEEPER_FILTER_CASES", 2_000), number("LOCKKEEPER_FILTER_SEED", 1));
    let mut dice = Dice::new(seed);
    let rig = Rig::new();
    let mut learned = Scanner::default();
    let mut tally = Tally::default();
    while (tally.bodies as u64) < cases {
        let route = dice.pick(ROUTES);
        let view = View { seed: dice.next(), hides: 2 + dice.next() % 8 };
        let body = bodies::body(route, &mut dice);
        let mutations = (0..4).map(|_| bodies::mutate(&body, &mut dice)).collect::<Vec<_>>();
        for body in std::iter::once(body.into_bytes()).chain(mutations) {
            let became = rig.compare(route, &view, &body, 1 + dice.below(70), &mut learned);
            tally.count(&body, became.as_ref());
        }
    }
    println!(
        "| filter: seed {seed}, {} bodies: {} accepted, {} refused as no JSON, {} refused for their shape |",
        tally.bodies, tally.accepted, tally.no_json, tally.refused
    );
    assert!(
        tally.accepted > tally.bodies / 10 && tally.no_json > 0 && tally.refused > 0,
        "all kinds are there"
    );
}

impl Tally {
    fn count(&mut self, body: &[u8], became: Option<&Twin>) {
        self.bodies += 1;
        let text = std::str::from_utf8(body).ok();
        match (became, text.and_then(|text| twin::read(text, DEPTH))) {
            (Some(_), _) => self.accepted += 1,
            (None, None) => self.no_json += 1,
            (None, Some(_)) => self.refused += 1,
        }
    }
}

/// However much comes in, what is kept of it has its limits: one record, and the keys around the records.
#[test]
fn what_is_kept_of_a_long_answer_is_bounded() {
    let rig = Rig::new();
    let view = View { seed: 1, hides: 8 };
    let leaves = |body: &str, piece: usize| {
        rig.scan("GET /list", &view, body.as_bytes(), Feed::Pieces(piece), &mut Scanner::default()).is_some()
    };
    let keys = |count: usize| {
        let members = (0..count).map(|number| format!("\"{number:0>30000}\":0,"));
        format!("{{{}\"data\":[]}}", members.collect::<String>())
    };
    let record = |length: usize| {
        let few = "{\"id\":2},".repeat(900) + &" ".repeat(600_000);
        format!("{{\"data\":[{{\"id\":1,\"title\":\"{}\"}},{few}{{\"id\":3}}]}}", "x".repeat(length))
    };
    for piece in [1_000, 10_000, 1 << 15] {
        assert!(leaves(&keys(30), piece) && !leaves(&keys(40), piece));
        assert!(leaves(&record(400_000), piece) && !leaves(&record(1_150_000), piece), "{piece}");
    }
}
