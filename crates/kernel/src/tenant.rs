//! Tenants: an issuer with its own keys, clients and data.

use crate::id::{Id, Tenant};

/// The id of a tenant.
pub type TenantId = Id<Tenant>;

/// The tenant that lives at `/`; its id is fixed so that a first start is repeatable.
pub const DEFAULT: TenantId = Id::from_bytes(*b"\0\0\0\0\0\0\x70\0\x80default");

/// The slug of the tenant that lives at `/`.
pub const DEFAULT_SLUG: &str = "default";

/// Whether a text is a tenant slug: `[a-z0-9][a-z0-9-]{0,62}`.
pub fn is_slug(text: &str) -> bool {
    let body = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| body(b) || b == b'-')
        && text.bytes().next().is_some_and(body)
}

#[cfg(test)]
mod tests {
    #[test]
    fn slugs_begin_with_a_letter_or_digit_and_hold_at_most_63_characters() {
        for good in ["a", "acme", "0-1", &"a".repeat(63)] {
            assert!(super::is_slug(good), "{good}");
        }
        for bad in ["", "-a", "A", "a_b", "a/b", "é", &"a".repeat(64)] {
            assert!(!super::is_slug(bad), "{bad}");
        }
    }
}
