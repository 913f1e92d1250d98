//! Cookies in both directions: read strictly by name, and written anew for this origin.
//!
//! Promises: only declared cookies pass, and each once; no cookie of the CRM reaches another host, another path or a weaker
//! connection than the CRM meant. Undeclared cookies are never looked into.

use http::header::{COOKIE, HeaderMap, HeaderValue};

use crate::model::peer::Scheme;
use crate::model::problem::Problem;
use crate::model::reason::Reason;

/// The value of a cookie of that name; `None` if there is none. One that stands twice or is malformed is refused: readers
/// differ on which counts.
pub fn one(headers: &HeaderMap, name: &str) -> Result<Option<String>, Problem> {
    let refused = || Problem::new(Reason::CookieRefused).detail(format!("cookie `{name}`"));
    let mut found = None;
    for line in headers.get_all(COOKIE) {
        let line = line.to_str().map_err(|_| refused())?;
        for pair in line.split(';') {
            let (own, value) = pair.split_once('=').unwrap_or((pair, ""));
            if own.trim_matches([' ', '\t']) != name {
                continue;
            }
            let value = value.trim_matches([' ', '\t']);
            if !is_value(value) || found.replace(value.to_owned()).is_some() {
                return Err(refused());
            }
        }
    }
    Ok(found)
}

/// The `Cookie` header with the declared cookies alone, in the order of the declaration.
pub fn only(headers: &HeaderMap, names: &[String]) -> Result<Option<HeaderValue>, Problem> {
    let mut pairs = Vec::new();
    for name in names {
        if let Some(value) = one(headers, name)? {
            pairs.push(format!("{name}={value}"));
        }
    }
    let mut value = HeaderValue::try_from(pairs.join("; ")).map_err(|_| Reason::CookieRefused)?;
    value.set_sensitive(true);
    Ok((!pairs.is_empty()).then_some(value))
}

/// Where cookies of the CRM come from and where they go.
#[derive(Clone, Copy, Debug)]
pub struct Rewriting<'a> {
    /// The names that may leave.
    pub names: &'a [String],
    /// How the caller reached us.
    pub scheme: Scheme,
    /// The path below which the CRM's API lies, without a trailing slash.
    pub base_path: &'a str,
}

impl Rewriting<'_> {
    /// The CRM's `Set-Cookie` headers as they leave: others than the declared ones, and what cannot be read, are dropped.
    pub fn all(&self, upstream: &HeaderMap) -> Vec<HeaderValue> {
        let written =
            upstream.get_all(http::header::SET_COOKIE).iter().filter_map(|value| self.written(value));
        written.take(SET_COOKIES_MAX).collect()
    }

    fn written(&self, value: &HeaderValue) -> Option<HeaderValue> {
        let text = value.to_str().ok()?;
        let mut parts = text.split(';').map(str::trim);
        let (name, value) = parts.next()?.split_once('=')?;
        let (name, value) = (name.trim(), value.trim());
        if !is_value(value) || !self.names.iter().any(|known| known == name) {
            return None;
        }
        let mut written = format!("{name}={value}");
        let attributes = Attributes::read(parts)?;
        if let Some(path) = attributes.path {
            let path = self.path(path)?;
            written.push_str(&format!("; Path={path}"));
        }
        for (name, value) in [("Expires", attributes.expires), ("Max-Age", attributes.max_age)] {
            if let Some(value) = value {
                written.push_str(&format!("; {name}={value}"));
            }
        }
        let is_secure = attributes.is_secure || self.scheme == Scheme::Https;
        // Without Secure a browser refuses `None`; the next stricter one is what it would assume.
        let same_site = match attributes.same_site {
            Some("None") if !is_secure => "Lax",
            Some(stated) => stated,
            None => "Lax",
        };
        let secure = if is_secure { "; Secure" } else { "" };
        let http_only = if attributes.is_http_only { "; HttpOnly" } else { "" };
        written.push_str(&format!("{secure}{http_only}; SameSite={same_site}"));
        let mut value = HeaderValue::try_from(written).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// A path of the CRM as callers see it; `None` for one outside of the API, where the cookie would have no use.
    fn path(&self, path: &str) -> Option<String> {
        let is_plain = path.starts_with('/') && path.bytes().all(|b| (0x21..0x7f).contains(&b) && b != b'"');
        let inner = match path.strip_prefix(self.base_path) {
            Some("") => "/",
            Some(inner) if inner.starts_with('/') => inner,
            // A wider path than the API's covers the whole of it.
            _ if self.base_path.starts_with(path) && (path.ends_with('/') || path == self.base_path) => "/",
            _ => return None,
        };
        is_plain.then(|| inner.to_owned())
    }
}

/// The attributes that leave; `Domain` and unknown ones do not.
#[derive(Default)]
struct Attributes<'t> {
    path: Option<&'t str>,
    expires: Option<&'t str>,
    max_age: Option<&'t str>,
    same_site: Option<&'static str>,
    is_secure: bool,
    is_http_only: bool,
}

impl<'t> Attributes<'t> {
    fn read(parts: impl Iterator<Item = &'t str>) -> Option<Self> {
        let mut read = Self::default();
        for part in parts {
            let (name, value) =
                part.split_once('=').map_or((part, ""), |(name, value)| (name.trim(), value.trim()));
            match name.to_ascii_lowercase().as_str() {
                "path" => read.path = Some(value),
                "expires" => read.expires = Some(value).filter(|value| is_date(value)),
                "max-age" => read.max_age = Some(value).filter(|value| value.parse::<i64>().is_ok()),
                "secure" => read.is_secure = true,
                "httponly" => read.is_http_only = true,
                "samesite" => {
                    let known = ["Strict", "Lax", "None"];
                    read.same_site = Some(known.into_iter().find(|known| known.eq_ignore_ascii_case(value))?);
                }
                _ => {}
            }
        }
        Some(read)
    }
}

fn is_date(value: &str) -> bool {
    value.len() <= 40 && value.bytes().all(|b| b.is_ascii_alphanumeric() || b" ,:-".contains(&b))
}

/// Cookie octets (RFC 6265 §4.1.1), bare or in quotes.
fn is_value(value: &str) -> bool {
    let inner = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    value.len() <= VALUE_BYTES_MAX
        && inner.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e))
}

const VALUE_BYTES_MAX: usize = 4096;
/// `Set-Cookie` headers that leave with one answer.
const SET_COOKIES_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[&'static str]) -> HeaderMap {
        lines.iter().map(|line| (COOKIE, HeaderValue::from_static(line))).collect()
    }

    #[track_caller]
    fn check_one(lines: &[&'static str], expected: Result<Option<&str>, ()>) {
        let found = one(&headers(lines), "sid");
        assert_eq!(found.as_ref().map(|found| found.as_deref()).map_err(|_| ()), expected, "{lines:?}");
    }

    #[test]
    fn a_declared_cookie_stands_once_and_is_well_formed() {
        check_one(&[], Ok(None));
        check_one(&["a=1; sid=x; b=2"], Ok(Some("x")));
        check_one(&["a=1", "sid=x"], Ok(Some("x")));
        check_one(&["sid=\"x\""], Ok(Some("\"x\"")));
        check_one(&["sid=a=b"], Ok(Some("a=b")));
        check_one(&["SID=x; xsid=y; sid2=z"], Ok(None));
        check_one(&["odd={\"a\": \"b c\"}; sid=x"], Ok(Some("x")));
        check_one(&["sid=x; sid=y"], Err(()));
        check_one(&["sid=x", "sid=x"], Err(()));
        check_one(&["a=\"; sid=evil; \"; sid=x"], Err(()));
        check_one(&["sid=a b"], Err(()));
        check_one(&["sid=a,b"], Err(()));
        check_one(&["sid=\"a"], Err(()));
        check_one(&["sid"], Ok(Some("")));
    }

    #[test]
    fn only_declared_cookies_go_on() {
        let names = ["sid".to_owned(), "csrf".to_owned()];
        let found = only(&headers(&["track=1; csrf=c; other=2; sid=s"]), &names).unwrap();
        assert_eq!(found.unwrap(), "sid=s; csrf=c");
        assert_eq!(only(&headers(&["track=1"]), &names).unwrap(), None);
    }

    #[track_caller]
    fn check(set: &'static str, scheme: Scheme, base_path: &str, expected: Option<&str>) {
        let names = ["sid".to_owned()];
        let upstream = HeaderMap::from_iter([(http::header::SET_COOKIE, HeaderValue::from_static(set))]);
        let found = Rewriting { names: &names, scheme, base_path }.all(&upstream);
        let found: Vec<&str> = found.iter().map(|value| value.to_str().unwrap()).collect();
        assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "{set}");
    }

    #[test]
    fn cookies_are_written_for_our_origin() {
        let (http, https) = (Scheme::Http, Scheme::Https);
        check(
            "sid=1; Domain=crm.internal; Path=/; HttpOnly",
            http,
            "",
            Some("sid=1; Path=/; HttpOnly; SameSite=Lax"),
        );
        check("sid=1; Path=/", https, "", Some("sid=1; Path=/; Secure; SameSite=Lax"));
        check("sid=1; SameSite=strict; Secure", http, "", Some("sid=1; Secure; SameSite=Strict"));
        check("sid=1; SameSite=None", http, "", Some("sid=1; SameSite=Lax"));
        check("sid=1; SameSite=None", https, "", Some("sid=1; Secure; SameSite=None"));
        check("sid=1; Path=/crm/api", http, "/crm", Some("sid=1; Path=/api; SameSite=Lax"));
        check("sid=1; Path=/crm", http, "/crm", Some("sid=1; Path=/; SameSite=Lax"));
        check("sid=1; Path=/crm/", http, "/crm", Some("sid=1; Path=/; SameSite=Lax"));
        check("sid=1; Path=/", http, "/crm", Some("sid=1; Path=/; SameSite=Lax"));
        check("sid=1; Path=/crmx", http, "/crm", None);
        check("sid=1; Path=/other", http, "/crm", None);
        check(
            "sid=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT; Max-Age=60; Priority=High",
            http,
            "",
            Some("sid=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT; Max-Age=60; SameSite=Lax"),
        );
        check("sid=1; Max-Age=x", http, "", Some("sid=1; SameSite=Lax"));
        check("other=1; Path=/", http, "", None);
        check("sid=a b", http, "", None);
        check("sid=1; SameSite=Sometimes", http, "", None);
        check("sid", http, "", None);
    }
}
