//! The command line: one file per command. Data goes to standard output, messages to standard error.

pub mod audit;
mod verify;
mod verify_text;
mod evidence;
mod key_pair;
mod forget;
mod sign_off;
mod admin_post;
mod export;
mod replay;
mod query;
mod report;
mod reading;
mod store;
pub mod exit;
pub mod render;
pub mod serve;
pub mod demo;
pub mod check;
mod init;
pub mod test;
pub mod matrix;
pub mod diff;
mod draft;
pub mod explain;
mod explain_text;
pub mod prove;
mod prove_text;
pub mod key;
pub mod bundle;
pub mod config;
pub mod health;
pub mod papers;
mod supervisor;

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::author::Problems;
use crate::config::load;
use crate::config::service::ServiceConfig;
use exit::Exit;

/// A policy-decision sidecar: stands in front of a CRM's API, decides with Cedar, strips what a caller may not see.
#[derive(Parser)]
#[command(name = "lockkeeper", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the sidecar in front of a CRM
    Serve(serve::ServeArgs),
    /// Run an embedded demo CRM with Lockkeeper in front of it
    Demo(demo::DemoArgs),
    /// Draft a bundle from a description of the CRM's API
    Init(init::InitArgs),
    /// Check a bundle, its directory and the configuration; report every problem
    Check(check::CheckArgs),
    /// Run the cases of a bundle: what it is meant to decide
    Test(test::TestArgs),
    /// Tell who may do what: roles or people, actions, stages, fields
    Matrix(matrix::MatrixArgs),
    /// Compare two bundles: who gains and loses which rights
    Diff(diff::DiffArgs),
    /// Explain what would be decided of a request, and why
    Explain(Box<explain::ExplainArgs>),
    /// Prove the invariants of a bundle, or show a request that breaks one
    Prove(prove::ProveArgs),
    /// Read the ledger
    Audit(audit::AuditArgs),
    /// Make a key for a caller, or hash one that the CRM gave them
    Key(key::KeyArgs),
    /// Make, sign and verify archives of bundles
    Bundle(bundle::BundleArgs),
    /// Print what the configuration file may hold
    Config(config::ConfigCommandArgs),
    /// Ask a running service whether it is ready
    Health(health::HealthArgs),
    /// Print completions for a shell
    Completions(papers::CompletionsArgs),
    /// Write the pages of the manual
    Man(papers::ManArgs),
}

/// Where the configuration is.
#[derive(Args)]
pub struct ConfigArgs {
    /// The configuration file
    #[arg(long, short, default_value = "lockkeeper.toml")]
    pub config: PathBuf,
}

/// The configuration in a file. Whatever is wrong with it is printed; `None` comes with at least one error.
fn configured(path: &Path) -> Option<ServiceConfig> {
    let mut problems = Problems::default();
    let config = load::load(path, &mut problems);
    render::problems(&problems);
    config
}

/// How a report is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

/// Parses the arguments and runs the command.
pub fn run() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // clap's own exit code for a typo is 2, which would read as a denial.
        Err(error) => {
            let is_asked_for = !error.use_stderr();
            let _ = error.print();
            return if is_asked_for { Exit::Success } else { Exit::Usage };
        }
    };
    match cli.command {
        Command::Serve(args) => serve::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Init(args) => init::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Matrix(args) => matrix::run(&args),
        Command::Diff(args) => diff::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Prove(args) => prove::run(&args),
        Command::Audit(args) => audit::run(&args),
        Command::Key(args) => key::run(&args),
        Command::Bundle(args) => bundle::run(&args),
        Command::Config(args) => config::run(&args),
        Command::Health(args) => health::run(&args),
        Command::Completions(args) => papers::completions(&args),
        Command::Man(args) => papers::man(&args),
    }
}
