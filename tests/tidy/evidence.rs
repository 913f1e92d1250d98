//! A document that names a test as its evidence names one that is there.

use super::{none, tree};

#[test]
fn tests_that_documents_name_are_there() {
    let mut findings = Vec::new();
    let mut named = 0;
    for document in tree::with_ending(&[".md"]) {
        let text = tree::read(&document);
        // Every second piece between backticks is code.
        let spans = text.split('`').skip(1).step_by(2);
        for (file, test) in spans.filter_map(|span| span.split_once(".rs::")) {
            named += 1;
            let file = format!("{file}.rs");
            let text = std::fs::read_to_string(tree::root().join(&file)).unwrap_or_default();
            if !text.contains(&format!("fn {test}(")) {
                findings.push(format!("{document}: `{file}` has no test `{test}`"));
            }
        }
    }
    assert!(named > 0, "documents name tests");
    none("the tests that documents name", &findings);
}
