//! Where requests of this server's own may go: the form of a URL when it is configured, and the address whenever it is
//! connected to.
//!
//! A URL must say the same to every reader. What a browser would repair (spaces, backslashes, percent signs or other
//! scripts in the host) is refused, and a host that a browser takes for an address is taken for that address: `0x7f.1`
//! is 127.0.0.1 (WHATWG URL, "ends in a number checker" and "IPv4 parser").

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use crate::mutant;
use crate::network::{Cidr, CidrError};

/// Most characters of a URL.
pub const MAX_URL: usize = 2_048;

/// What operators have opened; by default nothing but public addresses, over TLS, at port 443.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    opened: Arc<[Opening]>,
    ports: Arc<[u16]>,
    has_plain: bool,
}

/// A host or a network that operators opened although its addresses are not public.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opening {
    /// A host by its name, in lower case, whatever it resolves to.
    Host(Box<str>),
    /// Addresses, whatever host they belong to.
    Network(Cidr),
}

/// Why a text opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpeningError {
    /// It reads like a network and is none.
    #[error(transparent)]
    Network(#[from] CidrError),
    /// It reads like a host and is none.
    #[error("it is neither a host name nor an address nor a network")]
    Host,
}

/// A URL that may be connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Whether the connection is encrypted.
    pub is_tls: bool,
    /// Whom to connect to.
    pub host: Host,
    /// The port, the scheme's own included.
    pub port: u16,
    /// Path and query, as they stand in the request line.
    pub path: String,
}

/// The host of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A name to resolve, in lower case.
    Name(Box<str>),
    /// An address, however it was written.
    Address(IpAddr),
}

/// Why a URL may not be configured; the code of all of them is `url_not_allowed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Longer than [`MAX_URL`].
    #[error("a URL has at most 2,048 characters")]
    Length,
    /// Plain HTTP, or another scheme.
    #[error("it must begin with `https://`")]
    Scheme,
    /// Characters that not every reader takes for the same.
    #[error("it holds a character that a URL must percent-encode")]
    Character,
    /// `user:password@`.
    #[error("it must not hold a user name or password")]
    UserInfo,
    /// `#…`.
    #[error("it must not hold a fragment")]
    Fragment,
    /// The host is none.
    #[error("its host is neither a name in ASCII letters (`xn--…` for others) nor an IP address")]
    Host,
    /// Neither the scheme's port nor one of `outbound.ports`.
    #[error("its port is not 443; `outbound.ports` in the configuration opens others")]
    Port,
    /// The address is private or otherwise not for everyone.
    #[error("its host is not a public address; `outbound.allow` in the configuration opens others")]
    Address,
}

/// What is to become of a connection to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// A public address.
    Public,
    /// Not public, but opened by this entry.
    Opened(&'a Opening),
    /// Not to be connected to.
    Refused,
}

/// Addresses that are not public, in the order of their registries (RFC 6890 and its successors).
const CLOSED: [Cidr; 29] = [
    v4(0, 0, 0, 0, 8),
    v4(10, 0, 0, 0, 8),
    v4(100, 64, 0, 0, 10),
    v4(127, 0, 0, 0, 8),
    v4(169, 254, 0, 0, 16),
    v4(172, 16, 0, 0, 12),
    v4(192, 0, 0, 0, 24),
    v4(192, 0, 2, 0, 24),
    v4(192, 88, 99, 0, 24),
    v4(192, 168, 0, 0, 16),
    v4(198, 18, 0, 0, 15),
    v4(198, 51, 100, 0, 24),
    v4(203, 0, 113, 0, 24),
    v4(224, 0, 0, 0, 4),
    v4(240, 0, 0, 0, 4),
    // unspecified, loopback and IPv4-compatible
    v6([0, 0, 0, 0, 0, 0], 96),
    // translated (RFC 6052, RFC 8215)
    v6([0x64, 0xff9b, 0, 0, 0, 0], 96),
    v6([0x64, 0xff9b, 1, 0, 0, 0], 48),
    // discard-only
    v6([0x100, 0, 0, 0, 0, 0], 64),
    // protocol assignments, with Teredo and ORCHID
    v6([0x2001, 0, 0, 0, 0, 0], 23),
    // documentation
    v6([0x2001, 0xdb8, 0, 0, 0, 0], 32),
    // 6to4
    v6([0x2002, 0, 0, 0, 0, 0], 16),
    // documentation (RFC 9637) and segment routing (RFC 9602)
    v6([0x3fff, 0, 0, 0, 0, 0], 20),
    v6([0x5f00, 0, 0, 0, 0, 0], 16),
    // unique local
    v6([0xfc00, 0, 0, 0, 0, 0], 7),
    // link-local
    v6([0xfe80, 0, 0, 0, 0, 0], 10),
    // site-local
    v6([0xfec0, 0, 0, 0, 0, 0], 10),
    // multicast
    v6([0xff00, 0, 0, 0, 0, 0], 8),
    // IPv4-translated (RFC 2765)
    v6([0, 0, 0, 0, 0xffff, 0], 96),
];

const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u8) -> Cidr {
    Cidr::of(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), bits)
}

const fn v6(first: [u16; 6], bits: u8) -> Cidr {
    let [a, b, c, d, tail @ ..] = first;
    Cidr::of(IpAddr::V6(Ipv6Addr::new(a, b, c, d, tail[0], tail[1], 0, 0)), bits)
}

impl Policy {
    /// What the configuration opens: hosts and networks that are not public, and ports beside 443.
    pub fn new(opened: Vec<Opening>, ports: Vec<u16>) -> Self {
        Self { opened: opened.into(), ports: ports.into(), has_plain: false }
    }

    /// The same, with plain HTTP as well where that is allowed: in a sandbox.
    #[must_use]
    pub fn with_plain(self, has_plain: bool) -> Self {
        Self { has_plain: self.has_plain || has_plain, ..self }
    }

    /// Whether an address to which a host resolved may be connected to. An IPv4-mapped address counts as the address
    /// inside.
    pub fn judge(&self, host: &Host, address: IpAddr) -> Verdict<'_> {
        let is_overlooked = mutant::is("W01-private") || (mutant::is("W01-embedded") && address.is_ipv6());
        if is_overlooked || !CLOSED.iter().any(|range| range.contains(address)) {
            return Verdict::Public;
        }
        self.opened.iter().find(|opening| opening.covers(host, address)).map_or(Verdict::Refused, Verdict::Opened)
    }
}

impl Opening {
    fn covers(&self, host: &Host, address: IpAddr) -> bool {
        match (self, host) {
            (Self::Network(network), _) => network.contains(address),
            (Self::Host(opened), Host::Name(name)) => opened == name,
            (Self::Host(_), Host::Address(_)) => false,
        }
    }
}

impl fmt::Display for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(name) => f.write_str(name),
            Self::Network(network) => network.fmt(f),
        }
    }
}

impl FromStr for Opening {
    type Err = OpeningError;

    /// `hooks.internal`, `10.1.2.3`, `10.0.0.0/8`, `fd00::/8`.
    fn from_str(text: &str) -> Result<Self, OpeningError> {
        if text.contains(['/', ':']) {
            return Ok(Self::Network(text.parse()?));
        }
        match Host::parse(text) {
            Some(Host::Name(name)) => Ok(Self::Host(name)),
            Some(Host::Address(_)) => Ok(Self::Network(text.parse()?)),
            None => Err(OpeningError::Host),
        }
    }
}

/// Reads a URL that this server is to connect to, by its form alone; nothing is resolved.
///
/// # Errors
/// [`Refusal`] says what is wrong with it.
pub fn check(url: &str, policy: &Policy) -> Result<Target, Refusal> {
    if url.chars().count() > MAX_URL {
        return Err(Refusal::Length);
    }
    let (scheme, rest) = url.split_once("://").ok_or(Refusal::Scheme)?;
    let is_tls = scheme.eq_ignore_ascii_case("https");
    if !is_tls && !(scheme.eq_ignore_ascii_case("http") && (policy.has_plain || mutant::is("W01-plain"))) {
        return Err(Refusal::Scheme);
    }
    if rest.contains('#') {
        return Err(Refusal::Fragment);
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if authority.contains('@') {
        return Err(Refusal::UserInfo);
    }
    if !is_path(path) {
        return Err(Refusal::Character);
    }
    let (host, port) = split_port(authority)?;
    let host = Host::parse(host).ok_or(Refusal::Host)?;
    let port = match port {
        None => None,
        Some(digits) => Some(digits.parse::<u16>().map_err(|_| Refusal::Port)?),
    };
    let scheme_port = if is_tls { 443 } else { 80 };
    let port = port.unwrap_or(scheme_port);
    // What an operator opened is trusted as a whole.
    let is_opened = match &host {
        Host::Address(address) => match policy.judge(&host, *address) {
            Verdict::Refused if !mutant::is("W01-written") => return Err(Refusal::Address),
            verdict => matches!(verdict, Verdict::Opened(_)),
        },
        Host::Name(name) => {
            let is_opened = policy.opened.iter().any(|opening| matches!(opening, Opening::Host(host) if host == name));
            let loopback = || policy.judge(&host, IpAddr::V4(Ipv4Addr::LOCALHOST));
            // RFC 6761 §6.3: every resolver answers this name with loopback.
            if (&**name == "localhost" || name.ends_with(".localhost")) && loopback() == Verdict::Refused {
                return Err(Refusal::Address);
            }
            is_opened
        }
    };
    if port != scheme_port && !policy.ports.contains(&port) && !is_opened {
        return Err(Refusal::Port);
    }
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    Ok(Target { is_tls, host, port, path })
}

/// Host and port of an authority; an empty port is none.
fn split_port(authority: &str) -> Result<(&str, Option<&str>), Refusal> {
    let (host, rest) = match authority.find(']') {
        Some(end) => authority.split_at(end.saturating_add(1)),
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    match rest.strip_prefix(':') {
        None if rest.is_empty() => Ok((host, None)),
        None => Err(Refusal::Host),
        Some("") => Ok((host, None)),
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => Ok((host, Some(digits))),
        Some(_) => Err(Refusal::Port),
    }
}

/// Whether path and query hold nothing but the characters of RFC 3986, percent signs in front of two hex digits.
fn is_path(text: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(&b);
    let has_digits = |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|b| b.is_ascii_hexdigit());
    text.bytes().all(is_plain) && text.split('%').skip(1).all(has_digits)
}

impl Target {
    /// Host and port as the field `Host` says them: without the scheme's own port.
    pub fn authority(&self) -> String {
        match (self.is_tls, self.port) {
            (true, 443) | (false, 80) => self.host.to_string(),
            (_, port) => format!("{}:{port}", self.host),
        }
    }
}

impl fmt::Display for Host {
    /// As a URL writes it: IPv6 in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

impl Host {
    /// Reads the host of a URL; `None` for what no reader, or not every reader, takes for a host.
    fn parse(text: &str) -> Option<Self> {
        if let Some(inner) = text.strip_prefix('[') {
            let address = inner.strip_suffix(']')?.parse::<Ipv6Addr>().ok()?;
            return Some(Self::Address(IpAddr::V6(address)));
        }
        let undotted = text.strip_suffix('.').unwrap_or(text);
        let last = undotted.rsplit('.').next()?;
        let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if (is_digits(last) || number(last).is_some()) && !mutant::is("W01-decimal") {
            return ipv4(undotted).map(|address| Self::Address(IpAddr::V4(address)));
        }
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        (text.len() <= 253 && text.split('.').all(is_label)).then(|| Self::Name(text.to_ascii_lowercase().into()))
    }
}

/// A number in decimal, octal (`0…`) or hex (`0x…`); `None` when it is none. One beyond 64 bits is beyond every address.
fn number(text: &str) -> Option<u64> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => (hex, 16),
        None if text.len() > 1 && text.starts_with('0') => (text, 8),
        None => (text, 10),
    };
    if digits.is_empty() {
        // `0x` is a zero
        return (radix == 16).then_some(0);
    }
    if !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    Some(u64::from_str_radix(digits, radix).unwrap_or(u64::MAX))
}

/// One to four numbers, the last of which fills the rest of the address.
fn ipv4(text: &str) -> Option<Ipv4Addr> {
    let mut numbers = text.split('.').map(number).collect::<Option<Vec<u64>>>()?;
    let last = numbers.pop()?;
    let mut address = 0_u32;
    let mut rest = 32_u32;
    for part in numbers {
        rest = rest.checked_sub(8).filter(|rest| *rest > 0)?;
        address |= u32::from(u8::try_from(part).ok()?).checked_shl(rest)?;
    }
    if last.checked_shr(rest)? != 0 {
        return None;
    }
    Some(Ipv4Addr::from_bits(address | u32::try_from(last).ok()?))
}

#[cfg(test)]
mod tests;
