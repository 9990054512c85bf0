//! `bastionary serve`: from the configuration to a drained end.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::HeaderMap;
use tokio::net::TcpListener;

use crate::boot::{House, chain, first_admin, first_operator};
use crate::config::{Config, Overrides};
use crate::data_dir::DataDir;
use crate::environment;
use crate::failure::{Exit, Failure};
use crate::jobs::Jobs;
use crate::listen::tls::Certificates;
use crate::listen::{self, ListenOptions, ListenStats, Refuse};
use crate::local;
use crate::operation::{ACCEPT, unconfirmed};
use crate::stopping::{Hangup, Stop};
use crate::{telemetry, vitals};

/// How often certificate files are looked at.
const CERTIFICATES_EVERY: Duration = Duration::from_mins(1);

/// Runs the server until it is told to stop.
///
/// # Errors
/// A [`Failure`] when it cannot start, or when it must not go on.
pub async fn run(file: Option<&Path>, overrides: Overrides) -> Result<(), Failure> {
    let config = Config::load(file, &environment::ours(), overrides)?;
    config.listen_guard()?;
    logs(&config)?;
    let stop = Stop::on_signals(Hangup::Reload)?;
    let dir = DataDir::hold(&config.data_dir)?;
    let edge = Edge::open(&config).await?;
    let address = edge.address;
    let house = House::open(&config, dir, config.issuer_for(address)).await?;
    let first = async {
        refuse_unconfirmed(&house).await?;
        first_admin(&house, &config).await?;
        first_operator(&house).await
    };
    if let Err(failure) = first.await {
        house.close().await;
        return Err(failure);
    }
    run_house(&config, house, edge, &stop, || {
        tracing::info!(%address, version = env!("CARGO_PKG_VERSION"), "the server is ready");
    })
    .await
}

/// A restored store is served only once a person has answered for what it cannot know.
async fn refuse_unconfirmed(house: &House) -> Result<(), Failure> {
    let found = house.auth.unconfirmed_restore().await;
    let found = found.map_err(|error| Failure::new("the store cannot be read", chain(&error), ""))?;
    found.map_or(Ok(()), |taken_at| {
        Err(Failure::new("the restore is not confirmed (restore_unconfirmed)", unconfirmed(taken_at), ACCEPT))
    })
}

/// The bound sockets and the certificate, taken before the store is touched.
pub struct Edge {
    /// Where the public listener is bound.
    pub address: SocketAddr,
    listener: TcpListener,
    management: Option<TcpListener>,
    certificates: Option<Arc<Certificates>>,
}

impl Edge {
    /// Binds both listeners and reads the certificate.
    ///
    /// # Errors
    /// When an address is taken or a file cannot be used.
    pub async fn open(config: &Config) -> Result<Self, Failure> {
        let certificates = config.tls.as_ref().map(Certificates::load).transpose().map_err(tls_failure)?;
        let listener = bind(config.listen, "listen").await?;
        let address =
            listener.local_addr().map_err(|error| Failure::new("the bound address is not known", error, ""))?;
        let management = match config.management_listen {
            Some(address) => Some(bind(address, "management_listen").await?),
            None => None,
        };
        Ok(Self { address, listener, management, certificates })
    }
}

fn tls_failure(error: crate::listen::tls::TlsError) -> Failure {
    Failure::new("TLS cannot be set up", error, "")
}

/// Sends log lines, and what is left of panics, where the configuration says.
///
/// # Errors
/// When the filter cannot be used.
pub fn logs(config: &Config) -> Result<(), Failure> {
    // One line in the log instead of a stack trace between the lines.
    std::panic::set_hook(Box::new(|panic| tracing::error!(code = "panic", "{panic}")));
    telemetry::init(&config.log, config.log_format)
        .map_err(|error| Failure::new("log lines cannot be written", error, "").exit(Exit::Usage))
}

async fn bind(address: SocketAddr, setting: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        let flag = if setting == "listen" { "`--listen 127.0.0.1:0` takes any free port. " } else { "" };
        let why = match error.kind() {
            std::io::ErrorKind::AddrInUse => "another process listens there".to_owned(),
            std::io::ErrorKind::AddrNotAvailable => "this machine does not have that address".to_owned(),
            std::io::ErrorKind::PermissionDenied => "this user may not listen on that port".to_owned(),
            _ => error.to_string(),
        };
        Failure::new(
            format!("the server cannot listen on {address}"),
            why,
            format!("{flag}Stop the other process, or set `{setting}` to another address."),
        )
    })
}

/// Serves an open house until `stop` is asked, then drains and closes it.
///
/// # Errors
/// When the listeners fail, when another process serves the store, and when stopping was asked for twice.
pub async fn run_house(
    config: &Config,
    mut house: House,
    edge: Edge,
    stop: &Stop,
    ready: impl FnOnce(),
) -> Result<(), Failure> {
    let (stats, aside_stats) = (Arc::<ListenStats>::default(), Arc::<ListenStats>::default());
    let Edge { address, listener, management, certificates } = edge;
    let tls = certificates.as_ref().map(Certificates::server_config).transpose().map_err(tls_failure)?;
    let watching = certificates.clone().map(|certificates| tokio::spawn(certificates.watch(CERTIFICATES_EVERY)));

    let contacts = config.security_contact.clone();
    let app = api::App::configured(Arc::clone(&house.auth), config.limits.in_flight, contacts);
    let socket = local::listen(house.dir.socket(), &house.auth, address)?;
    let job_panics = Arc::<AtomicU64>::default();
    let jobs = Jobs::start(&app, &job_panics);
    let figures = vitals::figures(&stats, &job_panics);
    let vitals = tokio::spawn(vitals::watch(app.clone(), [Arc::clone(&stats), Arc::clone(&aside_stats)], certificates));

    let refuse: Refuse = {
        let app = app.clone();
        Arc::new(move |refusal, path: &str, headers: &HeaderMap, transport| {
            app.refuse(refusal, path, headers, transport)
        })
    };
    let options = |tls| ListenOptions {
        refuse: Arc::clone(&refuse),
        limits: config.limits.clone(),
        trusted: config.proxy_trusted.clone(),
        tls,
        stats: Arc::clone(&stats),
    };
    let draining = {
        let (stop, app) = (stop.clone(), app.clone());
        async move {
            stop.asked().await;
            app.auth.is_ending.store(true, Ordering::Relaxed);
            app.readiness.drain(app.auth.clock.now());
            tracing::info!("stopping: requests in flight are finished first");
        }
    };
    let main = listen::serve(listener, api::router(app.clone()), options(tls), draining);
    let aside = async {
        match management {
            Some(listener) => {
                let plain = ListenOptions { stats: Arc::clone(&aside_stats), ..options(None) };
                listen::serve(listener, api::management_router(app.clone(), figures), plain, stop.asked()).await
            }
            None => Ok(()),
        }
    };
    ready();
    let served = tokio::select! {
        served = async { tokio::try_join!(main, aside).map(|_| ()) } => served.map_err(|error| Failure::new("the listener failed", error, "")),
        () = stop.insisted() => Err(Failure::new("stopped at once", "stopping was asked for twice", "What was acknowledged is on disk.")),
        failure = lease_taken(&mut house) => Err(failure),
    };

    drop(socket);
    vitals.abort();
    if let Some(watching) = watching {
        watching.abort();
    }
    if served.is_ok() {
        jobs.finish().await;
        house.close().await;
        tracing::info!("stopped");
    }
    served
}

/// Resolves once another process serves the store; until then a lost lease only silences this one.
async fn lease_taken(house: &mut House) -> Failure {
    let error = house.lease.taken().await;
    tracing::error!(code = "lease_lost", error = chain(&error), "another process serves the store; this one ends");
    Failure::new("the server ended itself", chain(&error), "Two servers cannot share a database; start one of them.")
        .exit(Exit::Conflict)
}
