//! `lockkeeper health`: asks a running service whether it is ready, for images that have no other program.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::exit::Exit;
use super::{configured, render};

/// The arguments.
#[derive(Args)]
pub struct HealthArgs {
    /// The configuration file that names the health listener
    #[arg(long, short, default_value = "lockkeeper.toml")]
    config: PathBuf,
    /// The health listener, instead of the configuration's
    #[arg(long, conflicts_with = "config")]
    address: Option<SocketAddr>,
    /// Ask only whether the service is alive
    #[arg(long)]
    live: bool,
}

/// Runs the command.
pub fn run(args: &HealthArgs) -> Exit {
    let Some(address) = args.address.or_else(|| listener(args)) else { return Exit::Failure };
    let path = if args.live { "/livez" } else { "/readyz" };
    match ask(reachable(address), path) {
        Ok(200) => {
            render::line(if args.live { "alive" } else { "ready" });
            Exit::Success
        }
        Ok(status) => {
            render::failure(&format!("{path} on {address} answered {status}"));
            Exit::Failure
        }
        Err(error) => {
            render::failure(&format!("{path} on {address} could not be asked: {error}"));
            Exit::Failure
        }
    }
}

fn listener(args: &HealthArgs) -> Option<SocketAddr> {
    let address = configured(&args.config)?.listen.health_address;
    if address.is_none() {
        render::failure(&"the configuration has no `listen.health_address`");
    }
    address
}

/// What listens on every address is asked on this host's own.
pub(super) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn ask(address: SocketAddr, path: &str) -> std::io::Result<u16> {
    let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut head = [0; "HTTP/1.1 200".len()];
    stream.read_exact(&mut head)?;
    let status = head.strip_prefix(b"HTTP/1.1 ").and_then(|status| std::str::from_utf8(status).ok());
    let status = status.and_then(|status| status.parse().ok());
    status.ok_or_else(|| std::io::Error::other("this is not HTTP"))
}

const LIMIT: Duration = Duration::from_secs(2);
