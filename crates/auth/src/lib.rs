//! Machine authentication: tenants, clients, dated secrets, scopes and APIs, keys, tokens, refresh families, limits.
//!
//! Decisions are pure or end in a [`record::plan::Planned`] batch; HTTP lives in `api`, SQL engines in `store`.

pub mod api_change;
pub mod attention;
pub mod catalog;
pub mod client;
pub mod client_change;
pub mod client_list;
pub mod clock;
pub mod credential;
pub mod cursor;
pub mod denial;
pub mod directory;
pub mod ending;
pub mod error;
pub mod family;
pub mod grant;
pub mod inspect;
pub mod introspect;
pub mod key;
pub mod limit;
pub mod operator;
pub mod restore;
pub mod revoke;
pub mod secret_change;
pub mod setup;
pub mod sql;
pub mod standing;
pub mod token;
pub mod trial;

pub use directory::{Auth, Settings};
