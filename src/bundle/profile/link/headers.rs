//! Which headers a profile cannot name, in its lists and in the rules of routes.

use crate::bundle::profile::Profile;
use crate::bundle::profile::query::Role;
use crate::bundle::profile::route::Route;
use crate::bundle::profile::route::condition::Condition;
use crate::config::reader::Reading;

/// Notes header lists that name what is the proxy's own.
pub(super) fn check(profile: &Profile, reading: &Reading) {
    let lists = [(&profile.request_headers, NEVER_FORWARDED), (&profile.response_headers, NEVER_RELEASED)];
    let identities: Vec<&str> = profile.identity_headers.iter().map(String::as_str).collect();
    let of_routes = profile.routes.iter().flat_map(|route| route.headers.iter().map(|rule| &rule.name));
    for name in
        profile.request_headers.iter().chain(of_routes).filter(|name| identities.contains(&name.as_str()))
    {
        let help = "It says who asks, which the proxy alone does.";
        reading.error(0..0, format!("the header `{name}` is one of `identity` and never forwarded"), help);
    }
    for route in &profile.routes {
        for name in route.when.iter().filter_map(Condition::header) {
            let has_rule = route.headers.iter().any(|rule| rule.name == name);
            if !has_rule && !profile.request_headers.iter().any(|known| known == name) {
                let help = "A caller would choose by it how the request is judged, and the CRM would not see it. Put it on `[headers] request`, or give the route a rule for it.";
                let message =
                    format!("`{}` looks at the header `{name}`, which is not forwarded", route.label());
                reading.error(route.span.clone(), message, help);
            }
        }
    }
    for (names, never) in lists {
        for name in names.iter().filter(|name| never.contains(&name.as_str()) || is_never(name)) {
            let help = "Credentials, validators and framing are the proxy's own.";
            reading.error(0..0, format!("the header `{name}` cannot be on a list of the profile"), help);
        }
    }
}

/// Whether a request header is the proxy's own, so that no profile can name it.
pub(super) fn is_own(name: &str) -> bool {
    NEVER_FORWARDED.contains(&name) || is_never(name)
}

/// Families of headers that are the proxy's own, in either direction.
fn is_never(name: &str) -> bool {
    name.starts_with("x-forwarded-") || name.starts_with("access-control-")
}

/// Notes rules of a route for headers that cannot be forwarded.
pub(super) fn check_rules(route: &Route, reading: &Reading) {
    let span = || route.span.clone();
    for rule in &route.headers {
        let is_range = rule.name == "range" && rule.role == Role::Paging;
        let unit = rule.prefix.as_deref().unwrap_or("");
        if is_range && (!unit.ends_with('=') || unit.eq_ignore_ascii_case("bytes=")) {
            let help = "Name the unit, e.g. `range = { role = \"paging\", prefix = \"records=\" }`; byte ranges never pass.";
            reading.error(span(), format!("`{}`: a range needs a unit of its own", route.label()), help);
        }
        if is_own(&rule.name) && !(is_range || rule.role == Role::Refused) {
            reading.error(span(), format!("the header `{}` cannot be forwarded", rule.name), "");
        }
    }
}

/// Request headers that a profile cannot let through.
const NEVER_FORWARDED: &[&str] = &[
    "authorization",
    "cookie",
    "host",
    "range",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
    "if-range",
    "connection",
    "content-length",
    "content-encoding",
    "content-type",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "forwarded",
    "accept",
    "accept-encoding",
    "proxy-authorization",
    "x-api-key",
    "remote-user",
    "x-remote-user",
    "x-user",
    "x-auth-user",
    "x-auth-request-user",
    "x-auth-request-email",
    "x-authenticated-user",
    "x-webauth-user",
    "x-impersonate-user",
    "impersonate-user",
    "x-on-behalf-of",
    "on-behalf-of",
    "x-act-as",
    "x-run-as",
    "sudo",
    "mscrmcallerid",
    "callerobjectid",
    "x-client-cert",
    "x-ssl-client-cert",
    "x-ssl-client-s-dn",
    "x-user-id",
    "x-user-email",
    "x-forwarded-user",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-authenticated-userid",
    "x-proxy-user",
    "x-ms-client-principal",
    "x-ms-client-principal-id",
    "x-original-url",
    "x-rewrite-url",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
];

/// Response headers that a profile cannot let out.
const NEVER_RELEASED: &[&str] = &[
    "etag",
    "last-modified",
    "set-cookie",
    "content-length",
    "content-encoding",
    "content-md5",
    "digest",
    "content-digest",
    "repr-digest",
    "transfer-encoding",
    "connection",
    "trailer",
    "upgrade",
    "location",
    "content-location",
    "link",
    "server-timing",
    "www-authenticate",
];
