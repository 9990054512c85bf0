//! The store's promises, each proved on every engine.

#![cfg(test)]
#![expect(clippy::arithmetic_side_effects, reason = "small numbers of a test, checked in debug builds")]

mod commits;
mod damage;
mod feed;
mod journal;
mod keys;
mod opening;
mod outage;
mod parameters;
mod place;
