//! `bastionary dev`: a server for the first five minutes, with demo clients, a customer on a plan, and lines to paste.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use access::Access;
use auth::api_change::{ApiFields, ScopeFields};
use auth::client_change::{ClientFields, ClientView};
use auth::error::AdminError;
use auth::operator::OperatorError;
use auth::secret_change::SecretFields;
use billing::customer::CustomerFields;
use billing::plan::PlanState;
use billing::subscribe::NewFields;
use jose::SystemEntropy;
use kernel::id::{Entropy as _, base32_encode};
use kernel::patch::Field;
use kernel::principal::Principal;
use kernel::secret::Secret;
use kernel::target::Policy;
use serde_json::json;

use crate::boot::House;
use crate::config::{Config, Overrides};
use crate::data_dir::DataDir;
use crate::environment::given;
use crate::failure::{Exit, Failure};
use crate::operation::{admin_failure, operator_failure};
use crate::serve::{Edge, logs, run_house};
use crate::stopping::{Hangup, Stop};
use crate::terminal;

const API: &str = "https://invoices.example";
const SCOPES: [(&str, &str); 2] = [("invoices:read", "Read invoices"), ("invoices:write", "Write invoices")];
const ADMIN: &str = "demo-admin";
const DEMO: &str = "demo";
const REFRESHING: &str = "demo-refresh";
const PAYING: &str = "demo-customer";
/// The customer's own id, and the key of the plan that it is on.
const CUSTOMER: &str = "example";
const PLAN: &str = "starter";

/// Runs the development server until it is told to stop.
///
/// # Errors
/// A [`Failure`] when it cannot start.
pub async fn run(listen: Option<String>, data_dir: Option<PathBuf>) -> Result<(), Failure> {
    let scratch = match &data_dir {
        Some(_) => None,
        None => Some(Scratch::new()?),
    };
    let path = scratch.as_ref().map(|s| s.path.clone()).or(data_dir);
    let overrides = Overrides { listen, data_dir: path, ..Overrides::default() };
    // A configuration meant for another server must not leak into this one; only the log may be turned up.
    let environment = [
        ("BASTIONARY_LOG", given("BASTIONARY_LOG").unwrap_or_else(|| "warn".to_owned())),
        ("BASTIONARY_LOG_FORMAT", given("BASTIONARY_LOG_FORMAT").unwrap_or_default()),
        ("BASTIONARY_MANAGEMENT_LISTEN", "off".to_owned()),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value)).into();
    // Receivers of webhooks that are being written listen on this machine, without TLS.
    let here = ["127.0.0.0/8", "::1"].into_iter().filter_map(|network| network.parse().ok()).collect();
    let outbound = Policy::new(here, Vec::new()).with_plain(true);
    let config = Config { is_development: true, outbound, ..Config::load(None, &environment, overrides)? };
    config.listen_guard()?;
    logs(&config)?;
    let stop = Stop::on_signals(Hangup::Stop)?;
    let dir = DataDir::hold(&config.data_dir)?;
    let edge = Edge::open(&config).await?;
    let base = config.issuer_for(edge.address);
    let house = House::open(&config, dir, base.clone()).await?;
    let demo = match Demo::plant(&house).await {
        Ok(demo) => demo,
        Err(failure) => {
            house.close().await;
            return Err(failure);
        }
    };
    let is_temporary = scratch.is_some();
    let served = run_house(&config, house, edge, &stop, || terminal::data(&demo.text(&base, is_temporary))).await;
    drop(scratch);
    served
}

/// A directory that disappears with the process that made it.
struct Scratch {
    path: PathBuf,
}

impl Scratch {
    fn new() -> Result<Self, Failure> {
        let mut random = [0_u8; 16];
        SystemEntropy::new().fill(&mut random);
        let path = std::env::temp_dir().join(format!("bastionary-dev-{}", base32_encode(&random)));
        // Made here and not found: in a directory that everybody can write, a known name could be somebody else's.
        std::fs::DirBuilder::new().mode(0o700).create(&path).map_err(|error| {
            Failure::new(
                format!("the temporary directory {} cannot be made", path.display()),
                error,
                "Set TMPDIR to a directory that this user may write, or name one with `--data-dir`.",
            )
        })?;
        Ok(Self { path })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path) {
            terminal::words(&format!("The temporary directory {} could not be removed: {error}", self.path.display()));
        }
    }
}

fn remove(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The credentials to print.
struct Demo {
    machine: Secret<String>,
    refreshing: Secret<String>,
    paying: Secret<String>,
    admin: Secret<String>,
    /// The link that makes the console's first owner, while there is none.
    console: Option<Secret<String>>,
}

impl Demo {
    /// Makes the demo API, clients and customer; in a directory that was used before, only new secrets.
    async fn plant(house: &House) -> Result<Self, Failure> {
        let access = Access::open(Arc::clone(&house.auth));
        let planter = Planter { house, access, who: house.auth.system(&house.tenant, "dev") };
        let broken = |error| admin_failure("the demo data was not made", &error);
        let known = house.auth.read_client(house.tenant.id, DEMO).await.map_err(|error| broken(error.into()))?;
        if known.is_none() {
            if house.auth.has_admin(&house.tenant).await.map_err(|error| broken(error.into()))? {
                return Err(Failure::new(
                    format!("{} is not a directory of `bastionary dev`", house.dir.path().display()),
                    "it holds an installation, and demo clients in it would be a way in for everybody who knows them",
                    "Run `bastionary serve` on it, or name another directory.",
                )
                .exit(Exit::Conflict));
            }
            planter.api().await.map_err(broken)?;
        }
        let scopes = || SCOPES.map(|(scope, _)| scope.to_owned()).to_vec();
        let machine = |id: &str, grants: &[&str]| ClientFields {
            client_id: Field::Value(id.to_owned()),
            name: Field::Value(id.to_owned()),
            scopes: Field::Value(scopes()),
            default_scopes: Field::Value(scopes()),
            grant_types: Field::Value(grants.iter().map(|g| (*g).to_owned()).collect()),
            ..ClientFields::default()
        };
        let admin = ClientFields {
            client_id: Field::Value(ADMIN.to_owned()),
            name: Field::Value("Admin".to_owned()),
            scopes: Field::Value(vec!["admin".to_owned()]),
            ..ClientFields::default()
        };
        let console = planter.console().await?;
        let paying = ClientFields {
            customer_id: planter.customer().await.map_err(broken)?,
            claims: Field::Value(vec!["plan".to_owned(), "ent".to_owned()]),
            ..machine(PAYING, &["client_credentials"])
        };
        Ok(Self {
            console,
            paying: planter.client(PAYING, paying).await.map_err(broken)?,
            admin: planter.client(ADMIN, admin).await.map_err(broken)?,
            refreshing: planter
                .client(REFRESHING, machine(REFRESHING, &["client_credentials", "refresh_token"]))
                .await
                .map_err(broken)?,
            // Last, because its presence says that the rest is there.
            machine: planter.client(DEMO, machine(DEMO, &["client_credentials"])).await.map_err(broken)?,
        })
    }

    fn text(&self, base: &str, is_temporary: bool) -> String {
        let (demo, refreshing, admin) = (self.machine.reveal(), self.refreshing.reveal(), self.admin.reveal());
        let paying = self.paying.reveal();
        let scopes = SCOPES.map(|(scope, _)| scope).join(" ");
        let console = match &self.console {
            Some(link) => format!("make an account with this link, which works one time\n  {}", link.reveal()),
            None => format!("{base}/console"),
        };
        let end = if is_temporary { "the temporary store is removed then" } else { "the data directory stays" };
        format!(
            r#"Bastionary is ready at {base}

Documentation
  {base}/docs

Console: {console}

Demo client of the API {API} with the scopes {scopes}
  client_id      {DEMO}
  client_secret  {demo}
  With refresh tokens: {REFRESHING} and {refreshing}

Get a token
  curl -s -u '{DEMO}:{demo}' {base}/oauth2/token -d grant_type=client_credentials

Call the API with an administrator's token
  TOKEN=$(curl -s -u '{ADMIN}:{admin}' {base}/oauth2/token -d grant_type=client_credentials -d scope=admin | sed 's/.*"access_token": *"\([^"]*\)".*/\1/')
  curl -s -H "Authorization: Bearer $TOKEN" {base}/api/clients

A token of a customer on the plan {PLAN}: its claims `plan` and `ent` say so
  curl -s -u '{PAYING}:{paying}' {base}/oauth2/token -d grant_type=client_credentials

Suspend the customer, with the same $TOKEN: the next token is refused
  curl -s -X POST -H "Authorization: Bearer $TOKEN" {base}/api/customers/{CUSTOMER}/suspend

Stop with Ctrl-C; {end}.
"#
        )
    }
}

struct Planter<'a> {
    house: &'a House,
    access: Arc<Access>,
    who: Principal,
}

impl Planter<'_> {
    async fn console(&self) -> Result<Option<Secret<String>>, Failure> {
        let House { auth, tenant, .. } = self.house;
        let broken = |error: OperatorError| operator_failure("the link to the console was not made", &error);
        if auth.has_operator(tenant.id).await.map_err(|error| broken(error.into()))? {
            return Ok(None);
        }
        let link = auth.create_setup_link(&self.who, tenant).await.map_err(broken)?;
        Ok(Some(link.address))
    }

    async fn api(&self) -> Result<(), AdminError> {
        let House { auth, tenant, .. } = self.house;
        if auth.read_catalog(tenant).await?.by_resource(API).is_some() {
            return Ok(());
        }
        let fields = ApiFields {
            identifier: Field::Value(API.to_owned()),
            name: Field::Value("Invoices".to_owned()),
            ..ApiFields::default()
        };
        let api = auth.run(auth.create_api(&self.who, tenant, fields).await?).await?;
        for (name, description) in SCOPES {
            let fields = ScopeFields {
                name: Some(name.to_owned()),
                description: Some(description.to_owned()),
                ..ScopeFields::default()
            };
            auth.run(auth.create_scope(&self.who, tenant, api.id, fields).await?).await?;
        }
        Ok(())
    }

    /// The id of the demo customer, which is made with its plan; nothing when its client is there already, and so is it.
    async fn customer(&self) -> Result<Field<String>, AdminError> {
        let (House { auth, tenant, .. }, billing, who) = (self.house, &self.access.billing, &self.who);
        if auth.read_client(tenant.id, PAYING).await?.is_some() {
            return Ok(Field::Absent);
        }
        let meter = json!({"key": "documents", "event_type": "document.created", "aggregation": "count"});
        auth.run(billing.create_meter(who, tenant, &meter).await?).await?;
        for feature in [
            json!({"key": "archive", "kind": "boolean", "name": "Archive"}),
            json!({"key": "documents", "kind": "metered", "name": "Documents", "meter": "documents"}),
        ] {
            match billing.create_feature(who, tenant, &feature).await {
                // an earlier start was stopped before its end
                Err(AdminError::Taken(..)) => {}
                planned => drop(auth.run(planned?).await?),
            }
        }
        let plan = json!({
            "key": PLAN, "name": "Starter", "cadence": "month",
            "entitlements": [{"feature": "archive", "value": true}, {"feature": "documents", "limit": "1000"}],
        });
        let plan = auth.run(billing.create_plan(who, tenant, &plan).await?).await?;
        auth.run(billing.set_plan_state(who, tenant, (plan.id, None), PlanState::Active).await?).await?;
        if billing.find_customer(tenant, CUSTOMER).await?.is_none() {
            let fields = json!({"name": "Example Company", "external_id": CUSTOMER});
            let fields = CustomerFields::read(&fields).map_err(AdminError::Invalid)?;
            auth.run(billing.create_customer(who, tenant, fields).await?).await?;
        }
        let fields = NewFields::read(&json!({"customer_id": CUSTOMER, "plan": PLAN})).map_err(AdminError::Invalid)?;
        let subscribed = auth.run(billing.subscribe(who, tenant, fields).await?).await?;
        Ok(Field::Value(subscribed.customer.to_string()))
    }

    /// The secret of the client: of a new client its first one, of a known client a new one in place of all others.
    async fn client(&self, id: &str, fields: ClientFields) -> Result<Secret<String>, AdminError> {
        let House { auth, tenant, .. } = self.house;
        if auth.read_client(tenant.id, id).await?.is_some() {
            let fields = SecretFields { expire_others_in_seconds: Some(0), ..SecretFields::default() };
            return Ok(auth.run(auth.add_secret(&self.who, tenant, id, fields).await?).await?.text);
        }
        let view: ClientView = auth.run(self.access.create_client(&self.who, tenant, fields).await?).await?;
        view.secret.ok_or(AdminError::NotFound("secret"))
    }
}
