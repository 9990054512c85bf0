//! Networks in CIDR notation (RFC 4632, RFC 4291 §2.3).

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::mutant;

/// A network: an address and the number of leading bits that count. Never /0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    address: IpAddr,
    bits: u8,
}

/// Why a text is not a network that may be named in a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CidrError {
    /// No IP address before the slash.
    #[error("the part before the slash is not an IP address")]
    Address,
    /// The prefix length is no number or too long.
    #[error("the prefix length is 1 to 32 for IPv4 and 1 to 128 for IPv6")]
    Length,
    /// /0 would name every address there is.
    #[error("/0 names every address there is")]
    Everything,
    /// Bits beyond the prefix are set, which is usually a typing error.
    #[error("bits beyond the prefix are set; write the network's first address")]
    HostBits,
}

impl Cidr {
    /// A network of a table in the code: its first address and a prefix length of 1 to 32 or 128.
    pub(crate) const fn of(address: IpAddr, bits: u8) -> Self {
        Self { address, bits }
    }

    /// Whether the address lies in the network; IPv4-mapped IPv6 addresses count as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let mask = mask(32_u32.saturating_sub(u32::from(self.bits)), 32);
                (u128::from(network.to_bits()) ^ u128::from(address.to_bits())) & mask == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let mask = mask(128_u32.saturating_sub(u32::from(self.bits)), 128);
                (network.to_bits() ^ address.to_bits()) & mask == 0
            }
            _ => false,
        }
    }
}

/// The mask that clears `host` low bits of a number of `width` bits.
fn mask(host: u32, width: u32) -> u128 {
    if host >= width { 0 } else { u128::MAX.wrapping_shl(host) }
}

impl fmt::Display for Cidr {
    /// The form that [`Cidr::from_str`] reads; a single address without its length.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = if self.address.is_ipv4() { 32 } else { 128 };
        if self.bits == width { self.address.fmt(f) } else { write!(f, "{}/{}", self.address, self.bits) }
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    /// `10.0.0.0/8`, `2001:db8::/32`, or a single address.
    fn from_str(text: &str) -> Result<Self, CidrError> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| CidrError::Address)?;
        let (width, value): (u8, u128) = match address {
            IpAddr::V4(v4) => (32, v4.to_bits().into()),
            IpAddr::V6(v6) => (128, v6.to_bits()),
        };
        let bits = match bits {
            None => width,
            Some(bits) => bits.parse().ok().filter(|b| *b <= width).ok_or(CidrError::Length)?,
        };
        if bits == 0 && !mutant::is("W01-everything") {
            return Err(CidrError::Everything);
        }
        if value & !mask(u32::from(width.saturating_sub(bits)), u32::from(width)) != 0 {
            return Err(CidrError::HostBits);
        }
        Ok(Self { address, bits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_contains_its_addresses_and_no_others() {
        let ten: Cidr = "10.0.0.0/8".parse().unwrap();
        assert!(ten.contains("10.255.0.1".parse().unwrap()));
        assert!(ten.contains("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!ten.contains("11.0.0.1".parse().unwrap()));
        assert!(!ten.contains("::1".parse().unwrap()));
        let six: Cidr = "2001:db8:0:8000::/49".parse().unwrap();
        assert!(six.contains("2001:db8:0:8000::1".parse().unwrap()));
        assert!(!six.contains("2001:db8:0:7fff::1".parse().unwrap()));
        let one: Cidr = "192.0.2.7".parse().unwrap();
        assert!(one.contains("192.0.2.7".parse().unwrap()));
        assert!(!one.contains("192.0.2.6".parse().unwrap()));
    }

    #[test]
    fn a_network_is_written_as_it_is_read() {
        for text in ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "::1"] {
            assert_eq!(text.parse::<Cidr>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn texts_that_are_no_network_are_refused() {
        assert_eq!("0.0.0.0/0".parse::<Cidr>(), Err(CidrError::Everything));
        assert_eq!("::/0".parse::<Cidr>(), Err(CidrError::Everything));
        assert_eq!("10.0.0.0/33".parse::<Cidr>(), Err(CidrError::Length));
        assert_eq!("10.0.0.0/x".parse::<Cidr>(), Err(CidrError::Length));
        assert_eq!("proxy/8".parse::<Cidr>(), Err(CidrError::Address));
        assert_eq!("10.0.0.1/8".parse::<Cidr>(), Err(CidrError::HostBits));
    }
}
