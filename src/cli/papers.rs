//! `lockkeeper completions` and `lockkeeper man`: what shells and `man` know of the command line, written from it [edge].
#![expect(clippy::disallowed_methods, reason = "edge: writes the manual's pages")]

use std::path::PathBuf;

use clap::{Args, CommandFactory, ValueEnum};

use super::exit::Exit;
use super::{Cli, render};

/// The arguments of `completions`.
#[derive(Args)]
pub struct CompletionsArgs {
    /// The shell that completes
    shell: Shell,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// The arguments of `man`.
#[derive(Args)]
pub struct ManArgs {
    /// The folder to write to, e.g. /usr/local/share/man/man1
    dir: PathBuf,
}

/// Prints the completions of a shell.
pub fn completions(args: &CompletionsArgs) -> Exit {
    let shell = match args.shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "lockkeeper", &mut script);
    render::line(String::from_utf8_lossy(&script).trim_end());
    Exit::Success
}

/// Writes a page of the manual for every command.
pub fn man(args: &ManArgs) -> Exit {
    let written =
        std::fs::create_dir_all(&args.dir).and_then(|()| clap_mangen::generate_to(Cli::command(), &args.dir));
    match written {
        Ok(()) => Exit::Success,
        Err(error) => {
            render::failure(&format!("`{}` cannot be written to: {error}", args.dir.display()));
            Exit::Failure
        }
    }
}
