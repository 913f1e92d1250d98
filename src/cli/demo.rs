//! `lockkeeper demo`: the embedded demo CRM with Lockkeeper in front of it, and lines to paste [edge].
#![expect(clippy::disallowed_methods, reason = "edge: makes the demo's folder and binds its listeners")]

use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use clap::Args;
use tokio::net::TcpListener;

use super::exit::Exit;
use super::key::new_key;
use super::render;
use super::serve::{runtime, start_failed, wait};
use crate::bundle::revision::hash;
use crate::config::author::Problems;
use crate::config::load;
use crate::config::service::LogConfig;
use crate::demo::crm::{DemoCrm, server};
use crate::service::load::load as load_all;
use crate::service::start::start;
use crate::telemetry::clock::Clock;
use crate::telemetry::log;

/// The arguments.
#[derive(Args)]
pub struct DemoArgs {
    /// Where Lockkeeper listens
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where the demo CRM listens
    #[arg(long, default_value = "127.0.0.1:8090")]
    crm: SocketAddr,
    /// Where the demo keeps its bundle, keys and ledger; without it a temporary folder that is removed at the end
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &DemoArgs) -> Exit {
    log::start(&LogConfig { level: "warn".to_owned(), ..LogConfig::default() });
    let folder = match args.dir.clone() {
        Some(folder) => folder,
        None => std::env::temp_dir().join(format!("lockkeeper-demo-{}", std::process::id())),
    };
    let exit = runtime(run_in(args, &folder));
    if args.dir.is_none() {
        let _ = std::fs::remove_dir_all(&folder);
    }
    exit
}

async fn run_in(args: &DemoArgs, folder: &Path) -> Exit {
    let crm_listener = match TcpListener::bind(args.crm).await {
        Ok(listener) => listener,
        Err(error) => {
            render::failure(&format!(
                "`{}` cannot be listened on: {error}; choose another with --crm",
                args.crm
            ));
            return Exit::Failure;
        }
    };
    let crm_address = crm_listener.local_addr().unwrap_or(args.crm);
    let keys = match prepare(args, folder, crm_address) {
        Ok(keys) => keys,
        Err(why) => {
            render::failure(&why);
            return Exit::Failure;
        }
    };
    let mut problems = Problems::default();
    let config = load::load(&folder.join("lockkeeper.toml"), &mut problems);
    let loaded = config.as_ref().and_then(|config| load_all(config, &mut problems));
    render::problems(&problems);
    let (Some(config), Some(loaded)) = (config, loaded) else { return Exit::Failure };
    let running = match start(config, loaded, Clock::system()).await {
        Ok(running) => running,
        Err(error) => return start_failed(&error),
    };
    let (stop_crm, crm_is_over) = tokio::sync::oneshot::channel::<()>();
    let crm = DemoCrm::seeded(&keys.service);
    let crm_task = tokio::spawn(server::serve(crm_listener, crm, async {
        let _ = crm_is_over.await;
    }));
    render::line(tour(running.address, crm_address, folder, &keys));
    wait(&running).await;
    let stopped = running.stop().await;
    let _ = stop_crm.send(());
    let _ = crm_task.await;
    match stopped {
        Ok(_) => {
            render::message("stopped");
            Exit::Success
        }
        Err(error) => {
            render::failure(&error);
            Exit::LedgerBroken
        }
    }
}

struct Keys {
    service: String,
    people: Vec<(&'static str, String)>,
}

fn prepare(args: &DemoArgs, folder: &Path, crm: SocketAddr) -> Result<Keys, String> {
    claim(args, folder)?;
    let mut people = Vec::new();
    let mut key_file = String::new();
    for (person, _) in PEOPLE {
        let key = new_key()?;
        key_file.push_str(&format!(
            "[[key]]\nprincipal = 'User::\"{person}\"'\nsha256 = \"{}\"\n\n",
            hash(key.as_bytes())
        ));
        people.push((*person, key));
    }
    let service = new_key()?;
    let config = CONFIG.replace("LISTEN", &args.listen.to_string()).replace("CRM", &crm.to_string());
    for (name, text) in FILES {
        // What somebody edited in the folder of an earlier demo is theirs.
        if !folder.join(name).exists() {
            write(folder, name, text)?;
        }
    }
    write(folder, "lockkeeper.toml", &config)?;
    write(folder, "api-keys.toml", &key_file)?;
    write(folder, "crm.key", &service)?;
    Ok(Keys { service, people })
}

/// Makes sure that the folder is a demo's and that no other demo runs in it, before anything in it is touched.
fn claim(args: &DemoArgs, folder: &Path) -> Result<(), String> {
    let is_new = std::fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none());
    if !is_new && !folder.join(MARKER).exists() {
        let shown = folder.display();
        return Err(format!("`{shown}` is not a demo's folder; name an empty one with --dir"));
    }
    if let Err(error) = std::net::TcpListener::bind(args.listen) {
        return Err(format!(
            "`{}` cannot be listened on: {error}; choose another with --listen",
            args.listen
        ));
    }
    let lock = std::fs::File::open(folder.join("state/ledger/lock"));
    if lock.is_ok_and(|lock| lock.try_lock().is_err()) {
        return Err(format!("another demo runs in `{}`", folder.display()));
    }
    write(folder, MARKER, "This folder belongs to `lockkeeper demo`.\n")
}

fn write(folder: &Path, name: &str, text: &str) -> Result<(), String> {
    let path = folder.join(name);
    let failed = |error: std::io::Error| format!("`{}` cannot be written: {error}", path.display());
    if let Some(parent) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(failed)?;
    }
    std::fs::write(&path, text).map_err(failed)?;
    // The folder is the owner's alone already; keys say so themselves.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(failed)
}

fn tour(address: SocketAddr, crm: SocketAddr, folder: &Path, keys: &Keys) -> String {
    let mut text = format!(
        "Lockkeeper listens on http://{address}, in front of the demo CRM on http://{crm}.\n\
         The CRM itself hides nothing. Paste these lines into another terminal.\n\n\
         The same deal, four ways:\n"
    );
    for ((person, key), (_, what)) in keys.people.iter().zip(PEOPLE) {
        text.push_str(&format!(
            "\n# {what}\ncurl -s -H 'Authorization: Bearer {key}' http://{address}/api/deals/42 # {person}\n"
        ));
    }
    let key = |person: &str| {
        keys.people.iter().find(|(name, _)| *name == person).map_or("", |(_, key)| key.as_str())
    };
    text.push_str(&format!(
        "\nA stage move that policy refuses (125,000.50 is more than a rep may close alone), and one that it permits:\n\n\
         curl -s -X POST -H 'Authorization: Bearer {rep}' -H 'Content-Type: application/json' -d '{{\"stage\":\"won\"}}' http://{address}/api/deals/42/move\n\
         curl -s -X POST -H 'Authorization: Bearer {rep}' -H 'Content-Type: application/json' -d '{{\"stage\":\"negotiation\"}}' http://{address}/api/deals/42/move\n\n\
         What the ledger says about all of it:\n\n\
         {program} audit tail --state {state}\n\n\
         Ctrl-C ends the demo.",
        rep = key("rep-east"),
        program = program(),
        state = folder.join("state").display(),
    ));
    text
}

/// How this program is called from another terminal, wherever it lies.
fn program() -> String {
    let path = std::env::current_exe().ok();
    let path = path.and_then(|path| path.to_str().map(str::to_owned));
    path.unwrap_or_else(|| "lockkeeper".to_owned())
}

const PEOPLE: &[(&str, &str)] = &[
    ("rep-east", "the rep who owns it: amounts, no margin, no internal notes"),
    ("manager-east", "the rep's manager: amounts, margin and internal notes"),
    ("service", "customer service: no figures at all, the contact's e-mail and phone"),
    ("admin", "the administrator: everything, even what nobody classified"),
];

const MARKER: &str = ".lockkeeper-demo";

const CONFIG: &str = r#"[listen]
address = "LISTEN"

[upstream]
url = "http://CRM"

[identity.api_keys]
file = "api-keys.toml"
upstream_header = "x-api-key"
upstream_key_file = "crm.key"

[directory]
file = "directory.cedarentities.json"

[bundle]
path = "bundle"

[ledger]
path = "state"
"#;

/// The demo's bundle and directory, as they stand under `policies/demo-crm`.
pub const FILES: &[(&str, &str)] = &[
    ("bundle/profile.toml", include_str!("../../policies/demo-crm/profile.toml")),
    ("bundle/crm.cedarschema", include_str!("../../policies/demo-crm/crm.cedarschema")),
    ("bundle/policies/guards.cedar", include_str!("../../policies/demo-crm/policies/guards.cedar")),
    ("bundle/policies/records.cedar", include_str!("../../policies/demo-crm/policies/records.cedar")),
    ("bundle/policies/fields.cedar", include_str!("../../policies/demo-crm/policies/fields.cedar")),
    ("bundle/policies/stages.cedar", include_str!("../../policies/demo-crm/policies/stages.cedar")),
    ("bundle/cases/deals.toml", include_str!("../../policies/demo-crm/cases/deals.toml")),
    ("bundle/cases/guards.tests.json", include_str!("../../policies/demo-crm/cases/guards.tests.json")),
    ("bundle/cases/records/deal-42.json", include_str!("../../policies/demo-crm/cases/records/deal-42.json")),
    (
        "bundle/cases/records/contact-101.json",
        include_str!("../../policies/demo-crm/cases/records/contact-101.json"),
    ),
    ("bundle/invariants/guards.cedar", include_str!("../../policies/demo-crm/invariants/guards.cedar")),
    ("directory.cedarentities.json", include_str!("../../policies/demo-crm/directory.cedarentities.json")),
];
