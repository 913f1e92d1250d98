//! `lockkeeper config`: what the configuration file may hold, for people and for editors.

use clap::{Args, Subcommand};

use super::exit::Exit;
use super::render;
use crate::config::service::SECTIONS;
use crate::config::{json_schema, reference};

/// The arguments.
#[derive(Args)]
pub struct ConfigCommandArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Print every section and key with its meaning, default and range, as Markdown
    Reference,
    /// Print a JSON Schema of the configuration file, for editors
    Schema,
}

/// Runs the command.
pub fn run(args: &ConfigCommandArgs) -> Exit {
    match args.command {
        ConfigCommand::Reference => render::line(reference_text().trim_end()),
        ConfigCommand::Schema => render::line(schema_text().trim_end()),
    }
    Exit::Success
}

/// `docs/reference/config.md`, as it must stand.
pub fn reference_text() -> String {
    reference::markdown(SECTIONS)
}

/// `schemas/lockkeeper.schema.json`, as it must stand.
pub fn schema_text() -> String {
    format!("{:#}\n", json_schema::schema(SECTIONS))
}
