//! Certificate authorities of the tests, and what they issue.

use lockkeeper::testkit::folder::Options;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// An authority.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate with its key, in PEM form.
#[derive(Clone)]
pub struct Issued {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "an authority of the tests");
        Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for names; `spiffe:` makes a URI, an address an IP address.
    pub fn issue(&self, names: &[&str]) -> Issued {
        self.issue_from(names, |_| {})
    }

    /// The same with changes.
    pub fn issue_from(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Issued {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names = names.iter().map(|name| subject(name)).collect();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Issued { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// A client that trusts this authority and offers these protocols.
    pub fn client(&self, protocols: &[&str]) -> ClientConfig {
        self.finish(None, protocols)
    }

    /// One that shows a certificate of its own.
    pub fn client_as(&self, own: &Issued, protocols: &[&str]) -> ClientConfig {
        self.finish(Some(own), protocols)
    }

    fn finish(&self, own: Option<&Issued>, protocols: &[&str]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem().as_bytes()).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(lockkeeper::net::roots::provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match own {
            Some(own) => builder.with_client_auth_cert(own.chain(), own.key()).unwrap(),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        // Each connection shakes hands anew: what a rotation changed must show at once.
        config.resumption = rustls::client::Resumption::disabled();
        config
    }
}

impl Issued {
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_slice_iter(self.certificate.as_bytes()).map(Result::unwrap).collect()
    }

    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap()
    }
}

fn subject(name: &str) -> SanType {
    match (name.parse(), name.starts_with("spiffe:"), name.contains('@')) {
        (Ok(address), _, _) => SanType::IpAddress(address),
        (_, true, _) => SanType::URI(name.try_into().unwrap()),
        (_, _, true) => SanType::Rfc822Name(name.try_into().unwrap()),
        _ => SanType::DnsName(name.try_into().unwrap()),
    }
}

/// Listens with a certificate.
pub fn listening(options: Options, issued: &Issued) -> Options {
    let Issued { certificate, key } = issued.clone();
    options
        .set("listen.tls", "certificate_file", "\"tls.crt\"")
        .set("listen.tls", "key_file", "\"tls.key\"")
        .edit("tls.crt", move |_| certificate)
        .edit("tls.key", move |_| key)
}
