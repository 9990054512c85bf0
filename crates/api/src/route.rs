//! The one list of routes of the admin API: the router, the OpenAPI document and the coverage tests read it.
//!
//! Paths are those of the tenant `default`; every other tenant has the same below `/t/{tenant}`, except for the routes
//! marked `default_tenant_only`. The OAuth endpoints and the documents under `/.well-known` are no part of it:
//! their errors, limits and authentication are of another kind.

use http::Method;
use record::action;

/// Largest body of a request to the admin API, in bytes.
pub const BODY_LIMIT_BYTES: usize = 1_048_576;

/// The methods of the admin API; HEAD follows from GET.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Reads.
    Get,
    /// Creates, or does something.
    Post,
    /// Changes by merge patch (RFC 7396).
    Patch,
    /// Removes.
    Delete,
}

impl Verb {
    /// The method on the wire.
    pub const fn method(self) -> Method {
        match self {
            Self::Get => Method::GET,
            Self::Post => Method::POST,
            Self::Patch => Method::PATCH,
            Self::Delete => Method::DELETE,
        }
    }

    /// The key of an OpenAPI path item.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
            Self::Patch => "patch",
            Self::Delete => "delete",
        }
    }
}

/// One operation of the admin API.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "independent properties of a row in a table, set by named builders")]
pub struct Route {
    /// Its method.
    pub method: Verb,
    /// Its path, in the form axum and OpenAPI share: `/api/clients/{client_id}`.
    pub path: &'static str,
    /// The scope a token needs; `None`: any token, or none at all when it is `public`.
    pub scope: Option<&'static str>,
    /// Whether it answers without a token.
    pub public: bool,
    /// The audit record a success leaves, where it changes something.
    pub audit: Option<&'static str>,
    /// Largest body, in bytes.
    pub body_limit_bytes: usize,
    /// Its unique name in the OpenAPI document.
    pub operation_id: &'static str,
    /// What it does, in a few words.
    pub summary: &'static str,
    /// Schema of the request body.
    pub request: Option<&'static str>,
    /// Whether the operation reads the body itself, because another specification says what is in it.
    pub raw: bool,
    /// Schema of the answer's body.
    pub response: Option<&'static str>,
    /// Status of a success.
    pub status: u16,
    /// Whether it takes an `Idempotency-Key`.
    pub idempotent: bool,
    /// Whether it takes `If-Match`, and the answer has an `ETag`.
    pub conditional: bool,
    /// Query parameters, by their names in the OpenAPI document's components.
    pub query: &'static [&'static str],
    /// Whether it exists at the tenant `default` alone.
    pub default_tenant_only: bool,
}

impl Route {
    const fn new(method: Verb, path: &'static str, operation_id: &'static str, summary: &'static str) -> Self {
        let idempotent = !matches!(method, Verb::Get);
        Self {
            method,
            path,
            scope: None,
            public: false,
            audit: None,
            body_limit_bytes: BODY_LIMIT_BYTES,
            operation_id,
            summary,
            request: None,
            raw: false,
            response: None,
            status: 204,
            idempotent,
            conditional: false,
            query: &[],
            default_tenant_only: false,
        }
    }

    const fn get(path: &'static str, operation_id: &'static str, summary: &'static str) -> Self {
        Self::new(Verb::Get, path, operation_id, summary)
    }

    const fn post(path: &'static str, operation_id: &'static str, summary: &'static str) -> Self {
        Self::new(Verb::Post, path, operation_id, summary)
    }

    const fn patch(path: &'static str, operation_id: &'static str, summary: &'static str) -> Self {
        Self::new(Verb::Patch, path, operation_id, summary)
    }

    const fn delete(path: &'static str, operation_id: &'static str, summary: &'static str) -> Self {
        Self::new(Verb::Delete, path, operation_id, summary)
    }

    /// Asks something of a subscription, and answers with it.
    const fn wish(path: &'static str, operation_id: &'static str, summary: &'static str) -> Self {
        Self::post(path, operation_id, summary).scope("billing:write").conditional().answers(200, "Subscription")
    }

    const fn scope(mut self, scope: &'static str) -> Self {
        self.scope = Some(scope);
        self
    }

    const fn public(mut self) -> Self {
        self.public = true;
        self
    }

    const fn audits(mut self, action: &'static str) -> Self {
        self.audit = Some(action);
        self
    }

    const fn takes(mut self, schema: &'static str) -> Self {
        self.request = Some(schema);
        self
    }

    const fn takes_events(mut self) -> Self {
        self.request = Some("UsageEvent");
        self.raw = true;
        self
    }

    const fn answers(mut self, status: u16, schema: &'static str) -> Self {
        self.status = status;
        self.response = Some(schema);
        self
    }

    const fn conditional(mut self) -> Self {
        self.conditional = true;
        self
    }

    const fn query(mut self, names: &'static [&'static str]) -> Self {
        self.query = names;
        self
    }

    const fn default_tenant_only(mut self) -> Self {
        self.default_tenant_only = true;
        self
    }

    /// The names in braces in the path, in order.
    pub fn path_parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|segment| segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')))
    }
}

/// Parameters every list takes.
const PAGE: &[&str] = &["limit", "cursor"];

const CLIENTS: &str = "/api/clients";
const CLIENT: &str = "/api/clients/{client_id}";
const SECRETS: &str = "/api/clients/{client_id}/secrets";
const FAMILIES: &str = "/api/clients/{client_id}/token-families";
const APIS: &str = "/api/apis";
const API: &str = "/api/apis/{id}";
const SCOPES: &str = "/api/apis/{id}/scopes";
const SCOPE: &str = "/api/apis/{id}/scopes/{name}";
const TENANTS: &str = "/api/tenants";
const TENANT: &str = "/api/tenants/{slug}";
const WEBHOOKS: &str = "/api/webhooks";
const WEBHOOK: &str = "/api/webhooks/{webhook_id}";
const DELIVERIES: &str = "/api/webhooks/{webhook_id}/deliveries";
const CUSTOMERS: &str = "/api/customers";
const CUSTOMER: &str = "/api/customers/{customer_id}";
const FEATURES: &str = "/api/features";
const FEATURE: &str = "/api/features/{feature_id}";
const METERS: &str = "/api/meters";
const PLANS: &str = "/api/plans";
const PLAN: &str = "/api/plans/{plan_id}";
const SUBSCRIPTIONS: &str = "/api/subscriptions";
const BACKFILLS: &str = "/api/usage/backfills";
const RESERVATIONS: &str = "/api/usage/reservations";
const RESERVATION: &str = "/api/usage/reservations/{reservation_id}";
const OPERATORS: &str = "/api/operators";
const OPERATOR: &str = "/api/operators/{operator_id}";
const SESSIONS: &str = "/api/operators/{operator_id}/sessions";
const INVITATIONS: &str = "/api/operators/invitations";

/// Every route of the admin API.
pub static ROUTES: &[Route] = &[
    // Clients
    Route::get(CLIENTS, "listClients", "List clients")
        .scope("clients:read")
        .query(&["limit", "cursor", "sort", "status", "scope", "q"])
        .answers(200, "ClientList"),
    Route::get("/api/clients/count", "countClients", "Count clients, up to 10,000")
        .scope("clients:read")
        .query(&["status", "scope", "q"])
        .answers(200, "ClientCount"),
    Route::post(CLIENTS, "createClient", "Create a client")
        .scope("clients:write")
        .takes("ClientCreate")
        .answers(201, "ClientCreated")
        .audits(action::CLIENT_CREATED),
    Route::get(CLIENT, "getClient", "Read a client").scope("clients:read").conditional().answers(200, "Client"),
    Route::patch(CLIENT, "updateClient", "Change a client")
        .scope("clients:write")
        .conditional()
        .takes("ClientPatch")
        .answers(200, "Client")
        .audits(action::CLIENT_UPDATED),
    Route::delete(CLIENT, "deleteClient", "Delete a client, its secrets and its tokens")
        .scope("clients:write")
        .conditional()
        .audits(action::CLIENT_DELETED),
    Route::post("/api/clients/{client_id}/disable", "disableClient", "Disable a client and end its tokens")
        .scope("clients:write")
        .conditional()
        .answers(200, "Client")
        .audits(action::CLIENT_DISABLED),
    Route::post("/api/clients/{client_id}/enable", "enableClient", "Enable a client")
        .scope("clients:write")
        .conditional()
        .answers(200, "Client")
        .audits(action::CLIENT_ENABLED),
    Route::post("/api/clients/{client_id}/revoke-tokens", "revokeClientTokens", "End every token of a client")
        .scope("tokens:revoke")
        .audits(action::CLIENT_TOKENS_REVOKED),
    // Secrets
    Route::get(SECRETS, "listSecrets", "List the secrets of a client")
        .scope("clients:read")
        .query(PAGE)
        .answers(200, "SecretList"),
    Route::post(SECRETS, "createSecret", "Add a secret, and end the others when asked")
        .scope("clients:write")
        .takes("SecretCreate")
        .answers(201, "SecretCreated")
        .audits(action::SECRET_CREATED),
    Route::delete("/api/clients/{client_id}/secrets/{id}", "deleteSecret", "End a secret and what it started")
        .scope("clients:write")
        .query(&["revoke_tokens"])
        .audits(action::SECRET_REVOKED),
    Route::get("/api/secrets", "listStaleSecrets", "List secrets of all clients, stale ones first to be found")
        .scope("clients:read")
        .query(&["limit", "cursor", "unused_since"])
        .answers(200, "SecretList"),
    // Tokens
    Route::get(FAMILIES, "listTokenFamilies", "List the live refresh families of a client")
        .scope("clients:read")
        .query(PAGE)
        .answers(200, "TokenFamilyList"),
    Route::delete("/api/clients/{client_id}/token-families/{id}", "deleteTokenFamily", "End a refresh family")
        .scope("tokens:revoke")
        .audits(action::FAMILY_REVOKED),
    Route::get("/api/clients/{client_id}/tokens", "listTokens", "List the issuance records of unexpired tokens")
        .scope("clients:read")
        .query(PAGE)
        .answers(200, "IssuanceRecordList"),
    // APIs and scopes
    Route::get(APIS, "listApis", "List APIs").scope("apis:read").query(PAGE).answers(200, "ApiList"),
    Route::post(APIS, "createApi", "Create an API")
        .scope("apis:write")
        .takes("ApiCreate")
        .answers(201, "Api")
        .audits(action::API_CREATED),
    Route::get(API, "getApi", "Read an API").scope("apis:read").conditional().answers(200, "Api"),
    Route::patch(API, "updateApi", "Change an API")
        .scope("apis:write")
        .conditional()
        .takes("ApiPatch")
        .answers(200, "Api")
        .audits(action::API_UPDATED),
    Route::delete(API, "deleteApi", "Delete an API that no client uses")
        .scope("apis:write")
        .conditional()
        .audits(action::API_DELETED),
    Route::get(SCOPES, "listScopes", "List the scopes of an API")
        .scope("apis:read")
        .query(PAGE)
        .answers(200, "ScopeList"),
    Route::post(SCOPES, "createScope", "Add a scope to an API")
        .scope("apis:write")
        .takes("ScopeCreate")
        .answers(201, "Scope")
        .audits(action::SCOPE_CREATED),
    Route::patch(SCOPE, "updateScope", "Change the description of a scope")
        .scope("apis:write")
        .takes("ScopePatch")
        .answers(200, "Scope")
        .audits(action::SCOPE_UPDATED),
    Route::delete(SCOPE, "deleteScope", "Delete a scope that no client uses")
        .scope("apis:write")
        .audits(action::SCOPE_DELETED),
    Route::get(
        "/api/apis/{id}/protected-resource-metadata",
        "getProtectedResourceMetadata",
        "Read the metadata document that the API can serve (RFC 9728)",
    )
    .scope("apis:read")
    .answers(200, "ProtectedResourceMetadata"),
    // Keys
    Route::get("/api/keys", "listKeys", "List signing keys").scope("keys:read").query(PAGE).answers(200, "KeyList"),
    Route::get("/api/keys/{kid}", "getKey", "Read a signing key").scope("keys:read").answers(200, "Key"),
    Route::post("/api/keys/rotate", "rotateKey", "Promote the staged key, now or when it is old enough")
        .scope("keys:write")
        .takes("KeyRotate")
        .answers(200, "KeyRotation")
        .audits(action::KEY_ROTATED),
    Route::post("/api/keys/{kid}/cancel-rotation", "cancelKeyRotation", "Call off the scheduled rotation of a key")
        .scope("keys:write")
        .answers(200, "Key")
        .audits(action::KEY_ROTATION_CANCELED),
    Route::post("/api/keys/{kid}/revoke", "revokeKey", "Destroy a signing key in an emergency")
        .scope("keys:write")
        .answers(200, "KeyRotation")
        .audits(action::KEY_REVOKED),
    // Tenants
    Route::get(TENANTS, "listTenants", "List tenants")
        .scope("tenants:read")
        .default_tenant_only()
        .query(PAGE)
        .answers(200, "TenantList"),
    Route::post(TENANTS, "createTenant", "Create a tenant and its first admin client")
        .scope("tenants:write")
        .default_tenant_only()
        .takes("TenantCreate")
        .answers(201, "TenantCreated")
        .audits(action::TENANT_CREATED),
    Route::get(TENANT, "getTenant", "Read a tenant")
        .scope("tenants:read")
        .default_tenant_only()
        .conditional()
        .answers(200, "Tenant"),
    Route::patch(TENANT, "updateTenant", "Change a tenant")
        .scope("tenants:write")
        .default_tenant_only()
        .conditional()
        .takes("TenantPatch")
        .answers(200, "Tenant")
        .audits(action::TENANT_UPDATED),
    // People
    Route::get(OPERATORS, "listOperators", "List operators")
        .scope("operators:read")
        .query(PAGE)
        .answers(200, "OperatorList"),
    Route::get("/api/operators/roles", "listRoles", "List the roles with their scopes")
        .scope("operators:read")
        .answers(200, "RoleList"),
    Route::get(INVITATIONS, "listInvitations", "List the open invitations")
        .scope("operators:read")
        .query(PAGE)
        .answers(200, "InvitationList"),
    Route::post(INVITATIONS, "createInvitation", "Invite a person to a role")
        .scope("operators:write")
        .takes("InvitationCreate")
        .answers(201, "InvitationCreated")
        .audits(action::INVITATION_CREATED),
    Route::delete("/api/operators/invitations/{id}", "deleteInvitation", "Withdraw an invitation")
        .scope("operators:write")
        .audits(action::INVITATION_REVOKED),
    Route::get(OPERATOR, "getOperator", "Read an operator")
        .scope("operators:read")
        .conditional()
        .answers(200, "Operator"),
    Route::patch(OPERATOR, "updateOperator", "Change the name or the role of an operator")
        .scope("operators:write")
        .conditional()
        .takes("OperatorPatch")
        .answers(200, "Operator")
        .audits(action::OPERATOR_UPDATED),
    Route::get(SESSIONS, "listOperatorSessions", "List the sessions of an operator")
        .scope("operators:read")
        .query(PAGE)
        .answers(200, "OperatorSessionList"),
    Route::delete("/api/operators/{operator_id}/sessions/{id}", "endOperatorSession", "End a session of an operator")
        .scope("operators:write")
        .audits(action::SESSION_ENDED),
    Route::delete(SESSIONS, "endOperatorSessions", "End every session of an operator")
        .scope("operators:write")
        .audits(action::SESSION_ENDED),
    Route::post(
        "/api/operators/{operator_id}/disable",
        "disableOperator",
        "Disable an operator and end their sessions",
    )
    .scope("operators:write")
    .conditional()
    .answers(200, "Operator")
    .audits(action::OPERATOR_DISABLED),
    Route::post("/api/operators/{operator_id}/enable", "enableOperator", "Enable an operator")
        .scope("operators:write")
        .conditional()
        .answers(200, "Operator")
        .audits(action::OPERATOR_ENABLED),
    Route::delete(OPERATOR, "deleteOperator", "Remove an operator, their factors and their sessions")
        .scope("operators:write")
        .conditional()
        .audits(action::OPERATOR_REMOVED),
    // Limits
    Route::get("/api/limits", "getLimits", "Read the limits that hold where a client has none of its own")
        .scope("limits:read")
        .conditional()
        .answers(200, "Limits"),
    Route::patch("/api/limits", "updateLimits", "Change the limits")
        .scope("limits:write")
        .conditional()
        .takes("LimitsPatch")
        .answers(200, "Limits")
        .audits(action::LIMITS_UPDATED),
    // The clock
    Route::get("/api/clock", "getClock", "Read the business time of the tenant, and machine time")
        .scope("billing:read")
        .answers(200, "Clock"),
    Route::post("/api/clock/advance", "advanceClock", "Move the business time of a sandbox forward")
        .scope("billing:write")
        .takes("ClockAdvance")
        .answers(200, "Clock")
        .audits(action::CLOCK_ADVANCED),
    // The record
    Route::get("/api/audit/records", "listAuditRecords", "List what was changed, newest first")
        .scope("audit:read")
        .query(&["limit", "cursor", "actor", "action", "object_kind", "object_id", "from", "to"])
        .answers(200, "AuditRecordList"),
    Route::get("/api/audit/journal", "listJournal", "List what was issued and refused, newest first")
        .scope("audit:read")
        .query(&["limit", "cursor", "client_id", "jti", "outcome", "from", "to"])
        .answers(200, "IssuanceRecordList"),
    Route::get("/api/audit/checkpoints", "listCheckpoints", "List the signed checkpoints of the audit tree")
        .scope("audit:read")
        .query(PAGE)
        .answers(200, "CheckpointList"),
    Route::get(
        "/api/audit/proofs",
        "getAuditProof",
        "Prove that a token or a record is in the tree, or that the tree only grew",
    )
    .scope("audit:read")
    .query(&["jti", "leaf", "from_size"])
    .answers(200, "AuditProof"),
    // Events
    Route::get("/api/events", "listEvents", "List events, newest first")
        .scope("events:read")
        .query(&["limit", "cursor", "types", "customer_id", "object_id", "from", "to"])
        .answers(200, "EventList"),
    Route::get("/api/events/stream", "streamEvents", "Follow events as they are committed")
        .scope("events:read")
        .query(&["types", "customer_id", "after"])
        .answers(200, "EventStream"),
    Route::get("/api/events/{event_id}", "getEvent", "Read an event").scope("events:read").answers(200, "Event"),
    // Webhooks
    Route::get(WEBHOOKS, "listWebhooks", "List webhook endpoints")
        .scope("webhooks:read")
        .query(PAGE)
        .answers(200, "WebhookList"),
    Route::post(WEBHOOKS, "createWebhook", "Create a webhook endpoint")
        .scope("webhooks:write")
        .takes("WebhookCreate")
        .answers(201, "WebhookSaved")
        .audits(action::WEBHOOK_CREATED),
    Route::get(WEBHOOK, "getWebhook", "Read a webhook endpoint, and how it fares")
        .scope("webhooks:read")
        .answers(200, "WebhookDetail"),
    Route::patch(WEBHOOK, "updateWebhook", "Change a webhook endpoint")
        .scope("webhooks:write")
        .conditional()
        .takes("WebhookPatch")
        .answers(200, "WebhookSaved")
        .audits(action::WEBHOOK_UPDATED),
    Route::delete(WEBHOOK, "deleteWebhook", "Delete a webhook endpoint and cancel its open deliveries")
        .scope("webhooks:write")
        .conditional()
        .audits(action::WEBHOOK_DELETED),
    Route::post("/api/webhooks/{webhook_id}/pause", "pauseWebhook", "Let the messages of an endpoint wait")
        .scope("webhooks:write")
        .conditional()
        .answers(200, "Webhook")
        .audits(action::WEBHOOK_PAUSED),
    Route::post("/api/webhooks/{webhook_id}/resume", "resumeWebhook", "Let them go out again, a test first")
        .scope("webhooks:write")
        .conditional()
        .answers(200, "WebhookResumed")
        .audits(action::WEBHOOK_RESUMED),
    Route::post("/api/webhooks/{webhook_id}/test", "testWebhook", "Send a test to an endpoint")
        .scope("webhooks:write")
        .answers(202, "WebhookTest")
        .audits(action::WEBHOOK_TESTED),
    Route::post("/api/webhooks/{webhook_id}/roll-secret", "rollWebhookSecret", "Give an endpoint new keys")
        .scope("webhooks:write")
        .conditional()
        .takes("WebhookRoll")
        .answers(200, "WebhookSaved")
        .audits(action::WEBHOOK_SECRET_ROLLED),
    Route::get(DELIVERIES, "listDeliveries", "List the deliveries of an endpoint, newest first")
        .scope("webhooks:read")
        .query(&["limit", "cursor", "status", "type", "from", "to"])
        .answers(200, "DeliveryList"),
    Route::get(
        "/api/webhooks/{webhook_id}/deliveries/{delivery_id}",
        "getDelivery",
        "Read a delivery, its attempts and its event",
    )
    .scope("webhooks:read")
    .answers(200, "DeliveryDetail"),
    Route::post(
        "/api/webhooks/{webhook_id}/deliveries/{delivery_id}/resend",
        "resendDelivery",
        "Send a delivery again, whatever became of it",
    )
    .scope("webhooks:write")
    .answers(202, "Delivery")
    .audits(action::WEBHOOK_RESENT),
    Route::post("/api/webhooks/{webhook_id}/resend", "resendDeliveries", "Send the ended deliveries of a time again")
        .scope("webhooks:write")
        .query(&["dry_run"])
        .takes("WebhookResend")
        .answers(202, "ResendCount")
        .audits(action::WEBHOOK_RESENT),
    // Customers
    Route::get(CUSTOMERS, "listCustomers", "List customers, the newest first; with q by name")
        .scope("customers:read")
        .query(&["limit", "cursor", "q"])
        .answers(200, "CustomerList"),
    Route::post(CUSTOMERS, "createCustomer", "Create a customer")
        .scope("customers:write")
        .takes("CustomerCreate")
        .answers(201, "Customer")
        .audits(action::CUSTOMER_CREATED),
    Route::get(CUSTOMER, "getCustomer", "Read a customer").scope("customers:read").answers(200, "Customer"),
    Route::patch(CUSTOMER, "updateCustomer", "Change a customer")
        .scope("customers:write")
        .conditional()
        .takes("CustomerPatch")
        .answers(200, "Customer")
        .audits(action::CUSTOMER_UPDATED),
    Route::delete(CUSTOMER, "deleteCustomer", "Delete a customer whose subscriptions have ended")
        .scope("customers:write")
        .conditional()
        .audits(action::CUSTOMER_DELETED),
    Route::post("/api/customers/{customer_id}/suspend", "suspendCustomer", "Suspend a customer, whatever it pays")
        .scope("customers:write")
        .conditional()
        .answers(200, "Customer")
        .audits(action::CUSTOMER_SUSPENDED),
    Route::post("/api/customers/{customer_id}/reinstate", "reinstateCustomer", "Lift the suspension of a customer")
        .scope("customers:write")
        .conditional()
        .answers(200, "Customer")
        .audits(action::CUSTOMER_REINSTATED),
    Route::get("/api/customers/{customer_id}/standing", "getStanding", "Read what a customer may do now, and why")
        .scope("customers:read")
        .answers(200, "Standing"),
    // What is sold
    Route::get(FEATURES, "listFeatures", "List features by key")
        .scope("billing:read")
        .query(PAGE)
        .answers(200, "FeatureList"),
    Route::post(FEATURES, "createFeature", "Create a feature")
        .scope("billing:write")
        .takes("FeatureCreate")
        .answers(201, "Feature")
        .audits(action::FEATURE_CREATED),
    Route::get(FEATURE, "getFeature", "Read a feature").scope("billing:read").conditional().answers(200, "Feature"),
    Route::patch(FEATURE, "updateFeature", "Change the name of a feature, or how its rights add up")
        .scope("billing:write")
        .conditional()
        .takes("FeaturePatch")
        .answers(200, "Feature")
        .audits(action::FEATURE_UPDATED),
    Route::delete(FEATURE, "deleteFeature", "Delete a feature that no plan grants")
        .scope("billing:write")
        .conditional()
        .audits(action::FEATURE_DELETED),
    Route::get(METERS, "listMeters", "List the newest version of each meter by key")
        .scope("billing:read")
        .query(PAGE)
        .answers(200, "MeterList"),
    Route::post(METERS, "createMeter", "Create a meter, or the next version of one")
        .scope("billing:write")
        .takes("MeterCreate")
        .answers(201, "Meter")
        .audits(action::METER_CREATED),
    Route::get("/api/meters/{meter_id}", "getMeter", "Read a version of a meter")
        .scope("billing:read")
        .conditional()
        .answers(200, "Meter"),
    Route::post("/api/meters/{meter_id}/archive", "archiveMeter", "Count no more events by a meter")
        .scope("billing:write")
        .conditional()
        .answers(200, "Meter")
        .audits(action::METER_ARCHIVED),
    Route::get(PLANS, "listPlans", "List the versions of plans by key and version")
        .scope("billing:read")
        .query(PAGE)
        .answers(200, "PlanList"),
    Route::post(PLANS, "createPlan", "Create a plan, or the next version of one, as a draft")
        .scope("billing:write")
        .takes("PlanCreate")
        .answers(201, "Plan")
        .audits(action::PLAN_CREATED),
    Route::get(PLAN, "getPlan", "Read a version of a plan").scope("billing:read").conditional().answers(200, "Plan"),
    Route::patch(PLAN, "updatePlan", "Change a draft")
        .scope("billing:write")
        .conditional()
        .takes("PlanPatch")
        .answers(200, "Plan")
        .audits(action::PLAN_UPDATED),
    Route::delete(PLAN, "deletePlan", "Delete a draft")
        .scope("billing:write")
        .conditional()
        .audits(action::PLAN_DELETED),
    Route::post("/api/plans/{plan_id}/publish", "publishPlan", "Let customers subscribe to a version of a plan")
        .scope("billing:write")
        .conditional()
        .answers(200, "Plan")
        .audits(action::PLAN_PUBLISHED),
    Route::post("/api/plans/{plan_id}/archive", "archivePlan", "Let nobody subscribe to a version of a plan any more")
        .scope("billing:write")
        .conditional()
        .answers(200, "Plan")
        .audits(action::PLAN_ARCHIVED),
    // Subscriptions
    Route::get(SUBSCRIPTIONS, "listSubscriptions", "List subscriptions, the newest first")
        .scope("billing:read")
        .query(&["limit", "cursor", "customer_id"])
        .answers(200, "SubscriptionList"),
    Route::post(SUBSCRIPTIONS, "createSubscription", "Subscribe a customer to a plan")
        .scope("billing:write")
        .takes("SubscriptionCreate")
        .answers(201, "Subscription")
        .audits(action::SUBSCRIPTION_CREATED),
    Route::get("/api/subscriptions/{subscription_id}", "getSubscription", "Read a subscription as it stands now")
        .scope("billing:read")
        .answers(200, "Subscription"),
    Route::wish("/api/subscriptions/{subscription_id}/pause", "pauseSubscription", "Stop until resumed")
        .audits(action::SUBSCRIPTION_PAUSED),
    Route::wish("/api/subscriptions/{subscription_id}/resume", "resumeSubscription", "Go on after a pause")
        .takes("SubscriptionResume")
        .audits(action::SUBSCRIPTION_RESUMED),
    Route::wish("/api/subscriptions/{subscription_id}/cancel", "cancelSubscription", "End, at once or with the period")
        .takes("SubscriptionCancel")
        .audits(action::SUBSCRIPTION_CANCELED),
    Route::wish("/api/subscriptions/{subscription_id}/uncancel", "uncancelSubscription", "Do not end with the period")
        .audits(action::SUBSCRIPTION_UNCANCELED),
    Route::wish("/api/subscriptions/{subscription_id}/change", "changeSubscription", "Take another plan or quantity")
        .takes("SubscriptionChange")
        .audits(action::SUBSCRIPTION_CHANGED),
    Route::wish(
        "/api/subscriptions/{subscription_id}/payment-status",
        "tellPayment",
        "Tell what was heard of a payment",
    )
    .takes("PaymentStatus")
    .audits(action::SUBSCRIPTION_PAYMENT_TOLD),
    // Usage
    Route::post("/api/usage/events", "reportUsage", "Report events of use, each of which counts once")
        .scope("usage:write")
        .query(&["atomic"])
        .takes_events()
        .answers(200, "UsageReport"),
    Route::post("/api/v1/events", "ingestEvents", "Report events of use in the way of OpenMeter")
        .scope("usage:write")
        .takes_events(),
    Route::get("/api/usage/events", "listUsageEvents", "List events of use, the newest first")
        .scope("billing:read")
        .query(PAGE)
        .answers(200, "UsageEventRecordList"),
    Route::get("/api/usage/rejections", "listUsageRejections", "List events that were refused, the newest first")
        .scope("billing:read")
        .query(PAGE)
        .answers(200, "UsageRejectionList"),
    Route::post("/api/usage/corrections", "correctUsage", "Let an event count something else, or nothing")
        .scope("usage:write")
        .takes("UsageCorrection")
        .answers(200, "UsageCorrected")
        .audits(action::USAGE_CORRECTED),
    Route::get(BACKFILLS, "listBackfills", "List backfills of usage, the newest first")
        .scope("billing:read")
        .query(PAGE)
        .answers(200, "BackfillList"),
    Route::post(BACKFILLS, "createBackfill", "Begin to bring usage of the past")
        .scope("usage:write")
        .takes("BackfillCreate")
        .answers(201, "Backfill")
        .audits(action::USAGE_BACKFILL_CREATED),
    Route::get("/api/usage/backfills/{backfill_id}", "getBackfill", "Read a backfill")
        .scope("billing:read")
        .answers(200, "Backfill"),
    Route::post("/api/usage/backfills/{backfill_id}/parts", "addBackfillPart", "Send a part of a backfill")
        .scope("usage:write")
        .query(&["number"])
        .takes_events()
        .answers(200, "BackfillPart"),
    Route::post("/api/usage/backfills/{backfill_id}/complete", "completeBackfill", "Let what a backfill brought count")
        .scope("usage:write")
        .answers(200, "Backfill")
        .audits(action::USAGE_BACKFILL_COMPLETED),
    Route::post("/api/usage/backfills/{backfill_id}/cancel", "cancelBackfill", "Give a backfill up")
        .scope("usage:write")
        .answers(200, "Backfill")
        .audits(action::USAGE_BACKFILL_CANCELED),
    Route::get("/api/usage/query", "queryUsage", "Read how much a customer used of a meter")
        .scope("billing:read")
        .query(&["customer_id", "meter", "from", "to", "window", "timezone", "group_by"])
        .answers(200, "UsageQuantities"),
    Route::post(RESERVATIONS, "reserveUsage", "Hold a quantity of a feature before it is used")
        .scope("usage:write")
        .takes("ReservationCreate")
        .answers(201, "Reservation"),
    Route::get(RESERVATION, "getReservation", "Read a reservation").scope("billing:read").answers(200, "Reservation"),
    Route::post("/api/usage/reservations/{reservation_id}/commit", "commitReservation", "Count what was held, or less")
        .scope("usage:write")
        .takes("ReservationCommit")
        .answers(200, "Reservation"),
    Route::post("/api/usage/reservations/{reservation_id}/release", "releaseReservation", "Free what was held")
        .scope("usage:write")
        .answers(200, "Reservation"),
    Route::post("/api/check", "check", "Ask whether a customer may use a feature, and count or hold it")
        .scope("entitlements:check")
        .takes("CheckRequest")
        .answers(200, "Check"),
    // About itself
    Route::get("/api/whoami", "whoami", "Tell what the presented token is and may do").answers(200, "Whoami"),
    Route::get("/api/openapi.json", "getOpenapi", "Read this document").public().answers(200, "OpenapiDocument"),
];

/// The methods a path has, for `Allow`; empty for a path that is not listed.
pub fn methods_of(path: &str) -> Vec<Method> {
    let mut methods: Vec<_> =
        ROUTES.iter().filter(|route| route.path == path).map(|route| route.method.method()).collect();
    if methods.contains(&Method::GET) {
        methods.push(Method::HEAD);
    }
    methods
}

#[cfg(test)]
mod tests;
