//! A signed token in compact form (RFC 7515 §7.1), taken apart strictly and not yet believed.
//!
//! Promises: exactly three parts of unpadded Base64url, two JSON objects in which no key repeats, bounded in size and depth.
//! Of the header only `alg`, `kid`, `typ` and `crit` are looked at: keys that a token brings along (`jwk`, `jku`, `x5c`,
//! `x5u`) do not exist here. Critical extensions (`crit`) are refused, since none is understood.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;

use crate::json::parse::JsonLimits;
use crate::json::value::{Document, Kind};
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use crate::model::signature::Algorithm;

/// A token that was taken apart.
pub struct Token<'t> {
    /// What it says it was signed with.
    pub algorithm: Algorithm,
    /// Which key it says it was signed with.
    pub key_id: Option<String>,
    /// What was signed.
    pub signed: &'t [u8],
    /// The signature.
    pub signature: Vec<u8>,
    /// The claims, an object.
    pub claims: Document,
}

/// Whether a text could be a signed token at all.
pub fn looks_like_one(text: &str) -> bool {
    text.split('.').count() == PARTS
}

impl<'t> Token<'t> {
    /// Takes a token apart.
    pub fn read(text: &'t str, bytes_max: usize) -> Result<Self, Problem> {
        if text.len() > bytes_max {
            return Err(malformed("the token is too large"));
        }
        let mut parts = text.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed("the token does not have three parts"));
        };
        let header = object(header)?;
        let root = header.root();
        let algorithm = root.member("alg").and_then(|alg| alg.text());
        let algorithm = algorithm.ok_or_else(|| malformed("the header has no `alg`"))?;
        let algorithm =
            Algorithm::parse(&algorithm).ok_or_else(|| refused("the algorithm is never accepted"))?;
        if root.member("crit").is_some() {
            return Err(refused("the header has critical extensions"));
        }
        if let Some(kind) = root.member("typ") {
            let kind = kind.text().unwrap_or_default().to_ascii_lowercase();
            if !KINDS.contains(&kind.strip_prefix("application/").unwrap_or(&kind)) {
                return Err(refused("the header's `typ` is that of another kind of token"));
            }
        }
        let key_id = match root.member("kid") {
            None => None,
            Some(id) => Some(id.text().ok_or_else(|| malformed("`kid` is not a string"))?.into_owned()),
        };
        let claims = object(payload)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok().filter(|bytes| !bytes.is_empty());
        let signature = signature.ok_or_else(|| malformed("the signature is empty or not Base64url"))?;
        let signed = text.rsplit_once('.').map_or(&[][..], |(signed, _)| signed.as_bytes());
        Ok(Self { algorithm, key_id, signed, signature, claims })
    }

    /// Who says that they issued it.
    pub fn issuer(&self) -> Option<String> {
        self.claims.root().member("iss")?.text().map(std::borrow::Cow::into_owned)
    }
}

fn object(part: &str) -> Result<Document, Problem> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed("a part is not Base64url"))?;
    let limits = JsonLimits { bytes_max: bytes.len(), depth_max: DEPTH_MAX, nodes_max: VALUES_MAX };
    let document =
        Document::parse(Bytes::from(bytes), &limits).map_err(|error| malformed(&error.to_string()))?;
    match document.root().kind() {
        Kind::Object => Ok(document),
        Kind::Null | Kind::Bool | Kind::Number | Kind::String | Kind::Array => {
            Err(malformed("a part is not a JSON object"))
        }
    }
}

/// The token cannot be read.
pub fn malformed(why: &str) -> Problem {
    Problem::new(Reason::TokenMalformed).internal(why)
}

/// The token can be read and is not accepted.
pub fn refused(why: &str) -> Problem {
    Problem::new(Reason::TokenRefused).internal(why)
}

const PARTS: usize = 3;
const DEPTH_MAX: usize = 16;
const VALUES_MAX: usize = 4_096;
/// Kinds of tokens that say who a caller is; others (`logout+jwt`, `dpop+jwt`) are signed by the same keys.
const KINDS: &[&str] = &["jwt", "at+jwt"];
