//! Archives as friends and enemies make them.

use std::collections::BTreeSet;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::manifest::{ManifestError, Statement};
use super::signature::{self, Signature};
use super::trust::{Floor, Revoked};
use super::*;
use crate::bundle::revision;
use crate::model::keys::{KeyError, KeyId, PublicKey, SigningKey, TrustedKeys, read_public_keys};

const NOW_MS: i64 = 1_800_000_000_000;
const DAY_MS: i64 = 86_400_000;

fn files() -> BTreeMap<String, Bytes> {
    let pairs = [("profile.toml", "profile = 1\n"), ("crm.cedarschema", ""), ("policies/a.cedar", "permit;")];
    pairs.into_iter().map(|(name, text)| (name.to_owned(), Bytes::from_static(text.as_bytes()))).collect()
}

fn statement() -> Statement {
    Statement {
        version: 7,
        author: "anna".to_owned(),
        approver: Some("ben".to_owned()),
        ticket: Some("CRM-1".to_owned()),
        created_ms: NOW_MS - DAY_MS,
        expires_ms: NOW_MS + DAY_MS,
    }
}

fn key() -> SigningKey {
    SigningKey::parse(&SigningKey::generate().unwrap()).unwrap()
}

fn parts(statement: &Statement, keys: &[&SigningKey]) -> Parts {
    let manifest = Manifest::of(statement, &files()).unwrap().to_bytes().unwrap();
    let signatures: Vec<Signature> =
        keys.iter().map(|key| Signature::make(&manifest, key).unwrap()).collect();
    let signatures = (!signatures.is_empty()).then(|| Bytes::from(signature::to_text(&signatures)));
    Parts { files: files(), papers: Papers { manifest, signatures } }
}

fn trusted(keys: &[&SigningKey]) -> TrustedKeys {
    keys.iter().map(|key| key.public().unwrap()).map(|key| (key.id(), key)).collect()
}

fn trust<'a>(keys: &'a TrustedKeys, revoked: &'a Revoked) -> Trust<'a> {
    Trust {
        strictness: Strictness::Required,
        keys,
        signatures_min: 1,
        revoked,
        floor: None,
        now_ms: NOW_MS,
        grace_ms: 0,
    }
}

#[test]
fn what_was_built_and_signed_opens() {
    let anna = key();
    let bytes = put_together(&parts(&statement(), &[&anna])).unwrap();
    let (keys, revoked) = (trusted(&[&anna]), Revoked::default());
    let opened = open(&bytes, &ArchiveLimits::default(), &trust(&keys, &revoked)).unwrap();
    assert_eq!(opened.files, files());
    assert_eq!(opened.provenance.author(), "anna");
    assert_eq!(opened.provenance.signers, [anna.public().unwrap().id()]);
    assert_eq!(opened.provenance.serves_until_ms, Some(NOW_MS + DAY_MS));
    assert_eq!(opened.warnings, []);
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let anna = key();
    let once = put_together(&parts(&statement(), &[&anna])).unwrap();
    assert_eq!(once, put_together(&parts(&statement(), &[&anna])).unwrap());
    assert_eq!(once, put_together(&take_apart(&once, &ArchiveLimits::default()).unwrap()).unwrap());
}

#[track_caller]
fn check_trust(change: impl FnOnce(&mut Trust<'_>), expected: Option<TrustError>) {
    let (anna, ben) = (key(), key());
    check_signed(&[&anna], &[&anna, &ben], change, |_| expected);
}

#[track_caller]
fn check_signed(
    signed: &[&SigningKey],
    known: &[&SigningKey],
    change: impl FnOnce(&mut Trust<'_>),
    expected: impl FnOnce(&[KeyId]) -> Option<TrustError>,
) {
    let (keys, revoked) = (trusted(known), Revoked::default());
    let mut trust = trust(&keys, &revoked);
    change(&mut trust);
    let ids: Vec<KeyId> = signed.iter().map(|key| key.public().unwrap().id()).collect();
    let expected = expected(&ids).map(Refusal::Trust);
    assert_eq!(verify(parts(&statement(), signed), &trust).err(), expected);
}

#[test]
fn trust_has_its_own_refusal_for_everything() {
    let (anna, ben, eve) = (key(), key(), key());
    let same = |_: &mut Trust<'_>| {};
    check_signed(&[], &[&anna], same, |_| Some(TrustError::Unsigned));
    check_signed(&[&eve], &[&anna], same, |ids| Some(TrustError::KeyUnknown(ids[0].clone())));
    check_signed(&[&anna, &eve], &[&anna], same, |_| None);
    let two = |trust: &mut Trust<'_>| trust.signatures_min = 2;
    let too_few = |_: &[KeyId]| Some(TrustError::TooFew { found: 1, needed: 2 });
    check_signed(&[&anna], &[&anna, &ben], two, too_few);
    check_signed(&[&anna, &eve], &[&anna, &ben], two, too_few);
    check_signed(&[&anna, &ben], &[&anna, &ben], two, |_| None);
    let revoked = |key: &SigningKey| Revoked {
        keys: BTreeSet::from([key.public().unwrap().id()]),
        revisions: BTreeSet::new(),
    };
    let of_anna = revoked(&anna);
    let keys = trusted(&[&anna, &ben]);
    let trust = trust(&keys, &of_anna);
    let refused = |signed: &[&SigningKey]| verify(parts(&statement(), signed), &trust).err();
    let id = anna.public().unwrap().id();
    assert_eq!(refused(&[&anna]), Some(TrustError::KeyRevoked(id).into()));
    assert_eq!(refused(&[&anna, &ben]), None);
}

#[test]
fn time_is_judged_at_its_limits() {
    let expired = || Some(TrustError::Expired("2027-01-16T08:00:00Z".to_owned()));
    let expires_ms = NOW_MS + DAY_MS;
    for (now_ms, grace_ms, expected) in [
        (expires_ms - 1, 0, None),
        (expires_ms, 0, expired()),
        (expires_ms, 1, None),
        (expires_ms + 1, 1, expired()),
    ] {
        check_trust(|trust| (trust.now_ms, trust.grace_ms) = (now_ms, grace_ms), expected);
    }
}

#[test]
fn versions_never_go_back() {
    let anna = key();
    let (keys, revoked) = (trusted(&[&anna]), Revoked::default());
    let own = revision::hash_files(&files());
    let check = |version, revision: &str, expected: Option<TrustError>| {
        let floor = Floor { version, revision: revision.to_owned() };
        let trust = Trust { floor: Some(&floor), ..trust(&keys, &revoked) };
        assert_eq!(verify(parts(&statement(), &[&anna]), &trust).err(), expected.map(Refusal::Trust));
    };
    check(6, "x", None);
    check(7, &own, None);
    check(7, "x", Some(TrustError::SameVersion { version: 7, served: "x".to_owned() }));
    check(8, &own, Some(TrustError::Older { version: 7, floor: 8 }));
}

#[test]
fn a_revoked_revision_is_refused_whoever_signed_it() {
    let anna = key();
    let revision = revision::hash_files(&files());
    let (keys, revoked) =
        (trusted(&[&anna]), Revoked { revisions: BTreeSet::from([revision.clone()]), ..Revoked::default() });
    let refused = verify(parts(&statement(), &[&anna]), &trust(&keys, &revoked)).err();
    assert_eq!(refused, Some(TrustError::RevisionRevoked(revision).into()));
}

#[test]
fn two_signatures_need_an_approver_who_is_not_the_author() {
    let (anna, ben) = (key(), key());
    let (keys, revoked) = (trusted(&[&anna, &ben]), Revoked::default());
    let mut trust = trust(&keys, &revoked);
    trust.signatures_min = 2;
    for approver in [None, Some("anna".to_owned())] {
        let parts = parts(&Statement { approver, ..statement() }, &[&anna, &ben]);
        assert_eq!(verify(parts, &trust).err(), Some(TrustError::NoApprover.into()));
    }
}

#[test]
fn where_signatures_are_only_advised_what_is_missing_is_a_warning() {
    let (anna, eve) = (key(), key());
    let (keys, revoked) = (trusted(&[&anna]), Revoked::default());
    let mut trust = trust(&keys, &revoked);
    (trust.strictness, trust.now_ms) = (Strictness::Advised, NOW_MS + 2 * DAY_MS);
    let opened = verify(parts(&statement(), &[&eve]), &trust).unwrap();
    let codes: Vec<&str> = opened.warnings.iter().map(TrustError::code).collect();
    assert_eq!(codes, ["bundle-key-unknown", "bundle-expired"]);
    // What nobody vouches for is not repeated, and nothing is enforced by it.
    assert_eq!((opened.provenance.author(), opened.provenance.serves_until_ms), ("unsigned", None));
    // But a signature that does not hold is a sign of tampering wherever it is met.
    let mut forged = parts(&statement(), &[&anna]);
    forged.papers.manifest =
        Bytes::from(String::from_utf8_lossy(&forged.papers.manifest).replace("anna", "anne"));
    let id = anna.public().unwrap().id();
    assert_eq!(verify(forged, &trust).err(), Some(TrustError::Invalid(id).into()));
}

#[test]
fn files_are_those_of_the_manifest() {
    let anna = key();
    let (keys, revoked) = (trusted(&[&anna]), Revoked::default());
    let trust = trust(&keys, &revoked);
    let check = |change: fn(&mut BTreeMap<String, Bytes>), expected: ManifestError| {
        let mut parts = parts(&statement(), &[&anna]);
        change(&mut parts.files);
        assert_eq!(verify(parts, &trust).err(), Some(expected.into()));
    };
    let name = || "policies/a.cedar".to_owned();
    check(|files| drop(files.remove("policies/a.cedar")), ManifestError::Missing(name()));
    check(
        |files| drop(files.insert("policies/b.cedar".to_owned(), Bytes::new())),
        ManifestError::Unlisted("policies/b.cedar".to_owned()),
    );
    let replace = |files: &mut BTreeMap<String, Bytes>| {
        files.insert("policies/a.cedar".to_owned(), Bytes::from_static(b"permix;"));
    };
    check(replace, ManifestError::Differs(name()));
}

#[test]
fn manifests_are_read_strictly() {
    let manifest = Manifest::of(&statement(), &files()).unwrap();
    let text = String::from_utf8(manifest.to_bytes().unwrap().to_vec()).unwrap();
    assert_eq!(Manifest::parse(text.as_bytes()), Ok(manifest));
    let check = |from: &str, to: &str, expected: &str| {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        let error = Manifest::parse(changed.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check("\"format\": 1", "\"format\": 2", "the format 2");
    check("\"version\": 7", "\"version\": 0", "at least 1");
    check("\"version\": 7", "\"version\": -7", "not a manifest");
    check("\"version\": 7", "\"version\": 7.5", "not a manifest");
    check("\"version\": 7", "\"version\": 7, \"version\": 8", "duplicate field");
    check("\"version\": 7", "\"version\": 7, \"extra\": 8", "unknown field");
    check("\"author\": \"anna\",", "", "missing field `author`");
    check("\"anna\"", "\"\"", "`author`");
    check("\"anna\"", "\"an\\u0000na\"", "`author`");
    check("\"anna\"", "\"unsigned\"", "`author`");
    check("\"anna\"", &format!("\"{}\"", "a".repeat(201)), "`author`");
    check("\"created\": \"2027", "\"created\": \"2028", "not after `created`");
    check("\"expires\": \"2027", "\"expires\": \"soon", "`expires`");
    check("00Z\",", "00\",", "`created`");
    assert!(matches!(Manifest::parse(&vec![b' '; 2 << 20]), Err(ManifestError::TooLarge { .. })));
    let deep = "[".repeat(100_000);
    assert!(matches!(Manifest::parse(deep.as_bytes()), Err(ManifestError::Form(_))));
}

#[test]
fn a_signature_by_openssl_holds() {
    let public = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAF/nEvpuPqj5RAH85kmroasbobp8zZ4XgnmwLSrvKzsw=\n-----END PUBLIC KEY-----\n";
    let private = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIDwVE5W1BQJye2S2WMUD+9pvt6zXJVhfynBK4xwFhVd8\n-----END PRIVATE KEY-----\n";
    let line = "ed25519 805b98f3d3e06d4693b3b6a78061f2a6 qhAfAtODwqgqsDiAym4B4Rnp5fJlucOzMp2fg2Hq9XiWp1HjIzNGRv9UNtooijfyvx9E94s+tsW0/nBTbPP8Cw==\n";
    let (public, private) = (PublicKey::parse(public).unwrap(), SigningKey::parse(private).unwrap());
    assert_eq!(private.public(), Some(public));
    let signatures = signature::parse(line.as_bytes()).unwrap();
    assert!(signatures[0].holds(b"{\"format\":1}\n", &public));
    assert!(!signatures[0].holds(b"{\"format\":2}\n", &public));
    assert_eq!(signature::to_text(&[Signature::make(b"{\"format\":1}\n", &private).unwrap()]), line);
}

#[test]
fn keys_are_read_in_their_usual_forms_only() {
    let key = key().public().unwrap();
    let raw = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, key.bytes());
    assert_eq!(PublicKey::parse(&key.to_pem()), Ok(key));
    assert_eq!(PublicKey::parse(&raw), Ok(key));
    assert_eq!(read_public_keys(&format!("# anna\n{raw}\n\n")), Ok(vec![key]));
    assert_eq!(read_public_keys(&key.to_pem().repeat(2)), Ok(vec![key, key]));
    // One form or the other: the PEM reader would pass over the line.
    let mixed = |text: String| read_public_keys(&text);
    assert_eq!(mixed(format!("{raw}\n{}", key.to_pem())), Err(KeyError::BesidePem { line: 1 }));
    assert_eq!(mixed(format!("# anna\n{}\n{raw}\n", key.to_pem())), Err(KeyError::BesidePem { line: 6 }));
    assert_eq!(mixed(format!("# anna\n\n{}# bert\n{}", key.to_pem(), key.to_pem())), Ok(vec![key, key]));
    assert_eq!(read_public_keys("# nothing\n"), Err(KeyError::None));
    let private = SigningKey::generate().unwrap();
    assert_eq!(read_public_keys(&private), Err(KeyError::NotPublic("a private key")));
    assert!(matches!(read_public_keys("AAAA"), Err(KeyError::Public(_))));
    assert!(matches!(read_public_keys(&key.to_pem().replace("MCow", "MCox")), Err(KeyError::Public(_))));
    assert!(matches!(SigningKey::parse(&key.to_pem()), Err(KeyError::Private(_))));
    for id in ["", "abc", &"A".repeat(32), &"g".repeat(32), &"0".repeat(33)] {
        assert!(KeyId::parse(id).is_err(), "{id}");
    }
}

#[test]
fn signature_files_are_read_strictly() {
    let anna = key();
    let line = signature::to_text(&[Signature::make(b"m", &anna).unwrap()]);
    let id = anna.public().unwrap().id().to_string();
    assert_eq!(signature::parse(b"").map(|found| found.len()), Ok(0));
    assert_eq!(signature::parse(line.as_bytes()).map(|found| found.len()), Ok(1));
    for wrong in [
        line.replace("ed25519", "rsa"),
        line.replace(' ', "  "),
        format!("{} more\n", line.trim()),
        format!("\n{line}"),
        line.replace("==", ""),
        line.replace("ed25519 ", "ed25519 0"),
        format!("{line}{line}"),
        (0..17).map(|n| line.replace(&id, &format!("{n:032x}"))).collect(),
    ] {
        assert!(signature::parse(wrong.as_bytes()).is_err(), "{wrong}");
    }
    let sixteen: String = (0..16).map(|n| line.replace(&id, &format!("{n:032x}"))).collect();
    assert_eq!(signature::parse(sixteen.as_bytes()).map(|found| found.len()), Ok(16));
}

/// An archive whose entries are made by hand.
fn raw_archive(entries: &[(&str, tar::EntryType, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, kind, content) in entries {
        let mut header = tar::Header::new_ustar();
        // Not by `set_path`, which would refuse what an enemy writes.
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    gzip(&builder.into_inner().unwrap())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[track_caller]
fn check_archive(bytes: &[u8], limits: &ArchiveLimits, expected: &str) {
    let error = take_apart(bytes, limits).unwrap_err();
    assert!(error.to_string().contains(expected), "{error}");
    assert!(!error.help().is_empty());
}

#[test]
fn archives_of_enemies_are_refused() {
    use tar::EntryType as Kind;
    let limits = ArchiveLimits::default();
    let manifest = ("manifest.json", Kind::Regular, b"{}".as_slice());
    let with = |name, kind, content| raw_archive(&[manifest, (name, kind, content)]);
    assert!(take_apart(&with("profile.toml", Kind::Regular, b"x"), &limits).is_ok());
    for name in ["../profile.toml", "/profile.toml", "a/../profile.toml", "./profile.toml", "a//profile.toml"]
    {
        check_archive(&with(name, Kind::Regular, b""), &limits, "is not a plain relative name");
    }
    for name in ["a\\profile.toml", "c:profile.toml", "a\nprofile.toml"] {
        check_archive(&with(name, Kind::Regular, b""), &limits, "is not a plain relative name");
    }
    check_archive(&with("a/b/c/x.cedar", Kind::Regular, b""), &limits, "is not a file of a bundle");
    check_archive(&with("run.sh", Kind::Regular, b""), &limits, "is not a file of a bundle");
    for kind in [
        Kind::Symlink,
        Kind::Link,
        Kind::Directory,
        Kind::Char,
        Kind::Block,
        Kind::Fifo,
        Kind::GNULongName,
        Kind::GNULongLink,
        Kind::XHeader,
        Kind::XGlobalHeader,
        Kind::GNUSparse,
        Kind::Continuous,
    ] {
        check_archive(&with("x.cedar", kind, b""), &limits, "is not a plain file");
    }
    let twice = [manifest, ("x.cedar", Kind::Regular, b"a"), ("x.cedar", Kind::Regular, b"a")];
    check_archive(&raw_archive(&twice), &limits, "stands in the archive twice");
    check_archive(&raw_archive(&[manifest, manifest]), &limits, "stands in the archive twice");
    check_archive(&raw_archive(&[]), &limits, "no `manifest.json`");
    check_archive(b"", &limits, "not a whole gzip stream");
    check_archive(b"PK\x03\x04", &limits, "not a whole gzip stream");
    check_archive(&gzip(b"not a tar archive"), &limits, "not a whole tar archive");
    let whole = raw_archive(&[manifest]);
    check_archive(&whole[..whole.len() - 1], &limits, "not a whole gzip stream");
    check_archive(&[whole.clone(), vec![0]].concat(), &limits, "behind the archive's end");
    check_archive(&[whole.clone(), whole.clone()].concat(), &limits, "behind the archive's end");
    let mut tar = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(whole.as_slice()), &mut tar).unwrap();
    check_archive(&gzip(&[tar.as_slice(), b"hidden"].concat()), &limits, "behind the archive's end");
    check_archive(&gzip(&tar[..513]), &limits, "breaks off");
    tar[0] ^= 1;
    check_archive(&gzip(&tar), &limits, "checksum");
}

#[test]
fn limits_hold_at_the_limit_and_one_past_it() {
    use tar::EntryType::Regular;
    let bytes = raw_archive(&[("manifest.json", Regular, b"{}"), ("profile.toml", Regular, &[b'x'; 98])]);
    let exact = ArchiveLimits {
        archive_bytes_max: bytes.len(),
        files_max: 2,
        file_bytes_max: 98,
        total_bytes_max: 100,
        ratio_max: 200,
    };
    assert!(take_apart(&bytes, &exact).is_ok());
    let check = |limits: ArchiveLimits, expected: &str| check_archive(&bytes, &limits, expected);
    check(ArchiveLimits { archive_bytes_max: bytes.len() - 1, ..exact }, "the archive has");
    check(ArchiveLimits { files_max: 1, ..exact }, "more than 1 files");
    check(ArchiveLimits { file_bytes_max: 97, ..exact }, "`profile.toml` has 98 bytes");
    check(ArchiveLimits { total_bytes_max: 99, ..exact }, "unpacks to more than 99 bytes");
}

#[test]
fn a_bomb_is_stopped_by_its_ratio_and_a_lie_about_size_by_the_stream() {
    let limits =
        ArchiveLimits { total_bytes_max: 1 << 30, file_bytes_max: 1 << 30, ..ArchiveLimits::default() };
    let bomb = gzip(&vec![0; pack::RATIO_FLOOR_BYTES + 1]);
    assert!(bomb.len() * limits.ratio_max < pack::RATIO_FLOOR_BYTES);
    check_archive(&bomb, &limits, "unpacks to more than");
    let fits = gzip(&vec![0; pack::RATIO_FLOOR_BYTES]);
    check_archive(&fits, &limits, "no `manifest.json`");
    let mut header = tar::Header::new_ustar();
    header.set_path("manifest.json").unwrap();
    header.set_size(1 << 20);
    header.set_cksum();
    check_archive(&gzip(header.as_bytes()), &limits, "breaks off");
    header.set_size(u64::MAX >> 1);
    header.set_cksum();
    check_archive(&gzip(header.as_bytes()), &limits, "more than");
}

proptest! {
    /// One changed byte anywhere never yields other files or another manifest.
    #[test]
    fn a_changed_byte_is_refused_or_changes_nothing(at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let anna = SigningKey::parse("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIDwVE5W1BQJye2S2WMUD+9pvt6zXJVhfynBK4xwFhVd8\n-----END PRIVATE KEY-----\n").unwrap();
        let (keys, revoked) = (trusted(&[&anna]), Revoked::default());
        let trust = trust(&keys, &revoked);
        let whole = put_together(&parts(&statement(), &[&anna])).unwrap();
        let mut changed = whole.clone();
        changed[at.index(whole.len())] ^= 1 << bit;
        if let Ok(opened) = open(&changed, &ArchiveLimits::default(), &trust) {
            prop_assert_eq!(opened.files, files());
            prop_assert_eq!(opened.provenance.author(), "anna");
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert!(take_apart(&gzip(&bytes), &ArchiveLimits::default()).is_err());
        prop_assert!(signature::parse(&bytes).map_or(true, |found| found.is_empty()));
    }
}
