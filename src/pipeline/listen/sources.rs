//! How many connections each source holds.
//!
//! Promises: a source is forgotten with its last connection, so there are never more of them than connections.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::net::network;

/// Connections by source.
#[derive(Clone)]
pub struct Sources {
    counts: Arc<Mutex<HashMap<IpAddr, usize>>>,
    connections_max: usize,
}

/// A connection's place among those of its source, given back with this value.
pub struct SourcePlace {
    sources: Sources,
    source: IpAddr,
}

impl Sources {
    /// No connections yet; each source may have so many.
    pub fn new(connections_max: usize) -> Self {
        Self { counts: Arc::default(), connections_max }
    }

    /// A place for one more connection of an address; none if its source holds as many as it may.
    pub fn enter(&self, address: IpAddr) -> Option<SourcePlace> {
        let source = network::source(address);
        let mut counts = self.counts();
        let count = counts.entry(source).or_insert(0);
        if *count >= self.connections_max {
            return None;
        }
        *count += 1;
        Some(SourcePlace { sources: self.clone(), source })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SourcePlace {
    fn drop(&mut self) {
        let mut counts = self.sources.counts();
        if let Some(count) = counts.get_mut(&self.source) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_its_limit_and_is_forgotten() {
        let sources = Sources::new(2);
        let enter = |text: &str| sources.enter(text.parse().unwrap());
        let first = enter("2001:db8::1").unwrap();
        let second = enter("2001:db8::2").unwrap();
        assert!(enter("2001:db8::3").is_none());
        let other = enter("2001:db8:0:1::1").unwrap();
        drop(first);
        let third = enter("2001:db8::3").unwrap();
        drop((second, third, other));
        assert!(sources.counts().is_empty());
    }
}
