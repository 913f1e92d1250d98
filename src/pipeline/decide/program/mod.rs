//! Programs at work (PDP): bound to a principal once, then run on each record of a list in a few comparisons.
//!
//! Promises: a verdict equals the one that plain Cedar gives, determining policies and failures included; where that cannot
//! be promised there is no verdict, and plain Cedar decides.

pub mod bind;
pub mod run;
mod reading;
mod column;
mod learnt;
pub mod hash;
pub mod teacher;
mod world;
