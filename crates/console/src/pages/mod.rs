//! The pages of the console: each a function over plain data, beside the structs that it takes.

pub mod access;
pub mod account;
pub mod activity;
pub mod api;
pub mod apis;
pub mod audit;
pub mod client;
pub mod client_log;
pub mod clients;
pub mod home;
pub mod keys;
pub mod limits;
pub mod refused;
pub mod reveal;
pub mod run;
pub mod search;
pub mod selection;
pub mod settings;
pub mod sign_in;
pub mod team;
pub mod tenants;
pub mod tokens;
pub mod webhook;
pub mod webhooks;
