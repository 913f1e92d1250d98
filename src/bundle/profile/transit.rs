//! Bodies that travel without being looked into: of which types, with which headers and cookies, and whose file it is.
//!
//! Promises: what is not declared does not travel. A wildcard never covers what a browser would run or a client would
//! take for an answer of the API.

use http::header::HeaderName;

use super::source::{ActionSource, ValueSource};
use super::types::KeyPath;
use crate::config::reader::{Item, Table, Text};
use crate::model::access::Action;

/// Whether somebody must be identified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IdentityNeed {
    /// As everywhere else.
    #[default]
    Required,
    /// Anybody may ask, for a stated reason.
    Nobody,
}

/// How a route's bodies travel.
#[derive(Clone, Debug)]
pub struct Transit {
    /// Types of request bodies; none means that there is no body.
    pub accepts: Vec<MediaPattern>,
    /// Names of the parts that a multipart body may have.
    pub parts: Vec<Text>,
    /// Types of answers; none means that only empty ones leave.
    pub answers: Vec<MediaPattern>,
    /// Headers of the CRM that leave beside the profile's own list, with their place.
    pub answer_headers: Vec<Text>,
    /// Cookies that go to the CRM and come from it.
    pub cookies: Vec<String>,
    /// Whether a part of a file may be asked for.
    pub ranges: Ranges,
    /// What becomes of a redirect.
    pub redirects: Redirects,
    /// Which record owns the file.
    pub owner: Owner,
    /// The field whose readers may fetch the file, by its full name.
    pub field: Option<Text>,
}

/// Whether a part of a file may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ranges {
    /// The whole file is sent.
    Removed,
    /// One range of bytes: a file is shown whole or not at all, so a part of it tells nothing more.
    Passed,
}

/// What becomes of a redirect of the CRM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redirects {
    /// It fails.
    Refused,
    /// One that stays within the CRM leads to the same place here; any other fails.
    Rewritten,
}

/// Which record owns the file that a route is about.
#[derive(Clone, Debug)]
pub enum Owner {
    /// The one that the path names, and there is nothing else to name.
    Unstated,
    /// The one that the path names: the CRM checks that the file belongs to it.
    Path,
    /// The one that the file's own record names.
    File(FileOwner),
}

/// How the file's own record names its owner.
#[derive(Clone, Debug)]
pub struct FileOwner {
    /// Where the request names the file.
    pub of: ValueSource,
    /// The label of the route that yields the file's record.
    pub before: Text,
    /// Where that record has the owner's id.
    pub id: KeyPath,
    /// Where it names the owner's type, if that is not the route's.
    pub type_key: Option<KeyPath>,
}

/// A media type, or all of one family that are inert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaPattern {
    family: String,
    subtype: Option<String>,
}

impl MediaPattern {
    /// Reads `text/css` or `image/*`.
    pub fn parse(text: &str) -> Option<Self> {
        let (family, subtype) = text.split_once('/')?;
        let is_token = |text: &str| {
            !text.is_empty()
                && text
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"!#$&-^_.+".contains(&b))
        };
        let subtype = match subtype {
            "*" => None,
            subtype if is_token(subtype) => Some(subtype.to_owned()),
            _ => return None,
        };
        is_token(family).then(|| Self { family: family.to_owned(), subtype })
    }

    /// Whether a `Content-Type` is of this type; parameters do not matter.
    pub fn covers(&self, content_type: &str) -> bool {
        let essence = essence(content_type);
        let Some((family, subtype)) = essence.split_once('/') else { return false };
        let fits = match &self.subtype {
            Some(own) => own == subtype,
            None => !is_active(family, subtype),
        };
        fits && family == self.family
    }

    /// Whether it is `multipart/form-data`.
    pub fn is_multipart(&self) -> bool {
        self.family == "multipart"
    }
}

impl std::fmt::Display for MediaPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.family, self.subtype.as_deref().unwrap_or("*"))
    }
}

/// The type without parameters, in lower case.
pub fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// What a browser would run, or a client take for an answer of the API: it must be named to pass.
fn is_active(family: &str, subtype: &str) -> bool {
    let by_name = ["html", "json", "javascript", "ecmascript", "xml", "x-javascript", "svg+xml", "xhtml+xml"];
    let by_ending = ["+json", "+xml", "+html"];
    family == "multipart"
        || by_name.contains(&subtype)
        || by_ending.iter().any(|ending| subtype.ends_with(ending))
}

impl Transit {
    /// Whether an answer of that type may leave.
    pub fn lets_out(&self, content_type: &str) -> bool {
        self.answers.iter().any(|pattern| pattern.covers(content_type))
    }

    /// Whether a body of that type may go in.
    pub fn lets_in(&self, content_type: &str) -> bool {
        self.accepts.iter().any(|pattern| pattern.covers(content_type))
    }

    /// What the CRM is asked to answer.
    pub fn accept_header(&self) -> String {
        let answers: Vec<String> = self.answers.iter().map(ToString::to_string).collect();
        if answers.is_empty() { "*/*".to_owned() } else { answers.join(", ") }
    }

    /// The declared headers of answers, as names.
    pub fn header_names(&self) -> impl Iterator<Item = HeaderName> {
        self.answer_headers.iter().filter_map(|text| HeaderName::try_from(text.value.as_str()).ok())
    }
}

/// Reads `identity = "none"`.
pub fn read_identity(table: &Table<'_>) -> IdentityNeed {
    let Some(text) = table.text("identity") else { return IdentityNeed::Required };
    if text.value == "none" {
        return IdentityNeed::Nobody;
    }
    let help = "Write `identity = \"none\"`, or leave the key out: then the caller must be identified.";
    table.reading().error(text.span, format!("`{}` is not a need of identity", text.value), help);
    IdentityNeed::Required
}

/// Reads why a route passes: `pass`, or `reason` where nobody is identified.
pub fn read_pass(table: &Table<'_>, identity: IdentityNeed) -> Option<Text> {
    let (pass, reason) = (table.text("pass"), table.text("reason"));
    let error = |span, message: &str, help: &str| table.reading().error(span, message, help);
    match (identity, pass, reason) {
        (IdentityNeed::Required, pass, None) => pass,
        (IdentityNeed::Required, pass, Some(reason)) => {
            let help = "It belongs to `identity = \"none\"`; `pass` is its own reason.";
            error(reason.span, "`reason` has no use here", help);
            pass
        }
        (IdentityNeed::Nobody, None, Some(reason)) if !reason.value.trim().is_empty() => Some(reason),
        (IdentityNeed::Nobody, Some(pass), _) => {
            error(pass.span.clone(), "`pass` beside `identity = \"none\"`", "Say it once, as `reason`.");
            Some(pass)
        }
        (IdentityNeed::Nobody, None, _) => {
            let help = "Say why nobody needs to be identified, e.g. `reason = \"people log in here\"`.";
            error(table.span(), "`reason` is missing", help);
            Some(Text { value: String::new(), span: table.span() })
        }
    }
}

/// Reads how bodies travel; `None` for routes whose bodies are judged.
pub fn read(table: &Table<'_>, identity: IdentityNeed, action: Option<&ActionSource>) -> Option<Transit> {
    let is_download = matches!(action, Some(ActionSource::Constant(Action::Download)));
    let is_stated = KEYS.iter().any(|key| table.item(key).is_some());
    let transit = Transit {
        accepts: read_media(table, "accepts"),
        parts: table.texts("parts").unwrap_or_default(),
        answers: read_media(table, "answers"),
        answer_headers: lower(table.texts("answer_headers").unwrap_or_default()),
        cookies: read_cookies(table),
        ranges: if table.boolean("ranges") == Some(true) { Ranges::Passed } else { Ranges::Removed },
        redirects: read_redirects(table),
        owner: table.item("owner").map_or(Owner::Unstated, |item| read_owner(table, item)),
        field: table.text("field"),
    };
    (is_download || is_stated || identity == IdentityNeed::Nobody).then_some(transit)
}

fn lower(texts: Vec<Text>) -> Vec<Text> {
    let one = |text: Text| Text { value: text.value.to_ascii_lowercase(), span: text.span };
    texts.into_iter().map(one).collect()
}

fn read_media(table: &Table<'_>, key: &str) -> Vec<MediaPattern> {
    let read_one = |text: Text| {
        let pattern = MediaPattern::parse(&text.value);
        if pattern.is_none() {
            let help = "Write a media type in lower case, e.g. `text/css`, `application/pdf` or `image/*`.";
            table.reading().error(text.span, format!("`{}` is not a media type", text.value), help);
        }
        pattern
    };
    table.texts(key).unwrap_or_default().into_iter().filter_map(read_one).collect()
}

fn read_cookies(table: &Table<'_>) -> Vec<String> {
    let read_one = |text: Text| {
        let is_name = HeaderName::try_from(text.value.as_str()).is_ok();
        if !is_name {
            let help = "A cookie's name has letters, digits and a few signs, and no space.";
            table.reading().error(text.span, format!("`{}` is not a cookie's name", text.value), help);
        }
        is_name.then_some(text.value)
    };
    table.texts("cookies").unwrap_or_default().into_iter().filter_map(read_one).collect()
}

fn read_redirects(table: &Table<'_>) -> Redirects {
    match table.text("redirects") {
        Some(text) if text.value == "rewrite" => Redirects::Rewritten,
        Some(text) => {
            let help = "There is `rewrite`; without the key a redirect fails.";
            table.reading().error(text.span, format!("`{}` is not a way with redirects", text.value), help);
            Redirects::Refused
        }
        None => Redirects::Refused,
    }
}

fn read_owner(table: &Table<'_>, item: Item<'_>) -> Owner {
    if item.is_text() {
        let text = item.text();
        if let Some(text) = text.filter(|text| text.value != "path") {
            let help = "Write `owner = \"path\"` if the CRM itself checks whose the file is, or name the file's record: \
                        `owner = { of = \"path.file\", before = \"GET /files/{id}\", id = \"deal_id\" }`.";
            table.reading().error(
                text.span,
                format!("`{}` does not say whose the file is", text.value),
                help,
            );
        }
        return Owner::Path;
    }
    let read = || -> Option<FileOwner> {
        let inner = item.table()?;
        let of = inner.required("of", "Say where the request names the file, e.g. `of = \"path.file\"`.");
        let before = inner.required("before", "Name the `GET` route that yields the file's record.");
        let id =
            inner.required("id", "Say where the file's record has the owner's id, e.g. `id = \"deal_id\"`.");
        let type_key = inner.text("type_key").map(keys);
        inner.finish();
        Some(FileOwner { of: ValueSource::read(&inner, &of?)?, before: before?, id: keys(id?), type_key })
    };
    read().map_or(Owner::Path, Owner::File)
}

fn keys(text: Text) -> KeyPath {
    text.value.split('.').map(str::to_owned).collect()
}

/// Keys of a route that say how its bodies travel.
const KEYS: &[&str] =
    &["accepts", "parts", "answers", "answer_headers", "cookies", "ranges", "redirects", "owner", "field"];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, content_type: &str, expected: bool) {
        let pattern = MediaPattern::parse(pattern).unwrap();
        assert_eq!(pattern.covers(content_type), expected, "{pattern} and {content_type}");
    }

    #[test]
    fn wildcards_cover_only_what_is_inert() {
        check("text/css", "text/css; charset=utf-8", true);
        check("text/css", "TEXT/CSS", true);
        check("text/css", "text/html", false);
        check("image/*", "image/png", true);
        check("image/*", "image/svg+xml", false);
        check("image/svg+xml", "image/svg+xml", true);
        check("text/*", "text/plain", true);
        check("text/*", "text/html", false);
        check("text/*", "text/javascript", false);
        check("application/*", "application/pdf", true);
        check("application/*", "application/json", false);
        check("application/*", "application/vnd.api+json", false);
        check("application/*", "application/xhtml+xml", false);
        check("application/json", "application/json", true);
        check("application/json", "", false);
        check("application/json", "application/json, text/html", false);
        check("multipart/*", "multipart/form-data; boundary=x", false);
    }

    #[test]
    fn what_is_no_media_type_is_not_read() {
        for text in ["*/*", "text", "text/", "/css", "Text/CSS", "text/css; charset=utf-8", "text/c ss"] {
            assert_eq!(MediaPattern::parse(text), None, "{text}");
        }
    }
}
