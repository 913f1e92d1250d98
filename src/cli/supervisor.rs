//! What the service manager is told (systemd's `Type=notify`): ready, reloading, stopping, and that we are alive [edge].
//!
//! Promises: without a service manager nothing happens. A ping says that the runtime still takes work and that every listener
//! still listens; it is never sent by a timer alone.
#![expect(
    clippy::disallowed_methods,
    reason = "edge: the service manager's socket is named in the environment"
)]

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use crate::service::start::Running;

/// We serve.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// We look at files anew; [`ready`] follows.
pub fn reloading() {
    // `Type=notify-reload` wants the moment in the same message; others leave it unread.
    let states = [Some(NotifyState::Reloading), NotifyState::monotonic_usec_now().ok()];
    tell(&states.into_iter().flatten().collect::<Vec<_>>());
}

/// We end.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Pings for as long as the service is alive; never returns.
pub async fn watchdog(running: &Running) {
    let Some(limit) = sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero()) else {
        return std::future::pending().await;
    };
    let period = (limit / 3).max(Duration::from_millis(1));
    let mut ticks = interval_at(Instant::now(), period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match is_alive(running, period).await {
            true => tell(&[NotifyState::Watchdog]),
            false => tracing::error!("the service does not work any more and is left to the service manager"),
        }
    }
}

/// Whether the workers take a task in time and no part of the service has ended.
async fn is_alive(running: &Running, limit: Duration) -> bool {
    let answers = timeout(limit, tokio::spawn(async {})).await;
    answers.is_ok_and(|joined| joined.is_ok()) && running.is_whole()
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(error = %error, "the service manager could not be told");
    }
}
