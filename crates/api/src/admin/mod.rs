//! The admin API: one gate for every route of the list, one handler per operation.

mod apis;
mod audit;
mod backfills;
mod catalog;
mod clients;
mod clock;
mod customers;
mod events;
mod keys;
mod operators;
mod secrets;
pub(crate) mod stream;
mod subscriptions;
mod tenants;
mod usage;
mod webhooks;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError};

use auth::client::Client;
use auth::error::{AdminError, OauthError};
use auth::limit::{LimitState, rate_of, source_key};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodFilter, on};
use billing::plan::PlanState;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LINK, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body_util::BodyExt as _;
use jose::mac::HmacKey;
use jose::seal::SealKey;
use kernel::principal::Principal;
use kernel::tenant::DEFAULT_SLUG;
use record::plan::Planned;
use record::tenant::Tenant;
use serde_json::{Value, json};
use store::keyring::Purpose;
use store::{Batch, params};

use crate::basic::{self, Authorization};
use crate::edge::BodyRead;
use crate::oauth_error::limit_headers;
use crate::peer::{ClientAddress, is_body_too_slow};
use crate::problem::{Problem, from_admin};
use crate::request_id::RequestId;
use crate::route::{ROUTES, Route, Verb};
use crate::{App, etag, json as strict};

/// Seconds an answer is kept for a repeated `Idempotency-Key`.
const KEPT_SECONDS: i64 = 86_400;

/// Says that an answer is the kept one of an earlier request.
const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// An admin request behind the gate.
pub(crate) struct Ask {
    app: App,
    route: &'static Route,
    tenant: Arc<Tenant>,
    who: Principal,
    path: HashMap<String, String>,
    query: HashMap<String, String>,
    headers: HeaderMap,
    body: Value,
    /// The body as it came, for the routes that read it themselves.
    raw: Bytes,
    repeat: Option<Repeat>,
}

/// The identity of an idempotent request.
struct Repeat {
    key_hash: [u8; 32],
    request_hash: [u8; 32],
    seal: SealKey,
    app: App,
}

impl Drop for Repeat {
    fn drop(&mut self) {
        self.app.in_flight.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key_hash);
    }
}

/// An answer before it is written out.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    status: StatusCode,
    body: Option<Value>,
    location: Option<String>,
    version: Option<i64>,
    /// Where the next page of a list is, as the value of `Link` (RFC 8288).
    next: Option<String>,
}

impl Reply {
    fn ok(body: Value) -> Self {
        Self { status: StatusCode::OK, body: Some(body), location: None, version: None, next: None }
    }

    fn created(location: String, body: Value) -> Self {
        Self { status: StatusCode::CREATED, body: Some(body), location: Some(location), version: None, next: None }
    }

    fn empty() -> Self {
        Self { status: StatusCode::NO_CONTENT, body: None, location: None, version: None, next: None }
    }

    const fn version(mut self, version: i64) -> Self {
        self.version = Some(version);
        self
    }

    /// 304 without the body when the caller has this version already (RFC 9110 §13.1.2).
    ///
    /// A client expires without a new version: whoever read it before has it as active.
    fn unless_known(self, headers: Option<&HeaderMap>) -> Self {
        let is_expired = self.body.as_ref().and_then(|body| body.get("status")).is_some_and(|s| s == "expired");
        let is_known = headers.zip(self.version).is_some_and(|(headers, v)| etag::if_none_match(headers, &etag::of(v)));
        if is_known && !is_expired && self.status == StatusCode::OK {
            return Self { status: StatusCode::NOT_MODIFIED, body: None, ..self };
        }
        self
    }

    fn to_kept(&self) -> Value {
        json!({"status": self.status.as_u16(), "body": self.body, "location": self.location, "version": self.version})
    }

    fn from_kept(kept: &Value) -> Option<Self> {
        Some(Self {
            status: StatusCode::from_u16(u16::try_from(kept.get("status")?.as_u64()?).ok()?).ok()?,
            body: kept.get("body").filter(|b| !b.is_null()).cloned(),
            location: kept.get("location").and_then(Value::as_str).map(str::to_owned),
            version: kept.get("version").and_then(Value::as_i64),
            next: None,
        })
    }
}

impl axum::response::IntoResponse for Reply {
    fn into_response(self) -> Response {
        // writing into bytes fails for no value: every key of an object is a text
        let body = self.body.as_ref().map(|body| serde_json::to_vec(body).unwrap_or_default());
        let mut answer = Response::new(body.map_or_else(Body::empty, Body::from));
        *answer.status_mut() = self.status;
        let headers = answer.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let texts = [(LOCATION, self.location), (ETAG, self.version.map(etag::of)), (LINK, self.next)];
        for (name, text) in texts {
            if let Some(Ok(value)) = text.map(|t| HeaderValue::from_str(&t)) {
                headers.insert(name, value);
            }
        }
        answer
    }
}

/// Adds every admin route below a prefix.
pub(crate) fn mount(mut router: Router<App>, prefix: &str) -> Router<App> {
    for route in ROUTES {
        let filter = match route.method {
            Verb::Get => MethodFilter::GET,
            Verb::Post => MethodFilter::POST,
            Verb::Patch => MethodFilter::PATCH,
            Verb::Delete => MethodFilter::DELETE,
        };
        let path = format!("{prefix}{}", route.path);
        router = router.route(
            &path,
            on(filter, move |State(app): State<App>, path: Parameters, request: Request| {
                serve(app, route, path, request)
            }),
        );
    }
    router
}

/// The parameters of a path, or that they are not UTF-8.
type Parameters = Result<Path<HashMap<String, String>>, PathRejection>;

async fn serve(app: App, route: &'static Route, path: Parameters, request: Request) -> Response {
    let Ok(Path(path)) = path else {
        return Problem::malformed("the path is not UTF-8 after decoding").into_response();
    };
    let mut limits = LimitState::default();
    let is_conditional =
        route.conditional && route.method == Verb::Get && request.headers().contains_key(IF_NONE_MATCH);
    let known = is_conditional.then(|| request.headers().clone());
    let mut answer = match gate(app, route, path, request, &mut limits).await {
        Ok(Passed::Ask(ask)) if route.operation_id == "streamEvents" => {
            Box::pin(stream::open(*ask)).await.unwrap_or_else(axum::response::IntoResponse::into_response)
        }
        Ok(Passed::Ask(ask)) => match operate(&ask).await {
            Ok(reply) => reply.unless_known(known.as_ref()).into_response(),
            Err(problem) => problem.into_response(),
        },
        Ok(Passed::Kept(reply)) => {
            let mut answer = reply.into_response();
            answer.headers_mut().insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
            answer
        }
        Err(problem) => problem.into_response(),
    };
    limit_headers(&mut answer, &limits);
    answer
}

/// What the gate lets through.
enum Passed {
    /// A request to carry out.
    Ask(Box<Ask>),
    /// The kept answer of an earlier one with the same key.
    Kept(Reply),
}

async fn gate(
    app: App,
    route: &'static Route,
    path: HashMap<String, String>,
    request: Request,
    limits: &mut LimitState,
) -> Result<Passed, Problem> {
    let (parts, body) = request.into_parts();
    let source = parts.extensions.get::<ClientAddress>().map(|a| a.0);
    let request_id = parts.extensions.get::<RequestId>().cloned().ok_or_else(Problem::internal)?;
    let tenant = app
        .tenant(&parts)
        .await
        .map_err(|e| from_admin(&e.into()))?
        .filter(|t| !route.default_tenant_only || *t.slug == *DEFAULT_SLUG)
        .ok_or_else(|| Problem::not_found("there is no such tenant or path"))?;
    let who = authorize(&app, route, &tenant, &parts.headers, source, &request_id, limits).await?;
    if path.values().any(|value| value.contains('\0')) {
        return Err(Problem::not_found("nothing here has a name with U+0000"));
    }
    let query = read_query(parts.uri.query(), route)?;
    if http_body::Body::size_hint(&body).lower() > route.body_limit_bytes as u64 {
        return Err(Problem::too_large(route.body_limit_bytes));
    }
    let body = http_body_util::Limited::new(body, route.body_limit_bytes).collect().await.map_err(|error| {
        if error.is::<http_body_util::LengthLimitError>() {
            Problem::too_large(route.body_limit_bytes)
        } else if is_body_too_slow(&*error) {
            Problem::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", "the body came too slowly")
        } else {
            Problem::malformed("the body broke off")
        }
    })?;
    let body = body.to_bytes();
    BodyRead::tell(&parts.extensions);
    let declared = parts.headers.get(CONTENT_TYPE);
    let value = if route.raw {
        json!({})
    } else if route.request.is_some() && (!body.is_empty() || declared.is_some()) {
        let kind = declared.and_then(|v| v.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !["application/json", "application/merge-patch+json"].iter().any(|k| kind.eq_ignore_ascii_case(k)) {
            return Err(Problem::unsupported_media_type("application/json"));
        }
        strict::parse(&body).map_err(Problem::from)?
    } else if route.request.is_none() && !body.is_empty() && body.as_ref() != b"{}" {
        return Err(Problem::malformed("this operation takes no body"));
    } else {
        json!({})
    };
    let mut ask =
        Ask { app, route, tenant, who, path, query, headers: parts.headers, body: value, raw: body, repeat: None };
    if route.idempotent
        && let Some(kept) = Box::pin(ask.recall(parts.uri.path(), parts.uri.query())).await?
    {
        // the first request may have ended after the clock had moved, before what follows from it was recorded
        if route.operation_id == "advanceClock" {
            Box::pin(clock::settle(&ask)).await?;
        }
        return Ok(Passed::Kept(kept));
    }
    Ok(Passed::Ask(Box::new(ask)))
}

async fn authorize(
    app: &App,
    route: &'static Route,
    tenant: &Tenant,
    headers: &HeaderMap,
    source: Option<IpAddr>,
    request: &RequestId,
    limits: &mut LimitState,
) -> Result<Principal, Problem> {
    let now = app.auth.clock.now();
    if let Some(source) = source {
        let verdict = app.auth.source_rates.count(&source_key(source), app.auth.settings.source_rate, now);
        if !verdict.allowed {
            return Err(Problem::too_many_requests("source address", verdict.reset_seconds));
        }
    }
    if route.public {
        let mut who = app.auth.system(tenant, "public");
        who.source = source;
        return Ok(who);
    }
    let challenge = |error: &str| {
        format!("Bearer {error}resource_metadata=\"{}/.well-known/oauth-protected-resource/api\"", tenant.issuer)
    };
    once(headers, &AUTHORIZATION)?;
    let header = headers.get(AUTHORIZATION).and_then(|v| v.to_str().ok());
    let Some(Ok(Authorization::Bearer(token))) = header.map(basic::parse) else {
        return Err(Problem::unauthorized(challenge("")));
    };
    let found = app.access.principal(tenant, &token, source, request.id).await.map_err(|e| from_admin(&e.into()))?;
    let Some((who, client)) = found else {
        return Err(Problem::unauthorized(challenge("error=\"invalid_token\", ")));
    };
    let (rate, enforce) = rate_of(client.settings.rate_limit, app.auth.default_rate(tenant));
    if rate.limit > 0 {
        let verdict = app.auth.client_rates.count(&client.id, rate, now);
        limits.add("client", rate.limit, rate.window_s, verdict.remaining, verdict.reset_seconds);
        if !verdict.allowed && enforce {
            return Err(Problem::too_many_requests("client", verdict.reset_seconds));
        }
    }
    match route.scope {
        Some(scope) if !who.holds(scope) => {
            app.auth.note_denied(tenant, &client.client_id, source);
            Err(Problem::insufficient_scope(scope))
        }
        _ => Ok(who),
    }
}

/// Refuses a second field of a kind that may come once: a proxy could have read the other one.
fn once(headers: &HeaderMap, name: &HeaderName) -> Result<(), Problem> {
    if headers.get_all(name).iter().count() > 1 {
        return Err(Problem::malformed(format!("{name} is there more than once")));
    }
    Ok(())
}

fn read_query(text: Option<&str>, route: &Route) -> Result<HashMap<String, String>, Problem> {
    let form = crate::form::Form::parse_pairs(text.unwrap_or_default().as_bytes())
        .map_err(|error| Problem::malformed(error.to_string()))?;
    let mut query = HashMap::new();
    for name in form.names() {
        if !route.query.contains(&name) {
            let takes = if route.query.is_empty() { "none".to_owned() } else { route.query.join(", ") };
            let detail = format!("this operation has no query parameter of that name; it takes {takes}");
            return Err(Problem::parameter(name, detail));
        }
        // A switch without a value says neither yes nor no, and the operation asks which.
        let is_switch = ["dry_run", "revoke_tokens"].contains(&name);
        if let Some(value) = form.get(name).or(is_switch.then_some("")) {
            // No store keeps it in a text, and one of them fails on being asked for it. A cursor is none of a store's.
            if name != "cursor" && value.contains('\0') {
                return Err(Problem::parameter(name, format!("{name} holds U+0000, which no text here does")));
            }
            query.insert(name.to_owned(), value.to_owned());
        }
    }
    Ok(query)
}

/// Each operation is boxed by itself: the future of a request has no room for the largest of them.
async fn operate(ask: &Ask) -> Result<Reply, Problem> {
    let result = match ask.route.operation_id {
        "listClients" => Box::pin(clients::list(ask)).await,
        "countClients" => Box::pin(clients::count(ask)).await,
        "createClient" => Box::pin(clients::create(ask)).await,
        "getClient" => Box::pin(clients::get(ask)).await,
        "updateClient" => Box::pin(clients::update(ask)).await,
        "deleteClient" => Box::pin(clients::delete(ask)).await,
        "disableClient" => Box::pin(clients::set_enabled(ask, false)).await,
        "enableClient" => Box::pin(clients::set_enabled(ask, true)).await,
        "revokeClientTokens" => Box::pin(clients::revoke_tokens(ask)).await,
        "listSecrets" => Box::pin(secrets::list(ask)).await,
        "createSecret" => Box::pin(secrets::create(ask)).await,
        "deleteSecret" => Box::pin(secrets::delete(ask)).await,
        "listStaleSecrets" => Box::pin(secrets::stale(ask)).await,
        "listTokenFamilies" => Box::pin(secrets::families(ask)).await,
        "deleteTokenFamily" => Box::pin(secrets::end_family(ask)).await,
        "listTokens" => Box::pin(audit::tokens(ask)).await,
        "listApis" => Box::pin(apis::list(ask)).await,
        "createApi" => Box::pin(apis::create(ask)).await,
        "getApi" => Box::pin(apis::get(ask)).await,
        "updateApi" => Box::pin(apis::update(ask)).await,
        "deleteApi" => Box::pin(apis::delete(ask)).await,
        "listScopes" => Box::pin(apis::list_scopes(ask)).await,
        "createScope" => Box::pin(apis::create_scope(ask)).await,
        "updateScope" => Box::pin(apis::update_scope(ask)).await,
        "deleteScope" => Box::pin(apis::delete_scope(ask)).await,
        "getProtectedResourceMetadata" => Box::pin(apis::resource_metadata(ask)).await,
        "listKeys" => Box::pin(keys::list(ask)).await,
        "getKey" => Box::pin(keys::get(ask)).await,
        "rotateKey" => Box::pin(keys::rotate(ask)).await,
        "cancelKeyRotation" => Box::pin(keys::cancel_rotation(ask)).await,
        "revokeKey" => Box::pin(keys::revoke(ask)).await,
        "listTenants" => Box::pin(tenants::list(ask)).await,
        "createTenant" => Box::pin(tenants::create(ask)).await,
        "getTenant" => Box::pin(tenants::get(ask)).await,
        "updateTenant" => Box::pin(tenants::update(ask)).await,
        "listOperators" => Box::pin(operators::list(ask)).await,
        "getOperator" => Box::pin(operators::get(ask)).await,
        "updateOperator" => Box::pin(operators::update(ask)).await,
        "disableOperator" => Box::pin(operators::set_enabled(ask, false)).await,
        "enableOperator" => Box::pin(operators::set_enabled(ask, true)).await,
        "deleteOperator" => Box::pin(operators::remove(ask)).await,
        "listOperatorSessions" => Box::pin(operators::sessions(ask)).await,
        "endOperatorSessions" | "endOperatorSession" => Box::pin(operators::end_sessions(ask)).await,
        "listInvitations" => Box::pin(operators::invitations(ask)).await,
        "createInvitation" => Box::pin(operators::invite(ask)).await,
        "deleteInvitation" => Box::pin(operators::withdraw(ask)).await,
        "listRoles" => operators::roles(ask),
        "getLimits" => Ok(tenants::limits(ask)),
        "updateLimits" => Box::pin(tenants::update_limits(ask)).await,
        "getClock" => Ok(clock::get(ask)),
        "advanceClock" => Box::pin(clock::advance(ask)).await,
        "listAuditRecords" => Box::pin(audit::records(ask)).await,
        "listJournal" => Box::pin(audit::journal(ask)).await,
        "listCheckpoints" => Box::pin(audit::checkpoints(ask)).await,
        "getAuditProof" => Box::pin(audit::proofs(ask)).await,
        "listEvents" => Box::pin(events::list(ask)).await,
        "getEvent" => Box::pin(events::get(ask)).await,
        "listWebhooks" => Box::pin(webhooks::list(ask)).await,
        "createWebhook" => Box::pin(webhooks::create(ask)).await,
        "getWebhook" => Box::pin(webhooks::get(ask)).await,
        "updateWebhook" => Box::pin(webhooks::update(ask)).await,
        "deleteWebhook" => Box::pin(webhooks::delete(ask)).await,
        "pauseWebhook" => Box::pin(webhooks::pause(ask)).await,
        "resumeWebhook" => Box::pin(webhooks::resume(ask)).await,
        "testWebhook" => Box::pin(webhooks::test(ask)).await,
        "rollWebhookSecret" => Box::pin(webhooks::roll(ask)).await,
        "listDeliveries" => Box::pin(webhooks::deliveries(ask)).await,
        "getDelivery" => Box::pin(webhooks::delivery(ask)).await,
        "resendDelivery" => Box::pin(webhooks::resend(ask)).await,
        "resendDeliveries" => Box::pin(webhooks::resend_range(ask)).await,
        "listCustomers" => Box::pin(customers::list(ask)).await,
        "createCustomer" => Box::pin(customers::create(ask)).await,
        "getCustomer" => Box::pin(customers::get(ask)).await,
        "updateCustomer" => Box::pin(customers::update(ask)).await,
        "deleteCustomer" => Box::pin(customers::delete(ask)).await,
        "suspendCustomer" => Box::pin(customers::suspend(ask, true)).await,
        "reinstateCustomer" => Box::pin(customers::suspend(ask, false)).await,
        "getStanding" => Box::pin(customers::standing(ask)).await,
        "listFeatures" => Box::pin(catalog::features(ask)).await,
        "createFeature" => Box::pin(catalog::create_feature(ask)).await,
        "getFeature" => Box::pin(catalog::feature(ask)).await,
        "updateFeature" => Box::pin(catalog::update_feature(ask)).await,
        "deleteFeature" => Box::pin(catalog::delete_feature(ask)).await,
        "listMeters" => Box::pin(catalog::meters(ask)).await,
        "createMeter" => Box::pin(catalog::create_meter(ask)).await,
        "getMeter" => Box::pin(catalog::meter(ask)).await,
        "archiveMeter" => Box::pin(catalog::archive_meter(ask)).await,
        "listPlans" => Box::pin(catalog::plans(ask)).await,
        "createPlan" => Box::pin(catalog::create_plan(ask)).await,
        "getPlan" => Box::pin(catalog::plan(ask)).await,
        "updatePlan" => Box::pin(catalog::update_plan(ask)).await,
        "deletePlan" => Box::pin(catalog::delete_plan(ask)).await,
        "publishPlan" => Box::pin(catalog::set_plan_state(ask, PlanState::Active)).await,
        "archivePlan" => Box::pin(catalog::set_plan_state(ask, PlanState::Archived)).await,
        "listSubscriptions" => Box::pin(subscriptions::list(ask)).await,
        "createSubscription" => Box::pin(subscriptions::create(ask)).await,
        "getSubscription" => Box::pin(subscriptions::get(ask)).await,
        "pauseSubscription" => Box::pin(subscriptions::wish(ask, "pause")).await,
        "resumeSubscription" => Box::pin(subscriptions::wish(ask, "resume")).await,
        "cancelSubscription" => Box::pin(subscriptions::wish(ask, "cancel")).await,
        "uncancelSubscription" => Box::pin(subscriptions::wish(ask, "uncancel")).await,
        "changeSubscription" => Box::pin(subscriptions::wish(ask, "change")).await,
        "tellPayment" => Box::pin(subscriptions::wish(ask, "payment-status")).await,
        "reportUsage" => Box::pin(usage::report(ask)).await,
        "ingestEvents" => Box::pin(usage::ingest(ask)).await,
        "listUsageEvents" => Box::pin(usage::events(ask)).await,
        "listUsageRejections" => Box::pin(usage::rejections(ask)).await,
        "correctUsage" => Box::pin(usage::correct(ask)).await,
        "listBackfills" => Box::pin(backfills::list(ask)).await,
        "createBackfill" => Box::pin(backfills::create(ask)).await,
        "getBackfill" => Box::pin(backfills::get(ask)).await,
        "addBackfillPart" => Box::pin(backfills::part(ask)).await,
        "completeBackfill" => Box::pin(backfills::complete(ask)).await,
        "cancelBackfill" => Box::pin(backfills::cancel(ask)).await,
        "queryUsage" => Box::pin(usage::query(ask)).await,
        "reserveUsage" => Box::pin(usage::reserve(ask)).await,
        "getReservation" => Box::pin(usage::held(ask)).await,
        "commitReservation" => Box::pin(usage::commit(ask)).await,
        "releaseReservation" => Box::pin(usage::release(ask)).await,
        "check" => Box::pin(usage::check(ask)).await,
        "whoami" => Ok(ask.whoami()),
        "getOpenapi" => Ok(Reply::ok(crate::openapi::document(&ask.tenant.issuer))),
        _ => Err(Problem::internal()),
    };
    if let Err(problem) = &result
        // what keeps the store away is said once, where it is found, and not by every request that suffers from it
        && problem.status == StatusCode::INTERNAL_SERVER_ERROR
    {
        tracing::error!(code = problem.code, request_id = %ask.who.request, operation = ask.route.operation_id, "a request failed");
    }
    result
}

impl Ask {
    fn param(&self, name: &str) -> &str {
        self.path.get(name).map_or("", String::as_str)
    }

    /// The client that the path names.
    async fn client(&self) -> Result<Arc<Client>, Problem> {
        let found = self.app.auth.read_client(self.tenant.id, self.param("client_id")).await;
        found
            .map_err(|e| from_admin(&e.into()))?
            .ok_or_else(|| Problem::not_found("there is no client with this id in this tenant"))
    }

    fn if_version(&self) -> Result<Option<i64>, Problem> {
        match etag::if_match(&self.headers) {
            Ok(None | Some(etag::IfMatch::Any)) => Ok(None),
            // Tags that none of our versions has can match nothing.
            Ok(Some(tags)) => Ok(Some(tags.version().unwrap_or(-1))),
            Err(_) => Err(Problem::malformed("If-Match does not hold entity tags")),
        }
    }

    fn limit(&self) -> Result<u32, Problem> {
        match self.query.get("limit") {
            None => Ok(kernel::page::DEFAULT_LIMIT),
            Some(text) => text
                .parse()
                .ok()
                .filter(|n| (1..=kernel::page::MAX_LIMIT).contains(n))
                .ok_or_else(|| Problem::parameter("limit", format!("limit takes 1 to {}", kernel::page::MAX_LIMIT))),
        }
    }

    /// The list with its filters: a cursor goes on in that list alone.
    fn list_name(&self) -> String {
        let mut filters: Vec<String> = self
            .query
            .iter()
            .filter(|(name, _)| !["limit", "cursor"].contains(&name.as_str()))
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        filters.sort_unstable();
        let mut path: Vec<String> = self.path.values().cloned().collect();
        path.sort_unstable();
        [vec![self.route.operation_id.to_owned()], path, filters].concat().join("\0")
    }

    fn position(&self) -> Result<Option<Vec<u8>>, Problem> {
        let Some(text) = self.query.get("cursor") else { return Ok(None) };
        let position = self.app.auth.open_cursor(self.tenant.id, &self.list_name(), text);
        position.map(Some).map_err(|_| bad_cursor())
    }

    fn position_id(&self) -> Result<Option<[u8; 16]>, Problem> {
        match self.position()? {
            None => Ok(None),
            Some(bytes) => <[u8; 16]>::try_from(bytes).map(Some).map_err(|_| bad_cursor()),
        }
    }

    fn page(&self, data: &[Value], next: Option<&[u8]>) -> Reply {
        let next = next.map(|position| self.app.auth.seal_cursor(self.tenant.id, &self.list_name(), position));
        let reply = Reply::ok(json!({"data": data, "has_more": next.is_some(), "next_cursor": next}));
        Reply { next: next.map(|cursor| self.link_to(&cursor)), ..reply }
    }

    /// The next page relative to this one: the same query with another cursor.
    fn link_to(&self, cursor: &str) -> String {
        let mut same: Vec<_> = self.query.iter().filter(|(name, _)| *name != "cursor").collect();
        same.sort_unstable();
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(same).append_pair("cursor", cursor);
        format!("<?{}>; rel=\"next\"", query.finish())
    }

    fn time(&self, name: &str) -> Result<Option<kernel::clock::Timestamp>, Problem> {
        self.query
            .get(name)
            .map(|text| kernel::clock::Timestamp::parse(text))
            .transpose()
            .map_err(|error| Problem::parameter(name, format!("{name} is {error}")))
    }

    fn whoami(&self) -> Reply {
        Reply::ok(json!({
            "actor": self.who.actor(), "tenant": &*self.tenant.slug, "tenant_kind": self.tenant.kind.name(),
            "issuer": &*self.tenant.issuer,
            "scopes": self.who.scopes.iter().map(|s| &**s).collect::<Vec<_>>(),
            "credential": self.who.credential.map(|c| c.to_string()),
            "request_id": self.who.request.to_string(),
        }))
    }

    /// Looks for the kept answer of an earlier request with the same `Idempotency-Key`.
    async fn recall(&mut self, path: &str, query: Option<&str>) -> Result<Option<Reply>, Problem> {
        let name = HeaderName::from_static("idempotency-key");
        once(&self.headers, &name)?;
        let Some(key) = self.headers.get(&name) else { return Ok(None) };
        let key = key.to_str().ok().filter(|k| (1..=255).contains(&k.len()));
        let key = key.ok_or_else(|| Problem::malformed("Idempotency-Key takes 1 to 255 characters of ASCII"))?;
        let root = self.app.auth.keyring.derive(Purpose::Idempotency, self.tenant.id, b"keys");
        let actor = self.who.actor();
        let derived = jose::derive(root.reveal(), &[actor.as_bytes(), key.as_bytes()]);
        let key_hash = HmacKey::new(root.reveal()).tag(&[actor.as_bytes(), b"\0", key.as_bytes()].concat());
        let parts = [
            self.route.method.key().as_bytes(),
            b"\0",
            path.as_bytes(),
            b"?",
            query.unwrap_or_default().as_bytes(),
            b"\0",
            &self.raw,
        ];
        let request_hash = jose::hash::sha256(&parts.concat());
        if !self.app.in_flight.lock().unwrap_or_else(PoisonError::into_inner).insert(key_hash) {
            let detail = "a request with this Idempotency-Key is being carried out; ask again shortly";
            return Err(Problem::conflict("idempotency_in_flight", detail).with_retry_after(1));
        }
        let repeat = Repeat { key_hash, request_hash, seal: SealKey::new(derived.reveal()), app: self.app.clone() };
        let kept = self.kept(&repeat).await?;
        self.repeat = Some(repeat);
        Ok(kept)
    }

    async fn kept(&self, repeat: &Repeat) -> Result<Option<Reply>, Problem> {
        let ask = params![self.tenant.id, repeat.key_hash.as_slice()];
        let read = || async { self.app.auth.store.read(&auth::sql::IDEMPOTENCY_READ, ask).await };
        let Some(row) = read().await.map_err(|e| from_admin(&e.into()))? else { return Ok(None) };
        let corrupt = |e: store::Error| from_admin(&e.into());
        if row.time(2).map_err(corrupt)? <= self.app.auth.clock.now() {
            return Ok(None);
        }
        if row.bytes(0).map_err(corrupt)? != repeat.request_hash && !kernel::mutant::is("R03-other") {
            let detail = "this Idempotency-Key was used for another request; choose a new one";
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", detail));
        }
        let opened =
            repeat.seal.open(row.bytes(1).map_err(corrupt)?, b"idempotency").map_err(|_| Problem::internal())?;
        let kept: Value = serde_json::from_slice(opened.reveal()).map_err(|_| Problem::internal())?;
        Reply::from_kept(&kept).map(Some).ok_or_else(Problem::internal)
    }

    /// Adds to a batch that its answer is kept, when the request can be repeated.
    fn keep(&self, batch: Batch, reply: &Reply) -> Result<Batch, AdminError> {
        let Some(repeat) = &self.repeat else { return Ok(batch) };
        let auth = &self.app.auth;
        let now = auth.clock.now();
        let kept = reply.to_kept().to_string();
        let sealed = repeat.seal.seal(kept.as_bytes(), b"idempotency", &mut auth.fresh_entropy())?;
        let hash = repeat.key_hash.as_slice();
        let end = now.plus_seconds(KEPT_SECONDS);
        let forget = params![self.tenant.id, hash, now];
        let row = params![self.tenant.id, hash, repeat.request_hash.as_slice(), sealed, end];
        Ok(batch.run(&auth::sql::IDEMPOTENCY_FORGET, forget).expect(1, &auth::sql::IDEMPOTENCY_INSERT, row))
    }

    /// Commits a decision, and keeps its answer in the same commit when the request can be repeated.
    async fn commit<T>(&self, planned: Planned<T>, render: impl FnOnce(T) -> Reply) -> Result<Reply, AdminError> {
        let Planned { batch, record, value } = planned;
        let reply = render(value);
        let batch = self.keep(batch, &reply)?;
        let auth = &self.app.auth;
        let narrowing = batch.changes.iter().any(|(kind, ..)| {
            use store::ChangeKind::{Denied, Epoch, Keys, Operator};
            matches!(kind, Epoch | Denied | Keys | Operator)
        });
        let done = if narrowing {
            auth.store.commit_reserved(batch, record).await
        } else {
            auth.store.commit(batch, record).await
        };
        match done {
            Ok(_) => Ok(reply),
            Err(error) => self.first_answer(error).await,
        }
    }

    /// Commits what usage comes to; its answer, when there is one, is kept as that of every change. An answer that comes
    /// back was given to the same request before.
    async fn count(&self, batch: Batch, reply: Option<&Reply>) -> Result<Option<Reply>, AdminError> {
        let batch = match reply {
            Some(reply) => self.keep(batch, reply)?,
            None => batch,
        };
        if batch.steps.is_empty() {
            return Ok(None);
        }
        match Box::pin(self.app.auth.store.upkeep(store::Upkeep::Usage, batch)).await {
            Ok(()) => Ok(None),
            Err(error) => Box::pin(self.first_answer(error)).await.map(Some),
        }
    }

    /// The answer of the node that carried the same request out, when that is why a commit failed.
    async fn first_answer(&self, error: store::Error) -> Result<Reply, AdminError> {
        match (&error, &self.repeat) {
            (store::Error::Conflict("IDEMPOTENCY_INSERT"), Some(repeat)) => {
                self.kept(repeat).await.ok().flatten().ok_or_else(|| error.into())
            }
            _ => Err(error.into()),
        }
    }
}

fn bad_cursor() -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid_cursor", "cursor is not one that this list gave")
}

/// Carries out a change: decides, commits, and decides again when another change came first, three times at most.
macro_rules! decided {
    ($ask:expr, $plan:expr, $render:expr) => {{
        let mut tries = 0_u8;
        loop {
            let outcome = match $plan.await {
                Ok(planned) => $ask.commit(planned, $render).await,
                Err(error) => Err(error),
            };
            match outcome {
                Err(auth::error::AdminError::Store(store::Error::Conflict(_))) if tries < 2 => {
                    tries = tries.saturating_add(1);
                }
                other => break other,
            }
        }
    }};
}
pub(crate) use decided;

/// The same, with what it failed of as an answer.
macro_rules! change {
    ($ask:expr, $plan:expr, $render:expr) => {
        crate::admin::decided!($ask, $plan, $render).map_err(|error| crate::problem::from_admin(&error))
    };
}
pub(crate) use change;

/// A refusal of the slow pool while an admin request hashed a secret.
impl From<OauthError> for Problem {
    fn from(error: OauthError) -> Self {
        match error {
            OauthError::Unavailable => Self::unavailable(1),
            _ => Self::internal(),
        }
    }
}
