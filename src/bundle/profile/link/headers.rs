//! Which headers a profile's lists cannot name, in either direction.

use crate::bundle::profile::Profile;
use crate::config::reader::Reading;

/// Notes header lists that name what is the proxy's own.
pub(super) fn check(profile: &Profile, reading: &Reading) {
    let lists = [(&profile.request_headers, NEVER_FORWARDED), (&profile.response_headers, NEVER_RELEASED)];
    for (names, never) in lists {
        for name in
            names.iter().filter(|name| never.contains(&name.as_str()) || name.starts_with("x-forwarded-"))
        {
            let help = "Credentials, validators and framing are the proxy's own.";
            reading.error(0..0, format!("the header `{name}` cannot be on a list of the profile"), help);
        }
    }
}

/// Request headers that a profile cannot let through.
pub(super) const NEVER_FORWARDED: &[&str] = &[
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
    "x-remote-user",
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
