//! Many refusals in a short time.
//!
//! Promises: memory is bounded by the rule's number and by [`BURSTS_MAX`]. Windows that overlap are one burst.

use std::collections::VecDeque;

/// When refusals are a burst: so many within so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// How many.
    pub number: u64,
    /// Within how many minutes.
    pub minutes: u32,
}

/// Many refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burst {
    /// When the first was, in nanoseconds since 1970.
    pub first: i64,
    /// When the last was.
    pub last: i64,
    /// The entry of the first.
    pub seq: u64,
    /// How many there were.
    pub number: u64,
}

/// The bursts of one person or source, whose refusals come in the order of the ledger.
#[derive(Clone, Debug, Default)]
pub struct Bursts {
    /// What was found.
    pub found: Vec<Burst>,
    /// How many bursts are not told.
    pub left_out: usize,
    recent: VecDeque<Refusal>,
    sum: u64,
    /// The entry of the last refusal that belongs to a burst.
    end: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Refusal {
    t: i64,
    seq: u64,
    number: u64,
}

impl Bursts {
    /// Takes refusals that one entry tells of.
    pub fn take(&mut self, t: i64, seq: u64, number: u64, rule: Rule) {
        let window = i64::from(rule.minutes) * MINUTE;
        self.recent.push_back(Refusal { t, seq, number });
        self.sum += number;
        // Clocks may step back: what is then to come is not recent either.
        while self.recent.front().is_some_and(|first| t.saturating_sub(first.t).saturating_abs() > window) {
            self.forget_first();
        }
        if self.sum < rule.number {
            return;
        }
        let Some(first) = self.recent.front().copied() else { return };
        let goes_on = self.end.is_some_and(|end| end >= first.seq);
        self.end = Some(seq);
        let has_room = self.found.len() < BURSTS_MAX;
        match self.found.last_mut().filter(|_| goes_on && self.left_out == 0) {
            Some(burst) => (burst.last, burst.number) = (t, burst.number + number),
            None if has_room && !goes_on => {
                self.found.push(Burst { first: first.t, last: t, seq: first.seq, number: self.sum });
            }
            None if goes_on => {}
            None => self.left_out += 1,
        }
        while self.recent.front().is_some_and(|first| self.sum - first.number >= rule.number) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some(first) = self.recent.pop_front() {
            self.sum -= first.number;
        }
    }
}

/// Nanoseconds of a minute.
const MINUTE: i64 = 60 * 1_000_000_000;

/// Bursts that are told of one person or source.
const BURSTS_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// Refusals at minutes, each entry's number its place; bursts of three within ten minutes, told as minutes and number.
    #[track_caller]
    fn check(minutes: &[i64], expected: &[(i64, i64, u64)]) {
        let mut bursts = Bursts::default();
        for (seq, minute) in (1..).zip(minutes) {
            bursts.take(minute * MINUTE, seq, 1, Rule { number: 3, minutes: 10 });
        }
        let told = bursts.found.iter().map(|burst| (burst.first / MINUTE, burst.last / MINUTE, burst.number));
        assert_eq!(told.collect::<Vec<_>>(), expected, "{minutes:?}");
    }

    #[test]
    fn windows_that_overlap_are_one_burst() {
        check(&[], &[]);
        check(&[1, 2], &[]);
        check(&[1, 6, 11], &[(1, 11, 3)]);
        check(&[1, 6, 12], &[]);
        check(&[1, 6, 11, 15, 19], &[(1, 19, 5)]);
        check(&[1, 1, 1, 1, 40, 40, 41], &[(1, 1, 4), (40, 41, 3)]);
        // The clock went back an hour.
        check(&[100, 101, 40, 41, 42], &[(40, 42, 3)]);
    }

    #[test]
    fn what_was_counted_together_counts_as_many() {
        let mut bursts = Bursts::default();
        bursts.take(0, 7, 50, Rule { number: 20, minutes: 1 });
        bursts.take(MINUTE / 2, 9, 2, Rule { number: 20, minutes: 1 });
        assert_eq!(bursts.found, [Burst { first: 0, last: MINUTE / 2, seq: 7, number: 52 }]);
        assert_eq!(bursts.recent.len(), 2);
        for seq in 10..100 {
            bursts.take(MINUTE / 2, seq, 1, Rule { number: 20, minutes: 1 });
        }
        assert!(bursts.recent.len() <= 20, "{}", bursts.recent.len());
    }
}
