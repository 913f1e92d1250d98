//! Policies as programs: what Cedar would evaluate for each record and field, taken apart once per bundle.
//!
//! A program holds for one record type the questions that a gate asks, and for each the rules that can apply. Promises:
//! whatever this module cannot express exactly is not compiled at all, and plain Cedar decides there. Never decides
//! anything itself: the floor above binds a program to a principal and runs it.

pub mod compile;
pub mod evaluate;
pub mod expression;
pub mod fold;
pub mod functions;
pub mod read;
pub mod tree;
pub mod value;

#[cfg(test)]
mod tests;
