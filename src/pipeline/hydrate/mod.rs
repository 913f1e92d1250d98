//! Hydration (PIP): what policy may know of records, read from the CRM's own answers.
//!
//! Promises: money and dates are exact; absent, not carried and nonconforming are never confused.

pub mod convert;
pub mod extract;
pub mod records;
pub mod image;
