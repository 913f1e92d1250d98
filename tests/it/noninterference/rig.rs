//! A sidecar with a random bundle in front of the model CRM, and the oracle that goes with it.

use std::net::SocketAddr;
use std::path::Path;

use lockkeeper::bundle::revision::hash;
use lockkeeper::testkit::TestSidecar;
use lockkeeper::testkit::dice::Dice;
use lockkeeper::testkit::folder::Options;
use tempfile::TempDir;

use super::bundle::{Bundle, SCHEMA, USERS};
use super::confirm::confirm;
use super::model::State;
use super::model::server::{Crm, KEY_HEADER, key};
use super::oracle::Oracle;

/// All that cases of one bundle share.
pub struct Rig {
    pub bundle: Bundle,
    pub oracle: Oracle,
    pub crm: Crm,
    sidecar: TestSidecar,
    _ledger: TempDir,
}

impl Rig {
    /// Loads a random bundle as `serve` does, and listens.
    pub async fn start(lanes: usize, dice: &mut Dice) -> Self {
        let bundle = Bundle::random(dice);
        let oracle = Oracle::new(&bundle);
        confirm(&oracle, &bundle, dice);
        let crm = Crm::start(lanes * 2, &State::random(bundle.style, dice)).await;
        // What is tried is what is answered, not how a disk syncs.
        let memory = Path::new("/dev/shm");
        let ledger =
            if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let path = format!("\"{}\"", ledger.path().join("state").display());
        let url = format!("\"http://{}\"", crm.address);
        let keys: String = USERS
            .iter()
            .flat_map(|user| (0..lanes * 2).map(move |slot| (user, key(user, slot))))
            .map(|(user, key)| {
                format!("[[key]]\nprincipal = 'User::\"{user}\"'\nsha256 = \"{}\"\n\n", hash(key.as_bytes()))
            })
            .collect();
        let section = format!("\n[identity.crm_keys]\nfile = \"crm-keys.toml\"\nheader = \"{KEY_HEADER}\"\n");
        let (profile, policies) = (bundle.profile.clone(), bundle.policies.text.clone());
        let directory = bundle.directory.clone();
        let change = |options: Options| {
            let none = |name: &'static str, options: Options| options.edit(name, |_| String::new());
            let options = options.set("upstream", "url", url).set("ledger", "path", path);
            let options = ["fields", "guards", "stages"].iter().fold(options, |options, name| match *name {
                "fields" => none("bundle/policies/fields.cedar", options),
                "guards" => none("bundle/policies/guards.cedar", options),
                _ => none("bundle/policies/stages.cedar", options),
            });
            options
                .edit("bundle/policies/records.cedar", move |_| policies)
                .edit("bundle/profile.toml", move |_| profile)
                .edit("bundle/crm.cedarschema", |_| SCHEMA.to_owned())
                .edit("directory.cedarentities.json", move |_| directory)
                .edit("api-keys.toml", |_| String::new())
                .edit("crm-keys.toml", move |_| keys)
                .edit("lockkeeper.toml", move |text| text + &section)
        };
        let sidecar = TestSidecar::with(change).await;
        Self { bundle, oracle, crm, sidecar, _ledger: ledger }
    }

    /// Where callers connect.
    pub fn address(&self) -> SocketAddr {
        self.sidecar.address()
    }
}
