//! `lockkeeper key`: makes keys and hashes them. A key is shown once and stored nowhere; files hold only hashes.

use std::io::{BufRead, IsTerminal, Read};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{Args, Subcommand};

use super::exit::Exit;
use super::render;
use crate::bundle::revision::hash;
use crate::model::principal::EntityRef;

/// The arguments.
#[derive(Args)]
pub struct KeyArgs {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Subcommand)]
enum KeyCommand {
    /// Make a new key of 256 random bits: the key on standard error, the line for the key file on standard output
    New {
        /// Whose key it is, e.g. 'User::"anna"'
        #[arg(long)]
        principal: String,
    },
    /// Hash a key that the CRM gave somebody, read from standard input
    Hash {
        /// Whose key it is, e.g. 'User::"anna"'
        #[arg(long)]
        principal: String,
    },
}

/// Runs the command.
pub fn run(args: &KeyArgs) -> Exit {
    let (KeyCommand::New { principal } | KeyCommand::Hash { principal }) = &args.command;
    let Some(principal) = EntityRef::parse(principal).filter(EntityRef::is_person) else {
        let help = "write e.g. 'User::\"anna\"'; there are User, Service and Agent";
        render::failure(&format!("`{principal}` is not a principal; {help}"));
        return Exit::Usage;
    };
    let key = match &args.command {
        KeyCommand::New { .. } => new_key(),
        KeyCommand::Hash { .. } => read_key(),
    };
    match key {
        Ok(key) => {
            if matches!(args.command, KeyCommand::New { .. }) {
                render::message(format!("key (shown once): {key}"));
            }
            render::line(format!(
                "[[key]]\nprincipal = '{principal}'\nsha256 = \"{}\"",
                hash(key.as_bytes())
            ));
            Exit::Success
        }
        Err(why) => {
            render::failure(&why);
            Exit::Failure
        }
    }
}

/// A new key of 256 random bits.
pub fn new_key() -> Result<String, String> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| format!("the system gives no random bytes: {error}"))?;
    Ok(format!("lk_{}", URL_SAFE_NO_PAD.encode(bytes)))
}

fn read_key() -> Result<String, String> {
    let mut text = String::new();
    let stdin = std::io::stdin();
    let is_typed = stdin.is_terminal();
    let mut limited = std::io::BufReader::new(stdin.take(KEY_BYTES_MAX + 2));
    let read = match is_typed {
        true => {
            render::message("the key, then Enter:");
            limited.read_line(&mut text)
        }
        false => limited.read_to_string(&mut text),
    };
    read.map_err(|error| error.to_string())?;
    match text.trim() {
        "" => Err("standard input holds no key".to_owned()),
        key if u64::try_from(key.len()).map_or(true, |bytes| bytes > KEY_BYTES_MAX) => {
            Err(format!("standard input holds more than {KEY_BYTES_MAX} bytes"))
        }
        key if key.contains('\n') => Err("standard input holds more than one line".to_owned()),
        key => Ok(key.to_owned()),
    }
}

const KEY_BYTES_MAX: u64 = 8 * 1024;
