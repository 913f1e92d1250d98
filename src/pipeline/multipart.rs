//! Reads a multipart form while it passes (RFC 7578): its fields may name other records, so each part must be declared.
//!
//! Promises: no byte goes on before the part that it stands in was read and found to be declared; what two readers could
//! take for two different forms is refused, also a boundary that does not begin a line: some cut there all the same. Never keeps more than a part's head and one delimiter.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::model::reason::Reason;

/// A form that passes.
pub struct Scanner {
    delimiter: Vec<u8>,
    names: Vec<String>,
    seen: BTreeSet<String>,
    held: Vec<u8>,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before the first delimiter.
    Start,
    /// Right after a delimiter.
    Delimited,
    /// In the head of a part.
    Head,
    /// In the body of a part.
    Body,
    /// After the last delimiter.
    Over,
    /// After the line end behind it.
    Done,
}

impl Scanner {
    /// A scanner for a body of that `Content-Type` whose parts may have these names.
    pub fn new(content_type: &str, names: Vec<String>) -> Result<Self, Reason> {
        let boundary = boundary(content_type).ok_or(Reason::MultipartRefused)?;
        let delimiter = [b"\r\n--", boundary.as_bytes()].concat();
        Ok(Self { delimiter, names, seen: BTreeSet::new(), held: Vec::new(), place: Place::Start })
    }

    /// Takes a piece, and gives what may go on.
    pub fn feed(&mut self, piece: &[u8]) -> Result<Bytes, Reason> {
        self.held.extend_from_slice(piece);
        let mut ready = Vec::new();
        while self.step(&mut ready)? {}
        Ok(Bytes::from(ready))
    }

    /// Whether the form came to its end.
    pub fn finish(&self) -> Result<(), Reason> {
        let is_over = matches!(self.place, Place::Over | Place::Done);
        if is_over && self.held.is_empty() { Ok(()) } else { Err(Reason::MultipartRefused) }
    }

    /// One step; `false` if more bytes are needed.
    fn step(&mut self, ready: &mut Vec<u8>) -> Result<bool, Reason> {
        match self.place {
            Place::Start => {
                let first = self.boundary().to_vec();
                let end = first.len();
                self.expect(&[(&first, Place::Delimited)], end, ready)
            }
            Place::Delimited => self.expect(&[(b"\r\n", Place::Head), (b"--", Place::Over)], 2, ready),
            Place::Head => self.head(ready),
            Place::Body => self.body(ready),
            // A line end after the form is usual; anything else could be a form for another reader.
            Place::Over => self.expect(&[(b"\r\n", Place::Done)], 2, ready),
            Place::Done if self.held.is_empty() => Ok(false),
            Place::Done => Err(Reason::MultipartRefused),
        }
    }

    fn expect(
        &mut self,
        texts: &[(&[u8], Place)],
        length: usize,
        ready: &mut Vec<u8>,
    ) -> Result<bool, Reason> {
        let Some((start, _)) = self.held.split_at_checked(length) else { return Ok(false) };
        let found = texts.iter().find(|(text, _)| *text == start);
        let (_, place) = found.ok_or(Reason::MultipartRefused)?;
        self.place = *place;
        ready.extend(self.held.drain(..length));
        Ok(true)
    }

    fn head(&mut self, ready: &mut Vec<u8>) -> Result<bool, Reason> {
        let Some(end) = find(&self.held, HEAD_END) else {
            return if self.held.len() >= HEAD_BYTES_MAX + HEAD_END.len() {
                Err(Reason::MultipartRefused)
            } else {
                Ok(false)
            };
        };
        let head = self.held.get(..end).filter(|head| head.len() <= HEAD_BYTES_MAX);
        let head = head.filter(|head| find(head, self.boundary()).is_none());
        let head = head.and_then(|head| std::str::from_utf8(head).ok()).ok_or(Reason::MultipartRefused)?;
        let name =
            part_name(head).filter(|name| self.names.contains(name)).ok_or(Reason::MultipartRefused)?;
        if !self.seen.insert(name) {
            return Err(Reason::MultipartRefused);
        }
        ready.extend(self.held.drain(..end + HEAD_END.len()));
        self.place = Place::Body;
        Ok(true)
    }

    fn body(&mut self, ready: &mut Vec<u8>) -> Result<bool, Reason> {
        if let Some(at) = find(&self.held, self.boundary()) {
            let end = at + self.boundary().len();
            // Also the line end of an empty part is its own, not that of its head.
            let is_delimiter = self.held.get(..end).is_some_and(|held| held.ends_with(&self.delimiter));
            if !is_delimiter {
                return Err(Reason::MultipartRefused);
            }
            ready.extend(self.held.drain(..end));
            self.place = Place::Delimited;
            return Ok(true);
        }
        let inert = self.held.len().saturating_sub(self.delimiter.len() - 1);
        ready.extend(self.held.drain(..inert));
        Ok(false)
    }

    /// The delimiter without the line end before it.
    fn boundary(&self) -> &[u8] {
        self.delimiter.get(LINE_END.len()..).unwrap_or_default()
    }
}

/// The boundary of `multipart/form-data; boundary=…`; nothing else may stand there.
fn boundary(content_type: &str) -> Option<&str> {
    let (essence, parameter) = content_type.split_once(';')?;
    let (name, value) = parameter.trim().split_once('=')?;
    let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    let is_plain = (1..=70).contains(&value.len())
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&b));
    let is_form =
        essence.trim().eq_ignore_ascii_case("multipart/form-data") && name.eq_ignore_ascii_case("boundary");
    (is_form && is_plain).then_some(value)
}

/// The name of a part, if its head has nothing but a disposition and a type.
fn part_name(head: &str) -> Option<String> {
    let mut name = None;
    let mut has_type = false;
    for line in head.split("\r\n") {
        let (header, value) = line.split_once(':')?;
        if value.chars().any(char::is_control) {
            return None;
        }
        match header.to_ascii_lowercase().as_str() {
            "content-disposition" if name.is_none() => name = Some(disposition(value.trim())?),
            "content-type" if !has_type && !value.to_ascii_lowercase().contains("multipart") => {
                has_type = true
            }
            _ => return None,
        }
    }
    name
}

/// The name in `form-data; name="…"; filename="…"`.
fn disposition(value: &str) -> Option<String> {
    let mut rest = value.strip_prefix("form-data")?;
    let (mut name, mut filename) = (None, None);
    while !rest.is_empty() {
        let inner = rest.strip_prefix(';')?.trim_start();
        let (key, inner) = inner.split_once("=\"")?;
        let (text, after) = inner.split_once('"')?;
        let slot = match key {
            "name" => &mut name,
            "filename" => &mut filename,
            _ => return None,
        };
        if text.contains('\\') || slot.replace(text.to_owned()).is_some() {
            return None;
        }
        rest = after.trim_start();
    }
    name
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = wanted.first()?;
    let mut from = 0;
    loop {
        let rest = bytes.get(from..)?;
        let at = from + rest.iter().position(|byte| byte == first)?;
        if bytes.get(at..)?.starts_with(wanted) {
            return Some(at);
        }
        from = at + 1;
    }
}

const LINE_END: &[u8] = b"\r\n";
/// The empty line that ends a part's head.
const HEAD_END: &[u8] = b"\r\n\r\n";
/// Bytes of a part's head.
const HEAD_BYTES_MAX: usize = 4 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=XX";

    /// What went on when the form came in pieces of `size` bytes, or that it was refused.
    fn run(form: &str, size: usize) -> Result<Vec<u8>, Reason> {
        let mut scanner = Scanner::new(TYPE, vec!["file".to_owned(), "title".to_owned()])?;
        let mut passed = Vec::new();
        for piece in form.as_bytes().chunks(size) {
            passed.extend_from_slice(&scanner.feed(piece)?);
        }
        scanner.finish().map(|()| passed)
    }

    #[track_caller]
    fn check(form: &str, is_taken: bool) {
        for size in [1, 2, 7, 4096] {
            let found = run(form, size);
            assert_eq!(found.is_ok(), is_taken, "{form:?} in pieces of {size}");
            if let Ok(passed) = found {
                assert_eq!(form.as_bytes(), passed, "{form:?}");
            }
        }
    }

    const FILE: &str = "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.pdf\"\r\nContent-Type: application/pdf\r\n\r\n";

    #[test]
    fn declared_parts_pass_byte_for_byte() {
        check(&format!("{FILE}data\r\n--XX--\r\n"), true);
        check(&format!("{FILE}\r\n--XX--"), true);
        check(&format!("{FILE}\r\n--XXY\r\n--XX--\r\n"), false);
        check(&format!("{FILE}\r\n--X\r\n--YX\r\n\r\n--XX--\r\n"), true);
        check(
            &format!(
                "{FILE}x\r\n--XX\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nHello\r\n--XX--\r\n"
            ),
            true,
        );
    }

    #[test]
    fn other_forms_are_refused() {
        let part = |head: &str| format!("--XX\r\n{head}\r\n\r\n7\r\n--XX--\r\n");
        check(&part("Content-Disposition: form-data; name=\"deal_id\""), false);
        check(&part("Content-Disposition: form-data; name=file"), false);
        check(&part("Content-Disposition: form-data; name=\"file\"; name=\"deal_id\""), false);
        check(&part("Content-Disposition: form-data; name=\"file\\\"; x=\""), false);
        check(&part("Content-Disposition: form-data; name=\"file\"; filename*=utf-8''x"), false);
        check(&part("Content-Disposition: attachment; name=\"file\""), false);
        check(&part("Content-Type: text/plain"), false);
        check(
            &part(
                "Content-Disposition: form-data; name=\"file\"\r\nContent-Type: multipart/mixed; boundary=Y",
            ),
            false,
        );
        check(&part("Content-Disposition: form-data; name=\"file\"\r\nX-Other: 1"), false);
        check(&part("Content-Disposition: form-data; name=\"file\"\r\n folded"), false);
        check(&part("Content-Disposition: form-data; name=\"file\"\nX: 1"), false);
        check(&format!("{FILE}1\r\n{FILE}2\r\n--XX--\r\n"), false);
        check(&format!("preamble\r\n{FILE}1\r\n--XX--\r\n"), false);
        check(&format!("{FILE}1\r\n--XX--\r\nepilogue"), false);
        check(&format!("{FILE}1\r\n--XX--\r\n--XX\r\n"), false);
        check(&format!("{FILE}1\r\n--XX \r\n"), false);
        check(&format!("{FILE}1"), false);
        check("", false);
        check(&format!("{FILE}1\r\n--XX--\r"), false);
        check("--XX--\r\n", true);
    }

    /// Some readers cut at the boundary wherever it stands, as Django does: to them this is another part.
    #[test]
    fn a_boundary_inside_of_a_part_is_refused() {
        let other = "Content-Disposition: form-data; name=\"deal_id\"\r\n\r\n7\r\n--XX--\r\n";
        check(&format!("{FILE}data--XX\r\n{other}"), false);
        check(&format!("{FILE}data\n--XX\n{other}"), false);
        check(&format!("{FILE}data\r--XX\r\n{other}"), false);
        check(&format!("{FILE}--XX\r\n{other}"), false);
        check(&format!("{FILE}data--XX--\r\n--XX--\r\n"), false);
        let within = |head: &str| format!("--XX\r\n{head}\r\n\r\n7\r\n--XX--\r\n");
        check(&within("Content-Disposition: form-data; name=\"file\"; filename=\"--XX\""), false);
        check(&within("Content-Disposition: form-data; name=\"file\"\r\nContent-Type: a/b; c=--XX"), false);
        check(&format!("{FILE}-XX\r\n-XX- -XX\r\n--XX--\r\n"), true);
    }

    #[test]
    fn a_head_has_its_limit() {
        let part = |filler: usize| {
            let name = "x".repeat(filler);
            format!(
                "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n1\r\n--XX--\r\n"
            )
        };
        let frame = "Content-Disposition: form-data; name=\"file\"; filename=\"\"".len();
        check(&part(HEAD_BYTES_MAX - frame), true);
        check(&part(HEAD_BYTES_MAX - frame + 1), false);
    }

    #[test]
    fn boundaries_have_one_form() {
        for (content_type, expected) in [
            ("multipart/form-data; boundary=abc", Some("abc")),
            ("Multipart/Form-Data;boundary=\"a'b\"", Some("a'b")),
            ("multipart/form-data", None),
            ("multipart/form-data; boundary=", None),
            ("multipart/form-data; boundary=a; boundary=b", None),
            ("multipart/form-data; charset=x; boundary=a", None),
            ("multipart/mixed; boundary=a", None),
            ("multipart/form-data; boundary=a b", None),
        ] {
            assert_eq!(boundary(content_type), expected, "{content_type}");
        }
        assert_eq!(
            boundary(&format!("multipart/form-data; boundary={}", "a".repeat(70))).map(str::len),
            Some(70)
        );
        assert_eq!(boundary(&format!("multipart/form-data; boundary={}", "a".repeat(71))), None);
    }
}
