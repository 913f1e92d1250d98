//! Paths of a document as templates of a profile: which record a path names, which collection it belongs to.
//!
//! Promises: what a template cannot say is told apart from what it says narrower; parameters keep their order, and the one that names the
//! route's own record is called `id`.

use super::names::{self, Taken, singular};
use crate::bundle::profile::template::Template;

/// A path, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    segments: Vec<Vec<Part>>,
    has_trailing_slash: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Word(String),
    Parameter(String),
}

/// What a parameter of a path takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartKind {
    /// Any text.
    Text,
    /// A whole number.
    Int,
    /// A UUID.
    Uuid,
}

impl Path {
    /// Takes a path apart; the error says what no template can say.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.contains(['?', '#', '%', ';', '\\']) || text.chars().any(char::is_control) {
            return Err("its path has a character that no template can have");
        }
        let inner = text.strip_prefix('/').unwrap_or(text);
        let has_trailing_slash = inner.ends_with('/');
        let inner = inner.strip_suffix('/').unwrap_or(inner);
        let segments = match inner {
            "" => Vec::new(),
            inner => inner.split('/').map(parse_segment).collect::<Result<Vec<_>, _>>()?,
        };
        let path = Self { segments, has_trailing_slash };
        let is_sayable = Template::parse(&path.label("GET", None, &|_| PartKind::Text)).is_ok();
        is_sayable.then_some(path).ok_or("no template can say its path")
    }

    /// The parameter by which the path names one record: `{id}` of `/deals/{id}`, `/deals/{id}.json` and `/deals({id})`.
    pub fn record_parameter(&self) -> Option<&str> {
        match self.segments.last()?.as_slice() {
            [Part::Parameter(name)] => Some(name),
            [Part::Parameter(name), Part::Word(end)] if end.starts_with('.') => Some(name),
            [Part::Word(word), Part::Parameter(name), Part::Word(end)]
                if word.ends_with('(') && end == ")" =>
            {
                Some(name)
            }
            _ => None,
        }
    }

    /// The same path without its last word, which must name one record: `/deals/{id}` of `/deals/{id}/move`.
    pub fn above(&self) -> Option<Self> {
        let (_, above) = self.segments.split_last()?;
        let path = Self { segments: above.to_vec(), has_trailing_slash: self.has_trailing_slash };
        path.record_parameter().is_some().then_some(path)
    }

    /// What tells the collection: `/deals` of `/deals`, `/deals.json`, `/deals/{any}` and `/deals({any})`.
    pub fn collection(&self) -> String {
        let part = |part: &Part| match part {
            Part::Word(word) => word.clone(),
            Part::Parameter(_) => "{}".to_owned(),
        };
        let mut segments: Vec<String> =
            self.segments.iter().map(|segment| segment.iter().map(part).collect()).collect();
        let last = segments.pop().unwrap_or_default();
        let word = last.split(['(', '.']).next().unwrap_or_default();
        if self.record_parameter().is_none() || word != "{}" {
            segments.push(word.to_owned());
        }
        format!("/{}", segments.join("/"))
    }

    /// What the collection is called: the last word of its path, such as `deals`.
    pub fn noun(&self) -> &str {
        let mut words = self.segments.iter().rev().filter_map(|segment| match segment.first() {
            Some(Part::Word(word)) => Some(word.split(['(', '.']).next().unwrap_or_default()),
            _ => None,
        });
        words.find(|word| !word.is_empty()).unwrap_or_default()
    }

    /// The last word of the path, if it ends in one.
    pub fn last_word(&self) -> Option<&str> {
        match self.segments.last()?.as_slice() {
            [Part::Word(word)] => Some(word),
            _ => None,
        }
    }

    /// How exact it is, place by place: a word before a number before any text.
    pub fn exactness(&self, kind: &dyn Fn(&str) -> PartKind) -> Vec<u8> {
        let rank = |segment: &Vec<Part>| match segment.as_slice() {
            [Part::Parameter(name)] if kind(name) == PartKind::Text => 0,
            [Part::Parameter(_)] => 1,
            [Part::Word(_)] => 3,
            _ => 2,
        };
        self.segments.iter().map(rank).collect()
    }

    /// The label of its route. The parameter `record` is called `id`; others keep their names as far as templates can have them.
    pub fn label(&self, methods: &str, record: Option<&str>, kind: &dyn Fn(&str) -> PartKind) -> String {
        let names = self.parameter_names(record);
        let mut names = names.iter();
        let mut part = |part: &Part| match part {
            Part::Word(word) => word.clone(),
            Part::Parameter(original) => {
                let name = names.next().map_or("part", |(_, name)| name.as_str());
                match kind(original) {
                    PartKind::Text => format!("{{{name}}}"),
                    PartKind::Int => format!("{{{name}:int}}"),
                    PartKind::Uuid => format!("{{{name}:uuid}}"),
                }
            }
        };
        let segments: Vec<String> =
            self.segments.iter().map(|segment| segment.iter().map(&mut part).collect()).collect();
        let slash = if self.has_trailing_slash && !segments.is_empty() { "/" } else { "" };
        format!("{methods} /{}{slash}", segments.join("/"))
    }

    /// What a parameter is called in the template where none is called `id`.
    pub fn name_of(&self, parameter: &str) -> String {
        let names = self.parameter_names(None);
        names.into_iter().find(|(own, _)| *own == parameter).map(|(_, name)| name).unwrap_or_default()
    }

    /// Each parameter with its name in the template.
    fn parameter_names(&self, record: Option<&str>) -> Vec<(&str, String)> {
        let mut taken = Taken::default();
        taken.take("id");
        let mut above = "part";
        let mut found = Vec::new();
        for part in self.segments.iter().flatten() {
            match part {
                Part::Word(word) => above = word,
                Part::Parameter(name)
                    if record == Some(name) && !found.iter().any(|(own, _)| own == name) =>
                {
                    found.push((name.as_str(), "id".to_owned()));
                }
                Part::Parameter(name) => {
                    let plain = match names::word(name, "part") {
                        bare if bare == "id" => format!("{}_id", names::word(&singular(above), "part")),
                        bare => bare,
                    };
                    found.push((name.as_str(), taken.take(&plain)));
                }
            }
        }
        found
    }
}

fn parse_segment(text: &str) -> Result<Vec<Part>, &'static str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (word, after) = rest.split_once('{').unwrap_or((rest, ""));
        parts.extend((!word.is_empty()).then(|| Part::Word(word.to_owned())));
        if word.len() == rest.len() {
            break;
        }
        let (name, after) = after.split_once('}').ok_or("a `{` of its path is not closed")?;
        if name.starts_with(['+', '.', '&', '*']) || name.ends_with(['+', '*']) || name.trim().is_empty() {
            return Err("a parameter of its path takes more than one segment");
        }
        parts.push(Part::Parameter(name.to_owned()));
        rest = after;
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: &str) {
        let told = Path::parse(path).map(|path| {
            let record = path.record_parameter();
            format!(
                "{} | {} | {} | {:?}",
                path.label("GET", record, &|_| PartKind::Text),
                path.collection(),
                path.noun(),
                path.last_word()
            )
        });
        assert_eq!(told.unwrap_or_else(str::to_owned), expected, "{path}");
    }

    #[test]
    fn paths_tell_their_collections() {
        check("/deals", "GET /deals | /deals | deals | Some(\"deals\")");
        check("/deals/", "GET /deals/ | /deals | deals | Some(\"deals\")");
        check("/deals/{dealId}", "GET /deals/{id} | /deals | deals | None");
        check("/accounts({key})", "GET /accounts({id}) | /accounts | accounts | None");
        check("/deals.json", "GET /deals.json | /deals | deals | Some(\"deals.json\")");
        check("/deals/{Sid}.json", "GET /deals/{id}.json | /deals | deals | None");
        check(
            "deals/{id}/notes/{note id}",
            "GET /deals/{deal_id}/notes/{id} | /deals/{}/notes | notes | None",
        );
        check("/deals/{id}/notes", "GET /deals/{deal_id}/notes | /deals/{}/notes | notes | Some(\"notes\")");
        check("/{a}/{a}/{b-c}", "GET /{a}/{a_2}/{id} | /{}/{} |  | None");
        check("/{id}", "GET /{id} | / |  | None");
        check("/", "GET / | / |  | None");
    }

    #[test]
    fn what_no_template_can_say() {
        check("/deals?all=1", "its path has a character that no template can have");
        check("/a/{b", "a `{` of its path is not closed");
        check("/a/{proxy+}", "a parameter of its path takes more than one segment");
        check("/a//b", "no template can say its path");
        check("/a/../b", "no template can say its path");
        check("/{a}{b}", "no template can say its path");
        check("/a}/b", "no template can say its path");
    }

    #[test]
    fn a_path_above_names_a_record() {
        let above = |path: &str| Path::parse(path).unwrap().above().map(|path| path.collection());
        assert_eq!(above("/deals/{id}/move"), Some("/deals".to_owned()));
        assert_eq!(above("/deals/move"), None);
        assert_eq!(above("/deals"), None);
    }
}
