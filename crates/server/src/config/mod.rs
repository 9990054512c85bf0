//! Configuration: one struct, read from a TOML file, the environment and the command line, validated as a whole.
//!
//! Every key is read by one call that carries its name, default and accepted range, so that the file, the variable
//! `BASTIONARY_<SECTION>_<KEY>` and the error sentence cannot drift apart. The command line wins over the environment,
//! the environment over the file. An empty variable counts as not set. Keys and variables that nothing reads are refused.

mod issuer;
mod source;
mod stray;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use kernel::network::Cidr;
use kernel::secret::Secret;
use kernel::target::{Opening, Policy};

pub use source::{ConfigError, Problem};

use source::Source;

/// Values of the command line; each wins over the environment and the file.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--listen`
    pub listen: Option<String>,
    /// `--data-dir`
    pub data_dir: Option<PathBuf>,
    /// `--database-url`
    pub database_url: Option<String>,
    /// `--issuer`
    pub issuer: Option<String>,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One line of text for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Everything the operator can set. There is deliberately no `Debug`: two keys are secrets.
#[expect(clippy::struct_excessive_bools, reason = "each is one key of the file, read by name and never positionally")]
pub struct Config {
    /// `listen`: address and port of the public listener. Default `127.0.0.1:8080`; port 0 takes a free port.
    pub listen: SocketAddr,
    /// `data_dir`: directory of the store, keys and the local socket. Default `./bastionary-data`.
    pub data_dir: PathBuf,
    /// `database_url`: a `postgres://` URL. Not set: the embedded store in `data_dir`. May hold a password.
    pub database_url: Option<Secret<String>>,
    /// `issuer`: the public base URL, without a trailing slash. `None`: loopback, see [`Config::issuer_for`].
    pub issuer: Option<String>,
    /// `master_key_file`: file of the key that seals secrets at rest. Not set: created in `data_dir`.
    pub master_key_file: Option<PathBuf>,
    /// `admin_client_id` and `admin_client_secret`: an admin client created on the first start.
    pub admin_client: Option<AdminClient>,
    /// `log`: filter of log lines, for example `info,store=debug`. Default `info`.
    pub log: String,
    /// `log_format`: `text` (default) or `json`.
    pub log_format: LogFormat,
    /// `management_listen`: address of metrics and health. Default `127.0.0.1:8081`; `off` or port 0 means none.
    pub management_listen: Option<SocketAddr>,
    /// `insecure_http`: allow plain HTTP beyond loopback. Default false.
    pub insecure_http: bool,
    /// `[tls]`: certificate and key of the public listener. Not set: plain HTTP.
    pub tls: Option<Tls>,
    /// `proxy.trusted`: networks of the proxies whose `X-Forwarded-For` is believed. Default none; /0 is refused.
    pub proxy_trusted: Vec<Cidr>,
    /// `[limits]`
    pub limits: Limits,
    /// `scopes.auto_create`: a scope unknown to the tenant is created with the client. Default true, false if hardened.
    pub scopes_auto_create: bool,
    /// `security.hardened`: the stricter defaults of every tenant. Default false.
    pub hardened: bool,
    /// `security.reject_weak_secrets`: refuse chosen client secrets estimated under 128 bit. Default false.
    pub reject_weak_secrets: bool,
    /// `billing.max_jwt_ttl_seconds`: longest life of a JWT of a client that acts for a customer, 60 to 3600. Default 900.
    pub max_jwt_ttl_seconds: u32,
    /// `security.contact`: where to report a weakness, as `mailto:`, `https:` or `tel:` URIs (RFC 9116). Default none.
    pub security_contact: Vec<String>,
    /// `keys.rotation_days`: days between rotations of the signing key, 1 to 3650. Default 90.
    pub key_rotation_days: u32,
    /// `events.retention_days`: days an event is kept, 1 to 400. Default 30.
    pub event_retention_days: u32,
    /// `outbound.allow` and `outbound.ports`: hosts and networks that are not public, and ports beside 443, to which this
    /// server may send requests of its own. Default none; /0 is refused.
    pub outbound: Policy,
    /// `store.allow_unsafe_durability`: start on file systems that lose acknowledged writes; for tests. Default false.
    pub allow_unsafe_durability: bool,
    /// No key: `bastionary dev` sets it, and operators then need no second factor.
    pub is_development: bool,
}

/// An admin client created on the first start.
pub struct AdminClient {
    /// `admin_client_id`
    pub id: String,
    /// `admin_client_secret`
    pub secret: Secret<String>,
}

/// `[tls]`: both files are PEM and are read again when they change and on SIGHUP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// `tls.cert_file`: the certificate, followed by its intermediates.
    pub cert_file: PathBuf,
    /// `tls.key_file`: the private key.
    pub key_file: PathBuf,
}

/// `[limits]`: what one peer, one source and all together may take. A value out of range refuses the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `limits.first_byte_seconds`: from accept (or the end of the TLS handshake) to the first byte, 1–300. Default 5.
    pub first_byte: Duration,
    /// `limits.tls_handshake_seconds`: 1–300. Default 5.
    pub tls_handshake: Duration,
    /// `limits.head_seconds`: from the first byte to the end of the request head, 1–300. Default 10.
    pub head: Duration,
    /// `limits.body_seconds`: the whole body, 1–3600. Default 10.
    pub body: Duration,
    /// `limits.body_bytes_per_second`: the slowest average a body may arrive at, 1–1048576. Default 1024.
    pub body_bytes_per_second: u32,
    /// `limits.keepalive_seconds`: an idle connection is kept this long, 1–3600. Default 60.
    pub keepalive: Duration,
    /// `limits.write_stall_seconds`: a write without any progress, 1–3600. Default 20.
    pub write_stall: Duration,
    /// `limits.head_bytes`: request line and fields together, 8192–1048576. Default 16384.
    pub head_bytes: u32,
    /// `limits.url_bytes`: 256–65534. Default 8192.
    pub url_bytes: u32,
    /// `limits.connections`: open at once, 16–1000000. Default 16384.
    pub connections: u32,
    /// `limits.connections_per_source`: open at once per IPv4 address or IPv6 /64, 1–1000000. Default 1024.
    pub connections_per_source: u32,
    /// `limits.in_flight`: requests being answered at once, 1–1000000. Default 1024.
    pub in_flight: u32,
    /// `limits.drain_seconds`: what a stop waits for requests in flight, 1–3600. Default 30.
    pub drain: Duration,
    /// `limits.source_rate`: requests per second of one source, 1–10000000. Default 20000.
    pub source_rate: u32,
    /// `limits.source_burst`: requests of one source at once, 1–10000000. Default 40000.
    pub source_burst: u32,
    /// `limits.client_rate`: token requests per second of one client, 1–10000000. Default 1000.
    pub client_rate: u32,
    /// `limits.client_burst`: token requests of one client at once, 1–10000000. Default 2000.
    pub client_burst: u32,
    /// `limits.auth_failure_source_rate`: failed authentications per minute of one source, 1–1000000. Default 600.
    pub auth_failure_source_rate: u32,
    /// `limits.auth_failure_source_burst`: failed authentications of one source at once, 1–1000000. Default 100.
    pub auth_failure_source_burst: u32,
    /// `limits.auth_failure_client_rate`: failed authentications per minute of one client from one source, 1–1000000.
    /// Default 60.
    pub auth_failure_client_rate: u32,
    /// `limits.auth_failure_client_burst`: failed authentications of one client from one source at once, 1–1000000.
    /// Default 20.
    pub auth_failure_client_burst: u32,
}

const LOOPBACK_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
const MANAGEMENT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8081);

impl Config {
    /// Reads and validates all keys; `env` holds the environment variables whose names begin with `BASTIONARY_`.
    ///
    /// # Errors
    /// [`ConfigError`] names every key that is wrong, its value (secrets excepted), the accepted form and what to do.
    pub fn load(
        file: Option<&Path>,
        env: &BTreeMap<String, String>,
        overrides: Overrides,
    ) -> Result<Self, ConfigError> {
        let mut source = Source::open(file, env)?;
        source.set("listen", "--listen", overrides.listen);
        source.set("data_dir", "--data-dir", overrides.data_dir.map(|p| p.to_string_lossy().into_owned()));
        source.set("database_url", "--database-url", overrides.database_url);
        source.set("issuer", "--issuer", overrides.issuer);

        let listen = source.parsed("listen", LOOPBACK_LISTEN, ADDRESS_FORM, address);
        let hardened = source.flag("security.hardened", false);
        let config = Self {
            listen,
            data_dir: source.text("data_dir").map_or_else(|| PathBuf::from("./bastionary-data"), PathBuf::from),
            database_url: database_url(&mut source),
            issuer: source.checked_text("issuer", issuer::FORM, issuer::is_valid),
            master_key_file: source.text("master_key_file").map(PathBuf::from),
            admin_client: admin_client(&mut source),
            log: source.text("log").unwrap_or_else(|| "info".to_owned()),
            log_format: source.parsed("log_format", LogFormat::Text, "`text` or `json`", |t| match t {
                "text" => Some(LogFormat::Text),
                "json" => Some(LogFormat::Json),
                _ => None,
            }),
            management_listen: management(&mut source),
            insecure_http: source.flag("insecure_http", false),
            tls: tls(&mut source),
            proxy_trusted: trusted(&mut source),
            limits: limits(&mut source),
            scopes_auto_create: source.flag("scopes.auto_create", !hardened),
            hardened,
            reject_weak_secrets: source.flag("security.reject_weak_secrets", false),
            max_jwt_ttl_seconds: source.number("billing.max_jwt_ttl_seconds", 900, 60..=3600),
            security_contact: contacts(&mut source),
            is_development: false,
            key_rotation_days: source.number("keys.rotation_days", 90, 1..=3650),
            event_retention_days: source.number("events.retention_days", 30, 1..=400),
            outbound: outbound(&mut source),
            allow_unsafe_durability: source.flag("store.allow_unsafe_durability", false),
        };
        if config.issuer.is_none() && !is_loopback(config.listen.ip()) && !source.is_faulty("issuer") {
            source.report(
                "issuer",
                format!("is not set, and `listen = \"{}\"` is reachable beyond loopback", config.listen),
                "Set `issuer` (or BASTIONARY_ISSUER, or --issuer) to the URL clients use, for example `https://auth.example.com`.",
            );
        }
        source.finish()?;
        Ok(config)
    }

    /// The issuer: the configured one, or `http(s)://<address>` of the bound loopback listener.
    pub fn issuer_for(&self, bound: SocketAddr) -> String {
        self.issuer.clone().unwrap_or_else(|| {
            let scheme = if self.tls.is_some() { "https" } else { "http" };
            format!("{scheme}://{bound}")
        })
    }

    /// Refuses plain HTTP beyond loopback unless the operator has said that it is protected or wanted (RFC 6749 §1.6).
    ///
    /// # Errors
    /// [`ConfigError`] names the setting and the three ways out.
    pub fn listen_guard(&self) -> Result<(), ConfigError> {
        let protected = self.tls.is_some() || !self.proxy_trusted.is_empty() || self.insecure_http;
        if protected || is_loopback(self.listen.ip()) {
            return Ok(());
        }
        Err(ConfigError::from(Problem {
            key: "listen".to_owned(),
            what: format!("= \"{}\" would serve plain HTTP beyond loopback", self.listen),
            hint: "Configure `[tls]`, name a trusted proxy in `proxy.trusted`, or write `insecure_http = true`."
                .to_owned(),
        }))
    }
}

const ADDRESS_FORM: &str = "an IP address and a port, for example `127.0.0.1:8080` or `[::1]:8080`";

fn address(text: &str) -> Option<SocketAddr> {
    if let Some(port) = text.strip_prefix("localhost:") {
        return port.parse().ok().map(|port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    text.parse().ok()
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

fn management(source: &mut Source<'_>) -> Option<SocketAddr> {
    let form = "an IP address and a port, or `off`";
    let parse = |t: &str| if t == "off" { Some(None) } else { address(t).map(Some) };
    source.parsed("management_listen", Some(MANAGEMENT_LISTEN), form, parse).filter(|a| a.port() != 0)
}

fn database_url(source: &mut Source<'_>) -> Option<Secret<String>> {
    let url = source.secret("database_url")?;
    if url.reveal().starts_with("postgres://") || url.reveal().starts_with("postgresql://") {
        return Some(url);
    }
    source.report(
        "database_url",
        "is not a URL of a supported database".to_owned(),
        "Write `postgres://user@host:5432/name`, or leave the key out to use the embedded store in `data_dir`.",
    );
    None
}

fn admin_client(source: &mut Source<'_>) -> Option<AdminClient> {
    match (source.text("admin_client_id"), source.secret("admin_client_secret")) {
        (Some(id), Some(secret)) => Some(AdminClient { id, secret }),
        (None, None) => None,
        (Some(_), None) => {
            source.report(
                "admin_client_secret",
                "is not set although `admin_client_id` is".to_owned(),
                "Set both, or neither to get a one-time setup link instead.",
            );
            None
        }
        (None, Some(_)) => {
            source.report(
                "admin_client_id",
                "is not set although `admin_client_secret` is".to_owned(),
                "Set both, or neither to get a one-time setup link instead.",
            );
            None
        }
    }
}

fn tls(source: &mut Source<'_>) -> Option<Tls> {
    match (source.text("tls.cert_file"), source.text("tls.key_file")) {
        (Some(cert), Some(key)) => Some(Tls { cert_file: cert.into(), key_file: key.into() }),
        (None, None) => None,
        (cert, _) => {
            let (missing, given) =
                if cert.is_some() { ("tls.key_file", "tls.cert_file") } else { ("tls.cert_file", "tls.key_file") };
            source.report(
                missing,
                format!("is not set although `{given}` is"),
                "TLS needs both files, in PEM form; remove the other one to serve plain HTTP.",
            );
            None
        }
    }
}

fn trusted(source: &mut Source<'_>) -> Vec<Cidr> {
    let mut networks = Vec::new();
    for text in source.list("proxy.trusted") {
        match text.parse() {
            Ok(network) => networks.push(network),
            Err(error) => source.report(
                "proxy.trusted",
                format!("holds {text:?}: {error}"),
                "List the networks of your proxies, for example `[\"10.0.0.0/8\", \"192.0.2.7\"]`.",
            ),
        }
    }
    networks
}

fn outbound(source: &mut Source<'_>) -> Policy {
    let mut opened = Vec::new();
    for text in source.list("outbound.allow") {
        match text.parse::<Opening>() {
            Ok(opening) => opened.push(opening),
            Err(error) => source.report(
                "outbound.allow",
                format!("holds {text:?}: {error}"),
                "List host names, addresses or networks, for example `[\"hooks.internal\", \"10.1.0.0/16\"]`.",
            ),
        }
    }
    let mut ports = Vec::new();
    for text in source.list("outbound.ports") {
        match text.parse::<u16>() {
            Ok(port) if port > 0 => ports.push(port),
            _ => source.report(
                "outbound.ports",
                format!("holds {text:?}, which is no port"),
                "List port numbers from 1 to 65535, for example `[8443]`.",
            ),
        }
    }
    Policy::new(opened, ports)
}

fn contacts(source: &mut Source<'_>) -> Vec<String> {
    let contacts = source.list("security.contact");
    let is_uri = |text: &String| {
        let has_scheme =
            ["mailto:", "https://", "tel:"].iter().any(|scheme| text.len() > scheme.len() && text.starts_with(scheme));
        has_scheme && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    if let Some(wrong) = contacts.iter().find(|text| !is_uri(text)) {
        source.report(
            "security.contact",
            format!("holds {wrong:?}, which is no URI to write to"),
            "List `mailto:`, `https:` or `tel:` URIs, for example `[\"mailto:security@example.com\"]`.",
        );
    }
    contacts
}

fn limits(source: &mut Source<'_>) -> Limits {
    let many = 1..=10_000_000;
    Limits {
        first_byte: source.seconds("limits.first_byte_seconds", 5, 1..=300),
        tls_handshake: source.seconds("limits.tls_handshake_seconds", 5, 1..=300),
        head: source.seconds("limits.head_seconds", 10, 1..=300),
        body: source.seconds("limits.body_seconds", 10, 1..=3600),
        body_bytes_per_second: source.number("limits.body_bytes_per_second", 1024, 1..=1_048_576),
        keepalive: source.seconds("limits.keepalive_seconds", 60, 1..=3600),
        write_stall: source.seconds("limits.write_stall_seconds", 20, 1..=3600),
        head_bytes: source.number("limits.head_bytes", 16_384, 8_192..=1_048_576),
        url_bytes: source.number("limits.url_bytes", 8_192, 256..=65_534),
        connections: source.number("limits.connections", 16_384, 16..=1_000_000),
        connections_per_source: source.number("limits.connections_per_source", 1_024, 1..=1_000_000),
        in_flight: source.number("limits.in_flight", 1_024, 1..=1_000_000),
        drain: source.seconds("limits.drain_seconds", 30, 1..=3600),
        source_rate: source.number("limits.source_rate", 20_000, many.clone()),
        source_burst: source.number("limits.source_burst", 40_000, many.clone()),
        client_rate: source.number("limits.client_rate", 1_000, many.clone()),
        client_burst: source.number("limits.client_burst", 2_000, many),
        auth_failure_source_rate: source.number("limits.auth_failure_source_rate", 600, 1..=1_000_000),
        auth_failure_source_burst: source.number("limits.auth_failure_source_burst", 100, 1..=1_000_000),
        auth_failure_client_rate: source.number("limits.auth_failure_client_rate", 60, 1..=1_000_000),
        auth_failure_client_burst: source.number("limits.auth_failure_client_burst", 20, 1..=1_000_000),
    }
}
