//! What a client gets under the standing of its customer: at the token endpoint, by introspection, at the admin API.

use std::collections::{BTreeMap, BTreeSet};

use auth::api_change::ScopeFields;
use auth::catalog::{Ask, Builtin};
use auth::client::Client;
use auth::client_change::{ClientFields, ClientView};
use auth::clock::Advance;
use auth::credential::Authenticated;
use auth::denial::Denials;
use auth::error::{AdminError, OauthError};
use auth::grant::{TokenAnswer, TokenRequest};
use auth::introspect::{Caller, INACTIVE};
use auth::limit::LimitState;
use auth::trial::trial_of;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kernel::clock::BusinessTime;
use kernel::decimal::Decimal;
use kernel::id::{Customer, Id};
use kernel::patch::Field;
use kernel::secret::Secret;
use kernel::standing::{Access, Allowance, Entitlement, Overage, Reset, Source, Standing, Status};
use record::plan::change_record;
use serde_json::{Value, json};
use store::Batch;

use crate::on_both_engines;
use crate::world::World;

fn customer(number: u8) -> Id<Customer> {
    Id::from_bytes([number; 16])
}

/// A standing of a status with the access that goes with it.
fn standing(status: Status, access: Access) -> Standing {
    let since = BusinessTime::from_micros(1_772_600_000_000_000);
    Standing {
        version: 7,
        plans: vec!["pro".to_owned(), "extra".to_owned()],
        source: Some(Source { subscription: Id::from_bytes([9; 16]), status, since }),
        access,
        suspended_at: None,
        entitlements: BTreeMap::new(),
        restricted_scopes: BTreeSet::new(),
        not_before: None,
        access_until: None,
        narrows_at: None,
        paid_through: None,
        next_boundary: None,
    }
}

fn active() -> Standing {
    standing(Status::Active, Access::Full)
}

fn with(mut standing: Standing, feature: &str) -> Standing {
    standing.entitlements.insert(feature.to_owned(), Entitlement::Boolean);
    standing
}

fn restricted(scopes: &[&str]) -> Standing {
    let restricted_scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    Standing { restricted_scopes, ..standing(Status::Unpaid, Access::Restricted) }
}

fn texts(list: &[&str]) -> Field<Vec<String>> {
    Field::Value(list.iter().map(|text| (*text).to_owned()).collect())
}

fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

impl World {
    /// A client with scopes, two of which nothing requires and one that requires the feature `reports`.
    async fn served(
        &self,
        id: &str,
        customer: Option<Id<Customer>>,
        fields: ClientFields,
    ) -> (ClientView, Secret<String>) {
        let who = self.local();
        let catalog = self.auth.read_catalog(&self.tenant).await.unwrap();
        if !catalog.scopes.contains_key("reports") {
            let api = catalog.builtin(Builtin::Default).unwrap().id;
            let scope = ScopeFields {
                name: Some("reports".to_owned()),
                requires_feature: Field::Value("reports".to_owned()),
                ..ScopeFields::default()
            };
            self.auth.run(self.auth.create_scope(&who, &self.tenant, api, scope).await.unwrap()).await.unwrap();
        }
        let scopes = if fields.scopes == Field::Absent { texts(&["base", "more", "reports"]) } else { fields.scopes };
        let fields = ClientFields {
            client_id: Field::Value(id.to_owned()),
            customer_id: customer.map_or(Field::Absent, |id| Field::Value(id.to_string())),
            scopes,
            ..fields
        };
        let planned = self.auth.create_client(&who, &self.tenant, fields).await.unwrap();
        assert_eq!(planned.value.joins, customer, "whom the caller has to guard");
        let view = self.auth.run(planned).await.unwrap();
        let secret = Secret::new(view.secret.as_ref().unwrap().reveal().clone());
        (view, secret)
    }

    async fn proven(&self, id: &str, secret: &Secret<String>) -> Authenticated {
        let presented = trial_of(id, Secret::new(secret.reveal().clone()));
        self.auth.identify(&self.tenant, &presented, None).await.result.unwrap()
    }

    async fn get(
        &self,
        who: &Authenticated,
        standing: Option<&Standing>,
        scope: Option<&str>,
        refresh: Option<&str>,
    ) -> Result<TokenAnswer, OauthError> {
        let request = TokenRequest {
            grant_type: Some(if refresh.is_some() { "refresh_token" } else { "client_credentials" }),
            scope,
            resources: Vec::new(),
            refresh_token: refresh,
            source: None,
            request: self.auth.with_entropy(|entropy| Id::generate(self.auth.clock.now(), entropy)),
        };
        self.auth.token(&self.tenant, who, standing.into(), &request, LimitState::default()).await.result
    }

    async fn token(&self, id: &str, secret: &Secret<String>, standing: Option<&Standing>) -> TokenAnswer {
        self.get(&self.proven(id, secret).await, standing, None, None).await.unwrap()
    }

    /// What the client that owns a token is told about it.
    async fn told(&self, id: &str, token: &Secret<String>, standing: Option<&Standing>) -> Value {
        let client = self.client(id).await;
        let seen = self.auth.look(&self.tenant, &Caller::Client(&client), token.reveal()).await.unwrap();
        let answer = seen.map_or_else(|| INACTIVE.to_owned(), |seen| seen.answer(standing).unwrap());
        serde_json::from_str(&answer).unwrap()
    }

    async fn client(&self, id: &str) -> Client {
        Client::clone(&*self.auth.read_client(self.tenant.id, id).await.unwrap().unwrap())
    }

    async fn patch(&self, id: &str, fields: ClientFields) -> Result<ClientView, AdminError> {
        let planned = self.auth.patch_client(&self.local(), &self.tenant, id, None, fields).await?;
        self.auth.run(planned).await
    }

    /// What billing does in the commit in which a customer loses access.
    async fn lose_access(&self, customer: Id<Customer>) {
        let batch = record::epoch::raise(Batch::new(), self.tenant.id, customer, self.auth.clock.now());
        let object = ("customer", customer.to_string());
        let record =
            change_record(&self.auth, &self.local(), &self.tenant, "test.epoch", (object.0, &object.1), (None, None));
        self.auth.store.commit(batch, record).await.unwrap();
    }

    fn business_in(&self, micros: i64) -> BusinessTime {
        let now = self.tenant.business(self.auth.clock.now());
        BusinessTime::from_micros(now.as_micros() + micros)
    }
}

const SECOND: i64 = 1_000_000;

/// What is asked under a standing, and what comes of it: the granted scopes, or the code and a part of the sentence.
struct Case {
    standing: Option<Standing>,
    scope: Option<&'static str>,
    outcome: Result<&'static str, (&'static str, &'static str)>,
}

const fn case(
    standing: Standing,
    scope: Option<&'static str>,
    outcome: Result<&'static str, (&'static str, &'static str)>,
) -> Case {
    Case { standing: Some(standing), scope, outcome }
}

fn cases() -> Vec<Case> {
    let lacks = Err(("invalid_scope", "the scope reports requires the feature reports"));
    let withheld = Err(("invalid_scope", "2026-03-04; pay or contact the provider; until then the scope more is not"));
    let mut cases = vec![
        case(with(active(), "reports"), None, Ok("base more reports")),
        case(with(active(), "reports"), Some("reports"), Ok("reports")),
        case(active(), None, Ok("base more")),
        case(active(), Some("more base"), Ok("more base")),
        case(active(), Some("reports"), lacks),
        case(active(), Some("base reports"), lacks),
        case(standing(Status::Trialing, Access::Full), None, Ok("base more")),
        case(with(standing(Status::PastDue, Access::Full), "reports"), Some("reports base"), Ok("reports base")),
        case(with(restricted(&["base", "reports"]), "reports"), None, Ok("base reports")),
        case(restricted(&["base", "reports"]), None, Ok("base")),
        case(restricted(&["base", "reports"]), Some("reports"), lacks),
        case(restricted(&["base"]), Some("base"), Ok("base")),
        case(restricted(&["base"]), Some("more"), withheld),
        case(restricted(&["base"]), Some("base more"), withheld),
        case(restricted(&[]), None, Err(("invalid_scope", "its customer"))),
        case(
            Standing { suspended_at: Some(BusinessTime::from_micros(0)), ..active() },
            Some("base"),
            Err(("unauthorized_client", "subscription_inactive: this customer is suspended since 1970-01-01")),
        ),
        case(
            Standing { source: None, access: Access::None, ..active() },
            None,
            Err(("unauthorized_client", "no_subscription: ")),
        ),
        Case { standing: None, scope: Some("base"), outcome: Err(("unauthorized_client", "no_subscription: ")) },
    ];
    for status in [Status::Unpaid, Status::Paused, Status::Incomplete, Status::Canceled, Status::Ended] {
        for scope in [None, Some("base"), Some("nowhere")] {
            let outcome = Err(("unauthorized_client", "subscription_inactive: subscription sub_"));
            cases.push(case(standing(status, Access::None), scope, outcome));
        }
    }
    cases
}

on_both_engines! {
    async fn the_standing_decides_what_a_client_gets_by_either_grant(world: World) {
        let fields = ClientFields { grant_types: texts(&["client_credentials", "refresh_token"]), ..ClientFields::default() };
        let (_, secret) = world.served("acme", Some(customer(1)), fields).await;
        let who = world.proven("acme", &secret).await;
        let all = with(active(), "reports");
        let mut refresh = world.get(&who, Some(&all), None, None).await.unwrap().refresh_token.unwrap();
        for Case { standing, scope, outcome } in cases() {
            for grant in ["client_credentials", "refresh_token"] {
                let presented = (grant == "refresh_token").then(|| refresh.reveal().clone());
                let got = world.get(&who, standing.as_ref(), scope, presented.as_deref()).await;
                let what = format!("{grant} {scope:?} {standing:?}");
                match (got, outcome) {
                    (Ok(answer), Ok(granted)) => {
                        assert_eq!(&*answer.scope, granted, "{what}");
                        assert_eq!(claims(answer.access_token.reveal())["scope"], granted, "{what}");
                        if presented.is_some() {
                            refresh = answer.refresh_token.unwrap();
                        }
                    }
                    // a refusal leaves the refresh token as good as it was: the next case uses it
                    (Err(error), Err((code, sentence))) => {
                        assert_eq!(error.code(), code, "{what}: {error}");
                        assert!(error.to_string().contains(sentence), "{what}: {error}");
                    }
                    (got, _) => panic!("{what}: {:?}", got.map(|answer| answer.scope)),
                }
            }
        }
        let last = world.get(&who, Some(&all), None, Some(refresh.reveal())).await.unwrap();
        assert_eq!(&*last.scope, "base more reports", "what was withheld comes back with the access");
    }

    async fn a_client_without_a_customer_is_internal(world: World) {
        let fields = ClientFields { access_token_ttl_seconds: Field::Value(7_200), ..ClientFields::default() };
        let (view, secret) = world.served("own", None, fields).await;
        assert_eq!(view.warnings, []);
        for standing in [None, Some(restricted(&[])), Some(standing(Status::Ended, Access::None))] {
            let answer = world.token("own", &secret, standing.as_ref()).await;
            assert_eq!((&*answer.scope, answer.expires_in), ("base more reports", 7_200));
            let told = world.told("own", &answer.access_token, standing.as_ref()).await;
            assert_eq!((&told["active"], &told["scope"]), (&json!(true), &json!("base more reports")));
        }
    }

    async fn a_token_ends_when_access_does_and_a_jwt_before_the_longest_life(world: World) {
        let ttl = |format: &str| ClientFields {
            access_token_ttl_seconds: Field::Value(3_600),
            access_token_format: Field::Value(format.to_owned()),
            ..ClientFields::default()
        };
        let (jwt, jwt_secret) = world.served("jwt", Some(customer(1)), ttl("jwt")).await;
        let (opaque, opaque_secret) = world.served("opaque", Some(customer(1)), ttl("opaque")).await;
        assert_eq!(jwt.warnings.iter().map(|w| w.code).collect::<Vec<_>>(), ["ttl_capped"]);
        assert_eq!(opaque.warnings, []);
        let patched = world.patch("jwt", ClientFields { name: Field::Value("J".to_owned()), ..ClientFields::default() }).await;
        assert_eq!(patched.unwrap().warnings.iter().map(|w| w.code).collect::<Vec<_>>(), ["ttl_capped"]);

        // Business time stands ahead; a duration crosses to machine time.
        let ahead = world.auth.advance_clock(&world.local(), "default", Advance::By(864_000)).await.unwrap();
        world.auth.run(ahead).await.unwrap();
        let mut world = world;
        world.tenant = world.auth.tenant("default").await.unwrap().unwrap();
        assert_eq!(world.tenant.clock_ahead_micros, 864_000 * SECOND);

        let until = |micros| Standing { access_until: Some(world.business_in(micros)), ..active() };
        let narrowing = |micros| Standing { narrows_at: Some(world.business_in(micros)), ..until(7_200 * SECOND) };
        for (standing, as_jwt, as_opaque) in [
            (active(), 900, 3_600),
            (until(7_200 * SECOND), 900, 3_600),
            (until(1_000 * SECOND), 900, 1_000),
            (until(100_999_999), 100, 100),
            (narrowing(30_500_000), 30, 30),
            (until(SECOND), 1, 1),
        ] {
            let answer = world.token("jwt", &jwt_secret, Some(&standing)).await;
            let claims = claims(answer.access_token.reveal());
            let life = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
            assert_eq!((i64::from(answer.expires_in), life), (as_jwt, as_jwt), "{standing:?}");
            let answer = world.token("opaque", &opaque_secret, Some(&standing)).await;
            assert_eq!(i64::from(answer.expires_in), as_opaque, "{standing:?}");
        }
        let who = world.proven("jwt", &jwt_secret).await;
        for micros in [999_999, 0, -SECOND] {
            let refused = world.get(&who, Some(&until(micros)), None, None).await.err().unwrap();
            assert_eq!(refused.code(), "unauthorized_client");
            assert!(refused.to_string().starts_with("subscription_inactive: what this customer may do changes at 2026-06-"));
        }
    }

    async fn a_refusal_takes_no_quota(world: World) {
        let quota = auth::client::TokenQuota { per_hour: Some(1), per_day: None, enforce: true };
        let fields = ClientFields { token_quota: Field::Value(quota), ..ClientFields::default() };
        let (_, secret) = world.served("acme", Some(customer(1)), fields).await;
        let who = world.proven("acme", &secret).await;
        let over = Standing { access_until: Some(world.business_in(10)), ..active() };
        for standing in [standing(Status::Paused, Access::None), restricted(&[]), over] {
            assert!(world.get(&who, Some(&standing), None, None).await.is_err());
        }
        assert!(world.get(&who, Some(&active()), Some("reports"), None).await.is_err());
        assert!(world.get(&who, Some(&active()), None, None).await.is_ok());
        assert_eq!(world.get(&who, Some(&active()), None, None).await.err().unwrap().code(), "slow_down");
    }

    async fn a_token_tells_of_its_customer_what_the_client_asked_for(world: World) {
        let fields = || ClientFields { claims: texts(&["ent_ver", "plan", "ent", "sub_status"]), ..ClientFields::default() };
        let (_, secret) = world.served("asks", Some(customer(1)), fields()).await;
        let (_, silent) = world.served("silent", Some(customer(1)), ClientFields::default()).await;
        let (_, internal) = world.served("internal", None, fields()).await;
        let metered = |limit| Entitlement::Metered(Allowance { limit, overage: Overage::Deny, reset: Reset::Period, period: None });
        let number = |text: &str| Decimal::parse(text).unwrap();
        let mut rich = active();
        rich.entitlements = BTreeMap::from([
            ("calls".to_owned(), metered(Some(number("1000000")))),
            ("endless".to_owned(), metered(None)),
            ("rate".to_owned(), Entitlement::Number(number("2.5"))),
            ("sso".to_owned(), Entitlement::Boolean),
            ("tier".to_owned(), Entitlement::Text("gold \"one\"".to_owned())),
        ]);
        let about = |claims: &Value| {
            let named = ["plan", "ent", "ent_ver", "sub_status"].map(|name| claims.get(name).cloned());
            named.map(Option::unwrap_or_default)
        };
        let ent = json!({"calls": 1_000_000, "endless": true, "rate": 2.5, "sso": true, "tier": "gold \"one\""});
        let wanted = [json!("pro"), ent, json!(7), json!("active")];
        let answer = world.token("asks", &secret, Some(&rich)).await;
        assert_eq!(about(&claims(answer.access_token.reveal())), wanted);
        let ask = Ask::default();
        let client = world.client("asks").await;
        let preview = world.auth.preview(&world.tenant, &client, Some(&rich), &ask, Id::from_bytes([1; 16])).await.unwrap();
        assert_eq!(about(&serde_json::from_str(&preview.claims).unwrap()), wanted);
        let refused = world.auth.preview(&world.tenant, &client, None, &ask, Id::from_bytes([1; 16])).await.err().unwrap();
        assert_eq!(refused.code(), "unauthorized_client");

        let nothing = [Value::Null, Value::Null, Value::Null, Value::Null];
        let answer = world.token("silent", &silent, Some(&rich)).await;
        assert_eq!(about(&claims(answer.access_token.reveal())), nothing);
        let answer = world.token("internal", &internal, Some(&rich)).await;
        assert_eq!(about(&claims(answer.access_token.reveal())), nothing);
        let overdue = standing(Status::PastDue, Access::Full);
        let answer = world.token("silent", &silent, Some(&overdue)).await;
        assert_eq!(about(&claims(answer.access_token.reveal()))[3], "past_due");

        // `{"t":"…"}` of 4,096 bytes, and one more
        for (length, shown) in [(4_088, true), (4_089, false)] {
            let mut large = active();
            large.entitlements.insert("t".to_owned(), Entitlement::Text("x".repeat(length)));
            let answer = world.token("asks", &secret, Some(&large)).await;
            let told = about(&claims(answer.access_token.reveal()));
            assert_eq!((told[1].is_object(), &told[2]), (shown, &json!(7)), "{length}");
        }
    }

    async fn introspection_follows_the_standing(world: World) {
        let fields = ClientFields {
            claims: texts(&["plan", "ent_ver"]),
            grant_types: texts(&["client_credentials", "refresh_token"]),
            ..ClientFields::default()
        };
        let (_, secret) = world.served("acme", Some(customer(1)), fields).await;
        let all = with(active(), "reports");
        let issued = world.token("acme", &secret, Some(&all)).await;
        let (access, refresh) = (&issued.access_token, issued.refresh_token.as_ref().unwrap());
        let inactive = json!({"active": false});
        for gone in [None, Some(standing(Status::Unpaid, Access::None)), Some(Standing { suspended_at: Some(world.business_in(0)), ..active() })] {
            assert_eq!(world.told("acme", access, gone.as_ref()).await, inactive);
            assert_eq!(world.told("acme", refresh, gone.as_ref()).await, inactive);
        }
        for (standing, scope) in [
            (&all, Some("base more reports")),
            (&active(), Some("base more")),
            (&restricted(&["more", "reports"]), Some("more")),
            (&restricted(&[]), None),
        ] {
            for token in [access, refresh] {
                let told = world.told("acme", token, Some(standing)).await;
                let found = told.get("scope").and_then(|scope| scope.as_str());
                assert_eq!((&told["active"], found), (&json!(true), scope), "{standing:?}");
                assert_eq!(told.get("sub_status"), None);
            }
        }
        // What the token says of its customer is shown as it is now; a status is shown while an invoice is overdue.
        let changed = Standing { version: 8, plans: vec!["basic".to_owned()], ..with(standing(Status::PastDue, Access::Full), "reports") };
        let told = world.told("acme", access, Some(&changed)).await;
        assert_eq!([&told["plan"], &told["ent_ver"], &told["sub_status"]], [&json!("basic"), &json!(8), &json!("past_due")]);
        assert_eq!(told.get("ent"), None, "the token does not tell it");
        assert_eq!(world.told("acme", refresh, Some(&changed)).await["sub_status"], "past_due");
        let told = world.told("acme", access, Some(&Standing { plans: Vec::new(), ..all.clone() })).await;
        assert_eq!((told.get("plan"), &told["ent_ver"]), (None, &json!(7)));
        // A requirement that comes later narrows live tokens as well.
        let catalog = world.auth.read_catalog(&world.tenant).await.unwrap();
        let api = catalog.builtin(Builtin::Default).unwrap().id;
        let fields = ScopeFields { requires_feature: Field::Value("bulk".to_owned()), ..ScopeFields::default() };
        let planned = world.auth.patch_scope(&world.local(), &world.tenant, api, "more", fields).await.unwrap();
        world.auth.run(planned).await.unwrap();
        assert_eq!(world.told("acme", access, Some(&all)).await["scope"], "base reports");
    }

    async fn a_token_from_before_a_loss_of_access_never_comes_back(world: World) {
        let fields = ClientFields { access_token_format: Field::Value("opaque".to_owned()), ..ClientFields::default() };
        let (_, jwt) = world.served("jwt", Some(customer(1)), ClientFields::default()).await;
        let (_, opaque) = world.served("opaque", Some(customer(1)), fields).await;
        let (_, other) = world.served("other", Some(customer(2)), ClientFields::default()).await;
        let (_, own) = world.served("own", None, ClientFields::default()).await;
        let all = with(active(), "reports");
        let mut tokens = Vec::new();
        for (id, secret) in [("jwt", &jwt), ("opaque", &opaque), ("other", &other), ("own", &own)] {
            tokens.push((id, world.token(id, secret, Some(&all)).await.access_token));
        }
        let proven = world.proven("jwt", &jwt).await;
        world.lose_access(customer(1)).await;
        // The client proved itself and its standing was read before the loss; the token comes after it.
        tokens.push(("jwt", world.get(&proven, Some(&all), None, None).await.unwrap().access_token));
        for ((id, token), active) in tokens.iter().zip([false, false, true, true, false]) {
            assert_eq!(world.told(id, token, Some(&all)).await["active"], active, "{id}");
        }
        let next = world.token("jwt", &jwt, Some(&all)).await.access_token;
        assert_eq!(world.told("jwt", &next, Some(&all)).await["active"], true);
        // A process that starts later knows it, too.
        let fresh = Denials::default();
        fresh.load(&world.auth.store, world.auth.clock.now()).await.unwrap();
        let client = world.client("jwt").await;
        let jti = |token: &Secret<String>| {
            record::entry::Jti::parse(claims(token.reveal())["jti"].as_str().unwrap()).unwrap()
        };
        let denial = |token| fresh.denial(world.tenant.id, &client, &jti(token));
        assert_eq!(denial(&tokens[0].1), Some(auth::denial::Denial::Customer));
        assert_eq!(denial(&next), None);
    }

    async fn a_bearer_of_the_admin_api_has_what_the_standing_leaves(world: World) {
        let fields = ClientFields { scopes: texts(&["clients:read", "clients:write"]), ..ClientFields::default() };
        let (_, secret) = world.served("acme", Some(customer(1)), fields).await;
        let who = world.proven("acme", &secret).await;
        let token = world.get(&who, Some(&active()), Some("clients:read clients:write"), None).await.unwrap().access_token;
        let mut left = Vec::new();
        for standing in [Some(active()), Some(restricted(&["clients:read"])), Some(standing(Status::Ended, Access::None)), None] {
            let bearer = world.auth.bearer(&world.tenant, token.reveal()).await.unwrap().unwrap();
            assert_eq!(bearer.client().customer, Some(customer(1)));
            let found = bearer.principal(standing.as_ref(), None, Id::from_bytes([1; 16]));
            left.push(found.map(|(who, _)| who.scopes.join(" ")));
        }
        let wanted = [Some("clients:read clients:write"), Some("clients:read"), None, None];
        assert_eq!(left, wanted.map(|scopes| scopes.map(str::to_owned)));
    }

    async fn a_client_joins_leaves_and_changes_its_customer(world: World) {
        let (_, secret) = world.served("acme", Some(customer(1)), ClientFields::default()).await;
        world.pass(1);
        world.served("second", Some(customer(1)), ClientFields::default()).await;
        world.served("own", None, ClientFields::default()).await;
        let of = async |number| -> Vec<String> {
            let found = world.auth.clients_of_customer(world.tenant.id, customer(number), None, 10).await.unwrap();
            found.iter().map(|client| client.client_id.to_string()).collect()
        };
        assert_eq!(of(1).await, ["second", "acme"], "the newest first");
        let last = world.client("second").await.id;
        let rest = world.auth.clients_of_customer(world.tenant.id, customer(1), Some(last), 10).await.unwrap();
        assert_eq!(rest.iter().map(|client| &*client.client_id).collect::<Vec<_>>(), ["acme"]);

        let token = world.token("acme", &secret, Some(&active())).await.access_token;
        let named = || ClientFields { name: Field::Value("Acme".to_owned()), ..ClientFields::default() };
        let same = ClientFields { customer_id: Field::Value(customer(1).to_string()), ..named() };
        for fields in [named(), same] {
            assert_eq!(world.patch("acme", fields).await.unwrap().joins, None);
            assert_eq!(world.told("acme", &token, Some(&active())).await["active"], true, "it stays with its customer");
        }
        let moved = ClientFields { customer_id: Field::Value(customer(2).to_string()), ..ClientFields::default() };
        let view = world.patch("acme", moved).await.unwrap();
        assert_eq!((view.joins, view.client.customer), (Some(customer(2)), Some(customer(2))));
        assert_eq!(world.told("acme", &token, Some(&active())).await["active"], false, "issued under another standing");
        assert_eq!((of(1).await, of(2).await), (vec!["second".to_owned()], vec!["acme".to_owned()]));

        let left = world.patch("acme", ClientFields { customer_id: Field::Null, ..ClientFields::default() }).await.unwrap();
        assert_eq!((left.joins, left.client.customer), (None, None));
        assert_eq!(world.client("acme").await.customer, None);
        let audit = world.audit("client.updated").await;
        assert!(audit[2].1.contains(&customer(2).to_string()) && audit[3].1.contains("\"customer_id\":null"), "{audit:?}");

        for text in ["cus_1", "", "cl_00000000000000000000000000"] {
            let fields = ClientFields { customer_id: Field::Value(text.to_owned()), claims: texts(&["ent", "flags"]), ..ClientFields::default() };
            let Err(AdminError::Invalid(problems)) = world.patch("acme", fields).await else { panic!("{text}") };
            let found: Vec<_> = problems.iter().map(|p| (p.pointer.as_str(), p.code)).collect();
            assert_eq!(found, [("/customer_id", "bad_value"), ("/claims/1", "bad_value")], "{text}");
        }
    }

    async fn a_scope_requires_a_feature_until_somebody_takes_it_away(world: World) {
        world.served("acme", Some(customer(1)), ClientFields::default()).await;
        let api = world.auth.read_catalog(&world.tenant).await.unwrap().builtin(Builtin::Default).unwrap().id;
        let change = async |name: &str, fields: ScopeFields| {
            let planned = world.auth.patch_scope(&world.local(), &world.tenant, api, name, fields).await?;
            world.auth.run(planned).await
        };
        let requires = |key: &str| ScopeFields { requires_feature: Field::Value(key.to_owned()), ..ScopeFields::default() };
        for (fields, wanted) in [
            (requires("reports.v2"), Some("reports.v2")),
            (ScopeFields { description: Some("Read reports".to_owned()), ..ScopeFields::default() }, Some("reports.v2")),
            (ScopeFields { requires_feature: Field::Null, ..ScopeFields::default() }, None),
            (requires("again"), Some("again")),
        ] {
            assert_eq!(change("reports", fields).await.unwrap().requires.as_deref(), wanted);
            let stored = world.auth.read_catalog(&world.tenant).await.unwrap();
            assert_eq!((stored.requires("reports"), stored.requires("base")), (wanted, None));
        }
        for bad in ["", "Reports", "-a", "a b"] {
            let Err(AdminError::Invalid(problems)) = change("reports", requires(bad)).await else { panic!("{bad}") };
            assert_eq!((problems.len(), problems[0].pointer.as_str()), (1, "/requires_feature"), "{bad}");
        }
        // Two people decide on the same state; the second is told.
        let who = world.local();
        let one = world.auth.patch_scope(&who, &world.tenant, api, "base", requires("one")).await.unwrap();
        let two = world.auth.patch_scope(&who, &world.tenant, api, "base", requires("two")).await.unwrap();
        world.auth.run(one).await.unwrap();
        assert!(matches!(world.auth.run(two).await, Err(AdminError::Store(store::Error::Conflict(_)))));
        let audit = world.audit("scope.updated").await;
        assert_eq!(audit[0].1, r#"{"requires_feature":"reports.v2"}"#);
    }
}
