//! Creating and changing features, meters and versions of plans.

use std::collections::BTreeMap;

use kernel::clock::Timestamp;
use kernel::error::FieldProblem;
use kernel::id::{self, Id};
use kernel::patch::Field;
use kernel::principal::Principal;
use record::action;
use record::fields::Reader;
use record::plan::{AdminError, Planned, change_record, difference};
use record::tenant::Tenant;
use serde_json::{Map, Value, json};
use store::{Batch, ChangeKind, Row, params};

use crate::catalog::{Feature, FeatureKind, is_key};
use crate::directory::Billing;
use crate::meter::Meter;
use crate::plan::{Definition, Plan, PlanState};
use crate::sql;
use crate::standing::Combine;
use crate::usage::tokens;

const FEATURE: &str = "feature";
const METER: &str = "meter";
const PLAN: &str = "plan";
/// Most versions of one key that are looked through.
const MAX_VERSIONS: i64 = 1_000;
/// Most subscriptions to a version of a plan that are counted.
pub const MAX_COUNTED: i64 = 10_000;
/// Meters read at once.
const PAGE: i64 = 1_000;
/// Longest name, in characters.
const MAX_NAME: usize = 200;

/// One version of a meter as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMeter {
    /// Its id.
    pub id: Id<id::Meter>,
    /// Which version of its key it is, from 1.
    pub number: i64,
    /// Whether events are counted by it.
    pub is_active: bool,
    /// What it counts, and how.
    pub meter: Meter,
    /// Creation.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
    /// Guard for concurrent changes.
    pub version: i64,
}

impl StoredMeter {
    /// Reads a row of [`sql::METER_READ`].
    ///
    /// # Errors
    /// [`store::Error::RowCorrupt`] when the row is no meter.
    pub fn from_row(row: &Row) -> Result<Self, store::Error> {
        let corrupt = || store::Error::RowCorrupt;
        let definition: Value = serde_json::from_str(row.text(4)?).map_err(|_| corrupt())?;
        Ok(Self {
            id: row.id(0)?,
            number: row.int(2)?,
            is_active: row.text(3)? == "active",
            meter: Meter::from_json(&definition).map_err(|_| corrupt())?,
            created_at: row.time(5)?,
            updated_at: row.time(6)?,
            version: row.int(7)?,
        })
    }
}

fn named(reader: &mut Reader<'_>) -> Option<String> {
    let name = reader.string("name").given()?;
    if name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        reader.refuse("name", "bad_value", "name takes 1 to 200 characters, none of control");
        return None;
    }
    Some(name)
}

fn combine(reader: &mut Reader<'_>) -> Field<Combine> {
    match reader.string("combine") {
        Field::Absent => Field::Absent,
        Field::Null => Field::Null,
        Field::Value(name) => Combine::parse(&name).map_or_else(
            || {
                reader.refuse("combine", "bad_value", "combine takes largest or sum");
                Field::Absent
            },
            Field::Value,
        ),
    }
}

impl Billing {
    /// The meters that count, by their keys; the built-in one of tokens is among them.
    ///
    /// # Errors
    /// The store's.
    pub async fn active_meters(&self, tenant: &Tenant) -> Result<BTreeMap<String, Meter>, store::Error> {
        let mut found = BTreeMap::from([(tokens::METER.to_owned(), tokens::meter())]);
        let mut after = String::new();
        loop {
            let rows = self.ground.store.read_all(&sql::METERS_AFTER, params![tenant.id, after.as_str(), PAGE]).await?;
            for row in &rows {
                let stored = StoredMeter::from_row(row)?;
                after.clone_from(&stored.meter.key);
                if stored.is_active {
                    found.insert(stored.meter.key.clone(), stored.meter);
                }
            }
            if i64::try_from(rows.len()).unwrap_or(PAGE) < PAGE {
                return Ok(found);
            }
        }
    }

    /// Meters after a key, the newest version of each.
    ///
    /// # Errors
    /// The store's.
    pub async fn meters(&self, tenant: &Tenant, after: &str, limit: i64) -> Result<Vec<StoredMeter>, store::Error> {
        let rows = self.ground.store.read_all(&sql::METERS_AFTER, params![tenant.id, after, limit]).await?;
        rows.iter().map(StoredMeter::from_row).collect()
    }

    /// One version of a meter.
    ///
    /// # Errors
    /// The store's.
    pub async fn meter(&self, tenant: &Tenant, id: Id<id::Meter>) -> Result<Option<StoredMeter>, store::Error> {
        let row = self.ground.store.read(&sql::METER_READ, params![tenant.id, id]).await?;
        row.as_ref().map(StoredMeter::from_row).transpose()
    }

    /// Creates a meter, or the next version of one.
    ///
    /// # Errors
    /// [`AdminError::Invalid`], the store's.
    pub async fn create_meter(
        &self,
        who: &Principal,
        tenant: &Tenant,
        body: &Value,
    ) -> Result<Planned<StoredMeter>, AdminError> {
        let ground = &self.ground;
        let meter = Meter::from_json(body).map_err(AdminError::Invalid)?;
        let reserved = [
            ("key", meter.key == tokens::METER, "this key is that of the built-in meter of issued tokens"),
            ("event_type", meter.event_type.starts_with(tokens::RESERVED), "types that begin so are the product's own"),
        ];
        let reserved = reserved.into_iter().filter(|(_, is_taken, _)| *is_taken);
        let problems: Vec<_> = reserved.map(|(name, _, why)| FieldProblem::new(name, "reserved", why)).collect();
        if !problems.is_empty() {
            return Err(AdminError::Invalid(problems));
        }
        let held = self.newest_meter(tenant, &meter.key).await?;
        let number = held.as_ref().map_or(1, |held| held.number.saturating_add(1));
        let now = ground.clock.now();
        let id = ground.with_entropy(|entropy| Id::<id::Meter>::generate(now, entropy));
        let definition = meter.to_json();
        let batch = Batch::new()
            .expect(
                1,
                &sql::METER_INSERT,
                params![
                    tenant.id,
                    id,
                    meter.key.as_str(),
                    number,
                    meter.event_type.as_str(),
                    definition.to_string(),
                    now,
                ],
            )
            .change(ChangeKind::Catalog, "meters");
        let record = change_record(
            ground,
            who,
            tenant,
            action::METER_CREATED,
            (METER, &id.to_string()),
            (held.map(|held| held.meter.to_json()), Some(definition)),
        );
        let value = StoredMeter { id, number, is_active: true, meter, created_at: now, updated_at: now, version: 1 };
        Ok(Planned { batch, record, value })
    }

    /// The newest version of a meter.
    async fn newest_meter(&self, tenant: &Tenant, key: &str) -> Result<Option<StoredMeter>, store::Error> {
        let row = self.ground.store.read(&sql::METER_NEWEST, params![tenant.id, key]).await?;
        row.as_ref().map(StoredMeter::from_row).transpose()
    }

    /// Archives a meter: events are counted by it no more.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::Stale`], [`AdminError::State`] when it is archived already, the store's.
    pub async fn archive_meter(
        &self,
        who: &Principal,
        tenant: &Tenant,
        (id, if_version): (Id<id::Meter>, Option<i64>),
    ) -> Result<Planned<StoredMeter>, AdminError> {
        let ground = &self.ground;
        let mut held = self.meter(tenant, id).await?.ok_or(AdminError::NotFound(METER))?;
        if if_version.is_some_and(|version| version != held.version) {
            return Err(AdminError::Stale);
        }
        if !held.is_active {
            return Err(AdminError::State("the meter is archived already".to_owned()));
        }
        let now = ground.clock.now();
        let batch = Batch::new()
            .expect(1, &sql::METER_ARCHIVE, params![tenant.id, id, now, held.version])
            .change(ChangeKind::Catalog, "meters");
        let states = (Some(json!({"state": "active"})), Some(json!({"state": "archived"})));
        let record = change_record(ground, who, tenant, action::METER_ARCHIVED, (METER, &id.to_string()), states);
        (held.is_active, held.updated_at, held.version) = (false, now, held.version.saturating_add(1));
        Ok(Planned { batch, record, value: held })
    }

    /// One feature.
    ///
    /// # Errors
    /// The store's.
    pub async fn feature(&self, tenant: &Tenant, id: Id<id::Feature>) -> Result<Option<Feature>, store::Error> {
        let row = self.ground.store.read(&sql::FEATURE_READ, params![tenant.id, id]).await?;
        row.as_ref().map(Feature::from_row).transpose()
    }

    /// Features after a key.
    ///
    /// # Errors
    /// The store's.
    pub async fn features_after(&self, tenant: &Tenant, after: &str, limit: i64) -> Result<Vec<Feature>, store::Error> {
        let rows = self.ground.store.read_all(&sql::FEATURES_AFTER, params![tenant.id, after, limit]).await?;
        rows.iter().map(Feature::from_row).collect()
    }

    /// Creates a feature.
    ///
    /// # Errors
    /// [`AdminError::Invalid`], [`AdminError::Taken`], the store's.
    pub async fn create_feature(
        &self,
        who: &Principal,
        tenant: &Tenant,
        body: &Value,
    ) -> Result<Planned<Feature>, AdminError> {
        let ground = &self.ground;
        let mut reader = Reader::new(body).map_err(AdminError::Invalid)?;
        let key = reader.string("key").given().unwrap_or_default();
        if !is_key(&key) {
            reader.refuse(
                "key",
                "bad_value",
                "key takes 1 to 64 of a-z, 0-9, dot, hyphen and underscore, a letter or digit first",
            );
        }
        let kind = reader.string("kind").given().and_then(|name| FeatureKind::parse(&name));
        if kind.is_none() {
            reader.refuse("kind", "bad_value", "kind takes boolean, static or metered");
        }
        let name = named(&mut reader).unwrap_or_else(|| key.clone());
        let meter = reader.string("meter").given();
        if kind.is_some_and(|kind| (kind == FeatureKind::Metered) != meter.is_some()) {
            reader.refuse("meter", "bad_value", "a metered feature names the key of its meter, and no other does");
        }
        let combine = combine(&mut reader).given().unwrap_or_default();
        if let Some(key) = &meter
            && !self.active_meters(tenant).await?.contains_key(key)
        {
            reader.refuse("meter", "bad_value", "there is no active meter of this key");
        }
        let problems = reader.finish();
        let Some(kind) = kind.filter(|_| problems.is_empty()) else { return Err(AdminError::Invalid(problems)) };
        if self.features(tenant).await?.contains_key(&key) {
            return Err(AdminError::Taken("feature_taken", format!("there is a feature {key} already")));
        }
        let now = ground.clock.now();
        let id = ground.with_entropy(|entropy| Id::<id::Feature>::generate(now, entropy));
        let feature = Feature { id, key, kind, name, meter, combine, created_at: now, updated_at: now, version: 1 };
        let batch = Batch::new()
            .expect(
                1,
                &sql::FEATURE_INSERT,
                params![
                    tenant.id,
                    id,
                    feature.key.as_str(),
                    kind.name(),
                    feature.name.as_str(),
                    feature.meter.as_deref(),
                    combine.name(),
                    now,
                ],
            )
            .change(ChangeKind::Catalog, "features");
        let after = (None, Some(feature.view()));
        let record = change_record(ground, who, tenant, action::FEATURE_CREATED, (FEATURE, &id.to_string()), after);
        Ok(Planned { batch, record, value: feature })
    }

    async fn held_feature(
        &self,
        tenant: &Tenant,
        (id, if_version): (Id<id::Feature>, Option<i64>),
    ) -> Result<Feature, AdminError> {
        let feature = self.feature(tenant, id).await?.ok_or(AdminError::NotFound(FEATURE))?;
        if if_version.is_some_and(|version| version != feature.version) {
            return Err(AdminError::Stale);
        }
        Ok(feature)
    }

    /// Changes the name of a feature, or how its rights add up.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::Stale`], [`AdminError::Invalid`], the store's.
    pub async fn update_feature(
        &self,
        who: &Principal,
        tenant: &Tenant,
        which: (Id<id::Feature>, Option<i64>),
        body: &Value,
    ) -> Result<Planned<Feature>, AdminError> {
        let ground = &self.ground;
        let current = self.held_feature(tenant, which).await?;
        let mut feature = current.clone();
        let mut reader = Reader::new(body).map_err(AdminError::Invalid)?;
        if let Some(name) = named(&mut reader) {
            feature.name = name;
        }
        match combine(&mut reader) {
            Field::Value(combine) => feature.combine = combine,
            Field::Null => feature.combine = Combine::default(),
            Field::Absent => {}
        }
        for fixed in ["key", "kind", "meter"] {
            if reader.has(fixed) {
                reader.refuse(fixed, "read_only", "this stays as the feature was created");
            }
        }
        let problems = reader.finish();
        if !problems.is_empty() {
            return Err(AdminError::Invalid(problems));
        }
        let now = ground.clock.now();
        let batch = Batch::new()
            .expect(
                1,
                &sql::FEATURE_UPDATE,
                params![tenant.id, current.id, feature.name.as_str(), feature.combine.name(), now, current.version],
            )
            .change(ChangeKind::Catalog, "features");
        let (from, to) = difference(&current.view(), &feature.view());
        let object = current.id.to_string();
        let record =
            change_record(ground, who, tenant, action::FEATURE_UPDATED, (FEATURE, &object), (Some(from), Some(to)));
        (feature.updated_at, feature.version) = (now, current.version.saturating_add(1));
        Ok(Planned { batch, record, value: feature })
    }

    /// Deletes a feature that no plan grants.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::Stale`], [`AdminError::Taken`] while a plan grants it, the store's.
    pub async fn delete_feature(
        &self,
        who: &Principal,
        tenant: &Tenant,
        which: (Id<id::Feature>, Option<i64>),
    ) -> Result<Planned<()>, AdminError> {
        let ground = &self.ground;
        let feature = self.held_feature(tenant, which).await?;
        let mut place = (String::new(), 0);
        loop {
            let plans = self.plans(tenant, (&place.0, place.1), PAGE).await?;
            if let Some(plan) = plans.iter().find(|plan| plan.definition.entitlements.contains_key(&feature.key)) {
                let detail = format!("version {} of the plan {} grants it", plan.number, plan.key);
                return Err(AdminError::Taken("in_use", detail));
            }
            match plans.last() {
                Some(last) if i64::try_from(plans.len()).unwrap_or(0) == PAGE => {
                    place = (last.key.clone(), last.number);
                }
                _ => break,
            }
        }
        let batch = Batch::new()
            .expect(1, &sql::FEATURE_DELETE, params![tenant.id, feature.id, feature.version])
            .change(ChangeKind::Catalog, "features");
        let before = (Some(feature.view()), None);
        let object = feature.id.to_string();
        let record = change_record(ground, who, tenant, action::FEATURE_DELETED, (FEATURE, &object), before);
        Ok(Planned { batch, record, value: () })
    }

    /// One version of a plan.
    ///
    /// # Errors
    /// The store's.
    pub async fn plan(&self, tenant: &Tenant, id: Id<id::Plan>) -> Result<Option<Plan>, store::Error> {
        let row = self.ground.store.read(&sql::PLAN_READ, params![tenant.id, id]).await?;
        row.as_ref().map(Plan::from_row).transpose()
    }

    /// Versions of plans after a key and number.
    ///
    /// # Errors
    /// The store's.
    pub async fn plans(
        &self,
        tenant: &Tenant,
        (key, number): (&str, i64),
        limit: i64,
    ) -> Result<Vec<Plan>, store::Error> {
        let rows = self.ground.store.read_all(&sql::PLANS_AFTER, params![tenant.id, key, number, limit]).await?;
        rows.iter().map(Plan::from_row).collect()
    }

    /// How many subscriptions to a version of a plan last, counted up to [`MAX_COUNTED`].
    ///
    /// # Errors
    /// The store's.
    pub async fn subscribers(&self, tenant: &Tenant, id: Id<id::Plan>) -> Result<u64, store::Error> {
        let row = self.ground.store.read(&sql::SUBSCRIBERS_COUNT, params![tenant.id, id, MAX_COUNTED]).await?;
        let count = row.ok_or(store::Error::RowCorrupt)?.int(0)?;
        u64::try_from(count).map_err(|_| store::Error::RowCorrupt)
    }

    /// The versions of a plan, the newest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn plan_versions(&self, tenant: &Tenant, key: &str) -> Result<Vec<Plan>, store::Error> {
        let rows = self.ground.store.read_all(&sql::PLAN_VERSIONS, params![tenant.id, key, MAX_VERSIONS]).await?;
        rows.iter().map(Plan::from_row).collect()
    }

    /// Creates the first version of a plan, or the next one of its key, as a draft.
    ///
    /// # Errors
    /// [`AdminError::Invalid`], [`AdminError::State`] while there is another draft, the store's.
    pub async fn create_plan(
        &self,
        who: &Principal,
        tenant: &Tenant,
        body: &Value,
    ) -> Result<Planned<Plan>, AdminError> {
        let ground = &self.ground;
        let key = body.get("key").and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut problems = Vec::new();
        if !is_key(&key) {
            let detail = "key takes 1 to 64 of a-z, 0-9, dot, hyphen and underscore, a letter or digit first";
            problems.push(FieldProblem::new("key", "bad_value", detail));
        }
        let definition = match Definition::read(body, &["key"]) {
            Ok(definition) if problems.is_empty() => definition,
            Ok(_) => return Err(AdminError::Invalid(problems)),
            Err(more) => {
                problems.extend(more);
                return Err(AdminError::Invalid(problems));
            }
        };
        let versions = self.plan_versions(tenant, &key).await?;
        if let Some(draft) = versions.iter().find(|plan| plan.state == PlanState::Draft) {
            let detail =
                format!("version {} of this plan is a draft: {}; change or publish it", draft.number, draft.id);
            return Err(AdminError::State(detail));
        }
        let number = versions.first().map_or(1, |newest| newest.number.saturating_add(1));
        let now = ground.clock.now();
        let id = ground.with_entropy(|entropy| Id::<id::Plan>::generate(now, entropy));
        let text = definition.to_json();
        let batch = Batch::new().expect(
            1,
            &sql::PLAN_INSERT,
            params![tenant.id, id, key.as_str(), number, text.to_string(), now],
        );
        let after = (None, Some(text));
        let record = change_record(ground, who, tenant, action::PLAN_CREATED, (PLAN, &id.to_string()), after);
        let state = PlanState::Draft;
        let value = Plan { id, key, number, state, definition, created_at: now, updated_at: now, version: 1 };
        Ok(Planned { batch, record, value })
    }

    async fn held_plan(
        &self,
        tenant: &Tenant,
        (id, if_version): (Id<id::Plan>, Option<i64>),
    ) -> Result<Plan, AdminError> {
        let plan = self.plan(tenant, id).await?.ok_or(AdminError::NotFound(PLAN))?;
        if if_version.is_some_and(|version| version != plan.version) {
            return Err(AdminError::Stale);
        }
        Ok(plan)
    }

    /// Changes a draft.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::Stale`], [`AdminError::Taken`] when it is no draft any more,
    /// [`AdminError::Invalid`], the store's.
    pub async fn update_plan(
        &self,
        who: &Principal,
        tenant: &Tenant,
        which: (Id<id::Plan>, Option<i64>),
        patch: &Map<String, Value>,
    ) -> Result<Planned<Plan>, AdminError> {
        let ground = &self.ground;
        let current = self.held_plan(tenant, which).await?;
        if current.state != PlanState::Draft {
            let detail = "a version that was published does not change; create the next version with the same key";
            return Err(AdminError::Taken("immutable", detail.to_owned()));
        }
        if patch.contains_key("key") {
            let detail = "the key of a plan stays as it was created";
            return Err(AdminError::Invalid(vec![FieldProblem::new("key", "read_only", detail)]));
        }
        let mut merged = current.definition.to_json();
        if let Value::Object(members) = &mut merged {
            for (name, value) in patch {
                match value {
                    // what no definition has is left to the reader, which refuses it
                    Value::Null if members.contains_key(name) => drop(members.remove(name)),
                    value => drop(members.insert(name.clone(), value.clone())),
                }
            }
        }
        let definition = Definition::read(&merged, &[]).map_err(AdminError::Invalid)?;
        let now = ground.clock.now();
        let text = definition.to_json();
        let batch = Batch::new().expect(
            1,
            &sql::PLAN_UPDATE,
            params![tenant.id, current.id, text.to_string(), now, current.version],
        );
        let (from, to) = difference(&current.definition.to_json(), &text);
        let changed = (Some(from), Some(to));
        let record = change_record(ground, who, tenant, action::PLAN_UPDATED, (PLAN, &current.id.to_string()), changed);
        let version = current.version.saturating_add(1);
        Ok(Planned { batch, record, value: Plan { definition, updated_at: now, version, ..current } })
    }

    /// Publishes a draft, or archives what was published.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::Stale`], [`AdminError::State`] when it is in that state already or cannot
    /// come to it, [`AdminError::Invalid`] for a draft that names what there is not, the store's.
    pub async fn set_plan_state(
        &self,
        who: &Principal,
        tenant: &Tenant,
        which: (Id<id::Plan>, Option<i64>),
        state: PlanState,
    ) -> Result<Planned<Plan>, AdminError> {
        let ground = &self.ground;
        let current = self.held_plan(tenant, which).await?;
        let action = match (current.state, state) {
            (PlanState::Draft, PlanState::Active) => {
                let (features, meters) = (self.features(tenant).await?, self.active_meters(tenant).await?);
                let problems = current.definition.misfits(&features, &meters);
                if !problems.is_empty() {
                    return Err(AdminError::Invalid(problems));
                }
                action::PLAN_PUBLISHED
            }
            (PlanState::Active, PlanState::Archived) => action::PLAN_ARCHIVED,
            (from, to) => {
                return Err(AdminError::State(format!("the plan is {} and cannot become {}", from.name(), to.name())));
            }
        };
        let now = ground.clock.now();
        let batch = Batch::new()
            .expect(1, &sql::PLAN_STATE, params![tenant.id, current.id, state.name(), now, current.version])
            .change(ChangeKind::Catalog, "plans");
        let states = (Some(json!({"state": current.state.name()})), Some(json!({"state": state.name()})));
        let record = change_record(ground, who, tenant, action, (PLAN, &current.id.to_string()), states);
        let version = current.version.saturating_add(1);
        Ok(Planned { batch, record, value: Plan { state, updated_at: now, version, ..current } })
    }

    /// Deletes a draft.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::Stale`], [`AdminError::Taken`] when it was published, the store's.
    pub async fn delete_plan(
        &self,
        who: &Principal,
        tenant: &Tenant,
        which: (Id<id::Plan>, Option<i64>),
    ) -> Result<Planned<()>, AdminError> {
        let ground = &self.ground;
        let current = self.held_plan(tenant, which).await?;
        if current.state != PlanState::Draft {
            let detail = "a version that was published is kept; archive it, so that nobody can subscribe any more";
            return Err(AdminError::Taken("immutable", detail.to_owned()));
        }
        let batch = Batch::new().expect(1, &sql::PLAN_DELETE, params![tenant.id, current.id, current.version]);
        let before = (Some(current.definition.to_json()), None);
        let record = change_record(ground, who, tenant, action::PLAN_DELETED, (PLAN, &current.id.to_string()), before);
        Ok(Planned { batch, record, value: () })
    }
}
