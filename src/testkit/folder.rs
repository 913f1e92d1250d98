//! The folder of a sidecar under test: the demo's bundle and directory, keys, configuration and state. [edge]
//!
//! Promises: nothing outlives the test. Never holds a key of the real world.
#![expect(clippy::disallowed_methods, reason = "edge: writes the files that a sidecar under test reads")]
#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot be set up has failed")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::CRM_KEY;
use crate::bundle::revision::hash;
use crate::cli::demo::FILES;
use crate::config::author::Problems;
use crate::config::load;
use crate::config::service::ServiceConfig;
use crate::service::load::{Loaded, load as load_all};

/// What differs from the demo.
#[derive(Default)]
pub struct Options {
    settings: BTreeMap<(&'static str, &'static str), String>,
    edits: Vec<(String, Edit)>,
    people: Vec<String>,
}

type Edit = Box<dyn FnOnce(String) -> String>;

impl Options {
    /// A setting of `lockkeeper.toml`, as TOML: `("limits", "body_bytes", "100")`.
    #[must_use]
    pub fn set(mut self, section: &'static str, key: &'static str, value: impl ToString) -> Self {
        self.settings.insert((section, key), value.to_string());
        self
    }

    /// Changes a file of bundle or directory; one that is not there starts empty.
    #[must_use]
    pub fn edit(mut self, name: &str, change: impl FnOnce(String) -> String + 'static) -> Self {
        self.edits.push((name.to_owned(), Box::new(change)));
        self
    }

    /// Adds a file of policies.
    #[must_use]
    pub fn policies(self, text: &str) -> Self {
        let text = text.to_owned();
        self.edit("bundle/policies/test.cedar", move |_| text)
    }

    /// A key for one more person, by Cedar id.
    #[must_use]
    pub fn key_for(mut self, person: &str) -> Self {
        self.people.push(person.to_owned());
        self
    }
}

/// A folder that is removed with its handle.
pub struct TestFolder {
    root: tempfile::TempDir,
}

impl TestFolder {
    /// Writes all files for a sidecar in front of a CRM.
    pub fn new(options: Options, crm: SocketAddr) -> Self {
        let folder = Self { root: tempfile::tempdir().expect("a temporary folder") };
        for (name, text) in FILES {
            folder.write(name, text);
        }
        let mut keys = String::new();
        for person in PEOPLE.iter().copied().chain(options.people.iter().map(String::as_str)) {
            let sha256 = hash(folder.key(person).as_bytes());
            keys.push_str(&format!("[[key]]\nprincipal = 'User::\"{person}\"'\nsha256 = \"{sha256}\"\n\n"));
        }
        folder.write("api-keys.toml", &keys);
        folder.write("crm.key", CRM_KEY);
        folder.write("lockkeeper.toml", &configuration(options.settings, crm));
        for (name, change) in options.edits {
            folder.edit(&name, change);
        }
        folder
    }

    /// The key of a person.
    pub fn key(&self, person: &str) -> String {
        format!("key-of-{person}-canary-7d1f")
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        self.root.path()
    }

    /// The state folder.
    pub fn state(&self) -> PathBuf {
        self.path().join("state")
    }

    /// Writes a file.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        let parent = path.parent().expect("a file lies in a folder");
        std::fs::create_dir_all(parent).expect("the folder of a file");
        std::fs::write(&path, text).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("its permissions");
    }

    /// The text of a file; empty if it is not there.
    pub fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).unwrap_or_default()
    }

    /// Changes a file; one that is not there starts empty.
    pub fn edit(&self, name: &str, change: impl FnOnce(String) -> String) {
        self.write(name, &change(self.text(name)));
    }

    /// Loads what the folder holds, as the program does.
    pub fn load(&self) -> (ServiceConfig, Loaded) {
        let mut problems = Problems::default();
        let config = load::load(&self.path().join("lockkeeper.toml"), &mut problems);
        let loaded = config.as_ref().and_then(|config| load_all(config, &mut problems));
        match (config, loaded) {
            (Some(config), Some(loaded)) => (config, loaded),
            _ => panic!("the files of the test do not load: {problems}"),
        }
    }

    /// All bytes of a folder below this one, as text, file by file.
    pub fn all_text(&self, name: &str) -> String {
        let mut text = String::new();
        collect(&self.path().join(name), &mut text);
        text
    }
}

fn collect(path: &Path, text: &mut String) {
    if !path.is_dir() {
        let bytes = std::fs::read(path).expect("a file that was just listed");
        text.push_str(&String::from_utf8_lossy(&bytes));
        return;
    }
    for entry in std::fs::read_dir(path).expect("a folder") {
        collect(&entry.expect("an entry of a folder").path(), text);
    }
}

fn configuration(mut settings: BTreeMap<(&'static str, &'static str), String>, crm: SocketAddr) -> String {
    let fixed = [
        ("listen", "address", "\"127.0.0.1:0\"".to_owned()),
        ("upstream", "url", format!("\"http://{crm}\"")),
        ("identity.api_keys", "file", "\"api-keys.toml\"".to_owned()),
        ("identity.api_keys", "upstream_header", "\"x-api-key\"".to_owned()),
        ("identity.api_keys", "upstream_key_file", "\"crm.key\"".to_owned()),
        ("directory", "file", "\"directory.cedarentities.json\"".to_owned()),
        ("bundle", "path", "\"bundle\"".to_owned()),
        // Reloads happen when a test says so.
        ("bundle", "reload_poll_ms", "0".to_owned()),
        ("ledger", "path", "\"state\"".to_owned()),
    ];
    for (section, key, value) in fixed {
        settings.entry((section, key)).or_insert(value);
    }
    let mut text = String::new();
    let mut open = "";
    for ((section, key), value) in &settings {
        if *section != open {
            text.push_str(&format!("\n[{section}]\n"));
            open = section;
        }
        text.push_str(&format!("{key} = {value}\n"));
    }
    text
}

/// The people of the demo's directory, all of whom have keys.
pub const PEOPLE: &[&str] = &["rep-east", "rep-west", "manager-east", "service", "admin"];
