//! `lockkeeper init`: drafts a bundle from a description of the CRM's API.
//!
//! Promises: nothing is written over, and nothing is written that would not load; nothing that is written permits anything.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::Args;
use serde_json::json;

use super::exit::Exit;
use super::{Format, render};
use crate::bundle::compile::compile;
use crate::config::author::{AuthorProblem, Problems};
use crate::config::load;
use crate::disk;
use crate::workbench::init::document::Document;
use crate::workbench::init::{draft, report, write};

/// The arguments.
#[derive(Args)]
#[command(after_help = "Example: lockkeeper init --openapi crm-api.yaml --out bundle")]
pub struct InitArgs {
    /// The description: OpenAPI 2.0, 3.0 or 3.1, as JSON or YAML
    #[arg(long, value_name = "FILE")]
    openapi: PathBuf,
    /// The folder to write the bundle to; it must be new or empty
    #[arg(long, short)]
    out: PathBuf,
    /// How the report is written
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Runs the command.
pub fn run(args: &InitArgs) -> Exit {
    let mut problems = Problems::default();
    let ran = init(args, &mut problems);
    render::problems(&problems);
    if ran.is_none() { Exit::Failure } else { Exit::Success }
}

fn init(args: &InitArgs, problems: &mut Problems) -> Option<()> {
    let source = load::text(&args.openapi, problems)?;
    let document = Document::read(&source).map_err(|problem| problems.push(problem)).ok()?;
    let draft = draft(&document);
    let files = write::files(&draft);
    check(&files, problems)?;
    put(&args.out, &files).map_err(|problem| problems.push(problem)).ok()?;
    match args.format {
        Format::Text => {
            render::line(report::text(&draft).trim_end());
            let next = "nothing is allowed yet; look at the profile, then run `lockkeeper check` and `lockkeeper test` on the folder";
            render::message(format!("written to `{}`: {next}", args.out.display()));
        }
        Format::Json => {
            let mut told = report::json(&draft);
            if let Some(told) = told.as_object_mut() {
                told.insert("files".to_owned(), json!(files.keys().collect::<Vec<_>>()));
            }
            render::line(told.to_string());
        }
    }
    Some(())
}

/// What is drafted loads. If not, that is a fault of this program and no bundle of anybody's.
fn check(files: &BTreeMap<String, String>, problems: &mut Problems) -> Option<()> {
    let bytes = files.iter().map(|(name, text)| (name.clone(), Bytes::from(text.clone())));
    let mut found = Problems::default();
    if compile(bytes.collect(), &mut found).is_none() {
        problems.extend(found);
        let help = "This is a fault of `lockkeeper init`: report it with the document.";
        problems.push(AuthorProblem::error("nothing was written: the draft would not load").help(help));
        return None;
    }
    Some(())
}

fn put(folder: &Path, files: &BTreeMap<String, String>) -> Result<(), AuthorProblem> {
    let shown = folder.display();
    let unusable = |error: &std::io::Error| {
        AuthorProblem::error(format!("`{shown}` cannot be written to: {error}"))
            .help("Choose another folder, or make it writable; take away what was written of the draft.")
    };
    if disk::is_in_use(folder).map_err(|error| unusable(&error))? {
        let help = "A draft is never written over what is there: choose a new folder.";
        return Err(AuthorProblem::error(format!("`{shown}` is no new or empty folder")).help(help));
    }
    for (name, text) in files {
        let path = folder.join(name);
        disk::make_folder(path.parent().unwrap_or(folder)).map_err(|error| unusable(&error))?;
        disk::write_new(&path, text.as_bytes(), disk::Readers::All).map_err(|error| unusable(&error))?;
    }
    Ok(())
}
