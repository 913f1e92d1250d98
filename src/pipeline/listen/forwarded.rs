//! Who the caller is, as trusted proxies tell, and what the CRM is told of them.
//!
//! Promises: only peers in `trusted_proxies` are believed, each for the hop before it; what the CRM is told is always ours.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;

use super::door::Trusted;
use crate::model::peer::{Peer, Scheme};
use crate::pipeline::canonical;

/// The caller of one request: the connection's peer, or the last address that no trusted proxy has.
pub fn caller(peer: &Arc<Peer>, headers: &HeaderMap, trusted: &Trusted) -> Arc<Peer> {
    if !trusted.trusts_peer(peer) {
        return Arc::clone(peer);
    }
    let mut address = peer.address;
    let mut may_tell = true;
    for told in elements(headers, &FORWARDED_FOR).into_iter().rev() {
        let Some(told) = told.parse::<IpAddr>().ok().filter(|_| may_tell) else { break };
        address = told.to_canonical();
        may_tell = trusted.networks.contain(address);
    }
    let scheme = match elements(headers, &FORWARDED_PROTO).last() {
        Some(&"https") => Scheme::Https,
        Some(&"http") => Scheme::Http,
        _ => peer.scheme,
    };
    match address == peer.address && scheme == peer.scheme {
        true => Arc::clone(peer),
        false => Arc::new(Peer { address, scheme, ..(**peer).clone() }),
    }
}

/// What the CRM is told: the caller's address, how they reached us, and the host that they asked for, if the operator
/// listed `hosts`. Else it is the caller's own choice, and a CRM that builds links from it would send them to others.
pub fn told(head: &Parts, peer: &Peer, hosts: &[String]) -> Vec<(HeaderName, HeaderValue)> {
    let mut told = vec![(FORWARDED_PROTO, HeaderValue::from_static(peer.scheme.name()))];
    if let Ok(address) = HeaderValue::try_from(peer.address.to_string()) {
        told.push((FORWARDED_FOR, address));
    }
    // A host that cannot be read or is not listed is refused before anything is forwarded.
    let host = canonical::host(&head.uri, head.version, &head.headers).ok().flatten();
    let host = host.filter(|_| !hosts.is_empty());
    if let Some(host) = host.and_then(|host| HeaderValue::try_from(host).ok()) {
        told.push((FORWARDED_HOST, host));
    }
    told
}

fn elements<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Vec<&'h str> {
    let texts = headers.get_all(name).iter().map(|value| value.to_str().unwrap_or(""));
    texts.flat_map(|text| text.split(',')).map(str::trim).collect()
}

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::network::Networks;

    #[track_caller]
    fn check(peer: &str, lines: &[(&'static str, &str)], expected: (&str, Scheme)) {
        let networks = ["10.0.0.0/8", "2001:db8::/32"].map(|text| text.parse().unwrap());
        let trusted = Trusted { networks: Networks(networks.to_vec()), unix: false };
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        let peer = Arc::new(Peer::plain(peer.parse().unwrap()));
        let found = caller(&peer, &headers, &trusted);
        assert_eq!((found.address.to_string().as_str(), found.scheme), expected);
        assert_eq!(found.direct, peer.direct);
    }

    #[test]
    fn the_last_address_that_is_not_ours() {
        const FOR: &str = "x-forwarded-for";
        let plain = |address| (address, Scheme::Http);
        check("192.0.2.1", &[(FOR, "203.0.113.9")], plain("192.0.2.1"));
        check("10.0.0.1", &[], plain("10.0.0.1"));
        check("10.0.0.1", &[(FOR, "203.0.113.9")], plain("203.0.113.9"));
        check("10.0.0.1", &[(FOR, "6.6.6.6, 203.0.113.9")], plain("203.0.113.9"));
        check("10.0.0.1", &[(FOR, "6.6.6.6, 203.0.113.9, 10.0.0.2")], plain("203.0.113.9"));
        check("10.0.0.1", &[(FOR, "6.6.6.6"), (FOR, "203.0.113.9 , 2001:db8::5")], plain("203.0.113.9"));
        check("10.0.0.1", &[(FOR, "10.0.0.3, 10.0.0.2")], plain("10.0.0.3"));
        check("10.0.0.1", &[(FOR, "203.0.113.9, unknown")], plain("10.0.0.1"));
        check("10.0.0.1", &[(FOR, "203.0.113.9, , 10.0.0.2")], plain("10.0.0.2"));
        check("10.0.0.1", &[(FOR, "::ffff:203.0.113.9")], plain("203.0.113.9"));
        check("10.0.0.1", &[(FOR, "203.0.113.9:80")], plain("10.0.0.1"));
    }

    #[test]
    fn the_scheme_that_the_last_proxy_saw() {
        const PROTO: &str = "x-forwarded-proto";
        check("192.0.2.1", &[(PROTO, "https")], ("192.0.2.1", Scheme::Http));
        check("10.0.0.1", &[(PROTO, "https")], ("10.0.0.1", Scheme::Https));
        check("10.0.0.1", &[(PROTO, "https, http")], ("10.0.0.1", Scheme::Http));
        check("10.0.0.1", &[(PROTO, "gopher")], ("10.0.0.1", Scheme::Http));
    }
}
