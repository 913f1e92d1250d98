//! `lockkeeper serve`: runs the sidecar until it is told to stop.

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::exit::Exit;
use super::{ConfigArgs, render, supervisor};
use crate::bundle::archive::provenance::Pin;
use crate::bundle::profile::route::{HiddenRows, Route};
use crate::bundle::profile::transit::IdentityNeed;
use crate::config::author::Problems;
use crate::config::load;
use crate::config::service::ServiceConfig;
use crate::config::service::observe::check_dates;
use crate::service::checkpoints::CheckpointsError;
use crate::service::load::{Loaded, load_from};
use crate::service::start::{Running, StartError, start};
use crate::service::supply::Supply;
use crate::service::telemetry::check_secrets;
use crate::telemetry::clock::Clock;
use crate::telemetry::log;

/// The arguments.
#[derive(Args)]
pub struct ServeArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Serve a bundle that served before, by its hash or the first digits of it, until the next start
    #[arg(long)]
    revision: Option<String>,
}

/// Runs the command.
pub fn run(args: &ServeArgs) -> Exit {
    runtime(async {
        let mut problems = Problems::default();
        let config = load::load(&args.config.config, &mut problems);
        let loaded = match &config {
            Some(config) => load_with(config, args.revision.clone(), &mut problems).await,
            None => None,
        };
        render::problems(&problems);
        let (Some(config), Some(loaded), false) = (config, loaded, problems.has_errors()) else {
            render::failure(&format!("not started: {}", render::count(problems.error_count(), "problem")));
            return Exit::Failure;
        };
        log::start(&config.log);
        let running = match start(config.clone(), loaded, Clock::system()).await {
            Ok(running) => running,
            Err(error) => return start_failed(&error),
        };
        announce(&running, &config);
        supervisor::ready();
        wait(&running).await;
        supervisor::stopping();
        match running.stop().await {
            Ok(_) => Exit::Success,
            Err(error) => {
                render::failure(&error);
                Exit::LedgerBroken
            }
        }
    })
}

/// Loads all, after fetching what is to be fetched.
pub async fn load_with(
    config: &ServiceConfig,
    revision: Option<String>,
    problems: &mut Problems,
) -> Option<Loaded> {
    let (supply, clock) = (Supply::new(config, revision), Clock::system());
    check_dates(&config.observe, clock.now_ms(), problems);
    check_secrets(config, problems);
    supply.fetch_first(&clock, problems).await;
    load_from(config, supply, clock.now_ms(), problems)
}

/// Runs a future on a runtime of its own.
pub fn runtime(main: impl Future<Output = Exit>) -> Exit {
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let exit = runtime.block_on(main);
            // A file system that hangs must not keep the process from ending.
            runtime.shutdown_timeout(END_WAIT);
            exit
        }
        Err(error) => {
            render::failure(&error);
            Exit::Failure
        }
    }
}

/// Tells why a start failed.
pub fn start_failed(error: &StartError) -> Exit {
    // The message names what was attempted; the causes below it say what the system said.
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error).and_then(|source| source.source());
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    if let StartError::Checkpoints(error) = error
        && let Some(help) = error.help()
    {
        text = format!("{text}\n  help: {help}");
    }
    render::failure(&text);
    match error {
        StartError::Ledger { source, .. } | StartError::Checkpoints(CheckpointsError::Ledger(source))
            if source.is_evidence() =>
        {
            Exit::LedgerBroken
        }
        _ => Exit::Failure,
    }
}

fn announce(running: &Running, config: &ServiceConfig) {
    let snapshot = running.sidecar.current.snapshot();
    let profile = &snapshot.bundle.profile;
    tracing::info!(
        listen = %running.listens,
        health = running.health_address.map(tracing::field::display),
        admin = running.admin_address.map(tracing::field::display),
        upstream = %config.upstream.origin,
        bundle = %snapshot.bundle.revision,
        directory = %snapshot.directory.revision,
        policies = snapshot.bundle.policies.ids().count(),
        routes = profile.routes.len(),
        people = snapshot.directory.people_count(),
        "serving"
    );
    if running.recovery.cut_bytes > 0 || running.recovery.closed > 0 {
        let (cut_bytes, closed) = (running.recovery.cut_bytes, running.recovery.closed);
        tracing::warn!(cut_bytes, closed, "the ledger was recovered after an unclean end");
    }
    if snapshot.bundle.provenance.pin == Pin::Pinned {
        tracing::warn!(bundle = %snapshot.bundle.revision, "this bundle was chosen by its hash: reloads leave it until the next start without `--revision`");
    }

    for group in running.sidecar.observing.open(running.sidecar.clock.now_ms()) {
        let routes: Vec<&str> = group.routes.iter().map(|pattern| pattern.text.as_str()).collect();
        let (group, until) = (group.name.as_str(), group.until.value.as_str());
        tracing::warn!(group, until, routes = routes.join(", "), "these routes are observed, not enforced");
    }
    for route in &profile.routes {
        if let Some(reason) = &route.pass {
            match route.identity {
                IdentityNeed::Required => {
                    tracing::warn!(route = %route.label(), reason, "this route passes undecided");
                }
                IdentityNeed::Nobody => {
                    tracing::warn!(route = %route.label(), reason, "this route passes for anybody");
                }
            }
        }
        if route.hidden_rows != HiddenRows::Unstated {
            tracing::info!(route = %route.label(), "hidden rows show in the page lengths of this list");
        }
    }
    let takes_cookies =
        |route: &Route| route.transit.as_ref().is_some_and(|transit| !transit.cookies.is_empty());
    if config.browsers.origins.is_empty() && profile.routes.iter().any(takes_cookies) {
        tracing::warn!("routes take cookies, and no page may write with one: set `origins` in [browsers]");
    }
    match &config.ledger.checkpoints {
        None => tracing::warn!(
            "no checkpoints are signed: the ledger is provable only against heads that were noted elsewhere; see [ledger.checkpoints]"
        ),
        Some(checkpoints) if !checkpoints.has_exports() => tracing::warn!(
            "checkpoints are signed and go nowhere: the ledger is provable only against this host's own files; set `folder`, `stdout` or `https` in [ledger.checkpoints]"
        ),
        Some(_) => {}
    }
}

/// Waits until the process is told to stop; SIGHUP reloads.
pub async fn wait(running: &Running) {
    let signals =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()), signal(SignalKind::hangup()));
    let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) = signals else { return };
    let watchdog = supervisor::watchdog(running);
    tokio::pin!(watchdog);
    loop {
        tokio::select! {
            _ = interrupt.recv() => return,
            _ = terminate.recv() => return,
            _ = hangup.recv() => {
                supervisor::reloading();
                running.reloader.reload().await;
                supervisor::ready();
            }
            () = &mut watchdog => {}
        }
    }
}

/// How long the process waits at its end for what still looks at a file system.
const END_WAIT: std::time::Duration = std::time::Duration::from_secs(5);
