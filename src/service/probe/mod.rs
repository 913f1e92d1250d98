//! Probing the CRM from the configuration: whether it is there, who it is, and whether it answers without going through us.
//!
//! Promises: only `GET` on a route that the profile describes as one; never a write, never a redirect that is followed, and
//! credentials go to the CRM alone. Each finding that is not good says how to make it so.

pub mod network;
pub mod own_addresses;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http::header::{HeaderName, HeaderValue};

use super::load::Loaded;
use crate::pipeline::crm::UpstreamOptions;
use crate::pipeline::identify::Source;
use crate::pipeline::identify::upstream::UpstreamCredential;
use network::{Network, ProbeError};

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// How good it is.
    pub level: Level,
    /// What was found.
    pub what: String,
    /// What to do about it.
    pub fix: Option<&'static str>,
}

/// How good a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Good,
    /// Somebody should look at it.
    Warning,
    /// Requests will fail, or Lockkeeper can be gone around.
    Bad,
}

impl Level {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Level::Good => "ok",
            Level::Warning => "warning",
            Level::Bad => "error",
        }
    }
}

/// What is probed, and with what.
pub struct Probe<'a> {
    /// The way to the CRM.
    pub upstream: UpstreamOptions,
    /// What serves.
    pub loaded: &'a Loaded,
    /// The time by which certificates are judged.
    pub now_ms: i64,
    /// A caller's own credential, if somebody handed one in.
    pub caller: Option<(HeaderName, HeaderValue)>,
}

impl Probe<'_> {
    /// Looks at everything that can be looked at.
    pub async fn run(&self) -> Vec<Finding> {
        let network = match Network::to(&self.upstream, self.now_ms, LIMIT) {
            Ok(Some(network)) => network,
            Ok(None) => {
                let what = format!(
                    "{} is no address of the network, so none can reach it there",
                    self.upstream.origin
                );
                return vec![good("connect", what)];
            }
            Err(error) => {
                let fix = Some("Correct the file; requests to the CRM need it too.");
                return vec![Finding {
                    check: "certificate",
                    level: Level::Bad,
                    what: error.to_string(),
                    fix,
                }];
            }
        };
        let mut findings = Vec::new();
        let addresses = match network.connect().await {
            Ok((addresses, found)) => {
                findings.push(found);
                addresses
            }
            Err(error) => return vec![unreachable(&error)],
        };
        findings.extend(network.certificate(addresses.first().copied()).await);
        if findings.iter().any(|finding| finding.level == Level::Bad) {
            return findings;
        }
        let exposure = exposure(&network, &addresses).await;
        let reach = exposure.level;
        findings.push(exposure);
        findings.extend(self.answers(&network, reach).await);
        findings
    }

    /// What the CRM says to nobody, to our service account, and to a caller.
    async fn answers(&self, network: &Network, reach: Level) -> Vec<Finding> {
        let Some(target) = self.target() else {
            let what = "the profile has no `GET` route without parameters to ask".to_owned();
            return vec![Finding { check: "answer", level: Level::Warning, what, fix: None }];
        };
        let host = self.upstream.host.as_deref();
        let mut findings = Vec::new();
        match network.ask(&target, host, None).await {
            Err(error) => return vec![unreachable(&error)],
            Ok(status) => findings.push(to_nobody(status, &target)),
        }
        for (name, value) in service_credentials(self.loaded.identity.sources.iter()) {
            let found = network.ask(&target, host, Some((name, value))).await;
            findings.push(to_service(found, &target));
        }
        match &self.caller {
            Some((name, value)) => {
                let found = network.ask(&target, host, Some((name, value))).await;
                findings.push(to_caller(found, &target, reach));
            }
            None if self
                .loaded
                .identity
                .sources
                .iter()
                .any(|source| matches!(source.upstream, UpstreamCredential::Caller)) =>
            {
                let what = "callers hold keys that the CRM itself takes".to_owned();
                findings.push(Finding {
                    check: "caller",
                    level: reach.max(Level::Warning),
                    what,
                    fix: Some(FIX_ISOLATE),
                });
            }
            None => {}
        }
        findings
    }

    /// A `GET` route without parameters, as the CRM knows it.
    fn target(&self) -> Option<String> {
        let routes = &self.loaded.bundle.profile.routes;
        let is_plain = |route: &&crate::bundle::profile::route::Route| {
            route.template.methods.contains(&http::Method::GET)
                && route.template.parameter_names().next().is_none()
                && route.pass.is_none()
        };
        let route = routes.iter().find(is_plain)?;
        let (segments, has_slash) = route.template.write_path(&Vec::new());
        let slash = if has_slash { "/" } else { "" };
        Some(format!("{}/{}{slash}", self.upstream.base_path, segments.join("/")))
    }
}

/// Whether others than this host can reach the CRM.
async fn exposure(network: &Network, addresses: &[SocketAddr]) -> Finding {
    let (check, port) = ("exposure", network.port());
    if let Some(other) = addresses.iter().find(|address| !address.ip().is_loopback()) {
        let what = format!("the CRM is on {other}, which other hosts may reach as well");
        return Finding { check, level: Level::Warning, what, fix: Some(FIX_ISOLATE) };
    }
    let own = own_addresses::all();
    if own.is_empty() {
        let what = "this host's other addresses could not be listed, so they were not tried".to_owned();
        return Finding { check, level: Level::Warning, what, fix: Some(FIX_LOOPBACK) };
    }
    for ip in &own {
        if network::connects(SocketAddr::new(*ip, port), LIMIT).await {
            let what = format!(
                "the CRM answers on {} too: whoever reaches this host goes around Lockkeeper",
                SocketAddr::new(*ip, port)
            );
            return Finding { check, level: Level::Bad, what, fix: Some(FIX_LOOPBACK) };
        }
    }
    let tried: Vec<String> = own.iter().map(IpAddr::to_string).collect();
    good(check, format!("the CRM listens on loopback only; not on {}", tried.join(", ")))
}

fn to_nobody(status: u16, target: &str) -> Finding {
    let check = "no-credential";
    match status {
        401 | 403 => good(check, format!("GET {target} without a credential is answered with {status}")),
        200..=299 => {
            let what = format!("GET {target} is answered with {status} to anybody, without a credential");
            Finding { check, level: Level::Bad, what, fix: Some(FIX_CREDENTIAL) }
        }
        _ => {
            let what =
                format!("GET {target} without a credential is answered with {status}, neither 401 nor 403");
            Finding {
                check,
                level: Level::Warning,
                what,
                fix: Some("Look whether `upstream.url` and the profile's paths are right."),
            }
        }
    }
}

fn to_service(answer: Result<u16, ProbeError>, target: &str) -> Finding {
    let check = "service-account";
    match answer {
        Ok(status @ 200..=299) => {
            good(check, format!("GET {target} as the service account is answered with {status}"))
        }
        Ok(status) => {
            let what = format!("GET {target} as the service account is answered with {status}");
            let fix = "Look whether the key in `upstream_key_file` is right, and `upstream_header` and `upstream_scheme` with it.";
            Finding { check, level: Level::Bad, what, fix: Some(fix) }
        }
        Err(error) => unreachable(&error),
    }
}

fn to_caller(answer: Result<u16, ProbeError>, target: &str, reach: Level) -> Finding {
    let check = "caller";
    match answer {
        Ok(status @ 200..=299) => {
            let what = format!(
                "GET {target} with the caller's own credential is answered with {status} by the CRM itself"
            );
            Finding { check, level: reach.max(Level::Warning), what, fix: Some(FIX_ISOLATE) }
        }
        Ok(status) => {
            good(check, format!("the caller's credential opens nothing at the CRM itself: {status}"))
        }
        Err(error) => unreachable(&error),
    }
}

fn service_credentials<'s>(
    sources: impl Iterator<Item = &'s Source>,
) -> impl Iterator<Item = (&'s HeaderName, &'s HeaderValue)> {
    sources.filter_map(|source| match &source.upstream {
        UpstreamCredential::Service { name, value } => Some((name, value)),
        UpstreamCredential::Caller | UpstreamCredential::PerPerson { .. } => None,
    })
}

fn unreachable(error: &ProbeError) -> Finding {
    Finding { check: error.check(), level: Level::Bad, what: error.to_string(), fix: Some(error.fix()) }
}

fn good(check: &'static str, what: String) -> Finding {
    Finding { check, level: Level::Good, what, fix: None }
}

const LIMIT: Duration = Duration::from_secs(5);
const FIX_LOOPBACK: &str = "Let the CRM listen on 127.0.0.1 only, or drop its port at the firewall. See docs/guide/closing-direct-access.md.";
const FIX_ISOLATE: &str = "Let only this host reach the CRM: a firewall rule, a network policy, or a client certificate \
                           that only Lockkeeper has. See docs/guide/closing-direct-access.md.";
const FIX_CREDENTIAL: &str = "Make the CRM ask for a credential, or let nobody but Lockkeeper reach it. See \
                              docs/guide/closing-direct-access.md.";

#[cfg(test)]
mod tests;
