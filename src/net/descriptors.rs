//! How many descriptors the process may have, and how they are shared out [edge].
//!
//! Promises: callers and CRM together never get so many that ledger, admin and health would have none.
#![expect(clippy::disallowed_methods, reason = "edge: asks the system for the limit")]

/// How many connections may be had at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// Of callers.
    pub callers: usize,
    /// To the CRM.
    pub upstream: usize,
}

/// The process's own limit; `None` where the system does not say.
pub fn limit() -> Option<usize> {
    parse(&std::fs::read_to_string("/proc/self/limits").ok()?)
}

/// The soft limit in the text of `/proc/PID/limits`.
fn parse(text: &str) -> Option<usize> {
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// What remains of the wish within a limit.
pub fn share(limit: Option<usize>, wish: Shares) -> Shares {
    let Some(limit) = limit else { return wish };
    let upstream = wish.upstream.min(limit / 4).max(1);
    let rest = limit.saturating_sub(RESERVED + upstream).max(limit / 4).max(1);
    Shares { callers: wish.callers.min(rest), upstream }
}

/// For the ledger, for what is read at a reload, and for the admin and health listeners with all of their connections.
const RESERVED: usize = 192;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_read_and_shared() {
        let text = "Limit                     Soft Limit           Hard Limit           Units\n\
                    Max open files            1024                 1048576              files\n";
        assert_eq!(parse(text), Some(1024));
        assert_eq!(parse("Max open files            unlimited   unlimited   files\n"), None);
        assert!(limit().is_some());
        #[track_caller]
        fn check(limit: Option<usize>, callers: usize, upstream: usize) {
            let shares = share(limit, Shares { callers: 9_000, upstream: 256 });
            assert_eq!(shares, Shares { callers, upstream });
        }
        check(None, 9_000, 256);
        check(Some(20_000), 9_000, 256);
        check(Some(1_024), 576, 256);
        check(Some(64), 16, 16);
        check(Some(1), 1, 1);
    }
}
