//! `lockkeeper bundle build`: makes an archive of a bundle's folder, with its manifest.

use std::path::PathBuf;

use clap::Args;

use super::{Failed, cannot};
use crate::bundle::archive::manifest::{Manifest, ManifestError, Statement};
use crate::bundle::archive::provenance::Papers;
use crate::bundle::archive::{Parts, put_together};
use crate::bundle::compile::compile;
use crate::bundle::{instant, source};
use crate::cli::exit::Exit;
use crate::cli::render;
use crate::config::author::{AuthorProblem, Problems};
use crate::disk;
use crate::telemetry::clock::Clock;

/// The arguments.
#[derive(Args)]
pub struct BuildArgs {
    /// The bundle's folder
    folder: PathBuf,
    /// The archive to write, by habit with the ending `.lkb`
    #[arg(long, short)]
    out: PathBuf,
    /// The bundle's version: higher than that of every bundle that served before
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    bundle_version: u64,
    /// Who made the bundle
    #[arg(long)]
    author: String,
    /// Who else approved it
    #[arg(long)]
    approver: Option<String>,
    /// What asked for it
    #[arg(long)]
    ticket: Option<String>,
    /// When it was made, RFC 3339; without it now. The same files, statements and time give the same bytes
    #[arg(long)]
    created: Option<String>,
    /// Until when it may serve, RFC 3339
    #[arg(long, conflicts_with = "valid_days")]
    expires: Option<String>,
    /// For how many days it may serve
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(i64).range(1..=3_650))]
    valid_days: i64,
}

/// Runs the command.
pub fn run(args: &BuildArgs) -> Result<Exit, Failed> {
    let statement = statement(args)?;
    let mut problems = Problems::default();
    // What does not compile would be refused where it is to serve, so it gets no archive.
    let bundle = source::read(&args.folder, &mut problems).and_then(|files| compile(files, &mut problems));
    render::problems(&problems);
    let Some(bundle) = bundle else {
        let message = format!("not built: {}", render::count(problems.error_count(), "problem"));
        return Err(Failed::check(AuthorProblem::error(message)));
    };
    let manifest = Manifest::of(&statement, &bundle.files);
    let stated = manifest.and_then(|manifest| manifest.to_bytes());
    let stated =
        stated.map_err(|error| Failed::usage(AuthorProblem::error(error.to_string()).help(help(&error))))?;
    let papers = Papers { manifest: stated, signatures: None };
    let archive = put_together(&Parts { files: bundle.files, papers });
    let archive = archive.map_err(|error| AuthorProblem::error(error.to_string()).help(error.help()))?;
    disk::replace(&args.out, &archive, disk::Readers::All)
        .map_err(|error| cannot("write", &args.out, &error))?;
    render::line(format!("{} {}", bundle.revision, args.out.display()));
    render::message(format!("unsigned: sign it with `lockkeeper bundle sign {}`", args.out.display()));
    Ok(Exit::Success)
}

fn statement(args: &BuildArgs) -> Result<Statement, Failed> {
    let created_ms = match &args.created {
        Some(text) => time(text, "--created")?,
        None => Clock::system().now_ms().div_euclid(1000) * 1000,
    };
    let expires_ms = match &args.expires {
        Some(text) => time(text, "--expires")?,
        None => created_ms + args.valid_days * DAY_MS,
    };
    Ok(Statement {
        version: args.bundle_version,
        author: args.author.clone(),
        approver: args.approver.clone(),
        ticket: args.ticket.clone(),
        created_ms,
        expires_ms,
    })
}

/// What helps against a manifest that cannot be made from the arguments.
fn help(error: &ManifestError) -> String {
    match error {
        ManifestError::Member { member: member @ ("author" | "approver" | "ticket"), .. } => {
            format!(
                "Correct `--{member}`: 1 to 200 bytes, not `unsigned`, without control characters or white space around it."
            )
        }
        ManifestError::Member { member: "version", .. } => "Correct `--bundle-version`.".to_owned(),
        ManifestError::Member { .. } => {
            "Correct `--created`, and `--expires` or `--valid-days`: it expires after it was made.".to_owned()
        }
        ManifestError::TooLarge { .. } => "Join small files: each has its line in the manifest.".to_owned(),
        other => other.help().to_owned(),
    }
}

/// Reads a time that was given with a flag.
pub(super) fn time(text: &str, flag: &str) -> Result<i64, Failed> {
    instant::parse_wire(text, None).map_err(|why| {
        let message = format!("`{flag} {text}` is not a time: {why}");
        Failed::usage(AuthorProblem::error(message).help("Write it like 2026-06-15T12:00:00Z."))
    })
}

const DAY_MS: i64 = 86_400_000;
