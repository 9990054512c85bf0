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
use axum::Router;
use axum::body::Body;
use http::header::{CONNECTION, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use tower::Service as _;

use super::activity::{Activity, Flight};
use super::body::{Answer, TimedBody};
use super::registry::Registry;
use crate::config::{Cidr, Limits};

const FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED_PROTO: &str = "x-forwarded-proto";

/// What stands between hyper and the router for all requests of one connection.
#[derive(Clone)]
pub(super) struct Edge {
    /// The application.
    pub(super) app: Router,
    /// Caps on the URL and the body.
    pub(super) limits: Arc<Limits>,
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
        match self.prepare(request) {
            Ok(request) => {
                let response = self.app.clone().call(request);
                Box::pin(async move {
                    let mut response = response.await?;
                    if is_http1 && ends_connection(response.status()) {
                        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                    }
                    Ok(response.map(|body| Answer::new(body, flight)))
                })
            }
            Err(refusal) => {
                let response = refusal.answer(is_http1).map(|body| Answer::new(body, flight));
                Box::pin(std::future::ready(Ok(response)))
            }
        }
    }
}

/// After these the rest of the request is not read, so the next one could not be found.
const fn ends_connection(status: StatusCode) -> bool {
    matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::PAYLOAD_TOO_LARGE)
}

impl Edge {
    fn prepare(&self, request: Request<Incoming>) -> Result<Request<Body>, Refusal> {
        let (mut parts, body) = request.into_parts();
        let url_length = parts.uri.path_and_query().map_or(0, |p| p.as_str().len());
        if url_length > usize::try_from(self.limits.url_bytes).unwrap_or(usize::MAX) {
            return Err(Refusal {
                status: StatusCode::URI_TOO_LONG,
                sentence: format!("The URL is {url_length} bytes long; at most {} are read.", self.limits.url_bytes),
            });
        }
        check_host(parts.version, &parts.headers)?;
        check_names(&parts.headers)?;
        let (client, transport) = if self.registry.is_trusted(self.peer) {
            let client = client_of(self.peer, &parts.headers, self.registry.trusted());
            let says_tls = last_text(&parts.headers, FORWARDED_PROTO).is_some_and(|p| p.eq_ignore_ascii_case("https"));
            (client, if says_tls { Transport::Tls } else { self.transport })
        } else {
            remove_forwarding(&mut parts.headers);
            (self.peer, self.transport)
        };
        parts.extensions.insert(ClientAddress(client.to_canonical()));
        parts.extensions.insert(transport);
        let body = if body.is_end_stream() {
            Body::empty()
        } else {
            Body::new(TimedBody::new(body, self.limits.body, self.limits.body_bytes_per_second))
        };
        Ok(Request::from_parts(parts, body))
    }
}

/// Why a request does not reach the router.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    sentence: String,
}

impl Refusal {
    fn bad(sentence: String) -> Self {
        Self { status: StatusCode::BAD_REQUEST, sentence }
    }

    fn answer(self, is_http1: bool) -> Response<Body> {
        let mut response = Response::new(Body::from(format!("{}\n", self.sentence)));
        *response.status_mut() = self.status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        if is_http1 {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// Exactly one Host in HTTP/1.1 and at most one elsewhere (RFC 9112 §3.2).
fn check_host(version: Version, headers: &HeaderMap) -> Result<(), Refusal> {
    let count = headers.get_all(HOST).iter().count();
    if count > 1 || (version == Version::HTTP_11 && count == 0) {
        return Err(Refusal::bad(format!("A request has one Host field; this one has {count}.")));
    }
    Ok(())
}

/// Refuses look-alikes and nominations of fields that decide who the caller is.
///
/// Gateways that map `_` to `-` would read `x_forwarded_for` as the real field, and a field nominated in `Connection`
/// is removed by a proxy after it was checked (RFC 9110 §7.6.1).
fn check_names(headers: &HeaderMap) -> Result<(), Refusal> {
    for name in headers.keys() {
        let name = name.as_str();
        if name.contains('_') && is_about_identity(&name.replace('_', "-")) {
            return Err(Refusal::bad(format!("The field {name:?} is not accepted; write it with hyphens.")));
        }
    }
    for value in headers.get_all(CONNECTION) {
        for token in value.as_bytes().split(|b| *b == b',') {
            let token = String::from_utf8_lossy(token.trim_ascii()).to_ascii_lowercase().replace('_', "-");
            if is_about_identity(&token) {
                return Err(Refusal::bad(format!("The Connection field may not name {token:?}.")));
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
            if !trusted.iter().any(|network| network.contains(address)) {
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
