//! Writes a judged body anew, in the kind in which it came (PEP): JSON with what is left out cut away, a form from the
//! object that was judged.

use bytes::Bytes;

use super::super::map::body::ReadBody;
use super::super::map::{form, multipart};
use crate::bundle::profile::route::body::BodyKind;
use crate::json::parse::JsonLimits;
use crate::json::path::JsonPath;
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

/// Writes a body with what is left out cut away and what is sent along added to the object that holds the fields.
pub fn write(
    body: &ReadBody,
    fields_at: Option<&JsonPath>,
    left_out: &[NodeId],
    send_along: &[(String, String)],
) -> Result<WrittenBody, Problem> {
    let mut edits: Vec<_> = left_out.iter().map(|node| (*node, None)).collect();
    let object = fields_at.and_then(|at| at.first(body.document.root()));
    if let Some(object) = object.filter(|_| !send_along.is_empty()) {
        edits = vec![(object.node(), Some(with_members(object, left_out, send_along)))];
    }
    let json = Bytes::from(strip::replace_in(&body.document, &edits));
    if body.kind == BodyKind::Json {
        return Ok(WrittenBody { bytes: json, content_type: None });
    }
    let bytes_max = json.len();
    let limits = JsonLimits { bytes_max, depth_max: FORM_DEPTH_MAX, nodes_max: bytes_max };
    let internal = |_| Problem::new(Reason::Internal).internal("a judged form cannot be read back");
    let document = Document::parse(json, &limits).map_err(internal)?;
    let pairs = document.root().members().flat_map(|member| {
        let values = pairs_of(member.value());
        values.into_iter().map(move |value| (member.key().into_owned(), value))
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

/// The texts that stand for a value in a form: one for each item of a list of texts, JSON for what is composite.
fn pairs_of(value: Value<'_>) -> Vec<String> {
    let text =
        |value: Value<'_>| value.text().map_or_else(|| value.raw().to_owned(), |text| text.into_owned());
    match value.kind() {
        Kind::Array if value.items().all(|item| item.kind() == Kind::String) => {
            value.items().map(text).collect()
        }
        _ => vec![text(value)],
    }
}

/// Deeper than any body that was read.
const FORM_DEPTH_MAX: usize = 1024;
