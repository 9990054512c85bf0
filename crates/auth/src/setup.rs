//! First start and new tenants: the built-in APIs, the management scopes, the first keys, the first admin client.

use std::sync::Arc;

use jose::Alg;
use kernel::clock::Timestamp;
use kernel::event::Type;
use kernel::id::{self, Id};
use kernel::principal::{Principal, Subject};
use kernel::secret::Secret;
use kernel::tenant::{DEFAULT, DEFAULT_SLUG, TenantId, is_slug};
use record::action;
use serde_json::json;
use store::{Batch, ChangeKind, Row, params};

use crate::catalog::{Builtin, Catalog, MANAGEMENT_SCOPES};
use crate::client_change::{ClientFields, ClientView};
use crate::directory::Auth;
use crate::error::{AdminError, FieldProblem};
use crate::key::KeyPurpose;
use crate::limit::Rate;
use crate::operator;
use crate::sql;
use kernel::patch::Field;
use record::plan::{Planned, change_record, event};
use record::tenant::{Stored, Tenant, TenantKind};

/// The body of `POST /api/tenants` or `PATCH /api/tenants/{slug}`, read but not judged.
#[derive(Default)]
pub struct TenantFields {
    /// Problems that reading has found already.
    pub problems: Vec<FieldProblem>,
    /// The path segment; creation only.
    pub slug: Option<String>,
    /// Name for people.
    pub name: Option<String>,
    /// `live` or `sandbox`; creation only.
    pub kind: Option<String>,
    /// Whether it is switched off.
    pub disabled: Option<bool>,
}

impl Auth {
    /// Makes sure that the tenant `default` exists with its keys. Safe to repeat.
    ///
    /// # Errors
    /// The store's and cryptography's.
    pub async fn set_up(&self) -> Result<Arc<Tenant>, AdminError> {
        if self.tenant(DEFAULT_SLUG).await?.is_none() {
            let who = Principal {
                tenant: DEFAULT,
                subject: Subject::System("setup"),
                credential: None,
                scopes: Arc::from([]),
                source: None,
                request: self.with_entropy(|entropy| Id::generate(self.clock.now(), entropy)),
            };
            let planned = self.plan_tenant(&who, DEFAULT, DEFAULT_SLUG, "Default", self.settings.default_kind)?;
            match self.run(planned).await {
                Ok(()) | Err(AdminError::Store(store::Error::Conflict(_))) => {}
                Err(error) => return Err(error),
            }
        }
        let tenant = self.tenant(DEFAULT_SLUG).await?.ok_or(AdminError::NotFound("tenant"))?;
        self.first_keys(&tenant).await?;
        Ok(tenant)
    }

    /// The keys every tenant needs: tokens and checkpoints.
    ///
    /// # Errors
    /// The store's and cryptography's.
    pub async fn first_keys(&self, tenant: &Tenant) -> Result<(), AdminError> {
        self.ensure_keys(tenant, KeyPurpose::Token, Alg::Es256).await?;
        self.ensure_keys(tenant, KeyPurpose::Checkpoint, Alg::EdDsa).await
    }

    fn plan_tenant(
        &self,
        who: &Principal,
        id: TenantId,
        slug: &str,
        name: &str,
        kind: TenantKind,
    ) -> Result<Planned<()>, AdminError> {
        let now = self.clock.now();
        let mut batch = Batch::new()
            .expect(1, &sql::TENANT_INSERT, params![id, slug, name, kind.name(), 0_i64, "{}", now])
            .change(ChangeKind::Tenant, slug)
            .change(ChangeKind::Apis, "builtin");
        let mut ids = Vec::new();
        for (builtin, title) in [(Builtin::Default, "Default API"), (Builtin::Management, "Management API")] {
            let api = self.with_entropy(|entropy| Id::<id::Api>::generate(now, entropy));
            let ttl: Option<i64> = None;
            let alg: Option<&str> = None;
            batch = batch.expect(
                1,
                &sql::API_INSERT,
                params![id, api, builtin.path(), title, builtin.name(), ttl, alg, now],
            );
            ids.push(api);
        }
        let management = ids.last().copied().ok_or(store::Error::RowCorrupt)?;
        for (scope, description) in MANAGEMENT_SCOPES {
            batch = batch.expect(1, &sql::SCOPE_INSERT, params![id, scope, management, description, now, None::<&str>]);
        }
        let data = json!({"slug": slug, "name": name, "kind": kind.name()});
        let facts = json!({"name": name, "kind": kind.name()});
        let batch = batch.event(event(self, Type::TenantCreated, ("tenant", slug), facts));
        let record = kernel::audit::Record::Change(kernel::audit::Change {
            commit: self.store.new_commit_id(),
            tenant: id,
            actor: who.actor(),
            credential: who.credential,
            action: action::TENANT_CREATED,
            object_kind: "tenant",
            object_id: slug.to_owned(),
            before: None,
            after: Some(data.to_string()),
            at: now,
            business_at: kernel::clock::BusinessTime::of(now, 0),
            source: who.source,
            request: Some(who.request),
        });
        Ok(Planned { batch, record, value: () })
    }

    /// Creates a tenant and a first admin client in it, in one commit; the answer shows the secret once.
    ///
    /// # Errors
    /// [`AdminError::Invalid`], [`AdminError::Taken`], the store's.
    pub async fn create_tenant(
        &self,
        who: &Principal,
        fields: TenantFields,
    ) -> Result<Planned<(Tenant, ClientView)>, AdminError> {
        let mut problems = fields.problems;
        let slug = fields.slug.unwrap_or_default();
        if !is_slug(&slug) {
            let detail = "slug takes 1 to 63 characters of a-z 0-9 -, not beginning with -";
            problems.push(FieldProblem::new("slug", "bad_value", detail));
        }
        let name = fields.name.unwrap_or_else(|| slug.clone());
        if name.chars().count() > 200 || name.chars().any(char::is_control) {
            problems.push(FieldProblem::new("name", "bad_value", "name takes up to 200 characters, none of control"));
        }
        let kind = fields.kind.as_deref().map_or(Some(TenantKind::Live), TenantKind::parse);
        if kind.is_none() {
            problems.push(FieldProblem::new("kind", "bad_value", "kind takes live or sandbox"));
        }
        let Some(kind) = kind.filter(|_| problems.is_empty()) else { return Err(AdminError::Invalid(problems)) };
        if self.tenant(&slug).await?.is_some() {
            return Err(AdminError::Taken("slug_taken", format!("there is already a tenant {slug}")));
        }
        let now = self.clock.now();
        let id = self.with_entropy(|entropy| Id::generate(now, entropy));
        let row = Row(params![id, slug.as_str(), name.as_str(), kind.name(), 0_i64, "{}", None::<i64>, now, now]);
        let tenant = Tenant::from_row(&row, &self.keyring, &self.settings.issuer)?;
        let planned = self.plan_tenant(who, id, &slug, &name, kind)?;
        let inside = Principal { tenant: id, ..who.clone() };
        let admin = self.plan_client(&inside, &tenant, &Catalog::management(), admin_fields(None, None)).await?;
        let mut batch = planned.batch;
        batch.steps.extend(admin.batch.steps);
        batch.stamped.extend(admin.batch.stamped);
        batch.changes.extend(admin.batch.changes);
        batch.events.extend(admin.batch.events);
        Ok(Planned { batch, record: planned.record, value: (tenant, admin.value) })
    }

    /// Changes a tenant's name, or switches it off or on.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::Invalid`], [`AdminError::State`], the store's.
    pub async fn patch_tenant(
        &self,
        who: &Principal,
        slug: &str,
        fields: TenantFields,
    ) -> Result<Planned<()>, AdminError> {
        let tenant = self.tenant(slug).await?.ok_or(AdminError::NotFound("tenant"))?;
        let mut problems = fields.problems;
        if fields.slug.is_some() || fields.kind.is_some() {
            problems.push(FieldProblem::new("slug", "read_only", "slug and kind are chosen once"));
        }
        let name = fields.name.unwrap_or_else(|| tenant.name.clone());
        if name.chars().count() > 200 || name.chars().any(char::is_control) {
            problems.push(FieldProblem::new("name", "bad_value", "name takes up to 200 characters, none of control"));
        }
        if !problems.is_empty() {
            return Err(AdminError::Invalid(problems));
        }
        if slug == DEFAULT_SLUG && fields.disabled == Some(true) {
            return Err(AdminError::State("the tenant default cannot be disabled".to_owned()));
        }
        let now = self.clock.now().max(Timestamp::from_micros(tenant.updated_at.as_micros().saturating_add(1)));
        let disabled_at = match fields.disabled {
            None => tenant.disabled_at,
            Some(true) => Some(tenant.disabled_at.unwrap_or(now)),
            Some(false) => None,
        };
        let mut batch = Batch::new().expect(
            1,
            &sql::TENANT_UPDATE,
            params![
                tenant.id,
                name.as_str(),
                Stored { client_rate: tenant.client_rate }.to_text()?,
                disabled_at,
                now,
                tenant.updated_at,
            ],
        );
        if fields.disabled == Some(true) {
            batch = self.raise_epoch(batch, &tenant, tenant.id);
        }
        let before = json!({"name": tenant.name, "disabled": tenant.disabled_at.is_some()});
        let after = json!({"name": name, "disabled": disabled_at.is_some()});
        let (before, after) = record::plan::difference(&before, &after);
        let facts = json!({"changed": after, "previous": before});
        let batch =
            batch.change(ChangeKind::Tenant, slug).event(event(self, Type::TenantUpdated, ("tenant", slug), facts));
        let record =
            change_record(self, who, &tenant, action::TENANT_UPDATED, ("tenant", slug), (Some(before), Some(after)));
        Ok(Planned { batch, record, value: () })
    }

    /// Changes the request rate of the tenant's clients that have none of their own; `None` for the server's.
    ///
    /// # Errors
    /// The store's.
    pub async fn patch_limits(
        &self,
        who: &Principal,
        tenant: &Tenant,
        client_rate: Option<Rate>,
    ) -> Result<Planned<()>, AdminError> {
        let current = self.tenant(&tenant.slug).await?.ok_or(AdminError::NotFound("tenant"))?;
        let now = self.clock.now().max(Timestamp::from_micros(current.updated_at.as_micros().saturating_add(1)));
        let batch = Batch::new()
            .expect(
                1,
                &sql::TENANT_UPDATE,
                params![
                    current.id,
                    current.name.as_str(),
                    Stored { client_rate }.to_text()?,
                    current.disabled_at,
                    now,
                    current.updated_at,
                ],
            )
            .change(ChangeKind::Tenant, &*current.slug);
        let (before, after) = (json!({"client": current.client_rate}), json!({"client": client_rate}));
        let object = ("tenant", &*current.slug);
        let record = change_record(self, who, &current, action::LIMITS_UPDATED, object, (Some(before), Some(after)));
        Ok(Planned { batch, record, value: () })
    }

    /// An admin client: holds the scope `admin`, which implies every management scope.
    ///
    /// # Errors
    /// [`AdminError::Invalid`], [`AdminError::Taken`], the store's.
    pub async fn plan_admin_client(
        &self,
        who: &Principal,
        tenant: &Tenant,
        client_id: Option<String>,
        secret: Option<Secret<String>>,
    ) -> Result<Planned<ClientView>, AdminError> {
        self.create_client(who, tenant, admin_fields(client_id, secret)).await
    }

    /// Whether any client of the tenant holds `admin`.
    ///
    /// # Errors
    /// The store's.
    pub async fn has_admin(&self, tenant: &Tenant) -> Result<bool, store::Error> {
        Ok(self.store.read(&sql::SCOPE_USED, params![tenant.id, "admin"]).await?.is_some())
    }

    /// Forgets rows whose time has passed.
    ///
    /// # Errors
    /// The store's.
    pub async fn purge(&self) -> Result<(), store::Error> {
        let now = self.clock.now();
        let day_ago = now.plus_seconds(-86_400);
        let kept_seconds = i64::from(self.settings.event_retention_days).saturating_mul(86_400);
        let events_end = now.plus_seconds(kept_seconds.saturating_neg());
        let batch = Batch::new()
            .run(&sql::PURGE_OPAQUE, params![now])
            .run(&sql::PURGE_DENIED, params![now])
            .run(&sql::PURGE_EPOCH, params![now])
            .run(&sql::PURGE_IDEMPOTENCY, params![now])
            .run(&sql::PURGE_FAMILY, params![day_ago])
            .run(&sql::PURGE_CHANGE, params![day_ago])
            .run(&sql::PURGE_DELIVERY, params![events_end])
            .run(&sql::PURGE_ATTEMPT, params![events_end])
            .run(&sql::PURGE_EVENT, params![events_end])
            .run(&operator::sql::PURGE_SESSION, params![now])
            .run(&operator::sql::PURGE_SPENT, params![now])
            .run(&operator::sql::PURGE_LINK, params![day_ago])
            .run(&operator::sql::PURGE_ATTEMPT, params![now.plus_seconds(-operator::attempt::MEMORY_SECONDS)]);
        self.store.upkeep(store::Upkeep::Purge, batch).await?;
        self.denials.purge(now);
        Ok(())
    }
}

fn admin_fields(client_id: Option<String>, secret: Option<Secret<String>>) -> ClientFields {
    ClientFields {
        client_id: client_id.map_or(Field::Absent, Field::Value),
        client_secret: secret,
        name: Field::Value("Admin".to_owned()),
        scopes: Field::Value(vec!["admin".to_owned()]),
        ..ClientFields::default()
    }
}
