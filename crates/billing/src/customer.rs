//! Customers: who pays.

use kernel::clock::{BusinessTime, Timestamp};
use kernel::error::FieldProblem;
use kernel::id::{self, Id};
use kernel::money::Currency;
use kernel::patch::Field;
use record::fields::Reader;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use store::Row;

use crate::subscription::Payer;
use crate::zone::Zone;

/// Longest name, address line and similar, in characters.
const MAX_TEXT: usize = 200;
/// Most members of `metadata`, and its size in bytes.
const MAX_METADATA: (usize, usize) = (50, 16_384);
/// Most tax ids.
const MAX_TAX_IDS: usize = 10;
/// Most days to pay an invoice.
const MAX_TERMS_DAYS: i64 = 365;

/// Where a customer is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// Street and number.
    #[serde(default)]
    pub line1: String,
    /// More of it.
    #[serde(default)]
    pub line2: String,
    /// Town.
    #[serde(default)]
    pub city: String,
    /// State, province or similar.
    #[serde(default)]
    pub region: String,
    /// Postal code.
    #[serde(default)]
    pub postal_code: String,
    /// ISO 3166-1 alpha-2.
    pub country: String,
}

/// How a customer is taxed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaxStatus {
    /// A person.
    #[default]
    Consumer,
    /// A business.
    Business,
    /// Nothing is charged.
    Exempt,
}

/// What is known of a customer beside its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    /// Where to write to.
    pub email: Option<String>,
    /// ISO 4217 code of the currency that is paid in.
    pub currency: Option<String>,
    /// IANA name of the time zone in which periods are counted.
    pub timezone: String,
    /// Where the customer is.
    pub address: Option<Address>,
    /// Tax numbers, as they were given.
    pub tax_ids: Vec<String>,
    /// How the customer is taxed.
    pub tax_status: TaxStatus,
    /// BCP 47 tag of the language to write in.
    pub language: Option<String>,
    /// Days in which an invoice is to be paid; without, nothing is agreed and a trial does not become a paid period.
    pub payment_terms_days: Option<u16>,
    /// The operator's own.
    pub metadata: Map<String, Value>,
}

impl Default for Details {
    fn default() -> Self {
        Self {
            email: None,
            currency: None,
            timezone: "UTC".to_owned(),
            address: None,
            tax_ids: Vec::new(),
            tax_status: TaxStatus::default(),
            language: None,
            payment_terms_days: None,
            metadata: Map::new(),
        }
    }
}

/// A customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Customer {
    /// Its id.
    pub id: Id<id::Customer>,
    /// The operator's own id of it, unique in the tenant.
    pub external_id: Option<String>,
    /// For people.
    pub name: String,
    /// What else is known.
    pub details: Details,
    /// Since when an operator suspends it.
    pub suspended_at: Option<BusinessTime>,
    /// What was issued before is void.
    pub not_before: Option<BusinessTime>,
    /// The version of its standing.
    pub standing_version: i64,
    /// Creation.
    pub created_at: Timestamp,
    /// Last change by a person.
    pub updated_at: Timestamp,
    /// Guard for concurrent changes by people.
    pub version: i64,
}

/// The body of `POST /api/customers` or `PATCH /api/customers/{id}`, read but not judged.
pub struct CustomerFields {
    problems: Vec<FieldProblem>,
    external_id: Field<String>,
    name: Field<String>,
    email: Field<String>,
    currency: Field<String>,
    timezone: Field<String>,
    address: Field<Map<String, Value>>,
    tax_ids: Field<Vec<String>>,
    tax_status: Field<String>,
    language: Field<String>,
    payment_terms_days: Field<i64>,
    metadata: Field<Map<String, Value>>,
}

impl CustomerFields {
    /// Reads a body; members that the answers have and that cannot be changed are refused by name.
    pub fn read(body: &Value) -> Result<Self, Vec<FieldProblem>> {
        let mut reader = Reader::new(body)?;
        Ok(Self {
            external_id: reader.string("external_id"),
            name: reader.string("name"),
            email: reader.string("email"),
            currency: reader.string("currency"),
            timezone: reader.string("timezone"),
            address: reader.object("address"),
            tax_ids: reader.strings("tax_ids"),
            tax_status: reader.string("tax_status"),
            language: reader.string("language"),
            payment_terms_days: reader.integer("payment_terms_days"),
            metadata: reader.object("metadata"),
            problems: reader.finish(),
        })
    }
}

fn is_text(text: &str) -> bool {
    text.chars().count() <= MAX_TEXT && !text.chars().any(char::is_control)
}

fn is_email(text: &str) -> bool {
    let parts = text.split_once('@');
    is_text(text)
        && !text.contains(char::is_whitespace)
        && parts.is_some_and(|(name, host)| !name.is_empty() && host.contains('.') && !host.contains('@'))
}

impl Customer {
    /// Reads a row of [`crate::sql::CUSTOMER_READ`].
    ///
    /// # Errors
    /// [`store::Error::RowCorrupt`] when the row is no customer.
    pub fn from_row(row: &Row) -> Result<Self, store::Error> {
        Ok(Self {
            id: row.id(0)?,
            external_id: row.text_opt(1)?.map(str::to_owned),
            name: row.text(2)?.to_owned(),
            details: serde_json::from_str(row.text(3)?).map_err(|_| store::Error::RowCorrupt)?,
            suspended_at: row.int_opt(4)?.map(BusinessTime::from_micros),
            not_before: row.int_opt(5)?.map(BusinessTime::from_micros),
            standing_version: row.int(6)?,
            created_at: row.time(7)?,
            updated_at: row.time(8)?,
            version: row.int(9)?,
        })
    }

    /// A customer of whom nothing but the id is known yet.
    pub(crate) fn new(id: Id<id::Customer>, now: Timestamp) -> Self {
        Self {
            id,
            external_id: None,
            name: String::new(),
            details: Details::default(),
            suspended_at: None,
            not_before: None,
            standing_version: 1,
            created_at: now,
            updated_at: now,
            version: 1,
        }
    }

    /// Makes the changes that a body asks for.
    ///
    /// # Errors
    /// Every problem of its fields.
    pub(crate) fn apply(&mut self, fields: CustomerFields) -> Result<(), Vec<FieldProblem>> {
        let mut problems = fields.problems;
        let mut refuse = |name: &str, detail: &str| problems.push(FieldProblem::new(name, "bad_value", detail));
        match fields.name {
            Field::Value(name) if !name.is_empty() && is_text(&name) => self.name = name,
            Field::Absent if !self.name.is_empty() => {}
            _ => refuse("name", "a customer has a name of 1 to 200 characters, none of control"),
        }
        match fields.external_id {
            Field::Value(own) if !own.is_empty() && is_text(&own) && !own.starts_with("cus_") => {
                self.external_id = Some(own);
            }
            Field::Value(_) => {
                refuse("external_id", "external_id takes 1 to 200 characters and does not begin with cus_");
            }
            Field::Null => self.external_id = None,
            Field::Absent => {}
        }
        let details = &mut self.details;
        match fields.email {
            Field::Value(email) if is_email(&email) => details.email = Some(email),
            Field::Value(_) => refuse("email", "this is no address such as accounts@example.com"),
            Field::Null => details.email = None,
            Field::Absent => {}
        }
        match fields.currency {
            Field::Value(code) if Currency::parse(&code).is_ok() => details.currency = Some(code),
            Field::Value(_) => refuse("currency", "currency takes a code of ISO 4217, such as EUR"),
            Field::Null => details.currency = None,
            Field::Absent => {}
        }
        match fields.timezone {
            Field::Value(name) => match Zone::parse(&name) {
                Some(zone) => zone.name().clone_into(&mut details.timezone),
                None => refuse("timezone", "timezone takes a name of the IANA database, such as Europe/Berlin"),
            },
            Field::Null => "UTC".clone_into(&mut details.timezone),
            Field::Absent => {}
        }
        match fields.address {
            Field::Value(members) => match serde_json::from_value::<Address>(Value::Object(members)) {
                Ok(address) if address.is_good() => details.address = Some(address),
                _ => refuse(
                    "address",
                    "address takes country (two capital letters of ISO 3166-1) and line1, line2, city, region and postal_code",
                ),
            },
            Field::Null => details.address = None,
            Field::Absent => {}
        }
        match fields.tax_ids {
            Field::Value(ids) if ids.len() <= MAX_TAX_IDS && ids.iter().all(|id| !id.is_empty() && is_text(id)) => {
                details.tax_ids = ids;
            }
            Field::Value(_) => refuse("tax_ids", "tax_ids takes up to 10 numbers"),
            Field::Null => details.tax_ids = Vec::new(),
            Field::Absent => {}
        }
        match fields.tax_status {
            Field::Value(name) => match serde_json::from_value(Value::from(name)) {
                Ok(status) => details.tax_status = status,
                Err(_) => refuse("tax_status", "tax_status takes consumer, business or exempt"),
            },
            Field::Null => details.tax_status = TaxStatus::default(),
            Field::Absent => {}
        }
        let is_tag =
            |tag: &str| (2..=35).contains(&tag.len()) && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        match fields.language {
            Field::Value(tag) if is_tag(&tag) => details.language = Some(tag),
            Field::Value(_) => refuse("language", "language takes a tag of BCP 47, such as de or pt-BR"),
            Field::Null => details.language = None,
            Field::Absent => {}
        }
        match fields.payment_terms_days {
            Field::Value(days) if (0..=MAX_TERMS_DAYS).contains(&days) => {
                details.payment_terms_days = u16::try_from(days).ok();
            }
            Field::Value(_) => refuse("payment_terms_days", "payment_terms_days takes 0 to 365 days, or null"),
            Field::Null => details.payment_terms_days = None,
            Field::Absent => {}
        }
        match fields.metadata {
            Field::Value(map)
                if map.len() <= MAX_METADATA.0 && Value::Object(map.clone()).to_string().len() <= MAX_METADATA.1 =>
            {
                details.metadata = map;
            }
            Field::Value(_) => refuse("metadata", "metadata takes up to 50 members and 16 KiB"),
            Field::Null => details.metadata = Map::new(),
            Field::Absent => {}
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// What the states of its subscriptions depend on.
    ///
    /// # Errors
    /// [`store::Error::RowCorrupt`] when the stored time zone is none.
    pub fn payer(&self) -> Result<Payer, store::Error> {
        let zone = Zone::parse(&self.details.timezone).ok_or(store::Error::RowCorrupt)?;
        Ok(Payer { zone, is_collectible: self.details.payment_terms_days.is_some() })
    }

    /// The members of its answer that a person may change.
    pub fn view(&self) -> Value {
        let details = &self.details;
        json!({
            "external_id": self.external_id, "name": self.name, "email": details.email, "currency": details.currency,
            "timezone": details.timezone, "address": details.address, "tax_ids": details.tax_ids,
            "tax_status": details.tax_status, "language": details.language,
            "payment_terms_days": details.payment_terms_days, "metadata": details.metadata,
        })
    }
}

impl Address {
    fn is_good(&self) -> bool {
        let lines = [&self.line1, &self.line2, &self.city, &self.region, &self.postal_code];
        self.country.len() == 2
            && self.country.bytes().all(|b| b.is_ascii_uppercase())
            && lines.iter().all(|line| is_text(line))
    }
}
