//! The decision ledger: append-only JSON Lines, each durable before the act that it records.
//!
//! Promises: an entry whose append returned is on disk, or written where its [`durability`] says so; seq has no gaps; what was damaged is never read as
//! whole; nothing waits without a limit. Never holds field values, tokens, raw queries, names or addresses
//! of people.
//!
//! Reading order: `entry` (what is said), `line` (how it is written), `append` (the handle that stages use),
//! `writer` and `journal` (the one thread that writes), `recover` and `open` (what a start makes of the
//! files), `tree` and `verify` (what one number says about all of them), `checkpoint` and `seal` (who says so),
//! `retain` and `removal` (what may go, and what stays of it).

pub mod counts;
pub mod entry;
pub mod who;
pub mod field_set;
pub mod error;
pub mod durability;
pub mod line;
mod own;
mod split;
mod prepare;
pub mod life;
mod recover;
mod folder;
pub mod removal;
mod journal;
pub mod open;
mod writer;
pub mod append;
pub mod clock;
pub mod read;
pub mod hold;
pub mod batches;
pub mod cursor;
pub mod log_id;
pub mod tree;
pub mod proof;
pub mod note;
pub mod checkpoint;
mod tiles;
mod tile_store;
pub mod seal;
pub mod retain;
pub mod tiled;
pub mod evidence;
pub mod verify;
pub mod handles;
pub mod revisions;
mod durable;
#[cfg(any(test, feature = "testkit"))]
pub mod made_up;

#[cfg(test)]
mod tests;
