//! W3C Trace Context, level 1: `traceparent` and `tracestate`, read strictly and written anew.
//!
//! Promises: what is not exactly as the standard says is as if it were not there; nothing of a caller's header is passed
//! on unread.

use http::header::{HeaderMap, HeaderName, HeaderValue};

/// Where a request stands in a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace, never 0.
    pub trace_id: u128,
    /// The caller's span, never 0.
    pub parent: Option<u64>,
    /// Whether the caller says that it is recorded.
    pub is_sampled: bool,
    /// What other tracing systems say along the way.
    pub state: Option<HeaderValue>,
}

/// The trace that a request is part of, if it says so in good order.
pub fn from_headers(headers: &HeaderMap) -> Option<TraceContext> {
    let mut values = headers.get_all(&TRACEPARENT).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (trace_id, parent, is_sampled) = parse_parent(value.to_str().ok()?)?;
    Some(TraceContext { trace_id, parent: Some(parent), is_sampled, state: state(headers) })
}

/// The header for those who are asked on behalf of a span.
pub fn parent_header(trace_id: u128, span_id: u64, is_sampled: bool) -> Option<HeaderValue> {
    let flags = u8::from(is_sampled);
    HeaderValue::try_from(format!("00-{trace_id:032x}-{span_id:016x}-{flags:02x}")).ok()
}

/// W3C Trace Context §3.2: version, trace, parent and flags. Later versions may have more behind another `-`.
fn parse_parent(text: &str) -> Option<(u128, u64, bool)> {
    let mut parts = text.splitn(5, '-');
    let version = hex(parts.next()?, 2)?;
    let trace_id = hex(parts.next()?, 32)?;
    let parent = u64::try_from(hex(parts.next()?, 16)?).ok()?;
    let flags = hex(parts.next()?, 2)?;
    let is_whole = match version {
        0xff => false,
        0 => parts.next().is_none(),
        _ => true,
    };
    (is_whole && trace_id != 0 && parent != 0).then_some((trace_id, parent, flags & 1 == 1))
}

/// A number of exactly so many lower-case hexadecimal digits.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_hex = text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    u128::from_str_radix(text, 16).ok().filter(|_| is_hex)
}

/// W3C Trace Context §3.3: members over all headers, at most 32 and, here, at most 512 bytes. Anything wrong drops all.
fn state(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut members: Vec<&str> = Vec::new();
    for value in headers.get_all(&TRACESTATE) {
        let all = value.to_str().ok()?.split(',').map(|member| member.trim_matches([' ', '\t']));
        members.extend(all.filter(|member| !member.is_empty()));
        if members.len() > STATE_MEMBERS_MAX {
            return None;
        }
    }
    let mut keys: Vec<&str> = Vec::new();
    for member in &members {
        let (key, value) = member.split_once('=')?;
        if !is_key(key) || !is_value(value) || keys.contains(&key) {
            return None;
        }
        keys.push(key);
    }
    let text = members.join(",");
    let fits = !text.is_empty() && text.len() <= STATE_BYTES_MAX;
    HeaderValue::try_from(text).ok().filter(|_| fits)
}

fn is_key(key: &str) -> bool {
    let simple = |text: &str, length_max: usize| {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-*/".contains(&b);
        !text.is_empty() && text.len() <= length_max && text.bytes().all(inner)
    };
    let starts_with_letter = |text: &str| text.starts_with(|c: char| c.is_ascii_lowercase());
    match key.split_once('@') {
        None => simple(key, 256) && starts_with_letter(key),
        Some((tenant, system)) => {
            let starts = tenant.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
            simple(tenant, 241) && starts && simple(system, 14) && starts_with_letter(system)
        }
    }
}

fn is_value(value: &str) -> bool {
    let printable = value.bytes().all(|b| matches!(b, 0x20..=0x7e) && b != b'=');
    !value.is_empty() && value.len() <= 256 && printable
}

/// The header of the trace.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The header of other systems' say.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const STATE_MEMBERS_MAX: usize = 32;
const STATE_BYTES_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(parent: &str, expected: Option<(u128, u64, bool)>) {
        let mut headers = HeaderMap::new();
        headers.insert(TRACEPARENT, HeaderValue::from_str(parent).unwrap());
        let found = from_headers(&headers);
        let found = found.map(|context| (context.trace_id, context.parent.unwrap_or(0), context.is_sampled));
        assert_eq!(found, expected, "{parent}");
    }

    const TRACE: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;
    const PARENT: u64 = 0x00f0_67aa_0ba9_02b7;

    #[test]
    fn a_parent_is_read_strictly() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        check(good, Some((TRACE, PARENT, true)));
        check(&good.replace("-01", "-00"), Some((TRACE, PARENT, false)));
        check(&good.replace("-01", "-ff"), Some((TRACE, PARENT, true)));
        check(&good.replacen("00-", "cc-", 1), Some((TRACE, PARENT, true)));
        check(&format!("{}-what-comes", good.replacen("00-", "01-", 1)), Some((TRACE, PARENT, true)));
        for bad in [
            "",
            "00",
            &format!("{good}-x"),
            &format!("{good}-"),
            &format!(" {good}x"),
            &good.replacen("00-", "ff-", 1),
            &good.replacen("00-", "0-", 1),
            &good.replacen("00-", "0X-", 1),
            &good.to_uppercase(),
            &good.replace("4bf9", "4bfg"),
            &good.replace("4bf9", "+bf9"),
            &good.replace("4bf9", "4bf"),
            &good.replace("-01", "-1"),
            &good.replace("-01", ""),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn two_parents_are_none() {
        let mut headers = HeaderMap::new();
        let good = HeaderValue::from_static("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        headers.append(TRACEPARENT, good.clone());
        headers.append(TRACEPARENT, good);
        assert_eq!(from_headers(&headers), None);
    }

    #[track_caller]
    fn check_state(values: &[&str], expected: Option<&str>) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(TRACESTATE, HeaderValue::from_str(value).unwrap());
        }
        let found = state(&headers).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(found.as_deref(), expected, "{values:?}");
    }

    #[test]
    fn a_state_is_whole_or_dropped() {
        check_state(
            &["rojo=00f067aa0ba902b7", "congo=t61rcWkgMzE"],
            Some("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
        );
        check_state(&[" a=1 ,, b@c=2\t"], Some("a=1,b@c=2"));
        check_state(&["0tenant@sys=x y"], Some("0tenant@sys=x y"));
        check_state(&[], None);
        check_state(&[","], None);
        for bad in ["a", "a=", "=1", "A=1", "0a=1", "a=1=2", "a=1,a=2", "a b=1", "a@0b=1", "@a=1", "a@=1"] {
            check_state(&[bad], None);
        }
        let members = |count: usize| (0..count).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
        check_state(&[&members(32)], Some(&members(32)));
        check_state(&[&members(33)], None);
        let long = |length: usize| format!("a={},b={}", "x".repeat(250), "y".repeat(length - 255));
        check_state(&[&long(511)], Some(&long(511)));
        let three = format!("a={},b={},c=z", "x".repeat(250), "y".repeat(252));
        assert_eq!(three.len(), 511);
        check_state(&[&three.replace("c=z", "c=zz")], Some(&three.replace("c=z", "c=zz")));
        check_state(&[&three.replace("c=z", "c=zzz")], None);
        check_state(&[&format!("a={}", "x".repeat(257))], None);
    }

    #[test]
    fn a_header_is_written_in_full_length() {
        assert_eq!(
            parent_header(1, 2, true).unwrap(),
            "00-00000000000000000000000000000001-0000000000000002-01"
        );
        assert_eq!(
            parent_header(TRACE, PARENT, false).unwrap(),
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
        );
    }
}
