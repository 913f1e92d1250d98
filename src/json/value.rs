//! A parsed document and the handles by which its values are read.
//!
//! Promises that a handle costs nothing to copy, that raw text is the exact source slice, and that keys and strings are
//! compared as they read, not as they were escaped. Never converts a number and never shows a body in `Debug`.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

use super::token;

/// One accepted JSON text: its bytes and an index of its values. Made by [`Document::parse`] only.
///
/// The index takes 28 bytes for each value, so `nodes_max` bounds it.
#[derive(Clone)]
pub struct Document {
    pub(super) bytes: Bytes,
    /// A copy of the first node, so that a document visibly cannot be without its root.
    pub(super) root: Node,
    /// All values in source order, each followed by its descendants.
    pub(super) nodes: Vec<Node>,
}

/// Names one value of the document it came from; in any other document it names an unrelated value or none. Ordered as the
/// values start in the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub(super) u32);

/// The six kinds of value (RFC 8259 §3), `true` and `false` being one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// A number of any size and precision.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

/// A handle on one value of a document.
#[derive(Debug, Clone, Copy)]
pub struct Value<'d> {
    document: &'d Document,
    id: NodeId,
    node: &'d Node,
}

/// One key and value of an object.
#[derive(Debug, Clone, Copy)]
pub struct Member<'d> {
    value: Value<'d>,
}

/// A half-open range of source bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

/// What the arena holds for each value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) span: Span,
    /// The key with its quotes; empty where the value is no member.
    pub(super) key: Span,
    /// The index past this value's last descendant, which is where its next sibling is.
    pub(super) after: u32,
    /// How many members or items it has.
    pub(super) len: u32,
}

impl Document {
    /// The outermost value.
    #[must_use]
    pub fn root(&self) -> Value<'_> {
        Value { document: self, id: NodeId(0), node: &self.root }
    }

    /// The whole source, with any white space around the root.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    pub(super) fn slice(&self, span: Span) -> &[u8] {
        self.bytes.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// All of the source is known to be UTF-8. Checking a slice again is what safe Rust asks for instead of a second,
    /// owned copy of the body; spans end at ASCII bytes, so it cannot fail.
    fn text(&self, span: Span) -> &str {
        std::str::from_utf8(self.slice(span)).unwrap_or_default()
    }
}

impl fmt::Debug for Document {
    /// Sizes only: bodies hold what callers may not see, and debug output ends up in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("bytes", &self.bytes.len())
            .field("nodes", &self.nodes.len())
            .finish_non_exhaustive()
    }
}

impl<'d> Value<'d> {
    /// Which kind of value this is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.node.kind
    }

    pub(super) fn document(&self) -> &'d Document {
        self.document
    }

    /// The exact source slice, quotes and inner white space included.
    #[must_use]
    pub fn raw(&self) -> &'d str {
        self.document.text(self.node.span)
    }

    /// This value's name within its document.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.id
    }

    /// The members in source order; none if this is no object.
    pub fn members(&self) -> impl Iterator<Item = Member<'d>> + use<'d> {
        self.children_if(Kind::Object).map(|value| Member { value })
    }

    /// The member whose decoded key is `key`. Takes time linear in the object's members.
    #[must_use]
    pub fn member(&self, key: &str) -> Option<Value<'d>> {
        self.members().find(|member| member.has_key(key)).map(|member| member.value)
    }

    /// The elements in source order; none if this is no array.
    pub fn items(&self) -> impl Iterator<Item = Value<'d>> + use<'d> {
        self.children_if(Kind::Array)
    }

    /// The decoded string, if this is one.
    #[must_use]
    pub fn text(&self) -> Option<Cow<'d, str>> {
        (self.kind() == Kind::String).then(|| token::decode(self.raw()))
    }

    /// The number as it was written, if this is one.
    #[must_use]
    pub fn number(&self) -> Option<&'d str> {
        (self.kind() == Kind::Number).then(|| self.raw())
    }

    /// The truth value, if this is one.
    #[must_use]
    pub fn boolean(&self) -> Option<bool> {
        (self.kind() == Kind::Bool).then(|| self.bytes() == b"true")
    }

    /// Whether the value is that of a JSON text: the same text in any spelling, or the same source.
    #[must_use]
    pub fn is(&self, json_text: &str) -> bool {
        match self.text() {
            Some(found) => serde_json::from_str::<String>(json_text).is_ok_and(|wanted| wanted == found),
            None => self.raw() == json_text,
        }
    }

    /// Whether this is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.kind() == Kind::Null
    }

    /// How many members or items there are; 0 for a scalar.
    #[must_use]
    pub fn len(&self) -> usize {
        self.node.len as usize
    }

    /// Whether there is neither member nor item, as in every scalar.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.node.len == 0
    }

    pub(super) fn bytes(&self) -> &'d [u8] {
        self.document.slice(self.node.span)
    }

    pub(super) fn span(&self) -> Span {
        self.node.span
    }

    /// The id past those of this value's last descendant: ids from `node()` up to it are this value's subtree.
    pub(super) fn subtree_end(&self) -> NodeId {
        NodeId(self.node.after)
    }

    /// Where this value begins together with its key, if it has one.
    pub(super) fn start_with_key(&self) -> u32 {
        if self.node.key == Span::EMPTY { self.node.span.start } else { self.node.key.start }
    }

    /// Members' values or items, whichever this has.
    pub(super) fn children(self) -> impl Iterator<Item = Value<'d>> + use<'d> {
        let Value { document, id, node } = self;
        let mut next = id.0.saturating_add(1);
        std::iter::from_fn(move || {
            if next >= node.after {
                return None;
            }
            let child = document.nodes.get(next as usize)?;
            let id = NodeId(std::mem::replace(&mut next, child.after));
            Some(Value { document, id, node: child })
        })
    }

    fn children_if(self, kind: Kind) -> impl Iterator<Item = Value<'d>> + use<'d> {
        (self.kind() == kind).then(|| self.children()).into_iter().flatten()
    }
}

impl<'d> Member<'d> {
    /// The decoded key.
    #[must_use]
    pub fn key(&self) -> Cow<'d, str> {
        token::decode(self.raw_key())
    }

    /// The key as it was written, with its quotes.
    #[must_use]
    pub fn raw_key(&self) -> &'d str {
        self.value.document.text(self.value.node.key)
    }

    /// The value under the key.
    #[must_use]
    pub fn value(&self) -> Value<'d> {
        self.value
    }

    pub(super) fn raw_key_bytes(&self) -> &'d [u8] {
        self.value.document.slice(self.value.node.key)
    }

    fn has_key(&self, key: &str) -> bool {
        let raw = self.raw_key_bytes();
        // An escape is never shorter than what it stands for, so a raw key below this length says less than `key`.
        if raw.len() < key.len().saturating_add(2) {
            return false;
        }
        if raw.contains(&b'\\') {
            self.key() == key
        } else {
            raw.get(1..raw.len() - 1) == Some(key.as_bytes())
        }
    }
}

impl Span {
    /// No JSON token is empty, so this stands for none.
    pub(super) const EMPTY: Span = Span { start: 0, end: 0 };
}
