//! TLS of the listener: TLS 1.2 and 1.3 on aws-lc-rs, with a certificate that is replaced while serving.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use kernel::clock::Timestamp;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::signal::unix::{SignalKind, signal};

use super::validity::Validity;
use crate::config::Tls;

/// Why certificate and key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or holds no PEM object of the kind it should.
    #[error("`{key}` = {} cannot be used: {source}. It must be a readable PEM file.", file.display())]
    File {
        /// The configuration key.
        key: &'static str,
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// The certificate file is valid PEM without a certificate.
    #[error("`tls.cert_file` = {} holds no certificate. Put the certificate first, then its intermediates.", .0.display())]
    Empty(PathBuf),
    /// Certificate and key do not belong together, or the key's kind is not supported.
    #[error(
        "certificate and key cannot be used together: {0}. Check that `tls.key_file` is the key of `tls.cert_file`."
    )]
    Pair(#[source] rustls::Error),
    /// The TLS library refused the configuration.
    #[error("TLS could not be set up: {0}")]
    Setup(#[source] rustls::Error),
}

/// What tells one version of a file from the next.
type Stamp = (Option<SystemTime>, u64);

/// The certificate being served, and the files it comes from.
#[derive(Debug)]
pub struct Certificates {
    files: Tls,
    provider: Arc<CryptoProvider>,
    current: ArcSwap<CertifiedKey>,
    seen: Mutex<[Stamp; 2]>,
}

impl Certificates {
    /// Reads certificate and key.
    ///
    /// # Errors
    /// [`TlsError`] when a file is unreadable or the two do not belong together.
    pub fn load(files: &Tls) -> Result<Arc<Self>, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let seen = stamps(files);
        let current = read(files, &provider)?;
        Ok(Arc::new(Self {
            files: files.clone(),
            provider,
            current: ArcSwap::from_pointee(current),
            seen: Mutex::new(seen),
        }))
    }

    /// The configuration of a listener that serves whatever certificate is current.
    ///
    /// # Errors
    /// [`TlsError::Setup`] when the TLS library refuses it.
    pub fn server_config(self: &Arc<Self>) -> Result<Arc<ServerConfig>, TlsError> {
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider));
        let mut config = builder
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Setup)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::<Self>::clone(self));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.ticketer = aws_lc_rs::Ticketer::new().map_err(TlsError::Setup)?;
        Ok(Arc::new(config))
    }

    /// Whether the certificate being served ends soon, or when it ends cannot be read from it.
    pub fn is_expiring(&self, now: Timestamp) -> bool {
        let current = self.current.load();
        current.cert.first().and_then(|leaf| Validity::of(leaf)).is_none_or(|validity| validity.is_nearly_over(now))
    }

    /// Reads both files again; new connections get the new certificate.
    ///
    /// # Errors
    /// [`TlsError`] as for [`Certificates::load`]; the certificate served so far stays.
    pub fn reload(&self) -> Result<(), TlsError> {
        let stamps = stamps(&self.files);
        // Remembered even when reading fails: a broken file is reported once, and tried again when it changes.
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = stamps;
        self.current.store(Arc::new(read(&self.files, &self.provider)?));
        Ok(())
    }

    /// Reloads if size or modification time of one of the files changed; whether it did.
    ///
    /// # Errors
    /// As [`Certificates::reload`].
    pub fn reload_if_changed(&self) -> Result<bool, TlsError> {
        let is_changed = stamps(&self.files) != *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if is_changed {
            self.reload()?;
        }
        Ok(is_changed)
    }

    /// Reloads on SIGHUP, and looks at the files each `interval`; runs until dropped. Failures are logged.
    pub async fn watch(self: Arc<Self>, interval: Duration) {
        let mut hangup = signal(SignalKind::hangup())
            .inspect_err(|error| tracing::warn!(%error, "SIGHUP cannot be watched; certificates reload on change only"))
            .ok();
        let mut ticks = tokio::time::interval(interval);
        loop {
            let outcome = tokio::select! {
                _ = ticks.tick() => self.reload_if_changed(),
                Some(()) = hung_up(&mut hangup) => self.reload().map(|()| true),
            };
            match outcome {
                Ok(false) => {}
                Ok(true) => tracing::info!(file = %self.files.cert_file.display(), "the certificate was reloaded"),
                Err(error) => tracing::error!(%error, "the certificate was not reloaded; the one before stays in use"),
            }
        }
    }
}

async fn hung_up(hangup: &mut Option<tokio::signal::unix::Signal>) -> Option<()> {
    match hangup {
        Some(hangup) => hangup.recv().await,
        None => None,
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

fn stamps(files: &Tls) -> [Stamp; 2] {
    [&files.cert_file, &files.key_file].map(|file| stamp(file))
}

fn stamp(file: &Path) -> Stamp {
    std::fs::metadata(file).map_or((None, 0), |m| (m.modified().ok(), m.len()))
}

fn read(files: &Tls, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let broken = |key, file: &PathBuf| {
        let file = file.clone();
        move |source| TlsError::File { key, file, source }
    };
    let chain = CertificateDer::pem_file_iter(&files.cert_file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(broken("tls.cert_file", &files.cert_file))?;
    if chain.is_empty() {
        return Err(TlsError::Empty(files.cert_file.clone()));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key_file).map_err(broken("tls.key_file", &files.key_file))?;
    CertifiedKey::from_der(chain, key, provider).map_err(TlsError::Pair)
}
