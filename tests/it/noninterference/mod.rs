//! Property: two CRM states that differ only in what a person may not see give that person the same answers to every sequence
//! of requests (`docs/concepts/non-interference.md`).
//!
//! A model CRM, random bundles, people and data; a second state in which what is hidden is changed at random; random sequences,
//! hostile ones included, through real sockets, real Cedar and a real ledger. `LOCKKEEPER_NONINTERFERENCE_SEQUENCES` asks for
//! more, `LOCKKEEPER_NONINTERFERENCE_SEED` for the same ones again, `LOCKKEEPER_NONINTERFERENCE_FIRST` starts at the sequence of
//! that number. `scripts/noninterference` makes the long run.
#![expect(clippy::panic, clippy::expect_used, reason = "a test that cannot be set up has failed")]

mod bundle;
mod case;
mod confirm;
mod hostile;
mod model;
mod oracle;
mod policies;
mod requests;
mod rig;
mod shrink;
mod vary;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lockkeeper::testkit::dice::Dice;

use bundle::USERS;
pub use case::Tally;
use case::{Case, Difference, End, Lane};
use model::{Edit, State};
use requests::{Scene, sequence};
use rig::Rig;
use vary::Rows;

/// How much is tried.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub seed: u64,
    /// The number of the first sequence, and how many there are.
    pub first: usize,
    pub sequences: usize,
    /// How many of them share a bundle.
    pub per_bundle: usize,
    /// How many smaller cases are tried once one fails.
    pub shrinks_max: usize,
}

/// A case that fails.
#[derive(Debug)]
pub struct Finding {
    pub plan: Plan,
    /// The number of the sequence.
    pub number: usize,
    case: Case,
    /// The records of the first state that the second one changes.
    before: Vec<String>,
    /// What told.
    pub difference: Box<Difference>,
    bundle: String,
}

impl Plan {
    /// What the environment asks for.
    pub fn of_environment(sequences: usize) -> Self {
        let number = |name: &str, default: u64| {
            let name = format!("LOCKKEEPER_NONINTERFERENCE_{name}");
            std::env::var(&name)
                .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
        };
        let count = |name: &str, default: usize| usize::try_from(number(name, default as u64)).unwrap();
        let (sequences, first) = (count("SEQUENCES", sequences), count("FIRST", 0));
        Self { seed: number("SEED", 1), first, sequences, per_bundle: PER_BUNDLE, shrinks_max: SHRINKS_MAX }
    }

    /// Tries all sequences, or as far as one fails.
    pub async fn run(self) -> Result<Tally, Box<Finding>> {
        let mut tally = Tally::default();
        let (mut next, end) = (self.first, self.first + self.sequences);
        while next < end {
            let number = next / self.per_bundle;
            let last = end.min((number + 1) * self.per_bundle);
            let mut dice = Dice::new(self.seed ^ (number as u64).wrapping_mul(0xA076_1D64_78BD_642F));
            let rig = Arc::new(Rig::start(LANES, &mut dice).await);
            let is_over = Arc::new(AtomicBool::new(false));
            let lanes: Vec<_> = (0..LANES)
                .map(|lane| {
                    tokio::spawn(self.lane(Arc::clone(&rig), Arc::clone(&is_over), lane, (next, last)))
                })
                .collect();
            let mut found = None;
            for lane in lanes {
                match lane.await.unwrap() {
                    Ok(of_lane) => tally.add(&of_lane),
                    Err(finding) => found = found.or(Some(finding)),
                }
            }
            if let Some(finding) = found {
                return Err(finding);
            }
            next = last;
        }
        Ok(tally)
    }

    /// Every so many sequences of a bundle.
    async fn lane(
        self,
        rig: Arc<Rig>,
        is_over: Arc<AtomicBool>,
        lane: usize,
        (from, to): (usize, usize),
    ) -> Result<Tally, Box<Finding>> {
        let mut tally = Tally::default();
        let slots = Lane::new(&rig, lane);
        for number in (from..to).filter(|number| number % LANES == lane) {
            if is_over.load(Ordering::Relaxed) {
                break;
            }
            let (case, start) = self.case(&rig, number);
            tally.sequences += 1;
            tally.edits += case.edits.len();
            match slots.run(&case, &start, &mut tally).await {
                End::Alike => {}
                End::Opened => tally.opened += 1,
                End::Unrelated => panic!("states were drawn that differ in what may be seen"),
                End::Told(difference) => {
                    is_over.store(true, Ordering::Relaxed);
                    let (case, difference) =
                        shrink::shrink(&slots, &start, case, difference, self.shrinks_max).await;
                    let bundle = format!(
                        "{}\n{}\n{}",
                        rig.bundle.profile, rig.bundle.policies.text, rig.bundle.directory
                    );
                    let places = case.edits.iter().map(|edit| edit.place());
                    let before = places
                        .map(|(kind, id)| format!("{} {id} is {:?}", kind.name(), start.record(kind, id)));
                    let before = before.collect();
                    return Err(Box::new(Finding { plan: self, number, case, before, difference, bundle }));
                }
            }
        }
        Ok(tally)
    }

    /// The case of a number, and the first state.
    fn case(self, rig: &Rig, number: usize) -> (Case, State) {
        let mut dice =
            Dice::new(self.seed.rotate_left(17) ^ (number as u64).wrapping_mul(0x9E6C_63D0_876A_3F6B));
        let start = State::random(rig.bundle.style, &mut dice);
        let person = *dice.one_of(USERS);
        let rows = *dice.one_of(&[Rows::Change, Rows::Stay]);
        let edits = vary::edits(&rig.oracle, &rig.bundle, person, &start, rows, &mut dice);
        let mut other = start.clone();
        edits.iter().for_each(|edit: &Edit| other.apply(edit));
        let asks = sequence(
            &Scene { rows, pages: &rig.bundle.pages, states: [&start, &other], edits: &edits },
            &mut dice,
        );
        (Case { person, edits, asks }, start)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seed, number) = (self.plan.seed, self.number);
        writeln!(f, "what is hidden shows\n{}", self.bundle)?;
        writeln!(f, "{} asks, where the first state has:", self.case.person)?;
        self.before.iter().try_for_each(|record| writeln!(f, "  {record}"))?;
        writeln!(f, "and the second:")?;
        self.case.edits.iter().try_for_each(|edit| writeln!(f, "  {edit}"))?;
        self.case.asks.iter().try_for_each(|ask| writeln!(f, "  {ask}"))?;
        writeln!(f, "{}", self.difference)?;
        writeln!(
            f,
            "again: LOCKKEEPER_NONINTERFERENCE_SEED={seed} LOCKKEEPER_NONINTERFERENCE_FIRST={number} LOCKKEEPER_NONINTERFERENCE_SEQUENCES=1"
        )
    }
}

/// A runtime as the service has one.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

const SHRINKS_MAX: usize = 2_000;
/// Sequences that share a bundle, and how many of them run at once.
const PER_BUNDLE: usize = 40;
const LANES: usize = 4;
