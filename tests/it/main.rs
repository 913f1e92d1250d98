//! The one integration binary: journeys over real sockets, real Cedar and real ledger files.
#![expect(clippy::unwrap_used, reason = "helpers of a test may panic")]
#![expect(clippy::indexing_slicing, reason = "a test that looks for what is not there has failed")]

mod proposed;
mod reads;
mod lists;
mod hidden;
mod writes;
mod records;
mod bad_input;
mod framing;
mod certificates;
mod tls;
mod http2;
mod upstream_tls;
mod proxy_protocol;
mod slow_clients;
mod drain;
mod faults;
mod guesses;
mod ledger;
mod reload;
mod kill;
mod matrix;
mod kept_verdicts;
mod stripping;
mod interference;

mod ledger_kill;
