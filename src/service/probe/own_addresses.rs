//! This host's own addresses, as Linux lists them [edge]. Elsewhere the list is empty.
#![expect(clippy::disallowed_methods, reason = "edge: reads what the kernel says of its interfaces")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Every address of this host that is not loopback and can be connected to without naming an interface.
pub fn all() -> Vec<IpAddr> {
    let v4 = std::fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
    let v6 = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    let mut addresses: Vec<IpAddr> = local_v4(&v4).into_iter().map(IpAddr::V4).collect();
    addresses.extend(local_v6(&v6).into_iter().map(IpAddr::V6));
    addresses
}

/// Addresses of `/proc/net/fib_trie`: a line with the address, below it one that says `/32 host LOCAL`.
fn local_v4(text: &str) -> Vec<Ipv4Addr> {
    let mut found = Vec::new();
    let mut last = None;
    for line in text.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse::<Ipv4Addr>().ok();
        } else if line == "/32 host LOCAL" {
            let new = last.filter(|address| !address.is_loopback() && !found.contains(address));
            found.extend(new);
        }
    }
    found
}

/// Addresses of `/proc/net/if_inet6`: 32 digits first, and the scope as fourth: `00` is global.
fn local_v6(text: &str) -> Vec<Ipv6Addr> {
    let address = |line: &str| {
        let mut columns = line.split_whitespace();
        let digits = columns.next().filter(|digits| digits.len() == 32)?;
        let is_global = columns.nth(2)? == "00";
        u128::from_str_radix(digits, 16).ok().filter(|_| is_global).map(Ipv6Addr::from_bits)
    };
    text.lines().filter_map(address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_the_kernel_writes_them() {
        let v4 = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n           |-- 127.0.0.1\n              \
                  /32 host LOCAL\n           |-- 192.0.2.2\n              /32 host LOCAL\n        |-- 192.0.2.255\n           \
                  /32 link BROADCAST\nLocal:\n           |-- 192.0.2.2\n              /32 host LOCAL\n";
        assert_eq!(local_v4(v4), [Ipv4Addr::new(192, 0, 2, 2)]);
        let v6 = "00000000000000000000000000000001 01 80 10 80       lo\nfd000000000000000000000000000002 04 40 00 82     eth0\n\
                  fe8000000000000000fc00fffe000001 04 40 20 80     eth0\nbroken\n";
        assert_eq!(local_v6(v6), ["fd00::2".parse::<Ipv6Addr>().unwrap()]);
        assert!(local_v4("").is_empty() && local_v6("").is_empty());
    }
}
