//! Writes a judged body anew, in the kind in which it came (PEP): JSON with what is left out cut away, a form from the
//! object that was judged.

use bytes::Bytes;

use super::super::map::body::ReadBody;
use super::super::map::{form, multipart};
use crate::bundle::profile::route::body::BodyKind;
use crate::json::parse::JsonLimits;
use crate::json::path::{JsonPath, Segment};
use crate::json::strip;
use crate::json::value::{Document, Kind, NodeId, Value};
use crate::model::problem::Problem;
use crate::model::reason::Reason;

/// A body to forward.
pub struct WrittenBody {
    /// The bytes.
    pub bytes: Bytes,
    /// Its content type; `None` for JSON, whose own is kept.
    pub content_type: Option<String>,
}

/// What becomes of a body on its way.
#[derive(Clone, Copy, Default)]
pub struct Edits<'e> {
    /// The object that holds the fields.
    pub fields_at: Option<&'e JsonPath>,
    /// That object anew, as JSON text; nothing else is cut or added then.
    pub whole: Option<&'e str>,
    /// Values that are cut away.
    pub left_out: &'e [NodeId],
    /// Members that are added to the object that holds the fields, as JSON texts by key.
    pub send_along: &'e [(String, String)],
    /// What is written at one place, whatever stood there, as JSON text.
    pub set: Option<(&'e JsonPath, &'e str)>,
}

/// Writes a body with its edits.
pub fn write(body: &ReadBody, edits: Edits<'_>) -> Result<WrittenBody, Problem> {
    let Edits { fields_at, whole, left_out, send_along, set } = edits;
    let mut cut: Vec<_> = left_out.iter().map(|node| (*node, None)).collect();
    let object = fields_at.and_then(|at| at.first(body.document.root()));
    if let Some((object, whole)) = object.zip(whole) {
        cut = vec![(object.node(), Some(whole.as_bytes().to_vec()))];
    } else if let Some(object) = object.filter(|_| !send_along.is_empty()) {
        cut = vec![(object.node(), Some(with_members(object, left_out, send_along)))];
    }
    let mut json = Bytes::from(strip::replace_in(&body.document, &cut));
    if let Some((at, text)) = set {
        json = with_value(&read_back(json)?, at, text)?;
    }
    if body.kind == BodyKind::Json {
        return Ok(WrittenBody { bytes: json, content_type: None });
    }
    let document = read_back(json)?;
    let pairs = document.root().members().flat_map(|member| {
        let key = member.key().into_owned();
        let values = match body.json_in.contains(&key) {
            // JSON it was and is: the text in a JSON string must not become what it holds.
            true => vec![member.value().raw().to_owned()],
            false => pairs_of(member.value()),
        };
        values.into_iter().map(move |value| (key.clone(), value))
    });
    let pairs: Vec<(String, String)> = pairs.collect();
    let (text, content_type) = match body.kind {
        BodyKind::Multipart => multipart::write(&pairs),
        BodyKind::Form | BodyKind::Json => {
            (form::write(&pairs), "application/x-www-form-urlencoded".to_owned())
        }
    };
    Ok(WrittenBody { bytes: Bytes::from(text), content_type: Some(content_type) })
}

/// A body that was written, as a document.
fn read_back(json: Bytes) -> Result<Document, Problem> {
    let bytes_max = json.len();
    let limits = JsonLimits { bytes_max, depth_max: WRITTEN_DEPTH_MAX, nodes_max: bytes_max };
    let internal = |_| Problem::new(Reason::Internal).internal("a judged body cannot be read back");
    Document::parse(json, &limits).map_err(internal)
}

/// A body with a value at a place that ends in a key: in place of what stands there, or as a further member.
fn with_value(document: &Document, at: &JsonPath, text: &str) -> Result<Bytes, Problem> {
    let text = text.as_bytes().to_vec();
    if let Some(value) = at.first(document.root()) {
        return Ok(Bytes::from(strip::replace_in(document, &[(value.node(), Some(text))])));
    }
    let (last, outer) = at.segments().split_last().ok_or(Reason::BodyShape)?;
    let Segment::Key(key) = last else { return Err(Reason::BodyShape.into()) };
    let mut object = document.root();
    for segment in outer {
        let Segment::Key(key) = segment else { return Err(Reason::BodyShape.into()) };
        object = object.member(key).ok_or(Reason::BodyShape)?;
    }
    if object.kind() != Kind::Object {
        return Err(Reason::BodyShape.into());
    }
    let member = [(key.clone(), String::from_utf8_lossy(&text).into_owned())];
    let edit = (object.node(), Some(with_members(object, &[], &member)));
    Ok(Bytes::from(strip::replace_in(document, &[edit])))
}

/// An object's members but those that are left out, and more.
fn with_members(object: Value<'_>, left_out: &[NodeId], more: &[(String, String)]) -> Vec<u8> {
    let cut: Vec<(NodeId, Option<Vec<u8>>)> = left_out.iter().map(|node| (*node, None)).collect();
    let own = object.members().filter(|member| !left_out.contains(&member.value().node())).map(|member| {
        let value = strip::edited(member.value(), &cut);
        format!("{}:{}", member.raw_key(), String::from_utf8_lossy(&value))
    });
    let more = more.iter().map(|(key, text)| format!("{}:{text}", serde_json::Value::String(key.clone())));
    let members: Vec<String> = own.chain(more).collect();
    format!("{{{}}}", members.join(",")).into_bytes()
}

/// The texts that stand for a value in a form: one for each item of a flat list, JSON for what is composite.
fn pairs_of(value: Value<'_>) -> Vec<String> {
    let text =
        |value: Value<'_>| value.text().map_or_else(|| value.raw().to_owned(), |text| text.into_owned());
    match value.kind() {
        Kind::Array if value.items().all(|item| !matches!(item.kind(), Kind::Array | Kind::Object)) => {
            value.items().map(text).collect()
        }
        _ => vec![text(value)],
    }
}

/// Deeper than any body that was read.
const WRITTEN_DEPTH_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::super::super::map::body::read;
    use super::*;
    use crate::bundle::profile::route::body::BodySpec;
    use http::HeaderMap;
    use http::header::CONTENT_TYPE;

    /// What is forwarded of a form as it was read.
    #[track_caller]
    fn check(form: &str, expected: &str) {
        let spec = BodySpec {
            kinds: vec![BodyKind::Form],
            is_optional: false,
            repeatable: vec!["tags".to_owned()],
            json_in: vec!["args".to_owned()],
        };
        let headers = HeaderMap::from_iter([(
            CONTENT_TYPE,
            http::HeaderValue::from_static("application/x-www-form-urlencoded"),
        )]);
        let limits = JsonLimits { bytes_max: 1000, depth_max: 8, nodes_max: 100 };
        let body = read(&spec, &headers, Bytes::from(form.to_owned()), &limits).unwrap().unwrap();
        let written = write(&body, Edits::default()).unwrap();
        assert_eq!(written.bytes, expected, "{form}");
    }

    /// What is sent along stands in a form as callers would have sent it, numbers like texts.
    #[test]
    fn lists_that_are_sent_along_repeat_their_key() {
        let spec = BodySpec {
            kinds: vec![BodyKind::Form],
            repeatable: vec!["tags".to_owned()],
            ..BodySpec::default()
        };
        let form = "application/x-www-form-urlencoded";
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, http::HeaderValue::from_static(form))]);
        let limits = JsonLimits { bytes_max: 1000, depth_max: 8, nodes_max: 100 };
        let body = read(&spec, &headers, Bytes::from_static(b"a=1"), &limits).unwrap().unwrap();
        let along = |text: &str| [("tags".to_owned(), text.to_owned())];
        let root = JsonPath::parse("$").unwrap();
        for (text, expected) in [("[7,8]", "a=1&tags=7&tags=8"), (r#"["x","y"]"#, "a=1&tags=x&tags=y")] {
            let send_along = along(text);
            let edits = Edits { fields_at: Some(&root), send_along: &send_along, ..Edits::default() };
            assert_eq!(write(&body, edits).unwrap().bytes, expected, "{text}");
        }
    }

    #[test]
    fn a_form_is_written_as_it_was_judged() {
        check("a=1&tags=x&tags=y", "a=1&tags=x&tags=y");
        check("args={\"a\":[1]}", "args=%7B%22a%22%3A%5B1%5D%7D");
        // A text that holds JSON was judged as a text, and must not become what it holds.
        check("args=\"[{}]\"", "args=%22%5B%7B%7D%5D%22");
        check("args=[\"x\",\"y\"]", "args=%5B%22x%22%2C%22y%22%5D");
        check("args=[]", "args=%5B%5D");
    }
}
