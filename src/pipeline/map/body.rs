//! Reads a request body as one document, whatever its kind: a form becomes the object of its keys, and is judged as that.
//!
//! Promises: the kind that was parsed is the kind that is written anew; what two readers could take for two different
//! things is refused; files are refused.

use std::collections::HashMap;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};

use super::super::canonical::check_method_override;
use super::form;
use super::multipart;
use crate::bundle::profile::route::body::{BodyKind, BodySpec};
use crate::json::parse::{JsonError, JsonLimits};
use crate::json::token::quoted;
use crate::json::value::Document;
use crate::model::problem::Problem;
use crate::model::reason::Reason;

/// A body that was parsed.
#[derive(Clone, Debug)]
pub struct ReadBody {
    /// What it says.
    pub document: Document,
    /// The kind in which it came and is forwarded.
    pub kind: BodyKind,
    /// Keys of a form whose value is JSON in a string.
    pub json_in: Vec<String>,
}

/// Reads a body by what the route takes.
pub fn read(
    spec: &BodySpec,
    headers: &HeaderMap,
    body: Bytes,
    limits: &JsonLimits,
) -> Result<Option<ReadBody>, Problem> {
    if body.is_empty() {
        return match spec.is_none() || spec.is_optional {
            true => Ok(None),
            false => Err(Reason::BodyMissing.into()),
        };
    }
    if spec.is_none() {
        return Err(Reason::BodyUnexpected.into());
    }
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind_of(content_type).filter(|kind| spec.kinds.contains(kind)).ok_or(Reason::BodyType)?;
    let mut codings = headers.get_all(CONTENT_ENCODING).iter();
    if codings.any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(Reason::BodyCoding.into());
    }
    let document = match kind {
        BodyKind::Json => json(body, limits)?,
        BodyKind::Form => object_of(&form::read(&body)?, spec, limits)?,
        BodyKind::Multipart => object_of(&multipart::read(&body, content_type)?, spec, limits)?,
    };
    Ok(Some(ReadBody { document, kind, json_in: spec.json_in.clone() }))
}

/// Some CRMs take the method from a key of JSON as they do from one of a form.
fn json(body: Bytes, limits: &JsonLimits) -> Result<Document, Problem> {
    let document = Document::parse(body, limits).map_err(refused)?;
    document.root().members().try_for_each(|member| check_method_override(&member.key()))?;
    Ok(document)
}

fn kind_of(content_type: &str) -> Option<BodyKind> {
    if !names_one_kind(content_type) {
        return None;
    }
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/x-www-form-urlencoded" if has_charset_utf8_or_none(content_type) => Some(BodyKind::Form),
        "multipart/form-data" => Some(BodyKind::Multipart),
        _ => is_json(content_type).then_some(BodyKind::Json),
    }
}

/// Whether a content type is JSON in UTF-8, vendor types included.
pub fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json =
        essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"));
    is_json && has_charset_utf8_or_none(content_type)
}

/// Whether a content type states no other charset than UTF-8. Its parameters go on with it, so what some reader could take
/// for another charset counts as one: spaces around `=`, the forms of RFC 2231 (`charset*=`), a `;` in quotes.
pub fn has_charset_utf8_or_none(content_type: &str) -> bool {
    let parameters = content_type.split(';').skip(1).map(|part| part.trim_matches([' ', '\t']));
    let mut charsets = 0;
    let are_plain = parameters.filter(|parameter| !parameter.is_empty()).all(|parameter| {
        let Some((name, value)) = parameter.split_once('=') else { return false };
        let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        let is_value = match quoted {
            Some(text) => !text.contains(['"', '\\']),
            None => is_token(value),
        };
        let is_charset = name.eq_ignore_ascii_case("charset");
        charsets += usize::from(is_charset);
        let is_utf8 = quoted.unwrap_or(value).eq_ignore_ascii_case("utf-8");
        is_token(name) && !name.contains('*') && is_value && (!is_charset || is_utf8)
    });
    are_plain && charsets <= 1
}

/// Whether a content type is one kind of body to every reader. Some cut it at a comma or a space, some take it for a form by a
/// word that stands anywhere in it.
pub fn names_one_kind(content_type: &str) -> bool {
    let content_type = content_type.to_ascii_lowercase();
    let (essence, parameters) = content_type.split_once(';').unwrap_or((&content_type, ""));
    let is_type =
        essence.trim().split_once('/').is_some_and(|(family, kind)| is_token(family) && is_token(kind));
    let is_form = match essence.trim() {
        "application/x-www-form-urlencoded" => {
            !parameters.contains("urlencoded") && !parameters.contains("multipart")
        }
        "multipart/form-data" => !parameters.contains("urlencoded"),
        _ => !content_type.contains("urlencoded") && !content_type.contains("multipart"),
    };
    is_type && is_form
}

/// A token (RFC 9110 §5.6.2).
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// The object that a form stands for: texts by key, lists where the profile says that a key repeats, and JSON where it says
/// that a string holds it.
fn object_of(pairs: &[(String, String)], spec: &BodySpec, limits: &JsonLimits) -> Result<Document, Problem> {
    let mut members: Vec<(&str, Vec<String>)> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (key, value) in pairs {
        let text = match spec.json_in.contains(key) {
            // Parsed by itself first: its text must not be able to end the member that it stands in.
            true => {
                Document::parse(Bytes::from(value.clone()), limits).map_err(refused)?.root().raw().to_owned()
            }
            false => quoted(value),
        };
        match places.get(key.as_str()).and_then(|place| members.get_mut(*place)) {
            Some((_, values)) if spec.repeatable.contains(key) => values.push(text),
            Some(_) => return Err(Reason::FormDuplicateKey.into()),
            None => {
                places.insert(key, members.len());
                members.push((key, vec![text]));
            }
        }
    }
    let members: Vec<String> = members
        .into_iter()
        .map(|(key, values)| match spec.repeatable.iter().any(|known| known == key) {
            true => format!("{}:[{}]", quoted(key), values.join(",")),
            false => format!("{}:{}", quoted(key), values.concat()),
        })
        .collect();
    // The form itself was within the limit; what quoting adds to it is not the caller's.
    let limits = JsonLimits { bytes_max: limits.bytes_max.saturating_mul(QUOTED_GROWTH_MAX), ..*limits };
    Document::parse(Bytes::from(format!("{{{}}}", members.join(","))), &limits).map_err(refused)
}

/// Why a JSON body is refused.
pub fn refused(error: JsonError) -> Problem {
    let reason = match &error {
        JsonError::DuplicateKey { .. } => Reason::JsonDuplicateKey,
        JsonError::TooDeep { .. } | JsonError::TooMany { .. } => Reason::JsonDepth,
        JsonError::TooLarge { .. } => Reason::BodyTooLarge,
        JsonError::NotUtf8 { .. } | JsonError::Syntax { .. } => Reason::JsonSyntax,
    };
    Problem::new(reason).detail(format!("byte {} of the body", error.offset()))
}

/// By how much quoting can lengthen a text and its separators, at most.
const QUOTED_GROWTH_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: JsonLimits = JsonLimits { bytes_max: 200, depth_max: 8, nodes_max: 40 };

    #[track_caller]
    fn check(spec: &BodySpec, content_type: &str, body: &str, expected: Result<&str, Reason>) {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, content_type.parse().unwrap());
        let found = read(spec, &headers, Bytes::from(body.to_owned()), &LIMITS);
        let found =
            found.map(|body| body.map(|body| body.document.root().raw().to_owned()).unwrap_or_default());
        let found = found.map_err(|problem| problem.reason);
        assert_eq!(found.as_deref().map_err(|reason| *reason), expected, "{content_type}: {body}");
    }

    fn all() -> BodySpec {
        BodySpec {
            kinds: vec![BodyKind::Json, BodyKind::Form, BodyKind::Multipart],
            is_optional: false,
            repeatable: vec!["tags".to_owned()],
            json_in: vec!["args".to_owned()],
        }
    }

    const FORM: &str = "application/x-www-form-urlencoded";
    const JSON: &str = "application/json";

    #[test]
    fn a_form_is_the_object_of_its_keys() {
        check(&all(), FORM, "stage=WON&note=a%22b+%C3%A9", Ok(r#"{"stage":"WON","note":"a\"b é"}"#));
        check(&all(), FORM, "tags=a&x=1&tags=b", Ok(r#"{"tags":["a","b"],"x":"1"}"#));
        check(&all(), FORM, "tags=a", Ok(r#"{"tags":["a"]}"#));
        check(&all(), FORM, "args=%5B1,%7B%22a%22:2%7D%5D", Ok(r#"{"args":[1,{"a":2}]}"#));
    }

    #[test]
    fn two_meanings_are_refused() {
        check(&all(), FORM, "stage=WON&stage=LOST", Err(Reason::FormDuplicateKey));
        check(&all(), FORM, "args=1&args=2", Err(Reason::FormDuplicateKey));
        check(&all(), FORM, "args=1%7D,%22stage%22:%7B%22a%22:1", Err(Reason::JsonSyntax));
        check(&all(), FORM, "args=%7B%22a%22:1,%22a%22:2%7D", Err(Reason::JsonDuplicateKey));
        check(&all(), FORM, "{\"stage\":\"WON\"}", Ok(r#"{"{\"stage\":\"WON\"}":""}"#));
    }

    #[test]
    fn no_body_names_the_method() {
        for key in ["_method", "_METHOD", "\\u005fmethod", "_HttpMethod"] {
            check(&all(), JSON, &format!("{{\"a\":1,\"{key}\":\"DELETE\"}}"), Err(Reason::MethodOverride));
        }
        check(&all(), JSON, r#"{"a":{"_method":1}}"#, Ok(r#"{"a":{"_method":1}}"#));
        check(&all(), FORM, "_method=DELETE", Err(Reason::MethodOverride));
    }

    #[test]
    fn only_declared_kinds_are_read() {
        check(&BodySpec::json(), FORM, "a=1", Err(Reason::BodyType));
        check(&BodySpec::json(), "application/json", "{\"a\":1}", Ok("{\"a\":1}"));
        check(&BodySpec::json(), "application/json; charset=latin1", "{}", Err(Reason::BodyType));
        check(&all(), "application/x-www-form-urlencoded; charset=latin1", "a=1", Err(Reason::BodyType));
        check(&all(), "text/plain", "a=1", Err(Reason::BodyType));
        check(&all(), FORM, "", Err(Reason::BodyMissing));
        check(&BodySpec::default(), FORM, "a=1", Err(Reason::BodyUnexpected));
    }

    /// A JSON body keeps its content type, so a charset that other readers find in it must be found here.
    #[test]
    fn a_charset_is_found_however_it_is_spelled() {
        for parameters in [
            "charset=utf-7",
            "CHARSET=utf-7",
            "charset =utf-7",
            "charset= utf-7",
            "charset\t=utf-7",
            "charset*=us-ascii''utf-7",
            "charset*0=utf; charset*1=-7",
            "charset=utf-8; charset=utf-7",
            "charset=utf-8; charset=utf-8",
            "a=1; charset =utf-7",
            "a=\"; charset=utf-7; b=\"",
            "a=\"\\\"; charset=utf-7",
            "charset",
            "charset=",
            "=utf-8",
        ] {
            check(&all(), &format!("application/json; {parameters}"), "{}", Err(Reason::BodyType));
            check(&all(), &format!("{FORM}; {parameters}"), "a=1", Err(Reason::BodyType));
        }
        for parameters in
            ["charset=utf-8", "CharSet=\"UTF-8\"", "version=1", "profile=\"http://a/b c\"; charset=utf-8", ""]
        {
            check(&all(), &format!("application/json; {parameters}"), "{}", Ok("{}"));
        }
    }

    /// PHP cuts a type at a comma or a space; others look for `urlencoded` or `multipart` anywhere in the header.
    #[test]
    fn a_content_type_names_one_kind() {
        for content_type in [
            "application/x-www-form-urlencoded, a+json",
            "application/x-www-form-urlencoded a+json",
            "application/x-www-form-urlencoded+json",
            "application/json; a=urlencoded",
            "application/json; a=\"multipart/form-data\"; boundary=X",
            "application/vnd.multipart+json",
            "application/a/b+json",
            "application/+json;charset=utf-8,a",
        ] {
            check(&all(), content_type, "{\"a\":\"&stage=WON&\"}", Err(Reason::BodyType));
        }
        check(&all(), "application/vnd.api+json", "{}", Ok("{}"));
        check(&all(), "application/x-www-form-urlencoded; a=urlencoded", "a=1", Err(Reason::BodyType));
        for (content_type, expected) in [
            ("multipart/form-data; boundary=multipart", true),
            ("multipart/form-data; boundary=urlencoded", false),
            ("application/pdf", true),
            ("application/pdf, multipart/form-data; boundary=X", false),
            ("application/pdf; a=multipart; boundary=X", false),
        ] {
            assert_eq!(names_one_kind(content_type), expected, "{content_type}");
        }
    }

    #[test]
    fn limits_hold_for_forms() {
        // One node for the object, one for each value.
        let pairs = |count: usize| (0..count).map(|n| format!("k{n}=")).collect::<Vec<_>>().join("&");
        let limits = JsonLimits { nodes_max: 4, ..LIMITS };
        let read = |count| {
            let pairs = form::read(pairs(count).as_bytes()).unwrap();
            object_of(&pairs, &all(), &limits).map(|_| ()).map_err(|problem| problem.reason)
        };
        assert_eq!(read(3), Ok(()));
        assert_eq!(read(4), Err(Reason::JsonDepth));
    }
}
