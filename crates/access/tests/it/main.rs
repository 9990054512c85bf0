//! Paying decides access: tokens, introspection and the admin API follow what is committed of a customer, on both engines.

#![cfg(test)]
#![expect(clippy::arithmetic_side_effects, reason = "small numbers of a test, checked in debug builds")]

mod interleavings;
mod paying;
mod using;
mod world;
