//! The stage catalogue: which stages exist, in which pipeline and groups, and what the CRM calls them.
//!
//! A stage that is not in the catalogue is never guessed: attributes do not convert, moves are refused.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::reader::Table;

/// One stage of one pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// The Cedar id, e.g. `sales.won`.
    pub id: String,
    /// The Cedar id of its pipeline.
    pub pipeline: String,
    /// Its stage groups, e.g. `open`, `closed`, `entry`.
    pub groups: Vec<String>,
    /// Its place in the pipeline, for people.
    pub order: u64,
    /// What the CRM calls it on the wire.
    pub names: Vec<String>,
}

/// All stages, by id and by wire name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StageCatalogue {
    stages: Vec<Stage>,
    by_name: BTreeMap<String, usize>,
    pipelines: BTreeMap<String, String>,
}

impl StageCatalogue {
    /// Every stage, in the order of the profile.
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// The stage that the CRM calls so.
    pub fn by_wire_name(&self, name: &str) -> Option<&Stage> {
        self.by_name.get(name).and_then(|index| self.stages.get(*index))
    }

    /// The stage of that Cedar id.
    pub fn by_id(&self, id: &str) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.id == id)
    }

    /// The Cedar id of the pipeline that the CRM calls so.
    pub fn pipeline_by_wire_name(&self, name: &str) -> Option<&str> {
        self.pipelines.get(name).map(String::as_str)
    }

    /// Every pipeline's Cedar id.
    pub fn pipelines(&self) -> BTreeSet<&str> {
        self.stages.iter().map(|stage| stage.pipeline.as_str()).collect()
    }

    /// Every group's Cedar id.
    pub fn groups(&self) -> BTreeSet<&str> {
        self.stages.iter().flat_map(|stage| &stage.groups).map(String::as_str).collect()
    }
}

/// Reads `[pipelines.<id>]` tables: `names`, and `stages.<name> = { groups, names }`.
pub fn read(pipelines: &Table<'_>) -> StageCatalogue {
    let mut catalogue = StageCatalogue::default();
    for (pipeline, item) in pipelines.entries() {
        let Some(table) = item.table() else { continue };
        let names = table.texts("names").unwrap_or_default();
        let wire_names = if names.is_empty() { vec![pipeline.clone()] } else { names };
        for name in wire_names {
            if catalogue.pipelines.insert(name.value.clone(), pipeline.value.clone()).is_some() {
                pipelines.reading().error(
                    name.span,
                    format!("two pipelines are called `{}`", name.value),
                    "",
                );
            }
        }
        if let Some(stages) = table.table("stages") {
            read_stages(&mut catalogue, &pipeline.value, &stages);
        }
        table.finish();
    }
    catalogue
}

fn read_stages(catalogue: &mut StageCatalogue, pipeline: &str, stages: &Table<'_>) {
    for (order, (name, item)) in stages.entries().into_iter().enumerate() {
        let Some(table) = item.table() else { continue };
        let groups = table.texts("groups").unwrap_or_default().into_iter().map(|text| text.value).collect();
        let names = table.texts("names").unwrap_or_else(|| vec![name.clone()]);
        table.finish();
        for wire in &names {
            let taken = catalogue.by_name.insert(wire.value.clone(), catalogue.stages.len());
            if taken.is_some() {
                let help =
                    "Give each stage its own `names`; a name must tell the stage without its pipeline.";
                stages.reading().error(
                    wire.span.clone(),
                    format!("two stages are called `{}`", wire.value),
                    help,
                );
            }
        }
        catalogue.stages.push(Stage {
            id: format!("{pipeline}.{}", name.value),
            pipeline: pipeline.to_owned(),
            groups,
            order: u64::try_from(order).unwrap_or(u64::MAX),
            names: names.into_iter().map(|text| text.value).collect(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::author::SourceFile;
    use crate::config::reader::Reading;

    #[track_caller]
    fn check(text: &str, expected_problems: &[&str]) -> StageCatalogue {
        let reading = Reading::new(SourceFile::new("profile.toml", text));
        let parsed = reading.parse(text).unwrap();
        let table = reading.table(&parsed);
        let catalogue = read(&table);
        let problems = reading.into_problems();
        assert_eq!(problems.iter().map(|p| p.message()).collect::<Vec<_>>(), expected_problems);
        catalogue
    }

    #[test]
    fn stages_are_found_by_wire_name() {
        let text = "[sales]\nnames = ['sales', 'Sales']\n[sales.stages]\nlead = { groups = ['open', 'entry'] }\nwon = { groups = ['closed'], names = ['won', 'WON'] }\n";
        let catalogue = check(text, &[]);
        assert_eq!(catalogue.by_wire_name("WON").unwrap().id, "sales.won");
        assert_eq!(catalogue.by_wire_name("won").unwrap().pipeline, "sales");
        assert_eq!(catalogue.pipeline_by_wire_name("Sales"), Some("sales"));
        assert!(catalogue.by_wire_name("Won").is_none());
        assert_eq!(catalogue.groups().into_iter().collect::<Vec<_>>(), ["closed", "entry", "open"]);
    }

    #[test]
    fn a_name_means_one_stage() {
        let text = "[a]\n[a.stages]\nwon = {}\n[b]\n[b.stages]\nwon = {}\n";
        check(text, &["two stages are called `won`"]);
    }
}
