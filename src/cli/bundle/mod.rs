//! `lockkeeper bundle`: makes archives of bundles, signs them, and looks into them.

mod build;
mod inspect;
mod keygen;
mod sign;
mod verify;

use std::path::Path;

use clap::{Args, Subcommand};

use super::exit::Exit;
use super::render;
use crate::bundle::archive::pack::ArchiveLimits;
use crate::bundle::archive::{Parts, take_apart};
use crate::config::author::AuthorProblem;
use crate::disk;

/// The arguments.
#[derive(Args)]
pub struct BundleArgs {
    #[command(subcommand)]
    command: BundleCommand,
}

#[derive(Subcommand)]
enum BundleCommand {
    /// Make an archive of a bundle's folder, with its manifest
    Build(build::BuildArgs),
    /// Sign an archive
    Sign(sign::SignArgs),
    /// Verify an archive as the service would, without the network
    Verify(verify::VerifyArgs),
    /// Show what an archive says of itself, without verifying it
    Inspect(inspect::InspectArgs),
    /// Make a key pair: the private key in a file, the public key on standard output
    Keygen(keygen::KeygenArgs),
}

/// Runs the command.
pub fn run(args: &BundleArgs) -> Exit {
    let done = match &args.command {
        BundleCommand::Build(args) => build::run(args),
        BundleCommand::Sign(args) => sign::run(args),
        BundleCommand::Verify(args) => verify::run(args),
        BundleCommand::Inspect(args) => inspect::run(args),
        BundleCommand::Keygen(args) => keygen::run(args),
    };
    done.unwrap_or_else(|failed| {
        match failed.exit {
            // Wrong arguments read like those that the parser finds.
            Exit::Usage => {
                let help = failed.problem.help_text().map(|help| format!("\n\nhelp: {help}"));
                render::failure(&format!("{}{}", failed.problem, help.unwrap_or_default()));
            }
            _ => render::problems(&failed.problem.into()),
        }
        failed.exit
    })
}

/// Why a command ended early, and with which exit code.
struct Failed {
    problem: AuthorProblem,
    exit: Exit,
}

impl From<AuthorProblem> for Failed {
    fn from(problem: AuthorProblem) -> Self {
        Self { problem, exit: Exit::Failure }
    }
}

impl Failed {
    fn check(problem: AuthorProblem) -> Self {
        Self { problem, exit: Exit::CheckFailed }
    }

    fn usage(problem: AuthorProblem) -> Self {
        Self { problem, exit: Exit::Usage }
    }
}

/// Reads an archive and takes it apart.
fn read_parts(path: &Path) -> Result<Parts, Failed> {
    let limits = ArchiveLimits::default();
    let bytes = read_archive(path, &limits)?;
    take_apart(&bytes, &limits).map_err(|error| {
        Failed::check(AuthorProblem::error(format!("`{}`: {error}", path.display())).help(error.help()))
    })
}

fn read_archive(path: &Path, limits: &ArchiveLimits) -> Result<Vec<u8>, Failed> {
    Ok(disk::read(path, limits.archive_bytes_max).map_err(|error| cannot("read", path, &error))?)
}

fn cannot(verb: &str, path: &Path, error: &dyn std::fmt::Display) -> AuthorProblem {
    AuthorProblem::error(format!("cannot {verb} `{}`: {error}", path.display()))
}
