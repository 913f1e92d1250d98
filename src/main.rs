//! The binary: runs the command line and hands its outcome to the shell.

use std::process::ExitCode;

fn main() -> ExitCode {
    lockkeeper::cli::run().into()
}
