//! The canonical form of a request's head: parsed once, and everything later is written anew from what was parsed.
//!
//! What two readers could take for two different things is refused here, with a reason each. The bytes that the caller
//! sent are never forwarded.

use http::header::{self, HeaderMap};
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
    /// The host that the request is for, in lower case and with its port if it has one; HTTP/1.0 may have none.
    pub host: Option<String>,
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
    /// Header fields.
    pub headers_max: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self { target_bytes_max: 8 * 1024, query_parameters_max: 200, headers_max: 100 }
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
    if headers.len() > limits.headers_max {
        return Err(Reason::HeaderTooMany.into());
    }
    let host = host(uri, version, &headers)?;
    check_target(uri, limits)?;
    let headers = read_headers(join_cookies(headers, version))?;
    let (segments, has_trailing_slash) = read_path(uri.path())?;
    let query = read_query(uri.query().unwrap_or(""), limits)?;
    query.iter().try_for_each(|(name, _)| check_method_override(name))?;
    Ok(CanonicalHead { method, segments, has_trailing_slash, query, host, headers })
}

/// Refuses a parameter that some CRM takes for the method.
pub(super) fn check_method_override(name: &str) -> Result<(), Reason> {
    match METHOD_OVERRIDE_PARAMETERS.contains(&name.to_ascii_lowercase().as_str()) {
        true => Err(Reason::MethodOverride),
        false => Ok(()),
    }
}

/// The host that a request is for, in lower case. Target and `Host` must not name two.
pub fn host(uri: &Uri, version: Version, headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Reason::HostDuplicate.into());
    }
    let authority = uri.authority().map(|authority| authority.as_str().as_bytes());
    let named = match (host.map(http::HeaderValue::as_bytes), authority) {
        (Some(host), Some(authority)) if !host.eq_ignore_ascii_case(authority) => {
            return Err(Reason::TargetForm.into());
        }
        // An absolute target of HTTP/1.1 needs its Host all the same (RFC 9112 §3.2.2).
        (None, Some(_)) if version < Version::HTTP_2 => return Err(Reason::TargetForm.into()),
        (None, None) if version >= Version::HTTP_11 => return Err(Reason::HostMissing.into()),
        (host, authority) => authority.or(host),
    };
    let named = named.map(|named| read_host(named).ok_or(Problem::new(Reason::HostMalformed)));
    named.transpose()
}

/// `name`, `name:port`, an IPv4 address or an IPv6 address in brackets, and nothing else (RFC 3986 §3.2.2).
fn read_host(raw: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(raw).ok().filter(|text| text.len() <= HOST_BYTES_MAX)?;
    let is_v6 = |inside: &str| inside.parse::<std::net::Ipv6Addr>().is_ok();
    // An underscore is no letter of a DNS name, but names of containers have it.
    let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-.~_".contains(&byte);
    let (is_name, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inside, rest)) => {
            (is_v6(inside), if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => {
            let (name, port) = text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port)));
            (!name.is_empty() && name.bytes().all(is_name_byte), port)
        }
    };
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    (is_name && port.is_none_or(is_port)).then(|| text.to_ascii_lowercase())
}

fn check_target(uri: &Uri, limits: HeadLimits) -> Result<(), Problem> {
    if !uri.path().starts_with('/') {
        return Err(Reason::TargetForm.into());
    }
    let length = uri.path().len() + uri.query().map_or(0, |query| query.len() + 1);
    match length > limits.target_bytes_max {
        true => Err(Reason::PathTooLong.into()),
        false => Ok(()),
    }
}

/// HTTP/2 callers may send a cookie in crumbs, which are one (RFC 9113 §8.2.3).
fn join_cookies(mut headers: HeaderMap, version: Version) -> HeaderMap {
    if version < Version::HTTP_2 || headers.get_all(header::COOKIE).iter().nth(1).is_none() {
        return headers;
    }
    let crumbs: Vec<&[u8]> =
        headers.get_all(header::COOKIE).iter().map(http::HeaderValue::as_bytes).collect();
    if let Ok(mut whole) = http::HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        whole.set_sensitive(true);
        headers.insert(header::COOKIE, whole);
    }
    headers
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
    for name in HOP_BY_HOP {
        headers.remove(*name);
    }
    // Whoever takes away what `Connection` names would take away a credential or a precondition that others act upon.
    match connection.iter().any(|name| headers.contains_key(name.as_str())) {
        true => Err(Reason::ConnectionHeader.into()),
        false => Ok(headers),
    }
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

/// A path and its query, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The segments, without a trailing slash.
    pub segments: Vec<String>,
    /// Whether the path ends in a slash.
    pub has_trailing_slash: bool,
    /// The parameters, in order.
    pub query: Vec<(String, String)>,
}

/// Reads a path and its query as strictly as those of a request; `None` for what would be refused.
pub fn read_place(target: &str, limits: HeadLimits) -> Option<Place> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (segments, has_trailing_slash) = read_path(path).ok()?;
    let query = read_query(query, limits).ok()?;
    (target.len() <= limits.target_bytes_max).then_some(Place { segments, has_trailing_slash, query })
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
/// Bytes of a host: a DNS name has 253 at most, a port five and a colon.
const HOST_BYTES_MAX: usize = 260;

#[cfg(test)]
#[path = "canonical_tests.rs"]
mod tests;
