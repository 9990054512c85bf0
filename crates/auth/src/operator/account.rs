//! The account of a person: e-mail address, name, role, and what it proves itself by.

use std::sync::Arc;

use kernel::clock::Timestamp;
use kernel::id::{self, Id};
use kernel::tenant::TenantId;
use store::{Row, params};
use unicode_normalization::UnicodeNormalization as _;

use super::role::Role;
use super::sql;
use crate::client::fold;
use crate::directory::Auth;
use crate::error::FieldProblem;

/// Longest e-mail address, in bytes (RFC 5321 §4.5.3.1.3, without its angle brackets).
const MAX_EMAIL: usize = 254;
/// Longest name, in characters.
const MAX_NAME: usize = 200;

/// A person who may sign in to the console.
#[derive(Debug, Clone)]
pub struct Operator {
    /// Its id.
    pub id: Id<id::Operator>,
    /// The e-mail address, case-folded; one account has it in a tenant.
    pub email: Arc<str>,
    /// Name for people.
    pub name: String,
    /// What the person may do.
    pub role: Role,
    /// The hash of the passphrase, with its cost and salt.
    pub(crate) passphrase: Option<Vec<u8>>,
    /// The sealed secret of one-time codes.
    pub(crate) totp: Option<Vec<u8>>,
    /// The last step whose code was used.
    pub(crate) totp_step: i64,
    /// Passkeys the person has.
    pub passkeys: i64,
    /// Since when nobody signs in with it.
    pub disabled_at: Option<Timestamp>,
    /// The last sign-in.
    pub signed_in_at: Option<Timestamp>,
    /// Guard for concurrent changes.
    pub version: i64,
    /// Creation.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
}

impl Operator {
    /// Reads a row of [`sql::OPERATOR_BY_ID`].
    ///
    /// # Errors
    /// [`store::Error::RowCorrupt`] when the row is not an operator.
    pub fn from_row(row: &Row) -> Result<Self, store::Error> {
        Ok(Self {
            id: row.id(0)?,
            email: Arc::from(row.text(1)?),
            name: row.text(2)?.to_owned(),
            role: Role::parse(row.text(3)?).ok_or(store::Error::RowCorrupt)?,
            passphrase: row.bytes_opt(4)?.map(<[u8]>::to_vec),
            totp: row.bytes_opt(5)?.map(<[u8]>::to_vec),
            totp_step: row.int(6)?,
            disabled_at: row.time_opt(7)?,
            signed_in_at: row.time_opt(8)?,
            version: row.int(9)?,
            created_at: row.time(10)?,
            updated_at: row.time(11)?,
            passkeys: row.int(12)?,
        })
    }

    /// Whether a passphrase is set.
    pub const fn has_passphrase(&self) -> bool {
        self.passphrase.is_some()
    }

    /// Whether one-time codes are set up.
    pub const fn has_totp(&self) -> bool {
        self.totp.is_some()
    }

    /// Whether there is anything beside a passphrase.
    pub const fn has_second_factor(&self) -> bool {
        self.totp.is_some() || self.passkeys > 0
    }
}

/// The form in which e-mail addresses are stored and compared; `None` when the text cannot be one.
///
/// An address is only ever compared with what an invitation or a setup named, so the grammar of RFC 5322 with its
/// comments and quotes is not needed: one `@`, something on both sides, no space, nothing of control.
pub fn fold_email(text: &str) -> Option<String> {
    if text.len() > MAX_EMAIL {
        return None;
    }
    let folded = fold(&text.trim().nfkc().collect::<String>());
    let (mailbox, domain) = folded.split_once('@')?;
    let plain = |part: &str| {
        let stray = |c: char| c.is_whitespace() || c.is_control() || "@<>()[],;:\\\"".contains(c);
        !part.is_empty() && !part.contains(stray)
    };
    (folded.len() <= MAX_EMAIL && plain(mailbox) && plain(domain)).then_some(folded)
}

/// A name for people, or what is wrong with it.
///
/// # Errors
/// A problem of the field `name`.
pub fn judge_name(text: &str) -> Result<String, FieldProblem> {
    let name = text.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(FieldProblem::new("name", "bad_value", "name takes 1 to 200 characters, none of control"));
    }
    Ok(name.to_owned())
}

/// An e-mail address, or what is wrong with it.
///
/// # Errors
/// A problem of the field `email`.
pub fn judge_email(text: &str) -> Result<String, FieldProblem> {
    fold_email(text)
        .ok_or_else(|| FieldProblem::new("email", "bad_value", "email takes an address such as a@b.example"))
}

impl Auth {
    /// An operator by id, past the cache.
    ///
    /// # Errors
    /// The store's.
    pub async fn operator(&self, tenant: TenantId, id: Id<id::Operator>) -> Result<Option<Operator>, store::Error> {
        self.store.read(&sql::OPERATOR_BY_ID, params![tenant, id]).await?.as_ref().map(Operator::from_row).transpose()
    }

    /// An operator by folded e-mail address, past the cache.
    pub(crate) async fn operator_by_email(
        &self,
        tenant: TenantId,
        email: &str,
    ) -> Result<Option<Operator>, store::Error> {
        let row = self.store.read(&sql::OPERATOR_BY_EMAIL, params![tenant, email]).await?;
        row.as_ref().map(Operator::from_row).transpose()
    }

    /// Whether the tenant has any operator.
    ///
    /// # Errors
    /// The store's.
    pub async fn has_operator(&self, tenant: TenantId) -> Result<bool, store::Error> {
        Ok(self.store.read(&sql::OPERATOR_ANY, params![tenant]).await?.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::fold_email;

    #[test]
    fn an_address_is_folded_and_what_is_none_is_refused() {
        assert_eq!(fold_email(" Anna.Meier@Example.COM ").as_deref(), Some("anna.meier@example.com"));
        assert_eq!(fold_email("ＡＮＮＡ@example.com").as_deref(), Some("anna@example.com"));
        for bad in [
            "",
            "anna",
            "@",
            "anna@",
            "@example.com",
            "a@b@c",
            "a b@c",
            "a\0@b",
            "<a@b>",
            "a\u{200b}b",
            "correct horse",
        ] {
            assert_eq!(fold_email(bad), None, "{bad:?}");
        }
        assert_eq!(fold_email(&format!("{}@b", "a".repeat(253))), None);
    }
}
