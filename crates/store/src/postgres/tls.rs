//! The server's address, and the certificates that vouch for it.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::Config;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::Error;

/// Reads `postgres://…` or `key=value …`, with `sslrootcert` as libpq knows it.
pub(crate) fn read_address(address: &str) -> Result<(Config, Option<MakeRustlsConnect>), Error> {
    let (plain, root) = split_root(address);
    // the parser's message may repeat a part of the address, and with it a password
    let config = plain.parse::<Config>().map_err(|_| {
        Error::Refused("the PostgreSQL address cannot be read: use postgres://user@host/database".to_owned())
    })?;
    let tls = root.map(|file| connector(&file)).transpose()?;
    Ok((config, tls))
}

/// The address without `sslrootcert`, and its value; `verify-ca` and `verify-full` become `require`, which always verifies here.
fn split_root(address: &str) -> (String, Option<String>) {
    let (head, options, separator) = match address.split_once('?') {
        Some((head, query)) if address.contains("://") => (Some(head), query, '&'),
        _ if address.contains("://") => return (address.to_owned(), None),
        _ => (None, address, ' '),
    };
    let mut root = None;
    let mut kept = Vec::new();
    for option in options.split(separator).filter(|option| !option.is_empty()) {
        match option.split_once('=') {
            Some(("sslrootcert", file)) => root = Some(file.trim_matches('\'').to_owned()),
            Some(("sslmode", "verify-ca" | "verify-full")) => kept.push("sslmode=require"),
            _ => kept.push(option),
        }
    }
    let kept = kept.join(&separator.to_string());
    (head.map_or(kept.clone(), |head| if kept.is_empty() { head.to_owned() } else { format!("{head}?{kept}") }), root)
}

fn connector(file: &str) -> Result<MakeRustlsConnect, Error> {
    let refused = |why: &dyn std::fmt::Display| Error::Refused(format!("sslrootcert {file} cannot be used: {why}"));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| refused(&error))? {
        let certificate = certificate.map_err(|error| refused(&error))?;
        roots.add(certificate).map_err(|error| refused(&error))?;
    }
    if roots.is_empty() {
        return Err(refused(&"it holds no certificate"));
    }
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| refused(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificate_file_is_found_in_both_forms_of_an_address() {
        let cases = [
            (
                "postgres://a@b/c?sslrootcert=/ca.pem&sslmode=verify-full",
                "postgres://a@b/c?sslmode=require",
                Some("/ca.pem"),
            ),
            ("postgres://a@b/c?sslrootcert=/ca.pem", "postgres://a@b/c", Some("/ca.pem")),
            ("postgres://a@b/c", "postgres://a@b/c", None),
            ("host=b user=a sslrootcert='/ca.pem' dbname=c", "host=b user=a dbname=c", Some("/ca.pem")),
        ];
        for (address, plain, root) in cases {
            assert_eq!(split_root(address), (plain.to_owned(), root.map(str::to_owned)), "{address}");
        }
    }

    #[test]
    fn an_address_that_cannot_be_read_is_refused_without_repeating_it() {
        let refused = read_address("postgres://u:hunter2@[bad/x").err().unwrap();
        assert!(!refused.to_string().contains("hunter2"));
        assert!(read_address("host=localhost sslrootcert=/absent/ca.pem").is_err());
    }
}
