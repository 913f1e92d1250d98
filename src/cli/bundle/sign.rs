//! `lockkeeper bundle sign`: adds a signature to an archive.

use std::path::PathBuf;

use bytes::Bytes;
use clap::Args;

use super::{Failed, cannot, read_parts};
use crate::bundle::archive::manifest::Manifest;
use crate::bundle::archive::put_together;
use crate::bundle::archive::signature::{self, Signature};
use crate::cli::exit::Exit;
use crate::cli::render;
use crate::config::author::AuthorProblem;
use crate::disk;
use crate::model::keys::SigningKey;

/// The arguments.
#[derive(Args)]
pub struct SignArgs {
    /// The archive
    archive: PathBuf,
    /// The file with the private key: PKCS#8 in PEM, readable by its owner alone
    #[arg(long, short)]
    key: PathBuf,
    /// Where the signed archive goes; without it, it replaces the other
    #[arg(long, short)]
    out: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &SignArgs) -> Result<Exit, Failed> {
    let mut parts = read_parts(&args.archive)?;
    let wrong = |message: String, help: &str| Failed::check(AuthorProblem::error(message).help(help));
    // Nobody should put their name under what would be refused.
    let manifest = Manifest::parse(&parts.papers.manifest);
    let manifest = manifest.and_then(|manifest| manifest.check_files(&parts.files).map(|()| manifest));
    let manifest = manifest.map_err(|error| wrong(error.to_string(), error.help()))?;
    let text = disk::read_private(&args.key).map_err(|error| cannot("use the key", &args.key, &error))?;
    let key = SigningKey::parse(&text).map_err(|error| cannot("use the key", &args.key, &error))?;
    let present = parts.papers.signatures.clone().unwrap_or_default();
    let mut signatures = signature::parse(&present)
        .map_err(|error| wrong(error.to_string(), "Build the archive anew and sign it again."))?;
    let own = Signature::make(&parts.papers.manifest, &key)
        .ok_or_else(|| cannot("use the key", &args.key, &"it has no public half"))?;
    signatures.retain(|other| other.key != own.key);
    let id = own.key.clone();
    signatures.push(own);
    let signed = signature::to_text(&signatures);
    signature::parse(signed.as_bytes())
        .map_err(|error| wrong(error.to_string(), "Fewer people need to sign."))?;
    parts.papers.signatures = Some(Bytes::from(signed));
    let archive = put_together(&parts).map_err(|error| wrong(error.to_string(), error.help()))?;
    let out = args.out.as_ref().unwrap_or(&args.archive);
    disk::replace(out, &archive, disk::Readers::All).map_err(|error| cannot("write", out, &error))?;
    render::line(format!("{} {}", manifest.revision, out.display()));
    render::message(format!("signed by {id}, {} in all", render::count(signatures.len(), "signature")));
    Ok(Exit::Success)
}
