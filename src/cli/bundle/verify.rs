//! `lockkeeper bundle verify`: verifies an archive as the service would, with nothing but public keys.

use std::path::{Path, PathBuf};

use clap::Args;

use super::build::time;
use super::{Failed, cannot, read_archive};
use crate::bundle::archive::open;
use crate::bundle::archive::pack::ArchiveLimits;
use crate::bundle::archive::trust::{Revoked, Strictness, Trust};
use crate::bundle::compile::compile;
use crate::cli::exit::Exit;
use crate::cli::render;
use crate::config::author::{AuthorProblem, Problems};
use crate::disk;
use crate::model::keys::{self, KeyId, TrustedKeys};
use crate::telemetry::clock::Clock;

/// The arguments.
#[derive(Args)]
pub struct VerifyArgs {
    /// The archive
    archive: PathBuf,
    /// A file with trusted public keys, as PEM or one base64 key a line; may be given several times
    #[arg(long, required = true)]
    keys: Vec<PathBuf>,
    /// How many trusted keys must have signed
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=16))]
    signatures_min: u64,
    /// The id of a key that is not to count; may be given several times
    #[arg(long)]
    revoked_key: Vec<String>,
    /// The time to judge at, RFC 3339; without it now
    #[arg(long)]
    at: Option<String>,
}

/// Runs the command.
pub fn run(args: &VerifyArgs) -> Result<Exit, Failed> {
    let revoked_keys: Result<_, _> = args.revoked_key.iter().map(|id| KeyId::parse(id)).collect();
    let keys_revoked =
        revoked_keys.map_err(|error| Failed::usage(AuthorProblem::error(error.to_string())))?;
    let keys = trusted(&args.keys)?;
    let revoked = Revoked { keys: keys_revoked, ..Revoked::default() };
    let now_ms = match &args.at {
        Some(text) => time(text, "--at")?,
        None => Clock::system().now_ms(),
    };
    let trust = Trust {
        strictness: Strictness::Required,
        keys: &keys,
        signatures_min: usize::try_from(args.signatures_min).unwrap_or(usize::MAX),
        revoked: &revoked,
        floor: None,
        now_ms,
        grace_ms: 0,
    };
    let limits = ArchiveLimits::default();
    let bytes = read_archive(&args.archive, &limits)?;
    let opened = open(&bytes, &limits, &trust)
        .map_err(|error| Failed::check(AuthorProblem::error(error.to_string()).help(error.help())))?;
    let mut problems = Problems::default();
    let bundle = compile(opened.files, &mut problems);
    render::problems(&problems);
    let (Some(bundle), Some(manifest)) = (bundle, opened.provenance.manifest()) else {
        let message = "the signatures hold, but the bundle does not compile";
        return Err(Failed::check(AuthorProblem::error(message)));
    };
    render::line(format!("bundle   {}", bundle.revision));
    render::line(format!(
        "version  {} by {}, expires {}",
        manifest.version, manifest.author, manifest.expires
    ));
    for signer in &opened.provenance.signers {
        render::line(format!("signed   {signer}"));
    }
    Ok(Exit::Success)
}

fn trusted(paths: &[PathBuf]) -> Result<TrustedKeys, Failed> {
    let mut trusted = TrustedKeys::new();
    for path in paths {
        for key in public_keys(path)? {
            trusted.insert(key.id(), key);
        }
    }
    Ok(trusted)
}

fn public_keys(path: &Path) -> Result<Vec<keys::PublicKey>, Failed> {
    let bytes = disk::read(path, KEYS_BYTES_MAX).map_err(|error| cannot("read", path, &error))?;
    let text = String::from_utf8(bytes).map_err(|_| cannot("read", path, &"it is not text"))?;
    Ok(keys::read_public_keys(&text).map_err(|error| cannot("take keys from", path, &error))?)
}

const KEYS_BYTES_MAX: usize = 1 << 20;
