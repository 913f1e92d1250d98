//! Patterns for the names in certificates, written as OpenSSL prints them: `DNS:…`, `URI:…`, `email:…`, with at most one `*`.
//!
//! Promises: a `*` stands for at least one character, and never for one that separates parts of such a name.

use super::peer::CertificateName;

/// A name, or a pattern for names of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NamePattern {
    kind: Kind,
    before: String,
    /// What follows the `*`; `None` without one.
    after: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Dns,
    Uri,
    Email,
}

impl NamePattern {
    /// Reads `DNS:*.people.example.com`; `None` if it has no kind, nothing after it, or several `*`.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, name) = text.split_once(':')?;
        let kind = match kind {
            "DNS" => Kind::Dns,
            "URI" => Kind::Uri,
            "email" => Kind::Email,
            _ => return None,
        };
        let name = canonical(kind, name);
        let (before, after) = match name.split_once('*') {
            Some((before, after)) => (before.to_owned(), Some(after.to_owned())),
            None => (name.clone(), None),
        };
        let is_sound =
            !name.is_empty() && name != "*" && after.as_ref().is_none_or(|rest| !rest.contains('*'));
        is_sound.then_some(Self { kind, before, after })
    }

    /// Whether it has a `*`.
    pub fn has_star(&self) -> bool {
        self.after.is_some()
    }

    /// Whether a name fits.
    pub fn fits(&self, name: &CertificateName) -> bool {
        self.capture(name).is_some()
    }

    /// What stands in place of the `*` (the whole name without one), if the name fits.
    pub fn capture(&self, name: &CertificateName) -> Option<String> {
        let (kind, text) = match name {
            CertificateName::Dns(text) => (Kind::Dns, text),
            CertificateName::Uri(text) => (Kind::Uri, text),
            CertificateName::Email(text) => (Kind::Email, text),
        };
        if kind != self.kind {
            return None;
        }
        let text = canonical(kind, text);
        let Some(after) = &self.after else { return (text == self.before).then_some(text) };
        let found = text.strip_prefix(&self.before)?.strip_suffix(after.as_str())?;
        let separators: &[char] = match kind {
            Kind::Dns => &['.', '*'],
            Kind::Uri => &['/', '?', '#', '%', ':', '@'],
            Kind::Email => &['@', '"'],
        };
        let is_one_part =
            !found.is_empty() && !found.contains(separators) && !found.contains(char::is_control);
        is_one_part.then(|| found.to_owned())
    }
}

/// Host names are the same in any letter case; the rest is compared as it stands.
fn canonical(kind: Kind, name: &str) -> String {
    match kind {
        Kind::Dns => name.to_ascii_lowercase(),
        Kind::Uri => name.to_owned(),
        Kind::Email => match name.rsplit_once('@') {
            Some((local, host)) => format!("{local}@{}", host.to_ascii_lowercase()),
            None => name.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> CertificateName {
        let (kind, name) = text.split_once(':').unwrap();
        match kind {
            "DNS" => CertificateName::Dns(name.to_owned()),
            "URI" => CertificateName::Uri(name.to_owned()),
            _ => CertificateName::Email(name.to_owned()),
        }
    }

    #[track_caller]
    fn check(pattern: &str, text: &str, expected: Option<&str>) {
        let found = NamePattern::parse(pattern).unwrap().capture(&name(text));
        assert_eq!(found.as_deref(), expected, "{text} as {pattern}");
    }

    #[test]
    fn the_star_is_one_part_of_a_name() {
        check("email:*@example.com", "email:anna@example.com", Some("anna"));
        check("email:*@example.com", "email:anna@EXAMPLE.com", Some("anna"));
        check("email:*@example.com", "email:@example.com", None);
        check("email:*@example.com", "email:eve@evil.com@example.com", None);
        check("email:*@example.com", "email:anna@example.com.evil.com", None);
        check("email:*@example.com", "DNS:anna@example.com", None);
        check("DNS:*.people.example.com", "DNS:Anna.People.example.com", Some("anna"));
        check("DNS:*.people.example.com", "DNS:a.b.people.example.com", None);
        check("DNS:*.people.example.com", "DNS:*.people.example.com", None);
        check("URI:spiffe://example.com/user/*", "URI:spiffe://example.com/user/anna", Some("anna"));
        check("URI:spiffe://example.com/user/*", "URI:spiffe://example.com/user/anna/admin", None);
        check("URI:spiffe://example.com/user/*", "URI:spiffe://example.com/user/%2e", None);
        check("URI:spiffe://example.com/user/*", "URI:SPIFFE://example.com/user/anna", None);
        check("DNS:gw.example.com", "DNS:GW.example.com", Some("gw.example.com"));
        check("DNS:gw.example.com", "DNS:xgw.example.com", None);
    }

    #[test]
    fn what_is_no_pattern() {
        for text in ["anna", "CN:anna", "DNS:", "DNS:*", "DNS:*.*.example.com", "dns:x"] {
            assert_eq!(NamePattern::parse(text), None, "{text}");
        }
    }
}
