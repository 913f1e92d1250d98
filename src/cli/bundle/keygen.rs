//! `lockkeeper bundle keygen`: makes a key pair for signing bundles.

use std::path::PathBuf;

use clap::Args;

use super::Failed;
use crate::cli::exit::Exit;
use crate::cli::{key_pair, render};
use crate::config::author::AuthorProblem;

/// The arguments.
#[derive(Args)]
pub struct KeygenArgs {
    /// The new file for the private key
    #[arg(long, short)]
    out: PathBuf,
}

/// Runs the command.
pub fn run(args: &KeygenArgs) -> Result<Exit, Failed> {
    let public = key_pair::make(&args.out).map_err(AuthorProblem::error)?;
    render::line(public.to_pem().trim_end());
    render::message(format!("key id: {}", public.id()));
    Ok(Exit::Success)
}
