//! What the demo CRM's own pages need: login and logout with a cookie, and static files. None of it asks for the key.
//!
//! Promises bounded sessions. Sets cookies as old software does: for its own domain, with one that nobody asked for.

use std::collections::BTreeMap;

use http::StatusCode;
use http::header::{CONTENT_TYPE, COOKIE, ETAG, HeaderMap, LOCATION, SET_COOKIE};

use super::catalogue;
use super::error::ApiError;
use super::record::{Record, quoted};
use super::reply::Reply;
use super::routes::Call;

/// Who is logged in: user ids by session.
#[derive(Debug, Clone, Default)]
pub struct Sessions {
    open: BTreeMap<String, u64>,
    count: u64,
}

impl Sessions {
    /// The user of the session that a request's cookie names.
    pub fn user(&self, headers: &HeaderMap) -> Option<u64> {
        self.open.get(&session(headers)?).copied()
    }
}

/// Whether a request needs no key.
pub fn is_open(call: &Call<'_>) -> bool {
    matches!(call.segments.first().map(String::as_str), Some("login" | "logout" | "static"))
}

/// Does what such a request asks.
pub fn answer(sessions: &mut Sessions, call: &Call<'_>) -> Result<Reply, ApiError> {
    let segments: Vec<&str> = call.segments.iter().map(String::as_str).collect();
    match (segments.as_slice(), call.method.as_str()) {
        (["login"], "POST") => login(sessions, call),
        (["logout"], "POST") => Ok(logout(sessions, call)),
        (["login"], "GET") => Ok(Reply::typed(StatusCode::OK, "text/html; charset=utf-8", LOGIN_PAGE)),
        (["static", path @ ..], "GET") => static_file(&path.join("/")),
        _ => Err(ApiError::NotFound),
    }
}

/// `GET /api/me`: whose session it is. The integration key is nobody.
pub fn me(sessions: &Sessions, call: &Call<'_>) -> Result<Reply, ApiError> {
    let user = sessions.user(call.headers).and_then(catalogue::user).ok_or(ApiError::NotFound)?;
    Ok(Reply::json(StatusCode::OK, user.embed().to_json()))
}

/// `POST /login`: JSON is answered with JSON, a form with a redirect.
fn login(sessions: &mut Sessions, call: &Call<'_>) -> Result<Reply, ApiError> {
    let content_type = call.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let is_form = content_type.starts_with("application/x-www-form-urlencoded");
    let (name, password) = if is_form {
        let pair = |wanted: &str| {
            form_urlencoded::parse(call.body)
                .find(|(name, _)| name == wanted)
                .map(|(_, value)| value.into_owned())
        };
        (pair("user"), pair("password"))
    } else {
        let object = call.object()?;
        (object.text("user"), object.text("password"))
    };
    let user = name.and_then(|name| catalogue::USERS.iter().find(|user| user.role == name));
    let Some(user) = user.filter(|_| password.as_deref() == Some(PASSWORD)) else {
        return Err(ApiError::Unauthorized);
    };
    if sessions.open.len() >= SESSIONS_MAX {
        return Err(ApiError::StorageFull);
    }
    sessions.count += 1;
    let session = format!("session-{}-{}", user.role, sessions.count);
    let reply = if is_form {
        Reply::empty(StatusCode::SEE_OTHER).with_header(LOCATION, "/static/index.html")
    } else {
        let body = Record::default().with("user", quoted(user.role)).to_json();
        Reply::json(StatusCode::OK, body)
    };
    let reply = reply
        .with_header(SET_COOKIE, &format!("sid={session}; Domain=crm.example; Path=/; HttpOnly"))
        .with_header(SET_COOKIE, "tracker=17; Path=/");
    sessions.open.insert(session, user.id);
    Ok(reply)
}

/// `POST /logout`.
fn logout(sessions: &mut Sessions, call: &Call<'_>) -> Reply {
    if let Some(session) = session(call.headers) {
        sessions.open.remove(&session);
    }
    Reply::empty(StatusCode::NO_CONTENT).with_header(SET_COOKIE, "sid=; Path=/; Max-Age=0")
}

fn static_file(path: &str) -> Result<Reply, ApiError> {
    let (_, media_type, text) = STATIC.iter().find(|(name, _, _)| *name == path).ok_or(ApiError::NotFound)?;
    Ok(Reply::typed(StatusCode::OK, media_type, *text).with_header(ETAG, "\"1\""))
}

fn session(headers: &HeaderMap) -> Option<String> {
    let pairs = headers.get(COOKIE)?.to_str().ok()?;
    pairs.split(';').find_map(|pair| pair.trim().strip_prefix("sid=")).map(str::to_owned)
}

/// Everybody's password.
pub const PASSWORD: &str = "demo";
const SESSIONS_MAX: usize = 10_000;
const LOGIN_PAGE: &str = "<!doctype html><title>Log in</title><form method=post></form>";
const STATIC: &[(&str, &str, &str)] = &[
    ("app.css", "text/css; charset=utf-8", "body { margin: 0 }\n"),
    ("vendor/print.css", "text/css", "@media print {}\n"),
    ("logo.svg", "image/svg+xml", "<svg xmlns=\"http://www.w3.org/2000/svg\"/>"),
    ("deals.json", "application/json", r#"{"data":[{"id":42,"margin":31250.25}]}"#),
    ("index.html", "text/html", "<!doctype html><title>CRM</title>"),
];
