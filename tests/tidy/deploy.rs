//! What the files under `deploy/` promise: nobody but Lockkeeper reaches the CRM, nothing runs with more rights than needed,
//! and the files fit each other and the code.

use std::collections::BTreeSet;
use std::path::Path;

use lockkeeper::config::author::{Problems, SourceFile};
use lockkeeper::config::service::BundleOrigin;
use lockkeeper::config::service::{self, ServiceConfig};
use lockkeeper::net::socket::ListenAddress;
use serde_json::Value;

use super::{none, tree, yaml};

fn manifest(name: &str) -> Value {
    yaml::read(&tree::read(&format!("deploy/kubernetes/{name}.yaml")))
}

fn at<'v>(value: &'v Value, pointer: &str) -> &'v Value {
    value.pointer(pointer).unwrap_or_else(|| panic!("{pointer} is missing in {value:#}"))
}

fn named<'v>(list: &'v Value, name: &str) -> &'v Value {
    list.as_array().unwrap().iter().find(|item| item["name"] == name).unwrap_or_else(|| panic!("no `{name}`"))
}

fn config() -> ServiceConfig {
    let text = manifest("config")["data"]["lockkeeper.toml"].as_str().unwrap().to_owned();
    let mut problems = Problems::default();
    let config =
        service::read(&SourceFile::new("config.yaml", text), Path::new("/etc/lockkeeper"), &mut problems);
    assert!(problems.iter().next().is_none(), "{problems}");
    config.unwrap()
}

#[test]
fn every_manifest_is_listed_and_about_one_workload() {
    let listed: BTreeSet<String> = at(&manifest("kustomization"), "/resources")
        .as_array()
        .unwrap()
        .iter()
        .map(|name| format!("deploy/kubernetes/{}", name.as_str().unwrap()))
        .collect();
    let there: BTreeSet<String> = tree::with_ending(&[".yaml"])
        .into_iter()
        .filter(|path| path.starts_with("deploy/kubernetes/") && !path.ends_with("kustomization.yaml"))
        .collect();
    assert_eq!(listed, there);
    let label = "/spec/template/metadata/labels/app.kubernetes.io~1name";
    let workload = at(&manifest("deployment"), label).clone();
    for (name, selector) in [
        ("deployment", "/spec/selector/matchLabels/app.kubernetes.io~1name"),
        ("service", "/spec/selector/app.kubernetes.io~1name"),
        ("network-policy", "/spec/podSelector/matchLabels/app.kubernetes.io~1name"),
    ] {
        assert_eq!(*at(&manifest(name), selector), workload, "{name}");
    }
}

#[test]
fn nobody_but_lockkeeper_reaches_the_crm() {
    let deployment = manifest("deployment");
    let containers = at(&deployment, "/spec/template/spec/containers");
    let crm = named(containers, "crm");
    assert!(crm.get("ports").is_none(), "the CRM declares no port");
    let args = crm["args"].to_string();
    let upstream = config().upstream.origin;
    let address = upstream.strip_prefix("http://").unwrap();
    assert!(address.starts_with("127.0.0.1:") && args.contains(address), "{args} {upstream}");
    let lockkeeper = named(containers, "lockkeeper");
    let http = named(&lockkeeper["ports"], "http");
    let service = manifest("service");
    let ports = at(&service, "/spec/ports").as_array().unwrap();
    assert_eq!((ports.len(), &ports[0]["targetPort"]), (1, &http["name"]));
    assert_eq!(http["containerPort"], port());
    let policy = manifest("network-policy");
    let rules = at(&policy, "/spec/ingress").as_array().unwrap();
    let open: Vec<&Value> = rules.iter().filter(|rule| rule.get("from").is_none()).collect();
    assert_eq!(open.len(), 1, "one port is open to callers");
    let all: Vec<i64> = rules
        .iter()
        .flat_map(|rule| rule["ports"].as_array().unwrap())
        .map(|port| port["port"].as_i64().unwrap())
        .collect();
    let admin = config().admin.unwrap().address.port();
    assert_eq!(all, [i64::from(port()), i64::from(admin)]);
    assert_eq!(*at(&policy, "/spec/policyTypes"), serde_json::json!(["Ingress", "Egress"]));
}

#[test]
fn the_pod_runs_with_no_more_rights_than_needed() {
    let deployment = manifest("deployment");
    let pod = at(&deployment, "/spec/template/spec");
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(at(pod, "/securityContext/runAsNonRoot"), true);
    assert_eq!(at(pod, "/securityContext/seccompProfile/type"), "RuntimeDefault");
    for container in pod["containers"].as_array().unwrap() {
        let rights = &container["securityContext"];
        assert_eq!(rights["allowPrivilegeEscalation"], false);
        assert_eq!(*at(rights, "/capabilities/drop"), serde_json::json!(["ALL"]));
    }
    let lockkeeper = named(&pod["containers"], "lockkeeper");
    assert_eq!(at(lockkeeper, "/securityContext/readOnlyRootFilesystem"), true);
    let user = at(pod, "/securityContext/runAsUser").to_string();
    assert!(tree::read("deploy/Dockerfile").contains(&format!("\nUSER {user}:{user}\n")));
    // The ledger has one writer, and its folder is the only mount that is written to.
    assert_eq!(
        (&deployment["spec"]["replicas"], at(&deployment, "/spec/strategy/type")),
        (&1.into(), &"Recreate".into())
    );
    let written: Vec<&Value> = lockkeeper["volumeMounts"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|mount| mount.get("readOnly").is_none())
        .collect();
    assert_eq!(written.len(), 1);
    assert_eq!(written[0]["mountPath"].as_str().unwrap(), config().ledger.path.display().to_string());
    let end_s = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
    assert!(end_s * 1000 > end_ms());
    let unit = tree::read("deploy/systemd/lockkeeper.service");
    let line = unit.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")?.strip_suffix('s'));
    assert!(line.unwrap().parse::<u64>().unwrap() * 1000 > end_ms());
}

/// How long the service may take to end: callers drain, then what the CRM still works at is recorded.
fn end_ms() -> u64 {
    let (config, times) = (config(), config().listen.times);
    times.drain_delay_ms + times.drain_ms + config.upstream.times.answer_ms + config.ledger.write_timeout_ms
}

fn port() -> u16 {
    match config().listen.address {
        ListenAddress::Tcp(address) => address.port(),
        ListenAddress::Unix { .. } => panic!("the service of the manifests has a port"),
    }
}

#[test]
fn probes_ask_what_answers() {
    let deployment = manifest("deployment");
    let lockkeeper = named(at(&deployment, "/spec/template/spec/containers"), "lockkeeper");
    let health = named(&lockkeeper["ports"], "health");
    assert_eq!(health["containerPort"], config().listen.health_address.unwrap().port());
    for (probe, path) in
        [("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")]
    {
        let asked = &lockkeeper[probe]["httpGet"];
        assert_eq!((&asked["path"], &asked["port"]), (&path.into(), &health["name"]), "{probe}");
    }
    let volumes = at(&deployment, "/spec/template/spec/volumes");
    let mounts = lockkeeper["volumeMounts"].as_array().unwrap();
    mounts.iter().for_each(|mount| _ = named(volumes, mount["name"].as_str().unwrap()));
    let config = config();
    let BundleOrigin::Path(bundle) = &config.bundle.origin else { panic!("the bundle is a folder here") };
    let files = [&config.directory.file, bundle, &config.admin.as_ref().unwrap().token_file];
    for file in files {
        let is_mounted = mounts.iter().any(|mount| file.starts_with(mount["mountPath"].as_str().unwrap()));
        assert!(is_mounted, "{} is in no volume", file.display());
    }
}

#[test]
fn the_unit_is_hardened_and_waits_for_ready() {
    let unit = tree::read("deploy/systemd/lockkeeper.service");
    let wanted = [
        "Type=notify",
        "WatchdogSec=30s",
        "DynamicUser=yes",
        "StateDirectory=lockkeeper",
        "NoNewPrivileges=yes",
        "CapabilityBoundingSet=",
        "ProtectSystem=strict",
        "ProtectHome=yes",
        "PrivateTmp=yes",
        "PrivateDevices=yes",
        "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
        "MemoryDenyWriteExecute=yes",
        "SystemCallFilter=@system-service",
        "LimitNOFILE=65536",
        "RestartPreventExitStatus=5",
    ];
    let missing = wanted.iter().filter(|line| !unit.lines().any(|found| found == **line));
    none("the unit has", &missing.map(|line| (*line).to_owned()).collect::<Vec<_>>());
}

#[test]
fn the_image_is_built_from_what_it_is_given() {
    let dockerfile = tree::read("deploy/Dockerfile");
    let toolchain = tree::read("Cargo.toml");
    let version =
        toolchain.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap().trim_matches('"');
    assert!(
        dockerfile.contains(&format!("\nFROM rust:{version}.")),
        "the image is built with the crate's own toolchain"
    );
    assert!(dockerfile.contains("--locked"));
    let given: BTreeSet<String> = tree::read(".dockerignore")
        .lines()
        .filter_map(|line| line.strip_prefix('!'))
        .map(str::to_owned)
        .collect();
    let copied: BTreeSet<String> = dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix("COPY ").filter(|rest| !rest.starts_with("--")))
        .flat_map(|rest| rest.split_whitespace().filter(|word| !word.starts_with('.')))
        .map(str::to_owned)
        .collect();
    assert_eq!(given, copied);
    // Cargo does not read a manifest whose tests and benchmarks it cannot find, whatever is to be built.
    for (target, folder) in [("[[test]]", "tests"), ("[[bench]]", "benches")] {
        assert!(
            !toolchain.contains(target) || given.contains(folder),
            "cargo wants to see {folder}, which it is told of"
        );
    }
    let mut findings = Vec::new();
    for (path, text) in tree::texts().into_iter().filter(|(path, _)| path.starts_with("src/")) {
        let included = text.split("include_str!(\"").skip(1).filter_map(|rest| rest.split('"').next());
        let outside =
            included.filter_map(|file| file.rsplit("../").next().filter(|_| file.starts_with("../")));
        let missing = outside.filter(|file| !given.contains(file.split('/').next().unwrap_or_default()));
        let is_within = |file: &&str| !Path::new("src").join(file).exists();
        findings.extend(missing.filter(is_within).map(|file| format!("{path} includes {file}")));
    }
    none("what the sources include is part of the image's context", &findings);
}
