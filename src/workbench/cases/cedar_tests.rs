//! Cases in the form that Cedar's own `run-tests` takes: requests with entities, decision, reason and errors.
//!
//! Promises: judged by the bundle's policies and nothing of the proxy but what the bundle itself knows: fields, field sets, stages.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::Arc;

use cedar_policy as cedar;
use serde::Deserialize;

use super::about_record::list;
use super::expect::Mismatch;
use super::read::CaseFile;
use super::{About, Case};
use crate::bundle::compile::Bundle;
use crate::bundle::slices::Slice;
use crate::config::author::{AuthorProblem, Problems, SourceFile};
use crate::pipeline::decide::evaluate::authorize;

/// One test.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CedarTest {
    #[serde(default)]
    name: String,
    request: Request,
    entities: serde_json::Value,
    decision: Wanted,
    #[serde(default)]
    reason: Vec<String>,
    #[serde(default)]
    num_errors: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    principal: String,
    action: String,
    resource: String,
    #[serde(default = "nothing")]
    context: serde_json::Value,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Wanted {
    Allow,
    Deny,
}

/// Reads a file of tests.
pub fn read(source: &Arc<SourceFile>, problems: &mut Problems) -> Option<CaseFile> {
    match serde_json::from_str::<Vec<CedarTest>>(&source.text) {
        Ok(tests) => {
            let case = |(number, test): (usize, CedarTest)| {
                let name = match test.name.is_empty() {
                    true => format!("test {number}"),
                    false => test.name.clone(),
                };
                let at = source.text.find(&format!("\"{name}\"")).unwrap_or(0);
                Case { name, source: Arc::clone(source), span: at..at, about: About::Cedar(Box::new(test)) }
            };
            Some(CaseFile { scene: None, cases: (1..).zip(tests).map(case).collect() })
        }
        Err(error) => {
            let message = format!("not a list of Cedar's tests: {error}");
            let help =
                "Each has `request`, `entities`, `decision`, and may have `name`, `reason` and `num_errors`.";
            let at = offset(&source.text, error.line(), error.column());
            problems.push(AuthorProblem::error(message).at(source, at..at).help(help));
            None
        }
    }
}

impl CedarTest {
    /// What is decided otherwise than the test says.
    pub fn judge(&self, bundle: &Bundle) -> Vec<Mismatch> {
        match self.decide(bundle) {
            Ok(found) => found,
            Err(why) => vec![Mismatch::new("the request", "one that the schema has", why)],
        }
    }

    fn decide(&self, bundle: &Bundle) -> Result<Vec<Mismatch>, String> {
        let schema = &bundle.schema.schema;
        let uid = |text: &str| {
            cedar::EntityUid::from_str(text).map_err(|error| format!("`{text}` is no entity: {error}"))
        };
        let (principal, action, resource) =
            (uid(&self.request.principal)?, uid(&self.request.action)?, uid(&self.request.resource)?);
        let context = cedar::Context::from_json_value(self.request.context.clone(), Some((schema, &action)))
            .map_err(|error| error.to_string())?;
        let none = Slice::default();
        let slice = bundle.slices.of(action.id().unescaped(), &resource.type_name().to_string());
        let request = cedar::Request::new(principal, action, resource, context, Some(schema))
            .map_err(|error| error.to_string())?;
        let decision = authorize(&request, slice.unwrap_or(&none), &self.entities(bundle)?);
        let mut found = Vec::new();
        let effect =
            if decision.determining.is_empty() || decision.reason.is_some() { "deny" } else { "allow" };
        let wanted = if self.decision == Wanted::Allow { "allow" } else { "deny" };
        if effect != wanted {
            found.push(Mismatch::new("decision", wanted, effect));
        }
        let reason: BTreeSet<&String> = self.reason.iter().collect();
        if !reason.iter().copied().eq(&decision.determining) {
            found.push(Mismatch::new("reason", list(&self.reason), list(&decision.determining)));
        }
        if decision.errors.len() != self.num_errors {
            let errors = decision.errors.len().to_string();
            found.push(Mismatch::new("num_errors", self.num_errors.to_string(), errors));
        }
        Ok(found)
    }

    /// The test's entities, and those of the bundle that it does not bring itself.
    fn entities(&self, bundle: &Bundle) -> Result<cedar::Entities, String> {
        let schema = &bundle.schema.schema;
        let own = cedar::Entities::from_json_value(self.entities.clone(), Some(schema))
            .map_err(|error| error.to_string())?;
        let catalogue = bundle.catalogue.references().filter_map(|name| bundle.catalogue.entity(name));
        let lacking: Vec<cedar::Entity> =
            catalogue.filter(|entity| own.get(&entity.uid()).is_none()).cloned().collect();
        own.add_entities(lacking, Some(schema)).map_err(|error| error.to_string())
    }
}

fn nothing() -> serde_json::Value {
    serde_json::Value::Object(serde_json::Map::new())
}

/// The offset of a line and a column, both from 1.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (before + column.saturating_sub(1)).min(text.len())
}

/// How the names of such files end.
pub const ENDING: &str = ".tests.json";
