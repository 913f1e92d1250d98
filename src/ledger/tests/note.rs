//! Signed notes and checkpoints: a known one, our own, and everything that is nearly one.

use crate::ledger::checkpoint::{self, CheckpointError};
use crate::ledger::note::{self, KeyName, NOTE_BYTES_MAX, NoteError, Signer, VerifierKey};
use crate::ledger::tree::{Tree, TreeHead};
use crate::model::keys::SigningKey;

/// The key and the note in the documentation of the implementation that the format comes from.
const KNOWN_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const KNOWN_NOTE: &str = "If you think cryptography is the answer to your problem,\n\
    then you don't know what your problem is.\n\n\
    \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

pub(super) fn signer(name: &str) -> Signer {
    let key = SigningKey::parse(&SigningKey::generate().unwrap()).unwrap();
    Signer::new(KeyName::parse(name).unwrap(), key).unwrap()
}

pub(super) fn name(name: &str) -> KeyName {
    KeyName::parse(name).unwrap()
}

fn key(signer: &Signer) -> VerifierKey {
    signer.verifier().clone()
}

fn some_head(size: u64) -> TreeHead {
    let mut tree = Tree::default();
    (0..size).for_each(|number| tree.push(&number.to_be_bytes()));
    tree.head()
}

#[test]
fn a_known_note_is_read() {
    let known: VerifierKey = KNOWN_KEY.parse().unwrap();
    assert_eq!(known.to_string(), KNOWN_KEY);
    let note = note::open(KNOWN_NOTE, &[key(&signer("other")), known.clone()]).unwrap();
    assert_eq!((note.text.lines().count(), note.signed_by), (2, vec![1]));
    let changed = KNOWN_NOTE.replace("answer", "Answer");
    assert_eq!(note::open(&changed, &[known]), Err(NoteError::Signature("PeterNeumann".into())));
}

#[test]
fn what_is_signed_is_read_and_nothing_else() {
    let (ours, next, foreign) = (signer("crm/ledger"), signer("crm/ledger"), signer("crm/ledger"));
    let (head, keys) = (some_head(5), [key(&ours)]);
    let both = checkpoint::sign(&name("crm/ledger"), &head, &[ours, next]);
    let opened = checkpoint::open(&both, &keys).unwrap();
    assert_eq!((opened.head, opened.origin.as_str(), opened.signed_by), (head, "crm/ledger", vec![0]));
    assert_eq!(both.lines().count(), 6);
    assert_eq!(checkpoint::open(&both, &[key(&foreign)]), Err(NoteError::Unsigned.into()));
    assert_eq!(checkpoint::open(&both, &[]), Err(NoteError::Unsigned.into()));
    // Any changed byte: of the text, the signature is wrong; of the signatures, nobody known is left, or it is no note.
    for place in 0..both.len() {
        let mut bytes = both.clone().into_bytes();
        bytes[place] ^= 1;
        let Ok(changed) = String::from_utf8(bytes) else { continue };
        let is_other_signature = place > both.rfind('\u{2014}').unwrap();
        if !is_other_signature {
            assert!(checkpoint::open(&changed, &keys).is_err(), "byte {place}: {changed}");
        }
    }
    // A line that somebody put in is not signed.
    let longer = both.replacen("\n\n", "\nmore\n\n", 1);
    assert_eq!(checkpoint::open(&longer, &keys), Err(NoteError::Signature("crm/ledger".into()).into()));
}

#[test]
fn a_checkpoint_is_that_of_its_key() {
    let ours = signer("crm/ledger");
    let keys = [key(&ours)];
    let other = checkpoint::sign(&name("other/ledger"), &some_head(5), &[ours]);
    let expected = CheckpointError::Origin { found: "other/ledger".into(), expected: "crm/ledger".into() };
    assert_eq!(checkpoint::open(&other, &keys), Err(expected));
}

#[test]
fn texts_that_are_no_checkpoint() {
    let root = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    for (text, line) in [
        ("\n5\n", 1),
        ("crm/ledger\n", 2),
        ("crm/ledger\n05\n", 2),
        ("crm/ledger\n+5\n", 2),
        ("crm/ledger\n-5\n", 2),
        ("crm/ledger\n18446744073709551616\n", 2),
        ("crm/ledger\n5\n", 3),
        ("crm/ledger\n5\nAAAA\n", 3),
        ("crm/ledger\n5\nnot base64\n", 3),
    ] {
        let ours = signer("crm/ledger");
        let keys = [key(&ours)];
        let note = note::sign(text, &[ours]);
        assert_eq!(checkpoint::open(&note, &keys), Err(CheckpointError::Form { line }), "{text:?}");
    }
    let ours = signer("crm/ledger");
    let keys = [key(&ours)];
    let extended = note::sign(&format!("crm/ledger\n5\n{root}\nan extension\n"), &[ours]);
    assert_eq!(checkpoint::open(&extended, &keys).unwrap().head.size, 5);
}

#[test]
fn texts_that_are_no_note() {
    let known: VerifierKey = KNOWN_KEY.parse().unwrap();
    let signature = KNOWN_NOTE.lines().last().unwrap();
    for (note, expected) in [
        (String::new(), NoteError::Form { line: 1 }),
        ("text\n".into(), NoteError::Form { line: 1 }),
        ("text\n\n".into(), NoteError::Form { line: 3 }),
        (format!("text\n\n{signature}"), NoteError::Form { line: 3 }),
        ("text\n\n\u{2014} name AAAAAAAA\nmore\n".into(), NoteError::Form { line: 4 }),
        ("text\n\n\u{2014} name AAAA\n".into(), NoteError::Form { line: 3 }),
        ("text\n\n\u{2014} name  AAAAAAAA\n".into(), NoteError::Form { line: 3 }),
        ("text\n\n\u{2014} na+me AAAAAAAA\n".into(), NoteError::Form { line: 3 }),
        ("text\r\n\n\u{2014} name AAAAAAAA\n".into(), NoteError::Form { line: 1 }),
        ("text\n\n\u{2014} name AAAAAAAA\n".into(), NoteError::Unsigned),
        ("t".repeat(NOTE_BYTES_MAX + 1), NoteError::TooLong),
    ] {
        assert_eq!(note::open(&note, std::slice::from_ref(&known)), Err(expected), "{note:.80}");
    }
    assert_eq!(note::open(&"t".repeat(NOTE_BYTES_MAX), &[known]), Err(NoteError::Form { line: 1 }));
}

#[test]
fn texts_that_are_no_key() {
    let wrong_id = KNOWN_KEY.replace("c74f20a3", "c74f20a4");
    let other_name = KNOWN_KEY.replace("Peter", "Paul");
    for text in [wrong_id.as_str(), &other_name] {
        assert_eq!(text.parse::<VerifierKey>(), Err(NoteError::KeyId(text.into())));
    }
    let short = "n+00000000+AQ==";
    for text in ["", "name", "name+00000000", "name+00000000+!", short] {
        assert_eq!(text.parse::<VerifierKey>(), Err(NoteError::Key(text.into())), "{text}");
    }
    let long = "n".repeat(256);
    for text in ["", "a b", "a+b", "a\nb", "a\u{a0}b", &long] {
        assert_eq!(KeyName::parse(text), Err(NoteError::Name(text.into())));
    }
    assert!(KeyName::parse(&"n".repeat(255)).is_ok());
}
