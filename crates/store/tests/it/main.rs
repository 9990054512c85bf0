//! The store's promises, each proved on every engine.

mod commits;
mod feed;
mod journal;
mod keys;
mod opening;
mod outage;
mod parameters;
mod place;
