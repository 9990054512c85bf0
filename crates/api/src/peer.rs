//! What the listener tells the handlers about the peer of a request, as `http::Extensions` values.
//!
//! The listener (`server::listen`) sets these on every request and is the only place that reads forwarding headers;
//! a handler that wants the client address takes it from here and never from a header.

use std::error::Error;
use std::net::IpAddr;

/// The address of the client: the socket's peer, or the rightmost untrusted hop named by a trusted proxy.
///
/// IPv4-mapped IPv6 addresses arrive as IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientAddress(pub IpAddr);

/// Whether the client's own hop is encrypted: TLS ended here, or a trusted proxy says it ended there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Plain HTTP.
    Plain,
    /// TLS, of this process or of a trusted proxy.
    Tls,
}

/// The error a request body ends in when it arrives slower than the limits allow; the answer is 408.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyTooSlow;

impl std::fmt::Display for BodyTooSlow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the request body arrived too slowly")
    }
}

impl Error for BodyTooSlow {}

/// Whether an error of reading a body, or any of its sources, is [`BodyTooSlow`].
pub fn is_body_too_slow(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(current) = next {
        if current.is::<BodyTooSlow>() {
            return true;
        }
        next = current.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Outer(BodyTooSlow);

    impl std::fmt::Display for Outer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("outer")
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn a_slow_body_is_recognized_below_the_errors_that_wrap_it() {
        assert!(is_body_too_slow(&Outer(BodyTooSlow)));
        assert!(!is_body_too_slow(&std::fmt::Error));
    }
}
