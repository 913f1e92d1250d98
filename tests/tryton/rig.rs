//! Lockkeeper in front of Tryton, as the example's configuration describes it [edge]: in process, on free ports, with a real
//! ledger. Tests take turns with it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use lockkeeper::config::author::Problems;
use lockkeeper::config::{load, service::ServiceConfig};
use lockkeeper::ledger::handles::Handles;
use lockkeeper::ledger::read;
use lockkeeper::net::connector::Target;
use lockkeeper::net::socket::ListenAddress;
use lockkeeper::service::load::load as load_all;
use lockkeeper::service::start::{Running, start};
use lockkeeper::telemetry::clock::Clock;
use serde_json::{Value, json};

use crate::client::{Answer, Call, send};
use crate::relay::Relay;
use crate::tryton::{ROOT, Tryton};

/// The whole set-up.
pub struct Rig {
    tryton: Tryton,
    relay: Relay,
    config: ServiceConfig,
    running: Running,
    _runtime: tokio::runtime::Runtime,
}

/// An answer of Lockkeeper, with the heads of the requests that Tryton got for it.
pub struct Exchange {
    /// The answer.
    pub answer: Answer,
    /// The heads, in order.
    pub asked: Vec<String>,
}

/// The collection of opportunities.
pub const OPPORTUNITIES: &str = "/crm/rest/model/sale.opportunity";

/// The one rig, for one journey at a time.
pub fn rig() -> MutexGuard<'static, Rig> {
    // Poisoned where the start fails, so that the other journeys do not try it again.
    static RIG: LazyLock<Mutex<Rig>> = LazyLock::new(|| Mutex::new(Rig::start()));
    // A journey that failed leaves nothing behind that another relies on.
    RIG.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Rig {
    fn start() -> Self {
        let tryton = Tryton::start();
        let relay = Relay::start(tryton.address);
        let mut problems = Problems::default();
        let file = Path::new(ROOT).join("examples/tryton/lockkeeper.toml");
        let mut config = load::load(&file, &mut problems).unwrap_or_else(|| panic!("{problems}"));
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        config.listen.address = ListenAddress::Tcp(any_port);
        config.listen.health_address = Some(any_port);
        let admin = config.admin.as_mut().unwrap();
        (admin.address, admin.token_file) = (any_port, tryton.folder.join("crm/admin-token"));
        let origin = format!("http://{}", relay.address);
        config.upstream.target = Target::Address(origin.parse().unwrap());
        config.upstream.origin = origin;
        config.identity.keys.iter_mut().for_each(|keys| keys.file = tryton.folder.join("crm/crm-keys.toml"));
        config.ledger.path = tryton.folder.join("ledger");
        let loaded = load_all(&config, &mut problems);
        assert_eq!(problems.to_string(), "", "the example loads without a warning");
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let running = runtime.block_on(start(config.clone(), loaded.unwrap(), Clock::system())).unwrap();
        Self { tryton, relay, config, running, _runtime: runtime }
    }

    /// What the seed made, e.g. `keys`.
    #[track_caller]
    pub fn seed(&self, name: &str) -> &Value {
        self.tryton.seed.get(name).unwrap_or_else(|| panic!("the seed has no `{name}`"))
    }

    /// The key of a user.
    #[track_caller]
    pub fn key(&self, who: &str) -> &str {
        self.seed("keys").get(who).and_then(Value::as_str).unwrap_or_else(|| panic!("no key of {who}"))
    }

    /// Sends anything to Lockkeeper.
    #[track_caller]
    pub fn send(&self, call: &Call<'_>) -> Exchange {
        self.relay.take();
        let answer = send(self.running.address, call);
        Exchange { answer, asked: self.relay.take() }
    }

    /// A user's request to Lockkeeper.
    #[track_caller]
    pub fn ask(&self, who: &str, line: &str, body: Option<&Value>) -> Exchange {
        let body = body.map(Value::to_string);
        self.send(&Call { line, key: Some(self.key(who)), headers: &[], body: body.as_deref() })
    }

    /// A user's `GET` through Lockkeeper.
    #[track_caller]
    pub fn get(&self, who: &str, target: &str) -> Answer {
        self.ask(who, &format!("GET {target}"), None).answer
    }

    /// A user's request straight to Tryton, past Lockkeeper.
    #[track_caller]
    pub fn direct(&self, who: &str, line: &str, body: Option<&Value>) -> Answer {
        let body = body.map(Value::to_string);
        self.send_direct(&Call { line, key: Some(self.key(who)), headers: &[], body: body.as_deref() })
    }

    /// Sends anything straight to Tryton.
    #[track_caller]
    pub fn send_direct(&self, call: &Call<'_>) -> Answer {
        send(self.tryton.address, call)
    }

    /// Makes an opportunity of a rep in Tryton, past Lockkeeper, presses buttons on it, and returns its path.
    #[track_caller]
    pub fn opportunity(&self, owner: &str, changes: &Value, buttons: &[&str]) -> String {
        let employee = self.seed("employees").get(owner).cloned();
        let mut body = json!({
            "company": 1, "currency": 1, "party": 7, "employee": employee, "reference": "REF-NEW",
            "description": "made for a test", "comment": "a margin note",
            "amount": {"__class__": "Decimal", "decimal": "5000"},
        });
        let members = body.as_object_mut().unwrap();
        members.extend(changes.as_object().unwrap().clone());
        let made = self.direct("admin", &format!("POST {OPPORTUNITIES}"), Some(&body));
        let id = made.json().get("id").and_then(Value::as_u64).unwrap_or_else(|| panic!("{made:?}"));
        for button in buttons {
            let pressed = self.direct("admin", &format!("POST {OPPORTUNITIES}/{id}/{button}"), None);
            assert_eq!(pressed.status, 200, "{pressed:?}");
        }
        format!("{OPPORTUNITIES}/{id}")
    }

    /// What Tryton itself holds in one field.
    #[track_caller]
    pub fn held(&self, path: &str, field: &str) -> Value {
        let answer = self.direct("admin", &format!("GET {path}?f={field}"), None);
        answer.json().get(field).cloned().unwrap_or_else(|| panic!("{answer:?}"))
    }

    /// The ledger's entry of a kind for an answer, once it is there. Its decision is durable before the answer leaves.
    #[track_caller]
    pub fn entry(&self, kind: &str, answer: &Answer) -> Value {
        let id = answer.header("lockkeeper-decision").unwrap_or_else(|| panic!("no decision id: {answer:?}"));
        let name = if kind == "decision" { "id" } else { "of" };
        let lines = read::entries(&self.config.ledger.path, 0).map(Result::unwrap);
        let mut found = lines.filter(|line| line.kind == kind && line.value.get(name) == Some(&json!(id)));
        found.next().unwrap_or_else(|| panic!("the ledger has no {kind} of {id}")).value
    }

    /// Who an entry is about, from the table of handles.
    #[track_caller]
    pub fn person(&self, entry: &Value) -> String {
        let handle = entry.pointer("/who/handle").and_then(Value::as_str).unwrap();
        let (principal_type, id) = Handles::open(&self.config.ledger.path).unwrap().resolve(handle).unwrap();
        format!("{principal_type}::{id}")
    }
}
