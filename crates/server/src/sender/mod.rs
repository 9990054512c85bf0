//! Webhooks on their way: makes deliveries of what has happened, and posts what is due.
//!
//! One job looks at the outbox, woken by each commit of events and once a second, and starts a lane for each endpoint to
//! which something is due. A lane posts and notes what came of it until nothing is due any more. What an attempt means
//! is decided in `webhook::outcome`; here is only waited. Nobody waits for a receiver but its own lane: the tenant's
//! share bounds what its lanes have in flight, and the node's places are given out by turns of the tenants.

mod lane;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use api::App;
use api::readiness::Condition;
use kernel::clock::Timestamp;
use kernel::id::{self, Id};
use kernel::tenant::TenantId;
use record::outbox;
use record::tenant::Tenant;
use serde_json::json;
use store::{Batch, Row, Upkeep, params};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use webhook::endpoint::State;
use webhook::{Filter, sql};

use crate::jobs::must_wait;
use crate::outbound::guarded::Guarded;

/// Attempts in flight for one endpoint.
const OF_ENDPOINT: usize = 4;
/// Attempts in flight for one tenant.
const OF_TENANT: usize = 32;
/// Attempts in flight in all.
const OF_NODE: usize = 256;
/// How often it is looked for what is due, beside being woken.
const EVERY: Duration = Duration::from_secs(1);
/// Endpoints that get deliveries in one round, and how many of them at once.
const ENDPOINTS_PER_ROUND: i64 = 512;
const AT_ONCE: usize = 16;
/// Events for which an endpoint gets deliveries in one round.
const EVENTS_PER_ROUND: u32 = 200;
/// How often the figures are taken.
const FIGURES_EVERY: Duration = Duration::from_secs(10);
/// Seconds after which an event should have become a message.
const BEHIND_SECONDS: i64 = 60;
/// Endpoints whose backlog is a figure of its own: those that have waited longest.
const LABELS: i64 = 100;
/// What an end of the process leaves attempts in flight.
const PATIENCE: Duration = Duration::from_secs(5);

type Key = (TenantId, Id<id::Webhook>);

/// The sender of this process.
pub struct Sender {
    app: App,
    connector: Guarded,
    /// The name of this machine in the log of attempts.
    node: String,
    told: tokio::sync::Mutex<watch::Receiver<u64>>,
    stop: watch::Sender<bool>,
    lanes: Mutex<HashMap<Key, Arc<Signal>>>,
    running: Mutex<JoinSet<()>>,
    shares: Mutex<HashMap<TenantId, Arc<Share>>>,
    places: Arc<Semaphore>,
    figures_at: Mutex<Option<Instant>>,
}

/// How a lane hears that there is more.
#[derive(Default)]
struct Signal {
    has_more: AtomicBool,
    notify: Notify,
}

/// What the lanes of one tenant share.
struct Share {
    /// Of it only what never changes is used: id, slug and kind.
    tenant: Arc<Tenant>,
    queue: Queue,
}

/// Where a tenant's attempts wait.
struct Queue {
    slots: Arc<Semaphore>,
    /// Held while waiting for a place of the node: a tenant waits once, so that the places go round by tenants.
    turn: tokio::sync::Mutex<()>,
}

impl Default for Queue {
    fn default() -> Self {
        Self { slots: Arc::new(Semaphore::new(OF_TENANT)), turn: tokio::sync::Mutex::default() }
    }
}

impl Queue {
    /// Waits for the right to have one more attempt in flight; `None` never, for nobody closes a semaphore here.
    async fn permit(&self, places: &Arc<Semaphore>) -> Option<Permit> {
        let slot = Arc::clone(&self.slots).acquire_owned().await.ok()?;
        let _turn = self.turn.lock().await;
        let place = Arc::clone(places).acquire_owned().await.ok()?;
        Some(Permit { _slot: slot, _place: place })
    }
}

/// The right to have one attempt in flight.
struct Permit {
    _slot: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sender {
    /// A sender that posts through a connector. Nothing happens before [`Sender::round`].
    pub fn new(app: &App, connector: Guarded, node: String) -> Arc<Self> {
        Arc::new(Self {
            told: tokio::sync::Mutex::new(app.auth.store.told()),
            app: app.clone(),
            connector,
            node,
            stop: watch::Sender::new(false),
            lanes: Mutex::default(),
            running: Mutex::default(),
            shares: Mutex::default(),
            places: Arc::new(Semaphore::new(OF_NODE)),
            figures_at: Mutex::default(),
        })
    }

    /// Waits until there may be something to do, and does it. What is due is on its way when this returns, not at its end.
    pub async fn round(self: Arc<Self>) {
        self.woken().await;
        if must_wait(&self.app.auth) || *self.stop.borrow() {
            return;
        }
        loop {
            let is_whole = self.fan_out().await;
            self.start_lanes().await;
            if is_whole || *self.stop.borrow() {
                break;
            }
        }
        self.audit_openings().await;
        let is_due = held(&self.figures_at).is_none_or(|at| at.elapsed() >= FIGURES_EVERY);
        if is_due {
            *held(&self.figures_at) = Some(Instant::now());
            self.take_figures().await;
        }
    }

    /// Starts no more attempts, waits a while for those in flight and leaves the others: they are sent again.
    pub async fn finish(&self) {
        self.stop.send_replace(true);
        let mut running = std::mem::take(&mut *held(&self.running));
        let finished = tokio::time::timeout(PATIENCE, async { while running.join_next().await.is_some() {} });
        if finished.await.is_err() {
            tracing::info!("messages to webhooks were still on their way; the next start sends them again");
        }
    }

    async fn woken(&self) {
        let mut told = self.told.lock().await;
        tokio::select! {
            // the store lives as long as this does
            _ = told.changed() => {}
            () = tokio::time::sleep(EVERY) => {}
            () = self.stopped() => {}
        }
    }

    async fn stopped(&self) {
        // what it waits for is held here
        let _ = self.stop.subscribe().wait_for(|stopped| *stopped).await;
    }

    /// Makes deliveries of what has happened; `false` when more has than one round takes.
    async fn fan_out(self: &Arc<Self>) -> bool {
        let rows = match self.app.auth.store.read_all(&sql::BEHIND, params![ENDPOINTS_PER_ROUND]).await {
            Ok(rows) => rows,
            Err(error) => {
                tracing::warn!(%error, "the endpoints of webhooks could not be read");
                return true;
            }
        };
        let mut making: JoinSet<bool> = JoinSet::new();
        let mut is_whole = true;
        for row in rows {
            if making.len() >= AT_ONCE {
                is_whole &= making.join_next().await.is_none_or(|made| made.unwrap_or(true));
            }
            let sender = Arc::clone(self);
            making.spawn(async move {
                match sender.make_deliveries(&row).await {
                    Ok(is_whole) => is_whole,
                    // another change came first; the next round sees it
                    Err(record::Error::Store(store::Error::Conflict(_))) => true,
                    Err(error) => {
                        tracing::warn!(%error, "deliveries of a webhook were not made");
                        true
                    }
                }
            });
        }
        while let Some(made) = making.join_next().await {
            is_whole &= made.unwrap_or(true);
        }
        is_whole
    }

    /// Makes the deliveries of the next events for one endpoint; `false` when it lacks more.
    async fn make_deliveries(&self, row: &Row) -> Result<bool, record::Error> {
        let (auth, tenant, endpoint): (_, TenantId, Id<id::Webhook>) = (&self.app.auth, row.id(0)?, row.id(1)?);
        let (filter, state) = (Filter::from_text(row.text(2)?), row.text(3)?);
        let (from, last) = (row.int(4)?, row.int(5)?);
        let events = outbox::events_after(&auth.store, tenant, from, EVENTS_PER_ROUND).await?;
        // those up to the last one may be gone after a long pause
        let to = events.last().map_or(last, |event| event.position);
        let now = auth.clock.now();
        let mut batch = Batch::new();
        // Due a microsecond apart, the last one now: so they leave in their order.
        let mut at = now.as_micros().saturating_sub(i64::from(EVENTS_PER_ROUND));
        for event in events.iter().filter(|event| filter.matches(&event.kind)) {
            let id: Id<id::Delivery> = auth.with_entropy(|entropy| Id::generate(now, entropy));
            at = at.saturating_add(1);
            let at = Timestamp::from_micros(at);
            let next_at = (state == State::Enabled.name()).then_some(at);
            batch = batch.expect(
                1,
                &sql::DELIVERY_INSERT,
                params![tenant, endpoint, id, event.position, event.id, event.kind.as_str(), next_at, now],
            );
        }
        let batch = batch.expect(1, &sql::ENDPOINT_FANNED, params![tenant, endpoint, to, from, state]);
        auth.store.upkeep(Upkeep::FanOut, batch).await?;
        Ok(to >= last)
    }

    /// Starts a lane for each endpoint to which something is due, or tells the one that runs.
    async fn start_lanes(self: &Arc<Self>) {
        let auth = &self.app.auth;
        let due = match auth.store.read_all(&sql::DUE_ENDPOINTS, params![auth.clock.now()]).await {
            Ok(rows) => rows,
            Err(error) => return tracing::warn!(%error, "what is due to webhooks could not be read"),
        };
        while held(&self.running).try_join_next().is_some() {}
        if due.is_empty() {
            return;
        }
        for row in due {
            let (Ok(tenant), Ok(endpoint)) = (row.id(0), row.id(1)) else { continue };
            let Some(share) = self.share(tenant).await else { continue };
            let signal = match held(&self.lanes).entry((tenant, endpoint)) {
                Entry::Occupied(running) => {
                    running.get().has_more.store(true, Ordering::SeqCst);
                    running.get().notify.notify_one();
                    continue;
                }
                Entry::Vacant(place) => Arc::clone(place.insert(Arc::default())),
            };
            let lane = lane::Lane::new(Arc::clone(self), endpoint, signal, share);
            held(&self.running).spawn(lane.run());
        }
    }

    /// What the lanes of a tenant share; `None` for one that cannot be read now.
    async fn share(&self, tenant: TenantId) -> Option<Arc<Share>> {
        if let Some(share) = held(&self.shares).get(&tenant) {
            return Some(Arc::clone(share));
        }
        match self.app.auth.all_tenants().await {
            Ok(tenants) => {
                let mut shares = held(&self.shares);
                for tenant in tenants {
                    shares.entry(tenant.id).or_insert_with(|| Arc::new(Share { tenant, queue: Queue::default() }));
                }
                shares.get(&tenant).map(Arc::clone)
            }
            Err(error) => {
                tracing::warn!(%error, "the tenants could not be read");
                None
            }
        }
    }

    /// Records the first use of what the configuration opens.
    async fn audit_openings(&self) {
        let auth = &self.app.auth;
        for opening in self.connector.fresh_openings() {
            let Ok(Some(tenant)) = auth.tenant(kernel::tenant::DEFAULT_SLUG).await else { return };
            let who = auth.system(&tenant, "webhooks");
            let object = ("opening", opening.as_str());
            let after = Some(json!({"allow": opening}));
            let record = record::plan::change_record(
                auth,
                &who,
                &tenant,
                record::action::OUTBOUND_OPENED,
                object,
                (None, after),
            );
            if let Err(error) = auth.store.commit(Batch::new(), record).await {
                tracing::warn!(%error, opening, "the use of an entry of `outbound.allow` was not recorded");
            }
        }
    }

    /// How far behind the messages are.
    async fn take_figures(&self) {
        let (store, now) = (&self.app.auth.store, self.app.auth.clock.now());
        let taken = async {
            let unmade = store.read(&sql::OLDEST_UNMADE, params![]).await?.map(|row| row.time(0)).transpose()?;
            let rows = store.read_all(&sql::OPEN_ENDPOINTS, params![LABELS]).await?;
            let mut oldest = unmade;
            let mut backlogs = Vec::new();
            for row in rows {
                let (tenant, endpoint): (TenantId, Id<id::Webhook>) = (row.id(0)?, row.id(1)?);
                let since = row.time(2)?;
                oldest = Some(oldest.map_or(since, |oldest| oldest.min(since)));
                let most = webhook::delivery::MAX_BACKLOG;
                let counted = store.read(&sql::BACKLOG, params![tenant, endpoint, most]).await?;
                let counted = counted.map_or(Ok(0), |row| row.int(0))?;
                backlogs.push((endpoint.to_string(), u64::try_from(counted).unwrap_or(0)));
            }
            let readiness = &self.app.readiness;
            let is_behind = unmade.is_some_and(|since| now.seconds_since(since) > BEHIND_SECONDS);
            readiness.report(Condition::OutboxBacklog, "webhooks", is_behind, now);
            let has_paused = store.read(&sql::FAILING_PAUSED, params![]).await?.is_some();
            readiness.report(Condition::WebhookPaused, "webhooks", has_paused, now);
            let age = oldest.map_or(0, |oldest| now.seconds_since(oldest));
            Ok::<_, store::Error>((u64::try_from(age).unwrap_or(0), backlogs))
        };
        match taken.await {
            Ok((age, backlogs)) => {
                let figures = &self.app.gauges.webhooks;
                figures.oldest.store(age, Ordering::Relaxed);
                *held(&figures.backlogs) = backlogs;
            }
            Err(error) => tracing::warn!(%error, "the backlog of webhooks could not be counted"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn places_go_round_by_tenants_and_a_tenant_has_its_queue_at_most() {
        let places = Arc::new(Semaphore::new(1));
        let order = Arc::new(Mutex::new(String::new()));
        let mut waiting = JoinSet::new();
        let first = Queue::default().permit(&places).await.unwrap();
        for (name, attempts) in [("a", 5), ("b", 1), ("c", 2)] {
            let queue = Arc::new(Queue::default());
            for _ in 0..attempts {
                let (queue, places, order) = (Arc::clone(&queue), Arc::clone(&places), Arc::clone(&order));
                waiting.spawn(async move {
                    let permit = queue.permit(&places).await.unwrap();
                    held(&order).push_str(name);
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    drop(permit);
                });
                tokio::task::yield_now().await;
            }
        }
        drop(first);
        while waiting.join_next().await.is_some() {}
        assert_eq!(*held(&order), "abcacaaa");

        let (queue, places) = (Queue::default(), Arc::new(Semaphore::new(OF_NODE)));
        let mut permits = Vec::new();
        for _ in 0..OF_TENANT {
            permits.push(queue.permit(&places).await.unwrap());
        }
        assert!(tokio::time::timeout(Duration::from_mins(1), queue.permit(&places)).await.is_err());
        assert_eq!(places.available_permits(), OF_NODE - OF_TENANT);
        permits.pop();
        queue.permit(&places).await.unwrap();
    }
}
