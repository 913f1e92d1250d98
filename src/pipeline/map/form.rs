//! `application/x-www-form-urlencoded`, read strictly and written anew.

use super::super::canonical::{Plus, check_method_override, decode, encode_into};
use crate::model::problem::Problem;
use crate::model::reason::Reason;

/// Reads the pairs of a form, in order.
pub fn read(body: &[u8]) -> Result<Vec<(String, String)>, Problem> {
    let text = std::str::from_utf8(body).map_err(|_| Reason::FormSyntax)?;
    let mut pairs = Vec::new();
    for pair in text.split('&') {
        // Some readers take `;` for a separator, and an empty pair for an empty key.
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = read_text(name)?;
        if name.is_empty() || pair.contains(';') || name.chars().any(char::is_control) {
            return Err(Reason::FormSyntax.into());
        }
        check_method_override(&name)?;
        pairs.push((name, read_text(value)?));
    }
    Ok(pairs)
}

fn read_text(raw: &str) -> Result<String, Problem> {
    let bytes = decode(raw, Plus::Space).ok_or(Reason::FormSyntax)?;
    let text = String::from_utf8(bytes).map_err(|_| Reason::FormSyntax)?;
    check_value(&text)?;
    Ok(text)
}

/// Text areas have lines; no other control character says anything that two readers agree on.
pub fn check_value(text: &str) -> Result<(), Problem> {
    let is_plain = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    match text.chars().all(is_plain) {
        true => Ok(()),
        false => Err(Reason::FormSyntax.into()),
    }
}

/// Writes the pairs of a form.
pub fn write(pairs: &[(String, String)]) -> String {
    let mut form = String::new();
    for (name, value) in pairs {
        if !form.is_empty() {
            form.push('&');
        }
        encode_into(&mut form, name, b"");
        form.push('=');
        encode_into(&mut form, value, b"");
    }
    form
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(body: &str, expected: Result<&[(&str, &str)], Reason>) {
        let found = read(body.as_bytes()).map_err(|problem| problem.reason);
        let expected = expected.map(|pairs| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Vec<_>>()
        });
        assert_eq!(found, expected, "{body}");
    }

    #[test]
    fn forms_are_read_strictly() {
        check("a=1&b=x+y%2Bz", Ok(&[("a", "1"), ("b", "x y+z")]));
        check("a=1=2&b", Ok(&[("a", "1=2"), ("b", "")]));
        check("note=a%0D%0Ab", Ok(&[("note", "a\r\nb")]));
        for broken in ["a=%4", "a=%zz", "a=%FF", "a=1;b=2", "a=1&", "&a=1", "=1", "a=%00", "%0A=1"] {
            check(broken, Err(Reason::FormSyntax));
        }
        for name in ["_method", "_METHOD", "_HttpMethod", "%5Fmethod"] {
            check(&format!("{name}=DELETE"), Err(Reason::MethodOverride));
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(pairs in prop::collection::vec(("[a-z&=+% é]{1,6}", "[ -~é\n]{0,8}"), 1..5)) {
            let pairs: Vec<(String, String)> = pairs;
            let unescaped = pairs.iter().all(|(name, value)| !name.contains(';') && !value.contains(';'));
            let read = read(write(&pairs).as_bytes());
            prop_assert!(!unescaped || read.is_ok());
            if let Ok(read) = read {
                prop_assert_eq!(read, pairs);
            }
        }
    }
}
