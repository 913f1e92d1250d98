//! An issuer's public keys (RFC 7517), and checking signatures with them.
//!
//! Promises: a key is used with one algorithm only, which its own `alg` and the configuration agree on; a set with a private
//! key, or with two keys of one name, is refused whole. Keys that cannot be used here are left out.

use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RsaParameters, RsaPublicKeyComponents,
    UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::json::parse::JsonLimits;
use crate::json::value::{Document, Kind, Value};
use crate::model::signature::{Algorithm, Family};

/// The keys of one issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySet {
    keys: Vec<PublicKey>,
}

/// One key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    id: Option<String>,
    algorithm: Algorithm,
    material: Material,
    print: KeyPrint,
}

/// What tells one key from all others: a hash of its algorithm and its bytes, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyPrint([u8; 32]);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Material {
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    /// A point in uncompressed form, or the 32 bytes of Ed25519.
    Bytes(Vec<u8>),
}

/// Why a set of keys cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Not JSON.
    #[error("it is not a JSON document: {0}")]
    Json(String),
    /// Not a set of keys.
    #[error("it has no list `keys`")]
    Shape,
    /// Too many.
    #[error("it has more than {KEYS_MAX} keys")]
    TooMany,
    /// A private key.
    #[error("key {0} is a private or shared key, which must not be published")]
    Private(usize),
    /// Two of one name.
    #[error("two keys have the same `kid` and algorithm")]
    Ambiguous,
    /// None.
    #[error("none of its keys can be used with the configured algorithms")]
    Empty,
}

impl KeySet {
    /// Reads a set for the algorithms of the configuration.
    pub fn read(bytes: Bytes, algorithms: &[Algorithm]) -> Result<Self, KeySetError> {
        let limits = JsonLimits { bytes_max: bytes.len(), depth_max: DEPTH_MAX, nodes_max: VALUES_MAX };
        let document =
            Document::parse(bytes, &limits).map_err(|error| KeySetError::Json(error.to_string()))?;
        let list = document.root().member("keys").filter(|keys| keys.kind() == Kind::Array);
        let list = list.ok_or(KeySetError::Shape)?;
        if list.len() > KEYS_MAX {
            return Err(KeySetError::TooMany);
        }
        let mut keys: Vec<PublicKey> = Vec::new();
        for (index, value) in list.items().enumerate() {
            if PRIVATE_MEMBERS.iter().any(|name| value.member(name).is_some()) {
                return Err(KeySetError::Private(index + 1));
            }
            let Some(key) = read_key(value, algorithms) else { continue };
            if keys.iter().any(|other| other.id == key.id && other.algorithm == key.algorithm) {
                return Err(KeySetError::Ambiguous);
            }
            keys.push(key);
        }
        match keys.is_empty() {
            true => Err(KeySetError::Empty),
            false => Ok(Self { keys }),
        }
    }

    /// The key of a name for an algorithm. A token without a name needs a set with one key for its algorithm.
    pub fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&PublicKey> {
        let mut fitting = self.keys.iter().filter(|key| key.algorithm == algorithm);
        match id {
            Some(id) => fitting.find(|key| key.id.as_deref() == Some(id)),
            None => fitting.next().filter(|_| fitting.next().is_none()),
        }
    }

    /// Whether a key is still in the set.
    pub fn has(&self, print: KeyPrint) -> bool {
        self.keys.iter().any(|key| key.print == print)
    }

    /// How many keys can be used.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

impl PublicKey {
    /// What tells it from all others.
    pub fn print(&self) -> KeyPrint {
        self.print
    }

    /// Whether it made a signature over some bytes.
    pub fn has_signed(&self, bytes: &[u8], signature: &[u8]) -> bool {
        let rsa = |parameters: &RsaParameters| match &self.material {
            Material::Rsa { modulus, exponent } => RsaPublicKeyComponents { n: modulus, e: exponent }
                .verify(parameters, bytes, signature)
                .is_ok(),
            Material::Bytes(_) => false,
        };
        let other = |algorithm: &'static dyn VerificationAlgorithm| match &self.material {
            Material::Bytes(key) => UnparsedPublicKey::new(algorithm, key).verify(bytes, signature).is_ok(),
            Material::Rsa { .. } => false,
        };
        match self.algorithm {
            Algorithm::Rs256 => rsa(&signature::RSA_PKCS1_2048_8192_SHA256),
            Algorithm::Rs384 => rsa(&signature::RSA_PKCS1_2048_8192_SHA384),
            Algorithm::Rs512 => rsa(&signature::RSA_PKCS1_2048_8192_SHA512),
            Algorithm::Ps256 => rsa(&signature::RSA_PSS_2048_8192_SHA256),
            Algorithm::Ps384 => rsa(&signature::RSA_PSS_2048_8192_SHA384),
            Algorithm::Ps512 => rsa(&signature::RSA_PSS_2048_8192_SHA512),
            Algorithm::Es256 => other(&ECDSA_P256_SHA256_FIXED),
            Algorithm::Es384 => other(&ECDSA_P384_SHA384_FIXED),
            Algorithm::EdDsa => other(&ED25519),
        }
    }
}

fn read_key(value: Value<'_>, algorithms: &[Algorithm]) -> Option<PublicKey> {
    let text = |name: &str| value.member(name).and_then(|member| member.text());
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?.as_bytes()).ok();
    let is_for_signatures = value.member("use").is_none_or(|_| text("use").as_deref() == Some("sig"));
    let may_verify = value
        .member("key_ops")
        .is_none_or(|operations| operations.items().any(|one| one.text().as_deref() == Some("verify")));
    if !is_for_signatures || !may_verify {
        return None;
    }
    let kind = text("kty")?;
    let curve = text("crv").unwrap_or_default();
    let (family, material) = match (kind.as_ref(), curve.as_ref()) {
        ("RSA", _) => (Family::Rsa, rsa(&bytes("n")?, bytes("e")?)?),
        ("EC", "P-256") => (Family::P256, point(&bytes("x")?, &bytes("y")?, P256_BYTES)?),
        ("EC", "P-384") => (Family::P384, point(&bytes("x")?, &bytes("y")?, P384_BYTES)?),
        ("OKP", "Ed25519") => {
            (Family::Ed25519, Material::Bytes(bytes("x").filter(|key| key.len() == ED25519_BYTES)?))
        }
        _ => return None,
    };
    let algorithm = algorithms.iter().copied().find(|algorithm| algorithm.family() == family)?;
    if value.member("alg").is_some() && text("alg").as_deref() != Some(algorithm.name()) {
        return None;
    }
    let id = match value.member("kid") {
        Some(_) => Some(text("kid")?.into_owned()),
        None => None,
    };
    let print = print(algorithm, &material);
    Some(PublicKey { id, algorithm, material, print })
}

fn rsa(modulus: &[u8], exponent: Vec<u8>) -> Option<Material> {
    let start = modulus.iter().position(|byte| *byte != 0)?;
    let modulus = modulus.get(start..)?.to_vec();
    let is_strong = (RSA_BYTES_MIN..=RSA_BYTES_MAX).contains(&modulus.len());
    is_strong.then_some(Material::Rsa { modulus, exponent })
}

fn point(x: &[u8], y: &[u8], length: usize) -> Option<Material> {
    let is_whole = x.len() == length && y.len() == length;
    is_whole.then(|| Material::Bytes([&[UNCOMPRESSED], x, y].concat()))
}

fn print(algorithm: Algorithm, material: &Material) -> KeyPrint {
    let mut hasher = Sha256::new();
    hasher.update(algorithm.name());
    match material {
        Material::Rsa { modulus, exponent } => {
            hasher.update(format!(":{}:", modulus.len()));
            hasher.update(modulus);
            hasher.update(exponent);
        }
        Material::Bytes(bytes) => {
            hasher.update(":");
            hasher.update(bytes);
        }
    }
    KeyPrint(hasher.finalize().into())
}

const KEYS_MAX: usize = 100;
const DEPTH_MAX: usize = 8;
const VALUES_MAX: usize = 10_000;
/// Members of private keys (RFC 7518 §6.2.2, §6.3.2) and of shared secrets (§6.4.1).
const PRIVATE_MEMBERS: &[&str] = &["d", "p", "q", "dp", "dq", "qi", "k"];
const RSA_BYTES_MIN: usize = 256;
const RSA_BYTES_MAX: usize = 1024;
const P256_BYTES: usize = 32;
const P384_BYTES: usize = 48;
const ED25519_BYTES: usize = 32;
/// The first byte of a point that is written with both coordinates (SEC 1 §2.3.3).
const UNCOMPRESSED: u8 = 4;
