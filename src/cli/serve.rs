//! `lockkeeper serve`: runs the sidecar until it is told to stop.

use tokio::signal::unix::{SignalKind, signal};

use super::exit::Exit;
use super::{ConfigArgs, render, supervisor};
use crate::config::author::Problems;
use crate::config::load;
use crate::config::service::ServiceConfig;
use crate::config::service::observe::check_dates;
use crate::ledger::error::LedgerError;
use crate::service::load::load as load_all;
use crate::service::start::{Running, StartError, start};
use crate::telemetry::clock::Clock;
use crate::telemetry::log;

/// Runs the command.
pub fn run(args: &ConfigArgs) -> Exit {
    let mut problems = Problems::default();
    let config = load::load(&args.config, &mut problems);
    let loaded = config.as_ref().and_then(|config| load_all(config, &mut problems));
    let groups = config.as_ref().map(|config| config.observe.as_slice()).unwrap_or_default();
    check_dates(groups, Clock::system().now_ms(), &mut problems);
    render::problems(&problems);
    let (Some(config), Some(loaded), false) = (config, loaded, problems.has_errors()) else {
        render::failure(&format!("not started: {}", render::count(problems.error_count(), "problem")));
        return Exit::Failure;
    };
    log::start(&config.log);
    runtime(async {
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

/// Runs a future on a runtime of its own.
pub fn runtime(main: impl Future<Output = Exit>) -> Exit {
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(main),
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
    render::failure(&text);
    match error {
        StartError::Ledger { source: LedgerError::Damaged { .. }, .. } => Exit::LedgerBroken,
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
    for group in running.sidecar.observing.open(running.sidecar.clock.now_ms()) {
        let routes: Vec<&str> = group.routes.iter().map(|pattern| pattern.text.as_str()).collect();
        let (group, until) = (group.name.as_str(), group.until.value.as_str());
        tracing::warn!(group, until, routes = routes.join(", "), "these routes are observed, not enforced");
    }
    for route in &profile.routes {
        if let Some(reason) = &route.pass {
            tracing::warn!(route = %route.label(), reason, "this route passes undecided");
        }
        if route.hidden_rows != crate::bundle::profile::route::HiddenRows::Unstated {
            tracing::info!(route = %route.label(), "hidden rows show in the page lengths of this list");
        }
    }
    tracing::warn!("no checkpoint export: the ledger is provable only against this host's own files");
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
