//! `multipart/form-data` (RFC 7578) without files, read strictly and written anew.
//!
//! Promises: one reading or none. No preamble, no epilogue, no folded headers, no transfer codings, no file names, and no
//! escapes in names, which readers disagree on.

use super::super::canonical::check_method_override;
use super::body::has_charset_utf8_or_none;
use super::form::check_value;
use crate::model::problem::Problem;
use crate::model::reason::Reason;

/// Reads the pairs of a form, in order.
pub fn read(body: &[u8], content_type: &str) -> Result<Vec<(String, String)>, Problem> {
    let text = std::str::from_utf8(body).map_err(|_| Reason::FormSyntax)?;
    let boundary = boundary(content_type).ok_or(Reason::FormSyntax)?;
    let first = format!("--{boundary}\r\n");
    let mut rest = text.strip_prefix(&first).ok_or(Reason::FormSyntax)?;
    let end = format!("\r\n--{boundary}");
    let mut pairs = Vec::new();
    loop {
        let (part, after) = rest.split_once(&end).ok_or(Reason::FormSyntax)?;
        pairs.push(read_part(part)?);
        if matches!(after, "--" | "--\r\n") {
            return Ok(pairs);
        }
        rest = after.strip_prefix("\r\n").ok_or(Reason::FormSyntax)?;
    }
}

fn read_part(part: &str) -> Result<(String, String), Problem> {
    let (head, value) = part.split_once("\r\n\r\n").ok_or(Reason::FormSyntax)?;
    let mut name = None;
    for line in head.split("\r\n") {
        let (header, content) = line.split_once(':').ok_or(Reason::FormSyntax)?;
        match header.to_ascii_lowercase().as_str() {
            "content-disposition" if name.is_none() => name = Some(read_disposition(content.trim())?),
            "content-type" => check_type(content.trim())?,
            _ => return Err(Reason::FormSyntax.into()),
        }
    }
    let name = name.ok_or(Reason::FormSyntax)?;
    check_method_override(&name)?;
    check_value(value)?;
    Ok((name, value.to_owned()))
}

fn read_disposition(content: &str) -> Result<String, Problem> {
    let parameters = content.strip_prefix("form-data;").ok_or(Reason::FormSyntax)?.trim();
    if parameters.to_ascii_lowercase().contains("filename") {
        return Err(Reason::FormFile.into());
    }
    let name = parameters.strip_prefix("name=\"").and_then(|rest| rest.strip_suffix('"'));
    let is_plain = |c: char| !c.is_control() && !matches!(c, '"' | '\\' | '%');
    match name.filter(|name| !name.is_empty() && name.chars().all(is_plain)) {
        Some(name) => Ok(name.to_owned()),
        None => Err(Reason::FormSyntax.into()),
    }
}

fn check_type(content_type: &str) -> Result<(), Problem> {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    match essence.eq_ignore_ascii_case("text/plain") && has_charset_utf8_or_none(content_type) {
        true => Ok(()),
        false => Err(Reason::FormFile.into()),
    }
}

/// The one boundary that a content type states.
fn boundary(content_type: &str) -> Option<&str> {
    let mut parameters = content_type.split(';').skip(1).map(str::trim);
    let parameter = parameters.next().filter(|_| parameters.next().is_none())?;
    let (name, value) = parameter.split_once('=')?;
    let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&b);
    let fits = (1..=BOUNDARY_BYTES_MAX).contains(&value.len()) && value.bytes().all(is_plain);
    (name.eq_ignore_ascii_case("boundary") && fits).then_some(value)
}

/// Writes the pairs of a form, with the content type that names their boundary.
pub fn write(pairs: &[(String, String)]) -> (String, String) {
    let occurs = |boundary: &str| {
        pairs.iter().any(|(name, value)| name.contains(boundary) || value.contains(boundary))
    };
    let mut boundary = "lockkeeper".to_owned();
    // Each step is longer, so a text that holds them all would have to be longer than any body.
    while occurs(&boundary) {
        boundary.push_str("-form");
    }
    let mut body = String::new();
    for (name, value) in pairs {
        body.push_str(&format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        ));
    }
    body.push_str(&format!("--{boundary}--\r\n"));
    (body, format!("multipart/form-data; boundary={boundary}"))
}

/// Bytes of a boundary (RFC 2046 §5.1.1).
const BOUNDARY_BYTES_MAX: usize = 70;

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=xY7";

    fn part(head: &str, value: &str) -> String {
        format!("--xY7\r\n{head}\r\n\r\n{value}\r\n")
    }

    fn named(name: &str, value: &str) -> String {
        part(&format!("Content-Disposition: form-data; name=\"{name}\""), value)
    }

    #[track_caller]
    fn check(body: &str, expected: Result<&[(&str, &str)], Reason>) {
        let found = read(body.as_bytes(), TYPE).map_err(|problem| problem.reason);
        let expected = expected.map(|pairs| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Vec<_>>()
        });
        assert_eq!(found, expected, "{body}");
    }

    #[test]
    fn forms_are_read_strictly() {
        let two = named("stage", "WON") + &named("note", "a\r\nb") + "--xY7--\r\n";
        check(&two, Ok(&[("stage", "WON"), ("note", "a\r\nb")]));
        let typed = part("content-disposition: form-data; name=\"a\"\r\nContent-Type: text/plain", "1");
        check(&(typed + "--xY7--"), Ok(&[("a", "1")]));
        let end = "--xY7--\r\n";
        check(&(named("a", "1") + end + "epilogue"), Err(Reason::FormSyntax));
        check(&("preamble\r\n".to_owned() + &named("a", "1") + end), Err(Reason::FormSyntax));
        check(&named("a", "1"), Err(Reason::FormSyntax));
        check(&(named("a\\\"; b", "1") + end), Err(Reason::FormSyntax));
        check(&(named("a%22", "1") + end), Err(Reason::FormSyntax));
        check(&(named("", "1") + end), Err(Reason::FormSyntax));
        check(&(part("X-Odd: 1", "1") + end), Err(Reason::FormSyntax));
        let coded = "Content-Disposition: form-data; name=\"a\"\r\nContent-Transfer-Encoding: base64";
        check(&(part(coded, "MQ==") + end), Err(Reason::FormSyntax));
        let twice =
            "Content-Disposition: form-data; name=\"a\"\r\nContent-Disposition: form-data; name=\"b\"";
        check(&(part(twice, "1") + end), Err(Reason::FormSyntax));
        check(&(named("_method", "DELETE") + end), Err(Reason::MethodOverride));
    }

    #[test]
    fn files_are_refused() {
        let end = "--xY7--\r\n";
        for head in [
            "Content-Disposition: form-data; name=\"a\"; filename=\"b.txt\"",
            "Content-Disposition: form-data; filename*=utf-8''b; name=\"a\"",
            "Content-Disposition: form-data; name=\"a\"\r\nContent-Type: application/octet-stream",
        ] {
            check(&(part(head, "1") + end), Err(Reason::FormFile));
        }
    }

    #[test]
    fn boundaries_are_one_and_plain() {
        for content_type in [
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=a; boundary=xY7",
            "multipart/form-data; charset=utf-8; boundary=xY7",
            "multipart/form-data; boundary=a b",
        ] {
            assert!(read((named("a", "1") + "--xY7--").as_bytes(), content_type).is_err(), "{content_type}");
        }
        let long = |count: usize| format!("multipart/form-data; boundary={}", "b".repeat(count));
        assert!(boundary(&long(BOUNDARY_BYTES_MAX)).is_some());
        assert!(boundary(&long(BOUNDARY_BYTES_MAX + 1)).is_none());
    }

    #[test]
    fn what_is_written_reads_back() {
        let pairs = vec![("a".to_owned(), "--lockkeeper\r\n".to_owned()), ("b".to_owned(), String::new())];
        let (body, content_type) = write(&pairs);
        assert_eq!(read(body.as_bytes(), &content_type).unwrap(), pairs);
    }
}
