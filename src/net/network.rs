//! Networks by prefix (RFC 4632), such as those whose word on the caller's address is taken.
//!
//! Promises: an IPv4 address that comes in IPv6 form is the IPv4 address. Never looks names up.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// Addresses that share a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// Several networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(pub Vec<Network>);

/// Why a text is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// No address stands before the slash.
    #[error("it does not begin with an IP address")]
    Address,
    /// What stands behind the slash is no length of a prefix.
    #[error("what follows `/` is no prefix length")]
    Bits,
    /// The address has bits behind the prefix.
    #[error("the address has bits beyond its prefix")]
    Host,
}

impl Network {
    /// Whether an address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && prefix(address, self.bits) == self.address
    }
}

impl Networks {
    /// Whether an address is in one of them.
    pub fn contain(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address = address.parse::<IpAddr>().map_err(|_| NetworkError::Address)?;
        let bits_max: u8 = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) if bits.starts_with('+') => return Err(NetworkError::Bits),
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= bits_max).ok_or(NetworkError::Bits)?,
            None => bits_max,
        };
        match prefix(address, bits) == address {
            true => Ok(Self { address, bits }),
            false => Err(NetworkError::Host),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

/// Who counts as one source: an IPv4 address, or the first 64 bits of an IPv6 address, which one customer usually has whole.
pub fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => prefix(IpAddr::V6(address), 64),
    }
}

fn prefix(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits.min(32))).unwrap_or(0);
            IpAddr::V4((u32::from(address) & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits.min(128))).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from(u128::from(address) & mask))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_in_its_network() {
        #[track_caller]
        fn check(network: &str, address: &str, expected: bool) {
            let network: Network = network.parse().unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), expected);
        }
        check("10.0.0.0/8", "10.255.0.1", true);
        check("10.0.0.0/8", "11.0.0.1", false);
        check("10.0.0.0/8", "::ffff:10.0.0.1", true);
        check("0.0.0.0/0", "203.0.113.9", true);
        check("0.0.0.0/0", "2001:db8::1", false);
        check("192.0.2.7", "192.0.2.7", true);
        check("192.0.2.7", "192.0.2.8", false);
        check("2001:db8::/32", "2001:db8:ffff::1", true);
        check("2001:db8::/32", "2001:db9::1", false);
        check("::/0", "2001:db9::1", true);
    }

    #[test]
    fn what_is_no_network() {
        #[track_caller]
        fn check(text: &str, expected: NetworkError) {
            assert_eq!(text.parse::<Network>(), Err(expected));
        }
        check("", NetworkError::Address);
        check("localhost", NetworkError::Address);
        check("10.0.0.0/33", NetworkError::Bits);
        check("10.0.0.0/", NetworkError::Bits);
        check("10.0.0.0/+8", NetworkError::Bits);
        check("10.0.0.0/-1", NetworkError::Bits);
        check("10.0.0.1/8", NetworkError::Host);
        check("2001:db8::1/64", NetworkError::Host);
    }

    #[test]
    fn an_ipv6_source_is_its_first_half() {
        let source = |text: &str| source(text.parse().unwrap()).to_string();
        assert_eq!(source("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(source("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(source("192.0.2.7"), "192.0.2.7");
    }
}
