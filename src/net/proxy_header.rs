//! The PROXY protocol, versions 1 and 2: the caller's address, as a load balancer in front tells it before the first byte.
//!
//! Promises: reads exactly the header and not a byte more; at most 107 bytes of version 1 and [`BYTES_MAX`] behind the head of
//! version 2; whatever deviates from the specification ends the connection. Never believes: whom to believe is decided
//! by who calls this.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::io::{AsyncRead, AsyncReadExt};

/// Which versions a listener takes. Where it takes one, the header must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// None: connections begin with TLS or HTTP.
    Off,
    /// Text.
    V1,
    /// Binary.
    V2,
    /// Either.
    Any,
}

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The connection is for a caller at this address.
    Caller(IpAddr),
    /// The connection is the proxy's own, such as a health check, or of an unknown family: its own address counts.
    Itself,
}

/// Why a connection's first bytes are no PROXY header.
#[derive(Debug, thiserror::Error)]
pub enum ProxyHeaderError {
    /// The connection ended or broke.
    #[error("the connection ended within the PROXY header: {0}")]
    Broken(#[from] std::io::Error),
    /// Something else came, or a version that is not taken.
    #[error("the connection does not begin with a PROXY header of the configured version")]
    Missing,
    /// The line is longer than version 1 allows.
    #[error("the PROXY line is longer than {LINE_BYTES_MAX} bytes")]
    LineTooLong,
    /// The addresses and extensions are longer than what is read.
    #[error("the PROXY header announces {0} bytes; at most {BYTES_MAX} are read")]
    TooLong(usize),
    /// A part is not as specified.
    #[error("the PROXY header is malformed: {0}")]
    Malformed(&'static str),
}

/// Reads the header off the front of a connection.
pub async fn read<I: AsyncRead + Unpin>(
    stream: &mut I,
    protocol: ProxyProtocol,
) -> Result<Told, ProxyHeaderError> {
    let mut start = [0; SIGNATURE.len()];
    // The shortest line of version 1 is longer than the signature of version 2, so this much is there in both.
    stream.read_exact(&mut start).await?;
    let takes_v1 = matches!(protocol, ProxyProtocol::V1 | ProxyProtocol::Any);
    let takes_v2 = matches!(protocol, ProxyProtocol::V2 | ProxyProtocol::Any);
    match start {
        SIGNATURE if takes_v2 => read_v2(stream).await,
        start if takes_v1 && start.starts_with(b"PROXY ") => read_v1(stream, &start).await,
        _ => Err(ProxyHeaderError::Missing),
    }
}

async fn read_v1<I: AsyncRead + Unpin>(stream: &mut I, start: &[u8]) -> Result<Told, ProxyHeaderError> {
    let mut line = start.to_vec();
    while !line.ends_with(b"\r\n") {
        if line.len() == LINE_BYTES_MAX {
            return Err(ProxyHeaderError::LineTooLong);
        }
        line.push(stream.read_u8().await?);
        if line.ends_with(b"\n") && !line.ends_with(b"\r\n") {
            return Err(ProxyHeaderError::Malformed("a line feed stands alone"));
        }
    }
    let text = std::str::from_utf8(&line).map_err(|_| ProxyHeaderError::Malformed("it is not ASCII"))?;
    parse_v1(text.trim_end_matches("\r\n"))
}

fn parse_v1(line: &str) -> Result<Told, ProxyHeaderError> {
    let malformed = |what| Err(ProxyHeaderError::Malformed(what));
    let words: Vec<&str> = line.split(' ').collect();
    let (is_v4, source, destination, ports) = match words.as_slice() {
        // What follows UNKNOWN is to be ignored.
        ["PROXY", "UNKNOWN", ..] => return Ok(Told::Itself),
        ["PROXY", "TCP4", source, destination, from, to] => (true, source, destination, [from, to]),
        ["PROXY", "TCP6", source, destination, from, to] => (false, source, destination, [from, to]),
        _ => return malformed("the line does not have its six words"),
    };
    let address = |text: &str| -> Option<IpAddr> {
        match is_v4 {
            true => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
            false => text.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        }
    };
    let is_port = |text: &str| {
        let canonical = text == "0" || !text.starts_with(['0', '+']);
        canonical && text.parse::<u16>().is_ok()
    };
    if !ports.into_iter().all(|port| is_port(port)) {
        return malformed("a port is no number up to 65535");
    }
    match (address(source), address(destination)) {
        (Some(source), Some(_)) => Ok(Told::Caller(source.to_canonical())),
        _ => malformed("an address is not of its family"),
    }
}

async fn read_v2<I: AsyncRead + Unpin>(stream: &mut I) -> Result<Told, ProxyHeaderError> {
    let [version, family, high, low] = {
        let mut head = [0; 4];
        stream.read_exact(&mut head).await?;
        head
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if version >> 4 != 2 {
        return Err(ProxyHeaderError::Malformed("its version is not 2"));
    }
    if length > BYTES_MAX {
        return Err(ProxyHeaderError::TooLong(length));
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    parse_v2(version & 0x0f, family, &body)
}

fn parse_v2(command: u8, family: u8, body: &[u8]) -> Result<Told, ProxyHeaderError> {
    let malformed = |what| Err(ProxyHeaderError::Malformed(what));
    match (command, family) {
        (0, _) => Ok(Told::Itself),
        (1, 0x11) => match body.first_chunk::<12>() {
            Some([a, b, c, d, ..]) => Ok(Told::Caller(IpAddr::from([*a, *b, *c, *d]))),
            None => malformed("the addresses are cut off"),
        },
        (1, 0x21) => match (body.first_chunk::<36>(), body.first_chunk::<16>()) {
            (Some(_), Some(source)) => Ok(Told::Caller(IpAddr::from(*source).to_canonical())),
            _ => malformed("the addresses are cut off"),
        },
        // An unspecified family, or a unix socket on the other side: there is no address to take.
        (1, 0x00 | 0x31) => Ok(Told::Itself),
        (1, _) => malformed("the caller's transport is not a stream"),
        _ => malformed("its command is neither LOCAL nor PROXY"),
    }
}

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Bytes of a line of version 1, as the specification limits them.
const LINE_BYTES_MAX: usize = 107;
/// Bytes behind the head of version 2: addresses, and extensions that are read over.
pub const BYTES_MAX: usize = 4096;

#[cfg(test)]
#[path = "proxy_header_tests.rs"]
mod tests;
