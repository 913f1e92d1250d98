//! What ops people run and read: the service manager's messages, health, the log, completions and the manual.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use lockkeeper::ledger::checkpoint;
use lockkeeper::ledger::note::{KeyName, Signer};
use lockkeeper::ledger::tree::{Hash, TreeHead};
use lockkeeper::model::keys::SigningKey;
use lockkeeper::testkit::TestSidecar;
use lockkeeper::testkit::client::Caller;
use lockkeeper::testkit::folder::{Options, TestFolder};
use serde_json::Value;

use crate::run::{command, folder, run};

/// A service that runs until it is told to stop.
struct Service {
    child: Child,
    address: SocketAddr,
}

impl Service {
    /// Starts it with JSON lines on standard error and waits for the line that says where it listens.
    fn start(
        folder: &TestFolder,
        change: impl FnOnce(&mut Command),
    ) -> (Self, BufReader<std::process::ChildStderr>) {
        let mut program = command(folder.path(), &["serve"]);
        program.stdout(Stdio::null()).stderr(Stdio::piped());
        change(&mut program);
        let mut child = program.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        // From here on the child is ended with its handle.
        let mut service = Self { child, address: ([127, 0, 0, 1], 0).into() };
        let mut line = String::new();
        while service.address.port() == 0 {
            line.clear();
            assert_ne!(lines.read_line(&mut line).unwrap(), 0, "the service did not start");
            let event: Value = serde_json::from_str(&line).unwrap();
            if event["message"] == "serving" {
                service.address = event["listen"].as_str().unwrap().parse().unwrap();
            }
        }
        (service, lines)
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn options() -> Options {
    Options::default().set("log", "format", "\"json\"").set("log", "level", "\"debug,hyper=warn\"")
}

#[test]
fn the_service_manager_is_told() {
    let folder = TestFolder::new(options(), ([127, 0, 0, 1], 9).into());
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let next = || {
        let mut buffer = [0; 256];
        let length = manager.recv(&mut buffer).expect("the service manager is told within a minute");
        String::from_utf8(buffer[..length].to_vec()).unwrap().trim().to_owned()
    };
    let told = |expected: &str| {
        let met = std::iter::repeat_with(next).find(|state| state != "WATCHDOG=1");
        assert_eq!(met.as_deref(), Some(expected));
    };
    let (mut service, _lines) = Service::start(&folder, |program| {
        program.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "90000");
    });
    told("READY=1");
    assert_eq!((next(), next()), ("WATCHDOG=1".to_owned(), "WATCHDOG=1".to_owned()));
    service.signal("-HUP");
    // One message: the manager takes both from the same one, or the moment for none.
    let reloading = std::iter::repeat_with(next).find(|state| state != "WATCHDOG=1").unwrap();
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    told("READY=1");
    service.signal("-TERM");
    told("STOPPING=1");
    assert!(service.child.wait().unwrap().success());
}

#[test]
fn lines_of_the_log_lead_to_the_decision_and_hold_no_secret() {
    let dead = "\"http://127.0.0.1:9/v1/traces\"";
    let folder =
        TestFolder::new(options().set("telemetry.traces", "endpoint", dead), ([127, 0, 0, 1], 9).into());
    let (service, mut lines) = Service::start(&folder, |_| {});
    let key = folder.key("rep-east");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let reply = runtime.block_on(
        Caller::new(service.address)
            .with_header(&format!("Authorization: Bearer {key}"))
            .with_header("traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
            .get("/api/deals/42?q=canary-query-77"),
    );
    service.signal("-TERM");
    let mut text = String::new();
    lines.read_to_string(&mut text).unwrap();
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of_request: Vec<&Value> =
        events.iter().filter(|event| event["decision.id"] == reply.decision()).collect();
    assert_eq!(of_request.len(), 1, "{text}");
    let event = of_request[0];
    assert_eq!(event["reason"], reply.reason().as_str());
    assert_eq!(event["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    for member in ["timestamp", "level", "message", "target", "route"] {
        assert!(event[member].is_string(), "{member}: {event}");
    }
    for secret in [key.as_str(), "crm-service-key-3f1d5c", "canary-query-77", "rep-east"] {
        assert!(!text.contains(secret), "`{secret}` is in the log: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_asked_without_any_other_program() {
    let sidecar =
        TestSidecar::with(|options| options.set("listen", "health_address", "\"127.0.0.1:0\"")).await;
    let address = sidecar.running().health_address.unwrap().to_string();
    let ask = |args: &[&str]| {
        let args: Vec<&str> = ["health", "--address", &address].iter().chain(args).copied().collect();
        run(std::path::Path::new("/"), &args)
    };
    assert_eq!((ask(&[]).code, ask(&["--live"]).code), (0, 0));
    sidecar.running().sidecar.readiness.drain();
    let drained = ask(&[]);
    assert_eq!((drained.code, ask(&["--live"]).code), (1, 0));
    assert!(drained.stderr.contains("answered 503"), "{}", drained.stderr);
    sidecar.stop().await;
    let gone = ask(&["--live"]);
    assert_eq!(gone.code, 1);
    assert!(gone.stderr.contains("could not be asked"), "{}", gone.stderr);
    let unset = run(folder().path(), &["health"]);
    assert_eq!(unset.code, 1);
    assert!(unset.stderr.contains("has no `listen.health_address`"), "{}", unset.stderr);
}

#[test]
fn every_shell_completes_every_command() {
    let folder = folder();
    for shell in ["bash", "zsh", "fish"] {
        let ran = run(folder.path(), &["completions", shell]);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{shell}");
        for word in ["audit", "tail", "completions", "since-seq", "schema"] {
            assert!(ran.stdout.contains(word), "{shell} does not know {word}");
        }
        let installed = Command::new(shell).arg("-c").arg("exit").status().is_ok();
        if installed {
            folder.write("completions", &ran.stdout);
            let read = Command::new(shell).arg("-n").arg(folder.path().join("completions")).status().unwrap();
            assert!(read.success(), "{shell} does not read it");
        }
    }
}

#[test]
fn every_command_has_its_page() {
    let folder = folder();
    let ran = run(folder.path(), &["man", "pages/man1"]);
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, "", ""));
    for name in ["lockkeeper", "lockkeeper-serve", "lockkeeper-audit-tail", "lockkeeper-config-schema"] {
        let page = folder.text(&format!("pages/man1/{name}.1"));
        assert!(page.contains(".TH") && page.contains(".SH"), "{name}: {page}");
    }
    folder.write("file", "");
    let ran = run(folder.path(), &["man", "file"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("`file` cannot be written to"), "{}", ran.stderr);
}

#[test]
fn a_bundle_is_read_as_a_config_map_mounts_it() {
    let folder = folder();
    let plain = run(folder.path(), &["check", "bundle", "--format", "json"]);
    // As the kubelet lays it out: `..data` leads to a folder with a time in its name, every entry leads through `..data`.
    let script = "mkdir -p m && mv bundle m/..2026_06_15 && cd m && ln -s ..2026_06_15 ..data && \
                  for entry in $(ls ..data/); do ln -s ..data/$entry $entry; done";
    let laid_out = Command::new("sh").args(["-c", script]).current_dir(folder.path()).status().unwrap();
    assert!(laid_out.success());
    let mounted = run(folder.path(), &["check", "m", "--format", "json"]);
    assert_eq!((mounted.code, &mounted.stdout), (0, &plain.stdout));
}

/// The state folder went away, and what was exported did not.
#[test]
fn a_start_that_a_checkpoint_refuses_names_it_and_a_way_out() {
    let folder = folder();
    let made = run(folder.path(), &["audit", "keygen", "--origin", "crm/ledger", "--out", "ledger.pem"]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    let (origin, key) =
        (KeyName::parse("crm/ledger").unwrap(), SigningKey::parse(&folder.text("ledger.pem")));
    let signer = Signer::new(origin.clone(), key.unwrap()).unwrap();
    let head = TreeHead { size: 61, root: Hash::leaf(b"of a ledger that is not here") };
    std::fs::create_dir(folder.path().join("out")).unwrap();
    folder.write("out/checkpoint", &checkpoint::sign(&origin, &head, &[signer]));
    let section =
        "\n[ledger.checkpoints]\norigin = \"crm/ledger\"\nkey_file = \"ledger.pem\"\nfolder = \"out\"\n";
    folder.edit("lockkeeper.toml", |text| text + section);
    let ran = run(folder.path(), &["serve"]);
    assert_eq!(ran.code, 5, "{}", ran.stderr);
    for told in
        ["`out/checkpoint` was signed for 61", "\n  help: Put the state folder back; a new ledger takes"]
    {
        assert!(ran.stderr.contains(told), "{told}: {}", ran.stderr);
    }
}
