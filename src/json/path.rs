//! Paths to values of a document: how a profile says where records and fields lie.
//!
//! ```text
//! path    = "$" *( "." key / "." "*" / bracket )          from the root
//!         / ( key / "*" / bracket ) *( same as above )    relative, from a record
//! bracket = "[" ( index / "*" / "'" quoted "'" ) "]"      in quotes, \' and \\ are the only escapes
//! ```
//!
//! `$.data[*].owner.id`, `$.related.*.items[*]`, `$['a.b'].c`, `amount.decimal`. `[*]` is every item of an array, `.*` every
//! member of an object; neither stands for the other. A path reaches fixed depths only: there is no `..`, no filter and
//! no slice. A value of another shape than a step expects has no match, which callers must treat as a flaw where they
//! need one; this file never decides that.

use std::fmt;
use std::ops::ControlFlow;

use super::value::Value;

/// A parsed path; two are equal if they are written the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JsonPath {
    text: String,
    segments: Vec<Segment>,
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Segment {
    /// The member with this decoded key.
    Key(String),
    /// The item at this place, from 0.
    Index(usize),
    /// Every item of an array.
    EachItem,
    /// Every member of an object.
    EachMember,
}

/// Why a text is not a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} at byte {offset} of the path")]
pub struct PathError {
    /// What is wrong, without the place.
    pub message: String,
    /// The place in the path's text, in bytes from 0.
    pub offset: usize,
}

impl JsonPath {
    /// Reads a path from the root (`$…`) or a relative one; where a relative one starts is for its user to say.
    ///
    /// # Errors
    /// The first flaw of the text, or that it is longer than [`PATH_BYTES_MAX`] or [`PATH_SEGMENTS_MAX`].
    pub fn parse(text: &str) -> Result<JsonPath, PathError> {
        if text.len() > PATH_BYTES_MAX {
            return refuse(PATH_BYTES_MAX, format!("more than {PATH_BYTES_MAX} bytes"));
        }
        let mut reader = Reader { text, at: 0 };
        let mut segments = Vec::new();
        if !reader.take("$") {
            segments.push(reader.first_segment()?);
        }
        while reader.at < text.len() {
            if segments.len() == PATH_SEGMENTS_MAX {
                return refuse(reader.at, format!("more than {PATH_SEGMENTS_MAX} segments"));
            }
            segments.push(reader.segment()?);
        }
        Ok(JsonPath { text: text.to_owned(), segments })
    }

    /// The steps in order; none for `$`.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// All matches below `start`, in source order.
    #[must_use]
    pub fn find<'d>(&self, start: Value<'d>) -> Vec<Value<'d>> {
        let mut found = Vec::new();
        let _: ControlFlow<()> = visit(&self.segments, start, &mut |value| {
            found.push(value);
            ControlFlow::Continue(())
        });
        found
    }

    /// The first match below `start` in source order.
    #[must_use]
    pub fn first<'d>(&self, start: Value<'d>) -> Option<Value<'d>> {
        visit(&self.segments, start, &mut ControlFlow::Break).break_value()
    }
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Shows every match to `on_match` until it breaks. Recurses once for each segment.
fn visit<'d, B>(
    segments: &[Segment],
    value: Value<'d>,
    on_match: &mut impl FnMut(Value<'d>) -> ControlFlow<B>,
) -> ControlFlow<B> {
    let Some((segment, rest)) = segments.split_first() else { return on_match(value) };
    match segment {
        Segment::Key(key) => value.member(key).into_iter().try_for_each(|next| visit(rest, next, on_match)),
        Segment::Index(at) => {
            value.items().nth(*at).into_iter().try_for_each(|next| visit(rest, next, on_match))
        }
        Segment::EachItem => value.items().try_for_each(|next| visit(rest, next, on_match)),
        Segment::EachMember => value.members().try_for_each(|member| visit(rest, member.value(), on_match)),
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    fn first_segment(&mut self) -> Result<Segment, PathError> {
        match self.peek() {
            None => refuse(self.at, "expected `$`, a key or `[`"),
            Some('[') => self.segment(),
            Some(_) => self.key_or_star(),
        }
    }

    fn segment(&mut self) -> Result<Segment, PathError> {
        if self.take(".") {
            return self.key_or_star();
        }
        if !self.take("[") {
            return refuse(self.at, "expected `.` or `[`");
        }
        let segment = if self.take("*") {
            Segment::EachItem
        } else if self.take("'") {
            Segment::Key(self.quoted_key()?)
        } else {
            self.index()?
        };
        if self.take("]") { Ok(segment) } else { refuse(self.at, "expected `]`") }
    }

    fn key_or_star(&mut self) -> Result<Segment, PathError> {
        if self.take("*") {
            return Ok(Segment::EachMember);
        }
        match self.take_while(is_bare) {
            "" => refuse(self.at, "expected a key (in quotes if it has other than plain characters) or `*`"),
            key => Ok(Segment::Key(key.to_owned())),
        }
    }

    fn quoted_key(&mut self) -> Result<String, PathError> {
        let mut key = String::new();
        loop {
            key.push_str(self.take_while(|c| !c.is_control() && c != '\'' && c != '\\'));
            if self.take("'") {
                return Ok(key);
            }
            if self.take(r"\'") {
                key.push('\'');
            } else if self.take(r"\\") {
                key.push('\\');
            } else {
                return refuse(self.at, r"expected a closing `'`, `\'` or `\\`");
            }
        }
    }

    fn index(&mut self) -> Result<Segment, PathError> {
        let start = self.at;
        let digits = self.take_while(|c| c.is_ascii_digit());
        match digits.parse() {
            _ if digits.is_empty() => refuse(start, "expected an index, `*` or a key in single quotes"),
            _ if digits.len() > 1 && digits.starts_with('0') => refuse(start, "an index has no leading zero"),
            Ok(index) => Ok(Segment::Index(index)),
            Err(_) => refuse(start, "the index is too large"),
        }
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take(&mut self, token: &str) -> bool {
        let is_there = self.rest().starts_with(token);
        self.at += if is_there { token.len() } else { 0 };
        is_there
    }

    fn take_while(&mut self, accepts: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let taken = rest.split(|c| !accepts(c)).next().unwrap_or_default();
        self.at += taken.len();
        taken
    }
}

/// What a key may have outside quotes. `$` is left out so that `$name` is a typo and not a key.
fn is_bare(c: char) -> bool {
    !c.is_control() && !c.is_whitespace() && !matches!(c, '.' | '[' | ']' | '*' | '\'' | '"' | '\\' | '$')
}

fn refuse<T>(offset: usize, message: impl Into<String>) -> Result<T, PathError> {
    Err(PathError { message: message.into(), offset })
}

/// The longest path, in bytes.
pub const PATH_BYTES_MAX: usize = 256;

/// The most steps a path may have.
pub const PATH_SEGMENTS_MAX: usize = 32;
