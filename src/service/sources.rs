//! Loads how callers are identified: tables of keys, issuers' keys, names of certificates, and what the CRM is shown.
//!
//! Promises: everything that a file says wrong is noted in one run. Never asks anybody over the network.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};

use super::intake::Intake;
use super::persons;
use crate::bundle::directory::Directory;
use crate::config::author::{AuthorProblem, Problems};
use crate::config::service::{
    Carrier, CertificateConfig, GatewayConfig, IdentityConfig, IntrospectionConfig, JwtConfig, KeyConfig,
    KeySetPlace, Place, Shown,
};
use crate::model::principal::EntityRef;
use crate::pipeline::identify::certificate::{self, CertificateSource};
use crate::pipeline::identify::gateway::{GatewaySource, Trust};
use crate::pipeline::identify::introspection::IntrospectionSource;
use crate::pipeline::identify::jwt::JwtSource;
use crate::pipeline::identify::jwt::key_set::KeySet;
use crate::pipeline::identify::jwt::keyring::Keyring;
use crate::pipeline::identify::keys::{self, KeySource};
use crate::pipeline::identify::upstream::UpstreamCredential;
use crate::pipeline::identify::{Source, Sources, Way};

/// Loads every source, in the order in which they are asked; what does not load comes with an error.
pub fn load(config: &IdentityConfig, intake: &mut Intake, problems: &mut Problems) -> Sources {
    let mut sources = Vec::new();
    let mut add = |way: Option<Way>, shown: &Shown, intake: &mut Intake, problems: &mut Problems| {
        let upstream = load_shown(shown, intake, problems);
        sources.extend(way.zip(upstream).map(|(way, upstream)| Source { way, upstream }));
    };
    for keys in &config.keys {
        add(load_keys(keys, intake, problems).map(Way::Keys), &keys.shown, intake, problems);
    }
    for issuer in &config.jwt {
        add(
            load_issuer(issuer, intake, problems).map(Box::new).map(Way::Jwt),
            &issuer.shown,
            intake,
            problems,
        );
    }
    if let Some(certificates) = &config.certificate {
        add(
            load_certificates(certificates, intake, problems).map(Way::Certificate),
            &certificates.shown,
            intake,
            problems,
        );
    }
    if let Some(gateway) = &config.gateway {
        add(load_gateway(gateway, problems).map(Way::Gateway), &gateway.shown, intake, problems);
    }
    if let Some(crm) = &config.introspection {
        add(
            load_introspection(crm, problems).map(Box::new).map(Way::Introspection),
            &crm.shown,
            intake,
            problems,
        );
    }
    Sources::new(sources)
}

/// Every file that a load reads, for seeing whether one has changed.
pub fn files(config: &IdentityConfig) -> Vec<PathBuf> {
    let shown = |shown: &Shown| match shown {
        Shown::Caller => Vec::new(),
        Shown::Service { key_file, .. } => vec![key_file.clone()],
        Shown::PerPerson { file, .. } => persons::files(file),
    };
    let keys = config.keys.iter().flat_map(|keys| [vec![keys.file.clone()], shown(&keys.shown)].concat());
    let issuers = config.jwt.iter().flat_map(|issuer| {
        let key_set = match &issuer.key_set {
            KeySetPlace::File(file) => vec![file.clone()],
            KeySetPlace::Remote { .. } => Vec::new(),
        };
        [key_set, shown(&issuer.shown)].concat()
    });
    let certificates = config.certificate.iter();
    let certificates = certificates.flat_map(|it| it.file.clone().into_iter().chain(shown(&it.shown)));
    let gateway = config.gateway.iter().flat_map(|gateway| shown(&gateway.shown));
    let crm = config.introspection.iter().flat_map(|crm| shown(&crm.shown));
    keys.chain(issuers).chain(certificates).chain(gateway).chain(crm).collect()
}

fn load_keys(config: &KeyConfig, intake: &mut Intake, problems: &mut Problems) -> Option<KeySource> {
    let keys = keys::load(&intake.text(&config.file, problems)?, problems);
    let header = header_name(&config.carrier.header, problems)?;
    Some(KeySource { authn: config.authn, header, scheme: config.carrier.scheme.clone(), keys })
}

fn load_issuer(config: &JwtConfig, intake: &mut Intake, problems: &mut Problems) -> Option<JwtSource> {
    let header = header_name(&config.carrier.header, problems)?;
    let keyring = match &config.key_set {
        KeySetPlace::File(file) => Keyring::fixed(load_key_set(file, config, intake, problems)?),
        KeySetPlace::Remote { max_age_ms, .. } => Keyring::remote(*max_age_ms),
    };
    Some(JwtSource::new(config.clone(), header, Arc::new(keyring)))
}

fn load_key_set(
    file: &Path,
    config: &JwtConfig,
    intake: &mut Intake,
    problems: &mut Problems,
) -> Option<KeySet> {
    let source = intake.text(file, problems)?;
    match KeySet::read(Bytes::from(source.text.clone()), &config.algorithms) {
        Ok(keys) => Some(keys),
        Err(error) => {
            let message = format!("`{}` is not a set of public keys: {error}", source.name);
            let help = "Save what the issuer publishes as its JWKS, and compare its `alg` and `kty` with `algorithms`.";
            problems.push(AuthorProblem::error(message).help(help));
            None
        }
    }
}

fn load_certificates(
    config: &CertificateConfig,
    intake: &mut Intake,
    problems: &mut Problems,
) -> Option<CertificateSource> {
    let table = match &config.file {
        Some(file) => certificate::load(&intake.text(file, problems)?, problems),
        None => Vec::new(),
    };
    Some(CertificateSource { table, pattern: config.pattern.clone(), named_by: config.named_by.clone() })
}

fn load_gateway(config: &GatewayConfig, problems: &mut Problems) -> Option<GatewaySource> {
    let trust = Trust {
        networks: config.trusted_peers.clone(),
        unix: config.trusts_unix,
        certificates: config.trusted_certificates.clone(),
    };
    let header = header_name(&config.header, problems)?;
    Some(GatewaySource { header, trust, named_by: config.named_by.clone() })
}

fn load_introspection(config: &IntrospectionConfig, problems: &mut Problems) -> Option<IntrospectionSource> {
    let header = match &config.place {
        Place::Header(carrier) => Some(header_name(&carrier.header, problems)?),
        Place::Cookie(_) => None,
    };
    Some(IntrospectionSource::new(config.clone(), header))
}

fn load_shown(shown: &Shown, intake: &mut Intake, problems: &mut Problems) -> Option<UpstreamCredential> {
    match shown {
        Shown::Caller => Some(UpstreamCredential::Caller),
        Shown::Service { carrier, key_file } => {
            let value = header_value(&intake.secret(key_file, problems)?, carrier, key_file, problems)?;
            Some(UpstreamCredential::Service { name: header_name(&carrier.header, problems)?, value })
        }
        Shown::PerPerson { carrier, file } => {
            let keys = persons::load(file, intake, problems)?;
            let name = header_name(&carrier.header, problems)?;
            let mut values: HashMap<EntityRef, HeaderValue> = HashMap::new();
            for (principal, key) in keys {
                values.insert(principal, header_value(&key, carrier, file, problems)?);
            }
            Some(UpstreamCredential::PerPerson { name, values })
        }
    }
}

fn header_value(key: &str, carrier: &Carrier, file: &Path, problems: &mut Problems) -> Option<HeaderValue> {
    let value = carrier.scheme.as_ref().map_or(key.to_owned(), |scheme| format!("{scheme} {key}"));
    let Ok(mut value) = HeaderValue::try_from(value) else {
        problems
            .push(AuthorProblem::error(format!("a key in `{}` cannot stand in a header", file.display())));
        return None;
    };
    value.set_sensitive(true);
    Some(value)
}

fn header_name(text: &str, problems: &mut Problems) -> Option<HeaderName> {
    let name = HeaderName::try_from(text).ok();
    if name.is_none() {
        problems.push(AuthorProblem::error(format!("`{text}` is not a header name")));
    }
    name
}

/// Warns of what leads to somebody whom the directory does not have.
pub fn check_principals(sources: &Sources, directory: &Directory, problems: &mut Problems) {
    for source in sources.iter() {
        let (what, principals): (_, BTreeSet<&EntityRef>) = match &source.way {
            Way::Keys(keys) => ("a key belongs", keys.keys.principals().collect()),
            Way::Certificate(it) => ("a certificate belongs", it.table.iter().map(|(_, it)| it).collect()),
            Way::Jwt(_) | Way::Gateway(_) | Way::Introspection(_) => continue,
        };
        for principal in principals.into_iter().filter(|principal| directory.person(principal).is_none()) {
            let message = format!("{what} to `{principal}`, who is not in the directory");
            let help = "It is refused until the directory has them.";
            problems.push(AuthorProblem::warning(message).help(help));
        }
    }
}
