//! Bounded, strict JSON with byte spans: what the enforcement points read CRM bodies with and write them back from.
//!
//! A [`value::Document`] exists only if its bytes are one whole RFC 8259 text within stated limits, without a duplicate
//! key and without a lone surrogate, so what we decided on and what any other reader of the same bytes sees is one thing.
//! Everything that is copied out is a slice of the source: number text, escapes and key order stay as they were written.
//!
//! It never repairs or guesses at input, never holds a number as a float, never puts a body's text into an error or a
//! `Debug` output, and knows nothing of records, fields or policies.

pub mod parse;
pub mod token;
pub mod value;
pub mod strip;
pub mod same;
pub mod alike;
pub mod path;
pub mod scan;

#[cfg(test)]
mod tests;
