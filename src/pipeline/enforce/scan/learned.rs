//! What answers taught the scanner, kept between them: usual keys, their order and the space around them, never a value.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::json::scan::object::Scanner;

/// Scanners that nobody uses at the moment. Taking and giving back never waits.
#[derive(Debug, Default)]
pub struct Idle {
    places: [ArcSwapOption<Scanner>; PLACES],
}

/// Scanners that are kept.
const PLACES: usize = 8;

impl Idle {
    /// A scanner, with what it learned if there is one.
    pub fn take(&self) -> Scanner {
        let taken = self.places.iter().find_map(|place| place.swap(None).and_then(Arc::into_inner));
        taken.unwrap_or_default()
    }

    /// Gives a scanner back.
    pub fn give(&self, mut scanner: Scanner) {
        scanner.shrink();
        if let Some(place) = self.places.iter().find(|place| place.load().is_none()) {
            place.store(Some(Arc::new(scanner)));
        }
    }
}
