//! A single pass over the bytes of a body that is not held as a whole: full validation, and where each known key lies.
//!
//! What a record may look like is given as [`levels::Levels`]; what comes out is a list of [`object::Node`]s. Every byte
//! passes the grammar of RFC 8259, strings without lone surrogates included; that it is UTF-8 is the caller's check. Keys are
//! unique, compared decoded, in every object that is walked; inside of values that nobody looks into, they are not compared.
//!
//! A scan that runs out of input says so and has changed nothing that matters: it is begun again when there is more. The last
//! piece of a body is padded with [`PADDING`] zero bytes, which no grammar takes.

pub mod lex;
pub mod levels;
pub mod learned;
pub mod object;

/// Zero bytes behind the end of a body.
pub const PADDING: usize = 64;

/// Why a scan stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// What is there may be right; more is needed to tell.
    NeedMore,
    /// It is not JSON, or a key stands twice.
    Flaw,
    /// It is nested too deeply.
    TooDeep,
}

#[cfg(test)]
mod tests;
