//! `bastionary trigger`: what a program that hears events is tried out with. In a sandbox the real requests are made
//! that end in an event of the type; what they create stays there.

use std::time::Duration;

use http::Method;
use kernel::clock::Clock as _;
use kernel::event::{Type, nearest};
use serde_json::{Value, json};

use super::remote::{Remote, Session, revoke, token_request};
use crate::clock::WallClock;
use crate::failure::{Exit, Failure};
use crate::outbound::encoded;
use crate::terminal;

/// How soon something ends that is made to end, in seconds.
const SOON: i64 = 1;
/// How long the server may take to tell of it.
const TOLD_WITHIN: Duration = Duration::from_mins(1);

/// Make a sandbox do what ends in an event of a type
#[derive(clap::Args)]
#[command(after_help = "Example:\n  bastionary trigger client.disabled --issuer http://127.0.0.1:8080/t/acme-test")]
pub(crate) struct Trigger {
    #[command(flatten)]
    remote: Remote,
    /// The type
    #[arg(value_name = "TYPE")]
    kind: String,
}

impl Trigger {
    pub(crate) async fn carry_out(self) -> Result<Exit, Failure> {
        let kind = Type::parse(&self.kind).ok_or_else(|| {
            let remedy = format!("Did you mean `{}`? /docs/events lists all types.", nearest(&self.kind));
            Failure::new(format!("`{}` is no type of event", self.kind), "", remedy).exit(Exit::Usage)
        })?;
        let session = self.remote.session("admin").await?;
        let about = session.call(Method::GET, "/api/whoami", None).await?.unwrap_or_default();
        if about.get("tenant_kind").and_then(Value::as_str) != Some("sandbox") {
            let slug = about.get("tenant").and_then(Value::as_str).unwrap_or_default();
            let why = "what is made to try something out has no place among what is real";
            let remedy = "Create a sandbox (/docs/tenants) and name its issuer with `--issuer`.";
            return Err(Failure::new(format!("the tenant {slug} is live"), why, remedy).exit(Exit::Conflict));
        }
        let mut maker = Maker { remote: &self.remote, session };
        let since = maker.newest().await?;
        maker.make(kind).await?;
        // a key that was destroyed took the token with it
        maker.session = self.remote.session("admin").await?;
        terminal::line(&maker.told(kind, since.as_deref()).await?.to_string());
        Ok(Exit::Done)
    }
}

/// What makes objects.
struct Maker<'a> {
    remote: &'a Remote,
    session: Session,
}

/// A client that was just made.
struct Made {
    id: String,
    secret: String,
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn soon() -> String {
    WallClock::new().now().plus_seconds(SOON).to_string()
}

impl Maker<'_> {
    async fn post(&self, path: &str, body: Value) -> Result<Value, Failure> {
        let body = Some(&body).filter(|body| !body.is_null());
        Ok(self.session.call(Method::POST, path, body).await?.unwrap_or_default())
    }

    async fn client(&self, more: Value) -> Result<Made, Failure> {
        let mut body = json!({"name": "Triggered", "scopes": ["triggered:read"]});
        if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
            body.extend(more);
        }
        let made = self.post("/api/clients", body).await?;
        Ok(Made { id: text(&made, "client_id"), secret: text(&made, "client_secret") })
    }

    async fn token(&self, client: &Made, fields: &[(&str, &str)]) -> Result<Value, Failure> {
        token_request(&self.remote.server(), &client.id, &client.secret, fields).await
    }

    /// Makes the objects that end in an event of the type.
    async fn make(&self, kind: Type) -> Result<(), Failure> {
        let path = |client: &Made, tail: &str| format!("/api/clients/{}{tail}", encoded(&client.id));
        let credentials = [("grant_type", "client_credentials")];
        match kind {
            Type::ClientCreated => drop(self.client(json!({})).await?),
            Type::ClientUpdated => {
                let client = self.client(json!({})).await?;
                let changed = json!({"name": "Triggered again"});
                self.session.call(Method::PATCH, &path(&client, ""), Some(&changed)).await?;
            }
            Type::ClientDisabled | Type::ClientEnabled => {
                let client = self.client(json!({})).await?;
                self.post(&path(&client, "/disable"), Value::Null).await?;
                if kind == Type::ClientEnabled {
                    self.post(&path(&client, "/enable"), Value::Null).await?;
                }
            }
            Type::ClientExpired => drop(self.client(json!({"expiry": soon()})).await?),
            Type::ClientDeleted => {
                let client = self.client(json!({})).await?;
                self.session.call(Method::DELETE, &path(&client, ""), None).await?;
            }
            Type::ClientTokensRevoked => {
                let client = self.client(json!({})).await?;
                self.post(&path(&client, "/revoke-tokens"), Value::Null).await?;
            }
            Type::SecretCreated => {
                let client = self.client(json!({})).await?;
                self.post(&path(&client, "/secrets"), json!({"label": "Triggered"})).await?;
            }
            Type::SecretExpired => {
                let client = self.client(json!({})).await?;
                self.post(&path(&client, "/secrets"), json!({"label": "Triggered", "expires_at": soon()})).await?;
            }
            Type::SecretRevoked => {
                let client = self.client(json!({})).await?;
                let secret = self.post(&path(&client, "/secrets"), json!({"label": "Triggered"})).await?;
                let tail = format!("/secrets/{}", encoded(&text(&secret, "id")));
                self.session.call(Method::DELETE, &path(&client, &tail), None).await?;
            }
            Type::TokenRevoked => {
                let client = self.client(json!({})).await?;
                let token = text(&self.token(&client, &credentials).await?, "access_token");
                revoke(&self.remote.server(), &client.id, &client.secret, &token).await?;
            }
            Type::TokenReuseDetected => {
                let grants = json!(["client_credentials", "refresh_token"]);
                let client = self.client(json!({"grant_types": grants, "refresh_reuse_window_seconds": 0})).await?;
                let first = text(&self.token(&client, &credentials).await?, "refresh_token");
                let again = [("grant_type", "refresh_token"), ("refresh_token", first.as_str())];
                self.token(&client, &again).await?;
                self.token(&client, &again).await?;
            }
            Type::QuotaThresholdReached => {
                let client = self.client(json!({"token_quota": {"per_hour": 1}})).await?;
                self.token(&client, &credentials).await?;
            }
            Type::RateLimitExceeded => {
                let rate = json!({"limit": 1, "window_s": 60, "burst": 1, "enforce": true});
                let client = self.client(json!({"rate_limit": rate})).await?;
                for _ in 0..3 {
                    self.token(&client, &credentials).await?;
                }
            }
            Type::KeyStaged | Type::KeyActivated => drop(self.post("/api/keys/rotate", json!({"force": true})).await?),
            Type::KeyRevoked => {
                self.post("/api/keys/rotate", json!({"force": true})).await?;
                let keys = self.session.list("/api/keys", &[], None).await?;
                let keys = keys.get("data").and_then(Value::as_array).cloned().unwrap_or_default();
                let replaced = keys.iter().find(|key| text(key, "state") == "retiring");
                let kid = replaced.map(|key| text(key, "kid")).unwrap_or_default();
                self.post(&format!("/api/keys/{}/revoke", encoded(&kid)), Value::Null).await?;
            }
            other => {
                return Err(Failure::new(
                    format!("{} cannot be triggered", other.name()),
                    "it takes days, a person or another tenant",
                    format!("Its sample is in /docs/events; `data` is {}", other.sample()),
                ));
            }
        }
        Ok(())
    }

    /// The id of the newest event before anything is made.
    async fn newest(&self) -> Result<Option<String>, Failure> {
        let list = self.session.list("/api/events", &[], Some(1)).await?;
        Ok(list.pointer("/data/0/id").and_then(Value::as_str).map(str::to_owned))
    }

    /// The event of the type that came after `since`, as soon as it is there.
    async fn told(&self, kind: Type, since: Option<&str>) -> Result<Value, Failure> {
        let until = tokio::time::Instant::now().checked_add(TOLD_WITHIN);
        loop {
            let list = self.session.list("/api/events", &[], Some(50)).await?;
            let events = list.get("data").and_then(Value::as_array).cloned().unwrap_or_default();
            let is_new = |event: &&Value| event.get("id").and_then(Value::as_str) != since;
            let found = events.iter().take_while(is_new).find(|event| text(event, "type") == kind.name());
            if let Some(event) = found {
                return Ok(event.clone());
            }
            if until.is_none_or(|until| tokio::time::Instant::now() >= until) {
                let why = format!("nothing of this type was told within {} s", TOLD_WITHIN.as_secs());
                return Err(Failure::new(format!("{} was not seen", kind.name()), why, "Look into the server's log."));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}
