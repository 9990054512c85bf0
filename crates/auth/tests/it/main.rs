//! The people of the console on both engines: links, sign-in, sessions, team. And clients under the standing of a customer.

#![cfg(test)]
#![expect(clippy::arithmetic_side_effects, reason = "small numbers of a test, checked in debug builds")]

mod links;
mod passkeys;
mod sessions;
mod sign_in;
mod standing;
mod strangers;
mod team;
mod world;
