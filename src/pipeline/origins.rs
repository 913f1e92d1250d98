//! What pages of other sites may do (CORS, and the Origin check against forged writes).
//!
//! Promises: a preflight is answered here and never forwarded, in the same words for every path; a change that a cookie
//! vouches for needs an origin that is listed, and is refused before the CRM hears of it. Never allows `*` or `null`.

use http::Method;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderName, HeaderValue, ORIGIN, REFERER, VARY,
};

use super::identify::CarriedBy;
use crate::bundle::profile::Profile;
use crate::model::problem::Problem;
use crate::model::reason::Reason;

/// What browsers are told, and what is believed of them.
#[derive(Clone, Debug, Default)]
pub struct Browsers {
    /// Origins whose pages may write with a cookie.
    pub origins: Vec<String>,
    /// Origins of other sites whose pages may call the API.
    pub cors_origins: Vec<String>,
    /// Whether those may send cookies with it.
    pub cors_credentials: Credentials,
    /// Seconds for which a preflight's answer holds.
    pub cors_max_age_s: u64,
}

/// Whether pages of other sites may send cookies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Credentials {
    /// They may not.
    #[default]
    Omitted,
    /// They may.
    Included,
}

/// What vouches for a request that browsers add by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voucher {
    /// A cookie: only browsers have them, and they say where a page comes from.
    Cookie,
    /// Something that programs have as well, which say nothing of pages: a certificate, a login of the browser's own (`Basic`
    /// and its like), what a gateway vouches for, or nothing yet where a cookie is to come.
    Ambient,
}

impl Voucher {
    /// What a credential is for a browser; `None` for one that a page must add itself.
    pub fn of(carried_by: CarriedBy) -> Option<Self> {
        match carried_by {
            CarriedBy::Cookie => Some(Voucher::Cookie),
            CarriedBy::Certificate | CarriedBy::Browser | CarriedBy::Gateway => Some(Voucher::Ambient),
            CarriedBy::Header => None,
        }
    }
}

impl Browsers {
    /// Refuses a change that a page of another site may have forged.
    pub fn check_write(&self, method: &Method, headers: &HeaderMap, voucher: Voucher) -> Result<(), Problem> {
        if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
            return Ok(());
        }
        match (self.source(headers)?, voucher) {
            (Source::Trusted, _) | (Source::Unstated, Voucher::Ambient) => Ok(()),
            (Source::Unstated, Voucher::Cookie) => Err(Reason::OriginMissing.into()),
        }
    }

    /// Where a request comes from, as far as it says; a page that is not trusted is refused. `Origin` counts, then
    /// `Sec-Fetch-Site`, which pages cannot set, then `Referer`.
    fn source(&self, headers: &HeaderMap) -> Result<Source, Problem> {
        let refused = || Problem::from(Reason::OriginRefused);
        let mut origins = headers.get_all(ORIGIN).iter();
        if let Some(origin) = origins.next() {
            let is_trusted =
                origins.next().is_none() && origin.to_str().is_ok_and(|origin| self.may_write(origin));
            return if is_trusted { Ok(Source::Trusted) } else { Err(refused()) };
        }
        if let Some(site) = headers.get(SEC_FETCH_SITE) {
            return if site == "same-origin" { Ok(Source::Trusted) } else { Err(refused()) };
        }
        let Some(referer) = headers.get(REFERER) else { return Ok(Source::Unstated) };
        let is_trusted =
            referer.to_str().ok().and_then(origin_of).is_some_and(|origin| self.may_write(origin));
        if is_trusted { Ok(Source::Trusted) } else { Err(refused()) }
    }

    fn may_write(&self, origin: &str) -> bool {
        let by_cors = || self.cors_credentials == Credentials::Included && self.is_cors(origin);
        self.origins.iter().any(|known| known == origin) || by_cors()
    }

    fn is_cors(&self, origin: &str) -> bool {
        self.cors_origins.iter().any(|known| known == origin)
    }

    /// The headers that answer a preflight; `None` for requests that are none. They tell nothing of the path.
    pub fn preflight(
        &self,
        method: &Method,
        headers: &HeaderMap,
        profile: &Profile,
        credentials: &[HeaderName],
    ) -> Option<Result<HeaderMap, Problem>> {
        let is_preflight = *method == Method::OPTIONS
            && headers.contains_key(ORIGIN)
            && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
            && !self.cors_origins.is_empty();
        if !is_preflight {
            return None;
        }
        let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok());
        if !origin.is_some_and(|origin| self.is_cors(origin)) {
            return Some(Err(Reason::OriginRefused.into()));
        }
        let mut answer = HeaderMap::new();
        let values = [
            (ACCESS_CONTROL_ALLOW_METHODS, methods(profile)),
            (ACCESS_CONTROL_ALLOW_HEADERS, request_headers(profile, credentials)),
            (ACCESS_CONTROL_MAX_AGE, self.cors_max_age_s.to_string()),
        ];
        for (name, value) in values {
            if let Ok(value) = HeaderValue::try_from(value) {
                answer.insert(name, value);
            }
        }
        Some(Ok(answer))
    }

    /// Adds to an answer what lets an allowed page read it. `origin` is the one that the request named.
    pub fn decorate(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        if self.cors_origins.is_empty() {
            return;
        }
        headers.append(VARY, HeaderValue::from_static("Origin"));
        let is_allowed = |origin: &&HeaderValue| origin.to_str().is_ok_and(|origin| self.is_cors(origin));
        let Some(origin) = origin.filter(is_allowed) else { return };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        if self.cors_credentials == Credentials::Included {
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }
}

/// Where a request comes from.
enum Source {
    Trusted,
    Unstated,
}

/// Every method that some route has, so that the answer is the same for every path.
fn methods(profile: &Profile) -> String {
    let methods = profile.routes.iter().flat_map(|route| &route.template.methods);
    let mut methods: Vec<&str> = methods.map(Method::as_str).collect();
    methods.sort_unstable();
    methods.dedup();
    methods.join(", ")
}

fn request_headers(profile: &Profile, credentials: &[HeaderName]) -> String {
    let by_route = profile.routes.iter().flat_map(|route| &route.headers).map(|rule| rule.name.as_str());
    let credentials = credentials.iter().map(HeaderName::as_str).filter(|name| *name != "cookie");
    let mut names: Vec<&str> = ["authorization", "content-type", "if-match", "if-none-match"]
        .into_iter()
        .chain(credentials)
        .chain(profile.request_headers.iter().map(String::as_str))
        .chain(by_route)
        .collect();
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}

/// Scheme and authority of a URL.
fn origin_of(url: &str) -> Option<&str> {
    let scheme = url.find("://")?;
    let after = url.get(scheme + 3..)?;
    let end = after.find(['/', '?', '#']).unwrap_or(after.len());
    url.get(..scheme + 3 + end)
}

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const EXPOSED: &str = "Lockkeeper-Decision, ETag, Link, Location, Content-Disposition, Content-Range";

#[cfg(test)]
mod tests {
    use super::*;

    fn browsers() -> Browsers {
        Browsers {
            origins: vec!["https://crm.example".to_owned()],
            cors_origins: vec!["https://app.example".to_owned()],
            cors_credentials: Credentials::Omitted,
            cors_max_age_s: 600,
        }
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    #[track_caller]
    fn check(pairs: &[(&'static str, &'static str)], with: Result<(), Reason>, without: Result<(), Reason>) {
        let ask = |voucher| browsers().check_write(&Method::POST, &headers(pairs), voucher);
        assert_eq!(ask(Voucher::Cookie).map_err(|problem| problem.reason), with, "{pairs:?}");
        assert_eq!(ask(Voucher::Ambient).map_err(|problem| problem.reason), without, "{pairs:?}");
    }

    #[test]
    fn a_change_by_cookie_needs_a_listed_origin() {
        let refused = Err(Reason::OriginRefused);
        check(&[("origin", "https://crm.example")], Ok(()), Ok(()));
        check(&[("origin", "https://crm.example"), ("sec-fetch-site", "cross-site")], Ok(()), Ok(()));
        for origin in [
            "https://evil.example",
            "null",
            "http://crm.example",
            "https://crm.example:8443",
            "https://crm.example.evil.example",
            "https://CRM.example",
            // It may read across origins, but not with a cookie.
            "https://app.example",
        ] {
            check(&[("origin", origin)], refused, refused);
        }
        check(&[("origin", "https://crm.example"), ("origin", "https://crm.example")], refused, refused);
        check(&[("origin", "https://evil.example"), ("sec-fetch-site", "same-origin")], refused, refused);
        check(&[("sec-fetch-site", "same-origin")], Ok(()), Ok(()));
        for site in ["same-site", "cross-site", "none", "other"] {
            check(&[("sec-fetch-site", site)], refused, refused);
        }
        check(&[("referer", "https://crm.example/deals?x=1")], Ok(()), Ok(()));
        check(&[("referer", "https://crm.example")], Ok(()), Ok(()));
        check(&[("referer", "https://crm.example.evil.example/")], refused, refused);
        check(&[("referer", "https://crm.example@evil.example/")], refused, refused);
        check(&[("referer", "about:blank")], refused, refused);
        check(&[], Err(Reason::OriginMissing), Ok(()));
    }

    #[test]
    fn reads_are_not_changes() {
        let evil = headers(&[("origin", "https://evil.example")]);
        assert_eq!(browsers().check_write(&Method::GET, &evil, Voucher::Cookie), Ok(()));
    }

    #[test]
    fn sites_with_credentials_may_write() {
        let browsers = Browsers { cors_credentials: Credentials::Included, ..browsers() };
        let app = headers(&[("origin", "https://app.example")]);
        assert_eq!(browsers.check_write(&Method::POST, &app, Voucher::Cookie), Ok(()));
    }
}
