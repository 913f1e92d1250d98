//! Which keys the profile language knows, asked of its reader: each table gets an unknown key, and the reader's help lists
//! what it would have taken.

use std::collections::BTreeSet;

use lockkeeper::bundle::profile::Profile;
use lockkeeper::config::author::{Problems, SourceFile};

use super::{none, tree};

/// A key that is near no other, so that the help lists all.
const UNKNOWN: &str = "qqqqqqqqqqqqqqqqqqqq";

/// Every table of the profile language, in each form that has keys of its own.
const PROFILE: &str = r#"
profile = 1
U = 1
paths = { U = 1 }
headers = { U = 1 }
not_found = { U = 1, body = "" }
[pipelines.p]
U = 1
stages = { s = { U = 1 } }
[types.T]
id = "id"
U = 1
[types.T.attributes]
money = { as = "decimal", U = 1 }
truth = { as = "bool", U = 1 }
point = { as = "datetime", U = 1 }
owner = { as = "User", U = 1 }
[types.T.fields]
f = { sets = ["s"], U = 1 }
g = { sets = ["s"], hide = { U = 1 } }
[[routes]]
match = "POST /a/{id}/{verb}"
U = 1
action = { from = "path.verb", U = 1, verbs = { v = { action = "edit", U = 1 } } }
type = { from = "path.id", U = 1 }
id = { from = "path.id", U = 1 }
records = { at = "$", U = 1 }
totals = { at = "$.t", U = 1 }
query = { q = { role = "search", U = 1, over_parameter = { name = "in", U = 1 } } }
headers = { range = { role = "paging", U = 1 } }
writes = { U = 1 }
also = [{ U = 1, action = "edit", when = { at = "$.a", U = 1 } }]
to = { at = "$.s", U = 1 }
errors = [{ U = 1 }]
limits = { U = 1 }
body = { U = 1 }
when = [{ U = 1, query = "q", absent = true }]
success = { U = 1, at = "$.e" }
csv = { U = 1, columns = { A = { U = 1, key = "f" } } }
[[routes]]
match = "GET /b"
action = "list"
[routes.query]
keys = { role = "sort", form = "json-objects", name = "n", U = 1 }
object = { role = "filter", form = "object", operators = "=", encoding = "brackets", U = 1 }
tree = { role = "filter", form = "tree", operators = "=", name = "n", operator = "o", value = "v", U = 1 }
[[routes]]
match = "GET /c"
action = "list"
records = { at = "$[*]", type = { key = "k", U = 1 } }
totals = { at = "$.t", when_rows_hidden = { U = 1 } }
push_down = { U = 1, into = "p", attributes = { a = { U = 1, at = "b" } } }
"#;

#[test]
fn every_key_of_the_profile_language_is_documented() {
    let mut problems = Problems::default();
    let text = PROFILE.replace("U =", &format!("{UNKNOWN} ="));
    assert!(Profile::load(&SourceFile::new("profile.toml", text.as_str()), &mut problems).is_none());
    let keys = known(&problems, text.matches(UNKNOWN).count());
    assert!(keys.contains("when_rows_hidden") && keys.contains("thousands"), "{keys:?}");
    documented(&keys, "docs/reference/profile.md");
}

/// What the readers say that they know; each unknown key must have been met.
fn known(problems: &Problems, unknown_count: usize) -> BTreeSet<String> {
    let unknown = problems.iter().filter(|problem| problem.message().contains(UNKNOWN));
    let helps: Vec<&str> = unknown.filter_map(|problem| problem.help_text()).collect();
    assert_eq!(helps.len(), unknown_count, "a table was not read: {problems}");
    let lists = helps.iter().filter_map(|help| help.strip_prefix("Known here: "));
    lists.flat_map(|list| list.trim_end_matches('.').split(", ")).map(str::to_owned).collect()
}

#[track_caller]
fn documented(keys: &BTreeSet<String>, document: &str) {
    let text = tree::read(document);
    let missing: Vec<String> = keys.iter().filter(|key| !names(&text, key)).cloned().collect();
    none(&format!("every key stands in {document}, in backticks or as a section"), &missing);
}

fn names(text: &str, key: &str) -> bool {
    text.contains(&format!("`{key}`")) || text.contains(&format!("`[{key}]`"))
}
