//! Bytes in, one accepted [`Document`] out: the only way to have one.
//!
//! Promises that the text is RFC 8259 in UTF-8 without byte order mark, nothing before or behind it but white space,
//! strings without lone surrogates, keys unique in every object when compared decoded, and all within [`JsonLimits`].
//! Time is linear in the bytes, but for sorting each object's keys. Never recurses and never repairs.

use std::borrow::Cow;

use bytes::Bytes;

use super::token::{self, Flaw};
use super::value::{Document, Kind, Node, Span};

/// How much a document may be; each limit is the largest accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonLimits {
    /// Source bytes, white space included; at most [`BYTES_CEILING`] whatever is set.
    pub bytes_max: usize,
    /// Objects and arrays open at once; at most [`DEPTH_CEILING`] whatever is set. 0 accepts scalars only.
    pub depth_max: usize,
    /// Values of any kind, the root included; keys do not count.
    pub nodes_max: usize,
}

/// Why bytes are not a document. Carries a place in bytes from 0, never text of the body, as it may be logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// The bytes stop being UTF-8 here.
    #[error("not UTF-8 at byte {offset}")]
    NotUtf8 {
        /// The first byte that belongs to no character.
        offset: usize,
    },
    /// RFC 8259 has something else here.
    #[error("not JSON at byte {offset}: expected {expected}")]
    Syntax {
        /// The first byte that does not fit, or the length if the text ends too early.
        offset: usize,
        /// What could have stood there.
        expected: &'static str,
    },
    /// The same key, compared decoded, stands twice in one object.
    #[error("duplicate key at byte {offset}")]
    DuplicateKey {
        /// The opening quote of the repetition.
        offset: usize,
    },
    /// More objects and arrays are open than `depth_max`.
    #[error("nested too deeply at byte {offset}")]
    TooDeep {
        /// The bracket that is one too many.
        offset: usize,
    },
    /// There are more bytes than `bytes_max`.
    #[error("too large: the limit is reached at byte {offset}")]
    TooLarge {
        /// The first byte past the limit.
        offset: usize,
    },
    /// There are more values than `nodes_max`.
    #[error("too many values at byte {offset}")]
    TooMany {
        /// The start of the value that is one too many.
        offset: usize,
    },
}

impl JsonError {
    /// The place of the flaw in bytes from 0.
    #[must_use]
    pub fn offset(&self) -> usize {
        match *self {
            Self::NotUtf8 { offset }
            | Self::Syntax { offset, .. }
            | Self::DuplicateKey { offset }
            | Self::TooDeep { offset }
            | Self::TooLarge { offset }
            | Self::TooMany { offset } => offset,
        }
    }
}

impl Default for JsonLimits {
    fn default() -> Self {
        Self { bytes_max: 16 << 20, depth_max: 64, nodes_max: 2_000_000 }
    }
}

impl Document {
    /// Parses and validates all of `text` (RFC 8259).
    ///
    /// # Errors
    /// The first flaw in reading order. A duplicate key is found where its object closes, so a flaw that stands before
    /// that is reported instead.
    pub fn parse(text: Bytes, limits: &JsonLimits) -> Result<Document, JsonError> {
        let bytes_max = limits.bytes_max.min(BYTES_CEILING);
        if text.len() > bytes_max {
            return Err(JsonError::TooLarge { offset: bytes_max });
        }
        let source =
            std::str::from_utf8(&text).map_err(|error| JsonError::NotUtf8 { offset: error.valid_up_to() })?;
        let nodes = Parser::new(source, limits).run()?;
        let root = nodes.first().copied().ok_or(JsonError::Syntax { offset: 0, expected: A_VALUE })?;
        Ok(Document { bytes: text, root, nodes })
    }
}

/// The state between two tokens. The containers that are open are `open`, the innermost last.
struct Parser<'d> {
    source: &'d str,
    at: usize,
    depth_max: usize,
    nodes_max: usize,
    nodes: Vec<Node>,
    open: Vec<Open>,
    /// The keys of all open objects, the innermost object's last; with the offset of each.
    keys: Vec<(Cow<'d, str>, usize)>,
}

struct Open {
    kind: Kind,
    /// Index of the container in the arena.
    index: usize,
    /// Index of its first key among the parser's keys.
    keys_start: usize,
    /// How many children it has so far.
    len: u32,
}

impl<'d> Parser<'d> {
    fn new(source: &'d str, limits: &JsonLimits) -> Self {
        Self {
            source,
            at: 0,
            depth_max: limits.depth_max.min(DEPTH_CEILING),
            nodes_max: limits.nodes_max,
            nodes: Vec::new(),
            open: Vec::new(),
            keys: Vec::new(),
        }
    }

    fn run(mut self) -> Result<Vec<Node>, JsonError> {
        self.value(Span::EMPTY)?;
        while let Some((kind, is_first)) = self.open.last().map(|open| (open.kind, open.len == 0)) {
            self.continue_container(kind, is_first)?;
        }
        match self.next_byte() {
            None => Ok(self.nodes),
            Some(_) => self.syntax("the end of the text"),
        }
    }

    /// Reads one child of the innermost container, or its end.
    fn continue_container(&mut self, kind: Kind, is_first: bool) -> Result<(), JsonError> {
        let (close, expected) = match (kind, is_first) {
            (Kind::Object, true) => (b'}', "a key or `}`"),
            (Kind::Object, false) => (b'}', "`,` or `}`"),
            (_, true) => (b']', "a value or `]`"),
            (_, false) => (b']', "`,` or `]`"),
        };
        match self.next_byte() {
            Some(byte) if byte == close => return self.close(),
            None => return self.syntax(expected),
            Some(_) if is_first => {}
            Some(b',') => self.at += 1,
            Some(_) => return self.syntax(expected),
        }
        let key = if kind == Kind::Object { self.key()? } else { Span::EMPTY };
        self.value(key)?;
        Ok(())
    }

    /// Reads a key and its colon.
    fn key(&mut self) -> Result<Span, JsonError> {
        if self.next_byte() != Some(b'"') {
            return self.syntax("a key");
        }
        let start = self.at;
        self.at = token::string_end(self.source.as_bytes(), start)?;
        let raw = self.source.get(start..self.at).unwrap_or_default();
        self.keys.push((token::decode(raw), start));
        let span = span(start, self.at);
        if self.next_byte() != Some(b':') {
            return self.syntax("`:`");
        }
        self.at += 1;
        Ok(span)
    }

    /// Reads a scalar whole, or only the bracket of a container, which is then open.
    fn value(&mut self, key: Span) -> Result<(), JsonError> {
        let bytes = self.source.as_bytes();
        let first = self.next_byte();
        let start = self.at;
        let (kind, end) = match first {
            Some(b'{') => (Kind::Object, start + 1),
            Some(b'[') => (Kind::Array, start + 1),
            Some(b'"') => (Kind::String, token::string_end(bytes, start)?),
            Some(b'-' | b'0'..=b'9') => (Kind::Number, token::number_end(bytes, start)?),
            Some(b't') => (Kind::Bool, token::literal_end(bytes, start, "true")?),
            Some(b'f') => (Kind::Bool, token::literal_end(bytes, start, "false")?),
            Some(b'n') => (Kind::Null, token::literal_end(bytes, start, "null")?),
            _ => return self.syntax(A_VALUE),
        };
        if self.nodes.len() >= self.nodes_max {
            return Err(JsonError::TooMany { offset: start });
        }
        if let Some(parent) = self.open.last_mut() {
            parent.len += 1;
        }
        let index = self.nodes.len();
        if matches!(kind, Kind::Object | Kind::Array) {
            if self.open.len() >= self.depth_max {
                return Err(JsonError::TooDeep { offset: start });
            }
            self.open.push(Open { kind, index, keys_start: self.keys.len(), len: 0 });
        }
        self.nodes.push(Node { kind, span: span(start, end), key, after: narrow(index + 1), len: 0 });
        self.at = end;
        Ok(())
    }

    fn close(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        let after = narrow(self.nodes.len());
        let Some(closed) = self.open.pop() else { return Ok(()) };
        if let Some(node) = self.nodes.get_mut(closed.index) {
            node.span.end = narrow(self.at);
            node.after = after;
            node.len = closed.len;
        }
        let repetition = first_repetition(self.keys.get_mut(closed.keys_start..).unwrap_or_default());
        self.keys.truncate(closed.keys_start);
        repetition.map_or(Ok(()), |offset| Err(JsonError::DuplicateKey { offset }))
    }

    /// The next byte that is not white space (RFC 8259 §2), which is where `at` then stands.
    fn next_byte(&mut self) -> Option<u8> {
        let rest = self.source.as_bytes().get(self.at..).unwrap_or_default();
        self.at += rest.iter().take_while(|byte| matches!(**byte, b' ' | b'\t' | b'\n' | b'\r')).count();
        self.source.as_bytes().get(self.at).copied()
    }

    fn syntax<T>(&self, expected: &'static str) -> Result<T, JsonError> {
        Err(JsonError::Syntax { offset: self.at, expected })
    }
}

/// The offset of the first key that repeats an earlier one.
///
/// Sorting instead of hashing: no allocation for each object, and nothing that chosen keys could degrade.
fn first_repetition(keys: &mut [(Cow<'_, str>, usize)]) -> Option<usize> {
    keys.sort_unstable();
    let repetitions = keys.windows(2).filter_map(|pair| match pair {
        [(earlier, _), (later, offset)] if earlier == later => Some(*offset),
        _ => None,
    });
    repetitions.min()
}

fn span(start: usize, end: usize) -> Span {
    Span { start: narrow(start), end: narrow(end) }
}

/// Offsets and indices are at most [`BYTES_CEILING`], since each value takes a byte, so nothing is ever cut off.
fn narrow(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}

impl From<Flaw> for JsonError {
    fn from(flaw: Flaw) -> Self {
        Self::Syntax { offset: flaw.offset, expected: flaw.expected }
    }
}

/// The largest `bytes_max` that takes effect: spans are held in 32 bits.
pub const BYTES_CEILING: usize = u32::MAX as usize;

/// The largest `depth_max` that takes effect: stripping and comparing recurse once for each level.
pub const DEPTH_CEILING: usize = 512;

const A_VALUE: &str = "a value";
