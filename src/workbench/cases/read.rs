//! Reads case files: every problem with its place.

use std::sync::Arc;

use super::about_record::AboutRecord;
use super::about_request::AboutRequest;
use super::scene::Scene;
use super::{About, Case, cedar_tests};
use crate::bundle::compile::Bundle;
use crate::bundle::instant;
use crate::bundle::part::Part;
use crate::config::author::{Problems, SourceFile};
use crate::config::reader::{Reading, Table};
use crate::model::principal::{Asker, Attested};

/// The cases of one file, with the people and records that they speak of.
pub struct CaseFile {
    /// People and records; none for Cedar's own form, which brings its own.
    pub scene: Option<Scene>,
    /// The cases, in the order of the file.
    pub cases: Vec<Case>,
}

/// Reads every case file of a bundle, in the order of their names.
pub fn read(bundle: &Arc<Bundle>, problems: &mut Problems) -> Vec<CaseFile> {
    let mut files = Vec::new();
    for (name, bytes) in &bundle.files {
        let is_case_file = name.ends_with(".toml") || name.ends_with(cedar_tests::ENDING);
        if Part::of(name) != Some(Part::Cases) || !is_case_file {
            continue;
        }
        // Bundles that are not UTF-8 do not compile.
        let source = SourceFile::new(name, String::from_utf8_lossy(bytes));
        if name.ends_with(cedar_tests::ENDING) {
            files.extend(cedar_tests::read(&source, problems));
            continue;
        }
        let reading = Reading::new(Arc::clone(&source));
        let mut own = Problems::default();
        if let Some(table) = reading.parse(&source.text) {
            files.extend(file(bundle, &reading.table(&table), &mut own));
        }
        problems.extend(own);
        problems.extend(reading.into_problems());
    }
    files
}

fn file(bundle: &Arc<Bundle>, table: &Table<'_>, problems: &mut Problems) -> Option<CaseFile> {
    if table.integer("cases", 1..=1).is_none() && table.item("cases").is_none() {
        let help = "Begin the file with `cases = 1`, the language's version.";
        table.reading().error(table.span(), "`cases` is missing", help);
    }
    let now = table.required("now", "Say when the cases happen, e.g. `now = \"2026-11-21T12:00:00Z\"`.");
    let now_ms = now.and_then(|now| instant_of(table, &now.value, now.span));
    let scene = Scene::read(bundle, table, problems);
    let cases = table.tables("case");
    table.finish();
    let (scene, now_ms) = (scene?, now_ms?);
    let cases = cases.iter().filter_map(|case| read_case(&scene, now_ms, case)).collect();
    Some(CaseFile { scene: Some(scene), cases })
}

fn read_case(scene: &Scene, file_now_ms: i64, table: &Table<'_>) -> Option<Case> {
    let name = table.required("name", "Say what the case shows.");
    let principal = table.required("principal", "Say who asks: a name of `[people]`.");
    let entity = principal.and_then(|text| scene.person(table, &text));
    let on_behalf_of = table.text("on_behalf_of").and_then(|text| scene.person(table, &text));
    let auth_level = table.item("auth_level").and_then(|item| item.integer(0..=i64::MAX.unsigned_abs()));
    let auth_level = auth_level.and_then(|level| i64::try_from(level).ok());
    let now = table.text("now").map(|now| instant_of(table, &now.value, now.span));
    let request = table.text("request");
    let is_request = request.is_some();
    let about_request = request.and_then(|request| AboutRequest::read(scene, table, request));
    let about_record = if is_request { None } else { AboutRecord::read(scene, table) };
    table.finish();
    let attested = Attested { auth_level, on_behalf_of };
    let asker = Asker { entity: entity?, attested, now_ms: now.unwrap_or(Some(file_now_ms))? };
    let about = match (about_request, about_record) {
        (Some(request), _) => About::Request(Box::new(request), asker),
        (None, Some(record)) => About::Record(Box::new(record), asker),
        (None, None) => return None,
    };
    Some(Case { name: name?.value, source: Arc::clone(&table.reading().source), span: table.span(), about })
}

fn instant_of(table: &Table<'_>, text: &str, span: std::ops::Range<usize>) -> Option<i64> {
    match instant::parse_wire(text, None) {
        Ok(millis) => Some(millis),
        Err(why) => {
            let help = "Write RFC 3339 with an offset, e.g. 2026-11-21T12:00:00Z.";
            table.reading().error(span, format!("`{text}` is no time: {why}"), help);
            None
        }
    }
}
