//! Refill (PDP): whether a caller pages through the rows that they may view, and which of these a request wants.
//!
//! Promises: what says which page is wanted is read as one number, or refused before the CRM is asked. Looks at no record.

use super::gate::RecordGate;
use super::residual::formula::Formula;
use crate::bundle::profile::refill::{PagePlace, Refill};
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use crate::pipeline::map::Mapped;

/// What becomes of the pages of a list that can be refilled.
#[derive(Clone, Debug)]
pub enum Refilled {
    /// Nothing: the caller may view every row.
    Whole,
    /// They are filled up with rows that the caller may view.
    Filled(Filling),
}

/// How pages are filled up.
#[derive(Clone, Debug)]
pub struct Filling {
    /// Which rows may be viewed, where that can be said without looking at them.
    pub viewed: Option<Formula>,
    /// The rows that are wanted, or why nobody can tell.
    pub window: Result<Window, Problem>,
}

/// The rows that a request wants, of those that its caller may view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// How many go before them.
    pub skip: u64,
    /// How many there are at most.
    pub take: u64,
}

/// What becomes of the pages of a request whose caller may view what a formula says; nothing where its route is not refilled.
pub fn refill(gate: &RecordGate, mapped: &Mapped<'_>, viewed: Option<Formula>) -> Option<Refilled> {
    let (refill, record_type) = (mapped.route.refill.as_ref()?, mapped.record_type?);
    if gate.views_every_record(&record_type.name) {
        return Some(Refilled::Whole);
    }
    Some(Refilled::Filled(Filling { viewed, window: Window::read(refill, &mapped.query.pairs) }))
}

impl Refilled {
    /// How pages are filled up, if they are.
    pub fn filling(&self) -> Option<&Filling> {
        match self {
            Refilled::Whole => None,
            Refilled::Filled(filling) => Some(filling),
        }
    }
}

impl Window {
    /// Reads it as the CRM would.
    pub fn read(refill: &Refill, pairs: &[(String, String)]) -> Result<Self, Problem> {
        let number = |name: &str| {
            let said = pairs.iter().find(|(known, _)| known == name);
            said.map(|(_, text)| read_number(text).ok_or_else(|| malformed(name))).transpose()
        };
        let size = &refill.size.value;
        let take = number(size)?.unwrap_or(refill.default).min(refill.most);
        if take == 0 {
            return Err(malformed(size));
        }
        let skip = match &refill.place {
            PagePlace::Offset(name) => number(&name.value)?.unwrap_or(0),
            PagePlace::Number(name, first) => {
                let page = number(&name.value)?.unwrap_or(*first);
                page.checked_sub(*first).ok_or_else(|| malformed(&name.value))?.saturating_mul(take)
            }
        };
        Ok(Self { skip, take })
    }

    /// The number of the first row after it.
    pub fn end(self) -> u64 {
        self.skip.saturating_add(self.take)
    }

    /// Whether it has the row of a number.
    pub fn has(self, number: u64) -> bool {
        (self.skip..self.end()).contains(&number)
    }
}

/// A whole number that every reader takes for the same: no sign, no space, no leading zero.
fn read_number(text: &str) -> Option<u64> {
    let is_plain =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'));
    if is_plain && text.len() <= DIGITS_MAX { text.parse().ok() } else { None }
}

fn malformed(name: &str) -> Problem {
    Problem::new(Reason::PagingMalformed).detail(format!("parameter `{name}`"))
}

/// Digits of a number.
const DIGITS_MAX: usize = 9;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::reader::Text;

    type Place = fn(Text) -> PagePlace;

    fn refill(place: Place) -> Refill {
        let text = |value: &str| Text { value: value.to_owned(), span: 0..0 };
        let place = place(text("at"));
        Refill { size: text("size"), place, default: 20, most: 100, read: 100, span: 0..0 }
    }

    #[track_caller]
    fn check(place: Place, query: &str, expected: Option<(u64, u64)>) {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let pairs: Vec<_> = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let found = Window::read(&refill(place), &pairs);
        assert_eq!(found.as_ref().ok().map(|window| (window.skip, window.take)), expected, "{query}");
        let reason = found.err().map(|problem| problem.reason);
        assert_eq!(reason, expected.is_none().then_some(Reason::PagingMalformed), "{query}");
    }

    #[test]
    fn a_window_is_read_as_the_crm_would() {
        let (offset, page): (Place, Place) = (PagePlace::Offset, |name| PagePlace::Number(name, 1));
        check(offset, "", Some((0, 20)));
        check(offset, "size=7&at=14&sort=x", Some((14, 7)));
        // A greater wish is cut, as the CRM cuts it.
        check(offset, "size=101&at=999999999", Some((999_999_999, 100)));
        check(page, "size=1000&at=3", Some((200, 100)));
        check(page, "at=2", Some((20, 20)));
        check(|name| PagePlace::Number(name, 0), "at=2", Some((40, 20)));
        for bad in
            ["size=0", "size=-1", "size=", "at=+1", "at= 1", "at=1e3", "at=01", "at=1.0", "at=9999999999"]
        {
            check(offset, bad, None);
            check(page, bad, None);
        }
        check(page, "at=0", None);
    }

    #[test]
    fn a_window_has_its_rows() {
        let window = Window { skip: 2, take: 3 };
        assert_eq!((0..9).filter(|number| window.has(*number)).collect::<Vec<_>>(), [2, 3, 4]);
    }
}
