//! `lockkeeper bundle keygen`: makes a key pair for signing bundles.

use std::path::PathBuf;

use clap::Args;

use super::{Failed, cannot};
use crate::cli::exit::Exit;
use crate::cli::render;
use crate::disk;
use crate::model::keys::SigningKey;

/// The arguments.
#[derive(Args)]
pub struct KeygenArgs {
    /// The new file for the private key
    #[arg(long, short)]
    out: PathBuf,
}

/// Runs the command.
pub fn run(args: &KeygenArgs) -> Result<Exit, Failed> {
    let unusable = |error: &dyn std::fmt::Display| cannot("make a key for", &args.out, error);
    let private = SigningKey::generate().map_err(|error| unusable(&error))?;
    let key = SigningKey::parse(&private).map_err(|error| unusable(&error))?;
    let public = key.public().ok_or_else(|| unusable(&"it has no public half"))?;
    disk::write_private(&args.out, private.as_bytes()).map_err(|error| cannot("write", &args.out, &error))?;
    render::line(public.to_pem().trim_end());
    render::message(format!("key id: {}", public.id()));
    Ok(Exit::Success)
}
