//! Networks in CIDR notation, and the rule of which addresses may be sent to.
//!
//! Owns the text and the comparison. To find out which address a name stands for, and to hold the
//! rule against it, is the business of whoever connects.

use core::fmt;
use core::net::IpAddr;

/// The addresses with one prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    prefix_bits: u8,
}

/// Which addresses may be sent to. `Default` is: all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressRule {
    /// Networks that nothing is sent to.
    pub denied: Vec<Network>,
    /// Networks that are sent to nevertheless.
    pub allowed: Vec<Network>,
}

impl Network {
    /// Reads `10.0.0.0/8`, `fd00::/8`, or an address alone. `None`: something else, or an address
    /// with bits behind its prefix, which is mostly a slip.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let base: IpAddr = address.parse().ok()?;
        let (bits, whole) = bits_of(base);
        let prefix_bits = match prefix {
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok()?
            }
            Some(_) => return None,
            None => whole,
        };
        let network = Self { base, prefix_bits };
        let mask = u128::MAX.checked_shl(network.rest(whole));
        let exact = prefix_bits <= whole && bits & !mask.unwrap_or_default() == 0;
        exact.then_some(network)
    }

    /// Whether the address has this prefix.
    fn contains(&self, address: IpAddr) -> bool {
        let same_family = self.base.is_ipv4() == address.is_ipv4();
        same_family && self.prefix_of(self.base) == self.prefix_of(address)
    }

    fn prefix_of(&self, address: IpAddr) -> u128 {
        let (bits, whole) = bits_of(address);
        bits.checked_shr(self.rest(whole)).unwrap_or_default()
    }

    /// How many bits are behind the prefix.
    fn rest(&self, whole: u8) -> u32 {
        u32::from(whole.saturating_sub(self.prefix_bits))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.base, self.prefix_bits)
    }
}

impl AddressRule {
    /// Whether this address may be sent to. An IPv4 address that is written as an IPv6 one is the
    /// IPv4 address, for that is where the packets go.
    #[must_use]
    pub fn admits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let within = |networks: &[Network]| networks.iter().any(|one| one.contains(address));
        !within(&self.denied) || within(&self.allowed)
    }

    /// Whether this host may be sent to, as far as its name tells: a name may stand for anything.
    pub(crate) fn admits_literal(&self, host: &str) -> bool {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host.parse().map_or(true, |address| self.admits(address))
    }
}

/// An address as a number, and how many bits it has.
fn bits_of(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(address) => (address.to_bits().into(), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(texts: &[&str]) -> Vec<Network> {
        let parse = |text: &&str| Network::parse(text).unwrap();
        texts.iter().map(parse).collect()
    }

    #[test]
    fn networks_are_read_as_they_are_shown() {
        for text in ["10.0.0.0/8", "0.0.0.0/0", "::/0", "fd00::/8", "::1/128"] {
            assert_eq!(Network::parse(text).unwrap().to_string(), text);
        }
        let alone = Network::parse("127.0.0.1").unwrap();
        assert_eq!(alone.to_string(), "127.0.0.1/32");
        for text in [
            "",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0.1/8",
            "::1/0",
            "::/129",
            "10.0.0/8",
            "localhost",
            "10.0.0.0/8/8",
        ] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_address_is_denied_by_its_network_unless_another_one_allows_it() {
        let rule = AddressRule {
            denied: networks(&["127.0.0.0/8", "10.0.0.0/8", "::1", "fe80::/10"]),
            allowed: networks(&["10.1.0.0/16"]),
        };
        for (address, admitted) in [
            ("126.255.255.255", true),
            ("127.0.0.1", false),
            ("::ffff:127.0.0.1", false),
            ("10.0.255.255", false),
            ("10.1.2.3", true),
            ("10.2.0.0", false),
            ("::1", false),
            ("::2", true),
            ("febf::1", false),
            ("fec0::1", true),
        ] {
            assert_eq!(rule.admits(address.parse().unwrap()), admitted, "{address}");
            assert_eq!(rule.admits_literal(address), admitted, "{address}");
        }
        assert!(!rule.admits_literal("[::1]"));
        assert!(
            rule.admits_literal("localhost"),
            "a name is looked up later"
        );
        assert!(AddressRule::default().admits_literal("127.0.0.1"));
    }

    #[test]
    fn everything_may_be_denied() {
        let rule = AddressRule {
            denied: networks(&["0.0.0.0/0", "::/0"]),
            allowed: networks(&["192.0.2.7"]),
        };
        assert!(!rule.admits("8.8.8.8".parse().unwrap()));
        assert!(!rule.admits("2001:db8::1".parse().unwrap()));
        assert!(rule.admits("192.0.2.7".parse().unwrap()));
    }
}
