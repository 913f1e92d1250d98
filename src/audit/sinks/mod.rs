//! Copies of the ledger elsewhere: one task for each sink reads what is durable and sends it in batches.
//!
//! Promises: no entry is sent before its sync returned, none is left out; a sink's cursor moves only when it has acknowledged;
//! what a sink does, or does not, costs no request anything: it is told in metrics, status, log and ledger. Memory is bounded
//! by one batch for each sink. Never sends names of people: they are not in the ledger.
//!
//! Reading order: `tailer` (the task), `target` (what it asks of a sink), `https` and the `post` below it, `postgres`, `watch` (what is told of it).

pub mod fault;
pub mod target;
pub mod watch;
pub mod tailer;
pub mod post;
pub mod https;
pub mod postgres;
pub mod running;
pub mod compare;

#[cfg(test)]
mod tests;
