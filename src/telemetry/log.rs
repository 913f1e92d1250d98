//! The operational log: structured lines on standard error, apart from the ledger.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::service::{LogConfig, LogFormat};

/// Starts the log; a second start in one process does nothing.
pub fn start(config: &LogConfig) {
    let filter = EnvFilter::try_new(&config.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let _ = match config.format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}
