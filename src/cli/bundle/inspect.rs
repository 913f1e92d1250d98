//! `lockkeeper bundle inspect`: shows what an archive says of itself. It proves nothing: `verify` does.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::{Failed, read_parts};
use crate::bundle::archive::Parts;
use crate::bundle::archive::manifest::Manifest;
use crate::bundle::archive::signature;
use crate::bundle::compile::{Bundle, compile};
use crate::bundle::source;
use crate::cli::exit::Exit;
use crate::cli::{Format, render};
use crate::config::author::{AuthorProblem, Problems};
use crate::ledger::entry::revision::PolicyChanges;
use crate::service::entries::policy_changes;

/// The arguments.
#[derive(Args)]
pub struct InspectArgs {
    /// The archive
    archive: PathBuf,
    /// Another archive, or a bundle's folder, to tell what this one changes
    #[arg(long)]
    against: Option<PathBuf>,
    /// How the report is written
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// What is told.
struct Inspected {
    manifest: Manifest,
    signed_by: Vec<String>,
    bundle: Bundle,
    changes: Option<PolicyChanges>,
}

/// Runs the command.
pub fn run(args: &InspectArgs) -> Result<Exit, Failed> {
    let Parts { files, papers } = read_parts(&args.archive)?;
    let manifest = Manifest::parse(&papers.manifest);
    let manifest = manifest.and_then(|manifest| manifest.check_files(&files).map(|()| manifest));
    let manifest = manifest
        .map_err(|error| Failed::check(AuthorProblem::error(error.to_string()).help(error.help())))?;
    let signatures = signature::parse(&papers.signatures.unwrap_or_default())
        .map_err(|error| Failed::check(AuthorProblem::error(error.to_string())))?;
    let bundle = compiled(&args.archive, Some(files))?;
    let changes = match &args.against {
        Some(path) => {
            let files = if path.is_dir() { None } else { Some(read_parts(path)?.files) };
            let before = compiled(path, files)?;
            Some(policy_changes(Some(&before), &bundle).unwrap_or_default())
        }
        None => None,
    };
    let signed_by = signatures.iter().map(|signature| signature.key.to_string()).collect();
    let inspected = Inspected { manifest, signed_by, bundle, changes };
    match args.format {
        Format::Text => text(&inspected),
        Format::Json => render::line(as_json(&inspected)),
    }
    Ok(Exit::Success)
}

/// Compiles the files of an archive, or those of a folder.
fn compiled(
    path: &Path,
    files: Option<std::collections::BTreeMap<String, bytes::Bytes>>,
) -> Result<Bundle, Failed> {
    let mut problems = Problems::default();
    let files = files.or_else(|| source::read(path, &mut problems));
    let bundle = files.and_then(|files| compile(files, &mut problems));
    render::problems(&problems);
    bundle
        .ok_or_else(|| Failed::check(AuthorProblem::error(format!("`{}` does not compile", path.display()))))
}

fn text(inspected: &Inspected) {
    let manifest = &inspected.manifest;
    let stated = |text: &Option<String>| text.clone().unwrap_or_else(|| "nobody".to_owned());
    render::message("not verified: `lockkeeper bundle verify` checks the signatures");
    render::line(format!("bundle    {}", manifest.revision));
    render::line(format!("version   {}", manifest.version));
    render::line(format!("author    {}", manifest.author));
    render::line(format!("approver  {}", stated(&manifest.approver)));
    render::line(format!("ticket    {}", manifest.ticket.as_deref().unwrap_or("none")));
    render::line(format!("created   {}", manifest.created));
    render::line(format!("expires   {}", manifest.expires));
    render::line(format!("policies  {}", inspected.bundle.policies.ids().count()));
    for key in &inspected.signed_by {
        render::line(format!("signed by {key}"));
    }
    if inspected.signed_by.is_empty() {
        render::line("signed by nobody");
    }
    for file in &manifest.files {
        render::line(format!("file      {} ({} bytes)", file.path, file.bytes));
    }
    if let Some(changes) = &inspected.changes {
        for (what, ids) in
            [("adds", &changes.added), ("removes", &changes.removed), ("changes", &changes.changed)]
        {
            ids.iter().for_each(|id| render::line(format!("{what:<9} {id}")));
        }
        if *changes == PolicyChanges::default() {
            render::line("changes   no policy");
        }
    }
}

fn as_json(inspected: &Inspected) -> String {
    json!({
        "verified": false,
        "manifest": inspected.manifest,
        "signedBy": inspected.signed_by,
        "policies": inspected.bundle.policies.ids().collect::<Vec<_>>(),
        "changes": inspected.changes.as_ref().map(|changes| json!({
            "added": changes.added,
            "removed": changes.removed,
            "changed": changes.changed,
        })),
    })
    .to_string()
}
