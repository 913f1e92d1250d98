//! Networks of addresses, as `10.0.0.0/8`: whom operators name when they trust a peer by where it connects from.

use std::net::IpAddr;

/// A network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Reads `10.0.0.0/8`, or a single address; the error says what is wrong and what to write.
    pub fn parse(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError::NoAddress)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(most), |prefix| prefix.parse().map_err(|_| NetworkError::Prefix))?;
        match prefix {
            0 => Err(NetworkError::Everybody),
            prefix if prefix > most => Err(NetworkError::Prefix),
            prefix => {
                let network = Self { address, prefix };
                match bits(address) == bits(address) & network.mask() {
                    true => Ok(network),
                    false => Err(NetworkError::HostBits),
                }
            }
        }
    }

    /// Whether an address is in the network; `::ffff:10.0.0.1` counts as `10.0.0.1`.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && bits(address) & self.mask() == bits(self.address)
    }

    /// Ones where the network is fixed, in the upper bits of 128.
    fn mask(&self) -> u128 {
        u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0)
    }
}

/// Why a text is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// Not an address.
    #[error("it is neither an address nor a network such as `10.0.0.0/8`")]
    NoAddress,
    /// The number behind the slash.
    #[error("the number after `/` is not a length of such an address")]
    Prefix,
    /// Bits behind the prefix.
    #[error("it has bits set behind its prefix; write the network's first address")]
    HostBits,
    /// A prefix of 0.
    #[error("it stands for everybody")]
    Everybody,
}

/// An address in the upper bits of 128.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(network: &str, address: &str, expected: bool) {
        let found = Network::parse(network).unwrap().contains(address.parse().unwrap());
        assert_eq!(found, expected, "{address} in {network}");
    }

    #[test]
    fn addresses_are_in_their_networks() {
        check("10.0.0.0/8", "10.255.255.255", true);
        check("10.0.0.0/8", "11.0.0.0", false);
        check("10.0.0.0/8", "::ffff:10.1.2.3", true);
        check("10.1.2.3", "10.1.2.3", true);
        check("10.1.2.3", "10.1.2.4", false);
        check("fd00::/8", "fdff::1", true);
        check("fd00::/8", "fe00::1", false);
        check("fd00::/8", "253.0.0.1", false);
        check("::1", "::1", true);
        check("::1", "127.0.0.1", false);
    }

    #[test]
    fn what_is_no_network_says_why() {
        let cases = [
            ("10.0.0.0/0", NetworkError::Everybody),
            ("::/0", NetworkError::Everybody),
            ("10.0.0.1/8", NetworkError::HostBits),
            ("10.0.0.0/33", NetworkError::Prefix),
            ("10.0.0.0/", NetworkError::Prefix),
            ("gateway", NetworkError::NoAddress),
            ("", NetworkError::NoAddress),
        ];
        for (text, expected) in cases {
            assert_eq!(Network::parse(text), Err(expected), "{text}");
        }
    }
}
