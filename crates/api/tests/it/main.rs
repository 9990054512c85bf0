//! Black-box tests over the router, on both engines.

#![cfg(test)]
#![expect(clippy::arithmetic_side_effects, reason = "small numbers of a test, checked in debug builds")]

mod admin;
mod attacks;
mod audit;
mod authentication;
mod backfills;
mod billing;
mod client_credentials;
mod clock;
mod console;
mod console_activity;
mod console_billing;
mod console_house;
mod console_tokens;
mod console_webhooks;
mod developer;
mod events;
mod examples;
mod forgery;
mod grants;
mod hostile;
mod hostile_input;
mod identity;
mod introspection;
mod keys;
mod limits;
mod lists;
mod matrix;
mod metadata;
mod mutation;
mod operators;
mod readiness;
mod refresh;
mod revocation;
mod tenancy;
mod tenants;
mod transport;
mod usage;
mod webhooks;
mod world;
