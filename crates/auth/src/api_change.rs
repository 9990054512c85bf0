//! Creating, changing and deleting APIs and their scopes.

use std::sync::Arc;

use jose::Alg;
use kernel::id::{self, Id};
use kernel::principal::Principal;
use kernel::standing::is_feature_key;
use record::action;
use serde_json::json;
use store::{Batch, ChangeKind, params};

use crate::catalog::{Api, Scope, is_scope_token, normalize};
use crate::client::ACCESS_TTL_SECONDS;
use crate::directory::Auth;
use crate::error::{AdminError, FieldProblem};
use crate::sql;
use kernel::patch::Field;
use record::plan::{Planned, change_record};
use record::tenant::Tenant;

/// The body of `POST /api/apis` or `PATCH /api/apis/{id}`, read but not judged.
#[derive(Default)]
pub struct ApiFields {
    /// Problems that reading has found already.
    pub problems: Vec<FieldProblem>,
    /// The audience; creation only.
    pub identifier: Field<String>,
    /// Name for people.
    pub name: Field<String>,
    /// Life of its tokens.
    pub token_ttl_seconds: Field<i64>,
    /// Signing algorithm of its tokens.
    pub signing_alg: Field<String>,
}

/// The body of `POST /api/apis/{id}/scopes`, read but not judged.
#[derive(Default)]
pub struct ScopeFields {
    /// Problems that reading has found already.
    pub problems: Vec<FieldProblem>,
    /// The scope.
    pub name: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// The feature that a customer needs for its clients to get the scope.
    pub requires_feature: Field<String>,
    /// The description that a change was decided on; another one makes it stale.
    pub was: Option<String>,
}

/// Takes over the feature that a field names.
fn requires(problems: &mut Vec<FieldProblem>, field: Field<String>, slot: &mut Option<Arc<str>>) {
    match field {
        Field::Absent => {}
        Field::Null => *slot = None,
        Field::Value(key) if is_feature_key(&key) => *slot = Some(Arc::from(key)),
        Field::Value(_) => {
            let detail = "requires_feature takes the key of a feature: 1 to 64 characters of a-z 0-9 . _ -, the first a \
                letter or digit";
            problems.push(FieldProblem::new("requires_feature", "bad_value", detail));
        }
    }
}

impl Scope {
    fn audit_view(&self) -> serde_json::Value {
        json!({"api": self.api.to_string(), "description": self.description, "requires_feature": self.requires.as_deref()})
    }
}

impl Api {
    fn apply(&mut self, fields: ApiFields, problems: &mut Vec<FieldProblem>) {
        match fields.name {
            Field::Value(name) if name.chars().count() > 200 || name.chars().any(char::is_control) => {
                problems.push(FieldProblem::new(
                    "name",
                    "bad_value",
                    "name takes up to 200 characters, none of control",
                ));
            }
            Field::Value(name) => self.name = name,
            Field::Null => self.name = String::new(),
            Field::Absent => {}
        }
        match fields.token_ttl_seconds {
            Field::Value(ttl) if ACCESS_TTL_SECONDS.contains(&ttl) => self.token_ttl_seconds = u32::try_from(ttl).ok(),
            Field::Value(_) => problems.push(FieldProblem::new(
                "token_ttl_seconds",
                "out_of_range",
                "token_ttl_seconds takes 60 to 86400 seconds",
            )),
            Field::Null => self.token_ttl_seconds = None,
            Field::Absent => {}
        }
        match fields.signing_alg {
            Field::Value(text) => match Alg::parse(&text) {
                Some(alg) => self.signing_alg = Some(alg),
                None => problems.push(FieldProblem::new(
                    "signing_alg",
                    "bad_value",
                    "signing_alg takes ES256, EdDSA, ES384, PS256 or RS256",
                )),
            },
            Field::Null => self.signing_alg = None,
            Field::Absent => {}
        }
    }

    fn audit_view(&self) -> serde_json::Value {
        json!({
            "identifier": &*self.identifier, "name": self.name, "token_ttl_seconds": self.token_ttl_seconds,
            "signing_alg": self.signing_alg.map(Alg::name),
        })
    }
}

impl Auth {
    /// Creates an API.
    ///
    /// # Errors
    /// [`AdminError::Invalid`], [`AdminError::Taken`], the store's.
    pub async fn create_api(
        &self,
        who: &Principal,
        tenant: &Tenant,
        mut fields: ApiFields,
    ) -> Result<Planned<Api>, AdminError> {
        let mut problems = std::mem::take(&mut fields.problems);
        let now = self.clock.now();
        let catalog = self.read_catalog(tenant).await?;
        let identifier = match std::mem::take(&mut fields.identifier) {
            Field::Value(text) => text,
            Field::Absent | Field::Null => String::new(),
        };
        if normalize(&identifier).is_none() {
            let detail = "identifier takes an absolute URI without fragment, for example https://invoices.example.com";
            problems.push(FieldProblem::new("identifier", "bad_value", detail));
        }
        let mut api = Api {
            id: self.with_entropy(|entropy| Id::generate(now, entropy)),
            identifier: Arc::from(identifier.as_str()),
            name: String::new(),
            builtin: None,
            token_ttl_seconds: None,
            signing_alg: None,
            version: 1,
            created_at: now,
            updated_at: now,
        };
        api.apply(fields, &mut problems);
        if !problems.is_empty() {
            return Err(AdminError::Invalid(problems));
        }
        if catalog.by_resource(&identifier).is_some() {
            return Err(AdminError::Taken("identifier_taken", format!("there is already an API {identifier}")));
        }
        let none: Option<&str> = None;
        let batch = Batch::new()
            .expect(
                1,
                &sql::API_INSERT,
                params![
                    tenant.id,
                    api.id,
                    identifier,
                    api.name.as_str(),
                    none,
                    api.token_ttl_seconds,
                    api.signing_alg.map(Alg::name),
                    now,
                ],
            )
            .change(ChangeKind::Apis, api.id.to_string());
        let record = change_record(
            self,
            who,
            tenant,
            action::API_CREATED,
            ("api", &api.id.to_string()),
            (None, Some(api.audit_view())),
        );
        Ok(Planned { batch, record, value: api })
    }

    /// Changes an API; its identifier stays, because tokens carry it.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::Stale`], [`AdminError::Invalid`], the store's.
    pub async fn patch_api(
        &self,
        who: &Principal,
        tenant: &Tenant,
        id: Id<id::Api>,
        if_version: Option<i64>,
        mut fields: ApiFields,
    ) -> Result<Planned<Api>, AdminError> {
        let catalog = self.read_catalog(tenant).await?;
        let current = catalog.api(id).ok_or(AdminError::NotFound("API"))?;
        if if_version.is_some_and(|version| version != current.version) {
            return Err(AdminError::Stale);
        }
        let mut problems = std::mem::take(&mut fields.problems);
        if fields.identifier != Field::Absent {
            let detail = "identifier cannot be changed, because tokens carry it; create another API";
            problems.push(FieldProblem::new("identifier", "read_only", detail));
        }
        let mut api = current.clone();
        api.apply(fields, &mut problems);
        if !problems.is_empty() {
            return Err(AdminError::Invalid(problems));
        }
        let now = self.clock.now();
        let batch = Batch::new()
            .expect(
                1,
                &sql::API_UPDATE,
                params![
                    tenant.id,
                    id,
                    api.name.as_str(),
                    api.token_ttl_seconds,
                    api.signing_alg.map(Alg::name),
                    now,
                    current.version,
                ],
            )
            .change(ChangeKind::Apis, id.to_string());
        let (before, after) = record::plan::difference(&current.audit_view(), &api.audit_view());
        let object = id.to_string();
        let record =
            change_record(self, who, tenant, action::API_UPDATED, ("api", &object), (Some(before), Some(after)));
        api.version = api.version.saturating_add(1);
        api.updated_at = now;
        Ok(Planned { batch, record, value: api })
    }

    /// Deletes an API that owns no scope.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::Stale`], [`AdminError::State`], the store's.
    pub async fn delete_api(
        &self,
        who: &Principal,
        tenant: &Tenant,
        id: Id<id::Api>,
        if_version: Option<i64>,
    ) -> Result<Planned<()>, AdminError> {
        let catalog = self.read_catalog(tenant).await?;
        let api = catalog.api(id).ok_or(AdminError::NotFound("API"))?;
        if if_version.is_some_and(|version| version != api.version) {
            return Err(AdminError::Stale);
        }
        if api.builtin.is_some() {
            return Err(AdminError::State("this API came with the tenant and cannot be deleted".to_owned()));
        }
        if catalog.scopes.values().any(|scope| scope.api == id) {
            return Err(AdminError::State("this API still owns scopes; delete them first".to_owned()));
        }
        let batch = Batch::new()
            .expect(1, &sql::API_DELETE, params![tenant.id, id, api.version])
            .change(ChangeKind::Apis, id.to_string());
        let object = id.to_string();
        let record =
            change_record(self, who, tenant, action::API_DELETED, ("api", &object), (Some(api.audit_view()), None));
        Ok(Planned { batch, record, value: () })
    }

    /// Adds a scope to an API.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::Invalid`], [`AdminError::Taken`], the store's.
    pub async fn create_scope(
        &self,
        who: &Principal,
        tenant: &Tenant,
        api: Id<id::Api>,
        fields: ScopeFields,
    ) -> Result<Planned<(String, Scope)>, AdminError> {
        let catalog = self.read_catalog(tenant).await?;
        let owner = catalog.api(api).ok_or(AdminError::NotFound("API"))?;
        let mut problems = fields.problems;
        let name = fields.name.unwrap_or_default();
        if !is_scope_token(&name) {
            let detail = "name takes 1 to 256 characters of the scope grammar (RFC 6749 section 3.3)";
            problems.push(FieldProblem::new("name", "bad_value", detail));
        }
        let description = fields.description.unwrap_or_default();
        if description.chars().count() > 500 || description.chars().any(char::is_control) {
            let detail = "description takes up to 500 characters, none of control";
            problems.push(FieldProblem::new("description", "bad_value", detail));
        }
        let mut required = None;
        requires(&mut problems, fields.requires_feature, &mut required);
        if !problems.is_empty() {
            return Err(AdminError::Invalid(problems));
        }
        if owner.builtin == Some(crate::catalog::Builtin::Management) {
            return Err(AdminError::State("the scopes of the management API are fixed".to_owned()));
        }
        if catalog.scopes.contains_key(name.as_str()) {
            return Err(AdminError::Taken("scope_taken", format!("there is already a scope {name} in this tenant")));
        }
        let now = self.clock.now();
        let scope = Scope { api, description, requires: required, created_at: now };
        let ask = params![tenant.id, name.as_str(), api, scope.description.as_str(), now, scope.requires.as_deref()];
        let batch = Batch::new().expect(1, &sql::SCOPE_INSERT, ask).change(ChangeKind::Apis, name.as_str());
        let after = scope.audit_view();
        let record = change_record(self, who, tenant, action::SCOPE_CREATED, ("scope", &name), (None, Some(after)));
        Ok(Planned { batch, record, value: (name, scope) })
    }

    /// Describes a scope anew, or changes what it requires.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::Stale`], [`AdminError::Invalid`], [`AdminError::State`], the store's.
    pub async fn patch_scope(
        &self,
        who: &Principal,
        tenant: &Tenant,
        api: Id<id::Api>,
        name: &str,
        fields: ScopeFields,
    ) -> Result<Planned<Scope>, AdminError> {
        let catalog = self.read_catalog(tenant).await?;
        let owner = catalog.api(api).ok_or(AdminError::NotFound("API"))?;
        let scope = catalog.scopes.get(name).filter(|scope| scope.api == api).ok_or(AdminError::NotFound("scope"))?;
        if fields.was.as_ref().is_some_and(|was| *was != scope.description) {
            return Err(AdminError::Stale);
        }
        let mut problems = fields.problems;
        if fields.name.is_some() {
            problems.push(FieldProblem::new("name", "read_only", "name cannot be changed, because tokens carry it"));
        }
        let mut changed = scope.clone();
        requires(&mut problems, fields.requires_feature, &mut changed.requires);
        let description = fields.description.unwrap_or_else(|| scope.description.clone());
        if description.chars().count() > 500 || description.chars().any(char::is_control) {
            let detail = "description takes up to 500 characters, none of control";
            problems.push(FieldProblem::new("description", "bad_value", detail));
        }
        if !problems.is_empty() {
            return Err(AdminError::Invalid(problems));
        }
        if owner.builtin == Some(crate::catalog::Builtin::Management) {
            return Err(AdminError::State("the scopes of the management API are fixed".to_owned()));
        }
        changed.description = description;
        let ask = params![
            tenant.id,
            name,
            changed.description.as_str(),
            scope.description.as_str(),
            changed.requires.as_deref(),
            scope.requires.as_deref().unwrap_or_default(),
        ];
        let batch = Batch::new().expect(1, &sql::SCOPE_UPDATE, ask).change(ChangeKind::Apis, name);
        let (before, after) = record::plan::difference(&scope.audit_view(), &changed.audit_view());
        let object = ("scope", name);
        let record = change_record(self, who, tenant, action::SCOPE_UPDATED, object, (Some(before), Some(after)));
        Ok(Planned { batch, record, value: changed })
    }

    /// Deletes a scope that no client may request any more.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::State`], the store's.
    pub async fn delete_scope(
        &self,
        who: &Principal,
        tenant: &Tenant,
        api: Id<id::Api>,
        name: &str,
    ) -> Result<Planned<()>, AdminError> {
        let catalog = self.read_catalog(tenant).await?;
        let owner = catalog.api(api).ok_or(AdminError::NotFound("API"))?;
        let scope = catalog.scopes.get(name).filter(|scope| scope.api == api).ok_or(AdminError::NotFound("scope"))?;
        if owner.builtin == Some(crate::catalog::Builtin::Management) {
            return Err(AdminError::State("the scopes of the management API are fixed".to_owned()));
        }
        if self.store.read(&sql::SCOPE_USED, params![tenant.id, name]).await?.is_some() {
            return Err(AdminError::State("clients may still request this scope; take it from them first".to_owned()));
        }
        let batch = Batch::new().expect(1, &sql::SCOPE_DELETE, params![tenant.id, name]).change(ChangeKind::Apis, name);
        let before = scope.audit_view();
        let record = change_record(self, who, tenant, action::SCOPE_DELETED, ("scope", name), (Some(before), None));
        Ok(Planned { batch, record, value: () })
    }
}
