//! HTTP that this process speaks to others: `client` is the command line's, `guarded` the server's own, whose targets
//! other people choose. Nothing else in the house opens a connection to speak HTTP.

mod client;
pub mod guarded;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

pub use client::{Answer, Flow, Message, Outbound, encoded, form};

/// Where systems keep the certificates they trust, in one file.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// TLS that trusts the certificates of a file, or those of the system.
///
/// # Errors
/// Says which certificates cannot be read.
pub fn tls(ca_file: Option<&Path>) -> Result<Arc<rustls::ClientConfig>, String> {
    let file = match ca_file {
        Some(file) => file.to_path_buf(),
        None => BUNDLES
            .iter()
            .map(PathBuf::from)
            .find(|file| file.exists())
            .ok_or("no trusted certificates were found on this system; name a file with `--ca-file`")?,
    };
    let unreadable = |error: &dyn std::fmt::Display| format!("the certificates in {}: {error}", file.display());
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(&file).map_err(|error| unreadable(&error))? {
        // A system's bundle may hold a certificate that this library does not read; the rest still counts.
        let _ = roots.add(certificate.map_err(|error| unreadable(&error))?);
    }
    trusting(roots).map_err(|error| unreadable(&error))
}

fn trusting(roots: rustls::RootCertStore) -> Result<Arc<rustls::ClientConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}
