//! The query string as decoded pairs.
//!
//! Promises to keep the pairs' order and the spelling they came in. Never refuses: what cannot be decoded is taken
//! literally, and unknown names are left for others to ignore.

use percent_encoding::percent_decode_str;

/// All parameters of one request.
#[derive(Debug, Clone, Default)]
pub struct Params {
    pairs: Vec<Param>,
}

/// One parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param {
    /// Decoded name.
    pub name: String,
    /// Decoded value; empty if there was no equals sign.
    pub value: String,
    /// The pair as it was written.
    pub raw: String,
}

impl Params {
    /// Splits `a=1&b=x+y`.
    pub fn parse(query: &str) -> Self {
        let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(Param::parse).collect();
        Self { pairs }
    }

    /// All parameters with a value, in order; an empty value counts as not given.
    pub fn given(&self) -> impl Iterator<Item = &Param> {
        self.pairs.iter().filter(|param| !param.value.is_empty())
    }

    /// The value of the last parameter of this name.
    pub fn last(&self, name: &str) -> Option<&str> {
        self.given().filter(|param| param.name == name).map(|param| param.value.as_str()).last()
    }

    /// The comma list under `name`.
    pub fn list(&self, name: &str) -> Option<Vec<String>> {
        self.last(name).map(|value| value.split(',').map(|item| item.trim().to_owned()).collect())
    }
}

impl Param {
    fn parse(pair: &str) -> Self {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Self { name: decoded(name), value: decoded(value), raw: pair.to_owned() }
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::Params;

    #[track_caller]
    fn check(query: &str, expected: &[(&str, &str)]) {
        let params = Params::parse(query);
        let pairs: Vec<(&str, &str)> = params.given().map(|param| (&*param.name, &*param.value)).collect();
        assert_eq!(pairs, expected, "`{query}`");
    }

    #[test]
    fn decodes_pairs() {
        check("", &[]);
        check("a=1&b=x+y%2Fz", &[("a", "1"), ("b", "x y/z")]);
        check("&&a=1&b&c=", &[("a", "1")]);
        check("%73ort=-id", &[("sort", "-id")]);
        check("a=%zz&a=b=c", &[("a", "%zz"), ("a", "b=c")]);
    }

    #[test]
    fn the_last_of_a_name_counts() {
        let params = Params::parse("sort=id&sort=-title,+stage");
        assert_eq!(params.last("sort"), Some("-title, stage"));
        assert_eq!(params.list("sort").unwrap(), ["-title", "stage"]);
        assert_eq!(params.last("page"), None);
    }
}
