//! `lockkeeper check --probe` in front of a CRM that listens on loopback, on every address, and not at all [edge].
#![expect(clippy::disallowed_methods, reason = "edge: a CRM of its own for each test")]

use std::net::SocketAddr;

use lockkeeper::demo::crm::{DemoCrm, server};
use lockkeeper::service::probe::own_addresses;
use lockkeeper::testkit::CRM_KEY;
use lockkeeper::testkit::folder::{Options, TestFolder};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::run::{Ran, run};

/// A CRM on an address until the test ends, and a folder whose configuration names it on loopback.
async fn crm(address: &str) -> (DemoCrm, TestFolder, u16) {
    let listener = TcpListener::bind(address).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let crm = DemoCrm::seeded(CRM_KEY);
    tokio::spawn(server::serve(listener, crm.clone(), std::future::pending()));
    let folder = TestFolder::new(Options::default(), SocketAddr::from(([127, 0, 0, 1], port)));
    (crm, folder, port)
}

async fn probe(folder: &TestFolder, args: &'static [&'static str]) -> Ran {
    let path = folder.path().to_owned();
    let all = ["check", "--config", "lockkeeper.toml", "--probe"].into_iter().chain(args.iter().copied());
    let all: Vec<&str> = all.collect();
    tokio::task::spawn_blocking(move || run(&path, &all)).await.unwrap()
}

/// Every finding as `check level`.
fn levels(ran: &Ran) -> Vec<String> {
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["ok"], ran.code == 0);
    let findings = report["probe"].as_array().unwrap();
    for finding in findings {
        assert_eq!(finding["fix"].is_string(), finding["level"] != "ok", "{finding}");
    }
    let text = |finding: &Value, member: &str| finding[member].as_str().unwrap().to_owned();
    findings.iter().map(|finding| format!("{} {}", text(finding, "check"), text(finding, "level"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crm_on_loopback_is_as_it_should_be_and_is_only_read() {
    let (crm, folder, port) = crm("127.0.0.1:0").await;
    let ran = probe(&folder, &["--format", "json"]).await;
    // Where the host has no other address, nobody can say whether it would answer there.
    let exposure = if own_addresses::all().is_empty() { "exposure warning" } else { "exposure ok" };
    let expected = ["connect ok", "certificate ok", exposure, "no-credential ok", "service-account ok"];
    assert_eq!((levels(&ran), ran.code), (expected.map(str::to_owned).to_vec(), 0), "{}", ran.stdout);
    let methods: Vec<String> = crm.requests().iter().map(|seen| seen.method.to_string()).collect();
    assert_eq!(methods, ["GET", "GET"]);
    let told = probe(&folder, &[]).await;
    assert!(
        told.stdout.contains(&format!("ok        connect: 127.0.0.1:{port} takes connections\n")),
        "{}",
        told.stdout
    );
    assert!(!told.stdout.contains(CRM_KEY) && !told.stderr.contains(CRM_KEY));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crm_on_every_address_can_be_gone_around() {
    let (_crm, folder, port) = crm("0.0.0.0:0").await;
    let ran = probe(&folder, &["--format", "json"]).await;
    let is_v4 = |address: &&std::net::IpAddr| address.is_ipv4();
    let Some(own) = own_addresses::all().into_iter().find(|address| is_v4(&address)) else {
        assert_eq!(ran.code, 0, "a host without another address has nothing to find");
        return;
    };
    assert!(levels(&ran).contains(&"exposure error".to_owned()), "{}", ran.stdout);
    assert_eq!(ran.code, 3);
    let told = probe(&folder, &[]).await;
    let expected = format!("error     exposure: the CRM answers on {own}:{port} too");
    assert!(told.stdout.contains(&expected), "{}", told.stdout);
    assert!(told.stdout.contains("help: Let the CRM listen on 127.0.0.1 only"), "{}", told.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_tried_at_the_crm_itself() {
    let (_crm, folder, _) = crm("127.0.0.1:0").await;
    folder.write("caller", &format!("Authorization: Bearer {}\n", folder.key("rep-east")));
    let ran = probe(&folder, &["--probe-as", "caller", "--format", "json"]).await;
    assert_eq!(levels(&ran).last().unwrap(), "caller ok", "Lockkeeper's own keys open nothing there");
    folder.write("caller", &format!("X-Api-Key: {CRM_KEY}\n"));
    let ran = probe(&folder, &["--probe-as", "caller", "--format", "json"]).await;
    assert_eq!((levels(&ran).last().unwrap().as_str(), ran.code), ("caller warning", 0));
    folder.write("crm.key", "another-key");
    let ran = probe(&folder, &["--format", "json"]).await;
    assert_eq!((levels(&ran).last().unwrap().as_str(), ran.code), ("service-account error", 3));
    folder.write("caller", "no colon");
    let ran = probe(&folder, &["--probe-as", "caller"]).await;
    assert_eq!(ran.code, 3);
    assert!(ran.stderr.contains("`caller`, line 1: not a header"), "{}", ran.stderr);
    // None is not as good as one that opens nothing, and of two only one would be tried.
    for (text, count) in [("\n", "0 headers"), ("A: b\nC: d\n", "2 headers")] {
        folder.write("caller", text);
        let ran = probe(&folder, &["--probe-as", "caller"]).await;
        assert_eq!(ran.code, 3);
        assert!(ran.stderr.contains(&format!("`caller` holds {count}")), "{}", ran.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_there_or_speaks_something_else_is_told_apart() {
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let folder = TestFolder::new(Options::default(), dead);
    let ran = probe(&folder, &["--format", "json"]).await;
    assert_eq!((levels(&ran), ran.code), (vec!["connect error".to_owned()], 3));
    let folder = TestFolder::new(Options::default().set("upstream", "url", "\"http://crm.invalid:1\""), dead);
    let ran = probe(&folder, &["--format", "json"]).await;
    assert_eq!((levels(&ran), ran.code), (vec!["resolve error".to_owned()], 3));
    let speaker = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = speaker.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = speaker.accept().await {
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, b"220 mail.test ESMTP\r\n").await;
        }
    });
    let folder = TestFolder::new(Options::default(), address);
    let ran = probe(&folder, &["--format", "json"]).await;
    assert_eq!((levels(&ran).last().unwrap().as_str(), ran.code), ("answer error", 3));
}
