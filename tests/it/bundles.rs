//! Signed bundles beside live traffic: what serves, what is refused and how loudly, and what a restart remembers.

use lockkeeper::service::reload::Reloaded;
use lockkeeper::service::vigil::Stand;
use lockkeeper::telemetry::clock::Clock;
use lockkeeper::testkit::archive::{DAY_MS, Signer, TestArchive};
use lockkeeper::testkit::folder::Options;
use lockkeeper::testkit::{NOW_MS, TestSidecar};
use serde_json::Value;

const NO_NOTES: &str = r#"
@id("test.no-notes") forbid (principal, action == Action::"readField", resource)
when { context.field == Field::"Deal.notes" };"#;
const NO_TITLE: &str = r#"
@id("test.no-title") forbid (principal, action == Action::"readField", resource)
when { context.field == Field::"Deal.title" };"#;

/// Settings under which only archives that somebody signed are served.
fn signed(options: Options, signers: &[&Signer]) -> Options {
    let keys: Vec<String> = signers.iter().map(|signer| signer.toml()).collect();
    options.set("bundle", "path", "\"crm.lkb\"").set(
        "bundle.signing",
        "trusted_keys",
        format!("[{}]", keys.join(", ")),
    )
}

async fn serving(archive: &TestArchive, signers: &[&Signer]) -> TestSidecar {
    let bytes = archive.signed_by(signers);
    TestSidecar::with(|options| signed(options, signers).file("crm.lkb", bytes)).await
}

async fn deliver(sidecar: &TestSidecar, bytes: &[u8]) -> Reloaded {
    sidecar.folder().write_bytes("crm.lkb", bytes);
    sidecar.running().reloader.reload().await
}

fn last(sidecar: &TestSidecar, kind: &str) -> Value {
    sidecar.ledger().of_kind(kind).into_iter().next_back().unwrap().clone()
}

#[track_caller]
fn assert_refused(reloaded: &Reloaded, expected: &str) {
    let problems = match reloaded {
        Reloaded::Refused { problems, .. } => problems.as_str(),
        Reloaded::Active { .. } => "it serves",
    };
    assert!(problems.contains(expected), "{problems}");
}

#[tokio::test]
async fn an_archive_serves_and_the_ledger_says_who_vouches_for_it() {
    let anna = Signer::new();
    let first = TestArchive::of_version(1);
    let sidecar = serving(&first, &[&anna]).await;
    let rep = sidecar.as_person("rep-east");
    assert!(rep.get("/api/deals/42").await.json().get("notes").is_some());
    let at_start = sidecar.ledger();
    let entry = at_start.of_kind("revision").into_iter().find(|entry| entry["what"] == "bundle").unwrap();
    assert_eq!(entry["hash"], first.revision().as_str());
    assert_eq!(
        (&entry["author"], &entry["approver"], &entry["ticket"]),
        (&"anna".into(), &"ben".into(), &"CRM-1".into())
    );
    assert_eq!(
        (&entry["version"], &entry["signers"]),
        (&Value::from(1), &Value::from(vec![anna.id().to_string()]))
    );
    let second = TestArchive::of_version(2).policies(NO_NOTES);
    let reloaded = deliver(&sidecar, &second.signed_by(&[&anna])).await;
    assert!(matches!(reloaded, Reloaded::Active { .. }), "{reloaded:?}");
    assert_eq!(rep.get("/api/deals/42").await.json().get("notes"), None);
    let entry = last(&sidecar, "revision");
    assert_eq!((&entry["version"], &entry["policies"]["added"]), (&2.into(), &vec!["test.no-notes"].into()));
    // Signed anew for longer, with the same files: nothing changes but the papers, and the ledger has them.
    let renewed = TestArchive::of_version(3).policies(NO_NOTES).expires(NOW_MS + 9 * DAY_MS);
    deliver(&sidecar, &renewed.signed_by(&[&anna])).await;
    let entry = last(&sidecar, "revision");
    assert_eq!((&entry["version"], &entry["hash"]), (&3.into(), &second.revision().into()));
    sidecar.set_now_ms(NOW_MS + 2 * DAY_MS);
    assert_eq!(rep.get("/api/deals/42").await.status, 200);
}

#[tokio::test]
async fn what_is_not_trusted_never_serves_and_alarms() {
    let (anna, eve) = (Signer::new(), Signer::new());
    let sidecar = serving(&TestArchive::of_version(5), &[&anna]).await;
    let rep = sidecar.as_person("rep-east");
    let next = TestArchive::of_version(6).policies(NO_NOTES);
    let mut damaged = next.signed_by(&[&anna]);
    damaged.truncate(damaged.len() / 2);
    let other = TestArchive::of_version(5).policies(NO_NOTES);
    for (bytes, expected, alarm) in [
        (next.signed_by(&[]), "the bundle is unsigned", "bundle-unsigned"),
        (next.signed_by(&[&eve]), "is not trusted", "bundle-key-unknown"),
        (damaged, "not a whole gzip stream", "bundle-archive-broken"),
        (
            TestArchive::of_version(4).policies(NO_NOTES).signed_by(&[&anna]),
            "version 5 has served",
            "bundle-older",
        ),
        (other.signed_by(&[&anna]), "another bundle of that version", "bundle-older"),
        (next.expires(NOW_MS).signed_by(&[&anna]), "expired at 2026-06-15T12:00:00Z", "bundle-expired"),
    ] {
        let reloaded = deliver(&sidecar, &bytes).await;
        assert_refused(&reloaded, expected);
        assert_eq!(last(&sidecar, "alarm")["reason"], alarm, "{expected}");
        let entry = last(&sidecar, "revision");
        assert_eq!(
            (&entry["result"], &entry["author"]),
            (&"refused".into(), &"unsigned".into()),
            "{expected}"
        );
        assert!(rep.get("/api/deals/42").await.json().get("notes").is_some(), "{expected}");
    }
    // A folder carries no signature at all, so it is no way around them.
    std::fs::remove_file(sidecar.folder().path().join("crm.lkb")).unwrap();
    for name in ["profile.toml", "crm.cedarschema"] {
        let text = sidecar.folder().text(&format!("bundle/{name}"));
        sidecar.folder().write(&format!("crm.lkb/{name}"), &text);
    }
    sidecar.folder().write("crm.lkb/policies/a.cedar", "@id(\"a\") permit (principal, action, resource);");
    assert_refused(&sidecar.running().reloader.reload().await, "a folder is unsigned");
    assert_eq!(rep.get("/api/deals/42").await.status, 200);
}

#[tokio::test]
async fn a_restart_remembers_the_highest_version() {
    let anna = Signer::new();
    let sidecar = serving(&TestArchive::of_version(5), &[&anna]).await;
    deliver(&sidecar, &TestArchive::of_version(8).policies(NO_NOTES).signed_by(&[&anna])).await;
    let sidecar = sidecar.restart().await;
    let older = TestArchive::of_version(7).signed_by(&[&anna]);
    assert_refused(&deliver(&sidecar, &older).await, "version 8 has served");
    let Err(problems) = sidecar.try_restart(None).await else { panic!("an older bundle serves") };
    assert!(problems.to_string().contains("version 8 has served"), "{problems}");
}

#[tokio::test]
async fn a_damaged_memory_of_the_highest_version_refuses() {
    let anna = Signer::new();
    let sidecar = serving(&TestArchive::of_version(5), &[&anna]).await;
    sidecar.folder().write("state/bundle/highest.json", "{\"version\":0");
    let Err(problems) = sidecar.try_restart(None).await else { panic!("a damaged memory is taken for none") };
    assert!(problems.to_string().contains("highest.json"), "{problems}");
}

#[tokio::test]
async fn an_expired_bundle_decides_nothing_until_it_is_renewed() {
    let anna = Signer::new();
    let sidecar = serving(&TestArchive::of_version(1).expires(NOW_MS + 8 * DAY_MS), &[&anna]).await;
    let rep = sidecar.as_person("rep-east");
    let reloader = &sidecar.running().reloader;
    let mut stand = reloader.keep_vigil(Stand::default()).await;
    for (now_ms, expected, status) in [
        (NOW_MS, Stand::Good, 200),
        (NOW_MS + DAY_MS, Stand::Aging, 200),
        (NOW_MS + 8 * DAY_MS - 1, Stand::Aging, 200),
        (NOW_MS + 8 * DAY_MS, Stand::Expired, 503),
    ] {
        sidecar.set_now_ms(now_ms);
        stand = reloader.keep_vigil(stand).await;
        assert_eq!((stand, rep.get("/api/deals/42").await.status), (expected, status), "{now_ms}");
    }
    sidecar.crm().reset();
    assert_eq!(rep.get("/api/deals/42").await.reason(), "bundle-expired");
    assert_eq!(sidecar.crm_saw(), Vec::<String>::new());
    assert_eq!(last(&sidecar, "alarm")["reason"], "bundle-expired");
    // Balancer, status and metrics say the same.
    let readiness = &sidecar.running().sidecar.readiness;
    assert_eq!(readiness.conditions()["bundle"], Err("bundle-expired".to_owned()));
    assert!(!readiness.is_ready());
    let renewed = TestArchive::of_version(2).expires(NOW_MS + 20 * DAY_MS).signed_by(&[&anna]);
    assert!(matches!(deliver(&sidecar, &renewed).await, Reloaded::Active { .. }));
    assert_eq!(rep.get("/api/deals/42").await.status, 200);
    assert_eq!(sidecar.running().reloader.keep_vigil(stand).await, Stand::Good);
}

#[tokio::test]
async fn grace_keeps_an_expired_bundle_for_a_while() {
    let anna = Signer::new();
    let bytes = TestArchive::of_version(1).signed_by(&[&anna]);
    let with_grace =
        |options: Options| options.set("bundle.signing", "grace_ms", DAY_MS).file("crm.lkb", bytes);
    let sidecar = TestSidecar::with(|options| with_grace(signed(options, &[&anna]))).await;
    sidecar.set_now_ms(NOW_MS + DAY_MS);
    assert_eq!(Stand::of(&sidecar.running().sidecar), Stand::Grace);
    assert!(!Stand::Grace.is_ready());
    assert_eq!(sidecar.as_person("rep-east").get("/api/deals/42").await.status, 200);
    // Also for a start: an expiry must not decide whether a crash is survived.
    let sidecar = sidecar.restart().await;
    assert_eq!(sidecar.as_person("rep-east").get("/api/deals/42").await.status, 200);
    sidecar.set_now_ms(NOW_MS + 2 * DAY_MS);
    assert_eq!(sidecar.as_person("rep-east").get("/api/deals/42").await.reason(), "bundle-expired");
}

#[tokio::test]
async fn what_is_called_back_while_it_serves_decides_nothing() {
    let (anna, ben) = (Signer::new(), Signer::new());
    let first = TestArchive::of_version(1);
    let bytes = first.signed_by(&[&anna]);
    let keys = format!("{}{}", anna.public().to_pem(), ben.public().to_pem());
    let sidecar = TestSidecar::with(|options| {
        let options = options.set("bundle", "path", "\"crm.lkb\"").file("crm.lkb", bytes);
        let options = options.set("bundle.signing", "trusted_keys_file", "\"trusted.pem\"");
        let options = options.set("bundle.signing", "revoked_file", "\"revoked\"");
        options.file("trusted.pem", keys.clone().into_bytes()).file("revoked", Vec::new())
    })
    .await;
    let rep = sidecar.as_person("rep-east");
    let reload = async || sidecar.running().reloader.reload().await;
    for (name, text, expected) in [
        ("revoked", format!("# anna left\nkey {}\n", anna.id()), "signed by the revoked key"),
        ("revoked", format!("revision {}\n", first.revision()), "is revoked"),
        ("trusted.pem", ben.public().to_pem(), "which is not trusted"),
    ] {
        let former = sidecar.folder().text(name);
        sidecar.folder().write(name, &text);
        assert_refused(&reload().await, expected);
        assert_eq!(rep.get("/api/deals/42").await.reason(), "bundle-revoked", "{expected}");
        assert_eq!(Stand::of(&sidecar.running().sidecar), Stand::Revoked);
        // A list that breaks now takes nothing back.
        sidecar.folder().write(name, "broken");
        assert!(matches!(reload().await, Reloaded::Refused { .. }));
        assert_eq!(rep.get("/api/deals/42").await.reason(), "bundle-revoked", "{expected}");
        sidecar.folder().write(name, &former);
        assert!(matches!(reload().await, Reloaded::Active { .. }));
        assert_eq!(rep.get("/api/deals/42").await.status, 200, "{expected}");
    }
    // A list that cannot be read is no empty list, and no reason to stop either.
    sidecar.folder().write("revoked", "key short\n");
    assert_refused(&reload().await, "line 1");
    assert_eq!(rep.get("/api/deals/42").await.status, 200);
    sidecar.folder().write("revoked", &format!("key {}\n", anna.id()));
    let renewed = TestArchive::of_version(2).policies(NO_NOTES).signed_by(&[&anna, &ben]);
    assert!(matches!(deliver(&sidecar, &renewed).await, Reloaded::Active { .. }));
    assert_eq!(rep.get("/api/deals/42").await.json().get("notes"), None);
}

/// What replaces it must not clear it before it serves, and what could not be kept does not serve.
#[tokio::test]
async fn what_is_called_back_stays_so_while_its_successor_cannot_be_kept() {
    let anna = Signer::new();
    let first = TestArchive::of_version(1);
    let bytes = first.signed_by(&[&anna]);
    let sidecar = TestSidecar::with(|options| {
        let options = signed(options, &[&anna]).set("bundle.signing", "revoked_file", "\"revoked\"");
        options.file("crm.lkb", bytes).file("revoked", Vec::new())
    })
    .await;
    let rep = sidecar.as_person("rep-east");
    sidecar.folder().write("revoked", &format!("revision {}\n", first.revision()));
    sidecar.running().reloader.reload().await;
    assert_eq!(rep.get("/api/deals/42").await.reason(), "bundle-revoked");
    // The place where the new version would be written is taken.
    let taken = sidecar.folder().state().join("bundle/.highest.json.unfinished");
    std::fs::create_dir_all(&taken).unwrap();
    let second = TestArchive::of_version(2).policies(NO_NOTES).signed_by(&[&anna]);
    assert_refused(&deliver(&sidecar, &second).await, "could not be written");
    assert_eq!(rep.get("/api/deals/42").await.reason(), "bundle-revoked");
    std::fs::remove_dir(&taken).unwrap();
    assert!(matches!(sidecar.running().reloader.reload().await, Reloaded::Active { .. }));
    assert_eq!(rep.get("/api/deals/42").await.json().get("notes"), None);
}

/// The same files under new papers are refused out loud too, where the papers cannot be kept.
#[tokio::test]
async fn papers_that_cannot_be_kept_are_refused() {
    let anna = Signer::new();
    let sidecar = serving(&TestArchive::of_version(1), &[&anna]).await;
    let taken = sidecar.folder().state().join("bundle/.highest.json.unfinished");
    std::fs::create_dir_all(&taken).unwrap();
    let renewed = TestArchive::of_version(2).signed_by(&[&anna]);
    assert_refused(&deliver(&sidecar, &renewed).await, "could not be written");
    assert_eq!(last(&sidecar, "revision")["result"], "refused");
}

#[tokio::test]
async fn of_a_folder_of_archives_the_highest_version_that_holds_serves() {
    let (anna, eve) = (Signer::new(), Signer::new());
    let first = TestArchive::of_version(1).signed_by(&[&anna]);
    let second = TestArchive::of_version(2).policies(NO_NOTES).signed_by(&[&anna]);
    let sidecar = TestSidecar::with(|options| {
        let options = signed(options, &[&anna]).set("bundle", "path", "\"inbox\"");
        options.file("inbox/z.lkb", first).file("inbox/a.lkb", second)
    })
    .await;
    let rep = sidecar.as_person("rep-east");
    assert_eq!(rep.get("/api/deals/42").await.json().get("notes"), None);
    let put = async |name: &str, bytes: &[u8]| {
        sidecar.folder().write_bytes(&format!("inbox/{name}"), bytes);
        sidecar.running().reloader.reload().await
    };
    // Of eve's nothing is taken, and hers keeps nothing else back.
    let evil = TestArchive::of_version(99).signed_by(&[&eve]);
    assert!(matches!(put("b.lkb", &evil).await, Reloaded::Active { .. }));
    assert_eq!(rep.get("/api/deals/42").await.json().get("notes"), None);
    // But the ledger has it, once, as it has what is offered alone.
    for _ in 0..2 {
        sidecar.running().reloader.reload().await;
        let ledger = sidecar.ledger();
        let alarms: Vec<&Value> = ledger.of_kind("alarm");
        assert_eq!(alarms.len(), 1, "{alarms:?}");
        assert_eq!(alarms[0]["reason"], "bundle-key-unknown");
        assert_eq!(last(&sidecar, "revision")["result"], "refused");
    }
    let third = TestArchive::of_version(3);
    assert!(matches!(put("c.tar.gz", &third.signed_by(&[&anna])).await, Reloaded::Active { .. }));
    assert!(rep.get("/api/deals/42").await.json().get("notes").is_some());
    // Two bundles of one version: nobody can tell which is meant.
    let twin = TestArchive::of_version(4).policies(NO_TITLE);
    sidecar
        .folder()
        .write_bytes("inbox/d.lkb", &TestArchive::of_version(4).policies(NO_NOTES).signed_by(&[&anna]));
    assert_refused(&put("e.lkb", &twin.signed_by(&[&anna])).await, "are different bundles of one version");
    assert!(rep.get("/api/deals/42").await.json().get("notes").is_some());
    std::fs::remove_file(sidecar.folder().path().join("inbox/e.lkb")).unwrap();
    assert!(matches!(sidecar.running().reloader.reload().await, Reloaded::Active { .. }));
    assert_eq!(rep.get("/api/deals/42").await.json().get("notes"), None);
    // Once one of them served, the other is as good as older.
    assert!(matches!(put("e.lkb", &twin.signed_by(&[&anna])).await, Reloaded::Active { .. }));
    assert!(rep.get("/api/deals/42").await.json().get("title").is_some());
}

/// What is dropped in and not taken leaves what serves alone, and the verdicts that were kept of it.
#[tokio::test]
async fn what_is_not_taken_clears_nothing() {
    let (anna, eve) = (Signer::new(), Signer::new());
    let first = TestArchive::of_version(1).signed_by(&[&anna]);
    let sidecar = TestSidecar::with(|options| {
        signed(options, &[&anna]).set("bundle", "path", "\"inbox\"").file("inbox/a.lkb", first.clone())
    })
    .await;
    let rep = sidecar.as_person("rep-east");
    assert_eq!(rep.get("/api/deals/42").await.status, 200);
    let serving = || sidecar.running().sidecar.current.serving();
    let (before, misses) = (serving(), sidecar.running().sidecar.cache.counts().misses);
    let broken =
        TestArchive::of_version(9).policies("permit (principal, action, resource").signed_by(&[&anna]);
    for (name, bytes, parts) in [
        ("junk.lkb", b"junk".to_vec(), &[][..]),
        ("evil.lkb", TestArchive::of_version(99).signed_by(&[&eve]), &[]),
        ("copy.lkb", first, &[]),
        ("broken.lkb", broken, &["bundle"]),
    ] {
        sidecar.folder().write_bytes(&format!("inbox/{name}"), &bytes);
        for _ in 0..2 {
            match sidecar.running().reloader.reload().await {
                Reloaded::Active { .. } => assert!(parts.is_empty(), "{name}"),
                Reloaded::Refused { parts: refused, .. } => assert_eq!(refused, parts, "{name}"),
            }
            assert!(std::sync::Arc::ptr_eq(&before, &serving()), "{name}");
            assert_eq!(rep.get("/api/deals/42").await.status, 200);
        }
    }
    assert_eq!(sidecar.running().sidecar.cache.counts().misses, misses, "every verdict was kept");
    let alarms = sidecar.ledger().of_kind("alarm").len();
    assert_eq!(alarms, 2, "junk and evil, once each");
}

#[tokio::test]
async fn a_revision_that_served_serves_again_and_stays() {
    let anna = Signer::new();
    let first = TestArchive::of_version(1).policies(NO_NOTES);
    let sidecar = serving(&first, &[&anna]).await;
    let second = TestArchive::of_version(2).signed_by(&[&anna]);
    deliver(&sidecar, &second).await;
    let revision = first.revision();
    let sidecar = sidecar.try_restart(revision.get(..12)).await.map_err(|error| error.to_string()).unwrap();
    let rep = sidecar.as_person("rep-east");
    assert_eq!(rep.get("/api/deals/42").await.json().get("notes"), None);
    let entries = sidecar.ledger().of_kind("revision").into_iter().cloned().collect::<Vec<_>>();
    let entry = entries.iter().rfind(|entry| entry["what"] == "bundle").unwrap();
    assert_eq!((&entry["pinned"], &entry["version"]), (&Value::from(true), &Value::from(1)));
    // What the source offers does not undo it, neither old nor new.
    assert!(matches!(sidecar.running().reloader.reload().await, Reloaded::Active { .. }));
    deliver(&sidecar, &TestArchive::of_version(3).signed_by(&[&anna])).await;
    assert_eq!(rep.get("/api/deals/42").await.json().get("notes"), None);
    // Nor does going back let older ones in afterwards.
    sidecar.folder().write_bytes("crm.lkb", &first.signed_by(&[&anna]));
    let Err(problems) = sidecar.try_restart(None).await else { panic!("an older bundle serves") };
    assert!(problems.to_string().contains("version 2 has served"), "{problems}");
}

#[tokio::test]
async fn going_back_takes_only_what_is_kept_whole_and_still_trusted() {
    let anna = Signer::new();
    let first = TestArchive::of_version(1);
    let sidecar = serving(&first, &[&anna]).await;
    let revision = first.revision();
    let folder = sidecar.stop_keeping_files().await;
    let clock = Clock::from_fn(|| NOW_MS);
    let refused = async |revision: &str, expected: &str| {
        let problems = folder.load_at(&clock, Some(revision.to_owned())).await.err().unwrap().to_string();
        assert!(problems.contains(expected), "{problems}");
    };
    // Who mistypes is told what there is.
    refused(&"0".repeat(64), &revision).await;
    refused(revision.get(..7).unwrap(), "has 7 digits, and at least 8").await;
    refused("../../bundle", "no one bundle is kept").await;
    let kept = format!("state/revisions/{revision}/policies/records.cedar");
    let text = folder.text(&kept);
    folder.write(&kept, &text.replace("permit", "permit "));
    refused(&revision, "their hash differs").await;
    folder.write(&kept, &text);
    let eve = Signer::new();
    folder.edit("lockkeeper.toml", |text| text.replace(&anna.toml(), &eve.toml()));
    refused(&revision, "is not trusted").await;
    folder.edit("lockkeeper.toml", |text| text.replace(&eve.toml(), &anna.toml()));
    assert!(folder.load_at(&clock, Some(revision.clone())).await.is_ok());
    folder.edit("lockkeeper.toml", |text| {
        text.replace(
            "[bundle.signing]\n",
            &format!("[bundle.signing]\nrevoked_revisions = [\"{revision}\"]\n"),
        )
    });
    refused(&revision, "is revoked").await;
}

/// Where signatures are only looked at, what was called back by name is refused all the same, however it is offered.
#[tokio::test]
async fn going_back_to_what_a_revoked_key_signed_is_refused_without_required_signatures() {
    let anna = Signer::new();
    let first = TestArchive::of_version(1);
    let bytes = first.signed_by(&[&anna]);
    let sidecar = TestSidecar::with(|options| {
        signed(options, &[&anna]).set("bundle.signing", "required", "false").file("crm.lkb", bytes)
    })
    .await;
    let folder = sidecar.stop_keeping_files().await;
    let clock = Clock::from_fn(|| NOW_MS);
    assert!(folder.load_at(&clock, Some(first.revision())).await.is_ok());
    folder.edit("lockkeeper.toml", |text| {
        let signing = format!("[bundle.signing]\nrevoked_keys = [\"{}\"]\n", anna.id());
        text.replace("[bundle.signing]\n", &signing)
    });
    for revision in [None, Some(first.revision())] {
        let problems = folder.load_at(&clock, revision).await.err().unwrap().to_string();
        assert!(problems.contains("signed by the revoked key"), "{problems}");
    }
}
