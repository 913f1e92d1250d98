//! Memberships as a whole: no circle, not deeper and not wider than one decision can carry.

use std::collections::HashSet;

use super::DirectoryLimits;
use super::index::Index;

/// What is wrong with the memberships of an entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// It is a member of itself, through these.
    Circle(Vec<u32>),
    /// More levels are above it than may be.
    TooDeep,
    /// More entities are above it than may be.
    TooMany,
}

/// What is known of an entity that was gone through.
#[derive(Clone, Copy, Default)]
struct Seen {
    mark: Mark,
    levels: usize,
    /// At least as many as are above it: those above several of its parents count several times.
    above_at_most: usize,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Mark {
    #[default]
    New,
    Open,
    Done,
}

/// Goes through all memberships once, without recursion.
pub fn check(index: &Index, limits: &DirectoryLimits, flaws_max: usize) -> Vec<(u32, Flaw)> {
    let mut walk = Walk { index, limits, seen: vec![Seen::default(); index.len()], flaws: Vec::new() };
    for number in index.numbers() {
        if walk.flaws.len() >= flaws_max {
            break;
        }
        if walk.mark(number) == Mark::New {
            walk.go_up(number);
        }
    }
    walk.flaws
}

struct Walk<'i> {
    index: &'i Index,
    limits: &'i DirectoryLimits,
    seen: Vec<Seen>,
    flaws: Vec<(u32, Flaw)>,
}

impl Walk<'_> {
    fn go_up(&mut self, start: u32) {
        self.set(start, Mark::Open);
        let mut path = vec![(start, 0_usize)];
        while let Some((number, next)) = path.last_mut() {
            let number = *number;
            let parent = self.index.parents(number).get(*next).copied();
            *next += 1;
            match parent.map(|parent| (parent, self.mark(parent))) {
                Some((parent, Mark::New)) => {
                    self.set(parent, Mark::Open);
                    path.push((parent, 0));
                }
                Some((parent, Mark::Open)) => {
                    let circle = path.iter().map(|(on_path, _)| *on_path).skip_while(|on| *on != parent);
                    self.flaws.push((parent, Flaw::Circle(circle.collect())));
                }
                Some((_, Mark::Done)) => {}
                None => {
                    self.close(number);
                    path.pop();
                }
            }
        }
    }

    /// All parents are known.
    fn close(&mut self, number: u32) {
        let parents = self.index.parents(number).iter().filter_map(|parent| self.seen.get(*parent as usize));
        let (levels, above) = parents.fold((0, 0_usize), |(levels, above), parent| {
            (levels.max(parent.levels + 1), above.saturating_add(parent.above_at_most).saturating_add(1))
        });
        let mut seen = Seen { mark: Mark::Done, levels, above_at_most: above };
        if levels == self.limits.levels_max + 1 {
            self.flaws.push((number, Flaw::TooDeep));
        }
        if above > self.limits.ancestors_max {
            seen.above_at_most = self.count_above(number);
            if seen.above_at_most > self.limits.ancestors_max {
                self.flaws.push((number, Flaw::TooMany));
            }
        }
        if let Some(place) = self.seen.get_mut(number as usize) {
            *place = seen;
        }
    }

    /// How many are above, each once; counting ends past the limit.
    fn count_above(&self, number: u32) -> usize {
        let mut above = HashSet::new();
        let mut waiting = self.index.parents(number).to_vec();
        while let Some(parent) = waiting.pop() {
            if above.insert(parent) {
                waiting.extend(self.index.parents(parent));
            }
            if above.len() > self.limits.ancestors_max {
                break;
            }
        }
        above.len()
    }

    fn mark(&self, number: u32) -> Mark {
        self.seen.get(number as usize).map_or(Mark::Done, |seen| seen.mark)
    }

    fn set(&mut self, number: u32, mark: Mark) {
        if let Some(seen) = self.seen.get_mut(number as usize) {
            seen.mark = mark;
        }
    }
}
