//! What others must hear: written to the outbox in the commit of its cause.
//!
//! A type is one entry of the table below: its name on the wire (`object.past_participle`, never renamed) and the
//! `data` of a sample. Webhooks, streams and lists all tell an event in the same bytes.

use crate::clock::Timestamp;
use crate::id::{self, Id};

macro_rules! types {
    ($(#[doc = $meaning:literal] $variant:ident = $name:literal, $sample:literal;)+) => {
        /// The closed table of event types this product writes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Type {
            $(#[doc = $meaning] $variant,)+
        }

        impl Type {
            /// Every type, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The stable name on the wire.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What happened, in a sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)+ }.trim()
            }

            /// The `data` of a sample: a JSON object.
            pub const fn sample(self) -> &'static str {
                match self { $(Self::$variant => $sample,)+ }
            }
        }
    };
}

types! {
    /// A client was created.
    ClientCreated = "client.created", r#"{"object":"client","id":"billing-jobs"}"#;
    /// A client was changed; `previous` holds the changed members as they were.
    ClientUpdated = "client.updated",
        r#"{"object":"client","id":"billing-jobs","changed":{"name":"Billing"},"previous":{"name":"Jobs"}}"#;
    /// A client was disabled; its tokens are inactive.
    ClientDisabled = "client.disabled", r#"{"object":"client","id":"billing-jobs"}"#;
    /// A client was enabled.
    ClientEnabled = "client.enabled", r#"{"object":"client","id":"billing-jobs"}"#;
    /// A client's `expiry` has passed; its tokens end with it.
    ClientExpired = "client.expired", r#"{"object":"client","id":"billing-jobs","at":"2027-12-31T00:00:00Z"}"#;
    /// A client was deleted; its tokens are inactive.
    ClientDeleted = "client.deleted", r#"{"object":"client","id":"billing-jobs"}"#;
    /// All tokens and refresh families of a client were ended.
    ClientTokensRevoked = "client.tokens_revoked", r#"{"object":"client","id":"billing-jobs"}"#;
    /// A secret was added.
    SecretCreated = "client.secret.created",
        r#"{"object":"secret","id":"sec_06bs4x","client_id":"billing-jobs","label":"2027"}"#;
    /// A secret ends in 30, 7 or 1 day.
    SecretExpiring = "client.secret.expiring",
        r#"{"object":"secret","id":"sec_06bs4x","client_id":"billing-jobs","label":"2027","expires_at":"2027-12-31T00:00:00Z","days":7}"#;
    /// A secret has ended by its time.
    SecretExpired = "client.secret.expired",
        r#"{"object":"secret","id":"sec_06bs4x","client_id":"billing-jobs","label":"2027","at":"2027-12-31T00:00:00Z"}"#;
    /// A secret was ended by hand.
    SecretRevoked = "client.secret.revoked",
        r#"{"object":"secret","id":"sec_06bs4x","client_id":"billing-jobs","label":"2027"}"#;
    /// A token, or a refresh family with its access tokens, was ended.
    TokenRevoked = "token.revoked",
        r#"{"object":"token","id":"06bs4x","client_id":"billing-jobs","expires_at":"2027-01-31T09:15:00Z"}"#;
    /// A refresh token was used again outside its window; its family is ended.
    TokenReuseDetected = "token.reuse_detected",
        r#"{"object":"family","id":"fam_06bs4x","client_id":"billing-jobs","secret_id":"sec_06bs4x","rotated_at":"2027-01-31T08:59:00Z"}"#;
    /// A client has used 60, 80 or 100 % of a token quota.
    QuotaThresholdReached = "token_quota.threshold_reached",
        r#"{"object":"client","id":"billing-jobs","policy":"hour","percent":80}"#;
    /// A client asked more often than its rate allows; told once a minute at most.
    RateLimitExceeded = "rate_limit.exceeded",
        r#"{"object":"client","id":"billing-jobs","policy":"client","enforced":true}"#;
    /// A signing key was published; it signs later.
    KeyStaged = "key.staged", r#"{"object":"key","id":"k3","alg":"ES256"}"#;
    /// A signing key was promoted: it signs from now on.
    KeyActivated = "key.activated", r#"{"object":"key","id":"k2","alg":"ES256","replaces":"k1"}"#;
    /// A signing key that another one had replaced was taken out of the published set and destroyed.
    KeyRetired = "key.retired", r#"{"object":"key","id":"k0","alg":"ES256"}"#;
    /// A signing key was destroyed in an emergency; another one signs.
    KeyRevoked = "key.revoked", r#"{"object":"key","id":"k1","alg":"ES256","signs":"k2"}"#;
    /// A tenant was created.
    TenantCreated = "tenant.created", r#"{"object":"tenant","id":"acme","name":"Acme","kind":"live"}"#;
    /// A tenant was changed, disabled or enabled; `previous` holds the changed members as they were.
    TenantUpdated = "tenant.updated",
        r#"{"object":"tenant","id":"acme","changed":{"disabled":true},"previous":{"disabled":false}}"#;
    /// A customer was created.
    CustomerCreated = "customer.created", r#"{"object":"customer","id":"cus_06bs4x","name":"Example GmbH"}"#;
    /// A customer was changed; `previous` holds the changed members as they were.
    CustomerUpdated = "customer.updated",
        r#"{"object":"customer","id":"cus_06bs4x","changed":{"currency":"EUR"},"previous":{"currency":null}}"#;
    /// An operator suspended a customer; its clients get nothing.
    CustomerSuspended = "customer.suspended", r#"{"object":"customer","id":"cus_06bs4x"}"#;
    /// The suspension of a customer was lifted.
    CustomerReinstated = "customer.reinstated", r#"{"object":"customer","id":"cus_06bs4x"}"#;
    /// A customer was deleted.
    CustomerDeleted = "customer.deleted", r#"{"object":"customer","id":"cus_06bs4x"}"#;
    /// A customer was subscribed to a plan.
    SubscriptionCreated = "subscription.created",
        r#"{"object":"subscription","id":"sub_06bs4x","customer_id":"cus_06bs4x","plan_id":"pln_06bs4x","status":"trialing","at":"2027-01-31T09:00:00Z"}"#;
    /// A subscription became active: it was paid, or its trial went over into a period.
    SubscriptionActivated = "subscription.activated",
        r#"{"object":"subscription","id":"sub_06bs4x","customer_id":"cus_06bs4x","plan_id":"pln_06bs4x","status":"active","at":"2027-01-31T09:00:00Z","previous":{"status":"incomplete"}}"#;
    /// A trial ends within three days.
    SubscriptionTrialEnding = "subscription.trial_ending",
        r#"{"object":"subscription","id":"sub_06bs4x","customer_id":"cus_06bs4x","plan_id":"pln_06bs4x","status":"trialing","at":"2027-01-28T09:00:00Z"}"#;
    /// A trial has ended.
    SubscriptionTrialEnded = "subscription.trial_ended",
        r#"{"object":"subscription","id":"sub_06bs4x","customer_id":"cus_06bs4x","plan_id":"pln_06bs4x","status":"active","at":"2027-01-31T09:00:00Z","previous":{"status":"trialing"}}"#;
    /// A subscription has another plan, quantity, period or end.
    SubscriptionUpdated = "subscription.updated",
        r#"{"object":"subscription","id":"sub_06bs4x","customer_id":"cus_06bs4x","plan_id":"pln_06bs4x","status":"active","at":"2027-01-31T09:00:00Z"}"#;
    /// An invoice is overdue; its grace has begun.
    SubscriptionPastDue = "subscription.past_due",
        r#"{"object":"subscription","id":"sub_06bs4x","customer_id":"cus_06bs4x","plan_id":"pln_06bs4x","status":"past_due","at":"2027-01-31T09:00:00Z","previous":{"status":"active"}}"#;
    /// The grace of an overdue invoice is over; access is lost or narrowed.
    SubscriptionUnpaid = "subscription.unpaid",
        r#"{"object":"subscription","id":"sub_06bs4x","customer_id":"cus_06bs4x","plan_id":"pln_06bs4x","status":"unpaid","at":"2027-02-14T09:00:00Z","previous":{"status":"past_due"}}"#;
    /// A subscription was paused, or its trial ended without a way to be paid.
    SubscriptionPaused = "subscription.paused",
        r#"{"object":"subscription","id":"sub_06bs4x","customer_id":"cus_06bs4x","plan_id":"pln_06bs4x","status":"paused","at":"2027-01-31T09:00:00Z","previous":{"status":"active"}}"#;
    /// A paused subscription goes on.
    SubscriptionResumed = "subscription.resumed",
        r#"{"object":"subscription","id":"sub_06bs4x","customer_id":"cus_06bs4x","plan_id":"pln_06bs4x","status":"active","at":"2027-01-31T09:00:00Z","previous":{"status":"paused"}}"#;
    /// A subscription was canceled; that is final.
    SubscriptionCanceled = "subscription.canceled",
        r#"{"object":"subscription","id":"sub_06bs4x","customer_id":"cus_06bs4x","plan_id":"pln_06bs4x","status":"canceled","at":"2027-01-31T09:00:00Z","previous":{"status":"active"}}"#;
    /// A subscription ended by its term, its trial or a first payment that never came; that is final.
    SubscriptionEnded = "subscription.ended",
        r#"{"object":"subscription","id":"sub_06bs4x","customer_id":"cus_06bs4x","plan_id":"pln_06bs4x","status":"ended","at":"2027-01-31T09:00:00Z","previous":{"status":"active"}}"#;
    /// What a customer may do is something else from now on.
    EntitlementChanged = "entitlement.changed",
        r#"{"object":"customer","id":"cus_06bs4x","version":7,"access":"full","plans":["pro"],"features":["reports","seats"]}"#;
    /// A customer has used 50, 80 or 100 % of what it may use of a feature in one window; told once for each.
    EntitlementThresholdReached = "entitlement.threshold_reached",
        r#"{"object":"customer","id":"cus_06bs4x","feature":"api-calls","percent":80,"limit":"1000","used":"800","resets_at":"2027-02-01T00:00:00Z"}"#;
    /// Events of a type that no meter looks at were reported for a customer; told once a minute at most.
    UsageUnmatched = "usage.unmatched",
        r#"{"object":"customer","id":"cus_06bs4x","type":"api.call","count":12}"#;
    /// Events that happened before the open billing period were reported for a customer; told once a minute at most.
    UsageLate = "usage.late", r#"{"object":"customer","id":"cus_06bs4x","type":"api.call","count":3}"#;
    /// Somebody asked for a test of a webhook endpoint; it goes to that endpoint alone.
    WebhookTest = "webhook.test", r#"{"object":"webhook_endpoint","id":"whe_06bs4x"}"#;
    /// Messages to a webhook endpoint wait: `reason` is `requested`, or `failing` after five days without a success.
    WebhookPaused = "webhook.paused",
        r#"{"object":"webhook_endpoint","id":"whe_06bs4x","reason":"failing","failing_since":"2027-01-26T09:00:00Z"}"#;
    /// A webhook endpoint answered 410; it gets no messages any more.
    WebhookDisabled = "webhook.disabled", r#"{"object":"webhook_endpoint","id":"whe_06bs4x","reason":"gone"}"#;
    /// A webhook endpoint has new keys; the old ones sign as well until the overlap ends.
    WebhookSecretRolled = "webhook.secret_rolled",
        r#"{"object":"webhook_endpoint","id":"whe_06bs4x","overlap_ends_at":"2027-02-01T09:00:00Z"}"#;
    /// A person was invited; the address is with the invitation.
    OperatorInvited = "operator.invited",
        r#"{"object":"invitation","id":"lnk_06bs4x","role":"developer","expires_at":"2027-02-03T09:00:00Z"}"#;
    /// An operator has another role.
    OperatorRoleChanged = "operator.role_changed",
        r#"{"object":"operator","id":"op_06bs4x","role":"support","previous":{"role":"developer"}}"#;
    /// An operator was removed.
    OperatorRemoved = "operator.removed", r#"{"object":"operator","id":"op_06bs4x","role":"developer"}"#;
    /// Passphrases for an operator are not accepted from a network any more, after 100 failures in a row.
    OperatorSigninBlocked = "operator.signin_blocked",
        r#"{"object":"operator","id":"op_06bs4x","failures":100,"source":"203.0.113.7"}"#;
}

impl Type {
    /// Reads [`Type::name`].
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

/// Whether a name covers a type: the type itself, `object.*` for all that begin so, or `*` for every one.
pub fn covers(name: &str, kind: &str) -> bool {
    let is_within = |object: &str| kind.strip_prefix(object).is_some_and(|rest| rest.starts_with('.'));
    name == "*" || name == kind || name.strip_suffix(".*").is_some_and(is_within)
}

/// The type whose name is most like a text: the fewest changes of a letter, in any letter case.
pub fn nearest(text: &str) -> &'static str {
    // no name is longer, and what a caller sends may be
    let text: String = text.chars().take(64).flat_map(char::to_lowercase).collect();
    Type::ALL.iter().map(|kind| kind.name()).min_by_key(|name| crate::words::distance(&text, name)).unwrap_or_default()
}

/// `data` is always shorter, in bytes.
pub const MAX_DATA: usize = 20_000;

/// One event.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its id, kept across deliveries.
    pub id: Id<id::Event>,
    /// What happened.
    pub kind: Type,
    /// When.
    pub at: Timestamp,
    /// Whose customer it concerns; its numbers rise apart from the tenant's.
    pub customer: Option<String>,
    /// The public id of the object, as `data.id` says it.
    pub object_id: String,
    /// JSON object with `object`, `id` and the details, below [`MAX_DATA`] bytes; never a secret.
    pub data: String,
}
