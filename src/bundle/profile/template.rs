//! Route templates: `PATCH /deals/{id:int}`, matched against a path that is already in canonical form.
//!
//! Promises: a match is whole or none; two templates that could match one request are told apart at load; the path
//! that is forwarded is written from the template and the matched parameters, never copied.

use std::fmt;

use http::Method;

/// Methods and path of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// The methods, at least one.
    pub methods: Vec<Method>,
    segments: Vec<Segment>,
    /// The name of the parameter that takes the rest of the path.
    rest: Option<String>,
    trailing_slash: TrailingSlash,
    label: String,
}

/// The values that a match found, in the order of the template.
pub type Parameters = Vec<(String, String)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TrailingSlash {
    Never,
    Always,
    Optional,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Segment(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Parameter { name: String, kind: ParameterKind },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ParameterKind {
    Text,
    Int,
    Uuid,
    Word,
}

/// Whether letter case matters in the literal parts of a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PathCase {
    /// `/Deals` is not `/deals`.
    #[default]
    Sensitive,
    /// `/Deals` is forwarded as `/deals`.
    Insensitive,
}

impl Template {
    /// Reads `GET,HEAD /deals/{id:int}`; the error says what is wrong and fits after a colon.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (methods, path) = text.split_once(' ').ok_or("a route is a method, a space and a path")?;
        let methods = methods.split(',').map(parse_method).collect::<Result<Vec<_>, _>>()?;
        let path = path.strip_prefix('/').ok_or("the path must start with `/`")?;
        let (path, trailing_slash) = match path {
            "" => ("", TrailingSlash::Never),
            path => match (path.strip_suffix("/?"), path.strip_suffix('/')) {
                (Some(path), _) => (path, TrailingSlash::Optional),
                (None, Some(path)) => (path, TrailingSlash::Always),
                (None, None) => (path, TrailingSlash::Never),
            },
        };
        let (path, rest) = split_rest(path)?;
        if rest.is_some() && trailing_slash != TrailingSlash::Never {
            return Err("nothing can stand after the rest of a path".to_owned());
        }
        let segments = match path {
            "" => Vec::new(),
            path => path.split('/').map(parse_segment).collect::<Result<Vec<_>, _>>()?,
        };
        let template = Self { methods, segments, rest, trailing_slash, label: text.to_owned() };
        let mut names: Vec<&str> = template.parameter_names().collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair.first() == pair.last()) {
            Some(pair) => Err(format!("the parameter `{}` occurs twice", pair.concat())),
            None => Ok(template),
        }
    }

    /// A template that matches nothing.
    pub fn none() -> Self {
        let (methods, segments) = (Vec::new(), Vec::new());
        Self { methods, segments, rest: None, trailing_slash: TrailingSlash::Never, label: String::new() }
    }

    /// Matches a decoded canonical path, given as its segments without the trailing slash.
    pub fn match_path(
        &self,
        segments: &[String],
        has_trailing_slash: bool,
        case: PathCase,
    ) -> Option<Parameters> {
        let slash_fits = match self.trailing_slash {
            TrailingSlash::Never => !has_trailing_slash,
            TrailingSlash::Always => has_trailing_slash,
            TrailingSlash::Optional => true,
        };
        let (own, beyond) = segments.split_at_checked(self.segments.len())?;
        if !slash_fits || beyond.is_empty() == self.rest.is_some() {
            return None;
        }
        let mut parameters = Vec::new();
        for (pattern, text) in self.segments.iter().zip(own) {
            pattern.matches(text, case, &mut parameters).then_some(())?;
        }
        if let Some(name) = &self.rest {
            let fits = beyond.len() <= REST_SEGMENTS_MAX
                && beyond.iter().all(|segment| ParameterKind::Text.accepts(segment));
            fits.then(|| parameters.push((name.clone(), beyond.join("/"))))?;
        }
        Some(parameters)
    }

    /// Whether a path is like the template: its literal segments in any letter case, and anything for all others.
    pub fn resembles(&self, segments: &[String]) -> bool {
        let Some((own, beyond)) = segments.split_at_checked(self.segments.len()) else { return false };
        let is_like = |(pattern, text): (&Segment, &String)| {
            pattern.literal().is_none_or(|literal| literal.eq_ignore_ascii_case(text))
        };
        (beyond.is_empty() || self.rest.is_some()) && self.segments.iter().zip(own).all(is_like)
    }

    /// The decoded segments of the path to forward, and whether it ends in a slash.
    pub fn write_path(&self, parameters: &Parameters) -> (Vec<String>, bool) {
        let value = |name: &str| parameters.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v.as_str());
        let write = |segment: &Segment| -> String {
            let part = |part: &Part| match part {
                Part::Literal(text) => text.clone(),
                Part::Parameter { name, .. } => value(name).to_owned(),
            };
            segment.0.iter().map(part).collect()
        };
        let mut segments: Vec<String> = self.segments.iter().map(write).collect();
        // A canonical segment has no slash, so the rest comes apart just as it was put together.
        segments.extend(self.rest.iter().flat_map(|name| value(name).split('/')).map(str::to_owned));
        (segments, self.trailing_slash == TrailingSlash::Always)
    }

    /// Whether a value could stand in a parameter's place; no value can where there is no such parameter.
    pub fn accepts(&self, parameter: &str, value: &str) -> bool {
        self.segments.iter().flat_map(|segment| &segment.0).any(|part| match part {
            Part::Parameter { name, kind } => name == parameter && kind.accepts(value),
            Part::Literal(_) => false,
        })
    }

    /// The path as the profile spells it.
    pub fn path_text(&self) -> &str {
        self.label.split_once(' ').map_or("", |(_, path)| path)
    }

    /// The names of the parameters, in order.
    pub fn parameter_names(&self) -> impl Iterator<Item = &str> {
        let inner = self.segments.iter().flat_map(|segment| &segment.0).filter_map(|part| match part {
            Part::Parameter { name, .. } => Some(name.as_str()),
            Part::Literal(_) => None,
        });
        inner.chain(self.rest.as_deref())
    }

    /// Whether some request could match both templates.
    pub fn overlaps(&self, other: &Template, case: PathCase) -> bool {
        let methods = self.methods.iter().any(|method| other.methods.contains(method));
        let slashes = match (self.trailing_slash, other.trailing_slash) {
            (TrailingSlash::Optional, _) | (_, TrailingSlash::Optional) => true,
            (mine, theirs) => mine == theirs,
        };
        let (mine, theirs) = (self.segments.len(), other.segments.len());
        let lengths = match (&self.rest, &other.rest) {
            (None, None) => mine == theirs,
            (Some(_), None) => mine < theirs,
            (None, Some(_)) => theirs < mine,
            (Some(_), Some(_)) => true,
        };
        methods
            && slashes
            && lengths
            && self.segments.iter().zip(&other.segments).all(|(mine, theirs)| mine.overlaps(theirs, case))
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label)
    }
}

impl Segment {
    fn matches(&self, text: &str, case: PathCase, found: &mut Parameters) -> bool {
        let mut rest = text;
        for (index, part) in self.0.iter().enumerate() {
            match part {
                Part::Literal(literal) => match strip_literal(rest, literal, case) {
                    Some(after) => rest = after,
                    None => return false,
                },
                Part::Parameter { name, kind } => {
                    let end = match self.0.get(index + 1) {
                        Some(Part::Literal(next)) => find_literal(rest, next, case),
                        _ => Some(rest.len()),
                    };
                    let Some((value, after)) = end.and_then(|end| rest.split_at_checked(end)) else {
                        return false;
                    };
                    if !kind.accepts(value) {
                        return false;
                    }
                    found.push((name.clone(), value.to_owned()));
                    rest = after;
                }
            }
        }
        rest.is_empty()
    }

    fn overlaps(&self, other: &Segment, case: PathCase) -> bool {
        match (self.literal(), other.literal()) {
            (Some(mine), Some(theirs)) => strip_literal(mine, theirs, case) == Some(""),
            (Some(mine), None) => other.matches(mine, case, &mut Vec::new()),
            (None, Some(theirs)) => self.matches(theirs, case, &mut Vec::new()),
            // Two patterns are told apart by what stands first or last in them, or by disjoint kinds; anything finer
            // is left to the author, who can name the order with `over`.
            (None, None) => !self.differs_at_an_end(other) && !self.kinds_are_disjoint(other),
        }
    }

    fn literal(&self) -> Option<&str> {
        match self.0.as_slice() {
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }

    fn differs_at_an_end(&self, other: &Segment) -> bool {
        let starts = match (self.0.first(), other.0.first()) {
            (Some(Part::Literal(a)), Some(Part::Literal(b))) => {
                !a.starts_with(b.as_str()) && !b.starts_with(a.as_str())
            }
            _ => false,
        };
        let ends = match (self.0.last(), other.0.last()) {
            (Some(Part::Literal(a)), Some(Part::Literal(b))) => {
                !a.ends_with(b.as_str()) && !b.ends_with(a.as_str())
            }
            _ => false,
        };
        starts || ends
    }

    fn kinds_are_disjoint(&self, other: &Segment) -> bool {
        match (self.0.as_slice(), other.0.as_slice()) {
            ([Part::Parameter { kind: a, .. }], [Part::Parameter { kind: b, .. }]) => {
                matches!(
                    (a, b),
                    (ParameterKind::Int, ParameterKind::Uuid) | (ParameterKind::Uuid, ParameterKind::Int)
                )
            }
            _ => false,
        }
    }
}

impl ParameterKind {
    fn accepts(self, value: &str) -> bool {
        match self {
            ParameterKind::Text => !value.is_empty() && value.len() <= PARAMETER_BYTES_MAX,
            // A leading zero would be a second spelling of one id.
            ParameterKind::Int => {
                (1..=19).contains(&value.len())
                    && value.bytes().all(|b| b.is_ascii_digit())
                    && (value == "0" || !value.starts_with('0'))
            }
            ParameterKind::Uuid => {
                value.len() == 36
                    && value.bytes().enumerate().all(|(index, byte)| match index {
                        8 | 13 | 18 | 23 => byte == b'-',
                        _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
                    })
            }
            ParameterKind::Word => {
                (1..=PARAMETER_BYTES_MAX).contains(&value.len())
                    && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
            }
        }
    }
}

fn parse_method(text: &str) -> Result<Method, String> {
    let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
    match known.contains(&text) {
        true => Method::from_bytes(text.as_bytes()).map_err(|error| error.to_string()),
        false => Err(format!("`{text}` is not one of {}", known.join(", "))),
    }
}

/// Takes `{name...}` off the end of a path.
fn split_rest(path: &str) -> Result<(&str, Option<String>), String> {
    let (before, last) = path.rsplit_once('/').unwrap_or(("", path));
    let Some(name) = last.strip_prefix('{').and_then(|last| last.strip_suffix("...}")) else {
        return Ok((path, None));
    };
    match is_parameter_name(name) {
        true => Ok((before, Some(name.to_owned()))),
        false => Err(format!("`{name}` is not a parameter name")),
    }
}

fn is_parameter_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn parse_segment(text: &str) -> Result<Segment, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (literal, after) = rest.split_once('{').unwrap_or((rest, ""));
        if !literal.is_empty() {
            if literal.contains(['}', '%', ';', '\\', '?', '#']) || literal == "." || literal == ".." {
                return Err(format!("`{literal}` cannot stand in a path template"));
            }
            parts.push(Part::Literal(literal.to_owned()));
        }
        if literal.len() == rest.len() {
            break;
        }
        let (inside, after) = after.split_once('}').ok_or("a `{` is not closed")?;
        let (name, kind) = inside.split_once(':').unwrap_or((inside, "text"));
        if !is_parameter_name(name) {
            return Err(format!("`{name}` is not a parameter name"));
        }
        if matches!(parts.last(), Some(Part::Parameter { .. })) {
            return Err("two parameters need text between them".to_owned());
        }
        parts.push(Part::Parameter { name: name.to_owned(), kind: parse_kind(kind)? });
        rest = after;
    }
    match parts.is_empty() {
        true => Err("a path template has no empty segments".to_owned()),
        false => Ok(Segment(parts)),
    }
}

fn parse_kind(text: &str) -> Result<ParameterKind, String> {
    match text {
        "text" => Ok(ParameterKind::Text),
        "int" => Ok(ParameterKind::Int),
        "uuid" => Ok(ParameterKind::Uuid),
        "word" => Ok(ParameterKind::Word),
        _ => Err(format!("`{text}` is not a kind of parameter; there are text, int, uuid and word")),
    }
}

fn strip_literal<'t>(text: &'t str, literal: &str, case: PathCase) -> Option<&'t str> {
    let (head, tail) = text.split_at_checked(literal.len())?;
    let same = match case {
        PathCase::Sensitive => head == literal,
        PathCase::Insensitive => head.eq_ignore_ascii_case(literal),
    };
    same.then_some(tail)
}

fn find_literal(text: &str, literal: &str, case: PathCase) -> Option<usize> {
    text.char_indices()
        .map(|(at, _)| at)
        .find(|at| text.get(*at..).is_some_and(|rest| strip_literal(rest, literal, case).is_some()))
}

const PARAMETER_BYTES_MAX: usize = 256;
/// Segments that the rest of a path may have.
const REST_SEGMENTS_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(template: &str, path: &str, expected: Option<&[(&str, &str)]>) {
        let template = Template::parse(template).unwrap();
        let trimmed = path.strip_suffix('/').unwrap_or(path);
        let segments: Vec<String> = trimmed.split('/').skip(1).map(str::to_owned).collect();
        let found = template.match_path(&segments, path.ends_with('/'), PathCase::Sensitive);
        let expected: Option<Parameters> =
            expected.map(|pairs| pairs.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect());
        assert_eq!(found, expected, "{template} against {path}");
        if let Some(found) = found {
            assert_eq!(template.write_path(&found).0, segments);
        }
    }

    #[test]
    fn paths_match_whole_or_not_at_all() {
        check("GET /deals", "/deals", Some(&[]));
        check("GET /deals", "/deals/", None);
        check("GET /deals/", "/deals/", Some(&[]));
        check("GET /deals/?", "/deals/", Some(&[]));
        check("GET /deals/?", "/deals", Some(&[]));
        check("GET /deals/{id}", "/deals/42", Some(&[("id", "42")]));
        check("GET /deals/{id}", "/deals/42/move", None);
        check("GET /deals/{id}", "/Deals/42", None);
        check("GET /deals/{id:int}", "/deals/export", None);
        check("GET /deals/{id:int}", "/deals/007", None);
        check("GET /deals/{id:int}", "/deals/0", Some(&[("id", "0")]));
        check("GET /accounts({id})/name", "/accounts(7)/name", Some(&[("id", "7")]));
        check("GET /d({a},{b})", "/d(1,2)", Some(&[("a", "1"), ("b", "2")]));
        check("GET /deals/{id:int}.json", "/deals/7.json", Some(&[("id", "7")]));
        check(
            "GET /u/{id:uuid}",
            "/u/0195a2b3-0000-7000-8000-000000000000",
            Some(&[("id", "0195a2b3-0000-7000-8000-000000000000")]),
        );
        check("GET /u/{id:uuid}", "/u/0195A2B3-0000-7000-8000-000000000000", None);
        check("POST /m/{id:int}/{verb:word}", "/m/1/con.vert", None);
        check("GET /static/{path...}", "/static/a/b.css", Some(&[("path", "a/b.css")]));
        check("GET /static/{path...}", "/static", None);
        check("GET /static/{path...}", "/static/a/", None);
        check("GET /static/{v:int}/{path...}", "/static/7/x", Some(&[("v", "7"), ("path", "x")]));
        check("GET /{path...}", "/a", Some(&[("path", "a")]));
        let rest = ["a"; REST_SEGMENTS_MAX].join("/");
        let deep = format!("/{rest}");
        check("GET /{path...}", &deep, Some(&[("path", &rest)]));
        check("GET /{path...}", &format!("{deep}/a"), None);
    }

    #[test]
    fn case_is_folded_only_where_the_profile_says_so() {
        let template = Template::parse("GET /deals/{id}").unwrap();
        let segments = ["DEALS".to_owned(), "aB".to_owned()];
        let found = template.match_path(&segments, false, PathCase::Insensitive).unwrap();
        assert_eq!(template.write_path(&found), (vec!["deals".to_owned(), "aB".to_owned()], false));
    }

    #[test]
    fn overlaps_are_found() {
        let cases = [
            ("GET /deals/{id}", "GET /deals/export", true),
            ("GET /deals/{id:int}", "GET /deals/export", false),
            ("GET /deals/{id}", "POST /deals/{id}", false),
            ("GET,HEAD /deals/{id}", "HEAD /deals/{key}", true),
            ("GET /deals/{id}", "GET /deals/{id}/notes", false),
            ("GET /a/{x:int}", "GET /a/{x:uuid}", false),
            ("GET /a/x{n}", "GET /a/y{n}", false),
            ("GET /a/x{n}", "GET /a/{n}", true),
            ("GET /a/?", "GET /a/", true),
            ("GET /a", "GET /a/", false),
            ("GET /a/{p...}", "GET /a/b/c", true),
            ("GET /a/{p...}", "GET /a", false),
            ("GET /a/{p...}", "GET /{x}/{q...}", true),
            ("GET /a/{p...}", "GET /b/{p...}", false),
        ];
        for (a, b, expected) in cases {
            let (ta, tb) = (Template::parse(a).unwrap(), Template::parse(b).unwrap());
            assert_eq!(ta.overlaps(&tb, PathCase::Sensitive), expected, "{a} and {b}");
            assert_eq!(tb.overlaps(&ta, PathCase::Sensitive), expected, "{b} and {a}");
        }
    }

    #[test]
    fn malformed_templates_say_why() {
        for text in [
            "/deals",
            "GET deals",
            "FETCH /deals",
            "GET /a//b",
            "GET /{a}{b}",
            "GET /{a",
            "GET /{a:hex}",
            "GET /{a}/{a}",
            "GET /../x",
            "GET /{a...}/b",
            "GET /{a...}/",
            "GET /{...}",
            "GET /x{a...}",
        ] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }
}
