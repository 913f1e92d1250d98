//! What is found of invariants, for people and for programs.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::render::{count, count_of};
use crate::bundle::compile::Bundle;
use crate::model::principal::EntityRef;
use crate::workbench::prove::environment::Environment;
use crate::workbench::prove::invariant::ClaimKind;
use crate::workbench::prove::scene::Scene;
use crate::workbench::prove::values::shown;
use crate::workbench::prove::{Finding, Findings, Verdict};

/// What is found of all claims.
pub struct Report<'a> {
    /// The bundle whose claims they are.
    pub bundle: &'a Bundle,
    /// By what they were looked at.
    pub means: Means,
    /// What is found of each.
    pub findings: &'a [Findings<'a>],
}

/// By what claims were looked at.
pub struct Means {
    /// The solver, and how long it may take.
    pub solver: Option<String>,
    /// How many people of a directory were checked.
    pub people: Option<usize>,
}

impl Means {
    fn text(&self) -> String {
        let solver = self.solver.as_deref().unwrap_or("none");
        let mut text = format!("solver    {solver}\n");
        if let Some(people) = self.people {
            let people = count_of(people, "person", "people");
            text.push_str(&format!("checked   for the {people} of the directory; nothing is proved\n"));
        }
        format!("{text}assumed   {}\nunproved  {UNPROVED}\n", self.assumed())
    }

    fn assumed(&self) -> &'static str {
        match self.people {
            Some(_) => ASSUMED_OF_PEOPLE,
            None => ASSUMED,
        }
    }
}

impl Report<'_> {
    /// For people.
    pub fn text(&self) -> String {
        let mut text = format!("bundle    {}\n{}", self.bundle.revision, self.means.text());
        for findings in self.findings {
            text.push('\n');
            text.push_str(&one(findings));
        }
        let of = |verdict: Verdict| {
            let count = self.findings.iter().filter(|findings| findings.verdict() == verdict).count();
            (count > 0).then(|| format!("{} {count}", name(verdict)))
        };
        let all: Vec<String> = VERDICTS.iter().filter_map(|verdict| of(*verdict)).collect();
        format!("{text}\n{}\n", all.join(", "))
    }

    /// For programs.
    pub fn json(&self) -> String {
        let invariants = self.findings.iter().map(|findings| {
            let environments = findings.environments.iter().map(|(environment, finding)| {
                let mut told = json!({
                    "principal": environment.principal,
                    "action": environment.action,
                    "resource": environment.resource,
                    "verdict": name(finding.verdict()),
                });
                if let Some(told) = told.as_object_mut() {
                    tell(finding, told);
                }
                told
            });
            json!({
                "id": findings.invariant.id,
                "claim": findings.invariant.claim,
                "kind": findings.invariant.kind.name(),
                "place": findings.invariant.place,
                "verdict": name(findings.verdict()),
                "environments": environments.collect::<Vec<_>>(),
            })
        });
        json!({
            "bundle": self.bundle.revision,
            "solver": self.means.solver,
            "people": self.means.people,
            "assumed": self.means.assumed(),
            "unproved": UNPROVED,
            "invariants": invariants.collect::<Vec<_>>(),
        })
        .to_string()
    }
}

fn tell(finding: &Finding, told: &mut Map<String, Value>) {
    match finding {
        Finding::Refuted(scene, determining) => {
            told.insert("determining".to_owned(), json!(determining));
            told.insert("request".to_owned(), scene.request_json());
            told.insert("entities".to_owned(), scene.entities_json());
        }
        Finding::Undetermined(why) => {
            told.insert("why".to_owned(), json!(why));
        }
        Finding::Holds(people) => {
            told.insert("described_people".to_owned(), json!(people));
        }
        Finding::Proved => {}
    }
}

/// The name of a verdict in reports.
fn name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Refuted => "refuted",
        Verdict::Undetermined => "undetermined",
        Verdict::Holds => "holds",
        Verdict::Proved => "proved",
    }
}

/// One claim.
fn one(findings: &Findings<'_>) -> String {
    let invariant = findings.invariant;
    let mut lines = vec![invariant.claim.clone()];
    let mut unknown: BTreeMap<&str, Vec<&Environment>> = BTreeMap::new();
    let mut refuted = Vec::new();
    for (environment, finding) in &findings.environments {
        match finding {
            Finding::Refuted(scene, determining) => refuted.push((environment, scene, determining)),
            Finding::Undetermined(why) => unknown.entry(why).or_default().push(environment),
            Finding::Holds(_) | Finding::Proved => {}
        }
    }
    for (environment, scene, determining) in refuted.iter().take(EXAMPLES_MAX) {
        lines.push(format!("{}: {}", environment.name(), decided(invariant.kind, determining)));
        lines.extend(example(scene).into_iter().map(|line| format!("  {line}")));
    }
    if refuted.len() > EXAMPLES_MAX {
        let others = refuted.iter().skip(EXAMPLES_MAX).map(|(environment, ..)| *environment).collect();
        lines.push(format!("refuted as well: {}", listed(others)));
    }
    lines.extend(unknown.into_iter().map(|(why, environments)| format!("{}: {why}", listed(environments))));
    lines.push(summary(findings));
    let head = format!("{:<14}{}  {}\n", name(findings.verdict()), invariant.id, invariant.place);
    let lines = lines.into_iter().map(|line| format!("{:<14}{line}\n", ""));
    head + &lines.collect::<String>()
}

/// How many environments came to what.
fn summary(findings: &Findings<'_>) -> String {
    let all = findings.environments.len();
    if all == 0 {
        return "it describes no request that there can be, so it says nothing".to_owned();
    }
    let of = |verdict: Verdict| {
        let found = findings.environments.iter().filter(|(_, finding)| finding.verdict() == verdict).count();
        (found > 0).then(|| format!("{} {found}", name(verdict)))
    };
    let found: Vec<String> = VERDICTS.iter().filter_map(|verdict| of(*verdict)).collect();
    let mut described: BTreeMap<&str, usize> = BTreeMap::new();
    for (environment, finding) in &findings.environments {
        if let Finding::Holds(people) = finding {
            let most = described.entry(&environment.principal).or_default();
            *most = (*most).max(*people);
        }
    }
    let people = match findings.verdict() == Verdict::Holds {
        false => String::new(),
        true => format!(
            "; it may describe requests of {}",
            count_of(described.values().sum(), "person", "people")
        ),
    };
    format!("{}: {}{people}", count(all, "environment"), found.join(", "))
}

fn decided(kind: ClaimKind, determining: &[String]) -> String {
    let by = determining.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ");
    match (kind, determining.is_empty()) {
        (ClaimKind::Never, _) => format!("allowed by {by}"),
        (ClaimKind::Always, true) => "denied, as no policy permits it".to_owned(),
        (ClaimKind::Always, false) => format!("denied by {by}"),
    }
}

/// A few environments, and how many more.
fn listed(environments: Vec<&Environment>) -> String {
    let rest = environments.len().saturating_sub(LISTED_MAX);
    let first = environments.iter().take(LISTED_MAX).map(|environment| environment.name());
    let more = (rest > 0).then(|| format!("{rest} more"));
    first.chain(more).collect::<Vec<_>>().join("; ")
}

/// A request, line by line.
fn example(scene: &Scene) -> Vec<String> {
    let mut lines = Vec::new();
    let parts = [("principal", &scene.principal), ("action", &scene.action), ("resource", &scene.resource)];
    for (part, entity) in parts {
        lines.push(format!("{part:<11}{}", with_parents(scene, entity)));
        lines.extend(attributes(scene, entity));
    }
    for (place, (key, value)) in scene.context.iter().enumerate() {
        let part = if place == 0 { "context" } else { "" };
        lines.push(format!("{part:<11}{key} = {}", shown(value)));
    }
    let is_part = |entity: &EntityRef| parts.iter().any(|(_, part)| *part == entity);
    for (entity, known) in &scene.entities {
        // Which sets are in others is no part of the request.
        let is_shown = !is_part(entity) && entity.type_name != "FieldSet";
        if is_shown && (!known.attributes.is_empty() || !known.parents.is_empty()) {
            lines.push(format!("{:<11}{}", "where", with_parents(scene, entity)));
            lines.extend(attributes(scene, entity));
        }
    }
    lines
}

fn with_parents(scene: &Scene, entity: &EntityRef) -> String {
    let parents = scene.entities.get(entity).into_iter().flat_map(|known| &known.parents);
    let parents: Vec<String> = parents.map(ToString::to_string).collect();
    match parents.is_empty() {
        true => entity.to_string(),
        false => format!("{entity} in {}", parents.join(", ")),
    }
}

fn attributes(scene: &Scene, entity: &EntityRef) -> Vec<String> {
    let known = scene.entities.get(entity).into_iter().flat_map(|known| &known.attributes);
    known.map(|(name, value)| format!("{:<13}{name} = {}", "", shown(value))).collect()
}

/// What a proof rests on.
const ASSUMED: &str = "fields, sets, stages, groups and pipelines are as the profile has them; people, their groups and records are any";
/// What a check of the directory's people rests on.
const ASSUMED_OF_PEOPLE: &str = "fields, sets, stages, groups and pipelines are as the profile has them, people as the directory has them; records and requests are any";
/// What no proof is about.
const UNPROVED: &str =
    "what is decided before and beside the policies: identity, mapping, what the CRM answers, the directory";
const VERDICTS: &[Verdict] = &[Verdict::Proved, Verdict::Holds, Verdict::Refuted, Verdict::Undetermined];
/// Requests that are shown against one claim.
const EXAMPLES_MAX: usize = 1;
/// Environments that are listed by name.
const LISTED_MAX: usize = 3;
