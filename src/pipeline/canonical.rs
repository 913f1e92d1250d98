//! The canonical form of a request's head: parsed once, and everything later is written anew from what was parsed.
//!
//! What two readers could take for two different things is refused here, with a reason each. The bytes that the caller
//! sent are never forwarded.

use http::header::{self, HeaderMap, HeaderName};
use http::uri::Uri;
use http::{Method, Version};

use crate::model::problem::Problem;
use crate::model::reason::Reason;

/// A request's head in canonical form.
#[derive(Clone, Debug)]
pub struct CanonicalHead {
    /// The method.
    pub method: Method,
    /// The decoded segments of the path, without a trailing slash.
    pub segments: Vec<String>,
    /// Whether the path ends in a slash.
    pub has_trailing_slash: bool,
    /// The decoded parameters of the query, in order.
    pub query: Vec<(String, String)>,
    /// The headers as received, hop-by-hop ones removed.
    pub headers: HeaderMap,
}

/// Limits on a request's head.
#[derive(Clone, Copy, Debug)]
pub struct HeadLimits {
    /// Bytes of path and query together.
    pub target_bytes_max: usize,
    /// Parameters of the query.
    pub query_parameters_max: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self { target_bytes_max: 8 * 1024, query_parameters_max: 200 }
    }
}

/// Reads a head, or refuses it.
pub fn read(
    method: Method,
    uri: &Uri,
    version: Version,
    headers: HeaderMap,
    limits: HeadLimits,
) -> Result<CanonicalHead, Problem> {
    check_target(uri, &headers, version, limits)?;
    let headers = read_headers(headers)?;
    let (segments, has_trailing_slash) = read_path(uri.path())?;
    let query = read_query(uri.query().unwrap_or(""), limits)?;
    query.iter().try_for_each(|(name, _)| check_method_override(name))?;
    Ok(CanonicalHead { method, segments, has_trailing_slash, query, headers })
}

/// Refuses a parameter that some CRM takes for the method.
pub(super) fn check_method_override(name: &str) -> Result<(), Reason> {
    match is_method_override(name) {
        true => Err(Reason::MethodOverride),
        false => Ok(()),
    }
}

/// Whether a parameter or a form's field asks for another method.
pub fn is_method_override(name: &str) -> bool {
    METHOD_OVERRIDE_PARAMETERS.contains(&name.to_ascii_lowercase().as_str())
}

fn check_target(uri: &Uri, headers: &HeaderMap, version: Version, limits: HeadLimits) -> Result<(), Problem> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Reason::HostDuplicate.into());
    }
    if host.is_none() && version == Version::HTTP_11 {
        return Err(Reason::HostMissing.into());
    }
    // An absolute target must agree with Host, else two readers would pick two servers.
    if let Some(authority) = uri.authority() {
        let agrees =
            host.is_some_and(|host| host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes()));
        if !agrees {
            return Err(Reason::TargetForm.into());
        }
    }
    if !uri.path().starts_with('/') {
        return Err(Reason::TargetForm.into());
    }
    let length = uri.path().len() + uri.query().map_or(0, |query| query.len() + 1);
    match length > limits.target_bytes_max {
        true => Err(Reason::PathTooLong.into()),
        false => Ok(()),
    }
}

fn read_headers(mut headers: HeaderMap) -> Result<HeaderMap, Problem> {
    for (name, value) in &headers {
        if name.as_str().contains('_') {
            return Err(Reason::HeaderUnderscore.into());
        }
        if METHOD_OVERRIDE_HEADERS.contains(&name.as_str()) {
            return Err(Reason::MethodOverride.into());
        }
        if value.to_str().is_err() {
            return Err(Problem::new(Reason::HeaderNotText).detail(format!("header `{name}`")));
        }
    }
    let is_coded = |value: &http::HeaderValue| !value.as_bytes().eq_ignore_ascii_case(b"chunked");
    if headers.get_all(header::TRANSFER_ENCODING).iter().any(is_coded) {
        return Err(Reason::BodyCoding.into());
    }
    let connection: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    if headers.contains_key(header::UPGRADE) || connection.iter().any(|name| name == "upgrade") {
        return Err(Reason::UpgradeRefused.into());
    }
    for name in HOP_BY_HOP.iter().copied().chain(connection.iter().map(String::as_str)) {
        if let Ok(name) = HeaderName::try_from(name) {
            // A caller must not be able to remove the credential that we are about to look for.
            if !PROTECTED.contains(&name.as_str()) {
                headers.remove(name);
            }
        }
    }
    Ok(headers)
}

fn read_path(raw: &str) -> Result<(Vec<String>, bool), Problem> {
    let inner = raw.strip_prefix('/').ok_or(Reason::TargetForm)?;
    if inner.is_empty() {
        return Ok((Vec::new(), false));
    }
    let (inner, has_trailing_slash) = match inner.strip_suffix('/') {
        Some(inner) => (inner, true),
        None => (inner, false),
    };
    let segments = inner.split('/').map(read_segment).collect::<Result<Vec<_>, _>>()?;
    Ok((segments, has_trailing_slash))
}

fn read_segment(raw: &str) -> Result<String, Problem> {
    if raw.is_empty() {
        return Err(Reason::PathEmptySegment.into());
    }
    let bytes = decode(raw, Plus::Literal).ok_or(Reason::PathBadEscape)?;
    let text = String::from_utf8(bytes).map_err(|_| Reason::PathNotUtf8)?;
    check_segment(&text)?;
    Ok(text)
}

/// Refuses a decoded segment that some reader could take for more or less than one segment. Also for text from elsewhere
/// that becomes part of a path.
pub fn check_segment(text: &str) -> Result<(), Reason> {
    if text.is_empty() {
        return Err(Reason::PathEmptySegment);
    }
    if text.contains('/') {
        return Err(Reason::PathEncodedSlash);
    }
    if text.contains('\\') {
        return Err(Reason::PathBackslash);
    }
    if text.contains(';') {
        return Err(Reason::PathParameter);
    }
    if text.chars().any(char::is_control) {
        return Err(Reason::PathControl);
    }
    if text == "." || text == ".." {
        return Err(Reason::PathDotSegment);
    }
    if has_escape(text) {
        return Err(Reason::PathDoubleEncoding);
    }
    Ok(())
}

fn read_query(raw: &str, limits: HeadLimits) -> Result<Vec<(String, String)>, Problem> {
    if raw.contains(';') {
        return Err(Reason::QuerySemicolon.into());
    }
    let mut query = Vec::new();
    for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
        if query.len() == limits.query_parameters_max {
            return Err(Reason::QueryTooMany.into());
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        query.push((read_query_text(name)?, read_query_text(value)?));
    }
    Ok(query)
}

fn read_query_text(raw: &str) -> Result<String, Problem> {
    let bytes = decode(raw, Plus::Space).ok_or(Reason::QueryBadEscape)?;
    let text = String::from_utf8(bytes).map_err(|_| Reason::QueryNotUtf8)?;
    match text.chars().any(char::is_control) {
        true => Err(Reason::QueryControl.into()),
        false => Ok(text),
    }
}

/// What a plus sign stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Plus {
    /// Itself.
    Literal,
    /// A space.
    Space,
}

/// Decodes percent escapes; `None` if one is broken.
pub(super) fn decode(raw: &str, plus: Plus) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => hex_value(rest.next()?)? * 16 + hex_value(rest.next()?)?,
            b'+' if plus == Plus::Space => b' ',
            byte => byte,
        });
    }
    Some(bytes)
}

fn hex_value(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

fn has_escape(text: &str) -> bool {
    text.as_bytes()
        .windows(3)
        .any(|window| matches!(window, [b'%', high, low] if hex_value(*high).is_some() && hex_value(*low).is_some()))
}

/// Writes a path from decoded segments: unreserved characters stand as they are, all others are escaped.
pub fn write_path(segments: &[String], has_trailing_slash: bool) -> String {
    let mut path = String::new();
    for segment in segments {
        path.push('/');
        encode_into(&mut path, segment, b"!$&'()*+,=:@");
    }
    if has_trailing_slash || path.is_empty() {
        path.push('/');
    }
    path
}

/// Writes a query from decoded pairs; empty for none.
pub fn write_query(pairs: &[(String, String)]) -> String {
    let mut query = String::new();
    for (name, value) in pairs {
        if !query.is_empty() {
            query.push('&');
        }
        encode_into(&mut query, name, b"");
        query.push('=');
        encode_into(&mut query, value, b",:");
    }
    query
}

/// Adds a text with all but unreserved characters escaped.
pub(super) fn encode_into(target: &mut String, text: &str, also_plain: &[u8]) {
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || also_plain.contains(&byte);
        match plain {
            true => target.push(char::from(byte)),
            false => target.push_str(&format!("%{byte:02X}")),
        }
    }
}

const METHOD_OVERRIDE_HEADERS: &[&str] = &["x-http-method-override", "x-http-method", "x-method-override"];
const METHOD_OVERRIDE_PARAMETERS: &[&str] = &["_method", "_httpmethod", "x-http-method-override"];
const HOP_BY_HOP: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "proxy-authenticate",
    "proxy-authorization",
];
/// Headers that a `Connection` header of the caller cannot remove.
const PROTECTED: &[&str] = &[
    "host",
    "authorization",
    "content-type",
    "content-encoding",
    "content-length",
    "x-api-key",
    "cookie",
    "origin",
];

#[cfg(test)]
#[path = "canonical_tests.rs"]
mod tests;
