//! Routes as the configuration names them: by methods and path, over described and undescribed requests.
//!
//! Promises: nobody reaches a pattern by spelling a template's own text.

use std::ops::Range;

use http::Method;

use crate::bundle::profile::route::Route;
use crate::config::reader::Text;
use crate::config::settings::Settings;

/// Routes by method and path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutePattern {
    /// As the file spells it.
    pub text: String,
    /// Where it stands in the file.
    pub span: Range<usize>,
    methods: Vec<String>,
    path: String,
    ends: Ends,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    Here,
    Anywhere,
}

/// What a pattern is held against.
#[derive(Clone, Copy, Debug)]
pub enum Covered<'t> {
    /// The path template of a route of the profile.
    Template(&'t str),
    /// The decoded path of a request that no route matches.
    Path(&'t str),
}

/// Reads patterns; those that are none are errors, and `example` is what else to write.
pub fn read(settings: &Settings<'_>, texts: &[Text], example: &str) -> Vec<RoutePattern> {
    let pattern = |text: &Text| match RoutePattern::parse(&text.value) {
        Ok(pattern) => Some(RoutePattern { span: text.span.clone(), ..pattern }),
        Err(why) => {
            let help = format!("Write e.g. `GET /deals*`, {example}.");
            settings.error(text.span.clone(), format!("`{}` covers no routes: {why}", text.value), help);
            None
        }
    };
    texts.iter().filter_map(pattern).collect()
}

impl RoutePattern {
    /// Reads `GET,HEAD /deals*`, `* /deals/{id:int}` or `*`; the error fits after a colon.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "*" {
            let (methods, path) = (Vec::new(), "/".to_owned());
            return Ok(Self { text: text.to_owned(), span: 0..0, methods, path, ends: Ends::Anywhere });
        }
        let (methods, path) =
            text.split_once(' ').ok_or("it needs a method, a space and a path, or only `*`")?;
        let methods: Vec<String> = match methods {
            "*" => Vec::new(),
            methods => methods.split(',').map(str::to_owned).collect(),
        };
        if let Some(other) = methods.iter().find(|method| !METHODS.contains(&method.as_str())) {
            return Err(format!("`{other}` is not one of {}, or `*`", METHODS.join(", ")));
        }
        let (path, ends) = match path.strip_suffix('*') {
            Some(path) => (path, Ends::Anywhere),
            None => (path, Ends::Here),
        };
        match (path.starts_with('/'), path.contains('*')) {
            (false, _) => Err("the path must start with `/`".to_owned()),
            (_, true) => Err("`*` can stand at the end of the path only".to_owned()),
            (true, false) => {
                Ok(Self { text: text.to_owned(), span: 0..0, methods, path: path.to_owned(), ends })
            }
        }
    }

    /// Whether the pattern covers a request.
    pub fn covers(&self, method: &str, covered: Covered<'_>) -> bool {
        let fits_method = self.methods.is_empty() || self.methods.iter().any(|own| own == method);
        let fits = |path: &str| match self.ends {
            Ends::Here => path == self.path,
            Ends::Anywhere => path.starts_with(&self.path),
        };
        fits_method
            && match covered {
                Covered::Template(path) => fits(path),
                // A caller could spell a template's own text.
                Covered::Path(path) => !self.path.contains('{') && fits(path),
            }
    }

    /// The methods of a route of the profile by which the pattern covers it.
    pub fn methods_of<'r>(&self, route: &'r Route) -> impl Iterator<Item = &'r Method> {
        let covered = Covered::Template(route.template.path_text());
        route.template.methods.iter().filter(move |method| self.covers(method.as_str(), covered))
    }

    /// Whether the pattern stands for one template of the profile.
    pub fn is_template(&self) -> bool {
        self.path.contains('{') && self.ends == Ends::Here
    }

    /// Whether that is the template of this route.
    pub fn names(&self, route: &Route) -> bool {
        self.path == route.template.path_text()
    }
}

const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_pattern(pattern: &str, method: &str, covered: Covered<'_>, expected: bool) {
        let pattern = RoutePattern::parse(pattern).unwrap();
        assert_eq!(pattern.covers(method, covered), expected, "{pattern:?} {method} {covered:?}");
    }

    #[test]
    fn patterns_cover_what_they_say() {
        use Covered::{Path, Template};
        check_pattern("*", "TRACE", Path("/x"), true);
        check_pattern("*", "GET", Template("/deals/{id}"), true);
        check_pattern("GET /deals*", "GET", Template("/deals/{id}"), true);
        check_pattern("GET /deals*", "HEAD", Template("/deals/{id}"), false);
        check_pattern("GET,HEAD /deals*", "HEAD", Path("/deals/4/notes"), true);
        check_pattern("GET /deals", "GET", Path("/deals/4"), false);
        check_pattern("GET /deals/*", "GET", Path("/deals"), false);
        check_pattern("* /deals/{id:int}", "PUT", Template("/deals/{id:int}"), true);
        check_pattern("* /deals/{id:int}", "PUT", Template("/deals/{id}"), false);
        // Nobody reaches anything by spelling a template's text.
        check_pattern("* /deals/{id:int}", "PUT", Path("/deals/{id:int}"), false);
        check_pattern("* /deals/{id*", "PUT", Path("/deals/{id"), false);
        check_pattern("GET /deals", "GET", Template("/Deals"), false);
    }
}
