//! What documents show works: policies compile against the demo's bundle, configurations, profiles and bundles load.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use lockkeeper::bundle::profile::Profile;
use lockkeeper::bundle::{compile, source};
use lockkeeper::config::author::{Problems, SourceFile};
use lockkeeper::config::service;
use lockkeeper::workbench::prove::invariant;

use super::tree;

#[test]
fn the_cookbook_compiles_against_the_demo() {
    let policies = blocks("docs/reference/policies.md", "cedar");
    assert!(policies.len() >= 6, "{} policies", policies.len());
    for policy in &policies {
        check(std::slice::from_ref(policy));
    }
    check(&policies);
}

#[test]
fn invariants_of_the_reference_load_with_the_demo() {
    let invariants = blocks("docs/reference/prove.md", "cedar");
    let mut problems = Problems::default();
    let mut files: BTreeMap<String, Bytes> =
        source::read(&tree::root().join("policies/demo-crm"), &mut problems).unwrap();
    files.retain(|name, _| !name.starts_with("invariants/"));
    files.insert("invariants/reference.cedar".to_owned(), Bytes::from(invariants.join("\n")));
    let bundle = compile::compile(files, &mut problems).unwrap();
    let loaded = invariant::load(&bundle, &mut problems).unwrap_or_default();
    assert_eq!(loaded.len(), 2, "{problems}");
}

#[test]
fn a_policy_that_does_not_validate_is_found() {
    let wrong = "@id(\"x\") permit (principal, action == Action::\"view\", resource is Deal) when { resource.amuont };";
    assert!(compile_with(&[wrong.to_owned()]).has_errors());
}

#[test]
fn configurations_of_documents_load() {
    for document in ["README.md", "docs/reference/config.md", "docs/guide/first-day.md"] {
        let blocks = blocks(document, "toml");
        let whole: Vec<&String> = blocks.iter().filter(|block| block.contains("[listen]")).collect();
        assert!(!whole.is_empty(), "{document}");
        for text in whole {
            let mut problems = Problems::default();
            service::read(&SourceFile::new(document, text.as_str()), Path::new("/"), &mut problems);
            assert!(problems.iter().next().is_none(), "{problems}");
        }
    }
}

#[test]
fn the_first_profile_of_the_reference_loads() {
    let blocks = blocks("docs/reference/profile.md", "toml");
    let mut problems = Problems::default();
    Profile::load(&SourceFile::new("profile.toml", blocks.first().unwrap().as_str()), &mut problems);
    assert!(problems.iter().next().is_none(), "{problems}");
}

#[test]
fn the_bundle_of_the_guide_compiles() {
    let guide = "docs/guide/first-day.md";
    let profile = blocks(guide, "toml").into_iter().find(|block| block.contains("profile = 1")).unwrap();
    let mut problems = Problems::default();
    let file = |name: &str, text: String| (name.to_owned(), Bytes::from(text));
    let files = BTreeMap::from([
        file("profile.toml", profile),
        file("crm.cedarschema", blocks(guide, "cedarschema").join("\n")),
        file("policies/deals.cedar", blocks(guide, "cedar").join("\n")),
    ]);
    compile::compile(files, &mut problems);
    assert!(problems.iter().next().is_none(), "{problems}");
}

#[track_caller]
fn check(policies: &[String]) {
    let problems = compile_with(policies);
    assert!(problems.iter().next().is_none(), "{problems}\n{}", policies.join("\n"));
}

fn compile_with(policies: &[String]) -> Problems {
    let mut problems = Problems::default();
    let folder = tree::root().join("policies/demo-crm");
    let mut files: BTreeMap<String, Bytes> = source::read(&folder, &mut problems).unwrap();
    files.insert("policies/cookbook.cedar".to_owned(), Bytes::from(policies.join("\n")));
    compile::compile(files, &mut problems);
    problems
}

/// The fenced blocks of a language.
fn blocks(document: &str, language: &str) -> Vec<String> {
    let text = tree::read(document);
    let fence = format!("```{language}\n");
    let blocks = text.split(&fence).skip(1).filter_map(|rest| rest.split("\n```").next());
    blocks.map(str::to_owned).collect()
}
