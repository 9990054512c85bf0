//! The rules a request meets before the router: URL length, Host, forwarding headers, the client address.
//!
//! Forwarding headers are believed from named proxies only, and of these only `X-Forwarded-For` and
//! `X-Forwarded-Proto`: a header that the proxy does not overwrite would come from the client.

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use api::peer::{ClientAddress, Transport};
use api::refusal::Refusal;
use axum::Router;
use axum::body::Body;
use http::header::{CONNECTION, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use kernel::mutant;
use kernel::network::Cidr;
use tower::Service as _;

use super::Refuse;
use super::activity::{Activity, Flight};
use super::body::{Answer, TimedBody};
use super::registry::Registry;
use crate::config::Limits;

const FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED_PROTO: &str = "x-forwarded-proto";

/// What stands between hyper and the router for all requests of one connection.
#[derive(Clone)]
pub(super) struct Edge {
    /// The application.
    pub(super) app: Router,
    /// Caps on the URL and the body.
    pub(super) limits: Arc<Limits>,
    /// Makes the answers to what is refused here.
    pub(super) refuse: Refuse,
    /// Names the trusted proxies.
    pub(super) registry: Arc<Registry>,
    /// The marks of the connection.
    pub(super) activity: Arc<Activity>,
    /// The socket's peer.
    pub(super) peer: IpAddr,
    /// Whether TLS ends here.
    pub(super) transport: Transport,
}

impl hyper::service::Service<Request<Incoming>> for Edge {
    type Response = Response<Answer>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Answer>, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let flight = Flight::start(&self.activity);
        let is_http1 = request.version() <= Version::HTTP_11;
        let (mut parts, body) = request.into_parts();
        match self.admit(&mut parts) {
            Ok(()) => {
                let response = self.app.clone().call(Request::from_parts(parts, self.timed(body)));
                Box::pin(async move {
                    let mut response = response.await?;
                    if is_http1 && ends_connection(response.status()) {
                        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                    }
                    Ok(response.map(|body| Answer::new(body, flight)))
                })
            }
            Err(refusal) => {
                let mut response = (self.refuse)(refusal, parts.uri.path(), &parts.headers, self.transport);
                if is_http1 {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Box::pin(std::future::ready(Ok(response.map(|body| Answer::new(body, flight)))))
            }
        }
    }
}

/// After these the rest of the request is not read, so the next one could not be found.
const fn ends_connection(status: StatusCode) -> bool {
    matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::PAYLOAD_TOO_LARGE)
}

impl Edge {
    /// Applies the rules to a head, and notes who asks.
    fn admit(&self, parts: &mut Parts) -> Result<(), Refusal> {
        let url_length = parts.uri.path_and_query().map_or(0, |p| p.as_str().len());
        if url_length > usize::try_from(self.limits.url_bytes).unwrap_or(usize::MAX) {
            return Err(Refusal::uri_too_long(self.limits.url_bytes));
        }
        check_host(parts.version, &parts.headers)?;
        check_codings(&parts.headers)?;
        check_names(&parts.headers)?;
        let (client, transport) = if self.registry.is_trusted(self.peer) || mutant::is("H02-stranger") {
            let client = client_of(self.peer, &parts.headers, self.registry.trusted());
            let says_tls = last_text(&parts.headers, FORWARDED_PROTO).is_some_and(|p| p.eq_ignore_ascii_case("https"));
            (client, if says_tls { Transport::Tls } else { self.transport })
        } else {
            remove_forwarding(&mut parts.headers);
            (self.peer, self.transport)
        };
        parts.extensions.insert(ClientAddress(client.to_canonical()));
        parts.extensions.insert(transport);
        Ok(())
    }

    fn timed(&self, body: Incoming) -> Body {
        if body.is_end_stream() {
            return Body::empty();
        }
        Body::new(TimedBody::new(body, self.limits.body, self.limits.body_bytes_per_second))
    }
}

/// Exactly one Host in HTTP/1.1 and at most one elsewhere, with a host and perhaps a port in it (RFC 9112 §3.2).
fn check_host(version: Version, headers: &HeaderMap) -> Result<(), Refusal> {
    let count = headers.get_all(HOST).iter().count();
    if mutant::is("H04-hosts") {
        return Ok(());
    }
    if count > 1 || (version == Version::HTTP_11 && count == 0) {
        return Err(Refusal::malformed(format!("a request has one Host field; this one has {count}")));
    }
    if headers.get(HOST).is_some_and(|host| !is_host(host.as_bytes())) {
        return Err(Refusal::malformed("the Host field takes a host name or an address, and perhaps a port"));
    }
    Ok(())
}

/// `uri-host [ ":" port ]` (RFC 9110 §7.2), where a name may be empty and an address of IPv6 stands in brackets.
fn is_host(text: &[u8]) -> bool {
    let (name, port) = match text.iter().rposition(|b| *b == b':') {
        // The colons of an address in brackets are not a port's.
        Some(at) if !text.ends_with(b"]") => (text.get(..at), text.get(at.saturating_add(1)..)),
        _ => (Some(text), None),
    };
    let name = name.unwrap_or_default();
    let is_literal = name.strip_prefix(b"[").and_then(|name| name.strip_suffix(b"]")).is_some_and(|address| {
        let is_future =
            address.starts_with(b"v") && address.iter().all(|b| b.is_ascii_alphanumeric() || b"-._~:".contains(b));
        is_future || std::str::from_utf8(address).is_ok_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok())
    });
    let is_name = || {
        let mut escapes = name.split(|b| *b == b'%');
        let is_plain = |part: &[u8]| part.iter().all(|b| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(b));
        escapes.next().is_some_and(is_plain)
            && escapes
                .all(|part| part.get(..2).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) && is_plain(part))
    };
    port.is_none_or(|port| port.iter().all(u8::is_ascii_digit)) && (is_literal || is_name())
}

/// `chunked` alone may be applied, once (RFC 9112 §6.1). That it is the last coding, hyper has checked.
///
/// A body in another coding would be taken for what it is not, so such a request is answered 501, which the RFC
/// recommends, and not 400, which is for heads that break its rules.
fn check_codings(headers: &HeaderMap) -> Result<(), Refusal> {
    let values = headers.get_all(TRANSFER_ENCODING).iter();
    let codings = values.flat_map(|value| value.as_bytes().split(|b| *b == b',')).map(<[u8]>::trim_ascii);
    let (mut chunked, mut others) = (0_usize, 0_usize);
    for coding in codings.filter(|coding| !coding.is_empty()) {
        let count = if coding.eq_ignore_ascii_case(b"chunked") { &mut chunked } else { &mut others };
        *count = count.saturating_add(1);
    }
    if chunked > 1 {
        return Err(Refusal::malformed("the transfer coding chunked is applied once"));
    }
    if others > 0 && !mutant::is("H04-codings") { Err(Refusal::unknown_transfer_coding()) } else { Ok(()) }
}

/// Refuses look-alikes and nominations of fields that decide who the caller is.
///
/// Gateways that map `_` to `-` would read `x_forwarded_for` as the real field, and a field nominated in `Connection`
/// is removed by a proxy after it was checked (RFC 9110 §7.6.1).
fn check_names(headers: &HeaderMap) -> Result<(), Refusal> {
    for name in headers.keys() {
        let name = name.as_str();
        if name.contains('_') && !mutant::is("H03-underscore") && is_about_identity(&name.replace('_', "-")) {
            return Err(Refusal::malformed(format!("the field {name} is not accepted; write it with hyphens")));
        }
    }
    for value in headers.get_all(CONNECTION) {
        for token in value.as_bytes().split(|b| *b == b',') {
            let token = String::from_utf8_lossy(token.trim_ascii()).to_ascii_lowercase().replace('_', "-");
            if is_about_identity(&token) {
                return Err(Refusal::malformed(format!("the Connection field may not name {token}")));
            }
        }
    }
    Ok(())
}

/// Fields about authentication or forwarding; the name is lower case with hyphens.
fn is_about_identity(name: &str) -> bool {
    const AUTHENTICATION: [&str; 5] = ["authorization", "proxy-authorization", "cookie", "dpop", "host"];
    AUTHENTICATION.contains(&name) || is_forwarding(name)
}

/// Fields in which a proxy speaks about the client (RFC 7239, RFC 9440, and their older forms).
fn is_forwarding(name: &str) -> bool {
    const FORWARDING: [&str; 4] = ["forwarded", "x-real-ip", "client-cert", "client-cert-chain"];
    FORWARDING.contains(&name) || name.starts_with("x-forwarded-")
}

fn remove_forwarding(headers: &mut HeaderMap) {
    let names: Vec<HeaderName> = headers.keys().filter(|name| is_forwarding(name.as_str())).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// The last element of the list that all lines of a field form.
fn last_text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get_all(name).iter().next_back()?.to_str().ok()?.rsplit(',').next().map(str::trim)
}

/// Walks `X-Forwarded-For` from the right, past trusted hops, to the first that is not.
///
/// A hop that is no address ends the walk at the last one that vouches for itself: what stands further left was
/// written by whoever wrote that.
fn client_of(peer: IpAddr, headers: &HeaderMap, trusted: &[Cidr]) -> IpAddr {
    let mut client = peer;
    for line in headers.get_all(FORWARDED_FOR).iter().rev() {
        for hop in line.as_bytes().rsplit(|b| *b == b',') {
            let Some(address) = std::str::from_utf8(hop).ok().and_then(|hop| hop_address(hop.trim())) else {
                return client;
            };
            client = address;
            if !trusted.iter().any(|network| network.contains(address)) && !mutant::is("H02-leftmost") {
                return client;
            }
        }
    }
    client
}

/// `192.0.2.1`, `192.0.2.1:443`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:443`.
fn hop_address(text: &str) -> Option<IpAddr> {
    let bracketed = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    bracketed
        .unwrap_or(text)
        .parse()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|a| a.ip()))
        .map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    fn client(lines: &[&str]) -> String {
        let lines: Vec<_> = lines.iter().map(|l| (FORWARDED_FOR, *l)).collect();
        let trusted = ["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
        client_of("10.0.0.1".parse().unwrap(), &headers(&lines), &trusted).to_string()
    }

    #[test]
    fn the_client_is_the_rightmost_untrusted_hop() {
        assert_eq!(client(&[]), "10.0.0.1");
        assert_eq!(client(&["192.0.2.1"]), "192.0.2.1");
        assert_eq!(client(&["198.51.100.9, 192.0.2.1, 10.2.2.2"]), "192.0.2.1");
        assert_eq!(client(&["198.51.100.9", "192.0.2.1:4711 ,10.2.2.2"]), "192.0.2.1");
        assert_eq!(client(&["[2001:db9::1]:443,[2001:db8::1]"]), "2001:db9::1");
        assert_eq!(client(&["10.3.3.3, 10.2.2.2"]), "10.3.3.3");
        assert_eq!(client(&["192.0.2.1, unknown, 10.2.2.2"]), "10.2.2.2");
        assert_eq!(client(&["192.0.2.1,"]), "10.0.0.1");
        assert_eq!(client(&["::ffff:192.0.2.1"]), "192.0.2.1");
    }

    #[test]
    fn look_alikes_and_nominations_of_identity_fields_are_refused() {
        for bad in [
            ("x_forwarded_for", "1.1.1.1"),
            ("x-forwarded_for", "1.1.1.1"),
            ("client_cert", "x"),
            ("connection", "close, Authorization"),
            ("connection", "x-forwarded-for"),
            ("connection", "DPoP"),
        ] {
            assert_eq!(check_names(&headers(&[bad])).unwrap_err().status, 400, "{bad:?}");
        }
        for good in [("connection", "keep-alive, te"), ("my_field", "x"), ("x-forwarded-for", "x")] {
            assert!(check_names(&headers(&[good])).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn a_host_is_a_name_or_an_address_and_perhaps_a_port() {
        for good in [
            "",
            "a",
            "a:80",
            "a:",
            ":80",
            "auth.example.com",
            "192.0.2.1:8080",
            "[2001:db8::1]",
            "[::1]:443",
            "[v1.x]",
            "a_b-c~d",
            "%41%5a",
            "a!$&'()*+,;=",
        ] {
            assert!(is_host(good.as_bytes()), "{good}");
        }
        for bad in [
            "a b", "a/b", "a b/c", "user@a", "a:8x", "a:b:1", "[::1", "::1", "[a]", "[::1]x", "a?b", "a#b", "a\\b",
            "%4", "%zz", "http://a", "\u{e4}", "a\"", "<a>", "[::1]:8x",
        ] {
            assert!(!is_host(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn chunked_is_the_only_transfer_coding_and_is_applied_once() {
        let status = |lines: &[&str]| {
            let lines: Vec<_> = lines.iter().map(|line| ("transfer-encoding", *line)).collect();
            check_codings(&headers(&lines)).map_err(|refusal| refusal.status.as_u16())
        };
        for good in [&[][..], &["chunked"], &["Chunked"], &[" , chunked ,"]] {
            assert_eq!(status(good), Ok(()), "{good:?}");
        }
        for unknown in [&["gzip, chunked"][..], &["gzip", "chunked"], &["identity,chunked"], &["xchunked, chunked"]] {
            assert_eq!(status(unknown), Err(501), "{unknown:?}");
        }
        for twice in [&["chunked, chunked"][..], &["chunked", "chunked"], &["chunked, gzip, chunked"]] {
            assert_eq!(status(twice), Err(400), "{twice:?}");
        }
    }

    #[test]
    fn all_forwarding_fields_of_a_stranger_are_removed() {
        let mut map = headers(&[
            ("forwarded", "for=1.1.1.1"),
            ("x-forwarded-for", "1.1.1.1"),
            ("x-forwarded-for", "2.2.2.2"),
            ("x-forwarded-host", "evil"),
            ("x-real-ip", "1.1.1.1"),
            ("client-cert", ":x:"),
            ("client-cert-chain", ":x:"),
            ("authorization", "Basic x"),
        ]);
        remove_forwarding(&mut map);
        assert_eq!(map.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["authorization"]);
    }
}
