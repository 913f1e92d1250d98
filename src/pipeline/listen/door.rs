//! The door that callers come through: accepts connections, bounds them, and closes in order.
//!
//! Promises: accepting never waits for a connection; without free descriptors it pauses and goes on; when it closes, open
//! exchanges get their time, connections that outstay it are cut, and every exchange leaves its record before it returns.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{sleep, timeout};

use super::sources::{SourcePlace, Sources};
use super::{connection, open};
use crate::model::peer::Peer;
use crate::model::reason::Reason;
use crate::net::network::Networks;
use crate::net::proxy_header::ProxyProtocol;
use crate::net::renewed::Renewed;
use crate::net::socket::{Listener, Stream};
use crate::net::vitals::Patience;
use crate::pipeline::sidecar::Sidecar;

/// How connections are taken.
pub struct DoorOptions {
    /// TLS; in the clear without it.
    pub tls: Option<Arc<Renewed<ServerConfig>>>,
    /// Whether connections in the clear may speak HTTP/2 from the first byte.
    pub h2c: bool,
    /// Whether connections begin with a PROXY header.
    pub proxy_protocol: ProxyProtocol,
    /// Whose word on the caller's address is taken.
    pub trusted: Trusted,
    /// Limits of heads and of HTTP/2.
    pub http: HttpLimits,
    /// How long a connection may take for what.
    pub patience: Patience,
    /// For PROXY header and TLS handshake together.
    pub handshake: Duration,
    /// The age at which a connection is asked to end.
    pub age: Option<Duration>,
    /// Connections at once.
    pub connections_max: usize,
    /// Connections of one source.
    pub connections_per_source_max: usize,
    /// Connections that are being opened.
    pub handshakes_max: usize,
    /// That open exchanges get when the door closes.
    pub drain: Duration,
    /// That exchanges whose caller was cut off get to leave their record.
    pub exits: Duration,
}

/// Limits of heads and of HTTP/2.
#[derive(Clone, Copy, Debug)]
pub struct HttpLimits {
    /// Bytes of a head.
    pub head_bytes_max: usize,
    /// Header fields of a head.
    pub headers_max: usize,
    /// Streams of one connection at once.
    pub streams_max: u32,
    /// Bytes of a request body that may be under way, per stream.
    pub stream_window_bytes: u32,
    /// Bytes of all request bodies that may be under way.
    pub connection_window_bytes: u32,
    /// Streams that the caller may reset before we looked at them.
    pub resets_max: usize,
    /// Streams that we may have to reset for the caller's faults.
    pub faults_max: usize,
    /// Between pings.
    pub ping_interval: Duration,
    /// For the answer to a ping.
    pub ping_timeout: Duration,
}

/// Whose word on the caller's address is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trusted {
    /// Peers by address.
    pub networks: Networks,
    /// Whoever may open our unix socket.
    pub unix: bool,
}

/// What every connection shares.
pub(super) struct Door {
    pub sidecar: Arc<Sidecar>,
    pub options: DoorOptions,
    pub handshakes: Arc<Semaphore>,
    pub sources: Sources,
    pub stage: watch::Receiver<Stage>,
    pub exits: mpsc::Sender<Infallible>,
}

/// How far the closing has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Not begun.
    Open,
    /// Connections are asked to end.
    Closing,
    /// Connections are cut.
    Cut,
}

impl Trusted {
    /// Whether the other end of a connection is believed. One that a PROXY header named counts by that name.
    pub fn trusts_peer(&self, peer: &Peer) -> bool {
        match peer.direct {
            None if peer.address == NOBODYS_ADDRESS => self.unix,
            _ => self.networks.contain(peer.address),
        }
    }

    /// Whether a connection from an address, or over the unix socket, is believed.
    pub fn trusts(&self, direct: Option<IpAddr>) -> bool {
        direct.map_or(self.unix, |address| self.networks.contain(address))
    }
}

/// Serves callers until `shutdown` is ready, then closes in order.
pub async fn serve(
    listener: Listener,
    sidecar: Arc<Sidecar>,
    options: DoorOptions,
    shutdown: impl Future<Output = ()>,
) {
    let (stage, stages) = watch::channel(Stage::Open);
    let (alive, mut connections_ended) = mpsc::channel::<Infallible>(1);
    let (exits, mut exits_ended) = mpsc::channel::<Infallible>(1);
    let (drain, exits_limit) = (options.drain, options.exits);
    let door = Arc::new(Door {
        handshakes: Arc::new(Semaphore::new(options.handshakes_max)),
        sources: Sources::new(options.connections_per_source_max),
        sidecar,
        options,
        stage: stages,
        exits,
    });
    accept(&listener, &door, &alive, shutdown).await;
    drop((listener, door, alive));
    let _ = stage.send(Stage::Closing);
    if timeout(drain, connections_ended.recv()).await.is_err() {
        tracing::warn!("exchanges were still open when the drain time ended, their connections are cut");
        let _ = stage.send(Stage::Cut);
        connections_ended.recv().await;
    }
    if timeout(exits_limit, exits_ended.recv()).await.is_err() {
        tracing::error!("requests were still under way at the end; the next start records them as unknown");
    }
}

async fn accept(
    listener: &Listener,
    door: &Arc<Door>,
    alive: &mpsc::Sender<Infallible>,
    shutdown: impl Future<Output = ()>,
) {
    let slots = Arc::new(Semaphore::new(door.options.connections_max));
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut shutdown => return,
        };
        let (stream, direct) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(error = %error, "a connection could not be accepted");
                // Descriptors may be exhausted: without a pause this would be a busy loop.
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let place = match door.options.trusted.trusts(direct) {
            // Everybody comes through a trusted proxy: its connections are not one source's.
            true => Some(None),
            false => door.sources.enter(direct.unwrap_or(NOBODYS_ADDRESS)).map(Some),
        };
        let slot = Arc::clone(&slots).try_acquire_owned();
        let (Some(place), Ok(slot)) = (place, slot) else {
            door.refuse(Reason::ConnectionsExhausted, direct, "too many connections");
            continue;
        };
        let (door, alive) = (Arc::clone(door), alive.clone());
        tokio::spawn(async move {
            let open = door.sidecar.metrics.connection();
            connect(stream, direct, place, door).await;
            drop((slot, open, alive));
        });
    }
}

/// One connection from its first byte to its last.
async fn connect(stream: Stream, direct: Option<IpAddr>, place: Option<SourcePlace>, door: Arc<Door>) {
    match open::open(stream, direct, &door).await {
        Ok(opened) => {
            connection::drive(opened, door).await;
            drop(place);
        }
        Err(refusal) => door.refuse(refusal.reason, direct, &refusal.detail),
    }
}

impl Door {
    /// Counts a connection that did not become a request.
    pub fn refuse(&self, reason: Reason, source: Option<IpAddr>, detail: &str) {
        let source = source.unwrap_or(NOBODYS_ADDRESS);
        self.sidecar.refuse_connection(reason, &source.to_string());
        tracing::debug!(reason = reason.code(), detail, "connection refused");
    }

    /// Waits until the closing has come so far.
    pub async fn reached(&self, stage: Stage) {
        let mut stages = self.stage.clone();
        if stages.wait_for(|now| *now >= stage).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Stands for a caller on the unix socket, who has no address.
pub(super) const NOBODYS_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
