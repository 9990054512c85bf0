//! One endpoint's messages: a lane posts what is due to it, at most so many at once, and ends when nothing is.

use std::collections::{HashSet, VecDeque};
use std::fmt::Write as _;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use auth::error::AdminError;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};
use kernel::clock::Timestamp;
use kernel::error::Fault;
use kernel::id::{self, Id};
use record::outbox;
use record::tenant::{Tenant, TenantKind};
use store::{Batch, Upkeep, params};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use webhook::delivery::{Delivery, DeliveryState};
use webhook::endpoint::{Endpoint, Reason, State};
use webhook::outcome::{Answer, Effect, Outcome, decide};
use webhook::{Signer, sql};

use super::{Key, OF_ENDPOINT, Permit, Sender, Share, Signal, held};
use crate::jobs::must_wait;
use crate::outbound::guarded::{Call, Reply, Rest};

/// From the name of the host to the head of the answer.
const WITHIN: Duration = Duration::from_secs(10);
/// Bytes of an answer's body that are read and dropped.
const READ_MAX: usize = 64 << 10;
/// Deliveries that are read at once.
const PAGE: usize = 32;
/// How long a lane waits when the store does not take what came of an attempt.
const AGAIN: Duration = Duration::from_secs(1);
/// Why an attempt fails whose event or keys cannot be read.
const UNREADABLE: &str = "unreadable";
/// How old `last_success_at` may be before a success is noted anew.
const NOTED_SECONDS: i64 = 60;

/// The lane of one endpoint.
pub(super) struct Lane {
    sender: Arc<Sender>,
    id: Id<id::Webhook>,
    signal: Arc<Signal>,
    share: Arc<Share>,
    signer: Arc<Keyed>,
    /// Read and not yet begun.
    queue: VecDeque<Id<id::Delivery>>,
    in_flight: HashSet<Id<id::Delivery>>,
    attempts: JoinSet<(Id<id::Delivery>, Option<Effect>)>,
    /// Whether one message goes at a time.
    is_slowed: bool,
    /// From one attempt to the next at least.
    interval: Duration,
    next_start: Instant,
}

/// The signer of an endpoint, for the version that it was made for.
type Keyed = Mutex<Option<(i64, Arc<Signer>)>>;

/// Takes the lane off the list, even if it panics.
struct Leaving<'a>(&'a Sender, Option<Key>);

impl Leaving<'_> {
    /// Ends the lane unless something was reported since the last look.
    fn is_over(&mut self, signal: &Signal) -> bool {
        let mut lanes = held(&self.0.lanes);
        if signal.has_more.swap(false, Ordering::SeqCst) && !must_wait(&self.0.app.auth) {
            return false;
        }
        self.1.take().map(|key| lanes.remove(&key));
        true
    }
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if let Some(key) = &self.1 {
            held(&self.0.lanes).remove(key);
        }
    }
}

impl Lane {
    pub(super) fn new(sender: Arc<Sender>, id: Id<id::Webhook>, signal: Arc<Signal>, share: Arc<Share>) -> Self {
        Self {
            sender,
            id,
            signal,
            share,
            signer: Arc::default(),
            queue: VecDeque::new(),
            in_flight: HashSet::new(),
            attempts: JoinSet::new(),
            is_slowed: false,
            interval: Duration::ZERO,
            next_start: Instant::now(),
        }
    }

    /// Posts until nothing is due, or until the process stops.
    pub(super) async fn run(mut self) {
        let sender = Arc::clone(&self.sender);
        let mut leaving = Leaving(&sender, Some((self.share.tenant.id, self.id)));
        loop {
            while self.has_room() && !must_wait(&sender.app.auth) {
                let begun = tokio::select! {
                    begun = self.begin() => begun,
                    () = sender.stopped() => return self.finish().await,
                };
                if !begun {
                    break;
                }
            }
            if self.attempts.is_empty() {
                // An attempt must not follow the last one too soon because another lane begins it.
                sleep_until(self.next_start).await;
                if leaving.is_over(&self.signal) {
                    return;
                }
                continue;
            }
            tokio::select! {
                Some(ended) = self.attempts.join_next() => self.take(ended.ok()),
                () = self.signal.notify.notified() => {}
                () = sender.stopped() => return self.finish().await,
            }
        }
    }

    fn has_room(&self) -> bool {
        self.attempts.len() < if self.is_slowed { 1 } else { OF_ENDPOINT }
    }

    async fn finish(mut self) {
        while let Some(ended) = self.attempts.join_next().await {
            self.take(ended.ok());
        }
    }

    /// Learns from an attempt that has ended; one that panicked stays due and is not begun again by this lane.
    fn take(&mut self, ended: Option<(Id<id::Delivery>, Option<Effect>)>) {
        let Some((delivery, effect)) = ended else { return };
        self.in_flight.remove(&delivery);
        match effect {
            Some(Effect::Arrived) => self.is_slowed = false,
            Some(Effect::Slowed) => self.is_slowed = true,
            // whatever was read before no longer holds
            Some(Effect::Paused | Effect::Gone) | None => self.queue.clear(),
            Some(Effect::Failed) => {}
        }
    }

    /// Begins the next attempt; `false` when nothing is due.
    async fn begin(&mut self) -> bool {
        if self.queue.is_empty() && !self.refill().await {
            return false;
        }
        sleep_until(self.next_start).await;
        let Some(permit) = self.share.queue.permit(&self.sender.places).await else { return false };
        let Some(delivery) = self.queue.pop_front() else { return false };
        self.next_start = Instant::now().checked_add(self.interval).unwrap_or(self.next_start);
        self.in_flight.insert(delivery);
        let attempt = Attempt {
            sender: Arc::clone(&self.sender),
            tenant: Arc::clone(&self.share.tenant),
            endpoint: self.id,
            delivery,
            signer: Arc::clone(&self.signer),
        };
        self.attempts.spawn(async move { (delivery, attempt.carry_out(permit).await) });
        true
    }

    /// Reads what is due and not in flight, with how the endpoint stands; `false` when there is nothing.
    async fn refill(&mut self) -> bool {
        let auth = &self.sender.app.auth;
        let limit = i64::try_from(PAGE.saturating_add(self.in_flight.len())).unwrap_or(i64::MAX);
        let now = auth.clock.now();
        let asks = vec![
            (&sql::ENDPOINT_READ, params![self.share.tenant.id, self.id]),
            (&sql::DUE, params![self.share.tenant.id, self.id, now, limit]),
        ];
        let read = async {
            let mut answers = auth.store.read_many(asks).await?.into_iter();
            let (endpoint, due) = (answers.next().unwrap_or_default(), answers.next().unwrap_or_default());
            let endpoint = endpoint.first().map(Endpoint::from_row).transpose()?;
            let due = due.iter().map(|row| row.id(0)).collect::<Result<Vec<Id<id::Delivery>>, _>>()?;
            Ok::<_, store::Error>(endpoint.map(|endpoint| (endpoint, due)))
        };
        let (endpoint, due) = match read.await {
            Ok(Some(read)) => read,
            Ok(None) => return false,
            Err(error) => {
                tracing::warn!(%error, endpoint = %self.id, "what is due to a webhook could not be read");
                return false;
            }
        };
        if endpoint.state != State::Enabled {
            return false;
        }
        self.is_slowed = endpoint.slowed_at.is_some();
        self.interval = endpoint
            .rate_per_second
            .map_or(Duration::ZERO, |rate| Duration::from_secs(1).checked_div(rate).unwrap_or_default());
        self.queue.extend(due.into_iter().filter(|delivery| !self.in_flight.contains(delivery)));
        !self.queue.is_empty()
    }
}

/// One attempt at one delivery.
struct Attempt {
    sender: Arc<Sender>,
    tenant: Arc<Tenant>,
    endpoint: Id<id::Webhook>,
    delivery: Id<id::Delivery>,
    signer: Arc<Keyed>,
}

impl Attempt {
    /// Posts and notes what came of it; what that means for the endpoint, `None` when nothing was posted.
    async fn carry_out(self, permit: Permit) -> Option<Effect> {
        let (endpoint, delivery, message) = match self.prepare().await {
            Ok(Some(prepared)) => prepared,
            Ok(None) => return None,
            Err(error) => {
                tracing::warn!(%error, delivery = %self.delivery, "a message to a webhook could not be made");
                sleep(AGAIN).await;
                return None;
            }
        };
        let auth = &self.sender.app.auth;
        let (at, begun) = (auth.clock.now(), Instant::now());
        let (answer, rest) = match message {
            Some(message) => self.post(&endpoint, message).await,
            None => (Err(UNREADABLE), None),
        };
        let took = begun.elapsed();
        let said = match &answer {
            Ok(Reply { status, retry_after }) => {
                Answer::Status { code: status.as_u16(), retry_after: retry_after.as_deref() }
            }
            Err(code) => Answer::None(code),
        };
        let now = auth.clock.now();
        let outcome = auth.with_entropy(|entropy| decide(said, delivery.tries, endpoint.failing_since, now, entropy));
        self.sender.app.gauges.webhooks.count(outcome.error.as_deref());
        let effect = outcome.effect;
        self.note(&endpoint, &delivery, (at, took), &outcome).await;
        if let Some(reason) = match effect {
            Effect::Paused => Some(Reason::Failing),
            Effect::Gone => Some(Reason::Gone),
            Effect::Arrived | Effect::Failed | Effect::Slowed => None,
        } {
            self.stop(endpoint, reason).await;
        }
        // The receiver may still be talking; it holds its own place by that and nothing else.
        if let Some(rest) = rest {
            rest.drain().await;
        }
        drop(permit);
        Some(effect)
    }

    async fn post(&self, endpoint: &Endpoint, message: Message) -> (Result<Reply, &'static str>, Option<Rest>) {
        let call = Call {
            url: &endpoint.url,
            has_plain: self.tenant.kind == TenantKind::Sandbox,
            fields: message.fields,
            body: message.body,
            within: WITHIN,
            read_max: READ_MAX,
        };
        match self.sender.connector.post(call).await {
            Ok((reply, rest)) => (Ok(reply), Some(rest)),
            Err(error) => (Err(error.code()), None),
        }
    }

    /// The endpoint and the delivery as they are now; `None` when it is not to be sent any more. The message is absent when
    /// it cannot be made of what is stored: that fails like any other attempt.
    async fn prepare(&self) -> Result<Option<(Endpoint, Delivery, Option<Message>)>, store::Error> {
        let (auth, tenant) = (&self.sender.app.auth, self.tenant.id);
        let asks = vec![
            (&sql::ENDPOINT_READ, params![tenant, self.endpoint]),
            (&sql::DELIVERY_READ, params![tenant, self.endpoint, self.delivery]),
        ];
        let mut answers = auth.store.read_many(asks).await?.into_iter();
        let (endpoint, delivery) = (answers.next().unwrap_or_default(), answers.next().unwrap_or_default());
        let (Some(endpoint), Some(delivery)) = (endpoint.first(), delivery.first()) else { return Ok(None) };
        let (endpoint, delivery) = (Endpoint::from_row(endpoint)?, Delivery::from_row(delivery)?);
        let is_due = delivery.state == DeliveryState::Pending && delivery.next_at.is_some();
        if endpoint.state != State::Enabled || !is_due {
            return Ok(None);
        }
        let message = match self.message(&endpoint, &delivery).await {
            Ok(message) => Some(message),
            Err(record::Error::Store(error)) if error.fault() == Fault::Busy => return Err(error),
            Err(error) => {
                tracing::error!(code = "row_corrupt", %error, delivery = %self.delivery, "an event cannot be read");
                None
            }
        };
        Ok(Some((endpoint, delivery, message)))
    }

    async fn message(&self, endpoint: &Endpoint, delivery: &Delivery) -> Result<Message, record::Error> {
        let auth = &self.sender.app.auth;
        // An event is kept as long as one of its deliveries is open.
        let event = outbox::event(&auth.store, self.tenant.id, delivery.event_id).await?;
        let event = event.ok_or(store::Error::RowCorrupt)?;
        let body = event.wire(&self.tenant.slug)?.to_string();
        let (id, now) = (event.id.to_string(), auth.clock.now());
        let signer = self.signer(endpoint).await?;
        let signature = signer.sign(&id, now, body.as_bytes()).map_err(|_| store::Error::RowCorrupt)?;
        Ok(Message { fields: fields(&id, now, &signature, &self.trace(event.id)), body: Bytes::from(body) })
    }

    async fn signer(&self, endpoint: &Endpoint) -> Result<Arc<Signer>, store::Error> {
        if let Some((version, signer)) = &*held(&self.signer)
            && *version == endpoint.version
        {
            return Ok(Arc::clone(signer));
        }
        let signer = Arc::new(Signer::open(&self.sender.app.auth, self.tenant.id, endpoint).await?);
        *held(&self.signer) = Some((endpoint.version, Arc::clone(&signer)));
        Ok(signer)
    }

    /// `traceparent` (W3C): all attempts of an event are of one trace, which has the event's id.
    fn trace(&self, event: Id<id::Event>) -> String {
        let mut span = [0_u8; 8];
        self.sender.app.auth.with_entropy(|entropy| entropy.fill(&mut span));
        // a span of zeros is none
        let [.., last] = &mut span;
        *last |= 1;
        let mut text = "00-".to_owned();
        for byte in event.as_bytes() {
            // Writing to a String cannot fail, here and below.
            let _ = write!(text, "{byte:02x}");
        }
        text.push('-');
        for byte in span {
            let _ = write!(text, "{byte:02x}");
        }
        text.push_str("-00");
        text
    }

    /// Writes what came of the attempt. It is not given up while the store is away: the message would be sent again at once
    /// otherwise, and again.
    async fn note(
        &self,
        endpoint: &Endpoint,
        delivery: &Delivery,
        (at, took): (Timestamp, Duration),
        outcome: &Outcome,
    ) {
        let auth = &self.sender.app.auth;
        let batch = self.batch(endpoint, delivery, (at, took), outcome);
        loop {
            match auth.store.upkeep(Upkeep::Attempt, batch.clone()).await {
                // somebody changed the delivery meanwhile, or a commit without an answer was one after all
                Ok(()) | Err(store::Error::Conflict(_)) => return,
                Err(error) => {
                    tracing::warn!(%error, delivery = %delivery.id, "what came of a message to a webhook was not noted");
                    let is_lasting = error.fault() != Fault::Busy;
                    tokio::select! {
                        () = sleep(AGAIN) => {}
                        () = self.sender.stopped() => return,
                    }
                    if is_lasting {
                        return;
                    }
                }
            }
        }
    }

    fn batch(
        &self,
        endpoint: &Endpoint,
        delivery: &Delivery,
        (at, took): (Timestamp, Duration),
        outcome: &Outcome,
    ) -> Batch {
        let (tenant, now) = (self.tenant.id, self.sender.app.auth.clock.now());
        let number = delivery.attempts.saturating_add(1);
        let millis = i64::try_from(took.as_millis()).unwrap_or(i64::MAX);
        let (status, error) = (outcome.status.map(i64::from), outcome.error.as_deref());
        let ids = || params![tenant, self.endpoint, delivery.id, number, status];
        let mut values = params![tenant, self.endpoint, delivery.id, number, at, millis, status, error];
        values.push(self.sender.node.as_str().into());
        let batch = Batch::new();
        let batch = if outcome.state == DeliveryState::Delivered {
            batch.expect(1, &sql::DELIVERY_ARRIVED, [ids(), params![now]].concat())
        } else {
            batch.expect(1, &sql::DELIVERY_TRIED, [ids(), params![error, outcome.next_at, now]].concat())
        };
        let batch = batch.expect(1, &sql::ATTEMPT_INSERT, values);
        let is_stale = || endpoint.last_success_at.is_none_or(|at| now.seconds_since(at) >= NOTED_SECONDS);
        match outcome.effect {
            Effect::Arrived if endpoint.failing_since.is_some() || endpoint.slowed_at.is_some() || is_stale() => {
                batch.run(&sql::ENDPOINT_ARRIVED, params![tenant, self.endpoint, now])
            }
            Effect::Slowed if endpoint.failing_since.is_none() || endpoint.slowed_at.is_none() => {
                batch.run(&sql::ENDPOINT_FAILED, params![tenant, self.endpoint, now, Some(now)])
            }
            Effect::Failed | Effect::Paused | Effect::Gone if endpoint.failing_since.is_none() => {
                batch.run(&sql::ENDPOINT_FAILED, params![tenant, self.endpoint, now, None::<Timestamp>])
            }
            _ => batch,
        }
    }

    /// Pauses or disables the endpoint, unless somebody has changed it meanwhile: then the next failure decides again.
    async fn stop(&self, endpoint: Endpoint, reason: Reason) {
        let auth = &self.sender.app.auth;
        let who = auth.system(&self.tenant, "webhooks");
        let planned = webhook::change::stop(auth, &who, &self.tenant, &endpoint, reason);
        match auth.run(planned).await {
            Ok(_) => {
                tracing::info!(endpoint = %endpoint.id, reason = reason.name(), "a webhook endpoint gets no more messages");
            }
            Err(AdminError::Store(store::Error::Conflict(_))) => {}
            Err(error) => tracing::warn!(%error, endpoint = %endpoint.id, "a webhook endpoint was not stopped"),
        }
    }
}

/// What is posted.
struct Message {
    fields: HeaderMap,
    body: Bytes,
}

fn fields(id: &str, at: Timestamp, signature: &str, trace: &str) -> HeaderMap {
    let named = |name: &'static str, text: &str| {
        // all of them are made here, of letters, digits and signs
        Some((HeaderName::from_static(name), HeaderValue::try_from(text).ok()?))
    };
    let texts = [
        named("webhook-id", id),
        named("webhook-timestamp", &at.as_seconds().to_string()),
        named("webhook-signature", signature),
        named("traceparent", trace),
    ];
    let mut fields: HeaderMap = texts.into_iter().flatten().collect();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    fields.insert(USER_AGENT, HeaderValue::from_static(concat!("Bastionary/", env!("CARGO_PKG_VERSION"))));
    fields
}
