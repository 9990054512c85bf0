//! What an operation looks like when it is used: a body that works, and the command that does the same.
//!
//! The suite sends every one of these bodies.

use serde_json::{Value, json};

use crate::route::{Route, Verb};

/// A body for an operation that takes one.
pub(super) fn body(operation_id: &str) -> Option<Value> {
    Some(match operation_id {
        "createClient" => json!({"name": "Invoice export", "scopes": ["invoices:read"]}),
        "updateClient" => json!({"name": "Invoice export", "access_token_ttl_seconds": 600}),
        "createSecret" => json!({"label": "Next", "expire_others_in_seconds": 86_400}),
        "createApi" => json!({"identifier": "https://orders.example.com", "name": "Orders"}),
        "updateApi" => json!({"token_ttl_seconds": 300}),
        "createScope" => json!({"name": "orders:read", "description": "Read orders"}),
        "updateScope" => json!({"description": "Read orders and their lines"}),
        "rotateKey" => json!({"purpose": "token"}),
        "createTenant" => json!({"slug": "acme", "name": "Acme", "kind": "sandbox"}),
        "updateTenant" => json!({"name": "Acme Europe"}),
        "createInvitation" => json!({"email": "kim@example.com", "role": "developer"}),
        "updateOperator" => json!({"role": "support"}),
        "updateLimits" => json!({"client": {"limit": 600, "window_s": 60, "burst": 1_200}}),
        "advanceClock" => json!({"by_seconds": 2_592_000}),
        "createWebhook" => {
            json!({"url": "https://hooks.example.com/bastionary", "types": ["client.*", "token.revoked"]})
        }
        "updateWebhook" => json!({"rate_per_second": 50, "signing": "both"}),
        "rollWebhookSecret" => json!({"overlap_seconds": 86_400}),
        "resendDeliveries" => {
            json!({"from": "2026-05-31T00:00:00Z", "to": "2026-06-01T00:00:00Z", "status": "failed"})
        }
        "createCustomer" => json!({
            "name": "Northwind Traders", "external_id": "crm-1042", "email": "billing@northwind.example", "currency": "EUR",
            "timezone": "Europe/Berlin", "address": {"country": "DE", "city": "Berlin"}, "payment_terms_days": 14,
        }),
        "updateCustomer" => json!({"payment_terms_days": 30, "metadata": {"tier": "gold"}}),
        "createFeature" => json!({"key": "sso", "kind": "boolean", "name": "Single sign-on"}),
        "updateFeature" => json!({"name": "Single sign-on (SAML)"}),
        "createMeter" => json!({"key": "api-calls", "event_type": "api.call", "aggregation": "count"}),
        "createPlan" => json!({
            "key": "pro", "name": "Pro", "cadence": "month", "trial_days": 14,
            "prices": [{"model": "flat", "amount": "49", "currency": "EUR", "timing": "advance"}],
            "entitlements": [{"feature": "sso", "value": true}],
        }),
        "updatePlan" => json!({"grace_days": 7}),
        "createSubscription" => json!({"customer_id": "crm-1042", "plan": "pro"}),
        "resumeSubscription" => json!({"anchor": "kept"}),
        "cancelSubscription" => json!({"at": "period_end"}),
        "changeSubscription" => json!({"quantity": 3}),
        "tellPayment" => json!({"overdue_since": "2026-05-31T00:00:00Z", "reference": "inv-2031"}),
        "reportUsage" | "ingestEvents" => json!({
            "specversion": "1.0", "id": "call-1", "source": "gateway", "type": "api.call", "subject": "crm-1042",
            "data": {"path": "/v1/search"},
        }),
        "correctUsage" => json!({"source": "gateway", "id": "call-1", "void": true, "reason": "Sent by a test"}),
        "createBackfill" => json!({
            "customer_id": "crm-1042", "meter": "api-calls", "from": "2026-05-01T00:00:00Z", "to": "2026-06-01T00:00:00Z",
            "mode": "replace",
        }),
        "addBackfillPart" => json!({
            "specversion": "1.0", "id": "call-0", "source": "gateway", "type": "api.call", "subject": "crm-1042",
            "time": "2026-05-04T08:00:00Z",
        }),
        "reserveUsage" => json!({"customer_id": "crm-1042", "feature": "calls", "quantity": "5", "ttl_seconds": 30}),
        "commitReservation" => json!({"quantity": "2"}),
        "check" => json!({"customer_id": "crm-1042", "feature": "calls"}),
        _ => return None,
    })
}

/// The command of the command line; words in braces are the parameters of the path.
pub(super) fn command(route: &Route) -> String {
    let known = match route.operation_id {
        "listClients" => "clients list",
        "createClient" => "clients create --name \"Invoice export\" --scope invoices:read",
        "getClient" => "clients get {client_id}",
        "updateClient" => "clients update {client_id} --access-token-ttl-seconds 600",
        "deleteClient" => "clients delete {client_id} --yes",
        "disableClient" => "clients disable {client_id}",
        "enableClient" => "clients enable {client_id}",
        "revokeClientTokens" => "clients revoke-tokens {client_id}",
        "listSecrets" => "secrets list {client_id}",
        "createSecret" => "secrets create {client_id} --expire-others-in-seconds 86400",
        "deleteSecret" => "secrets delete {client_id} {id} --yes",
        "listApis" => "apis list",
        "createApi" => "apis create --identifier https://orders.example.com --name Orders",
        "getApi" => "apis get {id}",
        "updateApi" => "apis update {id} --token-ttl-seconds 300",
        "deleteApi" => "apis delete {id} --yes",
        "listScopes" => "apis scopes {id}",
        "createScope" => "apis add-scope {id} orders:read --description \"Read orders\"",
        "deleteScope" => "apis delete-scope {id} {name} --yes",
        "listKeys" => "keys list",
        "getKey" => "keys get {kid}",
        "rotateKey" => "keys rotate",
        "cancelKeyRotation" => "keys cancel-rotation {kid}",
        "revokeKey" => "keys revoke {kid} --yes",
        "listOperators" => "operators list",
        "listRoles" => "operators roles",
        "listInvitations" => "operators invitations",
        "createInvitation" => "operators invite kim@example.com --role developer",
        "deleteInvitation" => "operators withdraw {id}",
        "getOperator" => "operators get {operator_id}",
        "updateOperator" => "operators update {operator_id} --role support",
        "listOperatorSessions" => "operators sessions {operator_id}",
        "endOperatorSession" => "operators end-sessions {operator_id} --session {id}",
        "endOperatorSessions" => "operators end-sessions {operator_id}",
        "disableOperator" => "operators disable {operator_id}",
        "enableOperator" => "operators enable {operator_id}",
        "deleteOperator" => "operators delete {operator_id} --yes",
        "getClock" => "clock get",
        "advanceClock" => "clock advance 30d",
        "listAuditRecords" => "audit list",
        "listJournal" => "audit list --journal",
        "listWebhooks" => "webhooks list",
        "createWebhook" => "webhooks create --url https://hooks.example.com/bastionary --types client.*,token.revoked",
        "getWebhook" => "webhooks get {webhook_id}",
        "updateWebhook" => "webhooks update {webhook_id} --rate-per-second 50 --signing both",
        "deleteWebhook" => "webhooks delete {webhook_id} --yes",
        "pauseWebhook" => "webhooks pause {webhook_id}",
        "resumeWebhook" => "webhooks resume {webhook_id}",
        "testWebhook" => "webhooks test {webhook_id}",
        "rollWebhookSecret" => "webhooks roll-secret {webhook_id} --overlap-seconds 86400",
        "listDeliveries" => "webhooks deliveries {webhook_id}",
        "getDelivery" => "webhooks deliveries {webhook_id} {delivery_id}",
        "resendDelivery" => "webhooks resend {webhook_id} {delivery_id}",
        "resendDeliveries" => {
            "webhooks resend {webhook_id} --from 2026-05-31T00:00:00Z --to 2026-06-01T00:00:00Z --status failed"
        }
        "listEvents" => "events list",
        "getEvent" => "events get {event_id}",
        "streamEvents" => "events tail",
        "listCustomers" => "customers list",
        "createCustomer" => "customers create --name \"Northwind Traders\" --external-id crm-1042 --currency EUR",
        "getCustomer" => "customers get {customer_id}",
        "updateCustomer" => "customers update {customer_id} --payment-terms-days 30",
        "deleteCustomer" => "customers delete {customer_id} --yes",
        "suspendCustomer" => "customers suspend {customer_id}",
        "reinstateCustomer" => "customers reinstate {customer_id}",
        "getStanding" => "customers standing {customer_id}",
        "listFeatures" => "features list",
        "createFeature" => "features create --key sso --kind boolean --name \"Single sign-on\"",
        "getFeature" => "features get {feature_id}",
        "updateFeature" => "features update {feature_id} --name \"Single sign-on (SAML)\"",
        "deleteFeature" => "features delete {feature_id} --yes",
        "listMeters" => "meters list",
        "createMeter" => "meters create --key api-calls --event-type api.call --aggregation count",
        "getMeter" => "meters get {meter_id}",
        "archiveMeter" => "meters archive {meter_id} --yes",
        "listPlans" => "plans list",
        "createPlan" => "plans create -f plan.json",
        "getPlan" => "plans get {plan_id}",
        "updatePlan" => "plans update {plan_id} -f changes.json",
        "deletePlan" => "plans delete {plan_id} --yes",
        "publishPlan" => "plans publish {plan_id}",
        "archivePlan" => "plans archive {plan_id} --yes",
        "listSubscriptions" => "subscriptions list",
        "createSubscription" => "subscriptions create --customer crm-1042 --plan pro",
        "getSubscription" => "subscriptions get {subscription_id}",
        "pauseSubscription" => "subscriptions pause {subscription_id}",
        "resumeSubscription" => "subscriptions resume {subscription_id} --anchor kept",
        "cancelSubscription" => "subscriptions cancel {subscription_id} --at period_end",
        "uncancelSubscription" => "subscriptions uncancel {subscription_id}",
        "changeSubscription" => "subscriptions change {subscription_id} --quantity 3",
        "reportUsage" => "usage report --customer crm-1042 --type api.call --id call-1 --source gateway",
        "listUsageEvents" => "usage events",
        "listUsageRejections" => "usage rejections",
        "correctUsage" => "usage correct --source gateway --id call-1 --void --reason \"Sent by a test\"",
        "listBackfills" => "usage backfill list",
        "createBackfill" => {
            "usage backfill create --customer crm-1042 --meter api-calls --from 2026-05-01T00:00:00Z \
             --to 2026-06-01T00:00:00Z --mode replace"
        }
        "getBackfill" => "usage backfill get {backfill_id}",
        "addBackfillPart" => "usage backfill upload {backfill_id} history.ndjson",
        "completeBackfill" => "usage backfill complete {backfill_id}",
        "cancelBackfill" => "usage backfill cancel {backfill_id}",
        "queryUsage" => {
            "usage query --customer crm-1042 --meter api-calls --from 2026-05-01T00:00:00Z --to 2026-06-01T00:00:00Z"
        }
        "reserveUsage" => "usage reserve --customer crm-1042 --feature calls --quantity 5",
        "getReservation" => "usage reservation {reservation_id}",
        "commitReservation" => "usage commit {reservation_id} --quantity 2",
        "releaseReservation" => "usage release {reservation_id}",
        "check" => "usage check --customer crm-1042 --feature calls",
        "tellPayment" => "subscriptions payment-status {subscription_id} --overdue-since 2026-05-31T00:00:00Z",
        "getOpenapi" => "openapi",
        _ => return raw(route),
    };
    format!("bastionary {known}")
}

/// What has no command of its own is sent as it is.
fn raw(route: &Route) -> String {
    let method = route.method.key();
    let body = match body(route.operation_id) {
        Some(body) => format!(" --data '{body}'"),
        None => String::new(),
    };
    let consent = if route.method == Verb::Delete { " --yes" } else { "" };
    format!("bastionary api {method} {}{body}{consent}", route.path)
}
