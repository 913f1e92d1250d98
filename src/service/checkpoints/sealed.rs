//! How far the ledger is signed for and exported, as status, metrics and log tell it.
//!
//! Promises: an export has what it confirmed, and nothing before its first confirmation since the start; what fails is told to the log
//! when it begins and when it ends.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How far the ledger is signed for and exported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sealed {
    /// How many entries the last checkpoint stands for.
    pub signed: u64,
    /// Why the last attempt to sign failed, if it did.
    pub failed: Option<String>,
    /// Each export.
    pub exports: Vec<Exported>,
}

/// How one export stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// What it is called.
    pub name: &'static str,
    /// How many entries the last checkpoint stands for that it has, and when it got that, in milliseconds since 1970.
    pub has: Option<(u64, i64)>,
    /// Why the last attempt failed, if it did.
    pub failed: Option<String>,
    /// Since when an attempt is under way that nobody gives up, in milliseconds since 1970.
    pub began_ms: Option<i64>,
}

/// The same while it changes; shared by whoever signs and whoever asks.
#[derive(Clone, Debug)]
pub struct SealedNow {
    head: Arc<Mutex<Head>>,
    exports: Vec<ExportWatch>,
}

/// What was signed.
#[derive(Debug, Default)]
struct Head {
    signed: u64,
    failed: Option<String>,
}

/// One export while it changes; shared with whoever exports.
#[derive(Clone, Debug)]
pub(super) struct ExportWatch(Arc<Mutex<Exported>>);

impl Sealed {
    /// How many entries the last checkpoint stands for that every export has, and when the last of them got it; `None` where there are
    /// no exports, or one has nothing yet.
    #[must_use]
    pub fn exported(&self) -> Option<(u64, i64)> {
        let all: Option<Vec<_>> = self.exports.iter().map(|export| export.has).collect();
        all?.into_iter().min()
    }

    /// All that fails now, an export that hangs among it.
    #[must_use]
    pub fn failures(&self, now_ms: i64) -> Vec<String> {
        let of = |export: &Exported| {
            let hangs = export.began_ms.map(|began_ms| now_ms - began_ms).filter(|ms| *ms > HANGS_MS);
            let hangs = hangs.map(|ms| format!("it hangs since {ms} ms"));
            let whys = export.failed.clone().into_iter().chain(hangs);
            whys.map(|why| format!("{}: {why}", export.name)).collect::<Vec<_>>()
        };
        self.failed.iter().cloned().chain(self.exports.iter().flat_map(of)).collect()
    }

    /// Whether there are exports, and one of them lacks the last checkpoint.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        let exported = self.exported().map(|(entries, _)| entries);
        !self.exports.is_empty() && exported.is_none_or(|exported| exported < self.signed)
    }
}

impl SealedNow {
    /// As at a start: so much is signed for.
    pub(super) fn new(signed: u64, exports: Vec<ExportWatch>) -> Self {
        Self { head: Arc::new(Mutex::new(Head { signed, failed: None })), exports }
    }

    /// How it stands now.
    #[must_use]
    pub fn read(&self) -> Sealed {
        let exports = self.exports.iter().map(|export| locked(&export.0).clone()).collect();
        let head = locked(&self.head);
        Sealed { signed: head.signed, failed: head.failed.clone(), exports }
    }

    /// A checkpoint was signed that stands for so many entries.
    pub(super) fn signed(&self, entries: u64) {
        let mut head = locked(&self.head);
        head.signed = entries;
        if head.failed.take().is_some() {
            tracing::info!(signed = entries, "checkpoints are signed again");
        }
    }

    /// None could be signed.
    pub(super) fn failed(&self, error: String) {
        let mut head = locked(&self.head);
        if head.failed.as_ref() != Some(&error) {
            tracing::error!(error, "no checkpoint can be signed");
        }
        head.failed = Some(error);
    }
}

impl ExportWatch {
    /// An export that has nothing yet.
    pub(super) fn new(name: &'static str) -> Self {
        Self(Arc::new(Mutex::new(Exported { name, has: None, failed: None, began_ms: None })))
    }

    /// An attempt begins that nobody gives up.
    pub(super) fn begins(&self, now_ms: i64) {
        locked(&self.0).began_ms = Some(now_ms);
    }

    /// It has a checkpoint that stands for so many entries.
    pub(super) fn took(&self, entries: u64, now_ms: i64) {
        let mut export = locked(&self.0);
        export.began_ms = None;
        export.has = Some((entries, now_ms));
        if export.failed.take().is_some() {
            tracing::info!(export = export.name, signed = entries, "checkpoints are exported again");
        }
    }

    /// An attempt failed.
    pub(super) fn failed(&self, why: String) {
        let mut export = locked(&self.0);
        export.began_ms = None;
        if export.failed.as_ref() != Some(&why) {
            tracing::error!(export = export.name, why, "a checkpoint could not be exported");
        }
        export.failed = Some(why);
    }
}

/// Whoever panicked with it in hand left it whole: each change is an assignment.
fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long an attempt may be under way before it counts as failing, in milliseconds.
const HANGS_MS: i64 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(exports: &[Option<(u64, i64)>], expected: Option<(u64, i64)>, is_behind: bool) {
        let of = |has: &Option<(u64, i64)>| Exported { name: "x", has: *has, failed: None, began_ms: None };
        let sealed = Sealed { signed: 10, failed: None, exports: exports.iter().map(of).collect() };
        assert_eq!((sealed.exported(), sealed.is_behind()), (expected, is_behind), "{exports:?}");
    }

    #[test]
    fn what_every_export_has_is_exported() {
        check(&[], None, false);
        check(&[None], None, true);
        check(&[Some((10, 5)), None], None, true);
        check(&[Some((10, 5)), Some((7, 9))], Some((7, 9)), true);
        check(&[Some((10, 5)), Some((10, 9))], Some((10, 5)), false);
    }

    #[test]
    fn what_fails_or_hangs_is_told_by_name() {
        let (folder, https) = (ExportWatch::new("folder"), ExportWatch::new("https"));
        let now = SealedNow::new(3, vec![folder.clone(), https.clone()]);
        folder.begins(1_000);
        https.failed("it answered 500".to_owned());
        assert_eq!(now.read().failures(11_000), ["https: it answered 500"]);
        assert_eq!(
            now.read().failures(11_001),
            ["folder: it hangs since 10001 ms", "https: it answered 500"]
        );
        folder.took(3, 12_000);
        https.took(2, 12_000);
        assert_eq!(now.read().failures(99_000), Vec::<String>::new());
        assert_eq!(now.read().exported(), Some((2, 12_000)));
        now.failed("no".to_owned());
        assert_eq!(now.read().failures(0), ["no"]);
        now.signed(4);
        assert_eq!((now.read().signed, now.read().failures(0)), (4, vec![]));
    }
}
