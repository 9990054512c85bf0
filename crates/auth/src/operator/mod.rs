//! Operators: the people of the console, how they sign in, and what a session of theirs may do.
//!
//! Clients are machines and live in [`crate::client`]; the two never share a credential. Each file decides without
//! I/O and ends in one guarded batch with its audit record. Cookies, forms and pages are the console's.

pub mod account;
pub mod attempt;
pub mod browser;
pub mod enter;
pub mod error;
pub mod factor;
pub mod link;
pub mod passkey;
pub mod passphrase;
pub mod recovery;
pub mod role;
pub mod scope;
pub mod session;
pub mod sign_in;
pub mod sql;
pub mod team;
pub mod ticket;
pub mod totp;
pub mod webauthn;

pub use account::Operator;
pub use browser::Browser;
pub use error::OperatorError;
pub use role::Role;
pub use session::{Live, Session, SignedIn};
