//! The tokens of the admin listener: one for operators, and one for services that ask AuthZEN questions, if they have their own.
//!
//! Promises: only hashes are kept, and hashes are compared. Tokens are read anew with every reload; a file that cannot be used
//! leaves the old tokens in force and says so. Two tokens that are the same are refused: whoever may ask could then reload.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use sha2::{Digest, Sha256};

use crate::config::author::{AuthorProblem, Problems};
use crate::config::load;
use crate::config::service::AdminConfig;

/// Who may ask for something on the admin listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Operators: metrics, status, reload.
    Admin,
    /// Services that ask what would be decided.
    Authzen,
}

/// The tokens that are in force.
pub struct Tokens {
    admin_file: PathBuf,
    authzen_file: Option<PathBuf>,
    held: ArcSwap<Held>,
}

/// Hashes of the tokens.
struct Held {
    admin: [u8; 32],
    authzen: [u8; 32],
}

impl Tokens {
    /// Reads them; `None` comes with at least one error.
    pub fn read(config: &AdminConfig, problems: &mut Problems) -> Option<Self> {
        let (admin_file, authzen_file) = (config.token_file.clone(), config.authzen_token_file.clone());
        let held = Held::read(&admin_file, authzen_file.as_deref(), problems)?;
        Some(Self { admin_file, authzen_file, held: ArcSwap::from_pointee(held) })
    }

    /// Reads them anew. After an error the old ones stay in force.
    pub fn renew(&self) -> Problems {
        let mut problems = Problems::default();
        if let Some(held) = Held::read(&self.admin_file, self.authzen_file.as_deref(), &mut problems) {
            self.held.store(Arc::new(held));
        }
        problems
    }

    /// Whether a token opens a door.
    pub fn opens(&self, door: Door, token: &str) -> bool {
        let held = self.held.load();
        // Hashes of equal length are compared, so the time tells nothing about the token.
        hash(token)
            == match door {
                Door::Admin => held.admin,
                Door::Authzen => held.authzen,
            }
    }
}

impl Held {
    /// Without a file of its own, AuthZEN opens to the admin token.
    fn read(admin: &Path, authzen: Option<&Path>, problems: &mut Problems) -> Option<Self> {
        let admin_token = token(admin, problems);
        let Some(authzen) = authzen else {
            let admin = hash(&admin_token?);
            return Some(Self { admin, authzen: admin });
        };
        let authzen_token = token(authzen, problems);
        let held = Self { admin: hash(&admin_token?), authzen: hash(&authzen_token?) };
        if held.admin == held.authzen {
            let message = format!("`{}` and `{}` hold the same token", admin.display(), authzen.display());
            let help =
                "Make another for AuthZEN, or whoever asks questions can reload: `openssl rand -base64 32`.";
            problems.push(AuthorProblem::error(message).help(help));
            return None;
        }
        Some(held)
    }
}

fn token(path: &Path, problems: &mut Problems) -> Option<String> {
    let token = load::secret(path, problems)?;
    if token.len() < TOKEN_BYTES_MIN {
        let (name, bytes) = (path.display(), token.len());
        let message = format!("the token in `{name}` has {bytes} bytes, less than {TOKEN_BYTES_MIN}");
        let help = format!("Make one that nobody can guess: `openssl rand -base64 32 > {name}`.");
        problems.push(AuthorProblem::error(message).help(help));
        return None;
    }
    Some(token)
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

const TOKEN_BYTES_MIN: usize = 16;
